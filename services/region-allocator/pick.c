// pick: two random choices inside the first region that has room. Pure.
#include "pick.h"

static bool fits(const struct node *n, struct bytes region, uint64_t now)
{
    return (!region.n || bytes_is(region, n->region)) && node_room(n, now) > 0;
}

// The i-th of those that fit.
static const struct node *nth(const struct fleet *f, struct bytes region, uint64_t now, uint64_t i)
{
    for (uint32_t k = 0; k < f->n; k++)
        if (fits(&f->v[k], region, now) && i-- == 0)
            return &f->v[k];
    CHECK_ID(false, i); // the index is below the count
    return NULL;
}

// Shares of capacity, compared without dividing: both factors are at most a few times NODE_UNITS_MAX.
static bool fuller(const struct node *a, const struct node *b, uint64_t now)
{
    return node_expected(a, now) * b->capacity > node_expected(b, now) * a->capacity;
}

static bool pick_in(const struct fleet *f, struct bytes region, uint64_t now, uint64_t random, const struct node **out)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < f->n; i++)
        n += fits(&f->v[i], region, now);
    if (!n)
        return false;
    uint64_t first = (random & UINT32_MAX) % n;
    *out = nth(f, region, now, first);
    if (n > 1) {
        uint64_t second = (random >> 32) % (n - 1); // of the others
        const struct node *other = nth(f, region, now, second < first ? second : second + 1);
        if (fuller(*out, other, now))
            *out = other;
    }
    return true;
}

enum picked pick(const struct fleet *f, const struct pick_request *r, uint64_t now, uint64_t random,
                 const struct node **out)
{
    if (r->region.n)
        return pick_in(f, r->region, now, random, out) ? PICK_NODE : PICK_FULL;
    for (uint32_t i = 0; i < r->preferred.n; i++)
        if (r->preferred.v[i].n && pick_in(f, r->preferred.v[i], now, random, out))
            return PICK_NODE;
    if (r->fallback.n && pick_in(f, r->fallback, now, random, out))
        return PICK_NODE;
    return pick_in(f, BYTES_NONE, now, random, out) ? PICK_NODE : PICK_FULL;
}
