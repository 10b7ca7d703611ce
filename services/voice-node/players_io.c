// players_io: see players.h.
#include "players.h"

#include <sodium.h>
#include <string.h>

#define LEAD_US 300000u  // between the announcement and the first packet: clients drop what they cannot place yet
#define UNASKED_MS 5000u // without a word of the gateway
#define SEAT_MS 10000u   // for his seat to be seen
#define KEPT_MS 30000u   // after it has ended, for who asks

enum play_stage { LOADING, ADMITTING, SITTING, SPEAKING, ENDED };

struct play {
    struct players *all;
    uint64_t id;
    enum play_stage stage;
    const char *why; // ENDED: "" when all has been said
    struct claims claims;
    struct buf file;
    uint64_t bytes;     // that the file will have
    struct guest guest; // SITTING, SPEAKING
    bool muted;
    struct player *player; // SPEAKING
    struct playing playing;
    uint64_t asked_at, until; // ms; until: by then it has to have gone on, or is forgotten
    struct timer timer;
};

struct admission { // outlives the play
    struct players *all;
    uint64_t play;
    struct admission *next;
};

struct players {
    struct voice *voice;
    struct table plays;
    struct admission *admissions;
    bool stopped;
};

static uint64_t now_of(const struct players *all)
{
    return loop_now(all->voice->svc.loop);
}

// --- ending ---

static void play_free(struct play *p)
{
    loop_cancel(p->all->voice->svc.loop, &p->timer);
    table_remove(&p->all->plays, p->id);
    buf_fini(&p->file);
    mem_free(p);
}

// He leaves. That he leaves the channel, too, is told by his gateway; and by us, should it be gone.
static void end(struct play *p, const char *why)
{
    const struct claims *c = &p->claims;
    struct voice *v = p->all->voice;
    if (p->stage == ENDED)
        return;
    if (p->stage == SITTING || p->stage == SPEAKING) {
        life_unwatch(v->life, c->server, c->user, c->session);
        guest_leave(&p->guest);
        life_gone(v->life, c->server, c->channel, c->user, c->session);
    }
    player_free(p->player);
    p->player = NULL;
    buf_fini(&p->file);
    p->file = (struct buf){0};
    sodium_memzero(p->claims.token, sizeof p->claims.token);
    p->stage = ENDED;
    p->why = why;
    p->until = now_of(p->all) + KEPT_MS;
    LOG(INFO, EV("play.ended"), KU("play", p->id), KU("channel", c->channel), KU("packets", p->playing.packets),
        KS("why", why));
    loop_arm(v->svc.loop, &p->timer, KEPT_MS);
}

// --- speaking ---

static void speak(struct play *p)
{
    struct voice *v = p->all->voice;
    struct playing_packet packet;
    int err;
    while ((err = playing_next(&p->playing, udp_now_us(), &packet)) == OK)
        relay_say(v->relay, p->guest.peer, packet.seq, packet.timestamp, packet.payload, udp_now_us());
    if (err == ERR_MISSING) {
        end(p, "");
        return;
    }
    uint64_t due = playing_due_us(&p->playing), now = udp_now_us();
    loop_arm(v->svc.loop, &p->timer, due > now ? (due - now) / 1000 : 0);
}

static void on_timer(struct timer *t, uint64_t now)
{
    struct play *p = container_of(t, struct play, timer);
    if (p->stage == ENDED)
        play_free(p);
    else if (now - p->asked_at > UNASKED_MS)
        end(p, "its gateway is gone");
    else if (p->stage == SPEAKING)
        speak(p);
    else if (now >= p->until)
        end(p, "it did not get a seat in the channel");
    else
        loop_arm(p->all->voice->svc.loop, t, UNASKED_MS);
}

static void begin(struct play *p)
{
    uint32_t random = randombytes_random();
    p->player = player_new(buf_bytes(&p->file));
    playing_init(&p->playing, p->player, udp_now_us() + LEAD_US, (uint16_t)random, randombytes_random());
    p->stage = SPEAKING;
    guest_speak(&p->guest, true);
    speak(p);
}

static void take_seat(struct play *p, const struct seat *seat)
{
    if (seat->state != SEAT_HERE) {
        end(p, seat->state == SEAT_LEFT ? "he was taken out of the channel" : "the channel is no more, or elsewhere");
        return;
    }
    p->muted = !seat->speaks;
    guest_seat(&p->guest, seat);
    if (p->stage == SITTING)
        begin(p);
}

bool players_seat(struct players *all, uint64_t server, uint64_t user, const char *session, const struct seat *seat)
{
    struct play *p;
    for (uint32_t i = 0; (p = table_next(&all->plays, &i, NULL)) != NULL;) {
        const struct claims *c = &p->claims;
        if (c->server != server || c->user != user || strcmp(c->session, session) != 0)
            continue;
        if (p->stage == SITTING || p->stage == SPEAKING)
            take_seat(p, seat);
        return true;
    }
    return false;
}

// --- being let in ---

