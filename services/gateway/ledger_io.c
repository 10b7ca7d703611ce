// ledger_io: sessions in the store (keys: conns.h): writes of what they were sent, taking over, ending. Each is one
// call of a function in common/session_functions.c, which compares the owner.
#include "conns.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define KEEP_MS 86400000u // while it has a socket; written anew long before
#define RENEW_MS 600000u
#define SLACK_MS 60000u // beyond the resume window, so that its gateway sees its end first
#define RETRY_MS 250u
#define TELL_MS 10000u // a command that is not answered by then is sent again
#define MOVED_MS (TELL_MS + 1000u)

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
};

static struct holding *holding_of(const struct live *l)
{
    struct holding *w = mem_alloc(sizeof *w);
    *w = (struct holding){l->g, l->s.key, l->ledger.hold};
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
    keys_add(&c->writes, l->s.key);
    loop_flush(l->g->svc.loop, &c->flush);
}

static void send_kept(struct live *l)
{
    bool send = session_keep(&l->s, l->ledger.last);
    for (uint64_t seq = ledger_first(&l->ledger); send && seq <= l->ledger.last; seq++)
        live_send(l, seq, replay_get(&l->ledger.pending, seq));
    if (ledger_written(&l->ledger) && l->s.voice_sent && !l->voice)
        live_voice(l);
    if (l->ledger.due)
        ledger_due(l);
}

