// window: a fixed-window counter, the form in which Discord states its gateway limit
// (120 events in 60 s: https://docs.discord.com/developers/events/gateway, "Rate Limiting"). Pure.
#pragma once
#include "base.h"

struct window {
    uint32_t limit, per_ms, used;
    uint64_t began_at; // ms
};

void window_init(struct window *w, uint32_t limit, uint32_t per_ms, uint64_t now);
bool window_take(struct window *w, uint64_t now); // false: this one is over the limit
