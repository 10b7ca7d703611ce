// lease: a snowflake worker number that no two live processes share.
//   key worker:<n>  value: instance:nonce, expires unless renewed
// A process that was stopped for longer than its lease finds out by its own clock before it mints (lease_mint), so a
// zombie cannot mint with a number that somebody else has by now.
#pragma once
#include "snowflake.h"
#include "store.h"

struct lease;
struct lease *lease_new(struct loop *l, struct store *s, const char *instance); // takes a free number, keeps it
bool lease_held(const struct lease *w);
// An id greater than `after` (0: any). ERR_STATE while no number is held.
MUST_USE int lease_mint(struct lease *w, uint64_t after, uint64_t *id);
void lease_free(struct lease *w); // gives the number back
