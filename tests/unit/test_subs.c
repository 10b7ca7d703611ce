// test_subs: every listener gets every version once and in order, whatever the bus drops, doubles or delays.
#include "subs.h"
#include "check.h"

#define PLACE ref_place(100)
#define OTHER ref_place(200)
enum { A = 1, B = 2, C = 3 }; // sessions
enum { ANN = 11, BEN = 12 };  // A and C are Ann's, B is Ben's
static struct subs subs;

static void begin(void)
{
    subs_enter(&subs, A, ANN);
    subs_enter(&subs, B, BEN);
    subs_enter(&subs, C, ANN);
}

static void done(void)
{
    CHECK_TRUE(subs_valid(&subs));
    subs_fini(&subs);
    memset(&subs, 0, sizeof subs);
}

static bool listen(uint64_t session, ref r, uint64_t version)
{
    subs_join(&subs, session, r, false);
    bool read = subs_settle(&subs, session, r, version);
    CHECK_TRUE(subs_valid(&subs));
    return read;
}

// Who is addressed, as digits in ascending order: 13 is A and C.
static int addressed(ref r, uint64_t version, uint64_t to, uint64_t user, uint64_t session)
{
    struct keys out = {0};
    bool in[10] = {0};
    int sum = 0;
    subs_address(&subs, r, version, to, user, session, &out);
    for (uint32_t i = 0; i < out.n; i++) {
        CHECK_TRUE(!in[out.v[i]]);
        in[out.v[i]] = true;
    }
    for (int i = 1; i < 10; i++)
        sum = in[i] ? sum * 10 + i : sum;
    keys_fini(&out);
    return sum;
}

static int all(ref r, uint64_t version)
{
    return addressed(r, version, 0, 0, 0);
}

static void advance(ref r, uint64_t version)
{
    subs_advance(&subs, r, version);
    CHECK_TRUE(subs_valid(&subs));
}

TEST(the_first_one_joins_the_last_one_leaves)
{
    begin();
    CHECK_TRUE(subs_join(&subs, A, PLACE, false));
    CHECK_TRUE(!subs_join(&subs, B, PLACE, false));
    CHECK_TRUE(!subs_join(&subs, A, PLACE, false));
    CHECK_TRUE(subs_listens(&subs, A, PLACE) && !subs_listens(&subs, A, OTHER));
    CHECK_TRUE(!subs_leave(&subs, A, PLACE));
    CHECK_TRUE(!subs_leave(&subs, A, PLACE));
    CHECK_TRUE(subs_leave(&subs, B, PLACE));
    CHECK_TRUE(subs_get(&subs, PLACE) == NULL);
    done();
}

TEST(who_leaves_altogether_leaves_what_nobody_else_listens_to)
{
    begin();
    listen(A, PLACE, 1);
    listen(A, OTHER, 1);
    listen(B, PLACE, 1);
    struct keys left = {0};
    subs_exit(&subs, A, &left);
    CHECK_TRUE(left.n == 1 && left.v[0] == OTHER);
    subs_exit(&subs, A, &left);
    CHECK_EQ(left.n, 1);
    CHECK_EQ(all(PLACE, 2), 2);
    keys_fini(&left);
    done();
}

TEST(versions_apply_in_order_and_once)
{
    begin();
    listen(A, PLACE, 7);
    CHECK_EQ(subs_entry(&subs, PLACE, 7), SUBS_OLD);
    CHECK_EQ(subs_entry(&subs, PLACE, 8), SUBS_APPLY);
    CHECK_EQ(all(PLACE, 8), 1);
    advance(PLACE, 8);
    CHECK_EQ(subs_entry(&subs, PLACE, 8), SUBS_OLD);
    CHECK_EQ(subs_entry(&subs, PLACE, 10), SUBS_GAP);
    CHECK_EQ(all(PLACE, 10), 0);
    CHECK_EQ(subs_entry(&subs, PLACE, 9), SUBS_APPLY);
    advance(PLACE, 9);
    CHECK_EQ(subs_entry(&subs, PLACE, 10), SUBS_APPLY);
    CHECK_EQ(subs_entry(&subs, OTHER, 1), SUBS_NONE);
    done();
}

