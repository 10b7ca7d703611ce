// admit: whom a voice node lets in, and what somebody who is in may do. Pure: rows of Redis in, verdicts out.
// How and why: proto/README.md, "How a voice node lets somebody in". Close codes: voice_closes.def.
#pragma once
#include "permissions.h"
#include "schema.h"

struct claims {                     // of an Identify (op 0), as the client says it
    uint64_t server, channel, user; // channel 0: it named none (below version 9)
    char session[65], token[33];
};
struct admitted { // what the row says of it
    uint64_t server, channel, user;
    char session[65], token[33];
    bool guild; // server is a guild
};
// token: the row under {<server>}:t:<session>, empty when there is none; node: this one's name. OK, or the voice close
// code: 4006 without a row, 4004 when something does not fit.
MUST_USE int admit_check(struct arena *a, const struct claims *c, struct bytes token, struct bytes node,
                         struct admitted *out);

enum seat_state {
    SEAT_HERE,
    SEAT_LEFT, // he left, was moved or thrown out, or another client of his has the seat: 4014
    SEAT_OVER, // the channel or the call is no more, or its voice server is another: 4022
};
struct seat {
    enum seat_state state;
    bool speaks, hears, video, priority; // HERE: not muted by himself, a moderator or for want of SPEAK; …
    uint64_t flags;                      // HERE: of op 4, for op 18
};
