// sim_store: store.h on the small Redis. What is sent in one turn travels together, in order, but other connections may
// come between; replies come back in order. A connection may break anywhere: then the world alone knows what was done.
#include "store.h"
#include "redis.h"
#include "record.h"
#include "sim.h"
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MIN_MS 50u
#define BACKOFF_MAX_MS 1000u

struct reply { // same as redis_reply, by another name
    struct redis_reply r;
};

struct op {
    struct op *next;
    store_fn fn;
    void *ctx;
    struct bytes *argv; // and behind them their texts
    size_t argc;
    bool done;    // by Redis; reply is its answer
    bool refused; // Redis takes no writes when it comes there
    struct redis_reply reply;
};

struct store {
    struct loop *loop;
    struct instance *owner;
    struct store_cfg cfg;
    enum { WAITING, UP, CLOSED } state;
    uint64_t connection; // numbers connections
    bool broken;         // and its owner does not know it yet
    struct op *sent, **sent_tail, *failed, **failed_tail;
    uint32_t n_sent, n_done;    // of `sent`, the first n_done are done
    uint32_t travelling;        // of the rest, that many are on their way
    uint64_t there_at, back_at; // nothing overtakes on a connection
    struct loop_flush write, fail;
    struct timer retry;
    uint64_t backoff_ms;
    struct store *next; // all there are
};

static struct store *stores;
static bool redis_down;
static uint64_t connections; // that there have been

static void op_free(struct op *o)
{
    redis_reply_fini(&o->reply);
    mem_free(o->argv);
    mem_free(o);
}

static struct op *take(struct op **head, struct op ***tail)
{
    struct op *o = *head;
    *head = o->next;
    if (!*head)
        *tail = head;
    return o;
}

static void end(struct op *o, const struct redis_reply *r)
{
    if (o->fn)
        o->fn(o->ctx, (const struct reply *)(const void *)r);
    op_free(o);
}

static void on_fail(struct loop_flush *f)
{
    struct store *s = container_of(f, struct store, fail);
    struct op **last = s->failed_tail; // what the callbacks send is for the next time
    for (bool more = s->failed != NULL; more && s->failed;) {
        more = last != &s->failed->next;
        end(take(&s->failed, &s->failed_tail), NULL);
    }
    if (s->failed)
        loop_flush(s->loop, &s->fail);
}

static void fail_later(struct store *s, struct op *o)
{
    o->next = NULL;
    *s->failed_tail = o;
    s->failed_tail = &o->next;
    loop_flush(s->loop, &s->fail);
}

// --- travelling ---

static void execute(struct op *o)
{
    o->done = true;
    if (bytes_is(o->argv[0], "FCALL") && o->refused)
        redis_refuse(&o->reply, "MISCONF Errors writing to the AOF file: No space left on device");
    else
        redis_call(o->argc, o->argv, &o->reply);
}

static struct op *nth(struct store *s, uint32_t n)
{
    struct op *o = s->sent;
    while (n-- > 0)
        o = o->next;
    return o;
}

static void on_back(void *ctx, uint64_t id) // to the owner. id: connection, and how many
{
    struct store *s = ctx;
    if (s->connection != id >> 16 || s->state != UP)
        return;
    for (uint64_t n = id & 0xffff; n > 0 && s->connection == id >> 16 && s->state == UP; n--) {
        struct op *o = take(&s->sent, &s->sent_tail);
        s->n_sent--;
        s->n_done--;
        M.store_pending--;
        CHECK(o->done);
        end(o, &o->reply);
    }
}

static uint64_t behind(uint64_t *last, uint64_t us)
{
    uint64_t at = sim_us() + us;
    if (at <= *last)
        at = *last + 1;
    *last = at;
    return at - sim_us();
}

static struct store *store_named(uint64_t connection)
{
    struct store *s = stores;
    while (s && s->connection != connection)
        s = s->next;
    return s;
}

static void on_there(void *ctx, uint64_t id) // to Redis, whatever has become of the sender
{
    struct store *s = store_named(id >> 16);
    (void)ctx;
    if (!s || s->state != UP || s->broken)
        return;
    uint32_t n = (uint32_t)(id & 0xffff);
    s->travelling -= n;
    struct op *o = nth(s, s->n_done);
    for (uint32_t k = 0; k < n; k++, o = o->next)
        execute(o);
    s->n_done += n;
    sim_after(behind(&s->back_at, sim_below(cruelty.reply_us)), s->owner, on_back, s, s->connection << 16 | n);
}

