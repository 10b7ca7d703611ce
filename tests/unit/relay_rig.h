// relay_rig: a relay with some clients around it, for its tests: what it hands out is kept, and opened with the key of
// the client that it is for.
#pragma once
#include "metrics.h"
#include "relay.h"
#include "voice_client.h"
#include "check.h"

#define RIG_SENT 4096u
#define RIG_HEARD 64u

struct rig_sent {
    struct address4 to;
    uint32_t n;
    uint8_t p[PACKET_MAX + SEAL_GROWTH];
    bool used;
};
struct rig_client {
    struct voice_client client;
    struct address4 at;
    relay_peer peer;
    uint64_t room, user;
    uint16_t seq;
    uint32_t timestamp;
};
struct rig {
    struct relay *relay;
    uint64_t now_us;
    uint32_t n_sent, n_heard;
    struct rig_sent sent[RIG_SENT];
    struct {
        uint64_t room;
        struct relay_heard h;
        uint8_t payload[PACKET_MAX];
    } heard[RIG_HEARD];
    relay_peer worn;
    uint32_t n_worn;
};
static struct rig rig;

static UNUSED void rig_send(void *ctx, const struct relay_send *v, uint32_t n)
{
    struct rig *r = ctx;
    for (uint32_t i = 0; i < n; i++) {
        CHECK(r->n_sent < RIG_SENT && v[i].n <= sizeof r->sent[0].p);
        struct rig_sent *s = &r->sent[r->n_sent++];
        s->to = v[i].to;
        s->n = v[i].n;
        s->used = false;
        memcpy(s->p, v[i].p, v[i].n);
    }
}

static UNUSED void rig_heard(void *ctx, uint64_t room, const struct relay_heard *h)
{
    struct rig *r = ctx;
    CHECK(r->n_heard < RIG_HEARD);
    r->heard[r->n_heard].room = room;
    r->heard[r->n_heard].h = *h;
    if (h->payload.n)
        memcpy(r->heard[r->n_heard].payload, h->payload.p, h->payload.n);
    r->n_heard++;
}

static UNUSED void rig_worn(void *ctx, relay_peer p)
{
    struct rig *r = ctx;
    r->worn = p;
    r->n_worn++;
}

static UNUSED void rig_begin_later(uint32_t peers_max, uint32_t rooms_max, uint32_t peer_pps, uint32_t stranger_pps,
                                   uint32_t discovery_us)
{
    CHECK(sodium_init() >= 0);
    struct relay_cfg cfg = {.peers_max = peers_max,
                            .rooms_max = rooms_max,
                            .peer_pps = peer_pps,
                            .stranger_pps = stranger_pps,
                            .discovery_us = discovery_us,
                            .seed = 7,
                            .send = rig_send,
                            .heard = rig_heard,
                            .worn = rig_worn,
                            .ctx = &rig};
    memset(&M, 0, sizeof M);
    rig.relay = relay_new(&cfg);
    rig.now_us = 1000000000;
    rig.n_sent = rig.n_heard = rig.n_worn = 0;
}

static UNUSED void rig_begin(uint32_t peers_max, uint32_t rooms_max, uint32_t peer_pps, uint32_t stranger_pps)
{
    rig_begin_later(peers_max, rooms_max, peer_pps, stranger_pps, 0);
}

static UNUSED void rig_end(void)
{
    CHECK_TRUE(relay_valid(rig.relay));
    relay_free(rig.relay);
}

static UNUSED void rig_clear(void)
{
    rig.n_sent = rig.n_heard = 0;
}

static UNUSED void rig_take(struct address4 from, const uint8_t *p, size_t n)
{
    uint8_t copy[CLIENT_MAX];
    memcpy(copy, p, n);
    struct datagram d = {from, copy, (uint32_t)n};
    relay_take(rig.relay, &d, 1, rig.now_us);
    relay_answer(rig.relay, rig.now_us);
}

