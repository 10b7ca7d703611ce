// place: state by input for the four kinds of work on an assignment. Pure.
// Every path can be cut off anywhere and begun anew: the first look finds what was done, and no step undoes another's.
#include "place.h"
#include "errors.h"
#include "metrics.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void emit(struct place_fxs *out, enum place_do kind, const char *name)
{
    CHECK(out->n < PLACE_FX_MAX);
    out->v[out->n++] = (struct place_fx){kind, name};
}

static void ask(struct place *p, enum place_state state, enum place_do kind, const char *name, struct place_fxs *out)
{
    p->state = state;
    emit(out, kind, name);
}

// --- where a call lives ---

// What does not decode is as good as absent, but only what stands there can be swapped for something better.
static void home_read(struct home *h, struct bytes raw)
{
    struct arena none = {0}; // an assignment has no lists: nothing is taken from it
    struct assignment a;
    *h = (struct home){.kind = HOME_NONE};
    CHECK(raw.n <= sizeof h->raw);
    h->n = raw.n;
    if (raw.n)
        memcpy(h->raw, raw.p, raw.n);
    if (raw.n && UNPACK(&none, assignment, raw, &a) == OK) {
        h->kind = a.node.n ? HOME_NODE : HOME_WAITS;
        if (bytes_copy(h->node, sizeof h->node, a.node) || bytes_copy(h->region, sizeof h->region, a.region) ||
            bytes_copy(h->endpoint, sizeof h->endpoint, a.endpoint))
            h->kind = HOME_NONE;
        h->assigned_at = a.assigned_at;
        h->bound = a.bound;
    }
    arena_fini(&none);
}

static void home_none(struct home *h)
{
    *h = (struct home){.kind = HOME_NONE};
}

static void home_pack(struct home *h, const struct place *p)
{
    struct assignment a = {
        .place = p->place,
        .channel = p->channel,
        .node = bytes_of(h->node),
        .region = bytes_of(h->region),
        .endpoint = bytes_of(h->endpoint),
        .assigned_at = h->assigned_at,
        .bound = h->bound,
    };
    struct buf raw = {0};
    PACK(&raw, assignment, &a);
    CHECK(raw.n <= sizeof h->raw);
    h->n = raw.n;
    memcpy(h->raw, raw.p, raw.n);
    buf_fini(&raw);
}

// node NULL: waits for one in the region that was asked for.
static void home_make(struct home *h, const struct place *p, const struct node *node, uint64_t unix_ms)
{
    *h = (struct home){.kind = node ? HOME_NODE : HOME_WAITS, .assigned_at = unix_ms, .bound = p->region[0] != '\0'};
    snprintf(h->region, sizeof h->region, "%s", node ? node->region : p->region);
    if (node) {
        snprintf(h->node, sizeof h->node, "%s", node->id);
        snprintf(h->endpoint, sizeof h->endpoint, "%s", node->endpoint);
    }
    home_pack(h, p);
}

// The call manager may not have heard of it yet, and so does not know what it says about this call.
static bool is_fresh(const struct home *h, const struct place_env *env)
{
    return h->kind != HOME_NONE && env->unix_ms < h->assigned_at + PLACE_SETTLED_MS;
}

// Where it lives; whether in a region that was asked for by name is what was asked last.
static void home_keep(struct home *h, const struct place *p)
{
    bool bound = p->region[0] != '\0';
    *h = p->has;
    if (h->bound == bound)
        return;
    h->bound = bound;
    home_pack(h, p);
}

static bool same_home(const struct home *a, const struct home *b)
{
    return a->n == b->n && memcmp(a->raw, b->raw, a->n) == 0;
}

bool place_moves(const struct place *p)
{
    return p->has.kind != p->next.kind || strcmp(p->has.node, p->next.node) != 0;
}

// --- beginning ---

int place_assign(struct place *p, const struct assign *a, uint64_t command, struct place_fxs *out)
{
    if (!a->place || !a->channel || !a->server || !a->user || !command ||
        !node_name_ok(a->session)) // of the same letters
        return ERR_INVALID;
    *out = (struct place_fxs){0};
    *p = (struct place){.kind = PLACE_ASSIGN,
                        .place = a->place,
                        .channel = a->channel,
                        .server = a->server,
                        .command = command,
                        .move = a->move};
    if (bytes_copy(p->region, sizeof p->region, a->region) || strlen(p->region) != a->region.n)
        return ERR_INVALID;
    for (uint32_t i = 0; i < a->preferred.n && i < PLACE_PREFERRED; i++)
        if (node_name_ok(a->preferred.v[i])) // others cannot be names of ours: passed over
            CHECK(bytes_copy(p->preferred[p->n_preferred++], sizeof p->preferred[0], a->preferred.v[i]) == OK);
    ask(p, PLACE_LOOKING, PLACE_DO_LOOK, NULL, out);
    return OK;
}

