// udp: recvmmsg and sendmmsg on a plain socket that the loop polls. Packets for one address that lie in a row are one
// datagram with UDP_SEGMENT (udp(7)), which the kernel, or the network card, cuts up.
#define _GNU_SOURCE // recvmmsg, sendmmsg
#include "udp.h"
#include "metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h> // SK_MEMINFO_DROPS
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define BATCH 128u // datagrams received at once
#define TURN 4u    // batches in one turn of the loop, so that the others on it have theirs
#define ASK_US 1000000u
#define SENDS 256u        // messages handed to the kernel at once
#define BUFFER (4 << 20)  // bytes of the socket's buffers: what arrives while a turn lasts has to wait there
#define SEGMENTS 32u      // in one message; the kernel takes 64
#define SEGMENT_MAX 1200u // bytes of a packet that may go with others: it has to fit the path as it is

struct udp {
    uv_poll_t poll;
    int fd;
    uint16_t port;
    bool stopped, freed, closed;
    bool segments; // the kernel takes UDP_SEGMENT here
    udp_take_fn take;
    void *ctx;
    uint64_t asked_us; // when the kernel was last asked what it has dropped
    uint32_t dropped;  // what it said

    struct mmsghdr in[BATCH];
    struct iovec in_iov[BATCH];
    struct sockaddr_in in_from[BATCH];
    struct datagram datagrams[BATCH];
    uint8_t in_bytes[BATCH][PACKET_MAX + 1]; // one more: that it was longer shows

    struct mmsghdr out[SENDS];
    struct iovec out_iov[SENDS];
    struct sockaddr_in out_to[SENDS];
    const struct relay_send *out_of[SENDS]; // its first packet
    uint32_t out_packets[SENDS];
    _Alignas(struct cmsghdr) char out_control[SENDS][CMSG_SPACE(sizeof(uint16_t))];
};

uint64_t udp_now_us(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

// --- in ---

static int receive(struct udp *u)
{
    for (uint32_t i = 0; i < BATCH; i++)
        u->in[i].msg_hdr.msg_namelen = sizeof u->in_from[i];
    for (;;) {
        int n = recvmmsg(u->fd, u->in, BATCH, MSG_DONTWAIT, NULL);
        if (n >= 0 || errno == EAGAIN || errno == EWOULDBLOCK)
            return n;
        if (errno == EINTR)
            continue;
        M.media_receive_errors++; // of an earlier datagram that could not be delivered: told once, then gone
        return -1;
    }
}

static void take(struct udp *u, uint32_t n, uint64_t now_us)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct sockaddr_in *from = &u->in_from[i];
        u->datagrams[i] = (struct datagram){
            .from = {ntohl(from->sin_addr.s_addr), ntohs(from->sin_port)}, .p = u->in_bytes[i], .n = u->in[i].msg_len};
    }
    u->take(u->ctx, u->datagrams, n, now_us);
}

// What came while the buffer was full, of which the kernel says nothing unasked.
static void count_dropped(struct udp *u, uint64_t now_us)
{
    uint32_t info[SK_MEMINFO_VARS];
    socklen_t n = sizeof info;
    if (now_us - u->asked_us < ASK_US)
        return;
    u->asked_us = now_us;
    if (getsockopt(u->fd, SOL_SOCKET, SO_MEMINFO, info, &n) || n <= SK_MEMINFO_DROPS * sizeof *info)
        return;
    M.media_receive_full += info[SK_MEMINFO_DROPS] - u->dropped;
    u->dropped = info[SK_MEMINFO_DROPS];
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct udp *u = poll->data;
    (void)status;
    (void)events;
    for (uint32_t i = 0; i < TURN && !u->stopped; i++) {
        int n = receive(u);
        uint64_t now_us = udp_now_us();
        count_dropped(u, now_us);
        if (n > 0)
            take(u, (uint32_t)n, now_us);
        if (n < (int)BATCH)
            return;
    }
}

// --- out ---

// How many packets from v[0] on may leave as one.
static uint32_t run_length(const struct udp *u, const struct relay_send *v, uint32_t n)
{
    uint32_t k = 1;
    if (!u->segments || v[0].n > SEGMENT_MAX)
        return 1;
    while (k < n && k < SEGMENTS && v[k - 1].n == v[0].n && v[k].n && v[k].n <= v[0].n && v[k].to.ip == v[0].to.ip &&
           v[k].to.port == v[0].to.port && v[k].p == v[k - 1].p + v[k - 1].n)
        k++;
    return k;
}

