// redis: a redis-server of the test's own, in a directory of its own, and turning a loop until something is true.
// Tests wait for conditions; one that does not come true within 20 s fails.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // nftw
#endif
#include "check.h"
#include "loop.h"
#include "store.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define UNTIL_MS 20000u

struct server {
    pid_t pid; // 0: not running
    uint16_t port;
    char dir[64], url[64];
};

static void turn_over(struct timer *t, uint64_t now)
{
    (void)t;
    (void)now;
}

static void turn(struct loop *l) // returns within a few ms, whatever happens
{
    static struct timer t;
    t.fire = turn_over;
    loop_arm(l, &t, 1);
    uv_run(loop_uv(l), UV_RUN_ONCE);
    loop_cancel(l, &t);
}

#define UNTIL(l, cond)                                                                                                 \
    do {                                                                                                               \
        uint64_t end_ = uv_hrtime() + UNTIL_MS * 1000000ull;                                                           \
        while (!(cond) && uv_hrtime() < end_)                                                                          \
            turn(l);                                                                                                   \
        CHECK_TRUE(cond);                                                                                              \
    } while (0)

static struct sockaddr_in local_address(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

// Below those that the kernel lends to outgoing connections, so that it is still free a moment later.
static uint16_t free_port(void)
{
    uint16_t any;
    bool is_free = false;
    while (!is_free) {
        CHECK(getrandom(&any, sizeof any, 0) == sizeof any);
        any = (uint16_t)(10000 + any % 22000);
        struct sockaddr_in a = local_address(any);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(fd >= 0);
        is_free = bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
        close(fd);
    }
    return any;
}

// Anything, on a socket in its own directory, which it opens after its port: on the port another test's might answer,
// that took it first.
static bool answers(const struct server *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/socket", r->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const struct timeval a_second = {.tv_sec = 1};
    CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &a_second, sizeof a_second) == 0);
    char first;
    bool yes = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
               recv(fd, &first, 1, 0) == 1;
    close(fd);
    return yes;
}

static void server_exec(const struct server *r, char **options)
{
    char port[8],
        *argv[32] = {"redis-server", "--port",        port, "--bind",       "127.0.0.1", "--save", "", "--appendonly",
                     "yes",          "--appendfsync", "no", "--unixsocket", "socket"};
    size_t n = 13;
    snprintf(port, sizeof port, "%u", r->port);
    for (; options && *options; options++)
        argv[n++] = *options;
    int log = -1;
    if (chdir(r->dir) == 0 && (log = open("log", O_CREAT | O_WRONLY | O_APPEND, 0600)) >= 0 && dup2(log, 1) == 1 &&
        dup2(log, 2) == 2 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
        execvp(argv[0], argv);
    _exit(127);
}

// Starts it (again, on the same port and with the same data) and waits until it answers. False: it ended.
static bool server_run(struct server *r, char **options)
{
    r->pid = fork();
    CHECK(r->pid >= 0);
    if (r->pid == 0)
        server_exec(r, options);
    while (!answers(r)) {
        if (waitpid(r->pid, NULL, WNOHANG) != 0) {
            r->pid = 0;
            return false;
        }
        poll(NULL, 0, 5);
    }
    return true;
}

// options: further arguments of redis-server, ended by NULL; or NULL.
UNUSED static void server_start_with(struct server *r, char **options)
{
    *r = (struct server){.dir = "/tmp/sb-redis-XXXXXX"};
    CHECK(mkdtemp(r->dir) != NULL);
    do
        r->port = free_port(); // somebody else may take it before Redis does: then another one
    while (!server_run(r, options));
    snprintf(r->url, sizeof r->url, "redis://127.0.0.1:%u", r->port);
}

UNUSED static void server_start(struct server *r)
{
    server_start_with(r, NULL);
}

UNUSED static void server_kill(struct server *r)
{
    kill(r->pid, SIGKILL);
    CHECK(waitpid(r->pid, NULL, 0) == r->pid);
    r->pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

UNUSED static void server_forget(struct server *r) // all its data
{
    nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    CHECK(mkdir(r->dir, 0700) == 0);
}

UNUSED static void server_stop(struct server *r)
{
    if (r->pid)
        server_kill(r);
    nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
