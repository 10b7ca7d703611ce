// presence_tell: a session's row in {u:<id>}:on, and who is told when that changes how its user is there. Rows change
// by compare-and-set, so that a gateway that has lost a session to another one spoils nothing. What was before and what
// is after come from the same connection in order; what is told is what differs. Guilds, friends, and the gateways that
// listen to them are read only then.
#include "intents.h"
#include "presence_io.h"

#include <string.h>

#define RENEW_MS 600000u
#define KEEP_MS (6 * RENEW_MS) // as a session's own keys (ledger_io.c)
#define SHOWN_MAX 15u          // sessions in SESSIONS_REPLACE; https://docs.discord.food/resources/presence
#define GUILDS_MAX 256u
#define FRIENDS_MAX 1024u
#define GATEWAYS_MAX 256u
#define TRIES 3u

struct telling {
    struct gateway *g;
    struct arena arena;
    uint64_t key, user; // of the session; its user
    char session[33];
    struct buf row; // that it has from now on; none: it is over
    uint32_t tries;
    bool begins;   // READY has told it of all that there is
    bool had, has; // he was there, is there
    struct presence before, after;
    struct presence_sessions sessions;
    uint32_t pending, n_guilds, n_large, n_friends, n_gateways;
    uint64_t guilds[GUILDS_MAX], large[GUILDS_MAX], friends[FRIENDS_MAX];
    struct bytes gateways[GATEWAYS_MAX];
};
struct asked { // of one guild or friend
    struct telling *t;
    uint64_t id;
};

static void telling_free(struct telling *t)
{
    arena_fini(&t->arena);
    buf_fini(&t->row);
    mem_free(t);
}

// --- out ---

static struct bytes sessions_json(struct telling *t)
{
    struct buf text = {0};
    buf_char(&text, '[');
    for (uint32_t i = 0; i < t->sessions.n && i < SHOWN_MAX; i++) {
        buf_str(&text, i ? "," : "");
        presence_session_json(&text, t->sessions.names[i], &t->sessions.rows[i], false);
    }
    buf_char(&text, ']');
    struct bytes kept = arena_copy(&t->arena, buf_bytes(&text));
    buf_fini(&text);
    return kept;
}

static bool differs(const struct telling *t)
{
    const struct presence *a = &t->before, *b = &t->after;
    if (!t->had || !t->has)
        return t->had != t->has;
    return a->status != b->status || !bytes_eq(a->client, b->client) || !bytes_eq(a->activities, b->activities);
}

static void send(struct telling *t)
{
    const struct presence_told told = {
        .user = t->user,
        .changed = differs(t),
        .status = t->has ? (uint64_t)t->after.status : 0,
        .client = t->has ? t->after.client : BYTES_NONE,
        .activities = t->has ? t->after.activities : BYTES_NONE,
        .guilds = {t->n_guilds, t->guilds},
        .large = {t->n_large, t->large},
        .friends = {t->n_friends, t->friends},
        .sessions = sessions_json(t),
        .but = t->begins ? bytes_of(t->session) : BYTES_NONE,
    };
    struct buf text = {0};
    PACK(&text, presence_told, &told);
    for (uint32_t i = 0; i < t->n_gateways; i++)
        if (bytes_is(t->gateways[i], t->g->svc.instance))
            presence_heard(t->g, &told);
        else
            (void)bus_publish(t->g->svc.bus, arena_text(&t->arena, t->gateways[i]), buf_bytes(&text));
    buf_fini(&text);
    telling_free(t);
}

static bool ends_here(struct telling *t) // the last reply, or there is nobody to tell any more
{
    if (--t->pending > 0)
        return false;
    if (t->g->conns->stopping)
        telling_free(t);
    else
        send(t);
    return true;
}

// Voice nodes listen to guilds, too, and have no use for it.
static void add_gateways(struct telling *t, const struct reply *r)
{
    for (size_t i = 0; i < reply_n(r); i++) {
        struct bytes name = reply_text(reply_at(r, i));
        bool known = bus_is(t->g->svc.bus, name, BUS_VOICE_NODE);
        for (uint32_t k = 0; k < t->n_gateways; k++)
            known = known || bytes_eq(t->gateways[k], name);
        if (!known && t->n_gateways < GATEWAYS_MAX)
            t->gateways[t->n_gateways++] = arena_copy(&t->arena, name);
    }
}

