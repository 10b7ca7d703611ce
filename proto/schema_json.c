// schema, JSON out: one object per table row, built by appending text. See schema.h.
#include "schema.h"
#include <string.h>
#include <time.h>

void json_text(struct buf *out, struct bytes text)
{
    static const char hex[] = "0123456789abcdef";
    size_t from = 0;
    buf_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        buf_add(out, text.p + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\') {
            buf_add(out, (char[]){'\\', (char)c}, 2);
        } else if (c == '\n') {
            buf_add(out, "\\n", 2);
        } else {
            buf_add(out, "\\u00", 4);
            buf_add(out, (char[]){hex[c >> 4], hex[c & 15]}, 2);
        }
    }
    if (text.n > from)
        buf_add(out, text.p + from, text.n - from);
    buf_char(out, '"');
}

void json_id(struct buf *out, uint64_t id)
{
    buf_char(out, '"');
    buf_u64(out, id);
    buf_char(out, '"');
}

void json_time(struct buf *out, uint64_t unix_ms)
{
    time_t s = (time_t)(unix_ms / 1000);
    struct tm tm;
    CHECK(gmtime_r(&s, &tm) != NULL);
    buf_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03u000+00:00\"", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
               tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(unix_ms % 1000));
}

static void json_ids(struct buf *out, const struct ids *v)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < v->n; i++) {
        buf_str(out, i ? "," : "");
        json_id(out, v->v[i]);
    }
    buf_char(out, ']');
}

static void json_texts(struct buf *out, const struct texts *v)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < v->n; i++) {
        buf_str(out, i ? "," : "");
        json_text(out, v->v[i]);
    }
    buf_char(out, ']');
}

static void json_list(struct buf *out, const struct field *f, const char *at)
{
    struct ids shape; // n and a pointer: the same shape for every list
    memcpy(&shape, at, sizeof shape);
    const char *item = (const char *)(const void *)shape.v;
    buf_char(out, '[');
    for (uint32_t i = 0; i < shape.n; i++, item += f->sub->size) {
        buf_str(out, i ? "," : "");
        schema_json(out, f->sub, item);
    }
    buf_char(out, ']');
}

static bool left_out(const struct field *f, const char *at)
{
    const void *sub;
    switch ((int)f->kind) {
    case K_oid:
        return *(const uint64_t *)(const void *)at == 0;
    case K_oflag:
        return !*(const bool *)(const void *)at;
    case K_otext:
        return ((const struct bytes *)(const void *)at)->p == NULL;
    case K_oraw:
        return ((const struct bytes *)(const void *)at)->n == 0;
    case K_oobj:
        memcpy(&sub, at, sizeof sub);
        return sub == NULL;
    default:
        return f->kind == K_blob || f->kind == K_hide;
    }
}

static void json_value(struct buf *out, const struct field *f, const char *at)
{
    const struct bytes *b = (const struct bytes *)(const void *)at;
    const uint64_t *u = (const uint64_t *)(const void *)at;
    const void *sub;
    switch (f->kind) {
    case K_nid:
        if (*u == 0) {
            buf_str(out, "null");
            break;
        } // fall through
    case K_id:
    case K_oid:
        json_id(out, *u);
        break;
    case K_u64:
        buf_u64(out, *u);
        break;
    case K_i64:
        buf_printf(out, "%lld", (long long)*(const int64_t *)(const void *)at);
        break;
    case K_flag:
    case K_oflag:
        buf_str(out, *(const bool *)(const void *)at ? "true" : "false");
        break;
    case K_ntext:
        if (!b->p) {
            buf_str(out, "null");
            break;
        } // fall through
    case K_text:
    case K_otext:
    case K_hush:
        json_text(out, *b);
        break;
    case K_ntime:
        if (*u == 0) {
            buf_str(out, "null");
            break;
        } // fall through
    case K_time:
        json_time(out, *u);
        break;
    case K_raw:
    case K_oraw:
        if (b->n > 0)
            buf_add(out, b->p, b->n);
        else
            buf_str(out, "null");
        break;
    case K_ids:
        json_ids(out, (const struct ids *)(const void *)at);
        break;
    case K_texts:
        json_texts(out, (const struct texts *)(const void *)at);
        break;
    case K_list:
        json_list(out, f, at);
        break;
    case K_obj:
    case K_oobj:
        memcpy(&sub, at, sizeof sub);
        if (sub)
            schema_json(out, f->sub, sub);
        else
            buf_str(out, "null");
        break;
    case K_blob:
    case K_hide:
    case K_KINDS:
        break; // left out
    }
}

void schema_json(struct buf *out, const struct schema *s, const void *v)
{
    const struct field *f = s->fields();
    bool first = true;
    buf_char(out, '{');
    for (uint32_t i = 0; i < s->n; i++) {
        const char *at = (const char *)v + f[i].offset;
        if (left_out(&f[i], at))
            continue;
        if (!first)
            buf_char(out, ',');
        first = false;
        buf_char(out, '"');
        buf_str(out, f[i].name);
        buf_add(out, "\":", 2);
        json_value(out, &f[i], at);
    }
    buf_char(out, '}');
}

struct bytes schema_text(struct arena *a, const struct schema *s, const void *v)
{
    struct buf out = {0};
    schema_json(&out, s, v);
    struct bytes kept = arena_copy(a, buf_bytes(&out));
    buf_fini(&out);
    return kept;
}
