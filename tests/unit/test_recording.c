// recording: what stands in each speaker's file, and when. A file is read back page by page by what RFC 3533 says of a
// page, so that nothing is believed of the library that wrote it but its checksums, which the player's tests compare.
#include "check.h"
#include "opus_packet.h"
#include "recording.h"

#define ANN 11u
#define BEN 22u
#define MS 1000u // us
#define BEGAN 7000000000ull

static struct recording_budget budget;
static struct recording *r;

static void begin(uint64_t max)
{
    budget = (struct recording_budget){.max = max};
    r = recording_new(&budget, 5, BEGAN, 3600000000ull);
    CHECK_TRUE(r != NULL);
}

static void end(void)
{
    recording_free(r);
    CHECK_EQ(budget.used, 0);
}

// A packet of 20 ms that says its number.
static struct bytes packet(uint32_t number)
{
    static char p[60];
    memset(p, 0x55, sizeof p);
    memcpy(p, "\xf8\xfe", 2);
    memcpy(p + 2, &number, sizeof number);
    return (struct bytes){p, sizeof p};
}

struct voice {
    uint64_t user;
    uint32_t ssrc, timestamp;
    uint16_t seq;
    uint32_t number;
};

static void heard_as(const struct voice *v, uint64_t ms, uint32_t timestamp, uint16_t seq, struct bytes payload)
{
    const struct relay_heard h = {.user = v->user,
                                  .ssrc = v->ssrc,
                                  .timestamp = timestamp,
                                  .seq = seq,
                                  .at_us = BEGAN + ms * MS,
                                  .payload = payload};
    recording_heard(r, &h);
    CHECK_TRUE(budget.used <= budget.max);
}

// n packets, 20 ms apart, from ms on; the clock runs in between.
static void speak(struct voice *v, uint64_t ms, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++, v->timestamp += 960) {
        heard_as(v, ms + 20 * i, v->timestamp, v->seq++, packet(v->number++));
        recording_tick(r, BEGAN + (ms + 20 * i) * MS);
    }
}

static void stop(uint64_t ms)
{
    recording_tick(r, BEGAN + ms * MS);
    recording_stop(r, BEGAN + ms * MS);
}

// --- a file, read back ---

struct sound {
    uint32_t n;
    uint32_t numbers[4000]; // UINT32_MAX: silence
    uint64_t granule;       // of the last page
    uint32_t first_pages;   // flags of the first and of the last
    uint32_t last_flags;
    char head[64], tags[200];
    size_t head_n, tags_n;
};
static struct sound sound;

static void take_packet(uint32_t number, const uint8_t *p, size_t n)
{
    if (number == 0) {
        memcpy(sound.head, p, n < 64 ? n : 64);
        sound.head_n = n;
    } else if (number == 1) {
        memcpy(sound.tags, p, n < 200 ? n : 200);
        sound.tags_n = n;
    } else {
        CHECK_TRUE(sound.n < 4000);
        sound.numbers[sound.n] = UINT32_MAX;
        if (n != 3 || memcmp(p, "\xf8\xff\xfe", 3) != 0) {
            CHECK_EQ(n, 60);
            memcpy(&sound.numbers[sound.n], p + 2, 4);
            CHECK_TRUE(memcmp(p, packet(sound.numbers[sound.n]).p, 60) == 0);
        }
        sound.n++;
    }
}

// None of our packets is longer than a page; a lacing value below 255 ends one.
static void read_pages(const uint8_t *p, size_t n)
{
    uint32_t number = 0, pages = 0;
    while (n > 0) {
        CHECK_TRUE(n >= 27 && memcmp(p, "OggS", 4) == 0);
        uint32_t page_number;
        memcpy(&page_number, p + 18, 4);
        CHECK_EQ(page_number, pages);
        CHECK_EQ((p[5] & 2) != 0, pages == 0);
        sound.last_flags = p[5];
        memcpy(&sound.granule, p + 6, 8);
        const uint8_t *lacing = p + 27, *body = lacing + p[26];
        size_t length = 0, body_n = 0;
        for (unsigned i = 0; i < p[26]; i++) {
            length += lacing[i];
            body_n += lacing[i];
            if (lacing[i] == 255)
                continue;
            take_packet(number++, body, length);
            body += length;
            length = 0;
        }
        CHECK_EQ(length, 0);
        n -= 27u + p[26] + body_n;
        p = body;
        pages++;
    }
}

