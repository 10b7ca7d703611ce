// admin_io: the admin API's shell: each step's commands go to the message service, their answers into the next step.
#include "admin.h"
#include "asks.h"
#include "errors.h"

#define SLOW_MS 30000u // a world may take its time

struct request {
    struct gateway *g;
    uint64_t id; // of the web's
    struct arena arena;
    struct admin_request r;
};

struct admin {
    struct table requests; // id → request; owns
    struct admin_clock clock;
};

static void request_free(struct request *q)
{
    arena_fini(&q->arena);
    mem_free(q);
}

static void answer(struct request *q, const struct admin_out *out)
{
    if (out->body.n)
        web_json(q->g->admin_web, q->id, out->status, out->body);
    else
        web_reply(q->g->admin_web, q->id, out->status, NULL, NULL, BYTES_NONE);
    table_remove(&q->g->admin->requests, q->id);
    request_free(q);
}

static void on_answers(void *ctx, const struct answer *const *answers)
{
    struct request *q = ctx;
    struct gateway *g = q->g;
    struct admin_out out;
    q->r.now = loop_unix_ms(g->svc.loop);
    admin_step(&q->arena, &q->r, answers, &out);
    if (out.status)
        answer(q, &out);
    else
        asks_send(g, &q->arena, out.to, out.key, out.n, out.commands, out.slow ? SLOW_MS : g->cfg.command_ms,
                  on_answers, q);
}

void admin_request(void *ctx, const struct web_request *r)
{
    struct gateway *g = ctx;
    struct request *q = mem_alloc(sizeof *q);
    bool full = g->admin->requests.n >= g->cfg.rest_pending_max;
    *q = (struct request){.g = g, .id = r->id};
    table_put(&g->admin->requests, q->id, q);
    if (full) {
        struct admin_out out;
        admin_refuse(&q->arena, API_OVERLOADED, &out);
        answer(q, &out);
        return;
    }
    q->r = (struct admin_request){
        .method = arena_text(&q->arena, bytes_of(r->method)),
        .path = arena_copy(&q->arena, r->path),
        .query = arena_copy(&q->arena, r->query),
        .content_type = arena_copy(&q->arena, r->content_type),
        .authorization = arena_copy(&q->arena, r->authorization),
        .body = arena_copy(&q->arena, r->body),
        .admin_token = bytes_of(g->cfg.admin_token),
        .token_secret = bytes_of(g->cfg.token_secret),
        .clock = &g->admin->clock,
    };
    on_answers(q, NULL);
}

void admin_start(struct gateway *g)
{
    g->admin = mem_alloc(sizeof *g->admin);
}

bool admin_idle(const struct gateway *g)
{
    return g->admin->requests.n == 0;
}

void admin_stop(struct gateway *g)
{
    struct request *q;
    for (uint32_t i = 0; (q = table_next(&g->admin->requests, &i, NULL)) != NULL;)
        request_free(q);
    table_fini(&g->admin->requests);
    mem_free(g->admin);
    g->admin = NULL;
}
