// guild_io: the picture of each guild that sessions here listen to (audience.h): filled from what is read of the guild,
// before anything of its log is told. Who comes from another gateway, or to a guild, waits until it is there.
#include "audience.h"
#include "conns.h"
#include "intents.h"
#include "ready.h"

#include <stdio.h>

#define RETRY_MS 250u
#define BEHIND_MAX 8u           // times that one is read anew because others here know more of it
#define SEAT_SENT 2u            // voice_seat.server
#define TEXT_KEPT (64u * 1024u) // between one GUILD_CREATE and the next
// A member's row and the version that it stands at, in one atomic step.
#define READ_MEMBER "return {redis.call('HGET', KEYS[1], 'v'), redis.call('HGET', KEYS[2], ARGV[1])}"

struct picture {
    uint64_t guild;
    struct audience *audience; // NULL: not read yet
    uint64_t loader;           // the ask that reads it for all, 0: none
    struct ask *asks;
    bool queued; // to be looked at
};

struct ask { // of one session that WAITS at a guild
    uint64_t nth;
    struct picture *picture;
    struct ask *next, **prev;
    uint64_t session, user;
    uint64_t from; // what it has been told up to; 0: it is to be told of the guild …
    uint64_t need; // … as it was at this version, or later
    bool flying;   // something is being read for it
    bool read;     // the picture was, for it
    uint32_t behind;
};

struct guilds {
    struct gateway *g;
    struct table pictures; // guild → picture; owns
    struct table asks;     // nth → ask; owns
    uint64_t last_nth;
    struct keys again;       // guilds whose asks are to be looked at …
    struct loop_flush flush; // … this turn
    struct timer retry;
    struct arena arena;
};

static struct picture *picture_of(const struct gateway *g, uint64_t guild)
{
    return table_get(&g->guilds->pictures, guild);
}

static struct picture *picture_made(const struct gateway *g, uint64_t guild)
{
    struct picture *p = picture_of(g, guild);
    if (p)
        return p;
    p = mem_alloc(sizeof *p);
    p->guild = guild;
    table_put(&g->guilds->pictures, guild, p);
    return p;
}

struct audience *guilds_audience(const struct gateway *g, uint64_t guild)
{
    const struct picture *p = picture_of(g, guild);
    return p ? p->audience : NULL;
}

static void look_later(struct guilds *s, struct picture *p)
{
    if (p->queued)
        return;
    p->queued = true;
    keys_add(&s->again, p->guild);
    loop_flush(s->g->svc.loop, &s->flush);
}

// --- asks ---

static struct ask *ask_new(const struct gateway *g, uint64_t session, uint64_t guild)
{
    struct guilds *s = g->guilds;
    struct picture *p = picture_made(g, guild);
    struct ask *a = mem_alloc(sizeof *a);
    *a = (struct ask){.nth = ++s->last_nth, .picture = p, .session = session, .next = p->asks, .prev = &p->asks};
    a->user = subs_user(fanout_subs(g), session);
    if (a->next)
        a->next->prev = &a->next;
    p->asks = a;
    table_put(&s->asks, a->nth, a);
    look_later(s, p);
    return a;
}

static void ask_end(struct guilds *s, struct ask *a)
{
    struct picture *p = a->picture;
    *a->prev = a->next;
    if (a->next)
        a->next->prev = a->prev;
    if (p->loader == a->nth) {
        p->loader = 0;
        look_later(s, p); // another one reads
    }
    table_remove(&s->asks, a->nth);
    mem_free(a);
    if (s->asks.n == 0)
        fanout_guilds_read(s->g);
}

static void ask_end_of(struct guilds *s, const struct picture *p, uint64_t session)
{
    struct ask *a = p->asks;
    while (a && a->session != session)
        a = a->next;
    if (a)
        ask_end(s, a);
}

static struct ask *ask_of(const struct gateway *g, uint64_t nth)
{
    return table_get(&g->guilds->asks, nth);
}

// --- what is read ---

struct flight {
    struct gateway *g;
    uint64_t nth; // of the ask
};

