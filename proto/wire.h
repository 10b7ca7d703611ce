// wire: a cursor over msgpack bytes (https://github.com/msgpack/msgpack, spec.md). Pure; allocates nothing and never
// reads past the end: what a length field claims is checked against the bytes that are there before it is believed.
// After an error the cursor is spent: every further call fails too.
#pragma once
#include "bytes.h"

struct wire {
    const uint8_t *p, *end;
    bool failed;
};

static inline struct wire wire_of(struct bytes b)
{
    const uint8_t *p = (const uint8_t *)(b.p ? b.p : ""); // nothing may be NULL, and NULL + 0 is undefined
    return (struct wire){p, p + b.n, false};
}
static inline bool wire_done(const struct wire *w)
{
    return !w->failed && w->p == w->end;
}
// All give ERR_INVALID on a wrong type or a short input, and then leave *out alone.
MUST_USE int wire_u64(struct wire *w, uint64_t *out); // a negative number is invalid
MUST_USE int wire_i64(struct wire *w, int64_t *out);
MUST_USE int wire_flag(struct wire *w, bool *out);
MUST_USE int wire_str(struct wire *w, struct bytes *out); // borrows from the input; any bytes
MUST_USE int wire_bin(struct wire *w, struct bytes *out);
MUST_USE int wire_array(struct wire *w, uint32_t *n); // n elements follow; at least n bytes are there
bool wire_nil(struct wire *w);                        // takes a nil if one is next
MUST_USE int wire_skip(struct wire *w);               // one value of any kind, nested at most WIRE_DEPTH deep
#define WIRE_DEPTH 16u
