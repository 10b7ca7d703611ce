// test_seal: every mode against packets that other code sealed, what may not be opened, extensions and padding,
// counters, wear, and the window of what has been seen.
#include "seal.h"
#include "check.h"
#include "client_seal.h"
#include "hex.h"

static uint8_t key[SEAL_KEY];

static struct seal *make(enum seal_mode m)
{
    CHECK(sodium_init() >= 0);
    for (unsigned i = 0; i < SEAL_KEY; i++)
        key[i] = (uint8_t)(i + 1);
    struct seal *s = aligned_alloc(64, (seal_size() + 63) / 64 * 64);
    CHECK(s);
    seal_init(s, m, key);
    return s;
}

static void end(struct seal *s)
{
    seal_fini(s);
    free(s);
}

// Computed with HSalsa20, HChaCha20 and Salsa20 in Python and the rest by its `cryptography` (OpenSSL), libsodium
// nowhere: marker off, PT 120, sequence 1337, two CSRCs, an extension of one word, "switchboard".
#define FIXED "9278053900bc614e12345678"
static const char *const clients[SEAL_MODES] = {
    [SEAL_AES256_GCM_RTPSIZE] =
        FIXED "0000000b0000000cbede0001a5ce1584eeddcb82b77111553ed06ee0137ca1af8ef06bfb380b72c60c5"
              "9a200000539",
    [SEAL_XCHACHA20_POLY1305_RTPSIZE] =
        FIXED "0000000b0000000cbede0001fcb02bd414b2c0ca2c0740e20d908021775bbf738cac189eceb"
              "47b05f8386400000539",
    [SEAL_XSALSA20_POLY1305_LITE] =
        FIXED "b4c12a666a1479c57236d46feabe13143ddc9911237ad47660b69218d29eafcf27c4eb7480d1ba44"
              "95af6600000539",
    [SEAL_XSALSA20_POLY1305_SUFFIX] =
        FIXED "b906d9b0435e849a3e711bc06744b577e649b1b343d72f4974313fd862f91a786df450823de3a7"
              "de4e944de0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7",
    [SEAL_XSALSA20_POLY1305] =
        FIXED "d6b9a973ed490f9c13c128aceb9e9b8700795c92f09690f48a921a0d6399683b14accb7f1f1098926c426e",
};
// What the node makes of it, its counter at the beginning.
static const char *const servers[SEAL_MODES] = {
    [SEAL_AES256_GCM_RTPSIZE] =
        "9078053900bc614e12345678bede0001d62a1f625fa8e8e0164b3f316043bc007826235eb5cd1a18d77ff01f4e"
        "331880000000",
    [SEAL_XCHACHA20_POLY1305_RTPSIZE] =
        "9078053900bc614e12345678bede0001baa99eacf0859ad9687fe5c790475f19b1143d74af0a1871ef"
        "453584f9e40c80000000",
    [SEAL_XSALSA20_POLY1305_LITE] =
        "8078053900bc614e12345678bc4e039616067e5d8db20e55d1c736022caf3d6462b964b5f559f980000000",
    [SEAL_XSALSA20_POLY1305] = "8078053900bc614e12345678c871a3985553d9a9b437803ace9ad92c9d976c3c5453e8e8e7bde1",
};

static size_t client_packet(enum seal_mode m, uint8_t *out)
{
    return (size_t)hex_bytes(clients[m], out, PACKET_MAX);
}

static void check_is_the_vector(const struct opened *o, enum seal_mode m)
{
    CHECK_TRUE(o->rtp.pt == 120 && !o->rtp.marker && o->rtp.seq == 1337 && o->rtp.timestamp == 12345678);
    CHECK_TRUE(o->rtp.ssrc == 0x12345678 && o->rtp.csrcs == 2 && o->rtp.extension);
    CHECK_EQ(o->ext_n, 8);
    CHECK_TRUE(o->ext && !memcmp(o->ext, "\xbe\xde\0\1\x51\xe8\0\0", 8));
    CHECK_EQ(o->body_n, 11);
    CHECK_TRUE(!memcmp(o->body, "switchboard", 11));
    CHECK_EQ(o->counter, m <= SEAL_XSALSA20_POLY1305_LITE ? 1337 : 0);
}

