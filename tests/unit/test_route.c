// route: which request a method and a path name, and the ids in the path.
#include "check.h"
#include "route.h"

#include <inttypes.h>

static const char *const names[] = {
#define ROUTE(name, method, path, who, status) #name,
#include "routes.def"
#undef ROUTE
};

// "name", "name 1", "name 1 2", "name !x_id", "404" or "405".
static const char *found(const char *method, const char *path)
{
    static char out[128];
    struct route r = {.row = 9};
    int err = route_api(method, bytes_of(path), &r);
    if (err) {
        snprintf(out, sizeof out, "%d", err);
        CHECK_EQ(r.row, 9);
        return out;
    }
    int n = snprintf(out, sizeof out, "%s", names[r.row]);
    if (r.bad.n) {
        snprintf(out + n, sizeof out - (size_t)n, " !%.*s", BYTES_FMT(r.bad));
        return out;
    }
    for (uint32_t i = 0; i < ROUTE_PARAMS_MAX && r.param[i].n; i++)
        n += snprintf(out + n, sizeof out - (size_t)n, " %" PRIu64, r.id[i]);
    return out;
}

TEST(paths_name_their_requests)
{
    static const struct {
        const char *method, *path, *want;
    } rows[] = {
        {"GET", "/api/gateway", "gateway"},
        {"GET", "/api/v6/gateway", "gateway"},
        {"GET", "/api/v9/gateway", "gateway"},
        {"GET", "/api/v10/gateway", "gateway"},
        {"GET", "/api/v10/gateway/bot", "gateway_bot"},
        {"GET", "/api/v10/oauth2/applications/@me", "application"},
        {"GET", "/api/users/@me", "me"},
        {"HEAD", "/api/users/@me", "me"},
        {"GET", "/api/users/22", "user 22"},
        {"GET", "/api/users/@me/guilds", "my_guilds"},
        {"DELETE", "/api/users/@me/guilds/100", "guild_leave 100"},
        {"GET", "/api/users/@me/channels", "my_channels"},
        {"POST", "/api/users/@me/channels", "channel_open"},
        {"GET", "/api/users/@me/dms/22", "my_dm 22"},
        {"GET", "/api/users/@me/relationships", "relationships"},
        {"PUT", "/api/users/@me/relationships/22", "relationship_put 22"},
        {"DELETE", "/api/users/@me/relationships/22", "relationship_remove 22"},
        {"GET", "/api/users/@me/settings-proto/1", "settings"},
        {"GET", "/api/channels/900", "channel 900"},
        {"PATCH", "/api/channels/900", "channel_edit 900"},
        {"DELETE", "/api/channels/900", "channel_leave 900"},
        {"PUT", "/api/channels/900/recipients/22", "recipient_add 900 22"},
        {"DELETE", "/api/channels/900/recipients/22", "recipient_remove 900 22"},
        {"PUT", "/api/channels/120/permissions/22", "overwrite_put 120 22"},
        {"DELETE", "/api/channels/120/permissions/22", "overwrite_delete 120 22"},
        {"PUT", "/api/channels/120/voice-status", "voice_status 120"},
        {"GET", "/api/channels/900/messages", "message_list 900"},
        {"POST", "/api/channels/900/messages", "message_send 900"},
        {"GET", "/api/channels/900/messages/901", "message_get 900 901"},
        {"PATCH", "/api/channels/900/messages/901", "message_edit 900 901"},
        {"DELETE", "/api/channels/900/messages/901", "message_delete 900 901"},
        {"POST", "/api/channels/900/messages/901/ack", "message_ack 900 901"},
        {"POST", "/api/read-states/ack-bulk", "ack_bulk"},
        {"POST", "/api/channels/900/typing", "typing 900"},
        {"GET", "/api/channels/900/call", "call 900"},
        {"PATCH", "/api/channels/900/call", "call_region 900"},
        {"POST", "/api/channels/900/call/ring", "call_ring 900"},
        {"POST", "/api/channels/900/call/stop-ringing", "call_stop_ringing 900"},
        {"GET", "/api/voice/regions", "regions"},
        {"GET", "/api/v9/voice/regions", "regions"},
        {"GET", "/api/guilds/100/regions", "guild_regions 100"},
        {"GET", "/api/guilds/100", "guild 100"},
        {"GET", "/api/guilds/100/channels", "guild_channels 100"},
        {"GET", "/api/guilds/100/members", "guild_members 100"},
        {"GET", "/api/guilds/100/members/22", "guild_member 100 22"},
        {"PATCH", "/api/guilds/100/members/@me", "my_member_edit 100"},
        {"PATCH", "/api/guilds/100/members/22", "member_edit 100 22"},
        {"DELETE", "/api/guilds/100/members/22", "member_remove 100 22"},
        {"PATCH", "/api/guilds/100", "guild_edit 100"},
        {"POST", "/api/guilds/100/channels", "channel_create 100"},
        {"PATCH", "/api/guilds/100/channels", "channel_positions 100"},
        {"PATCH", "/api/guilds/100/roles", "role_positions 100"},
        {"GET", "/api/guilds/100/roles", "guild_roles 100"},
        {"GET", "/api/guilds/100/roles/101", "guild_role 100 101"},
        {"POST", "/api/guilds/100/roles", "role_create 100"},
        {"PATCH", "/api/guilds/100/roles/101", "role_edit 100 101"},
        {"DELETE", "/api/guilds/100/roles/101", "role_delete 100 101"},
        {"GET", "/api/guilds/100/voice-states/@me", "my_voice_state 100"},
        {"GET", "/api/guilds/100/voice-states/22", "voice_state 100 22"},
        {"PATCH", "/api/guilds/100/voice-states/@me", "my_voice_state_edit 100"},
        {"PATCH", "/api/guilds/100/voice-states/22", "voice_state_edit 100 22"},
        {"POST", "/api/stage-instances", "stage_open"},
        {"GET", "/api/stage-instances/120", "stage 120"},
        {"PATCH", "/api/stage-instances/120", "stage_edit 120"},
        {"DELETE", "/api/stage-instances/120", "stage_close 120"},
        {"GET", "/api/soundboard-default-sounds", "default_sounds"},
        {"PUT", "/api/voice/public-keys", "public_keys"},
        {"POST", "/api/voice/22/match-public-key", "public_key_match 22"},
        {"PATCH", "/api/streams/guild:100:120:22/stream", "stream_edit 0"},
        {"GET", "/api/streams/guild:100:120:22/preview", "stream_preview 0"},
        {"POST", "/api/streams/guild:100:120:22/preview", "stream_preview_put 0"},
        {"POST", "/api/streams/guild:100:120:22/notify", "stream_notify 0"},
        {"POST", "/api/science", "science"},
        {"POST", "/api/v9/metrics", "metrics"},
        {"POST", "/api/track", "track"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_STR(found(rows[i].method, rows[i].path), rows[i].want);
    CHECK_TRUE(sizeof rows / sizeof rows[0] >= ROUTES);
}

TEST(what_is_no_path_is_unknown)
{
    static const char *const paths[] = {
        "",
        "/",
        "/api",
        "/api/",
        "/gateway",
        "api/gateway",
        "/apiary/gateway",
        "/api/v5/gateway",
        "/api/v11/gateway",
        "/api/v/gateway",
        "/api/v9",
        "/api/v9/",
        "/api/v9/v9/gateway",
        "/api/v99999999999999999999/gateway",
        "/api/gateway/",
        "/api//gateway",
        "/api/gateway/bots",
        "/api/users",
        "/api/users/@me/",
        "/api/users//channels",
        "/api/users/@me/settings-proto/2",
        "/api/channels",
        "/api/channels/900/",
        "/api/channels/900/messages/",
        "/api/channels/900/call/rings",
        "/api/guilds/100/members/22/roles",
        "/api/admin/users",
        "/admin/users",
        "/api/users/@me/channels/900",
        "/api/oauth2/applications",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        CHECK_STR(found("GET", paths[i]), "404");
}

TEST(a_known_path_with_another_method_is_told_apart)
{
    static const struct {
        const char *method, *path;
    } rows[] = {
        {"POST", "/api/gateway"},
        {"DELETE", "/api/gateway"},
        {"PUT", "/api/users/@me/channels"},
        {"DELETE", "/api/users/@me"},
        {"PUT", "/api/channels/900"},
        {"GET", "/api/channels/900/typing"},
        {"DELETE", "/api/channels/900/call"},
        {"GET", "/api/channels/900/call/ring"},
        {"GET", "/api/science"},
        {"POST", "/api/guilds/100"},
        {"OPTIONS", "/api/users/@me"},
        {"get", "/api/gateway"},
        {"HEAD", "/api/science"},
        {"GET", "/api/channels/900/messages/901/ack"},
        {"GET", "/api/channels/900/recipients/22"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_STR(found(rows[i].method, rows[i].path), "405");
}

TEST(an_id_that_no_record_can_have_is_named)
{
    CHECK_STR(found("GET", "/api/channels/abc"), "channel !channel_id");
    CHECK_STR(found("GET", "/api/channels/-1"), "channel !channel_id");
    CHECK_STR(found("GET", "/api/channels/1e3"), "channel !channel_id");
    CHECK_STR(found("GET", "/api/channels/0x10"), "channel !channel_id");
    CHECK_STR(found("GET", "/api/channels/99999999999999999999999"), "channel !channel_id");
    CHECK_STR(found("GET", "/api/channels/9223372036854775808"), "channel !channel_id");
    CHECK_STR(found("GET", "/api/channels/9223372036854775807"), "channel 9223372036854775807");
    CHECK_STR(found("GET", "/api/channels/0"), "channel 0");
    CHECK_STR(found("PUT", "/api/channels/900/recipients/@me"), "recipient_add !user_id");
    CHECK_STR(found("PUT", "/api/channels/x/recipients/y"), "recipient_add !channel_id");
    CHECK_STR(found("GET", "/api/users/@you"), "user !user_id");
}

TEST(a_table_of_ones_own_has_texts_in_its_paths)
{
    static const struct route_row rows[] = {{"POST", "/admin/users/:user/token"}, {"GET", "/admin/users"}};
    struct route r;
    CHECK_EQ(route_find(rows, 2, "POST", BYTES("/admin/users/ada b/token"), &r), OK);
    CHECK_TRUE(bytes_is(r.param[0], "ada b"));
    CHECK_EQ(r.bad.n, 0);
    CHECK_EQ(route_find(rows, 2, "POST", BYTES("/admin/users/a/b/token"), &r), ROUTE_UNKNOWN);
    CHECK_EQ(route_find(rows, 2, "POST", BYTES("/admin/users//token"), &r), ROUTE_UNKNOWN);
    CHECK_EQ(route_find(rows, 2, "POST", BYTES("/admin/users"), &r), ROUTE_METHOD);
}

MAIN
