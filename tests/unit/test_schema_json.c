// schema, JSON: what clients read, and what they send, kinds and faults one by one.
#include "check.h"
#include "errors.h"
#include <jansson.h>

static char *json_of(struct buf *b, const struct schema *s, const void *v)
{
    buf_reset(b);
    schema_json(b, s, v);
    buf_char(b, '\0');
    return b->p;
}

TEST(a_private_voice_state_is_written_as_captured)
{
    struct buf b = {0};
    const struct j_voice_state v = {.channel_id = 900, .user_id = 11, .session_id = BYTES("826966321946bf3d")};
    CHECK_STR(json_of(&b, &schema_j_voice_state, &v),
              "{\"guild_id\":null,\"channel_id\":\"900\",\"user_id\":\"11\",\"session_id\":\"826966321946bf3d\","
              "\"deaf\":false,\"mute\":false,\"self_deaf\":false,\"self_mute\":false,\"self_video\":false,"
              "\"suppress\":false,\"request_to_speak_timestamp\":null}");
    buf_fini(&b);
}

TEST(optional_fields_are_left_out_and_null_ones_are_null)
{
    struct buf b = {0};
    CHECK_STR(json_of(&b, &schema_j_voice_server, (&(struct j_voice_server){.token = BYTES("t"), .guild_id = 5})),
              "{\"token\":\"t\",\"guild_id\":\"5\",\"endpoint\":null}");
    CHECK_STR(json_of(&b, &schema_j_call_delete, (&(struct j_call_delete){.channel_id = 5})), "{\"channel_id\":\"5\"}");
    CHECK_STR(json_of(&b, &schema_j_message_call, (&(struct j_message_call){.ended_timestamp = 1650479767771})),
              "{\"participants\":[],\"ended_timestamp\":\"2022-04-20T18:36:07.771000+00:00\"}");
    buf_fini(&b);
}

TEST(text_is_escaped)
{
    struct buf b = {0};
    json_text(&b, BYTES("a\"\\\n\x01\xc3\xa9"));
    buf_char(&b, '\0');
    CHECK_STR(b.p, "\"a\\\"\\\\\\n\\u0001\xc3\xa9\"");
    buf_fini(&b);
}

static struct fault fault;
static int read(struct arena *a, const struct schema *s, const char *text, void *out, uint64_t *present)
{
    static json_t *j; // texts borrow from it
    json_decref(j);
    j = json_loads(text, JSON_DECODE_ANY, NULL);
    fault = (struct fault){0};
    int err = schema_from_json(a, s, j, out, present, &fault);
    if (err != OK || !out)
        return err;
    return OK;
}

static void drop_last(void)
{
    struct arena a = {0};
    struct c_call_connect c;
    (void)!read(&a, &schema_c_call_connect, "1", &c, NULL);
    arena_fini(&a);
}

TEST(ids_are_exact_as_text_and_as_integers)
{
    struct arena a = {0};
    struct c_voice_state v;
    uint64_t present;
    CHECK_EQ(read(&a, &schema_c_voice_state,
                  "{\"guild_id\":1198765432109876543,\"channel_id\":\"9223372036854775807\"}", &v, &present),
             OK);
    CHECK_EQ(v.guild_id, 1198765432109876543);
    CHECK_TRUE(v.channel_id == INT64_MAX);
    CHECK_EQ(present, FIELD_BIT(c_voice_state, guild_id) | FIELD_BIT(c_voice_state, channel_id));
    static const char *const wider[] = {"{\"channel_id\":\"9223372036854775808\"}", // a user's record, for records
                                        "{\"channel_id\":\"18446744073709551615\"}",
                                        "{\"channel_id\":\"18446744073709551616\"}"};
    for (size_t i = 0; i < countof(wider); i++)
        CHECK_EQ(read(&a, &schema_c_voice_state, wider[i], &v, &present), ERR_INVALID);
    arena_fini(&a);
    drop_last();
}

TEST(null_is_absent_but_tells_that_the_key_was_there)
{
    struct arena a = {0};
    struct c_voice_state v;
    uint64_t present;
    CHECK_EQ(read(&a, &schema_c_voice_state, "{\"channel_id\":null,\"self_mute\":true,\"more\":{}}", &v, &present), OK);
    CHECK_EQ(v.channel_id, 0);
    CHECK_TRUE(v.self_mute);
    CHECK_EQ(present, FIELD_BIT(c_voice_state, channel_id) | FIELD_BIT(c_voice_state, self_mute));
    arena_fini(&a);
    drop_last();
}

