// rates: see rates.h.
#include "rates.h"

void rates_init(struct rates *r, uint64_t limit, uint32_t per_ms, uint64_t now)
{
    *r = (struct rates){.limit = (uint32_t)limit, .per_ms = per_ms, .swept_at = now};
}

void rates_fini(struct rates *r)
{
    struct window *w;
    for (uint32_t i = 0; (w = table_next(&r->users, &i, NULL)) != NULL;)
        mem_free(w);
    table_fini(&r->users);
}

// A window that is over says the same as none.
static void sweep(struct rates *r, uint64_t now)
{
    struct window *w;
    uint64_t user;
    if (now - r->swept_at < r->per_ms)
        return;
    r->swept_at = now;
    for (uint32_t i = 0; (w = table_next(&r->users, &i, &user)) != NULL;)
        if (now - w->began_at >= w->per_ms)
            mem_free(table_remove(&r->users, user));
}

bool rates_take(struct rates *r, uint64_t user, uint64_t now, uint64_t *wait_ms)
{
    *wait_ms = 0;
    if (r->limit == 0)
        return true;
    sweep(r, now);
    struct window *w = table_get(&r->users, user);
    if (!w) {
        w = mem_alloc(sizeof *w);
        window_init(w, r->limit, r->per_ms, now);
        table_put(&r->users, user, w);
    }
    if (window_take(w, now))
        return true;
    *wait_ms = w->began_at + w->per_ms - now;
    return false;
}
