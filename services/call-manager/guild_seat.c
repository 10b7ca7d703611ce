// guild_seat: see guild_seat.h.
#include "guild_seat.h"

static bool same(struct bytes a, struct bytes b)
{
    return bytes_eq(a, b);
}

// --- what he may there ---

bool stage_moderator(const struct guild_work *w, const struct member *m, const struct guild_channel *c)
{
    const uint64_t all = MAY(MANAGE_CHANNELS) | MAY(MUTE_MEMBERS) | MAY(MOVE_MEMBERS);
    return (guild_may_in(w, m, c) & all) == all;
}

bool seat_suppressed(const struct guild_work *w, const struct member *m, const struct guild_channel *c)
{
    if (c->type == CHANNEL_STAGE)
        return !stage_moderator(w, m, c);
    return c->id == w->s->guild->afk_channel || !(guild_may_in(w, m, c) & MAY(SPEAK));
}

bool seat_may_film(const struct guild_work *w, const struct scene_member *who, const struct scene_room *room)
{
    const struct guild *g = w->s->guild;
    uint64_t may = guild_may_in(w, who->member, room->channel);
    uint64_t max = g->video_max ? g->video_max : GUILD_VIDEO_MAX;
    if (room->channel->type == CHANNEL_STAGE)
        max = g->stage_video_max ? g->stage_video_max : GUILD_STAGE_VIDEO_MAX;
    uint64_t others = guild_room(w, room->id)->videos;
    if (who->seat && who->seat->channel == room->id && who->seat->self_video)
        others--;
    return (may & MAY(STREAM)) && others < max + (may & MAY(MANAGE_CHANNELS) ? 1 : 0);
}

struct voice_seat seat_in(const struct guild_work *w, const struct scene_member *who, const struct scene_room *room)
{
    struct voice_seat seat = {.user = who->id};
    if (who->seat)
        seat = *who->seat;
    seat.mute = who->member->mute;
    seat.deaf = who->member->deaf;
    if (seat.channel == room->id)
        return seat;
    seat.channel = room->id;
    seat.joined_at = w->now;
    seat.request_at = 0;
    seat.suppress = seat_suppressed(w, who->member, room->channel);
    seat.self_video = seat.self_video && seat_may_film(w, who, room);
    return seat;
}

// --- its server ---

void seat_ask(const struct guild_work *w, struct voice_seat *seat, uint64_t at)
{
    struct guild_out *out = w->out;
    const struct guild_channel *c = guild_scene_room(w, seat->channel)->channel;
    uint64_t retry = w->rules->retry_ms;
    if (seat->server_at == at + retry)
        at++;
    seat->server_at = at + retry;
    seat->generation = guild_room(w, seat->channel)->generation;
    CHECK_ID(out->n_asks < GUILD_ASKS_MAX, seat->user);
    out->asks[out->n_asks++] = (struct guild_ask){.user = seat->user,
                                                  .channel = seat->channel,
                                                  .at = at,
                                                  .due = seat->server_at,
                                                  .session = seat->session,
                                                  .region = c ? c->rtc_region : BYTES_NONE,
                                                  .preferred = seat->regions};
}

// Not before its client can have heard that it has the seat.
uint64_t seat_soonest(const struct guild_work *w, const struct voice_seat *seat)
{
    uint64_t retry = w->rules->retry_ms;
    bool waits = seat->server == SEAT_SERVER_OWED && seat->server_at > w->now + retry;
    return waits ? seat->server_at - retry : w->now;
}

static const char *token_row(const struct guild_work *w, const struct voice_seat *seat)
{
    return arena_printf(w->a, "t:%.*s", BYTES_FMT(seat->session)).p;
}

void seat_tell_server(const struct guild_work *w, const struct voice_seat *seat, struct bytes endpoint,
                      struct bytes token)
{
    const struct j_voice_server v = {
        .token = token, .guild_id = w->s->id, .endpoint = endpoint.n > 0 ? endpoint : BYTES_NONE};
    struct event *e = guild_event(w, "VOICE_SERVER_UPDATE", schema_text(w->a, &schema_j_voice_server, &v));
    e->to = 2;
    e->user = seat->user;
    e->session = seat->session;
    e->sitter = seat->user;
}

