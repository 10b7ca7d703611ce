// lease: takes a number by asking for one after another from a random place on, and keeps it by asking again.
// It counts as held until shortly before Redis may give it away, measured from when the request was sent.
#include "lease.h"
#include "log.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef LEASE_MS // its test takes shorter ones
#define LEASE_MS 10000u
#endif
#define RENEW_MS (LEASE_MS / 5)
#define MARGIN_MS (LEASE_MS / 5) // nobody has a number for as long after its last use: clocks of machines differ
#define RETRY_MS 50u
#define ALL_TAKEN_MS 1000u

struct lease {
    struct loop *loop;
    struct store *store;
    char value[96]; // the instance and a nonce: a second process of the same name is another holder
    uint32_t worker, refusals;
    uint64_t asked_at, held_until; // by now_ms(); held_until is 0 when another one is looked for
    bool asking, freed;            // when freed while asking, the answer ends it
    struct timer timer;
    struct snowflake ids;
};

// Real time, not the turn's: a process that was stopped in the middle of a turn must notice. Counts suspension too.
static uint64_t now_ms(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_BOOTTIME, &t) == 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void hold(struct lease *w, store_fn fn, uint32_t ms)
{
    store_cmd(w->store, fn, w, "FCALL sb_hold 1 worker:%u %s %u", w->worker, w->value, ms);
}

static void ask(struct timer *t, uint64_t now);

static void taken(struct lease *w)
{
    if (w->held_until == 0)
        LOG(INFO, EV("lease.taken"), KU("worker", w->worker));
    w->ids.worker = w->worker; // its time goes on, so that ids grow across numbers
    w->refusals = 0;
    w->held_until = w->asked_at + LEASE_MS - MARGIN_MS;
    loop_arm(w->loop, &w->timer, RENEW_MS);
}

static void refused(struct lease *w)
{
    if (w->held_until != 0)
        LOG(WARN, EV("lease.lost"), KU("worker", w->worker));
    w->held_until = 0;
    w->worker = (w->worker + 1) % SNOWFLAKE_WORKERS;
    if (++w->refusals % SNOWFLAKE_WORKERS != 0) {
        ask(&w->timer, 0);
        return;
    }
    LOG(ERROR, EV("lease.none_free"), KU("tried", w->refusals));
    loop_arm(w->loop, &w->timer, ALL_TAKEN_MS);
}

static void on_answer(void *ctx, const struct reply *r)
{
    struct lease *w = ctx;
    w->asking = false;
    if (w->freed) {
        if (reply_int(r) == 1)
            hold(w, NULL, MARGIN_MS);
        mem_free(w);
    } else if (!reply_ok(r)) {
        loop_arm(w->loop, &w->timer, RETRY_MS);
    } else if (reply_int(r) == 1) {
        taken(w);
    } else {
        refused(w);
    }
}

static void ask(struct timer *t, uint64_t now)
{
    struct lease *w = container_of(t, struct lease, timer);
    (void)now;
    w->asking = true;
    w->asked_at = now_ms();
    hold(w, on_answer, LEASE_MS);
}

struct lease *lease_new(struct loop *l, struct store *s, const char *instance)
{
    struct lease *w = mem_alloc(sizeof *w);
    w->loop = l;
    w->store = s;
    w->worker = arc4random_uniform(SNOWFLAKE_WORKERS);
    uint64_t nonce = (uint64_t)arc4random() << 32 | arc4random();
    snprintf(w->value, sizeof w->value, "%s:%016llx", instance, (unsigned long long)nonce);
    snowflake_init(&w->ids, w->worker);
    w->timer.fire = ask;
    loop_arm(l, &w->timer, 0);
    return w;
}

bool lease_held(const struct lease *w)
{
    return now_ms() < w->held_until;
}

int lease_mint(struct lease *w, uint64_t after, uint64_t *id)
{
    if (!lease_held(w))
        return ERR_STATE;
    *id = snowflake_after(&w->ids, loop_unix_ms(w->loop), after);
    return OK;
}

void lease_free(struct lease *w)
{
    if (!w)
        return;
    loop_cancel(w->loop, &w->timer);
    w->freed = true;
    if (lease_held(w))
        hold(w, NULL, MARGIN_MS);
    w->held_until = 0;
    if (!w->asking)
        mem_free(w);
}
