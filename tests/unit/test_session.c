// test_session: every (state, input) pair by table, then what the table cannot say: limits, voice, resume.
#include "session.h"
#include "errors.h"
#include "metrics.h"
#include "check.h"

#define IDENTIFY_MS 60000u
static const struct session_rules rules = {
    .heartbeat_ms = 41250, .resume_window_ms = 120000, .identify_ms = IDENTIFY_MS};
#define BEAT_MS (41250u + 41250u / 2 + 10000u)
#define CONN 77u
#define USER 900u
#define ISSUED 5000u
static const char id[33] = "30f32c5d54ae86130fc4a215c7474263";
static struct session_fxs fx;

static struct op identify_op(void)
{
    struct op op = {.kind = OP_IDENTIFY, .number = 2};
    op.identify.c.capabilities = 22525;
    op.identify.c.intents = 129;
    op.identify.has_intents = op.identify.shard_ok = true;
    op.identify.shards = 1;
    return op;
}

static struct op resume_op(uint64_t seq)
{
    struct op op = {.kind = OP_RESUME, .number = 6};
    op.resume.session_id = bytes_of(id);
    op.resume.seq = seq;
    return op;
}

static struct op voice_op(uint64_t channel)
{
    struct op op = {.kind = OP_VOICE, .number = 4};
    op.voice.channel_id = channel;
    return op;
}

static struct op call_op(uint64_t channel)
{
    struct op op = {.kind = OP_CALL, .number = 13};
    op.call.channel_id = channel;
    return op;
}

static int step(struct session *s, struct session_in in, uint64_t now)
{
    return session_step(s, &in, &rules, now, &fx);
}

static int identify(struct session *s, uint64_t now)
{
    struct op op = identify_op();
    return step(s, (struct session_in){.kind = SESSION_IN_IDENTIFY, .op = &op, .user = USER, .issued_ms = ISSUED}, now);
}

static int want(struct session *s, uint64_t seq, uint64_t user, uint64_t now)
{
    struct op op = resume_op(seq);
    return step(s, (struct session_in){.kind = SESSION_IN_RESUME, .op = &op, .user = user, .issued_ms = ISSUED}, now);
}

static int voice(struct session *s, uint64_t channel)
{
    struct op op = voice_op(channel);
    return step(s, (struct session_in){.kind = SESSION_IN_VOICE, .op = &op}, 0);
}

static struct session in_state(enum session_state state)
{
    struct session s;
    session_init(&s, id, CONN, 9, &rules, 0);
    if (state == SESSION_HELLO)
        return s;
    if (state == SESSION_TAKING) {
        CHECK_EQ(want(&s, 1, USER, 0), OK);
        return s;
    }
    CHECK_EQ(identify(&s, 0), OK);
    if (state == SESSION_LOADING)
        return s;
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOADED}, 0), OK);
    if (state == SESSION_LIVE)
        return s;
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOST, .code = 1006}, 0), OK);
    if (state == SESSION_GONE)
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_CUT}, 0), OK);
    return s;
}

static void dispatch(struct session *s, bool sent)
{
    CHECK_EQ(session_keep(s, session_dispatch(s)), sent);
}

// --- the table: what one input makes of one state ---

enum { NONE = 99 };
#define SAME SESSION_STATES
struct cell {
    int err;
    enum session_state next; // SAME: unchanged
    int fx[2];               // kinds, NONE behind the last
    uint16_t code;           // of CLOSE
};
#define REFUSED                                                                                                        \
    {                                                                                                                  \
        ERR_STATE, SAME, {NONE, NONE}, 0                                                                               \
    }
#define QUIET                                                                                                          \
    {                                                                                                                  \
        OK, SAME, {NONE, NONE}, 0                                                                                      \
    }
#define CLOSES(code, next)                                                                                             \
    {                                                                                                                  \
        OK, next, {SESSION_FX_CLOSE, NONE}, code                                                                       \
    }
#define DIES(code)                                                                                                     \
    {                                                                                                                  \
        OK, SESSION_GONE, {SESSION_FX_CLOSE, SESSION_FX_END}, code                                                     \
    }
#define DOES(kind)                                                                                                     \
    {                                                                                                                  \
        OK, SAME, {kind, NONE}, 0                                                                                      \
    }
#define DROPS                                                                                                          \
    {                                                                                                                  \
        OK, SESSION_GONE, {SESSION_FX_DROP, NONE}, 0                                                                   \
    }
#define ENDS                                                                                                           \
    {                                                                                                                  \
        OK, SESSION_GONE, {SESSION_FX_END, NONE}, 0                                                                    \
    }
#define ALL_GONE                                                                                                       \
    {                                                                                                                  \
        REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED,    \
            REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED                            \
    }

