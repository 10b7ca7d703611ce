// flow: a move between places step by step, and what a crash or a rival between two steps leaves behind.
#include "check.h"
#include "errors.h"
#include "flow.h"

enum { HOME = 900, AWAY = 800, OLDER = 700, ADA = 11, BEN = 22 };

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

static struct flow_step sits(struct flow *f, uint64_t epoch) // the answer to MAY_JOIN
{
    return flow_next(f, &(struct flow_result){.err = OK, .sits = true, .epoch = epoch});
}

static struct flow_step claimed_before(struct flow *f, uint64_t epoch)
{
    return flow_next(f, &(struct flow_result){.err = ERR_STATE, .epoch = epoch});
}

static struct flow_step left(struct flow *f, uint64_t epoch) // a seat of that epoch
{
    return flow_next(f, &(struct flow_result){.err = OK, .epoch = epoch});
}

static struct flow_step applied(struct flow *f)
{
    return flow_next(f, &(struct flow_result){.err = OK, .applied = true});
}

#define CHECK_STEP(s, what_, id_, command_)                                                                            \
    do {                                                                                                               \
        const struct flow_step step_ = (s);                                                                            \
        CHECK_EQ(step_.what, (what_));                                                                                 \
        CHECK_EQ(step_.id, (id_));                                                                                     \
        CHECK_EQ(step_.command, (command_));                                                                           \
    } while (0)

#define CHECK_DONE(s, err_)                                                                                            \
    do {                                                                                                               \
        const struct flow_step done_ = (s);                                                                            \
        CHECK_EQ(done_.what, FLOW_DONE);                                                                               \
        CHECK_EQ(done_.err, (err_));                                                                                   \
    } while (0)

// A step that takes a seat of Ada's away which is older than `epoch`.
#define CHECK_STALE(s, place_, epoch_)                                                                                 \
    do {                                                                                                               \
        const struct flow_step stale_ = (s);                                                                           \
        CHECK_STEP(stale_, FLOW_PLACE, (place_), 0);                                                                   \
        CHECK_EQ(stale_.in.kind, CALL_IN_LEAVE);                                                                       \
        CHECK_STR(stale_.in.session, "");                                                                              \
        CHECK_EQ(stale_.in.epoch, (epoch_));                                                                           \
    } while (0)

// A join whose claim was just made: from `at`, where the user was.
static struct flow claimed(struct location at)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, at);
    CHECK_EQ(went(&f, OK).what, FLOW_LOCATE);
    return f;
}

// A join that has just sat down at home with epoch 5.
static struct flow seated(struct location at)
{
    struct flow f = claimed(at);
    if (went(&f, OK).id != HOME)
        CHECK_EQ(went(&f, OK).id, HOME);
    CHECK_EQ(f.in.epoch, 5);
    CHECK_STEP(went(&f, OK), FLOW_READ_USER, ADA, 0);
    return f;
}

// --- joining ---

TEST(joining_from_nowhere_claims_then_sits_down_then_looks_again)
{
    struct flow f = flow_of(FLOW_JOIN);
    struct flow_step s = flow_start(&f);
    CHECK_STEP(s, FLOW_READ_USER, ADA, 0);
    s = read(&f, (struct location){.epoch = 4});
    CHECK_STEP(s, FLOW_MAY_JOIN, HOME, 1000);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 1001);
    CHECK_TRUE(!s.timer);
    CHECK_EQ(s.location.place, HOME);
    CHECK_EQ(s.location.epoch, 5);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    CHECK_EQ(s.in.epoch, 5);
    CHECK_TRUE(!s.in.stays);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_READ_USER, ADA, 0);
    s = read(&f, (struct location){.place = HOME, .channel = HOME, .epoch = 5});
    CHECK_DONE(s, OK);
}

TEST(who_sits_there_already_claims_nothing_and_cannot_sit_down)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = HOME, .channel = HOME, .epoch = 4});
    struct flow_step s = sits(&f, 4);
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    CHECK_TRUE(s.in.stays);
    CHECK_EQ(s.in.epoch, 4);
    struct flow lost = f;
    CHECK_DONE(went(&f, OK), OK);
    s = went(&lost, ERR_MISSING); // he left, or another session of his took over, in between
    CHECK_STEP(s, FLOW_READ_USER, ADA, 0);
    read(&lost, (struct location){.epoch = 4});
    s = went(&lost, OK);
    CHECK_EQ(s.what, FLOW_LOCATE);
    CHECK_EQ(s.location.epoch, 5);
    s = went(&lost, OK);
    CHECK_TRUE(!s.in.stays);
}

