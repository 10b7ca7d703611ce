// user_io: users, their relationships and their tokens, and what the directory holds. See message_io.h.
#include "directory_io.h"
#include "errors.h"
#include "message_io.h"

#include <string.h>

// --- relationships ---
// The truth about two users stands in the lower one's record: how he sees the other (rel), and how the other shall see
// him (pr). The upper one's rel follows it, in a commit of its own; whoever looks finishes that first. His record is
// read before the lower one's: had the truth moved on since, so would have his version, and the commit is refused.

struct relating {
    uint64_t lower, upper;
    struct user_read lower_read, upper_read;
    const struct value *applied, *lower_rel, *lower_pr, *upper_rel;
    const struct committed *committed;
};

ref key_relationship_put(const void *msg)
{
    const struct relationship_put *put = msg;
    return ref_user(put->user < put->target ? put->user : put->target);
}

static void related(struct job *j)
{
    const struct relating *w = j->state;
    if (w->committed->err == OK || w->committed->err == ERR_STATE)
        start_relationship_put(j); // is all done now?
    else
        job_again(j);
}

static enum relation relation_of(const struct value *v)
{
    return (enum relation)value_u64(v);
}

// Writes how `owner` sees the other one; in the lower one's record, `pair` says how the other shall see him.
static void relate(struct job *j, struct user_state owner, const struct user *other, enum relation was,
                   enum relation is, const enum relation *pair)
{
    struct relating *w = j->state;
    struct change *changes = arena_take(&j->arena, 2 * sizeof *changes);
    struct event *event = arena_take(&j->arena, sizeof *event);
    changes[0] = relation_change(j, "rel", other->id, is);
    if (pair)
        changes[1] = relation_change(j, "pr", other->id, *pair);
    if (was != is)
        *event = relationship_event(&j->arena, owner.user->id, other, was, is);
    w->committed = job_commit(j, &(struct edit){.ref = ref_user(owner.user->id),
                                                .version = owner.version,
                                                .changes = changes,
                                                .n_changes = pair ? 2 : 1,
                                                .events = event,
                                                .n_events = was != is,
                                                .final = pair != NULL});
    job_wait(j, related);
}

static void relationship_decide(struct job *j, struct user_state lower, struct user_state upper)
{
    const struct relationship_put *put = j->msg;
    struct relating *w = j->state;
    bool by_lower = put->user == w->lower;
    enum relation low = relation_of(w->lower_rel), up = relation_of(w->lower_pr);
    struct relations now = by_lower ? (struct relations){low, up} : (struct relations){up, low}, want;
    const struct user *user = by_lower ? lower.user : upper.user, *target = by_lower ? upper.user : lower.user;
    if (job_refused(j, relationship_step(put, user, target, now, &want), NULL))
        return;
    if (want.mine == now.mine && want.theirs == now.theirs) {
        job_done(j, BYTES_NONE);
        return;
    }
    enum relation pair = by_lower ? want.theirs : want.mine;
    relate(j, lower, upper.user, low, by_lower ? want.mine : want.theirs, &pair);
}

static void relationship_known(struct job *j)
{
    struct relating *w = j->state;
    struct user_state lower = user_state(j, w->lower_read), upper = user_state(j, w->upper_read);
    enum relation up = relation_of(w->lower_pr), shown = relation_of(w->upper_rel);
    if (lower.user && upper.user && up != shown)
        relate(j, upper, lower.user, shown, up, NULL);
    else if (!job_applied(j, w->applied))
        relationship_decide(j, lower, upper);
}

static void relationship_looked(struct job *j)
{
    struct relating *w = j->state;
    w->lower_read = user_read(j, w->lower);
    w->lower_rel = relation_read(j, w->lower, w->upper);
    w->lower_pr = job_read_key(j, "HGET", ref_user(w->lower), "pr", id_text(j, w->upper));
    w->applied = job_read_applied(j, ref_user(w->lower));
    job_wait(j, relationship_known);
}

void start_relationship_put(struct job *j)
{
    const struct relationship_put *put = j->msg;
    struct relating *w = arena_take(&j->arena, sizeof *w);
    j->state = w;
    w->lower = put->user < put->target ? put->user : put->target;
    w->upper = put->user < put->target ? put->target : put->user;
    w->upper_read = user_read(j, w->upper);
    w->upper_rel = relation_read(j, w->upper, w->lower);
    job_wait(j, relationship_looked);
}

// --- putting a user ---

struct putting {
    uint64_t id;
    const struct value *name, *applied;
    struct user_read user_read;
    struct bytes freed; // the name that he had before
    const struct committed *committed;
    struct bytes answer;
};

ref key_user_put(const void *msg)
{
    const struct user_put *put = msg;
    return put->id ? ref_user(put->id) : REF_SYSTEM; // new ones one after another: names are claimed
}

static void put_done(struct job *j)
{
    const struct putting *w = j->state;
    job_made(j, w->id, w->answer);
}

