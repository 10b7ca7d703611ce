// load: see load.h. One reading is one `struct load`, which frees itself after its callback. Users are read last,
// once everybody who is named anywhere is known, a bounded number at a time.
#include "load_private.h"
#include "presence_io.h"
#include "view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define USERS_AT_ONCE 256u
// Several hashes of one record in one atomic step. No rule of the business is in it.
#define READ_HASHES "local out = {} for i, key in ipairs(KEYS) do out[i] = redis.call('HGETALL', key) end return out"

struct loads {
    uint64_t running; // of those that wait for their turn
    struct load *head, **tail;
};

// --- pieces ---

struct load *load_new(struct gateway *g, void *ctx)
{
    struct load *l = mem_alloc(sizeof *l);
    l->g = g;
    l->ctx = ctx;
    return l;
}

static void load_free(struct load *l)
{
    loop_cancel(l->g->svc.loop, &l->at_once);
    arena_fini(&l->arena);
    mem_free(l);
}

struct part *load_part(struct load *l, uint64_t id, uint32_t at)
{
    struct part *p = arena_take(&l->arena, sizeof *p);
    *p = (struct part){l, id, at};
    l->pending++;
    return p;
}

bool load_took(struct load *l, const struct reply *r)
{
    l->pending--;
    if (!reply_ok(r))
        l->err = ERR_IO;
    return reply_ok(r);
}

void *load_row(struct load *l, const struct schema *s, const struct reply *value, uint64_t id)
{
    if (reply_kind(value) != REPLY_TEXT)
        return NULL;
    void *v = arena_take(&l->arena, s->size);
    if (schema_unpack(&l->arena, s, arena_copy(&l->arena, reply_text(value)), v) == OK)
        return v;
    LOG(ERROR, EV("load.unreadable"), KS("record", s->name), KU("id", id));
    return NULL;
}

uint32_t load_rows(struct load *l, const struct schema *s, const struct reply *hash, void *out)
{
    uint32_t n = 0;
    char *v = arena_take(&l->arena, (reply_n(hash) / 2 + 1) * s->size);
    for (size_t i = 1; i < reply_n(hash); i += 2) {
        const void *one = load_row(l, s, reply_at(hash, i), l->user);
        if (one)
            memcpy(v + n++ * s->size, one, s->size);
    }
    memcpy(out, &v, sizeof v);
    return n;
}

static uint64_t number(const struct reply *value)
{
    uint64_t v;
    return reply_kind(value) == REPLY_TEXT && bytes_u64(reply_text(value), &v) == OK ? v : 0;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Sorts, and drops what is there twice.
static uint32_t sort_ids(uint64_t *v, uint32_t n)
{
    uint32_t kept = 0;
    qsort(v, n, sizeof *v, ascending);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || v[kept - 1] != v[i])
            v[kept++] = v[i];
    return kept;
}

// The fields of a hash, as ids in order.
static struct ids hash_ids(struct load *l, const struct reply *hash)
{
    uint32_t n = 0, all = (uint32_t)(reply_n(hash) / 2);
    uint64_t *v = arena_take(&l->arena, (all + 1) * sizeof *v);
    for (uint32_t i = 0; i < all; i++)
        if (bytes_u64(reply_text(reply_at(hash, 2 * i)), &v[n]) == OK && v[n] != 0 && !(v[n] & REF_USER_BIT))
            n++;
    return (struct ids){sort_ids(v, n), v};
}

struct ids load_ids(struct load *l, struct ids ids)
{
    uint64_t *copy = arena_take(&l->arena, (ids.n + 1) * sizeof *copy);
    if (ids.n)
        memcpy(copy, ids.v, ids.n * sizeof *copy);
    return (struct ids){sort_ids(copy, ids.n), copy};
}

struct bytes load_key(struct load *l, ref r, const char *suffix)
{
    char key[RECORD_KEY_MAX];
    return arena_copy(&l->arena, bytes_of(record_key(key, r, suffix)));
}

void load_script(struct load *l, struct bytes script, uint32_t n_keys, const struct bytes *keys, uint32_t n_args,
                 const struct bytes *args, store_fn fn, struct part *p)
{
    struct bytes *argv = arena_take(&l->arena, (3 + (size_t)n_keys + n_args) * sizeof *argv);
    argv[0] = BYTES("EVAL_RO");
    argv[1] = script;
    argv[2] = arena_printf(&l->arena, "%u", (unsigned)n_keys);
    memcpy(argv + 3, keys, n_keys * sizeof *keys);
    if (n_args)
        memcpy(argv + 3 + n_keys, args, n_args * sizeof *args);
    store_send(l->g->svc.store, fn, p, 3 + (size_t)n_keys + n_args, argv);
}

// --- users ---

static void loads_next(struct gateway *g);

