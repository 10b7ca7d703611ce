// wheel: deadlines. O(1) arm and cancel; the caller says what time it is. Pure.
// A timer is embedded in its owner. Firing disarms it first, so the callback may arm it again or free the owner.
#pragma once
#include "base.h"

#define WHEEL_SLOTS 1024u
#define WHEEL_TICK_MS 16u

struct timer {
    struct timer *next, **prev; // prev != NULL exactly when armed
    uint64_t due_at;            // ms
    void (*fire)(struct timer *t, uint64_t now);
};

struct wheel {
    struct timer *slots[WHEEL_SLOTS];
    uint64_t tick; // slots up to this one have been run
    uint32_t n;    // armed timers
    bool stopped;
};

void wheel_init(struct wheel *w, uint64_t now);
void wheel_arm(struct wheel *w, struct timer *t, uint64_t due_at); // re-arms when armed
void wheel_cancel(struct wheel *w, struct timer *t);               // not armed: nothing happens
// Fires what is due, at most one tick late, in order of due time within what is run.
void wheel_run(struct wheel *w, uint64_t now);
void wheel_stop(struct wheel *w); // nothing fires any more, not even the rest of what is being run
static inline bool timer_armed(const struct timer *t)
{
    return t->prev != NULL;
}
