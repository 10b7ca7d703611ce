// test_relay: who hears whom, and what changes where somebody is. Each rule of the relay as a sentence.
// Links the voice core alone; what the clients seal and open is none of seal.c's doing (voice_client.h).
#include "relay_rig.h"

#define ROOM 100u
#define MODE SEAL_XCHACHA20_POLY1305_RTPSIZE

static const struct address4 elsewhere = {0x0b000001, 4000}, stranger = {0x0c000001, 5000};

TEST(what_one_says_the_others_in_the_room_hear_and_nobody_else)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE), c = rig_enter(ROOM, 3, MODE),
                      d = rig_enter(ROOM + 1, 4, MODE);
    rig_say(&a, "hello");
    CHECK_EQ(rig.n_sent, 2);
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "hello"));
    CHECK_TRUE(rig_heard_by(&c, &a, 0, "hello"));
    rig_say(&d, "alone");
    CHECK_EQ(rig.n_sent, 2);
    CHECK_EQ(M.media_forwarded, 2);
    rig_end();
}

// A packet with CSRC, extension and padding, of every mode to every mode.
TEST(modes_mix_in_one_room)
{
    static const uint8_t body[] = {0xb1, 0,    0,   0,   0,    0, 0, 1,  // head; number, timestamp and SSRC follow
                                   0,    0,    0,   0,   0,    0, 0, 9,  // the SSRC, a CSRC
                                   0xbe, 0xde, 0,   1,   0x90, 2, 0, 0,  // extension: speaker
                                   'O',  'p',  'u', 's', 0,    0, 0, 4}; // payload, four bytes of padding
    for (unsigned from = 0; from < SEAL_MODES; from++)
        for (unsigned to = 0; to < SEAL_MODES; to++) {
            rig_begin(4, 4, 1000, 1000);
            struct rig_client a = rig_enter(ROOM, 1, (enum seal_mode)from), b = rig_enter(ROOM, 2, (enum seal_mode)to);
            uint8_t plain[sizeof body], sealed[CLIENT_MAX], got[CLIENT_MAX];
            memcpy(plain, body, sizeof body);
            plain[1] = 111; // a browser's number for Opus
            client_put32(plain + 8, a.client.ssrc);
            rig_take(a.at, sealed, voice_seal(&a.client, plain, sizeof plain, sealed));
            size_t n = rig_got(&b, got);
            bool kept = !seal_old((enum seal_mode)to);
            CHECK_EQ(n, kept ? 24 : 16);
            CHECK_EQ(got[0], kept ? 0x90 : 0x80);
            CHECK_EQ(got[1], RTP_PT_OPUS);
            CHECK_TRUE(memcmp(got + 2, plain + 2, 10) == 0);
            CHECK_TRUE(!kept || memcmp(got + 12, body + 16, 8) == 0);
            CHECK_TRUE(memcmp(got + n - 4, "Opus", 4) == 0);
            rig_end();
        }
}

TEST(audio_before_it_is_announced_is_dropped)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_join(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    relay_key(rig.relay, a.peer, MODE, a.client.key);
    relay_rights(rig.relay, a.peer, rig_all);
    rig_say(&a, "too early");
    CHECK_EQ(rig.n_sent, 0);
    CHECK_EQ(M.media_dropped_unannounced, 1);
    relay_announced(rig.relay, a.peer);
    rig_say(&a, "now");
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "now"));
    rig_end();
}

TEST(rights_are_obeyed_from_the_next_datagram_on)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE), c = rig_enter(ROOM, 3, MODE);
    relay_rights(rig.relay, b.peer, (struct relay_rights){.speaks = true}); // deaf
    rig_say(&a, "one");
    CHECK_TRUE(rig_silent(&b) && rig_heard_by(&c, &a, 0, "one"));
    relay_rights(rig.relay, b.peer, rig_all);
    rig_say(&a, "two");
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "two"));
    rig_clear();
    relay_rights(rig.relay, b.peer, (struct relay_rights){.hears = true}); // muted
    rig_say(&b, "unheard");
    CHECK_EQ(rig.n_sent, 0);
    CHECK_EQ(M.media_dropped_muted, 1);
    rig_end();
}

