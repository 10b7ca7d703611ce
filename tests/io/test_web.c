// What web promises to the two sides: to peers over real sockets, byte by byte where that matters, and to its user.
// Peers are plain sockets that the test feeds and empties between the turns of the loop.
#include "redis.h"
#include "metrics.h"
#include "web.h"
#include <errno.h>

#define REQUEST_MS 400u
#define KEEPALIVE_MS 1200u
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

static void keep(char *out, size_t size, struct bytes b)
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

static struct web_cfg config(struct rig *t)
{
    return (struct web_cfg){.bind = "127.0.0.1",
                            .body_max = BODY_MAX,
                            .frame_max = FRAME_MAX,
                            .queue_max = QUEUE_MAX,
                            .held_max = HELD_MAX,
                            .connections_max = 8,
                            .request_ms = REQUEST_MS,
                            .keepalive_ms = KEEPALIVE_MS,
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

static struct rig *rig_of(struct rig *t, struct web_cfg cfg)
{
    t->loop = loop_new();
    t->address = "127.0.0.1";
    t->web = web_new(t->loop, cfg);
    CHECK(t->web != NULL);
    return t;
}

static struct rig *rig_new(void)
{
    struct rig *t = mem_alloc(sizeof *t);
    return rig_of(t, config(t));
}

static struct rig *rig_with(uint64_t request_ms)
{
    struct rig *t = mem_alloc(sizeof *t);
    struct web_cfg cfg = config(t);
    cfg.request_ms = request_ms;
    return rig_of(t, cfg);
}

// With so many connections of one address, and these as balancers.
static struct rig *rig_bounded(uint64_t per_address, const char *balancers)
{
    struct rig *t = mem_alloc(sizeof *t);
    struct web_cfg cfg = config(t);
    cfg.per_address = per_address;
    CHECK(networks_parse(bytes_of(balancers), &cfg.balancers) == OK);
    return rig_of(t, cfg);
}

static void rig_free(struct rig *t)
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

static struct peer peer_to(struct rig *t)
{
    struct sockaddr_in a = local_address(web_port(t->web));
    struct peer p = {.rig = t, .fd = socket(AF_INET, SOCK_STREAM, 0)};
    CHECK(p.fd >= 0 && connect(p.fd, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(fcntl(p.fd, F_SETFL, O_NONBLOCK) == 0);
    return p;
}

static void peer_window(struct peer *p, int bytes)
{
    CHECK(setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
}

static void peer_free(struct peer *p)
{
    close(p->fd);
    buf_fini(&p->in);
}

static void peer_read(struct peer *p)
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

static void peer_send(struct peer *p, const void *data, size_t n)
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

static uint32_t peer_count(struct peer *p, const char *text)
{
    uint32_t n = 0;
    peer_read(p);
    for (size_t i = 0; i + strlen(text) <= p->in.n; i++)
        n += memcmp(p->in.p + i, text, strlen(text)) == 0;
    return n;
}

// --- HTTP ---

TEST(a_request_is_understood_and_answered)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    peer_text(&p, "GET /a/b%20c/%7Bd%7D?x=1&y=a%26b%3D%20c HTTP/1.1\r\nHost: h:1\r\nAuthorization: Bot abc\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "{\"ok\":true}"));
    CHECK_STR(t->method, "GET");
    CHECK_STR(t->path, "/a/b c/{d}");
    CHECK_STR(t->query, "x=1&y=a%26b%3D%20c");
    CHECK_STR(t->authorization, "Bot abc");
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 200 OK\r\n"));
    CHECK_TRUE(peer_has(&p, "\r\nContent-Type: application/json\r\n"));
    CHECK_TRUE(peer_has(&p, "\r\nContent-Length: 11\r\n"));
    CHECK_TRUE(peer_has(&p, " GMT\r\n"));
    peer_free(&p);
    rig_free(t);
}

TEST(a_connection_serves_one_request_after_the_other)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    for (uint32_t i = 1; i <= 3; i++) {
        peer_text(&p, "GET /one HTTP/1.1\r\nHost: h\r\n\r\n");
        UNTIL(t->loop, peer_count(&p, "{\"ok\":true}") == i);
    }
    peer_text(&p, "DELETE /two HTTP/1.1\r\nHost: h\r\n\r\n"
                  "POST /three HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                  "PATCH /four HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
                  "POST /five HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
                  "PUT /six HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nde");
    UNTIL(t->loop, peer_count(&p, "{\"ok\":true}") == 8);
    CHECK_EQ(t->requests, 8);
    CHECK_STR(t->path, "/six");
    CHECK_STR(t->body, "de");
    CHECK_TRUE(!peer_eof(&p));
    peer_free(&p);
    rig_free(t);
}

TEST(pipelined_requests_wait_for_the_answer_before_them)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    t->answering = LATER;
    peer_text(&p, "POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /two HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 1);
    uint64_t first = t->request;
    for (int i = 0; i < 20; i++)
        turn(t->loop);
    CHECK_EQ(t->requests, 1);
    CHECK_STR(t->body, "abc");
    web_reply(t->web, first, 204, NULL, "X-Own: 1\r\n", BYTES_NONE);
    UNTIL(t->loop, t->requests == 2);
    CHECK_STR(t->path, "/two");
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 204 No Content\r\n"));
    CHECK_TRUE(peer_has(&p, "\r\nX-Own: 1\r\n\r\n"));
    CHECK_TRUE(!peer_has(&p, "Content-Length"));
    web_json(t->web, first, 200, BYTES("stale")); // was answered: nothing happens
    web_json(t->web, t->request, 200, BYTES("\"second\""));
    UNTIL(t->loop, peer_has(&p, "\"second\""));
    CHECK_TRUE(!peer_has(&p, "stale"));
    peer_free(&p);
    rig_free(t);
}

TEST(a_body_may_come_in_many_pieces)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    const char *text = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789";
    for (const char *c = text; *c; c++)
        peer_send(&p, c, 1);
    UNTIL(t->loop, peer_has(&p, "{\"ok\":true}"));
    CHECK_STR(t->body, "0123456789");
    peer_free(&p);
    rig_free(t);
}

TEST(a_large_answer_arrives_whole_and_the_connection_goes_on)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    struct buf body = {0};
    while (body.n < 3000000)
        buf_str(&body, "0123456789");
    t->answering = LATER;
    peer_text(&p, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 1);
    web_json(t->web, t->request, 200, buf_bytes(&body));
    UNTIL(t->loop, (peer_read(&p), p.in.n > body.n));
    CHECK_TRUE(memcmp(p.in.p + p.in.n - body.n, body.p, body.n) == 0);
    buf_reset(&p.in);
    peer_text(&p, "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 2);
    web_json(t->web, t->request, 404, BYTES("{}"));
    UNTIL(t->loop, peer_has(&p, "404 Not Found"));
    buf_fini(&body);
    peer_free(&p);
    rig_free(t);
}

TEST(head_gets_the_length_but_no_body)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    peer_text(&p, "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "Content-Length: 11\r\n\r\n"));
    CHECK_STR(t->method, "HEAD");
    peer_text(&p, "GET /h HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_count(&p, "HTTP/1.1 200") == 2);
    CHECK_EQ(peer_count(&p, "{\"ok\":true}"), 1);
    peer_free(&p);
    rig_free(t);
}

TEST(connection_close_is_honoured)
{
    static const char *const heads[] = {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                                        "GET / HTTP/1.0\r\nHost: h\r\n\r\n"};
    struct rig *t = rig_new();
    for (size_t i = 0; i < countof(heads); i++) {
        struct peer p = peer_to(t);
        peer_text(&p, heads[i]);
        UNTIL(t->loop, peer_eof(&p));
        CHECK_TRUE(peer_has(&p, "Connection: close\r\n"));
        CHECK_TRUE(peer_has(&p, "{\"ok\":true}"));
        peer_free(&p);
    }
    CHECK_EQ(t->requests, countof(heads));
    rig_free(t);
}

TEST(a_body_that_is_too_large_is_refused_in_json)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    char body[BODY_MAX + 1];
    memset(body, 'x', sizeof body);
    peer_text(&p, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5001\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "{\"message\":\"Request entity too large\",\"code\":40005}"));
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 413 "));
    CHECK_TRUE(!p.eof);
    peer_send(&p, body, sizeof body); // what the peer had begun to send does not cost him the answer
    UNTIL(t->loop, peer_eof(&p));
    CHECK_EQ(t->requests, 0);
    peer_free(&p);
    p = peer_to(t);
    peer_text(&p, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n");
    peer_send(&p, body, BODY_MAX);
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    CHECK_EQ(t->body_size, BODY_MAX);
    peer_free(&p);
    rig_free(t);
}

TEST(a_chunked_body_is_read_and_the_connection_goes_on)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    const char *text = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n";
    for (const char *c = text; *c; c++)
        peer_send(&p, c, 1);
    UNTIL(t->loop, t->requests == 1);
    CHECK_STR(t->body, "abc0123456789");
    peer_text(&p, "POST /two HTTP/1.1\r\nHost: h\r\n\r\nGET /three HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_count(&p, "{\"ok\":true}") == 3); // a POST without a length has no body
    CHECK_STR(t->path, "/three");
    peer_text(&p, "PUT /four HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1389\r\n");
    UNTIL(t->loop, peer_has(&p, "HTTP/1.1 413 ")); // 5001
    peer_free(&p);
    rig_free(t);
}

TEST(who_asks_before_he_sends_his_body_is_told_to_go_on)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    peer_text(&p, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "HTTP/1.1 100 Continue\r\n\r\n"));
    peer_text(&p, "abc");
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    CHECK_STR(t->body, "abc");
    peer_free(&p);
    rig_free(t);
}

