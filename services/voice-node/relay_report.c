// relay_report: RTCP. What a receiver asks of a sender (a picture, a lost packet) goes to that sender; what a sender
// says of its clock goes to its listeners; the rest is for this node, which reports to each peer what it has received
// of it. RFC 3550, 6.4; RFC 4585, 6; RFC 5104, 4.3.1.
#include "relay_private.h"
#include "network_order.h"
#include "metrics.h"

#include <string.h>

#define RTCP_SR 200u
#define RTCP_RR 201u
#define RTCP_RTPFB 205u
#define RTCP_PSFB 206u
#define FMT_NACK 1u
#define FMT_PLI 1u
#define FMT_FIR 4u
#define SR_BYTES 28u // without report blocks
#define FEEDBACK_MIN 12u
#define COMPOUND_MAX 8u   // packets in a row that are looked at: each may cost some for others
#define CLOCK_US 1000000u // a stream's clock is told no oftener

static void out_rtcp(struct relay *r, struct peer *to, const uint8_t *p, size_t n)
{
    if (!to->reports)
        return;
    size_t sealed = seal_rtcp(peer_seal(r, to), p, n, relay_out_room(r, n + SEAL_GROWTH));
    if (sealed)
        relay_out_add(r, to->at, sealed);
    else
        M.media_seal_failures++;
}

static bool relayed(const struct rtcp *h)
{
    return (h->type == RTCP_RTPFB && h->count == FMT_NACK) ||
           (h->type == RTCP_PSFB && (h->count == FMT_PLI || h->count == FMT_FIR));
}

// p: one packet of n bytes.
static void take_feedback(struct relay *r, const struct peer *from, const uint8_t *p, size_t n)
{
    struct peer *to = n >= FEEDBACK_MIN ? relay_by_ssrc(r, rtcp_target(p, n)) : NULL;
    if (!to || to == from || to->room != from->room || !relay_reached(to))
        return;
    out_rtcp(r, to, p, n);
    M.media_feedback++;
}

static void take_sender_report(struct relay *r, struct peer *from, uint8_t *p, size_t n)
{
    uint32_t stream = get32(p + 4) - from->ssrc;
    if (n < SR_BYTES || stream >= RELAY_SSRCS)
        return;
    struct relay_stream *s = &from->streams[stream];
    bool often = s->report_us && r->now_us - s->report_us < CLOCK_US;
    if (often || !relay_passes(from, stream))
        return;
    s->report_ntp = get32(p + 10);
    s->report_us = r->now_us;
    p[0] = 2 << 6; // what it has received is between it and this node
    put16(p + 2, SR_BYTES / 4 - 1);
    const struct room *room = &r->rooms[from->room];
    for (uint32_t c = room->last; c != NONE; c = r->chunks[c].previous)
        for (uint32_t k = 0; k < r->chunks[c].n; k++) {
            struct peer *to = &r->peers[r->chunks[c].peers[k]];
            if (to != from && to->rights.hears && relay_reached(to))
                out_rtcp(r, to, p, SR_BYTES);
        }
}

// Several packets in a row, the first of which seal_open_rtcp has looked at.
static void take_compound(struct relay *r, struct peer *from, uint8_t *p, size_t n)
{
    struct rtcp h;
    for (uint32_t i = 0; i < COMPOUND_MAX && rtcp_parse(p, n, &h) == OK; i++) {
        size_t length = 4 * (get16(p + 2) + 1);
        if (h.ssrc - from->ssrc >= RELAY_SSRCS)
            put32(p + 4, from->ssrc); // who only receives may call himself anything, but not somebody else
        if (relayed(&h))
            take_feedback(r, from, p, length);
        else if (h.type == RTCP_SR && h.ssrc - from->ssrc < RELAY_SSRCS)
            take_sender_report(r, from, p, length);
        p += length;
        n -= length;
    }
}

// Modes without a counter have nothing that tells a repetition from the first time, so there it has to come from where
// the peer is, and says nothing of where that is.
static bool fresh(struct peer *p, const struct datagram *d, bool *newest)
{
    *newest = false;
    if (p->countless)
        return p->address != ADDRESS_NONE && same_address(p->at, d->from);
    bool anew;
    return relay_fresh_counter(p, d, newest, &anew);
}

void relay_take_rtcp(struct relay *r, struct peer *p, const struct datagram *d)
{
    uint32_t ssrc = packet_ssrc(d->p, PACKET_IS_RTCP);
    struct peer *owner = relay_owner(r, p, p && !relay_by_ssrc(r, ssrc) ? p->ssrc : ssrc);
    if (!owner)
        return;
    uint8_t *opened = opened_room(r, TAKE_MAX);
    size_t n;
    int err = seal_open_rtcp(peer_seal(r, owner), d->p, d->n, opened, &n);
    if (err) {
        M.media_dropped_malformed += err == ERR_INVALID;
        M.media_open_failures += err != ERR_INVALID;
        return;
    }
    bool newest;
    if (!fresh(owner, d, &newest)) {
        M.media_dropped_replayed++;
        return;
    }
    relay_heard_from(r, owner, d->from, newest);
    take_compound(r, owner, opened, n);
}

// --- once a second ---

// To who has sent nothing it has no blocks: it still keeps the way through a NAT open.
static void report_to(struct relay *r, struct peer *p)
{
    uint8_t report[RTCP_CLEAR + RELAY_SSRCS * RELAY_REPORT];
    size_t n = RTCP_CLEAR;
    uint8_t blocks = 0;
    for (uint32_t i = 0; i < RELAY_SSRCS; i++) {
        struct relay_stream *s = &p->streams[i];
        if (s->packets == s->told_packets)
            continue;
        uint64_t lost;
        relay_stream_report(s, p->ssrc + i, r->now_us, report + n, &lost);
        M.media_lost += lost;
        n += RELAY_REPORT;
        blocks++;
    }
    report[0] = (uint8_t)(2 << 6 | blocks);
    report[1] = RTCP_RR;
    put16(report + 2, (uint32_t)(n / 4 - 1));
    put32(report + 4, r->own_ssrc);
    out_rtcp(r, p, report, n);
    M.media_reports++;
}

static void tell_worn(struct relay *r, struct peer *p)
{
    if (!p->keyed || p->worn || !seal_worn(peer_seal(r, p)))
        return;
    p->worn = true;
    if (r->cfg.worn)
        r->cfg.worn(r->cfg.ctx, p->ssrc);
}

void relay_tick(struct relay *r, uint64_t now_us)
{
    uint64_t jitter_us = 0;
    r->now_us = now_us;
    for (uint32_t i = 0; i < r->slots; i++) {
        struct peer *p = &r->peers[i];
        if (!p->live || !relay_reached(p) || now_us - p->reported_us < REPORT_US)
            continue;
        p->reported_us = now_us;
        report_to(r, p);
    }
    relay_out_flush(r);
    for (uint32_t i = 0; i < r->slots; i++) {
        const struct peer *p = &r->peers[i];
        uint64_t us = p->live && p->streams[0].any ? relay_stream_jitter_us(&p->streams[0], AUDIO_CLOCK) : 0;
        jitter_us = us > jitter_us ? us : jitter_us;
    }
    M.media_jitter_us = jitter_us;
    for (uint32_t i = 0; i < r->slots; i++) // last: whoever is told may make it leave
        tell_worn(r, &r->peers[i]);
}
