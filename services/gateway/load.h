// load: records read from Redis for the gateway: users, one private channel, one guild or some of its members, or all
// that one user sees. Shell. Each record is read in one atomic step, so what stands in a result belongs to its version.
// Records that do not decode are logged and treated as absent. No guild is read whole that has more than LOAD_SMALL
// members.
#pragma once
#include "permissions.h"
#include "presence.h"
#include "present.h"
#include "record.h"

struct gateway;

struct loaded_channel {
    uint64_t version; // of the place
    struct channel channel;
    uint64_t last_message;       // 0: none yet
    const struct call_rec *call; // NULL: no call
};
#define LOAD_SMALL 250u // the most that Identify's large_threshold may be
struct loaded_guild {
    uint64_t version;
    struct guild guild;
    struct role_set roles;
    uint32_t n_channels, n_members, n_seats, n_rooms, n_stages;
    const struct guild_channel *channels; // sorted by position, then id
    const struct member *members;   // by user: the viewer and whoever sits in voice; all of at most LOAD_SMALL members
    const struct voice_seat *seats; // by user; each is one of `members`
    const struct voice_room *rooms; // by channel
    const struct stage *stages;     // by channel
    uint64_t member_count;          // of the guild
    bool whole;                     // all of them are in `members`
};
struct relation {
    uint64_t target, type; // 1 friend, 2 blocked, 3 incoming, 4 outgoing
};

// What one user sees. Lists are sorted by id; a channel whose recipients do not hold the user, or a guild that he is no
// member of, is left out.
struct world {
    uint64_t version; // of the user's record; 0 where only a guild was asked for
    bool gone;        // it was, and there is none (any more)
    struct user user;
    uint32_t n_channels, n_guilds, n_relations, n_read_states;
    const struct loaded_channel *channels;
    const struct loaded_guild *guilds;
    const struct relation *relations;
    const struct read_state *read_states;
    struct presence_sessions sessions; // his own
    struct presence_set there;         // of `users`, where whole guilds are read
    struct user_set users;             // everybody named anywhere above, sorted by id; himself too
};

// err: OK, ERR_MISSING (no such user or channel), ERR_IO (Redis is away). Results live until the callback returns and
// are NULL or empty unless err is OK. The callback runs once, from the loop, never from inside load_….
typedef void (*load_users_fn)(void *ctx, int err, struct user_set users); // unknown ids are left out; never ERR_MISSING
typedef void (*load_channel_fn)(void *ctx, int err, const struct loaded_channel *c, struct user_set recipients);
typedef void (*load_world_fn)(void *ctx, int err, const struct world *w);
// members: sorted by user; users: those of them. Never ERR_MISSING.
typedef void (*load_members_fn)(void *ctx, int err, uint32_t n, const struct member *members, struct user_set users);

// Called with each record before it is read, so that listening to it may begin: nothing that happens between the
// reading and the listening is missed. bot: it is known that he is one. False: a place that is not to be read.
typedef bool (*load_ref_fn)(void *ctx, ref r, bool guild, bool bot);

// Relations and read states always come. LOAD_FRAMES: guilds, but of seats and members only his own.
enum { LOAD_PRIVATE = 1, LOAD_GUILDS = 2, LOAD_ALL = 3, LOAD_FRAMES = 4 };

void load_users(struct gateway *g, struct ids ids, load_users_fn fn, void *ctx);
// A private channel, or a guild's channel (channel.guild != 0: then without last message, call and recipients).
void load_channel(struct gateway *g, uint64_t id, load_channel_fn fn, void *ctx);
// The same for a user: a guild's channel that was made at run time has no record of its own, and is looked for in his
// guilds.
void load_channel_for(struct gateway *g, uint64_t id, uint64_t user, load_channel_fn fn, void *ctx);
void load_world(struct gateway *g, uint64_t user, unsigned parts, load_ref_fn on_ref, load_world_fn fn, void *ctx);
// A world with that guild and nothing else: no guilds when he is no member or there is none.
void load_guild(struct gateway *g, uint64_t user, uint64_t guild, load_world_fn fn, void *ctx);
// The same, but of seats and members only his own and those of `others`.
void load_frame(struct gateway *g, uint64_t user, uint64_t guild, struct ids others, load_world_fn fn, void *ctx);
#define LOAD_PAGE_MAX 1000u
// Those of `users` who are members.
void load_members(struct gateway *g, uint64_t guild, struct ids users, load_members_fn fn, void *ctx);
// The next `limit` (<= LOAD_PAGE_MAX) members whose ids are greater than `after`.
void load_member_page(struct gateway *g, uint64_t guild, uint64_t after, uint32_t limit, load_members_fn fn, void *ctx);
