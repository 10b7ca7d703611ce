// presence_io: see presence_io.h. What is written here, and what others are told, is in presence_tell.c.
#include "presence_io.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 256u
#define SESSIONS_MAX 64u // of one user, that are looked at

struct reading {
    struct gateway *g;
    struct arena *arena;
    struct arena scratch; // of one user's sessions
    struct ids ids;       // ascending
    uint32_t asked, pending, n;
    struct presence *found;
    presences_fn fn;
    void *ctx;
};
struct one {
    struct reading *r;
    uint64_t user;
};

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// A session whose gateway is gone may be resumed; until then it is not there.
static bool alive(const struct gateway *g, const struct online *row)
{
    return row->until > loop_unix_ms(g->svc.loop) && bus_lives(g->svc.bus, row->gateway, row->born);
}

struct presence_sessions presences_take(const struct gateway *g, struct arena *a, const struct reply *hash)
{
    struct presence_sessions s = {0};
    size_t most = reply_n(hash) / 2 < SESSIONS_MAX ? reply_n(hash) / 2 : SESSIONS_MAX;
    s.names = arena_take(a, (most + 1) * sizeof *s.names);
    s.rows = arena_take(a, (most + 1) * sizeof *s.rows);
    for (size_t i = 0; i + 1 < reply_n(hash) && s.n < most; i += 2) {
        struct bytes text = arena_copy(a, reply_text(reply_at(hash, i + 1)));
        if (UNPACK(a, online, text, &s.rows[s.n]) == OK && alive(g, &s.rows[s.n]))
            s.names[s.n++] = arena_copy(a, reply_text(reply_at(hash, i)));
    }
    return s;
}

static void more(struct reading *r);

static void on_sessions(void *ctx, const struct reply *reply)
{
    const struct one *one = ctx;
    struct reading *r = one->r;
    const struct presence_sessions s = presences_take(r->g, &r->scratch, reply);
    struct presence best;
    r->pending--;
    if (!reply_ok(reply)) // it is away: no more is asked
        r->asked = r->ids.n;
    if (presence_best(one->user, s.rows, s.n, &best)) {
        best.client = arena_copy(r->arena, best.client);
        best.activities = arena_copy(r->arena, best.activities);
        r->found[r->n++] = best; // replies come in the order of the ids
    }
    arena_reset(&r->scratch);
    more(r);
}

static void more(struct reading *r)
{
    char key[RECORD_KEY_MAX];
    while (r->asked < r->ids.n && r->pending < AT_ONCE) {
        struct one *one = arena_take(r->arena, sizeof *one);
        *one = (struct one){r, r->ids.v[r->asked++]};
        r->pending++;
        store_cmd(r->g->svc.store, on_sessions, one, "HGETALL %s", record_key(key, ref_user(one->user), "on"));
    }
    if (r->pending > 0)
        return;
    arena_fini(&r->scratch);
    r->fn(r->ctx, (struct presence_set){r->n, r->found});
    mem_free(r);
}

void presences_load(struct gateway *g, struct arena *a, struct ids ids, presences_fn fn, void *ctx)
{
    CHECK(ids.n > 0);
    struct reading *r = mem_alloc(sizeof *r);
    uint64_t *v = arena_take(a, ids.n * sizeof *v);
    memcpy(v, ids.v, ids.n * sizeof *v);
    qsort(v, ids.n, sizeof *v, ascending);
    *r = (struct reading){.g = g, .arena = a, .ids = {ids.n, v}, .fn = fn, .ctx = ctx};
    r->found = arena_take(a, ids.n * sizeof *r->found);
    more(r);
}