static void read_file(uint64_t user)
{
    struct buf file = {0};
    memset(&sound, 0, sizeof sound);
    CHECK_EQ(recording_read(r, user, 0, SIZE_MAX, &file), OK);
    for (uint32_t i = 0; i < recording_speakers(r); i++)
        if (recording_speaker(r, i).user == user)
            CHECK_EQ(file.n, recording_speaker(r, i).file_bytes);
    read_pages((const uint8_t *)file.p, file.n);
    CHECK_EQ(sound.last_flags & 4, 4); // the end of the stream
    for (uint32_t i = 0; i < 4; i++)   // what is skipped
        CHECK_EQ(sound.numbers[i], UINT32_MAX);
    memmove(sound.numbers, sound.numbers + 4, (sound.n -= 4) * sizeof sound.numbers[0]);
    sound.granule -= 3840;
    buf_fini(&file);
}

// At which frames of 20 ms is there something? "25-74 100-149"
static const char *when(void)
{
    static char text[400];
    int n = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < sound.n && n < 350; i++) {
        bool is = sound.numbers[i] != UINT32_MAX, was = i > 0 && sound.numbers[i - 1] != UINT32_MAX;
        bool goes_on = i + 1 < sound.n && sound.numbers[i + 1] != UINT32_MAX;
        if (is && !was)
            n += sprintf(text + n, "%s%u", n ? " " : "", i);
        if (is && !goes_on)
            n += sprintf(text + n, "-%u", i);
    }
    return text;
}

// Numbers count up from 0 over all that is no silence.
static void check_in_order(uint32_t n)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < sound.n; i++)
        if (sound.numbers[i] != UINT32_MAX)
            CHECK_EQ(sound.numbers[i], next++);
    CHECK_EQ(next, n);
}

static uint64_t samples(uint64_t ms)
{
    return ms * 48;
}

// --- where packets stand ---

TEST(what_is_said_stands_where_it_was_said_and_the_file_is_as_long_as_the_recording)
{
    struct voice ann = {.user = ANN, .ssrc = 1, .timestamp = 0xfffff000, .seq = 65530};
    begin(1 << 24);
    speak(&ann, 500, 50);
    stop(2013);
    read_file(ANN);
    CHECK_STR(when(), "25-74");
    check_in_order(50);
    CHECK_EQ(sound.granule, samples(2013));
    CHECK_EQ(sound.n, 101); // the last is cut to what is missing
    CHECK_EQ(recording_us(r, 0), 2013 * MS);
    struct recording_stats s = recording_speaker(r, 0);
    CHECK_EQ(s.packets, 50);
    CHECK_EQ(s.bytes, 3000);
    CHECK_EQ(s.samples, samples(1000));
    CHECK_EQ(s.dropped, 0);
    end();
}

TEST(the_head_is_that_of_stereo_with_80_ms_to_skip)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    begin(1 << 24);
    speak(&ann, 0, 1);
    stop(20);
    read_file(ANN);
    CHECK_EQ(sound.head_n, 19);
    CHECK_TRUE(memcmp(sound.head, "OpusHead\1\2\0\x0f\x80\xbb\0\0\0\0\0", 19) == 0);
    CHECK_TRUE(
        memcmp(sound.tags, "OpusTags\x0b\0\0\0Switchboard\2\0\0\0\x0a\0\0\0USER_ID=11\x0c\0\0\0CHANNEL_ID=5", 57) == 0);
    CHECK_EQ(sound.tags_n, 57);
    end();
}

TEST(a_sender_that_does_not_count_while_it_is_silent_is_placed_where_it_goes_on)
{
    struct voice ann = {.user = ANN, .ssrc = 1, .timestamp = 5};
    begin(1 << 24);
    speak(&ann, 0, 10);
    speak(&ann, 500, 10);  // 300 ms of silence
    speak(&ann, 3700, 10); // and 3 s
    stop(5000);
    read_file(ANN);
    CHECK_STR(when(), "0-9 25-34 185-194");
    check_in_order(30);
    CHECK_EQ(sound.granule, samples(5000));
    end();
}