TEST(each_audience_gets_what_is_for_it)
{
    begin();
    listen(A, PLACE, 1);
    listen(B, PLACE, 1);
    listen(C, PLACE, 1);
    CHECK_EQ(addressed(PLACE, 2, 0, 0, 0), 123);
    CHECK_EQ(addressed(PLACE, 2, 1, ANN, 0), 13);
    CHECK_EQ(addressed(PLACE, 2, 1, BEN, 0), 2);
    CHECK_EQ(addressed(PLACE, 2, 1, 99, 0), 0);
    CHECK_EQ(addressed(PLACE, 2, 2, 0, B), 2);
    CHECK_EQ(addressed(PLACE, 2, 2, 0, 99), 0);
    CHECK_EQ(addressed(PLACE, 2, 2, 0, 0), 0);
    CHECK_EQ(addressed(PLACE, 2, 3, ANN, 0), 2);
    CHECK_EQ(addressed(PLACE, 2, 3, 99, 0), 123);
    CHECK_TRUE(!subs_leave(&subs, C, PLACE)); // a session that does not listen there gets nothing
    CHECK_EQ(addressed(PLACE, 2, 1, ANN, 0), 1);
    CHECK_EQ(addressed(PLACE, 2, 2, 0, C), 0);
    done();
}

TEST(one_whose_snapshot_is_not_there_gets_nothing)
{
    begin();
    listen(A, PLACE, 1);
    subs_join(&subs, B, PLACE, false);
    CHECK_EQ(all(PLACE, 2), 1);
    CHECK_EQ(addressed(PLACE, 2, 1, BEN, 0), 0);
    CHECK_EQ(addressed(PLACE, 2, 2, 0, B), 0);
    advance(PLACE, 2);
    CHECK_TRUE(!subs_settle(&subs, B, PLACE, 2));
    CHECK_EQ(all(PLACE, 3), 12);
    done();
}

TEST(one_with_a_newer_snapshot_waits_for_the_others)
{
    begin();
    listen(A, PLACE, 1);
    CHECK_TRUE(listen(B, PLACE, 3)); // the bus still owes us 2 and 3
    for (uint64_t v = 2; v <= 3; v++) {
        CHECK_EQ(subs_entry(&subs, PLACE, v), SUBS_APPLY);
        CHECK_EQ(all(PLACE, v), 1);
        CHECK_EQ(addressed(PLACE, v, 1, BEN, 0), 0);
        advance(PLACE, v);
    }
    CHECK_EQ(all(PLACE, 4), 12);
    done();
}

TEST(one_with_an_older_snapshot_catches_up_alone_from_the_log)
{
    begin();
    listen(A, PLACE, 5);
    CHECK_TRUE(listen(B, PLACE, 3));
    CHECK_EQ(subs_read(subs_get(&subs, PLACE)), 3);
    CHECK_EQ(all(PLACE, 6), 1); // live ones go on meanwhile
    for (uint64_t v = 4; v <= 5; v++) {
        CHECK_EQ(subs_entry(&subs, PLACE, v), SUBS_CATCH);
        CHECK_EQ(all(PLACE, v), 2);
        CHECK_EQ(addressed(PLACE, v, 1, ANN, 0), 0);
        CHECK_EQ(addressed(PLACE, v, 2, 0, B), 2);
        CHECK_EQ(addressed(PLACE, v, 3, BEN, 0), 0);
        advance(PLACE, v);
        CHECK_EQ(subs_entry(&subs, PLACE, v), SUBS_OLD);
    }
    CHECK_EQ(all(PLACE, 6), 12);
    done();
}

TEST(while_one_catches_up_the_others_go_ahead)
{
    begin();
    listen(A, PLACE, 5);
    CHECK_TRUE(listen(B, PLACE, 4));
    CHECK_EQ(subs_entry(&subs, PLACE, 6), SUBS_APPLY);
    CHECK_EQ(all(PLACE, 6), 1);
    advance(PLACE, 6);
    CHECK_EQ(subs_read(subs_get(&subs, PLACE)), 4);
    for (uint64_t v = 5; v <= 6; v++) {
        CHECK_EQ(subs_entry(&subs, PLACE, v), SUBS_CATCH);
        CHECK_EQ(all(PLACE, v), 2);
        advance(PLACE, v);
    }
    CHECK_EQ(all(PLACE, 7), 12);
    done();
}

