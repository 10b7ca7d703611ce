// player: files of Ogg Opus, good and bad, and when their packets are said. Files are built here by RFC 3533 and 7845,
// checksum included, so that the library has to agree with the standard.
#include "check.h"
#include "opus_packet.h"
#include "player.h"

struct page {
    uint8_t flags;
    uint32_t serial, number;
    uint64_t granule;
    uint32_t n; // packets, each shorter than 255 * 4
    struct bytes packets[8];
};

static struct buf file;

static uint32_t checksum(const uint8_t *p, size_t n)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint32_t)p[i] << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
    }
    return crc;
}

static void add_page(const struct page *page)
{
    size_t at = file.n;
    uint32_t zero = 0;
    uint8_t lacing[255], n = 0;
    for (uint32_t i = 0; i < page->n; i++) {
        size_t left = page->packets[i].n;
        for (; left >= 255; left -= 255)
            lacing[n++] = 255;
        lacing[n++] = (uint8_t)left;
    }
    buf_add(&file, "OggS\0", 5);
    buf_char(&file, (char)page->flags);
    buf_add(&file, &page->granule, 8);
    buf_add(&file, &page->serial, 4);
    buf_add(&file, &page->number, 4);
    buf_add(&file, &zero, 4);
    buf_char(&file, (char)n);
    buf_add(&file, lacing, n);
    for (uint32_t i = 0; i < page->n; i++)
        buf_add(&file, page->packets[i].p, page->packets[i].n);
    uint32_t crc = checksum((const uint8_t *)file.p + at, file.n - at);
    memcpy(file.p + at + 22, &crc, 4);
}

#define HEAD BYTES("OpusHead\1\2\0\0\x80\xbb\0\0\0\0\0")
#define TAGS BYTES("OpusTags\0\0\0\0\0\0\0\0")
#define PAGE(...) add_page(&(struct page){__VA_ARGS__})

static void add_headers(void)
{
    buf_reset(&file);
    PAGE(.flags = 2, .serial = 7, .n = 1, .packets = {HEAD});
    PAGE(.serial = 7, .number = 1, .n = 1, .packets = {TAGS});
}

static void add_sound(uint32_t number)
{
    PAGE(.serial = 7, .number = number, .granule = 1920 * number, .n = 2,
         .packets = {BYTES("\xf8one"), BYTES("\xf8two")});
}

// Why it cannot be played; "" when it can.
static const char *why(struct player_summary *sum)
{
    const char *text;
    int err = player_check(buf_bytes(&file), sum, &text);
    CHECK_EQ(err == OK, text[0] == 0);
    return text;
}

TEST(a_file_is_its_packets_and_as_long_as_they_sound)
{
    struct player_summary sum;
    add_headers();
    add_sound(2);
    add_sound(3);
    CHECK_STR(why(&sum), "");
    CHECK_EQ(sum.packets, 4);
    CHECK_EQ(sum.samples, 4 * 960);
    struct player *p = player_new(buf_bytes(&file));
    struct player_packet packet;
    CHECK_EQ(player_next(p, &packet), OK);
    CHECK_TRUE(bytes_is(packet.payload, "\xf8one"));
    CHECK_EQ(player_next(p, &packet), OK);
    CHECK_TRUE(bytes_is(packet.payload, "\xf8two"));
    CHECK_EQ(player_next(p, &packet), OK);
    CHECK_EQ(player_next(p, &packet), OK);
    CHECK_EQ(player_next(p, &packet), ERR_MISSING);
    CHECK_EQ(player_next(p, &packet), ERR_MISSING);
    player_free(p);
}

TEST(a_packet_may_go_on_over_several_pages_worth_of_lacing)
{
    char large[PLAYER_PACKET_MAX + 1] = {(char)0xf8};
    struct player_summary sum;
    add_headers();
    PAGE(.serial = 7, .number = 2, .n = 1, .packets = {{large, PLAYER_PACKET_MAX}});
    CHECK_STR(why(&sum), "");
    CHECK_EQ(sum.packets, 1);
    add_headers();
    PAGE(.serial = 7, .number = 2, .n = 1, .packets = {{large, PLAYER_PACKET_MAX + 1}});
    CHECK_STR(why(&sum), "A packet of it is too large to be sent.");
}

TEST(other_streams_are_passed_over)
{
    struct player_summary sum;
    add_headers();
    PAGE(.serial = 9, .number = 5, .n = 1, .packets = {BYTES("video")});
    add_sound(2);
    CHECK_STR(why(&sum), "");
    CHECK_EQ(sum.packets, 2);
}

