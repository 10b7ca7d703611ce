// job: carries one flow (flow.h) through its steps: load, step, commit by version, and again on a conflict. When Redis
// fails the flow ends (ERR_IO); its command or its timer row comes again. Shell: which step is next is the flow core's
// business, what a step does to a place the call core's.
#include "call_record.h"
#include "errors.h"
#include "manager.h"
#include "metrics.h"
#include <stdio.h>
#include <string.h>

#define CONFLICTS_MAX 50u // in a row for one step; somebody else got through each time
#define SETTLE_MS 1500u   // what was left unfinished is looked after by then
#define USERS_MAX (CALL_MEMBERS_MAX + 2u)

struct job {
    struct manager *m;
    uint64_t number;
    struct flow flow;
    struct flow_step step;
    struct flow_result result;
    job_fn done;
    void *ctx;
    struct arena kept;    // what the input points to; as long as the job
    struct arena scratch; // of one attempt at a step
    uint32_t conflicts;
    uint32_t replies;      // to come before `with_replies`
    int status;            // of those that came: the first that is not OK
    uint64_t user_version; // of the record that LOCATE, WELCOME and FAREWELL write
    // The place that was last loaded, and its last step.
    uint64_t version, last, now;
    // LOOK: when the user came to the place, by its own account; whether and since when his record lists it.
    uint64_t came, listed_at;
    bool lists;
    struct channel chan;
    struct call_place before, after;
    struct call_fxs fxs;
    // Users for the events.
    uint32_t n_users;
    uint64_t user_ids[USERS_MAX];
    struct user users[USERS_MAX];
    void (*with_replies)(struct job *j);
    struct call_out out;
};

static void carry_out(struct job *j);

static void finish(struct job *j, int result)
{
    uint64_t deadline = j->flow.kind == FLOW_STEP ? call_deadline(&j->after) : 0;
    job_fn done = j->done;
    void *ctx = j->ctx;
    table_remove(&j->m->jobs, j->number);
    arena_fini(&j->kept);
    arena_fini(&j->scratch);
    mem_free(j);
    done(ctx, result, deadline);
}

static void next(struct job *j, int err)
{
    j->result.err = err;
    j->conflicts = 0;
    if (j->m->closed) { // whoever gets the command next goes on from here
        finish(j, ERR_IO);
        return;
    }
    j->step = flow_next(&j->flow, &j->result);
    carry_out(j);
}

// Another attempt at the same step, from its load on.
static void again(struct job *j)
{
    if (++j->conflicts > CONFLICTS_MAX || j->m->closed)
        next(j, ERR_IO);
    else
        carry_out(j);
}

static uint64_t unix_now(const struct job *j)
{
    return loop_unix_ms(j->m->service.loop);
}

// One reply of several that were asked for at once; the last one goes on.
static void arrived(struct job *j, int status)
{
    if (j->status == OK)
        j->status = status;
    if (--j->replies > 0)
        return;
    if (j->status == ERR_IO)
        next(j, ERR_IO);
    else
        j->with_replies(j);
}

static void await(struct job *j, uint32_t n, void (*then)(struct job *j))
{
    j->replies = n;
    j->status = OK;
    j->with_replies = then;
}

static struct store *store_of(const struct job *j)
{
    return j->m->service.store;
}

// --- users for the events ---

struct user_wanted {
    struct job *j;
    uint32_t i;
};

static void on_event_user(void *ctx, const struct reply *r)
{
    struct user_wanted w = *(struct user_wanted *)ctx;
    mem_free(ctx);
    struct bytes blob = reply_text(r);
    // Who cannot be read is shown as a deleted user; a call does not wait for that.
    if (UNPACK(&w.j->scratch, user, arena_copy(&w.j->scratch, blob), &w.j->users[w.i]) != OK)
        w.j->users[w.i].id = 0;
    arrived(w.j, reply_ok(r) ? OK : ERR_IO);
}

static void want_user(struct job *j, uint64_t id)
{
    for (uint32_t i = 0; i < j->n_users; i++)
        if (j->user_ids[i] == id)
            return;
    if (id != 0 && j->n_users < USERS_MAX)
        j->user_ids[j->n_users++] = id;
}

