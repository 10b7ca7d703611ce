// crowd: see crowd.h.
#define _GNU_SOURCE // recvmmsg
#include "crowd.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define BUFFER (8 << 20)

static int open_socket(struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), bytes = BUFFER, on = 1;
    socklen_t n = sizeof *at;
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)at, n) == 0 && getsockname(fd, (struct sockaddr *)at, &n) == 0);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) == 0);
    return fd;
}

void crowd_init(struct crowd *c, uint32_t n, uint32_t room, enum seal_mode mode)
{
    *c = (struct crowd){.n = n / room * room, .room = room};
    c->v = mem_alloc(c->n * sizeof *c->v);
    for (uint32_t i = 0; i < c->n; i++) {
        struct crowd_client *k = &c->v[i];
        k->voice.mode = mode;
        randombytes_buf(k->voice.key, SEAL_KEY);
        k->fd = open_socket(&k->at);
    }
}

void crowd_fini(struct crowd *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        close(c->v[i].fd);
    mem_free(c->v);
}

static void send_to(const struct crowd *c, const struct crowd_client *k, const uint8_t *p, size_t n)
{
    ssize_t sent;
    do
        sent = sendto(k->fd, p, n, 0, (const struct sockaddr *)&c->port, sizeof c->port);
    while (sent < 0 && errno == EAGAIN);
    CHECK_ID(sent == (ssize_t)n, (uint64_t)errno);
}

void crowd_discover(struct crowd *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        uint8_t p[PACKET_DISCOVERY] = {0, 1, 0, 70};
        client_put32(p + 4, c->v[i].voice.ssrc);
        send_to(c, &c->v[i], p, sizeof p);
    }
}

uint64_t crowd_clock_us(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void crowd_speak(struct crowd *c, uint32_t n, uint32_t speakers)
{
    uint8_t body[CROWD_PAYLOAD] = {0}, plain[CLIENT_MAX], sealed[CLIENT_MAX];
    uint32_t rooms = c->n / c->room;
    for (uint32_t i = 0; i < n; i++, c->next++) {
        uint64_t turn = c->next / speakers;
        uint32_t who = (uint32_t)(turn / rooms * speakers + c->next % speakers) % c->room;
        struct crowd_client *k = &c->v[(uint32_t)(turn % rooms) * c->room + who];
        size_t size =
            client_rtp(plain, RTP_PT_OPUS, k->voice.ssrc, k->seq++, (uint32_t)crowd_clock_us(), body, sizeof body);
        send_to(c, k, sealed, voice_seal(&k->voice, plain, size, sealed));
    }
}

static void note(struct crowd_times *a, const struct msghdr *h, const uint8_t *p)
{
    for (struct cmsghdr *m = CMSG_FIRSTHDR(h); m; m = CMSG_NXTHDR((struct msghdr *)(uintptr_t)h, m)) {
        struct timespec t;
        if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_TIMESTAMPNS || a->n == a->max)
            continue;
        memcpy(&t, CMSG_DATA(m), sizeof t);
        uint32_t sent = (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | (uint32_t)p[6] << 8 | p[7];
        a->us[a->n++] = (uint32_t)((uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000) - sent;
    }
}

static uint64_t drain_one(int fd, struct crowd_times *a)
{
    static uint8_t bytes[BATCH][2048];
    static struct {
        _Alignas(struct cmsghdr) char p[CMSG_SPACE(sizeof(struct timespec))];
    } control[BATCH];
    struct mmsghdr m[BATCH];
    struct iovec iov[BATCH];
    uint64_t all = 0;
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){bytes[i], sizeof bytes[i]};
            m[i].msg_hdr = (struct msghdr){
                .msg_iov = &iov[i], .msg_iovlen = 1, .msg_control = &control[i], .msg_controllen = sizeof control[i]};
        }
        int n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; a && i < n; i++)
            if (m[i].msg_len > PACKET_DISCOVERY)
                note(a, &m[i].msg_hdr, bytes[i]);
        if (n <= 0)
            return all;
        all += (uint64_t)n;
        if (n < BATCH)
            return all;
    }
}

uint64_t crowd_drain(struct crowd *c, struct crowd_times *a)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->n; i++)
        n += drain_one(c->v[i].fd, a);
    return n;
}
