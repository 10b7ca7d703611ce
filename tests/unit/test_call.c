// call: transitions A to L one by one, and every pair (state, input) that is refused, by table.
#include "call.h"
#include "check.h"
#include "errors.h"

enum { CHANNEL = 900, ADA = 11, BEN = 22, CLEO = 33, DAN = 44 };

static const struct call_rules rules = {.ring_ms = 60000, .server_delay_ms = 100};
static struct call_fxs fx;
static uint64_t now = 1000;

static struct call_place dm(void)
{
    return (struct call_place){.channel = CHANNEL, .type = 1, .n_recipients = 2, .recipients = {ADA, BEN}};
}

static struct call_place group(void)
{
    return (struct call_place){
        .channel = CHANNEL, .type = 3, .owner = ADA, .n_recipients = 3, .recipients = {ADA, BEN, CLEO}};
}

static int step(struct call_place *p, struct call_in in)
{
    struct call_place before = *p;
    const struct call_seat *seat = call_seat_of(p, in.user);
    if (in.kind == CALL_IN_ASSIGNED && in.asked_at == 0 && seat) // the answer to the last ask
        in.asked_at = seat->server_at - CALL_RETRY_MS;
    int err = call_step(p, &in, &rules, now, &fx);
    CHECK_TRUE(call_valid(p));
    if (err != OK) {
        CHECK_EQ(fx.n, 0);
        CHECK_TRUE(memcmp(&before, p, sizeof before) == 0);
    }
    return err;
}

static struct call_in join(uint64_t user, const char *session)
{
    return (struct call_in){.kind = CALL_IN_JOIN,
                            .user = user,
                            .session = session,
                            .gateway = "gw-1",
                            .epoch = 1,
                            .region = "rotterdam",
                            .new_id = 901};
}

static struct call_in leave(uint64_t user, const char *session)
{
    return (struct call_in){.kind = CALL_IN_LEAVE, .user = user, .session = session};
}

static struct call_in moved(uint64_t user, const char *session, const char *gateway)
{
    return (struct call_in){.kind = CALL_IN_MOVED, .user = user, .session = session, .gateway = gateway};
}

static struct call_in target(enum call_in_kind kind, uint64_t user, uint64_t who)
{
    return (struct call_in){.kind = kind,
                            .user = user,
                            .everybody = kind == CALL_IN_RING && !who,
                            .n_targets = who ? 1 : 0,
                            .targets = {who}};
}

static struct call_in assigned(uint64_t user, const char *session, const char *node, const char *endpoint)
{
    return (struct call_in){.kind = CALL_IN_ASSIGNED,
                            .user = user,
                            .session = session,
                            .node = node,
                            .region = "rotterdam",
                            .endpoint = endpoint,
                            .token = "04cfd23059d5dfcb"};
}

// The kinds of what was emitted, as one word: m M created and updated message, c u d call, + - voice state, s server,
// n null server, A R asks, a r recipient, C channel.
static const char *told(void)
{
    static char text[CALL_FX_MAX + 1];
    for (uint32_t i = 0; i < fx.n; i++) {
        const struct call_fx *e = &fx.v[i];
        text[i] = "mMcud+sarCAR"[e->kind];
        if (e->kind == CALL_FX_VOICE_STATE && e->flag)
            text[i] = '-';
        if (e->kind == CALL_FX_VOICE_SERVER && !e->endpoint[0])
            text[i] = 'n';
        if (e->kind == CALL_FX_CALL_DELETE && e->flag)
            text[i] = 'x';
    }
    text[fx.n] = '\0';
    return text;
}

// Ada sits alone; with a server when `sent`.
static struct call_place started(bool sent)
{
    struct call_place p = group();
    CHECK_EQ(step(&p, join(ADA, "s-ada")), OK);
    if (sent)
        CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-1", "127.0.0.1:443")), OK);
    return p;
}

