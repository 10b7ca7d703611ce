// voice_packets: what the node's packet.c and seal.c make of packets, line by line, for
// tests/services/test_voice_packets.py to hold against a peer of its own. Each line is answered with one:
//   from MODE KEY        opens what follows with this; ok
//   to MODE KEY          seals what follows with this; ok
//   rtp PACKET           pt marker padding seq timestamp ssrc csrcs extension body counter sealed, or the error
//   rtcp PACKET          opened target sealed, or the error
//   datagram PACKET      kind ssrc answer
// A packet and what is made of it is hex, - for no bytes. Answers to discovery name 203.0.113.9 and port 50001.
#include "seal.h"
#include "hex.h"

#include <sodium.h>
#include <stdlib.h>

static void say(const uint8_t *p, size_t n)
{
    if (n)
        hex_print(stdout, p, n);
    else
        printf("-");
}

static void key(struct seal *s, const char *mode, const char *text)
{
    enum seal_mode m;
    uint8_t key[SEAL_KEY];
    CHECK(seal_named(bytes_of(mode), &m) == OK && hex_bytes(text, key, sizeof key) == (long)sizeof key);
    seal_fini(s);
    seal_init(s, m, key);
    printf("ok");
}

static void rtp(struct seal *from, struct seal *to, const uint8_t *p, size_t n)
{
    struct opened o;
    uint8_t room[PACKET_MAX];
    int err = seal_open_rtp(from, p, n, room, &o);
    if (err) {
        printf("%s", err_name(err));
        return;
    }
    printf("%u %u %u %u %u %u %u ", o.rtp.pt, o.rtp.marker, o.rtp.padding, o.rtp.seq, o.rtp.timestamp, o.rtp.ssrc,
           o.rtp.csrcs);
    say(o.ext, o.ext_n);
    printf(" ");
    say(o.body, o.body_n);
    printf(" %u ", o.counter);
    uint8_t *out = mem_alloc(o.body_n + o.ext_n + RTP_HEADER + SEAL_GROWTH);
    say(out, seal_rtp(to, &o, out));
    mem_free(out);
}

static void rtcp(struct seal *from, struct seal *to, const uint8_t *p, size_t n)
{
    uint8_t room[PACKET_MAX];
    size_t opened_n;
    int err = seal_open_rtcp(from, p, n, room, &opened_n);
    if (err) {
        printf("%s", err_name(err));
        return;
    }
    say(room, opened_n);
    printf(" %u ", rtcp_target(room, opened_n));
    uint8_t *out = mem_alloc(opened_n + SEAL_GROWTH);
    say(out, seal_rtcp(to, room, opened_n, out));
    mem_free(out);
}

static void datagram(const uint8_t *p, size_t n)
{
    static const char *const names[PACKET_KINDS] = {"none",      "discovery", "discovery_old", "ping",
                                                    "keepalive", "rtp",       "rtcp"};
    enum packet_kind kind = packet_kind(p, n);
    bool discovery = kind == PACKET_IS_DISCOVERY || kind == PACKET_IS_DISCOVERY_OLD;
    bool media = kind == PACKET_IS_RTP || kind == PACKET_IS_RTCP;
    uint32_t ssrc = discovery ? discovery_ssrc(p, n) : media ? packet_ssrc(p, kind) : 0;
    uint8_t *out = mem_alloc(n + 1);
    printf("%s %u ", names[kind], ssrc);
    if (discovery)
        discovery_answer(out, n, ssrc, "203.0.113.9", 50001);
    else if (kind == PACKET_IS_PING)
        ping_answer(out, p, n);
    say(out, discovery || kind == PACKET_IS_PING ? n : 0);
    mem_free(out);
}

static void packet(struct seal *from, struct seal *to, const char *what, const char *text)
{
    static uint8_t bytes[3 * PACKET_MAX];
    long n = strcmp(text, "-") ? hex_bytes(text, bytes, sizeof bytes) : 0;
    CHECK(n >= 0);
    uint8_t *own = exactly(bytes, (size_t)n);
    if (!strcmp(what, "rtp"))
        rtp(from, to, own, (size_t)n);
    else if (!strcmp(what, "rtcp"))
        rtcp(from, to, own, (size_t)n);
    else
        datagram(own, (size_t)n);
    mem_free(own);
}

int main(void)
{
    static char line[8 * PACKET_MAX];
    char what[16], a[7 * PACKET_MAX], b[100] = "";
    struct seal *from, *to;
    CHECK(sodium_init() >= 0);
    from = aligned_alloc(64, (seal_size() + 63) / 64 * 64);
    to = aligned_alloc(64, (seal_size() + 63) / 64 * 64);
    CHECK(from && to);
    seal_init(from, SEAL_AES256_GCM_RTPSIZE, (const uint8_t[SEAL_KEY]){0});
    seal_init(to, SEAL_AES256_GCM_RTPSIZE, (const uint8_t[SEAL_KEY]){0});
    while (fgets(line, sizeof line, stdin)) {
        CHECK(sscanf(line, "%15s %10499s %99s", what, a, b) >= 2);
        if (!strcmp(what, "from") || !strcmp(what, "to"))
            key(!strcmp(what, "from") ? from : to, a, b);
        else
            packet(from, to, what, a);
        printf("\n");
    }
    seal_fini(from);
    seal_fini(to);
    free(from);
    free(to);
    return 0;
}
