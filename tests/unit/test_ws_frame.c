// Frames by table; that pieces do not matter; and that random bytes neither crash the reader nor make it keep much.
#include "check.h"
#include "ws_frame.h"

#define MAX 1000u

static void add(struct buf *out, int first, struct bytes payload)
{
    static const unsigned char mask[4] = {1, 0x80, 0xff, 7};
    unsigned char h[4] = {(unsigned char)first, (unsigned char)(0x80 | (payload.n < 126 ? payload.n : 126)),
                          (unsigned char)(payload.n >> 8), (unsigned char)payload.n};
    buf_add(out, h, payload.n < 126 ? 2 : 4);
    buf_add(out, mask, 4);
    for (size_t i = 0; i < payload.n; i++)
        buf_char(out, (char)(payload.p[i] ^ (char)mask[i % 4]));
}

// What is read, as text: "text:abc binary:… ping:… close:1000 error:1002 large".
struct log {
    struct ws_reader reader;
    struct buf in, text;
    bool ended;
};

static void note(struct log *l, const char *what, struct bytes b)
{
    buf_printf(&l->text, "%s%s:%.*s", l->text.n ? " " : "", what, BYTES_FMT(b));
}

static void feed(struct log *l, const char *p, size_t n)
{
    struct ws_got got;
    enum ws_event e = WS_MORE;
    buf_add(&l->in, p, n);
    char *at = l->in.p;
    size_t left = l->in.n;
    while (!l->ended && (e = ws_read(&l->reader, &at, &left, MAX, &got)) != WS_MORE) {
        static const char *const names[] = {[WS_TOO_LARGE] = "large", [WS_PING] = "ping", [WS_PONG] = "pong"};
        if (e == WS_MESSAGE)
            note(l, got.binary ? "binary" : "text", got.payload);
        else if (e == WS_CLOSE || e == WS_ERROR)
            buf_printf(&l->text, "%s%s:%u", l->text.n ? " " : "", e == WS_CLOSE ? "close" : "error", got.code);
        else
            note(l, names[e], got.payload);
        l->ended = e == WS_CLOSE || e == WS_ERROR;
    }
    memmove(l->in.p, at, left);
    l->in.n = left;
}

static void fini(struct log *l)
{
    ws_reader_fini(&l->reader);
    buf_fini(&l->in);
    buf_fini(&l->text);
}

TEST(a_stream_of_frames_is_read_whatever_its_pieces)
{
    struct buf in = {0};
    char large[MAX + 1];
    memset(large, 'x', sizeof large);
    add(&in, 0x81, BYTES("hello"));
    add(&in, 0x82, BYTES("12345678901234567"));
    add(&in, 0x81, BYTES_NONE);
    add(&in, 0x01, BYTES("a"));
    add(&in, 0x89, BYTES("p"));
    add(&in, 0x00, BYTES("b"));
    add(&in, 0x8a, BYTES_NONE);
    add(&in, 0x80, BYTES("c"));
    add(&in, 0x82, (struct bytes){large, sizeof large});
    add(&in, 0x02, (struct bytes){large, MAX});
    add(&in, 0x00, BYTES("over"));
    add(&in, 0x89, BYTES("q"));
    add(&in, 0x80, BYTES("still over"));
    add(&in, 0x81, BYTES("small"));
    add(&in, 0x88, BYTES("\x10\x01why"));
    add(&in, 0x81, BYTES("not read"));
    for (size_t piece = 1; piece < in.n; piece = piece * 3 / 2 + 1) {
        struct log l = {0};
        for (size_t at = 0; at < in.n; at += piece)
            feed(&l, in.p + at, piece < in.n - at ? piece : in.n - at);
        CHECK_TRUE(bytes_is(buf_bytes(&l.text),
                            "text:hello binary:12345678901234567 text: ping:p pong: text:abc large: "
                            "large: ping:q text:small close:4097"));
        fini(&l);
    }
    buf_fini(&in);
}

