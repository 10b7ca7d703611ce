// ledger: see ledger.h.
#include "ledger.h"

#include <string.h>

void ledger_init(struct ledger *l, uint64_t hold, uint64_t next, bool begun)
{
    *l = (struct ledger){.hold = hold, .begun = begun, .due = true};
    replay_init(&l->pending, UINT32_MAX, UINT64_MAX, next);
}

void ledger_fini(struct ledger *l)
{
    replay_fini(&l->pending);
    keys_fini(&l->touched);
}

void ledger_add(struct ledger *l, struct dispatch *d)
{
    replay_push(&l->pending, d);
    l->due = true;
}

void ledger_touch(struct ledger *l, ref r)
{
    l->due = true;
    for (uint32_t i = l->writing ? l->n_touched : 0; i < l->touched.n; i++)
        if (l->touched.v[i] == r)
            return;
    keys_add(&l->touched, r);
}

void ledger_want(struct ledger *l)
{
    l->due = true;
}

void ledger_ask(struct ledger *l)
{
    l->due = l->asked = true;
}

uint64_t ledger_first(const struct ledger *l)
{
    return l->pending.next - l->pending.n;
}

bool ledger_begin(struct ledger *l)
{
    if (!l->due || l->writing)
        return false;
    l->due = false;
    l->writing = true;
    l->answering = l->asked;
    l->asked = false;
    l->turn++;
    l->last = l->pending.next - 1;
    l->n_touched = l->touched.n;
    return true;
}

void ledger_failed(struct ledger *l)
{
    CHECK_ID(l->writing, l->hold);
    l->writing = false;
    l->due = true;
    l->asked = l->asked || l->answering;
}

bool ledger_written(struct ledger *l)
{
    CHECK_ID(l->writing, l->hold);
    l->writing = false;
    l->begun = true;
    replay_drop(&l->pending, l->last);
    l->touched.n -= l->n_touched;
    if (l->touched.n)
        memmove(l->touched.v, l->touched.v + l->n_touched, l->touched.n * sizeof *l->touched.v);
    return l->answering;
}
