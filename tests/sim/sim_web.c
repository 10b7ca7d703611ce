// sim_web: web.h for the services, and the clients' side of the same connections. A connection is in order in both
// directions; what was on its way when it broke is lost.
#include "web.h"
#include "sim.h"
#include <string.h>

struct web {
    struct instance *owner;
    struct web_cfg cfg;
    bool refusing, stopped;
    struct table opened; // connections that on_open has told of, and on_close has not
};

struct conn {
    uint64_t id;
    struct web *web; // NULL: the process is dead, or has forgotten it
    struct instance *owner;
    bool opened, closed; // on_open was called; on_close was, or is on its way
    sim_text_fn on_text;
    sim_gone_fn on_gone; // NULL: the client has left
    void *ctx;
    uint64_t in_at, out_at; // nothing overtakes
};

struct ask {
    uint64_t id;
    struct instance *owner;
    struct web *web;
    struct buf path, authorization, body, query;
    const char *method;
    sim_reply_fn fn;
    void *ctx;
    uint64_t its;
};

struct letter { // on its way
    uint64_t conn;
    uint16_t code;
    int status;
    struct bytes text; // owned
};

static struct table conns, asked;
static uint64_t last_id;

static struct bytes own(struct bytes b)
{
    char *p = mem_alloc(b.n + 1);
    if (b.n)
        memcpy(p, b.p, b.n);
    return (struct bytes){p, b.n};
}

static struct letter *letter_new(uint64_t conn, struct bytes text)
{
    struct letter *l = mem_alloc(sizeof *l);
    *l = (struct letter){.conn = conn, .text = own(text)};
    return l;
}

static void letter_free(struct letter *l)
{
    mem_free((void *)(uintptr_t)l->text.p);
    mem_free(l);
}

static uint64_t behind(uint64_t *last)
{
    uint64_t at = sim_us() + sim_below(cruelty.web_us);
    *last = at > *last ? at : *last + 1;
    return *last - sim_us();
}

static void conn_free(struct conn *c)
{
    table_remove(&conns, c->id);
    mem_free(c);
}

static void conn_done(struct conn *c) // both sides are through with it
{
    if (!c->web && !c->on_gone)
        conn_free(c);
}

// --- to the client ---

static void on_text(void *ctx, uint64_t id)
{
    struct letter *l = ctx;
    struct conn *c = table_get(&conns, id);
    if (c && c->on_gone)
        c->on_text(c->ctx, id, l->text);
    letter_free(l);
}

static void on_gone(void *ctx, uint64_t id)
{
    struct letter *l = ctx;
    struct conn *c = table_get(&conns, id);
    if (c && c->on_gone) {
        sim_gone_fn fn = c->on_gone;
        c->on_gone = NULL;
        fn(c->ctx, id, l->code);
        conn_done(c);
    }
    letter_free(l);
}

static void tell_gone(struct conn *c, uint16_t code)
{
    struct letter *l = letter_new(c->id, BYTES_NONE);
    l->code = code;
    sim_after(behind(&c->out_at), NULL, on_gone, l, c->id);
}

// --- to the server: turns of its process. A letter to a dead one is lost with its turn, so its memory is the table's:
// letters are kept by id and given back when they are read, or at the end of the world ---

static struct table letters;
static uint64_t last_letter;

static uint64_t post(struct letter *l)
{
    table_put(&letters, ++last_letter, l);
    return last_letter;
}

static void serve_open(void *ctx, uint64_t id)
{
    struct letter *l = table_remove(&letters, id);
    struct conn *c = table_get(&conns, l->conn);
    (void)ctx;
    if (c && c->web && !c->web->refusing) {
        c->opened = true;
        table_put(&c->web->opened, c->id, &conns);
        c->web->cfg.on_open(c->web->cfg.ctx, c->id, BYTES("/"), l->text, "192.0.2.1");
    } else if (c && c->web) {
        c->web = NULL;
        tell_gone(c, 1006);
    }
    letter_free(l);
}

static void serve_text(void *ctx, uint64_t id)
{
    struct letter *l = table_remove(&letters, id);
    struct conn *c = table_get(&conns, l->conn);
    (void)ctx;
    if (c && c->web && !c->closed)
        c->web->cfg.on_message(c->web->cfg.ctx, c->id, l->text, false);
    letter_free(l);
}

static void told_close(struct web *w, uint64_t conn, uint16_t code)
{
    if (table_remove(&w->opened, conn))
        w->cfg.on_close(w->cfg.ctx, conn, code);
}

