// call: see call.h. One function per input; each either returns something other than OK before it changes anything,
// or changes the place and tells of it in the order in which clients must learn it.
#include "call.h"
#include "errors.h"
#include <string.h>

static void put_text(char *out, size_t size, const char *text)
{
    size_t n = strlen(text);
    CHECK(n < size);
    memcpy(out, text, n + 1);
}
#define PUT(field, text) put_text((field), sizeof(field), (text))

static struct call_fx *emit(const struct call_place *p, struct call_fxs *out, enum call_fx_kind kind)
{
    CHECK_ID(out->n < CALL_FX_MAX, p->channel);
    struct call_fx *fx = &out->v[out->n++];
    *fx = (struct call_fx){.kind = kind,
                           .id = p->id,
                           .author = p->author,
                           .n_participants = p->n_participants,
                           .n_rings = p->n_rings,
                           .n_seats = p->n_seats};
    memcpy(fx->rings, p->rings, sizeof fx->rings);
    return fx;
}

// Of a call that is unavailable to clients nothing is told until it is there again, and then all of it.
static void emit_update(const struct call_place *p, struct call_fxs *out)
{
    if (!p->unavailable)
        emit(p, out, CALL_FX_CALL_UPDATE);
}

static struct call_fx *emit_seat(const struct call_place *p, struct call_fxs *out, enum call_fx_kind kind,
                                 const struct call_seat *s)
{
    struct call_fx *fx = emit(p, out, kind);
    fx->user = s->user;
    fx->epoch = s->epoch;
    PUT(fx->session, s->session);
    fx->self_mute = s->self_mute;
    fx->self_deaf = s->self_deaf;
    fx->self_video = s->self_video;
    return fx;
}

// Asks for a voice server at `at`; if nothing comes of it a tick asks again. The answer to any earlier ask is void from
// now on.
static void ask(const struct call_place *p, struct call_fxs *out, struct call_seat *s, uint64_t at)
{
    if (s->server_at == at + CALL_RETRY_MS)
        at++;
    emit_seat(p, out, CALL_FX_ASSIGN, s)->at = at;
    s->server_at = at + CALL_RETRY_MS;
}

// When the seat may be asked for anew: not before its client can have heard that it has it.
static uint64_t soonest(const struct call_seat *s, uint64_t now)
{
    bool waits = s->server == CALL_SERVER_OWED && s->server_at > now + CALL_RETRY_MS;
    return waits ? s->server_at - CALL_RETRY_MS : now;
}

static bool have(const uint64_t *v, uint32_t n, uint64_t user)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i] == user)
            return true;
    return false;
}

bool call_is_recipient(const struct call_place *p, uint64_t user)
{
    return have(p->recipients, p->n_recipients, user);
}

static struct call_seat *seat_of(struct call_place *p, uint64_t user)
{
    for (uint32_t i = 0; i < p->n_seats; i++)
        if (p->seats[i].user == user)
            return &p->seats[i];
    return NULL;
}

const struct call_seat *call_seat_of(const struct call_place *p, uint64_t user)
{
    for (uint32_t i = 0; i < p->n_seats; i++)
        if (p->seats[i].user == user)
            return &p->seats[i];
    return NULL;
}

bool call_sits(const struct call_place *p, uint64_t user, const char *session)
{
    const struct call_seat *s = call_seat_of(p, user);
    return s && strcmp(s->session, session) == 0;
}

static bool unring(struct call_place *p, uint64_t user)
{
    for (uint32_t i = 0; i < p->n_rings; i++) {
        if (p->rings[i].user != user)
            continue;
        memmove(&p->rings[i], &p->rings[i + 1], (p->n_rings - i - 1) * sizeof p->rings[0]);
        p->n_rings--;
        return true;
    }
    return false;
}