TEST(slow_requests_are_cut_off)
{
    static const char *const parts[] = {"", "GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"};
    struct rig *t = rig_new();
    uint64_t timed_out = M.requests_timed_out;
    for (size_t i = 0; i < countof(parts); i++) {
        struct peer p = peer_to(t);
        uint64_t began = uv_hrtime();
        peer_text(&p, parts[i]);
        UNTIL(t->loop, peer_eof(&p));
        CHECK_TRUE(uv_hrtime() - began >= (REQUEST_MS - 20) * 1000000ull);
        CHECK_EQ(p.in.n, 0);
        peer_free(&p);
    }
    struct peer p = peer_to(t); // also the head of a second request
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    peer_text(&p, "GET / HT");
    UNTIL(t->loop, peer_eof(&p));
    peer_free(&p);
    CHECK_EQ(t->requests, 1);
    CHECK_EQ(M.requests_timed_out, timed_out + countof(parts) + 1);
    rig_free(t);
}

TEST(a_request_has_its_time_however_busily_it_comes)
{
    static const char *const heads[] = {"GET / HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n",
                                        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"};
    struct rig *t = rig_new();
    for (size_t i = 0; i < countof(heads); i++) {
        struct peer p = peer_to(t);
        uint64_t began = uv_hrtime(), sent_at = 0;
        peer_text(&p, heads[i]);
        UNTIL(t->loop,
              (uv_hrtime() - sent_at > 10000000 ? (sent_at = uv_hrtime(), peer_text(&p, i == 2 ? "1\r\na\r\n" : "a"))
                                                : (void)0,
               peer_eof(&p)));
        CHECK_TRUE(uv_hrtime() - began >= (REQUEST_MS - 20) * 1000000ull);
        peer_free(&p);
    }
    CHECK_EQ(t->requests, 0);
    rig_free(t);
}

TEST(an_idle_connection_is_kept_for_so_long_and_then_ended)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    uint64_t timed_out = M.requests_timed_out;
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    uint64_t began = uv_hrtime();
    UNTIL(t->loop, uv_hrtime() - began > 2 * REQUEST_MS * 1000000ull);
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); // the time of a request begins with it
    UNTIL(t->loop, peer_count(&p, "200 OK") == 2);
    began = uv_hrtime();
    UNTIL(t->loop, peer_eof(&p));
    CHECK_TRUE(uv_hrtime() - began >= (KEEPALIVE_MS - 20) * 1000000ull);
    CHECK_EQ(M.requests_timed_out, timed_out);
    peer_free(&p);
    rig_free(t);
}

