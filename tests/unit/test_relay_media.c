// test_relay_media: video, RTCP, header extensions and statistics. Links the voice core alone.
#include "relay_rig.h"

#define ROOM 100u
#define MODE SEAL_XCHACHA20_POLY1305_RTPSIZE
#define SECOND 1000000u

// --- video ---

TEST(video_is_passed_on_while_it_is_on_and_allowed)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    struct relay_rights no_video = {.speaks = true, .hears = true}, muted = {.hears = true, .video = true};
    for (uint32_t on = 0; on < 1u << RELAY_STREAMS; on++)
        for (uint32_t stream = 1; stream < RELAY_SSRCS; stream++) {
            relay_video(rig.relay, a.peer, on);
            rig_clear();
            rig_say_on(&a, stream, "picture");
            CHECK_EQ(rig.n_sent, on >> (stream - 1) / 2 & 1);
        }
    CHECK_EQ(M.media_dropped_video, 64);
    rig_clear();
    relay_video(rig.relay, a.peer, 1);
    relay_rights(rig.relay, a.peer, muted);
    rig_say_on(&a, 1, "silent film");
    CHECK_TRUE(rig_heard_by(&b, &a, 1, "silent film"));
    relay_rights(rig.relay, a.peer, no_video);
    rig_say_on(&a, 1, "unseen");
    CHECK_EQ(rig.n_sent, 1);
    rig_end();
}

TEST(videos_payload_type_and_marker_are_kept)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    uint8_t plain[CLIENT_MAX], sealed[CLIENT_MAX], got[CLIENT_MAX];
    size_t n = client_rtp(plain, 0x80 | 105, a.client.ssrc + 2, 9, 90000, "rtx", 3);
    rig_take(a.at, sealed, voice_seal(&a.client, plain, n, sealed));
    CHECK_EQ(rig_got(&b, got), n);
    CHECK_TRUE(memcmp(got, plain, n) == 0);
    rig_end();
}

// --- the speaker extension ---

TEST(the_priority_bit_is_for_those_who_have_the_right_to_it)
{
    static const struct {
        uint8_t ext[12];
        uint8_t wanted; // of byte 6 without the right
    } rows[] = {
        {{0xbe, 0xde, 0, 2, 0x10, 0x55, 0x90, 3, 0, 0, 0, 0}, 2},       // behind the audio level
        {{0xbe, 0xde, 0, 2, 0, 0, 0x90, 3, 0, 0, 0, 0}, 2},             // behind padding
        {{0xbe, 0xde, 0, 2, 0xf0, 0x55, 0x90, 3, 0, 0, 0, 0}, 3},       // 15 ends it
        {{0x10, 0, 0, 2, 0x10, 0x55, 0x90, 3, 0, 0, 0, 0}, 3},          // another form
        {{0xbe, 0xde, 0, 2, 0x1f, 0x55, 0x90, 3, 0, 0, 0, 0}, 3},       // longer than there is
        {{0xbe, 0xde, 0, 2, 0x10, 0x55, 0x91, 3, 0x90, 1, 0x99, 1}, 2}, // twice, and cut off
    };
    for (uint32_t i = 0; i < 2 * countof(rows); i++) {
        bool right = i % 2;
        rig_begin(8, 8, 1000, 1000);
        struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
        relay_rights(rig.relay, a.peer, (struct relay_rights){.speaks = true, .hears = true, .priority = right});
        uint8_t plain[CLIENT_MAX], sealed[CLIENT_MAX], got[CLIENT_MAX], body[32];
        memcpy(body, rows[i / 2].ext, 12);
        memcpy(body + 12, "Opus", 4);
        size_t n = client_rtp(plain, RTP_PT_OPUS, a.client.ssrc, 1, 2, body, 16);
        plain[0] |= 0x10;
        rig_take(a.at, sealed, voice_seal(&a.client, plain, n, sealed));
        CHECK_EQ(rig_got(&b, got), n);
        CHECK_EQ(got[12 + 7], right ? 3 : rows[i / 2].wanted);
        rig_end();
    }
}

// --- RTCP ---

static size_t rtcp(uint8_t *out, uint8_t count, uint8_t type, uint32_t from, const uint32_t *words, uint32_t n)
{
    out[0] = (uint8_t)(0x80 | count);
    out[1] = type;
    out[2] = 0;
    out[3] = (uint8_t)(n + 1);
    client_put32(out + 4, from);
    for (uint32_t i = 0; i < n; i++)
        client_put32(out + 8 + 4 * i, words[i]);
    return 8 + 4 * n;
}

static void send_plain(struct rig_client *c, const uint8_t *plain, size_t n)
{
    uint8_t sealed[CLIENT_MAX];
    rig_take(c->at, sealed, voice_seal(&c->client, plain, n, sealed));
}

