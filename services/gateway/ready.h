// ready: what a client is told when it logs in: READY, READY_SUPPLEMENTAL, GUILD_CREATE, the calls there are. Pure.
// Forms: https://docs.discord.com/developers/events/gateway-events, "Ready" and "Guild Create"; for user accounts,
// whose capabilities choose between two forms of most parts, https://docs.discord.food/gateway/gateway-events, "Ready".
#pragma once
#include "load.h"
#include "session.h"

struct ready {
    const struct session *session;
    const struct world *world;
    struct bytes url;          // where to resume
    struct texts regions;      // of voice, best first
    struct texts sessions;     // ids of the user's sessions on this gateway, this one included
    const struct online *said; // how this one is there; NULL: it has not said so
};

// Each appends the `d` of its dispatch.
void ready_json(struct arena *a, struct buf *out, const struct ready *r); // READY, in the bot's or the user's form
void ready_supplemental_json(struct buf *out, const struct ready *r);
// GUILD_CREATE; of r it needs the session, and a world with the user and those whom the guild names.
void ready_guild_json(struct buf *out, const struct ready *r, const struct loaded_guild *g);

// What follows READY.
bool ready_has_supplemental(const struct session *s);
bool ready_has_guild_creates(const struct session *s); // one for each guild that the session sees
bool ready_has_calls(const struct session *s);         // CALL_CREATE for each call in the user's private channels
