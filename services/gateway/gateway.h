// gateway: one process between clients and the owners of state. It owns client sessions and nothing else.
// This is the struct that its shells share: conn.c (websockets), fanout.c (events), load.c (records), rest_io.c and
// admin_io.c (HTTP). main.c fills it.
#pragma once
#include "certificate.h"
#include "load.h"
#include "service.h"
#include "table.h"

struct gateway_cfg {
    const char *bind, *admin_bind;         // addresses to listen on
    const char *admin_token;               // of the admin API, >= 16 bytes
    const char *token_secret;              // signs client tokens, >= TOKEN_SECRET_MIN bytes
    const char *public_url;                // ws://host:port or wss://…, what clients are told; "": see gateway_url
    const char *origins;                   // web pages that may speak to the public port: see origin.h
    const char *tls_certificate, *tls_key; // files of the public port; both or neither
    uint64_t port, admin_port;             // 0: any free
    uint64_t heartbeat_ms, resume_window_ms;
    uint64_t replay_events, replay_bytes; // per session
    uint64_t send_queue_bytes;            // per connection
    uint64_t client_bytes;                // held for all of them
    uint64_t event_bytes;                 // of events that wait for the store
    uint64_t replay_all_bytes;            // in the store, for all sessions
    uint64_t sessions_max;
    uint64_t deflate_bytes;      // what all compressed connections may cost
    uint64_t rest_pending_bytes; // of bodies of HTTP requests without an answer yet
    uint64_t connections_max, connections_per_address, sessions_per_user;
    const char *balancers;     // networks whose X-Forwarded-For is believed
    uint64_t request_ms;       // for a whole HTTP request or upgrade to come
    uint64_t keepalive_ms;     // between two requests on one connection
    uint64_t identify_ms;      // for an identify to come after Hello
    uint64_t identify_rate;    // of one user in 5 s (quota.h); 0: any number
    uint64_t rest_rate;        // HTTP requests of one user in a second; 0: any number
    uint64_t token_ms;         // how long a token is good; 0: for ever
    uint64_t loads_max;        // worlds read from Redis at once; further identifies wait their turn
    uint64_t rest_pending_max; // HTTP requests without an answer yet, on each port
    uint64_t command_ms;       // how long one waits for the service that it is for
    uint64_t deflate_bits;     // window of compressed streams, 9 to 15
};

struct conns;
struct fanout;
struct guilds;
struct system;
struct loads;
struct rest;
struct admin;
struct plays;

struct gateway {
    struct service svc; // loop, store, bus, health, instance name
    struct gateway_cfg cfg;
    struct web *web, *admin_web;
    struct conns *conns;             // conn.c: connections and sessions
    struct fanout *fanout;           // fanout.c: records listened to
    struct guilds *guilds;           // guild_io.c: what guilds listened to look like
    struct system *system;           // system.c: revoked tokens, voice regions
    struct loads *loads;             // load.c
    struct rest *rest;               // rest_io.c
    struct admin *admin;             // admin_io.c
    struct plays *plays;             // plays_io.c
    struct certificate *certificate; // NULL: the public port is plain
};

// --- for the HTTP half ---
// Whose token this is: `Bot x`, `Bearer x` or bare x; signed by us and not revoked. ERR_DENIED otherwise.
MUST_USE int gateway_auth(const struct gateway *g, struct bytes authorization, uint64_t *user);
// Appends the websocket URL that clients are told: the configured one, else ws:// and `host` (a request's Host
// header), else ws:// and the address listened on; wss:// with TLS.
void gateway_url(const struct gateway *g, struct buf *out, struct bytes host);

// --- provided by the HTTP half (rest_io.c, admin_io.c); ctx is the struct gateway ---
void rest_start(struct gateway *g);  // before the first request; fills g->rest
void rest_stop(struct gateway *g);   // frees it; bus callbacks have run by then
void admin_start(struct gateway *g); // the same for g->admin
void admin_stop(struct gateway *g);
void rest_request(void *ctx, const struct web_request *r);  // on_request of the public port
void admin_request(void *ctx, const struct web_request *r); // on_request of the admin port
bool admin_idle(const struct gateway *g);
bool rest_idle(const struct gateway *g); // no public or admin request waits for an answer
