// trim: see trim.h. What was given back still counts as unused, and is not resident: so one of the two must have grown
// since. Unused grows when something is freed, resident also when it was fetched and freed between two looks.
#include "trim.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

bool trim_due(struct trim *t, uint64_t resident, uint64_t unused, uint64_t now)
{
    uint64_t worth = resident / 64 > TRIM_MIN ? resident / 64 : TRIM_MIN;
    t->resident = t->known ? least(t->resident, resident) : resident;
    t->unused = t->known ? least(t->unused, unused) : unused;
    t->known = true;
    bool grown = resident - t->resident >= worth || unused - t->unused >= worth;
    return grown && unused >= worth && now - t->at >= TRIM_EVERY_MS;
}

void trim_done(struct trim *t, uint64_t resident, uint64_t unused, uint64_t now)
{
    *t = (struct trim){.resident = resident, .unused = unused, .at = now, .known = true};
}