static const struct cell table[SESSION_STATES][SESSION_IN_KINDS] =
    {
        [SESSION_HELLO] =
            {
                [SESSION_IN_BEAT] = DOES(SESSION_FX_ACK),
                [SESSION_IN_IDENTIFY] = {OK, SESSION_LOADING, {SESSION_FX_LOAD, NONE}, 0},
                [SESSION_IN_RESUME] = {OK, SESSION_TAKING, {SESSION_FX_TAKE, NONE}, 0},
                [SESSION_IN_VOICE] = DIES(4003),
                [SESSION_IN_CALL] = DIES(4003),
                [SESSION_IN_PRESENCE] = DIES(4003),
                [SESSION_IN_ASK] = DIES(4003),
                [SESSION_IN_QUIET] = DIES(4003),
                [SESSION_IN_BROKEN] = DIES(4002),
                [SESSION_IN_LOADED] = REFUSED,
                [SESSION_IN_TAKEN] = REFUSED,
                [SESSION_IN_OURS] = REFUSED,
                [SESSION_IN_ANSWERED] = REFUSED,
                [SESSION_IN_LOST] = ENDS,
                [SESSION_IN_TICK] = DIES(4009),
                [SESSION_IN_REVOKED] = REFUSED,
                [SESSION_IN_CUT] = REFUSED,
                [SESSION_IN_BEHIND] = REFUSED,
                [SESSION_IN_MOVED] = REFUSED,
                [SESSION_IN_UNSERVED] = REFUSED,
                [SESSION_IN_STOP] = DIES(4000),
            },
        [SESSION_LOADING] =
            {
                [SESSION_IN_BEAT] = DOES(SESSION_FX_ACK),
                [SESSION_IN_IDENTIFY] = DIES(4005),
                [SESSION_IN_RESUME] = DIES(4005),
                [SESSION_IN_VOICE] = QUIET,
                [SESSION_IN_CALL] = QUIET,
                [SESSION_IN_PRESENCE] = QUIET,
                [SESSION_IN_ASK] = QUIET,
                [SESSION_IN_QUIET] = QUIET,
                [SESSION_IN_BROKEN] = DIES(4002),
                [SESSION_IN_LOADED] = {OK, SESSION_LIVE, {SESSION_FX_READY, NONE}, 0},
                [SESSION_IN_TAKEN] = REFUSED,
                [SESSION_IN_OURS] = REFUSED,
                [SESSION_IN_ANSWERED] = REFUSED,
                [SESSION_IN_LOST] = ENDS,
                [SESSION_IN_TICK] = DIES(4009),
                [SESSION_IN_REVOKED] = DIES(4004),
                [SESSION_IN_CUT] = REFUSED,
                [SESSION_IN_BEHIND] = REFUSED,
                [SESSION_IN_MOVED] = REFUSED,
                [SESSION_IN_UNSERVED] = REFUSED,
                [SESSION_IN_STOP] = DIES(4000),
            },
        [SESSION_TAKING] =
            {
                [SESSION_IN_BEAT] = DOES(SESSION_FX_ACK),
                [SESSION_IN_IDENTIFY] = REFUSED, // these wait
                [SESSION_IN_RESUME] = REFUSED,
                [SESSION_IN_VOICE] = REFUSED,
                [SESSION_IN_CALL] = REFUSED,
                [SESSION_IN_PRESENCE] = REFUSED,
                [SESSION_IN_ASK] = REFUSED,
                [SESSION_IN_QUIET] = REFUSED,
                [SESSION_IN_BROKEN] = DIES(4002),
                [SESSION_IN_LOADED] = REFUSED,
                [SESSION_IN_TAKEN] = {OK, SESSION_HELLO, {SESSION_FX_INVALID, NONE}, 0},
                [SESSION_IN_OURS] = REFUSED,
                [SESSION_IN_ANSWERED] = REFUSED,
                [SESSION_IN_LOST] = ENDS,
                [SESSION_IN_TICK] = DIES(4009),
                [SESSION_IN_REVOKED] = REFUSED,
                [SESSION_IN_CUT] = REFUSED,
                [SESSION_IN_BEHIND] = REFUSED,
                [SESSION_IN_MOVED] = REFUSED,
                [SESSION_IN_UNSERVED] = REFUSED,
                [SESSION_IN_STOP] = DIES(4000),
            },
        [SESSION_LIVE] =
            {
                [SESSION_IN_BEAT] = DOES(SESSION_FX_ACK),
                [SESSION_IN_IDENTIFY] = CLOSES(4005, SESSION_DETACHED),
                [SESSION_IN_RESUME] = CLOSES(4005, SESSION_DETACHED),
                [SESSION_IN_VOICE] = DOES(SESSION_FX_OURS),
                [SESSION_IN_CALL] = DOES(SESSION_FX_CALL),
                [SESSION_IN_PRESENCE] = DOES(SESSION_FX_ASK),
                [SESSION_IN_ASK] = DOES(SESSION_FX_ASK),
                [SESSION_IN_QUIET] = QUIET,
                [SESSION_IN_BROKEN] = CLOSES(4002, SESSION_DETACHED),
                [SESSION_IN_LOADED] = REFUSED,
                [SESSION_IN_TAKEN] = REFUSED,
                [SESSION_IN_OURS] = REFUSED,     // nothing was asked
                [SESSION_IN_ANSWERED] = REFUSED, // likewise
                [SESSION_IN_UNSERVED] = DOES(SESSION_FX_OURS),
                [SESSION_IN_LOST] = {OK, SESSION_DETACHED, {NONE, NONE}, 0},
                [SESSION_IN_TICK] = CLOSES(4009, SESSION_DETACHED),
                [SESSION_IN_REVOKED] = DIES(4004),
                [SESSION_IN_CUT] = DIES(4000),
                [SESSION_IN_BEHIND] = CLOSES(4000, SESSION_DETACHED),
                [SESSION_IN_MOVED] = {OK, SESSION_GONE, {SESSION_FX_CLOSE, SESSION_FX_DROP}, 4000},
                [SESSION_IN_STOP] = {OK, SESSION_DETACHED, {SESSION_FX_RECONNECT, SESSION_FX_CLOSE}, 4000},
            },
        [SESSION_DETACHED] =
            {
                [SESSION_IN_BEAT] = REFUSED,
                [SESSION_IN_IDENTIFY] = REFUSED,
                [SESSION_IN_RESUME] = REFUSED,
                [SESSION_IN_VOICE] = REFUSED,
                [SESSION_IN_CALL] = REFUSED,
                [SESSION_IN_PRESENCE] = REFUSED,
                [SESSION_IN_QUIET] = REFUSED,
                [SESSION_IN_BROKEN] = REFUSED,
                [SESSION_IN_LOADED] = REFUSED,
                [SESSION_IN_TAKEN] = REFUSED,
                [SESSION_IN_OURS] = REFUSED,
                [SESSION_IN_ANSWERED] = REFUSED,
                [SESSION_IN_LOST] = REFUSED,
                [SESSION_IN_TICK] = ENDS,
                [SESSION_IN_REVOKED] = ENDS,
                [SESSION_IN_CUT] = ENDS,
                [SESSION_IN_BEHIND] = QUIET,
                [SESSION_IN_MOVED] = DROPS,
                [SESSION_IN_STOP] = QUIET,
                [SESSION_IN_ASK] = REFUSED,
                [SESSION_IN_UNSERVED] = DOES(SESSION_FX_OURS),
            },
        [SESSION_GONE] = ALL_GONE,
};

