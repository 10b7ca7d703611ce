// history: all Redis keys and commands of messages and read states. Shell.
//   {<channel>}:m  hash: message -> row   {<channel>}:mi  zset of 20-digit ids, all of score 0, so in order of text
//   {<channel>}:s  last   {u:<id>}:rs  hash: channel -> row   {u:<id>}:s  rsv
#pragma once
#include "job.h"
#include "message.h"
#include "page.h"

const struct value *history_message_read(struct job *j, uint64_t channel, uint64_t id);
const struct message_rec *history_message(struct job *j, const struct value *v); // NULL: there is none

const struct value *history_part_read(struct job *j, uint64_t channel, const struct page_part *part);
struct texts history_part(struct job *j, const struct value *v);
const struct value *history_messages_read(struct job *j, uint64_t channel, struct ids ids); // ids.n > 0
// Those that are still there, in the order of the ids; returns how many.
uint32_t history_messages(struct job *j, const struct value *v, const struct message_rec **out);

const struct value *history_read_state_read(struct job *j, uint64_t user, uint64_t channel);
struct read_state history_read_state(struct job *j, const struct value *v); // id 0: none yet
#define READ_STATE_CHANGES 2u
void history_read_state_changes(struct job *j, const struct read_state *rs, struct change out[READ_STATE_CHANGES]);