TEST(what_comes_over_the_bus_while_one_catches_up_is_not_lost_to_him)
{
    begin();
    listen(A, PLACE, 5);
    CHECK_TRUE(listen(B, PLACE, 4));
    CHECK_EQ(subs_read(subs_get(&subs, PLACE)), 4); // the log has 5 alone
    CHECK_EQ(subs_entry(&subs, PLACE, 6), SUBS_APPLY);
    CHECK_EQ(all(PLACE, 6), 1);
    advance(PLACE, 6);
    CHECK_EQ(subs_entry(&subs, PLACE, 5), SUBS_CATCH);
    advance(PLACE, 5);
    CHECK_TRUE(subs_read_done(subs_get(&subs, PLACE)));
    CHECK_EQ(subs_read(subs_get(&subs, PLACE)), 5);
    CHECK_EQ(subs_entry(&subs, PLACE, 6), SUBS_CATCH);
    CHECK_EQ(all(PLACE, 6), 2);
    advance(PLACE, 6);
    CHECK_TRUE(!subs_read_done(subs_get(&subs, PLACE)));
    CHECK_EQ(all(PLACE, 7), 12);
    done();
}

TEST(what_came_before_the_first_snapshot_is_read_from_the_log)
{
    begin();
    subs_join(&subs, A, PLACE, false);
    CHECK_EQ(subs_entry(&subs, PLACE, 9), SUBS_NONE);
    CHECK_TRUE(subs_settle(&subs, A, PLACE, 8)); // 9 went by
    CHECK_EQ(subs_read(subs_get(&subs, PLACE)), 8);
    CHECK_EQ(subs_entry(&subs, PLACE, 9), SUBS_APPLY);
    advance(PLACE, 9);
    CHECK_TRUE(!subs_read_done(subs_get(&subs, PLACE)));
    done();
    begin();
    subs_join(&subs, A, PLACE, false);
    CHECK_EQ(subs_entry(&subs, PLACE, 8), SUBS_NONE);
    CHECK_TRUE(!subs_settle(&subs, A, PLACE, 8)); // it holds 8
    done();
}

TEST(a_log_that_was_cut_loses_those_who_needed_what_is_gone)
{
    begin();
    listen(A, PLACE, 9);
    CHECK_TRUE(listen(B, PLACE, 3));
    struct keys lost = {0};
    struct sub *sub = subs_get(&subs, PLACE);
    subs_cut(sub, 3, 4, &lost);
    CHECK_EQ(lost.n, 0);
    subs_cut(sub, 3, 6, &lost);
    CHECK_TRUE(lost.n == 1 && lost.v[0] == B);
    CHECK_EQ(subs_entry(&subs, PLACE, 6), SUBS_CATCH);
    keys_fini(&lost);
    subs_cut(sub, 5, 20, &lost); // now everybody
    CHECK_EQ(lost.n, 2);
    CHECK_EQ(sub->applied, 19);
    CHECK_EQ(all(PLACE, 20), 12);
    keys_fini(&lost);
    done();
}

TEST(one_who_came_while_the_log_was_being_read_from_further_on_has_lost_nothing)
{
    begin();
    listen(A, PLACE, 9);
    CHECK_TRUE(listen(B, PLACE, 3));
    struct keys lost = {0};
    subs_cut(subs_get(&subs, PLACE), 9, 12, &lost);
    CHECK_TRUE(lost.n == 1 && lost.v[0] == A);
    CHECK_EQ(subs_read(subs_get(&subs, PLACE)), 3);
    CHECK_EQ(subs_entry(&subs, PLACE, 4), SUBS_CATCH);
    keys_fini(&lost);
    done();
}

TEST(a_version_that_the_log_does_not_know_is_forgotten)
{
    begin();
    listen(A, PLACE, 5);
    CHECK_EQ(subs_entry(&subs, PLACE, UINT64_MAX), SUBS_GAP);
    struct sub *sub = subs_get(&subs, PLACE);
    CHECK_TRUE(!subs_read_done(sub));
    CHECK_EQ(sub->seen, 5);
    sub->again = true;
    CHECK_EQ(subs_entry(&subs, PLACE, 7), SUBS_GAP);
    CHECK_TRUE(subs_read_done(sub)); // asked for while the other reading went on
    CHECK_EQ(sub->seen, 7);
    done();
}