TEST(a_seat_that_is_older_than_the_claim_is_not_his)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = HOME, .channel = HOME, .epoch = 4});
    struct flow_step s = sits(&f, 3); // it was taken too late, and whoever did that is about to take it back
    CHECK_STEP(s, FLOW_LOCATE, ADA, 1001);
    CHECK_EQ(s.location.epoch, 5);
}

// Else a leave under way would take the claim for the seat that it is about.
TEST(another_session_of_a_user_who_is_there_claims_anew)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = HOME, .channel = HOME, .epoch = 4});
    struct flow_step s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 1001);
    CHECK_EQ(s.location.epoch, 5);
    CHECK_EQ(s.location.leaving, 0);
    CHECK_TRUE(!s.timer);
    CHECK_STEP(went(&f, OK), FLOW_PLACE, HOME, 1000);
}

TEST(moving_leaves_the_old_place_before_it_sits_down_in_the_new_one)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .channel = AWAY, .epoch = 4});
    struct flow_step s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 1001);
    CHECK_TRUE(s.timer); // whoever finds the row finishes the move
    CHECK_EQ(s.location.leaving, AWAY);
    s = went(&f, OK);
    CHECK_STALE(s, AWAY, 5);
    s = went(&f, ERR_STATE); // somebody has done it already
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_READ_USER, ADA, 0);
    s = read(&f, (struct location){.place = HOME, .channel = HOME, .epoch = 5, .leaving = AWAY});
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.leaving, 0);
    CHECK_EQ(s.location.place, HOME);
    CHECK_DONE(went(&f, OK), OK);
}

TEST(a_move_that_somebody_died_in_is_finished_first)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .channel = AWAY, .epoch = 4, .leaving = OLDER});
    struct flow_step s = went(&f, OK);
    CHECK_STALE(s, OLDER, 4);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 1001);
    CHECK_EQ(s.location.leaving, AWAY);
    CHECK_EQ(s.location.epoch, 5);
}

// What was not left must not be forgotten: `leaving` is all that remembers it.
TEST(a_place_that_could_not_be_left_stops_the_move)
{
    struct flow f = claimed((struct location){.place = AWAY, .epoch = 4});
    CHECK_EQ(went(&f, OK).id, AWAY);
    CHECK_DONE(went(&f, ERR_IO), ERR_IO);
    f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .epoch = 4, .leaving = OLDER});
    CHECK_EQ(went(&f, OK).id, OLDER);
    CHECK_DONE(went(&f, ERR_IO), ERR_IO);
    f = flow_of(FLOW_LEAVE);
    flow_start(&f);
    CHECK_EQ(read(&f, (struct location){.place = AWAY, .epoch = 4, .leaving = OLDER}).id, OLDER);
    CHECK_DONE(went(&f, ERR_IO), ERR_IO);
    f = flow_of(FLOW_SETTLE);
    flow_start(&f);
    CHECK_EQ(read(&f, (struct location){.place = AWAY, .epoch = 4, .leaving = OLDER}).id, OLDER);
    CHECK_DONE(went(&f, ERR_IO), ERR_IO);
}

TEST(a_refused_join_touches_nothing)
{
    struct flow f = flow_of(FLOW_JOIN);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .epoch = 4});
    CHECK_DONE(went(&f, API_UNKNOWN_CHANNEL), API_UNKNOWN_CHANNEL);
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
    CHECK_DONE(s, ERR_CONFLICT);
    CHECK_EQ(reads, FLOW_TRIES_MAX);
}

// --- a join that is repeated, or overtaken ---

TEST(a_repeated_join_goes_on_from_its_own_claim)
{
    struct flow f = claimed((struct location){.epoch = 4}); // read before the first one claimed
    struct flow_step s = claimed_before(&f, 5);
    CHECK_STEP(s, FLOW_READ_USER, ADA, 0);
    read(&f, (struct location){.place = HOME, .channel = HOME, .epoch = 5, .leaving = AWAY});
    s = went(&f, OK);
    CHECK_STALE(s, AWAY, 5); // the first one died before that
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    CHECK_EQ(s.in.epoch, 5);
}

