// job: see job.h. A job is freed only when no reply is outstanding, so a reply never finds it gone.
#include "job.h"
#include "errors.h"
#include "message.h"

#include <inttypes.h>
#include <string.h>

#define IN_FLIGHT_MAX 128u // replies that one job waits for at a time; more are sent as they come in
#define TRIES_MAX 64u      // lost races
#define BACKOFF_MIN_MS 20u
#define BACKOFF_MAX_MS 500u
#define BODY_MAX 4194304u // of an answer (messages.def)

struct op {
    struct op *next;
    struct job *job;
    size_t argc; // 0: a commit
    const struct bytes *argv;
    struct value *value;
    struct commit commit;
    struct committed *committed;
};
struct round {
    struct op *first, **tail, *unsent;
    uint32_t in_flight;
};

static void make_ready(struct job *j, job_fn then);

// --- lists and queues ---

static void link_job(struct job *j)
{
    struct jobs *jobs = j->jobs;
    j->next = jobs->all;
    j->prev = &jobs->all;
    if (j->next)
        j->next->prev = &j->next;
    jobs->all = j;
    jobs->n++;
}

static void unlink_job(struct job *j)
{
    *j->prev = j->next;
    if (j->next)
        j->next->prev = j->prev;
    j->jobs->n--;
}

// Waits for its turn at the record, or has it at once.
static void enqueue(struct job *j)
{
    struct job *head = j->key ? table_get(&j->jobs->keys, j->key) : NULL;
    j->tail = &j->behind;
    if (head) {
        *head->tail = j;
        head->tail = &j->behind;
        return;
    }
    if (j->key)
        table_put(&j->jobs->keys, j->key, j);
    make_ready(j, j->start);
}

static void dequeue(struct job *j)
{
    if (!j->key)
        return;
    struct job *next = j->behind;
    if (!next) {
        table_remove(&j->jobs->keys, j->key);
        return;
    }
    next->tail = j->tail;
    table_put(&j->jobs->keys, j->key, next);
    make_ready(next, next->start);
}

static void free_job(struct job *j)
{
    loop_cancel(j->jobs->service->loop, &j->timer);
    unlink_job(j);
    arena_fini(&j->arena);
    mem_free(j);
}

static void end_job(struct job *j)
{
    struct job *parent = j->parent;
    dequeue(j);
    if (parent) {
        parent->err = j->err;
        parent->made = j->result;
        make_ready(parent, parent->then);
    } else {
        bus_answer(j->jobs->service->bus, &j->from, j->err, j->body);
    }
    free_job(j);
}

// --- running ---

static void run(struct job *j)
{
    job_fn then = j->then;
    j->then = NULL;
    then(j);
    if (j->finished)
        end_job(j);
    else
        CHECK_ID(j->then || timer_armed(&j->timer), j->command); // a step waits or ends
}

static void on_flush(struct loop_flush *f)
{
    struct jobs *jobs = container_of(f, struct jobs, flush);
    while (jobs->ready) {
        struct job *j = jobs->ready;
        jobs->ready = j->next_ready;
        if (!jobs->ready)
            jobs->ready_tail = &jobs->ready;
        j->next_ready = NULL;
        j->queued = false;
        run(j);
    }
}

static void make_ready(struct job *j, job_fn then)
{
    CHECK_ID(!j->queued, j->command);
    j->then = then;
    j->queued = true;
    *j->jobs->ready_tail = j;
    j->jobs->ready_tail = &j->next_ready;
    loop_flush(j->jobs->service->loop, &j->jobs->flush);
}

static void on_timer(struct timer *t, uint64_t now)
{
    struct job *j = container_of(t, struct job, timer);
    (void)now;
    make_ready(j, j->start);
}

