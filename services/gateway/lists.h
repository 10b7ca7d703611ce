// lists: what one session has subscribed to in guilds: parts of member lists, by channel, and single members (op 14 for
// one guild, op 37 for several). Pure. What a key says takes the place of what it said before; a key that is absent
// changes nothing. Bounded: of more than it may have a session keeps what it asked for last. It is this gateway's
// alone: a client that resumes elsewhere subscribes again, as clients do after each resume.
// https://docs.discord.food/gateway/gateway-events, and what user clients send.
#pragma once
#include "schema.h"

#define LISTS_RANGES_MAX 5u         // of one channel
#define LISTS_ROWS_MAX 100u         // of one range
#define LISTS_ROW_MAX 100000u       // the last row that a range may reach
#define LISTS_GUILD_CHANNELS_MAX 5u // of one guild
#define LISTS_CHANNELS_MAX 16u
#define LISTS_MEMBERS_MAX 256u

struct list_range {
    uint32_t first, last; // first <= last < first + LISTS_ROWS_MAX; last <= LISTS_ROW_MAX
};
struct list_channel {
    uint64_t guild, channel;
    uint32_t n; // > 0
    bool due;   // to be answered
    struct list_range ranges[LISTS_RANGES_MAX];
};
struct list_member {
    uint64_t guild, user;
};

// What was said of one guild.
struct list_change {
    uint64_t guild; // not 0
    bool has_channels, has_members;
    uint32_t n_channels;
    const struct list_channel *channels;
    struct ids members;
};
struct list_changes {
    uint32_t n;
    const struct list_change *v;
};

struct lists { // zero-initialise
    uint32_t n_channels, n_members;
    struct list_channel *channels; // each (guild, channel) once; newest last
    struct list_member *members;   // each (guild, user) once; newest last
};

void lists_fini(struct lists *l);
void lists_merge(struct lists *l, const struct list_change *c);
void lists_forget(struct lists *l, uint64_t guild); // it is not seen any more
uint64_t lists_due(const struct lists *l);          // the guild whose turn it is to be answered; 0: none
bool lists_has_member(const struct lists *l, uint64_t guild, uint64_t user);
bool lists_valid(const struct lists *l); // every invariant; for tests
