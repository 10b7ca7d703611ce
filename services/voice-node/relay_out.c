// relay_out: what was taken in is sealed for each listener of its room, and handed out in batches. Listener by
// listener, so that what one of them is sent lies in a row and may go out as one.
#include "relay_private.h"
#include "metrics.h"

void relay_out_flush(struct relay *r)
{
    if (r->n_out)
        r->cfg.send(r->cfg.ctx, r->out, r->n_out);
    r->n_out = 0;
    r->out_used = 0;
}

uint8_t *relay_out_room(struct relay *r, size_t most)
{
    CHECK(most <= OUT_BYTES);
    if (r->n_out == OUT_MAX || OUT_BYTES - r->out_used < most)
        relay_out_flush(r);
    return r->out_bytes + r->out_used;
}

void relay_out_add(struct relay *r, struct address4 to, size_t n)
{
    r->out[r->n_out++] = (struct relay_send){.to = to, .p = r->out_bytes + r->out_used, .n = (uint32_t)n};
    r->out_used += n;
    M.media_packets_out++;
    M.media_bytes_out += n;
}

static void out_rtp(struct relay *r, struct peer *to, const struct taken *t)
{
    uint8_t *out = relay_out_room(r, t->o.body_n + t->o.ext_n + RTP_HEADER + SEAL_GROWTH);
    const struct opened *o = &t->o;
    struct opened later;
    if (to->bare && t->shift) {
        later = t->o;
        later.rtp.timestamp += t->shift;
        o = &later;
    }
    size_t n = seal_rtp(peer_seal(r, to), o, out);
    if (!n) {
        M.media_seal_failures++;
        return;
    }
    relay_out_add(r, to->at, n);
    M.media_forwarded++;
}

static void fan_to(struct relay *r, const struct room *room, uint32_t slot)
{
    struct peer *to = &r->peers[slot];
    if (!to->rights.hears || !relay_reached(to))
        return;
    for (uint32_t i = room->first_taken; i != NONE; i = r->taken[i].next) {
        const struct taken *t = &r->taken[i];
        if (t->from != slot && !(t->again && to->bare))
            out_rtp(r, to, t);
    }
}

void relay_fan_out(struct relay *r)
{
    for (uint32_t i = 0; i < r->n_touched; i++) {
        struct room *room = &r->rooms[r->touched[i]];
        for (uint32_t c = room->last; c != NONE; c = r->chunks[c].previous)
            for (uint32_t k = 0; k < r->chunks[c].n; k++)
                fan_to(r, room, r->chunks[c].peers[k]);
        room->first_taken = NONE;
    }
    r->n_touched = 0;
    r->n_taken = 0;
}
