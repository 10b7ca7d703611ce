// test_table: the table holds what was put and nothing else, whatever was removed before or during iteration.
// Links sb_base alone.
#include "table.h"
#include "check.h"

#define KEYS 3000u
#define TOP_BIT (1ull << 63)

static uint64_t seed = 1;
static uint32_t pick(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

// Ids as they come: minted in a row, half of them with the top bit set.
static uint64_t key_of(uint32_t i)
{
    return ((uint64_t)(i / 2 + 1) << 22) | (i % 2 ? TOP_BIT : 0);
}

TEST(an_empty_table_has_nothing)
{
    struct table t = {0};
    uint32_t i = 0;
    CHECK_TRUE(table_get(&t, 0) == NULL);
    CHECK_TRUE(table_remove(&t, 1) == NULL);
    CHECK_TRUE(table_next(&t, &i, NULL) == NULL);
    table_fini(&t);
}

TEST(key_zero_and_the_largest_key_are_keys_like_others)
{
    struct table t = {0};
    int a, b;
    table_put(&t, 0, &a);
    table_put(&t, UINT64_MAX, &b);
    CHECK_TRUE(table_get(&t, 0) == &a);
    CHECK_TRUE(table_get(&t, UINT64_MAX) == &b);
    CHECK_TRUE(table_remove(&t, 0) == &a);
    CHECK_TRUE(table_get(&t, 0) == NULL);
    CHECK_EQ(t.n, 1);
    table_fini(&t);
}

TEST(putting_again_replaces)
{
    struct table t = {0};
    int a, b;
    table_put(&t, 7, &a);
    table_put(&t, 7, &b);
    CHECK_TRUE(table_get(&t, 7) == &b);
    CHECK_EQ(t.n, 1);
    table_fini(&t);
}

TEST(what_a_fuller_table_had_is_given_back)
{
    struct table t = {0};
    int value;
    for (uint32_t i = 0; i < KEYS; i++)
        table_put(&t, key_of(i), &value);
    uint32_t full = t.cap;
    for (uint32_t i = 8; i < KEYS; i++)
        table_remove(&t, key_of(i));
    table_put(&t, key_of(KEYS), &value);
    CHECK_TRUE(t.cap < full / 8);
    for (uint32_t i = 0; i < 8; i++)
        CHECK_TRUE(table_get(&t, key_of(i)) == &value);
    table_fini(&t);
}

TEST(a_table_that_is_empty_again_keeps_next_to_nothing_even_amid_an_iteration)
{
    struct table t = {0};
    int value;
    uint64_t key;
    for (uint32_t i = 0; i < KEYS; i++)
        table_put(&t, key_of(i), &value);
    for (uint32_t i = 0; table_next(&t, &i, &key) != NULL;)
        table_remove(&t, key);
    CHECK_EQ(t.n, 0);
    CHECK_TRUE(t.cap <= 16);
    table_put(&t, 1, &value);
    CHECK_TRUE(table_get(&t, 1) == &value);
    table_fini(&t);
}

TEST(it_neither_grows_nor_shrinks_while_objects_come_and_go)
{
    struct table t = {0};
    int value;
    for (uint32_t i = 0; i < 1000; i++)
        table_put(&t, key_of(i), &value);
    const struct table_slot *slots = t.slots;
    uint32_t moves = 0;
    for (uint32_t i = 1000; i < 100000; i++) {
        table_put(&t, key_of(i), &value);
        table_remove(&t, key_of(i - 1000));
        moves += t.slots != slots;
        slots = t.slots;
    }
    CHECK_EQ(t.n, 1000);
    CHECK_TRUE(moves < 200); // for its dead slots
    table_fini(&t);
}

TEST(it_agrees_with_a_plain_array_after_any_puts_and_removals)
{
    static int values[KEYS];
    static void *model[KEYS];
    struct table t = {0};
    uint32_t n = 0;
    memset(model, 0, sizeof(model));
    for (uint32_t step = 0; step < 200000; step++) {
        // Grows for a while, then shrinks for a while.
        uint32_t k = pick(KEYS);
        if (pick(10) < (step / 20000 % 2 ? 3u : 7u)) {
            n += model[k] == NULL;
            model[k] = &values[pick(KEYS)];
            table_put(&t, key_of(k), model[k]);
        } else {
            n -= model[k] != NULL;
            CHECK_TRUE(table_remove(&t, key_of(k)) == model[k]);
            model[k] = NULL;
        }
        uint32_t other = pick(KEYS);
        CHECK_TRUE(table_get(&t, key_of(other)) == model[other]);
        CHECK_EQ(t.n, n);
        CHECK_TRUE(t.n + t.dead < t.cap);
    }
    table_fini(&t);
}

TEST(iteration_sees_each_object_once_while_current_ones_are_removed)
{
    static int values[KEYS], seen[KEYS];
    for (uint32_t every = 1; every < 5; every++) {
        struct table t = {0};
        uint64_t key;
        void *v;
        uint32_t visited = 0;
        memset(seen, 0, sizeof(seen));
        for (uint32_t k = 0; k < KEYS; k++)
            table_put(&t, key_of(k), &values[k]);
        for (uint32_t i = 0; (v = table_next(&t, &i, &key)) != NULL;) {
            size_t k = (size_t)((int *)v - values);
            CHECK_TRUE(key == key_of((uint32_t)k));
            seen[k]++;
            if (visited++ % every == 0)
                CHECK_TRUE(table_remove(&t, key) == v);
        }
        for (uint32_t k = 0; k < KEYS; k++)
            CHECK_EQ(seen[k], 1);
        CHECK_EQ(t.n, KEYS - (KEYS + every - 1) / every);
        table_fini(&t);
    }
}

TEST(coming_and_going_does_not_make_it_grow)
{
    struct table t = {0};
    int value;
    for (uint64_t id = 1; id <= 100000; id++) {
        table_put(&t, id << 12, &value);
        if (id > 10)
            CHECK_TRUE(table_remove(&t, (id - 10) << 12) == &value);
    }
    CHECK_EQ(t.n, 10);
    CHECK_TRUE(t.cap <= 32);
    table_fini(&t);
}

MAIN
