// call: the life of one private channel's call, transitions A to L of a call's life as clients see it: who is in, who
// is rung and by whom, which voice server each is owed. Pure: no clock, no I/O, no malloc; ids, time and random tokens
// come in with the input. The shell (job.c) loads a place, steps it, commits the result by compare-and-set.
// Protocol: https://docs.discord.food, pages resources/channel (calls), resources/voice, gateway/gateway-events; order
// of events as captured from a real server (tests/e2e/golden).
#pragma once
#include "schema.h"

// https://docs.discord.com/developers/topics/opcodes-and-status-codes, "JSON": 30004
#define CALL_MEMBERS_MAX 10u       // recipients of a group, its owner included
#define CALL_PARTICIPANTS_MAX 100u // remembered per call; members come and go
#define CALL_TARGETS_MAX 32u       // named by one input, whoever they are
#define CALL_REGIONS_MAX 8u
#define CALL_FX_MAX 40u
#define CALL_RETRY_MS 2000u // an assignment that nobody answered is asked for again
#define CALL_POLL_MS 5000u  // and one that found no free node

enum call_server { CALL_SERVER_OWED, CALL_SERVER_NONE, CALL_SERVER_SENT };

struct call_seat { // one voice state
    uint64_t user;
    char session[65], gateway[49]; // which client session owns it, and the gateway that held it then
    uint64_t epoch;                // of the user's location when he sat down; an older one is stale
    bool self_mute, self_deaf, self_video;
    uint64_t flags, joined_at;
    uint64_t hold, turn; // of the voice update that spoke of it last; an earlier one under the same hold comes too late
    enum call_server server;
    // OWED and NONE: ask the allocator again at that time; SENT: 0. It tells asks apart, too: each has another one.
    uint64_t server_at;
    uint32_t n_regions;
    char regions[CALL_REGIONS_MAX][65]; // preferred, best first
};

struct call_rung {
    uint64_t user, by, until;
};

// A private channel with its call. id 0: no call, and then seats and rings are empty.
struct call_place {
    uint64_t channel, type, owner; // type 1 or 3; 0: the channel does not exist
    uint32_t n_recipients;
    uint64_t recipients[CALL_MEMBERS_MAX];
    uint64_t id; // of the call, which is its message's id
    uint64_t author;
    char region[65];
    bool region_chosen;           // by a person: the allocator must not choose another
    bool unavailable;             // its voice node was lost and there is no other: clients were told that it is gone
    char node[65], endpoint[257]; // empty until assigned
    uint32_t n_seats, n_rings, n_participants;
    struct call_seat seats[CALL_MEMBERS_MAX];
    struct call_rung rings[CALL_MEMBERS_MAX];     // of recipients who have no seat
    uint64_t participants[CALL_PARTICIPANTS_MAX]; // everybody who ever sat, author first
};

enum call_in_kind {
    CALL_IN_JOIN,         // user sits down, or moves his voice state to another session, or changes his flags
    CALL_IN_LEAVE,        // user's voice state goes; by session, or by epoch when the session is not known
    CALL_IN_RING,         // user rings `targets`, or everybody else who is not in
    CALL_IN_STOP,         // user stops the ringing of `targets`, or his own (n_targets 0)
    CALL_IN_REGION,       // user chooses a region; it exists
    CALL_IN_ADD,          // user adds targets[0] to the group
    CALL_IN_REMOVE,       // user removes targets[0], or himself, from the group
    CALL_IN_ASSIGNED,     // the allocator's answer for one session
    CALL_IN_SERVER_LOST,  // `node` is gone
    CALL_IN_SERVER_FREE,  // some node has room again
    CALL_IN_GATEWAY_LOST, // the sessions of `gateway` are over
    CALL_IN_MOVED,        // user's `session` is held by `gateway` now
    CALL_IN_TICK,         // something may be due
    CALL_IN_KINDS
};

