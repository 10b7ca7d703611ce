// voice_io: voice sessions and their rooms: performs what vsession says, and has others told what vroom says. Shell.
#include "voice.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BACKEND_VERSION "0.9.1" // clients show it to the curious
#define WORKER_VERSION "0.3.35"

struct ask {
    struct ask *next;
    struct voice *v;
    uint64_t talker;
};

static struct talker *talker_get(const struct voice *v, uint64_t id)
{
    return table_get(&v->talkers, id);
}

uint32_t voice_known(const struct voice *v)
{
    uint32_t n = 0;
    const struct talker *t;
    for (uint32_t i = 0; (t = table_next(&v->talkers, &i, NULL)) != NULL;)
        n += vsession_known(&t->s);
    return n;
}

// --- finding ---

static uint64_t user_hash(uint64_t server, uint64_t user)
{
    const uint64_t name[2] = {server, user};
    return bytes_hash((struct bytes){(const char *)name, sizeof name});
}

static uint64_t session_hash(uint64_t server, struct bytes session)
{
    return bytes_hash(session) ^ server;
}

static void list(struct talker *t, enum voice_way way, uint64_t hash)
{
    t->next[way] = table_get(&t->voice->ways[way], hash);
    table_put(&t->voice->ways[way], hash, t);
}

static void unlist(struct talker *t, enum voice_way way, uint64_t hash)
{
    struct table *ways = &t->voice->ways[way];
    struct talker *at = table_get(ways, hash);
    if (at != t) {
        while (at->next[way] != t)
            at = at->next[way];
        at->next[way] = t->next[way];
    } else if (t->next[way]) {
        table_put(ways, hash, t->next[way]);
    } else {
        table_remove(ways, hash);
    }
}

// --- telling ---

static void say(struct talker *t, uint8_t op, const struct schema *schema, const void *value)
{
    struct arena a = {0};
    conn_say(t, op, schema_text(&a, schema, value));
    arena_fini(&a);
}
#define SAY(t, op, type, ...) say((t), (op), &schema_##type, &(const struct type){__VA_ARGS__})

// Whoever is told may be closed by it, because he reads too slowly: he is looked up each time.
void voice_hand_out(struct voice *v, struct vtells *tells)
{
    for (uint32_t i = 0; i < tells->n; i++) {
        struct talker *t = talker_get(v, tells->v[i].session);
        if (t)
            conn_say(t, tells->v[i].op, tells->v[i].d);
    }
    vtells_fini(tells);
}

// --- rooms ---

struct vroom *voice_room(struct voice *v, uint64_t channel)
{
    struct vroom *room = table_get(&v->rooms, channel);
    if (room)
        return room;
    room = mem_alloc(sizeof *room);
    room->channel = channel;
    table_put(&v->rooms, channel, room);
    return room;
}

void voice_room_left(struct voice *v, struct vroom *room)
{
    if (room->n > 0)
        return;
    table_remove(&v->rooms, room->channel);
    vroom_fini(room);
    mem_free(room);
}

static void enter(struct talker *t)
{
    t->room = voice_room(t->voice, t->s.who.channel);
    vroom_join(t->room, t->s.id, t->s.who.user, t->s.ssrc);
}

static void quit(struct talker *t, struct vtells *tells)
{
    struct voice *v = t->voice;
    relay_leave(v->relay, t->peer);
    t->peer = 0;
    vroom_leave(t->room, t->s.id, tells);
    voice_room_left(v, t->room);
    t->room = NULL;
}

static void take_seat(struct talker *t, const struct seat *seat, struct vtells *tells)
{
    const struct relay_rights rights = {seat->speaks, seat->hears, seat->video, seat->priority};
    relay_rights(t->voice->relay, t->peer, rights);
    vroom_seat(t->room, t->s.id, seat, tells);
}

static void take_video(struct talker *t, const struct vvideo *video, struct vtells *tells)
{
    relay_video(t->voice->relay, t->peer, vroom_video(t->room, t->s.id, video, tells));
}

static void take_speaking(struct talker *t, uint8_t speaking, struct vtells *tells)
{
    relay_announced(t->voice->relay, t->peer);
    if (speaking)
        relay_begins(t->voice->relay, t->peer);
    vroom_speak(t->room, t->s.id, speaking, tells);
}

// --- what a session's client is told ---

