// arena: scratch memory of one event. Everything taken from it dies together at arena_reset.
// Pure. Zero-initialise; arena_fini gives the memory back.
#pragma once
#include "bytes.h"

struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t used; // of the newest block
};

void *arena_take(struct arena *a, size_t size); // zeroed, aligned for any object; never NULL
struct bytes arena_copy(struct arena *a, struct bytes b);
char *arena_text(struct arena *a, struct bytes b); // a terminated copy
struct bytes arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void arena_reset(struct arena *a);
void arena_fini(struct arena *a);
