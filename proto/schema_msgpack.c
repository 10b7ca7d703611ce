// schema, msgpack side: packing by msgpack-c, unpacking by the bounded cursor. See schema.h.
#include "schema.h"
#include "text.h"
#include "wire.h"
#include <msgpack.h>
#include <string.h>

#define TEXTS_ITEM_MAX 64u

static int write_buf(void *out, const char *p, size_t n)
{
    buf_add(out, p, n);
    return 0;
}

static void pack_value(msgpack_packer *pk, const struct schema *s, const char *v);

static void pack_ids(msgpack_packer *pk, const struct ids *v, uint32_t max)
{
    CHECK(v->n <= max);
    msgpack_pack_array(pk, v->n);
    for (uint32_t i = 0; i < v->n; i++)
        msgpack_pack_uint64(pk, v->v[i]);
}

static void pack_str(msgpack_packer *pk, struct bytes b)
{
    msgpack_pack_str(pk, b.n);
    if (b.n > 0)
        msgpack_pack_str_body(pk, b.p, b.n);
}

static void pack_texts(msgpack_packer *pk, const struct texts *v, uint32_t max)
{
    CHECK(v->n <= max);
    msgpack_pack_array(pk, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        CHECK(v->v[i].n <= TEXTS_ITEM_MAX);
        pack_str(pk, v->v[i]);
    }
}

static void pack_list(msgpack_packer *pk, const struct field *f, const char *at)
{
    struct ids shape; // n and a pointer: the same shape for every list
    memcpy(&shape, at, sizeof shape);
    CHECK(shape.n <= f->max);
    const char *item = (const char *)(const void *)shape.v;
    msgpack_pack_array(pk, shape.n);
    for (uint32_t i = 0; i < shape.n; i++, item += f->sub->size)
        pack_value(pk, f->sub, item);
}

static void pack_field(msgpack_packer *pk, const struct field *f, const char *at)
{
    const struct bytes *b = (const struct bytes *)(const void *)at;
    const char *sub;
    switch (f->kind) {
    case K_id:
    case K_nid:
    case K_oid:
    case K_u64:
    case K_time:
    case K_ntime:
    case K_hide:
        msgpack_pack_uint64(pk, *(const uint64_t *)(const void *)at);
        break;
    case K_i64:
        msgpack_pack_int64(pk, *(const int64_t *)(const void *)at);
        break;
    case K_flag:
    case K_oflag:
        if (*(const bool *)(const void *)at)
            msgpack_pack_true(pk);
        else
            msgpack_pack_false(pk);
        break;
    case K_text:
    case K_hush:
        CHECK(b->n <= f->max);
        pack_str(pk, *b);
        break;
    case K_ntext:
    case K_otext:
        CHECK(b->n <= f->max);
        if (b->p)
            pack_str(pk, *b);
        else
            msgpack_pack_nil(pk);
        break;
    case K_raw:
    case K_oraw:
    case K_blob:
        CHECK(f->max == 0 || b->n <= f->max);
        msgpack_pack_bin(pk, b->n);
        if (b->n > 0)
            msgpack_pack_bin_body(pk, b->p, b->n);
        break;
    case K_ids:
        pack_ids(pk, (const struct ids *)(const void *)at, f->max);
        break;
    case K_texts:
        pack_texts(pk, (const struct texts *)(const void *)at, f->max);
        break;
    case K_list:
        pack_list(pk, f, at);
        break;
    case K_obj:
    case K_oobj:
        memcpy(&sub, at, sizeof sub);
        if (sub)
            pack_value(pk, f->sub, sub);
        else
            msgpack_pack_nil(pk);
        break;
    case K_KINDS:
        break;
    }
}

static void pack_value(msgpack_packer *pk, const struct schema *s, const char *v)
{
    msgpack_pack_array(pk, s->n + 1u);
    msgpack_pack_uint32(pk, s->tag);
    const struct field *f = s->fields();
    for (uint32_t i = 0; i < s->n; i++)
        pack_field(pk, &f[i], v + f[i].offset);
}

void schema_pack(struct buf *out, const struct schema *s, const void *v)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, write_buf);
    pack_value(&pk, s, v);
}

struct bytes schema_packed(struct arena *a, const struct schema *s, const void *v)
{
    struct buf out = {0};
    schema_pack(&out, s, v);
    struct bytes kept = arena_copy(a, buf_bytes(&out));
    buf_fini(&out);
    return kept;
}

static int take_value(struct arena *a, const struct schema *s, struct wire *w, char *out, uint32_t depth);

