// ready_guild: a guild as READY and GUILD_CREATE show it (https://docs.discord.com/developers/resources/guild).
// Every list-valued key is there even when Switchboard has nothing for it: libraries walk them unasked.
#include "ready_private.h"

#define LARGE_MEMBERS 250u
#define BITRATE 64000u

static const struct member *own_member(const struct ready *r, const struct loaded_guild *g)
{
    for (uint32_t lo = 0, hi = g->n_members; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (g->members[mid].user == r->world->user.id)
            return &g->members[mid];
        if (g->members[mid].user < r->world->user.id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

// The guild's own fields, without braces.
static void properties_json(struct buf *out, const struct guild *g)
{
    buf_str(out, "\"id\":");
    json_id(out, g->id);
    buf_str(out, ",\"name\":");
    json_text(out, g->name);
    buf_str(out, ",\"icon\":");
    ready_text_json(out, g->icon);
    buf_str(out, ",\"owner_id\":");
    json_id(out, g->owner);
    buf_str(out, ",\"description\":null,\"banner\":null,\"splash\":null,\"discovery_splash\":null,\"home_header\":null,"
                 "\"vanity_url_code\":null,\"application_id\":null,\"features\":[],\"preferred_locale\":\"en-US\","
                 "\"afk_channel_id\":null,\"afk_timeout\":300,\"system_channel_id\":null,\"system_channel_flags\":0,"
                 "\"rules_channel_id\":null,\"public_updates_channel_id\":null,\"safety_alerts_channel_id\":null,"
                 "\"verification_level\":0,\"default_message_notifications\":0,\"explicit_content_filter\":0,"
                 "\"mfa_level\":0,\"nsfw\":false,\"nsfw_level\":0,\"premium_tier\":0,\"premium_subscription_count\":0,"
                 "\"premium_progress_bar_enabled\":false,\"max_members\":500000,\"max_presences\":null,"
                 "\"max_video_channel_users\":25,\"max_stage_video_channel_users\":50,\"hub_type\":null,"
                 "\"incidents_data\":null,\"inventory_settings\":null,\"latest_onboarding_question_id\":null");
}

static void roles_json(struct buf *out, const struct loaded_guild *g)
{
    static const struct j_role_colors colors = {0};
    buf_str(out, ",\"roles\":[");
    for (uint32_t i = 0; i < g->n_roles; i++) {
        const struct role *r = &g->roles[i];
        const struct j_role j = {
            .id = r->id, .name = r->name, .permissions = r->permissions, .position = r->position, .colors = &colors};
        buf_str(out, i ? "," : "");
        JSON(out, j_role, &j);
    }
    buf_char(out, ']');
}

// Only voice channels have a bitrate: libraries tell them by that.
static void channel_json(struct buf *out, const struct guild_channel *c)
{
    buf_str(out, "{\"id\":");
    json_id(out, c->id);
    buf_printf(out, ",\"type\":%llu,\"name\":", (unsigned long long)c->type);
    json_text(out, c->name);
    buf_printf(out, ",\"position\":%llu,\"permission_overwrites\":[],\"parent_id\":", (unsigned long long)c->position);
    ready_id_json(out, c->parent);
    buf_str(out, ",\"flags\":0,\"nsfw\":false");
    if (c->type == CHANNEL_VOICE || c->type == CHANNEL_STAGE) {
        buf_printf(out, ",\"bitrate\":%llu,\"user_limit\":%llu,\"rtc_region\":",
                   (unsigned long long)(c->bitrate ? c->bitrate : BITRATE), (unsigned long long)c->user_limit);
        ready_text_json(out, c->rtc_region);
        buf_str(out, ",\"video_quality_mode\":1");
    }
    if (c->type != CHANNEL_CATEGORY)
        buf_str(out, ",\"topic\":null,\"rate_limit_per_user\":0,\"last_message_id\":null");
    buf_char(out, '}');
}

static void channels_json(struct buf *out, const struct loaded_guild *g)
{
    buf_str(out, ",\"channels\":[");
    for (uint32_t i = 0; i < g->n_channels; i++) {
        buf_str(out, i ? "," : "");
        channel_json(out, &g->channels[i]);
    }
    buf_char(out, ']');
}

static void member_json(struct buf *out, const struct ready *r, const struct member *m, bool with_user)
{
    if (with_user) {
        const struct j_user u = ready_user(r, m->user);
        buf_str(out, "{\"user\":");
        JSON(out, j_user, &u);
    } else {
        buf_str(out, "{\"user_id\":");
        json_id(out, m->user);
    }
    buf_str(out, ",\"roles\":[");
    for (uint32_t i = 0; i < m->roles.n; i++) {
        buf_str(out, i ? "," : "");
        json_id(out, m->roles.v[i]);
    }
    buf_str(out, "],\"nick\":");
    ready_text_json(out, m->nick);
    buf_str(out, ",\"joined_at\":");
    json_time(out, m->joined_at);
    buf_str(out, m->mute ? ",\"mute\":true" : ",\"mute\":false");
    buf_str(out, m->deaf ? ",\"deaf\":true" : ",\"deaf\":false");
    buf_str(out, ",\"avatar\":null,\"banner\":null,\"premium_since\":null,\"pending\":false,\"flags\":0,"
                 "\"communication_disabled_until\":null}");
}

static void members_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    buf_str(out, ",\"members\":[");
    for (uint32_t i = 0; i < g->n_members; i++) {
        buf_str(out, i ? "," : "");
        member_json(out, r, &g->members[i], true);
    }
    buf_char(out, ']');
}

// What both forms have beside the guild's own fields.
static void contents_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    const struct member *own = own_member(r, g);
    buf_str(out, ",\"joined_at\":");
    json_time(out, own ? own->joined_at : 0);
    buf_str(out, g->n_members > LARGE_MEMBERS ? ",\"large\":true" : ",\"large\":false");
    buf_printf(out, ",\"member_count\":%u,\"version\":%llu,\"lazy\":true", (unsigned)g->n_members,
               (unsigned long long)g->version);
    roles_json(out, g);
    channels_json(out, g);
    buf_str(out, ",\"threads\":[],\"emojis\":[],\"stickers\":[],\"stage_instances\":[],\"guild_scheduled_events\":[],"
                 "\"soundboard_sounds\":[],\"activity_instances\":[],\"embedded_activities\":[]");
}

static void people_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    members_json(out, r, g);
    buf_str(out, ",\"presences\":[],\"voice_states\":[]");
}

