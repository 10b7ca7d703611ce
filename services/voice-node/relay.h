// relay: the media plane. Who sends what to whom: a datagram comes in, is opened once and sealed for each listener.
// Pure: no socket and no clock; memory is taken once, in relay_new, and nothing that a datagram causes takes a lock,
// logs or allocates. udp.c feeds it batches and sends what it says; who is there and what each may do is told by the
// signalling.
// A sender's SSRC, sequence number and timestamp are kept; but where the RTP header is the nonce the timestamps of who
// begins anew are put behind what he has said.
#pragma once
#include "seal.h"

#define RELAY_STREAMS 4u                      // video streams of one peer, each with its RTX
#define RELAY_SSRCS (1u + 2u * RELAY_STREAMS) // of one peer: audio n, video n+1, RTX n+2, next n+3, n+4, …

struct address4 { // IPv4, as on the wire
    uint32_t ip;
    uint16_t port;
};
struct datagram {
    struct address4 from;
    uint8_t *p;
    uint32_t n; // more than PACKET_MAX: it was longer
};

typedef uint32_t relay_peer; // 0: none. One that has left names nobody any more
struct relay;

struct relay_send {
    struct address4 to;
    const uint8_t *p; // until the next call
    uint32_t n;
};
struct relay_heard {
    uint64_t user;
    uint32_t ssrc, timestamp;
    uint16_t seq;
    uint64_t at_us;
    struct bytes payload; // one Opus packet
};

struct relay_cfg {
    uint32_t peers_max, rooms_max;
    uint32_t peer_pps;     // datagrams of one peer in a second, more are dropped
    uint32_t stranger_pps; // of one address and port that is nobody's
    uint32_t discovery_us; // a discovery is answered so long after it came, by relay_answer
    uint64_t seed;         // random: SSRCs are drawn with it
    // Neither of the first two may call the relay.
    // Hands out one batch: n datagrams, each for one address; what is for the same address in a row lies in a row, and
    // may go as one if the sizes are equal.
    void (*send)(void *ctx, const struct relay_send *v, uint32_t n);
    // What a tapped room hears, opened; in the order of arrival.
    void (*heard)(void *ctx, uint64_t room, const struct relay_heard *h);
    // Once, from relay_tick: the server's counter of that peer's key is about to be used up. It needs another key, or
    // to connect again.
    void (*worn)(void *ctx, relay_peer p);
    void *ctx;
};
struct relay *relay_new(const struct relay_cfg *cfg);
void relay_free(struct relay *r);

// A voice session comes into room (the id of its channel) and is given a block of SSRCs, each below 2^31 and used by
// nobody else on this node; it hears and says nothing until it has a key. *ssrc: of its audio. 0: full.
relay_peer relay_join(struct relay *r, uint64_t room, uint64_t user, uint32_t *ssrc);
void relay_leave(struct relay *r, relay_peer p);
// A key that has never been used before: the counters begin anew.
void relay_key(struct relay *r, relay_peer p, enum seal_mode m, const uint8_t key[SEAL_KEY]);
struct relay_rights {
    bool speaks;   // what it sends is passed on: not muted, not suppressed
    bool hears;    // not deafened
    bool video;    // may send video
    bool priority; // may use the priority flag
};
// None at first. Obeyed from the next datagram on. Who was speaking and may not any more is followed by five frames of
// silence.
void relay_rights(struct relay *r, relay_peer p, struct relay_rights rights);
// It has announced (op 5) that it speaks; audio before that is dropped.
void relay_announced(struct relay *r, relay_peer p);
// It says (op 5) that it begins to speak: it may count its packets from the first number again, under the same key.
void relay_begins(struct relay *r, relay_peer p);
// Which of its video streams are on (op 12): bit i for stream i.
void relay_video(struct relay *r, relay_peer p, uint32_t streams);

// One batch, all that one turn of the loop received. now_us: monotonic. What follows from it has been handed to `send`
// when this returns, but for the answers to discoveries.
void relay_take(struct relay *r, struct datagram *v, uint32_t n, uint64_t now_us);
// When the first of the discoveries that wait is to be answered; 0: none waits.
uint64_t relay_answer_due(const struct relay *r);
// Answers those whose time has come.
void relay_answer(struct relay *r, uint64_t now_us);
// Once a second: each peer is sent a receiver report every five seconds, also one that only listens, so that its NAT
// stays open. (In plain xsalsa20_poly1305 there is no RTCP, and nothing is sent.)
void relay_tick(struct relay *r, uint64_t now_us);

// A peer without a socket of its own (the player): what it says goes to its room as if it had come in by the port.
void relay_say(struct relay *r, relay_peer p, uint16_t seq, uint32_t timestamp, struct bytes payload, uint64_t now_us);
// cfg.heard is told of what is said there. false: there are too many rooms.
bool relay_tap(struct relay *r, uint64_t room, bool on);

struct relay_stream_stats {
    uint64_t user;
    uint32_t ssrc;
    uint64_t packets, bytes, lost, jitter_us;
};
// Of one peer's audio; false: no such peer.
bool relay_stats(const struct relay *r, relay_peer p, struct relay_stream_stats *out);
uint32_t relay_peers(const struct relay *r);
void relay_dump(const struct relay *r, struct buf *out);
bool relay_valid(const struct relay *r); // every invariant; for tests
