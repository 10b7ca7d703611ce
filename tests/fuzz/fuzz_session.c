// A gateway's sessions: frames as clients send them, opcode by opcode, and everything else that can happen to a
// session, in any order, to a few sessions at once. The target stands where the shells do (conn.c, session_io.c,
// ledger_io.c).
// - After each input every session is valid; a refused input changed nothing and said nothing.
// - A socket is closed at most once and not spoken to afterwards; a session ends once, and then says nothing more.
// - A dispatch is sent once the store has it, in order and without a gap; a resume gives exactly what is missing, and
//   the store has all of that, also when it has lost its last moments, and when the session is revived elsewhere or,
//   set aside because too much waited for the store, here. Of what is set aside nothing waits and nothing is written.
// - A session of which the store says nonsense is refused, not revived.
#include "fuzz.h"
#include "ledger.h"
#include "session.h"

#include <stdio.h>

#define SLOTS 4u
#define HELD_EVENTS 6u // of one session in the store

static const struct session_rules rules = {.heartbeat_ms = 40000, .resume_window_ms = 120000};

struct slot {
    bool used;
    struct session s;
    struct ledger ledger; // used from READY on
    bool kept;            // it is
    uint64_t sent;        // the last dispatch that its client got
    // What the store has of it. Of an event's text its number is enough.
    bool stored;
    struct session_held held;
    uint64_t turn;  // of the last write
    uint64_t first; // of the write under way
};
struct run {
    struct feed in;
    struct arena arena;
    struct slot slots[SLOTS];
    uint64_t now, conns;
    char closed[256]; // by connection
};

// --- what a session was before a step ---

struct image {
    struct session s;
    struct voice_item voice[SESSION_VOICE_MAX + 1];
};

static void take_image(struct image *i, const struct session *s)
{
    memcpy(&i->s, s, sizeof *s);
    if (s->n_voice)
        memcpy(i->voice, s->voice, s->n_voice * sizeof *s->voice);
}

static bool is_image(const struct image *i, const struct session *s)
{
    return memcmp(&i->s, s, sizeof *s) == 0 &&
           (!s->n_voice || memcmp(i->voice, s->voice, s->n_voice * sizeof *s->voice) == 0);
}

// --- the shell ---

static void open_slot(struct run *r, struct slot *l)
{
    char id[33];
    snprintf(id, sizeof id, "%016x%016x", (unsigned)(l - r->slots) + 1, 7u);
    if (r->conns + 1 == sizeof r->closed)
        return;
    *l = (struct slot){.used = true};
    session_init(&l->s, id, ++r->conns, 9, &rules, r->now);
    CHECK(session_valid(&l->s));
}

static void close_slot(struct slot *l)
{
    session_fini(&l->s);
    if (l->kept)
        ledger_fini(&l->ledger);
    *l = (struct slot){0};
}

static bool of_number(const struct dispatch *d, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "\"d\":%llu}", (unsigned long long)number);
    size_t n = strlen(text);
    return d->n >= n && memcmp(d->p + d->n - n, text, n) == 0;
}

static void resend(struct slot *l, uint64_t after)
{
    CHECK(l->s.state == SESSION_LIVE && after <= l->s.kept);
    CHECK(after == l->s.kept || (after + 1 >= l->held.first && l->s.kept <= l->held.last));
    l->sent = l->s.kept;
}

static void set_aside(struct slot *l)
{
    ledger_set_aside(&l->ledger);
    CHECK(l->ledger.pending.n == 0 && l->ledger.pending.bytes == 0 && l->ledger.touched.n == 0);
    CHECK(!ledger_begin(&l->ledger));
}

static void speak(struct run *r, uint64_t conn)
{
    CHECK(conn != 0 && conn < sizeof r->closed && !r->closed[conn]);
}

