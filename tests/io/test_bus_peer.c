// Peers of a bus that are bare TCP sockets and speak nng's form on the wire (nanomsg's rfc/sp-tcp-mapping: a greeting
// of eight bytes, then messages after their length). They do what no instance would; and what nng would make of that
// at their own end, in this same process, is not in the way.
#include "desk.h"
#include <stdatomic.h>

#define PUSH 0x50
#define PULL 0x51
#define MESSAGE_MAX (5u * 1024u * 1024u)

// False: the other end is gone.
static bool greet(int fd, char as)
{
    const char mine[8] = {0, 'S', 'P', 0, 0, as};
    char theirs[8];
    return send(fd, mine, sizeof mine, MSG_NOSIGNAL) == sizeof mine &&
           recv(fd, theirs, sizeof theirs, MSG_WAITALL) == sizeof theirs;
}

static int dial(const struct desk *to)
{
    const struct sockaddr_in a = local_address((uint16_t)atoi(strrchr(bus_url(to->bus, "commands"), ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0);
    CHECK_TRUE(greet(fd, PUSH));
    return fd;
}

static void say_size(int fd, uint64_t n)
{
    const uint64_t size = htobe64(n);
    CHECK_EQ(send(fd, &size, sizeof size, MSG_NOSIGNAL), sizeof size);
}

static void say(int fd, struct buf *b)
{
    say_size(fd, b->n);
    for (ssize_t at = 0, n; at < (ssize_t)b->n; at += n) {
        n = send(fd, b->p + at, b->n - (size_t)at, MSG_NOSIGNAL);
        CHECK(n > 0);
    }
    buf_reset(b);
}

static bool hung_up_on(int fd)
{
    char any;
    ssize_t n = recv(fd, &any, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

TEST(a_peer_that_says_too_much_at_once_is_hung_up_on_and_may_come_again)
{
    struct room r;
    struct desk owner;
    struct buf b = {0};
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    const uint64_t invalid = M.bus_invalid;
    int fd = dial(&owner);
    while (b.n < MESSAGE_MAX)
        buf_str(&b, "0123456789abcdef");
    say(fd, &b); // as much as may be: it is read
    UNTIL(r.loop, M.bus_invalid == invalid + 1);
    CHECK_TRUE(!hung_up_on(fd));
    say_size(fd, MESSAGE_MAX + 1);
    UNTIL(r.loop, hung_up_on(fd));
    close(fd);
    fd = dial(&owner);
    PACK(&b, command, (&(struct command){90, UINT64_MAX, BYTES("gateway-1"), BUS_GATEWAY}));
    PACK(&b, release, (&(struct release){.place = 1}));
    say(fd, &b);
    UNTIL(r.loop, owner.commands == 1);
    CHECK_EQ(M.bus_invalid, invalid + 1);
    CHECK_TRUE(owner.from.deadline <= loop_unix_ms(r.loop) + 600000); // whatever it asked for
    close(fd);
    buf_fini(&b);
    desk_close(&owner);
    room_close(&r);
}

struct mayfly {
    int listener;
    char url[32];
    uint32_t lives;
    atomic_uint deaths; // in the middle of something
    uv_thread_t thread;
};

// Takes a connection, waits until something comes, and is dead at once, so many times.
static void live(void *arg)
{
    struct mayfly *m = arg;
    const struct linger none = {.l_onoff = 1}; // what is on its way is refused
    while (atomic_load(&m->deaths) < m->lives) {
        char some[16];
        int fd = accept(m->listener, NULL, NULL);
        CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0);
        bool dies = greet(fd, PULL) && recv(fd, some, sizeof some, 0) > 0;
        close(fd);
        atomic_fetch_add(&m->deaths, dies);
    }
}

static void mayfly_start(struct mayfly *m, uint32_t lives)
{
    struct sockaddr_in a = local_address(0);
    socklen_t n = sizeof a;
    *m = (struct mayfly){.listener = socket(AF_INET, SOCK_STREAM, 0), .lives = lives};
    CHECK(bind(m->listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(m->listener, 16) == 0);
    CHECK(getsockname(m->listener, (struct sockaddr *)&a, &n) == 0);
    snprintf(m->url, sizeof m->url, "tcp://127.0.0.1:%u", ntohs(a.sin_port));
    CHECK(uv_thread_create(&m->thread, live, m) == 0);
}

TEST(whoever_dies_while_commands_go_to_him_dies_alone)
{
    struct room r;
    struct desk d;
    struct mayfly m;
    struct buf node = {0};
    const struct release v = {.place = 5};
    room_open(&r);
    mayfly_start(&m, 300);
    desk_open(&r, &d, BUS_GATEWAY, "gateway-1");
    PACK(&node, bus_node, (&(struct bus_node){BYTES("m"), BYTES("tcp://127.0.0.1:1"), bytes_of(m.url), 1, 1}));
    store_cmd(d.store, NULL, NULL, "SET bus:message:m %b", node.p, node.n);
    store_cmd(d.store, NULL, NULL, "ZADD bus:message %llu m", (unsigned long long)loop_unix_ms(r.loop) + 600000);
    UNTIL(r.loop, (bus_command_at(d.bus, BUS_MESSAGE, "m", 0, &(struct msg){&schema_release, &v}, 50, NULL, NULL),
                   atomic_load(&m.deaths) == m.lives));
    CHECK(uv_thread_join(&m.thread) == 0);
    CHECK_EQ(d.stuck, 0);
    buf_fini(&node);
    desk_close(&d);
    close(m.listener);
    room_close(&r);
}

MAIN
