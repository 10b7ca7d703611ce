// loop: the one libuv loop of a process. Time, deadlines, deferred work, signals, and a phased stop.
// Shell. Nothing else in Switchboard runs callbacks: nng and hiredis and libwebsockets are guests of this loop.
#pragma once
#include "flushes.h"
#include "wheel.h"

struct loop;
struct uv_loop_s;

struct loop *loop_new(void);
struct uv_loop_s *loop_uv(struct loop *l); // for the shells that host a guest, nobody else
uint64_t loop_now(const struct loop *l);   // monotonic ms of this turn
uint64_t loop_unix_ms(const struct loop *l);
void loop_arm(struct loop *l, struct timer *t, uint64_t after_ms); // it fires when what has arrived by then was read
void loop_cancel(struct loop *l, struct timer *t);
// `fn` runs once before the loop next sleeps. For work done per turn and not per message (batches, flushes).
// The node is embedded in its owner; asking twice in one turn is one run.
void loop_flush(struct loop *l, struct loop_flush *f);
void loop_unflush(struct loop *l, struct loop_flush *f); // its owner is going away

// `fn` runs at each HUP, which never ends the process; NULL: nothing to read again. Before loop_run.
void loop_on_reload(struct loop *l, void (*fn)(void *ctx), void *ctx);
// Runs until loop_end. TERM and INT call on_stop once (the process then stops in its phases and calls loop_end);
// USR1 calls on_dump. TERM and INT that come after loop_end change nothing.
void loop_run(struct loop *l, void (*on_stop)(void *ctx), void (*on_dump)(void *ctx), void *ctx);
void loop_stop(struct loop *l); // as TERM does
// No deadline is met and no flush runs any more: what they were for may be gone. loop_run returns when the guests'
// handles are closed.
void loop_end(struct loop *l);
void loop_free(struct loop *l); // closes the loop; CHECKs that nothing was left open
