// call_record: see call_record.h.
#include "call_record.h"
#include <stdio.h>
#include <string.h>

// --- records in ---

static void read_seats(const struct call_rec *rec, struct call_place *p)
{
    for (uint32_t i = 0; i < rec->members.n && p->n_seats < CALL_MEMBERS_MAX; i++) {
        const struct call_member *m = &rec->members.v[i];
        struct call_seat *s = &p->seats[p->n_seats];
        *s = (struct call_seat){.user = m->user,
                                .epoch = m->epoch,
                                .self_mute = m->self_mute,
                                .self_deaf = m->self_deaf,
                                .self_video = m->self_video,
                                .flags = m->flags,
                                .joined_at = m->joined_at,
                                .hold = m->hold,
                                .turn = m->turn,
                                .server = (enum call_server)m->server,
                                .server_at = m->server_at};
        for (uint32_t k = 0; k < m->regions.n && s->n_regions < CALL_REGIONS_MAX; k++)
            if (bytes_copy(s->regions[s->n_regions], sizeof s->regions[0], m->regions.v[k]) == OK)
                s->n_regions++;
        if (bytes_copy(s->session, sizeof s->session, m->session) == OK &&
            bytes_copy(s->gateway, sizeof s->gateway, m->gateway) == OK)
            p->n_seats++;
    }
}

static int read_call(const struct call_rec *rec, struct call_place *p)
{
    p->id = rec->id;
    p->author = rec->author;
    p->region_chosen = rec->region_chosen;
    p->unavailable = rec->unavailable;
    if (bytes_copy(p->region, sizeof p->region, rec->region) != OK ||
        bytes_copy(p->node, sizeof p->node, rec->node) != OK ||
        bytes_copy(p->endpoint, sizeof p->endpoint, rec->endpoint) != OK)
        return ERR_INVALID;
    read_seats(rec, p);
    for (uint32_t i = 0; i < rec->ringing.n && p->n_rings < CALL_MEMBERS_MAX; i++) {
        const struct call_ringing *r = &rec->ringing.v[i];
        p->rings[p->n_rings++] = (struct call_rung){r->user, r->by, r->until};
    }
    for (uint32_t i = 0; i < rec->participants.n && p->n_participants < CALL_PARTICIPANTS_MAX; i++)
        p->participants[p->n_participants++] = rec->participants.v[i];
    return call_valid(p) ? OK : ERR_INVALID;
}

int call_read(struct arena *a, struct bytes chan, struct bytes call, struct call_place *p)
{
    struct channel c;
    struct call_rec rec;
    memset(p, 0, sizeof *p);
    if (chan.n == 0)
        return OK;
    if (UNPACK(a, channel, chan, &c) != OK || c.recipients.n > CALL_MEMBERS_MAX)
        return ERR_INVALID;
    if (c.guild != 0 || (c.type != CHANNEL_DM && c.type != CHANNEL_GROUP))
        return OK;
    struct call_place read = {.channel = c.id, .type = c.type, .owner = c.owner, .n_recipients = c.recipients.n};
    for (uint32_t i = 0; i < c.recipients.n; i++)
        read.recipients[i] = c.recipients.v[i];
    if (call.n > 0 && (UNPACK(a, call_rec, call, &rec) != OK || read_call(&rec, &read) != OK))
        return ERR_INVALID;
    *p = read;
    return OK;
}

// --- records out ---

