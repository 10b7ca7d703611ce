// switchboard-gateway: between clients and the owners of state. Settings, and the order of starting and stopping.
#include "conns.h"
#include "origin.h"
#include "plays.h"
#include "token.h"

#include <stdio.h>
#include <stdlib.h>

#define BODY_MAX (256u * 1024)            // of a public request: a message of 4000 characters, escaped
#define ADMIN_BODY_MAX (8u * 1024 * 1024) // a file that is to be spoken; a world document has 1 MiB
#define FRAME_MAX (15u * 1024)            // https://docs.discord.food/gateway/using-gateway, "Sending Events"
#define ADMIN_CONNECTIONS 64u
#define ADMIN_HELD (64u * 1024 * 1024)

void gateway_url(const struct gateway *g, struct buf *out, struct bytes host)
{
    if (g->cfg.public_url[0])
        buf_str(out, g->cfg.public_url);
    else if (host.n)
        buf_printf(out, "%s://%.*s", g->certificate ? "wss" : "ws", BYTES_FMT(host));
    else
        buf_printf(out, "%s://%s:%u", g->certificate ? "wss" : "ws", g->cfg.bind, (unsigned)g->svc.public_port);
}

// --- callbacks ---

static void on_up(void *ctx)
{
    struct gateway *g = ctx;
    system_recover(g);
    fanout_recover(g, "redis is there");
}

static void on_loss(void *ctx, const char *why)
{
    struct gateway *g = ctx;
    if (!store_up(g->svc.store))
        return; // on_up does it
    system_recover(g);
    fanout_recover(g, why);
}

static void on_peer(void *ctx, enum bus_kind kind, const char *instance, bool up)
{
    (void)instance;
    system_peer(ctx, kind, up);
}

static const char *not_ready(void *ctx)
{
    const char *why = system_not_ready(ctx);
    return why ? why : fanout_not_ready(ctx);
}

static void on_dump(void *ctx, struct buf *out)
{
    conns_dump(ctx, out);
    fanout_dump(ctx, out);
    guilds_dump(ctx, out);
}

static void on_reload(void *ctx)
{
    certificate_reload(((struct gateway *)ctx)->certificate);
}

static void on_stop(void *ctx)
{
    struct gateway *g = ctx;
    web_refuse_new(g->web);
    web_refuse_new(g->admin_web);
    plays_stop(g);
    system_stop(g);
    conns_stop(g);
}

static bool idle(void *ctx)
{
    const struct gateway *g = ctx;
    return conns_idle(g) && rest_idle(g) && loads_idle(g) && plays_idle(g);
}

static void on_fini(void *ctx)
{
    struct gateway *g = ctx;
    web_stop(g->web);
    web_stop(g->admin_web);
}

// Redis and the bus have ended by now, and with them everything that waited for them.
static void on_end(void *ctx)
{
    struct gateway *g = ctx;
    web_free(g->web);
    web_free(g->admin_web);
    certificate_free(g->certificate);
    rest_stop(g);
    admin_stop(g);
    plays_free(g);
    conns_free(g);
    guilds_free(g);
    fanout_free(g);
    system_free(g);
    loads_free(g);
}

// --- start ---

static _Noreturn void refuse(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(2);
}

static int told(const char *port, int status, const struct http_head *h)
{
    if (status == 403)
        LOG_PEER(INFO, EV("origin.refused"), KS("port", port), KB("origin", h->origin), KB("host", h->host));
    return status;
}

static int on_head(void *ctx, const struct http_head *h, struct buf *headers)
{
    const struct gateway *g = ctx;
    const struct origin_rules rules = {bytes_of(g->cfg.origins), bytes_of(g->cfg.public_url)};
    return told("public", origin_admit(&rules, h, headers), h);
}

static int on_admin_head(void *ctx, const struct http_head *h, struct buf *headers)
{
    const struct gateway *g = ctx;
    (void)headers;
    return told("admin", origin_admit_admin(bytes_of(g->cfg.admin_bind), h), h);
}

