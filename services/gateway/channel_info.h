// channel_info: what stands beside the voice channels that somebody may view: CHANNEL_INFO (op 43), CHANNEL_STATUSES
// (op 36). Pure. https://docs.discord.food/gateway/gateway-events
#pragma once
#include "load.h"
#include "ops.h"

// The `d` of the dispatch, of those channels that have something to tell.
void channel_info_json(struct buf *out, const struct loaded_guild *g, uint64_t viewer, const struct op_info *asked);