static void ready(struct talker *t)
{
    struct voice *v = t->voice;
    struct bytes modes[SEAL_MODES];
    struct vs_ready_stream streams[VOP_STREAMS];
    for (uint32_t i = 0; i < t->s.n_streams; i++)
        streams[i] = (struct vs_ready_stream){
            .type = BYTES("video"),
            .rid = bytes_of(t->s.rids[i][0] ? t->s.rids[i] : "100"),
            .ssrc = t->s.ssrc + 1 + 2 * i,
            .rtx_ssrc = t->s.ssrc + 2 + 2 * i,
            .quality = t->s.qualities[i],
        };
    enter(t);
    LOG(INFO, EV("voice.in"), KU("session", t->s.id), KU("user", t->s.who.user), KU("channel", t->s.who.channel),
        KU("v", t->s.line.v));
    SAY(t, SAY_READY, vs_ready, .ssrc = t->s.ssrc, .ip = bytes_of(v->cfg.media_ip), .port = udp_port(v->udp),
        .modes = {vsession_modes(&v->rules, modes), modes}, .streams = {t->s.n_streams, streams});
}

static void describe(struct talker *t, struct vtells *tells)
{
    uint8_t key[SEAL_KEY];
    struct buf numbers = {0}, wants = {0};
    randombytes_buf(key, sizeof key);
    relay_key(t->voice->relay, t->peer, t->s.mode, key);
    vop_key(&numbers, key, sizeof key);
    enum vcodec codec = vroom_codecs(t->room, t->s.id, &t->s.codecs, true, tells);
    if (!t->described) {
        t->described = true;
        vop_wants(&wants, 0, NULL);
        conn_say(t, SAY_WANTS, buf_bytes(&wants));
    }
    SAY(t, SAY_DESCRIPTION, vs_description, .audio_codec = BYTES("opus"), .video_codec = bytes_of(vcodec_name(codec)),
        .media_session_id = bytes_of(t->media), .mode = bytes_of(seal_name(t->s.mode)),
        .secret_key = buf_bytes(&numbers));
    sodium_memzero(key, sizeof key);
    sodium_memzero(numbers.p, numbers.n);
    buf_fini(&numbers);
    buf_fini(&wants);
}

static void acknowledge(struct talker *t, const struct vop_beat *beat)
{
    struct buf d = {0};
    vop_ack(&d, beat);
    conn_say(t, SAY_ACK, buf_bytes(&d));
    buf_fini(&d);
}

// --- letting in ---

static struct talker *next_of_user(struct talker *t, uint64_t server, uint64_t user)
{
    while (t && (t->s.who.server != server || t->s.who.user != user))
        t = t->next[VOICE_BY_USER];
    return t;
}

static struct talker *first_of_user(const struct voice *v, uint64_t server, uint64_t user)
{
    return next_of_user(table_get(&v->ways[VOICE_BY_USER], user_hash(server, user)), server, user);
}

// A user is in one place of a server at a time: whoever else was he there has lost it. The code says whether it was the
// same client.
void voice_replace(struct voice *v, const struct admitted *who)
{
    struct talker *t;
    while ((t = first_of_user(v, who->server, who->user)) != NULL) {
        bool same = strcmp(t->s.who.session, who->session) == 0;
        M.voice_replaced++;
        voice_step(t, &(struct vsession_in){.kind = VSESSION_IN_REPLACED,
                                            .code = same ? VCLOSE_SESSION_INVALID : VCLOSE_DISCONNECTED});
    }
}

static void on_admitted(void *ctx, int code, const struct admitted *who)
{
    struct ask *ask = ctx, **at = &ask->v->asks;
    struct voice *v = ask->v;
    struct talker *t = talker_get(v, ask->talker);
    struct vsession_in in = {.kind = VSESSION_IN_ADMITTED, .code = code, .who = who};
    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
    mem_free(ask);
    if (!t) // its socket is gone meanwhile
        return;
    if (code == OK) {
        voice_replace(v, who);
        t->peer = relay_join(v->relay, who->channel, who->user, &in.ssrc);
        in.ssrc = t->peer ? in.ssrc : 0;
    }
    voice_step(t, &in);
}

static void admit(struct talker *t, const struct vc_identify *c)
{
    struct ask *ask = mem_alloc(sizeof *ask);
    struct claims claims = {.server = c->server_id, .channel = c->channel_id, .user = c->user_id};
    CHECK(bytes_copy(claims.session, sizeof claims.session, c->session_id) == OK);
    CHECK(bytes_copy(claims.token, sizeof claims.token, c->token) == OK);
    if (t->s.line.v < VOP_VERSION_MAX)
        claims.channel = 0;
    *ask = (struct ask){t->voice->asks, t->voice, t->s.id};
    t->voice->asks = ask;
    life_admit(t->voice->life, &claims, on_admitted, ask);
}

