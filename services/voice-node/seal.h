// seal: one voice session's transport encryption, in each of Discord's modes. Pure but for randomness when a session of
// one mode begins; key schedules are made once, and no packet takes a lock or memory. Layout and nonces:
// https://docs.discord.food/topics/voice-connections ("Transport Encryption"). The server and its client share one key
// in both directions: of the modes with a counter the server's begins at 2^31, and a client's beyond that is refused,
// so no nonce is ever used twice.
#pragma once
#include "packet.h"

enum seal_mode { // in the order in which they are offered
    SEAL_AES256_GCM_RTPSIZE,
    SEAL_XCHACHA20_POLY1305_RTPSIZE,
    SEAL_XSALSA20_POLY1305_LITE,
    SEAL_XSALSA20_POLY1305_SUFFIX,
    SEAL_XSALSA20_POLY1305,
    SEAL_MODES
};
#define SEAL_KEY 32u
#define SEAL_GROWTH (16u + 24u) // bytes by which a sealed packet is longer at most

struct seal; // made at the place that the caller gives: seal_size() bytes, 64-aligned
size_t seal_size(void);

const char *seal_name(enum seal_mode m); // "aead_aes256_gcm_rtpsize", …
MUST_USE int seal_named(struct bytes name, enum seal_mode *out);
bool seal_old(enum seal_mode m); // one of the xsalsa20 modes

// libsodium has been initialised. s is of one session until seal_fini.
void seal_init(struct seal *s, enum seal_mode m, const uint8_t key[SEAL_KEY]);
void seal_fini(struct seal *s); // the key is wiped
enum seal_mode seal_mode(const struct seal *s);

// An opened RTP packet: what a listener's seal needs to make another of it.
struct opened {
    struct rtp rtp;     // extension: there is one and ext below has it
    const uint8_t *ext; // preamble (4 bytes) and body, or NULL
    uint32_t ext_n;
    uint8_t *body; // behind the extension, padding taken off, in the memory given to seal_open
    uint32_t body_n;
    uint32_t counter; // of modes that have one
};
// room: PACKET_MAX bytes, holds what *out points to. ERR_INVALID: malformed; ERR_DENIED: it does not open with this
// key, or carries a counter of the server's half. Either way *out is as it was.
MUST_USE int seal_open_rtp(struct seal *s, const uint8_t *packet, size_t n, uint8_t *room, struct opened *out);
// Seals o for this session's client: header rewritten from o->rtp without CSRCs and padding; the extension is kept in
// the AEAD modes if ext_n is not 0, and left away in the older ones. out: o->body_n + o->ext_n + RTP_HEADER +
// SEAL_GROWTH bytes that are not o's. Returns the length; 0: the counter is used up, the session has to get another
// key. Plain xsalsa20_poly1305 has no nonce but the header: who seals two different packets with one header gives the
// key stream away.
size_t seal_rtp(struct seal *s, const struct opened *o, uint8_t *out);
// The same for RTCP, which in plain xsalsa20_poly1305 cannot be: its headers repeat, and they would be the nonce. There
// it is denied and 0. opened: from RTCP_CLEAR to PACKET_MAX bytes; out: SEAL_GROWTH more.
MUST_USE int seal_open_rtcp(struct seal *s, const uint8_t *packet, size_t n, uint8_t *room, size_t *opened_n);
size_t seal_rtcp(struct seal *s, const uint8_t *opened, size_t n, uint8_t *out);
bool seal_worn(const struct seal *s); // near its last counter

// Which numbers have been seen lately: a window over the last 128 (RFC 4303, 3.4.3, as RFC 3711 has it).
struct seen {
    uint64_t bits[2];
    uint32_t top;
    bool any;
};
bool seen_before(const struct seen *s, uint32_t number); // or too old to tell
void seen_note(struct seen *s, uint32_t number);
