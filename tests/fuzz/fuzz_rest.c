// REST: any method, path, query, body and content type, by anybody, over a world of any records.
// - A request has an answer, or commands, after a few steps; an answer has a status and, unless it is 204, JSON.
// - Every command can be packed and names the asker; what the other services answer, anything, ends in an answer too.
// - A path is found only as its row says, with its ids; a query's numbers are within the bounds asked for.
// - What a client is told when it logs in (READY and what follows) is JSON, whatever the records hold.
#include "errors.h"
#include "fill.h"
#include "form.h"
#include "ready.h"
#include "rest.h"
#include "view.h"

#include <jansson.h>

enum { ANN = 1, USERS = 4, LISTS_MAX = 4 };

struct run {
    struct feed in;
    struct arena a;
    struct world world;
    struct user_set users;
};

static struct bytes own_bytes(struct run *r, size_t max)
{
    return arena_copy(&r->a, feed_bytes(&r->in, max));
}

// --- the world ---

static void fill_voice(struct run *r, struct loaded_guild *g)
{
    g->n_seats = feed_below(&r->in, g->n_members + 1);
    g->n_rooms = feed_below(&r->in, LISTS_MAX);
    g->n_stages = feed_below(&r->in, LISTS_MAX);
    struct voice_seat *seats = arena_take(&r->a, g->n_seats * sizeof *seats);
    struct voice_room *rooms = arena_take(&r->a, g->n_rooms * sizeof *rooms);
    struct stage *stages = arena_take(&r->a, g->n_stages * sizeof *stages);
    for (uint32_t i = 0; i < g->n_seats; i++) {
        FILL(&r->a, &r->in, voice_seat, &seats[i]);
        seats[i].user = ANN + i; // a member
        seats[i].channel = 1 + feed_below(&r->in, 4);
    }
    for (uint32_t i = 0; i < g->n_rooms; i++) {
        FILL(&r->a, &r->in, voice_room, &rooms[i]);
        rooms[i].channel = 1 + i;
    }
    for (uint32_t i = 0; i < g->n_stages; i++) {
        FILL(&r->a, &r->in, stage, &stages[i]);
        stages[i].channel = 1 + i;
    }
    g->seats = seats;
    g->rooms = rooms;
    g->stages = stages;
}

static void fill_guild(struct run *r, struct loaded_guild *g)
{
    FILL(&r->a, &r->in, guild, &g->guild);
    g->guild.id = (uint64_t)1 << 22 | feed_below(&r->in, 3);
    g->roles.n = 1 + feed_below(&r->in, LISTS_MAX);
    g->n_channels = feed_below(&r->in, LISTS_MAX);
    g->n_members = feed_below(&r->in, LISTS_MAX);
    struct role *roles = arena_take(&r->a, g->roles.n * sizeof *roles);
    struct guild_channel *channels = arena_take(&r->a, g->n_channels * sizeof *channels);
    struct member *members = arena_take(&r->a, g->n_members * sizeof *members);
    for (uint32_t i = 0; i < g->roles.n; i++)
        FILL(&r->a, &r->in, role, &roles[i]);
    for (uint32_t i = 0; i < g->n_channels; i++) {
        FILL(&r->a, &r->in, guild_channel, &channels[i]);
        channels[i].id = 1 + feed_below(&r->in, 4);
    }
    for (uint32_t i = 0; i < g->n_members; i++) {
        FILL(&r->a, &r->in, member, &members[i]);
        members[i].user = ANN + i; // sorted
    }
    g->member_count = feed_flag(&r->in) ? g->n_members : feed_number(&r->in);
    g->whole = g->n_members >= g->member_count;
    fill_voice(r, g);
    g->roles.v = roles;
    g->channels = channels;
    g->members = members;
}

