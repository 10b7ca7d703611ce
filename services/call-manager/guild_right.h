// guild_right: who may change what in a guild. Pure. The operator (actor 0) may do everything, the owner nearly so; of
// all others, https://docs.discord.com/developers/topics/permissions, "Permission Hierarchy": somebody is above others
// by the position of his highest role.
#pragma once
#include "guild_write.h"

#define RANK_ALL INT64_MAX // of the owner, and of the operator

bool right_operator(const struct guild_work *w);
bool right_owner(const struct guild_work *w); // he, or the operator
// OK, or 50013 unless the actor has all of `need` in the guild.
MUST_USE int right_in_guild(const struct guild_work *w, uint64_t need);
// The same in a channel: 10003 when there is none (c NULL), or none that he may view.
MUST_USE int right_in_channel(const struct guild_work *w, const struct guild_channel *c, uint64_t need);
int64_t right_rank(const struct guild_work *w);                               // the actor's
MUST_USE int right_above(const struct guild_work *w, const struct member *m); // 50013 unless he is above m
// The permissions that he has in the guild, and may therefore give to others.
uint64_t right_to_give(const struct guild_work *w);
