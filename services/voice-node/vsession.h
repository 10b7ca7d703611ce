// vsession: one voice session, from its socket's Hello to the end of its last chance to come back. Pure: the shell
// (voice_io.c) looks up the facts that an input carries, hands it in with the time, and performs the effects in order.
// Protocol: see vop.h. What others in its channel are told is vroom's.
#pragma once
#include "admit.h"
#include "seal.h"
#include "vop.h"
#include "vreplay.h"
#include "window.h"

enum vsession_state {
    VSESSION_HELLO,     // a socket that has not identified
    VSESSION_ADMITTING, // it has; what it says is being compared with Redis
    VSESSION_READY,     // in its channel, told Ready; it has no key, for want of a mode or of its seat
    VSESSION_LIVE,      // the same, told its key
    VSESSION_DETACHED,  // was one of the two, lost its socket and may be resumed; others go on hearing it
    VSESSION_ABSENT,    // out of its room, where its user still has the seat: until that has lasted too long
    VSESSION_LEAVING,   // out of its room, its seat is gone; its client has a moment to close the socket by itself
    VSESSION_GONE,      // over
    VSESSION_STATES
};

struct vsession_rules {
    uint64_t heartbeat_ms, identify_ms, resume_ms, grace_ms;
    bool modes_old; // the xsalsa20 modes are offered too
};
#define VSESSION_FRAMES 600u // that a client may send …
#define VSESSION_FRAMES_MS 60000u
#define VSESSION_BEATS 3u       // heartbeats that a client may leave out
#define VSESSION_LEAVE_MS 3000u // LEAVING

struct vline {     // what belongs to a socket; moves with it to the session that it resumes
    uint64_t conn; // 0: none
    struct window rate;
    uint64_t beat_by;     // when a heartbeat must have come
    uint64_t identify_by; // HELLO, ADMITTING: when it must have been let in
    uint32_t v;           // outlives conn
};

struct vsession {
    uint64_t id; // of the node's table
    enum vsession_state state;
    struct vline line;   // conn != 0 exactly in HELLO, ADMITTING, READY, LIVE, LEAVING
    struct admitted who; // from READY on
    uint32_t ssrc;       // READY, LIVE, DETACHED
    uint32_t n_streams;  // that it offered; told in Ready
    char rids[VOP_STREAMS][17];
    uint32_t qualities[VOP_STREAMS];
    bool seated;                 // its seat has been seen
    bool selected;               // it has chosen a mode
    bool described;              // DETACHED: it was LIVE
    enum seal_mode mode;         // selected
    struct vcodecs codecs;       // as it chose it
    uint64_t resume_by, gone_by; // DETACHED both, ABSENT the second
    uint64_t leave_by;           // LEAVING: then it is closed …
    uint16_t leave_code;         // … with this
    struct vreplay replay;       // empty unless in a room
};

enum vsession_in_kind {
    VSESSION_IN_OP,        // a frame of its client; counts against its rate
    VSESSION_IN_TOO_LARGE, // one that is larger than any may be; the same
    VSESSION_IN_ADMITTED,  // or not
    VSESSION_IN_SEAT,      // what its user's seat is now
    VSESSION_IN_REPLACED,  // its user was let in anew, `code` says how
    VSESSION_IN_LOST,      // the socket is gone
    VSESSION_IN_SLOW,      // its client reads too slowly; the socket goes
    VSESSION_IN_TICK,      // the deadline may have passed
    VSESSION_IN_STOP,      // the node stops
    VSESSION_IN_KINDS
};
struct vsession_in {
    enum vsession_in_kind kind;
    const struct vop *op;       // OP
    int code;                   // ADMITTED: OK, or the close code; LOST: the peer's; REPLACED: to close with
    const struct admitted *who; // ADMITTED with OK
    uint32_t ssrc;              // the same: of its audio; 0: the node is full
    const struct seat *seat;    // SEAT
};

enum vsession_fx_kind {
    VSESSION_FX_ACK,      // op 6 for `op`
    VSESSION_FX_BACKEND,  // op 16
    VSESSION_FX_CLOSE,    // socket `conn`, with `code`
    VSESSION_FX_ADMIT,    // compare what `op` claims with Redis
    VSESSION_FX_READY,    // op 2
    VSESSION_FX_WATCH,    // follow its user's seat, until it ends
    VSESSION_FX_DESCRIBE, // a key, and op 4
    VSESSION_FX_SPEAK,    // to its room: `op`
    VSESSION_FX_VIDEO,
    VSESSION_FX_CODECS,
    VSESSION_FX_WANTS,
    VSESSION_FX_SEAT,    // to its room and the relay
    VSESSION_FX_QUIT,    // out of its room and the relay
    VSESSION_FX_RESUME,  // look for the session that `op` means: vsession_resume
    VSESSION_FX_RESUMED, // op 9 and what is kept behind `after`
    VSESSION_FX_ABSENT,  // the call manager is to take it out of the channel
    VSESSION_FX_END,     // forget it
};
struct vsession_fx {
    enum vsession_fx_kind kind;
    uint64_t conn; // CLOSE
    uint16_t code;
    uint32_t skip; // RESUMED: messages of those kept that its client has
    const struct vop *op;
    const struct seat *seat;
};
#define VSESSION_FX_MAX 4u
struct vsession_fxs {
    uint32_t n;
    struct vsession_fx v[VSESSION_FX_MAX];
};

// HELLO, on a fresh socket.
void vsession_init(struct vsession *s, uint64_t id, uint64_t conn, uint32_t v, const struct vsession_rules *r,
                   uint64_t now);
void vsession_fini(struct vsession *s);
void vsession_step(struct vsession *s, const struct vsession_in *in, const struct vsession_rules *r, uint64_t now,
                   struct vsession_fxs *out);
// `fresh` is HELLO and wants what `op` says; old: the session of that server and session id, or NULL. *mine says what
// becomes of fresh, *theirs what of old.
void vsession_resume(struct vsession *fresh, struct vsession *old, const struct vop_resume *op,
                     const struct vsession_rules *r, uint64_t now, struct vsession_fxs *mine,
                     struct vsession_fxs *theirs);

bool vsession_in_room(const struct vsession *s); // READY, LIVE, DETACHED
bool vsession_known(const struct vsession *s);   // `who` is filled
// The number of the next numbered message, to be kept with vreplay_keep; < 0: its version has none.
int32_t vsession_number(struct vsession *s);
uint64_t vsession_deadline(const struct vsession *s); // when a TICK is due
uint32_t vsession_modes(const struct vsession_rules *r, struct bytes out[SEAL_MODES]);
bool vsession_valid(const struct vsession *s); // every invariant; asked after each step

const char *vclose_text(uint16_t code);
bool vclose_resumable(uint16_t code);
