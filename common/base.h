// base: what every file of Switchboard may use. Error numbers, CHECK, and a few macros.
// Pure: no clock, no I/O. CHECK is for our own bugs only, never for a peer's input.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum err {
    OK = 0,
    ERR_INVALID = -1,  // the input is malformed or out of its bounds
    ERR_STATE = -2,    // well-formed, but not possible in this state
    ERR_MISSING = -3,  // names something that does not exist
    ERR_FULL = -4,     // a bound would be passed
    ERR_CONFLICT = -5, // somebody else changed it first
    ERR_TIMEOUT = -6,  // no answer before the deadline
    ERR_IO = -7,       // the outside world failed (Redis, bus, file, socket)
    ERR_DENIED = -8,   // the asker may not
};

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

// Aborts with file and line when a thing that cannot happen has happened. Stays on in production.
#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond, 0))
// The same, naming the object concerned.
#define CHECK_ID(cond, id) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond, (id)))
_Noreturn void check_failed(const char *file, int line, const char *what, uint64_t id);

// Memory: these abort when there is none. Every size that a peer decides is bounded before it gets here.
void *mem_alloc(size_t size);                              // zeroed
void *mem_grow(void *old, size_t count, size_t item_size); // realloc; new part is NOT zeroed
void mem_free(void *p);                                    // NULL is fine
const char *err_name(int err);
