// fanout: events of the records that sessions here listen to, from the bus or, when that lost them, from the logs.
// An event's text is made once and shared by all who get it. What is owed from logs is read a bounded number at a time.
#include "fanout_private.h"
#include "intents.h"
#include "presence_io.h"

#define READ_ENTRIES 64u
#define READ_BYTES (4u * 1024u * 1024u) // what one reading may bring; as many at once as SB_EVENT_BYTES has of that
#define RETRY_MS 250u

// --- listening ---

static void mark(struct gateway *g, const char *command, ref r)
{
    char key[RECORD_KEY_MAX];
    store_cmd(g->svc.store, NULL, NULL, "%s %s %s", command, record_key(key, r, "gw"), g->svc.instance);
}

static void want_read(struct fanout *f, struct sub *sub)
{
    if (sub->reading) {
        sub->again = true;
        return;
    }
    sub->reading = true;
    keys_add(&f->queue, sub->ref);
    loop_flush(f->g->svc.loop, &f->flush);
}

static void joined(struct gateway *g, ref r, bool first)
{
    if (!first)
        return;
    M.subscriptions++;
    mark(g, "SADD", r);
}

void fanout_join(struct gateway *g, uint64_t session, ref r, bool guild)
{
    joined(g, r, subs_join(&g->fanout->subs, session, r, guild));
}

void fanout_settle(struct gateway *g, uint64_t session, ref r, uint64_t version)
{
    if (subs_settle(&g->fanout->subs, session, r, version))
        want_read(g->fanout, subs_get(&g->fanout->subs, r));
}

void fanout_seat(struct gateway *g, uint64_t place, uint64_t user, uint64_t epoch)
{
    struct sub *sub = subs_get(&g->fanout->subs, ref_place(place));
    if (sub)
        subs_seat(&g->fanout->subs, sub, user, epoch, false);
}

void fanout_await(struct gateway *g, uint64_t session, ref r, bool guild, uint64_t version)
{
    bool first;
    subs_await(&g->fanout->subs, session, r, guild, version, &first);
    joined(g, r, first);
}

static void go_on_from(struct fanout *f, uint64_t session, ref r, bool guild, uint64_t version)
{
    bool first, read = subs_follow(&f->subs, session, r, guild, version, &first);
    joined(f->g, r, first);
    if (read)
        want_read(f, subs_get(&f->subs, r));
}

void fanout_go_on_from(struct gateway *g, uint64_t session, ref r, uint64_t version)
{
    go_on_from(g->fanout, session, r, true, version);
}

void fanout_follow(struct gateway *g, uint64_t session, ref r, bool guild, uint64_t version)
{
    if (guild)
        guilds_follow(g, session, ref_id(r), version, 0);
    else
        go_on_from(g->fanout, session, r, false, version);
}

static void unmark(struct gateway *g, struct keys *left)
{
    for (uint32_t i = 0; i < left->n; i++)
        mark(g, "SREM", left->v[i]);
    M.subscriptions -= left->n;
    keys_fini(left);
}

// all: what it listened to.
static void tell_guilds(struct gateway *g, uint64_t session, uint64_t user, struct keys *all)
{
    for (uint32_t i = 0; i < all->n; i++)
        if (!subs_listens(&g->fanout->subs, session, all->v[i]))
            guilds_left(g, session, user, all->v[i]);
    keys_fini(all);
}

void fanout_settled(struct gateway *g, uint64_t session)
{
    struct keys left = {0}, all = {0};
    struct subs *subs = &g->fanout->subs;
    subs_refs_of(subs, session, &all);
    subs_leave_waiting(subs, session, &left);
    unmark(g, &left);
    tell_guilds(g, session, subs_user(subs, session), &all);
}

void fanout_exit(struct gateway *g, uint64_t session)
{
    struct keys left = {0}, all = {0};
    struct subs *subs = &g->fanout->subs;
    uint64_t user = subs_user(subs, session);
    subs_refs_of(subs, session, &all);
    subs_exit(subs, session, &left);
    unmark(g, &left);
    tell_guilds(g, session, user, &all);
}

void fanout_note(struct live *l, ref r)
{
    ledger_touch(&l->ledger, r);
    ledger_due(l);
}

