// manager: what the shells of the call manager share. Each function is one shell's offer to the others.
#pragma once
#include "flow.h"
#include "region_list.h"
#include "service.h"
#include "table.h"

struct manager {
    struct service service;
    struct lease *lease;
    struct call_rules rules;
    uint64_t resume_window_ms, jobs_max, channels_max;
    struct regions regions; // as the allocator last told it
    struct guild_rules guild_rules;
    struct table jobs;     // running ones by number
    struct table busy;     // how many of them are about a place, by place; owns
    struct table turns;    // of those that write a place, by place: the one whose turn it is
    struct table asks;     // for a voice server, waiting for their time or their answer, by a hash of place and user
    struct table releases; // waiting for their answer, by a hash of place and channel
    uint64_t last_number;  // of a job
    struct timer poll, refresh;
    uint64_t up_at; // since when Redis is there
    bool polling;
    bool closed; // the process ends: jobs end with what is in flight, and nobody is answered any more
};

// job.c — carries one flow through its steps. `done` runs once. Everything that `in` and `change` point to is copied.
struct job_end {
    int result;                // the flow's answer
    uint64_t deadline;         // FLOW_STEP: when the row that it came from is due again; 0: not
    struct bytes body;         // of what a guild's half changed: what REST returns; none: nothing
    const struct fault *fault; // API_INVALID_FORM: what was wrong; NULL: the region
};
typedef void (*job_fn)(void *ctx, const struct job_end *end); // borrowed
// ERR_FULL: too many run already, or of half as many all are about this place, where they stand in line: there has to
// be room for others. done does not run.
MUST_USE int job_start(struct manager *m, const struct flow *flow, job_fn done, void *ctx);
void job_drop_waiting(struct manager *m); // when it is closed: those whose turn at a place never comes

// call_io.c — commands from the bus into jobs, and asks to the allocator out of them.
void call_command(void *ctx, const struct bus_from *from, const struct msg *msg);
void call_ask_server(struct manager *m, const struct call_place *p, const struct call_fx *fx, uint64_t now);
void call_ask_guild_server(struct manager *m, uint64_t guild, const struct guild_ask *ask, uint64_t now);
void call_drop_asks(struct manager *m); // those not sent yet; the rows of their places stand
void call_release_server(struct manager *m, uint64_t place, uint64_t channel);
void call_refresh_regions(struct manager *m);

// timers.c — rows that any live instance may claim: ticks of places, unfinished moves of users, gateways that are gone.
void timers_start(struct manager *m);
void timers_stop(struct manager *m);
void timers_want(struct manager *m, ref r, uint64_t at);                              // before the commit that needs it
void timers_want_seat(struct manager *m, uint64_t guild, uint64_t user, uint64_t at); // likewise
void timers_want_room(struct manager *m, uint64_t guild, uint64_t channel, uint64_t at);   // likewise
void timers_drop_seat(struct manager *m, uint64_t guild, uint64_t user, uint64_t at);      // that wish is fulfilled
void timers_want_agreement(struct manager *m, uint64_t place, uint64_t user, uint64_t at); // likewise
// A seat there will belong to that gateway from `version` on: likewise before the commit. And it has none since
// `version`: after it.
// user: whose, of a guild; 0: of a private channel, where they are few.
void timers_note_gateway(struct manager *m, struct bytes gateway, uint64_t place, uint64_t user, uint64_t version);
void timers_forget_gateway(struct manager *m, struct bytes gateway, uint64_t place, uint64_t user, uint64_t version);
void timers_look(struct manager *m); // which gateways are gone, which are back?
