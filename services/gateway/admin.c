// admin: see admin.h.
#include "admin_private.h"
#include "text.h"
#include "token.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DOCUMENT_MAX (1024u * 1024u)
#define BODY_MAX (2u * 1024u * 1024u) // of anything but sound
#define NAME_MAX_BYTES 64u            // of user_find
#define GROUP_USERS_MIN 1u
#define GROUP_USERS_MAX 10u
#define PAGE_MAX 10000u // of users or private channels
#define CONFLICT 409

// --- answering ---

void admin_reply(struct step *s, int status, struct bytes body)
{
    *s->out = (struct admin_out){.status = status, .body = body};
}

void admin_reply_json(struct step *s, int status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    CHECK(text);
    admin_reply(s, status, arena_copy(s->a, bytes_of(text)));
    free(text);
}

void admin_refuse(struct arena *a, int64_t err, struct admin_out *out)
{
    struct buf body = {0};
    api_error(&body, err);
    *out = (struct admin_out){.status = api_status(err), .body = arena_copy(a, buf_bytes(&body))};
    buf_fini(&body);
}

void admin_refuse_form(struct step *s, const struct fault *fault)
{
    struct buf body = {0};
    api_form_error(&body, fault);
    admin_reply(s, api_status(API_INVALID_FORM), arena_copy(s->a, buf_bytes(&body)));
    buf_fini(&body);
}

bool admin_form(struct step *s, const struct schema *schema, void *out, uint64_t *present)
{
    struct fault fault = {0};
    int err = form_body(s->a, schema, s->r->content_type, s->r->body, out, present, &fault);
    if (err == API_INVALID_FORM)
        admin_refuse_form(s, &fault);
    else if (err)
        admin_refuse(s->a, err, s->out);
    return err == API_OK;
}

static void refuse_taken(struct step *s, const char *field, const char *text)
{
    admin_refuse_form(s, &(struct fault){field, -1, "USERNAME_ALREADY_TAKEN", text});
    s->out->status = CONFLICT;
}

// --- commands and their answers ---

void admin_command(struct step *s, enum bus_kind to, uint64_t key, const struct schema *schema, const void *m)
{
    struct msg *one = arena_take(s->a, sizeof *one);
    void *copy = arena_take(s->a, schema->size);
    memcpy(copy, m, schema->size);
    *one = (struct msg){schema, copy};
    *s->out = (struct admin_out){.to = to, .key = key, .n = 1, .commands = one};
    s->r->stage++;
}
#define COMMAND(s, key, type, m) ADMIN_COMMAND(s, BUS_MESSAGE, key, type, m)

static bool taken(struct bytes body)
{
    json_t *json = json_loadb(body.p, body.n, 0, NULL), *first = NULL;
    first = json_object_get(json_object_get(json_object_get(json, "errors"), "username"), "_errors");
    const char *code = json_string_value(json_object_get(json_array_get(first, 0), "code"));
    bool is = code && strcmp(code, "USERNAME_ALREADY_TAKEN") == 0;
    json_decref(json);
    return is;
}

// True: all `n` went well. Otherwise the first that did not has been passed on.
bool admin_went_well(struct step *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct answer *v = s->answers[i];
        int64_t err = v ? v->err : ERR_TIMEOUT;
        if (err == OK)
            continue;
        if (err == API_INVALID_FORM && v->body.n)
            admin_reply(s, taken(v->body) ? CONFLICT : api_status(err), v->body);
        else
            admin_refuse(s->a, err, s->out);
        return false;
    }
    return true;
}

json_t *admin_answer(struct step *s, uint32_t i)
{
    struct bytes body = s->answers[i]->body;
    return body.n ? json_loadb(body.p, body.n, 0, NULL) : NULL;
}

uint64_t admin_u64(const json_t *j)
{
    uint64_t v = 0;
    if (json_is_string(j) && bytes_u64((struct bytes){json_string_value(j), json_string_length(j)}, &v) == OK)
        return v;
    return 0;
}

// The id in an answer that shows a user; 0 when it shows none.
uint64_t admin_answered_id(struct step *s, uint32_t i)
{
    json_t *json = admin_answer(s, i);
    uint64_t id = admin_u64(json_object_get(json, "id"));
    json_decref(json);
    return id;
}

// --- users ---

