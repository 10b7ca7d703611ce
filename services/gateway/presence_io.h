// presence_io: who is there. {u:<id>}:on has a row for each session that is alive (proto/records.def); it is written
// when one begins, says something else, or is taken over, and with it others are told: by an event from gateway to
// gateway that stands in no log. Shell.
#pragma once
#include "conns.h"
#include "presence.h"

// Those of `ids`, of which there are some, who are there. What is in the set lives in the arena, which must live until
// `fn` has been called: once, from the loop, never from inside. Without Redis nobody is there.
typedef void (*presences_fn)(void *ctx, struct presence_set set);
void presences_load(struct gateway *g, struct arena *a, struct ids ids, presences_fn fn, void *ctx);

// Of {u:<id>}:on as HGETALL gives it; a copy in the arena.
struct presence_sessions presences_take(const struct gateway *g, struct arena *a, const struct reply *hash);

// One session: identifies; has been told READY; says how it is there; is to be kept for longer; is another gateway's no
// more; is over.
void presence_begin(struct live *l, const struct op_presence *p, struct bytes client);
void presence_open(struct live *l);
void presence_say(struct live *l, const struct op_presence *p);
void presence_renew(struct live *l);
void presence_taken(struct live *l);
void presence_end(struct live *l);
// One that is over for everybody, also when presence_end could not say so.
void presence_over(struct gateway *g, uint64_t user, const char *session);
void presence_heard(struct gateway *g, const struct presence_told *p); // of the bus
