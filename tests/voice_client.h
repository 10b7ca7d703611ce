// voice_client: a client of the media port: what it seals and what it opens, in each mode, by the ciphers and nothing
// of seal.c. Its counters are a client's: from 0 on.
#pragma once
#include "client_seal.h"

#define CLIENT_MAX 2000u // bytes of anything here

struct voice_client {
    enum seal_mode mode;
    uint8_t key[SEAL_KEY];
    uint32_t counter; // of the next packet
    uint32_t ssrc;
};

static inline void client_put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

// Bytes in the clear of a plain packet, or of a sealed one.
static inline size_t voice_clear(enum seal_mode m, const uint8_t *p, size_t n)
{
    bool rtcp = p[1] >= 192 && p[1] < 224;
    return rtcp ? RTCP_CLEAR : client_clear(m, p, n);
}

// A plain packet of n bytes becomes a sealed one.
static inline size_t voice_seal(struct voice_client *c, const uint8_t *plain, size_t n, uint8_t *out)
{
    return client_seal(c->mode, c->key, c->counter++, plain, voice_clear(c->mode, plain, n), n, out);
}

// A packet of the server becomes a plain one; 0: it does not open.
static inline size_t voice_open(const struct voice_client *c, const uint8_t *packet, size_t n, uint8_t *out)
{
    uint8_t nonce[24] = {0};
    size_t tail = c->mode == SEAL_XSALSA20_POLY1305 ? 0 : c->mode == SEAL_XSALSA20_POLY1305_SUFFIX ? 24 : 4;
    size_t clear = n > RTP_HEADER + tail ? voice_clear(c->mode, packet, n - tail) : n;
    if (n < clear + GCM_TAG + tail)
        return 0;
    size_t sealed = n - clear - tail;
    const uint8_t *p = packet + clear;
    memcpy(nonce, tail ? packet + n - tail : packet, tail ? tail : RTP_HEADER);
    memcpy(out, packet, clear);
    bool good;
    if (c->mode == SEAL_AES256_GCM_RTPSIZE) {
        struct gcm g;
        gcm_init(&g, c->key, gcm_by_cpu());
        good = gcm_open(&g, out + clear, p, sealed - GCM_TAG, packet, clear, nonce);
        gcm_fini(&g);
    } else if (c->mode == SEAL_XCHACHA20_POLY1305_RTPSIZE) {
        good = crypto_aead_xchacha20poly1305_ietf_decrypt(out + clear, NULL, NULL, p, sealed, packet, clear, nonce,
                                                          c->key) == 0;
    } else {
        good = crypto_secretbox_open_easy(out + clear, p, sealed, nonce, c->key) == 0;
    }
    return good ? clear + sealed - GCM_TAG : 0;
}

// A plain RTP packet without extension.
static inline size_t client_rtp(uint8_t *out, uint8_t pt, uint32_t ssrc, uint16_t seq, uint32_t timestamp,
                                const void *body, size_t n)
{
    out[0] = 0x80;
    out[1] = pt;
    out[2] = (uint8_t)(seq >> 8);
    out[3] = (uint8_t)seq;
    client_put32(out + 4, timestamp);
    client_put32(out + 8, ssrc);
    if (n)
        memcpy(out + 12, body, n);
    return 12 + n;
}
