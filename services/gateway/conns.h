// conns: what the gateway's own shells share: connections and sessions (conn.c, session_io.c), records listened to
// (fanout.c), tokens and regions (system.c), records read (load.c). The HTTP half knows only gateway.h.
#pragma once
#include "gateway.h"
#include "session.h"
#include "squeeze.h"
#include "subs.h"

// --- connections (conn.c) and sessions (session_io.c) ---

struct client {              // one open websocket
    uint64_t id;             // of the web's
    uint64_t session;        // key; 0: none any more, it is closing
    struct squeeze *squeeze; // NULL: plain
};

struct voice_call;
struct live { // one session and what the shell keeps for it
    struct gateway *g;
    struct session s;
    struct timer timer;
    struct voice_call *voice;   // its voice command under way, else NULL
    const struct world *loaded; // while its READY is being made
};

struct conns {
    struct table clients;  // connection → client; owns
    struct table sessions; // key → live; owns
    struct session_rules rules;
    struct arena arena; // of one frame
    struct buf text;    // of one READY, of one compressed message
    struct buf squeezed;
    uint32_t ending; // session_end commands without an answer
    bool stopping;
};

void conns_start(struct gateway *g);
void conns_stop(struct gateway *g);       // tells everybody to go elsewhere, and closes
bool conns_idle(const struct gateway *g); // all sockets are closed, all ends are told
void conns_free(struct gateway *g);
void conns_dump(const struct gateway *g, struct buf *out);

// The web's callbacks; ctx is the struct gateway.
void conns_open(void *ctx, uint64_t conn, struct bytes path, struct bytes query, const char *address);
void conns_message(void *ctx, uint64_t conn, struct bytes payload, bool binary);
void conns_too_large(void *ctx, uint64_t conn);
void conns_close(void *ctx, uint64_t conn, uint16_t code);
void conns_slow(void *ctx, uint64_t conn);

void client_send(struct gateway *g, uint64_t conn, struct bytes head, struct bytes tail); // one message in two parts
void client_close(struct gateway *g, uint64_t conn, uint16_t code);
void client_bind(struct gateway *g, uint64_t conn, uint64_t session);

struct live *live_get(const struct gateway *g, uint64_t key); // NULL: gone
struct live *live_named(const struct gateway *g, struct bytes session_id);
struct live *live_new(struct gateway *g, uint64_t conn, uint32_t v);
bool live_make_room(struct gateway *g, uint64_t user);       // ends his oldest detached session; false: he has none
void live_step(struct live *l, const struct session_in *in); // and carries out what follows; l may be gone then
void live_resume(struct live *fresh, const struct op *op);   // fresh may be gone then
void live_dispatch(struct live *l, struct dispatch *d);      // LIVE or DETACHED

// --- records listened to (fanout.c) ---

void fanout_start(struct gateway *g);
void fanout_free(struct gateway *g);
struct subs *fanout_subs(const struct gateway *g);
void fanout_event(void *ctx, const struct msg *m);       // of the bus
void fanout_recover(struct gateway *g, const char *why); // something may have been lost: read all logs
const char *fanout_not_ready(const struct gateway *g);   // NULL: nothing is owed
void fanout_join(struct gateway *g, uint64_t session, ref r, bool guild);
void fanout_settle(struct gateway *g, uint64_t session, ref r, uint64_t version);
void fanout_settled(struct gateway *g, uint64_t session); // what has no snapshot by now is left
void fanout_exit(struct gateway *g, uint64_t session);
void fanout_dump(const struct gateway *g, struct buf *out);

// --- what concerns every gateway (system.c) ---

void system_start(struct gateway *g);
void system_up(struct gateway *g);      // Redis is there
void system_recover(struct gateway *g); // something may have been lost
void system_event(struct gateway *g, const struct place_event *e);
void system_peer(struct gateway *g, enum bus_kind kind, bool up);
const char *system_not_ready(const struct gateway *g);
struct texts system_regions(const struct gateway *g); // ids, best first
void system_stop(struct gateway *g);
void system_free(struct gateway *g);
// As gateway_auth, and when the token was issued.
MUST_USE int system_auth(const struct gateway *g, struct bytes authorization, uint64_t *user, uint64_t *issued_ms);

// --- load.c ---

void loads_start(struct gateway *g);
bool loads_idle(const struct gateway *g);
void loads_free(struct gateway *g);
