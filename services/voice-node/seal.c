// seal: see seal.h. What is in the clear in front, and what is behind a sealed packet, is a row of `modes`.
#include "seal.h"
#include "gcm.h"
#include "network_order.h"

#include <string.h>

#define TAG 16u
#define NONCE_MAX 24u
#define COUNTER 4u
#define SERVER_FIRST 0x80000000u // of the counters: the server's half
#define WORN (1u << 22)          // this many counters before the last one a session is worn

static const struct mode {
    const char *name;
    bool rtpsize;  // CSRCs and the extension's preamble are in the clear, and authenticated with the header
    uint32_t tail; // bytes behind what is sealed: of the nonce, which begins with them; 0: it begins with the header
} modes[SEAL_MODES] = {
    [SEAL_AES256_GCM_RTPSIZE] = {"aead_aes256_gcm_rtpsize", true, COUNTER},
    [SEAL_XCHACHA20_POLY1305_RTPSIZE] = {"aead_xchacha20_poly1305_rtpsize", true, COUNTER},
    [SEAL_XSALSA20_POLY1305_LITE] = {"xsalsa20_poly1305_lite", false, COUNTER},
    [SEAL_XSALSA20_POLY1305_SUFFIX] = {"xsalsa20_poly1305_suffix", false, NONCE_MAX},
    [SEAL_XSALSA20_POLY1305] = {"xsalsa20_poly1305", false, 0},
};
_Static_assert(SEAL_GROWTH == TAG + NONCE_MAX, "no mode adds more");
_Static_assert(GCM_TAG == TAG && crypto_secretbox_MACBYTES == TAG, "one length of tags");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == TAG, "one length of tags");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == NONCE_MAX && crypto_secretbox_NONCEBYTES == NONCE_MAX,
               "one length of nonces but for GCM");
_Static_assert(GCM_KEY == SEAL_KEY && crypto_secretbox_KEYBYTES == SEAL_KEY &&
                   crypto_aead_xchacha20poly1305_ietf_KEYBYTES == SEAL_KEY,
               "one length of keys");

struct seal {
    struct gcm gcm; // of the one mode
    enum seal_mode mode;
    uint64_t next; // counter of the next packet: from SERVER_FIRST to UINT32_MAX, one more: used up
    uint8_t key[SEAL_KEY];
    // Of the suffix mode: random at first, its end counts up. As unlikely to meet a client's as one drawn for each
    // packet, and no system call.
    uint8_t nonce[NONCE_MAX];
};

size_t seal_size(void)
{
    return sizeof(struct seal);
}

const char *seal_name(enum seal_mode m)
{
    return modes[m].name;
}

int seal_named(struct bytes name, enum seal_mode *out)
{
    for (unsigned m = 0; m < SEAL_MODES; m++)
        if (bytes_is(name, modes[m].name)) {
            *out = (enum seal_mode)m;
            return OK;
        }
    return ERR_INVALID;
}

bool seal_old(enum seal_mode m)
{
    return !modes[m].rtpsize;
}

void seal_init(struct seal *s, enum seal_mode m, const uint8_t key[SEAL_KEY])
{
    *s = (struct seal){.mode = m, .next = SERVER_FIRST};
    memcpy(s->key, key, SEAL_KEY);
    if (m == SEAL_AES256_GCM_RTPSIZE)
        gcm_init(&s->gcm, key, gcm_by_cpu());
    if (m == SEAL_XSALSA20_POLY1305_SUFFIX)
        randombytes_buf(s->nonce, NONCE_MAX);
}

void seal_fini(struct seal *s)
{
    gcm_fini(&s->gcm);
    sodium_memzero(s, sizeof *s);
}

enum seal_mode seal_mode(const struct seal *s)
{
    return s->mode;
}

bool seal_worn(const struct seal *s)
{
    return modes[s->mode].tail == COUNTER && s->next > UINT32_MAX - WORN;
}

// --- the ciphers: `clear` bytes stay as they are, n behind them are sealed, a tag is added ---

static void cipher_seal(struct seal *s, uint8_t *packet, size_t clear, size_t n, const uint8_t nonce[NONCE_MAX])
{
    uint8_t *p = packet + clear;
    switch (s->mode) {
    case SEAL_AES256_GCM_RTPSIZE:
        gcm_seal(&s->gcm, p, n, packet, clear, nonce);
        break;
    case SEAL_XCHACHA20_POLY1305_RTPSIZE:
        crypto_aead_xchacha20poly1305_ietf_encrypt(p, NULL, p, n, packet, clear, NULL, nonce, s->key);
        break;
    case SEAL_XSALSA20_POLY1305_LITE:
    case SEAL_XSALSA20_POLY1305_SUFFIX:
    case SEAL_XSALSA20_POLY1305: // the tag is in front
        crypto_secretbox_detached(p + TAG, p, p + TAG, n, nonce, s->key);
        break;
    case SEAL_MODES:
        CHECK(false);
    }
}

