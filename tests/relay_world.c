// relay_world: see relay_world.h.
#include "relay_world.h"

#define ROOM_FIRST 500u
#define WINDOW 128u
#define SECOND 1000000u

static struct address4 address(uint32_t place)
{
    return (struct address4){0x0a000001 + place / 3, (uint16_t)(1000 + place % 3)};
}

static bool is_at(struct address4 a, int place)
{
    return place >= 0 && a.ip == address((uint32_t)place).ip && a.port == address((uint32_t)place).port;
}

static void on_send(void *ctx, const struct relay_send *v, uint32_t n)
{
    struct world *w = ctx;
    for (uint32_t i = 0; i < n; i++) {
        CHECK(w->n_out < WORLD_SENT && v[i].n <= WORLD_BYTES);
        struct world_out *o = &w->out[w->n_out++];
        o->to = v[i].to;
        o->n = v[i].n;
        o->matched = false;
        memcpy(o->p, v[i].p, v[i].n);
    }
}

void world_init(struct world *w)
{
    struct relay_cfg cfg = {.peers_max = WORLD_PEERS,
                            .rooms_max = WORLD_ROOMS,
                            .peer_pps = 1u << 30,
                            .stranger_pps = 1u << 30,
                            .discovery_us = 10000,
                            .seed = 3,
                            .send = on_send,
                            .ctx = w};
    CHECK(sodium_init() >= 0);
    memset(w, 0, sizeof *w);
    w->now_us = 50 * SECOND;
    w->relay = relay_new(&cfg);
}

void world_fini(struct world *w)
{
    world_take(w);
    relay_free(w->relay);
}

// --- the model: what is accepted, and what it means ---

static bool countless(const struct world_peer *p)
{
    return p->client.mode == SEAL_XSALSA20_POLY1305 || p->client.mode == SEAL_XSALSA20_POLY1305_SUFFIX;
}

static void arrive(struct world *w, uint32_t peer, uint32_t place, bool proven)
{
    w->peers[peer].place = (int)place;
    w->peers[peer].proven = proven;
    for (uint32_t i = 0; i < WORLD_PEERS; i++)
        if (i != peer && w->peers[i].here && w->peers[i].place == (int)place)
            w->shared[place] = true;
}

// Has it come before, or so late that nobody can tell?
static bool stale(const struct world_peer *p, const struct world_packet *k)
{
    const struct world_stream *s = &p->streams[k->stream];
    if (k->accepted)
        return true;
    if (countless(p))
        return s->seen_any && k->number < s->seen_top && s->seen_top - k->number >= WINDOW;
    return p->counted && k->counter < p->counter_top && p->counter_top - k->counter >= WINDOW;
}

static bool is_newest(const struct world_peer *p, const struct world_packet *k)
{
    const struct world_stream *s = &p->streams[k->stream];
    return countless(p) ? !s->any || k->number > s->top : !p->counted || k->counter > p->counter_top;
}

static bool passes(const struct world_peer *p, uint32_t stream)
{
    if (stream == 0)
        return p->rights.speaks && p->announced;
    return p->rights.video && (p->video >> (stream - 1) / 2 & 1);
}

static bool was_silent(const struct world_peer *p, uint32_t number)
{
    return p->silent[number % (1u << 16) / 8] >> number % 8 & 1;
}

static void say(struct world *w, uint32_t from, const uint8_t *plain, uint32_t n, bool again)
{
    struct world_said *said = &w->said[w->n_said++];
    said->from = from;
    said->n = n;
    said->again = again;
    memcpy(said->plain, plain, n);
}

static void pass_on(struct world *w, uint32_t from, const struct world_packet *k)
{
    struct world_peer *p = &w->peers[from];
    struct world_stream *s = &p->streams[k->stream];
    bool late = s->said_any && k->number < s->said_top && s->said_top - k->number >= WINDOW;
    say(w, from, k->plain, k->plain_n, late || (k->stream == 0 && was_silent(p, k->number)));
    s->said_top = !s->said_any || k->number > s->said_top ? k->number : s->said_top;
    s->said_any = true;
    if (k->stream == 0)
        p->talks = !(k->plain_n == 15 && memcmp(k->plain + 12, "\xf8\xff\xfe", 3) == 0);
}

