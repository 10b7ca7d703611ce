// recording: see recording.h. Times are samples at 48 kHz since the recording began.
#include "recording.h"
#include "arena.h"
#include "opus_packet.h"

#include <ogg/ogg.h>
#include <stdlib.h>
#include <string.h>

#define HOLD 9600              // 200 ms
#define HELD_MAX 64u           // packets of one speaker; a further one makes the first of them be written
#define LATENESS 2880          // 60 ms: less is jitter
#define RESTART 48000          // 1 s: a timestamp that is as far from where it should be begins another stream
#define AHEAD_MAX (30 * 48000) // of its time: what is more is dropped, or counts from when it came
#define FILLED_TO 48000        // 1 s: who is silent is written up to so long ago
#define PAGE_PACKETS 50u       // of one page of a file; libogg ends one that has 4 KiB
#define PRE_SKIP 3840 // 80 ms of silence before the beginning, which decoders do not play: they need them to settle
#define PAGE_HEAD 27
#define SILENT_PACKETS 250  // of a page that is silent
#define BLOCK 16384u        // bytes of a file in one piece of memory
#define STREAM_BYTES 49152u // what libogg holds for one file: bodies, lacing values, a page's head
#define FINISH_FILL 1500u   // frames of silence at the end of a recording that is full: as many go into one block
#define FILL_BYTES(samples) ((uint64_t)(samples) / OPUS_SILENCE_SAMPLES * 5) // page heads included

struct block {
    struct block *next;
    uint8_t p[BLOCK];
};

struct held { // a packet that is not written yet
    uint32_t stream;
    int64_t at, since; // came then; since: by its timestamp, since its stream began
    uint32_t samples, n;
    uint8_t *p;
};

struct speaker {
    uint64_t user;
    // What came.
    uint32_t ssrc, stream, newest_ts; // stream: counts them
    int64_t newest, newest_at;        // its newest packet's `since` and `at`
    uint32_t n_held;
    struct held held[HELD_MAX]; // by stream, then by time; no two at one time
    // What is written.
    uint32_t written_stream;
    int64_t base, last; // where that stream began, and the last packet's `since`
    int64_t pos;        // of the end of what is written
    ogg_stream_state ogg;
    int64_t ogg_packets;
    uint32_t page_packets;
    bool whole;
    bool reserve; // of the budget one block is still kept for the end of the file
    struct block *first, **tail;
    size_t tail_n;    // bytes in the last block
    uint64_t charged; // for all of them
    struct recording_stats stats;
};

struct recording {
    struct recording_budget *budget;
    uint64_t channel, began_us, longest_us, ended_us, last_us;
    enum recording_state state;
    bool full; // it is about to end
    uint32_t n;
    struct speaker *speakers[RECORDING_SPEAKERS];
};

#define SPEAKER_BYTES (sizeof(struct speaker) + STREAM_BYTES + sizeof(struct block)) // the last is the reserve

const char *recording_state_name(enum recording_state s)
{
    static const char *const names[] = {"running", "stopped", "full", "crowded", "long"};
    return names[s];
}

const char *recording_why(enum recording_state s)
{
    static const char *const why[] = {"", "it was stopped", "the memory for recordings is used up (SB_RECORD_BYTES)",
                                      "more people spoke than one recording has room for",
                                      "it was as long as a recording may be (SB_RECORD_MS)"};
    return why[s];
}

// --- memory ---

static bool charge(struct recording *r, uint64_t n)
{
    if (r->budget->max - r->budget->used < n)
        return false;
    r->budget->used += n;
    return true;
}

static void pay_back(struct recording *r, uint64_t n)
{
    CHECK(r->budget->used >= n);
    r->budget->used -= n;
}

// When there is no more it goes on in the reserve, which is enough to end the file.
static void add_block(struct recording *r, struct speaker *s)
{
    struct block *b = mem_alloc(sizeof *b);
    s->charged += sizeof *b;
    if (!charge(r, sizeof *b)) {
        CHECK_ID(s->reserve, s->user);
        s->reserve = false;
        r->full = true;
    }
    *s->tail = b;
    s->tail = &b->next;
    s->tail_n = 0;
}