static void load_users(struct job *j, void (*then)(struct job *j))
{
    char key[RECORD_KEY_MAX];
    j->n_users = 0;
    want_user(j, j->before.author);
    want_user(j, j->flow.in.kind == CALL_IN_ADD || j->flow.in.kind == CALL_IN_REMOVE ? j->flow.in.targets[0] : 0);
    for (uint32_t i = 0; i < j->before.n_recipients; i++)
        want_user(j, j->before.recipients[i]);
    CHECK_ID(j->n_users > 0, j->flow.place);
    await(j, j->n_users, then);
    for (uint32_t i = 0; i < j->n_users; i++) {
        struct user_wanted *w = mem_alloc(sizeof *w);
        *w = (struct user_wanted){j, i};
        store_cmd(store_of(j), on_event_user, w, "HGET %s user", record_key(key, ref_user(j->user_ids[i]), "s"));
    }
}

// --- commits ---

static void commit(struct job *j, ref r, uint64_t expected, struct bytes answer, const struct call_out *out,
                   commit_fn fn)
{
    if (j->m->closed) {
        next(j, ERR_IO);
        return;
    }
    const struct commit c = {
        .ref = r,
        .expected = expected,
        .command = j->step.command,
        .by = j->step.by,
        .answer = answer,
        .entry = message_entry(&j->scratch, r, expected + 1, j->now, out->events, out->n_events),
        .changes = out->changes,
        .n_changes = out->n_changes,
    };
    bus_commit(j->m->service.bus, &c, fn, j);
}

// --- FLOW_PLACE and FLOW_MAY_JOIN ---

static bool rung_in(const struct call_place *p, uint64_t user)
{
    for (uint32_t i = 0; i < p->n_rings; i++)
        if (p->rings[i].user == user)
            return true;
    return false;
}

static void count(const struct job *j)
{
    for (uint32_t i = 0; i < j->fxs.n; i++) {
        const struct call_fx *fx = &j->fxs.v[i];
        M.calls_started += fx->kind == CALL_FX_MESSAGE_CREATE;
        M.calls_ended += fx->kind == CALL_FX_RELEASE;
        M.voice_leaves += fx->kind == CALL_FX_VOICE_STATE && fx->flag;
        M.voice_joins += fx->kind == CALL_FX_VOICE_STATE && !fx->flag && !call_seat_of(&j->before, fx->user);
    }
    for (uint32_t i = 0; i < j->after.n_rings; i++)
        M.rings += !rung_in(&j->before, j->after.rings[i].user);
    for (uint32_t i = 0; i < j->before.n_rings && j->step.in.kind == CALL_IN_TICK; i++)
        M.rings_timed_out += !rung_in(&j->after, j->before.rings[i].user);
}

static void carry_out_asks(struct job *j)
{
    for (uint32_t i = 0; i < j->fxs.n && !j->m->closed; i++) {
        const struct call_fx *fx = &j->fxs.v[i];
        if (fx->kind == CALL_FX_ASSIGN)
            call_ask_server(j->m, &j->after, fx, j->now);
        else if (fx->kind == CALL_FX_RELEASE)
            call_release_server(j->m, j->after.channel);
    }
}

static bool holds_seat(const struct call_place *p, const char *gateway)
{
    for (uint32_t i = 0; i < p->n_seats; i++)
        if (strcmp(p->seats[i].gateway, gateway) == 0)
            return true;
    return false;
}

static void forget_gateways(struct job *j)
{
    for (uint32_t i = 0; i < j->before.n_seats && !j->m->closed; i++)
        if (!holds_seat(&j->after, j->before.seats[i].gateway))
            timers_forget_gateway(j->m, j->before.seats[i].gateway, j->after.channel, j->version);
}

static void on_place_committed(void *ctx, const struct commit_result *r)
{
    struct job *j = ctx;
    if (r->err == ERR_CONFLICT) {
        again(j);
        return;
    }
    if (r->err == OK) {
        j->version = r->version;
        count(j);
        forget_gateways(j);
        carry_out_asks(j);
    } else { // ERR_STATE: this very command was applied before. Nothing of this attempt stands
        j->after = j->before;
        j->result.applied = r->err == ERR_STATE;
    }
    next(j, r->err == ERR_STATE ? OK : r->err);
}

// What is kept of a command: the epoch of the seat that it took away.
static struct bytes place_answer(struct job *j)
{
    const struct call_seat *s = call_seat_of(&j->before, j->step.in.user);
    j->result.epoch = j->step.in.kind == CALL_IN_LEAVE && s ? s->epoch : 0;
    return arena_printf(&j->scratch, "%llu", (unsigned long long)j->result.epoch);
}

