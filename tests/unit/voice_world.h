// voice_world: a guild in memory, and what a job does with one (services/call-manager/job_guild.c): makes the scene,
// steps, writes what the step changed. After each step it CHECKs what must always hold:
// - who sits where by the seats' rows, by the rooms' counts and by the sets is the same;
// - every change is one that the store would take, every event's body is JSON, its rows are the ones that now stand;
// - who keeps a picture of the guild by the events' rows has the seats, channels, members, roles and stages that stand;
// - a voice server that is owed has a timer row, and so have a room with seats of an older generation and a stage on
//   which nobody may speak;
// - a token goes with the seat, or its server, that it was for;
// - what is about one channel is told to those who may view it alone;
// - of a guild that is gone there is nothing left, and all who keep a picture of it are told to drop it.
// For unit tests and fuzz targets.
#pragma once
#include "guild.h"
#include "message.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define WORLD_ROWS 64u
enum { WORLD_GUILD = 100, WORLD_USERS = 60 }; // users are 1 to 60; 1 is the owner

struct world_rows {
    const struct schema *s;
    const char *suffix;
    uint32_t n;
    uint64_t id[WORLD_ROWS];
    const void *row[WORLD_ROWS];
    struct bytes raw[WORLD_ROWS]; // as it is packed
};
enum { WORLD_ROLES, WORLD_CHANNELS, WORLD_MEMBERS, WORLD_SEATS, WORLD_ROOMS, WORLD_STAGES, WORLD_KINDS };

struct voice_world {
    struct arena a; // all rows
    struct guild guild;
    uint64_t version, now;
    struct guild_rules rules;
    struct world_rows t[WORLD_KINDS], picture[WORLD_KINDS];
    struct world_rows sets;             // vu: of a channel, as a bit per user in id[]; row unused
    uint64_t seat_row[WORLD_USERS + 1]; // timers; 0: none
    uint32_t n_room_rows;               // likewise, of rooms
    uint64_t room_rows[WORLD_ROWS], room_row_at[WORLD_ROWS];
    struct scene_member crowd[GUILD_CROWD_MAX];
    struct guild_scene scene; // of the last step
    struct guild_out out;     // likewise
    struct arena scratch;     // of the last step
    uint64_t next_id;
};

static inline const void *world_get(const struct world_rows *t, uint64_t id)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->id[i] == id)
            return t->row[i];
    return NULL;
}

static inline void world_drop(struct world_rows *t, uint64_t id)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->id[i] != id)
            continue;
        t->n--;
        memmove(&t->id[i], &t->id[i + 1], (t->n - i) * sizeof t->id[0]);
        memmove(&t->row[i], &t->row[i + 1], (t->n - i) * sizeof t->row[0]);
        memmove(&t->raw[i], &t->raw[i + 1], (t->n - i) * sizeof t->raw[0]);
        return;
    }
}

// In order of id.
static inline void world_set(struct world_rows *t, uint64_t id, const void *row, struct bytes raw)
{
    world_drop(t, id);
    CHECK(t->n < WORLD_ROWS);
    uint32_t i = t->n;
    for (; i > 0 && t->id[i - 1] > id; i--) {
        t->id[i] = t->id[i - 1];
        t->row[i] = t->row[i - 1];
        t->raw[i] = t->raw[i - 1];
    }
    t->id[i] = id;
    t->row[i] = row;
    t->raw[i] = raw;
    t->n++;
}

// A row as the store gives it back.
static inline const void *world_row(struct voice_world *w, const struct schema *s, struct bytes raw)
{
    void *row = arena_take(&w->a, s->size);
    CHECK(schema_unpack(&w->a, s, raw, row) == OK);
    return row;
}

static inline void world_keep(struct voice_world *w, struct world_rows *t, uint64_t id, struct bytes raw)
{
    raw = arena_copy(&w->a, raw);
    world_set(t, id, world_row(w, t->s, raw), raw);
}

