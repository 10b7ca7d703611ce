// world_guild: the one guild of the simulated world: what a client sees of it, what it may see, and what stands in
// Redis. Of its members some may not see every channel, one may move and silence the others, and what people may is
// changed while they talk.
#pragma once
#include "world.h"

struct json_t;
struct guild_state { // somebody's voice state, as an event told it; channel 0: none
    uint64_t channel;
    char session[33];
    bool self_mute, self_deaf, self_video, mute;
};
struct guild_view {
    bool there;
    bool rooms[ROOMS_MAX];
    struct guild_state states[USERS_MAX];
};
uint32_t room_index(uint64_t id); // n_rooms: none of ours

// READY's guilds. who: the number of the client, for what is said when something is wrong; own: its user.
void world_guild_ready(uint32_t who, uint64_t own, struct guild_view *v, const struct json_t *guilds);
// A dispatch. False: it is not about the guild.
bool world_guild_event(uint32_t who, uint64_t own, struct guild_view *v, const char *t, const struct json_t *d);
// At rest: is it what he may see? server: it was sent to one there.
void world_guild_compare(uint32_t who, uint64_t user, const char *session, bool server, const struct guild_view *v);

// --- what stands ---
void world_guild_begin(void);
void world_guild_touched(struct bytes key);                // a change in Redis
bool world_guild_changed_since(uint64_t us);               // who is in it, or what somebody may see there
void world_guild_look(void);                               // after each event: what has changed is checked
uint64_t world_guild_epoch(uint64_t user);                 // of his voice state; 0: he has none
bool world_guild_sits(uint64_t user, const char *session); // that session has it
const char *world_guild_session(uint64_t user);            // whose it is; NULL: he has none
bool world_guild_has(uint64_t user);                       // he is a member
