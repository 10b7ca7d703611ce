// present_guild: how a guild, what is in it and who sits where look to clients: the same in READY, GUILD_CREATE, events
// and REST. Pure. https://docs.discord.com/developers/resources/guild, …/channel, …/voice, …/stage-instance.
#pragma once
#include "permissions.h"
#include "present.h"

#define GUILD_AFK_S 300u    // of a guild that does not say otherwise
#define GUILD_VIDEO_MAX 25u // likewise: cameras in one voice channel
#define GUILD_STAGE_VIDEO_MAX 50u
#define GUILD_BITRATE 64000u // bit/s of a voice channel

bool channel_has_voice(uint64_t type); // enum channel_type

// What needs nothing but the record, as one object.
void present_guild_json(struct buf *out, const struct guild *g);
void present_role_json(struct buf *out, const struct role *r);
void present_roles_json(struct buf *out, uint32_t n, const struct role *v);       // […]
struct bytes present_role(struct arena *a, const struct role *r, uint64_t guild); // GUILD_ROLE_CREATE and _UPDATE
// All that a guild is and has but its channels and members: GUILD_UPDATE, and what REST shows.
void present_guild_roles_json(struct buf *out, const struct guild *g, uint32_t n, const struct role *v);
struct bytes present_guild(struct arena *a, const struct guild *g, struct role_set roles); // the same as text
// guild 0: guild_id is left out, as inside a guild object.
void present_guild_channel_json(struct arena *a, struct buf *out, const struct guild_channel *c, uint64_t guild);
struct bytes present_guild_channel(struct arena *a, const struct guild_channel *c, uint64_t guild);
// user NULL: user_id instead; guild 0: left out; hoisted: permissions_hoisted, or 0.
struct j_member present_member(const struct member *m, const struct j_user *user, uint64_t guild, uint64_t hoisted);
struct bytes present_member_text(struct arena *a, const struct member *m, const struct user *u, uint64_t guild,
                                 uint64_t hoisted);
// VOICE_STATE_UPDATE. m NULL: without member; u NULL: a deleted user. left: channel_id is null.
struct bytes present_guild_voice(struct arena *a, const struct voice_seat *s, uint64_t guild, bool left,
                                 const struct member *m, const struct user *u, uint64_t hoisted);
struct j_seat present_seat(const struct voice_seat *s); // inside a guild object
struct j_stage present_stage(const struct stage *s, uint64_t guild);
