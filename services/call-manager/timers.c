// timers: deadlines that survive the process that set them. Rows of the sorted set timers:call, due time as score:
//   <place id>            the place needs a tick           <user id with the top bit>  a move is unfinished
//   a:<place>:<user>      he sat down there, or came to it, or went from it: is all of that done?
//   s:<guild>:<user>      a voice server is owed to his seat
//   r:<guild>:<channel>   some who sit there are owed another one, or nobody may speak on its stage
//   g:<gateway instance>  its sessions are over unless it is back by then
// A row is written before the commit that needs it; one too many does nothing. Any instance claims what is due (nobody
// else gets it for a while), does it, and settles the row; who dies in between leaves it to the next. A claimed row's
// time ends in .5: so a new wish is told from the claim, and replaces it.
// Besides, per gateway: sorted set gateway:<instance>:places of private channels where its sessions have seats, and of
// seats in guilds, <guild>:<user>, with the place's version that they are known from as score, and set gateways:known.
// A gateway itself adds t:<user>:<session>:<hold>
// there before it takes a session over, until it has told us: should it die in between, that session's voice state goes
// with it. Shell.
#include "errors.h"
#include "manager.h"
#include "metrics.h"
#include <stdio.h>
#include <string.h>

#define POLL_MS 200u
#define CLAIM_MS 2000u
#define CLAIM_MAX 64u
#define SWEEP_MAX 64u     // places of a lost gateway at a time
#define GATEWAYS_MS 5000u // how often known gateways are compared with live ones
#define BACK_MS 1000u     // for a gateway to find a Redis that is back
#define KEY_MAX 96u

struct row { // a claimed one
    struct manager *m;
    char member[64], until[32];
    uint32_t pending; // jobs, for a gateway
    bool failed;
};

static const char *places_key(char out[KEY_MAX], const char *gateway)
{
    snprintf(out, KEY_MAX, "gateway:%s:places", gateway);
    return out;
}

// Takes `member` away, or gives it the score `next`, if it still has the score `expected`.
static void replace(struct manager *m, const char *key, const char *member, const char *expected, const char *next)
{
    struct bytes argv[] = {BYTES("FCALL"),   BYTES("sb_settle"), BYTES("1"),    bytes_of(key),
                           bytes_of(member), bytes_of(expected), bytes_of(next)};
    store_send(m->service.store, NULL, NULL, countof(argv), argv);
}

void timers_want(struct manager *m, ref r, uint64_t at)
{
    store_cmd(m->service.store, NULL, NULL, "FCALL sb_want 1 timers:call %llu %llu", (unsigned long long)r,
              (unsigned long long)at);
}

void timers_want_agreement(struct manager *m, uint64_t place, uint64_t user, uint64_t at)
{
    store_cmd(m->service.store, NULL, NULL, "FCALL sb_want 1 timers:call a:%llu:%llu %llu", (unsigned long long)place,
              (unsigned long long)user, (unsigned long long)at);
}

void timers_want_seat(struct manager *m, uint64_t guild, uint64_t user, uint64_t at)
{
    store_cmd(m->service.store, NULL, NULL, "FCALL sb_want 1 timers:call s:%llu:%llu %llu", (unsigned long long)guild,
              (unsigned long long)user, (unsigned long long)at);
}

void timers_drop_seat(struct manager *m, uint64_t guild, uint64_t user, uint64_t at)
{
    char member[64], score[24];
    snprintf(member, sizeof member, "s:%llu:%llu", (unsigned long long)guild, (unsigned long long)user);
    snprintf(score, sizeof score, "%llu", (unsigned long long)at);
    replace(m, "timers:call", member, score, "");
}

void timers_want_room(struct manager *m, uint64_t guild, uint64_t channel, uint64_t at)
{
    store_cmd(m->service.store, NULL, NULL, "FCALL sb_want 1 timers:call r:%llu:%llu %llu", (unsigned long long)guild,
              (unsigned long long)channel, (unsigned long long)at);
}

