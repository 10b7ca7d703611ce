// test_ready: READY and what follows it are whole JSON in each of their forms, with what libraries walk unasked.
#include "ready.h"
#include "check.h"

#include <jansson.h>

#define ANN 11u
#define BEN 22u
#define CAT 33u
#define EVE 44u
#define DM 900u
#define GROUP 901u
#define GUILD ((uint64_t)6 << 22)
#define GUILD_2 ((uint64_t)7 << 22)
#define TALKING ((uint64_t)9 << 22) // the guild that has voice states
#define INTENT(bit) (1ull << (bit))
#define DEDUPED (1u << 4 | 1u << 5)
#define DPY_SELF 22525u // what discord.py-self announces

static struct arena arena;

// --- the world that is told ---

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    } // BYTES, as a static initialiser takes it

static const struct user users[] = {
    {.id = ANN, .username = TEXT("ann"), .global_name = TEXT("Ann \"A\"")},
    {.id = BEN, .username = TEXT("ben")},
    {.id = CAT, .username = TEXT("cat"), .avatar = TEXT("abc")},
    {.id = EVE, .username = TEXT("eve")},
};
static const uint64_t dm_ids[] = {ANN, BEN}, group_ids[] = {ANN, BEN, CAT}, role_ids[] = {501};
static const struct call_member call_members[] = {{.user = BEN, .session = TEXT("s"), .self_mute = true}};
static const struct call_rec call_rec = {
    .id = 950, .author = BEN, .region = TEXT("local"), .members = {1, call_members}};
static const struct loaded_channel channels[] = {
    {.version = 3, .channel = {.id = DM, .type = 1, .recipients = {2, dm_ids}}, .last_message = 77, .call = &call_rec},
    {.version = 4,
     .channel = {.id = GROUP, .type = 3, .owner = BEN, .name = TEXT("trio"), .recipients = {3, group_ids}}},
};
static const struct role roles[] = {
    {.id = 501, .name = TEXT("Mods"), .permissions = 1 << 22, .position = 1},
    {.id = GUILD, .name = TEXT("@everyone"), .permissions = 1071698660929ull},
};
static const struct guild_channel guild_channels[] = {
    {.id = 601, .type = 0, .name = TEXT("general")},
    {.id = 602, .type = 2, .name = TEXT("Lounge"), .position = 1, .bitrate = 96000},
    {.id = 603, .type = 13, .name = TEXT("Stage"), .position = 2, .parent = 604, .rtc_region = TEXT("local")},
    {.id = 604, .type = 4, .name = TEXT("Rooms"), .position = 3},
};
static const struct member members[] = {
    {.user = ANN, .roles = {1, role_ids}, .joined_at = 1700000000000ull, .nick = TEXT("Annie")},
    {.user = BEN, .joined_at = 1700000000001ull},
};
static const struct loaded_guild guilds[] = {
    {.version = 8,
     .guild = {.id = GUILD, .name = TEXT("Demo"), .owner = BEN},
     .roles = {2, roles},
     .n_channels = 4,
     .n_members = 2,
     .member_count = 2,
     .whole = true,
     .channels = guild_channels,
     .members = members},
    {.version = 1, .guild = {.id = GUILD_2, .name = TEXT("Empty"), .owner = BEN}},
};
// Lounge and Stage are for everybody, Vault is for Mods alone; ben and eve sit where all may look, cat does not.
static const struct role talking_roles[] = {
    {.id = 501, .name = TEXT("Mods"), .position = 1, .hoist = true},
    {.id = TALKING, .name = TEXT("@everyone"), .permissions = 1024},
};
static const struct overwrite mods_only[] = {{.id = TALKING, .deny = 1024}, {.id = 501, .allow = 1024}};
static const struct guild_channel talking_channels[] = {
    {.id = 702, .type = 2, .name = TEXT("Vault"), .overwrites = {2, mods_only}},
    {.id = 701, .type = 2, .name = TEXT("Lounge"), .position = 1},
    {.id = 703, .type = 13, .name = TEXT("Stage"), .position = 2},
};
static const struct member talking_members[] = {
    {.user = ANN}, {.user = BEN, .roles = {1, role_ids}, .mute = true}, {.user = CAT}, {.user = EVE}, {.user = 55}};