static void on_write(struct loop_flush *f)
{
    struct store *s = container_of(f, struct store, write);
    uint32_t left = s->n_sent - s->n_done - s->travelling;
    if (sim_chance(cruelty.commit_refused)) // what one turn has sent meets the same fate
        for (struct op *o = nth(s, s->n_done + s->travelling); o; o = o->next)
            o->refused = true;
    while (left > 0 && s->state == UP && !s->broken) {
        uint32_t n = sim_chance(2500) ? 1 + (uint32_t)sim_below(left) : left;
        n = n > 60000 ? 60000 : n;
        s->travelling += n;
        left -= n;
        sim_after(behind(&s->there_at, sim_below(cruelty.reply_us)), NULL, on_there, NULL, s->connection << 16 | n);
    }
}

static void send(struct store *s, struct op *o)
{
    if (s->state != UP || s->n_sent >= s->cfg.pending_max) {
        fail_later(s, o);
        return;
    }
    *s->sent_tail = o;
    s->sent_tail = &o->next;
    s->n_sent++;
    M.store_pending++;
    loop_flush(s->loop, &s->write);
}

static struct op *op_new(store_fn fn, void *ctx, size_t argc, const struct bytes *argv)
{
    size_t size = argc * sizeof *argv;
    for (size_t i = 0; i < argc; i++)
        size += argv[i].n + 1;
    struct op *o = mem_alloc(sizeof *o);
    *o = (struct op){.fn = fn, .ctx = ctx, .argc = argc, .argv = mem_alloc(size)};
    char *p = (char *)(o->argv + argc);
    for (size_t i = 0; i < argc; i++) {
        if (argv[i].n)
            memcpy(p, argv[i].p, argv[i].n);
        o->argv[i] = (struct bytes){p, argv[i].n};
        p += argv[i].n + 1;
    }
    return o;
}

void store_send(struct store *s, store_fn fn, void *ctx, size_t argc, const struct bytes *argv)
{
    send(s, op_new(fn, ctx, argc, argv));
}

void store_cmd(struct store *s, store_fn fn, void *ctx, const char *fmt, ...)
{
    char *text = NULL, *p;
    struct bytes argv[16];
    va_list args;
    va_start(args, fmt);
    int n = redisvFormatCommand(&text, fmt, args);
    va_end(args);
    CHECK(n > 0);
    size_t argc = strtoul(text + 1, &p, 10);
    CHECK(argc <= countof(argv));
    for (size_t i = 0; i < argc; i++) {
        argv[i].n = strtoul(p + 3, &p, 10); // behind \r\n$
        argv[i].p = p + 2;
        p += 2 + argv[i].n;
    }
    store_send(s, fn, ctx, argc, argv);
    redisFreeCommand(text);
}

// --- the connection ---

static void wait_and_retry(struct store *s)
{
    s->state = WAITING;
    loop_arm(s->loop, &s->retry, BACKOFF_MIN_MS + sim_below(s->backoff_ms - BACKOFF_MIN_MS + 1));
    s->backoff_ms = s->backoff_ms * 2 < BACKOFF_MAX_MS ? s->backoff_ms * 2 : BACKOFF_MAX_MS;
}

// Some of what is on its way still arrives.
static void last_ones(struct store *s)
{
    uint64_t n = s->travelling ? sim_below(s->travelling + 1u) : 0;
    struct op *o = nth(s, s->n_done);
    for (uint64_t k = 0; k < n; k++, o = o->next)
        execute(o);
}

static void break_off(struct store *s)
{
    last_ones(s);
    s->connection = ++connections; // what still travels belongs to none
    s->travelling = s->n_done = 0;
    s->broken = true;
}

static void on_cut(void *ctx, uint64_t id) // the owner learns of it
{
    struct store *s = ctx;
    if (s->state != UP || s->connection != id)
        return;
    s->broken = false;
    wait_and_retry(s);
    while (s->sent) {
        s->n_sent--;
        M.store_pending--;
        end(take(&s->sent, &s->sent_tail), NULL);
    }
    if (s->cfg.on_down)
        s->cfg.on_down(s->cfg.ctx);
}

