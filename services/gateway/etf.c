// etf: see etf.h.
#include "etf.h"
#include "text.h"

#include <float.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 131u
#define OUT_DEPTH_MAX 64u
#define IN_DEPTH_MAX 2048u // jansson's own of a JSON text
#define KEY_MAX 255u       // bytes of an atom
#define INTEGRAL_MAX 9007199254740992.0

enum tag {
    TAG_FLOAT = 70, // eight bytes
    TAG_SMALL_INTEGER = 97,
    TAG_INTEGER = 98,
    TAG_ATOM = 100,
    TAG_SMALL_TUPLE = 104,
    TAG_LARGE_TUPLE = 105,
    TAG_NIL = 106,    // the empty list
    TAG_STRING = 107, // a list of small integers
    TAG_LIST = 108,
    TAG_BINARY = 109,
    TAG_SMALL_BIG = 110,
    TAG_SMALL_ATOM = 115,
    TAG_MAP = 116,
    TAG_ATOM_UTF8 = 118,
    TAG_SMALL_ATOM_UTF8 = 119,
};

// --- out: terms ---

static void put_u8(struct buf *out, unsigned v)
{
    buf_char(out, (char)v);
}

static void put_be(struct buf *out, uint64_t v, unsigned n)
{
    unsigned char b[8];
    for (unsigned i = 0; i < n; i++)
        b[i] = (unsigned char)(v >> 8 * (n - 1 - i));
    buf_add(out, b, n);
}

// A tag and a length that is not known yet.
static void put_head(struct buf *out, enum tag tag)
{
    const unsigned char head[5] = {(unsigned char)tag, 0, 0, 0, 0};
    buf_add(out, head, sizeof head);
}

static void set_u32(struct buf *out, size_t at, size_t v)
{
    for (unsigned i = 0; i < 4; i++)
        out->p[at + i] = (char)(v >> 8 * (3 - i) & 0xff);
}

static void put_atom(struct buf *out, struct bytes name)
{
    put_be(out, (unsigned)TAG_SMALL_ATOM << 8 | name.n, 2);
    buf_add(out, name.p, name.n);
}

static void put_big(struct buf *out, uint64_t v, bool negative)
{
    unsigned n = 1;
    while (n < 8 && v >> 8 * n)
        n++;
    put_be(out, (unsigned)TAG_SMALL_BIG << 16 | n << 8 | negative, 3);
    put_be(out, __builtin_bswap64(v) >> 8 * (8 - n), n);
}

static void put_integer(struct buf *out, uint64_t v, bool negative)
{
    if (v <= 255 && !negative) {
        put_be(out, (unsigned)TAG_SMALL_INTEGER << 8 | v, 2);
    } else if (v <= INT32_MAX) {
        put_u8(out, TAG_INTEGER);
        put_be(out, negative ? 0 - v : v, 4);
    } else {
        put_big(out, v, negative);
    }
}

static void put_float(struct buf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_u8(out, TAG_FLOAT);
    put_be(out, bits, 8);
}

// --- out: what a key says of the text behind it ---

enum means {
    MEANS_TEXT,
    MEANS_ID, // when it is a number that is too large for a small one
    MEANS_NAME,
};

static bool ends_in(struct bytes key, const char *end)
{
    size_t n = strlen(end);
    return key.n >= n && memcmp(key.p + key.n - n, end, n) == 0;
}

static enum means meaning_of(struct bytes key, unsigned depth)
{
    static const char *const lists[] = {"ids", "roles", "mention_roles", "ringing", "participants", "not_found"};
    if (bytes_is(key, "id") || ends_in(key, "_id") || ends_in(key, "_ids"))
        return MEANS_ID;
    for (size_t i = 0; i < countof(lists); i++)
        if (bytes_is(key, lists[i]))
            return MEANS_ID;
    return depth == 1 && bytes_is(key, "t") ? MEANS_NAME : MEANS_TEXT;
}

// Whoever keeps atoms for ever must not be given ever new ones: what a user may have chosen is none.
static bool is_name(struct bytes text)
{
    if (text.n == 0 || text.n > KEY_MAX || bytes_is(text, "nil") || bytes_is(text, "null") || bytes_is(text, "true") ||
        bytes_is(text, "false"))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return true;
}

static bool is_large_id(struct bytes text, uint64_t *v)
{
    return text.n > 0 && text.p[0] != '0' && bytes_u64(text, v) == OK && *v > UINT32_MAX;
}

