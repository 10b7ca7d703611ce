// packet: see packet.h.
#include "packet.h"
#include "network_order.h"

#include <string.h>

#define PING 0x1337cafeu
#define PONG 0x1337f00du
#define PING_MIN 8u
#define KEEPALIVE 8u      // a counter and four zeros, of @discordjs/voice
#define KEEPALIVE_RTCP 4u // 80 C8 00 00, of eris and its forks: the head of a sender report that has no sender
#define ADDRESS_MAX 64u   // bytes of the text in a discovery answer, the zero behind it included
#define RTCP_FIRST 192u
#define RTCP_LAST 223u
#define RTCP_SR 200u
#define RTCP_RTPFB 205u
#define RTCP_PSFB 206u
#define PSFB_FIR 4u

static bool version_2(const uint8_t *p)
{
    return p[0] >> 6 == 2;
}

static bool rtcp_type(uint8_t type)
{
    return type >= RTCP_FIRST && type <= RTCP_LAST;
}

static enum packet_kind rtp_kind(const uint8_t *p, size_t n)
{
    if (!rtcp_type(p[1]))
        return n >= RTP_HEADER ? PACKET_IS_RTP : PACKET_IS_NONE;
    if (n == KEEPALIVE_RTCP && p[1] == RTCP_SR && get16(p + 2) == 0)
        return PACKET_IS_KEEPALIVE;
    return n >= RTCP_CLEAR ? PACKET_IS_RTCP : PACKET_IS_NONE;
}

enum packet_kind packet_kind(const uint8_t *p, size_t n)
{
    if (n < KEEPALIVE_RTCP || n > PACKET_MAX)
        return PACKET_IS_NONE;
    if (n == PACKET_DISCOVERY && get32(p) == (1u << 16 | (PACKET_DISCOVERY - 4)))
        return PACKET_IS_DISCOVERY;
    if (n >= PING_MIN && get32(p) == PING)
        return PACKET_IS_PING;
    if (n == KEEPALIVE)
        return PACKET_IS_KEEPALIVE;
    if (version_2(p))
        return rtp_kind(p, n);
    // Begins with an SSRC, and those that a node hands out have no top bit.
    return n == PACKET_DISCOVERY_OLD && p[0] < 0x80 ? PACKET_IS_DISCOVERY_OLD : PACKET_IS_NONE;
}

uint32_t packet_ssrc(const uint8_t *p, enum packet_kind kind)
{
    return get32(p + (kind == PACKET_IS_RTCP ? 4 : 8));
}

int rtp_parse(const uint8_t *p, size_t n, struct rtp *out)
{
    if (n < RTP_HEADER || !version_2(p))
        return ERR_INVALID;
    struct rtp r = {.pt = p[1] & 0x7f,
                    .marker = p[1] >> 7,
                    .padding = p[0] >> 5 & 1,
                    .extension = p[0] >> 4 & 1,
                    .seq = (uint16_t)get16(p + 2),
                    .timestamp = get32(p + 4),
                    .ssrc = get32(p + 8),
                    .csrcs = p[0] & 0xf};
    r.clear_n = RTP_HEADER + 4 * r.csrcs + (r.extension ? 4 : 0);
    if (r.clear_n > n)
        return ERR_INVALID;
    r.ext_n = r.extension ? 4 * get16(p + r.clear_n - 2) : 0;
    if (r.ext_n > n - r.clear_n)
        return ERR_INVALID;
    *out = r;
    return OK;
}

void rtp_write(uint8_t out[RTP_HEADER], const struct rtp *r)
{
    out[0] = (uint8_t)(2 << 6 | r->extension << 4);
    out[1] = (uint8_t)(r->marker << 7 | (r->pt & 0x7f));
    put16(out + 2, r->seq);
    put32(out + 4, r->timestamp);
    put32(out + 8, r->ssrc);
}

static size_t rtcp_length(const uint8_t *p)
{
    return 4 * (get16(p + 2) + 1);
}

int rtcp_parse(const uint8_t *p, size_t n, struct rtcp *out)
{
    if (n < RTCP_CLEAR || !version_2(p) || !rtcp_type(p[1]))
        return ERR_INVALID;
    if (rtcp_length(p) < RTCP_CLEAR || rtcp_length(p) > n)
        return ERR_INVALID;
    *out = (struct rtcp){.type = p[1], .count = p[0] & 0x1f, .ssrc = get32(p + 4)};
    return OK;
}

// p: one feedback packet of n bytes. A full intra request has its target in the first entry behind the head.
static uint32_t feedback_target(const uint8_t *p, size_t n)
{
    uint32_t ssrc = n >= 12 ? get32(p + 8) : 0;
    bool fir = p[1] == RTCP_PSFB && (p[0] & 0x1f) == PSFB_FIR;
    return !ssrc && fir && n >= 20 ? get32(p + 12) : ssrc;
}

uint32_t rtcp_target(const uint8_t *opened, size_t n)
{
    struct rtcp r;
    for (size_t at = 0; rtcp_parse(opened + at, n - at, &r) == OK; at += rtcp_length(opened + at))
        if (r.type == RTCP_RTPFB || r.type == RTCP_PSFB)
            return feedback_target(opened + at, rtcp_length(opened + at));
    return 0;
}

uint32_t discovery_ssrc(const uint8_t *p, size_t n)
{
    return n == PACKET_DISCOVERY ? get32(p + 4) : n == PACKET_DISCOVERY_OLD ? get32(p) : 0;
}

// The old form's numbers are little-endian in the answer, and only there.
static void answer_old(uint8_t *out, uint32_t ssrc, uint16_t port)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)(ssrc >> 8 * i);
    out[PACKET_DISCOVERY_OLD - 2] = (uint8_t)port;
    out[PACKET_DISCOVERY_OLD - 1] = (uint8_t)(port >> 8);
}

void discovery_answer(uint8_t *out, size_t n, uint32_t ssrc, const char *address, uint16_t port)
{
    CHECK(n == PACKET_DISCOVERY || n == PACKET_DISCOVERY_OLD);
    size_t length = strlen(address);
    CHECK(length < ADDRESS_MAX);
    memset(out, 0, n);
    memcpy(out + (n - ADDRESS_MAX - 2), address, length);
    if (n == PACKET_DISCOVERY_OLD) {
        answer_old(out, ssrc, port);
        return;
    }
    put32(out, 2u << 16 | (PACKET_DISCOVERY - 4));
    put32(out + 4, ssrc);
    put16(out + PACKET_DISCOVERY - 2, port);
}

void ping_answer(uint8_t *out, const uint8_t *request, size_t n)
{
    CHECK(n >= PING_MIN);
    memcpy(out, request, n);
    put32(out, PONG);
}