static void on_admitted(void *ctx, int code, const struct admitted *who)
{
    struct admission *a = ctx, **at = &a->all->admissions;
    struct play *p = table_get(&a->all->plays, a->play);
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    mem_free(a);
    if (!p || p->stage != ADMITTING)
        return;
    if (code != OK) {
        end(p, "the voice node did not let it in");
        return;
    }
    if (!guest_enter(&p->guest, p->all->voice, who)) {
        end(p, "the voice node is full");
        return;
    }
    p->claims.channel = who->channel;
    p->stage = SITTING;
    p->until = now_of(p->all) + SEAT_MS;
    life_watch(p->all->voice->life, who->server, who->channel, who->user, who->session);
}

// That the file can be played its gateway has made sure of; reading all of it here would keep the relay waiting.
static void admit(struct play *p)
{
    struct admission *a = mem_alloc(sizeof *a);
    *a = (struct admission){p->all, p->id, p->all->admissions};
    p->all->admissions = a;
    p->stage = ADMITTING;
    life_admit(p->all->voice->life, &p->claims, on_admitted, a);
}

// --- commands ---

static void show(const struct play *p, const struct bus_from *from)
{
    struct buf body = {0};
    PACK(&body, played,
         (&(struct played){.play = p->id,
                           .speaks = p->stage == SPEAKING,
                           .muted = p->muted,
                           .ended = p->stage == ENDED,
                           .why = bytes_of(p->why),
                           .ms = p->playing.said / 48,
                           .packets = p->playing.packets}));
    bus_answer(p->all->voice->svc.bus, from, OK, buf_bytes(&body));
    buf_fini(&body);
}

static int open_play(struct players *all, const struct play_open *m)
{
    if (all->plays.n >= PLAYERS_MAX || all->stopped)
        return ERR_FULL;
    struct play *p = mem_alloc(sizeof *p);
    *p = (struct play){.all = all, .id = m->play, .why = "", .bytes = m->bytes, .timer.fire = on_timer};
    p->claims = (struct claims){.server = m->server, .channel = m->channel, .user = m->user};
    if (bytes_copy(p->claims.session, sizeof p->claims.session, m->session) != OK ||
        bytes_copy(p->claims.token, sizeof p->claims.token, m->token) != OK || m->bytes > PLAYERS_FILE_MAX) {
        mem_free(p);
        return ERR_INVALID;
    }
    p->until = now_of(all) + UNASKED_MS + SEAT_MS;
    table_put(&all->plays, p->id, p);
    loop_arm(all->voice->svc.loop, &p->timer, UNASKED_MS);
    LOG(INFO, EV("play.begins"), KU("play", p->id), KU("channel", m->channel), KU("user", m->user));
    return OK;
}

// ERR_STATE: it is not the next piece.
static int take_data(struct play *p, const struct play_data *m)
{
    if (p->stage != LOADING || m->offset != p->file.n || m->data.n == 0 || m->data.n > p->bytes - p->file.n)
        return ERR_STATE;
    buf_add(&p->file, m->data.p, m->data.n);
    if (p->file.n == p->bytes)
        admit(p);
    return OK;
}

bool players_command(struct players *all, const struct bus_from *from, const struct msg *m)
{
    const struct play_open *opens = MSG_IS(m, play_open);
    const struct play_data *data = MSG_IS(m, play_data);
    const struct play_show *shows = MSG_IS(m, play_show);
    const struct play_stop *stops = MSG_IS(m, play_stop);
    if (!opens && !data && !shows && !stops)
        return false;
    uint64_t id = opens ? opens->play : data ? data->play : shows ? shows->play : stops->play;
    struct play *p = table_get(&all->plays, id);
    int err = p ? OK : opens ? open_play(all, opens) : ERR_MISSING;
    p = table_get(&all->plays, id);
    if (p)
        p->asked_at = now_of(all);
    if (p && data)
        err = take_data(p, data);
    if (p && stops)
        end(p, "it was stopped");
    if (err == OK)
        show(p, from);
    else
        bus_answer(all->voice->svc.bus, from, err, BYTES_NONE);
    M.plays = all->plays.n;
    return true;
}

// --- life ---

struct players *players_new(struct voice *v)
{
    struct players *all = mem_alloc(sizeof *all);
    all->voice = v;
    return all;
}

void players_stop(struct players *all)
{
    struct play *p;
    all->stopped = true;
    for (uint32_t i = 0; (p = table_next(&all->plays, &i, NULL)) != NULL;)
        end(p, "its voice node stops");
}

void players_free(struct players *all)
{
    struct play *p;
    if (!all)
        return;
    players_stop(all);
    for (uint32_t i = 0; (p = table_next(&all->plays, &i, NULL)) != NULL;)
        play_free(p);
    for (struct admission *a = all->admissions, *next; a; a = next) {
        next = a->next;
        mem_free(a);
    }
    table_fini(&all->plays);
    mem_free(all);
}

void players_dump(const struct players *all, struct buf *out)
{
    struct play *p;
    for (uint32_t i = 0; (p = table_next(&all->plays, &i, NULL)) != NULL;)
        buf_printf(out, "play %llu: channel %llu, stage %d, %llu packets\n", (unsigned long long)p->id,
                   (unsigned long long)p->claims.channel, (int)p->stage, (unsigned long long)p->playing.packets);
}
