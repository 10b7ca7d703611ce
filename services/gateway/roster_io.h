// roster_io: who is in a guild, and who of them is there, read for the lists of members that clients show. Shell. One
// reading serves all who want it within ROSTER_MS. It is bounded: of a large guild the first ROSTER_MAX by id are in
// it, and as many of those who are connected to this gateway.
#pragma once
#include "conns.h"
#include "member_list.h"

#define ROSTER_MAX 1000u
#define ROSTERS_MAX 8u // at a time; others wait
#define ROSTER_MS 2000u

struct roster {
    struct gateway *g;
    uint64_t guild;
    bool ready; // it has been read
    uint32_t holds;
    struct arena arena;
    uint32_t n;
    struct list_person *people;
    struct roster_wait *waiting;
    struct timer old;
};

// Holds it, until roster_drop. r NULL: Redis is away. Perhaps from inside.
typedef void (*roster_fn)(void *ctx, struct roster *r);
void roster_get(struct gateway *g, uint64_t guild, roster_fn fn, void *ctx);
void roster_drop(struct roster *r);
void rosters_start(struct gateway *g);
void rosters_free(struct gateway *g); // Redis has ended by now
