// packet: what a datagram on the media port is, and where its parts are. Pure; every length is checked, nothing is
// believed. Layout: RFC 3550 (RTP, RTCP), RFC 8285 (one-byte extensions); discovery, ping and keepalives:
// https://docs.discord.food/topics/voice-connections ("IP Discovery", "UDP Keepalive").
#pragma once
#include "bytes.h"

#define PACKET_MAX 1500u         // bytes of a datagram that is looked at; a longer one is dropped
#define PACKET_DISCOVERY 74u     // bytes of a discovery request, and of its answer
#define PACKET_DISCOVERY_OLD 70u // the form without type and length, of old libraries
#define RTP_HEADER 12u
#define RTP_PT_OPUS 120u

enum packet_kind {
    PACKET_IS_NONE, // to be dropped
    PACKET_IS_DISCOVERY,
    PACKET_IS_DISCOVERY_OLD,
    PACKET_IS_PING,      // answered with as many bytes
    PACKET_IS_KEEPALIVE, // counted, never answered
    PACKET_IS_RTP,
    PACKET_IS_RTCP,
    PACKET_KINDS
};
enum packet_kind packet_kind(const uint8_t *p, size_t n);
// The SSRC in the clear of what packet_kind calls RTP or RTCP, whatever the mode that sealed it.
uint32_t packet_ssrc(const uint8_t *p, enum packet_kind kind);

struct rtp {
    uint8_t pt;
    bool marker, padding, extension;
    uint16_t seq;
    uint32_t timestamp, ssrc;
    uint32_t csrcs;   // 0 to 15
    uint32_t clear_n; // bytes in front of what the rtpsize modes seal: header, CSRCs, extension preamble
    uint32_t ext_n;   // bytes of the extension's body, which comes next; 0 without one
};
// ERR_INVALID: no RTP, or it says that it is longer than n. For opened packets and those that an rtpsize mode sealed;
// the older modes seal all behind the fixed header, the CSRCs and the extension too.
MUST_USE int rtp_parse(const uint8_t *p, size_t n, struct rtp *out);
void rtp_write(uint8_t out[RTP_HEADER], const struct rtp *r); // no CSRCs, no padding; X as r->extension says

struct rtcp {
    uint8_t type; // 200 SR, 201 RR, 202 SDES, 203 BYE, 205 RTPFB, 206 PSFB
    uint8_t count;
    uint32_t ssrc; // of who sends it
};
#define RTCP_CLEAR 8u // bytes that stay in the clear
MUST_USE int rtcp_parse(const uint8_t *p, size_t n, struct rtcp *out);
// Media SSRC of the first feedback packet (205, 206) in an opened one, which may be several in a row; 0: none.
uint32_t rtcp_target(const uint8_t *opened, size_t n);

// The SSRC that a discovery request names, in either form.
uint32_t discovery_ssrc(const uint8_t *p, size_t n);
// The answer, exactly n bytes (of the request) long: address as dotted text, port in host order.
void discovery_answer(uint8_t *out, size_t n, uint32_t ssrc, const char *address, uint16_t port);
// n bytes, of which the number, and what may follow it, are the request's.
void ping_answer(uint8_t *out, const uint8_t *request, size_t n);
