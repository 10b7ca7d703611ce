// sweep_io: see sweep_io.h. What a call is told is repeated until a call manager has answered; then a job on its place
// cleans the rows. What stays behind is found by the next reconcile, of this allocator or another.
#include "alloc_io.h"
#include <stdio.h>
#include <string.h>

#define TICK_MS 100u
#define ROOM_MS 500u   // between two looks at who waits
#define ROOM_BATCH 32u // waiting calls told at a time, of a region
#define RECONCILE_MS 2000u
#define TELL_MS 2000u   // a call manager has to answer by then; else it is told again later
#define RETELL_MS 3000u // by somebody else, when who claimed a waiting call is gone
#define SCAN_COUNT "64" // calls of a lost node at a time

struct sweep {
    struct sweep *next;
    struct alloc *a;
    char node[NODE_NAME_MAX + 1];
    uint64_t before;
    char cursor[24];    // of SSCAN
    uint32_t n_pending; // callbacks to come; 0: this part of the scan is done
    bool again;         // from the beginning, when it is through: somebody has not answered, or more is to be told
};

// One question on its way: about a lost node's call (part of a sweep or not), a waiting call, or a row in general.
struct notice {
    struct alloc *a;
    struct sweep *sweep;          // NULL: none
    char name[NODE_NAME_MAX + 1]; // node, or region
    uint64_t place, channel, before, until;
    bool drains;
};

static struct notice *notice_new(struct alloc *a, const char *name)
{
    struct notice *n = mem_alloc(sizeof *n);
    n->a = a;
    CHECK(bytes_copy(n->name, sizeof n->name, bytes_of(name)) == OK);
    a->sweeps.n_notices++;
    return n;
}

static void notice_free(struct notice *n)
{
    n->a->sweeps.n_notices--;
    mem_free(n);
}

// --- going through a node ---

static void sweep_scan(struct sweep *sw);

static void sweep_end(struct sweep *sw)
{
    struct sweep **at = &sw->a->sweeps.first;
    while (*at != sw)
        at = &(*at)->next;
    *at = sw->next;
    mem_free(sw);
}

static void on_left(void *ctx, const struct reply *r) // how many calls a node that is gone still has
{
    struct notice *n = ctx;
    struct alloc *a = n->a;
    if (!a->closed && reply_kind(r) == REPLY_INT && reply_int(r) == 0 &&
        fleet_state(&a->fleet, bytes_of(n->name), loop_now(a->service.loop)) == NODE_GONE)
        store_cmd(a->service.store, NULL, NULL, "SREM nodes:used %s", n->name);
    notice_free(n);
}

static void sweep_through(struct sweep *sw)
{
    struct alloc *a = sw->a;
    char key[ROW_KEY_MAX];
    if (sw->again && !a->service.stopping) {
        sw->again = false;
        sweep_scan(sw);
        return;
    }
    store_cmd(a->service.store, on_left, notice_new(a, sw->node), "SCARD %s", calls_key(key, sw->node));
    sweep_end(sw);
}

// One of the part in progress is done.
static void sweep_back(struct sweep *sw)
{
    if (!sw || --sw->n_pending > 0)
        return;
    if (sw->a->closed)
        sweep_end(sw);
    else if (strcmp(sw->cursor, "0") == 0 || sw->a->service.stopping)
        sweep_through(sw);
    else
        sweep_scan(sw);
}

static void on_lost_told(void *ctx, const struct answer *answer)
{
    struct notice *n = ctx;
    struct sweep *sw = n->sweep;
    if (place_told(answer) == TOLD_NOTHING) {
        if (sw)
            sw->again = true;
    } else if (!n->a->closed) { // who moves away from a node that drains says so himself, by asking for another
        bool moves = n->drains && place_told(answer) == TOLD;
        alloc_forget(n->a, n->place, n->channel, n->name, moves ? 0 : n->before);
    }
    notice_free(n);
    sweep_back(sw);
}

// Is it to be told? A node that drains loses a call only to another one.
static bool is_lost(struct notice *n, struct bytes raw)
{
    const struct fleet *f = &n->a->fleet;
    struct bytes node = bytes_of(n->name);
    uint64_t now = loop_now(n->a->service.loop);
    n->drains = fleet_state(f, node, now) == NODE_DRAINING;
    return place_is_lost(raw, node, n->before) && (!n->drains || place_may_move(f, raw, node, now));
}

static void on_lost_look(void *ctx, const struct reply *r)
{
    struct notice *n = ctx;
    struct sweep *sw = n->sweep;
    if (n->a->closed || !reply_ok(r) || !is_lost(n, reply_text(r))) {
        notice_free(n);
        sweep_back(sw);
        return;
    }
    struct server_lost lost = {
        .place = n->place, .channel = n->channel, .node = bytes_of(n->name), .drains = n->drains};
    struct msg m = {&schema_server_lost, &lost};
    bus_command(n->a->service.bus, BUS_CALL_MANAGER, n->place, 0, &m, TELL_MS, on_lost_told, n);
}