TEST(a_slow_answer_is_not_cut_off)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    uint64_t began = uv_hrtime();
    t->answering = LATER;
    peer_text(&p, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na");
    UNTIL(t->loop, t->requests == 1 && uv_hrtime() - began > 3 * REQUEST_MS * 1000000ull);
    CHECK_TRUE(!peer_eof(&p));
    web_json(t->web, t->request, 200, BYTES("late"));
    UNTIL(t->loop, peer_has(&p, "late"));
    peer_free(&p);
    rig_free(t);
}

TEST(the_answer_to_a_peer_that_left_goes_nowhere)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    struct linger reset = {.l_onoff = 1};
    struct buf body = {0};
    while (body.n < 1000000)
        buf_str(&body, "0123456789");
    t->answering = LATER;
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 1);
    CHECK(setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    peer_free(&p);
    web_json(t->web, t->request, 200, buf_bytes(&body));
    for (int i = 0; i < 5; i++)
        turn(t->loop);
    web_json(t->web, t->request, 200, BYTES("again"));
    p = peer_to(t);
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 2); // and this one is still asking when the loop ends
    rig_free(t);
    peer_free(&p);
    buf_fini(&body);
}

TEST(a_request_whose_sender_has_hung_up_is_not_carried_out)
{
    struct rig *t = rig_new();
    static const char *const requests[] = {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                                           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"};
    for (size_t i = 0; i < countof(requests); i++) {
        struct peer gone = peer_to(t);
        CHECK(send(gone.fd, requests[i], strlen(requests[i]), 0) == (ssize_t)strlen(requests[i]));
        close(gone.fd); // before we were ever told of him
    }
    struct peer p = peer_to(t);
    peer_text(&p, requests[0]);
    UNTIL(t->loop, t->requests == 1);
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    CHECK_EQ(t->requests, 1);
    rig_free(t);
    peer_free(&p);
}

TEST(a_stop_says_which_requests_are_gone)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    t->answering = LATER;
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 1);
    web_stop(t->web);
    CHECK_EQ(t->gone, 1);
    rig_free(t);
    peer_free(&p);
}