struct call_in {
    enum call_in_kind kind;
    uint64_t user;
    const char *session, *gateway; // never NULL where they are read: JOIN and MOVED both, LEAVE and ASSIGNED session
    uint64_t hold, turn; // JOIN, LEAVE, MOVED: the gateway's hold of the session, and which word of it this is
    // For flows, and for the guild core: JOIN: the guild; LEAVE: only there, 0: wherever he is. channel: of the guild.
    // LEAVE with a node, because his voice connection there is gone: only out of that channel (of a guild or private).
    uint64_t guild, channel;
    uint64_t epoch; // JOIN: of the new seat; LEAVE with session "": seats older than this go
    bool stays;     // JOIN: only if his session has the seat already, of that epoch, else ERR_MISSING
    bool bot, self_mute, self_deaf, self_video;
    bool everybody; // RING
    bool full;      // ADD: he is in as many channels as anybody may be
    bool drains;    // SERVER_LOST: the node serves the call until all have been told of another
    uint64_t flags;
    struct texts regions;
    uint64_t new_id;   // JOIN: message id of the call that this may start
    uint64_t asked_at; // ASSIGNED: `at` of the ask that this answers; the answer to an older one is void
    uint32_t n_targets;
    uint64_t targets[CALL_TARGETS_MAX];
    // ASSIGNED: all; REGION: region; SERVER_LOST: node; JOIN: region, of a call that this may start; LEAVE: node, only
    // if the call, or the room, lives there, NULL or "": wherever it does
    const char *region, *node, *endpoint, *token;
    uint64_t token_ms; // ASSIGNED: how long the token is good for
};

enum call_fx_kind {
    // Events, in the order in which clients get them.
    CALL_FX_MESSAGE_CREATE,
    CALL_FX_MESSAGE_UPDATE, // participants grew, or the call ended (then place.id is 0 and `id` names it)
    CALL_FX_CALL_CREATE,
    CALL_FX_CALL_UPDATE,
    CALL_FX_CALL_DELETE, // flag: unavailable
    CALL_FX_VOICE_STATE, // of `seat`; flag: he left
    CALL_FX_VOICE_SERVER,
    CALL_FX_RECIPIENT_ADD,
    CALL_FX_RECIPIENT_REMOVE, // also stops the user's sessions from listening
    CALL_FX_CHANNEL_UPDATE,   // the owner changed
    // Asks, carried out after the commit.
    CALL_FX_ASSIGN,  // a voice server for `seat`, to be asked at `at`
    CALL_FX_RELEASE, // the call's node is no longer needed
};

struct call_fx {
    enum call_fx_kind kind;
    bool flag;
    uint64_t user, at;
    // VOICE_STATE, VOICE_SERVER, ASSIGN: the seat as of then.
    uint64_t epoch;
    char session[65];
    bool self_mute, self_deaf, self_video;
    char endpoint[257], token[33]; // VOICE_SERVER; an empty endpoint is null
    uint64_t token_ms;             // the same: of a token
    // MESSAGE_… and CALL_…: the call as of then; it may end within the step that tells of it. Participants and seats
    // are the first ones of the place's arrays, which a step never reorders before it tells of them.
    uint64_t id, author, ended_at;
    uint32_t n_participants, n_rings, n_seats;
    struct call_rung rings[CALL_MEMBERS_MAX];
};
struct call_fxs {
    uint32_t n;
    struct call_fx v[CALL_FX_MAX];
};

struct call_rules {
    uint64_t ring_ms, server_delay_ms;
};

// OK, a Discord error code, ERR_STATE when the input changes nothing (not an error towards the client), or ERR_MISSING
// when what it is about is not there: the seat that stays, the call whose server is lost or free. Other than OK: *p is
// as it was and *out is empty.
MUST_USE int call_step(struct call_place *p, const struct call_in *in, const struct call_rules *rules, uint64_t now,
                       struct call_fxs *out);
int call_may_join(const struct call_place *p, uint64_t user, bool bot);          // OK, or why a JOIN would be refused
uint64_t call_deadline(const struct call_place *p);                              // when a TICK is due; 0: none
const struct call_seat *call_seat_of(const struct call_place *p, uint64_t user); // NULL: none
bool call_sits(const struct call_place *p, uint64_t user, const char *session);  // that session has a seat
bool call_is_recipient(const struct call_place *p, uint64_t user);
bool call_valid(const struct call_place *p); // every invariant above; asked after each step
