// bus: the registry in Redis, the peers found there, and the sockets. See bus.h.
// All of nng's calls here are non-blocking, and receives are driven by its pollable descriptor: in 1.5.2 a receive
// that is cancelled or times out can crash a subscriber, and one that never waits cannot be cancelled.
#include "bus_private.h"
#include "log.h"
#include "metrics.h"
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define RECV_TURN 64u   // messages taken in one turn of the loop
#define RECONNECT_MS 10 // nng's default of 100 ms and more loses that much after each cut
#define DIAL_MS 2000u
#define LINGER_MS 50     // before sockets are closed at a stop
#define PRUNE_LEASES 10u // an instance that has been silent for so many leases leaves the registry

const char *bus_kind_name(enum bus_kind k)
{
    static const char *const names[BUS_KINDS] = {"gateway", "call-manager", "region-allocator", "message",
                                                 "voice-node"};
    CHECK(k < BUS_KINDS);
    return names[k];
}

// --- sockets ---

static struct bus_waker *waker_new(struct bus *b, uv_async_cb fn)
{
    struct bus_waker *w = mem_alloc(sizeof *w);
    CHECK(uv_mutex_init(&w->lock) == 0);
    w->wake = mem_alloc(sizeof *w->wake);
    CHECK(uv_async_init(loop_uv(b->loop), w->wake, fn) == 0);
    w->wake->data = b;
    w->refs = 1;
    return w;
}

static void wake(struct bus_waker *w)
{
    uv_mutex_lock(&w->lock);
    if (w->wake)
        uv_async_send(w->wake);
    uv_mutex_unlock(&w->lock);
}

static void waker_release(struct bus_waker *w) // on the loop, like taking it
{
    if (--w->refs > 0)
        return;
    uv_mutex_destroy(&w->lock);
    mem_free(w);
}

static void free_handle(uv_handle_t *handle)
{
    mem_free(handle);
}

static void waker_stop(struct bus_waker *w)
{
    uv_mutex_lock(&w->lock);
    uv_close((uv_handle_t *)w->wake, free_handle);
    w->wake = NULL;
    uv_mutex_unlock(&w->lock);
    waker_release(w);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
    struct bus_socket *s = arg; // on one of nng's threads
    (void)pipe;
    if (ev == NNG_PIPE_EV_ADD_POST) {
        atomic_fetch_add(&s->pipes, 1);
    } else {
        atomic_fetch_sub(&s->pipes, 1);
        atomic_store(&s->dropped, true);
    }
    wake(s->waker);
}

// Each kind of socket knows only some of these.
static void tune(nng_socket s)
{
    (void)nng_setopt_int(s, NNG_OPT_SENDBUF, BUS_QUEUE);
    (void)nng_setopt_int(s, NNG_OPT_RECVBUF, BUS_QUEUE);
    (void)nng_setopt_ms(s, NNG_OPT_RECONNMINT, RECONNECT_MS);
    (void)nng_setopt_ms(s, NNG_OPT_RECONNMAXT, RECONNECT_MS);
    (void)nng_setopt_size(s, NNG_OPT_RECVMAXSZ, BUS_MESSAGE_MAX);
}

static struct bus_socket *socket_new(struct bus *b, int (*open)(nng_socket *))
{
    struct bus_socket *s = mem_alloc(sizeof *s);
    CHECK(open(&s->socket) == 0); // it fails for want of memory or threads alone
    s->waker = b->waker;
    s->waker->refs++;
    tune(s->socket);
    CHECK(nng_pipe_notify(s->socket, NNG_PIPE_EV_ADD_POST, on_pipe, s) == 0);
    CHECK(nng_pipe_notify(s->socket, NNG_PIPE_EV_REM_POST, on_pipe, s) == 0);
    return s;
}

struct closing {
    uv_work_t work;
    struct bus_socket *first;
    bool linger;
};

static void close_sockets(uv_work_t *work) // on a thread of libuv's
{
    struct closing *c = work->data;
    if (c->linger)
        uv_sleep(LINGER_MS); // what was sent last is still on its way through nng's threads, and it does not wait
    for (struct bus_socket *s = c->first; s; s = s->next)
        nng_close(s->socket);
}

