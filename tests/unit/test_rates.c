// test_rates: each user has a limit of his own, and who does nothing is forgotten.
#include "rates.h"
#include "check.h"

TEST(each_user_has_so_many_in_each_window)
{
    struct rates r;
    uint64_t wait;
    rates_init(&r, 3, 1000, 50);
    for (uint64_t user = 1; user <= 2; user++) {
        for (int i = 0; i < 3; i++)
            CHECK_TRUE(rates_take(&r, user, 100, &wait) && wait == 0);
        CHECK_TRUE(!rates_take(&r, user, 100, &wait) && wait == 1000);
        CHECK_TRUE(!rates_take(&r, user, 1099, &wait) && wait == 1);
    }
    CHECK_TRUE(rates_take(&r, 1, 1100, &wait));
    CHECK_TRUE(rates_take(&r, 3, 1100, &wait));
    rates_fini(&r);
}

TEST(who_was_here_long_ago_is_forgotten)
{
    struct rates r;
    uint64_t wait;
    rates_init(&r, 1, 1000, 0);
    for (uint64_t i = 0; i < 100000; i++)
        CHECK_TRUE(rates_take(&r, i + 1, i, &wait));
    CHECK_TRUE(r.users.n <= 2001);
    rates_fini(&r);
}

TEST(a_limit_of_0_is_none_and_keeps_nothing)
{
    struct rates r;
    uint64_t wait;
    rates_init(&r, 0, 1000, 0);
    for (int i = 0; i < 1000; i++)
        CHECK_TRUE(rates_take(&r, 7, 1, &wait));
    CHECK_EQ(r.users.n, 0);
    rates_fini(&r);
}

MAIN
