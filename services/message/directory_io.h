// directory_io: all Redis keys and commands of users, names, private channels and guilds. Shell.
//   {u:<id>}:s   hash: v, user (row), rsv (version of the last ack)
//   {u:<id>}:rel hash: user -> type           {u:<id>}:pr  hash: user of a higher id -> type, as he shall see this one
//   {u:<id>}:ch  hash: private channel -> ""   {u:<id>}:dm  hash: peer -> channel
//   {u:<id>}:g   hash: guild -> since when he is a member, unix ms: the member row's
//   {<channel>}:s  hash: v, chan (row), last   {<guild>}:s, :r, :ch, :mb  hashes of rows; :s has `loading` while it is
//   made
//   {<guild>}:mi sorted set: members' ids as 20 digits
//   dir:names    hash: u:<lower-case username> -> user, c:<owner>:<name> -> group, g:<owner>:<name> -> guild
//   dir:users, dir:channels (private ones), dir:guilds  sets of ids
#pragma once
#include "world_plan.h"
#include "job.h"

struct bytes id_text(struct job *j, uint64_t id); // decimal

// --- a user's record ---
struct user_read {
    uint64_t id;
    const struct value *hash;
};
struct user_state {
    uint64_t version;
    const struct user *user; // NULL: there is none
    uint64_t acks;           // version of the last one
};
struct user_read user_read(struct job *j, uint64_t id);
struct user_state user_state(struct job *j, struct user_read r);

struct users_read {
    struct ids ids;
    const struct user_read *v;
};
struct users_read users_read(struct job *j, struct ids ids);
struct user_set users_state(struct job *j, const struct users_read *r); // who exists

// --- a channel's record ---
struct place_read {
    uint64_t id;
    const struct value *hash;
};
struct place_state {
    uint64_t version;
    const struct channel *c; // NULL: there is none
    uint64_t last;           // message
};
struct place_read place_read(struct job *j, uint64_t id);
struct place_state place_state(struct job *j, struct place_read r);

// --- small ones ---
const struct value *relation_read(struct job *j, uint64_t user, uint64_t target); // value_u64 is an enum relation
struct change relation_change(struct job *j, const char *suffix, uint64_t target, enum relation is); // rel or pr
struct change row_change(struct job *j, const char *suffix, struct bytes field, const struct schema *s, const void *v);
const struct value *name_read(struct job *j, struct bytes key); // dir:names; value_u64 is the id
void name_claim(struct job *j, struct bytes key, uint64_t id);  // unless somebody has it
void name_free(struct job *j, struct bytes key);
void name_free_of(struct job *j, struct bytes key, uint64_t id); // as long as it is this one's
struct bytes user_key(struct job *j, struct bytes username);
struct bytes owned_key(struct job *j, char kind, uint64_t owner, struct bytes name);
const struct value *set_read(struct job *j, const char *set);
void set_add(struct job *j, const char *set, uint64_t id);
void set_remove(struct job *j, const char *set, uint64_t id);
struct ids ids_state(struct job *j, const struct value *list); // decimal members, ascending

// --- a guild's record ---
struct guild_read {
    uint64_t id;
    struct ids asked; // members
    const struct value *hash, *roles, *channels;
    const struct value *members, *indexed; // of `asked`, in its order; NULL: none were asked for
};
struct guild_read guild_read(struct job *j, uint64_t id, struct ids members);      // those members of it
uint64_t guild_state(struct job *j, struct guild_read r, struct guild_state *out); // its version
const struct value *guild_row_read(struct job *j, uint64_t id);                    // of its own row alone
const struct guild *guild_row(struct job *j, const struct value *v);               // NULL: there is none
