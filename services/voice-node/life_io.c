// life_io: see life.h. The node tells of itself, whoever wants in is compared with his row, and who has been gone for
// too long is told of. Shell. Nothing here outlasts the process: the rows in Redis are others'.
#include "life_private.h"
#include <stdio.h>
#include <string.h>

#define ANNOUNCE_MS 333u
#define ADMIT_MS 5000u // for Redis to be there
#define ADMIT_AGAIN_MS 200u
#define GONE_MS 10000u // for a call manager to answer, then it is told again
#define GONE_AGAIN_MS 1000u

// --- what is on its way ---

void life_ask(struct life *l)
{
    l->n_outstanding++;
}

bool life_back(struct life *l)
{
    l->n_outstanding--;
    if (!l->closed)
        return true;
    if (l->n_outstanding == 0)
        mem_free(l);
    return false;
}

// --- what others know of this node ---

static void announce(struct life *l)
{
    struct buf b = {0};
    PACK(&b, node_announce,
         (&(struct node_announce){.node = bytes_of(l->node),
                                  .region = bytes_of(l->cfg.region),
                                  .endpoint = bytes_of(l->cfg.endpoint),
                                  .capacity = l->cfg.capacity,
                                  .load = l->cfg.load(l->cfg.ctx),
                                  .draining = l->draining,
                                  .epoch = l->epoch}));
    bus_publish_all(l->bus, BUS_REGION_ALLOCATOR, buf_bytes(&b));
    buf_fini(&b);
}

static void on_announce(struct timer *t, uint64_t now)
{
    struct life *l = container_of(t, struct life, announce);
    (void)now;
    loop_arm(l->loop, t, ANNOUNCE_MS);
    announce(l);
}

void life_drain(struct life *l)
{
    if (l->draining)
        return;
    l->draining = true;
    LOG(INFO, EV("node.draining"), KS("node", l->node), KU("followed", l->seats.sitters.n));
    announce(l);
}

bool life_drained(const struct life *l)
{
    return l->seats.n_here == 0;
}

const char *life_not_ready(const struct life *l)
{
    if (l->draining)
        return "draining";
    return bus_has(l->bus, BUS_REGION_ALLOCATOR) ? NULL : "no region allocator to announce this node to";
}

// --- letting in ---

struct admitting {
    struct admitting *next;
    struct life *l;
    struct claims claims;
    life_admit_fn fn;
    void *ctx;
    uint64_t give_up_at;
    struct timer timer;
};

static void admit_done(struct admitting *m, int code, const struct admitted *who)
{
    struct admitting **at = &m->l->admitting;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    if (code == OK)
        M.voice_admissions++;
    else
        M.voice_admissions_refused++;
    m->fn(m->ctx, code, who);
    mem_free(m);
}

static void on_token(void *ctx, const struct reply *r)
{
    struct admitting *m = ctx;
    struct life *l = m->l;
    if (!life_back(l)) {
        mem_free(m);
        return;
    }
    if (!reply_ok(r) && loop_now(l->loop) < m->give_up_at) {
        loop_arm(l->loop, &m->timer, ADMIT_AGAIN_MS);
        return;
    }
    struct arena a = {0};
    struct admitted who;
    int code = admit_check(&a, &m->claims, reply_ok(r) ? reply_text(r) : BYTES_NONE, bytes_of(l->node), &who);
    if (code != OK)
        LOG_PEER(INFO, EV("voice.refused"), KU("server", m->claims.server), KU("user", m->claims.user),
                 KU("code", (uint64_t)code));
    admit_done(m, code, code == OK ? &who : NULL);
    arena_fini(&a);
}

static void look_at_token(struct timer *t, uint64_t now)
{
    struct admitting *m = container_of(t, struct admitting, timer);
    char key[RECORD_KEY_MAX], suffix[80];
    (void)now;
    if (!claims_ok(&m->claims)) {
        admit_done(m, VCLOSE_SESSION_INVALID, NULL);
        return;
    }
    snprintf(suffix, sizeof suffix, "t:%s", m->claims.session);
    life_ask(m->l);
    store_cmd(m->l->store, on_token, m, "GET %s", record_key(key, ref_place(m->claims.server), suffix));
}

void life_admit(struct life *l, const struct claims *c, life_admit_fn fn, void *ctx)
{
    struct admitting *m = mem_alloc(sizeof *m);
    *m = (struct admitting){.next = l->admitting,
                            .l = l,
                            .claims = *c,
                            .fn = fn,
                            .ctx = ctx,
                            .give_up_at = loop_now(l->loop) + ADMIT_MS,
                            .timer.fire = look_at_token};
    l->admitting = m;
    loop_arm(l->loop, &m->timer, 0);
}

