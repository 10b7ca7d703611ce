// snowflake: ids that carry their time. 42 bits of ms since 2015-01-01, 10 bits of worker, 12 bits of sequence
// (https://docs.discord.com/developers/reference, "Snowflakes"). Pure: a function of (now, worker, sequence).
#pragma once
#include "base.h"

#define SNOWFLAKE_EPOCH_MS 1420070400000ull
#define SNOWFLAKE_WORKERS 1024u

struct snowflake {
    uint32_t worker;   // < SNOWFLAKE_WORKERS, leased (common/lease.h): no two live processes share one
    uint32_t sequence; // within last_ms
    uint64_t last_ms;  // unix ms; never goes back even when the clock does
};

void snowflake_init(struct snowflake *s, uint32_t worker);
uint64_t snowflake_next(struct snowflake *s, uint64_t unix_ms); // strictly growing per generator
// The same, and greater than `after`, which another generator with another clock may have made.
uint64_t snowflake_after(struct snowflake *s, uint64_t unix_ms, uint64_t after);
uint64_t snowflake_ms(uint64_t id); // unix ms