static void packet_came(struct world *w, const struct world_in *in)
{
    struct world_peer *p = &w->peers[in->peer];
    struct world_packet *k = in->packet;
    if (in->spoilt || !p->here || !p->keyed || k->key != p->key)
        return;
    if (stale(p, k)) {
        w->refused++;
        return;
    }
    struct world_stream *s = &p->streams[k->stream];
    if (p->place == (int)in->place)
        p->proven = true;
    else if (is_newest(p, k))
        arrive(w, in->peer, in->place, true);
    k->accepted = true;
    if (countless(p)) {
        s->seen_top = !s->seen_any || k->number > s->seen_top ? k->number : s->seen_top;
        s->seen_any = true;
    } else {
        p->counter_top = !p->counted || k->counter > p->counter_top ? k->counter : p->counter_top;
        p->counted = true;
    }
    if (passes(p, k->stream))
        pass_on(w, in->peer, k);
    if (!s->any || k->number > s->top) {
        s->top = k->number;
        memcpy(&s->top_timestamp, k->plain + 4, 4);
    }
    s->any = true;
}

// --- both compared ---

static bool listens(const struct world *w, uint32_t peer, const struct world_said *said)
{
    const struct world_peer *p = &w->peers[peer], *from = &w->peers[said->from];
    return p->here && peer != said->from && p->room == from->room && p->keyed && p->rights.hears && p->place >= 0 &&
           !(said->again && p->client.mode == SEAL_XSALSA20_POLY1305);
}

// The first that is for him is this one.
static void match_said(struct world *w, uint32_t peer, const struct world_said *said)
{
    uint8_t opened[WORLD_BYTES];
    for (uint32_t i = 0; i < w->n_out; i++) {
        struct world_out *o = &w->out[i];
        if (o->matched || !is_at(o->to, w->peers[peer].place) || o->n < RTP_HEADER + 16)
            continue;
        size_t n = voice_open(&w->peers[peer].client, o->p, o->n, opened);
        if (!n)
            continue;
        CHECK(n == said->n && memcmp(opened, said->plain, n) == 0);
        o->matched = true;
        w->heard++;
        return;
    }
    check_failed(__FILE__, __LINE__, "somebody must hear this and does not", peer);
}

static void match_answer(struct world *w, uint32_t place, uint32_t n, const char *begins, bool may_lack)
{
    for (uint32_t i = 0; i < w->n_out; i++) {
        struct world_out *o = &w->out[i];
        if (o->matched || !is_at(o->to, (int)place) || o->n != n || memcmp(o->p, begins, 4) != 0)
            continue;
        o->matched = true;
        return;
    }
    CHECK(may_lack);
}

static bool anybody_at(const struct world *w, uint32_t place)
{
    for (uint32_t i = 0; i < WORLD_PEERS; i++)
        if (w->peers[i].here && w->peers[i].place == (int)place)
            return true;
    return false;
}

static void came(struct world *w, const struct world_in *in)
{
    struct world_peer *p = &w->peers[in->peer];
    switch (in->kind) {
    case WORLD_PACKET:
        packet_came(w, in);
        break;
    case WORLD_DISCOVERY:
        if (!in->known)
            break;
        if (p->place < 0 || (!p->proven && !p->keyed))
            arrive(w, in->peer, in->place, false);
        match_answer(w, in->place, PACKET_DISCOVERY, "\0\2\0\106", false);
        break;
    case WORLD_PING:
        if (anybody_at(w, in->place))
            match_answer(w, in->place, in->n, "\x13\x37\xf0\x0d", w->shared[in->place]);
        break;
    case WORLD_RAW:
        break;
    }
}