TEST(a_repeated_join_does_not_take_the_user_back_from_where_he_went_since)
{
    const struct location away = {.place = AWAY, .channel = AWAY, .epoch = 6};
    struct flow f = flow_of(FLOW_JOIN); // it went through, its answer was lost, and then he moved on
    flow_start(&f);
    read(&f, (struct location){.epoch = 4}); // what was read may be older than that
    CHECK_STEP(applied(&f), FLOW_READ_USER, ADA, 0);
    CHECK_STALE(read(&f, away), HOME, 7);
    CHECK_DONE(went(&f, ERR_STATE), OK);
    f = claimed((struct location){.place = AWAY, .epoch = 4}); // it only claimed
    claimed_before(&f, 5);
    read(&f, away);
    CHECK_STEP(went(&f, OK), FLOW_READ_USER, ADA, 0);
    CHECK_STALE(read(&f, away), HOME, 7);
    CHECK_DONE(went(&f, ERR_STATE), OK);
}

TEST(a_repeated_join_does_not_sit_down_with_the_claim_of_another)
{
    struct flow f = claimed((struct location){.epoch = 4});
    claimed_before(&f, 5);
    read(&f, (struct location){.place = HOME, .channel = HOME, .epoch = 6}); // by another session of his
    CHECK_STEP(went(&f, OK), FLOW_READ_USER, ADA, 0);
    CHECK_DONE(read(&f, (struct location){.place = HOME, .channel = HOME, .epoch = 6}), OK);
}

TEST(a_repeated_join_that_went_through_is_no_second_one)
{
    struct flow f = flow_of(FLOW_JOIN);
    struct location here = {.place = HOME, .channel = HOME, .epoch = 5, .leaving = AWAY};
    flow_start(&f);
    read(&f, here);
    CHECK_STEP(applied(&f), FLOW_READ_USER, ADA, 0);
    struct flow over = f;
    CHECK_DONE(read(&f, here), OK); // and nothing is settled: the place that is left may not have been, yet
    struct flow_step s = flow_next(&over, &(struct flow_result){.over = true, .location = here});
    CHECK_STEP(s, FLOW_PLACE, HOME, 0);
    CHECK_STR(s.in.session, "s");
}

TEST(who_was_moved_between_the_claim_and_the_seat_does_not_keep_it)
{
    const struct {
        struct location now;
        uint64_t older; // than that goes
    } rows[] = {
        {{.place = AWAY, .channel = AWAY, .epoch = 6}, 7},
        // he left: that grows no epoch
        {{.epoch = 5}, 6},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct flow f = seated((struct location){.epoch = 4});
        CHECK_STALE(read(&f, rows[i].now), HOME, rows[i].older);
        struct flow broken = f;
        CHECK_DONE(went(&f, OK), OK);
        CHECK_DONE(went(&broken, ERR_IO), ERR_IO);
    }
}

// Else his client would hear that he left the place that he is in, and is to stay in, and hang up.
TEST(a_seat_stays_until_who_claimed_the_same_place_anew_sits_down_over_it)
{
    const struct location anew = {.place = HOME, .channel = HOME, .epoch = 6};
    struct flow f = seated((struct location){.epoch = 4});
    CHECK_DONE(read(&f, anew), OK);
    f = flow_of(FLOW_AGREE);
    f.in.targets[0] = ADA;
    flow_start(&f);
    flow_next(&f, &(struct flow_result){.err = OK, .recipient = true, .listed = true});
    CHECK_DONE(read(&f, anew), OK);
}

