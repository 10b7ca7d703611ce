// What the loop promises to its guests: time, one run per turn, signals, and an end that leaves nothing open.
#include "check.h"
#include "loop.h"
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>

struct probe { // one of each kind of thing that a loop runs
    struct loop *loop;
    struct loop_flush flush;
    struct timer timer;
    uint32_t flushed, fired, stops, dumps, reloads, again, read;
    int pipe;
    uint64_t fired_at;
    struct probe *other;
    bool end_when_fired;
    struct probe *flush_when_fired;
};

static void on_flush(struct loop_flush *f)
{
    struct probe *p = container_of(f, struct probe, flush);
    p->flushed++;
    if (p->again > 0) {
        p->again--;
        loop_flush(p->loop, f);
    }
    if (p->other)
        loop_unflush(p->loop, &p->other->flush);
}

static void on_fire(struct timer *t, uint64_t now)
{
    struct probe *p = container_of(t, struct probe, timer);
    p->fired++;
    p->fired_at = now;
    if (p->end_when_fired)
        loop_end(p->loop);
    if (p->flush_when_fired)
        loop_flush(p->loop, &p->flush_when_fired->flush);
}

static struct probe probe(struct loop *l)
{
    return (struct probe){.loop = l, .flush.fn = on_flush, .timer.fire = on_fire};
}

TEST(nothing_fires_or_runs_once_the_loop_has_ended)
{
    struct loop *l = loop_new();
    struct probe p = probe(l), q = probe(l), late = probe(l);
    p.end_when_fired = true;
    loop_arm(l, &p.timer, 1);
    loop_arm(l, &q.timer, 1); // in the same tick
    loop_arm(l, &late.timer, 40);
    p.flush_when_fired = &q;
    loop_run(l, NULL, NULL, NULL);
    CHECK_EQ(p.fired, 1);
    CHECK_EQ(q.fired, 0);
    CHECK_EQ(q.flushed, 0);
    CHECK_EQ(late.fired, 0);
    loop_free(l);
}

TEST(a_flush_asked_for_twice_runs_once_before_the_loop_sleeps)
{
    struct loop *l = loop_new();
    struct probe p = probe(l), q = probe(l);
    loop_flush(l, &p.flush);
    loop_flush(l, &q.flush);
    loop_flush(l, &p.flush);
    CHECK_EQ(p.flushed, 0);
    uv_run(loop_uv(l), UV_RUN_NOWAIT);
    CHECK_EQ(p.flushed, 1);
    CHECK_EQ(q.flushed, 1);
    uv_run(loop_uv(l), UV_RUN_NOWAIT);
    CHECK_EQ(p.flushed, 1);
    loop_free(l);
}

TEST(a_flush_that_asks_again_neither_blocks_the_loop_nor_lets_it_sleep)
{
    struct loop *l = loop_new();
    struct probe p = probe(l);
    p.again = 1000;
    loop_flush(l, &p.flush);
    uv_run(loop_uv(l), UV_RUN_ONCE);
    CHECK_TRUE(p.flushed < 10);
    while (p.again > 0)
        uv_run(loop_uv(l), UV_RUN_ONCE); // would never return if it slept
    uv_run(loop_uv(l), UV_RUN_NOWAIT);
    CHECK_EQ(p.flushed, 1001);
    loop_free(l);
}

TEST(a_flush_taken_back_does_not_run_also_from_within_another)
{
    struct loop *l = loop_new();
    struct probe p = probe(l), q = probe(l), last = probe(l);
    p.other = &q;
    loop_flush(l, &p.flush);
    loop_flush(l, &q.flush);
    loop_flush(l, &last.flush);
    loop_unflush(l, &last.flush);
    loop_unflush(l, &last.flush);
    uv_run(loop_uv(l), UV_RUN_NOWAIT);
    CHECK_EQ(p.flushed, 1);
    CHECK_EQ(q.flushed, 0);
    CHECK_EQ(last.flushed, 0);
    loop_flush(l, &last.flush);
    uv_run(loop_uv(l), UV_RUN_NOWAIT);
    CHECK_EQ(last.flushed, 1);
    loop_free(l);
}

TEST(a_flush_asked_for_by_a_flush_runs_within_the_next_turn)
{
    struct loop *l = loop_new();
    struct probe p = probe(l);
    p.again = 1;
    loop_flush(l, &p.flush);
    uv_run(loop_uv(l), UV_RUN_NOWAIT);
    CHECK_EQ(p.flushed, 2);
    loop_free(l);
}

TEST(deadlines_come_in_order_and_at_most_a_tick_late)
{
    struct loop *l = loop_new();
    struct probe p[60];
    uint64_t began = loop_now(l);
    for (size_t i = 0; i < countof(p); i++) {
        p[i] = probe(l);
        loop_arm(l, &p[i].timer, 7 * (uint64_t)i);
    }
    loop_cancel(l, &p[30].timer);
    loop_cancel(l, &p[59].timer);
    p[58].end_when_fired = true;
    loop_run(l, NULL, NULL, NULL);
    for (size_t i = 0; i < 59; i++) {
        CHECK_EQ(p[i].fired, i == 30 ? 0 : 1);
        CHECK_TRUE(i == 30 || p[i].fired_at >= began + 7 * i);
        CHECK_TRUE(i < 1 || i == 30 || i == 31 || p[i].fired_at >= p[i - 1].fired_at);
    }
    CHECK_EQ(p[59].fired, 0);
    loop_free(l);
}

