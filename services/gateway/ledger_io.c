// ledger_io: sessions in the store (keys: conns.h): writes of what they were sent, taking over, ending. Each is one
// call of a function in common/session_functions.c, which compares the owner.
#include "conns.h"
#include "debt.h"
#include "presence_io.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define RENEW_MS 600000u
#define KEEP_MS (6 * RENEW_MS) // while it has a socket, beside the resume window; written anew long before
#define SLACK_MS 60000u        // beyond the resume window, so that its gateway sees its end first
#define RETRY_MS 250u
#define TELL_MS 10000u // a command that is not answered by then is sent again
#define MOVED_MS (TELL_MS + 1000u)
#define UNDER_WAY_MAX (4u * 1024u * 1024u) // bytes of writes that the store has not answered; more wait their turn …
#define MUCH (64u * 1024u)                 // … and a session that has more than this to be written begins only
#define MUCH_UNDER_WAY_MAX (1024u * 1024u) // when less is under way: so nobody waits long behind those who lag
#define EVENT_COST 16u                     // what a session needs for an event whose text it shares with others

struct session_keys {
    char key[3][64];
};

static void name_keys(struct session_keys *k, const char *id)
{
    static const char suffix[3] = {'h', 'p', 'r'};
    for (size_t i = 0; i < countof(suffix); i++)
        snprintf(k->key[i], sizeof k->key[i], "{s:%s}:%c", id, suffix[i]);
}

#define OWNER_MAX 80
static struct bytes owner(char out[OWNER_MAX], const struct gateway *g, uint64_t hold)
{
    int n = snprintf(out, OWNER_MAX, "%s %016llx", g->svc.instance, (unsigned long long)hold);
    CHECK(n > 0 && n < OWNER_MAX);
    return (struct bytes){out, (size_t)n};
}

static uint64_t new_hold(void)
{
    uint64_t hold = 0;
    while (!hold)
        randombytes_buf(&hold, sizeof hold);
    return hold;
}

static void call(struct gateway *g, const char *function, const char *id, size_t n, const struct bytes *args,
                 store_fn fn, void *ctx)
{
    struct session_keys keys;
    struct bytes *argv = arena_take(&g->conns->written, (6 + n) * sizeof *argv);
    name_keys(&keys, id);
    argv[0] = BYTES("FCALL");
    argv[1] = bytes_of(function);
    argv[2] = BYTES("3");
    for (size_t i = 0; i < 3; i++)
        argv[3 + i] = bytes_of(keys.key[i]);
    memcpy(argv + 6, args, n * sizeof *argv);
    store_send(g->svc.store, fn, ctx, 6 + n, argv);
    arena_reset(&g->conns->written);
}

// --- writing ---

struct holding { // a session of ours as of then; another of that key may follow it
    struct gateway *g;
    uint64_t key, hold;
    uint64_t bytes;  // of this write
    uint64_t stored; // of the session before it
};

static struct holding *holding_of(const struct live *l)
{
    struct holding *w = mem_alloc(sizeof *w);
    *w = (struct holding){.g = l->g, .key = l->s.key, .hold = l->ledger.hold, .stored = l->stored};
    return w;
}

static struct live *still_held(const struct holding *w)
{
    struct live *l = live_get(w->g, w->key);
    return l && l->ledger.hold == w->hold ? l : NULL;
}

void ledger_due(struct live *l)
{
    struct conns *c = l->g->conns;
    if (l->queued)
        return;
    l->queued = true;
    keys_add(l->ledger.pending.bytes > MUCH ? &c->bulk : &c->writes, l->s.key);
    loop_flush(l->g->svc.loop, &c->flush);
}

void ledger_stored(struct live *l, uint64_t bytes)
{
    struct conns *c = l->g->conns;
    c->stored += bytes - l->stored;
    M.replay_bytes += bytes - l->stored;
    l->stored = bytes;
}

void ledger_forget(struct live *l)
{
    struct conns *c = l->g->conns;
    c->pending -= l->ledger.pending.n;
    if (l->ledger.pending.n > 0)
        loop_flush(l->g->svc.loop, &c->flush); // logs may wait for that
}