int place_release(struct place *p, const struct release *r, uint64_t command, struct place_fxs *out)
{
    if (!r->place || !r->channel || !command)
        return ERR_INVALID;
    *out = (struct place_fxs){0};
    *p = (struct place){
        .kind = PLACE_RELEASE, .place = r->place, .channel = r->channel, .server = r->place, .command = command};
    ask(p, PLACE_LOOKING, PLACE_DO_LOOK, NULL, out);
    return OK;
}

void place_forget(struct place *p, uint64_t place, uint64_t channel, struct bytes node, uint64_t before,
                  struct place_fxs *out)
{
    *out = (struct place_fxs){0};
    *p = (struct place){.kind = PLACE_FORGET, .place = place, .channel = channel, .before = before};
    CHECK(bytes_copy(p->node, sizeof p->node, node) == OK);
    ask(p, PLACE_LOOKING, PLACE_DO_LOOK, NULL, out);
}

void place_settle(struct place *p, uint64_t place, uint64_t channel, struct bytes region, bool gone,
                  struct place_fxs *out)
{
    *out = (struct place_fxs){0};
    *p = (struct place){.kind = PLACE_SETTLE, .place = place, .channel = channel, .gone = gone};
    CHECK(bytes_copy(p->region, sizeof p->region, region) == OK);
    ask(p, PLACE_LOOKING, PLACE_DO_LOOK, NULL, out);
}

// --- ending ---

static void finish(struct place *p, int err, struct place_fxs *out)
{
    p->state = PLACE_DONE;
    p->err = err;
    if (err || p->kind == PLACE_RELEASE) // what is kept of a release only says that it was carried out
        p->answer_n = 0;
    if (p->kind == PLACE_ASSIGN || p->kind == PLACE_RELEASE)
        emit(out, PLACE_DO_ANSWER, NULL);
}

static void finish_with(struct place *p, struct bytes answer, struct place_fxs *out)
{
    if (answer.n > sizeof p->answer) {
        finish(p, ERR_IO, out);
        return;
    }
    memcpy(p->answer, answer.p, answer.n);
    p->answer_n = answer.n;
    finish(p, OK, out);
}

// Keeps the answer under the command's id.
static void write_answer(struct place *p, const struct place_env *env, struct place_fxs *out)
{
    struct buf body = {0};
    if (p->kind == PLACE_ASSIGN) {
        struct assigned a = {
            .node = bytes_of(p->next.node),
            .region = bytes_of(p->next.region),
            .endpoint = bytes_of(p->next.endpoint),
            .token = bytes_of(env->token),
            .token_ms = env->token_ms,
        };
        PACK(&body, assigned, &a);
    } else {
        PACK(&body, release, (&(struct release){.place = p->place, .channel = p->channel}));
    }
    CHECK(body.n <= sizeof p->answer);
    memcpy(p->answer, body.p, body.n);
    p->answer_n = body.n;
    buf_fini(&body);
    ask(p, PLACE_WRITING, PLACE_DO_WRITE, NULL, out);
}

// --- deciding ---

static enum picked choose(const struct place *p, const struct place_env *env, const struct node **node)
{
    struct bytes preferred[PLACE_PREFERRED];
    for (uint32_t i = 0; i < p->n_preferred; i++)
        preferred[i] = bytes_of(p->preferred[i]);
    struct pick_request r = {
        .region = bytes_of(p->region),
        .preferred = {p->n_preferred, preferred},
        .fallback = regions_default(env->regions),
    };
    return pick(env->fleet, &r, env->now, env->random, node);
}

// A call keeps its node, full or not, while that lives and takes part, and one that drains for as long as there is no
// other: better there than nowhere. To move is to go to another region: whoever of the call asks second finds it moved
// already, and all of its people stay together.
static bool stays(const struct place *p, const struct place_env *env, const struct node *picked)
{
    if (p->has.kind != HOME_NODE)
        return false;
    enum node_state s = fleet_state(env->fleet, bytes_of(p->has.node), env->now);
    if (s == NODE_GONE || (s == NODE_DRAINING && picked))
        return false;
    if (p->region[0])
        return strcmp(p->region, p->has.region) == 0;
    return !p->move || !picked || strcmp(picked->region, p->has.region) == 0;
}