// --- out: JSON ---

struct text {
    struct buf *out;
    const char *p, *end;
};

static void skip_blanks(struct text *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t' || *t->p == '\n' || *t->p == '\r'))
        t->p++;
}

static bool take_char(struct text *t, char c)
{
    skip_blanks(t);
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

static bool take_word(struct text *t, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n) != 0)
        return false;
    t->p += n;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex4(struct text *t, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int digit = t->p < t->end ? hex_digit(*t->p++) : -1;
        if (digit < 0)
            return false;
        v = v << 4 | (uint32_t)digit;
    }
    *out = v;
    return true;
}

static bool put_code_point(struct buf *out, uint32_t c)
{
    if (c == 0 || (c >= 0xd800 && c < 0xe000))
        return false;
    if (c < 0x80) {
        put_u8(out, c);
    } else if (c < 0x800) {
        put_u8(out, 0xc0 | c >> 6);
        put_u8(out, 0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        put_u8(out, 0xe0 | c >> 12);
        put_u8(out, 0x80 | (c >> 6 & 0x3f));
        put_u8(out, 0x80 | (c & 0x3f));
    } else {
        put_u8(out, 0xf0 | c >> 18);
        put_u8(out, 0x80 | (c >> 12 & 0x3f));
        put_u8(out, 0x80 | (c >> 6 & 0x3f));
        put_u8(out, 0x80 | (c & 0x3f));
    }
    return true;
}

static bool take_unicode(struct text *t)
{
    uint32_t c, low;
    if (!take_hex4(t, &c))
        return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (!take_word(t, "\\u") || !take_hex4(t, &low) || low < 0xdc00 || low >= 0xe000)
            return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_code_point(t->out, c);
}

static bool take_escape(struct text *t)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (t->p == t->end)
        return false;
    char c = *t->p++;
    if (c == 'u')
        return take_unicode(t);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at)
        return false;
    put_u8(t->out, (unsigned char)to[at - from]);
    return true;
}

// What stands between quotes, appended as it reads. The opening one is behind us.
static bool take_quoted(struct text *t)
{
    size_t begin = t->out->n;
    for (;;) {
        const char *from = t->p;
        while (t->p < t->end && *t->p != '"' && *t->p != '\\' && (unsigned char)*t->p >= 0x20)
            t->p++;
        buf_add(t->out, from, (size_t)(t->p - from));
        if (t->p == t->end || (unsigned char)*t->p < 0x20)
            return false;
        if (*t->p++ == '"')
            break;
        if (!take_escape(t))
            return false;
    }
    return text_is_utf8((struct bytes){t->out->p + begin, t->out->n - begin});
}

// Behind its first quote: a binary, or what it means.
static bool take_string(struct text *t, enum means means)
{
    struct buf *out = t->out;
    size_t at = out->n, head = 5;
    uint64_t id;
    put_head(out, TAG_BINARY);
    if (!take_quoted(t))
        return false;
    struct bytes text = {out->p + at + head, out->n - at - head};
    if (means == MEANS_ID && is_large_id(text, &id)) {
        out->n = at;
        put_big(out, id, false);
    } else if (means == MEANS_NAME && is_name(text)) {
        out->p[at] = TAG_SMALL_ATOM;
        out->p[at + 1] = (char)text.n;
        memmove(out->p + at + 2, text.p, text.n);
        out->n = at + 2 + text.n;
    } else {
        set_u32(out, at + 1, text.n);
    }
    return text.n <= UINT32_MAX;
}

static bool take_digits(struct text *t)
{
    const char *from = t->p;
    while (t->p < t->end && *t->p >= '0' && *t->p <= '9')
        t->p++;
    return t->p > from;
}

static bool take_fraction(struct text *t, bool *real)
{
    if (t->p < t->end && *t->p == '.') {
        *real = true;
        t->p++;
        if (!take_digits(t))
            return false;
    }
    if (t->p < t->end && (*t->p == 'e' || *t->p == 'E')) {
        *real = true;
        t->p++;
        if (t->p < t->end && (*t->p == '+' || *t->p == '-'))
            t->p++;
        return take_digits(t);
    }
    return true;
}