static void send_kept(struct live *l)
{
    uint32_t before = l->ledger.pending.n;
    bool send = session_keep(&l->s, l->ledger.last);
    for (uint64_t seq = ledger_first(&l->ledger); send && seq <= l->ledger.last; seq++)
        live_send(l, seq, dispatch_bytes(backlog_get(&l->ledger.pending, seq)));
    bool asked = ledger_written(&l->ledger);
    l->g->conns->pending -= before - l->ledger.pending.n;
    fanout_go_on(l->g);
    if (asked && !l->voice)
        live_step(l, &(struct session_in){.kind = SESSION_IN_OURS});
    if (l->ledger.due)
        ledger_due(l);
    if (l->ledger.pending.n == 0)
        members_kept(l);
}

static void on_written(void *ctx, const struct reply *r)
{
    struct holding w = *(struct holding *)ctx;
    struct live *l = still_held(&w);
    struct conns *c = w.g->conns;
    mem_free(ctx);
    c->under_way -= w.bytes;
    if (c->writes.n > 0 || c->bulk.n > 0)
        loop_flush(w.g->svc.loop, &c->flush);
    if (!l || (l->ledger.aside && reply_int(r) != 0))
        return;
    if (!reply_ok(r)) { // repeated, whatever became of it
        ledger_failed(&l->ledger);
        ledger_stored(l, w.stored);
        if (!timer_armed(&c->retry))
            loop_arm(w.g->svc.loop, &c->retry, RETRY_MS);
    } else if (reply_int(r) == 1) {
        send_kept(l);
    } else {
        live_step(l, &(struct session_in){.kind = reply_int(r) == 0 ? SESSION_IN_MOVED : SESSION_IN_CUT});
    }
}

static struct bytes decimal(struct arena *a, uint64_t v)
{
    return arena_printf(a, "%llu", (unsigned long long)v);
}

static struct bytes position(struct arena *a, const struct live *l, ref r)
{
    uint64_t at;
    const struct subs *subs = fanout_subs(l->g);
    const struct sub *sub = subs_get(subs, r);
    bool guild = sub && sub->guild; // where who waits is to go on later, wherever that is
    if (!subs_position(subs, l->s.key, r, &at) && !(guild && subs_awaits(subs, l->s.key, r, &at)))
        return BYTES("");
    return arena_printf(a, "%s%llu", guild ? "g" : "", (unsigned long long)at);
}

static uint64_t ttl(const struct live *l)
{
    uint64_t now = loop_now(l->g->svc.loop), end = l->s.expires_at + SLACK_MS;
    return l->s.state == SESSION_LIVE ? KEEP_MS + l->g->cfg.resume_window_ms : end > now ? end - now : 1;
}

static void write_session(struct live *l)
{
    struct gateway *g = l->g;
    struct ledger *w = &l->ledger;
    struct arena *a = &g->conns->written;
    struct bytes *v = arena_take(a, (12 + w->pending.n + 2 * w->n_touched) * sizeof *v);
    char name[OWNER_MAX];
    struct buf rec = {0};
    struct holding *holding = holding_of(l);
    uint64_t first = ledger_first(w), all = l->stored + w->pending.bytes;
    uint64_t most = ledger_allowance(g->cfg.replay_bytes, g->cfg.replay_all_bytes, g->conns->stored - l->stored, all,
                                     g->conns->sessions.n);
    size_t n = 0;
    v[n++] = owner(name, g, w->hold);
    v[n++] = decimal(a, w->turn);
    v[n++] = decimal(a, ttl(l));
    v[n++] = decimal(a, g->cfg.replay_events);
    v[n++] = decimal(a, most);
    v[n++] = decimal(a, first);
    v[n++] = decimal(a, w->pending.n);
    for (uint64_t seq = first; seq <= w->last; seq++)
        v[n++] = dispatch_bytes(backlog_get(&w->pending, seq));
    v[n++] = decimal(a, w->n_touched);
    for (uint32_t i = 0; i < w->n_touched; i++) {
        v[n++] = decimal(a, w->touched.v[i]);
        v[n++] = position(a, l, w->touched.v[i]);
    }
    if (!w->begun) {
        struct session_rec record = session_record(&l->s);
        PACK(&rec, session_rec, &record);
        v[n++] = BYTES("user");
        v[n++] = decimal(a, l->s.user);
        v[n++] = BYTES("is");
        v[n++] = buf_bytes(&rec);
    }
    M.session_writes++;
    ledger_stored(l, all < most ? all : most);
    holding->bytes = w->pending.bytes;
    g->conns->under_way += holding->bytes;
    call(g, "sb_session_write", l->s.id, n, v, on_written, holding);
    buf_fini(&rec);
}

