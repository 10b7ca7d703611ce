// relay_in: a datagram comes in: whose it is, whether it is genuine, and whether it is passed on. What does not open
// with the key of the peer whose SSRC it carries changes nothing but counters.
#include "relay_private.h"
#include "network_order.h"
#include "metrics.h"

#include <string.h>

#define EXTENSION_ONE_BYTE 0xbedeu // RFC 8285, 4.2
#define EXTENSION_SPEAKER 9u
#define SPEAKER_PRIORITY 1u

// --- rates ---

bool relay_tally(struct tally *t, uint64_t now_us, uint32_t most)
{
    uint32_t second = (uint32_t)(now_us / 1000000);
    if (t->second != second)
        *t = (struct tally){.second = second};
    if (t->n >= most)
        return false;
    t->n++;
    return true;
}

// Of addresses that are nobody's many share a counter, so that however many there are all of them together are bounded.
static bool may_send(struct relay *r, struct peer *p, struct address4 from)
{
    if (p) {
        bool may = relay_tally(&p->tally, r->now_us, r->cfg.peer_pps);
        M.media_dropped_peer_rate += !may;
        return may;
    }
    uint64_t hash = relay_hash((uint64_t)from.ip << 16 | from.port, ~r->salt);
    bool may = relay_tally(&r->strangers[hash % STRANGERS], r->now_us, r->cfg.stranger_pps);
    M.media_dropped_stranger_rate += !may;
    return may;
}

// --- what somebody is known by ---

// Of modes with a counter, which ends the packet. It is noted when it has not been seen.
// discord.js-selfbot-v13 counts from its first number again whenever it plays something, under the same key. That shows
// by another packet under one of the first numbers, which only who has the key can make; or it has just said that it
// begins to speak, of who goes on with his numbers then, the next packet takes back what a repeated one has made of
// that.
bool relay_fresh_counter(struct peer *p, const struct datagram *d, bool *newest, bool *anew)
{
    uint32_t counter = get32(d->p + d->n - 4), mark = get32(d->p + d->n - 8); // mark: of the seal
    bool before = seen_before(&p->seen, counter);
    uint32_t place = p->seen.any ? counter - p->first : 0;
    bool may = place < RELAY_MARKS && (p->begins || (p->marks[place] && p->marks[place] != mark));
    *anew = before;
    if (before && !may)
        return false;
    *newest = !before && (!p->seen.any || counter > p->seen.top);
    if (!p->seen.any)
        p->first = counter;
    if (before)
        p->seen = (struct seen){0};
    if (place < RELAY_MARKS)
        p->marks[place] = mark;
    p->begins = false;
    seen_note(&p->seen, counter);
    return true;
}

// A genuine packet came from there. One that is older than what has been received says nothing of where p is now.
void relay_heard_from(struct relay *r, struct peer *p, struct address4 from, bool newest)
{
    bool there = p->address != ADDRESS_NONE && same_address(p->at, from);
    if (there ? p->address != ADDRESS_PROVEN || !p->listed : newest)
        relay_bind(r, p, from, ADDRESS_PROVEN);
}

struct peer *relay_owner(struct relay *r, struct peer *p, uint32_t ssrc)
{
    struct peer *owner = p && ssrc - p->ssrc < RELAY_SSRCS ? p : relay_by_ssrc(r, ssrc);
    if (!owner || !owner->keyed) {
        M.media_dropped_unknown++;
        return NULL;
    }
    if (owner != p && !relay_tally(&r->openings, r->now_us, OPENINGS)) {
        M.media_dropped_stranger_rate++;
        return NULL;
    }
    return owner;
}

// --- ping ---

// Nothing is sent to where nobody has been discovered.
static void take_ping(struct relay *r, const struct peer *p, const struct datagram *d)
{
    if (!p) {
        M.media_dropped_unknown++;
        return;
    }
    ping_answer(relay_out_room(r, d->n), d->p, d->n);
    relay_out_add(r, d->from, d->n);
    M.media_pings++;
}