static void on_gateways(void *ctx, const struct reply *r)
{
    struct telling *t = ctx;
    add_gateways(t, r);
    (void)ends_here(t);
}

static void ask_gateways(struct telling *t, ref r)
{
    char key[RECORD_KEY_MAX];
    t->pending++;
    store_cmd(t->g->svc.store, on_gateways, t, "SMEMBERS %s", record_key(key, r, "gw"));
}

static void on_count(void *ctx, const struct reply *r)
{
    const struct asked *a = ctx;
    struct telling *t = a->t;
    if (reply_int(r) > (int64_t)LOAD_SMALL)
        t->large[t->n_large++] = a->id;
    else if (reply_int(r) > 0)
        t->guilds[t->n_guilds++] = a->id;
    (void)ends_here(t);
}

static void on_guilds(void *ctx, const struct reply *r)
{
    struct telling *t = ctx;
    char key[RECORD_KEY_MAX];
    uint64_t id;
    for (size_t i = 0; i < reply_n(r) && i < GUILDS_MAX; i++) {
        if (bytes_u64(reply_text(reply_at(r, i)), &id) != OK || id == 0 || id & REF_USER_BIT)
            continue;
        struct asked *a = arena_take(&t->arena, sizeof *a);
        *a = (struct asked){t, id};
        t->pending++;
        store_cmd(t->g->svc.store, on_count, a, "HLEN %s", record_key(key, ref_place(id), "mb"));
        ask_gateways(t, ref_place(id));
    }
    (void)ends_here(t);
}

static void on_relations(void *ctx, const struct reply *r)
{
    struct telling *t = ctx;
    uint64_t id;
    for (size_t i = 0; i + 1 < reply_n(r) && t->n_friends < FRIENDS_MAX; i += 2) {
        if (!bytes_is(reply_text(reply_at(r, i + 1)), "1") || bytes_u64(reply_text(reply_at(r, i)), &id) != OK)
            continue;
        t->friends[t->n_friends++] = id;
        ask_gateways(t, ref_user(id));
    }
    (void)ends_here(t);
}

static void gather(struct telling *t)
{
    char key[RECORD_KEY_MAX];
    t->pending = 1;
    if (differs(t)) {
        t->pending += 2;
        store_cmd(t->g->svc.store, on_guilds, t, "HKEYS %s", record_key(key, ref_user(t->user), "g"));
        store_cmd(t->g->svc.store, on_relations, t, "HGETALL %s", record_key(key, ref_user(t->user), "rel"));
    }
    ask_gateways(t, ref_user(t->user));
    (void)ends_here(t);
}

// --- the row ---

static void on_before(void *ctx, const struct reply *r)
{
    struct telling *t = ctx;
    const struct presence_sessions s = presences_take(t->g, &t->arena, r);
    t->had = presence_best(t->user, s.rows, s.n, &t->before);
}

// What gateways left that died, and nobody has taken over.
static void sweep(struct telling *t, const struct reply *hash)
{
    char key[RECORD_KEY_MAX];
    uint64_t now = loop_unix_ms(t->g->svc.loop);
    record_key(key, ref_user(t->user), "on");
    for (size_t i = 0; i + 1 < reply_n(hash); i += 2) {
        struct online row;
        struct bytes name = reply_text(reply_at(hash, i));
        if (UNPACK(&t->arena, online, reply_text(reply_at(hash, i + 1)), &row) != OK || row.until <= now)
            store_cmd(t->g->svc.store, NULL, NULL, "HDEL %s %b", key, name.p, name.n);
    }
}

static void on_after(void *ctx, const struct reply *r)
{
    struct telling *t = ctx;
    sweep(t, r);
    t->sessions = presences_take(t->g, &t->arena, r);
    t->has = presence_best(t->user, t->sessions.rows, t->sessions.n, &t->after);
    if (reply_ok(r) && !t->g->conns->stopping)
        gather(t);
    else
        telling_free(t);
}

static void set(struct telling *t, struct bytes expected);

// Somebody else's now: it is not for us to say any more.
static bool is_ours(const struct telling *t, struct bytes row)
{
    struct arena a = {0};
    struct online o;
    bool ours = row.n == 0 || UNPACK(&a, online, row, &o) != OK || bytes_is(o.gateway, t->g->svc.instance);
    arena_fini(&a);
    return ours;
}

