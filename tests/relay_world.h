// relay_world: a slow, obvious model of who must hear what, next to a relay to which the same happens. Whoever drives
// it (the randomised test, the fuzzer) picks; after each batch both agree on every datagram that went out: to whom, and
// what it is when it is opened with his key. What does not agree is a failed CHECK.
#pragma once
#include "relay.h"
#include "voice_client.h"

#define WORLD_PEERS 8u
#define WORLD_ROOMS 3u
#define WORLD_PLACES 20u // addresses: two of each peer, the rest of strangers
#define WORLD_BATCH 12u
#define WORLD_SENT 1024u
#define WORLD_PAST 16u   // packets of each that are kept, to come again
#define WORLD_BYTES 320u // of a datagram

struct world_packet {
    uint8_t plain[WORLD_BYTES], sealed[WORLD_BYTES];
    uint32_t plain_n, sealed_n;
    uint32_t stream, number, counter; // number: of the sequence, to 32 bits
    uint64_t key;                     // the how manieth of the peer's keys sealed it
    bool accepted;
};
struct world_stream {
    bool any, said_any, seen_any;
    uint32_t next, top, top_timestamp; // numbers
    uint32_t said_top;                 // the highest passed on
    uint32_t seen_top;                 // of modes without a counter
};
struct world_peer {
    bool here, keyed, announced, talks, proven, counted;
    relay_peer name;
    struct voice_client client;
    uint64_t key;
    uint32_t room, video, counter_top; // counted: there is a counter_top
    struct relay_rights rights;
    int place; // where it is, or -1
    uint32_t timestamp;
    struct world_stream streams[RELAY_SSRCS];
    uint8_t silent[(1u << 16) / 8]; // numbers of audio that were silence of the relay's making
    struct world_packet past[WORLD_PAST];
    uint32_t n_past;
};
enum world_kind { WORLD_PACKET, WORLD_DISCOVERY, WORLD_PING, WORLD_RAW };
struct world_in {
    enum world_kind kind;
    uint32_t place, peer, n;
    struct world_packet *packet; // of WORLD_PACKET
    bool spoilt, known;          // known: of WORLD_DISCOVERY, it names somebody
    uint8_t p[WORLD_BYTES];
};
struct world_out {
    struct address4 to;
    uint32_t n;
    uint8_t p[WORLD_BYTES];
    bool matched;
};
struct world_said {
    uint32_t from, n;
    bool again;
    uint8_t plain[WORLD_BYTES];
};
struct world {
    struct relay *relay;
    uint64_t now_us;
    struct world_peer peers[WORLD_PEERS];
    bool shared[WORLD_PLACES]; // more than one has been there at a time
    struct world_in in[WORLD_BATCH];
    struct world_out out[WORLD_SENT];
    struct world_said said[WORLD_BATCH + 5];
    uint32_t n_in, n_out, n_said;
    bool wild;
    uint32_t heard, refused; // in all: packets opened by listeners; genuine ones that came again or too late
};

void world_init(struct world *w);
void world_fini(struct world *w);

// What the signalling does. What is in the batch comes first.
void world_join(struct world *w, uint32_t peer, uint32_t room);
void world_leave(struct world *w, uint32_t peer);
void world_key(struct world *w, uint32_t peer, enum seal_mode mode);
void world_rights(struct world *w, uint32_t peer, struct relay_rights rights);
void world_announced(struct world *w, uint32_t peer);
void world_video(struct world *w, uint32_t peer, uint32_t streams);
void world_tick(struct world *w);
// Each adds a datagram to the batch, from a place; a full one is taken.
void world_speak(struct world *w, uint32_t peer, uint32_t stream, uint32_t place, uint32_t skip, uint32_t bytes);
void world_repeat(struct world *w, uint32_t peer, uint32_t which, uint32_t place);
void world_spoil(struct world *w, uint32_t at, uint8_t with); // the last one: it opens no more
void world_discover(struct world *w, uint32_t peer, uint32_t off, uint32_t place);
void world_ping(struct world *w, uint32_t place);
void world_raw(struct world *w, uint32_t place, const uint8_t *p, uint32_t n); // what nobody has sealed
void world_take(struct world *w);
// A peer seals anything. What comes of it the model does not know; from then on it only knows who may be sent something
// at all: those in the sender's room but himself, and he who is answered.
void world_wild(struct world *w, uint32_t peer, uint32_t place, const uint8_t *plain, uint32_t n);