TEST(what_cannot_be_played_is_refused_with_a_sentence)
{
    struct player_summary sum;
    buf_reset(&file);
    CHECK_STR(why(&sum), "It ends before its sound begins.");
    buf_str(&file, "RIFF....WAVE, which is something else, and more than a page's head is long");
    CHECK_STR(why(&sum), "It is not Ogg, or damaged.");
    buf_reset(&file);
    PAGE(.flags = 2, .serial = 7, .n = 1, .packets = {BYTES("\1vorbis and its own head of thirty bytes")});
    CHECK_STR(why(&sum), "Its first stream is not Opus.");
    buf_reset(&file);
    PAGE(.flags = 2, .serial = 7, .n = 1, .packets = {BYTES("OpusHead\1\6\0\0\x80\xbb\0\0\0\0\1")});
    CHECK_STR(why(&sum), "It has more than two channels, or is of a version that is not known.");
    buf_reset(&file);
    PAGE(.serial = 7, .n = 1, .packets = {HEAD});
    CHECK_STR(why(&sum), "There is no beginning of a stream.");
    buf_reset(&file);
    PAGE(.flags = 2, .serial = 7, .n = 2, .packets = {HEAD, BYTES("\xf8one more")});
    CHECK_STR(why(&sum), "Its tags are missing.");
    add_headers();
    CHECK_STR(why(&sum), "There is no sound in it.");
    add_sound(2);
    add_sound(4);
    CHECK_STR(why(&sum), "A page of it is missing.");
    add_headers();
    PAGE(.serial = 7, .number = 2, .n = 1, .packets = {BYTES("\xff")});
    CHECK_STR(why(&sum), "A packet of it is no Opus.");
}

TEST(damage_and_a_cut_are_seen)
{
    struct player_summary sum;
    const char *text;
    add_headers();
    add_sound(2);
    for (size_t n = 0; n < file.n; n++)
        CHECK_EQ(player_check((struct bytes){file.p, n}, &sum, &text), ERR_INVALID);
    for (size_t i = 0; i < file.n; i++) {
        file.p[i] ^= 0x10;
        CHECK_EQ(player_check(buf_bytes(&file), &sum, &text), ERR_INVALID);
        file.p[i] ^= 0x10;
    }
    CHECK_EQ(player_check(buf_bytes(&file), &sum, &text), OK);
}

TEST(each_packet_is_said_when_those_before_it_have_sounded_and_silence_at_the_end)
{
    struct playing p;
    struct playing_packet packet;
    add_headers();
    PAGE(.serial = 7, .number = 2, .n = 3, .packets = {BYTES("\xf8one"), BYTES("\xf0half"), BYTES("\xf8two")});
    struct player *player = player_new(buf_bytes(&file));
    playing_init(&p, player, 1000000, 65534, 0xfffffff0);
    CHECK_EQ(playing_next(&p, 999999, &packet), ERR_STATE);
    CHECK_EQ(playing_next(&p, 1000000, &packet), OK);
    CHECK_TRUE(bytes_is(packet.payload, "\xf8one"));
    CHECK_EQ(packet.seq, 65534);
    CHECK_EQ(packet.timestamp, 0xfffffff0);
    CHECK_EQ(playing_due_us(&p), 1020000);
    CHECK_EQ(playing_next(&p, 1019999, &packet), ERR_STATE);
    CHECK_EQ(playing_next(&p, 1020000, &packet), OK);
    CHECK_EQ(packet.seq, 65535);
    CHECK_EQ(packet.timestamp, 0xfffffff0 + 960u);
    CHECK_EQ(playing_due_us(&p), 1030000); // that one was 10 ms long
    CHECK_EQ(playing_next(&p, 2000000, &packet), OK);
    CHECK_TRUE(bytes_is(packet.payload, "\xf8two"));
    CHECK_EQ(packet.seq, 0);
    CHECK_EQ(p.packets, 3);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(playing_due_us(&p), 1050000 + 20000 * i);
        CHECK_EQ(playing_next(&p, 2000000, &packet), OK);
        CHECK_TRUE(bytes_eq(packet.payload, opus_silence));
        CHECK_EQ(packet.seq, 1 + i);
    }
    CHECK_EQ(playing_next(&p, 2000000, &packet), ERR_MISSING);
    CHECK_EQ(playing_next(&p, 2000000, &packet), ERR_MISSING);
    CHECK_EQ(p.packets, 3);
    player_free(player);
    buf_fini(&file);
}

MAIN
