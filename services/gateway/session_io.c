// session_io: carries out what session cores decide: reads worlds, tells READY, passes voice on, replays, ends.
#include "conns.h"
#include "presence_io.h"
#include "ready.h"
#include "roster_io.h"
#include "view.h"

#include <sodium.h>
#include <string.h>

#define TEXT_KEPT (64u * 1024u) // between one READY and the next
#define SHARED_REPLY(op, d) BYTES("{\"op\":" #op ",\"d\":" d ",\"s\":null,\"t\":null}")

// A command of a session may outlive it; so it has a life of its own.
struct voice_call {
    struct gateway *g;
    uint64_t key, user;
};

static void arm(struct live *l);

// --- tables ---

static void count(enum session_state from, enum session_state to)
{
    M.sessions_detached += to == SESSION_DETACHED && from != SESSION_DETACHED;
    M.sessions_detached -= from == SESSION_DETACHED && to != SESSION_DETACHED;
    bool was = from == SESSION_LIVE || from == SESSION_DETACHED, is = to == SESSION_LIVE || to == SESSION_DETACHED;
    M.sessions += is && !was;
    M.sessions -= was && !is;
}

struct live *live_get(const struct gateway *g, uint64_t key)
{
    return g->conns ? table_get(&g->conns->sessions, key) : NULL;
}

struct live *live_named(const struct gateway *g, struct bytes id)
{
    uint64_t key;
    if (session_key(id, &key) != OK)
        return NULL;
    struct live *l = live_get(g, key);
    return l && bytes_is(id, l->s.id) ? l : NULL;
}

static void on_timer(struct timer *t, uint64_t now)
{
    struct live *l = container_of(t, struct live, timer);
    (void)now;
    ledger_renew(l);
    presence_renew(l);
    live_step(l, &(struct session_in){.kind = SESSION_IN_TICK});
}

static struct live *live_alloc(struct gateway *g)
{
    struct live *l = mem_alloc(sizeof *l);
    l->g = g;
    l->timer.fire = on_timer;
    return l;
}

struct live *live_new(struct gateway *g, uint64_t conn, uint32_t v)
{
    struct live *l = live_alloc(g);
    unsigned char random[16];
    char id[33];
    do {
        randombytes_buf(random, sizeof random);
        sodium_bin2hex(id, sizeof id, random, sizeof random);
        session_init(&l->s, id, conn, v, &g->conns->rules, loop_now(g->svc.loop));
    } while (l->s.key == 0 || live_get(g, l->s.key));
    table_put(&g->conns->sessions, l->s.key, l);
    arm(l);
    return l;
}

// --- those that were left, in the order in which they were ---

static void leave(struct live *l)
{
    struct conns *c = l->g->conns;
    l->next_left = NULL;
    l->prev_left = c->left_tail;
    *c->left_tail = l;
    c->left_tail = &l->next_left;
}

static void unleave(struct live *l)
{
    struct conns *c = l->g->conns;
    if (!l->prev_left)
        return;
    *l->prev_left = l->next_left;
    if (l->next_left)
        l->next_left->prev_left = l->prev_left;
    else
        c->left_tail = l->prev_left;
    l->next_left = NULL;
    l->prev_left = NULL;
}

struct live *live_revive(struct gateway *g, const struct session_past *p)
{
    uint64_t key;
    if (session_key(bytes_of(p->id), &key) != OK || live_get(g, key))
        return NULL;
    struct live *l = live_alloc(g);
    session_revive(&l->s, p, &g->conns->rules, loop_now(g->svc.loop));
    table_put(&g->conns->sessions, l->s.key, l);
    count(SESSION_GONE, l->s.state);
    leave(l);
    arm(l);
    return l;
}

static void end_detached(struct live *l)
{
    if (l)
        live_step(l, &(struct session_in){.kind = SESSION_IN_CUT});
}

