// admin: guilds. What each request asks for first, and the command that comes of what it is told: of guild 100 with the
// roles 100, 101 and 102, the channels 110 to 113, two of one name; and of ben, who is 22.
#include "admin_told.h"
#include "check.h"
#include "errors.h"

#include <inttypes.h>

#define NOW 1700000000000ull
#define GUILD                                                                                                          \
    "{\"id\":\"100\",\"name\":\"Demo\",\"owner_id\":\"11\",\"roles\":[{\"id\":\"100\",\"name\":\"@everyone\"},{"       \
    "\"id\":\"101\",\"name\":"                                                                                         \
    "\"Mods\"},{\"id\":\"102\",\"name\":\"Guests\"}],\"channels\":[{\"id\":\"110\",\"name\":\"general\",\"type\":0},"  \
    "{\"id\":\"111\",\"name\":\"Lounge\",\"type\":2},{\"id\":\"112\",\"name\":\"Twin\",\"type\":2},{\"id\":\"113\","   \
    "\"name\":\"Twin\",\"type\":0}],\"member_count\":3}"
#define BEN "{\"id\":\"22\",\"username\":\"ben\"}"

static struct admin_clock watch;

static struct admin_request request(const char *method, const char *path, const char *body)
{
    const char *question = strchr(path, '?');
    return (struct admin_request){.method = method,
                                  .path = {path, question ? (size_t)(question - path) : strlen(path)},
                                  .query = question ? bytes_of(question + 1) : BYTES_NONE,
                                  .content_type = BYTES("application/json"),
                                  .authorization = BYTES("Bearer 0123456789abcdef"),
                                  .body = bytes_of(body),
                                  .admin_token = BYTES("0123456789abcdef"),
                                  .clock = &watch,
                                  .now = NOW};
}

// What comes of the next stage: the guild is found, and ben, and whoever is asked further says `said`.
static const char *next(struct admin_request *r, struct admin_out *out, int64_t err, const char *said)
{
    const struct answer guild = {.body = BYTES(GUILD)}, ben = {.body = BYTES(BEN)};
    const struct answer other = {.err = err, .body = bytes_of(said)};
    const struct answer *answers[ADMIN_COMMANDS_MAX] = {0};
    for (uint32_t i = 0; i < out->n; i++)
        answers[i] = out->commands[i].schema == &schema_guild_find  ? &guild
                     : out->commands[i].schema == &schema_user_find ? &ben
                                                                    : &other;
    admin_step(&arena, r, answers, out);
    return told(out);
}

// What a request comes to once the guild, and the user, is found.
static const char *asks(const char *method, const char *path, const char *body)
{
    struct admin_request r = request(method, path, body);
    struct admin_out out;
    admin_step(&arena, &r, NULL, &out);
    if (out.status || !out.n || out.commands[0].schema != &schema_guild_find)
        return told(&out);
    return next(&r, &out, OK, "");
}

struct row {
    const char *method, *path, *body, *want;
};
static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = asks(rows[i].method, rows[i].path, rows[i].body);
        if (strcmp(got, rows[i].want) != 0)
            printf("row %zu: %s %s %s\n", i, rows[i].method, rows[i].path, rows[i].body);
        CHECK_STR(got, rows[i].want);
    }
    arena_fini(&arena);
}
#define CHECK_ROWS(rows) check((rows), countof(rows))

