// test_debt: a bound over all closes those that owe most, as few as will do, and nobody who owes less than they.
// Links sb_base alone.
#include "debt.h"
#include "check.h"

TEST(nobody_goes_while_the_bound_is_kept)
{
    struct debt v[] = {{1, 50}, {2, 50}};
    CHECK_EQ(debts_over(v, 2, 100), 0);
    CHECK_EQ(v[0].id, 1);
    CHECK_EQ(debts_over(v, 0, 0), 0);
}

TEST(who_owes_most_goes_and_the_others_stay)
{
    struct debt v[] = {{1, 10}, {2, 500}, {3, 20}, {4, 400}, {5, 0}};
    CHECK_EQ(debts_over(v, 5, 100), 2);
    CHECK_EQ(v[0].id, 2);
    CHECK_EQ(v[1].id, 4);
}

TEST(as_few_go_as_will_do)
{
    struct debt v[] = {{1, 10}, {2, 500}, {3, 20}, {4, 400}};
    CHECK_EQ(debts_over(v, 4, 430), 1);
    CHECK_EQ(v[0].id, 2);
}

TEST(among_a_thousand_who_owe_the_same_only_as_many_go_as_must)
{
    static struct debt v[1000];
    for (uint32_t i = 0; i < 1000; i++)
        v[i] = (struct debt){1000 - i, 10};
    CHECK_EQ(debts_over(v, 1000, 7500), 250);
    for (uint32_t i = 0; i < 250; i++)
        CHECK_EQ(v[i].id, i + 1);
}

TEST(nobody_who_goes_owes_less_than_one_who_stays_and_the_rest_keeps_the_bound)
{
    static struct debt v[300];
    uint64_t seed = 7;
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t n = (uint32_t)(round % 300);
        for (uint32_t i = 0; i < n; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            v[i] = (struct debt){i, (seed >> 33) % 1000};
        }
        uint64_t keep = (seed >> 40) % 100000, rest = 0;
        uint32_t gone = debts_over(v, n, keep);
        for (uint32_t i = gone; i < n; i++) {
            CHECK_TRUE(gone == 0 || v[i].bytes <= v[gone - 1].bytes);
            rest += v[i].bytes;
        }
        CHECK_TRUE(rest <= keep);
        CHECK_TRUE(gone == 0 || rest + v[gone - 1].bytes > keep);
    }
}

TEST(of_what_is_shared_as_large_a_part_goes_as_the_bound_is_passed_by)
{
    CHECK_EQ(debts_part(1000, 1000, 750), 750);
    CHECK_EQ(debts_part(1ull << 50, 1ull << 30, 1ull << 29), 1ull << 49);
    CHECK_EQ(debts_part(5, 0, 10), 5);
}

MAIN
