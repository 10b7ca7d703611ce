// alloc_io: the allocator's process: the fleet, the work in progress, and the rows in Redis. Shell.
//   {place}:a <channel>     where a call lives (place.h)
//   {server}:c:<command>    the answer a command got
//   node:<node>:calls       set of "place channel": what may live on a node     nodes:used   set of such nodes
//   waiting:any, waiting:in:<region>   zset of "place channel": what waits for room, by when it may next be told
#pragma once
#include "place.h"
#include "service.h"
#include "sweep_io.h"

struct alloc {
    struct service service;
    struct fleet fleet;
    struct regions regions;
    const char *regions_file;
    uint64_t token_ms, node_lease_ms, nodes_max, jobs_max; // configuration
    struct table queues;                                   // place -> the first of its jobs; the others wait behind it
    uint32_t n_jobs;
    struct sweeps sweeps;
    bool closed; // what comes back from now on is dropped
};

// Reads the regions file; exits with 2 and a sentence when it is not right.
void alloc_start(struct alloc *a);
void alloc_command(void *ctx, const struct bus_from *from, const struct msg *m);
void alloc_event(void *ctx, const struct msg *m);
// The two kinds of work that follow from telling a call manager something; `until`: of the claim on the waiting row.
void alloc_forget(struct alloc *a, uint64_t place, uint64_t channel, const char *node, uint64_t before);
void alloc_settle(struct alloc *a, uint64_t place, uint64_t channel, const char *region, bool gone, uint64_t until);
void alloc_close(struct alloc *a); // drops all work; answers of the store may still come
void alloc_dump(const struct alloc *a, struct buf *out);

#define ROW_KEY_MAX 96u
const char *calls_key(char out[ROW_KEY_MAX], const char *node);
const char *waiting_key(char out[ROW_KEY_MAX], const char *region); // "": any
