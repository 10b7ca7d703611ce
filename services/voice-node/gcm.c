// gcm: see gcm.h.
#define ERR_STATE OPENSSL_ERR_STATE // OpenSSL has a type of this name
#include <openssl/evp.h>
#undef ERR_STATE
#include "gcm.h"

#include <string.h>

bool gcm_by_cpu(void)
{
    return crypto_aead_aes256gcm_is_available() == 1;
}

void gcm_init(struct gcm *g, const uint8_t key[GCM_KEY], bool by_cpu)
{
    *g = (struct gcm){.by_cpu = by_cpu};
    if (by_cpu) {
        crypto_aead_aes256gcm_beforenm(&g->expanded, key);
        return;
    }
    g->sealing = EVP_CIPHER_CTX_new();
    g->opening = EVP_CIPHER_CTX_new();
    CHECK(g->sealing && g->opening);
    CHECK(EVP_EncryptInit_ex(g->sealing, EVP_aes_256_gcm(), NULL, key, NULL) == 1);
    CHECK(EVP_DecryptInit_ex(g->opening, EVP_aes_256_gcm(), NULL, key, NULL) == 1);
}

void gcm_fini(struct gcm *g)
{
    EVP_CIPHER_CTX_free(g->sealing); // wipes it
    EVP_CIPHER_CTX_free(g->opening);
    sodium_memzero(g, sizeof *g);
}

static void openssl_seal(EVP_CIPHER_CTX *c, uint8_t *p, size_t n, const uint8_t *aad, size_t aad_n,
                         const uint8_t *nonce)
{
    int ignored;
    bool ok = EVP_EncryptInit_ex(c, NULL, NULL, NULL, nonce) == 1 &&
              EVP_EncryptUpdate(c, NULL, &ignored, aad, (int)aad_n) == 1 &&
              EVP_EncryptUpdate(c, p, &ignored, p, (int)n) == 1 && EVP_EncryptFinal_ex(c, p + n, &ignored) == 1 &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, p + n) == 1;
    CHECK(ok);
}

static bool openssl_open(EVP_CIPHER_CTX *c, uint8_t *out, const uint8_t *p, size_t n, const uint8_t *aad, size_t aad_n,
                         const uint8_t *nonce)
{
    int ignored;
    uint8_t tag[GCM_TAG];
    memcpy(tag, p + n, GCM_TAG);
    return EVP_DecryptInit_ex(c, NULL, NULL, NULL, nonce) == 1 &&
           EVP_DecryptUpdate(c, NULL, &ignored, aad, (int)aad_n) == 1 &&
           EVP_DecryptUpdate(c, out, &ignored, p, (int)n) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, GCM_TAG, tag) == 1 &&
           EVP_DecryptFinal_ex(c, out + n, &ignored) == 1;
}

void gcm_seal(struct gcm *g, uint8_t *p, size_t n, const uint8_t *aad, size_t aad_n, const uint8_t nonce[GCM_NONCE])
{
    if (g->by_cpu)
        crypto_aead_aes256gcm_encrypt_afternm(p, NULL, p, n, aad, aad_n, NULL, nonce, &g->expanded);
    else
        openssl_seal(g->sealing, p, n, aad, aad_n, nonce);
}

bool gcm_open(struct gcm *g, uint8_t *out, const uint8_t *p, size_t n, const uint8_t *aad, size_t aad_n,
              const uint8_t nonce[GCM_NONCE])
{
    if (!g->by_cpu)
        return openssl_open(g->opening, out, p, n, aad, aad_n, nonce);
    return crypto_aead_aes256gcm_decrypt_afternm(out, NULL, NULL, p, n + GCM_TAG, aad, aad_n, nonce, &g->expanded) == 0;
}
