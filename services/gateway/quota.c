// quota: see quota.h.
#include "quota.h"
#include "schema.h"

void quota_init(struct quota *l, uint64_t now)
{
    window_init(&l->presence, QUOTA_PRESENCES, QUOTA_PRESENCE_MS, now);
    rates_init(&l->members, 1, QUOTA_MEMBERS_MS, now);
}

void quota_fini(struct quota *l)
{
    rates_fini(&l->members);
}

bool quota_presence(struct quota *l, uint64_t now)
{
    return window_take(&l->presence, now);
}

bool quota_members(struct quota *l, uint64_t guild, uint64_t now, uint64_t *wait_ms)
{
    bool known = table_get(&l->members.users, guild) != NULL;
    if (!known && l->members.users.n >= QUOTA_GUILDS_MAX && now - l->members.swept_at < QUOTA_MEMBERS_MS) {
        *wait_ms = l->members.swept_at + QUOTA_MEMBERS_MS - now;
        return false;
    }
    return rates_take(&l->members, guild, now, wait_ms);
}

struct bytes quota_members_body(struct arena *a, uint64_t guild, struct bytes nonce, uint64_t wait_ms)
{
    struct buf out = {0};
    buf_printf(&out, "{\"opcode\":8,\"retry_after\":%llu.%03llu,\"meta\":{\"guild_id\":\"%llu\"",
               (unsigned long long)(wait_ms / 1000), (unsigned long long)(wait_ms % 1000), (unsigned long long)guild);
    if (nonce.n) {
        buf_str(&out, ",\"nonce\":");
        json_text(&out, nonce);
    }
    buf_str(&out, "}}");
    struct bytes body = arena_copy(a, buf_bytes(&out));
    buf_fini(&out);
    return body;
}

void starts_init(struct starts *s, uint64_t at_once, uint64_t now)
{
    s->at_once = (uint32_t)at_once;
    rates_init(&s->accounts, at_once, QUOTA_STARTS_MS, now);
    rates_init(&s->keys, at_once ? 1 : 0, QUOTA_STARTS_MS, now);
}

void starts_fini(struct starts *s)
{
    rates_fini(&s->accounts);
    rates_fini(&s->keys);
}

// Two that meet by chance cost somebody a wait of 5 s.
static uint64_t hash_of(uint64_t user, uint64_t key)
{
    const uint64_t pair[2] = {user, key};
    return bytes_hash((struct bytes){(const char *)pair, sizeof pair});
}

bool starts_take(struct starts *s, uint64_t user, uint32_t shard, uint32_t shards, uint64_t now)
{
    uint64_t wait_ms; // the client knows it
    if (shards <= 1 || !s->at_once)
        return rates_take(&s->accounts, user, now, &wait_ms);
    return rates_take(&s->keys, hash_of(user, shard % s->at_once), now, &wait_ms);
}
