// guild_change: what people change in a guild: its roles and the guild itself are here, the rest next door.
// https://docs.discord.com/developers/resources/guild ("Create Guild Role", "Modify Guild").
#include "guild_private.h"
#include "errors.h"
#include "guild_form.h"
#include "guild_right.h"

#define ROLES_MAX 250u // of a guild, everyone's among them

// --- roles ---

static int may_touch(const struct guild_work *w, const struct role *r)
{
    int err = right_in_guild(w, MAY(MANAGE_ROLES));
    return !err && r && (int64_t)r->position >= right_rank(w) ? API_MISSING_PERMISSIONS : err;
}

static struct role changed_role(const struct role_put *e, uint64_t set, const struct role *was)
{
    struct role r = *was;
    if (set & SET_ROLE_NAME)
        r.name = e->to->name;
    if (set & SET_ROLE_PERMISSIONS)
        r.permissions = e->to->permissions & PERMISSIONS_ALL;
    if (set & SET_ROLE_COLOR)
        r.color = e->to->color;
    if (set & SET_ROLE_HOIST)
        r.hoist = e->to->hoist;
    if (set & SET_ROLE_MENTIONABLE)
        r.mentionable = e->to->mentionable;
    if (set & SET_ROLE_POSITION)
        r.position = e->to->position;
    return r;
}

static struct bytes shown_role(const struct guild_work *w, const struct role *r)
{
    struct buf out = {0};
    present_role_json(&out, r);
    struct bytes text = arena_copy(w->a, buf_bytes(&out));
    buf_fini(&out);
    return text;
}

static struct role blank_role(const struct guild_work *w)
{
    const struct role *everyone = role_set_find(w->s->roles, w->s->id);
    return (struct role){.id = w->in->new_id,
                         .name = BYTES("new role"),
                         .permissions = everyone ? everyone->permissions : 0,
                         .position = 1};
}

static int put_role(const struct guild_work *w)
{
    const struct role_put *e = w->in->msg;
    const struct role *was = e->to->id ? role_set_find(w->s->roles, e->to->id) : NULL;
    int err = may_touch(w, was);
    if (!err && e->to->id && !was)
        err = API_UNKNOWN_ROLE;
    if (!err && !was && w->s->roles.n >= ROLES_MAX)
        err = API_TOO_MANY_ROLES;
    // Of everyone's role nothing but what it allows is ever shown.
    uint64_t set = was && was->id == w->s->id ? e->set & SET_ROLE_PERMISSIONS : e->set;
    if (!err)
        err = guild_form_role(&(struct role_put){.set = set, .to = e->to}, &w->out->fault);
    if (err)
        return err;
    struct role base = was ? *was : blank_role(w), next = changed_role(e, set, &base);
    if (set & SET_ROLE_POSITION && (int64_t)next.position >= right_rank(w))
        return API_MISSING_PERMISSIONS;
    // Whoever makes a role without saying what it allows gives what everybody has.
    if (next.permissions & ~base.permissions & ~right_to_give(w))
        return API_MISSING_PERMISSIONS;
    w->out->body = shown_role(w, &next);
    if (was && guild_same(w, &schema_role, was, &next))
        return ERR_STATE;
    struct event *told =
        guild_event(w, was ? "GUILD_ROLE_UPDATE" : "GUILD_ROLE_CREATE", present_role(w->a, &next, w->s->id));
    guild_put(w, told, "r", next.id, &schema_role, &next);
    return OK;
}

// Members keep its id among theirs, and channels their overwrites for it: it means nothing any more to anybody, and is
// dropped when they are changed next. Nothing walks all members.
static int delete_role(const struct guild_work *w)
{
    const struct role_delete *e = w->in->msg;
    const struct role *was = role_set_find(w->s->roles, e->role);
    int err = may_touch(w, was);
    if (err)
        return err;
    if (e->role == w->s->id)
        return API_INVALID_ROLE;
    if (!was)
        return API_UNKNOWN_ROLE;
    const struct j_role_gone gone = {.guild_id = w->s->id, .role_id = was->id};
    struct event *told = guild_event(w, "GUILD_ROLE_DELETE", schema_text(w->a, &schema_j_role_gone, &gone));
    guild_take(w, told, "r", was->id, &schema_role);
    return OK;
}

// --- the guild ---

static int may_edit_guild(const struct guild_work *w, const struct guild_edit *e)
{
    int err = right_in_guild(w, MAY(MANAGE_GUILD));
    if (!err && e->set & SET_GUILD_OWNER && !right_owner(w))
        err = API_MISSING_PERMISSIONS;
    if (!err && e->set & (SET_GUILD_VIDEO_MAX | SET_GUILD_STAGE_VIDEO_MAX) && !right_operator(w))
        err = API_MISSING_PERMISSIONS; // how many cameras a machine carries is no matter of the guild's
    if (!err && e->set & SET_GUILD_OWNER && !w->s->target.member)
        err = API_UNKNOWN_MEMBER;
    return err;
}

