// flow: see flow.h. One function per kind; `at` says which step's result has just come in.
#include "flow.h"
#include "errors.h"

static struct flow_step done(struct flow *f, int err)
{
    (void)f;
    return (struct flow_step){.what = FLOW_DONE, .err = err};
}

static struct flow_step read_user(struct flow *f, uint64_t user)
{
    f->at = FLOW_AT_READ;
    return (struct flow_step){.what = FLOW_READ_USER, .id = user};
}

static uint64_t command_id(const struct flow *f, uint64_t part)
{
    return f->command ? f->command + part : 0;
}

static struct flow_step place_step(const struct flow *f, uint64_t place, uint64_t part, const struct call_in *in)
{
    return (struct flow_step){.what = FLOW_PLACE, .id = place, .command = command_id(f, part), .in = *in};
}

static struct flow_step locate(struct flow *f, struct location to, bool timer)
{
    f->location = to;
    return (struct flow_step){.what = FLOW_LOCATE, .id = f->user, .location = to, .timer = timer};
}

// Takes away a seat of the user that is older than his present epoch.
static struct flow_step leave_stale(const struct flow *f, uint64_t place, uint64_t part)
{
    const struct call_in in = {.kind = CALL_IN_LEAVE, .user = f->user, .session = "", .epoch = f->location.epoch};
    return place_step(f, place, part, &in);
}

static struct flow_step join_here(struct flow *f)
{
    f->at = FLOW_AT_STEP;
    f->in.epoch = f->location.epoch;
    return place_step(f, f->place, 2, &f->in);
}

static struct flow_step claim(struct flow *f)
{
    struct location to = f->location;
    if (to.place == f->place && to.leaving == 0)
        return join_here(f);
    to.leaving = to.place == f->place ? 0 : to.place;
    to.place = to.channel = f->place;
    to.epoch++;
    f->at = FLOW_AT_CLAIM;
    return locate(f, to, to.leaving != 0);
}

// Writes `to` at the end of a move; if the user's record changed meanwhile it is read again, and a newer epoch means
// that whoever moved him since does the settling.
static struct flow_step settle(struct flow *f, struct location to)
{
    f->at = FLOW_AT_SETTLE;
    return locate(f, to, false);
}

static struct flow_step settled(struct flow *f, const struct flow_result *r)
{
    if (f->at == FLOW_AT_SETTLE && r->err == ERR_CONFLICT && ++f->tries < FLOW_TRIES_MAX) {
        f->at = FLOW_AT_AGAIN;
        return (struct flow_step){.what = FLOW_READ_USER, .id = f->user};
    }
    if (f->at == FLOW_AT_AGAIN && r->err == OK && r->location.epoch == f->location.epoch)
        return settle(f, f->location);
    return done(f, f->result);
}

static struct flow_step join_next(struct flow *f, const struct flow_result *r)
{
    switch (f->at) {
    case FLOW_AT_START:
        break;
    case FLOW_AT_READ:
        if (r->err != OK)
            return done(f, r->err);
        f->location = r->location;
        f->in.bot = r->bot;
        f->at = FLOW_AT_MAY;
        return (struct flow_step){.what = FLOW_MAY_JOIN, .id = f->place, .in = f->in};
    case FLOW_AT_MAY:
        if (r->err != OK)
            return done(f, r->err);
        if (f->location.leaving == 0)
            return claim(f);
        f->at = FLOW_AT_OLDER; // somebody died in the middle of an earlier move of this user
        return leave_stale(f, f->location.leaving, 0);
    case FLOW_AT_OLDER:
        f->location.leaving = 0;
        return claim(f);
    case FLOW_AT_CLAIM:
        if (r->err == ERR_CONFLICT && ++f->tries < FLOW_TRIES_MAX)
            return read_user(f, f->user);
        if (r->err != OK)
            return done(f, r->err);
        if (f->location.leaving == 0)
            return join_here(f);
        f->at = FLOW_AT_OLD;
        return leave_stale(f, f->location.leaving, 1);
    case FLOW_AT_OLD:
        return join_here(f);
    case FLOW_AT_STEP:
        f->result = r->err;
        if (f->location.leaving == 0)
            return done(f, f->result);
        f->location.leaving = 0;
        return settle(f, f->location);
    case FLOW_AT_SETTLE:
    case FLOW_AT_AGAIN:
        return settled(f, r);
    case FLOW_AT_RECORD:
        break;
    }
    CHECK_ID(false, f->user);
    return done(f, ERR_STATE);
}

