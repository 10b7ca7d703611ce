// schema: each row survives pack and unpack; old and new processes mix; hostile bytes are refused; secrets stay unsaid.
#include "check.h"
#include "schema.h"
#include <msgpack.h>

static const struct schema *const all[] = {
#define ROW(type, tag, FIELDS) &schema_##type,
#include "messages.def"
#include "payloads.def"
#include "records.def"
#undef ROW
};

TEST(every_row_is_found_by_its_tag_and_packs_its_default)
{
    for (size_t i = 0; i < countof(all); i++) {
        struct arena a = {0};
        struct buf b = {0}, again = {0};
        char *v = arena_take(&a, all[i]->size), *out = arena_take(&a, all[i]->size);
        CHECK_TRUE(schema_by_tag(all[i]->tag) == all[i]);
        schema_pack(&b, all[i], v);
        CHECK_EQ(schema_unpack(&a, all[i], buf_bytes(&b), out), OK);
        schema_pack(&again, all[i], out);
        CHECK_TRUE(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
        buf_fini(&b);
        buf_fini(&again);
        arena_fini(&a);
    }
}

static void pack_call(struct buf *out)
{
    static const struct bytes regions[] = {{"rotterdam", 9}, {"x", 1}};
    static const uint64_t people[] = {UINT64_MAX, 22};
    const struct call_member members[] = {
        {.user = 11, .session = BYTES("abc"), .self_mute = true, .regions = {2, regions}},
        {.user = 22, .session = BYTES("def"), .joined_at = 1650479767383},
    };
    PACK(out, call_rec,
         (&(struct call_rec){
             .id = 901, .region = BYTES("rotterdam"), .members = {2, members}, .participants = {2, people}}));
}

TEST(nested_lists_texts_and_whole_64_bit_ids_come_back)
{
    struct arena a = {0};
    struct buf b = {0};
    struct call_rec out;
    pack_call(&b);
    CHECK_EQ(UNPACK(&a, call_rec, buf_bytes(&b), &out), OK);
    CHECK_EQ(out.members.n, 2);
    CHECK_TRUE(out.members.v[0].self_mute);
    CHECK_TRUE(bytes_is(out.members.v[0].regions.v[1], "x"));
    CHECK_EQ(out.members.v[1].joined_at, 1650479767383);
    CHECK_TRUE(out.participants.v[0] == UINT64_MAX);
    buf_fini(&b);
    arena_fini(&a);
}

TEST(msgpack_c_reads_what_we_pack)
{
    struct buf b = {0};
    pack_call(&b);
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    CHECK_EQ(msgpack_unpack_next(&u, b.p, b.n, NULL), MSGPACK_UNPACK_SUCCESS);
    CHECK_EQ(u.data.type, MSGPACK_OBJECT_ARRAY);
    CHECK_EQ(u.data.via.array.size, schema_call_rec.n + 1);
    CHECK_EQ(u.data.via.array.ptr[0].via.u64, TAG_call_rec);
    msgpack_unpacked_destroy(&u);
    buf_fini(&b);
}

TEST(a_short_array_leaves_defaults_and_surplus_is_skipped)
{
    struct arena a = {0};
    struct release r;
    CHECK_EQ(UNPACK(&a, release, BYTES("\x92\xcc\x8e\x05"), &r), OK);
    CHECK_EQ(r.place, 5);
    CHECK_EQ(r.channel, 0);
    CHECK_EQ(UNPACK(&a, release, BYTES("\x95\xcc\x8e\x05\x06\x92\x01\x02\xc0"), &r), OK);
    CHECK_EQ(r.channel, 6);
    arena_fini(&a);
}

TEST(wrong_tag_type_bound_utf8_and_trailing_bytes_are_refused)
{
    struct arena a = {0};
    struct release r;
    struct user_find f;
    CHECK_EQ(UNPACK(&a, release, BYTES("\x92\xcc\x8d\x05"), &r), ERR_INVALID);
    CHECK_EQ(UNPACK(&a, release, BYTES("\x92\xcc\x8e\xa1x"), &r), ERR_INVALID);
    CHECK_EQ(UNPACK(&a, release, BYTES("\x92\xcc\x8e\x05\x05"), &r), ERR_INVALID);
    CHECK_EQ(UNPACK(&a, release, BYTES("\x90"), &r), ERR_INVALID);
    CHECK_EQ(UNPACK(&a, release, BYTES("\xdd\xff\xff\xff\xff"), &r), ERR_INVALID);
    CHECK_EQ(UNPACK(&a, user_find, BYTES("\x92\xcc\xb8\xa2\xc0\x80"), &f), ERR_INVALID);
    CHECK_EQ(UNPACK(&a, user_find,
                    BYTES("\x92\xcc\xb8\xd9\x41"
                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                    &f),
             ERR_INVALID);
    arena_fini(&a);
}

TEST(cutting_a_message_anywhere_makes_it_invalid)
{
    struct arena a = {0};
    struct buf b = {0};
    struct call_rec out;
    pack_call(&b);
    for (size_t n = 0; n < b.n; n++) {
        char *cut = malloc(n ? n : 1); // its own allocation: reading past the end is a sanitizer report
        memcpy(cut, b.p, n);
        CHECK_EQ(UNPACK(&a, call_rec, ((struct bytes){cut, n}), &out), ERR_INVALID);
        free(cut);
    }
    buf_fini(&b);
    arena_fini(&a);
}

TEST(messages_are_taken_one_after_another_and_unknown_ones_are_passed_over)
{
    struct arena a = {0};
    struct buf b = {0};
    struct msg m;
    PACK(&b, release, (&(struct release){.place = 1}));
    buf_add(&b, "\x92\xcd\x27\x0f\xa1z", 6); // tag 9999 of a newer process
    PACK(&b, regions_list, (&(struct regions_list){.user = 2}));
    struct bytes in = buf_bytes(&b);
    CHECK_EQ(msg_take(&a, &in, &m), OK);
    CHECK_EQ(MSG_IS(&m, release)->place, 1);
    CHECK_EQ(msg_take(&a, &in, &m), ERR_MISSING);
    CHECK_EQ(msg_take(&a, &in, &m), OK);
    CHECK_TRUE(MSG_IS(&m, release) == NULL);
    CHECK_EQ(MSG_IS(&m, regions_list)->user, 2);
    CHECK_EQ(in.n, 0);
    CHECK_EQ(msg_take(&a, &in, &m), ERR_INVALID);
    buf_fini(&b);
    arena_fini(&a);
}

TEST(the_printed_form_names_fields_and_hides_secrets)
{
    struct buf b = {0};
    schema_print(&b, &schema_message_send, &(struct message_send){.user = 5, .content = BYTES("between us")});
    buf_char(&b, '\0');
    CHECK_STR(b.p, "message_send{user=5 channel=0 content=*** nonce=\"\" tts=false flags=0}");
    buf_fini(&b);
}

MAIN
