// bytes: comparing, hashing, reading and copying slices; the growing buffer.
// Pure. A slice is never written through, and none of it is read past its length.
#include "bytes.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct bytes bytes_of(const char *zero_terminated)
{
    return zero_terminated ? (struct bytes){zero_terminated, strlen(zero_terminated)} : BYTES_NONE;
}

bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bytes_is(struct bytes a, const char *text)
{
    return bytes_eq(a, bytes_of(text));
}

// FNV-1a, then mixed: FNV alone leaves the high bits of short texts nearly equal, and rendezvous hashing compares
// those.
uint64_t bytes_hash(struct bytes b)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < b.n; i++)
        h = (h ^ (unsigned char)b.p[i]) * 0x100000001b3u;
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 33);
}

int bytes_copy(char *out, size_t size, struct bytes b)
{
    CHECK(size > 0);
    size_t n = b.n < size ? b.n : size - 1;
    if (n)
        memcpy(out, b.p, n);
    out[n] = 0;
    return n == b.n ? OK : ERR_FULL;
}

int bytes_u64(struct bytes b, uint64_t *out)
{
    uint64_t v = 0;
    if (!b.n)
        return ERR_INVALID;
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] < '0' || b.p[i] > '9')
            return ERR_INVALID;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(b.p[i] - '0'), &v))
            return ERR_INVALID;
    }
    *out = v;
    return OK;
}

static void reserve(struct buf *b, size_t more)
{
    CHECK(more < SIZE_MAX / 4 && b->n < SIZE_MAX / 4);
    size_t need = b->n + more;
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap * 2 : 64;
    b->cap = cap < need ? need : cap;
    b->p = mem_grow(b->p, b->cap, 1);
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (!n)
        return;
    reserve(b, n);
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

void buf_str(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    reserve(b, 64);
    size_t room = b->cap - b->n;
    int n = vsnprintf(b->p + b->n, room, fmt, args);
    CHECK(n >= 0);
    if ((size_t)n >= room) {
        reserve(b, (size_t)n + 1);
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
    }
    b->n += (size_t)n;
    va_end(again);
    va_end(args);
}

void buf_reset(struct buf *b)
{
    b->n = 0;
}

void buf_trim(struct buf *b, size_t cap)
{
    if (b->cap > cap)
        buf_fini(b);
}

void buf_fini(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){0};
}