bool live_room_of(struct gateway *g, uint64_t user)
{
    struct keys keys = {0};
    struct live *oldest = NULL;
    if (subs_sessions_of(fanout_subs(g), user, &keys) < g->cfg.sessions_per_user) {
        keys_fini(&keys);
        return true;
    }
    for (uint32_t i = 0; i < keys.n; i++) {
        struct live *l = live_get(g, keys.v[i]);
        if (l && l->s.state == SESSION_DETACHED && (!oldest || l->s.expires_at < oldest->s.expires_at))
            oldest = l;
    }
    keys_fini(&keys);
    end_detached(oldest);
    return oldest != NULL;
}

static bool have_room(const struct gateway *g)
{
    const struct conns *c = g->conns; // the asker is among them; those that are ending are as many at most
    return c->sessions.n <= g->cfg.sessions_max && c->ending <= g->cfg.sessions_max;
}

bool live_room(struct gateway *g)
{
    if (!have_room(g))
        end_detached(g->conns->left);
    return have_room(g);
}

static void live_free(struct live *l)
{
    struct conns *c = l->g->conns;
    unleave(l);
    members_free(l);
    ledger_forget(l);
    ledger_stored(l, 0);
    table_remove(&c->sessions, l->s.key);
    loop_cancel(l->g->svc.loop, &l->timer);
    loop_cancel(l->g->svc.loop, &l->moved);
    session_fini(&l->s);
    ledger_fini(&l->ledger);
    buf_fini(&l->said.activities);
    buf_fini(&l->said.written);
    mem_free(l);
}

void conns_free(struct gateway *g)
{
    struct conns *c = g->conns;
    struct live *l;
    for (uint32_t i = 0; (l = table_next(&c->sessions, &i, NULL)) != NULL;)
        live_free(l);
    CHECK(c->clients.n == 0);
    rosters_free(g);
    ledger_stop(g);
    starts_fini(&c->starts);
    table_fini(&c->clients);
    table_fini(&c->sessions);
    arena_fini(&c->arena);
    buf_fini(&c->text);
    buf_fini(&c->json);
    buf_fini(&c->term);
    buf_fini(&c->squeezed);
    mem_free(c);
    g->conns = NULL;
}

// One timer per session, which a heartbeat does not touch: it looks again when it fires.
static void arm(struct live *l)
{
    uint64_t at = session_deadline(&l->s), now = loop_now(l->g->svc.loop);
    if (at && (!timer_armed(&l->timer) || l->timer.due_at > at))
        loop_arm(l->g->svc.loop, &l->timer, at > now ? at - now : 0);
}

// --- events ---

void live_send(struct live *l, uint64_t seq, struct bytes text)
{
    char head[DISPATCH_HEAD_MAX];
    client_send(l->g, l->s.line.conn, dispatch_head(head, seq), text);
    M.dispatches++;
}

void live_dispatch(struct live *l, struct dispatch *d)
{
    if (l->ledger.aside)
        return;
    (void)session_dispatch(&l->s);
    ledger_add(&l->ledger, d);
    l->g->conns->pending++;
    ledger_due(l);
}

void live_set_aside(struct live *l)
{
    LOG_PEER(WARN, EV("session.aside"), KU("session", l->s.key), KU("user", l->s.user),
             KU("bytes", l->ledger.pending.bytes));
    M.sessions_aside++;
    ledger_forget(l);
    ledger_set_aside(&l->ledger);
    fanout_exit(l->g, l->s.key);
    live_step(l, &(struct session_in){.kind = SESSION_IN_BEHIND});
}

static void replay(struct live *l, uint64_t after)
{
    struct gateway *g = l->g;
    uint64_t conn = l->s.line.conn;
    client_bind(g, conn, l->s.key);
    for (uint64_t seq = after + 1; seq <= l->s.kept; seq++)
        live_send(l, seq, l->missed->v[seq - after - 1]);
    struct dispatch *d = dispatch_new(BYTES("RESUMED"), BYTES("{\"_trace\":[]}"));
    live_send(l, l->s.kept, dispatch_bytes(d));
    dispatch_drop(d);
    M.resumes++;
    LOG_PEER(INFO, EV("session.resumed"), KU("session", l->s.key), KU("user", l->s.user), KU("from", after),
             KU("to", l->s.kept));
}

// --- loading and READY ---

struct loading {
    struct gateway *g;
    uint64_t key;
    uint32_t guilds; // that it is to be told of
};

