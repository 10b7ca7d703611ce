// timers: deadlines that survive the process that set them. Rows of the sorted set timers:call, due time as score:
//   <place id>            the place needs a tick           <user id with the top bit>  a move is unfinished
//   g:<gateway instance>  its sessions are over unless it is back by then
// A row is written before the commit that needs it; one too many does nothing. Any instance claims what is due (nobody
// else gets it for a while), does it, and settles the row; who dies in between leaves it to the next.
// Besides, per gateway: set gateway:<instance>:places of places where its sessions have seats, and set gateways:known.
// Shell.
#include "errors.h"
#include "manager.h"
#include "metrics.h"
#include <stdio.h>
#include <string.h>

#define POLL_MS 200u
#define CLAIM_MS 5000u
#define CLAIM_MAX 64u
#define GATEWAYS_MS 5000u // how often known gateways are compared with live ones

struct row { // a claimed one
    struct manager *m;
    char member[64];
    uint64_t until;
    uint32_t pending; // jobs, for a gateway
    bool failed;
};

void timers_want(struct manager *m, ref r, uint64_t at)
{
    store_cmd(m->service.store, NULL, NULL, "ZADD timers:call %llu %llu", (unsigned long long)at,
              (unsigned long long)r);
}

void timers_note_gateway(struct manager *m, const char *gateway, uint64_t place)
{
    store_cmd(m->service.store, NULL, NULL, "SADD gateways:known %s", gateway);
    store_cmd(m->service.store, NULL, NULL, "SADD gateway:%s:places %llu", gateway, (unsigned long long)place);
}

static void settle(struct row *row, uint64_t next)
{
    char until[24], at[24] = "";
    snprintf(until, sizeof until, "%llu", (unsigned long long)row->until);
    if (next)
        snprintf(at, sizeof at, "%llu", (unsigned long long)next);
    struct bytes argv[] = {BYTES("FCALL"),        BYTES("sb_settle"), BYTES("1"),  BYTES("timers:call"),
                           bytes_of(row->member), bytes_of(until),    bytes_of(at)};
    if (argv[6].p == NULL)
        argv[6] = BYTES("");
    store_send(row->m->service.store, NULL, NULL, countof(argv), argv);
    mem_free(row);
}

static bool kept_for_later(int result)
{
    return result == ERR_IO || result == ERR_FULL || result == ERR_TIMEOUT;
}

static void on_done(void *ctx, int result, uint64_t deadline)
{
    struct row *row = ctx;
    if (kept_for_later(result))
        mem_free(row); // the claim runs out, and somebody takes it up again
    else
        settle(row, deadline);
}

static void run_ref(struct row *row, ref r)
{
    struct flow flow = {.kind = FLOW_STEP, .place = ref_id(r), .in = {.kind = CALL_IN_TICK}};
    if (ref_is_user(r))
        flow = (struct flow){.kind = FLOW_SETTLE, .user = ref_id(r)};
    if (job_start(row->m, &flow, on_done, row) != OK)
        mem_free(row);
}

// --- gateways that are gone ---

static bool gateway_lives(const struct manager *m, const char *gateway)
{
    return table_get(&m->gateways, bytes_hash(bytes_of(gateway))) != NULL;
}

static void gateway_swept(struct row *row)
{
    if (row->failed) {
        mem_free(row);
        return;
    }
    const char *gateway = row->member + 2;
    LOG(INFO, EV("gateway.swept"), KS("gateway", gateway));
    store_cmd(row->m->service.store, NULL, NULL, "DEL gateway:%s:places", gateway);
    store_cmd(row->m->service.store, NULL, NULL, "SREM gateways:known %s", gateway);
    settle(row, 0);
}

static void on_place_swept(void *ctx, int result, uint64_t deadline)
{
    struct row *row = ctx;
    (void)deadline; // the place has a row of its own
    row->failed = row->failed || kept_for_later(result);
    if (--row->pending == 0)
        gateway_swept(row);
}

static void on_places(void *ctx, const struct reply *r)
{
    struct row *row = ctx;
    row->failed = !reply_ok(r);
    row->pending = 1; // this function's own, so that the last job is not the last before the loop ends
    for (size_t i = 0; i < reply_n(r); i++) {
        struct flow flow = {.kind = FLOW_STEP, .in = {.kind = CALL_IN_GATEWAY_LOST, .gateway = row->member + 2}};
        if (bytes_u64(reply_text(reply_at(r, i)), &flow.place) != OK)
            continue;
        row->pending++;
        if (job_start(row->m, &flow, on_place_swept, row) != OK)
            on_place_swept(row, ERR_FULL, 0);
    }
    on_place_swept(row, OK, 0);
}