void load_end(struct load *l)
{
    struct gateway *g = l->g;
    bool waited = l->begin != NULL;
    struct user_set users = {l->err ? 0 : l->n_users, l->err ? NULL : l->users};
    if (l->on_world)
        l->on_world(l->ctx, l->err, l->err ? NULL : &l->world);
    else if (l->on_channel)
        l->on_channel(l->ctx, l->err, l->err ? NULL : &l->one, users);
    else if (l->on_members)
        l->on_members(l->ctx, l->err, l->err ? 0 : l->n_members, l->err ? NULL : l->members, users);
    else
        l->on_users(l->ctx, l->err, users);
    load_free(l);
    if (waited) {
        g->loads->running--;
        loads_next(g);
    }
}

static void on_there(void *ctx, struct presence_set set)
{
    struct load *l = ctx;
    l->world.there = set;
    load_end(l);
}

// The viewer himself is read with all others where only a guild was asked for.
static void users_end(struct load *l)
{
    struct world *w = &l->world;
    w->users = (struct user_set){l->n_users, l->users};
    if (l->on_world && !w->user.id && l->err == OK) {
        const struct user *me = view_find_user(w->users, l->user);
        if (me)
            w->user = *me;
        else
            l->err = ERR_MISSING;
    }
    if (l->on_world && l->err == OK && l->parts & LOAD_GUILDS && l->ids.n > 0)
        presences_load(l->g, &l->arena, l->ids, on_there, l);
    else
        load_end(l);
}

static void users_more(struct load *l);

static void on_user(void *ctx, const struct reply *r)
{
    const struct part *p = ctx;
    struct load *l = p->l;
    if (load_took(l, r)) {
        const struct user *u = load_row(l, &schema_user, r, p->id);
        if (u && u->id == p->id)
            l->users[l->n_users++] = *u; // replies come in the order of the ids
    }
    users_more(l);
}

static void users_more(struct load *l)
{
    char key[RECORD_KEY_MAX];
    while (l->err == OK && l->asked < l->ids.n && l->pending < USERS_AT_ONCE) {
        struct part *p = load_part(l, l->ids.v[l->asked++], 0);
        store_cmd(l->g->svc.store, on_user, p, "HGET %s user", record_key(key, ref_user(p->id), "s"));
    }
    if (l->pending == 0)
        users_end(l);
}

static void users_begin(struct load *l, struct ids ids)
{
    l->ids = ids;
    l->users = arena_take(&l->arena, (l->ids.n + 1) * sizeof *l->users);
}

static void on_at_once(struct timer *t, uint64_t now)
{
    (void)now;
    users_end(container_of(t, struct load, at_once));
}

void load_users(struct gateway *g, struct ids ids, load_users_fn fn, void *ctx)
{
    struct load *l = load_new(g, ctx);
    l->on_users = fn;
    users_begin(l, load_ids(l, ids));
    l->at_once.fire = on_at_once;
    if (l->ids.n)
        users_more(l);
    else
        loop_arm(g->svc.loop, &l->at_once, 0);
}

// --- one channel ---

// What {<id>}:s says. False: there is no such channel.
static bool read_channel(struct load *l, const struct reply *hash, uint64_t id, struct loaded_channel *out)
{
    const struct reply *chan = reply_field(hash, "chan"), *call = reply_field(hash, "call");
    const struct reply *last = reply_field(hash, "last");
    const struct channel *c = chan ? load_row(l, &schema_channel, chan, id) : NULL;
    if (!c || c->id != id)
        return false;
    *out = (struct loaded_channel){.version = record_version(hash), .channel = *c};
    out->last_message = last ? number(last) : 0;
    out->call = call ? load_row(l, &schema_call_rec, call, id) : NULL;
    return true;
}

static void channel_end(struct load *l)
{
    if (l->err == OK && !l->one.channel.id)
        l->err = ERR_MISSING;
    if (l->err != OK) {
        users_end(l);
        return;
    }
    users_begin(l, load_ids(l, l->one.channel.recipients));
    users_more(l);
}

// {<guild>}:ch <channel>, of one of the user's guilds.
static void on_channel_of_guild(void *ctx, const struct reply *r)
{
    const struct part *p = ctx;
    struct load *l = p->l;
    const struct guild_channel *c = load_took(l, r) ? load_row(l, &schema_guild_channel, r, l->channel) : NULL;
    if (c && c->id == l->channel)
        l->one = (struct loaded_channel){.channel = {.id = c->id, .type = c->type, .guild = p->id}};
    if (l->pending == 0)
        channel_end(l);
}

