// web_rig: a web with a user that notes what it is told, and peers: plain sockets that the test feeds and empties
// between the turns of the loop.
#pragma once
#include "redis.h"
#include "metrics.h"
#include "web.h"
#include <errno.h>

#define REQUEST_MS 400u // where they have to pass
#define KEEPALIVE_MS 4000u
#define PATIENT_MS 20000u // where a busy machine may take long to ask
#define BODY_MAX 5000u
#define FRAME_MAX 70000u
#define QUEUE_MAX (256u * 1024u)
#define HELD_MAX (1024u * 1024u)
#define MESSAGE_MAX 70000u

enum answering { AT_ONCE, LATER };

struct rig {
    struct loop *loop;
    struct web *web;
    enum answering answering;
    bool marks;      // on_head adds a line to each answer …
    int head_status; // … and answers this
    uint32_t heads;
    // HTTP: the last request
    uint32_t requests, gone;
    uint64_t request;
    char method[16], path[256], query[256], authorization[64], body[BODY_MAX + 1];
    size_t body_size;
    // websocket
    uint64_t conn, conns[8]; // the last one; all, in the order of their opening
    char ws_path[256], ws_query[256];
    bool echo, binary;
    uint32_t opened, closed, messages, too_large, slow;
    uint16_t code;
    char message[MESSAGE_MAX + 1];
    size_t message_size;
    uint16_t slow_code;  // what on_slow closes with; 0: nothing
    const char *address; // who is to be seen asking
};

static inline void keep(char *out, size_t size, struct bytes b)
{
    if (bytes_copy(out, size, b) != OK)
        out[0] = 0;
}

static int on_head(void *ctx, const struct http_head *h, struct buf *headers)
{
    struct rig *t = ctx;
    t->heads++;
    if (t->marks)
        buf_printf(headers, "X-Seen: %.*s\r\n", BYTES_FMT(h->method));
    return t->head_status;
}

static void on_request(void *ctx, const struct web_request *r)
{
    struct rig *t = ctx;
    t->requests++;
    t->request = r->id;
    keep(t->method, sizeof t->method, bytes_of(r->method));
    keep(t->path, sizeof t->path, r->path);
    keep(t->query, sizeof t->query, r->query);
    keep(t->authorization, sizeof t->authorization, r->authorization);
    keep(t->body, sizeof t->body, r->body);
    t->body_size = r->body.n;
    CHECK_STR(r->address, t->address);
    if (t->answering == AT_ONCE)
        web_json(t->web, r->id, 200, BYTES("{\"ok\":true}"));
}

static void on_gone(void *ctx, uint64_t request)
{
    struct rig *t = ctx;
    t->gone += request == t->request;
}

static void on_open(void *ctx, uint64_t conn, struct bytes path, struct bytes query, const char *address)
{
    struct rig *t = ctx;
    t->conns[t->opened++ % countof(t->conns)] = t->conn = conn;
    keep(t->ws_path, sizeof t->ws_path, path);
    keep(t->ws_query, sizeof t->ws_query, query);
    CHECK_STR(address, t->address);
}

static void on_message(void *ctx, uint64_t conn, struct bytes payload, bool binary)
{
    struct rig *t = ctx;
    t->messages++;
    t->binary = binary;
    t->message_size = payload.n;
    keep(t->message, sizeof t->message, payload);
    if (t->echo)
        web_send(t->web, conn, payload, binary);
}

static void on_too_large(void *ctx, uint64_t conn)
{
    struct rig *t = ctx;
    t->too_large += conn == t->conn;
}

static void on_close(void *ctx, uint64_t conn, uint16_t code)
{
    struct rig *t = ctx;
    CHECK_TRUE(conn == t->conn || t->opened > 1);
    t->closed++;
    t->code = code;
}

static void on_slow(void *ctx, uint64_t conn)
{
    struct rig *t = ctx;
    t->slow++;
    if (t->slow_code)
        web_close(t->web, conn, t->slow_code, "slow");
}