// --- RTP ---

// Who has not the right to it does not have the priority bit of the speaker extension set.
static void drop_priority(struct opened *o, uint8_t *room)
{
    if (o->ext_n < 4 || get16(o->ext) != EXTENSION_ONE_BYTE)
        return;
    uint8_t *ext = room + (o->ext - room);
    for (uint32_t i = 4; i < o->ext_n;) {
        uint32_t id = ext[i] >> 4, n = (ext[i] & 15u) + 1;
        if (id == 0) { // padding
            i++;
            continue;
        }
        if (id == 15 || i + n >= o->ext_n)
            return;
        if (id == EXTENSION_SPEAKER)
            ext[i + 1] &= (uint8_t)~SPEAKER_PRIORITY;
        i += 1 + n;
    }
}

static void tell_heard(struct relay *r, const struct peer *p, const struct opened *o)
{
    const struct room *room = &r->rooms[p->room];
    if (!room->tapped || !r->cfg.heard)
        return;
    struct relay_heard h = {.user = p->user,
                            .ssrc = o->rtp.ssrc,
                            .timestamp = o->rtp.timestamp,
                            .seq = o->rtp.seq,
                            .at_us = r->now_us,
                            .payload = {(const char *)o->body, o->body_n}};
    r->cfg.heard(r->cfg.ctx, room->id, &h);
}

struct taken *relay_take_place(struct relay *r)
{
    if (r->n_taken == TAKE_MAX)
        relay_fan_out(r);
    return &r->taken[r->n_taken];
}

void relay_pass_on(struct relay *r, struct peer *p, struct taken *t)
{
    struct room *room = &r->rooms[p->room];
    if (t->o.rtp.ssrc == p->ssrc)
        tell_heard(r, p, &t->o);
    if (room->n < 2)
        return;
    t->from = (uint32_t)(p - r->peers);
    t->next = NONE;
    if (room->first_taken == NONE) {
        room->first_taken = r->n_taken;
        r->touched[r->n_touched++] = p->room;
    } else {
        r->taken[room->last_taken].next = r->n_taken;
    }
    room->last_taken = r->n_taken++;
}

static bool is_silence(const struct opened *o)
{
    return o->body_n == 3 && memcmp(o->body, "\xf8\xff\xfe", 3) == 0;
}

// A genuine packet of p that is not a repetition; it lies in t.
static void take_opened(struct relay *r, struct peer *p, struct taken *t, uint32_t number)
{
    struct opened *o = &t->o;
    uint32_t stream = o->rtp.ssrc - p->ssrc;
    struct relay_stream *s = &p->streams[stream];
    relay_stream_note(s, number, o->rtp.timestamp, o->body_n, stream_clock(stream), r->now_us);
    if (!relay_passes(p, stream)) {
        if (stream)
            M.media_dropped_video++;
        else if (p->rights.speaks)
            M.media_dropped_unannounced++;
        else
            M.media_dropped_muted++;
        return;
    }
    t->again = !relay_stream_say(s, number, o->rtp.timestamp, stream == 0, &t->shift);
    if (stream == 0) {
        o->rtp.pt = RTP_PT_OPUS;
        p->talks = !is_silence(o);
    }
    if (!p->rights.priority)
        drop_priority(o, opened_room(r, r->n_taken));
    relay_pass_on(r, p, t);
}

// Of modes without a counter the sequence numbers tell; the timestamps, that it is not an old packet of another round.
// In xsalsa20_poly1305_suffix that is for accidents only: nothing binds the header to what is sealed there, so whoever
// can read a packet on its way can send it again under another number. It is why that mode is old.
static bool fresh_number(struct relay_stream *s, uint32_t number, uint32_t timestamp, bool *newest)
{
    if (seen_before(&s->seen, number) || !relay_stream_goes_on(s, number, timestamp))
        return false;
    *newest = !s->any || number > s->top;
    seen_note(&s->seen, number);
    return true;
}

