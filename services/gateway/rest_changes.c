// rest_changes: one handler per route that changes what a guild is and who is in it: members, channels, roles, the
// guild itself. They say what is wanted; who may have it is for the call manager to decide, which owns guilds.
#include "rest_private.h"
#include "sets.h"

#define NEW_ROLE "new role" // https://docs.discord.com/developers/resources/guild, "Create Guild Role"

static const struct fault required_name = {"name", -1, "BASE_TYPE_REQUIRED", "This field is required"};

// In commands 0 is nobody, or a new one: nothing that stands has that id.
static bool not_zero(struct step *s, uint64_t id, int err)
{
    return !rest_refused(s, id ? API_OK : err, NULL);
}

bool rest_guild_named(struct step *s)
{
    return not_zero(s, s->route.id[0], API_UNKNOWN_GUILD);
}

bool rest_member_named(struct step *s)
{
    return rest_guild_named(s) && not_zero(s, s->route.id[1], API_UNKNOWN_MEMBER);
}

// --- members ---

static void edit_member(struct step *s, uint64_t target)
{
    struct r_member_edit body;
    uint64_t present;
    if (!rest_form(s, &schema_r_member_edit, &body, &present))
        return;
    const struct member to = {.user = target,
                              .mute = body.mute,
                              .deaf = body.deaf,
                              .nick = body.nick,
                              .roles = body.roles,
                              .disabled_until = body.communication_disabled_until};
    const struct member_edit edit = {
        .user = s->r->user,
        .guild = s->route.id[0],
        .target = target,
        .set = SETS(present, r_member_edit, mute, SET_MEMBER_MUTE) |
               SETS(present, r_member_edit, deaf, SET_MEMBER_DEAF) |
               SETS(present, r_member_edit, channel_id, SET_MEMBER_CHANNEL) |
               SETS(present, r_member_edit, nick, SET_MEMBER_NICK) |
               SETS(present, r_member_edit, roles, SET_MEMBER_ROLES) |
               SETS(present, r_member_edit, communication_disabled_until, SET_MEMBER_DISABLED),
        .to = KEEP(s, member, &to),
        .channel = body.channel_id,
    };
    COMMAND(s, BUS_CALL_MANAGER, edit.guild, member_edit, &edit);
}

void handle_my_member_edit(struct step *s)
{
    if (rest_guild_named(s))
        edit_member(s, s->r->user);
}

void handle_member_edit(struct step *s)
{
    if (rest_member_named(s))
        edit_member(s, s->route.id[1]);
}

static void remove_member(struct step *s, uint64_t target)
{
    const struct member_remove gone = {.user = s->r->user, .guild = s->route.id[0], .target = target};
    COMMAND(s, BUS_CALL_MANAGER, gone.guild, member_remove, &gone);
}

void handle_member_remove(struct step *s)
{
    if (rest_member_named(s))
        remove_member(s, s->route.id[1]);
}

void handle_guild_leave(struct step *s)
{
    if (rest_guild_named(s))
        remove_member(s, s->r->user);
}

// --- the guild ---

// Who the owner is and what it is called is read first: the name is his, and free for another guild afterwards.
void handle_guild_delete(struct step *s)
{
    const struct loaded_guild *g = rest_guild_named(s) ? rest_loaded_guild(s) : NULL;
    if (!g)
        return;
    const struct guild_delete gone = {.user = s->r->user, .guild = g->guild.id};
    const struct guild_forget forget = {
        .guild = g->guild.id, .owner = g->guild.owner, .name = arena_copy(s->a, g->guild.name)};
    struct msg *then = arena_take(s->a, sizeof *then);
    *then = (struct msg){&schema_guild_forget, KEEP(s, guild_forget, &forget)};
    COMMAND(s, BUS_CALL_MANAGER, gone.guild, guild_delete, &gone);
    s->out->then = then;
}