static void watch(struct talker *t)
{
    const struct admitted *who = &t->s.who;
    t->watched = true;
    list(t, VOICE_BY_USER, user_hash(who->server, who->user));
    list(t, VOICE_BY_SESSION, session_hash(who->server, bytes_of(who->session)));
    life_watch(t->voice->life, who->server, who->channel, who->user, who->session);
}

// --- ending ---

static void forget(struct talker *t)
{
    struct voice *v = t->voice;
    const struct admitted *who = &t->s.who;
    if (t->watched) {
        unlist(t, VOICE_BY_USER, user_hash(who->server, who->user));
        unlist(t, VOICE_BY_SESSION, session_hash(who->server, bytes_of(who->session)));
        life_unwatch(v->life, who->server, who->user, who->session);
        LOG(INFO, EV("voice.out"), KU("session", t->s.id), KU("user", who->user), KU("channel", who->channel));
    }
    loop_cancel(v->svc.loop, &t->deadline);
    table_remove(&v->talkers, t->s.id);
    vsession_fini(&t->s);
    mem_free(t);
}

// --- resuming ---

static struct talker *find_session(const struct voice *v, const struct vc_resume *c)
{
    struct talker *t = table_get(&v->ways[VOICE_BY_SESSION], session_hash(c->server_id, c->session_id));
    while (t && (t->s.who.server != c->server_id || !bytes_is(c->session_id, t->s.who.session)))
        t = t->next[VOICE_BY_SESSION];
    return t;
}

static void perform(struct talker *t, const struct vsession_fxs *fxs);

static void resume(struct talker *fresh, const struct vop_resume *op)
{
    struct voice *v = fresh->voice;
    struct talker *old = find_session(v, &op->c);
    uint64_t conn = fresh->s.line.conn, now = loop_now(v->svc.loop);
    struct vsession_fxs mine, theirs;
    vsession_resume(&fresh->s, old ? &old->s : NULL, op, &v->rules, now, &mine, &theirs);
    bool resumed = theirs.n > 0;
    resumed ? M.voice_resumes++ : M.voice_resumes_refused++;
    if (resumed)
        table_put(&v->conns, conn, old);
    perform(fresh, &mine);
    if (resumed)
        perform(old, &theirs);
}

// --- effects ---

static void perform_one(struct talker *t, const struct vsession_fx *fx, struct vtells *tells)
{
    struct voice *v = t->voice;
    switch (fx->kind) {
    case VSESSION_FX_ACK:
        acknowledge(t, &fx->op->beat);
        break;
    case VSESSION_FX_BACKEND:
        SAY(t, SAY_BACKEND, vs_version, .voice = BYTES(BACKEND_VERSION), .rtc_worker = BYTES(WORKER_VERSION));
        break;
    case VSESSION_FX_CLOSE:
        LOG_PEER(INFO, EV("voice.closed"), KU("session", t->s.id), KU("user", t->s.who.user), KU("code", fx->code));
        conn_close(v, fx->conn, fx->code);
        break;
    case VSESSION_FX_ADMIT:
        admit(t, &fx->op->identify);
        break;
    case VSESSION_FX_READY:
        ready(t);
        break;
    case VSESSION_FX_WATCH:
        watch(t);
        break;
    case VSESSION_FX_DESCRIBE:
        describe(t, tells);
        break;
    case VSESSION_FX_SPEAK:
        take_speaking(t, fx->op->speaking, tells);
        break;
    case VSESSION_FX_VIDEO:
        take_video(t, &fx->op->video, tells);
        break;
    case VSESSION_FX_CODECS:
        (void)vroom_codecs(t->room, t->s.id, &fx->op->codecs, false, tells);
        break;
    case VSESSION_FX_WANTS:
        vroom_wants(t->room, t->s.id, &fx->op->wants, tells);
        break;
    case VSESSION_FX_SEAT:
        take_seat(t, fx->seat, tells);
        break;
    case VSESSION_FX_QUIT:
        quit(t, tells);
        break;
    case VSESSION_FX_RESUME:
        resume(t, &fx->op->resume);
        break;
    case VSESSION_FX_RESUMED:
        conn_say(t, SAY_RESUMED, BYTES_NONE);
        conn_say_again(t, fx->skip);
        break;
    case VSESSION_FX_ABSENT:
        life_gone(v->life, t->s.who.server, t->s.who.channel, t->s.who.user, t->s.who.session);
        break;
    case VSESSION_FX_END:
        forget(t);
        break;
    }
}