static int take_ids(struct arena *a, struct wire *w, const struct field *f, struct ids *out)
{
    uint32_t n;
    if (wire_array(w, &n) != OK || n > f->max)
        return ERR_INVALID;
    uint64_t *v = arena_take(a, n * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        if (wire_u64(w, &v[i]) != OK)
            return ERR_INVALID;
    *out = (struct ids){n, v};
    return OK;
}

static int take_text(struct wire *w, uint32_t max, struct bytes *out)
{
    if (wire_str(w, out) != OK || out->n > max || !text_is_utf8(*out))
        return ERR_INVALID;
    return OK;
}

static int take_texts(struct arena *a, struct wire *w, const struct field *f, struct texts *out)
{
    uint32_t n;
    if (wire_array(w, &n) != OK || n > f->max)
        return ERR_INVALID;
    struct bytes *v = arena_take(a, n * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        if (take_text(w, TEXTS_ITEM_MAX, &v[i]) != OK)
            return ERR_INVALID;
    *out = (struct texts){n, v};
    return OK;
}

static int take_list(struct arena *a, struct wire *w, const struct field *f, char *at, uint32_t depth)
{
    uint32_t n;
    if (wire_array(w, &n) != OK || n > f->max)
        return ERR_INVALID;
    char *v = arena_take(a, n * f->sub->size);
    for (uint32_t i = 0; i < n; i++)
        if (take_value(a, f->sub, w, v + i * f->sub->size, depth) != OK)
            return ERR_INVALID;
    struct ids shape = {n, (const uint64_t *)(const void *)v};
    memcpy(at, &shape, sizeof shape);
    return OK;
}

static int take_obj(struct arena *a, struct wire *w, const struct field *f, char *at, uint32_t depth)
{
    if (wire_nil(w))
        return OK;
    char *v = arena_take(a, f->sub->size);
    if (take_value(a, f->sub, w, v, depth) != OK)
        return ERR_INVALID;
    memcpy(at, &v, sizeof v);
    return OK;
}

static int take_field(struct arena *a, struct wire *w, const struct field *f, char *at, uint32_t depth)
{
    struct bytes *b = (struct bytes *)(void *)at;
    uint64_t *u = (uint64_t *)(void *)at;
    switch (f->kind) {
    case K_u64:
        return wire_u64(w, u) == OK && (f->max == 0 || *u <= f->max) ? OK : ERR_INVALID;
    case K_id:
    case K_nid:
    case K_oid:
    case K_time:
    case K_ntime:
    case K_hide:
        return wire_u64(w, u);
    case K_i64:
        return wire_i64(w, (int64_t *)(void *)at);
    case K_flag:
    case K_oflag:
        return wire_flag(w, (bool *)at);
    case K_text:
    case K_hush:
        return take_text(w, f->max, b);
    case K_ntext:
    case K_otext:
        return wire_nil(w) ? OK : take_text(w, f->max, b);
    case K_raw:
    case K_oraw:
    case K_blob:
        return wire_bin(w, b) == OK && (f->max == 0 || b->n <= f->max) ? OK : ERR_INVALID;
    case K_ids:
        return take_ids(a, w, f, (struct ids *)(void *)at);
    case K_texts:
        return take_texts(a, w, f, (struct texts *)(void *)at);
    case K_list:
        return take_list(a, w, f, at, depth);
    case K_obj:
    case K_oobj:
        return take_obj(a, w, f, at, depth);
    case K_KINDS:
        break;
    }
    return ERR_INVALID;
}

// Fields that are not there keep their defaults; fields that this process does not know are skipped.
static int take_fields(struct arena *a, const struct schema *s, struct wire *w, uint32_t n, char *out, uint32_t depth)
{
    const struct field *f = s->fields();
    if (depth == 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < n; i++)
        if ((i < s->n ? take_field(a, w, &f[i], out + f[i].offset, depth - 1) : wire_skip(w)) != OK)
            return ERR_INVALID;
    return OK;
}

static int take_value(struct arena *a, const struct schema *s, struct wire *w, char *out, uint32_t depth)
{
    uint32_t n;
    uint64_t tag;
    if (wire_array(w, &n) != OK || n == 0 || wire_u64(w, &tag) != OK || tag != s->tag)
        return ERR_INVALID;
    return take_fields(a, s, w, n - 1, out, depth);
}

int schema_unpack(struct arena *a, const struct schema *s, struct bytes in, void *out)
{
    struct wire w = wire_of(in);
    memset(out, 0, s->size);
    if (take_value(a, s, &w, out, WIRE_DEPTH) == OK && wire_done(&w))
        return OK;
    memset(out, 0, s->size);
    return ERR_INVALID;
}

int msg_take(struct arena *a, struct bytes *in, struct msg *out)
{
    struct wire w = wire_of(*in);
    struct wire whole = w;
    uint32_t n;
    uint64_t tag;
    if (wire_array(&w, &n) != OK || n == 0 || wire_u64(&w, &tag) != OK)
        return ERR_INVALID;
    const struct schema *s = tag <= UINT32_MAX ? schema_by_tag((uint32_t)tag) : NULL;
    if (!s) {
        if (wire_skip(&whole) != OK)
            return ERR_INVALID;
        *in = (struct bytes){(const char *)whole.p, (size_t)(whole.end - whole.p)};
        return ERR_MISSING;
    }
    char *v = arena_take(a, s->size);
    if (take_fields(a, s, &w, n - 1, v, WIRE_DEPTH) != OK)
        return ERR_INVALID;
    *in = (struct bytes){(const char *)w.p, (size_t)(w.end - w.p)};
    *out = (struct msg){s, v};
    return OK;
}
