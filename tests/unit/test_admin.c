// admin: who may, what each request asks of the message service, and what becomes of its answers.
#include "admin_told.h"
#include "check.h"
#include "token.h"

#include <inttypes.h>

#define ADMIN_TOKEN "0123456789abcdef"
#define TOKEN_SECRET "0123456789abcdef0123456789abcdef"
#define NOW 1700000000000ull
#define E401 "401 {\"message\":\"401: Unauthorized\",\"code\":0}"

static struct admin_clock watch;

static struct admin_request request(const char *method, const char *path, const char *body)
{
    return (struct admin_request){.method = method,
                                  .path = bytes_of(path),
                                  .content_type = BYTES("application/json"),
                                  .authorization = BYTES("Bearer " ADMIN_TOKEN),
                                  .body = bytes_of(body),
                                  .admin_token = BYTES(ADMIN_TOKEN),
                                  .token_secret = BYTES(TOKEN_SECRET),
                                  .clock = &watch,
                                  .now = NOW};
}

static const char *first(struct admin_request *r)
{
    struct admin_out out;
    admin_step(&arena, r, NULL, &out);
    return told(&out);
}

struct said {
    int64_t err;
    const char *body;
};
static const char *then(struct admin_request *r, uint32_t n, const struct said *said)
{
    struct admin_out out;
    struct answer *answers = arena_take(&arena, n * sizeof *answers);
    const struct answer **v = arena_take(&arena, n * sizeof *v);
    for (uint32_t i = 0; i < n; i++) {
        answers[i] = (struct answer){.err = said[i].err, .body = bytes_of(said[i].body)};
        v[i] = said[i].body ? &answers[i] : NULL;
    }
    admin_step(&arena, r, v, &out);
    return told(&out);
}
#define THEN(r, ...)                                                                                                   \
    then((r), sizeof((const struct said[]){__VA_ARGS__}) / sizeof(struct said), (const struct said[]){__VA_ARGS__})
#define SILENCE                                                                                                        \
    {                                                                                                                  \
        0, NULL                                                                                                        \
    }

// The token in an answer: whose it is and of when.
static uint64_t token_user(const char *answer, uint64_t *issued)
{
    static const char key[] = "\"token\":\"";
    const char *at = strstr(answer, key);
    uint64_t user = 0;
    *issued = 0;
    if (!at)
        return 0;
    at += sizeof key - 1;
    return token_check((struct bytes){at, strcspn(at, "\"")}, BYTES(TOKEN_SECRET), &user, issued) == OK ? user : 0;
}

static void CHECK_STARTS(const char *text, const char *start)
{
    CHECK_STR(arena_text(&arena, (struct bytes){text, strlen(text) < strlen(start) ? strlen(text) : strlen(start)}),
              start);
}