// In order. One may end it, at once or by what follows from it, and then nothing is left to be done for it.
static void perform(struct talker *t, const struct vsession_fxs *fxs)
{
    struct voice *v = t->voice;
    uint64_t id = t->s.id;
    struct arena arena = {0};
    for (uint32_t i = 0; i < fxs->n && (t = talker_get(v, id)) != NULL; i++) {
        struct vtells tells = {.arena = &arena};
        perform_one(t, &fxs->v[i], &tells);
        voice_hand_out(v, &tells);
    }
    arena_fini(&arena);
    t = talker_get(v, id);
    if (t) {
        uint64_t at = vsession_deadline(&t->s), now = loop_now(v->svc.loop);
        loop_arm(v->svc.loop, &t->deadline, at > now ? at - now : 0);
    }
}

static void note(const struct vsession_fxs *fxs, const struct vsession_in *in)
{
    for (uint32_t i = 0; i < fxs->n; i++) {
        if (fxs->v[i].kind != VSESSION_FX_CLOSE)
            continue;
        if (fxs->v[i].code == VCLOSE_RATE_LIMITED)
            M.client_floods++;
        else if (in->kind == VSESSION_IN_OP || in->kind == VSESSION_IN_TOO_LARGE)
            M.client_frames_bad++;
        else if (in->kind == VSESSION_IN_TICK && fxs->v[i].code == VCLOSE_SESSION_TIMED_OUT)
            M.sessions_timed_out++;
    }
}

void voice_step(struct talker *t, const struct vsession_in *in)
{
    struct vsession_fxs fxs;
    vsession_step(&t->s, in, &t->voice->rules, loop_now(t->voice->svc.loop), &fxs);
    note(&fxs, in);
    perform(t, &fxs);
}

// --- what causes them ---

static void on_deadline(struct timer *timer, uint64_t now)
{
    (void)now;
    voice_step(container_of(timer, struct talker, deadline), &(struct vsession_in){.kind = VSESSION_IN_TICK});
}

void voice_open(struct voice *v, uint64_t conn, uint32_t version)
{
    struct talker *t = mem_alloc(sizeof *t);
    uint8_t media[16];
    t->voice = v;
    t->deadline.fire = on_deadline;
    randombytes_buf(media, sizeof media);
    sodium_bin2hex(t->media, sizeof t->media, media, sizeof media);
    vsession_init(&t->s, ++v->last_talker, conn, version, &v->rules, loop_now(v->svc.loop));
    table_put(&v->talkers, t->s.id, t);
    table_put(&v->conns, conn, t);
    SAY(t, SAY_HELLO, vs_hello, version, v->rules.heartbeat_ms);
    perform(t, &(struct vsession_fxs){0});
}

void voice_on_seat(void *ctx, uint64_t server, uint64_t user, const char *session, const struct seat *seat)
{
    struct talker *t = first_of_user(ctx, server, user);
    while (t && strcmp(t->s.who.session, session) != 0)
        t = next_of_user(t->next[VOICE_BY_USER], server, user);
    if (t)
        voice_step(t, &(struct vsession_in){.kind = VSESSION_IN_SEAT, .seat = seat});
}

void voice_on_worn(void *ctx, relay_peer p)
{
    struct voice *v = ctx;
    struct talker *t;
    for (uint32_t i = 0; (t = table_next(&v->talkers, &i, NULL)) != NULL;)
        if (t->peer == p) {
            voice_step(t, &(struct vsession_in){.kind = VSESSION_IN_REPLACED, .code = VCLOSE_SESSION_INVALID});
            return;
        }
}

void voice_finish(struct voice *v)
{
    struct talker *t;
    v->finished = true;
    for (uint32_t i = 0; (t = table_next(&v->talkers, &i, NULL)) != NULL;)
        voice_step(t, &(struct vsession_in){.kind = VSESSION_IN_STOP});
}

void voice_free(struct voice *v)
{
    CHECK(v->talkers.n == 0 && v->rooms.n == 0);
    for (struct ask *a = v->asks, *next; a; a = next) {
        next = a->next;
        mem_free(a);
    }
    table_fini(&v->talkers);
    table_fini(&v->conns);
    table_fini(&v->rooms);
    for (int way = 0; way < VOICE_WAYS; way++)
        table_fini(&v->ways[way]);
}

void voice_dump(const struct voice *v, struct buf *out)
{
    static const char *const names[VSESSION_STATES] = {"hello",    "admitting", "ready",   "live",
                                                       "detached", "absent",    "leaving", "gone"};
    uint32_t n[VSESSION_STATES] = {0};
    const struct talker *t;
    for (uint32_t i = 0; (t = table_next(&v->talkers, &i, NULL)) != NULL;)
        n[t->s.state]++;
    buf_printf(out, "sockets %u, rooms %u\nvoice sessions", v->sockets, v->rooms.n);
    for (size_t i = 0; i < countof(names); i++)
        buf_printf(out, " %s=%u", names[i], n[i]);
    buf_char(out, '\n');
}
