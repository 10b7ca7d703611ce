// vsession: see vsession.h.
#include "vsession.h"

#include <string.h>

static const struct close_row {
    uint16_t code;
    bool resumable;
    const char *text;
} closes[] = {
#define VOICE_CLOSE(code, name, resumable, text) {code, resumable, text},
#include "voice_closes.def"
#undef VOICE_CLOSE
};

static const struct close_row *close_row(uint16_t code)
{
    for (size_t i = 0; i < countof(closes); i++)
        if (closes[i].code == code)
            return &closes[i];
    CHECK_ID(false, code);
    return NULL;
}

bool vclose_resumable(uint16_t code)
{
    return close_row(code)->resumable;
}

const char *vclose_text(uint16_t code)
{
    return close_row(code)->text;
}

// --- life ---

static uint64_t beat_by(const struct vsession_rules *r, uint64_t now)
{
    return now + r->heartbeat_ms * VSESSION_BEATS + r->heartbeat_ms / 2;
}

void vsession_init(struct vsession *s, uint64_t id, uint64_t conn, uint32_t v, const struct vsession_rules *r,
                   uint64_t now)
{
    *s = (struct vsession){.id = id, .state = VSESSION_HELLO, .line = {.conn = conn, .v = v}};
    window_init(&s->line.rate, VSESSION_FRAMES, VSESSION_FRAMES_MS, now);
    s->line.beat_by = beat_by(r, now);
    s->line.identify_by = now + r->identify_ms;
}

void vsession_fini(struct vsession *s)
{
    vreplay_clear(&s->replay);
}

int32_t vsession_number(struct vsession *s)
{
    return s->line.v < VOP_VERSION_SEQ ? -1 : ++s->replay.seq;
}

// --- effects ---

static struct vsession_fx *emit(struct vsession_fxs *out, enum vsession_fx_kind kind)
{
    CHECK(out->n < VSESSION_FX_MAX);
    struct vsession_fx *fx = &out->v[out->n++];
    *fx = (struct vsession_fx){.kind = kind};
    return fx;
}

static void close_line(struct vsession *s, uint16_t code, struct vsession_fxs *out)
{
    struct vsession_fx *fx = emit(out, VSESSION_FX_CLOSE);
    fx->conn = s->line.conn;
    fx->code = code;
    s->line.conn = 0;
}

static void end(struct vsession *s, struct vsession_fxs *out)
{
    s->state = VSESSION_GONE;
    s->line.conn = 0;
    emit(out, VSESSION_FX_END);
}

static void quit(struct vsession *s, struct vsession_fxs *out)
{
    s->ssrc = 0;
    vreplay_clear(&s->replay);
    emit(out, VSESSION_FX_QUIT);
}

// Its socket is gone, and may or may not come back.
static void detach(struct vsession *s, bool resumable, const struct vsession_rules *r, uint64_t now,
                   struct vsession_fxs *out)
{
    s->line.conn = 0;
    s->described = s->state == VSESSION_LIVE;
    s->resume_by = now + r->resume_ms;
    s->gone_by = now + r->grace_ms;
    s->state = resumable ? VSESSION_DETACHED : VSESSION_ABSENT;
    if (!resumable)
        quit(s, out);
}

static void close_with(struct vsession *s, uint16_t code, const struct vsession_rules *r, uint64_t now,
                       struct vsession_fxs *out)
{
    bool in_room = vsession_in_room(s);
    close_line(s, code, out);
    if (in_room)
        detach(s, vclose_resumable(code), r, now, out);
    else
        end(s, out);
}

// --- frames ---

static void beat(struct vsession *s, const struct vop *op, const struct vsession_rules *r, uint64_t now,
                 struct vsession_fxs *out)
{
    s->line.beat_by = beat_by(r, now);
    vreplay_acked(&s->replay, op->beat.ack);
    emit(out, VSESSION_FX_ACK)->op = op;
}