static void check_origins(const struct gateway *g)
{
    struct bytes bad;
    if (origin_check_setting(bytes_of(g->cfg.origins), &bad) == OK)
        return;
    fprintf(stderr, "SB_ORIGINS (--origins): \"%.*s\" is neither * nor an origin such as https://chat.example.\n",
            BYTES_FMT(bad));
    exit(2);
}

static void listen_to_clients(struct gateway *g)
{
    g->cfg.admin_bind = service_bind(&g->svc, "SB_ADMIN_BIND (--admin-bind)", g->cfg.admin_bind);
    struct web_cfg public = {
        .bind = g->cfg.bind,
        .port = g->cfg.port,
        .body_max = BODY_MAX,
        .frame_max = FRAME_MAX,
        .queue_max = g->cfg.send_queue_bytes,
        .held_max = g->cfg.client_bytes,
        .connections_max = g->cfg.connections_max,
        .per_address = g->cfg.connections_per_address,
        .request_ms = g->cfg.request_ms,
        .keepalive_ms = g->cfg.keepalive_ms,
        .tls = certificate_tls(g->certificate),
        .on_head = on_head,
        .on_request = rest_request,
        .on_open = conns_open,
        .on_message = conns_message,
        .on_too_large = conns_too_large,
        .on_close = conns_close,
        .on_slow = conns_slow,
        .ctx = g,
    };
    const struct web_cfg admin = {
        .bind = g->cfg.admin_bind,
        .port = g->cfg.admin_port,
        .body_max = ADMIN_BODY_MAX,
        .frame_max = FRAME_MAX,
        .queue_max = ADMIN_HELD,
        .held_max = ADMIN_HELD,
        .connections_max = ADMIN_CONNECTIONS,
        .request_ms = g->cfg.request_ms,
        .keepalive_ms = g->cfg.keepalive_ms,
        .on_head = on_admin_head,
        .on_request = admin_request,
        .ctx = g,
    };
    if (networks_parse(bytes_of(g->cfg.balancers), &public.balancers) != OK)
        refuse("SB_BALANCERS (--balancers)", "must be addresses or networks like 10.0.0.0/8, separated by commas");
    g->web = web_new(g->svc.loop, public);
    if (!g->web)
        refuse("SB_PORT (--port)", "cannot be listened on; the line above says why");
    g->admin_web = web_new(g->svc.loop, admin);
    if (!g->admin_web)
        refuse("SB_ADMIN_PORT (--admin-port)", "cannot be listened on; the line above says why");
    g->svc.public_port = web_port(g->web);
    g->svc.admin_port = web_port(g->admin_web);
}

static void start(struct gateway *g)
{
    // A resumed client is sent its whole replay at once.
    if (g->cfg.send_queue_bytes < 2 * g->cfg.replay_bytes)
        refuse("SB_SEND_QUEUE_BYTES (--send-queue-bytes)", "must be at least twice SB_REPLAY_BYTES");
    if (g->cfg.client_bytes < g->cfg.send_queue_bytes)
        refuse("SB_CLIENT_BYTES (--client-bytes)", "must be at least SB_SEND_QUEUE_BYTES");
    check_origins(g);
    loads_start(g);
    conns_start(g);
    fanout_start(g);
    guilds_start(g);
    system_start(g);
    rest_start(g);
    admin_start(g);
    plays_start(g);
    bus_watch(g->svc.bus, BUS_CALL_MANAGER);
    bus_watch(g->svc.bus, BUS_REGION_ALLOCATOR);
    bus_watch(g->svc.bus, BUS_MESSAGE);
    bus_watch(g->svc.bus, BUS_VOICE_NODE);
    g->certificate = certificate_start(g->svc.loop, g->cfg.tls_certificate, g->cfg.tls_key);
    listen_to_clients(g);
}

