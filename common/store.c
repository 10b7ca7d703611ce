// store: hiredis as a guest of the loop. What is sent in one turn leaves in one write before the loop sleeps.
// A connection that owes an answer for longer than the deadline is given up: all on it ends, a new one is made.
#include "store.h"
#include "log.h"
#include "metrics.h"
#include "record.h"
#include "store_address.h"
#include "store_reader.h"
#include <hiredis/async.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define DEADLINE_MS 2000u
#define CONNECT_MS                                                                                                     \
    750u // to connect, and again to be greeted: with the back-off, a Redis that is back is found within 2 s
#define BACKOFF_MIN_MS 50u
#define BACKOFF_MAX_MS 500u
#define SCRATCH_KEPT (64u * 1024u)

// The way to Redis, in order. Commands are taken in UP alone.
enum store_state { STORE_WAITING, STORE_RESOLVING, STORE_CONNECTING, STORE_GREETING, STORE_UP, STORE_CLOSED };

struct op { // a command that has not called back yet
    struct op *next;
    store_fn fn;
    void *ctx;
    uint64_t due_at;
};

struct ops {
    struct op *head, **tail;
};

struct link { // one connection; outlives its context until libuv has closed the poll handle
    uv_poll_t poll;
    struct loop *loop;
    redisAsyncContext *ac; // NULL: gone. Its data is the store, or NULL when the store has given it up
    int events;            // asked of the poll handle
    bool writing;          // inside redisAsyncHandleWrite
    struct loop_flush write;
};

struct store {
    struct loop *loop;
    struct store_cfg cfg;
    struct store_address to;
    enum store_state state;
    struct link *link;        // there while CONNECTING, GREETING and UP
    uv_getaddrinfo_t *lookup; // there while RESOLVING
    uint64_t lookups, connections, backoff_ms;
    struct ops sent;   // in the order of their replies, which is that of their deadlines
    struct ops failed; // end with NULL before the loop sleeps
    uint64_t n_sent;
    uint32_t greetings;    // replies to come before it is up
    uint32_t calling;      // depth of callbacks
    const struct op *late; // was found past its deadline and is given one more turn
    struct timer deadline, retry;
    struct loop_flush fail;
    struct buf scratch;
};

static void give_up(struct store *s, const char *why);
static void lost(struct store *s, const char *why);

// --- queues of commands ---

