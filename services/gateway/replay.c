// replay: see replay.h.
#include "replay.h"

#include <string.h>

#define RING_MIN 8u

void replay_init(struct replay *r, uint32_t events_max, uint64_t bytes_max, uint64_t next)
{
    *r = (struct replay){.events_max = events_max, .bytes_max = bytes_max, .next = next};
}

static void drop_oldest(struct replay *r)
{
    struct dispatch *d = r->ring[r->at];
    r->at = (r->at + 1) & (r->cap - 1);
    r->n--;
    r->bytes -= d->n;
    dispatch_drop(d);
}

static void grow(struct replay *r)
{
    uint32_t cap = r->cap ? r->cap * 2 : RING_MIN;
    struct dispatch **ring = mem_grow(NULL, cap, sizeof *ring);
    for (uint32_t i = 0; i < r->n; i++)
        ring[i] = r->ring[(r->at + i) & (r->cap - 1)];
    mem_free(r->ring);
    r->ring = ring;
    r->cap = cap;
    r->at = 0;
}

void replay_push(struct replay *r, struct dispatch *d)
{
    r->next++;
    while (r->n > 0 && (r->n >= r->events_max || r->bytes + d->n > r->bytes_max))
        drop_oldest(r);
    if (r->events_max == 0 || d->n > r->bytes_max)
        return; // nothing is held now, so no gap is hidden
    if (r->n == r->cap)
        grow(r);
    r->ring[(r->at + r->n) & (r->cap - 1)] = dispatch_keep(d);
    r->n++;
    r->bytes += d->n;
}

void replay_drop(struct replay *r, uint64_t upto)
{
    while (r->n > 0 && r->next - r->n <= upto)
        drop_oldest(r);
}

bool replay_can(const struct replay *r, uint64_t after)
{
    return after < r->next && after + 1 >= r->next - r->n;
}

struct dispatch *replay_get(const struct replay *r, uint64_t number)
{
    CHECK_ID(number < r->next && number >= r->next - r->n, number);
    return r->ring[(r->at + (uint32_t)(number - (r->next - r->n))) & (r->cap - 1)];
}

void replay_fini(struct replay *r)
{
    while (r->n > 0)
        drop_oldest(r);
    mem_free(r->ring);
    r->ring = NULL;
    r->cap = 0;
}
