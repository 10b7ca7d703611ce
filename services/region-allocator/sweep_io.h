// sweep_io: calls are told what happens to nodes: lost or draining ones are gone through, waiting calls hear of room.
// Shell. All of it may be cut off, or done by several allocators at once: rows in Redis say what is left to do.
#pragma once
#include "bytes.h"
#include "wheel.h"

#define SWEEP_ALL UINT64_MAX // whenever it was assigned

struct alloc;
struct sweep;
struct sweeps {
    struct alloc *a;
    struct sweep *first; // nodes being gone through, each once
    struct timer tick, room, reconcile;
    uint32_t n_notices; // questions to Redis or call managers without an answer yet
};

void sweep_start(struct alloc *a);
// Tells every call that lives on this node, as far as it was assigned before then (unix ms).
void sweep_node(struct alloc *a, const char *node, uint64_t before);
void sweep_call(struct alloc *a, const char *node, uint64_t place, uint64_t channel); // only this one
void sweep_room(struct alloc *a); // there may be room: tell those that wait
void sweep_stop(struct alloc *a); // begins nothing new
void sweep_close(struct alloc *a);
void sweep_dump(const struct alloc *a, struct buf *out);
