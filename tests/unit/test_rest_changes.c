// rest: what changes guilds and who sits in their voice channels: each request with the command that comes of it, or
// why there is none. ann (11) and bob (22), the bot dj (44); a 1:1 channel 900 of ann and bob, guild 100 with the voice
// channel 120, in which cat (33) is not; who may do what there is not asked here.
#include "check.h"
#include "errors.h"
#include "rest.h"

#include <inttypes.h>

enum { NOBODY = 0, ANN = 11, BOB = 22, CAT = 33, DJ = 44 };

static struct arena arena;

static const struct user people[] = {
    {.id = ANN, .username = {"ann", 3}},
    {.id = BOB, .username = {"bob", 3}},
    {.id = DJ, .username = {"dj", 2}, .bot = true},
};
static const uint64_t dm_users[] = {ANN, BOB};
static const struct loaded_channel places[] = {
    {.version = 3, .channel = {.id = 900, .type = CHANNEL_DM, .recipients = {2, dm_users}}},
    {.channel = {.id = 120, .type = CHANNEL_VOICE, .guild = 100}},
};

static const struct role everyone = {.id = 100, .name = {"@everyone", 9}, .permissions = 1024};
static const struct guild_channel hall = {.id = 120, .type = CHANNEL_VOICE, .name = {"Hall", 4}};
static const struct member members[] = {{.user = ANN}, {.user = BOB}, {.user = DJ}};
static const struct loaded_guild club = {.guild = {.id = 100, .name = {"Club", 4}, .owner = ANN},
                                         .roles = {1, &everyone},
                                         .n_channels = 1,
                                         .channels = &hall,
                                         .n_members = countof(members),
                                         .members = members};
static const struct world world_of_members = {.n_guilds = 1, .guilds = &club}, world_of_others = {0};

static void load(struct rest_request *r, const struct rest_out *out)
{
    bool another = out->want == REST_LOAD_GUILD && out->guild != 100;
    r->had = out->want;
    r->err = OK;
    r->channel = NULL;
    r->world = r->user == CAT || another ? &world_of_others : &world_of_members;
    r->users = (struct user_set){countof(people), people};
    for (size_t i = 0; out->want == REST_LOAD_CHANNEL && i < countof(places); i++)
        if (places[i].channel.id == out->channel)
            r->channel = &places[i];
    if (out->want == REST_LOAD_CHANNEL && !r->channel)
        r->err = ERR_MISSING;
}

static const char *told(const struct rest_out *out)
{
    struct buf text = {0};
    if (out->want == REST_ANSWER)
        buf_printf(&text, "%d%s%.*s", out->status, out->body.n ? " " : "", BYTES_FMT(out->body));
    else
        CHECK_TRUE(out->want == REST_COMMANDS && out->to == BUS_CALL_MANAGER && out->key == 100);
    for (uint32_t i = 0; out->want == REST_COMMANDS && i < out->n; i++) {
        struct buf packed = {0};
        schema_pack(&packed, out->commands[i].schema, out->commands[i].v); // what cannot be packed aborts
        buf_fini(&packed);
        schema_print(&text, out->commands[i].schema, out->commands[i].v);
    }
    if (out->want == REST_COMMANDS)
        buf_printf(&text, " -> %d", out->status);
    if (out->then) {
        buf_str(&text, ", then ");
        schema_print(&text, out->then->schema, out->then->v);
    }
    const char *kept = arena_text(&arena, buf_bytes(&text));
    buf_fini(&text);
    return kept;
}

static struct rest_out asked(uint64_t user, const char *method, const char *path, const char *body)
{
    struct rest_request r = {.method = method,
                             .path = arena_printf(&arena, "/api/v10%s", path),
                             .content_type = BYTES("application/json"),
                             .body = bytes_of(body),
                             .user = user};
    struct rest_out out;
    for (int steps = 0; steps < 5; steps++) {
        rest_step(&arena, &r, &out);
        if (out.want == REST_ANSWER || out.want == REST_COMMANDS)
            break;
        load(&r, &out);
    }
    return out;
}

