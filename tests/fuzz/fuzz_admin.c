// The admin API and tokens: any request, with the right token or not, and any answers of the message service.
// - It has an answer after a few steps; nobody without the admin token gets further than 401.
// - Every command can be packed; an answer has a status and, unless it is 204, JSON.
// - A token that is handed out is one that is accepted, and younger than any revocation before it; a revocation is
// younger
//   than any token before it.
// - No other text is a token: one that is accepted is exactly what would be minted.
#include "admin.h"
#include "errors.h"
#include "fuzz.h"
#include "token.h"

#include <jansson.h>
#include <string.h>

#define ADMIN "0123456789abcdef"
#define SECRET "0123456789abcdef0123456789abcdef"

#define A_GUILD                                                                                                        \
    "{\"id\":\"5\",\"roles\":[{\"id\":\"5\",\"name\":\"@everyone\"},{\"id\":\"6\",\"name\":\"Mods\"}],\"channels\":"   \
    "[{\"id\":\"8\",\"name\":\"Hall\"},{\"id\":\"9\",\"name\":\"Twin\"},{\"id\":\"10\",\"name\":\"Twin\"},7]}"

struct run {
    struct feed in;
    struct arena a;
    struct admin_clock clock;
    uint64_t now;
};

static struct bytes own_bytes(struct run *r, size_t max)
{
    return arena_copy(&r->a, feed_bytes(&r->in, max));
}

// --- requests ---

static void take_request(struct run *r, struct admin_request *q)
{
    static const struct route_row rows[] = {{"GET", "/admin/users"},
                                            {"POST", "/admin/users"},
                                            {"POST", "/admin/users/1/token"},
                                            {"POST", "/admin/users/ann/token"},
                                            {"DELETE", "/admin/users/2/tokens"},
                                            {"POST", "/admin/dms"},
                                            {"POST", "/admin/groups"},
                                            {"POST", "/admin/friends"},
                                            {"POST", "/admin/load"},
                                            {"GET", "/admin/list"},
                                            {"PUT", "/admin/list"},
                                            {"GET", "/admin/guilds"},
                                            {"POST", "/admin/guilds"},
                                            {"GET", "/admin/guilds/Club"},
                                            {"PATCH", "/admin/guilds/Club"},
                                            {"GET", "/admin/guilds/5/members"},
                                            {"PUT", "/admin/guilds/Club/members/ann"},
                                            {"PATCH", "/admin/guilds/Club/members/ann"},
                                            {"DELETE", "/admin/guilds/Club/members/ann"},
                                            {"POST", "/admin/guilds/Club/roles"},
                                            {"PATCH", "/admin/guilds/Club/roles/Mods"},
                                            {"DELETE", "/admin/guilds/Club/roles/6"},
                                            {"POST", "/admin/guilds/Club/channels"},
                                            {"PATCH", "/admin/guilds/Club/channels/Hall"},
                                            {"DELETE", "/admin/guilds/Club/channels/8"},
                                            {"PUT", "/admin/guilds/Club/channels/Hall/roles/Mods"},
                                            {"DELETE", "/admin/guilds/Club/channels/Hall/roles/Mods"},
                                            {"PUT", "/admin/guilds/Club/channels/Hall/members/ann"},
                                            {"DELETE", "/admin/guilds/Club/channels/Hall/members/ann"},
                                            {"POST", "/admin/channels/8/recordings"},
                                            {"GET", "/admin/recordings/77"},
                                            {"DELETE", "/admin/recordings/77"},
                                            {"POST", "/admin/recordings/77/stop"},
                                            {"GET", "/admin/recordings/77/7.ogg"},
                                            {"POST", "/admin/channels/8/plays"},
                                            {"GET", "/admin/plays/5"},
                                            {"DELETE", "/admin/plays/5"}};
    static const char *const bodies[] = {
        "{\"name\":\"x\",\"owner\":\"ann\",\"afk_channel\":\"Hall\",\"afk_timeout\":60}",
        "{\"name\":\"x\",\"permissions\":[\"SPEAK\",\"CONNECT\"],\"color\":255,\"hoist\":true}",
        "{\"name\":\"x\",\"type\":\"stage\",\"parent\":\"Hall\",\"user_limit\":5,\"rtc_region\":null}",
        "{\"allow\":[\"SPEAK\"],\"deny\":[\"VIEW_CHANNEL\"]}",
        "{\"nick\":\"\",\"roles\":[\"Mods\",\"6\"],\"channel\":\"Hall\",\"timeout\":60,\"mute\":true}",
        "{\"channel\":null,\"nick\":null,\"timeout\":0}"};
    uint8_t row = feed_u8(&r->in);
    *q = (struct admin_request){.content_type = BYTES("application/json"),
                                .admin_token = BYTES(ADMIN),
                                .token_secret = BYTES(SECRET),
                                .clock = &r->clock,
                                .now = r->now};
    q->method = rows[row % countof(rows)].method;
    q->path = row < 200 ? bytes_of(rows[row % countof(rows)].path) : own_bytes(r, 255);
    q->authorization = feed_u8(&r->in) != 1 ? BYTES("Bearer " ADMIN) : own_bytes(r, 100);
    q->query = own_bytes(r, 20);
    uint8_t body = feed_u8(&r->in);
    q->body = body < 100 ? bytes_of(bodies[body % countof(bodies)]) : own_bytes(r, 255);
}

