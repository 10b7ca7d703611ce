// session: see session.h.
#include "session.h"
#include "metrics.h"

#include <string.h>

enum {
#define CLOSE(code, name, resumable, text) CLOSE_##name = (code),
#include "closes.def"
#undef CLOSE
};

static const struct close_row {
    uint16_t code;
    bool resumable;
    const char *text;
} closes[] = {
#define CLOSE(code, name, resumable, text) {code, resumable, text},
#include "closes.def"
#undef CLOSE
};

static const struct close_row *close_row(uint16_t code)
{
    for (size_t i = 0; i < countof(closes); i++)
        if (closes[i].code == code)
            return &closes[i];
    CHECK_ID(false, code);
    return NULL;
}

bool close_resumable(uint16_t code)
{
    return close_row(code)->resumable;
}

const char *close_text(uint16_t code)
{
    return close_row(code)->text;
}

// --- life ---

int session_key(struct bytes id, uint64_t *key)
{
    uint64_t v = 0;
    if (id.n != 32)
        return ERR_INVALID;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'a' || c > 'f'))
            return ERR_INVALID;
        if (i < 16)
            v = v << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    *key = v;
    return OK;
}

void session_init(struct session *s, const char id[33], uint64_t conn, uint32_t v, const struct session_rules *r,
                  uint64_t now)
{
    *s = (struct session){.state = SESSION_HELLO, .shards = 1};
    memcpy(s->id, id, sizeof s->id);
    CHECK(session_key(bytes_of(id), &s->key) == OK);
    s->line = (struct line){.conn = conn, .v = v};
    window_init(&s->line.rate, SESSION_EVENTS, SESSION_EVENTS_MS, now);
    quota_init(&s->quota, now);
    s->line.beat_by = now + r->heartbeat_ms + r->heartbeat_ms / 2 + 10000;
    s->line.identify_by = now + r->identify_ms;
}

void session_fini(struct session *s)
{
    mem_free(s->voice);
    s->voice = NULL;
    quota_fini(&s->quota);
}

// --- effects ---

static struct session_fx *emit(struct session_fxs *out, enum session_fx_kind kind)
{
    CHECK(out->n < SESSION_FX_MAX);
    struct session_fx *fx = &out->v[out->n++];
    *fx = (struct session_fx){.kind = kind};
    return fx;
}

static void say(const struct session *s, struct session_fxs *out, enum session_fx_kind kind)
{
    emit(out, kind)->conn = s->line.conn;
}

static void close_line(struct session *s, uint16_t code, struct session_fxs *out)
{
    struct session_fx *fx = emit(out, SESSION_FX_CLOSE);
    fx->conn = s->line.conn;
    fx->code = code;
    s->line.conn = 0;
}

static int end(struct session *s, struct session_fxs *out)
{
    s->state = SESSION_GONE;
    s->line.conn = 0;
    emit(out, SESSION_FX_END)->tell = s->voiced;
    return OK;
}

static int drop(struct session *s, struct session_fxs *out)
{
    s->state = SESSION_GONE;
    s->line.conn = 0;
    emit(out, SESSION_FX_DROP);
    return OK;
}

static int detach(struct session *s, const struct session_rules *r, uint64_t now)
{
    s->state = SESSION_DETACHED;
    s->line.conn = 0;
    s->expires_at = now + r->resume_window_ms;
    return OK;
}

// Closes the socket. A LIVE session outlives it when the code says so.
static int close_with(struct session *s, uint16_t code, const struct session_rules *r, uint64_t now,
                      struct session_fxs *out)
{
    close_line(s, code, out);
    if (s->state == SESSION_LIVE && close_resumable(code))
        return detach(s, r, now);
    return end(s, out);
}

// The socket may identify, or try another session.
static int invalid(struct session *s, const struct session_rules *r, uint64_t now, struct session_fxs *out)
{
    s->state = SESSION_HELLO;
    s->user = s->issued_ms = 0;
    s->line.identify_by = now + r->identify_ms;
    say(s, out, SESSION_FX_INVALID);
    return OK;
}

// --- inputs ---

static uint32_t large(uint64_t threshold)
{
    if (threshold < SESSION_LARGE_MIN) // also when there is none
        return SESSION_LARGE_MIN;
    return threshold < SESSION_LARGE_MAX ? (uint32_t)threshold : SESSION_LARGE_MAX;
}

