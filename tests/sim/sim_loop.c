// sim_loop: loop.h in virtual time. Timers may be late, as those of a busy process are.
#include "loop.h"
#include "memory.h"
#include "mains.h"
#include "sim.h"
#include <time.h>

#define LATE_US 16000u // real ones fire at the beginning of the tick behind their time

#define START_MS 100000u // what a monotonic clock says at the beginning
#define START_UNIX_MS 1767225600000u

struct task {
    struct task *next;
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop {
    struct instance *owner;
    struct timer *timers; // in order of their time
    uint64_t now, wakes;  // now: of this turn; wakes: numbers the wakings, only the newest counts
    uint64_t wake_at;
    struct flushes flushes;
    struct task *tasks, **tasks_tail;
    void (*on_stop)(void *ctx);
    void *ctx;
    bool stopping, ended, dead;
};

static uint64_t world_ms(void)
{
    return START_MS + sim_us() / 1000;
}

uint64_t sim_unix_ms(void)
{
    return START_UNIX_MS + sim_us() / 1000;
}

// lease.c and others ask the system itself.
int sim_clock_gettime(clockid_t clock, struct timespec *out)
{
    uint64_t ms = clock == CLOCK_REALTIME ? sim_unix_ms() : world_ms();
    if (clock == CLOCK_REALTIME && sim_at)
        ms += (uint64_t)sim_at->skew_ms;
    out->tv_sec = (time_t)(ms / 1000);
    out->tv_nsec = (long)(ms % 1000) * 1000000;
    return 0;
}

uint32_t sim_arc4random(void)
{
    return (uint32_t)(sim_random() >> 20);
}

uint32_t sim_arc4random_uniform(uint32_t n)
{
    return (uint32_t)sim_below(n);
}

// --- timers ---

static void unlink_timer(struct timer *t)
{
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->prev = NULL;
    t->next = NULL;
}

static void on_wake(void *ctx, uint64_t wake);

static void wake(struct loop *l)
{
    if (l->dead || !l->timers || (l->wake_at && l->wake_at <= l->timers->due_at))
        return;
    uint64_t now = world_ms(), due = l->timers->due_at;
    l->wake_at = due ? due : 1;
    sim_after((due > now ? (due - now) * 1000 : 0) + sim_below(LATE_US), l->owner, on_wake, l, ++l->wakes);
}

static void fire_due(struct loop *l)
{
    while (!l->ended && l->timers && l->timers->due_at <= l->now) {
        struct timer *t = l->timers;
        unlink_timer(t);
        t->fire(t, l->now);
    }
}

static void on_wake(void *ctx, uint64_t nth)
{
    struct loop *l = ctx;
    if (nth != l->wakes)
        return;
    l->wake_at = UINT64_MAX; // what is armed meanwhile is seen to below
    fire_due(l);
    l->wake_at = 0;
    wake(l);
}

void loop_arm(struct loop *l, struct timer *t, uint64_t after_ms)
{
    struct timer **at = &l->timers;
    if (timer_armed(t))
        unlink_timer(t);
    t->due_at = l->now + (after_ms ? after_ms : 1); // never within the same firing
    while (*at && (*at)->due_at <= t->due_at)
        at = &(*at)->next;
    t->next = *at;
    t->prev = at;
    if (t->next)
        t->next->prev = &t->next;
    *at = t;
    if (l->wake_at != UINT64_MAX)
        wake(l);
}

void loop_cancel(struct loop *l, struct timer *t)
{
    (void)l;
    if (timer_armed(t))
        unlink_timer(t);
}

uint64_t loop_now(const struct loop *l)
{
    return l->now;
}

uint64_t loop_unix_ms(const struct loop *l)
{
    struct timespec t;
    (void)l;
    sim_clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// --- once per turn ---

void loop_flush(struct loop *l, struct loop_flush *f)
{
    flushes_add(&l->flushes, f);
}

void loop_unflush(struct loop *l, struct loop_flush *f)
{
    flushes_remove(&l->flushes, f);
}

void sim_loop_task(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    struct task *t = mem_alloc(sizeof *t);
    *t = (struct task){.fn = fn, .ctx = ctx};
    *l->tasks_tail = t;
    l->tasks_tail = &t->next;
}

static bool flush_one(struct loop *l)
{
    struct loop_flush *f = flushes_take(&l->flushes);
    if (f && !l->ended)
        f->fn(f);
    return f != NULL;
}

static bool task_one(struct loop *l)
{
    struct task *t = l->tasks;
    if (!t)
        return false;
    l->tasks = t->next;
    if (!l->tasks)
        l->tasks_tail = &l->tasks;
    t->fn(t->ctx);
    mem_free(t);
    return true;
}

void sim_loop_turn(struct loop *l)
{
    l->now = world_ms();
}

void sim_loop_flush(struct loop *l)
{
    while (flush_one(l) || task_one(l))
        continue;
}

// --- life ---

struct loop *loop_new(void)
{
    struct loop *l = mem_alloc(sizeof *l);
    l->owner = sim_at;
    l->owner->loop = l;
    flushes_init(&l->flushes);
    l->tasks_tail = &l->tasks;
    l->now = world_ms();
    return l;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
    return (struct uv_loop_s *)(void *)l;
}

struct loop *loop_of_uv(void *uv)
{
    return uv;
}

void loop_on_reload(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    (void)l;
    (void)fn;
    (void)ctx;
}

void loop_run(struct loop *l, void (*on_stop)(void *ctx), void (*on_dump)(void *ctx), void *ctx)
{
    l->on_stop = on_stop;
    l->ctx = ctx;
    (void)on_dump;
    sim_loop_flush(l);
    instance_yield();
}

void loop_end(struct loop *l)
{
    l->ended = true;
}

bool sim_loop_ended(const struct loop *l)
{
    return l->ended && !l->flushes.first && !l->tasks;
}

void loop_stop(struct loop *l)
{
    if (l->stopping)
        return;
    l->stopping = true;
    l->on_stop(l->ctx);
}

void sim_loop_drain(struct loop *l)
{
    l->dead = true;
    loop_stop(l);
    for (sim_loop_flush(l); !sim_loop_ended(l); sim_loop_flush(l)) {
        CHECK(l->timers != NULL); // it would wait for ever
        l->now = l->timers->due_at > l->now ? l->timers->due_at : l->now;
        fire_due(l);
    }
}

void loop_free(struct loop *l)
{
    sim_loop_flush(l);
    mem_free(l);
}

// --- memory.h: giving back what a burst needed is no part of this world ---

void memory_settings(void)
{
}

void memory_watch(struct memory *m, struct loop *l)
{
    (void)m;
    (void)l;
}

void memory_unwatch(struct memory *m)
{
    (void)m;
}
