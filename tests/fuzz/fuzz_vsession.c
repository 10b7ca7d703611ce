// Voice sessions and the room that they are in: frames opcode by opcode, and everything else that can happen to a
// session, in any order, to a few at once. The target stands where the shell does (voice_io.c), and plays their clients
// too.
// - After each input every session is valid, and so is the room.
// - A socket is closed at most once and not spoken to afterwards; a session ends once. Who is let in is followed from
// then
//   on, and is in the room exactly while it may be heard; who ends is in no room.
// - Nobody is given a key before his seat was seen, or told of anybody else before that.
// - Numbers come without a gap, across resumes too: what a client that resumes is sent begins behind what it has, or it
//   is refused.
// - Nobody is told that he speaks who may not.
#include "fuzz.h"
#include "vroom.h"
#include "vsession.h"

#include <stdio.h>

#define SLOTS 4u

static const struct vsession_rules rules = {
    .heartbeat_ms = 10000, .identify_ms = 20000, .resume_ms = 30000, .grace_ms = 60000, .modes_old = true};

struct slot {
    bool used, inside, watched, keyed, seated, speaks;
    struct vsession s;
    uint32_t v;
    uint16_t client_seq; // the last number that its client got
    bool client_any;
};
struct run {
    struct feed in;
    struct arena arena;
    struct vroom room;
    struct slot slots[SLOTS];
    uint64_t now, conns, ids;
    char closed[4096]; // by socket
};

static struct slot *slot_of(struct run *r, uint64_t id)
{
    for (uint32_t i = 0; i < SLOTS; i++)
        if (r->slots[i].used && r->slots[i].s.id == id)
            return &r->slots[i];
    return NULL;
}

// --- what a client is told ---

static void say(struct run *r, struct slot *t, uint8_t op, struct bytes d)
{
    struct buf text = {0};
    int32_t number = vop_numbered(op) ? vsession_number(&t->s) : -1;
    vop_frame(&text, op, d, number);
    if (number >= 0)
        vreplay_keep(&t->s.replay, buf_bytes(&text));
    buf_fini(&text);
    if (!t->s.line.conn)
        return;
    CHECK(!r->closed[t->s.line.conn % sizeof r->closed]);
    if (number < 0)
        return;
    CHECK((uint16_t)number == (uint16_t)(t->client_seq + 1));
    t->client_seq = (uint16_t)number;
    t->client_any = true;
}

static void hand_out(struct run *r, struct vtells *tells)
{
    for (uint32_t i = 0; i < tells->n; i++) {
        struct slot *t = slot_of(r, tells->v[i].session);
        CHECK(t && t->inside);
        CHECK(t->seated || tells->v[i].op == SAY_CODECS);
        say(r, t, tells->v[i].op, tells->v[i].d);
    }
    // Of who may not speak no more than that is told.
    for (uint32_t i = 0; i < tells->n; i++)
        if (tells->v[i].op == SAY_SPEAKING)
            for (uint32_t j = 0; j < SLOTS; j++) {
                const struct slot *t = &r->slots[j];
                char who[64];
                int n = snprintf(who, sizeof who, "\"ssrc\":%u,\"speaking\":", t->s.ssrc);
                const char *at = strstr(arena_text(&r->arena, tells->v[i].d), who);
                CHECK(!t->used || !t->inside || t->speaks || !at || at[n] == '0');
            }
    vtells_fini(tells);
}

// --- performing ---

static void forget(struct slot *t)
{
    CHECK(!t->inside);
    vsession_fini(&t->s);
    *t = (struct slot){0};
}

static void describe(struct run *r, struct slot *t, struct vtells *tells)
{
    CHECK(t->seated && t->inside);
    t->keyed = true;
    (void)vroom_codecs(&r->room, t->s.id, &t->s.codecs, true, tells);
    say(r, t, SAY_DESCRIPTION, BYTES("{}"));
}

static void quit(struct run *r, struct slot *t, struct vtells *tells)
{
    CHECK(t->inside);
    t->inside = false;
    vroom_leave(&r->room, t->s.id, tells);
}