TEST(modes_have_their_names_and_order)
{
    static const char *const names[] = {"aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize",
                                        "xsalsa20_poly1305_lite", "xsalsa20_poly1305_suffix", "xsalsa20_poly1305"};
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        enum seal_mode named = SEAL_MODES;
        CHECK_STR(seal_name((enum seal_mode)m), names[m]);
        CHECK_EQ(seal_named(bytes_of(names[m]), &named), OK);
        CHECK_EQ(named, m);
        CHECK_EQ(seal_old((enum seal_mode)m), m >= SEAL_XSALSA20_POLY1305_LITE);
    }
    static const char *const others[] = {"", "aead_aes256_gcm", "xsalsa20_poly1305_", "XSALSA20_POLY1305", "plain"};
    enum seal_mode named = SEAL_MODES;
    for (size_t i = 0; i < countof(others); i++)
        CHECK_EQ(seal_named(bytes_of(others[i]), &named), ERR_INVALID);
    CHECK_EQ(named, SEAL_MODES);
}

TEST(packets_that_others_sealed_open_in_every_mode)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        struct seal *s = make((enum seal_mode)m);
        uint8_t packet[PACKET_MAX], room[PACKET_MAX];
        struct opened o;
        CHECK_EQ(seal_mode(s), m);
        CHECK_EQ(seal_open_rtp(s, packet, client_packet((enum seal_mode)m, packet), room, &o), OK);
        check_is_the_vector(&o, (enum seal_mode)m);
        end(s);
    }
}

TEST(what_is_sealed_is_to_the_byte_what_others_seal)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        struct seal *s = make((enum seal_mode)m);
        uint8_t packet[PACKET_MAX], room[PACKET_MAX], is[PACKET_MAX], out[PACKET_MAX];
        struct opened o;
        CHECK_EQ(seal_open_rtp(s, packet, client_packet((enum seal_mode)m, packet), room, &o), OK);
        size_t n = seal_rtp(s, &o, out);
        if (servers[m]) {
            CHECK_EQ(n, hex_bytes(servers[m], is, sizeof is));
            CHECK_TRUE(!memcmp(out, is, n));
        } else {
            CHECK_EQ(n, RTP_HEADER + 11 + SEAL_GROWTH);
        }
        end(s);
    }
}

// For each pair of modes: what one session's client sent comes to another's.
TEST(a_packet_goes_from_any_mode_to_any)
{
    for (unsigned from = 0; from < SEAL_MODES; from++)
        for (unsigned to = 0; to < SEAL_MODES; to++) {
            struct seal *a = make((enum seal_mode)from), *b = make((enum seal_mode)to);
            uint8_t packet[PACKET_MAX], room[PACKET_MAX], again[PACKET_MAX], is[PACKET_MAX];
            struct opened o;
            CHECK_EQ(seal_open_rtp(a, packet, client_packet((enum seal_mode)from, packet), room, &o), OK);
            uint8_t *out = mem_alloc(o.body_n + o.ext_n + RTP_HEADER + SEAL_GROWTH);
            size_t n = seal_rtp(b, &o, out);
            if (servers[to]) {
                CHECK_EQ(n, hex_bytes(servers[to], is, sizeof is));
                CHECK_TRUE(!memcmp(out, is, n));
            } else {
                CHECK_EQ(seal_open_rtp(b, out, n, again, &o), OK);
                CHECK_TRUE(!o.rtp.extension && !o.ext && !o.ext_n && !o.rtp.csrcs && o.body_n == 11);
                CHECK_TRUE(o.rtp.seq == 1337 && o.rtp.timestamp == 12345678 && o.rtp.ssrc == 0x12345678);
            }
            mem_free(out);
            end(a);
            end(b);
        }
}

TEST(a_packet_that_is_cut_anywhere_does_not_open)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        struct seal *s = make((enum seal_mode)m);
        uint8_t packet[PACKET_MAX];
        size_t n = client_packet((enum seal_mode)m, packet);
        for (size_t i = 0; i < n; i++) {
            uint8_t *own = exactly(packet, i), *behind = exactly(packet + i, n - i), room[PACKET_MAX];
            struct opened o = {.body_n = 4711};
            CHECK_TRUE(seal_open_rtp(s, own, i, room, &o) != OK);
            CHECK_TRUE(i == 0 || seal_open_rtp(s, behind, n - i, room, &o) != OK);
            CHECK_EQ(o.body_n, 4711);
            mem_free(own);
            mem_free(behind);
        }
        end(s);
    }
}

