// guild_private: the two halves of the guild core, for guild.c. As guild_step: OK, or why not; only what was written
// before OK counts.
#pragma once
#include "guild_seat.h"

MUST_USE int guild_voice_step(const struct guild_work *w); // guild_voice.c: GUILD_IN_JOIN … GUILD_IN_ROOM
MUST_USE int
guild_change_step(const struct guild_work *w); // guild_change.c: GUILD_IN_MEMBER_EDIT … GUILD_IN_STAGE_DELETE
