// flow: see flow.h. One function per kind; `at` says which step's result has just come in.
#include "flow.h"
#include "errors.h"
#include <stdio.h>

#define FLOW_HEIRS_MAX (2u * CALL_MEMBERS_MAX)

bool flow_failed(int err)
{
    return err == ERR_IO || err == ERR_TIMEOUT || err == ERR_FULL || err == ERR_CONFLICT;
}

int flow_answer(int result)
{
    return result == ERR_STATE ? OK : result;
}

static struct flow_step done(const struct flow *f, int err)
{
    (void)f;
    return (struct flow_step){.what = FLOW_DONE, .err = err};
}

static struct flow_step user_step(struct flow *f, enum flow_what what, uint64_t user)
{
    uint64_t guild = f->kind == FLOW_AGREE ? f->place : f->in.guild;
    return (struct flow_step){.what = what, .id = user, .in = f->in, .guild = guild};
}

const char *flow_location(char out[FLOW_LOCATION_MAX], bool bot, uint64_t guild)
{
    int n = bot ? snprintf(out, FLOW_LOCATION_MAX, "voice:%llu", (unsigned long long)guild)
                : snprintf(out, FLOW_LOCATION_MAX, "voice");
    CHECK_ID(n > 0 && n < (int)FLOW_LOCATION_MAX, guild);
    return out;
}

static struct flow_step read_user(struct flow *f)
{
    f->at = FLOW_AT_READ;
    return user_step(f, FLOW_READ_USER, f->user);
}

static struct flow_step read_again(struct flow *f)
{
    return ++f->tries < FLOW_TRIES_MAX ? read_user(f) : done(f, ERR_CONFLICT);
}

static uint64_t command_id(const struct flow *f, uint64_t part)
{
    return f->command ? f->command + part : 0;
}

// The step that the command is about. Leaving what is stale needs no id: the epoch makes it safe to repeat.
static struct flow_step main_step(struct flow *f, uint64_t place)
{
    f->at = FLOW_AT_STEP;
    struct flow_step s = {.what = FLOW_PLACE, .id = place, .command = command_id(f, 0), .by = f->by, .in = f->in};
    s.change = f->change;
    if (f->kind == FLOW_ADD || f->kind == FLOW_REMOVE)
        s.agree = f->in.targets[0];
    else if (f->kind == FLOW_JOIN && !f->sits)
        s.agree = f->user;
    return s;
}

static struct flow_step leave_stale(struct flow *f, uint64_t place, uint64_t epoch)
{
    const struct call_in in = {.kind = CALL_IN_LEAVE, .user = f->user, .session = "", .epoch = epoch};
    return (struct flow_step){.what = FLOW_PLACE, .id = place, .in = in};
}

static struct flow_step leave_older(struct flow *f)
{
    f->at = FLOW_AT_OLDER; // somebody died in the middle of an earlier move of this user
    return leave_stale(f, f->location.leaving, f->location.epoch);
}

static struct flow_step settle(struct flow *f, struct location to)
{
    f->at = FLOW_AT_SETTLE;
    f->location = to;
    return (struct flow_step){.what = FLOW_LOCATE, .id = f->user, .location = to, .guild = f->bot ? f->in.guild : 0};
}

// Who holds the session now has the say; and of what he has said, the last. A repeat that lay somewhere while the user
// was told the answer, and has said something else since, comes too late.
static bool outdated(const struct flow *f, const struct flow_result *r)
{
    return r->elsewhere || (f->in.hold && f->in.hold == r->location.hold && f->in.turn < r->location.turn);
}

// Where he is from now on, because of this flow's input.
static struct location gone_to(const struct flow *f, struct location to)
{
    to.hold = f->in.hold;
    to.turn = f->in.turn;
    return to;
}

static struct flow_step check(struct flow *f)
{
    f->at = FLOW_AT_CHECK;
    return user_step(f, FLOW_READ_USER, f->user);
}