void ready_guild_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    buf_char(out, '{');
    properties_json(out, &g->guild);
    contents_json(out, r, g);
    people_json(out, r, g);
    buf_str(out, ",\"unavailable\":false}");
}

static void guild_json(struct buf *out, const struct ready *r, const struct loaded_guild *g, bool in_properties)
{
    if (in_properties) {
        buf_str(out, "{\"id\":");
        json_id(out, g->guild.id);
        buf_str(out, ",\"data_mode\":\"full\",\"properties\":{");
        properties_json(out, &g->guild);
        buf_str(out, "},\"premium_subscription_count\":0");
    } else {
        buf_char(out, '{');
        properties_json(out, &g->guild);
        buf_str(out, ",\"unavailable\":false");
    }
    contents_json(out, r, g);
    if (!ready_deduped(r->session))
        people_json(out, r, g);
    else if (!ready_has_supplemental(r->session))
        buf_str(out, ",\"presences\":[],\"voice_states\":[]");
    buf_char(out, '}');
}

void ready_guilds_json(struct buf *out, const struct ready *r, bool in_properties)
{
    bool first = true;
    buf_char(out, '[');
    for (uint32_t i = 0; i < r->world->n_guilds; i++) {
        const struct loaded_guild *g = &r->world->guilds[i];
        if (!session_sees_guild(r->session, g->guild.id))
            continue;
        buf_str(out, first ? "" : ",");
        guild_json(out, r, g, in_properties);
        first = false;
    }
    buf_char(out, ']');
}

void ready_merged_members_json(struct buf *out, const struct ready *r, bool own)
{
    bool first = true;
    buf_char(out, '[');
    for (uint32_t i = 0; i < r->world->n_guilds; i++) {
        const struct loaded_guild *g = &r->world->guilds[i];
        if (!session_sees_guild(r->session, g->guild.id))
            continue;
        const struct member *m = own ? own_member(r, g) : NULL;
        buf_str(out, first ? "[" : ",[");
        if (m)
            member_json(out, r, m, false);
        buf_char(out, ']');
        first = false;
    }
    buf_char(out, ']');
}