static bool participate(struct call_place *p, uint64_t user)
{
    if (have(p->participants, p->n_participants, user) || p->n_participants == CALL_PARTICIPANTS_MAX)
        return false;
    p->participants[p->n_participants++] = user;
    return true;
}

static void take_flags(struct call_seat *s, const struct call_in *in)
{
    s->self_mute = in->self_mute;
    s->self_deaf = in->self_deaf;
    s->self_video = in->self_video;
    s->flags = in->flags;
    s->hold = in->hold;
    s->turn = in->turn;
}

// His client has said something else since: what changes flags alone is not in his location.
static bool overtaken(const struct call_seat *s, const struct call_in *in)
{
    return in->hold && in->hold == s->hold && in->turn < s->turn;
}

static void take_session(struct call_seat *s, const struct call_in *in)
{
    PUT(s->session, in->session);
    PUT(s->gateway, in->gateway);
    s->epoch = in->epoch;
    s->server = CALL_SERVER_OWED;
    s->n_regions = 0;
    for (uint32_t i = 0; i < in->regions.n && s->n_regions < CALL_REGIONS_MAX; i++)
        if (bytes_copy(s->regions[s->n_regions], sizeof s->regions[0], in->regions.v[i]) == OK)
            s->n_regions++;
}

static void start(struct call_place *p, const struct call_in *in, struct call_fxs *out)
{
    CHECK_ID(in->new_id != 0, p->channel);
    p->id = in->new_id;
    p->author = in->user;
    PUT(p->region, in->region);
    p->region_chosen = p->unavailable = false;
    p->node[0] = p->endpoint[0] = '\0';
    p->n_participants = 0;
    participate(p, in->user);
    emit(p, out, CALL_FX_MESSAGE_CREATE);
    emit(p, out, CALL_FX_CALL_CREATE);
}

static void sit_down(struct call_place *p, const struct call_in *in, const struct call_rules *rules, uint64_t now,
                     struct call_fxs *out)
{
    if (p->id == 0) {
        start(p, in, out);
    } else {
        if (unring(p, in->user))
            emit_update(p, out);
        if (participate(p, in->user))
            emit(p, out, CALL_FX_MESSAGE_UPDATE);
    }
    struct call_seat *s = &p->seats[p->n_seats++];
    *s = (struct call_seat){.user = in->user, .joined_at = now};
    take_flags(s, in);
    take_session(s, in);
    emit_seat(p, out, CALL_FX_VOICE_STATE, s);
    ask(p, out, s, now + rules->server_delay_ms);
}

int call_may_join(const struct call_place *p, uint64_t user, bool bot)
{
    if ((p->type != 1 && p->type != 3) || bot || !call_is_recipient(p, user))
        return API_UNKNOWN_CHANNEL;
    return OK;
}

static int join(struct call_place *p, const struct call_in *in, const struct call_rules *rules, uint64_t now,
                struct call_fxs *out)
{
    int refused = call_may_join(p, in->user, in->bot);
    if (refused)
        return refused;
    bool same_session = call_sits(p, in->user, in->session);
    struct call_seat *s = seat_of(p, in->user);
    if (in->stays && (!same_session || s->epoch != in->epoch))
        return ERR_MISSING;
    if (!s) {
        sit_down(p, in, rules, now, out);
        return OK;
    }
    if (in->epoch < s->epoch || (in->epoch == s->epoch && overtaken(s, in))) // a newer claim has moved his location
        return ERR_STATE;
    bool same_flags = s->self_mute == in->self_mute && s->self_deaf == in->self_deaf && s->self_video == in->self_video;
    take_flags(s, in);
    s->epoch = in->epoch;         // of his newest claim: who was overtaken by it takes back older ones
    PUT(s->gateway, in->gateway); // the session may have been resumed on another one
    if (same_session && !same_flags) {
        emit_seat(p, out, CALL_FX_VOICE_STATE, s);
        return OK;
    }
    // Another session takes over; or the same one says the same again, which is how libraries ask to be sent to a
    // voice server anew after theirs hung up.
    take_session(s, in);
    emit_seat(p, out, CALL_FX_VOICE_STATE, s);
    ask(p, out, s, now + rules->server_delay_ms);
    return OK;
}

