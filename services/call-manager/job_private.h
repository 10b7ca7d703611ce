// job_private: what the files of a job share: job.c carries the flow, job_call.c what it does to a private channel,
// job_guild.c to a guild.
#pragma once
#include "call_record.h"
#include "manager.h"

#define USERS_MAX (CALL_MEMBERS_MAX + 2u)
#define SETTLE_MS 1500u // what was left unfinished is looked after by then

struct guild_load; // job_guild.c: a scene being read, in the scratch arena

struct job {
    struct manager *m;
    uint64_t number, place; // place: of the flow, where it began; 0: none
    struct flow flow;
    struct flow_step step;
    struct flow_result result;
    job_fn done;
    void *ctx;
    struct job_end end;   // of the last PLACE; its body is kept
    struct arena kept;    // what the input points to; as long as the job
    struct arena scratch; // of one attempt at a step
    uint32_t conflicts;
    uint32_t replies;      // to come before `with_replies`
    int status;            // of those that came: the first that is not OK
    uint64_t user_version; // of the record that LOCATE, WELCOME and FAREWELL write
    bool bot;              // of that user
    // Steps of one place follow one another within this process: all that write it stand in line.
    struct job *behind, *last; // who is next; of the first: who is last
    bool waits, has_turn;
    // The place that was last loaded, and its last step.
    uint64_t version, last_message, now;
    bool is_guild;
    struct bytes guild_row; // in the scratch arena
    struct guild_load *guild;
    char scan[24]; // of a crowd: where to go on
    // LOOK: when the user came to the place, by its own account; whether and since when his record lists it.
    uint64_t came, listed_at;
    bool lists, lists_guild, is_member;
    const struct voice_seat *seat; // HEIR, of a guild: of the user; NULL: none
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

// job.c
void job_next(struct job *j, int err); // the step is over
void job_repeat(struct job *j);        // another attempt at it, from its load on: somebody else was first
void job_more(struct job *j);          // the same, because there is more to do
void job_await(struct job *j, uint32_t n, void (*then)(struct job *j));
void job_arrived(struct job *j, int status); // one reply of several that were asked for at once; the last one goes on
struct store *job_store(const struct job *j);
uint64_t job_unix_now(const struct job *j);
// entry: of n events. Other than the step's command and answer: 0 and none.
void job_write(struct job *j, ref r, uint64_t expected, uint64_t command, struct bytes answer,
               const struct event *events, uint32_t n_events, const struct change *changes, uint32_t n_changes,
               commit_fn fn);
void job_denied(struct job *j, int err);                  // by the core: because the command was applied before?
void job_was_applied(struct job *j, struct bytes answer); // it was: this is what is kept of it

void job_on_place(void *ctx, const struct reply *r); // of record_load: into what the job has of the place

// job_user.c: one per kind of step
void job_load_user(struct job *j);
void job_locate(struct job *j);
void job_look(struct job *j);
void job_write_record(struct job *j); // WELCOME, FAREWELL
void job_look_for_heir(struct job *j);

// job_call.c: the step, with the place loaded into chan, before and after.
int job_read_call(struct job *j, const struct reply *r);
void job_call_step(struct job *j); // PLACE
void job_call_may(struct job *j);  // MAY_JOIN
void job_load_users(struct job *j, void (*then)(struct job *j));

// job_guild.c: asks for the scene together with the place, whose replies are awaited; or, when nobody knew, after it.
void job_guild_ahead(struct job *j);
// Both steps, with its own row and version read: reads the rest of the scene.
void job_guild(struct job *j);