static void put_token(struct step *s, json_t *user)
{
    struct admin_clock *clock = s->r->clock;
    uint64_t at = s->r->now > clock->revoked ? s->r->now : clock->revoked + 1;
    struct buf token = {0};
    clock->minted = at > clock->minted ? at : clock->minted;
    token_mint(&token, admin_u64(json_object_get(user, "id")), at, s->r->token_secret);
    json_object_set_new(user, "token", json_stringn(token.p, token.n));
    buf_fini(&token);
}

// An answer of the message service that is not what it should be.
void admin_refuse_nonsense(struct step *s)
{
    admin_refuse(s->a, ERR_INVALID, s->out);
}

static void reply_user(struct step *s, json_t *user)
{
    if (admin_u64(json_object_get(user, "id")) == 0) {
        admin_refuse_nonsense(s);
        return;
    }
    put_token(s, user);
    admin_reply_json(s, 200, user);
}

// Whoever the name or id is: the user's record is asked for first.
struct msg admin_find(struct step *s, struct bytes name)
{
    struct user_find *find = arena_take(s->a, sizeof *find);
    find->name = name;
    return (struct msg){&schema_user_find, find};
}

bool admin_findable(struct bytes name)
{
    return name.n <= NAME_MAX_BYTES && text_is_utf8(name);
}

static void find(struct step *s, struct bytes name)
{
    if (!admin_findable(name)) {
        admin_refuse(s->a, API_UNKNOWN_USER, s->out);
        return;
    }
    const struct msg m = admin_find(s, name);
    admin_command(s, BUS_MESSAGE, 0, m.schema, m.v);
}

static void put_user(struct step *s)
{
    const struct a_user *u = &s->r->user;
    const struct user_put put = {.id = u->id, .username = u->username, .global_name = u->global_name, .bot = u->bot};
    s->r->stage = 1;
    COMMAND(s, put.id, user_put, &put);
}

// With an id of one's own: nobody may have it yet, else he would be given another name.
static void admin_user_add(struct step *s)
{
    if (s->r->stage == 0) {
        if (!admin_form(s, &schema_a_user, &s->r->user, NULL))
            return;
        if (s->r->user.id)
            find(s, arena_printf(s->a, "%llu", (unsigned long long)s->r->user.id));
        else
            put_user(s);
    } else if (s->r->stage == 1) {
        if (s->answers[0] && s->answers[0]->err == API_UNKNOWN_USER)
            put_user(s);
        else if (admin_went_well(s, 1))
            refuse_taken(s, "id", "Somebody has this id already.");
    } else if (admin_went_well(s, 1)) {
        json_t *user = admin_answer(s, 0);
        reply_user(s, user);
        json_decref(user);
    }
}

// ?after=ID&limit=N: a page of them.
static void list_page(struct step *s, struct directory_list list)
{
    struct fault fault = {0};
    bool has_after;
    if (form_query_id(s->a, s->r->query, "after", &list.after, &has_after, &fault) ||
        form_query_number(s->a, s->r->query, "limit", 1, PAGE_MAX, &list.limit, &fault))
        admin_refuse_form(s, &fault);
    else if (s->r->stage == 0)
        COMMAND(s, 0, directory_list, &list);
    else if (admin_went_well(s, 1))
        admin_reply(s, 200, s->answers[0]->body);
}

static void admin_user_list(struct step *s)
{
    list_page(s, (struct directory_list){.users_only = true});
}

static void admin_channel_list(struct step *s)
{
    list_page(s, (struct directory_list){.channels_only = true});
}

static void admin_token(struct step *s)
{
    if (s->r->stage == 0) {
        find(s, s->route.param[0]);
        return;
    }
    if (!admin_went_well(s, 1))
        return;
    json_t *found = admin_answer(s, 0), *user = json_object();
    json_object_set(user, "id", json_object_get(found, "id"));
    json_object_set(user, "username", json_object_get(found, "username"));
    reply_user(s, user);
    json_decref(user);
    json_decref(found);
}

static void admin_revoke(struct step *s)
{
    struct admin_clock *clock = s->r->clock;
    if (s->r->stage == 0) {
        find(s, s->route.param[0]);
    } else if (s->r->stage == 1 && admin_went_well(s, 1)) {
        uint64_t before = (s->r->now > clock->minted ? s->r->now : clock->minted) + 1; // those of this moment too
        const struct token_revoke revoke = {.user = admin_answered_id(s, 0), .before = before};
        clock->revoked = before;
        COMMAND(s, revoke.user, token_revoke, &revoke);
    } else if (s->r->stage == 2 && admin_went_well(s, 1)) {
        admin_reply(s, 204, BYTES_NONE);
    }
}