void handle_guild_edit(struct step *s)
{
    struct r_guild_edit body;
    uint64_t present;
    if (!rest_guild_named(s) || !rest_form(s, &schema_r_guild_edit, &body, &present))
        return;
    const struct guild to = {.id = s->route.id[0],
                             .name = body.name,
                             .icon = body.icon,
                             .owner = body.owner_id,
                             .afk_channel = body.afk_channel_id,
                             .afk_timeout = body.afk_timeout,
                             .description = body.description};
    const struct guild_edit edit = {
        .user = s->r->user,
        .guild = to.id,
        .set = SETS(present, r_guild_edit, name, SET_GUILD_NAME) | SETS(present, r_guild_edit, icon, SET_GUILD_ICON) |
               (to.owner ? SET_GUILD_OWNER : 0) | SETS(present, r_guild_edit, afk_channel_id, SET_GUILD_AFK_CHANNEL) |
               SETS(present, r_guild_edit, afk_timeout, SET_GUILD_AFK_TIMEOUT) |
               SETS(present, r_guild_edit, description, SET_GUILD_DESCRIPTION),
        .to = KEEP(s, guild, &to),
    };
    COMMAND(s, BUS_CALL_MANAGER, edit.guild, guild_edit, &edit);
}

// --- channels ---

// As rows of the record. False: one has no id.
static bool overwrites_of(struct step *s, const struct r_guild_channel *body, struct guild_channel *to)
{
    uint32_t n = body->permission_overwrites.n;
    struct overwrite *v = arena_take(s->a, ((size_t)n + 1) * sizeof *v);
    for (uint32_t i = 0; i < n; i++) {
        const struct r_overwrite *o = &body->permission_overwrites.v[i];
        if (!o->id) {
            struct bytes field = arena_printf(s->a, "permission_overwrites.%u.id", i);
            const struct fault fault = {arena_text(s->a, field), -1, "BASE_TYPE_REQUIRED", "This field is required"};
            rest_refuse_form(s, &fault);
            return false;
        }
        v[i] = (struct overwrite){.id = o->id, .type = o->type, .allow = o->allow, .deny = o->deny};
    }
    to->overwrites.n = n;
    to->overwrites.v = v;
    return true;
}

// channel 0: a new one.
static void put_channel(struct step *s, uint64_t guild, uint64_t channel)
{
    struct r_guild_channel body;
    uint64_t present;
    if (!rest_form(s, &schema_r_guild_channel, &body, &present))
        return;
    if (!channel && !body.name.n) {
        rest_refuse_form(s, &required_name);
        return;
    }
    struct guild_channel to = {.id = channel,
                               .type = body.type,
                               .name = body.name,
                               .position = body.position,
                               .parent = body.parent_id,
                               .bitrate = body.bitrate,
                               .user_limit = body.user_limit,
                               .rtc_region = body.rtc_region,
                               .topic = body.topic,
                               .nsfw = body.nsfw,
                               .rate_limit = body.rate_limit_per_user,
                               .video_quality = body.video_quality_mode};
    if (!overwrites_of(s, &body, &to))
        return;
    const struct channel_put put = {
        .user = s->r->user,
        .guild = guild,
        .set = SETS(present, r_guild_channel, name, SET_CHANNEL_NAME) |
               SETS(present, r_guild_channel, position, SET_CHANNEL_POSITION) |
               SETS(present, r_guild_channel, parent_id, SET_CHANNEL_PARENT) |
               SETS(present, r_guild_channel, bitrate, SET_CHANNEL_BITRATE) |
               SETS(present, r_guild_channel, user_limit, SET_CHANNEL_USER_LIMIT) |
               SETS(present, r_guild_channel, rtc_region, SET_CHANNEL_REGION) |
               SETS(present, r_guild_channel, permission_overwrites, SET_CHANNEL_OVERWRITES) |
               SETS(present, r_guild_channel, topic, SET_CHANNEL_TOPIC) |
               SETS(present, r_guild_channel, nsfw, SET_CHANNEL_NSFW) |
               SETS(present, r_guild_channel, rate_limit_per_user, SET_CHANNEL_RATE_LIMIT) |
               SETS(present, r_guild_channel, video_quality_mode, SET_CHANNEL_VIDEO_QUALITY) |
               SETS(present, r_guild_channel, type, SET_CHANNEL_TYPE),
        .to = KEEP(s, guild_channel, &to),
    };
    COMMAND(s, BUS_CALL_MANAGER, guild, channel_put, &put);
}

