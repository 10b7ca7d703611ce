// place_world: a store of one call that stands in for Redis, and workers that carry out a place's effects there and
// feed back what came of them, one step at a time.
#pragma once
#include "check.h"
#include "place.h"

#define PLACE 900u
#define LEASE 3000u
#define NOW 10000u
#define UNIX_MS 1700000000000u

// --- the store ---

struct rows { // a set of short texts
    uint32_t n;
    char v[16][80];
};

static struct store {
    size_t n;
    char raw[PLACE_RAW_MAX]; // {900}:a 900
    struct rows lists;       // "node" that lists the call
    struct rows waits;       // "wait:region"
    uint64_t answered;       // command
    size_t answer_n;
    char answer[PLACE_RAW_MAX];
} store;

static bool has_row(const struct rows *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (strcmp(r->v[i], name) == 0)
            return true;
    return false;
}

static void add_row(struct rows *r, const char *name)
{
    if (!has_row(r, name))
        snprintf(r->v[r->n++], sizeof r->v[0], "%s", name);
}

static void drop_row(struct rows *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (strcmp(r->v[i], name) == 0) {
            memmove(&r->v[i], &r->v[i + 1], (--r->n - i) * sizeof r->v[0]);
            return;
        }
}

static void stand(const char *node, const char *region, uint64_t at)
{
    struct buf raw = {0};
    struct assignment a = {.place = PLACE,
                           .channel = PLACE,
                           .node = bytes_of(node),
                           .region = bytes_of(region),
                           .endpoint = node[0] ? BYTES("old:443") : BYTES_NONE,
                           .assigned_at = at};
    PACK(&raw, assignment, &a);
    memcpy(store.raw, raw.p, raw.n);
    store.n = raw.n;
    buf_fini(&raw);
    if (node[0])
        add_row(&store.lists, node);
    else
        add_row(&store.waits, region);
}

static const char *stands(void) // "node", "wait:region" or "none"
{
    static char out[80];
    struct arena none = {0};
    struct assignment a;
    if (!store.n || UNPACK(&none, assignment, ((struct bytes){store.raw, store.n}), &a))
        return "none";
    CHECK_EQ(a.place, PLACE);
    CHECK_EQ(a.channel, PLACE);
    if (a.node.n)
        snprintf(out, sizeof out, "%.*s", BYTES_FMT(a.node));
    else
        snprintf(out, sizeof out, "wait:%.*s", BYTES_FMT(a.region));
    return out;
}

// --- the fleet ---

static struct regions regions;

static void add_node(struct fleet *f, const char *id, const char *region, uint64_t capacity, bool draining)
{
    enum fleet_news news;
    struct node_announce a = {.node = bytes_of(id),
                              .region = bytes_of(region),
                              .endpoint = BYTES("new:443"),
                              .capacity = capacity,
                              .draining = draining};
    CHECK_EQ(fleet_announce(f, &a, NOW, &news), OK);
}

static struct fleet fleet_new(void)
{
    struct fleet f;
    fleet_init(&f, 8, LEASE, 0);
    fleet_tick(&f, 0);
    for (uint64_t now = 0; now <= NOW; now += 500)
        fleet_tick(&f, now);
    return f;
}

static struct fleet ams_par(void)
{
    struct fleet f = fleet_new();
    add_node(&f, "ams-1", "ams", 10, false);
    add_node(&f, "par-1", "par", 10, false);
    return f;
}

static void begin(void)
{
    memset(&store, 0, sizeof store);
    regions = (struct regions){.n = 1, .v = {{"ams", "Amsterdam"}}};
}

// --- a worker: one place and what it still has to do ---

struct worker {
    struct place p;
    struct fleet *fleet;
    struct place_fxs todo;
    uint64_t random;
    uint32_t lost, expected; // effects seen
    char lost_node[80];
    bool answered;
    bool fails; // the store is away
};

static void step(struct worker *w, struct place_in in)
{
    static char tokens[17];
    static unsigned n;
    snprintf(tokens, sizeof tokens, "%016x", ++n);
    struct place_env env = {w->fleet, &regions, NOW, UNIX_MS, w->random, tokens, 300000};
    CHECK_EQ(place_step(&w->p, &in, &env, &w->todo), OK);
}

