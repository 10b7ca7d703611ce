// What web promises when it speaks TLS: the same as without it, and what only TLS has: versions, certificates and their
// renewal, handshakes that are bounded. Certificates are made here; peers are OpenSSL's, on sockets of our own.
#define _GNU_SOURCE                 // memmem
#define ERR_STATE OPENSSL_ERR_STATE // OpenSSL has a type of this name
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE
#include "redis.h"
#include "web.h"
#include <errno.h>
#include <poll.h>
#include <time.h>

#define REQUEST_MS 3000u  // where it has to pass
#define PATIENT_MS 20000u // where a busy machine may take long
#define FRAME_MAX 200000u
#define DAY 86400

struct rig {
    struct loop *loop;
    struct web *web;
    struct tls *tls;
    char directory[64], certificate[80], key[80];
    uint64_t conn;
    uint32_t requests, opened, closed, messages;
    uint16_t code;
};

// --- certificates ---

static EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    CHECK(key != NULL);
    return key;
}

static void write_key(const char *path, EVP_PKEY *key, const char *passphrase)
{
    FILE *f = fopen(path, "w");
    CHECK(f && PEM_write_PrivateKey(f, key, passphrase ? EVP_aes_128_cbc() : NULL,
                                    (const unsigned char *)(uintptr_t)passphrase,
                                    passphrase ? (int)strlen(passphrase) : 0, NULL, NULL) == 1);
    fclose(f);
}

static void write_certificate(const char *path, EVP_PKEY *key, const char *name, long from_s, long to_s)
{
    X509 *x = X509_new();
    X509_NAME *n = X509_get_subject_name(x);
    CHECK(X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), (long)time(NULL)) == 1);
    CHECK(X509_gmtime_adj(X509_getm_notBefore(x), from_s) && X509_gmtime_adj(X509_getm_notAfter(x), to_s));
    CHECK(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1);
    CHECK(X509_set_issuer_name(x, n) == 1 && X509_set_pubkey(x, key) == 1 && X509_sign(x, key, EVP_sha256()) > 0);
    FILE *f = fopen(path, "w");
    CHECK(f && PEM_write_X509(f, x) == 1);
    fclose(f);
    X509_free(x);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0);
    fclose(f);
}

static void issue(const struct rig *t, const char *name, long from_s, long to_s)
{
    EVP_PKEY *key = make_key();
    write_key(t->key, key, NULL);
    write_certificate(t->certificate, key, name, from_s, to_s);
    EVP_PKEY_free(key);
}

// --- a server that answers all requests and gives back all messages ---

static void on_request(void *ctx, const struct web_request *r)
{
    struct rig *t = ctx;
    t->requests++;
    web_json(t->web, r->id, 200, BYTES("{\"ok\":true}"));
}

static void on_open(void *ctx, uint64_t conn, struct bytes path, struct bytes query, const char *address)
{
    struct rig *t = ctx;
    (void)path;
    (void)query;
    (void)address;
    t->opened++;
    t->conn = conn;
}

static void on_message(void *ctx, uint64_t conn, struct bytes payload, bool binary)
{
    struct rig *t = ctx;
    t->messages++;
    web_send(t->web, conn, payload, binary);
}

static void on_close(void *ctx, uint64_t conn, uint16_t code)
{
    struct rig *t = ctx;
    (void)conn;
    t->closed++;
    t->code = code;
}

static struct rig *rig_with_files(void)
{
    struct rig *t = mem_alloc(sizeof *t);
    strcpy(t->directory, "/tmp/switchboard-tls-XXXXXX");
    CHECK(mkdtemp(t->directory));
    snprintf(t->certificate, sizeof t->certificate, "%s/chain.pem", t->directory);
    snprintf(t->key, sizeof t->key, "%s/key.pem", t->directory);
    return t;
}

