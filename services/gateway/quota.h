// quota: what one session may say only so often, beside its 120 frames a minute (session.h), and how many sessions an
// account may begin. Pure.
// https://docs.discord.com/developers/events/gateway, "Rate Limiting"; .../gateway-events, "Rate Limited"
#pragma once
#include "arena.h"
#include "rates.h"

#define QUOTA_PRESENCES 5u // op 3 in …
#define QUOTA_PRESENCE_MS 20000u
#define QUOTA_MEMBERS_MS 30000u // op 8: one of each guild in this time …
#define QUOTA_GUILDS_MAX 2500u  // … and of so many guilds at most; https://docs.discord.com, "Sharding"

struct quota {
    struct window presence;
    struct rates members; // of each guild; empty until the first
};

void quota_init(struct quota *l, uint64_t now);
void quota_fini(struct quota *l);
bool quota_presence(struct quota *l, uint64_t now); // op 3; false: it is dropped
// op 8 of one guild. False: it is not answered but by RATE_LIMITED, and *wait_ms says after how long it would be.
MUST_USE bool quota_members(struct quota *l, uint64_t guild, uint64_t now, uint64_t *wait_ms);
// The body of RATE_LIMITED for that one; nonce: as the client sent it, none: left out.
struct bytes quota_members_body(struct arena *a, uint64_t guild, struct bytes nonce, uint64_t wait_ms);

// https://docs.discord.com/developers/events/gateway, "Session Start Limit Object" and "Sharding": bots that begin
// their shards together are told how many at a time (max_concurrency), and begin the next one whose number leaves the
// same rest (rate_limit_key) after 5 s.
#define QUOTA_STARTS_MS 5000u
struct starts {
    uint32_t at_once; // 0: no limit
    struct rates accounts, keys;
};
void starts_init(struct starts *s, uint64_t at_once, uint64_t now);
void starts_fini(struct starts *s);
// False: it has to wait. One of several shards counts for its key alone, anybody else with all of his account.
MUST_USE bool starts_take(struct starts *s, uint64_t user, uint32_t shard, uint32_t shards, uint64_t now);