static void sockets_closed(uv_work_t *work, int status)
{
    struct closing *c = work->data;
    (void)status;
    for (struct bus_socket *s = c->first, *next; s; s = next) {
        next = s->next;
        waker_release(s->waker);
        mem_free(s);
    }
    mem_free(c);
}

static void close_later(struct bus *b, struct bus_socket *first, bool linger)
{
    if (!first)
        return;
    struct closing *c = mem_alloc(sizeof *c);
    *c = (struct closing){.work.data = c, .first = first, .linger = linger};
    CHECK(uv_queue_work(loop_uv(b->loop), &c->work, close_sockets, sockets_closed) == 0);
}

bool bus_up(const struct bus_socket *s)
{
    return s && atomic_load(&s->pipes) > 0;
}

static struct bus_socket *dial(struct bus *b, int (*open)(nng_socket *), const char *url)
{
    struct bus_socket *s = socket_new(b, open);
    int err = nng_dial(s->socket, url, NULL, NNG_FLAG_NONBLOCK);
    if (err == 0)
        return s;
    LOG(WARN, EV("bus.dial"), KS("url", url), KS("why", nng_strerror(err)));
    close_later(b, s, false);
    return NULL;
}

void bus_dial_events(struct bus_peer *p)
{
    if (!p->events)
        p->events = dial(p->bus, nng_pub0_open, p->events_url);
}

void bus_dial_commands(struct bus_peer *p)
{
    if (!p->commands)
        p->commands = dial(p->bus, nng_push0_open, p->commands_url);
}

int bus_send(struct bus_socket *s, struct bytes head, struct bytes body)
{
    nng_msg *m;
    if (head.n + body.n > BUS_MESSAGE_MAX) { // the receiver would hang up, and with it lose what came before
        M.bus_refused++;
        return ERR_FULL;
    }
    CHECK(nng_msg_alloc(&m, 0) == 0);
    CHECK(nng_msg_append(m, head.p, head.n) == 0 && nng_msg_append(m, body.p, body.n) == 0);
    if (nng_sendmsg(s->socket, m, NNG_FLAG_NONBLOCK) == 0)
        return OK;
    nng_msg_free(m);
    M.bus_refused++;
    return ERR_FULL;
}

// --- peers ---

struct bus_peer *bus_peer_named(const struct bus *b, struct bytes name)
{
    return table_get(&b->peers, bytes_hash(name));
}

bool bus_is(const struct bus *b, struct bytes instance, enum bus_kind kind)
{
    const struct bus_peer *p = bus_peer_named(b, instance);
    return p && p->kind == kind;
}

bool bus_lives(const struct bus *b, struct bytes instance, uint64_t born)
{
    const struct bus_peer *p = bus_peer_named(b, instance);
    return bytes_is(instance, b->instance) ? born == b->born : p && born == p->born;
}

uint64_t bus_born(const struct bus *b)
{
    return b->born;
}

size_t bus_peers_of(const struct bus *b, enum bus_kind kind, uint64_t *hashes, size_t max)
{
    size_t n = 0;
    struct bus_peer *p;
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;)
        if (p->kind == kind && n < max)
            hashes[n++] = p->hash;
    return n;
}

bool bus_has(const struct bus *b, enum bus_kind kind)
{
    uint64_t one;
    return bus_peers_of(b, kind, &one, 1) > 0;
}

size_t bus_names(const struct bus *b, enum bus_kind kind, const char **names, size_t max)
{
    uint64_t hashes[BUS_PEERS_MAX];
    size_t n = bus_peers_of(b, kind, hashes, max < BUS_PEERS_MAX ? max : BUS_PEERS_MAX);
    for (size_t i = 0; i < n; i++)
        names[i] = ((const struct bus_peer *)table_get(&b->peers, hashes[i]))->name;
    return n;
}

void bus_miss(struct bus *b, struct bytes name)
{
    static char mark;
    if (b->missed.n < BUS_PEERS_MAX)
        table_put(&b->missed, bytes_hash(name), &mark);
    else
        b->missed_more = true;
}