TEST(a_packet_of_which_one_bit_is_another_does_not_open)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        struct seal *s = make((enum seal_mode)m);
        uint8_t packet[PACKET_MAX], room[PACKET_MAX];
        struct opened o;
        size_t n = client_packet((enum seal_mode)m, packet);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            // Of lite and suffix the header is not authenticated: it opens to another packet, or to none.
            bool free_header =
                bit < 8u * RTP_HEADER && (m == SEAL_XSALSA20_POLY1305_LITE || m == SEAL_XSALSA20_POLY1305_SUFFIX);
            packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int err = seal_open_rtp(s, packet, n, room, &o);
            CHECK_TRUE(err == ERR_DENIED || err == ERR_INVALID || free_header);
            packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        CHECK_EQ(seal_open_rtp(s, packet, n, room, &o), OK);
        end(s);
    }
}

TEST(another_key_and_another_mode_open_nothing)
{
    for (unsigned m = 0; m < SEAL_MODES; m++)
        for (unsigned with = 0; with < SEAL_MODES; with++) {
            struct seal *s = make((enum seal_mode)with);
            uint8_t packet[PACKET_MAX], room[PACKET_MAX];
            struct opened o;
            size_t n = client_packet((enum seal_mode)m, packet);
            int err = seal_open_rtp(s, packet, n, room, &o);
            CHECK_TRUE(m == with ? err == OK : err == ERR_DENIED || err == ERR_INVALID);
            seal_fini(s);
            key[31] ^= 0x80;
            seal_init(s, (enum seal_mode)with, key);
            CHECK_TRUE(seal_open_rtp(s, packet, n, room, &o) != OK);
            end(s);
        }
}

TEST(longer_than_a_datagram_may_be_is_refused)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        struct seal *s = make((enum seal_mode)m);
        uint8_t packet[65507] = {0x80}, room[PACKET_MAX];
        struct opened o;
        size_t n;
        CHECK_EQ(seal_open_rtp(s, packet, PACKET_MAX, room, &o), ERR_DENIED);
        CHECK_EQ(seal_open_rtp(s, packet, PACKET_MAX + 1, room, &o), ERR_INVALID);
        CHECK_EQ(seal_open_rtp(s, packet, sizeof packet, room, &o), ERR_INVALID);
        hex_bytes("80c90001", packet, 4);
        CHECK_TRUE(seal_open_rtcp(s, packet, sizeof packet, room, &n) != OK);
        end(s);
    }
}

// --- extension and padding ---

TEST(padding_and_extension_are_taken_off_or_refused)
{
    static const struct {
        const char *plain;
        int err;
        long body_n, ext_n;
    } rows[] = {
        {"80780001 00000000 00000001", OK, 0, 0},
        {"80780001 00000000 00000001 0102", OK, 2, 0},
        {"a0780001 00000000 00000001 f8fffe 01", OK, 3, 0},
        {"a0780001 00000000 00000001 f8fffe 000003", OK, 3, 0},
        {"a0780001 00000000 00000001 04040404", OK, 0, 0},
        {"a0780001 00000000 00000001 f8fffe 00", ERR_INVALID, 0, 0}, // it counts itself
        {"a0780001 00000000 00000001 f8fffe 05", ERR_INVALID, 0, 0},
        {"a0780001 00000000 00000001 ff", ERR_INVALID, 0, 0},
        {"a0780001 00000000 00000001", ERR_INVALID, 0, 0}, // no last byte
        {"b0780001 00000000 00000001 bede0001 10ff0000 f8fffe 02 02", OK, 3, 8},
        {"b0780001 00000000 00000001 bede0001 10ff0000 03 03 03", OK, 0, 8},
        {"b0780001 00000000 00000001 bede0001 10ff0000 f8fffe 05", ERR_INVALID, 0, 0}, // into the extension
        {"b0780001 00000000 00000001 bede0001 10ff0001", ERR_INVALID, 0, 0},
        {"90780001 00000000 00000001 bede0000", OK, 0, 4},
        {"90780001 00000000 00000001 bede0000 f8fffe", OK, 3, 4},
        {"90780001 00000000 00000001 10000002 0000000000000000 f8", OK, 1, 12}, // two-byte form: passed on as it is
        {"90780001 00000000 00000001 bede0001 10ff00", ERR_INVALID, 0, 0},
        {"90780001 00000000 00000001 bedeffff 10ff0000", ERR_INVALID, 0, 0},
        {"91780001 00000000 00000001 00000009 bede0001 10ff0000 f8", OK, 1, 8},
        {"81780001 00000000 00000001 00000009", OK, 0, 0},
    };
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        struct seal *s = make((enum seal_mode)m);
        for (size_t i = 0; i < countof(rows); i++) {
            uint8_t plain[64], packet[128], room[PACKET_MAX];
            struct opened o = {.body_n = 4711};
            size_t n = (size_t)hex_bytes(rows[i].plain, plain, sizeof plain);
            n = client_seal((enum seal_mode)m, key, 7, plain, client_clear((enum seal_mode)m, plain, n), n, packet);
            int err = seal_open_rtp(s, packet, n, room, &o);
            if (err != rows[i].err)
                printf("%s, row %zu\n", seal_name((enum seal_mode)m), i);
            CHECK_EQ(err, rows[i].err);
            CHECK_EQ(o.body_n, err ? 4711 : rows[i].body_n);
            CHECK_EQ(o.ext_n, rows[i].ext_n);
            CHECK_EQ(o.ext != NULL, rows[i].ext_n != 0);
        }
        end(s);
    }
}