TEST(a_sender_that_counts_on_while_it_is_silent_is_placed_where_it_says)
{
    struct voice ann = {.user = ANN, .ssrc = 1, .timestamp = 5};
    begin(1 << 24);
    speak(&ann, 0, 10);
    ann.timestamp += 15 * 960;
    speak(&ann, 512, 10); // a little late
    ann.timestamp += 150 * 960;
    speak(&ann, 3700, 10);
    stop(5000);
    read_file(ANN);
    CHECK_STR(when(), "0-9 25-34 185-194");
    end();
}

TEST(what_stood_still_on_its_way_is_placed_where_it_was_said)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    begin(1 << 24);
    speak(&ann, 0, 10);
    for (uint32_t i = 0; i < 20; i++, ann.timestamp += 960) // 400 ms of sound, all at once
        heard_as(&ann, 580, ann.timestamp, ann.seq++, packet(ann.number++));
    recording_tick(r, BEGAN + 590 * MS);
    speak(&ann, 600, 10);
    stop(1000);
    read_file(ANN);
    CHECK_STR(when(), "0-39");
    check_in_order(40);
    end();
}

TEST(jitter_changes_nothing)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    begin(1 << 24);
    for (uint32_t i = 0; i < 500; i++, ann.timestamp += 960) {
        uint64_t ms = 20 * i + (i * 2654435761u >> 16) % 60; // some overtake others
        heard_as(&ann, ms, ann.timestamp, ann.seq++, packet(ann.number++));
        recording_tick(r, BEGAN + ms * MS);
    }
    stop(10500);
    read_file(ANN);
    CHECK_STR(when(), "0-499");
    check_in_order(500);
    end();
}

TEST(what_was_overtaken_is_put_right_and_what_comes_twice_or_too_late_is_dropped)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    begin(1 << 24);
    static const uint32_t order[] = {0, 2, 1, 2, 5, 4, 3};
    for (uint32_t i = 0; i < countof(order); i++)
        heard_as(&ann, 20 * i, order[i] * 960, (uint16_t)order[i], packet(order[i]));
    recording_tick(r, BEGAN + 900 * MS);
    heard_as(&ann, 910, 3 * 960, 3, packet(3));
    stop(1000);
    read_file(ANN);
    CHECK_STR(when(), "0-5");
    check_in_order(6);
    CHECK_EQ(recording_speaker(r, 0).dropped, 2);
    CHECK_EQ(recording_speaker(r, 0).packets, 6);
    end();
}

TEST(what_is_lost_is_silent)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    begin(1 << 24);
    speak(&ann, 0, 10);
    ann.timestamp += 2 * 960;
    ann.seq += 2;
    speak(&ann, 240, 10);
    stop(1000);
    read_file(ANN);
    CHECK_STR(when(), "0-9 12-21");
    end();
}

TEST(a_stream_that_begins_anew_is_placed_where_it_arrives)
{
    struct voice ann = {.user = ANN, .ssrc = 1, .timestamp = 77};
    begin(1 << 24);
    speak(&ann, 0, 10);
    ann.ssrc = 9;
    ann.timestamp = 0x80000000;
    ann.seq = 5;
    speak(&ann, 400, 10);
    ann.timestamp = 3; // and the same one, from another beginning
    speak(&ann, 800, 10);
    stop(1000);
    read_file(ANN);
    CHECK_STR(when(), "0-9 20-29 40-49");
    check_in_order(30);
    end();
}

TEST(packets_of_other_lengths_are_placed_by_theirs)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    char p[60];
    begin(1 << 24);
    memcpy(p, packet(0).p, sizeof p);
    p[0] = (char)(30 << 3); // 10 ms
    for (uint32_t i = 0; i < 100; i++) {
        memcpy(p + 2, &i, 4);
        heard_as(&ann, 10 * i, 480 * i, (uint16_t)i, (struct bytes){p, sizeof p});
        recording_tick(r, BEGAN + 10 * i * MS);
    }
    stop(1500);
    CHECK_EQ(recording_speaker(r, 0).samples, samples(1000));
    struct buf file = {0};
    CHECK_EQ(recording_read(r, ANN, 0, SIZE_MAX, &file), OK);
    uint64_t granule;
    size_t last = file.n - 3;
    while (memcmp(file.p + --last, "OggS", 4) != 0)
        ;
    memcpy(&granule, file.p + last + 6, 8);
    CHECK_EQ(granule, samples(1580));
    buf_fini(&file);
    end();
}

