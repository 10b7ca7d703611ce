// debt: who is closed when a bound over all of them is passed: those that owe (or hold) most, and nobody else. Pure.
#pragma once
#include "base.h"

struct debt {
    uint64_t id, bytes;
};

// Sorts v so that those that have to go stand first, the largest first, and says how many they are: the fewest without
// whom the others have `keep` bytes at most. Of two that are equal the one with the smaller id goes first.
uint32_t debts_over(struct debt *v, uint32_t n, uint64_t keep);
// What is left to the others once somebody has to go: so much below the bound that it is not passed again at once.
static inline uint64_t debts_keep(uint64_t bound)
{
    return bound - bound / 4;
}
// When texts are shared, what all owe is more than what is there: what may be left of `owed` so that of what is there
// about `keep` is.
static inline uint64_t debts_part(uint64_t owed, uint64_t there, uint64_t keep)
{
    return there ? (uint64_t)((double)owed / (double)there * (double)keep) : owed;
}
