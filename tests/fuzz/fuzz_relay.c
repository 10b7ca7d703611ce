// relay: any datagrams from any addresses, among them genuine ones, repeated ones and spoilt ones, while people come,
// go and are given and taken rights. Everybody is sent what the model says and nobody anything else (relay_world.h);
// every invariant holds after each batch; what somebody seals who is here, however wild, never leaves his room.
#include "fuzz.h"
#include "relay_world.h"

static void signalled(struct world *w, struct feed *f, uint32_t peer, uint32_t what)
{
    uint8_t v = feed_u8(f);
    switch (what) {
    case 0:
        world_join(w, peer, v % WORLD_ROOMS);
        break;
    case 1:
        world_leave(w, peer);
        break;
    case 2:
        world_key(w, peer, (enum seal_mode)(v % SEAL_MODES));
        break;
    case 3:
        world_rights(w, peer, (struct relay_rights){v & 1, v >> 1 & 1, v >> 2 & 1, v >> 3 & 1});
        break;
    case 4:
        world_announced(w, peer);
        break;
    case 5:
        world_video(w, peer, v % (1u << RELAY_STREAMS));
        break;
    default:
        world_tick(w);
    }
}

static void came(struct world *w, struct feed *f, uint32_t peer, uint32_t what)
{
    uint32_t place = feed_below(f, WORLD_PLACES + 8), v = feed_u8(f);
    place = place < WORLD_PLACES ? place : 2 * peer; // mostly his own
    struct bytes any;
    switch (what) {
    case 0:
        world_discover(w, peer, v < 200 ? 0 : v, place);
        break;
    case 1:
        world_ping(w, place);
        break;
    case 2:
        world_repeat(w, peer, v, place);
        break;
    case 3:
        world_spoil(w, v, feed_u8(f));
        break;
    case 4:
        any = feed_bytes(f, 250);
        world_raw(w, place, (const uint8_t *)any.p, (uint32_t)any.n);
        break;
    case 5:
        any = feed_bytes(f, 250);
        if (v >= 128)
            world_wild(w, peer, place, (const uint8_t *)any.p, (uint32_t)any.n);
        break;
    default:
        world_speak(w, peer, v % RELAY_SSRCS, place, v > 200 ? v : 0, v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct feed f = {data, size};
    world_init(&w);
    for (uint32_t i = 0; i < 4; i++) { // some are there from the beginning
        world_join(&w, i, i / 3);
        world_key(&w, i, (enum seal_mode)(feed_u8(&f) % SEAL_MODES));
        world_rights(&w, i, (struct relay_rights){true, true, true, false});
        world_announced(&w, i);
        world_video(&w, i, 1);
        world_discover(&w, i, 0, 2 * i);
    }
    while (f.n) {
        uint32_t peer = feed_below(&f, WORLD_PEERS), what = feed_below(&f, 32);
        if (what < 8)
            signalled(&w, &f, peer, what);
        else
            came(&w, &f, peer, what - 8);
    }
    world_fini(&w);
    return 0;
}