TEST(what_is_not_http_is_refused_and_hung_up_on)
{
    static const char *const rows[] = {"\x16\x03\x01\x02\r\n\r\n",
                                       "GET / HTTP/2.0\r\n\r\n",
                                       "GET /a b HTTP/1.1\r\n\r\n",
                                       "CONNECT example.com:443 HTTP/1.1\r\nHost: h\r\n\r\n",
                                       "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
                                       "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n",
                                       "GET / HTTP/1.1\r\nHost: h\r\n X: folded\r\n\r\n",
                                       "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\nabcde",
                                       "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
                                       "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                                       "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"};
    struct rig *t = rig_with(PATIENT_MS);
    for (size_t i = 0; i < countof(rows); i++) {
        struct peer p = peer_to(t);
        peer_text(&p, rows[i]);
        UNTIL(t->loop, peer_eof(&p));
        CHECK_TRUE(peer_has(&p, "HTTP/1.1 400 Bad Request\r\n"));
        CHECK_TRUE(peer_has(&p, "{\"message\":\"400: Bad Request\",\"code\":0}"));
        peer_free(&p);
    }
    struct peer p = peer_to(t); // more headers than are read
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    for (int i = 0; i < 2000 && !peer_eof(&p); i++)
        peer_text(&p, "0123456789");
    UNTIL(t->loop, peer_eof(&p));
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 431 "));
    peer_free(&p);
    CHECK_EQ(t->requests, 0);
    rig_free(t);
}

TEST(methods_and_upgrades_that_are_unknown_are_the_users_business)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    peer_text(&p, "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\nGET /x%2Fy HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n");
    UNTIL(t->loop, peer_count(&p, "{\"ok\":true}") == 2);
    CHECK_STR(t->path, "/x%2Fy"); // an encoded slash separates nothing
    peer_free(&p);
    rig_free(t);
}

