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