static struct live *still_loading(const struct loading *w)
{
    struct live *l = live_get(w->g, w->key);
    return l && l->s.state == SESSION_LOADING ? l : NULL;
}

static bool on_ref(void *ctx, ref r, bool guild, bool bot)
{
    struct loading *w = ctx;
    const struct live *l = still_loading(w);
    if (!l)
        return false;
    bool place = !ref_is_user(r);
    if (place && !(guild ? session_sees_guild(&l->s, ref_id(r)) : session_sees_private(&l->s)))
        return false;
    if (guild && session_too_many(bot, ++w->guilds))
        return false;
    fanout_join(w->g, w->key, r, guild);
    return true;
}

static void on_world(void *ctx, int err, const struct world *w)
{
    struct loading loading = *(struct loading *)ctx;
    struct live *l = still_loading(&loading);
    mem_free(ctx);
    if (!l)
        return;
    l->loaded = w;
    live_step(l, &(struct session_in){
                     .kind = SESSION_IN_LOADED, .err = err, .bot = w && w->user.bot, .guilds = loading.guilds});
    l = live_get(loading.g, loading.key);
    if (l)
        l->loaded = NULL;
}

static void begin_loading(struct live *l)
{
    struct loading *w = mem_alloc(sizeof *w);
    *w = (struct loading){.g = l->g, .key = l->s.key};
    subs_enter(fanout_subs(l->g), l->s.key, l->s.user);
    load_world(l->g, l->s.user, LOAD_ALL, on_ref, on_world, w);
}

static struct texts ids_of_sessions(struct live *l, struct arena *a)
{
    struct keys keys = {0};
    uint32_t n = 0;
    subs_sessions_of(fanout_subs(l->g), l->s.user, &keys);
    struct bytes *v = arena_take(a, keys.n * sizeof *v);
    for (uint32_t i = 0; i < keys.n; i++) {
        const struct live *other = live_get(l->g, keys.v[i]);
        if (other && (other->s.state == SESSION_LIVE || other->s.state == SESSION_DETACHED))
            v[n++] = bytes_of(other->s.id);
    }
    keys_fini(&keys);
    return (struct texts){n, v};
}

struct burst { // what comes after READY in the same breath
    uint32_t n;
    struct dispatch **v;
    uint64_t bytes;
};

static void follow(struct burst *b, struct bytes name, struct bytes body)
{
    struct dispatch *d = dispatch_new(name, body);
    b->v = mem_grow(b->v, b->n + 1, sizeof(struct dispatch *));
    b->v[b->n++] = d;
    b->bytes += dispatch_bytes(d).n;
}

// The rest of READY, guilds of a bot, calls that are going on.
static void follow_ready(struct burst *b, struct live *l, const struct ready *r, struct arena *a)
{
    struct buf *text = &l->g->conns->text;
    const struct world *w = r->world;
    if (ready_has_supplemental(&l->s)) {
        buf_reset(text);
        ready_supplemental_json(text, r);
        follow(b, BYTES("READY_SUPPLEMENTAL"), buf_bytes(text));
    }
    for (uint32_t i = 0; ready_has_guild_creates(&l->s) && i < w->n_guilds; i++) {
        if (!session_sees_guild(&l->s, w->guilds[i].guild.id))
            continue;
        buf_reset(text);
        ready_guild_json(text, r, &w->guilds[i]);
        follow(b, BYTES("GUILD_CREATE"), buf_bytes(text));
    }
    for (uint32_t i = 0; ready_has_calls(&l->s) && i < w->n_channels; i++)
        if (view_shows_call(w->channels[i].call))
            follow(b, BYTES("CALL_CREATE"), view_call(a, w, i));
}

// What the store would not keep as a whole is sent as READY is: a client that has not got it identifies again.
static void tell_burst(struct live *l, struct burst *b)
{
    bool kept = b->bytes <= l->g->cfg.replay_bytes && b->n <= l->g->cfg.replay_events;
    for (uint32_t i = 0; !kept && i < b->n; i++) {
        uint64_t seq = session_dispatch(&l->s);
        if (session_keep(&l->s, seq))
            live_send(l, seq, dispatch_bytes(b->v[i]));
    }
    ledger_opened(l);
    for (uint32_t i = 0; i < b->n; i++) {
        if (kept)
            live_dispatch(l, b->v[i]);
        dispatch_drop(b->v[i]);
    }
    mem_free(b->v);
}

