// switchboard-region-allocator: owns the pool of voice nodes, and which call lives on which node.
#include "alloc_io.h"

static const char *not_ready(void *ctx)
{
    const struct alloc *a = ctx;
    return a->regions.n || a->fleet.n ? NULL
                                      : "no region: none in the regions file, and no voice node has announced itself";
}

static void on_stop(void *ctx)
{
    sweep_stop(ctx);
}

// What is told to call managers is not waited for: another allocator, or this one when it is back, tells it again.
static bool idle(void *ctx)
{
    const struct alloc *a = ctx;
    return a->n_jobs == 0;
}

static void on_fini(void *ctx)
{
    alloc_close(ctx);
}

static void on_dump(void *ctx, struct buf *out)
{
    alloc_dump(ctx, out);
}

int main(int argc, char **argv)
{
    struct alloc a = {0};
    const struct config_row rows[] = {
        {"SB_REGIONS_FILE", CONFIG_TEXT, &a.regions_file, "deploy/regions.json", 0, 4096,
         "the operator's own voice nodes by region; empty: only nodes that announce themselves"},
        {"SB_VOICE_TOKEN_MS", CONFIG_UINT, &a.token_ms, "300000", 1000, 86400000,
         "how long a voice node accepts a token, in ms"},
        {"SB_NODE_LEASE_MS", CONFIG_UINT, &a.node_lease_ms, "2000", 1500, 60000,
         "silence after which a voice node is lost, in ms; they speak three times a second"},
        {"SB_NODES_MAX", CONFIG_UINT, &a.nodes_max, "1024", 1, 16384, "voice nodes known; more are refused"},
        {"SB_JOBS_MAX", CONFIG_UINT, &a.jobs_max, "4000", 1, 100000, "commands in progress; more are refused"},
    };
    a.service = (struct service){.kind = BUS_REGION_ALLOCATOR,
                                 .ctx = &a,
                                 .on_command = alloc_command,
                                 .on_event = alloc_event,
                                 .not_ready = not_ready,
                                 .on_dump = on_dump,
                                 .on_stop = on_stop,
                                 .idle = idle,
                                 .on_fini = on_fini};
    service_start(&a.service, rows, countof(rows), argc, argv);
    alloc_start(&a);
    bus_watch(a.service.bus, BUS_CALL_MANAGER);
    return service_run(&a.service);
}
