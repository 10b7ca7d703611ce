// schema, JSON in: a parsed document into a table row, with Discord's words for what is wrong with it. See schema.h.
// Fault codes and texts are those of https://docs.discord.com/developers/reference, "Error Messages".
#include "schema.h"
#include "text.h"
#include <jansson.h>
#include <string.h>

#define TEXTS_ITEM_MAX 64u

struct reader {
    struct arena *arena;
    struct fault *fault;
};

static int wrong(const struct reader *r, const struct field *f, int32_t index, const char *code, const char *text)
{
    if (r->fault && !r->fault->code)
        *r->fault = (struct fault){f ? f->name : NULL, index, code, text};
    return ERR_INVALID;
}

static int too_long(const struct reader *r, const struct field *f, int32_t index, uint32_t max)
{
    struct bytes text = arena_printf(r->arena, "Must be %u or fewer in length.", max);
    return wrong(r, f, index, "BASE_TYPE_MAX_LENGTH", arena_text(r->arena, text));
}

// A snowflake: decimal text or an integer; floats would have lost digits already. It has 63 bits: with one more it
// would be the name of a user's record where a place is meant (record.h).
static int read_id(const struct reader *r, const struct field *f, int32_t index, const json_t *j, uint64_t *out)
{
    uint64_t id;
    if (json_is_integer(j) && json_integer_value(j) >= 0) {
        *out = (uint64_t)json_integer_value(j);
        return OK;
    }
    if (json_is_string(j) && bytes_u64((struct bytes){json_string_value(j), json_string_length(j)}, &id) == OK &&
        !(id >> 63)) {
        *out = id;
        return OK;
    }
    return wrong(r, f, index, "NUMBER_TYPE_COERCE", "Value is not snowflake.");
}

static int read_u64(const struct reader *r, const struct field *f, const json_t *j, uint64_t *out)
{
    if (!json_is_integer(j) || json_integer_value(j) < 0)
        return wrong(r, f, -1, "NUMBER_TYPE_COERCE", "Value is not a whole number.");
    uint64_t v = (uint64_t)json_integer_value(j);
    if (f->max && v > f->max)
        return wrong(r, f, -1, "NUMBER_TYPE_MAX", "Value is too great.");
    *out = v;
    return OK;
}

static int read_text(const struct reader *r, const struct field *f, int32_t index, uint32_t max, const json_t *j,
                     struct bytes *out)
{
    if (json_is_integer(j) && f->kind == K_otext) { // a nonce may be either
        *out = arena_printf(r->arena, "%lld", (long long)json_integer_value(j));
        return out->n > max ? too_long(r, f, index, max) : OK;
    }
    if (!json_is_string(j))
        return wrong(r, f, index, "STRING_TYPE_CONVERT", "Could not interpret value as string.");
    struct bytes text = {json_string_value(j), json_string_length(j)};
    if (text.n > max)
        return too_long(r, f, index, max);
    *out = text;
    return OK;
}

static int read_time(const struct reader *r, const struct field *f, const json_t *j, uint64_t *out)
{
    if (json_is_string(j) && text_time((struct bytes){json_string_value(j), json_string_length(j)}, out) == OK)
        return OK;
    return wrong(r, f, -1, "DATE_TIME_TYPE_PARSE", "Could not parse. Should be ISO8601.");
}

