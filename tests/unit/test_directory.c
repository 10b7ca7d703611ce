// directory: names, relationships from every pair of states, permissions.
#include "check.h"
#include "permissions.h"
#include "directory.h"
#include "errors.h"

static struct arena a;

TEST(usernames)
{
    static const struct {
        const char *name;
        bool ok;
    } cases[] = {
        {"ada", true},
        {"a", true},
        {"Ada.Lovelace_1", true},
        {"two words", true},
        {"z\xc3\xbcrich", true},
        {"", false},
        {" ada", false},
        {"ada ", false},
        {"a@b", false},
        {"a#1", false},
        {"a:b", false},
        {"a`b", false},
        {"a\nb", false},
        {"a\x7f", false},
        {"123", false},
        {"everyone", false},
        {"here", false},
        {"\xff", false},
        {"1a", true},
        {"abcdefghijabcdefghijabcdefghij12", true},
        {"abcdefghijabcdefghijabcdefghij123", false},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct fault fault = {0};
        CHECK_EQ(username_check(bytes_of(cases[i].name), &fault), cases[i].ok ? API_OK : API_INVALID_FORM);
        CHECK_TRUE(cases[i].ok || (fault.code && !strcmp(fault.field, "username")));
    }
    CHECK_TRUE(bytes_is(username_lower(&a, BYTES("AdA.Z")), "ada.z"));
    arena_fini(&a);
}

static const struct user ada = {.id = 1, .username = {"ada", 3}}, ben = {.id = 2, .username = {"ben", 3}},
                         dj = {.id = 3, .username = {"dj", 2}, .bot = true};

// Every pair of states that two users can be in, every command: what they become, or the refusal.
TEST(relationships_of_every_pair)
{
    static const struct {
        uint64_t type;
        bool by_admin;
        int mine, theirs, err, want_mine, want_theirs;
    } cases[] = {
        {1, 0, 0, 0, 0, 4, 3},     {1, 0, 1, 1, 80007, 0, 0}, {1, 0, 2, 0, 0, 4, 3}, {1, 0, 2, 2, 80001, 0, 0},
        {1, 0, 0, 2, 80001, 0, 0}, {1, 0, 3, 4, 0, 1, 1},     {1, 0, 4, 3, 0, 4, 3}, {1, 1, 0, 0, 0, 1, 1},
        {1, 1, 1, 1, 0, 1, 1},     {1, 1, 2, 0, 0, 1, 1},     {1, 1, 2, 2, 0, 1, 1}, {1, 1, 0, 2, 0, 1, 1},
        {1, 1, 3, 4, 0, 1, 1},     {1, 1, 4, 3, 0, 1, 1},     {2, 0, 0, 0, 0, 2, 0}, {2, 0, 1, 1, 0, 2, 0},
        {2, 0, 2, 0, 0, 2, 0},     {2, 0, 2, 2, 0, 2, 2},     {2, 0, 0, 2, 0, 2, 2}, {2, 0, 3, 4, 0, 2, 0},
        {2, 0, 4, 3, 0, 2, 0},     {0, 0, 0, 0, 0, 0, 0},     {0, 0, 1, 1, 0, 0, 0}, {0, 0, 2, 0, 0, 0, 0},
        {0, 0, 2, 2, 0, 0, 2},     {0, 0, 0, 2, 0, 0, 2},     {0, 0, 3, 4, 0, 0, 0}, {0, 0, 4, 3, 0, 0, 0},
        {3, 0, 0, 0, 50035, 0, 0}, {4, 1, 0, 0, 50035, 0, 0},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct relationship_put put = {
            .user = 1, .target = 2, .type = cases[i].type, .by_admin = cases[i].by_admin};
        struct relations now = {(enum relation)cases[i].mine, (enum relation)cases[i].theirs}, want = {0};
        CHECK_EQ(relationship_step(&put, &ada, &ben, now, &want), cases[i].err);
        CHECK_EQ(want.mine, cases[i].want_mine);
        CHECK_EQ(want.theirs, cases[i].want_theirs);
    }
}

TEST(who_cannot_be_related_to)
{
    struct relations now = {0}, want = {0};
    struct relationship_put put = {.user = 1, .target = 1, .type = 1};
    CHECK_EQ(relationship_step(&put, &ada, &ada, now, &want), API_SELF_REQUEST);
    put.target = 3;
    CHECK_EQ(relationship_step(&put, &ada, &dj, now, &want), API_REQUESTS_DISABLED);
    CHECK_EQ(relationship_step(&put, &dj, &ada, now, &want), API_BOTS_CANNOT);
    CHECK_EQ(relationship_step(&put, &ada, NULL, now, &want), API_UNKNOWN_USER);
    put.type = 2;
    CHECK_EQ(relationship_step(&put, &ada, &dj, now, &want), API_OK);
}

TEST(relationship_events_name_the_other_one)
{
    struct event e = relationship_event(&a, 1, &ben, REL_NONE, REL_FRIEND);
    CHECK_TRUE(bytes_is(e.name, "RELATIONSHIP_ADD") && e.to == 1 && e.user == 1);
    CHECK_TRUE(strncmp(e.body.p, "{\"id\":\"2\",\"type\":1,\"nickname\":null,\"user\":{\"id\":\"2\"", 45) == 0);
    e = relationship_event(&a, 1, &ben, REL_INCOMING, REL_NONE);
    CHECK_TRUE(bytes_is(e.name, "RELATIONSHIP_REMOVE") && bytes_is(e.body, "{\"id\":\"2\",\"type\":3}"));
    arena_fini(&a);
}

TEST(permissions_by_name)
{
    uint64_t bit = 0;
    CHECK_EQ(permission_bit(BYTES("MOVE_MEMBERS"), &bit), OK);
    CHECK_EQ(bit, 1 << 24);
    CHECK_EQ(permission_bit(BYTES("SET_VOICE_CHANNEL_STATUS"), &bit), OK);
    CHECK_TRUE(bit == 1ull << 48);
    CHECK_EQ(permission_bit(BYTES("move_members"), &bit), ERR_MISSING);
    uint64_t everyone = permissions_of_everyone();
    CHECK_TRUE((everyone & (1 << 20)) && (everyone & (1 << 21)) && (everyone & (1 << 10)));
    CHECK_TRUE(!(everyone & (1 << 3)) && !(everyone & (1 << 24)));
}

TEST(lists_of_the_admin_port)
{
    struct buf out = {0};
    const struct channel c = {.id = 9, .type = 3, .name = BYTES("trio"), .recipients = {2, (const uint64_t[]){1, 2}}};
    const struct guild g = {.id = 5, .name = BYTES("Demo")};
    const struct guild_channel channel = {.id = 6, .type = 13, .name = BYTES("Stage")};
    directory_user_json(&out, &dj);
    directory_channel_json(&out, &c);
    directory_guild_json(&out, &g, &channel, 1);
    buf_char(&out, '\0');
    CHECK_STR(out.p, "{\"id\":\"3\",\"username\":\"dj\",\"global_name\":null,\"bot\":true}"
                     "{\"id\":\"9\",\"type\":3,\"name\":\"trio\",\"users\":[\"1\",\"2\"]}"
                     "{\"id\":\"5\",\"name\":\"Demo\",\"channels\":[{\"id\":\"6\",\"name\":\"Stage\",\"type\":13}]}");
    buf_fini(&out);
}

MAIN
