// guild: see guild.h.
#include "guild.h"
#include "permissions.h"
#include "table.h"

#include <string.h>

#define BITRATE_DEFAULT 64000u // bit/s of a new voice channel
#define MEMBER_ROLES_MAX 250u  // of a member record

struct planning {
    struct arena *a;
    const struct world *w;
    const struct world_guild *doc;
    const struct guild_state *state;
    const uint64_t *fresh;
    uint64_t id, now;
};

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
            (struct role){.id = p->id, .name = BYTES("@everyone"), .permissions = permissions_of_everyone()};
    for (uint32_t i = 0; i < p->doc->n_roles; i++) {
        const struct world_role *want = &p->doc->roles[i];
        const struct role *have = role_named(s->roles, s->n_roles, p->id, want->name);
        if (!have)
            have = role_named(out->roles, out->n_roles, p->id, want->name);
        if (!have) {
            struct role *new = &out->roles[out->n_roles];
            *new = (struct role){.id = *p->fresh++, .name = want->name, .permissions = want->permissions};
            new->position = s->n_roles + out->n_roles++;
            have = new;
        }
        ids[i] = have->id;
    }
    out->role_ids = (struct ids){p->doc->n_roles, ids};
}

static const struct guild_channel *channel_named(const struct guild_channel *v, uint32_t n,
                                                 const struct world_channel *want)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i].type == (uint64_t)want->type && bytes_eq(v[i].name, want->name))
            return &v[i];
    return NULL;
}

static void plan_channels(struct planning *p, struct guild_plan *out)
{
    const struct guild_state *s = p->state;
    uint64_t *ids = arena_take(p->a, (p->doc->n_channels + 1) * sizeof *ids);
    out->channels = arena_take(p->a, (p->doc->n_channels + 1) * sizeof *out->channels);
    for (uint32_t i = 0; i < p->doc->n_channels; i++) {
        const struct world_channel *want = &p->doc->channels[i];
        const struct guild_channel *have = channel_named(s->channels, s->n_channels, want);
        if (!have)
            have = channel_named(out->channels, out->n_channels, want);
        if (!have) {
            bool voice = want->type == CHANNEL_VOICE || want->type == CHANNEL_STAGE;
            struct guild_channel *new = &out->channels[out->n_channels];
            *new = (struct guild_channel){.id = *p->fresh++, .type = (uint64_t)want->type, .name = want->name};
            new->bitrate = voice ? BITRATE_DEFAULT : 0;
            new->position = s->n_channels + out->n_channels++;
            have = new;
        }
        ids[i] = have->id;
    }
    out->channel_ids = (struct ids){p->doc->n_channels, ids};
}

// A member on the way to being written; `of` are all whom the document wants in the guild.
struct draft {
    struct member m;
    bool changed;
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
        drafts[i] = (struct draft){{.user = users.v[i], .joined_at = p->now}, true};
        table_put(&of, users.v[i], &drafts[i]);
    }
    for (uint32_t i = 0; i < p->state->n_members; i++) {
        struct draft *d = table_get(&of, p->state->members[i].user);
        if (d)
            *d = (struct draft){p->state->members[i], false};
    }
    for (uint32_t i = 0; i < p->doc->n_roles; i++)
        plan_member_role(p, &of, out->role_ids.v[i], p->doc->roles[i].members);
    out->members = arena_take(p->a, (users.n + 1) * sizeof *out->members);
    for (uint32_t i = 0; i < users.n; i++)
        if (drafts[i].changed)
            out->members[out->n_members++] = drafts[i].m;
    out->member_ids = users;
    table_fini(&of);
}

void guild_plan(struct arena *a, const struct world *w, const struct world_guild *doc, uint64_t id,
                const struct guild_state *state, const uint64_t *fresh, uint64_t now, struct guild_plan *out)
{
    struct planning p = {a, w, doc, state, fresh, id, now};
    memset(out, 0, sizeof *out);
    if (!state->guild) {
        struct guild *new = arena_take(a, sizeof *new);
        *new = (struct guild){.id = id, .name = doc->name, .owner = world_id(w, a, doc->owner)};
        out->guild = new;
    }
    plan_roles(&p, out);
    plan_channels(&p, out);
    plan_members(&p, out);
}
