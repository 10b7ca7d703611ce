// Heads, paths and chunks by table; and that it never matters into which pieces the bytes were cut.
#include "check.h"
#include "http_head.h"

static struct arena arena;

static int parse(const char *text, struct http_head *h)
{
    size_t seen = 0, end = 0;
    int err = http_head_end(bytes_of(text), &seen, &end);
    return err ? err : http_head_parse((struct bytes){text, end}, h);
}

TEST(a_head_gives_its_parts)
{
    struct http_head h;
    CHECK_EQ(parse("\r\n\nPOST /a%20b/c?x=1&y=%2F#z HTTP/1.1\r\nHost: example.com:80\r\nAuthorization:Bot  abc \r\n"
                   "CONTENT-TYPE: application/json\r\nOrigin:\thttps://o\r\nX-Other: \"; , \xc3\xa9\r\n"
                   "Content-Length: 12\r\nExpect: 100-continue\r\n\r\nbody",
                   &h),
             OK);
    CHECK_TRUE(bytes_is(h.method, "POST") && bytes_is(h.path, "/a%20b/c") && bytes_is(h.query, "x=1&y=%2F"));
    CHECK_TRUE(bytes_is(h.host, "example.com:80") && bytes_is(h.authorization, "Bot  abc"));
    CHECK_TRUE(bytes_is(h.content_type, "application/json") && bytes_is(h.origin, "https://o"));
    CHECK_TRUE(h.has_length && h.length == 12 && h.keep_alive && h.wants_continue && !h.chunked && !h.websocket);
    CHECK_EQ(parse("GET http://h:1/p?q HTTP/1.0\n\n", &h), OK);
    CHECK_TRUE(bytes_is(h.path, "/p") && bytes_is(h.query, "q") && !h.keep_alive);
    CHECK_EQ(parse("GET https://h HTTP/1.1\r\n\r\n", &h), OK);
    CHECK_TRUE(bytes_is(h.path, "/") && h.query.n == 0);
}

TEST(an_end_is_found_however_it_comes)
{
    static const char text[] = "\r\nGET / HTTP/1.1\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    size_t seen = 0, end = 0;
    for (size_t n = 0; n < 26; n++)
        CHECK_EQ(http_head_end((struct bytes){text, n}, &seen, &end), ERR_MISSING);
    CHECK_EQ(http_head_end((struct bytes){text, 26}, &seen, &end), OK);
    CHECK_EQ(end, 26);
    seen = 0;
    CHECK_EQ(http_head_end(BYTES("GET / HTTP/1.1\nA: b\n\nx"), &seen, &end), OK);
    CHECK_EQ(end, 21);
}

TEST(connections_are_kept_as_asked)
{
    static const struct {
        const char *head;
        bool keep;
    } rows[] = {{"GET / HTTP/1.1\r\n\r\n", true},
                {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false},
                {"GET / HTTP/1.1\r\nConnection: TE, Close\r\n\r\n", false},
                {"GET / HTTP/1.0\r\n\r\n", false},
                {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct http_head h;
        CHECK_EQ(parse(rows[i].head, &h), OK);
        CHECK_EQ(h.keep_alive, rows[i].keep);
    }
}

#define UPGRADE "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
TEST(a_websocket_needs_all_of_its_handshake)
{
    struct http_head h;
    CHECK_EQ(parse("GET /?v=9 HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: abc\r\n\r\n", &h), OK);
    CHECK_TRUE(h.websocket && bytes_is(h.websocket_key, "abc"));
    static const char *const rows[] = {
        "GET / HTTP/1.1\r\n" UPGRADE "\r\n", "POST / HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: abc\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: abc\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abc\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
        "Sec-WebSocket-Key: abc\r\n\r\n"};
    for (size_t i = 0; i < countof(rows); i++) {
        CHECK_EQ(parse(rows[i], &h), OK);
        CHECK_TRUE(!h.websocket);
    }
}

TEST(heads_that_could_be_read_in_two_ways_are_refused)
{
    static const char *const rows[] = {
        "GET /\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "G@T / HTTP/1.1\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "GET /a\rb HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nA\r\n\r\n",
        "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"};
    for (size_t i = 0; i < countof(rows); i++) {
        struct http_head h;
        CHECK_EQ(parse(rows[i], &h), ERR_INVALID);
    }
}

TEST(paths_are_decoded_but_for_slashes)
{
    static const struct {
        const char *raw, *path; // NULL: refused
    } rows[] = {{"/", "/"},
                {"/a+b", "/a+b"},
                {"/%41%7e%C3%A9", "/A~\xc3\xa9"},
                {"/a%2fb%2Fc", "/a%2fb%2Fc"},
                {"/%2541", "/%41"},
                {"/../x//y/.", "/../x//y/."},
                {"a", NULL},
                {"", NULL},
                {"*", NULL},
                {"/%", NULL},
                {"/%4", NULL},
                {"/%4g", NULL},
                {"/%00", NULL},
                {"/%0a", NULL},
                {"/%7F", NULL}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct bytes path;
        int err = http_path(&arena, bytes_of(rows[i].raw), &path);
        CHECK_EQ(err, rows[i].path ? OK : ERR_INVALID);
        if (rows[i].path)
            CHECK_TRUE(err == OK && bytes_is(path, rows[i].path));
    }
    arena_fini(&arena);
}

static int feed(const char *text, size_t piece, struct buf *body, uint64_t max, size_t *used)
{
    struct http_chunks c = {0};
    struct bytes all = bytes_of(text);
    int err = ERR_MISSING;
    for (size_t at = 0; at < all.n && err == ERR_MISSING;) {
        size_t n = piece < all.n - at ? piece : all.n - at;
        struct bytes in = {all.p + at, n};
        err = http_chunks_feed(&c, &in, body, max);
        at += n - in.n;
        *used = at;
    }
    return err;
}

TEST(chunks_are_joined_whatever_their_pieces)
{
    static const char text[] = "3\r\nabc\r\n00A;name=\"x\"\r\n0123456789\r\n1\nz\n0\r\nTrailer: x\r\nB: y\r\n\r\nGET";
    for (size_t piece = 1; piece <= sizeof text; piece++) {
        struct buf body = {0};
        size_t used;
        CHECK_EQ(feed(text, piece, &body, 14, &used), OK);
        CHECK_TRUE(bytes_is(buf_bytes(&body), "abc0123456789z"));
        CHECK_EQ(used, sizeof text - 4);
        buf_reset(&body);
        CHECK_EQ(feed(text, piece, &body, 13, &used), ERR_FULL);
        buf_fini(&body);
    }
}

TEST(broken_chunks_are_refused)
{
    static const char *const rows[] = {
        "x\r\n", "\r\n", "-1\r\n", "1\r\nab", "3\r\nabcd\r\n", "1 x\r\na\r\r x", "1234567890123456\r\n"};
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf body = {0};
        size_t used;
        CHECK_EQ(feed(rows[i], 1, &body, 100, &used), ERR_INVALID);
        buf_fini(&body);
    }
    struct buf body = {0}, endless = {0};
    size_t used;
    buf_str(&endless, "0\r\n");
    while (endless.n < 3000)
        buf_str(&endless, "T: x\r\n");
    buf_char(&endless, 0);
    CHECK_EQ(feed(endless.p, 100, &body, 100, &used), ERR_INVALID); // trailers are bounded too
    buf_fini(&endless);
}

MAIN
