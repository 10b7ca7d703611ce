// message: content, who may change what, call messages, and what a commit of each carries.
#include "check.h"
#include "errors.h"
#include "message.h"

static struct arena a;

static struct bytes repeated(const char *text, size_t n)
{
    size_t size = strlen(text);
    char *p = arena_take(&a, size * n);
    for (size_t i = 0; i < n; i++)
        memcpy(p + i * size, text, size);
    return (struct bytes){p, size * n};
}

TEST(content_is_counted_in_characters_not_in_bytes)
{
    static const struct {
        const char *unit;
        size_t n;
        int err;
    } cases[] = {
        {"a", 1, 0},
        {"a", 2000, 0},
        {"a", 2001, 50035},
        {"\xc3\xa9", 2000, 0},
        {"\xc3\xa9", 2001, 50035},
        {"\xf0\x9f\x98\x80", 2000, 0},
        {"\xf0\x9f\x98\x80", 2001, 50035},
        {" ", 1, 50006},
        {"\n", 2001, 50006},
        {"", 0, 50006},
        {" a", 1, 0},
    };
    for (size_t i = 0; i < countof(cases); i++)
        CHECK_EQ(message_content_check(repeated(cases[i].unit, cases[i].n)), cases[i].err);
    arena_fini(&a);
}

TEST(too_long_is_told_in_discords_form)
{
    struct buf out = {0};
    api_form_error(&out, &message_too_long);
    buf_char(&out, '\0');
    CHECK_TRUE(strstr(out.p, "\"errors\":{\"content\":{\"_errors\":[{\"code\":\"BASE_TYPE_MAX_LENGTH\",\"message\":"
                             "\"Must be 2000 or fewer in length.\"}]}}") != NULL);
    buf_fini(&out);
}

TEST(a_new_message_mentions_recipients_only)
{
    const struct message_send send = {.user = 1,
                                      .channel = 9,
                                      .content = BYTES("<@2> <@!3> <@2> <@4> <@ 2> <@99999999999999999999> <@"),
                                      .nonce = BYTES("n"),
                                      .flags = 0xffffffff};
    struct message_rec m = message_new(&a, 77, &send, (struct ids){3, (const uint64_t[]){1, 2, 3}});
    CHECK_EQ(m.mentions.n, 2);
    CHECK_EQ(m.mentions.v[0], 2);
    CHECK_EQ(m.mentions.v[1], 3);
    CHECK_EQ(m.flags, (1 << 2) | (1 << 12));
    CHECK_EQ(m.author, 1);
    CHECK_EQ(m.type, MESSAGE_DEFAULT);
    arena_fini(&a);
}

TEST(only_the_author_changes_an_ordinary_message)
{
    const struct message_rec mine = {.id = 7, .author = 1}, call = {.id = 7, .author = 1, .type = MESSAGE_CALL};
    CHECK_EQ(message_may_edit(NULL, 1), API_UNKNOWN_MESSAGE);
    CHECK_EQ(message_may_edit(&mine, 1), API_OK);
    CHECK_EQ(message_may_edit(&mine, 2), API_OTHERS_MESSAGE);
    CHECK_EQ(message_may_delete(&mine, 2), API_IS_DM);
    CHECK_EQ(message_may_delete(&mine, 1), API_OK);
    CHECK_EQ(message_may_edit(&call, 1), API_SYSTEM_MESSAGE);
    CHECK_EQ(message_may_delete(&call, 2), API_SYSTEM_MESSAGE);
}

TEST(an_edit_keeps_what_it_does_not_change)
{
    const struct message_rec old = {.id = 7, .author = 1, .content = BYTES("x"), .nonce = BYTES("n"), .flags = 4};
    struct message_rec m = message_edited(&a, &old, BYTES("<@2>"), (struct ids){1, (const uint64_t[]){2}}, 1234);
    CHECK_EQ(m.edited_at, 1234);
    CHECK_EQ(m.mentions.n, 1);
    CHECK_EQ(m.flags, 4);
    CHECK_TRUE(bytes_is(m.nonce, "n"));
    arena_fini(&a);
}

TEST(a_block_of_either_side_stops_messages_of_a_dm_only)
{
    const struct channel dm = {.type = CHANNEL_DM}, group = {.type = CHANNEL_GROUP};
    CHECK_EQ(message_may_send(&dm, 0, 0), API_OK);
    CHECK_EQ(message_may_send(&dm, 1, 1), API_OK);
    CHECK_EQ(message_may_send(&dm, 2, 0), API_CANNOT_SEND);
    CHECK_EQ(message_may_send(&dm, 0, 2), API_CANNOT_SEND);
    CHECK_EQ(message_may_send(&group, 2, 2), API_OK);
}