TEST(wrong_types_are_named_by_field_and_index)
{
    static const struct {
        const struct schema *s;
        const char *json, *field, *code;
        int index;
    } rows[] = {
        {&schema_c_call_connect, "{\"channel_id\":1.5}", "channel_id", "NUMBER_TYPE_COERCE", -1},
        {&schema_c_call_connect, "{\"channel_id\":-1}", "channel_id", "NUMBER_TYPE_COERCE", -1},
        {&schema_c_call_connect, "{\"channel_id\":\"\"}", "channel_id", "NUMBER_TYPE_COERCE", -1},
        {&schema_c_call_connect, "{\"channel_id\":\"18446744073709551616\"}", "channel_id", "NUMBER_TYPE_COERCE", -1},
        {&schema_c_call_connect, "{\"channel_id\":null}", "channel_id", "NUMBER_TYPE_COERCE", -1},
        {&schema_c_voice_state, "{\"self_mute\":1}", "self_mute", "BOOLEAN_TYPE_CONVERT", -1},
        {&schema_r_call_recipients, "{\"recipients\":[1,\"x\"]}", "recipients", "NUMBER_TYPE_COERCE", 1},
        {&schema_r_call_recipients, "{\"recipients\":5}", "recipients", "LIST_TYPE_CONVERT", -1},
        {&schema_r_message, "{\"content\":7}", "content", "STRING_TYPE_CONVERT", -1},
        {&schema_r_ack_bulk, "{\"read_states\":[{\"channel_id\":\"1\"},3]}", "read_states.1", "MODEL_TYPE_CONVERT", -1},
        {&schema_r_ack_bulk, "{\"read_states\":[{\"channel_id\":[]}]}", "read_states.0.channel_id",
         "NUMBER_TYPE_COERCE", -1},
        {&schema_r_message, "[]", NULL, "MODEL_TYPE_CONVERT", -1},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena a = {0};
        CHECK_EQ(read(&a, rows[i].s, rows[i].json, arena_take(&a, rows[i].s->size), NULL), ERR_INVALID);
        CHECK_TRUE((fault.field == NULL) == (rows[i].field == NULL));
        if (fault.field && rows[i].field)
            CHECK_STR(fault.field, rows[i].field);
        CHECK_STR(fault.code, rows[i].code);
        CHECK_EQ(fault.index, rows[i].index);
        arena_fini(&a);
    }
    drop_last();
}

TEST(a_nonce_may_be_a_number)
{
    struct arena a = {0};
    struct r_message m;
    CHECK_EQ(read(&a, &schema_r_message, "{\"content\":\"x\",\"nonce\":1045}", &m, NULL), OK);
    CHECK_TRUE(bytes_is(m.nonce, "1045"));
    arena_fini(&a);
    drop_last();
}

TEST(a_form_error_nests_as_discord_nests_it)
{
    struct buf b = {0};
    api_form_error(&b, &(struct fault){"recipients", 0, "NUMBER_TYPE_COERCE", "Value is not snowflake."});
    buf_char(&b, '\0');
    CHECK_STR(b.p, "{\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"recipients\":{\"0\":{\"_errors\":[{"
                   "\"code\":\"NUMBER_TYPE_COERCE\",\"message\":\"Value is not snowflake.\"}]}}}}");
    json_t *j = json_loads(b.p, 0, NULL);
    CHECK_TRUE(j != NULL);
    json_decref(j);
    buf_reset(&b);
    api_form_error(&b, &(struct fault){"read_states.0.channel_id", -1, "X", "x"});
    buf_char(&b, '\0');
    CHECK_STR(b.p,
              "{\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"read_states\":{\"0\":{\"channel_id\":{"
              "\"_errors\":[{\"code\":\"X\",\"message\":\"x\"}]}}}}}");
    buf_fini(&b);
}

TEST(an_answer_error_has_its_status)
{
    CHECK_EQ(api_status(0), 200);
    CHECK_EQ(api_status(10003), 404);
    CHECK_EQ(api_status(50035), 400);
    CHECK_EQ(api_status(ERR_TIMEOUT), 503);
    CHECK_EQ(api_status(-99), 500);
}

MAIN
