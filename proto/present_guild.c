// present_guild: see present_guild.h.
#include "present_guild.h"

#define MEMBERS_MAX 500000u
#define QUALITY_AUTO 1u

bool channel_has_voice(uint64_t type)
{
    return type == CHANNEL_VOICE || type == CHANNEL_STAGE;
}

static struct bytes keep(struct arena *a, struct buf *buf)
{
    struct bytes text = arena_copy(a, buf_bytes(buf));
    buf_fini(buf);
    return text;
}

void present_guild_json(struct buf *out, const struct guild *g)
{
    const struct j_guild j = {
        .id = g->id,
        .name = g->name,
        .icon = g->icon,
        .owner_id = g->owner,
        .description = g->description,
        .afk_channel_id = g->afk_channel,
        .afk_timeout = g->afk_timeout ? g->afk_timeout : GUILD_AFK_S,
        .preferred_locale = BYTES("en-US"),
        .max_members = MEMBERS_MAX,
        .max_video_channel_users = g->video_max ? g->video_max : GUILD_VIDEO_MAX,
        .max_stage_video_channel_users = g->stage_video_max ? g->stage_video_max : GUILD_STAGE_VIDEO_MAX,
    };
    JSON(out, j_guild, &j);
}

static struct j_role role_of(const struct role *r, const struct j_role_colors *colors)
{
    return (struct j_role){
        .id = r->id,
        .name = r->name,
        .permissions = r->permissions,
        .position = r->position,
        .color = r->color,
        .colors = colors,
        .hoist = r->hoist,
        .mentionable = r->mentionable,
    };
}

void present_role_json(struct buf *out, const struct role *r)
{
    const struct j_role_colors colors = {.primary_color = r->color};
    const struct j_role j = role_of(r, &colors);
    JSON(out, j_role, &j);
}

void present_roles_json(struct buf *out, uint32_t n, const struct role *v)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < n; i++) {
        buf_str(out, i ? "," : "");
        present_role_json(out, &v[i]);
    }
    buf_char(out, ']');
}

void present_guild_roles_json(struct buf *out, const struct guild *g, uint32_t n, const struct role *v)
{
    present_guild_json(out, g);
    out->n--; // its closing brace
    buf_str(out, ",\"roles\":");
    present_roles_json(out, n, v);
    buf_str(out, ",\"emojis\":[],\"stickers\":[]}");
}

struct bytes present_role(struct arena *a, const struct role *r, uint64_t guild)
{
    const struct j_role_colors colors = {.primary_color = r->color};
    const struct j_role role = role_of(r, &colors);
    const struct j_guild_role j = {.guild_id = guild, .role = &role};
    return schema_text(a, &schema_j_guild_role, &j);
}

static void overwrites(struct arena *a, const struct guild_channel *c, struct j_overwrite **out)
{
    *out = arena_take(a, (c->overwrites.n + 1) * sizeof **out);
    for (uint32_t i = 0; i < c->overwrites.n; i++) {
        const struct overwrite *o = &c->overwrites.v[i];
        (*out)[i] = (struct j_overwrite){.id = o->id, .type = o->type, .allow = o->allow, .deny = o->deny};
    }
}

// What channels with and without voice have alike; `over` are the channel's overwrites.
#define CHANNEL_FIELDS(c, guild, over)                                                                                 \
    .id = (c)->id, .type = (c)->type, .guild_id = (guild), .name = (c)->name, .position = (c)->position,               \
    .parent_id = (c)->parent, .permission_overwrites = {(c)->overwrites.n, (over)}, .topic = (c)->topic,               \
    .nsfw = (c)->nsfw, .rate_limit_per_user = (c)->rate_limit

void present_guild_channel_json(struct arena *a, struct buf *out, const struct guild_channel *c, uint64_t guild)
{
    struct j_overwrite *over;
    overwrites(a, c, &over);
    if (!channel_has_voice(c->type)) {
        const struct j_guild_text text = {CHANNEL_FIELDS(c, guild, over)};
        JSON(out, j_guild_text, &text);
        return;
    }
    const struct j_guild_voice voice = {
        CHANNEL_FIELDS(c, guild, over),
        .bitrate = c->bitrate ? c->bitrate : GUILD_BITRATE,
        .user_limit = c->user_limit,
        .rtc_region = c->rtc_region,
        .video_quality_mode = c->video_quality ? c->video_quality : QUALITY_AUTO,
    };
    JSON(out, j_guild_voice, &voice);
}

struct bytes present_guild(struct arena *a, const struct guild *g, struct role_set roles)
{
    struct buf out = {0};
    present_guild_roles_json(&out, g, roles.n, roles.v);
    return keep(a, &out);
}

struct bytes present_guild_channel(struct arena *a, const struct guild_channel *c, uint64_t guild)
{
    struct buf out = {0};
    present_guild_channel_json(a, &out, c, guild);
    return keep(a, &out);
}

struct j_member present_member(const struct member *m, const struct j_user *user, uint64_t guild, uint64_t hoisted)
{
    return (struct j_member){
        .user = user,
        .user_id = user ? 0 : m->user,
        .nick = m->nick,
        .roles = m->roles,
        .joined_at = m->joined_at,
        .deaf = m->deaf,
        .mute = m->mute,
        .communication_disabled_until = m->disabled_until,
        .hoisted_role = hoisted,
        .guild_id = guild,
    };
}

static struct j_user user_of(const struct user *u, uint64_t id)
{
    return present_user_id((struct user_set){u ? 1 : 0, u}, id);
}

struct bytes present_member_text(struct arena *a, const struct member *m, const struct user *u, uint64_t guild,
                                 uint64_t hoisted)
{
    const struct j_user user = user_of(u, m->user);
    const struct j_member j = present_member(m, &user, guild, hoisted);
    return schema_text(a, &schema_j_member, &j);
}

// What a voice state has wherever it is shown.
#define SEAT_FIELDS(s)                                                                                                 \
    .user_id = (s)->user, .session_id = (s)->session, .deaf = (s)->deaf, .mute = (s)->mute,                            \
    .self_deaf = (s)->self_deaf, .self_mute = (s)->self_mute, .self_video = (s)->self_video,                           \
    .suppress = (s)->suppress, .request_to_speak_timestamp = (s)->request_at, .self_stream = (s)->self_stream

struct bytes present_guild_voice(struct arena *a, const struct voice_seat *s, uint64_t guild, bool left,
                                 const struct member *m, const struct user *u, uint64_t hoisted)
{
    const struct j_user user = user_of(u, s->user);
    struct j_member member;
    struct j_guild_voice_state j = {
        .guild_id = guild,
        .channel_id = left ? 0 : s->channel,
        SEAT_FIELDS(s),
    };
    if (m) {
        member = present_member(m, &user, 0, hoisted);
        j.member = &member;
    }
    return schema_text(a, &schema_j_guild_voice_state, &j);
}

struct j_seat present_seat(const struct voice_seat *s)
{
    return (struct j_seat){.channel_id = s->channel, SEAT_FIELDS(s)};
}

struct j_stage present_stage(const struct stage *s, uint64_t guild)
{
    return (struct j_stage){
        .id = s->id,
        .guild_id = guild,
        .channel_id = s->channel,
        .topic = s->topic,
        .privacy_level = s->privacy,
        .discoverable_disabled = s->discoverable_disabled,
    };
}
