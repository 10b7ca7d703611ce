// relay_private: what the files of the relay share. relay.c: who is there; relay_in.c: what comes in; relay_out.c: what
// goes out; relay_discovery.c: where somebody is; relay_report.c: RTCP. Pure, all of it.
#pragma once
#include "relay.h"
#include "relay_map.h"
#include "relay_stream.h"

#define TAKE_MAX 256u // datagrams that are opened before the first of them is sealed
#define OUT_MAX 512u  // datagrams handed out at once
#define OUT_BYTES (256u << 10)
#define CHUNK 14u          // listeners in one piece of a room's list: with its links one cache line
#define RELAY_MARKS 64u    // of its first numbers a peer is remembered what came under them
#define STRANGERS 4096u    // counters that the addresses which are nobody's share
#define OWED_MAX 1024u     // discoveries that wait for their answer; when it is full the next is answered at once
#define OPENINGS 10000u    // in a second, of strangers' packets: who has moved is among them, a flood has no more
#define REPORT_US 5000000u // between two reports to one peer
#define OUT_LONGEST (PACKET_MAX + SEAL_GROWTH)
#define NONE UINT32_MAX

#define AUDIO_CLOCK 48000u
#define VIDEO_CLOCK 90000u

struct tally { // of one source in one second
    uint32_t second, n;
};

enum address_state {
    ADDRESS_NONE,
    ADDRESS_FOUND,  // by discovery, which anybody may send
    ADDRESS_PROVEN, // by a packet that opened with the peer's key
};

struct peer {
    struct address4 at; // unless ADDRESS_NONE
    uint8_t address;    // enum address_state
    bool live, keyed;
    bool listed; // by_address leads from `at` to here
    bool announced, talks, worn;
    bool reports;   // its mode has RTCP
    bool countless; // its mode has no counter: sequence numbers tell what was seen
    bool bare;      // its mode has no nonce but the RTP header: no header may come twice
    struct relay_rights rights;
    uint32_t video;      // streams that are on
    uint32_t ssrc;       // of its audio; also its name
    uint32_t generation; // drawn for each who has the slot
    uint32_t room, chunk, place;
    uint64_t user;
    struct tally tally;
    struct seen seen;            // counters
    uint32_t first;              // of them, once one is there
    bool begins;                 // it has said that it begins to speak, and nothing new has come since
    uint32_t marks[RELAY_MARKS]; // of what came under the first numbers, first + i; 0: nothing yet
    uint64_t reported_us;
    struct relay_stream streams[RELAY_SSRCS];
};

struct chunk {
    uint32_t previous; // NONE at the first
    uint32_t n;        // CHUNK but at the last
    uint32_t peers[CHUNK];
};

struct room {
    uint64_t id;
    uint32_t n, last;     // peers; chunk of the last of them, NONE when n is 0
    uint32_t first_taken; // of this batch: NONE but within relay_take
    uint32_t last_taken;
    bool live, tapped; // live: n > 0 or tapped
};

struct taken { // an opened packet, to be passed on to its room
    struct opened o;
    uint32_t from, next; // slot of the sender; next of the room
    bool again;          // a header that may have been there before
    uint32_t shift;      // of its timestamp, where the header is the nonce
};

struct owed { // the answer to a discovery
    struct address4 to;
    uint32_t ssrc, n; // n: bytes
    uint64_t due_us;
};

struct relay {
    struct relay_cfg cfg;
    uint32_t slots, generations; // slots: a power of two; the block of a peer is generation * slots + slot
    struct peer *peers;
    uint32_t *free_peers, n_peers; // free_peers[n_peers..peers_max) are free
    void *seals_memory;
    uint8_t *seals;
    size_t seal_stride;
    struct relay_map by_address, by_room; // address: slot + 1; room: index + 1
    struct room *rooms;
    uint32_t *free_rooms, n_rooms;
    struct chunk *chunks;
    uint32_t free_chunk; // linked by previous
    uint32_t chunks_max, n_chunks;
    struct tally strangers[STRANGERS];
    struct tally openings;      // packets of strangers that a key was tried on
    struct owed owed[OWED_MAX]; // a ring
    uint32_t first_owed, n_owed;
    uint64_t salt, now_us, n_drawn;
    uint32_t own_ssrc; // that reports come from: 2^31 or more

    struct taken taken[TAKE_MAX];
    uint8_t *opened; // PACKET_MAX bytes for each of taken, and for one more
    uint32_t n_taken;
    uint32_t touched[TAKE_MAX], n_touched; // rooms that have some
    struct relay_send out[OUT_MAX];
    uint32_t n_out;
    uint8_t *out_bytes;
    size_t out_used;
};

static inline bool same_address(struct address4 a, struct address4 b)
{
    return a.ip == b.ip && a.port == b.port;
}

static inline struct seal *peer_seal(const struct relay *r, const struct peer *p)
{
    return (struct seal *)(void *)(r->seals + (size_t)(p - r->peers) * r->seal_stride);
}

static inline uint8_t *opened_room(const struct relay *r, uint32_t i)
{
    return r->opened + (size_t)i * PACKET_MAX;
}

static inline uint32_t stream_clock(uint32_t stream)
{
    return stream ? VIDEO_CLOCK : AUDIO_CLOCK;
}

// Who has this SSRC in his block, or NULL.
struct peer *relay_by_ssrc(const struct relay *r, uint32_t ssrc);
struct peer *relay_by_address(const struct relay *r, struct address4 a);
// p is at `a` from now on.
void relay_bind(struct relay *r, struct peer *p, struct address4 a, enum address_state how);
// May what p sends on one of its streams be passed on?
bool relay_passes(const struct peer *p, uint32_t stream);
static inline bool relay_reached(const struct peer *p)
{
    return p->keyed && p->address != ADDRESS_NONE;
}
bool relay_tally(struct tally *t, uint64_t now_us, uint32_t most);

// relay_discovery.c
void relay_take_discovery(struct relay *r, const struct datagram *d);
bool relay_owed_valid(const struct relay *r);

// An opened packet for p's room is in the place that relay_take_place gives.
struct taken *relay_take_place(struct relay *r);
void relay_pass_on(struct relay *r, struct peer *p, struct taken *t);
void relay_fan_out(struct relay *r); // seals what was taken for its listeners
uint8_t *relay_out_room(struct relay *r, size_t most);
void relay_out_add(struct relay *r, struct address4 to, size_t n); // n bytes of the last relay_out_room
void relay_out_flush(struct relay *r);

// Whose key opens what carries this SSRC; p: who is at the address that it comes from, or NULL. NULL: nobody's, or too
// much of this kind has come.
struct peer *relay_owner(struct relay *r, struct peer *p, uint32_t ssrc);
void relay_take_rtcp(struct relay *r, struct peer *p, const struct datagram *d);
bool relay_fresh_counter(struct peer *p, const struct datagram *d, bool *newest, bool *anew);
void relay_heard_from(struct relay *r, struct peer *p, struct address4 from, bool newest);
