// bus_commit: commits that publish. What was committed goes to every instance that listens to the record.
#include "bus_private.h"
#include <string.h>

struct published {
    struct bus *b;
    commit_fn fn;
    void *ctx;
    ref ref;
    struct bytes entry; // behind this struct
};

struct unknown { // a listener that is not among our peers
    struct bus *b;
    ref ref;
    char instance[48];
};

static void on_unknown_score(void *ctx, const struct reply *r)
{
    struct unknown u = *(struct unknown *)ctx;
    char key[RECORD_KEY_MAX];
    mem_free(ctx);
    // Not even in the registry any more: it has been gone for many leases. (One that is back listens anew.)
    if (r && reply_kind(r) == REPLY_NIL && !u.b->stopped) {
        store_cmd(u.b->store, NULL, NULL, "SREM %s %s", record_key(key, u.ref, "gw"), u.instance);
        table_remove(&u.b->missed, bytes_hash(bytes_of(u.instance)));
    }
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
    store_cmd(b->store, on_unknown_score, u, "ZSCORE bus:gateway %s", u->instance);
}

static void publish(struct published *p, const struct reply *listeners)
{
    for (size_t i = 0; i < reply_n(listeners); i++) {
        struct bytes name = reply_text(reply_at(listeners, i));
        struct bus_peer *peer = bus_peer_named(p->b, name);
        if (peer)
            bus_event_queue(peer, p->entry);
        else
            listener_unknown(p->b, p->ref, name);
    }
}

static void on_commit(void *ctx, const struct commit_result *r)
{
    struct published *p = ctx;
    if (r->err == OK && !p->b->stopped)
        publish(p, r->listeners);
    if (p->fn)
        p->fn(p->ctx, r);
    mem_free(p);
}

void bus_commit(struct bus *b, const struct commit *c, commit_fn fn, void *ctx)
{
    struct published *p = mem_alloc(sizeof *p + c->entry.n);
    *p = (struct published){b, fn, ctx, c->ref, {(char *)(p + 1), c->entry.n}};
    memcpy(p + 1, c->entry.p, c->entry.n);
    record_commit(b->store, c, on_commit, p);
}
