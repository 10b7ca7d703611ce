// fleet: the voice nodes, and what is to be expected on each. Pure: memory is taken once, at fleet_init.
// A node stands in the regions file (fixed: never lost), or announces itself and is lost after a lease of silence.
#pragma once
#include "schema.h"
#include "table.h"

#define NODE_NAME_MAX 64u // of a node or a region
#define NODE_ENDPOINT_MAX 256u
#define NODE_UNITS_MAX 1000000000u // of load and capacity; more is cut off
#define FLEET_FRESH_S 10u          // seconds in which a client that was sent to a node shows up there, or never will
#define FLEET_STALL_MS 1000u       // a longer gap between two ticks: we were away, not the nodes

struct node {
    char id[NODE_NAME_MAX + 1], region[NODE_NAME_MAX + 1], endpoint[NODE_ENDPOINT_MAX + 1];
    bool fixed;        // from the regions file
    bool draining;     // takes nothing new, and what it has is moved away
    bool reports;      // it has announced itself within its lease; always true unless fixed
    uint64_t capacity; // same unit as load
    uint64_t load;     // reported: sessions. A node that does not report: calls that live on it
    uint64_t epoch;    // of the process that announces itself; grows with each start
    uint64_t heard_at; // last announcement
    uint64_t fresh_s;  // the second that fresh[fresh_s % FLEET_FRESH_S] counts; the others are the ones before it
    uint32_t fresh[FLEET_FRESH_S]; // sent there and not yet seen in its load
};

struct fleet {
    uint32_t n, max;
    struct node *v;     // [0..n) distinct by id
    struct table by_id; // hash of id -> into v
    uint64_t lease_ms, began_at, ticked_at;
};

enum node_state {
    NODE_USABLE, // may keep its calls; full or not
    NODE_DRAINING,
    NODE_GONE,
    NODE_UNSURE, // unknown, but we have not listened for a whole lease yet
};
enum fleet_news { FLEET_KNOWN, FLEET_NEW, FLEET_RESTARTED, FLEET_DRAINS };

void fleet_init(struct fleet *f, uint32_t max, uint64_t lease_ms, uint64_t now);
void fleet_fini(struct fleet *f);

// 1 to 64 of A-Z a-z 0-9 . _ -
bool node_name_ok(struct bytes name);
// host:port, [v6]:port; no scheme, no path
bool node_endpoint_ok(struct bytes endpoint);

// One of the regions file. ERR_INVALID: a bound or form is wrong; ERR_CONFLICT: the id is taken; ERR_FULL.
MUST_USE int fleet_fix(struct fleet *f, struct bytes id, struct bytes region, struct bytes endpoint, uint64_t capacity);
// ERR_INVALID: malformed; ERR_STATE: an older process of that name is still talking; ERR_FULL: over the bound.
// What the regions file says of a fixed node (region, endpoint, capacity) stands against its announcements.
MUST_USE int fleet_announce(struct fleet *f, const struct node_announce *a, uint64_t now, enum fleet_news *news);
// A client was sent to this node; new_call: the first of its call. Unknown nodes are ignored.
void fleet_expect(struct fleet *f, const char *id, bool new_call, uint64_t now);
// How many calls live on a node that does not report; ignored for one that does.
void fleet_count(struct fleet *f, const char *id, uint64_t calls);

// Call it often: notices when we were away (then everybody gets the time back), and forgets old reports of fixed nodes.
void fleet_tick(struct fleet *f, uint64_t now);
// Removes one node whose lease ran out; call until false.
bool fleet_take_lost(struct fleet *f, uint64_t now, struct node *lost);

const struct node *fleet_find(const struct fleet *f, struct bytes id); // NULL when unknown
enum node_state fleet_state(const struct fleet *f, struct bytes id, uint64_t now);
bool fleet_sure(const struct fleet *f, uint64_t now); // has listened for a whole lease
uint64_t node_expected(const struct node *n, uint64_t now);
uint64_t node_room(const struct node *n, uint64_t now); // 0 when draining
// Of all nodes in a region; region none: of all nodes.
uint64_t fleet_room(const struct fleet *f, struct bytes region, uint64_t now);
// Distinct region ids of all nodes, sorted, into out[0..f->n); how many. They live until the fleet next changes.
uint32_t fleet_regions(const struct fleet *f, const char **out);
void fleet_dump(const struct fleet *f, uint64_t now, struct buf *out);
