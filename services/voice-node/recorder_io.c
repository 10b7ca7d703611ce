// recorder_io: see recorder.h.
#include "recorder.h"
#include "opus_packet.h"

#include <string.h>

#define TICK_MS 100u
#define READ_MAX (1024u * 1024u)

struct tape {
    uint64_t id;
    struct recording *recording;
    bool tapped;       // the relay tells of its channel for it
    uint64_t ended_at; // ms; 0: it runs
};

struct recorder {
    struct recorder_cfg cfg;
    struct recording_budget budget;
    uint32_t n;
    struct tape tapes[RECORDER_MAX];
    struct timer tick;
};

static struct tape *tape_of(struct recorder *r, uint64_t id)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->tapes[i].id == id)
            return &r->tapes[i];
    return NULL;
}

static bool taps(const struct recorder *r, uint64_t channel)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->tapes[i].tapped && recording_channel(r->tapes[i].recording) == channel)
            return true;
    return false;
}

static void untap(struct recorder *r, struct tape *t)
{
    uint64_t channel = recording_channel(t->recording);
    t->tapped = false;
    if (!taps(r, channel))
        (void)relay_tap(r->cfg.relay, channel, false);
}

// One that runs no more is not told of anything any more, and is kept for a while.
static void settle(struct recorder *r, struct tape *t)
{
    if (!t->tapped || recording_state(t->recording) == RECORDING_RUNS)
        return;
    untap(r, t);
    t->ended_at = loop_now(r->cfg.service->loop);
    LOG(INFO, EV("recording.ended"), KU("recording", t->id), KU("channel", recording_channel(t->recording)),
        KS("state", recording_state_name(recording_state(t->recording))),
        KU("ms", recording_us(t->recording, r->cfg.now_us()) / 1000));
}

static void forget(struct recorder *r, struct tape *t)
{
    if (t->tapped)
        untap(r, t);
    recording_free(t->recording);
    *t = r->tapes[--r->n];
}

static void count(const struct recorder *r)
{
    M.recordings = r->n;
    M.recording_bytes = r->budget.used;
}

static void on_tick(struct timer *timer, uint64_t now)
{
    struct recorder *r = container_of(timer, struct recorder, tick);
    for (uint32_t i = r->n; i-- > 0;) {
        struct tape *t = &r->tapes[i];
        recording_tick(t->recording, r->cfg.now_us());
        settle(r, t);
        if (t->ended_at && now - t->ended_at >= r->cfg.keep_ms)
            forget(r, t);
    }
    count(r);
    loop_arm(r->cfg.service->loop, timer, TICK_MS);
}

void recorder_heard(struct recorder *r, uint64_t room, const struct relay_heard *h)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->tapes[i].tapped && recording_channel(r->tapes[i].recording) == room)
            recording_heard(r->tapes[i].recording, h);
}

// --- commands ---

static void show(struct recorder *r, const struct bus_from *from, const struct tape *t)
{
    uint64_t now_us = r->cfg.now_us();
    enum recording_state state = recording_state(t->recording);
    struct recorded_speaker speakers[RECORDING_SPEAKERS];
    struct buf body = {0};
    uint32_t n = recording_speakers(t->recording);
    for (uint32_t i = 0; i < n; i++) {
        struct recording_stats s = recording_speaker(t->recording, i);
        speakers[i] =
            (struct recorded_speaker){s.user, s.packets, s.bytes, s.samples * 1000 / OPUS_HZ, s.dropped, s.file_bytes};
    }
    PACK(&body, recorded,
         (&(struct recorded){.recording = t->id,
                             .channel = recording_channel(t->recording),
                             .runs = state == RECORDING_RUNS,
                             .state = bytes_of(recording_state_name(state)),
                             .why = bytes_of(recording_why(state)),
                             .ms = recording_us(t->recording, now_us) / 1000,
                             .silent_ms = recording_silent_us(t->recording, now_us) / 1000,
                             .speakers = {n, speakers}}));
    bus_answer(r->cfg.service->bus, from, OK, buf_bytes(&body));
    buf_fini(&body);
}

