// job_call: what a job does to a private channel and the call in it: loads users for the events, steps, commits. Shell.
#include "errors.h"
#include "job_private.h"
#include "metrics.h"
#include <string.h>

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
    job_arrived(w.j, reply_ok(r) ? OK : ERR_IO);
}

static void want_user(struct job *j, uint64_t id)
{
    for (uint32_t i = 0; i < j->n_users; i++)
        if (j->user_ids[i] == id)
            return;
    if (id != 0 && j->n_users < USERS_MAX)
        j->user_ids[j->n_users++] = id;
}

void job_load_users(struct job *j, void (*then)(struct job *j))
{
    char key[RECORD_KEY_MAX];
    j->n_users = 0;
    want_user(j, j->before.author);
    want_user(j, j->flow.in.kind == CALL_IN_ADD || j->flow.in.kind == CALL_IN_REMOVE ? j->flow.in.targets[0] : 0);
    for (uint32_t i = 0; i < j->before.n_recipients; i++)
        want_user(j, j->before.recipients[i]);
    CHECK_ID(j->n_users > 0, j->flow.place);
    job_await(j, j->n_users, then);
    for (uint32_t i = 0; i < j->n_users; i++) {
        struct user_wanted *w = mem_alloc(sizeof *w);
        *w = (struct user_wanted){j, i};
        store_cmd(job_store(j), on_event_user, w, "HGET %s user", record_key(key, ref_user(j->user_ids[i]), "s"));
    }
}

// --- the step ---

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
            call_release_server(j->m, j->after.channel, j->after.channel);
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
            timers_forget_gateway(j->m, bytes_of(j->before.seats[i].gateway), j->after.channel, 0, j->version);
}

static void on_place_committed(void *ctx, const struct commit_result *r)
{
    struct job *j = ctx;
    if (r->err == ERR_CONFLICT) {
        job_repeat(j);
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
        if (r->err == ERR_STATE)
            job_was_applied(j, r->answer);
    }
    job_next(j, r->err == ERR_STATE ? OK : r->err);
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
    call_write(&j->scratch, &j->chan, &j->before, &j->after, &j->fxs, j->version + 1, j->last_message, users, &j->out);
    if (deadline)
        timers_want(j->m, ref_place(j->after.channel), deadline);
    if (j->step.agree)
        timers_want_agreement(j->m, j->after.channel, j->step.agree, j->now + SETTLE_MS);
    if (j->step.in.kind == CALL_IN_JOIN || j->step.in.kind == CALL_IN_MOVED)
        timers_note_gateway(j->m, bytes_of(j->step.in.gateway), j->after.channel, 0, j->version + 1);
    job_write(j, ref_place(j->after.channel), j->version, j->step.command, place_answer(j), j->out.events,
              j->out.n_events, j->out.changes, j->out.n_changes, on_place_committed);
}

int job_read_call(struct job *j, const struct reply *r)
{
    struct arena *a = &j->scratch;
    struct bytes chan = arena_copy(a, reply_text(reply_field(r, "chan")));
    struct bytes call = arena_copy(a, reply_text(reply_field(r, "call")));
    char came[CALL_CAME_MAX];
    j->last_message = j->came = 0;
    j->version = record_version(r);
    if (j->step.what == FLOW_LOOK)
        (void)!bytes_u64(reply_text(reply_field(r, call_came(came, j->step.id))), &j->came); // none: from the beginning
    if (reply_field(r, "last") && bytes_u64(reply_text(reply_field(r, "last")), &j->last_message) != OK)
        return ERR_INVALID;
    if (call_read(a, chan, call, &j->before) != OK)
        return ERR_INVALID;
    if (j->before.type && UNPACK(a, channel, chan, &j->chan) != OK)
        return ERR_INVALID;
    j->after = j->before;
    return OK;
}

void job_call_step(struct job *j)
{
    struct call_in *in = &j->step.in;
    if (j->step.change) { // what can only be done to a guild; it may have been its end
        job_denied(j, API_UNKNOWN_GUILD);
        return;
    }
    if (j->m->closed || (in->kind == CALL_IN_JOIN && lease_mint(j->m->lease, j->last_message, &in->new_id) != OK)) {
        job_next(j, ERR_IO); // no worker number just now
        return;
    }
    int err = call_step(&j->after, in, &j->m->rules, j->now, &j->fxs);
    CHECK_ID(call_valid(&j->after), j->before.channel);
    if (err != OK)
        job_denied(j, err);
    else
        job_load_users(j, write_place);
}

void job_call_may(struct job *j)
{
    const struct call_seat *seat = call_seat_of(&j->before, j->flow.user);
    j->result.sits = call_sits(&j->before, j->flow.user, j->step.in.session);
    j->result.epoch = seat ? seat->epoch : 0;
    job_next(j, call_may_join(&j->before, j->flow.user, j->step.in.bot));
}
