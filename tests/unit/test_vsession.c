#include "check.h"
#include "vsession.h"

#define NOW 1000000u
#define CONN 77u

static const struct vsession_rules rules = {
    .heartbeat_ms = 10000, .identify_ms = 20000, .resume_ms = 30000, .grace_ms = 60000, .modes_old = true};
static const struct admitted who = {
    .server = 1, .channel = 2, .user = 3, .session = "abcd", .token = "0011", .guild = true};
static const struct seat here = {.state = SEAT_HERE, .speaks = true, .hears = true};
static struct vsession_fxs fx;
static struct arena arena;

static void step(struct vsession *s, struct vsession_in in, uint64_t now)
{
    vsession_step(s, &in, &rules, now, &fx);
}

static void say_at(struct vsession *s, const char *text, uint64_t now)
{
    struct vop op;
    vop_read(&arena, bytes_of(text), false, &op);
    step(s, (struct vsession_in){.kind = VSESSION_IN_OP, .op = &op}, now);
    vop_done(&op);
}

static void say(struct vsession *s, const char *text)
{
    say_at(s, text, NOW);
}

#define IDENTIFY "{\"op\":0,\"d\":{\"server_id\":\"1\",\"user_id\":\"3\",\"session_id\":\"abcd\",\"token\":\"0011\"}}"
#define RESUME_AT(ack)                                                                                                 \
    "{\"op\":7,\"d\":{\"server_id\":\"1\",\"session_id\":\"abcd\",\"token\":\"0011\",\"seq_ack\":" ack "}}"
#define SELECT "{\"op\":1,\"d\":{\"protocol\":\"udp\",\"data\":{\"mode\":\"xsalsa20_poly1305\"}}}"

// A session in that state, as it comes to it.
static void seated(struct vsession *s, struct seat seat)
{
    step(s, (struct vsession_in){.kind = VSESSION_IN_SEAT, .seat = &seat}, NOW);
}

static struct vsession in_state(enum vsession_state state)
{
    struct vsession s;
    vsession_init(&s, 5, CONN, 8, &rules, NOW);
    if (state == VSESSION_HELLO)
        return s;
    say(&s, IDENTIFY);
    if (state == VSESSION_ADMITTING)
        return s;
    step(&s, (struct vsession_in){.kind = VSESSION_IN_ADMITTED, .who = &who, .ssrc = 9}, NOW);
    seated(&s, here);
    if (state == VSESSION_READY)
        return s;
    say(&s, SELECT);
    if (state == VSESSION_DETACHED)
        step(&s, (struct vsession_in){.kind = VSESSION_IN_LOST, .code = 1006}, NOW);
    else if (state == VSESSION_ABSENT)
        step(&s, (struct vsession_in){.kind = VSESSION_IN_LOST, .code = 1000}, NOW);
    else if (state == VSESSION_LEAVING)
        seated(&s, (struct seat){.state = SEAT_LEFT});
    else if (state == VSESSION_GONE)
        step(&s, (struct vsession_in){.kind = VSESSION_IN_STOP}, NOW);
    CHECK_EQ(s.state, state);
    return s;
}

static bool did(enum vsession_fx_kind kind)
{
    for (uint32_t i = 0; i < fx.n; i++)
        if (fx.v[i].kind == kind)
            return true;
    return false;
}

static uint16_t closed(void)
{
    for (uint32_t i = 0; i < fx.n; i++)
        if (fx.v[i].kind == VSESSION_FX_CLOSE)
            return fx.v[i].code;
    return 0;
}