TEST(guilds_are_shown_and_edited)
{
    static const struct row rows[] = {
        {"GET", "/admin/guilds", "",
         "0 directory_list{users_only=false guilds_only=true channels_only=false after=0 limit=0}"},
        {"GET", "/admin/guilds/Demo", "", "200 " GUILD},
        {"PATCH", "/admin/guilds/Demo",
         "{\"name\":\"New\",\"owner\":\"ben\",\"afk_channel\":\"Lounge\",\"afk_timeout\":300}",
         "call-manager 100 guild_edit{user=0 guild=100 set=29 to=guild{id=100 name=\"New\" icon=\"\" owner=22 "
         "afk_channel=111 afk_timeout=300 description=\"\" video_max=0 stage_video_max=0}}"},
        {"PATCH", "/admin/guilds/100",
         "{\"afk_channel\":null,\"description\":null,\"max_video_channel_users\":5,\"max_stage_video_channel_users\":"
         "6}",
         "call-manager 100 guild_edit{user=0 guild=100 set=232 to=guild{id=100 name=\"\" icon=\"\" owner=0 "
         "afk_channel=0 afk_timeout=0 description=\"\" video_max=5 stage_video_max=6}}"},
        {"PATCH", "/admin/guilds/100", "{\"afk_channel\":\"none\"}",
         "404 {\"message\":\"Unknown Channel\",\"code\":10003}"},
        {"PATCH", "/admin/guilds/100", "{\"afk_channel\":\"Twin\"}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"channels\":{\"_errors\":[{\"code\":\"NAME_AMBIGUOUS\",\"message\":"
         "\"Several have this name: say its id.\"}]}}}"},
        {"PATCH", "/admin/guilds/100", "{\"name\":null}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"name\":{\"_errors\":[{\"code\":\"STRING_TYPE_CONVERT\",\"message\":"
         "\"Could not interpret value as string.\"}]}}}"},
        {"POST", "/admin/guilds", "{\"name\":\"New\",\"owner\":\"ben\"}", "0 world_load{document=<41 bytes>}"},
    };
    CHECK_ROWS(rows);
}

TEST(members)
{
    static const struct row rows[] = {
        {"GET", "/admin/guilds/Demo/members?after=5&limit=10", "", "0 guild_members{guild=100 after=5 limit=10}"},
        {"GET", "/admin/guilds/Demo/members", "", "0 guild_members{guild=100 after=0 limit=1000}"},
        {"GET", "/admin/guilds/Demo/members?limit=0", "",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"limit\":{\"_errors\":[{\"code\":\"NUMBER_TYPE_RANGE\",\"message\":\"int "
         "value should be between 1 and 1000.\"}]}}}"},
        {"PUT", "/admin/guilds/Demo/members/ben", "", "0 world_load{document=<42 bytes>}"},
        {"PUT", "/admin/guilds/Demo/members/ben", "{\"roles\":[\"None\"]}",
         "404 {\"message\":\"Unknown Role\",\"code\":10011}"},
        {"PATCH", "/admin/guilds/Demo/members/ben",
         "{\"nick\":\"B\",\"roles\":[\"Mods\",\"102\"],\"mute\":true,\"deaf\":false}",
         "call-manager 100 member_edit{user=0 guild=100 target=22 set=27 to=member{user=22 roles=[101,102] joined_at=0 "
         "nick=\"B\" mute=true deaf=false disabled_until=0} channel=0}"},
        {"PATCH", "/admin/guilds/Demo/members/ben", "{\"channel\":\"Lounge\",\"nick\":\"\"}",
         "call-manager 100 member_edit{user=0 guild=100 target=22 set=12 to=member{user=22 roles=[] joined_at=0 "
         "nick=\"\" mute=false deaf=false disabled_until=0} channel=111}"},
        {"PATCH", "/admin/guilds/Demo/members/ben", "{\"channel\":\"113\",\"nick\":null}",
         "call-manager 100 member_edit{user=0 guild=100 target=22 set=12 to=member{user=22 roles=[] joined_at=0 "
         "nick=\"\" mute=false deaf=false disabled_until=0} channel=113}"},
        {"PATCH", "/admin/guilds/Demo/members/ben", "{\"channel\":null,\"timeout\":60}",
         "call-manager 100 member_edit{user=0 guild=100 target=22 set=36 to=member{user=22 roles=[] joined_at=0 "
         "nick=\"\" mute=false deaf=false disabled_until=1700000060000} channel=0}"},
        {"PATCH", "/admin/guilds/Demo/members/ben", "{\"timeout\":0}",
         "call-manager 100 member_edit{user=0 guild=100 target=22 set=32 to=member{user=22 roles=[] joined_at=0 "
         "nick=\"\" mute=false deaf=false disabled_until=0} channel=0}"},
        {"PATCH", "/admin/guilds/Demo/members/ben", "{\"timeout\":2419201}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"timeout\":{\"_errors\":[{\"code\":\"NUMBER_TYPE_MAX\",\"message\":"
         "\"Value is too great.\"}]}}}"},
        {"DELETE", "/admin/guilds/Demo/members/ben", "", "call-manager 100 member_remove{user=0 guild=100 target=22}"},
    };
    CHECK_ROWS(rows);
}

