// job_guild: what a job does to a guild: reads the scene, steps, commits, asks. The guild's version was read first, so
// that all that is read here is as it stood then, or newer, and then the commit conflicts. Nothing here walks a guild:
// of those who sit in a room pages are read until enough are found whom the input is about. Shell.
#include "errors.h"
#include "job_private.h"
#include "metrics.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 32u // members of a set at a time; a small one comes whole

struct guild_load {
    struct guild_in in;
    struct guild_wants wants;
    struct guild_scene scene;
    bool broken; // something did not decode
    struct role *roles;
    struct guild_channel *channels;
    struct scene_member crowd[GUILD_CROWD_MAX];
    char cursor[24]; // of the page being read
    bool wrapped;    // reading began in the middle, and has come to the beginning
    uint64_t *page;  // ids that it holds
    uint32_t n_page;
    char next[24];
    struct guild_out out;
};

static void read_from_room(struct job *j);

// --- rows ---

static const void *decode(struct job *j, const struct schema *s, struct bytes raw)
{
    if (raw.n == 0)
        return NULL;
    void *row = arena_take(&j->scratch, s->size);
    if (schema_unpack(&j->scratch, s, arena_copy(&j->scratch, raw), row) == OK)
        return row;
    j->guild->broken = true;
    return NULL;
}

struct wanted { // one row
    struct job *j;
    const struct schema *s;
    const void **to;
};

static void on_row(void *ctx, const struct reply *r)
{
    struct wanted w = *(struct wanted *)ctx;
    mem_free(ctx);
    if (reply_ok(r))
        *w.to = decode(w.j, w.s, reply_text(r));
    job_arrived(w.j, reply_ok(r) ? OK : ERR_IO);
}

static void want(struct job *j, const struct schema *s, ref r, const char *suffix, struct bytes field, const void *to)
{
    char key[RECORD_KEY_MAX];
    struct wanted *w = mem_alloc(sizeof *w);
    *w = (struct wanted){j, s, (const void **)(uintptr_t)to};
    j->replies++;
    store_cmd(job_store(j), on_row, w, "HGET %s %b", record_key(key, r, suffix), field.p, field.n);
}

static void want_row(struct job *j, const struct schema *s, const char *suffix, uint64_t id, const void *to)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    if (id)
        want(j, s, ref_place(j->step.id), suffix, (struct bytes){text, (size_t)n}, to);
}

static void want_member(struct job *j, struct scene_member *m, uint64_t id)
{
    m->id = id;
    want_row(j, &schema_member, "mb", id, &m->member);
    want_row(j, &schema_voice_seat, "vs", id, &m->seat);
    if (id)
        want(j, &schema_user, ref_user(id), "s", BYTES("user"), &m->user);
}

static void want_room(struct job *j, struct scene_room *room, uint64_t id)
{
    room->id = id;
    want_row(j, &schema_guild_channel, "ch", id, &room->channel);
    want_row(j, &schema_voice_room, "vc", id, &room->room);
    want_row(j, &schema_stage, "st", id, &room->stage);
}

