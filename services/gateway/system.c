// system: what concerns every gateway at once: which tokens were revoked (record REF_SYSTEM) and which voice regions
// there are (asked of the region allocator).
#include "conns.h"
#include "token.h"

#include <jansson.h>
#include <string.h>

#define REGIONS_EVERY_MS 30000u
#define REGIONS_RETRY_MS 500u
#define REGIONS_ANSWER_MS 3000u
#define REGIONS_MAX 16u // as many as a voice state may name
#define REGION_MAX 64u

struct system {
    struct gateway *g;
    struct table revoked; // user → unix ms before which his tokens are void, as a pointer
    bool revoked_known;
    struct arena regions_arena;
    struct texts regions;
    bool regions_known, asking;
    struct timer regions_timer;
};

// --- revoked tokens ---

static uint64_t revoked_before(const struct system *s, uint64_t user)
{
    return (uint64_t)(uintptr_t)table_get(&s->revoked, user);
}

static void revoke(struct system *s, uint64_t user, uint64_t before_ms)
{
    struct keys keys = {0};
    if (before_ms <= revoked_before(s, user))
        return;
    table_put(&s->revoked, user, (void *)(uintptr_t)before_ms);
    subs_sessions_of(fanout_subs(s->g), user, &keys);
    for (uint32_t i = 0; i < keys.n; i++) {
        struct live *l = live_get(s->g, keys.v[i]);
        if (l)
            live_step(l, &(struct session_in){.kind = SESSION_IN_REVOKED, .before_ms = before_ms});
    }
    keys_fini(&keys);
}

static void on_revoked(void *ctx, const struct reply *r)
{
    struct system *s = ctx;
    if (!reply_ok(r))
        return; // Redis is away; when it is there again everything is read anew
    for (size_t i = 0; i + 1 < reply_n(r); i += 2) {
        uint64_t user, before_ms;
        if (bytes_u64(reply_text(reply_at(r, i)), &user) == OK &&
            bytes_u64(reply_text(reply_at(r, i + 1)), &before_ms) == OK)
            revoke(s, user, before_ms);
    }
    s->revoked_known = true;
}

void system_recover(struct gateway *g)
{
    char key[RECORD_KEY_MAX];
    store_cmd(g->svc.store, NULL, NULL, "SADD %s %s", record_key(key, REF_SYSTEM, "gw"), g->svc.instance);
    store_cmd(g->svc.store, on_revoked, g->system, "HGETALL %s", record_key(key, REF_SYSTEM, "rv"));
}

struct revoking {
    struct system *s;
    uint64_t user;
};

static void on_revoked_one(void *ctx, const struct reply *r)
{
    struct revoking w = *(struct revoking *)ctx;
    uint64_t before_ms;
    mem_free(ctx);
    if (reply_kind(r) == REPLY_TEXT && bytes_u64(reply_text(r), &before_ms) == OK)
        revoke(w.s, w.user, before_ms);
}

void system_event(struct gateway *g, const struct place_event *e)
{
    char key[RECORD_KEY_MAX];
    for (uint32_t i = 0; i < e->events.n; i++) {
        if (e->events.v[i].place_op != 3)
            continue;
        struct revoking *w = mem_alloc(sizeof *w);
        *w = (struct revoking){g->system, e->events.v[i].user};
        store_cmd(g->svc.store, on_revoked_one, w, "HGET %s %llu", record_key(key, REF_SYSTEM, "rv"),
                  (unsigned long long)w->user);
    }
}

static struct bytes without_prefix(struct bytes text, struct bytes prefix)
{
    if (text.n < prefix.n || memcmp(text.p, prefix.p, prefix.n) != 0)
        return text;
    return (struct bytes){text.p + prefix.n, text.n - prefix.n};
}

