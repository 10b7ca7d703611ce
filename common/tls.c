// tls: see tls.h. Each handshake asks which certificate to show, so a renewal is one swap of pointers: OpenSSL counts
// the references of connections that use the old one.
#define _GNU_SOURCE                 // timegm
#define ERR_STATE OPENSSL_ERR_STATE // OpenSSL has a type of this name
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#undef ERR_STATE
#include "tls.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20" // of TLS 1.2; those of 1.3 are all good
#define CHAIN_MAX 16                          // certificates in a file
#define SOON_S (7u * 86400u)

struct shown {
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    uint64_t begins_s, ends_s;
};

struct tls {
    const char *certificate, *key; // files
    struct shown shown;
};

static void shown_fini(struct shown *s)
{
    X509_free(s->leaf);
    sk_X509_pop_free(s->chain, X509_free);
    EVP_PKEY_free(s->key);
    *s = (struct shown){0};
}

// A key with a passphrase would have OpenSSL ask for it on a terminal.
static int no_passphrase(char *out, int size, int writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

static BIO *open_file(const char *path, struct buf *why)
{
    BIO *file = BIO_new_file(path, "r");
    if (!file)
        buf_printf(why, "%s cannot be read: %s.", path, strerror(errno));
    return file;
}

static int read_chain(struct shown *s, const char *path, struct buf *why)
{
    BIO *file = open_file(path, why);
    X509 *one;
    if (!file)
        return ERR_INVALID;
    s->leaf = PEM_read_bio_X509(file, NULL, no_passphrase, NULL);
    s->chain = sk_X509_new_null();
    CHECK(s->chain);
    for (int i = 0; s->leaf && i < CHAIN_MAX && (one = PEM_read_bio_X509(file, NULL, no_passphrase, NULL)); i++)
        CHECK(sk_X509_push(s->chain, one) > 0);
    BIO_free(file);
    if (!s->leaf)
        buf_printf(why, "%s holds no certificate in PEM form.", path);
    return s->leaf ? OK : ERR_INVALID;
}

static int read_key(struct shown *s, const char *path, struct buf *why)
{
    BIO *file = open_file(path, why);
    if (!file)
        return ERR_INVALID;
    s->key = PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL);
    BIO_free(file);
    if (!s->key)
        buf_printf(why, "%s holds no private key in PEM form, or one with a passphrase.", path);
    return s->key ? OK : ERR_INVALID;
}

static uint64_t unix_time(const ASN1_TIME *t)
{
    struct tm day = {0};
    time_t s = ASN1_TIME_to_tm(t, &day) == 1 ? timegm(&day) : 0;
    return s > 0 ? (uint64_t)s : 0;
}

static SSL_CTX *context_new(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    CHECK(ctx);
    return ctx;
}

// What a handshake would find wrong is better known before there is one.
static int try_out(const struct shown *s, const char *path, struct buf *why)
{
    SSL_CTX *ctx = context_new();
    ERR_clear_error();
    bool fits = SSL_CTX_use_cert_and_key(ctx, s->leaf, s->key, s->chain, 1) == 1;
    const char *reason = fits ? NULL : ERR_reason_error_string(ERR_peek_last_error());
    if (!fits)
        buf_printf(why, "%s cannot be used: %s.", path, reason ? reason : "OpenSSL does not say why");
    SSL_CTX_free(ctx);
    return fits ? OK : ERR_INVALID;
}

static int shown_read(struct shown *s, const char *certificate, const char *key, struct buf *why)
{
    int err = read_chain(s, certificate, why);
    if (!err)
        err = read_key(s, key, why);
    if (!err && X509_check_private_key(s->leaf, s->key) != 1) {
        buf_printf(why, "%s is not the key of the certificate in %s.", key, certificate);
        err = ERR_INVALID;
    }
    if (!err)
        err = try_out(s, certificate, why);
    if (!err) {
        s->begins_s = unix_time(X509_get0_notBefore(s->leaf));
        s->ends_s = unix_time(X509_get0_notAfter(s->leaf));
    } else {
        shown_fini(s);
    }
    ERR_clear_error(); // of the end of a file, too
    return err;
}

struct tls *tls_new(const char *certificate, const char *key, struct buf *why)
{
    struct tls *t = mem_alloc(sizeof *t);
    t->certificate = certificate;
    t->key = key;
    if (tls_reload(t, why) == OK)
        return t;
    mem_free(t);
    return NULL;
}

int tls_reload(struct tls *t, struct buf *why)
{
    struct shown fresh = {0};
    int err = shown_read(&fresh, t->certificate, t->key, why);
    if (err)
        return err;
    shown_fini(&t->shown);
    t->shown = fresh;
    return OK;
}

const char *tls_concern(const struct tls *t, uint64_t unix_s)
{
    if (unix_s >= t->shown.ends_s)
        return "the certificate has expired: clients will refuse it";
    if (unix_s < t->shown.begins_s)
        return "the certificate is not valid yet: clients will refuse it";
    if (t->shown.ends_s - unix_s < SOON_S)
        return "the certificate expires within a week";
    return NULL;
}

uint64_t tls_ends_s(const struct tls *t)
{
    return t->shown.ends_s;
}

static int on_handshake(SSL *ssl, void *ctx)
{
    const struct shown *s = &((const struct tls *)ctx)->shown;
    return SSL_use_cert_and_key(ssl, s->leaf, s->key, s->chain, 1);
}

void tls_serve(struct tls *t, struct ssl_ctx_st *ctx)
{
    CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
    CHECK(SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); // tickets do it, and cost us no memory
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);         // idle connections keep none
    SSL_CTX_set_cert_cb(ctx, on_handshake, t);
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    shown_fini(&t->shown);
    mem_free(t);
}
