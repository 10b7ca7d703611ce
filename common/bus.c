// bus: the registry in Redis, and the peers found there. See bus.h.
#include "bus_private.h"
#include "log.h"
#include "metrics.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define DIAL_MS 2000u
#define REDIAL_MS 10u
#define PRUNE_LEASES 10u // an instance that has been silent for so many leases leaves the registry

const char *bus_kind_name(enum bus_kind k)
{
    static const char *const names[BUS_KINDS] = {"gateway", "call-manager", "region-allocator", "message",
                                                 "voice-node"};
    CHECK(k < BUS_KINDS);
    return names[k];
}

// --- peers ---

void bus_dial_events(struct bus_peer *p)
{
    if (!p->events)
        p->events = bus_dial(p->bus, BUS_EVENTS, p->events_url);
}

// A peer that hangs up at once is not dialled as fast as it does so.
void bus_dial_commands(struct bus_peer *p)
{
    uint64_t now = loop_now(p->bus->loop);
    if (p->commands || now < p->dial_at)
        return;
    p->dial_at = now + REDIAL_MS;
    p->commands = bus_dial(p->bus, BUS_COMMANDS, p->commands_url);
}

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
    bus_close(b, peer_sockets(p));
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

static void dial_commands_anew(struct bus_peer *p)
{
    bus_close(p->bus, p->commands);
    p->commands = NULL;
    bus_command_unqueue(p->bus, p);
    bus_dial_commands(p);
}

static void dial_anew(struct bus *b, uint64_t now)
{
    struct bus_peer *p;
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;) {
        if (stuck(p->events, now)) {
            bus_close(b, p->events);
            p->events = NULL;
            bus_dial_events(p);
        }
        if (stuck(p->commands, now))
            dial_commands_anew(p);
        else if (b->watched[p->kind])
            bus_dial_commands(p);
    }
}

static void on_beat(struct timer *t, uint64_t now)
{
    struct bus *b = container_of(t, struct bus, beat);
    loop_arm(b->loop, t, BUS_BEAT_MS / 2);
    dial_anew(b, now);
    if (bus_close_look(b) && b->cfg.on_stuck)
        b->cfg.on_stuck(b->cfg.ctx);
    bus_event_beats(b);
    bus_commit_doubts(b);
    bus_command_forget_old(b);
}

// --- receiving ---

static void on_sub(uv_poll_t *poll, int status, int events)
{
    struct bus *b = poll->data;
    (void)events;
    if (status == 0)
        bus_drain(b, b->sub, bus_event_batch);
}

static void on_pull(uv_poll_t *poll, int status, int events)
{
    struct bus *b = poll->data;
    (void)events;
    if (status == 0)
        bus_drain(b, b->pull, bus_command_message);
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
        if (bus_spent(p->commands)) {
            dial_commands_anew(p);
            look = true;
        }
        if (p->batch.n > 0 && bus_up(p->events))
            loop_flush(b->loop, &p->flush);
    }
    if (look)
        bus_look(b);
    bus_command_links_changed(b);
}

// --- life ---

struct bus *bus_new(struct loop *l, struct store *s, struct bus_cfg cfg)
{
    struct bus *b = mem_alloc(sizeof *b);
    b->loop = l;
    b->store = s;
    b->cfg = cfg;
    CHECK(bytes_copy(b->instance, sizeof b->instance, bytes_of(cfg.instance)) == OK);
    randombytes_buf(&b->epoch, sizeof b->epoch);
    b->last_link_epoch = b->born = b->epoch;
    b->waker = bus_waker_new(b, on_wake);
    b->sub = bus_listen(b, BUS_EVENTS, b->events_url);
    b->pull = b->sub ? bus_listen(b, BUS_COMMANDS, b->commands_url) : NULL;
    if (!b->pull) {
        bus_close(b, b->sub);
        bus_close_end(b);
        bus_waker_stop(b->waker);
        mem_free(b);
        return NULL;
    }
    b->sub_poll = bus_poll(b, b->sub, on_sub);
    b->pull_poll = bus_poll(b, b->pull, on_pull);
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
    bus_close(b, all);
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
    uv_close((uv_handle_t *)b->sub_poll, bus_free_handle);
    uv_close((uv_handle_t *)b->pull_poll, bus_free_handle);
    bus_commit_stop(b);
    bus_command_stop(b);
    stop_sockets(b);
    bus_waker_stop(b->waker);
}

void bus_free(struct bus *b)
{
    struct bus_link *l;
    bus_close_end(b);
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
