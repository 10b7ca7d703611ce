// wire: see wire.h. Every read goes through take(), the one place that compares a length with what is left.
#include "wire.h"
#include <string.h>

static int fail(struct wire *w)
{
    w->failed = true;
    return ERR_INVALID;
}

static const uint8_t *take(struct wire *w, size_t n)
{
    if (w->failed || (size_t)(w->end - w->p) < n)
        return NULL;
    const uint8_t *at = w->p;
    w->p += n;
    return at;
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

// The number behind a type byte: n bytes, big-endian.
static int number(struct wire *w, size_t n, uint64_t *out)
{
    const uint8_t *p = take(w, n);
    if (!p)
        return fail(w);
    *out = big_endian(p, n);
    return OK;
}

// An integer in two's complement: *negative tells how to read *out.
static int integer(struct wire *w, uint64_t *out, bool *negative)
{
    const uint8_t *t = take(w, 1);
    if (!t)
        return fail(w);
    *negative = false;
    if (*t <= 0x7f) {
        *out = *t;
        return OK;
    }
    if (*t >= 0xe0) {
        *out = (uint64_t)(int64_t)(int8_t)*t;
        *negative = true;
        return OK;
    }
    if (*t >= 0xcc && *t <= 0xcf)
        return number(w, (size_t)1 << (*t - 0xcc), out);
    if (*t >= 0xd0 && *t <= 0xd3) {
        size_t n = (size_t)1 << (*t - 0xd0);
        if (number(w, n, out) != OK)
            return ERR_INVALID;
        if (n < 8 && (*out >> (8 * n - 1)) != 0)
            *out |= ~0ull << (8 * n);
        *negative = (*out >> 63) != 0;
        return OK;
    }
    return fail(w);
}

int wire_u64(struct wire *w, uint64_t *out)
{
    uint64_t v;
    bool negative;
    if (integer(w, &v, &negative) != OK)
        return ERR_INVALID;
    if (negative)
        return fail(w);
    *out = v;
    return OK;
}

int wire_i64(struct wire *w, int64_t *out)
{
    uint64_t v;
    bool negative;
    if (integer(w, &v, &negative) != OK)
        return ERR_INVALID;
    if (!negative && v > INT64_MAX)
        return fail(w);
    *out = (int64_t)v;
    return OK;
}

int wire_flag(struct wire *w, bool *out)
{
    const uint8_t *t = take(w, 1);
    if (!t || (*t != 0xc2 && *t != 0xc3))
        return fail(w);
    *out = *t == 0xc3;
    return OK;
}

static int run(struct wire *w, size_t length_bytes, struct bytes *out)
{
    uint64_t n;
    if (number(w, length_bytes, &n) != OK)
        return ERR_INVALID;
    const uint8_t *p = take(w, (size_t)n);
    if (!p)
        return fail(w);
    *out = (struct bytes){(const char *)p, (size_t)n};
    return OK;
}

int wire_str(struct wire *w, struct bytes *out)
{
    const uint8_t *t = take(w, 1);
    if (!t)
        return fail(w);
    if (*t >= 0xd9 && *t <= 0xdb)
        return run(w, (size_t)1 << (*t - 0xd9), out);
    if ((*t & 0xe0) != 0xa0)
        return fail(w);
    const uint8_t *p = take(w, *t & 0x1f);
    if (!p)
        return fail(w);
    *out = (struct bytes){(const char *)p, *t & 0x1f};
    return OK;
}

int wire_bin(struct wire *w, struct bytes *out)
{
    const uint8_t *t = take(w, 1);
    if (!t || *t < 0xc4 || *t > 0xc6)
        return fail(w);
    return run(w, (size_t)1 << (*t - 0xc4), out);
}

int wire_array(struct wire *w, uint32_t *out)
{
    const uint8_t *t = take(w, 1);
    if (!t)
        return fail(w);
    uint64_t n = *t & 0x0f;
    if ((*t & 0xf0) != 0x90) {
        if (*t != 0xdc && *t != 0xdd)
            return fail(w);
        if (number(w, *t == 0xdc ? 2 : 4, &n) != OK)
            return ERR_INVALID;
    }
    if (n > (uint64_t)(w->end - w->p)) // each element takes at least a byte
        return fail(w);
    *out = (uint32_t)n;
    return OK;
}

bool wire_nil(struct wire *w)
{
    if (w->failed || w->p == w->end || *w->p != 0xc0)
        return false;
    w->p++;
    return true;
}

static int skip(struct wire *w, uint32_t depth);

static int skip_many(struct wire *w, uint64_t n, uint32_t depth)
{
    if (depth == 0 || n > (uint64_t)(w->end - w->p))
        return fail(w);
    for (; n > 0; n--)
        if (skip(w, depth - 1) != OK)
            return ERR_INVALID;
    return OK;
}

static int skip_bytes(struct wire *w, uint64_t n)
{
    return n <= (uint64_t)(w->end - w->p) && take(w, (size_t)n) ? OK : fail(w);
}

// A length of `length_bytes`, then that many bytes and `extra` more.
static int skip_run(struct wire *w, size_t length_bytes, size_t extra)
{
    uint64_t n;
    if (number(w, length_bytes, &n) != OK)
        return ERR_INVALID;
    return skip_bytes(w, n + extra);
}

static int skip(struct wire *w, uint32_t depth)
{
    const uint8_t *t = take(w, 1);
    uint64_t n;
    if (!t)
        return fail(w);
    if (*t <= 0x7f || *t >= 0xe0 || *t == 0xc0 || *t == 0xc2 || *t == 0xc3)
        return OK;
    if (*t <= 0x8f)
        return skip_many(w, 2u * (*t & 0x0fu), depth);
    if (*t <= 0x9f)
        return skip_many(w, *t & 0x0f, depth);
    if (*t <= 0xbf)
        return skip_bytes(w, *t & 0x1f);
    if (*t >= 0xc4 && *t <= 0xc6)
        return skip_run(w, (size_t)1 << (*t - 0xc4), 0);
    if (*t >= 0xc7 && *t <= 0xc9)
        return skip_run(w, (size_t)1 << (*t - 0xc7), 1);
    if (*t == 0xca || *t == 0xcb)
        return skip_bytes(w, *t == 0xca ? 4 : 8);
    if (*t >= 0xcc && *t <= 0xd3)
        return skip_bytes(w, 1u << ((*t - 0xccu) & 3u));
    if (*t >= 0xd4 && *t <= 0xd8)
        return skip_bytes(w, 1u + (1u << (*t - 0xd4u)));
    if (*t >= 0xd9 && *t <= 0xdb)
        return skip_run(w, (size_t)1 << (*t - 0xd9), 0);
    if (*t == 0xc1)
        return fail(w);
    if (number(w, *t == 0xdc || *t == 0xde ? 2 : 4, &n) != OK) // dc dd arrays, de df maps
        return ERR_INVALID;
    return skip_many(w, *t >= 0xde ? 2 * n : n, depth);
}

int wire_skip(struct wire *w)
{
    return skip(w, WIRE_DEPTH);
}
