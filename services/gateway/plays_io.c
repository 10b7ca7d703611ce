// plays_io: see plays.h. One is made up of commands, one after another: a seat, the voice server, the file in pieces;
// then it is asked how it is going, until it is over and the seat is left. Whoever dies in between is noticed: a node
// by its silence, we by the node, which has the seat taken away then.
#include "plays.h"
#include "conns.h"
#include "session.h"

#include <sodium.h>
#include <string.h>

#define PIECE (192u * 1024u) // of a file, in one command
#define LOOK_MS 100u         // between two looks for the voice server
#define SERVER_MS 15000u     // for it to be assigned
#define ASK_MS 300u          // between two questions how it goes
#define NODE_MS 3000u        // for the node to answer
#define KEEP_MS 600000u      // after it is over

enum play_stage { JOINS, AWAITS, SENDS, SPEAKS, LEAVES, OVER };

struct play {
    struct gateway *g;
    uint64_t id;
    enum play_stage stage;
    const char *ended; // LEAVES, OVER: "played", "stopped" or "failed"
    char why[129];
    struct play_shown shown;
    uint64_t guild, hold, turn;
    char session[33], node[65], token[33];
    struct buf file; // until the node has it
    size_t sent;
    uint64_t until; // ms: by then the voice server is there; OVER: it is forgotten
    struct timer timer;
};

struct plays {
    struct table all; // id → play; owns
};

struct call { // a command or reading of one; it may be gone by the answer
    struct gateway *g;
    uint64_t play;
};

static struct play *play_get(const struct gateway *g, uint64_t id)
{
    return g->plays ? table_get(&g->plays->all, id) : NULL;
}

static struct call *call_of(const struct play *p)
{
    struct call *c = mem_alloc(sizeof *c);
    *c = (struct call){p->g, p->id};
    return c;
}

// Of an answer; NULL: it is gone meanwhile, or in another stage.
static struct play *called(void *ctx, enum play_stage stage)
{
    struct call c = *(struct call *)ctx;
    mem_free(ctx);
    struct play *p = play_get(c.g, c.play);
    return p && p->stage == stage ? p : NULL;
}

static uint32_t alive(const struct gateway *g)
{
    const struct play *p;
    uint32_t n = 0;
    for (uint32_t i = 0; (p = table_next(&g->plays->all, &i, NULL)) != NULL;)
        n += p->stage != OVER;
    return n;
}

static void play_free(struct play *p)
{
    loop_cancel(p->g->svc.loop, &p->timer);
    table_remove(&p->g->plays->all, p->id);
    buf_fini(&p->file);
    mem_free(p);
}

// --- the seat ---

static void say_where(struct play *p, uint64_t channel, uint64_t ms, bus_answer_fn fn)
{
    struct gateway *g = p->g;
    struct texts regions = system_regions(g);
    if (regions.n > SESSION_REGIONS_MAX)
        regions.n = SESSION_REGIONS_MAX;
    const struct voice_update update = {.user = p->shown.user,
                                        .session = bytes_of(p->session),
                                        .gateway = bytes_of(g->svc.instance),
                                        .guild = p->guild,
                                        .channel = channel,
                                        .regions = regions,
                                        .hold = p->hold,
                                        .turn = ++p->turn};
    const struct msg m = {&schema_voice_update, &update};
    bus_command(g->svc.bus, BUS_CALL_MANAGER, p->guild ? p->guild : p->shown.channel, 0, &m, ms, fn, call_of(p));
}

static void on_left(void *ctx, const struct answer *a)
{
    struct play *p = called(ctx, LEAVES);
    (void)a; // where nobody heard it, the voice node has the seat taken away
    if (!p)
        return;
    p->stage = OVER;
    LOG(INFO, EV("play.over"), KU("play", p->id), KU("channel", p->shown.channel), KS("ended", p->ended),
        KS("why", p->why));
    p->until = loop_now(p->g->svc.loop) + KEEP_MS;
    loop_arm(p->g->svc.loop, &p->timer, KEEP_MS);
}