TEST(feedback_goes_to_the_sender_that_it_names_and_nowhere_else)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE), c = rig_enter(ROOM, 3, MODE),
                      d = rig_enter(ROOM + 1, 4, MODE);
    const struct {
        uint8_t count, type;
        uint32_t words[3], n;
        bool relayed;
    } rows[] = {
        {1, 206, {b.client.ssrc + 1}, 1, true},                   // PLI
        {1, 205, {b.client.ssrc + 3, 0x00010000}, 2, true},       // NACK
        {4, 206, {0, b.client.ssrc + 1, 0x01000000}, 3, true},    // FIR
        {15, 205, {b.client.ssrc + 1, 0}, 2, false},              // transport-wide congestion control
        {15, 206, {0, 0x52454d42, 0x01000000}, 3, false},         // REMB
        {1, 206, {a.client.ssrc + 1}, 1, false},                  // oneself
        {1, 206, {d.client.ssrc + 1}, 1, false},                  // another room
        {1, 206, {b.client.ssrc + RELAY_SSRCS * 1000}, 1, false}, // nobody
        {1, 206, {0}, 0, false},                                  // too short
        {0, 201, {0}, 0, false},                                  // RR
        {1, 203, {0}, 0, false},                                  // BYE
    };
    for (uint32_t i = 0; i < countof(rows); i++) {
        uint8_t plain[CLIENT_MAX], got[CLIENT_MAX];
        rig_clear();
        size_t n = rtcp(plain, rows[i].count, rows[i].type, a.client.ssrc, rows[i].words, rows[i].n);
        send_plain(&a, plain, n);
        CHECK_EQ(rig.n_sent, rows[i].relayed);
        if (rows[i].relayed) {
            CHECK_EQ(rig_got(&b, got), n);
            CHECK_TRUE(memcmp(got, plain, n) == 0);
        }
    }
    CHECK_TRUE(rig_silent(&c) && rig_silent(&d));
    CHECK_EQ(M.media_feedback, 3);
    rig_end();
}

TEST(of_several_in_a_row_only_feedback_is_passed_on_and_under_its_senders_name)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    uint8_t plain[CLIENT_MAX], got[CLIENT_MAX];
    uint32_t target = b.client.ssrc + 1;
    size_t n = rtcp(plain, 0, 201, 1, NULL, 0); // who only receives may call himself 1
    size_t pli = rtcp(plain + n, 1, 206, 1, &target, 1);
    send_plain(&a, plain, n + pli);
    CHECK_EQ(rig.n_sent, 1);
    CHECK_EQ(rig_got(&b, got), pli);
    CHECK_EQ(got[1], 206);
    client_put32(plain, a.client.ssrc);
    CHECK_TRUE(memcmp(got + 4, plain, 4) == 0);
    rig_end();
}

TEST(one_datagram_asks_for_so_much_and_no_more)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    uint8_t plain[CLIENT_MAX];
    uint32_t target = b.client.ssrc + 1;
    size_t n = 0;
    while (n < 1200)
        n += rtcp(plain + n, 1, 206, a.client.ssrc, &target, 1);
    send_plain(&a, plain, n);
    CHECK_EQ(rig.n_sent, 8);
    rig_end();
}

TEST(rtcp_is_refused_when_it_is_not_genuine_or_comes_again)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE),
                      c = rig_enter(ROOM, 3, SEAL_XSALSA20_POLY1305_SUFFIX);
    uint8_t plain[CLIENT_MAX], sealed[CLIENT_MAX];
    uint32_t target = b.client.ssrc + 1;
    size_t n = rtcp(plain, 1, 206, a.client.ssrc, &target, 1), sealed_n = voice_seal(&a.client, plain, n, sealed);
    sealed[8] ^= 1;
    rig_take(a.at, sealed, sealed_n);
    CHECK_EQ(rig.n_sent, 0);
    sealed[8] ^= 1;
    rig_take(a.at, sealed, sealed_n);
    rig_take(a.at, sealed, sealed_n);
    CHECK_EQ(rig.n_sent, 1);
    n = rtcp(plain, 1, 206, c.client.ssrc, &target, 1); // nothing tells a repetition: only from where it is
    sealed_n = voice_seal(&c.client, plain, n, sealed);
    rig_take((struct address4){7, 7}, sealed, sealed_n);
    CHECK_EQ(rig.n_sent, 1);
    rig_take(c.at, sealed, sealed_n);
    CHECK_EQ(rig.n_sent, 2);
    rig_end();
}