// Puts a row there, as whoever made the guild did.
static inline void world_put(struct voice_world *w, uint32_t kind, uint64_t id, const void *row)
{
    struct bytes raw = schema_packed(&w->a, w->t[kind].s, row);
    world_keep(w, &w->t[kind], id, raw);
    world_keep(w, &w->picture[kind], id, raw);
}
#define WORLD_PUT(w, kind, id, type, ...) world_put((w), (kind), (id), &(struct type){__VA_ARGS__})

static inline void world_begin(struct voice_world *w)
{
    static const struct {
        const struct schema *s;
        const char *suffix;
    } kinds[WORLD_KINDS] = {{&schema_role, "r"},        {&schema_guild_channel, "ch"}, {&schema_member, "mb"},
                            {&schema_voice_seat, "vs"}, {&schema_voice_room, "vc"},    {&schema_stage, "st"}};
    *w = (struct voice_world){.version = 1, .now = 1000000, .next_id = 5000};
    w->rules = (struct guild_rules){.server_delay_ms = 100, .retry_ms = 2000, .poll_ms = 5000, .stage_ms = 60000};
    w->guild = (struct guild){.id = WORLD_GUILD, .name = BYTES("g"), .owner = 1};
    for (uint32_t i = 0; i < WORLD_KINDS; i++)
        w->t[i] = w->picture[i] = (struct world_rows){.s = kinds[i].s, .suffix = kinds[i].suffix};
    WORLD_PUT(w, WORLD_ROLES, WORLD_GUILD, role, .id = WORLD_GUILD, .permissions = permissions_of_everyone());
}

static inline void world_end(struct voice_world *w)
{
    arena_fini(&w->a);
    arena_fini(&w->scratch);
}

#define WORLD_GET(w, kind, type, id) ((const struct type *)world_get(&(w)->t[kind], (id)))
static inline const struct voice_seat *world_seat(const struct voice_world *w, uint64_t user)
{
    return WORLD_GET(w, WORLD_SEATS, voice_seat, user);
}
static inline const struct voice_room *world_room(const struct voice_world *w, uint64_t channel)
{
    return WORLD_GET(w, WORLD_ROOMS, voice_room, channel);
}

// --- the scene ---

static inline const struct user *world_user(struct voice_world *w, uint64_t id)
{
    struct user *u = arena_take(&w->scratch, sizeof *u);
    *u = (struct user){.id = id, .username = BYTES("u"), .discriminator = BYTES("0")};
    return u;
}

static inline struct scene_member world_member(struct voice_world *w, uint64_t id)
{
    return (struct scene_member){.id = id,
                                 .member = WORLD_GET(w, WORLD_MEMBERS, member, id),
                                 .seat = world_seat(w, id),
                                 .user = id ? world_user(w, id) : NULL};
}

static inline struct scene_room world_scene_room(const struct voice_world *w, uint64_t id)
{
    return (struct scene_room){.id = id,
                               .channel = WORLD_GET(w, WORLD_CHANNELS, guild_channel, id),
                               .room = world_room(w, id),
                               .stage = WORLD_GET(w, WORLD_STAGES, stage, id)};
}

static inline void world_look(struct voice_world *w, const struct guild_in *in)
{
    const struct guild_wants wants = guild_wants(in);
    struct role *roles = arena_take(&w->scratch, (w->t[WORLD_ROLES].n + 1) * sizeof *roles);
    struct guild_channel *channels = arena_take(&w->scratch, (w->t[WORLD_CHANNELS].n + 1) * sizeof *channels);
    for (uint32_t i = 0; i < w->t[WORLD_ROLES].n; i++)
        roles[i] = *(const struct role *)w->t[WORLD_ROLES].row[i];
    for (uint32_t i = 0; i < w->t[WORLD_CHANNELS].n; i++)
        channels[i] = *(const struct guild_channel *)w->t[WORLD_CHANNELS].row[i];
    struct guild_scene *s = &w->scene;
    *s = (struct guild_scene){.id = WORLD_GUILD,
                              .version = w->version,
                              .guild = w->guild.id ? &w->guild : NULL,
                              .roles = {wants.roles ? w->t[WORLD_ROLES].n : 0, roles},
                              .actor = world_member(w, in->actor),
                              .target = world_member(w, in->target),
                              .to = world_scene_room(w, in->channel)};
    if (s->target.seat)
        s->from = world_scene_room(w, s->target.seat->channel);
    if (wants.channels) {
        s->n_channels = w->t[WORLD_CHANNELS].n;
        s->channels = channels;
    }
    for (uint32_t i = 0; i < w->t[WORLD_SEATS].n && wants.crowd; i++) {
        const struct voice_seat *seat = w->t[WORLD_SEATS].row[i];
        if (!guild_minds(in, s->to.room, seat))
            continue;
        if (s->n_crowd < GUILD_CROWD_MAX)
            w->crowd[s->n_crowd++] = world_member(w, seat->user);
        else
            s->more = true;
    }
    s->crowd = w->crowd;
    CHECK(guild_scene_valid(s));
}