TEST(a_session_goes_from_hello_to_its_key)
{
    struct vsession s = in_state(VSESSION_HELLO);
    say(&s, IDENTIFY);
    CHECK_EQ(fx.n, 1);
    CHECK_EQ(fx.v[0].kind, VSESSION_FX_ADMIT);
    step(&s, (struct vsession_in){.kind = VSESSION_IN_ADMITTED, .who = &who, .ssrc = 9}, NOW);
    CHECK_EQ(fx.n, 2);
    CHECK_EQ(fx.v[0].kind, VSESSION_FX_READY);
    CHECK_EQ(fx.v[1].kind, VSESSION_FX_WATCH);
    say(&s, SELECT);
    CHECK_EQ(fx.n, 0); // whether it may speak is not known yet
    CHECK_EQ(s.state, VSESSION_READY);
    seated(&s, here);
    CHECK_EQ(fx.n, 2);
    CHECK_EQ(fx.v[0].kind, VSESSION_FX_SEAT);
    CHECK_EQ(fx.v[1].kind, VSESSION_FX_DESCRIBE);
    CHECK_EQ(s.state, VSESSION_LIVE);
    CHECK_EQ(s.mode, SEAL_XSALSA20_POLY1305);
    seated(&s, here);
    CHECK_EQ(fx.n, 1);
    say(&s, SELECT); // another mode is another key
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == VSESSION_FX_DESCRIBE);
}

// What each opcode comes to in each state: a close code, 0 nothing, or an effect.
#define FX(kind) (-1 - (int)(kind))
static const struct {
    const char *text;
    int in[VSESSION_STATES]; // HELLO, ADMITTING, READY, LIVE, DETACHED, ABSENT, LEAVING, GONE
} table[] = {
    {IDENTIFY, {FX(VSESSION_FX_ADMIT), 4005, 4005, 4005, 0, 0, 0, 0}},
    {RESUME_AT("-1"), {FX(VSESSION_FX_RESUME), 4005, 4005, 4005, 0, 0, 0, 0}},
    {SELECT, {4003, 4003, FX(VSESSION_FX_DESCRIBE), FX(VSESSION_FX_DESCRIBE), 0, 0, 0, 0}},
    {"{\"op\":3,\"d\":1}",
     {FX(VSESSION_FX_ACK), FX(VSESSION_FX_ACK), FX(VSESSION_FX_ACK), FX(VSESSION_FX_ACK), 0, 0, FX(VSESSION_FX_ACK),
      0}},
    {"{\"op\":16,\"d\":{}}",
     {FX(VSESSION_FX_BACKEND), FX(VSESSION_FX_BACKEND), FX(VSESSION_FX_BACKEND), FX(VSESSION_FX_BACKEND), 0, 0,
      FX(VSESSION_FX_BACKEND), 0}},
    {"{\"op\":5,\"d\":{}}", {4003, 0, FX(VSESSION_FX_SPEAK), FX(VSESSION_FX_SPEAK), 0, 0, 0, 0}},
    {"{\"op\":12,\"d\":{}}", {4003, 0, FX(VSESSION_FX_VIDEO), FX(VSESSION_FX_VIDEO), 0, 0, 0, 0}},
    {"{\"op\":14,\"d\":{}}", {4003, 0, FX(VSESSION_FX_CODECS), FX(VSESSION_FX_CODECS), 0, 0, 0, 0}},
    {"{\"op\":15,\"d\":{}}", {4003, 0, FX(VSESSION_FX_WANTS), FX(VSESSION_FX_WANTS), 0, 0, 0, 0}},
    {"{\"op\":40}", {4003, 0, 0, 0, 0, 0, 0, 0}},
    {"{\"op\":41}", {4001, 4001, 4001, 4001, 0, 0, 4001, 0}},
    {"no", {4002, 4002, 4002, 4002, 0, 0, 4002, 0}},
    {"{\"op\":1,\"d\":{\"protocol\":\"webrtc\"}}", {4003, 4003, 4012, 4012, 0, 0, 0, 0}},
    {"{\"op\":1,\"d\":{\"protocol\":\"udp\",\"mode\":\"plain\"}}", {4003, 4003, 4016, 4016, 0, 0, 0, 0}},
};

TEST(each_opcode_in_each_state)
{
    for (size_t i = 0; i < countof(table); i++)
        for (int state = 0; state < VSESSION_STATES; state++) {
            struct vsession s = in_state((enum vsession_state)state);
            int wanted = table[i].in[state];
            say(&s, table[i].text);
            if (wanted < 0)
                CHECK_TRUE(did((enum vsession_fx_kind)(-1 - wanted)));
            CHECK_EQ(closed(), wanted > 0 ? wanted : 0);
            if (wanted == 0)
                CHECK_EQ(fx.n, 0);
            if (wanted > 0 && (state == VSESSION_READY || state == VSESSION_LIVE))
                CHECK_TRUE(s.state == VSESSION_ABSENT && did(VSESSION_FX_QUIT));
            else if (wanted > 0)
                CHECK_TRUE(s.state == VSESSION_GONE && did(VSESSION_FX_END));
            vsession_fini(&s);
        }
}

