// session: one client from its socket's Hello to the end of its last chance to resume. Pure: the shell (conn.c,
// session_io.c) looks up the facts that an input carries, hands it in with the time, and performs the effects in order.
// Protocol: https://docs.discord.com/developers/events/gateway and https://docs.discord.food/gateway/using-gateway
#pragma once
#include "dispatch.h"
#include "quota.h"
#include "ops.h"
#include "window.h"

// HELLO: a socket that has not identified. LOADING: it has; what it sees is being read. TAKING: it wants to resume; the
// store is asked for that session. LIVE: told READY, has a socket. DETACHED: told READY, has none. GONE: over; only END
// or DROP is left to be performed.
enum session_state {
    SESSION_HELLO,
    SESSION_LOADING,
    SESSION_TAKING,
    SESSION_LIVE,
    SESSION_DETACHED,
    SESSION_GONE,
    SESSION_STATES
};

struct session_rules {
    uint64_t heartbeat_ms, resume_window_ms;
    uint64_t identify_ms; // from Hello, or Invalid Session, to the next identify or resume
};
// https://docs.discord.com/developers/events/gateway, "Rate Limiting"
#define SESSION_EVENTS 120u      // that a client may send …
#define SESSION_EVENTS_MS 60000u // … in this time
#define SESSION_VOICE_MAX 8u     // voice updates that wait for the one under way
#define SESSION_VOICE_MS 10000u  // one that nobody could be told of by then is given up
#define SESSION_REGIONS_MAX 16u
#define SESSION_INTENTS_MAX ((1ull << 32) - 1)
#define SESSION_GUILDS_MAX 2500u // of one shard of a bot: …, "Sharding"
#define SESSION_LARGE_MIN 50u    // "Identify", large_threshold
#define SESSION_LARGE_MAX 250u

struct line {      // what belongs to a socket; moves with it to the session that it resumes
    uint64_t conn; // 0: none
    struct window rate;
    uint64_t beat_by;     // when a heartbeat must have come
    uint64_t identify_by; // HELLO: when an identify or resume must have come
    uint32_t v;
};

struct voice_item { // op 4 as it is to be passed on
    uint64_t by;    // then it is too late for a join: its client does not wait any more
    uint64_t guild, channel, flags;
    bool self_mute, self_deaf, self_video;
    bool if_refused; // only when all before it, which would have taken him elsewhere, were
    uint32_t n_regions;
    char regions[SESSION_REGIONS_MAX][65];
};

struct session {
    uint64_t key; // of the gateway's table: the first half of the id
    char id[33];  // 32 hex digits
    enum session_state state;
    struct line line;         // conn != 0 exactly in HELLO, LOADING, TAKING and LIVE
    uint64_t user, issued_ms; // 0 exactly in HELLO; of the token
    bool bot;                 // known from LIVE on
    bool has_intents;
    uint64_t intents, capabilities;
    bool sharded;
    uint32_t shard, shards; // shard < shards, from LOADING on
    uint32_t large;      // a guild with more members is a large one; as its client says, which for users does not count
    char wanted[33];     // TAKING: the id of the session to resume …
    uint64_t wanted_seq; // … and the last number that its client has
    uint64_t seq;        // of the last dispatch; 0 before READY
    uint64_t kept;       // of the last one that is in the store: only so far are they sent
    uint64_t expires_at; // DETACHED
    struct quota quota;  // beside those of its line
    bool voiced;         // has ever sent op 4: others must be told when it ends
    bool voice_sent;     // voice[0] is under way
    uint32_t n_voice;
    struct voice_item *voice; // SESSION_VOICE_MAX + 1 of them, NULL before the first
};

enum session_in_kind {
    // from the client; each counts against its rate
    SESSION_IN_BEAT,
    SESSION_IN_IDENTIFY,
    SESSION_IN_RESUME,
    SESSION_IN_VOICE,
    SESSION_IN_CALL,
    SESSION_IN_PRESENCE,
    SESSION_IN_ASK, // about what it sees, of any kind
    SESSION_IN_QUIET,
    SESSION_IN_BROKEN, // no frame, or one too large
    // from elsewhere
    SESSION_IN_LOADED,   // or not: err
    SESSION_IN_TAKEN,    // nothing was, for `err`; else session_resume follows
    SESSION_IN_OURS,     // the store says that it still is
    SESSION_IN_ANSWERED, // the voice command under way, with `err`
    SESSION_IN_LOST,     // the socket is gone
    SESSION_IN_TICK,     // the deadline may have passed
    SESSION_IN_REVOKED,  // the user's tokens of before `before_ms` are void
    SESSION_IN_CUT,      // events are lost to it for good
    SESSION_IN_BEHIND,   // too much waits to be kept for it: it has to be resumed
    SESSION_IN_MOVED,    // another gateway has it now
    SESSION_IN_STOP,     // the gateway stops
    SESSION_IN_UNSERVED, // it has been shown that it sits at `seat`, but not to which voice server it was sent there
    SESSION_IN_KINDS
};