static struct answer *an_answer(struct run *r)
{
    static const int64_t errs[] = {OK,          OK,        OK,       OK, API_UNKNOWN_USER, API_INVALID_FORM,
                                   ERR_TIMEOUT, ERR_STATE, INT64_MAX};
    static const char *const bodies[] = {
        "{\"id\":\"7\",\"username\":\"ann\",\"bot\":false}",
        "{\"id\":\"8\"}",
        "{\"users\":[{\"id\":\"7\"},{},5],\"bots\":[{\"id\":\"9\"}]}",
        "{\"code\":50035,\"errors\":{\"username\":{\"_errors\":[{\"code\":\"USERNAME_ALREADY_TAKEN\"}]}}}",
        "[]",
        "{\"id\":7}",
        A_GUILD,
        "{\"guilds\":[{\"id\":\"5\",\"name\":\"Club\"}]}"};
    uint8_t body = feed_u8(&r->in);
    if (body == 255)
        return NULL;
    struct answer *v = arena_take(&r->a, sizeof *v);
    if (body >= 250) { // of a voice node
        const struct recorded_speaker he = {
            .user = 7, .packets = feed_u8(&r->in), .file_bytes = feed_number(&r->in) % 1100000 + 1};
        const struct recorded part = {
            .recording = 77, .runs = feed_flag(&r->in), .state = BYTES("full"), .speakers = {1, &he}};
        v->body = body == 250 ? own_bytes(r, 255) : schema_packed(&r->a, &schema_recorded, &part);
        return v;
    }
    v->err = errs[feed_below(&r->in, countof(errs))];
    v->body = body < 200 ? bytes_of(bodies[body % countof(bodies)]) : own_bytes(r, 255);
    return v;
}

static void check_token(const struct run *r, const json_t *text)
{
    uint64_t user, issued;
    if (!json_is_string(text))
        return;
    CHECK(token_check(bytes_of(json_string_value(text)), BYTES(SECRET), &user, &issued) == OK);
    CHECK(user != 0 && issued >= r->now && issued > r->clock.revoked && issued <= r->clock.minted);
}

// Of the answers that admin.c makes itself; others are the message service's, passed on.
static void check_answer(const struct run *r, const struct admin_out *out, bool passed_on)
{
    CHECK(out->status >= 200 && out->status < 600);
    if (out->type) // sound
        return;
    if (passed_on && !out->body.n)
        return;
    CHECK((out->body.n == 0) == (out->status == 204));
    if (passed_on || !out->body.n)
        return;
    json_t *json = json_loadb(out->body.p, out->body.n, 0, NULL);
    CHECK(json != NULL);
    if (out->status == 200)
        check_token(r, json_object_get(json, "token"));
    json_decref(json);
}

static bool was_given(struct bytes body, const struct answer *const *answers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (answers[i] && answers[i]->body.p == body.p)
            return true;
    return false;
}

// The guild of a command that the operator gives; 0 when it is given in somebody's name.
static uint64_t commands_guild(const struct msg *m)
{
    const struct field *f = m->schema->fields();
    uint64_t user, guild;
    CHECK(strcmp(f[0].name, "user") == 0 && strcmp(f[1].name, "guild") == 0);
    memcpy(&user, (const char *)m->v + f[0].offset, sizeof user);
    memcpy(&guild, (const char *)m->v + f[1].offset, sizeof guild);
    return user ? 0 : guild;
}