static bool cell_fits(const struct cell *c, enum session_state from, int err, const struct session *s)
{
    uint32_t n = c->fx[0] == NONE ? 0 : c->fx[1] == NONE ? 1 : 2;
    if (err != c->err || s->state != (c->next == SAME ? from : c->next) || fx.n != n || !session_valid(s))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if ((int)fx.v[i].kind != c->fx[i])
            return false;
        if (fx.v[i].kind == SESSION_FX_CLOSE && (fx.v[i].code != c->code || fx.v[i].conn != CONN))
            return false;
    }
    return true;
}

TEST(every_pair_of_state_and_input_does_what_the_table_says)
{
    struct op ops[] = {identify_op(), voice_op(5), call_op(5), resume_op(1)};
    for (enum session_state from = 0; from < SESSION_STATES; from++) {
        for (enum session_in_kind kind = 0; kind < SESSION_IN_KINDS; kind++) {
            struct session s = in_state(from), before = s;
            const struct voice_item seat = {.guild = 5, .channel = 7};
            struct session_in in = {kind,
                                    .seat = &seat,
                                    .op = kind == SESSION_IN_IDENTIFY ? &ops[0]
                                          : kind == SESSION_IN_VOICE  ? &ops[1]
                                          : kind == SESSION_IN_RESUME ? &ops[3]
                                                                      : &ops[2],
                                    .code = kind == SESSION_IN_LOST ? 1006 : 4002,
                                    .user = USER,
                                    .issued_ms = ISSUED,
                                    .err = kind == SESSION_IN_TAKEN ? ERR_MISSING : OK,
                                    .before_ms = ISSUED + 1};
            int err = step(&s, in, kind == SESSION_IN_TICK ? 1000000 : 0);
            if (!cell_fits(&table[from][kind], from, err, &s))
                printf("state %d, input %d: err %d, state %d, %u effects\n", from, kind, err, s.state, fx.n),
                    test_failures++;
            if (err == ERR_STATE)
                CHECK_TRUE(memcmp(&before, &s, sizeof s) == 0);
            session_fini(&s);
        }
    }
}

TEST(presences_beyond_five_and_those_that_do_not_fit_are_dropped_without_a_word)
{
    struct session s = in_state(SESSION_LIVE);
    const struct op op = {.kind = OP_PRESENCE, .number = 3},
                    bad = {.kind = OP_PRESENCE, .number = 3, .malformed = true};
    uint64_t before = M.client_presences_dropped;
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_PRESENCE, .op = &bad}, 0), OK);
    CHECK_EQ(fx.n, 0);
    for (uint32_t i = 1; i < 7; i++) {
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_PRESENCE, .op = &op}, 0), OK);
        CHECK_EQ(fx.n, i < 5);
    }
    CHECK_EQ(M.client_presences_dropped, before + 2);
    session_fini(&s);
}

// --- identify ---

TEST(identify_takes_what_the_client_says_of_itself)
{
    struct session s = in_state(SESSION_LOADING);
    CHECK_TRUE(s.user == USER && s.issued_ms == ISSUED && s.capabilities == 22525 && s.intents == 129);
    CHECK_TRUE(s.key == 0x30f32c5d54ae8613ull);
    session_fini(&s);
}

TEST(each_reason_to_refuse_an_identify_has_its_close_code)
{
    struct op good = identify_op(), bad = identify_op(), shard = identify_op();
    bad.malformed = true;
    shard.identify.shard_ok = false;
    const struct {
        struct session_in in;
        uint16_t code;
    } rows[] = {
        {{SESSION_IN_IDENTIFY, .op = &bad, .user = USER}, 4002},
        {{SESSION_IN_IDENTIFY, .op = &good, .user = 0}, 4004},
        {{SESSION_IN_IDENTIFY, .op = &shard, .user = USER}, 4010},
        {{SESSION_IN_IDENTIFY, .op = &good, .user = USER, .full = true}, 4015},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct session s = in_state(SESSION_HELLO);
        CHECK_EQ(step(&s, rows[i].in, 0), OK);
        CHECK_EQ(fx.v[0].kind, SESSION_FX_CLOSE);
        CHECK_EQ(fx.v[0].code, rows[i].code);
        CHECK_EQ(s.state, SESSION_GONE);
    }
}

TEST(while_redis_is_away_an_identify_may_be_tried_again_on_the_same_socket)
{
    struct session s = in_state(SESSION_HELLO);
    struct op op = identify_op();
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_IDENTIFY, .op = &op, .user = USER, .away = true}, 0), OK);
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_INVALID && fx.v[0].conn == CONN);
    CHECK_EQ(s.state, SESSION_HELLO);
    CHECK_EQ(identify(&s, 0), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOADED, .err = ERR_IO}, 0), OK);
    CHECK_TRUE(fx.n == 2 && fx.v[0].kind == SESSION_FX_UNLISTEN && fx.v[1].kind == SESSION_FX_INVALID);
    CHECK_TRUE(s.state == SESSION_HELLO && s.user == 0);
    CHECK_EQ(identify(&s, 0), OK);
    CHECK_EQ(s.state, SESSION_LOADING);
}

TEST(who_identifies_too_often_is_told_to_wait_and_may_then)
{
    struct session s = in_state(SESSION_HELLO);
    struct op op = identify_op();
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_IDENTIFY, .op = &op, .user = USER, .often = true}, 0), OK);
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_INVALID && fx.v[0].conn == CONN);
    CHECK_TRUE(s.state == SESSION_HELLO && s.user == 0);
    CHECK_EQ(identify(&s, 5000), OK);
    CHECK_EQ(s.state, SESSION_LOADING);
}

