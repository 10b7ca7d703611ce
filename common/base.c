// base: what CHECK does when it fails, memory that is there or the process is not, names of errors.
// A failed CHECK writes one line and aborts: a process that is wrong about itself must not go on.
#include "base.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *what, uint64_t id)
{
    fprintf(stderr, "level=fatal event=check.failed at=%s:%d id=%" PRIu64 " what=\"%s\"\n", file, line, id, what);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    CHECK(p != NULL);
    return p;
}

void *mem_grow(void *old, size_t count, size_t item_size)
{
    size_t size;
    CHECK(!__builtin_mul_overflow(count, item_size, &size));
    void *p = realloc(old, size ? size : 1);
    CHECK(p != NULL);
    return p;
}

void mem_free(void *p)
{
    free(p);
}

const char *err_name(int err)
{
    switch ((enum err)err) {
    case OK:
        return "ok";
    case ERR_INVALID:
        return "invalid";
    case ERR_STATE:
        return "state";
    case ERR_MISSING:
        return "missing";
    case ERR_FULL:
        return "full";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_IO:
        return "io";
    case ERR_DENIED:
        return "denied";
    }
    return "unknown";
}
