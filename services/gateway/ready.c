// ready: see ready.h. Guild parts are in ready_guild.c.
#include "ready.h"
#include "intents.h"
#include "ready_private.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>

// --- capabilities of user accounts (https://docs.discord.food/gateway/using-gateway, "Gateway Capabilities") ---

bool ready_can(const struct session *s, enum capability bit)
{
    return s->capabilities & (1ull << bit);
}

bool ready_deduped(const struct session *s)
{
    return ready_can(s, CAN_DEDUPE_USERS);
}

bool ready_has_supplemental(const struct session *s)
{
    return !s->bot && ready_can(s, CAN_DEDUPE_USERS) && ready_can(s, CAN_SUPPLEMENTAL);
}

bool ready_has_guild_creates(const struct session *s)
{
    return s->bot && session_wants(s, intents_of(BYTES("GUILD_CREATE"), true));
}

bool ready_has_calls(const struct session *s)
{
    return !s->bot && ready_can(s, CAN_AUTO_CALLS) && session_sees_private(s);
}

// --- pieces ---

void ready_text_json(struct buf *out, struct bytes text)
{
    if (text.p)
        json_text(out, text);
    else
        buf_str(out, "null");
}

void ready_id_json(struct buf *out, uint64_t id)
{
    if (id)
        json_id(out, id);
    else
        buf_str(out, "null");
}

static void key(struct buf *out, const char *name) // never an object's first
{
    buf_str(out, ",\"");
    buf_str(out, name);
    buf_str(out, "\":");
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

struct j_user ready_user(const struct ready *r, uint64_t id)
{
    return view_user(r->world->users, id);
}

static void user_json(struct buf *out, const struct ready *r, uint64_t id)
{
    const struct j_user j = ready_user(r, id);
    JSON(out, j_user, &j);
}

const struct loaded_guild *ready_next_guild(const struct ready *r, uint32_t *at)
{
    while (*at < r->world->n_guilds) {
        const struct loaded_guild *g = &r->world->guilds[(*at)++];
        if (session_sees_guild(r->session, g->guild.id))
            return g;
    }
    return NULL;
}

// Everybody whom a user's READY and its supplement name by id alone: recipients, relations, and who sits in voice. Not
// himself: READY holds him in full.
static struct ids named_users(struct arena *a, const struct ready *r)
{
    const struct world *w = r->world;
    const struct loaded_guild *g;
    size_t n = w->n_relations, kept = 0;
    for (uint32_t i = 0; i < w->n_channels; i++)
        n += w->channels[i].channel.recipients.n;
    for (uint32_t i = 0; i < w->n_guilds; i++)
        n += w->guilds[i].n_seats;
    uint64_t *v = arena_take(a, (n + 1) * sizeof *v);
    n = 0;
    for (uint32_t i = 0; i < w->n_relations; i++)
        v[n++] = w->relations[i].target;
    for (uint32_t i = 0; i < w->n_channels; i++) {
        struct ids recipients = w->channels[i].channel.recipients;
        if (recipients.n)
            memcpy(&v[n], recipients.v, recipients.n * sizeof *v);
        n += recipients.n;
    }
    for (uint32_t i = 0; (g = ready_next_guild(r, &i)) != NULL;)
        n += ready_voice_users(r, g, &v[n]);
    qsort(v, n, sizeof *v, by_id);
    for (size_t i = 0; i < n; i++)
        if (v[i] != w->user.id && (kept == 0 || v[kept - 1] != v[i]))
            v[kept++] = v[i];
    return (struct ids){(uint32_t)kept, v};
}

static void users_json(struct arena *a, struct buf *out, const struct ready *r)
{
    struct ids named = named_users(a, r);
    buf_char(out, '[');
    for (uint32_t i = 0; i < named.n; i++) {
        buf_str(out, i ? "," : "");
        user_json(out, r, named.v[i]);
    }
    buf_char(out, ']');
}

static void relationships_json(struct buf *out, const struct ready *r)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < r->world->n_relations; i++) {
        const struct relation *rel = &r->world->relations[i];
        buf_str(out, i ? ",{\"id\":" : "{\"id\":");
        json_id(out, rel->target);
        buf_printf(out, ",\"type\":%llu,\"nickname\":null,\"since\":null,\"user_ignored\":false,",
                   (unsigned long long)rel->type);
        buf_str(out, "\"is_spam_request\":false,");
        if (ready_deduped(r->session)) {
            buf_str(out, "\"user_id\":");
            json_id(out, rel->target);
        } else {
            buf_str(out, "\"user\":");
            user_json(out, r, rel->target);
        }
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

// A private channel that names its recipients by id.
static void brief_channel_json(struct buf *out, const struct ready *r, const struct loaded_channel *c)
{
    const struct channel *ch = &c->channel;
    bool first = true;
    buf_str(out, "{\"id\":");
    json_id(out, ch->id);
    buf_printf(out, ",\"type\":%llu,\"recipient_ids\":[", (unsigned long long)ch->type);
    for (uint32_t i = 0; i < ch->recipients.n; i++) {
        if (ch->recipients.v[i] == r->world->user.id)
            continue;
        buf_str(out, first ? "" : ",");
        json_id(out, ch->recipients.v[i]);
        first = false;
    }
    buf_str(out, "],\"last_message_id\":");
    ready_id_json(out, c->last_message);
    buf_str(out, ",\"last_pin_timestamp\":null,\"flags\":0");
    if (ch->type == CHANNEL_DM) {
        buf_str(out, ",\"is_message_request\":false,\"is_spam\":false}");
        return;
    }
    buf_str(out, ",\"owner_id\":");
    json_id(out, ch->owner);
    key(out, "name");
    ready_text_json(out, ch->name);
    key(out, "icon");
    ready_text_json(out, ch->icon);
    buf_str(out, ",\"nicks\":[],\"managed\":false}");
}

static struct user_set recipients_of(struct arena *a, const struct ready *r, const struct channel *c)
{
    struct user *v = arena_take(a, (c->recipients.n + 1) * sizeof *v);
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->recipients.n; i++) {
        const struct user *u = view_find_user(r->world->users, c->recipients.v[i]);
        if (u)
            v[n++] = *u;
    }
    return (struct user_set){n, v};
}

