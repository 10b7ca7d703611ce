// main: the message service. Configuration, the bus, the jobs, and the order of stopping.
#include "message_io.h"

struct message_service {
    struct service service;
    struct jobs jobs;
    uint64_t jobs_max, channels_max;
};

static ref channel_of_send(const void *msg)
{
    return ref_place(((const struct message_send *)msg)->channel);
}

static ref channel_of_edit(const void *msg)
{
    return ref_place(((const struct message_edit *)msg)->channel);
}

static ref channel_of_delete(const void *msg)
{
    return ref_place(((const struct message_delete *)msg)->channel);
}

static ref user_of_ack(const void *msg)
{
    return ref_user(((const struct message_ack *)msg)->user);
}

static ref channel_of_typing(const void *msg)
{
    return ref_place(((const struct typing *)msg)->channel);
}

static ref channel_of_channel_edit(const void *msg)
{
    return ref_place(((const struct channel_edit *)msg)->channel);
}

static ref system_of_revoke(const void *msg)
{
    (void)msg;
    return REF_SYSTEM;
}

const struct handler *handler_of(const struct schema *schema)
{
    static const struct handler handlers[] = {
        {&schema_message_send, start_message_send, channel_of_send},
        {&schema_message_edit, start_message_edit, channel_of_edit},
        {&schema_message_delete, start_message_delete, channel_of_delete},
        {&schema_message_get, start_message_get, NULL},
        {&schema_message_list, start_message_list, NULL},
        {&schema_message_ack, start_message_ack, user_of_ack},
        {&schema_typing, start_typing, channel_of_typing},
        {&schema_channel_open, start_channel_open, key_channel_open},
        {&schema_channel_edit, start_channel_edit, channel_of_channel_edit},
        {&schema_relationship_put, start_relationship_put, key_relationship_put},
        {&schema_user_put, start_user_put, key_user_put},
        {&schema_token_revoke, start_token_revoke, system_of_revoke},
        {&schema_user_find, start_user_find, NULL},
        {&schema_directory_list, start_directory_list, NULL},
        {&schema_guild_find, start_guild_find, NULL},
        {&schema_guild_members, start_guild_members, NULL},
        {&schema_guild_forget, start_guild_forget, NULL},
        {&schema_world_load, start_world_load, NULL}, // its children have their turns
    };
    for (size_t i = 0; i < countof(handlers); i++)
        if (handlers[i].schema == schema)
            return &handlers[i];
    return NULL;
}

static void on_command(void *ctx, const struct bus_from *from, const struct msg *m)
{
    struct message_service *s = ctx;
    const struct handler *h = handler_of(m->schema);
    if (!h) {
        M.bus_invalid++;
        LOG_PEER(WARN, EV("message.not_ours"), KS("message", m->schema->name), KS("from", from->instance));
        bus_answer(s->service.bus, from, ERR_INVALID, BYTES_NONE);
        return;
    }
    jobs_take(&s->jobs, from, m, h->key ? h->key(m->v) : 0, h->start);
}

static const char *not_ready(void *ctx)
{
    const struct message_service *s = ctx;
    return s->jobs.lease && lease_held(s->jobs.lease) ? NULL : "no worker number is held";
}

static void on_stop(void *ctx)
{
    struct message_service *s = ctx;
    s->jobs.closed = true;
}

static bool idle(void *ctx)
{
    const struct message_service *s = ctx;
    return s->jobs.n == 0;
}

static void on_fini(void *ctx)
{
    struct message_service *s = ctx;
    jobs_fini(&s->jobs);
    lease_free(s->jobs.lease);
    s->jobs.lease = NULL;
}

static void on_dump(void *ctx, struct buf *out)
{
    const struct message_service *s = ctx;
    jobs_dump(&s->jobs, out);
}

int main(int argc, char **argv)
{
    struct message_service s = {.service = {.kind = BUS_MESSAGE}};
    const struct config_row rows[] = {
        {"SB_JOBS_MAX", CONFIG_UINT, &s.jobs_max, "4096", 1, 1000000, "commands worked on or waiting at a time"},
        {"SB_CHANNELS_PER_USER", CONFIG_UINT, &s.channels_max, "1000", 1, 100000,
         "private channels of one user; in more groups he cannot be put"},
    };
    s.service.ctx = &s;
    s.service.on_command = on_command;
    s.service.not_ready = not_ready;
    s.service.on_dump = on_dump;
    s.service.on_stop = on_stop;
    s.service.idle = idle;
    s.service.on_fini = on_fini;
    service_start(&s.service, rows, countof(rows), argc, argv);
    jobs_init(&s.jobs, &s.service, s.jobs_max);
    s.jobs.channels_max = s.channels_max;
    s.jobs.lease = lease_new(s.service.loop, s.service.store, s.service.instance);
    return service_run(&s.service);
}
