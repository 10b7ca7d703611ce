// dispatch: one event as clients read it, encoded once and shared by every session that is sent it. Pure.
// It holds the part behind the session's own number: {"op":0,"s":N, + "t":"NAME","d":{…}}
#pragma once
#include "bytes.h"

struct dispatch {
    uint32_t refs;
    size_t n;
    char p[];
};

struct dispatch *dispatch_new(struct bytes name, struct bytes body); // body none: null. With one reference
struct dispatch *dispatch_keep(struct dispatch *d);                  // one more
void dispatch_drop(struct dispatch *d);                              // frees with the last; NULL is fine
static inline struct bytes dispatch_bytes(const struct dispatch *d)
{
    return (struct bytes){d->p, d->n};
}
#define DISPATCH_HEAD_MAX 40u
struct bytes dispatch_head(char out[DISPATCH_HEAD_MAX], uint64_t seq);
