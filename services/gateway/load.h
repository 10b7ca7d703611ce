// load: records read from Redis for the gateway: users, one private channel, or all that one user sees.
// Shell. Each record is read in one atomic step, so what stands in a result belongs to its version. Records that do
// not decode are logged and treated as absent.
#pragma once
#include "present.h"
#include "record.h"

struct gateway;

struct loaded_channel {
    uint64_t version; // of the place
    struct channel channel;
    uint64_t last_message;       // 0: none yet
    const struct call_rec *call; // NULL: no call
};
struct loaded_guild {
    uint64_t version;
    struct guild guild;
    uint32_t n_roles, n_channels, n_members;
    const struct role *roles;             // sorted by position, then id
    const struct guild_channel *channels; // the same
    const struct member *members;         // sorted by user
};
struct relation {
    uint64_t target, type; // 1 friend, 2 blocked, 3 incoming, 4 outgoing
};

// What one user sees. Lists are sorted by id; a channel whose recipients do not hold the user is left out.
struct world {
    uint64_t version; // of the user's record
    struct user user;
    uint32_t n_channels, n_guilds, n_relations, n_read_states;
    const struct loaded_channel *channels;
    const struct loaded_guild *guilds;
    const struct relation *relations;
    const struct read_state *read_states;
    struct user_set users; // everybody named anywhere above, sorted by id; himself too
};

// err: OK, ERR_MISSING (no such user or channel), ERR_IO (Redis is away). Results live until the callback returns and
// are NULL or empty unless err is OK. The callback runs once, from the loop, never from inside load_….
typedef void (*load_users_fn)(void *ctx, int err, struct user_set users); // unknown ids are left out; never ERR_MISSING
typedef void (*load_channel_fn)(void *ctx, int err, const struct loaded_channel *c, struct user_set recipients);
typedef void (*load_world_fn)(void *ctx, int err, const struct world *w);

// Called with each record before it is read, so that listening to it may begin: nothing that happens between the
// reading and the listening is missed.
typedef void (*load_ref_fn)(void *ctx, ref r, bool guild);

enum { LOAD_PRIVATE = 1, LOAD_GUILDS = 2, LOAD_ALL = 3 }; // relations and read states always come

void load_users(struct gateway *g, struct ids ids, load_users_fn fn, void *ctx);
// A private channel, or a guild's channel (channel.guild != 0: then without last message, call and recipients).
void load_channel(struct gateway *g, uint64_t id, load_channel_fn fn, void *ctx);
void load_world(struct gateway *g, uint64_t user, unsigned parts, load_ref_fn on_ref, load_world_fn fn, void *ctx);