struct row {
    uint64_t user;
    const char *method, *path, *body, *want;
};
static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct rest_out out = asked(rows[i].user, rows[i].method, rows[i].path, rows[i].body);
        const char *got = told(&out);
        if (strcmp(got, rows[i].want) != 0)
            printf("row %zu: %s %s %s\n", i, rows[i].method, rows[i].path, rows[i].body);
        CHECK_STR(got, rows[i].want);
    }
    arena_fini(&arena);
}
#define E10007 "404 {\"message\":\"Unknown Member\",\"code\":10007}"
#define E10004 "404 {\"message\":\"Unknown Guild\",\"code\":10004}"
#define E10003 "404 {\"message\":\"Unknown Channel\",\"code\":10003}"
#define E10011 "404 {\"message\":\"Unknown Role\",\"code\":10011}"
#define E10049 "404 {\"message\":\"Unknown Stream\",\"code\":10049}"
#define E50024 "400 {\"message\":\"Cannot execute action on this channel type\",\"code\":50024}"
#define CHECK_ROWS(rows) check((rows), countof(rows))

TEST(members_are_edited_and_removed)
{
    static const struct row rows[] = {
        {ANN, "PATCH", "/guilds/100/members/22", "{\"mute\":true}",
         "member_edit{user=11 guild=100 target=22 set=1 to=member{user=22 roles=[] joined_at=0 nick=\"\" mute=true "
         "deaf=false disabled_until=0} channel=0} -> 200"},
        {ANN, "PATCH", "/guilds/100/members/22", "{\"mute\":false,\"deaf\":true,\"channel_id\":null}",
         "member_edit{user=11 guild=100 target=22 set=7 to=member{user=22 roles=[] joined_at=0 nick=\"\" mute=false "
         "deaf=true disabled_until=0} channel=0} -> 200"},
        {DJ, "PATCH", "/guilds/100/members/22", "{\"channel_id\":\"120\",\"nick\":\"B\"}",
         "member_edit{user=44 guild=100 target=22 set=12 to=member{user=22 roles=[] joined_at=0 nick=\"B\" mute=false "
         "deaf=false disabled_until=0} channel=120} -> 200"},
        {DJ, "PATCH", "/guilds/100/members/22", "{\"nick\":null,\"roles\":[\"101\",102]}",
         "member_edit{user=44 guild=100 target=22 set=24 to=member{user=22 roles=[101,102] joined_at=0 nick=\"\" "
         "mute=false deaf=false disabled_until=0} channel=0} -> 200"},
        {DJ, "PATCH", "/guilds/100/members/22",
         "{\"communication_disabled_until\":\"2022-04-20T18:36:07.383000+00:00\"}",
         "member_edit{user=44 guild=100 target=22 set=32 to=member{user=22 roles=[] joined_at=0 nick=\"\" mute=false "
         "deaf=false disabled_until=1650479767383} channel=0} -> 200"},
        {DJ, "PATCH", "/guilds/100/members/22", "{\"communication_disabled_until\":null}",
         "member_edit{user=44 guild=100 target=22 set=32 to=member{user=22 roles=[] joined_at=0 nick=\"\" mute=false "
         "deaf=false disabled_until=0} channel=0} -> 200"},
        {DJ, "PATCH", "/guilds/100/members/22", "{\"communication_disabled_until\":\"soon\"}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"communication_disabled_until\":{\"_errors\":[{\"code\":\"DATE_TIME_TYPE_"
         "PARSE\",\"message\":\"Could not parse. Should be ISO8601.\"}]}}}"},
        {DJ, "PATCH", "/guilds/100/members/22", "{\"roles\":[\"x\"]}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"roles\":{\"0\":{\"_errors\":[{\"code\":\"NUMBER_TYPE_COERCE\","
         "\"message\":\"Value is not snowflake.\"}]}}}}"},
        {ANN, "PATCH", "/guilds/100/members/@me", "{\"nick\":\"A\"}",
         "member_edit{user=11 guild=100 target=11 set=8 to=member{user=11 roles=[] joined_at=0 nick=\"A\" mute=false "
         "deaf=false disabled_until=0} channel=0} -> 200"},
        {ANN, "PATCH", "/guilds/100/members/0", "{}", E10007},
        {ANN, "PATCH", "/guilds/0/members/22", "{}", E10004},
        {ANN, "PATCH", "/guilds/100/members/x", "{}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"user_id\":{\"_errors\":[{\"code\":\"NUMBER_TYPE_COERCE\",\"message\":"
         "\"Value is not snowflake.\"}]}}}"},
        {ANN, "DELETE", "/guilds/100/members/22", "", "member_remove{user=11 guild=100 target=22} -> 204"},
        {ANN, "DELETE", "/users/@me/guilds/100", "{\"lurking\":false}",
         "member_remove{user=11 guild=100 target=11} -> 204"},
    };
    CHECK_ROWS(rows);
}