TEST(a_body_has_to_say_that_it_is_json)
{
    static const struct {
        const char *type;
        bool taken;
    } rows[] = {
        {"application/json", true},
        {"Application/JSON; charset=utf-8", true},
        {"", false},
        {"text/plain", false},
        {"application/jsonp", false},
        {"application/x-www-form-urlencoded", false},
        {"multipart/form-data; boundary=x", false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct admin_request r = request("POST", "/admin/load", "{}"), bare = request("GET", "/admin/list", "");
        r.content_type = bare.content_type = bytes_of(rows[i].type);
        if (rows[i].taken)
            CHECK_STARTS(first(&r), "0 world_load");
        else
            CHECK_STR(first(&r), "415 {\"message\":\"415: Unsupported Media Type\",\"code\":0}");
        CHECK_STARTS(first(&bare), "0 directory_list");
    }
}

TEST(only_the_admin_token_opens_anything)
{
    static const char *const wrong[] = {"",
                                        "Bearer",
                                        "Bearer ",
                                        ADMIN_TOKEN,
                                        ("Bot " ADMIN_TOKEN),
                                        "Bearer 0123456789abcdeF",
                                        "Bearer 0123456789abcde",
                                        "Bearer 0123456789abcdef0",
                                        "Bearer  0123456789abcdef",
                                        "bearer 0123456789abcdef",
                                        "Bearer 1123456789abcdef"};
    static const char *const paths[] = {"/admin/users", "/admin/list", "/admin/nothing", "/"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (size_t k = 0; k < sizeof paths / sizeof paths[0]; k++) {
            struct admin_request r = request("GET", paths[k], "");
            r.authorization = bytes_of(wrong[i]);
            CHECK_STR(first(&r), E401);
        }
    }
    arena_fini(&arena);
}

TEST(paths_and_methods)
{
    static const struct {
        const char *method, *path, *want;
    } rows[] = {
        {"GET", "/admin/users",
         "0 directory_list{users_only=true guilds_only=false channels_only=false after=0 limit=0}"},
        {"GET", "/admin/channels",
         "0 directory_list{users_only=false guilds_only=false channels_only=true after=0 limit=0}"},
        {"GET", "/admin/list",
         "0 directory_list{users_only=false guilds_only=false channels_only=false after=0 limit=0}"},
        {"POST", "/admin/users/ada/token", "0 user_find{name=\"ada\"}"},
        {"DELETE", "/admin/users/11/tokens", "0 user_find{name=\"11\"}"},
        {"GET", "/admin", "404 {\"message\":\"404: Not Found\",\"code\":0}"},
        {"GET", "/api/gateway", "404 {\"message\":\"404: Not Found\",\"code\":0}"},
        {"GET", "/admin/users/ada", "404 {\"message\":\"404: Not Found\",\"code\":0}"},
        {"DELETE", "/admin/users", "405 {\"message\":\"405: Method Not Allowed\",\"code\":0}"},
        {"POST", "/admin/list", "405 {\"message\":\"405: Method Not Allowed\",\"code\":0}"},
        {"GET", "/admin/users/ada/token", "405 {\"message\":\"405: Method Not Allowed\",\"code\":0}"},
        {"POST", "/admin/dms",
         "400 {\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"users\":{"
         "\"_errors\":[{\"code\":\"BASE_TYPE_BAD_LENGTH\",\"message\":\"Must be 2 in length.\"}"
         "]}}}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct admin_request r = request(rows[i].method, rows[i].path, "");
        CHECK_STR(first(&r), rows[i].want);
    }
    arena_fini(&arena);
}

TEST(a_new_user_is_told_with_a_token)
{
    struct admin_request r = request("POST", "/admin/users", "{\"username\":\"ann\",\"global_name\":\"Ann\"}");
    uint64_t issued;
    CHECK_STR(first(&r), "0 user_put{id=0 username=\"ann\" global_name=\"Ann\" bot=false}");
    const char *made = THEN(&r, {OK, "{\"id\":\"11\",\"username\":\"ann\",\"global_name\":\"Ann\",\"bot\":false}"});
    CHECK_STARTS(made, "200 {\"id\":\"11\",\"username\":\"ann\",\"global_name\":\"Ann\",\"bot\":false,\"token\":\"");
    CHECK_EQ(token_user(made, &issued), 11);
    CHECK_EQ(issued, NOW);
    arena_fini(&arena);
}

TEST(a_name_that_is_taken_is_a_conflict)
{
    static const char body[] =
        "{\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"username\":{\"_errors\":[{"
        "\"code\":\"USERNAME_ALREADY_TAKEN\",\"message\":\"Username is already taken.\"}]}}}";
    static const char other[] =
        "{\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"username\":{\"_errors\":["
        "{\"code\":\"USERNAME_INVALID\",\"message\":\"x\"}]}}}";
    struct admin_request r = request("POST", "/admin/users", "{\"username\":\"ann\",\"bot\":true}");
    CHECK_STR(first(&r), "0 user_put{id=0 username=\"ann\" global_name=\"\" bot=true}");
    CHECK_STARTS(THEN(&r, {50035, body}), "409 {\"message\":\"Invalid Form Body\",\"code\":50035,");
    r = request("POST", "/admin/users", "{\"username\":\"ann\"}");
    first(&r);
    CHECK_STARTS(THEN(&r, {50035, other}), "400 ");
    arena_fini(&arena);
}

TEST(an_id_of_ones_own_must_be_free)
{
    static const char body[] = "{\"username\":\"ann\",\"id\":\"800\"}";
    struct admin_request r = request("POST", "/admin/users", body);
    CHECK_STR(first(&r), "0 user_find{name=\"800\"}");
    CHECK_STARTS(THEN(&r, {OK, "{\"id\":\"800\"}"}), "409 {\"message\":\"");
    r = request("POST", "/admin/users", body);
    first(&r);
    CHECK_STR(THEN(&r, {10013, ""}), "800 user_put{id=800 username=\"ann\" global_name=\"\" bot=false}");
    uint64_t issued;
    CHECK_EQ(token_user(THEN(&r, {OK, "{\"id\":\"800\",\"username\":\"ann\"}"}), &issued), 800);
    r = request("POST", "/admin/users", body);
    first(&r);
    CHECK_STARTS(THEN(&r, SILENCE), "503 ");
    arena_fini(&arena);
}

TEST(what_is_no_user_is_refused)
{
    static const char *const bodies[] = {"[]",
                                         "7",
                                         "{\"username\":7}",
                                         "{\"username\":null}",
                                         "{\"username\":\"123456789012345678901234567890123\"}",
                                         "{\"id\":\"x\"}",
                                         "{\"id\":\"9223372036854775809\"}",
                                         "{",
                                         "{\"bot\":1}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct admin_request r = request("POST", "/admin/users", bodies[i]);
        CHECK_STARTS(first(&r), "400 {\"message\":\"");
    }
    struct admin_request r = request("POST", "/admin/users", "{}");
    CHECK_STR(first(&r), "0 user_put{id=0 username=\"\" global_name=\"\" bot=false}"); // the service knows why not
    arena_fini(&arena);
}

TEST(tokens_are_minted_for_whoever_is_found)
{
    struct admin_request r = request("POST", "/admin/users/ada/token", "");
    uint64_t issued;
    first(&r);
    const char *made = THEN(&r, {OK, "{\"id\":\"12\",\"username\":\"ada\",\"discriminator\":\"0\",\"avatar\":null}"});
    CHECK_STARTS(made, "200 {\"id\":\"12\",\"username\":\"ada\",\"token\":\"");
    CHECK_EQ(token_user(made, &issued), 12);
    r = request("POST", "/admin/users/nobody/token", "");
    first(&r);
    CHECK_STR(THEN(&r, {10013, ""}), "404 {\"message\":\"Unknown User\",\"code\":10013}");
    r = request("POST", "/admin/users/ada/token", "");
    first(&r);
    CHECK_STARTS(THEN(&r, {OK, "nonsense"}), "500 ");
    arena_fini(&arena);
}

TEST(a_name_that_nobody_can_have_is_unknown)
{
    static const char unknown[] = "404 {\"message\":\"Unknown User\",\"code\":10013}";
    char path[120];
    struct admin_request r = request("POST", "/admin/users/\xff\xfe/token", "");
    CHECK_STR(first(&r), unknown);
    snprintf(path, sizeof path, "/admin/users/%065d/token", 7);
    r = request("POST", path, "");
    CHECK_STR(first(&r), unknown);
    arena_fini(&arena);
}

TEST(revoking_and_minting_never_fall_into_one_millisecond)
{
    uint64_t issued, later;
    watch = (struct admin_clock){0};
    struct admin_request r = request("POST", "/admin/users/ada/token", "");
    first(&r);
    token_user(THEN(&r, {OK, "{\"id\":\"12\",\"username\":\"ada\"}"}), &issued);
    CHECK_EQ(issued, NOW);
    r = request("DELETE", "/admin/users/ada/tokens", "");
    first(&r);
    CHECK_STR(THEN(&r, {OK, "{\"id\":\"12\",\"username\":\"ada\"}"}), "12 token_revoke{user=12 before=1700000000001}");
    CHECK_STR(THEN(&r, {OK, ""}), "204");
    r = request("POST", "/admin/users/ada/token", "");
    first(&r);
    token_user(THEN(&r, {OK, "{\"id\":\"12\",\"username\":\"ada\"}"}), &later);
    CHECK_EQ(later, NOW + 2);
    r = request("DELETE", "/admin/users/ada/tokens", "");
    first(&r);
    CHECK_STR(THEN(&r, {OK, "{\"id\":\"12\",\"username\":\"ada\"}"}), "12 token_revoke{user=12 before=1700000000003}");
    r = request("DELETE", "/admin/users/nobody/tokens", "");
    first(&r);
    CHECK_STARTS(THEN(&r, {10013, ""}), "404 ");
    watch = (struct admin_clock){0};
    arena_fini(&arena);
}

TEST(a_dm_is_opened_by_the_first_for_the_second)
{
    struct admin_request r = request("POST", "/admin/dms", "{\"users\":[\"ada\",\"22\"]}");
    CHECK_STR(first(&r), "0 user_find{name=\"ada\"} user_find{name=\"22\"}");
    CHECK_STR(THEN(&r, {OK, "{\"id\":\"11\"}"}, {OK, "{\"id\":\"22\"}"}),
              "11 channel_open{user=11 recipients=[22] group=false name=\"\"}");
    CHECK_STR(THEN(&r, {OK, "{\"id\":\"900\",\"type\":1}"}), "200 {\"id\":\"900\",\"type\":1}");
    r = request("POST", "/admin/dms", "{\"users\":[\"ada\",\"nobody\"]}");
    first(&r);
    CHECK_STARTS(THEN(&r, {OK, "{\"id\":\"11\"}"}, {10013, ""}), "404 {\"message\":\"Unknown User\"");
    r = request("POST", "/admin/dms", "{\"users\":[\"ada\",\"ben\"]}");
    first(&r);
    CHECK_STARTS(THEN(&r, {OK, "{\"id\":\"11\"}"}, SILENCE), "503 ");
    r = request("POST", "/admin/dms", "{\"users\":[\"ada\",\"ben\"]}");
    first(&r);
    CHECK_STARTS(THEN(&r, {OK, "{\"id\":\"11\"}"}, {OK, "{\"id\":0}"}), "500 ");
    arena_fini(&arena);
}

TEST(a_group_belongs_to_its_owner_or_the_first)
{
    struct admin_request r = request("POST", "/admin/groups", "{\"users\":[\"ada\",\"ben\"],\"name\":\"duo\"}");
    CHECK_STR(first(&r), "0 user_find{name=\"ada\"} user_find{name=\"ben\"}");
    CHECK_STR(THEN(&r, {OK, "{\"id\":\"11\"}"}, {OK, "{\"id\":\"22\"}"}),
              "11 channel_open{user=11 recipients=[11,22] group=true name=\"duo\"}");
    r = request("POST", "/admin/groups", "{\"users\":[\"ada\",\"ben\"],\"owner\":\"cleo\"}");
    CHECK_STR(first(&r), "0 user_find{name=\"ada\"} user_find{name=\"ben\"} user_find{name=\"cleo\"}");
    CHECK_STR(THEN(&r, {OK, "{\"id\":\"11\"}"}, {OK, "{\"id\":\"22\"}"}, {OK, "{\"id\":\"33\"}"}),
              "33 channel_open{user=33 recipients=[11,22] group=true name=\"\"}");
    CHECK_STR(THEN(&r, {30004, ""}), "400 {\"message\":\"Maximum number of recipients reached (10)\",\"code\":30004}");
    r = request("POST", "/admin/groups", "{\"users\":[],\"name\":\"none\"}");
    CHECK_STARTS(first(&r), "400 ");
    r = request("POST", "/admin/groups", "{\"users\":[1,2]}");
    CHECK_STARTS(first(&r), "400 ");
    r = request("POST", "/admin/groups",
                "{\"users\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\"],\"owner\":\"11\"}");
    CHECK_STARTS(first(&r), "0 user_find");
    arena_fini(&arena);
}

TEST(friends_are_made_at_once)
{
    struct admin_request r = request("POST", "/admin/friends", "{\"users\":[\"ada\",\"ben\"]}");
    first(&r);
    CHECK_STR(THEN(&r, {OK, "{\"id\":\"11\"}"}, {OK, "{\"id\":\"22\"}"}),
              "11 relationship_put{user=11 target=22 type=1 by_admin=true}");
    CHECK_STR(THEN(&r, {OK, ""}), "204");
    r = request("POST", "/admin/friends", "{\"users\":[\"ada\"]}");
    CHECK_STARTS(first(&r), "400 ");
    arena_fini(&arena);
}

TEST(a_loaded_world_is_told_with_tokens)
{
    struct admin_request r = request("POST", "/admin/load", "{\"users\":[]}");
    uint64_t issued;
    CHECK_STR(first(&r), "0 world_load{document=<12 bytes>}");
    const char *loaded = THEN(&r, {OK, "{\"users\":[{\"id\":\"11\",\"username\":\"ada\"}],\"bots\":[{\"id\":\"44\","
                                       "\"username\":\"dj\"}],\"dms\":[{\"id\":\"900\",\"users\":[\"11\",\"22\"]}],"
                                       "\"groups\":[],\"guilds\":[]}"});
    CHECK_STARTS(loaded, "200 {\"users\":[{\"id\":\"11\",\"username\":\"ada\",\"token\":\"");
    CHECK_EQ(token_user(loaded, &issued), 11);
    CHECK_EQ(token_user(strstr(loaded, "\"bots\""), &issued), 44);
    CHECK_TRUE(
        strstr(loaded, "\"}],\"dms\":[{\"id\":\"900\",\"users\":[\"11\",\"22\"]}],\"groups\":[],\"guilds\":[]}"));
    r = request("POST", "/admin/load", "x");
    CHECK_STR(first(&r), "0 world_load{document=<1 bytes>}");
    CHECK_STR(THEN(&r, {50109, ""}), "400 {\"message\":\"The request body contains invalid JSON.\",\"code\":50109}");
    r = request("POST", "/admin/load", "{}");
    first(&r);
    CHECK_STARTS(THEN(&r, {OK, "nonsense"}), "500 ");
    arena_fini(&arena);
}

TEST(a_document_that_fits_no_message_is_refused)
{
    size_t n = 1024 * 1024 + 1;
    char *much = malloc(n);
    struct admin_request r = request("POST", "/admin/load", "");
    memset(much, ' ', n);
    r.body = (struct bytes){much, n};
    CHECK_STARTS(first(&r), "400 ");
    r.body.n = n - 1;
    CHECK_STARTS(first(&r), "0 world_load");
    free(much);
    arena_fini(&arena);
}

TEST(lists_are_passed_on)
{
    struct admin_request r = request("GET", "/admin/users", "");
    r.query = BYTES("after=7&limit=10000");
    CHECK_STR(first(&r), "0 directory_list{users_only=true guilds_only=false channels_only=false after=7 limit=10000}");
    r = request("GET", "/admin/users", "");
    r.query = BYTES("limit=10001");
    CHECK_STARTS(first(&r), "400 ");
    r = request("GET", "/admin/users", "");
    first(&r);
    CHECK_STR(THEN(&r, {OK, "[{\"id\":\"11\"}]"}), "200 [{\"id\":\"11\"}]");
    r = request("GET", "/admin/list", "");
    first(&r);
    CHECK_STR(THEN(&r, {OK, "{\"users\":[]}"}), "200 {\"users\":[]}");
    r = request("GET", "/admin/list", "");
    first(&r);
    CHECK_STARTS(THEN(&r, SILENCE), "503 ");
    arena_fini(&arena);
}

MAIN