static void perform(struct run *r, struct slot *l, const struct session_fxs *fxs)
{
    CHECK(fxs->n <= SESSION_FX_MAX);
    for (uint32_t i = 0; i < fxs->n; i++) {
        const struct session_fx *fx = &fxs->v[i];
        switch (fx->kind) {
        case SESSION_FX_ACK:
        case SESSION_FX_INVALID:
        case SESSION_FX_RECONNECT:
            speak(r, fx->conn);
            break;
        case SESSION_FX_CLOSE:
            speak(r, fx->conn);
            CHECK(strlen(close_text(fx->code)) > 0);
            r->closed[fx->conn] = true;
            break;
        case SESSION_FX_LOAD:
            CHECK(l->s.state == SESSION_LOADING);
            break;
        case SESSION_FX_TAKE:
            CHECK(session_waits(&l->s) && strlen(l->s.wanted) == 32);
            break;
        case SESSION_FX_READY:
            CHECK(l->s.seq == 1 && !l->kept);
            ledger_init(&l->ledger, 1, l->s.seq + 1, false);
            l->kept = true;
            l->sent = 1;
            break;
        case SESSION_FX_REPLAY:
            resend(l, fx->seq);
            break;
        case SESSION_FX_VOICE:
            CHECK(l->s.voice_sent && l->s.voice[0].n_regions <= SESSION_REGIONS_MAX);
            ledger_ask(&l->ledger);
            break;
        case SESSION_FX_OURS:
            ledger_ask(&l->ledger);
            break;
        case SESSION_FX_ASK:
            CHECK(l->s.state == SESSION_LIVE && fx->op && !fx->op->malformed);
            break;
        case SESSION_FX_CALL:
        case SESSION_FX_UNLISTEN:
            break;
        case SESSION_FX_END:
        case SESSION_FX_DROP:
            CHECK(l->s.state == SESSION_GONE && i + 1 == fxs->n);
            close_slot(l);
            return;
        }
    }
    CHECK(l->s.state != SESSION_GONE);
}

static void step(struct run *r, struct slot *l, const struct session_in *in)
{
    static struct image before; // too large for the stack
    struct session_fxs fx;
    take_image(&before, &l->s);
    uint64_t deadline = session_deadline(&l->s);
    int err = session_step(&l->s, in, &rules, r->now, &fx);
    CHECK(session_valid(&l->s));
    CHECK(err == OK || err == ERR_STATE);
    if (err != OK)
        CHECK(fx.n == 0 && is_image(&before, &l->s));
    if (in->kind == SESSION_IN_TICK && r->now >= deadline)
        CHECK(l->s.line.conn == 0);
    perform(r, l, &fx);
}

// --- what a client says ---

static void frame(struct run *r, struct slot *l, const struct op *op)
{
    struct session_in in = {.op = op, .user = feed_below(&r->in, 3), .issued_ms = feed_u8(&r->in)};
    if (session_waits(&l->s) && op->kind != OP_BEAT)
        return; // held back
    in.full = feed_u8(&r->in) == 1;
    in.away = feed_u8(&r->in) == 1;
    switch (op->kind) {
    case OP_BEAT:
        in.kind = SESSION_IN_BEAT;
        break;
    case OP_IDENTIFY:
        in.kind = SESSION_IN_IDENTIFY;
        break;
    case OP_RESUME:
        in.kind = SESSION_IN_RESUME;
        break;
    case OP_VOICE:
        in.kind = SESSION_IN_VOICE;
        break;
    case OP_CALL:
        in.kind = SESSION_IN_CALL;
        break;
    case OP_PRESENCE:
        in.kind = SESSION_IN_PRESENCE;
        break;
    case OP_MEMBERS:
    case OP_LISTS:
    case OP_INFO:
    case OP_SOUNDS:
    case OP_STREAM:
        in.kind = SESSION_IN_ASK;
        break;
    case OP_QUIET:
    case OP_UNKNOWN:
        in.kind = SESSION_IN_QUIET;
        break;
    case OP_BROKEN:
        CHECK(op->code == 4001 || op->code == 4002);
        in.kind = SESSION_IN_BROKEN;
        in.code = op->code;
        break;
    }
    step(r, l, &in);
}

static void check_op(const struct op *op)
{
    if (op->malformed || op->kind != OP_IDENTIFY)
        return;
    CHECK(op->identify.shards > 0 && op->identify.shard < op->identify.shards && op->identify.shards <= SHARDS_MAX);
}