void sim_store_cut(struct store *s)
{
    if (!s || s->state != UP || s->broken)
        return;
    break_off(s);
    sim_after(sim_below(cruelty.reply_us), s->owner, on_cut, s, s->connection);
}

void sim_store_begin(void)
{
    CHECK(stores == NULL);
    connections = 0;
    redis_down = false;
}

void sim_redis_down(bool down)
{
    redis_down = down;
    for (struct store *s = stores; down && s; s = s->next)
        sim_store_cut(s);
}

bool sim_redis_is_down(void)
{
    return redis_down;
}

static void connect_now(void *ctx, uint64_t id)
{
    struct store *s = ctx;
    if (s->state != WAITING || s->connection != id)
        return;
    if (redis_down) {
        wait_and_retry(s);
        return;
    }
    redis_load(record_functions);
    redis_load(session_functions);
    s->state = UP;
    s->backoff_ms = BACKOFF_MIN_MS;
    if (s->cfg.on_up)
        s->cfg.on_up(s->cfg.ctx);
}

static void on_retry(struct timer *t, uint64_t now)
{
    struct store *s = container_of(t, struct store, retry);
    (void)now;
    s->connection = ++connections;
    sim_after(sim_below(3 * cruelty.reply_us), s->owner, connect_now, s, s->connection);
}

struct store *store_new(struct loop *l, struct store_cfg cfg)
{
    struct store *s = mem_alloc(sizeof *s);
    *s = (struct store){.loop = l, .owner = sim_at, .cfg = cfg, .backoff_ms = BACKOFF_MIN_MS, .next = stores};
    stores = s;
    s->owner->store = s;
    s->sent_tail = &s->sent;
    s->failed_tail = &s->failed;
    s->write.fn = on_write;
    s->fail.fn = on_fail;
    s->retry.fire = on_retry;
    loop_arm(l, &s->retry, 1);
    return s;
}

bool store_up(const struct store *s)
{
    return s->state == UP;
}

void sim_store_dead(struct store *s)
{
    if (!s)
        return;
    if (s->state == UP && !s->broken)
        break_off(s);
    s->state = CLOSED;
    while (s->sent) {
        s->n_sent--;
        M.store_pending--;
        fail_later(s, take(&s->sent, &s->sent_tail));
    }
}

void store_free(struct store *s)
{
    struct store **at = &stores;
    if (!s)
        return;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    loop_cancel(s->loop, &s->retry);
    if (s->state == UP && !s->broken) { // what was sent goes out
        struct op *o = nth(s, s->n_done);
        for (; o; o = o->next)
            execute(o);
    }
    s->state = CLOSED;
    while (s->sent) {
        M.store_pending--;
        end(take(&s->sent, &s->sent_tail), NULL);
    }
    while (s->failed)
        end(take(&s->failed, &s->failed_tail), NULL);
    loop_unflush(s->loop, &s->fail);
    loop_unflush(s->loop, &s->write);
    s->owner->store = NULL;
    mem_free(s);
}

// --- replies ---

enum reply_kind reply_kind(const struct reply *r)
{
    static const enum reply_kind kinds[] = {REPLY_NIL, REPLY_ERROR, REPLY_STATUS, REPLY_INT, REPLY_TEXT, REPLY_LIST};
    return r ? kinds[r->r.kind] : REPLY_NIL;
}

bool reply_ok(const struct reply *r)
{
    return r && r->r.kind != REDIS_ERROR;
}

int64_t reply_int(const struct reply *r)
{
    return reply_kind(r) == REPLY_INT ? r->r.number : 0;
}

struct bytes reply_text(const struct reply *r)
{
    return r ? r->r.text : BYTES_NONE;
}

size_t reply_n(const struct reply *r)
{
    return reply_kind(r) == REPLY_LIST ? r->r.n : 0;
}

const struct reply *reply_at(const struct reply *r, size_t i)
{
    return i < reply_n(r) ? (const struct reply *)(const void *)&r->r.v[i] : NULL;
}

const struct reply *reply_field(const struct reply *r, const char *field)
{
    for (size_t i = 0; i + 1 < reply_n(r); i += 2)
        if (bytes_is(reply_text(reply_at(r, i)), field))
            return reply_at(r, i + 1);
    return NULL;
}