TEST(a_guild_is_edited)
{
    static const struct row rows[] = {
        {ANN, "PATCH", "/guilds/100", "{\"name\":\"New\",\"afk_channel_id\":null,\"afk_timeout\":300}",
         "guild_edit{user=11 guild=100 set=25 to=guild{id=100 name=\"New\" icon=\"\" owner=0 afk_channel=0 "
         "afk_timeout=300 description=\"\" video_max=0 stage_video_max=0}} -> 200"},
        {ANN, "PATCH", "/guilds/100", "{\"owner_id\":\"22\",\"icon\":null,\"description\":\"d\"}",
         "guild_edit{user=11 guild=100 set=38 to=guild{id=100 name=\"\" icon=\"\" owner=22 afk_channel=0 afk_timeout=0 "
         "description=\"d\" video_max=0 stage_video_max=0}} -> 200"},
        {ANN, "PATCH", "/guilds/100", "{\"name\":null}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"name\":{\"_errors\":[{\"code\":\"STRING_TYPE_CONVERT\",\"message\":"
         "\"Could not interpret value as string.\"}]}}}"},
    };
    CHECK_ROWS(rows);
}

TEST(channels_of_guilds)
{
    static const struct row rows[] = {
        {ANN, "POST", "/guilds/100/channels", "{\"name\":\"Hall\",\"type\":2}",
         "channel_put{user=11 guild=100 set=2049 to=guild_channel{id=0 type=2 name=\"Hall\" position=0 parent=0 "
         "bitrate=0 user_limit=0 rtc_region=\"\" overwrites=[] topic=\"\" nsfw=false rate_limit=0 video_quality=0} "
         "only=0} -> 201"},
        {ANN, "POST", "/guilds/100/channels", "{\"type\":2}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"name\":{\"_errors\":[{\"code\":\"BASE_TYPE_REQUIRED\",\"message\":\"This "
         "field is required\"}]}}}"},
        {ANN, "PATCH", "/channels/120", "{\"rtc_region\":null,\"bitrate\":96000,\"user_limit\":5,\"name\":\"x\"}",
         "channel_put{user=11 guild=100 set=57 to=guild_channel{id=120 type=0 name=\"x\" position=0 parent=0 "
         "bitrate=96000 user_limit=5 rtc_region=\"\" overwrites=[] topic=\"\" nsfw=false rate_limit=0 video_quality=0} "
         "only=0} -> 200"},
        {ANN, "PATCH", "/channels/120",
         "{\"permission_overwrites\":[{\"id\":\"100\",\"type\":0,\"allow\":\"0\",\"deny\":\"1024\"},{\"id\":22,"
         "\"type\":1,\"allow\":1024}]}",
         "channel_put{user=11 guild=100 set=64 to=guild_channel{id=120 type=0 name=\"\" position=0 parent=0 bitrate=0 "
         "user_limit=0 rtc_region=\"\" overwrites=[overwrite{id=100 type=0 allow=0 deny=1024} overwrite{id=22 type=1 "
         "allow=1024 deny=0}] topic=\"\" nsfw=false rate_limit=0 video_quality=0} only=0} -> 200"},
        {ANN, "PATCH", "/channels/120", "{\"permission_overwrites\":[{\"type\":0}]}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"permission_overwrites\":{\"0\":{\"id\":{\"_errors\":[{\"code\":\"BASE_"
         "TYPE_REQUIRED\",\"message\":\"This field is required\"}]}}}}}"},
        {ANN, "PATCH", "/channels/120", "{\"permission_overwrites\":[{\"id\":\"1\",\"type\":\"role\"}]}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"permission_overwrites\":{\"0\":{\"type\":{\"_errors\":[{\"code\":"
         "\"NUMBER_TYPE_COERCE\",\"message\":\"Value is not a whole number.\"}]}}}}}"},
        {ANN, "PATCH", "/channels/120",
         "{\"parent_id\":\"130\",\"position\":3,\"topic\":\"t\",\"nsfw\":true,\"rate_limit_per_user\":5,\"video_"
         "quality_mode\":2}",
         "channel_put{user=11 guild=100 set=1926 to=guild_channel{id=120 type=0 name=\"\" position=3 parent=130 "
         "bitrate=0 user_limit=0 rtc_region=\"\" overwrites=[] topic=\"t\" nsfw=true rate_limit=5 video_quality=2} "
         "only=0} -> 200"},
        {ANN, "PATCH", "/channels/777", "{}", E10003},
        {ANN, "DELETE", "/channels/120", "", "channel_delete{user=11 guild=100 channel=120} -> 200"},
    };
    CHECK_ROWS(rows);
}