void handle_channel_create(struct step *s)
{
    if (rest_guild_named(s))
        put_channel(s, s->route.id[0], 0);
}

void rest_guild_channel_edit(struct step *s, const struct channel *c)
{
    put_channel(s, c->guild, c->id);
}

void rest_guild_channel_delete(struct step *s, const struct channel *c)
{
    const struct channel_delete gone = {.user = s->r->user, .guild = c->guild, .channel = c->id};
    COMMAND(s, BUS_CALL_MANAGER, gone.guild, channel_delete, &gone);
}

// The one overwrite alone, as it shall stand: those of others that change at the same time are not touched.
static void put_overwrite(struct step *s, const struct channel *c, const struct overwrite *o)
{
    struct guild_channel to = {.id = c->id, .type = c->type};
    to.overwrites.n = o ? 1 : 0;
    to.overwrites.v = o;
    const struct channel_put put = {.user = s->r->user,
                                    .guild = c->guild,
                                    .set = SET_CHANNEL_OVERWRITES,
                                    .to = KEEP(s, guild_channel, &to),
                                    .only = s->route.id[1]};
    COMMAND(s, BUS_CALL_MANAGER, put.guild, channel_put, &put);
}

static bool overwrite_named(struct step *s)
{
    static const struct fault none = {"overwrite_id", -1, "NUMBER_TYPE_COERCE", "Value is not snowflake."};
    if (!s->route.id[1])
        rest_refuse_form(s, &none);
    return s->route.id[1] != 0;
}

void handle_overwrite_put(struct step *s)
{
    struct r_overwrite body;
    const struct channel *c = overwrite_named(s) ? rest_channel_of_guild(s, s->route.id[0]) : NULL;
    if (!c || !rest_form(s, &schema_r_overwrite, &body, NULL))
        return;
    struct overwrite *o = arena_take(s->a, sizeof *o);
    *o = (struct overwrite){.id = s->route.id[1], .type = body.type, .allow = body.allow, .deny = body.deny};
    put_overwrite(s, c, o);
}

void handle_overwrite_delete(struct step *s)
{
    const struct channel *c = overwrite_named(s) ? rest_channel_of_guild(s, s->route.id[0]) : NULL;
    if (c)
        put_overwrite(s, c, NULL);
}

// --- roles ---

// role 0: a new one.
static void put_role(struct step *s, uint64_t role)
{
    struct r_role body;
    uint64_t present;
    if (!rest_form(s, &schema_r_role, &body, &present))
        return;
    uint64_t set = (body.name.p ? SET_ROLE_NAME : 0) | SETS(present, r_role, permissions, SET_ROLE_PERMISSIONS) |
                   SETS(present, r_role, color, SET_ROLE_COLOR) | SETS(present, r_role, hoist, SET_ROLE_HOIST) |
                   SETS(present, r_role, mentionable, SET_ROLE_MENTIONABLE);
    struct role to = {.id = role,
                      .name = body.name,
                      .permissions = body.permissions,
                      .color = body.color,
                      .hoist = body.hoist,
                      .mentionable = body.mentionable};
    if (body.colors) {
        to.color = body.colors->primary_color;
        set |= SET_ROLE_COLOR;
    }
    if (!role && !body.name.p) {
        to.name = BYTES(NEW_ROLE);
        set |= SET_ROLE_NAME;
    }
    const struct role_put put = {.user = s->r->user, .guild = s->route.id[0], .set = set, .to = KEEP(s, role, &to)};
    COMMAND(s, BUS_CALL_MANAGER, put.guild, role_put, &put);
}

void handle_role_create(struct step *s)
{
    if (rest_guild_named(s))
        put_role(s, 0);
}