static void tell_lost(struct alloc *a, struct sweep *sw, const char *node, uint64_t place, uint64_t channel,
                      uint64_t before)
{
    struct notice *n = notice_new(a, node);
    char key[RECORD_KEY_MAX];
    n->sweep = sw;
    n->place = place;
    n->channel = channel;
    n->before = before;
    if (sw)
        sw->n_pending++;
    store_cmd(a->service.store, on_lost_look, n, "HGET %s %llu", record_key(key, ref_place(place), "a"),
              (unsigned long long)channel);
}

void sweep_call(struct alloc *a, const char *node, uint64_t place, uint64_t channel)
{
    tell_lost(a, NULL, node, place, channel, SWEEP_ALL);
}

static void on_scan(void *ctx, const struct reply *r)
{
    struct sweep *sw = ctx;
    struct alloc *a = sw->a;
    const struct reply *calls = reply_at(r, 1);
    char key[ROW_KEY_MAX];
    if (a->closed || !reply_ok(r) || bytes_copy(sw->cursor, sizeof sw->cursor, reply_text(reply_at(r, 0))))
        snprintf(sw->cursor, sizeof sw->cursor, "0"); // the next reconcile begins anew
    for (size_t i = 0; !a->closed && i < reply_n(calls); i++) {
        struct bytes name = reply_text(reply_at(calls, i));
        uint64_t place, channel;
        if (call_named(name, &place, &channel) == OK)
            tell_lost(a, sw, sw->node, place, channel, sw->before);
        else
            store_cmd(a->service.store, NULL, NULL, "SREM %s %b", calls_key(key, sw->node), name.p, name.n);
    }
    sweep_back(sw);
}

static void sweep_scan(struct sweep *sw)
{
    char key[ROW_KEY_MAX];
    sw->n_pending = 1;
    store_cmd(sw->a->service.store, on_scan, sw, "SSCAN %s %s COUNT " SCAN_COUNT, calls_key(key, sw->node),
              sw->cursor[0] ? sw->cursor : "0");
}

void sweep_node(struct alloc *a, const char *node, uint64_t before)
{
    if (a->service.stopping)
        return;
    for (struct sweep *sw = a->sweeps.first; sw; sw = sw->next)
        if (strcmp(sw->node, node) == 0) {
            sw->again |= before > sw->before;
            sw->before = before > sw->before ? before : sw->before;
            return;
        }
    struct sweep *sw = mem_alloc(sizeof *sw);
    *sw = (struct sweep){.next = a->sweeps.first, .a = a, .before = before};
    CHECK(bytes_copy(sw->node, sizeof sw->node, bytes_of(node)) == OK);
    a->sweeps.first = sw;
    sweep_scan(sw);
}

// --- what was left behind ---

static void on_used(void *ctx, const struct reply *r)
{
    struct notice *n = ctx;
    struct alloc *a = n->a;
    for (size_t i = 0; !a->closed && i < reply_n(r); i++) {
        struct bytes id = reply_text(reply_at(r, i));
        char node[NODE_NAME_MAX + 1];
        enum node_state s = fleet_state(&a->fleet, id, loop_now(a->service.loop));
        if ((s == NODE_GONE || s == NODE_DRAINING) && node_name_ok(id) && bytes_copy(node, sizeof node, id) == OK)
            sweep_node(a, node, SWEEP_ALL);
    }
    notice_free(n);
}

static void on_count(void *ctx, const struct reply *r)
{
    struct notice *n = ctx;
    if (!n->a->closed && reply_kind(r) == REPLY_INT)
        fleet_count(&n->a->fleet, n->name, (uint64_t)reply_int(r));
    notice_free(n);
}

static void on_reconcile(struct timer *t, uint64_t now)
{
    struct alloc *a = container_of(t, struct sweeps, reconcile)->a;
    struct store *s = a->service.store;
    char key[ROW_KEY_MAX];
    loop_arm(a->service.loop, t, RECONCILE_MS);
    if (!store_up(s))
        return;
    if (fleet_sure(&a->fleet, now))
        store_cmd(s, on_used, notice_new(a, ""), "SMEMBERS nodes:used");
    for (uint32_t i = 0; i < a->fleet.n; i++)
        if (!a->fleet.v[i].reports)
            store_cmd(s, on_count, notice_new(a, a->fleet.v[i].id), "SCARD %s", calls_key(key, a->fleet.v[i].id));
}

// --- those that wait ---

