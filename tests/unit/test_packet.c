// test_packet: every datagram is one thing or nothing, lengths that it claims are not believed, and answers are to the
// byte what client libraries read.
#include "packet.h"
#include "check.h"
#include "hex.h"

static size_t fill(uint8_t *out, const char *start, size_t n)
{
    uint8_t text[64];
    long given = hex_bytes(start, text, sizeof text);
    memset(out, 0, n);
    memcpy(out, text, (size_t)given < n ? (size_t)given : n);
    return n;
}

TEST(every_datagram_is_one_thing_or_nothing)
{
    static const struct {
        const char *start; // zeros behind it
        size_t n;
        enum packet_kind kind;
    } rows[] = {
        {"0001 0046 00001234", 74, PACKET_IS_DISCOVERY},
        {"0001 0046 00001234", 73, PACKET_IS_NONE},
        {"0001 0046 00001234", 75, PACKET_IS_NONE},
        {"0002 0046 00001234", 74, PACKET_IS_NONE}, // an answer
        {"0001 0047 00001234", 74, PACKET_IS_NONE},
        {"0001 0146 00001234", 74, PACKET_IS_NONE},
        {"0101 0046 00001234", 74, PACKET_IS_NONE},
        {"00001234", 70, PACKET_IS_DISCOVERY_OLD},
        {"7fffffff", 70, PACKET_IS_DISCOVERY_OLD},
        {"00001234", 69, PACKET_IS_NONE},
        {"00001234", 71, PACKET_IS_NONE},
        {"c0001234", 70, PACKET_IS_NONE},
        {"80781234", 70, PACKET_IS_RTP},
        {"1337cafe", 8, PACKET_IS_PING},
        {"1337cafe 00000007", 8, PACKET_IS_PING},
        {"1337cafe 00000007", 70, PACKET_IS_PING},
        {"1337cafe 00000007", 74, PACKET_IS_PING},
        {"1337cafe", 7, PACKET_IS_NONE},
        {"1337f00d", 8, PACKET_IS_KEEPALIVE}, // our own answer is no request
        {"1337f00d", 12, PACKET_IS_NONE},
        {"05000000 00000000", 8, PACKET_IS_KEEPALIVE},
        {"00000000", 8, PACKET_IS_KEEPALIVE},
        {"80c80006 00001234", 8, PACKET_IS_KEEPALIVE},
        {"80c80000", 4, PACKET_IS_KEEPALIVE},
        {"80c80001", 4, PACKET_IS_NONE},
        {"80c90000", 4, PACKET_IS_NONE},
        {"80c80000", 3, PACKET_IS_NONE},
        {"80c80000", 5, PACKET_IS_NONE},
        {"80c80006 00001234", 9, PACKET_IS_RTCP},
        {"80c00006 00001234", 28, PACKET_IS_RTCP},
        {"bfdf0006 00001234", 28, PACKET_IS_RTCP},
        {"80bf0006 00001234", 28, PACKET_IS_RTP},
        {"80e00006 00001234", 28, PACKET_IS_RTP},
        {"80780001 00000000 00001234", 12, PACKET_IS_RTP},
        {"90f80001 00000000 00001234", 1500, PACKET_IS_RTP},
        {"bf000001 00000000 00001234", 100, PACKET_IS_RTP},
        {"80780001 00000000 00001234", 11, PACKET_IS_NONE},
        {"80780001 00000000 00001234", 1501, PACKET_IS_NONE},
        {"1337cafe 00000007", 1501, PACKET_IS_NONE},
        {"40780001", 100, PACKET_IS_NONE},
        {"c0780001", 100, PACKET_IS_NONE},
        {"00010000 2112a442", 20, PACKET_IS_NONE}, // STUN
        {"16fefd00", 100, PACKET_IS_NONE},         // DTLS
        {"", 0, PACKET_IS_NONE},
        {"80", 1, PACKET_IS_NONE},
    };
    uint8_t p[PACKET_MAX + 1];
    for (size_t i = 0; i < countof(rows); i++) {
        uint8_t *own = exactly(p, fill(p, rows[i].start, rows[i].n));
        if (packet_kind(own, rows[i].n) != rows[i].kind)
            printf("row %zu: %s, %zu bytes\n", i, rows[i].start, rows[i].n);
        CHECK_EQ(packet_kind(own, rows[i].n), rows[i].kind);
        mem_free(own);
    }
    CHECK_EQ(packet_kind(NULL, 0), PACKET_IS_NONE);
}

