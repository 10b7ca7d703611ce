// world_io: see world_io.h.
#include "world_io.h"
#include "errors.h"

static void make_users(struct job *j);
static void load_users(struct job *j);
static void load_friends(struct job *j);
static void load_dms(struct job *j);
static void load_groups(struct job *j);

// --- who is there already ---

static void names_known(struct job *j)
{
    struct loading *l = j->state;
    struct fault fault = {0};
    for (uint32_t i = 0; i < l->w.n_names; i++) {
        struct world_name *name = &l->w.names[i];
        if (name->id && !user_state(j, l->user_reads[i]).user) // claimed by somebody who never came to be
            name->id = 0;
    }
    if (job_refused(j, world_resolved(&l->w, &fault), &fault))
        return;
    l->at = 0;
    make_users(j);
}

static void names_found(struct job *j)
{
    struct loading *l = j->state;
    for (uint32_t i = 0; i < l->w.n_names; i++) {
        struct world_name *name = &l->w.names[i];
        if (bytes_u64(name->lower, &name->id) != OK) // a name that is not an id
            name->id = value_u64(l->found[i]);
        if (name->id)
            l->user_reads[i] = user_read(j, name->id);
    }
    job_wait(j, names_known);
}

void start_world_load(struct job *j)
{
    const struct world_load *load = j->msg;
    struct loading *l = arena_take(&j->arena, sizeof *l);
    struct fault fault = {0};
    if (job_refused(j, world_parse(&j->arena, load->document, &l->w, &fault), &fault))
        return;
    j->state = l;
    l->dms = arena_take(&j->arena, ((size_t)l->w.n_dms + 1) * sizeof *l->dms);
    l->groups = arena_take(&j->arena, ((size_t)l->w.n_groups + 1) * sizeof *l->groups);
    l->guilds = arena_take(&j->arena, ((size_t)l->w.n_guilds + 1) * sizeof *l->guilds);
    l->found = arena_take(&j->arena, ((size_t)l->w.n_names + 1) * sizeof *l->found);
    l->user_reads = arena_take(&j->arena, ((size_t)l->w.n_names + 1) * sizeof *l->user_reads);
    for (uint32_t i = 0; i < l->w.n_names; i++)
        l->found[i] = name_read(j, user_key(j, l->w.names[i].lower));
    job_wait(j, names_found);
}

static uint64_t id_of(struct job *j, struct bytes name)
{
    const struct loading *l = j->state;
    return world_id(&l->w, &j->arena, name);
}

// The section's next element when the one at work went well; a child that was refused ends the load with its reason.
static bool child_failed(struct job *j)
{
    return job_refused(j, j->err, NULL);
}

bool load_committed(struct job *j)
{
    const struct loading *l = j->state;
    for (uint32_t i = 0; i < l->n_commits; i++) {
        if (l->commits[i]->err != OK) {
            job_again(j);
            return false;
        }
    }
    return true;
}

// --- users and friends ---
// New ones without ids of their own are made together: names claimed, then whoever has them written if he is not there.

static bool is_new(struct job *j, const struct world_user *u)
{
    const struct loading *l = j->state;
    return !u->id && !world_find(&l->w, &j->arena, u->name)->id;
}

static void users_made(struct job *j)
{
    struct loading *l = j->state;
    if (!load_committed(j))
        return;
    for (uint32_t i = 0; i < l->w.n_users; i++)
        if (is_new(j, &l->w.users[i]))
            world_find(&l->w, &j->arena, l->w.users[i].name)->id = l->user_reads[i].id;
    load_users(j);
}

static void users_claimed(struct job *j)
{
    struct loading *l = j->state;
    l->n_commits = 0;
    l->commits = arena_take(&j->arena, ((size_t)l->w.n_users + 1) * sizeof *l->commits);
    for (uint32_t i = 0; i < l->w.n_users; i++) {
        const struct world_user *u = &l->w.users[i];
        if (!is_new(j, u))
            continue;
        struct user_state stands = user_state(j, l->user_reads[i]);
        if (stands.user)
            continue;
        struct change *change = arena_take(&j->arena, sizeof *change);
        const struct user user = {.id = l->user_reads[i].id,
                                  .username = u->name,
                                  .discriminator = BYTES("0"),
                                  .global_name = u->global_name,
                                  .bot = u->bot};
        *change = row_change(j, "s", BYTES("user"), &schema_user, &user);
        set_add(j, "dir:users", user.id);
        l->commits[l->n_commits++] = job_commit(
            j, &(struct edit){.ref = ref_user(user.id), .version = stands.version, .changes = change, .n_changes = 1});
    }
    job_wait(j, users_made);
}

