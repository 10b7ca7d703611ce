// One call's assignment to a voice node: a few pieces of work on it at once, one step at a time, over a store that
// fails before or after it has done what it was asked for, and a fleet that comes and goes.
// - An input that is not awaited is refused and changes nothing; every piece of work ends.
// - What stands in the store is nothing, or an assignment of this call; an answer of OK decodes, and its endpoint is
// that of
//   its node. A command that is repeated gets the same answer.
// - Whatever stands there instead, or as an answer, is survived.
#include "errors.h"
#include "fuzz.h"
#include "place.h"

#include <stdio.h>

enum { PLACE = 900, LEASE = 3000, COMMANDS = 6, RELEASES = 5, WORKERS = 3, NAMES = 4, STEPS_MAX = 200 };

static const char *const nodes[NAMES] = {"ams-1", "ams-2", "par-1", "lon-1"};
static const char *const regions_of[NAMES] = {"ams", "ams", "par", "lon"};
static const char *const wanted[] = {"", "ams", "par", "lon", "nowhere"};

struct kept { // an answer
    size_t n;
    char text[PLACE_RAW_MAX];
};
struct worker {
    bool works;
    struct place p;
    struct place_fxs todo;
    uint32_t steps;
};
struct run {
    struct feed in;
    struct fleet fleet;
    struct regions regions;
    struct worker workers[WORKERS];
    uint64_t now, tokens;
    bool spoilt; // somebody else wrote into the store
    size_t n;
    char raw[2 * PLACE_RAW_MAX]; // {900}:a 900
    struct kept answers[COMMANDS + 1];
    struct assign assigns[COMMANDS + 1];
};

static uint64_t unix_ms(const struct run *r)
{
    return 1700000000000 + r->now;
}

// --- the store ---

static void check_stored(const struct run *r)
{
    struct arena none = {0};
    struct assignment a;
    if (r->spoilt || !r->n)
        return;
    CHECK(r->n <= PLACE_RAW_MAX);
    CHECK(UNPACK(&none, assignment, ((struct bytes){r->raw, r->n}), &a) == OK);
    CHECK(a.place == PLACE && a.channel == PLACE && (a.node.n > 0) == (a.endpoint.n > 0));
    CHECK(!a.node.n || a.region.n);
}

static struct place_in swap(struct run *r, const struct place *p)
{
    if (r->n != p->has.n || memcmp(r->raw, p->has.raw, r->n) != 0)
        return (struct place_in){.kind = PLACE_IN_CONFLICT, .raw = {r->raw, r->n}};
    memcpy(r->raw, p->next.raw, p->next.n);
    r->n = p->next.n;
    return (struct place_in){.kind = PLACE_IN_SWAPPED};
}

static struct place_in write_answer(struct run *r, const struct place *p)
{
    struct kept *k = &r->answers[p->command];
    if (k->n)
        return (struct place_in){.kind = PLACE_IN_WRITTEN, .earlier = {k->text, k->n}};
    CHECK(p->answer_n > 0);
    memcpy(k->text, p->answer, p->answer_n);
    k->n = p->answer_n;
    return (struct place_in){.kind = PLACE_IN_WRITTEN};
}

static struct place_in look(struct run *r, const struct place *p)
{
    const struct kept *k = &r->answers[p->command];
    return (struct place_in){.kind = PLACE_IN_LOOKED, .raw = {r->raw, r->n}, .earlier = {k->text, k->n}};
}

// --- workers ---

static void check_answer(const struct run *r, const struct place *p)
{
    struct arena none = {0};
    struct assigned a;
    if (p->err != OK || p->kind != PLACE_ASSIGN || r->spoilt) {
        CHECK(p->err == OK || p->answer_n == 0);
        return;
    }
    const struct kept *k = &r->answers[p->command];
    CHECK(k->n == p->answer_n && memcmp(k->text, p->answer, k->n) == 0);
    CHECK(UNPACK(&none, assigned, ((struct bytes){p->answer, p->answer_n}), &a) == OK);
    CHECK((a.node.n > 0) == (a.endpoint.n > 0) && a.token.n == PLACE_TOKEN);
}