static int identify(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                    struct session_fxs *out)
{
    const struct op_identify *id = &in->op->identify;
    if (in->op->malformed)
        return close_with(s, CLOSE_DECODE_ERROR, r, now, out);
    if (!in->user)
        return close_with(s, CLOSE_AUTHENTICATION_FAILED, r, now, out);
    if (!id->shard_ok)
        return close_with(s, CLOSE_INVALID_SHARD, r, now, out);
    if (in->full)
        return close_with(s, CLOSE_TOO_MANY_SESSIONS, r, now, out);
    if (in->often || in->away) // may be tried again on the same socket, which has its time for that
        return invalid(s, r, now, out);
    s->state = SESSION_LOADING;
    s->user = in->user;
    s->issued_ms = in->issued_ms;
    s->has_intents = id->has_intents;
    s->intents = id->c.intents;
    s->capabilities = id->c.capabilities;
    s->sharded = id->sharded;
    s->shard = id->shard;
    s->shards = id->shards;
    s->large = large(id->c.large_threshold);
    emit(out, SESSION_FX_LOAD);
    return OK;
}

static int resume(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                  struct session_fxs *out)
{
    const struct c_resume *c = &in->op->resume;
    uint64_t key;
    if (in->op->malformed)
        return close_with(s, CLOSE_DECODE_ERROR, r, now, out);
    if (!in->user || session_key(c->session_id, &key) != OK) {
        say(s, out, SESSION_FX_INVALID); // and no more time for that
        return OK;
    }
    CHECK(bytes_copy(s->wanted, sizeof s->wanted, c->session_id) == OK);
    s->wanted_seq = c->seq;
    s->state = SESSION_TAKING;
    s->user = in->user;
    s->issued_ms = in->issued_ms;
    emit(out, SESSION_FX_TAKE);
    return OK;
}

static int taken(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                 struct session_fxs *out)
{
    CHECK_ID(in->err != OK, s->key);
    return in->err == ERR_MISSING ? invalid(s, r, now, out) : close_with(s, CLOSE_UNKNOWN_ERROR, r, now, out);
}

static int loaded(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                  struct session_fxs *out)
{
    if (in->err == ERR_MISSING)
        return close_with(s, CLOSE_AUTHENTICATION_FAILED, r, now, out);
    if (in->err != OK) {
        emit(out, SESSION_FX_UNLISTEN);
        return invalid(s, r, now, out);
    }
    if (in->bot && (!s->has_intents || s->intents > SESSION_INTENTS_MAX))
        return close_with(s, CLOSE_INVALID_INTENTS, r, now, out);
    if (session_too_many(in->bot, in->guilds))
        return close_with(s, CLOSE_SHARDING_REQUIRED, r, now, out);
    s->state = SESSION_LIVE;
    s->bot = in->bot;
    s->seq = s->kept = 1;
    emit(out, SESSION_FX_READY);
    return OK;
}

static void copy_region(struct voice_item *v, struct bytes region)
{
    if (region.n && v->n_regions < SESSION_REGIONS_MAX &&
        bytes_copy(v->regions[v->n_regions], sizeof v->regions[0], region) == OK)
        v->n_regions++;
}

static struct voice_item voice_item(const struct c_voice_state *c)
{
    struct voice_item v = {
        .guild = c->guild_id,
        .channel = c->channel_id,
        .flags = c->flags,
        .self_mute = c->self_mute,
        .self_deaf = c->self_deaf,
        .self_video = c->self_video,
    };
    for (uint32_t i = 0; i < c->preferred_regions.n; i++)
        copy_region(&v, c->preferred_regions.v[i]);
    if (!v.n_regions)
        copy_region(&v, c->preferred_region);
    return v;
}

static void remove_voice(struct session *s, uint32_t at)
{
    s->n_voice--;
    memmove(&s->voice[at], &s->voice[at + 1], (s->n_voice - at) * sizeof *s->voice);
}

static void send_voice(struct session *s, struct session_fxs *out)
{
    if (s->voice_sent || s->n_voice == 0)
        return;
    s->voice_sent = true;
    emit(out, SESSION_FX_OURS);
}

// A client has left when it says so, and says it once: a leave waits for as long as it takes. A join that comes long
// after its client has given up would surprise him.
static bool too_late(const struct voice_item *v, uint64_t now)
{
    return v->channel != 0 && now >= v->by;
}