static void fill(struct udp *u, uint32_t i, const struct relay_send *v, uint32_t k)
{
    struct msghdr *h = &u->out[i].msg_hdr;
    u->out_of[i] = v;
    u->out_packets[i] = k;
    u->out_to[i].sin_addr.s_addr = htonl(v->to.ip);
    u->out_to[i].sin_port = htons(v->to.port);
    u->out_iov[i] = (struct iovec){(void *)(uintptr_t)v->p, (size_t)(k - 1) * v->n + v[k - 1].n};
    h->msg_control = k > 1 ? u->out_control[i] : NULL;
    h->msg_controllen = k > 1 ? sizeof u->out_control[i] : 0;
    if (k > 1) {
        uint16_t size = (uint16_t)v->n;
        memcpy(CMSG_DATA((struct cmsghdr *)(void *)u->out_control[i]), &size, sizeof size);
    }
}

// One by one, without UDP_SEGMENT: what the kernel would not take together. false: nor does it take any of them so.
static bool send_apart(struct udp *u, const struct relay_send *v, size_t bytes)
{
    bool any = false;
    for (; bytes; bytes -= v->n, v++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(v->to.port)};
        to.sin_addr.s_addr = htonl(v->to.ip);
        bool sent = sendto(u->fd, v->p, v->n, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) >= 0;
        M.media_send_errors += !sent;
        any |= sent;
    }
    return any;
}

// Message i was refused: it is lost, or goes in pieces, and the next one has its turn.
static void refused(struct udp *u, uint32_t i, int why)
{
    if (!u->out[i].msg_hdr.msg_control) {
        M.media_send_errors++;
        return;
    }
    if (send_apart(u, u->out_of[i], u->out_iov[i].iov_len) && why == EIO)
        u->segments = false; // its device cannot; anything else (a small MTU: EINVAL) is of this way only
}

static void transmit(struct udp *u, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        int sent = sendmmsg(u->fd, u->out + i, n - i, MSG_DONTWAIT);
        if (sent > 0) {
            i += (uint32_t)sent;
            continue;
        }
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
            while (i < n)
                M.media_send_full += u->out_packets[i++];
            return;
        }
        refused(u, i++, sent < 0 ? errno : EIO);
    }
}

void udp_send(struct udp *u, const struct relay_send *v, uint32_t n)
{
    uint32_t filled = 0;
    if (u->stopped)
        return;
    for (uint32_t i = 0; i < n;) {
        uint32_t k = run_length(u, v + i, n - i);
        fill(u, filled++, v + i, k);
        i += k;
        if (filled == SENDS || i == n) {
            transmit(u, filled);
            filled = 0;
        }
    }
}

// --- life ---

static void lay_out(struct udp *u)
{
    for (uint32_t i = 0; i < BATCH; i++) {
        u->in_iov[i] = (struct iovec){u->in_bytes[i], sizeof u->in_bytes[i]};
        u->in[i].msg_hdr = (struct msghdr){.msg_name = &u->in_from[i], .msg_iov = &u->in_iov[i], .msg_iovlen = 1};
    }
    for (uint32_t i = 0; i < SENDS; i++) {
        struct cmsghdr *c = (struct cmsghdr *)(void *)u->out_control[i];
        u->out_to[i].sin_family = AF_INET;
        u->out[i].msg_hdr = (struct msghdr){
            .msg_name = &u->out_to[i], .msg_namelen = sizeof u->out_to[i], .msg_iov = &u->out_iov[i], .msg_iovlen = 1};
        *c = (struct cmsghdr){.cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t))};
    }
}

// As much as asked for with the right to it, else as much as the system lets anybody have.
static void widen(int fd)
{
    int bytes = BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes))
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static bool knows_segments(int fd)
{
    int size;
    socklen_t n = sizeof size;
    return getsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, &n) == 0;
}

static int open_socket(const char *address, uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(*port)};
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    socklen_t n = sizeof at;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || getsockname(fd, (struct sockaddr *)&at, &n)) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    widen(fd);
    *port = ntohs(at.sin_port);
    return fd;
}

struct udp *udp_new(struct loop *loop, const char *bind, uint16_t port, udp_take_fn take_fn, void *ctx)
{
    int fd = open_socket(bind, &port);
    if (fd < 0)
        return NULL;
    struct udp *u = mem_alloc(sizeof *u);
    u->fd = fd;
    u->port = port;
    u->take = take_fn;
    u->ctx = ctx;
    u->segments = knows_segments(fd);
    lay_out(u);
    u->poll.data = u;
    CHECK(uv_poll_init(loop_uv(loop), &u->poll, fd) == 0);
    CHECK(uv_poll_start(&u->poll, UV_READABLE, on_poll) == 0);
    return u;
}

uint16_t udp_port(const struct udp *u)
{
    return u->port;
}

static void on_close(uv_handle_t *h)
{
    struct udp *u = h->data;
    u->closed = true;
    if (u->freed)
        mem_free(u);
}

void udp_stop(struct udp *u)
{
    if (u->stopped)
        return;
    u->stopped = true;
    uv_close((uv_handle_t *)&u->poll, on_close);
    close(u->fd); // uv_close has taken it out of the poll
}

void udp_free(struct udp *u)
{
    if (!u)
        return;
    udp_stop(u);
    u->freed = true;
    if (u->closed)
        mem_free(u);
}
