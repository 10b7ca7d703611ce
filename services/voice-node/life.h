// life: what this node knows through Redis and the bus: who may come in, whether who is in still belongs here and what
// he may do, and what the others have to know of this node. Shell; verdicts are admit.h's, which is pure.
#pragma once
#include "admit.h"
#include "service.h"

struct life;

struct life_cfg {
    struct service *service;
    const char *region, *endpoint;
    uint64_t capacity; // voice sessions
    // The seat of a watched session, at first and whenever it changes (admit.h). Called from the loop; it may watch and
    // unwatch.
    void (*on_seat)(void *ctx, uint64_t server, uint64_t user, const char *session, const struct seat *seat);
    uint32_t (*load)(void *ctx); // voice sessions that this node has
    void *ctx;
};
struct life *life_new(const struct life_cfg *cfg);
void life_free(struct life *l);

// Reads what an Identify is to be compared with: fn is called once, from the loop, with OK or a voice close code.
// The claims are copied.
typedef void (*life_admit_fn)(void *ctx, int code, const struct admitted *who);
void life_admit(struct life *l, const struct claims *c, life_admit_fn fn, void *ctx);

// From now on that session's seat is followed, until life_unwatch.
void life_watch(struct life *l, uint64_t server, uint64_t channel, uint64_t user, const char *session);
void life_unwatch(struct life *l, uint64_t server, uint64_t user, const char *session);
// Its voice socket has been gone for the grace time: the call manager takes it out of the channel if it still sits
// there.
void life_gone(struct life *l, uint64_t server, uint64_t channel, uint64_t user, const char *session);

void life_drain(struct life *l);         // takes nothing new from now on, and what is here is moved elsewhere
bool life_drained(const struct life *l); // every session that is watched has left, or was told of another node
void life_event(struct life *l, const struct msg *m);
// Something may have been missed: of an event, or because Redis was away and may have lost that this node listens.
void life_loss(struct life *l);
const char *life_not_ready(const struct life *l); // NULL: ready
void life_dump(const struct life *l, struct buf *out);