static void private_channels_json(struct arena *a, struct buf *out, const struct ready *r)
{
    uint32_t n = session_sees_private(r->session) ? r->world->n_channels : 0;
    buf_char(out, '[');
    for (uint32_t i = 0; i < n; i++) {
        const struct loaded_channel *c = &r->world->channels[i];
        buf_str(out, i ? "," : "");
        if (ready_deduped(r->session))
            brief_channel_json(out, r, c);
        else
            present_channel_json(a, out, &c->channel, c->last_message, recipients_of(a, r, &c->channel),
                                 r->world->user.id);
    }
    buf_char(out, ']');
}

static void read_states_json(struct buf *out, const struct ready *r)
{
    bool versioned = ready_can(r->session, CAN_VERSIONED_READ_STATES);
    uint64_t version = 0;
    buf_str(out, versioned ? "{\"entries\":[" : "[");
    for (uint32_t i = 0; i < r->world->n_read_states; i++) {
        const struct read_state *s = &r->world->read_states[i];
        const struct j_read_state j = {
            .id = s->id, .last_message_id = s->last_message_id, .mention_count = s->mention_count};
        buf_str(out, i ? "," : "");
        JSON(out, j_read_state, &j);
        if (s->version > version)
            version = s->version;
    }
    buf_char(out, ']');
    if (versioned)
        buf_printf(out, ",\"version\":%llu,\"partial\":false}", (unsigned long long)version);
}

static bool has_text(struct texts texts, struct bytes text)
{
    for (uint32_t i = 0; i < texts.n; i++)
        if (bytes_eq(texts.v[i], text))
            return true;
    return false;
}

static void sessions_json(struct buf *out, const struct ready *r)
{
    const struct presence_sessions *there = &r->world->sessions;
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; i < r->sessions.n; i++, comma = ",") {
        bool own = bytes_is(r->sessions.v[i], r->session->id);
        buf_str(out, comma);
        presence_session_json(out, r->sessions.v[i], own ? r->said : presence_session(there, r->sessions.v[i]), own);
    }
    for (uint32_t i = 0; i < there->n; i++) {
        if (has_text(r->sessions, there->names[i]))
            continue;
        buf_str(out, comma);
        presence_session_json(out, there->names[i], &there->rows[i], false);
        comma = ",";
    }
    buf_char(out, ']');
}

static bool is_friend(const struct relation *rel)
{
    return rel->type == 1;
}

// […] of friends who are there. brief: by their ids.
static void friends_json(struct buf *out, const struct ready *r, bool brief)
{
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; session_sees_private(r->session) && i < r->world->n_relations; i++) {
        const struct relation *rel = &r->world->relations[i];
        const struct presence *p = is_friend(rel) ? presence_find(r->world->there, rel->target) : NULL;
        if (!p)
            continue;
        buf_str(out, comma);
        presence_json(out, p->user, p, 0, brief);
        comma = ",";
    }
    buf_char(out, ']');
}

// Lists parallel to READY's guilds.
static void merged_presences_json(struct buf *out, const struct ready *r)
{
    buf_str(out, "{\"friends\":");
    friends_json(out, r, true);
    buf_str(out, ",\"guilds\":");
    ready_merged_presences_json(out, r);
    buf_char(out, '}');
}

static void texts_json(struct buf *out, struct texts texts)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < texts.n; i++) {
        buf_str(out, i ? "," : "");
        json_text(out, texts.v[i]);
    }
    buf_char(out, ']');
}

// --- READY ---

