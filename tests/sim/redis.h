// redis: as much of Redis as Switchboard uses, in virtual time: the commands that its services send, and our own Lua,
// run by the Lua that Redis has. A command that it does not know aborts, so that nothing is silently not there.
#pragma once
#include "bytes.h"
#include "sim.h"

enum { REDIS_NIL, REDIS_ERROR, REDIS_STATUS, REDIS_INT, REDIS_TEXT, REDIS_LIST };
struct redis_reply {
    int kind;
    int64_t number;
    struct bytes text; // owned
    size_t n;
    struct redis_reply *v; // owned
};
void redis_reply_fini(struct redis_reply *r);

void redis_begin(void); // with what redis_keep kept, if anything
void redis_end(void);   // forgets all but that
void redis_keep(void);  // what stands now, but for what expires
void redis_free(void);  // forgets that, too
void redis_call(size_t argc, const struct bytes *argv, struct redis_reply *out); // out: to be given back
void redis_refuse(struct redis_reply *out, const char *why);                     // an error in place of a call
void redis_load(const char *library);                                            // FUNCTION LOAD REPLACE
extern void (*redis_touched)(struct bytes key);                                  // after each change; may be NULL

// For the checks: one field of a hash, or none.
struct bytes redis_field(const char *key, const char *field);
void redis_each(void (*fn)(void *ctx, struct bytes key), void *ctx); // every key there is