static int put_in(struct run *r, struct place *p, struct place_in in, struct place_fxs *out)
{
    static struct place before; // large
    char token[PLACE_TOKEN + 1];
    snprintf(token, sizeof token, "%016llx", (unsigned long long)++r->tokens);
    const struct place_env env = {&r->fleet, &r->regions, r->now, unix_ms(r), feed_u64(&r->in), token, 300000};
    before = *p;
    int err = place_step(p, &in, &env, out);
    CHECK(out->n <= PLACE_FX_MAX);
    if (err != OK)
        CHECK(err == ERR_STATE && out->n == 0 && memcmp(&before, p, sizeof before) == 0);
    return err;
}

static void step(struct run *r, struct worker *w, struct place_in in)
{
    CHECK(++w->steps < STEPS_MAX);
    CHECK(put_in(r, &w->p, in, &w->todo) == OK);
    if (w->p.state == PLACE_DONE)
        check_answer(r, &w->p);
}

// Of any kind, awaited or not; what would come of it is thrown away.
static void any_input(struct run *r, const struct worker *w)
{
    static struct place copy;
    struct place_fxs fxs;
    copy = w->p;
    struct place_in in = {.kind = feed_below(&r->in, PLACE_IN_FAILED + 1)};
    in.raw = feed_bytes(&r->in, 255);
    in.earlier = feed_bytes(&r->in, 255);
    (void)put_in(r, &copy, in, &fxs);
}

// Does what its last step asked for, up to the one effect that is answered. fault: 0 none, 1 it fails before, 2 after.
static void turn(struct run *r, struct worker *w, unsigned fault)
{
    struct place_fxs todo = w->todo;
    struct place_in in = {.kind = PLACE_IN_FAILED};
    bool asks = false;
    for (uint32_t i = 0; i < todo.n; i++) {
        const struct place_fx *fx = &todo.v[i];
        CHECK(!asks);                                                 // it is the last
        if (fx->kind == PLACE_DO_UNLIST && w->p.kind == PLACE_ASSIGN) // not the row of where it lives now
            CHECK(w->p.next.kind != HOME_NODE || strcmp(fx->name, w->p.next.node) != 0);
        asks = fx->kind <= PLACE_DO_WRITE;
        if (fx->kind == PLACE_DO_EXPECT)
            fleet_expect(&r->fleet, fx->name, place_moves(&w->p), r->now);
        if (!asks || fault == 1)
            continue;
        if (fx->kind == PLACE_DO_LOOK)
            in = look(r, &w->p);
        else if (fx->kind == PLACE_DO_SWAP)
            in = swap(r, &w->p);
        else if (fx->kind == PLACE_DO_WRITE)
            in = write_answer(r, &w->p);
        else
            in = (struct place_in){.kind = PLACE_IN_LISTED};
    }
    w->todo.n = 0;
    w->works = asks;
    CHECK(asks == (w->p.state != PLACE_DONE));
    if (asks)
        step(r, w, fault ? (struct place_in){.kind = PLACE_IN_FAILED} : in);
    check_stored(r);
}

