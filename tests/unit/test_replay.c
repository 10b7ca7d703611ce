// test_replay: what was sent last can be sent again, within bounds, and shared texts are freed once.
#include "replay.h"
#include "check.h"

static struct dispatch *numbered(uint32_t n)
{
    struct buf body = {0};
    buf_u64(&body, n);
    struct dispatch *d = dispatch_new(BYTES("E"), buf_bytes(&body));
    buf_fini(&body);
    return d;
}

static void push(struct replay *r, uint32_t n)
{
    struct dispatch *d = numbered(n);
    replay_push(r, d);
    dispatch_drop(d);
}

static bool holds(const struct replay *r, uint64_t number)
{
    char want[64];
    snprintf(want, sizeof want, "\"t\":\"E\",\"d\":%llu}", (unsigned long long)number);
    return bytes_is(dispatch_bytes(replay_get(r, number)), want);
}

TEST(a_dispatch_is_one_event_behind_its_number)
{
    char head[DISPATCH_HEAD_MAX];
    struct dispatch *d = dispatch_new(BYTES("CALL_DELETE"), BYTES("{\"channel_id\":\"1\"}"));
    CHECK_TRUE(bytes_is(dispatch_bytes(d), "\"t\":\"CALL_DELETE\",\"d\":{\"channel_id\":\"1\"}}"));
    CHECK_TRUE(bytes_is(dispatch_head(head, UINT64_MAX), "{\"op\":0,\"s\":18446744073709551615,"));
    dispatch_drop(d);
    d = dispatch_new(BYTES("X"), BYTES_NONE);
    CHECK_TRUE(bytes_is(dispatch_bytes(d), "\"t\":\"X\",\"d\":null}"));
    dispatch_drop(d);
    dispatch_drop(NULL);
}

TEST(everything_behind_a_held_number_can_be_replayed)
{
    struct replay r;
    replay_init(&r, 4, 1000, 2);
    CHECK_TRUE(replay_can(&r, 1)); // nothing was sent since
    CHECK_TRUE(!replay_can(&r, 0));
    CHECK_TRUE(!replay_can(&r, 2)); // was never sent
    for (uint32_t i = 2; i <= 5; i++)
        push(&r, i);
    for (uint64_t i = 2; i <= 5; i++)
        CHECK_TRUE(holds(&r, i));
    for (uint64_t after = 1; after <= 5; after++)
        CHECK_TRUE(replay_can(&r, after));
    push(&r, 6);
    CHECK_TRUE(!replay_can(&r, 1));
    CHECK_TRUE(replay_can(&r, 2) && holds(&r, 3));
    replay_fini(&r);
}

TEST(the_ring_keeps_order_over_many_rounds)
{
    struct replay r;
    replay_init(&r, 100, 1 << 20, 1);
    for (uint32_t i = 1; i <= 1000; i++) {
        push(&r, i);
        CHECK_TRUE(holds(&r, i) && holds(&r, i > 100 ? i - 99 : 1));
        CHECK_EQ(r.n, i < 100 ? i : 100);
    }
    CHECK_TRUE(replay_can(&r, 900) && !replay_can(&r, 899));
    replay_fini(&r);
}

TEST(bytes_are_bounded_too)
{
    struct replay r;
    struct dispatch *d = numbered(1);
    replay_init(&r, 100, 3 * d->n, 1);
    for (uint32_t i = 1; i <= 9; i++)
        push(&r, i);
    CHECK_EQ(r.n, 3);
    CHECK_EQ(r.bytes, 3 * d->n);
    CHECK_TRUE(holds(&r, 7));
    replay_fini(&r);
    dispatch_drop(d);
}

TEST(an_event_larger_than_the_bound_leaves_nothing_to_replay)
{
    struct replay r;
    replay_init(&r, 100, 40, 1);
    push(&r, 1);
    static char text[100];
    memset(text, '1', sizeof text);
    struct dispatch *d = dispatch_new(BYTES("E"), (struct bytes){text, sizeof text});
    replay_push(&r, d);
    CHECK_EQ(d->refs, 1);
    dispatch_drop(d);
    CHECK_TRUE(!replay_can(&r, 0) && !replay_can(&r, 1));
    CHECK_TRUE(replay_can(&r, 2));
    push(&r, 3);
    CHECK_TRUE(holds(&r, 3) && replay_can(&r, 2));
    replay_fini(&r);
}

TEST(no_replay_at_all_is_possible)
{
    struct replay r;
    replay_init(&r, 0, 1000, 1);
    push(&r, 1);
    CHECK_TRUE(!replay_can(&r, 0) && replay_can(&r, 1));
    replay_fini(&r);
}

TEST(one_event_is_shared_by_all_rings)
{
    struct replay r[3];
    struct dispatch *d = numbered(1);
    for (int i = 0; i < 3; i++) {
        replay_init(&r[i], 1, 100, 1);
        replay_push(&r[i], d);
    }
    CHECK_EQ(d->refs, 4);
    push(&r[0], 2); // pushes it out
    CHECK_EQ(d->refs, 3);
    for (int i = 0; i < 3; i++)
        replay_fini(&r[i]);
    CHECK_EQ(d->refs, 1);
    dispatch_drop(d);
}

TEST(what_is_dropped_is_the_oldest_and_the_numbers_go_on)
{
    struct replay r;
    replay_init(&r, UINT32_MAX, UINT64_MAX, 5);
    for (uint32_t n = 5; n < 30; n++)
        push(&r, n);
    replay_drop(&r, 4); // not held any more
    CHECK_EQ(r.n, 25);
    replay_drop(&r, 20);
    CHECK_TRUE(r.n == 9 && holds(&r, 21) && replay_can(&r, 20) && !replay_can(&r, 19));
    replay_drop(&r, 100);
    CHECK_TRUE(r.n == 0 && r.bytes == 0 && r.next == 30);
    push(&r, 30);
    CHECK_TRUE(holds(&r, 30));
    replay_fini(&r);
}

MAIN