static inline struct web_cfg config(struct rig *t)
{
    return (struct web_cfg){.bind = "127.0.0.1",
                            .body_max = BODY_MAX,
                            .frame_max = FRAME_MAX,
                            .queue_max = QUEUE_MAX,
                            .held_max = HELD_MAX,
                            .connections_max = 8,
                            .request_ms = PATIENT_MS,
                            .keepalive_ms = PATIENT_MS,
                            .on_head = on_head,
                            .on_request = on_request,
                            .on_gone = on_gone,
                            .on_open = on_open,
                            .on_message = on_message,
                            .on_too_large = on_too_large,
                            .on_close = on_close,
                            .on_slow = on_slow,
                            .ctx = t};
}

static inline struct rig *rig_of(struct rig *t, struct web_cfg cfg)
{
    t->loop = loop_new();
    t->address = "127.0.0.1";
    t->web = web_new(t->loop, cfg);
    CHECK(t->web != NULL);
    return t;
}

static inline struct rig *rig_new(void)
{
    struct rig *t = mem_alloc(sizeof *t);
    return rig_of(t, config(t));
}

// Who is slow or idle is cut off soon.
static inline struct rig *rig_hasty(void)
{
    struct rig *t = mem_alloc(sizeof *t);
    struct web_cfg cfg = config(t);
    cfg.request_ms = REQUEST_MS;
    cfg.keepalive_ms = KEEPALIVE_MS;
    return rig_of(t, cfg);
}

// With so many connections of one address, and these as balancers.
static inline struct rig *rig_bounded(uint64_t per_address, const char *balancers)
{
    struct rig *t = mem_alloc(sizeof *t);
    struct web_cfg cfg = config(t);
    cfg.per_address = per_address;
    CHECK(networks_parse(bytes_of(balancers), &cfg.balancers) == OK);
    return rig_of(t, cfg);
}

static inline void rig_free(struct rig *t)
{
    web_stop(t->web);
    loop_end(t->loop);
    loop_run(t->loop, NULL, NULL, NULL);
    web_free(t->web);
    loop_free(t->loop);
    mem_free(t);
}

// --- a peer ---

struct peer {
    struct rig *rig;
    int fd;
    bool eof;
    struct buf in;
};

static inline struct peer peer_to(struct rig *t)
{
    struct sockaddr_in a = local_address(web_port(t->web));
    struct peer p = {.rig = t, .fd = socket(AF_INET, SOCK_STREAM, 0)};
    CHECK(p.fd >= 0 && connect(p.fd, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(fcntl(p.fd, F_SETFL, O_NONBLOCK) == 0);
    return p;
}

static inline void peer_window(struct peer *p, int bytes)
{
    CHECK(setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
}

static inline void peer_free(struct peer *p)
{
    close(p->fd);
    buf_fini(&p->in);
}

static inline void peer_read(struct peer *p)
{
    char chunk[65536];
    for (ssize_t n; (n = recv(p->fd, chunk, sizeof chunk, 0)) != -1 || errno != EAGAIN;) {
        if (n <= 0) {
            p->eof = true;
            return;
        }
        buf_add(&p->in, chunk, (size_t)n);
    }
}

static inline void peer_send(struct peer *p, const void *data, size_t n)
{
    const char *at = data;
    while (n > 0) {
        ssize_t k = send(p->fd, at, n, MSG_NOSIGNAL);
        CHECK(k > 0 || errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
        if (k < 0 && errno != EAGAIN)
            return;
        if (k > 0) {
            at += k;
            n -= (size_t)k;
        }
        turn(p->rig->loop);
        peer_read(p);
    }
}

static inline void peer_text(struct peer *p, const char *text)
{
    peer_send(p, text, strlen(text));
}

static inline bool peer_has(struct peer *p, const char *text)
{
    peer_read(p);
    return p->in.n && memmem(p->in.p, p->in.n, text, strlen(text));
}

static inline bool peer_eof(struct peer *p)
{
    peer_read(p);
    return p->eof;
}

static inline uint32_t peer_count(struct peer *p, const char *text)
{
    uint32_t n = 0;
    peer_read(p);
    for (size_t i = 0; i + strlen(text) <= p->in.n; i++)
        n += memcmp(p->in.p + i, text, strlen(text)) == 0;
    return n;
}