TEST(a_session_that_ended_between_the_claim_and_the_seat_does_not_keep_it)
{
    struct flow f = seated((struct location){.epoch = 4});
    struct flow_result over = {.err = OK, .over = true, .location = {.place = HOME, .channel = HOME, .epoch = 5}};
    struct flow_step s = flow_next(&f, &over);
    CHECK_STEP(s, FLOW_PLACE, HOME, 0);
    CHECK_EQ(s.in.kind, CALL_IN_LEAVE);
    CHECK_STR(s.in.session, "s");
    CHECK_DONE(went(&f, OK), OK);
    f = flow_of(FLOW_JOIN); // it was over before
    flow_start(&f);
    CHECK_EQ(flow_next(&f, &over).what, FLOW_MAY_JOIN);
    struct flow sitting = f, broken = f;
    CHECK_DONE(went(&broken, ERR_IO), ERR_IO); // nobody knows whether it sits
    CHECK_DONE(went(&f, OK), ERR_STATE);
    s = sits(&sitting, 5); // and had sat down, when nobody could undo it
    CHECK_STEP(s, FLOW_PLACE, HOME, 0);
    CHECK_STR(s.in.session, "s");
    CHECK_DONE(went(&sitting, OK), OK);
    over.location = (struct location){.epoch = 4}; // read before that claim
    f = flow_of(FLOW_JOIN);
    flow_start(&f);
    flow_next(&f, &over);
    s = sits(&f, 5);
    CHECK_STEP(s, FLOW_PLACE, HOME, 0);
    CHECK_STR(s.in.session, "s");
}

TEST(steps_under_a_commands_number_end_with_its_time_and_those_that_tidy_up_do_not)
{
    struct flow f = flow_of(FLOW_JOIN);
    f.by = 77;
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .channel = AWAY, .epoch = 4});
    struct flow_step s = went(&f, OK); // may join
    CHECK_STEP(s, FLOW_LOCATE, ADA, 1001);
    CHECK_EQ(s.by, 77);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, AWAY, 0); // leaving is owed by now, however long it takes
    CHECK_EQ(s.by, 0);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    CHECK_EQ(s.by, 77);
    CHECK_DONE(went(&f, ERR_TIMEOUT), ERR_TIMEOUT);
}

static struct flow sweep_of(void)
{
    return (struct flow){.kind = FLOW_SWEEP, .place = HOME, .in = {.kind = CALL_IN_GATEWAY_LOST, .gateway = "lost"}};
}

static const struct flow_result heir = {.err = OK, .heir = {ADA, "s", "heir"}};

TEST(a_sweep_gives_what_goes_on_elsewhere_to_its_new_gateway_and_takes_the_rest)
{
    struct flow f = sweep_of();
    CHECK_STEP(flow_start(&f), FLOW_HEIR, HOME, 0);
    struct flow_step s = flow_next(&f, &heir);
    CHECK_STEP(s, FLOW_PLACE, HOME, 0);
    CHECK_TRUE(s.in.kind == CALL_IN_MOVED && s.in.user == ADA);
    CHECK_TRUE(strcmp(s.in.session, "s") == 0 && strcmp(s.in.gateway, "heir") == 0);
    CHECK_STEP(went(&f, ERR_STATE), FLOW_HEIR, HOME, 0); // somebody has seen to it meanwhile: the same
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, HOME, 0);
    CHECK_TRUE(s.in.kind == CALL_IN_GATEWAY_LOST && strcmp(s.in.gateway, "lost") == 0);
    CHECK_DONE(went(&f, OK), OK);
}

TEST(a_sweep_that_cannot_know_takes_nothing)
{
    struct flow f = sweep_of();
    flow_start(&f);
    CHECK_DONE(went(&f, ERR_IO), ERR_IO);
    f = sweep_of();
    flow_start(&f);
    flow_next(&f, &heir);
    CHECK_DONE(went(&f, ERR_IO), ERR_IO);
    f = sweep_of(); // and does not go on for ever
    flow_start(&f);
    struct flow_step s = flow_next(&f, &heir);
    for (int i = 0; i < 100 && s.what != FLOW_DONE; i++)
        s = s.what == FLOW_HEIR ? flow_next(&f, &heir) : went(&f, OK);
    CHECK_DONE(s, ERR_CONFLICT);
}

TEST(settling_after_a_rival_is_left_to_whoever_moved_him_since)
{
    struct flow f = seated((struct location){.place = AWAY, .epoch = 4});
    struct flow_step s = read(&f, (struct location){.place = HOME, .epoch = 5, .leaving = AWAY});
    CHECK_EQ(s.what, FLOW_LOCATE);
    s = went(&f, ERR_CONFLICT);
    CHECK_EQ(s.what, FLOW_READ_USER);
    struct flow same = f;
    s = read(&same, (struct location){.place = HOME, .epoch = 5, .leaving = AWAY}); // only something else changed
    CHECK_EQ(s.what, FLOW_LOCATE);
    CHECK_EQ(s.location.leaving, 0);
    CHECK_DONE(read(&f, (struct location){.place = HOME, .epoch = 6, .leaving = OLDER}), OK);
}