// A place in a gateway's set.
static const char *noted(char out[48], uint64_t place, uint64_t user)
{
    if (user)
        snprintf(out, 48, "%llu:%llu", (unsigned long long)place, (unsigned long long)user);
    else
        snprintf(out, 48, "%llu", (unsigned long long)place);
    return out;
}

void timers_note_gateway(struct manager *m, struct bytes gateway, uint64_t place, uint64_t user, uint64_t version)
{
    char key[KEY_MAX], name[49], member[48];
    CHECK_ID(bytes_copy(name, sizeof name, gateway) == OK, place);
    store_cmd(m->service.store, NULL, NULL, "SADD gateways:known %s", name);
    store_cmd(m->service.store, NULL, NULL, "ZADD %s GT %llu %s", places_key(key, name), (unsigned long long)version,
              noted(member, place, user));
}

struct forgotten {
    struct manager *m;
    char gateway[49], member[48];
    uint64_t version;
};

static void on_note(void *ctx, const struct reply *r)
{
    struct forgotten f = *(struct forgotten *)ctx;
    mem_free(ctx);
    char key[KEY_MAX], score[24];
    uint64_t known;
    if (bytes_u64(reply_text(r), &known) != OK || known > f.version)
        return; // somebody sits there again
    snprintf(score, sizeof score, "%llu", (unsigned long long)known);
    replace(f.m, places_key(key, f.gateway), f.member, score, "");
}

void timers_forget_gateway(struct manager *m, struct bytes gateway, uint64_t place, uint64_t user, uint64_t version)
{
    char key[KEY_MAX];
    struct forgotten *f = mem_alloc(sizeof *f);
    *f = (struct forgotten){.m = m, .version = version};
    noted(f->member, place, user);
    CHECK_ID(bytes_copy(f->gateway, sizeof f->gateway, gateway) == OK, place);
    store_cmd(m->service.store, on_note, f, "ZSCORE %s %s", places_key(key, f->gateway), f->member);
}

static void settle(struct row *row, uint64_t next)
{
    char at[24] = "";
    if (next)
        snprintf(at, sizeof at, "%llu", (unsigned long long)next);
    replace(row->m, "timers:call", row->member, row->until, at);
    mem_free(row);
}

static void on_done(void *ctx, const struct job_end *end)
{
    struct row *row = ctx;
    if (flow_failed(end->result))
        mem_free(row); // the claim runs out, and somebody takes it up again
    else
        settle(row, end->deadline);
}

static void run_ref(struct row *row, ref r)
{
    struct flow flow = {.kind = FLOW_STEP, .place = ref_id(r), .in = {.kind = CALL_IN_TICK}};
    if (ref_is_user(r))
        flow = (struct flow){.kind = FLOW_SETTLE, .user = ref_id(r)};
    if (job_start(row->m, &flow, on_done, row) != OK)
        mem_free(row);
}

// "<place>:<id>"
static int two_ids(struct bytes text, uint64_t *place, uint64_t *id)
{
    const char *colon = text.n > 0 ? memchr(text.p, ':', text.n) : NULL;
    if (!colon || bytes_u64((struct bytes){text.p, (size_t)(colon - text.p)}, place) != OK)
        return ERR_INVALID;
    return bytes_u64((struct bytes){colon + 1, text.n - (size_t)(colon + 1 - text.p)}, id);
}

// a:…, s:… and r:…
static void run_pair(struct row *row)
{
    uint64_t place, id;
    if (two_ids(bytes_of(row->member + 2), &place, &id) != OK) {
        settle(row, 0); // no row of ours
        return;
    }
    const struct guild_in seat = {.kind = GUILD_IN_SEAT, .target = id}, room = {.kind = GUILD_IN_ROOM, .channel = id};
    struct flow flow = {.kind = FLOW_STEP, .place = place, .change = row->member[0] == 's' ? &seat : &room};
    if (row->member[0] == 'a')
        flow = (struct flow){.kind = FLOW_AGREE, .place = place, .user = id, .in = {.n_targets = 1, .targets = {id}}};
    if (job_start(row->m, &flow, on_done, row) != OK)
        mem_free(row);
}

// --- gateways that are gone ---

