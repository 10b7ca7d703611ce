// rates: how often each user has done something lately, in fixed windows (window.h). Pure. Holds who did it within the
// last two windows and nobody else, so its size is bounded by what tokens there are and how many can be checked.
#pragma once
#include "table.h"
#include "window.h"

struct rates {
    uint32_t limit, per_ms; // limit 0: none
    uint64_t swept_at;
    struct table users; // user → struct window; owns
};

void rates_init(struct rates *r, uint64_t limit, uint32_t per_ms, uint64_t now);
void rates_fini(struct rates *r);
// False: this one is over the limit, and *wait_ms says after how long the next one is not.
MUST_USE bool rates_take(struct rates *r, uint64_t user, uint64_t now, uint64_t *wait_ms);