TEST(what_is_in_the_clear_names_who_sends)
{
    uint8_t p[32];
    fill(p, "80780001 00000000 10203040", 32);
    CHECK_EQ(packet_ssrc(p, PACKET_IS_RTP), 0x10203040);
    fill(p, "80c80006 11223344 10203040", 32);
    CHECK_EQ(packet_ssrc(p, PACKET_IS_RTCP), 0x11223344);
}

TEST(an_rtp_header_is_read)
{
    static const struct {
        const char *packet;
        struct rtp rtp;
    } rows[] = {
        {"80780001 00000003 00000004", {.pt = 120, .seq = 1, .timestamp = 3, .ssrc = 4, .clear_n = 12}},
        {"80f8ffff fffffffe fffffffd",
         {.pt = 120, .marker = true, .seq = 0xffff, .timestamp = 0xfffffffe, .ssrc = 0xfffffffd, .clear_n = 12}},
        {"a0650000 00000000 00000000 01", {.pt = 101, .padding = true, .clear_n = 12}},
        {"90780000 00000000 00000001 bede0000", {.pt = 120, .ssrc = 1, .extension = true, .clear_n = 16}},
        {"90780000 00000000 00000001 bede0001 51e80000",
         {.pt = 120, .ssrc = 1, .extension = true, .clear_n = 16, .ext_n = 4}},
        {"92780000 00000000 00000001 0000000a 0000000b 00010002 0000000000000000 ff",
         {.pt = 120, .ssrc = 1, .extension = true, .csrcs = 2, .clear_n = 24, .ext_n = 8}},
        {"81780000 00000000 00000001 0000000a", {.pt = 120, .ssrc = 1, .csrcs = 1, .clear_n = 16}},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        uint8_t text[64];
        size_t n = (size_t)hex_bytes(rows[i].packet, text, sizeof text);
        struct rtp r, is = rows[i].rtp;
        CHECK_EQ(rtp_parse(text, n, &r), OK);
        CHECK_TRUE(r.pt == is.pt && r.marker == is.marker && r.padding == is.padding);
        CHECK_TRUE(r.extension == is.extension && r.seq == is.seq && r.timestamp == is.timestamp);
        CHECK_TRUE(r.ssrc == is.ssrc && r.csrcs == is.csrcs && r.clear_n == is.clear_n && r.ext_n == is.ext_n);
    }
}

// As rtp_parse: ERR_INVALID of every beginning that is shorter than what the header speaks of.
static void truncate_rtp(const char *hex, size_t needed)
{
    uint8_t text[512] = {0};
    size_t n = (size_t)hex_bytes(hex, text, sizeof text);
    for (size_t i = 0; i <= n; i++) {
        uint8_t *own = exactly(text, i);
        struct rtp r = {.pt = 77};
        CHECK_EQ(rtp_parse(own, i, &r), i < needed ? ERR_INVALID : OK);
        CHECK_TRUE(i >= needed || r.pt == 77);
        mem_free(own);
    }
}