static void take_seat(struct run *r, struct slot *t, const struct seat *seat, struct vtells *tells)
{
    t->seated = true;
    t->speaks = seat->speaks;
    vroom_seat(&r->room, t->s.id, seat, tells);
}

static void come_in(struct run *r, struct slot *t)
{
    CHECK(!t->inside);
    t->inside = true;
    vroom_join(&r->room, t->s.id, t->s.who.user, t->s.ssrc);
    say(r, t, SAY_READY, BYTES("{}"));
}

static void send_again(struct run *r, struct slot *t, uint32_t skip)
{
    const struct vkept *k = t->s.replay.first;
    say(r, t, SAY_RESUMED, BYTES_NONE);
    for (uint32_t i = 0; i < t->s.replay.n; i++, k = k->next)
        if (i >= skip) {
            if (t->client_any)
                CHECK((uint16_t)(k->seq - t->client_seq) == 1);
            t->client_seq = k->seq;
            t->client_any = true;
        }
}

static void close_socket(struct run *r, uint64_t conn)
{
    CHECK(conn && !r->closed[conn % sizeof r->closed]);
    r->closed[conn % sizeof r->closed] = 1;
}

static void perform(struct run *r, struct slot *t, const struct vsession_fxs *fxs)
{
    for (uint32_t i = 0; i < fxs->n; i++) {
        const struct vsession_fx *fx = &fxs->v[i];
        struct vtells tells = {.arena = &r->arena};
        CHECK(t->used);
        switch (fx->kind) {
        case VSESSION_FX_ACK:
            say(r, t, SAY_ACK, BYTES_NONE);
            break;
        case VSESSION_FX_BACKEND:
            say(r, t, SAY_BACKEND, BYTES_NONE);
            break;
        case VSESSION_FX_CLOSE:
            close_socket(r, fx->conn);
            CHECK(vclose_text(fx->code) != NULL);
            break;
        case VSESSION_FX_ADMIT:
        case VSESSION_FX_RESUME: // see resume
            break;
        case VSESSION_FX_READY:
            come_in(r, t);
            break;
        case VSESSION_FX_WATCH:
            CHECK(!t->watched);
            t->watched = true;
            break;
        case VSESSION_FX_DESCRIBE:
            describe(r, t, &tells);
            break;
        case VSESSION_FX_SPEAK:
            vroom_speak(&r->room, t->s.id, fx->op->speaking, &tells);
            break;
        case VSESSION_FX_VIDEO:
            CHECK(vroom_video(&r->room, t->s.id, &fx->op->video, &tells) < 1u << VOP_STREAMS);
            break;
        case VSESSION_FX_CODECS:
            (void)vroom_codecs(&r->room, t->s.id, &fx->op->codecs, false, &tells);
            break;
        case VSESSION_FX_WANTS:
            vroom_wants(&r->room, t->s.id, &fx->op->wants, &tells);
            break;
        case VSESSION_FX_SEAT:
            take_seat(r, t, fx->seat, &tells);
            break;
        case VSESSION_FX_QUIT:
            quit(r, t, &tells);
            break;
        case VSESSION_FX_RESUMED:
            send_again(r, t, fx->skip);
            break;
        case VSESSION_FX_ABSENT:
            CHECK(t->watched);
            break;
        case VSESSION_FX_END:
            CHECK(i + 1 == fxs->n);
            forget(t);
            break;
        }
        hand_out(r, &tells);
    }
}

static void step(struct run *r, struct slot *t, const struct vsession_in *in)
{
    struct vsession_fxs fxs;
    vsession_step(&t->s, in, &rules, r->now, &fxs);
    perform(r, t, &fxs);
}

// --- inputs ---