static void settle(struct live *l, const struct world *w)
{
    struct gateway *g = l->g;
    uint64_t key = l->s.key;
    fanout_settle(g, key, ref_user(w->user.id), w->version);
    for (uint32_t i = 0; i < w->n_channels; i++) {
        const struct call_rec *call = w->channels[i].call;
        fanout_settle(g, key, ref_place(w->channels[i].channel.id), w->channels[i].version);
        for (uint32_t k = 0; call && k < call->members.n; k++)
            fanout_seat(g, w->channels[i].channel.id, call->members.v[k].user, call->members.v[k].epoch);
    }
    for (uint32_t i = 0; i < w->n_guilds; i++) {
        ref r = ref_place(w->guilds[i].guild.id);
        if (subs_listens(fanout_subs(g), key, r))
            guilds_loaded(g, key, &w->guilds[i]);
        fanout_settle(g, key, r, w->guilds[i].version);
    }
    fanout_settled(g, key);
}

static void tell_ready(struct live *l)
{
    struct gateway *g = l->g;
    struct arena a = {0}; // a whole READY: not worth keeping
    struct burst burst = {0};
    struct buf url = {0}, *text = &g->conns->text;
    gateway_url(g, &url, BYTES_NONE);
    struct online said = l->said.row;
    said.activities = buf_bytes(&l->said.activities);
    struct ready r = {&l->s, l->loaded, buf_bytes(&url), system_regions(g), ids_of_sessions(l, &a), &said};
    buf_reset(text);
    ready_json(&a, text, &r);
    struct dispatch *d = dispatch_new(BYTES("READY"), buf_bytes(text));
    live_send(l, l->s.seq, dispatch_bytes(d));
    dispatch_drop(d);
    follow_ready(&burst, l, &r, &a);
    tell_burst(l, &burst);
    settle(l, l->loaded);
    presence_open(l);
    M.identifies++;
    LOG_PEER(INFO, EV("session.ready"), KU("session", l->s.key), KU("user", l->s.user),
             KS("kind", l->s.bot ? "bot" : "user"), KU("channels", r.world->n_channels),
             KU("guilds", r.world->n_guilds));
    buf_fini(&url);
    buf_trim(text, TEXT_KEPT);
    arena_fini(&a);
}

// --- voice ---

static void on_voice_answered(void *ctx, const struct answer *a)
{
    struct voice_call c = *(struct voice_call *)ctx;
    struct live *l = live_get(c.g, c.key);
    bool present = l && l->voice == ctx; // else it is over, or another gateway had it in between
    mem_free(ctx);
    if (!a)
        LOG(WARN, EV("voice.unanswered"), KU("session", c.key), KU("user", c.user));
    if (!present)
        return;
    l->voice = NULL;
    if (!c.g->conns->stopping)
        live_step(l, &(struct session_in){.kind = SESSION_IN_ANSWERED, .err = a ? (int)a->err : ERR_TIMEOUT});
}

static void send_voice(struct live *l, uint64_t ms)
{
    struct gateway *g = l->g;
    const struct voice_item *v = &l->s.voice[0];
    struct bytes regions[SESSION_REGIONS_MAX];
    for (uint32_t i = 0; i < v->n_regions; i++)
        regions[i] = bytes_of(v->regions[i]);
    struct voice_update update = {
        .user = l->s.user,
        .session = bytes_of(l->s.id),
        .gateway = bytes_of(g->svc.instance),
        .guild = v->guild,
        .channel = v->channel,
        .self_mute = v->self_mute,
        .self_deaf = v->self_deaf,
        .self_video = v->self_video,
        .flags = v->flags,
        .regions = {v->n_regions, regions},
        .hold = l->ledger.hold,
        .turn = ++l->voice_turn,
    };
    struct voice_call *c = mem_alloc(sizeof *c);
    *c = (struct voice_call){.g = g, .key = l->s.key, .user = l->s.user};
    l->voice = c;
    const struct msg m = {&schema_voice_update, &update};
    uint64_t key = v->guild ? v->guild : v->channel ? v->channel : l->s.user; // commands of one place to one instance
    bus_command(g->svc.bus, BUS_CALL_MANAGER, key, 0, &m, ms, on_voice_answered, c);
}