// What waits for the store is bounded for all together. Texts are shared: when too much is there, the sessions that
// wait with most go, as large a part of them as the bound is passed by.
static uint32_t shed_pending(struct gateway *g, uint64_t there)
{
    struct conns *c = g->conns;
    struct debt *v = mem_grow(NULL, c->sessions.n, sizeof *v);
    uint64_t owed = 0;
    uint32_t n = 0;
    struct live *l;
    for (uint32_t i = 0; (l = table_next(&c->sessions, &i, NULL)) != NULL;)
        if (l->ledger.pending.n > 0) {
            v[n] = (struct debt){l->s.key, l->ledger.pending.bytes + l->ledger.pending.n * EVENT_COST};
            owed += v[n++].bytes;
        }
    n = debts_over(v, n, debts_part(owed, there, debts_keep(g->cfg.event_bytes)));
    for (uint32_t i = 0; i < n; i++)
        if ((l = live_get(g, v[i].id)) != NULL)
            live_set_aside(l);
    mem_free(v);
    return n;
}

static void bound_pending(struct gateway *g)
{
    uint64_t there;
    do
        there = M.memory_events_bytes + g->conns->pending * EVENT_COST;
    while (there > g->cfg.event_bytes && shed_pending(g, there) > 0);
}

static void write_some(struct conns *c, struct keys *q, uint64_t most, uint64_t much)
{
    uint32_t at = 0;
    while (at < q->n && c->under_way < most) {
        struct live *l = live_get(c->g, q->v[at++]);
        if (!l || !l->queued)
            continue;
        l->queued = false;
        if (l->ledger.pending.bytes > c->g->cfg.send_queue_bytes)
            live_set_aside(l);
        else if (l->ledger.pending.bytes > much) // it has become that since it was queued
            ledger_due(l);
        else if (ledger_begin(&l->ledger))
            write_session(l);
    }
    keys_shift(q, at);
}

static void on_flush(struct loop_flush *f)
{
    struct conns *c = container_of(f, struct conns, flush);
    bound_pending(c->g);
    write_some(c, &c->writes, UNDER_WAY_MAX, MUCH);
    write_some(c, &c->bulk, MUCH_UNDER_WAY_MAX, UINT64_MAX);
    fanout_go_on(c->g);
}

static void on_retry(struct timer *t, uint64_t now)
{
    struct conns *c = container_of(t, struct conns, retry);
    struct live *l;
    (void)now;
    if (!store_up(c->g->svc.store)) {
        loop_arm(c->g->svc.loop, t, RETRY_MS);
        return;
    }
    for (uint32_t i = 0; (l = table_next(&c->sessions, &i, NULL)) != NULL;)
        if (l->ledger.due)
            ledger_due(l);
}

static void touch_all(struct live *l)
{
    struct keys refs = {0};
    subs_refs_of(fanout_subs(l->g), l->s.key, &refs);
    for (uint32_t i = 0; i < refs.n; i++)
        ledger_touch(&l->ledger, refs.v[i]);
    keys_fini(&refs);
    l->renew_at = loop_now(l->g->svc.loop) + RENEW_MS;
}

void ledger_opened(struct live *l)
{
    ledger_init(&l->ledger, new_hold(), l->s.seq + 1, false);
    touch_all(l);
    ledger_due(l);
}

// Also where it stands in records that never have anything for it: their logs are cut one day.
void ledger_renew(struct live *l)
{
    if (!session_told(&l->s) || loop_now(l->g->svc.loop) < l->renew_at)
        return;
    touch_all(l);
    ledger_want(&l->ledger);
    ledger_due(l);
}

// --- commands about a session, told until they are heard ---