static void resume(struct run *r, struct slot *t, const struct vop *op)
{
    struct slot *old = NULL;
    struct vsession_fxs mine, theirs;
    uint32_t v = t->s.line.v;
    for (uint32_t i = 0; i < SLOTS; i++)
        if (&r->slots[i] != t && r->slots[i].used && vsession_known(&r->slots[i].s))
            old = &r->slots[i];
    if (t->s.state != VSESSION_HELLO)
        return;
    vsession_resume(&t->s, old ? &old->s : NULL, &op->resume, &rules, r->now, &mine, &theirs);
    bool resumed = theirs.n > 0;
    if (resumed) { // its client says what it has, or less, or nonsense; a version without numbers lacks what it missed
        uint16_t ack = op->resume.ack < 0 ? 0 : (uint16_t)op->resume.ack;
        old->client_any =
            op->resume.ack >= 0 && v >= VOP_VERSION_SEQ && (uint16_t)(old->s.replay.seq - ack) <= old->s.replay.n;
        old->client_seq = v < VOP_VERSION_SEQ || old->s.replay.n == 0 ? old->s.replay.seq : ack;
    }
    perform(r, t, &mine);
    if (!resumed)
        return;
    perform(r, old, &theirs);
    if (old->s.line.v >= VOP_VERSION_SEQ)
        CHECK(old->s.replay.n == 0 || old->client_seq == old->s.replay.seq);
    old->client_seq = old->s.replay.seq;
}

static const char *const payloads[] = {
    "0,\"d\":{\"server_id\":1,\"user_id\":3,\"session_id\":\"abcd\",\"token\":\"0011\",\"streams\":[{\"rid\":\"1\"}]}",
    "7,\"d\":{\"server_id\":1,\"session_id\":\"abcd\",\"token\":\"0011\",\"seq_ack\":-1}",
    "1,\"d\":{\"protocol\":\"udp\",\"mode\":\"xsalsa20_poly1305\",\"codecs\":[{\"name\":\"AV1\",\"type\":\"video\"}]}",
    "1,\"d\":{\"protocol\":\"udp\",\"mode\":\"xsalsa20_poly1305_lite\"}",
    "5,\"d\":{\"speaking\":7}",
    "5,\"d\":{\"speaking\":0}",
    "12,\"d\":{\"video_ssrc\":1,\"streams\":[{\"active\":true},{\"active\":true,\"ssrc\":103}]}",
    "12,\"d\":{}",
    "14,\"d\":{\"codecs\":[{\"name\":\"VP9\",\"type\":\"video\"}]}",
    "15,\"d\":{\"any\":10,\"101\":50,\"201\":7}",
    "16",
    "40",
    "41",
};

static void any_frame(struct feed *in, struct buf *text)
{
    uint8_t op = feed_u8(in);
    struct bytes d = feed_bytes(in, 200);
    buf_printf(text, "{\"op\":%u,\"d\":", op);
    buf_add(text, d.p, d.n);
    buf_char(text, '}');
}

static void frame(struct run *r, struct slot *t)
{
    struct buf text = {0};
    struct vop op;
    uint32_t which = feed_below(&r->in, countof(payloads) + 3);
    if (which < countof(payloads))
        buf_printf(&text, "{\"op\":%s}", payloads[which]);
    else if (which == countof(payloads))
        buf_printf(&text, "{\"op\":3,\"d\":{\"t\":1,\"seq_ack\":%d}}", (int)feed_u8(&r->in) - 1);
    else if (which == countof(payloads) + 1)
        buf_printf(&text,
                   "{\"op\":7,\"d\":{\"server_id\":1,\"session_id\":\"abcd\",\"token\":\"0011\",\"seq_ack\":%d}}",
                   (int)feed_u8(&r->in) - 1);
    else
        any_frame(&r->in, &text);
    vop_read(&r->arena, buf_bytes(&text), false, &op);
    if (op.kind == VOP_RESUME && t->s.state == VSESSION_HELLO)
        resume(r, t, &op);
    else if (t->s.line.conn)
        step(r, t, &(struct vsession_in){.kind = VSESSION_IN_OP, .op = &op});
    vop_done(&op);
    buf_fini(&text);
}

