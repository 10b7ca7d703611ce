// web_private: what web.c (sockets, life), web_http.c (requests) and web_ws.c (websockets) share.
// libwebsockets hosts the sockets: uv, TLS, what a write leaves over. Its own HTTP and websocket roles are not used:
// 4.1.6 takes bytes of a pipelined request for another one's body, or never returns from reading them.
// Its callbacks are given a connection's id, never a pointer: a connection that is gone is not found.
#pragma once
#define ERR_STATE OPENSSL_ERR_STATE // OpenSSL, which libwebsockets.h brings along, has a type of this name
#include <libwebsockets.h>
#undef ERR_STATE
#include "web.h"
#include "debt.h"
#include "http_head.h"
#include "log.h"
#include "metrics.h"
#include "table.h"
#include "window.h"
#include "ws_frame.h"
#include <uv.h>

enum conn_state {
    CONN_HEAD,      // HTTP: a request's head is not here, or not all of it
    CONN_BODY,      // HTTP: its body is coming
    CONN_ASKED,     // HTTP: given to on_request
    CONN_ANSWERING, // HTTP: the answer is on its way out
    CONN_OPEN,      // websocket
    CONN_CLOSING,   // websocket: our close frame is queued or sent, the peer's has not come
    CONN_LAST,      // what is queued goes out, then our side is shut
    CONN_LINGER,    // our side is shut; what still comes is thrown away until the peer has shut his
};

struct conn {
    uint64_t id, request; // request: its id in state ASKED, else 0
    struct web *web;
    struct lws *wsi;    // NULL until libwebsockets has taken the socket
    struct timer timer; // a request, an answer or a closing takes too long
    enum conn_state state;
    char address[48];
    uint64_t peer;      // whom it counts for (address_peer); 0: nobody
    bool balancer;      // what it says of its clients' addresses is believed
    bool dirty;         // in web.dirty
    bool held;          // nothing is read from the socket
    struct buf in;      // came, and was not understood yet
    struct buf out;     // is to go
    size_t out_at;      // …and has gone so far
    size_t handed;      // size of the last write: while libwebsockets holds a part of it, it counts as queued
    uint64_t counted;   // of web.held
    struct {            // HTTP
        struct buf raw; // the head; `head` points into it
        struct http_head head;
        struct http_chunks chunks;
        struct buf body;
        struct buf headers; // of the answer, by on_head
        size_t seen;        // of `in`, looking for the end of a head
        bool began;         // the time for this request runs; that for the first one does from accept on
        bool head_only;     // HEAD
        bool last;          // the connection ends with this answer
    } http;
    struct { // websocket
        struct ws_reader reader;
        bool told;     // on_open was called, on_close was not
        bool slow;     // it is to be closed for that
        size_t edge;   // of `out`: where a frame begins, before or behind out_at
        uint16_t code; // for on_close
        struct window controls;
    } ws;
};

struct web {
    struct loop *loop;
    struct web_cfg cfg;
    struct lws_context *context;
    struct lws_vhost *vhost;
    int fd_limit; // libwebsockets has no place for descriptors from here on
    int wake_fd;  // of libwebsockets, -1: not known
    int listener; // -1: not listening
    uv_poll_t accept;
    struct timer accept_again;
    uint16_t port;
    bool refusing, stopped;
    uint64_t next_id;
    struct table conns;    // id → conn: the owner
    struct table requests; // id → conn
    struct table peers;    // connections of each, as a pointer
    uint64_t held;         // bytes that are held for connections
    struct loop_flush flush;
    uint64_t *dirty; // ids of connections with something to write or to tell
    uint32_t n_dirty, dirty_cap;
    struct arena arena; // of one request
    char date[40];      // of the HTTP header, for second date_s
    uint64_t date_s;
};

#define CLOSE_MS 2000u // a peer has this long to answer our close, or to stop sending

void conn_dirty(struct conn *c);             // conn_flush before the loop sleeps
void conn_abort(struct conn *c);             // the socket ends now; libwebsockets notices by itself
void conn_time(struct conn *c, uint64_t ms); // conn_abort unless something happens within ms
void conn_finish(struct conn *c);            // what is queued goes out, then the connection ends
void conn_hold(struct conn *c, bool held);   // stop reading, or go on
uint64_t conn_queued(const struct conn *c);
bool conn_admit(struct conn *c, struct address from); // as one of that peer's. False: he has as many as he may have
void conn_count(struct conn *c);                      // what is held for it has changed

// Each takes what it understands off the front of c->in. False: the connection is no longer theirs to read.
bool http_input(struct conn *c);
bool ws_input(struct conn *c);
void http_written(struct conn *c); // all of the answer has left
void http_gone(struct conn *c);
void ws_open(struct conn *c, struct bytes path);
void ws_slow(struct conn *c); // it is told in the next flush
void ws_tell_slow(struct conn *c);
void ws_gone(struct conn *c);
