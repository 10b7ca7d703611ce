// place: every state by every input, every path to its answer, and two allocators at once in every order of steps.
// The store and the workers are in place_world.h.
#include "errors.h"
#include "place_world.h"

// --- assign ---

TEST(a_new_call_is_placed_listed_and_gets_a_token)
{
    begin();
    struct fleet f = ams_par();
    struct worker w = assigned(&f, request(""), 1);
    CHECK_BYTES(answer(&w).node, "ams-1"); // the default region
    CHECK_BYTES(answer(&w).region, "ams");
    CHECK_BYTES(answer(&w).endpoint, "new:443");
    CHECK_EQ(answer(&w).token.n, 16);
    CHECK_EQ(answer(&w).token_ms, 300000);
    CHECK_STR(stands(), "ams-1");
    CHECK_TRUE(has_row(&store.lists, "ams-1"));
    CHECK_EQ(w.expected, 1);
    fleet_fini(&f);
}

TEST(the_row_that_finds_a_call_stands_before_the_assignment)
{
    begin();
    struct fleet f = ams_par();
    struct worker w = assigning(&f, request(""), 1);
    while (strcmp(stands(), "none") == 0 && turn(&w))
        if (strcmp(stands(), "none") != 0)
            CHECK_TRUE(has_row(&store.lists, "ams-1"));
    CHECK_STR(stands(), "ams-1");
    fleet_fini(&f);
}

TEST(everybody_in_a_call_gets_its_node_and_a_token_of_his_own)
{
    begin();
    struct fleet f = ams_par();
    struct bytes preferred[] = {BYTES("par")};
    struct assign second = request("");
    second.preferred = (struct texts){1, preferred};
    struct worker a = assigned(&f, request(""), 1), b = assigned(&f, second, 2);
    CHECK_BYTES(answer(&b).node, "ams-1");
    CHECK_TRUE(!bytes_eq(answer(&a).token, answer(&b).token));
    fleet_fini(&f);
}

TEST(the_first_one_s_preferred_regions_decide)
{
    begin();
    struct fleet f = ams_par();
    struct bytes preferred[] = {BYTES("mars"), BYTES("not a name"), BYTES("par")};
    struct assign a = request("");
    a.preferred = (struct texts){3, preferred};
    struct worker w = assigned(&f, a, 1);
    CHECK_BYTES(answer(&w).node, "par-1");
    fleet_fini(&f);
}

TEST(a_repeated_command_gets_its_first_answer_and_changes_nothing)
{
    begin();
    struct fleet f = ams_par();
    struct worker a = assigned(&f, request(""), 1);
    struct store before = store;
    struct worker b = assigned(&f, request(""), 1);
    CHECK_TRUE(bytes_eq(answer(&a).token, answer(&b).token));
    CHECK_TRUE(memcmp(&before, &store, sizeof store) == 0);
    CHECK_EQ(b.expected, 0);
    fleet_fini(&f);
}

TEST(a_full_node_keeps_its_call)
{
    begin();
    struct fleet f = fleet_new();
    add_node(&f, "ams-1", "ams", 0, false);
    add_node(&f, "ams-2", "ams", 10, false);
    stand("ams-1", "ams", UNIX_MS);
    struct worker w = assigned(&f, request("ams"), 1);
    CHECK_BYTES(answer(&w).node, "ams-1");
    CHECK_BYTES(answer(&w).endpoint, "old:443"); // what the others of the call were told
    fleet_fini(&f);
}

TEST(another_region_moves_the_call_and_cleans_the_old_list)
{
    begin();
    struct fleet f = ams_par();
    stand("ams-1", "ams", UNIX_MS);
    struct worker w = assigned(&f, request("par"), 1);
    CHECK_BYTES(answer(&w).node, "par-1");
    CHECK_STR(stands(), "par-1");
    CHECK_TRUE(!has_row(&store.lists, "ams-1"));
    CHECK_TRUE(has_row(&store.lists, "par-1"));
    CHECK_EQ(w.lost, 0);
    fleet_fini(&f);
}