static bool cipher_open(struct seal *s, uint8_t *out, const uint8_t *packet, size_t clear, size_t n,
                        const uint8_t nonce[NONCE_MAX])
{
    const uint8_t *p = packet + clear;
    switch (s->mode) {
    case SEAL_AES256_GCM_RTPSIZE:
        return gcm_open(&s->gcm, out, p, n, packet, clear, nonce);
    case SEAL_XCHACHA20_POLY1305_RTPSIZE:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, p, n + TAG, packet, clear, nonce, s->key) ==
               0;
    case SEAL_XSALSA20_POLY1305_LITE:
    case SEAL_XSALSA20_POLY1305_SUFFIX:
    case SEAL_XSALSA20_POLY1305:
        return crypto_secretbox_open_detached(out, p + TAG, p, n, nonce, s->key) == 0;
    case SEAL_MODES:
        break;
    }
    CHECK(false);
    return false;
}

// --- opening ---

// Opens a packet whose first `clear` bytes are not sealed into room, all of it. Its plain text has *plain_n bytes.
static int open_any(struct seal *s, const uint8_t *packet, size_t n, size_t clear, uint8_t *room, size_t *plain_n)
{
    uint8_t nonce[NONCE_MAX] = {0};
    uint32_t tail = modes[s->mode].tail;
    if (n < clear + TAG + tail)
        return ERR_INVALID;
    if (tail)
        memcpy(nonce, packet + n - tail, tail);
    else
        memcpy(nonce, packet, RTP_HEADER);
    if (tail == COUNTER && get32(nonce) >= SERVER_FIRST)
        return ERR_DENIED;
    size_t sealed = n - clear - TAG - tail;
    if (!cipher_open(s, room + clear, packet, clear, sealed, nonce))
        return ERR_DENIED;
    memcpy(room, packet, clear);
    *plain_n = sealed;
    return OK;
}

// The body of an opened packet without its padding, whose last byte counts it, itself included.
static int without_padding(const struct rtp *r, const uint8_t *body, uint32_t *n)
{
    if (!r->padding)
        return OK;
    uint32_t count = *n ? body[*n - 1] : 0;
    if (!count || count > *n)
        return ERR_INVALID;
    *n -= count;
    return OK;
}

int seal_open_rtp(struct seal *s, const uint8_t *packet, size_t n, uint8_t *room, struct opened *out)
{
    const struct mode *m = &modes[s->mode];
    struct opened o = {0};
    size_t clear = RTP_HEADER, plain_n;
    if (n < RTP_HEADER + TAG + m->tail || n > PACKET_MAX || packet[0] >> 6 != 2)
        return ERR_INVALID;
    if (m->rtpsize) {
        if (rtp_parse(packet, n - TAG - m->tail, &o.rtp))
            return ERR_INVALID;
        clear = o.rtp.clear_n;
    }
    int err = open_any(s, packet, n, clear, room, &plain_n);
    if (!err && !m->rtpsize) // only now there is a header to read in whole
        err = rtp_parse(room, clear + plain_n, &o.rtp);
    if (err)
        return err;
    if (o.rtp.extension) {
        o.ext = room + o.rtp.clear_n - 4;
        o.ext_n = 4 + o.rtp.ext_n;
    }
    o.body = room + o.rtp.clear_n + o.rtp.ext_n;
    o.body_n = (uint32_t)(clear + plain_n) - o.rtp.clear_n - o.rtp.ext_n;
    if ((err = without_padding(&o.rtp, o.body, &o.body_n)))
        return err;
    o.counter = m->tail == COUNTER ? get32(packet + n - COUNTER) : 0;
    *out = o;
    return OK;
}

int seal_open_rtcp(struct seal *s, const uint8_t *packet, size_t n, uint8_t *room, size_t *opened_n)
{
    struct rtcp r;
    size_t plain_n;
    if (!modes[s->mode].tail)
        return ERR_DENIED;
    if (n > PACKET_MAX || rtcp_parse(packet, n, &r))
        return ERR_INVALID;
    int err = open_any(s, packet, n, RTCP_CLEAR, room, &plain_n);
    if (err || (err = rtcp_parse(room, RTCP_CLEAR + plain_n, &r)))
        return err;
    *opened_n = RTCP_CLEAR + plain_n;
    return OK;
}

