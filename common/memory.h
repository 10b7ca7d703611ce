// memory: malloc's settings, what the process has resident (a gauge), and giving back what a burst needed. Shell.
#pragma once
#include "loop.h"
#include "trim.h"

void memory_settings(void); // before the first thread

struct memory { // zero-initialise
    struct loop *loop;
    struct trim trim;
    struct timer timer;
};
void memory_watch(struct memory *m, struct loop *l);
void memory_unwatch(struct memory *m);
