// fuzz_packet: the input is a datagram. It is one thing or nothing; no length in it leads out of it; what is answered
// is as long as what was asked.
#include "fuzz.h"
#include "packet.h"

static void answered(const uint8_t *p, size_t n, enum packet_kind kind)
{
    uint8_t *out = mem_alloc(n);
    if (kind == PACKET_IS_PING) {
        ping_answer(out, p, n);
        CHECK(packet_kind(out, n) != PACKET_IS_PING); // two nodes would go on for ever
    } else {
        CHECK(n == (kind == PACKET_IS_DISCOVERY ? PACKET_DISCOVERY : PACKET_DISCOVERY_OLD));
        discovery_answer(out, n, discovery_ssrc(p, n), "203.0.113.9", 50001);
        CHECK(packet_kind(out, n) != PACKET_IS_DISCOVERY);
    }
    mem_free(out);
}

static void rtp(const uint8_t *p, size_t n)
{
    struct rtp r = {.clear_n = 4711}, again;
    uint8_t out[RTP_HEADER];
    if (rtp_parse(p, n, &r)) {
        CHECK(r.clear_n == 4711);
        return;
    }
    CHECK(r.csrcs <= 15 && r.pt < 128 && r.clear_n == RTP_HEADER + 4 * r.csrcs + 4 * r.extension);
    CHECK(r.clear_n <= n && r.ext_n <= n - r.clear_n && (r.extension || !r.ext_n) && r.ext_n % 4 == 0);
    CHECK(packet_ssrc(p, PACKET_IS_RTP) == r.ssrc);
    bool extension = r.extension;
    r.extension = false;
    rtp_write(out, &r);
    CHECK(rtp_parse(out, sizeof out, &again) == OK && again.clear_n == RTP_HEADER && !again.padding && !again.csrcs);
    CHECK(again.pt == r.pt && again.marker == r.marker && again.seq == r.seq && again.ssrc == r.ssrc);
    CHECK(again.timestamp == r.timestamp && !again.extension);
    r.extension = extension;
    rtp_write(out, &r);
    CHECK((out[0] & 0x10) == (p[0] & 0x10) && !memcmp(out + 1, p + 1, RTP_HEADER - 1));
}

static void rtcp(const uint8_t *p, size_t n)
{
    struct rtcp r;
    uint32_t target = rtcp_target(p, n);
    if (rtcp_parse(p, n, &r)) {
        CHECK(!target);
        return;
    }
    CHECK(n >= RTCP_CLEAR && r.type >= 192 && r.type <= 223 && r.count < 32);
    CHECK(packet_ssrc(p, PACKET_IS_RTCP) == r.ssrc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *own = (uint8_t *)feed_own((struct bytes){(const char *)data, size});
    enum packet_kind kind = packet_kind(own, size);
    CHECK(kind < PACKET_KINDS && (size <= PACKET_MAX || kind == PACKET_IS_NONE));
    if (kind == PACKET_IS_PING || kind == PACKET_IS_DISCOVERY || kind == PACKET_IS_DISCOVERY_OLD)
        answered(own, size, kind);
    CHECK(kind != PACKET_IS_RTP || size >= RTP_HEADER);
    CHECK(kind != PACKET_IS_RTCP || size >= RTCP_CLEAR);
    rtp(own, size);
    rtcp(own, size);
    mem_free(own);
    return 0;
}
