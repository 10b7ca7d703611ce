// switchboard-call-manager: owns calls and voice states: who is where, who is being rung.
#include "manager.h"

static const char *not_ready(void *ctx)
{
    struct manager *m = ctx;
    if (!lease_held(m->lease))
        return "no worker number for ids yet";
    return m->regions.n > 0 ? NULL : "no region list from a region allocator yet";
}

static void on_peer(void *ctx, enum bus_kind kind, const char *instance, bool up)
{
    struct manager *m = ctx;
    (void)instance;
    if (kind == BUS_GATEWAY)
        timers_look(m);
    else if (up && m->regions.n == 0)
        call_refresh_regions(m);
}

static void on_up(void *ctx)
{
    struct manager *m = ctx;
    m->up_at = loop_now(m->service.loop);
}

static bool idle(void *ctx)
{
    return ((struct manager *)ctx)->jobs.n == 0;
}

static void on_stop(void *ctx)
{
    timers_stop(ctx);
    call_drop_asks(ctx);
}

static void on_fini(void *ctx)
{
    struct manager *m = ctx;
    m->closed = true;
    job_drop_waiting(m);
    call_drop_asks(m);
    lease_free(m->lease);
    table_fini(&m->jobs);
    table_fini(&m->turns);
    table_fini(&m->busy);
    table_fini(&m->asks);
    table_fini(&m->releases);
}

static void on_dump(void *ctx, struct buf *out)
{
    struct manager *m = ctx;
    buf_printf(out, "jobs running %u of at most %llu, last %llu\nservers %u asked for, %u to be released\nregions %u\n",
               m->jobs.n, (unsigned long long)m->jobs_max, (unsigned long long)m->last_number, m->asks.n, m->releases.n,
               m->regions.n);
}

int main(int argc, char **argv)
{
    struct manager m = {0};
    const struct config_row rows[] = {
        {"SB_RING_MS", CONFIG_UINT, &m.rules.ring_ms, "60000", 100, 600000, "how long a user is rung, in ms"},
        {"SB_SERVER_DELAY_MS", CONFIG_UINT, &m.rules.server_delay_ms, "100", 0, 5000,
         "between VOICE_STATE_UPDATE and VOICE_SERVER_UPDATE, in ms; some client libraries miss the second without it"},
        {"SB_RESUME_WINDOW_MS", CONFIG_UINT, &m.resume_window_ms, "120000", 100, 3600000,
         "how long the sessions of a gateway that died keep their voice states, in ms"},
        {"SB_JOBS_MAX", CONFIG_UINT, &m.jobs_max, "2000", 1, 100000,
         "commands in progress, at one place half of them; more wait with their senders"},
        {"SB_CHANNELS_PER_USER", CONFIG_UINT, &m.channels_max, "1000", 1, 100000,
         "private channels of one user; in more groups he cannot be put"},
        {"SB_STAGE_MS", CONFIG_UINT, &m.guild_rules.stage_ms, "300000", 100, 86400000,
         "how long a stage stays open while nobody in its channel may speak, in ms"},
    };
    m.service = (struct service){.kind = BUS_CALL_MANAGER,
                                 .ctx = &m,
                                 .on_command = call_command,
                                 .on_peer = on_peer,
                                 .on_up = on_up,
                                 .not_ready = not_ready,
                                 .on_dump = on_dump,
                                 .on_stop = on_stop,
                                 .idle = idle,
                                 .on_fini = on_fini};
    service_start(&m.service, rows, countof(rows), argc, argv);
    m.guild_rules.server_delay_ms = m.rules.server_delay_ms;
    m.guild_rules.retry_ms = CALL_RETRY_MS;
    m.guild_rules.poll_ms = CALL_POLL_MS;
    m.lease = lease_new(m.service.loop, m.service.store, m.service.instance);
    bus_watch(m.service.bus, BUS_GATEWAY);
    bus_watch(m.service.bus, BUS_REGION_ALLOCATOR);
    timers_start(&m);
    return service_run(&m.service);
}