static void write_place(struct job *j)
{
    struct user_set users = {j->n_users, j->users};
    uint64_t deadline = call_deadline(&j->after);
    call_write(&j->scratch, &j->chan, &j->before, &j->after, &j->fxs, j->version + 1, j->last, users, &j->out);
    if (deadline)
        timers_want(j->m, ref_place(j->after.channel), deadline);
    if (j->step.agree)
        timers_want_agreement(j->m, j->after.channel, j->step.agree, j->now + SETTLE_MS);
    if (j->step.in.kind == CALL_IN_JOIN || j->step.in.kind == CALL_IN_MOVED)
        timers_note_gateway(j->m, j->step.in.gateway, j->after.channel, j->version + 1);
    commit(j, ref_place(j->after.channel), j->version, place_answer(j), &j->out, on_place_committed);
}

// The core refused. A repeated command is refused because it was applied the first time: then that counts.
static void on_applied_before(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    struct bytes kept = reply_text(r); // <version>:<answer>
    const char *answer = kept.n > 0 ? memchr(kept.p, ':', kept.n) : NULL;
    if (answer && bytes_u64((struct bytes){answer + 1, kept.n - (size_t)(answer + 1 - kept.p)}, &j->result.epoch) != OK)
        j->result.epoch = 0;
    next(j, !reply_ok(r) ? ERR_IO : kept.n > 0 ? OK : j->result.err);
}

static void ask_applied(struct job *j, store_fn fn)
{
    char key[RECORD_KEY_MAX];
    store_cmd(store_of(j), fn, j, "GET %s", record_command_key(key, ref_place(j->step.id), j->step.command));
}

static void refused(struct job *j, int err)
{
    j->result.err = err;
    if (j->step.command)
        ask_applied(j, on_applied_before);
    else
        next(j, err);
}

static int read_place(struct job *j, const struct reply *r)
{
    struct arena *a = &j->scratch;
    struct bytes chan = arena_copy(a, reply_text(reply_field(r, "chan")));
    struct bytes call = arena_copy(a, reply_text(reply_field(r, "call")));
    char came[CALL_CAME_MAX];
    j->last = j->came = 0;
    j->version = record_version(r);
    if (j->step.what == FLOW_LOOK)
        (void)!bytes_u64(reply_text(reply_field(r, call_came(came, j->step.id))), &j->came); // none: from the beginning
    if (reply_field(r, "last") && bytes_u64(reply_text(reply_field(r, "last")), &j->last) != OK)
        return ERR_INVALID;
    if (call_read(a, chan, call, &j->before) != OK)
        return ERR_INVALID;
    if (j->before.type && UNPACK(a, channel, chan, &j->chan) != OK)
        return ERR_INVALID;
    j->after = j->before;
    return OK;
}

static void step_place(struct job *j)
{
    struct call_in *in = &j->step.in;
    if (j->m->closed || (in->kind == CALL_IN_JOIN && lease_mint(j->m->lease, j->last, &in->new_id) != OK)) {
        next(j, ERR_IO); // no worker number just now
        return;
    }
    int err = call_step(&j->after, in, &j->m->rules, j->now, &j->fxs);
    CHECK_ID(call_valid(&j->after), j->before.channel);
    if (err != OK)
        refused(j, err);
    else
        load_users(j, write_place);
}

static void with_place(struct job *j)
{
    if (j->status != OK) {
        LOG(ERROR, EV("record.invalid"), KU("place", j->step.id));
        next(j, ERR_INVALID);
        return;
    }
    j->now = unix_now(j);
    if (j->step.what == FLOW_PLACE) {
        step_place(j);
        return;
    }
    const struct call_seat *seat = call_seat_of(&j->before, j->flow.user);
    j->result.sits = call_sits(&j->before, j->flow.user, j->step.in.session);
    j->result.epoch = seat ? seat->epoch : 0;
    next(j, call_may_join(&j->before, j->flow.user, j->step.in.bot));
}

static void on_place(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    arrived(j, reply_ok(r) ? read_place(j, r) : ERR_IO);
}

