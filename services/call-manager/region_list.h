// region_list: the region list as the allocator tells it, for two questions: does a region exist, and which one will a
// call that starts now most likely get (CALL_CREATE names one before a node is assigned). Pure.
#pragma once
#include "schema.h"

#define REGIONS_MAX 64u
struct regions {
    uint32_t n, optimal; // optimal < n when n > 0
    char id[REGIONS_MAX][65];
};

// The JSON of GET /voice/regions. ERR_INVALID: not that; *out is then as it was.
MUST_USE int regions_read(struct bytes json, struct regions *out);
bool regions_have(const struct regions *r, struct bytes id);
const char *regions_guess(const struct regions *r, struct texts preferred); // "" when none is known