TEST(who_asks_second_for_a_move_finds_it_made)
{
    begin();
    struct fleet f = ams_par();
    add_node(&f, "par-2", "par", 10, false);
    stand("ams-1", "ams", UNIX_MS);
    struct assign move = request("par");
    move.move = true;
    struct worker first = assigned(&f, move, 1);
    char node[80];
    snprintf(node, sizeof node, "%s", stands());
    for (uint64_t i = 2; i < 12; i++) {
        struct worker next = assigning(&f, move, i);
        next.random = i;
        run(&next);
        CHECK_BYTES(answer(&next).node, node);
    }
    CHECK_BYTES(answer(&first).node, node);
    fleet_fini(&f);
}

TEST(a_move_without_a_region_goes_where_a_new_call_would)
{
    begin();
    struct fleet f = ams_par();
    stand("par-1", "par", UNIX_MS);
    struct assign move = request("");
    move.move = true;
    struct worker w = assigned(&f, move, 1);
    CHECK_BYTES(answer(&w).node, "ams-1");
    struct worker again = assigned(&f, move, 2);
    CHECK_BYTES(answer(&again).node, "ams-1");
    fleet_fini(&f);
}

TEST(a_move_to_an_unknown_region_is_a_form_error_and_changes_nothing)
{
    begin();
    struct fleet f = ams_par();
    stand("ams-1", "ams", UNIX_MS);
    struct assign move = request("mars");
    move.move = true;
    struct worker w = assigned(&f, move, 1);
    CHECK_EQ(w.p.err, API_INVALID_FORM);
    CHECK_EQ(w.p.answer_n, 0);
    CHECK_STR(stands(), "ams-1");
    fleet_fini(&f);
}

TEST(a_lost_or_draining_node_is_replaced_and_its_people_are_told)
{
    for (int draining = 0; draining < 2; draining++) {
        begin();
        struct fleet f = ams_par();
        if (draining)
            add_node(&f, "ams-0", "ams", 10, true);
        stand("ams-0", "ams", UNIX_MS);
        struct worker w = assigned(&f, request(""), 1);
        CHECK_BYTES(answer(&w).node, "ams-1");
        CHECK_EQ(w.lost, 1);
        CHECK_STR(w.lost_node, "ams-0");
        CHECK_TRUE(has_row(&store.lists, "ams-0")); // until they know
        fleet_fini(&f);
    }
}

TEST(a_draining_node_keeps_its_call_for_as_long_as_there_is_no_other)
{
    begin();
    struct fleet f = fleet_new();
    add_node(&f, "ams-0", "ams", 10, true);
    stand("ams-0", "ams", UNIX_MS);
    struct worker w = assigned(&f, request(""), 1);
    CHECK_BYTES(answer(&w).node, "ams-0");
    CHECK_EQ(w.lost, 0);
    w = assigned(&f, request("par"), 2); // but not where it is not wanted any more
    CHECK_EQ(answer(&w).endpoint.n, 0);
    CHECK_STR(stands(), "wait:par");
    fleet_fini(&f);
}