TEST(a_voice_state_of_an_older_claim_is_outdated_where_a_newer_one_is_heard)
{
    begin();
    listen(A, PLACE, 1);
    listen(A, OTHER, 1);
    listen(B, PLACE, 1);
    subs_seat(&subs, subs_get(&subs, PLACE), 77, 4, false);
    CHECK_TRUE(!subs_outdated(&subs, A, PLACE, 77, 4)); // he sits here
    subs_seat(&subs, subs_get(&subs, OTHER), 77, 5, false);
    CHECK_TRUE(subs_outdated(&subs, A, PLACE, 77, 4));  // that he left, too
    CHECK_TRUE(!subs_outdated(&subs, B, PLACE, 77, 4)); // B does not hear of the other
    CHECK_TRUE(!subs_outdated(&subs, A, OTHER, 77, 5));
    subs_seat(&subs, subs_get(&subs, OTHER), 77, 3, true); // old news, told to one that is behind
    CHECK_TRUE(subs_outdated(&subs, A, PLACE, 77, 4));
    subs_seat(&subs, subs_get(&subs, OTHER), 77, 5, true);
    CHECK_TRUE(!subs_outdated(&subs, A, PLACE, 77, 4));
    done();
}

TEST(a_voice_state_without_a_claim_is_not_compared)
{
    begin();
    listen(A, PLACE, 1);
    listen(A, OTHER, 1);
    subs_seat(&subs, subs_get(&subs, PLACE), 77, 0, false);
    CHECK_EQ(subs_get(&subs, PLACE)->seats.n, 0);
    subs_seat(&subs, subs_get(&subs, PLACE), 77, 4, false);
    CHECK_TRUE(!subs_outdated(&subs, A, OTHER, 77, 0));
    subs_seat(&subs, subs_get(&subs, PLACE), 77, 0, true);
    CHECK_TRUE(subs_outdated(&subs, A, OTHER, 77, 3));
    done();
}

TEST(every_seat_of_a_large_guild_is_known_and_goes_with_who_listens)
{
    enum { SEATS = 5000 };
    begin();
    subs_join(&subs, A, PLACE, true);
    CHECK_TRUE(!subs_settle(&subs, A, PLACE, 1));
    listen(A, OTHER, 1);
    listen(B, OTHER, 1);
    for (uint64_t user = 1; user <= SEATS; user++)
        subs_seat(&subs, subs_get(&subs, PLACE), user, user + 1, false);
    CHECK_EQ(subs_get(&subs, PLACE)->seats.n, SEATS);
    CHECK_TRUE(subs_valid(&subs));
    for (uint64_t user = 1; user <= SEATS; user++)
        CHECK_TRUE(subs_outdated(&subs, A, OTHER, user, user) && !subs_outdated(&subs, B, OTHER, user, user));
    for (uint64_t user = 1; user < SEATS; user++)
        subs_seat(&subs, subs_get(&subs, PLACE), user, user + 1, true);
    CHECK_EQ(subs_get(&subs, PLACE)->seats.n, 1);
    CHECK_TRUE(subs_leave(&subs, A, PLACE));
    CHECK_EQ(subs.by_sitter.n, 0);
    done();
}

TEST(who_sits_at_two_records_is_found_at_both)
{
    begin();
    listen(A, PLACE, 1);
    listen(A, OTHER, 1);
    listen(A, ref_place(300), 1);
    subs_seat(&subs, subs_get(&subs, PLACE), 77, 3, false);
    subs_seat(&subs, subs_get(&subs, OTHER), 77, 5, false);
    CHECK_TRUE(subs_outdated(&subs, A, ref_place(300), 77, 4));
    subs_seat(&subs, subs_get(&subs, OTHER), 77, 5, true);
    CHECK_TRUE(!subs_outdated(&subs, A, ref_place(300), 77, 4));
    CHECK_TRUE(subs_outdated(&subs, A, ref_place(300), 77, 2));
    subs_seat(&subs, subs_get(&subs, OTHER), 77, 6, false);
    CHECK_TRUE(subs_leave(&subs, A, OTHER));
    CHECK_TRUE(!subs_outdated(&subs, A, ref_place(300), 77, 4));
    done();
}

