// member_list: who may view a channel, in the order in which clients show it, and the parts of that which they ask for
// (GUILD_MEMBER_LIST_UPDATE). Pure. Those who are there come first, under the highest of their roles that is shown
// apart, else under "online"; then those who are not. Each group begins with a row of its own. Form: what user clients
// take; the id: a list is the same for all channels that the same people see, see list_id.
#pragma once
#include "lists.h"
#include "permissions.h"
#include "presence.h"

struct list_person {
    const struct member *member;
    const struct user *user;         // NULL: a lost record
    const struct presence *presence; // NULL: offline
};
struct list_group {
    uint64_t id; // of a role; else LIST_ONLINE, LIST_OFFLINE
    uint32_t count;
};
#define LIST_ONLINE 0u
#define LIST_OFFLINE 1u
struct list_row {
    const struct list_person *who; // NULL: the group's own row
    const struct list_group *group;
};
struct member_list { // of one channel; in the arena
    uint32_t n_rows, n_groups, n_members, n_online;
    const struct list_row *rows;
    const struct list_group *groups;
};

struct list_place { // the channel as it stands
    const struct guild *guild;
    struct role_set roles;
    const struct guild_channel *channel;
    uint64_t member_count; // of the guild
};
void list_build(struct arena *a, const struct list_place *p, const struct list_person *people, uint32_t n,
                struct member_list *out);
// "everyone", or the 32 bit murmur3, in decimal, of the channel's overwrites that say who may view it:
// allow:<id> or deny:<id>, in the order of their texts, with commas between them.
#define LIST_ID_MAX 16u
struct bytes list_id(char out[LIST_ID_MAX], struct arena *a, const struct list_place *p);
// The `d` of the dispatch: one SYNC for each range.
void list_json(struct buf *out, struct arena *a, const struct list_place *p, const struct member_list *l,
               const struct list_range *ranges, uint32_t n);