TEST(a_speaker_who_is_muted_ends_with_five_frames_of_silence)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    struct relay_rights muted = {.hears = true};
    rig_say(&a, "speech");
    rig_clear();
    relay_rights(rig.relay, a.peer, muted);
    CHECK_EQ(rig.n_sent, 5);
    for (uint32_t i = 0; i < 5; i++) {
        a.seq++;
        a.timestamp += 960;
        CHECK_TRUE(rig_heard_by(&b, &a, 0, "\xf8\xff\xfe"));
    }
    relay_rights(rig.relay, a.peer, rig_all);
    relay_rights(rig.relay, a.peer, muted); // has said nothing since
    CHECK_EQ(rig.n_sent, 5);
    relay_rights(rig.relay, a.peer, rig_all);
    rig_say(&a, "speech");
    rig_say(&a, "\xf8\xff\xfe"); // has ended by himself
    rig_clear();
    relay_rights(rig.relay, a.peer, muted);
    CHECK_EQ(rig.n_sent, 0);
    rig_end();
}

// --- where somebody is ---

TEST(discovery_is_answered_each_time_for_those_who_are_here_with_as_many_bytes)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_join(ROOM, 1, MODE);
    for (uint32_t i = 0; i < 3; i++)
        rig_discover(a.at, a.client.ssrc);
    CHECK_EQ(rig.n_sent, 3);
    CHECK_EQ(rig.sent[2].n, PACKET_DISCOVERY);
    CHECK_STR((char *)rig.sent[2].p + 8, "10.0.0.1");
    CHECK_EQ(rig.sent[2].p[1], 2);
    CHECK_EQ(rig.sent[2].p[72] << 8 | rig.sent[2].p[73], 20001);
    rig_discover(a.at, a.client.ssrc + 1);
    rig_discover(a.at, a.client.ssrc + RELAY_SSRCS);
    rig_discover(a.at, 0);
    CHECK_EQ(rig.n_sent, 3);
    uint8_t old[PACKET_DISCOVERY_OLD] = {0};
    client_put32(old, a.client.ssrc);
    rig_take(a.at, old, sizeof old);
    CHECK_EQ(rig.n_sent, 4);
    CHECK_EQ(rig.sent[3].n, PACKET_DISCOVERY_OLD);
    relay_leave(rig.relay, a.peer);
    rig_discover(a.at, a.client.ssrc);
    CHECK_EQ(rig.n_sent, 4);
    rig_end();
}

TEST(a_discovery_is_answered_when_its_time_has_come)
{
    rig_begin_later(8, 8, 100000, 100000, 20000);
    struct rig_client a = rig_join(ROOM, 1, MODE), b = rig_join(ROOM, 2, MODE);
    uint64_t came = rig.now_us;
    CHECK_EQ(relay_answer_due(rig.relay), 0);
    rig_discover(a.at, a.client.ssrc);
    rig.now_us += 5000;
    rig_discover(b.at, b.client.ssrc);
    CHECK_EQ(rig.n_sent, 0);
    CHECK_EQ(relay_answer_due(rig.relay), came + 20000);
    relay_answer(rig.relay, came + 19999);
    CHECK_EQ(rig.n_sent, 0);
    relay_answer(rig.relay, came + 20000);
    CHECK_EQ(rig.n_sent, 1);
    CHECK_EQ(rig.sent[0].to.ip, a.at.ip);
    CHECK_STR((char *)rig.sent[0].p + 8, "10.0.0.1");
    CHECK_EQ(relay_answer_due(rig.relay), came + 25000);
    relay_answer(rig.relay, came + 30000);
    CHECK_EQ(rig.n_sent, 2);
    CHECK_EQ(rig.sent[1].to.ip, b.at.ip);
    CHECK_EQ(relay_answer_due(rig.relay), 0);
    rig_end();
}

TEST(of_discoveries_that_wait_there_is_an_end)
{
    const uint32_t most = 1024;
    rig_begin_later(8, 8, 100000, 100000, 20000);
    struct rig_client a = rig_join(ROOM, 1, MODE);
    rig_discover(a.at, a.client.ssrc);
    relay_answer(rig.relay, relay_answer_due(rig.relay)); // the next ones do not begin where the room for them does
    for (uint32_t round = 0; round < 3; round++) {
        rig_clear();
        for (uint32_t i = 0; i < most; i++, rig.now_us++)
            rig_discover(a.at, a.client.ssrc);
        CHECK_EQ(rig.n_sent, 0);
        CHECK_TRUE(relay_valid(rig.relay));
        rig_discover(a.at, a.client.ssrc); // there is no room for this one to wait
        CHECK_EQ(rig.n_sent, 1);
        relay_answer(rig.relay, rig.now_us + 20000 - most); // only the first is due
        CHECK_EQ(rig.n_sent, 2);
        relay_answer(rig.relay, rig.now_us + 20000);
        CHECK_EQ(rig.n_sent, most + 1);
        CHECK_EQ(relay_answer_due(rig.relay), 0);
    }
    rig_end();
}