// --- several ---

TEST(all_files_begin_and_end_alike)
{
    struct voice ann = {.user = ANN, .ssrc = 1}, ben = {.user = BEN, .ssrc = 20, .timestamp = 1234567};
    begin(1 << 24);
    speak(&ann, 100, 10);
    speak(&ben, 10000, 10);
    stop(20001);
    read_file(ANN);
    CHECK_STR(when(), "5-14");
    CHECK_EQ(sound.granule, samples(20001));
    read_file(BEN);
    CHECK_STR(when(), "500-509");
    CHECK_EQ(sound.granule, samples(20001));
    CHECK_EQ(recording_speakers(r), 2);
    end();
}

TEST(it_ends_when_the_last_words_have_sounded)
{
    struct voice ann = {.user = ANN, .ssrc = 1}, ben = {.user = BEN, .ssrc = 20};
    begin(1 << 24);
    speak(&ann, 0, 10);
    speak(&ben, 200, 10);
    stop(385); // in the middle of the last packet
    read_file(ANN);
    CHECK_EQ(sound.granule, samples(400));
    read_file(BEN);
    CHECK_EQ(sound.granule, samples(400));
    CHECK_EQ(recording_us(r, 0), 400 * MS);
    end();
}

TEST(a_long_silence_is_as_long_as_it_was)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    begin(1 << 24);
    speak(&ann, 33333, 3);
    recording_tick(r, BEGAN + 34000 * MS);
    recording_tick(r, BEGAN + 66666 * MS);
    speak(&ann, 66666, 3);
    stop(70001);
    read_file(ANN);
    CHECK_STR(when(), "1667-1669 3333-3335");
    CHECK_EQ(sound.granule, samples(70001));
    end();
}

TEST(a_file_can_be_read_in_pieces_when_the_recording_is_over)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    struct buf whole = {0}, pieces = {0};
    begin(1 << 24);
    speak(&ann, 0, 700);
    CHECK_EQ(recording_read(r, ANN, 0, 10, &whole), ERR_STATE);
    stop(14000);
    CHECK_EQ(recording_read(r, BEN, 0, 10, &whole), ERR_MISSING);
    CHECK_EQ(recording_read(r, ANN, 0, SIZE_MAX, &whole), OK);
    for (size_t before = SIZE_MAX; before != pieces.n;) {
        before = pieces.n;
        CHECK_EQ(recording_read(r, ANN, pieces.n, 9999, &pieces), OK);
    }
    CHECK_TRUE(bytes_eq(buf_bytes(&whole), buf_bytes(&pieces)));
    CHECK_TRUE(whole.n > 2 * 16384);
    buf_fini(&whole);
    buf_fini(&pieces);
    end();
}

TEST(nobody_needs_to_speak)
{
    begin(1 << 24);
    stop(5000);
    CHECK_EQ(recording_speakers(r), 0);
    CHECK_EQ(recording_state(r), RECORDING_STOPPED);
    CHECK_EQ(recording_us(r, 0), 5000 * MS);
    CHECK_EQ(recording_silent_us(r, 0), 5000 * MS);
    end();
}

TEST(it_is_known_how_long_nobody_has_spoken)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    begin(1 << 24);
    CHECK_EQ(recording_silent_us(r, BEGAN + 300 * MS), 300 * MS);
    speak(&ann, 400, 2);
    CHECK_EQ(recording_silent_us(r, BEGAN + 1000 * MS), 580 * MS);
    end();
}

// --- bounds ---

