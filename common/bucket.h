// bucket: a token-bucket rate limit. Pure; the caller says what time it is.
#pragma once
#include "base.h"

struct bucket {
    uint32_t size;   // how many at once
    uint32_t per_ms; // time in which `size` tokens come back
    uint64_t level;  // tokens × per_ms
    uint64_t at;     // ms, when level was true
};

void bucket_init(struct bucket *b, uint32_t size, uint32_t per_ms, uint64_t now); // starts full
bool bucket_take(struct bucket *b, uint64_t now);                                 // false: over the limit
uint64_t bucket_wait_ms(const struct bucket *b, uint64_t now);                    // until one is there
