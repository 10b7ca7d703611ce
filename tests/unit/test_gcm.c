// test_gcm: what the CPU seals OpenSSL opens, and the other way about; both agree with a vector that neither made up
// here.
#include "gcm.h"
#include "check.h"
#include "hex.h"

static const uint8_t key[GCM_KEY] = {1, 2, 3, 4, 5, 6, 7, 8};

// 1: both, 0: only OpenSSL on this CPU.
static int last(void)
{
    CHECK(sodium_init() >= 0);
    return gcm_by_cpu();
}

TEST(both_ways_agree_with_nists_vector)
{
    // NIST's GCM revised specification, test case 16.
    uint8_t k[32], nonce[12], aad[20], plain[60], sealed[76];
    hex_bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", k, sizeof k);
    hex_bytes("cafebabefacedbaddecaf888", nonce, sizeof nonce);
    hex_bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad, sizeof aad);
    hex_bytes("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
              "b16aedf5aa0de657ba637b39",
              plain, sizeof plain);
    hex_bytes("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
              "c5f61e6393ba7a0abcc9f662 76fc6ece0f4e1768cddf8853bb2d551b",
              sealed, sizeof sealed);
    for (int by_cpu = 0; by_cpu <= last(); by_cpu++) {
        struct gcm g;
        uint8_t out[76];
        gcm_init(&g, k, by_cpu);
        memcpy(out, plain, sizeof plain);
        gcm_seal(&g, out, sizeof plain, aad, sizeof aad, nonce);
        CHECK_TRUE(!memcmp(out, sealed, sizeof sealed));
        memset(out, 0, sizeof out);
        CHECK_TRUE(gcm_open(&g, out, sealed, sizeof plain, aad, sizeof aad, nonce));
        CHECK_TRUE(!memcmp(out, plain, sizeof plain));
        gcm_fini(&g);
    }
}

// Of every length, one after the other under one key: nothing of a packet is left over for the next.
TEST(either_way_opens_what_any_way_sealed)
{
    for (int by = 0; by <= last(); by++)
        for (int opens = 0; opens <= last(); opens++) {
            struct gcm a, b;
            gcm_init(&a, key, by);
            gcm_init(&b, key, opens);
            for (size_t n = 0; n < 200; n++) {
                uint8_t nonce[GCM_NONCE] = {(uint8_t)n}, plain[200], aad[20] = {7}, out[200];
                uint8_t *p = mem_alloc(n + GCM_TAG);
                memset(plain, (int)n, sizeof plain);
                memcpy(p, plain, n);
                gcm_seal(&a, p, n, aad, 8 + n % 13, nonce);
                CHECK_TRUE(gcm_open(&b, out, p, n, aad, 8 + n % 13, nonce));
                CHECK_TRUE(!memcmp(out, plain, n));
                mem_free(p);
            }
            gcm_fini(&a);
            gcm_fini(&b);
        }
}

TEST(nothing_that_was_altered_opens_and_the_next_one_does)
{
    for (int by_cpu = 0; by_cpu <= last(); by_cpu++) {
        struct gcm g;
        uint8_t p[40 + GCM_TAG] = {0}, aad[12] = {0}, nonce[GCM_NONCE] = {0}, out[40];
        gcm_init(&g, key, by_cpu);
        gcm_seal(&g, p, 40, aad, sizeof aad, nonce);
        struct {
            uint8_t *at;
            size_t n;
        } parts[] = {{p, sizeof p}, {aad, sizeof aad}, {nonce, sizeof nonce}};
        for (size_t part = 0; part < countof(parts); part++)
            for (size_t bit = 0; bit < 8 * parts[part].n; bit++) {
                parts[part].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
                CHECK_TRUE(!gcm_open(&g, out, p, 40, aad, sizeof aad, nonce));
                parts[part].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
                CHECK_TRUE(gcm_open(&g, out, p, 40, aad, sizeof aad, nonce));
            }
        gcm_fini(&g);
    }
}

TEST(the_key_is_gone_afterwards)
{
    for (int by_cpu = 0; by_cpu <= last(); by_cpu++) {
        struct gcm g;
        gcm_init(&g, key, by_cpu);
        gcm_fini(&g);
        CHECK_TRUE(sodium_is_zero((const uint8_t *)&g, sizeof g));
    }
}

MAIN