void fanout_leave(struct gateway *g, uint64_t session, ref r)
{
    struct fanout *f = g->fanout;
    struct live *l = live_get(g, session);
    uint64_t user = subs_user(&f->subs, session);
    if (l) {
        fanout_note(l, r);
        members_left(l, ref_id(r));
    }
    if (subs_leave(&f->subs, session, r)) {
        M.subscriptions--;
        mark(g, "SREM", r);
    }
    guilds_left(g, session, user, r);
}

// Two logs say that a guild is lost, the guild's and the user's own, and neither waits for the other; nor does READY,
// which may not have it while one of them is yet to say so.
void fanout_lose(struct gateway *g, uint64_t session, uint64_t guild)
{
    struct live *l = live_get(g, session);
    uint64_t at;
    if (l && subs_told(&g->fanout->subs, session, ref_place(guild), &at) &&
        session_wants(&l->s, intents_of(BYTES("GUILD_DELETE"), true))) {
        const struct j_guild_gone gone = {.id = guild};
        struct arena a = {0};
        struct dispatch *d = dispatch_new(BYTES("GUILD_DELETE"), schema_text(&a, &schema_j_guild_gone, &gone));
        live_dispatch(l, d);
        dispatch_drop(d);
        arena_fini(&a);
    }
    fanout_leave(g, session, ref_place(guild));
}

// From `version` on, which somebody else read: what happened between that and our listening is in the log. A guild is
// read here, and told: the event is only word of it. (Until that is kept, what the store has of the session says that
// it is owed: it is noted with the event.)
static void listen(struct fanout *f, uint64_t session, const struct event *e)
{
    bool guild = bytes_is(e->name, "GUILD_CREATE");
    struct live *l = live_get(f->g, session);
    ref r = ref_place(e->place);
    if (!l || !(guild ? session_sees_guild(&l->s, e->place) : session_sees_private(&l->s)))
        return;
    fanout_note(l, r);
    if (guild) {
        fanout_lose(f->g, session, e->place); // what it knows is of before he left and came again
        guilds_follow(f->g, session, e->place, 0, e->place_version);
    } else {
        fanout_await(f->g, session, r, false, 0);
        go_on_from(f, session, r, false, e->place_version);
    }
}

// --- events ---

// Word of a guild that it is to be told of, or that it loses: it hears of that when it comes to pass here.
static bool not_said(const struct event *e)
{
    return (e->place_op == 1 && bytes_is(e->name, "GUILD_CREATE")) ||
           (e->place_op == 2 && bytes_is(e->name, "GUILD_DELETE"));
}

static bool outdated(const struct fanout *f, const struct live *l, const struct sub *sub, const struct event *e)
{
    return e->sitter && !sub->guild && subs_outdated(&f->subs, l->s.key, sub->ref, e->sitter, e->epoch);
}

void fanout_deliver(struct fanout *f, const struct sub *sub, const struct event *e, const struct audience *a,
                    const struct audience_gate *gate)
{
    uint64_t intents = intents_of(e->name, sub->guild);
    struct dispatch *d = NULL;
    for (uint32_t i = 0; i < f->to.n; i++) {
        struct live *l = live_get(f->g, f->to.v[i]);
        if (!l || (gate && !audience_gets(a, gate, l->s.user)))
            continue;
        if (!session_wants(&l->s, intents) && !(gate && gate->about == l->s.user))
            continue;
        fanout_note(l, sub->ref);
        if (not_said(e) || outdated(f, l, sub, e))
            continue;
        if (subs_knows(&f->subs, l->s.key, e->place_op, ref_place(e->place), e->place_version))
            continue;
        if (!d)
            d = dispatch_new(e->name, e->body);
        live_dispatch(l, d);
    }
    dispatch_drop(d);
}

void fanout_instruct(struct fanout *f, ref r, const struct event *e)
{
    for (uint32_t i = 0; i < f->to.n && (e->place_op == 1 || e->place_op == 2); i++) {
        struct live *l = live_get(f->g, f->to.v[i]);
        if (l)
            fanout_note(l, r);
        if (subs_knows(&f->subs, f->to.v[i], e->place_op, ref_place(e->place), e->place_version))
            continue;
        const struct sub *sub = subs_get(&f->subs, ref_place(e->place));
        if (e->place_op == 1)
            listen(f, f->to.v[i], e);
        else if (sub && sub->guild)
            fanout_lose(f->g, f->to.v[i], e->place);
        else
            fanout_leave(f->g, f->to.v[i], ref_place(e->place));
    }
}

