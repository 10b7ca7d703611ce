// flow: a move between places step by step, and what a crash or a rival between two steps leaves behind.
#include "check.h"
#include "errors.h"
#include "flow.h"

enum { HOME = 900, AWAY = 800, OLDER = 700, ADA = 11 };

static struct flow flow_of(enum flow_kind kind)
{
    return (struct flow){.kind = kind,
                         .user = ADA,
                         .place = HOME,
                         .command = 1000,
                         .in = {.kind = kind == FLOW_JOIN ? CALL_IN_JOIN : CALL_IN_LEAVE, .user = ADA, .session = "s"}};
}

static struct flow_step went(struct flow *f, int err)
{
    return flow_next(f, &(struct flow_result){.err = err});
}

static struct flow_step read(struct flow *f, struct location at)
{
    return flow_next(f, &(struct flow_result){.err = OK, .location = at});
}

#define CHECK_STEP(s, what_, id_, command_)                                                                            \
    do {                                                                                                               \
        CHECK_EQ((s).what, (what_));                                                                                   \
        CHECK_EQ((s).id, (id_));                                                                                       \
        CHECK_EQ((s).command, (command_));                                                                             \
    } while (0)

TEST(joining_from_nowhere_claims_then_sits_down)
{
    struct flow f = flow_of(FLOW_JOIN);
    struct flow_step s = flow_start(&f);
    CHECK_STEP(s, FLOW_READ_USER, ADA, 0);
    s = read(&f, (struct location){.epoch = 4});
    CHECK_STEP(s, FLOW_MAY_JOIN, HOME, 0);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_TRUE(!s.timer);
    CHECK_EQ(s.location.place, HOME);
    CHECK_EQ(s.location.epoch, 5);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, HOME, 1002);
    CHECK_EQ(s.in.epoch, 5);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_DONE, 0, 0);
    CHECK_EQ(s.err, OK);
}

TEST(joining_where_one_is_claims_nothing)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = HOME, .channel = HOME, .epoch = 4});
    struct flow_step s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, HOME, 1002);
    CHECK_EQ(s.in.epoch, 4);
}

TEST(moving_leaves_the_old_place_before_it_sits_down_in_the_new_one)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .channel = AWAY, .epoch = 4});
    struct flow_step s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_TRUE(s.timer); // whoever finds the row finishes the move
    CHECK_EQ(s.location.leaving, AWAY);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, AWAY, 1001);
    CHECK_EQ(s.in.kind, CALL_IN_LEAVE);
    CHECK_STR(s.in.session, "");
    CHECK_EQ(s.in.epoch, 5);
    s = went(&f, ERR_STATE); // somebody has done it already
    CHECK_STEP(s, FLOW_PLACE, HOME, 1002);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.leaving, 0);
    CHECK_EQ(s.location.place, HOME);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_DONE, 0, 0);
}

TEST(a_move_that_somebody_died_in_is_finished_first)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .channel = AWAY, .epoch = 4, .leaving = OLDER});
    struct flow_step s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, OLDER, 1000);
    CHECK_EQ(s.in.epoch, 4);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.leaving, AWAY);
    CHECK_EQ(s.location.epoch, 5);
}

TEST(a_refused_join_touches_nothing)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .epoch = 4});
    struct flow_step s = went(&f, API_UNKNOWN_CHANNEL);
    CHECK_STEP(s, FLOW_DONE, 0, 0);
    CHECK_EQ(s.err, API_UNKNOWN_CHANNEL);
}

TEST(a_rival_at_the_claim_means_reading_again_but_not_for_ever)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    struct flow_step s = {.what = FLOW_READ_USER};
    uint32_t reads = 0;
    while (s.what == FLOW_READ_USER && reads++ < 100) {
        s = read(&f, (struct location){.place = AWAY, .epoch = 4 + reads});
        s = went(&f, OK);
        CHECK_EQ(s.what, FLOW_LOCATE);
        s = went(&f, ERR_CONFLICT);
    }
    CHECK_EQ(s.what, FLOW_DONE);
    CHECK_EQ(s.err, ERR_CONFLICT);
    CHECK_EQ(reads, FLOW_TRIES_MAX);
}