static int ours(struct session *s, uint64_t now, struct session_fxs *out)
{
    if (!s->voice_sent)
        return ERR_STATE;
    while (s->n_voice > 0 && too_late(&s->voice[0], now))
        remove_voice(s, 0);
    s->voice_sent = s->n_voice > 0;
    if (s->voice_sent)
        emit(out, SESSION_FX_VOICE)->ms = s->voice[0].channel ? s->voice[0].by - now : SESSION_VOICE_MS;
    return OK;
}

static void say_voice(struct session *s, const struct voice_item *v, uint64_t now, struct session_fxs *out)
{
    if (!s->voice)
        s->voice = mem_alloc((SESSION_VOICE_MAX + 1) * sizeof *s->voice);
    uint32_t first = s->voice_sent ? 1 : 0;
    if (s->n_voice - first == SESSION_VOICE_MAX)
        remove_voice(s, first); // its sender has changed his mind eight times since
    s->voice[s->n_voice] = *v;
    s->voice[s->n_voice++].by = now + SESSION_VOICE_MS;
    s->voiced = true;
    send_voice(s, out);
}

static int voice(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                 struct session_fxs *out)
{
    if (in->op->malformed)
        return close_with(s, CLOSE_DECODE_ERROR, r, now, out);
    const struct voice_item v = voice_item(&in->op->voice);
    say_voice(s, &v, now, out);
    return OK;
}

// Who says the same again is sent to a voice server anew, so that is said for it; of what it has said itself about that
// voice state and is not answered yet, the last. If that is another channel, it stays only when it may not go there.
static int unserved(struct session *s, const struct session_in *in, uint64_t now, struct session_fxs *out)
{
    const struct voice_item *last = NULL;
    for (uint32_t i = 0; i < s->n_voice; i++)
        if (!s->bot || s->voice[i].guild == in->seat->guild) // bots have one in each guild
            last = &s->voice[i];
    if (last && last->channel == 0)
        return OK; // it leaves
    bool same = last && last->channel == in->seat->channel;
    struct voice_item again = same ? *last : *in->seat;
    again.if_refused = last && (last->if_refused || !same);
    say_voice(s, &again, now, out);
    return OK;
}

// He was not refused there: what was to be said in that case is not.
static void went(struct session *s, uint64_t guild)
{
    for (uint32_t i = s->n_voice; i > 0; i--)
        if (s->voice[i - 1].if_refused && (!s->bot || s->voice[i - 1].guild == guild))
            remove_voice(s, i - 1);
}

static int answered(struct session *s, const struct session_in *in, struct session_fxs *out)
{
    bool again = in->err == ERR_TIMEOUT || in->err == ERR_FULL; // a leave: see too_late
    if (!s->voice_sent)
        return ERR_STATE;
    s->voice_sent = false;
    uint64_t guild = s->voice[0].guild;
    if (!again || s->voice[0].channel)
        remove_voice(s, 0);
    if (in->err == OK)
        went(s, guild);
    send_voice(s, out);
    if (s->n_voice == 0) { // ten kilobytes that few need for long
        mem_free(s->voice);
        s->voice = NULL;
    }
    return OK;
}

static int call(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                struct session_fxs *out)
{
    if (in->op->malformed)
        return close_with(s, CLOSE_DECODE_ERROR, r, now, out);
    emit(out, SESSION_FX_CALL)->channel = in->op->call.channel_id;
    return OK;
}

// Clients wait for nothing of the kind: one that does not fit is passed over.
static int ask(const struct session_in *in, struct session_fxs *out)
{
    if (!in->op->malformed)
        emit(out, SESSION_FX_ASK)->op = in->op;
    return OK;
}

static int presence(struct session *s, const struct session_in *in, uint64_t now, struct session_fxs *out)
{
    if (quota_presence(&s->quota, now))
        return ask(in, out);
    M.client_presences_dropped++;
    return OK;
}

static int beat(struct session *s, const struct session_rules *r, uint64_t now, struct session_fxs *out)
{
    s->line.beat_by = now + r->heartbeat_ms + r->heartbeat_ms / 2 + 10000;
    say(s, out, SESSION_FX_ACK);
    return OK;
}

static int tick(struct session *s, const struct session_rules *r, uint64_t now, struct session_fxs *out)
{
    if (now < session_deadline(s))
        return OK;
    if (s->state == SESSION_DETACHED)
        return end(s, out);
    return close_with(s, CLOSE_SESSION_TIMED_OUT, r, now, out);
}