static bool take_number(struct text *t)
{
    const char *begin = t->p;
    bool negative = *t->p == '-', real = false;
    uint64_t v;
    t->p += negative;
    const char *digits = t->p;
    if (!take_digits(t) || (*digits == '0' && t->p - digits > 1))
        return false;
    size_t n = (size_t)(t->p - digits);
    if (!take_fraction(t, &real) || t->p == t->end) // an object ends behind it, so that strtod does too
        return false;
    if (real) {
        double d = strtod(begin, NULL);
        put_float(t->out, d);
        return d >= -DBL_MAX && d <= DBL_MAX;
    }
    if (bytes_u64((struct bytes){digits, n}, &v) != OK || v > (uint64_t)INT64_MAX + negative)
        return false;
    put_integer(t->out, v, negative && v);
    return true;
}

static bool take_value(struct text *t, unsigned depth, enum means means);

static bool take_list(struct text *t, unsigned depth, enum means means)
{
    size_t at = t->out->n, n = 0;
    if (take_char(t, ']')) {
        put_u8(t->out, TAG_NIL);
        return true;
    }
    put_head(t->out, TAG_LIST);
    do {
        if (!take_value(t, depth, means))
            return false;
        n++;
    } while (take_char(t, ','));
    set_u32(t->out, at + 1, n);
    put_u8(t->out, TAG_NIL);
    return n <= UINT32_MAX && take_char(t, ']');
}

static bool take_pair(struct text *t, unsigned depth)
{
    enum means means;
    if (!take_char(t, '"'))
        return false;
    size_t at = t->out->n;
    if (!take_string(t, MEANS_NAME))
        return false;
    size_t head = (unsigned char)t->out->p[at] == TAG_SMALL_ATOM ? 2 : 5;
    means = meaning_of((struct bytes){t->out->p + at + head, t->out->n - at - head}, depth);
    return take_char(t, ':') && take_value(t, depth, means);
}

static bool take_map(struct text *t, unsigned depth)
{
    size_t at = t->out->n, n = 0;
    put_head(t->out, TAG_MAP);
    if (take_char(t, '}'))
        return true;
    do {
        if (!take_pair(t, depth))
            return false;
        n++;
    } while (take_char(t, ','));
    set_u32(t->out, at + 1, n);
    return n <= UINT32_MAX && take_char(t, '}');
}

static bool take_atom(struct text *t, const char *word, struct bytes atom)
{
    if (!take_word(t, word))
        return false;
    put_atom(t->out, atom);
    return true;
}

static bool take_value(struct text *t, unsigned depth, enum means means)
{
    skip_blanks(t);
    if (t->p == t->end || depth == OUT_DEPTH_MAX)
        return false;
    switch (*t->p) {
    case '{':
        t->p++;
        return take_map(t, depth + 1);
    case '[':
        t->p++;
        return take_list(t, depth + 1, means);
    case '"':
        t->p++;
        return take_string(t, means);
    case 'n':
        return take_atom(t, "null", BYTES("nil"));
    case 't':
        return take_atom(t, "true", BYTES("true"));
    case 'f':
        return take_atom(t, "false", BYTES("false"));
    default:
        return take_number(t);
    }
}

int etf_from_json(struct buf *out, struct bytes json)
{
    struct text t = {out, json.p, json.p + json.n};
    size_t before = out->n;
    put_u8(out, VERSION);
    skip_blanks(&t);
    bool ok = t.p < t.end && *t.p == '{' && take_value(&t, 0, MEANS_TEXT);
    skip_blanks(&t);
    if (ok && t.p == t.end)
        return OK;
    out->n = before;
    return ERR_INVALID;
}

// --- in ---

struct term {
    const unsigned char *p;
    size_t n;
    bool broken;
};

static uint64_t get_be(struct term *t, unsigned n)
{
    uint64_t v = 0;
    if (t->n < n) {
        t->broken = true;
        return 0;
    }
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | t->p[i];
    t->p += n;
    t->n -= n;
    return v;
}

static struct bytes get_bytes(struct term *t, uint64_t n)
{
    struct bytes b = {(const char *)t->p, n};
    if (t->broken || n > t->n) {
        t->broken = true;
        return BYTES_NONE;
    }
    t->p += n;
    t->n -= n;
    return b;
}

static json_t *get_text(struct bytes b)
{
    return !b.n || !memchr(b.p, 0, b.n) ? json_stringn(b.p ? b.p : "", b.n) : NULL; // as of JSON: no \u0000
}