// Takes its sockets out, to be closed.
static struct bus_socket *peer_sockets(struct bus_peer *p)
{
    struct bus_socket *first = p->events ? p->events : p->commands;
    if (p->events)
        p->events->next = p->commands;
    p->events = p->commands = NULL;
    return first;
}

static void peer_free(struct bus_peer *p)
{
    loop_unflush(p->bus->loop, &p->flush);
    loop_unflush(p->bus->loop, &p->orders_flush);
    buf_fini(&p->batch);
    buf_fini(&p->orders);
    mem_free(p);
}

static void peer_gone(struct bus *b, struct bus_peer *p, const char *why)
{
    table_remove(&b->peers, p->hash);
    mem_free(table_remove(&b->links, p->hash));
    close_later(b, peer_sockets(p), false);
    if (b->watched[p->kind] && b->cfg.on_peer)
        b->cfg.on_peer(b->cfg.ctx, p->kind, p->name, false);
    bus_event_lost(b, why); // what it committed and did not get out stands in the logs
    bus_command_peer_gone(b, p);
    peer_free(p);
}

static int peer_named(struct bus_peer *p, const struct bus_node *node)
{
    if (bytes_copy(p->name, sizeof p->name, node->instance) != OK ||
        bytes_copy(p->events_url, sizeof p->events_url, node->events_url) != OK ||
        bytes_copy(p->commands_url, sizeof p->commands_url, node->commands_url) != OK)
        return ERR_INVALID;
    p->hash = bytes_hash(node->instance);
    p->epoch = node->epoch;
    p->born = node->born;
    return OK;
}

bool bus_listens(enum bus_kind kind)
{
    return kind == BUS_GATEWAY || kind == BUS_VOICE_NODE;
}

static bool commits(enum bus_kind kind)
{
    return kind == BUS_CALL_MANAGER || kind == BUS_MESSAGE;
}

static void peer_new(struct bus *b, enum bus_kind kind, const struct bus_node *node)
{
    struct bus_peer *p = mem_alloc(sizeof *p);
    p->bus = b;
    p->kind = kind;
    p->seen = true;
    p->flush.fn = bus_event_flush;
    p->orders_flush.fn = bus_command_flush;
    p->link_epoch = ++b->last_link_epoch;
    if (b->peers.n >= BUS_PEERS_MAX || peer_named(p, node) != OK) {
        M.bus_peers_refused++;
        LOG_PEER(WARN, EV("bus.peer_refused"), KB("peer", node->instance), KU("peers", b->peers.n));
        mem_free(p);
        return;
    }
    table_put(&b->peers, p->hash, p);
    if (table_remove(&b->missed, p->hash) || b->missed_more) {
        p->seq = 1; // its first beat tells it that something was there before
        bus_dial_events(p);
    }
    // Whoever commits beats to all who may listen, so that each of them knows whether it hears everybody.
    if (bus_listens(kind) && commits(b->cfg.kind))
        bus_dial_events(p);
    if (bus_listens(b->cfg.kind) && commits(kind))
        bus_event_expect(b, p);
    if (b->watched[kind])
        bus_dial_commands(p);
    if (b->watched[kind] && b->cfg.on_peer)
        b->cfg.on_peer(b->cfg.ctx, kind, p->name, true);
}

static void peer_here(struct bus *b, enum bus_kind kind, const struct bus_node *node)
{
    struct bus_peer *p = bus_peer_named(b, node->instance);
    if (p && p->epoch == node->epoch) {
        p->seen = true;
        return;
    }
    if (p)
        peer_gone(b, p, "a peer was started anew");
    peer_new(b, kind, node);
}

// --- registry ---

struct look { // at one kind, or at one instance of it
    struct bus *b;
    enum bus_kind kind;
};

// Redis is away: nobody is gone for that.
static void look_failed(struct bus *b, enum bus_kind kind)
{
    struct bus_peer *p;
    b->look_failed = true;
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;)
        if (p->kind == kind)
            p->seen = true;
}

static void look_done(struct bus *b)
{
    struct bus_peer *p;
    if (--b->looking > 0 || b->stopped)
        return;
    bool trust = b->refused || loop_now(b->loop) < b->trust_until; // nobody can renew, or could a moment ago
    for (uint32_t i = 0; !trust && (p = table_next(&b->peers, &i, NULL)) != NULL;)
        if (!p->seen)
            peer_gone(b, p, "a peer's lease ran out");
    b->read |= !b->look_failed;
    b->look_failed = false;
}

