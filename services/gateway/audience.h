// audience: who in one guild is told of what: a picture of the guild as far as that matters, which the rows in its log
// keep up to date, and what each user with a session here may see in it. Pure.
// What somebody may see is worked out when it may have changed (a role, a channel's overwrites, the owner, his own
// row), not when an event comes: whether he gets one costs the same however large the guild is. Time-outs run out by
// themselves, but do not touch VIEW_CHANNEL.
// Rules: proto/permissions.h; events: proto/messages.def.
#pragma once
#include "load.h"
#include "permissions.h"
#include "subs.h"

struct audience_seat { // somebody's voice state
    uint64_t user;
    struct audience_channel *in; // NULL: a channel that there is not (any more)
    struct audience_seat *next, **prev;
    size_t n;
    char row[]; // a packed voice_seat
};
struct audience_channel {
    uint64_t id, type;
    uint32_t index; // in what each viewer sees
    uint32_t n_overwrites;
    struct overwrite *overwrites;
    struct buf row;              // a packed guild_channel
    struct audience_seat *seats; // of those who sit there
};
struct audience_viewer { // a user with sessions here
    uint64_t user;
    bool member;
    uint64_t *roles;      // of the row
    struct member row;    // of it user and roles; only when he is one
    uint64_t as_of;       // his row was read at that version …
    bool behind;          // … which the picture had passed: what was said of him in between is not in it
    bool changed;         // by the last row: `saw` counts
    uint64_t *sees, *saw; // bit sets over channels' indexes: now, and before the last row
};

struct audience {
    uint64_t version;   // that all of it, but for viewers' own rows, is of
    bool news;          // the entry at hand is one that it did not hold
    struct guild guild; // of it id and owner
    uint32_t n_roles, roles_cap;
    struct role *roles;                 // sorted by id; of them id and what decides about seeing
    uint32_t n_index, words;            // indexes given out so far; words of a viewer's bit sets
    struct audience_channel **by_index; // NULL: free
    struct table channels;              // id → channel; owns
    struct table seats;                 // user → seat; owns
    struct table viewers;               // user → viewer; owns
    // of the last row taken
    struct keys changed;           // users who see other channels than before
    struct audience_channel *gone; // the channel that it took away
    bool made;                     // it is of a channel that there was not
};

struct audience *audience_new(const struct loaded_guild *g); // without viewers
void audience_free(struct audience *a);                      // NULL is fine

// m NULL: he is no member. version: that his row is of. Whose row is known well enough is left as he is.
void audience_enter(struct audience *a, uint64_t user, const struct member *m, uint64_t version);
void audience_exit(struct audience *a, uint64_t user);
const struct audience_viewer *audience_viewer(const struct audience *a, uint64_t user); // NULL: he has no session here
const struct audience_channel *audience_channel(const struct audience *a, uint64_t id); // NULL: there is none

// --- entries of the log ---

enum audience_kind { AUDIENCE_OTHER, AUDIENCE_GUILD, AUDIENCE_ROLE, AUDIENCE_CHANNEL, AUDIENCE_MEMBER, AUDIENCE_SEAT };
struct audience_row { // what an event says to stand from now on
    enum audience_kind kind;
    uint64_t id;   // of the role or channel, the user's
    const void *v; // NULL: it has gone
    struct bytes packed;
};
// ERR_INVALID: it cannot be read; *out is then of no kind.
MUST_USE int audience_row(struct arena *a, const struct event *e, struct audience_row *out);

// The entry of `version` is at hand, and each of its events will be taken, in order.
void audience_entry(struct audience *a, uint64_t version);
// A listener of `user`, whose turn the entry is, cannot be told what follows from this row: what he sees has gone on
// without him.
bool audience_breaks(const struct audience *a, const struct audience_row *row, uint64_t user);
// Keeps the picture up to date, when it is news.
void audience_take(struct audience *a, const struct audience_row *row);

struct audience_gate { // who gets the event whose row was the last one taken
    uint64_t sitter, about;
    bool everywhere;    // it belongs to no channel
    bool before, after; // to be seen before the row, after it
    bool moved;
    const struct audience_channel *in, *unless;
};
struct audience_gate audience_gate(const struct audience *a, const struct event *e, const struct audience_row *row);
bool audience_gets(const struct audience *a, const struct audience_gate *gate, uint64_t user);

// What the last row changed in what users see, channel by channel in the order in which they are to be told: first what
// vanished, then what appeared, categories before what is in them. Not of the channel that the row itself made.
typedef void (*audience_change_fn)(void *ctx, const struct audience_channel *c, bool appears, const struct keys *users);
void audience_changes(const struct audience *a, audience_change_fn fn, void *ctx);

bool audience_valid(const struct audience *a); // every invariant; for tests. Slow
