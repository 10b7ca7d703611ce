// admin: what the admin API answers (README, "Admin"): people, tokens, private channels, friendships, guilds,
// whole worlds; recordings of what is said in a channel, and files that are spoken there.
// Pure. One request is stepped until it has an answer; each step but the last wants commands sent, and the next one
// gets their answers. The shell is admin_io.c.
#pragma once
#include "bus.h"
#include "route.h"
#include "schema.h"

// Up to when this process has minted tokens and revoked some: a token that is minted after a revocation must be
// younger than it, also within one millisecond.
struct admin_clock {
    uint64_t minted, revoked; // unix ms
};

struct play_start {                           // a file for somebody to speak
    uint64_t guild, channel, user, length_ms; // guild 0: the channel is a private one
    struct bytes file;                        // which can be played (player.h)
};
struct play_shown {
    uint64_t id, channel, user;
    bool over, muted; // muted: the account may not speak there now
    const char *state, *why;
    uint64_t ms, length_ms, packets; // spoken so far
};

struct admin_request {
    const char *method;
    struct bytes path, query, content_type, authorization, body; // as in struct web_request
    struct bytes admin_token, token_secret;                      // of the configuration
    struct admin_clock *clock;
    uint64_t now;                  // unix ms
    uint64_t fresh;                // an id that nothing has yet
    struct texts asked;            // whom a command for all of a kind went to; the answers are in their order
    const struct play_shown *play; // what the last step wanted done is done with this one; NULL: there is none
    // The steps' own; begins as zero.
    uint32_t stage;
    struct a_user user;
    struct a_users users;
    void *form; // a body of another kind, in the arena, and which of its fields are there
    uint64_t present;
    uint64_t guild;
    struct member_edit member;
    void *kept; // of a handler, from stage to stage; in the arena
};

enum admin_play { ADMIN_PLAY_NONE, ADMIN_PLAY_START, ADMIN_PLAY_SHOW, ADMIN_PLAY_STOP };

#define ADMIN_GUILD_MAX (1024u * 1024u - 64u) // bytes of a guild's document
#define ADMIN_COMMANDS_MAX 11u                // of one step: ten users and an owner
struct admin_out {
    int status; // 0: commands, or a play; otherwise the answer, without a body when `body` is empty
    struct bytes body;
    const char *type; // of the body, where it is no JSON
    enum bus_kind to;
    uint64_t key;
    uint32_t n;
    const struct msg *commands;
    bool slow;       // they may take their time
    bool every;      // the one command is for each of that kind that is there, be it none
    bool awaits;     // … but one is waited for, as long as for an answer
    struct bytes at; // the one command is for that one of them
    enum admin_play play;
    struct play_start start; // START
    uint64_t play_id;        // SHOW, STOP
};

// answers: of the commands that the last step wanted, NULL for one whose time ran out. *out lives in the arena, the
// request or the answers.
void admin_step(struct arena *a, struct admin_request *r, const struct answer *const *answers, struct admin_out *out);
// Too many requests under way, and the like.
void admin_refuse(struct arena *a, int64_t err, struct admin_out *out);
