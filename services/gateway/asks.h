// asks: commands sent together, with one callback when the last of them has been answered. Shell.
#pragma once
#include "gateway.h"

// answers: one for each command, NULL where its time ran out. They live in the arena that was given.
typedef void (*asks_fn)(void *ctx, const struct answer *const *answers);
// n > 0. The arena must live until `fn` has been called, which happens once; at once when the bus has ended already.
void asks_send(struct gateway *g, struct arena *a, enum bus_kind to, uint64_t key, uint32_t n, const struct msg *m,
               uint64_t timeout_ms, asks_fn fn, void *ctx);
// The same command to each of those instances, which may be none; answers in their order.
void asks_send_each(struct gateway *g, struct arena *a, enum bus_kind to, struct texts instances, const struct msg *m,
                    uint64_t timeout_ms, asks_fn fn, void *ctx);
