// test_lists: subscriptions are merged key by key, and never grow beyond what they may.
#include "lists.h"
#include "check.h"

static const struct list_channel general = {.guild = 1, .channel = 10, .n = 1, .ranges = {{0, 99}}};
static const struct list_channel lounge = {.guild = 1, .channel = 11, .n = 2, .ranges = {{0, 99}, {100, 199}}};
static const uint64_t ann_and_ben[] = {7, 8};

static void merge_channels(struct lists *l, uint64_t guild, uint32_t n, const struct list_channel *v)
{
    lists_merge(l, &(struct list_change){.guild = guild, .has_channels = true, .n_channels = n, .channels = v});
    CHECK_TRUE(lists_valid(l));
}

static void merge_members(struct lists *l, uint64_t guild, uint32_t n, const uint64_t *v)
{
    lists_merge(l, &(struct list_change){.guild = guild, .has_members = true, .members = {n, v}});
    CHECK_TRUE(lists_valid(l));
}

TEST(a_key_that_is_given_takes_the_place_of_what_it_said_and_one_that_is_absent_changes_nothing)
{
    struct lists l = {0};
    merge_channels(&l, 1, 1, &general);
    merge_members(&l, 1, 2, ann_and_ben);
    CHECK_TRUE(l.n_channels == 1 && lists_has_member(&l, 1, 7) && lists_has_member(&l, 1, 8));
    merge_channels(&l, 1, 1, &lounge);
    CHECK_TRUE(l.n_channels == 1 && l.channels[0].channel == 11 && l.channels[0].n == 2);
    CHECK_TRUE(lists_has_member(&l, 1, 7));
    merge_members(&l, 1, 1, &ann_and_ben[1]);
    CHECK_TRUE(!lists_has_member(&l, 1, 7) && lists_has_member(&l, 1, 8) && l.n_channels == 1);
    lists_merge(&l, &(struct list_change){.guild = 1});
    CHECK_TRUE(l.n_members == 1 && l.n_channels == 1);
    merge_channels(&l, 1, 0, NULL);
    merge_members(&l, 1, 0, NULL);
    CHECK_TRUE(l.n_members == 0 && l.n_channels == 0);
    lists_fini(&l);
}

TEST(guilds_do_not_touch_each_other)
{
    struct lists l = {0};
    struct list_channel other = {.guild = 2, .channel = 20, .n = 1};
    merge_channels(&l, 1, 1, &general);
    merge_channels(&l, 2, 1, &other);
    merge_members(&l, 1, 2, ann_and_ben);
    merge_members(&l, 2, 1, ann_and_ben);
    CHECK_TRUE(l.n_channels == 2 && l.n_members == 3);
    CHECK_TRUE(lists_has_member(&l, 2, 7) && !lists_has_member(&l, 2, 8) && !lists_has_member(&l, 3, 7));
    lists_forget(&l, 1);
    CHECK_TRUE(l.n_channels == 1 && l.channels[0].guild == 2 && l.n_members == 1 && lists_has_member(&l, 2, 7));
    CHECK_TRUE(lists_valid(&l));
    lists_fini(&l);
}

TEST(each_channel_that_was_asked_for_is_due_once)
{
    struct lists l = {0};
    struct list_channel twice[] = {general, lounge, general};
    CHECK_EQ(lists_due(&l), 0);
    merge_channels(&l, 1, 3, twice);
    CHECK_EQ(l.n_channels, 2);
    CHECK_EQ(lists_due(&l), 1);
    l.channels[0].due = l.channels[1].due = false;
    CHECK_EQ(lists_due(&l), 0);
    merge_channels(&l, 1, 1, &general);
    CHECK_EQ(lists_due(&l), 1);
    lists_fini(&l);
}

TEST(of_more_than_it_may_have_a_session_keeps_what_it_asked_for_last)
{
    struct lists l = {0};
    for (uint64_t i = 1; i <= 3 * LISTS_CHANNELS_MAX; i++) {
        struct list_channel c = {.guild = i, .channel = 100 + i, .n = 1};
        merge_channels(&l, i, 1, &c);
    }
    CHECK_EQ(l.n_channels, LISTS_CHANNELS_MAX);
    CHECK_EQ(l.channels[LISTS_CHANNELS_MAX - 1].guild, 3 * LISTS_CHANNELS_MAX);
    CHECK_EQ(l.channels[0].guild, 2 * LISTS_CHANNELS_MAX + 1);
    for (uint64_t i = 1; i <= 2 * LISTS_MEMBERS_MAX; i++)
        merge_members(&l, i, 1, &i);
    CHECK_EQ(l.n_members, LISTS_MEMBERS_MAX);
    CHECK_TRUE(!lists_has_member(&l, 1, 1));
    CHECK_TRUE(lists_has_member(&l, 2 * LISTS_MEMBERS_MAX, 2 * LISTS_MEMBERS_MAX));
    lists_fini(&l);
}

MAIN
