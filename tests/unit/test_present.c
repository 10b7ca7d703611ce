// present: users, private channels and messages as clients are shown them.
#include "check.h"
#include "present.h"

static const struct user people[] = {
    {.id = 11, .username = {"ada", 3}, .global_name = {"Ada", 3}, .public_flags = 64},
    {.id = 22, .username = {"ben", 3}, .discriminator = {"7856", 4}, .avatar = {"70", 2}},
    {.id = 33, .username = {"dj", 2}, .discriminator = {"0", 1}, .bot = true},
};
static const struct user_set users = {3, people};
#define ADA                                                                                                            \
    "{\"id\":\"11\",\"username\":\"ada\",\"discriminator\":\"0\",\"global_name\":\"Ada\",\"avatar\":null,"             \
    "\"avatar_decoration\":null,\"avatar_decoration_data\":null,\"public_flags\":64}"
#define BEN                                                                                                            \
    "{\"id\":\"22\",\"username\":\"ben\",\"discriminator\":\"7856\",\"global_name\":null,\"avatar\":\"70\","           \
    "\"avatar_decoration\":null,\"avatar_decoration_data\":null,\"public_flags\":0}"
#define DJ                                                                                                             \
    "{\"id\":\"33\",\"username\":\"dj\",\"discriminator\":\"0\",\"global_name\":null,\"avatar\":null,"                 \
    "\"avatar_decoration\":null,\"avatar_decoration_data\":null,\"public_flags\":0,\"bot\":true}"

static const char *text(struct arena *a, struct bytes b)
{
    return arena_text(a, b);
}

TEST(a_user_is_shown_with_the_defaults_that_libraries_need)
{
    struct buf out = {0};
    present_user_json(&out, &people[0]);
    present_user_json(&out, &people[2]);
    buf_char(&out, '\0');
    CHECK_STR(out.p, ADA DJ);
    buf_fini(&out);
}

TEST(who_is_not_at_hand_is_shown_as_deleted)
{
    struct j_user j = present_user_id(users, 99);
    CHECK_EQ(j.id, 99);
    CHECK_TRUE(bytes_is(j.username, "Deleted User"));
}

TEST(a_dm_leaves_out_its_viewer)
{
    struct arena a = {0};
    const struct channel c = {.id = 900, .type = CHANNEL_DM, .recipients = {2, (const uint64_t[]){11, 22}}};
    CHECK_STR(text(&a, present_channel(&a, &c, 0, users, 11)),
              "{\"id\":\"900\",\"type\":1,\"recipients\":[" BEN "],\"last_message_id\":null,"
              "\"last_pin_timestamp\":null,\"flags\":0,\"is_message_request\":false,\"is_spam\":false}");
    CHECK_STR(text(&a, present_channel(&a, &c, 905, users, 22)),
              "{\"id\":\"900\",\"type\":1,\"recipients\":[" ADA "],\"last_message_id\":\"905\","
              "\"last_pin_timestamp\":null,\"flags\":0,\"is_message_request\":false,\"is_spam\":false}");
    arena_fini(&a);
}

TEST(a_group_has_an_owner_and_a_name_that_may_be_null)
{
    struct arena a = {0};
    const struct channel c = {
        .id = 901, .type = CHANNEL_GROUP, .owner = 11, .recipients = {2, (const uint64_t[]){11, 22}}};
    CHECK_STR(text(&a, present_channel(&a, &c, 0, users, 11)),
              "{\"id\":\"901\",\"type\":3,\"owner_id\":\"11\",\"name\":null,\"icon\":null,\"recipients\":[" BEN "],"
              "\"nicks\":[],\"last_message_id\":null,\"last_pin_timestamp\":null,\"flags\":0,\"managed\":false}");
    arena_fini(&a);
}

TEST(a_call_message_is_the_one_of_the_capture)
{
    struct arena a = {0};
    const struct message_rec m = {.id = 966406931252150292,
                                  .type = MESSAGE_CALL,
                                  .author = 11,
                                  .mentions = {1, (const uint64_t[]){22}},
                                  .participants = {1, (const uint64_t[]){11}},
                                  .ended_at = 1650480067771};
    CHECK_STR(text(&a, present_message(&a, &m, 900, users)),
              "{\"id\":\"966406931252150292\",\"channel_id\":\"900\",\"type\":3,\"content\":\"\",\"author\":" ADA
              ",\"timestamp\":\"2022-04-20T18:36:07.383000+00:00\",\"edited_timestamp\":null,\"tts\":false,"
              "\"mention_everyone\":false,\"mentions\":[" BEN "],\"mention_roles\":[],\"attachments\":[],"
              "\"embeds\":[],\"components\":[],\"pinned\":false,\"flags\":0,"
              "\"call\":{\"participants\":[\"11\"],\"ended_timestamp\":\"2022-04-20T18:41:07.771000+00:00\"}}");
    arena_fini(&a);
}

TEST(an_ordinary_message_echoes_its_nonce_and_has_no_call)
{
    struct arena a = {0};
    const struct message_rec m = {
        .id = 966406931252150292, .author = 11, .content = BYTES("a\"b"), .nonce = BYTES("n1"), .flags = 4096};
    CHECK_STR(text(&a, present_message(&a, &m, 900, users)),
              "{\"id\":\"966406931252150292\",\"channel_id\":\"900\",\"type\":0,\"content\":\"a\\\"b\",\"author\":" ADA
              ",\"timestamp\":\"2022-04-20T18:36:07.383000+00:00\",\"edited_timestamp\":null,\"tts\":false,"
              "\"mention_everyone\":false,\"mentions\":[],\"mention_roles\":[],\"attachments\":[],"
              "\"embeds\":[],\"components\":[],\"pinned\":false,\"flags\":4096,\"nonce\":\"n1\"}");
    arena_fini(&a);
}

TEST(id_lists_keep_their_order)
{
    struct arena a = {0};
    const struct ids ids = {3, (const uint64_t[]){5, 3, 9}};
    struct ids less = ids_without(&a, ids, 3), same = ids_with(&a, ids, 9), more = ids_with(&a, ids, 1);
    CHECK_EQ(less.n, 2);
    CHECK_EQ(less.v[1], 9);
    CHECK_EQ(same.n, 3);
    CHECK_EQ(more.n, 4);
    CHECK_EQ(more.v[3], 1);
    CHECK_TRUE(ids_have(more, 1) && !ids_have(less, 3));
    CHECK_EQ(ids_with(&a, (struct ids){0}, 7).v[0], 7);
    arena_fini(&a);
}

MAIN