TEST(who_does_not_identify_in_time_is_closed_however_he_beats)
{
    struct session s = in_state(SESSION_HELLO);
    struct op op = resume_op(1);
    for (uint64_t now = 0; now < IDENTIFY_MS; now += 10000) {
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_BEAT}, now), OK);
        CHECK_EQ(session_deadline(&s), IDENTIFY_MS);
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_RESUME, .op = &op}, now), OK); // with nobody's token
        CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_INVALID);
    }
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_TICK}, IDENTIFY_MS - 1), OK);
    CHECK_EQ(fx.n, 0);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_TICK}, IDENTIFY_MS), OK);
    CHECK_TRUE(fx.v[0].kind == SESSION_FX_CLOSE && fx.v[0].code == 4009 && s.state == SESSION_GONE);
}

TEST(an_invalid_session_has_its_time_to_identify_anew)
{
    struct session s = in_state(SESSION_HELLO);
    CHECK_EQ(want(&s, 1, USER, 50000), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_TAKEN, .err = ERR_MISSING}, 50001), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_BEAT}, 50001), OK);
    CHECK_EQ(session_deadline(&s), 50001 + IDENTIFY_MS);
    CHECK_EQ(identify(&s, 100000), OK);
    CHECK_EQ(session_deadline(&s), 50001 + BEAT_MS); // from now on heartbeats alone count
}

TEST(a_token_of_a_user_that_is_not_there_closes_with_4004)
{
    struct session s = in_state(SESSION_LOADING);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOADED, .err = ERR_MISSING}, 0), OK);
    CHECK_TRUE(fx.v[0].kind == SESSION_FX_CLOSE && fx.v[0].code == 4004 && s.state == SESSION_GONE);
}

TEST(a_bot_of_too_many_guilds_has_to_shard_and_a_user_need_not)
{
    static const struct {
        bool bot;
        uint32_t guilds;
        uint16_t code; // 0: it is let in
    } rows[] = {{true, 2500, 0}, {true, 2501, 4011}, {false, 2501, 0}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct session s = in_state(SESSION_LOADING);
        const struct session_in in = {.kind = SESSION_IN_LOADED, .bot = rows[i].bot, .guilds = rows[i].guilds};
        CHECK_EQ(step(&s, in, 0), OK);
        CHECK_EQ(s.state, rows[i].code ? SESSION_GONE : SESSION_LIVE);
        CHECK_EQ(fx.v[0].code, rows[i].code);
        session_fini(&s);
    }
}

TEST(a_bot_says_what_a_large_guild_is_within_bounds)
{
    static const uint64_t said[] = {0, 49, 50, 100, 250, 251, UINT64_MAX}, want[] = {50, 50, 50, 100, 250, 250, 250};
    for (size_t i = 0; i < countof(said); i++) {
        struct session s = in_state(SESSION_HELLO);
        struct op op = {.kind = OP_IDENTIFY, .identify = {.shard_ok = true, .shards = 1}};
        op.identify.c.large_threshold = said[i];
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_IDENTIFY, .op = &op, .user = USER}, 0), OK);
        s.bot = true;
        CHECK_EQ(session_large(&s), want[i]);
        s.bot = false;
        CHECK_EQ(session_large(&s), 250);
        session_fini(&s);
    }
}

TEST(bots_must_say_intents_and_users_need_not)
{
    struct session s = in_state(SESSION_LOADING);
    s.has_intents = false;
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOADED, .bot = true}, 0), OK);
    CHECK_TRUE(fx.v[0].kind == SESSION_FX_CLOSE && fx.v[0].code == 4013);
    s = in_state(SESSION_LOADING);
    s.intents = SESSION_INTENTS_MAX + 1;
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOADED, .bot = true}, 0), OK);
    CHECK_EQ(fx.v[0].code, 4013);
    s = in_state(SESSION_LOADING);
    s.has_intents = false;
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOADED}, 0), OK);
    CHECK_EQ(s.state, SESSION_LIVE);
    session_fini(&s);
}

TEST(intents_gate_bots_only)
{
    struct session s = in_state(SESSION_LIVE);
    s.bot = true;
    s.intents = 1 << 7;
    CHECK_TRUE(session_wants(&s, 1 << 7) && session_wants(&s, 0) && !session_wants(&s, 1 << 9));
    s.bot = false;
    CHECK_TRUE(session_wants(&s, 1 << 9));
    session_fini(&s);
}

TEST(a_shard_sees_its_guilds_and_the_first_one_private_channels)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_TRUE(session_sees_private(&s) && session_sees_guild(&s, 5ull << 22));
    s.shards = 2;
    CHECK_TRUE(session_sees_private(&s) && !session_sees_guild(&s, 5ull << 22) && session_sees_guild(&s, 4ull << 22));
    s.shard = 1;
    CHECK_TRUE(!session_sees_private(&s) && session_sees_guild(&s, 5ull << 22));
    session_fini(&s);
}

// --- limits ---

TEST(the_121st_event_of_a_minute_closes_with_4008_and_the_session_stays_resumable)
{
    struct session s = in_state(SESSION_LIVE); // its identify was the first
    for (uint32_t i = 1; i < SESSION_EVENTS; i++) {
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_BEAT}, 100), OK);
        CHECK_EQ(fx.v[0].kind, SESSION_FX_ACK);
    }
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_BEAT}, 100), OK);
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_CLOSE && fx.v[0].code == 4008 && s.state == SESSION_DETACHED);
    session_fini(&s);
}

