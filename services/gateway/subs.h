// subs: which sessions hear which record, and how far each record's log has been followed. Pure.
// Every record that a session here listens to has one position, `applied`; its listeners follow it. A listener whose
// snapshot is older is behind and gets what it lacks from the log; one whose snapshot is newer is ahead and waits for
// the others. So every session gets each version once, in order, whatever the bus did.
#pragma once
#include "record.h"
#include "table.h"

enum listen_state {
    LISTEN_WAITING, // its snapshot is not there yet: it gets nothing
    LISTEN_FOLLOWS, // it has what `applied` says
    LISTEN_APART,   // it has what its own `at` says
    LISTEN_HELD,    // the same, and it does not get the entry that is being told
};

struct holder;
struct sub;
struct listener { // one session at one record
    struct sub *sub;
    struct holder *holder;
    enum listen_state state;
    uint64_t at;    // APART; WAITING: what subs_await said, else 0
    uint32_t index; // in sub->v
};

struct seat { // a voice state at a private channel
    uint64_t user, epoch;
    const struct sub *sub;
    struct seat *next, *prev; // the user's at other records
};

struct sub {
    ref ref;
    bool guild; // a guild, for what bots' intents say; else a private channel or a user
    bool known; // `applied` means something: a snapshot or an entry gave it
    uint64_t applied;
    uint64_t applied_then;  // when the reading under way began: what came since may not be in it
    uint64_t seen;          // the newest version that anybody has mentioned
    bool reading, again;    // its log is being read, or about to be; and must be once more
    uint64_t nth_reading;   // the one under way, 0: none. One of a record that was left and is listened to anew is void
    uint32_t n, cap, n_odd; // n_odd: of them do not follow
    struct listener **v;    // those that do not follow come first
    bool unseated;          // sessions know of seats that nobody here has been told of: they stand in the store
    bool asking;            // for them, which began when
    uint64_t asked_at;      // this was applied
    struct table seats;     // user → seat
};

struct holder { // one session
    uint64_t session, user;
    struct table refs;          // ref → listener
    struct holder *next, *prev; // others of the user
};

struct subs {
    struct table by_ref;     // ref → sub; owns
    struct table by_session; // session → holder; owns, and its listeners
    struct table by_user;    // user → first holder
    struct table by_sitter;  // user → first seat
    uint32_t n_unseated;     // records
};

struct keys { // a growing list of session keys
    uint32_t n, cap;
    uint64_t *v;
};
void keys_add(struct keys *k, uint64_t key);
void keys_shift(struct keys *k, uint32_t n); // the first n go
void keys_fini(struct keys *k);

void subs_fini(struct subs *s);

void subs_enter(struct subs *s, uint64_t session, uint64_t user); // before it joins anything
// It leaves everything; `left` gets the refs that nobody here listens to any more.
void subs_exit(struct subs *s, uint64_t session, struct keys *left);
// WAITING at that record. True: the first one there. Already there: nothing changes.
bool subs_join(struct subs *s, uint64_t session, ref r, bool guild);
// Its snapshot is of `version`. True: the log must be read for it. Not waiting: nothing changes.
MUST_USE bool subs_settle(struct subs *s, uint64_t session, ref r, uint64_t version);
// It was told of that record up to `version`, by whomever: it joins and settles there. True: the log must be read for
// it, also when nobody here knows how far that goes. *first: as subs_join says.
MUST_USE bool subs_follow(struct subs *s, uint64_t session, ref r, bool guild, uint64_t version, bool *first);
// True: it was the last one there.
MUST_USE bool subs_leave(struct subs *s, uint64_t session, ref r);

// It leaves all those records whose snapshot never came.
void subs_leave_waiting(struct subs *s, uint64_t session, struct keys *left);

// It is WAITING there (once more), for what it needs before it may go on from `version`; 0: before it is told anything.
// *first: as subs_join says.
void subs_await(struct subs *s, uint64_t session, ref r, bool guild, uint64_t version, bool *first);
bool subs_awaits(const struct subs *s, uint64_t session, ref r, uint64_t *version); // false: it is not WAITING there
// Everybody who is there still WAITS, and what was known of the record is void.
void subs_forget(struct subs *s, struct sub *sub);