// Settling that came too late or met a rival looks again; failing is no harm, the row or the next move sees to it.
static struct flow_step settled(struct flow *f, const struct flow_result *r)
{
    return r->err == ERR_CONFLICT && ++f->tries < FLOW_TRIES_MAX ? check(f) : done(f, f->result);
}

// --- JOIN ---

static struct flow_step sit_down(struct flow *f)
{
    f->in.epoch = f->location.epoch;
    f->in.stays = f->sits;
    return main_step(f, f->place);
}

static struct flow_step claim_and_sit(struct flow *f)
{
    bool here = f->location.place == f->place;
    if (here && (f->sits || f->claim))
        return sit_down(f);
    f->location = gone_to(f, (struct location){.place = f->place,
                                               .channel = f->in.guild ? f->in.channel : f->place,
                                               .epoch = f->location.epoch + 1,
                                               .leaving = here ? 0 : f->location.place});
    f->sits = false;
    f->at = FLOW_AT_CLAIM;
    return (struct flow_step){.what = FLOW_LOCATE,
                              .id = f->user,
                              .command = command_id(f, 1),
                              .by = f->by,
                              .location = f->location,
                              .guild = f->bot ? f->in.guild : 0,
                              .timer = f->location.leaving != 0};
}

// The user's location is elsewhere, or nowhere (who leaves makes no new epoch): no seat may stand here, of whatever
// claim. When it is here, none is in the way: whoever has claimed the place anew is about to sit down over an older
// seat. Were that taken away before, his client would be told that he left, and hang up; and did nothing come of the
// claim, he would have lost what he was acknowledged.
static struct flow_step leave_outlived(struct flow *f, const struct location *now)
{
    return leave_stale(f, f->place, now->epoch + 1);
}

static struct flow_step undo(struct flow *f, const struct location *now)
{
    f->at = FLOW_AT_UNDO;
    return leave_outlived(f, now);
}

static struct flow_step leave_over(struct flow *f)
{
    const struct call_in in = {.kind = CALL_IN_LEAVE, .user = f->user, .session = f->in.session};
    f->at = FLOW_AT_UNDO;
    return (struct flow_step){.what = FLOW_PLACE, .id = f->place, .in = in};
}

static struct flow_step may_join(struct flow *f, const struct flow_result *r)
{
    if (flow_failed(r->err))
        return done(f, r->err);
    if (r->guild != (f->in.guild != 0))
        return done(f, API_UNKNOWN_CHANNEL);
    // It has sat down before, and that could not be undone then.
    if (f->moot && r->sits && f->over)
        return leave_over(f);
    if (f->moot && r->sits && f->location.place != f->place)
        return undo(f, &f->location);
    if (f->moot)
        return done(f, ERR_STATE);
    if (r->err != OK)
        return done(f, r->err);
    f->sits = r->sits && r->epoch == f->location.epoch; // else it sat down too late, and another claim holds
    bool holds = f->location.place == f->place && f->location.epoch == f->claim;
    if (r->applied || (f->claim && !holds)) { // what he did since counts
        f->location = (struct location){0};   // there is no move of ours to settle
        return check(f);
    }
    return f->location.leaving ? leave_older(f) : claim_and_sit(f);
}

static struct flow_step claimed(struct flow *f, const struct flow_result *r)
{
    if (r->err == ERR_STATE)
        f->claim = r->epoch;
    if (r->err == ERR_STATE || r->err == ERR_CONFLICT)
        return read_again(f);
    if (r->err != OK)
        return done(f, r->err);
    if (f->location.leaving == 0)
        return sit_down(f);
    f->at = FLOW_AT_OLD;
    return leave_stale(f, f->location.leaving, f->location.epoch);
}