TEST(the_limit_holds_before_identify_and_is_over_after_a_minute)
{
    struct session s = in_state(SESSION_HELLO);
    for (uint32_t i = 0; i < SESSION_EVENTS; i++)
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_BEAT}, 0), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_BEAT}, SESSION_EVENTS_MS), OK);
    CHECK_EQ(fx.v[0].kind, SESSION_FX_ACK);
    for (uint32_t i = 0; i < SESSION_EVENTS; i++)
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_BEAT}, SESSION_EVENTS_MS + 1), OK);
    CHECK_TRUE(fx.v[0].code == 4008 && s.state == SESSION_GONE);
}

TEST(a_heartbeat_puts_the_deadline_off)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(session_deadline(&s), BEAT_MS);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_BEAT}, 40000), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_TICK}, BEAT_MS), OK);
    CHECK_TRUE(fx.n == 0 && s.state == SESSION_LIVE);
    CHECK_EQ(session_deadline(&s), 40000 + BEAT_MS);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_TICK}, 40000 + BEAT_MS), OK);
    CHECK_TRUE(fx.v[0].code == 4009 && s.state == SESSION_DETACHED);
    session_fini(&s);
}

TEST(only_a_close_for_good_ends_a_live_session_at_once)
{
    static const struct {
        uint16_t code;
        enum session_state next;
    } rows[] = {{1000, SESSION_GONE},     {1001, SESSION_GONE},     {1005, SESSION_DETACHED}, {1006, SESSION_DETACHED},
                {4000, SESSION_DETACHED}, {4200, SESSION_DETACHED}, {1011, SESSION_DETACHED}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct session s = in_state(SESSION_LIVE);
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOST, .code = rows[i].code}, 10), OK);
        CHECK_EQ(s.state, rows[i].next);
        if (s.state == SESSION_DETACHED)
            CHECK_EQ(session_deadline(&s), 10 + rules.resume_window_ms);
        session_fini(&s);
    }
}

TEST(a_token_minted_after_the_revocation_keeps_its_session)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_REVOKED, .before_ms = ISSUED}, 0), OK);
    CHECK_TRUE(fx.n == 0 && s.state == SESSION_LIVE);
    session_fini(&s);
}

// --- voice ---

static bool ended_with(bool tell)
{
    return fx.n > 0 && fx.v[fx.n - 1].kind == SESSION_FX_END && fx.v[fx.n - 1].tell == tell;
}

TEST(one_voice_command_is_under_way_at_a_time_and_the_others_follow_in_order)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(voice(&s, 1), OK);
    CHECK_TRUE(fx.n == 1 && s.voice[0].channel == 1);
    CHECK_EQ(voice(&s, 2), OK);
    CHECK_EQ(voice(&s, 3), OK);
    CHECK_EQ(fx.n, 0);
    for (uint64_t channel = 2; channel <= 3; channel++) {
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_ANSWERED}, 0), OK);
        CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_OURS && s.voice[0].channel == channel);
    }
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_ANSWERED}, 0), OK);
    CHECK_EQ(fx.n, 0);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_ANSWERED}, 0), ERR_STATE);
    session_fini(&s);
}

TEST(of_too_many_voice_updates_the_oldest_that_waits_is_dropped)
{
    struct session s = in_state(SESSION_LIVE);
    for (uint64_t channel = 1; channel <= SESSION_VOICE_MAX + 4; channel++)
        CHECK_EQ(voice(&s, channel), OK);
    CHECK_EQ(s.n_voice, SESSION_VOICE_MAX + 1);
    CHECK_EQ(s.voice[0].channel, 1);
    CHECK_EQ(s.voice[1].channel, 5);
    CHECK_EQ(s.voice[SESSION_VOICE_MAX].channel, SESSION_VOICE_MAX + 4);
    session_fini(&s);
}

// What it said last about the voice state that it sits by, and has had no answer to, is what is said again; when that
// is to go elsewhere, the seat is said if it may not.
TEST(who_was_not_told_of_his_voice_server_says_the_same_again)
{
    static const struct {
        bool bot;
        uint64_t guild, channel; // said before, under way; channel 0: nothing
        uint32_t n;              // in the list then
        bool mute, if_refused;   // of the last
    } t[] = {
        {.n = 1, .mute = true},
        {.guild = 5, .channel = 7, .n = 2},
        {.guild = 5, .channel = 8, .n = 2, .mute = true, .if_refused = true},
        {.guild = 6, .channel = 8, .n = 2, .mute = true, .if_refused = true},
        {.bot = true, .guild = 6, .channel = 8, .n = 2, .mute = true},
        {.bot = true, .guild = 5, .channel = 8, .n = 2, .mute = true, .if_refused = true},
    };
    const struct voice_item seat = {.guild = 5, .channel = 7, .self_mute = true};
    for (size_t i = 0; i < countof(t); i++) {
        struct session s = in_state(SESSION_LIVE);
        struct op op = voice_op(t[i].channel);
        s.bot = t[i].bot;
        op.voice.guild_id = t[i].guild;
        if (t[i].channel)
            CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_VOICE, .op = &op}, 0), OK);
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_UNSERVED, .seat = &seat}, 9), OK);
        CHECK_TRUE(s.n_voice == t[i].n && s.voiced && s.voice_sent);
        const struct voice_item *last = &s.voice[s.n_voice - 1];
        CHECK_EQ(last->self_mute, t[i].mute);
        CHECK_EQ(last->channel, 7);
        CHECK_EQ(last->if_refused, t[i].if_refused);
        session_fini(&s);
    }
}

TEST(who_leaves_says_nothing_again)
{
    const struct voice_item seat = {.guild = 5, .channel = 7};
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(voice(&s, 0), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_UNSERVED, .seat = &seat}, 9), OK);
    CHECK_EQ(s.n_voice, 1);
    session_fini(&s);
}

static int answered(struct session *s, int err)
{
    return step(s, (struct session_in){.kind = SESSION_IN_ANSWERED, .err = err}, 0);
}