static const struct voice_seat talking_seats[] = {
    {.user = BEN, .channel = 701, .session = TEXT("bs"), .mute = true, .self_deaf = true, .self_stream = true},
    {.user = CAT, .channel = 702, .session = TEXT("cs")},
    {.user = EVE, .channel = 703, .session = TEXT("es"), .suppress = true, .request_at = 1700000000000ull},
};
static const struct voice_room talking_rooms[] = {{.channel = 701, .seats = 1, .status = TEXT("\"hush\"")},
                                                  {.channel = 702, .seats = 1},
                                                  {.channel = 703, .seats = 1}};
static const struct stage talking_stages[] = {{.id = 801, .channel = 703, .topic = TEXT("News"), .privacy = 2}};
static const struct loaded_guild talking = {.version = 5,
                                            .guild = {.id = TALKING, .name = TEXT("Talking"), .owner = 55},
                                            .roles = {2, talking_roles},
                                            .n_channels = 3,
                                            .n_members = 5,
                                            .n_seats = 3,
                                            .n_rooms = 3,
                                            .n_stages = 1,
                                            .channels = talking_channels,
                                            .members = talking_members,
                                            .seats = talking_seats,
                                            .rooms = talking_rooms,
                                            .stages = talking_stages,
                                            .member_count = 5,
                                            .whole = true};
static const struct relation relations[] = {{BEN, 1}, {CAT, 3}};
static const struct read_state read_states[] = {{.id = DM, .version = 5, .last_message_id = 76, .mention_count = 2},
                                                {.id = GROUP, .version = 9}};
static const struct world world = {
    .version = 2,
    .n_channels = 2,
    .n_guilds = 2,
    .n_relations = 2,
    .n_read_states = 2,
    .channels = channels,
    .guilds = guilds,
    .relations = relations,
    .read_states = read_states,
    .users = {4, users},
};
static const struct bytes regions[] = {TEXT("local"), TEXT("far")};
static const struct bytes sessions[] = {TEXT("30f32c5d54ae86130fc4a215c7474263"),
                                        TEXT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")};

struct story {
    struct session s;
    struct world w;
    struct ready r;
};

static void tell(struct story *t, uint64_t capabilities, bool bot)
{
    static const struct session_rules rules = {.heartbeat_ms = 1000};
    session_init(&t->s, sessions[0].p, 1, 9, &rules, 0);
    t->s.user = ANN;
    t->s.bot = bot;
    t->s.capabilities = capabilities;
    t->w = world;
    t->w.user = users[0];
    t->w.user.bot = bot;
    t->r = (struct ready){&t->s, &t->w, BYTES("ws://here:1"), {2, regions}, {2, sessions}, NULL};
}

// …to `user`, who is in the guild where people talk and nowhere else.
static void tell_talking(struct story *t, uint64_t user, uint64_t capabilities, uint64_t intents)
{
    tell(t, capabilities, intents != 0);
    t->s.user = user;
    t->s.intents = intents;
    t->w = (struct world){
        .user = *user_set_find(world.users, user), .n_guilds = 1, .guilds = &talking, .users = world.users};
}

// --- looking into JSON ---

static json_t *parsed(struct buf *text)
{
    json_error_t error;
    json_t *j = json_loadb(text->p, text->n, JSON_REJECT_DUPLICATES, &error);
    if (!j) {
        printf("%s near %d: %.*s\n", error.text, error.position, BYTES_FMT(buf_bytes(text)));
        test_failures++;
    }
    buf_fini(text);
    arena_reset(&arena);
    return j;
}

static json_t *ready(uint64_t capabilities, bool bot)
{
    struct story t;
    struct buf text = {0};
    tell(&t, capabilities, bot);
    ready_json(&arena, &text, &t.r);
    return parsed(&text);
}

// "a.0.b": objects by name, arrays by number.
static const json_t *at(const json_t *j, const char *path)
{
    char part[64];
    while (j && *path) {
        size_t n = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        j = json_is_array(j) ? json_array_get(j, strtoul(part, NULL, 10)) : json_object_get(j, part);
        path += n + (path[n] == '.');
    }
    return j;
}

static const char *text_at(const json_t *j, const char *path)
{
    const char *text = json_string_value(at(j, path));
    return text ? text : "(none)";
}

static bool null_at(const json_t *j, const char *path)
{
    return json_is_null(at(j, path));
}

static size_t count_at(const json_t *j, const char *path)
{
    return json_is_array(at(j, path)) ? json_array_size(at(j, path)) : 999;
}

static void check_keys(const json_t *j, const char *where, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!json_object_get(at(j, where), keys[i]))
            printf("%s lacks %s\n", where, keys[i]), test_failures++;
}
#define KEYS(j, where, ...)                                                                                            \
    do {                                                                                                               \
        const char *const keys_[] = {__VA_ARGS__};                                                                     \
        check_keys(j, where, keys_, countof(keys_));                                                                   \
    } while (0)

