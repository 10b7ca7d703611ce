// guild: see guild.h.
#include "guild_private.h"
#include "errors.h"
#include "guild_form.h"

// --- inputs ---

const struct schema *guild_schema(enum guild_in_kind kind)
{
    switch (kind) {
    case GUILD_IN_MEMBER_EDIT:
        return &schema_member_edit;
    case GUILD_IN_MEMBER_REMOVE:
        return &schema_member_remove;
    case GUILD_IN_VOICE_EDIT:
        return &schema_voice_state_edit;
    case GUILD_IN_CHANNEL_PUT:
        return &schema_channel_put;
    case GUILD_IN_CHANNEL_DELETE:
        return &schema_channel_delete;
    case GUILD_IN_ROLE_PUT:
        return &schema_role_put;
    case GUILD_IN_ROLE_DELETE:
        return &schema_role_delete;
    case GUILD_IN_GUILD_EDIT:
        return &schema_guild_edit;
    case GUILD_IN_STATUS_PUT:
        return &schema_status_put;
    case GUILD_IN_STAGE_PUT:
        return &schema_stage_put;
    case GUILD_IN_STAGE_DELETE:
        return &schema_stage_delete;
    case GUILD_IN_GUILD_DELETE:
        return &schema_guild_delete;
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
        break;
    }
    return NULL;
}

static int say(struct guild_in *out, enum guild_in_kind kind, uint64_t actor, uint64_t target, uint64_t channel)
{
    out->kind = kind;
    out->actor = actor;
    out->target = target;
    out->channel = channel;
    return OK;
}

int guild_command(const struct msg *m, struct guild_in *out, uint64_t *guild)
{
    *out = (struct guild_in){.msg = m->v};
    switch (m->schema->tag) {
    case TAG_member_edit: {
        const struct member_edit *v = m->v;
        *guild = v->guild;
        return v->to || !(v->set & ~(uint64_t)SET_MEMBER_CHANNEL)
                   ? say(out, GUILD_IN_MEMBER_EDIT, v->user, v->target, v->set & SET_MEMBER_CHANNEL ? v->channel : 0)
                   : ERR_INVALID;
    }
    case TAG_member_remove: {
        const struct member_remove *v = m->v;
        *guild = v->guild;
        return say(out, GUILD_IN_MEMBER_REMOVE, v->user, v->target, 0);
    }
    case TAG_voice_state_edit: {
        const struct voice_state_edit *v = m->v;
        *guild = v->guild;
        return say(out, GUILD_IN_VOICE_EDIT, v->user, v->target, v->channel);
    }
    case TAG_channel_put: {
        const struct channel_put *v = m->v;
        *guild = v->guild;
        return v->to ? say(out, GUILD_IN_CHANNEL_PUT, v->user, 0, v->to->id) : ERR_INVALID;
    }
    case TAG_channel_delete: {
        const struct channel_delete *v = m->v;
        *guild = v->guild;
        return say(out, GUILD_IN_CHANNEL_DELETE, v->user, 0, v->channel);
    }
    case TAG_role_put: {
        const struct role_put *v = m->v;
        *guild = v->guild;
        return v->to ? say(out, GUILD_IN_ROLE_PUT, v->user, 0, 0) : ERR_INVALID;
    }
    case TAG_role_delete: {
        const struct role_delete *v = m->v;
        *guild = v->guild;
        return say(out, GUILD_IN_ROLE_DELETE, v->user, 0, 0);
    }
    case TAG_guild_edit: {
        const struct guild_edit *v = m->v;
        *guild = v->guild;
        return v->to ? say(out, GUILD_IN_GUILD_EDIT, v->user, v->set & SET_GUILD_OWNER ? v->to->owner : 0,
                           v->set & SET_GUILD_AFK_CHANNEL ? v->to->afk_channel : 0)
                     : ERR_INVALID;
    }
    case TAG_status_put: {
        const struct status_put *v = m->v;
        *guild = v->guild;
        return say(out, GUILD_IN_STATUS_PUT, v->user, 0, v->channel);
    }
    case TAG_stage_put: {
        const struct stage_put *v = m->v;
        *guild = v->guild;
        return v->to ? say(out, GUILD_IN_STAGE_PUT, v->user, 0, v->channel) : ERR_INVALID;
    }
    case TAG_stage_delete: {
        const struct stage_delete *v = m->v;
        *guild = v->guild;
        return say(out, GUILD_IN_STAGE_DELETE, v->user, 0, v->channel);
    }
    case TAG_guild_delete: {
        const struct guild_delete *v = m->v;
        *guild = v->guild;
        return say(out, GUILD_IN_GUILD_DELETE, v->user, 0, 0);
    }
    default:
        return ERR_MISSING;
    }
}

struct event guild_gone(struct arena *a, uint64_t guild, uint64_t version)
{
    const struct j_guild_gone gone = {.id = guild};
    return (struct event){.name = BYTES("GUILD_DELETE"),
                          .place_op = 2,
                          .place = guild,
                          .place_version = version,
                          .body = schema_text(a, &schema_j_guild_gone, &gone)};
}