static struct flow_step seated(struct flow *f, const struct flow_result *r)
{
    if (f->sits && r->err == ERR_MISSING) // he lost the seat meanwhile: another needs a claim
        return read_again(f);
    if (flow_failed(r->err))
        return done(f, r->err);
    f->result = r->err;
    return f->sits && f->location.leaving == 0 ? done(f, f->result) : check(f);
}

// Did he go elsewhere, or did his session end, between the claim and the seat? Then the seat must not stay.
static struct flow_step checked(struct flow *f, const struct flow_result *r)
{
    if (r->err != OK)
        return done(f, r->err);
    if (r->over && r->location.place == f->place)
        return leave_over(f);
    if (r->location.place != f->place)
        return undo(f, &r->location);
    if (r->location.epoch != f->location.epoch || r->location.leaving == 0) // a newer claim is not ours to settle
        return done(f, f->result);
    struct location to = r->location;
    to.leaving = 0;
    return settle(f, to);
}

static struct flow_step join_next(struct flow *f, const struct flow_result *r)
{
    switch (f->at) {
    case FLOW_AT_READ:
        if (r->err != OK)
            return done(f, r->err);
        f->over = r->over;
        f->moot = r->over || outdated(f, r);
        f->location = r->location;
        f->in.bot = f->bot = r->bot;
        f->at = FLOW_AT_MAY;
        return (struct flow_step){.what = FLOW_MAY_JOIN, .id = f->place, .command = command_id(f, 0), .in = f->in};
    case FLOW_AT_MAY:
        return may_join(f, r);
    case FLOW_AT_OLDER:
        return flow_failed(r->err) ? done(f, r->err) : claim_and_sit(f);
    case FLOW_AT_CLAIM:
        return claimed(f, r);
    case FLOW_AT_OLD:
        return flow_failed(r->err) ? done(f, r->err) : sit_down(f);
    case FLOW_AT_STEP:
        return seated(f, r);
    case FLOW_AT_CHECK:
        return checked(f, r);
    case FLOW_AT_UNDO:
        return done(f, flow_failed(r->err) ? r->err : f->result);
    case FLOW_AT_SETTLE:
        return settled(f, r);
    case FLOW_AT_START:
    case FLOW_AT_LOOK:
    case FLOW_AT_RECORD:
    case FLOW_AT_HEIR:
    case FLOW_AT_MOVED:
        break;
    }
    CHECK_ID(false, f->user);
    return done(f, ERR_STATE);
}

// --- LEAVE ---

// A session of a bot has a voice state in any number of guilds: one after another, each as if it were the only one.
static struct flow_step next_guild(struct flow *f)
{
    if (f->nth == f->guilds.n)
        return done(f, ERR_STATE);
    f->in.guild = f->guilds.v[f->nth++];
    f->tries = 0;
    f->result = OK;
    return read_user(f);
}

static struct flow_step leave_here(struct flow *f)
{
    uint64_t place = f->location.place;
    return place && (!f->in.guild || f->in.guild == place) ? main_step(f, place) : done(f, ERR_STATE);
}

static bool is_said(const struct flow *f) // by whoever holds the session; else it is over
{
    return f->in.gateway && f->in.gateway[0];
}

// The seat that went was of the claim that holds, or that claim is by the same client, who has said since that he
// leaves: nobody is about to sit down. Else another session of his is. Applied before: when his location says that he
// came back since, he did; else something late has sat down that has to go (FLOW_AGREE), which it does from nowhere.
static struct flow_step left(struct flow *f, const struct flow_result *r)
{
    bool own = f->in.hold && f->in.hold == f->location.hold && !r->applied;
    if (r->err != OK || (r->epoch != f->location.epoch && !own))
        return done(f, r->err);
    return settle(f, gone_to(f, (struct location){.epoch = f->location.epoch}));
}