static void stand_up(struct call_place *p, uint32_t i, uint64_t now, struct call_fxs *out)
{
    emit_seat(p, out, CALL_FX_VOICE_STATE, &p->seats[i])->flag = true;
    memmove(&p->seats[i], &p->seats[i + 1], (p->n_seats - i - 1) * sizeof p->seats[0]);
    if (--p->n_seats > 0)
        return;
    p->n_rings = 0;
    emit(p, out, CALL_FX_MESSAGE_UPDATE)->ended_at = now;
    emit(p, out, CALL_FX_CALL_DELETE);
    emit(p, out, CALL_FX_RELEASE);
    p->id = p->author = 0;
    p->n_participants = 0;
    p->region[0] = p->node[0] = p->endpoint[0] = '\0';
    p->region_chosen = p->unavailable = false;
}

static int leave(struct call_place *p, const struct call_in *in, uint64_t now, struct call_fxs *out)
{
    struct call_seat *s = seat_of(p, in->user);
    if (!s)
        return ERR_STATE;
    bool his = in->session[0] ? strcmp(s->session, in->session) == 0 : s->epoch < in->epoch;
    if (!his || overtaken(s, in))
        return ERR_STATE; // another session owns the voice state, or it is newer than what this is about
    bool by_node = in->node && in->node[0];
    if (by_node && (p->channel != in->channel || strcmp(p->node, in->node) != 0 || s->server != CALL_SERVER_SENT))
        return ERR_STATE; // he has gone elsewhere or come back meanwhile, or is being sent to another server
    if (in->session[0] && in->gateway && in->gateway[0]) { // by op 4, whose flags are the last that are told
        s->self_mute = in->self_mute;
        s->self_deaf = in->self_deaf;
        s->self_video = in->self_video;
    }
    stand_up(p, (uint32_t)(s - p->seats), now, out);
    return OK;
}

static int gateway_lost(struct call_place *p, const struct call_in *in, uint64_t now, struct call_fxs *out)
{
    for (uint32_t i = p->n_seats; i-- > 0;)
        if (strcmp(p->seats[i].gateway, in->gateway) == 0)
            stand_up(p, i, now, out);
    return out->n > 0 ? OK : ERR_STATE;
}

static int moved(struct call_place *p, const struct call_in *in)
{
    struct call_seat *s = seat_of(p, in->user);
    if (!s || strcmp(s->session, in->session) != 0 || strcmp(s->gateway, in->gateway) == 0)
        return ERR_STATE;
    PUT(s->gateway, in->gateway);
    return OK;
}

static int ring(struct call_place *p, const struct call_in *in, const struct call_rules *rules, uint64_t now,
                struct call_fxs *out)
{
    if (!call_is_recipient(p, in->user))
        return API_UNKNOWN_CHANNEL;
    if (p->id == 0)
        return ERR_STATE;
    uint32_t before = p->n_rings;
    for (uint32_t i = 0; i < p->n_recipients; i++) {
        uint64_t user = p->recipients[i];
        bool meant = in->everybody ? user != in->user : have(in->targets, in->n_targets, user);
        bool rung = false;
        for (uint32_t k = 0; k < p->n_rings; k++)
            rung = rung || p->rings[k].user == user;
        if (meant && !rung && !seat_of(p, user))
            p->rings[p->n_rings++] = (struct call_rung){user, in->user, now + rules->ring_ms};
    }
    if (p->n_rings == before)
        return ERR_STATE;
    emit_update(p, out);
    return OK;
}

