// bus_command: commands, repeated until answered, and their answers, kept for repeats. A command's id is what makes it
// one command: who takes it works on it once, and answers a repeat with what it answered the first time.
#include "bus_private.h"
#include "log.h"
#include "metrics.h"
#include <sodium.h>
#include <string.h>

#define REPEAT_MS 250u
#define TRIES_PER_INSTANCE 2u // unanswered ones, then somebody else is asked
#define KEPT_MS 30000u
#define BODY_MAX (4u * 1024u * 1024u)

struct bus_pending {
    struct bus_pending *same; // asked with the same id before this one
    struct bus *b;
    uint64_t id, key, deadline; // deadline: of this loop's clock
    enum bus_kind kind;
    uint32_t tries; // at the instance `at`
    uint64_t at, avoid;
    uint64_t only; // hash of the instance that it is for; 0: any of its kind
    bool queued;   // on its way to `at` since the last repeat
    struct timer repeat;
    struct buf message;
    bus_answer_fn fn;
    void *ctx;
};

struct bus_kept { // an answer
    struct bus_kept *next;
    uint64_t id, at;
    int64_t err;
    size_t n; // bytes of the body, which stands behind this struct
};

uint64_t bus_new_id(struct bus *b)
{
    uint64_t id;
    (void)b;
    do
        randombytes_buf(&id, sizeof id);
    while (id == 0 || id > UINT64_MAX - 64); // a command may use the numbers behind its own for its parts
    return id;
}

// --- asking ---

static void unlist(struct bus_pending *p)
{
    struct bus_pending *first = table_get(&p->b->pending, p->id), *before = first;
    if (first != p) {
        while (before->same != p)
            before = before->same;
        before->same = p->same;
    } else if (p->same) {
        table_put(&p->b->pending, p->id, p->same);
    } else {
        table_remove(&p->b->pending, p->id);
    }
}

static void pending_done(struct bus_pending *p, const struct answer *a)
{
    bus_answer_fn fn = p->fn;
    void *ctx = p->ctx;
    unlist(p);
    loop_cancel(p->b->loop, &p->repeat);
    buf_fini(&p->message);
    mem_free(p);
    if (fn)
        fn(ctx, a);
}

static struct bus_peer *pick(struct bus_pending *p)
{
    uint64_t names[BUS_PEERS_MAX];
    if (p->only) {
        struct bus_peer *one = table_get(&p->b->peers, p->only);
        return one && one->kind == p->kind ? one : NULL;
    }
    size_t n = bus_peers_of(p->b, p->kind, names, BUS_PEERS_MAX);
    size_t i = bus_pick(names, n, p->key, p->avoid);
    return i < n ? table_get(&p->b->peers, names[i]) : NULL;
}

static void send_to_one(struct bus_pending *p)
{
    struct bus_peer *peer = pick(p);
    if (!peer)
        return; // nobody of that kind; the next repeat looks again
    if (peer->hash != p->at) {
        p->at = peer->hash;
        p->tries = 0;
    }
    bus_dial_commands(peer);
    if (!bus_up(peer->commands)) {
        bus_look(p->b);
        return; // on_wake sends it as soon as the link is up
    }
    p->queued = true;
    buf_add(&peer->orders, p->message.p, p->message.n);
    if (peer->orders.n >= BUS_BATCH_MAX)
        bus_command_flush(&peer->orders_flush);
    else
        loop_flush(p->b->loop, &peer->orders_flush);
}

// What a turn has for one instance goes out together. What cannot is repeated.
void bus_command_flush(struct loop_flush *f)
{
    struct bus_peer *p = container_of(f, struct bus_peer, orders_flush);
    if (p->orders.n > 0 && bus_up(p->commands))
        (void)!bus_send(p->commands, buf_bytes(&p->orders), BYTES_NONE);
    buf_fini(&p->orders);
}

static void on_repeat(struct timer *t, uint64_t now)
{
    struct bus_pending *p = container_of(t, struct bus_pending, repeat);
    if (now >= p->deadline) {
        M.commands_timed_out++;
        pending_done(p, NULL);
        return;
    }
    loop_arm(p->b->loop, t, p->deadline - now < REPEAT_MS ? p->deadline - now : REPEAT_MS);
    M.commands_repeated++;
    if (++p->tries >= TRIES_PER_INSTANCE)
        p->avoid = p->at;
    p->queued = false;
    send_to_one(p);
}

