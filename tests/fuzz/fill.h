// fill: any value of any row of proto's tables, from the input. Pure.
#pragma once
#include "fuzz.h"
#include "schema.h"

static inline struct bytes fill_text(struct feed *f, uint32_t max)
{
    static const char pieces[] = "a\"\\\n\x7f\x01\0\xc3\xa9\xf0\x9f\x8e\xb2";
    static const struct bytes texts[] = {{pieces, 0}, {pieces, 1},        {pieces, 7},     {pieces, 13},
                                         {"0", 1},    {"1234567890", 10}, {pieces + 7, 2}, {pieces + 9, 4}};
    struct bytes b = texts[feed_below(f, countof(texts))];
    return b.n <= max ? b : texts[0];
}

static void fill(struct arena *a, struct feed *f, const struct schema *s, char *out, uint32_t depth);

static uint32_t fill_count(struct feed *f, uint32_t max)
{
    uint32_t n = feed_below(f, 5);
    n = n == 4 ? feed_u8(f) : n;
    return n < max ? n : max;
}

static void fill_rows(struct arena *a, struct feed *f, const struct field *field, char *at, uint32_t depth)
{
    uint32_t n = depth ? fill_count(f, field->max) : 0;
    n = n < 6 ? n : 6;
    char *v = arena_take(a, n * field->sub->size);
    for (uint32_t i = 0; i < n; i++)
        fill(a, f, field->sub, v + i * field->sub->size, depth - 1);
    struct ids shape = {n, (const uint64_t *)(const void *)v};
    memcpy(at, &shape, sizeof shape);
}

static void fill_field(struct arena *a, struct feed *f, const struct field *field, char *at, uint32_t depth)
{
    struct bytes *b = (struct bytes *)(void *)at;
    uint64_t *u = (uint64_t *)(void *)at;
    switch (field->kind) {
    case K_u64:
        *u = feed_number(f);
        *u = field->max && *u > field->max ? field->max : *u;
        return;
    case K_id:
    case K_nid:
    case K_oid:
    case K_time:
    case K_ntime:
    case K_hide:
    case K_i64:
        *u = feed_number(f);
        return;
    case K_flag:
    case K_oflag:
        *(bool *)at = feed_flag(f);
        return;
    case K_ntext:
    case K_otext:
        if (feed_flag(f))
            *b = fill_text(f, field->max);
        return;
    case K_text:
    case K_hush:
        *b = fill_text(f, field->max);
        return;
    case K_raw:
    case K_oraw:
    case K_blob:
        *b = feed_bytes(f, field->max ? field->max : 200);
        return;
    case K_ids: {
        struct ids ids = {fill_count(f, field->max), NULL};
        uint64_t *v = arena_take(a, ids.n * sizeof *v);
        for (uint32_t i = 0; i < ids.n; i++)
            v[i] = feed_number(f);
        ids.v = v;
        memcpy(at, &ids, sizeof ids);
        return;
    }
    case K_texts: {
        struct texts texts = {fill_count(f, field->max), NULL};
        struct bytes *v = arena_take(a, texts.n * sizeof *v);
        for (uint32_t i = 0; i < texts.n; i++)
            v[i] = fill_text(f, 64);
        texts.v = v;
        memcpy(at, &texts, sizeof texts);
        return;
    }
    case K_list:
        fill_rows(a, f, field, at, depth);
        return;
    case K_obj:
    case K_oobj:
        if (depth && feed_flag(f)) {
            char *v = arena_take(a, field->sub->size);
            fill(a, f, field->sub, v, depth - 1);
            memcpy(at, &v, sizeof v);
        }
        return;
    case K_KINDS:
        return;
    }
}

static void fill(struct arena *a, struct feed *f, const struct schema *s, char *out, uint32_t depth)
{
    const struct field *fields = s->fields();
    for (uint32_t i = 0; i < s->n; i++)
        fill_field(a, f, &fields[i], out + fields[i].offset, depth);
}

#define FILL_DEPTH 4u // of rows in rows
#define FILL(a, f, type, v) fill((a), (f), &schema_##type, (char *)(struct type *){(v)}, FILL_DEPTH)
