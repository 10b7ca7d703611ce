// crowd: thousands of clients in one process, for the memory tests: no library does so many so fast. It knows of the
// protocol only what it needs to count them.
//   crowd sessions PORT TOKENS N AT_ONCE SQUEEZED
//       Logs N in, at most AT_ONCE at a time, the first SQUEEZED of them with compress=zlib-stream; tokens: a file with
//       one per line, used in turn. Says `ready N`, and reads nothing any more. Then takes lines: `read` reads all that
//       comes until the line `stop`, and says how each has ended; `drop` resets all and ends.
//   crowd refused PORT N AT_ONCE
//       N attempts that must be refused, of four kinds in turn.
// Clients come from many addresses of 127.0.0.0/8: one of them has not ports enough.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES 1000u
#define RECEIVE_BUFFER 4096 // what the kernel holds is not owed
#define READING_BUFFER (1 << 20)
#define EVENTS 512
#define TOKENS_MAX 100000u

enum kind { KIND_SESSION, KIND_TOKEN, KIND_VERSION, KIND_REST, KIND_UPGRADE, KINDS };
enum stage { STAGE_CLOSED, STAGE_HEAD, STAGE_FRAMES, STAGE_READY };

struct peer {
    int fd;
    enum stage stage;
    enum kind kind;
    bool squeezed;
    unsigned messages;
    int status, code; // of the HTTP answer; of the close frame, 1006 without one
    // The frame that is being read.
    unsigned char head[10];
    unsigned have;
    uint64_t left;
    char first[64]; // of the payload, or of the HTTP head
    unsigned n_first;
    unsigned blank; // how much of the blank line behind a head has come
};

static struct peer *peers;
static unsigned n_peers, begun, under_way, at_once, squeezed, done;
static unsigned ended[KINDS], wrong;
static char **tokens;
static unsigned n_tokens;
static int poller;
static uint16_t port;
static uint64_t bytes_read;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

// --- sending ---

static void put(const struct peer *p, const char *text, size_t n)
{
    if (send(p->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n && errno != EPIPE && errno != ECONNRESET)
        die("send"); // a fresh socket takes a few hundred bytes
}

static void put_frame(const struct peer *p, unsigned char op, const char *text, size_t n)
{
    unsigned char out[1024];
    size_t at = 0;
    if (n > sizeof out - 8)
        abort();
    out[at++] = (unsigned char)(0x80u | op);
    if (n < 126) {
        out[at++] = (unsigned char)(0x80u | n);
    } else {
        out[at++] = 0x80u | 126u;
        out[at++] = (unsigned char)(n >> 8);
        out[at++] = (unsigned char)(n & 0xffu);
    }
    memset(out + at, 0, 4); // a mask of zeros
    memcpy(out + at + 4, text, n);
    put(p, (const char *)out, at + 4 + n);
}

static void identify(const struct peer *p)
{
    char text[512];
    const char *token = p->kind == KIND_SESSION ? tokens[(size_t)(p - peers) % n_tokens] : "MTIz.AAAA.not_a_token";
    int n =
        snprintf(text, sizeof text, "{\"op\":2,\"d\":{\"token\":\"%s\",\"properties\":{},\"intents\":4737}}", token);
    put_frame(p, 1, text, (size_t)n);
}

static void ask(const struct peer *p)
{
    char text[512];
    int n;
    if (p->kind == KIND_REST)
        n = snprintf(text, sizeof text,
                     "GET /api/v9/users/@me HTTP/1.1\r\nHost: h\r\nAuthorization: nobody\r\nConnection: close\r\n\r\n");
    else
        n = snprintf(text, sizeof text,
                     "GET /?v=%d&encoding=json%s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: %d\r\n\r\n",
                     p->kind == KIND_VERSION ? 99 : 9, p->squeezed ? "&compress=zlib-stream" : "",
                     p->kind == KIND_UPGRADE ? 12 : 13);
    put(p, text, (size_t)n);
}

// --- life ---

static void watch(struct peer *p, int how, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = p};
    if (epoll_ctl(poller, how, p->fd, &e) != 0)
        die("epoll_ctl");
}