TEST(nothing_is_sent_to_who_has_not_shown_where_he_is)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_join(ROOM, 2, MODE);
    static const uint8_t ping[] = {0x13, 0x37, 0xca, 0xfe, 0, 0, 0, 7}, keepalive[8] = {1};
    relay_key(rig.relay, b.peer, MODE, b.client.key);
    relay_rights(rig.relay, b.peer, rig_all);
    rig_say(&a, "hello");
    rig_take(b.at, ping, sizeof ping);
    rig_take(b.at, keepalive, sizeof keepalive);
    CHECK_EQ(rig.n_sent, 0);
    CHECK_EQ(M.media_keepalives, 1);
    rig_discover(b.at, b.client.ssrc);
    rig_clear();
    rig_take(b.at, keepalive, sizeof keepalive);
    CHECK_EQ(rig.n_sent, 0);
    rig_take(b.at, ping, sizeof ping);
    CHECK_EQ(rig.n_sent, 1);
    CHECK_TRUE(rig.sent[0].n == sizeof ping && memcmp(rig.sent[0].p, "\x13\x37\xf0\x0d\0\0\0\7", 8) == 0);
    rig_clear();
    rig_say(&a, "hello");
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "hello"));
    rig_end();
}

TEST(a_genuine_packet_is_enough_to_be_found)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_join(ROOM, 2, MODE);
    relay_key(rig.relay, b.peer, MODE, b.client.key);
    relay_rights(rig.relay, b.peer, rig_all);
    rig_say(&b, "I am here");
    rig_say(&a, "so I see");
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "so I see"));
    rig_end();
}

TEST(who_has_a_key_is_not_moved_by_a_discovery)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE), c = rig_join(ROOM, 3, MODE);
    rig_discover(stranger, b.client.ssrc);
    CHECK_EQ(rig.n_sent, 1); // as anybody is
    rig_say(&b, "genuine");
    rig_discover(stranger, b.client.ssrc);
    rig_clear();
    rig_say(&a, "to whom?");
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "to whom?"));
    CHECK_EQ(rig.n_sent, 1);
    rig_discover(stranger, c.client.ssrc); // without a key: who asked last
    rig_discover(c.at, c.client.ssrc);
    relay_key(rig.relay, c.peer, MODE, c.client.key);
    relay_rights(rig.relay, c.peer, rig_all);
    rig_clear();
    rig_say(&a, "and now?");
    CHECK_TRUE(rig_heard_by(&c, &a, 0, "and now?"));
    CHECK_EQ(rig.n_sent, 2);
    rig_end();
}

TEST(a_rebound_address_is_learnt_and_an_old_one_never_steals)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        rig_begin(8, 8, 1000, 1000);
        struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, (enum seal_mode)m);
        struct address4 old = b.at;
        uint8_t late[CLIENT_MAX];
        rig_say(&b, "from the old place");
        size_t n = rig_frame(&b, 0, "on its way", late);
        b.at = elsewhere;
        rig_say(&b, "from the new place");
        CHECK_EQ(M.media_rebinds, 1);
        rig_clear();
        rig_take(old, late, n); // genuine, so it is heard; but it is not news
        CHECK_EQ(rig.n_sent, 1);
        rig_take(old, late, n);
        rig_take(stranger, late, n);
        CHECK_EQ(rig.n_sent, 1);
        CHECK_EQ(M.media_dropped_replayed, 2);
        rig_say(&a, "where are you?");
        CHECK_TRUE(rig_heard_by(&b, &a, 0, "where are you?"));
        CHECK_EQ(M.media_rebinds, 1);
        rig_end();
    }
}

