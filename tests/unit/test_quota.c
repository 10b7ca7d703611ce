// test_quota: op 3 five times in 20 s, op 8 once for each guild in 30 s, and what the client is told; sessions that an
// account begins.
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

TEST(an_account_begins_so_many_sessions_in_five_seconds)
{
    struct starts s;
    starts_init(&s, 3, 100);
    for (uint64_t user = 1; user <= 2; user++) {
        for (uint32_t i = 0; i < 3; i++)
            CHECK_TRUE(starts_take(&s, user, 0, i % 2, 100)); // without a shard, or as the only one
        CHECK_TRUE(!starts_take(&s, user, 0, 1, 5099));
        CHECK_TRUE(starts_take(&s, user, 0, 1, 5100));
    }
    starts_fini(&s);
}

TEST(shards_begin_together_unless_they_have_a_key_in_common)
{
    struct starts s;
    starts_init(&s, 4, 0);
    for (uint32_t round = 0; round < 3; round++) {
        uint64_t now = round * QUOTA_STARTS_MS;
        for (uint32_t key = 0; key < 4; key++) {
            CHECK_TRUE(starts_take(&s, 7, round * 4 + key, 12, now));
            CHECK_TRUE(!starts_take(&s, 7, (round * 4 + key + 4) % 12, 12, now + QUOTA_STARTS_MS - 1));
        }
        CHECK_TRUE(starts_take(&s, 8, round * 4, 12, now)); // another bot's
    }
    for (int i = 0; i < 4; i++)
        CHECK_TRUE(starts_take(&s, 7, 0, 1, 3 * QUOTA_STARTS_MS - 1));
    starts_fini(&s);
}

TEST(where_there_is_no_limit_any_number_of_shards_begins)
{
    struct starts s;
    starts_init(&s, 0, 0);
    for (uint32_t i = 0; i < 1000; i++)
        CHECK_TRUE(starts_take(&s, 7, 3, 16, 0) && starts_take(&s, 7, 0, 1, 0));
    CHECK_TRUE(s.accounts.users.n == 0 && s.keys.users.n == 0);
    starts_fini(&s);
}

MAIN
