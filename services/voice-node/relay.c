// relay: who is there. Peers, rooms and the lists of who is in which, in memory that was taken at the beginning.
#include "relay_private.h"
#include "metrics.h"

#include <sodium.h>
#include <string.h>

#define SSRC_END 0x80000000u
#define SILENCE_FRAMES 5u
#define SILENCE_TIMESTAMPS 960u // of one frame: 20 ms
#define ALIGNMENT 64u

static void take_memory(struct relay *r)
{
    uint32_t peers = r->cfg.peers_max, rooms = r->cfg.rooms_max;
    r->peers = mem_alloc(r->slots * sizeof *r->peers);
    r->free_peers = mem_alloc(peers * sizeof *r->free_peers);
    r->rooms = mem_alloc(rooms * sizeof *r->rooms);
    r->free_rooms = mem_alloc(rooms * sizeof *r->free_rooms);
    r->chunks_max = peers / CHUNK + rooms;
    r->chunks = mem_alloc(r->chunks_max * sizeof *r->chunks);
    r->seal_stride = (seal_size() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    r->seals_memory = mem_alloc(r->slots * r->seal_stride + ALIGNMENT);
    r->seals = (uint8_t *)(((uintptr_t)r->seals_memory + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    r->opened = mem_alloc((TAKE_MAX + 1) * PACKET_MAX);
    r->out_bytes = mem_alloc(OUT_BYTES);
    relay_map_init(&r->by_address, peers, r->salt);
    relay_map_init(&r->by_room, rooms, r->salt);
}

// Numbers drawn with the seed: who is told some of them, as all are told SSRCs, learns nothing of the others.
static uint64_t draw(const struct relay *r, uint64_t which)
{
    uint8_t key[crypto_shorthash_KEYBYTES] = {0};
    uint64_t out;
    _Static_assert(sizeof out == crypto_shorthash_BYTES, "a number");
    memcpy(key, &r->cfg.seed, sizeof r->cfg.seed);
    crypto_shorthash((uint8_t *)&out, (const uint8_t *)&which, sizeof which, key);
    return out;
}

struct relay *relay_new(const struct relay_cfg *cfg)
{
    CHECK(cfg->peers_max > 0 && cfg->peers_max <= 1u << 20 && cfg->rooms_max > 0 && cfg->rooms_max <= 1u << 20);
    struct relay *r = mem_alloc(sizeof *r);
    r->cfg = *cfg;
    r->salt = draw(r, r->n_drawn++);
    r->own_ssrc = SSRC_END | (uint32_t)draw(r, r->n_drawn++);
    for (r->slots = 1; r->slots < cfg->peers_max;)
        r->slots *= 2;
    r->generations = (SSRC_END - 1) / RELAY_SSRCS / r->slots;
    take_memory(r);
    for (uint32_t i = 0; i < cfg->peers_max; i++)
        r->free_peers[i] = i;
    for (uint32_t i = 0; i < cfg->rooms_max; i++) {
        r->free_rooms[i] = i;
        r->rooms[i] = (struct room){.last = NONE, .first_taken = NONE};
    }
    for (uint32_t i = 0; i < r->chunks_max; i++)
        r->chunks[i].previous = i + 1 < r->chunks_max ? i + 1 : NONE;
    return r;
}

void relay_free(struct relay *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->slots; i++)
        if (r->peers[i].keyed)
            seal_fini(peer_seal(r, &r->peers[i]));
    relay_map_fini(&r->by_address);
    relay_map_fini(&r->by_room);
    mem_free(r->peers);
    mem_free(r->free_peers);
    mem_free(r->rooms);
    mem_free(r->free_rooms);
    mem_free(r->chunks);
    mem_free(r->seals_memory);
    mem_free(r->opened);
    mem_free(r->out_bytes);
    mem_free(r);
}

// --- looking up ---

struct peer *relay_by_ssrc(const struct relay *r, uint32_t ssrc)
{
    if (ssrc == 0 || ssrc >= SSRC_END)
        return NULL;
    struct peer *p = &r->peers[(ssrc - 1) / RELAY_SSRCS & (r->slots - 1)];
    return p->live && ssrc - p->ssrc < RELAY_SSRCS ? p : NULL;
}

static struct peer *by_name(const struct relay *r, relay_peer name)
{
    struct peer *p = relay_by_ssrc(r, name);
    return p && p->ssrc == name ? p : NULL;
}

static uint64_t address_key(struct address4 a)
{
    return (uint64_t)a.ip << 16 | a.port;
}

struct peer *relay_by_address(const struct relay *r, struct address4 a)
{
    uint32_t slot = relay_map_get(&r->by_address, address_key(a));
    return slot ? &r->peers[slot - 1] : NULL;
}

// --- addresses ---

static void unlist(struct relay *r, struct peer *p)
{
    if (p->listed)
        relay_map_remove(&r->by_address, address_key(p->at));
    p->listed = false;
}

// Two peers may be at one address. It leads to the one that has proven it, to the first if both have; the other is
// still known by its SSRC.
void relay_bind(struct relay *r, struct peer *p, struct address4 a, enum address_state how)
{
    if (p->address == ADDRESS_NONE || !same_address(p->at, a)) {
        M.media_rebinds += p->address != ADDRESS_NONE;
        unlist(r, p);
        p->at = a;
        p->address = (uint8_t)how;
    } else if (how > p->address) {
        p->address = (uint8_t)how;
    }
    struct peer *other = relay_by_address(r, a);
    if (other && other != p && other->address < p->address) {
        unlist(r, other);
        other = NULL;
    }
    if (!other) {
        relay_map_put(&r->by_address, address_key(a), (uint32_t)(p - r->peers) + 1);
        p->listed = true;
    }
}

// --- rooms ---

static struct room *room_of(struct relay *r, uint64_t id)
{
    uint32_t i = relay_map_get(&r->by_room, id);
    if (i)
        return &r->rooms[i - 1];
    if (r->n_rooms == r->cfg.rooms_max)
        return NULL;
    i = r->free_rooms[r->n_rooms++];
    r->rooms[i] = (struct room){.id = id, .last = NONE, .first_taken = NONE, .live = true};
    relay_map_put(&r->by_room, id, i + 1);
    return &r->rooms[i];
}

static void room_end(struct relay *r, struct room *room)
{
    if (room->n || room->tapped)
        return;
    relay_map_remove(&r->by_room, room->id);
    room->live = false;
    r->free_rooms[--r->n_rooms] = (uint32_t)(room - r->rooms);
}

static void room_add(struct relay *r, struct room *room, struct peer *p)
{
    if (room->last == NONE || r->chunks[room->last].n == CHUNK) {
        uint32_t c = r->free_chunk;
        CHECK(c != NONE);
        r->free_chunk = r->chunks[c].previous;
        r->chunks[c] = (struct chunk){.previous = room->last};
        room->last = c;
        r->n_chunks++;
    }
    struct chunk *c = &r->chunks[room->last];
    p->room = (uint32_t)(room - r->rooms);
    p->chunk = room->last;
    p->place = c->n;
    c->peers[c->n++] = (uint32_t)(p - r->peers);
    room->n++;
}

// The last of the list takes its place.
static void room_remove(struct relay *r, struct room *room, struct peer *p)
{
    struct chunk *last = &r->chunks[room->last];
    uint32_t moved = last->peers[--last->n];
    r->chunks[p->chunk].peers[p->place] = moved;
    r->peers[moved].chunk = p->chunk;
    r->peers[moved].place = p->place;
    room->n--;
    if (last->n == 0) {
        uint32_t c = room->last;
        room->last = last->previous;
        last->previous = r->free_chunk;
        r->free_chunk = c;
        r->n_chunks--;
    }
    room_end(r, room);
}

bool relay_tap(struct relay *r, uint64_t id, bool on)
{
    if (!on && !relay_map_get(&r->by_room, id))
        return true;
    struct room *room = room_of(r, id);
    if (!room)
        return false;
    room->tapped = on;
    room_end(r, room);
    return true;
}

// --- peers ---

relay_peer relay_join(struct relay *r, uint64_t room_id, uint64_t user, uint32_t *ssrc)
{
    struct room *room = r->n_peers < r->cfg.peers_max ? room_of(r, room_id) : NULL;
    if (!room)
        return 0;
    uint32_t slot = r->free_peers[r->n_peers++];
    struct peer *p = &r->peers[slot];
    uint32_t generation = (uint32_t)(draw(r, r->n_drawn++) % r->generations);
    if (generation == p->generation)
        generation = (generation + 1) % r->generations;
    *p = (struct peer){.live = true, .user = user, .generation = generation};
    p->ssrc = 1 + RELAY_SSRCS * (generation * r->slots + slot);
    room_add(r, room, p);
    *ssrc = p->ssrc;
    return p->ssrc;
}

void relay_leave(struct relay *r, relay_peer name)
{
    struct peer *p = by_name(r, name);
    if (!p)
        return;
    unlist(r, p);
    if (p->keyed)
        seal_fini(peer_seal(r, p));
    p->keyed = p->live = false;
    room_remove(r, &r->rooms[p->room], p);
    r->free_peers[--r->n_peers] = (uint32_t)(p - r->peers);
}

void relay_key(struct relay *r, relay_peer name, enum seal_mode m, const uint8_t key[SEAL_KEY])
{
    struct peer *p = by_name(r, name);
    if (!p)
        return;
    if (p->keyed)
        seal_fini(peer_seal(r, p));
    seal_init(peer_seal(r, p), m, key);
    p->keyed = true;
    p->worn = false;
    p->seen = (struct seen){0};
    memset(p->marks, 0, sizeof p->marks);
    p->countless = m == SEAL_XSALSA20_POLY1305 || m == SEAL_XSALSA20_POLY1305_SUFFIX;
    p->bare = m == SEAL_XSALSA20_POLY1305;
    p->reports = !p->bare;
    p->reported_us = r->now_us;
}

void relay_announced(struct relay *r, relay_peer name)
{
    struct peer *p = by_name(r, name);
    if (p)
        p->announced = true;
}

void relay_begins(struct relay *r, relay_peer name)
{
    struct peer *p = by_name(r, name);
    if (p)
        p->begins = true;
}

void relay_video(struct relay *r, relay_peer name, uint32_t streams)
{
    struct peer *p = by_name(r, name);
    if (p)
        p->video = streams;
}

bool relay_passes(const struct peer *p, uint32_t stream)
{
    if (stream == 0)
        return p->rights.speaks && p->announced;
    return p->rights.video && (p->video >> (stream - 1) / 2 & 1);
}

// Who was heard to the middle of a word is heard to fall silent: without these frames some clients go on with what
// they had.
static void silence(struct relay *r, struct peer *p)
{
    static const uint8_t frame[] = {0xf8, 0xff, 0xfe};
    const struct relay_stream *s = &p->streams[0];
    for (uint32_t i = 1; i <= SILENCE_FRAMES; i++) {
        struct taken *t = relay_take_place(r);
        memcpy(opened_room(r, r->n_taken), frame, sizeof frame);
        t->o = (struct opened){.body = opened_room(r, r->n_taken), .body_n = sizeof frame};
        t->o.rtp = (struct rtp){.pt = RTP_PT_OPUS, .ssrc = p->ssrc, .seq = (uint16_t)(s->top + i)};
        t->o.rtp.timestamp = s->timestamp + i * SILENCE_TIMESTAMPS;
        t->again = false; // if anything has been under this header, it was silence too
        t->shift = s->shift;
        seen_note(&p->streams[0].said, s->top + i);
        relay_pass_on(r, p, t);
    }
    relay_fan_out(r);
    relay_out_flush(r);
}

void relay_rights(struct relay *r, relay_peer name, struct relay_rights rights)
{
    struct peer *p = by_name(r, name);
    if (!p)
        return;
    p->rights = rights;
    if (p->talks && !rights.speaks) {
        silence(r, p);
        p->talks = false;
    }
}

// --- telling ---

bool relay_stats(const struct relay *r, relay_peer name, struct relay_stream_stats *out)
{
    const struct peer *p = by_name(r, name);
    if (!p)
        return false;
    const struct relay_stream *s = &p->streams[0];
    *out = (struct relay_stream_stats){.user = p->user,
                                       .ssrc = p->ssrc,
                                       .packets = s->packets,
                                       .bytes = s->bytes,
                                       .lost = relay_stream_lost(s),
                                       .jitter_us = relay_stream_jitter_us(s, AUDIO_CLOCK)};
    return true;
}

uint32_t relay_peers(const struct relay *r)
{
    return r->n_peers;
}

static void dump_peer(const struct relay *r, const struct peer *p, struct buf *out)
{
    static const char *const addresses[] = {"none", "found", "proven"};
    buf_printf(out,
               "peer user=%llu room=%llu ssrc=%u mode=%s address=%s speaks=%d hears=%d video=%d on=%x announced=%d\n",
               (unsigned long long)p->user, (unsigned long long)r->rooms[p->room].id, p->ssrc,
               p->keyed ? seal_name(seal_mode(peer_seal(r, p))) : "none", addresses[p->address], p->rights.speaks,
               p->rights.hears, p->rights.video, p->video, p->announced);
    for (uint32_t i = 0; i < RELAY_SSRCS; i++) {
        const struct relay_stream *s = &p->streams[i];
        if (s->packets)
            buf_printf(out, "stream ssrc=%u packets=%llu bytes=%llu lost=%llu jitter_us=%llu\n", p->ssrc + i,
                       (unsigned long long)s->packets, (unsigned long long)s->bytes,
                       (unsigned long long)relay_stream_lost(s),
                       (unsigned long long)relay_stream_jitter_us(s, stream_clock(i)));
    }
}

void relay_dump(const struct relay *r, struct buf *out)
{
    buf_printf(out, "relay peers=%u rooms=%u addresses=%u\n", r->n_peers, r->n_rooms, r->by_address.n);
    for (uint32_t i = 0; i < r->slots; i++)
        if (r->peers[i].live)
            dump_peer(r, &r->peers[i], out);
}

// --- what must hold ---

static bool room_valid(const struct relay *r, uint32_t index, uint32_t *peers, uint32_t *chunks)
{
    const struct room *room = &r->rooms[index];
    uint32_t n = 0;
    for (uint32_t c = room->last; c != NONE; c = r->chunks[c].previous, ++*chunks) {
        const struct chunk *chunk = &r->chunks[c];
        if (chunk->n == 0 || chunk->n > CHUNK || (c != room->last && chunk->n != CHUNK))
            return false;
        for (uint32_t i = 0; i < chunk->n; i++, n++) {
            const struct peer *p = &r->peers[chunk->peers[i]];
            if (!p->live || p->room != index || p->chunk != c || p->place != i)
                return false;
        }
    }
    *peers += n;
    return room->live && n == room->n && (n || room->tapped) && room->first_taken == NONE &&
           relay_map_get(&r->by_room, room->id) == index + 1;
}

static bool peer_valid(const struct relay *r, const struct peer *p)
{
    if (relay_by_ssrc(r, p->ssrc) != p || p->ssrc + RELAY_SSRCS > SSRC_END)
        return false;
    if (p->address == ADDRESS_NONE)
        return !p->listed;
    const struct peer *listed = relay_by_address(r, p->at);
    return p->listed ? listed == p : listed != p;
}

bool relay_valid(const struct relay *r)
{
    uint32_t rooms = 0, peers = 0, live = 0, listed = 0, chunks = 0;
    for (uint32_t i = 0; i < r->cfg.rooms_max; i++) {
        if (!r->rooms[i].live)
            continue;
        rooms++;
        if (!room_valid(r, i, &peers, &chunks))
            return false;
    }
    for (uint32_t i = 0; i < r->slots; i++) {
        const struct peer *p = &r->peers[i];
        if (!p->live && (p->keyed || p->listed))
            return false;
        live += p->live;
        listed += p->listed;
        if (p->live && !peer_valid(r, p))
            return false;
    }
    return relay_owed_valid(r) && rooms == r->n_rooms && rooms == r->by_room.n && peers == r->n_peers &&
           live == peers && listed == r->by_address.n && chunks == r->n_chunks && r->n_taken == 0 &&
           r->n_touched == 0 && r->n_out == 0;
}