static struct call_place both(void)
{
    struct call_place p = started(true);
    CHECK_EQ(step(&p, join(BEN, "s-ben")), OK);
    CHECK_EQ(step(&p, assigned(BEN, "s-ben", "node-1", "127.0.0.1:443")), OK);
    return p;
}

TEST(the_first_one_in_starts_the_call_in_the_captured_order)
{
    struct call_place p = dm();
    CHECK_EQ(step(&p, join(ADA, "s-ada")), OK);
    CHECK_STR(told(), "mc+A");
    CHECK_EQ(fx.v[1].n_seats, 0);
    CHECK_EQ(fx.v[3].at, now + rules.server_delay_ms);
    CHECK_EQ(p.id, 901);
    CHECK_EQ(p.participants[0], ADA);
    CHECK_STR(p.region, "rotterdam");
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-1", "127.0.0.1:443")), OK);
    CHECK_STR(told(), "s");
    CHECK_STR(fx.v[0].session, "s-ada");
    CHECK_EQ(call_deadline(&p), 0);
}

// As captured: who joined muted, and leaves by an op 4 that says unmuted, is shown as the second says.
TEST(a_leave_is_told_with_the_flags_of_the_op_4_that_it_came_by)
{
    static const struct {
        const char *gateway;
        bool mute;                                               // as told
    } rows[] = {{"gateway-1", false}, {"", true}, {NULL, true}}; // of the others nobody said anything
    for (size_t i = 0; i < countof(rows); i++) {
        struct call_place p = both();
        struct call_in in = join(BEN, "s-ben"), out = leave(BEN, "s-ben");
        in.self_mute = true;
        out.gateway = rows[i].gateway;
        out.self_deaf = true;
        CHECK_EQ(step(&p, in), OK);
        CHECK_EQ(step(&p, out), OK);
        CHECK_STR(told(), "-");
        CHECK_EQ(fx.v[0].self_mute, rows[i].mute);
        CHECK_EQ(fx.v[0].self_deaf, !rows[i].mute);
    }
}

TEST(another_one_in_grows_the_participants_once)
{
    struct call_place p = started(true);
    CHECK_EQ(step(&p, join(BEN, "s-ben")), OK);
    CHECK_STR(told(), "M+A");
    CHECK_EQ(fx.v[0].n_participants, 2);
    CHECK_EQ(step(&p, leave(BEN, "s-ben")), OK);
    CHECK_STR(told(), "-");
    CHECK_EQ(step(&p, join(BEN, "s-ben")), OK);
    CHECK_STR(told(), "+A");
    CHECK_EQ(p.n_participants, 2);
}

TEST(who_answers_is_no_longer_rung)
{
    struct call_place p = started(true);
    CHECK_EQ(step(&p, target(CALL_IN_RING, ADA, 0)), OK);
    CHECK_STR(told(), "u");
    CHECK_EQ(p.n_rings, 2);
    CHECK_EQ(p.rings[0].by, ADA);
    CHECK_EQ(step(&p, join(BEN, "s-ben")), OK);
    CHECK_STR(told(), "uM+A");
    CHECK_EQ(fx.v[0].n_rings, 1);
    CHECK_EQ(fx.v[0].rings[0].user, CLEO);
}

TEST(a_ring_is_declined_or_cancelled)
{
    struct call_place p = started(true);
    CHECK_EQ(step(&p, target(CALL_IN_RING, ADA, BEN)), OK);
    CHECK_EQ(p.n_rings, 1);
    CHECK_EQ(step(&p, target(CALL_IN_STOP, BEN, 0)), OK);
    CHECK_STR(told(), "u");
    CHECK_EQ(p.n_rings, 0);
    CHECK_EQ(step(&p, target(CALL_IN_RING, ADA, 0)), OK);
    CHECK_EQ(step(&p, target(CALL_IN_STOP, ADA, CLEO)), OK);
    CHECK_EQ(p.rings[0].user, BEN);
}

