// fleet: leases, loads, draining, what was just sent where. Time is an argument.
#include "check.h"
#include "fleet.h"

#define LEASE 3000u

static struct node_announce announce(const char *node, const char *region)
{
    return (struct node_announce){.node = bytes_of(node),
                                  .region = bytes_of(region),
                                  .endpoint = bytes_of("10.0.0.1:443"),
                                  .capacity = 10,
                                  .epoch = 7};
}

static enum fleet_news hear(struct fleet *f, struct node_announce a, uint64_t now)
{
    enum fleet_news news = FLEET_KNOWN;
    CHECK_EQ(fleet_announce(f, &a, now, &news), OK);
    return news;
}

static const struct node *node(const struct fleet *f, const char *id)
{
    return fleet_find(f, bytes_of(id));
}

static int fix(struct fleet *f, const char *id)
{
    return fleet_fix(f, bytes_of(id), BYTES("ams"), BYTES("10.0.0.9:443"), 5);
}

TEST(a_node_that_announces_itself_is_known_and_usable)
{
    struct fleet f;
    fleet_init(&f, 4, LEASE, 1000);
    CHECK_EQ(hear(&f, announce("a", "ams"), 1000), FLEET_NEW);
    CHECK_EQ(hear(&f, announce("a", "ams"), 1900), FLEET_KNOWN);
    CHECK_EQ(f.n, 1);
    CHECK_STR(node(&f, "a")->endpoint, "10.0.0.1:443");
    CHECK_EQ(fleet_state(&f, BYTES("a"), 2000), NODE_USABLE);
    fleet_fini(&f);
}

TEST(silence_for_longer_than_the_lease_loses_a_node_once)
{
    struct fleet f;
    struct node lost;
    fleet_init(&f, 4, LEASE, 0);
    hear(&f, announce("a", "ams"), 1000);
    hear(&f, announce("b", "ams"), 3000);
    for (uint64_t now = 0; now <= 4000; now += 100)
        fleet_tick(&f, now);
    CHECK_TRUE(!fleet_take_lost(&f, 4000, &lost));
    CHECK_TRUE(fleet_take_lost(&f, 4001, &lost));
    CHECK_STR(lost.id, "a");
    CHECK_TRUE(!fleet_take_lost(&f, 4001, &lost));
    CHECK_TRUE(node(&f, "a") == NULL);
    CHECK_TRUE(node(&f, "b") != NULL);
    CHECK_EQ(fleet_state(&f, BYTES("a"), 4001), NODE_GONE);
    fleet_fini(&f);
}

TEST(nodes_are_not_lost_because_we_were_away)
{
    struct fleet f;
    struct node lost;
    fleet_init(&f, 4, LEASE, 0);
    hear(&f, announce("a", "ams"), 1000);
    fleet_tick(&f, 1000);
    fleet_tick(&f, 60000); // a minute without a turn of the loop
    CHECK_TRUE(!fleet_take_lost(&f, 60000, &lost));
    for (uint64_t now = 60000; now <= 63000; now += 500)
        fleet_tick(&f, now);
    CHECK_TRUE(!fleet_take_lost(&f, 63000, &lost));
    CHECK_TRUE(fleet_take_lost(&f, 63001, &lost));
    fleet_fini(&f);
}

TEST(an_unknown_node_is_not_called_gone_before_a_lease_of_listening)
{
    struct fleet f;
    fleet_init(&f, 4, LEASE, 5000);
    CHECK_EQ(fleet_state(&f, BYTES("a"), 5000), NODE_UNSURE);
    CHECK_EQ(fleet_state(&f, BYTES("a"), 7999), NODE_UNSURE);
    CHECK_EQ(fleet_state(&f, BYTES("a"), 8000), NODE_GONE);
    fleet_fini(&f);
}