// As `as` says; for which instance, and what becomes of it.
static uint64_t command(const struct bus_pending *as, const struct msg *m, uint64_t timeout_ms)
{
    struct bus *b = as->b;
    struct bus_pending *p = mem_alloc(sizeof *p);
    uint64_t now = loop_now(b->loop), id = as->id;
    *p = *as;
    CHECK(b->watched[p->kind]);
    while (p->id == 0 || (id == 0 && table_get(&b->pending, p->id)))
        p->id = bus_new_id(b);
    p->same = table_get(&b->pending, p->id);
    p->deadline = now + timeout_ms;
    p->repeat.fire = on_repeat;
    // Whoever carries it out has a little less time, so that his last word still gets here.
    uint64_t by = loop_unix_ms(b->loop) + timeout_ms - timeout_ms / 10;
    PACK(&p->message, command, (&(struct command){p->id, by, bytes_of(b->instance), (uint64_t)b->cfg.kind}));
    schema_pack(&p->message, m->schema, m->v);
    table_put(&b->pending, p->id, p);
    M.commands_sent++;
    loop_arm(b->loop, &p->repeat, timeout_ms < REPEAT_MS ? timeout_ms : REPEAT_MS);
    if (!b->stopped)
        send_to_one(p);
    return p->id;
}

uint64_t bus_command(struct bus *b, enum bus_kind to, uint64_t key, uint64_t id, const struct msg *m,
                     uint64_t timeout_ms, bus_answer_fn fn, void *ctx)
{
    const struct bus_pending p = {.b = b, .id = id, .key = key, .kind = to, .fn = fn, .ctx = ctx};
    return command(&p, m, timeout_ms);
}

uint64_t bus_command_at(struct bus *b, enum bus_kind to, const char *instance, uint64_t id, const struct msg *m,
                        uint64_t timeout_ms, bus_answer_fn fn, void *ctx)
{
    const struct bus_pending p = {
        .b = b, .id = id, .kind = to, .only = bytes_hash(bytes_of(instance)), .fn = fn, .ctx = ctx};
    return command(&p, m, timeout_ms);
}

void bus_take_back(struct bus *b, uint64_t id)
{
    struct bus_pending *p, *next = table_get(&b->pending, id);
    while ((p = next) != NULL) {
        next = p->same;
        pending_done(p, NULL);
    }
}

void bus_command_answered(struct bus *b, const struct answer *a)
{
    struct bus_pending *p, *next = table_get(&b->pending, a->id);
    while ((p = next)) { // none: the answer to a repeat, or one that came too late
        next = p->same;
        pending_done(p, a);
    }
}

void bus_command_links_changed(struct bus *b)
{
    struct bus_pending *p;
    for (uint32_t i = 0; (p = table_next(&b->pending, &i, NULL)) != NULL;)
        for (; p; p = p->same)
            if (!p->queued)
                send_to_one(p);
}

// What was asked of it may not have reached it.
void bus_command_unqueue(struct bus *b, const struct bus_peer *peer)
{
    struct bus_pending *p;
    for (uint32_t i = 0; (p = table_next(&b->pending, &i, NULL)) != NULL;)
        for (; p; p = p->same)
            if (p->at == peer->hash)
                p->queued = false;
}

// What was asked of it is asked of somebody else.
void bus_command_peer_gone(struct bus *b, const struct bus_peer *gone)
{
    bus_command_unqueue(b, gone);
    bus_command_links_changed(b);
}

// --- answering ---

static void send_answer(struct bus *b, const char *to, uint64_t id, int64_t err, struct bytes body)
{
    struct buf message = {0};
    PACK(&message, answer, (&(struct answer){id, err, body}));
    if (bus_publish(b, to, buf_bytes(&message)) != OK)
        bus_look(b); // it repeats its command until we know it
    buf_fini(&message);
}

static void forget_oldest(struct bus *b)
{
    struct bus_kept *k = b->oldest;
    b->oldest = k->next;
    b->kept_bytes -= sizeof *k + k->n;
    if (!b->oldest)
        b->newest = &b->oldest;
    if (table_get(&b->kept, k->id) == k)
        table_remove(&b->kept, k->id);
    mem_free(k);
}

