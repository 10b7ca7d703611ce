// squeeze: compress=zlib-stream. One deflate stream per connection, flushed after each message, so that each ends in
// 00 00 ff ff (https://docs.discord.com/developers/events/gateway, "Transport Compression"). squeeze.c alone knows
// zlib.
#pragma once
#include "bytes.h"

struct squeeze;
// window_bits: 9 to 15, which is what a connection's stream costs in memory (M.memory_deflate_bytes); 0: it costs
// nothing, and nothing is compressed.
struct squeeze *squeeze_new(uint32_t window_bits);
uint64_t squeeze_cost(uint32_t window_bits);
void squeeze_add(struct squeeze *z, struct buf *out, struct bytes head, struct bytes tail); // one message of two parts
void squeeze_free(struct squeeze *z);
