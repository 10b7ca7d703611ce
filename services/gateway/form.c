// form: see form.h.
#include "form.h"
#include "errors.h"
#include "route.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

// --- multipart (RFC 7578), as far as `payload_json` goes ---

#define BOUNDARY_MAX 70u // RFC 2046, section 5.1.1

// Where needle begins in hay, or SIZE_MAX.
static size_t find(struct bytes hay, struct bytes needle)
{
    for (size_t i = 0; needle.n && i + needle.n <= hay.n; i++)
        if (hay.p[i] == needle.p[0] && memcmp(hay.p + i, needle.p, needle.n) == 0)
            return i;
    return SIZE_MAX;
}

static struct bytes from(struct bytes b, size_t at)
{
    return (struct bytes){b.p + at, b.n - at};
}

static bool starts_with(struct bytes b, const char *word)
{
    size_t n = strlen(word);
    return b.n >= n && strncasecmp(b.p, word, n) == 0;
}

static struct bytes boundary_of(struct bytes content_type)
{
    size_t at = find(content_type, BYTES("boundary="));
    if (at == SIZE_MAX)
        return BYTES_NONE;
    struct bytes b = from(content_type, at + strlen("boundary="));
    bool quoted = b.n && b.p[0] == '"';
    if (quoted)
        b = from(b, 1);
    size_t n = 0;
    while (n < b.n && b.p[n] != (quoted ? '"' : ';') && (quoted || b.p[n] != ' '))
        n++;
    return (struct bytes){b.p, n};
}

// The part that is named payload_json; none when there is no such part. Each byte of the body may be compared with all
// of the boundary, which therefore must not be long.
static struct bytes payload_part(struct arena *a, struct bytes content_type, struct bytes body)
{
    struct bytes boundary = boundary_of(content_type);
    if (boundary.n == 0 || boundary.n > BOUNDARY_MAX)
        return BYTES_NONE;
    struct bytes mark = arena_printf(a, "--%.*s", BYTES_FMT(boundary));
    struct bytes end = arena_printf(a, "\r\n--%.*s", BYTES_FMT(boundary));
    for (size_t at = find(body, mark); at != SIZE_MAX; at = find(body, end)) {
        body = from(body, at + (body.p[at] == '\r' ? end.n : mark.n));
        size_t head_n = find(body, BYTES("\r\n\r\n"));
        if (head_n == SIZE_MAX)
            return BYTES_NONE;
        struct bytes head = {body.p, head_n};
        body = from(body, head_n + 4);
        if (find(head, BYTES("name=\"payload_json\"")) == SIZE_MAX)
            continue;
        size_t n = find(body, end);
        return n == SIZE_MAX ? BYTES_NONE : (struct bytes){body.p, n};
    }
    return BYTES_NONE;
}

// --- bodies ---

static struct bytes own(struct arena *a, struct bytes text)
{
    return text.p && text.n == 0 ? BYTES("") : arena_copy(a, text);
}

static void keep_row(struct arena *a, const struct schema *s, void *row);

static void keep_texts(struct arena *a, struct texts *texts)
{
    struct bytes *v = arena_take(a, ((size_t)texts->n + 1) * sizeof *v);
    for (uint32_t i = 0; i < texts->n; i++)
        v[i] = own(a, texts->v[i]);
    texts->v = v;
}

// Makes one field independent of the document, which is about to go.
static void keep_field(struct arena *a, const struct field *f, void *at)
{
    switch (f->kind) {
    case K_text:
    case K_ntext:
    case K_otext:
    case K_hush:
        *(struct bytes *)at = own(a, *(struct bytes *)at);
        return;
    case K_texts:
        keep_texts(a, at);
        return;
    case K_list: {
        struct {
            uint32_t n;
            char *v;
        } list;
        memcpy(&list, at, sizeof list);
        for (uint32_t i = 0; i < list.n; i++)
            keep_row(a, f->sub, list.v + i * f->sub->size);
        return;
    }
    case K_id:
    case K_nid:
    case K_oid:
    case K_ids:
    case K_u64:
    case K_flag:
    case K_oflag:
    case K_time:
    case K_ntime:
        return;
    case K_obj:
    case K_oobj: {
        void *row;
        memcpy(&row, at, sizeof row);
        if (row)
            keep_row(a, f->sub, row);
        return;
    }
    case K_i64: // no body has these kinds: a row that did would be our bug
    case K_raw:
    case K_oraw:
    case K_blob:
    case K_hide:
    case K_KINDS:
        break;
    }
    CHECK(false);
}

