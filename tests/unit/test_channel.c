// channel: who may know of one, what an opening is, and every step of it from every look.
#include "check.h"
#include "channel.h"
#include "errors.h"

static struct arena a;
static const struct user people[] = {{.id = 11, .username = {"ada", 3}},
                                     {.id = 22, .username = {"ben", 3}},
                                     {.id = 33, .username = {"cleo", 4}},
                                     {.id = 44, .username = {"dj", 2}, .bot = true},
                                     {.id = 55, .username = {"dan", 3}}};
static const struct user_set users = {5, people};

#define IDS(...)                                                                                                       \
    {                                                                                                                  \
        sizeof((const uint64_t[]){__VA_ARGS__}) / 8, (const uint64_t[])                                                \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }

TEST(only_recipients_know_of_a_private_channel)
{
    const struct channel dm = {.id = 9, .type = CHANNEL_DM, .recipients = IDS(11, 22)};
    const struct channel guild = {.id = 9, .type = CHANNEL_TEXT, .guild = 7};
    CHECK_EQ(channel_access(&dm, 11), API_OK);
    CHECK_EQ(channel_access(&dm, 33), API_UNKNOWN_CHANNEL);
    CHECK_EQ(channel_access(NULL, 11), API_UNKNOWN_CHANNEL);
    CHECK_EQ(channel_access(&guild, 11), API_WRONG_CHANNEL_TYPE);
}

TEST(openings_and_refusals)
{
    static const uint64_t many[] = {22, 33, 55, 60, 61, 62, 63, 64, 65, 66};
    struct user crowd[20];
    for (uint64_t i = 0; i < 20; i++)
        crowd[i] = (struct user){.id = i < 5 ? people[i].id : 55 + i, .bot = i == 3};
    const struct {
        struct channel_open open;
        int err;
        bool group;
        uint32_t n;
    } cases[] = {
        {{.user = 11, .recipients = IDS(22)}, 0, false, 2},
        {{.user = 11, .recipients = IDS(22, 22, 11)}, 0, false, 2},
        {{.user = 44, .recipients = IDS(22)}, 0, false, 2}, // a bot opens one
        {{.user = 11, .recipients = IDS(44)}, 0, false, 2},
        {{.user = 11, .recipients = IDS(11)}, API_INVALID_RECIPIENTS, false, 0},
        {{.user = 11}, API_INVALID_RECIPIENTS, false, 0},
        {{.user = 11, .recipients = IDS(99)}, API_INVALID_RECIPIENTS, false, 0},
        {{.user = 99, .recipients = IDS(11)}, API_INVALID_RECIPIENTS, false, 0},
        {{.user = 11, .recipients = IDS(22, 33)}, 0, true, 3},
        {{.user = 11, .recipients = IDS(22), .group = true}, 0, true, 2},
        {{.user = 11, .group = true}, 0, true, 1},
        {{.user = 11, .recipients = IDS(22, 44)}, API_INVALID_RECIPIENTS, false, 0},
        {{.user = 44, .recipients = IDS(22, 33)}, API_BOTS_CANNOT, false, 0},
        {{.user = 11, .recipients = {9, many}}, 0, true, 10},
        {{.user = 11, .recipients = {10, many}}, API_TOO_MANY_RECIPIENTS, false, 0},
        {{.user = 11, .recipients = IDS(22, 33), .name = {"", 0}}, API_INVALID_FORM, false, 0},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct opening o = {0};
        struct fault fault = {0};
        CHECK_EQ(opening_plan(&a, &cases[i].open, (struct user_set){20, crowd}, &o, &fault), cases[i].err);
        CHECK_EQ(o.group, cases[i].group);
        CHECK_EQ(o.recipients.n, cases[i].n);
        CHECK_TRUE(!o.recipients.n || o.recipients.v[0] == cases[i].open.user);
    }
    arena_fini(&a);
}

TEST(nobody_is_put_in_more_groups_than_he_may_be_in)
{
    struct opening o = {.group = true, .by = 11, .recipients = IDS(11, 22)};
    static const uint64_t few[] = {4, 4}, opener[] = {5, 0}, other[] = {0, 6};
    CHECK_EQ(opening_room(&o, few, 5), API_OK);
    CHECK_EQ(opening_room(&o, opener, 5), API_TOO_MANY_GROUPS);
    CHECK_EQ(opening_room(&o, other, 5), API_TOO_MANY_GROUPS);
    o.group = false;
    CHECK_EQ(opening_room(&o, other, 5), API_OK);
}