// --- what concerns several users ---

// Asks for all that the body names, its owner last.
static void find_users(struct step *s, uint32_t min, uint32_t max)
{
    struct a_users *body = &s->r->users;
    if (!admin_form(s, &schema_a_users, body, NULL))
        return;
    if (body->users.n < min || body->users.n > max) {
        admin_refuse_form(s,
                          &(struct fault){"users", -1, "BASE_TYPE_BAD_LENGTH",
                                          max == 2 ? "Must be 2 in length." : "Must be between 1 and 10 in length."});
        return;
    }
    struct msg *finds = arena_take(s->a, ADMIN_COMMANDS_MAX * sizeof *finds);
    uint32_t n = 0;
    for (uint32_t i = 0; i < body->users.n; i++)
        finds[n++] = admin_find(s, body->users.v[i]);
    if (body->owner.p)
        finds[n++] = admin_find(s, body->owner);
    *s->out = (struct admin_out){.to = BUS_MESSAGE, .n = n, .commands = finds};
    s->r->stage++;
}

// Those ids. False: somebody is unknown, which has been said.
static bool found_users(struct step *s, uint64_t ids[ADMIN_COMMANDS_MAX], uint32_t *n)
{
    *n = s->r->users.users.n + (s->r->users.owner.p ? 1 : 0);
    if (!admin_went_well(s, *n))
        return false;
    for (uint32_t i = 0; i < *n; i++) {
        ids[i] = admin_answered_id(s, i);
        if (ids[i] == 0) {
            admin_refuse_nonsense(s);
            return false;
        }
    }
    return true;
}

static void admin_dm(struct step *s)
{
    uint64_t *ids = arena_take(s->a, ADMIN_COMMANDS_MAX * sizeof *ids);
    uint32_t n;
    if (s->r->stage == 0) {
        find_users(s, 2, 2);
    } else if (s->r->stage == 1 && found_users(s, ids, &n)) {
        const struct channel_open open = {.user = ids[0], .recipients = {1, ids + 1}};
        COMMAND(s, open.user, channel_open, &open);
    } else if (s->r->stage == 2 && admin_went_well(s, 1)) {
        admin_reply(s, 200, s->answers[0]->body);
    }
}

static void admin_group(struct step *s)
{
    uint64_t *ids = arena_take(s->a, ADMIN_COMMANDS_MAX * sizeof *ids);
    uint32_t n;
    if (s->r->stage == 0) {
        find_users(s, GROUP_USERS_MIN, GROUP_USERS_MAX);
    } else if (s->r->stage == 1 && found_users(s, ids, &n)) {
        struct channel_open open = {.user = s->r->users.owner.p ? ids[n - 1] : ids[0], .group = true};
        open.recipients = (struct ids){s->r->users.users.n, ids};
        open.name = s->r->users.name;
        COMMAND(s, open.user, channel_open, &open);
    } else if (s->r->stage == 2 && admin_went_well(s, 1)) {
        admin_reply(s, 200, s->answers[0]->body);
    }
}

static void admin_friends(struct step *s)
{
    uint64_t ids[ADMIN_COMMANDS_MAX];
    uint32_t n;
    if (s->r->stage == 0) {
        find_users(s, 2, 2);
    } else if (s->r->stage == 1 && found_users(s, ids, &n)) {
        const struct relationship_put put = {.user = ids[0], .target = ids[1], .type = 1, .by_admin = true};
        COMMAND(s, put.user, relationship_put, &put);
    } else if (s->r->stage == 2 && admin_went_well(s, 1)) {
        admin_reply(s, 204, BYTES_NONE);
    }
}

// --- worlds ---

static void put_tokens(struct step *s, json_t *users)
{
    size_t n = json_array_size(users);
    for (size_t i = 0; i < n; i++)
        if (json_is_object(json_array_get(users, i)))
            put_token(s, json_array_get(users, i));
}

static void admin_load(struct step *s)
{
    const struct world_load load = {.document = s->r->body};
    if (s->r->stage == 0) {
        if (load.document.n > DOCUMENT_MAX) {
            admin_refuse_form(s, &(struct fault){NULL, -1, "BASE_TYPE_MAX_LENGTH", "The document is too large."});
            return;
        }
        COMMAND(s, 0, world_load, &load);
        s->out->slow = true;
    } else if (admin_went_well(s, 1)) {
        json_t *world = admin_answer(s, 0);
        put_tokens(s, json_object_get(world, "users"));
        put_tokens(s, json_object_get(world, "bots"));
        if (world)
            admin_reply_json(s, 200, world);
        else
            admin_refuse_nonsense(s);
        json_decref(world);
    }
}

