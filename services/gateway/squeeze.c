// squeeze: see squeeze.h.
#include "squeeze.h"

#include <zlib.h>

// Measured on 1000 clients and events of 460 bytes: 6 µs each, level 3 takes twice that for hardly fewer bytes.
#define LEVEL 1
#define ROOM 512u

struct squeeze {
    z_stream stream;
};

struct squeeze *squeeze_new(uint32_t window_bits)
{
    struct squeeze *z = mem_alloc(sizeof *z);
    int memory = (int)window_bits - 7; // 15 bits with zlib's own default of 8, less with a smaller window
    CHECK(deflateInit2(&z->stream, LEVEL, Z_DEFLATED, (int)window_bits, memory, Z_DEFAULT_STRATEGY) == Z_OK);
    return z;
}

static void run(struct squeeze *z, struct buf *out, struct bytes in, int flush)
{
    z->stream.next_in = (z_const Bytef *)(uintptr_t)in.p;
    z->stream.avail_in = (uInt)in.n;
    do {
        Bytef chunk[ROOM];
        z->stream.next_out = chunk;
        z->stream.avail_out = sizeof chunk;
        CHECK(deflate(&z->stream, flush) != Z_STREAM_ERROR);
        buf_add(out, chunk, sizeof chunk - z->stream.avail_out);
    } while (z->stream.avail_out == 0);
    CHECK(z->stream.avail_in == 0);
}

void squeeze_add(struct squeeze *z, struct buf *out, struct bytes head, struct bytes tail)
{
    if (head.n)
        run(z, out, head, Z_NO_FLUSH);
    run(z, out, tail, Z_SYNC_FLUSH);
}

void squeeze_free(struct squeeze *z)
{
    if (!z)
        return;
    deflateEnd(&z->stream);
    mem_free(z);
}