static int stop(struct call_place *p, const struct call_in *in, struct call_fxs *out)
{
    if (!call_is_recipient(p, in->user))
        return API_UNKNOWN_CHANNEL;
    uint32_t before = p->n_rings;
    if (in->n_targets == 0)
        unring(p, in->user);
    for (uint32_t i = 0; i < in->n_targets; i++)
        unring(p, in->targets[i]);
    if (p->n_rings == before)
        return ERR_STATE;
    emit_update(p, out);
    return OK;
}

static int region(struct call_place *p, const struct call_in *in, uint64_t now, struct call_fxs *out)
{
    if (!call_is_recipient(p, in->user))
        return API_UNKNOWN_CHANNEL;
    if (p->id == 0 || (p->region_chosen && strcmp(p->region, in->region) == 0))
        return ERR_STATE;
    bool stays = strcmp(p->region, in->region) == 0;
    PUT(p->region, in->region);
    p->region_chosen = true;
    emit_update(p, out);
    if (stays)
        return OK;
    p->node[0] = p->endpoint[0] = '\0';
    for (uint32_t i = 0; i < p->n_seats; i++) {
        uint64_t at = soonest(&p->seats[i], now);
        p->seats[i].server = CALL_SERVER_OWED;
        ask(p, out, &p->seats[i], at);
    }
    return OK;
}

static int add(struct call_place *p, const struct call_in *in, struct call_fxs *out)
{
    CHECK_ID(in->n_targets == 1, p->channel);
    if (!call_is_recipient(p, in->user))
        return API_UNKNOWN_CHANNEL;
    if (p->type != 3)
        return API_WRONG_CHANNEL_TYPE;
    if (call_is_recipient(p, in->targets[0]))
        return ERR_STATE;
    if (p->n_recipients == CALL_MEMBERS_MAX)
        return API_TOO_MANY_RECIPIENTS;
    if (in->full)
        return API_TOO_MANY_GROUPS;
    p->recipients[p->n_recipients++] = in->targets[0];
    emit(p, out, CALL_FX_RECIPIENT_ADD)->user = in->targets[0];
    return OK;
}

static int remove_recipient(struct call_place *p, const struct call_in *in, uint64_t now, struct call_fxs *out)
{
    CHECK_ID(in->n_targets == 1, p->channel);
    uint64_t user = in->targets[0];
    if (!call_is_recipient(p, in->user))
        return API_UNKNOWN_CHANNEL;
    if (p->type != 3)
        return API_WRONG_CHANNEL_TYPE;
    if (!call_is_recipient(p, user))
        return API_INVALID_RECIPIENTS;
    if (user != in->user && p->owner != in->user)
        return API_MISSING_PERMISSIONS;
    if (unring(p, user))
        emit_update(p, out);
    struct call_seat *s = seat_of(p, user);
    if (s)
        stand_up(p, (uint32_t)(s - p->seats), now, out);
    uint32_t i = 0;
    while (p->recipients[i] != user)
        i++;
    memmove(&p->recipients[i], &p->recipients[i + 1], (p->n_recipients - i - 1) * sizeof p->recipients[0]);
    p->n_recipients--;
    emit(p, out, CALL_FX_RECIPIENT_REMOVE)->user = user;
    if (p->owner == user && p->n_recipients > 0) {
        p->owner = p->recipients[0];
        emit(p, out, CALL_FX_CHANNEL_UPDATE);
    }
    return OK;
}

// No node was free for this seat.
static void none_free(struct call_place *p, struct call_seat *s, uint64_t now, struct call_fxs *out)
{
    s->server_at = now + CALL_POLL_MS;
    if (s->server == CALL_SERVER_OWED) {
        s->server = CALL_SERVER_NONE;
        emit_seat(p, out, CALL_FX_VOICE_SERVER, s);
    } else if (!p->unavailable) { // he knows already: it is no passing thing
        p->unavailable = true;
        emit(p, out, CALL_FX_CALL_DELETE)->flag = true;
    }
}

