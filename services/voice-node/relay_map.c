// relay_map: open addressing with at most half of the slots in use; a removal moves what was pushed on behind it back,
// so a search ends at the first free slot, however often entries come and go.
#include "relay_map.h"

void relay_map_init(struct relay_map *m, uint32_t most, uint64_t salt)
{
    uint32_t cap = 4;
    CHECK(most > 0 && most <= 1u << 24);
    while (cap < 2 * most)
        cap *= 2;
    *m = (struct relay_map){.mask = cap - 1, .most = most, .salt = salt};
    m->keys = mem_alloc(cap * sizeof *m->keys);
    m->values = mem_alloc(cap * sizeof *m->values);
}

void relay_map_fini(struct relay_map *m)
{
    mem_free(m->keys);
    mem_free(m->values);
}

uint64_t relay_hash(uint64_t key, uint64_t salt)
{
    key ^= salt;
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
    key = (key ^ key >> 27) * 0x94d049bb133111ebu;
    return key ^ key >> 31;
}

static uint32_t home(const struct relay_map *m, uint64_t key)
{
    return (uint32_t)relay_hash(key, m->salt) & m->mask;
}

// Where key is, or the free slot at which a search for it ends.
static uint32_t find(const struct relay_map *m, uint64_t key)
{
    uint32_t i = home(m, key);
    while (m->values[i] && m->keys[i] != key)
        i = (i + 1) & m->mask;
    return i;
}

uint32_t relay_map_get(const struct relay_map *m, uint64_t key)
{
    return m->values[find(m, key)];
}

void relay_map_put(struct relay_map *m, uint64_t key, uint32_t value)
{
    uint32_t i = find(m, key);
    CHECK(value != 0 && m->values[i] == 0 && m->n < m->most);
    m->keys[i] = key;
    m->values[i] = value;
    m->n++;
}

void relay_map_remove(struct relay_map *m, uint64_t key)
{
    uint32_t hole = find(m, key);
    if (!m->values[hole])
        return;
    m->n--;
    for (uint32_t i = (hole + 1) & m->mask; m->values[i]; i = (i + 1) & m->mask) {
        // Reached from its home through the hole: it may fill it.
        if (((i - home(m, m->keys[i])) & m->mask) < ((i - hole) & m->mask))
            continue;
        m->keys[hole] = m->keys[i];
        m->values[hole] = m->values[i];
        hole = i;
    }
    m->values[hole] = 0;
}