// Those whose answer is on its way go with it.
static void admits_free(struct life *l)
{
    for (struct admitting *m = l->admitting, *next; m; m = next) {
        next = m->next;
        if (!timer_armed(&m->timer))
            continue;
        loop_cancel(l->loop, &m->timer);
        mem_free(m);
    }
    l->admitting = NULL;
}

// --- who is gone ---

struct going {
    struct going *next;
    struct life *l;
    uint64_t server, channel, user;
    char session[65];
    uint64_t command; // that a call manager is told it by; 0: none is just now
    bool back;        // so that it is told to nobody any more
    struct timer again;
};

static void going_done(struct going *g)
{
    struct going **at = &g->l->going;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    loop_cancel(g->l->loop, &g->again);
    mem_free(g);
}

static void tell_gone(struct going *g);

static void on_gone_told(void *ctx, const struct answer *answer)
{
    struct going *g = ctx;
    if (!life_back(g->l)) {
        mem_free(g);
        return;
    }
    g->command = 0;
    if (g->back) {
        going_done(g);
    } else if (!answer) { // nobody has heard
        tell_gone(g);
    } else if (answer->err == ERR_FULL) { // nobody had the time
        loop_arm(g->l->loop, &g->again, GONE_AGAIN_MS);
    } else {
        if (answer->err < 0)
            LOG(INFO, EV("voice.gone_refused"), KU("user", g->user), KU("server", g->server),
                KS("why", err_name((int)answer->err)));
        going_done(g);
    }
}

static void tell_gone(struct going *g)
{
    const struct voice_gone gone = {.user = g->user,
                                    .session = bytes_of(g->session),
                                    .server = g->server,
                                    .channel = g->channel,
                                    .node = bytes_of(g->l->node)};
    const struct msg m = {&schema_voice_gone, &gone};
    life_ask(g->l);
    g->command = bus_command(g->l->bus, BUS_CALL_MANAGER, g->server, 0, &m, GONE_MS, on_gone_told, g);
}

static void on_again(struct timer *t, uint64_t now)
{
    (void)now;
    tell_gone(container_of(t, struct going, again));
}

void life_gone(struct life *l, uint64_t server, uint64_t channel, uint64_t user, const char *session)
{
    struct going *g = mem_alloc(sizeof *g);
    *g = (struct going){
        .next = l->going, .l = l, .server = server, .channel = channel, .user = user, .again.fire = on_again};
    CHECK_ID(bytes_copy(g->session, sizeof g->session, bytes_of(session)) == OK, user);
    l->going = g;
    M.voice_gone_told++;
    LOG(INFO, EV("voice.gone"), KU("user", user), KU("server", server), KU("channel", channel));
    tell_gone(g);
}

void gone_take_back(struct life *l, uint64_t server, uint64_t user, const char *session)
{
    for (struct going *g = l->going, *next; g; g = next) {
        next = g->next;
        if (g->server != server || g->user != user || strcmp(g->session, session) != 0)
            continue;
        g->back = true;
        if (g->command)
            bus_take_back(l->bus, g->command);
        else
            going_done(g);
    }
}

// Those whose answer is on its way go with it.
static void gone_free(struct life *l)
{
    for (struct going *g = l->going, *next; g; g = next) {
        next = g->next;
        if (!g->command)
            going_done(g);
    }
}

// --- beginning and end ---

struct life *life_new(const struct life_cfg *cfg)
{
    struct life *l = mem_alloc(sizeof *l);
    *l = (struct life){.cfg = *cfg,
                       .loop = cfg->service->loop,
                       .store = cfg->service->store,
                       .bus = cfg->service->bus,
                       .node = cfg->service->instance,
                       .epoch = loop_unix_ms(cfg->service->loop),
                       .announce.fire = on_announce};
    bus_watch(l->bus, BUS_REGION_ALLOCATOR);
    bus_watch(l->bus, BUS_CALL_MANAGER);
    seats_start(l);
    loop_arm(l->loop, &l->announce, 0);
    return l;
}

void life_free(struct life *l)
{
    loop_cancel(l->loop, &l->announce);
    admits_free(l);
    gone_free(l);
    seats_free(l);
    l->closed = true;
    life_ask(l);
    (void)life_back(l); // what is on its way frees it when it comes
}

void life_dump(const struct life *l, struct buf *out)
{
    uint32_t n_admitting = 0, n_going = 0;
    for (const struct admitting *m = l->admitting; m; m = m->next)
        n_admitting++;
    for (const struct going *g = l->going; g; g = g->next)
        n_going++;
    buf_printf(out, "life: node %s of %s at %s, epoch %llu%s; %u to be let in, %u gone and not told yet\n", l->node,
               l->cfg.region, l->cfg.endpoint, (unsigned long long)l->epoch, l->draining ? ", draining" : "",
               n_admitting, n_going);
    seats_dump(l, out);
}