static void fill_channel(struct run *r, struct loaded_channel *c)
{
    static const uint64_t hers[] = {ANN, ANN + 1};
    c->version = feed_u8(&r->in);
    FILL(&r->a, &r->in, channel, &c->channel);
    c->channel.id = 1 + feed_below(&r->in, 4);
    c->channel.guild &= ~REF_USER_BIT; // no guild has such an id
    if (feed_flag(&r->in))             // a private one of hers
        c->channel.guild = 0, c->channel.recipients = (struct ids){2, hers};
    c->last_message = feed_number(&r->in);
    if (feed_flag(&r->in)) {
        struct call_rec *call = arena_take(&r->a, sizeof *call);
        FILL(&r->a, &r->in, call_rec, call);
        c->call = call;
    }
}

static void fill_world(struct run *r)
{
    struct world *w = &r->world;
    struct user *users = arena_take(&r->a, USERS * sizeof *users);
    for (uint32_t i = 0; i < USERS; i++) {
        FILL(&r->a, &r->in, user, &users[i]);
        users[i].id = ANN + i;
    }
    r->users = w->users = (struct user_set){1 + feed_below(&r->in, USERS), users};
    w->user = users[0];
    w->n_channels = feed_below(&r->in, LISTS_MAX);
    w->n_guilds = feed_below(&r->in, 3);
    w->n_relations = feed_below(&r->in, LISTS_MAX);
    w->n_read_states = feed_below(&r->in, LISTS_MAX);
    struct loaded_channel *channels = arena_take(&r->a, w->n_channels * sizeof *channels);
    struct loaded_guild *guilds = arena_take(&r->a, w->n_guilds * sizeof *guilds);
    struct relation *relations = arena_take(&r->a, w->n_relations * sizeof *relations);
    struct read_state *read_states = arena_take(&r->a, w->n_read_states * sizeof *read_states);
    for (uint32_t i = 0; i < w->n_channels; i++)
        fill_channel(r, &channels[i]);
    for (uint32_t i = 0; i < w->n_guilds; i++)
        fill_guild(r, &guilds[i]);
    for (uint32_t i = 0; i < w->n_relations; i++)
        relations[i] = (struct relation){feed_u8(&r->in), feed_below(&r->in, 5)};
    for (uint32_t i = 0; i < w->n_read_states; i++)
        FILL(&r->a, &r->in, read_state, &read_states[i]);
    w->channels = channels;
    w->guilds = guilds;
    w->relations = relations;
    w->read_states = read_states;
}

// --- a request ---

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"};
static const struct route_row rows[] = {
#define ROUTE(name, method, path, who, status) {method, path},
#include "routes.def"
#undef ROUTE
};

// A row's path with something in the places of its parameters.
static struct bytes path_of_row(struct run *r, uint32_t row)
{
    static const char *const ids[] = {"1", "2", "3", "4194304", "4194305", "0", "18446744073709551615", "x", "", "@me"};
    static const char *const roots[] = {"/api", "/api/v9", "/api/v10", "/api/v5", "", "/api/v9/"};
    struct buf path = {0};
    buf_str(&path, roots[feed_below(&r->in, countof(roots))]);
    for (const char *p = rows[row].path; *p;) {
        if (p[0] == '/' && p[1] == ':') {
            p += 2 + strcspn(p + 2, "/");
            buf_char(&path, '/');
            buf_str(&path, ids[feed_below(&r->in, countof(ids))]);
        } else {
            buf_char(&path, *p++);
        }
    }
    struct bytes kept = arena_copy(&r->a, buf_bytes(&path));
    buf_fini(&path);
    return kept;
}

static const struct schema *const forms[] = {&schema_r_call_recipients, &schema_r_call_region,   &schema_r_open_channel,
                                             &schema_r_message,         &schema_r_ack,           &schema_r_ack_bulk,
                                             &schema_r_ack_item,        &schema_r_channel_edit,  &schema_r_relationship,
                                             &schema_r_member_edit,     &schema_r_voice_state,   &schema_r_guild_edit,
                                             &schema_r_overwrite,       &schema_r_guild_channel, &schema_r_role,
                                             &schema_r_voice_status,    &schema_r_stage,         &schema_r_public_key,
                                             &schema_r_position,        &schema_r_positions};

