// guild_io: the guilds of a world document. What is decided about one is world_plan's; a large one is written in many
// commits, sent together, each on the version that the one before made. Then its channels' and members' own records are
// made to point to it.
#include "world_io.h"
#include "errors.h"

static void guild_look(struct job *j);
static void guild_links(struct job *j);

static const struct world_guild *doc_of(const struct loading *l)
{
    return &l->w.guilds[l->at];
}

static void refuse(struct job *j, const char *text)
{
    const struct loading *l = j->state;
    const struct fault fault = {"guilds", (int32_t)l->at, "WORLD_INVALID", text};
    job_refuse_form(j, &fault);
}

// --- the guild's own record ---

static void guild_written(struct job *j)
{
    struct loading *l = j->state;
    if (!load_committed(j))
        return;
    l->version += l->n_commits;
    guild_links(j);
}

static void guild_write(struct job *j)
{
    struct loading *l = j->state;
    struct guild_commits commits;
    struct user_set users = l->users_read.ids.n ? users_state(j, &l->users_read) : (struct user_set){0};
    guild_plan_commits(&j->arena, &l->plan, &l->guild_state, users, &commits);
    l->n_commits = commits.n;
    l->commits = arena_take(&j->arena, ((size_t)commits.n + 1) * sizeof *l->commits);
    for (uint32_t i = 0; i < commits.n; i++) {
        const struct guild_commit *c = &commits.v[i];
        l->commits[i] = job_commit(j, &(struct edit){.ref = ref_place(l->plan.id),
                                                     .version = l->version + i,
                                                     .changes = c->changes,
                                                     .n_changes = c->n_changes,
                                                     .events = c->events,
                                                     .n_events = c->n_events});
    }
    job_wait(j, guild_written);
}

// The name was that of a guild that was deleted, which nobody has been told (guild_forget): it is free.
static bool take_over_name(struct job *j)
{
    struct loading *l = j->state;
    if (doc_of(l)->id || l->guild_state.guild || !l->version)
        return false;
    name_free_of(j, l->key, l->guild_read.id);
    job_wait(j, load_guilds);
    return true;
}

static void guild_step(struct job *j)
{
    struct loading *l = j->state;
    const struct world_guild *g = doc_of(l);
    l->version = guild_state(j, l->guild_read, &l->guild_state);
    if (take_over_name(j))
        return;
    if (!l->guild_state.guild && (l->version || !g->name.p)) {
        refuse(j, "There is no guild of that id.");
        return;
    }
    uint32_t n_fresh = g->n_roles + g->n_channels;
    uint64_t *fresh = arena_take(&j->arena, ((size_t)n_fresh + 1) * sizeof *fresh);
    for (uint32_t i = 0; i < n_fresh; i++)
        if (!job_mint(j, 0, &fresh[i]))
            return;
    int err = guild_plan(&j->arena, &l->w, g, l->guild_read.id, &l->guild_state, fresh, job_now(j), &l->plan);
    if (job_refused(j, err, NULL))
        return;
    const struct guild *stands = l->guild_state.guild ? l->guild_state.guild : l->plan.guild;
    l->guilds[l->at] = (struct guild_done){stands->id, stands->name, l->plan.role_ids, l->plan.channel_ids};
    uint64_t *who = arena_take(&j->arena, ((size_t)l->plan.n_members + 1) * sizeof *who);
    for (uint32_t i = 0; i < l->plan.n_members; i++)
        who[i] = l->plan.members[i].user;
    l->users_read = users_read(j, (struct ids){l->plan.told ? l->plan.n_members : 0, who});
    job_wait(j, guild_write);
}

static void guild_look(struct job *j)
{
    struct loading *l = j->state;
    struct ids members = world_ids(&l->w, &j->arena, doc_of(l)->members);
    l->guild_read = guild_read(j, l->guild_read.id, members);
    job_wait(j, guild_step);
}

// --- its channels' and members' records, which point to it ---

static void guild_linked(struct job *j)
{
    struct loading *l = j->state;
    if (!load_committed(j))
        return;
    l->at++;
    load_guilds(j);
}

static void link_channel(struct job *j, struct loading *l, uint32_t at)
{
    struct place_state s = place_state(j, l->place_reads[at]);
    const struct world_channel *doc = &doc_of(l)->channels[at];
    if (s.c)
        return;
    struct channel c = {.id = l->place_reads[at].id, .type = (uint64_t)doc->type, .guild = l->plan.id};
    struct change *change = arena_take(&j->arena, sizeof *change);
    *change = row_change(j, "s", BYTES("chan"), &schema_channel, &c);
    l->commits[l->n_commits++] =
        job_commit(j, &(struct edit){.ref = ref_place(c.id), .version = s.version, .changes = change, .n_changes = 1});
}

