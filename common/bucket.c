// bucket: tokens come back evenly, `size` of them in `per_ms`, counted in parts of 1/per_ms so that nothing is rounded.
// Pure. A clock that goes back gives nothing and takes nothing.
#include "bucket.h"

static uint64_t level_at(const struct bucket *b, uint64_t now)
{
    uint64_t full = (uint64_t)b->size * b->per_ms;
    uint64_t passed = now > b->at ? now - b->at : 0;
    if (passed >= b->per_ms)
        return full;
    uint64_t back = passed * b->size;
    return back < full - b->level ? b->level + back : full;
}

void bucket_init(struct bucket *b, uint32_t size, uint32_t per_ms, uint64_t now)
{
    CHECK(size > 0 && per_ms > 0);
    *b = (struct bucket){size, per_ms, (uint64_t)size * per_ms, now};
}

bool bucket_take(struct bucket *b, uint64_t now)
{
    b->level = level_at(b, now);
    if (now > b->at)
        b->at = now;
    if (b->level < b->per_ms)
        return false;
    b->level -= b->per_ms;
    return true;
}

uint64_t bucket_wait_ms(const struct bucket *b, uint64_t now)
{
    uint64_t level = level_at(b, now);
    if (level >= b->per_ms)
        return 0;
    uint64_t behind = now < b->at ? b->at - now : 0;
    return behind + (b->per_ms - level + b->size - 1) / b->size;
}