TEST(a_guild_is_deleted_and_then_forgotten)
{
    static const struct row rows[] = {
        {ANN, "DELETE", "/guilds/100", "",
         "guild_delete{user=11 guild=100} -> 204, then guild_forget{guild=100 owner=11 name=\"Club\"}"},
        {CAT, "DELETE", "/guilds/100", "", E10004},
        {ANN, "DELETE", "/guilds/0", "", E10004},
    };
    CHECK_ROWS(rows);
    static const struct {
        int64_t err;
        int status;
    } ends[] = {{OK, 204}, {10004, 404}, {50013, 403}, {ERR_TIMEOUT, 503}};
    for (size_t i = 0; i < countof(ends); i++) {
        struct rest_out out = asked(ANN, "DELETE", "/guilds/100", ""), end;
        const struct answer answer = {.err = ends[i].err}, *answers[] = {&answer};
        struct rest_request r = {.user = ANN};
        CHECK_TRUE(rest_answered(&arena, &r, &out, answers, &end));
        CHECK_EQ(end.status, ends[i].status);
        CHECK_EQ(end.then != NULL, ends[i].err == OK); // of one that stands nothing is to be forgotten
    }
    arena_fini(&arena);
}

TEST(one_overwrite_is_put_or_taken_away_alone)
{
    static const struct row rows[] = {
        {ANN, "PUT", "/channels/120/permissions/101", "{\"type\":0,\"allow\":\"1024\",\"deny\":\"0\"}",
         "channel_put{user=11 guild=100 set=64 to=guild_channel{id=120 type=2 name=\"\" position=0 parent=0 bitrate=0 "
         "user_limit=0 rtc_region=\"\" overwrites=[overwrite{id=101 type=0 allow=1024 deny=0}] topic=\"\" nsfw=false "
         "rate_limit=0 video_quality=0} only=101} -> 204"},
        {ANN, "PUT", "/channels/120/permissions/22", "{\"type\":1,\"deny\":\"2097152\"}",
         "channel_put{user=11 guild=100 set=64 to=guild_channel{id=120 type=2 name=\"\" position=0 parent=0 bitrate=0 "
         "user_limit=0 rtc_region=\"\" overwrites=[overwrite{id=22 type=1 allow=0 deny=2097152}] topic=\"\" nsfw=false "
         "rate_limit=0 video_quality=0} only=22} -> 204"},
        {ANN, "PUT", "/channels/120/permissions/22", "{\"type\":2}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"type\":{\"_errors\":[{\"code\":\"NUMBER_TYPE_MAX\",\"message\":\"Value "
         "is too great.\"}]}}}"},
        {ANN, "PUT", "/channels/120/permissions/0", "{\"type\":1}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"overwrite_id\":{\"_errors\":[{\"code\":\"NUMBER_TYPE_COERCE\","
         "\"message\":\"Value is not snowflake.\"}]}}}"},
        {ANN, "PUT", "/channels/900/permissions/22", "{\"type\":1}", E50024},
        {CAT, "PUT", "/channels/900/permissions/22", "{\"type\":1}", E10003},
        {ANN, "DELETE", "/channels/120/permissions/101", "",
         "channel_put{user=11 guild=100 set=64 to=guild_channel{id=120 type=2 name=\"\" position=0 parent=0 bitrate=0 "
         "user_limit=0 rtc_region=\"\" overwrites=[] topic=\"\" nsfw=false rate_limit=0 video_quality=0} only=101} -> "
         "204"},
        {ANN, "DELETE", "/channels/777/permissions/101", "", E10003},
        // Who may not view it learns nothing, whatever he says.
        {CAT, "PUT", "/channels/120/permissions/22", "{\"type\":1}", E10003},
        {CAT, "PUT", "/channels/120/permissions/22", "{\"type\":7}", E10003},
        {CAT, "PUT", "/channels/120/permissions/22", "x", E10003},
        {CAT, "DELETE", "/channels/120/permissions/22", "", E10003},
        {CAT, "PATCH", "/channels/120", "{\"name\":7}", E10003},
        {CAT, "DELETE", "/channels/120", "", E10003},
    };
    CHECK_ROWS(rows);
}