static struct rig *rig_with(uint64_t request_ms)
{
    struct rig *t = rig_with_files();
    struct buf why = {0};
    issue(t, "first", -DAY, DAY);
    t->loop = loop_new();
    t->tls = tls_new(t->certificate, t->key, &why);
    CHECK(t->tls && why.n == 0);
    t->web = web_new(t->loop, (struct web_cfg){.bind = "127.0.0.1",
                                               .body_max = 5000,
                                               .frame_max = FRAME_MAX,
                                               .queue_max = 1 << 20,
                                               .held_max = 4 << 20,
                                               .connections_max = 8,
                                               .request_ms = request_ms,
                                               .keepalive_ms = PATIENT_MS,
                                               .tls = t->tls,
                                               .on_request = on_request,
                                               .on_open = on_open,
                                               .on_message = on_message,
                                               .on_close = on_close,
                                               .ctx = t});
    CHECK(t->web);
    return t;
}

static struct rig *rig_new(void)
{
    return rig_with(PATIENT_MS);
}

static void rig_free(struct rig *t)
{
    if (t->web) {
        web_stop(t->web);
        loop_end(t->loop);
        loop_run(t->loop, NULL, NULL, NULL);
        web_free(t->web);
        loop_free(t->loop);
        tls_free(t->tls);
    }
    unlink(t->certificate);
    unlink(t->key);
    rmdir(t->directory);
    mem_free(t);
}

// --- a peer ---

struct peer {
    struct rig *rig;
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    bool eof, bye; // the connection is over; and its end was told
    struct buf in;
};

static struct peer dial(struct rig *t)
{
    struct sockaddr_in a = local_address(web_port(t->web));
    struct peer p = {.rig = t, .fd = socket(AF_INET, SOCK_STREAM, 0), .ctx = SSL_CTX_new(TLS_client_method())};
    CHECK(p.fd >= 0 && connect(p.fd, (struct sockaddr *)&a, sizeof a) == 0 && fcntl(p.fd, F_SETFL, O_NONBLOCK) == 0);
    CHECK(p.ctx);
    SSL_CTX_set_security_level(p.ctx, 0); // it may offer what the server has to refuse
    return p;
}

static void begin(struct peer *p)
{
    p->ssl = SSL_new(p->ctx);
    CHECK(p->ssl && SSL_set_fd(p->ssl, p->fd) == 1);
    SSL_set_connect_state(p->ssl);
}

