// place: one piece of work on one call's assignment, from the first look at the store to the answer. Pure: no clock
// and no I/O. The shell (alloc_io.c) carries out the effects in order and feeds back what came of them.
//
// {place}:a <channel> is the truth, changed by compare-and-set only: absent, the node that the call lives on, or (an
// assignment without a node) the region that it waits for. Two rows elsewhere only help to find it again and may be
// stale, never missing: a node's list of calls and a region's list of waiting calls are written before it is changed
// and cleaned after it.
#pragma once
#include "pick.h"
#include "regions.h"

#define PLACE_RAW_MAX 1024u // an encoded assignment or answer
#define PLACE_TOKEN 16u     // hex digits
#define PLACE_PREFERRED 16u
#define PLACE_TRIES 16u // conflicts in a row; each means that somebody else got something done
#define PLACE_FX_MAX 4u
#define PLACE_SETTLED_MS 5000u // until then the answer that told of an assignment may still be on its way

enum place_kind {
    PLACE_ASSIGN,
    PLACE_RELEASE,
    PLACE_FORGET, // the call was told that `node` is lost: it does not live there any more
    PLACE_SETTLE, // a call that waited in `region` was told of room, or does not exist any more (`gone`)
};
enum place_state {
    PLACE_LOOKING,  // reading the assignment, and whether this command was carried out before
    PLACE_LISTING,  // writing the row that finds it: in a node's calls, or among the waiting
    PLACE_SWAPPING, // compare-and-set
    PLACE_WRITING,  // the answer, once per command
    PLACE_DONE,
};
enum place_in_kind {
    PLACE_IN_LOOKED, // raw: the field; earlier: the answer this command got before
    PLACE_IN_LISTED,
    PLACE_IN_SWAPPED,
    PLACE_IN_CONFLICT, // raw: what stands there
    PLACE_IN_WRITTEN,  // earlier: the answer that was there first
    PLACE_IN_FAILED,   // nobody knows whether it took effect
};
enum place_do {
    PLACE_DO_LOOK,
    PLACE_DO_LIST,   // this call in node `name`'s calls
    PLACE_DO_WAIT,   // this call among those that wait for region `name` (none: any)
    PLACE_DO_SWAP,   // has.raw -> next.raw
    PLACE_DO_WRITE,  // answer
    PLACE_DO_ANSWER, // err, answer
    PLACE_DO_UNLIST, // clean up: out of node `name`'s calls
    PLACE_DO_UNWAIT, // clean up: out of region `name`'s waiting calls
    PLACE_DO_EXPECT, // somebody was sent to node `name`
    PLACE_DO_LOST,   // node `name` is gone or drains and this call was found there: tell it
};
struct place_in {
    enum place_in_kind kind;
    struct bytes raw, earlier;
};
struct place_fx {
    enum place_do kind;
    const char *name; // lives in the struct place
};
struct place_fxs {
    uint32_t n;
    struct place_fx v[PLACE_FX_MAX];
};

enum home_kind { HOME_NONE, HOME_WAITS, HOME_NODE };
struct home { // where a call lives
    enum home_kind kind;
    char node[NODE_NAME_MAX + 1], region[NODE_NAME_MAX + 1], endpoint[NODE_ENDPOINT_MAX + 1];
    uint64_t assigned_at;
    bool bound; // it was asked for in that region by name
    size_t n;   // raw[0..n) as it stands in the store; 0: absent
    char raw[PLACE_RAW_MAX];
};

struct place {
    enum place_kind kind;
    enum place_state state;
    uint32_t tries;
    uint64_t place, channel;
    uint64_t server, command;       // command: 0 unless ASSIGN or RELEASE
    char region[NODE_NAME_MAX + 1]; // ASSIGN: the one asked for; SETTLE: the one it waited for
    char preferred[PLACE_PREFERRED][NODE_NAME_MAX + 1];
    uint32_t n_preferred;
    bool move;
    char node[NODE_NAME_MAX + 1]; // FORGET: the lost one
    uint64_t before;              // FORGET: assignments made from then on (unix ms) are sound
    bool gone;                    // SETTLE
    struct home has, next;
    int err; // of the answer
    size_t answer_n;
    char answer[PLACE_RAW_MAX];
};

// What a step may know besides its input.
struct place_env {
    const struct fleet *fleet;
    const struct regions *regions;
    uint64_t now, unix_ms;
    uint64_t random;   // fresh
    const char *token; // fresh, PLACE_TOKEN hex digits
    uint64_t token_ms; // how long it is good for
};

// Fill *p from a command and begin: *out is the first effect. ERR_INVALID: fields out of their bounds, answer so.
MUST_USE int place_assign(struct place *p, const struct assign *a, uint64_t command, struct place_fxs *out);
MUST_USE int place_release(struct place *p, const struct release *r, uint64_t command, struct place_fxs *out);
void place_forget(struct place *p, uint64_t place, uint64_t channel, struct bytes node, uint64_t before,
                  struct place_fxs *out);
void place_settle(struct place *p, uint64_t place, uint64_t channel, struct bytes region, bool gone,
                  struct place_fxs *out);

// 0, or ERR_STATE when this input is not awaited: then *p is as it was and *out is empty.
MUST_USE int place_step(struct place *p, const struct place_in *in, const struct place_env *env, struct place_fxs *out);

// The node of PLACE_DO_EXPECT is a new one for this call.
bool place_moves(const struct place *p);
// Is a call found in `node`'s list to be told that the node is lost? raw: its assignment.
bool place_is_lost(struct bytes raw, struct bytes node, uint64_t before);
// Is a call that lives on `node`, which drains, to be moved now? raw: its assignment. One that lives elsewhere by now
// is, too: its row is left over. false: there is no other node for it, and it stays for as long as this one serves it.
bool place_may_move(const struct fleet *f, struct bytes raw, struct bytes node, uint64_t now);
// What the call manager's word about server_lost or server_free means: it knows; there is no such call; ask again.
enum told { TOLD, TOLD_GONE, TOLD_NOTHING };
enum told place_told(const struct answer *a); // NULL: no answer came

// "place channel" as rows name a call.
#define CALL_NAME_MAX 48u
const char *call_name(char out[CALL_NAME_MAX], uint64_t place, uint64_t channel);
MUST_USE int call_named(struct bytes name, uint64_t *place, uint64_t *channel);
