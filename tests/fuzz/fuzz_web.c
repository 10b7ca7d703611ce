// What comes in from a socket, before anybody knows whose it is: HTTP heads, paths and chunks, websocket frames.
// - However the bytes are cut into pieces, what is read is the same as of the whole.
// - A message is at most as large as the bound; a body is, too; a control frame's payload is at most 125 bytes.
// - Every slice of a head lies within it; a decoded path begins with a slash and holds no control character.
// - Nothing is read any more after an error. (The sanitizer sees reads outside of the piece.)
#include "fuzz.h"
#include "http_head.h"
#include "ws_frame.h"

#define MAX 300u     // of a message
#define BODY_MAX 20u // of a chunked body

// The end of the next piece: `cut` 0 gives all at once, 1 single bytes, and so on.
static size_t next_cut(size_t at, size_t n, uint8_t cut)
{
    size_t to = cut ? at + cut : n;
    return to < n ? to : n;
}

// --- websocket ---

static void note(struct buf *log, enum ws_event e, const struct ws_got *got)
{
    buf_printf(log, "%d %d %u %zu:", (int)e, got->binary, got->code, got->payload.n);
    if (got->payload.n)
        buf_add(log, got->payload.p, got->payload.n);
}

static void check_got(enum ws_event e, const struct ws_got *got)
{
    CHECK(got->payload.n <= (e == WS_MESSAGE ? MAX : 125u));
    CHECK(e != WS_ERROR || got->code == 1002);
    CHECK(e != WS_CLOSE || (got->code >= 1000 && got->code <= 4999));
}

// What is read of `in` in pieces of `cut`, as one text.
static void read_frames(struct bytes in, uint8_t cut, struct buf *log)
{
    struct ws_reader r = {0};
    char *kept = NULL; // what the last read left, and the next piece behind it
    size_t n_kept = 0;
    enum ws_event e = WS_MORE;
    for (size_t at = 0; at < in.n && e != WS_ERROR && e != WS_CLOSE;) {
        size_t to = next_cut(at, in.n, cut), n = n_kept + to - at;
        char *piece = mem_grow(NULL, n, 1);
        if (n_kept)
            memcpy(piece, kept, n_kept);
        memcpy(piece + n_kept, in.p + at, to - at);
        mem_free(kept);
        at = to;
        char *p = piece;
        struct ws_got got;
        while ((e = ws_read(&r, &p, &n, MAX, &got)) != WS_MORE) {
            check_got(e, &got);
            note(log, e, &got);
            if (e == WS_ERROR || e == WS_CLOSE)
                break;
        }
        CHECK(r.parts.n <= MAX);
        CHECK(e != WS_MORE || n <= WS_FRAME_HEAD_MAX + MAX);
        kept = feed_own((struct bytes){p, n});
        n_kept = n;
        mem_free(piece);
    }
    mem_free(kept);
    ws_reader_fini(&r);
}

static void frames(struct bytes in, uint8_t cut)
{
    struct buf whole = {0}, pieces = {0};
    read_frames(in, 0, &whole);
    read_frames(in, cut, &pieces);
    CHECK(bytes_eq(buf_bytes(&whole), buf_bytes(&pieces)));
    buf_fini(&whole);
    buf_fini(&pieces);
}

// What we write ourselves is read by a client as one frame of that size. `p` is masked for the way back to us.
static void written_frame(struct feed *f)
{
    static const enum ws_opcode ops[] = {WS_OP_TEXT, WS_OP_BINARY, WS_OP_CLOSE, WS_OP_PING, WS_OP_PONG};
    enum ws_opcode op = ops[feed_below(f, countof(ops))];
    struct bytes payload = feed_rest(f);
    struct buf out = {0};
    ws_frame_head(&out, op, payload.n);
    size_t size = out.n;
    CHECK(size <= WS_FRAME_HEAD_MAX - 4);
    out.p[1] = (char)(out.p[1] | 0x80);
    buf_add(&out, "\0\0\0\0", 4);
    buf_add(&out, payload.p, payload.n);
    struct ws_reader r = {0};
    struct ws_got got;
    char *p = out.p;
    size_t n = out.n;
    enum ws_event e = ws_read(&r, &p, &n, MAX, &got);
    if (op >= WS_OP_CLOSE)
        CHECK(payload.n > 125 ? e == WS_ERROR : op == WS_OP_PING ? e == WS_PING : e != WS_MORE);
    else
        CHECK(e == (payload.n > MAX ? WS_TOO_LARGE : WS_MESSAGE));
    if (e == WS_MESSAGE || e == WS_PING)
        CHECK(n == 0 && bytes_eq(got.payload, payload));
    ws_reader_fini(&r);
    buf_fini(&out);
}