static void serve_close(void *ctx, uint64_t id)
{
    struct letter *l = table_remove(&letters, id);
    struct conn *c = table_get(&conns, l->conn);
    (void)ctx;
    if (c && c->web) {
        struct web *w = c->web;
        bool opened = c->opened;
        c->web = NULL;
        c->closed = true;
        if (opened)
            told_close(w, c->id, l->code);
        conn_done(c);
    }
    letter_free(l);
}

static void serve_slow(void *ctx, uint64_t id)
{
    struct letter *l = table_remove(&letters, id);
    struct conn *c = table_get(&conns, l->conn);
    (void)ctx;
    if (c && c->web && c->opened && !c->closed)
        c->web->cfg.on_slow(c->web->cfg.ctx, c->id);
    letter_free(l);
}

static void to_server(struct conn *c, sim_fn fn, struct letter *l)
{
    sim_after(behind(&c->in_at), c->owner, fn, NULL, post(l));
}

// --- the client's offers ---

static struct web *web_of(struct instance *i, bool admin)
{
    for (uint32_t k = 0; k < i->n_webs; k++)
        if (admin ? k == 2 : i->webs[k]->cfg.on_open != NULL)
            return i->webs[k];
    return NULL;
}

uint64_t sim_web_open(struct instance *i, const char *query, sim_text_fn on_text_fn, sim_gone_fn on_gone_fn, void *ctx)
{
    struct conn *c = mem_alloc(sizeof *c);
    *c = (struct conn){.id = ++last_id, .owner = i, .on_text = on_text_fn, .on_gone = on_gone_fn, .ctx = ctx};
    table_put(&conns, c->id, c);
    c->web = i->state == INSTANCE_UP || i->state == INSTANCE_STOPPED ? web_of(i, false) : NULL;
    if (c->web)
        to_server(c, serve_open, letter_new(c->id, bytes_of(query)));
    else
        tell_gone(c, 1006);
    return c->id;
}

void sim_web_say(uint64_t conn, struct bytes text)
{
    struct conn *c = table_get(&conns, conn);
    if (c && c->web)
        to_server(c, serve_text, letter_new(conn, text));
}

void sim_web_leave(uint64_t conn, uint16_t code)
{
    struct conn *c = table_get(&conns, conn);
    if (!c)
        return;
    c->on_gone = NULL;
    if (c->web) {
        struct letter *l = letter_new(conn, BYTES_NONE);
        l->code = code;
        to_server(c, serve_close, l);
    } else {
        conn_free(c);
    }
}

void sim_web_slow(uint64_t conn)
{
    struct conn *c = table_get(&conns, conn);
    if (c && c->web)
        to_server(c, serve_slow, letter_new(conn, BYTES_NONE));
}

static void ask_free(struct ask *a)
{
    table_remove(&asked, a->id);
    buf_fini(&a->path);
    buf_fini(&a->authorization);
    buf_fini(&a->body);
    buf_fini(&a->query);
    mem_free(a);
}

static void on_reply(void *ctx, uint64_t id)
{
    struct letter *l = ctx;
    struct ask *a = table_get(&asked, id);
    if (a) {
        a->fn(a->ctx, a->its, l->status, l->text);
        ask_free(a);
    }
    letter_free(l);
}

static void reply_with(struct ask *a, int status, struct bytes body)
{
    struct letter *l = letter_new(0, body);
    l->status = status;
    a->web = NULL;
    sim_after(sim_below(cruelty.web_us), NULL, on_reply, l, a->id);
}

static void serve_ask(void *ctx, uint64_t id)
{
    struct ask *a = table_get(&asked, id);
    (void)ctx;
    if (!a || !a->web)
        return;
    if (a->web->stopped) {
        reply_with(a, 0, BYTES_NONE);
        return;
    }
    const struct web_request r = {.id = id,
                                  .method = a->method,
                                  .path = buf_bytes(&a->path),
                                  .query = buf_bytes(&a->query),
                                  .authorization = buf_bytes(&a->authorization),
                                  .content_type = a->body.n ? BYTES("application/json") : BYTES_NONE,
                                  .host = BYTES("sim"),
                                  .body = buf_bytes(&a->body),
                                  .address = "192.0.2.1"};
    a->web->cfg.on_request(a->web->cfg.ctx, &r);
}

void sim_web_ask(struct instance *i, bool admin, const char *method, const char *path, const char *authorization,
                 struct bytes body, sim_reply_fn fn, void *ctx, uint64_t its)
{
    struct ask *a = mem_alloc(sizeof *a);
    *a = (struct ask){.id = ++last_id, .owner = i, .method = method, .fn = fn, .ctx = ctx, .its = its};
    buf_str(&a->path, path);
    buf_str(&a->authorization, authorization);
    buf_add(&a->body, body.p, body.n);
    table_put(&asked, a->id, a);
    a->web = i->state == INSTANCE_UP || i->state == INSTANCE_STOPPED ? web_of(i, admin) : NULL;
    if (a->web)
        sim_after(sim_below(cruelty.web_us), i, serve_ask, NULL, a->id);
    else
        reply_with(a, 0, BYTES_NONE);
}

