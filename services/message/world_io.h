// world_io: loading a world document, in sections that run one after another: users, friends, private channels
// (world_io.c), guilds (guild_io.c). Each looks first and does what is missing, so a load may stop and begin anywhere.
#pragma once
#include "directory_io.h"
#include "message_io.h"

struct loading {
    struct world w;
    uint32_t at; // element of the section at work
    uint64_t *dms, *groups;
    struct guild_done {
        uint64_t id;
        struct bytes name;
        struct ids roles, channels;
    } * guilds;
    // of the names' look-up, and of new users: what is behind each name, or each of w.users
    const struct value **found;
    struct user_read *user_reads;
    // of the group or guild at work
    struct bytes key;
    uint64_t owner;
    const struct value *claim, *owned;
    struct place_read *place_reads;
    struct ids channels, guild_ids;
    const struct value **guild_rows;
    struct guild_read guild_read;
    struct guild_state guild_state;
    uint64_t version; // of the guild
    struct guild_plan plan;
    struct users_read users_read;
    struct user_read *member_reads;
    const struct value **listed;
    uint32_t n_commits;
    const struct committed **commits;
};

bool load_committed(struct job *j); // all of loading->commits took effect; false: the job starts again
void load_guilds(struct job *j);    // from loading->at on; then load_answer
void load_answer(struct job *j);