static void any_frame(struct run *r, struct slot *l)
{
    struct bytes text = feed_bytes(&r->in, 255);
    char *own = feed_own(text);
    struct op op;
    ops_read(&r->arena, (struct bytes){own, text.n}, &op);
    check_op(&op);
    frame(r, l, &op);
    ops_done(&op);
    mem_free(own);
}

// The same from few bytes.
static void good_frame(struct run *r, struct slot *l)
{
    struct op op = {.kind = (enum op_kind)feed_below(&r->in, OP_UNKNOWN + 1), .malformed = feed_u8(&r->in) == 1};
    struct bytes regions[SESSION_REGIONS_MAX];
    const struct session *wanted;
    switch (op.malformed ? OP_UNKNOWN : op.kind) {
    case OP_IDENTIFY:
        op.identify.c.intents = feed_number(&r->in);
        op.identify.c.capabilities = feed_number(&r->in);
        op.identify.has_intents = feed_flag(&r->in);
        op.identify.shards = 1 + feed_below(&r->in, 3);
        op.identify.shard = feed_below(&r->in, op.identify.shards);
        op.identify.shard_ok = feed_u8(&r->in) != 1;
        break;
    case OP_RESUME:
        wanted = &r->slots[feed_below(&r->in, SLOTS)].s;
        op.resume.session_id = bytes_of(wanted->id);
        op.resume.seq = feed_number(&r->in);
        if (op.resume.seq < 16) // what it has been told of, or a little less
            op.resume.seq = wanted->seq - op.resume.seq;
        break;
    case OP_VOICE:
        op.voice.channel_id = feed_number(&r->in);
        op.voice.flags = feed_number(&r->in);
        op.voice.self_mute = feed_flag(&r->in);
        op.voice.preferred_region = feed_bytes(&r->in, 64);
        op.voice.preferred_regions = (struct texts){feed_below(&r->in, SESSION_REGIONS_MAX + 1), regions};
        for (uint32_t i = 0; i < op.voice.preferred_regions.n; i++)
            regions[i] = feed_bytes(&r->in, 64);
        break;
    case OP_CALL:
        op.call.channel_id = feed_number(&r->in);
        break;
    case OP_BEAT:
    case OP_PRESENCE:
    case OP_MEMBERS:
    case OP_LISTS:
    case OP_INFO:
    case OP_SOUNDS:
    case OP_STREAM:
    case OP_QUIET:
    case OP_UNKNOWN:
    case OP_BROKEN:
        break;
    }
    frame(r, l, &op);
}

// --- what happens besides ---

static void other_input(struct run *r, struct slot *l)
{
    static const int errs[] = {OK, ERR_MISSING, ERR_IO};
    static const struct voice_item seat = {.guild = 5, .channel = 7};
    struct session_in in = {.kind = SESSION_IN_BROKEN + feed_below(&r->in, SESSION_IN_KINDS - SESSION_IN_BROKEN)};
    in.code = in.kind == SESSION_IN_BROKEN ? (feed_flag(&r->in) ? 4002 : 4008) : (uint16_t)(995 + feed_u8(&r->in));
    in.err = errs[in.kind == SESSION_IN_TAKEN ? 1 + feed_below(&r->in, 2) : feed_below(&r->in, 3)];
    in.bot = feed_flag(&r->in);
    in.before_ms = feed_number(&r->in);
    in.seat = &seat;
    uint64_t conn = l->s.line.conn;
    if (in.kind == SESSION_IN_LOST && conn)
        r->closed[conn] = true;
    if (in.kind == SESSION_IN_BEHIND && session_told(&l->s))
        set_aside(l);
    step(r, l, &in);
}

static void any_input(struct run *r, struct slot *l) // of a client, also when it should have been held back
{
    struct op op = {.malformed = true};
    struct session_in in = {.kind = feed_below(&r->in, SESSION_IN_BROKEN), .op = &op};
    step(r, l, &in);
}