static void begin(struct peer *p, unsigned number)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, size = RECEIVE_BUFFER;
    unsigned at = number % ADDRESSES;
    from.sin_addr.s_addr = htonl(0x7f000000u | (1 + at / 250) << 8 | (1 + at % 250));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        die("socket");
    setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(p->fd, (struct sockaddr *)&from, sizeof from) != 0)
        die("bind");
    if (connect(p->fd, (struct sockaddr *)&to, sizeof to) != 0) // at once, on loopback
        die("connect");
    if (fcntl(p->fd, F_SETFL, O_NONBLOCK) != 0)
        die("fcntl");
    p->stage = STAGE_HEAD;
    p->code = 1006;
    p->squeezed = p->kind == KIND_SESSION && number < squeezed;
    watch(p, EPOLL_CTL_ADD, EPOLLIN);
    ask(p);
}

static bool as_it_should(const struct peer *p)
{
    switch (p->kind) {
    case KIND_TOKEN:
        return p->code == 4004;
    case KIND_VERSION:
        return p->code == 4012;
    case KIND_REST:
        return p->status == 401;
    case KIND_UPGRADE:
        return p->status >= 400;
    case KIND_SESSION:
    case KINDS:
        break;
    }
    return false;
}

static void end(struct peer *p)
{
    struct linger at_once_and_for_all = {1, 0};
    if (p->stage != STAGE_READY)
        under_way--;
    p->stage = STAGE_CLOSED;
    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &at_once_and_for_all, sizeof at_once_and_for_all);
    close(p->fd);
    p->fd = -1;
    done++;
    ended[p->kind]++;
    if (p->kind != KIND_SESSION && !as_it_should(p))
        wrong++;
}

// --- receiving ---

static void on_message(struct peer *p, unsigned op)
{
    if (op == 8) {
        p->code = p->n_first >= 2 ? (unsigned char)p->first[0] << 8 | (unsigned char)p->first[1] : 1005;
        put_frame(p, 8, p->first, p->n_first >= 2 ? 2 : 0);
        return;
    }
    p->messages++;
    if (p->messages == 1) {
        identify(p);
    } else if (p->messages == 2 && p->stage == STAGE_FRAMES) {
        if (!p->squeezed && !memmem(p->first, p->n_first, "\"t\":\"READY\"", 11))
            return;
        p->stage = STAGE_READY;
        under_way--;
    }
}

// Takes bytes of a head; returns how many.
static size_t take_head(struct peer *p, const char *in, size_t n)
{
    static const char end_of_head[] = "\r\n\r\n";
    for (size_t i = 0; i < n; i++) {
        if (p->n_first < sizeof p->first - 1)
            p->first[p->n_first++] = in[i];
        p->blank = in[i] == end_of_head[p->blank] ? p->blank + 1 : in[i] == '\r';
        if (p->blank < 4)
            continue;
        p->first[p->n_first] = 0;
        p->status = atoi(p->first + 9);
        p->stage = p->status == 101 ? STAGE_FRAMES : STAGE_HEAD;
        p->blank = p->n_first = 0;
        return i + 1;
    }
    return n;
}

// The same of a frame: its head byte by byte, of its payload the beginning.
static size_t take_frame(struct peer *p, const char *in, size_t n)
{
    if (!p->left) {
        p->head[p->have++] = (unsigned char)*in;
        unsigned small = p->have > 1 ? p->head[1] & 0x7fu : 0, size = small == 127 ? 10 : small == 126 ? 4 : 2;
        if (p->have < size)
            return 1;
        p->left = size == 2 ? small : 0;
        for (unsigned i = 2; i < size; i++)
            p->left = p->left << 8 | p->head[i];
        p->n_first = 0;
        if (p->left)
            return 1;
        n = 0;
    }
    size_t take = n < p->left ? n : (size_t)p->left;
    size_t room = sizeof p->first - p->n_first, keep = take < room ? take : room;
    memcpy(p->first + p->n_first, in, keep);
    p->n_first += (unsigned)keep;
    p->left -= take;
    if (p->left == 0) {
        p->have = 0;
        on_message(p, p->head[0] & 0x0fu);
    }
    return take ? take : 1;
}

static void receive(struct peer *p)
{
    static char in[256 * 1024];
    ssize_t n = recv(p->fd, in, sizeof in, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end(p);
        return;
    }
    bytes_read += (uint64_t)n;
    for (size_t at = 0; at < (size_t)n;) {
        bool head = p->stage == STAGE_HEAD;
        at += head ? take_head(p, in + at, (size_t)n - at) : take_frame(p, in + at, (size_t)n - at);
        if (p->stage == STAGE_HEAD && p->status != 0) { // no upgrade: it might be kept alive for long
            end(p);
            return;
        }
    }
}

