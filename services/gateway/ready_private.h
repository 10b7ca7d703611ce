// ready_private: what ready.c and ready_guild.c share.
#pragma once
#include "ready.h"

enum capability {
    CAN_LAZY_NOTES = 0,
    CAN_VERSIONED_READ_STATES = 2,
    CAN_VERSIONED_GUILD_SETTINGS = 3,
    CAN_DEDUPE_USERS = 4,
    CAN_SUPPLEMENTAL = 5,
    CAN_SETTINGS_PROTO = 9,
    CAN_CLIENT_STATE = 10,
    CAN_AUTO_CALLS = 12,
};

void ready_text_json(struct buf *out, struct bytes text); // none: null
void ready_id_json(struct buf *out, uint64_t id);         // 0: null
bool ready_can(const struct session *s, enum capability bit);
bool ready_deduped(const struct session *s);
struct j_user ready_user(const struct ready *r, uint64_t id); // of the world, else a deleted one
// The next guild that the session is told of, at or behind *at, which moves on. NULL: that was all.
const struct loaded_guild *ready_next_guild(const struct ready *r, uint32_t *at);
void ready_guilds_json(struct buf *out, const struct ready *r); // of READY
// A list for each guild: of the user's own member, of those who sit in voice, or of both.
enum merged { MERGED_OWN = 1, MERGED_VOICE = 2 };
// A list for each guild, of those who sit in voice and are there.
void ready_merged_presences_json(struct buf *out, const struct ready *r);
void ready_merged_members_json(struct buf *out, const struct ready *r, unsigned what);
void ready_voice_states_json(struct buf *out, const struct ready *r, const struct loaded_guild *g); // […]
// Who sits in voice where the user may view it. Returns how many; at most g->n_seats.
uint32_t ready_voice_users(const struct ready *r, const struct loaded_guild *g, uint64_t *out);