static void identify(struct vsession *s, const struct vop *op, const struct vsession_rules *r, uint64_t now,
                     struct vsession_fxs *out)
{
    const struct vc_identify *c = &op->identify;
    if (!c->server_id) {
        close_with(s, VCLOSE_SERVER_NOT_FOUND, r, now, out);
    } else if (!c->user_id || !claim_is_plain(c->token, sizeof s->who.token - 1)) {
        close_with(s, VCLOSE_AUTHENTICATION_FAILED, r, now, out);
    } else if (!claim_is_plain(c->session_id, sizeof s->who.session - 1)) {
        close_with(s, VCLOSE_SESSION_INVALID, r, now, out);
    } else {
        s->state = VSESSION_ADMITTING;
        s->n_streams = c->streams.n;
        for (uint32_t i = 0; i < c->streams.n; i++) {
            CHECK(bytes_copy(s->rids[i], sizeof s->rids[i], c->streams.v[i].rid) == OK);
            s->qualities[i] = (uint32_t)c->streams.v[i].quality;
        }
        emit(out, VSESSION_FX_ADMIT)->op = op;
    }
}

static bool offered(const struct vsession_rules *r, struct bytes name, enum seal_mode *out)
{
    return seal_named(name, out) == OK && (r->modes_old || !seal_old(*out));
}

uint32_t vsession_modes(const struct vsession_rules *r, struct bytes out[SEAL_MODES])
{
    uint32_t n = 0;
    for (int m = 0; m < SEAL_MODES; m++)
        if (r->modes_old || !seal_old((enum seal_mode)m))
            out[n++] = bytes_of(seal_name((enum seal_mode)m));
    return n;
}

// Who has a key may speak, and expects to be heard: so nobody gets one before it is known that he may.
static void describe(struct vsession *s, struct vsession_fxs *out)
{
    if (!s->seated || !s->selected)
        return;
    s->state = VSESSION_LIVE;
    emit(out, VSESSION_FX_DESCRIBE);
}

// Also a second time: whoever wants another mode is given another key with it.
static void select_protocol(struct vsession *s, const struct vop *op, const struct vsession_rules *r, uint64_t now,
                            struct vsession_fxs *out)
{
    enum seal_mode m;
    if (!op->select.udp) {
        close_with(s, VCLOSE_UNKNOWN_PROTOCOL, r, now, out);
    } else if (!offered(r, op->select.mode, &m)) {
        close_with(s, VCLOSE_UNKNOWN_MODE, r, now, out);
    } else {
        s->selected = true;
        s->mode = m;
        s->codecs = op->select.codecs;
        describe(s, out);
    }
}

static void op_hello(struct vsession *s, const struct vop *op, const struct vsession_rules *r, uint64_t now,
                     struct vsession_fxs *out)
{
    switch (op->kind) {
    case VOP_IDENTIFY:
        identify(s, op, r, now, out);
        break;
    case VOP_RESUME:
        emit(out, VSESSION_FX_RESUME)->op = op;
        break;
    case VOP_BEAT:
        beat(s, op, r, now, out);
        break;
    case VOP_BACKEND:
        emit(out, VSESSION_FX_BACKEND);
        break;
    case VOP_BROKEN:
        close_with(s, op->code, r, now, out);
        break;
    case VOP_SELECT:
    case VOP_SPEAK:
    case VOP_VIDEO:
    case VOP_CODECS:
    case VOP_WANTS_OF:
    case VOP_QUIET:
    case VOP_KINDS:
        close_with(s, VCLOSE_NOT_AUTHENTICATED, r, now, out);
        break;
    }
}