static int revoked(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                   struct session_fxs *out)
{
    if (s->issued_ms >= in->before_ms)
        return OK;
    if (s->state == SESSION_DETACHED)
        return end(s, out);
    return close_with(s, CLOSE_AUTHENTICATION_FAILED, r, now, out);
}

// Its client closed it for good (https://docs.discord.com/developers/events/gateway, "Disconnecting").
static bool for_good(uint16_t code)
{
    return code == 1000 || code == 1001;
}

// --- state × input ---

static int step_hello(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                      struct session_fxs *out)
{
    switch (in->kind) {
    case SESSION_IN_BEAT:
        return beat(s, r, now, out);
    case SESSION_IN_IDENTIFY:
        return identify(s, in, r, now, out);
    case SESSION_IN_RESUME:
        return resume(s, in, r, now, out);
    case SESSION_IN_VOICE:
    case SESSION_IN_CALL:
    case SESSION_IN_PRESENCE:
    case SESSION_IN_ASK:
    case SESSION_IN_QUIET:
        return close_with(s, CLOSE_NOT_AUTHENTICATED, r, now, out);
    case SESSION_IN_BROKEN:
        return close_with(s, in->code, r, now, out);
    case SESSION_IN_LOST:
        return end(s, out);
    case SESSION_IN_TICK:
        return tick(s, r, now, out);
    case SESSION_IN_STOP:
        return close_with(s, CLOSE_UNKNOWN_ERROR, r, now, out);
    case SESSION_IN_LOADED:
    case SESSION_IN_TAKEN:
    case SESSION_IN_OURS:
    case SESSION_IN_ANSWERED:
    case SESSION_IN_REVOKED:
    case SESSION_IN_CUT:
    case SESSION_IN_BEHIND:
    case SESSION_IN_MOVED:
    case SESSION_IN_UNSERVED:
    case SESSION_IN_KINDS:
        break;
    }
    return ERR_STATE;
}

// What the client says meanwhile waits (session_waits), so nothing but heartbeats comes.
static int step_taking(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                       struct session_fxs *out)
{
    switch (in->kind) {
    case SESSION_IN_BEAT:
        return beat(s, r, now, out);
    case SESSION_IN_BROKEN:
        return close_with(s, in->code, r, now, out);
    case SESSION_IN_TAKEN:
        return taken(s, in, r, now, out);
    case SESSION_IN_LOST:
        return end(s, out);
    case SESSION_IN_TICK:
        return tick(s, r, now, out);
    case SESSION_IN_STOP:
        return close_with(s, CLOSE_UNKNOWN_ERROR, r, now, out);
    case SESSION_IN_IDENTIFY:
    case SESSION_IN_RESUME:
    case SESSION_IN_VOICE:
    case SESSION_IN_CALL:
    case SESSION_IN_PRESENCE:
    case SESSION_IN_ASK:
    case SESSION_IN_QUIET:
    case SESSION_IN_LOADED:
    case SESSION_IN_OURS:
    case SESSION_IN_ANSWERED:
    case SESSION_IN_REVOKED: // its token was good when it came; the session's own is looked at when it is there
    case SESSION_IN_CUT:
    case SESSION_IN_BEHIND:
    case SESSION_IN_MOVED:
    case SESSION_IN_UNSERVED:
    case SESSION_IN_KINDS:
        break;
    }
    return ERR_STATE;
}

static int step_loading(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                        struct session_fxs *out)
{
    switch (in->kind) {
    case SESSION_IN_BEAT:
        return beat(s, r, now, out);
    case SESSION_IN_IDENTIFY:
    case SESSION_IN_RESUME:
        return close_with(s, CLOSE_ALREADY_AUTHENTICATED, r, now, out);
    case SESSION_IN_VOICE: // it does not know its own session id yet: nothing can come of these
    case SESSION_IN_CALL:
    case SESSION_IN_PRESENCE:
    case SESSION_IN_ASK:
    case SESSION_IN_QUIET:
        return OK;
    case SESSION_IN_BROKEN:
        return close_with(s, in->code, r, now, out);
    case SESSION_IN_LOADED:
        return loaded(s, in, r, now, out);
    case SESSION_IN_LOST:
        return end(s, out);
    case SESSION_IN_TICK:
        return tick(s, r, now, out);
    case SESSION_IN_REVOKED:
        return revoked(s, in, r, now, out);
    case SESSION_IN_STOP:
        return close_with(s, CLOSE_UNKNOWN_ERROR, r, now, out);
    case SESSION_IN_TAKEN:
    case SESSION_IN_OURS:
    case SESSION_IN_ANSWERED:
    case SESSION_IN_CUT:
    case SESSION_IN_BEHIND:
    case SESSION_IN_MOVED:
    case SESSION_IN_UNSERVED:
    case SESSION_IN_KINDS:
        break;
    }
    return ERR_STATE;
}

