// world: a world document (README, "Admin"): users, bots, friendships, private channels and guilds as an operator
// wrote them, checked as a whole before anything is done. Pure; jansson reads.
// {"users":[{"name","id"?,"global_name"?}],"bots":[…],"friends":[[A,B]],"dms":[[A,B]],
//  "groups":[{"name","owner","users":[…]}],"guilds":[{"id"?,"name","owner","description"?,"everyone"?:[PERMISSION,…],
//    "afk_channel"?,"afk_timeout"?,"members":[…],
//    "roles":[{"name","permissions":[PERMISSION,…],"color"?,"hoist"?,"mentionable"?,"members":[…]}],
//    "channels":[{"name","type":"voice","parent"?,"topic"?,"nsfw"?,"user_limit"?,"bitrate"?,"rtc_region"?,"slowmode"?,
//      "overwrites"?:[{"role" or "member","allow":[PERMISSION,…],"deny":[…]}]}]}]}
// A user is named by his name or id: one of the document, or one who stands already. Roles, categories and the AFK
// channel are named by their names, and are ones of the same guild in the same document. A guild with an id stands
// already, or is made with it.
#pragma once
#include "channel.h"
#include "directory.h"

// https://docs.discord.com/developers/topics/opcodes-and-status-codes, "JSON": 30005 and 30013
#define WORLD_ROLES_MAX 250u
#define WORLD_CHANNELS_MAX 500u
#define WORLD_NAME_MAX 100u // characters of a guild's, role's, channel's or group's name

struct world_user {
    struct bytes name, global_name; // global_name.p NULL: none
    uint64_t id;                    // 0: any
    bool bot;
};
struct world_pair {
    struct bytes of[2];
};
struct world_group {
    struct bytes name, owner;
    struct texts users;
};
#define WORLD_NONE UINT32_MAX // where the index of something stands: there is none
struct world_role {
    struct bytes name;
    uint64_t permissions, color;
    bool hoist, mentionable;
    struct texts members;
};
struct world_overwrite {
    uint32_t role;       // of the guild's roles; WORLD_NONE: everyone's
    struct bytes member; // instead of a role, where it is some
    uint64_t allow, deny;
};
struct world_channel {
    struct bytes name;
    enum channel_type type;
    uint32_t parent; // of the guild's channels, or WORLD_NONE
    uint64_t user_limit, bitrate, slowmode;
    struct bytes topic, rtc_region;
    bool nsfw;
    uint32_t n_overwrites;
    const struct world_overwrite *overwrites;
};
struct world_guild {
    uint64_t id;              // 0: whichever has this name and owner, or a new one
    struct bytes name, owner; // none: it stands already, under its id
    struct bytes description;
    uint64_t everyone;    // what everybody may in a new one
    uint32_t afk_channel; // of channels, or WORLD_NONE
    uint64_t afk_timeout; // seconds; 0: the default
    bool more;            // more of it follows in other documents; nobody is told before the last of them
    struct texts members; // owner and role members included, no matter whether the document lists them
    uint32_t n_roles, n_channels;
    const struct world_role *roles; // from the lowest to the highest
    const struct world_channel *channels;
};
// Everybody that the document names, by lower-case name or by id, in text order.
struct world_name {
    struct bytes lower;
    uint64_t id; // 0: not known yet
    bool declared;
};
struct world {
    uint32_t n_users, n_friends, n_dms, n_groups, n_guilds, n_names;
    const struct world_user *users; // the bots behind the others
    const struct world_pair *friends, *dms;
    const struct world_group *groups;
    const struct world_guild *guilds;
    struct world_name *names;
};

// 0, 50109 (no JSON), or 50035 with *fault. All of *out lives in the arena.
int world_parse(struct arena *a, struct bytes document, struct world *out, struct fault *fault);
struct world_name *world_find(const struct world *w, struct arena *a, struct bytes name); // NULL: not in the document
uint64_t world_id(const struct world *w, struct arena *a, struct bytes name);             // CHECKs that it is known
struct ids world_ids(const struct world *w, struct arena *a, struct texts names);         // no one twice
// After the look-up of all names: 0, or 50035 when one is neither declared nor known.
int world_resolved(const struct world *w, struct fault *fault);