// Until the call manager knows who holds the session now, a row where it looks when gateways die (its timers.c) says
// so.
static void note_taken(const struct gateway *g, uint64_t user, const char *session, uint64_t hold)
{
    store_cmd(g->svc.store, NULL, NULL, "SADD gateways:known %s", g->svc.instance);
    store_cmd(g->svc.store, NULL, NULL, "ZADD gateway:%s:places 0 t:%llu:%s:%llu", g->svc.instance,
              (unsigned long long)user, session, (unsigned long long)hold);
}

static void unnote_taken(const struct gateway *g, uint64_t user, const char *session, uint64_t hold)
{
    store_cmd(g->svc.store, NULL, NULL, "ZREM gateway:%s:places t:%llu:%s:%llu", g->svc.instance,
              (unsigned long long)user, session, (unsigned long long)hold);
}

static void tell_moved(struct holding *w, uint64_t id);

struct moved {
    struct holding *w;
    uint64_t id, user;
    char session[33];
};

static void on_moved_told(void *ctx, const struct answer *a)
{
    struct moved m = *(struct moved *)ctx;
    mem_free(ctx);
    if (a && !m.w->g->conns->stopping)
        unnote_taken(m.w->g, m.user, m.session, m.w->hold);
    if (a || m.w->g->conns->stopping || !still_held(m.w))
        mem_free(m.w);
    else
        tell_moved(m.w, m.id);
}

static void tell_moved(struct holding *w, uint64_t id)
{
    const struct gateway *g = w->g;
    const struct live *l = still_held(w);
    const struct session *s = &l->s;
    struct moved *m = mem_alloc(sizeof *m);
    struct session_moved moved = {
        .user = s->user, .session = bytes_of(s->id), .gateway = bytes_of(g->svc.instance), .hold = l->ledger.hold};
    const struct msg msg = {&schema_session_moved, &moved};
    *m = (struct moved){.w = w, .id = id ? id : bus_new_id(g->svc.bus), .user = s->user};
    memcpy(m->session, s->id, sizeof m->session);
    bus_command(g->svc.bus, BUS_CALL_MANAGER, s->user, m->id, &msg, TELL_MS, on_moved_told, m);
}

// Once more later: a voice update that the last gateway sent before it died may overtake the first.
static void on_moved(struct timer *t, uint64_t now)
{
    struct live *l = container_of(t, struct live, moved);
    (void)now;
    if (!l->g->conns->stopping) // the bus may have ended
        tell_moved(holding_of(l), 0);
}

struct ending { // of a session that is here no more
    struct gateway *g;
    uint64_t user, hold, id;
    char session[33];
    bool tell;
    struct timer retry;
};

static void end_in_store(struct ending *e);
static void tell_end(struct ending *e);

static void ending_free(struct ending *e)
{
    e->g->conns->ending--;
    mem_free(e);
}

static void on_end_told(void *ctx, const struct answer *a)
{
    struct ending *e = ctx;
    if (a && !e->g->conns->stopping)
        unnote_taken(e->g, e->user, e->session, e->hold);
    if (a)
        ending_free(e);
    else
        tell_end(e); // again under its old id, lest it be carried out twice
}

// A voice update of its that is still under way is not waited for: that could be so late that it takes the seat from
// the user's next session. The call manager knows from now on that this one is over, and lets none of its joins stay.
static void tell_end(struct ending *e)
{
    struct session_end end = {.user = e->user, .session = bytes_of(e->session)};
    const struct msg m = {&schema_session_end, &end};
    if (!e->tell || e->g->conns->stopping)
        ending_free(e);
    else
        bus_command(e->g->svc.bus, BUS_CALL_MANAGER, e->user, e->id, &m, TELL_MS, on_end_told, e);
}

static void on_end_retry(struct timer *t, uint64_t now)
{
    (void)now;
    end_in_store(container_of(t, struct ending, retry));
}

static void on_ended(void *ctx, const struct reply *r)
{
    struct ending *e = ctx;
    if (!reply_ok(r) && !e->g->conns->stopping) {
        loop_arm(e->g->svc.loop, &e->retry, RETRY_MS);
        return;
    }
    if (reply_int(r) == 1)
        presence_over(e->g, e->user, e->session);
    e->tell = e->tell && reply_int(r) == 1;
    tell_end(e);
}

