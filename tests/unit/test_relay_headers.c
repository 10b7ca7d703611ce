// test_relay_headers: to whom the RTP header is the nonce no header comes twice with something else under it, whatever
// its sender does. As test_relay it links the voice core alone.
#include "relay_rig.h"

#define ROOM 100u
#define MODE SEAL_XCHACHA20_POLY1305_RTPSIZE

// Whose mode makes the nonce of the header alone is never sent two packets with one header.
TEST(no_header_comes_twice_where_it_is_the_nonce)
{
    rig_begin(8, 8, 1000, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, SEAL_XSALSA20_POLY1305),
                      c = rig_enter(ROOM, 3, MODE);
    rig_say(&a, "speech");
    relay_rights(rig.relay, a.peer, (struct relay_rights){0});
    relay_rights(rig.relay, a.peer, rig_all);
    rig_clear();
    rig_say(&a, "a silence had this number");
    CHECK_TRUE(rig_silent(&b) && rig_heard_by(&c, &a, 0, "a silence had this number"));
    for (uint32_t i = 0; i < 4; i++)
        rig_say(&a, "and this");
    rig_clear();
    rig_say(&a, "new");
    CHECK_TRUE(rig_heard_by(&b, &a, 0, "new"));
    a.seq--;
    a.timestamp -= 960;
    rig_clear();
    rig_say(&a, "again");
    CHECK_TRUE(rig_silent(&b) && rig_heard_by(&c, &a, 0, "again"));
    rig_end();
}

// A packet whose number would be one of the next round, but whose time is past.
TEST(an_old_packet_is_not_taken_for_one_of_another_round)
{
    for (unsigned m = 0; m < SEAL_MODES; m++) {
        bool countless = m == SEAL_XSALSA20_POLY1305 || m == SEAL_XSALSA20_POLY1305_SUFFIX;
        rig_begin(8, 8, 1000, 1000);
        struct rig_client a = rig_enter(ROOM, 1, (enum seal_mode)m), b = rig_enter(ROOM, 2, SEAL_XSALSA20_POLY1305),
                          c = rig_enter(ROOM, 3, MODE);
        uint8_t header[RTP_HEADER];
        rig_say(&a, "old");
        memcpy(header, rig.sent[rig.sent[1].to.port == b.at.port].p, sizeof header);
        a.seq = (uint16_t)(a.seq + 4000);
        a.timestamp += 4000 * 960;
        rig_say(&a, "new");
        rig_clear();
        a.seq = (uint16_t)(a.seq - 4002);
        a.timestamp -= 4002 * 960;
        rig_say(&a, "old"); // sealed anew where there is a counter, which lets it in; else the same bytes
        CHECK_EQ(rig.n_sent, countless ? 0 : 2);
        CHECK_TRUE(countless || rig_heard_by(&c, &a, 0, "old"));
        for (uint32_t i = 0; i < rig.n_sent; i++) // the header is the nonce there
            CHECK_TRUE(rig.sent[i].to.port != b.at.port || memcmp(rig.sent[i].p, header, sizeof header) != 0);
        rig_end();
    }
}

// As discord.js-selfbot-v13 begins: numbers, timestamps and counters as at the first time, under the same key. Where
// the header is the nonce none may come twice; who listens in that mode hears it all the same.
TEST(who_begins_anew_is_heard_and_no_header_is_used_twice)
{
    static const uint32_t lengths[] = {100, 300, 3500, 40000}; // of the first thing, in packets
    for (uint32_t k = 0; k < countof(lengths); k++) {
        rig_begin(8, 8, 100000, 1000);
        struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, SEAL_XSALSA20_POLY1305), anew;
        uint8_t *used = calloc(lengths[k] + 300, 8);
        uint32_t n_used = 0, heard = 0, twice = 0;
        a.seq = 0;
        a.timestamp = 0;
        anew = a;
        for (uint32_t i = 0; i < lengths[k] + 300; i++) {
            if (i == lengths[k])
                relay_begins(rig.relay, a.peer);
            rig_clear();
            rig_say(i < lengths[k] ? &a : &anew, i < lengths[k] ? "the first" : "the second");
            for (uint32_t j = 0; j < rig.n_sent; j++) {
                CHECK_EQ(rig.sent[j].to.port, b.at.port);
                for (uint32_t h = i < lengths[k] ? n_used : 0; h < n_used; h++)
                    twice += memcmp(used + 8 * (size_t)h, rig.sent[j].p, 8) == 0;
                memcpy(used + 8 * (size_t)n_used++, rig.sent[j].p, 8);
                heard += i >= lengths[k];
            }
        }
        CHECK_EQ(heard, 300);
        CHECK_EQ(twice, 0);
        free(used);
        rig_end();
    }
}

struct header_use {
    uint64_t header, text;
};

static int by_header(const void *a, const void *b)
{
    const struct header_use *x = a, *y = b;
    return x->header != y->header ? (x->header < y->header ? -1 : 1) : (x->text > y->text) - (x->text < y->text);
}

// What c was sent and nobody has looked at: the end of each header and what was under it.
static uint32_t note_uses(const struct rig_client *c, struct header_use *out)
{
    uint8_t p[CLIENT_MAX];
    uint32_t n = 0;
    for (size_t length; (length = rig_got(c, p)) > 12; n++) {
        memcpy(&out[n].header, p, 8);
        out[n].text = 0;
        memcpy(&out[n].text, p + 12, length - 12 < 8 ? length - 12 : 8);
    }
    rig_clear();
    return n;
}

// By chance: losses, pauses, packets that come late, mutes and other beginnings. Where the header is the nonce nothing
// else is ever sealed under it.
TEST(whatever_happens_no_header_has_two_texts_where_it_is_the_nonce)
{
    enum { STEPS = 200000, MOST = STEPS * 2 };
    struct header_use *uses = calloc(MOST, sizeof *uses);
    uint32_t n = 0, x = 1, twice = 0;
    uint8_t late[CLIENT_MAX];
    size_t late_n = 0;
    rig_begin(8, 8, 1u << 30, 1000);
    struct rig_client a = rig_enter(ROOM, 1, MODE), b = rig_enter(ROOM, 2, SEAL_XSALSA20_POLY1305), first = a;
    for (uint32_t i = 0; i < STEPS; i++) {
        char text[9];
        x = x * 1664525 + 1013904223;
        uint32_t dice = x >> 16 & 4095;
        snprintf(text, sizeof text, "%08x", i);
        if (dice < 2) {
            relay_begins(rig.relay, a.peer);
            a = first;
        } else if (dice < 40) {
            relay_rights(rig.relay, a.peer, (struct relay_rights){.speaks = dice % 2});
        } else if (dice < 200) {
            a.seq = (uint16_t)(a.seq + dice % 5); // lost
            a.timestamp += dice % 5 * 960;
        } else if (dice < 300) {
            a.timestamp += dice * 960; // a pause
        } else if (dice < 400 && late_n) {
            rig_take(a.at, late, late_n);
            late_n = 0;
        } else if (dice < 500 && !late_n) {
            late_n = rig_frame(&a, 0, text, late);
        }
        rig_say(&a, text);
        n += note_uses(&b, uses + n);
        CHECK(n <= MOST - 16);
    }
    qsort(uses, n, sizeof *uses, by_header);
    for (uint32_t i = 1; i < n; i++)
        twice += uses[i].header == uses[i - 1].header && uses[i].text != uses[i - 1].text;
    CHECK_TRUE(n > STEPS / 4);
    CHECK_EQ(twice, 0);
    free(uses);
    rig_end();
}

MAIN