struct session_in {
    enum session_in_kind kind;
    const struct op *op;      // IDENTIFY, RESUME, VOICE, CALL, PRESENCE, ASK
    uint16_t code;            // BROKEN: to close with; LOST: the peer's
    uint64_t user, issued_ms; // IDENTIFY, RESUME: whose token it is, 0 nobody's
    bool full, often, away;   // IDENTIFY: he has sessions enough; began too many lately; Redis cannot be asked now
    int err;                  // LOADED, TAKEN: OK (LOADED), ERR_MISSING (there is no such user, session), or trouble;
                              // ANSWERED: ERR_TIMEOUT when nobody did
    bool bot;                 // LOADED
    uint32_t guilds;          // LOADED: that the session would be told of
    uint64_t before_ms;       // REVOKED
    const struct voice_item *seat; // UNSERVED
};

enum session_fx_kind {
    SESSION_FX_ACK,       // op 11
    SESSION_FX_INVALID,   // op 9, not resumable
    SESSION_FX_RECONNECT, // op 7
    SESSION_FX_CLOSE,     // the socket, with `code`
    SESSION_FX_LOAD,      // read what the user sees and listen to it
    SESSION_FX_TAKE,      // ask the store for session `wanted`
    SESSION_FX_READY,     // send READY as number 1, then what belongs to it
    SESSION_FX_REPLAY,    // send again what the store has behind `seq`, up to `kept`, then RESUMED
    SESSION_FX_OURS,      // ask the store whether it still is ours: another gateway may have taken it meanwhile
    SESSION_FX_VOICE,     // send voice[0] as a command that has `ms` of time
    SESSION_FX_CALL,      // send CALL_CREATE for `channel` if the user sees a call there
    SESSION_FX_ASK,       // look after `op`
    SESSION_FX_UNLISTEN,  // the identify failed: listen to nothing
    SESSION_FX_END,       // it is over for everybody: forget it; `tell`: its voice state must be left
    SESSION_FX_DROP,      // forget it here
};
struct session_fx {
    enum session_fx_kind kind;
    uint64_t conn; // ACK, INVALID, RECONNECT, CLOSE
    uint16_t code;
    uint64_t seq, channel, ms;
    bool tell;
    const struct op *op; // ASK: the input's
};
#define SESSION_FX_MAX 4u
struct session_fxs {
    uint32_t n;
    struct session_fx v[SESSION_FX_MAX];
};

// HELLO on a fresh socket. id: 32 hex digits, random.
void session_init(struct session *s, const char id[33], uint64_t conn, uint32_t v, const struct session_rules *r,
                  uint64_t now);
void session_fini(struct session *s);
MUST_USE int session_key(struct bytes id, uint64_t *key); // ERR_INVALID: not 32 hex digits
// ERR_STATE: the input does not fit the state; nothing has changed and *out is empty.
MUST_USE int session_step(struct session *s, const struct session_in *in, const struct session_rules *r, uint64_t now,
                          struct session_fxs *out);

struct session_held { // what the store has of a session: the events first … last; first is last + 1: none
    uint64_t first, last;
};
// `fresh` is TAKING; old: the session that it wants, which the store says is ours. Taken over, *mine says what becomes
// of fresh (it ends without a word) and *theirs what of old.
void session_resume(struct session *fresh, struct session *old, struct session_held held, const struct session_rules *r,
                    uint64_t now, struct session_fxs *mine, struct session_fxs *theirs);

struct session_past { // a session as another gateway left it in the store
    const char *id;
    struct session_rec rec; // valid
    struct session_held held;
};
MUST_USE int session_past_valid(const struct session_past *p); // ERR_INVALID: no gateway of ours wrote that
// DETACHED. It may have had voice, and is taken to have.
void session_revive(struct session *s, const struct session_past *p, const struct session_rules *r, uint64_t now);
struct session_rec session_record(const struct session *s);

uint64_t session_dispatch(struct session *s); // numbers one event of a LIVE or DETACHED session
// The store has all up to `number`. True: they are to be sent.
MUST_USE bool session_keep(struct session *s, uint64_t number);
bool session_told(const struct session *s);                    // LIVE or DETACHED
bool session_waits(const struct session *s);                   // what its client says, heartbeats aside, is for later
bool session_wants(const struct session *s, uint64_t intents); // intents: any of these; 0: never gated
bool session_sees_guild(const struct session *s, uint64_t guild);
bool session_sees_private(const struct session *s);
bool session_too_many(bool bot, uint32_t guilds);   // for one shard
uint32_t session_large(const struct session *s);    // members that a guild may have without being large
uint64_t session_deadline(const struct session *s); // when a TICK is due; 0: never
bool session_valid(const struct session *s);        // every invariant; asked after each step

bool close_resumable(uint16_t code);
const char *close_text(uint16_t code);