void seat_send_to_server(const struct guild_work *w, const struct voice_seat *seat)
{
    const struct guild_in *in = w->in;
    const struct voice_token row = {.token = bytes_of(in->token),
                                    .user = seat->user,
                                    .session = seat->session,
                                    .server = w->s->id,
                                    .channel = seat->channel,
                                    .node = bytes_of(in->node)};
    seat_tell_server(w, seat, bytes_of(in->endpoint), row.token);
    guild_change(w, CHANGE_SET, token_row(w, seat), schema_packed(w->a, &schema_voice_token, &row),
                 arena_printf(w->a, "%llu", (unsigned long long)in->token_ms));
}

// --- rows ---

static void hold(struct guild_held *v, uint32_t *n, const struct voice_seat *seat)
{
    CHECK_ID(*n < GUILD_SEATS_MAX, seat->user);
    v[(*n)++] = (struct guild_held){seat->user, seat->gateway};
}

static void note_gateways(const struct guild_work *w, const struct voice_seat *was, const struct voice_seat *next)
{
    struct guild_out *out = w->out;
    if (was && next && same(was->gateway, next->gateway))
        return;
    if (was)
        hold(out->went, &out->n_went, was);
    if (next)
        hold(out->came, &out->n_came, next);
}

// What a client was told to show to a voice server is void from the moment on in which it is not his any more: in this
// very commit, so that who hears of it finds it so.
static void void_token(const struct guild_work *w, const struct voice_seat *was, const struct voice_seat *next)
{
    bool stays = next && was->channel == next->channel && same(was->session, next->session);
    if (stays && (was->server != SEAT_SERVER_SENT || next->server == SEAT_SERVER_SENT))
        return;
    guild_change(w, CHANGE_DEL, token_row(w, was), BYTES_NONE, BYTES_NONE);
}

static const char *users_of(const struct guild_work *w, uint64_t channel)
{
    return arena_printf(w->a, "vu:%llu", (unsigned long long)channel).p;
}

static void enter(const struct guild_work *w, const struct voice_seat *seat)
{
    struct voice_room *room = guild_room(w, seat->channel);
    room->channel = seat->channel;
    if (room->seats++ == 0)
        room->started_at = w->now;
    guild_change(w, CHANGE_SADD, users_of(w, seat->channel), guild_id(w, seat->user), BYTES_NONE);
}

static void exit_room(const struct guild_work *w, const struct voice_seat *seat)
{
    struct voice_room *room = guild_room(w, seat->channel);
    CHECK_ID(room->seats > 0, seat->channel);
    room->seats--;
    guild_change(w, CHANGE_SREM, users_of(w, seat->channel), guild_id(w, seat->user), BYTES_NONE);
}

// What its room counts beside seats: with the seat, or without it.
static void count(const struct guild_work *w, const struct voice_seat *seat, bool with)
{
    struct voice_room *room = guild_room(w, seat->channel);
    uint64_t videos = seat->self_video, speakers = !seat->suppress;
    CHECK_ID(with || (room->videos >= videos && room->speakers >= speakers), seat->channel);
    room->videos += with ? videos : -videos;
    room->speakers += with ? speakers : -speakers;
}

static struct event *write(const struct guild_work *w, const struct voice_seat *was, const struct voice_seat *next,
                           struct event *e)
{
    bool moves = !was || was->channel != next->channel;
    if (was)
        count(w, was, false);
    if (was && moves)
        exit_room(w, was);
    if (moves)
        enter(w, next);
    count(w, next, true);
    if (was)
        void_token(w, was, next);
    note_gateways(w, was, next);
    guild_put(w, e, "vs", next->user, &schema_voice_seat, next);
    return e;
}

// --- what clients hear ---

static struct bytes look(const struct guild_work *w, const struct scene_member *who, const struct voice_seat *seat,
                         bool left)
{
    uint64_t hoisted = who->member ? permissions_hoisted(w->s->roles, who->member) : 0;
    return present_guild_voice(w->a, seat, w->s->id, left, who->member, who->user, hoisted);
}

static struct event *tell_state(const struct guild_work *w, const struct scene_member *who,
                                const struct voice_seat *seat, uint64_t channel, bool left)
{
    struct event *e = guild_event_in(w, channel, "VOICE_STATE_UPDATE", look(w, who, seat, left));
    e->sitter = seat->user;
    return e;
}

