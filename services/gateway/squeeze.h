// squeeze: what goes out compressed. compress=zlib-stream and zstd-stream: one stream per connection, flushed after
// each message, so that each can be read as soon as it has come; zlib's ends in 00 00 ff ff. Or each large message by
// itself (https://docs.discord.com/developers/events/gateway, "Transport Compression" and "Payload Compression").
// squeeze.c alone knows zlib and zstd.
#pragma once
#include "bytes.h"

enum squeeze_kind { SQUEEZE_ZLIB, SQUEEZE_ZSTD };

struct squeeze;
// window_bits: 9 to 15; zstd's window is two bits less, and at least 10. What the stream costs is counted in
// M.memory_deflate_bytes. Would it be more than `room`, it costs nothing, and its messages are in blocks that are not
// compressed.
struct squeeze *squeeze_new(enum squeeze_kind kind, uint32_t window_bits, uint64_t room);
void squeeze_add(struct squeeze *z, struct buf *out, struct bytes head, struct bytes tail); // one message of two parts
void squeeze_free(struct squeeze *z);

// A message of two parts by itself, as a whole zlib stream.
void squeeze_whole(struct buf *out, struct bytes head, struct bytes tail);
