// guild_voice: voice states in a guild: who sits down, moves, stands up, and which voice server each is owed.
#include "guild_private.h"
#include "errors.h"

#define GUILD_GONE_MAX 4u    // nodes that a room remembers as lost
#define GUILD_GONE_MS 10000u // and for how long at least: no answer is under way for longer

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
    if (!guild_sits(s, w->in) && (!has(may, MAY(VIEW_CHANNEL) | MAY(CONNECT)) || (!there && full(w, may))))
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

bool guild_sits(const struct guild_scene *s, const struct guild_in *in)
{
    return s->target.seat && s->target.seat->channel == in->channel && bytes_is(s->target.seat->session, in->session);
}

// --- JOIN ---

static bool same_flags(const struct voice_seat *a, const struct voice_seat *b)
{
    return a->self_mute == b->self_mute && a->self_deaf == b->self_deaf && a->self_video == b->self_video;
}

static struct voice_seat wanted(const struct guild_work *w)
{
    const struct guild_in *in = w->in;
    struct voice_seat seat = seat_in(w, &w->s->target, &w->s->to);
    seat.bot = in->bot;
    seat.self_mute = in->self_mute;
    seat.self_deaf = in->self_deaf;
    seat.self_video = in->self_video;
    seat.flags = in->flags;
    seat.hold = in->hold;
    seat.turn = in->turn;
    seat.epoch = in->epoch;               // of his newest claim: who was overtaken by it takes back older ones
    seat.gateway = bytes_of(in->gateway); // the session may have been resumed on another one
    return seat;
}

// His client has said something else since: what changes flags alone is not in his location.
static bool overtaken(const struct voice_seat *was, const struct guild_in *in)
{
    return in->hold && in->hold == was->hold && in->turn < was->turn;
}

static int join(const struct guild_work *w)
{
    const struct voice_seat *was = w->s->target.seat;
    bool same_session = guild_sits(w->s, w->in);
    int refused = may_join(w);
    if (refused)
        return refused;
    if (w->in->stays && (!same_session || was->epoch != w->in->epoch))
        return ERR_MISSING;
    if (was && w->in->epoch < was->epoch)
        return ERR_STATE;
    if (was && w->in->epoch == was->epoch && overtaken(was, w->in)) // a newer claim has moved his location
        return ERR_STATE;
    struct voice_seat seat = wanted(w);
    // Another channel, or another session takes over; or the same one says the same again, which is how libraries ask
    // to be sent to a voice server anew after theirs hung up. Other flags bring a voice state and nothing else.
    if (!same_session || same_flags(was, &seat)) {
        seat.session = bytes_of(w->in->session);
        seat.regions = w->in->regions;
        seat.server = SEAT_SERVER_OWED;
        seat_ask(w, &seat, w->now + w->rules->server_delay_ms);
    }
    seat_put(w, &w->s->target, &seat);
    return OK;
}

// --- LEAVE, MOVED, GATEWAY_LOST ---

// In the channel that is meant, whose room lives on the node that is meant, to which he was sent; not anew just now.
static bool sits_on(const struct guild_work *w, const struct voice_seat *seat)
{
    const struct voice_room *room = w->s->from.room;
    return seat->channel == w->in->channel && room && bytes_is(room->node, w->in->node) &&
           seat->server == SEAT_SERVER_SENT;
}

static int leave(const struct guild_work *w)
{
    const struct voice_seat *was = w->s->target.seat;
    if (!was)
        return ERR_STATE;
    bool his = w->in->session[0] ? bytes_is(was->session, w->in->session) : was->epoch < w->in->epoch;
    if (!his || overtaken(was, w->in))
        return ERR_STATE; // another session owns the voice state, or it is newer than what this is about
    if (w->in->node && w->in->node[0] && !sits_on(w, was))
        return ERR_STATE; // he has gone elsewhere or come back meanwhile, or is being sent to another server
    w->out->epoch = was->epoch;
    struct voice_seat told = *was;
    if (w->in->session[0] && w->in->gateway && w->in->gateway[0]) { // by op 4, whose flags are the last that are told
        told.self_mute = w->in->self_mute;
        told.self_deaf = w->in->self_deaf;
        told.self_video = w->in->self_video;
    }
    seat_leave_as(w, &w->s->target, &told);
    return OK;
}

