// table: hash table from u64 to object. The owner of every long-lived object; everyone else keeps the id.
// Pure. Iteration order is unspecified. Key 0 is allowed.
#pragma once
#include "base.h"

struct table_slot;
struct table {
    struct table_slot *slots;
    uint32_t n, cap; // cap is 0 or a power of two
    uint32_t dead;   // slots of removed objects that a search still has to pass; n + dead < cap
};

void *table_get(const struct table *t, uint64_t key);       // NULL when absent
void table_put(struct table *t, uint64_t key, void *value); // value != NULL; replaces
void *table_remove(struct table *t, uint64_t key);          // what was there, or NULL
// for (uint32_t i = 0; (v = table_next(t, &i, &key)) != NULL;) — do not add while iterating; removing the
// current one is allowed (others are not moved by it).
void *table_next(const struct table *t, uint32_t *i, uint64_t *key); // key may be NULL
void table_fini(struct table *t);                                    // frees the table, not the values