TEST(settling_after_a_rival_is_left_to_whoever_moved_him_since)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .epoch = 4});
    went(&f, OK);
    went(&f, OK);
    went(&f, OK);
    struct flow_step s = went(&f, OK);
    CHECK_EQ(s.what, FLOW_LOCATE);
    s = went(&f, ERR_CONFLICT);
    CHECK_EQ(s.what, FLOW_READ_USER);
    struct flow same = f;
    s = read(&same, (struct location){.place = HOME, .epoch = 5, .leaving = AWAY}); // only something else changed
    CHECK_EQ(s.what, FLOW_LOCATE);
    CHECK_EQ(s.location.leaving, 0);
    s = read(&f, (struct location){.place = OLDER, .epoch = 6, .leaving = HOME});
    CHECK_EQ(s.what, FLOW_DONE);
    CHECK_EQ(s.err, OK);
}

TEST(leaving_clears_the_location_only_when_the_seat_was_his)
{
    struct flow f = flow_of(FLOW_LEAVE);
    flow_start(&f);
    struct flow_step s = read(&f, (struct location){.place = AWAY, .epoch = 4});
    CHECK_STEP(s, FLOW_PLACE, AWAY, 1001);
    struct flow other = f;
    s = went(&other, ERR_STATE);
    CHECK_STEP(s, FLOW_DONE, 0, 0);
    CHECK_EQ(flow_answer(s.err), OK);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.place, 0);
    CHECK_EQ(s.location.epoch, 4);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_DONE, 0, 0);
}

TEST(leaving_from_nowhere_is_nothing)
{
    struct flow f = flow_of(FLOW_LEAVE);
    flow_start(&f);
    struct flow_step s = read(&f, (struct location){0});
    CHECK_STEP(s, FLOW_DONE, 0, 0);
    CHECK_EQ(flow_answer(s.err), OK);
}

TEST(a_timer_row_finishes_an_unfinished_move)
{
    struct flow f = flow_of(FLOW_SETTLE);
    f.command = 0;
    flow_start(&f);
    struct flow_step s = read(&f, (struct location){.place = HOME, .epoch = 5, .leaving = AWAY});
    CHECK_STEP(s, FLOW_PLACE, AWAY, 0);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.leaving, 0);
    s = went(&f, OK);
    CHECK_EQ(s.what, FLOW_DONE);
    f = flow_of(FLOW_SETTLE);
    flow_start(&f);
    s = read(&f, (struct location){.place = HOME, .epoch = 5});
    CHECK_EQ(s.what, FLOW_DONE);
}

TEST(a_new_recipient_is_looked_up_then_added_then_told)
{
    struct flow f = {.kind = FLOW_ADD,
                     .place = HOME,
                     .command = 1000,
                     .in = {.kind = CALL_IN_ADD, .n_targets = 1, .targets = {ADA}}};
    struct flow_step s = flow_start(&f);
    CHECK_STEP(s, FLOW_READ_USER, ADA, 0);
    struct flow unknown = f;
    s = went(&unknown, API_UNKNOWN_USER);
    CHECK_EQ(s.err, API_INVALID_RECIPIENTS);
    s = read(&f, (struct location){0});
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    s = went(&f, ERR_STATE); // added before, perhaps by one who died before he was told
    CHECK_STEP(s, FLOW_WELCOME, ADA, 1001);
    s = went(&f, OK);
    CHECK_EQ(s.what, FLOW_DONE);
}

TEST(a_removed_recipient_is_told_only_if_he_was_removed)
{
    struct flow f = {.kind = FLOW_REMOVE,
                     .place = HOME,
                     .command = 1000,
                     .in = {.kind = CALL_IN_REMOVE, .n_targets = 1, .targets = {ADA}}};
    struct flow_step s = flow_start(&f);
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    struct flow refused = f;
    s = went(&refused, API_MISSING_PERMISSIONS);
    CHECK_EQ(s.err, API_MISSING_PERMISSIONS);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_FAREWELL, ADA, 1001);
}

MAIN