static int list_size(const struct reader *r, const struct field *f, const json_t *j, uint32_t *n)
{
    if (!json_is_array(j))
        return wrong(r, f, -1, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
    if (json_array_size(j) > f->max)
        return too_long(r, f, -1, f->max);
    *n = (uint32_t)json_array_size(j);
    return OK;
}

static int read_ids(const struct reader *r, const struct field *f, const json_t *j, struct ids *out)
{
    uint32_t n;
    if (list_size(r, f, j, &n) != OK)
        return ERR_INVALID;
    uint64_t *v = arena_take(r->arena, n * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        if (read_id(r, f, (int32_t)i, json_array_get(j, i), &v[i]) != OK)
            return ERR_INVALID;
    *out = (struct ids){n, v};
    return OK;
}

static int read_texts(const struct reader *r, const struct field *f, const json_t *j, struct texts *out)
{
    uint32_t n;
    if (list_size(r, f, j, &n) != OK)
        return ERR_INVALID;
    struct bytes *v = arena_take(r->arena, n * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        if (read_text(r, f, (int32_t)i, TEXTS_ITEM_MAX, json_array_get(j, i), &v[i]) != OK)
            return ERR_INVALID;
    *out = (struct texts){n, v};
    return OK;
}

// A fault in an object, or in one of a list, is told with the way to it.
static int wrong_within(const struct reader *r, struct bytes path)
{
    if (r->fault) {
        const char *inner = r->fault->field;
        path = arena_printf(r->arena, "%.*s%s%s", BYTES_FMT(path), inner ? "." : "", inner ? inner : "");
        r->fault->field = arena_text(r->arena, path);
    }
    return ERR_INVALID;
}

static int read_list(const struct reader *r, const struct field *f, const json_t *j, char *at)
{
    uint32_t n;
    if (list_size(r, f, j, &n) != OK)
        return ERR_INVALID;
    char *v = arena_take(r->arena, n * f->sub->size);
    for (uint32_t i = 0; i < n; i++)
        if (schema_from_json(r->arena, f->sub, json_array_get(j, i), v + i * f->sub->size, NULL, r->fault) != OK)
            return wrong_within(r, arena_printf(r->arena, "%s.%u", f->name, i));
    struct ids shape = {n, (const uint64_t *)(const void *)v};
    memcpy(at, &shape, sizeof shape);
    return OK;
}

static int read_obj(const struct reader *r, const struct field *f, const json_t *j, char *at)
{
    char *v = arena_take(r->arena, f->sub->size);
    if (schema_from_json(r->arena, f->sub, j, v, NULL, r->fault) != OK)
        return wrong_within(r, bytes_of(f->name));
    memcpy(at, &v, sizeof v);
    return OK;
}

static int read_field(const struct reader *r, const struct field *f, const json_t *j, char *at)
{
    if (json_is_null(j) && f->kind != K_id && f->kind != K_text && f->kind != K_hush)
        return OK;
    switch (f->kind) {
    case K_id:
    case K_nid:
    case K_oid:
        return read_id(r, f, -1, j, (uint64_t *)(void *)at);
    case K_u64:
        return read_u64(r, f, j, (uint64_t *)(void *)at);
    case K_flag:
    case K_oflag:
        if (!json_is_boolean(j))
            return wrong(r, f, -1, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.");
        *(bool *)at = json_is_true(j);
        return OK;
    case K_text:
    case K_ntext:
    case K_otext:
    case K_hush:
        return read_text(r, f, -1, f->max, j, (struct bytes *)(void *)at);
    case K_ids:
        return read_ids(r, f, j, (struct ids *)(void *)at);
    case K_texts:
        return read_texts(r, f, j, (struct texts *)(void *)at);
    case K_list:
        return read_list(r, f, j, at);
    case K_obj:
    case K_oobj:
        return read_obj(r, f, j, at);
    case K_time:
    case K_ntime:
        return read_time(r, f, j, (uint64_t *)(void *)at);
    case K_i64: // no table takes these kinds from a client: a row that did would be our bug
    case K_raw:
    case K_oraw:
    case K_blob:
    case K_hide:
    case K_KINDS:
        break;
    }
    CHECK(false);
    return ERR_INVALID;
}

int schema_from_json(struct arena *a, const struct schema *s, const struct json_t *json, void *out, uint64_t *present,
                     struct fault *fault)
{
    struct reader r = {a, fault};
    const struct field *f = s->fields();
    uint64_t seen = 0;
    memset(out, 0, s->size);
    if (!json_is_object(json))
        return wrong(&r, NULL, -1, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType");
    for (uint32_t i = 0; i < s->n; i++) {
        const json_t *j = json_object_get(json, f[i].name);
        if (!j)
            continue;
        if (read_field(&r, &f[i], j, (char *)out + f[i].offset) != OK)
            return ERR_INVALID;
        seen |= 1ull << i;
    }
    if (present)
        *present = seen;
    return OK;
}