TEST(a_draining_node_loses_a_call_only_to_one_that_may_have_it)
{
    begin();
    struct fleet f = fleet_new();
    add_node(&f, "ams-0", "ams", 10, true);
    stand("ams-0", "ams", UNIX_MS);
    CHECK_TRUE(!place_may_move(&f, (struct bytes){store.raw, store.n}, BYTES("ams-0"), NOW));
    CHECK_TRUE(place_may_move(&f, (struct bytes){store.raw, store.n}, BYTES("ams-9"), NOW)); // it lives elsewhere
    CHECK_TRUE(place_may_move(&f, BYTES_NONE, BYTES("ams-0"), NOW));
    add_node(&f, "par-1", "par", 10, false);
    CHECK_TRUE(place_may_move(&f, (struct bytes){store.raw, store.n}, BYTES("ams-0"), NOW));
    add_node(&f, "ams-0", "ams", 10, false);
    store.n = 0;
    struct worker w = assigned(&f, request("ams"), 1); // of a region by name
    CHECK_BYTES(answer(&w).node, "ams-0");
    add_node(&f, "ams-0", "ams", 10, true);
    CHECK_TRUE(!place_may_move(&f, (struct bytes){store.raw, store.n}, BYTES("ams-0"), NOW));
    add_node(&f, "ams-1", "ams", 10, false);
    CHECK_TRUE(place_may_move(&f, (struct bytes){store.raw, store.n}, BYTES("ams-0"), NOW));
    fleet_fini(&f);
}

TEST(that_a_region_was_asked_for_by_name_holds_for_as_long_as_it_is)
{
    begin();
    struct fleet f = fleet_new();
    add_node(&f, "ams-0", "ams", 10, false);
    add_node(&f, "par-1", "par", 10, false);
    stand("ams-0", "ams", UNIX_MS);
    struct worker w = assigned(&f, request("ams"), 1); // it is there, and has to stay in that region from now on
    CHECK_BYTES(answer(&w).node, "ams-0");
    CHECK_TRUE(!place_moves(&w.p));
    add_node(&f, "ams-0", "ams", 10, true);
    CHECK_TRUE(!place_may_move(&f, (struct bytes){store.raw, store.n}, BYTES("ams-0"), NOW));
    w = assigned(&f, request("ams"), 2);
    CHECK_BYTES(answer(&w).node, "ams-0");
    add_node(&f, "ams-0", "ams", 10, false);
    w = assigned(&f, request(""), 3); // and now not any more
    CHECK_BYTES(answer(&w).node, "ams-0");
    CHECK_EQ(w.lost, 0);
    add_node(&f, "ams-0", "ams", 10, true);
    CHECK_TRUE(place_may_move(&f, (struct bytes){store.raw, store.n}, BYTES("ams-0"), NOW));
    fleet_fini(&f);
}

TEST(an_allocator_that_just_began_lets_unknown_nodes_be)
{
    begin();
    struct fleet f;
    fleet_init(&f, 8, LEASE, NOW - 100);
    add_node(&f, "ams-1", "ams", 10, false);
    stand("ams-0", "ams", UNIX_MS);
    struct worker w = assigned(&f, request(""), 1);
    CHECK_BYTES(answer(&w).node, "ams-0");
    fleet_fini(&f);
}

TEST(with_no_room_the_call_waits_for_its_region_or_for_any)
{
    begin();
    struct fleet f = fleet_new();
    struct worker any = assigned(&f, request(""), 1);
    CHECK_EQ(answer(&any).endpoint.n, 0);
    CHECK_EQ(answer(&any).node.n, 0);
    CHECK_EQ(answer(&any).token.n, 16);
    CHECK_STR(stands(), "wait:");
    CHECK_TRUE(has_row(&store.waits, ""));
    struct worker ams = assigned(&f, request("ams"), 2);
    CHECK_EQ(answer(&ams).endpoint.n, 0);
    CHECK_STR(stands(), "wait:ams");
    CHECK_TRUE(has_row(&store.waits, "ams"));
    CHECK_TRUE(!has_row(&store.waits, ""));
    struct store before = store;
    struct worker same = assigned(&f, request("ams"), 2);
    CHECK_EQ(answer(&same).endpoint.n, 0);
    CHECK_TRUE(memcmp(&before, &store, sizeof store) == 0);
    fleet_fini(&f);
}

TEST(an_unknown_region_without_a_move_is_one_without_room)
{
    begin();
    struct fleet f = ams_par();
    struct worker w = assigned(&f, request("mars"), 1);
    CHECK_EQ(answer(&w).endpoint.n, 0);
    CHECK_STR(stands(), "wait:mars");
    fleet_fini(&f);
}