// --- HTTP ---

static void check_within(struct bytes slice, struct bytes head)
{
    if (!slice.n || (slice.n == 1 && slice.p[0] == '/')) // a target without a path gets one of ours
        return;
    CHECK(slice.p >= head.p && slice.p + slice.n <= head.p + head.n);
    CHECK(memchr(slice.p, '\n', slice.n) == NULL && memchr(slice.p, '\r', slice.n) == NULL);
}

static void check_path(struct bytes raw)
{
    struct arena a = {0};
    struct bytes path;
    if (http_path(&a, raw, &path) == OK) {
        CHECK(path.n > 0 && path.n <= raw.n && path.p[0] == '/');
        for (size_t i = 0; i < path.n; i++)
            CHECK((unsigned char)path.p[i] >= ' ' && path.p[i] != 0x7f);
    }
    arena_fini(&a);
}

static void check_head(struct bytes text)
{
    struct http_head h;
    char *own = feed_own(text);
    struct bytes head = {own, text.n};
    if (http_head_parse(head, &h) == OK) {
        const struct bytes slices[] = {h.method,        h.path,         h.query,  h.host,
                                       h.authorization, h.content_type, h.origin, h.websocket_key};
        for (size_t i = 0; i < countof(slices); i++)
            check_within(slices[i], head);
        CHECK(h.method.n && h.path.n);
        CHECK(!(h.chunked && h.has_length) && (h.has_length || !h.length));
        CHECK(!h.websocket || (h.websocket_key.n && bytes_is(h.method, "GET")));
        check_path(h.path);
    }
    mem_free(own);
}

// Where the head ends, looked for after each piece. 0: nowhere.
static size_t head_end(struct bytes in, uint8_t cut)
{
    size_t seen = 0, end = 0;
    for (size_t at = 0; at < in.n;) {
        at = next_cut(at, in.n, cut);
        char *own = feed_own((struct bytes){in.p, at});
        int err = http_head_end((struct bytes){own, at}, &seen, &end);
        mem_free(own);
        CHECK(seen <= at && end <= at);
        if (err == OK)
            return end;
        CHECK(err == ERR_MISSING);
    }
    return 0;
}

static int read_chunks(struct bytes in, uint8_t cut, struct buf *body, size_t *used)
{
    struct http_chunks c = {0};
    int err = ERR_MISSING;
    *used = 0;
    for (size_t at = 0; at < in.n && err == ERR_MISSING;) {
        size_t to = next_cut(at, in.n, cut);
        char *own = feed_own((struct bytes){in.p + at, to - at});
        struct bytes piece = {own, to - at};
        err = http_chunks_feed(&c, &piece, body, BODY_MAX);
        *used = to - piece.n;
        mem_free(own);
        CHECK(body->n <= BODY_MAX);
        CHECK(err != ERR_MISSING || piece.n == 0);
        at = to;
    }
    return err;
}

static void chunks(struct bytes in, uint8_t cut)
{
    struct buf whole = {0}, pieces = {0};
    size_t used, used_too;
    int err = read_chunks(in, 0, &whole, &used);
    CHECK(read_chunks(in, cut, &pieces, &used_too) == err);
    CHECK(bytes_eq(buf_bytes(&whole), buf_bytes(&pieces)));
    CHECK(err != OK || used == used_too);
    buf_fini(&whole);
    buf_fini(&pieces);
}

static void head(struct bytes in, uint8_t cut)
{
    size_t end = head_end(in, 0);
    CHECK(head_end(in, cut) == end);
    check_head((struct bytes){in.p, end});
    chunks((struct bytes){in.p + end, in.n - end}, cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    uint8_t what = feed_u8(&f), cut = feed_u8(&f);
    switch (what % 5) {
    case 0:
        frames(feed_rest(&f), cut);
        break;
    case 1:
        written_frame(&f);
        break;
    case 2:
        head(feed_rest(&f), cut);
        break;
    case 3:
        chunks(feed_rest(&f), cut);
        break;
    case 4: {
        struct bytes in = feed_rest(&f);
        char *own = feed_own(in);
        check_path((struct bytes){own, in.n});
        mem_free(own);
        break;
    }
    }
    return 0;
}
