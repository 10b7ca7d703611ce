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
bool ready_deduped(const struct session *s);
struct j_user ready_user(const struct ready *r, uint64_t id); // of the world, else a deleted one
// READY's guilds; in_properties: CLIENT_STATE_V2's form.
void ready_guilds_json(struct buf *out, const struct ready *r, bool in_properties);
// A list for each guild; own: with the user's own member in it, else empty.
void ready_merged_members_json(struct buf *out, const struct ready *r, bool own);