static void admitted(struct run *r, struct slot *t)
{
    static const int codes[] = {OK, OK, OK, 4004, 4006};
    struct admitted who = {.server = 1, .channel = 2, .user = 3, .session = "abcd", .token = "0011"};
    struct vsession_in in = {
        .kind = VSESSION_IN_ADMITTED, .code = codes[feed_below(&r->in, countof(codes))], .who = &who};
    who.user += t->s.id; // each somebody of his own, all with one session: a resume may find any
    in.ssrc = feed_u8(&r->in) == 7 ? 0 : (uint32_t)(100 * t->s.id); // 0: the node is full
    step(r, t, &in);
}

static void seat(struct run *r, struct slot *t)
{
    uint8_t bits = feed_u8(&r->in);
    const struct seat seat = {
        .state = bits >= 250   ? SEAT_OVER
                 : bits >= 240 ? SEAT_LEFT
                               : SEAT_HERE,
        .speaks = bits & 1,
        .hears = bits & 2,
        .video = bits & 4,
        .priority = bits & 8,
        .flags = bits >> 4 & 3,
    };
    if (t->watched)
        step(r, t, &(struct vsession_in){.kind = VSESSION_IN_SEAT, .seat = &seat});
}

static void lost(struct run *r, struct slot *t)
{
    static const int codes[] = {1000, 1001, 1005, 1006, 4000, 4014};
    int code = codes[feed_below(&r->in, countof(codes))];
    uint64_t conn = t->s.line.conn;
    if (!conn)
        return;
    step(r, t, &(struct vsession_in){.kind = VSESSION_IN_LOST, .code = code});
    close_socket(r, conn);
}

static void open_socket(struct run *r, struct slot *t)
{
    *t = (struct slot){.used = true, .v = VOP_VERSION_MIN + feed_below(&r->in, 6)};
    vsession_init(&t->s, ++r->ids, ++r->conns, t->v, &rules, r->now);
}

static void one(struct run *r)
{
    struct slot *t = &r->slots[feed_below(&r->in, SLOTS)];
    if (!t->used) {
        open_socket(r, t);
        return;
    }
    switch (feed_below(&r->in, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        frame(r, t);
        break;
    case 4:
        admitted(r, t);
        break;
    case 5:
    case 6:
        seat(r, t);
        break;
    case 7:
        lost(r, t);
        break;
    case 8:
        r->now += 1000u * feed_u8(&r->in);
        step(r, t, &(struct vsession_in){.kind = VSESSION_IN_TICK});
        break;
    case 9:
        step(r, t, &(struct vsession_in){.kind = VSESSION_IN_REPLACED, .code = feed_flag(&r->in) ? 4006 : 4014});
        break;
    case 10:
        step(r, t, &(struct vsession_in){.kind = feed_flag(&r->in) ? VSESSION_IN_SLOW : VSESSION_IN_TOO_LARGE});
        break;
    case 11:
        if (feed_u8(&r->in) == 0)
            step(r, t, &(struct vsession_in){.kind = VSESSION_IN_STOP});
        break;
    }
}

static void check(struct run *r)
{
    uint32_t inside = 0;
    CHECK(vroom_valid(&r->room));
    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct slot *t = &r->slots[i];
        if (!t->used)
            continue;
        CHECK(vsession_valid(&t->s) && t->s.state != VSESSION_GONE);
        CHECK(t->inside == vsession_in_room(&t->s) && t->watched == vsession_known(&t->s));
        CHECK(!t->keyed || t->seated);
        inside += t->inside;
    }
    CHECK(inside == r->room.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r = {.in = {data, size}, .now = 1000000};
    while (r.in.n > 0 && r.conns < sizeof r.closed - 1) {
        one(&r);
        check(&r);
        arena_reset(&r.arena);
    }
    for (uint32_t i = 0; i < SLOTS; i++)
        if (r.slots[i].used)
            step(&r, &r.slots[i], &(struct vsession_in){.kind = VSESSION_IN_STOP});
    vroom_fini(&r.room);
    arena_fini(&r.arena);
    return 0;
}