// Some clients do not wait for Ready and say at once that they send no video.
static void op_admitting(struct vsession *s, const struct vop *op, const struct vsession_rules *r, uint64_t now,
                         struct vsession_fxs *out)
{
    switch (op->kind) {
    case VOP_IDENTIFY:
    case VOP_RESUME:
        close_with(s, VCLOSE_ALREADY_AUTHENTICATED, r, now, out);
        break;
    case VOP_BEAT:
        beat(s, op, r, now, out);
        break;
    case VOP_BACKEND:
        emit(out, VSESSION_FX_BACKEND);
        break;
    case VOP_BROKEN:
        close_with(s, op->code, r, now, out);
        break;
    case VOP_SELECT: // nobody can know the modes yet
        close_with(s, VCLOSE_NOT_AUTHENTICATED, r, now, out);
        break;
    case VOP_SPEAK:
    case VOP_VIDEO:
    case VOP_CODECS:
    case VOP_WANTS_OF:
    case VOP_QUIET:
    case VOP_KINDS:
        break;
    }
}

static void op_in_room(struct vsession *s, const struct vop *op, const struct vsession_rules *r, uint64_t now,
                       struct vsession_fxs *out)
{
    switch (op->kind) {
    case VOP_IDENTIFY:
    case VOP_RESUME:
        close_with(s, VCLOSE_ALREADY_AUTHENTICATED, r, now, out);
        break;
    case VOP_SELECT:
        select_protocol(s, op, r, now, out);
        break;
    case VOP_BEAT:
        beat(s, op, r, now, out);
        break;
    case VOP_BACKEND:
        emit(out, VSESSION_FX_BACKEND);
        break;
    case VOP_SPEAK:
        emit(out, VSESSION_FX_SPEAK)->op = op;
        break;
    case VOP_VIDEO:
        emit(out, VSESSION_FX_VIDEO)->op = op;
        break;
    case VOP_CODECS:
        emit(out, VSESSION_FX_CODECS)->op = op;
        break;
    case VOP_WANTS_OF:
        emit(out, VSESSION_FX_WANTS)->op = op;
        break;
    case VOP_BROKEN:
        close_with(s, op->code, r, now, out);
        break;
    case VOP_QUIET:
    case VOP_KINDS:
        break;
    }
}

// Nothing is wrong with it; it does not know yet, or is about to go.
static void op_leaving(struct vsession *s, const struct vop *op, const struct vsession_rules *r, uint64_t now,
                       struct vsession_fxs *out)
{
    if (op->kind == VOP_BEAT)
        beat(s, op, r, now, out);
    else if (op->kind == VOP_BACKEND)
        emit(out, VSESSION_FX_BACKEND);
    else if (op->kind == VOP_BROKEN)
        close_with(s, op->code, r, now, out);
}

static void take_op(struct vsession *s, const struct vsession_in *in, const struct vsession_rules *r, uint64_t now,
                    struct vsession_fxs *out)
{
    if (!s->line.conn) // what came in one go with what closed it
        return;
    if (!window_take(&s->line.rate, now)) {
        close_with(s, VCLOSE_RATE_LIMITED, r, now, out);
        return;
    }
    if (in->kind == VSESSION_IN_TOO_LARGE) {
        close_with(s, VCLOSE_DECODE_ERROR, r, now, out);
        return;
    }
    switch (s->state) {
    case VSESSION_HELLO:
        op_hello(s, in->op, r, now, out);
        break;
    case VSESSION_ADMITTING:
        op_admitting(s, in->op, r, now, out);
        break;
    case VSESSION_READY:
    case VSESSION_LIVE:
        op_in_room(s, in->op, r, now, out);
        break;
    case VSESSION_LEAVING:
        op_leaving(s, in->op, r, now, out);
        break;
    case VSESSION_DETACHED:
    case VSESSION_ABSENT:
    case VSESSION_GONE:
    case VSESSION_STATES:
        break;
    }
}

// --- other inputs ---

static void admitted(struct vsession *s, const struct vsession_in *in, const struct vsession_rules *r, uint64_t now,
                     struct vsession_fxs *out)
{
    if (s->state != VSESSION_ADMITTING)
        return;
    if (in->code != OK) {
        close_with(s, (uint16_t)in->code, r, now, out);
    } else if (!in->ssrc) {
        close_with(s, VCLOSE_RATE_LIMITED, r, now, out); // full: who comes again at once is of no use to anybody
    } else {
        s->state = VSESSION_READY;
        s->who = *in->who;
        s->ssrc = in->ssrc;
        emit(out, VSESSION_FX_READY);
        emit(out, VSESSION_FX_WATCH);
    }
}

