// relay_stream: see relay_stream.h.
#include "relay_stream.h"
#include "network_order.h"

#define FIRST ROUND // one round up, so that what was sent before the first packet has a number, too
#define ROUND 0x10000u
#define JUMP 3000 // further than this is no loss but another beginning (RFC 3550, A.1: MAX_DROPOUT)
#define LOST_MAX 0x7fffffu
#define STEP 960u     // between what was said and another beginning: a frame of audio
#define LATE 0x40000u // of timestamps; in a round of numbers more than these pass

uint32_t relay_stream_extend(const struct relay_stream *s, uint16_t seq)
{
    if (!s->any)
        return FIRST + seq;
    int32_t ahead = (int16_t)(seq - (uint16_t)s->top);
    return s->top + (uint32_t)ahead + (ahead < -JUMP ? ROUND : 0);
}

bool relay_stream_goes_on(const struct relay_stream *s, uint32_t number, uint32_t timestamp)
{
    return !s->any || (int32_t)(number - s->top) <= 0 || (int32_t)(timestamp - s->timestamp) >= 0;
}

uint32_t relay_stream_anew(const struct relay_stream *s, uint32_t number)
{
    return s->any && (int32_t)(number - s->top) <= 0 ? number + ROUND : number;
}

// By number the timestamps that are told never fall, so a number comes again, a round later, with a later one. What is
// late has to lie close behind, and so not in an earlier round.
bool relay_stream_say(struct relay_stream *s, uint32_t number, uint32_t timestamp, bool shifts, uint32_t *shift)
{
    bool before = seen_before(&s->said, number), newest = !s->said.any || number > s->said.top;
    if (!s->told)
        s->said_timestamp = timestamp;
    s->told = true;
    if (newest && shifts && (int32_t)(timestamp + s->shift - s->said_timestamp) < 0)
        s->shift = s->said_timestamp + STEP - timestamp;
    uint32_t told = timestamp + s->shift;
    int32_t ahead = (int32_t)(told - s->said_timestamp);
    if (newest && ahead > 0)
        s->said_timestamp = told;
    seen_note(&s->said, number);
    *shift = s->shift;
    return newest ? ahead >= 0 : !before && ahead <= 0 && (uint32_t)-ahead < LATE;
}

static uint64_t missing(const struct relay_stream *s)
{
    uint64_t expected = s->any ? (uint64_t)(s->top - s->base) + 1 : 0;
    return expected > s->since ? expected - s->since : 0;
}

uint64_t relay_stream_lost(const struct relay_stream *s)
{
    return s->lost_before + missing(s);
}

static void begin(struct relay_stream *s, uint32_t number, uint32_t timestamp, uint32_t arrival)
{
    s->lost_before += missing(s);
    s->any = true;
    s->base = s->top = number;
    s->since = 0;
    s->timestamp = timestamp;
    s->transit = arrival - timestamp;
}

static void note_jitter(struct relay_stream *s, uint32_t timestamp, uint32_t arrival)
{
    uint32_t transit = arrival - timestamp;
    int32_t d = (int32_t)(transit - s->transit);
    s->transit = transit;
    s->jitter16 += (uint64_t)(d < 0 ? -(int64_t)d : d) - ((s->jitter16 + 8) >> 4);
}

void relay_stream_note(struct relay_stream *s, uint32_t number, uint32_t timestamp, uint32_t bytes, uint32_t clock,
                       uint64_t now_us)
{
    uint32_t arrival = (uint32_t)(now_us * clock / 1000000);
    int32_t ahead = (int32_t)(number - s->top);
    s->packets++;
    s->bytes += bytes;
    if (!s->any || ahead > JUMP)
        begin(s, number, timestamp, arrival);
    else
        note_jitter(s, timestamp, arrival);
    s->since++;
    if ((int32_t)(number - s->top) > 0) {
        s->top = number;
        s->timestamp = timestamp;
    }
}

uint64_t relay_stream_jitter_us(const struct relay_stream *s, uint32_t clock)
{
    return s->jitter16 / 16 * 1000000 / clock;
}

void relay_stream_report(struct relay_stream *s, uint32_t ssrc, uint64_t now_us, uint8_t out[RELAY_REPORT],
                         uint64_t *lost)
{
    uint64_t all = relay_stream_lost(s), more = all > s->told_lost ? all - s->told_lost : 0;
    uint64_t came = s->packets - s->told_packets, fraction = more ? more * 256 / (more + came) : 0;
    put32(out, ssrc);
    put32(out + 4, (uint32_t)(all < LOST_MAX ? all : LOST_MAX));
    out[4] = (uint8_t)(fraction < 255 ? fraction : 255);
    put32(out + 8, s->top - FIRST);
    put32(out + 12, (uint32_t)(s->jitter16 / 16));
    put32(out + 16, s->report_ntp);
    put32(out + 20, s->report_ntp ? (uint32_t)((now_us - s->report_us) * 65536 / 1000000) : 0);
    s->told_lost = all > s->told_lost ? all : s->told_lost;
    s->told_packets = s->packets;
    *lost = more;
}