TEST(channels_are_put_into_an_order_at_once)
{
#define PUT(set, id, position, parent)                                                                                 \
    "channel_put{user=11 guild=100 set=" set " to=guild_channel{id=" id " type=0 name=\"\" position=" position         \
    " parent=" parent " bitrate=0 user_limit=0 rtc_region=\"\" overwrites=[] topic=\"\" nsfw=false rate_limit=0 "      \
    "video_quality=0} only=0}"
    static const struct row rows[] = {
        {ANN, "PATCH", "/guilds/100/channels",
         "[{\"id\":\"120\",\"position\":2},{\"id\":121,\"position\":1,\"parent_id\":\"130\",\"lock_permissions\":true}"
         "]",
         PUT("2", "120", "2", "0") PUT("6", "121", "1", "130") " -> 204"},
        {ANN, "PATCH", "/guilds/100/channels", "[]", "204"},
        {ANN, "PATCH", "/guilds/100/channels", "[{\"position\":2}]",
         "400 {\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"0\":{\"id\":{\"_errors\":[{\"code\":"
         "\"BASE_TYPE_REQUIRED\",\"message\":\"This field is required\"}]}}}}"},
        {ANN, "PATCH", "/guilds/100/channels", "[{\"id\":\"x\"}]",
         "400 {\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"0\":{\"id\":{\"_errors\":[{\"code\":"
         "\"NUMBER_TYPE_COERCE\",\"message\":\"Value is not snowflake.\"}]}}}}"},
        {ANN, "PATCH", "/guilds/100/channels", "{}",
         "400 {\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"_errors\":[{\"code\":"
         "\"LIST_TYPE_CONVERT\",\"message\":\"Only iterables may be used in a ListType\"}]}}"},
        {ANN, "PATCH", "/guilds/100/channels", "",
         "400 {\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"_errors\":[{\"code\":"
         "\"LIST_TYPE_CONVERT\",\"message\":\"Only iterables may be used in a ListType\"}]}}"},
        {ANN, "PATCH", "/guilds/100/channels", "[],\"items\":[{\"id\":1}]",
         "400 {\"message\":\"The request body contains invalid JSON.\",\"code\":50109}"},
        {ANN, "PATCH", "/guilds/0/channels", "[]", E10004},
    };
    CHECK_ROWS(rows);
}

