// Recording: any packets of any speakers at any times, with little or much memory.
// - The budget is never passed, and all of it comes back.
// - When it is over, each file is one that can be played: whole, and of at least the packets that were written.
// - A file of a recording that did not run out of memory is exactly as long as the recording, unless more was said than
//   time has room for; reading it in pieces gives what reading it at once gives.
#include "fuzz.h"
#include "opus_packet.h"
#include "player.h"
#include "recording.h"

struct run {
    struct feed in;
    struct recording_budget budget;
    struct recording *r;
    uint64_t now_us;
    uint32_t timestamp[4], ssrc[4];
    uint16_t seq[4];
};

static struct bytes a_packet(struct run *f)
{
    static const char *const some[] = {"\xf8\xff\xfe",
                                       "\xfc"
                                       "abcdefgh",
                                       "\xf0"
                                       "x",
                                       "\x0b\x03"
                                       "abc",
                                       "\xff",
                                       ""};
    uint8_t which = feed_u8(&f->in);
    return which < 240 ? bytes_of(some[which % countof(some)]) : feed_bytes(&f->in, 255);
}

static void hear(struct run *f)
{
    uint32_t who = feed_below(&f->in, 4);
    uint8_t how = feed_u8(&f->in);
    if (how & 1)
        f->timestamp[who] += how & 2 ? (uint32_t)feed_u64(&f->in) : 960u * (uint32_t)feed_u8(&f->in);
    if (how & 4)
        f->timestamp[who] -= 960u * feed_below(&f->in, 8);
    if ((how & 0x38) == 0x38)
        f->ssrc[who]++;
    f->timestamp[who] += 960;
    const struct relay_heard h = {.user = 1 + who,
                                  .ssrc = f->ssrc[who],
                                  .timestamp = f->timestamp[who],
                                  .seq = f->seq[who]++,
                                  .at_us = f->now_us,
                                  .payload = a_packet(f)};
    recording_heard(f->r, &h);
}

static void check_file(struct run *f, const struct recording_stats *s)
{
    struct buf whole = {0}, pieces = {0};
    struct player_summary sum;
    const char *why;
    CHECK(recording_read(f->r, s->user, 0, SIZE_MAX, &whole) == OK && whole.n == s->file_bytes);
    for (size_t before = SIZE_MAX; before != pieces.n;) {
        before = pieces.n;
        CHECK(recording_read(f->r, s->user, pieces.n, 1 + f->now_us % 20000, &pieces) == OK);
    }
    CHECK(bytes_eq(buf_bytes(&whole), buf_bytes(&pieces)));
    CHECK(player_check(buf_bytes(&whole), &sum, &why) == OK);
    CHECK(sum.packets > s->packets && sum.samples >= s->samples);
    uint64_t length = recording_us(f->r, 0) * 48 / 1000;
    if (recording_state(f->r) != RECORDING_FULL)
        CHECK(sum.samples >= length);
    CHECK(sum.samples <= length + 40 * OPUS_HZ);
    buf_fini(&whole);
    buf_fini(&pieces);
}

static void finish(struct run *f)
{
    recording_stop(f->r, f->now_us);
    CHECK(recording_state(f->r) != RECORDING_RUNS && recording_why(recording_state(f->r))[0]);
    CHECK(f->budget.used <= f->budget.max);
    for (uint32_t i = 0; i < recording_speakers(f->r); i++) {
        struct recording_stats s = recording_speaker(f->r, i);
        check_file(f, &s);
    }
    recording_free(f->r);
    CHECK(f->budget.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run f = {.in = {data, size}, .now_us = 1000000};
    uint8_t room = feed_u8(&f.in);
    f.budget.max = room < 128 ? 20000u * room : 1u << 24;
    f.r = recording_new(&f.budget, 9, f.now_us, 600000000);
    for (uint32_t n = 0; f.r && f.in.n && n < 2000; n++) {
        uint8_t what = feed_u8(&f.in);
        f.now_us += what & 0x80 ? 1000000u * (what & 0x1f) : 1000u * (what & 0x3f);
        if (what & 0x40)
            recording_tick(f.r, f.now_us);
        else
            hear(&f);
        CHECK(f.budget.used <= f.budget.max);
    }
    if (f.r)
        finish(&f);
    return 0;
}
