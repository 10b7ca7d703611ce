// world_plan: what a guild still lacks of what a world document says about it, and the commits that give it that. Pure.
// What stands is kept: roles are told apart by name, channels by name and type, members by user; the document's order
// is theirs, behind what stands. While a guild is made nobody is told of it, however many documents that takes
// ({<guild>}:s loading): its members hear of it when it is whole. Later additions are events in its log.
#pragma once
#include "world.h"

struct guild_state {           // as it stands
    const struct guild *guild; // NULL: not at all
    bool loading;
    uint32_t n_roles, n_channels, n_members;
    const struct role *roles;
    const struct guild_channel *channels;
    const struct member *members; // those whom the document names, at least
    struct ids unlisted;          // of these, who is not in the list of members' ids
};
struct guild_plan {
    uint64_t id;
    const struct guild *guild;               // to be written, or NULL
    uint32_t n_roles, n_channels, n_members; // to be written: new ones, and members who get more roles
    struct role *roles;
    struct guild_channel *channels;
    struct member *members;
    bool *joins;                      // of each of them: he is a new one
    struct ids role_ids, channel_ids; // of the document, in its order, new and old alike
    struct ids member_ids;            // everybody of the document who shall be in it
    uint64_t *since;                  // of each of them: when he became a member, unix ms
    struct ids unlisted;
    bool told;  // events tell of what is written
    bool opens; // it is whole then
    bool links; // and who belongs to it is told so
};
// fresh: as many new ids as the document has roles and channels together; the names of w are all resolved. 0, 30005 or
// 30013 (too many roles, channels).
int guild_plan(struct arena *a, const struct world *w, const struct world_guild *doc, uint64_t id,
               const struct guild_state *state, const uint64_t *fresh, uint64_t now, struct guild_plan *out);

#define GUILD_PLAN_CHANGES 240u // of one commit
#define GUILD_PLAN_EVENTS 64u
struct guild_commit {
    uint32_t n_changes, n_events;
    struct change *changes;
    struct event *events;
};
struct guild_commits { // to be made one after another, each on the version that the one before made
    uint32_t n, room;
    struct guild_commit *v;
};
// Nothing left to be done: none. users: of the members to be written, where events tell of them. Lives in the arena.
void guild_plan_commits(struct arena *a, const struct guild_plan *p, const struct guild_state *state,
                        struct user_set users, struct guild_commits *out);
// Has the i-th of member_ids to be told that he belongs to the guild? listed: since when he does as far as his own
// record knows, 0: not at all. It may know of an older time only: whoever has put him out finds, when he is about to
// take the guild out of that record, that he is a member again.
bool guild_plan_welcomes(const struct guild_plan *p, uint32_t i, uint64_t listed);
// In a member's own record: he belongs to the guild, whose version `version` knows of him.
struct event guild_joined_event(uint64_t guild, uint64_t version, uint64_t user);
