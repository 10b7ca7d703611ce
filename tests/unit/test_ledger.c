// test_ledger: what is not kept yet is written in order, one write at a time, and again when nobody knows what became
// of it.
#include "ledger.h"
#include "check.h"

#define HOLD 77u

static struct ledger fresh(void)
{
    struct ledger l;
    ledger_init(&l, HOLD, 5, false);
    return l;
}

static void add(struct ledger *l)
{
    struct dispatch *d = dispatch_new(BYTES("E"), BYTES_NONE);
    ledger_add(l, d);
    dispatch_drop(d);
}

TEST(a_session_that_begins_is_written_even_when_it_was_told_nothing)
{
    struct ledger l = fresh();
    CHECK_TRUE(ledger_begin(&l));
    CHECK_TRUE(!l.begun && l.turn == 1 && l.last == 4 && l.pending.n == 0);
    CHECK_TRUE(!ledger_written(&l));
    CHECK_TRUE(l.begun && !ledger_begin(&l));
    ledger_want(&l);
    CHECK_TRUE(ledger_begin(&l) && l.turn == 2);
    ledger_fini(&l);
}

TEST(what_comes_during_a_write_is_for_the_next_one)
{
    struct ledger l = fresh();
    add(&l);
    add(&l);
    ledger_touch(&l, 10);
    ledger_touch(&l, 11);
    ledger_touch(&l, 10);
    CHECK_TRUE(ledger_begin(&l));
    CHECK_TRUE(ledger_first(&l) == 5 && l.last == 6 && l.n_touched == 2);
    add(&l);
    ledger_touch(&l, 10); // its position has changed again
    ledger_touch(&l, 10);
    CHECK_TRUE(!ledger_begin(&l)); // one at a time
    CHECK_TRUE(!ledger_written(&l));
    CHECK_TRUE(ledger_first(&l) == 7 && l.touched.n == 1 && l.touched.v[0] == 10 && l.due);
    CHECK_TRUE(ledger_begin(&l));
    CHECK_TRUE(l.last == 7 && l.n_touched == 1);
    CHECK_TRUE(!ledger_written(&l));
    CHECK_TRUE(!l.due && l.touched.n == 0 && l.pending.n == 0);
    ledger_fini(&l);
}

TEST(a_write_of_unknown_fate_is_made_again_with_all_that_it_had)
{
    struct ledger l = fresh();
    add(&l);
    ledger_touch(&l, 10);
    ledger_ask(&l);
    CHECK_TRUE(ledger_begin(&l));
    add(&l);
    ledger_touch(&l, 11);
    ledger_failed(&l);
    CHECK_TRUE(ledger_begin(&l));
    CHECK_TRUE(l.turn == 2 && ledger_first(&l) == 5 && l.last == 6 && l.n_touched == 2 && !l.begun);
    CHECK_TRUE(ledger_written(&l)); // whoever asked is answered now
    CHECK_TRUE(!ledger_begin(&l));
    ledger_fini(&l);
}

TEST(a_write_that_was_under_way_does_not_answer_who_asks_later)
{
    struct ledger l = fresh();
    CHECK_TRUE(ledger_begin(&l));
    ledger_ask(&l);
    CHECK_TRUE(!ledger_written(&l));
    CHECK_TRUE(ledger_begin(&l) && ledger_written(&l));
    ledger_want(&l);
    CHECK_TRUE(ledger_begin(&l) && !ledger_written(&l));
    ledger_fini(&l);
}

TEST(what_is_set_aside_pends_no_more_and_is_written_no_more)
{
    struct ledger l = fresh();
    add(&l);
    ledger_touch(&l, 10);
    CHECK_TRUE(ledger_begin(&l));
    add(&l);
    ledger_set_aside(&l);
    CHECK_TRUE(l.pending.n == 0 && l.pending.bytes == 0 && l.touched.n == 0);
    ledger_failed(&l); // the write that was under way
    ledger_want(&l);
    CHECK_TRUE(!ledger_begin(&l));
    ledger_fini(&l);
}

TEST(each_session_may_keep_its_replay_until_all_have_half_of_what_there_is)
{
    CHECK_EQ(ledger_allowance(4000, 1000000, 0, 100, 10000), 4000);
    CHECK_EQ(ledger_allowance(4000, 1000000, 499899, 100, 10000), 4000);
    CHECK_EQ(ledger_allowance(4000, 1000000, 499900, 100, 10000), 50);
    CHECK_EQ(ledger_allowance(4000, 1000000, 495999, 9000, 10000),
             4000);                                                   // of what it wants it has no more than its own
    CHECK_EQ(ledger_allowance(4000, 1000000, 900000, 100, 10), 4000); // an even share is more than that
    CHECK_EQ(ledger_allowance(4000, 1000, 1000, 0, 0), 500);
}

TEST(however_sessions_are_written_what_all_have_in_the_store_is_bounded)
{
    enum { N = 100, EACH = 5000, ALL = 100000 };
    static uint64_t has[N];
    uint64_t seed = 3, all = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t *one = &has[(seed >> 33) % N], add = (seed >> 40) % (i % 50 ? 1000 : 3 * EACH);
        uint64_t may = ledger_allowance(EACH, ALL, all - *one, *one + add, N);
        all -= *one;
        *one = *one + add < may ? *one + add : may;
        all += *one;
        CHECK_TRUE(all <= ALL);
    }
    CHECK_TRUE(all > ALL / 4);
}

MAIN
