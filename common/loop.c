// loop: the uv loop, the wheel that it drives, what runs once per turn, signals.
// Of its own handles only the prepare hook keeps it running, until loop_end; from then on only guests do.
#include "loop.h"
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <uv.h>

#define NEVER UINT64_MAX

struct loop {
    uv_loop_t uv;
    uv_timer_t timer; // to the next tick at which the wheel has something to do
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; // active while something is left for the hook after the poll, so that the loop does not sleep
    uv_signal_t term, intr, usr1, hup;
    struct wheel wheel;
    uint64_t wake_at; // when timer fires, or NEVER
    bool due;         // it has; the wheel runs when what has arrived meanwhile is read
    struct flushes flushes;
    struct loop_flush mark;
    void (*on_stop)(void *ctx);
    void (*on_dump)(void *ctx);
    void *ctx;
    void (*on_reload)(void *ctx);
    void *reload_ctx;
    bool stopping, ended;
};

// --- deadlines ---

// Deadlines are met at the beginning of a tick, so that many of them cost one waking.
static uint64_t tick_after(uint64_t at)
{
    return (at + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS * WHEEL_TICK_MS;
}

static uint64_t slot_due(const struct timer *t, uint64_t limit)
{
    uint64_t due = NEVER;
    for (; t; t = t->next)
        if (t->due_at < limit && t->due_at < due)
            due = t->due_at;
    return due;
}

// When something is next due, or the end of the wheel's round when nothing is within it.
static uint64_t wheel_next(const struct wheel *w)
{
    if (w->n == 0)
        return NEVER;
    for (uint64_t i = 0; i < WHEEL_SLOTS; i++) {
        uint64_t due = slot_due(w->slots[(w->tick + i) % WHEEL_SLOTS], (w->tick + i + 1) * WHEEL_TICK_MS);
        if (due != NEVER)
            return due;
    }
    return (w->tick + WHEEL_SLOTS) * WHEEL_TICK_MS;
}

static void on_idle(uv_idle_t *i)
{
    (void)i;
}

static void stay_awake(struct loop *l)
{
    CHECK(uv_idle_start(&l->idle, on_idle) == 0);
}

// The process may have stood still. What its peers said in time lies in the sockets, which libuv reads after its
// timers: the deadlines for it are met after that, as far as one turn reads.
static void on_timer(uv_timer_t *t)
{
    struct loop *l = t->data;
    l->due = true;
    stay_awake(l);
}

static void wake(struct loop *l, uint64_t at)
{
    uint64_t now = uv_now(&l->uv);
    l->wake_at = at;
    CHECK(uv_timer_start(&l->timer, on_timer, at > now ? at - now : 0, 0) == 0);
}

static void run_wheel(struct loop *l)
{
    uint64_t now = uv_now(&l->uv);
    l->due = false;
    l->wake_at = 0; // arming from inside a callback does not touch the timer: it is set below
    wheel_run(&l->wheel, now);
    uint64_t due = wheel_next(&l->wheel), soonest = now / WHEEL_TICK_MS * WHEEL_TICK_MS + WHEEL_TICK_MS;
    l->wake_at = NEVER;
    if (due != NEVER)
        wake(l, tick_after(due) > soonest ? tick_after(due) : soonest);
}

void loop_arm(struct loop *l, struct timer *t, uint64_t after_ms)
{
    uint64_t due = uv_now(&l->uv) + after_ms;
    wheel_arm(&l->wheel, t, due);
    if (tick_after(due) < l->wake_at)
        wake(l, tick_after(due));
}

void loop_cancel(struct loop *l, struct timer *t)
{
    wheel_cancel(&l->wheel, t);
}

uint64_t loop_now(const struct loop *l)
{
    return uv_now(&l->uv);
}

uint64_t loop_unix_ms(const struct loop *l)
{
    (void)l;
    struct timespec t;
    CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// --- once per turn ---

// Runs what is queued now; what that queues in turn is for the next hook.
static void flush_round(struct loop *l)
{
    if (!l->flushes.first)
        return;
    flushes_add(&l->flushes, &l->mark);
    for (struct loop_flush *f; (f = flushes_take(&l->flushes)) != &l->mark;)
        if (!l->ended)
            f->fn(f);
}

static void on_prepare(uv_prepare_t *p)
{
    struct loop *l = p->data;
    flush_round(l);
    if (l->flushes.first)
        stay_awake(l);
}

static void on_check(uv_check_t *c)
{
    struct loop *l = c->data;
    CHECK(uv_idle_stop(&l->idle) == 0);
    if (l->due)
        run_wheel(l);
    flush_round(l);
}

void loop_flush(struct loop *l, struct loop_flush *f)
{
    flushes_add(&l->flushes, f);
}

void loop_unflush(struct loop *l, struct loop_flush *f)
{
    flushes_remove(&l->flushes, f);
}

// --- life ---

struct loop *loop_new(void)
{
    struct loop *l = mem_alloc(sizeof *l);
    signal(SIGPIPE, SIG_IGN); // a peer that is gone is an error of its write, not the end of the process
    flushes_init(&l->flushes);
    l->wake_at = NEVER;
    CHECK(uv_loop_init(&l->uv) == 0);
    CHECK(uv_timer_init(&l->uv, &l->timer) == 0);
    CHECK(uv_prepare_init(&l->uv, &l->prepare) == 0);
    CHECK(uv_check_init(&l->uv, &l->check) == 0);
    CHECK(uv_idle_init(&l->uv, &l->idle) == 0);
    CHECK(uv_signal_init(&l->uv, &l->term) == 0);
    CHECK(uv_signal_init(&l->uv, &l->intr) == 0);
    CHECK(uv_signal_init(&l->uv, &l->usr1) == 0);
    CHECK(uv_signal_init(&l->uv, &l->hup) == 0);
    l->timer.data = l->prepare.data = l->check.data = l->idle.data = l;
    l->term.data = l->intr.data = l->usr1.data = l->hup.data = l;
    CHECK(uv_prepare_start(&l->prepare, on_prepare) == 0);
    CHECK(uv_check_start(&l->check, on_check) == 0);
    uv_unref((uv_handle_t *)&l->timer);
    uv_unref((uv_handle_t *)&l->check);
    uv_unref((uv_handle_t *)&l->idle);
    wheel_init(&l->wheel, uv_now(&l->uv));
    return l;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
    return &l->uv;
}

void loop_stop(struct loop *l)
{
    if (l->stopping)
        return;
    l->stopping = true;
    if (l->on_stop)
        l->on_stop(l->ctx);
    else
        loop_end(l);
}

static void on_signal(uv_signal_t *s, int number)
{
    struct loop *l = s->data;
    if (number == SIGUSR1) {
        if (l->on_dump)
            l->on_dump(l->ctx);
        return;
    }
    if (number == SIGHUP) {
        if (l->on_reload)
            l->on_reload(l->reload_ctx);
        return;
    }
    loop_stop(l);
}

void loop_on_reload(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    l->on_reload = fn;
    l->reload_ctx = ctx;
}

void loop_run(struct loop *l, void (*on_stop)(void *ctx), void (*on_dump)(void *ctx), void *ctx)
{
    l->on_stop = on_stop;
    l->on_dump = on_dump;
    l->ctx = ctx;
    if (!l->ended) {
        CHECK(uv_signal_start(&l->term, on_signal, SIGTERM) == 0);
        CHECK(uv_signal_start(&l->intr, on_signal, SIGINT) == 0);
        CHECK(uv_signal_start(&l->usr1, on_signal, SIGUSR1) == 0);
        CHECK(uv_signal_start(&l->hup, on_signal, SIGHUP) == 0);
    }
    CHECK(uv_run(&l->uv, UV_RUN_DEFAULT) == 0);
}

void loop_end(struct loop *l)
{
    if (l->ended)
        return;
    l->ended = true;
    wheel_stop(&l->wheel);
    uv_unref((uv_handle_t *)&l->prepare);
    bool handled = uv_is_active((const uv_handle_t *)&l->term);
    uv_close((uv_handle_t *)&l->term, NULL);
    uv_close((uv_handle_t *)&l->intr, NULL);
    uv_close((uv_handle_t *)&l->usr1, NULL);
    uv_close((uv_handle_t *)&l->hup, NULL);
    if (!handled)
        return;
    signal(SIGTERM, SIG_IGN); // whoever asks twice does not make a failure of a process that is about to end well
    signal(SIGINT, SIG_IGN);
}

static void count_open(uv_handle_t *h, void *n)
{
    if (!uv_is_closing(h))
        ++*(uint64_t *)n;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    loop_end(l);
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    uint64_t open = 0;
    uv_walk(&l->uv, count_open, &open);
    if (open)
        uv_print_all_handles(&l->uv, stderr);
    CHECK_ID(open == 0, open);
    uv_run(&l->uv, UV_RUN_DEFAULT); // closing handles, and name look-ups that could not be cancelled
    CHECK(uv_loop_close(&l->uv) == 0);
    mem_free(l);
}