// Something that a field may be, or may not.
static void put_value(struct run *r, struct buf *out, const struct field *f)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "false",
                                         "0",
                                         "1",
                                         "5",
                                         "-1",
                                         "1.5",
                                         "9223372036854775807",
                                         "\"2\"",
                                         "\"3\"",
                                         "\"\"",
                                         "\"ams\"",
                                         "\"18446744073709551615\"",
                                         "[]",
                                         "{}",
                                         "\"2022-04-20T18:36:07.383Z\"",
                                         "{\"primary_color\":255}"};
    static const char *const items[] = {"\"2\"",
                                        "3",
                                        "\"3\"",
                                        "null",
                                        "{}",
                                        "9223372036854775807",
                                        "\"9223372036854775808\"",
                                        "{\"channel_id\":\"1\",\"message_id\":\"2\"}",
                                        "{\"channel_id\":\"9223372036854775808\",\"message_id\":\"2\"}",
                                        "{\"id\":\"2\",\"type\":1,\"allow\":\"1024\",\"deny\":0}"};
    uint8_t what = feed_u8(&r->in);
    uint32_t n = what < 0xe0 ? (what >> 3) % 5 : f->max + (what & 1);
    if (!(what & 1) && what < 0xe0) {
        buf_str(out, values[(what >> 1) % countof(values)]);
        return;
    }
    if (f->kind != K_ids && f->kind != K_list) { // a text
        buf_char(out, '"');
        for (uint32_t i = 0; i < n; i++)
            buf_char(out, 'x');
        buf_char(out, '"');
        return;
    }
    const char *item = items[feed_below(&r->in, countof(items))];
    buf_char(out, '[');
    for (uint32_t i = 0; i < n; i++)
        buf_printf(out, "%s%s", i ? "," : "", i == 1 ? items[feed_below(&r->in, countof(items))] : item);
    buf_char(out, ']');
}

static struct bytes body_of_form(struct run *r)
{
    const struct schema *s = forms[feed_below(&r->in, countof(forms))];
    const struct field *f = s->fields();
    struct buf out = {0};
    buf_char(&out, '{');
    for (uint32_t i = 0; i < s->n; i++) {
        if (feed_u8(&r->in) == 0)
            continue;
        buf_printf(&out, "%s\"%s\":", out.n > 1 ? "," : "", f[i].name);
        put_value(r, &out, &f[i]);
    }
    buf_char(&out, '}');
    struct bytes kept = arena_copy(&r->a, buf_bytes(&out));
    buf_fini(&out);
    return kept;
}

static void take_request(struct run *r, struct rest_request *q)
{
    static const char *const types[] = {"application/json", "multipart/form-data; boundary=x",
                                        "multipart/form-data; boundary=\"x y\"; z", ""};
    uint8_t row = feed_u8(&r->in);
    *q = (struct rest_request){.url = BYTES("ws://h:1")};
    if (row < countof(rows)) {
        q->method = rows[row].method;
        q->path = path_of_row(r, row);
    } else {
        q->method = methods[feed_below(&r->in, countof(methods))];
        q->path = own_bytes(r, 255);
    }
    q->user = feed_below(&r->in, USERS + 2);
    q->query = own_bytes(r, 255);
    uint8_t type = feed_u8(&r->in);
    q->content_type = type < 8 ? bytes_of(types[type % countof(types)]) : own_bytes(r, 100);
    q->body = feed_flag(&r->in) ? body_of_form(r) : own_bytes(r, 255);
}

// --- what comes of it ---

