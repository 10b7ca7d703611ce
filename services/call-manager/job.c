// job: carries one flow (flow.h) through its steps: load, step, commit by version, and again on a conflict. Shell:
// which step is next is the flow core's business, what a step does to a place the call core's.
#include "call_record.h"
#include "errors.h"
#include "manager.h"
#include "metrics.h"
#include <stdio.h>
#include <string.h>

#define CONFLICTS_MAX 50u // in a row for one step; somebody else got through each time
#define SETTLE_MS 10000u  // an unfinished move is looked after by then
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
    uint64_t user_version; // of the record that LOCATE writes
    // The place that was last loaded, and its last step.
    uint64_t version, last, now;
    struct channel chan;
    struct call_place before, after;
    struct call_fxs fxs;
    // Users for the events.
    uint32_t n_users, users_pending;
    uint64_t user_ids[USERS_MAX];
    struct user users[USERS_MAX];
    void (*with_users)(struct job *j);
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
    j->step = flow_next(&j->flow, &j->result);
    carry_out(j);
}

// Another attempt at the same step, from its load on.
static void again(struct job *j)
{
    if (++j->conflicts > CONFLICTS_MAX)
        next(j, ERR_IO);
    else
        carry_out(j);
}

static uint64_t unix_now(const struct job *j)
{
    return loop_unix_ms(j->m->service.loop);
}

static struct bus *bus_of(const struct job *j)
{
    return j->m->service.bus;
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
    if (--w.j->users_pending == 0)
        w.j->with_users(w.j);
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
    j->with_users = then;
    j->users_pending = j->n_users;
    CHECK_ID(j->n_users > 0, j->flow.place);
    for (uint32_t i = 0; i < j->n_users; i++) {
        struct user_wanted *w = mem_alloc(sizeof *w);
        *w = (struct user_wanted){j, i};
        store_cmd(store_of(j), on_event_user, w, "HGET %s user", record_key(key, ref_user(j->user_ids[i]), "s"));
    }
}

// --- commits ---

static void commit(struct job *j, ref r, uint64_t expected, const struct call_out *out, commit_fn fn)
{
    const struct commit c = {
        .ref = r,
        .expected = expected,
        .command = j->step.command,
        .entry = message_entry(&j->scratch, r, expected + 1, j->now, out->events, out->n_events),
        .changes = out->changes,
        .n_changes = out->n_changes,
    };
    bus_commit(bus_of(j), &c, fn, j);
}

// --- FLOW_PLACE and FLOW_MAY_JOIN ---

static void count(const struct call_fx *fx)
{
    M.calls_started += fx->kind == CALL_FX_MESSAGE_CREATE;
    M.calls_ended += fx->kind == CALL_FX_RELEASE;
    M.voice_leaves += fx->kind == CALL_FX_VOICE_STATE && fx->flag;
}

static void carry_out_asks(struct job *j)
{
    for (uint32_t i = 0; i < j->fxs.n; i++) {
        const struct call_fx *fx = &j->fxs.v[i];
        count(fx);
        if (fx->kind == CALL_FX_ASSIGN)
            call_ask_server(j->m, &j->after, fx, j->now);
        else if (fx->kind == CALL_FX_RELEASE)
            call_release_server(j->m, j->after.channel);
    }
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
        carry_out_asks(j);
    }
    next(j, r->err == ERR_STATE ? OK : r->err); // ERR_STATE: this very command was applied before
}

static void write_place(struct job *j)
{
    struct user_set users = {j->n_users, j->users};
    uint64_t deadline = call_deadline(&j->after);
    call_write(&j->scratch, &j->chan, &j->before, &j->after, &j->fxs, j->last, users, &j->out);
    if (deadline)
        timers_want(j->m, ref_place(j->after.channel), deadline);
    if (j->step.in.kind == CALL_IN_JOIN)
        timers_note_gateway(j->m, j->step.in.gateway, j->after.channel);
    commit(j, ref_place(j->after.channel), j->version, &j->out, on_place_committed);
}

// The core refused. A repeated command is refused because it was applied the first time: then that counts.
static void on_applied_before(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    if (!reply_ok(r))
        next(j, ERR_IO);
    else
        next(j, reply_int(r) == 1 ? OK : j->result.err);
}

static void refused(struct job *j, int err)
{
    char key[RECORD_KEY_MAX], suffix[32];
    j->result.err = err;
    if (!j->step.command) {
        next(j, err);
        return;
    }
    snprintf(suffix, sizeof suffix, "c:%llu", (unsigned long long)j->step.command);
    store_cmd(store_of(j), on_applied_before, j, "EXISTS %s", record_key(key, ref_place(j->step.id), suffix));
}