// As discord.js-selfbot-v13 does whenever it plays something: what it sends may even be the very same again.
TEST(who_says_that_he_begins_may_count_from_his_first_number_again)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE), again = a;
    for (int i = 0; i < 300; i++)
        rig_say(&a, "played");
    rig_clear();
    rig_say(&again, "played"); // ahead of his word
    CHECK_EQ(rig.n_sent, 0);
    relay_begins(rig.relay, a.peer);
    for (int i = 0; i < 300; i++) {
        rig_say(&again, "played");
        CHECK_TRUE(rig_heard_by(&b, &again, 0, "played"));
    }
    rig_end();
}

// The same without a word, when it plays something else before the first is at its end.
TEST(another_packet_under_one_of_the_first_numbers_is_a_beginning)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE), again = a, once_more = a;
    rig_say(&a, "silence");
    for (int i = 0; i < 300; i++)
        rig_say(&a, "played");
    rig_clear();
    rig_say(&again, "silence"); // which may as well be repeated
    CHECK_EQ(rig.n_sent, 0);
    for (int i = 0; i < 300; i++) {
        rig_say(&again, "another");
        CHECK_TRUE(rig_heard_by(&b, &again, 0, "another"));
    }
    rig_clear();
    rig_say(&once_more, "silence");
    rig_say(&once_more, "another");
    CHECK_EQ(rig.n_sent, 0);
    CHECK_EQ(M.media_dropped_replayed, 3);
    rig_end();
}

TEST(who_says_that_he_begins_and_goes_on_has_no_old_packets_believed)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE), early = a, later;
    for (int i = 0; i < 100; i++)
        rig_say(&a, "played");
    later = a;
    for (int i = 0; i < 200; i++)
        rig_say(&a, "played");
    relay_begins(rig.relay, a.peer);
    early.at = stranger;
    rig_say(&early, "played"); // repeated by somebody else: it moves nobody
    CHECK_EQ(M.media_rebinds, 0);
    rig_say(&a, "goes on");
    rig_clear();
    rig_say(&early, "played");
    rig_say(&later, "played");
    CHECK_EQ(rig.n_sent, 0);
    rig_say(&a, "and on");
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "and on"));
    rig_end();
}

TEST(who_spoofs_an_ssrc_changes_nothing)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE), c = rig_enter(ROOM + 1, 3, MODE);
    rig_say(&a, "speech");
    rig_say(&c, "speech");
    rig_clear();
    struct buf before = {0}, after = {0};
    relay_dump(rig.relay, &before);
    struct rig_client liar = a;
    memset(liar.client.key, 0xee, SEAL_KEY);
    const struct address4 places[] = {stranger, a.at, b.at, c.at};
    for (uint32_t i = 0; i < countof(places); i++) {
        liar.at = places[i];
        rig_say(&liar, "lies");
    }
    struct rig_client thief = c; // has a key, but another's SSRC
    thief.client.ssrc = a.client.ssrc;
    rig_say(&thief, "lies");
    relay_dump(rig.relay, &after);
    CHECK_EQ(rig.n_sent, 0);
    CHECK_EQ(M.media_open_failures, 5);
    CHECK_TRUE(bytes_eq(buf_bytes(&before), buf_bytes(&after)));
    rig_say(&b, "still here?");
    CHECK_TRUE(rig_heard_by(&a, &b, 0, "still here?"));
    buf_fini(&before);
    buf_fini(&after);
    rig_end();
}

TEST(two_at_one_address_are_told_apart_by_their_ssrcs)
{
    rig_begin(8, 8, 4, 1);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    rig_say(&a, "speech");
    struct rig_client c = rig_join(ROOM, 3, MODE);
    c.at = a.at;
    relay_key(rig.relay, c.peer, MODE, c.client.key);
    relay_rights(rig.relay, c.peer, rig_all);
    relay_announced(rig.relay, c.peer);
    for (uint32_t i = 0; i < 3; i++) { // never a stranger's rate
        rig.now_us += 1000000;
        rig_clear();
        rig_say(&c, "me");
        rig_say(&a, "and me");
        CHECK_EQ(rig.n_sent, 4);
    }
    static const uint8_t ping[] = {0x13, 0x37, 0xca, 0xfe, 0, 0, 0, 7};
    relay_leave(rig.relay, a.peer);
    CHECK_TRUE(relay_valid(rig.relay));
    rig.now_us += 1000000;
    rig_clear();
    rig_take(c.at, ping, sizeof ping); // the address was his who has left: this is all that a stranger may send
    CHECK_EQ(rig.n_sent, 0);
    rig_say(&c, "alone here");
    CHECK_TRUE(rig_heard_by(&b, &c, 0, "alone here"));
    rig_take(c.at, ping, sizeof ping);
    CHECK_EQ(rig.n_sent, 2);
    rig_end();
}