static bool follow(uint64_t session, ref r, bool guild, uint64_t version)
{
    bool first, read = subs_follow(&subs, session, r, guild, version, &first);
    CHECK_TRUE(subs_valid(&subs));
    return read;
}

static uint64_t position(uint64_t session, ref r)
{
    uint64_t at = 0;
    CHECK_TRUE(subs_position(&subs, session, r, &at));
    return at;
}

// Ann's A is resumed here. The other gateway told it that 77 sits in OTHER, by claim 29; PLACE, to whose log B listens
// already, says next that he left there, by claim 28.
TEST(who_comes_from_another_gateway_is_not_told_who_left_before_it_is_known_who_sits_elsewhere)
{
    begin();
    listen(B, PLACE, 5);
    CHECK_TRUE(!follow(A, PLACE, false, 5));
    CHECK_TRUE(!subs_blind(&subs, A, PLACE));
    CHECK_TRUE(follow(A, OTHER, false, 8));
    CHECK_TRUE(subs_blind(&subs, A, PLACE) && !subs_blind(&subs, A, OTHER) && !subs_blind(&subs, B, PLACE));
    CHECK_TRUE(subs_ask_seats(subs_get(&subs, OTHER)));
    CHECK_EQ(subs_entry(&subs, PLACE, 6), SUBS_APPLY);
    CHECK_TRUE(!subs_outdated(&subs, A, PLACE, 77, 28)); // as far as is known
    CHECK_TRUE(subs_hold(&subs, PLACE, 6));
    CHECK_EQ(all(PLACE, 6), 2);
    CHECK_EQ(position(A, PLACE), 5);
    advance(PLACE, 6);
    CHECK_EQ(subs_entry(&subs, PLACE, 7), SUBS_APPLY);
    CHECK_TRUE(!subs_hold(&subs, PLACE, 7)); // it is behind anyway
    CHECK_EQ(all(PLACE, 7), 2);
    advance(PLACE, 7);
    CHECK_EQ(subs_entry(&subs, PLACE, 6), SUBS_CATCH);
    CHECK_TRUE(subs_hold(&subs, PLACE, 6)); // still
    CHECK_EQ(all(PLACE, 6), 0);
    advance(PLACE, 6);
    CHECK_EQ(position(A, PLACE), 5);
    CHECK_TRUE(subs_seats_come(&subs, subs_get(&subs, OTHER), true));
    subs_seat(&subs, subs_get(&subs, OTHER), 77, 29, false);
    CHECK_EQ(subs_entry(&subs, PLACE, 6), SUBS_CATCH);
    CHECK_TRUE(!subs_hold(&subs, PLACE, 6));
    CHECK_EQ(all(PLACE, 6), 1);
    CHECK_TRUE(subs_outdated(&subs, A, PLACE, 77, 28));
    advance(PLACE, 6);
    CHECK_EQ(all(PLACE, 7), 1);
    advance(PLACE, 7);
    CHECK_EQ(all(PLACE, 8), 12);
    done();
}

TEST(those_of_many_who_are_blind_are_held_and_nobody_else)
{
    begin();
    for (uint64_t k = 4; k <= 9; k++)
        subs_enter(&subs, k, 100 + k);
    for (uint64_t k = 1; k <= 9; k++)
        listen(k, PLACE, 5);
    for (uint64_t k = 1; k <= 9; k += 3)
        (void)follow(k, OTHER, false, 8);
    CHECK_TRUE(subs_hold(&subs, PLACE, 6));
    CHECK_EQ(all(PLACE, 6), 235689);
    advance(PLACE, 6);
    CHECK_TRUE(subs_hold(&subs, PLACE, 6));
    for (uint64_t k = 1; k <= 9; k += 3)
        subs_exit(&subs, k, NULL); // held or not
    CHECK_TRUE(!subs_blind(&subs, 1, PLACE) && subs_get(&subs, OTHER) == NULL);
    advance(PLACE, 6);
    CHECK_EQ(all(PLACE, 7), 235689);
    done();
}