TEST(roles)
{
    static const struct row rows[] = {
        {ANN, "POST", "/guilds/100/roles", "",
         "role_put{user=11 guild=100 set=1 to=role{id=0 name=\"new role\" permissions=0 position=0 color=0 hoist=false "
         "mentionable=false}} -> 200"},
        {ANN, "POST", "/guilds/100/roles",
         "{\"name\":\"Mods\",\"permissions\":\"8\",\"color\":255,\"hoist\":true,\"mentionable\":true}",
         "role_put{user=11 guild=100 set=31 to=role{id=0 name=\"Mods\" permissions=8 position=0 color=255 hoist=true "
         "mentionable=true}} -> 200"},
        {ANN, "PATCH", "/guilds/100/roles/101", "{\"colors\":{\"primary_color\":16711680,\"secondary_color\":null}}",
         "role_put{user=11 guild=100 set=4 to=role{id=101 name=\"\" permissions=0 position=0 color=16711680 "
         "hoist=false mentionable=false}} -> 200"},
        {ANN, "PATCH", "/guilds/100/roles/101", "{\"colors\":{\"primary_color\":16777216}}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"colors\":{\"primary_color\":{\"_errors\":[{\"code\":\"NUMBER_TYPE_MAX\","
         "\"message\":\"Value is too great.\"}]}}}}"},
        {ANN, "PATCH", "/guilds/100/roles/101", "{\"permissions\":2097152,\"name\":null}",
         "role_put{user=11 guild=100 set=2 to=role{id=101 name=\"\" permissions=2097152 position=0 color=0 hoist=false "
         "mentionable=false}} -> 200"},
        {ANN, "PATCH", "/guilds/100/roles/0", "{}", E10011},
        {ANN, "DELETE", "/guilds/100/roles/101", "", "role_delete{user=11 guild=100 role=101} -> 204"},
        {ANN, "DELETE", "/guilds/100/roles/0", "", E10011},
    };
    CHECK_ROWS(rows);
}

TEST(voice_states_and_statuses)
{
    static const struct row rows[] = {
        {ANN, "PATCH", "/guilds/100/voice-states/@me",
         "{\"channel_id\":\"120\",\"request_to_speak_timestamp\":\"2022-04-20T18:36:07Z\"}",
         "voice_state_edit{user=11 guild=100 target=11 set=6 channel=120 suppress=false request_at=1650479767000} -> "
         "204"},
        {DJ, "PATCH", "/guilds/100/voice-states/@me", "{\"suppress\":false}",
         "voice_state_edit{user=44 guild=100 target=44 set=1 channel=0 suppress=false request_at=0} -> 204"},
        {DJ, "PATCH", "/guilds/100/voice-states/@me", "{\"request_to_speak_timestamp\":null}",
         "voice_state_edit{user=44 guild=100 target=44 set=2 channel=0 suppress=false request_at=0} -> 204"},
        {DJ, "PATCH", "/guilds/100/voice-states/@me", "{\"request_to_speak_timestamp\":5}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"request_to_speak_timestamp\":{\"_errors\":[{\"code\":\"DATE_TIME_TYPE_"
         "PARSE\",\"message\":\"Could not parse. Should be ISO8601.\"}]}}}"},
        {ANN, "PATCH", "/guilds/100/voice-states/22", "{\"channel_id\":\"120\",\"suppress\":true}",
         "voice_state_edit{user=11 guild=100 target=22 set=5 channel=120 suppress=true request_at=0} -> 204"},
        {ANN, "PATCH", "/guilds/100/voice-states/0", "{}", E10007},
        {ANN, "PUT", "/channels/120/voice-status", "{\"status\":\"hi\"}",
         "status_put{user=11 guild=100 channel=120 status=\"hi\"} -> 204"},
        {ANN, "PUT", "/channels/120/voice-status", "{\"status\":null}",
         "status_put{user=11 guild=100 channel=120 status=\"\"} -> 204"},
        {ANN, "PUT", "/channels/120/voice-status", "{\"status\":\"\"}",
         "status_put{user=11 guild=100 channel=120 status=\"\"} -> 204"},
        {ANN, "PUT", "/channels/900/voice-status", "{}", E50024},
        {CAT, "PUT", "/channels/120/voice-status", "{\"status\":7}", E10003},
    };
    CHECK_ROWS(rows);
}

