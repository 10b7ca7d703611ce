// flow: what one command does to several records, one safe step after another. Pure. A user has one voice state in all;
// moving it between places is: claim the user's location (its epoch grows), leave the old place (only a seat older
// than that epoch), sit down in the new one with it, settle. Leaving comes first because clients hang up the new call
// when they are told afterwards that they left. Whoever dies in between is finished by the next who looks: by the
// repeated command, or by the user's timer row (FLOW_SETTLE).
// The shell (call_io.c) carries out each step and hands back how it went; it never chooses one.
#pragma once
#include "call.h"

enum flow_kind {
    FLOW_JOIN,   // in: JOIN
    FLOW_LEAVE,  // in: LEAVE with a session
    FLOW_STEP,   // in: anything that concerns one place alone
    FLOW_ADD,    // in: ADD; then the channel enters the user's own record
    FLOW_REMOVE, // in: REMOVE; then it goes out of it
    FLOW_SETTLE, // finish the user's move
};

enum flow_what {
    FLOW_READ_USER, // id: load {u:id}:s
    FLOW_MAY_JOIN,  // id: load the place and ask call_may_join
    FLOW_PLACE,     // id: load the place, step it with `in`, commit
    FLOW_LOCATE,    // id: write `location` into {u:id}:s, if the record is as it was read
    FLOW_WELCOME,   // id: call_welcome into that user's record, unless the channel is in it already
    FLOW_FAREWELL,  // id: call_farewell, if it is in it
    FLOW_DONE,      // err: the answer
};

struct flow_step {
    enum flow_what what;
    uint64_t id, command; // command: id under which this step is applied once; 0: none
    struct call_in in;
    struct location location;
    bool timer; // LOCATE: the user's timer row has to stand before it
    int err;
};

// How a step went. READ_USER: OK with what was read, or API_UNKNOWN_USER. MAY_JOIN, PLACE: what the core said.
// LOCATE: OK or ERR_CONFLICT.
struct flow_result {
    int err;
    bool bot;
    struct location location;
};

struct flow {
    enum flow_kind kind;
    uint64_t place, user, command;
    struct call_in in;
    // The rest is the flow's own.
    enum {
        FLOW_AT_START,
        FLOW_AT_READ,
        FLOW_AT_OLDER,
        FLOW_AT_MAY,
        FLOW_AT_CLAIM,
        FLOW_AT_OLD,
        FLOW_AT_STEP,
        FLOW_AT_SETTLE,
        FLOW_AT_AGAIN,
        FLOW_AT_RECORD
    } at;
    struct location location;
    uint32_t tries;
    int result;
};
#define FLOW_TRIES_MAX 8u
#define FLOW_COMMANDS 8u // ids command … command + 7 belong to one flow

struct flow_step flow_start(struct flow *f);
struct flow_step flow_next(struct flow *f, const struct flow_result *r);
int flow_answer(int result); // what the asker is told: nothing to change is no error