// --- op 13 ---

struct asking {
    struct gateway *g;
    uint64_t key, channel;
    uint32_t tries;
};
#define CALL_TRIES 5u

// The call without those who have left it for another one, as far as this session has been or will be told.
static struct call_rec current_call(const struct asking *ask, struct arena *a, const struct call_rec *c)
{
    struct call_rec now = *c;
    struct call_member *v = arena_take(a, (c->members.n + 1) * sizeof *v);
    now.members.n = 0;
    for (uint32_t i = 0; i < c->members.n; i++) {
        const struct call_member *m = &c->members.v[i];
        if (!subs_outdated(fanout_subs(ask->g), ask->key, ref_place(ask->channel), m->user, m->epoch))
            v[now.members.n++] = *m;
    }
    now.members.v = v;
    return now;
}

static void on_call_channel(void *ctx, int err, const struct loaded_channel *c, struct user_set recipients)
{
    struct asking ask = *(struct asking *)ctx;
    struct live *l = live_get(ask.g, ask.key);
    struct arena a = {0};
    uint64_t at;
    (void)recipients;
    if (!l || err || !subs_position(fanout_subs(ask.g), ask.key, ref_place(ask.channel), &at)) {
        mem_free(ctx);
        return;
    }
    // It has been told of something newer, or it is not known yet who is elsewhere.
    bool early = c->version < at || subs_blind(fanout_subs(ask.g), ask.key, ref_place(ask.channel));
    if (early && ++((struct asking *)ctx)->tries < CALL_TRIES) {
        load_channel(ask.g, ask.channel, on_call_channel, ctx);
        return;
    }
    mem_free(ctx);
    if (c->version >= at && view_shows_call(c->call) && ids_have(c->channel.recipients, l->s.user)) {
        const struct call_rec call = current_call(&ask, &a, c->call);
        struct dispatch *d = dispatch_new(BYTES("CALL_CREATE"), present_call_create(&a, ask.channel, &call));
        live_dispatch(l, d);
        dispatch_drop(d);
    }
    arena_fini(&a);
}

// Only of a channel that the session hears anyway.
static void ask_for_call(struct live *l, uint64_t channel)
{
    const struct sub *sub = subs_get(fanout_subs(l->g), ref_place(channel));
    if (!sub || sub->guild || !subs_listens(fanout_subs(l->g), l->s.key, ref_place(channel)))
        return;
    struct asking *ask = mem_alloc(sizeof *ask);
    *ask = (struct asking){.g = l->g, .key = l->s.key, .channel = channel};
    load_channel(l->g, channel, on_call_channel, ask);
}

// --- carrying out ---

static void end_session(struct live *l, bool tell)
{
    struct gateway *g = l->g;
    if (l->ledger.hold) {
        LOG_PEER(INFO, EV("session.ended"), KU("session", l->s.key), KU("user", l->s.user));
        presence_end(l);
    }
    fanout_exit(g, l->s.key);
    ledger_end(l, tell);
    live_free(l);
}

