// http_head: request line and headers (RFC 9112, sections 2 to 6), and the chunked coding (7.1).
// Lines end in CR LF or, as the RFC allows, in LF alone; a CR anywhere else is an error.
#define _GNU_SOURCE // memrchr
#include "http_head.h"
#include <string.h>
#include <strings.h>

#define LINE_MAX_CHUNK 1024u // a chunk's extension, or all trailers

static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool same(struct bytes b, const char *text)
{
    return b.n == strlen(text) && strncasecmp(b.p ? b.p : "", text, b.n) == 0;
}

static struct bytes part(struct bytes b, size_t from, size_t to)
{
    return (struct bytes){b.p + from, to - from};
}

static struct bytes trim(struct bytes b)
{
    while (b.n && (b.p[0] == ' ' || b.p[0] == '\t'))
        b = part(b, 1, b.n);
    while (b.n && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
        b.n--;
    return b;
}

int http_head_end(struct bytes in, size_t *seen, size_t *end)
{
    size_t from = 0;
    while (from < in.n && (in.p[from] == '\r' || in.p[from] == '\n'))
        from++; // blank lines before a request are to be ignored
    for (size_t i = *seen > from ? *seen : from; i < in.n; i++) {
        if (in.p[i] != '\n')
            continue;
        size_t next = i + 1 < in.n && in.p[i + 1] == '\r' ? i + 2 : i + 1;
        if (next < in.n && in.p[next] == '\n') {
            *end = next + 1;
            return OK;
        }
        if (next >= in.n) {
            *seen = i; // the blank line may begin here
            return ERR_MISSING;
        }
    }
    *seen = in.n;
    return ERR_MISSING;
}

// Takes a line off the front of *in, without its end. False: none is left.
static bool next_line(struct bytes *in, struct bytes *line)
{
    const char *end = in->n ? memchr(in->p, '\n', in->n) : NULL;
    if (!end)
        return false;
    size_t n = (size_t)(end - in->p);
    *line = part(*in, 0, n && in->p[n - 1] == '\r' ? n - 1 : n);
    *in = part(*in, n + 1, in->n);
    return true;
}

// --- the request line ---

static struct bytes without_authority(struct bytes target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < countof(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (target.n < n || strncasecmp(target.p, schemes[i], n) != 0)
            continue;
        while (n < target.n && target.p[n] != '/' && target.p[n] != '?')
            n++;
        return part(target, n, target.n);
    }
    return target;
}

static int request_line(struct bytes line, struct http_head *out)
{
    const char *first = line.n ? memchr(line.p, ' ', line.n) : NULL;
    const char *last = line.n ? memrchr(line.p, ' ', line.n) : NULL;
    if (!first || first == last)
        return ERR_INVALID;
    out->method = (struct bytes){line.p, (size_t)(first - line.p)};
    struct bytes target = {first + 1, (size_t)(last - first - 1)};
    struct bytes version = {last + 1, (size_t)(line.p + line.n - last - 1)};
    for (size_t i = 0; i < out->method.n; i++)
        if (!is_token(out->method.p[i]))
            return ERR_INVALID;
    for (size_t i = 0; i < target.n; i++)
        if ((unsigned char)target.p[i] <= ' ' || target.p[i] == 0x7f)
            return ERR_INVALID;
    if (!out->method.n || !target.n || !(bytes_is(version, "HTTP/1.1") || bytes_is(version, "HTTP/1.0")))
        return ERR_INVALID;
    out->keep_alive = version.p[7] == '1';
    target = without_authority(target);
    const char *mark = target.n ? memchr(target.p, '?', target.n) : NULL;
    size_t n = mark ? (size_t)(mark - target.p) : target.n;
    out->path = n ? part(target, 0, n) : BYTES("/");
    out->query = mark ? part(target, n + 1, target.n) : BYTES_NONE;
    const char *hash = out->query.n ? memchr(out->query.p, '#', out->query.n) : NULL;
    if (hash)
        out->query.n = (size_t)(hash - out->query.p);
    return OK;
}

// --- headers ---

// What of the websocket handshake has been seen; `connection` is needed too (RFC 6455, section 4.2.1).
struct handshake {
    bool upgrade, connection, version;
};

static bool list_has(struct bytes list, const char *word)
{
    while (list.n) {
        const char *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        if (same(trim(part(list, 0, n)), word))
            return true;
        list = part(list, comma ? n + 1 : n, list.n);
    }
    return false;
}

static int header(struct http_head *out, struct handshake *h, struct bytes name, struct bytes value)
{
    if (same(name, "content-length")) {
        if (out->has_length || bytes_u64(value, &out->length) != OK)
            return ERR_INVALID;
        out->has_length = true;
    } else if (same(name, "transfer-encoding")) {
        if (out->chunked || !same(value, "chunked"))
            return ERR_INVALID;
        out->chunked = true;
    } else if (same(name, "host")) {
        if (out->host.p)
            return ERR_INVALID;
        out->host = value;
    } else if (same(name, "connection")) {
        h->connection |= list_has(value, "upgrade");
        if (list_has(value, "close"))
            out->keep_alive = false;
        else if (list_has(value, "keep-alive"))
            out->keep_alive = true;
    } else if (same(name, "authorization")) {
        out->authorization = value;
    } else if (same(name, "content-type")) {
        out->content_type = value;
    } else if (same(name, "origin")) {
        if (out->origin.p)
            return ERR_INVALID;
        out->origin = value;
    } else if (same(name, "x-forwarded-for")) {
        out->forwarded_for = value;
    } else if (same(name, "access-control-request-method")) {
        out->preflight = value;
    } else if (same(name, "expect")) {
        out->wants_continue = same(value, "100-continue");
    } else if (same(name, "upgrade")) {
        h->upgrade |= list_has(value, "websocket");
    } else if (same(name, "sec-websocket-key")) {
        out->websocket_key = value;
    } else if (same(name, "sec-websocket-version")) {
        h->version = same(value, "13");
    }
    return OK;
}

static int header_line(struct http_head *out, struct handshake *h, struct bytes line)
{
    size_t n = 0;
    while (n < line.n && is_token(line.p[n]))
        n++;
    if (n == 0 || n == line.n || line.p[n] != ':')
        return ERR_INVALID;
    struct bytes value = trim(part(line, n + 1, line.n));
    for (size_t i = 0; i < value.n; i++)
        if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
            return ERR_INVALID;
    return header(out, h, part(line, 0, n), value);
}

int http_head_parse(struct bytes head, struct http_head *out)
{
    struct handshake h = {0};
    struct bytes line = BYTES_NONE;
    memset(out, 0, sizeof *out);
    while (next_line(&head, &line) && !line.n)
        ;
    if (request_line(line, out) != OK)
        return ERR_INVALID;
    while (next_line(&head, &line) && line.n)
        if (header_line(out, &h, line) != OK)
            return ERR_INVALID;
    if (out->chunked && out->has_length)
        return ERR_INVALID;
    out->websocket = h.upgrade && h.connection && h.version && out->websocket_key.n && bytes_is(out->method, "GET");
    return OK;
}

// --- the path ---

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int http_path(struct arena *a, struct bytes raw, struct bytes *out)
{
    if (!raw.n || raw.p[0] != '/')
        return ERR_INVALID;
    char *p = arena_take(a, raw.n);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        int c = (unsigned char)raw.p[i];
        if (c == '%') {
            if (i + 2 >= raw.n || hex(raw.p[i + 1]) < 0 || hex(raw.p[i + 2]) < 0)
                return ERR_INVALID;
            c = hex(raw.p[i + 1]) * 16 + hex(raw.p[i + 2]);
            if (c == '/')
                c = '%'; // and its digits follow as they are
            else
                i += 2;
        }
        if (c < ' ' || c == 0x7f)
            return ERR_INVALID;
        p[n++] = (char)c;
    }
    *out = (struct bytes){p, n};
    return OK;
}