static void put_committed(struct job *j)
{
    struct putting *w = j->state;
    if (!job_committed(j, w->committed))
        return;
    if (w->freed.n)
        name_free(j, w->freed);
    job_wait(j, put_done);
}

static void put_claimed(struct job *j)
{
    start_user_put(j); // whoever holds the name now
}

static void put_step(struct job *j)
{
    const struct user_put *put = j->msg;
    struct putting *w = j->state;
    struct user_state old = user_state(j, w->user_read);
    if (job_applied(j, w->applied))
        return;
    if (old.user && !put->id) { // a name that is held by somebody who exists
        job_refuse_form(j, &username_taken);
        return;
    }
    struct user user = old.user ? *old.user : (struct user){.id = w->id, .discriminator = BYTES("0")};
    struct bytes key = user_key(j, put->username);
    if (old.user && !bytes_eq(user_key(j, old.user->username), key))
        w->freed = user_key(j, old.user->username);
    user.username = put->username;
    user.global_name = put->global_name;
    user.bot = put->bot;
    struct buf json = {0};
    directory_user_json(&json, &user);
    w->answer = arena_copy(&j->arena, buf_bytes(&json));
    buf_fini(&json);
    struct change *change = arena_take(&j->arena, sizeof *change);
    *change = row_change(j, "s", BYTES("user"), &schema_user, &user);
    set_add(j, "dir:users", w->id);
    w->committed = job_commit(j, &(struct edit){.ref = ref_user(w->id),
                                                .version = old.version,
                                                .changes = change,
                                                .n_changes = 1,
                                                .final = true,
                                                .answer = w->answer});
    job_wait(j, put_committed);
}

static void put_named(struct job *j)
{
    const struct user_put *put = j->msg;
    struct putting *w = j->state;
    uint64_t holder = value_u64(w->name), id = put->id;
    if (!holder) {
        if (!id && !job_mint(j, 0, &id))
            return;
        name_claim(j, user_key(j, put->username), id);
        job_wait(j, put_claimed);
        return;
    }
    if (id && id != holder) {
        job_refuse_form(j, &username_taken);
        return;
    }
    w->id = holder;
    w->user_read = user_read(j, holder);
    w->applied = job_read_applied(j, ref_user(holder));
    job_wait(j, put_step);
}

void start_user_put(struct job *j)
{
    const struct user_put *put = j->msg;
    struct putting *w = arena_take(&j->arena, sizeof *w);
    struct fault fault = {0};
    int err = put->id & REF_USER_BIT ? API_INVALID_FORM : username_check(put->username, &fault);
    if (job_refused(j, err, &fault))
        return;
    j->state = w;
    w->name = name_read(j, user_key(j, put->username));
    job_wait(j, put_named);
}

// --- revoking tokens ---

struct revoking {
    struct user_read user_read, system_read;
    const struct value *applied, *before;
    const struct committed *committed;
};

static void revoked(struct job *j)
{
    const struct revoking *w = j->state;
    if (job_committed(j, w->committed))
        job_done(j, BYTES_NONE);
}

static void revoke_step(struct job *j)
{
    const struct token_revoke *revoke = j->msg;
    struct revoking *w = j->state;
    uint64_t before = value_u64(w->before) > revoke->before ? value_u64(w->before) : revoke->before;
    if (job_applied(j, w->applied) ||
        job_refused(j, user_state(j, w->user_read).user ? API_OK : API_UNKNOWN_USER, NULL))
        return;
    struct change *change = arena_take(&j->arena, sizeof *change);
    struct event *event = arena_take(&j->arena, sizeof *event);
    *change = (struct change){CHANGE_HSET, "rv", id_text(j, revoke->user), id_text(j, before)};
    *event = (struct event){.to = 1, .user = revoke->user, .place_op = 3};
    w->committed = job_commit(j, &(struct edit){.ref = REF_SYSTEM,
                                                .version = user_state(j, w->system_read).version,
                                                .changes = change,
                                                .n_changes = 1,
                                                .events = event,
                                                .n_events = 1,
                                                .final = true});
    job_wait(j, revoked);
}

void start_token_revoke(struct job *j)
{
    const struct token_revoke *revoke = j->msg;
    struct revoking *w = arena_take(&j->arena, sizeof *w);
    j->state = w;
    w->user_read = user_read(j, revoke->user);
    w->system_read = user_read(j, 0);
    w->applied = job_read_applied(j, REF_SYSTEM);
    w->before = job_read_key(j, "HGET", REF_SYSTEM, "rv", id_text(j, revoke->user));
    job_wait(j, revoke_step);
}

// --- finding one user ---

struct finding {
    const struct value *name;
    struct user_read user_read;
};

static void find_answer(struct job *j)
{
    struct finding *w = j->state;
    struct user_state s = user_state(j, w->user_read);
    if (job_refused(j, s.user ? API_OK : API_UNKNOWN_USER, NULL))
        return;
    struct buf json = {0};
    present_user_json(&json, s.user);
    job_made(j, s.user->id, arena_copy(&j->arena, buf_bytes(&json)));
    buf_fini(&json);
}