static void on_may_applied(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    j->result.applied = reply_kind(r) == REPLY_TEXT;
    arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void load_place(struct job *j)
{
    bool asks = j->step.what == FLOW_MAY_JOIN && j->step.command;
    await(j, asks ? 2 : 1, with_place);
    record_load(store_of(j), ref_place(j->step.id), on_place, j);
    if (asks)
        ask_applied(j, on_may_applied);
}

// --- FLOW_READ_USER and FLOW_LOCATE ---

static void with_user(struct job *j)
{
    if (j->status == ERR_INVALID)
        LOG(ERROR, EV("record.invalid"), KU("user", j->step.id));
    next(j, j->status == ERR_MISSING ? API_UNKNOWN_USER : j->status);
}

static int read_user_record(struct job *j, const struct reply *r)
{
    struct user user;
    struct bytes voice = reply_text(reply_field(r, "voice"));
    j->user_version = record_version(r);
    if (UNPACK(&j->scratch, user, reply_text(reply_field(r, "user")), &user) != OK)
        return ERR_MISSING;
    j->result.bot = user.bot;
    return voice.n > 0 ? UNPACK(&j->scratch, location, voice, &j->result.location) : OK;
}

static void on_user(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    arrived(j, reply_ok(r) ? read_user_record(j, r) : ERR_IO);
}

// {s:<session>}:h owner: who holds the session (services/gateway/conns.h); over: it has ended. Only its holder speaks
// for it: what another sent, or the same when it held it before, may be so late that the client has said something else
// since. No owner: the session is not in the store yet.
static void on_session(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    char from[80];
    snprintf(from, sizeof from, "%s %016llx", j->step.in.gateway, (unsigned long long)j->step.in.hold);
    struct bytes owner = reply_text(reply_at(r, 0));
    j->result.elsewhere = owner.n > 0 && !bytes_is(owner, from);
    j->result.over = reply_text(reply_at(r, 1)).n > 0;
    arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void on_channels(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    j->result.full = reply_int(r) >= (int64_t)j->m->channels_max;
    arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void load_user(struct job *j)
{
    char key[RECORD_KEY_MAX];
    const struct call_in *in = &j->step.in;
    bool spoken = in->gateway && in->gateway[0]; // JOIN, LEAVE and MOVED, by whoever holds the session
    bool adds = in->kind == CALL_IN_ADD;
    await(j, spoken || adds ? 2 : 1, with_user);
    if (spoken)
        store_cmd(store_of(j), on_session, j, "HMGET {s:%s}:h owner over", in->session);
    if (adds)
        store_cmd(store_of(j), on_channels, j, "HLEN %s", record_key(key, ref_user(j->step.id), "ch"));
    record_load(store_of(j), ref_user(j->step.id), on_user, j);
}

static void on_located(void *ctx, const struct commit_result *r)
{
    struct job *j = ctx;
    if (r->err == OK) {
        j->user_version = r->version;
        M.voice_moves += j->step.timer;
    } else if (r->err == ERR_STATE && bytes_u64(r->answer, &j->result.epoch) != OK) {
        j->result.epoch = 0;
    }
    next(j, r->err);
}

static void locate(struct job *j)
{
    struct buf blob = {0};
    ref r = ref_user(j->step.id);
    PACK(&blob, location, &j->step.location);
    j->now = unix_now(j);
    if (j->step.timer)
        timers_want(j->m, r, j->now + SETTLE_MS);
    j->out.n_events = 0;
    j->out.n_changes = 1;
    j->out.changes[0] = (struct change){CHANGE_HSET, "s", BYTES("voice"), arena_copy(&j->scratch, buf_bytes(&blob))};
    buf_fini(&blob);
    struct bytes epoch = arena_printf(&j->scratch, "%llu", (unsigned long long)j->step.location.epoch);
    commit(j, r, j->user_version, epoch, &j->out, on_located);
}

// --- FLOW_LOOK, FLOW_WELCOME and FLOW_FAREWELL ---

static void with_record(struct job *j)
{
    j->result.recipient = j->before.type && call_is_recipient(&j->before, j->step.id);
    // Of what does not exist there is nothing to tell; what he was removed from and added to again he is told anew.
    j->result.listed = j->lists && j->before.type && (!j->result.recipient || j->listed_at >= j->came);
    next(j, j->status);
}

static void on_record_version(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    struct bytes version = reply_text(r);
    j->user_version = 0;
    arrived(j, !reply_ok(r) ? ERR_IO : version.n > 0 ? bytes_u64(version, &j->user_version) : OK);
}

static void on_record_lists(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    j->listed_at = 0;
    j->lists = reply_kind(r) == REPLY_TEXT;
    (void)!bytes_u64(reply_text(r), &j->listed_at); // none: from the beginning
    arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void look(struct job *j)
{
    char key[RECORD_KEY_MAX];
    ref user = ref_user(j->step.id);
    await(j, 3, with_record);
    store_cmd(store_of(j), on_record_version, j, "HGET %s v", record_key(key, user, "s"));
    store_cmd(store_of(j), on_record_lists, j, "HGET %s %llu", record_key(key, user, "ch"),
              (unsigned long long)j->flow.place);
    record_load(store_of(j), ref_place(j->flow.place), on_place, j);
}

static void on_record_written(void *ctx, const struct commit_result *r)
{
    next(ctx, r->err);
}

static void write_record(struct job *j)
{
    struct user_set users = {j->n_users, j->users};
    uint64_t user = j->step.id;
    j->now = unix_now(j);
    if (j->step.what == FLOW_WELCOME)
        call_welcome(&j->scratch, &j->chan, &j->after, user, j->version, j->lists, j->last, users, &j->out);
    else
        call_farewell(&j->scratch, &j->chan, user, j->version, j->last, users, &j->out);
    commit(j, ref_user(user), j->user_version, BYTES_NONE, &j->out, on_record_written);
}

// --- FLOW_HEIR ---

struct seat_held { // by whom?
    struct job *j;
    uint32_t i; // of the place's seats
};

static void on_seat_holder(void *ctx, const struct reply *r)
{
    struct seat_held w = *(struct seat_held *)ctx;
    const struct call_seat *s = &w.j->before.seats[w.i];
    struct flow_heir *heir = &w.j->result.heir;
    struct bytes holder = session_holder(reply_text(r));
    mem_free(ctx);
    if (holder.n > 0 && !bytes_is(holder, s->gateway) &&
        bytes_copy(heir->gateway, sizeof heir->gateway, holder) == OK) {
        heir->user = s->user;
        memcpy(heir->session, s->session, sizeof heir->session);
    }
    arrived(w.j, reply_ok(r) ? OK : ERR_IO);
}

static void with_heir(struct job *j)
{
    next(j, j->status);
}

static void with_seats(struct job *j)
{
    char key[RECORD_KEY_MAX];
    if (j->status != OK) {
        next(j, j->status);
        return;
    }
    await(j, 1, with_heir); // this function's own, for when there is nobody to ask about
    for (uint32_t i = 0; i < j->before.n_seats; i++) {
        if (strcmp(j->before.seats[i].gateway, j->step.in.gateway) != 0)
            continue;
        struct seat_held *w = mem_alloc(sizeof *w);
        *w = (struct seat_held){j, i};
        j->replies++;
        store_cmd(store_of(j), on_seat_holder, w, "HGET %s owner", session_key_of(key, j->before.seats[i].session));
    }
    arrived(j, OK);
}

static void look_for_heir(struct job *j)
{
    await(j, 1, with_seats);
    record_load(store_of(j), ref_place(j->step.id), on_place, j);
}

// --- the flow's steps ---

static void carry_out(struct job *j)
{
    // What LOOK read is still needed when the user's record follows it.
    if (j->step.what != FLOW_WELCOME && j->step.what != FLOW_FAREWELL)
        arena_reset(&j->scratch);
    j->result = (struct flow_result){0};
    switch (j->step.what) {
    case FLOW_READ_USER:
        load_user(j);
        break;
    case FLOW_MAY_JOIN:
    case FLOW_PLACE:
        load_place(j);
        break;
    case FLOW_LOCATE:
        locate(j);
        break;
    case FLOW_LOOK:
        look(j);
        break;
    case FLOW_WELCOME:
    case FLOW_FAREWELL:
        load_users(j, write_record);
        break;
    case FLOW_HEIR:
        look_for_heir(j);
        break;
    case FLOW_DONE:
        finish(j, flow_answer(j->step.err));
        break;
    }
}

static const char *keep_text(struct job *j, const char *text)
{
    return text ? arena_text(&j->kept, bytes_of(text)) : "";
}

int job_start(struct manager *m, const struct flow *flow, job_fn done, void *ctx)
{
    if (m->jobs.n >= m->jobs_max || m->closed)
        return ERR_FULL;
    struct job *j = mem_alloc(sizeof *j);
    j->m = m;
    j->number = ++m->last_number;
    j->flow = *flow;
    j->done = done;
    j->ctx = ctx;
    struct call_in *in = &j->flow.in;
    in->session = keep_text(j, in->session);
    in->gateway = keep_text(j, in->gateway);
    in->region = keep_text(j, in->region);
    in->node = keep_text(j, in->node);
    in->endpoint = keep_text(j, in->endpoint);
    in->token = keep_text(j, in->token);
    struct bytes *regions = arena_take(&j->kept, (in->regions.n + 1) * sizeof *regions);
    for (uint32_t i = 0; i < in->regions.n; i++)
        regions[i] = arena_copy(&j->kept, in->regions.v[i]);
    in->regions.v = regions;
    table_put(&m->jobs, j->number, j);
    j->step = flow_start(&j->flow);
    carry_out(j);
    return OK;
}
