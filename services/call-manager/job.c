// job: carries one flow (flow.h) through its steps: load, step, commit by version, and again on a conflict. When Redis
// fails the flow ends (ERR_IO); its command or its timer row comes again. Shell: which step is next is the flow core's
// business, what a step does to a place the call core's.
#include "errors.h"
#include "job_private.h"
#include "metrics.h"
#include <stdio.h>
#include <string.h>

#define CONFLICTS_MAX 50u // in a row for one step; somebody else got through each time

static void carry_out(struct job *j);

// --- how much there is to do ---

static bool take_room(struct manager *m, uint64_t place)
{
    uint64_t *n = place ? table_get(&m->busy, place) : NULL;
    if (m->jobs.n >= m->jobs_max || m->closed || (n && *n >= (m->jobs_max + 1) / 2))
        return false;
    if (place && !n) {
        n = mem_alloc(sizeof *n);
        table_put(&m->busy, place, n);
    }
    if (n)
        ++*n;
    return true;
}

static void give_room(struct manager *m, uint64_t place)
{
    uint64_t *n = place ? table_get(&m->busy, place) : NULL;
    if (!n || --*n > 0)
        return;
    table_remove(&m->busy, place);
    mem_free(n);
}

static void finish(struct job *j, int result)
{
    j->end.result = result;
    if (j->flow.kind == FLOW_STEP && !j->is_guild)
        j->end.deadline = call_deadline(&j->after);
    table_remove(&j->m->jobs, j->number);
    give_room(j->m, j->place);
    j->done(j->ctx, &j->end);
    arena_fini(&j->kept);
    arena_fini(&j->scratch);
    mem_free(j);
}

// --- whose turn it is at a place: from its reading until its commit is on its way ---

// True: this job's. Else it goes on when those before it are done.
static bool take_turn(struct job *j)
{
    struct job *first = table_get(&j->m->turns, j->step.id);
    if (j->has_turn)
        return true;
    j->behind = NULL;
    if (first) {
        first->last->behind = j;
        first->last = j;
        j->waits = true;
        return false;
    }
    table_put(&j->m->turns, j->step.id, j);
    j->last = j;
    j->has_turn = true;
    return true;
}

static void give_turn(struct job *j)
{
    struct job *second = j->behind;
    if (!j->has_turn || j->m->closed) // those who wait are dropped then
        return;
    j->has_turn = false;
    if (!second) {
        table_remove(&j->m->turns, j->step.id);
        return;
    }
    table_put(&j->m->turns, j->step.id, second);
    second->last = j->last;
    second->waits = false;
    second->has_turn = true;
    carry_out(second);
}

void job_drop_waiting(struct manager *m)
{
    struct job *j;
    for (uint32_t i = 0; (j = table_next(&m->jobs, &i, NULL)) != NULL;)
        if (j->waits)
            finish(j, ERR_IO);
}

// --- steps ---

void job_next(struct job *j, int err)
{
    give_turn(j);
    j->result.err = err;
    j->conflicts = 0;
    if (j->m->closed) { // whoever gets the command next goes on from here
        finish(j, ERR_IO);
        return;
    }
    j->step = flow_next(&j->flow, &j->result);
    snprintf(j->scan, sizeof j->scan, "0");
    carry_out(j);
}

void job_repeat(struct job *j)
{
    if (++j->conflicts > CONFLICTS_MAX || j->m->closed)
        job_next(j, ERR_IO);
    else
        carry_out(j);
}

void job_more(struct job *j)
{
    j->conflicts = 0;
    if (j->m->closed)
        job_next(j, ERR_IO);
    else
        carry_out(j);
}

uint64_t job_unix_now(const struct job *j)
{
    return loop_unix_ms(j->m->service.loop);
}

void job_arrived(struct job *j, int status)
{
    if (j->status == OK)
        j->status = status;
    if (--j->replies > 0)
        return;
    if (j->status == ERR_IO)
        job_next(j, ERR_IO);
    else
        j->with_replies(j);
}

void job_await(struct job *j, uint32_t n, void (*then)(struct job *j))
{
    j->replies = n;
    j->status = OK;
    j->with_replies = then;
}

struct store *job_store(const struct job *j)
{
    return j->m->service.store;
}

void job_write(struct job *j, ref r, uint64_t expected, uint64_t command, struct bytes answer,
               const struct event *events, uint32_t n_events, const struct change *changes, uint32_t n_changes,
               commit_fn fn)
{
    if (j->m->closed) {
        job_next(j, ERR_IO);
        return;
    }
    const struct commit c = {
        .ref = r,
        .expected = expected,
        .command = command,
        .by = j->step.by,
        .answer = answer,
        .entry = message_entry(&j->scratch, r, expected + 1, j->now, events, n_events),
        .changes = changes,
        .n_changes = n_changes,
    };
    bus_commit(j->m->service.bus, &c, fn, j);
    if (j->step.what == FLOW_PLACE)
        give_turn(j); // what the next one asks Redis is asked after this
}