static void take_rtp(struct relay *r, struct peer *p, const struct datagram *d)
{
    uint32_t ssrc = packet_ssrc(d->p, PACKET_IS_RTP);
    struct peer *owner = relay_owner(r, p, ssrc);
    if (!owner)
        return;
    struct taken *t = relay_take_place(r);
    int err = seal_open_rtp(peer_seal(r, owner), d->p, d->n, opened_room(r, r->n_taken), &t->o);
    if (err) {
        M.media_dropped_malformed += err == ERR_INVALID;
        M.media_open_failures += err != ERR_INVALID;
        return;
    }
    struct relay_stream *s = &owner->streams[ssrc - owner->ssrc];
    uint32_t number = relay_stream_extend(s, t->o.rtp.seq);
    bool newest, anew = false;
    bool fresh = owner->countless ? fresh_number(s, number, t->o.rtp.timestamp, &newest)
                                  : relay_fresh_counter(owner, d, &newest, &anew);
    if (!fresh) {
        M.media_dropped_replayed++;
        return;
    }
    relay_heard_from(r, owner, d->from, newest);
    take_opened(r, owner, t, anew ? relay_stream_anew(s, number) : number);
}

// --- one datagram ---

// Who is at the address that it comes from. Of several who share one, him whose SSRC it carries: it is his rate that it
// counts against.
static struct peer *source(const struct relay *r, const struct datagram *d, enum packet_kind kind)
{
    bool carries = kind == PACKET_IS_RTP || kind == PACKET_IS_RTCP;
    struct peer *p = carries ? relay_by_ssrc(r, packet_ssrc(d->p, kind)) : NULL;
    bool there = p && p->address != ADDRESS_NONE && same_address(p->at, d->from);
    return there ? p : relay_by_address(r, d->from);
}

static void take_one(struct relay *r, const struct datagram *d)
{
    M.media_packets_in++;
    M.media_bytes_in += d->n;
    bool answerable = d->from.ip && d->from.port;
    enum packet_kind kind = d->n <= PACKET_MAX && answerable ? packet_kind(d->p, d->n) : PACKET_IS_NONE;
    struct peer *p = source(r, d, kind);
    if (!may_send(r, p, d->from))
        return;
    switch (kind) {
    case PACKET_IS_DISCOVERY:
    case PACKET_IS_DISCOVERY_OLD:
        relay_take_discovery(r, d);
        break;
    case PACKET_IS_PING:
        take_ping(r, p, d);
        break;
    case PACKET_IS_KEEPALIVE:
        M.media_keepalives++;
        break;
    case PACKET_IS_RTP:
        take_rtp(r, p, d);
        break;
    case PACKET_IS_RTCP:
        relay_take_rtcp(r, p, d);
        break;
    case PACKET_IS_NONE:
    case PACKET_KINDS:
        M.media_dropped_malformed++;
        break;
    }
}

void relay_take(struct relay *r, struct datagram *v, uint32_t n, uint64_t now_us)
{
    r->now_us = now_us;
    for (uint32_t i = 0; i < n; i++)
        take_one(r, &v[i]);
    relay_fan_out(r);
    relay_out_flush(r);
}

void relay_say(struct relay *r, relay_peer name, uint16_t seq, uint32_t timestamp, struct bytes payload,
               uint64_t now_us)
{
    struct peer *p = relay_by_ssrc(r, name);
    CHECK(payload.n <= PACKET_MAX);
    if (!p || p->ssrc != name)
        return;
    r->now_us = now_us;
    struct taken *t = relay_take_place(r);
    uint8_t *room = opened_room(r, r->n_taken);
    if (payload.n)
        memcpy(room, payload.p, payload.n);
    t->o = (struct opened){.body = room, .body_n = (uint32_t)payload.n};
    t->o.rtp = (struct rtp){.pt = RTP_PT_OPUS, .seq = seq, .timestamp = timestamp, .ssrc = p->ssrc};
    take_opened(r, p, t, relay_stream_extend(&p->streams[0], seq));
    relay_fan_out(r);
    relay_out_flush(r);
}
