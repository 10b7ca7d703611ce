// message_io: the service's commands, each a chain of steps (job.h). Shell: what a step decides is in the cores.
#pragma once
#include "job.h"

struct handler {
    const struct schema *schema;
    job_fn start;
    ref (*key)(const void *msg); // the record that it changes; NULL: it only reads
};
// NULL: not a command of this service.
const struct handler *handler_of(const struct schema *schema);

// message_io.c
void start_message_send(struct job *j);
void start_message_edit(struct job *j);
void start_message_delete(struct job *j);
void start_message_get(struct job *j);
void start_message_list(struct job *j);
void start_message_ack(struct job *j);
void start_typing(struct job *j);
// channel_io.c
void start_channel_open(struct job *j);
void start_channel_edit(struct job *j);
ref key_channel_open(const void *msg);
// user_io.c
void start_relationship_put(struct job *j);
void start_user_put(struct job *j);
void start_token_revoke(struct job *j);
void start_user_find(struct job *j);
void start_directory_list(struct job *j);
ref key_relationship_put(const void *msg);
ref key_user_put(const void *msg);
// find_io.c
void start_guild_find(struct job *j);
void start_guild_members(struct job *j);
// world_io.c
void start_world_load(struct job *j);
// guild_io.c
void start_guild_forget(struct job *j);