static struct flow_step leave_next(struct flow *f, const struct flow_result *r)
{
    switch (f->at) {
    case FLOW_AT_READ:
        if (r->err != OK || outdated(f, r))
            return done(f, r->err != OK ? r->err : ERR_STATE);
        if (r->bot && !f->in.guild && is_said(f))
            return done(f, ERR_STATE); // out of which?
        f->bot = r->bot;
        if (r->bot && !f->in.guild) {
            f->guilds = r->guilds;
            return next_guild(f);
        }
        f->location = r->location;
        return f->location.leaving ? leave_older(f) : leave_here(f);
    case FLOW_AT_OLDER:
        return flow_failed(r->err) ? done(f, r->err) : leave_here(f);
    case FLOW_AT_STEP:
        return left(f, r);
    case FLOW_AT_CHECK:
        if (r->err != OK || r->location.epoch != f->location.epoch) // whoever moved him since has settled it
            return done(f, f->result);
        return settle(f, gone_to(f, (struct location){.epoch = f->location.epoch}));
    case FLOW_AT_SETTLE:
        return settled(f, r);
    case FLOW_AT_START:
    case FLOW_AT_MAY:
    case FLOW_AT_CLAIM:
    case FLOW_AT_OLD:
    case FLOW_AT_UNDO:
    case FLOW_AT_LOOK:
    case FLOW_AT_RECORD:
    case FLOW_AT_HEIR:
    case FLOW_AT_MOVED:
        break;
    }
    CHECK_ID(false, f->user);
    return done(f, ERR_STATE);
}

// --- MOVED ---

static struct flow_step moved_next(struct flow *f, const struct flow_result *r)
{
    if (f->at != FLOW_AT_READ || r->err != OK)
        return done(f, r->err);
    if (r->elsewhere)
        return done(f, ERR_STATE);
    if (r->bot && !f->in.guild) {
        f->guilds = r->guilds;
        return next_guild(f);
    }
    return r->location.place ? main_step(f, r->location.place) : done(f, ERR_STATE);
}

// --- SETTLE ---

static struct flow_step settle_next(struct flow *f, const struct flow_result *r)
{
    if (f->at == FLOW_AT_SETTLE && r->err == ERR_CONFLICT)
        return read_again(f);
    if (f->at == FLOW_AT_SETTLE || flow_failed(r->err))
        return done(f, r->err);
    if (f->at == FLOW_AT_OLDER) {
        f->location.leaving = 0;
        return settle(f, f->location);
    }
    if (r->err != OK || r->location.leaving == 0)
        return done(f, r->err);
    f->location = r->location;
    return leave_older(f);
}

// --- SWEEP ---

static struct flow_step next_heir(struct flow *f)
{
    f->at = FLOW_AT_HEIR;
    f->in.user = f->user;
    return (struct flow_step){.what = FLOW_HEIR, .id = f->place, .in = f->in};
}

static struct flow_step sweep_next(struct flow *f, const struct flow_result *r)
{
    if (flow_failed(r->err) || f->at == FLOW_AT_STEP)
        return done(f, r->err);
    if (f->at == FLOW_AT_MOVED)
        return ++f->tries < FLOW_HEIRS_MAX ? next_heir(f) : done(f, ERR_CONFLICT);
    if (r->heir.user == 0)
        return main_step(f, f->place);
    f->heir = r->heir;
    f->at = FLOW_AT_MOVED;
    const struct call_in in = {
        .kind = CALL_IN_MOVED, .user = f->heir.user, .session = f->heir.session, .gateway = f->heir.gateway};
    return (struct flow_step){.what = FLOW_PLACE, .id = f->place, .in = in};
}

// --- ADD and REMOVE: the place first, then the user's own record is made to agree with it ---

static struct flow_step look(struct flow *f)
{
    f->at = FLOW_AT_LOOK;
    return (struct flow_step){.what = FLOW_LOOK, .id = f->in.targets[0]};
}

// Who comes to a guild is welcomed by whoever took him in: its members are not ours.
static bool differs(const struct flow_result *r)
{
    return r->recipient != r->listed && !(r->guild && r->recipient);
}

