// ws_frame: heads of frames, masks, fragments.
// A message in one frame is passed on where it lies; only one in several frames is copied together.
#include "ws_frame.h"
#include <string.h>

#define CODE_PROTOCOL 1002
#define CODE_NONE 1005
#define CONTROL_MAX 125u

struct head {
    enum ws_opcode op;
    bool final;
    uint64_t n;
    unsigned char mask[4];
};

static enum ws_event protocol_error(struct ws_got *out)
{
    out->code = CODE_PROTOCOL;
    return WS_ERROR;
}

// The size of the head, 0 when it is not whole yet.
static size_t take_head(const unsigned char *p, size_t n, struct head *h)
{
    if (n < 2)
        return 0;
    size_t size = (p[1] & 0x7f) == 126 ? 2 : (p[1] & 0x7f) == 127 ? 8 : 0;
    if (n < 2 + size + 4)
        return 0;
    h->op = (enum ws_opcode)(p[0] & 0x0f);
    h->final = (p[0] & 0x80) != 0;
    h->n = size ? 0 : p[1] & 0x7f;
    for (size_t i = 0; i < size; i++)
        h->n = h->n << 8 | p[2 + i];
    memcpy(h->mask, p + 2 + size, 4);
    return 2 + size + 4;
}

// Decidable from the first two bytes, so that nobody waits for the rest of nonsense.
static bool head_ok(const struct ws_reader *r, unsigned char first, unsigned char second)
{
    uint32_t op = first & 0x0f;
    if ((first & 0x70) || !(second & 0x80))
        return false;
    if (op >= WS_OP_CLOSE)
        return op <= WS_OP_PONG && (first & 0x80) && (second & 0x7f) <= CONTROL_MAX;
    return op == WS_OP_MORE ? r->open : op <= WS_OP_BINARY && !r->open;
}

static void unmask(char *p, size_t n, const unsigned char mask[4])
{
    uint64_t wide, word;
    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        word ^= wide;
        memcpy(p + i, &word, 8);
    }
    for (; i < n; i++)
        p[i] = (char)(p[i] ^ (char)mask[i % 4]);
}

static enum ws_event control(const struct head *h, struct bytes payload, struct ws_got *out)
{
    out->payload = payload;
    if (h->op == WS_OP_PING)
        return WS_PING;
    if (h->op == WS_OP_PONG)
        return WS_PONG;
    if (payload.n == 1)
        return protocol_error(out);
    out->code = CODE_NONE;
    if (payload.n >= 2)
        out->code = (uint16_t)((unsigned char)payload.p[0] << 8 | (unsigned char)payload.p[1]);
    if (payload.n >= 2 && (out->code < 1000 || out->code == 1004 || out->code == 1005 || out->code == 1006 ||
                           (out->code > 1014 && out->code < 3000) || out->code > 4999))
        return protocol_error(out);
    return WS_CLOSE;
}

// A data frame is here whole.
static enum ws_event data(struct ws_reader *r, const struct head *h, struct bytes payload, struct ws_got *out)
{
    if (!h->final || h->op == WS_OP_MORE)
        buf_add(&r->parts, payload.p, payload.n);
    if (!h->final)
        return WS_MORE;
    out->payload = h->op == WS_OP_MORE ? buf_bytes(&r->parts) : payload;
    out->binary = r->binary;
    return WS_MESSAGE;
}

static void advance(char **p, size_t *n, uint64_t by)
{
    *p += by;
    *n -= (size_t)by;
}

// The rest of this frame is thrown away, and so is the rest of its message.
static void skip_frame(struct ws_reader *r, const struct head *h, size_t head_size, char **p, size_t *n)
{
    advance(p, n, head_size);
    r->skip = h->n;
    r->open = !h->final;
    r->swallow = r->open;
    buf_fini(&r->parts);
}

static enum ws_event one_frame(struct ws_reader *r, char **p, size_t *n, uint64_t max, struct ws_got *out)
{
    struct head h;
    const unsigned char *first = (const unsigned char *)*p;
    if (*n >= 2 && !head_ok(r, first[0], first[1]))
        return protocol_error(out);
    size_t size = take_head(first, *n, &h);
    if (!size)
        return WS_MORE;
    bool is_control = h.op >= WS_OP_CLOSE;
    if (!is_control && r->swallow) {
        skip_frame(r, &h, size, p, n);
        return WS_MORE;
    }
    if (!is_control && (h.n > max || r->parts.n > max - h.n || (r->open && r->n_parts == WS_PARTS_MAX))) {
        skip_frame(r, &h, size, p, n);
        return WS_TOO_LARGE;
    }
    if (*n - size < h.n)
        return WS_MORE;
    struct bytes payload = {*p + size, (size_t)h.n};
    unmask(*p + size, payload.n, h.mask);
    advance(p, n, size + h.n);
    if (is_control)
        return control(&h, payload, out);
    if (h.op != WS_OP_MORE)
        r->binary = h.op == WS_OP_BINARY;
    r->n_parts = r->open ? r->n_parts + 1 : 1;
    r->open = !h.final;
    return data(r, &h, payload, out);
}

enum ws_event ws_read(struct ws_reader *r, char **p, size_t *n, uint64_t max, struct ws_got *out)
{
    *out = (struct ws_got){0};
    if (!r->open)
        buf_fini(&r->parts); // of the message that was given last
    for (;;) {
        uint64_t thrown = r->skip < *n ? r->skip : *n;
        advance(p, n, thrown);
        r->skip -= thrown;
        size_t before = *n;
        if (!before)
            return WS_MORE;
        enum ws_event e = one_frame(r, p, n, max, out);
        if (e != WS_MORE || *n == before)
            return e;
    }
}

void ws_reader_fini(struct ws_reader *r)
{
    buf_fini(&r->parts);
}

void ws_frame_head(struct buf *out, enum ws_opcode op, size_t n)
{
    unsigned char h[10] = {(unsigned char)(0x80 | op)};
    size_t size = n < 126 ? 0 : n < 65536 ? 2 : 8;
    h[1] = (unsigned char)(size == 0 ? n : size == 2 ? 126 : 127);
    for (size_t i = 0; i < size; i++)
        h[2 + i] = (unsigned char)(n >> 8 * (size - 1 - i));
    buf_add(out, h, 2 + size);
}

size_t ws_frame_size(const char *frame)
{
    const unsigned char *h = (const unsigned char *)frame;
    size_t more = h[1] < 126 ? 0 : h[1] == 126 ? 2 : 8, n = more ? 0 : h[1];
    for (size_t i = 0; i < more; i++)
        n = n << 8 | h[2 + i];
    return 2 + more + n;
}