TEST(roles)
{
    static const struct row rows[] = {
        {"POST", "/admin/guilds/Demo/roles",
         "{\"name\":\"Staff\",\"permissions\":[\"MOVE_MEMBERS\",\"MUTE_MEMBERS\"],\"color\":255,\"hoist\":true,"
         "\"mentionable\":true,\"position\":2}",
         "call-manager 100 role_put{user=0 guild=100 set=63 to=role{id=0 name=\"Staff\" permissions=20971520 "
         "position=2 color=255 hoist=true mentionable=true}}"},
        {"POST", "/admin/guilds/Demo/roles", "{}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"name\":{\"_errors\":[{\"code\":\"BASE_TYPE_REQUIRED\",\"message\":\"This "
         "field is required\"}]}}}"},
        {"POST", "/admin/guilds/Demo/roles", "{\"name\":\"Staff\",\"permissions\":[\"FLY\"]}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"permissions\":{\"0\":{\"_errors\":[{\"code\":\"BASE_TYPE_CHOICES\","
         "\"message\":\"There is no permission of that name.\"}]}}}}"},
        {"PATCH", "/admin/guilds/Demo/roles/@everyone", "{\"permissions\":[]}",
         "call-manager 100 role_put{user=0 guild=100 set=2 to=role{id=100 name=\"\" permissions=0 position=0 color=0 "
         "hoist=false mentionable=false}}"},
        {"PATCH", "/admin/guilds/Demo/roles/103", "{}", "404 {\"message\":\"Unknown Role\",\"code\":10011}"},
        {"DELETE", "/admin/guilds/Demo/roles/Mods", "", "call-manager 100 role_delete{user=0 guild=100 role=101}"},
        {"DELETE", "/admin/guilds/Demo/roles/None", "", "404 {\"message\":\"Unknown Role\",\"code\":10011}"},
    };
    CHECK_ROWS(rows);
}

TEST(channels)
{
    static const struct row rows[] = {
        {"POST", "/admin/guilds/Demo/channels",
         "{\"name\":\"Hall\",\"type\":\"voice\",\"parent\":\"general\",\"user_limit\":5,\"bitrate\":64000,\"rtc_"
         "region\":\"ams\"}",
         "call-manager 100 channel_put{user=0 guild=100 set=2109 to=guild_channel{id=0 type=2 name=\"Hall\" position=0 "
         "parent=110 bitrate=64000 user_limit=5 rtc_region=\"ams\" overwrites=[] topic=\"\" nsfw=false rate_limit=0 "
         "video_quality=0} only=0}"},
        {"POST", "/admin/guilds/Demo/channels", "{\"name\":\"Hall\",\"type\":\"dm\"}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"type\":{\"_errors\":[{\"code\":\"BASE_TYPE_CHOICES\",\"message\":\"Value "
         "must be one of (text, voice, category, stage).\"}]}}}"},
        {"POST", "/admin/guilds/Demo/channels", "{}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"name\":{\"_errors\":[{\"code\":\"BASE_TYPE_REQUIRED\",\"message\":\"This "
         "field is required\"}]}}}"},
        {"PATCH", "/admin/guilds/Demo/channels/Lounge",
         "{\"rtc_region\":null,\"parent\":null,\"position\":3,\"topic\":\"t\",\"nsfw\":true,\"slowmode\":5,\"video_"
         "quality\":2}",
         "call-manager 100 channel_put{user=0 guild=100 set=1958 to=guild_channel{id=111 type=0 name=\"\" position=3 "
         "parent=0 bitrate=0 user_limit=0 rtc_region=\"\" overwrites=[] topic=\"t\" nsfw=true rate_limit=5 "
         "video_quality=2} only=0}"},
        {"PATCH", "/admin/guilds/Demo/channels/Twin", "{}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"channels\":{\"_errors\":[{\"code\":\"NAME_AMBIGUOUS\",\"message\":"
         "\"Several have this name: say its id.\"}]}}}"},
        {"DELETE", "/admin/guilds/Demo/channels/112", "",
         "call-manager 100 channel_delete{user=0 guild=100 channel=112}"},
        {"DELETE", "/admin/guilds/Demo/channels/none", "", "404 {\"message\":\"Unknown Channel\",\"code\":10003}"},
    };
    CHECK_ROWS(rows);
}

