// test_relay_model: whatever happens, everybody hears what a simple model says and nobody anything else, and it needs
// no memory but what was there from the beginning. Links the voice core and the model.
#include "relay_world.h"
#include "check.h"

#include <malloc.h>
#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif
#ifdef ADDRESS_SANITIZER
size_t __sanitizer_get_current_allocated_bytes(void);
#define ALLOCATED __sanitizer_get_current_allocated_bytes()
#else
#define ALLOCATED mallinfo2().uordblks
#endif

#define STEPS 60000u

static uint64_t seed;
static uint32_t pick(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static uint32_t somewhere(uint32_t peer)
{
    return pick(30) ? 2 * peer : pick(3) ? 2 * peer + 1 : pick(WORLD_PLACES);
}

static struct relay_rights some_rights(void)
{
    return (struct relay_rights){pick(4) != 0, pick(4) != 0, pick(4) != 0, pick(2) != 0};
}

static void signal_something(struct world *w, uint32_t peer)
{
    switch (pick(8)) {
    case 0:
        if (!pick(3))
            world_leave(w, peer);
        break;
    case 1:
        world_join(w, peer, pick(WORLD_ROOMS));
        break;
    case 2:
        if (!w->peers[peer].keyed || !pick(4))
            world_key(w, peer, (enum seal_mode)pick(SEAL_MODES));
        break;
    case 3:
    case 4:
        world_rights(w, peer, some_rights());
        break;
    case 5:
        world_announced(w, peer);
        break;
    case 6:
        world_video(w, peer, pick(1u << RELAY_STREAMS));
        break;
    default:
        world_tick(w);
    }
}

static void say_something(struct world *w, uint32_t peer)
{
    uint8_t raw[WORLD_BYTES];
    switch (pick(12)) {
    case 0:
        world_discover(w, peer, pick(4) ? 0 : 1 + pick(8), somewhere(peer));
        break;
    case 1:
        world_ping(w, pick(WORLD_PLACES));
        break;
    case 2:
        for (uint32_t i = 0; i < sizeof raw; i++)
            raw[i] = (uint8_t)pick(256);
        raw[0] = (uint8_t)(pick(2) ? raw[0] : 0x80);
        client_put32(raw + 8, w->peers[peer].client.ssrc);
        world_raw(w, pick(WORLD_PLACES), raw, pick(sizeof raw));
        break;
    case 3:
    case 4:
        world_repeat(w, peer, pick(WORLD_PAST), pick(2) ? somewhere(peer) : pick(WORLD_PLACES));
        break;
    default:
        world_speak(w, peer, pick(3) ? 0 : pick(RELAY_SSRCS), somewhere(peer), pick(20) ? 0 : pick(200), pick(100));
        if (!pick(6))
            world_spoil(w, pick(1000), (uint8_t)pick(256));
    }
}

TEST(relay_and_model_agree_on_everything_that_goes_out)
{
    static struct world w;
    for (uint32_t round = 1; round <= 5; round++) {
        seed = round;
        world_init(&w);
        for (uint32_t i = 0; i < WORLD_PEERS; i++)
            world_join(&w, i, i % 2);
        for (uint32_t i = 0; i < STEPS; i++) {
            if (pick(12))
                say_something(&w, pick(WORLD_PEERS));
            else
                signal_something(&w, pick(WORLD_PEERS));
        }
        CHECK_TRUE(w.heard > STEPS / 10 && w.refused > STEPS / 100);
        world_fini(&w);
    }
}

TEST(no_datagram_takes_memory)
{
    static struct world w;
    seed = 9;
    world_init(&w);
    for (uint32_t i = 0; i < WORLD_PEERS; i++) {
        world_join(&w, i, i % 2);
        world_key(&w, i, SEAL_XCHACHA20_POLY1305_RTPSIZE);
        world_rights(&w, i, (struct relay_rights){true, true, true, true});
        world_announced(&w, i);
    }
    size_t before = ALLOCATED;
    for (uint32_t i = 0; i < STEPS; i++) {
        say_something(&w, pick(WORLD_PEERS));
        if (!pick(100))
            world_tick(&w);
    }
    world_take(&w);
    CHECK_EQ(ALLOCATED, before);
    CHECK_TRUE(w.heard > STEPS / 4);
    world_fini(&w);
}

MAIN