static int step_live(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                     struct session_fxs *out)
{
    switch (in->kind) {
    case SESSION_IN_BEAT:
        return beat(s, r, now, out);
    case SESSION_IN_IDENTIFY:
    case SESSION_IN_RESUME:
        return close_with(s, CLOSE_ALREADY_AUTHENTICATED, r, now, out);
    case SESSION_IN_VOICE:
        return voice(s, in, r, now, out);
    case SESSION_IN_CALL:
        return call(s, in, r, now, out);
    case SESSION_IN_PRESENCE:
        return presence(s, in, now, out);
    case SESSION_IN_ASK:
        return ask(in, out);
    case SESSION_IN_QUIET:
        return OK;
    case SESSION_IN_BROKEN:
        return close_with(s, in->code, r, now, out);
    case SESSION_IN_OURS:
        return ours(s, now, out);
    case SESSION_IN_ANSWERED:
        return answered(s, in, out);
    case SESSION_IN_UNSERVED:
        return unserved(s, in, now, out);
    case SESSION_IN_LOST:
        return for_good(in->code) ? end(s, out) : detach(s, r, now);
    case SESSION_IN_TICK:
        return tick(s, r, now, out);
    case SESSION_IN_REVOKED:
        return revoked(s, in, r, now, out);
    case SESSION_IN_CUT:
        close_line(s, CLOSE_UNKNOWN_ERROR, out);
        return end(s, out);
    case SESSION_IN_BEHIND:
        return close_with(s, CLOSE_UNKNOWN_ERROR, r, now, out);
    case SESSION_IN_MOVED:
        close_line(s, CLOSE_UNKNOWN_ERROR, out);
        return drop(s, out);
    case SESSION_IN_STOP:
        say(s, out, SESSION_FX_RECONNECT);
        return close_with(s, CLOSE_UNKNOWN_ERROR, r, now, out);
    case SESSION_IN_LOADED:
    case SESSION_IN_TAKEN:
    case SESSION_IN_KINDS:
        break;
    }
    return ERR_STATE;
}

static int step_detached(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                         struct session_fxs *out)
{
    switch (in->kind) {
    case SESSION_IN_OURS:
        return ours(s, now, out);
    case SESSION_IN_ANSWERED:
        return answered(s, in, out);
    case SESSION_IN_UNSERVED:
        return unserved(s, in, now, out);
    case SESSION_IN_TICK:
        return tick(s, r, now, out);
    case SESSION_IN_REVOKED:
        return revoked(s, in, r, now, out);
    case SESSION_IN_CUT:
        return end(s, out);
    case SESSION_IN_MOVED:
        return drop(s, out);
    case SESSION_IN_BEHIND:
    case SESSION_IN_STOP:
        return OK;
    case SESSION_IN_BEAT: // there is no socket that these could come from
    case SESSION_IN_IDENTIFY:
    case SESSION_IN_RESUME:
    case SESSION_IN_VOICE:
    case SESSION_IN_CALL:
    case SESSION_IN_PRESENCE:
    case SESSION_IN_ASK:
    case SESSION_IN_QUIET:
    case SESSION_IN_BROKEN:
    case SESSION_IN_LOST:
    case SESSION_IN_LOADED:
    case SESSION_IN_TAKEN:
    case SESSION_IN_KINDS:
        break;
    }
    return ERR_STATE;
}

static bool from_client(enum session_in_kind kind)
{
    return kind <= SESSION_IN_BROKEN;
}

int session_step(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                 struct session_fxs *out)
{
    struct window rate = s->line.rate;
    out->n = 0;
    if (from_client(in->kind) && s->line.conn && !window_take(&s->line.rate, now))
        return close_with(s, CLOSE_RATE_LIMITED, r, now, out);
    int err = ERR_STATE;
    switch (s->state) {
    case SESSION_HELLO:
        err = step_hello(s, in, r, now, out);
        break;
    case SESSION_LOADING:
        err = step_loading(s, in, r, now, out);
        break;
    case SESSION_TAKING:
        err = step_taking(s, in, r, now, out);
        break;
    case SESSION_LIVE:
        err = step_live(s, in, r, now, out);
        break;
    case SESSION_DETACHED:
        err = step_detached(s, in, r, now, out);
        break;
    case SESSION_GONE:
    case SESSION_STATES:
        break;
    }
    if (err)
        s->line.rate = rate;
    CHECK_ID(session_valid(s), s->key);
    return err;
}

