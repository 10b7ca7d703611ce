// replay: what a session was sent last, kept for its resume; bounded in events and in bytes. Pure.
// Events are numbered by the session without a gap; the oldest fall out first.
#pragma once
#include "dispatch.h"

struct replay {
    uint32_t events_max;
    uint64_t bytes_max;
    uint64_t next;          // number of the event to come
    uint32_t n;             // events held: next - n … next - 1
    uint64_t bytes;         // their size
    uint32_t at, cap;       // of the oldest in the ring; cap is 0 or a power of two
    struct dispatch **ring; // one reference each
};

// The first event to come has the number `next`.
void replay_init(struct replay *r, uint32_t events_max, uint64_t bytes_max, uint64_t next);
void replay_push(struct replay *r, struct dispatch *d);               // takes a reference of its own
bool replay_can(const struct replay *r, uint64_t after);              // everything behind number `after` is still held
struct dispatch *replay_get(const struct replay *r, uint64_t number); // CHECKs that it is held; no new reference
void replay_drop(struct replay *r, uint64_t upto);                    // forgets the events up to that number
void replay_fini(struct replay *r);
