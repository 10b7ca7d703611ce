// page: see page.h. Index members are ids of 20 digits (message.h), so the order of texts is the order of ids.
#include "page.h"

#include <inttypes.h>

static struct bytes bound(struct arena *a, char kind, uint64_t id)
{
    return arena_printf(a, "%c%020" PRIu64, kind, id);
}

static void add(struct page *p, bool backwards, struct bytes from, uint64_t limit)
{
    if (limit)
        p->parts[p->n++] = (struct page_part){backwards, from, backwards ? BYTES("-") : BYTES("+"), (uint32_t)limit};
}

void page_plan(struct arena *a, const struct message_list *list, struct page *out)
{
    uint64_t limit = list->limit ? list->limit : PAGE_LIMIT_DEFAULT;
    if (limit > PAGE_LIMIT_MAX)
        limit = PAGE_LIMIT_MAX;
    *out = (struct page){0};
    if (list->around) { // the message itself counts to the newer half
        add(out, false, bound(a, '[', list->around), limit - limit / 2);
        add(out, true, bound(a, '(', list->around), limit / 2);
    } else if (list->before) {
        add(out, true, bound(a, '(', list->before), limit);
    } else if (list->after) {
        add(out, false, bound(a, '(', list->after), limit);
    } else {
        add(out, true, BYTES("+"), limit);
    }
}

struct ids page_ids(struct arena *a, const struct page *page, const struct texts *found)
{
    size_t room = 1;
    for (uint32_t i = 0; i < page->n; i++)
        room += found[i].n;
    uint64_t *v = arena_take(a, room * sizeof *v);
    uint32_t n = 0;
    for (uint32_t i = 0; i < page->n; i++) {
        for (uint32_t k = 0; k < found[i].n; k++) {
            uint32_t at = page->parts[i].backwards ? k : found[i].n - 1 - k;
            if (bytes_u64(found[i].v[at], &v[n]) == OK)
                n++;
        }
    }
    return (struct ids){n, v};
}