TEST(claims_that_cannot_be_right_are_not_looked_up)
{
    static const struct {
        const char *d;
        uint16_t code;
    } cases[] = {
        {"{\"server_id\":0,\"user_id\":3,\"session_id\":\"a\",\"token\":\"t\"}", 4011},
        {"{\"user_id\":3,\"session_id\":\"a\",\"token\":\"t\"}", 4011},
        {"{\"server_id\":1,\"session_id\":\"a\",\"token\":\"t\"}", 4004},
        {"{\"server_id\":1,\"user_id\":3,\"session_id\":\"a\",\"token\":\"\"}", 4004},
        {"{\"server_id\":1,\"user_id\":3,\"session_id\":\"a\",\"token\":\"t t\"}", 4004},
        {"{\"server_id\":1,\"user_id\":3,\"session_id\":\"a\",\"token\":\"012345678901234567890123456789012\"}", 4004},
        {"{\"server_id\":1,\"user_id\":3,\"session_id\":\"\",\"token\":\"t\"}", 4006},
        {"{\"server_id\":1,\"user_id\":3,\"session_id\":\"a:b\",\"token\":\"t\"}", 4006},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct vsession s = in_state(VSESSION_HELLO);
        char text[256];
        snprintf(text, sizeof text, "{\"op\":0,\"d\":%s}", cases[i].d);
        say(&s, text);
        CHECK_EQ(closed(), cases[i].code);
    }
}

TEST(who_is_not_let_in_is_closed_with_the_reason)
{
    struct vsession s = in_state(VSESSION_ADMITTING);
    step(&s, (struct vsession_in){.kind = VSESSION_IN_ADMITTED, .code = 4004}, NOW);
    CHECK_EQ(closed(), 4004);
    CHECK_TRUE(did(VSESSION_FX_END));
    s = in_state(VSESSION_ADMITTING);
    step(&s, (struct vsession_in){.kind = VSESSION_IN_ADMITTED, .who = &who, .ssrc = 0}, NOW); // the node is full
    CHECK_EQ(closed(), 4021);
    for (int state = 0; state < VSESSION_STATES; state++) {
        if (state == VSESSION_ADMITTING)
            continue;
        s = in_state((enum vsession_state)state);
        step(&s, (struct vsession_in){.kind = VSESSION_IN_ADMITTED, .code = 4004}, NOW);
        CHECK_EQ(fx.n, 0); // an answer that nobody waits for
        vsession_fini(&s);
    }
}

TEST(a_seat_that_goes_is_felt_at_once_and_closes_a_little_later)
{
    static const struct {
        enum seat_state seat;
        uint16_t code;
    } cases[] = {{SEAT_LEFT, 4014}, {SEAT_OVER, 4022}};
    for (size_t i = 0; i < countof(cases); i++)
        for (int state = 0; state < VSESSION_STATES; state++) {
            struct vsession s = in_state((enum vsession_state)state);
            seated(&s, (struct seat){.state = cases[i].seat});
            if (state == VSESSION_READY || state == VSESSION_LIVE) {
                CHECK_TRUE(did(VSESSION_FX_QUIT) && !closed());
                step(&s, (struct vsession_in){.kind = VSESSION_IN_TICK}, NOW + VSESSION_LEAVE_MS - 1);
                CHECK_EQ(fx.n, 0);
                step(&s, (struct vsession_in){.kind = VSESSION_IN_TICK}, NOW + VSESSION_LEAVE_MS);
                CHECK_EQ(closed(), cases[i].code);
                CHECK_TRUE(did(VSESSION_FX_END));
            } else if (state == VSESSION_DETACHED || state == VSESSION_ABSENT) {
                CHECK_EQ(did(VSESSION_FX_QUIT), state == VSESSION_DETACHED);
                CHECK_TRUE(did(VSESSION_FX_END));
            } else {
                CHECK_EQ(fx.n, 0);
            }
            vsession_fini(&s);
        }
}

