// fanout_private: what fanout.c (any record's events) and guild_entry.c (a guild's) share.
#pragma once
#include "audience.h"
#include "conns.h"

struct fanout {
    struct gateway *g;
    struct subs subs;
    struct arena arena; // of one entry read from a log
    struct keys queue;  // refs whose logs are to be read, from `head` on
    uint32_t head, reading;
    uint64_t last_reading;
    bool recovering;         // after a loss: not ready until the queue is empty
    struct loop_flush flush; // of the queue
    struct timer retry;
    struct keys to;      // of one event
    struct arena rows;   // likewise
    struct keys told;    // of what changes with it in a guild
    struct keys parting; // sessions for which a guild ends with the entry at hand
};

void fanout_address(struct fanout *f, ref r, uint64_t version, const struct event *e); // f->to
// To those. a, gate: of a guild; else NULL.
void fanout_deliver(struct fanout *f, const struct sub *sub, const struct event *e, const struct audience *a,
                    const struct audience_gate *gate);
void fanout_instruct(struct fanout *f, ref r, const struct event *e);
// Events are lost to that session. What it listened to may be gone with it.
void fanout_cut(struct fanout *f, uint64_t session, uint64_t place, uint64_t version);

void guild_take_entry(struct fanout *f, const struct place_event *p);
void guild_part(struct fanout *f, ref r); // when it has been told to all
