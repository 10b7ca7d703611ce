// guild: what a guild still lacks of what a world document says about it. Pure.
// What stands is kept: roles are told apart by name, channels by name and type, members by user.
#pragma once
#include "world.h"

struct guild_state {           // as it stands
    const struct guild *guild; // NULL: not at all
    uint32_t n_roles, n_channels, n_members;
    const struct role *roles;
    const struct guild_channel *channels;
    const struct member *members;
};
struct guild_plan {
    const struct guild *guild;               // to be written, or NULL
    uint32_t n_roles, n_channels, n_members; // to be written: new ones, and members who get more roles
    struct role *roles;
    struct guild_channel *channels;
    struct member *members;
    struct ids role_ids, channel_ids; // of the document, in its order, new and old alike
    struct ids member_ids;            // everybody of the document who shall be in it
};
// fresh: as many new ids as the document has roles and channels together; the names of w are all resolved.
void guild_plan(struct arena *a, const struct world *w, const struct world_guild *doc, uint64_t id,
                const struct guild_state *state, const uint64_t *fresh, uint64_t now, struct guild_plan *out);