// --- user accounts ---

TEST(ready_of_a_user_has_every_key_that_some_client_needs)
{
    static const uint64_t forms[] = {0, DPY_SELF, DEDUPED, 1u << 4, 1u << 10, UINT64_MAX};
    for (size_t i = 0; i < countof(forms); i++) {
        json_t *j = ready(forms[i], false);
        KEYS(j, "", "v", "_trace", "user", "session_id", "resume_gateway_url", "session_type", "sessions", "guilds",
             "relationships", "private_channels", "read_state", "user_guild_settings", "geo_ordered_rtc_regions",
             "connected_accounts", "consents", "tutorial", "analytics_token", "auth_session_id_hash",
             "static_client_session_id", "auth", "country_code", "api_code_version", "experiments", "guild_experiments",
             "notification_settings", "friend_suggestion_count", "guild_join_requests", "game_relationships",
             "linked_users", "pending_payments", "explicit_content_scan_version", "presences");
        KEYS(j, "user", "id", "username", "discriminator", "global_name", "avatar", "banner", "accent_color", "bio",
             "email", "verified", "mfa_enabled", "phone", "premium_type", "flags", "public_flags", "purchased_flags",
             "nsfw_allowed", "locale", "pronouns", "avatar_decoration_data", "desktop", "mobile");
        CHECK_STR(text_at(j, "user.id"), "11");
        CHECK_STR(text_at(j, "user.global_name"), "Ann \"A\"");
        CHECK_STR(text_at(j, "session_id"), sessions[0].p);
        CHECK_STR(text_at(j, "resume_gateway_url"), "ws://here:1");
        CHECK_STR(text_at(j, "static_client_session_id"), "30f32c5d-54ae-8613-0fc4-a215c7474263");
        CHECK_STR(text_at(j, "geo_ordered_rtc_regions.1"), "far");
        CHECK_EQ(json_integer_value(at(j, "v")), 9);
        CHECK_EQ(count_at(j, "guilds"), 2);
        CHECK_EQ(count_at(j, "private_channels"), 2);
        json_decref(j);
    }
}

TEST(sessions_of_the_user_are_listed_and_one_is_this)
{
    json_t *j = ready(0, false);
    CHECK_EQ(count_at(j, "sessions"), 2);
    CHECK_STR(text_at(j, "sessions.1.session_id"), sessions[1].p);
    CHECK_TRUE(json_is_true(at(j, "sessions.0.active")) && json_is_false(at(j, "sessions.1.active")));
    KEYS(j, "sessions.0", "session_id", "status", "activities", "client_info");
    json_decref(j);
}

TEST(without_capabilities_everything_is_in_full)
{
    json_t *j = ready(0, false);
    CHECK_TRUE(!at(j, "users") && !at(j, "merged_members"));
    CHECK_EQ(count_at(j, "private_channels.0.recipients"), 1);
    CHECK_STR(text_at(j, "private_channels.0.recipients.0.username"), "ben");
    CHECK_STR(text_at(j, "private_channels.0.last_message_id"), "77");
    CHECK_EQ(count_at(j, "private_channels.1.recipients"), 2);
    CHECK_STR(text_at(j, "private_channels.1.owner_id"), "22");
    CHECK_STR(text_at(j, "relationships.1.user.avatar"), "abc");
    CHECK_EQ(json_integer_value(at(j, "relationships.1.type")), 3);
    CHECK_EQ(count_at(j, "read_state"), 2);
    CHECK_STR(text_at(j, "read_state.0.last_message_id"), "76");
    CHECK_TRUE(null_at(j, "read_state.1.last_message_id"));
    CHECK_EQ(count_at(j, "user_guild_settings"), 0);
    CHECK_TRUE(json_is_object(at(j, "user_settings")) && !at(j, "user_settings_proto"));
    CHECK_TRUE(json_is_object(at(j, "notes")));
    CHECK_STR(text_at(j, "guilds.0.name"), "Demo");
    CHECK_EQ(count_at(j, "guilds.0.members"), 2);
    CHECK_STR(text_at(j, "guilds.0.members.1.user.username"), "ben");
    CHECK_EQ(count_at(j, "guilds.0.voice_states"), 0);
    CHECK_TRUE(json_is_false(at(j, "guilds.0.unavailable")));
    json_decref(j);
}