TEST(a_waiting_call_is_placed_when_it_asks_again_and_waits_no_more)
{
    begin();
    struct fleet f = ams_par();
    stand("", "ams", UNIX_MS);
    struct worker w = assigned(&f, request("ams"), 1);
    CHECK_BYTES(answer(&w).node, "ams-1");
    CHECK_TRUE(!has_row(&store.waits, "ams"));
    fleet_fini(&f);
}

TEST(a_lost_node_with_no_room_elsewhere_leaves_the_call_waiting)
{
    begin();
    struct fleet f = fleet_new();
    stand("ams-0", "ams", UNIX_MS);
    struct worker w = assigned(&f, request(""), 1);
    CHECK_EQ(answer(&w).endpoint.n, 0);
    CHECK_STR(stands(), "wait:");
    CHECK_EQ(w.lost, 1);
    fleet_fini(&f);
}

TEST(what_does_not_decode_is_replaced)
{
    begin();
    struct fleet f = ams_par();
    store.n = 5;
    memcpy(store.raw, "\xdd\xff\xff\xff\xff", 5);
    struct worker w = assigned(&f, request(""), 1);
    CHECK_BYTES(answer(&w).node, "ams-1");
    CHECK_STR(stands(), "ams-1");
    fleet_fini(&f);
}

TEST(a_failed_store_is_said_at_once_wherever_it_fails_and_the_repeat_goes_through)
{
    for (int at = 0; at < 4; at++) {
        begin();
        struct fleet f = ams_par();
        struct worker w = assigning(&f, request(""), 1);
        for (int i = 0; i < at; i++)
            turn(&w);
        w.fails = true;
        run(&w);
        CHECK_TRUE(w.answered);
        CHECK_EQ(w.p.err, ERR_IO);
        struct worker again = assigned(&f, request(""), 1);
        CHECK_BYTES(answer(&again).node, "ams-1");
        fleet_fini(&f);
    }
}

TEST(malformed_requests_are_refused)
{
    struct place p;
    struct place_fxs out;
    struct assign bad[6];
    for (size_t i = 0; i < countof(bad); i++)
        bad[i] = request("");
    bad[0].place = 0;
    bad[1].channel = 0;
    bad[2].server = 0;
    bad[3].user = 0;
    bad[4].session = BYTES("a b");
    bad[5].region = (struct bytes){"a\0b", 3};
    for (size_t i = 0; i < countof(bad); i++)
        CHECK_EQ(place_assign(&p, &bad[i], 1, &out), ERR_INVALID);
    CHECK_EQ(place_release(&p, &(struct release){.place = 1}, 1, &out), ERR_INVALID);
    CHECK_EQ(place_release(&p, &(struct release){.channel = 1}, 1, &out), ERR_INVALID);
}

// --- release, forget, settle ---

static struct worker released(uint64_t command)
{
    struct worker w = {0};
    CHECK_EQ(place_release(&w.p, &(struct release){PLACE, PLACE}, command, &w.todo), OK);
    run(&w);
    CHECK_TRUE(w.answered);
    CHECK_EQ(w.p.err, OK);
    CHECK_EQ(w.p.answer_n, 0);
    return w;
}

TEST(release_removes_the_assignment_and_its_row)
{
    begin();
    struct fleet f = fleet_new();
    stand("ams-1", "ams", UNIX_MS);
    struct worker w = {.fleet = &f};
    CHECK_EQ(place_release(&w.p, &(struct release){PLACE, PLACE}, 5, &w.todo), OK);
    run(&w);
    CHECK_STR(stands(), "none");
    CHECK_TRUE(!has_row(&store.lists, "ams-1"));
    fleet_fini(&f);
}