static void begin(struct run *r, struct worker *w)
{
    uint8_t what = feed_u8(&r->in);
    uint64_t command = (what & 3) == 2 ? RELEASES + (what >> 4 & 1) : 1 + (what >> 4) % (RELEASES - 1);
    struct bytes name = bytes_of(nodes[what >> 2 & 3]), region = bytes_of(wanted[(what >> 2) % countof(wanted)]);
    struct assign *a = &r->assigns[command];
    *w = (struct worker){.works = true};
    switch (what & 3) {
    case 0:
    case 1:
        if (!a->place) { // a command is the same when it is repeated
            static const struct bytes preferred[] = {{"lon", 3}, {"??", 2}, {"par", 3}};
            *a = (struct assign){.place = PLACE, .channel = PLACE, .server = PLACE, .user = 11, .session = BYTES("s")};
            a->region = bytes_of(wanted[feed_below(&r->in, countof(wanted))]);
            a->preferred = (struct texts){feed_below(&r->in, countof(preferred) + 1), preferred};
            a->move = feed_flag(&r->in);
        }
        CHECK(place_assign(&w->p, a, command, &w->todo) == OK);
        break;
    case 2: {
        const struct release release = {.place = PLACE, .channel = PLACE};
        CHECK(place_release(&w->p, &release, command, &w->todo) == OK);
        break;
    }
    case 3:
        if (what & 0x80)
            place_forget(&w->p, PLACE, PLACE, name, unix_ms(r) - feed_u8(&r->in) * 100u, &w->todo);
        else
            place_settle(&w->p, PLACE, PLACE, region, what & 0x40, &w->todo);
        break;
    }
}

// --- the fleet ---

static void announce(struct run *r)
{
    uint8_t what = feed_u8(&r->in);
    uint32_t i = what & 3;
    enum fleet_news news;
    const struct node_announce a = {.node = bytes_of(nodes[i]),
                                    .region = bytes_of(regions_of[i]),
                                    .endpoint = BYTES("h:443"),
                                    .capacity = what >> 2 & 3,
                                    .draining = what >> 4 & 1,
                                    .epoch = what >> 5};
    int err = fleet_announce(&r->fleet, &a, r->now, &news);
    CHECK(err == OK || err == ERR_STATE || err == ERR_FULL);
}

static void pass_time(struct run *r)
{
    struct node lost;
    r->now += feed_u8(&r->in) * 40u;
    fleet_tick(&r->fleet, r->now);
    while (fleet_take_lost(&r->fleet, r->now, &lost))
        ;
}

static void act(struct run *r)
{
    uint8_t what = feed_u8(&r->in);
    struct worker *w = &r->workers[(what >> 4) % WORKERS];
    switch (what & 15) {
    case 13:
        pass_time(r);
        break;
    case 14:
        announce(r);
        break;
    case 15:
        if (feed_u8(&r->in) != 1) {
            any_input(r, w);
            break;
        }
        r->spoilt = true;
        struct bytes text = feed_bytes(&r->in, 255);
        memcpy(r->raw, text.p, text.n);
        r->n = text.n ? text.n : sizeof r->raw;
        bool lost = place_is_lost((struct bytes){r->raw, r->n}, BYTES("ams-1"), 5);
        CHECK(lost || r->n <= PLACE_RAW_MAX);
        break;
    default:
        if (!w->works)
            begin(r, w);
        else
            turn(r, w, (what & 15) < 10 ? 0 : 1 + (what & 1));
        break;
    }
}

static void finish(struct run *r)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        while (r->workers[i].works)
            turn(r, &r->workers[i], 0);
}

static void names(struct feed *f)
{
    uint64_t place = 1, channel = 2, again[2];
    struct bytes text = feed_rest(f);
    char *own = feed_own(text), name[CALL_NAME_MAX];
    if (call_named((struct bytes){own, text.n}, &place, &channel) == OK) {
        CHECK(place && channel);
        CHECK(call_named(bytes_of(call_name(name, place, channel)), &again[0], &again[1]) == OK);
        CHECK(again[0] == place && again[1] == channel);
    } else {
        CHECK(place == 1 && channel == 2);
    }
    mem_free(own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    r = (struct run){.in = {data, size}, .now = 10000, .regions = {.n = 1, .v = {{"ams", "Amsterdam"}}}};
    if (feed_u8(&r.in) == 255) {
        names(&r.in);
        return 0;
    }
    fleet_init(&r.fleet, 3, LEASE, 0);
    for (unsigned n = 0; r.in.n && n < 300; n++)
        act(&r);
    finish(&r);
    fleet_fini(&r.fleet);
    return 0;
}
