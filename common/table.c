// table: open addressing with linear probing. A removed object leaves a dead slot behind unless its run ends there,
// so nothing else moves and table_next stays right; dead slots go when the table is next laid out anew. That gives back
// what a table had when it was fuller: at a put, or when the last object has gone.
#include "table.h"

#define CAP_MIN 16u

struct table_slot {
    uint64_t key;
    void *value; // NULL: free, DEAD: removed
};
static char dead_mark;
#define DEAD ((void *)&dead_mark)

// Ids are time and worker with zeros at the bottom, and a user's has the top bit set: every bit has to reach the low
// ones.
static uint32_t home(uint64_t key, uint32_t cap)
{
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9u;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(key ^ (key >> 31)) & (cap - 1);
}

static struct table_slot *find(const struct table *t, uint64_t key)
{
    if (!t->n)
        return NULL;
    for (uint32_t i = home(key, t->cap);; i = (i + 1) & (t->cap - 1)) {
        struct table_slot *s = &t->slots[i];
        if (!s->value)
            return NULL;
        if (s->value != DEAD && s->key == key)
            return s;
    }
}

void *table_get(const struct table *t, uint64_t key)
{
    const struct table_slot *s = find(t, key);
    return s ? s->value : NULL;
}

// The key must be absent and there must be room.
static void insert(struct table *t, uint64_t key, void *value)
{
    uint32_t i = home(key, t->cap);
    while (t->slots[i].value && t->slots[i].value != DEAD)
        i = (i + 1) & (t->cap - 1);
    if (t->slots[i].value == DEAD)
        t->dead--;
    t->slots[i] = (struct table_slot){key, value};
    t->n++;
}

// Lays the table out with room for one more, at most half full and without dead slots.
static void rebuild(struct table *t)
{
    struct table old = *t;
    CHECK(old.n < 1u << 30);
    uint32_t cap = CAP_MIN;
    while (cap / 2 < old.n + 1)
        cap *= 2;
    *t = (struct table){.slots = mem_alloc(cap * sizeof(struct table_slot)), .cap = cap};
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.slots[i].value && old.slots[i].value != DEAD)
            insert(t, old.slots[i].key, old.slots[i].value);
    mem_free(old.slots);
}

void table_put(struct table *t, uint64_t key, void *value)
{
    CHECK_ID(value != NULL, key);
    struct table_slot *s = find(t, key);
    if (s) {
        s->value = value;
        return;
    }
    bool roomy = t->cap > CAP_MIN && t->n + 1 < t->cap / 8; // laid out anew it is a quarter full at least
    if (t->n + t->dead + 1 > t->cap / 4 * 3 || roomy)
        rebuild(t);
    insert(t, key, value);
}

void *table_remove(struct table *t, uint64_t key)
{
    struct table_slot *s = find(t, key);
    if (!s)
        return NULL;
    void *value = s->value;
    uint32_t mask = t->cap - 1, i = (uint32_t)(s - t->slots);
    t->n--;
    s->value = DEAD;
    t->dead++;
    if (!t->slots[(i + 1) & mask].value) // the run ends here: no search needs these to go on
        for (; t->slots[i].value == DEAD; i = (i - 1) & mask) {
            t->slots[i].value = NULL;
            t->dead--;
        }
    if (t->n == 0 && t->cap > CAP_MIN)
        table_fini(t);
    return value;
}

void *table_next(const struct table *t, uint32_t *i, uint64_t *key)
{
    while (*i < t->cap) {
        const struct table_slot *s = &t->slots[(*i)++];
        if (!s->value || s->value == DEAD)
            continue;
        if (key)
            *key = s->key;
        return s->value;
    }
    return NULL;
}

void table_fini(struct table *t)
{
    mem_free(t->slots);
    *t = (struct table){0};
}