static void ops_init(struct ops *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

static struct op *ops_push(struct ops *q, store_fn fn, void *ctx)
{
    struct op *op = mem_alloc(sizeof *op);
    op->fn = fn;
    op->ctx = ctx;
    *q->tail = op;
    q->tail = &op->next;
    return op;
}

// Takes the first one out and calls back.
static void ops_end(struct store *s, struct ops *q, const redisReply *r)
{
    struct op *op = q->head;
    q->head = op->next;
    if (!q->head)
        q->tail = &q->head;
    store_fn fn = op->fn;
    void *ctx = op->ctx;
    mem_free(op);
    if (!fn)
        return;
    s->calling++;
    fn(ctx, (const struct reply *)(const void *)r);
    s->calling--;
}

static void end_sent(struct store *s, const redisReply *r)
{
    s->n_sent--;
    M.store_pending--;
    ops_end(s, &s->sent, r);
}

static void on_fail(struct loop_flush *f)
{
    struct store *s = container_of(f, struct store, fail);
    struct op **end = s->failed.tail; // what the callbacks send is for the next time
    while (s->failed.head) {
        bool last = end == &s->failed.head->next;
        ops_end(s, &s->failed, NULL);
        if (last)
            break;
    }
    if (s->failed.head)
        loop_flush(s->loop, &s->fail);
}

static void fail_later(struct store *s, store_fn fn, void *ctx)
{
    ops_push(&s->failed, fn, ctx);
    loop_flush(s->loop, &s->fail);
}

// --- adapter: hiredis on uv_poll. Poll errors are delivered as the events that were waited for, so that hiredis
// finds the socket's error itself. Writing is first tried once per turn, and polled for only when it would block. ---

static void on_poll(uv_poll_t *p, int status, int events);

static void link_want(struct link *k, int events)
{
    if (events == k->events)
        return;
    k->events = events;
    CHECK((events ? uv_poll_start(&k->poll, events, on_poll) : uv_poll_stop(&k->poll)) == 0);
}

static void link_write(struct link *k)
{
    k->writing = true;
    redisAsyncHandleWrite(k->ac);
    k->writing = false;
}

static void on_poll(uv_poll_t *p, int status, int events)
{
    struct link *k = p->data;
    int wanted = k->events;
    if (status < 0) { // libuv has stopped polling
        events = wanted;
        k->events = 0;
    }
    if (k->ac && (events & UV_READABLE))
        redisAsyncHandleRead(k->ac);
    if (k->ac && (events & UV_WRITABLE))
        link_write(k);
    if (k->ac && status < 0)
        link_want(k, k->events | wanted);
}

static void on_flush_write(struct loop_flush *f)
{
    link_write(container_of(f, struct link, write));
}

static void add_read(void *link)
{
    struct link *k = link;
    link_want(k, k->events | UV_READABLE);
}

static void del_read(void *link)
{
    struct link *k = link;
    link_want(k, k->events & ~UV_READABLE);
}

static void add_write(void *link)
{
    struct link *k = link;
    if (k->writing || !(k->ac->c.flags & REDIS_CONNECTED))
        link_want(k, k->events | UV_WRITABLE);
    else if (!(k->events & UV_WRITABLE))
        loop_flush(k->loop, &k->write);
}

static void del_write(void *link)
{
    struct link *k = link;
    link_want(k, k->events & ~UV_WRITABLE);
}

static void on_poll_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

static void link_cleanup(void *link)
{
    struct link *k = link;
    k->ac = NULL;
    loop_unflush(k->loop, &k->write);
    uv_close((uv_handle_t *)&k->poll, on_poll_closed);
}

static struct link *link_new(struct loop *l, redisAsyncContext *ac)
{
    struct link *k = mem_alloc(sizeof *k);
    k->loop = l;
    k->ac = ac;
    k->write.fn = on_flush_write;
    k->poll.data = k;
    CHECK(uv_poll_init(loop_uv(l), &k->poll, ac->c.fd) == 0);
    ac->ev.data = k;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = link_cleanup;
    return k;
}

// --- sending ---

static void on_reply(redisAsyncContext *ac, void *reply, void *ctx)
{
    struct store *s = ac->data;
    const redisReply *r = reply;
    (void)ctx;
    if (!s)
        return; // given up; its command has ended already
    if (!r) {
        lost(s, ac->errstr ? ac->errstr : "closed");
        return;
    }
    if (r->type == REDIS_REPLY_ERROR) {
        M.store_errors++;
        LOG_PEER(WARN, EV("store.error"), KB("why", ((struct bytes){r->str, r->len})));
    }
    CHECK(s->sent.head != NULL);
    end_sent(s, r);
}

// A formatted command goes out, whatever the state.
static void send_formatted(struct store *s, store_fn fn, void *ctx, const char *p, size_t n)
{
    if (redisAsyncFormattedCommand(s->link->ac, on_reply, NULL, p, n) != REDIS_OK) {
        fail_later(s, fn, ctx);
        return;
    }
    uint64_t ms = s->state == STORE_GREETING ? CONNECT_MS : DEADLINE_MS;
    ops_push(&s->sent, fn, ctx)->due_at = loop_now(s->loop) + ms;
    s->n_sent++;
    M.store_pending++;
    M.store_commands++;
    if (!timer_armed(&s->deadline))
        loop_arm(s->loop, &s->deadline, ms);
}

static void send_argv(struct store *s, store_fn fn, void *ctx, size_t argc, const struct bytes *argv)
{
    struct buf *b = &s->scratch;
    buf_reset(b);
    buf_char(b, '*');
    buf_u64(b, argc);
    buf_str(b, "\r\n");
    for (size_t i = 0; i < argc; i++) {
        buf_char(b, '$');
        buf_u64(b, argv[i].n);
        buf_str(b, "\r\n");
        buf_add(b, argv[i].p, argv[i].n);
        buf_str(b, "\r\n");
    }
    buf_char(b, '\0'); // hiredis looks one character past a command
    send_formatted(s, fn, ctx, b->p, b->n - 1);
    if (b->cap > SCRATCH_KEPT)
        buf_fini(b);
}

static bool takes_commands(const struct store *s)
{
    bool full = s->state == STORE_UP && s->n_sent >= s->cfg.pending_max;
    M.store_refused += full;
    return s->state == STORE_UP && !full;
}

void store_send(struct store *s, store_fn fn, void *ctx, size_t argc, const struct bytes *argv)
{
    CHECK(argc > 0);
    if (takes_commands(s))
        send_argv(s, fn, ctx, argc, argv);
    else
        fail_later(s, fn, ctx);
}

void store_cmd(struct store *s, store_fn fn, void *ctx, const char *fmt, ...)
{
    if (!takes_commands(s)) {
        fail_later(s, fn, ctx);
        return;
    }
    char *p = NULL;
    va_list args;
    va_start(args, fmt);
    int n = redisvFormatCommand(&p, fmt, args);
    va_end(args);
    CHECK(n > 0);
    send_formatted(s, fn, ctx, p, (size_t)n);
    redisFreeCommand(p);
}

static void on_deadline(struct timer *t, uint64_t now)
{
    struct store *s = container_of(t, struct store, deadline);
    if (s->state == STORE_CONNECTING) {
        give_up(s, "connecting takes too long");
        return;
    }
    const struct op *first = s->sent.head;
    if (!first)
        return;
    if (first->due_at > now) {
        loop_arm(s->loop, t, first->due_at - now);
    } else if (s->late != first) { // perhaps it is this process that was late: read first what has arrived
        s->late = first;
        loop_arm(s->loop, t, 1);
    } else {
        give_up(s, "an answer takes too long");
    }
}

// --- connecting ---

static void start(struct store *s);

static void on_retry(struct timer *t, uint64_t now)
{
    (void)now;
    start(container_of(t, struct store, retry));
}

static void wait_and_retry(struct store *s, const char *why)
{
    if (s->state == STORE_CLOSED)
        return;
    uint32_t spread = (uint32_t)(s->backoff_ms - BACKOFF_MIN_MS) + 1;
    uint64_t after_ms = BACKOFF_MIN_MS + arc4random_uniform(spread);
    s->state = STORE_WAITING;
    s->backoff_ms = s->backoff_ms * 2 < BACKOFF_MAX_MS ? s->backoff_ms * 2 : BACKOFF_MAX_MS;
    M.store_errors++;
    LOG(WARN, EV("store.down"), KS("host", s->to.host), KS("port", s->to.port), KS("why", why),
        KU("retry_ms", after_ms));
    loop_arm(s->loop, &s->retry, after_ms);
}

// The connection is no longer ours. All that was sent on it ends; nothing that the callbacks send reaches it.
static void lost(struct store *s, const char *why)
{
    bool was_up = s->state == STORE_UP;
    if (s->link->ac)
        s->link->ac->data = NULL;
    s->link = NULL;
    s->greetings = 0;
    s->late = NULL;
    loop_cancel(s->loop, &s->deadline);
    wait_and_retry(s, why);
    while (s->sent.head)
        end_sent(s, NULL);
    if (was_up && s->cfg.on_down) {
        s->calling++;
        s->cfg.on_down(s->cfg.ctx);
        s->calling--;
    }
}

static void give_up(struct store *s, const char *why)
{
    redisAsyncContext *ac = s->link->ac;
    lost(s, why);
    redisAsyncFree(ac);
}

static void on_greeted(void *ctx, const struct reply *r)
{
    struct store *s = ctx;
    if (!r)
        return; // lost() sees to it
    if (!reply_ok(r)) {
        give_up(s, "refused"); // the error was logged when it came
        return;
    }
    if (--s->greetings > 0)
        return;
    s->state = STORE_UP;
    s->backoff_ms = BACKOFF_MIN_MS;
    if (s->connections++ > 0)
        M.store_reconnects++;
    LOG(INFO, EV("store.up"), KS("host", s->to.host), KS("port", s->to.port));
    if (s->cfg.on_up)
        s->cfg.on_up(s->cfg.ctx);
}

static void greet(struct store *s, size_t argc, const struct bytes *argv)
{
    s->greetings++;
    send_argv(s, on_greeted, s, argc, argv);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
    struct store *s = ac->data;
    if (!s)
        return;
    if (status != REDIS_OK) {
        lost(s, ac->c.errstr);
        return;
    }
    s->state = STORE_GREETING;
    loop_cancel(s->loop, &s->deadline);
    char db[24];
    snprintf(db, sizeof db, "%llu", (unsigned long long)s->to.db);
    if (s->to.password[0])
        greet(s, 2, (struct bytes[]){BYTES("AUTH"), bytes_of(s->to.password)});
    if (s->to.db)
        greet(s, 2, (struct bytes[]){BYTES("SELECT"), bytes_of(db)});
    static const char *const libraries[] = {record_functions, session_functions};
    for (size_t i = 0; i < countof(libraries); i++)
        greet(s, 4, (struct bytes[]){BYTES("FUNCTION"), BYTES("LOAD"), BYTES("REPLACE"), bytes_of(libraries[i])});
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
    (void)status;
    if (ac->data)
        lost(ac->data, ac->errstr ? ac->errstr : "closed");
}

static void connect_to(struct store *s, const char *number)
{
    redisAsyncContext *ac = redisAsyncConnect(number, atoi(s->to.port));
    CHECK(ac != NULL);
    if (ac->err) {
        wait_and_retry(s, ac->errstr);
        redisAsyncFree(ac);
        return;
    }
    store_bound(ac->c.reader);
    s->state = STORE_CONNECTING;
    s->link = link_new(s->loop, ac);
    ac->data = s;
    redisAsyncSetConnectCallback(ac, on_connect);
    redisAsyncSetDisconnectCallback(ac, on_disconnect);
    loop_arm(s->loop, &s->deadline, CONNECT_MS);
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct store *s = req->data;
    mem_free(req);
    if (!s) { // freed meanwhile
        uv_freeaddrinfo(found);
        return;
    }
    s->lookup = NULL;
    char number[64] = "";
    size_t n = 0;
    for (struct addrinfo *a = found; a; a = a->ai_next)
        n++;
    struct addrinfo *pick = found;
    for (size_t i = n ? s->lookups++ % n : 0; i > 0; i--) // a name with several addresses: another one each time
        pick = pick->ai_next;
    if (status == 0 && pick &&
        getnameinfo(pick->ai_addr, pick->ai_addrlen, number, sizeof number, NULL, 0, NI_NUMERICHOST) == 0)
        connect_to(s, number);
    else
        wait_and_retry(s, status ? uv_strerror(status) : "no address");
    uv_freeaddrinfo(found);
}

static void start(struct store *s)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    s->state = STORE_RESOLVING;
    s->lookup = mem_alloc(sizeof *s->lookup);
    s->lookup->data = s;
    int err = uv_getaddrinfo(loop_uv(s->loop), s->lookup, on_lookup, s->to.host, s->to.port, &hints);
    if (err) {
        mem_free(s->lookup);
        s->lookup = NULL;
        wait_and_retry(s, uv_strerror(err));
    }
}

