// test_relay_worn: whose counter ends is told of, once, in time; seal.c is taken in here, and its counter set.
#include "relay_private.h"
#include "relay_rig.h"
#include "seal.c"

#define ROOM 100u
#define MODE SEAL_XCHACHA20_POLY1305_RTPSIZE

static struct seal *seal_of(const struct rig_client *c)
{
    return peer_seal(rig.relay, relay_by_ssrc(rig.relay, c->client.ssrc));
}

static void leave(void *ctx, relay_peer p)
{
    rig_worn(ctx, p);
    relay_leave(rig.relay, p);
}

TEST(a_key_that_is_nearly_used_up_is_told_of_once)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    relay_tick(rig.relay, rig.now_us);
    CHECK_EQ(rig.n_worn, 0);
    seal_of(&b)->next = UINT32_MAX - 10;
    relay_tick(rig.relay, rig.now_us);
    relay_tick(rig.relay, rig.now_us);
    CHECK_TRUE(rig.n_worn == 1 && rig.worn == b.peer);
    rig_clear();
    for (uint32_t i = 0; i < 20; i++) // what is left of it is used; nothing is sealed with a number twice
        rig_say(&a, "speech");
    CHECK_EQ(rig.n_sent, 11);
    CHECK_EQ(M.media_seal_failures, 9);
    memset(b.client.key, 0x77, SEAL_KEY);
    relay_key(rig.relay, b.peer, MODE, b.client.key);
    rig_clear();
    rig_say(&a, "speech");
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "speech"));
    seal_of(&b)->next = UINT32_MAX - 10;
    relay_tick(rig.relay, rig.now_us);
    CHECK_EQ(rig.n_worn, 2);
    rig_end();
}

TEST(who_is_told_may_make_it_leave)
{
    rig_begin(8, 8, 1000, 1000);
    relay_free(rig.relay);
    rig.relay = relay_new(&(struct relay_cfg){.peers_max = 8,
                                              .rooms_max = 8,
                                              .peer_pps = 1000,
                                              .stranger_pps = 1000,
                                              .send = rig_send,
                                              .worn = leave,
                                              .ctx = &rig});
    struct rig_client v[] = {rig_enter(ROOM, 1, MODE), rig_enter(ROOM, 2, MODE), rig_enter(ROOM, 3, MODE)};
    seal_of(&v[0])->next = seal_of(&v[2])->next = UINT32_MAX;
    relay_tick(rig.relay, rig.now_us);
    CHECK_EQ(rig.n_worn, 2);
    CHECK_EQ(relay_peers(rig.relay), 1);
    rig_end();
}

MAIN
