// bus_event: links of numbered batches. What a turn of the loop has for one subscriber goes out as one nng message; a
// link that has nothing to say beats. The receiver counts, and every sign of loss reaches on_loss, once per turn.
#include "bus_private.h"
#include "log.h"
#include "metrics.h"
#include <string.h>

#define ANEW_MS 3000u // of silence; and not sooner again

// --- out ---

static struct bytes head_of(struct buf *out, const struct bus_peer *p, bool beat)
{
    PACK(out, bus_head, (&(struct bus_head){bytes_of(p->bus->instance), p->link_epoch, p->seq, beat}));
    return buf_bytes(out);
}

void bus_event_flush(struct loop_flush *f)
{
    struct bus_peer *p = container_of(f, struct bus_peer, flush);
    struct buf head = {0};
    if (p->batch.n == 0 || !bus_up(p->events))
        return; // it stays queued until the link is up
    // A batch that cannot be queued still takes its number: the receiver sees the gap and reads the logs.
    p->seq++;
    (void)!bus_send(p->events, head_of(&head, p, false), buf_bytes(&p->batch));
    p->sent_at = loop_now(p->bus->loop);
    M.bus_batches_sent++;
    buf_reset(&p->batch);
    buf_trim(&p->batch, BUS_BATCH_KEPT);
    buf_fini(&head);
}

void bus_event_queue(struct bus_peer *p, struct bytes encoded)
{
    bus_dial_events(p); // only to whom there is something to say
    if (p->batch.n + encoded.n > BUS_UNSENT_MAX) {
        buf_reset(&p->batch);
        p->seq++; // lost, and visibly so
        M.bus_refused++;
    }
    buf_add(&p->batch, encoded.p, encoded.n);
    M.bus_sent++;
    if (p->batch.n >= BUS_BATCH_MAX)
        bus_event_flush(&p->flush);
    else
        loop_flush(p->bus->loop, &p->flush);
}

int bus_publish(struct bus *b, const char *instance, struct bytes encoded)
{
    struct bus_peer *p = bus_peer_named(b, bytes_of(instance));
    if (!p || b->stopped) {
        bus_miss(b, bytes_of(instance));
        return ERR_MISSING;
    }
    bus_event_queue(p, encoded);
    return OK;
}

void bus_publish_all(struct bus *b, enum bus_kind kind, struct bytes encoded)
{
    struct bus_peer *p;
    for (uint32_t i = 0; !b->stopped && (p = table_next(&b->peers, &i, NULL)) != NULL;)
        if (p->kind == kind)
            bus_event_queue(p, encoded);
}

// One that is gone is told of once. One that has been heard, whose lease lives: should something on the way swallow
// what it sends, another connection may fare better. Only it can make one, and it does when we seem to have been
// started anew.
static void silent(struct bus *b, const struct bus_link *l, uint64_t publisher, uint64_t now)
{
    bool again = now - l->heard_at >= ANEW_MS && now - b->anew_at >= ANEW_MS;
    bus_event_lost(b, "a publisher is silent");
    if (!table_get(&b->peers, publisher))
        mem_free(table_remove(&b->links, publisher));
    else if (again && l->epoch)
        bus_anew(b);
}

void bus_event_beats(struct bus *b)
{
    struct bus_peer *p;
    struct bus_link *l;
    uint64_t now = loop_now(b->loop), publisher;
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;) {
        struct buf head = {0};
        if (!bus_up(p->events) || p->batch.n > 0 || now - p->sent_at < BUS_BEAT_MS)
            continue;
        (void)!bus_send(p->events, head_of(&head, p, true), BYTES_NONE);
        p->sent_at = now;
        buf_fini(&head);
    }
    for (uint32_t i = 0; (l = table_next(&b->links, &i, &publisher)) != NULL;)
        if (bus_link_is_silent(l, now))
            silent(b, l, publisher, now);
}

// --- in ---

void bus_event_lost(struct bus *b, const char *why)
{
    M.bus_gaps++;
    b->loss_why = why;
    loop_flush(b->loop, &b->loss);
}

void bus_event_loss_flush(struct loop_flush *f)
{
    struct bus *b = container_of(f, struct bus, loss);
    if (!b->stopped && b->cfg.on_loss)
        b->cfg.on_loss(b->cfg.ctx, b->loss_why);
}

static void invalid(const char *what)
{
    M.bus_invalid++;
    LOG_PEER(WARN, EV("bus.invalid"), KS("what", what));
}

// Whoever has been silent for longest. Should he speak again, he is new, and what he numbered before is told as lost.
static void forget_a_link(struct bus *b)
{
    struct bus_link *l, *oldest = NULL;
    uint64_t name, of = 0;
    for (uint32_t i = 0; (l = table_next(&b->links, &i, &name)) != NULL;) {
        if (!oldest || l->heard_at < oldest->heard_at) {
            oldest = l;
            of = name;
        }
    }
    mem_free(table_remove(&b->links, of));
}

void bus_event_expect(struct bus *b, const struct bus_peer *p)
{
    if (table_get(&b->links, p->hash) || b->links.n >= BUS_PEERS_MAX)
        return;
    struct bus_link *l = mem_alloc(sizeof *l);
    l->heard_at = loop_now(b->loop);
    table_put(&b->links, p->hash, l);
}

// What the link says of this batch; a publisher that is heard for the first time gets a link.
static enum bus_heard heard(struct bus *b, const struct bus_head *head)
{
    uint64_t name = bytes_hash(head->instance);
    struct bus_link *l = table_get(&b->links, name);
    if (!l) {
        if (b->links.n >= BUS_PEERS_MAX)
            forget_a_link(b);
        l = mem_alloc(sizeof *l);
        table_put(&b->links, name, l);
    }
    return bus_link_heard(l, head->epoch, head->seq, head->beat, loop_now(b->loop));
}

static void deliver(struct bus *b, const struct msg *m)
{
    const struct answer *answer = MSG_IS(m, answer);
    M.bus_received++;
    if (answer)
        bus_command_answered(b, answer);
    else if (b->cfg.on_event)
        b->cfg.on_event(b->cfg.ctx, m);
}

void bus_event_batch(struct bus *b, struct bytes batch)
{
    struct msg m;
    if (msg_take(&b->arena, &batch, &m) != OK || !MSG_IS(&m, bus_head)) {
        invalid("a batch without a head");
        return;
    }
    switch (heard(b, m.v)) {
    case BUS_HEARD_OLD:
        return;
    case BUS_HEARD_LOST:
        bus_event_lost(b, "a batch is missing");
        break;
    case BUS_HEARD_OK:
        break;
    }
    while (batch.n > 0 && !b->stopped) {
        int err = msg_take(&b->arena, &batch, &m);
        if (err == OK) {
            deliver(b, &m);
        } else {
            invalid(err == ERR_MISSING ? "a message of a kind that this process does not know"
                                       : "a message in a batch");
            if (err != ERR_MISSING) {
                bus_event_lost(b, "the rest of a batch was invalid");
                return;
            }
        }
    }
}
