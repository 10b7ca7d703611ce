// ledger: see ledger.h.
#include "ledger.h"

void ledger_init(struct ledger *l, uint64_t hold, uint64_t next, bool begun)
{
    *l = (struct ledger){.hold = hold, .begun = begun, .due = true};
    backlog_init(&l->pending, next);
}

void ledger_fini(struct ledger *l)
{
    backlog_fini(&l->pending);
    keys_fini(&l->touched);
}

void ledger_add(struct ledger *l, struct dispatch *d)
{
    backlog_push(&l->pending, d);
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
    if (!l->due || l->writing || l->aside)
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
    backlog_drop(&l->pending, l->last);
    keys_shift(&l->touched, l->n_touched);
    return l->answering;
}

void ledger_set_aside(struct ledger *l)
{
    l->aside = true;
    backlog_drop(&l->pending, UINT64_MAX);
    keys_fini(&l->touched);
    l->n_touched = 0;
}

uint64_t ledger_allowance(uint64_t each, uint64_t all, uint64_t others, uint64_t wants, uint32_t sessions)
{
    uint64_t there = others + (wants < each ? wants : each);
    uint64_t share = all / 2 / (sessions ? sessions : 1);
    return there < all / 2 || share > each ? each : share;
}