TEST(of_two_at_one_address_each_has_a_rate_of_his_own)
{
    rig_begin(8, 8, 10, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE), c = rig_enter(ROOM, 3, MODE);
    rig_say(&a, "first");
    b.at = a.at;
    rig_say(&b, "there too"); // which is not known before it has come: of the rate of a
    for (uint32_t i = 0; i < 10; i++)
        rig_say(&a, "many");
    CHECK_EQ(M.media_dropped_peer_rate, 2);
    rig_clear();
    rig_say(&b, "hears of none of it");
    CHECK_TRUE(rig_heard_by(&c, &b, 0, "hears of none of it"));
    CHECK_EQ(M.media_dropped_peer_rate, 2);
    rig_end();
}

// --- what is refused ---

TEST(nonsense_is_dropped)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    uint8_t p[CLIENT_MAX];
    size_t n = rig_frame(&a, 0, "speech", p);
    for (size_t i = 0; i < n; i++)
        rig_take(a.at, p, i);
    for (size_t i = 0; i < n; i++) {
        p[i] ^= 1;
        rig_take(a.at, p, n);
        p[i] ^= 1;
    }
    rig_take((struct address4){0, 9}, p, n);
    rig_take((struct address4){9, 0}, p, n);
    CHECK_EQ(rig.n_sent, 0);
    rig_take(a.at, p, n);
    CHECK_EQ(rig.n_sent, 1);
    rig_take(a.at, p, n);
    CHECK_EQ(rig.n_sent, 1);
    struct datagram long_one = {a.at, p, PACKET_MAX + 1};
    relay_take(rig.relay, &long_one, 1, rig.now_us);
    a.client.counter = 0x80000000u; // the server's half
    rig_say(&a, "not mine");
    a.client.counter = 1000;
    rig_say(&a, "a gap is none of ours");
    a.client.counter = 1000 - 128;
    rig_say(&a, "too old");
    CHECK_EQ(rig.n_sent, 2);
    CHECK_TRUE(rig_silent(&a) && !rig_silent(&b));
    rig_end();
}

TEST(each_source_has_so_many_datagrams_in_a_second)
{
    rig_begin(8, 8, 5, 3);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    rig.now_us += 1000000;
    for (uint32_t i = 0; i < 8; i++)
        rig_say(&a, "speech");
    CHECK_EQ(rig.n_sent, 5);
    CHECK_EQ(M.media_dropped_peer_rate, 3);
    for (uint32_t i = 0; i < 8; i++)
        rig_discover(stranger, b.client.ssrc);
    CHECK_EQ(rig.n_sent, 8);
    CHECK_EQ(M.media_dropped_stranger_rate, 5);
    rig.now_us += 1000000;
    rig_clear();
    rig_say(&a, "speech");
    rig_discover(stranger, b.client.ssrc);
    CHECK_EQ(rig.n_sent, 2);
    rig_end();
}

TEST(a_flood_from_everywhere_costs_so_much_and_no_more)
{
    rig_begin(8, 8, 1000, 100);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, MODE);
    uint8_t p[80] = {0x80, RTP_PT_OPUS};
    client_put32(p + 8, a.client.ssrc);
    rig.now_us += 1000000;
    for (uint32_t i = 0; i < 12000; i++)
        rig_take((struct address4){0x0d000000 + i, 9}, p, sizeof p);
    CHECK_EQ(M.media_open_failures, 10000);
    CHECK_EQ(M.media_dropped_stranger_rate, 2000);
    CHECK_EQ(rig.n_sent, 0);
    rig_say(&a, "still heard");
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "still heard"));
    rig_discover(stranger, b.client.ssrc);
    CHECK_EQ(rig.n_sent, 2);
    rig_end();
}

// --- names ---

