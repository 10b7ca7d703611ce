// form: bodies as JSON or multipart, and queries.
#include "check.h"
#include "errors.h"
#include "form.h"

static struct arena arena;

static int body_of(const char *content_type, struct bytes body, struct r_message *out, struct fault *fault)
{
    *fault = (struct fault){0};
    return form_body(&arena, &schema_r_message, bytes_of(content_type), body, out, NULL, fault);
}

static const char *content(const char *content_type, const char *body)
{
    struct r_message m;
    struct fault fault;
    int err = body_of(content_type, bytes_of(body), &m, &fault);
    return err ? (err == API_INVALID_JSON ? "no JSON" : "no form") : arena_text(&arena, m.content);
}

TEST(a_json_body_is_read_whatever_it_calls_itself)
{
    CHECK_STR(content("application/json", "{\"content\":\"x\"}"), "x");
    CHECK_STR(content("application/json; charset=utf-8", "{\"content\":\"x\",\"more\":[1]}"), "x");
    CHECK_STR(content("", "{\"content\":\"x\"}"), "x");
    CHECK_STR(content("text/plain", " {\"content\":\"x\"} "), "x");
    arena_fini(&arena);
}

TEST(no_body_is_an_empty_one)
{
    CHECK_STR(content("application/json", ""), "");
    CHECK_STR(content("", "{}"), "");
    CHECK_STR(content("", "{\"content\":null}"), "");
    arena_fini(&arena);
}