static void link_member(struct job *j, struct loading *l, uint32_t at)
{
    if (!guild_plan_welcomes(&l->plan, at, value_u64(l->listed[at])))
        return;
    struct user_read r = l->member_reads[at];
    struct change *change = arena_take(&j->arena, sizeof *change);
    struct event *event = arena_take(&j->arena, sizeof *event);
    *change = (struct change){CHANGE_HSET, "g", id_text(j, l->plan.id), id_text(j, l->plan.since[at])};
    *event = guild_joined_event(l->plan.id, l->version, r.id);
    l->commits[l->n_commits++] = job_commit(j, &(struct edit){.ref = ref_user(r.id),
                                                              .version = user_state(j, r).version,
                                                              .changes = change,
                                                              .n_changes = 1,
                                                              .events = event,
                                                              .n_events = 1});
}

static void guild_link(struct job *j)
{
    struct loading *l = j->state;
    uint32_t n_channels = l->plan.channel_ids.n, n_members = l->plan.links ? l->plan.member_ids.n : 0;
    l->n_commits = 0;
    l->commits = arena_take(&j->arena, ((size_t)n_channels + n_members + 1) * sizeof *l->commits);
    for (uint32_t i = 0; i < n_channels; i++)
        link_channel(j, l, i);
    for (uint32_t i = 0; i < n_members; i++)
        link_member(j, l, i);
    set_add(j, "dir:guilds", l->plan.id);
    if (l->key.p)
        name_claim(j, l->key, l->plan.id);
    job_wait(j, guild_linked);
}

static void guild_links(struct job *j)
{
    struct loading *l = j->state;
    struct ids channels = l->plan.channel_ids, members = l->plan.links ? l->plan.member_ids : (struct ids){0};
    l->place_reads = arena_take(&j->arena, ((size_t)channels.n + 1) * sizeof *l->place_reads);
    for (uint32_t i = 0; i < channels.n; i++)
        l->place_reads[i] = place_read(j, channels.v[i]);
    l->member_reads = arena_take(&j->arena, ((size_t)members.n + 1) * sizeof *l->member_reads);
    l->listed = arena_take(&j->arena, ((size_t)members.n + 1) * sizeof *l->listed);
    for (uint32_t i = 0; i < members.n; i++) {
        l->member_reads[i] = user_read(j, members.v[i]);
        l->listed[i] = job_read_key(j, "HGET", ref_user(members.v[i]), "g", id_text(j, l->plan.id));
    }
    job_wait(j, guild_link);
}

// --- which guild it is ---

static void guild_claimed(struct job *j)
{
    load_guilds(j); // whoever's claim it is now
}

// A guild of this name and owner that got them otherwise counts as well.
static void guild_owned(struct job *j)
{
    struct loading *l = j->state;
    uint64_t id = 0;
    for (uint32_t i = 0; i < l->guild_ids.n && !id; i++) {
        const struct guild *g = guild_row(j, l->guild_rows[i]);
        if (g && g->owner == l->owner && bytes_eq(g->name, doc_of(l)->name))
            id = g->id;
    }
    if (!id && !job_mint(j, 0, &id))
        return;
    name_claim(j, l->key, id);
    job_wait(j, guild_claimed);
}

static void guild_named(struct job *j)
{
    struct loading *l = j->state;
    l->guild_read.id = value_u64(l->claim);
    if (l->guild_read.id) {
        guild_look(j);
        return;
    }
    l->guild_ids = ids_state(j, l->owned);
    l->guild_rows = arena_take(&j->arena, ((size_t)l->guild_ids.n + 1) * sizeof *l->guild_rows);
    for (uint32_t i = 0; i < l->guild_ids.n; i++)
        l->guild_rows[i] = guild_row_read(j, l->guild_ids.v[i]);
    job_wait(j, guild_owned);
}

void load_guilds(struct job *j)
{
    struct loading *l = j->state;
    if (l->at == l->w.n_guilds) {
        load_answer(j);
        return;
    }
    const struct world_guild *g = doc_of(l);
    l->key = BYTES_NONE;
    if (g->name.p) {
        l->owner = world_id(&l->w, &j->arena, g->owner);
        l->key = owned_key(j, 'g', l->owner, g->name);
    }
    if (g->id) {
        l->guild_read.id = g->id;
        guild_look(j);
        return;
    }
    l->claim = name_read(j, l->key);
    l->owned = job_read_key(j, "HKEYS", ref_user(l->owner), "g", BYTES_NONE);
    job_wait(j, guild_named);
}

// --- a guild that was deleted ---

struct forgetting {
    const struct value *version, *row;
};

static void forgotten(struct job *j)
{
    job_done(j, BYTES_NONE);
}

static void forget_looked(struct job *j)
{
    const struct guild_forget *forget = j->msg;
    const struct forgetting *w = j->state;
    if (guild_row(j, w->row) || !value_some(w->version)) { // there it is, or never was
        forgotten(j);
        return;
    }
    set_remove(j, "dir:guilds", forget->guild);
    name_free_of(j, owned_key(j, 'g', forget->owner, forget->name), forget->guild);
    job_wait(j, forgotten);
}

void start_guild_forget(struct job *j)
{
    const struct guild_forget *forget = j->msg;
    struct forgetting *w = arena_take(&j->arena, sizeof *w);
    j->state = w;
    w->version = job_read_key(j, "HGET", ref_place(forget->guild), "s", BYTES("v"));
    w->row = guild_row_read(j, forget->guild);
    job_wait(j, forget_looked);
}
