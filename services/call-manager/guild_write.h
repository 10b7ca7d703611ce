// guild_write: what every step of the guild core writes with: events, changes, rows, and the rooms as the step has left
// them so far. Pure. Everything lives in the arena or in the scene.
#pragma once
#include "guild.h"

struct guild_work { // one step under way
    struct arena *a;
    const struct guild_scene *s;
    const struct guild_in *in;
    const struct guild_rules *rules;
    uint64_t now;
    struct guild_out *out;
};

// An event of the commit, to be addressed by the caller; as it is: to everybody in the guild. It lives in w->out.
struct event *guild_event(const struct guild_work *w, const char *name, struct bytes body);
// To those who may view `channel`.
struct event *guild_event_in(const struct guild_work *w, uint64_t channel, const char *name, struct bytes body);
void guild_change(const struct guild_work *w, enum change_op op, const char *suffix, struct bytes a, struct bytes b);
struct bytes guild_id(const struct guild_work *w, uint64_t id); // in decimal: the field of a row

// A row of the guild stands, or has gone, from this commit on: in {guild}:<suffix>, field `id`; and e, which may be
// NULL, says so to gateways. The guild's own row is in "s", field "guild".
void guild_put(const struct guild_work *w, struct event *e, const char *suffix, uint64_t id, const struct schema *s,
               const void *row);
void guild_take(const struct guild_work *w, struct event *e, const char *suffix, uint64_t id, const struct schema *s);
// The same row, field by field: nothing is to be written, and nobody to be told.
bool guild_same(const struct guild_work *w, const struct schema *s, const void *a, const void *b);
void guild_put_guild(const struct guild_work *w, struct event *e, const struct guild *g);

uint64_t guild_may(const struct guild_work *w, const struct member *m); // in the guild
uint64_t guild_may_in(const struct guild_work *w, const struct member *m,
                      const struct guild_channel *c); // in a channel

// The channel as the scene has it: `to` or `from`.
const struct scene_room *guild_scene_room(const struct guild_work *w, uint64_t channel);
// Its room as this step leaves it, to be changed in place. Empty, with channel 0, until somebody sits down.
struct voice_room *guild_room(const struct guild_work *w, uint64_t channel);
// Writes the rows of all rooms that were touched: once, when the step is through.
void guild_put_rooms(const struct guild_work *w);
