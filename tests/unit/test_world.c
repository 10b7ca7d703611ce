// world and world_plan: documents that are read, documents that are refused, what a guild lacks at each look, and the
// commits that give it that.
#include "check.h"
#include "errors.h"
#include "permissions.h"
#include "world_plan.h"

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

static const char hall[] =
    "{\"guilds\":[{\"name\":\"Hall\",\"owner\":\"ada\",\"description\":\"d\",\"everyone\":[\"VIEW_CHANNEL\"],"
    "\"afk_channel\":\"Away\",\"afk_timeout\":900,"
    "\"roles\":[{\"name\":\"Staff\",\"color\":\"#ff8000\",\"hoist\":true,\"permissions\":[\"MOVE_MEMBERS\"],"
    "\"members\":[\"ben\"]},{\"name\":\"Guests\",\"color\":255,\"mentionable\":true}],"
    "\"channels\":[{\"name\":\"Vault\",\"type\":\"voice\",\"parent\":\"Rooms\",\"user_limit\":5,\"bitrate\":96000,"
    "\"rtc_region\":\"ams\",\"topic\":\"t\",\"nsfw\":true,\"slowmode\":10,\"overwrites\":["
    "{\"role\":\"@everyone\",\"deny\":[\"VIEW_CHANNEL\"]},{\"role\":\"Staff\",\"allow\":[\"VIEW_CHANNEL\",\"CONNECT\"]}"
    ","
    "{\"member\":\"dj\",\"allow\":[\"CONNECT\"],\"deny\":[\"SPEAK\"]}]},"
    "{\"name\":\"Away\",\"type\":\"voice\"},{\"name\":\"Rooms\",\"type\":\"category\"}]}]}";

