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
        struct ids roles, channels;
    } * guilds;
    // of the names' look-up
    const struct value **found;
    struct user_read *user_reads;
    // of the group or guild at work
    struct bytes key;
    uint64_t owner;
    const struct value *claim, *owned;
    struct place_read *place_reads;
    struct ids channels;
    struct guild_read guild_read;
    struct guild_plan plan;
    struct user_read *member_reads;
    const struct value **listed;
    uint32_t n_commits;
    const struct committed **commits;
};

void load_guilds(struct job *j); // from loading->at on; then load_answer
void load_answer(struct job *j);