int system_auth(const struct gateway *g, struct bytes authorization, uint64_t *user, uint64_t *issued_ms)
{
    struct bytes token = without_prefix(authorization, BYTES("Bot "));
    uint64_t who, issued;
    if (token.n == authorization.n)
        token = without_prefix(authorization, BYTES("Bearer "));
    if (token_check(token, bytes_of(g->cfg.token_secret), &who, &issued) != OK)
        return ERR_DENIED;
    if (who & REF_USER_BIT || issued < revoked_before(g->system, who) ||
        token_expired(issued, g->cfg.token_ms, loop_unix_ms(g->svc.loop)))
        return ERR_DENIED;
    *user = who;
    *issued_ms = issued;
    return OK;
}

bool system_revoked(const struct gateway *g, uint64_t user, uint64_t issued_ms)
{
    return issued_ms < revoked_before(g->system, user);
}

int gateway_auth(const struct gateway *g, struct bytes authorization, uint64_t *user)
{
    uint64_t issued;
    return system_auth(g, authorization, user, &issued);
}

// --- voice regions ---

static void again_in(struct system *s, uint64_t ms)
{
    loop_arm(s->g->svc.loop, &s->regions_timer, ms);
}

// [{"id":…}, …], best first.
static bool take_regions(struct system *s, struct bytes text)
{
    json_t *list = text.n ? json_loadb(text.p, text.n, 0, NULL) : NULL, *item;
    size_t i;
    uint32_t n = 0;
    bool ok = json_is_array(list);
    if (ok) {
        arena_reset(&s->regions_arena);
        struct bytes *v = arena_take(&s->regions_arena, REGIONS_MAX * sizeof *v);
        json_array_foreach(list, i, item)
        {
            const json_t *id = json_object_get(item, "id");
            struct bytes name = {json_string_value(id), json_string_length(id)};
            if (n < REGIONS_MAX && name.n > 0 && name.n <= REGION_MAX)
                v[n++] = arena_copy(&s->regions_arena, name);
        }
        s->regions = (struct texts){n, v};
    }
    json_decref(list);
    return ok;
}

static void on_regions(void *ctx, const struct answer *a)
{
    struct system *s = ctx;
    s->asking = false;
    bool ok = a && a->err == 0 && take_regions(s, a->body);
    s->regions_known |= ok;
    if (!s->g->conns->stopping)
        again_in(s, ok ? REGIONS_EVERY_MS : REGIONS_RETRY_MS);
}

static void ask_regions(struct system *s)
{
    struct bus *b = s->g->svc.bus;
    struct regions_list list = {0};
    const struct msg m = {&schema_regions_list, &list};
    if (s->asking)
        return;
    if (!bus_has(b, BUS_REGION_ALLOCATOR)) {
        again_in(s, REGIONS_RETRY_MS);
        return;
    }
    s->asking = true;
    bus_command(b, BUS_REGION_ALLOCATOR, 0, 0, &m, REGIONS_ANSWER_MS, on_regions, s);
}

static void on_regions_timer(struct timer *t, uint64_t now)
{
    (void)now;
    ask_regions(container_of(t, struct system, regions_timer));
}

void system_peer(struct gateway *g, enum bus_kind kind, bool up)
{
    if (kind == BUS_REGION_ALLOCATOR && up && !g->conns->stopping)
        ask_regions(g->system);
}

struct texts system_regions(const struct gateway *g)
{
    return g->system->regions;
}

// --- life ---

const char *system_not_ready(const struct gateway *g)
{
    if (!g->system->revoked_known)
        return "the revoked tokens have not been read yet";
    if (!g->system->regions_known && bus_has(g->svc.bus, BUS_REGION_ALLOCATOR))
        return "the voice regions have not been told yet";
    return NULL;
}

void system_start(struct gateway *g)
{
    g->system = mem_alloc(sizeof *g->system);
    g->system->g = g;
    g->system->regions_timer.fire = on_regions_timer;
    again_in(g->system, REGIONS_RETRY_MS);
}

void system_stop(struct gateway *g)
{
    loop_cancel(g->svc.loop, &g->system->regions_timer);
}

void system_free(struct gateway *g)
{
    table_fini(&g->system->revoked);
    arena_fini(&g->system->regions_arena);
    mem_free(g->system);
    g->system = NULL;
}
