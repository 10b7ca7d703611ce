// world_plan: see world_plan.h.
#include "world_plan.h"
#include "errors.h"
#include "present_guild.h"
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER_ROLES_MAX 250u // of a member record

struct planning {
    struct arena *a;
    const struct world *w;
    const struct world_guild *doc;
    const struct guild_state *state;
    const uint64_t *fresh;
    uint64_t id, now;
};

// --- roles ---

static const struct role *role_named(const struct role *v, uint32_t n, uint64_t guild, struct bytes name)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i].id != guild && bytes_eq(v[i].name, name))
            return &v[i];
    return NULL;
}

static void plan_roles(struct planning *p, struct guild_plan *out)
{
    const struct guild_state *s = p->state;
    uint64_t *ids = arena_take(p->a, (p->doc->n_roles + 1) * sizeof *ids);
    out->roles = arena_take(p->a, (p->doc->n_roles + 1) * sizeof *out->roles);
    if (!s->guild)
        out->roles[out->n_roles++] =
            (struct role){.id = p->id, .name = BYTES("@everyone"), .permissions = p->doc->everyone};
    for (uint32_t i = 0; i < p->doc->n_roles; i++) {
        const struct world_role *want = &p->doc->roles[i];
        const struct role *have = role_named(s->roles, s->n_roles, p->id, want->name);
        if (!have)
            have = role_named(out->roles, out->n_roles, p->id, want->name);
        if (!have) {
            struct role *new = &out->roles[out->n_roles];
            *new = (struct role){.id = *p->fresh++,
                                 .name = want->name,
                                 .permissions = want->permissions,
                                 .color = want->color,
                                 .hoist = want->hoist,
                                 .mentionable = want->mentionable};
            new->position = s->n_roles + out->n_roles++;
            have = new;
        }
        ids[i] = have->id;
    }
    out->role_ids = (struct ids){p->doc->n_roles, ids};
}

// --- channels ---

static const struct guild_channel *channel_named(const struct guild_channel *v, uint32_t n,
                                                 const struct world_channel *want)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i].type == (uint64_t)want->type && bytes_eq(v[i].name, want->name))
            return &v[i];
    return NULL;
}

// The last of several for the same role or member counts.
static void plan_overwrites(struct planning *p, const struct guild_plan *out, const struct world_channel *want,
                            struct guild_channel *c)
{
    struct overwrite *v = arena_take(p->a, (want->n_overwrites + 1) * sizeof *v);
    uint32_t n = 0;
    for (uint32_t i = 0; i < want->n_overwrites; i++) {
        const struct world_overwrite *o = &want->overwrites[i];
        struct overwrite new = {.type = o->member.p ? 1 : 0, .allow = o->allow, .deny = o->deny};
        uint32_t at = 0;
        if (o->member.p)
            new.id = world_id(p->w, p->a, o->member);
        else
            new.id = o->role == WORLD_NONE ? p->id : out->role_ids.v[o->role];
        while (at < n && v[at].id != new.id)
            at++;
        v[at] = new;
        n += at == n;
    }
    c->overwrites.n = n;
    c->overwrites.v = v;
}

static struct guild_channel new_channel(const struct world_channel *want, uint64_t id)
{
    bool voice = channel_has_voice((uint64_t)want->type);
    return (struct guild_channel){.id = id,
                                  .type = (uint64_t)want->type,
                                  .name = want->name,
                                  .topic = want->topic,
                                  .nsfw = want->nsfw,
                                  .rate_limit = want->slowmode,
                                  .user_limit = want->user_limit,
                                  .rtc_region = want->rtc_region,
                                  .bitrate = want->bitrate || !voice ? want->bitrate : GUILD_BITRATE};
}

static void plan_channels(struct planning *p, struct guild_plan *out)
{
    const struct guild_state *s = p->state;
    uint64_t *ids = arena_take(p->a, (p->doc->n_channels + 1) * sizeof *ids);
    uint32_t *of = arena_take(p->a, (p->doc->n_channels + 1) * sizeof *of); // each new one's in the document
    out->channels = arena_take(p->a, (p->doc->n_channels + 1) * sizeof *out->channels);
    for (uint32_t i = 0; i < p->doc->n_channels; i++) {
        const struct world_channel *want = &p->doc->channels[i];
        const struct guild_channel *have = channel_named(s->channels, s->n_channels, want);
        if (!have)
            have = channel_named(out->channels, out->n_channels, want);
        if (!have) {
            struct guild_channel *new = &out->channels[out->n_channels];
            *new = new_channel(want, *p->fresh++);
            new->position = s->n_channels + out->n_channels;
            of[out->n_channels++] = i;
            have = new;
        }
        ids[i] = have->id;
    }
    for (uint32_t i = 0; i < out->n_channels; i++) {
        const struct world_channel *want = &p->doc->channels[of[i]];
        out->channels[i].parent = want->parent == WORLD_NONE ? 0 : ids[want->parent];
        plan_overwrites(p, out, want, &out->channels[i]);
    }
    out->channel_ids = (struct ids){p->doc->n_channels, ids};
}