TEST(an_extension_that_was_taken_off_leaves_no_bit)
{
    struct seal *s = make(SEAL_XCHACHA20_POLY1305_RTPSIZE);
    uint8_t body[3] = {0xf8, 0xff, 0xfe}, out[64];
    struct opened o = {.rtp = {.pt = 120, .extension = true, .padding = true, .csrcs = 3}, .body = body, .body_n = 3};
    CHECK_EQ(seal_rtp(s, &o, out), RTP_HEADER + 3 + 16 + 4);
    CHECK_EQ(out[0], 0x80);
    o.body_n = 0;
    o.body = NULL;
    CHECK_EQ(seal_rtp(s, &o, out), RTP_HEADER + 16 + 4);
    end(s);
}

// --- counters ---

static uint32_t counter_of(const uint8_t *p, size_t n)
{
    return (uint32_t)p[n - 4] << 24 | (uint32_t)p[n - 3] << 16 | (uint32_t)p[n - 2] << 8 | p[n - 1];
}

TEST(counters_go_up_in_the_servers_half_and_rtcp_shares_them)
{
    for (unsigned m = 0; m <= SEAL_XSALSA20_POLY1305_LITE; m++) {
        struct seal *s = make((enum seal_mode)m);
        uint8_t body[1] = {0}, report[8] = {0x80, 201, 0, 1}, out[64];
        struct opened o = {.body = body, .body_n = 1};
        for (uint32_t i = 0; i < 600; i++) {
            size_t n = i % 3 ? seal_rtp(s, &o, out) : seal_rtcp(s, report, sizeof report, out);
            CHECK_EQ(counter_of(out, n), 0x80000000 + i);
        }
        CHECK_TRUE(!seal_worn(s));
        end(s);
    }
}

// discord.js cuts off what it takes for one.
TEST(nothing_that_has_no_extension_looks_as_if_it_had_one)
{
    for (unsigned m = 0; m <= SEAL_XCHACHA20_POLY1305_RTPSIZE; m++) {
        struct seal *s = make((enum seal_mode)m);
        uint8_t body[2] = {0x78, 1}, out[64];
        struct opened o = {.body = body, .body_n = sizeof body};
        uint32_t packets = 300000, seen = 0;
        size_t n = 0;
        for (uint32_t i = 0; i < packets; i++) {
            n = seal_rtp(s, &o, out);
            seen += out[12] == 0xbe && out[13] == 0xde;
        }
        CHECK_EQ(seen, 0);
        CHECK_TRUE(counter_of(out, n) > 0x80000000 + packets - 1); // some would have
        end(s);
    }
}