static void on_node(void *ctx, const struct reply *r)
{
    struct look look = *(struct look *)ctx;
    struct bus_node node;
    struct bytes blob = reply_text(r);
    mem_free(ctx);
    if (!reply_ok(r))
        look_failed(look.b, look.kind);
    if (!look.b->stopped && blob.n > 0) {
        if (UNPACK(&look.b->arena, bus_node, blob, &node) == OK)
            peer_here(look.b, look.kind, &node);
        else
            M.bus_invalid++;
        arena_reset(&look.b->arena);
    }
    look_done(look.b);
}

static void look_at(struct bus *b, enum bus_kind kind, struct bytes instance)
{
    struct look *look = mem_alloc(sizeof *look);
    *look = (struct look){b, kind};
    b->looking++;
    store_cmd(b->store, on_node, look, "GET bus:%s:%b", bus_kind_name(kind), instance.p, instance.n);
}

static void on_kind(void *ctx, const struct reply *r)
{
    struct look look = *(struct look *)ctx;
    mem_free(ctx);
    if (!reply_ok(r))
        look_failed(look.b, look.kind);
    for (size_t i = 0; i < reply_n(r) && !look.b->stopped; i++)
        look_at(look.b, look.kind, reply_text(reply_at(r, i)));
    look_done(look.b);
}

void bus_look(struct bus *b)
{
    struct bus_peer *p;
    if (b->looking > 0 || b->stopped || !store_up(b->store))
        return;
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;)
        p->seen = false;
    for (int k = 0; k < BUS_KINDS; k++) {
        struct look *look = mem_alloc(sizeof *look);
        *look = (struct look){b, (enum bus_kind)k};
        b->looking++;
        store_cmd(b->store, on_kind, look, "ZRANGE bus:%s 0 %u", bus_kind_name((enum bus_kind)k), BUS_PEERS_MAX - 1);
    }
}

static void on_registered(void *ctx, const struct reply *r)
{
    struct bus *b = ctx;
    if (r)
        b->refused = !reply_ok(r);
    if (!reply_ok(r) || b->stopped)
        return;
    // SET … GET answers what stood there: nothing at the first time, and nothing after our own lease has run out.
    if (b->own_known && reply_kind(r) == REPLY_NIL) {
        bus_event_lost(b, "our own lease ran out");
        b->trust_until = loop_now(b->loop) + b->cfg.lease_ms;
    }
    b->own_known = b->registered = true;
}

static void register_self(struct bus *b)
{
    struct buf node = {0};
    const char *kind = bus_kind_name(b->cfg.kind);
    unsigned long long now = loop_unix_ms(b->loop), lease = b->cfg.lease_ms;
    if (!store_up(b->store))
        return;
    PACK(&node, bus_node,
         (&(struct bus_node){bytes_of(b->instance), bytes_of(b->events_url), bytes_of(b->commands_url), b->epoch,
                             b->born}));
    store_cmd(b->store, on_registered, b, "SET bus:%s:%s %b PX %llu GET", kind, b->instance, node.p, node.n, lease);
    store_cmd(b->store, NULL, NULL, "ZADD bus:%s %llu %s", kind, now + lease, b->instance);
    store_cmd(b->store, NULL, NULL, "ZREMRANGEBYSCORE bus:%s -inf %llu", kind, now - PRUNE_LEASES * lease);
    buf_fini(&node);
}

void bus_anew(struct bus *b)
{
    randombytes_buf(&b->epoch, sizeof b->epoch);
    b->anew_at = loop_now(b->loop);
    register_self(b);
}

static void on_renew(struct timer *t, uint64_t now)
{
    struct bus *b = container_of(t, struct bus, renew);
    (void)now;
    // Soon at first, so that a process that has just started is found and finds the others without delay.
    loop_arm(b->loop, t, b->registered && b->read ? b->cfg.lease_ms / 3 : 20);
    register_self(b);
    bus_look(b);
}