TEST(stages)
{
    static const struct row rows[] = {
        {DJ, "POST", "/stage-instances",
         "{\"channel_id\":\"120\",\"topic\":\"t\",\"privacy_level\":2,\"send_start_notification\":false}",
         "stage_put{user=44 guild=100 channel=120 opens=true set=3 to=stage{id=0 channel=120 topic=\"t\" privacy=2 "
         "discoverable_disabled=false silent_at=0}} -> 200"},
        {DJ, "POST", "/stage-instances", "{\"channel_id\":\"120\"}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"topic\":{\"_errors\":[{\"code\":\"BASE_TYPE_REQUIRED\",\"message\":"
         "\"This field is required\"}]}}}"},
        {DJ, "POST", "/stage-instances", "{\"topic\":\"t\"}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"channel_id\":{\"_errors\":[{\"code\":\"BASE_TYPE_REQUIRED\",\"message\":"
         "\"This field is required\"}]}}}"},
        {DJ, "POST", "/stage-instances", "{\"channel_id\":\"900\",\"topic\":\"t\"}", E10003},
        {DJ, "PATCH", "/stage-instances/120", "{\"topic\":\"u\"}",
         "stage_put{user=44 guild=100 channel=120 opens=false set=1 to=stage{id=0 channel=120 topic=\"u\" privacy=0 "
         "discoverable_disabled=false silent_at=0}} -> 200"},
        {DJ, "DELETE", "/stage-instances/120", "", "stage_delete{user=44 guild=100 channel=120} -> 204"},
        {DJ, "DELETE", "/stage-instances/777", "", E10003},
        {CAT, "DELETE", "/stage-instances/120", "", E10003},
        {CAT, "PATCH", "/stage-instances/120", "{\"topic\":7}", E10003},
        {CAT, "POST", "/stage-instances", "{\"channel_id\":\"120\",\"topic\":\"t\"}", E10003},
    };
    CHECK_ROWS(rows);
}

TEST(what_there_is_none_of)
{
    static const struct row rows[] = {
        {DJ, "GET", "/soundboard-default-sounds", "", "200 []"},
        {ANN, "PUT", "/voice/public-keys", "{\"key_version\":1,\"public_key\":\"data:,x\",\"signature\":\"data:,y\"}",
         "204"},
        {ANN, "PUT", "/voice/public-keys", "{\"key_version\":1}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"public_key\":{\"_errors\":[{\"code\":\"BASE_TYPE_REQUIRED\",\"message\":"
         "\"This field is required\"}]}}}"},
        {ANN, "PUT", "/voice/public-keys", "{}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"key_version\":{\"_errors\":[{\"code\":\"BASE_TYPE_REQUIRED\",\"message\":"
         "\"This field is required\"}]}}}"},
        {ANN, "POST", "/voice/22/match-public-key", "{\"key_version\":1,\"public_key\":\"data:,x\"}",
         "200 {\"is_match\":false}"},
        {ANN, "POST", "/voice/x/match-public-key", "{}",
         "400 {\"message\":\"Invalid Form "
         "Body\",\"code\":50035,\"errors\":{\"user_id\":{\"_errors\":[{\"code\":\"NUMBER_TYPE_COERCE\",\"message\":"
         "\"Value is not snowflake.\"}]}}}"},
        {ANN, "PATCH", "/streams/guild:100:120:22/stream", "{\"paused\":true}", E10049},
        {ANN, "GET", "/streams/guild:100:120:22/preview", "", E10049},
        {ANN, "POST", "/streams/guild:100:120:22/preview", "", E10049},
        {ANN, "POST", "/streams/guild:100:120:22/notify", "", E10049},
    };
    CHECK_ROWS(rows);
}

MAIN
