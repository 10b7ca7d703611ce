// bus_core: the bus's decisions: who gets a command, and whether a link has lost something. Pure.
#pragma once
#include "bytes.h"

// Rendezvous hashing: everybody who knows the same instances picks the same one for a key, and when one goes only its
// own keys move. names: bytes_hash of each instance's name. `not`: one to avoid unless it is the only one, 0: none.
// Returns the index, or n when there is none.
size_t bus_pick(const uint64_t *names, size_t n, uint64_t key, uint64_t not );

// The receiving end of one publisher's link.
struct bus_link {
    uint64_t epoch, seq; // of the publisher's link to us (0: not heard yet), and of its last batch
    uint64_t heard_at;   // ms
    uint64_t told_at;    // when its present silence was last told of; 0: it is not silent
};

enum bus_heard {
    BUS_HEARD_OK,
    BUS_HEARD_OLD,  // came before: not to be delivered again
    BUS_HEARD_LOST, // to be delivered, and something before it is missing
};
#define BUS_BEAT_MS 200u    // an idle link says that it is there, and what it sent last
#define BUS_SILENT_MS 1000u // several beats missed
enum bus_heard bus_link_heard(struct bus_link *l, uint64_t epoch, uint64_t seq, bool beat, uint64_t now);
// True when its silence is to be told of: again and again while it lasts. Its publisher may be well, and everything
// that it sends be swallowed on the way.
bool bus_link_is_silent(struct bus_link *l, uint64_t now);