static struct flight *flight_of(struct gateway *g, struct ask *a)
{
    struct flight *f = mem_alloc(sizeof *f);
    *f = (struct flight){g, a->nth};
    a->flying = true;
    return f;
}

static void fill(struct gateway *g, struct picture *p, const struct loaded_guild *lg)
{
    struct subs *subs = fanout_subs(g);
    struct sub *sub = subs_get(subs, ref_place(p->guild));
    if (p->audience && p->audience->version >= lg->version)
        return;
    if (p->audience && !sub->known) { // nobody has gone on from it, so that nobody follows the log for it
        audience_free(p->audience);
        p->audience = NULL;
    }
    if (!p->audience) {
        p->audience = audience_new(lg);
        look_later(g->guilds, p);
    }
}

static const struct member *member_of(const struct loaded_guild *lg, uint64_t user)
{
    for (uint32_t low = 0, high = lg->n_members; low < high;) {
        uint32_t mid = low + (high - low) / 2;
        if (lg->members[mid].user == user)
            return &lg->members[mid];
        if (lg->members[mid].user < user)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

void guilds_loaded(struct gateway *g, uint64_t session, const struct loaded_guild *lg)
{
    uint64_t user = subs_user(fanout_subs(g), session);
    struct picture *p = picture_made(g, lg->guild.id);
    fill(g, p, lg);
    audience_enter(p->audience, user, member_of(lg, user), lg->version);
}

// --- GUILD_CREATE ---

// An event from before what was read is not told to it any more: who is owed a voice server is told of it by one that
// comes yet, who has been sent to one asks again.
static void look_for_server(struct live *l, const struct loaded_guild *lg)
{
    for (uint32_t i = 0; i < lg->n_seats; i++) {
        const struct voice_seat *row = &lg->seats[i];
        if (row->user != l->s.user || row->server != SEAT_SENT || !bytes_is(row->session, l->s.id))
            continue;
        struct voice_item seat = {.guild = lg->guild.id,
                                  .channel = row->channel,
                                  .flags = row->flags,
                                  .self_mute = row->self_mute,
                                  .self_deaf = row->self_deaf,
                                  .self_video = row->self_video};
        for (uint32_t k = 0; k < row->regions.n && seat.n_regions < SESSION_REGIONS_MAX; k++)
            if (bytes_copy(seat.regions[seat.n_regions], sizeof seat.regions[0], row->regions.v[k]) == OK)
                seat.n_regions++;
        live_step(l, &(struct session_in){.kind = SESSION_IN_UNSERVED, .seat = &seat});
        return;
    }
}

static void tell_guild(struct live *l, const struct world *w)
{
    struct gateway *g = l->g;
    struct buf *text = &g->conns->text;
    const struct loaded_guild *lg = &w->guilds[0];
    const struct ready r = {.session = &l->s, .world = w, .regions = system_regions(g)};
    if (session_wants(&l->s, intents_of(BYTES("GUILD_CREATE"), true))) {
        buf_reset(text);
        ready_guild_json(text, &r, lg);
        struct dispatch *d = dispatch_new(BYTES("GUILD_CREATE"), buf_bytes(text));
        live_dispatch(l, d);
        dispatch_drop(d);
        buf_trim(text, TEXT_KEPT);
    }
    guilds_loaded(g, l->s.key, lg);
    fanout_settle(g, l->s.key, ref_place(lg->guild.id), lg->version);
    fanout_note(l, ref_place(lg->guild.id)); // with the dispatch, in one write
    look_for_server(l, lg);
}

// --- who waits ---

static void retry_later(struct guilds *s)
{
    if (!s->g->conns->stopping && !timer_armed(&s->retry))
        loop_arm(s->g->svc.loop, &s->retry, RETRY_MS);
}

// He is no member (any more).
static void turn_away(struct gateway *g, const struct ask *a)
{
    fanout_lose(g, a->session, a->picture->guild);
}

// The picture is there, and he in it.
static void go_on(struct gateway *g, struct ask *a)
{
    struct picture *p = a->picture;
    const struct sub *sub = subs_get(fanout_subs(g), ref_place(p->guild));
    uint64_t session = a->session, from = a->from;
    if (sub->known || from <= p->audience->version) {
        ask_end(g->guilds, a);
        fanout_go_on_from(g, session, ref_place(p->guild), from);
    } else if (!a->read) { // it was read before he heard the last of it, for somebody who has gone since
        audience_free(p->audience);
        p->audience = NULL;
        look_later(g->guilds, p);
    } else { // Redis has lost what he heard
        live_step(live_get(g, session), &(struct session_in){.kind = SESSION_IN_CUT});
    }
}

// Others have heard of something that he, to whom what was read is told, would have to hear of too late: when it
// happened to himself, it would cut him off.
static bool is_behind(struct ask *a, const struct loaded_guild *lg)
{
    const struct audience *known = a->picture->audience;
    return !a->from && known && lg->version < known->version && a->behind++ < BEHIND_MAX;
}

static void on_guild(void *ctx, int err, const struct world *w)
{
    struct flight f = *(struct flight *)ctx;
    struct ask *a = ask_of(f.g, f.nth);
    mem_free(ctx);
    if (!a)
        return;
    struct picture *p = a->picture;
    const struct loaded_guild *lg = !err && w->n_guilds > 0 ? &w->guilds[0] : NULL;
    a->flying = false;
    if (p->loader == a->nth)
        p->loader = 0;
    if ((err && err != ERR_MISSING) || (lg && (lg->version < a->need || is_behind(a, lg)))) {
        retry_later(f.g->guilds);
    } else if (!lg || !member_of(lg, a->user)) {
        turn_away(f.g, a);
    } else if (a->from) {
        a->read = !p->audience;
        fill(f.g, p, lg);
        audience_enter(p->audience, a->user, member_of(lg, a->user), lg->version);
        go_on(f.g, a);
    } else {
        struct live *l = live_get(f.g, a->session);
        ask_end(f.g->guilds, a);
        tell_guild(l, w);
    }
}

static void on_member(void *ctx, const struct reply *r)
{
    struct flight f = *(struct flight *)ctx;
    struct ask *a = ask_of(f.g, f.nth);
    mem_free(ctx);
    if (!a)
        return;
    struct arena *arena = &f.g->guilds->arena;
    const struct reply *row = reply_at(r, 1);
    struct member m;
    uint64_t version;
    a->flying = false;
    if (!reply_ok(r)) {
        retry_later(f.g->guilds);
    } else if (reply_kind(row) != REPLY_TEXT || bytes_u64(reply_text(reply_at(r, 0)), &version) != OK ||
               UNPACK(arena, member, reply_text(row), &m) != OK) {
        turn_away(f.g, a);
    } else {
        if (a->picture->audience)
            audience_enter(a->picture->audience, a->user, &m, version);
        look_later(f.g->guilds, a->picture);
    }
    arena_reset(arena);
}

static void read_guild(struct gateway *g, struct ask *a)
{
    struct picture *p = a->picture;
    if (!p->audience && !p->loader)
        p->loader = a->nth;
    load_guild(g, a->user, p->guild, on_guild, flight_of(g, a));
}

// The picture is there already: what is not known is his own row.
static void read_member(struct gateway *g, struct ask *a)
{
    char s[RECORD_KEY_MAX], mb[RECORD_KEY_MAX], user[24];
    ref r = ref_place(a->picture->guild);
    snprintf(user, sizeof user, "%llu", (unsigned long long)a->user);
    const struct bytes argv[] = {BYTES("EVAL_RO"),
                                 BYTES(READ_MEMBER),
                                 BYTES("2"),
                                 bytes_of(record_key(s, r, "s")),
                                 bytes_of(record_key(mb, r, "mb")),
                                 bytes_of(user)};
    store_send(g->svc.store, on_member, flight_of(g, a), countof(argv), argv);
}

static void look_at(struct gateway *g, struct ask *a)
{
    const struct picture *p = a->picture;
    if (a->flying)
        return;
    if (!a->from)
        read_guild(g, a);
    else if (p->audience && audience_viewer(p->audience, a->user))
        go_on(g, a);
    else if (p->audience)
        read_member(g, a);
    else if (!p->loader) // the others wait for what that one brings
        read_guild(g, a);
}

static void look(struct gateway *g, uint64_t guild)
{
    struct picture *p = picture_of(g, guild);
    struct ask *next = p ? p->asks : NULL;
    if (p)
        p->queued = false;
    for (struct ask *a = next; a; a = next) {
        next = a->next; // of another session, whatever becomes of this one
        look_at(g, a);
    }
}

static void on_flush(struct loop_flush *f)
{
    struct guilds *s = container_of(f, struct guilds, flush);
    struct keys now = s->again;
    s->again = (struct keys){0};
    for (uint32_t i = 0; i < now.n && !s->g->conns->stopping; i++)
        look(s->g, now.v[i]);
    keys_fini(&now);
}

static void on_retry(struct timer *t, uint64_t now)
{
    struct guilds *s = container_of(t, struct guilds, retry);
    struct picture *p;
    (void)now;
    if (!store_up(s->g->svc.store)) {
        retry_later(s);
        return;
    }
    for (uint32_t i = 0; (p = table_next(&s->pictures, &i, NULL)) != NULL;)
        if (p->asks)
            look_later(s, p);
}

void guilds_follow(struct gateway *g, uint64_t session, uint64_t guild, uint64_t version, uint64_t need)
{
    struct picture *p = picture_of(g, guild);
    if (p)
        ask_end_of(g->guilds, p, session);
    fanout_await(g, session, ref_place(guild), true, version);
    struct ask *a = ask_new(g, session, guild);
    a->from = version;
    a->need = need;
}

// --- who goes ---

static void drop_picture(struct guilds *s, struct picture *p)
{
    while (p->asks)
        ask_end(s, p->asks);
    audience_free(p->audience);
    table_remove(&s->pictures, p->guild);
    mem_free(p);
}

void guilds_left(struct gateway *g, uint64_t session, uint64_t user, uint64_t guild)
{
    struct picture *p = picture_of(g, guild);
    const struct subs *subs = fanout_subs(g);
    if (!p)
        return;
    ask_end_of(g->guilds, p, session);
    if (p->audience && !subs_user_listens(subs, user, ref_place(guild)))
        audience_exit(p->audience, user);
    if (!subs_get(subs, ref_place(guild)))
        drop_picture(g->guilds, p);
}

void guilds_forget(struct gateway *g, uint64_t guild)
{
    struct picture *p = picture_of(g, guild);
    if (!p)
        return;
    audience_free(p->audience);
    p->audience = NULL;
    if (p->asks)
        look_later(g->guilds, p);
}

// --- life ---

bool guilds_waited_for(const struct gateway *g)
{
    return g->guilds->asks.n > 0;
}

void guilds_dump(const struct gateway *g, struct buf *out)
{
    const struct picture *p;
    uint32_t seats = 0, viewers = 0;
    for (uint32_t i = 0; (p = table_next(&g->guilds->pictures, &i, NULL)) != NULL;) {
        seats += p->audience ? p->audience->seats.n : 0;
        viewers += p->audience ? p->audience->viewers.n : 0;
    }
    buf_printf(out, "guilds listened to %u, with %u viewers, %u seats; sessions that wait for one %u\n",
               g->guilds->pictures.n, viewers, seats, g->guilds->asks.n);
}

void guilds_start(struct gateway *g)
{
    g->guilds = mem_alloc(sizeof *g->guilds);
    g->guilds->g = g;
    g->guilds->flush.fn = on_flush;
    g->guilds->retry.fire = on_retry;
}

void guilds_free(struct gateway *g)
{
    struct guilds *s = g->guilds;
    struct picture *p;
    for (uint32_t i = 0; (p = table_next(&s->pictures, &i, NULL)) != NULL;)
        drop_picture(s, p);
    loop_cancel(g->svc.loop, &s->retry);
    loop_unflush(g->svc.loop, &s->flush);
    table_fini(&s->pictures);
    table_fini(&s->asks);
    keys_fini(&s->again);
    arena_fini(&s->arena);
    mem_free(s);
    g->guilds = NULL;
}