static void end_in_store(struct ending *e)
{
    char name[OWNER_MAX];
    const struct bytes args[] = {owner(name, e->g, e->hold)};
    call(e->g, "sb_session_end", e->session, countof(args), args, on_ended, e);
}

static void begin_end(struct gateway *g, const char *session, uint64_t user, uint64_t hold, bool tell)
{
    struct ending *e = mem_alloc(sizeof *e);
    *e = (struct ending){.g = g, .user = user, .hold = hold, .id = bus_new_id(g->svc.bus), .tell = tell};
    e->retry.fire = on_end_retry;
    memcpy(e->session, session, sizeof e->session);
    g->conns->ending++;
    end_in_store(e);
}

void ledger_end(struct live *l, bool tell)
{
    if (l->ledger.hold && !l->g->conns->stopping) // a stopping gateway's sessions are resumed elsewhere
        begin_end(l->g, l->s.id, l->s.user, l->ledger.hold, tell);
}

// --- taking over ---

struct taking {
    struct taking *next; // that waits
    struct gateway *g;
    uint64_t fresh, conn, user, after;
    uint64_t held, hold; // held: what we had it under, 0: not at all; hold: what we have it under now
    char id[33];
};

static uint64_t number(const struct reply *r)
{
    uint64_t v;
    return bytes_u64(reply_text(r), &v) == OK ? v : 0;
}

static struct session_held held_of(const struct reply *r)
{
    return (struct session_held){number(reply_at(r, 0)), number(reply_at(r, 1))};
}

static struct texts texts_of(struct arena *a, const struct reply *list)
{
    struct bytes *v = arena_take(a, (reply_n(list) + 1) * sizeof *v);
    for (size_t i = 0; i < reply_n(list); i++)
        v[i] = reply_text(reply_at(list, i));
    return (struct texts){(uint32_t)reply_n(list), v};
}

static void listen(struct gateway *g, uint64_t key, uint64_t user, const struct reply *positions)
{
    subs_enter(fanout_subs(g), key, user);
    for (size_t i = 0; i + 1 < reply_n(positions); i += 2) {
        struct bytes at = reply_text(reply_at(positions, i + 1));
        uint64_t version;
        ref r;
        bool guild = at.n > 0 && at.p[0] == 'g';
        if (guild)
            at = (struct bytes){at.p + 1, at.n - 1};
        if (bytes_u64(reply_text(reply_at(positions, i)), &r) == OK && bytes_u64(at, &version) == OK)
            fanout_follow(g, key, r, guild, version);
    }
}

static bool has_room(struct gateway *g, uint64_t user)
{
    return live_room_of(g, user) && live_room(g);
}

static struct live *revive(const struct taking *t, const struct reply *r)
{
    struct gateway *g = t->g;
    struct arena a = {0};
    const struct reply *hash = reply_at(r, 3);
    struct session_past past = {.id = t->id, .held = held_of(r)};
    int err = UNPACK(&a, session_rec, reply_text(reply_field(hash, "is")), &past.rec);
    if (err == OK)
        err = session_past_valid(&past);
    struct live *l = err == OK && has_room(g, past.rec.user) ? live_revive(g, &past) : NULL;
    arena_fini(&a);
    if (!l) {
        LOG_PEER(WARN, EV("session.not_taken"), KS("session", t->id), KS("why", err ? "unreadable" : "no room"));
        begin_end(g, t->id, t->user, t->hold, true);
        return NULL;
    }
    ledger_init(&l->ledger, t->hold, l->s.seq + 1, true);
    ledger_stored(l, number(reply_field(hash, "bytes")));
    l->renew_at = loop_now(g->svc.loop) + RENEW_MS;
    ledger_due(l); // for as long as it lives here
    listen(g, l->s.key, l->s.user, reply_at(r, 4));
    presence_taken(l);
    M.sessions_taken++;
    LOG_PEER(INFO, EV("session.taken"), KU("session", l->s.key), KU("user", l->s.user));
    if (system_revoked(g, l->s.user, l->s.issued_ms)) {
        live_step(l, &(struct session_in){.kind = SESSION_IN_REVOKED, .before_ms = UINT64_MAX});
        return NULL;
    }
    on_moved(&l->moved, 0);
    l->moved.fire = on_moved;
    loop_arm(g->svc.loop, &l->moved, MOVED_MS);
    return l;
}

