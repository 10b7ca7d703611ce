// members_io: answers what clients ask about guilds that they see: members in chunks, lists of members, what stands
// beside voice channels. What one session asks is answered one after another, in two lines, as a long walk through a
// guild must not hold up the rest; and nothing that its client has not taken the last part of is read on.
#include "channel_info.h"
#include "chunks.h"
#include "conns.h"
#include "member_list.h"
#include "presence_io.h"
#include "roster_io.h"
#include "view.h"

#include <string.h>

#define WAITING_MAX 8u             // asks of one session, in each line
#define BUSY_MS 1000u              // who has more is told to come again then
#define QUEUED_MAX (1024u * 1024u) // bytes that its client has not taken; with more no next chunk is read …
#define LOOK_MS 50u                // … but looked again
#define GUILD_MEMBERS (1ull << 1)  // intents
#define GUILD_PRESENCES (1ull << 8)

enum want_kind { WANT_CHUNKS, WANT_LISTS, WANT_INFO };
enum { LINE_CHUNKS, LINE_OTHERS, LINES };

struct want {
    struct want *next;
    struct gateway *g;
    uint64_t key; // the session
    enum want_kind kind;
    uint64_t guild;
    struct op_info info;   // INFO
    struct roster *roster; // LISTS; held
    // CHUNKS
    struct chunk_ask *ask;
    struct chunk_walk walk;
    bool rests; // until what was sent is kept, and mostly taken: nothing calls back
    struct timer look;
    struct arena arena;        // of all of it
    struct arena page;         // of one chunk
    struct role_set roles;     // without their names
    struct ids ids;            // whom the next chunk is of
    struct presence_set there; // of them
};

struct asking { // of one session
    struct lists lists;
    bool lists_wanted; // a WANT_LISTS waits, or is under way
    struct line_of_wants {
        struct want *now, *head, **tail;
        uint32_t n; // that wait
    } lines[LINES];
};

// --- the lines ---

static struct line_of_wants *line_of(const struct live *l, const struct want *w)
{
    return &l->asking->lines[w->kind == WANT_CHUNKS ? LINE_CHUNKS : LINE_OTHERS];
}

static void want_free(struct want *w)
{
    loop_cancel(w->g->svc.loop, &w->look);
    if (w->roster)
        roster_drop(w->roster);
    arena_fini(&w->arena);
    arena_fini(&w->page);
    mem_free(w->ask);
    mem_free(w);
}

// The session, if it still wants that; else w is freed.
static struct live *wanted(struct want *w)
{
    struct live *l = live_get(w->g, w->key);
    if (l && l->asking && line_of(l, w)->now == w)
        return l;
    want_free(w);
    return NULL;
}

static void begin(struct want *w);

static void next(struct live *l, struct line_of_wants *line)
{
    struct want *w = line->head;
    if (line->now || !w || l->g->conns->stopping)
        return;
    line->head = w->next;
    if (!line->head)
        line->tail = &line->head;
    line->n--;
    line->now = w;
    begin(w);
}

static void finish(struct live *l, struct want *w)
{
    struct line_of_wants *line = line_of(l, w);
    line->now = NULL;
    want_free(w);
    next(l, line);
}

static struct asking *asking_of(struct live *l)
{
    if (l->asking)
        return l->asking;
    l->asking = mem_alloc(sizeof *l->asking);
    for (uint32_t i = 0; i < LINES; i++)
        l->asking->lines[i].tail = &l->asking->lines[i].head;
    return l->asking;
}

static struct want *want_new(struct live *l, enum want_kind kind, uint64_t guild)
{
    struct want *w = mem_alloc(sizeof *w);
    w->g = l->g;
    w->key = l->s.key;
    w->kind = kind;
    w->guild = guild;
    return w;
}

static void enqueue(struct live *l, struct want *w)
{
    struct line_of_wants *line = line_of(l, w);
    *line->tail = w;
    line->tail = &w->next;
    line->n++;
    next(l, line);
}

static bool sees(const struct live *l, uint64_t guild)
{
    const struct sub *sub = subs_get(fanout_subs(l->g), ref_place(guild));
    return sub && sub->guild && subs_listens(fanout_subs(l->g), l->s.key, ref_place(guild));
}

static void tell(struct live *l, struct bytes name, struct bytes body)
{
    struct dispatch *d = dispatch_new(name, body);
    live_dispatch(l, d);
    dispatch_drop(d);
}