TEST(a_ring_ends_by_itself)
{
    struct call_place p = started(true);
    CHECK_EQ(step(&p, target(CALL_IN_RING, ADA, BEN)), OK);
    CHECK_EQ(call_deadline(&p), now + 60000);
    now += 59999;
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_TICK}), ERR_STATE);
    now += 1;
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_TICK}), OK);
    CHECK_STR(told(), "u");
    CHECK_EQ(call_deadline(&p), 0);
}

TEST(flags_are_one_voice_state_and_no_new_server)
{
    struct call_place p = started(true);
    struct call_in in = join(ADA, "s-ada");
    in.self_mute = true;
    CHECK_EQ(step(&p, in), OK);
    CHECK_STR(told(), "+");
    CHECK_TRUE(fx.v[0].self_mute);
}

TEST(the_seat_is_of_the_newest_claim_whatever_else_is_said_with_it)
{
    struct call_place p = started(true);
    struct call_in in = join(ADA, "s-ada");
    in.self_mute = true;
    in.epoch = 7;
    CHECK_EQ(step(&p, in), OK);
    CHECK_EQ(call_seat_of(&p, ADA)->epoch, 7); // an older claim's undoing must not take it
}

TEST(saying_the_same_again_asks_for_a_fresh_server)
{
    struct call_place p = started(true);
    CHECK_EQ(step(&p, join(ADA, "s-ada")), OK);
    CHECK_STR(told(), "+A");
}

TEST(the_last_one_out_ends_the_call_in_the_captured_order)
{
    struct call_place p = both();
    CHECK_EQ(step(&p, target(CALL_IN_RING, ADA, CLEO)), OK);
    CHECK_EQ(step(&p, leave(ADA, "s-ada")), OK);
    CHECK_STR(told(), "-");
    CHECK_EQ(step(&p, leave(BEN, "s-ben")), OK);
    CHECK_STR(told(), "-MdR");
    CHECK_EQ(fx.v[1].ended_at, now);
    CHECK_EQ(fx.v[1].n_participants, 2);
    CHECK_EQ(p.id, 0);
    CHECK_EQ(p.n_rings, 0);
    CHECK_EQ(call_deadline(&p), 0);
}

TEST(a_second_client_of_the_same_user_takes_over)
{
    struct call_place p = started(true);
    CHECK_EQ(step(&p, join(ADA, "s-phone")), OK);
    CHECK_STR(told(), "+A");
    CHECK_STR(fx.v[0].session, "s-phone");
    CHECK_EQ(p.n_seats, 1);
    CHECK_EQ(step(&p, leave(ADA, "s-ada")), ERR_STATE);
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-1", "x:1")), ERR_STATE);
    CHECK_EQ(step(&p, leave(ADA, "s-phone")), OK);
}

TEST(who_only_changes_his_flags_does_not_sit_down_again)
{
    struct call_place p = both();
    struct call_in in = join(ADA, "s-ada");
    in.stays = in.self_mute = true;
    CHECK_EQ(step(&p, in), OK);
    CHECK_STR(told(), "+");
    in.epoch++;
    CHECK_EQ(step(&p, in), ERR_MISSING); // the claim that holds is another one
    in.epoch--;
    CHECK_EQ(step(&p, join(ADA, "s-phone")), OK);
    CHECK_EQ(step(&p, in), ERR_MISSING); // the seat is another session's by now
    CHECK_EQ(step(&p, leave(ADA, "s-phone")), OK);
    CHECK_EQ(step(&p, in), ERR_MISSING);
}

TEST(a_session_that_was_resumed_elsewhere_does_not_fall_with_its_first_gateway)
{
    struct call_place p = started(true);
    struct call_in in = join(ADA, "s-ada");
    in.gateway = "gw-2";
    in.self_mute = true;
    CHECK_EQ(step(&p, in), OK);
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw-1"}), ERR_STATE);
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw-2"}), OK);
}