// --- leaving ---

TEST(leaving_clears_the_location_only_when_the_seat_was_his)
{
    struct flow f = flow_of(FLOW_LEAVE);
    flow_start(&f);
    struct flow_step s = read(&f, (struct location){.place = AWAY, .epoch = 4});
    CHECK_STEP(s, FLOW_PLACE, AWAY, 1000);
    CHECK_STR(s.in.session, "s");
    struct flow other = f, again = f, claimed_since = f;
    s = went(&other, ERR_STATE);
    CHECK_DONE(s, ERR_STATE);
    CHECK_EQ(flow_answer(s.err), OK);
    CHECK_DONE(applied(&again), OK);         // and he has sat down again since
    CHECK_DONE(left(&claimed_since, 3), OK); // the location is about another session, which has not sat down yet
    s = left(&f, 4);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.place, 0);
    CHECK_EQ(s.location.epoch, 4);
    struct flow rival = f;
    CHECK_DONE(went(&f, OK), OK);
    CHECK_EQ(went(&rival, ERR_CONFLICT).what, FLOW_READ_USER);
    f = rival;
    CHECK_EQ(read(&rival, (struct location){.place = AWAY, .epoch = 4}).what, FLOW_LOCATE);
    CHECK_DONE(read(&f, (struct location){.place = HOME, .epoch = 5}), OK);
}

// Late seats are found by that: see a_place_and_a_user_are_made_to_agree.
TEST(a_leave_that_is_repeated_clears_the_location_unless_he_came_back)
{
    struct flow f = flow_of(FLOW_LEAVE);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .epoch = 4}); // the first one died before that
    struct flow_step s = flow_next(&f, &(struct flow_result){.err = OK, .applied = true, .epoch = 4});
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.place, 0);
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .epoch = 5});
    CHECK_DONE(flow_next(&f, &(struct flow_result){.err = OK, .applied = true, .epoch = 4}), OK);
}

TEST(a_leave_clears_a_claim_of_the_same_client_that_nothing_came_of)
{
    struct flow f = flow_of(FLOW_LEAVE);
    f.in.hold = 7;
    f.in.turn = 3;
    flow_start(&f);
    read(&f, (struct location){.place = AWAY, .epoch = 4, .hold = 7, .turn = 2});
    struct flow again = f;
    struct flow_step s = left(&f, 3); // he sat there, and was refused another room
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.place, 0);
    CHECK_EQ(s.location.epoch, 4);
    CHECK_EQ(s.location.turn, 3);
    CHECK_DONE(applied(&again), OK);
}

TEST(leaving_from_nowhere_is_nothing)
{
    struct flow f = flow_of(FLOW_LEAVE);
    flow_start(&f);
    struct flow_step s = read(&f, (struct location){0});
    CHECK_DONE(s, ERR_STATE);
    CHECK_EQ(flow_answer(s.err), OK);
}

TEST(leaving_in_the_middle_of_a_move_leaves_both_places)
{
    struct flow f = flow_of(FLOW_LEAVE);
    flow_start(&f);
    CHECK_STALE(read(&f, (struct location){.place = HOME, .epoch = 5, .leaving = AWAY}), AWAY, 5);
    CHECK_STEP(went(&f, OK), FLOW_PLACE, HOME, 1000);
    struct flow_step s = left(&f, 5);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.leaving, 0);
}

TEST(who_has_lost_a_session_to_another_gateway_does_not_speak_for_it_any_more)
{
    const struct flow_result elsewhere = {
        .err = OK, .elsewhere = true, .location = {.place = AWAY, .channel = AWAY, .epoch = 5}};
    struct flow join = flow_of(FLOW_JOIN), leave = flow_of(FLOW_LEAVE);
    flow_start(&join);
    CHECK_EQ(flow_next(&join, &elsewhere).what, FLOW_MAY_JOIN);
    struct flow sitting = join;
    CHECK_DONE(went(&join, OK), ERR_STATE);
    CHECK_STALE(sits(&sitting, 5), HOME, 6); // it sat down before, and could not take that back
    flow_start(&leave);
    CHECK_DONE(flow_next(&leave, &elsewhere), ERR_STATE);
    struct flow moved = flow_of(FLOW_MOVED);
    flow_start(&moved);
    CHECK_DONE(flow_next(&moved, &elsewhere), ERR_STATE);
}

