// switchboard-voice-node: speaks the voice websocket and relays media between those in a channel. Settings, and the
// order of starting and stopping.
#include "players.h"
#include "recorder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_MAX (16u * 1024)
#define QUEUE_MAX (512u * 1024) // a client that reads is told less of a full channel when it joins
#define HELD_MAX (128u * 1024 * 1024)
#define PEER_PPS 4000u    // voice is 50 a second; video at 8 Mbit/s about 900, with RTX and reports
#define STRANGER_PPS 500u // discovery: a house full of bots that start together has one address
// On one machine the answer would be there before the client listens for it: discord.py 2.7 asks first, and then tells
// the thread that reads which packet it wants. When that thread is reading already, as on a second voice server, it
// throws away what it does not know, and the client waits for ever.
#define DISCOVERY_MS 20u
#define CLOSE_MS 3000u // for close frames to leave
#define LAG_EVERY_MS 100u

// --- callbacks ---

static void wait_to_answer(struct voice *v, uint64_t now_us)
{
    uint64_t due_us = relay_answer_due(v->relay);
    if (due_us && !timer_armed(&v->answers))
        loop_arm(v->svc.loop, &v->answers, due_us > now_us ? (due_us - now_us + 999) / 1000 : 0);
}

static void on_datagrams(void *ctx, struct datagram *d, uint32_t n, uint64_t now_us)
{
    struct voice *v = ctx;
    relay_take(v->relay, d, n, now_us);
    wait_to_answer(v, now_us);
}

static void on_answers(struct timer *t, uint64_t now)
{
    struct voice *v = container_of(t, struct voice, answers);
    uint64_t now_us = udp_now_us();
    (void)now;
    relay_answer(v->relay, now_us);
    wait_to_answer(v, now_us);
}

static void on_send(void *ctx, const struct relay_send *s, uint32_t n)
{
    struct voice *v = ctx;
    udp_send(v->udp, s, n);
}

static void on_heard(void *ctx, uint64_t room, const struct relay_heard *h)
{
    struct voice *v = ctx;
    recorder_heard(v->recorder, room, h);
}

static void on_seat(void *ctx, uint64_t server, uint64_t user, const char *session, const struct seat *seat)
{
    struct voice *v = ctx;
    if (!players_seat(v->players, server, user, session, seat))
        voice_on_seat(v, server, user, session, seat);
}

static void on_command(void *ctx, const struct bus_from *from, const struct msg *m)
{
    struct voice *v = ctx;
    if (!recorder_command(v->recorder, from, m) && !players_command(v->players, from, m))
        bus_answer(v->svc.bus, from, ERR_INVALID, BYTES_NONE);
}

static uint32_t load(void *ctx)
{
    return voice_known(ctx);
}

static void count(struct voice *v)
{
    uint32_t known = 0, detached = 0;
    const struct talker *t;
    for (uint32_t i = 0; (t = table_next(&v->talkers, &i, NULL)) != NULL;) {
        known += vsession_known(&t->s);
        detached += t->s.state == VSESSION_DETACHED || t->s.state == VSESSION_ABSENT;
    }
    M.voice_sessions = known;
    M.voice_sessions_detached = detached;
    M.voice_rooms = v->rooms.n;
    M.loop_lag_ms = v->lag_ms;
    v->lag_ms = 0;
}

static void on_second(struct timer *t, uint64_t now)
{
    struct voice *v = container_of(t, struct voice, second);
    (void)now;
    loop_arm(v->svc.loop, t, 1000);
    relay_tick(v->relay, udp_now_us());
    count(v);
}

static void on_lag(struct timer *t, uint64_t now)
{
    struct voice *v = container_of(t, struct voice, lag);
    uint64_t late = now > t->due_at ? now - t->due_at : 0;
    v->lag_ms = late > v->lag_ms ? late : v->lag_ms;
    loop_arm(v->svc.loop, t, LAG_EVERY_MS);
}

