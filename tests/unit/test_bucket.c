// test_bucket: the two rate limits, token bucket and fixed window, let through what they promise and no more.
// Links sb_base alone; time is a number here.
#include "bucket.h"
#include "window.h"
#include "check.h"

TEST(a_bucket_starts_full_and_then_refuses)
{
    struct bucket b;
    bucket_init(&b, 5, 1000, 100);
    for (int i = 0; i < 5; i++)
        CHECK_TRUE(bucket_take(&b, 100));
    CHECK_TRUE(!bucket_take(&b, 100));
}

TEST(tokens_come_back_evenly)
{
    struct bucket b;
    bucket_init(&b, 4, 1000, 0);
    while (bucket_take(&b, 0))
        ;
    CHECK_EQ(bucket_wait_ms(&b, 0), 250);
    CHECK_TRUE(!bucket_take(&b, 249));
    CHECK_EQ(bucket_wait_ms(&b, 249), 1);
    CHECK_TRUE(bucket_take(&b, 250));
    CHECK_TRUE(!bucket_take(&b, 499));
    CHECK_TRUE(bucket_take(&b, 500));
    CHECK_EQ(bucket_wait_ms(&b, 100000), 0);
}

TEST(a_bucket_never_holds_more_than_its_size)
{
    struct bucket b;
    int taken = 0;
    bucket_init(&b, UINT32_MAX, UINT32_MAX, 0);
    CHECK_TRUE(bucket_take(&b, UINT64_MAX));
    bucket_init(&b, 3, 10, 0);
    while (bucket_take(&b, 1000000))
        taken++;
    CHECK_EQ(taken, 3);
}

TEST(no_time_is_lost_by_asking_often)
{
    struct bucket b;
    int taken = 0;
    bucket_init(&b, 3, 1000, 0);
    for (uint64_t now = 0; now < 10000; now++)
        taken += bucket_take(&b, now);
    CHECK_EQ(taken, 3 + 29);
}

TEST(waiting_as_told_is_enough_and_not_too_long)
{
    for (uint32_t size = 1; size < 20; size++) {
        struct bucket b;
        bucket_init(&b, size, 997, 0);
        while (bucket_take(&b, 0))
            ;
        uint64_t wait = bucket_wait_ms(&b, 0);
        CHECK_TRUE(!bucket_take(&b, wait - 1));
        CHECK_TRUE(bucket_take(&b, wait));
    }
}

TEST(a_clock_that_goes_back_gives_no_tokens)
{
    struct bucket b;
    bucket_init(&b, 1, 100, 5000);
    CHECK_TRUE(bucket_take(&b, 5000));
    CHECK_TRUE(!bucket_take(&b, 10));
    CHECK_TRUE(!bucket_take(&b, 5099));
    CHECK_TRUE(bucket_take(&b, 5100));
}

TEST(a_window_lets_its_limit_through_and_no_more)
{
    struct window w;
    window_init(&w, 120, 60000, 0);
    for (int i = 0; i < 120; i++)
        CHECK_TRUE(window_take(&w, 500));
    CHECK_TRUE(!window_take(&w, 500));
    CHECK_TRUE(!window_take(&w, 59999));
    CHECK_TRUE(window_take(&w, 60000));
}

TEST(a_new_window_begins_with_the_first_after_the_last)
{
    struct window w;
    window_init(&w, 1, 100, 0);
    CHECK_TRUE(window_take(&w, 150));
    CHECK_TRUE(!window_take(&w, 249));
    CHECK_TRUE(window_take(&w, 250));
    CHECK_TRUE(!window_take(&w, 20));
}

MAIN