static void taken(const struct taking *t, const struct reply *r)
{
    struct gateway *g = t->g;
    struct live *old = live_named(g, bytes_of(t->id));
    struct live *fresh = live_get(g, t->fresh);
    if (reply_n(r) == 5) {
        if (old) // another gateway had it since
            live_step(old, &(struct session_in){.kind = SESSION_IN_MOVED});
        old = revive(t, r);
    } else if (reply_n(r) != 3 || (old && old->ledger.hold != t->held)) {
        old = NULL;
    }
    if (!fresh)
        return; // its socket went meanwhile: the session is here, and waits
    if (!old || !session_told(&old->s)) {
        live_step(fresh, &(struct session_in){.kind = SESSION_IN_TAKEN, .err = reply_ok(r) ? ERR_MISSING : ERR_IO});
        return;
    }
    struct arena a = {0};
    struct texts missed = texts_of(&a, reply_at(r, 2));
    live_resume(fresh, old, held_of(r), &missed);
    arena_fini(&a);
}

static void take_next(struct conns *c);

static void on_taken(void *ctx, const struct reply *r)
{
    struct taking t = *(struct taking *)ctx;
    struct conns *c = t.g->conns;
    mem_free(ctx);
    c->takes--;
    if (!c->stopping) { // else the socket is closed, and the session somebody else's to take
        taken(&t, r);
        client_go_on(t.g, t.conn);
        take_next(c);
    }
}

static void take(struct taking *t)
{
    struct gateway *g = t->g;
    struct live *old = live_named(g, bytes_of(t->id));
    char now[OWNER_MAX], before[OWNER_MAX], user[24], after[24];
    t->held = old && !old->ledger.aside ? old->ledger.hold : 0;
    if (t->held && ledger_begin(&old->ledger)) // the store has to know of it first
        write_session(old);
    g->conns->takes++;
    snprintf(user, sizeof user, "%llu", (unsigned long long)t->user);
    snprintf(after, sizeof after, "%llu", (unsigned long long)t->after);
    const struct bytes args[] = {owner(now, g, t->hold), t->held ? owner(before, g, t->held) : BYTES(""),
                                 bytes_of(user), bytes_of(after)};
    note_taken(g, t->user, t->id, t->hold);
    call(g, "sb_session_take", t->id, countof(args), args, on_taken, t);
}

// Each may bring as much as a replay has: so a bounded number at a time.
static void take_next(struct conns *c)
{
    while (c->take && c->takes < c->g->cfg.loads_max) {
        struct taking *t = c->take;
        c->take = t->next;
        if (!c->take)
            c->take_tail = &c->take;
        if (live_get(t->g, t->fresh))
            take(t);
        else
            mem_free(t); // its socket has gone
    }
}

void ledger_take(struct live *fresh)
{
    struct conns *c = fresh->g->conns;
    struct taking *t = mem_alloc(sizeof *t);
    *t = (struct taking){.g = fresh->g,
                         .fresh = fresh->s.key,
                         .conn = fresh->s.line.conn,
                         .user = fresh->s.user,
                         .after = fresh->s.wanted_seq,
                         .hold = new_hold()};
    memcpy(t->id, fresh->s.wanted, sizeof t->id);
    *c->take_tail = t;
    c->take_tail = &t->next;
    take_next(c);
}

// --- life ---

void ledger_start(struct gateway *g)
{
    g->conns->g = g;
    g->conns->take_tail = &g->conns->take;
    g->conns->flush.fn = on_flush;
    g->conns->retry.fire = on_retry;
}

void ledger_stop(struct gateway *g)
{
    struct conns *c = g->conns;
    loop_cancel(g->svc.loop, &c->retry);
    loop_unflush(g->svc.loop, &c->flush);
    for (struct taking *t = c->take, *next; t; t = next) {
        next = t->next;
        mem_free(t);
    }
    keys_fini(&c->writes);
    keys_fini(&c->bulk);
    arena_fini(&c->written);
}