struct sub *subs_get(const struct subs *s, ref r);
// How far a session has been told of a record. False: it is not there, or still waits.
bool subs_position(const struct subs *s, uint64_t session, ref r, uint64_t *at);
// The same, also while it waits for what it needs before it goes on from there.
bool subs_told(const struct subs *s, uint64_t session, ref r, uint64_t *at);
void subs_refs_of(const struct subs *s, uint64_t session, struct keys *out); // all that it listens to
bool subs_listens(const struct subs *s, uint64_t session, ref r);
bool subs_user_listens(const struct subs *s, uint64_t user, ref r);               // one of his sessions does
uint64_t subs_user(const struct subs *s, uint64_t session);                       // whose it is; 0: it is not here
uint32_t subs_sessions_of(const struct subs *s, uint64_t user, struct keys *out); // out may be NULL; how many

enum subs_verdict {
    SUBS_APPLY, // next in line: address it, then subs_advance
    SUBS_CATCH, // old for the record, but next for a listener behind: the same
    SUBS_OLD,   // nobody wants it
    SUBS_GAP,   // something before it is missing: read the log
    SUBS_NONE,  // nobody listens, or the first snapshot will tell
};
enum subs_verdict subs_entry(struct subs *s, ref r, uint64_t version);
// Who gets an event of that entry. to, user, session: as in `event` (proto/messages.def); session 0: there is none.
void subs_address(const struct subs *s, ref r, uint64_t version, uint64_t to, uint64_t user, uint64_t session,
                  struct keys *out);
void subs_advance(struct subs *s, ref r, uint64_t version);

// --- a user's record tells of places that he came to or went from, and each place has a log of its own: an event about
// `place` as it was at `version` (op as in `event`, proto/messages.def) is outdated for a session that listens there
// and has been told as much. ---
bool subs_knows(const struct subs *s, uint64_t session, uint64_t op, ref place, uint64_t version);

// --- voice states. A user has one in all private channels, but each channel has its own log: of two events about him
// that of the older claim (the smaller epoch) may come last, and must not be told then: the client would take him out
// of where he is, since who leaves a call leaves no channel's name. Events of a guild name it, and are told always. ---
// An event, or a snapshot, said so.
void subs_seat(struct subs *s, struct sub *sub, uint64_t user, uint64_t epoch, bool left);
// He is known to sit at another record that this session listens to, by a newer claim.
bool subs_outdated(const struct subs *s, uint64_t session, ref r, uint64_t user, uint64_t epoch);

// What a session was told by another gateway nobody here has heard, so that seats of a record that it comes to
// (subs_follow) may be missing until they have been read. True: they are to be read now.
MUST_USE bool subs_ask_seats(struct sub *sub);
// They have been read (ok), or could not be. True: they count. Else ask again: who left meanwhile would sit there.
MUST_USE bool subs_seats_come(struct subs *s, struct sub *sub, bool ok);
// Seats are missing of another record that it listens to: what is outdated for it cannot be told yet.
bool subs_blind(const struct subs *s, uint64_t session, ref r);
// Before an entry is addressed that says something of a voice state: who is blind to that stays behind it. True: there
// is such a one, and the log must be read for it.
MUST_USE bool subs_hold(struct subs *s, ref r, uint64_t version);

// Reading a log. subs_read: from which version on (exclusive).
uint64_t subs_read(struct sub *sub);
// The log holds nothing between `after` and `first`: who stands there has lost it and goes on from `first`. (Who stands
// before `after` is for another reading.)
void subs_cut(struct sub *sub, uint64_t after, uint64_t first, struct keys *out);
// The log has been read to its end. True: it must be read again.
MUST_USE bool subs_read_done(struct sub *sub);
bool subs_valid(const struct subs *s); // every invariant; for tests
