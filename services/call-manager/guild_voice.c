// guild_voice: voice states in a guild: who sits down, moves, stands up, and which voice server each is owed.
#include "guild_private.h"
#include "errors.h"

static bool has(uint64_t may, uint64_t what)
{
    return (may & what) == what;
}

static bool full(const struct guild_work *w, uint64_t may)
{
    const struct guild_channel *c = w->s->to.channel;
    const struct voice_room *room = w->s->to.room;
    return c->user_limit > 0 && room && room->seats >= c->user_limit && !has(may, MAY(MOVE_MEMBERS));
}

static bool sits_there(const struct guild_work *w)
{
    const struct voice_seat *seat = w->s->target.seat;
    return seat && seat->channel == w->in->channel && bytes_is(seat->session, w->in->session);
}

// His camera is new there.
static bool lights_camera(const struct guild_work *w)
{
    const struct voice_seat *seat = w->s->target.seat;
    return w->in->self_video && !(seat && seat->channel == w->in->channel && seat->self_video);
}

static int may_join(const struct guild_work *w)
{
    const struct guild_scene *s = w->s;
    if (!s->target.member)
        return API_UNKNOWN_GUILD;
    if (!s->to.channel)
        return API_UNKNOWN_CHANNEL;
    if (!channel_has_voice(s->to.channel->type))
        return API_WRONG_CHANNEL_TYPE;
    uint64_t may = guild_may_in(w, s->target.member, s->to.channel);
    bool there = s->target.seat && s->target.seat->channel == s->to.id;
    // Who sits there stays, whatever he may no longer do: flags are his own.
    if (!sits_there(w) && (!has(may, MAY(VIEW_CHANNEL) | MAY(CONNECT)) || (!there && full(w, may))))
        return API_MISSING_PERMISSIONS;
    if (lights_camera(w) && !seat_may_film(w, &s->target, &s->to))
        return API_MISSING_PERMISSIONS;
    return OK;
}

int guild_may_join(const struct guild_scene *s, const struct guild_in *in, uint64_t now)
{
    struct guild_out out = {.n_rooms = 0};
    const struct guild_work w = {.s = s, .in = in, .now = now, .out = &out};
    return s->guild ? may_join(&w) : API_UNKNOWN_GUILD;
}

int guild_voice_step(const struct guild_work *w)
{
    int err = may_join(w);
    return err ? err : ERR_STATE;
}