// --- what a step wrote ---

static inline uint64_t world_id(struct bytes text)
{
    uint64_t id;
    CHECK(bytes_u64(text, &id) == OK);
    return id;
}

static inline uint64_t *world_users_of(struct voice_world *w, uint64_t channel)
{
    for (uint32_t i = 0; i < w->sets.n; i++)
        if (w->sets.id[i] == channel)
            return (uint64_t *)(uintptr_t)w->sets.row[i];
    uint64_t *bits = arena_take(&w->a, sizeof *bits);
    world_set(&w->sets, channel, bits, BYTES_NONE);
    return bits;
}

static inline void world_apply(struct voice_world *w, const struct change *c)
{
    if (strncmp(c->suffix, "vu:", 3) == 0) {
        uint64_t *bits = world_users_of(w, world_id(bytes_of(c->suffix + 3))), user = world_id(c->a);
        CHECK(user >= 1 && user <= WORLD_USERS && (c->op == CHANGE_SADD || c->op == CHANGE_SREM));
        CHECK((*bits >> user & 1) == (c->op == CHANGE_SREM));
        *bits ^= 1ull << user;
        return;
    }
    if (strncmp(c->suffix, "t:", 2) == 0) {
        CHECK(c->op == CHANGE_DEL || c->op == CHANGE_SET);
        return;
    }
    if (strcmp(c->suffix, "mi") == 0) {
        CHECK(c->op == CHANGE_ZADD || c->op == CHANGE_ZREM || c->op == CHANGE_DEL);
        return;
    }
    if (strcmp(c->suffix, "s") == 0 && c->op == CHANGE_HDEL) {
        w->guild.id = bytes_is(c->a, "guild") ? 0 : w->guild.id;
        return;
    }
    if (strcmp(c->suffix, "s") == 0) {
        CHECK(c->op == CHANGE_HSET && bytes_is(c->a, "guild"));
        w->guild = *(const struct guild *)world_row(w, &schema_guild, arena_copy(&w->a, c->b));
        return;
    }
    uint32_t kind = 0;
    while (kind < WORLD_KINDS && strcmp(w->t[kind].suffix, c->suffix) != 0)
        kind++;
    CHECK(kind < WORLD_KINDS && (c->op == CHANGE_HSET || c->op == CHANGE_HDEL || c->op == CHANGE_DEL));
    if (c->op == CHANGE_DEL) {
        CHECK(!w->guild.id);
        w->t[kind].n = 0;
        return;
    }
    CHECK(c->op == CHANGE_HSET || world_get(&w->t[kind], world_id(c->a)));
    if (c->op == CHANGE_HSET)
        world_keep(w, &w->t[kind], world_id(c->a), c->b);
    else
        world_drop(&w->t[kind], world_id(c->a));
}

static inline bool world_token_went(const struct voice_world *w, struct bytes session)
{
    for (uint32_t i = 0; i < w->out.n_changes; i++) {
        const struct change *c = &w->out.changes[i];
        if (c->op == CHANGE_DEL && strncmp(c->suffix, "t:", 2) == 0 && bytes_is(session, c->suffix + 2))
            return true;
    }
    return false;
}