// --- op 8 ---

static void walk_on(struct want *w);

// As far as members show them.
static struct role_set keep_roles(struct arena *a, struct role_set roles)
{
    struct role *v = arena_take(a, (roles.n + 1) * sizeof *v);
    for (uint32_t i = 0; i < roles.n; i++) {
        v[i] = roles.v[i];
        v[i].name = BYTES_NONE;
    }
    return (struct role_set){roles.n, v};
}

static const struct user *const *users_of(struct arena *a, uint32_t n, const struct member *members,
                                          struct user_set users)
{
    const struct user **v = arena_take(a, (n + 1) * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        v[i] = view_find_user(users, members[i].user);
    return v;
}

static void give(struct live *l, struct want *w, uint32_t n, const struct member *members, struct user_set users)
{
    struct buf *text = &l->g->conns->text;
    const struct chunk c = {n, members, users_of(&w->page, n, members, users), w->there, w->roles};
    buf_reset(text);
    chunk_json(text, w->ask, &w->walk, &c);
    tell(l, BYTES("GUILD_MEMBERS_CHUNK"), buf_bytes(text));
    buf_trim(text, QUEUED_MAX);
    chunk_sent(&w->walk);
    arena_reset(&w->page);
    w->there = (struct presence_set){0};
    if (w->walk.index == w->walk.count)
        finish(l, w);
    else
        w->rests = true;
}

static void on_named(void *ctx, int err, uint32_t n, const struct member *members, struct user_set users)
{
    struct want *w = ctx;
    struct live *l = wanted(w);
    if (l && (err || !sees(l, w->guild)))
        finish(l, w);
    else if (l)
        give(l, w, n, members, users);
}

static void on_there(void *ctx, struct presence_set set)
{
    struct want *w = ctx;
    w->there = set;
    if (wanted(w))
        load_members(w->g, w->guild, w->ids, on_named, w);
}

// A chunk of those named.
static void name(struct live *l, struct want *w, struct ids ids)
{
    w->ids = ids;
    if (ids.n == 0)
        give(l, w, 0, NULL, (struct user_set){0});
    else if (w->ask->presences)
        presences_load(w->g, &w->page, ids, on_there, w);
    else
        load_members(w->g, w->guild, ids, on_named, w);
}

static struct ids ids_of(struct arena *a, uint32_t n, const struct member *members)
{
    uint64_t *v = arena_take(a, (n + 1) * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        v[i] = members[i].user;
    return (struct ids){n, v};
}

static void on_page(void *ctx, int err, uint32_t n, const struct member *members, struct user_set users)
{
    struct want *w = ctx;
    struct live *l = wanted(w);
    if (!l)
        return;
    if (err || !sees(l, w->guild)) {
        finish(l, w);
        return;
    }
    chunk_page(&w->walk, w->ask, n, members, users_of(&w->page, n, members, users));
    if (w->ask->kind != CHUNK_WHOLE)
        walk_on(w);
    else if (w->ask->presences)
        name(l, w, ids_of(&w->page, n, members));
    else
        give(l, w, n, members, users);
}

static void walk_on(struct want *w)
{
    struct live *l = wanted(w);
    if (l && w->walk.ended)
        name(l, w, (struct ids){w->ask->n_users, w->ask->users});
    else if (l)
        load_member_page(w->g, w->guild, w->walk.after, CHUNK_MAX, on_page, w);
}

static void on_chunk_frame(void *ctx, int err, const struct world *world)
{
    struct want *w = ctx;
    struct live *l = wanted(w);
    const struct loaded_guild *g = world && world->n_guilds ? world->guilds : NULL;
    if (!l)
        return;
    bool members = l->s.intents & GUILD_MEMBERS, presences = l->s.intents & GUILD_PRESENCES;
    if (err || !g || !chunk_may(w->ask, l->s.bot, members, presences, view_permissions(g, l->s.user))) {
        finish(l, w);
        return;
    }
    w->roles = keep_roles(&w->arena, g->roles);
    chunk_begin(&w->walk, w->ask, g->member_count);
    walk_on(w);
}

// A client that reads slowly is not sent faster than it reads.
static void rest_over(struct live *l, struct want *w)
{
    if (web_queued(l->g->web, l->s.line.conn) > QUEUED_MAX) {
        loop_arm(l->g->svc.loop, &w->look, LOOK_MS);
        return;
    }
    w->rests = false;
    walk_on(w);
}

static void on_look(struct timer *t, uint64_t now)
{
    struct want *w = container_of(t, struct want, look);
    struct live *l = wanted(w);
    (void)now;
    if (l)
        rest_over(l, w);
}

void members_kept(struct live *l)
{
    struct want *w = l->asking ? l->asking->lines[LINE_CHUNKS].now : NULL;
    if (w && w->rests && !timer_armed(&w->look))
        rest_over(l, w);
}

static void refuse(struct live *l, uint64_t guild, struct bytes nonce, uint64_t wait_ms)
{
    struct arena a = {0};
    tell(l, BYTES("RATE_LIMITED"), quota_members_body(&a, guild, nonce, wait_ms));
    arena_fini(&a);
}

static void ask_members(struct live *l, const struct op_members *m)
{
    for (uint32_t i = 0; i < m->guilds.n; i++) {
        uint64_t guild = m->guilds.v[i], wait_ms = BUSY_MS;
        struct chunk_ask ask;
        if (!sees(l, guild) || !chunk_ask_of(m, i, &ask))
            continue;
        bool busy = asking_of(l)->lines[LINE_CHUNKS].n >= WAITING_MAX;
        if (busy ||
            (ask.kind == CHUNK_WHOLE && !quota_members(&l->s.quota, guild, loop_now(l->g->svc.loop), &wait_ms))) {
            refuse(l, guild, m->nonce, wait_ms);
            continue;
        }
        struct want *w = want_new(l, WANT_CHUNKS, guild);
        w->look.fire = on_look;
        w->ask = mem_alloc(sizeof *w->ask);
        *w->ask = ask;
        enqueue(l, w);
    }
}

// --- lists ---

static void answer_list(struct live *l, const struct loaded_guild *g, const struct roster *r,
                        const struct list_channel *c)
{
    struct arena a = {0};
    struct buf *text = &l->g->conns->text;
    struct member_list list;
    const struct list_place place = {&g->guild, g->roles, view_find_channel(g, c->channel), g->member_count};
    if (place.channel && view_shows(g, l->s.user, place.channel)) {
        list_build(&a, &place, r->people, r->n, &list);
        buf_reset(text);
        list_json(text, &a, &place, &list, c->ranges, c->n);
        tell(l, BYTES("GUILD_MEMBER_LIST_UPDATE"), buf_bytes(text));
        buf_trim(text, QUEUED_MAX);
    }
    arena_fini(&a);
}

static void list_next(struct live *l, struct want *w);

static void on_list_frame(void *ctx, int err, const struct world *world)
{
    struct want *w = ctx;
    struct live *l = wanted(w);
    if (!l)
        return;
    struct lists *lists = &l->asking->lists;
    bool sent = !err && world->n_guilds > 0 && sees(l, w->guild);
    for (uint32_t i = 0; i < lists->n_channels; i++) {
        struct list_channel *c = &lists->channels[i];
        if (c->guild != w->guild || !c->due)
            continue;
        c->due = false;
        if (sent)
            answer_list(l, world->guilds, w->roster, c);
    }
    roster_drop(w->roster);
    w->roster = NULL;
    list_next(l, w);
}

static void on_roster(void *ctx, struct roster *r)
{
    struct want *w = ctx;
    w->roster = r;
    struct live *l = wanted(w);
    if (l && r)
        load_frame(w->g, l->s.user, w->guild, (struct ids){0}, on_list_frame, w);
    else if (l)
        finish(l, w);
}

static void list_next(struct live *l, struct want *w)
{
    w->guild = lists_due(&l->asking->lists);
    if (w->guild && !w->g->conns->stopping) {
        roster_get(w->g, w->guild, on_roster, w);
        return;
    }
    l->asking->lists_wanted = false;
    finish(l, w);
}

static void answer_lists(struct live *l)
{
    struct asking *a = l->asking;
    if (!a || a->lists_wanted || !lists_due(&a->lists))
        return;
    a->lists_wanted = true;
    enqueue(l, want_new(l, WANT_LISTS, 0));
}

static void subscribe(struct live *l, const struct list_changes *changes)
{
    for (uint32_t i = 0; i < changes->n && !l->s.bot; i++)
        if (sees(l, changes->v[i].guild))
            lists_merge(&asking_of(l)->lists, &changes->v[i]);
    answer_lists(l);
}

bool members_wants(const struct live *l, uint64_t guild, uint64_t user)
{
    return l->asking && lists_has_member(&l->asking->lists, guild, user);
}

void members_left(struct live *l, uint64_t guild)
{
    if (l->asking)
        lists_forget(&l->asking->lists, guild);
}

// --- the others ---

static void on_info_frame(void *ctx, int err, const struct world *world)
{
    struct want *w = ctx;
    struct live *l = wanted(w);
    if (!l)
        return;
    if (!err && world->n_guilds > 0 && sees(l, w->guild)) {
        struct buf text = {0};
        channel_info_json(&text, world->guilds, l->s.user, &w->info);
        tell(l, w->info.statuses ? BYTES("CHANNEL_STATUSES") : BYTES("CHANNEL_INFO"), buf_bytes(&text));
        buf_fini(&text);
    }
    finish(l, w);
}

static void ask_info(struct live *l, const struct op_info *info)
{
    if (!sees(l, info->guild) || asking_of(l)->lines[LINE_OTHERS].n >= WAITING_MAX)
        return;
    struct want *w = want_new(l, WANT_INFO, info->guild);
    w->info = *info;
    enqueue(l, w);
}

static void no_sounds(struct live *l, struct ids guilds)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < guilds.n; i++) {
        if (!sees(l, guilds.v[i]))
            continue;
        buf_reset(&text);
        buf_str(&text, "{\"guild_id\":");
        json_id(&text, guilds.v[i]);
        buf_str(&text, ",\"soundboard_sounds\":[]}");
        tell(l, BYTES("SOUNDBOARD_SOUNDS"), buf_bytes(&text));
    }
    buf_fini(&text);
}