TEST(a_stale_epoch_neither_sits_down_nor_survives)
{
    struct call_place p = started(true);
    struct call_in in = join(ADA, "s-phone");
    in.epoch = 0;
    CHECK_EQ(step(&p, in), ERR_STATE);
    in = leave(ADA, "");
    in.epoch = 1;
    CHECK_EQ(step(&p, in), ERR_STATE);
    in.epoch = 2;
    CHECK_EQ(step(&p, in), OK);
    CHECK_STR(told(), "-MdR");
}

TEST(a_chosen_region_moves_everybody)
{
    struct call_place p = both();
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_REGION, .user = BEN, .region = "frankfurt"}), OK);
    CHECK_STR(told(), "uAA");
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-1", "127.0.0.1:443")), ERR_STATE); // asked before the choice
    struct call_in in = assigned(ADA, "s-ada", "node-9", "127.0.0.9:443");
    in.region = "frankfurt";
    CHECK_EQ(step(&p, in), OK);
    CHECK_STR(told(), "s");
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_REGION, .user = BEN, .region = "frankfurt"}), ERR_STATE);
}

TEST(choosing_the_region_that_the_call_is_in_moves_nobody)
{
    struct call_place p = both();
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_REGION, .user = BEN, .region = "rotterdam"}), OK);
    CHECK_STR(told(), "u");
    CHECK_TRUE(p.region_chosen);
}

TEST(an_assignment_elsewhere_than_guessed_tells_the_region)
{
    struct call_place p = started(false);
    struct call_in in = assigned(ADA, "s-ada", "node-9", "127.0.0.9:443");
    in.region = "frankfurt";
    CHECK_EQ(step(&p, in), OK);
    CHECK_STR(told(), "us");
}

TEST(a_lost_server_is_null_at_once_and_replaced_when_there_is_another)
{
    struct call_place p = both();
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_SERVER_LOST, .node = "node-1"}), OK);
    CHECK_STR(told(), "nnAA");
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-2", "127.0.0.2:443")), OK);
    CHECK_STR(told(), "s");
    CHECK_EQ(step(&p, assigned(BEN, "s-ben", "node-2", "127.0.0.2:443")), OK);
    CHECK_EQ(call_deadline(&p), 0);
}

TEST(a_server_that_drains_is_left_for_another_and_nobody_is_told_that_there_is_none)
{
    struct call_place p = both();
    struct call_in drains = {.kind = CALL_IN_SERVER_LOST, .node = "node-1", .drains = true};
    CHECK_EQ(step(&p, drains), OK);
    CHECK_STR(told(), "AA");
    CHECK_EQ(step(&p, drains), ERR_STATE); // they are asked for already
    CHECK_STR(p.node, "node-1");           // it serves them until then
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-2", "127.0.0.2:443")), OK);
    CHECK_STR(told(), "s");
    CHECK_EQ(step(&p, assigned(BEN, "s-ben", "node-2", "127.0.0.2:443")), OK);
    CHECK_STR(told(), "s");
    CHECK_EQ(step(&p, drains), ERR_STATE); // not its node any more
    drains.node = "node-2";
    CHECK_EQ(step(&p, drains), OK);
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-2", "127.0.0.2:443")), OK); // there is no other: it stays
    CHECK_STR(told(), "s");
    p = (struct call_place){.channel = CHANNEL, .type = 1, .n_recipients = 1, .recipients = {ADA}};
    CHECK_EQ(step(&p, drains), ERR_MISSING);
}

