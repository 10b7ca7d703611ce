// test_udp: what is handed to the media port arrives as it was, one datagram each, whether it left alone or together;
// what comes in is handed on, and a flood leaves the loop's others their turn. On loopback, with sockets of its own.
#include "metrics.h"
#include "udp.h"
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define KEPT 4096u

static struct {
    struct loop *loop;
    struct udp *udp;
    uint32_t n, turns, flushes, wanted;
    uint32_t sizes[KEPT];
    uint8_t firsts[KEPT];
    struct address4 from;
} got_in;

static void on_take(void *ctx, struct datagram *v, uint32_t n, uint64_t now_us)
{
    CHECK_TRUE(ctx == &got_in && n > 0 && now_us > 0);
    got_in.turns++;
    for (uint32_t i = 0; i < n && got_in.n < KEPT; i++, got_in.n++) {
        got_in.sizes[got_in.n] = v[i].n;
        got_in.firsts[got_in.n] = v[i].n ? v[i].p[0] : 0;
        got_in.from = v[i].from;
    }
    if (got_in.n >= got_in.wanted) {
        udp_stop(got_in.udp);
        loop_end(got_in.loop);
    }
}

static void begin(uint32_t wanted)
{
    memset(&got_in, 0, sizeof got_in);
    memset(&M, 0, sizeof M);
    got_in.wanted = wanted;
    got_in.loop = loop_new();
    got_in.udp = udp_new(got_in.loop, "127.0.0.1", 0, on_take, &got_in);
    CHECK(got_in.udp);
}

static void end(void)
{
    udp_free(got_in.udp);
    loop_free(got_in.loop);
}

static int client(struct address4 *at)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = 4 << 20;
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    *at = (struct address4){ntohl(a.sin_addr.s_addr), ntohs(a.sin_port)};
    return fd;
}

static void to_port(int fd, const void *p, size_t n)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(udp_port(got_in.udp))};
    CHECK(sendto(fd, p, n, 0, (struct sockaddr *)&a, sizeof a) == (ssize_t)n);
}

// The next datagram that is there for fd, or -1 when none comes.
static ssize_t got(int fd, uint8_t *out, size_t n)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, 10000) == 1 ? recv(fd, out, n, 0) : -1;
}

TEST(what_comes_in_is_handed_on_with_where_it_is_from)
{
    struct address4 at;
    uint8_t p[3000] = {7};
    begin(4);
    int fd = client(&at);
    to_port(fd, p, 100);
    to_port(fd, p, 0);
    to_port(fd, p, PACKET_MAX);
    to_port(fd, p, 3000);
    loop_run(got_in.loop, NULL, NULL, NULL);
    CHECK_TRUE(got_in.sizes[0] == 100 && got_in.sizes[1] == 0 && got_in.sizes[2] == PACKET_MAX &&
               got_in.sizes[3] == PACKET_MAX + 1);
    CHECK_EQ(got_in.firsts[0], 7);
    CHECK_TRUE(got_in.from.ip == at.ip && got_in.from.port == at.port);
    close(fd);
    end();
}

// Runs of equal sizes, a shorter one behind them, longer ones, another address between, and one too long to go with
// others.
TEST(what_is_sent_arrives_one_by_one_and_in_order)
{
    static const uint32_t sizes[] = {100, 100, 100, 60, 60, 61, 1, 1400, 1400, 1200, 1200, 5, 6, 0, 0, 8};
    static uint8_t bytes[1 << 16];
    struct relay_send v[countof(sizes) * 8];
    struct address4 at[2];
    uint8_t p[2000];
    uint32_t n = 0, used = 0;
    begin(1);
    int fd[2] = {client(&at[0]), client(&at[1])};
    for (uint32_t round = 0; round < 8; round++)
        for (uint32_t i = 0; i < countof(sizes); i++, n++) {
            memset(bytes + used, (int)n, sizes[i]);
            v[n] = (struct relay_send){at[round % 2], bytes + used, sizes[i]};
            used += sizes[i] + (i == 1); // one gap: what does not lie in a row is not one
        }
    udp_send(got_in.udp, v, n);
    for (uint32_t i = 0; i < n; i++) {
        ssize_t size = got(fd[i / countof(sizes) % 2], p, sizeof p);
        CHECK_EQ(size, v[i].n);
        CHECK_TRUE(size < 0 || memcmp(p, v[i].p, v[i].n) == 0);
    }
    CHECK_EQ(M.media_send_errors, 0);
    close(fd[0]);
    close(fd[1]);
    end();
}

TEST(more_than_the_kernel_takes_at_once_is_sent_all_the_same)
{
    enum { N = 1500, SIZE = 50 };
    static uint8_t bytes[N * SIZE];
    static struct relay_send v[N];
    struct address4 at;
    uint8_t p[100];
    begin(1);
    int fd = client(&at);
    for (uint32_t i = 0; i < N; i++) {
        memset(bytes + i * SIZE, (int)(i % 251), SIZE);
        v[i] = (struct relay_send){at, bytes + i * SIZE, SIZE};
    }
    udp_send(got_in.udp, v, N);
    for (uint32_t i = 0; i < N; i++) {
        CHECK_EQ(got(fd, p, sizeof p), SIZE);
        CHECK_EQ(p[0], i % 251);
    }
    close(fd);
    end();
}