static void users_named(struct job *j)
{
    struct loading *l = j->state;
    for (uint32_t i = 0; i < l->w.n_users; i++)
        if (is_new(j, &l->w.users[i]))
            l->user_reads[i] = user_read(j, value_u64(l->found[i]));
    job_wait(j, users_claimed);
}

static void make_users(struct job *j)
{
    struct loading *l = j->state;
    l->found = arena_take(&j->arena, ((size_t)l->w.n_users + 1) * sizeof *l->found);
    l->user_reads = arena_take(&j->arena, ((size_t)l->w.n_users + 1) * sizeof *l->user_reads);
    for (uint32_t i = 0; i < l->w.n_users; i++) {
        const struct world_user *u = &l->w.users[i];
        uint64_t id;
        if (!is_new(j, u))
            continue;
        if (!job_mint(j, 0, &id))
            return;
        name_claim(j, user_key(j, u->name), id);
        l->found[i] = name_read(j, user_key(j, u->name)); // whose it is now
    }
    job_wait(j, users_named);
}

static void user_put_done(struct job *j)
{
    struct loading *l = j->state;
    if (j->err == API_INVALID_FORM) { // somebody took the name meanwhile: he is the one, then
        job_again(j);
        return;
    }
    if (child_failed(j))
        return;
    world_find(&l->w, &j->arena, l->w.users[l->at].name)->id = j->made;
    load_users(j);
}

static void load_users(struct job *j)
{
    struct loading *l = j->state;
    for (; l->at < l->w.n_users; l->at++) {
        const struct world_user *u = &l->w.users[l->at];
        if (world_find(&l->w, &j->arena, u->name)->id)
            continue;
        const struct user_put put = {.id = u->id, .username = u->name, .global_name = u->global_name, .bot = u->bot};
        job_child(j, &schema_user_put, &put, key_user_put(&put), start_user_put, user_put_done);
        return;
    }
    l->at = 0;
    load_friends(j);
}

static void friend_done(struct job *j)
{
    struct loading *l = j->state;
    if (child_failed(j))
        return;
    l->at++;
    load_friends(j);
}

static void load_friends(struct job *j)
{
    struct loading *l = j->state;
    if (l->at < l->w.n_friends) {
        const struct world_pair *pair = &l->w.friends[l->at];
        const struct relationship_put put = {
            .user = id_of(j, pair->of[0]), .target = id_of(j, pair->of[1]), .type = REL_FRIEND, .by_admin = true};
        job_child(j, &schema_relationship_put, &put, key_relationship_put(&put), start_relationship_put, friend_done);
        return;
    }
    l->at = 0;
    load_dms(j);
}

// --- private channels ---

static void dm_done(struct job *j)
{
    struct loading *l = j->state;
    if (child_failed(j))
        return;
    l->dms[l->at++] = j->made;
    load_dms(j);
}

static void load_dms(struct job *j)
{
    struct loading *l = j->state;
    if (l->at < l->w.n_dms) {
        const struct world_pair *pair = &l->w.dms[l->at];
        uint64_t peer = id_of(j, pair->of[1]);
        const struct channel_open open = {.user = id_of(j, pair->of[0]), .recipients = {1, &peer}};
        job_child(j, &schema_channel_open, &open, key_channel_open(&open), start_channel_open, dm_done);
        return;
    }
    l->at = 0;
    load_groups(j);
}

static void group_done(struct job *j)
{
    struct loading *l = j->state;
    if (child_failed(j))
        return;
    l->groups[l->at++] = j->made;
    load_groups(j);
}

static void group_claimed(struct job *j)
{
    struct loading *l = j->state;
    const struct world_group *g = &l->w.groups[l->at];
    struct ids users = ids_without(&j->arena, world_ids(&l->w, &j->arena, g->users), l->owner);
    if (users.n > GROUP_RECIPIENTS_MAX - 1) {
        job_refuse(j, API_TOO_MANY_RECIPIENTS);
        return;
    }
    const struct channel_open open = {.user = l->owner, .recipients = users, .group = true, .name = g->name};
    struct job *child =
        job_child(j, &schema_channel_open, &open, key_channel_open(&open), start_channel_open, group_done);
    child->given = value_u64(l->claim);
}

static void group_claim(struct job *j)
{
    struct loading *l = j->state;
    l->claim = name_read(j, l->key);
    job_wait(j, group_claimed);
}

