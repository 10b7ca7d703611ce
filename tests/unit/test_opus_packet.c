// opus_packet: how long a packet sounds, by the table of RFC 6716, 3.1.
#include "check.h"
#include "opus_packet.h"

static uint32_t samples(unsigned toc, unsigned count)
{
    const char packet[] = {(char)toc, (char)count, 0};
    return opus_samples((struct bytes){packet, sizeof packet});
}

TEST(the_configuration_says_how_long_a_frame_is)
{
    static const uint32_t tenths[32] = {100, 200, 400, 600, 100, 200, 400, 600, 100, 200, 400, 600, 100, 200, 100, 200,
                                        25,  50,  100, 200, 25,  50,  100, 200, 25,  50,  100, 200, 25,  50,  100, 200};
    for (unsigned config = 0; config < 32; config++)
        CHECK_EQ(samples(config << 3, 0), tenths[config] * 48 / 10);
}

TEST(the_code_says_how_many_frames_there_are)
{
    CHECK_EQ(samples(31 << 3 | 0, 0), 960);
    CHECK_EQ(samples(31 << 3 | 4, 0), 960); // stereo
    CHECK_EQ(samples(31 << 3 | 1, 0), 1920);
    CHECK_EQ(samples(31 << 3 | 2, 0), 1920);
    CHECK_EQ(samples(31 << 3 | 3, 0xc3), 2880);
}

TEST(what_is_longer_than_a_packet_may_be_or_has_no_frames_is_none)
{
    CHECK_EQ(samples(31 << 3 | 3, 6), 5760);
    CHECK_EQ(samples(31 << 3 | 3, 7), 0);
    CHECK_EQ(samples(31 << 3 | 3, 0), 0);
    CHECK_EQ(samples(3 << 3 | 1, 0), 5760);
    CHECK_EQ(samples(3 << 3 | 3, 3), 0);
    CHECK_EQ(opus_samples(BYTES_NONE), 0);
    CHECK_EQ(opus_samples((struct bytes){"\xff", 1}), 0); // code 3 without its count
}

TEST(silence_is_one_frame_of_20_ms)
{
    CHECK_EQ(opus_samples(opus_silence), OPUS_SILENCE_SAMPLES);
}

MAIN
