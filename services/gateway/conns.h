// conns: what the gateway's own shells share: connections and sessions (conn.c, session_io.c), records listened to
// (fanout.c, guild_io.c), what of sessions is in the store (ledger_io.c), tokens and regions (system.c), records read
// (load.c). The HTTP half knows only gateway.h.
#pragma once
#include "gateway.h"
#include "ledger.h"
#include "session.h"
#include "squeeze.h"
#include "subs.h"

// --- connections (conn.c) and sessions (session_io.c) ---

struct client {              // one open websocket
    uint64_t id;             // of the web's
    uint64_t session;        // key; 0: none any more, it is closing
    struct squeeze *squeeze; // NULL: plain
    bool etf;                // it speaks terms, not JSON
    bool whole;              // large messages are compressed, each by itself
    struct buf waiting;      // frames for after its resume; each behind its length
};

struct said {          // how a session's client says that its user is there (presence_tell.c)
    bool known;        // it has said so, or its last gateway knew
    struct online row; // of it status, since, afk and client
    struct buf activities;
    struct buf written; // the row as it was sent to the store last
    uint64_t renew_at;  // 0: it was not
    bool inherits;      // what its last gateway wrote is being read
};

struct voice_call;
struct live { // one session and what the shell keeps for it
    struct gateway *g;
    struct session s;
    struct timer timer;
    struct ledger ledger;                // from READY on
    bool queued;                         // for the writes of this turn
    uint64_t stored;                     // bytes of texts that the store has of it, at most
    struct live *next_left, **prev_left; // DETACHED: of those that were detached after it
    uint64_t renew_at;                   // by then the store must hear of it
    struct timer moved;                  // until its last gateway's commands are too old to be carried out
    struct voice_call *voice;            // its voice command under way, else NULL
    struct said said;                    // from Identify on
    struct asking *asking;               // what its client asks about guilds; NULL before the first (members_io.c)
    uint64_t voice_turn;                 // voice commands sent so far
    const struct world *loaded;          // while its READY is being made
    const struct texts *missed;          // while it is being resumed: what the client has not got yet
};

