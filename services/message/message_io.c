// message_io: messages, typing and read states. See message_io.h.
#include "message_io.h"
#include "channel.h"
#include "directory_io.h"
#include "errors.h"
#include "history.h"

// What the commands about one message or channel have at hand.
struct work {
    struct place_read place_read;
    const struct value *applied, *message, *mine, *theirs;
    struct users_read users_read;
    struct place_state place;
    struct message_rec m;
    const struct committed *committed;
    struct bytes answer;
};

static struct work *work_new(struct job *j)
{
    struct work *w = arena_take(&j->arena, sizeof *w);
    j->state = w;
    return w;
}

// The channel, as far as `user` may know of it.
static bool place_refused(struct job *j, struct work *w, uint64_t user)
{
    w->place = place_state(j, w->place_read);
    return job_refused(j, channel_access(w->place.c, user), NULL);
}

static struct ids people_of(struct job *j, const struct message_rec *m)
{
    return ids_with(&j->arena, m->mentions, m->author);
}

// Commits what changed a message and waits; the answer is given when that took effect.
static void commit_message(struct job *j, struct work *w, const struct change *changes, uint32_t n, struct event event,
                           job_fn then)
{
    struct event *events = arena_take(&j->arena, sizeof *events);
    *events = event;
    w->committed = job_commit(j, &(struct edit){.ref = ref_place(w->place_read.id),
                                                .version = w->place.version,
                                                .changes = changes,
                                                .n_changes = n,
                                                .events = events,
                                                .n_events = 1,
                                                .final = true,
                                                .answer = w->answer});
    job_wait(j, then);
}

static void committed(struct job *j)
{
    const struct work *w = j->state;
    if (job_committed(j, w->committed))
        job_done(j, w->answer);
}

// --- send ---

static void sent(struct job *j)
{
    const struct work *w = j->state;
    if (!job_committed(j, w->committed))
        return;
    M.messages_created++;
    job_done(j, w->answer);
}

static void send_step(struct job *j)
{
    const struct message_send *send = j->msg;
    struct work *w = j->state;
    struct user_set users = users_state(j, &w->users_read);
    uint64_t mine = w->mine ? value_u64(w->mine) : 0, theirs = w->theirs ? value_u64(w->theirs) : 0, id;
    if (job_refused(j, message_may_send(w->place.c, mine, theirs), NULL) || !job_mint(j, w->place.last, &id))
        return;
    w->m = message_new(&j->arena, id, send, w->place.c->recipients);
    w->answer = present_message(&j->arena, &w->m, send->channel, users);
    struct change *changes = arena_take(&j->arena, MESSAGE_CHANGES_MAX * sizeof *changes);
    uint32_t n = message_added(&j->arena, &w->m, changes);
    commit_message(j, w, changes, n, message_created_event(&j->arena, &w->m, send->channel, users), sent);
}

static void send_loaded(struct job *j)
{
    const struct message_send *send = j->msg;
    struct work *w = j->state;
    if (job_applied(j, w->applied) || place_refused(j, w, send->user) ||
        job_refused(j, message_content_check(send->content), &message_too_long))
        return;
    struct ids others = ids_without(&j->arena, w->place.c->recipients, send->user);
    if (others.n == 1) {
        w->mine = relation_read(j, send->user, others.v[0]);
        w->theirs = relation_read(j, others.v[0], send->user);
    }
    w->users_read = users_read(j, w->place.c->recipients);
    job_wait(j, send_step);
}

void start_message_send(struct job *j)
{
    const struct message_send *send = j->msg;
    struct work *w = work_new(j);
    w->place_read = place_read(j, send->channel);
    w->applied = job_read_applied(j, ref_place(send->channel));
    job_wait(j, send_loaded);
}

// --- edit ---

static void edit_step(struct job *j)
{
    const struct message_edit *edit = j->msg;
    struct work *w = j->state;
    struct user_set users = users_state(j, &w->users_read);
    w->answer = present_message(&j->arena, &w->m, edit->channel, users);
    struct change *changes = arena_take(&j->arena, MESSAGE_CHANGES_MAX * sizeof *changes);
    uint32_t n = message_changed(&j->arena, &w->m, changes);
    commit_message(j, w, changes, n, message_updated_event(&j->arena, &w->m, edit->channel, users), committed);
}