static void add_bytes(struct recording *r, struct speaker *s, const uint8_t *p, size_t n)
{
    s->stats.file_bytes += n;
    while (n > 0) {
        if (!s->first || s->tail_n == BLOCK)
            add_block(r, s);
        struct block *b = container_of(s->tail, struct block, next);
        size_t part = n < BLOCK - s->tail_n ? n : BLOCK - s->tail_n;
        memcpy(b->p + s->tail_n, p, part);
        s->tail_n += part;
        p += part;
        n -= part;
    }
}

// --- pages ---

static void add_page(struct recording *r, struct speaker *s, const ogg_page *page)
{
    add_bytes(r, s, page->header, (size_t)page->header_len);
    add_bytes(r, s, page->body, (size_t)page->body_len);
    s->page_packets = 0;
}

// at: of the packet's end.
static void put(struct recording *r, struct speaker *s, struct bytes packet, int64_t at, bool end)
{
    ogg_packet o = {.packet = (unsigned char *)(uintptr_t)packet.p, // which libogg only copies from
                    .bytes = (long)packet.n,
                    .b_o_s = s->ogg_packets == 0,
                    .e_o_s = end,
                    .granulepos = at + PRE_SKIP,
                    .packetno = s->ogg_packets};
    ogg_page page;
    CHECK(ogg_stream_packetin(&s->ogg, &o) == 0);
    bool alone = s->ogg_packets++ < 2; // the two headers have pages of their own
    if (++s->page_packets >= PAGE_PACKETS || alone || end)
        while (ogg_stream_flush(&s->ogg, &page))
            add_page(r, s, &page);
    else
        while (ogg_stream_pageout(&s->ogg, &page))
            add_page(r, s, &page);
}

static void put_sound(struct recording *r, struct speaker *s, struct bytes packet, uint32_t samples)
{
    s->pos += samples;
    put(r, s, packet, s->pos, false);
}

// A whole page of silence. Made without libogg's queue: an hour of it, before somebody's first word, takes 2 ms so and
// 27 ms otherwise, in which nobody would hear anybody.
static void put_silent_page(struct recording *r, struct speaker *s)
{
    uint8_t head[PAGE_HEAD + SILENT_PACKETS] = "OggS", body[SILENT_PACKETS * 3];
    uint64_t granule;
    uint32_t serial = (uint32_t)s->ogg.serialno, number = (uint32_t)s->ogg.pageno++;
    s->pos += SILENT_PACKETS * OPUS_SILENCE_SAMPLES;
    s->ogg_packets += SILENT_PACKETS;
    granule = (uint64_t)(s->pos + PRE_SKIP);
    for (unsigned i = 0; i < 8; i++)
        head[6 + i] = (uint8_t)(granule >> 8 * i);
    for (unsigned i = 0; i < 4; i++) {
        head[14 + i] = (uint8_t)(serial >> 8 * i);
        head[18 + i] = (uint8_t)(number >> 8 * i);
    }
    head[26] = SILENT_PACKETS;
    for (unsigned i = 0; i < SILENT_PACKETS; i++) {
        head[PAGE_HEAD + i] = 3;
        memcpy(body + 3 * i, opus_silence.p, 3);
    }
    ogg_page page = {head, sizeof head, body, sizeof body};
    ogg_page_checksum_set(&page);
    add_page(r, s, &page);
}

static void fill(struct recording *r, struct speaker *s, int64_t frames)
{
    while (frames > 0 && !r->full) {
        bool whole = s->page_packets == 0 && frames >= SILENT_PACKETS;
        if (whole)
            put_silent_page(r, s);
        else
            put_sound(r, s, opus_silence, OPUS_SILENCE_SAMPLES);
        frames -= whole ? SILENT_PACKETS : 1;
    }
}

static void add_text(struct buf *out, struct bytes text)
{
    const char length[4] = {(char)text.n, 0, 0, 0};
    CHECK(text.n < 128);
    buf_add(out, length, sizeof length);
    buf_add(out, text.p, text.n);
}