void fanout_address(struct fanout *f, ref r, uint64_t version, const struct event *e)
{
    const struct live *named = e->to == 2 ? live_named(f->g, e->session) : NULL;
    f->to.n = 0;
    subs_address(&f->subs, r, version, e->to, e->user, named ? named->s.key : 0, &f->to);
}

static void take_event(struct fanout *f, struct sub *sub, uint64_t version, const struct event *e)
{
    fanout_address(f, sub->ref, version, e);
    if (e->sitter)
        subs_seat(&f->subs, sub, e->sitter, e->epoch, e->left);
    if (e->name.n)
        fanout_deliver(f, sub, e, NULL, NULL);
    fanout_instruct(f, sub->ref, e);
}

void fanout_cut(struct fanout *f, uint64_t session, uint64_t place, uint64_t version)
{
    struct live *l = live_get(f->g, session);
    if (!l)
        return;
    LOG_PEER(WARN, EV("session.cut"), KU("session", session), KU("place", place), KU("first", version));
    live_step(l, &(struct session_in){.kind = SESSION_IN_CUT});
}

static void take_events(struct fanout *f, struct sub *sub, const struct place_event *p)
{
    if (sub->guild) {
        guild_take_entry(f, p);
        return;
    }
    for (uint32_t i = 0; sub && i < p->events.n; i++) {
        take_event(f, sub, p->version, &p->events.v[i]);
        sub = subs_get(&f->subs, p->ref); // the event may have made the last one leave
    }
}

static bool is_of_seats(const struct place_event *p)
{
    for (uint32_t i = 0; i < p->events.n; i++)
        if (p->events.v[i].sitter)
            return true;
    return false;
}

void fanout_guilds_read(struct gateway *g)
{
    loop_flush(g->svc.loop, &g->fanout->flush); // perhaps nothing is owed any more
}

static void take_entry(struct fanout *f, const struct place_event *p)
{
    struct sub *sub = subs_get(&f->subs, p->ref);
    switch (subs_entry(&f->subs, p->ref, p->version)) {
    case SUBS_APPLY:
    case SUBS_CATCH:
        if (!sub->guild && is_of_seats(p) && subs_hold(&f->subs, p->ref, p->version))
            want_read(f, sub);
        take_events(f, sub, p);
        subs_advance(&f->subs, p->ref, p->version);
        guild_part(f, p->ref);
        break;
    case SUBS_GAP:
        want_read(f, sub);
        break;
    case SUBS_NONE:
        if (!sub) // we were taken for a listener
            mark(f->g, "SREM", p->ref);
        break;
    case SUBS_OLD:
        break;
    }
}

void fanout_event(void *ctx, const struct msg *m)
{
    struct gateway *g = ctx;
    const struct place_event *p = MSG_IS(m, place_event);
    const struct presence_told *presence = MSG_IS(m, presence_told);
    if (presence) {
        presence_heard(g, presence);
    } else if (!p) {
        M.bus_invalid++;
        LOG_PEER(WARN, EV("fanout.not_ours"), KS("message", m->schema->name));
    } else if (p->ref == REF_SYSTEM) {
        system_event(g, p);
    } else {
        take_entry(g->fanout, p);
    }
}

// --- logs ---

struct reading {
    struct fanout *f;
    ref ref;
    uint64_t nth;
    uint64_t after; // the version that it begins behind
};

// A guild's picture that the log does not lead on from is of no use to anybody: all who rely on it are lost, too.
static void cut_guild(struct fanout *f, ref r, uint64_t first)
{
    struct keys all = {0};
    uint64_t at;
    struct sub *sub = subs_get(&f->subs, r);
    for (uint32_t i = 0; i < sub->n; i++)
        if (subs_position(&f->subs, sub->v[i]->holder->session, r, &at))
            keys_add(&all, sub->v[i]->holder->session);
    for (uint32_t i = 0; i < all.n; i++)
        fanout_cut(f, all.v[i], ref_id(r), first);
    keys_fini(&all);
    sub = subs_get(&f->subs, r);
    if (!sub)
        return;
    subs_forget(&f->subs, sub); // who waits there yet brings another
    guilds_forget(f->g, ref_id(r));
}

