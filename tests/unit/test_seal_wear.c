// test_seal_wear: the end of a session's counters, which no test can wait for: seal.c is taken in here, and its counter
// set.
#include "seal.c"
#include "check.h"

static const uint8_t key[SEAL_KEY];

TEST(counters_end_and_never_begin_anew)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        struct seal s;
        uint8_t body[1] = {0}, report[8] = {0x80, 201, 0, 1}, out[64];
        struct opened o = {.body = body, .body_n = 1};
        bool counts = modes[m].tail == COUNTER;
        CHECK(sodium_init() >= 0);
        seal_init(&s, (enum seal_mode)m, key);
        s.next = UINT32_MAX - 1;
        CHECK_EQ(seal_worn(&s), counts);
        size_t n = seal_rtp(&s, &o, out);
        CHECK_TRUE(!counts || get32(out + n - 4) == UINT32_MAX - 1);
        n = counts ? seal_rtcp(&s, report, sizeof report, out) : 0;
        CHECK_TRUE(!counts || get32(out + n - 4) == UINT32_MAX);
        for (unsigned i = 0; i < 3; i++) {
            CHECK_EQ(seal_rtp(&s, &o, out) == 0, counts);
            CHECK_EQ(seal_rtcp(&s, report, sizeof report, out) == 0, counts || !modes[m].tail);
        }
        CHECK_EQ(seal_worn(&s), counts);
        seal_fini(&s);
    }
}

TEST(a_session_is_worn_in_time_for_another_key)
{
    struct seal s;
    seal_init(&s, SEAL_XCHACHA20_POLY1305_RTPSIZE, key);
    CHECK_TRUE(!seal_worn(&s));
    s.next = (uint64_t)UINT32_MAX - WORN;
    CHECK_TRUE(!seal_worn(&s));
    s.next++;
    CHECK_TRUE(seal_worn(&s));
    seal_fini(&s);
}

TEST(the_suffix_nonce_carries_over)
{
    struct seal s;
    uint8_t body[1] = {0}, out[64], is[24] = {[16] = 1};
    struct opened o = {.body = body, .body_n = 1};
    seal_init(&s, SEAL_XSALSA20_POLY1305_SUFFIX, key);
    memset(s.nonce, 0, 17);
    memset(s.nonce + 17, 0xff, 7);
    size_t n = seal_rtp(&s, &o, out);
    CHECK_TRUE(!memcmp(out + n - 24, is, 24));
    seal_fini(&s);
}

MAIN
