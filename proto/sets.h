// sets: which fields of a row an edit of a guild sets (`set` in messages.def), by name.
#pragma once

enum {
    SET_MEMBER_MUTE = 1,
    SET_MEMBER_DEAF = 2,
    SET_MEMBER_CHANNEL = 4,
    SET_MEMBER_NICK = 8,
    SET_MEMBER_ROLES = 16,
    SET_MEMBER_DISABLED = 32,
};
enum { SET_VOICE_SUPPRESS = 1, SET_VOICE_REQUEST = 2, SET_VOICE_CHANNEL = 4 };
enum {
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
};
enum {
    SET_ROLE_NAME = 1,
    SET_ROLE_PERMISSIONS = 2,
    SET_ROLE_COLOR = 4,
    SET_ROLE_HOIST = 8,
    SET_ROLE_MENTIONABLE = 16,
    SET_ROLE_POSITION = 32,
};
enum {
    SET_GUILD_NAME = 1,
    SET_GUILD_ICON = 2,
    SET_GUILD_OWNER = 4,
    SET_GUILD_AFK_CHANNEL = 8,
    SET_GUILD_AFK_TIMEOUT = 16,
    SET_GUILD_DESCRIPTION = 32,
    SET_GUILD_VIDEO_MAX = 64,
    SET_GUILD_STAGE_VIDEO_MAX = 128,
};
enum { SET_STAGE_TOPIC = 1, SET_STAGE_PRIVACY = 2, SET_STAGE_DISCOVERABLE = 4 };

// 0 or `bit`: is `field` of a row of payloads.def among those that were present?
#define SETS(present, type, field, bit) ((present)&FIELD_BIT(type, field) ? (uint64_t)(bit) : 0)