static void keep_row(struct arena *a, const struct schema *s, void *row)
{
    const struct field *f = s->fields();
    for (uint32_t i = 0; i < s->n; i++)
        keep_field(a, &f[i], (char *)row + f[i].offset);
}

static json_t *parsed(struct arena *a, struct bytes content_type, struct bytes body)
{
    if (starts_with(content_type, "multipart/form-data"))
        body = payload_part(a, content_type, body);
    if (body.n == 0)
        body = BYTES("{}");
    return json_loadb(body.p, body.n, JSON_DECODE_ANY, NULL);
}

// Takes the document.
static int read_row(struct arena *a, const struct schema *s, json_t *json, void *out, uint64_t *present,
                    struct fault *fault)
{
    *fault = (struct fault){0};
    int err = schema_from_json(a, s, json, out, present, fault) == OK ? API_OK : API_INVALID_FORM;
    if (!err)
        keep_row(a, s, out);
    json_decref(json);
    return err;
}

int form_body(struct arena *a, const struct schema *s, struct bytes content_type, struct bytes body, void *out,
              uint64_t *present, struct fault *fault)
{
    json_t *json = parsed(a, content_type, body);
    return json ? read_row(a, s, json, out, present, fault) : API_INVALID_JSON;
}

int form_list(struct arena *a, const struct schema *s, struct bytes content_type, struct bytes body, void *out,
              struct fault *fault)
{
    const char *name = s->fields()[0].name;
    size_t n = strlen(name);
    json_t *list = parsed(a, content_type, body), *row = json_object();
    if (!list || json_object_set_new(row, name, list) != 0) {
        json_decref(row);
        return API_INVALID_JSON;
    }
    int err = read_row(a, s, row, out, NULL, fault);
    if (err && fault->field)
        fault->field += fault->field[n] == '.' ? n + 1 : n;
    return err;
}

// --- queries ---

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct bytes decoded(struct arena *a, struct bytes raw)
{
    char *p = arena_take(a, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        int high = i + 2 < raw.n ? hex_digit(raw.p[i + 1]) : -1, low = i + 2 < raw.n ? hex_digit(raw.p[i + 2]) : -1;
        if (raw.p[i] == '%' && high >= 0 && low >= 0) {
            p[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            p[n++] = raw.p[i] == '+' ? ' ' : raw.p[i];
        }
    }
    return (struct bytes){p, n};
}

bool form_query(struct arena *a, struct bytes query, const char *name, struct bytes *out)
{
    while (query.n) {
        const char *amp = memchr(query.p, '&', query.n);
        struct bytes pair = {query.p, amp ? (size_t)(amp - query.p) : query.n};
        query = from(query, amp ? pair.n + 1 : pair.n);
        const char *eq = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
        struct bytes key = {pair.p, eq ? (size_t)(eq - pair.p) : pair.n};
        if (!bytes_is(decoded(a, key), name))
            continue;
        *out = decoded(a, eq ? from(pair, key.n + 1) : from(pair, pair.n));
        return true;
    }
    return false;
}

int form_query_id(struct arena *a, struct bytes query, const char *name, uint64_t *out, bool *present,
                  struct fault *fault)
{
    struct bytes text;
    *present = form_query(a, query, name, &text);
    if (!*present || route_snowflake(text, out) == OK)
        return API_OK;
    *fault = (struct fault){name, -1, "NUMBER_TYPE_COERCE", "Value is not snowflake."};
    return API_INVALID_FORM;
}

int form_query_number(struct arena *a, struct bytes query, const char *name, uint64_t min, uint64_t max, uint64_t *out,
                      struct fault *fault)
{
    struct bytes text;
    uint64_t v;
    if (!form_query(a, query, name, &text))
        return API_OK;
    *fault = (struct fault){name, -1, "NUMBER_TYPE_COERCE", "Value is not int."};
    if (bytes_u64(text, &v) != OK)
        return API_INVALID_FORM;
    struct bytes why =
        arena_printf(a, "int value should be between %llu and %llu.", (unsigned long long)min, (unsigned long long)max);
    *fault = (struct fault){name, -1, "NUMBER_TYPE_RANGE", arena_text(a, why)};
    if (v < min || v > max)
        return API_INVALID_FORM;
    *out = v;
    return API_OK;
}

bool form_query_flag(struct arena *a, struct bytes query, const char *name)
{
    struct bytes text;
    return form_query(a, query, name, &text) &&
           (bytes_is(text, "true") || bytes_is(text, "True") || bytes_is(text, "1"));
}
