// page: before, after and around as ranges over an index, and their results as one list. The index is played here.
#include "check.h"
#include "page.h"

#include <inttypes.h>

static struct arena a;

static bool passes(struct bytes member, struct bytes bound, bool lower)
{
    if (bytes_is(bound, "+") || bytes_is(bound, "-"))
        return true;
    int order = memcmp(member.p, bound.p + 1, 20);
    return bound.p[0] == '[' ? (lower ? order >= 0 : order <= 0) : (lower ? order > 0 : order < 0);
}

// What Redis would answer for ids 1..n.
static struct texts played(uint32_t n, const struct page_part *part)
{
    struct bytes *v = arena_take(&a, (n + 1) * sizeof *v);
    uint32_t found = 0;
    for (uint32_t i = 1; i <= n && found < part->limit; i++) {
        struct bytes member = arena_printf(&a, "%020" PRIu32, part->backwards ? n + 1 - i : i);
        if (passes(member, part->from, !part->backwards) && passes(member, part->to, part->backwards))
            v[found++] = member;
    }
    return (struct texts){found, v};
}

static struct ids listed(uint32_t n, struct message_list list)
{
    struct page page;
    struct texts found[PAGE_PARTS_MAX];
    page_plan(&a, &list, &page);
    for (uint32_t i = 0; i < page.n; i++)
        found[i] = played(n, &page.parts[i]);
    return page_ids(&a, &page, found);
}

TEST(each_way_of_asking_gives_its_page_newest_first)
{
    static const struct {
        struct message_list list;
        uint32_t n, first, last;
    } cases[] = {
        {{0}, 50, 200, 151},
        {{.limit = 10}, 10, 200, 191},
        {{.limit = 100}, 100, 200, 101},
        {{.limit = 10, .before = 50}, 10, 49, 40},
        {{.limit = 10, .before = 5}, 4, 4, 1},
        {{.limit = 10, .before = 1}, 0, 0, 0},
        {{.limit = 10, .after = 50}, 10, 60, 51},
        {{.limit = 10, .after = 195}, 5, 200, 196},
        {{.limit = 10, .after = 200}, 0, 0, 0},
        {{.limit = 10, .around = 50}, 10, 54, 45},
        {{.limit = 9, .around = 50}, 9, 54, 46},
        {{.limit = 1, .around = 50}, 1, 50, 50},
        {{.limit = 10, .around = 200}, 6, 200, 195},
        {{.limit = 10, .around = 999}, 5, 200, 196},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct ids ids = listed(200, cases[i].list);
        CHECK_EQ(ids.n, cases[i].n);
        if (ids.n == 0)
            continue;
        CHECK_EQ(ids.v[0], cases[i].first);
        CHECK_EQ(ids.v[ids.n - 1], cases[i].last);
        for (uint32_t k = 1; k < ids.n; k++)
            CHECK_TRUE(ids.v[k] < ids.v[k - 1]);
    }
    arena_fini(&a);
}

TEST(an_empty_channel_and_strange_members_give_nothing)
{
    struct page page;
    const struct message_list all = {0};
    CHECK_EQ(listed(0, all).n, 0);
    page_plan(&a, &all, &page);
    struct texts found[PAGE_PARTS_MAX] = {{2, (const struct bytes[]){BYTES("x"), BYTES("00000000000000000005")}}};
    struct ids ids = page_ids(&a, &page, found);
    CHECK_EQ(ids.n, 1);
    CHECK_EQ(ids.v[0], 5);
    arena_fini(&a);
}

TEST(the_greatest_id_fits)
{
    struct page page;
    const struct message_list list = {.before = UINT64_MAX};
    page_plan(&a, &list, &page);
    CHECK_TRUE(bytes_is(page.parts[0].from, "(18446744073709551615"));
    arena_fini(&a);
}

MAIN