// --- resume ---

// The client lacks nothing, or the store has all that it lacks. (A Redis that has lost its last moments has not.)
static bool can_replay(const struct session *old, struct session_held held, uint64_t after)
{
    return after == old->kept || (after + 1 >= held.first && held.last >= old->kept);
}

void session_resume(struct session *fresh, struct session *old, struct session_held held, const struct session_rules *r,
                    uint64_t now, struct session_fxs *mine, struct session_fxs *theirs)
{
    uint64_t seq = fresh->wanted_seq;
    mine->n = theirs->n = 0;
    CHECK_ID(fresh->state == SESSION_TAKING && session_told(old), fresh->key);
    if (old->user != fresh->user) {
        (void)invalid(fresh, r, now, mine);
    } else if (seq > old->kept) {
        (void)close_with(fresh, CLOSE_INVALID_SEQ, r, now, mine);
    } else if (!can_replay(old, held, seq)) {
        (void)invalid(fresh, r, now, mine);
        if (old->state == SESSION_DETACHED)
            (void)end(old, theirs); // nobody else can take it up
    } else {
        if (old->state == SESSION_LIVE)
            close_line(old, CLOSE_UNKNOWN_ERROR, theirs);
        old->line = fresh->line;
        old->state = SESSION_LIVE;
        emit(theirs, SESSION_FX_REPLAY)->seq = seq;
        (void)end(fresh, mine);
    }
    CHECK_ID(session_valid(fresh), fresh->key);
    CHECK_ID(session_valid(old), old->key);
}

// --- questions ---

uint64_t session_dispatch(struct session *s)
{
    CHECK_ID(session_told(s), s->key);
    return ++s->seq;
}

bool session_keep(struct session *s, uint64_t number)
{
    CHECK_ID(session_told(s) && number >= s->kept && number <= s->seq, s->key);
    s->kept = number;
    return s->state == SESSION_LIVE;
}

bool session_told(const struct session *s)
{
    return s->state == SESSION_LIVE || s->state == SESSION_DETACHED;
}

bool session_waits(const struct session *s)
{
    return s->state == SESSION_TAKING;
}

bool session_wants(const struct session *s, uint64_t intents)
{
    return !s->bot || !intents || (s->intents & intents);
}

bool session_sees_guild(const struct session *s, uint64_t guild)
{
    return (guild >> 22) % s->shards == s->shard;
}

bool session_sees_private(const struct session *s)
{
    return s->shard == 0;
}

bool session_too_many(bool bot, uint32_t guilds)
{
    return bot && guilds > SESSION_GUILDS_MAX;
}

uint32_t session_large(const struct session *s)
{
    return s->bot && s->large ? s->large : SESSION_LARGE_MAX;
}

uint64_t session_deadline(const struct session *s)
{
    switch (s->state) {
    case SESSION_HELLO:
        return s->line.identify_by < s->line.beat_by ? s->line.identify_by : s->line.beat_by;
    case SESSION_LOADING:
    case SESSION_TAKING:
    case SESSION_LIVE:
        return s->line.beat_by;
    case SESSION_DETACHED:
        return s->expires_at;
    case SESSION_GONE:
    case SESSION_STATES:
        break;
    }
    return 0;
}

bool session_valid(const struct session *s)
{
    bool attached = s->state <= SESSION_LIVE;
    if (s->state >= SESSION_STATES || attached != (s->line.conn != 0) || strlen(s->id) != 32)
        return false;
    if (s->state != SESSION_GONE && (s->user == 0) != (s->state == SESSION_HELLO))
        return false;
    if (s->shards == 0 || s->shard >= s->shards)
        return false;
    if (session_told(s) && (s->kept == 0 || s->kept > s->seq))
        return false;
    if (s->n_voice > SESSION_VOICE_MAX + 1 || (s->voice_sent && s->n_voice == 0) || (s->n_voice && !s->voice))
        return false;
    return s->n_voice - (s->voice_sent ? 1u : 0u) <= SESSION_VOICE_MAX;
}