static void perform(struct live *l, const struct session_fxs *fxs)
{
    struct gateway *g = l->g;
    for (uint32_t i = 0; i < fxs->n; i++) {
        const struct session_fx *fx = &fxs->v[i];
        switch (fx->kind) {
        case SESSION_FX_ACK:
            client_send(g, fx->conn, BYTES_NONE, SHARED_REPLY(11, "null"));
            break;
        case SESSION_FX_INVALID:
            client_send(g, fx->conn, BYTES_NONE, SHARED_REPLY(9, "false"));
            break;
        case SESSION_FX_RECONNECT:
            client_send(g, fx->conn, BYTES_NONE, SHARED_REPLY(7, "null"));
            break;
        case SESSION_FX_CLOSE:
            LOG_PEER(INFO, EV("session.closed"), KU("session", l->s.key), KU("user", l->s.user), KU("code", fx->code));
            client_close(g, fx->conn, fx->code);
            break;
        case SESSION_FX_LOAD:
            begin_loading(l);
            break;
        case SESSION_FX_TAKE:
            ledger_take(l);
            break;
        case SESSION_FX_READY:
            tell_ready(l);
            break;
        case SESSION_FX_REPLAY:
            replay(l, fx->seq);
            break;
        case SESSION_FX_OURS:
            ledger_ask(&l->ledger);
            ledger_due(l);
            break;
        case SESSION_FX_VOICE:
            send_voice(l, fx->ms);
            break;
        case SESSION_FX_CALL:
            ask_for_call(l, fx->channel);
            break;
        case SESSION_FX_ASK:
            members_ask(l, fx->op);
            break;
        case SESSION_FX_UNLISTEN:
            fanout_exit(g, l->s.key);
            break;
        case SESSION_FX_END:
            end_session(l, fx->tell);
            return;
        case SESSION_FX_DROP:
            M.sessions_lost++;
            LOG_PEER(INFO, EV("session.lost"), KU("session", l->s.key), KU("user", l->s.user));
            fanout_exit(g, l->s.key);
            live_free(l);
            return;
        }
    }
    arm(l);
}

// The store keeps a session for longer while it has a socket.
static void changed(struct live *l, enum session_state from)
{
    count(from, l->s.state);
    if (l->s.state == SESSION_LIVE && from == SESSION_DETACHED)
        members_go_on(l);
    else if (l->s.state != SESSION_LIVE)
        members_stop(l);
    if (l->s.state == SESSION_DETACHED && from != SESSION_DETACHED)
        leave(l);
    else if (l->s.state != SESSION_DETACHED)
        unleave(l);
    if (l->s.state != from && l->ledger.hold && session_told(&l->s)) {
        ledger_want(&l->ledger);
        ledger_due(l);
    }
}

void live_step(struct live *l, const struct session_in *in)
{
    struct gateway *g = l->g;
    struct session_fxs fx;
    enum session_state from = l->s.state;
    int err = session_step(&l->s, in, &g->conns->rules, loop_now(g->svc.loop), &fx);
    if (err)
        LOG(DEBUG, EV("session.refused"), KU("session", l->s.key), KU("state", from), KU("input", in->kind));
    if (in->kind <= SESSION_IN_BROKEN && fx.n && fx.v[0].kind == SESSION_FX_CLOSE)
        M.client_frames_bad++;
    M.client_floods += fx.n && fx.v[0].kind == SESSION_FX_CLOSE && fx.v[0].code == 4008;
    M.identifies_refused += in->kind == SESSION_IN_IDENTIFY && fx.n && fx.v[0].kind != SESSION_FX_LOAD;
    M.sessions_timed_out += in->kind == SESSION_IN_TICK && fx.n && fx.v[0].kind == SESSION_FX_CLOSE;
    bool resumes = in->kind == SESSION_IN_RESUME || in->kind == SESSION_IN_TAKEN;
    M.resumes_refused += resumes && fx.n && fx.v[0].kind == SESSION_FX_INVALID;
    changed(l, from);
    perform(l, &fx);
}

void live_resume(struct live *fresh, struct live *old, struct session_held held, const struct texts *missed)
{
    struct session_fxs mine, theirs;
    enum session_state from = old->s.state, my_from = fresh->s.state;
    struct gateway *g = old->g;
    uint64_t key = old->s.key;
    session_resume(&fresh->s, &old->s, held, &fresh->g->conns->rules, loop_now(fresh->g->svc.loop), &mine, &theirs);
    M.resumes_refused += mine.n > 0 && mine.v[0].kind == SESSION_FX_INVALID;
    changed(fresh, my_from);
    changed(old, from);
    old->missed = missed;
    perform(old, &theirs);
    old = live_get(g, key);
    if (old)
        old->missed = NULL;
    perform(fresh, &mine);
}
