// flow: what one command does to several records, one safe step after another. Pure. A user has one voice state in all;
// moving it between places is: claim the user's location (its epoch grows), leave the old place (only a seat older
// than that epoch), sit down in the new one with it, look whether the claim still holds, settle. Leaving comes first
// because clients hang up the new call when they are told afterwards that they left. Nobody sits down without a claim,
// and every claim grows the epoch: so whoever was overtaken by a claim to elsewhere, or by a leave, sees it, and takes
// back what he did too late. A claim to the same place takes nothing away: who made it sits down over what is there.
// Whoever dies in between is finished by the next who looks: by the repeated command, or by the user's timer row
// (FLOW_SETTLE). The shell (job.c) carries out each step and hands back how it went; it never chooses one.
// A place is a private channel or a guild; within a guild a claim is new with each channel that he goes to himself. A
// bot has one voice state in each guild, and a location for each.
#pragma once
#include "call.h"
#include "guild.h"

enum flow_kind {
    FLOW_JOIN,   // in: JOIN
    FLOW_LEAVE,  // in: LEAVE with a session; without a gateway: because it is over
    FLOW_MOVED,  // in: MOVED, wherever the user is
    FLOW_STEP,   // in, or change: anything that concerns one place alone
    FLOW_ADD,    // in: ADD; then the channel enters the user's own record
    FLOW_REMOVE, // in: REMOVE, or change: MEMBER_REMOVE; then it goes out of it. Both name in.targets[0]
    FLOW_SETTLE, // finish the user's move
    FLOW_AGREE,  // make a place and the user in.targets[0] agree: who is in it, and whose seat there is stale
    FLOW_SWEEP,  // in: GATEWAY_LOST; what goes on at other gateways stays, though nobody told of it. user: of a guild
};

enum flow_what {
    FLOW_READ_USER, // id: load {u:id}:s, the location that is a bot's in `guild`, or, when that is 0, the guilds where
                    // a bot is; is the session of `in` over, or another gateway's?
    FLOW_MAY_JOIN,  // id: load the place, ask …_may_join and …_sits; was `command` applied there before?
    FLOW_PLACE,     // id: load the place, step it with `in`, commit
    FLOW_LOCATE,    // id: write `location` into {u:id}:s, if the record is as it was read; guild: as that field says
    FLOW_LOOK,      // id: load the place; is that user a recipient, or member, and does his own record list the place?
    FLOW_WELCOME,   // id: call_welcome into that user's record, if it is as LOOK found it
    FLOW_FAREWELL,  // id: …_farewell, likewise
    FLOW_HEIR, // id: load the place; which session that has a seat of `in`'s gateway is held by another one now? Of
               // a guild: is in.user's?
    FLOW_DONE, // err: the answer
};

struct flow_step {
    enum flow_what what;
    uint64_t id, command; // command: id under which this step is applied once; 0: none
    uint64_t by;          // of the command: later this step must not be carried out; 0: whenever
    struct call_in in;
    const struct guild_in *change; // PLACE: not `in`, but this; NULL: `in`
    struct location location;
    uint64_t guild; // READ_USER, LOCATE: flow_location
    bool timer;     // LOCATE: the user's timer row has to stand before it
    uint64_t agree; // PLACE: so has one for FLOW_AGREE with that user; 0: none
    int err;
};

// How a step went. READ_USER: OK with what was read, or API_UNKNOWN_USER. MAY_JOIN, PLACE: what the core said; a
// command that was applied before is OK. LOCATE: OK, ERR_CONFLICT, ERR_STATE (applied before). WELCOME, FAREWELL: OK or
// ERR_CONFLICT. Any: ERR_IO and the like, when the world failed for too long.
struct flow_result {
    int err;
    bool bot;             // READ_USER
    bool full;            // READ_USER with ADD: he is in as many channels as anybody may be
    struct ids guilds;    // READ_USER of a bot without `guild`: where it is. It lives as long as the flow
    bool guild;           // MAY_JOIN, LOOK: the place is one
    bool over, elsewhere; // READ_USER: the session of `in` is over; it is held by another than `in` came from
    bool applied;         // MAY_JOIN, PLACE: before. PLACE: only when the core, too, had something left to do
    bool sits;            // MAY_JOIN
    // MAY_JOIN: of his seat. PLACE with LEAVE, OK: of the one that went, if need be before. LOCATE, ERR_STATE: written
    // the first time.
    uint64_t epoch;
    bool recipient, listed; // LOOK
    struct location location;
    struct flow_heir { // HEIR; user 0: none
        uint64_t user;
        char session[65], gateway[49];
    } heir;
};

struct flow {
    enum flow_kind kind;
    uint64_t place, user, command;
    uint64_t by; // unix ms: whoever sent the command has given up by then; 0: never
    struct call_in in;
    const struct guild_in *change; // what `in` cannot say; it outlives the flow. NULL: `in` says all
    // The rest is the flow's own.
    enum {
        FLOW_AT_START,
        FLOW_AT_READ,
        FLOW_AT_MAY,
        FLOW_AT_OLDER, // leaving what an earlier move did not
        FLOW_AT_CLAIM,
        FLOW_AT_OLD, // leaving what the claim moves away from
        FLOW_AT_STEP,
        FLOW_AT_CHECK, // reading the user again
        FLOW_AT_UNDO,
        FLOW_AT_SETTLE,
        FLOW_AT_LOOK,
        FLOW_AT_RECORD,
        FLOW_AT_HEIR,
        FLOW_AT_MOVED
    } at;
    struct flow_heir heir;
    bool bot;
    struct ids guilds; // LEAVE, MOVED of a bot: still to be gone through, from `nth` on
    uint32_t nth;
    struct location location; // as read, or as claimed
    bool sits;                // JOIN: his session has the seat, of the claim that holds
    uint64_t claim;           // JOIN: epoch of the claim that was made before, under this very command; 0: none
    bool moot, over;          // JOIN: it comes too late, or its session is over: nothing of it may stay
    uint32_t tries;
    int result;
};
#define FLOW_TRIES_MAX 8u
#define FLOW_COMMANDS 2u // ids command and command + 1 belong to one flow

struct flow_step flow_start(struct flow *f);
struct flow_step flow_next(struct flow *f, const struct flow_result *r);
bool flow_failed(int err); // the world's doing: to be tried again, and nothing follows from it
#define FLOW_LOCATION_MAX 32u
// The field of {u:<id>}:s that says where somebody is. guild: of a step.
const char *flow_location(char out[FLOW_LOCATION_MAX], bool bot, uint64_t guild);
// Its place is a guild, if it is anything: else nobody knows before it is read.
bool flow_at_guild(const struct flow_step *s);
// What a PLACE or MAY_JOIN means at a guild. API_UNKNOWN_CHANNEL: nothing; ERR_STATE: nothing to be done there.
MUST_USE int flow_guild_in(const struct flow_step *s, struct guild_in *out);
int flow_answer(int result); // what the asker is told: nothing to change is no error