TEST(what_is_no_opus_is_dropped)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    char large[PACKET_MAX + 1] = {(char)0xf8};
    begin(1 << 24);
    heard_as(&ann, 0, 0, 0, BYTES_NONE);
    CHECK_EQ(recording_speakers(r), 0);
    speak(&ann, 0, 1);
    heard_as(&ann, 20, 960, 1, BYTES("\xff"));
    heard_as(&ann, 40, 1920, 2, (struct bytes){large, sizeof large});
    CHECK_EQ(recording_speaker(r, 0).dropped, 2);
    end();
}

TEST(when_the_memory_is_used_up_the_recording_ends_and_can_be_read)
{
    struct voice ann = {.user = ANN, .ssrc = 1}, ben = {.user = BEN, .ssrc = 20};
    begin(300000);
    uint64_t ms = 0;
    for (; recording_state(r) == RECORDING_RUNS && ms < 60000; ms += 20) {
        speak(&ann, ms, 1);
        if (recording_state(r) == RECORDING_RUNS)
            speak(&ben, ms, 1);
    }
    CHECK_EQ(recording_state(r), RECORDING_FULL);
    CHECK_STR(recording_state_name(recording_state(r)), "full");
    CHECK_TRUE(ms > 5000);
    uint64_t long_us = recording_us(r, 0);
    speak(&ann, ms, 10); // nothing any more
    CHECK_EQ(recording_us(r, BEGAN + 99000 * MS), long_us);
    read_file(ANN);
    uint64_t granule = sound.granule;
    read_file(BEN);
    CHECK_EQ(sound.granule, granule);
    CHECK_EQ(granule, long_us * 48 / 1000);
    end();
}

TEST(who_begins_so_late_that_the_silence_before_has_no_room_ends_it)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    begin(400000);
    recording_tick(r, BEGAN + 3000000ull * MS);
    speak(&ann, 3000000, 1);
    CHECK_EQ(recording_state(r), RECORDING_FULL);
    CHECK_EQ(recording_speakers(r), 0);
    end();
    budget = (struct recording_budget){.max = 10};
    CHECK_TRUE(recording_new(&budget, 5, BEGAN, 1) == NULL);
}

TEST(one_speaker_too_many_ends_it)
{
    begin(1 << 24);
    for (uint32_t i = 0; i <= RECORDING_SPEAKERS; i++) {
        struct voice v = {.user = 100 + i, .ssrc = 10 * i};
        CHECK_EQ(recording_state(r), RECORDING_RUNS);
        speak(&v, 0, 1);
    }
    CHECK_EQ(recording_state(r), RECORDING_CROWDED);
    CHECK_EQ(recording_speakers(r), RECORDING_SPEAKERS);
    end();
}

TEST(it_ends_when_its_longest_time_has_passed)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    budget = (struct recording_budget){.max = 1 << 24};
    r = recording_new(&budget, 5, BEGAN, 1000 * MS);
    speak(&ann, 0, 10);
    recording_tick(r, BEGAN + 999 * MS);
    CHECK_EQ(recording_state(r), RECORDING_RUNS);
    recording_tick(r, BEGAN + 1100 * MS);
    CHECK_EQ(recording_state(r), RECORDING_LONG);
    read_file(ANN);
    CHECK_EQ(sound.granule, samples(1000));
    end();
}

TEST(who_says_more_than_time_has_room_for_is_stopped)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    char p[60];
    begin(1 << 24);
    memcpy(p, packet(0).p, sizeof p);
    p[0] = (char)(31 << 3 | 3);
    p[1] = 6; // 120 ms, each said to be 20
    for (uint32_t i = 0; i < 2000; i++)
        heard_as(&ann, i, 960 * i, (uint16_t)i, (struct bytes){p, sizeof p});
    stop(3000);
    struct recording_stats s = recording_speaker(r, 0);
    CHECK_TRUE(s.samples < samples(40000));
    CHECK_TRUE(s.dropped > 1000);
    end();
}

TEST(a_long_time_without_ticks_is_no_trouble_at_the_end)
{
    struct voice ann = {.user = ANN, .ssrc = 1};
    begin(200000);
    speak(&ann, 0, 1);
    recording_stop(r, BEGAN + 3000000ull * MS);
    CHECK_EQ(recording_state(r), RECORDING_FULL);
    CHECK_TRUE(budget.used <= budget.max);
    end();
}

MAIN
