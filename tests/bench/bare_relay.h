// bare_relay: the least that relaying can be, a yardstick: receive a batch, open each packet once, seal it for each
// other client of its room, send a batch. Fixed tables, no rules, no address is learnt, nothing is checked but the tag.
#pragma once
#include "crowd.h"

struct bare;
struct bare *bare_new(const struct crowd *c, bool together); // together: what is for one client leaves as one
void bare_free(struct bare *b);
struct sockaddr_in bare_port(const struct bare *b);
uint32_t bare_turn(struct bare *b, bool wait); // one batch; packets taken in
uint64_t bare_forwarded(const struct bare *b);