// What a client is told, and nothing else, is what it is let in with.
static inline void world_check_sent(struct voice_world *w, const struct event *e, const json_t *body)
{
    struct voice_token row = {0};
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->out.n_changes; i++) {
        const struct change *c = &w->out.changes[i];
        if (strncmp(c->suffix, "t:", 2) != 0 || !bytes_is(e->session, c->suffix + 2))
            continue;
        CHECK(UNPACK(&w->a, voice_token, c->a, &row) == OK && world_id(c->b) > 0);
        n++;
    }
    const struct voice_seat *seat = world_seat(w, e->user);
    CHECK(n == 1 && seat && row.user == e->user && bytes_eq(row.session, e->session) && row.server == WORLD_GUILD &&
          row.channel == seat->channel && row.node.n > 0);
    CHECK(bytes_is(row.token, json_string_value(json_object_get(body, "token"))));
}

// Who was sent to a server and is not there any more.
static inline void world_check_tokens(const struct voice_world *w, const struct world_rows *before)
{
    for (uint32_t i = 0; i < before->n; i++) {
        const struct voice_seat *was = before->row[i], *is = world_seat(w, was->user);
        bool stays = is && is->server == 2 && is->channel == was->channel && bytes_eq(is->session, was->session);
        CHECK(was->server != 2 || stays || world_token_went(w, was->session));
    }
}

static inline void world_check_event(struct voice_world *w, const struct event *e)
{
    json_t *body = json_loadb(e->body.p, e->body.n, JSON_ALLOW_NUL, NULL);
    CHECK(e->name.n == 0 || json_is_object(body));
    if (bytes_is(e->name, "VOICE_SERVER_UPDATE") && json_is_string(json_object_get(body, "endpoint")))
        world_check_sent(w, e, body);
    json_decref(body);
    bool state = bytes_is(e->name, "VOICE_STATE_UPDATE");
    bool of_channel = state || bytes_is(e->name, "VOICE_CHANNEL_START_TIME_UPDATE") ||
                      bytes_is(e->name, "VOICE_CHANNEL_STATUS_UPDATE");
    CHECK(e->channel != 0 || !of_channel);
    CHECK(!e->unless || (state && e->to == 3 && e->user == e->sitter && e->unless != e->channel));
    CHECK(!state || e->unless || e->row_tag == TAG_voice_seat);
    CHECK(!bytes_is(e->name, "VOICE_SERVER_UPDATE") || (e->to == 2 && e->session.n > 0 && e->sitter == e->user));
    if (bytes_is(e->name, "GUILD_DELETE"))
        CHECK(e->to == 0 && !e->row_tag && e->place_op == 2 && e->place == WORLD_GUILD &&
              e->place_version == w->version + 1);
    for (uint32_t i = 0; i < WORLD_KINDS; i++) {
        if (bytes_is(e->name, "GUILD_DELETE"))
            w->picture[i].n = 0;
        if (e->row_tag != w->picture[i].s->tag)
            continue;
        if (e->row.n > 0)
            world_keep(w, &w->picture[i], e->row_id, e->row);
        else
            world_drop(&w->picture[i], e->row_id);
    }
}

// What nobody is told of a seat.
static inline struct voice_seat world_shown(const struct voice_seat *s)
{
    struct voice_seat shown = *s;
    shown.server = shown.server_at = shown.generation = 0;
    shown.gateway = BYTES_NONE;
    return shown;
}

static inline bool world_seen(struct voice_world *w, const void *is, const void *seen)
{
    const struct voice_seat a = world_shown(is), b = world_shown(seen);
    return bytes_eq(schema_packed(&w->scratch, &schema_voice_seat, &a),
                    schema_packed(&w->scratch, &schema_voice_seat, &b));
}

// Or of a stage.
static inline bool world_same_stage(struct voice_world *w, const void *is, const void *seen)
{
    struct stage a = *(const struct stage *)is, b = *(const struct stage *)seen;
    a.silent_at = b.silent_at = 0;
    return bytes_eq(schema_packed(&w->scratch, &schema_stage, &a), schema_packed(&w->scratch, &schema_stage, &b));
}