// Whoever was sent to another node than the call lives on now has to follow.
static void gather(struct call_place *p, uint64_t now, struct call_fxs *out)
{
    for (uint32_t i = 0; i < p->n_seats; i++)
        if (p->seats[i].server == CALL_SERVER_SENT) {
            p->seats[i].server = CALL_SERVER_OWED;
            ask(p, out, &p->seats[i], now);
        }
}

static int assigned(struct call_place *p, const struct call_in *in, uint64_t now, struct call_fxs *out)
{
    struct call_seat *s = seat_of(p, in->user);
    if (!call_sits(p, in->user, in->session) || s->server == CALL_SERVER_SENT ||
        s->server_at != in->asked_at + CALL_RETRY_MS)
        return ERR_STATE;
    if (in->endpoint[0] == '\0') {
        none_free(p, s, now, out);
        return OK;
    }
    bool elsewhere = p->node[0] && strcmp(p->node, in->node) != 0;
    bool other_region = strcmp(p->region, in->region) != 0;
    if (p->region_chosen && other_region)
        return ERR_STATE; // asked before somebody chose another region: the ask after it counts
    PUT(p->node, in->node);
    PUT(p->endpoint, in->endpoint);
    PUT(p->region, in->region);
    if (p->unavailable) {
        p->unavailable = false;
        emit(p, out, CALL_FX_CALL_CREATE);
    } else if (other_region) {
        emit_update(p, out);
    }
    s->server = CALL_SERVER_SENT;
    s->server_at = 0;
    struct call_fx *fx = emit_seat(p, out, CALL_FX_VOICE_SERVER, s);
    PUT(fx->endpoint, in->endpoint);
    PUT(fx->token, in->token);
    fx->token_ms = in->token_ms;
    if (elsewhere) {
        s->server = CALL_SERVER_NONE; // not to be gathered with the others
        gather(p, now, out);
        s->server = CALL_SERVER_SENT;
    }
    return OK;
}

static int server_lost(struct call_place *p, const struct call_in *in, uint64_t now, struct call_fxs *out)
{
    if (p->id == 0)
        return ERR_MISSING;
    if (in->drains) { // nobody is told that it is gone: it is not
        if (strcmp(p->node, in->node) == 0)
            gather(p, now, out);
        return out->n > 0 ? OK : ERR_STATE;
    }
    bool lost = p->node[0] && strcmp(p->node, in->node) == 0;
    if (lost)
        p->node[0] = p->endpoint[0] = '\0';
    for (uint32_t i = 0; i < p->n_seats && lost; i++)
        if (p->seats[i].server == CALL_SERVER_SENT) {
            p->seats[i].server = CALL_SERVER_NONE;
            emit_seat(p, out, CALL_FX_VOICE_SERVER, &p->seats[i]);
        }
    // An ask under way may have been answered with the lost node: that answer must not count, whenever it comes.
    for (uint32_t i = 0; i < p->n_seats; i++) {
        struct call_seat *s = &p->seats[i];
        bool asked = s->server == CALL_SERVER_OWED && s->server_at <= now + CALL_RETRY_MS;
        if (lost || asked)
            ask(p, out, s, soonest(s, now));
    }
    return out->n > 0 ? OK : ERR_STATE;
}

static int server_free(struct call_place *p, uint64_t now, struct call_fxs *out)
{
    if (p->id == 0)
        return ERR_MISSING;
    for (uint32_t i = 0; i < p->n_seats; i++)
        if (p->seats[i].server == CALL_SERVER_NONE)
            ask(p, out, &p->seats[i], now);
    return out->n > 0 ? OK : ERR_STATE;
}

