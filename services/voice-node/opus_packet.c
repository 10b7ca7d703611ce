// opus_packet: see opus_packet.h.
#include "opus_packet.h"

const struct bytes opus_silence = {"\xf8\xff\xfe", 3};

// Samples of one frame, by the upper five bits of the first byte.
static uint32_t frame_samples(unsigned config)
{
    static const uint32_t silk[] = {480, 960, 1920, 2880}, hybrid[] = {480, 960}, celt[] = {120, 240, 480, 960};
    if (config < 12)
        return silk[config % 4];
    if (config < 16)
        return hybrid[config % 2];
    return celt[config % 4];
}

uint32_t opus_samples(struct bytes packet)
{
    if (packet.n == 0)
        return 0;
    unsigned toc = (unsigned char)packet.p[0], frames = 0;
    if ((toc & 3) == 0)
        frames = 1;
    else if ((toc & 3) < 3)
        frames = 2;
    else if (packet.n > 1)
        frames = (unsigned char)packet.p[1] & 0x3f;
    uint32_t samples = frames * frame_samples(toc >> 3);
    return samples <= OPUS_PACKET_SAMPLES ? samples : 0;
}