static int moved(const struct guild_work *w)
{
    const struct voice_seat *was = w->s->target.seat;
    if (!was || !bytes_is(was->session, w->in->session) || bytes_is(was->gateway, w->in->gateway))
        return ERR_STATE;
    struct voice_seat seat = *was;
    seat.gateway = bytes_of(w->in->gateway);
    seat_keep(w, &w->s->target, &seat);
    return OK;
}

static int gateway_lost(const struct guild_work *w)
{
    const struct voice_seat *was = w->s->target.seat;
    if (!was || !bytes_is(was->gateway, w->in->gateway))
        return ERR_STATE;
    seat_leave(w, &w->s->target);
    return OK;
}

// --- voice servers ---

// No node was free for this seat.
static int none_free(const struct guild_work *w, struct voice_seat *seat)
{
    seat->server_at = w->out->seat_at = w->now + w->rules->poll_ms;
    if (seat->server == SEAT_SERVER_OWED)
        seat_tell_server(w, seat, BYTES_NONE, BYTES_NONE);
    seat->server = SEAT_SERVER_NONE;
    guild_room(w, seat->channel)->waits = true;
    seat_keep(w, &w->s->target, seat);
    return OK;
}

static bool is_gone(const struct voice_room *room, const char *node)
{
    for (uint32_t i = 0; i < room->gone.n; i++)
        if (bytes_is(room->gone.v[i], node))
            return true;
    return false;
}

static int ask_again(const struct guild_work *w, struct voice_seat *seat)
{
    seat_ask(w, seat, w->now);
    w->out->seat_at = seat->server_at;
    seat_keep(w, &w->s->target, seat);
    return OK;
}

// The room lives there from now on. Whoever was sent to another node, or was told that there is none, has to follow.
static void settle_room(const struct guild_work *w, struct voice_room *room)
{
    const struct guild_in *in = w->in;
    bool elsewhere = room->node.n > 0 && !bytes_is(room->node, in->node);
    if (elsewhere || room->waits) {
        room->generation++;
        w->out->room_at = room->seats > 1 ? w->now : 0;
    }
    room->node = bytes_of(in->node);
    room->region = bytes_of(in->region);
    room->endpoint = bytes_of(in->endpoint);
    room->lost = room->waits = false;
}

static int assigned(const struct guild_work *w)
{
    const struct guild_in *in = w->in;
    const struct voice_seat *was = w->s->target.seat;
    if (!was || !guild_sits(w->s, in) || was->server == SEAT_SERVER_SENT ||
        was->server_at != in->asked_at + w->rules->retry_ms)
        return ERR_STATE;
    struct voice_seat seat = *was;
    const struct guild_channel *c = w->s->to.channel;
    struct voice_room *room = guild_room(w, seat.channel);
    if (in->endpoint[0] == '\0')
        return none_free(w, &seat);
    if (c && c->rtc_region.n > 0 && !bytes_is(c->rtc_region, in->region))
        return ERR_STATE; // asked before somebody chose another region: the ask after it counts
    if (is_gone(room, in->node) && in->asked_at <= room->gone_at)
        return ask_again(w, &seat);
    settle_room(w, room);
    w->out->seat_done = was->server_at;
    seat.server = SEAT_SERVER_SENT;
    seat.server_at = 0;
    seat.generation = room->generation;
    seat_send_to_server(w, &seat);
    seat_keep(w, &w->s->target, &seat);
    return OK;
}