TEST(what_the_server_sealed_is_not_opened_again)
{
    for (unsigned m = 0; m <= SEAL_XSALSA20_POLY1305_LITE; m++) {
        struct seal *s = make((enum seal_mode)m);
        uint8_t body[9] = {0}, report[8] = {0x80, 201, 0, 1}, out[64], room[PACKET_MAX];
        struct opened o = {.body = body, .body_n = sizeof body};
        size_t n = seal_rtp(s, &o, out), opened_n;
        CHECK_EQ(seal_open_rtp(s, out, n, room, &o), ERR_DENIED);
        n = seal_rtcp(s, report, sizeof report, out);
        CHECK_EQ(seal_open_rtcp(s, out, n, room, &opened_n), ERR_DENIED);
        end(s);
    }
}

TEST(counters_of_the_clients_half_are_open_up_to_its_last)
{
    static const struct {
        uint32_t counter;
        int err;
    } rows[] = {{0, OK}, {1, OK}, {0x7fffffff, OK}, {0x80000000, ERR_DENIED}, {0xffffffff, ERR_DENIED}};
    struct seal *s = make(SEAL_XCHACHA20_POLY1305_RTPSIZE);
    for (size_t i = 0; i < countof(rows); i++) {
        uint8_t plain[15] = {0x80, 0x78}, packet[15 + SEAL_GROWTH], room[PACKET_MAX];
        struct opened o;
        size_t n = client_seal(SEAL_XCHACHA20_POLY1305_RTPSIZE, key, rows[i].counter, plain, RTP_HEADER, 15, packet);
        CHECK_EQ(seal_open_rtp(s, packet, n, room, &o), rows[i].err);
        CHECK_TRUE(rows[i].err || o.counter == rows[i].counter);
    }
    end(s);
}

TEST(suffix_nonces_differ_and_begin_anywhere)
{
    struct seal *s = make(SEAL_XSALSA20_POLY1305_SUFFIX), *t = make(SEAL_XSALSA20_POLY1305_SUFFIX);
    uint8_t body[1] = {0}, out[64], nonces[300][24];
    struct opened o = {.body = body, .body_n = 1};
    for (unsigned i = 0; i < countof(nonces); i++) {
        size_t n = seal_rtp(i % 2 ? s : t, &o, out);
        memcpy(nonces[i], out + n - 24, 24);
        for (unsigned j = 0; j < i; j++)
            CHECK_TRUE(memcmp(nonces[i], nonces[j], 24) != 0);
    }
    CHECK_TRUE(memcmp(nonces[0], nonces[1], 16) != 0);
    CHECK_TRUE(!seal_worn(s) && !seal_worn(t));
    end(s);
    end(t);
}

// --- RTCP ---

TEST(rtcp_that_others_sealed_opens_and_what_is_sealed_is_the_same)
{
    static const struct {
        enum seal_mode m;
        const char *packet, *server;
    } rows[] = {
        {SEAL_AES256_GCM_RTPSIZE, "81ce000211112222e61243fcfeefbe61f296cbfbc70fe6030fc39d5500000539", NULL},
        {SEAL_XSALSA20_POLY1305_LITE, "81ce00021111222207c31248b76c525835ce6483b5522d0d2fe8cf6200000539", NULL},
        {SEAL_XCHACHA20_POLY1305_RTPSIZE, NULL, "81ce000211112222f975c8d48b4ded1483d9b17fb9e5d3f3c8d379e080000000"},
    };
    uint8_t plain[12];
    hex_bytes("81ce0002 11112222 12345678", plain, sizeof plain);
    for (size_t i = 0; i < countof(rows); i++) {
        struct seal *s = make(rows[i].m);
        uint8_t packet[64], room[PACKET_MAX];
        size_t n, opened_n = 0;
        if (rows[i].packet) {
            n = (size_t)hex_bytes(rows[i].packet, packet, sizeof packet);
            CHECK_EQ(seal_open_rtcp(s, packet, n, room, &opened_n), OK);
            CHECK_EQ(opened_n, sizeof plain);
            CHECK_TRUE(!memcmp(room, plain, sizeof plain));
            CHECK_EQ(rtcp_target(room, opened_n), 0x12345678);
            for (size_t cut = 0; cut < n; cut++) {
                uint8_t *own = exactly(packet, cut);
                CHECK_TRUE(seal_open_rtcp(s, own, cut, room, &opened_n) != OK);
                mem_free(own);
            }
            CHECK_EQ(opened_n, sizeof plain);
        } else {
            uint8_t is[64];
            n = seal_rtcp(s, plain, sizeof plain, packet);
            CHECK_EQ(n, hex_bytes(rows[i].server, is, sizeof is));
            CHECK_TRUE(!memcmp(packet, is, n));
        }
        end(s);
    }
}

