// bench_seal: what opening and sealing one packet costs in each mode, beside the bare call of the cipher on as many
// bytes: nanoseconds of CPU, and the ratio. The two take turns, and the medians are told, so that a busy machine
// troubles both alike.
//   bench_seal [BYTES]   of an Opus packet (120)
#include "../client_seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 31u
#define PACKETS 20000u // a round
#define ROOM (PACKET_MAX + SEAL_GROWTH)

static const uint8_t key[SEAL_KEY] = {1, 2, 3};

struct bench {
    enum seal_mode m;
    struct seal *s;
    struct gcm gcm;
    struct opened o;
    size_t n, sent_n; // of the payload; of the packet
    uint8_t body[PACKET_MAX], sent[ROOM], room[PACKET_MAX], out[ROOM], nonce[24];
};

static void our_open(struct bench *b)
{
    struct opened o;
    CHECK(seal_open_rtp(b->s, b->sent, b->sent_n, b->room, &o) == OK);
}

static void our_seal(struct bench *b)
{
    CHECK(seal_rtp(b->s, &b->o, b->out) > b->n);
}

static void bare_open(struct bench *b)
{
    const uint8_t *p = b->sent + RTP_HEADER;
    bool ok;
    if (b->m == SEAL_AES256_GCM_RTPSIZE)
        ok = gcm_open(&b->gcm, b->room, p, b->n, b->sent, RTP_HEADER, b->nonce);
    else if (b->m == SEAL_XCHACHA20_POLY1305_RTPSIZE)
        ok = !crypto_aead_xchacha20poly1305_ietf_decrypt(b->room, NULL, NULL, p, b->n + 16, b->sent, RTP_HEADER,
                                                         b->nonce, key);
    else
        ok = !crypto_secretbox_open_detached(b->room, p + 16, p, b->n, b->nonce, key);
    CHECK(ok);
}

static void bare_seal(struct bench *b)
{
    uint8_t *p = b->out + RTP_HEADER;
    if (b->m == SEAL_AES256_GCM_RTPSIZE)
        gcm_seal(&b->gcm, p, b->n, b->out, RTP_HEADER, b->nonce);
    else if (b->m == SEAL_XCHACHA20_POLY1305_RTPSIZE)
        crypto_aead_xchacha20poly1305_ietf_encrypt(p, NULL, p, b->n, b->out, RTP_HEADER, NULL, b->nonce, key);
    else
        crypto_secretbox_detached(p + 16, p, p + 16, b->n, b->nonce, key);
}

static double ns(struct bench *b, void (*call)(struct bench *))
{
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (unsigned i = 0; i < PACKETS; i++)
        call(b);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / PACKETS;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double v[ROUNDS])
{
    qsort(v, ROUNDS, sizeof *v, compare);
    return v[ROUNDS / 2];
}

static void measure(struct bench *b, const char *what, void (*ours)(struct bench *), void (*bare)(struct bench *))
{
    double a[ROUNDS], c[ROUNDS], ratio[ROUNDS];
    for (unsigned i = 0; i < ROUNDS; i++) {
        a[i] = ns(b, ours);
        c[i] = ns(b, bare);
        ratio[i] = c[i] / a[i];
    }
    printf("%-32s %s: %4.0f ns, bare %4.0f ns, bare / ours %.2f\n", seal_name(b->m), what, median(a), median(c),
           median(ratio));
}

static void begin(struct bench *b, enum seal_mode m, size_t n)
{
    uint8_t plain[PACKET_MAX] = {0x80, RTP_PT_OPUS};
    b->m = m;
    b->n = n;
    b->o = (struct opened){.rtp = {.pt = RTP_PT_OPUS}, .body = b->body, .body_n = (uint32_t)n};
    seal_init(b->s, m, key);
    gcm_init(&b->gcm, key, gcm_by_cpu());
    b->sent_n = client_seal(m, key, 0, plain, RTP_HEADER, RTP_HEADER + n, b->sent);
    memset(b->nonce, 0, sizeof b->nonce);
    if (m == SEAL_XSALSA20_POLY1305)
        memcpy(b->nonce, plain, RTP_HEADER);
}

int main(int argc, char **argv)
{
    static struct bench b;
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 120;
    CHECK(sodium_init() >= 0);
    if (n < 1 || n > (long)(PACKET_MAX - RTP_HEADER - SEAL_GROWTH)) {
        fprintf(stderr, "bench_seal [BYTES of an Opus packet, from 1 to %u]\n", PACKET_MAX - RTP_HEADER - SEAL_GROWTH);
        return 2;
    }
    b.s = aligned_alloc(64, (seal_size() + 63) / 64 * 64);
    CHECK(b.s);
    printf("%ld bytes, AES by %s\n", n, gcm_by_cpu() ? "the CPU" : "OpenSSL");
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        begin(&b, (enum seal_mode)m, (size_t)n);
        measure(&b, "open", our_open, bare_open);
        measure(&b, "seal", our_seal, bare_seal);
        gcm_fini(&b.gcm);
        seal_fini(b.s);
    }
    free(b.s);
    return 0;
}
