// bus_core: who gets a command, and what a link's numbers say.
#include "bus_core.h"
#include "check.h"

TEST(a_key_stays_with_its_instance_when_another_goes)
{
    const uint64_t four[] = {11, 22, 33, 44}, three[] = {11, 22, 44};
    uint32_t share[4] = {0};
    for (uint64_t key = 0; key < 4000; key++) {
        size_t before = bus_pick(four, 4, key, 0), after = bus_pick(three, 3, key, 0);
        share[before]++;
        if (four[before] != 33)
            CHECK_EQ(three[after], four[before]);
    }
    for (size_t i = 0; i < 4; i++)
        CHECK_TRUE(share[i] > 800 && share[i] < 1200);
}

TEST(order_of_the_known_instances_does_not_matter)
{
    const uint64_t one[] = {11, 22, 33}, other[] = {33, 11, 22};
    for (uint64_t key = 0; key < 100; key++)
        CHECK_EQ(one[bus_pick(one, 3, key, 0)], other[bus_pick(other, 3, key, 0)]);
}

TEST(one_to_avoid_is_avoided_unless_it_is_the_only_one)
{
    const uint64_t names[] = {11, 22};
    for (uint64_t key = 0; key < 100; key++)
        CHECK_EQ(bus_pick(names, 2, key, 11), 1);
    CHECK_EQ(bus_pick(names, 1, 5, 11), 0);
    CHECK_EQ(bus_pick(names, 0, 5, 0), 0);
}

TEST(numbers_in_order_are_no_loss)
{
    struct bus_link l = {0};
    for (uint64_t seq = 1; seq < 5; seq++)
        CHECK_EQ(bus_link_heard(&l, 7, seq, false, 0), BUS_HEARD_OK);
    CHECK_EQ(bus_link_heard(&l, 7, 4, true, 0), BUS_HEARD_OK);
    CHECK_EQ(bus_link_heard(&l, 7, 4, false, 0), BUS_HEARD_OLD);
    CHECK_EQ(bus_link_heard(&l, 7, 2, true, 0), BUS_HEARD_OK); // a beat that was overtaken
    CHECK_EQ(bus_link_heard(&l, 7, 5, false, 0), BUS_HEARD_OK);
}

TEST(a_gap_a_telling_beat_and_a_late_start_are_loss)
{
    struct bus_link l = {0};
    CHECK_EQ(bus_link_heard(&l, 7, 0, true, 0), BUS_HEARD_OK); // nothing was sent yet
    CHECK_EQ(bus_link_heard(&l, 7, 2, false, 0), BUS_HEARD_LOST);
    CHECK_EQ(bus_link_heard(&l, 7, 3, false, 0), BUS_HEARD_OK);
    CHECK_EQ(bus_link_heard(&l, 7, 4, true, 0), BUS_HEARD_LOST);
    CHECK_EQ(bus_link_heard(&l, 7, 5, false, 0), BUS_HEARD_OK);
    struct bus_link late = {0};
    CHECK_EQ(bus_link_heard(&late, 7, 3, true, 0), BUS_HEARD_LOST);
}

TEST(a_link_that_was_made_anew_counts_anew_and_is_a_sign_of_loss)
{
    struct bus_link l = {0};
    CHECK_EQ(bus_link_heard(&l, 7, 5, false, 0), BUS_HEARD_LOST);
    CHECK_EQ(bus_link_heard(&l, 8, 1, false, 0), BUS_HEARD_LOST); // how the one before it ended is not known
    CHECK_EQ(bus_link_heard(&l, 8, 2, false, 0), BUS_HEARD_OK);
    CHECK_EQ(bus_link_heard(&l, 9, 0, true, 0), BUS_HEARD_LOST);
    CHECK_EQ(bus_link_heard(&l, 9, 1, false, 0), BUS_HEARD_OK);
}

TEST(silence_is_told_for_as_long_as_it_lasts)
{
    struct bus_link l = {0};
    CHECK_EQ(bus_link_heard(&l, 7, 1, false, 1000), BUS_HEARD_OK);
    CHECK_TRUE(!bus_link_is_silent(&l, 1000 + BUS_SILENT_MS - 1));
    CHECK_TRUE(bus_link_is_silent(&l, 1000 + BUS_SILENT_MS));
    CHECK_TRUE(
        !bus_link_is_silent(&l, 1000 + 2 * BUS_SILENT_MS - 1)); // and again, as what is sent meanwhile is lost too
    CHECK_TRUE(bus_link_is_silent(&l, 1000 + 2 * BUS_SILENT_MS));
    CHECK_EQ(bus_link_heard(&l, 7, 1, true, 5000), BUS_HEARD_OK);
    CHECK_TRUE(!bus_link_is_silent(&l, 5000 + BUS_SILENT_MS - 1));
    CHECK_TRUE(bus_link_is_silent(&l, 5000 + BUS_SILENT_MS));
}

MAIN