static void compare(struct world *w)
{
    CHECK(relay_valid(w->relay));
    if (w->wild)
        w->n_said = w->n_out = 0;
    for (uint32_t i = 0; i < w->n_said; i++)
        for (uint32_t k = 0; k < WORLD_PEERS; k++)
            if (listens(w, k, &w->said[i]))
                match_said(w, k, &w->said[i]);
    for (uint32_t i = 0; i < w->n_out; i++)
        CHECK_ID(w->out[i].matched, i);
    w->n_said = w->n_out = 0;
}

void world_take(struct world *w)
{
    struct datagram v[WORLD_BATCH];
    for (uint32_t i = 0; i < w->n_in; i++)
        v[i] = (struct datagram){address(w->in[i].place), w->in[i].p, w->in[i].n};
    w->now_us += 10000;
    relay_take(w->relay, v, w->n_in, w->now_us);
    w->now_us += 10000;
    relay_answer(w->relay, w->now_us);
    for (uint32_t i = 0; !w->wild && i < w->n_in; i++)
        came(w, &w->in[i]);
    w->n_in = 0;
    compare(w);
}

// --- what the signalling does ---

void world_join(struct world *w, uint32_t peer, uint32_t room)
{
    struct world_peer *p = &w->peers[peer];
    world_take(w);
    if (p->here)
        return;
    memset(p, 0, sizeof *p);
    p->here = true;
    p->room = room;
    p->place = -1;
    p->timestamp = 0xffffff00u;
    for (uint32_t i = 0; i < RELAY_SSRCS; i++)
        p->streams[i].next = (1u << 16) + 65500 + i;
    p->name = relay_join(w->relay, ROOM_FIRST + room, peer + 1, &p->client.ssrc);
    CHECK(p->name && relay_valid(w->relay));
    for (uint32_t i = 0; i < WORLD_PEERS; i++)
        CHECK(i == peer || !w->peers[i].here ||
              w->peers[i].client.ssrc - p->client.ssrc + RELAY_SSRCS > 2 * RELAY_SSRCS ||
              w->peers[i].client.ssrc - p->client.ssrc == RELAY_SSRCS ||
              p->client.ssrc - w->peers[i].client.ssrc == RELAY_SSRCS);
}

void world_leave(struct world *w, uint32_t peer)
{
    world_take(w);
    relay_leave(w->relay, w->peers[peer].name); // also who has left already
    w->peers[peer].here = false;
    CHECK(relay_valid(w->relay));
}

void world_key(struct world *w, uint32_t peer, enum seal_mode mode)
{
    static uint8_t next[SEAL_KEY];
    struct world_peer *p = &w->peers[peer];
    world_take(w);
    if (!p->here)
        return;
    sodium_increment(next, sizeof next);
    memcpy(p->client.key, next, sizeof next);
    p->client.mode = mode;
    p->client.counter = 0;
    p->key++;
    p->keyed = true;
    p->counted = false;
    relay_key(w->relay, p->name, mode, p->client.key);
}

// Who was speaking and may not any more falls silent.
static void silence(struct world *w, uint32_t peer)
{
    struct world_peer *p = &w->peers[peer];
    struct world_stream *s = &p->streams[0];
    uint8_t t[4], plain[WORLD_BYTES];
    memcpy(t, &s->top_timestamp, 4);
    uint32_t timestamp = (uint32_t)t[0] << 24 | (uint32_t)t[1] << 16 | (uint32_t)t[2] << 8 | t[3];
    for (uint32_t i = 1; i <= 5; i++) {
        uint32_t number = s->top + i;
        size_t n =
            client_rtp(plain, RTP_PT_OPUS, p->client.ssrc, (uint16_t)number, timestamp + i * 960, "\xf8\xff\xfe", 3);
        say(w, peer, plain, (uint32_t)n, false);
        p->silent[number % (1u << 16) / 8] |= (uint8_t)(1 << number % 8);
        s->said_top = number > s->said_top ? number : s->said_top;
    }
    p->talks = false;
}