// A group of this name and owner that was opened otherwise counts as well.
static void group_owned(struct job *j)
{
    struct loading *l = j->state;
    uint64_t id = 0;
    for (uint32_t i = 0; i < l->channels.n && !id; i++) {
        const struct channel *c = place_state(j, l->place_reads[i]).c;
        if (c && c->type == CHANNEL_GROUP && c->owner == l->owner && bytes_eq(c->name, l->w.groups[l->at].name))
            id = c->id;
    }
    if (!id && !job_mint(j, 0, &id))
        return;
    name_claim(j, l->key, id);
    job_wait(j, group_claim);
}

static void group_looked(struct job *j)
{
    struct loading *l = j->state;
    if (value_u64(l->claim)) {
        group_claimed(j);
        return;
    }
    l->channels = ids_state(j, l->owned);
    l->place_reads = arena_take(&j->arena, ((size_t)l->channels.n + 1) * sizeof *l->place_reads);
    for (uint32_t i = 0; i < l->channels.n; i++)
        l->place_reads[i] = place_read(j, l->channels.v[i]);
    job_wait(j, group_owned);
}

static void load_groups(struct job *j)
{
    struct loading *l = j->state;
    if (l->at < l->w.n_groups) {
        const struct world_group *g = &l->w.groups[l->at];
        l->owner = id_of(j, g->owner);
        l->key = owned_key(j, 'c', l->owner, g->name);
        l->claim = name_read(j, l->key);
        l->owned = job_read_key(j, "HKEYS", ref_user(l->owner), "ch", BYTES_NONE);
        job_wait(j, group_looked);
        return;
    }
    l->at = 0;
    load_guilds(j);
}

// --- the answer: ids in the document's order ---

static void users_json(struct job *j, struct buf *out, const struct loading *l, bool bots)
{
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; i < l->w.n_users; i++) {
        const struct world_user *u = &l->w.users[i];
        if (u->bot != bots)
            continue;
        buf_printf(out, "%s{\"id\":", comma);
        json_id(out, id_of(j, u->name));
        buf_str(out, ",\"username\":");
        json_text(out, u->name);
        buf_char(out, '}');
        comma = ",";
    }
    buf_char(out, ']');
}

static void dms_json(struct job *j, struct buf *out, const struct loading *l)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < l->w.n_dms; i++) {
        buf_str(out, i ? ",{\"id\":" : "{\"id\":");
        json_id(out, l->dms[i]);
        buf_str(out, ",\"users\":");
        directory_ids_json(out, world_ids(&l->w, &j->arena, (struct texts){2, l->w.dms[i].of}));
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

static void groups_json(struct job *j, struct buf *out, const struct loading *l)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < l->w.n_groups; i++) {
        const struct world_group *g = &l->w.groups[i];
        buf_str(out, i ? ",{\"id\":" : "{\"id\":");
        json_id(out, l->groups[i]);
        buf_str(out, ",\"name\":");
        json_text(out, g->name);
        buf_str(out, ",\"users\":");
        directory_ids_json(out, world_ids(&l->w, &j->arena, g->users));
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

static void guild_json(struct buf *out, const struct world_guild *g, const struct guild_done *done)
{
    buf_str(out, "{\"id\":");
    json_id(out, done->id);
    buf_str(out, ",\"name\":");
    json_text(out, done->name);
    buf_str(out, ",\"channels\":[");
    for (uint32_t i = 0; i < g->n_channels; i++) {
        if (i)
            buf_char(out, ',');
        const struct guild_channel c = {
            .id = done->channels.v[i], .name = g->channels[i].name, .type = (uint64_t)g->channels[i].type};
        directory_guild_channel_json(out, &c);
    }
    buf_str(out, "],\"roles\":[");
    for (uint32_t i = 0; i < g->n_roles; i++) {
        buf_str(out, i ? ",{\"id\":" : "{\"id\":");
        json_id(out, done->roles.v[i]);
        buf_str(out, ",\"name\":");
        json_text(out, g->roles[i].name);
        buf_char(out, '}');
    }
    buf_str(out, "]}");
}

void load_answer(struct job *j)
{
    const struct loading *l = j->state;
    struct buf out = {0};
    buf_str(&out, "{\"users\":");
    users_json(j, &out, l, false);
    buf_str(&out, ",\"bots\":");
    users_json(j, &out, l, true);
    buf_str(&out, ",\"dms\":");
    dms_json(j, &out, l);
    buf_str(&out, ",\"groups\":");
    groups_json(j, &out, l);
    buf_str(&out, ",\"guilds\":[");
    for (uint32_t i = 0; i < l->w.n_guilds; i++) {
        if (i)
            buf_char(&out, ',');
        guild_json(&out, &l->w.guilds[i], &l->guilds[i]);
    }
    buf_str(&out, "]}");
    job_done(j, arena_copy(&j->arena, buf_bytes(&out)));
    buf_fini(&out);
}