TEST(overwrites_are_put_one_by_one)
{
    static const struct row rows[] = {
        {"PUT", "/admin/guilds/Demo/channels/Lounge/roles/Mods", "{\"allow\":[\"CONNECT\"],\"deny\":[\"SPEAK\"]}",
         "call-manager 100 channel_put{user=0 guild=100 set=64 to=guild_channel{id=111 type=0 name=\"\" position=0 "
         "parent=0 bitrate=0 user_limit=0 rtc_region=\"\" overwrites=[overwrite{id=101 type=0 allow=1048576 "
         "deny=2097152}] topic=\"\" nsfw=false rate_limit=0 video_quality=0} only=101}"},
        {"PUT", "/admin/guilds/Demo/channels/Lounge/roles/@everyone", "{\"deny\":[\"VIEW_CHANNEL\"]}",
         "call-manager 100 channel_put{user=0 guild=100 set=64 to=guild_channel{id=111 type=0 name=\"\" position=0 "
         "parent=0 bitrate=0 user_limit=0 rtc_region=\"\" overwrites=[overwrite{id=100 type=0 allow=0 deny=1024}] "
         "topic=\"\" nsfw=false rate_limit=0 video_quality=0} only=100}"},
        {"PUT", "/admin/guilds/Demo/channels/Lounge/roles/Mods", "{\"deny\":[\"FLY\"]}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"deny\":{\"0\":{\"_errors\":[{\"code\":\"BASE_TYPE_CHOICES\",\"message\":"
         "\"There is no permission of that name.\"}]}}}}"},
        {"DELETE", "/admin/guilds/Demo/channels/Lounge/roles/Mods", "",
         "call-manager 100 channel_put{user=0 guild=100 set=64 to=guild_channel{id=111 type=0 name=\"\" position=0 "
         "parent=0 bitrate=0 user_limit=0 rtc_region=\"\" overwrites=[] topic=\"\" nsfw=false rate_limit=0 "
         "video_quality=0} only=101}"},
        {"PUT", "/admin/guilds/Demo/channels/Lounge/members/ben", "{\"allow\":[\"CONNECT\"]}",
         "call-manager 100 channel_put{user=0 guild=100 set=64 to=guild_channel{id=111 type=0 name=\"\" position=0 "
         "parent=0 bitrate=0 user_limit=0 rtc_region=\"\" overwrites=[overwrite{id=22 type=1 allow=1048576 deny=0}] "
         "topic=\"\" nsfw=false rate_limit=0 video_quality=0} only=22}"},
        {"DELETE", "/admin/guilds/Demo/channels/none/members/ben", "",
         "404 {\"message\":\"Unknown Channel\",\"code\":10003}"},
        {"DELETE", "/admin/guilds/Demo/channels/110/members/ben", "",
         "call-manager 100 channel_put{user=0 guild=100 set=64 to=guild_channel{id=110 type=0 name=\"\" position=0 "
         "parent=0 bitrate=0 user_limit=0 rtc_region=\"\" overwrites=[] topic=\"\" nsfw=false rate_limit=0 "
         "video_quality=0} only=22}"},
    };
    CHECK_ROWS(rows);
}

TEST(what_cannot_be_is_unknown)
{
    static const struct row rows[] = {
        {"GET", "/admin/guilds/\xff", "", "404 {\"message\":\"Unknown Guild\",\"code\":10004}"},
        {"DELETE", "/admin/guilds/Demo/members/\xff", "", "404 {\"message\":\"Unknown User\",\"code\":10013}"},
        {"POST", "/admin/guilds/Demo", "", "405 {\"message\":\"405: Method Not Allowed\",\"code\":0}"},
        {"PUT", "/admin/guilds/Demo", "", "405 {\"message\":\"405: Method Not Allowed\",\"code\":0}"},
    };
    CHECK_ROWS(rows);
}

