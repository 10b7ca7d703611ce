// asks: see asks.h.
#include "asks.h"

struct asks {
    struct arena *arena;
    uint32_t pending;
    const struct answer **answers;
    asks_fn fn;
    void *ctx;
};
struct ask {
    struct asks *all;
    uint32_t at;
};

static void on_answer(void *ctx, const struct answer *v)
{
    const struct ask *ask = ctx;
    struct asks *all = ask->all;
    if (v) {
        struct answer *copy = arena_take(all->arena, sizeof *copy);
        *copy = (struct answer){v->id, v->err, arena_copy(all->arena, v->body)};
        all->answers[ask->at] = copy;
    }
    if (--all->pending == 0)
        all->fn(all->ctx, all->answers); // the arena may be gone now
}

static struct asks *asks_new(struct arena *a, uint32_t n, asks_fn fn, void *ctx)
{
    struct asks *all = arena_take(a, sizeof *all);
    *all = (struct asks){.arena = a, .pending = n, .fn = fn, .ctx = ctx};
    all->answers = arena_take(a, n * sizeof *all->answers);
    return all;
}

void asks_send(struct gateway *g, struct arena *a, enum bus_kind to, uint64_t key, uint32_t n, const struct msg *m,
               uint64_t timeout_ms, asks_fn fn, void *ctx)
{
    struct asks *all = asks_new(a, n, fn, ctx);
    struct ask *each = arena_take(a, n * sizeof *each);
    CHECK(n > 0);
    if (g->svc.phase == SERVICE_CLOSES) {
        fn(ctx, all->answers);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        each[i] = (struct ask){all, i};
        bus_command(g->svc.bus, to, key, 0, &m[i], timeout_ms, on_answer, &each[i]);
    }
}

void asks_send_each(struct gateway *g, struct arena *a, enum bus_kind to, struct texts instances, const struct msg *m,
                    uint64_t timeout_ms, asks_fn fn, void *ctx)
{
    struct asks *all = asks_new(a, instances.n, fn, ctx);
    struct ask *each = arena_take(a, instances.n * sizeof *each);
    if (g->svc.phase == SERVICE_CLOSES || instances.n == 0) {
        fn(ctx, all->answers);
        return;
    }
    for (uint32_t i = 0; i < instances.n; i++) {
        each[i] = (struct ask){all, i};
        bus_command_at(g->svc.bus, to, arena_text(a, instances.v[i]), 0, m, timeout_ms, on_answer, &each[i]);
    }
}
