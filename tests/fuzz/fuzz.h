// fuzz: what the targets share. A target is one function of bytes: whatever they are it returns, and CHECKs on its way
// what must always hold of the code that it feeds. Pure: no file, no clock, no socket, so an input is the whole story.
// Built with libFuzzer they search (tests/fuzz/run), with replay.c they show that the corpus still passes (ctest).
#pragma once
#include "arena.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Takes values off the front of the input. When nothing is left they are 0, so every prefix of an input is one too.
struct feed {
    const uint8_t *p;
    size_t n;
};

static inline uint8_t feed_u8(struct feed *f)
{
    if (!f->n)
        return 0;
    f->n--;
    return *f->p++;
}

static inline bool feed_flag(struct feed *f)
{
    return feed_u8(f) & 1;
}

static inline uint32_t feed_below(struct feed *f, uint32_t n) // n <= 256
{
    return feed_u8(f) % n;
}

// Eight bytes, little-endian.
static inline uint64_t feed_u64(struct feed *f)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)feed_u8(f) << 8 * i;
    return v;
}

// Mostly small, so that numbers meet again; sometimes any, or one at an end of its range.
static inline uint64_t feed_number(struct feed *f)
{
    uint8_t v = feed_u8(f);
    if (v < 0xf8)
        return v;
    return v == 0xf8 ? UINT64_MAX - feed_u8(f) : v == 0xf9 ? (uint64_t)INT64_MAX + feed_u8(f) : feed_u64(f);
}

// At most `max` bytes, behind their number. Borrowed from the input.
static inline struct bytes feed_bytes(struct feed *f, size_t max)
{
    size_t n = feed_u8(f);
    n = n > f->n ? f->n : n;
    n = n > max ? max : n;
    struct bytes b = {(const char *)f->p, n};
    f->p += n;
    f->n -= n;
    return b;
}

static inline struct bytes feed_rest(struct feed *f)
{
    struct bytes b = {(const char *)f->p, f->n};
    f->n = 0;
    return b;
}

// A copy in memory of its own, so that the sanitizer sees a read behind it. For mem_free; never NULL.
static inline char *feed_own(struct bytes b)
{
    char *p = mem_grow(NULL, b.n ? b.n : 1, 1);
    if (b.n)
        memcpy(p, b.p, b.n);
    return p;
}