static bool role_named(struct step *s)
{
    return rest_guild_named(s) && not_zero(s, s->route.id[1], API_UNKNOWN_ROLE);
}

void handle_role_edit(struct step *s)
{
    if (role_named(s))
        put_role(s, s->route.id[1]);
}

void handle_role_delete(struct step *s)
{
    if (!role_named(s))
        return;
    const struct role_delete gone = {.user = s->r->user, .guild = s->route.id[0], .role = s->route.id[1]};
    COMMAND(s, BUS_CALL_MANAGER, gone.guild, role_delete, &gone);
}

// --- several at once: a command for each ---

// The list that is the body. False: it has been refused, or there is nothing in it, which is answered.
static bool read_positions(struct step *s, struct r_positions *out)
{
    struct fault fault = {0};
    int err = form_list(s->a, &schema_r_positions, s->r->content_type, s->r->body, out, &fault);
    if (rest_refused(s, err, &fault))
        return false;
    for (uint32_t i = 0; i < out->items.n; i++) {
        if (out->items.v[i].id)
            continue;
        const struct fault none = {arena_text(s->a, arena_printf(s->a, "%u.id", i)), -1, "BASE_TYPE_REQUIRED",
                                   "This field is required"};
        rest_refuse_form(s, &none);
        return false;
    }
    return true;
}

void handle_channel_positions(struct step *s)
{
    struct r_positions body;
    if (!rest_guild_named(s) || !read_positions(s, &body))
        return;
    struct channel_put *puts = arena_take(s->a, ((size_t)body.items.n + 1) * sizeof *puts);
    for (uint32_t i = 0; i < body.items.n; i++) {
        const struct r_position *p = &body.items.v[i];
        const struct guild_channel to = {.id = p->id, .position = p->position, .parent = p->parent_id};
        puts[i] = (struct channel_put){.user = s->r->user,
                                       .guild = s->route.id[0],
                                       .set = SET_CHANNEL_POSITION | (p->parent_id ? SET_CHANNEL_PARENT : 0u),
                                       .to = KEEP(s, guild_channel, &to)};
    }
    if (body.items.n)
        rest_command(s, BUS_CALL_MANAGER, s->route.id[0], &schema_channel_put, puts, body.items.n);
    else
        rest_reply(s, BYTES_NONE);
}

// Answered with all roles, as they stand then.
static struct bytes roles_put(struct step *s, const struct loaded_guild *g, const struct r_positions *body)
{
    struct buf out = {0};
    buf_char(&out, '[');
    for (uint32_t i = 0; i < g->roles.n; i++) {
        struct role r = g->roles.v[i];
        for (uint32_t k = 0; k < body->items.n; k++)
            if (body->items.v[k].id == r.id)
                r.position = body->items.v[k].position;
        buf_str(&out, i ? "," : "");
        present_role_json(&out, &r);
    }
    buf_char(&out, ']');
    struct bytes text = arena_copy(s->a, buf_bytes(&out));
    buf_fini(&out);
    return text;
}

void handle_role_positions(struct step *s)
{
    struct r_positions body;
    if (!rest_guild_named(s) || !read_positions(s, &body))
        return;
    const struct loaded_guild *g = rest_loaded_guild(s);
    if (!g)
        return;
    struct role_put *puts = arena_take(s->a, ((size_t)body.items.n + 1) * sizeof *puts);
    for (uint32_t i = 0; i < body.items.n; i++) {
        const struct role to = {.id = body.items.v[i].id, .position = body.items.v[i].position};
        puts[i] = (struct role_put){
            .user = s->r->user, .guild = g->guild.id, .set = SET_ROLE_POSITION, .to = KEEP(s, role, &to)};
    }
    s->out->body = roles_put(s, g, &body);
    if (body.items.n)
        rest_command(s, BUS_CALL_MANAGER, g->guild.id, &schema_role_put, puts, body.items.n);
    else
        rest_reply(s, s->out->body);
}