TEST(release_of_a_waiting_call_and_of_none)
{
    begin();
    stand("", "ams", UNIX_MS);
    released(5);
    CHECK_STR(stands(), "none");
    CHECK_TRUE(!has_row(&store.waits, "ams"));
    released(6);
    CHECK_STR(stands(), "none");
}

TEST(a_release_that_comes_again_late_spares_the_next_call)
{
    begin();
    struct fleet f = ams_par();
    stand("", "", UNIX_MS - 5);
    struct worker slow = {.fleet = &f}; // has looked, and is held up before its swap
    CHECK_EQ(place_release(&slow.p, &(struct release){PLACE, PLACE}, 5, &slow.todo), OK);
    CHECK_TRUE(turn(&slow));
    released(5); // the same command at another allocator
    stand("ams-1", "ams", UNIX_MS);
    run(&slow);
    CHECK_TRUE(slow.answered);
    CHECK_STR(stands(), "ams-1");
    fleet_fini(&f);
}

static void forget(struct fleet *f, const char *node, uint64_t before)
{
    struct worker w = {.fleet = f};
    place_forget(&w.p, PLACE, PLACE, bytes_of(node), before, &w.todo);
    run(&w);
    CHECK_TRUE(!w.answered);
}

TEST(forget_removes_only_what_lives_on_that_node_since_before)
{
    struct fleet f = fleet_new();
    begin();
    stand("ams-1", "ams", 100);
    forget(&f, "ams-1", 100); // assigned anew to a node that came back
    CHECK_STR(stands(), "ams-1");
    CHECK_TRUE(has_row(&store.lists, "ams-1"));
    forget(&f, "ams-1", 101);
    CHECK_STR(stands(), "none");
    CHECK_TRUE(!has_row(&store.lists, "ams-1"));
    stand("ams-2", "ams", 100);
    add_row(&store.lists, "ams-1");
    forget(&f, "ams-1", UINT64_MAX);
    CHECK_STR(stands(), "ams-2");
    CHECK_TRUE(!has_row(&store.lists, "ams-1"));
    CHECK_TRUE(has_row(&store.lists, "ams-2"));
    fleet_fini(&f);
}

TEST(a_lost_call_stays_listed_while_an_answer_about_it_may_be_on_its_way)
{
    struct fleet f = fleet_new();
    begin();
    stand("ams-1", "ams", UNIX_MS - PLACE_SETTLED_MS + 1);
    forget(&f, "ams-1", UINT64_MAX);
    CHECK_STR(stands(), "none");
    CHECK_TRUE(has_row(&store.lists, "ams-1")); // to be told again: this word may have come before that answer
    forget(&f, "ams-1", UINT64_MAX);
    CHECK_TRUE(!has_row(&store.lists, "ams-1"));
    stand("ams-2", "ams", UNIX_MS - PLACE_SETTLED_MS + 1); // it has moved on, just now
    add_row(&store.lists, "ams-1");
    forget(&f, "ams-1", UINT64_MAX);
    CHECK_TRUE(has_row(&store.lists, "ams-1"));
    stand("ams-2", "ams", UNIX_MS - PLACE_SETTLED_MS);
    forget(&f, "ams-1", UINT64_MAX);
    CHECK_TRUE(!has_row(&store.lists, "ams-1"));
    fleet_fini(&f);
}

static void settle(const char *region, bool gone)
{
    struct fleet f = fleet_new();
    struct worker w = {.fleet = &f};
    place_settle(&w.p, PLACE, PLACE, bytes_of(region), gone, &w.todo);
    run(&w);
    fleet_fini(&f);
}

