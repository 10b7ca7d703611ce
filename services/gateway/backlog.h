// backlog: events of one session that are numbered and not known to be in the store yet. Pure.
// The numbers have no gap. It holds references: a text that many sessions wait with is there once.
#pragma once
#include "dispatch.h"

struct backlog {
    uint64_t next;          // number of the event to come
    uint32_t n;             // events held: next - n … next - 1
    uint64_t bytes;         // size of their texts
    uint32_t at, cap;       // of the oldest in the ring; cap is 0 or a power of two
    struct dispatch **ring; // one reference each
};

void backlog_init(struct backlog *b, uint64_t next);
void backlog_push(struct backlog *b, struct dispatch *d);               // takes a reference of its own
struct dispatch *backlog_get(const struct backlog *b, uint64_t number); // CHECKs that it is held; no new reference
void backlog_drop(struct backlog *b, uint64_t upto);                    // forgets the events up to that number
void backlog_fini(struct backlog *b);
