// token: what a client proves itself with. Signed, so that it is checked without asking anybody. Pure.
//   base64url(user id, decimal) . base64url(issued at, unix ms, 8 bytes big-endian) . base64url(HMAC-SHA256)
// The signature covers the text before the last dot. No padding, and one spelling only for each token.
#pragma once
#include "bytes.h"

#define TOKEN_MAX 96u        // bytes of the longest token
#define TOKEN_SECRET_MIN 32u // bytes

// Appends a token for `user`, issued at `issued_ms`.
void token_mint(struct buf *out, uint64_t user, uint64_t issued_ms, struct bytes secret);
// Takes the bare token: no `Bot ` in front, no blanks. Compares in constant time. ERR_DENIED when it is not ours.
// A token issued at t is void when its user revoked those before some later moment; that is the caller's to know.
MUST_USE int token_check(struct bytes token, struct bytes secret, uint64_t *user, uint64_t *issued_ms);
// life_ms: how long a token is good after it was issued; 0: for ever.
bool token_expired(uint64_t issued_ms, uint64_t life_ms, uint64_t now_ms);