int main(int argc, char **argv)
{
    struct gateway g = {0};
    const struct config_row rows[] = {
        {"SB_BIND", CONFIG_TEXT, &g.cfg.bind, "127.0.0.1", 1, 255, "address for clients: HTTP and websocket"},
        {"SB_PORT", CONFIG_UINT, &g.cfg.port, "8080", 0, 65535, "its port; 0: any free one"},
        {"SB_ADMIN_BIND", CONFIG_TEXT, &g.cfg.admin_bind, "127.0.0.1", 1, 255,
         "address of the admin API; @redis as for SB_BUS_BIND"},
        {"SB_ADMIN_PORT", CONFIG_UINT, &g.cfg.admin_port, "8081", 0, 65535, "its port; 0: any free one"},
        {"SB_ADMIN_TOKEN", CONFIG_SECRET, &g.cfg.admin_token, NULL, 16, 256, "what callers of the admin API must know"},
        {"SB_TOKEN_SECRET", CONFIG_SECRET, &g.cfg.token_secret, NULL, TOKEN_SECRET_MIN, 256,
         "signs client tokens; the same for all gateways"},
        {"SB_PUBLIC_URL", CONFIG_TEXT, &g.cfg.public_url, "", 0, 512,
         "websocket URL that clients are told, e.g. wss://gateway.example; empty: made from the Host header"},
        {"SB_ORIGINS", CONFIG_TEXT, &g.cfg.origins, "", 0, 4096,
         "web pages that may use the API, e.g. https://chat.example; * is all; who is no web page always may"},
        {"SB_TLS_CERTIFICATE", CONFIG_TEXT, &g.cfg.tls_certificate, "", 0, 4096,
         "PEM file with the certificate chain of the address for clients; empty: no TLS"},
        {"SB_TLS_KEY", CONFIG_TEXT, &g.cfg.tls_key, "", 0, 4096,
         "PEM file with its private key; SIGHUP reads both again, connections stay"},
        {"SB_HEARTBEAT_MS", CONFIG_UINT, &g.cfg.heartbeat_ms, "41250", 100, 600000, "heartbeat interval of clients"},
        {"SB_RESUME_WINDOW_MS", CONFIG_UINT, &g.cfg.resume_window_ms, "120000", 100, 3600000,
         "how long a session whose socket is gone may be resumed, in ms"},
        {"SB_REPLAY_EVENTS", CONFIG_UINT, &g.cfg.replay_events, "1024", 1, 1000000,
         "events kept per session for its resume"},
        {"SB_REPLAY_BYTES", CONFIG_UINT, &g.cfg.replay_bytes, "4194304", 1024, 1u << 30, "and their size in all"},
        {"SB_SEND_QUEUE_BYTES", CONFIG_UINT, &g.cfg.send_queue_bytes, "16777216", 65536, 1u << 31,
         "what may wait for a client, all that it is told at its log-in included; more closes it, resumable"},
        {"SB_CLIENT_BYTES", CONFIG_UINT, &g.cfg.client_bytes, "268435456", 1u << 20, 1ull << 40,
         "what may wait for and from all clients together; more closes those that hold most, resumable"},
        {"SB_REPLAY_ALL_BYTES", CONFIG_UINT, &g.cfg.replay_all_bytes, "1073741824", 1u << 20, 1ull << 44,
         "and of all sessions of a gateway in Redis; beyond half of it those that have most there lose the oldest"},
        {"SB_EVENT_BYTES", CONFIG_UINT, &g.cfg.event_bytes, "67108864", 1u << 22, 1ull << 40,
         "events that are not in Redis yet; beyond that those that most waits for are detached, and resume from Redis"},
        {"SB_CONNECTIONS_MAX", CONFIG_UINT, &g.cfg.connections_max, "20000", 1, 1000000, "client sockets at a time"},
        {"SB_CONNECTIONS_PER_ADDRESS", CONFIG_UINT, &g.cfg.connections_per_address, "1000", 0, 1000000,
         "those of one IPv4 address, or of 64 bits of an IPv6 one; 0: any number"},
        {"SB_BALANCERS", CONFIG_TEXT, &g.cfg.balancers, "127.0.0.0/8, ::1", 0, 1024,
         "addresses or networks that are not counted so: there, X-Forwarded-For says whose a websocket is"},
        {"SB_REQUEST_MS", CONFIG_UINT, &g.cfg.request_ms, "15000", 100, 600000,
         "time for a whole HTTP request or websocket upgrade to come, in ms"},
        {"SB_KEEPALIVE_MS", CONFIG_UINT, &g.cfg.keepalive_ms, "60000", 100, 3600000,
         "how long an HTTP connection is kept for its next request, in ms"},
        {"SB_IDENTIFY_MS", CONFIG_UINT, &g.cfg.identify_ms, "60000", 100, 600000,
         "time for a client to identify or resume after Hello, in ms"},
        {"SB_IDENTIFY_RATE", CONFIG_UINT, &g.cfg.identify_rate, "16", 0, 1000000,
         "sessions that one account may begin here in 5 s, of its shards one of each number modulo this "
         "(max_concurrency); 0: any number"},
        {"SB_REST_RATE", CONFIG_UINT, &g.cfg.rest_rate, "0", 0, 1000000,
         "HTTP requests of one account here in a second; more are answered with 429; 0: any number"},
        {"SB_TOKEN_MS", CONFIG_UINT, &g.cfg.token_ms, "0", 0, 315360000000,
         "how long a token is good after it was issued, in ms; what was begun with it goes on; 0: for ever"},
        {"SB_SESSIONS_PER_USER", CONFIG_UINT, &g.cfg.sessions_per_user, "50", 1, 100000, "sessions of one user here"},
        {"SB_SESSIONS_MAX", CONFIG_UINT, &g.cfg.sessions_max, "40000", 1, 10000000,
         "sessions here, with and without a socket; beyond that the one that was left first ends, or nobody logs in"},
        {"SB_LOADS_MAX", CONFIG_UINT, &g.cfg.loads_max, "16", 1, 10000,
         "clients whose READY, or whose session to resume, is read from Redis at a time; others wait"},
        {"SB_REST_PENDING_MAX", CONFIG_UINT, &g.cfg.rest_pending_max, "2048", 1, 1000000,
         "HTTP requests that wait for an answer at a time; more are refused"},
        {"SB_REST_PENDING_BYTES", CONFIG_UINT, &g.cfg.rest_pending_bytes, "67108864", 1u << 20, 1ull << 40,
         "and the size of their bodies in all"},
        {"SB_COMMAND_MS", CONFIG_UINT, &g.cfg.command_ms, "5000", 100, 60000,
         "how long an HTTP request waits for the service that it is for, in ms"},
        {"SB_DEFLATE_BITS", CONFIG_UINT, &g.cfg.deflate_bits, "15", 9, 15,
         "window of compressed streams: with 15 a client costs 256 KiB by zlib-stream, each less about half, and 140 "
         "KiB by zstd-stream, 12 and less 95"},
        {"SB_DEFLATE_BYTES", CONFIG_UINT, &g.cfg.deflate_bytes, "268435456", 0, 1ull << 40,
         "what all such clients may cost; beyond that a further one's stream is not compressed"},
    };
    g.svc = (struct service){
        .kind = BUS_GATEWAY,
        .ctx = &g,
        .on_event = fanout_event,
        .on_loss = on_loss,
        .on_peer = on_peer,
        .on_up = on_up,
        .not_ready = not_ready,
        .on_dump = on_dump,
        .on_reload = on_reload,
        .on_stop = on_stop,
        .idle = idle,
        .on_fini = on_fini,
        .on_end = on_end,
    };
    service_start(&g.svc, rows, countof(rows), argc, argv);
    start(&g);
    return service_run(&g.svc);
}