TEST(opened_rtcp_that_is_longer_than_it_is_is_invalid)
{
    struct seal *s = make(SEAL_XCHACHA20_POLY1305_RTPSIZE);
    uint8_t plain[12], packet[12 + SEAL_GROWTH], room[PACKET_MAX];
    hex_bytes("81ce0003 11112222 12345678", plain, sizeof plain); // one word that is not there; with the tag it is
    size_t n = client_seal(SEAL_XCHACHA20_POLY1305_RTPSIZE, key, 7, plain, RTCP_CLEAR, sizeof plain, packet), opened_n;
    CHECK_EQ(seal_open_rtcp(s, packet, n, room, &opened_n), ERR_INVALID);
    end(s);
}

TEST(plain_xsalsa20_has_no_rtcp)
{
    struct seal *s = make(SEAL_XSALSA20_POLY1305);
    uint8_t report[8] = {0x80, 201, 0, 1}, packet[64] = {0x80, 201, 0, 1}, room[PACKET_MAX];
    size_t n;
    CHECK_EQ(seal_rtcp(s, report, sizeof report, packet), 0);
    CHECK_EQ(seal_open_rtcp(s, packet, sizeof packet, room, &n), ERR_DENIED);
    end(s);
}

TEST(the_key_is_gone_afterwards)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        struct seal *s = make((enum seal_mode)m);
        seal_fini(s);
        CHECK_TRUE(sodium_is_zero((const uint8_t *)s, seal_size()));
        free(s);
    }
}

// --- what has been seen ---

TEST(a_number_is_seen_once)
{
    struct seen s = {0};
    CHECK_TRUE(!seen_before(&s, 0) && !seen_before(&s, 7));
    seen_note(&s, 7);
    CHECK_TRUE(seen_before(&s, 7) && !seen_before(&s, 6) && !seen_before(&s, 8) && !seen_before(&s, 0));
    seen_note(&s, 6);
    seen_note(&s, 9);
    CHECK_TRUE(seen_before(&s, 6) && seen_before(&s, 7) && !seen_before(&s, 8) && seen_before(&s, 9));
}

TEST(what_is_older_than_the_window_counts_as_seen)
{
    struct seen s = {0};
    seen_note(&s, 1000);
    CHECK_TRUE(!seen_before(&s, 1000 - 127) && seen_before(&s, 1000 - 128) && seen_before(&s, 0));
    seen_note(&s, 500); // too old to be noted: nothing else is touched
    CHECK_TRUE(s.top == 1000 && !seen_before(&s, 999));
    seen_note(&s, UINT32_MAX);
    CHECK_TRUE(seen_before(&s, UINT32_MAX) && !seen_before(&s, UINT32_MAX - 127) && seen_before(&s, 1000));
}

// Against a list of what was noted.
TEST(the_window_agrees_with_a_list)
{
    static bool noted[4096];
    for (uint32_t seed = 1; seed <= 64; seed++) {
        struct seen s = {0};
        uint32_t top = 0, x = seed * 2654435761u;
        memset(noted, 0, sizeof noted);
        for (unsigned i = 0; i < 1000 && top < countof(noted) - 300; i++) {
            x = x * 1664525u + 1013904223u;
            uint32_t jump = (x >> 8) % 64 == 0 ? (x >> 16) % 260 : (x >> 8) % 8, back = (x >> 20) % 140;
            uint32_t number = x >> 31 ? top + jump : top - (back < top ? back : top);
            bool old = s.any && number + 128 <= top;
            CHECK_EQ(seen_before(&s, number), old || noted[number]);
            if (seen_before(&s, number))
                continue;
            seen_note(&s, number);
            noted[number] = true;
            top = number > top ? number : top;
            for (uint32_t k = 0; k < 130 && k <= top; k++)
                CHECK_EQ(seen_before(&s, top - k), k >= 128 || noted[top - k]);
        }
    }
}

MAIN
