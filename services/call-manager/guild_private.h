// guild_private: the two halves of the guild core, for guild.c. As guild_step: OK, or why not; only what was written
// before OK counts.
#pragma once
#include "guild_seat.h"

MUST_USE int guild_voice_step(const struct guild_work *w); // guild_voice.c: GUILD_IN_JOIN … GUILD_IN_ROOM
MUST_USE int
guild_change_step(const struct guild_work *w); // guild_change.c: GUILD_IN_MEMBER_EDIT … GUILD_IN_GUILD_DELETE

// What guild_change_step chooses from; each for the kind that it is called after.
MUST_USE int guild_member_edit(const struct guild_work *w); // guild_member.c
MUST_USE int guild_member_remove(const struct guild_work *w);
MUST_USE int guild_voice_edit(const struct guild_work *w);
MUST_USE int guild_channel_put(const struct guild_work *w); // guild_channel.c
MUST_USE int guild_channel_delete(const struct guild_work *w);
MUST_USE int guild_status_put(const struct guild_work *w); // guild_stage.c
MUST_USE int guild_stage_put(const struct guild_work *w);
MUST_USE int guild_stage_delete(const struct guild_work *w);
void guild_close_stage(const struct guild_work *w); // the one that is open in `to`
// Closes it when nobody could speak there for too long: true. Else says in out->room_at when that is so, if it may be.
bool guild_close_silent_stage(const struct guild_work *w);
// Open stages in the rooms that the step has touched: silence that begins or ends. Once, when the step is through.
void guild_note_silence(const struct guild_work *w);
// GUILD_DELETE, to be addressed by the caller: who is told does not listen to the guild any more.
struct event guild_gone(struct arena *a, uint64_t guild, uint64_t version); // guild.c