static int by_id(const void *a, const void *b)
{
    const struct role *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

// All rows of one kind, as HGETALL gives them.
static void *decode_all(struct job *j, const struct schema *s, const struct reply *r, uint32_t *n)
{
    char *rows = arena_take(&j->scratch, (reply_n(r) / 2 + 1) * s->size);
    for (size_t i = 1; i < reply_n(r); i += 2) {
        const void *row = decode(j, s, reply_text(reply_at(r, i)));
        if (row)
            memcpy(rows + s->size * (*n)++, row, s->size);
    }
    return rows;
}

static void on_roles(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    struct guild_load *g = j->guild;
    uint32_t n = 0;
    g->roles = decode_all(j, &schema_role, r, &n);
    qsort(g->roles, n, sizeof *g->roles, by_id);
    g->scene.roles = (struct role_set){n, g->roles};
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void on_channels(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    uint32_t n = 0;
    j->guild->channels = decode_all(j, &schema_guild_channel, r, &n);
    j->guild->scene.n_channels = n;
    j->guild->scene.channels = j->guild->channels;
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

// The guild's rooms, by channel: one of them.
static void on_rooms(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    int err = OK;
    if (reply_n(r) > 0)
        err = bytes_u64(reply_text(reply_at(r, 0)), &j->guild->in.channel);
    j->guild->broken = j->guild->broken || err != OK;
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

// --- the crowd ---

static void with_crowd_members(struct job *j);

static bool has_already(const struct guild_load *g, uint64_t user)
{
    for (uint32_t i = 0; i < g->scene.n_crowd; i++)
        if (g->crowd[i].id == user)
            return true;
    return false;
}

static void read_page(struct job *j);

// Of the page: those whom the input is about, as long as there is room.
static void take_page(struct job *j, const struct reply *seats)
{
    struct guild_load *g = j->guild;
    for (uint32_t i = 0; i < g->n_page && !g->scene.more; i++) {
        const struct voice_seat *seat = decode(j, &schema_voice_seat, reply_text(reply_at(seats, i)));
        if (!seat || has_already(g, seat->user) || !guild_minds(&g->in, g->scene.to.room, seat))
            continue;
        if (g->scene.n_crowd == GUILD_CROWD_MAX) {
            g->scene.more = true;
            memcpy(j->scan, g->cursor, sizeof j->scan); // the rest of this page is for the next attempt
            return;
        }
        g->crowd[g->scene.n_crowd++] = (struct scene_member){.id = seat->user, .seat = seat};
    }
}

static void load_crowd_members(struct job *j)
{
    struct guild_load *g = j->guild;
    job_await(j, 1, with_crowd_members);
    for (uint32_t i = 0; i < g->scene.n_crowd; i++) {
        want_row(j, &schema_member, "mb", g->crowd[i].id, &g->crowd[i].member);
        want(j, &schema_user, ref_user(g->crowd[i].id), "s", BYTES("user"), &g->crowd[i].user);
    }
    job_arrived(j, OK);
}

static void with_page(struct job *j)
{
    struct guild_load *g = j->guild;
    if (g->scene.more) {
        load_crowd_members(j);
        return;
    }
    memcpy(g->cursor, g->next, sizeof g->cursor);
    bool end = strcmp(g->cursor, "0") == 0;
    if (end && (g->wrapped || strcmp(j->scan, "0") == 0)) { // all have been looked at
        snprintf(j->scan, sizeof j->scan, "0");
        load_crowd_members(j);
        return;
    }
    g->wrapped = g->wrapped || end;
    read_page(j);
}

static void on_page_seats(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    if (reply_ok(r))
        take_page(j, r);
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void read_page_seats(struct job *j)
{
    struct guild_load *g = j->guild;
    char key[RECORD_KEY_MAX];
    struct bytes *argv = arena_take(&j->scratch, (g->n_page + 2) * sizeof *argv);
    if (g->n_page == 0) {
        with_page(j);
        return;
    }
    argv[0] = BYTES("HMGET");
    argv[1] = bytes_of(record_key(key, ref_place(j->step.id), "vs"));
    for (uint32_t i = 0; i < g->n_page; i++)
        argv[i + 2] = arena_printf(&j->scratch, "%llu", (unsigned long long)g->page[i]);
    job_await(j, 1, with_page);
    store_send(job_store(j), on_page_seats, j, g->n_page + 2, argv);
}

static void on_page(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    struct guild_load *g = j->guild;
    const struct reply *ids = reply_at(r, 1);
    g->page = arena_take(&j->scratch, (reply_n(ids) + 1) * sizeof *g->page);
    g->n_page = 0;
    for (size_t i = 0; i < reply_n(ids); i++)
        if (bytes_u64(reply_text(reply_at(ids, i)), &g->page[g->n_page]) == OK)
            g->n_page++;
    bool ok = reply_ok(r) && bytes_copy(g->next, sizeof g->next, reply_text(reply_at(r, 0))) == OK;
    job_arrived(j, ok ? OK : ERR_IO);
}

static void read_page(struct job *j)
{
    char key[RECORD_KEY_MAX], users[32];
    snprintf(users, sizeof users, "vu:%llu", (unsigned long long)j->guild->in.channel);
    job_await(j, 1, read_page_seats);
    store_cmd(job_store(j), on_page, j, "SSCAN %s %s COUNT %u", record_key(key, ref_place(j->step.id), users),
              j->guild->cursor, PAGE);
}

// --- the scene ---

static void with_scene(struct job *j);

// All that can be asked for at once, beside what is awaited already.
static void ask_scene(struct job *j)
{
    struct guild_load *g = j->guild;
    char key[RECORD_KEY_MAX];
    ref place = ref_place(j->step.id);
    if (g->wants.roles) {
        j->replies++;
        store_cmd(job_store(j), on_roles, j, "HGETALL %s", record_key(key, place, "r"));
    }
    if (g->wants.channels) {
        j->replies++;
        store_cmd(job_store(j), on_channels, j, "HGETALL %s", record_key(key, place, "ch"));
    }
    if (g->wants.room) {
        j->replies++;
        store_cmd(job_store(j), on_rooms, j, "HKEYS %s", record_key(key, place, "vc"));
    }
    if (g->in.actor != g->in.target)
        want_member(j, &g->scene.actor, g->in.actor);
    want_member(j, &g->scene.target, g->in.target);
    want_room(j, &g->scene.to, g->in.channel);
}

// Where he sits is known now, and where anybody does.
static void read_from_room(struct job *j)
{
    struct guild_scene *s = &j->guild->scene;
    const struct voice_seat *seat = s->target.seat;
    if (j->guild->in.actor == j->guild->in.target)
        s->actor = s->target;
    job_await(j, 1, with_scene);
    if (j->guild->wants.room)
        want_room(j, &s->to, j->guild->in.channel);
    if (seat && seat->channel == s->to.id)
        s->from = s->to;
    else if (seat)
        want_room(j, &s->from, seat->channel);
    job_arrived(j, OK);
}

static void act(struct job *j);

static void with_scene(struct job *j)
{
    struct guild_load *g = j->guild;
    if (g->wants.crowd && g->in.channel && !g->broken) {
        memcpy(g->cursor, j->scan, sizeof g->cursor);
        read_page(j);
    } else {
        act(j);
    }
}

static void with_crowd_members(struct job *j)
{
    j->guild->scene.crowd = j->guild->crowd;
    act(j);
}

// --- the step ---

static void keep_answer(struct job *j)
{
    const struct guild_out *out = &j->guild->out;
    j->end.deadline = out->seat_at ? out->seat_at : out->room_at;
    j->end.body = arena_copy(&j->kept, out->body);
    if (out->fault.code) {
        struct fault *fault = arena_take(&j->kept, sizeof *fault);
        *fault = out->fault;
        j->end.fault = fault;
    }
}

// Who asks for a channel by its id alone finds its guild in a record of the channel's own. That one stands without the
// guild's row does no harm, when the two came apart: the guild knows of no such channel.
static void forget_channel(struct job *j, uint64_t channel)
{
    char record[RECORD_KEY_MAX], log[RECORD_KEY_MAX];
    store_cmd(job_store(j), NULL, NULL, "DEL %s %s", record_key(record, ref_place(channel), "s"),
              record_key(log, ref_place(channel), "log"));
}

static void carry_out_asks(struct job *j)
{
    const struct guild_load *g = j->guild;
    const struct guild_out *out = &g->out;
    uint64_t guild = j->step.id;
    M.voice_joins += out->joins;
    M.voice_leaves += out->leaves;
    if (j->m->closed)
        return;
    for (uint32_t i = 0; i < out->n_went; i++)
        timers_forget_gateway(j->m, out->went[i].gateway, guild, out->went[i].user, j->version);
    if (out->seat_done)
        timers_drop_seat(j->m, guild, g->in.target, out->seat_done);
    for (uint32_t i = 0; i < out->n_asks; i++)
        call_ask_guild_server(j->m, guild, &out->asks[i], j->now);
    for (uint32_t i = 0; i < out->n_released; i++)
        call_release_server(j->m, guild, out->released[i]);
    if (out->unmade)
        forget_channel(j, out->unmade);
    for (uint32_t i = 0; i < g->scene.n_channels && out->all_unmade; i++)
        forget_channel(j, g->scene.channels[i].id);
}

static void on_committed(void *ctx, const struct commit_result *r)
{
    struct job *j = ctx;
    const struct guild_out *out = &j->guild->out;
    if (r->err == ERR_CONFLICT) {
        job_repeat(j);
        return;
    }
    if (r->err == ERR_STATE) { // this very command was applied before: nothing of this attempt stands
        j->result.applied = true;
        job_was_applied(j, r->answer);
        job_next(j, OK);
        return;
    }
    if (r->err == OK) {
        j->version = r->version;
        j->result.epoch = out->epoch;
        keep_answer(j);
        carry_out_asks(j);
    }
    if (r->err == OK && out->more)
        job_more(j);
    else
        job_next(j, r->err);
}

static void want_timers(struct job *j)
{
    const struct guild_load *g = j->guild;
    const struct guild_out *out = &g->out;
    uint64_t guild = j->step.id;
    for (uint32_t i = 0; i < out->n_asks; i++)
        timers_want_seat(j->m, guild, out->asks[i].user, out->asks[i].due);
    if (out->seat_at)
        timers_want_seat(j->m, guild, g->in.target, out->seat_at);
    if (out->room_at)
        timers_want_room(j->m, guild, g->in.channel, out->room_at);
    for (uint32_t i = 0; i < out->n_rooms; i++)
        if (out->rooms[i].look_at)
            timers_want_room(j->m, guild, out->rooms[i].id, out->rooms[i].look_at);
    if (j->step.agree)
        timers_want_agreement(j->m, guild, j->step.agree, j->now + SETTLE_MS);
    for (uint32_t i = 0; i < out->n_came; i++)
        timers_note_gateway(j->m, out->came[i].gateway, guild, out->came[i].user, j->version + 1);
}

static void write_guild(struct job *j)
{
    const struct guild_out *out = &j->guild->out;
    struct bytes answer = out->body;
    if (!j->step.change)
        answer = arena_printf(&j->scratch, "%llu", (unsigned long long)out->epoch);
    want_timers(j);
    // Of several commits the last one is the command's.
    job_write(j, ref_place(j->step.id), j->version, out->more ? 0 : j->step.command, answer, out->events, out->n_events,
              out->changes, out->n_changes, on_committed);
}

static void on_channel_known(void *ctx, const struct commit_result *r)
{
    struct job *j = ctx;
    if (r->err == OK)
        write_guild(j);
    else if (r->err == ERR_CONFLICT)
        job_repeat(j); // with another id
    else
        job_next(j, r->err);
}

static void make_channel_known(struct job *j)
{
    const struct guild_channel *made = j->guild->out.made;
    const struct channel row = {.id = made->id, .type = made->type, .guild = j->step.id};
    const struct change chan = {CHANGE_HSET, "s", BYTES("chan"), schema_packed(&j->scratch, &schema_channel, &row)};
    job_write(j, ref_place(made->id), 0, 0, BYTES_NONE, NULL, 0, &chan, 1, on_channel_known);
}

static void step_guild(struct job *j)
{
    struct guild_load *g = j->guild;
    if (j->m->closed || (g->in.msg && lease_mint(j->m->lease, 0, &g->in.new_id) != OK)) {
        job_next(j, ERR_IO); // no worker number just now
        return;
    }
    int err = guild_step(&j->scratch, &g->scene, &g->in, &j->m->guild_rules, j->now, &g->out);
    if (err == OK) {
        (g->out.made ? make_channel_known : write_guild)(j);
        return;
    }
    keep_answer(j);
    job_denied(j, err);
}

static void invalid(struct job *j)
{
    LOG(ERROR, EV("record.invalid"), KU("guild", j->step.id));
    job_next(j, ERR_INVALID);
}

// What does not fit together may have been read while somebody else wrote it.
static void on_version(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    uint64_t version = 0;
    if (!reply_ok(r) || bytes_u64(reply_text(r), &version) != OK)
        job_next(j, ERR_IO);
    else if (version != j->version)
        job_repeat(j);
    else
        invalid(j);
}

static void look_whether_newer(struct job *j)
{
    char key[RECORD_KEY_MAX];
    store_cmd(job_store(j), on_version, j, "HGET %s v", record_key(key, ref_place(j->step.id), "s"));
}

static void act(struct job *j)
{
    struct guild_load *g = j->guild;
    const struct scene_member *who = &g->scene.target;
    if (g->broken) {
        invalid(j);
        return;
    }
    if (!guild_scene_valid(&g->scene)) {
        look_whether_newer(j);
        return;
    }
    if (j->step.what == FLOW_PLACE) {
        step_guild(j);
        return;
    }
    j->result.sits = guild_sits(&g->scene, &g->in);
    j->result.epoch = who->seat ? who->seat->epoch : 0;
    job_next(j, guild_may_join(&g->scene, &g->in, j->now));
}

static int begin(struct job *j)
{
    j->guild = arena_take(&j->scratch, sizeof *j->guild);
    int err = flow_guild_in(&j->step, &j->guild->in);
    if (err == OK)
        j->guild->wants = guild_wants(&j->guild->in);
    return err;
}

void job_guild_ahead(struct job *j)
{
    if (begin(j) == OK)
        ask_scene(j);
    else
        j->guild = NULL; // it means nothing at a guild: when the place is one, that is the answer
}

void job_guild(struct job *j)
{
    bool ahead = j->guild != NULL;
    int err = ahead ? OK : begin(j);
    if (err != OK) {
        job_next(j, err);
        return;
    }
    struct guild_scene *s = &j->guild->scene;
    s->id = j->step.id;
    s->version = j->version;
    s->guild = decode(j, &schema_guild, j->guild_row);
    if (ahead) {
        read_from_room(j);
        return;
    }
    job_await(j, 1, read_from_room);
    ask_scene(j);
    job_arrived(j, OK);
}