static void put_headers(struct recording *r, struct speaker *s)
{
    // Version 1, two channels, PRE_SKIP, 48 kHz, no gain, mapping family 0.
    static const char head[] = "OpusHead\x01\x02\x00\x0f\x80\xbb\x00\x00\x00\x00\x00";
    struct arena a = {0};
    struct buf tags = {0};
    buf_str(&tags, "OpusTags");
    add_text(&tags, BYTES("Switchboard"));
    buf_add(&tags, "\x02\x00\x00\x00", 4); // so many follow
    add_text(&tags, arena_printf(&a, "USER_ID=%llu", (unsigned long long)s->user));
    add_text(&tags, arena_printf(&a, "CHANNEL_ID=%llu", (unsigned long long)r->channel));
    put(r, s, (struct bytes){head, sizeof head - 1}, -PRE_SKIP, false);
    put(r, s, buf_bytes(&tags), -PRE_SKIP, false);
    buf_fini(&tags);
    arena_fini(&a);
}

// --- what is held becomes what is written ---

static int64_t samples_at(const struct recording *r, uint64_t us)
{
    return us > r->began_us ? (int64_t)((us - r->began_us) * (OPUS_HZ / 1000) / 1000) : 0;
}

static void drop_first(struct recording *r, struct speaker *s)
{
    pay_back(r, s->held[0].n);
    mem_free(s->held[0].p);
    memmove(s->held, s->held + 1, --s->n_held * sizeof s->held[0]);
}

// Where the stream of the first that is held begins, as far as what is held of it tells: none of it came earlier than
// it was said.
static int64_t began_at(const struct speaker *s)
{
    int64_t best = INT64_MAX;
    for (uint32_t i = 0; i < s->n_held && s->held[i].stream == s->held[0].stream; i++)
        if (s->held[i].at - s->held[i].since < best)
            best = s->held[i].at - s->held[i].since;
    return best;
}

static void write_first(struct recording *r, struct speaker *s)
{
    const struct held *h = &s->held[0];
    int64_t base = began_at(s);
    if (s->written_stream != h->stream || base - s->base > LATENESS || s->base + h->since - h->at > AHEAD_MAX)
        s->base = base;
    s->written_stream = h->stream;
    s->last = h->since;
    if (s->pos - h->at > AHEAD_MAX) {
        s->stats.dropped++;
    } else {
        int64_t at = s->base + h->since;
        int64_t gap = (at > 0 ? at : 0) - s->pos; // nothing was said before the beginning
        // To the nearest step; what is left of it is not forgotten, since the next one is not counted from here.
        fill(r, s, (gap + OPUS_SILENCE_SAMPLES / 2) / OPUS_SILENCE_SAMPLES);
        s->stats.packets++;
        s->stats.bytes += h->n;
        s->stats.samples += h->samples;
        put_sound(r, s, (struct bytes){(const char *)h->p, h->n}, h->samples);
    }
    drop_first(r, s);
}

// Who is silent is written up to a while ago, so that little is missing when the recording ends.
static void write_due(struct recording *r, struct speaker *s, int64_t now)
{
    while (s->n_held > 0 && s->held[0].at + HOLD <= now && !r->full)
        write_first(r, s);
    if (s->n_held == 0 && now - s->pos > 2 * FILLED_TO)
        fill(r, s, (now - FILLED_TO - s->pos) / OPUS_SILENCE_SAMPLES);
}

// --- the end ---

static void drop_all(struct recording *r, struct speaker *s)
{
    while (s->n_held > 0)
        drop_first(r, s);
}

static void write_rest(struct recording *r, struct speaker *s)
{
    while (s->n_held > 0 && !r->full)
        write_first(r, s);
    drop_all(r, s);
}

