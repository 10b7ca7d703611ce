// Erlang's terms: what comes from clients is read as JSON or refused, whatever it is; of any text that is JSON a term
// is made, of any other none, and the term says what the text says.
#include "etf.h"
#include "fuzz.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 64u

// --- the other way to read a term: what is written to clients, against the document that it was made of ---

struct walk {
    const unsigned char *p;
    size_t n;
};

static uint64_t number(struct walk *w, unsigned n)
{
    uint64_t v = 0;
    CHECK(w->n >= n);
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | w->p[i];
    w->p += n;
    w->n -= n;
    return v;
}

static struct bytes string(struct walk *w, uint64_t n)
{
    struct bytes b = {(const char *)w->p, n};
    CHECK(n <= w->n);
    w->p += n;
    w->n -= n;
    return b;
}

static uint64_t big(struct walk *w, bool *negative)
{
    unsigned n = (unsigned)number(w, 1);
    uint64_t v = 0;
    *negative = number(w, 1) != 0;
    CHECK(n <= 8);
    struct bytes digits = string(w, n);
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)(unsigned char)digits.p[i] << 8 * i;
    return v;
}

static void same_big(struct walk *w, const json_t *v)
{
    char text[32];
    bool negative;
    uint64_t n = big(w, &negative);
    if (json_is_string(v)) { // an id
        snprintf(text, sizeof text, "%llu", (unsigned long long)n);
        CHECK(!negative && n > UINT32_MAX && strcmp(text, json_string_value(v)) == 0);
    } else {
        CHECK(json_is_integer(v) && (uint64_t)json_integer_value(v) == (negative ? 0 - n : n));
    }
}

static void same_text(struct bytes b, const json_t *v)
{
    CHECK(json_is_string(v) && bytes_eq(b, (struct bytes){json_string_value(v), json_string_length(v)}));
}

static void same_atom(struct bytes name, const json_t *v)
{
    CHECK(name.n <= 255);
    if (json_is_null(v))
        CHECK(bytes_is(name, "nil"));
    else if (json_is_boolean(v))
        CHECK(bytes_is(name, json_is_true(v) ? "true" : "false"));
    else
        same_text(name, v);
}

static void same_float(struct walk *w, const json_t *v)
{
    uint64_t bits = number(w, 8);
    double d;
    memcpy(&d, &bits, sizeof d);
    CHECK(json_is_real(v) && !(json_real_value(v) < d) && !(json_real_value(v) > d));
}

static struct bytes key_of(struct walk *w)
{
    uint64_t tag = number(w, 1);
    CHECK(tag == 115 || tag == 109);
    return string(w, number(w, tag == 115 ? 1 : 4));
}

static void same(struct walk *w, const json_t *v);

static void same_map(struct walk *w, const json_t *v)
{
    uint64_t n = number(w, 4);
    CHECK(json_is_object(v) && n == json_object_size(v));
    for (uint64_t i = 0; i < n; i++) {
        struct bytes key = key_of(w);
        same(w, json_object_getn(v, key.p, key.n));
    }
}

static void same_list(struct walk *w, const json_t *v)
{
    uint64_t n = number(w, 4);
    CHECK(json_is_array(v) && n == json_array_size(v) && n > 0);
    for (uint64_t i = 0; i < n; i++)
        same(w, json_array_get(v, i));
    CHECK(number(w, 1) == 106);
}

static void same(struct walk *w, const json_t *v)
{
    CHECK(v != NULL);
    switch (number(w, 1)) {
    case 70:
        same_float(w, v);
        break;
    case 97:
        CHECK(json_is_integer(v) && (uint64_t)json_integer_value(v) == number(w, 1));
        break;
    case 98:
        CHECK(json_is_integer(v) && json_integer_value(v) == (int32_t)(uint32_t)number(w, 4));
        break;
    case 106:
        CHECK(json_is_array(v) && json_array_size(v) == 0);
        break;
    case 108:
        same_list(w, v);
        break;
    case 109:
        same_text(string(w, number(w, 4)), v);
        break;
    case 110:
        same_big(w, v);
        break;
    case 115:
        same_atom(string(w, number(w, 1)), v);
        break;
    case 116:
        same_map(w, v);
        break;
    default:
        CHECK(false);
    }
}

// --- what is done with the input ---

static unsigned deeper(unsigned deepest, const json_t *v);

static unsigned depth_of(const json_t *v)
{
    unsigned deepest = 0;
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_object(v))
        json_object_foreach((json_t *)(uintptr_t)v, key, item) deepest = deeper(deepest, item);
    json_array_foreach(v, i, item) deepest = deeper(deepest, item);
    return deepest + 1;
}

static unsigned deeper(unsigned deepest, const json_t *v)
{
    unsigned depth = depth_of(v);
    return depth > deepest ? depth : deepest;
}

static void written(struct bytes text)
{
    struct buf out = {0};
    char *own = feed_own(text);
    int err = etf_from_json(&out, (struct bytes){own, text.n});
    json_t *json = json_loadb(own, text.n, 0, NULL);
    if (json_is_object(json) && depth_of(json) <= DEPTH_MAX && !memchr(own, 0, text.n)) // jansson swallows that one
        CHECK(err == OK);
    if (!json_is_object(json))
        CHECK(err == ERR_INVALID);
    json_decref(json);
    // Of a key that is there twice JSON takes the last; the term has both.
    json = err == OK ? json_loadb(own, text.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    struct walk w = {(const unsigned char *)out.p, out.n};
    if (json) {
        CHECK(number(&w, 1) == 131);
        same(&w, json);
        CHECK(w.n == 0);
    }
    CHECK(err == OK || out.n == 0);
    json_decref(json);
    mem_free(own);
    buf_fini(&out);
}

static void come(struct bytes frame)
{
    char *own = feed_own(frame);
    json_t *json = etf_to_json((struct bytes){own, frame.n});
    mem_free(own);
    if (!json)
        return;
    char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
    CHECK(text);
    json_t *again = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (depth_of(json) < DEPTH_MAX) // of jansson's own reading there is a bound too
        CHECK(again && json_equal(json, again));
    written(bytes_of(text));
    free(text);
    json_decref(again);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed in = {data, size};
    if (feed_flag(&in))
        written(feed_rest(&in));
    else
        come(feed_rest(&in));
    return 0;
}