// The call as it was when an effect was emitted: n_seats, n_participants and the rings are the effect's.
static struct call_rec record_of(struct arena *a, const struct call_place *p, const struct call_fx *fx)
{
    struct call_member *members = arena_take(a, (fx->n_seats + 1) * sizeof *members);
    struct call_ringing *ringing = arena_take(a, (fx->n_rings + 1) * sizeof *ringing);
    for (uint32_t i = 0; i < fx->n_seats; i++) {
        const struct call_seat *s = &p->seats[i];
        struct bytes *regions = arena_take(a, (s->n_regions + 1) * sizeof *regions);
        for (uint32_t k = 0; k < s->n_regions; k++)
            regions[k] = bytes_of(s->regions[k]);
        members[i] = (struct call_member){.user = s->user,
                                          .session = bytes_of(s->session),
                                          .gateway = bytes_of(s->gateway),
                                          .epoch = s->epoch,
                                          .self_mute = s->self_mute,
                                          .self_deaf = s->self_deaf,
                                          .self_video = s->self_video,
                                          .flags = s->flags,
                                          .joined_at = s->joined_at,
                                          .server = (uint64_t)s->server,
                                          .server_at = s->server_at,
                                          .regions = {s->n_regions, regions},
                                          .hold = s->hold,
                                          .turn = s->turn};
    }
    for (uint32_t i = 0; i < fx->n_rings; i++)
        ringing[i] =
            (struct call_ringing){.user = fx->rings[i].user, .by = fx->rings[i].by, .until = fx->rings[i].until};
    return (struct call_rec){.id = fx->id,
                             .author = fx->author,
                             .region = bytes_of(p->region),
                             .region_chosen = p->region_chosen,
                             .unavailable = p->unavailable,
                             .node = bytes_of(p->node),
                             .endpoint = bytes_of(p->endpoint),
                             .members = {fx->n_seats, members},
                             .ringing = {fx->n_rings, ringing},
                             .participants = {fx->n_participants, p->participants}};
}

// The same of the place as it is now.
static struct call_rec record_now(struct arena *a, const struct call_place *p)
{
    struct call_fx now = {.id = p->id,
                          .author = p->author,
                          .n_seats = p->n_seats,
                          .n_participants = p->n_participants,
                          .n_rings = p->n_rings};
    memcpy(now.rings, p->rings, sizeof now.rings);
    return record_of(a, p, &now);
}

static struct event *add_event(struct call_out *out, const char *name, struct bytes body)
{
    CHECK(out->n_events < CALL_EVENTS_MAX);
    struct event *e = &out->events[out->n_events++];
    *e = (struct event){.name = bytes_of(name), .body = body};
    return e;
}

static void add_change(struct call_out *out, enum change_op op, const char *suffix, struct bytes field,
                       struct bytes value)
{
    CHECK(out->n_changes < CALL_CHANGES_MAX);
    out->changes[out->n_changes++] = (struct change){op, suffix, field, value};
}

static struct channel channel_now(const struct channel *chan, const struct call_place *p)
{
    struct channel c = *chan;
    c.owner = p->owner;
    c.recipients = (struct ids){p->n_recipients, p->recipients};
    return c;
}

struct writer {
    struct arena *a;
    const struct channel *chan;
    const struct call_place *before, *after;
    uint64_t last;
    struct user_set users;
    struct call_out *out;
};

static void write_message(const struct writer *w, const struct call_fx *fx)
{
    const struct call_place *p = w->after;
    struct ids recipients = {w->before->n_recipients, w->before->recipients};
    struct ids participants = {fx->n_participants, p->participants};
    struct message_rec m = message_call(w->a, fx->id, fx->author, recipients, participants, fx->ended_at);
    struct change changes[MESSAGE_CHANGES_MAX];
    bool new = fx->kind == CALL_FX_MESSAGE_CREATE;
    uint32_t n = new ? message_added(w->a, &m, changes) : message_changed(w->a, &m, changes);
    for (uint32_t i = 0; i < n; i++)
        add_change(w->out, changes[i].op, changes[i].suffix, changes[i].a, changes[i].b);
    struct event e = new ? message_created_event(w->a, &m, p->channel, w->users)
                         : message_updated_event(w->a, &m, p->channel, w->users);
    *add_event(w->out, "", BYTES_NONE) = e;
}

static void write_voice_state(const struct writer *w, const struct call_fx *fx)
{
    const struct j_voice_state v = {.channel_id = fx->flag ? 0 : w->after->channel,
                                    .user_id = fx->user,
                                    .session_id = bytes_of(fx->session),
                                    .self_deaf = fx->self_deaf,
                                    .self_mute = fx->self_mute,
                                    .self_video = fx->self_video};
    struct event *e = add_event(w->out, "VOICE_STATE_UPDATE", schema_text(w->a, &schema_j_voice_state, &v));
    e->sitter = fx->user;
    e->epoch = fx->epoch;
    e->left = fx->flag;
}

static const char *token_row(const struct writer *w, const char *session)
{
    return arena_printf(w->a, "t:%s", session).p;
}