TEST(deduped_users_are_named_once_and_elsewhere_by_id)
{
    json_t *j = ready(DPY_SELF, false);
    CHECK_EQ(count_at(j, "users"), 2); // not himself: he is there in full
    CHECK_STR(text_at(j, "users.0.id"), "22");
    CHECK_STR(text_at(j, "users.1.id"), "33");
    CHECK_EQ(count_at(j, "private_channels.0.recipient_ids"), 1);
    CHECK_STR(text_at(j, "private_channels.0.recipient_ids.0"), "22");
    CHECK_TRUE(!at(j, "private_channels.0.recipients"));
    CHECK_EQ(count_at(j, "private_channels.1.recipient_ids"), 2);
    CHECK_STR(text_at(j, "private_channels.1.name"), "trio");
    KEYS(j, "private_channels.1", "icon", "nicks", "managed", "owner_id", "last_message_id");
    CHECK_STR(text_at(j, "relationships.0.user_id"), "22");
    CHECK_TRUE(!at(j, "relationships.0.user") && null_at(j, "relationships.0.nickname"));
    CHECK_EQ(json_integer_value(at(j, "read_state.version")), 9);
    CHECK_EQ(count_at(j, "read_state.entries"), 2);
    CHECK_TRUE(json_is_false(at(j, "read_state.partial")));
    KEYS(j, "user_guild_settings", "entries", "version", "partial");
    CHECK_STR(text_at(j, "user_settings_proto"), "");
    CHECK_TRUE(!at(j, "notes") && !at(j, "user_settings"));
    json_decref(j);
}

TEST(client_state_puts_the_guilds_own_fields_into_properties)
{
    json_t *j = ready(DPY_SELF, false);
    KEYS(j, "guilds.0", "id", "joined_at", "large", "member_count", "data_mode", "properties", "channels", "roles",
         "emojis", "stickers", "threads", "stage_instances", "guild_scheduled_events", "premium_subscription_count",
         "version");
    CHECK_STR(text_at(j, "guilds.0.data_mode"), "full");
    CHECK_STR(text_at(j, "guilds.0.properties.name"), "Demo");
    CHECK_STR(text_at(j, "guilds.0.properties.owner_id"), "22");
    CHECK_TRUE(!at(j, "guilds.0.name") && !at(j, "guilds.0.members"));
    CHECK_STR(text_at(j, "guilds.0.joined_at"), "2023-11-14T22:13:20.000000+00:00");
    CHECK_EQ(count_at(j, "merged_members"), 2);
    CHECK_EQ(count_at(j, "merged_members.0"), 1);
    CHECK_STR(text_at(j, "merged_members.0.0.user_id"), "11");
    CHECK_STR(text_at(j, "merged_members.0.0.roles.0"), "501");
    CHECK_EQ(count_at(j, "merged_members.1"), 0); // of a guild that does not know him any more
    json_decref(j);
}

TEST(the_supplement_has_lists_parallel_to_the_guilds)
{
    struct story t;
    struct buf text = {0};
    tell(&t, DPY_SELF, false);
    CHECK_TRUE(ready_has_supplemental(&t.s));
    ready_supplemental_json(&text, &t.r);
    json_t *j = parsed(&text);
    CHECK_EQ(count_at(j, "guilds"), 2);
    CHECK_EQ(count_at(j, "guilds.0.voice_states"), 0);
    CHECK_EQ(count_at(j, "merged_members"), 2);
    CHECK_EQ(count_at(j, "merged_members.1"), 0);
    CHECK_EQ(count_at(j, "merged_presences.guilds"), 2);
    CHECK_EQ(count_at(j, "merged_presences.friends"), 0);
    KEYS(j, "", "lazy_private_channels", "disclose", "game_invites");
    json_decref(j);
}

TEST(what_follows_ready_depends_on_who_asks)
{
    struct story t;
    tell(&t, 0, false);
    CHECK_TRUE(!ready_has_supplemental(&t.s) && !ready_has_guild_creates(&t.s) && !ready_has_calls(&t.s));
    tell(&t, 1u << 5, false); // needs the other bit too
    CHECK_TRUE(!ready_has_supplemental(&t.s));
    tell(&t, 1u << 12, false);
    CHECK_TRUE(ready_has_calls(&t.s));
    t.s.shards = 2;
    t.s.shard = 1;
    CHECK_TRUE(!ready_has_calls(&t.s));
    tell(&t, UINT64_MAX, true);
    t.s.intents = INTENT(7);
    CHECK_TRUE(!ready_has_guild_creates(&t.s));
    t.s.intents = INTENT(0);
    CHECK_TRUE(!ready_has_supplemental(&t.s) && ready_has_guild_creates(&t.s) && !ready_has_calls(&t.s));
}