TEST(ssrcs_are_nobody_elses_and_who_has_left_names_nobody)
{
    rig_begin(3, 2, 1000, 1000);
    uint32_t all[3], other;
    relay_peer peers[3];
    for (uint32_t i = 0; i < 3; i++) {
        peers[i] = relay_join(rig.relay, 1 + i % 2, i, &all[i]);
        CHECK_TRUE(peers[i] != 0 && all[i] != 0 && all[i] < 0x80000000u - RELAY_SSRCS);
        for (uint32_t k = 0; k < i; k++)
            CHECK_TRUE(all[i] / RELAY_SSRCS != all[k] / RELAY_SSRCS || all[i] - all[k] >= RELAY_SSRCS);
    }
    CHECK_EQ(relay_join(rig.relay, 1, 9, &other), 0);
    relay_leave(rig.relay, peers[0]);
    relay_leave(rig.relay, peers[0]);
    CHECK_EQ(relay_peers(rig.relay), 2);
    CHECK_TRUE(relay_join(rig.relay, 1, 9, &other) != peers[0]);
    struct relay_stream_stats s;
    CHECK_TRUE(!relay_stats(rig.relay, peers[0], &s));
    CHECK_TRUE(relay_stats(rig.relay, peers[1], &s) && s.user == 1 && s.ssrc == all[1]);
    relay_leave(rig.relay, peers[1]);
    CHECK_TRUE(relay_tap(rig.relay, 77, true)); // the second room
    CHECK_EQ(relay_join(rig.relay, 78, 9, &other), 0);
    CHECK_TRUE(!relay_tap(rig.relay, 78, true));
    CHECK_TRUE(relay_tap(rig.relay, 77, false));
    CHECK_TRUE(relay_join(rig.relay, 78, 9, &other) != 0);
    rig_end();
}

// Until a client has its key its address is where discovery asked last: whoever knew its SSRC could ask, too. So coming
// and going tells nobody the SSRCs of those who come next.
TEST(who_has_been_here_cannot_tell_the_ssrc_of_who_comes_next)
{
    rig_begin(8, 8, 1000, 1000);
    uint32_t ssrcs[16], steps = 0;
    for (uint32_t i = 0; i < countof(ssrcs); i++)
        relay_leave(rig.relay, relay_join(rig.relay, ROOM, 1, &ssrcs[i]));
    for (uint32_t i = 2; i < countof(ssrcs); i++)
        steps += ssrcs[i] - ssrcs[i - 1] == ssrcs[1] - ssrcs[0];
    CHECK_EQ(steps, 0);
    rig_end();
}

TEST(rooms_of_any_size_keep_their_lists)
{
    enum { N = 70 };
    rig_begin(N, 2, 1000, 1000);
    struct rig_client c[N];
    for (uint32_t i = 0; i < N; i++)
        c[i] = rig_enter(ROOM, i + 1, MODE);
    for (uint32_t left = N; left > 1; left--) {
        rig_clear();
        rig_say(&c[left - 1], "who is there?");
        CHECK_EQ(rig.n_sent, left - 1);
        uint32_t i = left * 7 % left, gone = i; // any
        relay_leave(rig.relay, c[gone].peer);
        c[gone] = c[left - 1];
        CHECK_TRUE(relay_valid(rig.relay));
    }
    rig_end();
}

// --- those without a socket ---

TEST(a_player_is_heard_like_others_and_a_tap_hears_all)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_join(ROOM, 2, MODE), c = rig_enter(ROOM + 1, 3, MODE);
    CHECK_TRUE(relay_tap(rig.relay, ROOM, true));
    relay_say(rig.relay, b.peer, 10, 20, BYTES("music"), rig.now_us);
    CHECK_EQ(rig.n_sent, 0); // no rights yet
    relay_rights(rig.relay, b.peer, rig_all);
    relay_announced(rig.relay, b.peer);
    relay_say(rig.relay, b.peer, 10, 20, BYTES("music"), rig.now_us);
    b.seq = 11;
    b.timestamp = 980;
    CHECK_TRUE(rig_heard_by(&a, &b, 0, "music"));
    rig_say(&a, "speech");
    rig_say(&c, "elsewhere");
    CHECK_EQ(rig.n_heard, 2);
    CHECK_EQ(rig.heard[0].room, ROOM);
    CHECK_EQ(rig.heard[0].h.user, 2);
    CHECK_EQ(rig.heard[0].h.seq, 10);
    CHECK_TRUE(rig.heard[1].h.ssrc == a.client.ssrc && rig.heard[1].h.at_us == rig.now_us);
    CHECK_TRUE(memcmp(rig.heard[1].payload, "speech", 6) == 0);
    CHECK_TRUE(relay_tap(rig.relay, ROOM, false));
    rig_say(&a, "unheard");
    CHECK_EQ(rig.n_heard, 2);
    rig_end();
}

MAIN