static void seat_lost(struct vsession *s, uint16_t code, uint64_t now, struct vsession_fxs *out)
{
    quit(s, out);
    if (s->state == VSESSION_DETACHED) {
        end(s, out);
        return;
    }
    s->state = VSESSION_LEAVING;
    s->leave_code = code;
    s->leave_by = now + VSESSION_LEAVE_MS;
}

static void take_seat(struct vsession *s, const struct vsession_in *in, uint64_t now, struct vsession_fxs *out)
{
    bool here = in->seat->state == SEAT_HERE;
    uint16_t code = in->seat->state == SEAT_OVER ? VCLOSE_CALL_TERMINATED : VCLOSE_DISCONNECTED;
    if (vsession_in_room(s) && here) {
        bool first = !s->seated;
        emit(out, VSESSION_FX_SEAT)->seat = in->seat;
        s->seated = true;
        if (first && s->state == VSESSION_READY)
            describe(s, out);
    } else if (vsession_in_room(s)) {
        seat_lost(s, code, now, out);
    }
    if (s->state == VSESSION_ABSENT && !here)
        end(s, out);
}

static void replaced(struct vsession *s, uint16_t code, struct vsession_fxs *out)
{
    if (!vsession_known(s))
        return;
    if (s->line.conn)
        close_line(s, s->state == VSESSION_LEAVING ? s->leave_code : code, out);
    if (vsession_in_room(s))
        quit(s, out);
    end(s, out);
}

// Codes with which a client says that it does not come back: the last is what discord.py closes with when it is sent to
// another server.
static bool for_good(int code)
{
    return code == 1000 || code == 1001 || code == VCLOSE_DISCONNECTED;
}

static void lost(struct vsession *s, int code, const struct vsession_rules *r, uint64_t now, struct vsession_fxs *out)
{
    if (!s->line.conn)
        return;
    if (vsession_in_room(s))
        detach(s, !for_good(code), r, now, out);
    else
        end(s, out);
}

static void tick(struct vsession *s, const struct vsession_rules *r, uint64_t now, struct vsession_fxs *out)
{
    if (s->state == VSESSION_GONE || now < vsession_deadline(s))
        return;
    if (s->state == VSESSION_LEAVING) {
        close_with(s, s->leave_code, r, now, out);
    } else if (s->line.conn) {
        close_with(s, VCLOSE_SESSION_TIMED_OUT, r, now, out);
    } else {
        if (s->state == VSESSION_DETACHED)
            quit(s, out);
        s->state = VSESSION_ABSENT;
        if (now < s->gone_by)
            return;
        emit(out, VSESSION_FX_ABSENT);
        end(s, out);
    }
}

// Who still has his seat here is told what makes every library come back by itself.
static void stop(struct vsession *s, struct vsession_fxs *out)
{
    if (s->state == VSESSION_GONE)
        return;
    if (s->line.conn)
        close_line(s, s->state == VSESSION_LEAVING ? s->leave_code : VCLOSE_SERVER_CRASHED, out);
    if (vsession_in_room(s))
        quit(s, out);
    end(s, out);
}

