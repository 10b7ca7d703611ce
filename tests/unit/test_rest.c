// rest: one table of requests, each with what must come of it: an answer at once, or the command that is sent.
// A small world stands behind it: ann (11), bob (22), cat (33), the bot dj (44); a 1:1 channel 900 of ann and bob, a
// group 901 of ann, bob and cat; guild 100 with the text channel 110, the voice channel 120 and one that only staff may
// view, 130, without cat.
#include "check.h"
#include "errors.h"
#include "rest.h"
#include "view.h"

#include <inttypes.h>

enum { NOBODY = 0, ANN = 11, BOB = 22, CAT = 33, DJ = 44, GHOST = 55 };

static struct arena arena;
static bool redis_is_away;

// --- the world ---

static const struct user people[] = {
    {.id = ANN, .username = {"ann", 3}, .global_name = {"Ann", 3}},
    {.id = BOB, .username = {"bob", 3}},
    {.id = CAT, .username = {"cat", 3}},
    {.id = DJ, .username = {"dj", 2}, .bot = true},
};
static const struct user_set everybody = {4, people};
static const uint64_t dm_users[] = {ANN, BOB}, group_users[] = {ANN, BOB, CAT};
static const struct loaded_channel places[] = {
    {.version = 3, .channel = {.id = 900, .type = CHANNEL_DM, .recipients = {2, dm_users}}, .last_message = 905},
    {.version = 4,
     .channel = {.id = 901, .type = CHANNEL_GROUP, .owner = ANN, .name = {"trio", 4}, .recipients = {3, group_users}}},
    {.version = 0, .channel = {.id = 110, .type = CHANNEL_TEXT, .guild = 100}},
    {.version = 0, .channel = {.id = 120, .type = CHANNEL_VOICE, .guild = 100}},
    {.version = 0, .channel = {.id = 130, .type = CHANNEL_VOICE, .guild = 100}},
    {.version = 0, .channel = {.id = 140, .type = CHANNEL_VOICE, .guild = 100}}, // which the guild has no more
};
static const struct role roles[] = {
    {.id = 100, .name = {"@everyone", 9}, .permissions = 1024},
    {.id = 101, .name = {"Staff", 5}, .permissions = 1u << 24, .position = 1, .hoist = true}};
static const struct overwrite staff_only[] = {{.id = 100, .deny = 1024}, {.id = 101, .allow = 1024}};
static const struct guild_channel channels[] = {
    {.id = 110, .type = CHANNEL_TEXT, .name = {"general", 7}},
    {.id = 120, .type = CHANNEL_VOICE, .name = {"Lounge", 6}, .position = 1, .bitrate = 64000},
    {.id = 130, .type = CHANNEL_VOICE, .name = {"Vault", 5}, .position = 2, .overwrites = {2, staff_only}}};
static const uint64_t staff[] = {101};
static const struct member members[] = {
    {.user = ANN, .joined_at = 1420070400000},
    {.user = BOB, .joined_at = 1420070400000, .roles = {1, staff}},
    {.user = DJ, .joined_at = 1420070400000},
};
static const struct voice_seat seats[] = {
    {.user = ANN, .channel = 130, .session = {"s1", 2}, .epoch = 1},
    {.user = BOB, .channel = 120, .session = {"s2", 2}, .epoch = 1, .self_mute = true},
};
static const struct stage stages[] = {{.id = 121, .channel = 120, .topic = {"t", 1}, .privacy = 2}};
static const struct loaded_guild club = {.version = 1,
                                         .guild = {.id = 100, .name = {"Club", 4}, .owner = ANN},
                                         .roles = {2, roles},
                                         .n_channels = 3,
                                         .channels = channels,
                                         .n_members = 3,
                                         .members = members,
                                         .n_stages = 1,
                                         .stages = stages,
                                         .member_count = 3,
                                         .whole = true};
static const struct relation friends[] = {{.target = BOB, .type = 1}, {.target = CAT, .type = 2}};

// A page of the club's members.
static void load_page(struct rest_request *r, uint64_t guild, uint64_t after, uint32_t limit)
{
    struct member *v = arena_take(&arena, sizeof members);
    for (size_t i = 0; guild == club.guild.id && i < countof(members); i++)
        if (members[i].user > after && r->n_members < limit)
            v[r->n_members++] = members[i];
    r->members = v;
    r->users = everybody;
}

// Of the club the asker's member and seat and those of `others`.
static const struct world *frame_of(uint64_t user, uint64_t guild, struct ids others)
{
    struct world *w = arena_take(&arena, sizeof *w);
    struct loaded_guild *g = arena_take(&arena, sizeof *g);
    struct member *v = arena_take(&arena, sizeof members);
    const struct user *me = user_set_find(everybody, user);
    if (!me)
        return NULL;
    *w = (struct world){.user = *me, .users = everybody, .guilds = g};
    *g = club;
    g->n_members = 0;
    g->whole = false;
    for (size_t i = 0; i < countof(members); i++)
        if (members[i].user == user || ids_have(others, members[i].user))
            v[g->n_members++] = members[i];
    g->members = v;
    struct voice_seat *sit = arena_take(&arena, sizeof seats);
    for (size_t i = 0; i < countof(seats); i++)
        if (seats[i].user == user || ids_have(others, seats[i].user))
            sit[g->n_seats++] = seats[i];
    g->seats = sit;
    w->n_guilds = guild == club.guild.id && view_find_member(g, user);
    return w;
}

static const struct world *world_of(uint64_t user, unsigned parts)
{
    struct world *w = arena_take(&arena, sizeof *w);
    struct loaded_channel *mine = arena_take(&arena, 2 * sizeof *mine);
    const struct user *me = user_set_find(everybody, user);
    if (!me)
        return NULL;
    *w = (struct world){.user = *me, .users = everybody, .channels = mine};
    for (uint32_t i = 0; parts & LOAD_PRIVATE && i < 2; i++)
        if (ids_have(places[i].channel.recipients, user))
            mine[w->n_channels++] = places[i];
    if (parts & LOAD_FRAMES) {
        const struct world *frame = frame_of(user, club.guild.id, (struct ids){0});
        w->n_guilds = frame->n_guilds;
        w->guilds = frame->guilds;
    }
    if (user == ANN) {
        w->n_relations = 2;
        w->relations = friends;
    }
    return w;
}

static void load(struct rest_request *r, const struct rest_out *out)
{
    r->had = out->want;
    r->err = redis_is_away ? ERR_IO : OK;
    r->channel = NULL;
    r->world = NULL;
    r->users = (struct user_set){0};
    r->n_members = 0;
    r->members = NULL;
    if (redis_is_away)
        return;
    if (out->want == REST_LOAD_USERS)
        r->users = everybody;
    if (out->want == REST_LOAD_WORLD)
        r->world = world_of(r->user, out->parts);
    if (out->want == REST_LOAD_GUILD)
        r->world = frame_of(r->user, out->guild, out->users);
    if (out->want == REST_LOAD_MEMBERS)
        load_page(r, out->guild, out->after, out->limit);
    for (size_t i = 0; out->want == REST_LOAD_CHANNEL && i < sizeof places / sizeof places[0]; i++)
        if (places[i].channel.id == out->channel)
            r->channel = &places[i];
    if (r->channel)
        r->users = everybody;
    bool world = out->want == REST_LOAD_WORLD || out->want == REST_LOAD_GUILD;
    if ((out->want == REST_LOAD_CHANNEL && !r->channel) || (world && !r->world))
        r->err = ERR_MISSING;
}