static void leave(struct play *p, const char *ended, struct bytes why)
{
    if (p->stage >= LEAVES)
        return;
    p->stage = LEAVES;
    p->ended = ended;
    (void)!bytes_copy(p->why, sizeof p->why, why);
    loop_cancel(p->g->svc.loop, &p->timer);
    buf_fini(&p->file);
    p->file = (struct buf){0};
    sodium_memzero(p->token, sizeof p->token);
    say_where(p, 0, p->g->cfg.command_ms, on_left);
}

static void fail(struct play *p, const char *why)
{
    leave(p, "failed", bytes_of(why));
}

// --- the voice node ---

static void tell_node(struct play *p, const struct schema *schema, const void *v, bus_answer_fn fn)
{
    const struct msg m = {schema, v};
    bus_command_at(p->g->svc.bus, BUS_VOICE_NODE, p->node, 0, &m, NODE_MS, fn, fn ? call_of(p) : NULL);
}
#define TELL_NODE(p, type, fn, ...) tell_node((p), &schema_##type, &(const struct type){__VA_ARGS__}, (fn))

// What it said of it. False: it is leaving by now.
static bool take_played(struct play *p, const struct answer *a)
{
    struct arena arena = {0};
    struct played v;
    if (!a) {
        fail(p, "its voice node does not answer");
    } else if (a->err == ERR_FULL) {
        fail(p, "its voice node speaks as many files as it can");
    } else if (a->err != OK || UNPACK(&arena, played, a->body, &v) != OK) {
        fail(p, "its voice node knows nothing of it any more");
    } else {
        p->shown.ms = v.ms;
        p->shown.packets = v.packets;
        p->shown.muted = v.muted;
        if (v.ended)
            leave(p, v.why.n > 0 ? "failed" : "played", v.why);
    }
    arena_fini(&arena);
    return p->stage < LEAVES;
}

static void on_shown(void *ctx, const struct answer *a)
{
    struct play *p = called(ctx, SPEAKS);
    if (p && take_played(p, a))
        loop_arm(p->g->svc.loop, &p->timer, ASK_MS);
}

static void send_piece(struct play *p);

static void on_sent(void *ctx, const struct answer *a)
{
    struct play *p = called(ctx, SENDS);
    if (p && take_played(p, a))
        send_piece(p);
}

static void send_piece(struct play *p)
{
    size_t n = p->file.n - p->sent < PIECE ? p->file.n - p->sent : PIECE;
    if (n == 0) {
        buf_fini(&p->file);
        p->file = (struct buf){0};
        p->stage = SPEAKS;
        loop_arm(p->g->svc.loop, &p->timer, ASK_MS);
        return;
    }
    const size_t at = p->sent;
    p->sent += n;
    TELL_NODE(p, play_data, on_sent, .play = p->id, .offset = at, .data = {p->file.p + at, n});
}

static void begin_there(struct play *p)
{
    p->stage = SENDS;
    TELL_NODE(p, play_open, on_sent, .play = p->id, .server = p->guild ? p->guild : p->shown.channel,
              .channel = p->shown.channel, .user = p->shown.user, .session = bytes_of(p->session),
              .token = bytes_of(p->token), .bytes = p->file.n);
}

// {<server>}:t:<session>: which node it is, and what it wants to be told.
static void on_token(void *ctx, const struct reply *r)
{
    struct play *p = called(ctx, AWAITS);
    struct arena a = {0};
    struct voice_token t;
    if (!p)
        return;
    bool is = reply_text(r).n > 0 && UNPACK(&a, voice_token, reply_text(r), &t) == OK &&
              bytes_copy(p->node, sizeof p->node, t.node) == OK && bytes_copy(p->token, sizeof p->token, t.token) == OK;
    arena_fini(&a);
    if (is)
        begin_there(p);
    else if (loop_now(p->g->svc.loop) >= p->until)
        fail(p, "no voice server was assigned");
    else
        loop_arm(p->g->svc.loop, &p->timer, LOOK_MS);
}

static void look_for_server(struct play *p)
{
    char key[RECORD_KEY_MAX], name[40] = "t:";
    memcpy(name + 2, p->session, sizeof p->session);
    store_cmd(p->g->svc.store, on_token, call_of(p), "GET %s",
              record_key(key, ref_place(p->guild ? p->guild : p->shown.channel), name));
}

