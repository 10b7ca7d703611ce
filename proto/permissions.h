// permissions: what a member may do in a guild, and in one of its channels. Pure. The rules are those of
// https://docs.discord.com/developers/topics/permissions: everyone's role and his own are merged; the owner and
// administrators may do all; then come the channel's overwrites: everyone's, those of his roles merged, his own.
// Who is timed out may only look. Who may not view a channel may do nothing there; who may not connect to a voice
// channel may do nothing there that has to do with voice.
#pragma once
#include "schema.h"

enum permission {
#define PERMISSION(name, bit, everyone) PERMISSION_##name = (bit),
#include "permissions.def"
#undef PERMISSION
};
#define MAY(name) (1ull << PERMISSION_##name)
#define PERMISSIONS_ALL ((1ull << 53) - 1) // every bit that a JSON number could hold

struct role_set { // all roles of one guild, sorted by id; everyone's has the id of the guild
    uint32_t n;
    const struct role *v;
};
const struct role *role_set_find(struct role_set roles, uint64_t id); // NULL when absent

// m NULL: he is no member, and may do nothing. now: unix ms.
uint64_t permissions_in_guild(const struct guild *g, struct role_set roles, const struct member *m, uint64_t now);
uint64_t permissions_in_channel(const struct guild *g, struct role_set roles, const struct member *m,
                                const struct guild_channel *c, uint64_t now);
// Position of the highest role that he has; everyone's when he has no other. -1: there is none at all.
int64_t permissions_rank(struct role_set roles, const struct guild *g, const struct member *m);
// The id of the highest of his roles whose members are listed apart; 0: none.
uint64_t permissions_hoisted(struct role_set roles, const struct member *m);

MUST_USE int permission_bit(struct bytes name, uint64_t *out); // its bit's value; ERR_MISSING
uint64_t permissions_of_everyone(void);                        // of a new guild
