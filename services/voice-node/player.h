// player: an Ogg Opus file as packets, and when each is to be said. Pure; any bytes are safe. What it takes: one stream
// of Opus (RFC 7845) from the file's first page on, whole, each packet no larger than what fits into a datagram; other
// streams in between are passed over. What it says: every packet of it as it stands, one after another, and five frames
// of silence, as senders do when they stop.
#pragma once
#include "bytes.h"

#define PLAYER_PACKET_MAX 1275u // bytes: the largest frame of Opus; a datagram has room for it in every mode

struct player;
struct player_packet {
    struct bytes payload; // until the next call
    uint32_t samples;
};
struct player *player_new(struct bytes file); // which outlives it
void player_free(struct player *p);
// The next packet. ERR_MISSING: there is none any more; ERR_INVALID: here it makes no sense, player_why says why.
MUST_USE int player_next(struct player *p, struct player_packet *out);
const char *player_why(const struct player *p);

struct player_summary {
    uint64_t packets, samples;
};
// Reads all of it. ERR_INVALID: it cannot be played, and *why says so in a sentence.
MUST_USE int player_check(struct bytes file, struct player_summary *out, const char **why);

// What is said in time: from begin_us on, a packet when all before it have sounded.
struct playing {
    struct player *player;
    uint64_t begin_us, said, packets; // said: samples so far
    uint16_t seq;                     // of the next packet
    uint32_t timestamp;
    uint32_t silences; // said after the last packet
};
struct playing_packet {
    struct bytes payload;
    uint16_t seq;
    uint32_t timestamp;
};
void playing_init(struct playing *p, struct player *player, uint64_t begin_us, uint16_t seq, uint32_t timestamp);
uint64_t playing_due_us(const struct playing *p); // when the next one is to be said
// The next one, if it is due. ERR_STATE: not yet; ERR_MISSING: all has been said.
MUST_USE int playing_next(struct playing *p, uint64_t now_us, struct playing_packet *out);