TEST(a_seat_is_said_again_when_all_that_would_leave_it_is_refused_and_not_otherwise)
{
    const struct voice_item seat = {.guild = 0, .channel = 7};
    static const struct {
        int first, second;
        bool again;
    } t[] = {{API_MISSING_PERMISSIONS, API_UNKNOWN_CHANNEL, true},
             {OK, API_MISSING_PERMISSIONS, false},
             {API_MISSING_PERMISSIONS, OK, false}};
    for (size_t i = 0; i < countof(t); i++) {
        struct session s = in_state(SESSION_LIVE);
        CHECK_EQ(voice(&s, 8), OK);
        CHECK_EQ(voice(&s, 9), OK);
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_UNSERVED, .seat = &seat}, 0), OK);
        CHECK_EQ(s.n_voice, 3);
        CHECK_EQ(answered(&s, t[i].first), OK);
        CHECK_EQ(s.voice[0].channel, 9);
        CHECK_EQ(answered(&s, t[i].second), OK);
        CHECK_EQ(s.n_voice, t[i].again);
        CHECK_TRUE(!t[i].again || (s.voice[0].channel == 7 && s.voice_sent));
        session_fini(&s);
    }
}

TEST(what_a_bot_is_answered_in_one_guild_says_nothing_of_another)
{
    const struct voice_item seat = {.guild = 5, .channel = 7};
    struct session s = in_state(SESSION_LIVE);
    struct op other = voice_op(3), here = voice_op(8);
    s.bot = true;
    other.voice.guild_id = 6;
    here.voice.guild_id = 5;
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_VOICE, .op = &other}, 0), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_VOICE, .op = &here}, 0), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_UNSERVED, .seat = &seat}, 0), OK);
    CHECK_EQ(answered(&s, OK), OK);
    CHECK_TRUE(s.n_voice == 2 && s.voice[1].if_refused);
    CHECK_EQ(answered(&s, OK), OK);
    CHECK_EQ(s.n_voice, 0);
    session_fini(&s);
}

TEST(voice_goes_on_while_the_socket_is_lost)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(voice(&s, 1), OK);
    CHECK_EQ(voice(&s, 2), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOST, .code = 1006}, 0), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_ANSWERED}, 0), OK);
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_OURS && s.voice[0].channel == 2);
    session_fini(&s);
}

static int ours(struct session *s, uint64_t now)
{
    return step(s, (struct session_in){.kind = SESSION_IN_OURS}, now);
}

static int unanswered(struct session *s, uint64_t now)
{
    return step(s, (struct session_in){.kind = SESSION_IN_ANSWERED, .err = ERR_TIMEOUT}, now);
}

TEST(a_voice_command_has_the_time_that_is_left_of_it)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(voice(&s, 1), OK);
    CHECK_EQ(ours(&s, 4000), OK);
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_VOICE && fx.v[0].ms == SESSION_VOICE_MS - 4000);
    session_fini(&s);
}

TEST(a_join_that_could_not_be_passed_on_in_time_is_never_passed_on)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(voice(&s, 1), OK);
    CHECK_EQ(voice(&s, 2), OK);
    CHECK_EQ(ours(&s, SESSION_VOICE_MS), OK);
    CHECK_TRUE(fx.n == 0 && s.n_voice == 0 && !s.voice_sent);
    CHECK_EQ(voice(&s, 3), OK); // and the next one is as if nothing had been
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_OURS);
    CHECK_EQ(ours(&s, 1), OK);
    CHECK_EQ(unanswered(&s, SESSION_VOICE_MS), OK);
    CHECK_TRUE(fx.n == 0 && s.n_voice == 0);
    session_fini(&s);
}

TEST(a_leave_is_passed_on_however_long_it_takes)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(voice(&s, 1), OK);
    CHECK_EQ(voice(&s, 0), OK);
    CHECK_EQ(voice(&s, 2), OK);
    CHECK_EQ(ours(&s, 10 * SESSION_VOICE_MS), OK);
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_VOICE && fx.v[0].ms == SESSION_VOICE_MS);
    CHECK_EQ(s.voice[0].channel, 0);
    CHECK_EQ(unanswered(&s, 11 * SESSION_VOICE_MS), OK); // nobody heard it: again, once it is known that we may
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_OURS && s.voice[0].channel == 0);
    CHECK_EQ(ours(&s, 11 * SESSION_VOICE_MS), OK);
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_VOICE);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_ANSWERED}, 11 * SESSION_VOICE_MS), OK);
    CHECK_TRUE(fx.n == 1 && s.n_voice == 1); // the join behind it is asked about, and is too late
    CHECK_EQ(ours(&s, 11 * SESSION_VOICE_MS), OK);
    CHECK_TRUE(fx.n == 0 && s.n_voice == 0);
    session_fini(&s);
}

TEST(the_ranked_regions_are_taken_else_the_one_region)
{
    struct session s = in_state(SESSION_LIVE);
    struct op op = voice_op(1);
    const struct bytes many[] = {BYTES("b"), BYTES(""), BYTES("c")};
    op.voice.preferred_region = BYTES("a");
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_VOICE, .op = &op}, 0), OK);
    op.voice.preferred_regions = (struct texts){3, many};
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_VOICE, .op = &op}, 0), OK);
    CHECK_EQ(s.voice[0].n_regions, 1);
    CHECK_STR(s.voice[0].regions[0], "a");
    CHECK_EQ(s.voice[1].n_regions, 2);
    CHECK_STR(s.voice[1].regions[1], "c");
    session_fini(&s);
}

TEST(the_list_of_voice_updates_is_there_only_while_one_is)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_TRUE(s.voice == NULL);
    CHECK_EQ(voice(&s, 1), OK);
    CHECK_EQ(voice(&s, 2), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_ANSWERED}, 0), OK);
    CHECK_TRUE(s.voice != NULL && s.n_voice == 1);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_ANSWERED}, 0), OK);
    CHECK_TRUE(s.voice == NULL && s.n_voice == 0);
    session_fini(&s);
}

