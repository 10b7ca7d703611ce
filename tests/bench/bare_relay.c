// bare_relay: see bare_relay.h.
#define _GNU_SOURCE // recvmmsg, sendmmsg
#include "bare_relay.h"

#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN 128u
#define OUT 128u
#define TOGETHER 16u // packets of one room that are sealed together
#define SLOT (TOGETHER * 160u)

struct bare_client {
    crypto_aead_aes256gcm_state aes;
    uint8_t key[SEAL_KEY];
    struct sockaddr_in at;
    uint32_t counter;
};
struct bare {
    int fd;
    bool together, aes;
    uint32_t n, room;
    struct bare_client *clients;
    uint64_t forwarded;
    struct mmsghdr in[IN], out[OUT];
    struct iovec in_iov[IN], out_iov[OUT];
    uint8_t in_bytes[IN][2048], opened[TOGETHER][2048], out_bytes[OUT][SLOT];
    uint32_t from[TOGETHER], n_opened, n_out;
    size_t opened_n[TOGETHER];
    const uint8_t *header[TOGETHER];
    _Alignas(struct cmsghdr) char control[OUT][CMSG_SPACE(sizeof(uint16_t))];
};

struct bare *bare_new(const struct crowd *c, bool together)
{
    struct bare *b;
    int bytes = 8 << 20;
    CHECK(posix_memalign((void **)&b, 64, sizeof *b) == 0);
    memset(b, 0, sizeof *b);
    b->together = together;
    b->n = c->n;
    b->room = c->room;
    b->aes = c->v[0].voice.mode == SEAL_AES256_GCM_RTPSIZE;
    CHECK(posix_memalign((void **)&b->clients, 64, c->n * sizeof *b->clients) == 0);
    for (uint32_t i = 0; i < c->n; i++) {
        b->clients[i].at = c->v[i].at;
        b->clients[i].counter = 0x80000000u;
        memcpy(b->clients[i].key, c->v[i].voice.key, SEAL_KEY);
        if (b->aes)
            crypto_aead_aes256gcm_beforenm(&b->clients[i].aes, b->clients[i].key);
    }
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    b->fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(b->fd >= 0 && bind(b->fd, (struct sockaddr *)&at, sizeof at) == 0);
    (void)setsockopt(b->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    (void)setsockopt(b->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    for (uint32_t i = 0; i < IN; i++) {
        b->in_iov[i] = (struct iovec){b->in_bytes[i], sizeof b->in_bytes[i]};
        b->in[i].msg_hdr = (struct msghdr){.msg_iov = &b->in_iov[i], .msg_iovlen = 1};
    }
    return b;
}

void bare_free(struct bare *b)
{
    close(b->fd);
    free(b->clients);
    free(b);
}

struct sockaddr_in bare_port(const struct bare *b)
{
    struct sockaddr_in at;
    socklen_t n = sizeof at;
    CHECK(getsockname(b->fd, (struct sockaddr *)&at, &n) == 0);
    return at;
}

uint64_t bare_forwarded(const struct bare *b)
{
    return b->forwarded;
}

static size_t open_packet(const struct bare *b, const struct bare_client *c, const uint8_t *p, size_t n, uint8_t *out)
{
    uint8_t nonce[24] = {0};
    memcpy(nonce, p + n - 4, 4);
    size_t sealed = n - RTP_HEADER - 4;
    int bad = b->aes ? crypto_aead_aes256gcm_decrypt_afternm(out, NULL, NULL, p + RTP_HEADER, sealed, p, RTP_HEADER,
                                                             nonce, &c->aes)
                     : crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, p + RTP_HEADER, sealed, p,
                                                                  RTP_HEADER, nonce, c->key);
    CHECK(!bad);
    return sealed - 16;
}

static size_t seal_packet(const struct bare *b, struct bare_client *c, const uint8_t *header, const uint8_t *body,
                          size_t n, uint8_t *out)
{
    uint8_t nonce[24] = {0};
    client_put32(nonce, c->counter++);
    memcpy(out, header, RTP_HEADER);
    if (b->aes)
        crypto_aead_aes256gcm_encrypt_afternm(out + RTP_HEADER, NULL, body, n, out, RTP_HEADER, NULL, nonce, &c->aes);
    else
        crypto_aead_xchacha20poly1305_ietf_encrypt(out + RTP_HEADER, NULL, body, n, out, RTP_HEADER, NULL, nonce,
                                                   c->key);
    memcpy(out + RTP_HEADER + n + 16, nonce, 4);
    return RTP_HEADER + n + 16 + 4;
}

static void flush(struct bare *b)
{
    for (uint32_t i = 0; i < b->n_out;) {
        int n = sendmmsg(b->fd, b->out + i, b->n_out - i, 0);
        CHECK(n > 0);
        i += (uint32_t)n;
    }
    b->n_out = 0;
}

// What has been opened, all of one room, to one of its clients.
static void serve(struct bare *b, uint32_t to)
{
    uint8_t *out = b->out_bytes[b->n_out];
    size_t n = 0;
    uint32_t packets = 0;
    for (uint32_t i = 0; i < b->n_opened; i++) {
        if (b->from[i] == to)
            continue;
        n += seal_packet(b, &b->clients[to], b->header[i], b->opened[i], b->opened_n[i], out + n);
        packets++;
    }
    if (!packets)
        return;
    struct msghdr *h = &b->out[b->n_out].msg_hdr;
    b->out_iov[b->n_out] = (struct iovec){out, n};
    *h = (struct msghdr){.msg_name = &b->clients[to].at,
                         .msg_namelen = sizeof b->clients[to].at,
                         .msg_iov = &b->out_iov[b->n_out],
                         .msg_iovlen = 1};
    if (packets > 1) {
        uint16_t size = CROWD_WIRE;
        h->msg_control = b->control[b->n_out];
        h->msg_controllen = sizeof b->control[0];
        struct cmsghdr *m = CMSG_FIRSTHDR(h);
        *m = (struct cmsghdr){.cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
        memcpy(CMSG_DATA(m), &size, sizeof size);
    }
    b->forwarded += packets;
    if (++b->n_out == OUT)
        flush(b);
}

static void serve_room(struct bare *b)
{
    uint32_t first = b->n_opened ? b->from[0] / b->room * b->room : 0;
    for (uint32_t i = 0; b->n_opened && i < b->room; i++)
        serve(b, first + i);
    b->n_opened = 0;
}

uint32_t bare_turn(struct bare *b, bool wait)
{
    int n = recvmmsg(b->fd, b->in, IN, wait ? MSG_WAITFORONE : MSG_DONTWAIT, NULL);
    if (n <= 0)
        return 0;
    for (uint32_t i = 0; i < (uint32_t)n; i++) {
        const uint8_t *p = b->in_bytes[i];
        uint32_t from = (uint32_t)p[8] << 24 | (uint32_t)p[9] << 16 | (uint32_t)p[10] << 8 | p[11];
        if (b->in[i].msg_len != CROWD_WIRE)
            continue;
        CHECK(from < b->n);
        if (b->n_opened == (b->together ? TOGETHER : 1) || (b->n_opened && b->from[0] / b->room != from / b->room))
            serve_room(b);
        b->from[b->n_opened] = from;
        b->header[b->n_opened] = p;
        b->opened_n[b->n_opened] = open_packet(b, &b->clients[from], p, b->in[i].msg_len, b->opened[b->n_opened]);
        b->n_opened++;
    }
    serve_room(b);
    flush(b);
    return (uint32_t)n;
}
