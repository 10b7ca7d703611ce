// web_http: one request after the other on a connection: head, body, on_request, answer.
// The user sees a decoded path in which %2F stays as it is, so an encoded slash never separates anything.
#include "web_private.h"
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HEAD_MAX 16384u // all headers of a request

static const char bad_request[] = "{\"message\":\"400: Bad Request\",\"code\":0}";

// --- answering ---

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < countof(texts); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return status < 400 ? "OK" : "Error";
}

static const char *date(struct web *w)
{
    uint64_t s = loop_unix_ms(w->loop) / 1000;
    if (s != w->date_s) {
        time_t t = (time_t)s;
        struct tm day;
        w->date_s = s;
        strftime(w->date, sizeof w->date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &day));
    }
    return w->date;
}

static void answer(struct conn *c, int status, const char *content_type, const char *headers, struct bytes body)
{
    M.http_requests++;
    M.http_errors += status >= 400;
    c->http.last |= c->web->refusing;
    c->state = CONN_ANSWERING;
    buf_printf(&c->out, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: %s\r\n", status, status_text(status), date(c->web),
               c->http.last ? "close" : "keep-alive");
    if (content_type)
        buf_printf(&c->out, "Content-Type: %s\r\n", content_type);
    if (status != 204 && status != 304)
        buf_printf(&c->out, "Content-Length: %zu\r\n", content_type ? body.n : 0);
    buf_add(&c->out, c->http.headers.p, c->http.headers.n);
    buf_str(&c->out, headers ? headers : "");
    buf_str(&c->out, "\r\n");
    if (content_type && !c->http.head_only)
        buf_add(&c->out, body.p, body.n);
    buf_fini(&c->http.raw);
    buf_fini(&c->http.body);
    buf_fini(&c->http.headers);
    conn_time(c, c->web->cfg.request_ms);
    conn_dirty(c);
}

void web_reply(struct web *w, uint64_t request, int status, const char *content_type, const char *headers,
               struct bytes body)
{
    struct conn *c = table_remove(&w->requests, request);
    if (!c)
        return;
    c->request = 0;
    answer(c, status, content_type, headers, body);
}

void web_json(struct web *w, uint64_t request, int status, struct bytes body)
{
    web_reply(w, request, status, "application/json", NULL, body);
}

// An answer of our own. The connection ends with it, and what the peer is still sending is thrown away meanwhile:
// hanging up on him at once could destroy the answer on its way.
static bool refuse(struct conn *c, int status, const char *body)
{
    M.requests_too_large += status == 413 || status == 431;
    c->http.last = true;
    answer(c, status, "application/json", NULL, bytes_of(body));
    return true;
}

void http_written(struct conn *c)
{
    if (c->http.last) {
        conn_finish(c);
        return;
    }
    c->state = CONN_HEAD;
    c->http.began = false;
    conn_time(c, c->web->cfg.keepalive_ms);
}

// --- asking ---

// Whoever asked has hung up: nobody waits for the answer, and he may have asked somebody else since. That is so of all
// that waited in our sockets while this process was stopped.
static bool asker_gone(const struct conn *c)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    return getsockopt(lws_get_socket_fd(c->wsi), IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
           (info.tcpi_state == TCP_CLOSE_WAIT || info.tcpi_state == TCP_CLOSE);
}

// All of the request is here. Its bytes are the user's until he returns, even when he answers at once.
static void ask(struct conn *c)
{
    if (asker_gone(c)) {
        c->state = CONN_LINGER;
        conn_abort(c);
        return;
    }
    struct web *w = c->web;
    struct http_head h = c->http.head;
    struct buf raw = c->http.raw, body = c->http.body;
    struct bytes path;
    c->http.raw = c->http.body = (struct buf){0};
    loop_cancel(w->loop, &c->timer);
    if (http_path(&w->arena, h.path, &path) != OK) {
        refuse(c, 400, bad_request);
    } else {
        c->state = CONN_ASKED;
        c->request = ++w->next_id;
        table_put(&w->requests, c->request, c);
        struct web_request r = {.id = c->request,
                                .method = arena_text(&w->arena, h.method),
                                .path = path,
                                .query = h.query,
                                .authorization = h.authorization,
                                .content_type = h.content_type,
                                .host = h.host,
                                .origin = h.origin,
                                .body = buf_bytes(&body),
                                .address = c->address};
        w->cfg.on_request(w->cfg.ctx, &r);
    }
    arena_reset(&w->arena);
    buf_fini(&raw);
    buf_fini(&body);
}

static void consume(struct conn *c, size_t n)
{
    memmove(c->in.p, c->in.p + n, c->in.n - n);
    c->in.n -= n;
}

