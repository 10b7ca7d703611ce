// job_user: what a job reads and writes of a user's own record, and who holds whose session. Shell.
#include "errors.h"
#include "job_private.h"
#include "metrics.h"
#include <stdio.h>
#include <string.h>

// --- FLOW_READ_USER and FLOW_LOCATE ---

static void with_user(struct job *j)
{
    if (j->status == ERR_INVALID)
        LOG(ERROR, EV("record.invalid"), KU("user", j->step.id));
    job_next(j, j->status == ERR_MISSING ? API_UNKNOWN_USER : j->status);
}

// Where a bot is, of all its locations: those whose place is not 0.
static int read_guilds(struct job *j, const struct reply *r)
{
    uint64_t *v = arena_take(&j->kept, (reply_n(r) / 2 + 1) * sizeof *v);
    uint32_t n = 0;
    for (size_t i = 0; i + 1 < reply_n(r); i += 2) {
        struct bytes field = reply_text(reply_at(r, i));
        struct location at;
        if (field.n <= 6 || memcmp(field.p, "voice:", 6) != 0)
            continue;
        if (UNPACK(&j->scratch, location, reply_text(reply_at(r, i + 1)), &at) != OK)
            return ERR_INVALID;
        if (at.place)
            v[n++] = at.place;
    }
    j->result.guilds = (struct ids){n, v};
    return OK;
}

static int read_user(struct job *j, struct bytes row)
{
    struct user user;
    if (UNPACK(&j->scratch, user, row, &user) != OK)
        return ERR_MISSING;
    j->result.bot = j->bot = user.bot;
    return OK;
}

static int read_location(struct job *j, struct bytes row)
{
    return row.n > 0 ? UNPACK(&j->scratch, location, row, &j->result.location) : OK;
}

static int read_user_record(struct job *j, const struct reply *r)
{
    j->user_version = record_version(r);
    int err = read_user(j, reply_text(reply_field(r, "user")));
    if (err == OK)
        err = j->bot ? read_guilds(j, r) : read_location(j, reply_text(reply_field(r, "voice")));
    return err;
}

static void on_user(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    job_arrived(j, reply_ok(r) ? read_user_record(j, r) : ERR_IO);
}

// Of what is about one guild: without the locations in all others, of which a bot has as many as it has guilds.
enum { FIELD_VERSION, FIELD_USER, FIELD_LOCATION, FIELD_LOCATION_OF_BOT };

static int read_user_fields(struct job *j, const struct reply *r)
{
    struct bytes version = reply_text(reply_at(r, FIELD_VERSION));
    j->user_version = 0;
    int err = read_user(j, reply_text(reply_at(r, FIELD_USER)));
    if (err == OK)
        err = bytes_u64(version, &j->user_version);
    if (err == OK)
        err = read_location(j, reply_text(reply_at(r, j->bot ? FIELD_LOCATION_OF_BOT : FIELD_LOCATION)));
    return err;
}

