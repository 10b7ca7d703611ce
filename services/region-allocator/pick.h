// pick: which voice node a call gets. Pure: (fleet, request, random) -> a node, or the reason why none.
#pragma once
#include "fleet.h"

struct pick_request {
    struct bytes region;    // only there; none: choose
    struct texts preferred; // in this order
    struct bytes fallback;  // the default region; none: there is none
};
enum picked { PICK_NODE, PICK_FULL };

// Regions are tried in order; inside one the less loaded of two nodes drawn at random is taken, by what is to be
// expected there and not by what was reported. Draining and full nodes never are. *out is set with PICK_NODE only.
enum picked pick(const struct fleet *f, const struct pick_request *r, uint64_t now, uint64_t random,
                 const struct node **out);