// What bots and users are told alike.
static void common_json(struct buf *out, const struct ready *r)
{
    buf_printf(out, "{\"v\":%u,\"_trace\":[],\"user\":", (unsigned)r->session->line.v);
    view_me(out, &r->world->user, BYTES_NONE);
    buf_printf(out, ",\"session_id\":\"%s\",\"session_type\":\"normal\",\"resume_gateway_url\":", r->session->id);
    json_text(out, r->url);
    buf_str(out, ",\"geo_ordered_rtc_regions\":");
    texts_json(out, r->regions);
    buf_str(out, ",\"guild_join_requests\":[],\"presences\":");
    if (r->session->bot || ready_deduped(r->session))
        buf_str(out, "[]");
    else
        friends_json(out, r, false);
}

static void bot_json(struct buf *out, const struct ready *r)
{
    const struct loaded_guild *g;
    const char *comma = "";
    common_json(out, r);
    buf_printf(out, ",\"user_settings\":{},\"shard\":[%u,%u],\"application\":{\"id\":", (unsigned)r->session->shard,
               (unsigned)r->session->shards);
    json_id(out, r->world->user.id);
    buf_str(out, ",\"flags\":565248},\"private_channels\":[],\"relationships\":[],\"guilds\":[");
    for (uint32_t i = 0; (g = ready_next_guild(r, &i)) != NULL; comma = ",") {
        buf_str(out, comma);
        buf_str(out, "{\"id\":");
        json_id(out, g->guild.id);
        buf_str(out, ",\"unavailable\":true}");
    }
    buf_str(out, "]}");
}

// Parts that Switchboard has nothing to say in, but without which one client or another fails.
static void constants_json(struct buf *out, const struct session *s)
{
    buf_str(
        out,
        ",\"connected_accounts\":[],\"consents\":{\"personalization\":{\"consented\":false}},"
        "\"tutorial\":null,\"analytics_token\":\"\",\"auth_session_id_hash\":\"\","
        "\"auth\":{\"authenticator_types\":[]},\"country_code\":\"ZZ\",\"api_code_version\":1,"
        "\"experiments\":[],\"guild_experiments\":[],\"apex_experiments\":{},"
        "\"notification_settings\":{\"flags\":0},\"friend_suggestion_count\":0,\"game_relationships\":[],"
        "\"linked_users\":[],\"pending_payments\":[],\"explicit_content_scan_version\":0,\"broadcaster_user_ids\":[],"
        "\"feature_flags\":{\"overrides\":{},\"disabled\":[]}");
    buf_printf(out, ",\"static_client_session_id\":\"%.8s-%.4s-%.4s-%.4s-%.12s\"", s->id, s->id + 8, s->id + 12,
               s->id + 16, s->id + 20);
    buf_str(out, ",\"user_guild_settings\":");
    buf_str(out,
            ready_can(s, CAN_VERSIONED_GUILD_SETTINGS) ? "{\"entries\":[],\"version\":0,\"partial\":false}" : "[]");
    buf_str(out, ready_can(s, CAN_SETTINGS_PROTO) ? ",\"user_settings_proto\":\"\"" : ",\"user_settings\":{}");
    if (!ready_can(s, CAN_LAZY_NOTES))
        buf_str(out, ",\"notes\":{}");
}

void ready_json(struct arena *a, struct buf *out, const struct ready *r)
{
    if (r->session->bot) {
        bot_json(out, r);
        return;
    }
    common_json(out, r);
    constants_json(out, r->session);
    if (r->session->sharded)
        buf_printf(out, ",\"shard\":[%u,%u]", (unsigned)r->session->shard, (unsigned)r->session->shards);
    key(out, "sessions");
    sessions_json(out, r);
    key(out, "relationships");
    relationships_json(out, r);
    key(out, "private_channels");
    private_channels_json(a, out, r);
    key(out, "read_state");
    read_states_json(out, r);
    key(out, "guilds");
    ready_guilds_json(out, r);
    if (ready_deduped(r->session)) {
        key(out, "users");
        users_json(a, out, r);
        key(out, "merged_members");
        ready_merged_members_json(out, r, MERGED_OWN | (ready_has_supplemental(r->session) ? 0 : MERGED_VOICE));
        if (!ready_has_supplemental(r->session)) {
            key(out, "merged_presences");
            merged_presences_json(out, r);
        }
    }
    buf_char(out, '}');
}

// Lists parallel to READY's guilds, all of the same length.
void ready_supplemental_json(struct buf *out, const struct ready *r)
{
    const struct loaded_guild *g;
    const char *comma = "";
    buf_str(out, "{\"guilds\":[");
    for (uint32_t i = 0; (g = ready_next_guild(r, &i)) != NULL; comma = ",") {
        buf_str(out, comma);
        buf_str(out, "{\"id\":");
        json_id(out, g->guild.id);
        buf_str(out, ",\"voice_states\":");
        ready_voice_states_json(out, r, g);
        buf_str(out, ",\"activity_instances\":[],\"embedded_activities\":[]}");
    }
    buf_str(out, "],\"merged_members\":");
    ready_merged_members_json(out, r, MERGED_VOICE);
    buf_str(out, ",\"merged_presences\":");
    merged_presences_json(out, r);
    buf_str(out, ",\"lazy_private_channels\":[],\"disclose\":[],\"game_invites\":[]}");
}