TEST(a_nearer_deadline_armed_later_comes_first)
{
    struct loop *l = loop_new();
    struct probe far = probe(l), near = probe(l);
    near.end_when_fired = true;
    loop_arm(l, &far.timer, 3600000);
    loop_arm(l, &near.timer, 10);
    loop_run(l, NULL, NULL, NULL);
    CHECK_EQ(near.fired, 1);
    CHECK_EQ(far.fired, 0);
    loop_free(l);
}

TEST(an_idle_loop_with_a_far_deadline_does_not_turn)
{
    struct loop *l = loop_new();
    struct probe far = probe(l);
    loop_arm(l, &far.timer, 3600000);
    uv_run(loop_uv(l), UV_RUN_NOWAIT);
    CHECK_TRUE(uv_backend_timeout(loop_uv(l)) > 10000);
    loop_free(l);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct probe *p = poll->data;
    char said;
    (void)status;
    (void)events;
    CHECK_EQ(p->fired, 0); // the deadline for it is met afterwards
    CHECK_EQ(read(p->pipe, &said, 1), 1);
    p->read++;
}

TEST(what_has_arrived_is_read_before_a_deadline_that_has_passed_is_met)
{
    struct loop *l = loop_new();
    struct probe p = probe(l);
    uv_poll_t poll;
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    p.pipe = ends[0];
    poll.data = &p;
    CHECK_EQ(uv_poll_init(loop_uv(l), &poll, ends[0]), 0);
    CHECK_EQ(uv_poll_start(&poll, UV_READABLE, on_readable), 0);
    loop_arm(l, &p.timer, 1);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    uv_sleep(40); // the process stands still: the deadline is over when it goes on
    while (p.fired == 0)
        uv_run(loop_uv(l), UV_RUN_ONCE);
    CHECK_EQ(p.read, 1);
    CHECK_EQ(uv_backend_timeout(loop_uv(l)), -1); // it may sleep again
    uv_close((uv_handle_t *)&poll, NULL);
    loop_free(l);
    close(ends[0]);
    close(ends[1]);
}

static void count_stop(void *ctx)
{
    struct probe *p = ctx;
    p->stops++;
    p->end_when_fired = true;
    loop_arm(p->loop, &p->timer, 30);
    kill(getpid(), SIGINT); // a second one changes nothing
}

static void count_dump(void *ctx)
{
    struct probe *p = ctx;
    p->dumps++;
    kill(getpid(), SIGHUP);
}

static void count_reload(void *ctx)
{
    struct probe *p = ctx;
    p->reloads++;
    kill(getpid(), SIGTERM);
}

static void raise_usr1(struct loop_flush *f)
{
    (void)f;
    kill(getpid(), SIGUSR1);
}

static void raise_term(struct loop_flush *f)
{
    (void)f;
    kill(getpid(), SIGTERM);
}

TEST(signals_ask_for_a_dump_for_a_reload_and_once_for_a_stop)
{
    struct loop *l = loop_new();
    struct probe p = probe(l);
    p.flush.fn = raise_usr1;
    loop_flush(l, &p.flush);
    loop_on_reload(l, count_reload, &p);
    loop_run(l, count_stop, count_dump, &p);
    CHECK_EQ(p.dumps, 1);
    CHECK_EQ(p.reloads, 1);
    CHECK_EQ(p.stops, 1);
    CHECK_EQ(p.fired, 1);
    loop_free(l);
}

TEST(who_asks_again_for_a_stop_that_is_done_does_not_kill)
{
    struct loop *l = loop_new();
    struct probe p = probe(l);
    p.flush.fn = raise_term;
    loop_flush(l, &p.flush);
    loop_run(l, NULL, NULL, NULL);
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGINT);
    CHECK_TRUE(true); // else there would be no process to say so
    loop_free(l);
}

static void end_of(struct timer *t, uint64_t now)
{
    (void)now;
    loop_end(container_of(t, struct probe, timer)->loop);
}

static void raise_hup(struct loop_flush *f)
{
    struct probe *p = container_of(f, struct probe, flush);
    kill(getpid(), SIGHUP);
    loop_arm(p->loop, &p->timer, 30);
}

TEST(a_process_with_nothing_to_read_again_lives_through_a_reload)
{
    struct loop *l = loop_new();
    struct probe p = probe(l);
    p.flush.fn = raise_hup;
    p.timer.fire = end_of;
    loop_flush(l, &p.flush);
    loop_run(l, NULL, NULL, NULL);
    CHECK_TRUE(true); // else there would be no process to say so
    loop_free(l);
}

static void guest_done(uv_timer_t *t)
{
    uv_close((uv_handle_t *)t, NULL);
}

TEST(an_ended_loop_waits_until_its_guests_have_closed)
{
    struct loop *l = loop_new();
    uv_timer_t guest;
    uv_timer_init(loop_uv(l), &guest);
    uv_timer_start(&guest, guest_done, 50, 0);
    loop_end(l);
    loop_end(l);
    loop_run(l, NULL, NULL, NULL);
    CHECK_TRUE(uv_is_closing((uv_handle_t *)&guest));
    loop_free(l);
}

TEST(writing_to_a_closed_pipe_is_an_error_and_not_the_end)
{
    struct loop *l = loop_new();
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    close(ends[0]);
    CHECK_EQ(write(ends[1], "x", 1), -1);
    close(ends[1]);
    loop_free(l);
    loop_free(NULL);
}

MAIN