// ERR_FULL: there is no room for it.
static int start(struct recorder *r, const struct record_start *m)
{
    uint64_t longest_us = r->cfg.longest_ms * 1000;
    if (r->n == RECORDER_MAX)
        return ERR_FULL;
    struct recording *recording = recording_new(&r->budget, m->channel, r->cfg.now_us(), longest_us);
    if (!recording)
        return ERR_FULL;
    if (!relay_tap(r->cfg.relay, m->channel, true)) {
        recording_free(recording);
        return ERR_FULL;
    }
    r->tapes[r->n++] = (struct tape){.id = m->recording, .recording = recording, .tapped = true};
    LOG(INFO, EV("recording.begins"), KU("recording", m->recording), KU("channel", m->channel));
    return OK;
}

static void read_file(struct recorder *r, const struct bus_from *from, const struct tape *t,
                      const struct record_read *m)
{
    struct buf piece = {0};
    size_t limit = m->limit < READ_MAX ? (size_t)m->limit : READ_MAX;
    int err = recording_read(t->recording, m->user, m->offset, limit, &piece);
    bus_answer(r->cfg.service->bus, from, err, buf_bytes(&piece));
    buf_fini(&piece);
}

bool recorder_command(struct recorder *r, const struct bus_from *from, const struct msg *m)
{
    const struct record_start *starts = MSG_IS(m, record_start);
    const struct record_stop *stops = MSG_IS(m, record_stop);
    const struct record_show *shows = MSG_IS(m, record_show);
    const struct record_read *reads = MSG_IS(m, record_read);
    const struct record_drop *drops = MSG_IS(m, record_drop);
    if (!starts && !stops && !shows && !reads && !drops)
        return false;
    uint64_t id = starts ? starts->recording : stops ? stops->recording : shows ? shows->recording : 0;
    id = reads ? reads->recording : drops ? drops->recording : id;
    struct tape *t = tape_of(r, id);
    int err = t ? OK : starts ? start(r, starts) : ERR_MISSING;
    t = err == OK ? tape_of(r, id) : NULL;
    if (!t) {
        bus_answer(r->cfg.service->bus, from, err, BYTES_NONE);
    } else if (reads) {
        read_file(r, from, t, reads);
    } else if (drops) {
        forget(r, t);
        bus_answer(r->cfg.service->bus, from, OK, BYTES_NONE);
    } else {
        if (stops)
            recording_stop(t->recording, r->cfg.now_us());
        settle(r, t);
        show(r, from, t);
    }
    count(r);
    return true;
}

// --- life ---

struct recorder *recorder_new(const struct recorder_cfg *cfg)
{
    struct recorder *r = mem_alloc(sizeof *r);
    *r = (struct recorder){.cfg = *cfg, .budget = {.max = cfg->bytes}, .tick.fire = on_tick};
    loop_arm(cfg->service->loop, &r->tick, TICK_MS);
    return r;
}

void recorder_free(struct recorder *r)
{
    if (!r)
        return;
    loop_cancel(r->cfg.service->loop, &r->tick);
    while (r->n > 0)
        forget(r, &r->tapes[0]);
    mem_free(r);
}

void recorder_dump(const struct recorder *r, struct buf *out)
{
    buf_printf(out, "recordings %u, %llu of %llu bytes\n", r->n, (unsigned long long)r->budget.used,
               (unsigned long long)r->budget.max);
    for (uint32_t i = 0; i < r->n; i++)
        buf_printf(out, "  recording %llu: channel %llu, %s, %u speakers\n", (unsigned long long)r->tapes[i].id,
                   (unsigned long long)recording_channel(r->tapes[i].recording),
                   recording_state_name(recording_state(r->tapes[i].recording)),
                   recording_speakers(r->tapes[i].recording));
}