static void on_user_fields(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    job_arrived(j, reply_ok(r) ? read_user_fields(j, r) : ERR_IO);
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
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void on_channels(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    j->result.full = reply_int(r) >= (int64_t)j->m->channels_max;
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

void job_load_user(struct job *j)
{
    char key[RECORD_KEY_MAX];
    const struct call_in *in = &j->step.in;
    bool spoken = in->gateway && in->gateway[0]; // JOIN, LEAVE and MOVED, by whoever holds the session
    bool adds = in->kind == CALL_IN_ADD;
    job_await(j, spoken || adds ? 2 : 1, with_user);
    if (spoken)
        store_cmd(job_store(j), on_session, j, "HMGET {s:%s}:h owner over", in->session);
    if (adds)
        store_cmd(job_store(j), on_channels, j, "HLEN %s", record_key(key, ref_user(j->step.id), "ch"));
    char person[FLOW_LOCATION_MAX], bot[FLOW_LOCATION_MAX];
    uint64_t guild = j->step.guild;
    if (guild)
        store_cmd(job_store(j), on_user_fields, j, "HMGET %s v user %s %s", record_key(key, ref_user(j->step.id), "s"),
                  flow_location(person, false, guild), flow_location(bot, true, guild));
    else
        record_load(job_store(j), ref_user(j->step.id), on_user, j);
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
    job_next(j, r->err);
}

void job_locate(struct job *j)
{
    char name[FLOW_LOCATION_MAX];
    struct buf blob = {0};
    ref r = ref_user(j->step.id);
    PACK(&blob, location, &j->step.location);
    j->now = job_unix_now(j);
    if (j->step.timer)
        timers_want(j->m, r, j->now + SETTLE_MS);
    const char *field = flow_location(name, j->bot, j->step.guild);
    const struct change voice = {CHANGE_HSET, "s", bytes_of(field), arena_copy(&j->scratch, buf_bytes(&blob))};
    buf_fini(&blob);
    struct bytes epoch = arena_printf(&j->scratch, "%llu", (unsigned long long)j->step.location.epoch);
    job_write(j, r, j->user_version, j->step.command, epoch, NULL, 0, &voice, 1, on_located);
}

// --- FLOW_LOOK, FLOW_WELCOME and FLOW_FAREWELL ---

static void with_record(struct job *j)
{
    j->result.guild = j->is_guild;
    if (j->is_guild) {
        j->result.recipient = j->is_member;
        j->result.listed = j->lists_guild;
        job_next(j, j->status);
        return;
    }
    j->result.recipient = j->before.type && call_is_recipient(&j->before, j->step.id);
    // Of what does not exist there is nothing to tell; what he was removed from and added to again he is told anew.
    j->result.listed = j->lists && j->before.type && (!j->result.recipient || j->listed_at >= j->came);
    job_next(j, j->status);
}

static void on_record_version(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    struct bytes version = reply_text(r);
    j->user_version = 0;
    job_arrived(j, !reply_ok(r) ? ERR_IO : version.n > 0 ? bytes_u64(version, &j->user_version) : OK);
}

static void on_record_lists(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    j->listed_at = 0;
    j->lists = reply_kind(r) == REPLY_TEXT;
    (void)!bytes_u64(reply_text(r), &j->listed_at); // none: from the beginning
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void on_record_lists_guild(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    j->lists_guild = reply_int(r) == 1;
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

static void on_member(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    j->is_member = reply_int(r) == 1;
    job_arrived(j, reply_ok(r) ? OK : ERR_IO);
}

// The record's version first: whatever of it is read after that is written over only as it was read.
void job_look(struct job *j)
{
    char key[RECORD_KEY_MAX];
    ref user = ref_user(j->step.id);
    unsigned long long place = j->flow.place, id = j->step.id;
    job_await(j, 5, with_record);
    store_cmd(job_store(j), on_record_version, j, "HGET %s v", record_key(key, user, "s"));
    store_cmd(job_store(j), on_record_lists, j, "HGET %s %llu", record_key(key, user, "ch"), place);
    store_cmd(job_store(j), on_record_lists_guild, j, "HEXISTS %s %llu", record_key(key, user, "g"), place);
    record_load(job_store(j), ref_place(place), job_on_place, j);
    store_cmd(job_store(j), on_member, j, "HEXISTS %s %llu", record_key(key, ref_place(place), "mb"), id);
}

static void on_record_written(void *ctx, const struct commit_result *r)
{
    job_next(ctx, r->err);
}

static void write_record(struct job *j)
{
    struct user_set users = {j->n_users, j->users};
    uint64_t user = j->step.id;
    j->now = job_unix_now(j);
    if (j->is_guild)
        guild_farewell(&j->scratch, j->flow.place, user, j->version, &j->out.events[0], &j->out.changes[0]);
    else if (j->step.what == FLOW_WELCOME)
        call_welcome(&j->scratch, &j->chan, &j->after, user, j->version, j->lists, j->last_message, users, &j->out);
    else
        call_farewell(&j->scratch, &j->chan, user, j->version, j->last_message, users, &j->out);
    if (j->is_guild)
        j->out.n_events = j->out.n_changes = 1;
    job_write(j, ref_user(user), j->user_version, 0, BYTES_NONE, j->out.events, j->out.n_events, j->out.changes,
              j->out.n_changes, on_record_written);
}

void job_write_record(struct job *j)
{
    if (j->is_guild)
        write_record(j);
    else
        job_load_users(j, write_record);
}

// --- FLOW_HEIR ---

struct seat_held { // by whom?
    struct job *j;
    struct flow_heir seat; // as it stands
};

static void on_seat_holder(void *ctx, const struct reply *r)
{
    struct seat_held w = *(struct seat_held *)ctx;
    struct flow_heir *heir = &w.j->result.heir;
    struct bytes holder = session_holder(reply_text(r));
    mem_free(ctx);
    if (holder.n > 0 && !bytes_is(holder, w.seat.gateway) &&
        bytes_copy(w.seat.gateway, sizeof w.seat.gateway, holder) == OK)
        *heir = w.seat;
    job_arrived(w.j, reply_ok(r) ? OK : ERR_IO);
}

static void with_heir(struct job *j)
{
    job_next(j, j->status);
}

static void ask_holder(struct job *j, uint64_t user, struct bytes session, struct bytes gateway)
{
    char key[RECORD_KEY_MAX];
    if (!bytes_is(gateway, j->step.in.gateway))
        return;
    struct seat_held *w = mem_alloc(sizeof *w);
    *w = (struct seat_held){.j = j, .seat = {.user = user}};
    CHECK_ID(bytes_copy(w->seat.session, sizeof w->seat.session, session) == OK, user);
    CHECK_ID(bytes_copy(w->seat.gateway, sizeof w->seat.gateway, gateway) == OK, user);
    j->replies++;
    store_cmd(job_store(j), on_seat_holder, w, "HGET %s owner", session_key_of(key, w->seat.session));
}

static void with_seats(struct job *j)
{
    if (j->status != OK) {
        job_next(j, j->status);
        return;
    }
    job_await(j, 1, with_heir); // this function's own, for when there is nobody to ask about
    for (uint32_t i = 0; i < j->before.n_seats && !j->is_guild; i++) {
        const struct call_seat *s = &j->before.seats[i];
        ask_holder(j, s->user, bytes_of(s->session), bytes_of(s->gateway));
    }
    if (j->seat)
        ask_holder(j, j->seat->user, j->seat->session, j->seat->gateway);
    job_arrived(j, OK);
}

static void on_seat(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    struct voice_seat *seat = arena_take(&j->scratch, sizeof *seat);
    struct bytes row = arena_copy(&j->scratch, reply_text(r));
    int err = row.n > 0 ? UNPACK(&j->scratch, voice_seat, row, seat) : OK;
    j->seat = row.n > 0 && err == OK ? seat : NULL;
    job_arrived(j, reply_ok(r) ? err : ERR_IO);
}

void job_look_for_heir(struct job *j)
{
    char key[RECORD_KEY_MAX];
    j->seat = NULL;
    job_await(j, 2, with_seats);
    record_load(job_store(j), ref_place(j->step.id), job_on_place, j);
    store_cmd(job_store(j), on_seat, j, "HGET %s %llu", record_key(key, ref_place(j->step.id), "vs"),
              (unsigned long long)j->step.in.user); // of a private channel: nobody's
}
