// relay_map: a hash map of a fixed size from u64 to u32, all of its memory taken at the beginning: what is looked up
// for each datagram. Pure.
#pragma once
#include "base.h"

struct relay_map {
    uint64_t *keys;
    uint32_t *values; // 0: the slot is free
    uint32_t mask, n, most;
    uint64_t salt; // so that whoever chooses the keys does not choose the slots
};
void relay_map_init(struct relay_map *m, uint32_t most, uint64_t salt);
void relay_map_fini(struct relay_map *m);
uint32_t relay_map_get(const struct relay_map *m, uint64_t key);       // 0: absent
void relay_map_put(struct relay_map *m, uint64_t key, uint32_t value); // absent before; value != 0; n < most
void relay_map_remove(struct relay_map *m, uint64_t key);              // absent is fine
uint64_t relay_hash(uint64_t key, uint64_t salt);                      // any bits of it are as good as others