static void on_event(void *ctx, const struct msg *m)
{
    struct voice *v = ctx;
    life_event(v->life, m);
}

static void on_loss(void *ctx, const char *why)
{
    struct voice *v = ctx;
    (void)why;
    life_loss(v->life);
}

static void on_up(void *ctx)
{
    struct voice *v = ctx;
    if (v->life) // it may come back while this process ends
        life_loss(v->life);
}

static const char *not_ready(void *ctx)
{
    const struct voice *v = ctx;
    return life_not_ready(v->life);
}

static void on_dump(void *ctx, struct buf *out)
{
    const struct voice *v = ctx;
    if (!v->life) // all of it has been given back
        return;
    voice_dump(v, out);
    relay_dump(v->relay, out);
    recorder_dump(v->recorder, out);
    players_dump(v->players, out);
    life_dump(v->life, out);
}

static void on_reload(void *ctx)
{
    struct voice *v = ctx;
    certificate_reload(v->certificate);
}

// Who is here stays until he has been told of another node, and may come back until then.
static void on_stop(void *ctx)
{
    struct voice *v = ctx;
    v->finish_by = loop_now(v->svc.loop) + v->cfg.drain_ms;
    life_drain(v->life);
}

static bool idle(void *ctx)
{
    struct voice *v = ctx;
    bool moved = voice_known(v) == 0 && life_drained(v->life);
    if (!v->finished && (moved || loop_now(v->svc.loop) >= v->finish_by)) {
        LOG(INFO, EV("node.drained"), KU("left", voice_known(v)));
        web_refuse_new(v->web);
        voice_finish(v);
    }
    return v->finished && v->sockets == 0;
}

static void on_fini(void *ctx)
{
    struct voice *v = ctx;
    players_free(v->players);
    recorder_free(v->recorder);
    voice_finish(v);
    loop_cancel(v->svc.loop, &v->second);
    loop_cancel(v->svc.loop, &v->lag);
    loop_cancel(v->svc.loop, &v->answers);
    web_stop(v->web);
    life_free(v->life);
    v->life = NULL;
    udp_stop(v->udp);
    udp_free(v->udp);
    relay_free(v->relay);
}

static void on_end(void *ctx)
{
    struct voice *v = ctx;
    web_free(v->web);
    certificate_free(v->certificate);
    voice_free(v);
}

// --- start ---

static _Noreturn void refuse(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(2);
}

// Clients parse it themselves: no name, and no address that means all of them.
static void settle_media_ip(struct voice *v)
{
    struct in_addr a;
    if (!v->cfg.udp_bind[0])
        v->cfg.udp_bind = v->cfg.bind;
    if (inet_pton(AF_INET, v->cfg.udp_bind, &a) != 1)
        refuse("SB_UDP_BIND (--udp-bind)", "must be an IPv4 address");
    if (!v->cfg.media_ip[0])
        v->cfg.media_ip = v->cfg.udp_bind;
    if (inet_pton(AF_INET, v->cfg.media_ip, &a) != 1 || a.s_addr == 0)
        refuse("SB_MEDIA_IP (--media-ip)", "must be the IPv4 address at which clients reach this node");
}

static void listen_for_media(struct voice *v)
{
    const struct relay_cfg relay = {
        .peers_max = (uint32_t)v->cfg.capacity,
        .rooms_max = (uint32_t)v->cfg.capacity,
        .peer_pps = PEER_PPS,
        .stranger_pps = STRANGER_PPS,
        .discovery_us = DISCOVERY_MS * 1000,
        .seed = ((uint64_t)randombytes_random() << 32) | randombytes_random(),
        .send = on_send,
        .heard = on_heard,
        .worn = voice_on_worn,
        .ctx = v,
    };
    v->relay = relay_new(&relay);
    v->udp = udp_new(v->svc.loop, v->cfg.udp_bind, (uint16_t)v->cfg.udp_port, on_datagrams, v);
    if (!v->udp)
        refuse("SB_UDP_PORT (--udp-port)", strerror(errno));
    v->svc.media_port = udp_port(v->udp);
}

