// directory: who and what there is. Names of users, relationships, and a guild as a world
// document wants it. Pure. Results are 0 or a code of errors.def.
#pragma once
#include "present.h"
#include "record.h"

// --- users ---
#define USERNAME_MAX 32u // bytes
// 1 to 32 bytes of UTF-8 without control characters, @, #, :, `, blanks at the ends; not all digits (that is an id),
// not `everyone` or `here`. 50035 with *fault.
int username_check(struct bytes name, struct fault *fault);
struct bytes username_lower(struct arena *a, struct bytes name); // names are told apart without regard to ASCII case
extern const struct fault username_taken;

// --- as the admin API lists them ---
void directory_user_json(struct buf *out, const struct user *u);       // {"id","username","global_name","bot"}
void directory_channel_json(struct buf *out, const struct channel *c); // {"id","type","name","users":[ids]}
void directory_guild_json(struct buf *out, const struct guild *g, const struct guild_channel *channels,
                          uint32_t n); // {"id","name","channels":[{"id","name","type"}]}
void directory_guild_channel_json(struct buf *out, const struct guild_channel *c);
void directory_ids_json(struct buf *out, struct ids ids); // ["1","2"]

// --- relationships: {u:<id>}:rel <target>, as seen from each side ---
enum relation { REL_NONE = 0, REL_FRIEND = 1, REL_BLOCKED = 2, REL_INCOMING = 3, REL_OUTGOING = 4 };
struct relations {
    enum relation mine, theirs;
};
// What both sides shall be after `put` by put->user; target NULL: there is none. 10013, 80000, 80001, 80003, 80007,
// 20001, 50035 (no such type).
int relationship_step(const struct relationship_put *put, const struct user *user, const struct user *target,
                      struct relations now, struct relations *want);
// RELATIONSHIP_ADD or RELATIONSHIP_REMOVE in `owner`'s own record, for what he and `other` were and are.
struct event relationship_event(struct arena *a, uint64_t owner, const struct user *other, enum relation was,
                                enum relation is);