static void on_joined(void *ctx, const struct answer *a)
{
    struct play *p = called(ctx, JOINS);
    if (!p)
        return;
    if (!a) {
        fail(p, "the call manager does not answer");
    } else if (a->err != OK) {
        fail(p, "the account may not join that channel now");
    } else {
        p->stage = AWAITS;
        p->until = loop_now(p->g->svc.loop) + SERVER_MS;
        look_for_server(p);
    }
}

static void on_timer(struct timer *t, uint64_t now)
{
    struct play *p = container_of(t, struct play, timer);
    (void)now;
    if (p->stage == AWAITS)
        look_for_server(p);
    else if (p->stage == SPEAKS)
        TELL_NODE(p, play_show, on_shown, .play = p->id);
    else if (p->stage == OVER)
        play_free(p);
}

// --- asked for ---

// Of those that are over the one that was first goes.
static void make_room(struct plays *all)
{
    struct play *p, *oldest = NULL;
    for (uint32_t i = 0; (p = table_next(&all->all, &i, NULL)) != NULL;)
        if (p->stage == OVER && (!oldest || p->until < oldest->until))
            oldest = p;
    if (all->all.n >= PLAYS_KEPT && oldest)
        play_free(oldest);
}

uint64_t plays_begin(struct gateway *g, const struct play_start *start)
{
    uint8_t session[16];
    if (alive(g) >= PLAYS_MAX || g->svc.stopping)
        return 0;
    make_room(g->plays);
    struct play *p = mem_alloc(sizeof *p);
    *p = (struct play){.g = g, .id = bus_new_id(g->svc.bus) >> 1 | 1, .guild = start->guild, .timer.fire = on_timer};
    p->shown =
        (struct play_shown){.id = p->id, .channel = start->channel, .user = start->user, .length_ms = start->length_ms};
    randombytes_buf(session, sizeof session);
    sodium_bin2hex(p->session, sizeof p->session, session, sizeof session);
    randombytes_buf(&p->hold, sizeof p->hold);
    buf_add(&p->file, start->file.p, start->file.n);
    table_put(&g->plays->all, p->id, p);
    LOG(INFO, EV("play.asked"), KU("play", p->id), KU("channel", start->channel), KU("user", start->user));
    say_where(p, start->channel, g->cfg.command_ms, on_joined);
    return p->id;
}

bool plays_show(const struct gateway *g, uint64_t id, struct play_shown *out)
{
    const struct play *p = play_get(g, id);
    if (!p)
        return false;
    *out = p->shown;
    out->over = p->stage == OVER;
    out->state = p->stage == OVER     ? p->ended
                 : p->stage == SPEAKS ? "playing"
                 : p->stage == LEAVES ? "leaving"
                                      : "joining";
    out->why = p->why;
    return true;
}

void plays_end(struct gateway *g, uint64_t id)
{
    struct play *p = play_get(g, id);
    if (!p || p->stage >= LEAVES)
        return;
    if (p->stage == SENDS || p->stage == SPEAKS)
        TELL_NODE(p, play_stop, NULL, .play = p->id);
    leave(p, "stopped", BYTES_NONE);
}

// --- life ---

void plays_start(struct gateway *g)
{
    g->plays = mem_alloc(sizeof *g->plays);
}

void plays_stop(struct gateway *g)
{
    struct play *p;
    uint64_t ids[PLAYS_KEPT + PLAYS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; (p = table_next(&g->plays->all, &i, NULL)) != NULL && n < countof(ids);)
        ids[n++] = p->id;
    for (uint32_t i = 0; i < n; i++)
        plays_end(g, ids[i]);
}

bool plays_idle(const struct gateway *g)
{
    return alive(g) == 0;
}

void plays_free(struct gateway *g)
{
    struct play *p;
    for (uint32_t i = 0; (p = table_next(&g->plays->all, &i, NULL)) != NULL;)
        play_free(p);
    table_fini(&g->plays->all);
    mem_free(g->plays);
    g->plays = NULL;
}
