// call_record: a place between its record in Redis and the call core, and what a step writes and tells. Pure.
#pragma once
#include "call.h"
#include "message.h"

// chan, call: fields of {place}:s, none when absent. ERR_INVALID: the record does not decode (then *p is a place
// that does not exist); a guild's channel reads as one too.
MUST_USE int call_read(struct arena *a, struct bytes chan, struct bytes call, struct call_place *p);

// One commit's worth. Everything lives in the arena.
#define CALL_EVENTS_MAX 64u
#define CALL_CHANGES_MAX 48u
struct call_out {
    uint32_t n_events, n_changes;
    struct event events[CALL_EVENTS_MAX];
    struct change changes[CALL_CHANGES_MAX];
};
#define CALL_CAME_MAX 32u
const char *call_came(char out[CALL_CAME_MAX], uint64_t user); // field of {place}:s: the version that added him
// Of a step that turned `before` into `after` and gave `fxs`. chan: the channel's record as read (name and icon are
// not the call's business). version: that the commit makes. last: the channel's newest message. users: the recipients,
// and who was added or removed.
void call_write(struct arena *a, const struct channel *chan, const struct call_place *before,
                const struct call_place *after, const struct call_fxs *fxs, uint64_t version, uint64_t last,
                struct user_set users, struct call_out *out);
// What goes into the record of a user who was added to a group (he learns of the channel, listens to it from
// `version` on, and learns of the call that runs there; again: he still has it from before he was removed), or had been
// removed from it at `version`. {u:<id>}:ch <place> is the version of his welcome.
void call_welcome(struct arena *a, const struct channel *chan, const struct call_place *p, uint64_t user,
                  uint64_t version, bool again, uint64_t last, struct user_set users, struct call_out *out);
void call_farewell(struct arena *a, const struct channel *chan, uint64_t user, uint64_t version, uint64_t last,
                   struct user_set users, struct call_out *out);