static void edit_loaded(struct job *j)
{
    const struct message_edit *edit = j->msg;
    struct work *w = j->state;
    if (job_applied(j, w->applied) || place_refused(j, w, edit->user))
        return;
    const struct message_rec *m = history_message(j, w->message);
    if (job_refused(j, message_may_edit(m, edit->user), NULL) ||
        job_refused(j, message_content_check(edit->content), &message_too_long))
        return;
    w->m = message_edited(&j->arena, m, edit->content, w->place.c->recipients, job_now(j));
    w->users_read = users_read(j, people_of(j, &w->m));
    job_wait(j, edit_step);
}

void start_message_edit(struct job *j)
{
    const struct message_edit *edit = j->msg;
    struct work *w = work_new(j);
    w->place_read = place_read(j, edit->channel);
    w->applied = job_read_applied(j, ref_place(edit->channel));
    w->message = history_message_read(j, edit->channel, edit->message);
    job_wait(j, edit_loaded);
}

// --- delete ---

static void delete_step(struct job *j)
{
    const struct message_delete *delete = j->msg;
    struct work *w = j->state;
    if (job_applied(j, w->applied) || place_refused(j, w, delete->user) ||
        job_refused(j, message_may_delete(history_message(j, w->message), delete->user), NULL))
        return;
    struct change *changes = arena_take(&j->arena, MESSAGE_CHANGES_MAX * sizeof *changes);
    uint32_t n = message_removed(&j->arena, delete->message, changes);
    commit_message(j, w, changes, n, message_deleted_event(&j->arena, delete->message, delete->channel), committed);
}

void start_message_delete(struct job *j)
{
    const struct message_delete *delete = j->msg;
    struct work *w = work_new(j);
    w->place_read = place_read(j, delete->channel);
    w->applied = job_read_applied(j, ref_place(delete->channel));
    w->message = history_message_read(j, delete->channel, delete->message);
    job_wait(j, delete_step);
}

// --- get ---

static void get_answer(struct job *j)
{
    const struct message_get *get = j->msg;
    struct work *w = j->state;
    job_done(j, present_message(&j->arena, &w->m, get->channel, users_state(j, &w->users_read)));
}

static void get_loaded(struct job *j)
{
    const struct message_get *get = j->msg;
    struct work *w = j->state;
    if (place_refused(j, w, get->user))
        return;
    const struct message_rec *m = history_message(j, w->message);
    if (job_refused(j, m ? API_OK : API_UNKNOWN_MESSAGE, NULL))
        return;
    w->m = *m;
    w->users_read = users_read(j, people_of(j, m));
    job_wait(j, get_answer);
}

void start_message_get(struct job *j)
{
    const struct message_get *get = j->msg;
    struct work *w = work_new(j);
    w->place_read = place_read(j, get->channel);
    w->message = history_message_read(j, get->channel, get->message);
    job_wait(j, get_loaded);
}

// --- list ---

struct listing {
    struct place_read place_read;
    struct page page;
    const struct value *parts[PAGE_PARTS_MAX], *rows;
    uint32_t n;
    const struct message_rec *messages;
    struct users_read users_read;
};

static void list_answer(struct job *j)
{
    const struct message_list *list = j->msg;
    const struct listing *l = j->state;
    struct user_set users = users_state(j, &l->users_read);
    struct buf out = {0};
    buf_char(&out, '[');
    for (uint32_t i = 0; i < l->n; i++) {
        if (i)
            buf_char(&out, ',');
        present_message_json(&j->arena, &out, &l->messages[i], list->channel, users);
    }
    buf_char(&out, ']');
    job_done(j, arena_copy(&j->arena, buf_bytes(&out)));
    buf_fini(&out);
}