TEST(a_seat_comes_back_to_nobody_who_is_leaving)
{
    struct vsession s = in_state(VSESSION_LEAVING);
    seated(&s, here);
    CHECK_EQ(fx.n, 0);
    CHECK_EQ(s.state, VSESSION_LEAVING);
}

TEST(a_lost_socket_in_each_state)
{
    static const struct {
        int code;
        enum vsession_state becomes; // of who is in the room
    } cases[] = {{1006, VSESSION_DETACHED}, {1005, VSESSION_DETACHED}, {4000, VSESSION_DETACHED},
                 {4901, VSESSION_DETACHED}, {1000, VSESSION_ABSENT},   {1001, VSESSION_ABSENT},
                 {4014, VSESSION_ABSENT}};
    for (size_t i = 0; i < countof(cases); i++)
        for (int state = 0; state < VSESSION_STATES; state++) {
            struct vsession s = in_state((enum vsession_state)state);
            bool attached = s.line.conn != 0, inside = attached && vsession_in_room(&s);
            step(&s, (struct vsession_in){.kind = VSESSION_IN_LOST, .code = cases[i].code}, NOW);
            CHECK_EQ(s.state, inside ? cases[i].becomes : attached ? VSESSION_GONE : (enum vsession_state)state);
            CHECK_EQ(did(VSESSION_FX_QUIT), inside && cases[i].becomes == VSESSION_ABSENT);
            CHECK_EQ(did(VSESSION_FX_END), attached && !inside);
            CHECK_EQ(closed(), 0);
            vsession_fini(&s);
        }
}

TEST(deadlines_in_each_state)
{
    static const struct {
        enum vsession_state state;
        uint64_t after;
        uint16_t code;
        enum vsession_state becomes;
    } cases[] = {
        {VSESSION_HELLO, 20000, 4009, VSESSION_GONE},
        {VSESSION_ADMITTING, 20000, 4009, VSESSION_GONE},
        {VSESSION_READY, 35000, 4009, VSESSION_DETACHED},
        {VSESSION_LIVE, 35000, 4009, VSESSION_DETACHED},
        {VSESSION_DETACHED, 30000, 0, VSESSION_ABSENT},
        {VSESSION_ABSENT, 60000, 0, VSESSION_GONE},
        {VSESSION_LEAVING, VSESSION_LEAVE_MS, 4014, VSESSION_GONE},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct vsession s = in_state(cases[i].state);
        CHECK_EQ(vsession_deadline(&s), NOW + cases[i].after);
        step(&s, (struct vsession_in){.kind = VSESSION_IN_TICK}, NOW + cases[i].after - 1);
        CHECK_EQ(fx.n, 0);
        step(&s, (struct vsession_in){.kind = VSESSION_IN_TICK}, NOW + cases[i].after);
        CHECK_EQ(closed(), cases[i].code);
        CHECK_EQ(s.state, cases[i].becomes);
        CHECK_EQ(did(VSESSION_FX_ABSENT), cases[i].state == VSESSION_ABSENT);
        vsession_fini(&s);
    }
}

TEST(a_beat_puts_the_deadline_off)
{
    struct vsession s = in_state(VSESSION_LIVE);
    say_at(&s, "{\"op\":3,\"d\":{\"t\":1,\"seq_ack\":-1}}", NOW + 5000);
    CHECK_EQ(vsession_deadline(&s), NOW + 40000);
    say_at(&s, "{\"op\":5,\"d\":{}}", NOW + 6000); // another frame does not
    CHECK_EQ(vsession_deadline(&s), NOW + 40000);
}

TEST(who_is_gone_longer_than_the_grace_is_told_of_even_while_resumable)
{
    struct vsession_rules short_grace = rules;
    short_grace.grace_ms = 1000;
    struct vsession s = in_state(VSESSION_LIVE);
    const struct vsession_in lost = {.kind = VSESSION_IN_LOST, .code = 1006}, tick = {.kind = VSESSION_IN_TICK};
    vsession_step(&s, &lost, &short_grace, NOW, &fx);
    CHECK_EQ(vsession_deadline(&s), NOW + 1000);
    vsession_step(&s, &tick, &short_grace, NOW + 1000, &fx);
    CHECK_TRUE(did(VSESSION_FX_QUIT) && did(VSESSION_FX_ABSENT) && did(VSESSION_FX_END));
}