static void on_set(void *ctx, const struct reply *r)
{
    struct telling *t = ctx;
    struct live *l = live_get(t->g, t->key);
    struct bytes present;
    int err = record_cas_result(r, &present);
    if (l && err == ERR_IO)
        l->said.renew_at = 0; // once more when the session's timer fires next
    if (err == ERR_IO) {
        telling_free(t);
        return;
    }
    bool again = err == ERR_CONFLICT && is_ours(t, present) && ++t->tries < TRIES && !t->g->conns->stopping;
    char key[RECORD_KEY_MAX];
    record_key(key, ref_user(t->user), "on");
    if (again) {
        set(t, arena_copy(&t->arena, present));
        return;
    }
    store_cmd(t->g->svc.store, NULL, NULL, "PEXPIRE %s %llu", key, (unsigned long long)KEEP_MS * 2);
    store_cmd(t->g->svc.store, on_after, t, "HGETALL %s", key);
}

static void set(struct telling *t, struct bytes expected)
{
    record_cas(t->g->svc.store, ref_user(t->user), "on", bytes_of(t->session), expected, buf_bytes(&t->row), on_set, t);
}

static struct telling *telling_of(const struct live *l)
{
    struct telling *t = mem_alloc(sizeof *t);
    t->g = l->g;
    t->key = l->s.key;
    t->user = l->s.user;
    memcpy(t->session, l->s.id, sizeof t->session);
    return t;
}

static void change(struct live *l, struct telling *t)
{
    char key[RECORD_KEY_MAX];
    store_cmd(t->g->svc.store, on_before, t, "HGETALL %s", record_key(key, ref_user(t->user), "on"));
    set(t, buf_bytes(&l->said.written));
    buf_reset(&l->said.written);
    buf_add(&l->said.written, t->row.p, t->row.n);
}

static void write_row(struct live *l, bool begins)
{
    struct online row = l->said.row;
    struct telling *t = telling_of(l);
    row.gateway = bytes_of(l->g->svc.instance);
    row.born = bus_born(l->g->svc.bus);
    row.until = loop_unix_ms(l->g->svc.loop) + KEEP_MS;
    row.activities = buf_bytes(&l->said.activities);
    t->begins = begins;
    PACK(&t->row, online, &row);
    l->said.renew_at = loop_now(l->g->svc.loop) + RENEW_MS;
    change(l, t);
}

// --- what the session says ---

static struct bytes client_name(struct bytes client) // that lives as long as the process
{
    return bytes_is(client, "desktop") ? BYTES("desktop") : bytes_is(client, "mobile") ? BYTES("mobile") : BYTES("web");
}

static void take(struct live *l, const struct op_presence *p)
{
    l->said.row.status = presence_status_of(p->status);
    l->said.row.since = p->since;
    l->said.row.afk = p->afk;
    buf_reset(&l->said.activities);
    buf_add(&l->said.activities, p->activities.p, p->activities.n);
    buf_trim(&l->said.activities, p->activities.n ? SIZE_MAX : 0);
    l->said.known = true;
}

void presence_begin(struct live *l, const struct op_presence *p, struct bytes client)
{
    l->said.row.client = client_name(client);
    take(l, p);
}

void presence_open(struct live *l)
{
    write_row(l, true);
}

void presence_say(struct live *l, const struct op_presence *p)
{
    take(l, p);
    if (!l->said.inherits) // else it is written then
        write_row(l, false);
}

void presence_renew(struct live *l)
{
    if (!session_told(&l->s) || loop_now(l->g->svc.loop) < l->said.renew_at)
        return;
    if (l->said.inherits)
        presence_taken(l);
    else if (l->said.known)
        write_row(l, false);
}

void presence_end(struct live *l)
{
    if (!l->g->conns->stopping) // else it may be resumed elsewhere; until then nobody counts it
        change(l, telling_of(l));
}

// --- one that was another gateway's ---

struct inherited {
    struct gateway *g;
    uint64_t key;
    char session[33];
};

static void inherit(struct live *l, struct bytes text)
{
    struct arena a = {0};
    struct online row;
    buf_reset(&l->said.written);
    buf_add(&l->said.written, text.p, text.n);
    if (!l->said.known && text.n && UNPACK(&a, online, text, &row) == OK) {
        buf_add(&l->said.activities, row.activities.p, row.activities.n);
        l->said.row = (struct online){
            .status = row.status, .since = row.since, .afk = row.afk, .client = client_name(row.client)};
    } else if (!l->said.known) {
        l->said.row.status = PRESENCE_ONLINE;
    }
    l->said.known = true;
    arena_fini(&a);
}