static void do_write(struct worker *w)
{
    struct bytes earlier = BYTES_NONE;
    if (store.answered == w->p.command) {
        earlier = (struct bytes){store.answer, store.answer_n};
    } else {
        store.answered = w->p.command;
        store.answer_n = w->p.answer_n;
        memcpy(store.answer, w->p.answer, w->p.answer_n);
    }
    step(w, (struct place_in){.kind = PLACE_IN_WRITTEN, .earlier = earlier});
}

static void do_swap(struct worker *w)
{
    if (store.n != w->p.has.n || memcmp(store.raw, w->p.has.raw, store.n) != 0) {
        step(w, (struct place_in){.kind = PLACE_IN_CONFLICT, .raw = {store.raw, store.n}});
        return;
    }
    store.n = w->p.next.n;
    memcpy(store.raw, w->p.next.raw, store.n);
    step(w, (struct place_in){.kind = PLACE_IN_SWAPPED});
}

static void do_look(struct worker *w)
{
    struct place_in in = {.kind = PLACE_IN_LOOKED, .raw = {store.raw, store.n}};
    if (w->p.command && store.answered == w->p.command)
        in.earlier = (struct bytes){store.answer, store.answer_n};
    step(w, in);
}

// Does what a step asked for, up to the one effect that is answered; true when there was something to do.
static bool turn(struct worker *w)
{
    struct place_fxs todo = w->todo;
    w->todo.n = 0;
    for (uint32_t i = 0; i < todo.n; i++) {
        const char *name = todo.v[i].name;
        enum place_do kind = todo.v[i].kind;
        bool asks = kind <= PLACE_DO_WRITE;
        CHECK_TRUE(!asks || i == todo.n - 1);
        if (asks && w->fails) {
            step(w, (struct place_in){.kind = PLACE_IN_FAILED});
            return true;
        }
        switch (kind) {
        case PLACE_DO_LOOK:
            do_look(w);
            break;
        case PLACE_DO_LIST:
            add_row(&store.lists, name);
            step(w, (struct place_in){.kind = PLACE_IN_LISTED});
            break;
        case PLACE_DO_WAIT:
            add_row(&store.waits, name);
            step(w, (struct place_in){.kind = PLACE_IN_LISTED});
            break;
        case PLACE_DO_SWAP:
            do_swap(w);
            break;
        case PLACE_DO_WRITE:
            do_write(w);
            break;
        case PLACE_DO_ANSWER:
            CHECK_TRUE(!w->answered);
            w->answered = true;
            break;
        case PLACE_DO_UNLIST:
            drop_row(&store.lists, name);
            break;
        case PLACE_DO_UNWAIT:
            drop_row(&store.waits, name);
            break;
        case PLACE_DO_EXPECT:
            w->expected++;
            break;
        case PLACE_DO_LOST:
            w->lost++;
            snprintf(w->lost_node, sizeof w->lost_node, "%s", name);
            break;
        }
    }
    return todo.n > 0;
}

static void run(struct worker *w)
{
    for (int i = 0; turn(w); i++)
        if (i > 100) {
            CHECK_EQ(i, 0); // it ends
            return;
        }
    CHECK_EQ(w->p.state, PLACE_DONE);
}

static struct assign request(const char *region)
{
    return (struct assign){.place = PLACE,
                           .channel = PLACE,
                           .server = PLACE,
                           .user = 11,
                           .session = BYTES("0123456789abcdef"),
                           .region = bytes_of(region)};
}

static struct worker assigning(struct fleet *f, struct assign a, uint64_t command)
{
    struct worker w = {.fleet = f};
    CHECK_EQ(place_assign(&w.p, &a, command, &w.todo), OK);
    return w;
}

static struct worker assigned(struct fleet *f, struct assign a, uint64_t command)
{
    struct worker w = assigning(f, a, command);
    run(&w);
    CHECK_TRUE(w.answered);
    return w;
}

static struct assigned answer(const struct worker *w)
{
    static struct arena none;
    struct assigned a = {0};
    CHECK_EQ(w->p.err, OK);
    CHECK_EQ(UNPACK(&none, assigned, ((struct bytes){w->p.answer, w->p.answer_n}), &a), OK);
    return a;
}

#define CHECK_BYTES(b, text) CHECK_TRUE(bytes_is((b), (text)))
