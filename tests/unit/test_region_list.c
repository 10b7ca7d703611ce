// region_list: the list that the allocator tells.
#include "check.h"
#include "region_list.h"

static const char list[] =
    "[{\"id\":\"frankfurt\",\"optimal\":false},{\"id\":\"rotterdam\",\"optimal\":true},{\"name\":1}]";

TEST(a_preferred_region_that_exists_is_guessed_else_the_optimal_one)
{
    struct regions r = {0};
    const struct bytes wishes[] = {BYTES("moon"), BYTES("frankfurt")};
    CHECK_EQ(regions_read(bytes_of(list), &r), OK);
    CHECK_EQ(r.n, 2);
    CHECK_STR(regions_guess(&r, (struct texts){2, wishes}), "frankfurt");
    CHECK_STR(regions_guess(&r, (struct texts){1, wishes}), "rotterdam");
    CHECK_TRUE(regions_have(&r, BYTES("rotterdam")));
    CHECK_TRUE(!regions_have(&r, BYTES("rotter")));
}

TEST(what_is_no_list_leaves_the_old_one)
{
    struct regions r = {0};
    CHECK_EQ(regions_read(bytes_of(list), &r), OK);
    CHECK_EQ(regions_read(BYTES("{}"), &r), ERR_INVALID);
    CHECK_EQ(regions_read(BYTES("[{"), &r), ERR_INVALID);
    CHECK_EQ(regions_read(BYTES_NONE, &r), ERR_INVALID);
    CHECK_EQ(r.n, 2);
    CHECK_EQ(regions_read(BYTES("[]"), &r), OK);
    CHECK_STR(regions_guess(&r, (struct texts){0, NULL}), "");
}

MAIN
