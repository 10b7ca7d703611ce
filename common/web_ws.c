// web_ws: websockets. Frames of one turn are laid into one buffer and leave in one write.
// Nothing here calls back into the user from inside his own call.
#include "web_private.h"
#include <string.h>

#define REASON_MAX 123u
#define ACCEPT_SIZE 32     // 28 and what the encoder wants besides
#define CODE_NONE 1005     // the peer closed without a code
#define CODE_POLICY 1008   // too slow, and the user named no code; or too many control frames
#define CONTROLS 120u      // pings and pongs of a peer in …
#define CONTROLS_MS 60000u // … this time: libraries that ping at all do so every few seconds

// --- sending ---

// Of the queue: the first place at or behind what has left where a frame begins, or the end.
static size_t edge(struct conn *c)
{
    while (c->ws.edge < c->out_at)
        c->ws.edge += ws_frame_size(c->out.p + c->ws.edge);
    return c->ws.edge;
}

static void frame(struct conn *c, enum ws_opcode op, struct bytes head, struct bytes tail)
{
    if (c->out_at > c->out.n / 2) { // a slow reader: what has left makes room
        c->ws.edge = edge(c) - c->out_at;
        memmove(c->out.p, c->out.p + c->out_at, c->out.n - c->out_at);
        c->out.n -= c->out_at;
        c->out_at = 0;
    }
    ws_frame_head(&c->out, op, head.n + tail.n);
    buf_add(&c->out, head.p, head.n);
    buf_add(&c->out, tail.p, tail.n);
    conn_count(c);
    conn_dirty(c);
}

// Throws away what of the queue has not begun to leave.
static void cut(struct conn *c)
{
    struct buf begun = {0};
    buf_add(&begun, c->out.p + c->out_at, edge(c) - c->out_at);
    buf_fini(&c->out);
    c->out = begun;
    c->ws.edge = begun.n;
    c->out_at = 0;
    conn_count(c);
}

static struct conn *websocket(const struct web *w, uint64_t id)
{
    struct conn *c = table_get(&w->conns, id);
    return c && c->state == CONN_OPEN ? c : NULL;
}

static bool room_for(const struct conn *c, size_t n)
{
    return conn_queued(c) + n + WS_FRAME_HEAD_MAX <= c->web->cfg.queue_max;
}

void web_send2(struct web *w, uint64_t conn, struct bytes head, struct bytes tail, bool binary)
{
    struct conn *c = websocket(w, conn);
    if (!c || c->ws.slow)
        return;
    if (room_for(c, head.n + tail.n)) {
        frame(c, binary ? WS_OP_BINARY : WS_OP_TEXT, head, tail);
        return;
    }
    ws_slow(c);
}

void ws_slow(struct conn *c)
{
    c->ws.slow = true;
    conn_dirty(c);
}

void web_send(struct web *w, uint64_t conn, struct bytes payload, bool binary)
{
    web_send2(w, conn, payload, BYTES_NONE, binary);
}

static void close_frame(struct conn *c, uint16_t code, struct bytes why)
{
    char number[2] = {(char)(code >> 8), (char)(code & 0xff)};
    if (why.n > REASON_MAX)
        why.n = REASON_MAX;
    frame(c, WS_OP_CLOSE, (struct bytes){number, sizeof number}, why);
}

void web_close(struct web *w, uint64_t conn, uint16_t code, const char *reason)
{
    struct conn *c = websocket(w, conn);
    if (!c)
        return;
    close_frame(c, code, bytes_of(reason));
    c->state = CONN_CLOSING;
    conn_time(c, CLOSE_MS);
}

void web_abort(struct web *w, uint64_t conn)
{
    struct conn *c = table_get(&w->conns, conn);
    if (!c || !c->ws.told)
        return;
    c->state = CONN_LINGER;
    conn_abort(c);
}

uint64_t web_queued(const struct web *w, uint64_t conn)
{
    const struct conn *c = table_get(&w->conns, conn);
    return c && c->ws.told ? conn_queued(c) : 0;
}