static int read_place(struct job *j, const struct reply *r)
{
    struct arena *a = &j->scratch;
    struct bytes chan = arena_copy(a, reply_text(reply_field(r, "chan")));
    struct bytes call = arena_copy(a, reply_text(reply_field(r, "call")));
    j->last = 0;
    j->version = record_version(r);
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
    if (in->kind == CALL_IN_JOIN && lease_mint(j->m->lease, &in->new_id) != OK) {
        next(j, ERR_IO); // no worker number just now; the command is repeated
        return;
    }
    int err = call_step(&j->after, in, &j->m->rules, j->now, &j->fxs);
    CHECK_ID(call_valid(&j->after), j->before.channel);
    if (err != OK)
        refused(j, err);
    else
        load_users(j, write_place);
}

static void on_place(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    if (!reply_ok(r)) {
        next(j, ERR_IO);
        return;
    }
    if (read_place(j, r) != OK) {
        LOG(ERROR, EV("record.invalid"), KU("place", j->step.id));
        next(j, ERR_INVALID);
        return;
    }
    j->now = unix_now(j);
    if (j->step.what == FLOW_PLACE)
        step_place(j);
    else
        next(j, call_may_join(&j->before, j->flow.user, j->step.in.bot));
}

// --- FLOW_READ_USER and FLOW_LOCATE ---

static void on_user(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    struct user user;
    if (!reply_ok(r)) {
        next(j, ERR_IO);
        return;
    }
    struct bytes voice = reply_text(reply_field(r, "voice"));
    j->user_version = record_version(r);
    j->result.location = (struct location){0};
    if (UNPACK(&j->scratch, user, reply_text(reply_field(r, "user")), &user) != OK) {
        next(j, API_UNKNOWN_USER);
        return;
    }
    j->result.bot = user.bot;
    if (voice.n > 0 && UNPACK(&j->scratch, location, voice, &j->result.location) != OK) {
        LOG(ERROR, EV("record.invalid"), KU("user", user.id));
        next(j, ERR_INVALID);
        return;
    }
    next(j, OK);
}

static void on_located(void *ctx, const struct commit_result *r)
{
    struct job *j = ctx;
    if (r->err == OK) {
        j->user_version = r->version;
        M.voice_moves += j->step.timer;
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
    commit(j, r, j->user_version, &j->out, on_located);
}

// --- FLOW_WELCOME and FLOW_FAREWELL ---

static void on_record_written(void *ctx, const struct commit_result *r)
{
    struct job *j = ctx;
    if (r->err == ERR_CONFLICT)
        again(j);
    else
        next(j, r->err == ERR_STATE ? OK : r->err);
}

static void write_record(struct job *j)
{
    struct user_set users = {j->n_users, j->users};
    uint64_t user = j->step.id;
    j->now = unix_now(j);
    if (j->step.what == FLOW_WELCOME)
        call_welcome(&j->scratch, &j->chan, &j->after, user, j->version, j->last, users, &j->out);
    else
        call_farewell(&j->scratch, &j->chan, user, j->last, users, &j->out);
    commit(j, ref_user(user), j->user_version, &j->out, on_record_written);
}

static void on_record_has(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    if (!reply_ok(r))
        next(j, ERR_IO);
    else if ((reply_int(r) == 1) == (j->step.what == FLOW_WELCOME))
        next(j, OK); // it stands there already
    else
        load_users(j, write_record);
}

static void on_record_version(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    char key[RECORD_KEY_MAX];
    if (!reply_ok(r)) {
        next(j, ERR_IO);
        return;
    }
    j->user_version = 0;
    if (reply_text(r).n > 0 && bytes_u64(reply_text(r), &j->user_version) != OK) {
        next(j, ERR_INVALID);
        return;
    }
    store_cmd(store_of(j), on_record_has, j, "HEXISTS %s %llu", record_key(key, ref_user(j->step.id), "ch"),
              (unsigned long long)j->flow.place);
}

// --- the flow's steps ---

static void carry_out(struct job *j)
{
    char key[RECORD_KEY_MAX];
    // What the last place step read is still needed when the user's record follows it.
    if (j->step.what != FLOW_WELCOME && j->step.what != FLOW_FAREWELL)
        arena_reset(&j->scratch);
    switch (j->step.what) {
    case FLOW_READ_USER:
        record_load(store_of(j), ref_user(j->step.id), on_user, j);
        break;
    case FLOW_MAY_JOIN:
    case FLOW_PLACE:
        record_load(store_of(j), ref_place(j->step.id), on_place, j);
        break;
    case FLOW_LOCATE:
        locate(j);
        break;
    case FLOW_WELCOME:
    case FLOW_FAREWELL:
        store_cmd(store_of(j), on_record_version, j, "HGET %s v", record_key(key, ref_user(j->step.id), "s"));
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
    if (m->jobs.n >= m->jobs_max)
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