// True: it has been dialling for so long that it is stuck. nng waits for 10 s for a greeting that was swallowed.
static bool stuck(struct bus_socket *s, uint64_t now)
{
    if (!s || bus_up(s)) {
        if (s)
            s->down_at = 0;
        return false;
    }
    if (!s->down_at)
        s->down_at = now;
    return now - s->down_at >= DIAL_MS;
}

static void dial_anew(struct bus *b, uint64_t now)
{
    struct bus_peer *p;
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;) {
        if (stuck(p->events, now)) {
            close_later(b, p->events, false);
            p->events = NULL;
            bus_dial_events(p);
        }
        if (stuck(p->commands, now)) {
            close_later(b, p->commands, false);
            p->commands = NULL;
            bus_dial_commands(p);
        }
    }
}

static void on_beat(struct timer *t, uint64_t now)
{
    struct bus *b = container_of(t, struct bus, beat);
    loop_arm(b->loop, t, BUS_BEAT_MS / 2);
    dial_anew(b, now);
    bus_event_beats(b);
    bus_commit_doubts(b);
    bus_command_forget_old(b);
}

// --- receiving ---

static void drain(struct bus *b, const struct bus_socket *s, void (*fn)(struct bus *b, struct bytes message))
{
    nng_msg *m;
    for (uint32_t i = 0; i < RECV_TURN && !b->stopped; i++) {
        if (nng_recvmsg(s->socket, &m, NNG_FLAG_NONBLOCK) != 0)
            return;
        fn(b, (struct bytes){nng_msg_body(m), nng_msg_len(m)});
        nng_msg_free(m);
        arena_reset(&b->arena);
    } // the descriptor is level-triggered: a remainder comes back in the next turn
}

static void on_sub(uv_poll_t *poll, int status, int events)
{
    struct bus *b = poll->data;
    (void)events;
    if (status == 0)
        drain(b, b->sub, bus_event_batch);
}

static void on_pull(uv_poll_t *poll, int status, int events)
{
    struct bus *b = poll->data;
    (void)events;
    if (status == 0)
        drain(b, b->pull, bus_command_message);
}

static void on_wake(uv_async_t *async)
{
    struct bus *b = async->data;
    struct bus_peer *p;
    bool look = false;
    if (b->stopped)
        return;
    if (atomic_exchange(&b->sub->dropped, false)) {
        bus_event_lost(b, "a publisher's pipe was dropped");
        look = true;
    }
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;) {
        look |= p->events && atomic_exchange(&p->events->dropped, false);
        look |= p->commands && atomic_exchange(&p->commands->dropped, false);
        if (p->batch.n > 0 && bus_up(p->events))
            loop_flush(b->loop, &p->flush);
    }
    if (look)
        bus_look(b);
    bus_command_links_changed(b);
}

// --- life ---

static int listen_on(const struct bus_socket *s, const char *bind, const char *host, char *url, size_t size)
{
    char address[300];
    nng_listener l;
    int port, err;
    snprintf(address, sizeof address, "tcp://%s:0", bind);
    err = nng_listen(s->socket, address, &l, 0);
    if (err == 0)
        err = nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &port);
    if (err != 0) {
        LOG(ERROR, EV("bus.listen"), KS("address", address), KS("why", nng_strerror(err)));
        return ERR_IO;
    }
    snprintf(url, size, "tcp://%s:%d", host, port);
    return OK;
}

static uv_poll_t *poll_on(struct bus *b, const struct bus_socket *s, uv_poll_cb fn)
{
    int fd;
    uv_poll_t *poll = mem_alloc(sizeof *poll);
    CHECK(nng_getopt_int(s->socket, NNG_OPT_RECVFD, &fd) == 0);
    CHECK(uv_poll_init(loop_uv(b->loop), poll, fd) == 0);
    poll->data = b;
    CHECK(uv_poll_start(poll, UV_READABLE, fn) == 0);
    return poll;
}

