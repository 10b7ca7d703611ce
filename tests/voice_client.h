// voice_client: a client's half of the transport encryption, in each mode, by libsodium alone and none of the code
// under test. Its counters are a client's: from 0 on.
#pragma once
#include "seal.h"

#include <sodium.h>
#include <string.h>

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

static inline bool client_old(enum seal_mode m)
{
    return m >= SEAL_XSALSA20_POLY1305_LITE;
}

static inline uint32_t client_tail(enum seal_mode m)
{
    return m == SEAL_XSALSA20_POLY1305 ? 0 : m == SEAL_XSALSA20_POLY1305_SUFFIX ? 24 : 4;
}

// Bytes in the clear of a plain packet.
static inline uint32_t client_clear(enum seal_mode m, const uint8_t *p)
{
    if (p[1] >= 192 && p[1] < 224)
        return 8;
    return client_old(m) ? 12 : 12 + 4 * (p[0] & 15u) + (p[0] & 16 ? 4 : 0);
}

static inline void client_nonce(const struct voice_client *c, uint8_t nonce[24], const uint8_t *packet)
{
    memset(nonce, 0, 24);
    if (c->mode == SEAL_XSALSA20_POLY1305)
        memcpy(nonce, packet, 12);
    else
        client_put32(nonce, c->counter);
    if (c->mode == SEAL_XSALSA20_POLY1305_SUFFIX)
        client_put32(nonce + 20, ~c->counter);
}

// A plain packet of n bytes becomes a sealed one.
static inline size_t client_seal(struct voice_client *c, const uint8_t *plain, size_t n, uint8_t *out)
{
    uint8_t nonce[24];
    size_t clear = client_clear(c->mode, plain), body = n - clear;
    client_nonce(c, nonce, plain);
    c->counter++;
    memcpy(out, plain, clear);
    if (c->mode == SEAL_AES256_GCM_RTPSIZE)
        crypto_aead_aes256gcm_encrypt(out + clear, NULL, plain + clear, body, plain, clear, NULL, nonce, c->key);
    else if (c->mode == SEAL_XCHACHA20_POLY1305_RTPSIZE)
        crypto_aead_xchacha20poly1305_ietf_encrypt(out + clear, NULL, plain + clear, body, plain, clear, NULL, nonce,
                                                   c->key);
    else
        crypto_secretbox_easy(out + clear, plain + clear, body, nonce, c->key);
    memcpy(out + n + 16, nonce, client_tail(c->mode));
    return n + 16 + client_tail(c->mode);
}

// A packet of the server becomes a plain one; 0: it does not open.
static inline size_t client_open(const struct voice_client *c, const uint8_t *packet, size_t n, uint8_t *out)
{
    uint8_t nonce[24] = {0};
    size_t clear = client_clear(c->mode, packet), tail = client_tail(c->mode);
    if (n < clear + 16 + tail)
        return 0;
    size_t sealed = n - clear - tail;
    memcpy(nonce, tail ? packet + n - tail : packet, tail ? tail : 12);
    memcpy(out, packet, clear);
    int bad;
    if (c->mode == SEAL_AES256_GCM_RTPSIZE)
        bad = crypto_aead_aes256gcm_decrypt(out + clear, NULL, NULL, packet + clear, sealed, packet, clear, nonce,
                                            c->key);
    else if (c->mode == SEAL_XCHACHA20_POLY1305_RTPSIZE)
        bad = crypto_aead_xchacha20poly1305_ietf_decrypt(out + clear, NULL, NULL, packet + clear, sealed, packet, clear,
                                                         nonce, c->key);
    else
        bad = crypto_secretbox_open_easy(out + clear, packet + clear, sealed, nonce, c->key);
    return bad ? 0 : clear + sealed - 16;
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
