// pick: regions in order, two random choices inside one, never a full or draining node.
#include "check.h"
#include "pick.h"

struct row {
    const char *id, *region;
    uint64_t capacity, load;
    bool draining;
};

static struct fleet fleet_of(const struct row *rows, size_t n)
{
    struct fleet f;
    fleet_init(&f, 64, 3000, 0);
    for (size_t i = 0; i < n; i++) {
        enum fleet_news news;
        struct node_announce a = {.node = bytes_of(rows[i].id),
                                  .region = bytes_of(rows[i].region),
                                  .endpoint = BYTES("h:1"),
                                  .capacity = rows[i].capacity,
                                  .load = rows[i].load,
                                  .draining = rows[i].draining};
        CHECK_EQ(fleet_announce(&f, &a, 0, &news), OK);
    }
    return f;
}

static const char *picked(const struct fleet *f, struct pick_request r, uint64_t random)
{
    const struct node *n = NULL;
    return pick(f, &r, 0, random, &n) == PICK_NODE ? n->id : "none";
}

// All draws of a small fleet: both halves of the random number run over more than its size.
#define EVERY_DRAW(r)                                                                                                  \
    for (uint64_t hi = 0; hi < 7; hi++)                                                                                \
        for (uint64_t lo = 0; lo < 7; lo++)                                                                            \
            for (uint64_t r = hi << 32 | lo, once = 1; once; once = 0)

static const struct row three[] = {
    {"a1", "ams", 10, 0, false},
    {"p1", "par", 10, 0, false},
    {"r1", "rio", 10, 0, false},
};

TEST(a_region_that_is_asked_for_is_the_only_one)
{
    struct fleet f = fleet_of(three, countof(three));
    struct bytes preferred[] = {BYTES("ams")};
    EVERY_DRAW(r)
    {
        CHECK_STR(picked(&f, (struct pick_request){.region = BYTES("par"), .preferred = {1, preferred}}, r), "p1");
        CHECK_STR(picked(&f, (struct pick_request){.region = BYTES("mars"), .preferred = {1, preferred}}, r), "none");
    }
    fleet_fini(&f);
}

TEST(preferred_regions_come_in_their_order_then_the_default)
{
    struct fleet f = fleet_of(three, countof(three));
    struct bytes preferred[] = {BYTES("mars"), BYTES_NONE, BYTES("rio"), BYTES("par")};
    CHECK_STR(picked(&f, (struct pick_request){.preferred = {4, preferred}, .fallback = BYTES("ams")}, 1), "r1");
    CHECK_STR(picked(&f, (struct pick_request){.preferred = {2, preferred}, .fallback = BYTES("ams")}, 1), "a1");
    CHECK_STR(picked(&f, (struct pick_request){.fallback = BYTES("ams")}, 2), "a1");
    fleet_fini(&f);
}

TEST(any_region_with_room_is_the_last_resort)
{
    const struct row rows[] = {{"a1", "ams", 10, 10, false},
                               {"p1", "par", 10, 3, true},
                               {"r1", "rio", 10, 9, false},
                               {"z1", "zrh", 0, 0, false}};
    struct fleet f = fleet_of(rows, countof(rows));
    struct bytes preferred[] = {BYTES("par")};
    EVERY_DRAW(r)
    CHECK_STR(picked(&f, (struct pick_request){.preferred = {1, preferred}, .fallback = BYTES("ams")}, r), "r1");
    fleet_fini(&f);
}

TEST(full_and_draining_nodes_are_never_picked)
{
    const struct row rows[] = {{"a1", "ams", 10, 10, false},
                               {"a2", "ams", 10, 0, true},
                               {"a3", "ams", 10, 9, false},
                               {"a4", "ams", 10, 11, false}};
    struct fleet f = fleet_of(rows, countof(rows));
    EVERY_DRAW(r) CHECK_STR(picked(&f, (struct pick_request){.region = BYTES("ams")}, r), "a3");
    fleet_expect(&f, "a3", true, 0); // and now that one is full by what is expected
    EVERY_DRAW(r) CHECK_STR(picked(&f, (struct pick_request){0}, r), "none");
    fleet_fini(&f);
}

TEST(an_empty_fleet_has_nothing)
{
    struct fleet f = fleet_of(NULL, 0);
    CHECK_STR(picked(&f, (struct pick_request){0}, 77), "none");
    CHECK_STR(picked(&f, (struct pick_request){.region = BYTES("ams")}, 77), "none");
    fleet_fini(&f);
}

TEST(the_less_loaded_share_of_two_drawn_nodes_wins)
{
    const struct row rows[] = {{"small", "ams", 10, 4, false}, {"large", "ams", 1000, 300, false}};
    struct fleet f = fleet_of(rows, countof(rows));
    EVERY_DRAW(r) CHECK_STR(picked(&f, (struct pick_request){.region = BYTES("ams")}, r), "large");
    fleet_fini(&f);
}

TEST(what_was_just_sent_somewhere_turns_the_choice)
{
    const struct row rows[] = {{"a", "ams", 10, 0, false}, {"b", "ams", 10, 2, false}};
    struct fleet f = fleet_of(rows, countof(rows));
    EVERY_DRAW(r) CHECK_STR(picked(&f, (struct pick_request){.region = BYTES("ams")}, r), "a");
    for (int i = 0; i < 3; i++)
        fleet_expect(&f, "a", true, 0);
    EVERY_DRAW(r) CHECK_STR(picked(&f, (struct pick_request){.region = BYTES("ams")}, r), "b");
    fleet_fini(&f);
}

TEST(two_different_nodes_are_drawn_and_each_can_be)
{
    const struct row rows[] = {
        {"a", "x", 10, 5, false}, {"b", "x", 10, 4, false}, {"c", "x", 10, 3, false}, {"d", "x", 10, 2, false}};
    struct fleet f = fleet_of(rows, countof(rows));
    unsigned seen[4] = {0};
    for (uint64_t hi = 0; hi < 3; hi++)
        for (uint64_t lo = 0; lo < 4; lo++)
            seen[picked(&f, (struct pick_request){.region = BYTES("x")}, hi << 32 | lo)[0] - 'a']++;
    CHECK_EQ(seen[0], 0); // the fullest always meets a better one
    CHECK_EQ(seen[1], 2);
    CHECK_EQ(seen[2], 4);
    CHECK_EQ(seen[3], 6);
    fleet_fini(&f);
}

TEST(calls_spread_evenly_over_equal_nodes)
{
    struct row rows[8];
    char ids[8][4];
    for (size_t i = 0; i < countof(rows); i++) {
        snprintf(ids[i], sizeof ids[i], "n%zu", i);
        rows[i] = (struct row){ids[i], "ams", 1000, 0, false};
    }
    struct fleet f = fleet_of(rows, countof(rows));
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 800; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const char *id = picked(&f, (struct pick_request){.region = BYTES("ams")}, random);
        fleet_expect(&f, id, true, 0);
    }
    for (uint32_t i = 0; i < f.n; i++) {
        uint64_t n = node_expected(&f.v[i], 0);
        CHECK_TRUE(n >= 95 && n <= 105);
    }
    fleet_fini(&f);
}

MAIN
