// schema: the tables themselves, and their printed form. See schema.h.
#include "schema.h"
#include <string.h>

// offsetof needs the row's type, which a field macro is not given: each row's fields stand in a function in which
// `self` is that type.
#define SCHEMA_F(kind_, name_, max_) {#name_, K_##kind_, (max_), offsetof(self, name_), NULL},
#define SCHEMA_L(type_, name_, max_) {#name_, K_list, (max_), offsetof(self, name_), &schema_##type_},
#define SCHEMA_O(type_, name_, kind_) {#name_, K_##kind_, 0, offsetof(self, name_), &schema_##type_},
#define SCHEMA_ONE(a, b, c) +1
#define ROW(type, tag, FIELDS)                                                                                         \
    static const struct field *fields_##type(void)                                                                     \
    {                                                                                                                  \
        typedef struct type self;                                                                                      \
        static const struct field fields[] = {FIELDS(SCHEMA_F, SCHEMA_L, SCHEMA_O)};                                   \
        return fields;                                                                                                 \
    }                                                                                                                  \
    const struct schema schema_##type = {                                                                              \
        #type, (tag), 0 FIELDS(SCHEMA_ONE, SCHEMA_ONE, SCHEMA_ONE), sizeof(struct type), fields_##type,                \
    };                                                                                                                 \
    _Static_assert((0 FIELDS(SCHEMA_ONE, SCHEMA_ONE, SCHEMA_ONE)) <= 64, "one bit per field in `present`");
#include "records.def"
#include "messages.def"
#include "payloads.def"
#undef ROW

const struct schema *schema_by_tag(uint32_t tag)
{
    switch (tag) { // two rows with one tag are two equal cases: they do not compile
#define ROW(type, number, FIELDS)                                                                                      \
    case (number):                                                                                                     \
        return &schema_##type;
#include "records.def"
#include "messages.def"
#include "payloads.def"
#undef ROW
    default:
        return NULL;
    }
}

uint32_t schema_index(const struct schema *s, const char *field)
{
    const struct field *f = s->fields();
    uint32_t i = 0;
    while (i < s->n && strcmp(f[i].name, field) != 0)
        i++;
    CHECK(i < s->n);
    return i;
}

static void print_ids(struct buf *out, const struct ids *v)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < v->n; i++)
        buf_printf(out, "%s%llu", i ? "," : "", (unsigned long long)v->v[i]);
    buf_char(out, ']');
}

static void print_texts(struct buf *out, const struct texts *v)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < v->n; i++) {
        buf_str(out, i ? "," : "");
        json_text(out, v->v[i]);
    }
    buf_char(out, ']');
}

static void print_list(struct buf *out, const struct schema *sub, const char *at)
{
    struct ids shape; // n and a pointer: the same shape for every list
    memcpy(&shape, at, sizeof shape);
    const char *item = (const char *)(const void *)shape.v;
    buf_char(out, '[');
    for (uint32_t i = 0; i < shape.n; i++, item += sub->size) {
        buf_str(out, i ? " " : "");
        schema_print(out, sub, item);
    }
    buf_char(out, ']');
}

static void print_field(struct buf *out, const struct field *f, const char *at)
{
    const void *sub;
    switch (f->kind) {
    case K_id:
    case K_nid:
    case K_oid:
    case K_u64:
    case K_time:
    case K_ntime:
    case K_hide:
        buf_u64(out, *(const uint64_t *)(const void *)at);
        break;
    case K_i64:
        buf_printf(out, "%lld", (long long)*(const int64_t *)(const void *)at);
        break;
    case K_flag:
    case K_oflag:
        buf_str(out, *(const bool *)(const void *)at ? "true" : "false");
        break;
    case K_text:
    case K_ntext:
    case K_otext:
        json_text(out, *(const struct bytes *)(const void *)at);
        break;
    case K_hush:
        buf_str(out, "***");
        break;
    case K_raw:
    case K_oraw:
    case K_blob: // may hold message text or tokens: the size says enough
        buf_printf(out, "<%zu bytes>", ((const struct bytes *)(const void *)at)->n);
        break;
    case K_ids:
        print_ids(out, (const struct ids *)(const void *)at);
        break;
    case K_texts:
        print_texts(out, (const struct texts *)(const void *)at);
        break;
    case K_list:
        print_list(out, f->sub, at);
        break;
    case K_obj:
    case K_oobj:
        memcpy(&sub, at, sizeof sub);
        if (sub)
            schema_print(out, f->sub, sub);
        else
            buf_str(out, "null");
        break;
    case K_KINDS:
        break;
    }
}

void schema_print(struct buf *out, const struct schema *s, const void *v)
{
    buf_str(out, s->name);
    buf_char(out, '{');
    const struct field *f = s->fields();
    for (uint32_t i = 0; i < s->n; i++) {
        buf_printf(out, "%s%s=", i ? " " : "", f[i].name);
        print_field(out, &f[i], (const char *)v + f[i].offset);
    }
    buf_char(out, '}');
}
