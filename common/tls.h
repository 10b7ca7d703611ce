// tls: the certificate that a port shows, read from PEM files, and its renewal while connections stand.
// TLS 1.2 with forward secrecy and authenticated ciphers, and newer; no renegotiation, no session cache of ours.
// Shell: it reads two files and nothing else. OpenSSL is known here, and to web.c as far as libwebsockets hands it out.
#pragma once
#include "bytes.h"

struct tls;
struct ssl_ctx_st; // OpenSSL's SSL_CTX

// certificate: the chain, the port's own first. NULL: a file cannot be read or is not what it should be, the two do not
// belong together, or OpenSSL refuses them (too weak); *why is then one sentence. A validity that is over or has not
// begun is no error: see tls_concern.
struct tls *tls_new(const char *certificate, const char *key, struct buf *why);
// Reads both files again. OK: who connects from now on is shown what they hold; who is connected stays. ERR_INVALID,
// with *why: what was shown before is shown on.
MUST_USE int tls_reload(struct tls *t, struct buf *why);
const char *tls_concern(const struct tls *t, uint64_t unix_s); // what its owner should be told; NULL: nothing
uint64_t tls_ends_s(const struct tls *t);                      // unix time
void tls_serve(struct tls *t, struct ssl_ctx_st *ctx);         // connections of ctx are shown t; t outlives ctx
void tls_free(struct tls *t);