void vsession_step(struct vsession *s, const struct vsession_in *in, const struct vsession_rules *r, uint64_t now,
                   struct vsession_fxs *out)
{
    out->n = 0;
    switch (in->kind) {
    case VSESSION_IN_OP:
    case VSESSION_IN_TOO_LARGE:
        take_op(s, in, r, now, out);
        break;
    case VSESSION_IN_ADMITTED:
        admitted(s, in, r, now, out);
        break;
    case VSESSION_IN_SEAT:
        take_seat(s, in, now, out);
        break;
    case VSESSION_IN_REPLACED:
        replaced(s, (uint16_t)in->code, out);
        break;
    case VSESSION_IN_LOST:
        lost(s, in->code, r, now, out);
        break;
    case VSESSION_IN_SLOW:
        if (s->line.conn)
            close_with(s, VCLOSE_SERVER_CRASHED, r, now, out);
        break;
    case VSESSION_IN_TICK:
        tick(s, r, now, out);
        break;
    case VSESSION_IN_STOP:
        stop(s, out);
        break;
    case VSESSION_IN_KINDS:
        break;
    }
    CHECK_ID(vsession_valid(s), s->id);
}

// --- resume ---

static bool means(const struct vsession *old, const struct vop_resume *op, uint32_t v)
{
    return old->who.server == op->c.server_id && bytes_is(op->c.session_id, old->who.session) &&
           (v < VOP_VERSION_MAX || !op->c.channel_id || old->who.channel == op->c.channel_id) &&
           same_token(bytes_of(old->who.token), op->c.token);
}

void vsession_resume(struct vsession *fresh, struct vsession *old, const struct vop_resume *op,
                     const struct vsession_rules *r, uint64_t now, struct vsession_fxs *mine,
                     struct vsession_fxs *theirs)
{
    uint32_t skip;
    mine->n = theirs->n = 0;
    CHECK_ID(fresh->state == VSESSION_HELLO, fresh->id);
    if (!old || !vsession_in_room(old) || !means(old, op, fresh->line.v) ||
        vreplay_have(&old->replay, op->ack, &skip) != OK) {
        close_with(fresh, VCLOSE_SESSION_INVALID, r, now, mine);
        return;
    }
    if (old->line.conn)
        close_line(old, VCLOSE_SESSION_INVALID, theirs);
    if (old->state == VSESSION_DETACHED)
        old->state = old->described ? VSESSION_LIVE : VSESSION_READY;
    if (fresh->line.v < VOP_VERSION_SEQ)
        skip = old->replay.n;
    old->line = fresh->line;
    fresh->line.conn = 0;
    end(fresh, mine);
    emit(theirs, VSESSION_FX_RESUMED)->skip = skip;
    if (old->state == VSESSION_READY)
        describe(old, theirs); // its seat may have been seen meanwhile
    CHECK_ID(vsession_valid(old), old->id);
}

// --- facts ---

bool vsession_in_room(const struct vsession *s)
{
    return s->state == VSESSION_READY || s->state == VSESSION_LIVE || s->state == VSESSION_DETACHED;
}

bool vsession_known(const struct vsession *s)
{
    return vsession_in_room(s) || s->state == VSESSION_ABSENT || s->state == VSESSION_LEAVING;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t vsession_deadline(const struct vsession *s)
{
    switch (s->state) {
    case VSESSION_HELLO:
    case VSESSION_ADMITTING:
        return sooner(s->line.beat_by, s->line.identify_by);
    case VSESSION_READY:
    case VSESSION_LIVE:
        return s->line.beat_by;
    case VSESSION_DETACHED:
        return sooner(s->resume_by, s->gone_by);
    case VSESSION_ABSENT:
        return s->gone_by;
    case VSESSION_LEAVING:
        return s->leave_by;
    case VSESSION_GONE:
    case VSESSION_STATES:
        break;
    }
    return UINT64_MAX;
}

bool vsession_valid(const struct vsession *s)
{
    bool attached = s->state != VSESSION_DETACHED && s->state != VSESSION_ABSENT && s->state != VSESSION_GONE;
    if (s->state >= VSESSION_STATES || attached != (s->line.conn != 0))
        return false;
    if (vsession_in_room(s) != (s->ssrc != 0) || (vsession_known(s) && !s->who.user))
        return false;
    if (s->n_streams > VOP_STREAMS || (s->replay.n && !vsession_in_room(s)))
        return false;
    return vreplay_valid(&s->replay);
}