TEST(a_repeat_comes_too_late_when_the_client_has_said_something_else_since)
{
    const struct location later = {.place = AWAY, .channel = AWAY, .epoch = 5, .hold = 7, .turn = 3};
    struct flow leave = flow_of(FLOW_LEAVE), join = flow_of(FLOW_JOIN), next = leave, other = leave;
    leave.in.hold = join.in.hold = next.in.hold = 7;
    leave.in.turn = join.in.turn = 2;
    next.in.turn = 3;
    flow_start(&leave);
    CHECK_DONE(read(&leave, later), ERR_STATE);
    flow_start(&join);
    CHECK_EQ(read(&join, later).what, FLOW_MAY_JOIN);
    CHECK_DONE(went(&join, OK), ERR_STATE);
    flow_start(&next); // the last one itself, and anything of another session, are in time
    CHECK_STEP(read(&next, later), FLOW_PLACE, AWAY, 1000);
    flow_start(&other);
    CHECK_STEP(read(&other, later), FLOW_PLACE, AWAY, 1000);
}

TEST(where_a_user_went_says_what_sent_him_there)
{
    struct flow f = flow_of(FLOW_JOIN);
    f.in.hold = 7;
    f.in.turn = 3;
    flow_start(&f);
    read(&f, (struct location){.epoch = 4});
    struct flow_step s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 1001);
    CHECK_EQ(s.location.hold, 7);
    CHECK_EQ(s.location.turn, 3);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    CHECK_EQ(s.agree, ADA); // should nobody be there to look whether it may stay
}

TEST(a_place_and_a_user_are_made_to_agree)
{
    struct flow f = flow_of(FLOW_AGREE);
    f.in.targets[0] = ADA;
    CHECK_STEP(flow_start(&f), FLOW_LOOK, ADA, 0);
    struct flow gone = f, broken = f;
    CHECK_DONE(went(&broken, ERR_IO), ERR_IO);
    CHECK_STEP(flow_next(&gone, &(struct flow_result){.err = OK, .listed = true}), FLOW_FAREWELL, ADA, 0);
    CHECK_STEP(flow_next(&f, &(struct flow_result){.err = OK, .recipient = true}), FLOW_WELCOME, ADA, 0);
    CHECK_STEP(went(&f, OK), FLOW_LOOK, ADA, 0);
    CHECK_STEP(flow_next(&f, &(struct flow_result){.err = OK, .recipient = true, .listed = true}), FLOW_READ_USER, ADA,
               0);
    CHECK_STALE(read(&f, (struct location){.place = AWAY, .channel = AWAY, .epoch = 6}), HOME, 7);
    CHECK_DONE(went(&f, ERR_STATE), OK);
}

TEST(a_session_on_another_gateway_is_noted_where_its_user_is)
{
    struct flow f = flow_of(FLOW_MOVED);
    f.in.kind = CALL_IN_MOVED;
    CHECK_STEP(flow_start(&f), FLOW_READ_USER, ADA, 0);
    struct flow nowhere = f, unknown = f;
    struct flow_step s = read(&f, (struct location){.place = AWAY, .epoch = 4});
    CHECK_STEP(s, FLOW_PLACE, AWAY, 1000);
    CHECK_EQ(s.in.kind, CALL_IN_MOVED);
    struct flow nothing = f;
    CHECK_DONE(went(&f, OK), OK);
    CHECK_DONE(went(&nothing, ERR_STATE), ERR_STATE);
    CHECK_DONE(read(&nowhere, (struct location){.epoch = 4}), ERR_STATE);
    CHECK_DONE(went(&unknown, API_UNKNOWN_USER), API_UNKNOWN_USER);
}