// --- chunks ---

static int chunk_size(struct http_chunks *c, char ch)
{
    int digit = hex(ch);
    if (digit >= 0) {
        c->left = c->left * 16 + (uint64_t)digit;
        return ++c->digits > 15 ? ERR_INVALID : OK;
    }
    if (!c->digits || !(ch == '\r' || ch == '\n' || ch == ';' || ch == ' ' || ch == '\t'))
        return ERR_INVALID;
    c->state = CHUNK_EXTENSION;
    c->line = 0;
    return OK;
}

static void chunk_begin(struct http_chunks *c)
{
    c->state = CHUNK_SIZE;
    c->left = 0;
    c->digits = 0;
}

// One byte of what is not data. Trailers end with an empty line; `digits` is the length of the present one.
static int chunk_byte(struct http_chunks *c, char ch)
{
    if (c->state == CHUNK_SIZE && chunk_size(c, ch) != OK)
        return ERR_INVALID;
    if (c->state == CHUNK_SIZE)
        return OK;
    if (c->state != CHUNK_DATA_END && ++c->line > LINE_MAX_CHUNK)
        return ERR_INVALID;
    if (c->state == CHUNK_DATA_END) {
        if (ch == '\n')
            chunk_begin(c);
        return ch == '\n' || ch == '\r' ? OK : ERR_INVALID;
    }
    if (ch != '\n') {
        c->digits += c->state == CHUNK_TRAILER && ch != '\r';
        return OK;
    }
    if (c->state == CHUNK_EXTENSION)
        c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
    else if (!c->digits)
        c->state = CHUNKS_DONE;
    c->digits = 0;
    return OK;
}

int http_chunks_feed(struct http_chunks *c, struct bytes *in, struct buf *body, uint64_t max)
{
    while (c->state != CHUNKS_DONE) {
        if (!in->n)
            return ERR_MISSING;
        if (c->state != CHUNK_DATA) {
            if (chunk_byte(c, in->p[0]) != OK)
                return ERR_INVALID;
            *in = part(*in, 1, in->n);
        }
        if (c->state != CHUNK_DATA)
            continue;
        if (c->left > max || body->n > max - c->left)
            return ERR_FULL;
        size_t n = in->n < c->left ? in->n : (size_t)c->left;
        buf_add(body, in->p, n);
        *in = part(*in, n, in->n);
        c->left -= n;
        if (!c->left)
            c->state = CHUNK_DATA_END;
    }
    return OK;
}