TEST(nobody_has_to_have_anything)
{
    static const uint64_t forms[] = {0, DPY_SELF};
    for (size_t i = 0; i < countof(forms); i++) {
        struct story t;
        struct buf text = {0};
        tell(&t, forms[i], false);
        t.w = (struct world){.user = users[1]};
        t.r.regions = t.r.sessions = (struct texts){0};
        ready_json(&arena, &text, &t.r);
        json_t *j = parsed(&text);
        CHECK_EQ(count_at(j, "guilds"), 0);
        CHECK_EQ(count_at(j, "private_channels"), 0);
        CHECK_EQ(count_at(j, "relationships"), 0);
        json_decref(j);
        ready_supplemental_json(&text, &t.r);
        j = parsed(&text);
        CHECK_EQ(count_at(j, "merged_presences.guilds"), 0);
        json_decref(j);
    }
}

// --- bots ---

TEST(ready_of_a_bot_announces_its_guilds_as_unavailable)
{
    json_t *j = ready(0, true);
    KEYS(j, "", "v", "user", "session_id", "resume_gateway_url", "application", "guilds", "private_channels", "shard",
         "relationships", "user_settings", "geo_ordered_rtc_regions");
    CHECK_STR(text_at(j, "application.id"), "11");
    CHECK_TRUE(json_is_integer(at(j, "application.flags")));
    CHECK_TRUE(json_is_true(at(j, "user.bot")));
    CHECK_EQ(count_at(j, "guilds"), 2);
    CHECK_TRUE(json_is_true(at(j, "guilds.1.unavailable")));
    CHECK_EQ(count_at(j, "private_channels"), 0);
    CHECK_EQ(json_integer_value(at(j, "shard.1")), 1);
    json_decref(j);
}

TEST(a_shard_is_told_of_its_own_guilds)
{
    struct story t;
    struct buf text = {0};
    tell(&t, 0, true);
    t.s.shards = 2;
    t.s.shard = 1; // guild 7 is its, guild 6 is not
    ready_json(&arena, &text, &t.r);
    json_t *j = parsed(&text);
    CHECK_EQ(count_at(j, "guilds"), 1);
    CHECK_EQ(json_integer_value(at(j, "shard.0")), 1);
    json_decref(j);
}

TEST(guild_create_has_what_libraries_walk)
{
    struct story t;
    struct buf text = {0};
    tell(&t, 0, true);
    t.s.intents = INTENT(8);
    ready_guild_json(&text, &t.r, &guilds[0]);
    json_t *j = parsed(&text);
    KEYS(j, "", "id", "name", "icon", "owner_id", "afk_channel_id", "afk_timeout", "verification_level",
         "default_message_notifications", "explicit_content_filter", "features", "mfa_level", "system_channel_id",
         "rules_channel_id", "public_updates_channel_id", "preferred_locale", "premium_tier",
         "premium_progress_bar_enabled", "nsfw_level", "max_video_channel_users", "max_stage_video_channel_users",
         "description", "banner", "splash", "discovery_splash", "vanity_url_code", "safety_alerts_channel_id",
         "joined_at", "large", "unavailable", "member_count", "threads", "presences", "emojis", "stickers",
         "stage_instances", "guild_scheduled_events", "soundboard_sounds", "voice_states");
    CHECK_TRUE(json_is_false(at(j, "unavailable")));
    CHECK_EQ(count_at(j, "roles"), 2);
    CHECK_STR(text_at(j, "roles.1.permissions"), "1071698660929");
    KEYS(j, "roles.1", "colors", "color", "hoist", "position", "managed", "mentionable");
    KEYS(j, "roles.1.colors", "primary_color", "secondary_color", "tertiary_color");
    CHECK_EQ(count_at(j, "channels"), 4);
    CHECK_TRUE(!at(j, "channels.0.bitrate") && !at(j, "channels.3.bitrate"));
    CHECK_EQ(json_integer_value(at(j, "channels.1.bitrate")), 96000);
    CHECK_EQ(json_integer_value(at(j, "channels.2.bitrate")), 64000);
    CHECK_STR(text_at(j, "channels.2.rtc_region"), "local");
    CHECK_STR(text_at(j, "channels.2.parent_id"), "604");
    CHECK_TRUE(null_at(j, "channels.1.rtc_region") && null_at(j, "channels.1.parent_id"));
    CHECK_EQ(count_at(j, "members"), 2);
    KEYS(j, "members.0", "user", "roles", "joined_at", "deaf", "mute", "nick", "avatar", "premium_since", "pending",
         "flags", "communication_disabled_until");
    CHECK_STR(text_at(j, "members.0.nick"), "Annie");
    CHECK_TRUE(null_at(j, "members.1.nick"));
    json_decref(j);
    arena_fini(&arena);
}