TEST(others_are_told_of_the_end_only_when_there_was_voice)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOST, .code = 1000}, 0), OK);
    CHECK_TRUE(ended_with(false));
    s = in_state(SESSION_LIVE);
    CHECK_EQ(voice(&s, 1), OK);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOST, .code = 1000}, 0), OK);
    CHECK_TRUE(ended_with(true));
    session_fini(&s);
}

// --- events and resume ---

struct resumed {
    struct session fresh, old;
    struct session_fxs mine, theirs;
};

// `state` is the old session's, which has sent READY and then `events` more. The store has the last four of them.
static void resume(struct resumed *r, enum session_state state, uint64_t events, uint64_t seq, uint64_t user)
{
    session_init(&r->fresh, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", CONN + 1, 10, &rules, 0);
    CHECK_EQ(want(&r->fresh, seq, user, 0), OK);
    r->old = in_state(state);
    for (uint64_t i = 0; i < events; i++)
        dispatch(&r->old, state == SESSION_LIVE);
    struct session_held held = {r->old.kept + 1 - (events < 4 ? events : 4), r->old.kept};
    session_resume(&r->fresh, &r->old, held, &rules, 50, &r->mine, &r->theirs);
}

static void resume_fini(struct resumed *r)
{
    session_fini(&r->fresh);
    session_fini(&r->old);
}

TEST(events_are_numbered_from_ready_on_also_while_detached)
{
    struct session s = in_state(SESSION_LIVE);
    CHECK_EQ(s.seq, 1);
    dispatch(&s, true);
    CHECK_EQ(s.seq, 2);
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_LOST, .code = 1006}, 0), OK);
    dispatch(&s, false);
    CHECK_EQ(s.seq, 3);
    session_fini(&s);
}

TEST(a_detached_session_is_taken_up_by_the_new_socket)
{
    struct resumed r;
    resume(&r, SESSION_DETACHED, 3, 2, USER);
    CHECK_TRUE(r.mine.n == 1 && r.mine.v[0].kind == SESSION_FX_END && !r.mine.v[0].tell);
    CHECK_TRUE(r.theirs.n == 1 && r.theirs.v[0].kind == SESSION_FX_REPLAY && r.theirs.v[0].seq == 2);
    CHECK_TRUE(r.fresh.state == SESSION_GONE && r.old.state == SESSION_LIVE);
    CHECK_TRUE(r.old.line.conn == CONN + 1 && r.old.line.v == 10);
    CHECK_EQ(r.old.line.rate.used, 1);
    CHECK_STR(r.old.id, id);
    resume_fini(&r);
}

TEST(a_live_session_is_taken_over_from_its_old_socket)
{
    struct resumed r;
    resume(&r, SESSION_LIVE, 1, 2, USER);
    CHECK_TRUE(r.theirs.n == 2 && r.theirs.v[0].kind == SESSION_FX_CLOSE && r.theirs.v[0].conn == CONN);
    CHECK_EQ(r.theirs.v[1].kind, SESSION_FX_REPLAY);
    CHECK_EQ(r.old.line.conn, CONN + 1);
    resume_fini(&r);
}

TEST(nobody_resumes_what_is_not_theirs)
{
    for (enum session_state state = SESSION_LIVE; state <= SESSION_DETACHED; state++) {
        struct resumed r;
        resume(&r, state, 0, 1, USER + 1);
        CHECK_TRUE(r.mine.n == 1 && r.mine.v[0].kind == SESSION_FX_INVALID && r.mine.v[0].conn == CONN + 1);
        CHECK_TRUE(r.theirs.n == 0 && r.fresh.state == SESSION_HELLO && r.old.state == state);
        CHECK_EQ(identify(&r.fresh, 0), OK); // the socket is still good
        CHECK_EQ(r.fresh.state, SESSION_LOADING);
        resume_fini(&r);
    }
}

TEST(what_cannot_be_a_session_or_a_token_is_invalid_at_once)
{
    static const char *const ids[] = {"", "30f32c5d54ae86130fc4a215c747426", "30f32c5d54ae86130fc4a215c747426G"};
    struct session s = in_state(SESSION_HELLO);
    struct op op = resume_op(1);
    for (size_t i = 0; i < countof(ids); i++) {
        op.resume.session_id = bytes_of(ids[i]);
        CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_RESUME, .op = &op, .user = USER}, 0), OK);
        CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_INVALID && s.state == SESSION_HELLO);
    }
    CHECK_EQ(want(&s, 1, 0, 0), OK);
    CHECK_TRUE(fx.n == 1 && fx.v[0].kind == SESSION_FX_INVALID && s.state == SESSION_HELLO);
}

TEST(when_the_store_cannot_be_asked_the_client_comes_again)
{
    struct session s = in_state(SESSION_TAKING);
    CHECK_STR(s.wanted, id);
    CHECK_TRUE(s.wanted_seq == 1 && session_waits(&s));
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_TAKEN, .err = ERR_IO}, 0), OK);
    CHECK_TRUE(fx.v[0].kind == SESSION_FX_CLOSE && fx.v[0].code == 4000 && s.state == SESSION_GONE);
}

TEST(a_number_that_was_never_sent_closes_with_4007_and_harms_nobody)
{
    struct resumed r;
    resume(&r, SESSION_DETACHED, 1, 3, USER);
    CHECK_TRUE(r.mine.v[0].kind == SESSION_FX_CLOSE && r.mine.v[0].code == 4007 && r.mine.v[0].conn == CONN + 1);
    CHECK_EQ(r.old.state, SESSION_DETACHED);
    resume_fini(&r);
}