static void on_known(void *ctx, const struct reply *r)
{
    struct manager *m = ctx;
    char gateway[49];
    uint64_t at = loop_unix_ms(m->service.loop) + m->resume_window_ms;
    for (size_t i = 0; i < reply_n(r); i++)
        if (bytes_copy(gateway, sizeof gateway, reply_text(reply_at(r, i))) == OK && !gateway_lives(m, gateway))
            store_cmd(m->service.store, NULL, NULL, "ZADD timers:call NX %llu g:%s", (unsigned long long)at, gateway);
}

// Compares all that had seats with all that live: nobody needs to have been there when one died.
static void look_for_lost_gateways(struct manager *m)
{
    if (bus_ready(m->service.bus))
        store_cmd(m->service.store, on_known, m, "SMEMBERS gateways:known");
}

void timers_peer(struct manager *m, const char *gateway, bool up)
{
    uint64_t key = bytes_hash(bytes_of(gateway));
    mem_free(table_remove(&m->gateways, key));
    if (!up) {
        look_for_lost_gateways(m);
        return;
    }
    size_t n = strlen(gateway) + 1;
    table_put(&m->gateways, key, memcpy(mem_alloc(n), gateway, n));
    store_cmd(m->service.store, NULL, NULL, "ZREM timers:call g:%s", gateway);
}

// --- claiming ---

static void run_row(struct manager *m, struct bytes member, uint64_t until)
{
    char key[96];
    ref r;
    struct row *row = mem_alloc(sizeof *row);
    row->m = m;
    row->until = until;
    if (bytes_copy(row->member, sizeof row->member, member) != OK) {
        mem_free(row);
        return;
    }
    M.timers_claimed++;
    if (bytes_u64(member, &r) == OK) {
        run_ref(row, r);
    } else if (strncmp(row->member, "g:", 2) == 0 && !gateway_lives(m, row->member + 2)) {
        snprintf(key, sizeof key, "gateway:%s:places", row->member + 2);
        store_cmd(m->service.store, on_places, row, "SMEMBERS %s", key);
    } else {
        settle(row, 0); // it is back, or this is no row of ours
    }
}

struct claim {
    struct manager *m;
    uint64_t until;
};

static void on_claimed(void *ctx, const struct reply *r)
{
    struct claim c = *(struct claim *)ctx;
    mem_free(ctx);
    c.m->polling = false;
    if (c.m->service.stopping)
        return;
    for (size_t i = 0; i < reply_n(r); i++)
        run_row(c.m, reply_text(reply_at(r, i)), c.until);
}

static void poll(struct timer *t, uint64_t now)
{
    struct manager *m = container_of(t, struct manager, poll);
    (void)now;
    loop_arm(m->service.loop, t, POLL_MS);
    if (m->polling || !store_up(m->service.store) || !lease_held(m->lease))
        return;
    uint64_t unix_ms = loop_unix_ms(m->service.loop);
    struct claim *c = mem_alloc(sizeof *c);
    *c = (struct claim){m, unix_ms + CLAIM_MS};
    m->polling = true;
    store_cmd(m->service.store, on_claimed, c, "FCALL sb_claim 1 timers:call %llu %llu %u", (unsigned long long)unix_ms,
              (unsigned long long)c->until, CLAIM_MAX);
}

static void refresh(struct timer *t, uint64_t now)
{
    struct manager *m = container_of(t, struct manager, refresh);
    (void)now;
    loop_arm(m->service.loop, t, m->regions.n > 0 ? GATEWAYS_MS : POLL_MS);
    call_refresh_regions(m);
    look_for_lost_gateways(m);
}

void timers_start(struct manager *m)
{
    m->poll.fire = poll;
    m->refresh.fire = refresh;
    loop_arm(m->service.loop, &m->poll, POLL_MS);
    loop_arm(m->service.loop, &m->refresh, 0);
}

void timers_stop(struct manager *m)
{
    uint64_t key;
    void *name;
    loop_cancel(m->service.loop, &m->poll);
    loop_cancel(m->service.loop, &m->refresh);
    for (uint32_t i = 0; (name = table_next(&m->gateways, &i, &key)) != NULL;) {
        table_remove(&m->gateways, key);
        mem_free(name);
    }
    table_fini(&m->gateways);
}