// Behind a balancer a connection is whose it says, request by request; a websocket is that one's for good.
static bool forwarded(struct conn *c)
{
    struct bytes text;
    struct address from;
    if (!c->balancer || address_forwarded(c->http.head.forwarded_for, &c->web->cfg.balancers, &text, &from) != OK)
        return true;
    (void)!bytes_copy(c->address, sizeof c->address, text); // what was parsed as an address fits
    return !c->http.head.websocket || conn_admit(c, from);
}

static bool upgrade(struct conn *c)
{
    if (!c->web->cfg.on_open)
        return refuse(c, 404, "{\"message\":\"404: Not Found\",\"code\":0}");
    if (c->web->refusing)
        return refuse(c, 503, "{\"message\":\"503: Service Unavailable\",\"code\":0}");
    struct bytes path;
    if (http_path(&c->web->arena, c->http.head.path, &path) == OK)
        ws_open(c, path);
    else
        refuse(c, 400, bad_request);
    arena_reset(&c->web->arena);
    buf_fini(&c->http.raw);
    buf_fini(&c->http.headers);
    return true;
}

static bool too_large(struct conn *c)
{
    return refuse(c, 413, "{\"message\":\"Request entity too large\",\"code\":40005}");
}

// False: on_head has answered it.
static bool admitted(struct conn *c)
{
    const struct web_cfg *cfg = &c->web->cfg;
    const struct http_head *h = &c->http.head;
    int status = cfg->on_head ? cfg->on_head(cfg->ctx, h, &c->http.headers) : 0;
    if (status == 403)
        refuse(c, 403, "{\"message\":\"403: Forbidden\",\"code\":0}");
    else if (status) {
        c->http.last |= h->chunked || h->length; // a body that nobody wants
        answer(c, status, NULL, NULL, BYTES_NONE);
    }
    return !status;
}

static bool understood(struct conn *c)
{
    const struct http_head *h = &c->http.head;
    c->http.last = !h->keep_alive;
    c->http.head_only = bytes_is(h->method, "HEAD");
    c->http.chunks = (struct http_chunks){0};
    if (!forwarded(c)) {
        M.connections_refused++;
        LOG_PEER(WARN, EV("web.full"), KS("peer", c->address), KU("connections", c->web->cfg.per_address));
        return refuse(c, 429,
                      "{\"message\":\"You are being rate limited.\",\"retry_after\":5.0,\"global\":true,"
                      "\"code\":0}");
    }
    if (!admitted(c))
        return true;
    if (h->websocket)
        return upgrade(c);
    if (h->length > c->web->cfg.body_max)
        return too_large(c);
    if (!h->chunked && !h->length) {
        ask(c);
        return true;
    }
    c->state = CONN_BODY;
    if (h->wants_continue) {
        buf_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        conn_dirty(c);
    }
    return true;
}

static bool take_head(struct conn *c)
{
    size_t end;
    if (!c->in.n)
        return false;
    if (!c->http.began) {
        c->http.began = true;
        c->http.seen = 0;
        conn_time(c, c->web->cfg.request_ms);
    }
    int err = http_head_end(buf_bytes(&c->in), &c->http.seen, &end);
    if (err == OK ? end > HEAD_MAX : c->in.n > HEAD_MAX)
        return refuse(c, 431, "{\"message\":\"431: Request Header Fields Too Large\",\"code\":0}");
    if (err != OK)
        return false;
    buf_add(&c->http.raw, c->in.p, end);
    consume(c, end);
    if (http_head_parse(buf_bytes(&c->http.raw), &c->http.head) != OK)
        return refuse(c, 400, bad_request);
    return understood(c);
}

static bool take_body(struct conn *c)
{
    struct bytes rest = buf_bytes(&c->in);
    int err = OK;
    if (c->http.head.chunked) {
        err = http_chunks_feed(&c->http.chunks, &rest, &c->http.body, c->web->cfg.body_max);
    } else {
        size_t left = (size_t)c->http.head.length - c->http.body.n, n = rest.n < left ? rest.n : left;
        buf_add(&c->http.body, rest.p, n);
        rest.n -= n;
        err = n == left ? OK : ERR_MISSING;
    }
    consume(c, c->in.n - rest.n);
    if (err == ERR_FULL)
        return too_large(c);
    if (err == ERR_INVALID)
        return refuse(c, 400, bad_request);
    if (err == OK)
        ask(c);
    return err == OK;
}

bool http_input(struct conn *c)
{
    if (c->state == CONN_HEAD)
        return take_head(c);
    if (c->state == CONN_BODY)
        return take_body(c);
    if (c->http.last)
        buf_reset(&c->in);
    return false;
}

void http_gone(struct conn *c)
{
    if (!c->request)
        return;
    uint64_t request = c->request;
    c->request = 0;
    table_remove(&c->web->requests, request);
    if (c->web->cfg.on_gone)
        c->web->cfg.on_gone(c->web->cfg.ctx, request);
}