// 1: done, 0: refused, -1: not yet.
static int handshake(struct peer *p)
{
    ERR_clear_error();
    int n = SSL_do_handshake(p->ssl), err = n == 1 ? 0 : SSL_get_error(p->ssl, n);
    return n == 1 ? 1 : err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

static struct peer peer_to(struct rig *t)
{
    struct peer p = dial(t);
    begin(&p);
    UNTIL(t->loop, handshake(&p) == 1);
    return p;
}

static void peer_free(struct peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    close(p->fd);
    buf_fini(&p->in);
}

static void peer_read(struct peer *p)
{
    char chunk[16384];
    for (int n; !p->eof;) {
        ERR_clear_error();
        if ((n = SSL_read(p->ssl, chunk, sizeof chunk)) > 0) {
            buf_add(&p->in, chunk, (size_t)n);
            continue;
        }
        int err = SSL_get_error(p->ssl, n);
        if (err == SSL_ERROR_WANT_READ)
            return;
        p->eof = true;
        p->bye = err == SSL_ERROR_ZERO_RETURN;
    }
}

static void peer_send(struct peer *p, const void *data, size_t n)
{
    const char *at = data;
    while (n > 0) {
        ERR_clear_error();
        int k = SSL_write(p->ssl, at, n > 16384 ? 16384 : (int)n);
        CHECK(k > 0 || SSL_get_error(p->ssl, k) == SSL_ERROR_WANT_WRITE);
        at += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
        turn(p->rig->loop);
        peer_read(p);
    }
}

static void peer_text(struct peer *p, const char *text)
{
    peer_send(p, text, strlen(text));
}

static bool peer_has(struct peer *p, const char *text)
{
    peer_read(p);
    return p->in.n && memmem(p->in.p, p->in.n, text, strlen(text));
}

static bool peer_eof(struct peer *p)
{
    peer_read(p);
    return p->eof;
}

static void peer_upgrade(struct peer *p)
{
    peer_text(p, "GET /?v=9 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    UNTIL(p->rig->loop, peer_has(p, "\r\n\r\n"));
    CHECK_TRUE(peer_has(p, "HTTP/1.1 101 "));
    buf_reset(&p->in);
}

// One masked binary message (with a mask of zero) of n bytes; and its echo.
static void peer_echo(struct peer *p, size_t n)
{
    struct buf frame = {0};
    char length[8];
    for (size_t i = 0; i < 8; i++)
        length[i] = (char)(n >> (56 - 8 * i));
    buf_add(&frame, "\x82\xff", 2);
    buf_add(&frame, length, 8);
    buf_add(&frame, "\0\0\0\0", 4);
    for (size_t i = 0; i < n; i++)
        buf_char(&frame, (char)(i * 7 + i / 256));
    size_t head = n < 126 ? 2 : n < 65536 ? 4 : 10;
    peer_send(p, frame.p, frame.n);
    UNTIL(p->rig->loop, (peer_read(p), p->in.n >= head + n));
    CHECK_EQ(p->in.n, head + n);
    CHECK_TRUE(memcmp(p->in.p + head, frame.p + 14, n) == 0);
    buf_reset(&p->in);
    buf_fini(&frame);
}

static void name_shown(struct peer *p, const char *name)
{
    char shown[64] = "";
    X509 *x = SSL_get1_peer_certificate(p->ssl);
    CHECK(x);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, shown, sizeof shown);
    CHECK_STR(shown, name);
    X509_free(x);
}

// --- what TLS does not change ---

TEST(requests_are_answered_and_the_connection_goes_on)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    for (uint32_t i = 1; i <= 3; i++) {
        peer_text(&p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        UNTIL(t->loop, peer_has(&p, "{\"ok\":true}"));
        buf_reset(&p.in);
        CHECK_EQ(t->requests, i);
    }
    peer_free(&p);
    rig_free(t);
}

TEST(messages_of_every_size_come_back)
{
    static const size_t sizes[] = {0, 1, 125, 126, 16383, 16384, 16385, 32768, 65535, 65536, 150000, FRAME_MAX};
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    peer_upgrade(&p);
    for (size_t i = 0; i < countof(sizes); i++)
        peer_echo(&p, sizes[i]);
    CHECK_EQ(t->messages, countof(sizes));
    peer_free(&p);
    rig_free(t);
}

TEST(a_websocket_outlives_the_time_for_its_handshake)
{
    struct rig *t = rig_with(REQUEST_MS);
    struct peer p = peer_to(t);
    peer_upgrade(&p);
    uint64_t until = loop_now(t->loop) + REQUEST_MS + 2000; // libwebsockets counts in whole seconds
    UNTIL(t->loop, loop_now(t->loop) > until || t->closed);
    CHECK_EQ(t->closed, 0);
    peer_echo(&p, 10);
    peer_free(&p);
    rig_free(t);
}

static void send_many(struct rig *t, uint32_t n)
{
    static char text[65536];
    for (uint32_t i = 0; i < n; i++) {
        memset(text, (int)('a' + i), sizeof text);
        web_send(t->web, t->conn, (struct bytes){text, sizeof text}, true);
    }
}

TEST(what_a_slow_reader_is_owed_arrives_whole_or_ends_him)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    const size_t size = 10 + 65536;
    peer_upgrade(&p);
    send_many(t, 15); // just below the bound, far above what the kernel takes at once
    for (int i = 0; i < 50; i++)
        turn(t->loop);
    CHECK_EQ(t->closed, 0);
    UNTIL(t->loop, (peer_read(&p), p.in.n >= 15 * size));
    CHECK_EQ(p.in.n, 15 * size);
    for (size_t i = 0; i < 15; i++)
        CHECK_TRUE(p.in.p[i * size + 10] == (char)('a' + i) && p.in.p[(i + 1) * size - 1] == (char)('a' + i));
    buf_reset(&p.in);
    peer_echo(&p, 100);
    send_many(t, 17); // a mebibyte and more at once
    UNTIL(t->loop, peer_eof(&p) && t->closed == 1);
    peer_free(&p);
    rig_free(t);
}