// After something failed that may work again soon: from the start, until the asker has given up.
static void later(struct job *j)
{
    if (job_now(j) >= j->deadline) {
        job_refuse(j, API_OVERLOADED);
        return;
    }
    uint64_t wait = BACKOFF_MIN_MS << (j->failures < 5 ? j->failures : 5);
    j->failures++;
    loop_arm(j->jobs->service->loop, &j->timer, wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
}

void job_again(struct job *j)
{
    if (j->tries++ < TRIES_MAX)
        make_ready(j, j->start);
    else
        job_refuse(j, API_OVERLOADED);
}

// --- jobs ---

void jobs_init(struct jobs *jobs, struct service *s, uint64_t max)
{
    *jobs = (struct jobs){.service = s, .max = max, .flush.fn = on_flush};
    jobs->ready_tail = &jobs->ready;
}

void jobs_fini(struct jobs *jobs)
{
    struct job *next;
    jobs->closed = jobs->gone = true;
    loop_unflush(jobs->service->loop, &jobs->flush);
    for (struct job *j = jobs->all; j; j = next) {
        next = j->next;
        if (!j->round || j->round->in_flight == 0)
            free_job(j);
    }
    table_fini(&jobs->keys);
}

static struct job *job_new(struct jobs *jobs, const struct schema *schema, const void *m, ref key, job_fn start)
{
    struct job *j = mem_alloc(sizeof *j);
    struct buf packed = {0};
    void *copy = arena_take(&j->arena, schema->size);
    schema_pack(&packed, schema, m);
    CHECK(schema_unpack(&j->arena, schema, arena_copy(&j->arena, buf_bytes(&packed)), copy) == OK);
    buf_fini(&packed);
    j->jobs = jobs;
    j->msg = copy;
    j->key = key;
    j->start = start;
    j->timer.fire = on_timer;
    link_job(j);
    return j;
}

void jobs_take(struct jobs *jobs, const struct bus_from *from, const struct msg *m, ref key, job_fn start)
{
    if (jobs->closed) // unanswered, it goes to another instance
        return;
    if (jobs->n >= jobs->max) {
        M.commands_refused++;
        bus_answer(jobs->service->bus, from, API_OVERLOADED, BYTES_NONE);
        return;
    }
    struct job *j = job_new(jobs, m->schema, m->v, key, start);
    j->from = *from;
    j->command = from->command;
    j->deadline = from->deadline;
    enqueue(j);
}

struct job *job_child(struct job *parent, const struct schema *schema, const void *m, ref key, job_fn start,
                      job_fn then)
{
    struct job *j = job_new(parent->jobs, schema, m, key, start);
    j->parent = parent;
    j->deadline = parent->deadline;
    parent->then = then;
    enqueue(j);
    return j;
}

uint64_t job_now(const struct job *j)
{
    return loop_unix_ms(j->jobs->service->loop);
}

bool job_mint(struct job *j, uint64_t after, uint64_t *id)
{
    if (lease_mint(j->jobs->lease, after, id) == OK)
        return true;
    later(j);
    return false;
}

void jobs_dump(const struct jobs *jobs, struct buf *out)
{
    buf_printf(out, "jobs %u of %" PRIu64 ", lease %s\n", jobs->n, jobs->max,
               jobs->lease && lease_held(jobs->lease) ? "held" : "none");
    for (const struct job *j = jobs->all; j; j = j->next)
        buf_printf(out, "  job command=%" PRIu64 " record=%" PRIu64 " tries=%u failures=%u replies=%u%s\n", j->command,
                   j->key, j->tries, j->failures, j->round ? j->round->in_flight : 0, j->parent ? " child" : "");
}

// --- rounds ---

static struct op *op_new(struct job *j)
{
    struct op *op = arena_take(&j->arena, sizeof *op);
    if (!j->round) {
        j->round = arena_take(&j->arena, sizeof *j->round);
        j->round->tail = &j->round->first;
    }
    op->job = j;
    *j->round->tail = op;
    j->round->tail = &op->next;
    return op;
}

const struct value *job_read(struct job *j, size_t argc, const struct bytes *argv)
{
    struct op *op = op_new(j);
    struct bytes *copy = arena_take(&j->arena, argc * sizeof *copy);
    memcpy(copy, argv, argc * sizeof *copy);
    op->argc = argc;
    op->argv = copy;
    op->value = arena_take(&j->arena, sizeof *op->value);
    return op->value;
}

const struct value *job_read_key(struct job *j, const char *command, ref r, const char *suffix, struct bytes arg)
{
    char key[RECORD_KEY_MAX];
    struct bytes name = arena_copy(&j->arena, bytes_of(record_key(key, r, suffix)));
    return job_read(j, arg.p ? 3 : 2, (struct bytes[]){bytes_of(command), name, arg});
}

const struct value *job_read_applied(struct job *j, ref r)
{
    char key[RECORD_KEY_MAX];
    struct bytes name = arena_copy(&j->arena, bytes_of(record_command_key(key, r, j->command)));
    return job_read(j, 2, (struct bytes[]){BYTES("GET"), name});
}

const struct committed *job_commit(struct job *j, const struct edit *e)
{
    struct op *op = op_new(j);
    op->commit = (struct commit){
        .ref = e->ref,
        .expected = e->version,
        .command = e->final ? j->command : 0,
        .by = e->final && j->command ? j->deadline : 0, // what leads there may be finished by whoever asks next
        .answer = e->answer,
        .entry = message_entry(&j->arena, e->ref, e->version + 1, job_now(j), e->events, e->n_events),
        .changes = e->changes,
        .n_changes = e->n_changes,
    };
    op->committed = arena_take(&j->arena, sizeof *op->committed);
    return op->committed;
}

bool job_committed(struct job *j, const struct committed *c)
{
    if (c->err == ERR_STATE) {
        M.commands_duplicate++;
        job_done(j, c->answer);
    } else if (c->err == ERR_TIMEOUT) {
        job_refuse(j, API_OVERLOADED);
    } else if (c->err != OK) {
        job_again(j);
    }
    return c->err == OK;
}

static void copy_reply(struct arena *a, const struct reply *r, struct value *out)
{
    out->kind = reply_kind(r);
    out->number = reply_int(r);
    out->text = arena_copy(a, reply_text(r));
    out->n = reply_n(r);
    struct value *v = out->n ? arena_take(a, out->n * sizeof *v) : NULL;
    for (size_t i = 0; i < out->n; i++)
        copy_reply(a, reply_at(r, i), &v[i]);
    out->v = v;
}

static void send_some(struct job *j);

static void op_back(struct job *j)
{
    j->round->in_flight--;
    if (j->jobs->gone) {
        if (j->round->in_flight == 0)
            free_job(j);
        return;
    }
    if (j->failed) // what was not sent yet is not worth it any more
        j->round->unsent = NULL;
    send_some(j);
}

static void on_reply(void *ctx, const struct reply *r)
{
    struct op *op = ctx;
    struct job *j = op->job;
    if (reply_ok(r))
        copy_reply(&j->arena, r, op->value);
    else
        j->failed = true;
    if (r && !reply_ok(r))
        LOG(ERROR, EV("message.redis_refused"), KB("why", reply_text(r)));
    op_back(j);
}

static void on_commit(void *ctx, const struct commit_result *r)
{
    struct op *op = ctx;
    struct job *j = op->job;
    if (r->err == ERR_IO)
        j->failed = true;
    *op->committed = (struct committed){r->err, r->version, arena_copy(&j->arena, r->answer)};
    op_back(j);
}

static void send_some(struct job *j)
{
    struct round *round = j->round;
    while (round->unsent && round->in_flight < IN_FLIGHT_MAX) {
        struct op *op = round->unsent;
        round->unsent = op->next;
        round->in_flight++;
        if (op->argc)
            store_send(j->jobs->service->store, on_reply, op, op->argc, op->argv);
        else
            bus_commit(j->jobs->service->bus, &op->commit, on_commit, op);
    }
    if (round->in_flight)
        return;
    bool failed = j->failed;
    j->round = NULL;
    j->failed = false;
    make_ready(j, failed ? later : j->then);
}

void job_wait(struct job *j, job_fn then)
{
    j->then = then;
    if (!j->round) {
        make_ready(j, then);
        return;
    }
    j->round->unsent = j->round->first;
    send_some(j);
}

// --- ends ---

static void finish(struct job *j, int err, uint64_t result, struct bytes body)
{
    j->finished = true;
    j->err = err;
    j->result = result;
    j->body = body;
    if (body.n <= BODY_MAX)
        return;
    LOG(ERROR, EV("message.answer_too_large"), KU("bytes", body.n));
    j->err = API_OVERLOADED;
    j->body = BYTES_NONE;
}

void job_done(struct job *j, struct bytes body)
{
    finish(j, OK, 0, body);
}

void job_made(struct job *j, uint64_t id, struct bytes body)
{
    finish(j, OK, id, body);
}

void job_refuse(struct job *j, int err)
{
    finish(j, err, 0, BYTES_NONE);
}

void job_refuse_form(struct job *j, const struct fault *fault)
{
    struct buf body = {0};
    api_form_error(&body, fault);
    finish(j, API_INVALID_FORM, 0, arena_copy(&j->arena, buf_bytes(&body)));
    buf_fini(&body);
}

bool job_refused(struct job *j, int err, const struct fault *fault)
{
    if (err == API_INVALID_FORM && fault && fault->code)
        job_refuse_form(j, fault);
    else if (err)
        job_refuse(j, err);
    return err != API_OK;
}

struct bytes applied_answer(struct bytes kept)
{
    const char *colon = kept.n ? memchr(kept.p, ':', kept.n) : NULL;
    if (!colon)
        return BYTES_NONE;
    return (struct bytes){colon + 1, kept.n - (size_t)(colon + 1 - kept.p)};
}

bool job_applied(struct job *j, const struct value *applied)
{
    if (!value_some(applied))
        return false;
    M.commands_duplicate++;
    job_done(j, applied_answer(applied->text));
    return true;
}

// --- values ---

bool value_some(const struct value *v)
{
    return v->kind != REPLY_NIL;
}

const struct value *value_field(const struct value *hash, const char *field)
{
    static const struct value nil = {.kind = REPLY_NIL};
    for (size_t i = 0; i + 1 < hash->n; i += 2)
        if (bytes_is(hash->v[i].text, field))
            return &hash->v[i + 1];
    return &nil;
}

uint64_t value_u64(const struct value *v)
{
    uint64_t number = 0;
    return bytes_u64(v->text, &number) == OK ? number : 0;
}

bool value_row(struct job *j, const struct value *v, const struct schema *s, void *out)
{
    if (!value_some(v))
        return false;
    if (schema_unpack(&j->arena, s, v->text, out) == OK)
        return true;
    LOG(ERROR, EV("message.row_invalid"), KS("row", s->name), KU("bytes", v->text.n));
    memset(out, 0, s->size);
    return false;
}