static struct flow_step leave_next(struct flow *f, const struct flow_result *r)
{
    switch (f->at) {
    case FLOW_AT_READ:
        if (r->err != OK || (r->location.place == 0 && r->location.leaving == 0))
            return done(f, r->err != OK ? r->err : ERR_STATE);
        f->location = r->location;
        if (f->location.leaving) {
            f->at = FLOW_AT_OLDER;
            return leave_stale(f, f->location.leaving, 0);
        } // fall through
    case FLOW_AT_OLDER:
        if (f->location.place == 0)
            return done(f, ERR_STATE);
        f->at = FLOW_AT_STEP;
        return place_step(f, f->location.place, 1, &f->in);
    case FLOW_AT_STEP:
        f->result = r->err;
        if (r->err != OK)
            return done(f, r->err);
        return settle(f, (struct location){.epoch = f->location.epoch});
    case FLOW_AT_SETTLE:
    case FLOW_AT_AGAIN:
        return settled(f, r);
    case FLOW_AT_START:
    case FLOW_AT_MAY:
    case FLOW_AT_CLAIM:
    case FLOW_AT_OLD:
    case FLOW_AT_RECORD:
        break;
    }
    CHECK_ID(false, f->user);
    return done(f, ERR_STATE);
}

static struct flow_step settle_next(struct flow *f, const struct flow_result *r)
{
    if (f->at == FLOW_AT_READ && r->err == OK && r->location.leaving != 0) {
        f->location = r->location;
        f->at = FLOW_AT_OLDER;
        return leave_stale(f, f->location.leaving, 0);
    }
    if (f->at == FLOW_AT_OLDER) {
        f->location.leaving = 0;
        return settle(f, f->location);
    }
    return f->at == FLOW_AT_READ ? done(f, r->err) : settled(f, r);
}

// A recipient comes or goes: the place first, then his own record.
static struct flow_step recipient_next(struct flow *f, const struct flow_result *r)
{
    bool adding = f->kind == FLOW_ADD;
    if (f->at == FLOW_AT_READ) {
        if (r->err != OK || r->bot)
            return done(f, API_INVALID_RECIPIENTS);
        f->at = FLOW_AT_STEP;
        return place_step(f, f->place, 0, &f->in);
    }
    if (f->at == FLOW_AT_STEP && (r->err == OK || (adding && r->err == ERR_STATE))) {
        f->at = FLOW_AT_RECORD;
        return (struct flow_step){
            .what = adding ? FLOW_WELCOME : FLOW_FAREWELL, .id = f->in.targets[0], .command = command_id(f, 1)};
    }
    return done(f, r->err);
}

struct flow_step flow_start(struct flow *f)
{
    f->tries = 0;
    switch (f->kind) {
    case FLOW_JOIN:
    case FLOW_LEAVE:
    case FLOW_SETTLE:
        return read_user(f, f->user);
    case FLOW_ADD:
        return read_user(f, f->in.targets[0]);
    case FLOW_STEP:
    case FLOW_REMOVE:
        f->at = FLOW_AT_STEP;
        return place_step(f, f->place, 0, &f->in);
    }
    CHECK_ID(false, f->user);
    return done(f, ERR_STATE);
}

struct flow_step flow_next(struct flow *f, const struct flow_result *r)
{
    switch (f->kind) {
    case FLOW_JOIN:
        return join_next(f, r);
    case FLOW_LEAVE:
        return leave_next(f, r);
    case FLOW_STEP:
        return done(f, r->err);
    case FLOW_ADD:
    case FLOW_REMOVE:
        return recipient_next(f, r);
    case FLOW_SETTLE:
        return settle_next(f, r);
    }
    CHECK_ID(false, f->user);
    return done(f, ERR_STATE);
}

int flow_answer(int result)
{
    return result == ERR_STATE ? OK : result;
}
