// test_etf: terms as libraries write and read them, byte by byte, against JSON; nothing that is cut or lies is
// believed.
#include "etf.h"
#include "check.h"

#include <jansson.h>

// "83 61 05 'op'" as bytes: hex, and text between quotes.
static struct bytes bytes_from(char *out, const char *spec)
{
    size_t n = 0;
    for (const char *p = spec; *p;) {
        if (*p == ' ') {
            p++;
        } else if (*p == '\'') {
            for (p++; *p != '\''; p++)
                out[n++] = *p;
            p++;
        } else {
            unsigned v;
            sscanf(p, "%2x", &v);
            out[n++] = (char)v;
            p += 2;
        }
    }
    return (struct bytes){out, n};
}

static void show(const char *what, struct bytes b)
{
    printf("%s:", what);
    for (size_t i = 0; i < b.n; i++)
        printf(b.p[i] > 32 && b.p[i] < 127 ? " '%c'" : " %02x", (unsigned char)b.p[i]);
    printf("\n");
}

#define MAP1 "83 74 00000001 "

TEST(json_becomes_the_terms_that_clients_have_of_discord)
{
    static const struct {
        const char *json, *term;
    } rows[] = {
        {"{}", "83 74 00000000"},
        {" { \t\r\n} ", "83 74 00000000"},
        {"{\"op\":11}", MAP1 "73 02 'op' 61 0b"},
        {"{\"d\":null}", MAP1 "73 01 'd' 73 03 'nil'"},
        {"{\"d\":true}", MAP1 "73 01 'd' 73 04 'true'"},
        {"{\"d\":false}", MAP1 "73 01 'd' 73 05 'false'"},
        {"{\"d\":0}", MAP1 "73 01 'd' 61 00"},
        {"{\"d\":-0}", MAP1 "73 01 'd' 61 00"},
        {"{\"d\":255}", MAP1 "73 01 'd' 61 ff"},
        {"{\"d\":256}", MAP1 "73 01 'd' 62 00000100"},
        {"{\"d\":-1}", MAP1 "73 01 'd' 62 ffffffff"},
        {"{\"d\":2147483647}", MAP1 "73 01 'd' 62 7fffffff"},
        {"{\"d\":2147483648}", MAP1 "73 01 'd' 6e 04 00 00000080"},
        {"{\"d\":-2147483648}", MAP1 "73 01 'd' 6e 04 01 00000080"},
        {"{\"d\":9223372036854775807}", MAP1 "73 01 'd' 6e 08 00 ffffffffffffff7f"},
        {"{\"d\":-9223372036854775808}", MAP1 "73 01 'd' 6e 08 01 0000000000000080"},
        {"{\"d\":1.5}", MAP1 "73 01 'd' 46 3ff8000000000000"},
        {"{\"d\":-2e2}", MAP1 "73 01 'd' 46 c069000000000000"},
        {"{\"d\":\"\"}", MAP1 "73 01 'd' 6d 00000000"},
        {"{\"d\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", MAP1 "73 01 'd' 6d 00000009 'a' 22 5c 2f 08 0c 0a 0d 09"},
        {"{\"d\":\"\\u00e9\\u20AC\\ud83d\\ude00\"}", MAP1 "73 01 'd' 6d 00000009 c3a9 e282ac f09f9880"},
        {"{\"d\":\"\xc3\xa9\"}", MAP1 "73 01 'd' 6d 00000002 c3a9"},
        {"{\"d\":[]}", MAP1 "73 01 'd' 6a"},
        {"{\"d\":[1,\"x\" , []]}", MAP1 "73 01 'd' 6c 00000003 61 01 6d 00000001 'x' 6a 6a"},
        {"{\"op\":0,\"s\":3,\"t\":\"READY\",\"d\":{}}",
         "83 74 00000004 73 02 'op' 61 00 73 01 's' 61 03 73 01 't' 73 05 'READY' 73 01 'd' 74 00000000"},
        // Only a message's own t is a name, and only a name becomes an atom.
        {"{\"d\":{\"t\":\"READY\"}}", MAP1 "73 01 'd' 74 00000001 73 01 't' 6d 00000005 'READY'"},
        {"{\"t\":\"no name\"}", MAP1 "73 01 't' 6d 00000007 'no name'"},
        {"{\"t\":null}", MAP1 "73 01 't' 73 03 'nil'"},
        {"{\"$os\":1}", MAP1 "6d 00000003 '$os' 61 01"},
        {"{\"1574328461640224769\":1}", MAP1 "6d 00000013 '1574328461640224769' 61 01"},
        {"{\"nil\":1}", MAP1 "6d 00000003 'nil' 61 01"},
        {"{\"true\":1}", MAP1 "6d 00000004 'true' 61 01"},
        {"{\"\":1}", MAP1 "6d 00000000 61 01"},
        {"{\"\\u00e9\":1}", MAP1 "6d 00000002 c3a9 61 01"},
        // Ids, where they are ids.
        {"{\"id\":\"1574328461640224769\"}", MAP1 "73 02 'id' 6e 08 00 0150da0b6523d915"},
        {"{\"guild_id\":\"18446744073709551615\"}", MAP1 "73 08 'guild_id' 6e 08 00 ffffffffffffffff"},
        {"{\"user_ids\":[\"4294967296\",\"7\"]}",
         MAP1 "73 08 'user_ids' 6c 00000002 6e 05 00 0000000001 6d 00000001 '7' 6a"},
        {"{\"ringing\":[\"4294967296\"]}", MAP1 "73 07 'ringing' 6c 00000001 6e 05 00 0000000001 6a"},
        {"{\"roles\":[{\"name\":\"4294967296\"}]}",
         MAP1 "73 05 'roles' 6c 00000001 74 00000001 73 04 'name' 6d 0000000a '4294967296' 6a"},
        {"{\"id\":\"local\"}", MAP1 "73 02 'id' 6d 00000005 'local'"},
        {"{\"id\":\"04294967296\"}", MAP1 "73 02 'id' 6d 0000000b '04294967296'"},
        {"{\"session_id\":\"11112222333344445555666677778888\"}",
         MAP1 "73 0a 'session_id' 6d 00000020 '11112222333344445555666677778888'"},
        {"{\"nonce\":\"1574328461640224769\"}", MAP1 "73 05 'nonce' 6d 00000013 '1574328461640224769'"},
        {"{\"permissions\":\"1125899906842623\"}", MAP1 "73 0b 'permissions' 6d 00000010 '1125899906842623'"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char room[256];
        struct buf out = {0};
        struct bytes want = bytes_from(room, rows[i].term);
        int err = etf_from_json(&out, bytes_of(rows[i].json));
        if (err || !bytes_eq(buf_bytes(&out), want)) {
            printf("%s: %d\n", rows[i].json, err);
            show("  is", buf_bytes(&out));
            show("  not", want);
            test_failures++;
        }
        buf_fini(&out);
    }
}

TEST(what_is_no_json_becomes_nothing)
{
    static const char *const texts[] = {
        "",
        "{",
        "}",
        "[]",
        "1",
        "null",
        "\"x\"",
        "{}x",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":1",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":+1}",
        "{\"a\":nul}",
        "{\"a\":1e999}",
        "{\"a\":0x1}",
        "{\"a\":9223372036854775808}",
        "{\"a\":-9223372036854775809}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":\"\\u1",
    };
    struct buf out = {0};
    buf_str(&out, "kept");
    for (size_t i = 0; i < countof(texts); i++) {
        if (etf_from_json(&out, bytes_of(texts[i])) != ERR_INVALID || !bytes_is(buf_bytes(&out), "kept"))
            printf("%s\n", texts[i]), test_failures++;
    }
    buf_fini(&out);
}

static json_t *term(struct bytes frame)
{
    char *own = malloc(frame.n ? frame.n : 1); // the sanitizer sees a read behind it
    if (frame.n)
        memcpy(own, frame.p, frame.n);
    json_t *json = etf_to_json((struct bytes){own, frame.n});
    free(own);
    return json;
}

static json_t *term_of(const char *spec)
{
    static char room[70000];
    return term(bytes_from(room, spec));
}

TEST(terms_of_clients_are_read_as_json)
{
    static const struct {
        const char *term, *json;
    } rows[] = {
        {"83 74 00000000", "{}"},
        {"83 61 ff", "255"},
        {"83 62 ffffffff", "-1"},
        {"83 62 7fffffff", "2147483647"},
        {"83 6e 08 00 f746ed25cfdea210", "1198765432109876983"},
        {"83 6e 00 00", "0"},
        {"83 6e 01 01 05", "-5"},
        {"83 6e 08 00 ffffffffffffff7f", "9223372036854775807"},
        {"83 6e 08 01 0000000000000080", "-9223372036854775808"},
        {"83 46 3ff8000000000000", "1.5"},
        {"83 46 4278bcfe56800000", "1700000000000"}, // a double of erlpack is an integer if it is one
        {"83 46 4415af1d78b58c40", "1e20"},
        {"83 6d 00000000", "\"\""},
        {"83 6d 00000003 'a' c3a9", "\"a\xc3\xa9\""},
        {"83 73 03 'nil'", "null"},
        {"83 64 0003 'nil'", "null"},
        {"83 77 04 'true'", "true"},
        {"83 76 0005 'false'", "false"},
        {"83 77 04 'null'", "null"},
        {"83 77 06 'online'", "\"online\""},
        {"83 6a", "[]"},
        {"83 6c 00000002 61 00 61 01 6a", "[0,1]"},
        {"83 6b 0002 00 01", "[0,1]"}, // as Erlang writes a shard
        {"83 6b 0000", "[]"},
        {"83 68 02 61 00 61 01", "[0,1]"},
        {"83 69 00000001 61 07", "[7]"},
        {"83 74 00000002 6d 00000002 'op' 61 04 6d 00000001 'd' 74 00000002 6d 00000008 'guild_id' 73 03 'nil'"
         "6d 0000000a 'channel_id' 6e 08 00 f746ed25cfdea210",
         "{\"op\":4,\"d\":{\"guild_id\":null,\"channel_id\":1198765432109876983}}"},
        {"83 74 00000002 6d 00000001 'a' 61 01 6d 00000001 'a' 61 02", "{\"a\":2}"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        json_t *is = term_of(rows[i].term), *want = json_loads(rows[i].json, JSON_DECODE_ANY, NULL);
        if (!is || !want || !json_equal(is, want))
            printf("%s\n", rows[i].term), test_failures++;
        json_decref(is);
        json_decref(want);
    }
}

TEST(what_is_no_term_or_more_than_json_can_say_is_refused)
{
    static const char *const terms[] = {
        "",
        "83",
        "82 61 01",
        "'{}'",
        "83 61 01 00",                                    // something behind it
        "83 50 00000002 789c4b040000620062",              // compressed
        "83 63 '1.50000000000000000000e+00' 00000000 00", // floats as text
        "83 6e 09 00 000000000000000000",
        "83 6e 08 00 ffffffffffffffff",
        "83 6e 08 01 0100000000000080",
        "83 6f 00000001 00 01",
        "83 46 7ff8000000000000",
        "83 46 7ff0000000000000",
        "83 6d 00000001 00",
        "83 6d 00000001 ff",
        "83 6d 00000003 eda080",
        "83 73 01 e9",
        "83 6c 00000001 61 01 61 02", // its tail is no end
        "83 6c 00000001 61 01",
        "83 74 00000001 73 02 'op' 61 01", // keys that are atoms
        "83 74 00000001 64 0002 'op' 61 01",
        "83 74 00000001 77 02 'op' 61 01",
        "83 74 00000001 61 01 61 01",
        "83 74 00000001 6b 0002 'op' 61 01",
        "83 74 00000001 6d 00000002 'o' 00 61 01",
        "83 6c ffffffff 61 01", // lengths that lie
        "83 69 ffffffff 61 01",
        "83 74 ffffffff 6d 00000001 'a' 61 01",
        "83 6d ffffffff 'a'",
        "83 6b ffff 00",
        "83 68 ff 61 01",
        "83 64 ffff 'a'",
        "83 6e ff 00 01",
    };
    for (size_t i = 0; i < countof(terms); i++) {
        json_t *json = term_of(terms[i]);
        if (json)
            printf("%s\n", terms[i]), test_failures++;
        json_decref(json);
    }
}

static const char *const documents[] = {
    "{\"op\":10,\"s\":null,\"t\":null,\"d\":{\"heartbeat_interval\":41250,\"_trace\":[\"gateway-1\"]}}",
    "{\"op\":0,\"s\":70000,\"t\":\"VOICE_STATE_UPDATE\",\"d\":{\"guild_id\":null,\"channel_id\":"
    "\"1574328461640224769\","
    "\"session_id\":\"0123456789abcdef0123456789abcdef\",\"mute\":false,\"since\":1700000000000,\"ratio\":0.25,"
    "\"member\":{\"roles\":[\"1574328461640224769\",\"1\"],\"nick\":\"\\u00e9\\n\",\"nothing\":{},\"list\":[[],[{}]]}}"
    "}",
    "{\"a\":[-1,-129,0,255,256,65536,4294967296,-4294967296,9223372036854775807],\"b\":[1.0,-0.5,1e300,123456789.125]}",
};

// Ids become integers, and doubles that are integers do when they come back.
static json_t *as_told(json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    uint64_t id;
    if (json_is_object(v)) {
        json_t *out = json_object();
        json_object_foreach(v, key, item) json_object_set_new(out, key, as_told(item));
        return out;
    }
    if (json_is_array(v)) {
        json_t *out = json_array();
        json_array_foreach(v, i, item) json_array_append_new(out, as_told(item));
        return out;
    }
    if (json_is_string(v) && bytes_u64(bytes_of(json_string_value(v)), &id) == OK && id > UINT32_MAX)
        return json_integer((json_int_t)id);
    double real = json_real_value(v); // 0: it is none
    if (json_is_real(v) && real > -1e15 && real < 1e15 && real == (double)(json_int_t)real)
        return json_integer((json_int_t)real);
    return json_incref(v);
}

// Our keys are atoms, which clients' must not be: written anew as binaries.
static void put_term(struct buf *out, json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_object(v)) {
        uint32_t n = (uint32_t)json_object_size(v);
        buf_add(out, (char[]){0x74, (char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n}, 5);
        json_object_foreach(v, key, item)
        {
            size_t k = strlen(key);
            buf_add(out, (char[]){0x6d, 0, 0, (char)(k >> 8), (char)k}, 5);
            buf_add(out, key, k);
            put_term(out, item);
        }
    } else if (json_is_array(v) && json_array_size(v)) {
        uint32_t n = (uint32_t)json_array_size(v);
        buf_add(out, (char[]){0x6c, (char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n}, 5);
        json_array_foreach(v, i, item) put_term(out, item);
        buf_char(out, 0x6a);
    } else { // one pair, of which the value is taken
        struct buf one = {0};
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        buf_printf(&one, "{\"d\":%s}", text);
        struct buf pair = {0};
        CHECK_EQ(etf_from_json(&pair, buf_bytes(&one)), OK);
        buf_add(out, pair.p + 9, pair.n - 9);
        free(text);
        buf_fini(&one);
        buf_fini(&pair);
    }
}

TEST(documents_survive_the_way_out_and_back)
{
    for (size_t i = 0; i < countof(documents); i++) {
        struct buf out = {0};
        json_t *json = json_loads(documents[i], 0, NULL), *want = as_told(json);
        buf_char(&out, (char)0x83);
        put_term(&out, want);
        json_t *back = term(buf_bytes(&out));
        CHECK_TRUE(back && json_equal(back, want));
        json_decref(back);
        json_decref(want);
        json_decref(json);
        buf_fini(&out);
    }
}

TEST(no_part_of_a_term_is_a_term_and_no_part_of_a_text_is_a_text)
{
    for (size_t i = 0; i < countof(documents); i++) {
        struct buf out = {0}, none = {0};
        json_t *json = json_loads(documents[i], 0, NULL);
        buf_char(&out, (char)0x83);
        put_term(&out, json);
        for (size_t n = 0; n < out.n; n++)
            CHECK_TRUE(term((struct bytes){out.p, n}) == NULL);
        for (size_t n = 0; n < strlen(documents[i]); n++)
            CHECK_TRUE(etf_from_json(&none, (struct bytes){documents[i], n}) == ERR_INVALID && none.n == 0);
        json_decref(json);
        buf_fini(&out);
        buf_fini(&none);
    }
}

TEST(what_is_too_deep_is_refused)
{
    struct buf text = {0}, out = {0};
    for (int levels = 62; levels <= 64; levels++) { // beside the object
        buf_reset(&text);
        buf_str(&text, "{\"d\":");
        for (int i = 0; i < levels; i++)
            buf_char(&text, '[');
        for (int i = 0; i < levels; i++)
            buf_char(&text, ']');
        buf_char(&text, '}');
        CHECK_EQ(etf_from_json(&out, buf_bytes(&text)), levels < 64 ? OK : ERR_INVALID);
    }
    for (int levels = 2046; levels <= 2050; levels++) {
        buf_reset(&text);
        buf_char(&text, (char)0x83);
        for (int i = 0; i < levels - 1; i++)
            buf_add(&text, "\x68\x01", 2);
        buf_add(&text, "\x61\x01", 2);
        json_t *json = term(buf_bytes(&text));
        CHECK_EQ(json != NULL, levels <= 2048);
        json_decref(json);
    }
    buf_fini(&text);
    buf_fini(&out);
}

TEST(ten_thousand_keys_and_elements_are_counted)
{
    struct buf text = {0}, out = {0};
    buf_str(&text, "{\"l\":[0");
    for (int i = 1; i < 10000; i++)
        buf_str(&text, ",0");
    buf_str(&text, "]");
    for (int i = 1; i < 10000; i++)
        buf_printf(&text, ",\"k%d\":0", i);
    buf_str(&text, "}");
    CHECK_EQ(etf_from_json(&out, buf_bytes(&text)), OK);
    CHECK_TRUE(memcmp(out.p, "\x83\x74\x00\x00\x27\x10", 6) == 0);
    CHECK_TRUE(memcmp(out.p + 6, "\x73\x01l\x6c\x00\x00\x27\x10", 8) == 0);
    buf_fini(&text);
    buf_fini(&out);
}

MAIN