TEST(a_draining_node_is_told_of_once_and_has_no_room)
{
    struct fleet f;
    fleet_init(&f, 4, LEASE, 0);
    struct node_announce a = announce("a", "ams");
    hear(&f, a, 10);
    CHECK_EQ(node_room(node(&f, "a"), 10), 10);
    a.draining = true;
    CHECK_EQ(hear(&f, a, 20), FLEET_DRAINS);
    CHECK_EQ(hear(&f, a, 30), FLEET_KNOWN);
    CHECK_EQ(fleet_state(&f, BYTES("a"), 30), NODE_DRAINING);
    CHECK_EQ(node_room(node(&f, "a"), 30), 0);
    a.draining = false;
    CHECK_EQ(hear(&f, a, 40), FLEET_KNOWN);
    CHECK_EQ(node_room(node(&f, "a"), 40), 10);
    a.node = BYTES("b");
    a.draining = true;
    CHECK_EQ(hear(&f, a, 40), FLEET_DRAINS);
    fleet_fini(&f);
}

TEST(a_new_process_of_a_node_is_a_restart_and_the_old_one_is_not_heard_any_more)
{
    struct fleet f;
    enum fleet_news news = FLEET_KNOWN;
    fleet_init(&f, 4, LEASE, 0);
    struct node_announce a = announce("a", "ams");
    hear(&f, a, 10);
    a.epoch = 8;
    CHECK_EQ(hear(&f, a, 20), FLEET_RESTARTED);
    a.epoch = 7;
    a.load = 9;
    CHECK_EQ(fleet_announce(&f, &a, 30, &news), ERR_STATE);
    CHECK_EQ(node(&f, "a")->load, 0);
    CHECK_EQ(node(&f, "a")->heard_at, 20);
    a.epoch = 8;
    a.endpoint = BYTES("10.0.0.2:443");
    CHECK_EQ(hear(&f, a, 40), FLEET_RESTARTED);
    CHECK_STR(node(&f, "a")->endpoint, "10.0.0.2:443");
    fleet_fini(&f);
}

TEST(the_fleet_is_bounded)
{
    struct fleet f;
    enum fleet_news news;
    fleet_init(&f, 2, LEASE, 0);
    hear(&f, announce("a", "ams"), 0);
    hear(&f, announce("b", "ams"), 0);
    struct node_announce c = announce("c", "ams");
    CHECK_EQ(fleet_announce(&f, &c, 0, &news), ERR_FULL);
    hear(&f, announce("a", "ams"), 10);
    CHECK_EQ(f.n, 2);
    fleet_fini(&f);
}

TEST(malformed_announcements_are_refused)
{
    struct fleet f;
    enum fleet_news news;
    fleet_init(&f, 2, LEASE, 0);
    const struct node_announce bad[] = {
        {.node = BYTES("a b"), .region = BYTES("ams"), .endpoint = BYTES("h:1")},
        {.node = BYTES(""), .region = BYTES("ams"), .endpoint = BYTES("h:1")},
        {.node = BYTES("a"), .region = BYTES(""), .endpoint = BYTES("h:1")},
        {.node = BYTES("a"), .region = BYTES("a}{"), .endpoint = BYTES("h:1")},
        {.node = BYTES("a"), .region = BYTES("ams"), .endpoint = BYTES("h")},
        {.node = BYTES("a"), .region = BYTES("ams"), .endpoint = BYTES("wss://h:1")},
    };
    for (size_t i = 0; i < countof(bad); i++)
        CHECK_EQ(fleet_announce(&f, &bad[i], 0, &news), ERR_INVALID);
    CHECK_EQ(f.n, 0);
    fleet_fini(&f);
}

TEST(endpoints_are_host_and_port)
{
    const char *good[] = {"a:1", "voice-1.example.org:443", "127.0.0.1:65535", "[::1]:443", "[2001:db8::1]:8443"};
    const char *bad[] = {"",      ":",       ":443", "a",     "a:",       "a:0",      "a:65536", "a:+1",    "a b:1",
                         "a/b:1", "::1:443", "[]:1", "[::1]", "a:000443", "ws://a:1", "a:1/",    "[g::1]:1"};
    for (size_t i = 0; i < countof(good); i++)
        CHECK_TRUE(node_endpoint_ok(bytes_of(good[i])));
    for (size_t i = 0; i < countof(bad); i++)
        CHECK_TRUE(!node_endpoint_ok(bytes_of(bad[i])));
}