// What its client is told is what counts from now on, in this very commit: an answer that came for an ask that is void
// has no part in it.
static void write_voice_server(const struct writer *w, const struct call_fx *fx)
{
    const struct j_voice_server v = {.token = bytes_of(fx->token),
                                     .endpoint = fx->endpoint[0] ? bytes_of(fx->endpoint) : BYTES_NONE,
                                     .channel_id = w->after->channel};
    struct event *e = add_event(w->out, "VOICE_SERVER_UPDATE", schema_text(w->a, &schema_j_voice_server, &v));
    e->to = 2;
    e->user = fx->user;
    e->session = bytes_of(fx->session);
    e->sitter = fx->user;
    e->epoch = fx->epoch;
    if (!fx->endpoint[0])
        return;
    const struct voice_token row = {.token = v.token,
                                    .user = fx->user,
                                    .session = e->session,
                                    .server = w->after->channel,
                                    .channel = w->after->channel,
                                    .node = bytes_of(w->after->node)};
    add_change(w->out, CHANGE_SET, token_row(w, fx->session), schema_packed(w->a, &schema_voice_token, &row),
               arena_printf(w->a, "%llu", (unsigned long long)fx->token_ms));
}

static void write_recipient(const struct writer *w, const struct call_fx *fx)
{
    const struct j_user user = present_user_id(w->users, fx->user);
    const struct j_recipient r = {.channel_id = w->after->channel, .user = &user};
    bool added = fx->kind == CALL_FX_RECIPIENT_ADD;
    add_event(w->out, added ? "CHANNEL_RECIPIENT_ADD" : "CHANNEL_RECIPIENT_REMOVE",
              schema_text(w->a, &schema_j_recipient, &r));
    if (added)
        return;
    struct event *stop = add_event(w->out, "", BYTES_NONE); // nothing that follows in this place is for him
    stop->to = 1;
    stop->user = fx->user;
    stop->place_op = 2;
    stop->place = w->after->channel;
}

// Each recipient sees the channel without himself.
static void write_channel(const struct writer *w)
{
    struct channel c = channel_now(w->chan, w->after);
    for (uint32_t i = 0; i < w->after->n_recipients; i++) {
        uint64_t user = w->after->recipients[i];
        struct event *e = add_event(w->out, "CHANNEL_UPDATE", present_channel(w->a, &c, w->last, w->users, user));
        e->to = 1;
        e->user = user;
    }
}

static void write_effect(const struct writer *w, const struct call_fx *fx)
{
    struct call_rec rec;
    const struct j_call_delete gone = {.channel_id = w->after->channel, .unavailable = fx->flag};
    switch (fx->kind) {
    case CALL_FX_MESSAGE_CREATE:
    case CALL_FX_MESSAGE_UPDATE:
        write_message(w, fx);
        break;
    case CALL_FX_CALL_CREATE:
        rec = record_of(w->a, w->after, fx);
        add_event(w->out, "CALL_CREATE", present_call_create(w->a, w->after->channel, &rec));
        break;
    case CALL_FX_CALL_UPDATE:
        rec = record_of(w->a, w->after, fx);
        add_event(w->out, "CALL_UPDATE", present_call_update(w->a, w->after->channel, &rec));
        break;
    case CALL_FX_CALL_DELETE:
        add_event(w->out, "CALL_DELETE", schema_text(w->a, &schema_j_call_delete, &gone));
        break;
    case CALL_FX_VOICE_STATE:
        write_voice_state(w, fx);
        break;
    case CALL_FX_VOICE_SERVER:
        write_voice_server(w, fx);
        break;
    case CALL_FX_RECIPIENT_ADD:
    case CALL_FX_RECIPIENT_REMOVE:
        write_recipient(w, fx);
        break;
    case CALL_FX_CHANNEL_UPDATE:
        write_channel(w);
        break;
    case CALL_FX_ASSIGN:
    case CALL_FX_RELEASE:
        break; // asks are the shell's, after the commit
    }
}

static struct bytes decimal(struct arena *a, uint64_t n)
{
    return arena_printf(a, "%llu", (unsigned long long)n);
}

static struct event *address(struct event *e, uint64_t user)
{
    e->to = 1;
    e->user = user;
    return e;
}

const char *call_came(char out[CALL_CAME_MAX], uint64_t user)
{
    int n = snprintf(out, CALL_CAME_MAX, "in:%llu", (unsigned long long)user);
    CHECK_ID(n > 0 && n < (int)CALL_CAME_MAX, user);
    return out;
}

