// client_seal: seals a packet as a client does, for what opens it. Straight to the ciphers, and nothing of seal.c.
#pragma once
#include "gcm.h"
#include "seal.h"

#include <string.h>

// The first `clear` of n bytes stay as they are. counter: begins the nonce, if that is not the header. Returns how long
// the packet is; out: n + SEAL_GROWTH bytes.
UNUSED static size_t client_seal(enum seal_mode m, const uint8_t key[SEAL_KEY], uint32_t counter, const uint8_t *plain,
                                 size_t clear, size_t n, uint8_t *out)
{
    uint8_t nonce[24] = {(uint8_t)(counter >> 24), (uint8_t)(counter >> 16), (uint8_t)(counter >> 8), (uint8_t)counter};
    size_t tail = m == SEAL_XSALSA20_POLY1305 ? 0 : m == SEAL_XSALSA20_POLY1305_SUFFIX ? sizeof nonce : 4;
    uint8_t *p = out + clear;
    if (!tail)
        memcpy(nonce, plain, RTP_HEADER);
    memcpy(out, plain, n);
    if (m == SEAL_AES256_GCM_RTPSIZE) {
        struct gcm g;
        gcm_init(&g, key, gcm_by_cpu());
        gcm_seal(&g, p, n - clear, out, clear, nonce);
        gcm_fini(&g);
    } else if (m == SEAL_XCHACHA20_POLY1305_RTPSIZE) {
        crypto_aead_xchacha20poly1305_ietf_encrypt(p, NULL, plain + clear, n - clear, out, clear, NULL, nonce, key);
    } else {
        crypto_secretbox_easy(p, plain + clear, n - clear, nonce, key);
    }
    memcpy(out + n + 16, nonce, tail);
    return n + 16 + tail;
}

// Bytes in front that a client in this mode does not seal of an RTP packet.
UNUSED static size_t client_clear(enum seal_mode m, const uint8_t *plain, size_t n)
{
    struct rtp r;
    return !seal_old(m) && rtp_parse(plain, n, &r) == OK ? r.clear_n : RTP_HEADER;
}
