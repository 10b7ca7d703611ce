// wheel: a ring of slots, one per tick; a timer lies in the slot of its tick and waits there for its turn of the ring.
// Pure. What is due is taken out first and fired then, so a callback may arm, cancel or free any timer.
#include "wheel.h"
#include <string.h>

static void link_timer(struct timer **head, struct timer *t)
{
    t->next = *head;
    t->prev = head;
    if (t->next)
        t->next->prev = &t->next;
    *head = t;
}

static void unlink_timer(struct timer *t)
{
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->next = NULL;
    t->prev = NULL;
}

void wheel_init(struct wheel *w, uint64_t now)
{
    memset(w, 0, sizeof(*w));
    w->tick = now / WHEEL_TICK_MS;
}

void wheel_arm(struct wheel *w, struct timer *t, uint64_t due_at)
{
    CHECK(t->fire != NULL);
    wheel_cancel(w, t);
    uint64_t tick = due_at / WHEEL_TICK_MS;
    if (tick < w->tick)
        tick = w->tick; // overdue: the next run begins with this slot
    t->due_at = due_at;
    link_timer(&w->slots[tick % WHEEL_SLOTS], t);
    w->n++;
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
    if (!timer_armed(t))
        return;
    CHECK(w->n > 0);
    unlink_timer(t);
    w->n--;
}

static struct timer *merge(struct timer *a, struct timer *b)
{
    struct timer *head = NULL, **tail = &head;
    while (a && b) {
        struct timer **first = a->due_at <= b->due_at ? &a : &b;
        *tail = *first;
        tail = &(*first)->next;
        *first = (*first)->next;
    }
    *tail = a ? a : b;
    return head;
}

// Sorts by due time along `next` alone; equal ones keep their order.
static struct timer *sort(struct timer *list)
{
    if (!list || !list->next)
        return list;
    struct timer *middle = list;
    for (struct timer *end = list->next; end && end->next; end = end->next->next)
        middle = middle->next;
    struct timer *second = middle->next;
    middle->next = NULL;
    return merge(sort(list), sort(second));
}

// Moves what is due from a slot in front of *due. Both lists are last in first, so the order of arming comes out.
static void collect(struct timer *slot, uint64_t now, struct timer **due)
{
    for (struct timer *t = slot, *next; t; t = next) {
        next = t->next;
        if (t->due_at > now)
            continue;
        unlink_timer(t);
        link_timer(due, t);
    }
}

void wheel_run(struct wheel *w, uint64_t now)
{
    uint64_t tick = now / WHEEL_TICK_MS;
    if (tick < w->tick)
        return;
    uint64_t slots = tick - w->tick + 1; // the last one was run in part
    if (slots > WHEEL_SLOTS)
        slots = WHEEL_SLOTS;
    struct timer *due = NULL;
    for (uint64_t i = 0; i < slots; i++)
        collect(w->slots[(w->tick + i) % WHEEL_SLOTS], now, &due);
    w->tick = tick;

    due = sort(due);
    for (struct timer *t = due, **prev = &due; t; prev = &t->next, t = t->next)
        t->prev = prev;
    for (struct timer *t; (t = due) != NULL;) {
        wheel_cancel(w, t);
        if (!w->stopped)
            t->fire(t, now);
    }
}

void wheel_stop(struct wheel *w)
{
    w->stopped = true;
}
