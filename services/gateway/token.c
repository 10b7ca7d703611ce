// token: see token.h. libsodium does the hashing, the comparing and base64; nothing else of it is used here.
#include "token.h"
#include "arena.h"

#include <sodium.h>
#include <string.h>

#define MAC crypto_auth_hmacsha256_BYTES
#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define PART_MAX sodium_base64_ENCODED_LEN(MAC, VARIANT)

static void sign(unsigned char mac[MAC], struct bytes text, struct bytes secret)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret.p, secret.n);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text.p, text.n);
    crypto_auth_hmacsha256_final(&state, mac);
}

static void add_part(struct buf *out, const void *p, size_t n)
{
    char text[PART_MAX];
    buf_str(out, sodium_bin2base64(text, sizeof text, p, n, VARIANT));
}

void token_mint(struct buf *out, uint64_t user, uint64_t issued_ms, struct bytes secret)
{
    struct buf id = {0};
    unsigned char issued[8], mac[MAC];
    size_t from = out->n;
    CHECK_ID(secret.n >= TOKEN_SECRET_MIN, user);
    for (int i = 0; i < 8; i++)
        issued[i] = (unsigned char)(issued_ms >> (56 - 8 * i));
    buf_u64(&id, user);
    add_part(out, id.p, id.n);
    buf_char(out, '.');
    add_part(out, issued, sizeof issued);
    sign(mac, (struct bytes){out->p + from, out->n - from}, secret);
    buf_char(out, '.');
    add_part(out, mac, sizeof mac);
    buf_fini(&id);
}

// libsodium 1.0.18 reads every byte from 0x80 on as an underscore.
static bool is_ascii(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] & 0x80)
            return false;
    return true;
}

// Takes the text before the next dot, or all that is left when `last`. Not canonical, or not of that size: refused.
static int take_part(struct bytes *in, bool last, unsigned char *out, size_t max, size_t *n)
{
    const char *dot = in->n ? memchr(in->p, '.', in->n) : NULL;
    size_t length = dot ? (size_t)(dot - in->p) : in->n;
    if ((dot == NULL) != last || length == 0 || !is_ascii(in->p, length))
        return ERR_DENIED;
    if (sodium_base642bin(out, max, in->p, length, NULL, n, NULL, VARIANT) != 0)
        return ERR_DENIED;
    size_t gone = length + (dot ? 1 : 0);
    *in = (struct bytes){in->p + gone, in->n - gone};
    return OK;
}

int token_check(struct bytes token, struct bytes secret, uint64_t *user, uint64_t *issued_ms)
{
    unsigned char id[20], issued[8], mac[MAC], ours[MAC];
    size_t n_id, n_issued, n_mac;
    struct bytes rest = token;
    if (token.n > TOKEN_MAX || take_part(&rest, false, id, sizeof id, &n_id) ||
        take_part(&rest, false, issued, sizeof issued, &n_issued) || n_issued != sizeof issued)
        return ERR_DENIED;
    struct bytes text = {token.p, token.n - rest.n - 1};
    if (take_part(&rest, true, mac, sizeof mac, &n_mac) || n_mac != sizeof mac)
        return ERR_DENIED;
    sign(ours, text, secret);
    if (sodium_memcmp(mac, ours, sizeof mac) != 0)
        return ERR_DENIED;
    uint64_t who, at = 0;
    if (bytes_u64((struct bytes){(const char *)id, n_id}, &who) || who == 0)
        return ERR_DENIED;
    for (int i = 0; i < 8; i++)
        at = at << 8 | issued[i];
    *user = who;
    *issued_ms = at;
    return OK;
}

// Clocks of machines differ: one that was issued in the future has just been.
bool token_expired(uint64_t issued_ms, uint64_t life_ms, uint64_t now_ms)
{
    return life_ms != 0 && now_ms > issued_ms && now_ms - issued_ms >= life_ms;
}
