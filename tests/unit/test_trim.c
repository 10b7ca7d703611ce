// test_trim: memory is given back after a burst, once, and neither for a trifle nor while it is in use.
// Links sb_base alone.
#include "trim.h"
#include "check.h"

#define MIB (1024u * 1024u)

TEST(what_a_burst_left_is_given_back)
{
    struct trim t = {0};
    CHECK_TRUE(!trim_due(&t, 10 * MIB, 0, 5000));
    CHECK_TRUE(!trim_due(&t, 100 * MIB, 1 * MIB, 6000)); // in use
    CHECK_TRUE(trim_due(&t, 100 * MIB, 90 * MIB, 7000));
}

TEST(what_was_given_back_is_not_given_back_again_though_malloc_still_counts_it)
{
    struct trim t = {0};
    CHECK_TRUE(!trim_due(&t, 10 * MIB, 0, 5000));
    CHECK_TRUE(trim_due(&t, 100 * MIB, 90 * MIB, 6000));
    trim_done(&t, 4 * MIB, 90 * MIB, 6000);
    CHECK_TRUE(!trim_due(&t, 4 * MIB, 90 * MIB, 60000));
    CHECK_TRUE(!trim_due(&t, 4 * MIB + TRIM_MIN - 1, 90 * MIB, 61000));
    CHECK_TRUE(trim_due(&t, 4 * MIB + TRIM_MIN, 90 * MIB, 62000));
}

TEST(a_large_process_does_not_stop_for_small_change)
{
    struct trim t = {0};
    CHECK_TRUE(!trim_due(&t, 1000 * MIB, 0, 5000));
    CHECK_TRUE(!trim_due(&t, 1010 * MIB, 10 * MIB, 6000));
    CHECK_TRUE(trim_due(&t, 1020 * MIB, 20 * MIB, 7000));
}

TEST(it_happens_once_in_a_while_at_most)
{
    struct trim t = {0};
    CHECK_TRUE(!trim_due(&t, 10 * MIB, 0, 5000));
    CHECK_TRUE(trim_due(&t, 20 * MIB, 10 * MIB, 6000));
    trim_done(&t, 10 * MIB, 10 * MIB, 6000);
    CHECK_TRUE(!trim_due(&t, 20 * MIB, 10 * MIB, 6000 + TRIM_EVERY_MS - 1));
    CHECK_TRUE(trim_due(&t, 20 * MIB, 10 * MIB, 6000 + TRIM_EVERY_MS));
}

TEST(what_is_freed_after_it_was_given_back_is_given_back_too)
{
    struct trim t = {0};
    trim_done(&t, 50 * MIB, 40 * MIB, 5000);
    CHECK_TRUE(!trim_due(&t, 50 * MIB, 40 * MIB, 8000));
    CHECK_TRUE(trim_due(&t, 50 * MIB, 60 * MIB, 9000));
}

TEST(a_dip_that_was_seen_counts_as_where_it_was)
{
    struct trim t = {0};
    CHECK_TRUE(!trim_due(&t, 50 * MIB, 0, 5000));
    CHECK_TRUE(!trim_due(&t, 30 * MIB, 0, 6000));
    CHECK_TRUE(trim_due(&t, 45 * MIB, 20 * MIB, 7000));
}

MAIN