// --- one request ---

static struct rest_request request_of(uint64_t user, const char *method, const char *path, const char *body)
{
    const char *question = strchr(path, '?');
    struct bytes whole = arena_printf(&arena, "/api/v9%s", path);
    size_t n = question ? (size_t)(question - path) + 7 : whole.n;
    return (struct rest_request){.method = method,
                                 .path = {whole.p, n},
                                 .query = question ? bytes_of(question + 1) : BYTES_NONE,
                                 .content_type = BYTES("application/json"),
                                 .body = bytes_of(body),
                                 .user = user,
                                 .url = BYTES("ws://here:1"),
                                 .identify_rate = 16};
}

static struct rest_out stepped(struct rest_request *r)
{
    struct rest_out out;
    for (int steps = 0; steps < 5; steps++) {
        rest_step(&arena, r, &out);
        if (out.want == REST_ANSWER || out.want == REST_COMMANDS)
            return out;
        load(r, &out);
    }
    CHECK_STR("steps without end", "an end");
    return out;
}

static struct rest_out asked(uint64_t user, const char *method, const char *path, const char *body)
{
    struct rest_request r = request_of(user, method, path, body);
    return stepped(&r);
}

// "200 {…}", "204", or "message 900 typing{user=11 channel=900} -> 204".
static const char *told(const struct rest_out *out)
{
    struct buf text = {0};
    if (out->want == REST_ANSWER)
        buf_printf(&text, "%d%s%.*s", out->status, out->body.n ? " " : "", BYTES_FMT(out->body));
    else
        buf_printf(&text, "%s %" PRIu64 " ",
                   out->to == BUS_MESSAGE ? "message"
                                          : (out->to == BUS_CALL_MANAGER ? "call-manager" : "region-allocator"),
                   out->key);
    for (uint32_t i = 0; out->want == REST_COMMANDS && i < out->n; i++) {
        struct buf packed = {0};
        schema_pack(&packed, out->commands[i].schema, out->commands[i].v); // what cannot be packed aborts
        buf_fini(&packed);
        schema_print(&text, out->commands[i].schema, out->commands[i].v);
    }
    if (out->want == REST_COMMANDS)
        buf_printf(&text, " -> %d", out->status);
    const char *kept = arena_text(&arena, buf_bytes(&text));
    buf_fini(&text);
    return kept;
}

static const char *ask(uint64_t user, const char *method, const char *path, const char *body)
{
    struct rest_out out = asked(user, method, path, body);
    return told(&out);
}

struct row {
    uint64_t user;
    const char *method, *path, *body, *want;
};
static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = ask(rows[i].user, rows[i].method, rows[i].path, rows[i].body);
        if (strcmp(got, rows[i].want) != 0)
            printf("row %zu: %s %s %s\n", i, rows[i].method, rows[i].path, rows[i].body);
        CHECK_STR(got, rows[i].want);
    }
    arena_fini(&arena);
}
#define CHECK_ROWS(rows) check((rows), sizeof(rows) / sizeof(rows)[0])

#define E401 "401 {\"message\":\"401: Unauthorized\",\"code\":0}"
#define E404 "404 {\"message\":\"404: Not Found\",\"code\":0}"
#define E405 "405 {\"message\":\"405: Method Not Allowed\",\"code\":0}"
#define E10003 "404 {\"message\":\"Unknown Channel\",\"code\":10003}"
#define E10004 "404 {\"message\":\"Unknown Guild\",\"code\":10004}"
#define E10007 "404 {\"message\":\"Unknown Member\",\"code\":10007}"
#define E10011 "404 {\"message\":\"Unknown Role\",\"code\":10011}"
#define E10065 "404 {\"message\":\"Unknown Voice State\",\"code\":10065}"
#define E10067 "404 {\"message\":\"Unknown Stage Instance\",\"code\":10067}"
#define E10013 "404 {\"message\":\"Unknown User\",\"code\":10013}"
#define E20001 "403 {\"message\":\"Bots cannot use this endpoint\",\"code\":20001}"
#define E20002 "403 {\"message\":\"Only bots can use this endpoint\",\"code\":20002}"
#define E50003 "403 {\"message\":\"Cannot execute action on a DM channel\",\"code\":50003}"
#define E50024 "400 {\"message\":\"Cannot execute action on this channel type\",\"code\":50024}"
#define E50109 "400 {\"message\":\"The request body contains invalid JSON.\",\"code\":50109}"
#define E503 "503 {\"message\":\"503: Service Unavailable\",\"code\":0}"
#define FORM(field, code, text)                                                                                        \
    "400 {\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"" field "\":{\"_errors\":[{\"code\":\"" code  \
    "\",\"message\":\"" text "\"}]}}}"
#define FORM_AT(field, index, code, text)                                                                              \
    "400 {\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"" field "\":{\"" index                        \
    "\":{\"_errors\":[{\"code\":\"" code "\",\"message\":\"" text "\"}]}}}}"
#define FORM_WHOLE(code, text)                                                                                         \
    "400 {\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"_errors\":[{\"code\":\"" code                 \
    "\",\"message\":\"" text "\"}]}}"
#define NO_ID(field) FORM(field, "NUMBER_TYPE_COERCE", "Value is not snowflake.")
#define NO_OBJECT FORM_WHOLE("MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")

#define J_USER(id, name, global)                                                                                       \
    "{\"id\":\"" id "\",\"username\":\"" name "\",\"discriminator\":\"0\",\"global_name\":" global                     \
    ",\"avatar\":null,\"avatar_decoration\":null,\"avatar_decoration_data\":null,\"public_flags\":0}"
#define J_ANN J_USER("11", "ann", "\"Ann\"")
#define J_BOB J_USER("22", "bob", "null")
#define J_CAT J_USER("33", "cat", "null")
#define J_DM(other)                                                                                                    \
    "{\"id\":\"900\",\"type\":1,\"recipients\":[" other                                                                \
    "],\"last_message_id\":\"905\",\"last_pin_timestamp\":null,\"flags\":0,\"is_message_request\":false,\"is_spam\":"  \
    "false}"
#define J_GROUP(others)                                                                                                \
    "{\"id\":\"901\",\"type\":3,\"owner_id\":\"11\",\"name\":\"trio\",\"icon\":null,\"recipients\":[" others           \
    "],\"nicks\":[],\"last_message_id\":null,\"last_pin_timestamp\":null,\"flags\":0,\"managed\":false}"

// --- who may ---

TEST(nobody_gets_anywhere_without_a_token)
{
#define ROUTE(name, method, path, who, status) {method, path, who},
    static const struct {
        const char *method, *path;
        enum rest_who who;
    } routes[] = {
#include "../../services/gateway/routes.def"
    };
#undef ROUTE
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (routes[i].who != WHO_ANYBODY)
            CHECK_STR(ask(NOBODY, routes[i].method, routes[i].path, ""), E401);
    arena_fini(&arena);
}