// An ask under way may have been answered with the lost node already: that answer must not count, whenever it comes.
static void note_gone(const struct guild_work *w, struct voice_room *room)
{
    struct bytes *v = arena_take(w->a, GUILD_GONE_MAX * sizeof *v);
    uint32_t n = 0;
    uint32_t from = room->gone.n == GUILD_GONE_MAX && !is_gone(room, w->in->node) ? 1 : 0; // the oldest makes room
    bool recent = w->now < room->gone_at + GUILD_GONE_MS;
    for (uint32_t i = from; i < room->gone.n && recent; i++)
        if (!bytes_is(room->gone.v[i], w->in->node))
            v[n++] = room->gone.v[i];
    v[n++] = bytes_of(w->in->node);
    room->gone = (struct texts){n, v};
    room->gone_at = w->now;
}

static int server_lost(const struct guild_work *w)
{
    if (!w->s->to.room)
        return ERR_MISSING;
    struct voice_room *room = guild_room(w, w->in->channel);
    bool lost = bytes_is(room->node, w->in->node);
    if (w->in->drains) { // nobody is told that it is gone: it is not
        if (lost)
            room_owe(w, w->in->channel, false);
        return lost ? OK : ERR_STATE;
    }
    note_gone(w, room);
    if (lost)
        room_owe(w, w->in->channel, true);
    return OK;
}

static int server_free(const struct guild_work *w)
{
    const struct voice_room *room = w->s->to.room;
    if (!room)
        return ERR_MISSING;
    if (!room->waits || room->node.n > 0)
        return ERR_STATE;
    room_owe(w, w->in->channel, room->lost);
    return OK;
}

static int look_at_seat(const struct guild_work *w)
{
    const struct voice_seat *was = w->s->target.seat;
    if (!was)
        return ERR_MISSING;
    if (was->server == SEAT_SERVER_SENT)
        return ERR_STATE;
    if (was->server_at > w->now) {
        w->out->seat_at = was->server_at;
        return ERR_STATE;
    }
    struct voice_seat seat = *was;
    return ask_again(w, &seat);
}

static int look_at_room(const struct guild_work *w)
{
    if (!w->s->to.room && !w->s->to.stage)
        return ERR_MISSING;
    bool closed = guild_close_silent_stage(w);
    if (w->s->n_crowd == 0)
        return closed ? OK : ERR_STATE;
    // Written before this commit, its row must not wait for the end of a silence: should nothing come of the commit
    // those who sit there are still owed a server.
    if (w->out->room_at)
        w->out->room_at = w->now;
    seats_owe(w, w->in->channel);
    w->out->more = w->s->more;
    return OK;
}

int guild_voice_step(const struct guild_work *w)
{
    switch (w->in->kind) {
    case GUILD_IN_JOIN:
        return join(w);
    case GUILD_IN_LEAVE:
        return leave(w);
    case GUILD_IN_MOVED:
        return moved(w);
    case GUILD_IN_ASSIGNED:
        return assigned(w);
    case GUILD_IN_GATEWAY_LOST:
        return gateway_lost(w);
    case GUILD_IN_SERVER_LOST:
        return server_lost(w);
    case GUILD_IN_SERVER_FREE:
        return server_free(w);
    case GUILD_IN_SEAT:
        return look_at_seat(w);
    case GUILD_IN_ROOM:
        return look_at_room(w);
    case GUILD_IN_MEMBER_EDIT:
    case GUILD_IN_MEMBER_REMOVE:
    case GUILD_IN_VOICE_EDIT:
    case GUILD_IN_CHANNEL_PUT:
    case GUILD_IN_CHANNEL_DELETE:
    case GUILD_IN_ROLE_PUT:
    case GUILD_IN_ROLE_DELETE:
    case GUILD_IN_GUILD_EDIT:
    case GUILD_IN_STATUS_PUT:
    case GUILD_IN_STAGE_PUT:
    case GUILD_IN_STAGE_DELETE:
    case GUILD_IN_GUILD_DELETE:
    case GUILD_IN_KINDS:
        break;
    }
    CHECK_ID(false, w->s->id);
    return ERR_STATE;
}
