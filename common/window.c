// window: so many in each window; a window begins with the first one after the last window's end.
// Pure. One that is over the limit does not lengthen the window.
#include "window.h"

void window_init(struct window *w, uint32_t limit, uint32_t per_ms, uint64_t now)
{
    *w = (struct window){limit, per_ms, 0, now};
}

bool window_take(struct window *w, uint64_t now)
{
    if (now >= w->began_at && now - w->began_at >= w->per_ms) {
        w->began_at = now;
        w->used = 0;
    }
    if (w->used >= w->limit)
        return false;
    w->used++;
    return true;
}