TEST(settle_cleans_stale_waiting_rows_and_calls_that_are_gone)
{
    begin();
    stand("", "ams", 1);
    settle("ams", false); // it was told, and will ask: the row stays until it has
    CHECK_STR(stands(), "wait:ams");
    CHECK_TRUE(has_row(&store.waits, "ams"));
    stand("", "ams", UNIX_MS - PLACE_SETTLED_MS + 1); // it may just not know yet that it waits
    settle("ams", true);
    CHECK_STR(stands(), "wait:ams");
    stand("", "ams", UNIX_MS - PLACE_SETTLED_MS);
    settle("ams", true);
    CHECK_STR(stands(), "none");
    CHECK_TRUE(!has_row(&store.waits, "ams"));
    stand("ams-1", "ams", 1);
    add_row(&store.waits, "ams");
    settle("ams", true);
    CHECK_STR(stands(), "ams-1");
    CHECK_TRUE(!has_row(&store.waits, "ams"));
}

// --- every state by every input ---

TEST(every_input_that_is_not_awaited_is_refused_and_changes_nothing)
{
    static const bool awaited[5][6] = {
        //                 LOOKED LISTED SWAPPED CONFLICT WRITTEN FAILED
        [PLACE_LOOKING] = {true, false, false, false, false, true},
        [PLACE_LISTING] = {false, true, false, false, false, true},
        [PLACE_SWAPPING] = {false, false, true, true, false, true},
        [PLACE_WRITING] = {false, false, false, false, true, true},
        [PLACE_DONE] = {false, false, false, false, false, false},
    };
    struct fleet f = ams_par();
    struct place_env env = {&f, &regions, NOW, UNIX_MS, 0, "0123456789abcdef", 300000};
    for (int kind = PLACE_ASSIGN; kind <= PLACE_SETTLE; kind++)
        for (int s = PLACE_LOOKING; s <= PLACE_DONE; s++)
            for (int in = PLACE_IN_LOOKED; in <= PLACE_IN_FAILED; in++) {
                begin();
                struct place p = {.kind = (enum place_kind)kind, .place = PLACE, .channel = PLACE, .server = PLACE};
                p.state = (enum place_state)s;
                struct place before = p;
                struct place_fxs out = {.n = 9};
                int err = place_step(&p, &(struct place_in){.kind = (enum place_in_kind)in}, &env, &out);
                CHECK_EQ(err, awaited[s][in] ? OK : ERR_STATE);
                if (err)
                    CHECK_EQ(out.n, 0);
                if (err)
                    CHECK_TRUE(memcmp(&p, &before, sizeof p) == 0);
            }
    fleet_fini(&f);
}

// --- two at once ---

// Runs both to their end; bit i of `order` says whose turn the i-th is.
static void interleave(struct worker *a, struct worker *b, uint32_t order)
{
    for (int i = 0; i < 64; i++) {
        struct worker *w = (i < 32 ? order >> i & 1 : (uint32_t)i & 1) ? b : a;
        turn(w);
    }
    run(a);
    run(b);
}

TEST(two_allocators_at_once_agree_in_every_order_of_their_steps)
{
    for (uint32_t order = 0; order < 1u << 12; order++) {
        begin();
        struct fleet f = ams_par(), g = ams_par();
        add_node(&f, "ams-2", "ams", 10, false);
        add_node(&g, "ams-2", "ams", 10, false);
        struct worker a = assigning(&f, request(""), 1), b = assigning(&g, request(""), 2);
        a.random = 0;
        b.random = 1;
        interleave(&a, &b, order);
        CHECK_TRUE(bytes_eq(answer(&a).node, answer(&b).node));
        CHECK_BYTES(answer(&a).node, stands());
        CHECK_TRUE(has_row(&store.lists, stands()));
        fleet_fini(&f);
        fleet_fini(&g);
    }
}