TEST(each_route_is_for_whom_its_row_says)
{
#define ROUTE(name, method, path, who, status) {method, path, who},
    static const struct {
        const char *method, *path;
        enum rest_who who;
    } routes[] = {
#include "../../services/gateway/routes.def"
    };
#undef ROUTE
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const char *as_bot = ask(DJ, routes[i].method, routes[i].path, "");
        const char *as_user = ask(CAT, routes[i].method, routes[i].path, "");
        CHECK_EQ(strcmp(as_bot, E20001) == 0, routes[i].who == WHO_USERS);
        CHECK_EQ(strcmp(as_user, E20002) == 0, routes[i].who == WHO_BOTS);
    }
    arena_fini(&arena);
}

TEST(who_is_gone_is_nobody)
{
    static const struct row rows[] = {
        {GHOST, "GET", "/users/@me", "", E401},
        {GHOST, "GET", "/users/@me/channels", "", E401},
        {GHOST, "GET", "/users/@me/guilds", "", E401},
        {GHOST, "GET", "/oauth2/applications/@me", "", E401},
        {GHOST, "POST", "/channels/900/call/ring", "", E401},
    };
    CHECK_ROWS(rows);
}

// --- answers at once ---

TEST(log_in)
{
    static const struct row rows[] = {
        {NOBODY, "GET", "/gateway", "", "200 {\"url\":\"ws://here:1\"}"},
        {ANN, "GET", "/gateway", "", "200 {\"url\":\"ws://here:1\"}"},
        {DJ, "GET", "/gateway/bot", "",
         "200 {\"url\":\"ws://here:1\",\"shards\":1,\"session_start_limit\":{\"total\":1000,\"remaining\":999,"
         "\"reset_after\":14400000,\"max_concurrency\":16}}"},
        {NOBODY, "POST", "/science", "{\"events\":[]}", "204"},
        {NOBODY, "POST", "/science", "no JSON at all", "204"},
        {ANN, "POST", "/metrics", "", "204"},
        {DJ, "POST", "/track", "[]", "204"},
        {ANN, "GET", "/users/@me/settings-proto/1", "", "200 {\"settings\":\"\"}"},
        {NOBODY, "GET", "/no/such/thing", "", E404},
        {ANN, "GET", "/channels", "", E404},
        {NOBODY, "DELETE", "/gateway", "", E405},
        {ANN, "PUT", "/users/@me/channels", "", E405},
        {DJ, "PUT", "/users/@me/channels", "", E405},
    };
    CHECK_ROWS(rows);
}

#define J_ME(id, name, global, more)                                                                                   \
    "200 {\"id\":\"" id "\",\"username\":\"" name "\",\"discriminator\":\"0\",\"global_name\":" global                 \
    ",\"avatar\":null,\"avatar_decoration_data\":null,\"banner\":null,\"banner_color\":null,\"accent_color\":null,"    \
    "\"bio\":\"\","                                                                                                    \
    "\"pronouns\":\"\",\"primary_guild\":null,\"clan\":null,\"email\":null,\"verified\":true,\"mfa_enabled\":false,"   \
    "\"phone\":null,\"premium_type\":0,\"flags\":0,\"public_flags\":0,\"purchased_flags\":0,\"nsfw_allowed\":true,"    \
    "\"locale\":\"en-US\",\"desktop\":false,\"mobile\":false" more "}"

TEST(users)
{
    static const struct row rows[] = {
        {ANN, "GET", "/users/@me", "", J_ME("11", "ann", "\"Ann\"", "")},
        {ANN, "GET", "/users/@me?with_analytics_token=true&x=1", "",
         J_ME("11", "ann", "\"Ann\"", ",\"analytics_token\":\"11\"")},
        {DJ, "GET", "/users/@me", "", J_ME("44", "dj", "null", ",\"bot\":true")},
        {ANN, "GET", "/users/22", "", "200 " J_BOB},
        {DJ, "GET", "/users/11", "", "200 " J_ANN},
        {ANN, "GET", "/users/77", "", E10013},
        {ANN, "GET", "/users/abc", "", NO_ID("user_id")},
        {NOBODY, "GET", "/users/abc", "", E401},
        {DJ, "GET", "/oauth2/applications/@me", "",
         "200 {\"id\":\"44\",\"name\":\"dj\",\"icon\":null,\"description\":\"\",\"summary\":\"\",\"rpc_origins\":[],"
         "\"bot_public\":true,\"bot_require_code_grant\":false,\"owner\":{\"id\":\"44\",\"username\":\"dj\","
         "\"discriminator\":\"0\",\"global_name\":null,\"avatar\":null,\"avatar_decoration\":null,"
         "\"avatar_decoration_data\":null,\"public_flags\":0,\"bot\":true},\"team\":null,\"verify_key\":"
         "\"0000000000000000000000000000000000000000000000000000000000000000\",\"flags\":565248,\"hook\":true,"
         "\"interactions_endpoint_url\":null,\"tags\":[]}"},
        {ANN, "GET", "/users/@me/relationships", "",
         "200 [{\"id\":\"22\",\"type\":1,\"nickname\":null,\"user\":" J_BOB
         ",\"since\":null},{\"id\":\"33\",\"type\":2,\"nickname\":null,\"user\":" J_CAT ",\"since\":null}]"},
        {BOB, "GET", "/users/@me/relationships", "", "200 []"},
    };
    CHECK_ROWS(rows);
}

TEST(private_channels_are_shown_to_their_recipients_alone)
{
    static const struct row rows[] = {
        {ANN, "GET", "/channels/900", "", "200 " J_DM(J_BOB)},
        {BOB, "GET", "/channels/900", "", "200 " J_DM(J_ANN)},
        {CAT, "GET", "/channels/900", "", E10003},
        {DJ, "GET", "/channels/900", "", E10003},
        {CAT, "GET", "/channels/901", "", "200 " J_GROUP(J_ANN "," J_BOB)},
        {ANN, "GET", "/channels/777", "", E10003},
        {ANN, "GET", "/channels/0x10", "", NO_ID("channel_id")},
        {ANN, "GET", "/users/@me/channels", "", "200 [" J_DM(J_BOB) "," J_GROUP(J_BOB "," J_CAT) "]"},
        {CAT, "GET", "/users/@me/channels", "", "200 [" J_GROUP(J_ANN "," J_BOB) "]"},
        {ANN, "GET", "/users/@me/dms/22", "", "200 " J_DM(J_BOB)},
        {BOB, "GET", "/users/@me/dms/11", "", "200 " J_DM(J_ANN)},
        {ANN, "GET", "/users/@me/dms/33", "", E10003},
        {ANN, "GET", "/users/@me/dms/11", "", E10003},
        {CAT, "GET", "/users/@me/dms/11", "", E10003},
        {DJ, "GET", "/users/@me/dms/11", "", E10003},
    };
    CHECK_ROWS(rows);
}

