// test_wheel: each deadline fires once, not before its time and no more than a tick after it, in order.
// Links sb_base alone; time is a number here.
#include "wheel.h"
#include "check.h"

#define TIMERS 500u

struct owner {
    struct timer timer;
    uint64_t fired_at;
    int fired;
    struct wheel *wheel;
    struct owner *other; // what its callback acts on
};
static uint64_t last_due;
static int out_of_order;

static struct owner *owner_of(struct timer *t)
{
    return container_of(t, struct owner, timer);
}

static void note(struct timer *t, uint64_t now)
{
    struct owner *o = owner_of(t);
    o->fired++;
    o->fired_at = now;
    out_of_order += t->due_at < last_due;
    last_due = t->due_at;
}

static void note_and_cancel_other(struct timer *t, uint64_t now)
{
    note(t, now);
    wheel_cancel(owner_of(t)->wheel, &owner_of(t)->other->timer);
}

static void note_and_arm_again_at_once(struct timer *t, uint64_t now)
{
    note(t, now);
    CHECK_TRUE(!timer_armed(t));
    wheel_arm(owner_of(t)->wheel, t, now);
}

static void free_owner(struct timer *t, uint64_t now UNUSED)
{
    mem_free(owner_of(t));
}

static uint64_t seed = 1;
static uint64_t pick(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

TEST(a_deadline_fires_when_it_is_due_and_once)
{
    struct wheel w;
    struct owner o = {.timer.fire = note};
    wheel_init(&w, 1000);
    wheel_arm(&w, &o.timer, 1500);
    CHECK_TRUE(timer_armed(&o.timer));
    wheel_run(&w, 1499);
    CHECK_EQ(o.fired, 0);
    wheel_run(&w, 1500);
    CHECK_EQ(o.fired, 1);
    CHECK_TRUE(!timer_armed(&o.timer));
    wheel_run(&w, 1000000);
    CHECK_EQ(o.fired, 1);
    CHECK_EQ(w.n, 0);
}

TEST(an_overdue_deadline_fires_in_the_next_run)
{
    struct wheel w;
    struct owner o = {.timer.fire = note};
    wheel_init(&w, 100000);
    wheel_arm(&w, &o.timer, 3);
    wheel_run(&w, 100000);
    CHECK_EQ(o.fired, 1);
}

TEST(a_cancelled_deadline_does_not_fire)
{
    struct wheel w;
    struct owner o = {.timer.fire = note};
    wheel_init(&w, 0);
    wheel_cancel(&w, &o.timer);
    wheel_arm(&w, &o.timer, 100);
    wheel_cancel(&w, &o.timer);
    wheel_cancel(&w, &o.timer);
    CHECK_EQ(w.n, 0);
    wheel_run(&w, 200);
    CHECK_EQ(o.fired, 0);
}

TEST(arming_again_moves_the_deadline)
{
    struct wheel w;
    struct owner o = {.timer.fire = note};
    wheel_init(&w, 0);
    wheel_arm(&w, &o.timer, 100);
    wheel_arm(&w, &o.timer, 5000);
    CHECK_EQ(w.n, 1);
    wheel_run(&w, 4999);
    CHECK_EQ(o.fired, 0);
    wheel_run(&w, 5000);
    CHECK_EQ(o.fired, 1);
}

TEST(a_callback_may_cancel_one_that_is_due_in_the_same_run)
{
    struct wheel w;
    struct owner second = {.timer.fire = note};
    struct owner first = {.timer.fire = note_and_cancel_other, .wheel = &w, .other = &second};
    wheel_init(&w, 0);
    wheel_arm(&w, &second.timer, 51);
    wheel_arm(&w, &first.timer, 50);
    wheel_run(&w, 60);
    CHECK_EQ(first.fired, 1);
    CHECK_EQ(second.fired, 0);
    CHECK_EQ(w.n, 0);
}

TEST(arming_at_once_from_a_callback_waits_for_the_next_run)
{
    struct wheel w;
    struct owner o = {.timer.fire = note_and_arm_again_at_once, .wheel = &w};
    wheel_init(&w, 0);
    wheel_arm(&w, &o.timer, 10);
    wheel_run(&w, 10);
    CHECK_EQ(o.fired, 1);
    wheel_run(&w, 10);
    CHECK_EQ(o.fired, 2);
    wheel_cancel(&w, &o.timer);
}

TEST(a_callback_may_free_its_owner)
{
    struct wheel w;
    wheel_init(&w, 0);
    for (uint64_t i = 0; i < 20; i++) {
        struct owner *o = mem_alloc(sizeof(*o));
        o->timer.fire = free_owner;
        wheel_arm(&w, &o->timer, 50 + i % 4);
    }
    wheel_run(&w, 60);
    CHECK_EQ(w.n, 0);
}

TEST(equal_deadlines_fire_in_the_order_of_arming)
{
    struct wheel w;
    struct owner o[10] = {0};
    wheel_init(&w, 0);
    for (size_t i = 0; i < countof(o); i++) {
        o[i].timer.fire = note_and_cancel_other;
        o[i].wheel = &w;
        o[i].other = &o[i ? i - 1 : 9]; // the last one goes; the others have been before
        wheel_arm(&w, &o[i].timer, 20);
    }
    wheel_run(&w, 20);
    for (size_t i = 0; i < 9; i++)
        CHECK_EQ(o[i].fired, 1);
    CHECK_EQ(o[9].fired, 0);
}

TEST(a_clock_that_goes_back_is_ignored)
{
    struct wheel w;
    struct owner o = {.timer.fire = note};
    wheel_init(&w, 10000);
    wheel_arm(&w, &o.timer, 10100);
    wheel_run(&w, 50);
    CHECK_EQ(o.fired, 0);
    wheel_run(&w, 10100);
    CHECK_EQ(o.fired, 1);
}

// Steps up to `step_max` ms, deadlines up to several turns of the ring away.
static void simulate(uint64_t step_max)
{
    static struct owner o[TIMERS];
    struct wheel w;
    uint64_t now = 5000, before = now;
    memset(o, 0, sizeof(o));
    wheel_init(&w, now);
    out_of_order = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        o[i].timer.fire = note;
        wheel_arm(&w, &o[i].timer, now + pick(60000));
    }
    while (w.n) {
        struct owner *moved = &o[pick(TIMERS)];
        if (timer_armed(&moved->timer) && now < 40000)
            wheel_arm(&w, &moved->timer, now + pick(60000));
        before = now;
        now += 1 + pick(step_max);
        last_due = 0;
        wheel_run(&w, now);
        for (size_t i = 0; i < TIMERS; i++) {
            CHECK_TRUE(!timer_armed(&o[i].timer) || o[i].timer.due_at > now);
            if (o[i].fired_at == now)
                CHECK_TRUE(o[i].timer.due_at <= now && o[i].timer.due_at >= before);
        }
    }
    CHECK_EQ(out_of_order, 0);
    for (size_t i = 0; i < TIMERS; i++)
        CHECK_EQ(o[i].fired, 1);
}

TEST(all_fire_in_time_and_in_order_at_any_pace)
{
    simulate(1 * WHEEL_TICK_MS);
    simulate(20 * WHEEL_TICK_MS);
    simulate(3 * WHEEL_SLOTS * WHEEL_TICK_MS);
}

MAIN