void guild_farewell(struct arena *a, uint64_t guild, uint64_t user, uint64_t version, struct event *e, struct change *c)
{
    *c = (struct change){CHANGE_HDEL, "g", arena_printf(a, "%llu", (unsigned long long)guild), BYTES_NONE};
    *e = guild_gone(a, guild, version);
    e->to = 1;
    e->user = user;
}

struct guild_wants guild_wants(const struct guild_in *in)
{
    switch (in->kind) {
    case GUILD_IN_MOVED:
    case GUILD_IN_ASSIGNED:
    case GUILD_IN_SEAT:
        return (struct guild_wants){.roles = false};
    case GUILD_IN_SERVER_LOST:
    case GUILD_IN_SERVER_FREE:
    case GUILD_IN_ROOM:
        return (struct guild_wants){.crowd = true};
    case GUILD_IN_CHANNEL_PUT:
        return (struct guild_wants){
            .roles = true, .channels = true, .crowd = ((const struct channel_put *)in->msg)->set & SET_CHANNEL_REGION};
    case GUILD_IN_CHANNEL_DELETE:
        return (struct guild_wants){.roles = true, .channels = true, .crowd = true};
    case GUILD_IN_GUILD_EDIT:
        return (struct guild_wants){.roles = true, .channels = true};
    case GUILD_IN_GUILD_DELETE:
        return (struct guild_wants){.roles = true, .channels = true, .crowd = true, .room = true};
    case GUILD_IN_JOIN:
    case GUILD_IN_LEAVE:
    case GUILD_IN_GATEWAY_LOST:
    case GUILD_IN_MEMBER_EDIT:
    case GUILD_IN_MEMBER_REMOVE:
    case GUILD_IN_VOICE_EDIT:
    case GUILD_IN_ROLE_PUT:
    case GUILD_IN_ROLE_DELETE:
    case GUILD_IN_STATUS_PUT:
    case GUILD_IN_STAGE_PUT:
    case GUILD_IN_STAGE_DELETE:
        return (struct guild_wants){.roles = true};
    case GUILD_IN_KINDS:
        break;
    }
    CHECK_ID(false, in->target);
    return (struct guild_wants){0};
}

bool guild_minds(const struct guild_in *in, const struct voice_room *room, const struct voice_seat *seat)
{
    if (seat->channel != in->channel)
        return false;
    return in->kind != GUILD_IN_ROOM || (room && seat->generation < room->generation);
}

// Of the seats that the scene shows, those in `room`.
static bool room_valid(const struct guild_scene *s, const struct scene_room *room)
{
    uint64_t seats = 0, videos = 0, speakers = 0;
    for (uint32_t i = 0; i <= s->n_crowd; i++) {
        const struct scene_member *who = i < s->n_crowd ? &s->crowd[i] : &s->target;
        bool twice = i < s->n_crowd && who->id == s->target.id;
        if (who->seat && who->seat->channel == room->id && !twice) {
            seats++;
            videos += who->seat->self_video;
            speakers += !who->seat->suppress;
        }
    }
    if (!room->room)
        return seats == 0;
    return seats <= room->room->seats && videos <= room->room->videos && speakers <= room->room->speakers;
}

bool guild_scene_valid(const struct guild_scene *s)
{
    const struct voice_seat *seat = s->target.seat;
    if (seat && (s->from.id != seat->channel || seat->user != s->target.id))
        return false;
    for (uint32_t i = 0; i < s->n_crowd; i++)
        if (!s->crowd[i].seat || s->crowd[i].seat->channel != s->to.id)
            return false;
    for (uint32_t i = 1; i < s->roles.n; i++)
        if (s->roles.v[i - 1].id >= s->roles.v[i].id)
            return false;
    return room_valid(s, &s->to) && room_valid(s, &s->from);
}

static void forget(struct guild_out *out)
{
    out->n_events = out->n_changes = out->n_asks = out->n_rooms = 0;
    out->n_came = out->n_went = out->n_released = 0;
    out->joins = out->leaves = 0;
    out->more = false;
    out->made = NULL;
    out->unmade = 0;
    out->all_unmade = false;
}

int guild_step(struct arena *a, const struct guild_scene *s, const struct guild_in *in, const struct guild_rules *rules,
               uint64_t now, struct guild_out *out)
{
    const struct guild_work w = {a, s, in, rules, now, out};
    forget(out);
    out->seat_at = out->room_at = out->seat_done = out->closed = out->epoch = 0;
    out->body = BYTES_NONE;
    if (!s->guild)
        return API_UNKNOWN_GUILD;
    int err = in->kind < GUILD_IN_MEMBER_EDIT ? guild_voice_step(&w) : guild_change_step(&w);
    if (err != OK) {
        forget(out);
        return err;
    }
    guild_note_silence(&w);
    guild_put_rooms(&w);
    return OK;
}