static void decide_assign(struct place *p, const struct place_env *env, struct place_fxs *out)
{
    const struct node *node = NULL;
    bool full = choose(p, env, &node) != PICK_NODE;
    if (stays(p, env, node)) {
        home_keep(&p->next, p);
        emit(out, PLACE_DO_EXPECT, p->next.node);
        ask(p, PLACE_LISTING, PLACE_DO_LIST, p->next.node, out); // again: a list mends with every look
    } else if (!full) {
        home_make(&p->next, p, node, env->unix_ms);
        emit(out, PLACE_DO_EXPECT, p->next.node);
        ask(p, PLACE_LISTING, PLACE_DO_LIST, p->next.node, out);
    } else if (p->move && p->region[0] && !region_known(env->regions, env->fleet, bytes_of(p->region))) {
        finish(p, API_INVALID_FORM, out);
    } else {
        bool waits = p->has.kind == HOME_WAITS && strcmp(p->has.region, p->region) == 0;
        if (waits)
            p->next = p->has;
        else
            home_make(&p->next, p, NULL, env->unix_ms);
        ask(p, PLACE_LISTING, PLACE_DO_WAIT, p->next.region, out);
    }
}

static void swap_for_none(struct place *p, struct place_fxs *out)
{
    home_none(&p->next);
    ask(p, PLACE_SWAPPING, PLACE_DO_SWAP, NULL, out);
}

// The row goes when the call manager's word can be trusted; until then it makes the next sweep tell it again.
static void decide_forget(struct place *p, const struct place_env *env, struct place_fxs *out)
{
    bool there = p->has.kind == HOME_NODE && strcmp(p->has.node, p->node) == 0;
    if (there && p->has.assigned_at < p->before) {
        swap_for_none(p, out);
        return;
    }
    if (!there && !is_fresh(&p->has, env))
        emit(out, PLACE_DO_UNLIST, p->node);
    finish(p, OK, out);
}

static void decide_settle(struct place *p, const struct place_env *env, struct place_fxs *out)
{
    bool waits = p->has.kind == HOME_WAITS && strcmp(p->has.region, p->region) == 0;
    if (waits && p->gone && !is_fresh(&p->has, env)) {
        swap_for_none(p, out);
        return;
    }
    if (!waits)
        emit(out, PLACE_DO_UNWAIT, p->region);
    finish(p, OK, out);
}

static void decide(struct place *p, const struct place_env *env, struct place_fxs *out)
{
    switch (p->kind) {
    case PLACE_ASSIGN:
        decide_assign(p, env, out);
        break;
    case PLACE_RELEASE:
        if (p->has.n)
            swap_for_none(p, out);
        else
            write_answer(p, env, out);
        break;
    case PLACE_FORGET:
        decide_forget(p, env, out);
        break;
    case PLACE_SETTLE:
        decide_settle(p, env, out);
        break;
    }
}

// --- steps ---

static void looked(struct place *p, const struct place_in *in, const struct place_env *env, struct place_fxs *out)
{
    if (in->earlier.n) {
        M.commands_duplicate++;
        finish_with(p, in->earlier, out);
    } else if (in->raw.n > PLACE_RAW_MAX) {
        finish(p, ERR_IO, out);
    } else {
        home_read(&p->has, in->raw);
        decide(p, env, out);
    }
}

static void listed(struct place *p, const struct place_env *env, struct place_fxs *out)
{
    if (same_home(&p->has, &p->next))
        write_answer(p, env, out); // lives or waits there as before
    else
        ask(p, PLACE_SWAPPING, PLACE_DO_SWAP, NULL, out);
}

// The rows of where it lived before.
static void leave_old_home(struct place *p, const struct place_env *env, struct place_fxs *out)
{
    if (p->has.kind == HOME_WAITS && p->next.kind != HOME_NODE) // with a node: when that is also what was answered
        emit(out, PLACE_DO_UNWAIT, p->has.region);
    if (p->has.kind != HOME_NODE || strcmp(p->has.node, p->next.node) == 0)
        return;
    if (p->kind == PLACE_FORGET && is_fresh(&p->has, env))
        return;
    enum node_state s = fleet_state(env->fleet, bytes_of(p->has.node), env->now);
    bool lost = s == NODE_GONE || s == NODE_DRAINING;
    // Who replaces a lost node sees to it that all the call's people hear of it; the row stays until they have.
    emit(out, p->kind == PLACE_ASSIGN && lost ? PLACE_DO_LOST : PLACE_DO_UNLIST, p->has.node);
}

static void swapped(struct place *p, const struct place_env *env, struct place_fxs *out)
{
    leave_old_home(p, env, out);
    switch (p->kind) {
    case PLACE_ASSIGN:
        M.assignments += p->next.kind == HOME_NODE && place_moves(p);
        write_answer(p, env, out);
        break;
    case PLACE_RELEASE:
        write_answer(p, env, out);
        break;
    case PLACE_FORGET:
    case PLACE_SETTLE:
        finish(p, OK, out);
        break;
    }
}

