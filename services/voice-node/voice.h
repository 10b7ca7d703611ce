// voice: one process that speaks the voice websocket and relays media. It owns voice sessions and the rooms in which
// they are, and nothing that outlives it. This is the struct that its shells share: voice_io.c (sessions), voice_conn.c
// (websockets), main.c (settings, order), life and udp by their own headers.
#pragma once
#include "certificate.h"
#include "life.h"
#include "service.h"
#include "table.h"
#include "udp.h"
#include "vroom.h"
#include "vsession.h"

struct voice_cfg {
    const char *region, *endpoint; // as announced; endpoint: what clients are told, host:port
    const char *bind, *udp_bind, *media_ip;
    const char *tls_certificate, *tls_key, *balancers;
    uint64_t port, udp_port; // 0: any free
    uint64_t capacity, connections_per_address, request_ms;
    uint64_t heartbeat_ms, identify_ms, resume_ms, grace_ms, drain_ms, modes_old;
    uint64_t record_bytes, record_ms, record_keep_ms;
};

enum voice_way { VOICE_BY_USER, VOICE_BY_SESSION, VOICE_WAYS }; // each within a server

struct talker { // a voice session and what it has here
    struct vsession s;
    struct voice *voice;
    relay_peer peer;    // in its room and in the relay exactly while vsession_in_room
    struct vroom *room; // NULL: in none
    bool watched;       // life follows its seat; from then on it is found by user and by client session
    struct talker *next[VOICE_WAYS];
    bool described; // it was told a key before
    char media[33]; // media_session_id
    struct timer deadline;
};
struct recorder;
struct players;
struct ask; // voice_io.c: an Identify that is being compared

struct voice {
    struct service svc;
    struct voice_cfg cfg;
    struct vsession_rules rules;
    struct certificate *certificate;
    struct web *web;
    struct udp *udp;
    struct relay *relay;
    struct life *life;
    struct recorder *recorder;
    struct players *players;
    struct table talkers;          // by number
    struct table conns;            // the same by socket; those that have been closed are not in it
    struct table ways[VOICE_WAYS]; // hash -> the first talker of it
    struct table rooms;            // by channel
    struct ask *asks;
    uint64_t last_talker;
    uint32_t sockets; // open, or closing
    bool finished;    // it stops: nobody is here any more
    uint64_t finish_by;
    struct timer second, lag;
    struct timer answers; // to discoveries
    uint64_t lag_ms;      // since the last second
};

// --- voice_io.c ---
void voice_open(struct voice *v, uint64_t conn, uint32_t version);
void voice_step(struct talker *t, const struct vsession_in *in); // it may be gone afterwards
void voice_on_seat(void *ctx, uint64_t server, uint64_t user, const char *session, const struct seat *seat);
void voice_on_worn(void *ctx, relay_peer p);
struct vroom *voice_room(struct voice *v, uint64_t channel);     // made, if nobody is there yet
void voice_room_left(struct voice *v, struct vroom *room);       // it goes with the last who was there
void voice_hand_out(struct voice *v, struct vtells *tells);      // and empties it
void voice_replace(struct voice *v, const struct admitted *who); // who is let in: other sessions of his there end
void voice_finish(struct voice *v);                              // closes all
uint32_t voice_known(const struct voice *v);                     // sessions that were let in
void voice_free(struct voice *v);
void voice_dump(const struct voice *v, struct buf *out);

// --- voice_guest.c: somebody without a socket, in a room and in the relay like any other; he is told nothing ---
struct guest {
    struct voice *voice;
    uint64_t id; // of the talkers' numbers
    relay_peer peer;
    struct vroom *room;
};
MUST_USE bool guest_enter(struct guest *g, struct voice *v, const struct admitted *who); // false: the node is full
void guest_seat(struct guest *g, const struct seat *seat);                               // HERE: others see him now
void guest_speak(struct guest *g, bool on);                                              // announced, or taken back
void guest_leave(struct guest *g);

// --- voice_conn.c: the callbacks of web.h; ctx is the struct voice ---
void conn_open(void *ctx, uint64_t conn, struct bytes path, struct bytes query, const char *address);
void conn_message(void *ctx, uint64_t conn, struct bytes payload, bool binary);
void conn_too_large(void *ctx, uint64_t conn);
void conn_slow(void *ctx, uint64_t conn);
void conn_gone(void *ctx, uint64_t conn, uint16_t code);
void conn_request(void *ctx, const struct web_request *r); // there is nothing to be asked for
void conn_close(struct voice *v, uint64_t conn, uint16_t code);
// A message to a session's client, now or, when it is numbered, at its resume.
void conn_say(struct talker *t, uint8_t op, struct bytes d);
void conn_say_again(struct talker *t, uint32_t skip); // what is kept, but for the first of it
