// trim: when what malloc holds and nobody uses is worth giving back to the kernel. Pure: the shell (memory.c) measures.
#pragma once
#include "base.h"

struct trim {                  // zero-initialise
    uint64_t resident, unused; // the least of each since it was last given back
    uint64_t at;               // when that was, ms; 0: never
    bool known;                // they have been seen
};

#define TRIM_EVERY_MS 2000u // at most: it takes a moment of the loop, and a busy process would fetch it again
#define TRIM_MIN (128u * 1024u)

// Sizes in bytes; unused: free, and in malloc's hands. True: give it back now, and tell trim_done.
MUST_USE bool trim_due(struct trim *t, uint64_t resident, uint64_t unused, uint64_t now);
void trim_done(struct trim *t, uint64_t resident, uint64_t unused, uint64_t now); // as they are after it
