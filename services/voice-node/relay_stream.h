// relay_stream: what one SSRC has sent: which sequence numbers, how many are missing, how unevenly they came.
// Pure. RFC 3550, 6.4.1 and appendices A.1, A.3, A.8.
#pragma once
#include "seal.h"

struct relay_stream {
    bool any;
    uint32_t top;         // highest sequence number, extended to 32 bits: the low 16 are what was sent
    uint32_t timestamp;   // of the packet that has it
    uint32_t base;        // from here on packets are counted in `since`
    uint64_t since;       // <= UINT32_MAX in practice; a jump of the numbers begins anew
    uint64_t lost_before; // of the time before base
    uint64_t packets, bytes;
    uint32_t transit;
    uint64_t jitter16;                // of timestamp units, a sixteenth each
    struct seen seen;                 // numbers received
    struct seen said;                 // numbers passed on
    bool told;                        // the next is there
    uint32_t said_timestamp;          // the last of theirs, shifted; silence of ours aside
    uint32_t shift;                   // see relay_stream_say
    uint64_t told_lost, told_packets; // at the last report
    uint32_t report_ntp;              // middle 32 bits of its last sender report; 0: none
    uint64_t report_us;               // when that came
};

// To 32 bits: next to the highest one, but never far behind it: who begins anew goes on in the next round.
uint32_t relay_stream_extend(const struct relay_stream *s, uint16_t seq);
// The numbers and the timestamps both go on, so no header of it is one of an earlier packet.
bool relay_stream_goes_on(const struct relay_stream *s, uint32_t number, uint32_t timestamp);
// The number of a packet with which its sender begins anew: in the next round, unless it goes on anyway.
uint32_t relay_stream_anew(const struct relay_stream *s, uint32_t number);
// A packet is passed on. false: where the header is the nonce it may not be, since that may have been there before.
// Otherwise its timestamp is to be *shift later there: who begins anew, with timestamps that were there, goes on behind
// what he has said, if his timestamps may be shifted.
bool relay_stream_say(struct relay_stream *s, uint32_t number, uint32_t timestamp, bool shifts, uint32_t *shift);
void relay_stream_note(struct relay_stream *s, uint32_t number, uint32_t timestamp, uint32_t bytes, uint32_t clock,
                       uint64_t now_us);
uint64_t relay_stream_lost(const struct relay_stream *s);
uint64_t relay_stream_jitter_us(const struct relay_stream *s, uint32_t clock);

#define RELAY_REPORT 24u // bytes of one report block
// Writes a report block on it and remembers what it said; *lost: how many more than at the last one.
void relay_stream_report(struct relay_stream *s, uint32_t ssrc, uint64_t now_us, uint8_t out[RELAY_REPORT],
                         uint64_t *lost);