void world_rights(struct world *w, uint32_t peer, struct relay_rights rights)
{
    struct world_peer *p = &w->peers[peer];
    world_take(w);
    if (!p->here)
        return;
    p->rights = rights;
    relay_rights(w->relay, p->name, rights);
    if (p->talks && !rights.speaks)
        silence(w, peer);
    compare(w);
}

void world_announced(struct world *w, uint32_t peer)
{
    world_take(w);
    relay_announced(w->relay, w->peers[peer].name);
    w->peers[peer].announced = true;
}

void world_video(struct world *w, uint32_t peer, uint32_t streams)
{
    world_take(w);
    relay_video(w->relay, w->peers[peer].name, streams);
    w->peers[peer].video = streams;
}

// Reports go to those who have a key and are somewhere, one to each.
void world_tick(struct world *w)
{
    uint8_t opened[WORLD_BYTES];
    world_take(w);
    w->now_us += SECOND;
    relay_tick(w->relay, w->now_us);
    for (uint32_t k = 0; k < WORLD_PEERS; k++) {
        const struct world_peer *p = &w->peers[k];
        for (uint32_t i = 0; p->here && p->keyed && i < w->n_out; i++) {
            struct world_out *o = &w->out[i];
            if (o->matched || !is_at(o->to, p->place) || !voice_open(&p->client, o->p, o->n, opened))
                continue;
            CHECK(opened[1] == 201);
            o->matched = true;
            break;
        }
    }
    compare(w);
}

// --- the batch ---

static struct world_in *add(struct world *w, enum world_kind kind, uint32_t peer, uint32_t place)
{
    if (w->n_in == WORLD_BATCH)
        world_take(w);
    struct world_in *in = &w->in[w->n_in++];
    in->kind = kind;
    in->peer = peer;
    in->place = place;
    in->packet = NULL;
    in->spoilt = in->known = false;
    return in;
}

static void add_packet(struct world *w, uint32_t peer, struct world_packet *k, uint32_t place)
{
    struct world_in *in = add(w, WORLD_PACKET, peer, place);
    in->packet = k;
    in->n = k->sealed_n;
    memcpy(in->p, k->sealed, k->sealed_n);
}

void world_speak(struct world *w, uint32_t peer, uint32_t stream, uint32_t place, uint32_t skip, uint32_t bytes)
{
    struct world_peer *p = &w->peers[peer];
    uint8_t body[100];
    if (!p->here || !p->keyed)
        return;
    struct world_packet *k = &p->past[p->n_past++ % WORLD_PAST];
    for (uint32_t i = 0; i < w->n_in; i++)
        if (w->in[i].packet == k)
            world_take(w); // it is about to be another
    struct world_stream *s = &p->streams[stream];
    memset(body, (int)p->n_past & 0x7f, sizeof body);
    bytes %= sizeof body;
    if (bytes == 3)
        memcpy(body, "\xf8\xff\xfe", 3);
    p->client.counter += skip;
    s->next += 1 + skip;
    p->timestamp += 960;
    *k = (struct world_packet){
        .stream = stream, .number = s->next, .counter = p->client.counter, .key = p->key, .accepted = false};
    k->plain_n = (uint32_t)client_rtp(k->plain, stream ? 103 : RTP_PT_OPUS, p->client.ssrc + stream, (uint16_t)s->next,
                                      p->timestamp, body, bytes);
    k->sealed_n = (uint32_t)voice_seal(&p->client, k->plain, k->plain_n, k->sealed);
    add_packet(w, peer, k, place);
}

void world_repeat(struct world *w, uint32_t peer, uint32_t which, uint32_t place)
{
    struct world_peer *p = &w->peers[peer];
    uint32_t n = p->n_past < WORLD_PAST ? p->n_past : WORLD_PAST;
    if (n)
        add_packet(w, peer, &p->past[which % n], place);
}