static void find_by_id(struct job *j, uint64_t id)
{
    struct finding *w = j->state;
    w->user_read = user_read(j, id);
    job_wait(j, find_answer);
}

static void find_named(struct job *j)
{
    const struct finding *w = j->state;
    uint64_t id = value_u64(w->name);
    if (!job_refused(j, id ? API_OK : API_UNKNOWN_USER, NULL))
        find_by_id(j, id);
}

void start_user_find(struct job *j)
{
    const struct user_find *find = j->msg;
    struct finding *w = arena_take(&j->arena, sizeof *w);
    uint64_t id;
    j->state = w;
    if (bytes_u64(find->name, &id) == OK) { // no username is all digits
        find_by_id(j, id);
        return;
    }
    w->name = name_read(j, user_key(j, find->name));
    job_wait(j, find_named);
}

// --- the whole directory ---

struct directory {
    const struct value *users, *channels, *guilds; // NULL: not asked for
    struct users_read users_read;
    uint32_t n_channels, n_guilds;
    struct place_read *channel_reads;
    struct guild_read *guild_reads;
};

static void list_users(struct buf *out, struct user_set users)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < users.n; i++) {
        if (i)
            buf_char(out, ',');
        directory_user_json(out, &users.v[i]);
    }
    buf_char(out, ']');
}

static void list_channels(struct job *j, struct buf *out, const struct directory *d)
{
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; i < d->n_channels; i++) {
        struct place_state s = place_state(j, d->channel_reads[i]);
        if (!s.c)
            continue;
        buf_str(out, comma);
        directory_channel_json(out, s.c);
        comma = ",";
    }
    buf_char(out, ']');
}

static void list_guilds(struct job *j, struct buf *out, const struct directory *d)
{
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; i < d->n_guilds; i++) {
        struct guild_state s;
        guild_state(j, d->guild_reads[i], &s);
        if (!s.guild)
            continue;
        buf_str(out, comma);
        directory_guild_json(out, s.guild, s.channels, s.n_channels);
        comma = ",";
    }
    buf_char(out, ']');
}

static void directory_answer(struct job *j)
{
    const struct directory_list *list = j->msg;
    const struct directory *d = j->state;
    struct buf out = {0};
    struct user_set users = users_state(j, &d->users_read);
    if (list->users_only) {
        list_users(&out, users);
    } else if (list->guilds_only) {
        list_guilds(j, &out, d);
    } else if (list->channels_only) {
        list_channels(j, &out, d);
    } else {
        buf_str(&out, "{\"users\":");
        list_users(&out, users);
        buf_str(&out, ",\"private_channels\":");
        list_channels(j, &out, d);
        buf_str(&out, ",\"guilds\":");
        list_guilds(j, &out, d);
        buf_char(&out, '}');
    }
    job_done(j, arena_copy(&j->arena, buf_bytes(&out)));
    buf_fini(&out);
}

// The ids of a set, in order; of a page those behind `after`. NULL: none were asked for.
static struct ids page_of(struct job *j, const struct value *set)
{
    const struct directory_list *list = j->msg;
    struct ids ids = set ? ids_state(j, set) : (struct ids){0};
    while (ids.n && ids.v[0] <= list->after) {
        ids.v++;
        ids.n--;
    }
    if (list->limit && ids.n > list->limit)
        ids.n = (uint32_t)list->limit;
    return ids;
}

static void directory_found(struct job *j)
{
    struct directory *d = j->state;
    struct ids channels = page_of(j, d->channels), guilds = d->guilds ? ids_state(j, d->guilds) : (struct ids){0};
    d->users_read = users_read(j, page_of(j, d->users));
    d->n_channels = channels.n;
    d->channel_reads = arena_take(&j->arena, ((size_t)channels.n + 1) * sizeof *d->channel_reads);
    for (uint32_t i = 0; i < channels.n; i++)
        d->channel_reads[i] = place_read(j, channels.v[i]);
    d->n_guilds = guilds.n;
    d->guild_reads = arena_take(&j->arena, ((size_t)guilds.n + 1) * sizeof *d->guild_reads);
    for (uint32_t i = 0; i < guilds.n; i++)
        d->guild_reads[i] = guild_read(j, guilds.v[i], (struct ids){0});
    job_wait(j, directory_answer);
}

void start_directory_list(struct job *j)
{
    const struct directory_list *list = j->msg;
    struct directory *d = arena_take(&j->arena, sizeof *d);
    bool only = list->users_only || list->guilds_only || list->channels_only;
    j->state = d;
    d->users = !only || list->users_only ? set_read(j, "dir:users") : NULL;
    d->channels = !only || list->channels_only ? set_read(j, "dir:channels") : NULL;
    d->guilds = !only || list->guilds_only ? set_read(j, "dir:guilds") : NULL;
    job_wait(j, directory_found);
}
