// roster_io: see roster_io.h.
#include "roster_io.h"
#include "presence_io.h"
#include "view.h"

struct roster_wait {
    struct roster_wait *next;
    uint64_t guild;
    roster_fn fn;
    void *ctx;
};

// Who wants that guild from now on has it read anew.
static void retire(struct roster *r)
{
    if (table_get(&r->g->conns->rosters.by_guild, r->guild) == r)
        table_remove(&r->g->conns->rosters.by_guild, r->guild);
}

static void next_in_line(struct gateway *g)
{
    struct rosters *all = &g->conns->rosters;
    struct roster_wait w, *first = all->head;
    if (!first || g->conns->stopping)
        return;
    all->head = first->next;
    if (!all->head)
        all->tail = &all->head;
    w = *first;
    mem_free(first);
    roster_get(g, w.guild, w.fn, w.ctx);
}

static void roster_free(struct roster *r)
{
    struct gateway *g = r->g;
    retire(r);
    loop_cancel(g->svc.loop, &r->old);
    arena_fini(&r->arena);
    mem_free(r);
    g->conns->rosters.n--;
    next_in_line(g);
}

static void on_old(struct timer *t, uint64_t now)
{
    struct roster *r = container_of(t, struct roster, old);
    (void)now;
    retire(r);
    if (r->holds == 0)
        roster_free(r);
}

void roster_drop(struct roster *r)
{
    CHECK_ID(r->holds > 0, r->guild);
    if (--r->holds == 0 && !timer_armed(&r->old))
        roster_free(r);
}

static void finished(struct roster *r, bool ready)
{
    struct roster_wait *w = r->waiting, *next;
    r->ready = ready;
    r->waiting = NULL;
    r->holds++; // while they are told
    if (ready)
        loop_arm(r->g->svc.loop, &r->old, ROSTER_MS);
    else
        retire(r);
    for (; w; w = next) {
        next = w->next;
        r->holds += ready;
        w->fn(w->ctx, ready ? r : NULL);
        mem_free(w);
    }
    roster_drop(r);
}

static const void *keep(struct arena *a, const struct schema *s, const void *v)
{
    void *copy = arena_take(a, s->size);
    return schema_unpack(a, s, schema_packed(a, s, v), copy) == OK ? copy : NULL;
}

static void add(struct roster *r, uint32_t n, const struct member *members, struct user_set users)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct user *u = view_find_user(users, members[i].user);
        struct list_person *p = &r->people[r->n];
        p->member = keep(&r->arena, &schema_member, &members[i]);
        p->user = u ? keep(&r->arena, &schema_user, u) : NULL;
        r->n += p->member != NULL;
    }
}

static void on_presences(void *ctx, struct presence_set set)
{
    struct roster *r = ctx;
    for (uint32_t i = 0; i < r->n; i++)
        r->people[i].presence = presence_find(set, r->people[i].member->user);
    finished(r, true);
}

static void read_presences(struct roster *r)
{
    uint64_t *ids = arena_take(&r->arena, (r->n + 1) * sizeof *ids);
    for (uint32_t i = 0; i < r->n; i++)
        ids[i] = r->people[i].member->user;
    if (r->n > 0)
        presences_load(r->g, &r->arena, (struct ids){r->n, ids}, on_presences, r);
    else
        finished(r, true);
}

static void on_here(void *ctx, int err, uint32_t n, const struct member *members, struct user_set users)
{
    struct roster *r = ctx;
    if (err) {
        finished(r, false);
        return;
    }
    add(r, n, members, users);
    read_presences(r);
}

// Those who listen to the guild here and have not been read yet. Ids are read in order, so who comes behind the last
// one has not.
static struct ids others_here(struct roster *r)
{
    const struct sub *sub = subs_get(fanout_subs(r->g), ref_place(r->guild));
    uint64_t *v = arena_take(&r->arena, ROSTER_MAX * sizeof *v), last = r->people[r->n - 1].member->user;
    uint32_t n = 0;
    for (uint32_t i = 0; sub && i < sub->n && n < ROSTER_MAX; i++)
        if (sub->v[i]->holder->user > last)
            v[n++] = sub->v[i]->holder->user;
    return (struct ids){n, v};
}

static void on_first(void *ctx, int err, uint32_t n, const struct member *members, struct user_set users)
{
    struct roster *r = ctx;
    if (err) {
        finished(r, false);
        return;
    }
    add(r, n, members, users);
    struct ids others = r->n == ROSTER_MAX ? others_here(r) : (struct ids){0};
    if (others.n > 0)
        load_members(r->g, r->guild, others, on_here, r);
    else
        read_presences(r);
}

static struct roster_wait *wait_new(uint64_t guild, roster_fn fn, void *ctx)
{
    struct roster_wait *w = mem_alloc(sizeof *w);
    *w = (struct roster_wait){.guild = guild, .fn = fn, .ctx = ctx};
    return w;
}

static void wait_for(struct roster *r, roster_fn fn, void *ctx)
{
    struct roster_wait *w = wait_new(r->guild, fn, ctx);
    w->next = r->waiting;
    r->waiting = w;
}

// One that is only kept for who might come gives way.
static bool make_room(struct gateway *g)
{
    struct rosters *all = &g->conns->rosters;
    struct roster *r;
    for (uint32_t i = 0; all->n >= ROSTERS_MAX && (r = table_next(&all->by_guild, &i, NULL)) != NULL;) {
        if (r->ready && r->holds == 0) {
            roster_free(r);
            break;
        }
    }
    return all->n < ROSTERS_MAX;
}

void roster_get(struct gateway *g, uint64_t guild, roster_fn fn, void *ctx)
{
    struct rosters *all = &g->conns->rosters;
    struct roster *r = table_get(&all->by_guild, guild);
    if (r && r->ready) {
        r->holds++;
        fn(ctx, r);
        return;
    }
    if (r) {
        wait_for(r, fn, ctx);
        return;
    }
    if (!make_room(g)) {
        struct roster_wait *w = wait_new(guild, fn, ctx);
        *all->tail = w;
        all->tail = &w->next;
        return;
    }
    r = mem_alloc(sizeof *r);
    r->g = g;
    r->guild = guild;
    r->old.fire = on_old;
    r->people = arena_take(&r->arena, 2 * ROSTER_MAX * sizeof *r->people);
    table_put(&all->by_guild, guild, r);
    all->n++;
    wait_for(r, fn, ctx);
    load_member_page(g, guild, 0, ROSTER_MAX, on_first, r);
}

void rosters_start(struct gateway *g)
{
    g->conns->rosters.tail = &g->conns->rosters.head;
}

// Who still waits is told that there is none.
void rosters_free(struct gateway *g)
{
    struct rosters *all = &g->conns->rosters;
    struct roster *r;
    for (struct roster_wait *w = all->head, *next; w; w = next) {
        next = w->next;
        w->fn(w->ctx, NULL);
        mem_free(w);
    }
    all->head = NULL;
    for (uint32_t i = 0; (r = table_next(&all->by_guild, &i, NULL)) != NULL;)
        roster_free(r);
    CHECK(all->n == 0);
    table_fini(&all->by_guild);
}