// --- guilds where people talk ---

static json_t *guild_create(const struct story *t, const struct loaded_guild *g)
{
    struct buf text = {0};
    ready_guild_json(&text, &t->r, g);
    return parsed(&text);
}

// What of a list has this name, as "a b c".
static const char *each(const json_t *j, const char *list, const char *path)
{
    static char text[256];
    size_t n = json_array_size(at(j, list));
    text[0] = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", text_at(json_array_get(at(j, list), i), path));
    }
    return text;
}

TEST(a_guild_is_told_with_who_sits_where_its_viewer_may_look)
{
    static const struct {
        uint64_t viewer;
        const char *channels, *sitting, *stages;
    } rows[] = {
        {ANN, "701 703", "22 44", "801"},
        {BEN, "702 701 703", "22 33 44", "801"}, // who has the role
        {CAT, "701 703", "22 33 44", "801"},     // himself, wherever he is
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct story t;
        tell_talking(&t, rows[i].viewer, 0, 0);
        json_t *j = guild_create(&t, &talking);
        CHECK_STR(each(j, "channels", "id"), rows[i].channels);
        CHECK_STR(each(j, "voice_states", "user_id"), rows[i].sitting);
        CHECK_STR(each(j, "stage_instances", "id"), rows[i].stages);
        CHECK_STR(each(j, "members", "user.id"), "11 22 33 44 55");
        json_decref(j);
    }
}

TEST(a_voice_state_in_a_guild_names_neither_guild_nor_member)
{
    struct story t;
    tell_talking(&t, ANN, 0, 0);
    json_t *j = guild_create(&t, &talking);
    KEYS(j, "voice_states.0", "channel_id", "user_id", "session_id", "deaf", "mute", "self_deaf", "self_mute",
         "self_video", "suppress", "request_to_speak_timestamp", "self_stream");
    CHECK_TRUE(!at(j, "voice_states.0.guild_id") && !at(j, "voice_states.0.member"));
    CHECK_STR(text_at(j, "voice_states.0.channel_id"), "701");
    CHECK_TRUE(json_is_true(at(j, "voice_states.0.mute")) && json_is_false(at(j, "voice_states.0.self_mute")));
    CHECK_TRUE(null_at(j, "voice_states.0.request_to_speak_timestamp"));
    CHECK_STR(text_at(j, "voice_states.1.request_to_speak_timestamp"), "2023-11-14T22:13:20.000000+00:00");
    CHECK_TRUE(json_is_true(at(j, "voice_states.1.suppress")));
    CHECK_STR(text_at(j, "channels.0.status"), "\"hush\"");
    CHECK_TRUE(!at(j, "channels.1.status")); // a stage has none
    CHECK_STR(text_at(j, "stage_instances.0.topic"), "News");
    CHECK_STR(text_at(j, "stage_instances.0.guild_id"), "37748736");
    CHECK_STR(text_at(j, "members.1.hoisted_role"), "501");
    CHECK_TRUE(null_at(j, "members.0.hoisted_role"));
    json_decref(j);
    tell_talking(&t, BEN, 0, 0);
    j = guild_create(&t, &talking);
    CHECK_TRUE(null_at(j, "channels.0.status")); // nobody has given it one
    json_decref(j);
}

