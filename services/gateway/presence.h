// presence: how somebody is there, as others see him: the best of what his sessions say. Pure.
// https://docs.discord.food/resources/presence
#pragma once
#include "schema.h"

enum presence_status { // the greater, the better; others see who is invisible as offline
    PRESENCE_INVISIBLE,
    PRESENCE_IDLE,
    PRESENCE_DND,
    PRESENCE_ONLINE,
};
#define PRESENCE_ACTIVITIES_MAX 4096u // bytes of one session's; of more none is kept

struct presence {
    uint64_t user;
    enum presence_status status;
    struct bytes client;     // "web", "desktop" or "mobile"
    struct bytes activities; // a JSON array; none: empty
};
struct presence_set { // by user; who is not among them is offline
    uint32_t n;
    const struct presence *v;
};

struct presence_sessions { // of one user, that are there
    uint32_t n;
    struct bytes *names;
    struct online *rows;
};

enum presence_status presence_status_of(struct bytes name); // of what a client says; what it should not: online
struct bytes presence_client(struct bytes os, struct bytes browser); // of Identify's properties
// False: he is offline, *out is not written.
bool presence_best(uint64_t user, const struct online *rows, uint32_t n, struct presence *out);
const struct presence *presence_find(struct presence_set set, uint64_t user); // NULL: offline

// As in PRESENCE_UPDATE and wherever lists hold them. p NULL: offline. guild 0: left out. brief: user_id instead of
// user.
void presence_json(struct buf *out, uint64_t user, const struct presence *p, uint64_t guild, bool brief);
// One of SESSIONS_REPLACE and READY's sessions, which only the user himself sees. row NULL: nothing is known of it.
// active: it is the one that is told.
void presence_session_json(struct buf *out, struct bytes session, const struct online *row, bool active);
const struct online *presence_session(const struct presence_sessions *s, struct bytes session); // NULL: not there