struct swept { // a place of one
    struct row *row;
    char place[128], score[24]; // the member as it stands
};

static void on_places(void *ctx, const struct reply *r);

static void sweep(struct row *row)
{
    char key[KEY_MAX];
    store_cmd(row->m->service.store, on_places, row, "ZRANGE %s 0 %u WITHSCORES", places_key(key, row->member + 2),
              SWEEP_MAX - 1);
}

static void on_places_swept(struct row *row)
{
    if (row->failed || row->m->closed)
        mem_free(row); // the claim runs out
    else
        sweep(row);
}

static void on_place_swept(void *ctx, const struct job_end *end)
{
    struct swept p = *(struct swept *)ctx;
    char key[KEY_MAX];
    mem_free(ctx);
    if (flow_failed(end->result)) // when it is due is for a row of its own
        p.row->failed = true;
    else
        replace(p.row->m, places_key(key, p.row->member + 2), p.place, p.score, "");
    if (--p.row->pending == 0)
        on_places_swept(p.row);
}

static int flow_of_place(struct row *row, char *member, struct flow *flow)
{
    *flow = (struct flow){.kind = FLOW_SWEEP, .in = {.kind = CALL_IN_GATEWAY_LOST, .gateway = row->member + 2}};
    if (strncmp(member, "t:", 2) != 0)
        return two_ids(bytes_of(member), &flow->place, &flow->user) == OK ? OK
                                                                          : bytes_u64(bytes_of(member), &flow->place);
    char *session = strchr(member + 2, ':'), *hold = session ? strchr(session + 1, ':') : NULL;
    if (!hold)
        return ERR_INVALID;
    *session = *hold = '\0';
    flow->kind = FLOW_LEAVE;
    flow->in.kind = CALL_IN_LEAVE;
    flow->in.session = session + 1;
    flow->in.turn = UINT64_MAX; // nothing that was said under that hold came later
    if (bytes_u64(bytes_of(member + 2), &flow->user) != OK || bytes_u64(bytes_of(hold + 1), &flow->in.hold) != OK)
        return ERR_INVALID;
    flow->in.user = flow->user;
    return OK;
}

// ERR_FULL: too much is going on just now.
static int sweep_place(struct row *row, struct bytes place, struct bytes score)
{
    struct flow flow;
    char key[KEY_MAX], member[128];
    struct swept *p = mem_alloc(sizeof *p);
    p->row = row;
    if (bytes_copy(p->place, sizeof p->place, place) != OK || bytes_copy(p->score, sizeof p->score, score) != OK ||
        bytes_copy(member, sizeof member, place) != OK || flow_of_place(row, member, &flow) != OK) {
        mem_free(p);
        store_cmd(row->m->service.store, NULL, NULL, "ZREM %s %b", places_key(key, row->member + 2), place.p, place.n);
        return OK; // no place of ours
    }
    if (job_start(row->m, &flow, on_place_swept, p) == OK) {
        row->pending++;
        return OK;
    }
    mem_free(p);
    return ERR_FULL;
}

static void on_places(void *ctx, const struct reply *r)
{
    struct row *row = ctx;
    size_t i = 0;
    if (reply_ok(r) && reply_n(r) == 0) {
        LOG(INFO, EV("gateway.swept"), KS("gateway", row->member + 2));
        store_cmd(row->m->service.store, NULL, NULL, "SREM gateways:known %s", row->member + 2);
        settle(row, 0);
        return;
    }
    row->pending = 1; // this function's own, so that the last job is not the last before the loop ends
    while (i + 1 < reply_n(r) && sweep_place(row, reply_text(reply_at(r, i)), reply_text(reply_at(r, i + 1))) == OK)
        i += 2;
    row->failed = i == 0; // nothing came of it; otherwise the next look finds the rest
    if (--row->pending == 0)
        on_places_swept(row);
}

// While Redis was away every lease ran out, and from then on all have this long to renew theirs. ms to go; 0: it is
// over.
static uint64_t leases_return_ms(const struct manager *m)
{
    uint64_t by = m->up_at + m->service.cfg.lease_ms + BACK_MS, now = loop_now(m->service.loop);
    return by > now ? by - now : 0;
}

