// bus_core: see bus_core.h.
#include "bus_core.h"

// A mixing step (the finaliser of SplitMix64): every bit of the input moves every bit of the output.
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

size_t bus_pick(const uint64_t *names, size_t n, uint64_t key, uint64_t not )
{
    size_t best = n;
    uint64_t best_score = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t score = mix(names[i] ^ mix(key));
        if (n > 1 && names[i] == not )
            continue;
        if (best == n || score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

enum bus_heard bus_link_heard(struct bus_link *l, uint64_t epoch, uint64_t seq, bool beat, uint64_t now)
{
    uint64_t last = l->epoch == epoch ? l->seq : 0; // a new epoch starts anew
    bool anew = l->epoch && l->epoch != epoch;      // and how the one before it ended nobody knows
    l->heard_at = now;
    l->told_at = 0;
    if (l->epoch == epoch && !beat && seq <= last)
        return BUS_HEARD_OLD;
    bool lost = anew || (beat ? seq > last : seq != last + 1);
    l->epoch = epoch;
    l->seq = seq > last ? seq : last;
    return lost ? BUS_HEARD_LOST : BUS_HEARD_OK;
}

bool bus_link_is_silent(struct bus_link *l, uint64_t now)
{
    if (now - (l->told_at ? l->told_at : l->heard_at) < BUS_SILENT_MS)
        return false;
    l->told_at = now;
    return true;
}
