// admin_io: the admin API's shell: each step's commands go to whom they are for, their answers into the next step.
#include "admin.h"
#include "asks.h"
#include "errors.h"
#include "plays.h"

#define SLOW_MS 30000u     // a world may take its time
#define AGAIN_MS 100u      // between two looks for somebody who could be asked
#define INSTANCES_MAX 256u // of those that are asked together

struct request {
    struct gateway *g;
    uint64_t id; // of the web's
    struct arena arena;
    struct admin_request r;
    struct admin_out out; // what the last step wanted
    uint64_t give_up_at;  // of waiting for somebody whom it could ask
    struct timer again;
};

struct admin {
    struct table requests; // id → request; owns
    struct admin_clock clock;
};

static void request_free(struct request *q)
{
    loop_cancel(q->g->svc.loop, &q->again);
    arena_fini(&q->arena);
    mem_free(q);
}

static void answer(struct request *q, const struct admin_out *out)
{
    if (out->type)
        web_reply(q->g->admin_web, q->id, out->status, out->type, NULL, out->body);
    else if (out->body.n)
        web_json(q->g->admin_web, q->id, out->status, out->body);
    else
        web_reply(q->g->admin_web, q->id, out->status, NULL, NULL, BYTES_NONE);
    table_remove(&q->g->admin->requests, q->id);
    request_free(q);
}

static void on_answers(void *ctx, const struct answer *const *answers);

static void play(struct request *q, const struct admin_out *out)
{
    struct gateway *g = q->g;
    struct play_shown shown;
    uint64_t id = out->play == ADMIN_PLAY_START ? plays_begin(g, &out->start) : out->play_id;
    if (out->play == ADMIN_PLAY_STOP)
        plays_end(g, id);
    q->r.play = id && plays_show(g, id, &shown) ? &shown : NULL;
    on_answers(q, NULL);
}

// Names of all of that kind that are there.
static struct texts names_of(struct request *q, enum bus_kind kind)
{
    const char *names[INSTANCES_MAX];
    uint32_t n = (uint32_t)bus_names(q->g->svc.bus, kind, names, countof(names));
    struct bytes *v = arena_take(&q->arena, n * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        v[i] = bytes_of(arena_text(&q->arena, bytes_of(names[i])));
    return (struct texts){n, v};
}

static uint64_t patience(const struct request *q)
{
    return q->out.slow ? SLOW_MS : q->g->cfg.command_ms;
}

static void ask_each(struct request *q)
{
    struct gateway *g = q->g;
    uint64_t now = loop_now(g->svc.loop);
    q->r.asked = names_of(q, q->out.to);
    if (q->r.asked.n == 0 && q->out.awaits && now < q->give_up_at)
        loop_arm(g->svc.loop, &q->again, AGAIN_MS);
    else
        asks_send_each(g, &q->arena, q->out.to, q->r.asked, q->out.commands, patience(q), on_answers, q);
}

static void on_again(struct timer *t, uint64_t now)
{
    (void)now;
    ask_each(container_of(t, struct request, again));
}

static void on_answers(void *ctx, const struct answer *const *answers)
{
    struct request *q = ctx;
    struct gateway *g = q->g;
    struct admin_out *out = &q->out;
    q->r.now = loop_unix_ms(g->svc.loop);
    admin_step(&q->arena, &q->r, answers, out);
    if (out->status) {
        answer(q, out);
    } else if (out->play) {
        play(q, out);
    } else if (out->every) {
        q->give_up_at = loop_now(g->svc.loop) + patience(q);
        ask_each(q);
    } else if (out->at.n) {
        asks_send_each(g, &q->arena, out->to, (struct texts){1, &out->at}, out->commands, patience(q), on_answers, q);
    } else {
        asks_send(g, &q->arena, out->to, out->key, out->n, out->commands, patience(q), on_answers, q);
    }
}

void admin_request(void *ctx, const struct web_request *r)
{
    struct gateway *g = ctx;
    struct request *q = mem_alloc(sizeof *q);
    bool full = g->admin->requests.n >= g->cfg.rest_pending_max;
    *q = (struct request){.g = g, .id = r->id, .again.fire = on_again};
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
        .fresh = bus_new_id(g->svc.bus) >> 1 | 1,
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