static void on_sweep_lives(void *ctx, const struct reply *r)
{
    struct row *row = ctx;
    uint64_t wait_ms = leases_return_ms(row->m);
    if (!reply_ok(r))
        mem_free(row);
    else if (reply_int(r) == 1)
        settle(row, 0); // it is back
    else if (wait_ms)
        settle(row, loop_unix_ms(row->m->service.loop) + wait_ms);
    else
        sweep(row);
}

static void ask_lives(struct manager *m, const char *gateway, store_fn fn, void *ctx)
{
    store_cmd(m->service.store, fn, ctx, "EXISTS bus:%s:%s", bus_kind_name(BUS_GATEWAY), gateway);
}

struct known {
    struct manager *m;
    char gateway[49];
};

static void on_known_lives(void *ctx, const struct reply *r)
{
    struct known k = *(struct known *)ctx;
    mem_free(ctx);
    if (!reply_ok(r))
        return;
    uint64_t at = loop_unix_ms(k.m->service.loop) + k.m->resume_window_ms;
    if (reply_int(r) == 1)
        store_cmd(k.m->service.store, NULL, NULL, "ZREM timers:call g:%s", k.gateway);
    else
        store_cmd(k.m->service.store, NULL, NULL, "ZADD timers:call NX %llu g:%s", (unsigned long long)at, k.gateway);
}

static void on_known(void *ctx, const struct reply *r)
{
    struct manager *m = ctx;
    for (size_t i = 0; i < reply_n(r); i++) {
        struct known *k = mem_alloc(sizeof *k);
        k->m = m;
        if (bytes_copy(k->gateway, sizeof k->gateway, reply_text(reply_at(r, i))) == OK)
            ask_lives(m, k->gateway, on_known_lives, k);
        else
            mem_free(k);
    }
}

// Compares all that had seats with all that live: nobody needs to have been there when one died.
void timers_look(struct manager *m)
{
    if (!m->service.stopping && bus_ready(m->service.bus))
        store_cmd(m->service.store, on_known, m, "SMEMBERS gateways:known");
}

// --- claiming ---

static void run_row(struct manager *m, struct bytes member, const char *until)
{
    ref r;
    struct row *row = mem_alloc(sizeof *row);
    row->m = m;
    snprintf(row->until, sizeof row->until, "%s", until);
    if (bytes_copy(row->member, sizeof row->member, member) != OK) {
        mem_free(row);
        return;
    }
    M.timers_claimed++;
    if (bytes_u64(member, &r) == OK)
        run_ref(row, r);
    else if (strncmp(row->member, "a:", 2) == 0 || strncmp(row->member, "s:", 2) == 0 ||
             strncmp(row->member, "r:", 2) == 0)
        run_pair(row);
    else if (strncmp(row->member, "g:", 2) == 0)
        ask_lives(m, row->member + 2, on_sweep_lives, row);
    else
        settle(row, 0); // no row of ours
}

struct claim {
    struct manager *m;
    char until[32];
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
    if (reply_n(r) == CLAIM_MAX && c.m->jobs.n < c.m->jobs_max / 2)
        loop_arm(c.m->service.loop, &c.m->poll, 0); // there may be more
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
    c->m = m;
    snprintf(c->until, sizeof c->until, "%llu.5", (unsigned long long)(unix_ms + CLAIM_MS));
    m->polling = true;
    store_cmd(m->service.store, on_claimed, c, "FCALL sb_claim 1 timers:call %llu %s %u", (unsigned long long)unix_ms,
              c->until, CLAIM_MAX);
}

static void refresh(struct timer *t, uint64_t now)
{
    struct manager *m = container_of(t, struct manager, refresh);
    (void)now;
    loop_arm(m->service.loop, t, m->regions.n > 0 ? GATEWAYS_MS : POLL_MS);
    call_refresh_regions(m);
    timers_look(m);
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
    loop_cancel(m->service.loop, &m->poll);
    loop_cancel(m->service.loop, &m->refresh);
}