void world_spoil(struct world *w, uint32_t at, uint8_t with)
{
    struct world_in *in = w->n_in ? &w->in[w->n_in - 1] : NULL;
    if (!in || in->kind != WORLD_PACKET || in->spoilt || !with)
        return;
    enum seal_mode mode = w->peers[in->peer].client.mode;
    bool loose = mode == SEAL_XSALSA20_POLY1305_LITE || mode == SEAL_XSALSA20_POLY1305_SUFFIX; // the header is
    in->p[loose ? RTP_HEADER + at % (in->n - RTP_HEADER) : at % in->n] ^= with;
    in->spoilt = true;
}

void world_discover(struct world *w, uint32_t peer, uint32_t off, uint32_t place)
{
    struct world_in *in = add(w, WORLD_DISCOVERY, peer, place);
    in->n = PACKET_DISCOVERY;
    in->known = w->peers[peer].here && off == 0;
    memset(in->p, 0, PACKET_DISCOVERY);
    in->p[1] = 1;
    in->p[3] = 70;
    client_put32(in->p + 4, in->known ? w->peers[peer].client.ssrc : off % (RELAY_SSRCS - 1) + 2);
}

void world_ping(struct world *w, uint32_t place)
{
    struct world_in *in = add(w, WORLD_PING, 0, place);
    in->n = 8 + place;
    memset(in->p, (int)place, in->n);
    memcpy(in->p, "\x13\x37\xca\xfe", 4);
}

// Neither a discovery nor a ping: those have their own.
void world_raw(struct world *w, uint32_t place, const uint8_t *p, uint32_t n)
{
    struct world_in *in = add(w, WORLD_RAW, 0, place);
    in->n = n < WORLD_BYTES ? n : WORLD_BYTES - 1;
    if (in->n)
        memcpy(in->p, p, in->n);
    if (in->n == PACKET_DISCOVERY || in->n == PACKET_DISCOVERY_OLD)
        in->n--;
    if (in->n && in->p[0] == 0x13)
        in->p[0] = 0x93;
}

static void match_wild(const struct world *w, uint32_t from, const struct world_out *o)
{
    uint8_t opened[WORLD_BYTES];
    for (uint32_t i = 0; i < WORLD_PEERS; i++) {
        const struct world_peer *p = &w->peers[i];
        if (!p->here || !p->keyed || i == from || p->room != w->peers[from].room)
            continue;
        size_t n = voice_open(&p->client, o->p, o->n, opened);
        if (!n)
            continue;
        bool feedback = opened[1] == 205 || opened[1] == 206;
        CHECK(p->rights.hears || feedback);
        CHECK(feedback || opened[1] == 200 || w->peers[from].rights.speaks || w->peers[from].rights.video);
        return;
    }
    check_failed(__FILE__, __LINE__, "nobody may be sent this", from);
}

void world_wild(struct world *w, uint32_t peer, uint32_t place, const uint8_t *plain, uint32_t n)
{
    struct world_peer *p = &w->peers[peer];
    uint8_t own[WORLD_BYTES], sealed[WORLD_BYTES];
    world_take(w);
    w->wild = true;
    n = n < 200 ? n : 200;
    if (!p->here || !p->keyed || n < RTP_HEADER)
        return;
    memcpy(own, plain, n);
    own[0] = (uint8_t)(0x80 | own[0]); // else it is nothing
    own[0] &= 0xbf;
    bool rtcp = own[1] >= 192 && own[1] < 224;
    client_put32(own + (rtcp ? 4 : 8), p->client.ssrc + own[0] % (RELAY_SSRCS + 1));
    if (n < voice_clear(p->client.mode, own, n))
        return;
    struct datagram d = {address(place), sealed, (uint32_t)voice_seal(&p->client, own, n, sealed)};
    relay_take(w->relay, &d, 1, w->now_us);
    for (uint32_t i = 0; i < w->n_out; i++)
        match_wild(w, peer, &w->out[i]);
    compare(w);
}
