// guild: what one input does to one guild: who sits in which voice channel, who may, and what moderators and the
// operator change. Pure: no clock, no I/O, no malloc beyond the arena; what a step may know is read before it (the
// scene), what follows is one commit's worth and some asks. The shell (job_guild.c) reads, steps, commits by
// compare-and-set and asks; it decides nothing. Permissions: proto/permissions.h. Records: proto/records.def, keys:
// proto/README.md. Protocol: https://docs.discord.com/developers/resources/voice, …/guild, …/channel, …/stage-instance;
// order of events as captured from a real server (tests/e2e/golden).
#pragma once
#include "permissions.h"
#include "present_guild.h"
#include "record.h"

#define GUILD_EVENTS_MAX 64u   // of one commit
#define GUILD_CHANGES_MAX 240u // likewise
#define GUILD_ASKS_MAX 24u     // voice servers to ask for after one commit
#define GUILD_CROWD_MAX 20u    // seats that one commit moves or takes away; what is left is for the next
#define GUILD_SEATS_MAX (GUILD_CROWD_MAX + 2u) // seats that one commit touches at all
#define GUILD_ROOMS_MAX 2u                     // rooms, likewise: where somebody goes to and where from

enum guild_in_kind {
    // voice (guild_voice.c)
    GUILD_IN_JOIN,         // target sits down in `channel`, moves there, takes over from another session, changes flags
    GUILD_IN_LEAVE,        // target's seat goes; by session, or by epoch when session is "": seats older than this go
    GUILD_IN_MOVED,        // target's `session` is held by `gateway` now
    GUILD_IN_ASSIGNED,     // the allocator's answer for one session
    GUILD_IN_GATEWAY_LOST, // target's session is over if it is one of `gateway`'s
    GUILD_IN_SERVER_LOST,  // `node`, on which the room of `channel` lived, is gone
    GUILD_IN_SERVER_FREE,  // some node has room again, for the room of `channel`
    GUILD_IN_SEAT,         // target's seat: is a server owed to it?
    GUILD_IN_ROOM,         // `channel`: are there seats of an older generation? Is its stage silent for too long?
    // what people change (guild_change.c, guild_member.c); `msg` says it
    GUILD_IN_MEMBER_EDIT,
    GUILD_IN_MEMBER_REMOVE,
    GUILD_IN_VOICE_EDIT,
    GUILD_IN_CHANNEL_PUT,
    GUILD_IN_CHANNEL_DELETE,
    GUILD_IN_ROLE_PUT,
    GUILD_IN_ROLE_DELETE,
    GUILD_IN_GUILD_EDIT,
    GUILD_IN_STATUS_PUT,
    GUILD_IN_STAGE_PUT,
    GUILD_IN_STAGE_DELETE,
    GUILD_IN_GUILD_DELETE,
    GUILD_IN_KINDS
};

struct guild_in {
    enum guild_in_kind kind;
    uint64_t actor;   // who asks; 0: the operator, or nobody
    uint64_t target;  // whom it is about; 0: nobody
    uint64_t channel; // GUILD_DELETE: any in which somebody sits, chosen by the reader; 0: there is none
    const void *msg;  // the command, of the row that the kind names; NULL for voice
    // JOIN, MOVED: both; LEAVE, ASSIGNED: session; GATEWAY_LOST: gateway. Never NULL where they are read
    const char *session, *gateway;
    uint64_t epoch;      // JOIN: of the new seat; LEAVE with session "": seats older than this
    uint64_t hold, turn; // JOIN, LEAVE: as in call.h
    bool stays; // JOIN: only if his session has a seat in that channel already, of that epoch, else ERR_MISSING
    bool bot, self_mute, self_deaf, self_video;
    uint64_t flags;
    struct texts regions;
    bool drains; // SERVER_LOST: as in call.h
    // ASSIGNED: all; SERVER_LOST: node; LEAVE: node and channel, as in call.h
    uint64_t asked_at;
    const char *region, *node, *endpoint, *token;
    uint64_t token_ms; // ASSIGNED: how long the token is good for
    uint64_t new_id;   // what a new channel, role or stage is called
    bool region_known; // CHANNEL_PUT: the rtc_region that it names exists
};