TEST(a_timer_row_finishes_an_unfinished_move)
{
    struct flow f = flow_of(FLOW_SETTLE);
    f.command = 0;
    flow_start(&f);
    struct flow_step s = read(&f, (struct location){.place = HOME, .epoch = 5, .leaving = AWAY});
    CHECK_STALE(s, AWAY, 5);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.place, HOME);
    CHECK_EQ(s.location.leaving, 0);
    struct flow rival = f, broken = f;
    CHECK_DONE(went(&f, OK), OK);
    CHECK_DONE(went(&broken, ERR_IO), ERR_IO); // the row stays
    CHECK_EQ(went(&rival, ERR_CONFLICT).what, FLOW_READ_USER);
    CHECK_DONE(read(&rival, (struct location){.place = AWAY, .epoch = 6}), OK);
    f = flow_of(FLOW_SETTLE);
    flow_start(&f);
    CHECK_DONE(read(&f, (struct location){.place = HOME, .epoch = 5}), OK);
}

// --- recipients ---

static struct flow recipient(enum flow_kind kind, uint64_t by)
{
    return (struct flow){
        .kind = kind,
        .place = HOME,
        .command = 1000,
        .in = {.kind = kind == FLOW_ADD ? CALL_IN_ADD : CALL_IN_REMOVE, .user = by, .n_targets = 1, .targets = {ADA}}};
}

static struct flow_step looked(struct flow *f, bool is_recipient, bool listed)
{
    return flow_next(f, &(struct flow_result){.err = OK, .recipient = is_recipient, .listed = listed});
}

TEST(a_new_recipient_is_looked_up_then_added_then_told)
{
    struct flow f = recipient(FLOW_ADD, BEN);
    struct flow_step s = flow_start(&f);
    CHECK_STEP(s, FLOW_READ_USER, ADA, 0);
    struct flow unknown = f, bot = f, broken = f;
    CHECK_DONE(went(&unknown, API_UNKNOWN_USER), API_INVALID_RECIPIENTS);
    CHECK_DONE(flow_next(&bot, &(struct flow_result){.bot = true}), API_INVALID_RECIPIENTS);
    CHECK_DONE(went(&broken, ERR_IO), ERR_IO);
    s = read(&f, (struct location){0});
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    s = went(&f, ERR_STATE); // added before, perhaps by one who died before he was told
    CHECK_STEP(s, FLOW_LOOK, ADA, 0);
    s = looked(&f, true, false);
    CHECK_STEP(s, FLOW_WELCOME, ADA, 0);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOOK, ADA, 0);
    s = looked(&f, true, true);
    CHECK_EQ(flow_answer(s.err), OK);
    CHECK_EQ(s.what, FLOW_DONE);
}

TEST(a_removed_recipient_is_told_only_if_he_was_removed)
{
    struct flow f = recipient(FLOW_REMOVE, BEN);
    struct flow_step s = flow_start(&f);
    CHECK_STEP(s, FLOW_PLACE, HOME, 1000);
    struct flow refused = f, unfinished = f;
    CHECK_DONE(went(&refused, API_MISSING_PERMISSIONS), API_MISSING_PERMISSIONS);
    CHECK_STEP(went(&f, OK), FLOW_LOOK, ADA, 0);
    CHECK_STEP(looked(&f, false, true), FLOW_FAREWELL, ADA, 0);
    CHECK_STEP(went(&unfinished, API_INVALID_RECIPIENTS), FLOW_LOOK, ADA, 0); // somebody died before he told him
    CHECK_STEP(looked(&unfinished, false, true), FLOW_FAREWELL, ADA, 0);
    CHECK_STEP(went(&unfinished, OK), FLOW_LOOK, ADA, 0);
    CHECK_DONE(looked(&unfinished, false, false), API_INVALID_RECIPIENTS);
}

TEST(who_is_added_and_removed_at_once_ends_up_as_the_place_says)
{
    struct flow f = recipient(FLOW_ADD, BEN);
    flow_start(&f);
    read(&f, (struct location){0});
    went(&f, OK);
    CHECK_EQ(looked(&f, true, false).what, FLOW_WELCOME);
    CHECK_EQ(went(&f, OK).what, FLOW_LOOK);
    CHECK_EQ(looked(&f, false, true).what, FLOW_FAREWELL); // removed before he was welcomed
    CHECK_EQ(went(&f, ERR_CONFLICT).what, FLOW_LOOK);
    CHECK_DONE(looked(&f, false, false), OK);
}

MAIN