TEST(one_that_cannot_be_sent_does_not_keep_the_others)
{
    struct address4 at, nowhere = {0xffffffff, 9}, no_port = {0x7f000001, 0};
    uint8_t p[64] = {0}, answer[100];
    begin(1);
    int fd = client(&at);
    struct relay_send v[] = {{nowhere, p, 10}, {at, p, 11}, {no_port, p, 12}, {no_port, p + 12, 12}, {at, p, 13}};
    udp_send(got_in.udp, v, countof(v));
    CHECK_EQ(got(fd, answer, sizeof answer), 11);
    CHECK_EQ(got(fd, answer, sizeof answer), 13);
    CHECK_EQ(M.media_send_errors, 3);
    udp_send(got_in.udp, v + 4, 1); // what may be sent together still is
    CHECK_EQ(got(fd, answer, sizeof answer), 13);
    close(fd);
    end();
}

static void on_flush(struct loop_flush *f)
{
    (void)f;
    got_in.flushes++;
}

static int port_socket(void)
{
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in a;
        socklen_t n = sizeof a;
        if (getsockname(fd, (struct sockaddr *)&a, &n) == 0 && a.sin_family == AF_INET &&
            ntohs(a.sin_port) == udp_port(got_in.udp))
            return fd;
    }
    CHECK(false);
    return -1;
}

// Whether what is refused together is refused for the way there (its MTU may be small) or because this socket sends no
// checksums, as here: the others' packets go together afterwards.
TEST(who_cannot_be_sent_several_as_one_does_not_keep_others_from_it)
{
    static const uint8_t packets[400];
    uint8_t in[1000];
    struct address4 to;
    struct relay_send v[4];
    int on = 1, off = 0;
    begin(1);
    int fd = client(&to);
    CHECK_EQ(setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on), 0); // then what left as one is received as one
    for (uint32_t i = 0; i < countof(v); i++)
        v[i] = (struct relay_send){to, packets + 100 * (size_t)i, 100};
    udp_send(got_in.udp, v, countof(v));
    CHECK_EQ(got(fd, in, sizeof in), 400);
    CHECK_EQ(setsockopt(port_socket(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    udp_send(got_in.udp, v, countof(v));
    for (uint32_t i = 0; i < countof(v); i++)
        CHECK_EQ(got(fd, in, sizeof in), 100);
    CHECK_EQ(setsockopt(port_socket(), SOL_SOCKET, SO_NO_CHECK, &off, sizeof off), 0);
    udp_send(got_in.udp, v, countof(v));
    CHECK_EQ(got(fd, in, sizeof in), 400);
    CHECK_EQ(M.media_send_errors, 0);
    close(fd);
    end();
}

TEST(a_flood_leaves_others_their_turn)
{
    enum { N = 2000 };
    struct address4 at;
    struct loop_flush flush = {.fn = on_flush};
    uint8_t p[10] = {0};
    begin(N);
    int fd = client(&at);
    for (uint32_t i = 0; i < N; i++)
        to_port(fd, p, sizeof p);
    while (got_in.n < N) {
        uint32_t before = got_in.n;
        loop_flush(got_in.loop, &flush);
        uv_run(loop_uv(got_in.loop), UV_RUN_NOWAIT);
        CHECK_TRUE(got_in.n - before <= N / 2);
        if (got_in.n == before) // the kernel may lose some, too
            to_port(fd, p, sizeof p);
    }
    CHECK_TRUE(got_in.flushes >= 2);
    close(fd);
    end();
}

TEST(it_may_be_stopped_while_it_hands_on_and_nothing_comes_after)
{
    struct address4 at;
    uint8_t p[10] = {0};
    begin(1);
    int fd = client(&at);
    for (uint32_t i = 0; i < 300; i++)
        to_port(fd, p, sizeof p);
    loop_run(got_in.loop, NULL, NULL, NULL);
    CHECK_EQ(got_in.turns, 1);
    struct relay_send v = {at, p, 10};
    udp_send(got_in.udp, &v, 1);
    CHECK_EQ(recv(fd, p, sizeof p, MSG_DONTWAIT), -1);
    close(fd);
    end();
}

TEST(an_address_that_cannot_be_bound_is_refused)
{
    begin(1);
    errno = 0;
    CHECK_TRUE(!udp_new(got_in.loop, "127.0.0.1", udp_port(got_in.udp), on_take, &got_in) && errno == EADDRINUSE);
    CHECK_TRUE(!udp_new(got_in.loop, "::1", 0, on_take, &got_in) && errno == EINVAL);
    CHECK_TRUE(!udp_new(got_in.loop, "192.0.2.1", 0, on_take, &got_in) && errno == EADDRNOTAVAIL);
    udp_free(NULL);
    loop_end(got_in.loop);
    end();
}

MAIN