static void tell_start(const struct guild_work *w, uint64_t channel, uint64_t started_at)
{
    struct j_voice_start v = {.id = channel, .guild_id = w->s->id};
    if (started_at)
        v.voice_start_time = guild_id(w, started_at / 1000);
    guild_event_in(w, channel, "VOICE_CHANNEL_START_TIME_UPDATE", schema_text(w->a, &schema_j_voice_start, &v));
}

// The room of a channel that somebody entered or left. One that is over leaves nothing behind.
static void tell_room(const struct guild_work *w, uint64_t channel)
{
    struct guild_out *out = w->out;
    struct voice_room *room = guild_room(w, channel);
    if (room->seats > 0)
        return;
    tell_start(w, channel, 0);
    if (room->status.n > 0) {
        const struct j_voice_status v = {.id = channel, .guild_id = w->s->id};
        guild_event_in(w, channel, "VOICE_CHANNEL_STATUS_UPDATE", schema_text(w->a, &schema_j_voice_status, &v));
    }
    *room = (struct voice_room){0};
    CHECK_ID(out->n_released < GUILD_ROOMS_MAX, channel);
    out->released[out->n_released++] = channel;
}

void seat_put(const struct guild_work *w, const struct scene_member *who, const struct voice_seat *next)
{
    const struct voice_seat *was = who->seat;
    bool moves = was && was->channel != next->channel;
    struct event *e = tell_state(w, who, next, next->channel, false);
    if (was && bytes_eq(e->body, look(w, who, was, false))) { // others have heard it; he alone waits for an answer
        e->to = 2;
        e->user = next->user;
        e->session = next->session;
    }
    write(w, was, next, e);
    w->out->joins += !was;
    if (moves) { // who may see where he was and not where he is now
        struct event *went = tell_state(w, who, was, was->channel, true);
        went->unless = next->channel;
        went->to = 3;
        went->user = next->user;
        tell_room(w, was->channel);
    }
    if ((!was || moves) && guild_room(w, next->channel)->seats == 1)
        tell_start(w, next->channel, w->now);
}

void seat_keep(const struct guild_work *w, const struct scene_member *who, const struct voice_seat *next)
{
    CHECK_ID(who->seat && who->seat->channel == next->channel, who->id);
    write(w, who->seat, next, NULL);
}

void seat_leave(const struct guild_work *w, const struct scene_member *who)
{
    seat_leave_as(w, who, who->seat);
}

void seat_leave_as(const struct guild_work *w, const struct scene_member *who, const struct voice_seat *told)
{
    const struct voice_seat *was = who->seat;
    struct event *e = tell_state(w, who, told, was->channel, true);
    e->left = true;
    count(w, was, false);
    exit_room(w, was);
    void_token(w, was, NULL);
    note_gateways(w, was, NULL);
    guild_take(w, e, "vs", was->user, &schema_voice_seat);
    w->out->leaves++;
    tell_room(w, was->channel);
}

// --- all who sit in a room ---

static void owe(const struct guild_work *w, const struct scene_member *who, bool lost)
{
    struct voice_seat seat = *who->seat;
    uint64_t at = seat_soonest(w, &seat);
    if (seat.server == SEAT_SERVER_SENT && lost) {
        seat_tell_server(w, &seat, BYTES_NONE, BYTES_NONE);
        seat.server = SEAT_SERVER_NONE;
    } else if (seat.server == SEAT_SERVER_SENT) {
        seat.server = SEAT_SERVER_OWED;
    }
    seat_ask(w, &seat, at);
    seat_keep(w, who, &seat);
}

void seats_owe(const struct guild_work *w, uint64_t channel)
{
    const struct voice_room *room = guild_room(w, channel);
    for (uint32_t i = 0; i < w->s->n_crowd; i++) {
        const struct scene_member *who = &w->s->crowd[i];
        if (who->seat && who->seat->channel == channel && who->seat->generation < room->generation)
            owe(w, who, room->lost);
    }
}

void room_owe(const struct guild_work *w, uint64_t channel, bool lost)
{
    struct voice_room *room = guild_room(w, channel);
    if (room->seats == 0)
        return;
    room->generation++;
    room->lost = lost;
    room->waits = false;
    room->node = room->region = room->endpoint = BYTES_NONE;
    seats_owe(w, channel);
    if (w->s->more)
        w->out->room_at = w->now;
}
