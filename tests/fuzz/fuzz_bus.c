// What travels on the bus and stands in Redis: every row of the tables.
// - Any bytes: a batch of messages is taken apart or refused, and what was taken packs to bytes that give it again.
// - Any value: what is packed decodes to the same value, cut short it never does, and its printed form ends.
// - JSON: what a row shows as JSON, read back as that row, is the value (of rows that can be read, and tame values).
// - Text is UTF-8 exactly when jansson thinks so, too.
#include "fill.h"
#include "schema.h"
#include "text.h"
#include "wire.h"

#include <jansson.h>

static const struct schema *const schemas[] = {
#define ROW(type, tag, FIELDS) &schema_##type,
#include "records.def"
#include "messages.def"
#include "payloads.def"
#undef ROW
};

// --- JSON ---

// Shown as JSON and read back it is the same: no fragment made elsewhere, nothing hidden, no kind that clients never
// send, no number that a JSON integer cannot be.
static bool comes_back(const struct schema *s, const char *v)
{
    const struct field *f = s->fields();
    for (uint32_t i = 0; i < s->n; i++) {
        const char *at = v + f[i].offset, *sub;
        struct ids list = {0};
        switch ((int)f[i].kind) {
        case K_i64:
        case K_time:
        case K_ntime:
        case K_raw:
        case K_oraw:
        case K_blob:
        case K_hide:
            return false;
        case K_id:
        case K_nid:
        case K_oid:
        case K_u64:
            if (*(const uint64_t *)(const void *)at > INT64_MAX)
                return false;
            break;
        case K_ids:
            memcpy(&list, at, sizeof list);
            for (uint32_t k = 0; k < list.n; k++)
                if (list.v[k] > INT64_MAX)
                    return false;
            break;
        case K_list:
            memcpy(&list, at, sizeof list);
            sub = (const char *)(const void *)list.v;
            for (uint32_t k = 0; k < list.n; k++)
                if (!comes_back(f[i].sub, sub + k * f[i].sub->size))
                    return false;
            break;
        case K_obj:
        case K_oobj:
            memcpy(&sub, at, sizeof sub);
            if (sub && !comes_back(f[i].sub, sub))
                return false;
            break;
        }
    }
    return true;
}

static void check_json(struct arena *a, const struct schema *s, const void *v, struct bytes packed)
{
    struct bytes text = schema_text(a, s, v);
    if (!comes_back(s, v))
        return;
    json_t *json = json_loadb(text.p, text.n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    void *again = arena_take(a, s->size);
    struct fault fault = {0};
    CHECK(schema_from_json(a, s, json, again, NULL, &fault) == OK);
    CHECK(bytes_eq(schema_packed(a, s, again), packed));
    json_decref(json);
}

// --- msgpack ---

static void check_value(struct arena *a, const struct schema *s, const void *v)
{
    struct bytes packed = schema_packed(a, s, v);
    char *own = feed_own(packed);
    void *again = arena_take(a, s->size);
    CHECK(schema_unpack(a, s, (struct bytes){own, packed.n}, again) == OK);
    CHECK(bytes_eq(schema_packed(a, s, again), packed));
    mem_free(own);
    struct wire w = wire_of(packed);
    CHECK(wire_skip(&w) == OK && wire_done(&w));
    check_json(a, s, v, packed);
    struct buf printed = {0};
    schema_print(&printed, s, v);
    CHECK(printed.n > strlen(s->name) && memcmp(printed.p, s->name, strlen(s->name)) == 0);
    buf_fini(&printed);
}

static void any_bytes(struct arena *a, struct bytes in)
{
    struct msg m;
    int err = OK;
    while (in.n && (err == OK || err == ERR_MISSING)) {
        size_t before = in.n;
        m = (struct msg){0};
        err = msg_take(a, &in, &m);
        CHECK(err == OK || err == ERR_MISSING || err == ERR_INVALID);
        CHECK(err == ERR_INVALID ? in.n == before : in.n < before);
        if (err == OK)
            check_value(a, m.schema, m.v);
    }
}

static void any_value(struct arena *a, struct feed *f)
{
    const struct schema *s = schemas[feed_below(f, countof(schemas))];
    uint32_t cut = feed_u8(f);
    char *v = arena_take(a, s->size);
    fill(a, f, s, v, FILL_DEPTH);
    check_value(a, s, v);
    struct bytes packed = schema_packed(a, s, v);
    struct bytes shorter = {packed.p, packed.n * cut / 256};
    char *own = feed_own(shorter);
    CHECK(schema_unpack(a, s, (struct bytes){own, shorter.n}, v) == ERR_INVALID);
    for (size_t i = 0; i < s->size; i++)
        CHECK(v[i] == 0);
    mem_free(own);
}

static void any_text(struct bytes text)
{
    json_t *json = json_stringn(text.n ? text.p : "", text.n);
    CHECK(text_is_utf8(text) == (json != NULL));
    CHECK(text_code_points(text) <= text.n);
    struct buf quoted = {0};
    json_text(&quoted, text);
    json_t *again = json_loadb(quoted.p, quoted.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    CHECK((json != NULL) == (again != NULL));
    CHECK(!json || json_equal(json, again));
    buf_fini(&quoted);
    json_decref(again);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct arena a = {0};
    _Static_assert(countof(schemas) <= 256, "one byte picks a row");
    switch (feed_below(&f, 3)) {
    case 0:
        any_bytes(&a, feed_rest(&f));
        break;
    case 1:
        any_value(&a, &f);
        break;
    case 2:
        any_text(feed_rest(&f));
        break;
    }
    arena_fini(&a);
    return 0;
}