static void dispatch(struct run *r, struct slot *l)
{
    char body[32];
    (void)r;
    if (!session_told(&l->s) || l->ledger.aside)
        return;
    snprintf(body, sizeof body, "%llu", (unsigned long long)l->s.seq + 1);
    struct bytes name = feed_bytes(&r->in, 100);
    struct dispatch *d = dispatch_new(name.n ? name : BYTES("X"), bytes_of(body));
    uint64_t bytes = l->ledger.pending.bytes;
    CHECK(session_dispatch(&l->s) == l->ledger.pending.next);
    ledger_add(&l->ledger, d);
    CHECK(l->ledger.pending.n == l->s.seq - l->s.kept && l->ledger.pending.bytes == bytes + dispatch_bytes(d).n);
    dispatch_drop(d);
    CHECK(session_valid(&l->s));
}

// --- the store: see common/session_functions.c ---

static uint64_t stored_of(const struct slot *l)
{
    return l->used && l->stored ? l->held.last + 1 - l->held.first : 0;
}

static uint64_t stored_beside(const struct run *r, const struct slot *l)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < SLOTS; i++)
        n += &r->slots[i] == l ? 0 : stored_of(&r->slots[i]);
    return n;
}

static void store_write(struct run *r, struct slot *l)
{
    uint64_t first = l->first, last = l->ledger.last;
    uint64_t most =
        ledger_allowance(HELD_EVENTS, 3ull * HELD_EVENTS, stored_beside(r, l), stored_of(l) + last + 1 - first, SLOTS);
    CHECK(most > 0 && most <= HELD_EVENTS);
    if (l->stored && l->ledger.turn <= l->turn)
        return;
    if (!l->stored || first > l->held.last + 1)
        l->held = (struct session_held){first, first - 1};
    l->held.last = last > l->held.last ? last : l->held.last;
    if (l->held.last + 1 - l->held.first > most)
        l->held.first = l->held.last + 1 - most;
    l->stored = true;
    l->turn = l->ledger.turn;
}

static void store_loses(struct slot *l, uint64_t n)
{
    n = n <= l->held.last + 1 - l->held.first ? n : l->held.last + 1 - l->held.first;
    l->held.last -= n;
}

static void write_ledger(struct run *r, struct slot *l)
{
    if (!session_told(&l->s))
        return;
    if (!l->ledger.writing) {
        if (!l->ledger.aside)
            ledger_touch(&l->ledger, feed_u8(&r->in));
        bool begins = l->ledger.due && !l->ledger.aside;
        CHECK(ledger_begin(&l->ledger) == begins);
        CHECK(!begins || l->ledger.last == l->s.seq);
        l->first = ledger_first(&l->ledger);
        return;
    }
    CHECK(!ledger_begin(&l->ledger));
    uint8_t fate = feed_u8(&r->in);
    if (fate != 1)
        store_write(r, l);
    if (l->ledger.aside) // whatever came of it
        return;
    if (fate == 1 || fate == 2) { // nobody knows which
        ledger_failed(&l->ledger);
        CHECK(l->ledger.due);
        return;
    }
    if (session_keep(&l->s, l->ledger.last)) {
        for (uint64_t seq = ledger_first(&l->ledger); seq <= l->ledger.last; seq++) {
            CHECK(seq == l->sent + 1);
            CHECK(of_number(backlog_get(&l->ledger.pending, seq), seq));
            l->sent = seq;
        }
    }
    bool answered = ledger_written(&l->ledger);
    CHECK(!answered || l->s.voiced);
    CHECK(ledger_first(&l->ledger) == l->s.kept + 1);
}

// --- resume ---

static void same_record(struct arena *a, const struct session *s, const struct session *t)
{
    struct session_rec mine = session_record(s), theirs = session_record(t);
    CHECK(bytes_eq(schema_packed(a, &schema_session_rec, &mine), schema_packed(a, &schema_session_rec, &theirs)));
}

