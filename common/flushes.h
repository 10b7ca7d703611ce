// flushes: what a loop is to do before it next sleeps, in the order in which it was asked to. Pure.
#pragma once
#include "base.h"

struct loop_flush { // embedded in its owner; see loop.h
    struct loop_flush *next;
    bool queued;
    void (*fn)(struct loop_flush *f);
};

struct flushes {
    struct loop_flush *first, **tail;
};
void flushes_init(struct flushes *q);
void flushes_add(struct flushes *q, struct loop_flush *f);    // once, however often it is added
struct loop_flush *flushes_take(struct flushes *q);           // the first, out of it; NULL: none
void flushes_remove(struct flushes *q, struct loop_flush *f); // if it is there