static void on_guilds_of_user(void *ctx, const struct reply *r)
{
    const struct part *p = ctx;
    struct load *l = p->l;
    char key[RECORD_KEY_MAX];
    struct ids guilds = load_took(l, r) ? hash_ids(l, r) : (struct ids){0};
    for (uint32_t i = 0; i < guilds.n; i++) {
        ref guild = ref_place(guilds.v[i]);
        store_cmd(l->g->svc.store, on_channel_of_guild, load_part(l, guilds.v[i], 0), "HGET %s %s",
                  record_key(key, guild, "ch"), arena_text(&l->arena, arena_printf(&l->arena, "%" PRIu64, l->channel)));
    }
    if (l->pending == 0)
        channel_end(l);
}

static void on_channel(void *ctx, const struct reply *r)
{
    const struct part *p = ctx;
    struct load *l = p->l;
    char key[RECORD_KEY_MAX];
    if (load_took(l, r) && !read_channel(l, r, l->channel, &l->one) && l->user)
        store_cmd(l->g->svc.store, on_guilds_of_user, load_part(l, l->user, 0), "HGETALL %s",
                  record_key(key, ref_user(l->user), "g"));
    else
        channel_end(l);
}

void load_channel(struct gateway *g, uint64_t id, load_channel_fn fn, void *ctx)
{
    load_channel_for(g, id, 0, fn, ctx);
}

void load_channel_for(struct gateway *g, uint64_t id, uint64_t user, load_channel_fn fn, void *ctx)
{
    struct load *l = load_new(g, ctx);
    l->on_channel = fn;
    l->channel = id;
    l->user = user;
    record_load(g->svc.store, ref_place(id), on_channel, load_part(l, id, 0));
}

// --- the world ---

static uint32_t count_names(const struct load *l)
{
    const struct world *w = &l->world;
    uint32_t n = 1 + w->n_relations + l->n_members;
    for (uint32_t i = 0; i < w->n_channels; i++)
        n += w->channels[i].channel.recipients.n;
    for (uint32_t i = 0; i < w->n_guilds; i++)
        n += w->guilds[i].n_members;
    return n;
}

static uint32_t name_members(uint64_t *v, uint32_t n, const struct member *members)
{
    for (uint32_t i = 0; i < n; i++)
        v[i] = members[i].user;
    return n;
}

void load_named_users(struct load *l)
{
    const struct world *w = &l->world;
    uint32_t n = 0;
    uint64_t *v = arena_take(&l->arena, count_names(l) * sizeof *v);
    if (l->user)
        v[n++] = l->user;
    for (uint32_t i = 0; i < w->n_relations; i++)
        v[n++] = w->relations[i].target;
    for (uint32_t i = 0; i < w->n_channels; i++)
        for (uint32_t k = 0; k < w->channels[i].channel.recipients.n; k++)
            v[n++] = w->channels[i].channel.recipients.v[k];
    for (uint32_t i = 0; i < w->n_guilds; i++)
        n += name_members(v + n, w->guilds[i].n_members, w->guilds[i].members);
    n += name_members(v + n, l->n_members, l->members);
    users_begin(l, (struct ids){sort_ids(v, n), v});
    users_more(l);
}

// Leaves out what was not there, and goes on to the users.
static void places_end(struct load *l)
{
    struct world *w = &l->world;
    uint32_t n = 0;
    if (l->err != OK) {
        load_end(l);
        return;
    }
    for (uint32_t i = 0; i < w->n_channels; i++)
        if (l->channels[i].channel.id)
            l->channels[n++] = l->channels[i];
    w->n_channels = n;
    n = 0;
    for (uint32_t i = 0; i < w->n_guilds; i++)
        if (l->guilds[i].guild.id)
            l->guilds[n++] = l->guilds[i];
    w->n_guilds = n;
    w->channels = l->channels;
    w->guilds = l->guilds;
    load_named_users(l);
}

static void on_world_channel(void *ctx, const struct reply *r)
{
    const struct part *p = ctx;
    struct load *l = p->l;
    struct loaded_channel c;
    if (load_took(l, r) && read_channel(l, r, p->id, &c) && ids_have(c.channel.recipients, l->user))
        l->channels[p->at] = c;
    if (l->pending == 0)
        places_end(l);
}

static void on_world_guild(void *ctx, const struct reply *r)
{
    const struct part *p = ctx;
    struct load *l = p->l;
    if (load_took(l, r) && !load_guild_take(l, r, p->id, &l->guilds[p->at]))
        l->guilds[p->at].guild.id = 0;
    if (l->pending == 0)
        places_end(l);
}

static int relation_order(const void *x, const void *y)
{
    const struct relation *a = x, *b = y;
    return (a->target > b->target) - (a->target < b->target);
}

static void read_relations(struct load *l, const struct reply *hash)
{
    struct relation *v = arena_take(&l->arena, (reply_n(hash) / 2 + 1) * sizeof *v);
    uint32_t n = 0;
    for (size_t i = 0; i + 1 < reply_n(hash); i += 2) {
        v[n] = (struct relation){number(reply_at(hash, i)), number(reply_at(hash, i + 1))};
        if (v[n].target && v[n].type)
            n++;
    }
    qsort(v, n, sizeof *v, relation_order);
    l->world.relations = v;
    l->world.n_relations = n;
}