TEST(what_was_just_assigned_counts_until_it_shows_in_a_report)
{
    struct fleet f;
    fleet_init(&f, 4, LEASE, 0);
    struct node_announce a = announce("a", "ams");
    hear(&f, a, 1000);
    for (int i = 0; i < 4; i++)
        fleet_expect(&f, "a", false, 1000);
    CHECK_EQ(node_expected(node(&f, "a"), 1500), 4);
    hear(&f, a, 2000); // the report is not of them yet
    CHECK_EQ(node_expected(node(&f, "a"), 2000), 4);
    a.load = 3; // three of them are there
    hear(&f, a, 3000);
    CHECK_EQ(node_expected(node(&f, "a"), 3000), 4);
    CHECK_EQ(node_room(node(&f, "a"), 3000), 6);
    a.load = 2; // one left
    hear(&f, a, 4000);
    CHECK_EQ(node_expected(node(&f, "a"), 4000), 3);
    fleet_fini(&f);
}

TEST(what_never_shows_is_forgotten_after_a_while)
{
    struct fleet f;
    fleet_init(&f, 4, LEASE, 0);
    hear(&f, announce("a", "ams"), 1000);
    fleet_expect(&f, "a", false, 1000);
    fleet_expect(&f, "a", false, 6000);
    CHECK_EQ(node_expected(node(&f, "a"), 10999), 2);
    CHECK_EQ(node_expected(node(&f, "a"), 11000), 1);
    fleet_expect(&f, "a", false, 12000);
    CHECK_EQ(node_expected(node(&f, "a"), 12000), 2);
    CHECK_EQ(node_expected(node(&f, "a"), 16000), 1);
    fleet_expect(&f, "a", false, 90000);
    CHECK_EQ(node_expected(node(&f, "a"), 90000), 1);
    fleet_fini(&f);
}

TEST(who_was_sent_first_is_seen_first)
{
    struct fleet f;
    fleet_init(&f, 4, LEASE, 0);
    struct node_announce a = announce("a", "ams");
    hear(&f, a, 1000);
    fleet_expect(&f, "a", false, 1000);
    fleet_expect(&f, "a", false, 9000);
    a.load = 1;
    hear(&f, a, 9500);
    CHECK_EQ(node_expected(node(&f, "a"), 12000), 2); // the second one is still to come
    CHECK_EQ(node_expected(node(&f, "a"), 19000), 1);
    fleet_fini(&f);
}

TEST(a_fixed_node_lives_without_a_word_and_is_measured_in_calls)
{
    struct fleet f;
    struct node lost;
    fleet_init(&f, 4, LEASE, 0);
    CHECK_EQ(fix(&f, "x"), OK);
    for (uint64_t now = 0; now < 20000; now += 500)
        fleet_tick(&f, now);
    CHECK_TRUE(!fleet_take_lost(&f, 20000, &lost));
    CHECK_EQ(fleet_state(&f, BYTES("x"), 20000), NODE_USABLE);
    fleet_expect(&f, "x", true, 20000);
    fleet_expect(&f, "x", false, 20000); // a second one in the same call
    CHECK_EQ(node_expected(node(&f, "x"), 20000), 1);
    fleet_count(&f, "x", 1);
    CHECK_EQ(node_expected(node(&f, "x"), 20000), 1);
    CHECK_EQ(node_room(node(&f, "x"), 20000), 4);
    fleet_fini(&f);
}

TEST(a_fixed_node_that_announces_itself_keeps_its_place_and_tells_load_and_draining)
{
    struct fleet f;
    struct node lost;
    fleet_init(&f, 4, LEASE, 0);
    CHECK_EQ(fix(&f, "x"), OK);
    struct node_announce a = announce("x", "elsewhere");
    a.load = 2;
    a.draining = true;
    CHECK_EQ(hear(&f, a, 100), FLEET_DRAINS);
    fleet_count(&f, "x", 5); // it reports: what we count does not matter
    CHECK_STR(node(&f, "x")->region, "ams");
    CHECK_STR(node(&f, "x")->endpoint, "10.0.0.9:443");
    CHECK_EQ(node(&f, "x")->capacity, 5);
    CHECK_EQ(node(&f, "x")->load, 2);
    CHECK_EQ(fleet_state(&f, BYTES("x"), 100), NODE_DRAINING);
    for (uint64_t now = 0; now <= 3101; now += 100)
        fleet_tick(&f, now);
    fleet_tick(&f, 3101);
    CHECK_TRUE(!fleet_take_lost(&f, 3101, &lost));
    CHECK_EQ(fleet_state(&f, BYTES("x"), 3101), NODE_USABLE);
    CHECK_EQ(node(&f, "x")->load, 0);
    fleet_fini(&f);
}