TEST(being_replaced_and_the_end_of_the_node_in_each_state)
{
    static const enum vsession_in_kind kinds[] = {VSESSION_IN_REPLACED, VSESSION_IN_STOP};
    for (size_t k = 0; k < countof(kinds); k++)
        for (int state = 0; state < VSESSION_STATES; state++) {
            struct vsession s = in_state((enum vsession_state)state);
            bool attached = s.line.conn != 0, inside = vsession_in_room(&s), known = vsession_known(&s);
            bool concerned = state != VSESSION_GONE && (known || kinds[k] == VSESSION_IN_STOP);
            uint16_t code = kinds[k] == VSESSION_IN_STOP ? 4015 : 4006;
            step(&s, (struct vsession_in){.kind = kinds[k], .code = 4006}, NOW);
            CHECK_EQ(closed(), !concerned || !attached ? 0 : state == VSESSION_LEAVING ? 4014 : code);
            CHECK_EQ(did(VSESSION_FX_QUIT), concerned && inside);
            CHECK_EQ(did(VSESSION_FX_END), concerned);
            vsession_fini(&s);
        }
}

TEST(a_slow_reader_loses_its_socket_and_may_resume)
{
    struct vsession s = in_state(VSESSION_LIVE);
    step(&s, (struct vsession_in){.kind = VSESSION_IN_SLOW}, NOW);
    CHECK_EQ(closed(), 4015);
    CHECK_EQ(s.state, VSESSION_DETACHED);
    step(&s, (struct vsession_in){.kind = VSESSION_IN_SLOW}, NOW);
    CHECK_EQ(fx.n, 0);
}

TEST(frames_beyond_what_a_minute_may_have_close)
{
    struct vsession s = in_state(VSESSION_HELLO);
    for (uint32_t i = 0; i < VSESSION_FRAMES; i++)
        say(&s, "{\"op\":16}");
    CHECK_EQ(closed(), 0);
    say(&s, "{\"op\":16}");
    CHECK_EQ(closed(), 4021);
    s = in_state(VSESSION_LIVE);
    step(&s, (struct vsession_in){.kind = VSESSION_IN_TOO_LARGE}, NOW);
    CHECK_EQ(closed(), 4002);
}

// --- numbers, and what is kept ---

static void tell(struct vsession *s, uint32_t n)
{
    char text[32];
    for (uint32_t i = 0; i < n; i++) {
        int32_t number = vsession_number(s);
        int len = snprintf(text, sizeof text, "message %d", number);
        vreplay_keep(&s->replay, (struct bytes){text, (size_t)len});
    }
}

static struct vsession_fxs mine, theirs;

static bool resume(struct vsession *old, const char *text, uint32_t v)
{
    struct vsession fresh;
    struct vop op;
    vsession_init(&fresh, 6, 88, v, &rules, NOW);
    vop_read(&arena, bytes_of(text), false, &op);
    CHECK_EQ(op.kind, VOP_RESUME);
    vsession_resume(&fresh, old, &op.resume, &rules, NOW, &mine, &theirs);
    vop_done(&op);
    CHECK_EQ(fresh.state, VSESSION_GONE);
    bool ok = theirs.n > 0;
    if (!ok)
        CHECK_TRUE(mine.n == 2 && mine.v[0].kind == VSESSION_FX_CLOSE && mine.v[0].code == 4006 &&
                   mine.v[0].conn == 88);
    else
        CHECK_TRUE(mine.n == 1 && mine.v[0].kind == VSESSION_FX_END && old->line.conn == 88);
    return ok;
}

TEST(numbers_begin_with_1_and_older_versions_have_none)
{
    struct vsession s = in_state(VSESSION_LIVE);
    CHECK_EQ(vsession_number(&s), 1);
    CHECK_EQ(vsession_number(&s), 2);
    s.line.v = 7;
    CHECK_EQ(vsession_number(&s), -1);
}