// The last packet is one of silence, of which as much counts as is missing.
static void finish_file(struct recording *r, struct speaker *s, int64_t end)
{
    int64_t frames = end > s->pos ? (end - s->pos + OPUS_SILENCE_SAMPLES - 1) / OPUS_SILENCE_SAMPLES : 1;
    for (uint32_t in_reserve = 0; frames > 1 && in_reserve < FINISH_FILL; frames--) {
        put_sound(r, s, opus_silence, OPUS_SILENCE_SAMPLES);
        in_reserve += r->full;
    }
    put(r, s, opus_silence, end < s->pos + OPUS_SILENCE_SAMPLES ? end : s->pos + OPUS_SILENCE_SAMPLES, true);
    ogg_stream_clear(&s->ogg);
    s->whole = true;
    pay_back(r, STREAM_BYTES + (s->reserve ? sizeof(struct block) : 0));
    s->reserve = false;
}

// It ends when what was said by then has sounded.
static void finish(struct recording *r, uint64_t now_us, enum recording_state state)
{
    int64_t end = samples_at(r, now_us);
    for (uint32_t i = 0; i < r->n; i++) {
        write_rest(r, r->speakers[i]);
        end = r->speakers[i]->pos > end ? r->speakers[i]->pos : end;
    }
    for (uint32_t i = 0; i < r->n; i++)
        finish_file(r, r->speakers[i], end);
    r->ended_us = r->began_us + ((uint64_t)end * 1000 + 47) / 48;
    r->state = r->full ? RECORDING_FULL : state;
}

void recording_stop(struct recording *r, uint64_t now_us)
{
    if (r->state == RECORDING_RUNS)
        finish(r, now_us, RECORDING_STOPPED);
}

void recording_tick(struct recording *r, uint64_t now_us)
{
    if (r->state != RECORDING_RUNS)
        return;
    for (uint32_t i = 0; i < r->n; i++)
        write_due(r, r->speakers[i], samples_at(r, now_us));
    if (r->full)
        finish(r, now_us, RECORDING_FULL);
    else if (now_us > r->began_us && now_us - r->began_us >= r->longest_us)
        finish(r, r->began_us + r->longest_us, RECORDING_LONG);
}

// --- what is heard ---

static struct speaker *speaker_of(const struct recording *r, uint64_t user)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->speakers[i]->user == user)
            return r->speakers[i];
    return NULL;
}

// NULL: there is no room for him, and the recording is over.
static struct speaker *new_speaker(struct recording *r, uint64_t user, uint64_t now_us)
{
    uint64_t first = BLOCK + FILL_BYTES(samples_at(r, now_us));
    if (r->n == RECORDING_SPEAKERS) {
        finish(r, now_us, RECORDING_CROWDED);
        return NULL;
    }
    r->full = r->budget->max - r->budget->used < SPEAKER_BYTES + first;
    if (r->full) {
        finish(r, now_us, RECORDING_FULL);
        return NULL;
    }
    struct speaker *s = mem_alloc(sizeof *s);
    CHECK(charge(r, SPEAKER_BYTES));
    *s = (struct speaker){.user = user, .reserve = true, .pos = -PRE_SKIP, .stats = {.user = user}};
    s->tail = &s->first;
    CHECK(ogg_stream_init(&s->ogg, (int)(uint32_t)(user ^ user >> 32)) == 0);
    r->speakers[r->n++] = s;
    put_headers(r, s);
    return s;
}

// By more than a network or a slow process explains: it counts anew from here.
static bool restarted(const struct speaker *s, const struct relay_heard *h, int64_t at)
{
    int64_t counted = (int32_t)(h->timestamp - s->newest_ts), passed = at - s->newest_at;
    return s->stream == 0 || h->ssrc != s->ssrc || counted - passed > RESTART || passed - counted > RESTART;
}

// Among what is held, by its time. False: there is one of that time already.
static bool hold(struct recording *r, struct speaker *s, const struct held *h, struct bytes payload)
{
    uint32_t i = s->n_held;
    while (i > 0 && s->held[i - 1].stream == h->stream && s->held[i - 1].since > h->since)
        i--;
    if (i > 0 && s->held[i - 1].stream == h->stream && s->held[i - 1].since == h->since)
        return false;
    if (!charge(r, payload.n)) {
        r->full = true;
        return true;
    }
    memmove(s->held + i + 1, s->held + i, (s->n_held++ - i) * sizeof *h);
    s->held[i] = *h;
    s->held[i].p = mem_alloc(payload.n);
    memcpy(s->held[i].p, payload.p, payload.n);
    return true;
}