struct scene_member {              // somebody that the input is about
    uint64_t id;                   // 0: nobody
    const struct member *member;   // NULL: no member
    const struct voice_seat *seat; // NULL: he does not sit here
    const struct user *user;       // NULL: unknown
};
struct scene_room {
    uint64_t id;                         // of the channel; 0: none
    const struct guild_channel *channel; // NULL: there is no such channel
    const struct voice_room *room;       // NULL: nobody sits there
    const struct stage *stage;
};
struct guild_scene { // as it stands at `version`
    uint64_t id, version;
    const struct guild *guild; // NULL: there is none
    struct role_set roles;
    struct scene_member actor, target;
    struct scene_room to;   // of in.channel
    struct scene_room from; // where the target sits; the same as `to` when that is it
    uint32_t n_channels;    // all of them; only where guild_wants says so, else 0
    const struct guild_channel *channels;
    uint32_t n_crowd; // seats in `to` that guild_minds, at most GUILD_CROWD_MAX; where wanted
    const struct scene_member *crowd;
    bool more; // there may be others like them
};
// What of a scene an input needs beyond guild, actor, target, `to` and `from`. roles: where nobody is told of anybody
// and nothing is asked of his rights it does without.
struct guild_wants {
    bool roles, channels, crowd;
    bool room; // some channel in which somebody sits, as in.channel
};
struct guild_wants guild_wants(const struct guild_in *in);
const struct schema *guild_schema(enum guild_in_kind kind); // of `msg`; NULL: there is none
// A command about a guild as an input; new_id and region_known are the caller's. ERR_MISSING: it is no such command.
MUST_USE int guild_command(const struct msg *m, struct guild_in *out, uint64_t *guild);
// What goes into the record of a user who was removed at `version`.
void guild_farewell(struct arena *a, uint64_t guild, uint64_t user, uint64_t version, struct event *e,
                    struct change *c);
// Is that one of the seats in the channel of `in` that it is about? room: as it stands.
bool guild_minds(const struct guild_in *in, const struct voice_room *room, const struct voice_seat *seat);

// A voice server for one seat, to be asked for at `at`; before the commit a seat row stands for `due`.
struct guild_ask {
    uint64_t user, channel, at, due;
    struct bytes session;
    struct bytes region; // the channel's own; none: choose by `preferred`
    struct texts preferred;
};
struct guild_held { // whose session has a seat here, or has none any more
    uint64_t user;
    struct bytes gateway;
};
struct guild_room { // as the commit leaves it; room.seats 0: nobody sits there
    uint64_t id;    // of the channel
    struct voice_room room;
    uint64_t look_at; // a timer row for GUILD_IN_ROOM of it is to be written before the commit; 0: none
};
struct guild_out { // everything in it lives in the arena or the scene
    uint32_t n_events, n_changes, n_asks, n_rooms;
    struct event events[GUILD_EVENTS_MAX];
    struct change changes[GUILD_CHANGES_MAX];
    struct guild_ask asks[GUILD_ASKS_MAX];
    struct guild_room rooms[GUILD_ROOMS_MAX]; // that the step touches: each touch sees what the last one left
    uint32_t n_came, n_went, joins, leaves;   // joins and leaves: how many sat down or stood up
    struct guild_held came[GUILD_SEATS_MAX];  // to be noted before the commit
    struct guild_held went[GUILD_SEATS_MAX];  // to be forgotten after it
    uint32_t n_released;
    uint64_t released[GUILD_ROOMS_MAX]; // channels that nobody sits in any more
    // Timer rows to be written before the commit, or, of the row that asked, when it is due again (ERR_STATE, too).
    uint64_t seat_at, room_at;        // for GUILD_IN_SEAT of the target, GUILD_IN_ROOM of `channel`; 0: none
    uint64_t closed;                  // the channel whose stage has been closed; 0: none
    uint64_t epoch;                   // LEAVE: of the seat that went
    uint64_t seat_done;               // a seat row of the target for that time is not needed any more; 0: none
    bool more;                        // the crowd was too large: the same input once more, after this commit
    const struct guild_channel *made; // a new channel: {<its id>}:s chan says whose it is before the commit
    uint64_t unmade;                  // one that is gone: that is taken away after it. 0: none
    bool all_unmade;                  // the guild is gone, and with it every channel of the scene
    struct bytes body;                // the answer: what REST returns
    struct fault fault;               // 50035
};

struct guild_rules {
    uint64_t server_delay_ms;   // between VOICE_STATE_UPDATE and VOICE_SERVER_UPDATE
    uint64_t retry_ms, poll_ms; // an ask that nobody answered; one that found no free node
    uint64_t stage_ms;          // how long a stage stays open on which nobody could speak
};

// OK, a Discord error code, ERR_STATE when the input changes nothing, or ERR_MISSING when what it is about is not there
// (as in call.h). Other than OK: nothing is to be committed; out->body is the answer when ERR_STATE.
MUST_USE int guild_step(struct arena *a, const struct guild_scene *s, const struct guild_in *in,
                        const struct guild_rules *rules, uint64_t now, struct guild_out *out);
// OK, or why a JOIN would be refused: what op 4 is silent about.
int guild_may_join(const struct guild_scene *s, const struct guild_in *in, uint64_t now);
bool guild_sits(const struct guild_scene *s, const struct guild_in *in); // the target's session in the channel
// The seats of the scene are in the rooms that it has, and counted there: what Redis gives back is what was written.
bool guild_scene_valid(const struct guild_scene *s);