static void on_free_told(void *ctx, const struct answer *answer)
{
    struct notice *n = ctx;
    enum told told = place_told(answer);
    if (!n->a->closed && told != TOLD_NOTHING)
        alloc_settle(n->a, n->place, n->channel, n->name, told == TOLD_GONE, n->until);
    notice_free(n);
}

static void tell_free(struct alloc *a, const struct notice *from, struct bytes name)
{
    char key[ROW_KEY_MAX];
    struct server_free room = {0};
    if (call_named(name, &room.place, &room.channel)) {
        store_cmd(a->service.store, NULL, NULL, "ZREM %s %b", waiting_key(key, from->name), name.p, name.n);
        return;
    }
    struct notice *n = notice_new(a, from->name);
    struct msg m = {&schema_server_free, &room};
    n->place = room.place;
    n->channel = room.channel;
    n->until = from->until;
    bus_command(a->service.bus, BUS_CALL_MANAGER, room.place, 0, &m, TELL_MS, on_free_told, n);
}

static void on_due(void *ctx, const struct reply *r)
{
    struct notice *n = ctx;
    for (size_t i = 0; !n->a->closed && i < reply_n(r); i++)
        tell_free(n->a, n, reply_text(reply_at(r, i)));
    notice_free(n);
}

static void claim_waiting(struct alloc *a, const char *region, uint64_t room)
{
    uint64_t now = loop_unix_ms(a->service.loop);
    char key[ROW_KEY_MAX];
    if (!room)
        return;
    struct notice *n = notice_new(a, region);
    n->until = now + RETELL_MS;
    store_cmd(a->service.store, on_due, n, "FCALL sb_claim 1 %s %llu %llu %llu", waiting_key(key, region),
              (unsigned long long)now, (unsigned long long)n->until,
              (unsigned long long)(room < ROOM_BATCH ? room : ROOM_BATCH));
}

void sweep_room(struct alloc *a)
{
    uint64_t now = loop_now(a->service.loop);
    if (a->service.stopping || !store_up(a->service.store) || !bus_has(a->service.bus, BUS_CALL_MANAGER))
        return;
    const char **regions = mem_alloc((a->fleet.n + 1) * sizeof *regions);
    uint32_t n = fleet_regions(&a->fleet, regions);
    for (uint32_t i = 0; i < n; i++)
        claim_waiting(a, regions[i], fleet_room(&a->fleet, bytes_of(regions[i]), now));
    claim_waiting(a, "", fleet_room(&a->fleet, BYTES_NONE, now));
    mem_free(regions);
}

static void on_room(struct timer *t, uint64_t now)
{
    struct alloc *a = container_of(t, struct sweeps, room)->a;
    (void)now;
    loop_arm(a->service.loop, t, ROOM_MS);
    sweep_room(a);
}

// --- leases ---

// While Redis is away nothing can be done about a loss, and nodes may not find us: that time does not count.
static void on_tick(struct timer *t, uint64_t now)
{
    struct alloc *a = container_of(t, struct sweeps, tick)->a;
    struct node lost;
    loop_arm(a->service.loop, t, TICK_MS);
    if (!store_up(a->service.store))
        return;
    fleet_tick(&a->fleet, now);
    while (fleet_take_lost(&a->fleet, now, &lost)) {
        M.nodes_lost++;
        LOG(WARN, EV("node.lost"), KS("node", lost.id), KS("region", lost.region), KU("load", lost.load));
        sweep_node(a, lost.id, SWEEP_ALL);
    }
    M.nodes = a->fleet.n;
}

// --- beginning and end ---

void sweep_start(struct alloc *a)
{
    struct loop *l = a->service.loop;
    a->sweeps = (struct sweeps){
        .a = a, .tick = {.fire = on_tick}, .room = {.fire = on_room}, .reconcile = {.fire = on_reconcile}};
    loop_arm(l, &a->sweeps.tick, TICK_MS);
    loop_arm(l, &a->sweeps.room, ROOM_MS);
    loop_arm(l, &a->sweeps.reconcile, ROOM_MS);
}

void sweep_stop(struct alloc *a)
{
    loop_cancel(a->service.loop, &a->sweeps.tick);
    loop_cancel(a->service.loop, &a->sweeps.room);
    loop_cancel(a->service.loop, &a->sweeps.reconcile);
}

void sweep_close(struct alloc *a)
{
    sweep_stop(a); // sweeps and notices go with their callbacks
}

void sweep_dump(const struct alloc *a, struct buf *out)
{
    buf_printf(out, "notices: %u\n", a->sweeps.n_notices);
    for (const struct sweep *sw = a->sweeps.first; sw; sw = sw->next)
        buf_printf(out, "  going through %s, %u to come\n", sw->node, sw->n_pending);
}