static void take(struct recording *r, struct speaker *s, const struct relay_heard *h, uint32_t samples)
{
    int64_t at = samples_at(r, h->at_us);
    bool anew = restarted(s, h, at);
    struct held k = {.at = at, .samples = samples, .n = (uint32_t)h->payload.n};
    s->stream += anew;
    k.stream = s->stream;
    k.since = anew ? 0 : s->newest + (int32_t)(h->timestamp - s->newest_ts);
    if (!anew && s->written_stream == s->stream && k.since <= s->last) {
        s->stats.dropped++; // it came too late
        return;
    }
    if (anew || k.since > s->newest) {
        s->ssrc = h->ssrc;
        s->newest_ts = h->timestamp;
        s->newest = k.since;
        s->newest_at = at;
    }
    if (s->n_held == HELD_MAX)
        write_first(r, s);
    s->stats.dropped += !hold(r, s, &k, h->payload);
}

void recording_heard(struct recording *r, const struct relay_heard *h)
{
    uint32_t samples = opus_samples(h->payload);
    if (r->state != RECORDING_RUNS)
        return;
    struct speaker *s = speaker_of(r, h->user);
    if (!s)
        s = samples > 0 ? new_speaker(r, h->user, h->at_us) : NULL;
    if (!s)
        return;
    r->last_us = h->at_us > r->last_us ? h->at_us : r->last_us;
    if (samples == 0 || h->payload.n > PACKET_MAX) {
        s->stats.dropped++;
        return;
    }
    take(r, s, h, samples);
    if (r->full)
        finish(r, h->at_us, RECORDING_FULL);
}

// --- life, and what others see ---

struct recording *recording_new(struct recording_budget *budget, uint64_t channel, uint64_t began_us,
                                uint64_t longest_us)
{
    struct recording *r = mem_alloc(sizeof *r);
    *r = (struct recording){
        .budget = budget, .channel = channel, .began_us = began_us, .longest_us = longest_us, .last_us = began_us};
    if (charge(r, sizeof *r))
        return r;
    mem_free(r);
    return NULL;
}

void recording_free(struct recording *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->n; i++) {
        struct speaker *s = r->speakers[i];
        drop_all(r, s);
        for (struct block *b = s->first, *next; b; b = next) {
            next = b->next;
            mem_free(b);
        }
        if (!s->whole)
            ogg_stream_clear(&s->ogg);
        pay_back(r, sizeof *s + s->charged + (s->whole ? 0 : STREAM_BYTES) + (s->reserve ? sizeof(struct block) : 0));
        mem_free(s);
    }
    pay_back(r, sizeof *r);
    mem_free(r);
}

enum recording_state recording_state(const struct recording *r)
{
    return r->state;
}

uint64_t recording_channel(const struct recording *r)
{
    return r->channel;
}

static uint64_t since(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

uint64_t recording_us(const struct recording *r, uint64_t now_us)
{
    return since(r->began_us, r->state == RECORDING_RUNS ? now_us : r->ended_us);
}

uint64_t recording_silent_us(const struct recording *r, uint64_t now_us)
{
    return since(r->last_us, r->state == RECORDING_RUNS ? now_us : r->ended_us);
}

uint32_t recording_speakers(const struct recording *r)
{
    return r->n;
}

struct recording_stats recording_speaker(const struct recording *r, uint32_t i)
{
    CHECK(i < r->n);
    return r->speakers[i]->stats;
}

int recording_read(const struct recording *r, uint64_t user, uint64_t offset, size_t n, struct buf *out)
{
    const struct speaker *s = speaker_of(r, user);
    if (!s)
        return ERR_MISSING;
    if (r->state == RECORDING_RUNS)
        return ERR_STATE;
    for (const struct block *b = s->first; b && n > 0; b = b->next) {
        size_t has = b->next ? BLOCK : s->tail_n;
        if (offset < has) {
            size_t part = n < has - offset ? n : has - (size_t)offset;
            buf_add(out, b->p + offset, part);
            n -= part;
            offset = 0;
        } else {
            offset -= has;
        }
    }
    return OK;
}