static inline void world_check_picture(struct voice_world *w)
{
    for (uint32_t k = 0; k < WORLD_KINDS; k++) {
        const struct world_rows *is = &w->t[k], *seen = &w->picture[k];
        CHECK(k == WORLD_ROOMS || is->n == seen->n);
        for (uint32_t i = 0; i < is->n && k != WORLD_ROOMS; i++) {
            CHECK(is->id[i] == seen->id[i]);
            CHECK(bytes_eq(is->raw[i], seen->raw[i]) || (k == WORLD_SEATS && world_seen(w, is->row[i], seen->row[i])) ||
                  (k == WORLD_STAGES && world_same_stage(w, is->row[i], seen->row[i])));
        }
    }
}

// When the room's row is due; 0: there is none.
static inline uint64_t world_room_row(const struct voice_world *w, uint64_t channel)
{
    for (uint32_t i = 0; i < w->n_room_rows; i++)
        if (w->room_rows[i] == channel)
            return w->room_row_at[i];
    return 0;
}

static inline void world_drop_room_row(struct voice_world *w, uint64_t channel)
{
    for (uint32_t i = 0; i < w->n_room_rows; i++) {
        if (w->room_rows[i] != channel)
            continue;
        w->n_room_rows--;
        memmove(&w->room_rows[i], &w->room_rows[i + 1], (w->n_room_rows - i) * sizeof w->room_rows[0]);
        memmove(&w->room_row_at[i], &w->room_row_at[i + 1], (w->n_room_rows - i) * sizeof w->room_row_at[0]);
    }
}

static inline void world_want_room(struct voice_world *w, uint64_t channel, uint64_t at)
{
    uint64_t stands = world_room_row(w, channel);
    if (!at || (stands && stands <= at))
        return;
    world_drop_room_row(w, channel);
    CHECK(w->n_room_rows < WORLD_ROWS);
    w->room_rows[w->n_room_rows] = channel;
    w->room_row_at[w->n_room_rows++] = at;
}

// Silence counts from when it began, and is looked after.
static inline void world_check_stages(const struct voice_world *w)
{
    for (uint32_t i = 0; i < w->t[WORLD_STAGES].n; i++) {
        const struct stage *s = w->t[WORLD_STAGES].row[i];
        const struct voice_room *room = world_room(w, s->channel);
        CHECK(WORLD_GET(w, WORLD_CHANNELS, guild_channel, s->channel));
        CHECK((s->silent_at == 0) == (room && room->speakers > 0) && s->silent_at <= w->now);
        uint64_t row = world_room_row(w, s->channel);
        CHECK(!s->silent_at || (row && row <= s->silent_at + w->rules.stage_ms));
    }
}

static inline void world_check(struct voice_world *w)
{
    uint64_t seats[WORLD_ROWS] = {0}, videos[WORLD_ROWS] = {0}, speakers[WORLD_ROWS] = {0}, bits[WORLD_ROWS] = {0};
    const struct world_rows *rooms = &w->t[WORLD_ROOMS];
    for (uint32_t i = 0; i < w->t[WORLD_SEATS].n; i++) {
        const struct voice_seat *s = w->t[WORLD_SEATS].row[i];
        uint32_t r = 0;
        while (r < rooms->n && rooms->id[r] != s->channel)
            r++;
        CHECK(r < rooms->n && s->user == w->t[WORLD_SEATS].id[i] && s->session.n > 0 && s->server <= 2);
        CHECK(WORLD_GET(w, WORLD_CHANNELS, guild_channel, s->channel) && WORLD_GET(w, WORLD_MEMBERS, member, s->user));
        seats[r]++;
        videos[r] += s->self_video;
        speakers[r] += !s->suppress;
        bits[r] |= 1ull << s->user;
        const struct voice_room *room = rooms->row[r];
        CHECK(s->generation <= room->generation);
        CHECK(s->generation == room->generation || world_room_row(w, s->channel));
        CHECK((s->server == 2) == (s->server_at == 0));
        CHECK(s->server == 2 || (w->seat_row[s->user] && w->seat_row[s->user] <= s->server_at));
    }
    for (uint32_t r = 0; r < rooms->n; r++) {
        const struct voice_room *room = rooms->row[r];
        CHECK(room->seats > 0 && room->seats == seats[r] && room->channel == rooms->id[r]);
        CHECK(room->videos == videos[r] && room->speakers == speakers[r]);
        CHECK((room->node.n > 0) == (room->endpoint.n > 0) && room->started_at > 0);
    }
    for (uint32_t i = 0; i < w->sets.n; i++) {
        uint64_t is = 0;
        for (uint32_t r = 0; r < rooms->n; r++)
            is |= rooms->id[r] == w->sets.id[i] ? bits[r] : 0;
        CHECK(*(const uint64_t *)w->sets.row[i] == is);
    }
    world_check_stages(w);
    for (uint32_t k = 0; k < WORLD_KINDS && !w->guild.id; k++)
        CHECK(w->t[k].n == 0);
    world_check_picture(w);
}

