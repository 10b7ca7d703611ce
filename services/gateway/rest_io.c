// rest_io: the public HTTP API's shell. A request lives here from on_request until its answer is given, whether its
// client is still there or not: what it waits for names it, and the web knows whom an answer is for.
#include "asks.h"
#include "errors.h"
#include "rates.h"
#include "rest.h"

#define REST_RATE_MS 1000u

struct request {
    struct gateway *g;
    uint64_t id; // of the web's
    struct arena arena;
    struct rest_request r;
    struct rest_out out;    // what the last step wanted
    struct rest_out answer; // to be given when what follows the commands is done
    uint64_t by;            // it is answered by then, with an error if need be
};

struct rest {
    struct table requests; // id → request; owns
    struct rates rates;    // of each user
    uint64_t bytes;        // of their bodies
};

static void go(struct request *q);

static void request_free(struct request *q)
{
    q->g->rest->bytes -= q->r.body.n;
    arena_fini(&q->arena);
    mem_free(q);
}

static void answer(struct request *q, const struct rest_out *out)
{
    const char *kind = out->body.n ? "application/json" : NULL;
    web_reply(q->g->web, q->id, out->status, kind, out->headers, out->body);
    table_remove(&q->g->rest->requests, q->id);
    request_free(q);
}

// --- what it waits for ---

static void loaded(struct request *q, int err)
{
    q->r.had = q->out.want;
    q->r.err = err;
    go(q);
    // q may be gone now
}

// Results live until the callback returns; what a step takes from them into an answer is copied by then.
static void on_users(void *ctx, int err, struct user_set users)
{
    struct request *q = ctx;
    q->r.users = users;
    loaded(q, err);
}

static void on_channel(void *ctx, int err, const struct loaded_channel *c, struct user_set recipients)
{
    struct request *q = ctx;
    q->r.channel = c;
    q->r.users = recipients;
    loaded(q, err);
}

static void on_world(void *ctx, int err, const struct world *w)
{
    struct request *q = ctx;
    q->r.world = w;
    loaded(q, err);
}

static void on_members(void *ctx, int err, uint32_t n, const struct member *members, struct user_set users)
{
    struct request *q = ctx;
    q->r.n_members = n;
    q->r.members = members;
    q->r.users = users;
    loaded(q, err);
}

static void on_rest_done(void *ctx, const struct answer *const *answers)
{
    struct request *q = ctx;
    (void)answers;
    answer(q, &q->answer);
}

// What was read first, from a Redis that was slow to fail, is part of the time that a client waits.
static uint64_t time_left(const struct request *q)
{
    uint64_t now = loop_now(q->g->svc.loop);
    return q->by > now ? q->by - now : 1;
}

static void on_answers(void *ctx, const struct answer *const *answers)
{
    struct request *q = ctx;
    if (!rest_answered(&q->arena, &q->r, &q->out, answers, &q->answer))
        go(q);
    else if (q->answer.then)
        asks_send(q->g, &q->arena, BUS_MESSAGE, 0, 1, q->answer.then, time_left(q), on_rest_done, q);
    else
        answer(q, &q->answer);
}

static void go(struct request *q)
{
    struct gateway *g = q->g;
    const struct rest_out *out = &q->out;
    rest_step(&q->arena, &q->r, &q->out);
    switch (out->want) {
    case REST_ANSWER:
        answer(q, out);
        break;
    case REST_LOAD_USERS:
        load_users(g, out->users, on_users, q);
        break;
    case REST_LOAD_CHANNEL:
        load_channel_for(g, out->channel, q->r.user, on_channel, q);
        break;
    case REST_LOAD_WORLD:
        load_world(g, q->r.user, out->parts, NULL, on_world, q);
        break;
    case REST_LOAD_GUILD:
        load_frame(g, q->r.user, out->guild, out->users, on_world, q);
        break;
    case REST_LOAD_MEMBERS:
        load_member_page(g, out->guild, out->after, out->limit, on_members, q);
        break;
    case REST_COMMANDS:
        asks_send(g, &q->arena, out->to, out->key, out->n, out->commands, time_left(q), on_answers, q);
        break;
    }
}

// --- requests ---

static void take(struct request *q, const struct web_request *r)
{
    struct buf url = {0};
    gateway_url(q->g, &url, rest_host_ok(r->host) ? r->host : BYTES_NONE);
    q->r = (struct rest_request){
        .method = arena_text(&q->arena, bytes_of(r->method)),
        .path = arena_copy(&q->arena, r->path),
        .query = arena_copy(&q->arena, r->query),
        .content_type = arena_copy(&q->arena, r->content_type),
        .body = arena_copy(&q->arena, r->body),
        .url = arena_copy(&q->arena, buf_bytes(&url)),
        .identify_rate = q->g->cfg.identify_rate,
    };
    q->g->rest->bytes += q->r.body.n;
    if (gateway_auth(q->g, r->authorization, &q->r.user) != OK)
        q->r.user = 0;
    buf_fini(&url);
}

void rest_request(void *ctx, const struct web_request *r)
{
    struct gateway *g = ctx;
    struct request *q = mem_alloc(sizeof *q);
    bool full =
        g->rest->requests.n >= g->cfg.rest_pending_max || g->rest->bytes + r->body.n > g->cfg.rest_pending_bytes;
    uint64_t wait_ms;
    q->g = g;
    q->id = r->id;
    q->by = loop_now(g->svc.loop) + g->cfg.command_ms;
    table_put(&g->rest->requests, q->id, q);
    if (full) {
        M.http_refused++;
        rest_refuse(&q->arena, API_OVERLOADED, &q->out);
        answer(q, &q->out);
        return;
    }
    take(q, r);
    if (q->r.user && !rates_take(&g->rest->rates, q->r.user, loop_now(g->svc.loop), &wait_ms)) {
        M.http_refused++;
        rest_refuse_rate(&q->arena, g->cfg.rest_rate, wait_ms, loop_unix_ms(g->svc.loop), &q->out);
        answer(q, &q->out);
        return;
    }
    go(q);
}

// --- life ---

void rest_start(struct gateway *g)
{
    g->rest = mem_alloc(sizeof *g->rest);
    rates_init(&g->rest->rates, g->cfg.rest_rate, REST_RATE_MS, loop_now(g->svc.loop));
}

bool rest_idle(const struct gateway *g)
{
    return g->rest->requests.n == 0 && admin_idle(g);
}

void rest_stop(struct gateway *g)
{
    struct request *q;
    for (uint32_t i = 0; (q = table_next(&g->rest->requests, &i, NULL)) != NULL;)
        request_free(q);
    rates_fini(&g->rest->rates);
    table_fini(&g->rest->requests);
    mem_free(g->rest);
    g->rest = NULL;
}
