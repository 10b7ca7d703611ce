// test_member_list: who is in the list of a channel, in which order, and how clients are told.
#include "member_list.h"
#include "check.h"
#include <jansson.h>

#define GUILD 1u
#define STAFF 20u  // shown apart, at position 2
#define HELPER 21u // likewise, at 1
#define QUIET 22u  // not shown apart, at 3

static struct arena arena;
static const struct guild guild = {.id = GUILD, .name = {"Demo", 4}, .owner = 100};
static const struct role roles[] = {
    {.id = GUILD, .permissions = MAY(VIEW_CHANNEL)},
    {.id = STAFF, .position = 2, .hoist = true},
    {.id = HELPER, .position = 1, .hoist = true},
    {.id = QUIET, .position = 3},
};
static const struct guild_channel open_channel = {.id = 10};

static struct list_place place(const struct guild_channel *c)
{
    return (struct list_place){&guild, {countof(roles), roles}, c, 7};
}

static const uint64_t staff[] = {STAFF}, both[] = {HELPER, STAFF}, quiet[] = {QUIET};
static const struct member members[] = {
    {.user = 101},
    {.user = 102, .roles = {1, staff}},
    {.user = 103, .roles = {2, both}},
    {.user = 104, .roles = {1, quiet}},
    {.user = 105, .nick = {"aaron", 5}},
    {.user = 106, .roles = {1, staff}},
    {.user = 107, .roles = {1, &both[0]}},
};
static const struct user users[] = {
    {.id = 101, .username = {"Zoe", 3}},
    {.id = 102, .username = {"mia", 3}},
    {.id = 103, .username = {"bob", 3}, .global_name = {"Anna", 4}},
    {.id = 104, .username = {"carl", 4}},
    {.id = 105, .username = {"zzz", 3}},
    {.id = 106, .username = {"off", 3}},
    {.id = 107, .username = {"gus", 3}},
};
static const struct presence there = {.status = PRESENCE_ONLINE};

static struct list_person *people(void)
{
    static struct list_person v[countof(members)];
    for (uint32_t i = 0; i < countof(members); i++)
        v[i] = (struct list_person){&members[i], &users[i], &there};
    v[4].presence = v[5].presence = NULL; // 105 and 106 are away
    return v;
}

static const char *rows(const struct member_list *l)
{
    static char out[256];
    struct buf b = {0};
    for (uint32_t i = 0; i < l->n_rows; i++) {
        if (l->rows[i].who)
            buf_printf(&b, " %llu", (unsigned long long)l->rows[i].who->member->user);
        else
            buf_printf(&b, "%s[%llu x%u]", i ? " " : "", (unsigned long long)l->rows[i].group->id,
                       l->rows[i].group->count);
    }
    CHECK_TRUE(bytes_copy(out, sizeof out, buf_bytes(&b)) == OK);
    buf_fini(&b);
    return out;
}

TEST(those_who_are_there_come_first_under_their_highest_role_that_is_shown_apart)
{
    struct member_list l;
    struct list_place p = place(&open_channel);
    list_build(&arena, &p, people(), countof(members), &l);
    CHECK_STR(rows(&l), "[20 x2] 103 102 [21 x1] 107 [0 x2] 104 101 [1 x2] 105 106");
    CHECK_EQ(l.n_members, 7);
    CHECK_EQ(l.n_online, 5);
    CHECK_EQ(l.n_groups, 4);
    list_build(&arena, &p, NULL, 0, &l);
    CHECK_STR(rows(&l), "");
    arena_reset(&arena);
}

TEST(only_those_who_may_view_the_channel_are_in_its_list)
{
    const struct overwrite over[] = {{.id = GUILD, .deny = MAY(VIEW_CHANNEL)},
                                     {.id = STAFF, .allow = MAY(VIEW_CHANNEL)},
                                     {.id = 101, .type = 1, .allow = MAY(VIEW_CHANNEL)}};
    const struct guild_channel hidden = {.id = 11, .overwrites = {countof(over), over}};
    struct member_list l;
    struct list_place p = place(&hidden);
    list_build(&arena, &p, people(), countof(members), &l);
    CHECK_STR(rows(&l), "[20 x2] 103 102 [0 x1] 101 [1 x1] 106");
    arena_reset(&arena);
}