TEST(seats_are_read_for_who_was_told_of_more_than_anybody_here)
{
    static const struct {
        bool user, guild;       // nobody sits in a guild's record, or in a user's
        uint64_t here, version; // here: where another stands, 0: there is none
        bool asks;
    } t[] = {
        {.here = 0, .version = 5, .asks = true}, {.here = 5, .version = 4},     {.here = 5, .version = 5},
        {.here = 5, .version = 6, .asks = true}, {.guild = true, .version = 5}, {.user = true, .version = 5},
    };
    for (size_t i = 0; i < countof(t); i++) {
        ref r = t[i].user ? ref_user(ANN) : PLACE;
        begin();
        if (t[i].here)
            listen(B, r, t[i].here);
        (void)follow(A, r, t[i].guild, t[i].version);
        CHECK_EQ(subs_blind(&subs, A, OTHER), t[i].asks);
        CHECK_EQ(subs_ask_seats(subs_get(&subs, r)), t[i].asks);
        CHECK_TRUE(!subs_ask_seats(subs_get(&subs, r))); // once
        done();
    }
}

TEST(seats_that_were_read_before_an_entry_was_applied_are_read_again)
{
    begin();
    (void)follow(A, OTHER, false, 8);
    struct sub *sub = subs_get(&subs, OTHER);
    CHECK_TRUE(!subs_seats_come(&subs, sub, true)); // nobody asked: for those who have left
    CHECK_TRUE(subs_ask_seats(sub));
    CHECK_TRUE(!subs_seats_come(&subs, sub, false));
    CHECK_TRUE(subs_blind(&subs, A, PLACE));
    CHECK_TRUE(subs_ask_seats(sub));
    advance(OTHER, 9); // he may have left by that
    CHECK_TRUE(!subs_seats_come(&subs, sub, true));
    CHECK_TRUE(subs_blind(&subs, A, PLACE));
    CHECK_TRUE(subs_ask_seats(sub));
    CHECK_TRUE(subs_seats_come(&subs, sub, true));
    CHECK_TRUE(!subs_blind(&subs, A, PLACE) && !subs_ask_seats(sub));
    done();
}

TEST(what_a_users_record_says_of_a_place_is_outdated_for_who_has_been_told_as_much)
{
    begin();
    CHECK_TRUE(!subs_knows(&subs, A, 1, PLACE, 5)); // it does not listen there
    listen(A, PLACE, 5);
    CHECK_TRUE(subs_knows(&subs, A, 1, PLACE, 5));
    CHECK_TRUE(subs_knows(&subs, A, 2, PLACE, 4));
    CHECK_TRUE(!subs_knows(&subs, A, 0, PLACE, 5)); // what goes with being told to listen
    CHECK_TRUE(!subs_knows(&subs, A, 1, PLACE, 6));
    CHECK_TRUE(!subs_knows(&subs, A, 2, PLACE, 0)); // says nothing of a version
    done();
}

TEST(who_waits_to_go_on_knows_what_it_was_told_before)
{
    static const struct {
        uint64_t from;
        bool told;
    } t[] = {{5, true}, {0, false}};
    for (size_t i = 0; i < countof(t); i++) {
        uint64_t at;
        bool first;
        begin();
        CHECK_TRUE(!subs_told(&subs, A, PLACE, &at));
        subs_await(&subs, A, PLACE, true, t[i].from, &first);
        CHECK_TRUE(!subs_position(&subs, A, PLACE, &at));
        CHECK_EQ(subs_told(&subs, A, PLACE, &at), t[i].told);
        CHECK_EQ(subs_knows(&subs, A, 2, PLACE, 5), t[i].told);
        CHECK_TRUE(!subs_knows(&subs, A, 1, PLACE, 6));
        CHECK_TRUE(!subs_settle(&subs, A, PLACE, 7));
        CHECK_TRUE(subs_told(&subs, A, PLACE, &at));
        CHECK_EQ(at, 7);
        done();
    }
}