// --- members ---

// A member on the way to being written; `of` are all whom the document wants in the guild.
struct draft {
    struct member m;
    bool joins, changed;
};

static void plan_member_role(struct planning *p, struct table *of, uint64_t role, struct texts names)
{
    struct ids users = world_ids(p->w, p->a, names);
    for (uint32_t i = 0; i < users.n; i++) {
        struct draft *d = table_get(of, users.v[i]);
        if (ids_have(d->m.roles, role) || d->m.roles.n >= MEMBER_ROLES_MAX)
            continue;
        d->m.roles = ids_with(p->a, d->m.roles, role);
        d->changed = true;
    }
}

static void plan_members(struct planning *p, struct guild_plan *out)
{
    struct ids users = world_ids(p->w, p->a, p->doc->members);
    struct draft *drafts = arena_take(p->a, (users.n + 1) * sizeof *drafts);
    struct table of = {0};
    for (uint32_t i = 0; i < users.n; i++) {
        drafts[i] = (struct draft){{.user = users.v[i], .joined_at = p->now}, true, true};
        table_put(&of, users.v[i], &drafts[i]);
    }
    for (uint32_t i = 0; i < p->state->n_members; i++) {
        struct draft *d = table_get(&of, p->state->members[i].user);
        if (d)
            *d = (struct draft){p->state->members[i], false, false};
    }
    for (uint32_t i = 0; i < p->doc->n_roles; i++)
        plan_member_role(p, &of, out->role_ids.v[i], p->doc->roles[i].members);
    out->members = arena_take(p->a, (users.n + 1) * sizeof *out->members);
    out->joins = arena_take(p->a, (users.n + 1) * sizeof *out->joins);
    out->since = arena_take(p->a, (users.n + 1) * sizeof *out->since);
    for (uint32_t i = 0; i < users.n; i++) {
        out->since[i] = drafts[i].m.joined_at;
        if (!drafts[i].changed)
            continue;
        out->joins[out->n_members] = drafts[i].joins;
        out->members[out->n_members++] = drafts[i].m;
    }
    out->member_ids = users;
    out->unlisted = p->state->unlisted;
    table_fini(&of);
}

static void plan_guild(struct planning *p, struct guild_plan *out)
{
    struct guild *new = arena_take(p->a, sizeof *new);
    *new = (struct guild){.id = p->id,
                          .name = p->doc->name,
                          .owner = world_id(p->w, p->a, p->doc->owner),
                          .description = p->doc->description,
                          .afk_timeout = p->doc->afk_timeout};
    if (p->doc->afk_channel != WORLD_NONE)
        new->afk_channel = out->channel_ids.v[p->doc->afk_channel];
    out->guild = new;
}

int guild_plan(struct arena *a, const struct world *w, const struct world_guild *doc, uint64_t id,
               const struct guild_state *state, const uint64_t *fresh, uint64_t now, struct guild_plan *out)
{
    struct planning p = {a, w, doc, state, fresh, id, now};
    bool loading = !state->guild || state->loading;
    memset(out, 0, sizeof *out);
    out->id = id;
    plan_roles(&p, out);
    plan_channels(&p, out);
    plan_members(&p, out);
    if (!state->guild)
        plan_guild(&p, out);
    out->told = !loading;
    out->opens = loading && !doc->more;
    out->links = !loading || out->opens;
    if (out->n_roles && state->n_roles + out->n_roles > WORLD_ROLES_MAX + 1) // everyone's apart
        return API_TOO_MANY_ROLES;
    return out->n_channels && state->n_channels + out->n_channels > WORLD_CHANNELS_MAX ? API_TOO_MANY_CHANNELS : API_OK;
}

// --- commits ---

struct writing {
    struct arena *a;
    const struct guild_plan *p;
    struct guild_commits *out;
};

// One that has room for two more changes and an event.
static struct guild_commit *open_commit(struct writing *w)
{
    struct guild_commits *all = w->out;
    struct guild_commit *c = all->n ? &all->v[all->n - 1] : NULL;
    if (c && c->n_changes + 2 <= GUILD_PLAN_CHANGES && c->n_events < GUILD_PLAN_EVENTS)
        return c;
    if (all->n == all->room) {
        struct guild_commit *grown = arena_take(w->a, ((size_t)all->room * 2 + 8) * sizeof *grown);
        if (all->n)
            memcpy(grown, all->v, all->n * sizeof *grown);
        all->room = all->room * 2 + 8;
        all->v = grown;
    }
    c = &all->v[all->n++];
    *c = (struct guild_commit){0};
    c->changes = arena_take(w->a, GUILD_PLAN_CHANGES * sizeof *c->changes);
    c->events = arena_take(w->a, (w->p->told ? GUILD_PLAN_EVENTS : 1) * sizeof *c->events);
    return c;
}