void ws_tell_slow(struct conn *c)
{
    struct web *w = c->web;
    uint64_t id = c->id;
    if (!c->ws.slow || c->state != CONN_OPEN)
        return;
    M.ws_slow_closed++;
    cut(c);
    if (w->cfg.on_slow)
        w->cfg.on_slow(w->cfg.ctx, id);
    web_close(w, id, CODE_POLICY, "too slow"); // unless the user has closed it
}

// --- receiving ---

static void ended(struct conn *c, uint16_t code)
{
    c->ws.code = code;
    ws_gone(c);
    conn_finish(c);
}

// The peer's close frame: it is echoed, or it is the echo.
static void peer_closed(struct conn *c, uint16_t code)
{
    if (c->state == CONN_OPEN && code == CODE_NONE)
        frame(c, WS_OP_CLOSE, BYTES_NONE, BYTES_NONE);
    else if (c->state == CONN_OPEN)
        close_frame(c, code, BYTES_NONE);
    ended(c, code);
}

static void take(struct conn *c, enum ws_event e, const struct ws_got *got)
{
    struct web *w = c->web;
    bool control = e == WS_PING || e == WS_PONG;
    if (control && c->state == CONN_OPEN && !window_take(&c->ws.controls, loop_now(w->loop))) {
        M.ws_floods++;
        web_close(w, c->id, CODE_POLICY, "too many control frames");
        return;
    }
    switch (e) {
    case WS_MESSAGE:
        if (c->state == CONN_OPEN)
            w->cfg.on_message(w->cfg.ctx, c->id, got->payload, got->binary);
        break;
    case WS_TOO_LARGE:
        if (c->state == CONN_OPEN && w->cfg.on_too_large)
            w->cfg.on_too_large(w->cfg.ctx, c->id);
        break;
    case WS_PING:
        if (c->state == CONN_OPEN && room_for(c, got->payload.n))
            frame(c, WS_OP_PONG, got->payload, BYTES_NONE);
        break;
    case WS_CLOSE:
        peer_closed(c, got->code);
        break;
    case WS_ERROR:
        if (c->state == CONN_OPEN)
            close_frame(c, got->code, BYTES_NONE);
        ended(c, c->ws.code);
        break;
    case WS_PONG:
    case WS_MORE:
        break;
    }
}

bool ws_input(struct conn *c)
{
    char *p = c->in.p;
    size_t n = c->in.n;
    enum ws_event e;
    struct ws_got got;
    do {
        e = ws_read(&c->ws.reader, &p, &n, c->web->cfg.frame_max, &got);
        take(c, e, &got);
    } while (e != WS_MORE && (c->state == CONN_OPEN || c->state == CONN_CLOSING));
    if (n)
        memmove(c->in.p, p, n);
    c->in.n = n;
    return e != WS_MORE;
}

// --- opening ---

static void accept_key(struct bytes key, char out[ACCEPT_SIZE])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char hash[20];
    struct buf both = {0};
    buf_add(&both, key.p, key.n);
    buf_str(&both, magic);
    lws_SHA1((const unsigned char *)both.p, both.n, hash);
    CHECK(lws_b64_encode_string((const char *)hash, sizeof hash, out, ACCEPT_SIZE) == 28);
    buf_fini(&both);
}

void ws_open(struct conn *c, struct bytes path)
{
    struct web *w = c->web;
    char accept[ACCEPT_SIZE];
    accept_key(c->http.head.websocket_key, accept);
    buf_printf(&c->out,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n\r\n",
               accept);
    conn_dirty(c);
    loop_cancel(w->loop, &c->timer);
    c->ws.edge = c->out.n;
    c->state = CONN_OPEN;
    c->ws.told = true;
    window_init(&c->ws.controls, CONTROLS, CONTROLS_MS, loop_now(w->loop));
    M.ws_connections++;
    M.ws_accepted++;
    w->cfg.on_open(w->cfg.ctx, c->id, path, c->http.head.query, c->address);
}

void ws_gone(struct conn *c)
{
    struct web *w = c->web;
    if (!c->ws.told)
        return;
    c->ws.told = false;
    M.ws_connections--;
    if (w->cfg.on_close)
        w->cfg.on_close(w->cfg.ctx, c->id, c->ws.code);
}
