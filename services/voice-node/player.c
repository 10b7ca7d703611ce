// player: see player.h.
#include "player.h"
#include "opus_packet.h"

#include <ogg/ogg.h>
#include <string.h>

#define PIECE 4096u // given to libogg at a time
#define SILENCES 5u
#define HEAD_MIN 19u

enum stage { AT_HEAD, AT_TAGS, AT_SOUND, AT_END, IS_BROKEN };

struct player {
    struct bytes rest; // of the file
    ogg_sync_state sync;
    ogg_stream_state stream;
    bool has_stream;
    enum stage stage;
    const char *why;
};

struct player *player_new(struct bytes file)
{
    struct player *p = mem_alloc(sizeof *p);
    p->rest = file;
    p->why = "";
    ogg_sync_init(&p->sync);
    return p;
}

void player_free(struct player *p)
{
    if (!p)
        return;
    if (p->has_stream)
        ogg_stream_clear(&p->stream);
    ogg_sync_clear(&p->sync);
    mem_free(p);
}

const char *player_why(const struct player *p)
{
    return p->why;
}

static int broken(struct player *p, const char *why)
{
    p->stage = IS_BROKEN;
    p->why = why;
    return ERR_INVALID;
}

// --- pages ---

// ERR_MISSING: the file is over.
static int next_page(struct player *p, ogg_page *page)
{
    int found;
    while ((found = ogg_sync_pageout(&p->sync, page)) == 0) {
        size_t n = p->rest.n < PIECE ? p->rest.n : PIECE;
        if (n == 0)
            return p->sync.fill > p->sync.returned ? broken(p, "It ends in the middle of a page.") : ERR_MISSING;
        char *room = ogg_sync_buffer(&p->sync, (long)n);
        CHECK(room);
        memcpy(room, p->rest.p, n);
        CHECK(ogg_sync_wrote(&p->sync, (long)n) == 0);
        p->rest = (struct bytes){p->rest.p + n, p->rest.n - n};
    }
    return found > 0 ? OK : broken(p, "It is not Ogg, or damaged.");
}

static int take_page(struct player *p)
{
    ogg_page page;
    int err = next_page(p, &page);
    if (err != OK)
        return err;
    if (!p->has_stream && !ogg_page_bos(&page))
        return broken(p, "There is no beginning of a stream.");
    if (!p->has_stream) {
        CHECK(ogg_stream_init(&p->stream, ogg_page_serialno(&page)) == 0);
        p->has_stream = true;
    }
    if (ogg_page_serialno(&page) != (int)p->stream.serialno)
        return OK; // another stream's
    return ogg_stream_pagein(&p->stream, &page) == 0 ? OK : broken(p, "It is damaged.");
}

// --- packets ---

static int next_packet(struct player *p, ogg_packet *o)
{
    int found;
    while (!p->has_stream || (found = ogg_stream_packetout(&p->stream, o)) == 0) {
        int err = take_page(p);
        if (err != OK)
            return err;
    }
    return found > 0 ? OK : broken(p, "A page of it is missing.");
}

static int take_head(struct player *p, const ogg_packet *o)
{
    if (o->bytes < (long)HEAD_MIN || memcmp(o->packet, "OpusHead", 8) != 0)
        return broken(p, "Its first stream is not Opus.");
    if (o->packet[8] >= 16 || o->packet[18] != 0 || o->packet[9] < 1 || o->packet[9] > 2)
        return broken(p, "It has more than two channels, or is of a version that is not known.");
    p->stage = AT_TAGS;
    return OK;
}

static int take_tags(struct player *p, const ogg_packet *o)
{
    if (o->bytes < 8 || memcmp(o->packet, "OpusTags", 8) != 0)
        return broken(p, "Its tags are missing.");
    p->stage = AT_SOUND;
    return OK;
}

static int take_sound(struct player *p, const ogg_packet *o, struct player_packet *out)
{
    out->payload = (struct bytes){(const char *)o->packet, (size_t)o->bytes};
    out->samples = opus_samples(out->payload);
    if (out->samples == 0)
        return broken(p, "A packet of it is no Opus.");
    if (out->payload.n > PLAYER_PACKET_MAX)
        return broken(p, "A packet of it is too large to be sent.");
    return OK;
}

static int step(struct player *p, struct player_packet *out)
{
    ogg_packet o;
    int err = next_packet(p, &o);
    if (err == ERR_MISSING) {
        if (p->stage != AT_SOUND)
            return broken(p, "It ends before its sound begins.");
        p->stage = AT_END;
    }
    if (err != OK)
        return err;
    if (p->stage == AT_HEAD)
        return take_head(p, &o);
    return p->stage == AT_TAGS ? take_tags(p, &o) : take_sound(p, &o, out);
}

int player_next(struct player *p, struct player_packet *out)
{
    int err = p->stage == IS_BROKEN ? ERR_INVALID : p->stage == AT_END ? ERR_MISSING : OK;
    *out = (struct player_packet){0};
    while (err == OK && out->samples == 0)
        err = step(p, out);
    return err;
}

int player_check(struct bytes file, struct player_summary *out, const char **why)
{
    struct player *p = player_new(file);
    struct player_summary sum = {0};
    struct player_packet packet;
    int err;
    while ((err = player_next(p, &packet)) == OK) {
        sum.packets++;
        sum.samples += packet.samples;
    }
    *why = player_why(p);
    if (err == ERR_MISSING && sum.packets == 0) {
        *why = "There is no sound in it.";
        err = ERR_INVALID;
    }
    player_free(p);
    if (err == ERR_INVALID)
        return ERR_INVALID;
    *out = sum;
    return OK;
}

// --- in time ---

void playing_init(struct playing *p, struct player *player, uint64_t begin_us, uint16_t seq, uint32_t timestamp)
{
    *p = (struct playing){.player = player, .begin_us = begin_us, .seq = seq, .timestamp = timestamp};
}

uint64_t playing_due_us(const struct playing *p)
{
    return p->begin_us + p->said * 1000 / (OPUS_HZ / 1000);
}

int playing_next(struct playing *p, uint64_t now_us, struct playing_packet *out)
{
    struct player_packet next = {opus_silence, OPUS_SILENCE_SAMPLES};
    if (now_us < playing_due_us(p))
        return ERR_STATE;
    if (p->silences == SILENCES)
        return ERR_MISSING;
    if (p->silences == 0 && player_next(p->player, &next) == OK) {
        p->packets++;
    } else { // all of it is said; what would be invalid in it has been refused before
        next = (struct player_packet){opus_silence, OPUS_SILENCE_SAMPLES};
        p->silences++;
    }
    *out = (struct playing_packet){next.payload, p->seq++, p->timestamp};
    p->timestamp += next.samples;
    p->said += next.samples;
    return OK;
}