TEST(who_has_been_gone_from_the_server_of_his_call_leaves_it)
{
    struct call_place p = both();
    struct call_in gone = leave(BEN, "s-ben");
    gone.channel = CHANNEL;
    gone.node = "node-2";
    CHECK_EQ(step(&p, gone), ERR_STATE); // he was sent to another since
    gone.node = "node-1";
    gone.channel = CHANNEL + 1;
    CHECK_EQ(step(&p, gone), ERR_STATE); // it was another call
    gone.channel = CHANNEL;
    gone.session = "s-old";
    CHECK_EQ(step(&p, gone), ERR_STATE); // another client of his has the seat
    gone.session = "s-ben";
    CHECK_EQ(step(&p, join(BEN, "s-ben")), OK);
    CHECK_EQ(step(&p, gone), ERR_STATE); // he has come back since, and is being sent there anew
    CHECK_EQ(step(&p, assigned(BEN, "s-ben", "node-1", "127.0.0.1:443")), OK);
    CHECK_EQ(step(&p, gone), OK);
    CHECK_STR(told(), "-");
    p = started(false); // on no node yet
    gone = leave(ADA, "s-ada");
    gone.channel = CHANNEL;
    gone.node = "node-1";
    CHECK_EQ(step(&p, gone), ERR_STATE);
}

TEST(a_lost_server_without_another_makes_the_call_unavailable_until_one_is_free)
{
    struct call_place p = both();
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_SERVER_LOST, .node = "node-1"}), OK);
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "", "")), OK);
    CHECK_STR(told(), "x");
    CHECK_EQ(step(&p, assigned(BEN, "s-ben", "", "")), OK);
    CHECK_STR(told(), "");
    CHECK_EQ(call_deadline(&p), now + CALL_POLL_MS);
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_SERVER_FREE}), OK);
    CHECK_STR(told(), "AA");
    CHECK_EQ(step(&p, assigned(BEN, "s-ben", "node-2", "127.0.0.2:443")), OK);
    CHECK_STR(told(), "cs");
    CHECK_EQ(fx.v[0].n_seats, 2);
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-2", "127.0.0.2:443")), OK);
    CHECK_STR(told(), "s");
}

TEST(what_his_client_has_said_something_else_after_comes_too_late)
{
    struct call_place p = group();
    struct call_in said = join(ADA, "s-ada"),
                   left = {.kind = CALL_IN_LEAVE, .user = ADA, .session = "s-ada", .gateway = "g"};
    said.hold = left.hold = 77;
    said.turn = 1;
    CHECK_EQ(step(&p, said), OK);
    left.turn = 2;
    said.turn = 3;
    said.self_mute = true;
    CHECK_EQ(step(&p, said), OK);
    CHECK_EQ(step(&p, left), ERR_STATE); // it lay somewhere
    said.turn = 2;
    said.self_mute = false;
    CHECK_EQ(step(&p, said), ERR_STATE);
    CHECK_TRUE(call_seat_of(&p, ADA)->self_mute);
    said.epoch++; // he is claimed for it: then it is where he is
    CHECK_EQ(step(&p, said), OK);
    left.hold = 78; // another gateway's, whose words are counted anew
    CHECK_EQ(step(&p, left), OK);
    CHECK_EQ(p.n_seats, 0);
}

TEST(of_an_unavailable_call_nothing_is_told_but_whom_it_rings_when_it_is_there_again)
{
    struct call_place p = both();
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_SERVER_LOST, .node = "node-1"}), OK);
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "", "")), OK);
    CHECK_STR(told(), "x");
    CHECK_EQ(step(&p, target(CALL_IN_RING, ADA, CLEO)), OK);
    CHECK_STR(told(), "");
    CHECK_EQ(p.n_rings, 1);
    now = p.rings[0].until;
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_TICK}), OK);
    CHECK_TRUE(!strchr(told(), 'u'));
    CHECK_EQ(p.n_rings, 0);
    CHECK_EQ(step(&p, target(CALL_IN_RING, ADA, CLEO)), OK);
    CHECK_EQ(step(&p, assigned(BEN, "s-ben", "node-2", "127.0.0.2:443")), OK);
    CHECK_STR(told(), "cs");
    CHECK_EQ(fx.v[0].n_rings, 1);
}

