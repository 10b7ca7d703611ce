// test_backlog: what is not in the store yet stays in order, shared texts are freed once, and an empty one is small.
#include "backlog.h"
#include "check.h"

static struct dispatch *numbered(uint32_t n)
{
    struct buf body = {0};
    buf_u64(&body, n);
    struct dispatch *d = dispatch_new(BYTES("E"), buf_bytes(&body));
    buf_fini(&body);
    return d;
}

static void push(struct backlog *r, uint32_t n)
{
    struct dispatch *d = numbered(n);
    backlog_push(r, d);
    dispatch_drop(d);
}

static bool holds(const struct backlog *r, uint64_t number)
{
    char want[64];
    snprintf(want, sizeof want, "\"t\":\"E\",\"d\":%llu}", (unsigned long long)number);
    return bytes_is(dispatch_bytes(backlog_get(r, number)), want);
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

TEST(the_ring_keeps_order_over_many_rounds)
{
    struct backlog r;
    backlog_init(&r, 1);
    for (uint32_t i = 1; i <= 1000; i++) {
        push(&r, i);
        CHECK_TRUE(holds(&r, i) && holds(&r, i > 100 ? i - 99 : 1));
        CHECK_EQ(r.n, i < 100 ? i : 100);
        if (i >= 100)
            backlog_drop(&r, i - 99);
        CHECK_TRUE(r.cap <= 128);
    }
    backlog_fini(&r);
}

TEST(one_that_was_long_and_is_empty_keeps_nothing)
{
    struct backlog r;
    backlog_init(&r, 1);
    for (uint32_t i = 1; i <= 1000; i++)
        push(&r, i);
    backlog_drop(&r, 1000);
    CHECK_EQ(r.cap, 0);
    push(&r, 1001);
    CHECK_TRUE(holds(&r, 1001));
    backlog_fini(&r);
}

TEST(one_event_is_shared_by_all_rings)
{
    struct backlog r[3];
    struct dispatch *d = numbered(1);
    for (int i = 0; i < 3; i++) {
        backlog_init(&r[i], 1);
        backlog_push(&r[i], d);
    }
    CHECK_EQ(d->refs, 4);
    backlog_drop(&r[0], 1);
    CHECK_EQ(d->refs, 3);
    for (int i = 0; i < 3; i++)
        backlog_fini(&r[i]);
    CHECK_EQ(d->refs, 1);
    dispatch_drop(d);
}

TEST(what_is_dropped_is_the_oldest_and_the_numbers_go_on)
{
    struct backlog r;
    backlog_init(&r, 5);
    for (uint32_t n = 5; n < 30; n++)
        push(&r, n);
    backlog_drop(&r, 4); // not held any more
    CHECK_EQ(r.n, 25);
    backlog_drop(&r, 20);
    CHECK_TRUE(r.n == 9 && holds(&r, 21));
    backlog_drop(&r, 100);
    CHECK_TRUE(r.n == 0 && r.bytes == 0 && r.next == 30);
    push(&r, 30);
    CHECK_TRUE(holds(&r, 30));
    backlog_fini(&r);
}

MAIN
