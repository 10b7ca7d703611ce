// backlog: see backlog.h.
#include "backlog.h"

#define RING_MIN 8u
#define RING_KEPT 64u // an empty ring that is larger is given back

void backlog_init(struct backlog *b, uint64_t next)
{
    *b = (struct backlog){.next = next};
}

static void drop_oldest(struct backlog *b)
{
    struct dispatch *d = b->ring[b->at];
    b->at = (b->at + 1) & (b->cap - 1);
    b->n--;
    b->bytes -= d->n;
    dispatch_drop(d);
}

static void grow(struct backlog *b)
{
    uint32_t cap = b->cap ? b->cap * 2 : RING_MIN;
    struct dispatch **ring = mem_grow(NULL, cap, sizeof *ring);
    for (uint32_t i = 0; i < b->n; i++)
        ring[i] = b->ring[(b->at + i) & (b->cap - 1)];
    mem_free(b->ring);
    b->ring = ring;
    b->cap = cap;
    b->at = 0;
}

static void free_ring(struct backlog *b)
{
    mem_free(b->ring);
    b->ring = NULL;
    b->cap = b->at = 0;
}

void backlog_push(struct backlog *b, struct dispatch *d)
{
    b->next++;
    if (b->n == b->cap)
        grow(b);
    b->ring[(b->at + b->n) & (b->cap - 1)] = dispatch_keep(d);
    b->n++;
    b->bytes += d->n;
}

void backlog_drop(struct backlog *b, uint64_t upto)
{
    while (b->n > 0 && b->next - b->n <= upto)
        drop_oldest(b);
    if (b->n == 0 && b->cap > RING_KEPT)
        free_ring(b);
}

struct dispatch *backlog_get(const struct backlog *b, uint64_t number)
{
    CHECK_ID(number < b->next && number >= b->next - b->n, number);
    return b->ring[(b->at + (uint32_t)(number - (b->next - b->n))) & (b->cap - 1)];
}

void backlog_fini(struct backlog *b)
{
    while (b->n > 0)
        drop_oldest(b);
    free_ring(b);
}