static UNUSED size_t rig_discovery(uint8_t out[PACKET_DISCOVERY], uint32_t ssrc)
{
    memset(out, 0, PACKET_DISCOVERY);
    out[1] = 1;
    out[3] = 70;
    client_put32(out + 4, ssrc);
    return PACKET_DISCOVERY;
}

static UNUSED void rig_discover(struct address4 from, uint32_t ssrc)
{
    uint8_t p[PACKET_DISCOVERY];
    rig_take(from, p, rig_discovery(p, ssrc));
}

// In a room with a key, nothing else.
static UNUSED struct rig_client rig_join(uint64_t room, uint64_t user, enum seal_mode mode)
{
    struct rig_client c = {.client.mode = mode, .room = room, .user = user, .seq = 65530, .timestamp = 4294967000u};
    c.at = (struct address4){0x0a000000u + (uint32_t)user, (uint16_t)(20000 + user)};
    memset(c.client.key, (int)user, SEAL_KEY);
    c.peer = relay_join(rig.relay, room, user, &c.client.ssrc);
    return c;
}

static const struct relay_rights rig_all = {true, true, true, true};

// The same, and it may and does everything, from its address.
static UNUSED struct rig_client rig_enter(uint64_t room, uint64_t user, enum seal_mode mode)
{
    struct rig_client c = rig_join(room, user, mode);
    rig_discover(c.at, c.client.ssrc);
    relay_key(rig.relay, c.peer, mode, c.client.key);
    relay_rights(rig.relay, c.peer, rig_all);
    relay_announced(rig.relay, c.peer);
    relay_video(rig.relay, c.peer, (1u << RELAY_STREAMS) - 1);
    rig_clear();
    return c;
}

// What it says next, sealed: on one of its streams.
static UNUSED size_t rig_frame(struct rig_client *c, uint32_t stream, const char *text, uint8_t *out)
{
    uint8_t plain[CLIENT_MAX];
    size_t n = client_rtp(plain, RTP_PT_OPUS, c->client.ssrc + stream, c->seq++, c->timestamp, text, strlen(text));
    c->timestamp += 960;
    return voice_seal(&c->client, plain, n, out);
}

static UNUSED void rig_say_on(struct rig_client *c, uint32_t stream, const char *text)
{
    uint8_t p[CLIENT_MAX];
    rig_take(c->at, p, rig_frame(c, stream, text, p));
}

static UNUSED void rig_say(struct rig_client *c, const char *text)
{
    rig_say_on(c, 0, text);
}

// The next datagram to c that has not been looked at, opened into `out`. 0: there is none, or it does not open.
static UNUSED size_t rig_got(const struct rig_client *c, uint8_t *out)
{
    for (uint32_t i = 0; i < rig.n_sent; i++) {
        struct rig_sent *s = &rig.sent[i];
        if (s->used || s->to.ip != c->at.ip || s->to.port != c->at.port)
            continue;
        s->used = true;
        return voice_open(&c->client, s->p, s->n, out);
    }
    return 0;
}

// c got exactly this from that stream next.
static UNUSED bool rig_heard_by(const struct rig_client *c, const struct rig_client *from, uint32_t stream,
                                const char *text)
{
    uint8_t p[CLIENT_MAX], wanted[CLIENT_MAX];
    size_t n = rig_got(c, p);
    size_t n_wanted = client_rtp(wanted, RTP_PT_OPUS, from->client.ssrc + stream, (uint16_t)(from->seq - 1),
                                 from->timestamp - 960, text, strlen(text));
    return n == n_wanted && memcmp(p, wanted, n) == 0;
}

static UNUSED bool rig_silent(const struct rig_client *c)
{
    for (uint32_t i = 0; i < rig.n_sent; i++)
        if (!rig.sent[i].used && rig.sent[i].to.ip == c->at.ip && rig.sent[i].to.port == c->at.port)
            return false;
    return true;
}