TEST(an_rtp_header_that_is_cut_anywhere_is_invalid)
{
    truncate_rtp("80780001 00000003 00000004 f8fffe", 12);
    truncate_rtp("90780001 00000003 00000004 bede0000 f8fffe", 16);
    truncate_rtp("90780001 00000003 00000004 bede0002 51e80000 00000000 f8fffe", 24);
    truncate_rtp("92780001 00000003 00000004 00000001 00000002 bede0001 51e80000 f8fffe", 28);
    truncate_rtp("8f780001 00000003 00000004 00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008"
                 "00000009 0000000a 0000000b 0000000c 0000000d 0000000e 0000000f f8",
                 72);
}

TEST(what_is_no_rtp_or_longer_than_it_is_is_invalid)
{
    static const char *packets[] = {"00780001 00000003 00000004 f8fffe", "40780001 00000003 00000004 f8fffe",
                                    "c0780001 00000003 00000004 f8fffe",
                                    "90780001 00000003 00000004 bedeffff 00000000"};
    for (size_t i = 0; i < countof(packets); i++) {
        uint8_t text[64];
        struct rtp r;
        CHECK_EQ(rtp_parse(text, (size_t)hex_bytes(packets[i], text, sizeof text), &r), ERR_INVALID);
    }
}

TEST(a_header_is_written_without_csrcs_and_padding)
{
    uint8_t text[64], out[RTP_HEADER];
    struct rtp r;
    size_t n = (size_t)hex_bytes("b2f8 1234 56789abc def01234 00000001 00000002 bede0000", text, sizeof text);
    CHECK_EQ(rtp_parse(text, n, &r), OK);
    rtp_write(out, &r);
    hex_bytes("90f8 1234 56789abc def01234", text, sizeof text);
    CHECK_TRUE(!memcmp(out, text, RTP_HEADER));
    r.extension = r.marker = false;
    rtp_write(out, &r);
    hex_bytes("8078 1234 56789abc def01234", text, sizeof text);
    CHECK_TRUE(!memcmp(out, text, RTP_HEADER));
}

TEST(an_rtcp_head_is_read_and_its_length_is_not_believed)
{
    static const struct {
        const char *packet;
        int err;
    } rows[] = {
        {"81c90001 11223344", OK},
        {"81c90001 11223344 00", OK},
        {"81c90002 11223344 00000000", OK},
        {"81c90002 11223344 000000", ERR_INVALID},
        {"81c9ffff 11223344 00000000", ERR_INVALID},
        {"81c90000 11223344 00000000", ERR_INVALID}, // ends before its sender
        {"81c90001 112233", ERR_INVALID},
        {"81c90001", ERR_INVALID},
        {"", ERR_INVALID},
        {"41c90001 11223344", ERR_INVALID},
        {"81bf0001 11223344", ERR_INVALID},
        {"81e00001 11223344", ERR_INVALID},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        uint8_t text[64];
        size_t n = (size_t)hex_bytes(rows[i].packet, text, sizeof text);
        uint8_t *own = exactly(text, n);
        struct rtcp r = {.type = 7};
        CHECK_EQ(rtcp_parse(own, n, &r), rows[i].err);
        if (rows[i].err)
            CHECK_TRUE(r.type == 7);
        else
            CHECK_TRUE(r.type == 201 && r.count == 1 && r.ssrc == 0x11223344);
        mem_free(own);
    }
}