TEST(who_is_told_anew_of_a_place_goes_on_from_there)
{
    bool first;
    begin();
    listen(A, PLACE, 5);
    listen(B, PLACE, 5);
    subs_await(&subs, A, PLACE, false, 0, &first);
    CHECK_TRUE(!first && subs_settle(&subs, A, PLACE, 7)); // B lacks what A has been told
    CHECK_EQ(all(PLACE, 6), 2);
    advance(PLACE, 6);
    CHECK_EQ(all(PLACE, 7), 2);
    advance(PLACE, 7);
    CHECK_EQ(all(PLACE, 8), 12);
    done();
}

TEST(who_waits_for_what_it_needs_gets_nothing_and_says_from_where_it_will_go_on)
{
    bool first;
    uint64_t at = 0;
    begin();
    subs_await(&subs, A, PLACE, true, 4, &first);
    CHECK_TRUE(first && subs_awaits(&subs, A, PLACE, &at));
    CHECK_EQ(at, 4);
    CHECK_TRUE(!subs_position(&subs, A, PLACE, &at));
    CHECK_EQ(subs_entry(&subs, PLACE, 5), SUBS_NONE); // noticed all the same
    CHECK_TRUE(subs_follow(&subs, A, PLACE, true, at, &first) && !first);
    CHECK_TRUE(!subs_awaits(&subs, A, PLACE, &at));
    CHECK_EQ(subs_entry(&subs, PLACE, 5), SUBS_APPLY);
    CHECK_TRUE(!subs_awaits(&subs, B, PLACE, &at));
    done();
}

TEST(what_is_void_is_known_anew_from_the_next_snapshot)
{
    begin();
    listen(A, PLACE, 5);
    subs_join(&subs, B, PLACE, false);
    subs_seat(&subs, subs_get(&subs, PLACE), 77, 3, false);
    CHECK_TRUE(!subs_leave(&subs, A, PLACE));
    subs_forget(&subs, subs_get(&subs, PLACE));
    CHECK_TRUE(subs_valid(&subs));
    CHECK_EQ(subs.by_sitter.n, 0);
    CHECK_EQ(subs_entry(&subs, PLACE, 6), SUBS_NONE);
    CHECK_TRUE(!subs_read_done(subs_get(&subs, PLACE))); // a reading that was under way
    CHECK_TRUE(subs_settle(&subs, B, PLACE, 9));         // what came since went by
    CHECK_EQ(all(PLACE, 10), 2);
    done();
}

TEST(a_user_listens_with_any_of_his_sessions)
{
    begin();
    CHECK_EQ(subs_user(&subs, A), ANN);
    CHECK_EQ(subs_user(&subs, 9), 0);
    subs_join(&subs, C, PLACE, false);
    CHECK_TRUE(subs_user_listens(&subs, ANN, PLACE) && !subs_user_listens(&subs, BEN, PLACE));
    CHECK_TRUE(subs_leave(&subs, C, PLACE));
    CHECK_TRUE(!subs_user_listens(&subs, ANN, PLACE));
    done();
}

TEST(a_users_sessions_are_known)
{
    begin();
    struct keys of = {0};
    CHECK_EQ(subs_sessions_of(&subs, ANN, &of), 2);
    CHECK_EQ(of.n, 2);
    CHECK_EQ(of.v[0] + of.v[1], A + C);
    CHECK_EQ(subs_sessions_of(&subs, 99, NULL), 0);
    subs_exit(&subs, A, NULL);
    CHECK_EQ(subs_sessions_of(&subs, ANN, NULL), 1);
    subs_exit(&subs, C, NULL);
    CHECK_EQ(subs_sessions_of(&subs, ANN, NULL), 0);
    keys_fini(&of);
    done();
}

TEST(who_still_waits_when_all_is_loaded_is_taken_out)
{
    begin();
    struct keys left = {0};
    listen(A, PLACE, 1);
    subs_join(&subs, A, OTHER, false);
    subs_leave_waiting(&subs, A, &left);
    CHECK_TRUE(left.n == 1 && left.v[0] == OTHER);
    CHECK_TRUE(subs_listens(&subs, A, PLACE) && !subs_listens(&subs, A, OTHER));
    keys_fini(&left);
    done();
}

