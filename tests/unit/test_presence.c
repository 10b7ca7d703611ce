// test_presence: the best of a user's sessions is what others see, and how it is told.
#include "presence.h"
#include "check.h"

TEST(a_status_is_one_that_others_may_see)
{
    static const struct {
        const char *name;
        enum presence_status status;
    } rows[] = {{"online", PRESENCE_ONLINE},  {"idle", PRESENCE_IDLE},
                {"dnd", PRESENCE_DND},        {"invisible", PRESENCE_INVISIBLE},
                {"unknown", PRESENCE_ONLINE}, {"offline", PRESENCE_INVISIBLE},
                {"", PRESENCE_ONLINE},        {"ONLINE", PRESENCE_ONLINE}};
    for (size_t i = 0; i < countof(rows); i++)
        CHECK_EQ(presence_status_of(bytes_of(rows[i].name)), rows[i].status);
}

TEST(where_somebody_is_follows_from_what_his_client_calls_itself)
{
    static const struct {
        const char *os, *browser, *client;
    } rows[] = {{"Windows", "Discord Client", "desktop"},
                {"Windows", "Chrome", "web"},
                {"Android", "", "mobile"},
                {"iOS", "Discord iOS", "mobile"},
                {"linux", "discord.js", "web"},
                {"", "Discord Android", "mobile"},
                {"", "", "web"}};
    for (size_t i = 0; i < countof(rows); i++)
        CHECK_TRUE(bytes_is(presence_client(bytes_of(rows[i].os), bytes_of(rows[i].browser)), rows[i].client));
}

TEST(the_best_of_his_sessions_counts)
{
    static const struct {
        uint32_t n;
        struct online v[3];
        int best; // -1: offline
    } rows[] = {
        {0, {{.status = 0}}, -1},
        {1, {{.status = PRESENCE_INVISIBLE}}, -1},
        {1, {{.status = PRESENCE_IDLE}}, 0},
        {3, {{.status = PRESENCE_IDLE}, {.status = PRESENCE_ONLINE}, {.status = PRESENCE_DND}}, 1},
        {2, {{.status = PRESENCE_INVISIBLE}, {.status = PRESENCE_DND}}, 1},
        {2, {{.status = PRESENCE_IDLE, .since = 5}, {.status = PRESENCE_IDLE, .since = 6}}, 1},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct presence p = {.user = 1};
        struct online v[3];
        static const char names[] = "abc";
        for (uint32_t k = 0; k < 3; k++) {
            v[k] = rows[i].v[k];
            v[k].activities = (struct bytes){&names[k], 1};
        }
        CHECK_EQ(presence_best(9, v, rows[i].n, &p), rows[i].best >= 0);
        if (rows[i].best >= 0)
            CHECK_TRUE(p.user == 9 && p.activities.p == &names[rows[i].best]);
        else
            CHECK_EQ(p.user, 1);
    }
}

static const char *shown(const struct presence *p, uint64_t guild, bool brief)
{
    static char out[256];
    struct buf b = {0};
    presence_json(&b, 5, p, guild, brief);
    CHECK_TRUE(bytes_copy(out, sizeof out, buf_bytes(&b)) == OK);
    buf_fini(&b);
    return out;
}

TEST(presences_are_told_in_both_forms)
{
    const struct presence p = {5, PRESENCE_IDLE, BYTES("mobile"), BYTES("[{\"name\":\"x\"}]")},
                          bare = {5, PRESENCE_ONLINE, {0}, {0}};
    CHECK_STR(shown(&p, 7, false),
              "{\"user\":{\"id\":\"5\"},\"guild_id\":\"7\",\"status\":\"idle\",\"activities\":[{\"name\":\"x\"}],"
              "\"client_status\":{\"mobile\":\"idle\"}}");
    CHECK_STR(shown(&bare, 0, true),
              "{\"user_id\":\"5\",\"status\":\"online\",\"activities\":[],\"client_status\":{\"web\":\"online\"}}");
    CHECK_STR(shown(NULL, 0, false),
              "{\"user\":{\"id\":\"5\"},\"status\":\"offline\",\"activities\":[],\"client_status\":{}}");
}

TEST(somebody_is_found_among_those_who_are_there)
{
    static const struct presence v[] = {{.user = 1}, {.user = 3}, {.user = 9}};
    const struct presence_set set = {countof(v), v};
    CHECK_TRUE(presence_find(set, 3) == &v[1]);
    CHECK_TRUE(!presence_find(set, 4) && !presence_find((struct presence_set){0}, 1));
}

TEST(his_own_sessions_are_shown_as_they_are)
{
    struct buf b = {0};
    const struct online row = {.status = PRESENCE_INVISIBLE, .client = BYTES("desktop")};
    presence_session_json(&b, BYTES("abc"), &row, true);
    buf_char(&b, 0);
    CHECK_STR(b.p, "{\"session_id\":\"abc\",\"status\":\"invisible\",\"activities\":[],\"hidden_activities\":[],"
                   "\"client_info\":{\"client\":\"desktop\",\"os\":\"unknown\",\"version\":0},\"active\":true}");
    buf_fini(&b);
}

MAIN