TEST(feedback_names_whom_it_is_for)
{
    static const struct {
        const char *opened;
        uint32_t target;
    } rows[] = {
        {"81ce0002 11111111 22222222", 0x22222222},                   // PLI
        {"81cd0003 11111111 22222222 00010000", 0x22222222},          // NACK
        {"8fcd0004 11111111 22222222 00000000 00000000", 0x22222222}, // transport-cc
        {"84ce0004 11111111 00000000 33333333 01000000", 0x33333333}, // FIR
        {"84ce0004 11111111 22222222 33333333 01000000", 0x22222222}, // FIR
        {"84ce0003 11111111 00000000 33333333", 0},                   // FIR without its entry
        {"8fce0005 11111111 00000000 52454d42 01000000 22222222", 0}, // REMB: for everybody
        {"80c90001 11111111 81ce0002 11111111 22222222", 0x22222222}, // behind an RR
        {"80c90001 11111111 81ca0001 11111111 81ce0002 11111111 22222222 81ce0002", 0x22222222}, // the first one
        {"80c90001 11111111", 0},
        {"81ce0001 11111111", 0},
        {"81ce0001 11111111 22222222", 0}, // it ends before
        {"81ce0002 11111111 222222", 0},
        {"80c90001 11111111 81ce0002 11111111 222222", 0},
        {"80c90001 11111111 41ce0002 11111111 22222222", 0},
        {"80c90000 11111111 81ce0002 11111111 22222222", 0},
        {"", 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        uint8_t text[64];
        size_t n = (size_t)hex_bytes(rows[i].opened, text, sizeof text);
        uint8_t *own = exactly(text, n);
        CHECK_EQ(rtcp_target(own, n), rows[i].target);
        mem_free(own);
    }
}

TEST(discovery_reads_the_ssrc_and_nothing_behind_it)
{
    uint8_t p[PACKET_DISCOVERY];
    for (unsigned junk = 0; junk < 256; junk++) { // eris leaves there what its memory had
        memset(p, (int)junk, sizeof p);
        hex_bytes("0001 0046 01020304", p, sizeof p);
        CHECK_EQ(packet_kind(p, PACKET_DISCOVERY), PACKET_IS_DISCOVERY);
        CHECK_EQ(discovery_ssrc(p, PACKET_DISCOVERY), 0x01020304);
        memset(p, (int)junk, sizeof p);
        hex_bytes("05060708", p, sizeof p);
        CHECK_EQ(packet_kind(p, PACKET_DISCOVERY_OLD), PACKET_IS_DISCOVERY_OLD);
        CHECK_EQ(discovery_ssrc(p, PACKET_DISCOVERY_OLD), 0x05060708);
    }
    for (size_t n = 0; n < PACKET_DISCOVERY; n++)
        CHECK_EQ(discovery_ssrc(p, n), n == PACKET_DISCOVERY_OLD ? 0x05060708 : 0);
}

TEST(discovery_is_answered_to_the_byte)
{
    static const char text[] = "255.255.255.254";
    uint8_t is[PACKET_DISCOVERY] = {0}, *out = mem_alloc(PACKET_DISCOVERY);
    hex_bytes("0002 0046 01020304", is, sizeof is);
    memcpy(is + 8, text, strlen(text));
    hex_bytes("c351", is + 72, 2);
    memset(out, 0xff, PACKET_DISCOVERY);
    discovery_answer(out, PACKET_DISCOVERY, 0x01020304, text, 50001);
    CHECK_TRUE(!memcmp(out, is, PACKET_DISCOVERY));
    mem_free(out);

    memset(is, 0, sizeof is);
    out = mem_alloc(PACKET_DISCOVERY_OLD);
    hex_bytes("04030201", is, sizeof is);
    memcpy(is + 4, text, strlen(text));
    hex_bytes("51c3", is + 68, 2);
    memset(out, 0xff, PACKET_DISCOVERY_OLD);
    discovery_answer(out, PACKET_DISCOVERY_OLD, 0x01020304, text, 50001);
    CHECK_TRUE(!memcmp(out, is, PACKET_DISCOVERY_OLD));
    mem_free(out);
}

TEST(a_ping_is_answered_with_its_number_and_as_many_bytes)
{
    uint8_t request[12], is[12], out[13];
    hex_bytes("1337cafe 01020304 05060708", request, sizeof request);
    hex_bytes("1337f00d 01020304 05060708", is, sizeof is);
    for (size_t n = 8; n <= sizeof request; n++) {
        memset(out, 0xaa, sizeof out);
        ping_answer(out, request, n);
        CHECK_TRUE(!memcmp(out, is, n) && out[n] == 0xaa);
    }
}

MAIN
