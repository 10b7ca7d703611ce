// bus_commit: commits that publish. What was committed goes to every instance that listens to the record. When nobody
// can know whether it did, what stands in the log is told again: who has it already passes over it.
#include "bus_private.h"
#include "log.h"
#include "metrics.h"
#include <string.h>

#define DOUBTS_MAX 1024u

struct bus_doubt { // an entry that perhaps nobody was told of
    struct bus_doubt *next;
    struct bus *b;
    ref ref;
    uint64_t version;
    struct buf entry; // as it stands in the log
};

struct published {
    struct bus *b;
    commit_fn fn;
    void *ctx;
    ref ref;
    uint64_t version;
    struct bytes entry; // behind this struct
};

struct unknown { // a listener that is not among our peers
    struct bus *b;
    ref ref;
    char instance[48];
    uint32_t replies; // to come
    bool known;       // to one of the registries, or nobody can say
};

static void on_unknown_score(void *ctx, const struct reply *r)
{
    struct unknown *u = ctx;
    char key[RECORD_KEY_MAX];
    u->known |= !r || reply_kind(r) != REPLY_NIL;
    if (--u->replies > 0)
        return;
    // Not even in a registry any more: it has been gone for many leases. One that comes back may have begun to listen
    // just before this takes it out: it stays among those who are told that they have missed something, and listens
    // anew.
    if (!u->known && !u->b->stopped && !bus_peer_named(u->b, bytes_of(u->instance)))
        store_cmd(u->b->store, NULL, NULL, "SREM %s %s", record_key(key, u->ref, "gw"), u->instance);
    mem_free(u);
}

static void listener_unknown(struct bus *b, ref r, struct bytes instance)
{
    struct unknown *u = mem_alloc(sizeof *u);
    *u = (struct unknown){.b = b, .ref = r};
    if (bytes_copy(u->instance, sizeof u->instance, instance) != OK) {
        mem_free(u);
        return;
    }
    bus_look(b);
    bus_miss(b, instance); // if it is new it finds out by our first beat that it has missed something
    for (int k = 0; k < BUS_KINDS; k++) {
        if (!bus_listens((enum bus_kind)k))
            continue;
        u->replies++;
        store_cmd(b->store, on_unknown_score, u, "ZSCORE bus:%s %s", bus_kind_name((enum bus_kind)k), u->instance);
    }
}

static void publish(struct bus *b, ref r, struct bytes entry, const struct reply *listeners)
{
    for (size_t i = 0; i < reply_n(listeners); i++) {
        struct bytes name = reply_text(reply_at(listeners, i));
        struct bus_peer *peer = bus_peer_named(b, name);
        if (peer)
            bus_event_queue(peer, entry);
        else
            listener_unknown(b, r, name);
    }
}

// --- doubts ---

static void doubt_free(struct bus_doubt *d)
{
    buf_fini(&d->entry);
    mem_free(d);
}

// Asked as soon as Redis is there: what it had taken by then it has carried out.
static void doubt_keep(struct bus_doubt *d)
{
    d->next = d->b->doubts;
    d->b->doubts = d;
    d->b->n_doubts++;
}

static void doubt(struct bus *b, ref r, uint64_t version)
{
    struct bus_peer *p;
    if (b->n_doubts < DOUBTS_MAX) {
        struct bus_doubt *d = mem_alloc(sizeof *d);
        *d = (struct bus_doubt){.b = b, .ref = r, .version = version};
        doubt_keep(d);
        return;
    }
    for (uint32_t i = 0; (p = table_next(&b->peers, &i, NULL)) != NULL;)
        if (bus_listens(p->kind))
            p->seq++; // something is missing: they read their logs
}

static void on_doubt_listeners(void *ctx, const struct reply *r)
{
    struct bus_doubt *d = ctx;
    if (!reply_ok(r) && !d->b->stopped) {
        buf_reset(&d->entry);
        doubt_keep(d);
        return;
    }
    if (!d->b->stopped)
        publish(d->b, d->ref, buf_bytes(&d->entry), r);
    doubt_free(d);
}

static void on_doubt_entry(void *ctx, const struct reply *r)
{
    struct bus_doubt *d = ctx;
    char key[RECORD_KEY_MAX];
    uint64_t version;
    struct bytes entry;
    if (!reply_ok(r) && !d->b->stopped) {
        doubt_keep(d);
    } else if (d->b->stopped || record_log_entry(reply_at(r, 0), &version, &entry) != OK || version != d->version) {
        doubt_free(d); // it did not take effect, or is so old that everybody has asked since
    } else {
        buf_add(&d->entry, entry.p, entry.n);
        store_cmd(d->b->store, on_doubt_listeners, d, "SMEMBERS %s", record_key(key, d->ref, "gw"));
    }
}

void bus_commit_doubts(struct bus *b)
{
    struct bus_doubt *all = b->doubts;
    if (!store_up(b->store))
        return;
    b->doubts = NULL;
    b->n_doubts = 0;
    while (all) {
        struct bus_doubt *d = all;
        all = d->next;
        record_log(b->store, d->ref, d->version - 1, 1, on_doubt_entry, d);
    }
}

void bus_commit_stop(struct bus *b)
{
    while (b->doubts) {
        struct bus_doubt *d = b->doubts;
        b->doubts = d->next;
        doubt_free(d);
    }
}

// --- commits ---

static void on_commit(void *ctx, const struct commit_result *r)
{
    struct published *p = ctx;
    if (r->err == OK && !p->b->stopped)
        publish(p->b, p->ref, p->entry, r->listeners);
    else if (r->err == ERR_IO && !p->b->stopped) // its reply was lost, and with it the listeners
        doubt(p->b, p->ref, p->version);
    else if (r->err == ERR_STATE && !p->b->stopped) // whoever applied it may have died before he told
        doubt(p->b, p->ref, r->version);
    if (p->fn)
        p->fn(p->ctx, r);
    mem_free(p);
}

void bus_commit(struct bus *b, const struct commit *c, commit_fn fn, void *ctx)
{
    struct published *p = mem_alloc(sizeof *p + c->entry.n);
    *p = (struct published){b, fn, ctx, c->ref, c->expected + 1, {(char *)(p + 1), c->entry.n}};
    memcpy(p + 1, c->entry.p, c->entry.n);
    record_commit(b->store, c, on_commit, p);
}
