// admit: whom a voice node lets in, and what somebody who is in may do. Pure: rows of Redis in, verdicts out.
// How and why: proto/README.md, "How a voice node lets somebody in". Close codes: voice_closes.def.
#pragma once
#include "permissions.h"
#include "schema.h"

enum {
#define VOICE_CLOSE(code, name, resumable, text) VCLOSE_##name = (code),
#include "voice_closes.def"
#undef VOICE_CLOSE
};

struct claims {                     // of an Identify (op 0), as the client says it
    uint64_t server, channel, user; // channel 0: it named none (below version 9)
    char session[65], token[33];
};
struct admitted { // what the row says of it
    uint64_t server, channel, user;
    char session[65], token[33];
    bool guild; // server is a guild
};
// What Redis may be asked about: ids, and a session of 1 to 64 letters and digits.
bool claims_ok(const struct claims *c);
// 1 to max letters and digits: a session id or a token of other bytes cannot be right, and is not looked for.
bool claim_is_plain(struct bytes text, size_t max);
bool same_token(struct bytes ours, struct bytes said); // in constant time; how long one is nobody has to guess
// token: the row under {<server>}:t:<session>, empty when there is none; node: this one's name. OK, or the voice close
// code: 4006 without a row, 4004 when something does not fit.
MUST_USE int admit_check(struct arena *a, const struct claims *c, struct bytes token, struct bytes node,
                         struct admitted *out);

enum seat_state {
    SEAT_HERE,
    SEAT_LEFT, // he left, was moved or thrown out, or another client of his has the seat: 4014
    SEAT_OVER, // the channel or the call is no more, or he was told of another voice server: 4022
};
struct seat {
    enum seat_state state;
    // HERE: not muted by himself, a moderator or for want of SPEAK; not deafened by himself or a moderator; says that
    // he has a camera or a screen on, and may stream; has PRIORITY_SPEAKER.
    bool speaks, hears, video, priority;
    uint64_t flags; // HERE: of op 4, for op 18
};

struct sitter { // a voice session whose seat is followed. server == channel: of a private call
    uint64_t server, channel, user;
    char session[65];
    uint64_t may; // of a guild: what he may in the channel, as last read (permissions.h)
};
// All three: OK; ERR_INVALID when a row does not decode, and then nothing is known anew. Rows are packed, as they
// stand; empty: there is none. While a call or a room has no node, or he has not been told of its new one yet, he stays
// where he is.
MUST_USE int seat_in_call(struct arena *a, const struct sitter *w, struct bytes node, struct bytes call,
                          struct seat *out);
MUST_USE int seat_in_guild(struct arena *a, const struct sitter *w, struct bytes node, struct bytes seat,
                           struct bytes room, struct seat *out);
struct rights_rows {
    struct bytes guild, channel, member;
    struct role_set roles;
};
// What a member may in a channel. ERR_MISSING: guild or channel is no more.
MUST_USE int seat_rights(struct arena *a, const struct rights_rows *rows, uint64_t unix_ms, uint64_t *may);

// Whose seats are to be read again because of an event of their place.
struct concern {
    uint64_t user; // 0: nobody in particular
    bool all;      // all who sit there
    bool rights;   // and what they may
};
struct concern seat_concern(struct arena *a, const struct event *e);
