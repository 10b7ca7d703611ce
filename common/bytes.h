// bytes: borrowed (pointer, length) slices, and a growing buffer.
// A slice never owns; whoever lends it says how long it lives. Pure.
#pragma once
#include "base.h"

struct bytes {
    const char *p; // not terminated; NULL only when n is 0
    size_t n;
};

#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})
#define BYTES_NONE ((struct bytes){NULL, 0})
#define BYTES_FMT(b) (int)(b).n, (b).p ? (b).p : "" // for "%.*s"

struct bytes bytes_of(const char *zero_terminated); // NULL gives BYTES_NONE
bool bytes_eq(struct bytes a, struct bytes b);
bool bytes_is(struct bytes a, const char *text);
uint64_t bytes_hash(struct bytes b); // same on every machine and in every process
// Copies at most size-1 bytes and terminates. ERR_FULL when it did not fit (then out is cut, still terminated).
MUST_USE int bytes_copy(char *out, size_t size, struct bytes b);
// Decimal, all of b, no sign, no blanks, fits 64 bits; otherwise ERR_INVALID and *out untouched.
MUST_USE int bytes_u64(struct bytes b, uint64_t *out);

// A buffer that grows. buf_fini is needed; zero-initialise before first use.
struct buf {
    char *p;
    size_t n, cap;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *text);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t v); // decimal
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_reset(struct buf *b);            // keeps the memory
void buf_trim(struct buf *b, size_t cap); // keeps none when it has more
void buf_fini(struct buf *b);
static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->p, b->n};
}