TEST(a_resume_skips_what_its_client_has)
{
    struct vsession s = in_state(VSESSION_DETACHED);
    tell(&s, 5);
    CHECK_TRUE(resume(&s, RESUME_AT("3"), 8));
    CHECK_EQ(theirs.n, 1);
    CHECK_EQ(theirs.v[0].kind, VSESSION_FX_RESUMED);
    CHECK_EQ(theirs.v[0].skip, 3);
    CHECK_EQ(s.state, VSESSION_LIVE);
    vsession_fini(&s);
    s = in_state(VSESSION_DETACHED);
    tell(&s, 5);
    CHECK_TRUE(resume(&s, RESUME_AT("-1"), 8)); // all of it
    CHECK_EQ(theirs.v[0].skip, 0);
    CHECK_TRUE(resume(&s, RESUME_AT("5"), 8)); // none; and the first socket, which stands, is closed
    CHECK_EQ(theirs.v[0].kind, VSESSION_FX_CLOSE);
    CHECK_EQ(theirs.v[0].code, 4006);
    CHECK_EQ(theirs.v[0].conn, 88);
    CHECK_EQ(theirs.v[1].skip, 5);
    CHECK_TRUE(resume(&s, RESUME_AT("9"), 8)); // it has what was never said: all of it
    CHECK_EQ(theirs.v[1].skip, 0);
    vsession_fini(&s);
}

TEST(an_older_version_resumes_without_what_was_missed)
{
    struct vsession s = in_state(VSESSION_DETACHED);
    tell(&s, 5);
    CHECK_TRUE(resume(&s, RESUME_AT("-1"), 4));
    CHECK_EQ(theirs.v[0].skip, 5);
    vsession_fini(&s);
}

TEST(numbers_wrap_and_are_compared_so)
{
    struct vsession s = in_state(VSESSION_DETACHED);
    s.replay.seq = 65533;
    tell(&s, 5); // 65534, 65535, 0, 1, 2
    CHECK_EQ(s.replay.seq, 2);
    CHECK_TRUE(resume(&s, RESUME_AT("65535"), 8));
    CHECK_EQ(theirs.v[0].skip, 2);
    say(&s, "{\"op\":3,\"d\":{\"t\":1,\"seq_ack\":0}}");
    CHECK_EQ(s.replay.n, 2);
    CHECK_EQ(s.replay.first->seq, 1);
    vsession_fini(&s);
}

TEST(what_was_acknowledged_is_forgotten)
{
    struct vsession s = in_state(VSESSION_LIVE);
    tell(&s, 5);
    say(&s, "{\"op\":3,\"d\":{\"t\":1,\"seq_ack\":-1}}");
    CHECK_EQ(s.replay.n, 5);
    say(&s, "{\"op\":3,\"d\":{\"t\":1,\"seq_ack\":4}}");
    CHECK_EQ(s.replay.n, 1);
    say(&s, "{\"op\":3,\"d\":{\"t\":1,\"seq_ack\":2}}"); // older than the last
    CHECK_EQ(s.replay.n, 1);
    say(&s, "{\"op\":3,\"d\":{\"t\":1,\"seq_ack\":5}}");
    CHECK_EQ(s.replay.n, 0);
    tell(&s, 1);
    CHECK_EQ(s.replay.first->seq, 6);
    vsession_fini(&s);
}

TEST(what_is_kept_is_bounded_and_whoever_lacks_more_is_refused)
{
    struct vsession s = in_state(VSESSION_DETACHED);
    tell(&s, VREPLAY_MAX + 10);
    CHECK_EQ(s.replay.n, VREPLAY_MAX);
    CHECK_TRUE(!resume(&s, RESUME_AT("9"), 8));
    CHECK_EQ(s.state, VSESSION_DETACHED); // nothing has happened to it
    CHECK_TRUE(resume(&s, RESUME_AT("10"), 8));
    CHECK_EQ(theirs.v[0].skip, 0);
    say(&s, "{\"op\":3,\"d\":{\"t\":1,\"seq_ack\":12}}");
    CHECK_TRUE(resume(&s, RESUME_AT("5"), 8)); // it had more than that: the rest is all it can lack
    vsession_fini(&s);

    static char large[50000];
    s = in_state(VSESSION_DETACHED);
    for (int i = 0; i < 4; i++) {
        (void)vsession_number(&s);
        vreplay_keep(&s.replay, (struct bytes){large, sizeof large});
    }
    CHECK_EQ(s.replay.n, VREPLAY_BYTES / sizeof large);
    CHECK_TRUE(!resume(&s, RESUME_AT("1"), 8));
    vsession_fini(&s);
}