struct bus *bus_new(struct loop *l, struct store *s, struct bus_cfg cfg)
{
    struct bus *b = mem_alloc(sizeof *b);
    b->loop = l;
    b->store = s;
    b->cfg = cfg;
    CHECK(bytes_copy(b->instance, sizeof b->instance, bytes_of(cfg.instance)) == OK);
    randombytes_buf(&b->epoch, sizeof b->epoch);
    b->last_link_epoch = b->born = b->epoch;
    b->waker = waker_new(b, on_wake);
    b->sub = socket_new(b, nng_sub0_open);
    b->pull = socket_new(b, nng_pull0_open);
    CHECK(nng_setopt(b->sub->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0) == 0); // whoever dials us means us
    if (listen_on(b->sub, cfg.bind, cfg.host, b->events_url, sizeof b->events_url) != OK ||
        listen_on(b->pull, cfg.bind, cfg.host, b->commands_url, sizeof b->commands_url) != OK) {
        b->sub->next = b->pull;
        close_later(b, b->sub, false);
        waker_stop(b->waker);
        mem_free(b);
        return NULL;
    }
    b->sub_poll = poll_on(b, b->sub, on_sub);
    b->pull_poll = poll_on(b, b->pull, on_pull);
    b->loss.fn = bus_event_loss_flush;
    b->newest = &b->oldest;
    b->renew.fire = on_renew;
    b->beat.fire = on_beat;
    loop_arm(l, &b->renew, 0);
    loop_arm(l, &b->beat, BUS_BEAT_MS);
    return b;
}

void bus_watch(struct bus *b, enum bus_kind kind)
{
    struct bus_peer *p;
    b->watched[kind] = true;
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;)
        if (p->kind == kind && b->cfg.on_peer)
            b->cfg.on_peer(b->cfg.ctx, kind, p->name, true);
}

bool bus_refused(const struct bus *b)
{
    return b->refused;
}

bool bus_ready(const struct bus *b)
{
    return b->registered && b->read && !b->stopped;
}

static void stop_sockets(struct bus *b)
{
    struct bus_peer *p;
    struct bus_socket *all = b->sub;
    b->sub->next = b->pull;
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;) {
        struct bus_socket *of_peer = peer_sockets(p);
        if (of_peer) {
            (of_peer->next ? of_peer->next : of_peer)->next = all;
            all = of_peer;
        }
        table_remove(&b->peers, p->hash);
        peer_free(p);
    }
    close_later(b, all, true);
    b->sub = b->pull = NULL;
}

void bus_stop(struct bus *b)
{
    struct bus_peer *p;
    const char *kind = bus_kind_name(b->cfg.kind);
    if (b->stopped) {
        bus_command_stop(b);
        return;
    }
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;) {
        bus_event_flush(&p->flush);
        bus_command_flush(&p->orders_flush);
    }
    b->stopped = true;
    store_cmd(b->store, NULL, NULL, "DEL bus:%s:%s", kind, b->instance);
    store_cmd(b->store, NULL, NULL, "ZREM bus:%s %s", kind, b->instance);
    loop_cancel(b->loop, &b->renew);
    loop_cancel(b->loop, &b->beat);
    loop_unflush(b->loop, &b->loss);
    uv_close((uv_handle_t *)b->sub_poll, free_handle);
    uv_close((uv_handle_t *)b->pull_poll, free_handle);
    bus_commit_stop(b);
    bus_command_stop(b);
    stop_sockets(b);
    waker_stop(b->waker);
}

void bus_free(struct bus *b)
{
    struct bus_link *l;
    for (uint32_t i = 0; (l = table_next(&b->links, &i, NULL)) != NULL;)
        mem_free(l);
    table_fini(&b->links);
    table_fini(&b->peers);
    table_fini(&b->missed);
    arena_fini(&b->arena);
    mem_free(b);
}

const char *bus_url(const struct bus *b, const char *which)
{
    return strcmp(which, "events") == 0 ? b->events_url : b->commands_url;
}

void bus_dump(const struct bus *b, struct buf *out)
{
    struct bus_peer *p;
    buf_printf(out, "bus %s: %u peers, %u commands waiting, %u running, %u answers kept\n", b->instance, b->peers.n,
               b->pending.n, b->running.n, b->kept.n);
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;)
        buf_printf(out, "  %s %s batches=%llu unsent=%zu\n", bus_kind_name(p->kind), p->name,
                   (unsigned long long)p->seq, p->batch.n);
}