// --- many sessions, a bus that loses and doubles, against what each must get ---

#define SESSIONS 40u
#define VERSIONS 400u
static uint64_t got[SESSIONS + 1]; // the last version each has
static bool settled[SESSIONS + 1];

static uint32_t random_state = 1;
static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static void deliver(uint64_t version)
{
    struct keys out = {0};
    enum subs_verdict v = subs_entry(&subs, PLACE, version);
    if (v == SUBS_APPLY || v == SUBS_CATCH) {
        subs_address(&subs, PLACE, version, 0, 0, 0, &out);
        for (uint32_t i = 0; i < out.n; i++) {
            CHECK_EQ(got[out.v[i]] + 1, version);
            got[out.v[i]] = version;
        }
        subs_advance(&subs, PLACE, version);
    }
    CHECK_TRUE(subs_valid(&subs));
    keys_fini(&out);
}

static void read_log(uint64_t newest)
{
    struct sub *sub = subs_get(&subs, PLACE);
    if (!sub || !sub->known)
        return;
    for (uint64_t v = subs_read(sub) + 1; v <= newest; v++)
        deliver(v);
    CHECK_TRUE(!subs_read_done(sub));
}

static void change_somebody(uint64_t newest)
{
    uint32_t k = random_below(SESSIONS) + 1;
    if (!subs_listens(&subs, k, PLACE)) {
        subs_join(&subs, k, PLACE, false);
        settled[k] = false;
    } else if (!settled[k]) {
        uint64_t snapshot = newest - random_below(newest < 3 ? 1 : 3);
        settled[k] = true;
        got[k] = snapshot;
        if (subs_settle(&subs, k, PLACE, snapshot) && random_below(2))
            read_log(newest);
    } else if (random_below(4) == 0) {
        CHECK_EQ(subs_leave(&subs, k, PLACE), subs_get(&subs, PLACE) == NULL);
    }
}

TEST(forty_sessions_on_a_lossy_bus_miss_and_double_nothing)
{
    for (uint64_t k = 1; k <= SESSIONS; k++)
        subs_enter(&subs, k, 1000 + k / 3);
    for (uint64_t newest = 1; newest <= VERSIONS; newest++) {
        for (int i = 0; i < 3; i++)
            change_somebody(newest - 1);
        if (random_below(3))
            deliver(newest);
        if (random_below(5) == 0)
            deliver(newest - random_below((uint32_t)(newest < 5 ? newest : 5)));
        if (random_below(6) == 0)
            read_log(newest);
    }
    read_log(VERSIONS);
    for (uint64_t k = 1; k <= SESSIONS; k++)
        if (subs_listens(&subs, k, PLACE) && settled[k])
            CHECK_EQ(got[k], VERSIONS);
    done();
}

TEST(a_session_knows_all_that_it_listens_to)
{
    struct keys refs = {0};
    begin();
    subs_refs_of(&subs, 9, &refs); // nobody
    CHECK_EQ(refs.n, 0);
    (void)listen(A, PLACE, 5);
    (void)listen(B, ref_user(BEN), 5);
    subs_join(&subs, A, OTHER, true); // still waits
    subs_refs_of(&subs, A, &refs);
    CHECK_EQ(refs.n, 2);
    CHECK_EQ(refs.v[0] + refs.v[1], PLACE + OTHER);
    keys_fini(&refs);
    done();
}

TEST(who_comes_from_another_gateway_reads_the_log_unless_it_is_known_how_far_that_goes)
{
    bool first;
    begin();
    CHECK_TRUE(subs_follow(&subs, A, PLACE, false, 5, &first) && first);
    CHECK_TRUE(!subs_follow(&subs, B, PLACE, false, 5, &first) && !first);
    CHECK_TRUE(subs_follow(&subs, C, PLACE, false, 3, &first) && !first); // it is known, and C is behind
    subs_join(&subs, A, OTHER, false);                                    // its snapshot is still to come
    CHECK_TRUE(subs_follow(&subs, B, OTHER, false, 7, &first) && !first); // perhaps 8 is long past
    CHECK_EQ(subs_read(subs_get(&subs, OTHER)), 7);
    CHECK_TRUE(subs_valid(&subs));
    done();
}

MAIN