TEST(the_end_of_a_connection_is_told)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t), q = peer_to(t);
    peer_text(&p, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    UNTIL(t->loop, peer_eof(&p));
    CHECK_TRUE(peer_has(&p, "{\"ok\":true}"));
    CHECK_TRUE(p.bye); // or he could not know that nothing was cut off
    peer_upgrade(&q);
    web_close(t->web, t->conn, 4000, "bye");
    UNTIL(t->loop, peer_has(&q, "bye"));
    peer_send(&q, "\x88\x82\0\0\0\0\x0f\xa0", 8);
    UNTIL(t->loop, peer_eof(&q));
    CHECK_TRUE(q.bye);
    CHECK_EQ(t->code, 4000);
    peer_free(&p);
    peer_free(&q);
    rig_free(t);
}

// --- handshakes ---

TEST(old_versions_and_weak_ciphers_are_refused)
{
    static const struct {
        int min, max;
        const char *ciphers;
        int expected;
    } rows[] = {
        {TLS1_VERSION, TLS1_VERSION, "ALL", 0},
        {TLS1_1_VERSION, TLS1_1_VERSION, "ALL", 0},
        {TLS1_2_VERSION, TLS1_2_VERSION, "ALL", 1},
        {TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", 0},
        {TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", 1},
        {TLS1_3_VERSION, TLS1_3_VERSION, "ALL", 1},
    };
    struct rig *t = rig_new();
    for (size_t i = 0; i < countof(rows); i++) {
        struct peer p = dial(t);
        int got = -1;
        CHECK(SSL_CTX_set_min_proto_version(p.ctx, rows[i].min) && SSL_CTX_set_max_proto_version(p.ctx, rows[i].max));
        CHECK(SSL_CTX_set_cipher_list(p.ctx, rows[i].ciphers));
        begin(&p);
        UNTIL(t->loop, (got = handshake(&p)) >= 0);
        CHECK_EQ(got, rows[i].expected);
        peer_free(&p);
    }
    rig_free(t);
}

static bool hung_up(int fd)
{
    char chunk[64];
    ssize_t n;
    while ((n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT)) > 0)
        ; // an alert
    return n == 0 || errno != EAGAIN;
}

TEST(half_open_handshakes_end_in_time_and_hold_no_place)
{
    struct rig *t = rig_with(REQUEST_MS);
    struct peer silent = dial(t), half = dial(t), plain = dial(t), slow = dial(t);
    CHECK(send(half.fd, "\x16\x03\x01\x02\x00\x01\x00", 7, 0) == 7); // the beginning of a ClientHello
    CHECK(send(plain.fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27, 0) == 27);
    begin(&slow);
    UNTIL(t->loop, handshake(&slow) == 1); // and says nothing
    UNTIL(t->loop, hung_up(silent.fd) && hung_up(half.fd) && hung_up(plain.fd) && peer_eof(&slow));
    CHECK_EQ(t->requests, 0);
    for (int i = 0; i < 8; i++) { // all eight places are free again
        struct peer p = peer_to(t);
        peer_text(&p, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        UNTIL(t->loop, peer_has(&p, "{\"ok\":true}"));
        peer_free(&p);
    }
    peer_free(&silent);
    peer_free(&half);
    peer_free(&plain);
    peer_free(&slow);
    rig_free(t);
}

// --- certificates ---

TEST(a_renewed_certificate_is_shown_to_new_peers_and_the_old_ones_stay)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    struct buf why = {0};
    peer_upgrade(&p);
    name_shown(&p, "first");
    issue(t, "second", -DAY, DAY);
    struct peer before = peer_to(t); // nobody said that the files have changed
    name_shown(&before, "first");
    CHECK_EQ(tls_reload(t->tls, &why), OK);
    struct peer q = peer_to(t);
    name_shown(&q, "second");
    peer_upgrade(&q);
    peer_echo(&p, 1000);
    peer_echo(&q, 1000);
    peer_free(&p);
    peer_free(&q);
    peer_free(&before);
    rig_free(t);
}

TEST(a_renewal_that_went_wrong_changes_nothing)
{
    struct rig *t = rig_new();
    struct buf why = {0};
    EVP_PKEY *other = make_key();
    write_key(t->key, other, NULL);
    CHECK_EQ(tls_reload(t->tls, &why), ERR_INVALID);
    CHECK_TRUE(memmem(why.p, why.n, "is not the key of", 17));
    buf_reset(&why);
    unlink(t->certificate);
    CHECK_EQ(tls_reload(t->tls, &why), ERR_INVALID);
    CHECK_TRUE(memmem(why.p, why.n, "cannot be read", 14));
    struct peer p = peer_to(t);
    name_shown(&p, "first");
    peer_free(&p);
    buf_fini(&why);
    EVP_PKEY_free(other);
    rig_free(t);
}

static void refused(struct rig *t, const char *sentence)
{
    struct buf why = {0};
    CHECK_TRUE(tls_new(t->certificate, t->key, &why) == NULL);
    buf_char(&why, '\0');
    if (!strstr(why.p, sentence))
        CHECK_STR(why.p, sentence);
    buf_fini(&why);
}

TEST(files_that_are_no_certificate_and_its_key_are_refused_in_a_sentence)
{
    struct rig *t = rig_with_files();
    refused(t, "chain.pem cannot be read: No such file or directory.");
    write_text(t->certificate, "nothing of the kind\n");
    refused(t, "chain.pem holds no certificate in PEM form.");
    issue(t, "good", -DAY, DAY);
    unlink(t->key);
    refused(t, "key.pem cannot be read: No such file or directory.");
    write_text(t->key, "");
    refused(t, "key.pem holds no private key in PEM form, or one with a passphrase.");
    EVP_PKEY *other = make_key(), *weak = EVP_RSA_gen(1024);
    write_key(t->key, other, "secret");
    refused(t, "key.pem holds no private key in PEM form, or one with a passphrase.");
    write_key(t->key, other, NULL);
    refused(t, "is not the key of the certificate in");
    write_key(t->key, weak, NULL);
    write_certificate(t->certificate, weak, "weak", -DAY, DAY);
    refused(t, "chain.pem cannot be used: ee key too small.");
    EVP_PKEY_free(other);
    EVP_PKEY_free(weak);
    rig_free(t);
}

TEST(an_expired_certificate_is_a_concern_and_no_error)
{
    static const struct {
        long from, to;
        const char *concern;
    } rows[] = {
        {-DAY, 30 * DAY, NULL},
        {-DAY, 6 * DAY, "the certificate expires within a week"},
        {-2 * DAY, -60, "the certificate has expired: clients will refuse it"},
        {DAY, 30 * DAY, "the certificate is not valid yet: clients will refuse it"},
    };
    struct rig *t = rig_with_files();
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf why = {0};
        issue(t, "x", rows[i].from, rows[i].to);
        struct tls *tls = tls_new(t->certificate, t->key, &why);
        CHECK(tls);
        const char *concern = tls_concern(tls, (uint64_t)time(NULL));
        CHECK_STR(concern ? concern : "", rows[i].concern ? rows[i].concern : "");
        tls_free(tls);
    }
    rig_free(t);
}

MAIN
