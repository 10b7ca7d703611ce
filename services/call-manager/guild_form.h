// guild_form: may the values stand that somebody gives to a channel, role, member, stage …? Pure. Limits and codes are
// Discord's: https://docs.discord.com/developers/resources/guild, …/channel, …/stage-instance, …/reference ("Error
// Messages"). Only what a message's `set` names is looked at. Each answers OK, or 50035 with the first fault.
#pragma once
#include "permissions.h"
#include "schema.h"

// Bits of `set` (proto/messages.def).
enum {
    SET_MEMBER_MUTE = 1,
    SET_MEMBER_DEAF = 2,
    SET_MEMBER_CHANNEL = 4,
    SET_MEMBER_NICK = 8,
    SET_MEMBER_ROLES = 16,
    SET_MEMBER_DISABLED = 32,

    SET_VOICE_SUPPRESS = 1,
    SET_VOICE_REQUEST = 2,
    SET_VOICE_CHANNEL = 4,

    SET_CHANNEL_NAME = 1,
    SET_CHANNEL_POSITION = 2,
    SET_CHANNEL_PARENT = 4,
    SET_CHANNEL_BITRATE = 8,
    SET_CHANNEL_USER_LIMIT = 16,
    SET_CHANNEL_REGION = 32,
    SET_CHANNEL_OVERWRITES = 64,
    SET_CHANNEL_TOPIC = 128,
    SET_CHANNEL_NSFW = 256,
    SET_CHANNEL_RATE_LIMIT = 512,
    SET_CHANNEL_VIDEO_QUALITY = 1024,
    SET_CHANNEL_TYPE = 2048,

    SET_ROLE_NAME = 1,
    SET_ROLE_PERMISSIONS = 2,
    SET_ROLE_COLOR = 4,
    SET_ROLE_HOIST = 8,
    SET_ROLE_MENTIONABLE = 16,
    SET_ROLE_POSITION = 32,

    SET_GUILD_NAME = 1,
    SET_GUILD_ICON = 2,
    SET_GUILD_OWNER = 4,
    SET_GUILD_AFK_CHANNEL = 8,
    SET_GUILD_AFK_TIMEOUT = 16,
    SET_GUILD_DESCRIPTION = 32,
    SET_GUILD_VIDEO_MAX = 64,
    SET_GUILD_STAGE_VIDEO_MAX = 128,

    SET_STAGE_TOPIC = 1,
    SET_STAGE_PRIVACY = 2,
    SET_STAGE_DISCOVERABLE = 4,
};

#define MEMBER_TIMEOUT_MS (28ull * 24 * 3600 * 1000) // a time-out lasts no longer
#define REQUEST_LATE_MS 60000u                       // a client's "now", when it arrives

int guild_form_member(const struct member_edit *e, uint64_t now, struct fault *fault);
int guild_form_voice(const struct voice_state_edit *e, uint64_t now, struct fault *fault);
// was NULL: a new one. region_known: the rtc_region that it names exists.
int guild_form_channel(const struct channel_put *e, const struct guild_channel *was, bool region_known,
                       struct fault *fault);
// The category that a channel of `type` is put into; NULL: there is none of that id. filled: how many channels it has.
int guild_form_parent(uint64_t type, const struct guild_channel *parent, uint32_t filled, struct fault *fault);
int guild_form_role(const struct role_put *e, struct fault *fault);
// afk: the channel that it names; NULL: none of that id.
int guild_form_guild(const struct guild_edit *e, const struct guild_channel *afk, struct fault *fault);
int guild_form_stage(const struct stage_put *e, struct fault *fault);
int guild_form_status(const struct status_put *e, struct fault *fault);