static struct bytes decimal(struct writing *w, uint64_t id)
{
    return arena_printf(w->a, "%" PRIu64, id);
}

static void put_change(struct writing *w, struct change change)
{
    struct guild_commit *c = open_commit(w);
    c->changes[c->n_changes++] = change;
}

// The row of {<guild>}:<suffix> <id>, and the event that tells of it; name NULL: none does.
static struct guild_commit *put_row(struct writing *w, const char *suffix, uint64_t id, const struct schema *s,
                                    const void *row, const char *name, struct bytes body, uint64_t channel)
{
    struct guild_commit *c = open_commit(w);
    struct bytes packed = schema_packed(w->a, s, row);
    c->changes[c->n_changes++] = (struct change){CHANGE_HSET, suffix, decimal(w, id), packed};
    if (name)
        c->events[c->n_events++] = (struct event){
            .name = bytes_of(name), .body = body, .channel = channel, .row_tag = s->tag, .row_id = id, .row = packed};
    return c;
}

static struct change listed(struct writing *w, uint64_t user)
{
    return (struct change){CHANGE_ZADD, "mi", arena_printf(w->a, "%020" PRIu64, user), BYTES_NONE};
}

static int by_id(const void *x, const void *y)
{
    const struct role *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

// All that there are then.
static struct role_set roles_of(struct writing *w, const struct guild_state *state)
{
    uint32_t n = state->n_roles + w->p->n_roles;
    struct role *v = arena_take(w->a, ((size_t)n + 1) * sizeof *v);
    if (state->n_roles)
        memcpy(v, state->roles, state->n_roles * sizeof *v);
    if (w->p->n_roles)
        memcpy(v + state->n_roles, w->p->roles, w->p->n_roles * sizeof *v);
    qsort(v, n, sizeof *v, by_id);
    return (struct role_set){n, v};
}

static void write_members(struct writing *w, const struct guild_state *state, struct user_set users)
{
    const struct guild_plan *p = w->p;
    struct role_set roles = p->told ? roles_of(w, state) : (struct role_set){0};
    for (uint32_t i = 0; i < p->n_members; i++) {
        const struct member *m = &p->members[i];
        const char *name = p->joins[i] ? "GUILD_MEMBER_ADD" : "GUILD_MEMBER_UPDATE";
        struct bytes body = BYTES_NONE;
        if (p->told)
            body = present_member_text(w->a, m, user_set_find(users, m->user), p->id, permissions_hoisted(roles, m));
        struct guild_commit *c = put_row(w, "mb", m->user, &schema_member, m, p->told ? name : NULL, body, 0);
        if (p->joins[i])
            c->changes[c->n_changes++] = listed(w, m->user);
    }
    for (uint32_t i = 0; i < p->unlisted.n; i++)
        put_change(w, listed(w, p->unlisted.v[i]));
}

void guild_plan_commits(struct arena *a, const struct guild_plan *p, const struct guild_state *state,
                        struct user_set users, struct guild_commits *out)
{
    struct writing w = {a, p, out};
    *out = (struct guild_commits){0};
    if (p->guild) {
        put_change(&w, (struct change){CHANGE_HSET, "s", BYTES("guild"), schema_packed(a, &schema_guild, p->guild)});
        put_change(&w, (struct change){CHANGE_HSET, "s", BYTES("loading"), BYTES("1")});
    }
    for (uint32_t i = 0; i < p->n_roles; i++) {
        const struct role *r = &p->roles[i];
        struct bytes body = p->told ? present_role(a, r, p->id) : BYTES_NONE;
        put_row(&w, "r", r->id, &schema_role, r, p->told ? "GUILD_ROLE_CREATE" : NULL, body, 0);
    }
    for (uint32_t i = 0; i < p->n_channels; i++) {
        const struct guild_channel *c = &p->channels[i];
        struct bytes body = p->told ? present_guild_channel(a, c, p->id) : BYTES_NONE;
        put_row(&w, "ch", c->id, &schema_guild_channel, c, p->told ? "CHANNEL_CREATE" : NULL, body, c->id);
    }
    write_members(&w, state, users);
    if (p->opens)
        put_change(&w, (struct change){CHANGE_HDEL, "s", BYTES("loading"), BYTES_NONE});
}

bool guild_plan_welcomes(const struct guild_plan *p, uint32_t i, uint64_t listed)
{
    return listed != p->since[i];
}

struct event guild_joined_event(uint64_t guild, uint64_t version, uint64_t user)
{
    return (struct event){
        .name = BYTES("GUILD_CREATE"), .to = 1, .user = user, .place_op = 1, .place = guild, .place_version = version};
}