// Also after a refusal that an unfinished command of before would explain.
static bool record_may_differ(const struct flow *f)
{
    if (f->kind == FLOW_ADD)
        return f->result == OK || f->result == ERR_STATE;
    if (f->change)
        return f->result == OK || f->result == API_UNKNOWN_MEMBER ||
               (f->result == API_UNKNOWN_GUILD && f->change->actor == f->change->target);
    return f->result == OK || f->result == API_INVALID_RECIPIENTS ||
           (f->result == API_UNKNOWN_CHANNEL && f->in.user == f->in.targets[0]);
}

static struct flow_step recipient_next(struct flow *f, const struct flow_result *r)
{
    if (flow_failed(r->err) && !(f->at == FLOW_AT_RECORD && r->err == ERR_CONFLICT))
        return done(f, r->err);
    switch (f->at) {
    case FLOW_AT_READ:
        f->in.full = r->full;
        return r->err != OK || r->bot ? done(f, API_INVALID_RECIPIENTS) : main_step(f, f->place);
    case FLOW_AT_STEP:
        f->result = r->err;
        return record_may_differ(f) ? look(f) : done(f, f->result);
    case FLOW_AT_LOOK:
        if (r->err != OK || !differs(r))
            return done(f, f->result);
        f->at = FLOW_AT_RECORD;
        return (struct flow_step){.what = r->recipient ? FLOW_WELCOME : FLOW_FAREWELL, .id = f->in.targets[0]};
    case FLOW_AT_RECORD: // the place may have changed while the record was written
        return ++f->tries < FLOW_TRIES_MAX ? look(f) : done(f, ERR_CONFLICT);
    case FLOW_AT_START:
    case FLOW_AT_MAY:
    case FLOW_AT_OLDER:
    case FLOW_AT_CLAIM:
    case FLOW_AT_OLD:
    case FLOW_AT_CHECK:
    case FLOW_AT_UNDO:
    case FLOW_AT_SETTLE:
    case FLOW_AT_HEIR:
    case FLOW_AT_MOVED:
        break;
    }
    CHECK_ID(false, f->place);
    return done(f, ERR_STATE);
}

// --- AGREE ---

// Whoever sat down, or changed who belongs to the place, may have died before the rest was done.
static struct flow_step agree_next(struct flow *f, const struct flow_result *r)
{
    switch (f->at) {
    case FLOW_AT_LOOK:
        if (r->err == OK && differs(r))
            return recipient_next(f, r);
        return flow_failed(r->err) ? done(f, r->err) : read_user(f);
    case FLOW_AT_RECORD:
        return recipient_next(f, r);
    case FLOW_AT_READ:
        if (r->err != OK || r->location.place == f->place)
            return done(f, r->err);
        f->at = FLOW_AT_OLDER;
        return leave_outlived(f, &r->location);
    case FLOW_AT_OLDER:
        return done(f, flow_failed(r->err) ? r->err : OK);
    case FLOW_AT_START:
    case FLOW_AT_MAY:
    case FLOW_AT_CLAIM:
    case FLOW_AT_OLD:
    case FLOW_AT_STEP:
    case FLOW_AT_CHECK:
    case FLOW_AT_UNDO:
    case FLOW_AT_SETTLE:
    case FLOW_AT_HEIR:
    case FLOW_AT_MOVED:
        break;
    }
    CHECK_ID(false, f->place);
    return done(f, ERR_STATE);
}

// --- all ---