static void cut(struct fanout *f, struct sub *sub, uint64_t after, uint64_t first)
{
    struct keys lost = {0};
    ref r = sub->ref;
    const struct audience *a = sub->guild ? guilds_audience(f->g, ref_id(r)) : NULL;
    if (a && a->version + 1 < first) {
        cut_guild(f, r, first);
        return;
    }
    subs_cut(sub, after, first, &lost); // sub may be gone with the first of them
    for (uint32_t i = 0; i < lost.n; i++)
        fanout_cut(f, lost.v[i], ref_id(r), first);
    keys_fini(&lost);
}

// An entry that cannot be read still takes its place: what follows it must not wait for it.
static void take_logged(struct fanout *f, ref r, uint64_t version, struct bytes text)
{
    struct place_event p;
    if (UNPACK(&f->arena, place_event, text, &p) != OK || p.ref != r || p.version != version) {
        M.bus_invalid++;
        LOG_PEER(ERROR, EV("log.unreadable"), KU("record", ref_id(r)), KU("version", version));
        p = (struct place_event){.ref = r, .version = version};
    }
    take_entry(f, &p);
    arena_reset(&f->arena);
}

static void take_log(struct fanout *f, ref r, uint64_t after, const struct reply *list)
{
    for (size_t i = 0; i < reply_n(list); i++) {
        uint64_t version;
        struct bytes text;
        struct sub *sub = subs_get(&f->subs, r);
        if (!sub || record_log_entry(reply_at(list, i), &version, &text) != OK)
            continue;
        if (version > after + 1) // older entries were cut off
            cut(f, sub, after, version);
        after = version;
        take_logged(f, r, version, text);
    }
}

// Once Redis is there again everything is read anew.
static void retry_later(struct fanout *f)
{
    if (store_up(f->g->svc.store) && !timer_armed(&f->retry))
        loop_arm(f->g->svc.loop, &f->retry, RETRY_MS);
}

static void on_log(void *ctx, const struct reply *r)
{
    struct reading reading = *(struct reading *)ctx;
    struct fanout *f = reading.f;
    mem_free(ctx);
    struct sub *sub = subs_get(&f->subs, reading.ref);
    f->reading--;
    loop_flush(f->g->svc.loop, &f->flush);
    if (!sub || sub->nth_reading != reading.nth)
        return;
    if (reply_ok(r))
        take_log(f, reading.ref, reading.after, r);
    sub = subs_get(&f->subs, reading.ref);
    if (!sub || sub->nth_reading != reading.nth)
        return;
    sub->nth_reading = 0;
    if (reply_ok(r)) {
        bool more = reply_n(r) == READ_ENTRIES;
        if (!more)
            more = subs_read_done(sub);
        sub->reading = false;
        if (more)
            want_read(f, sub);
    } else {
        sub->reading = sub->again = false;
        retry_later(f);
    }
}

// --- who sits where, as far as nobody here has been told. Before their logs are read, as replies come in order; other
// logs may be read already, and the bus does not wait: see subs_hold. ---

struct seating {
    struct fanout *f;
    ref ref;
};

static void ask_seats(struct fanout *f, struct sub *sub);

static void on_seats(void *ctx, const struct reply *r)
{
    struct seating seating = *(struct seating *)ctx;
    struct fanout *f = seating.f;
    struct sub *sub = subs_get(&f->subs, seating.ref);
    struct call_rec call;
    mem_free(ctx);
    if (!sub)
        return;
    if (!subs_seats_come(&f->subs, sub, reply_ok(r))) {
        if (reply_ok(r))
            ask_seats(f, sub);
        else
            retry_later(f);
        return;
    }
    if (reply_kind(r) != REPLY_TEXT || UNPACK(&f->arena, call_rec, reply_text(r), &call) != OK)
        call.members.n = 0;
    for (uint32_t i = 0; i < call.members.n; i++)
        subs_seat(&f->subs, sub, call.members.v[i].user, call.members.v[i].epoch, false);
    arena_reset(&f->arena);
}