TEST(a_message_has_only_so_many_frames)
{
    struct buf in = {0};
    struct log l = {0};
    for (uint32_t i = 0; i < WS_PARTS_MAX; i++) // as many as it may have
        add(&in, (i + 1 == WS_PARTS_MAX ? 0x80 : 0x00) | (i == 0), i == 7 ? BYTES("x") : BYTES_NONE);
    for (uint32_t i = 0; i < 2 * WS_PARTS_MAX; i++) // too many; it is told once
        add(&in, i == 0, BYTES_NONE);
    add(&in, 0x80, BYTES_NONE);
    add(&in, 0x81, BYTES("next"));
    for (size_t i = 0; i < in.n; i++)
        feed(&l, in.p + i, 1);
    CHECK_TRUE(bytes_is(buf_bytes(&l.text), "text:x large: text:next"));
    fini(&l);
    buf_fini(&in);
}

TEST(what_breaks_the_protocol_is_an_error_at_once)
{
    const struct {
        struct bytes in;
        const char *text;
    } rows[] = {
        {BYTES("\x83\x80"), "error:1002"},
        {BYTES("\x8b\x80"), "error:1002"},
        {BYTES("\xc1\x80"), "error:1002"},
        {BYTES("\x81\x05"), "error:1002"}, // not masked
        {BYTES("\x80\x80"), "error:1002"},
        {BYTES("\x09\x80"), "error:1002"},
        {BYTES("\x89\xfe"), "error:1002"},
        {BYTES("\x88\x81\0\0\0\0x"), "error:1002"},
        {BYTES("\x88\x80\0\0\0\0"), "close:1005"},
        {BYTES("\x88\x82\0\0\0\0\x03\xe8"), "close:1000"},
        {BYTES("\x88\x82\0\0\0\0\x03\xe7"), "error:1002"},
        {BYTES("\x88\x82\0\0\0\0\x03\xee"), "error:1002"},
        {BYTES("\x88\x82\0\0\0\0\x03\xf4"), "close:1012"},
        {BYTES("\x88\x82\0\0\0\0\x07\xd0"), "error:1002"},
        {BYTES("\x88\x82\0\0\0\0\x0f\xa0"), "close:4000"},
        {BYTES("\x88\x82\0\0\0\0\x13\x88"), "error:1002"},
        {BYTES("\x01\x81\0\0\0\0a\x81\x80"), "error:1002"}, // a message within a message
        {BYTES("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"), "large:"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct log l = {0};
        feed(&l, rows[i].in.p, rows[i].in.n);
        CHECK_TRUE(bytes_is(buf_bytes(&l.text), rows[i].text));
        fini(&l);
    }
}

TEST(random_bytes_do_no_harm)
{
    uint64_t seed = 0x9e3779b97f4a7c15u;
    for (uint32_t round = 0; round < 20000; round++) {
        struct log l = {0};
        char bytes[64];
        for (uint32_t i = 0; i < 8 && !l.ended; i++) {
            for (size_t k = 0; k < sizeof bytes; k++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                bytes[k] = (char)(seed >> 40);
            }
            if (i % 2 == 0) { // something like a frame, more often than chance would have it
                bytes[0] = (char)(bytes[0] & 0x8f);
                bytes[1] = (char)(bytes[1] | 0x80);
            }
            feed(&l, bytes, sizeof bytes);
            CHECK_TRUE(l.reader.parts.n <= MAX && l.in.n <= MAX + WS_FRAME_HEAD_MAX + sizeof bytes);
        }
        fini(&l);
    }
}

TEST(heads_are_written_in_their_three_sizes)
{
    struct buf b = {0};
    ws_frame_head(&b, WS_OP_TEXT, 125);
    ws_frame_head(&b, WS_OP_BINARY, 126);
    ws_frame_head(&b, WS_OP_BINARY, 65535);
    ws_frame_head(&b, WS_OP_CLOSE, 0);
    ws_frame_head(&b, WS_OP_PONG, 65536);
    CHECK_TRUE(
        bytes_eq(buf_bytes(&b), BYTES("\x81\x7d\x82\x7e\0\x7e\x82\x7e\xff\xff\x88\0\x8a\x7f\0\0\0\0\0\x01\0\0")));
    buf_fini(&b);
}

MAIN
