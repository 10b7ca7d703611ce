// regions: the operator's regions file, and the list that clients see. Pure: text in, text out.
// Regions that only stand in announcements exist for as long as a node is there.
#pragma once
#include "fleet.h"

#define REGIONS_MAX 256u
#define REGIONS_NODES_MAX 4096u // nodes in one region's list
#define REGIONS_FILE_MAX (1024u * 1024u)
#define REGIONS_CAPACITY_MAX 1000000u

struct region {
    char id[NODE_NAME_MAX + 1], name[NODE_NAME_MAX + 1];
};
struct regions {
    uint32_t n;
    struct region v[REGIONS_MAX]; // [0..n) distinct by id, in the file's order
    uint32_t fallback;            // the default's index; meaningful when n > 0
};

// {"default":"a","regions":[{"id":"a","name":"A","nodes":[{"id":"a-1","endpoint":"host:443","capacity":500}]}]}
// Fills *r and adds the nodes to the fleet as fixed ones. "default" may be left out: the first region is it; so may
// "nodes": those of the region announce themselves. Otherwise
// ERR_INVALID with a sentence in *why, *r empty and the fleet good for fleet_fini only.
MUST_USE int regions_parse(struct regions *r, struct fleet *f, struct bytes json, struct buf *why);

bool region_known(const struct regions *r, const struct fleet *f, struct bytes id);
struct bytes regions_default(const struct regions *r); // none when there is none
// The body of GET /voice/regions: the file's regions, then announced ones by id. Exactly one is optimal: the default,
// or without one the first that has a node.
void regions_json(const struct regions *r, const struct fleet *f, struct buf *out);
