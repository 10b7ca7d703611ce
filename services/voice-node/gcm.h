// gcm: AES-256-GCM under one key that is kept, 12-byte nonces, 16-byte tags. By libsodium where the CPU has AES, whose
// key is expanded once; by OpenSSL elsewhere. Pure; nothing is allocated after gcm_init.
#pragma once
#include "base.h"

#include <sodium.h>

#define GCM_KEY 32u
#define GCM_NONCE 12u
#define GCM_TAG 16u

struct evp_cipher_ctx_st;
struct gcm {
    crypto_aead_aes256gcm_state expanded;        // if by_cpu
    struct evp_cipher_ctx_st *sealing, *opening; // otherwise; else NULL
    bool by_cpu;
};

bool gcm_by_cpu(void);                                                 // this one has AES; libsodium is initialised
void gcm_init(struct gcm *g, const uint8_t key[GCM_KEY], bool by_cpu); // by_cpu: only if gcm_by_cpu() says so
void gcm_fini(struct gcm *g);                                          // the key is wiped

// n bytes of p in place; the tag goes behind them.
void gcm_seal(struct gcm *g, uint8_t *p, size_t n, const uint8_t *aad, size_t aad_n, const uint8_t nonce[GCM_NONCE]);
// n bytes of p, the tag behind them, into out. false: it was not sealed so; out may be anything then.
MUST_USE bool gcm_open(struct gcm *g, uint8_t *out, const uint8_t *p, size_t n, const uint8_t *aad, size_t aad_n,
                       const uint8_t nonce[GCM_NONCE]);
