// guild_right: see guild_right.h.
#include "guild_right.h"
#include "errors.h"

bool right_operator(const struct guild_work *w)
{
    return w->in->actor == 0;
}

bool right_owner(const struct guild_work *w)
{
    return right_operator(w) || w->in->actor == w->s->guild->owner;
}

static int need(uint64_t has, uint64_t all)
{
    return (has & all) == all ? OK : API_MISSING_PERMISSIONS;
}

int right_in_guild(const struct guild_work *w, uint64_t all)
{
    return right_operator(w) ? OK : need(guild_may(w, w->s->actor.member), all);
}

int right_in_channel(const struct guild_work *w, const struct guild_channel *c, uint64_t all)
{
    if (!c)
        return API_UNKNOWN_CHANNEL;
    if (right_operator(w))
        return OK;
    uint64_t has = guild_may_in(w, w->s->actor.member, c);
    return has & MAY(VIEW_CHANNEL) ? need(has, all) : API_UNKNOWN_CHANNEL;
}

static int64_t rank_of(const struct guild_work *w, const struct member *m)
{
    return m->user == w->s->guild->owner ? RANK_ALL : permissions_rank(w->s->roles, w->s->guild, m);
}

int64_t right_rank(const struct guild_work *w)
{
    return right_operator(w) ? RANK_ALL : rank_of(w, w->s->actor.member);
}

int right_above(const struct guild_work *w, const struct member *m)
{
    return right_operator(w) || right_rank(w) > rank_of(w, m) ? OK : API_MISSING_PERMISSIONS;
}

uint64_t right_to_give(const struct guild_work *w)
{
    return right_operator(w) ? PERMISSIONS_ALL : guild_may(w, w->s->actor.member);
}