TEST(a_dm_is_claimed_by_the_lower_of_the_two_whoever_opens_it)
{
    const struct channel_open one = {.user = 22, .recipients = IDS(11)}, other = {.user = 11, .recipients = IDS(22)};
    struct opening o;
    struct fault fault;
    CHECK_EQ(opening_plan(&a, &one, users, &o, &fault), API_OK);
    CHECK_TRUE(opening_lower(&o) == 11 && opening_upper(&o) == 22);
    CHECK_EQ(opening_plan(&a, &other, users, &o, &fault), API_OK);
    CHECK_TRUE(opening_lower(&o) == 11 && opening_upper(&o) == 22);
    arena_fini(&a);
}

TEST(each_look_decides_the_next_step)
{
    const struct opening o = {.by = 11, .recipients = IDS(11, 22)};
    const struct channel both = {.id = 9, .type = CHANNEL_DM, .recipients = IDS(11, 22)};
    const struct channel left = {.id = 9, .type = CHANNEL_GROUP, .recipients = IDS(11)};
    static const bool none[] = {false, false}, one[] = {true, false}, all[] = {true, true};
    CHECK_EQ(opening_step(&o, &(struct opening_view){0, NULL, NULL}), OPENING_CLAIM);
    CHECK_EQ(opening_step(&o, &(struct opening_view){9, NULL, NULL}), OPENING_CREATE);
    CHECK_EQ(opening_step(&o, &(struct opening_view){9, &both, none}), OPENING_LIST);
    CHECK_EQ(opening_step(&o, &(struct opening_view){9, &both, one}), OPENING_LIST);
    CHECK_TRUE(!opening_lacks(&o, &(struct opening_view){9, &both, one}, 0));
    CHECK_TRUE(opening_lacks(&o, &(struct opening_view){9, &both, one}, 1));
    CHECK_EQ(opening_step(&o, &(struct opening_view){9, &both, all}), OPENING_DONE);
    CHECK_EQ(opening_step(&o, &(struct opening_view){9, &left, one}), OPENING_DONE); // who left is not listed again
}

TEST(what_is_created)
{
    const struct opening dm = {.by = 11, .recipients = IDS(11, 22), .name = BYTES("x")};
    const struct opening group = {.by = 11, .group = true, .recipients = IDS(11, 22), .name = BYTES("trio")};
    struct channel c = opening_channel(&dm, 9);
    CHECK_TRUE(c.type == CHANNEL_DM && c.owner == 0 && !c.name.p);
    c = opening_channel(&group, 9);
    CHECK_TRUE(c.type == CHANNEL_GROUP && c.owner == 11 && bytes_is(c.name, "trio"));
}

TEST(whoever_is_listed_is_told_and_listens_from_then_on)
{
    const struct channel c = {.id = 9, .type = CHANNEL_DM, .recipients = IDS(11, 22)};
    struct event e = channel_created_event(&a, &c, 3, 0, users, 22);
    CHECK_TRUE(bytes_is(e.name, "CHANNEL_CREATE") && e.to == 1 && e.user == 22);
    CHECK_TRUE(e.place_op == 1 && e.place == 9 && e.place_version == 3);
    CHECK_TRUE(strstr(arena_text(&a, e.body), "\"recipients\":[{\"id\":\"11\"") != NULL);
    arena_fini(&a);
}

TEST(groups_are_renamed_and_dms_are_not)
{
    const struct channel dm = {.id = 9, .type = CHANNEL_DM, .recipients = IDS(11, 22)};
    const struct channel group = {.id = 9, .type = CHANNEL_GROUP, .name = BYTES("a"), .recipients = IDS(11, 22)};
    struct channel out;
    struct fault fault = {0};
    struct channel_edit edit = {.set = 1, .name = BYTES("b"), .icon = BYTES("i")};
    CHECK_EQ(channel_edit_step(&dm, &edit, &out, &fault), API_IS_DM);
    CHECK_EQ(channel_edit_step(&group, &edit, &out, &fault), API_OK);
    CHECK_TRUE(bytes_is(out.name, "b") && !out.icon.p);
    edit.name = BYTES_NONE;
    CHECK_EQ(channel_edit_step(&group, &edit, &out, &fault), API_OK);
    CHECK_TRUE(!out.name.p);
    edit.name = BYTES("");
    CHECK_EQ(channel_edit_step(&group, &edit, &out, &fault), API_INVALID_FORM);
    CHECK_STR(fault.field, "name");
    struct event events[2];
    channel_updated_events(&a, &group, 0, users, events);
    CHECK_TRUE(events[0].user == 11 && events[1].user == 22 && events[1].to == 1);
    arena_fini(&a);
}

MAIN
