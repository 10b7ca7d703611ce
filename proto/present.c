// present: records as clients see them; fills the j_… rows of payloads.def and leaves the form to schema_json.
// Pure.
#include "present.h"
#include "snowflake.h"

#include <string.h>

const struct user *user_set_find(struct user_set users, uint64_t id)
{
    for (uint32_t i = 0; i < users.n; i++)
        if (users.v[i].id == id)
            return &users.v[i];
    return NULL;
}

struct j_user present_user(const struct user *u)
{
    return (struct j_user){
        .id = u->id,
        .username = u->username,
        .discriminator = u->discriminator.n ? u->discriminator : BYTES("0"),
        .global_name = u->global_name,
        .avatar = u->avatar,
        .public_flags = u->public_flags,
        .bot = u->bot,
    };
}

struct j_user present_user_id(struct user_set users, uint64_t id)
{
    const struct user *u = user_set_find(users, id);
    if (u)
        return present_user(u);
    return (struct j_user){.id = id, .username = BYTES("Deleted User"), .discriminator = BYTES("0000")};
}

struct j_user *present_users(struct arena *a, struct user_set users, struct ids ids)
{
    struct j_user *v = arena_take(a, (ids.n ? ids.n : 1) * sizeof *v);
    for (uint32_t i = 0; i < ids.n; i++)
        v[i] = present_user_id(users, ids.v[i]);
    return v;
}

void present_user_json(struct buf *out, const struct user *u)
{
    struct j_user j = present_user(u);
    JSON(out, j_user, &j);
}

void present_channel_json(struct arena *a, struct buf *out, const struct channel *c, uint64_t last_message,
                          struct user_set users, uint64_t viewer)
{
    struct ids others = ids_without(a, c->recipients, viewer);
    const struct j_user *recipients = present_users(a, users, others);
    if (c->type == CHANNEL_DM) {
        struct j_dm dm = {.id = c->id, .type = c->type, .last_message_id = last_message};
        dm.recipients.n = others.n;
        dm.recipients.v = recipients;
        JSON(out, j_dm, &dm);
        return;
    }
    struct j_group group = {
        .id = c->id,
        .type = c->type,
        .owner_id = c->owner,
        .name = c->name,
        .icon = c->icon,
        .last_message_id = last_message,
    };
    group.recipients.n = others.n;
    group.recipients.v = recipients;
    JSON(out, j_group, &group);
}

void present_message_json(struct arena *a, struct buf *out, const struct message_rec *m, uint64_t channel,
                          struct user_set users)
{
    const struct j_user author = present_user_id(users, m->author);
    const struct j_message_call call = {.participants = m->participants, .ended_timestamp = m->ended_at};
    struct j_message j = {
        .id = m->id,
        .channel_id = channel,
        .type = m->type,
        .content = m->content,
        .author = &author,
        .timestamp = snowflake_ms(m->id),
        .edited_timestamp = m->edited_at,
        .flags = m->flags,
        .nonce = m->nonce.n ? m->nonce : BYTES_NONE,
        .call = m->type == MESSAGE_CALL ? &call : NULL,
    };
    j.mentions.n = m->mentions.n;
    j.mentions.v = present_users(a, users, m->mentions);
    JSON(out, j_message, &j);
}

// Takes what buf holds into the arena and gives buf's memory back.
static struct bytes keep(struct arena *a, struct buf *buf)
{
    struct bytes text = arena_copy(a, buf_bytes(buf));
    buf_fini(buf);
    return text;
}

struct bytes present_channel(struct arena *a, const struct channel *c, uint64_t last_message, struct user_set users,
                             uint64_t viewer)
{
    struct buf out = {0};
    present_channel_json(a, &out, c, last_message, users, viewer);
    return keep(a, &out);
}

struct bytes present_message(struct arena *a, const struct message_rec *m, uint64_t channel, struct user_set users)
{
    struct buf out = {0};
    present_message_json(a, &out, m, channel, users);
    return keep(a, &out);
}

bool ids_have(struct ids ids, uint64_t id)
{
    for (uint32_t i = 0; i < ids.n; i++)
        if (ids.v[i] == id)
            return true;
    return false;
}

struct ids ids_without(struct arena *a, struct ids ids, uint64_t id)
{
    uint64_t *v = arena_take(a, (ids.n ? ids.n : 1) * sizeof *v);
    uint32_t n = 0;
    for (uint32_t i = 0; i < ids.n; i++)
        if (ids.v[i] != id)
            v[n++] = ids.v[i];
    return (struct ids){n, v};
}

struct ids ids_with(struct arena *a, struct ids ids, uint64_t id)
{
    if (ids_have(ids, id))
        return ids;
    uint64_t *v = arena_take(a, (ids.n + 1) * sizeof *v);
    if (ids.n)
        memcpy(v, ids.v, ids.n * sizeof *v);
    v[ids.n] = id;
    return (struct ids){ids.n + 1, v};
}

static struct ids rung_users(struct arena *a, const struct call_rec *c)
{
    uint64_t *v = arena_take(a, c->ringing.n * sizeof *v);
    for (uint32_t i = 0; i < c->ringing.n; i++)
        v[i] = c->ringing.v[i].user;
    return (struct ids){c->ringing.n, v};
}

// {"rung": "by"}, as the web client reads it.
static struct bytes ongoing_rings(struct arena *a, const struct call_rec *c)
{
    struct buf out = {0};
    buf_char(&out, '{');
    for (uint32_t i = 0; i < c->ringing.n; i++) {
        buf_str(&out, i ? "," : "");
        json_id(&out, c->ringing.v[i].user);
        buf_char(&out, ':');
        json_id(&out, c->ringing.v[i].by);
    }
    buf_char(&out, '}');
    return keep(a, &out);
}

struct bytes present_call_create(struct arena *a, uint64_t channel, const struct call_rec *c)
{
    struct j_call_voice_state *states = arena_take(a, c->members.n * sizeof *states);
    for (uint32_t i = 0; i < c->members.n; i++) {
        const struct call_member *m = &c->members.v[i];
        states[i] = (struct j_call_voice_state){.channel_id = channel,
                                                .user_id = m->user,
                                                .session_id = m->session,
                                                .self_deaf = m->self_deaf,
                                                .self_mute = m->self_mute,
                                                .self_video = m->self_video};
    }
    const struct j_call_create j = {.channel_id = channel,
                                    .message_id = c->id,
                                    .region = c->region,
                                    .ringing = rung_users(a, c),
                                    .ongoing_rings = ongoing_rings(a, c),
                                    .voice_states = {c->members.n, states}};
    return schema_text(a, &schema_j_call_create, &j);
}

struct bytes present_call_update(struct arena *a, uint64_t channel, const struct call_rec *c)
{
    const struct j_call_update j = {.channel_id = channel,
                                    .message_id = c->id,
                                    .region = c->region,
                                    .ringing = rung_users(a, c),
                                    .ongoing_rings = ongoing_rings(a, c)};
    return schema_text(a, &schema_j_call_update, &j);
}
