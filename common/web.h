// web: HTTP and websockets on one port. Sockets and TLS are libwebsockets' (known to web*.c alone), heads and frames
// are read by http_head and ws_frame. Shell: it frames, bounds and times out; what a request means is its user's
// business. Connections and requests are named by ids: a late answer to one that is gone does nothing. Bounds that a
// peer meets here: connections in all and of his address, header size, body size, frame size, time to finish a request
// or an upgrade, control frames per minute, send queue in bytes, and what all peers together make us hold: when that is
// passed, those for whom most is held are closed (debt.h).
// permessage-deflate is never negotiated (some client libraries offer it and cannot read it).
#pragma once
#include "address.h"
#include "http_head.h"
#include "loop.h"
#include "tls.h"

struct web;

struct web_request {
    uint64_t id;
    const char *method; // "GET", …
    struct bytes path;  // percent-decoded but for %2F, without the query; starts with /
    struct bytes query; // raw
    struct bytes authorization, content_type, host, origin; // headers; empty when absent
    struct bytes body;
    const char *address; // of the peer; behind a balancer, the one that it names
};

struct web_cfg {
    const char *bind;
    uint64_t port;                                            // 0: any free
    uint64_t body_max, frame_max, queue_max, connections_max; // bytes, bytes, bytes, count
    uint64_t per_address;                                     // connections of one peer (address_peer); 0: any number
    struct networks balancers; // not counted themselves: the websockets that they bring count for whom they name
    uint64_t held_max;         // bytes that are held for all connections together
    uint64_t request_ms;       // from accept to a whole request or upgrade
    uint64_t keepalive_ms;     // from an answer to the next request
    struct tls *tls;           // outlives the web; NULL: plain
    // Asked about each head, upgrades included, before anything of it is carried out: 0 to go on, else the status that
    // answers it. What is appended to *headers ("Name: value\r\n" lines) stands in the answer, whoever gives it, but
    // for that of an upgrade. NULL: all go on.
    int (*on_head)(void *ctx, const struct http_head *h, struct buf *headers);
    // HTTP: must be answered by web_reply, at once or later. Slices live until it returns.
    void (*on_request)(void *ctx, const struct web_request *r);
    void (*on_gone)(void *ctx, uint64_t request); // the peer left before the answer; may be NULL
    // Websocket. on_open: query is raw. Reject by web_close. A NULL on_open refuses every upgrade with 404.
    void (*on_open)(void *ctx, uint64_t conn, struct bytes path, struct bytes query, const char *address);
    void (*on_message)(void *ctx, uint64_t conn, struct bytes payload, bool binary);
    void (*on_too_large)(void *ctx, uint64_t conn); // a message over frame_max; the rest of it is swallowed
    // code: the peer's close code, 1006 when the connection was lost without one. Called once per on_open.
    void (*on_close)(void *ctx, uint64_t conn, uint16_t code);
    // It reads too slowly: what of the queue has not begun to leave is thrown away, and on_close follows. Its queue was
    // full, or all queues together were and it owes most. Decided here so that memory stays bounded.
    void (*on_slow)(void *ctx, uint64_t conn);
    void *ctx;
};

struct web *web_new(struct loop *l, struct web_cfg cfg); // NULL: cannot listen, reason logged
uint16_t web_port(const struct web *w);
// headers: "Name: value\r\n" lines, may be NULL. content_type NULL: no body.
void web_reply(struct web *w, uint64_t request, int status, const char *content_type, const char *headers,
               struct bytes body);
void web_json(struct web *w, uint64_t request, int status, struct bytes body);  // exactly `application/json`
void web_send(struct web *w, uint64_t conn, struct bytes payload, bool binary); // copies; joined into few writes
// Several slices as one message.
void web_send2(struct web *w, uint64_t conn, struct bytes head, struct bytes tail, bool binary);
void web_close(struct web *w, uint64_t conn, uint16_t code, const char *reason); // what is queued goes out first
void web_abort(struct web *w, uint64_t conn);            // no close frame; on_close follows with 1006
uint64_t web_queued(const struct web *w, uint64_t conn); // bytes
void web_refuse_new(struct web *w);                      // first phase of a stop: no new connections
void web_stop(struct web *w);                            // closes all
void web_free(struct web *w);                            // after loop_run returned
