// guild_io: the guilds of a world document. One commit holds CHANGES_MAX changes at most, so a large guild is written
// in several, each after another look at what it still lacks.
#include "world_io.h"
#include "errors.h"

static void guild_look(struct job *j);
static void guild_links(struct job *j);

// --- the guild's own record ---

struct changes {
    uint32_t n;
    struct change v[CHANGES_MAX];
};

static void put_row(struct job *j, struct changes *c, const char *suffix, struct bytes name, const struct schema *s,
                    const void *row)
{
    if (c->n < CHANGES_MAX)
        c->v[c->n++] = row_change(j, suffix, name, s, row);
}

// As many as fit; those behind are found missing at the next look.
static struct changes *guild_changes(struct job *j, const struct guild_plan *p)
{
    struct changes *c = arena_take(&j->arena, sizeof *c);
    if (p->guild)
        put_row(j, c, "s", BYTES("guild"), &schema_guild, p->guild);
    for (uint32_t i = 0; i < p->n_roles; i++)
        put_row(j, c, "r", id_text(j, p->roles[i].id), &schema_role, &p->roles[i]);
    for (uint32_t i = 0; i < p->n_channels; i++)
        put_row(j, c, "ch", id_text(j, p->channels[i].id), &schema_guild_channel, &p->channels[i]);
    for (uint32_t i = 0; i < p->n_members; i++)
        put_row(j, c, "mb", id_text(j, p->members[i].user), &schema_member, &p->members[i]);
    return c;
}

static void guild_written(struct job *j)
{
    struct loading *l = j->state;
    if (l->commits[0]->err == OK)
        guild_look(j);
    else
        job_again(j);
}

static void guild_step(struct job *j)
{
    struct loading *l = j->state;
    const struct world_guild *g = &l->w.guilds[l->at];
    struct guild_state state;
    uint64_t version = guild_state(j, l->guild_read, &state);
    uint32_t n_fresh = g->n_roles + g->n_channels;
    uint64_t *fresh = arena_take(&j->arena, ((size_t)n_fresh + 1) * sizeof *fresh);
    for (uint32_t i = 0; i < n_fresh; i++)
        if (!job_mint(j, 0, &fresh[i]))
            return;
    guild_plan(&j->arena, &l->w, g, l->guild_read.id, &state, fresh, job_now(j), &l->plan);
    struct changes *c = guild_changes(j, &l->plan);
    if (c->n == 0) {
        l->guilds[l->at] = (struct guild_done){l->guild_read.id, l->plan.role_ids, l->plan.channel_ids};
        guild_links(j);
        return;
    }
    l->commits = arena_take(&j->arena, sizeof *l->commits);
    l->commits[0] = job_commit(
        j, &(struct edit){.ref = ref_place(l->guild_read.id), .version = version, .changes = c->v, .n_changes = c->n});
    job_wait(j, guild_written);
}

static void guild_look(struct job *j)
{
    struct loading *l = j->state;
    l->guild_read = guild_read(j, l->guild_read.id, true);
    job_wait(j, guild_step);
}

// --- its channels' and members' records, which point to it ---

static void guild_linked(struct job *j)
{
    struct loading *l = j->state;
    for (uint32_t i = 0; i < l->n_commits; i++) {
        if (l->commits[i]->err != OK) {
            job_again(j);
            return;
        }
    }
    l->at++;
    load_guilds(j);
}

static void link_channel(struct job *j, struct loading *l, uint32_t at)
{
    struct place_state s = place_state(j, l->place_reads[at]);
    const struct world_channel *doc = &l->w.guilds[l->at].channels[at];
    if (s.c)
        return;
    struct channel c = {.id = l->place_reads[at].id, .type = (uint64_t)doc->type, .guild = l->guild_read.id};
    struct change *change = arena_take(&j->arena, sizeof *change);
    *change = row_change(j, "s", BYTES("chan"), &schema_channel, &c);
    l->commits[l->n_commits++] =
        job_commit(j, &(struct edit){.ref = ref_place(c.id), .version = s.version, .changes = change, .n_changes = 1});
}

static void link_member(struct job *j, struct loading *l, uint32_t at)
{
    if (l->listed[at]->number == 1)
        return;
    struct user_read r = l->member_reads[at];
    struct change *change = arena_take(&j->arena, sizeof *change);
    *change = (struct change){CHANGE_HSET, "g", id_text(j, l->guild_read.id), BYTES_NONE};
    l->commits[l->n_commits++] = job_commit(
        j,
        &(struct edit){.ref = ref_user(r.id), .version = user_state(j, r).version, .changes = change, .n_changes = 1});
}

static void guild_link(struct job *j)
{
    struct loading *l = j->state;
    uint32_t n_channels = l->plan.channel_ids.n, n_members = l->plan.member_ids.n;
    l->n_commits = 0;
    l->commits = arena_take(&j->arena, ((size_t)n_channels + n_members + 1) * sizeof *l->commits);
    for (uint32_t i = 0; i < n_channels; i++)
        link_channel(j, l, i);
    for (uint32_t i = 0; i < n_members; i++)
        link_member(j, l, i);
    set_add(j, "dir:guilds", l->guild_read.id);
    job_wait(j, guild_linked);
}

static void guild_links(struct job *j)
{
    struct loading *l = j->state;
    struct ids channels = l->plan.channel_ids, members = l->plan.member_ids;
    l->place_reads = arena_take(&j->arena, ((size_t)channels.n + 1) * sizeof *l->place_reads);
    for (uint32_t i = 0; i < channels.n; i++)
        l->place_reads[i] = place_read(j, channels.v[i]);
    l->member_reads = arena_take(&j->arena, ((size_t)members.n + 1) * sizeof *l->member_reads);
    l->listed = arena_take(&j->arena, ((size_t)members.n + 1) * sizeof *l->listed);
    for (uint32_t i = 0; i < members.n; i++) {
        l->member_reads[i] = user_read(j, members.v[i]);
        l->listed[i] = job_read_key(j, "HEXISTS", ref_user(members.v[i]), "g", id_text(j, l->guild_read.id));
    }
    job_wait(j, guild_link);
}

// --- which guild it is ---

static void guild_named(struct job *j)
{
    struct loading *l = j->state;
    uint64_t id = value_u64(l->claim);
    if (id) {
        l->guild_read.id = id;
        guild_look(j);
        return;
    }
    if (!job_mint(j, 0, &id))
        return;
    name_claim(j, l->key, id);
    job_wait(j, load_guilds); // whoever's claim it is now
}

void load_guilds(struct job *j)
{
    struct loading *l = j->state;
    if (l->at == l->w.n_guilds) {
        load_answer(j);
        return;
    }
    const struct world_guild *g = &l->w.guilds[l->at];
    l->key = owned_key(j, 'g', world_id(&l->w, &j->arena, g->owner), g->name);
    l->claim = name_read(j, l->key);
    job_wait(j, guild_named);
}
