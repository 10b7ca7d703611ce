// test_relay_map: the map holds what was put and nothing else, in memory that does not grow. Links the voice core
// alone.
#include "relay_map.h"
#include "check.h"

#define MOST 100u
#define KEYS 400u

static uint64_t seed = 5;
static uint32_t pick(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

TEST(an_empty_map_has_nothing_and_removing_from_it_is_fine)
{
    struct relay_map m;
    relay_map_init(&m, 1, 0);
    CHECK_EQ(relay_map_get(&m, 0), 0);
    relay_map_remove(&m, 0);
    CHECK_EQ(m.n, 0);
    relay_map_put(&m, 0, 7); // key 0 is one like others
    CHECK_EQ(relay_map_get(&m, 0), 7);
    relay_map_remove(&m, 0);
    CHECK_EQ(relay_map_get(&m, 0), 0);
    relay_map_fini(&m);
}

TEST(it_agrees_with_an_array_whatever_comes_and_goes)
{
    struct relay_map m;
    uint32_t model[KEYS] = {0}, n = 0;
    relay_map_init(&m, MOST, 42);
    const uint64_t *keys = m.keys;
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t key = pick(KEYS), other = pick(KEYS);
        if (model[key]) {
            relay_map_remove(&m, key * 65536ull);
            model[key] = 0;
            n--;
        } else if (n < MOST) {
            model[key] = 1 + pick(1000);
            relay_map_put(&m, key * 65536ull, model[key]);
            n++;
        }
        CHECK_EQ(m.n, n);
        CHECK_EQ(relay_map_get(&m, key * 65536ull), model[key]);
        CHECK_EQ(relay_map_get(&m, other * 65536ull), model[other]);
        CHECK_EQ(relay_map_get(&m, other * 65536ull + 1), 0);
    }
    for (uint32_t k = 0; k < KEYS; k++)
        CHECK_EQ(relay_map_get(&m, k * 65536ull), model[k]);
    CHECK_TRUE(m.keys == keys);
    relay_map_fini(&m);
}

MAIN
