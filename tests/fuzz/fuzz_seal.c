// fuzz_seal: any bytes are opened in each mode; and packets that a client sealed are altered on their way, and open to
// what they were or not at all. What is sealed of them for another session is to the byte what it has to be.
#include "fuzz.h"
#include "../client_seal.h"

static const uint8_t key[SEAL_KEY] = {1, 2, 3};

static struct seal *begin(enum seal_mode m)
{
    CHECK(sodium_init() >= 0);
    struct seal *s = aligned_alloc(64, (seal_size() + 63) / 64 * 64);
    CHECK(s);
    seal_init(s, m, key);
    return s;
}

static void end(struct seal *s)
{
    seal_fini(s);
    free(s);
}

static void check_within(const struct opened *o, const uint8_t *room, size_t n)
{
    CHECK(o->body >= room + RTP_HEADER && o->body + o->body_n <= room + n);
    CHECK(o->rtp.extension == (o->ext != NULL) && o->rtp.extension == (o->ext_n != 0));
    CHECK(!o->ext || (o->ext >= room + RTP_HEADER && o->ext + o->ext_n == o->body));
}

// Seals o in mode m and says what is wrong with it.
static void sealed_again(const struct opened *o, enum seal_mode m)
{
    struct seal *s = begin(m);
    bool keeps = !seal_old(m) && o->ext_n;
    uint8_t plain[PACKET_MAX], *out = mem_alloc(o->body_n + o->ext_n + RTP_HEADER + SEAL_GROWTH);
    struct rtp r = o->rtp;
    r.extension = keeps;
    rtp_write(plain, &r);
    size_t n = RTP_HEADER;
    if (keeps)
        memcpy(plain + n, o->ext, o->ext_n);
    n += keeps ? o->ext_n : 0;
    memcpy(plain + n, o->body, o->body_n);
    n += o->body_n;
    size_t sealed = seal_rtp(s, o, out), is_n;
    uint8_t is[PACKET_MAX + SEAL_GROWTH];
    uint32_t counter = 0x80000000;
    do
        is_n = client_seal(m, key, counter++, plain, keeps ? RTP_HEADER + 4 : RTP_HEADER, n, is);
    while (!seal_old(m) && !keeps && is[RTP_HEADER] == 0xbe && is[RTP_HEADER + 1] == 0xde); // seal.c says why
    CHECK(sealed == is_n);
    CHECK(m == SEAL_XSALSA20_POLY1305_SUFFIX || !memcmp(out, is, sealed));
    mem_free(out);
    end(s);
}

// Any bytes.
static void opened(enum seal_mode m, enum seal_mode to, struct bytes packet)
{
    struct seal *s = begin(m);
    struct opened o = {.body_n = 4711};
    size_t n = 4711;
    uint8_t *own = (uint8_t *)feed_own(packet), *room = mem_alloc(PACKET_MAX);
    if (seal_open_rtp(s, own, packet.n, room, &o) == OK) { // a search may come to it by the corpus
        check_within(&o, room, packet.n);
        sealed_again(&o, to);
    } else {
        CHECK(o.body_n == 4711);
    }
    if (seal_open_rtcp(s, own, packet.n, room, &n))
        CHECK(n == 4711);
    mem_free(room);
    mem_free(own);
    end(s);
}

static size_t altered(struct feed *in, uint8_t *p, size_t n, size_t max)
{
    for (uint32_t i = feed_below(in, 4); i > 0; i--) {
        uint32_t at = feed_u8(in) | (uint32_t)feed_u8(in) << 8;
        p[at % n] ^= feed_u8(in);
    }
    uint8_t how = feed_u8(in);
    if (how == 1)
        return feed_below(in, 256) % (n + 1);
    if (how != 2)
        return n;
    size_t more = feed_below(in, 256) % (max - n + 1);
    memset(p + n, feed_u8(in), more);
    return n + more;
}

// What is in the input was sealed, and altered. The older modes with a nonce of their own do not authenticate the
// header.
static void on_its_way(enum seal_mode m, enum seal_mode to, struct feed *in)
{
    struct seal *s = begin(m);
    uint8_t how[16], packet[PACKET_MAX], sent[PACKET_MAX], *room = mem_alloc(PACKET_MAX);
    for (size_t i = 0; i < sizeof how; i++)
        how[i] = feed_u8(in);
    uint32_t counter = how[0] | (uint32_t)how[1] << 24;
    struct bytes plain = feed_rest(in);
    const uint8_t *text = (const uint8_t *)plain.p;
    bool is_rtcp = packet_kind(text, plain.n) == PACKET_IS_RTCP;
    if (plain.n < RTP_HEADER || plain.n > PACKET_MAX - SEAL_GROWTH || (is_rtcp && m == SEAL_XSALSA20_POLY1305))
        goto out;
    size_t clear = is_rtcp ? RTCP_CLEAR : client_clear(m, text, plain.n);
    size_t n = client_seal(m, key, counter, text, clear, plain.n, sent), opened_n;
    memcpy(packet, sent, n);
    struct feed change = {how + 2, sizeof how - 2};
    size_t came = altered(&change, packet, n, sizeof packet);
    bool same = came == n && !memcmp(packet, sent, n);
    bool loose = m == SEAL_XSALSA20_POLY1305_LITE || m == SEAL_XSALSA20_POLY1305_SUFFIX;
    bool counts = m <= SEAL_XSALSA20_POLY1305_LITE;
    uint8_t *own = (uint8_t *)feed_own((struct bytes){(const char *)packet, came});
    struct opened o;
    int err = is_rtcp ? seal_open_rtcp(s, own, came, room, &opened_n) : seal_open_rtp(s, own, came, room, &o);
    if (!err) {
        CHECK(!memcmp(room, own, clear) && !memcmp(room + clear, text + clear, plain.n - clear));
        CHECK(same || loose);
        CHECK(!counts || counter < 0x80000000);
        CHECK(!is_rtcp || opened_n == plain.n);
        if (!is_rtcp)
            check_within(&o, room, plain.n);
        if (!is_rtcp)
            sealed_again(&o, to);
    }
    struct rtp r;
    if (same && !is_rtcp && rtp_parse(text, plain.n, &r) == OK && !r.padding)
        CHECK(err == (counts && counter >= 0x80000000 ? ERR_DENIED : OK));
    mem_free(own);
out:
    mem_free(room);
    end(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed in = {data, size};
    bool any = feed_flag(&in);
    enum seal_mode m = (enum seal_mode)feed_below(&in, SEAL_MODES), to = (enum seal_mode)feed_below(&in, SEAL_MODES);
    if (any)
        opened(m, to, feed_rest(&in));
    else
        on_its_way(m, to, &in);
    return 0;
}
