// channel_io: opening private channels and editing groups. Opening looks at what stands, does the one step that is
// missing and looks again, so whoever repeats it, or opens it at the same time, ends with the same channel.
#include "channel.h"
#include "directory_io.h"
#include "errors.h"
#include "message_io.h"

struct opening_work {
    struct opening opening;
    struct users_read users_read; // the opening's recipients, then whoever else is in the channel
    struct user_set users;
    const struct value *claim_read, **listed_read;
    const struct value **channels_read; // how many each of the names has
    struct place_read place_read;
    struct place_state place;
    uint32_t n_commits;
    const struct committed **commits;
};

ref key_channel_open(const void *msg)
{
    const struct channel_open *open = msg;
    uint64_t lowest = open->user;
    if (!open->group && open->recipients.n == 1 && open->recipients.v[0] < lowest)
        lowest = open->recipients.v[0]; // who holds the claim
    return ref_user(lowest);
}

static void open_again(struct job *j)
{
    const struct opening_work *w = j->state;
    for (uint32_t i = 0; i < w->n_commits; i++) {
        if (w->commits[i]->err != OK) { // somebody else was first: with the same step, or with another one
            job_again(j);
            return;
        }
    }
    start_channel_open(j);
}

static void commits_new(struct job *j, struct opening_work *w, uint32_t n)
{
    w->n_commits = 0;
    w->commits = arena_take(&j->arena, ((size_t)n + 1) * sizeof *w->commits);
}

// The id of a group is kept as the answer of this command, that of a 1:1 channel with the lower of the two users.
static void claim(struct job *j, struct opening_work *w)
{
    const struct opening *o = &w->opening;
    struct change *change = arena_take(&j->arena, sizeof *change);
    uint64_t id, holder = o->group ? o->by : opening_lower(o);
    if (!job_mint(j, 0, &id))
        return;
    struct edit edit = {.ref = ref_user(holder), .final = o->group, .answer = id_text(j, id)};
    for (uint32_t i = 0; i < w->users_read.ids.n; i++)
        if (w->users_read.ids.v[i] == holder)
            edit.version = user_state(j, w->users_read.v[i]).version;
    if (!o->group) {
        *change = (struct change){CHANGE_HSET, "dm", id_text(j, opening_upper(o)), id_text(j, id)};
        edit.changes = change;
        edit.n_changes = 1;
    }
    commits_new(j, w, 1);
    w->commits[w->n_commits++] = job_commit(j, &edit);
    job_wait(j, open_again);
}

static void create(struct job *j, struct opening_work *w)
{
    struct change *change = arena_take(&j->arena, sizeof *change);
    struct channel c = opening_channel(&w->opening, w->place_read.id);
    *change = row_change(j, "s", BYTES("chan"), &schema_channel, &c);
    set_add(j, "dir:channels", c.id);
    commits_new(j, w, 1);
    w->commits[w->n_commits++] = job_commit(
        j, &(struct edit){.ref = ref_place(c.id), .version = w->place.version, .changes = change, .n_changes = 1});
    job_wait(j, open_again);
}

static void list_with(struct job *j, struct opening_work *w, uint32_t at)
{
    const struct channel *c = w->place.c;
    uint64_t user = w->opening.recipients.v[at];
    struct change *changes = arena_take(&j->arena, 2 * sizeof *changes);
    struct event *event = arena_take(&j->arena, sizeof *event);
    uint32_t n = 0;
    changes[n++] = (struct change){CHANGE_HSET, "ch", id_text(j, c->id), BYTES_NONE};
    if (c->type == CHANNEL_DM) {
        uint64_t peer = ids_without(&j->arena, w->opening.recipients, user).v[0];
        changes[n++] = (struct change){CHANGE_HSET, "dm", id_text(j, peer), id_text(j, c->id)};
    }
    *event = channel_created_event(&j->arena, c, w->place.version, w->place.last, w->users, user);
    w->commits[w->n_commits++] = job_commit(j, &(struct edit){.ref = ref_user(user),
                                                              .version = user_state(j, w->users_read.v[at]).version,
                                                              .changes = changes,
                                                              .n_changes = n,
                                                              .events = event,
                                                              .n_events = 1});
}

static void open_step(struct job *j)
{
    struct opening_work *w = j->state;
    const struct opening *o = &w->opening;
    struct opening_view view = {.id = w->place_read.id, .c = w->place.c};
    bool *listed = arena_take(&j->arena, o->recipients.n);
    for (uint32_t i = 0; i < o->recipients.n && view.c; i++)
        listed[i] = w->listed_read[i]->number == 1;
    view.listed = listed;
    w->users = users_state(j, &w->users_read);
    switch (opening_step(o, &view)) {
    case OPENING_CLAIM:
        claim(j, w);
        break;
    case OPENING_CREATE:
        create(j, w);
        break;
    case OPENING_LIST:
        commits_new(j, w, o->recipients.n);
        for (uint32_t i = 0; i < o->recipients.n; i++)
            if (opening_lacks(o, &view, i))
                list_with(j, w, i);
        job_wait(j, open_again);
        break;
    case OPENING_DONE:
        job_made(j, view.id, present_channel(&j->arena, view.c, w->place.last, w->users, o->by));
        break;
    }
}