static void on_inherited(void *ctx, const struct reply *r)
{
    struct inherited w = *(struct inherited *)ctx;
    struct live *l = live_get(w.g, w.key);
    mem_free(ctx);
    if (!l || w.g->conns->stopping || memcmp(l->s.id, w.session, sizeof w.session) != 0 || !l->said.inherits)
        return;
    l->said.renew_at = 0;
    if (!reply_ok(r)) // again when the session's timer fires
        return;
    l->said.inherits = false;
    inherit(l, reply_text(r));
    write_row(l, false);
}

void presence_taken(struct live *l)
{
    char key[RECORD_KEY_MAX];
    struct inherited *w = mem_alloc(sizeof *w);
    *w = (struct inherited){.g = l->g, .key = l->s.key};
    memcpy(w->session, l->s.id, sizeof w->session);
    l->said.inherits = true;
    l->said.renew_at = loop_now(l->g->svc.loop) + RENEW_MS;
    store_cmd(l->g->svc.store, on_inherited, w, "HGET %s %s", record_key(key, ref_user(l->s.user), "on"), l->s.id);
}

void presence_over(struct gateway *g, uint64_t user, const char *session)
{
    char key[RECORD_KEY_MAX];
    store_cmd(g->svc.store, NULL, NULL, "HDEL %s %s", record_key(key, ref_user(user), "on"), session);
}

// --- in ---

static struct dispatch *update(const struct presence_told *p, uint64_t guild)
{
    const struct presence there = {p->user, (enum presence_status)p->status, p->client, p->activities};
    struct buf text = {0};
    presence_json(&text, p->user, p->status ? &there : NULL, guild, false);
    struct dispatch *d = dispatch_new(BYTES("PRESENCE_UPDATE"), buf_bytes(&text));
    buf_fini(&text);
    return d;
}

static bool gets(const struct live *l, const struct presence_told *p, uint64_t guild, bool large, uint64_t intents)
{
    if (!l || !session_told(&l->s) || l->s.user == p->user)
        return false;
    if (l->s.bot)
        return session_wants(&l->s, intents);
    return !large || members_wants(l, guild, p->user);
}

static void tell_guilds(struct gateway *g, const struct presence_told *p, struct ids guilds, bool large)
{
    uint64_t intents = intents_of(BYTES("PRESENCE_UPDATE"), true);
    for (uint32_t i = 0; i < guilds.n; i++) {
        const struct sub *sub = subs_get(fanout_subs(g), ref_place(guilds.v[i]));
        struct dispatch *d = NULL;
        for (uint32_t k = 0; sub && sub->guild && k < sub->n; k++) {
            struct live *l = live_get(g, sub->v[k]->holder->session);
            if (sub->v[k]->state == LISTEN_WAITING || !gets(l, p, guilds.v[i], large, intents))
                continue;
            d = d ? d : update(p, guilds.v[i]);
            live_dispatch(l, d);
        }
        dispatch_drop(d);
    }
}

static void tell_user(struct gateway *g, uint64_t user, struct dispatch *d, struct bytes but)
{
    struct keys keys = {0};
    subs_sessions_of(fanout_subs(g), user, &keys);
    for (uint32_t i = 0; i < keys.n; i++) {
        struct live *l = live_get(g, keys.v[i]);
        if (l && session_told(&l->s) && !l->s.bot && session_sees_private(&l->s) && !bytes_is(but, l->s.id))
            live_dispatch(l, d);
    }
    keys_fini(&keys);
}

void presence_heard(struct gateway *g, const struct presence_told *p)
{
    struct dispatch *d = p->changed ? update(p, 0) : NULL;
    if (p->changed) {
        tell_guilds(g, p, p->guilds, false);
        tell_guilds(g, p, p->large, true);
        for (uint32_t i = 0; i < p->friends.n; i++)
            tell_user(g, p->friends.v[i], d, BYTES_NONE);
    }
    dispatch_drop(d);
    d = dispatch_new(BYTES("SESSIONS_REPLACE"), p->sessions);
    tell_user(g, p->user, d, p->but);
    dispatch_drop(d);
}