static void request(struct run *r)
{
    static const struct bytes nodes[] = {{"node-1", 6}, {"node-2", 6}};
    static const struct play_shown a_play = {.id = 5, .state = "playing", .why = ""};
    const struct answer **answers = arena_take(&r->a, ADMIN_COMMANDS_MAX * sizeof *answers);
    struct admin_request q;
    struct admin_out out = {0};
    uint32_t n = 0;
    take_request(r, &q);
    r->now += feed_u8(&r->in);
    q.now = r->now;
    q.fresh = 77;
    for (unsigned steps = 0;; steps++) {
        CHECK(steps < 6); // a file of the size that is said here comes in two pieces
        admin_step(&r->a, &q, answers, &out);
        if (out.status)
            break;
        CHECK(bytes_is(q.authorization, "Bearer " ADMIN));
        if (out.play) {
            CHECK(out.n == 0);
            q.play = feed_flag(&r->in) ? &a_play : NULL;
            continue;
        }
        CHECK(out.n > 0 && out.n <= ADMIN_COMMANDS_MAX && (out.n == 1 || (!out.every && !out.at.n)));
        n = out.every ? feed_below(&r->in, countof(nodes) + 1) : out.n;
        q.asked = (struct texts){out.every ? n : 0, nodes};
        for (uint32_t i = 0; out.every && i < n; i++)
            answers[i] = an_answer(r);
        for (uint32_t i = 0; !out.every && i < n; i++) {
            const struct token_revoke *revoke = MSG_IS(&out.commands[i], token_revoke);
            CHECK(schema_packed(&r->a, out.commands[i].schema, out.commands[i].v).n > 0);
            if (out.to == BUS_CALL_MANAGER) // in nobody's name, and at the guild that it goes to
                CHECK(commands_guild(&out.commands[i]) == out.key && out.key != 0);
            CHECK(!revoke || (revoke->before > r->clock.minted && revoke->before > r->now));
            answers[i] = an_answer(r);
        }
    }
    CHECK(bytes_is(q.authorization, "Bearer " ADMIN) || out.status == 401);
    check_answer(r, &out, was_given(out.body, answers, n));
}

// --- tokens ---

static void any_token(struct bytes text)
{
    uint64_t user = 1, issued = 2;
    char *own = feed_own(text);
    if (token_check((struct bytes){own, text.n}, BYTES(SECRET), &user, &issued) == OK) {
        struct buf same = {0};
        token_mint(&same, user, issued, BYTES(SECRET));
        CHECK(bytes_eq(buf_bytes(&same), text));
        buf_fini(&same);
    } else {
        CHECK(user == 1 && issued == 2);
    }
    mem_free(own);
}

// A good one, and what becomes of it when it is changed somewhere.
static void minted_token(struct run *r)
{
    uint64_t user = feed_number(&r->in), issued = feed_u64(&r->in), got_user = 0, got_issued = 0;
    user = user ? user : 1;
    struct buf token = {0};
    token_mint(&token, user, issued, BYTES(SECRET));
    CHECK(token.n <= TOKEN_MAX);
    CHECK(token_check(buf_bytes(&token), BYTES(SECRET), &got_user, &got_issued) == OK);
    CHECK(got_user == user && got_issued == issued);
    CHECK(token_check(buf_bytes(&token), BYTES(SECRET "x"), &got_user, &got_issued) == ERR_DENIED);
    struct bytes cut = {token.p, token.n * feed_u8(&r->in) / 256};
    CHECK(token_check(cut, BYTES(SECRET), &got_user, &got_issued) == ERR_DENIED);
    token.p[feed_u8(&r->in) % token.n] ^= (char)(1 + feed_u8(&r->in) % 255);
    CHECK(token_check(buf_bytes(&token), BYTES(SECRET), &got_user, &got_issued) == ERR_DENIED);
    buf_fini(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    r = (struct run){.in = {data, size}, .now = 1700000000000};
    switch (feed_below(&r.in, 4)) {
    case 0:
        any_token(feed_rest(&r.in));
        break;
    case 1:
        minted_token(&r);
        break;
    default:
        for (unsigned n = 0; r.in.n && n < 20; n++)
            request(&r);
        break;
    }
    arena_fini(&r.a);
    return 0;
}
