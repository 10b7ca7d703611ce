// What web promises of websockets: to peers over real sockets, byte by byte where that matters, and to its user.
#include "web_rig.h"

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
    web_close(t->web, t->conn, 4009, "Session timed out.");
    UNTIL(t->loop, t->closed == 1 && peer_eof(&p));
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

// Takes all frames that are there; *n counts those before the close.
static bool read_to_close(struct peer *p, uint32_t *n, struct frame *f)
{
    while (f->first != 0x88 && peer_frame(p, *n, f))
        *n += f->first != 0x88;
    return f->first == 0x88;
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
    UNTIL(t->loop, read_to_close(&p, &n, &f)); // he reads at last, and finds all that had begun to leave, and the close
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
