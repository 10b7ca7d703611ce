// life_private: what the files of life share: life_io.c (announcing, letting in, who is gone), life_seats.c (whose
// seats are followed). Nobody else includes this.
#pragma once
#include "life.h"
#include "table.h"

struct admitting; // life_io.c
struct going;

struct seats {            // life_seats.c
    struct table places;  // struct place by id
    struct table sitters; // struct watched by number
    uint64_t last_number;
    uint64_t *queue; // places to be read, in order
    uint32_t n_queue, queue_cap;
    uint32_t n_rounds; // on their way
    uint32_t n_here;   // whose room is this node's, or is not known yet
    struct loop_flush flush;
    struct timer retry;
};

struct life {
    struct life_cfg cfg;
    struct loop *loop;
    struct store *store;
    struct bus *bus;
    const char *node; // this one's name
    uint64_t epoch;   // of this process among those of its name
    bool draining;
    bool closed; // what comes back from now on is dropped
    uint32_t n_outstanding;
    struct timer announce;
    struct admitting *admitting;
    struct going *going;
    struct seats seats;
};

// A question to Redis or the bus is on its way: its callback begins with life_back. false: life has ended, and *l with
// the last of them.
void life_ask(struct life *l);
bool life_back(struct life *l);

// He is back, or another who is the same to a call manager: that he is gone is told to nobody any more.
void gone_take_back(struct life *l, uint64_t server, uint64_t user, const char *session);

void seats_start(struct life *l);
void seats_free(struct life *l);
void seats_dump(const struct life *l, struct buf *out);
