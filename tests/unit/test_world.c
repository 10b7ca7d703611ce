// world and guild: documents that are read, documents that are refused, and what a guild lacks at each look.
#include "check.h"
#include "errors.h"
#include "guild.h"

static struct arena a;
static const char demo[] =
    "{\"users\":[{\"name\":\"Ada\",\"global_name\":\"Ada L\"},{\"name\":\"ben\",\"id\":\"22\"}],"
    "\"bots\":[{\"name\":\"dj\"}],\"friends\":[[\"ada\",\"ben\"]],\"dms\":[[\"ada\",\"22\"],[\"ada\",\"old\"]],"
    "\"groups\":[{\"name\":\"trio\",\"owner\":\"ada\",\"users\":[\"ada\",\"ben\",\"ADA\"]}],"
    "\"guilds\":[{\"name\":\"Demo\",\"owner\":\"ada\",\"members\":[\"ben\"],"
    "\"roles\":[{\"name\":\"Mods\",\"permissions\":[\"MOVE_MEMBERS\",\"MUTE_MEMBERS\"],\"members\":[\"dj\"]}],"
    "\"channels\":[{\"name\":\"general\",\"type\":\"text\"},{\"name\":\"Lounge\",\"type\":\"voice\"},"
    "{\"name\":\"Stage\",\"type\":\"stage\"}]}]}";

static int parse(const char *text, struct world *w)
{
    struct fault fault = {0};
    int err = world_parse(&a, bytes_of(text), w, &fault);
    CHECK_TRUE(err != API_INVALID_FORM || fault.code);
    return err;
}

static void know(struct world *w)
{
    world_find(w, &a, BYTES("ada"))->id = 11;
    world_find(w, &a, BYTES("ben"))->id = 22;
    world_find(w, &a, BYTES("dj"))->id = 33;
    world_find(w, &a, BYTES("22"))->id = 22;
    world_find(w, &a, BYTES("old"))->id = 44;
}

TEST(a_document_is_read_as_written)
{
    struct world w;
    CHECK_EQ(parse(demo, &w), API_OK);
    CHECK_TRUE(w.n_users == 3 && w.n_friends == 1 && w.n_dms == 2 && w.n_groups == 1 && w.n_guilds == 1);
    CHECK_TRUE(bytes_is(w.users[0].name, "Ada") && bytes_is(w.users[0].global_name, "Ada L") && !w.users[0].bot);
    CHECK_TRUE(w.users[1].id == 22 && w.users[2].bot);
    CHECK_EQ(w.guilds[0].roles[0].permissions, (1 << 24) | (1 << 22));
    CHECK_EQ(w.guilds[0].channels[2].type, CHANNEL_STAGE);
    CHECK_EQ(w.guilds[0].members.n, 3); // owner, member, and who has a role
    CHECK_EQ(w.n_names, 5);             // ada, ben, dj, 22, old
    arena_fini(&a);
}

TEST(names_are_found_in_any_case_and_must_all_be_known)
{
    struct world w;
    struct fault fault = {0};
    CHECK_EQ(parse(demo, &w), API_OK);
    CHECK_TRUE(world_find(&w, &a, BYTES("ADA"))->declared && !world_find(&w, &a, BYTES("old"))->declared);
    CHECK_TRUE(!world_find(&w, &a, BYTES("nobody")));
    CHECK_EQ(world_resolved(&w, &fault), API_INVALID_FORM);
    know(&w);
    CHECK_EQ(world_resolved(&w, &fault), API_OK);
    struct ids ids = world_ids(&w, &a, w.groups[0].users);
    CHECK_TRUE(ids.n == 2 && ids.v[0] == 11 && ids.v[1] == 22);
    arena_fini(&a);
}