// A peer that asks on without reading must cost neither memory nor turns of the loop.
TEST(who_asks_on_without_reading_is_left_waiting)
{
    struct rig *t = rig_with(PATIENT_MS);
    struct peer p = peer_to(t);
    struct buf body = {0}, asks = {0};
    peer_window(&p, 200000);
    while (body.n < 8000000)
        buf_str(&body, "0123456789");
    while (asks.n < 3000000)
        buf_str(&asks, "GET /n HTTP/1.1\r\nHost: h\r\n\r\n");
    t->answering = LATER;
    peer_text(&p, "POST /first HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    UNTIL(t->loop, t->requests == 1);
    web_json(t->web, t->request, 200, buf_bytes(&body));
    send(p.fd, asks.p, asks.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    uint64_t turns = 0, end = uv_hrtime() + REQUEST_MS * 500000ull;
    for (; uv_hrtime() < end; turns++)
        turn(t->loop);
    CHECK_TRUE(turns < 100);
    CHECK_EQ(t->requests, 1);
    peer_window(&p, 4000000); // he reads at last, and is served to the end
    UNTIL(t->loop, (peer_read(&p), p.in.n >= body.n));
    UNTIL(t->loop, t->requests == 2);
    buf_fini(&body);
    buf_fini(&asks);
    peer_free(&p);
    rig_free(t);
}

TEST(connections_are_bounded_and_refused_on_request)
{
    struct rig *t = rig_new();
    struct peer p[9];
    for (size_t i = 0; i < 8; i++) {
        p[i] = peer_to(t);
        peer_text(&p[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        UNTIL(t->loop, peer_has(&p[i], "200 OK"));
    }
    p[8] = peer_to(t);
    UNTIL(t->loop, peer_eof(&p[8]));
    peer_free(&p[8]);
    peer_free(&p[7]); // whoever leaves makes room
    for (p[7] = peer_to(t); !peer_has(&p[7], "200 OK"); turn(t->loop)) {
        if (peer_eof(&p[7])) {
            peer_free(&p[7]);
            p[7] = peer_to(t);
        } else if (p[7].in.n == 0) {
            peer_text(&p[7], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
    }
    web_refuse_new(t->web);
    turn(t->loop);
    struct sockaddr_in a = local_address(web_port(t->web));
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_TRUE(connect(refused, (struct sockaddr *)&a, sizeof a) != 0);
    close(refused);
    buf_reset(&p[0].in);
    peer_text(&p[0], "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); // who is connected is served, and sent away
    UNTIL(t->loop, peer_has(&p[0], "Connection: close"));
    UNTIL(t->loop, peer_eof(&p[0]));
    for (size_t i = 0; i < 8; i++)
        peer_free(&p[i]);
    rig_free(t);
}

static struct peer peer_from(struct rig *t, const char *address)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, a = local_address(web_port(t->web));
    struct peer p = {.rig = t, .fd = socket(AF_INET, SOCK_STREAM, 0)};
    CHECK(inet_pton(AF_INET, address, &from.sin_addr) == 1);
    CHECK(bind(p.fd, (struct sockaddr *)&from, sizeof from) == 0);
    CHECK(connect(p.fd, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(fcntl(p.fd, F_SETFL, O_NONBLOCK) == 0);
    return p;
}

TEST(one_address_has_only_so_many_connections_and_costs_others_none)
{
    struct rig *t = rig_bounded(2, "10.0.0.0/8");
    uint64_t refused = M.connections_refused;
    struct peer p[3];
    for (size_t i = 0; i < 3; i++)
        p[i] = peer_to(t);
    UNTIL(t->loop, peer_eof(&p[2]));
    CHECK_EQ(M.connections_refused, refused + 1);
    t->address = "127.0.0.9";
    struct peer other = peer_from(t, "127.0.0.9");
    peer_text(&other, "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"); // it is no balancer
    UNTIL(t->loop, peer_has(&other, "200 OK"));
    peer_free(&p[0]); // whoever leaves makes room
    t->address = "127.0.0.1";
    for (p[0] = peer_to(t); !peer_has(&p[0], "200 OK"); turn(t->loop)) {
        if (peer_eof(&p[0])) {
            peer_free(&p[0]);
            p[0] = peer_to(t);
        } else if (p[0].in.n == 0) {
            peer_text(&p[0], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
    }
    for (size_t i = 0; i < 3; i++)
        peer_free(&p[i]);
    peer_free(&other);
    rig_free(t);
}

TEST(behind_a_balancer_websockets_count_for_whom_it_names)
{
    static const char *const named[] = {"198.51.100.9", "198.51.100.9", "198.51.100.10", "198.51.100.9"};
    struct rig *t = rig_bounded(2, "127.0.0.0/8");
    struct peer p[countof(named)], plain[4];
    for (size_t i = 0; i < countof(named); i++) {
        struct buf text = {0};
        uint32_t before = t->opened;
        t->address = named[i];
        buf_printf(&text,
                   "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.%zu, %s, 127.0.0.7\r\n\r\n",
                   i, named[i]);
        p[i] = peer_to(t);
        peer_send(&p[i], text.p, text.n);
        UNTIL(t->loop, peer_has(&p[i], i < 3 ? "HTTP/1.1 101 " : "HTTP/1.1 429 "));
        CHECK_EQ(t->opened, i < 3 ? before + 1 : before);
        buf_fini(&text);
    }
    t->address = "198.51.100.9";
    for (size_t i = 0; i < countof(plain); i++) { // its requests come over connections that are shared
        plain[i] = peer_to(t);
        peer_text(&plain[i], "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n");
        UNTIL(t->loop, peer_has(&plain[i], "200 OK"));
    }
    for (size_t i = 0; i < countof(named); i++) {
        peer_free(&p[i]);
        UNTIL(t->loop, t->closed == (i < 3 ? i + 1 : 3));
    }
    for (size_t i = 0; i < countof(plain); i++)
        peer_free(&plain[i]);
    rig_free(t);
}

TEST(a_head_can_be_answered_before_anything_of_it_is_carried_out)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t), q = peer_to(t), r = peer_to(t), s = peer_to(t);
    t->marks = true;
    peer_text(&p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "{\"ok\":true}"));
    CHECK_TRUE(peer_has(&p, "X-Seen: GET\r\n"));
    peer_text(&p, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6000\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "HTTP/1.1 413 "));
    CHECK_TRUE(peer_has(&p, "X-Seen: POST\r\n"));
    t->head_status = 403;
    t->requests = 0;
    peer_text(&q, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}");
    UNTIL(t->loop, peer_eof(&q));
    CHECK_TRUE(peer_has(&q, "HTTP/1.1 403 Forbidden\r\n") &&
               peer_has(&q, "{\"message\":\"403: Forbidden\",\"code\":0}"));
    peer_text(&r, "GET /?v=9 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    UNTIL(t->loop, peer_eof(&r));
    CHECK_TRUE(peer_has(&r, "HTTP/1.1 403 Forbidden\r\n"));
    t->head_status = 204;
    peer_text(&s, "OPTIONS /a HTTP/1.1\r\nHost: h\r\n\r\nOPTIONS /b HTTP/1.1\r\nHost: h\r\n\r\n"); // goes on
    UNTIL(t->loop, peer_count(&s, "HTTP/1.1 204 No Content\r\n") == 2);
    CHECK_EQ(peer_count(&s, "X-Seen: OPTIONS\r\n"), 2);
    CHECK_EQ(peer_count(&s, "Content-Length"), 0);
    CHECK_EQ(t->heads, 6);
    CHECK_EQ(t->requests + t->opened, 0);
    peer_free(&p);
    peer_free(&q);
    peer_free(&r);
    peer_free(&s);
    rig_free(t);
}

TEST(a_port_that_is_taken_is_an_error)
{
    struct rig *t = rig_new();
    struct web_cfg cfg = config(t);
    cfg.port = web_port(t->web);
    CHECK_TRUE(web_new(t->loop, cfg) == NULL);
    cfg.port = 0;
    cfg.bind = "no such address";
    CHECK_TRUE(web_new(t->loop, cfg) == NULL);
    rig_free(t);
}

// --- websockets ---

static const char upgrade[] = "GET /gw?v=9&encoding=json HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
                              "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

static struct peer websocket_to(struct rig *t)
{
    struct peer p = peer_to(t);
    uint32_t before = t->opened;
    peer_text(&p, upgrade);
    UNTIL(t->loop, t->opened == before + 1 && peer_has(&p, "\r\n\r\n"));
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 101 "));
    CHECK_TRUE(peer_has(&p, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    CHECK_TRUE(!peer_has(&p, "Extensions"));
    CHECK_TRUE(!peer_has(&p, "Sec-WebSocket-Protocol"));
    buf_reset(&p.in);
    return p;
}

static void add_frame(struct buf *out, int first, const void *payload, size_t n)
{
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    unsigned char h[10] = {(unsigned char)first};
    size_t size = n < 126 ? 0 : n < 65536 ? 2 : 8;
    h[1] = (unsigned char)(0x80 | (size == 0 ? n : size == 2 ? 126u : 127u));
    for (size_t i = 0; i < size; i++)
        h[2 + i] = (unsigned char)(n >> 8 * (size - 1 - i));
    buf_add(out, h, 2 + size);
    buf_add(out, mask, sizeof mask);
    for (size_t i = 0; i < n; i++)
        buf_char(out, (char)(((const unsigned char *)payload)[i] ^ mask[i % 4]));
}

static void send_frame(struct peer *p, int first, const void *payload, size_t n)
{
    struct buf b = {0};
    add_frame(&b, first, payload, n);
    peer_send(p, b.p, b.n);
    buf_fini(&b);
}

struct frame {
    int first;
    struct bytes payload;
};

// The i-th frame that came, when it is whole.
static bool peer_frame(struct peer *p, uint32_t i, struct frame *out)
{
    peer_read(p);
    const unsigned char *d = (const unsigned char *)p->in.p;
    for (size_t at = 0; at + 2 <= p->in.n;) {
        size_t n = d[at + 1], size = n < 126 ? 0 : n == 126 ? 2 : 8;
        if (at + 2 + size > p->in.n)
            return false;
        if (size > 0)
            n = 0;
        for (size_t k = 0; k < size; k++)
            n = n << 8 | d[at + 2 + k];
        if (at + 2 + size + n > p->in.n)
            return false;
        *out = (struct frame){d[at], {p->in.p + at + 2 + size, n}};
        at += 2 + size + n;
        if (i-- == 0)
            return true;
    }
    return false;
}

TEST(messages_of_every_size_come_back)
{
    static const size_t sizes[] = {0, 1, 125, 126, 1024, 1025, 5000, 65535, 65536, FRAME_MAX};
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    struct frame f = {0};
    char *data = mem_alloc(FRAME_MAX);
    t->echo = true;
    CHECK_STR(t->ws_path, "/gw");
    CHECK_STR(t->ws_query, "v=9&encoding=json");
    for (size_t i = 0; i < countof(sizes); i++) {
        memset(data, 'a' + (int)i, sizes[i]);
        send_frame(&p, i % 2 ? 0x82 : 0x81, data, sizes[i]);
        UNTIL(t->loop, peer_frame(&p, 0, &f));
        CHECK_EQ(f.first, i % 2 ? 0x82 : 0x81);
        CHECK_EQ(f.payload.n, sizes[i]);
        CHECK_TRUE(memcmp(f.payload.p, data, sizes[i]) == 0);
        CHECK_EQ(t->binary, i % 2);
        buf_reset(&p.in);
    }
    CHECK_EQ(t->messages, countof(sizes));
    mem_free(data);
    peer_free(&p);
    UNTIL(t->loop, t->closed == 1);
    CHECK_EQ(t->code, 1006);
    rig_free(t);
}

TEST(fragments_are_joined_and_pings_between_them_answered)
{
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    struct frame f = {0};
    send_frame(&p, 0x01, "one ", 4);
    send_frame(&p, 0x89, "ping", 4);
    send_frame(&p, 0x00, "two \xff\xfe ", 7); // not UTF-8: the user sees it all the same
    UNTIL(t->loop, peer_frame(&p, 0, &f));
    CHECK_EQ(f.first, 0x8a);
    CHECK_TRUE(bytes_is(f.payload, "ping"));
    CHECK_EQ(t->messages, 0);
    send_frame(&p, 0x80, "three", 5);
    UNTIL(t->loop, t->messages == 1);
    CHECK_STR(t->message, "one two \xff\xfe three");
    send_frame(&p, 0x81, "next", 4);
    UNTIL(t->loop, t->messages == 2);
    CHECK_STR(t->message, "next");
    peer_free(&p);
    rig_free(t);
}

TEST(a_message_that_is_too_large_is_told_once_and_swallowed)
{
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    char *data = mem_alloc(FRAME_MAX + 1);
    send_frame(&p, 0x82, data, FRAME_MAX + 1);
    UNTIL(t->loop, t->too_large == 1);
    send_frame(&p, 0x01, data, FRAME_MAX);
    send_frame(&p, 0x00, data, FRAME_MAX);
    send_frame(&p, 0x80, data, 1);
    send_frame(&p, 0x81, "small", 5);
    UNTIL(t->loop, t->messages == 1);
    CHECK_STR(t->message, "small");
    CHECK_EQ(t->too_large, 2);
    mem_free(data);
    peer_free(&p);
    rig_free(t);
}

TEST(what_was_sent_goes_out_before_the_close_frame)
{
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    struct frame f = {0};
    web_send2(t->web, t->conn, BYTES("{\"s\":1,"), BYTES("\"t\":2}"), false);
    web_send(t->web, t->conn, BYTES("last"), true);
    web_close(t->web, t->conn, 4004, "Authentication failed.");
    web_send(t->web, t->conn, BYTES("too late"), true);
    web_close(t->web, t->conn, 4000, "too late");
    CHECK_EQ(t->closed, 0); // nothing calls back from inside
    UNTIL(t->loop, peer_frame(&p, 2, &f));
    CHECK_EQ(f.first, 0x88);
    CHECK_TRUE(bytes_is(f.payload, "\x0f\xa4"
                                   "Authentication failed."));
    CHECK_TRUE(peer_frame(&p, 0, &f) && bytes_is(f.payload, "{\"s\":1,\"t\":2}"));
    CHECK_TRUE(peer_frame(&p, 1, &f) && bytes_is(f.payload, "last"));
    CHECK_TRUE(!peer_frame(&p, 3, &f));
    CHECK_EQ(t->closed, 0);
    send_frame(&p, 0x81, "not heard any more", 18);
    send_frame(&p, 0x88, "\x0f\xa4", 2);
    UNTIL(t->loop, t->closed == 1 && peer_eof(&p));
    CHECK_EQ(t->code, 4004);
    CHECK_EQ(t->messages, 0);
    CHECK_TRUE(!peer_frame(&p, 3, &f));
    peer_free(&p);
    rig_free(t);
}

TEST(a_peer_that_does_not_answer_our_close_is_hung_up_on)
{
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    uint64_t began = uv_hrtime();
    web_close(t->web, t->conn, 4009, "Session timed out.");
    UNTIL(t->loop, t->closed == 1 && peer_eof(&p));
    CHECK_TRUE(uv_hrtime() - began < 3000000000ull);
    CHECK_EQ(t->code, 1006);
    peer_free(&p);
    rig_free(t);
}

TEST(a_peers_close_is_echoed_and_told)
{
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    struct frame f = {0};
    send_frame(&p, 0x88, "\x03\xe8", 2);
    UNTIL(t->loop, peer_eof(&p) && t->closed == 1);
    CHECK_TRUE(peer_frame(&p, 0, &f) && f.first == 0x88);
    CHECK_EQ(t->code, 1000);
    peer_free(&p);
    p = websocket_to(t);
    send_frame(&p, 0x88, "\x10\x01why", 5);
    UNTIL(t->loop, peer_eof(&p) && t->closed == 2);
    CHECK_EQ(t->code, 4097);
    peer_free(&p);
    p = websocket_to(t);
    send_frame(&p, 0x88, NULL, 0);
    UNTIL(t->loop, peer_eof(&p) && t->closed == 3);
    CHECK_EQ(t->code, 1005);
    peer_free(&p);
    rig_free(t);
}

TEST(frames_against_the_protocol_end_the_connection)
{
    static const int firsts[] = {0x83, 0xc1, 0x80, 0x09};
    struct rig *t = rig_new();
    for (uint32_t i = 0; i < countof(firsts); i++) {
        struct peer p = websocket_to(t);
        struct frame f = {0};
        send_frame(&p, firsts[i], "x", 1);
        web_send(t->web, t->conn, BYTES("after"), false);
        UNTIL(t->loop, peer_eof(&p) && t->closed == i + 1);
        CHECK_TRUE(peer_frame(&p, 0, &f) && f.first == 0x88 && f.payload.p[0] == 0x03 && f.payload.p[1] == (char)0xea);
        CHECK_EQ(t->code, 1006);
        peer_free(&p);
    }
    rig_free(t);
}

TEST(pings_and_pongs_have_a_rate)
{
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    struct buf b = {0};
    struct frame f = {0};
    for (uint32_t i = 0; i < 120; i++)
        add_frame(&b, i % 2 ? 0x8a : 0x89, "x", 1);
    add_frame(&b, 0x81, "heard", 5);
    add_frame(&b, 0x89, "y", 1);
    peer_send(&p, b.p, b.n);
    UNTIL(t->loop, peer_frame(&p, 60, &f));
    CHECK_STR(t->message, "heard");
    CHECK_TRUE(f.first == 0x88 && f.payload.p[0] == 0x03 && f.payload.p[1] == (char)0xf0); // 1008
    send_frame(&p, 0x88, f.payload.p, f.payload.n);
    UNTIL(t->loop, peer_eof(&p) && t->closed == 1);
    buf_fini(&b);
    peer_free(&p);
    rig_free(t);
}

TEST(an_abort_sends_nothing)
{
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    web_abort(t->web, t->conn);
    CHECK_EQ(t->closed, 0);
    UNTIL(t->loop, t->closed == 1 && peer_eof(&p));
    CHECK_EQ(p.in.n, 0);
    CHECK_EQ(t->code, 1006);
    web_send(t->web, t->conn, BYTES("x"), false);
    web_close(t->web, t->conn, 1000, NULL);
    CHECK_EQ(web_queued(t->web, t->conn), 0);
    peer_free(&p);
    rig_free(t);
}

static void fill(struct rig *t, struct peer *p, uint32_t slow)
{
    static char data[60000];
    peer_window(p, 200000);
    UNTIL(t->loop, (web_send(t->web, t->conn, (struct bytes){data, sizeof data}, true), t->slow == slow));
    CHECK_TRUE(web_queued(t->web, t->conn) <= QUEUE_MAX + 200);
}

TEST(who_reads_too_slowly_is_closed)
{
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    uint64_t closed = M.ws_slow_closed;
    fill(t, &p, 1); // the user names no code
    UNTIL(t->loop, t->closed == 1);
    CHECK_EQ(t->slow, 1);
    peer_free(&p);
    p = websocket_to(t);
    t->slow_code = 4000;
    fill(t, &p, 2);
    struct frame f = {0};
    uint32_t n = 0;
    peer_window(&p, 4000000);
    UNTIL(t->loop, (n += peer_frame(&p, n, &f),
                    f.first == 0x88)); // he reads at last, and finds all that had begun to leave, and the close
    CHECK_TRUE(n > QUEUE_MAX / 60000);
    CHECK_TRUE(bytes_is(f.payload, "\x0f\xa0slow"));
    send_frame(&p, 0x88, "\x0f\xa0", 2);
    UNTIL(t->loop, t->closed == 2);
    CHECK_EQ(t->code, 4000);
    CHECK_EQ(M.ws_slow_closed, closed + 2);
    CHECK_EQ(M.ws_connections, 0);
    peer_free(&p);
    rig_free(t);
}

TEST(what_a_slow_peer_has_read_at_last_is_not_counted_any_more)
{
    static char data[50000];
    struct rig *t = rig_new();
    uint64_t held = M.memory_clients_bytes;
    struct peer p = websocket_to(t);
    struct frame f = {0};
    uint32_t sent = 0, read = 0;
    peer_window(&p, 200000);
    while (M.memory_clients_bytes < held + 150000 && sent < 1000) {
        web_send(t->web, t->conn, (struct bytes){data, sizeof data}, true);
        sent++;
        turn(t->loop);
    }
    CHECK_TRUE(M.memory_clients_bytes >= held + 150000);
    peer_window(&p, 4000000);
    UNTIL(t->loop, (read += peer_frame(&p, read, &f), read == sent && M.memory_clients_bytes == held));
    CHECK_EQ(t->slow, 0);
    peer_free(&p);
    rig_free(t);
}

TEST(when_all_together_hold_too_much_those_who_hold_most_go_and_nobody_else)
{
    enum { SLOW = 7 };
    static char data[50000];
    struct rig *t = rig_new();
    struct peer p[SLOW], good = websocket_to(t);
    uint64_t held = M.memory_clients_bytes;
    uint32_t sent = 0, read = 0;
    struct frame f = {0};
    t->slow_code = 4000;
    for (uint32_t i = 0; i < SLOW; i++) {
        p[i] = websocket_to(t);
        peer_window(&p[i], 4096);
    }
    while (t->slow == 0 && sent < 10000) { // none of them is slow enough to be closed for that
        for (uint32_t i = 1; i <= SLOW; i++)
            if (web_queued(t->web, t->conns[i]) + sizeof data + 100 < QUEUE_MAX)
                web_send(t->web, t->conns[i], (struct bytes){data, sizeof data}, true);
        web_send(t->web, t->conns[0], BYTES("hello"), false);
        sent++;
        turn(t->loop);
    }
    CHECK_TRUE(t->slow > 0 && t->slow < SLOW);
    CHECK_TRUE(M.memory_clients_bytes - held <= HELD_MAX);
    UNTIL(t->loop, (read += peer_frame(&good, read, &f), read == sent));
    CHECK_TRUE(bytes_is(f.payload, "hello"));
    for (uint32_t i = 0; i < SLOW; i++)
        peer_free(&p[i]);
    UNTIL(t->loop, t->closed == SLOW);
    CHECK_TRUE(!good.eof);
    CHECK_EQ(M.memory_clients_bytes, held);
    peer_free(&good);
    rig_free(t);
}

TEST(a_stop_closes_websockets_and_says_so)
{
    struct rig *t = rig_new();
    struct peer p = websocket_to(t);
    web_stop(t->web);
    UNTIL(t->loop, t->closed == 1 && peer_eof(&p));
    peer_free(&p);
    rig_free(t);
}

TEST(upgrades_that_nobody_wants_are_refused)
{
    struct rig *t = rig_new();
    struct web_cfg cfg = config(t);
    cfg.on_open = NULL;
    struct web *web = web_new(t->loop, cfg), *other = t->web;
    t->web = web;
    struct peer p = peer_to(t);
    peer_text(&p, upgrade);
    UNTIL(t->loop, peer_eof(&p));
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 404 Not Found"));
    CHECK_TRUE(peer_has(&p, "application/json"));
    peer_free(&p);
    t->web = other;
    web_stop(web);
    web_stop(other);
    loop_end(t->loop);
    loop_run(t->loop, NULL, NULL, NULL);
    web_free(web);
    web_free(other);
    loop_free(t->loop);
    mem_free(t);
}

MAIN