static void check_json(struct bytes body)
{
    json_t *json = json_loadb(body.p, body.n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    CHECK(json != NULL);
    json_decref(json);
}

static void check_answer(const struct rest_out *out)
{
    CHECK(out->want == REST_ANSWER && out->status >= 200 && out->status < 600);
    CHECK((out->body.n == 0) == (out->status == 204));
    if (out->body.n)
        check_json(out->body);
}

static void load(struct run *r, struct rest_request *q, const struct rest_out *out)
{
    static const int errs[] = {OK, OK, OK, ERR_MISSING, ERR_IO, ERR_TIMEOUT};
    q->had = out->want;
    q->err = errs[feed_below(&r->in, countof(errs))];
    if (out->want == REST_LOAD_USERS && q->err == ERR_MISSING)
        q->err = OK;
    bool well = q->err == OK, world = out->want == REST_LOAD_WORLD || out->want == REST_LOAD_GUILD;
    q->users = well && !world ? r->users : (struct user_set){0};
    q->world = well && world ? &r->world : NULL;
    q->n_members = 0;
    if (well && out->want == REST_LOAD_MEMBERS && r->world.n_guilds) {
        q->n_members = r->world.guilds[0].n_members;
        q->members = r->world.guilds[0].members;
    }
    q->channel = NULL;
    if (!well || out->want != REST_LOAD_CHANNEL)
        return;
    if (r->world.n_channels)
        q->channel = &r->world.channels[feed_below(&r->in, r->world.n_channels)];
    else
        q->err = ERR_MISSING;
}

static struct answer *an_answer(struct run *r)
{
    static const int64_t errs[] = {OK,
                                   OK,
                                   ERR_STATE,
                                   ERR_TIMEOUT,
                                   ERR_CONFLICT,
                                   API_INVALID_FORM,
                                   API_UNKNOWN_CHANNEL,
                                   API_OVERLOADED,
                                   INT64_MIN,
                                   12345,
                                   API_WRONG_CHANNEL_TYPE};
    static const char *const bodies[] = {"{}", "[]", "", "{\"id\":\"7\"}"};
    if (feed_u8(&r->in) == 1)
        return NULL;
    struct answer *v = arena_take(&r->a, sizeof *v);
    v->err = errs[feed_below(&r->in, countof(errs))];
    v->body = bytes_of(bodies[feed_below(&r->in, countof(bodies))]);
    return v;
}

// An id with the top bit set would name a user's record where a place is meant.
static void check_ids(const struct msg *m)
{
    const struct field *f = m->schema->fields();
    for (uint32_t i = 0; i < m->schema->n; i++) {
        const char *at = (const char *)m->v + f[i].offset;
        struct ids ids = {0};
        if (f[i].kind == K_id)
            ids = (struct ids){1, (const uint64_t *)(const void *)at};
        else if (f[i].kind == K_ids)
            memcpy(&ids, at, sizeof ids);
        for (uint32_t k = 0; k < ids.n; k++)
            CHECK(!(ids.v[k] & REF_USER_BIT));
    }
}

static void check_commands(struct run *r, struct rest_request *q, const struct rest_out *out)
{
    const struct answer **answers = arena_take(&r->a, (out->n + 1) * sizeof *answers);
    CHECK(out->n > 0 && out->n <= REST_COMMANDS_MAX && out->status >= 200 && out->status < 300);
    for (uint32_t i = 0; i < out->n; i++) {
        const struct msg *m = &out->commands[i];
        const struct field *f = m->schema->fields();
        uint64_t user;
        CHECK(schema_packed(&r->a, m->schema, m->v).n > 0);
        CHECK(strcmp(f[0].name, "user") == 0);
        memcpy(&user, (const char *)m->v + f[0].offset, sizeof user);
        CHECK(user == q->user && user != 0);
        check_ids(m);
        answers[i] = an_answer(r);
    }
    struct rest_out end;
    bool refused = !rest_answered(&r->a, q, out, answers, &end);
    for (unsigned steps = 0; refused; steps++) { // once more, and nothing else can come of it
        CHECK(steps < 5);
        rest_step(&r->a, q, &end);
        if (end.want == REST_ANSWER)
            break;
        load(r, q, &end);
    }
    check_answer(&end);
    CHECK(!refused || end.status >= 400);
}

static void request(struct run *r)
{
    struct rest_request q;
    struct rest_out out;
    take_request(r, &q);
    fill_world(r);
    for (unsigned steps = 0;; steps++) {
        CHECK(steps < 5);
        rest_step(&r->a, &q, &out);
        if (out.want == REST_ANSWER || out.want == REST_COMMANDS)
            break;
        CHECK(q.user != 0);
        load(r, &q, &out);
    }
    if (out.want == REST_ANSWER)
        check_answer(&out);
    else
        check_commands(r, &q, &out);
}

// --- pieces ---

static void route(struct run *r)
{
    struct route found;
    const char *method = methods[feed_below(&r->in, countof(methods))];
    struct bytes path = feed_rest(&r->in);
    char *own = feed_own(path);
    int err = route_api(method, (struct bytes){own, path.n}, &found);
    CHECK(err == 0 || err == ROUTE_UNKNOWN || err == ROUTE_METHOD);
    if (err == 0) {
        CHECK(found.row < ROUTES);
        const char *name = strchr(rows[found.row].path, ':');
        bool is_id = name && memcmp(name + strcspn(name, "_/"), "_id", 3) == 0;
        uint64_t id;
        if (is_id && !found.bad.n)
            CHECK(route_snowflake(found.param[0], &id) == OK && id == found.id[0] && !(id >> 63));
    }
    mem_free(own);
}

static void query(struct run *r)
{
    static const char *const names[] = {"limit", "before", "with_counts", "a b", ""};
    const char *name = names[feed_below(&r->in, countof(names))];
    uint64_t number = 50, id = 7;
    bool present;
    struct fault fault = {0};
    struct bytes text = feed_rest(&r->in), value;
    char *own = feed_own(text);
    struct bytes all = {own, text.n};
    int err = form_query_number(&r->a, all, name, 1, 100, &number, &fault);
    CHECK(number >= 1 && number <= 100 && (err == API_OK || (number == 50 && fault.code)));
    err = form_query_id(&r->a, all, name, &id, &present, &fault);
    CHECK(err == API_OK ? present || id == 7 : present && fault.code);
    CHECK(form_query(&r->a, all, name, &value) == present);
    CHECK(!present || value.n <= text.n);
    CHECK(!form_query_flag(&r->a, all, name) || present);
    mem_free(own);
}

static void log_in(struct run *r)
{
    static const char id[33] = "0123456789abcdef0123456789abcdef";
    static const struct bytes regions[] = {{"a", 1}, {"b\"", 2}};
    struct session s = {.state = SESSION_LIVE, .user = ANN, .shards = 1, .seq = 1, .kept = 1};
    struct buf out = {0};
    memcpy(s.id, id, sizeof id);
    s.line.v = feed_flag(&r->in) ? 9 : 10;
    s.bot = feed_flag(&r->in);
    s.sharded = feed_flag(&r->in);
    s.shards = 1 + feed_below(&r->in, 2);
    s.intents = feed_number(&r->in);
    s.capabilities = feed_u64(&r->in);
    fill_world(r);
    struct bytes sessions[] = {bytes_of(id)};
    const struct ready ready = {
        &s, &r->world, BYTES("ws://h:1"), {feed_below(&r->in, countof(regions) + 1), regions}, {1, sessions}, NULL};
    ready_json(&r->a, &out, &ready);
    check_json(buf_bytes(&out));
    buf_reset(&out);
    ready_supplemental_json(&out, &ready);
    check_json(buf_bytes(&out));
    for (uint32_t i = 0; i < r->world.n_guilds; i++) {
        buf_reset(&out);
        ready_guild_json(&out, &ready, &r->world.guilds[i]);
        check_json(buf_bytes(&out));
        (void)view_permissions(&r->world.guilds[i], feed_u8(&r->in));
    }
    for (uint32_t i = 0; i < r->world.n_channels; i++)
        if (r->world.channels[i].call)
            check_json(present_call_create(&r->a, r->world.channels[i].channel.id, r->world.channels[i].call));
    buf_fini(&out);
}

static void message(struct run *r)
{
    struct message_rec m = {0};
    fill_world(r);
    FILL(&r->a, &r->in, message_rec, &m);
    check_json(present_message(&r->a, &m, feed_number(&r->in), r->users));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    r = (struct run){.in = {data, size}};
    switch (feed_below(&r.in, 8)) {
    case 0:
        route(&r);
        break;
    case 1:
        query(&r);
        break;
    case 2:
        log_in(&r);
        break;
    case 3:
        message(&r);
        break;
    default:
        request(&r);
        break;
    }
    arena_fini(&r.a);
    return 0;
}