static const struct guild_channel *afk_channel(const struct guild_work *w, const struct guild_edit *e)
{
    for (uint32_t i = 0; i < w->s->n_channels; i++)
        if (w->s->channels[i].id == e->to->afk_channel && right_in_channel(w, &w->s->channels[i], 0) == OK)
            return &w->s->channels[i];
    return NULL;
}

static struct guild changed_guild(const struct guild_edit *e, const struct guild *was)
{
    struct guild g = *was;
    if (e->set & SET_GUILD_NAME)
        g.name = e->to->name;
    if (e->set & SET_GUILD_ICON)
        g.icon = e->to->icon;
    if (e->set & SET_GUILD_OWNER)
        g.owner = e->to->owner;
    if (e->set & SET_GUILD_AFK_CHANNEL)
        g.afk_channel = e->to->afk_channel;
    if (e->set & SET_GUILD_AFK_TIMEOUT)
        g.afk_timeout = e->to->afk_timeout;
    if (e->set & SET_GUILD_DESCRIPTION)
        g.description = e->to->description.n > 0 ? e->to->description : BYTES_NONE;
    if (e->set & SET_GUILD_VIDEO_MAX)
        g.video_max = e->to->video_max;
    if (e->set & SET_GUILD_STAGE_VIDEO_MAX)
        g.stage_video_max = e->to->stage_video_max;
    return g;
}

static int edit_guild(const struct guild_work *w)
{
    const struct guild_edit *e = w->in->msg;
    int err = may_edit_guild(w, e);
    if (!err)
        err = guild_form_guild(e, afk_channel(w, e), &w->out->fault);
    if (err)
        return err;
    const struct guild next = changed_guild(e, w->s->guild);
    w->out->body = present_guild(w->a, &next, w->s->roles);
    if (guild_same(w, &schema_guild, w->s->guild, &next))
        return ERR_STATE;
    guild_put_guild(w, guild_event(w, "GUILD_UPDATE", w->out->body), &next);
    return OK;
}

// Room by room all who sit anywhere leave, some at a time, and the guild itself goes last: whoever dies in between
// leaves a guild that stands. Its members' own records list it for as long as they are; what no row stands for is
// passed over.
static int delete_guild(const struct guild_work *w)
{
    static const char *const parts[] = {"r", "ch", "mb", "mi", "vs", "vc", "st"};
    if (!right_owner(w))
        return API_MISSING_PERMISSIONS;
    for (uint32_t i = 0; i < w->s->n_crowd; i++)
        seat_leave(w, &w->s->crowd[i]);
    if (w->s->n_crowd > 0) {
        w->out->more = true;
        return OK;
    }
    *guild_event(w, "GUILD_DELETE", BYTES_NONE) = guild_gone(w->a, w->s->id, w->s->version + 1);
    guild_change(w, CHANGE_HDEL, "s", BYTES("guild"), BYTES_NONE);
    guild_change(w, CHANGE_HDEL, "s", BYTES("loading"), BYTES_NONE);
    for (uint32_t i = 0; i < countof(parts); i++)
        guild_change(w, CHANGE_DEL, parts[i], BYTES_NONE, BYTES_NONE);
    w->out->all_unmade = true;
    return OK;
}

int guild_change_step(const struct guild_work *w)
{
    if (w->in->actor && !w->s->actor.member)
        return API_UNKNOWN_GUILD; // who is in it, and it alone, knows of it
    switch (w->in->kind) {
    case GUILD_IN_MEMBER_EDIT:
        return guild_member_edit(w);
    case GUILD_IN_MEMBER_REMOVE:
        return guild_member_remove(w);
    case GUILD_IN_VOICE_EDIT:
        return guild_voice_edit(w);
    case GUILD_IN_CHANNEL_PUT:
        return guild_channel_put(w);
    case GUILD_IN_CHANNEL_DELETE:
        return guild_channel_delete(w);
    case GUILD_IN_ROLE_PUT:
        return put_role(w);
    case GUILD_IN_ROLE_DELETE:
        return delete_role(w);
    case GUILD_IN_GUILD_EDIT:
        return edit_guild(w);
    case GUILD_IN_STATUS_PUT:
        return guild_status_put(w);
    case GUILD_IN_STAGE_PUT:
        return guild_stage_put(w);
    case GUILD_IN_STAGE_DELETE:
        return guild_stage_delete(w);
    case GUILD_IN_GUILD_DELETE:
        return delete_guild(w);
    case GUILD_IN_JOIN:
    case GUILD_IN_LEAVE:
    case GUILD_IN_MOVED:
    case GUILD_IN_ASSIGNED:
    case GUILD_IN_GATEWAY_LOST:
    case GUILD_IN_SERVER_LOST:
    case GUILD_IN_SERVER_FREE:
    case GUILD_IN_SEAT:
    case GUILD_IN_ROOM:
    case GUILD_IN_KINDS:
        break; // guild_voice_step's
    }
    CHECK_ID(false, w->s->id);
    return ERR_STATE;
}
