// test_snowflake: ids grow, carry their time and worker, and survive a crowded millisecond and a clock going back.
// Links sb_base alone.
#include "snowflake.h"
#include "check.h"

#define NOW 1767225600000ull // 2026-01-01

TEST(an_id_carries_time_worker_and_sequence)
{
    struct snowflake s;
    snowflake_init(&s, 1023);
    uint64_t id = snowflake_next(&s, NOW);
    CHECK_TRUE(snowflake_ms(id) == NOW);
    CHECK_EQ(id >> 12 & 1023, 1023);
    CHECK_EQ(id & 4095, 0);
    CHECK_EQ(snowflake_next(&s, NOW) - id, 1);
    CHECK_TRUE(snowflake_ms(175928847299117063u) == 1462015105796u); // the example of Discord's documentation
}

TEST(more_than_4096_in_a_millisecond_go_on_in_the_next)
{
    struct snowflake s;
    uint64_t last = 0;
    snowflake_init(&s, 3);
    for (int i = 0; i < 10000; i++) {
        uint64_t id = snowflake_next(&s, NOW);
        CHECK_TRUE(id > last);
        CHECK_EQ(id >> 12 & 1023, 3);
        last = id;
    }
    CHECK_TRUE(snowflake_ms(last) == NOW + 2);
    CHECK_TRUE(snowflake_next(&s, NOW + 1) > last);
    CHECK_TRUE(snowflake_ms(snowflake_next(&s, NOW + 3)) == NOW + 3);
}

TEST(an_id_is_greater_than_one_that_a_clock_ahead_has_made)
{
    struct snowflake ahead, s;
    snowflake_init(&ahead, 1023);
    snowflake_init(&s, 0);
    uint64_t theirs = snowflake_next(&ahead, NOW + 40);
    CHECK_TRUE(snowflake_after(&s, NOW, theirs) > theirs);
    CHECK_TRUE(snowflake_ms(snowflake_after(&s, NOW + 100, theirs)) == NOW + 100); // and else what the own clock says
    CHECK_TRUE(snowflake_ms(snowflake_after(&s, NOW + 100, 0)) == NOW + 100);
}

TEST(ids_grow_when_the_clock_goes_back)
{
    struct snowflake s;
    snowflake_init(&s, 0);
    uint64_t first = snowflake_next(&s, NOW);
    uint64_t second = snowflake_next(&s, NOW - 60000);
    CHECK_TRUE(second > first);
    CHECK_TRUE(snowflake_ms(second) == NOW);
}

TEST(no_id_is_zero_even_before_the_epoch)
{
    struct snowflake s;
    snowflake_init(&s, 0);
    CHECK_TRUE(snowflake_next(&s, 0) != 0);
}

TEST(workers_never_share_an_id)
{
    struct snowflake a, b;
    snowflake_init(&a, 1);
    snowflake_init(&b, 2);
    for (int i = 0; i < 5000; i++)
        CHECK_TRUE(snowflake_next(&a, NOW) != snowflake_next(&b, NOW));
}

MAIN