static void poll_once(int wait_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(poller, events, EVENTS, wait_ms);
    for (int i = 0; i < n; i++)
        receive(events[i].data.ptr);
}

// --- the two roles ---

static void begin_more(void)
{
    while (begun < n_peers && under_way < at_once) {
        under_way++;
        begin(&peers[begun], begun);
        begun++;
    }
}

static bool line_is_there(void)
{
    fd_set in;
    struct timeval now = {0};
    FD_ZERO(&in);
    FD_SET(0, &in);
    return select(1, &in, NULL, NULL, &now) > 0;
}

static void tell_ends(void)
{
    unsigned open = 0, asked_to_resume = 0, lost = 0, other = 0;
    for (unsigned i = 0; i < n_peers; i++) {
        const struct peer *p = &peers[i];
        open += p->stage == STAGE_READY && p->code == 1006;
        asked_to_resume += p->code == 4000;
        lost += p->stage == STAGE_CLOSED && p->code == 1006;
        if (p->code != 4000 && p->code != 1006) {
            other++;
            fprintf(stderr, "client %u was closed with %d after %u messages\n", i, p->code, p->messages);
        }
    }
    printf("open %u resume %u lost %u other %u bytes %llu\n", open, asked_to_resume, lost, other,
           (unsigned long long)bytes_read);
    fflush(stdout);
}

static void sessions(void)
{
    char line[32];
    while (begun < n_peers || under_way > 0) {
        begin_more();
        poll_once(1000);
        if (done > 0) {
            fprintf(stderr, "a session was refused: %d\n", peers[0].code);
            for (unsigned i = 0; i < begun; i++)
                if (peers[i].stage == STAGE_CLOSED)
                    fprintf(stderr, "%u: status %d code %d\n", i, peers[i].status, peers[i].code);
            exit(1);
        }
    }
    printf("ready %u\n", n_peers);
    fflush(stdout);
    bytes_read = 0;
    while (read(0, line, sizeof line) > 0 && line[0] == 'r') {
        for (unsigned i = 0; i < n_peers; i++)
            setsockopt(peers[i].fd, SOL_SOCKET, SO_RCVBUF, &(int){READING_BUFFER}, sizeof(int));
        while (!line_is_there())
            poll_once(20);
        (void)!read(0, line, sizeof line);
        tell_ends();
    }
}

static void refused(void)
{
    for (unsigned i = 0; i < n_peers; i++)
        peers[i].kind = (enum kind)(KIND_TOKEN + i % (KINDS - KIND_TOKEN));
    while (begun < n_peers || under_way > 0) {
        begin_more();
        poll_once(1000);
    }
    printf("refused %u token %u version %u rest %u upgrade %u wrong %u\n", done, ended[KIND_TOKEN], ended[KIND_VERSION],
           ended[KIND_REST], ended[KIND_UPGRADE], wrong);
}

static void read_tokens(const char *path)
{
    char line[400];
    FILE *f = fopen(path, "r");
    if (!f)
        die(path);
    tokens = calloc(TOKENS_MAX, sizeof *tokens);
    while (n_tokens < TOKENS_MAX && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        tokens[n_tokens++] = strdup(line);
    }
    fclose(f);
    if (n_tokens == 0)
        die("no tokens");
}

int main(int argc, char **argv)
{
    bool are_sessions = argc == 7 && strcmp(argv[1], "sessions") == 0;
    if (!are_sessions && !(argc == 5 && strcmp(argv[1], "refused") == 0)) {
        fprintf(stderr, "usage: crowd sessions PORT TOKENS N AT_ONCE SQUEEZED | refused PORT N AT_ONCE\n");
        return 2;
    }
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    port = (uint16_t)atoi(argv[2]);
    n_peers = (unsigned)atoi(argv[are_sessions ? 4 : 3]);
    at_once = (unsigned)atoi(argv[are_sessions ? 5 : 4]);
    squeezed = are_sessions ? (unsigned)atoi(argv[6]) : 0;
    peers = calloc(n_peers, sizeof *peers);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!peers || poller < 0)
        die("start");
    if (are_sessions) {
        read_tokens(argv[3]);
        sessions();
    } else {
        refused();
    }
    return wrong ? 1 : 0;
}