TEST(one_command_at_two_allocators_has_one_answer_in_every_order)
{
    for (uint32_t order = 0; order < 1u << 12; order++) {
        begin();
        struct fleet f = ams_par(), g = fleet_new(); // the second one has no room
        struct worker a = assigning(&f, request(""), 1), b = assigning(&g, request(""), 1);
        interleave(&a, &b, order);
        CHECK_TRUE(bytes_eq(answer(&a).token, answer(&b).token));
        CHECK_TRUE(bytes_eq(answer(&a).endpoint, answer(&b).endpoint));
        if (!answer(&a).endpoint.n)
            CHECK_TRUE(has_row(&store.waits, "")); // it was told that there is none: it will be told of the node
        fleet_fini(&f);
        fleet_fini(&g);
    }
}

TEST(forgetting_and_assigning_at_once_end_on_a_living_node)
{
    for (uint32_t order = 0; order < 1u << 12; order++) {
        begin();
        struct fleet f = ams_par();
        stand("ams-0", "ams", UNIX_MS - 1);
        struct worker a = assigning(&f, request(""), 1), b = {.fleet = &f};
        place_forget(&b.p, PLACE, PLACE, BYTES("ams-0"), UINT64_MAX, &b.todo);
        interleave(&a, &b, order);
        CHECK_BYTES(answer(&a).node, "ams-1");
        CHECK_STR(stands(), "ams-1");
        CHECK_TRUE(has_row(&store.lists, "ams-1"));
        fleet_fini(&f);
    }
}

TEST(endless_conflicts_end)
{
    begin();
    struct fleet f = ams_par();
    struct worker w = assigning(&f, request(""), 1);
    for (uint64_t i = 1; !w.answered && i < 1000; i++) {
        stand("gone", "ams", i); // somebody else, each time
        turn(&w);
    }
    CHECK_TRUE(w.answered);
    CHECK_EQ(w.p.err, ERR_CONFLICT);
    fleet_fini(&f);
}

// --- the rest ---

TEST(a_call_is_told_unless_it_was_assigned_since)
{
    begin();
    stand("ams-1", "ams", 100);
    struct bytes raw = {store.raw, store.n};
    CHECK_TRUE(place_is_lost(raw, BYTES("ams-1"), UINT64_MAX));
    CHECK_TRUE(place_is_lost(raw, BYTES("ams-1"), 101));
    CHECK_TRUE(!place_is_lost(raw, BYTES("ams-1"), 100));
    CHECK_TRUE(place_is_lost(raw, BYTES("ams-2"), 100)); // replaced: its people may not know
    CHECK_TRUE(place_is_lost(BYTES_NONE, BYTES("ams-1"), 100));
}

TEST(what_the_call_manager_says_is_understood)
{
    CHECK_EQ(place_told(NULL), TOLD_NOTHING);
    CHECK_EQ(place_told(&(struct answer){.err = OK}), TOLD);
    CHECK_EQ(place_told(&(struct answer){.err = 10003}), TOLD_GONE);
    CHECK_EQ(place_told(&(struct answer){.err = ERR_MISSING}), TOLD_GONE);
    CHECK_EQ(place_told(&(struct answer){.err = ERR_STATE}), TOLD_GONE);
    CHECK_EQ(place_told(&(struct answer){.err = ERR_IO}), TOLD_NOTHING);
    CHECK_EQ(place_told(&(struct answer){.err = ERR_CONFLICT}), TOLD_NOTHING);
}

TEST(calls_are_named_and_read_back)
{
    char name[CALL_NAME_MAX];
    uint64_t place = 0, channel = 0;
    CHECK_STR(call_name(name, UINT64_MAX, UINT64_MAX), "18446744073709551615 18446744073709551615");
    CHECK_EQ(call_named(bytes_of(name), &place, &channel), OK);
    CHECK_TRUE(place == UINT64_MAX && channel == UINT64_MAX);
    const char *bad[] = {"", " ", "1", "1 ", " 1", "0 1", "1 0", "1 2 3", "1  2", "-1 2", "a b"};
    for (size_t i = 0; i < countof(bad); i++)
        CHECK_EQ(call_named(bytes_of(bad[i]), &place, &channel), ERR_INVALID);
}

MAIN