static void open_placed(struct job *j)
{
    struct opening_work *w = j->state;
    struct ids people = w->users_read.ids;
    w->place = place_state(j, w->place_read);
    for (uint32_t i = 0; w->place.c && i < w->place.c->recipients.n; i++)
        people = ids_with(&j->arena, people, w->place.c->recipients.v[i]);
    if (people.n > w->users_read.ids.n)
        w->users_read = users_read(j, people);
    job_wait(j, open_step);
}

// What is claimed so far: given by the parent, kept for this command, or held by the lower user.
static uint64_t claimed(struct job *j, const struct opening_work *w)
{
    if (j->given || !w->claim_read)
        return j->given;
    struct bytes text = w->claim_read->text;
    if (w->opening.group)
        text = applied_answer(text);
    uint64_t id = 0;
    return bytes_u64(text, &id) == OK ? id : 0;
}

static int has_room(struct job *j, const struct opening_work *w)
{
    uint32_t n = w->opening.recipients.n; // of the same names
    uint64_t *listed = arena_take(&j->arena, n * sizeof *listed);
    for (uint32_t i = 0; i < n; i++)
        listed[i] = (uint64_t)w->channels_read[i]->number;
    return opening_room(&w->opening, listed, j->jobs->channels_max);
}

static void open_looked(struct job *j)
{
    struct opening_work *w = j->state;
    struct fault fault = {0};
    struct user_set users = users_state(j, &w->users_read);
    if (job_refused(j, opening_plan(&j->arena, j->msg, users, &w->opening, &fault), &fault))
        return;
    uint64_t id = claimed(j, w);
    if (!id) {
        if (!job_refused(j, has_room(j, w), NULL))
            open_step(j);
        return;
    }
    const struct opening *o = &w->opening;
    w->place_read = place_read(j, id);
    w->listed_read = arena_take(&j->arena, o->recipients.n * sizeof *w->listed_read);
    for (uint32_t i = 0; i < o->recipients.n; i++)
        w->listed_read[i] = job_read_key(j, "HEXISTS", ref_user(o->recipients.v[i]), "ch", id_text(j, id));
    job_wait(j, open_placed);
}

void start_channel_open(struct job *j)
{
    const struct channel_open *open = j->msg;
    struct opening_work *w = arena_take(&j->arena, sizeof *w);
    struct ids names = opening_names(&j->arena, open);
    j->state = w;
    w->users_read = users_read(j, names);
    w->channels_read = arena_take(&j->arena, names.n * sizeof *w->channels_read);
    for (uint32_t i = 0; i < names.n; i++)
        w->channels_read[i] = job_read_key(j, "HLEN", ref_user(names.v[i]), "ch", BYTES_NONE);
    if (open->group || names.n > 2) {
        w->claim_read = j->given ? NULL : job_read_applied(j, ref_user(open->user));
    } else if (names.n == 2) {
        uint64_t a = names.v[0], b = names.v[1];
        w->claim_read = job_read_key(j, "HGET", ref_user(a < b ? a : b), "dm", id_text(j, a < b ? b : a));
    }
    job_wait(j, open_looked);
}

// --- edit ---

struct editing {
    struct place_read place_read;
    struct place_state place;
    const struct value *applied;
    struct channel edited;
    struct users_read users_read;
    const struct committed *committed;
    struct bytes answer;
};

static void edited(struct job *j)
{
    const struct editing *w = j->state;
    if (job_committed(j, w->committed))
        job_done(j, w->answer);
}

static void edit_step(struct job *j)
{
    const struct channel_edit *edit = j->msg;
    struct editing *w = j->state;
    struct user_set users = users_state(j, &w->users_read);
    struct change *change = arena_take(&j->arena, sizeof *change);
    struct event *events = arena_take(&j->arena, w->edited.recipients.n * sizeof *events);
    *change = row_change(j, "s", BYTES("chan"), &schema_channel, &w->edited);
    channel_updated_events(&j->arena, &w->edited, w->place.last, users, events);
    w->answer = present_channel(&j->arena, &w->edited, w->place.last, users, edit->user);
    w->committed = job_commit(j, &(struct edit){.ref = ref_place(edit->channel),
                                                .version = w->place.version,
                                                .changes = change,
                                                .n_changes = 1,
                                                .events = events,
                                                .n_events = w->edited.recipients.n,
                                                .final = true,
                                                .answer = w->answer});
    job_wait(j, edited);
}

static void edit_loaded(struct job *j)
{
    const struct channel_edit *edit = j->msg;
    struct editing *w = j->state;
    struct fault fault = {0};
    w->place = place_state(j, w->place_read);
    if (job_applied(j, w->applied) || job_refused(j, channel_access(w->place.c, edit->user), NULL) ||
        job_refused(j, channel_edit_step(w->place.c, edit, &w->edited, &fault), &fault))
        return;
    w->users_read = users_read(j, w->edited.recipients);
    job_wait(j, edit_step);
}

void start_channel_edit(struct job *j)
{
    const struct channel_edit *edit = j->msg;
    struct editing *w = arena_take(&j->arena, sizeof *w);
    j->state = w;
    w->place_read = place_read(j, edit->channel);
    w->applied = job_read_applied(j, ref_place(edit->channel));
    job_wait(j, edit_loaded);
}