static inline void world_want(uint64_t *row, uint64_t at)
{
    *row = *row && *row < at ? *row : at;
}

static inline void world_write(struct voice_world *w, const struct guild_in *in)
{
    const struct guild_out *out = &w->out;
    const struct world_rows seats = w->t[WORLD_SEATS];
    CHECK(out->n_changes <= CHANGES_MAX);
    for (uint32_t i = 0; i < out->n_asks; i++) {
        CHECK(out->asks[i].user >= 1 && out->asks[i].user <= WORLD_USERS && out->asks[i].due > out->asks[i].at);
        world_want(&w->seat_row[out->asks[i].user], out->asks[i].due);
    }
    if (out->seat_at)
        world_want(&w->seat_row[in->target], out->seat_at);
    world_want_room(w, in->channel, out->room_at);
    for (uint32_t i = 0; i < out->n_rooms; i++)
        world_want_room(w, out->rooms[i].id, out->rooms[i].look_at);
    for (uint32_t i = 0; i < out->n_changes; i++)
        world_apply(w, &out->changes[i]);
    for (uint32_t i = 0; i < out->n_events; i++)
        world_check_event(w, &out->events[i]);
    w->version++;
    struct bytes entry =
        message_entry(&w->scratch, ref_place(WORLD_GUILD), w->version, w->now, out->events, out->n_events);
    struct place_event read;
    CHECK(UNPACK(&w->scratch, place_event, entry, &read) == OK && read.events.n == out->n_events);
    world_check_tokens(w, &seats);
}

// One attempt and its commit.
static inline int world_step(struct voice_world *w, const struct guild_in *asked)
{
    struct guild_in as_read = *asked, *in = &as_read;
    arena_reset(&w->scratch);
    if (guild_wants(in).room)
        in->channel = w->t[WORLD_ROOMS].n ? w->t[WORLD_ROOMS].id[0] : 0;
    world_look(w, in);
    int err = guild_step(&w->scratch, &w->scene, in, &w->rules, w->now, &w->out);
    if (err != OK) {
        CHECK(!w->out.n_events && !w->out.n_changes && !w->out.n_asks && !w->out.n_came && !w->out.n_went);
        return err;
    }
    world_write(w, in);
    if (!w->out.more)
        world_check(w);
    return OK;
}

// All of them, as long as there is more to do; out is then of the last.
static inline int world_do(struct voice_world *w, struct guild_in in)
{
    in.new_id = w->next_id++;
    int err = world_step(w, &in);
    for (unsigned n = 0; err == OK && w->out.more; n++) {
        CHECK(n < 10);
        err = world_step(w, &in);
    }
    return err;
}

// The first of the rooms' rows comes due, and is settled.
static inline int world_room_due(struct voice_world *w)
{
    CHECK(w->n_room_rows > 0);
    uint64_t channel = w->room_rows[0];
    world_drop_room_row(w, channel);
    int err = world_do(w, (struct guild_in){.kind = GUILD_IN_ROOM, .channel = channel});
    world_want_room(w, channel, w->out.room_at);
    world_check(w);
    return err;
}

// His seat's row comes due.
static inline int world_seat_due(struct voice_world *w, uint64_t user)
{
    w->seat_row[user] = 0;
    int err = world_step(w, &(struct guild_in){.kind = GUILD_IN_SEAT, .target = user});
    if (err == ERR_STATE && w->out.seat_at)
        w->seat_row[user] = w->out.seat_at;
    return err;
}