TEST(what_is_no_world_is_refused)
{
    static const char *const bad[] = {
        "[]",
        "{\"users\":{}}",
        "{\"users\":[1]}",
        "{\"users\":[{\"name\":\"\"}]}",
        "{\"users\":[{\"name\":\"1\"}]}",
        "{\"users\":[{\"name\":\"a\"},{\"name\":\"A\"}]}",
        "{\"users\":[{\"name\":\"a\"}],\"bots\":[{\"name\":\"a\"}]}",
        "{\"users\":[{\"name\":\"a\",\"id\":\"x\"}]}",
        "{\"users\":[{\"name\":\"a\",\"id\":-1}]}",
        "{\"users\":[{\"name\":\"a\",\"id\":\"9223372036854775808\"}]}",
        "{\"friends\":[[\"a\"]]}",
        "{\"friends\":[\"ab\"]}",
        "{\"groups\":[{\"name\":\"g\",\"users\":[]}]}",
        "{\"groups\":[{\"name\":\"g\",\"owner\":\"a\",\"users\":\"b\"}]}",
        "{\"guilds\":[{\"name\":\"g\",\"owner\":\"a\",\"roles\":[{\"name\":\"r\",\"permissions\":[\"FLY\"]}]}]}",
        "{\"guilds\":[{\"name\":\"g\",\"owner\":\"a\",\"channels\":[{\"name\":\"c\",\"type\":\"dm\"}]}]}",
        "{\"guilds\":[{\"owner\":\"a\"}]}",
    };
    struct world w;
    for (size_t i = 0; i < countof(bad); i++)
        CHECK_EQ(parse(bad[i], &w), API_INVALID_FORM);
    CHECK_EQ(parse("{", &w), API_INVALID_JSON);
    CHECK_EQ(parse("", &w), API_INVALID_JSON);
    CHECK_EQ(parse("{}", &w), API_OK);
    CHECK_TRUE(w.n_names == 0 && !world_find(&w, &a, BYTES("a")));
    arena_fini(&a);
}

static const uint64_t fresh[] = {101, 102, 103, 104};

TEST(a_new_guild_is_planned_whole)
{
    struct world w;
    struct guild_plan p;
    const struct guild_state nothing = {0};
    CHECK_EQ(parse(demo, &w), API_OK);
    know(&w);
    guild_plan(&a, &w, &w.guilds[0], 100, &nothing, fresh, 5, &p);
    CHECK_TRUE(p.guild && p.guild->id == 100 && p.guild->owner == 11 && bytes_is(p.guild->name, "Demo"));
    CHECK_EQ(p.n_roles, 2);
    CHECK_TRUE(p.roles[0].id == 100 && p.roles[0].position == 0 && bytes_is(p.roles[0].name, "@everyone"));
    CHECK_TRUE(p.roles[1].id == 101 && p.roles[1].position == 1);
    CHECK_EQ(p.n_channels, 3);
    CHECK_TRUE(p.channels[0].id == 102 && p.channels[0].bitrate == 0 && p.channels[1].bitrate == 64000);
    CHECK_TRUE(p.channels[2].position == 2 && p.channels[2].type == CHANNEL_STAGE);
    CHECK_EQ(p.n_members, 3);
    CHECK_TRUE(p.members[0].user == 11 && p.members[0].roles.n == 0 && p.members[0].joined_at == 5);
    CHECK_TRUE(p.members[2].user == 33 && p.members[2].roles.n == 1 && p.members[2].roles.v[0] == 101);
    CHECK_TRUE(p.role_ids.n == 1 && p.role_ids.v[0] == 101 && p.channel_ids.n == 3 && p.channel_ids.v[2] == 104);
    arena_fini(&a);
}

TEST(what_stands_is_kept_and_only_what_lacks_is_planned)
{
    struct world w;
    struct guild_plan p, q;
    CHECK_EQ(parse(demo, &w), API_OK);
    know(&w);
    guild_plan(&a, &w, &w.guilds[0], 100, &(const struct guild_state){0}, fresh, 5, &p);
    struct guild_state all = {p.guild, p.n_roles, p.n_channels, p.n_members, p.roles, p.channels, p.members};
    guild_plan(&a, &w, &w.guilds[0], 100, &all, (const uint64_t[]){0, 0, 0, 0}, 9, &q);
    CHECK_TRUE(!q.guild && q.n_roles == 0 && q.n_channels == 0 && q.n_members == 0);
    CHECK_TRUE(q.role_ids.v[0] == 101 && q.channel_ids.v[1] == 103 && q.member_ids.n == 3);

    struct guild_state half = all; // the first commit held the roles and one channel; a member has no role yet
    const struct member plain = {.user = 33, .joined_at = 5};
    half.n_channels = 1;
    half.members = &plain;
    half.n_members = 1;
    guild_plan(&a, &w, &w.guilds[0], 100, &half, (const uint64_t[]){201, 202, 203, 204}, 9, &q);
    CHECK_TRUE(q.n_roles == 0 && q.n_channels == 2 && q.n_members == 3);
    CHECK_TRUE(q.channels[0].id == 201 && q.channels[0].position == 1);
    CHECK_TRUE(q.members[2].user == 33 && q.members[2].roles.n == 1 && q.members[2].joined_at == 5);
    arena_fini(&a);
}

MAIN