TEST(what_the_store_has_lost_cannot_be_resumed_but_for_those_who_lack_nothing)
{
    for (uint64_t seq = 3; seq <= 4; seq++) {
        struct resumed r;
        session_init(&r.fresh, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", CONN + 1, 10, &rules, 0);
        r.old = in_state(SESSION_DETACHED);
        for (int i = 0; i < 3; i++)
            dispatch(&r.old, false);
        CHECK_EQ(want(&r.fresh, seq, USER, 0), OK);
        session_resume(&r.fresh, &r.old, (struct session_held){2, 3}, &rules, 0, &r.mine, &r.theirs);
        CHECK_EQ(r.old.state, seq == 4 ? SESSION_LIVE : SESSION_GONE);
        CHECK_EQ(r.mine.v[0].kind, seq == 4 ? SESSION_FX_END : SESSION_FX_INVALID);
        resume_fini(&r);
    }
}

TEST(what_fell_out_of_the_replay_cannot_be_resumed)
{
    struct resumed r;
    resume(&r, SESSION_DETACHED, 6, 2, USER); // numbers 4 to 7 are held
    CHECK_TRUE(r.mine.n == 1 && r.mine.v[0].kind == SESSION_FX_INVALID && r.fresh.state == SESSION_HELLO);
    CHECK_TRUE(r.theirs.n == 1 && r.theirs.v[0].kind == SESSION_FX_END && r.old.state == SESSION_GONE);
    resume_fini(&r);
    resume(&r, SESSION_LIVE, 6, 2, USER); // somebody else may still be at it
    CHECK_TRUE(r.theirs.n == 0 && r.old.state == SESSION_LIVE);
    resume_fini(&r);
    resume(&r, SESSION_DETACHED, 6, 3, USER);
    CHECK_EQ(r.old.state, SESSION_LIVE);
    resume_fini(&r);
}

TEST(a_malformed_resume_closes_with_4002)
{
    struct session s = in_state(SESSION_HELLO);
    struct op op = resume_op(1);
    op.malformed = true;
    CHECK_EQ(step(&s, (struct session_in){.kind = SESSION_IN_RESUME, .op = &op}, 0), OK);
    CHECK_TRUE(fx.v[0].code == 4002 && s.state == SESSION_GONE);
}

TEST(what_is_not_kept_is_neither_replayed_nor_a_number_that_was_sent)
{
    struct resumed r;
    for (uint64_t seq = 2; seq <= 3; seq++) {
        session_init(&r.fresh, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", CONN + 1, 10, &rules, 0);
        r.old = in_state(SESSION_DETACHED);
        dispatch(&r.old, false);
        (void)session_dispatch(&r.old);
        CHECK_TRUE(r.old.kept == 2 && r.old.seq == 3);
        CHECK_EQ(want(&r.fresh, seq, USER, 0), OK);
        session_resume(&r.fresh, &r.old, (struct session_held){2, 3}, &rules, 0, &r.mine, &r.theirs);
        CHECK_EQ(r.old.state, seq == 2 ? SESSION_LIVE : SESSION_DETACHED);
        CHECK_EQ(r.mine.v[0].kind, seq == 2 ? SESSION_FX_END : SESSION_FX_CLOSE);
        resume_fini(&r);
    }
}

// --- from another gateway ---

TEST(a_session_is_revived_as_it_was_and_goes_on_with_its_numbers)
{
    struct session was = in_state(SESSION_LIVE);
    was.bot = true;
    was.large = 100;
    struct session_past past = {id, session_record(&was), {6, 7}};
    struct resumed r;
    CHECK_EQ(session_past_valid(&past), OK);
    session_revive(&r.old, &past, &rules, 1000);
    CHECK_TRUE(r.old.state == SESSION_DETACHED && r.old.key == was.key && r.old.user == USER && r.old.voiced);
    CHECK_TRUE(r.old.issued_ms == ISSUED && r.old.capabilities == 22525 && r.old.intents == 129 && r.old.has_intents);
    CHECK_TRUE(r.old.seq == 7 && r.old.kept == 7 && r.old.shards == 1 && session_large(&r.old) == 100);
    CHECK_EQ(session_deadline(&r.old), 1000 + rules.resume_window_ms);
    session_init(&r.fresh, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", CONN + 1, 10, &rules, 0);
    CHECK_EQ(want(&r.fresh, 6, USER, 0), OK);
    session_resume(&r.fresh, &r.old, past.held, &rules, 1000, &r.mine, &r.theirs);
    CHECK_TRUE(r.theirs.n == 1 && r.theirs.v[0].kind == SESSION_FX_REPLAY && r.theirs.v[0].seq == 6);
    dispatch(&r.old, true);
    CHECK_EQ(r.old.seq, 8);
    resume_fini(&r);
    session_fini(&was);
}

TEST(what_no_gateway_of_ours_wrote_is_not_revived)
{
    const struct session_rec good = {.user = USER, .shards = 2, .shard = 1};
    struct session_rec none = good, beyond = good, many = good, nobody = good, place = good;
    none.shards = 0;
    beyond.shard = 2;
    many.shards = SHARDS_MAX + 1ull;
    nobody.user = 0;
    place.user = 1ull << 63;
    const struct {
        struct session_past past;
        int want;
    } rows[] = {
        {{id, good, {2, 3}}, OK},           {{id, good, {2, 1}}, OK},
        {{id, good, {0, 0}}, ERR_INVALID},  {{id, good, {1, 2}}, ERR_INVALID},
        {{id, good, {4, 2}}, ERR_INVALID},  {{id, good, {2, UINT64_MAX}}, ERR_INVALID},
        {{id, none, {2, 3}}, ERR_INVALID},  {{id, beyond, {2, 3}}, ERR_INVALID},
        {{id, many, {2, 3}}, ERR_INVALID},  {{id, nobody, {2, 3}}, ERR_INVALID},
        {{id, place, {2, 3}}, ERR_INVALID},
    };
    for (size_t i = 0; i < countof(rows); i++)
        CHECK_EQ(session_past_valid(&rows[i].past), rows[i].want);
}

MAIN
