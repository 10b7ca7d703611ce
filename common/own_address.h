// own_address: which of this host's addresses others are to use. Shell; blocks for a look-up, so only at the start.
#pragma once
#include "base.h"

#define OWN_ADDRESS_MAX 64u
// The one from which this host reaches `host`. ERR_MISSING: `host` has no address now, or no way leads there.
MUST_USE int own_address_towards(const char *host, char out[OWN_ADDRESS_MAX]);
MUST_USE int own_address_named(char out[OWN_ADDRESS_MAX]); // of its own name; ERR_MISSING: that has none