struct conns {
    struct gateway *g;
    struct table clients;  // connection → client; owns
    struct table sessions; // key → live; owns
    struct session_rules rules;
    struct starts starts;             // of each account
    struct arena arena;               // of one frame
    struct buf text;                  // of one READY
    struct buf json, term;            // of one message, when it goes out as a term
    struct buf squeezed;              // of one compressed message
    struct keys writes;               // sessions that have something to be written …
    struct keys bulk;                 // … and those that have much: they wait for the others
    struct loop_flush flush;          // … this turn
    uint64_t under_way;               // bytes of writes that the store has not answered
    uint64_t pending;                 // events that sessions wait for the store with
    uint64_t stored;                  // sum of the sessions'
    uint32_t takes;                   // sessions that the store is being asked for …
    struct taking *take, **take_tail; // … and those that it is to be asked for when there are fewer
    struct live *left, **left_tail;   // detached sessions, the one that was left first is the first
    uint64_t waiting;                 // bytes of frames of clients that resume
    struct timer retry;               // of those whose write failed
    struct arena written;             // of one write
    struct rosters {
        struct table by_guild;
        uint32_t n;
        struct roster_wait *head, **tail; // who waits until there are fewer
    } rosters;                            // guild → roster (roster_io.c)
    uint32_t ending;                      // ends of sessions that are not told yet
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
void client_go_on(struct gateway *g, uint64_t conn); // takes the frames that waited

struct live *live_get(const struct gateway *g, uint64_t key); // NULL: gone
struct live *live_named(const struct gateway *g, struct bytes session_id);
struct live *live_new(struct gateway *g, uint64_t conn, uint32_t v);
struct live *live_revive(struct gateway *g, const struct session_past *p); // NULL: there is one of that key
// Ends a detached session when the user has as many as he may, or all have; false: there is none, and no room.
bool live_room_of(struct gateway *g, uint64_t user);
bool live_room(struct gateway *g);
void live_step(struct live *l, const struct session_in *in); // and carries out what follows; l may be gone then
// missed: what of `held` is behind the number that fresh has. Either may be gone then.
void live_resume(struct live *fresh, struct live *old, struct session_held held, const struct texts *missed);
void live_dispatch(struct live *l, struct dispatch *d); // LIVE or DETACHED; it is sent when it is kept
void live_send(struct live *l, uint64_t seq, struct bytes text);
void live_set_aside(struct live *l); // detached, and out of mind: who resumes it finds it in the store and the logs

// --- what of sessions is in the store (ledger_io.c) ---
//   {s:<id>}:h   hash: owner, turn, seq (of the last dispatch kept), bytes (of the texts), user, is (a session_rec)
//   {s:<id>}:p   hash: record → version it has been told of; g before that of a guild, g0: that is yet to be told
//   {s:<id>}:r   list: texts of the last dispatches, the newest one's number is seq
// They are renewed while their gateway lives, and expire an hour after it, or after the resume window.

void ledger_start(struct gateway *g);
void ledger_stop(struct gateway *g);
void ledger_opened(struct live *l); // what is sent by now is not kept: a client that has not got it identifies again
void ledger_due(struct live *l);    // something of l->ledger has to be written
void ledger_renew(struct live *l);  // if it is time
void ledger_stored(struct live *l, uint64_t bytes); // so much is there of it from now on
void ledger_forget(struct live *l);                 // what pends for it is about to go
void ledger_take(struct live *fresh);
void ledger_end(struct live *l, bool tell); // the session is over; tell: its voice state must be left

// --- what clients ask about guilds (members_io.c) ---

void members_ask(struct live *l, const struct op *op); // op 8, 14, 18, 20, 31, 36, 37, 43
void members_kept(struct live *l);                     // all that it was sent is in the store
void members_stop(struct live *l);  // it has no client: nothing more is read for it; what it subscribed to stays
void members_go_on(struct live *l); // it has one again
void members_free(struct live *l);
void members_left(struct live *l, uint64_t guild);                       // it does not see that one any more
bool members_wants(const struct live *l, uint64_t guild, uint64_t user); // its client has subscribed to him there

// --- records listened to (fanout.c) ---

void fanout_start(struct gateway *g);
void fanout_free(struct gateway *g);
struct subs *fanout_subs(const struct gateway *g);
void fanout_event(void *ctx, const struct msg *m);       // of the bus
void fanout_recover(struct gateway *g, const char *why); // something may have been lost: read all logs
void fanout_go_on(struct gateway *g);                    // less waits to be kept
const char *fanout_not_ready(const struct gateway *g);   // NULL: nothing is owed
void fanout_join(struct gateway *g, uint64_t session, ref r, bool guild);
void fanout_settle(struct gateway *g, uint64_t session, ref r, uint64_t version);
void fanout_seat(struct gateway *g, uint64_t place, uint64_t user,
                 uint64_t epoch); // and, if it is a call, who sits in it
// For one that was told of it up to `version`, by whomever: what came since is in the log. A guild has to be read
// first. A guild's version 0: it is to be told of it.
void fanout_follow(struct gateway *g, uint64_t session, ref r, bool guild, uint64_t version);
void fanout_await(struct gateway *g, uint64_t session, ref r, bool guild, uint64_t version); // as subs_await
void fanout_go_on_from(struct gateway *g, uint64_t session, ref r, uint64_t version); // what it WAITED for is there
void fanout_leave(struct gateway *g, uint64_t session, ref r);
void fanout_lose(struct gateway *g, uint64_t session, uint64_t guild); // the same; it hears so if it knew of the guild
void fanout_guilds_read(struct gateway *g);                            // no session waits for one any more
// Whoever takes the session over must know that it has been told of that record, or does not listen there any more.
void fanout_note(struct live *l, ref r);
void fanout_settled(struct gateway *g, uint64_t session); // what has no snapshot by now is left
void fanout_exit(struct gateway *g, uint64_t session);
void fanout_dump(const struct gateway *g, struct buf *out);

// --- guilds listened to (guild_io.c). Nobody is told anything of a guild's log before its picture is there ---

struct audience;
void guilds_start(struct gateway *g);
void guilds_free(struct gateway *g);
struct audience *guilds_audience(const struct gateway *g, uint64_t guild); // NULL: not read yet
// It is about to be told of the guild as it was read, and to settle there.
void guilds_loaded(struct gateway *g, uint64_t session, const struct loaded_guild *lg);
// It WAITS until the guild is read, then goes on from `version`; 0: gets GUILD_CREATE, of a version not before `need`.
void guilds_follow(struct gateway *g, uint64_t session, uint64_t guild, uint64_t version, uint64_t need);
void guilds_left(struct gateway *g, uint64_t session, uint64_t user, uint64_t guild); // by that session; any place
void guilds_forget(struct gateway *g, uint64_t guild); // its log cannot be followed any more
bool guilds_waited_for(const struct gateway *g);
void guilds_dump(const struct gateway *g, struct buf *out);

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
bool system_revoked(const struct gateway *g, uint64_t user, uint64_t issued_ms);
// As gateway_auth, and when the token was issued.
MUST_USE int system_auth(const struct gateway *g, struct bytes authorization, uint64_t *user, uint64_t *issued_ms);

// --- load.c ---

void loads_start(struct gateway *g);
bool loads_idle(const struct gateway *g);
void loads_free(struct gateway *g);