// --- sealing ---

// The nonce of the next packet, which begins with `header`. false: there is none left.
static bool next_nonce(struct seal *s, const uint8_t *header, uint8_t nonce[NONCE_MAX])
{
    switch (modes[s->mode].tail) {
    case COUNTER:
        if (s->next > UINT32_MAX)
            return false;
        put32(nonce, (uint32_t)s->next++);
        return true;
    case NONCE_MAX:
        for (unsigned i = NONCE_MAX; i-- > 0 && ++s->nonce[i] == 0;)
            ;
        memcpy(nonce, s->nonce, NONCE_MAX);
        return true;
    default:
        memcpy(nonce, header, RTP_HEADER);
        return true;
    }
}

// Where the n plain bytes go that cipher_seal makes a packet of.
static uint8_t *plain_at(const struct seal *s, uint8_t *packet, size_t clear)
{
    return packet + clear + (modes[s->mode].rtpsize ? 0 : TAG);
}

static size_t seal_any(struct seal *s, uint8_t *packet, size_t clear, size_t n)
{
    uint8_t nonce[NONCE_MAX] = {0};
    uint32_t tail = modes[s->mode].tail;
    if (!next_nonce(s, packet, nonce))
        return 0;
    cipher_seal(s, packet, clear, n, nonce);
    memcpy(packet + clear + n + TAG, nonce, tail);
    return clear + n + TAG + tail;
}

static size_t seal_once(struct seal *s, const struct opened *o, uint8_t *out)
{
    struct rtp r = o->rtp;
    r.extension = modes[s->mode].rtpsize && o->ext_n != 0;
    rtp_write(out, &r);
    size_t clear = RTP_HEADER, ext_n = 0;
    if (r.extension) {
        memcpy(out + RTP_HEADER, o->ext, 4);
        clear += 4;
        ext_n = o->ext_n - 4;
        memcpy(out + clear, o->ext + 4, ext_n);
    }
    if (o->body_n)
        memcpy(plain_at(s, out, clear) + ext_n, o->body, o->body_n);
    return seal_any(s, out, clear, ext_n + o->body_n);
}

#define HAS_EXTENSION 0x10u // X, in the first byte of a header

// discord.js (@discordjs/voice) looks for an extension in the two bytes behind the header whatever X says, and cuts off
// of the payload what it then takes for one: of 65,536 packets one would not be heard. Under the next counter it begins
// with something else.
static bool mistaken(const struct seal *s, const uint8_t *packet)
{
    return modes[s->mode].rtpsize && !(packet[0] & HAS_EXTENSION) && packet[12] == 0xbe && packet[13] == 0xde;
}

size_t seal_rtp(struct seal *s, const struct opened *o, uint8_t *out)
{
    size_t n = seal_once(s, o, out);
    return n && mistaken(s, out) ? seal_once(s, o, out) : n;
}

size_t seal_rtcp(struct seal *s, const uint8_t *opened, size_t n, uint8_t *out)
{
    CHECK(n >= RTCP_CLEAR && n <= PACKET_MAX);
    if (!modes[s->mode].tail)
        return 0;
    memcpy(out, opened, RTCP_CLEAR);
    memcpy(plain_at(s, out, RTCP_CLEAR), opened + RTCP_CLEAR, n - RTCP_CLEAR);
    return seal_any(s, out, RTCP_CLEAR, n - RTCP_CLEAR);
}

// --- what has been seen ---

#define SEEN_WINDOW 128u

bool seen_before(const struct seen *s, uint32_t number)
{
    if (!s->any || number > s->top)
        return false;
    uint32_t back = s->top - number;
    return back >= SEEN_WINDOW || (s->bits[back / 64] >> back % 64 & 1);
}

void seen_note(struct seen *s, uint32_t number)
{
    if (!s->any) {
        *s = (struct seen){.bits = {1}, .top = number, .any = true};
        return;
    }
    if (number <= s->top) {
        uint32_t back = s->top - number;
        if (back < SEEN_WINDOW)
            s->bits[back / 64] |= (uint64_t)1 << back % 64;
        return;
    }
    uint32_t ahead = number - s->top;
    s->top = number;
    if (ahead >= SEEN_WINDOW)
        s->bits[1] = 0;
    else if (ahead >= 64)
        s->bits[1] = s->bits[0] << (ahead - 64);
    else
        s->bits[1] = s->bits[1] << ahead | s->bits[0] >> (64 - ahead);
    s->bits[0] = ahead >= 64 ? 0 : s->bits[0] << ahead;
    s->bits[0] |= 1;
}
