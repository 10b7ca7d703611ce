// flushes: see flushes.h.
#include "flushes.h"

void flushes_init(struct flushes *q)
{
    q->first = NULL;
    q->tail = &q->first;
}

void flushes_add(struct flushes *q, struct loop_flush *f)
{
    if (f->queued)
        return;
    f->queued = true;
    f->next = NULL;
    *q->tail = f;
    q->tail = &f->next;
}

struct loop_flush *flushes_take(struct flushes *q)
{
    struct loop_flush *f = q->first;
    if (!f)
        return NULL;
    q->first = f->next;
    if (!q->first)
        q->tail = &q->first;
    f->queued = false;
    return f;
}

void flushes_remove(struct flushes *q, struct loop_flush *f)
{
    if (!f->queued)
        return;
    struct loop_flush **at = &q->first;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    if (!f->next)
        q->tail = at;
    f->queued = false;
}