TEST(a_guild_is_read_with_all_that_it_can_have)
{
    struct world w;
    CHECK_EQ(parse(hall, &w), API_OK);
    const struct world_guild *g = &w.guilds[0];
    CHECK_TRUE(bytes_is(g->description, "d") && g->everyone == MAY(VIEW_CHANNEL));
    CHECK_TRUE(g->afk_channel == 1 && g->afk_timeout == 900 && !g->more && g->id == 0);
    CHECK_TRUE(g->roles[0].color == 0xff8000 && g->roles[0].hoist && !g->roles[0].mentionable);
    CHECK_TRUE(g->roles[1].color == 255 && !g->roles[1].hoist && g->roles[1].mentionable);
    const struct world_channel *c = &g->channels[0];
    CHECK_TRUE(c->parent == 2 && c->user_limit == 5 && c->bitrate == 96000 && bytes_is(c->rtc_region, "ams"));
    CHECK_TRUE(bytes_is(c->topic, "t") && c->nsfw && c->slowmode == 10 && c->n_overwrites == 3);
    CHECK_TRUE(c->overwrites[0].role == WORLD_NONE && !c->overwrites[0].member.p);
    CHECK_EQ(c->overwrites[0].deny, MAY(VIEW_CHANNEL));
    CHECK_TRUE(c->overwrites[1].role == 0 && c->overwrites[1].allow == (MAY(VIEW_CHANNEL) | MAY(CONNECT)));
    CHECK_TRUE(bytes_is(c->overwrites[2].member, "dj") && c->overwrites[2].deny == MAY(SPEAK));
    CHECK_TRUE(g->channels[1].parent == WORLD_NONE);
    CHECK_TRUE(world_find(&w, &a, BYTES("dj")) != NULL); // who is named in an overwrite is looked up, too
    CHECK_EQ(g->members.n, 2);
    CHECK_EQ(parse("{\"guilds\":[{\"name\":\"g\",\"owner\":\"a\",\"description\":\"\",\"afk_channel\":null}]}", &w),
             API_OK);
    CHECK_TRUE(!w.guilds[0].description.p && w.guilds[0].afk_channel == WORLD_NONE);
    CHECK_EQ(parse("{\"guilds\":[{\"id\":\"7\",\"members\":[\"ben\"],\"more\":true}]}", &w), API_OK);
    CHECK_TRUE(w.guilds[0].id == 7 && !w.guilds[0].name.p && w.guilds[0].members.n == 1 && w.guilds[0].more);
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
        "{\"guilds\":[{\"id\":\"7\",\"name\":\"g\"}]}",
        "{\"guilds\":[{\"id\":\"x\",\"name\":\"g\",\"owner\":\"a\"}]}",
#define GUILD(more) "{\"guilds\":[{\"name\":\"g\",\"owner\":\"a\"," more "}]}"
#define CHANNEL(more) GUILD("\"channels\":[{\"name\":\"c\",\"type\":\"voice\"," more "}]")
        GUILD("\"roles\":{}"),
        GUILD("\"channels\":7"),
        GUILD("\"members\":[7]"),
        GUILD("\"more\":1"),
        GUILD("\"description\":7"),
        GUILD("\"everyone\":[\"FLY\"]"),
        GUILD("\"afk_timeout\":61"),
        GUILD("\"afk_channel\":\"c\""),
        GUILD("\"afk_channel\":\"c\",\"channels\":[{\"name\":\"c\",\"type\":\"text\"}]"),
        GUILD("\"roles\":[{\"name\":\"@everyone\"}]"),
        GUILD("\"roles\":[{\"name\":\"r\",\"color\":16777216}]"),
        GUILD("\"roles\":[{\"name\":\"r\",\"color\":\"red\"}]"),
        GUILD("\"roles\":[{\"name\":\"r\",\"color\":\"#ff80g0\"}]"),
        GUILD("\"roles\":[{\"name\":\"r\",\"hoist\":\"yes\"}]"),
        GUILD("\"channels\":[{\"name\":\"c\",\"type\":\"text\",\"user_limit\":1}]"),
        GUILD("\"channels\":[{\"name\":\"c\",\"type\":\"category\",\"parent\":\"c\"}]"),
        CHANNEL("\"user_limit\":100"),
        CHANNEL("\"user_limit\":-1"),
        CHANNEL("\"user_limit\":\"1\""),
        CHANNEL("\"bitrate\":7999"),
        CHANNEL("\"rtc_region\":7"),
        CHANNEL("\"nsfw\":0"),
        CHANNEL("\"slowmode\":21601"),
        CHANNEL("\"parent\":\"c\""),
        CHANNEL("\"parent\":7"),
        CHANNEL("\"overwrites\":{}"),
        CHANNEL("\"overwrites\":[{}]"),
        CHANNEL("\"overwrites\":[{\"role\":\"r\"}]"),
        CHANNEL("\"overwrites\":[{\"role\":\"@everyone\",\"member\":\"a\"}]"),
        CHANNEL("\"overwrites\":[{\"role\":\"@everyone\",\"allow\":[\"FLY\"]}]"),
        CHANNEL("\"overwrites\":[{\"role\":\"@everyone\",\"allow\":[\"SPEAK\"],\"deny\":[\"SPEAK\"]}]"),
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

static const uint64_t fresh[] = {101, 102, 103, 104, 105};

static void plan(const struct world *w, const struct guild_state *state, const uint64_t *ids, struct guild_plan *out)
{
    CHECK_EQ(guild_plan(&a, w, &w->guilds[0], 100, state, ids, 5, out), API_OK);
}

TEST(a_new_guild_is_planned_whole)
{
    struct world w;
    struct guild_plan p;
    const struct guild_state nothing = {0};
    CHECK_EQ(parse(demo, &w), API_OK);
    know(&w);
    plan(&w, &nothing, fresh, &p);
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

TEST(names_within_a_guild_become_ids)
{
    struct world w;
    struct guild_plan p;
    CHECK_EQ(parse(hall, &w), API_OK);
    world_find(&w, &a, BYTES("ada"))->id = 11;
    world_find(&w, &a, BYTES("ben"))->id = 22;
    world_find(&w, &a, BYTES("dj"))->id = 33;
    plan(&w, &(const struct guild_state){0}, fresh, &p);
    CHECK_TRUE(p.guild->afk_channel == 104 && p.guild->afk_timeout == 900 && bytes_is(p.guild->description, "d"));
    CHECK_TRUE(p.roles[0].permissions == MAY(VIEW_CHANNEL) && p.roles[1].color == 0xff8000 && p.roles[1].hoist);
    const struct guild_channel *c = &p.channels[0];
    CHECK_TRUE(c->id == 103 && c->parent == 105 && c->user_limit == 5 && c->bitrate == 96000 && c->rate_limit == 10);
    CHECK_TRUE(c->nsfw && bytes_is(c->topic, "t") && bytes_is(c->rtc_region, "ams") && c->overwrites.n == 3);
    CHECK_TRUE(c->overwrites.v[0].id == 100 && c->overwrites.v[0].type == 0);
    CHECK_TRUE(c->overwrites.v[1].id == 101 && c->overwrites.v[1].type == 0);
    CHECK_TRUE(c->overwrites.v[2].id == 33 && c->overwrites.v[2].type == 1 && c->overwrites.v[2].deny == MAY(SPEAK));
    CHECK_TRUE(p.channels[1].parent == 0 && p.channels[1].bitrate == 64000);
    CHECK_EQ(p.n_members, 2);
    arena_fini(&a);
}

TEST(what_stands_is_kept_and_only_what_lacks_is_planned)
{
    struct world w;
    struct guild_plan p, q;
    CHECK_EQ(parse(demo, &w), API_OK);
    know(&w);
    plan(&w, &(const struct guild_state){0}, fresh, &p);
    struct guild_state all = {.guild = p.guild,
                              .n_roles = p.n_roles,
                              .n_channels = p.n_channels,
                              .n_members = p.n_members,
                              .roles = p.roles,
                              .channels = p.channels,
                              .members = p.members};
    struct guild_commits commits;
    plan(&w, &all, (const uint64_t[]){0, 0, 0, 0}, &q);
    CHECK_TRUE(!q.guild && q.n_roles == 0 && q.n_channels == 0 && q.n_members == 0);
    CHECK_TRUE(q.role_ids.v[0] == 101 && q.channel_ids.v[1] == 103 && q.member_ids.n == 3 && q.links);
    guild_plan_commits(&a, &q, &all, (struct user_set){0}, &commits);
    CHECK_EQ(commits.n, 0);

    struct guild_state half = all; // the first commit held the roles and one channel; a member has no role yet
    const struct member plain = {.user = 33, .joined_at = 4};
    half.n_channels = 1;
    half.members = &plain;
    half.n_members = 1;
    plan(&w, &half, (const uint64_t[]){201, 202, 203, 204}, &q);
    CHECK_TRUE(q.n_roles == 0 && q.n_channels == 2 && q.n_members == 3);
    CHECK_TRUE(q.channels[0].id == 201 && q.channels[0].position == 1);
    CHECK_TRUE(q.members[2].user == 33 && q.members[2].roles.n == 1 && q.members[2].joined_at == 4);
    CHECK_TRUE(q.joins[0] && q.joins[1] && !q.joins[2]);
    for (uint32_t i = 0; i < 3;
         i++) { // whose record has the guild as of now needs no word; of before, or not at all, does
        CHECK_TRUE(!guild_plan_welcomes(&q, i, q.since[i]));
        CHECK_TRUE(guild_plan_welcomes(&q, i, q.since[i] - 1) && guild_plan_welcomes(&q, i, 0));
    }
    CHECK_TRUE(q.since[0] == q.since[1] && q.since[2] != q.since[0]);
    arena_fini(&a);
}

TEST(too_many_roles_or_channels_are_refused)
{
    struct world w;
    struct guild_plan p;
    struct guild guild = {.id = 100};
    struct role *roles = arena_take(&a, (WORLD_ROLES_MAX + 1) * sizeof *roles);
    struct guild_channel *channels = arena_take(&a, WORLD_CHANNELS_MAX * sizeof *channels);
    struct guild_state full = {.guild = &guild, .n_roles = WORLD_ROLES_MAX + 1, .roles = roles, .channels = channels};
    CHECK_EQ(parse(demo, &w), API_OK);
    know(&w);
    CHECK_EQ(guild_plan(&a, &w, &w.guilds[0], 100, &full, fresh, 5, &p), API_TOO_MANY_ROLES);
    full.n_roles--;
    CHECK_EQ(guild_plan(&a, &w, &w.guilds[0], 100, &full, fresh, 5, &p), API_OK);
    full.n_channels = WORLD_CHANNELS_MAX - 2;
    CHECK_EQ(guild_plan(&a, &w, &w.guilds[0], 100, &full, fresh, 5, &p), API_TOO_MANY_CHANNELS);
    full.n_channels--;
    CHECK_EQ(guild_plan(&a, &w, &w.guilds[0], 100, &full, fresh, 5, &p), API_OK);
    arena_fini(&a);
}

// --- commits ---

static bool has_change(const struct guild_commit *c, enum change_op op, const char *suffix, const char *field)
{
    for (uint32_t i = 0; i < c->n_changes; i++)
        if (c->changes[i].op == op && strcmp(c->changes[i].suffix, suffix) == 0 && bytes_is(c->changes[i].a, field))
            return true;
    return false;
}

TEST(nobody_is_told_of_a_guild_while_it_is_made)
{
    struct world w;
    struct guild_plan p;
    struct guild_commits commits;
    struct guild_state state = {0};
    CHECK_EQ(parse("{\"guilds\":[{\"name\":\"g\",\"owner\":\"ada\",\"more\":true}]}", &w), API_OK);
    world_find(&w, &a, BYTES("ada"))->id = 11;
    plan(&w, &state, fresh, &p);
    CHECK_TRUE(!p.told && !p.opens && !p.links);
    guild_plan_commits(&a, &p, &state, (struct user_set){0}, &commits);
    CHECK_TRUE(commits.n == 1 && commits.v[0].n_events == 0);
    CHECK_TRUE(has_change(&commits.v[0], CHANGE_HSET, "s", "guild") &&
               has_change(&commits.v[0], CHANGE_HSET, "s", "loading") &&
               !has_change(&commits.v[0], CHANGE_HDEL, "s", "loading"));
    CHECK_TRUE(has_change(&commits.v[0], CHANGE_HSET, "mb", "11") &&
               has_change(&commits.v[0], CHANGE_ZADD, "mi", "00000000000000000011"));

    state = (struct guild_state){.guild = p.guild, .loading = true, .n_members = 1, .members = p.members};
    plan(&w, &state, fresh, &p); // more is to come still
    guild_plan_commits(&a, &p, &state, (struct user_set){0}, &commits);
    CHECK_TRUE(commits.n == 0 && !p.links);

    CHECK_EQ(parse("{\"guilds\":[{\"id\":\"100\",\"members\":[\"ada\",\"ben\"]}]}", &w), API_OK);
    world_find(&w, &a, BYTES("ada"))->id = 11;
    world_find(&w, &a, BYTES("ben"))->id = 22;
    plan(&w, &state, fresh, &p);
    CHECK_TRUE(!p.told && p.opens && p.links && p.member_ids.n == 2 && p.n_members == 1);
    guild_plan_commits(&a, &p, &state, (struct user_set){0}, &commits);
    CHECK_TRUE(commits.n == 1 && commits.v[0].n_events == 0 && commits.v[0].n_changes == 3);
    CHECK_TRUE(has_change(&commits.v[0], CHANGE_HDEL, "s", "loading") &&
               has_change(&commits.v[0], CHANGE_HSET, "mb", "22"));
    arena_fini(&a);
}

TEST(what_comes_later_is_told_in_the_guilds_log)
{
    static const char *const names[] = {"GUILD_ROLE_CREATE", "CHANNEL_CREATE", "GUILD_MEMBER_ADD",
                                        "GUILD_MEMBER_UPDATE"};
    static const struct user people[] = {{.id = 22, .username = {"ben", 3}}, {.id = 33, .username = {"dj", 2}}};
    static const struct guild guild = {.id = 100, .name = {"Demo", 4}, .owner = 11};
    static const struct role everyone = {.id = 100, .name = {"@everyone", 9}};
    static const struct guild_channel old[] = {{.id = 1, .type = CHANNEL_TEXT, .name = {"general", 7}},
                                               {.id = 2, .type = CHANNEL_VOICE, .name = {"Lounge", 6}}};
    static const struct member there[] = {{.user = 11}, {.user = 33, .joined_at = 3}};
    static const uint64_t lost[] = {11};
    const struct guild_state state = {.guild = &guild,
                                      .n_roles = 1,
                                      .roles = &everyone,
                                      .n_channels = 2,
                                      .channels = old,
                                      .n_members = 2,
                                      .members = there,
                                      .unlisted = {1, lost}};
    struct world w;
    struct guild_plan p;
    struct guild_commits commits;
    CHECK_EQ(parse(demo, &w), API_OK);
    know(&w);
    plan(&w, &state, fresh, &p);
    CHECK_TRUE(p.told && p.links && !p.opens);
    guild_plan_commits(&a, &p, &state, (struct user_set){2, people}, &commits);
    CHECK_TRUE(commits.n == 1 && commits.v[0].n_events == 4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct event *e = &commits.v[0].events[i];
        CHECK_TRUE(bytes_is(e->name, names[i]) && e->to == 0 && e->row.n && e->body.n);
    }
    const struct event *channel = &commits.v[0].events[1], *joins = &commits.v[0].events[2];
    struct member m;
    CHECK_TRUE(channel->channel == 102 && channel->row_id == 102 && channel->row_tag == TAG_guild_channel);
    CHECK_TRUE(joins->row_tag == TAG_member && joins->row_id == 22 && joins->channel == 0);
    CHECK_TRUE(UNPACK(&a, member, joins->row, &m) == OK && m.user == 22);
    CHECK_TRUE(strstr(arena_text(&a, joins->body), "\"username\":\"ben\"") != NULL);
    CHECK_TRUE(has_change(&commits.v[0], CHANGE_ZADD, "mi", "00000000000000000022") &&
               has_change(&commits.v[0], CHANGE_ZADD, "mi", "00000000000000000011") &&
               !has_change(&commits.v[0], CHANGE_ZADD, "mi", "00000000000000000033"));
    const struct event joined = guild_joined_event(100, 7, 22);
    CHECK_TRUE(bytes_is(joined.name, "GUILD_CREATE") && joined.to == 1 && joined.user == 22 && joined.place_op == 1 &&
               joined.place == 100 && joined.place_version == 7 && joined.body.n == 0);
    arena_fini(&a);
}

// A guild that stands, or does not, and gets a thousand members.
static void many(bool stands)
{
    static const struct guild guild = {.id = 100, .owner = 11};
    const struct guild_state state = {.guild = stands ? &guild : NULL};
    struct guild_commits commits;
    struct guild_plan p;
    struct world w;
    struct buf doc = {0};
    uint32_t rows = 0, listed = 0;
    buf_str(&doc, "{\"guilds\":[{\"name\":\"g\",\"owner\":\"1\",\"members\":[\"1\"");
    for (unsigned i = 2; i <= 1000; i++)
        buf_printf(&doc, ",\"%u\"", i);
    buf_str(&doc, "]}]}");
    buf_char(&doc, '\0');
    CHECK_EQ(parse(doc.p, &w), API_OK);
    for (uint32_t i = 0; i < w.n_names; i++)
        CHECK_EQ(bytes_u64(w.names[i].lower, &w.names[i].id), OK);
    plan(&w, &state, fresh, &p);
    guild_plan_commits(&a, &p, &state, (struct user_set){0}, &commits);
    CHECK_EQ(commits.n, stands ? 16 : 9); // 64 events each; 240 changes
    for (uint32_t i = 0; i < commits.n; i++) {
        const struct guild_commit *c = &commits.v[i];
        uint32_t here = 0;
        CHECK_TRUE(c->n_changes <= GUILD_PLAN_CHANGES && c->n_events <= GUILD_PLAN_EVENTS);
        for (uint32_t k = 0; k < c->n_changes; k++) {
            here += strcmp(c->changes[k].suffix, "mb") == 0;
            listed += strcmp(c->changes[k].suffix, "mi") == 0;
        }
        CHECK_TRUE(c->n_events == (stands ? here : 0));
        rows += here;
        CHECK_EQ(rows, listed); // both in one commit
    }
    CHECK_EQ(rows, 1000);
    buf_fini(&doc);
    arena_fini(&a);
}

TEST(many_members_take_many_commits_and_each_is_in_one)
{
    many(false);
    many(true);
}

MAIN