static void conflict(struct place *p, const struct place_in *in, const struct place_env *env, struct place_fxs *out)
{
    if (++p->tries > PLACE_TRIES || in->raw.n > PLACE_RAW_MAX) {
        finish(p, ERR_CONFLICT, out);
        return;
    }
    if (p->kind == PLACE_RELEASE) { // whoever was first may have carried out this very command: look at that too
        ask(p, PLACE_LOOKING, PLACE_DO_LOOK, NULL, out);
        return;
    }
    home_read(&p->has, in->raw); // the row that was written for nothing stays: to take it away could hit another's
    decide(p, env, out);
}

static void written(struct place *p, const struct place_in *in, struct place_fxs *out)
{
    if (in->earlier.n) {
        M.commands_duplicate++;
        finish_with(p, in->earlier, out);
        return;
    }
    if (p->kind == PLACE_ASSIGN && p->next.kind == HOME_WAITS)
        M.assignments_refused++;
    if (p->kind == PLACE_ASSIGN && p->next.kind == HOME_NODE && p->has.kind == HOME_WAITS)
        emit(out, PLACE_DO_UNWAIT, p->has.region);
    finish(p, OK, out);
}

static bool awaited(enum place_state s, enum place_in_kind in)
{
    switch (s) {
    case PLACE_LOOKING:
        return in == PLACE_IN_LOOKED || in == PLACE_IN_FAILED;
    case PLACE_LISTING:
        return in == PLACE_IN_LISTED || in == PLACE_IN_FAILED;
    case PLACE_SWAPPING:
        return in == PLACE_IN_SWAPPED || in == PLACE_IN_CONFLICT || in == PLACE_IN_FAILED;
    case PLACE_WRITING:
        return in == PLACE_IN_WRITTEN || in == PLACE_IN_FAILED;
    case PLACE_DONE:
        return false;
    }
    return false;
}

int place_step(struct place *p, const struct place_in *in, const struct place_env *env, struct place_fxs *out)
{
    *out = (struct place_fxs){0};
    if (!awaited(p->state, in->kind))
        return ERR_STATE;
    switch (in->kind) {
    case PLACE_IN_LOOKED:
        looked(p, in, env, out);
        break;
    case PLACE_IN_LISTED:
        listed(p, env, out);
        break;
    case PLACE_IN_SWAPPED:
        swapped(p, env, out);
        break;
    case PLACE_IN_CONFLICT:
        conflict(p, in, env, out);
        break;
    case PLACE_IN_WRITTEN:
        written(p, in, out);
        break;
    case PLACE_IN_FAILED:
        finish(p, ERR_IO, out); // who asked asks again; work that nobody asked for is found again by its row
        break;
    }
    return OK;
}

// --- telling the call manager ---

bool place_is_lost(struct bytes raw, struct bytes node, uint64_t before)
{
    struct home h;
    if (raw.n > PLACE_RAW_MAX)
        return true;
    home_read(&h, raw);
    return !(h.kind == HOME_NODE && bytes_is(node, h.node) && h.assigned_at >= before);
}

bool place_may_move(const struct fleet *f, struct bytes raw, struct bytes node, uint64_t now)
{
    struct home h;
    if (raw.n > PLACE_RAW_MAX)
        return true;
    home_read(&h, raw);
    if (h.kind != HOME_NODE || !bytes_is(node, h.node))
        return true;
    return fleet_room(f, h.bound ? bytes_of(h.region) : BYTES_NONE, now) > 0;
}

enum told place_told(const struct answer *a)
{
    if (!a)
        return TOLD_NOTHING;
    if (a->err > 0) // a Discord code: no such channel, no access
        return TOLD_GONE;
    switch (a->err) {
    case OK:
        return TOLD;
    case ERR_MISSING:
    case ERR_STATE:
    case ERR_DENIED:
    case ERR_INVALID:
        return TOLD_GONE;
    }
    return TOLD_NOTHING;
}

const char *call_name(char out[CALL_NAME_MAX], uint64_t place, uint64_t channel)
{
    snprintf(out, CALL_NAME_MAX, "%" PRIu64 " %" PRIu64, place, channel);
    return out;
}

int call_named(struct bytes name, uint64_t *place, uint64_t *channel)
{
    const char *blank = name.n ? memchr(name.p, ' ', name.n) : NULL;
    if (!blank)
        return ERR_INVALID;
    struct bytes a = {name.p, (size_t)(blank - name.p)}, b = {blank + 1, name.n - a.n - 1};
    uint64_t v, w;
    if (bytes_u64(a, &v) || bytes_u64(b, &w) || !v || !w)
        return ERR_INVALID;
    *place = v;
    *channel = w;
    return OK;
}