static int read_state_order(const void *x, const void *y)
{
    const struct read_state *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static bool wanted(struct load *l, uint64_t place, bool guild)
{
    return !l->on_ref || l->on_ref(l->ctx, ref_place(place), guild, l->world.user.bot);
}

static void read_places(struct load *l, struct ids channels, struct ids guilds)
{
    l->channels = arena_take(&l->arena, (channels.n + 1) * sizeof *l->channels);
    l->guilds = arena_take(&l->arena, (guilds.n + 1) * sizeof *l->guilds);
    l->world.n_channels = channels.n;
    l->world.n_guilds = guilds.n;
    for (uint32_t i = 0; i < channels.n; i++) {
        if (!wanted(l, channels.v[i], false))
            continue;
        record_load(l->g->svc.store, ref_place(channels.v[i]), on_world_channel, load_part(l, channels.v[i], i));
    }
    for (uint32_t i = 0; i < guilds.n; i++) {
        if (!wanted(l, guilds.v[i], true))
            continue;
        load_guild_ask(l, guilds.v[i], l->parts & LOAD_FRAMES, on_world_guild, load_part(l, guilds.v[i], i));
    }
    if (l->pending == 0)
        places_end(l);
}

// {s, ch, rel, rs, g} of the user.
static void on_world_user(void *ctx, const struct reply *r)
{
    const struct part *p = ctx;
    struct load *l = p->l;
    const struct reply *hash = reply_at(r, 0), *field = NULL;
    const struct user *u = NULL;
    if (load_took(l, r) && (field = reply_field(hash, "user")) != NULL)
        u = load_row(l, &schema_user, field, l->user);
    if (l->err == OK && (!u || u->id != l->user))
        l->err = ERR_MISSING;
    if (l->err != OK) {
        load_end(l);
        return;
    }
    struct read_state *states;
    l->world.version = record_version(hash);
    l->world.user = *u;
    read_relations(l, reply_at(r, 2));
    l->world.n_read_states = load_rows(l, &schema_read_state, reply_at(r, 3), &states);
    qsort(states, l->world.n_read_states, sizeof *states, read_state_order);
    l->world.read_states = states;
    l->world.sessions = presences_take(l->g, &l->arena, reply_at(r, 5));
    static const struct ids none = {0};
    struct ids channels = l->parts & LOAD_PRIVATE ? hash_ids(l, reply_at(r, 1)) : none;
    struct ids guilds = l->parts & (LOAD_GUILDS | LOAD_FRAMES) ? hash_ids(l, reply_at(r, 4)) : none;
    read_places(l, channels, guilds);
}

static void world_begin(struct load *l)
{
    static const char *const suffixes[] = {"s", "ch", "rel", "rs", "g", "on"};
    struct bytes keys[countof(suffixes)];
    for (uint32_t i = 0; i < countof(suffixes); i++)
        keys[i] = load_key(l, ref_user(l->user), suffixes[i]);
    if (l->on_ref)
        (void)l->on_ref(l->ctx, ref_user(l->user), false, false);
    load_script(l, BYTES(READ_HASHES), countof(keys), keys, 0, NULL, on_world_user, load_part(l, l->user, 0));
}

void load_world(struct gateway *g, uint64_t user, unsigned parts, load_ref_fn on_ref, load_world_fn fn, void *ctx)
{
    struct load *l = load_new(g, ctx);
    l->begin = world_begin;
    l->on_world = fn;
    l->on_ref = on_ref;
    l->user = user;
    l->parts = parts;
    load_queue(l);
}

// --- the queue ---

static void loads_next(struct gateway *g)
{
    struct loads *q = g->loads;
    while (q->head && q->running < g->cfg.loads_max) {
        struct load *l = q->head;
        q->head = l->next;
        if (!q->head)
            q->tail = &q->head;
        q->running++;
        l->begin(l);
    }
}

void load_queue(struct load *l)
{
    *l->g->loads->tail = l;
    l->g->loads->tail = &l->next;
    loads_next(l->g);
}

// --- life ---

void loads_start(struct gateway *g)
{
    g->loads = mem_alloc(sizeof *g->loads);
    g->loads->tail = &g->loads->head;
}

bool loads_idle(const struct gateway *g)
{
    return g->loads->running == 0;
}

// All that was under way has ended with ERR_IO when Redis was let go, and drew the queue after it.
void loads_free(struct gateway *g)
{
    CHECK(g->loads->running == 0 && !g->loads->head);
    mem_free(g->loads);
    g->loads = NULL;
}