static void admin_list(struct step *s)
{
    const struct directory_list list = {0};
    if (s->r->stage == 0)
        COMMAND(s, 0, directory_list, &list);
    else if (admin_went_well(s, 1))
        admin_reply(s, 200, s->answers[0]->body);
}

// --- the way to a handler ---

// Takes as long for any token of the right length.
static bool is_admin(const struct admin_request *r)
{
    static const char scheme[] = "Bearer ";
    struct bytes had = r->authorization;
    if (had.n < sizeof scheme - 1 || memcmp(had.p, scheme, sizeof scheme - 1) != 0)
        return false;
    had = (struct bytes){had.p + sizeof scheme - 1, had.n - (sizeof scheme - 1)};
    return had.n == r->admin_token.n && sodium_memcmp(had.p, r->admin_token.p, had.n) == 0;
}

static bool type_is(struct bytes type, const char *wanted)
{
    size_t n = 0;
    while (n < type.n && type.p[n] != ';' && type.p[n] != ' ')
        n++;
    return n == strlen(wanted) && strncasecmp(type.p, wanted, n) == 0;
}

static bool is_sound(const struct admin_request *r)
{
    static const char plays[] = "/plays";
    size_t n = sizeof plays - 1;
    return r->path.n > n && memcmp(r->path.p + r->path.n - n, plays, n) == 0;
}

// A form of a web page cannot say this, and a script cannot without asking first, which nobody answers.
static bool has_type(const struct admin_request *r)
{
    struct bytes type = r->content_type;
    if (r->body.n == 0 || (!is_sound(r) && type_is(type, "application/json")))
        return true;
    return is_sound(r) &&
           (type_is(type, "audio/ogg") || type_is(type, "application/ogg") || type_is(type, "audio/opus"));
}

#define ADMIN_ROUTES(R)                                                                                                \
    R("GET", "/admin/users", admin_user_list)                                                                          \
    R("GET", "/admin/channels", admin_channel_list)                                                                    \
    R("POST", "/admin/users", admin_user_add)                                                                          \
    R("POST", "/admin/users/:user/token", admin_token)                                                                 \
    R("DELETE", "/admin/users/:user/tokens", admin_revoke)                                                             \
    R("POST", "/admin/dms", admin_dm)                                                                                  \
    R("POST", "/admin/groups", admin_group)                                                                            \
    R("POST", "/admin/friends", admin_friends)                                                                         \
    R("POST", "/admin/load", admin_load)                                                                               \
    R("GET", "/admin/list", admin_list)                                                                                \
    ADMIN_GUILD_ROUTES(R)                                                                                              \
    ADMIN_VOICE_ROUTES(R)

void admin_step(struct arena *a, struct admin_request *r, const struct answer *const *answers, struct admin_out *out)
{
#define ROW(method, path, handler) {method, path},
    static const struct route_row paths[] = {ADMIN_ROUTES(ROW)};
#undef ROW
#define ROW(method, path, handler) handler,
    static void (*const handlers[])(struct step *) = {ADMIN_ROUTES(ROW)};
#undef ROW
    struct step s = {.a = a, .r = r, .answers = answers, .out = out};
    *out = (struct admin_out){0};
    if (!is_admin(r)) {
        admin_reply(&s, 401, BYTES("{\"message\":\"401: Unauthorized\",\"code\":0}"));
        return;
    }
    if (!has_type(r)) {
        admin_reply(&s, 415, BYTES("{\"message\":\"415: Unsupported Media Type\",\"code\":0}"));
        return;
    }
    if (r->body.n > BODY_MAX && !is_sound(r)) {
        admin_reply(&s, 413, BYTES("{\"message\":\"Request entity too large\",\"code\":40005}"));
        return;
    }
    switch (route_find(paths, countof(paths), r->method, r->path, &s.route)) {
    case ROUTE_UNKNOWN:
        admin_reply(&s, ROUTE_UNKNOWN, BYTES("{\"message\":\"404: Not Found\",\"code\":0}"));
        return;
    case ROUTE_METHOD:
        admin_reply(&s, ROUTE_METHOD, BYTES("{\"message\":\"405: Method Not Allowed\",\"code\":0}"));
        return;
    }
    handlers[s.route.row](&s);
}