void bus_command_forget_old(struct bus *b)
{
    uint64_t now = loop_now(b->loop);
    while (b->oldest && now - b->oldest->at > KEPT_MS)
        forget_oldest(b);
    // Repeats of these are refused by their deadline: whoever works on them still may go on.
    struct bus_from *from;
    uint64_t unix_ms = loop_unix_ms(b->loop);
    for (uint32_t i = 0; (from = table_next(&b->running, &i, NULL)) != NULL;) {
        if (from->deadline + KEPT_MS > unix_ms)
            continue;
        LOG(WARN, EV("bus.unanswered"), KU("command", from->command), KS("from", from->instance));
        mem_free(table_remove(&b->running, from->command));
    }
}

static void keep_answer(struct bus *b, uint64_t id, int64_t err, struct bytes body)
{
    while (b->oldest && b->kept_bytes + sizeof(struct bus_kept) + body.n > b->cfg.answers_max)
        forget_oldest(b);
    struct bus_kept *k = mem_alloc(sizeof *k + body.n);
    *k = (struct bus_kept){.id = id, .at = loop_now(b->loop), .err = err, .n = body.n};
    if (body.n > 0)
        memcpy(k + 1, body.p, body.n);
    b->kept_bytes += sizeof *k + body.n;
    *b->newest = k;
    b->newest = &k->next;
    table_put(&b->kept, id, k);
}

void bus_answer(struct bus *b, const struct bus_from *to, int err, struct bytes body)
{
    CHECK_ID(body.n <= BODY_MAX, to->command);
    mem_free(table_remove(&b->running, to->command));
    // What the world did is not kept: a repeat may fare better.
    if (err != ERR_IO && err != ERR_FULL && err != ERR_TIMEOUT && err != ERR_CONFLICT)
        keep_answer(b, to->command, err, body);
    else if (err == ERR_IO || err == ERR_CONFLICT)
        return; // and its sender repeats it until its deadline
    send_answer(b, to->instance, to->command, err, body);
}

static void take(struct bus *b, const struct command *c, const struct msg *m)
{
    struct bus_from *from = mem_alloc(sizeof *from);
    uint64_t latest = loop_unix_ms(b->loop) + BUS_DEADLINE_MS; // what is never answered is forgotten some time
    *from = (struct bus_from){.command = c->id, .deadline = c->deadline < latest ? c->deadline : latest};
    if (bytes_copy(from->instance, sizeof from->instance, c->from) != OK) {
        M.bus_invalid++;
        mem_free(from);
        return;
    }
    table_put(&b->running, c->id, from);
    M.commands_taken++;
    struct bus_from copy = *from; // answered within the handler, the table's is gone
    if (b->cfg.on_command)
        b->cfg.on_command(b->cfg.ctx, &copy, m);
}

// A repeat of one that is answered or being worked on.
static bool known(struct bus *b, const struct command *c)
{
    struct bus_kept *k = table_get(&b->kept, c->id);
    char to[48];
    if (!k && !table_get(&b->running, c->id))
        return false;
    M.commands_duplicate++;
    if (k && bytes_copy(to, sizeof to, c->from) == OK)
        send_answer(b, to, k->id, k->err, (struct bytes){(const char *)(k + 1), k->n});
    return true;
}

static int take_one(struct bus *b, struct bytes *message)
{
    struct msg head, m;
    if (msg_take(&b->arena, message, &head) != OK || !MSG_IS(&head, command) || msg_take(&b->arena, message, &m) != OK)
        return ERR_INVALID;
    const struct command *c = head.v;
    M.bus_received++;
    if (c->id != 0 && c->deadline >= loop_unix_ms(b->loop) && !known(b, c)) // else: its sender has given up
        take(b, c, &m);
    return OK;
}

void bus_command_message(struct bus *b, struct bytes message)
{
    do {
        if (take_one(b, &message) == OK)
            continue;
        M.bus_invalid++;
        LOG_PEER(WARN, EV("bus.invalid"), KS("what", "a command"));
        return;
    } while (message.n > 0 && !b->stopped);
}

void bus_command_stop(struct bus *b)
{
    struct bus_pending *p;
    struct bus_from *from;
    for (uint32_t i = 0; (p = table_next(&b->pending, &i, NULL)) != NULL; i = 0)
        pending_done(p, NULL); // which may make its owner ask again: therefore always the first
    for (uint32_t i = 0; (from = table_next(&b->running, &i, NULL)) != NULL;)
        mem_free(from);
    while (b->oldest)
        forget_oldest(b);
    table_fini(&b->pending);
    table_fini(&b->running);
    table_fini(&b->kept);
}
