// permissions: see permissions.h.
#include "permissions.h"
#include "present.h"

static const struct permission_row {
    const char *name;
    uint32_t bit;
    bool everyone;
} permissions[] = {
#define PERMISSION(name, bit, everyone) {#name, bit, everyone},
#include "permissions.def"
#undef PERMISSION
};

#define LOOK (MAY(VIEW_CHANNEL) | MAY(READ_MESSAGE_HISTORY)) // all that is left to who is timed out
// What nobody may in a voice channel to which he may not connect.
#define VOICE                                                                                                          \
    (MAY(PRIORITY_SPEAKER) | MAY(STREAM) | MAY(SPEAK) | MAY(MUTE_MEMBERS) | MAY(DEAFEN_MEMBERS) | MAY(MOVE_MEMBERS) |  \
     MAY(USE_VAD) | MAY(REQUEST_TO_SPEAK) | MAY(USE_EMBEDDED_ACTIVITIES) | MAY(USE_SOUNDBOARD) |                       \
     MAY(USE_EXTERNAL_SOUNDS) | MAY(SET_VOICE_CHANNEL_STATUS))

const struct role *role_set_find(struct role_set roles, uint64_t id)
{
    uint32_t low = 0, high = roles.n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (roles.v[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < roles.n && roles.v[low].id == id ? &roles.v[low] : NULL;
}

static uint64_t role_permissions(struct role_set roles, uint64_t id)
{
    const struct role *r = role_set_find(roles, id);
    return r ? r->permissions : 0;
}

// Before a time-out is looked at, which does not touch those who may do all.
static uint64_t base(const struct guild *g, struct role_set roles, const struct member *m)
{
    if (!m)
        return 0;
    if (m->user == g->owner)
        return PERMISSIONS_ALL;
    uint64_t all = role_permissions(roles, g->id);
    for (uint32_t i = 0; i < m->roles.n; i++)
        all |= role_permissions(roles, m->roles.v[i]);
    return all & MAY(ADMINISTRATOR) ? PERMISSIONS_ALL : all & PERMISSIONS_ALL;
}

uint64_t permissions_in_guild(const struct guild *g, struct role_set roles, const struct member *m, uint64_t now)
{
    uint64_t all = base(g, roles, m);
    return all != PERMISSIONS_ALL && m && m->disabled_until > now ? all & LOOK : all;
}

static uint64_t overwritten(uint64_t all, const struct guild *g, const struct member *m, const struct guild_channel *c)
{
    uint64_t allow = 0, deny = 0;
    const struct overwrite *everyone = NULL, *own = NULL;
    for (uint32_t i = 0; i < c->overwrites.n; i++) {
        const struct overwrite *o = &c->overwrites.v[i];
        if (o->type == 1) {
            own = o->id == m->user ? o : own;
        } else if (o->id == g->id) {
            everyone = o;
        } else if (ids_have(m->roles, o->id)) {
            allow |= o->allow;
            deny |= o->deny;
        }
    }
    if (everyone)
        all = (all & ~everyone->deny) | everyone->allow;
    all = (all & ~deny) | allow;
    if (own)
        all = (all & ~own->deny) | own->allow;
    return all & PERMISSIONS_ALL;
}

uint64_t permissions_in_channel(const struct guild *g, struct role_set roles, const struct member *m,
                                const struct guild_channel *c, uint64_t now)
{
    uint64_t all = base(g, roles, m);
    if (all == PERMISSIONS_ALL || !m)
        return all;
    all = overwritten(all, g, m, c);
    if (m->disabled_until > now)
        all &= LOOK;
    if (!(all & MAY(VIEW_CHANNEL)))
        return 0;
    bool voice = c->type == CHANNEL_VOICE || c->type == CHANNEL_STAGE;
    return voice && !(all & MAY(CONNECT)) ? all & ~VOICE : all;
}

static bool higher(const struct role *a, const struct role *b)
{
    return !b || a->position > b->position || (a->position == b->position && a->id < b->id);
}

int64_t permissions_rank(struct role_set roles, const struct guild *g, const struct member *m)
{
    const struct role *top = role_set_find(roles, g->id);
    for (uint32_t i = 0; m && i < m->roles.n; i++) {
        const struct role *r = role_set_find(roles, m->roles.v[i]);
        if (r && higher(r, top))
            top = r;
    }
    return top ? (int64_t)top->position : -1;
}

uint64_t permissions_hoisted(struct role_set roles, const struct member *m)
{
    const struct role *top = NULL;
    for (uint32_t i = 0; i < m->roles.n; i++) {
        const struct role *r = role_set_find(roles, m->roles.v[i]);
        if (r && r->hoist && higher(r, top))
            top = r;
    }
    return top ? top->id : 0;
}

int permission_bit(struct bytes name, uint64_t *out)
{
    for (size_t i = 0; i < countof(permissions); i++) {
        if (bytes_is(name, permissions[i].name)) {
            *out = 1ull << permissions[i].bit;
            return OK;
        }
    }
    return ERR_MISSING;
}

uint64_t permissions_of_everyone(void)
{
    uint64_t all = 0;
    for (size_t i = 0; i < countof(permissions); i++)
        if (permissions[i].everyone)
            all |= 1ull << permissions[i].bit;
    return all;
}