static int tick(struct call_place *p, uint64_t now, struct call_fxs *out)
{
    uint32_t before = p->n_rings;
    for (uint32_t i = p->n_rings; i-- > 0;)
        if (p->rings[i].until <= now)
            unring(p, p->rings[i].user);
    bool rings_changed = p->n_rings != before;
    if (rings_changed)
        emit_update(p, out);
    for (uint32_t i = 0; i < p->n_seats; i++)
        if (p->seats[i].server != CALL_SERVER_SENT && p->seats[i].server_at <= now)
            ask(p, out, &p->seats[i], now);
    return rings_changed || out->n > 0 ? OK : ERR_STATE;
}

int call_step(struct call_place *p, const struct call_in *in, const struct call_rules *rules, uint64_t now,
              struct call_fxs *out)
{
    out->n = 0;
    if (p->type != 1 && p->type != 3)
        return API_UNKNOWN_CHANNEL;
    switch (in->kind) {
    case CALL_IN_JOIN:
        return join(p, in, rules, now, out);
    case CALL_IN_LEAVE:
        return leave(p, in, now, out);
    case CALL_IN_RING:
        return ring(p, in, rules, now, out);
    case CALL_IN_STOP:
        return stop(p, in, out);
    case CALL_IN_REGION:
        return region(p, in, now, out);
    case CALL_IN_ADD:
        return add(p, in, out);
    case CALL_IN_REMOVE:
        return remove_recipient(p, in, now, out);
    case CALL_IN_ASSIGNED:
        return assigned(p, in, now, out);
    case CALL_IN_SERVER_LOST:
        return server_lost(p, in, now, out);
    case CALL_IN_SERVER_FREE:
        return server_free(p, now, out);
    case CALL_IN_GATEWAY_LOST:
        return gateway_lost(p, in, now, out);
    case CALL_IN_MOVED:
        return moved(p, in);
    case CALL_IN_TICK:
        return tick(p, now, out);
    case CALL_IN_KINDS:
        break;
    }
    CHECK_ID(false, p->channel);
    return ERR_STATE;
}

uint64_t call_deadline(const struct call_place *p)
{
    uint64_t first = 0;
    for (uint32_t i = 0; i < p->n_rings; i++)
        if (first == 0 || p->rings[i].until < first)
            first = p->rings[i].until;
    for (uint32_t i = 0; i < p->n_seats; i++)
        if (p->seats[i].server_at && (first == 0 || p->seats[i].server_at < first))
            first = p->seats[i].server_at;
    return first;
}

static bool seats_valid(const struct call_place *p)
{
    for (uint32_t i = 0; i < p->n_seats; i++) {
        const struct call_seat *s = &p->seats[i];
        if (s != call_seat_of(p, s->user) || !call_is_recipient(p, s->user) || s->session[0] == '\0')
            return false;
        if (s->server > CALL_SERVER_SENT || (s->server == CALL_SERVER_SENT) != (s->server_at == 0))
            return false;
        if (!have(p->participants, p->n_participants, s->user) && p->n_participants < CALL_PARTICIPANTS_MAX)
            return false;
    }
    return true;
}

static bool rings_valid(const struct call_place *p)
{
    for (uint32_t i = 0; i < p->n_rings; i++) {
        uint64_t user = p->rings[i].user;
        if (!call_is_recipient(p, user) || call_seat_of(p, user) || p->rings[i].until == 0)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (p->rings[k].user == user)
                return false;
    }
    return true;
}

bool call_valid(const struct call_place *p)
{
    if (p->n_recipients > CALL_MEMBERS_MAX || p->n_seats > p->n_recipients || p->n_rings > p->n_recipients ||
        p->n_participants > CALL_PARTICIPANTS_MAX)
        return false;
    if (p->id == 0)
        return p->n_seats == 0 && p->n_rings == 0 && p->n_participants == 0 && p->author == 0 && p->region[0] == '\0' &&
               p->node[0] == '\0' && p->endpoint[0] == '\0' && !p->unavailable && !p->region_chosen;
    if (p->n_seats == 0 || (p->node[0] == '\0') != (p->endpoint[0] == '\0'))
        return false;
    return seats_valid(p) && rings_valid(p);
}