TEST(fixed_nodes_are_checked_and_distinct)
{
    struct fleet f;
    fleet_init(&f, 1, LEASE, 0);
    CHECK_EQ(fleet_fix(&f, BYTES("x"), BYTES("ams"), BYTES("h"), 5), ERR_INVALID);
    CHECK_EQ(fleet_fix(&f, BYTES("x"), BYTES("ams"), BYTES("h:1"), 0), ERR_INVALID);
    CHECK_EQ(fix(&f, "x"), OK);
    CHECK_EQ(fix(&f, "x"), ERR_CONFLICT);
    CHECK_EQ(fix(&f, "y"), ERR_FULL);
    fleet_fini(&f);
}

TEST(absurd_numbers_are_cut_off_and_do_not_overflow)
{
    struct fleet f;
    fleet_init(&f, 4, LEASE, 0);
    struct node_announce a = announce("a", "ams");
    a.capacity = a.load = UINT64_MAX;
    hear(&f, a, 0);
    CHECK_EQ(node(&f, "a")->load, NODE_UNITS_MAX);
    CHECK_EQ(node_room(node(&f, "a"), 0), 0);
    fleet_fini(&f);
}

TEST(room_is_summed_by_region_or_over_all)
{
    struct fleet f;
    fleet_init(&f, 4, LEASE, 0);
    hear(&f, announce("a", "ams"), 0);
    hear(&f, announce("b", "ams"), 0);
    hear(&f, announce("c", "par"), 0);
    fleet_expect(&f, "a", true, 0);
    CHECK_EQ(fleet_room(&f, BYTES("ams"), 0), 19);
    CHECK_EQ(fleet_room(&f, BYTES("par"), 0), 10);
    CHECK_EQ(fleet_room(&f, BYTES("nowhere"), 0), 0);
    CHECK_EQ(fleet_room(&f, BYTES_NONE, 0), 29);
    fleet_fini(&f);
}

TEST(removing_any_node_leaves_the_others_to_be_found)
{
    struct fleet f;
    struct node lost;
    fleet_init(&f, 8, LEASE, 0);
    const char *ids[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < countof(ids); i++)
        hear(&f, announce(ids[i], "ams"), i == 1 || i == 4 ? 0 : 1000);
    int n = 0;
    while (fleet_take_lost(&f, 3500, &lost))
        n++;
    CHECK_EQ(n, 2);
    CHECK_EQ(f.n, 3);
    for (size_t i = 0; i < countof(ids); i++)
        CHECK_EQ(node(&f, ids[i]) != NULL, i != 1 && i != 4);
    CHECK_TRUE(node(&f, "d") && strcmp(node(&f, "d")->id, "d") == 0);
    fleet_fini(&f);
}

TEST(the_dump_names_every_node)
{
    struct fleet f;
    struct buf out = {0};
    fleet_init(&f, 8, LEASE, 0);
    CHECK_EQ(fix(&f, "x"), OK);
    hear(&f, announce("a", "par"), 0);
    fleet_dump(&f, 100, &out);
    buf_char(&out, 0);
    CHECK_TRUE(strstr(out.p, "fleet: 2 of 8 nodes, still listening for more\n") != NULL);
    CHECK_TRUE(strstr(out.p, "  x region=ams endpoint=10.0.0.9:443 load=0 expected=0 capacity=5 fixed\n") != NULL);
    CHECK_TRUE(strstr(out.p, "  a region=par endpoint=10.0.0.1:443 load=0 expected=0 capacity=10 heard=100ms ago") !=
               NULL);
    buf_fini(&out);
    fleet_fini(&f);
}

MAIN
