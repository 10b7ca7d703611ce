// view: how an account and guilds look to clients; READY, GUILD_CREATE and REST show the same. Pure.
// Users, private channels and messages are proto/present's.
#pragma once
#include "load.h"
#include "present_guild.h"

// One of a world's users, who are sorted by id.
const struct user *view_find_user(struct user_set users, uint64_t id);             // NULL: not among them
struct j_user view_user(struct user_set users, uint64_t id);                       // then he is shown as deleted
void view_me(struct buf *out, const struct user *u, struct bytes analytics_token); // none: left out
void view_application(struct buf *out, const struct user *bot);

// All that a guild is and has but its channels and members, as one object. Without its closing brace when `open`:
// the caller adds more.
void view_guild(struct buf *out, const struct loaded_guild *g, bool open);
void view_roles(struct buf *out, const struct loaded_guild *g); // […]
// […] of those that he may view.
void view_channels(struct arena *a, struct buf *out, const struct loaded_guild *g, uint64_t viewer, bool with_guild_id);
void view_member_json(struct buf *out, const struct member *m, struct role_set roles, struct user_set users);

// Is there one for clients? Of one that is unavailable they are told when it is there again. NULL: no call.
bool view_shows_call(const struct call_rec *call);
// CALL_CREATE of the world's n-th channel, which has a call. Channels are read one after another: who is found in two
// calls has left that of the older claim.
struct bytes view_call(struct arena *a, const struct world *w, uint32_t channel);

const struct member *view_find_member(const struct loaded_guild *g, uint64_t user);            // NULL: not in it
const struct guild_channel *view_find_channel(const struct loaded_guild *g, uint64_t channel); // likewise
const struct voice_seat *view_find_seat(const struct loaded_guild *g, uint64_t user);          // likewise
const struct stage *view_find_stage(const struct loaded_guild *g, uint64_t channel);           // likewise
bool view_shows(const struct loaded_guild *g, uint64_t viewer, const struct guild_channel *c); // he may view it
// What his roles allow, in the whole guild; as if he were not timed out.
uint64_t view_permissions(const struct loaded_guild *g, uint64_t user);
// ,"approximate_…_count":… for the end of an object.
void view_counts(struct buf *out, const struct loaded_guild *g);
void view_my_guild(struct buf *out, const struct loaded_guild *g, uint64_t user, bool with_counts);