static void listen_to_clients(struct voice *v)
{
    struct web_cfg cfg = {
        .bind = v->cfg.bind,
        .port = v->cfg.port,
        .body_max = 1024,
        .frame_max = FRAME_MAX,
        .queue_max = QUEUE_MAX,
        .held_max = HELD_MAX,
        .connections_max = 2 * v->cfg.capacity + 64,
        .per_address = v->cfg.connections_per_address,
        .request_ms = v->cfg.request_ms,
        .keepalive_ms = v->cfg.request_ms,
        .tls = certificate_tls(v->certificate),
        .on_request = conn_request,
        .on_open = conn_open,
        .on_message = conn_message,
        .on_too_large = conn_too_large,
        .on_close = conn_gone,
        .on_slow = conn_slow,
        .ctx = v,
    };
    if (networks_parse(bytes_of(v->cfg.balancers), &cfg.balancers) != OK)
        refuse("SB_BALANCERS (--balancers)", "must be addresses or networks like 10.0.0.0/8, separated by commas");
    v->web = web_new(v->svc.loop, cfg);
    if (!v->web)
        refuse("SB_PORT (--port)", "cannot be listened on; the line above says why");
    v->svc.voice_port = web_port(v->web);
}

static void start(struct voice *v)
{
    const struct life_cfg life = {
        .service = &v->svc,
        .region = v->cfg.region,
        .endpoint = v->cfg.endpoint,
        .capacity = v->cfg.capacity,
        .on_seat = on_seat,
        .load = load,
        .ctx = v,
    };
    v->rules = (struct vsession_rules){
        .heartbeat_ms = v->cfg.heartbeat_ms,
        .identify_ms = v->cfg.identify_ms,
        .resume_ms = v->cfg.resume_ms,
        .grace_ms = v->cfg.grace_ms,
        .modes_old = v->cfg.modes_old,
    };
    v->svc.drain_ms = v->cfg.drain_ms + CLOSE_MS;
    settle_media_ip(v);
    v->certificate = certificate_start(v->svc.loop, v->cfg.tls_certificate, v->cfg.tls_key);
    listen_for_media(v);
    listen_to_clients(v);
    v->life = life_new(&life);
    v->recorder = recorder_new(&(struct recorder_cfg){.service = &v->svc,
                                                      .relay = v->relay,
                                                      .now_us = udp_now_us,
                                                      .bytes = v->cfg.record_bytes,
                                                      .longest_ms = v->cfg.record_ms,
                                                      .keep_ms = v->cfg.record_keep_ms});
    v->players = players_new(v);
    v->second.fire = on_second;
    v->lag.fire = on_lag;
    v->answers.fire = on_answers;
    loop_arm(v->svc.loop, &v->second, 1000);
    loop_arm(v->svc.loop, &v->lag, LAG_EVERY_MS);
}