static json_t *get_big(struct term *t)
{
    unsigned n = (unsigned)get_be(t, 1);
    bool negative = get_be(t, 1) != 0;
    uint64_t v = 0;
    struct bytes digits = get_bytes(t, n);
    if (n > 8)
        return NULL;
    for (unsigned i = 0; i < digits.n; i++)
        v |= (uint64_t)(unsigned char)digits.p[i] << 8 * i;
    if (v > (uint64_t)INT64_MAX + negative)
        return NULL;
    return json_integer(negative ? (json_int_t)(0 - v) : (json_int_t)v);
}

// Where numbers are doubles (erlpack) so is every one beyond 32 bits.
static json_t *get_float(struct term *t)
{
    uint64_t bits = get_be(t, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    if (v >= -INTEGRAL_MAX && v <= INTEGRAL_MAX && (double)(json_int_t)v == v)
        return json_integer((json_int_t)v);
    return json_real(v); // NULL: none that JSON has
}

static json_t *get_atom(struct bytes name)
{
    if (bytes_is(name, "nil") || bytes_is(name, "null"))
        return json_null();
    if (bytes_is(name, "true") || bytes_is(name, "false"))
        return json_boolean(name.n == 4);
    return get_text(name);
}

static json_t *get_small_integers(struct term *t)
{
    json_t *list = json_array();
    struct bytes b = get_bytes(t, get_be(t, 2));
    for (size_t i = 0; i < b.n; i++)
        json_array_append_new(list, json_integer((unsigned char)b.p[i]));
    return list;
}

static json_t *get_term(struct term *t, unsigned depth);

// A length is only believed as far as there are elements.
static json_t *get_elements(struct term *t, unsigned depth, uint64_t n, bool tail)
{
    json_t *list = json_array();
    for (uint64_t i = 0; i < n && !t->broken; i++)
        t->broken |= json_array_append_new(list, get_term(t, depth + 1)) != 0;
    if (tail)
        t->broken |= get_be(t, 1) != TAG_NIL;
    return list;
}

static json_t *get_map(struct term *t, unsigned depth)
{
    json_t *map = json_object();
    uint64_t n = get_be(t, 4);
    for (uint64_t i = 0; i < n && !t->broken; i++) {
        t->broken |= get_be(t, 1) != TAG_BINARY;
        struct bytes key = get_bytes(t, get_be(t, 4));
        json_t *name = t->broken ? NULL : get_text(key);
        t->broken |= name == NULL;
        if (!t->broken)
            t->broken |= json_object_set_new(map, json_string_value(name), get_term(t, depth + 1)) != 0;
        json_decref(name);
    }
    return map;
}

static json_t *get_value(struct term *t, unsigned depth)
{
    switch (get_be(t, 1)) {
    case TAG_SMALL_INTEGER:
        return json_integer((json_int_t)get_be(t, 1));
    case TAG_INTEGER:
        return json_integer((int32_t)(uint32_t)get_be(t, 4));
    case TAG_SMALL_BIG:
        return get_big(t);
    case TAG_FLOAT:
        return get_float(t);
    case TAG_BINARY:
        return get_text(get_bytes(t, get_be(t, 4)));
    case TAG_ATOM:
    case TAG_ATOM_UTF8:
        return get_atom(get_bytes(t, get_be(t, 2)));
    case TAG_SMALL_ATOM:
    case TAG_SMALL_ATOM_UTF8:
        return get_atom(get_bytes(t, get_be(t, 1)));
    case TAG_NIL:
        return json_array();
    case TAG_STRING:
        return get_small_integers(t);
    case TAG_LIST:
        return get_elements(t, depth, get_be(t, 4), true);
    case TAG_SMALL_TUPLE:
        return get_elements(t, depth, get_be(t, 1), false);
    case TAG_LARGE_TUPLE:
        return get_elements(t, depth, get_be(t, 4), false);
    case TAG_MAP:
        return get_map(t, depth);
    }
    return NULL;
}

// NULL, and then it is broken, or a value.
static json_t *get_term(struct term *t, unsigned depth)
{
    json_t *value = depth < IN_DEPTH_MAX ? get_value(t, depth) : NULL;
    t->broken |= value == NULL;
    if (!t->broken)
        return value;
    json_decref(value);
    return NULL;
}

json_t *etf_to_json(struct bytes frame)
{
    struct term t = {(const unsigned char *)frame.p, frame.n, false};
    t.broken |= get_be(&t, 1) != VERSION;
    json_t *value = t.broken ? NULL : get_term(&t, 0);
    if (value && t.n == 0)
        return value;
    json_decref(value);
    return NULL;
}