// When somebody came, so that his own record can be told apart from one of an earlier stay.
static void write_comers(const struct writer *w, uint64_t version)
{
    char field[CALL_CAME_MAX];
    for (uint32_t i = 0; i < w->after->n_recipients; i++) {
        uint64_t user = w->after->recipients[i];
        if (!call_is_recipient(w->before, user))
            add_change(w->out, CHANGE_HSET, "s", arena_copy(w->a, bytes_of(call_came(field, user))),
                       decimal(w->a, version));
    }
    for (uint32_t i = 0; i < w->before->n_recipients; i++) {
        uint64_t user = w->before->recipients[i];
        if (!call_is_recipient(w->after, user))
            add_change(w->out, CHANGE_HDEL, "s", arena_copy(w->a, bytes_of(call_came(field, user))), BYTES_NONE);
    }
}

// What a client was told to show to a voice server is void from the moment on in which it is not his any more: his seat
// went, another session has it, or he is owed another server. In this very commit, so that who hears of it finds it so.
static void void_tokens(struct writer *w)
{
    for (uint32_t i = 0; i < w->before->n_seats; i++) {
        const struct call_seat *was = &w->before->seats[i], *is = call_seat_of(w->after, was->user);
        bool same = is && strcmp(is->session, was->session) == 0;
        if (same && (was->server != CALL_SERVER_SENT || is->server == CALL_SERVER_SENT))
            continue;
        add_change(w->out, CHANGE_DEL, token_row(w, was->session), BYTES_NONE, BYTES_NONE);
    }
}

void call_write(struct arena *a, const struct channel *chan, const struct call_place *before,
                const struct call_place *after, const struct call_fxs *fxs, uint64_t version, uint64_t last,
                struct user_set users, struct call_out *out)
{
    struct writer w = {a, chan, before, after, last, users, out};
    out->n_events = out->n_changes = 0;
    for (uint32_t i = 0; i < fxs->n; i++)
        write_effect(&w, &fxs->v[i]);
    void_tokens(&w);
    struct call_rec now = record_now(a, after);
    if (after->id != 0)
        add_change(out, CHANGE_HSET, "s", BYTES("call"), schema_packed(a, &schema_call_rec, &now));
    else if (before->id != 0)
        add_change(out, CHANGE_HDEL, "s", BYTES("call"), BYTES_NONE);
    struct channel c = channel_now(chan, after);
    if (before->n_recipients != after->n_recipients || before->owner != after->owner)
        add_change(out, CHANGE_HSET, "s", BYTES("chan"), schema_packed(a, &schema_channel, &c));
    write_comers(&w, version);
}

void call_welcome(struct arena *a, const struct channel *chan, const struct call_place *p, uint64_t user,
                  uint64_t version, bool again, uint64_t last, struct user_set users, struct call_out *out)
{
    struct channel c = channel_now(chan, p);
    out->n_events = out->n_changes = 0;
    add_change(out, CHANGE_HSET, "ch", decimal(a, p->channel), decimal(a, version));
    if (again)
        address(add_event(out, "CHANNEL_DELETE", present_channel(a, &c, last, users, user)), user);
    struct event *e = address(add_event(out, "CHANNEL_CREATE", present_channel(a, &c, last, users, user)), user);
    e->place_op = 1;
    e->place = p->channel;
    e->place_version = version;
    if (p->id == 0 || p->unavailable) // when it is available again everybody is told
        return;
    struct call_rec now = record_now(a, p);
    e = address(add_event(out, "CALL_CREATE", present_call_create(a, p->channel, &now)), user);
    e->place = p->channel;
    e->place_version = version;
}

void call_farewell(struct arena *a, const struct channel *chan, uint64_t user, uint64_t version, uint64_t last,
                   struct user_set users, struct call_out *out)
{
    out->n_events = out->n_changes = 0;
    add_change(out, CHANGE_HDEL, "ch", decimal(a, chan->id), BYTES_NONE);
    struct event *e = address(add_event(out, "CHANNEL_DELETE", present_channel(a, chan, last, users, user)), user);
    e->place_op = 2;
    e->place = chan->id;
    e->place_version = version;
}
