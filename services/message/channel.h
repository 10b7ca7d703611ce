// channel: who may see a private channel, and how one is opened step by step so that two who open it at once, or one
// who dies in between, end with the same channel. Pure. Results are 0 or a code of errors.def.
#pragma once
#include "present.h"
#include "record.h"

// https://docs.discord.com/developers/topics/opcodes-and-status-codes, "JSON": 30004
#define GROUP_RECIPIENTS_MAX 10u // its owner included
#define GROUP_NAME_MAX 100u      // characters

// c NULL: there is none. 10003 when the user may not know of it, 50024 for a guild's channel.
int channel_access(const struct channel *c, uint64_t user);

// What a channel_open wants, once its users were looked up.
struct opening {
    bool group;
    uint64_t by;
    struct ids recipients; // everybody, the opener first, no one twice
    struct bytes name;     // of a group; p NULL: none
};
// Everybody that an opening names, the opener first, no one twice: whom to look up.
struct ids opening_names(struct arena *a, const struct channel_open *open);
// users: the records of those who exist. 50033 (unknown, oneself, a bot in a group), 20001 (a bot opens a group),
// 30004 (too many), 50035 (the name: *fault).
int opening_plan(struct arena *a, const struct channel_open *open, struct user_set users, struct opening *out,
                 struct fault *fault);
// listed: in how many channels each of its recipients is. 30011: one of a group's has as many as anybody may have. 1:1
// channels are bounded by how many users there are.
int opening_room(const struct opening *o, const uint64_t *listed, uint64_t max);
// The lower of two users holds the claim: {u:lower}:dm <upper> names their channel.
uint64_t opening_lower(const struct opening *o);
uint64_t opening_upper(const struct opening *o);

// What stands of the channel so far. Every look at it decides one more step; each step is safe to repeat.
struct opening_view {
    uint64_t id;             // that was claimed; 0: none yet
    const struct channel *c; // NULL: not created yet
    const bool *listed;      // of the opening's recipients: {u:<recipient>}:ch has it; c NULL: unused
};
enum opening_next {
    OPENING_CLAIM,  // an id
    OPENING_CREATE, // the channel's record
    OPENING_LIST,   // it with those whom opening_lacks names, and tell them
    OPENING_DONE
};
enum opening_next opening_step(const struct opening *o, const struct opening_view *view);
bool opening_lacks(const struct opening *o, const struct opening_view *view, uint32_t at);
struct channel opening_channel(const struct opening *o, uint64_t id);

// CHANNEL_CREATE for one recipient, in his own record; his sessions listen to the channel from `version` on.
struct event channel_created_event(struct arena *a, const struct channel *c, uint64_t version, uint64_t last_message,
                                   struct user_set users, uint64_t viewer);

// 50003 (not a group), 50035 (the name: *fault).
int channel_edit_step(const struct channel *c, const struct channel_edit *edit, struct channel *out,
                      struct fault *fault);
// CHANNEL_UPDATE in the channel's record, one for each recipient; out has room for c->recipients.n.
void channel_updated_events(struct arena *a, const struct channel *c, uint64_t last_message, struct user_set users,
                            struct event *out);