TEST(a_senders_clock_is_told_to_his_listeners_without_what_he_received)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE),
                      c = rig_enter(ROOM, 3, SEAL_XSALSA20_POLY1305); // has no RTCP
    uint8_t plain[CLIENT_MAX], got[CLIENT_MAX];
    const uint32_t words[] = {0x11112222, 0x33334444, 5, 6, 7, b.client.ssrc, 0, 0, 0, 0, 0};
    send_plain(&a, plain, rtcp(plain, 1, 200, a.client.ssrc, words, 11));
    CHECK_EQ(rig_got(&b, got), 28);
    CHECK_TRUE(got[0] == 0x80 && got[1] == 200 && got[3] == 6);
    CHECK_TRUE(memcmp(got + 4, plain + 4, 24) == 0);
    CHECK_TRUE(rig_silent(&c) && rig_silent(&a));
    rig_clear();
    send_plain(&a, plain, rtcp(plain, 0, 200, a.client.ssrc, words, 5)); // within the same second
    CHECK_EQ(rig.n_sent, 0);
    rig.now_us += SECOND;
    send_plain(&a, plain, rtcp(plain, 0, 200, a.client.ssrc, words, 5));
    CHECK_EQ(rig.n_sent, 1);
    rig.now_us += SECOND;
    relay_rights(rig.relay, a.peer, (struct relay_rights){.hears = true});
    rig_clear();
    send_plain(&a, plain, rtcp(plain, 1, 200, a.client.ssrc, words, 11));
    CHECK_EQ(rig.n_sent, 0);
    rig_end();
}

// --- reports ---

static uint32_t word(const uint8_t *p, uint32_t i)
{
    return (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
}

TEST(who_only_listens_is_sent_something_valid_every_five_seconds)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        rig_begin(8, 8, 1000, 1000);
        struct rig_client a = rig_enter(ROOM, 1, (enum seal_mode)m), b = rig_join(ROOM, 2, (enum seal_mode)m);
        relay_key(rig.relay, b.peer, (enum seal_mode)m, b.client.key); // not found yet: nothing is sent there
        uint32_t reports = 0;
        uint8_t got[CLIENT_MAX];
        for (uint32_t i = 0; i < 20; i++) {
            rig_clear();
            rig.now_us += SECOND;
            relay_tick(rig.relay, rig.now_us);
            CHECK_TRUE(rig.n_sent <= 1 && rig_silent(&b));
            if (rig.n_sent) {
                reports++;
                CHECK_EQ(rig_got(&a, got), 8);
                CHECK_TRUE(got[0] == 0x80 && got[1] == 201 && word(got, 1) >= 0x80000000u);
            }
        }
        CHECK_EQ(reports, m == SEAL_XSALSA20_POLY1305 ? 0 : 4);
        rig_end();
    }
}

TEST(a_report_says_what_was_lost_and_how_unevenly_it_came)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    const uint32_t words[] = {0x11112222, 0x33334444, 5, 6, 7};
    uint8_t plain[CLIENT_MAX], got[CLIENT_MAX];
    a.seq = 65500; // the numbers wrap on the way
    for (uint32_t i = 0; i < 100; i++) {
        rig.now_us += i % 2 ? 15000 : 25000; // 10 ms to and fro
        if (i % 4 == 2) {
            a.seq++; // lost
            a.timestamp += 960;
        } else {
            rig_say(&a, "speech");
        }
    }
    send_plain(&a, plain, rtcp(plain, 0, 200, a.client.ssrc, words, 5));
    rig_clear();
    rig.now_us += 5 * SECOND;
    relay_tick(rig.relay, rig.now_us);
    CHECK_EQ(rig_got(&a, got), 32);
    CHECK_EQ(got[0], 0x81);
    CHECK_EQ(word(got, 2), a.client.ssrc);
    CHECK_EQ(word(got, 3), (uint32_t)(25 * 256 / 100) << 24 | 25);
    CHECK_EQ(word(got, 4), 65500 + 99);
    CHECK_TRUE(word(got, 5) > 100 && word(got, 5) < 480);
    CHECK_EQ(word(got, 6), 0x22223333);
    CHECK_EQ(word(got, 7), 5 * 65536);
    struct relay_stream_stats s;
    CHECK_TRUE(relay_stats(rig.relay, a.peer, &s));
    CHECK_TRUE(s.packets == 75 && s.bytes == 75 * 6 && s.lost == 25 && s.jitter_us > 2000 && s.jitter_us < 10000);
    CHECK_EQ(M.media_lost, 25);
    CHECK_EQ(M.media_jitter_us, s.jitter_us);
    CHECK_EQ(rig_got(&b, got), 8); // has sent nothing
    rig_clear();
    rig.now_us += 5 * SECOND;
    relay_tick(rig.relay, rig.now_us);
    CHECK_EQ(rig_got(&a, got), 8); // nothing new of it
    rig_end();
}

TEST(who_begins_his_numbers_anew_has_lost_nothing)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE);
    struct relay_stream_stats s;
    static const uint16_t begins[] = {0, 40000, 100, 60000, 3};
    for (uint32_t i = 0; i < countof(begins); i++) {
        a.seq = begins[i];
        rig_say(&a, "one");
        rig_say(&a, "two");
        a.seq++;
        rig_say(&a, "four");
        CHECK_TRUE(relay_stats(rig.relay, a.peer, &s));
        CHECK_EQ(s.packets, 3 * (i + 1));
        CHECK_EQ(s.lost, i + 1);
    }
    rig_end();
}

MAIN