// --- life ---

struct store *store_new(struct loop *l, struct store_cfg cfg)
{
    struct store *s = mem_alloc(sizeof *s);
    s->loop = l;
    s->cfg = cfg;
    CHECK(store_address_parse(&s->to, cfg.url) == OK);
    CHECK(cfg.pending_max > 0);
    s->backoff_ms = BACKOFF_MIN_MS;
    ops_init(&s->sent);
    ops_init(&s->failed);
    s->deadline.fire = on_deadline;
    s->retry.fire = on_retry;
    s->fail.fn = on_fail;
    start(s);
    return s;
}

bool store_up(const struct store *s)
{
    return s->state == STORE_UP;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    CHECK(s->calling == 0);
    s->state = STORE_CLOSED;
    loop_cancel(s->loop, &s->retry);
    if (s->link && s->link->write.queued)
        link_write(s->link); // what nobody waits for an answer of shall arrive all the same
    if (s->link)
        give_up(s, "closed");
    while (s->failed.head)
        ops_end(s, &s->failed, NULL);
    loop_unflush(s->loop, &s->fail);
    if (s->lookup) {
        s->lookup->data = NULL;
        uv_cancel((uv_req_t *)s->lookup);
    }
    buf_fini(&s->scratch);
    mem_free(s);
}

