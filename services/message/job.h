// job: one command on its way through load, step, commit. Shell.
// A handler is a chain of steps. A step asks for reads and commits (one round, pipelined), then waits for them and
// names the step that follows; or it ends the job. Commands for one record run one after another in this process.
// A round whose reads fail, or a commit that lost a race, starts the job again from its first step: every handler
// looks first and then does what is still missing, so starting again is always right.
#pragma once
#include "bus.h"
#include "lease.h"
#include "service.h"
#include "table.h"

struct job;
typedef void (*job_fn)(struct job *j);

struct jobs { // all of them; lives as long as the process
    struct service *service;
    struct lease *lease;
    uint64_t max;
    uint64_t channels_max; // private channels of one user; in more groups he cannot be put
    uint32_t n;
    struct job *all, *ready, **ready_tail;
    struct table keys; // of each record at work: the job that has its turn
    struct loop_flush flush;
    bool closed; // takes no more
    bool gone;   // what still runs ends without an answer
};

// What a read brought, copied: it lives as long as the job. Filled in when the round is over.
struct value {
    enum reply_kind kind;
    int64_t number;
    struct bytes text; // TEXT, STATUS
    size_t n;          // LIST
    const struct value *v;
};
// A commit to be made; everything that it points to lives in the job's arena.
struct edit {
    ref ref;
    uint64_t version; // that was read
    uint32_t n_changes, n_events;
    const struct change *changes;
    const struct event *events;
    bool final;          // this carries the command out: `answer` is kept for its repeats
    struct bytes answer; // the body
};
struct committed {
    int err; // OK, ERR_CONFLICT, ERR_TIMEOUT or ERR_STATE: as in struct commit_result
    uint64_t version;
    struct bytes answer;
};

struct job {
    struct jobs *jobs;
    struct arena arena;
    const void *msg;  // the command's message, decoded; of the type that the handler is for
    uint64_t command; // id that its commits carry
    uint64_t deadline;
    void *state;    // the handler's own, between its steps
    uint64_t given; // an id that the parent wants used; 0: none
    int err;        // of the child that ended last
    uint64_t made;  // by it: an id
    // The rest belongs to job.c.
    struct bus_from from;
    struct job *parent;
    ref key;
    struct job *behind, **tail; // waiting for the same record
    struct job *next, **prev, *next_ready;
    job_fn start, then;
    struct round *round;
    struct timer timer;
    uint32_t tries, failures; // lost races, failed rounds
    bool finished, failed, queued;
    struct bytes body;
    uint64_t result;
};

void jobs_init(struct jobs *jobs, struct service *s, uint64_t max);
void jobs_fini(struct jobs *jobs); // those in the middle of a round end when the store lets go of them
void jobs_dump(const struct jobs *jobs, struct buf *out);
// A command from the bus. key: the record that it changes, 0 for one that only reads.
void jobs_take(struct jobs *jobs, const struct bus_from *from, const struct msg *m, ref key, job_fn start);
// A command of the job's own. When it has ended, parent->err and parent->made say how, and `then` runs.
struct job *job_child(struct job *parent, const struct schema *schema, const void *m, ref key, job_fn start,
                      job_fn then);

// --- a round ---
const struct value *job_read(struct job *j, size_t argc, const struct bytes *argv); // argv is copied, its texts are not
const struct value *job_read_key(struct job *j, const char *command, ref r, const char *suffix, struct bytes arg);
// The answer that was already given to this command when it changed this record, or nil: job_applied.
const struct value *job_read_applied(struct job *j, ref r);
const struct committed *job_commit(struct job *j, const struct edit *e);
void job_wait(struct job *j, job_fn then);

// --- ends ---
void job_done(struct job *j, struct bytes body);
void job_made(struct job *j, uint64_t id, struct bytes body); // the id is for a parent
void job_refuse(struct job *j, int err);                      // a code of errors.def
void job_refuse_form(struct job *j, const struct fault *fault);
// 0: goes on. Otherwise ends it, with the form error when err is 50035. For `if (job_refused(j, …)) return;`
bool job_refused(struct job *j, int err, const struct fault *fault);
void job_again(struct job *j); // somebody else was first
// True: it took effect. Otherwise the job starts again, or ends with the answer of an earlier application.
bool job_committed(struct job *j, const struct committed *c);

// False: there is no worker number just now; the job starts again by itself. The id is greater than `after`.
MUST_USE bool job_mint(struct job *j, uint64_t after, uint64_t *id);
// True: this command was carried out before, and the job has ended with the answer of then.
bool job_applied(struct job *j, const struct value *applied);
struct bytes applied_answer(struct bytes kept); // what stands behind the version in what job_read_applied read
uint64_t job_now(const struct job *j);          // unix ms

// --- values ---
bool value_some(const struct value *v);                                       // not nil
const struct value *value_field(const struct value *hash, const char *field); // a nil value when absent
uint64_t value_u64(const struct value *v);                                    // 0 when it is no number
// Decodes a stored row into the arena. False when nil, or when it does not decode (which is logged).
bool value_row(struct job *j, const struct value *v, const struct schema *s, void *out);
