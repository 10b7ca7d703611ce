// arena: a list of blocks, filled from the newest. arena_reset keeps one block, so an ordinary event asks for no
// memory. Under AddressSanitizer nothing is kept: whoever uses what an earlier event took is found.
#include "arena.h"
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_SIZE 16384u // what a new block has at least
#define KEEP_MAX 65536u   // a larger block is not kept for the next event

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS_NOTHING 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define KEEPS_NOTHING 1
#endif
#ifndef KEEPS_NOTHING
#define KEEPS_NOTHING 0
#endif

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) unsigned char data[];
};

void *arena_take(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    CHECK(size < SIZE_MAX / 2);
    size = size ? (size + align - 1) / align * align : align;
    if (!a->blocks || size > a->blocks->size - a->used) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        struct arena_block *fresh = mem_grow(NULL, sizeof(*fresh) + room, 1);
        fresh->next = a->blocks;
        fresh->size = room;
        a->blocks = fresh;
        a->used = 0;
    }
    void *p = a->blocks->data + a->used;
    a->used += size;
    return memset(p, 0, size);
}

char *arena_text(struct arena *a, struct bytes b)
{
    char *p = arena_take(a, b.n + 1);
    if (b.n)
        memcpy(p, b.p, b.n);
    return p;
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
    return b.n ? (struct bytes){arena_text(a, b), b.n} : BYTES_NONE;
}

struct bytes arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    CHECK(n >= 0);
    char *p = arena_take(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    return (struct bytes){p, (size_t)n};
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = NULL, *next;
    for (struct arena_block *b = a->blocks; b; b = next) {
        next = b->next;
        if (!KEEPS_NOTHING && !kept && b->size <= KEEP_MAX) {
            kept = b;
            kept->next = NULL;
        } else {
            mem_free(b);
        }
    }
    a->blocks = kept;
    a->used = 0;
}

void arena_fini(struct arena *a)
{
    arena_reset(a);
    mem_free(a->blocks);
    *a = (struct arena){0};
}
