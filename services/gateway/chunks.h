// chunks: Request Guild Members (op 8) and the GUILD_MEMBERS_CHUNKs that answer it. Pure.
// https://docs.discord.com/developers/events/gateway-events, "Request Guild Members"; for user accounts
// https://docs.discord.food/gateway/gateway-events.
#pragma once
#include "ops.h"
#include "permissions.h"
#include "presence.h"

#define CHUNK_MAX 1000u        // members in one
#define CHUNK_MATCHES_MAX 100u // of a beginning of a name, or of users named
#define CHUNK_LOOKED_MAX 5000u // members looked at for a beginning of a name

enum chunk_kind {
    CHUNK_WHOLE, // everybody
    CHUNK_BEGIN, // those whose name or nick begins with `query`
    CHUNK_USERS, // those named
};
struct chunk_ask {
    uint64_t guild;
    enum chunk_kind kind;
    bool presences, has_nonce;
    uint32_t limit; // BEGIN: 1 … CHUNK_MATCHES_MAX
    uint32_t n_users;
    uint64_t users[CHUNK_MATCHES_MAX]; // USERS: those; BEGIN: those found so far
    char query[129], nonce[33];
};
struct chunk_walk {        // through all members, by id
    uint64_t after;        // the last one looked at
    uint32_t index, count; // chunks sent; chunks that are sent in all
    uint32_t looked;
    bool ended;
};

// False: it asks for nothing. at: which of its guilds.
bool chunk_ask_of(const struct op_members *m, uint32_t at, struct chunk_ask *out);
// Whether he may have that. bot: has_members and has_presences say what his intents are; a user needs one of the
// permissions to see the whole list. Takes `presences` away from a bot who may not see them.
bool chunk_may(struct chunk_ask *ask, bool bot, bool has_members, bool has_presences, uint64_t permissions);

void chunk_begin(struct chunk_walk *w, const struct chunk_ask *ask, uint64_t member_count);
// The next members in order, as many as are there. WHOLE: one chunk is to be made of them.
void chunk_page(struct chunk_walk *w, struct chunk_ask *ask, uint32_t n, const struct member *members,
                const struct user *const *users);
bool chunk_matches(const struct member *m, const struct user *u, struct bytes query); // u NULL: a lost record

struct chunk {
    uint32_t n;
    const struct member *members; // by user
    const struct user *const *users;
    struct presence_set presences;
    struct role_set roles;
};
// The `d` of the dispatch. Those of USERS who are not among the members have not been found.
void chunk_json(struct buf *out, const struct chunk_ask *ask, const struct chunk_walk *w, const struct chunk *c);
void chunk_sent(struct chunk_walk *w);