TEST(a_call_message_mentions_everybody_but_its_author)
{
    const struct ids recipients = {3, (const uint64_t[]){11, 22, 33}}, in = {1, (const uint64_t[]){22}};
    struct message_rec m = message_call(&a, 77, 22, recipients, in, 0);
    CHECK_EQ(m.type, MESSAGE_CALL);
    CHECK_EQ(m.mentions.n, 2);
    CHECK_EQ(m.mentions.v[0], 11);
    CHECK_EQ(m.mentions.v[1], 33);
    CHECK_EQ(m.participants.n, 1);
    CHECK_EQ(m.ended_at, 0);
    CHECK_EQ(message_call(&a, 77, 22, recipients, in, 5).ended_at, 5);
    arena_fini(&a);
}

TEST(a_new_message_writes_its_row_its_place_in_the_index_and_the_last_id)
{
    const struct message_rec m = {.id = 77, .author = 1, .content = BYTES("hi")};
    struct change c[MESSAGE_CHANGES_MAX];
    struct message_rec back;
    CHECK_EQ(message_added(&a, &m, c), 3);
    CHECK_TRUE(c[0].op == CHANGE_HSET && !strcmp(c[0].suffix, "m") && bytes_is(c[0].a, "77"));
    CHECK_EQ(UNPACK(&a, message_rec, c[0].b, &back), OK);
    CHECK_TRUE(back.id == 77 && bytes_is(back.content, "hi"));
    CHECK_TRUE(c[1].op == CHANGE_ZADD && !strcmp(c[1].suffix, "mi") && bytes_is(c[1].a, "00000000000000000077"));
    CHECK_TRUE(c[2].op == CHANGE_HSET && !strcmp(c[2].suffix, "s") && bytes_is(c[2].a, "last") &&
               bytes_is(c[2].b, "77"));
    CHECK_EQ(message_changed(&a, &m, c), 1);
    CHECK_TRUE(c[0].op == CHANGE_HSET && bytes_is(c[0].a, "77"));
    CHECK_EQ(message_removed(&a, 77, c), 2);
    CHECK_TRUE(c[0].op == CHANGE_HDEL && bytes_is(c[0].a, "77"));
    CHECK_TRUE(c[1].op == CHANGE_ZREM && bytes_is(c[1].a, "00000000000000000077"));
    arena_fini(&a);
}

TEST(events_say_whom_they_are_for)
{
    const struct read_state rs = {.id = 9, .version = 37, .last_message_id = 77};
    struct event e = message_typing_event(&a, 1, 9, 1650479767383);
    CHECK_TRUE(e.to == 3 && e.user == 1 && bytes_is(e.name, "TYPING_START"));
    CHECK_TRUE(bytes_is(e.body, "{\"channel_id\":\"9\",\"user_id\":\"1\",\"timestamp\":1650479767}"));
    e = message_ack_event(&a, 1, &rs);
    CHECK_TRUE(e.to == 1 && e.user == 1 && bytes_is(e.name, "MESSAGE_ACK"));
    CHECK_TRUE(bytes_is(e.body, "{\"version\":37,\"message_id\":\"77\",\"channel_id\":\"9\"}"));
    e = message_deleted_event(&a, 77, 9);
    CHECK_TRUE(e.to == 0 && bytes_is(e.body, "{\"id\":\"77\",\"channel_id\":\"9\"}"));
    arena_fini(&a);
}

TEST(an_entry_decodes_to_what_was_put_in)
{
    const struct event events[] = {{.name = BYTES("A"), .body = BYTES("{}")}, {.name = BYTES("B"), .to = 1, .user = 4}};
    struct bytes entry = message_entry(&a, ref_user(5), 8, 99, events, 2);
    struct place_event e;
    CHECK_EQ(UNPACK(&a, place_event, entry, &e), OK);
    CHECK_TRUE(e.ref == ref_user(5) && e.version == 8 && e.at == 99 && e.events.n == 2);
    CHECK_TRUE(bytes_is(e.events.v[1].name, "B") && e.events.v[1].user == 4);
    arena_fini(&a);
}

TEST(acks_go_forward_unless_they_are_manual)
{
    static const struct {
        uint64_t old, old_mentions, to, mentions;
        bool manual, moved;
    } cases[] = {
        {0, 0, 70, 0, false, true},   {70, 0, 71, 0, false, true}, {70, 0, 70, 0, false, false},
        {70, 0, 69, 0, false, false}, {70, 0, 69, 3, true, true},  {70, 3, 70, 3, true, false},
        {70, 3, 70, 0, true, true},   {70, 3, 71, 9, false, true},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct read_state old = {
            .id = cases[i].old ? 9 : 0, .last_message_id = cases[i].old, .mention_count = cases[i].old_mentions};
        const struct message_ack ack = {.user = 1,
                                        .channel = 9,
                                        .message = cases[i].to,
                                        .manual = cases[i].manual,
                                        .mention_count = cases[i].mentions};
        struct read_state out = {0};
        CHECK_EQ(message_ack_step(&old, &ack, 36, &out), cases[i].moved);
        CHECK_EQ(out.version, cases[i].moved ? 37 : 0);
        CHECK_EQ(out.mention_count, cases[i].moved && cases[i].manual ? cases[i].mentions : 0);
    }
}

MAIN