// Switchboard relays none.
static void no_stream(struct live *l, const struct c_stream *c)
{
    struct arena a = {0};
    struct bytes place = c->guild_id ? arena_printf(&a, "guild:%llu", (unsigned long long)c->guild_id) : BYTES("call");
    struct bytes own = arena_printf(&a, "%.*s:%llu:%llu", BYTES_FMT(place), (unsigned long long)c->channel_id,
                                    (unsigned long long)l->s.user);
    const struct j_stream_delete gone = {c->stream_key.p ? c->stream_key : own, BYTES("unauthorized")};
    tell(l, BYTES("STREAM_DELETE"), schema_text(&a, &schema_j_stream_delete, &gone));
    arena_fini(&a);
}

static void begin(struct want *w)
{
    struct live *l = live_get(w->g, w->key);
    static const struct ids nobody = {0};
    switch (w->kind) {
    case WANT_CHUNKS:
        load_frame(w->g, l->s.user, w->guild, nobody, on_chunk_frame, w);
        break;
    case WANT_LISTS:
        list_next(l, w);
        break;
    case WANT_INFO:
        load_frame(w->g, l->s.user, w->guild, nobody, on_info_frame, w);
        break;
    }
}

void members_ask(struct live *l, const struct op *op)
{
    switch (op->kind) {
    case OP_MEMBERS:
        ask_members(l, &op->members);
        break;
    case OP_LISTS:
        subscribe(l, &op->lists);
        break;
    case OP_INFO:
        ask_info(l, &op->info);
        break;
    case OP_SOUNDS:
        no_sounds(l, op->sounds);
        break;
    case OP_STREAM:
        no_stream(l, &op->stream);
        break;
    case OP_PRESENCE:
        presence_say(l, &op->presence);
        break;
    case OP_BEAT:
    case OP_IDENTIFY:
    case OP_RESUME:
    case OP_VOICE:
    case OP_CALL:
    case OP_QUIET:
    case OP_UNKNOWN:
    case OP_BROKEN:
        break;
    }
}

// What is under way is freed when it calls back, unless it rests.
void members_stop(struct live *l)
{
    for (uint32_t i = 0; l->asking && i < LINES; i++) {
        struct line_of_wants *line = &l->asking->lines[i];
        if (line->now && line->now->rests)
            want_free(line->now);
        for (struct want *w = line->head, *after; w; w = after) {
            after = w->next;
            want_free(w);
        }
        *line = (struct line_of_wants){.tail = &line->head};
    }
    if (l->asking)
        l->asking->lists_wanted = false;
}

void members_go_on(struct live *l)
{
    answer_lists(l);
}

void members_free(struct live *l)
{
    members_stop(l);
    if (l->asking)
        lists_fini(&l->asking->lists);
    mem_free(l->asking);
    l->asking = NULL;
}