TEST(with_no_node_free_the_endpoint_is_null_first_and_real_later)
{
    struct call_place p = started(false);
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "", "")), OK);
    CHECK_STR(told(), "n");
    now += CALL_POLL_MS;
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_TICK}), OK);
    CHECK_STR(told(), "A");
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-1", "127.0.0.1:443")), OK);
    CHECK_STR(told(), "s");
}

TEST(an_unanswered_ask_is_asked_again)
{
    struct call_place p = started(false);
    CHECK_EQ(call_deadline(&p), now + rules.server_delay_ms + CALL_RETRY_MS);
    now = call_deadline(&p);
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_TICK}), OK);
    CHECK_STR(told(), "A");
}

TEST(the_answer_to_an_older_ask_is_void)
{
    struct call_place p = started(false);
    uint64_t first = p.seats[0].server_at - CALL_RETRY_MS, second;
    CHECK_EQ(step(&p, join(ADA, "s-ada")), OK); // in the same millisecond
    CHECK_STR(told(), "+A");
    second = fx.v[1].at;
    CHECK_TRUE(second != first);
    struct call_in in = assigned(ADA, "s-ada", "node-1", "127.0.0.1:443");
    in.asked_at = first;
    CHECK_EQ(step(&p, in), ERR_STATE);
    in.asked_at = second;
    CHECK_EQ(step(&p, in), OK);
    CHECK_STR(told(), "s");
    CHECK_EQ(step(&p, in), ERR_STATE);
}

TEST(a_node_that_is_lost_before_its_assignment_was_heard_of_is_not_handed_out)
{
    struct call_place p = started(false);
    struct call_in lost = {.kind = CALL_IN_SERVER_LOST, .node = "node-1"};
    CHECK_EQ(step(&p, lost), ERR_STATE); // nobody has asked yet
    now += rules.server_delay_ms;
    struct call_in in = assigned(ADA, "s-ada", "node-1", "127.0.0.1:443");
    in.asked_at = p.seats[0].server_at - CALL_RETRY_MS;
    now += 1;
    CHECK_EQ(step(&p, lost), OK);
    CHECK_STR(told(), "A");
    CHECK_EQ(step(&p, in), ERR_STATE);
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-2", "127.0.0.2:443")), OK);
    CHECK_STR(told(), "s");
}

TEST(a_lost_server_does_not_hurry_who_has_just_sat_down)
{
    struct call_place p = started(true);
    CHECK_EQ(step(&p, join(BEN, "s-ben")), OK);
    CHECK_STR(told(), "M+A");
    uint64_t at = fx.v[2].at;
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_SERVER_LOST, .node = "node-1"}), OK);
    CHECK_STR(told(), "nAA");
    CHECK_EQ(fx.v[1].at, now);
    CHECK_TRUE(fx.v[2].at >= at);
}

TEST(people_of_one_call_end_up_on_one_node)
{
    struct call_place p = both();
    CHECK_EQ(step(&p, join(CLEO, "s-cleo")), OK);
    CHECK_EQ(step(&p, assigned(CLEO, "s-cleo", "node-2", "127.0.0.2:443")), OK);
    CHECK_STR(told(), "sAA");
    CHECK_EQ(step(&p, assigned(ADA, "s-ada", "node-2", "127.0.0.2:443")), OK);
    CHECK_EQ(step(&p, assigned(BEN, "s-ben", "node-2", "127.0.0.2:443")), OK);
    CHECK_EQ(call_deadline(&p), 0);
}

TEST(a_lost_gateway_takes_its_sessions_along)
{
    struct call_place p = started(true);
    struct call_in in = join(BEN, "s-ben");
    in.gateway = "gw-2";
    CHECK_EQ(step(&p, in), OK);
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw-1"}), OK);
    CHECK_STR(told(), "-");
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw-1"}), ERR_STATE);
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw-2"}), OK);
    CHECK_STR(told(), "-MdR");
}

