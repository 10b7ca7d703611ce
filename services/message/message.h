// message: what a message is, and who may do what to it: validation, edit and delete rules, call messages, and the
// changes and events that a commit of one carries. Pure; the call manager links it too, for its call messages.
// Results are 0 or a code of errors.def.
#pragma once
#include "present.h"
#include "record.h"

// https://docs.discord.com/developers/resources/message, "Create Message"
#define MESSAGE_CHARACTERS_MAX 2000u
#define MESSAGE_CHANGES_MAX 3u // of one message in one commit

// --- the record's form: {place}:m <id>, {place}:mi, {place}:s last ---
struct bytes message_field(struct arena *a, uint64_t id); // field of {place}:m: decimal
struct bytes message_index(struct arena *a, uint64_t id); // member of {place}:mi: 20 digits, text order is id order
// Each fills out[0..MESSAGE_CHANGES_MAX) and returns how many. Everything lives in the arena. A message that is added
// is the newest of its place: its id was made greater than all before (lease_mint), so that who asks for what came
// after an id misses none.
uint32_t message_added(struct arena *a, const struct message_rec *m, struct change *out);
uint32_t message_changed(struct arena *a, const struct message_rec *m, struct change *out);
uint32_t message_removed(struct arena *a, uint64_t id, struct change *out);

// --- events, to everybody who listens to the place ---
// MESSAGE_CREATE, and MESSAGE_UPDATE, which is whole as well.
struct event message_created_event(struct arena *a, const struct message_rec *m, uint64_t channel,
                                   struct user_set users);
struct event message_updated_event(struct arena *a, const struct message_rec *m, uint64_t channel,
                                   struct user_set users);
struct event message_deleted_event(struct arena *a, uint64_t id, uint64_t channel);                // MESSAGE_DELETE
struct event message_typing_event(struct arena *a, uint64_t user, uint64_t channel, uint64_t now); // all but the user
struct event message_ack_event(struct arena *a, uint64_t user, const struct read_state *rs);       // the user's record
// An entry of a record's log, packed: what commit.entry wants. The version is expected + 1.
struct bytes message_entry(struct arena *a, ref r, uint64_t version, uint64_t now, const struct event *v, uint32_t n);

// --- call messages (type 3) ---
// The whole record as it stands now: mentions are the recipients other than the author, ended_at 0 while it runs.
// For a new call, one more participant and its end alike: message_added the first time, message_changed after.
struct message_rec message_call(struct arena *a, uint64_t id, uint64_t author, struct ids recipients,
                                struct ids participants, uint64_t ended_at);

// --- ordinary messages ---
// 0, 50006 (nothing but blanks) or 50035 (too long: the fault below is its form error).
int message_content_check(struct bytes content);
extern const struct fault message_too_long;
// The record of a new message; mentions are the recipients that the content names as <@id> or <@!id>.
struct message_rec message_new(struct arena *a, uint64_t id, const struct message_send *send, struct ids recipients);
// m NULL: there is none. 10008, 50021 (a system message), somebody else's: 50005 to an edit, 50003 to a deletion.
int message_may_edit(const struct message_rec *m, uint64_t user);
int message_may_delete(const struct message_rec *m, uint64_t user);
struct message_rec message_edited(struct arena *a, const struct message_rec *m, struct bytes content,
                                  struct ids recipients, uint64_t now);
// In a 1:1 channel, when either side has blocked the other (types of relationships, 0 none): 50007.
int message_may_send(const struct channel *c, uint64_t mine, uint64_t theirs);

// --- read states ---
// Moves `old` (id 0: none yet) on to the acked message. False: it is there already and nothing changes. A manual ack
// may go back. version: the user's last one.
bool message_ack_step(const struct read_state *old, const struct message_ack *ack, uint64_t version,
                      struct read_state *out);
