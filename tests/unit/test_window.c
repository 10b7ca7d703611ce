// test_window: the rate limit lets its number through in each window, and no more.
// Links sb_base alone; time is a number here.
#include "window.h"
#include "check.h"

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