static void list_rows(struct job *j)
{
    struct listing *l = j->state;
    struct ids people = {0};
    l->n = history_messages(j, l->rows, &l->messages);
    for (uint32_t i = 0; i < l->n; i++) {
        people = ids_with(&j->arena, people, l->messages[i].author);
        for (uint32_t k = 0; k < l->messages[i].mentions.n; k++)
            people = ids_with(&j->arena, people, l->messages[i].mentions.v[k]);
    }
    l->users_read = users_read(j, people);
    job_wait(j, list_answer);
}

static void list_found(struct job *j)
{
    const struct message_list *list = j->msg;
    struct listing *l = j->state;
    struct texts found[PAGE_PARTS_MAX];
    if (job_refused(j, channel_access(place_state(j, l->place_read).c, list->user), NULL))
        return;
    for (uint32_t i = 0; i < l->page.n; i++)
        found[i] = history_part(j, l->parts[i]);
    struct ids ids = page_ids(&j->arena, &l->page, found);
    if (ids.n == 0) {
        job_done(j, BYTES("[]"));
        return;
    }
    l->rows = history_messages_read(j, list->channel, ids);
    job_wait(j, list_rows);
}

void start_message_list(struct job *j)
{
    const struct message_list *list = j->msg;
    struct listing *l = arena_take(&j->arena, sizeof *l);
    j->state = l;
    l->place_read = place_read(j, list->channel);
    page_plan(&j->arena, list, &l->page);
    for (uint32_t i = 0; i < l->page.n; i++)
        l->parts[i] = history_part_read(j, list->channel, &l->page.parts[i]);
    job_wait(j, list_found);
}

// --- ack ---

struct acking {
    struct place_read place_read;
    struct user_read user_read;
    const struct value *applied, *read_state;
    const struct committed *committed;
};
#define ACK_ANSWER BYTES("{\"token\":null}")

static void acked(struct job *j)
{
    const struct acking *w = j->state;
    if (!job_committed(j, w->committed))
        return;
    M.acks++;
    job_done(j, ACK_ANSWER);
}

static void ack_step(struct job *j)
{
    const struct message_ack *ack = j->msg;
    struct acking *w = j->state;
    struct read_state old = history_read_state(j, w->read_state), rs;
    struct user_state user = user_state(j, w->user_read);
    if (job_applied(j, w->applied) || job_refused(j, channel_access(place_state(j, w->place_read).c, ack->user), NULL))
        return;
    if (!message_ack_step(&old, ack, user.acks, &rs)) {
        job_done(j, ACK_ANSWER);
        return;
    }
    struct change *changes = arena_take(&j->arena, READ_STATE_CHANGES * sizeof *changes);
    struct event *event = arena_take(&j->arena, sizeof *event);
    history_read_state_changes(j, &rs, changes);
    *event = message_ack_event(&j->arena, ack->user, &rs);
    w->committed = job_commit(j, &(struct edit){.ref = ref_user(ack->user),
                                                .version = user.version,
                                                .changes = changes,
                                                .n_changes = READ_STATE_CHANGES,
                                                .events = event,
                                                .n_events = 1,
                                                .final = true,
                                                .answer = ACK_ANSWER});
    job_wait(j, acked);
}

void start_message_ack(struct job *j)
{
    const struct message_ack *ack = j->msg;
    struct acking *w = arena_take(&j->arena, sizeof *w);
    j->state = w;
    w->place_read = place_read(j, ack->channel);
    w->user_read = user_read(j, ack->user);
    w->applied = job_read_applied(j, ref_user(ack->user));
    w->read_state = history_read_state_read(j, ack->user, ack->channel);
    job_wait(j, ack_step);
}

// --- typing ---

static void typing_step(struct job *j)
{
    const struct typing *typing = j->msg;
    struct work *w = j->state;
    if (job_applied(j, w->applied) || place_refused(j, w, typing->user))
        return;
    commit_message(j, w, NULL, 0, message_typing_event(&j->arena, typing->user, typing->channel, job_now(j)),
                   committed);
}

void start_typing(struct job *j)
{
    const struct typing *typing = j->msg;
    struct work *w = work_new(j);
    w->place_read = place_read(j, typing->channel);
    w->applied = job_read_applied(j, ref_place(typing->channel));
    job_wait(j, typing_step);
}