TEST(what_the_call_manager_says_is_passed_on)
{
    static const struct {
        int64_t err;
        const char *said, *want;
    } rows[] = {
        {OK, "{\"id\":\"101\"}", "200 {\"id\":\"101\"}"},
        {OK, "", "204"},
        {ERR_STATE, "{\"id\":\"101\"}", "200 {\"id\":\"101\"}"}, // nothing to change
        {ERR_STATE, "", "204"},
        {10011, "", "404 {\"message\":\"Unknown Role\",\"code\":10011}"},
        {50035, "{\"code\":50035}", "400 {\"code\":50035}"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct admin_request r = request("DELETE", "/admin/guilds/Demo/roles/Mods", "");
        struct admin_out out;
        admin_step(&arena, &r, NULL, &out);
        next(&r, &out, OK, "");
        CHECK_STR(next(&r, &out, rows[i].err, rows[i].said), rows[i].want);
    }
    arena_fini(&arena);
}

TEST(a_guild_is_removed_and_then_forgotten_whatever_comes_of_that)
{
    static const int64_t ends[] = {OK, ERR_TIMEOUT};
    for (size_t i = 0; i < countof(ends); i++) {
        struct admin_request r = request("DELETE", "/admin/guilds/Demo", "");
        struct admin_out out;
        admin_step(&arena, &r, NULL, &out);
        CHECK_STR(next(&r, &out, OK, ""), "call-manager 100 guild_delete{user=0 guild=100}");
        CHECK_STR(next(&r, &out, OK, ""), "0 guild_forget{guild=100 owner=11 name=\"Demo\"}");
        CHECK_STR(next(&r, &out, ends[i], ""), "204");
    }
    struct admin_request r = request("DELETE", "/admin/guilds/Demo", "");
    struct admin_out out;
    admin_step(&arena, &r, NULL, &out);
    next(&r, &out, OK, "");
    CHECK_STR(next(&r, &out, 10004, ""), "404 {\"message\":\"Unknown Guild\",\"code\":10004}");
    arena_fini(&arena);
}

TEST(who_is_added_becomes_a_member_first_and_then_what_else_is_said)
{
    struct admin_request r = request("PUT", "/admin/guilds/Demo/members/ben", "{\"roles\":[\"Mods\"]}");
    struct admin_out out;
    admin_step(&arena, &r, NULL, &out);
    CHECK_STR(told(&out), "0 guild_find{name=\"Demo\"} user_find{name=\"ben\"}");
    next(&r, &out, OK, "");
    const struct world_load *load = MSG_IS(&out.commands[0], world_load);
    CHECK_STR(arena_text(&arena, load->document), "{\"guilds\":[{\"id\":\"100\",\"members\":[\"22\"]}]}");
    CHECK_TRUE(out.slow && out.to == BUS_MESSAGE);
    CHECK_STR(
        next(&r, &out, OK, "{\"guilds\":[{}]}"),
        "call-manager 100 member_edit{user=0 guild=100 target=22 set=16 to=member{user=22 roles=[101] joined_at=0 "
        "nick=\"\" mute=false deaf=false disabled_until=0} channel=0}");
    CHECK_STR(next(&r, &out, OK, "{\"roles\":[]}"), "200 {\"roles\":[]}");
    r = request("PUT", "/admin/guilds/Demo/members/ben", "");
    admin_step(&arena, &r, NULL, &out);
    next(&r, &out, OK, "");
    CHECK_STR(next(&r, &out, OK, "{\"guilds\":[{}]}"), "204");
    arena_fini(&arena);
}

TEST(a_new_guild_is_a_world_of_one)
{
    struct admin_request r = request("POST", "/admin/guilds", "{\"name\":\"New\",\"owner\":\"ben\"}");
    struct admin_out out;
    admin_step(&arena, &r, NULL, &out);
    const struct world_load *load = MSG_IS(&out.commands[0], world_load);
    CHECK_STR(arena_text(&arena, load->document), "{\"guilds\":[{\"name\":\"New\",\"owner\":\"ben\"}]}");
    CHECK_STR(next(&r, &out, OK, "{\"guilds\":[{\"id\":\"100\",\"name\":\"New\"}]}"),
              "200 {\"id\":\"100\",\"name\":\"New\"}");
    r = request("POST", "/admin/guilds", "");
    admin_step(&arena, &r, NULL, &out);
    CHECK_STR(next(&r, &out, OK, "{\"guilds\":[]}"), "500 {\"message\":\"500: Internal Server Error\",\"code\":0}");
    arena_fini(&arena);
}

MAIN
