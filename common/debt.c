// debt: see debt.h.
#include "debt.h"

#include <stdlib.h>

static int largest_first(const void *x, const void *y)
{
    const struct debt *a = x, *b = y;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return (a->id > b->id) - (a->id < b->id);
}

uint32_t debts_over(struct debt *v, uint32_t n, uint64_t keep)
{
    uint64_t all = 0;
    uint32_t gone = 0;
    for (uint32_t i = 0; i < n; i++)
        all += v[i].bytes;
    if (all <= keep)
        return 0;
    qsort(v, n, sizeof *v, largest_first);
    while (gone < n && all > keep)
        all -= v[gone++].bytes;
    return gone;
}