#define J_ROLE(id, name, permissions, position, hoist)                                                                 \
    "{\"id\":\"" id "\",\"name\":\"" name "\",\"permissions\":\"" permissions "\",\"position\":" position              \
    ",\"color\":0,\"colors\":{\"primary_color\":0,\"secondary_color\":null,\"tertiary_color\":null},\"hoist\":" hoist  \
    ",\"managed\":false,\"mentionable\":false,\"icon\":null,\"unicode_emoji\":null,\"flags\":0}"
#define J_TEXT                                                                                                         \
    "{\"id\":\"110\",\"type\":0,\"guild_id\":\"100\",\"name\":\"general\",\"position\":0,\"parent_id\":null,"          \
    "\"permission_overwrites\":[],\"topic\":null,\"last_message_id\":null,\"nsfw\":false,\"rate_limit_per_user\":0,"   \
    "\"flags\":0}"
#define J_VOICE                                                                                                        \
    "{\"id\":\"120\",\"type\":2,\"guild_id\":\"100\",\"name\":\"Lounge\",\"position\":1,\"parent_id\":null,"           \
    "\"permission_overwrites\":[],\"topic\":null,\"last_message_id\":null,\"nsfw\":false,\"rate_limit_per_user\":0,"   \
    "\"flags\":0,\"bitrate\":64000,\"user_limit\":0,\"rtc_region\":null,\"video_quality_mode\":1}"
#define J_OVERWRITE(id, allow, deny) "{\"id\":\"" id "\",\"type\":0,\"allow\":\"" allow "\",\"deny\":\"" deny "\"}"
#define J_VAULT                                                                                                        \
    "{\"id\":\"130\",\"type\":2,\"guild_id\":\"100\",\"name\":\"Vault\",\"position\":2,\"parent_id\":null,"            \
    "\"permission_overwrites\":[" J_OVERWRITE("100", "0", "1024") "," J_OVERWRITE(                                     \
        "101", "1024",                                                                                                 \
        "0") "],\"topic\":null,\"last_message_id\":null,\"nsfw\":false,\"rate_limit_per_user\":0,\"flags\":0,"         \
             "\"bitrate\":64000,\"user_limit\":0,\"rtc_region\":null,\"video_quality_mode\":1}"
#define J_MEMBER(user, roles, hoisted)                                                                                 \
    "{\"user\":" user ",\"nick\":null,\"avatar\":null,\"banner\":null,\"roles\":[" roles                               \
    "],\"joined_at\":\"2015-01-01T00:00:00.000000+00:00\",\"premium_since\":null,\"deaf\":false,\"mute\":false,"       \
    "\"flags\":0,\"pending\":false,\"communication_disabled_until\":null,\"hoisted_role\":" hoisted "}"
#define J_MY_CLUB(owner, permissions, more)                                                                            \
    "{\"id\":\"100\",\"name\":\"Club\",\"icon\":null,\"banner\":null,\"owner\":" owner                                 \
    ",\"permissions\":\"" permissions "\",\"features\":[]" more "}"

TEST(guilds_are_shown_to_their_members_alone)
{
    static const struct row rows[] = {
        {ANN, "GET", "/guilds/100/channels", "", "200 [" J_TEXT "," J_VOICE "," J_VAULT "]"},
        {BOB, "GET", "/guilds/100/channels", "", "200 [" J_TEXT "," J_VOICE "," J_VAULT "]"},
        {DJ, "GET", "/guilds/100/channels", "", "200 [" J_TEXT "," J_VOICE "]"},
        {CAT, "GET", "/guilds/100/channels", "", E10004},
        {BOB, "GET", "/guilds/100/roles", "",
         "200 [" J_ROLE("100", "@everyone", "1024", "0", "false") "," J_ROLE("101", "Staff", "16777216", "1",
                                                                             "true") "]"},
        {BOB, "GET", "/guilds/100/roles/101", "", "200 " J_ROLE("101", "Staff", "16777216", "1", "true")},
        {BOB, "GET", "/guilds/100/roles/102", "", E10011},
        {CAT, "GET", "/guilds/100/roles", "", E10004},
        {DJ, "GET", "/guilds/100/voice-states/22", "",
         "200 {\"member\":" J_MEMBER(
             J_BOB, "\"101\"",
             "\"101\"") ",\"guild_id\":\"100\",\"channel_id\":\"120\","
                        "\"user_id\":\"22\",\"session_id\":\"s2\",\"deaf\":false,\"mute\":false,\"self_deaf\":false,"
                        "\"self_mute\":true,\"self_video\":false,\"suppress\":false,\"request_to_speak_timestamp\":"
                        "null}"},
        {DJ, "GET", "/guilds/100/voice-states/11", "", E10065}, // in a channel that it may not view
        {DJ, "GET", "/guilds/100/voice-states/33", "", E10065},
        {DJ, "GET", "/guilds/100/voice-states/@me", "", E10065},
        {DJ, "GET", "/guilds/101/voice-states/22", "", E10004},
        {BOB, "GET", "/guilds/100/voice-states/22", "", E20002},
        {DJ, "GET", "/stage-instances/120", "",
         "200 {\"id\":\"121\",\"guild_id\":\"100\",\"channel_id\":\"120\",\"topic\":\"t\",\"privacy_level\":2,"
         "\"discoverable_disabled\":false,\"guild_scheduled_event_id\":null}"},
        {BOB, "GET", "/stage-instances/130", "", E10067},
        {DJ, "GET", "/stage-instances/130", "", E10003}, // which it may not view
        {CAT, "GET", "/stage-instances/120", "", E10003},
        {DJ, "GET", "/stage-instances/777", "", E10003},
        {ANN, "GET", "/stage-instances/900", "", E50024},
        {CAT, "GET", "/guilds/100", "", E10004},
        {ANN, "GET", "/guilds/101", "", E10004},
        {ANN, "GET", "/guilds/x", "", NO_ID("guild_id")},
        {ANN, "GET", "/guilds/100/members/22", "", "200 " J_MEMBER(J_BOB, "\"101\"", "\"101\"")},
        {DJ, "GET", "/guilds/100/members/11", "", "200 " J_MEMBER(J_ANN, "", "null")},
        {ANN, "GET", "/guilds/100/members/33", "", E10007},
        {CAT, "GET", "/guilds/100/members/11", "", E10004},
        {ANN, "GET", "/guilds/100/members", "", "200 [" J_MEMBER(J_ANN, "", "null") "]"},
        {ANN, "GET", "/guilds/100/members?limit=1&after=11", "", "200 [" J_MEMBER(J_BOB, "\"101\"", "\"101\"") "]"},
        {ANN, "GET", "/guilds/100/members?limit=2", "",
         "200 [" J_MEMBER(J_ANN, "", "null") "," J_MEMBER(J_BOB, "\"101\"", "\"101\"") "]"},
        {ANN, "GET", "/guilds/100/members?after=44", "", "200 []"},
        {CAT, "GET", "/guilds/100/members", "", E10004},
        {ANN, "GET", "/guilds/100/members?limit=0", "",
         FORM("limit", "NUMBER_TYPE_RANGE", "int value should be between 1 and 1000.")},
        {ANN, "GET", "/guilds/100/members?after=x", "", NO_ID("after")},
        {CAT, "GET", "/guilds/100/regions", "", E10004},
        {ANN, "GET", "/guilds/100/regions", "", "region-allocator 11 regions_list{user=11} -> 200"},
        {ANN, "GET", "/users/@me/guilds", "", "200 [" J_MY_CLUB("true", "9007199254740991", "") "]"},
        {BOB, "GET", "/users/@me/guilds", "", "200 [" J_MY_CLUB("false", "16778240", "") "]"},
        {DJ, "GET", "/users/@me/guilds?with_counts=true", "",
         "200 [" J_MY_CLUB("false", "1024", ",\"approximate_member_count\":3,\"approximate_presence_count\":3") "]"},
        {ANN, "GET", "/users/@me/guilds?after=100", "", "200 []"},
        {ANN, "GET", "/users/@me/guilds?before=100", "", "200 []"},
        {BOB, "GET", "/users/@me/guilds?after=99&limit=1", "", "200 [" J_MY_CLUB("false", "16778240", "") "]"},
        {ANN, "GET", "/users/@me/guilds?limit=201", "",
         FORM("limit", "NUMBER_TYPE_RANGE", "int value should be between 1 and 200.")},
        {CAT, "GET", "/users/@me/guilds", "", "200 []"},
        {ANN, "GET", "/channels/110", "", "200 " J_TEXT},
        {DJ, "GET", "/channels/120", "", "200 " J_VOICE},
        {CAT, "GET", "/channels/110", "", E10003},
        {BOB, "GET", "/channels/130", "", "200 " J_VAULT},
        {DJ, "GET", "/channels/130", "", E10003},
        {CAT, "GET", "/channels/130", "", E10003},
        {ANN, "GET", "/channels/140", "", E10003},
    };
    CHECK_ROWS(rows);
}

