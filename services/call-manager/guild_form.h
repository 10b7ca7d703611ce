// guild_form: may the values stand that somebody gives to a channel, role, member, stage …? Pure. Limits and codes are
// Discord's: https://docs.discord.com/developers/resources/guild, …/channel, …/stage-instance, …/reference ("Error
// Messages"). Only what a message's `set` (sets.h) names is looked at. Each answers OK, or 50035 with the first fault.
#pragma once
#include "permissions.h"
#include "schema.h"
#include "sets.h"

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