TEST(two_roles_at_one_position_are_two_groups)
{
    const struct role level[] = {{.id = GUILD, .permissions = MAY(VIEW_CHANNEL)},
                                 {.id = STAFF, .position = 1, .hoist = true},
                                 {.id = HELPER, .position = 1, .hoist = true}};
    struct member_list l;
    struct list_place p = {&guild, {countof(level), level}, &open_channel, 7};
    list_build(&arena, &p, people(), countof(members), &l);
    CHECK_STR(rows(&l), "[20 x2] 103 102 [21 x1] 107 [0 x2] 104 101 [1 x2] 105 106");
    arena_reset(&arena);
}

TEST(channels_that_the_same_people_see_have_one_list)
{
    static const struct {
        uint64_t everyone; // permissions
        struct overwrite over[3];
        const char *id;
    } table[] = {
        {MAY(VIEW_CHANNEL), {{0}}, "everyone"},
        {MAY(VIEW_CHANNEL), {{.id = 5, .allow = MAY(VIEW_CHANNEL)}}, "everyone"},
        {MAY(VIEW_CHANNEL), {{.id = 5, .deny = MAY(CONNECT)}}, "everyone"},
        {0, {{0}}, "0"}, // murmur3 of nothing
        // MurmurHash3_x86_32 of deny:1, of allow:20,deny:1
        {MAY(VIEW_CHANNEL), {{.id = 1, .deny = MAY(VIEW_CHANNEL)}}, "804936038"},
        {MAY(VIEW_CHANNEL),
         {{.id = 1, .deny = MAY(VIEW_CHANNEL)}, {.id = 20, .allow = MAY(VIEW_CHANNEL) | MAY(CONNECT)}},
         "978623744"},
        {MAY(VIEW_CHANNEL),
         {{.id = 20, .allow = MAY(VIEW_CHANNEL)},
          {.id = 3, .deny = MAY(CONNECT)},
          {.id = 1, .deny = MAY(VIEW_CHANNEL)}},
         "978623744"},
    };
    for (size_t i = 0; i < countof(table); i++) {
        char id[LIST_ID_MAX];
        const struct role everyone = {.id = GUILD, .permissions = table[i].everyone};
        const struct guild_channel c = {.id = 10, .overwrites = {3, table[i].over}};
        const struct list_place p = {&guild, {1, &everyone}, &c, 1};
        CHECK_STR(arena_text(&arena, list_id(id, &arena, &p)), table[i].id);
    }
    arena_reset(&arena);
}

TEST(a_range_is_told_as_far_as_there_are_rows)
{
    static const struct list_range ranges[] = {{0, 1}, {9, 108}, {50, 149}};
    struct member_list l;
    struct list_place p = place(&open_channel);
    struct buf out = {0};
    list_build(&arena, &p, people(), countof(members), &l);
    list_json(&out, &arena, &p, &l, ranges, countof(ranges));
    json_t *d = json_loadb(out.p, out.n, 0, NULL), *ops = json_object_get(d, "ops");
    CHECK_STR(json_string_value(json_object_get(d, "guild_id")), "1");
    CHECK_STR(json_string_value(json_object_get(d, "id")), "everyone");
    CHECK_EQ(json_integer_value(json_object_get(d, "member_count")), 7);
    CHECK_EQ(json_integer_value(json_object_get(d, "online_count")), 5);
    CHECK_EQ(json_array_size(json_object_get(d, "groups")), 4);
    CHECK_STR(json_string_value(json_object_get(json_array_get(json_object_get(d, "groups"), 3), "id")), "offline");
    CHECK_EQ(json_array_size(ops), 3);
    static const size_t items[] = {2, 2, 0};
    for (size_t i = 0; i < countof(items); i++) {
        const json_t *op = json_array_get(ops, i);
        CHECK_STR(json_string_value(json_object_get(op, "op")), "SYNC");
        CHECK_EQ(json_integer_value(json_array_get(json_object_get(op, "range"), 1)), ranges[i].last);
        CHECK_EQ(json_array_size(json_object_get(op, "items")), items[i]);
    }
    const json_t *first = json_object_get(json_array_get(ops, 0), "items");
    CHECK_STR(json_string_value(json_object_get(json_object_get(json_array_get(first, 0), "group"), "id")), "20");
    const json_t *anna = json_object_get(json_array_get(first, 1), "member");
    CHECK_STR(json_string_value(json_object_get(json_object_get(anna, "user"), "global_name")), "Anna");
    CHECK_STR(json_string_value(json_object_get(anna, "hoisted_role")), "20");
    CHECK_STR(json_string_value(json_object_get(json_object_get(anna, "presence"), "status")), "online");
    json_decref(d);
    buf_fini(&out);
    arena_fini(&arena);
}

MAIN