static void on_written(void *ctx, const struct reply *r)
{
    struct holding w = *(struct holding *)ctx;
    struct live *l = still_held(&w);
    mem_free(ctx);
    if (!l)
        return;
    if (!reply_ok(r)) { // repeated, whatever became of it
        ledger_failed(&l->ledger);
        if (!timer_armed(&w.g->conns->retry))
            loop_arm(w.g->svc.loop, &w.g->conns->retry, RETRY_MS);
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
    if (!subs_position(subs, l->s.key, r, &at))
        return BYTES("");
    return arena_printf(a, "%s%llu", subs_get(subs, r)->guild ? "g" : "", (unsigned long long)at);
}

static uint64_t ttl(const struct live *l)
{
    uint64_t now = loop_now(l->g->svc.loop), end = l->s.expires_at + SLACK_MS;
    return l->s.state == SESSION_LIVE ? KEEP_MS : end > now ? end - now : 1;
}

static void write_session(struct live *l)
{
    struct gateway *g = l->g;
    struct ledger *w = &l->ledger;
    struct arena *a = &g->conns->written;
    struct bytes *v = arena_take(a, (12 + w->pending.n + 2 * w->n_touched) * sizeof *v);
    char name[OWNER_MAX];
    struct buf rec = {0};
    uint64_t first = ledger_first(w);
    size_t n = 0;
    v[n++] = owner(name, g, w->hold);
    v[n++] = decimal(a, w->turn);
    v[n++] = decimal(a, ttl(l));
    v[n++] = decimal(a, g->cfg.replay_events);
    v[n++] = decimal(a, g->cfg.replay_bytes);
    v[n++] = decimal(a, first);
    v[n++] = decimal(a, w->pending.n);
    for (uint64_t seq = first; seq <= w->last; seq++)
        v[n++] = dispatch_bytes(replay_get(&w->pending, seq));
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
    call(g, "sb_session_write", l->s.id, n, v, on_written, holding_of(l));
    buf_fini(&rec);
}

static void on_flush(struct loop_flush *f)
{
    struct conns *c = container_of(f, struct conns, flush);
    struct gateway *g = c->g;
    struct keys now = c->writes; // a session that ends here may make others due
    c->writes = (struct keys){0};
    for (uint32_t i = 0; i < now.n; i++) {
        struct live *l = live_get(g, now.v[i]);
        if (!l || !l->queued)
            continue;
        l->queued = false;
        if (l->ledger.pending.bytes > g->cfg.send_queue_bytes)
            live_step(l, &(struct session_in){.kind = SESSION_IN_CUT});
        else if (ledger_begin(&l->ledger))
            write_session(l);
    }
    keys_fini(&now);
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
    (void)now;
    tell_moved(holding_of(container_of(t, struct live, moved)), 0);
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
    struct gateway *g;
    uint64_t fresh, conn, user;
    uint64_t held, hold; // held: what we had it under, 0: not at all; hold: what we have it under now
    char id[33];
};

static int past_of(struct arena *a, const struct taking *t, const struct reply *r, struct session_past *p)
{
    const struct reply *hash = reply_at(r, 0), *texts = reply_at(r, 2);
    struct bytes *v = arena_take(a, (reply_n(texts) + 1) * sizeof *v);
    *p = (struct session_past){.id = t->id};
    for (size_t i = 0; i < reply_n(texts); i++)
        v[i] = reply_text(reply_at(texts, i));
    p->texts = (struct texts){(uint32_t)reply_n(texts), v};
    if (bytes_u64(reply_text(reply_field(hash, "seq")), &p->seq) != OK ||
        UNPACK(a, session_rec, reply_text(reply_field(hash, "is")), &p->rec) != OK)
        return ERR_INVALID;
    return session_past_valid(p);
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
    return subs_sessions_of(fanout_subs(g), user, NULL) < g->cfg.sessions_per_user || live_make_room(g, user);
}

static struct live *revive(const struct taking *t, const struct reply *r)
{
    struct gateway *g = t->g;
    struct arena a = {0};
    struct session_past past;
    int err = past_of(&a, t, r, &past);
    struct live *l = err == OK && has_room(g, past.rec.user) ? live_revive(g, &past) : NULL;
    arena_fini(&a);
    if (!l) {
        LOG_PEER(WARN, EV("session.not_taken"), KS("session", t->id), KS("why", err ? "unreadable" : "no room"));
        begin_end(g, t->id, t->user, t->hold, true);
        return NULL;
    }
    ledger_init(&l->ledger, t->hold, l->s.seq + 1, true);
    l->renew_at = loop_now(g->svc.loop) + RENEW_MS;
    ledger_due(l); // for as long as it lives here
    listen(g, l->s.key, l->s.user, reply_at(r, 1));
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
    if (reply_kind(r) == REPLY_LIST) {
        if (old) // another gateway had it since
            live_step(old, &(struct session_in){.kind = SESSION_IN_MOVED});
        old = revive(t, r);
    } else if (!reply_ok(r) || reply_int(r) != 1 || (old && old->ledger.hold != t->held)) {
        old = NULL;
    }
    if (!fresh)
        return; // its socket went meanwhile: the session is here, and waits
    if (!old || !session_told(&old->s))
        live_step(fresh, &(struct session_in){.kind = SESSION_IN_TAKEN, .err = reply_ok(r) ? ERR_MISSING : ERR_IO});
    else
        live_resume(fresh, old);
}

static void on_taken(void *ctx, const struct reply *r)
{
    struct taking t = *(struct taking *)ctx;
    mem_free(ctx);
    if (!t.g->conns->stopping) { // else the socket is closed, and the session somebody else's to take
        taken(&t, r);
        client_go_on(t.g, t.conn);
    }
}

void ledger_take(struct live *fresh)
{
    struct gateway *g = fresh->g;
    const struct live *old = live_named(g, bytes_of(fresh->s.wanted));
    struct taking *t = mem_alloc(sizeof *t);
    char now[OWNER_MAX], before[OWNER_MAX], user[24];
    *t = (struct taking){.g = g,
                         .fresh = fresh->s.key,
                         .conn = fresh->s.line.conn,
                         .user = fresh->s.user,
                         .held = old ? old->ledger.hold : 0,
                         .hold = new_hold()};
    memcpy(t->id, fresh->s.wanted, sizeof t->id);
    snprintf(user, sizeof user, "%llu", (unsigned long long)fresh->s.user);
    const struct bytes args[] = {owner(now, g, t->hold), t->held ? owner(before, g, t->held) : BYTES(""),
                                 bytes_of(user)};
    note_taken(g, t->user, t->id, t->hold);
    call(g, "sb_session_take", t->id, countof(args), args, on_taken, t);
}

// --- life ---

void ledger_start(struct gateway *g)
{
    g->conns->g = g;
    g->conns->flush.fn = on_flush;
    g->conns->retry.fire = on_retry;
}

void ledger_stop(struct gateway *g)
{
    struct conns *c = g->conns;
    loop_cancel(g->svc.loop, &c->retry);
    loop_unflush(g->svc.loop, &c->flush);
    keys_fini(&c->writes);
    arena_fini(&c->written);
}