TEST(a_session_that_moved_is_not_lost_with_its_old_gateway)
{
    struct call_place p = started(true);
    CHECK_EQ(step(&p, moved(ADA, "s-ada", "gw-2")), OK);
    CHECK_STR(told(), "");
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw-1"}), ERR_STATE);
    CHECK_EQ(step(&p, (struct call_in){.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw-2"}), OK);
}

TEST(groups_gain_and_lose_recipients_during_a_call)
{
    struct call_place p = both();
    CHECK_EQ(step(&p, target(CALL_IN_ADD, BEN, DAN)), OK);
    CHECK_STR(told(), "a");
    CHECK_TRUE(call_is_recipient(&p, DAN));
    CHECK_EQ(step(&p, target(CALL_IN_RING, ADA, DAN)), OK);
    CHECK_EQ(step(&p, target(CALL_IN_REMOVE, ADA, DAN)), OK);
    CHECK_STR(told(), "ur");
    CHECK_EQ(step(&p, target(CALL_IN_REMOVE, ADA, BEN)), OK);
    CHECK_STR(told(), "-r");
    CHECK_EQ(step(&p, target(CALL_IN_REMOVE, ADA, ADA)), OK); // the owner goes: the next one owns
    CHECK_STR(told(), "-MdRrC");
    CHECK_EQ(p.owner, CLEO);
}

TEST(only_the_owner_removes_others_and_a_full_group_takes_nobody)
{
    struct call_place p = group();
    CHECK_EQ(step(&p, target(CALL_IN_REMOVE, BEN, CLEO)), API_MISSING_PERMISSIONS);
    CHECK_EQ(step(&p, target(CALL_IN_REMOVE, ADA, DAN)), API_INVALID_RECIPIENTS);
    for (uint64_t user = 100; p.n_recipients < CALL_MEMBERS_MAX; user++)
        CHECK_EQ(step(&p, target(CALL_IN_ADD, ADA, user)), OK);
    CHECK_EQ(step(&p, target(CALL_IN_ADD, ADA, DAN)), API_TOO_MANY_RECIPIENTS);
}

TEST(who_is_in_as_many_channels_as_may_be_is_not_put_in_another)
{
    struct call_place p = group();
    struct call_in in = target(CALL_IN_ADD, ADA, DAN), again = target(CALL_IN_ADD, ADA, BEN);
    in.full = again.full = true;
    CHECK_EQ(step(&p, in), API_TOO_MANY_GROUPS);
    CHECK_EQ(step(&p, again), ERR_STATE); // he is in this one already
}

TEST(participants_are_remembered_up_to_their_bound)
{
    struct call_place p = started(true);
    for (uint64_t user = 100; user < 100 + 2 * CALL_PARTICIPANTS_MAX; user++) {
        CHECK_EQ(step(&p, target(CALL_IN_ADD, ADA, user)), OK);
        CHECK_EQ(step(&p, join(user, "s")), OK);
        CHECK_EQ(step(&p, target(CALL_IN_REMOVE, ADA, user)), OK);
    }
    CHECK_EQ(p.n_participants, CALL_PARTICIPANTS_MAX);
}

// --- every pair (state, input) that changes nothing ---

enum state { NOWHERE, IDLE, STARTED, RUNNING, STATES };

static struct call_place in_state(enum state s)
{
    switch (s) {
    case NOWHERE:
        return (struct call_place){0};
    case IDLE:
        return group();
    case STARTED:
        return started(false);
    case RUNNING:
        return both();
    case STATES:
        break;
    }
    abort();
}

TEST(every_refused_pair_says_why_and_changes_nothing)
{
    struct call_in bot = join(ADA, "s-bot");
    bot.bot = true;
    const int unknown = API_UNKNOWN_CHANNEL, no = ERR_STATE, missing = ERR_MISSING,
              none = 1; // none: not refused, tested above
    const struct {
        struct call_in in;
        int want[STATES]; // NOWHERE, IDLE, STARTED, RUNNING
    } rows[] = {
        {join(DAN, "s-dan"), {unknown, unknown, unknown, unknown}},
        {bot, {unknown, unknown, unknown, unknown}},
        {join(ADA, "s-ada"), {unknown, none, none, none}},
        {leave(ADA, "s-other"), {unknown, no, no, no}},
        {leave(CLEO, "s-cleo"), {unknown, no, no, no}},
        {leave(ADA, "s-ada"), {unknown, no, none, none}},
        {leave(ADA, ""), {unknown, no, no, no}},
        {target(CALL_IN_RING, DAN, 0), {unknown, unknown, unknown, unknown}},
        {target(CALL_IN_RING, ADA, 0), {unknown, no, none, none}},
        {target(CALL_IN_RING, ADA, DAN), {unknown, no, no, no}},
        {target(CALL_IN_RING, BEN, ADA), {unknown, no, no, no}},
        {target(CALL_IN_STOP, DAN, 0), {unknown, unknown, unknown, unknown}},
        {target(CALL_IN_STOP, BEN, 0), {unknown, no, no, no}},
        {target(CALL_IN_STOP, ADA, CLEO), {unknown, no, no, no}},
        {{.kind = CALL_IN_REGION, .user = DAN, .region = "x"}, {unknown, unknown, unknown, unknown}},
        {{.kind = CALL_IN_REGION, .user = ADA, .region = "x"}, {unknown, no, none, none}},
        {target(CALL_IN_ADD, DAN, DAN), {unknown, unknown, unknown, unknown}},
        {target(CALL_IN_ADD, ADA, CLEO), {unknown, no, no, no}},
        {target(CALL_IN_REMOVE, DAN, ADA), {unknown, unknown, unknown, unknown}},
        {assigned(ADA, "s-other", "n", "x:1"), {unknown, no, no, no}},
        {assigned(CLEO, "s-cleo", "n", "x:1"), {unknown, no, no, no}},
        {assigned(ADA, "s-ada", "n", "x:1"), {unknown, no, none, no}},
        {{.kind = CALL_IN_RING, .user = ADA}, {unknown, no, no, no}}, // names nobody
        {{.kind = CALL_IN_SERVER_LOST, .node = "node-7"}, {unknown, missing, no, no}},
        {{.kind = CALL_IN_SERVER_LOST, .node = ""}, {unknown, missing, no, no}},
        {{.kind = CALL_IN_SERVER_FREE}, {unknown, missing, no, no}},
        {{.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw-7"}, {unknown, no, no, no}},
        {moved(ADA, "s-ada", "gw-1"), {unknown, no, no, no}},
        {moved(ADA, "s-ada", "gw-7"), {unknown, no, none, none}},
        {moved(ADA, "s-other", "gw-7"), {unknown, no, no, no}},
        {moved(CLEO, "s-cleo", "gw-7"), {unknown, no, no, no}},
        {{.kind = CALL_IN_TICK}, {unknown, no, no, no}},
    };
    for (size_t i = 0; i < countof(rows); i++)
        for (int s = 0; s < STATES; s++) {
            struct call_place p = in_state((enum state)s);
            int err = step(&p, rows[i].in);
            if (err != rows[i].want[s] && !(err == OK && rows[i].want[s] == none)) {
                printf("row %zu, state %d: %d\n", i, s, err);
                CHECK_TRUE(false);
            }
        }
}

TEST(a_one_to_one_channel_keeps_its_recipients)
{
    struct call_place p = dm();
    CHECK_EQ(step(&p, target(CALL_IN_ADD, ADA, DAN)), API_WRONG_CHANNEL_TYPE);
    CHECK_EQ(step(&p, target(CALL_IN_REMOVE, ADA, BEN)), API_WRONG_CHANNEL_TYPE);
}

MAIN
