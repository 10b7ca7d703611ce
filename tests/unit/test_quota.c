// test_quota: op 3 five times in 20 s, op 8 once for each guild in 30 s, and what the client is told.
#include "quota.h"
#include "check.h"

TEST(the_sixth_presence_in_twenty_seconds_is_dropped)
{
    struct quota l;
    quota_init(&l, 1000);
    for (uint64_t round = 0; round < 3; round++) {
        uint64_t now = 1000 + round * QUOTA_PRESENCE_MS;
        for (int i = 0; i < 5; i++)
            CHECK_TRUE(quota_presence(&l, now));
        CHECK_TRUE(!quota_presence(&l, now));
        CHECK_TRUE(!quota_presence(&l, now + QUOTA_PRESENCE_MS - 1));
    }
    quota_fini(&l);
}

TEST(each_guild_is_asked_for_members_once_in_thirty_seconds)
{
    struct quota l;
    uint64_t wait = 7;
    quota_init(&l, 0);
    CHECK_TRUE(quota_members(&l, 100, 5000, &wait) && wait == 0);
    CHECK_TRUE(quota_members(&l, 200, 6000, &wait) && wait == 0);
    CHECK_TRUE(!quota_members(&l, 100, 17500, &wait));
    CHECK_EQ(wait, 17500);
    CHECK_TRUE(!quota_members(&l, 100, 34999, &wait));
    CHECK_EQ(wait, 1);
    CHECK_TRUE(quota_members(&l, 100, 35000, &wait));
    CHECK_TRUE(!quota_members(&l, 200, 35000, &wait));
    CHECK_EQ(wait, 1000);
    CHECK_TRUE(quota_presence(&l, 35000));
    quota_fini(&l);
}

TEST(a_client_that_names_ever_new_guilds_costs_a_bounded_table)
{
    struct quota l;
    uint64_t wait, refused = 0;
    quota_init(&l, 0);
    for (uint64_t i = 0; i < 100000; i++)
        refused += !quota_members(&l, i + 1, i, &wait);
    CHECK_TRUE(refused > 80000 && wait > 0 && wait <= QUOTA_MEMBERS_MS);
    CHECK_TRUE(l.members.users.n <= QUOTA_GUILDS_MAX + 1);
    CHECK_TRUE(quota_members(&l, 7, 200000, &wait));
    CHECK_EQ(l.members.users.n, 1);
    quota_fini(&l);
}

TEST(who_asks_too_often_is_told_of_which_guild_and_for_how_long)
{
    struct arena a = {0};
    CHECK_STR(arena_text(&a, quota_members_body(&a, 100, BYTES("a\"c"), 12500)),
              "{\"opcode\":8,\"retry_after\":12.500,\"meta\":{\"guild_id\":\"100\",\"nonce\":\"a\\\"c\"}}");
    CHECK_STR(arena_text(&a, quota_members_body(&a, 18446744073709551615ull, BYTES_NONE, 7)),
              "{\"opcode\":8,\"retry_after\":0.007,\"meta\":{\"guild_id\":\"18446744073709551615\"}}");
    arena_fini(&a);
}

MAIN