// --- replies ---

static const redisReply *raw(const struct reply *r)
{
    return (const redisReply *)(const void *)r;
}

enum reply_kind reply_kind(const struct reply *r)
{
    switch (r ? raw(r)->type : REDIS_REPLY_NIL) {
    case REDIS_REPLY_ERROR:
        return REPLY_ERROR;
    case REDIS_REPLY_STATUS:
        return REPLY_STATUS;
    case REDIS_REPLY_INTEGER:
        return REPLY_INT;
    case REDIS_REPLY_STRING:
        return REPLY_TEXT;
    case REDIS_REPLY_ARRAY:
        return REPLY_LIST;
    default:
        return REPLY_NIL;
    }
}

bool reply_ok(const struct reply *r)
{
    return r && reply_kind(r) != REPLY_ERROR;
}

int64_t reply_int(const struct reply *r)
{
    return reply_kind(r) == REPLY_INT ? raw(r)->integer : 0;
}

struct bytes reply_text(const struct reply *r)
{
    switch (reply_kind(r)) {
    case REPLY_TEXT:
    case REPLY_STATUS:
    case REPLY_ERROR:
        return (struct bytes){raw(r)->str, raw(r)->len};
    case REPLY_NIL:
    case REPLY_INT:
    case REPLY_LIST:
        break;
    }
    return BYTES_NONE;
}

size_t reply_n(const struct reply *r)
{
    return reply_kind(r) == REPLY_LIST ? raw(r)->elements : 0;
}

const struct reply *reply_at(const struct reply *r, size_t i)
{
    return i < reply_n(r) ? (const struct reply *)(const void *)raw(r)->element[i] : NULL;
}

const struct reply *reply_field(const struct reply *r, const char *field)
{
    for (size_t i = 0; i + 1 < reply_n(r); i += 2)
        if (bytes_is(reply_text(reply_at(r, i)), field))
            return reply_at(r, i + 1);
    return NULL;
}