struct flow_step flow_start(struct flow *f)
{
    f->tries = 0;
    f->result = OK;
    f->sits = f->moot = f->over = f->bot = false;
    f->claim = 0;
    f->guilds = (struct ids){0};
    f->nth = 0;
    switch (f->kind) {
    case FLOW_JOIN:
    case FLOW_LEAVE:
    case FLOW_MOVED:
    case FLOW_SETTLE:
        return read_user(f);
    case FLOW_ADD:
        f->at = FLOW_AT_READ;
        return user_step(f, FLOW_READ_USER, f->in.targets[0]);
    case FLOW_AGREE:
        return look(f);
    case FLOW_STEP:
    case FLOW_REMOVE:
        return main_step(f, f->place);
    case FLOW_SWEEP:
        return next_heir(f);
    }
    CHECK_ID(false, f->user);
    return done(f, ERR_STATE);
}

static struct flow_step next(struct flow *f, const struct flow_result *r)
{
    switch (f->kind) {
    case FLOW_JOIN:
        return join_next(f, r);
    case FLOW_LEAVE:
        return leave_next(f, r);
    case FLOW_MOVED:
        return moved_next(f, r);
    case FLOW_STEP:
        return done(f, r->err);
    case FLOW_ADD:
    case FLOW_REMOVE:
        return recipient_next(f, r);
    case FLOW_SETTLE:
        return settle_next(f, r);
    case FLOW_AGREE:
        return agree_next(f, r);
    case FLOW_SWEEP:
        return sweep_next(f, r);
    }
    CHECK_ID(false, f->user);
    return done(f, ERR_STATE);
}

struct flow_step flow_next(struct flow *f, const struct flow_result *r)
{
    struct flow_step s = next(f, r);
    bool others = f->nth < f->guilds.n && s.what == FLOW_DONE && !flow_failed(s.err);
    return others ? next_guild(f) : s;
}

// --- what a step means at a guild ---

bool flow_at_guild(const struct flow_step *s)
{
    return s->change || s->in.guild == s->id || (s->in.channel && s->in.channel != s->id);
}

int flow_guild_in(const struct flow_step *s, struct guild_in *out)
{
    const struct call_in *in = &s->in;
    if (s->change) {
        *out = *s->change;
        return OK;
    }
    *out = (struct guild_in){.target = in->user,
                             .channel = in->channel,
                             .session = in->session,
                             .gateway = in->gateway,
                             .epoch = in->epoch,
                             .hold = in->hold,
                             .turn = in->turn,
                             .stays = in->stays,
                             .bot = in->bot,
                             .self_mute = in->self_mute,
                             .self_deaf = in->self_deaf,
                             .self_video = in->self_video,
                             .flags = in->flags,
                             .regions = in->regions,
                             .drains = in->drains,
                             .asked_at = in->asked_at,
                             .region = in->region,
                             .node = in->node,
                             .endpoint = in->endpoint,
                             .token = in->token,
                             .token_ms = in->token_ms};
    switch (in->kind) {
    case CALL_IN_JOIN:
        out->kind = GUILD_IN_JOIN;
        return OK;
    case CALL_IN_LEAVE:
        out->kind = GUILD_IN_LEAVE;
        out->channel = in->node && in->node[0] ? in->channel : 0;
        return OK;
    case CALL_IN_MOVED:
        out->kind = GUILD_IN_MOVED;
        return OK;
    case CALL_IN_ASSIGNED:
        out->kind = GUILD_IN_ASSIGNED;
        return OK;
    case CALL_IN_SERVER_LOST:
        out->kind = GUILD_IN_SERVER_LOST;
        return OK;
    case CALL_IN_SERVER_FREE:
        out->kind = GUILD_IN_SERVER_FREE;
        return OK;
    case CALL_IN_GATEWAY_LOST:
        out->kind = GUILD_IN_GATEWAY_LOST;
        return OK;
    case CALL_IN_TICK:
        return ERR_STATE; // what is due in a guild has rows of its own
    case CALL_IN_RING:
    case CALL_IN_STOP:
    case CALL_IN_REGION:
    case CALL_IN_ADD:
    case CALL_IN_REMOVE:
    case CALL_IN_KINDS:
        break;
    }
    return API_UNKNOWN_CHANNEL;
}