// --- FLOW_PLACE and FLOW_MAY_JOIN ---

void job_was_applied(struct job *j, struct bytes answer)
{
    if (j->step.change)
        j->end.body = arena_copy(&j->kept, answer);
    else if (bytes_u64(answer, &j->result.epoch) != OK)
        j->result.epoch = 0;
}

// The core refused. A repeated command is refused because it was applied the first time: then that counts.
static void on_applied_before(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    struct bytes kept = reply_text(r); // <version>:<answer>
    const char *answer = kept.n > 0 ? memchr(kept.p, ':', kept.n) : NULL;
    if (answer)
        job_was_applied(j, (struct bytes){answer + 1, kept.n - (size_t)(answer + 1 - kept.p)});
    job_next(j, !reply_ok(r) ? ERR_IO : kept.n > 0 ? OK : j->result.err);
}

static void ask_applied(struct job *j, store_fn fn)
{
    char key[RECORD_KEY_MAX];
    store_cmd(job_store(j), fn, j, "GET %s", record_command_key(key, ref_place(j->step.id), j->step.command));
}

void job_denied(struct job *j, int err)
{
    j->result.err = err;
    if (j->step.command)
        ask_applied(j, on_applied_before);
    else
        job_next(j, err);
}

static void invalid(struct job *j)
{
    LOG(ERROR, EV("record.invalid"), KU("place", j->step.id));
    job_next(j, ERR_INVALID);
}

static void with_place(struct job *j)
{
    bool steps = j->step.what == FLOW_PLACE;
    j->now = job_unix_now(j);
    j->result.guild = j->is_guild;
    if (j->status != OK)
        invalid(j);
    else if (j->is_guild)
        job_guild(j);
    else
        (steps ? job_call_step : job_call_may)(j);
}

static int read_place(struct job *j, const struct reply *r)
{
    const struct reply *guild = reply_field(r, "guild");
    j->is_guild = guild != NULL;
    if (!guild)
        return job_read_call(j, r);
    j->version = record_version(r);
    j->guild_row = arena_copy(&j->scratch, reply_text(guild));
    return OK;
}

void job_on_place(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    job_arrived(j, reply_ok(r) ? read_place(j, r) : ERR_IO);
}

static void on_may_applied(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    j->result.applied = reply_kind(r) == REPLY_TEXT;
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void load_place(struct job *j)
{
    bool asks = j->step.what == FLOW_MAY_JOIN && j->step.command;
    job_await(j, asks ? 2 : 1, with_place);
    record_load(job_store(j), ref_place(j->step.id), job_on_place, j);
    if (asks)
        ask_applied(j, on_may_applied);
    if (flow_at_guild(&j->step))
        job_guild_ahead(j);
}

// --- the flow's steps ---

static void carry_out(struct job *j)
{
    // What LOOK read is still needed when the user's record follows it.
    if (j->step.what != FLOW_WELCOME && j->step.what != FLOW_FAREWELL)
        arena_reset(&j->scratch);
    j->result = (struct flow_result){0};
    j->guild = NULL;
    switch (j->step.what) {
    case FLOW_READ_USER:
        job_load_user(j);
        break;
    case FLOW_MAY_JOIN:
        load_place(j);
        break;
    case FLOW_PLACE:
        if (take_turn(j))
            load_place(j);
        break;
    case FLOW_LOCATE:
        job_locate(j);
        break;
    case FLOW_LOOK:
        job_look(j);
        break;
    case FLOW_WELCOME:
    case FLOW_FAREWELL:
        job_write_record(j);
        break;
    case FLOW_HEIR:
        job_look_for_heir(j);
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

// Of what a guild's half can say only its message points anywhere.
static const struct guild_in *keep_change(struct job *j, const struct guild_in *change)
{
    const struct schema *s = guild_schema(change->kind);
    struct guild_in *kept = arena_take(&j->kept, sizeof *kept);
    *kept = *change;
    if (!s)
        return kept;
    void *msg = arena_take(&j->kept, s->size);
    CHECK_ID(schema_unpack(&j->kept, s, schema_packed(&j->kept, s, change->msg), msg) == OK, change->target);
    kept->msg = msg;
    return kept;
}

int job_start(struct manager *m, const struct flow *flow, job_fn done, void *ctx)
{
    if (!take_room(m, flow->place))
        return ERR_FULL;
    struct job *j = mem_alloc(sizeof *j);
    j->m = m;
    j->number = ++m->last_number;
    j->place = flow->place;
    j->flow = *flow;
    j->done = done;
    j->ctx = ctx;
    snprintf(j->scan, sizeof j->scan, "0");
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
    if (j->flow.change)
        j->flow.change = keep_change(j, j->flow.change);
    table_put(&m->jobs, j->number, j);
    j->step = flow_start(&j->flow);
    carry_out(j);
    return OK;
}