TEST(a_guild_is_shown_with_its_roles)
{
    static const char roles_text[] = ",\"roles\":[" J_ROLE("100", "@everyone", "1024", "0", "false") "," J_ROLE(
        "101", "Staff", "16777216", "1", "true") "],\"emojis\":[],\"stickers\":[]";
    const char *plain = ask(BOB, "GET", "/guilds/100", ""), *counted = ask(BOB, "GET", "/guilds/100?with_counts=1", "");
    CHECK_TRUE(strncmp(plain, "200 {\"id\":\"100\",\"name\":\"Club\",\"icon\":null,\"owner_id\":\"11\",", 54) == 0);
    CHECK_TRUE(strstr(plain, roles_text) != NULL);
    CHECK_STR(strstr(plain, "\"stickers\""), "\"stickers\":[]}");
    CHECK_STR(strstr(counted, "\"stickers\""),
              "\"stickers\":[],\"approximate_member_count\":3,\"approximate_presence_count\":3}");
    arena_fini(&arena);
}

// --- commands ---

TEST(opening_private_channels)
{
#define OPEN(recipients, group)                                                                                        \
    "message 11 channel_open{user=11 recipients=[" recipients "] group=" group " name=\"\"} -> 200"
    static const struct row rows[] = {
        {ANN, "POST", "/users/@me/channels", "{\"recipients\":[\"22\"]}", OPEN("22", "false")},
        {ANN, "POST", "/users/@me/channels", "{\"recipients\":[22]}", OPEN("22", "false")},
        {ANN, "POST", "/users/@me/channels", "{\"recipient_id\":\"22\"}", OPEN("22", "false")},
        {ANN, "POST", "/users/@me/channels", "{\"recipient_id\":22,\"recipients\":null}", OPEN("22", "false")},
        {ANN, "POST", "/users/@me/channels", "{\"recipients\":[22,22]}", OPEN("22,22", "false")},
        {ANN, "POST", "/users/@me/channels", "{\"recipients\":[22,33]}", OPEN("22,33", "true")},
        {ANN, "POST", "/users/@me/channels", "{\"recipients\":[]}", OPEN("", "true")},
        {ANN, "POST", "/users/@me/channels", "{}", OPEN("", "false")},
        {ANN, "POST", "/users/@me/channels", "", OPEN("", "false")},
        {ANN, "POST", "/users/@me/channels", "{\"recipients\":\"bob\"}",
         FORM("recipients", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")},
        {ANN, "POST", "/users/@me/channels", "{\"recipients\":[22,\"bob\"]}",
         FORM_AT("recipients", "1", "NUMBER_TYPE_COERCE", "Value is not snowflake.")},
        {ANN, "POST", "/users/@me/channels", "{\"recipients\":[\"9223372036854775830\"]}",
         FORM_AT("recipients", "0", "NUMBER_TYPE_COERCE", "Value is not snowflake.")},
        {ANN, "POST", "/users/@me/channels", "{", E50109},
        {NOBODY, "POST", "/users/@me/channels", "{", E401},
    };
    CHECK_ROWS(rows);
}

TEST(changing_private_channels)
{
#define EDIT(set, name, icon)                                                                                          \
    "message 901 channel_edit{user=11 channel=901 set=" set " name=\"" name "\" icon=\"" icon "\"} -> 200"
    static const struct row rows[] = {
        {ANN, "PATCH", "/channels/901", "{\"name\":\"duo\"}", EDIT("1", "duo", "")},
        {ANN, "PATCH", "/channels/901", "{\"icon\":null}", EDIT("2", "", "")},
        {ANN, "PATCH", "/channels/901", "{\"name\":null,\"icon\":\"a1\"}", EDIT("3", "", "a1")},
        {ANN, "PATCH", "/channels/901", "{}", EDIT("0", "", "")},
        {ANN, "PATCH", "/channels/901", "{\"name\":7}",
         FORM("name", "STRING_TYPE_CONVERT", "Could not interpret value as string.")},
        {ANN, "PATCH", "/channels/901", "[]", NO_OBJECT},
        {ANN, "DELETE", "/channels/900", "", E50003},
        {CAT, "DELETE", "/channels/900", "", E10003},
        {ANN, "DELETE", "/channels/777", "", E10003},
        {BOB, "DELETE", "/channels/901", "", "call-manager 901 recipient_remove{user=22 channel=901 target=22} -> 200"},
        {ANN, "PUT", "/channels/901/recipients/44", "",
         "call-manager 901 recipient_add{user=11 channel=901 target=44} -> 204"},
        {ANN, "PUT", "/channels/901/recipients/44", "{\"access_token\":\"x\"}",
         "call-manager 901 recipient_add{user=11 channel=901 target=44} -> 204"},
        {ANN, "DELETE", "/channels/901/recipients/33", "",
         "call-manager 901 recipient_remove{user=11 channel=901 target=33} -> 204"},
        {ANN, "DELETE", "/channels/901/recipients/x", "", NO_ID("user_id")},
        {DJ, "PUT", "/channels/901/recipients/44", "", E20001},
    };
    CHECK_ROWS(rows);
}

TEST(relationships)
{
#define RELATE(type) "message 11 relationship_put{user=11 target=22 type=" type " by_admin=false} -> 204"
    static const struct row rows[] = {
        {ANN, "PUT", "/users/@me/relationships/22", "", RELATE("1")},
        {ANN, "PUT", "/users/@me/relationships/22", "{}", RELATE("1")},
        {ANN, "PUT", "/users/@me/relationships/22", "{\"type\":null}", RELATE("1")},
        {ANN, "PUT", "/users/@me/relationships/22", "{\"type\":1}", RELATE("1")},
        {ANN, "PUT", "/users/@me/relationships/22", "{\"type\":2}", RELATE("2")},
        {ANN, "PUT", "/users/@me/relationships/22", "{\"type\":3}",
         FORM("type", "BASE_TYPE_CHOICES", "Value must be one of (1, 2).")},
        {ANN, "PUT", "/users/@me/relationships/22", "{\"type\":\"x\"}",
         FORM("type", "NUMBER_TYPE_COERCE", "Value is not a whole number.")},
        {ANN, "DELETE", "/users/@me/relationships/22", "", RELATE("0")},
        {DJ, "PUT", "/users/@me/relationships/22", "", E20001},
    };
    CHECK_ROWS(rows);
}

TEST(messages)
{
#define SEND(user, nonce, tts, flags)                                                                                  \
    "message 900 message_send{user=" user " channel=900 content=*** nonce=\"" nonce "\" tts=" tts " flags=" flags      \
    "} -> 200"
    static const struct row rows[] = {
        {ANN, "POST", "/channels/900/messages", "{\"content\":\"x\"}", SEND("11", "", "false", "0")},
        {DJ, "POST", "/channels/900/messages", "{\"content\":\"x\"}", SEND("44", "", "false", "0")},
        {ANN, "POST", "/channels/900/messages", "{\"content\":\"x\",\"nonce\":\"1098\",\"tts\":true,\"flags\":4096}",
         SEND("11", "1098", "true", "4096")},
        {ANN, "POST", "/channels/900/messages", "{\"nonce\":1098765432109876543}",
         SEND("11", "1098765432109876543", "false", "0")},
        {ANN, "POST", "/channels/900/messages", "{\"content\":null,\"nonce\":null}", SEND("11", "", "false", "0")},
        {ANN, "POST", "/channels/900/messages", "", SEND("11", "", "false", "0")},
        {ANN, "POST", "/channels/900/messages?x=1", "{\"content\":\"x\",\"analytics_location\":\"DM\"}",
         SEND("11", "", "false", "0")},
        {ANN, "POST", "/channels/900/messages", "{\"content\":[\"x\"]}",
         FORM("content", "STRING_TYPE_CONVERT", "Could not interpret value as string.")},
        {ANN, "POST", "/channels/900/messages", "{\"tts\":\"yes\"}",
         FORM("tts", "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")},
        {ANN, "POST", "/channels/900/messages", "hello", E50109},
        {ANN, "POST", "/channels/900/messages", "[]", NO_OBJECT},
        {ANN, "POST", "/channels/900/messages", "null", NO_OBJECT},
        {ANN, "POST", "/channels/abc/messages", "{", NO_ID("channel_id")},
        {ANN, "PATCH", "/channels/900/messages/901", "{\"content\":\"y\"}",
         "message 900 message_edit{user=11 channel=900 message=901 content=***} -> 200"},
        {ANN, "PATCH", "/channels/900/messages/901", "{\"content\":1}",
         FORM("content", "STRING_TYPE_CONVERT", "Could not interpret value as string.")},
        {ANN, "DELETE", "/channels/900/messages/901", "",
         "message 900 message_delete{user=11 channel=900 message=901} -> 204"},
        {ANN, "GET", "/channels/900/messages/901", "",
         "message 900 message_get{user=11 channel=900 message=901} -> 200"},
        {ANN, "GET", "/channels/900/messages/x", "", NO_ID("message_id")},
        {DJ, "POST", "/channels/900/typing", "", "message 900 typing{user=44 channel=900} -> 204"},
        {ANN, "POST", "/channels/900/typing", "{}", "message 900 typing{user=11 channel=900} -> 204"},
    };
    CHECK_ROWS(rows);
}

TEST(histories)
{
#define LIST(limit, before, after, around)                                                                             \
    "message 900 message_list{user=11 channel=900 limit=" limit " before=" before " after=" after " around=" around    \
    "} -> 200"
    static const struct row rows[] = {
        {ANN, "GET", "/channels/900/messages", "", LIST("50", "0", "0", "0")},
        {ANN, "GET", "/channels/900/messages?limit=1", "", LIST("1", "0", "0", "0")},
        {ANN, "GET", "/channels/900/messages?limit=100&before=905", "", LIST("100", "905", "0", "0")},
        {ANN, "GET", "/channels/900/messages?after=905", "", LIST("50", "0", "905", "0")},
        {ANN, "GET", "/channels/900/messages?around=905&limit=3", "", LIST("3", "0", "0", "905")},
        {ANN, "GET", "/channels/900/messages?after=0&limit=2", "", LIST("2", "0", "1", "0")},
        {ANN, "GET", "/channels/900/messages?before=0", "", LIST("50", "1", "0", "0")},
        {ANN, "GET", "/channels/900/messages?before=1&after=2&around=3", "", LIST("50", "0", "0", "3")},
        {ANN, "GET", "/channels/900/messages?after=2&before=1", "", LIST("50", "1", "0", "0")},
        {ANN, "GET", "/channels/900/messages?limit=0", "",
         FORM("limit", "NUMBER_TYPE_RANGE", "int value should be between 1 and 100.")},
        {ANN, "GET", "/channels/900/messages?limit=101", "",
         FORM("limit", "NUMBER_TYPE_RANGE", "int value should be between 1 and 100.")},
        {ANN, "GET", "/channels/900/messages?limit=-1", "", FORM("limit", "NUMBER_TYPE_COERCE", "Value is not int.")},
        {ANN, "GET", "/channels/900/messages?limit=many", "", FORM("limit", "NUMBER_TYPE_COERCE", "Value is not int.")},
        {ANN, "GET", "/channels/900/messages?before=abc", "", NO_ID("before")},
        {ANN, "GET", "/channels/900/messages?after=-1", "", NO_ID("after")},
        {ANN, "GET", "/channels/900/messages?around=", "", NO_ID("around")},
    };
    CHECK_ROWS(rows);
}

TEST(read_states)
{
#define ACK(channel, message, manual, mentions)                                                                        \
    "message_ack{user=11 channel=" channel " message=" message " manual=" manual " mention_count=" mentions "}"
    static const struct row rows[] = {
        {ANN, "POST", "/channels/900/messages/901/ack", "{\"token\":null}",
         "message 11 " ACK("900", "901", "false", "0") " -> 200"},
        {ANN, "POST", "/channels/900/messages/901/ack", "", "message 11 " ACK("900", "901", "false", "0") " -> 200"},
        {ANN, "POST", "/channels/900/messages/901/ack",
         "{\"manual\":true,\"mention_count\":3,\"flags\":1,\"last_viewed\":9}",
         "message 11 " ACK("900", "901", "true", "3") " -> 200"},
        {ANN, "POST", "/channels/900/messages/901/ack", "{\"manual\":7}",
         FORM("manual", "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")},
        {DJ, "POST", "/channels/900/messages/901/ack", "{}", E20001},
        {ANN, "POST", "/read-states/ack-bulk",
         "{\"read_states\":[{\"channel_id\":\"900\",\"message_id\":\"901\",\"read_state_type\":0},"
         "{\"channel_id\":901,\"message_id\":902},{\"channel_id\":\"11\",\"message_id\":\"1\",\"read_state_type\":2}]}",
         "message 11 " ACK("900", "901", "false", "0") ACK("901", "902", "false", "0") " -> 204"},
        {ANN, "POST", "/read-states/ack-bulk", "{\"read_states\":[]}", "204"},
        {ANN, "POST", "/read-states/ack-bulk", "{}", "204"},
        {ANN, "POST", "/read-states/ack-bulk", "{\"read_states\":[7]}",
         FORM_AT("read_states", "0", "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")},
        {ANN, "POST", "/read-states/ack-bulk", "{\"read_states\":[{\"channel_id\":null}]}",
         "400 {\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"read_states\":{\"0\":{\"channel_id\":{"
         "\"_errors\":[{\"code\":\"NUMBER_TYPE_COERCE\",\"message\":\"Value is not snowflake.\"}]}}}}}"},
        {DJ, "POST", "/read-states/ack-bulk", "{}", E20001},
    };
    CHECK_ROWS(rows);
}

TEST(calls)
{
#define RING(all, who) "call-manager 900 call_ring{user=11 channel=900 all=" all " recipients=[" who "]} -> 204"
#define STOP(user, who) "call-manager 900 call_stop_ringing{user=" user " channel=900 recipients=[" who "]} -> 204"
    static const struct row rows[] = {
        {ANN, "GET", "/channels/900/call", "", "200 {\"ringable\":true}"},
        {CAT, "GET", "/channels/901/call", "", "200 {\"ringable\":true}"},
        {CAT, "GET", "/channels/900/call", "", E10003},
        {ANN, "GET", "/channels/777/call", "", E10003},
        {ANN, "GET", "/channels/120/call", "", E50024},
        {CAT, "GET", "/channels/120/call", "", E10003},
        {ANN, "GET", "/channels/140/call", "", E10003},
        {DJ, "GET", "/channels/900/call", "", E20001},
        {ANN, "POST", "/channels/900/call/ring", "{\"recipients\":null}", RING("true", "")},
        {ANN, "POST", "/channels/900/call/ring", "{}", RING("true", "")},
        {ANN, "POST", "/channels/900/call/ring", "", RING("true", "")},
        {ANN, "POST", "/channels/900/call/ring", "{\"recipients\":[\"22\",33]}", RING("false", "22,33")},
        {ANN, "POST", "/channels/900/call/ring", "{\"recipients\":[]}", "204"},
        {ANN, "POST", "/channels/900/call/ring", "{\"recipients\":7}",
         FORM("recipients", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")},
        {ANN, "POST", "/channels/900/call/ring", "{\"recipients\":[\"bob\"]}",
         FORM_AT("recipients", "0", "NUMBER_TYPE_COERCE", "Value is not snowflake.")},
        {ANN, "POST", "/channels/900/call/ring", "x", E50109},
        {CAT, "POST", "/channels/900/call/ring", "x", E10003},
        {ANN, "POST", "/channels/120/call/ring", "{}", E50024},
        {CAT, "POST", "/channels/120/call/ring", "{}", E10003},
        {DJ, "POST", "/channels/900/call/ring", "{}", E20001},
        {BOB, "POST", "/channels/900/call/stop-ringing", "{}", STOP("22", "")},
        {BOB, "POST", "/channels/900/call/stop-ringing", "", STOP("22", "")},
        {ANN, "POST", "/channels/900/call/stop-ringing", "{\"recipients\":[22]}", STOP("11", "22")},
        {CAT, "POST", "/channels/900/call/stop-ringing", "{}", E10003},
        {ANN, "POST", "/channels/120/call/stop-ringing", "{}", E50024},
        {ANN, "PATCH", "/channels/900/call", "{\"region\":\"ams\"}",
         "call-manager 900 call_region{user=11 channel=900 region=\"ams\"} -> 204"},
        {ANN, "PATCH", "/channels/900/call", "{\"region\":null}", "204"},
        {ANN, "PATCH", "/channels/900/call", "{}", "204"},
        {CAT, "PATCH", "/channels/900/call", "{}", E10003},
        {ANN, "PATCH", "/channels/900/call", "{\"region\":7}",
         FORM("region", "STRING_TYPE_CONVERT", "Could not interpret value as string.")},
        {ANN, "PATCH", "/channels/120/call", "{\"region\":\"ams\"}", E50024},
        {DJ, "GET", "/voice/regions", "", "region-allocator 44 regions_list{user=44} -> 200"},
    };
    CHECK_ROWS(rows);
}

// --- trouble, and what commands are answered with ---

TEST(without_redis_whatever_needs_it_is_unavailable)
{
    redis_is_away = true;
    CHECK_STR(ask(ANN, "GET", "/users/@me", ""), E503);
    CHECK_STR(ask(ANN, "GET", "/channels/900", ""), E503);
    CHECK_STR(ask(ANN, "GET", "/users/@me/channels", ""), E503);
    CHECK_STR(ask(ANN, "POST", "/channels/900/call/ring", ""), E503);
    CHECK_STR(ask(NOBODY, "GET", "/users/@me", ""), E401);
    CHECK_STR(ask(NOBODY, "GET", "/gateway", ""), "200 {\"url\":\"ws://here:1\"}");
    redis_is_away = false;
    arena_fini(&arena);
}

static const char *after(const struct rest_out *out, const struct answer *const *answers)
{
    struct rest_request r = {.had = REST_COMMANDS};
    struct rest_out then;
    CHECK_TRUE(rest_answered(&arena, &r, out, answers, &then));
    CHECK_EQ(then.want, REST_ANSWER);
    return told(&then);
}

static const char *after_one(const struct rest_out *out, int64_t err, const char *body)
{
    const struct answer a = {.err = err, .body = bytes_of(body)}, *one = &a;
    return after(out, &one);
}

TEST(an_answer_is_passed_on)
{
    struct rest_out get = asked(ANN, "GET", "/channels/900/messages/901", "");
    struct rest_out gone = asked(ANN, "DELETE", "/channels/900/messages/901", "");
    CHECK_STR(after_one(&get, OK, "{\"id\":\"901\"}"), "200 {\"id\":\"901\"}");
    CHECK_STR(after_one(&gone, OK, ""), "204");
    CHECK_STR(after_one(&gone, OK, "{}"), "204");
    CHECK_STR(after_one(&get, 10008, ""), "404 {\"message\":\"Unknown Message\",\"code\":10008}");
    CHECK_STR(after_one(&gone, 50005, ""),
              "403 {\"message\":\"Cannot edit a message authored by another user\",\"code\":50005}");
    CHECK_STR(after_one(&get, API_INVALID_FORM, "{\"message\":\"x\",\"code\":50035,\"errors\":{}}"),
              "400 {\"message\":\"x\",\"code\":50035,\"errors\":{}}");
    CHECK_STR(after_one(&get, API_INVALID_FORM, ""), "400 {\"message\":\"Invalid Form Body\",\"code\":50035}");
    CHECK_STR(after_one(&get, OK, ""), "500 {\"message\":\"500: Internal Server Error\",\"code\":0}");
    CHECK_STR(after_one(&get, ERR_INVALID, ""), "500 {\"message\":\"500: Internal Server Error\",\"code\":0}");
    CHECK_STR(after_one(&get, ERR_IO, ""), E503);
    CHECK_STR(after_one(&get, ERR_CONFLICT, ""), E503);
    arena_fini(&arena);
}

TEST(that_a_channel_is_a_guilds_is_told_who_may_view_it)
{
    static const struct row rows[] = {
        {ANN, "GET", "/channels/120/messages", "", E50024},
        {DJ, "POST", "/channels/110/messages", "{\"content\":\"x\"}", E50024},
        {DJ, "GET", "/channels/130/messages", "", E10003},
        {DJ, "POST", "/channels/130/typing", "", E10003},
        {CAT, "DELETE", "/channels/120/messages/5", "", E10003},
        {CAT, "PUT", "/channels/120/recipients/22", "", E10003},
        {ANN, "PUT", "/channels/120/recipients/22", "", E50024},
        {ANN, "PUT", "/channels/900/recipients/33", "", E50024}, // a private one, which groups alone let grow
        {CAT, "PUT", "/channels/900/recipients/33", "", E10003},
        {ANN, "PUT", "/channels/777/recipients/33", "", E10003}, // gone meanwhile
    };
    const struct answer wrong = {.err = API_WRONG_CHANNEL_TYPE}, *one = &wrong;
    for (size_t i = 0; i < countof(rows); i++) {
        struct rest_request r = request_of(rows[i].user, rows[i].method, rows[i].path, rows[i].body);
        struct rest_out sent = stepped(&r), out;
        CHECK_EQ(sent.want, REST_COMMANDS);
        CHECK_TRUE(!rest_answered(&arena, &r, &sent, &one, &out));
        out = stepped(&r);
        CHECK_STR(told(&out), rows[i].want);
    }
    struct rest_out of_member = asked(ANN, "PATCH", "/guilds/100/members/22", "{\"channel_id\":\"110\"}");
    CHECK_STR(after_one(&of_member, API_WRONG_CHANNEL_TYPE, ""), E50024);
    arena_fini(&arena);
}

TEST(a_command_that_nobody_answers_is_unavailable)
{
    struct rest_out ring = asked(ANN, "POST", "/channels/900/call/ring", "");
    const struct answer *none = NULL;
    CHECK_STR(after(&ring, &none), E503);
    arena_fini(&arena);
}

TEST(nothing_to_change_in_a_call_is_no_error)
{
    struct rest_out ring = asked(ANN, "POST", "/channels/900/call/ring", "");
    CHECK_STR(after_one(&ring, ERR_STATE, ""), "204");
    CHECK_STR(after_one(&ring, 10003, ""), E10003);
    arena_fini(&arena);
}

TEST(roles_in_a_new_order_are_shown_in_it)
{
    struct rest_out order = asked(ANN, "PATCH", "/guilds/100/roles", "[{\"id\":\"101\",\"position\":5}]");
    CHECK_STR(told(&order), "call-manager 100 role_put{user=11 guild=100 set=32 to=role{id=101 name=\"\" permissions=0 "
                            "position=5 color=0 hoist=false mentionable=false}} -> 200");
    CHECK_STR(after_one(&order, OK, "{}"), "200 [" J_ROLE("100", "@everyone", "1024", "0", "false") "," J_ROLE(
                                               "101", "Staff", "16777216", "5", "true") "]");
    CHECK_STR(ask(CAT, "PATCH", "/guilds/100/roles", "[]"), E10004);
    arena_fini(&arena);
}

TEST(who_leaves_a_group_is_shown_it_once_more)
{
    struct rest_out leave = asked(BOB, "DELETE", "/channels/901", "");
    CHECK_STR(after_one(&leave, OK, ""), "200 " J_GROUP(J_ANN "," J_CAT));
    CHECK_STR(after_one(&leave, 10003, ""), E10003);
    arena_fini(&arena);
}

TEST(of_many_acks_a_refused_one_spoils_nothing_and_an_unanswered_one_is_told)
{
    struct rest_out bulk = asked(ANN, "POST", "/read-states/ack-bulk",
                                 "{\"read_states\":[{\"channel_id\":1,\"message_id\":1},{\"channel_id\":2,"
                                 "\"message_id\":2}]}");
    const struct answer refused = {.err = 10003}, well = {.err = OK}, away = {.err = ERR_IO};
    CHECK_EQ(bulk.n, 2);
    CHECK_STR(after(&bulk, (const struct answer *[]){&refused, &well}), "204");
    CHECK_STR(after(&bulk, (const struct answer *[]){&well, NULL}), E503);
    CHECK_STR(after(&bulk, (const struct answer *[]){&away, &well}), E503);
    arena_fini(&arena);
}

TEST(only_a_plain_host_is_told_to_clients)
{
    CHECK_TRUE(rest_host_ok(BYTES("127.0.0.1:8080")));
    CHECK_TRUE(rest_host_ok(BYTES("gateway-1.example_x:443")));
    CHECK_TRUE(rest_host_ok(BYTES("[::1]:8080")));
    CHECK_TRUE(!rest_host_ok(BYTES("")));
    CHECK_TRUE(!rest_host_ok(BYTES("a\"b")));
    CHECK_TRUE(!rest_host_ok(BYTES("a/b")));
    CHECK_TRUE(!rest_host_ok(BYTES("\xff")));
}

TEST(too_much_at_once_is_told_as_such)
{
    struct rest_out out;
    rest_refuse(&arena, API_OVERLOADED, &out);
    CHECK_STR(told(&out),
              "503 {\"message\":\"API resource is currently overloaded. Try again a little later\",\"code\":130000}");
    rest_refuse_rate(&arena, 50, 1065, 1700000000004, &out);
    CHECK_STR(told(&out),
              "429 {\"message\":\"You are being rate limited.\",\"retry_after\":1.065,\"global\":true,\"code\":0}");
    CHECK_STR(out.headers, "Retry-After: 2\r\nX-RateLimit-Limit: 50\r\nX-RateLimit-Remaining: 0\r\n"
                           "X-RateLimit-Reset: 1700000001.069\r\nX-RateLimit-Reset-After: 1.065\r\n"
                           "X-RateLimit-Global: true\r\nX-RateLimit-Scope: user\r\nVia: 1.1 switchboard\r\n");
    arena_fini(&arena);
}

TEST(a_message_in_several_parts_is_read_from_one_of_them)
{
    static const char body[] = "--b1\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n"
                               "{\"content\":\"x\",\"nonce\":\"7\"}\r\n--b1--\r\n";
    struct rest_request r = {.method = "POST",
                             .path = BYTES("/api/channels/900/messages"),
                             .content_type = BYTES("multipart/form-data; boundary=b1"),
                             .body = BYTES(body),
                             .user = ANN};
    struct rest_out out;
    rest_step(&arena, &r, &out);
    CHECK_STR(told(&out), SEND("11", "7", "false", "0"));
    const struct message_send *send = out.commands[0].v;
    CHECK_TRUE(bytes_is(send->content, "x"));
    arena_fini(&arena);
}

MAIN