// Another gateway takes it up from the store, or this one anew. What was not kept yet is made again there, from the
// logs.
static void move(struct run *r, struct slot *l)
{
    if (!session_told(&l->s) || !l->stored)
        return;
    struct session_past p = {.id = l->s.id, .rec = session_record(&l->s), .held = l->held};
    struct session s;
    CHECK(session_past_valid(&p) == OK);
    session_revive(&s, &p, &rules, r->now);
    CHECK(session_valid(&s) && s.state == SESSION_DETACHED && s.kept == l->held.last && s.seq == s.kept);
    same_record(&r->arena, &s, &l->s);
    uint64_t conn = l->s.line.conn;
    if (conn)
        r->closed[conn] = true;
    session_fini(&l->s);
    ledger_fini(&l->ledger);
    l->s = s;
    l->turn = 0;
    ledger_init(&l->ledger, 2, s.seq + 1, true);
}

static void take_over(struct run *r, struct slot *fresh)
{
    struct session_fxs mine, theirs;
    if (fresh->s.state != SESSION_TAKING)
        return;
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct slot *old = &r->slots[i];
        if (!old->used || !session_told(&old->s) || !old->stored || strcmp(old->s.id, fresh->s.wanted) != 0)
            continue;
        if (old->ledger.aside)
            move(r, old);
        session_resume(&fresh->s, &old->s, old->held, &rules, r->now, &mine, &theirs);
        CHECK(session_valid(&fresh->s) && session_valid(&old->s));
        perform(r, old, &theirs);
        perform(r, fresh, &mine);
        return;
    }
    step(r, fresh, &(struct session_in){.kind = SESSION_IN_TAKEN, .err = ERR_MISSING});
}

static void nonsense_past(struct run *r)
{
    struct session_past p = {.id = "00000000000000ff0000000000000000"};
    p.held.first = feed_number(&r->in);
    p.held.last = feed_number(&r->in);
    struct bytes rec = feed_bytes(&r->in, 255);
    if (UNPACK(&r->arena, session_rec, rec, &p.rec) != OK)
        p.rec = (struct session_rec){.user = feed_number(&r->in),
                                     .issued_ms = feed_number(&r->in),
                                     .sharded = feed_flag(&r->in),
                                     .shard = feed_number(&r->in),
                                     .shards = feed_number(&r->in)};
    if (session_past_valid(&p) != OK)
        return;
    struct session s;
    session_revive(&s, &p, &rules, r->now);
    CHECK(session_valid(&s));
    CHECK(session_dispatch(&s) == p.held.last + 1);
    CHECK(session_valid(&s));
    CHECK(!session_keep(&s, s.seq));
    session_fini(&s);
}

static void hail(struct run *r)
{
    struct hail h;
    struct bytes query = feed_bytes(&r->in, 255);
    char *own = feed_own(query);
    uint16_t code = ops_hail((struct bytes){own, query.n}, &h);
    CHECK(code ? strlen(close_text(code)) > 0 : h.v == 9 || h.v == 10);
    mem_free(own);
}

static void act(struct run *r)
{
    uint8_t what = feed_u8(&r->in);
    struct slot *l = &r->slots[what >> 4 & (SLOTS - 1)];
    if (!l->used) {
        open_slot(r, l);
        if (!l->used)
            return;
    }
    switch (what & 15) {
    case 0:
        any_frame(r, l);
        break;
    case 1:
    case 2:
        good_frame(r, l);
        break;
    case 3:
    case 4:
        other_input(r, l);
        break;
    case 5:
        any_input(r, l);
        break;
    case 6:
    case 7:
        dispatch(r, l);
        break;
    case 8:
    case 9:
        write_ledger(r, l);
        break;
    case 10:
        take_over(r, l);
        break;
    case 11:
        move(r, l);
        break;
    case 12:
        nonsense_past(r);
        break;
    case 13:
        hail(r);
        break;
    case 14:
        if (l->stored)
            store_loses(l, feed_u8(&r->in));
        break;
    default:
        r->now += (uint64_t)feed_u8(&r->in) * 500;
        step(r, l, &(struct session_in){.kind = SESSION_IN_TICK});
        break;
    }
    arena_reset(&r->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    r = (struct run){.in = {data, size}, .now = 1000};
    for (unsigned n = 0; r.in.n && n < 1000; n++)
        act(&r);
    for (uint32_t i = 0; i < SLOTS; i++)
        if (r.slots[i].used)
            close_slot(&r.slots[i]);
    arena_fini(&r.arena);
    return 0;
}