TEST(what_a_bot_is_told_of_people_depends_on_its_intents)
{
    static const struct {
        uint64_t intents;
        const char *members, *sitting;
    } rows[] = {
        {INTENT(0), "11 22 44", ""},
        {INTENT(0) | INTENT(1), "11 22 44", ""},
        {INTENT(0) | INTENT(7), "11 22 44", "22 44"},
        {INTENT(0) | INTENT(8), "11 22 33 44 55", ""},
        {INTENT(0) | INTENT(7) | INTENT(8), "11 22 33 44 55", "22 44"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct story t;
        tell_talking(&t, ANN, 0, rows[i].intents);
        json_t *j = guild_create(&t, &talking);
        CHECK_STR(each(j, "members", "user.id"), rows[i].members);
        CHECK_STR(each(j, "voice_states", "user_id"), rows[i].sitting);
        CHECK_EQ(json_integer_value(at(j, "member_count")), 5);
        json_decref(j);
    }
}

TEST(of_a_large_guild_the_client_is_told_of_itself_and_who_sits_in_voice)
{
    static const struct {
        uint64_t count;
        bool whole, bot;
        uint32_t threshold;
        bool large;
        const char *members;
    } rows[] = {
        {50, true, true, 50, false, "11 22 33 44 55"},
        {51, true, true, 50, true, "11 22 44"},
        {51, true, true, 250, false, "11 22 33 44 55"},
        {250, true, true, 250, false, "11 22 33 44 55"},
        {251, false, true, 250, true, "11 22 44"},
        {250, true, false, 50, false, "11 22 33 44 55"}, // a user's does not count
        {251, false, false, 50, true, "11 22 44"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct story t;
        struct loaded_guild g = talking;
        tell_talking(&t, ANN, 0, rows[i].bot ? INTENT(7) | INTENT(8) : 0);
        t.s.large = rows[i].threshold;
        g.member_count = rows[i].count;
        g.whole = rows[i].whole;
        json_t *j = guild_create(&t, &g);
        CHECK_EQ(json_is_true(at(j, "large")), rows[i].large);
        CHECK_EQ(json_integer_value(at(j, "member_count")), (json_int_t)rows[i].count);
        CHECK_STR(each(j, "members", "user.id"), rows[i].members);
        json_decref(j);
    }
}

TEST(who_sits_in_voice_is_told_by_the_supplement_and_named_in_ready)
{
    struct story t;
    struct buf text = {0};
    tell_talking(&t, ANN, DPY_SELF, 0);
    ready_json(&arena, &text, &t.r);
    json_t *j = parsed(&text);
    CHECK_TRUE(!at(j, "guilds.0.voice_states") && !at(j, "guilds.0.members"));
    CHECK_STR(each(j, "merged_members.0", "user_id"), "11");
    CHECK_STR(each(j, "users", "id"), "22 44"); // cat cannot be seen
    json_decref(j);
    ready_supplemental_json(&text, &t.r);
    j = parsed(&text);
    CHECK_STR(each(j, "guilds", "id"), "37748736");
    CHECK_STR(each(j, "guilds.0.voice_states", "user_id"), "22 44");
    CHECK_EQ(count_at(j, "merged_members"), 1);
    CHECK_STR(each(j, "merged_members.0", "user_id"), "22 44");
    CHECK_STR(text_at(j, "merged_members.0.0.hoisted_role"), "501");
    CHECK_EQ(count_at(j, "merged_presences.guilds"), 1);
    json_decref(j);
}

TEST(the_supplement_names_the_user_himself_once)
{
    struct story t;
    struct buf text = {0};
    tell_talking(&t, BEN, DPY_SELF, 0); // who sits in voice, in another session
    ready_json(&arena, &text, &t.r);
    json_t *j = parsed(&text);
    CHECK_STR(each(j, "merged_members.0", "user_id"), "22");
    CHECK_STR(each(j, "users", "id"), "33 44");
    json_decref(j);
    ready_supplemental_json(&text, &t.r);
    j = parsed(&text);
    CHECK_STR(each(j, "guilds.0.voice_states", "user_id"), "22 33 44");
    CHECK_STR(each(j, "merged_members.0", "user_id"), "33 44");
    json_decref(j);
}

TEST(without_a_supplement_ready_has_it_all)
{
    struct story t;
    struct buf text = {0};
    tell_talking(&t, ANN, 1u << 4, 0);
    ready_json(&arena, &text, &t.r);
    json_t *j = parsed(&text);
    CHECK_STR(each(j, "guilds.0.voice_states", "user_id"), "22 44");
    CHECK_TRUE(!at(j, "guilds.0.members"));
    CHECK_STR(each(j, "merged_members.0", "user_id"), "11 22 44");
    CHECK_STR(each(j, "users", "id"), "22 44");
    json_decref(j);
    tell_talking(&t, ANN, 0, 0);
    ready_json(&arena, &text, &t.r);
    j = parsed(&text);
    CHECK_STR(each(j, "guilds.0.voice_states", "user_id"), "22 44");
    CHECK_STR(each(j, "guilds.0.members", "user.id"), "11 22 33 44 55");
    json_decref(j);
}

TEST(a_guild_that_a_user_comes_to_is_told_in_the_form_that_he_reads)
{
    struct story t;
    tell_talking(&t, ANN, DPY_SELF, 0);
    json_t *j = guild_create(&t, &talking);
    CHECK_STR(text_at(j, "properties.name"), "Talking");
    CHECK_STR(each(j, "members", "user.id"), "11 22 33 44 55");
    CHECK_STR(each(j, "voice_states", "user_id"), "22 44");
    CHECK_TRUE(json_is_false(at(j, "unavailable")));
    json_decref(j);
    tell_talking(&t, ANN, UINT64_MAX, INTENT(7)); // capabilities are not for bots
    j = guild_create(&t, &talking);
    CHECK_STR(text_at(j, "name"), "Talking");
    json_decref(j);
    arena_fini(&arena);
}

// Everybody is there, but for cat.
static const struct presence there[] = {{.user = ANN, .status = PRESENCE_ONLINE},
                                        {.user = BEN, .status = PRESENCE_DND},
                                        {.user = EVE, .status = PRESENCE_IDLE}};

static json_t *told_presences(uint64_t capabilities, uint64_t intents, void (*what)(struct story *, struct buf *))
{
    struct story t;
    struct buf text = {0};
    tell_talking(&t, ANN, capabilities, intents);
    t.w.there = (struct presence_set){countof(there), there};
    t.w.n_relations = countof(relations);
    t.w.relations = relations;
    what(&t, &text);
    return parsed(&text);
}

static void as_ready(struct story *t, struct buf *text)
{
    ready_json(&arena, text, &t->r);
}

static void as_supplement(struct story *t, struct buf *text)
{
    ready_supplemental_json(text, &t->r);
}

static void as_guild(struct story *t, struct buf *text)
{
    ready_guild_json(text, &t->r, &talking);
}

TEST(friends_and_those_whom_a_guild_tells_of_are_told_with_how_they_are_there)
{
    json_t *j = told_presences(0, 0, as_ready);
    CHECK_EQ(count_at(j, "presences"), 1);
    CHECK_STR(text_at(j, "presences.0.user.id"), "22");
    CHECK_STR(text_at(j, "presences.0.status"), "dnd");
    CHECK_EQ(count_at(j, "guilds.0.presences"), 2);
    json_decref(j);
    j = told_presences(DPY_SELF, 0, as_ready);
    CHECK_EQ(count_at(j, "presences"), 0);
    CHECK_TRUE(at(j, "merged_presences") == NULL);
    json_decref(j);
    j = told_presences(DPY_SELF, 0, as_supplement);
    CHECK_EQ(count_at(j, "merged_presences.friends"), 1);
    CHECK_STR(text_at(j, "merged_presences.friends.0.user_id"), "22");
    CHECK_EQ(count_at(j, "merged_presences.guilds"), 1);
    CHECK_EQ(count_at(j, "merged_presences.guilds.0"), 2);
    CHECK_STR(text_at(j, "merged_presences.guilds.0.1.status"), "idle");
    json_decref(j);
}

TEST(bots_are_told_of_presences_when_they_asked_for_them)
{
    json_t *j = told_presences(0, INTENT(0), as_guild);
    CHECK_EQ(count_at(j, "presences"), 0);
    json_decref(j);
    j = told_presences(0, INTENT(0) | INTENT(8), as_guild);
    CHECK_EQ(count_at(j, "presences"), 2);
    json_decref(j);
}

TEST(sessions_are_told_with_what_they_say_and_those_elsewhere_too)
{
    struct story t;
    struct buf text = {0};
    struct bytes names[] = {sessions[1], TEXT("elsewhere")};
    struct online rows[] = {{.status = PRESENCE_IDLE}, {.status = PRESENCE_INVISIBLE, .client = TEXT("mobile")}};
    const struct online said = {.status = PRESENCE_DND, .activities = TEXT("[{\"name\":\"x\"}]")};
    tell(&t, DPY_SELF, false);
    t.w.sessions = (struct presence_sessions){2, names, rows};
    t.r.said = &said;
    ready_json(&arena, &text, &t.r);
    json_t *j = parsed(&text);
    CHECK_EQ(count_at(j, "sessions"), 3);
    CHECK_STR(text_at(j, "sessions.0.status"), "dnd");
    CHECK_STR(text_at(j, "sessions.0.activities.0.name"), "x");
    CHECK_STR(text_at(j, "sessions.1.status"), "idle");
    CHECK_STR(text_at(j, "sessions.2.status"), "invisible");
    CHECK_STR(text_at(j, "sessions.2.client_info.client"), "mobile");
    json_decref(j);
}

MAIN
