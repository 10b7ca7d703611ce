// session_past: a session on its way from one gateway to another: see session.h.
#include "session.h"

#define SEQ_MAX ((1ull << 53) - 1) // the store's functions count in doubles

struct session_rec session_record(const struct session *s)
{
    return (struct session_rec){
        .user = s->user,
        .issued_ms = s->issued_ms,
        .bot = s->bot,
        .has_intents = s->has_intents,
        .intents = s->intents,
        .capabilities = s->capabilities,
        .sharded = s->sharded,
        .shard = s->shard,
        .shards = s->shards,
        .large = s->large,
    };
}

int session_past_valid(const struct session_past *p)
{
    const struct session_rec *c = &p->rec;
    bool user_ok = c->user != 0 && c->user >> 63 == 0;
    bool shard_ok = c->shards > 0 && c->shards <= SHARDS_MAX && c->shard < c->shards;
    bool held_ok = p->held.first > 1 && p->held.first <= p->held.last + 1 && p->held.last <= SEQ_MAX;
    return user_ok && shard_ok && held_ok ? OK : ERR_INVALID; // READY is never among the texts
}

void session_revive(struct session *s, const struct session_past *p, const struct session_rules *r, uint64_t now)
{
    const struct session_rec *c = &p->rec;
    CHECK(session_past_valid(p) == OK);
    session_init(s, p->id, 0, 0, r, now);
    s->user = c->user;
    s->issued_ms = c->issued_ms;
    s->bot = c->bot;
    s->has_intents = c->has_intents;
    s->intents = c->intents;
    s->capabilities = c->capabilities;
    s->sharded = c->sharded;
    s->shard = (uint32_t)c->shard;
    s->shards = (uint32_t)c->shards;
    s->large = (uint32_t)c->large;
    s->seq = s->kept = p->held.last;
    s->voiced = true;
    s->state = SESSION_DETACHED;
    s->expires_at = now + r->resume_window_ms;
    CHECK_ID(session_valid(s), s->key);
}
