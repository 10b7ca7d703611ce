// guild_write: see guild_write.h.
#include "guild_write.h"

struct event *guild_event(const struct guild_work *w, const char *name, struct bytes body)
{
    CHECK_ID(w->out->n_events < GUILD_EVENTS_MAX, w->s->id);
    struct event *e = &w->out->events[w->out->n_events++];
    *e = (struct event){.name = bytes_of(name), .body = body};
    return e;
}

struct event *guild_event_in(const struct guild_work *w, uint64_t channel, const char *name, struct bytes body)
{
    struct event *e = guild_event(w, name, body);
    e->channel = channel;
    return e;
}

void guild_change(const struct guild_work *w, enum change_op op, const char *suffix, struct bytes a, struct bytes b)
{
    CHECK_ID(w->out->n_changes < GUILD_CHANGES_MAX, w->s->id);
    w->out->changes[w->out->n_changes++] = (struct change){op, suffix, a, b};
}

struct bytes guild_id(const struct guild_work *w, uint64_t id)
{
    return arena_printf(w->a, "%llu", (unsigned long long)id);
}

static void tell_row(struct event *e, const struct schema *s, uint64_t id, struct bytes row)
{
    if (!e)
        return;
    e->row_tag = s->tag;
    e->row_id = id;
    e->row = row;
}

void guild_put(const struct guild_work *w, struct event *e, const char *suffix, uint64_t id, const struct schema *s,
               const void *row)
{
    struct bytes packed = schema_packed(w->a, s, row);
    guild_change(w, CHANGE_HSET, suffix, guild_id(w, id), packed);
    tell_row(e, s, id, packed);
}

void guild_take(const struct guild_work *w, struct event *e, const char *suffix, uint64_t id, const struct schema *s)
{
    guild_change(w, CHANGE_HDEL, suffix, guild_id(w, id), BYTES_NONE);
    tell_row(e, s, id, BYTES_NONE);
}

bool guild_same(const struct guild_work *w, const struct schema *s, const void *a, const void *b)
{
    return bytes_eq(schema_packed(w->a, s, a), schema_packed(w->a, s, b));
}

void guild_put_guild(const struct guild_work *w, struct event *e, const struct guild *g)
{
    struct bytes packed = schema_packed(w->a, &schema_guild, g);
    guild_change(w, CHANGE_HSET, "s", BYTES("guild"), packed);
    tell_row(e, &schema_guild, g->id, packed);
}

uint64_t guild_may(const struct guild_work *w, const struct member *m)
{
    return permissions_in_guild(w->s->guild, w->s->roles, m, w->now);
}

uint64_t guild_may_in(const struct guild_work *w, const struct member *m, const struct guild_channel *c)
{
    return permissions_in_channel(w->s->guild, w->s->roles, m, c, w->now);
}

const struct scene_room *guild_scene_room(const struct guild_work *w, uint64_t channel)
{
    const struct scene_room *r = w->s->to.id == channel ? &w->s->to : &w->s->from;
    CHECK_ID(r->id == channel && channel != 0, channel);
    return r;
}

struct voice_room *guild_room(const struct guild_work *w, uint64_t channel)
{
    struct guild_out *out = w->out;
    for (uint32_t i = 0; i < out->n_rooms; i++)
        if (out->rooms[i].id == channel)
            return &out->rooms[i].room;
    const struct scene_room *was = guild_scene_room(w, channel);
    CHECK_ID(out->n_rooms < GUILD_ROOMS_MAX, channel);
    struct guild_room *r = &out->rooms[out->n_rooms++];
    *r = (struct guild_room){.id = channel};
    if (was->room)
        r->room = *was->room;
    return &r->room;
}

void guild_put_rooms(const struct guild_work *w)
{
    for (uint32_t i = 0; i < w->out->n_rooms; i++) {
        const struct guild_room *r = &w->out->rooms[i];
        if (r->room.seats > 0)
            guild_put(w, NULL, "vc", r->id, &schema_voice_room, &r->room);
        else if (guild_scene_room(w, r->id)->room)
            guild_take(w, NULL, "vc", r->id, &schema_voice_room);
    }
}