static void ask_seats(struct fanout *f, struct sub *sub)
{
    char key[RECORD_KEY_MAX];
    if (!subs_ask_seats(sub))
        return;
    struct seating *s = mem_alloc(sizeof *s);
    *s = (struct seating){f, sub->ref};
    store_cmd(f->g->svc.store, on_seats, s, "HGET %s call", record_key(key, sub->ref, "s"));
}

// Not while what was read before still waits to be kept: those who catch up would be set aside again and again.
static bool may_read(const struct fanout *f)
{
    uint64_t most = f->g->cfg.event_bytes;
    return f->reading < most / READ_BYTES && M.memory_events_bytes < most / 2;
}

static void pump(struct fanout *f)
{
    for (uint32_t i = f->head; i < f->queue.n; i++) {
        struct sub *sub = subs_get(&f->subs, f->queue.v[i]);
        if (sub)
            ask_seats(f, sub);
    }
    while (f->head < f->queue.n && may_read(f)) {
        struct sub *sub = subs_get(&f->subs, f->queue.v[f->head++]);
        if (!sub || !sub->reading)
            continue;
        struct reading *r = mem_alloc(sizeof *r);
        *r = (struct reading){f, sub->ref, ++f->last_reading, subs_read(sub)};
        sub->nth_reading = r->nth;
        f->reading++;
        if (f->recovering)
            mark(f->g, "SADD", sub->ref); // whoever thought us dead has forgotten us
        record_log(f->g->svc.store, sub->ref, r->after, READ_ENTRIES, on_log, r);
    }
    keys_shift(&f->queue, f->head);
    f->head = 0;
    if (f->queue.n == 0) {
        if (f->reading == 0 && !timer_armed(&f->retry) && !guilds_waited_for(f->g))
            f->recovering = false;
    }
}

static void on_flush(struct loop_flush *flush)
{
    pump(container_of(flush, struct fanout, flush));
}

void fanout_go_on(struct gateway *g)
{
    pump(g->fanout);
}

void fanout_recover(struct gateway *g, const char *why)
{
    struct fanout *f = g->fanout;
    struct sub *sub;
    LOG(INFO, EV("fanout.recover"), KS("why", why), KU("records", f->subs.by_ref.n));
    f->recovering = true;
    for (uint32_t i = 0; (sub = table_next(&f->subs.by_ref, &i, NULL)) != NULL;) {
        if (!sub->known) { // its snapshot is under way; whatever that does not hold is to be looked for
            sub->seen = UINT64_MAX;
            mark(g, "SADD", sub->ref);
        } else if (sub->reading) {
            sub->again = true;
        } else {
            sub->reading = true;
            keys_add(&f->queue, sub->ref);
        }
    }
    pump(f);
}

static void on_retry(struct timer *t, uint64_t now)
{
    struct fanout *f = container_of(t, struct fanout, retry);
    (void)now;
    if (store_up(f->g->svc.store))
        fanout_recover(f->g, "a log could not be read");
}

const char *fanout_not_ready(const struct gateway *g)
{
    return g->fanout->recovering ? "events that may have been lost are being read" : NULL;
}

// --- life ---

struct subs *fanout_subs(const struct gateway *g)
{
    return &g->fanout->subs;
}

void fanout_start(struct gateway *g)
{
    g->fanout = mem_alloc(sizeof *g->fanout);
    g->fanout->g = g;
    g->fanout->retry.fire = on_retry;
    g->fanout->flush.fn = on_flush;
}

void fanout_free(struct gateway *g)
{
    struct fanout *f = g->fanout;
    loop_cancel(g->svc.loop, &f->retry);
    loop_unflush(g->svc.loop, &f->flush);
    subs_fini(&f->subs);
    keys_fini(&f->queue);
    keys_fini(&f->to);
    keys_fini(&f->told);
    keys_fini(&f->parting);
    arena_fini(&f->rows);
    arena_fini(&f->arena);
    mem_free(f);
    g->fanout = NULL;
}

void fanout_dump(const struct gateway *g, struct buf *out)
{
    const struct fanout *f = g->fanout;
    buf_printf(out, "records listened to %u, by %u sessions; logs being read %u, to be read %u\n", f->subs.by_ref.n,
               f->subs.by_session.n, f->reading, f->queue.n - f->head);
}