// --- web.h ---

struct web *web_new(struct loop *l, struct web_cfg cfg)
{
    struct web *w = mem_alloc(sizeof *w);
    (void)l;
    *w = (struct web){.owner = sim_at, .cfg = cfg};
    CHECK(sim_at->n_webs < countof(sim_at->webs));
    sim_at->webs[sim_at->n_webs++] = w;
    return w;
}

uint16_t web_port(const struct web *w)
{
    (void)w;
    return 1;
}

void web_reply(struct web *w, uint64_t request, int status, const char *content_type, const char *headers,
               struct bytes body)
{
    struct ask *a = table_get(&asked, request);
    (void)content_type;
    (void)headers;
    if (a && a->web == w)
        reply_with(a, status, body);
}

void web_json(struct web *w, uint64_t request, int status, struct bytes body)
{
    web_reply(w, request, status, "application/json", NULL, body);
}

static struct conn *conn_of(const struct web *w, uint64_t id)
{
    struct conn *c = table_get(&conns, id);
    return c && c->web == w && !c->closed ? c : NULL;
}

void web_send2(struct web *w, uint64_t conn, struct bytes head, struct bytes tail, bool binary)
{
    struct conn *c = conn_of(w, conn);
    struct buf whole = {0};
    CHECK(!binary);
    if (!c)
        return;
    buf_add(&whole, head.p, head.n);
    buf_add(&whole, tail.p, tail.n);
    sim_after(behind(&c->out_at), NULL, on_text, letter_new(conn, buf_bytes(&whole)), conn);
    buf_fini(&whole);
}

void web_send(struct web *w, uint64_t conn, struct bytes payload, bool binary)
{
    web_send2(w, conn, BYTES_NONE, payload, binary);
}

void web_close(struct web *w, uint64_t conn, uint16_t code, const char *reason)
{
    struct conn *c = conn_of(w, conn);
    (void)reason;
    if (!c)
        return;
    c->closed = true;
    tell_gone(c, code);
    struct letter *l = letter_new(conn, BYTES_NONE); // the peer's answer
    l->code = code;
    sim_after(behind(&c->in_at), c->owner, serve_close, NULL, post(l));
}

void web_abort(struct web *w, uint64_t conn)
{
    web_close(w, conn, 1006, "");
}

uint64_t web_queued(const struct web *w, uint64_t conn)
{
    (void)w;
    (void)conn;
    return 0;
}

void web_refuse_new(struct web *w)
{
    w->refusing = true;
}

// Its clients find their connections broken; it is not told of them any more.
static void let_go(struct web *w)
{
    struct conn *c;
    struct ask *a;
    for (uint32_t i = 0; (c = table_next(&conns, &i, NULL)) != NULL;) {
        if (c->web != w)
            continue;
        c->web = NULL;
        if (c->on_gone && !c->closed)
            tell_gone(c, 1006);
        c->closed = true;
        conn_done(c);
    }
    for (uint32_t i = 0; (a = table_next(&asked, &i, NULL)) != NULL;)
        if (a->web == w)
            reply_with(a, 0, BYTES_NONE);
}

void web_stop(struct web *w)
{
    uint64_t id;
    w->refusing = w->stopped = true;
    for (uint32_t i = 0; table_next(&w->opened, &i, &id) != NULL; i = 0)
        told_close(w, id, 1006);
}

void web_free(struct web *w)
{
    let_go(w);
    table_fini(&w->opened);
    mem_free(w);
}

void sim_web_dead(struct instance *i)
{
    for (uint32_t k = 0; k < i->n_webs; k++)
        let_go(i->webs[k]);
}

// --- life ---

void sim_web_begin(void)
{
    last_id = last_letter = 0;
}

void sim_web_end(void)
{
    struct conn *c;
    struct ask *a;
    struct letter *l;
    for (uint32_t i = 0; (c = table_next(&conns, &i, NULL)) != NULL;)
        mem_free(c);
    for (uint32_t i = 0; (a = table_next(&asked, &i, NULL)) != NULL;)
        ask_free(a);
    for (uint32_t i = 0; (l = table_next(&letters, &i, NULL)) != NULL;)
        letter_free(l);
    table_fini(&conns);
    table_fini(&asked);
    table_fini(&letters);
}
