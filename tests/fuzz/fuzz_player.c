// What comes in by the admin API to be spoken: any bytes as a file of Ogg Opus. Bytes alone hardly ever have the right
// checksums, so that pages are also made of them here.
// - Whatever they are, reading ends, and says why where it does not end well.
// - A packet that comes out is Opus, and fits into a datagram.
// - What is checked to be so many packets of so long is said as exactly these, in order of time, then silence.
#include "fuzz.h"
#include "opus_packet.h"
#include "player.h"

#include <ogg/ogg.h>

// Pages with good checksums: flags, numbers, lacing and bodies are the input's.
static void make_page(struct feed *in, struct buf *out)
{
    unsigned char header[27 + 255] = "OggS", body[255 * 255];
    size_t n = feed_u8(in) % 8, body_n = 0;
    header[5] = feed_u8(in) & 7;
    header[6] = feed_u8(in);
    header[14] = feed_flag(in);
    header[18] = feed_u8(in);
    header[26] = (unsigned char)n;
    for (size_t i = 0; i < n; i++) {
        header[27 + i] = feed_u8(in);
        struct bytes part = feed_bytes(in, header[27 + i]);
        memset(body + body_n, 0x78, header[27 + i]);
        if (part.n)
            memcpy(body + body_n, part.p, part.n);
        body_n += header[27 + i];
    }
    ogg_page page = {header, (long)(27 + n), body, (long)body_n};
    ogg_page_checksum_set(&page);
    buf_add(out, header, 27 + n);
    buf_add(out, body, body_n);
}

static void put_page(struct buf *out, uint8_t number, struct bytes packet)
{
    unsigned char header[28] = "OggS";
    header[5] = number == 0 ? 2 : 0;
    header[18] = number;
    header[26] = 1;
    header[27] = (unsigned char)packet.n;
    ogg_page page = {header, 28, (unsigned char *)(uintptr_t)packet.p, (long)packet.n};
    ogg_page_checksum_set(&page);
    buf_add(out, header, sizeof header);
    buf_add(out, packet.p, packet.n);
}

static void say(struct bytes file, const struct player_summary *sum)
{
    struct player *player = player_new(file);
    struct playing p;
    struct playing_packet packet;
    uint64_t due = 0, n = 0;
    playing_init(&p, player, 1000, 0, 0);
    int err;
    while ((err = playing_next(&p, playing_due_us(&p), &packet)) == OK) {
        CHECK(opus_samples(packet.payload) > 0 && packet.payload.n <= PLAYER_PACKET_MAX);
        CHECK(playing_due_us(&p) > due && packet.seq == (uint16_t)n);
        due = playing_due_us(&p);
        n++;
    }
    CHECK(err == ERR_MISSING && p.packets == sum->packets && n == sum->packets + 5);
    CHECK(p.said == sum->samples + 5 * OPUS_SILENCE_SAMPLES);
    player_free(player);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed in = {data, size};
    struct buf file = {0};
    struct player_summary sum;
    const char *why = NULL;
    uint8_t kind = feed_u8(&in);
    if (kind & 1) {
        put_page(&file, 0, BYTES("OpusHead\1\2\0\0\x80\xbb\0\0\0\0\0"));
        put_page(&file, 1, BYTES("OpusTags\0\0\0\0\0\0\0\0"));
    }
    while (kind & 2 && in.n)
        make_page(&in, &file);
    struct bytes rest = feed_rest(&in);
    buf_add(&file, rest.p, rest.n);
    char *own = feed_own(buf_bytes(&file));
    int err = player_check((struct bytes){own, file.n}, &sum, &why);
    CHECK(err == OK || (err == ERR_INVALID && why[0]));
    if (err == OK)
        say((struct bytes){own, file.n}, &sum);
    mem_free(own);
    buf_fini(&file);
    return 0;
}
