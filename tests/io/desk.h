// desk: instances with a bus, a store and a count of what they were told, all on one loop beside a Redis of the test's.
#pragma once
#include "redis.h"
#include "bus.h"
#include "metrics.h"

struct desk { // one instance
    struct loop *loop;
    struct store *store;
    struct bus *bus;
    bool withholds; // does not answer
    uint32_t commands, events, losses, ups, downs, stuck;
    uint32_t gaps; // of the losses: those of a batch. On a machine that stands still there may be others
    uint64_t last; // place of the last event
    bool in_order;
    struct bus_from from;
    struct bytes says; // none: "done"
};

struct room {
    struct server server;
    struct loop *loop;
};

static void on_command(void *ctx, const struct bus_from *from, const struct msg *m)
{
    struct desk *d = ctx;
    d->commands++;
    d->from = *from;
    CHECK_TRUE(MSG_IS(m, release) != NULL);
    if (!d->withholds)
        bus_answer(d->bus, from, OK, d->says.n ? d->says : BYTES("done"));
}

static void on_event(void *ctx, const struct msg *m)
{
    struct desk *d = ctx;
    const struct place_event *e = MSG_IS(m, place_event);
    CHECK_TRUE(e != NULL);
    d->events++;
    d->in_order = d->in_order && e->version > d->last;
    d->last = e->version;
}

static void on_loss(void *ctx, const char *why)
{
    struct desk *d = ctx;
    d->losses++;
    d->gaps += strstr(why, "batch") != NULL;
}

static void on_peer(void *ctx, enum bus_kind kind, const char *instance, bool up)
{
    struct desk *d = ctx;
    (void)kind;
    (void)instance;
    d->ups += up;
    d->downs += !up;
}

static void on_stuck(void *ctx)
{
    struct desk *d = ctx;
    d->stuck++;
}

static void room_open(struct room *r)
{
    server_start_with(&r->server, NULL);
    r->loop = loop_new();
}

static void room_close(struct room *r)
{
    loop_free(r->loop);
    server_stop(&r->server);
}

static void desk_open(struct room *r, struct desk *d, enum bus_kind kind, const char *instance)
{
    *d = (struct desk){.loop = r->loop, .in_order = true};
    d->store = store_new(r->loop, (struct store_cfg){.url = r->server.url, .pending_max = 10000});
    d->bus = bus_new(r->loop, d->store,
                     (struct bus_cfg){.kind = kind,
                                      .answers_max = 1 << 20,
                                      .instance = instance,
                                      .bind = "127.0.0.1",
                                      .host = "127.0.0.1",
                                      .lease_ms = 900,
                                      .on_command = on_command,
                                      .on_event = on_event,
                                      .on_loss = on_loss,
                                      .on_peer = on_peer,
                                      .on_stuck = on_stuck,
                                      .ctx = d});
    CHECK_TRUE(d->bus != NULL);
    for (int k = 0; k < BUS_KINDS; k++)
        bus_watch(d->bus, (enum bus_kind)k);
    UNTIL(r->loop, bus_ready(d->bus));
}

static void desk_close(struct desk *d)
{
    bus_stop(d->bus);
    UNTIL(d->loop, M.store_pending == 0);
    store_free(d->store);
    turn(d->loop);
    bus_free(d->bus);
}
