// present: how records look to clients: a user, a private channel as one of its recipients sees it, a message.
// Pure. Every service that shows one of these uses this file, so they look the same everywhere.
#pragma once
#include "schema.h"

enum channel_type {
    CHANNEL_TEXT = 0,
    CHANNEL_DM = 1,
    CHANNEL_VOICE = 2,
    CHANNEL_GROUP = 3,
    CHANNEL_CATEGORY = 4,
    CHANNEL_ANNOUNCEMENT = 5,
    CHANNEL_STAGE = 13,
};
enum message_type { MESSAGE_DEFAULT = 0, MESSAGE_CALL = 3 };

// Users at hand, in any order. Who is not among them is shown as a deleted user: no event waits for a lost record.
struct user_set {
    uint32_t n;
    const struct user *v;
};

const struct user *user_set_find(struct user_set users, uint64_t id); // NULL when absent
struct j_user present_user(const struct user *u);
struct j_user present_user_id(struct user_set users, uint64_t id);
// One after another; for j_… rows with a list or pointer of users.
struct j_user *present_users(struct arena *a, struct user_set users, struct ids ids);

void present_user_json(struct buf *out, const struct user *u);
// j_dm or j_group by the channel's type. viewer: whom the recipients leave out; 0: nobody. last_message 0: none yet.
void present_channel_json(struct arena *a, struct buf *out, const struct channel *c, uint64_t last_message,
                          struct user_set users, uint64_t viewer);
// users should hold the author and m->mentions.
void present_message_json(struct arena *a, struct buf *out, const struct message_rec *m, uint64_t channel,
                          struct user_set users);
// The same three as text that lives in the arena, ready for event.body.
struct bytes present_channel(struct arena *a, const struct channel *c, uint64_t last_message, struct user_set users,
                             uint64_t viewer);
struct bytes present_message(struct arena *a, const struct message_rec *m, uint64_t channel, struct user_set users);
// A running call: CALL_CREATE with the voice states that it has, CALL_UPDATE without. Text in the arena.
struct bytes present_call_create(struct arena *a, uint64_t channel, const struct call_rec *c);
struct bytes present_call_update(struct arena *a, uint64_t channel, const struct call_rec *c);

bool ids_have(struct ids ids, uint64_t id);
struct ids ids_without(struct arena *a, struct ids ids, uint64_t id); // in the same order
struct ids ids_with(struct arena *a, struct ids ids, uint64_t id);    // appended unless there already
