// vreplay: the numbered messages of one voice session that its client may not have, for a resume. Pure; bounded in
// count and bytes. Numbers are 16 bits and wrap, as those of binary frames are; the first is 1.
// https://docs.discord.food/topics/voice-connections ("Resuming Voice Connection", "Buffered Resume")
#pragma once
#include "bytes.h"

#define VREPLAY_MAX 1024u
#define VREPLAY_BYTES (128u * 1024u)

struct vkept {
    struct vkept *next;
    uint16_t seq;
    size_t n;
    char p[];
};
struct vreplay {
    uint16_t seq; // of the last numbered message; 0 before the first
    bool cut;     // messages that its client may not have are not kept any more
    uint32_t n;
    size_t bytes;
    struct vkept *first, **tail; // n of them, by number
};

void vreplay_keep(struct vreplay *r, struct bytes message); // under the last number
void vreplay_clear(struct vreplay *r);                      // nothing is kept; the numbers go on
// How many of those kept its client has, whose last number is `ack` (< 0: it knows none, and gets all). ERR_MISSING: it
// lacks some that are not kept any more.
MUST_USE int vreplay_have(const struct vreplay *r, int64_t ack, uint32_t *out);
void vreplay_acked(struct vreplay *r, int64_t ack); // what it has is kept no longer
bool vreplay_valid(const struct vreplay *r);