TEST(what_is_no_json_is_told_from_what_is_no_form)
{
    static const char *const bad[] = {"{",
                                      "hello",
                                      "{\"content\":\"x\"",
                                      "{\"content\":\"x\"}}",
                                      "\xff\xfe",
                                      "{\"content\":\"\xff\"}",
                                      "{content:1}",
                                      "{\"content\":\"\\ud800\"}",
                                      "1 2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_STR(content("", bad[i]), "no JSON");
    static const char *const odd[] = {
        "[]", "7", "\"text\"", "null", "{\"content\":7}", "{\"tts\":\"yes\"}", "{\"flags\":-1}"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        CHECK_STR(content("", odd[i]), "no form");
    arena_fini(&arena);
}

TEST(endless_nesting_is_no_json)
{
    char *deep = malloc(5000);
    struct r_message m;
    struct fault fault;
    memset(deep, '[', 5000);
    CHECK_EQ(body_of("", (struct bytes){deep, 5000}, &m, &fault), API_INVALID_JSON);
    free(deep);
    arena_fini(&arena);
}

TEST(ids_that_no_record_can_have_are_refused_wherever_they_stand)
{
    struct r_open_channel open;
    struct r_ack_bulk bulk;
    struct fault fault = {0};
    CHECK_EQ(form_body(&arena, &schema_r_open_channel, BYTES_NONE,
                       BYTES("{\"recipients\":[\"22\",\"9223372036854775830\"]}"), &open, NULL, &fault),
             API_INVALID_FORM);
    CHECK_STR(fault.field, "recipients");
    CHECK_EQ(fault.index, 1);
    CHECK_EQ(form_body(&arena, &schema_r_open_channel, BYTES_NONE, BYTES("{\"recipient_id\":\"18446744073709551615\"}"),
                       &open, NULL, &fault),
             API_INVALID_FORM);
    CHECK_STR(fault.field, "recipient_id");
    CHECK_EQ(form_body(&arena, &schema_r_ack_bulk, BYTES_NONE,
                       BYTES("{\"read_states\":[{\"channel_id\":\"9223372036854775808\",\"message_id\":1}]}"), &bulk,
                       NULL, &fault),
             API_INVALID_FORM);
    CHECK_STR(fault.field, "read_states.0.channel_id");
    CHECK_EQ(form_body(&arena, &schema_r_open_channel, BYTES_NONE, BYTES("{\"recipients\":[22,\"33\"]}"), &open, NULL,
                       &fault),
             API_OK);
    CHECK_EQ(open.recipients.n, 2);
    CHECK_EQ(open.recipients.v[1], 33);
    arena_fini(&arena);
}

TEST(null_and_the_empty_text_stay_apart)
{
    struct r_channel_edit edit;
    struct fault fault;
    uint64_t present;
    CHECK_EQ(form_body(&arena, &schema_r_channel_edit, BYTES_NONE, BYTES("{\"name\":\"\",\"icon\":null}"), &edit,
                       &present, &fault),
             API_OK);
    CHECK_TRUE(edit.name.p != NULL && edit.name.n == 0);
    CHECK_TRUE(edit.icon.p == NULL);
    CHECK_EQ(present, 3);
    arena_fini(&arena);
}

#define CRLF "\r\n"
#define PAYLOAD(json) "--b1" CRLF "Content-Disposition: form-data; name=\"payload_json\"" CRLF CRLF json CRLF
#define FILE_PART                                                                                                      \
    "--b1" CRLF "Content-Disposition: form-data; name=\"files[0]\"; filename=\"a.txt\"" CRLF                           \
    "Content-Type: text/plain" CRLF CRLF "some -- text" CRLF

TEST(a_multipart_body_carries_its_json_in_one_part)
{
    static const char type[] = "multipart/form-data; boundary=b1",
                      quoted[] = "Multipart/Form-Data; boundary=\"b1\"; x=y";
    CHECK_STR(content(type, PAYLOAD("{\"content\":\"x\"}") "--b1--" CRLF), "x");
    CHECK_STR(content(quoted, PAYLOAD("{\"content\":\"x\"}") "--b1--"), "x");
    CHECK_STR(content(type, FILE_PART PAYLOAD("{\"content\":\"x\"}") FILE_PART "--b1--"), "x");
    CHECK_STR(content(type, "preamble" CRLF PAYLOAD("{\"content\":\"x\"}") "--b1--"), "x");
    CHECK_STR(content(type, FILE_PART "--b1--"), "");
    CHECK_STR(content(type, PAYLOAD("{\"content\":") "--b1--"), "no JSON");
    arena_fini(&arena);
}

TEST(a_broken_multipart_body_carries_nothing)
{
    static const char type[] = "multipart/form-data; boundary=b1";
    static const char *const bodies[] = {"",
                                         "--b1",
                                         "--b1--",
                                         "--b1" CRLF,
                                         "--b1" CRLF "name=\"payload_json\"" CRLF CRLF,
                                         PAYLOAD("{\"content\":\"x\"}"),
                                         "--b1" CRLF CRLF CRLF "--b1",
                                         "nothing",
                                         "--b1\r\n--b1\r\n--b1\r\n"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const char *c = content(type, bodies[i]);
        CHECK_TRUE(strcmp(c, "") == 0 || strcmp(c, "x") == 0);
    }
    CHECK_STR(content("multipart/form-data", PAYLOAD("{\"content\":\"x\"}") "--b1--"), "");
    CHECK_STR(content("multipart/form-data; boundary=", PAYLOAD("{\"content\":\"x\"}") "--b1--"), "");
    CHECK_STR(content("multipart/form-data; boundary=other", PAYLOAD("{\"content\":\"x\"}") "--b1--"), "");
    arena_fini(&arena);
}

static const char *query(const char *text, const char *name)
{
    struct bytes v;
    return form_query(&arena, bytes_of(text), name, &v) ? arena_text(&arena, v) : NULL;
}

TEST(a_query_is_decoded_and_its_first_value_counts)
{
    CHECK_STR(query("limit=3&before=9&limit=4", "limit"), "3");
    CHECK_STR(query("limit=3&before=9", "before"), "9");
    CHECK_STR(query("a=%40%6de+%2", "a"), "@me %2");
    CHECK_STR(query("l%69mit=3", "limit"), "3");
    CHECK_STR(query("&&a&b=", "a"), "");
    CHECK_STR(query("a=b=c", "a"), "b=c");
    CHECK_TRUE(query("limits=3&xlimit=4", "limit") == NULL);
    CHECK_TRUE(query("", "limit") == NULL);
    CHECK_TRUE(form_query_flag(&arena, BYTES("with_counts=true"), "with_counts"));
    CHECK_TRUE(form_query_flag(&arena, BYTES("with_counts=1"), "with_counts"));
    CHECK_TRUE(!form_query_flag(&arena, BYTES("with_counts=false"), "with_counts"));
    CHECK_TRUE(!form_query_flag(&arena, BYTES("with_counts"), "with_counts"));
    arena_fini(&arena);
}

TEST(numbers_in_a_query_have_bounds)
{
    struct fault fault;
    uint64_t v = 7;
    bool there = true;
    CHECK_EQ(form_query_number(&arena, BYTES("x=1"), "limit", 1, 100, &v, &fault), API_OK);
    CHECK_EQ(v, 7);
    CHECK_EQ(form_query_number(&arena, BYTES("limit=100"), "limit", 1, 100, &v, &fault), API_OK);
    CHECK_EQ(v, 100);
    static const char *const bad[] = {"limit=0", "limit=101", "limit=-1", "limit=many", "limit=", "limit"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_EQ(form_query_number(&arena, bytes_of(bad[i]), "limit", 1, 100, &v, &fault), API_INVALID_FORM);
        CHECK_STR(fault.field, "limit");
    }
    CHECK_EQ(v, 100);
    CHECK_EQ(form_query_id(&arena, BYTES("x=1"), "before", &v, &there, &fault), API_OK);
    CHECK_TRUE(!there);
    CHECK_EQ(form_query_id(&arena, BYTES("before=abc"), "before", &v, &there, &fault), API_INVALID_FORM);
    CHECK_EQ(form_query_id(&arena, BYTES("before=12"), "before", &v, &there, &fault), API_OK);
    CHECK_TRUE(there);
    CHECK_EQ(v, 12);
    arena_fini(&arena);
}

TEST(a_boundary_has_at_most_70_characters)
{
    for (int n = 69; n <= 71; n++) {
        struct buf type = {0}, body = {0};
        struct r_message m;
        struct fault fault;
        buf_printf(&type, "multipart/form-data; boundary=%0*d", n, 7);
        buf_printf(&body, "--%0*d\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n", n, 7);
        buf_printf(&body, "{\"content\":\"x\"}\r\n--%0*d--\r\n", n, 7);
        CHECK_EQ(form_body(&arena, &schema_r_message, buf_bytes(&type), buf_bytes(&body), &m, NULL, &fault), OK);
        CHECK_EQ(m.content.n, n <= 70 ? 1 : 0);
        buf_fini(&type);
        buf_fini(&body);
    }
    arena_reset(&arena);
}

MAIN