int main(int argc, char **argv)
{
    struct voice v = {0};
    const struct config_row rows[] = {
        {"SB_REGION", CONFIG_TEXT, &v.cfg.region, NULL, 1, 64, "id of the region that this node is in"},
        {"SB_ENDPOINT", CONFIG_TEXT, &v.cfg.endpoint, NULL, 1, 255,
         "host:port at which clients reach the voice websocket, as they are told; several libraries always take port "
         "443"},
        {"SB_BIND", CONFIG_TEXT, &v.cfg.bind, "127.0.0.1", 1, 255, "address of the voice websocket"},
        {"SB_PORT", CONFIG_UINT, &v.cfg.port, "0", 0, 65535, "its port; 0: any free one"},
        {"SB_UDP_BIND", CONFIG_TEXT, &v.cfg.udp_bind, "", 0, 64, "IPv4 address of the media port; empty: SB_BIND"},
        {"SB_UDP_PORT", CONFIG_UINT, &v.cfg.udp_port, "0", 0, 65535, "its port; 0: any free one"},
        {"SB_MEDIA_IP", CONFIG_TEXT, &v.cfg.media_ip, "", 0, 64,
         "IPv4 address to which clients send media, as they are told; empty: SB_UDP_BIND"},
        {"SB_TLS_CERTIFICATE", CONFIG_TEXT, &v.cfg.tls_certificate, "", 0, 4096,
         "PEM file with the certificate chain of the address for clients; empty: no TLS"},
        {"SB_TLS_KEY", CONFIG_TEXT, &v.cfg.tls_key, "", 0, 4096,
         "PEM file with its private key; SIGHUP reads both again, connections stay"},
        {"SB_CAPACITY", CONFIG_UINT, &v.cfg.capacity, "1000", 1, 20000, "voice sessions at a time; more are refused"},
        {"SB_CONNECTIONS_PER_ADDRESS", CONFIG_UINT, &v.cfg.connections_per_address, "1000", 0, 1000000,
         "those of one IPv4 address, or of 64 bits of an IPv6 one; 0: any number"},
        {"SB_BALANCERS", CONFIG_TEXT, &v.cfg.balancers, "127.0.0.0/8, ::1", 0, 1024,
         "addresses or networks that are not counted so: there, X-Forwarded-For says whose a websocket is"},
        {"SB_REQUEST_MS", CONFIG_UINT, &v.cfg.request_ms, "15000", 100, 600000,
         "time for a whole HTTP request or websocket upgrade to come, in ms"},
        {"SB_IDENTIFY_MS", CONFIG_UINT, &v.cfg.identify_ms, "60000", 100, 600000,
         "time for a client to identify or resume after Hello, in ms"},
        {"SB_VOICE_HEARTBEAT_MS", CONFIG_UINT, &v.cfg.heartbeat_ms, "13750", 100, 600000,
         "heartbeat interval of voice clients; three in a row may be missing"},
        {"SB_VOICE_RESUME_MS", CONFIG_UINT, &v.cfg.resume_ms, "30000", 100, 3600000,
         "how long a voice session whose socket is gone may be resumed, and others hear it, in ms"},
        {"SB_VOICE_GRACE_MS", CONFIG_UINT, &v.cfg.grace_ms, "60000", 100, 3600000,
         "how long it may be gone before its user is taken out of the channel, in ms"},
        {"SB_VOICE_MODES_OLD", CONFIG_UINT, &v.cfg.modes_old, "1", 0, 1,
         "1: the three xsalsa20 encryption modes are offered too, which some libraries need; 0: not"},
        {"SB_DRAIN_MS", CONFIG_UINT, &v.cfg.drain_ms, "10000", 0, 600000,
         "how long a node that stops waits for who is there to be moved to another, in ms"},
        {"SB_RECORD_BYTES", CONFIG_UINT, &v.cfg.record_bytes, "67108864", 1u << 20, 1ull << 36,
         "what all recordings of a node may take; one for which there is no room ends"},
        {"SB_RECORD_MS", CONFIG_UINT, &v.cfg.record_ms, "3600000", 1000, 14400000,
         "how long a recording may be, in ms; then it ends"},
        {"SB_RECORD_KEEP_MS", CONFIG_UINT, &v.cfg.record_keep_ms, "600000", 1000, 86400000,
         "how long one that has ended can be read, in ms"},
    };
    v.svc = (struct service){
        .kind = BUS_VOICE_NODE,
        .ctx = &v,
        .on_command = on_command,
        .on_event = on_event,
        .on_loss = on_loss,
        .on_up = on_up,
        .not_ready = not_ready,
        .on_dump = on_dump,
        .on_reload = on_reload,
        .on_stop = on_stop,
        .idle = idle,
        .on_fini = on_fini,
        .on_end = on_end,
    };
    service_start(&v.svc, rows, countof(rows), argc, argv);
    start(&v);
    return service_run(&v.svc);
}
