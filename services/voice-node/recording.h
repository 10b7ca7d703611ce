// recording: what is said in one channel, as one Ogg Opus file for each speaker (RFC 7845). Pure: no clock, no I/O;
// Opus packets in, bytes of files out, each packet as it came. All files begin when the recording began and end when it
// ended, whoever spoke when: what is between packets is written as frames of silence.
//
// A packet stands where its RTP timestamp says, counted from where its stream began, and a stream begins where it
// arrived. It is written HOLD after it came: by then those that overtook it are there, and it shows whether one that is
// late belongs to a sender that stopped for a while without counting on (many do: it is placed where it arrived) or to
// a network or process that stood still (then the next ones are there at once: it is placed where its timestamp says).
//
// Memory: blocks, taken out of a budget that all recordings of a node share. What would pass it, or the number of
// speakers, or the longest time, ends the recording; what there is by then can be read.
#pragma once
#include "relay.h"

#define RECORDING_SPEAKERS 64u

enum recording_state {
    RECORDING_RUNS,
    RECORDING_STOPPED, // as it was asked to
    RECORDING_FULL,    // the budget is used up
    RECORDING_CROWDED, // more than RECORDING_SPEAKERS spoke
    RECORDING_LONG,    // its longest time has passed
};
const char *recording_state_name(enum recording_state s); // "running", "stopped", …
const char *recording_why(enum recording_state s);        // a plain sentence; "" while it runs

struct recording_budget { // bytes
    uint64_t max, used;   // used <= max
};
struct recording;

// began_us: of the clock that relay_heard's at_us is of. NULL: the budget has no room for it.
struct recording *recording_new(struct recording_budget *budget, uint64_t channel, uint64_t began_us,
                                uint64_t longest_us);
void recording_free(struct recording *r); // gives its bytes back
void recording_heard(struct recording *r, const struct relay_heard *h);
void recording_tick(struct recording *r, uint64_t now_us); // some times a second
void recording_stop(struct recording *r, uint64_t now_us); // its files are whole from now on

struct recording_stats {
    uint64_t user;
    uint64_t packets, bytes; // written, of those that were heard
    uint64_t samples;        // and how long they sound
    uint64_t dropped;        // came too late, twice, too much ahead, or were no Opus
    uint64_t file_bytes;     // so far
};
enum recording_state recording_state(const struct recording *r);
uint64_t recording_channel(const struct recording *r);
uint64_t recording_us(const struct recording *r, uint64_t now_us); // how long it is
uint64_t recording_silent_us(const struct recording *r,
                             uint64_t now_us); // since the last packet of anybody, or the beginning
uint32_t recording_speakers(const struct recording *r);
struct recording_stats recording_speaker(const struct recording *r, uint32_t i); // in the order of their first words
// Appends at most n bytes of that user's file from `offset` on. ERR_MISSING: he said nothing; ERR_STATE: it still runs.
MUST_USE int recording_read(const struct recording *r, uint64_t user, uint64_t offset, size_t n, struct buf *out);
