// opus_packet: how long one Opus packet sounds, from its first bytes (RFC 6716, 3.1). Pure; nothing is decoded.
#pragma once
#include "bytes.h"

#define OPUS_HZ 48000u            // samples in a second, whatever the packet's own bandwidth
#define OPUS_PACKET_SAMPLES 5760u // of the longest packet: 120 ms
#define OPUS_SILENCE_SAMPLES 960u // of opus_silence

// What senders say when they stop: one frame of 20 ms in which nothing is heard.
extern const struct bytes opus_silence;
// Samples at 48 kHz; 0: this is no Opus packet.
uint32_t opus_samples(struct bytes packet);