TEST(a_resume_that_does_not_fit_is_refused)
{
    static const char *const texts[] = {
        "{\"op\":7,\"d\":{\"server_id\":\"2\",\"session_id\":\"abcd\",\"token\":\"0011\"}}",
        "{\"op\":7,\"d\":{\"server_id\":\"1\",\"session_id\":\"abce\",\"token\":\"0011\"}}",
        "{\"op\":7,\"d\":{\"server_id\":\"1\",\"session_id\":\"abcd\",\"token\":\"0012\"}}",
        "{\"op\":7,\"d\":{\"server_id\":\"1\",\"session_id\":\"abcd\",\"token\":\"00112\"}}",
        "{\"op\":7,\"d\":{\"server_id\":\"1\",\"session_id\":\"abcd\",\"token\":\"\"}}",
        "{\"op\":7,\"d\":{\"server_id\":\"1\",\"session_id\":\"abcd\",\"token\":\"0011\",\"channel_id\":\"9\"}}",
    };
    for (size_t i = 0; i < countof(texts); i++) {
        struct vsession s = in_state(VSESSION_DETACHED);
        CHECK_TRUE(!resume(&s, texts[i], 9));
        CHECK_EQ(s.state, VSESSION_DETACHED);
    }
    CHECK_TRUE(!resume(NULL, RESUME_AT("-1"), 8));
    for (int state = VSESSION_ABSENT; state < VSESSION_STATES; state++) {
        struct vsession s = in_state((enum vsession_state)state);
        CHECK_TRUE(!resume(&s, RESUME_AT("-1"), 8));
    }
    struct vsession s = in_state(VSESSION_DETACHED);
    CHECK_TRUE(resume(&s, texts[5], 8)); // below version 9 nobody names a channel
}

TEST(a_seat_that_is_seen_while_nobody_is_there_gives_a_key_at_the_resume)
{
    struct vsession s = in_state(VSESSION_ADMITTING);
    step(&s, (struct vsession_in){.kind = VSESSION_IN_ADMITTED, .who = &who, .ssrc = 9}, NOW);
    say(&s, SELECT);
    step(&s, (struct vsession_in){.kind = VSESSION_IN_LOST, .code = 1006}, NOW);
    seated(&s, here);
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == VSESSION_FX_SEAT);
    CHECK_TRUE(resume(&s, RESUME_AT("-1"), 8));
    CHECK_EQ(theirs.n, 2);
    CHECK_EQ(theirs.v[1].kind, VSESSION_FX_DESCRIBE);
    CHECK_EQ(s.state, VSESSION_LIVE);
}

TEST(the_old_modes_are_offered_if_they_are_to_be)
{
    struct vsession_rules without = rules;
    struct bytes modes[SEAL_MODES];
    without.modes_old = false;
    CHECK_EQ(vsession_modes(&rules, modes), SEAL_MODES);
    CHECK_TRUE(bytes_is(modes[0], "aead_aes256_gcm_rtpsize") && bytes_is(modes[4], "xsalsa20_poly1305"));
    CHECK_EQ(vsession_modes(&without, modes), 2);
    struct vsession s = in_state(VSESSION_READY);
    struct vop op;
    vop_read(&arena, BYTES(SELECT), false, &op);
    vsession_step(&s, &(struct vsession_in){.kind = VSESSION_IN_OP, .op = &op}, &without, NOW, &fx);
    CHECK_EQ(closed(), 4016);
    vop_done(&op);
}

TEST(close_codes_that_libraries_resume_after)
{
    CHECK_TRUE(vclose_resumable(4015) && vclose_resumable(4009));
    CHECK_TRUE(!vclose_resumable(4006) && !vclose_resumable(4014) && !vclose_resumable(4022));
    CHECK_STR(vclose_text(4014), "Disconnected.");
}

MAIN
