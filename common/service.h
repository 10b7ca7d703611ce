// service: what every Switchboard process does around its own work, in one place: configuration, log, loop, store,
// bus, the health port (/healthz, /readyz, /metrics), the ports file, signals, and the order of stopping.
#pragma once
#include "bus.h"
#include "config.h"
#include "lease.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "own_address.h"
#include "web.h"

struct service_cfg { // the settings that all services share
    const char *redis_url, *instance, *bus_bind, *bus_host, *health_bind, *ports_file, *log_level;
    uint64_t health_port, lease_ms, answer_bytes, redis_pending_max;
};

struct service {
    enum bus_kind kind;
    struct service_cfg cfg;
    char instance[48], bus_host[OWN_ADDRESS_MAX], near_redis[OWN_ADDRESS_MAX];
    struct loop *loop;
    struct store *store;
    struct bus *bus;
    struct web *health;
    uint16_t public_port, admin_port; // set by the gateway before service_run; 0 elsewhere
    uint16_t voice_port, media_port;  // set by the voice node
    uint64_t drain_ms;                // that a stop may take before what it waits for is given up; 0: 3 s
    bool stopping, failed;            // failed: it stops because it cannot go on, and its exit status says so

    // Filled in before service_start. Any may be NULL.
    void *ctx;
    bus_command_fn on_command;
    bus_event_fn on_event;
    bus_loss_fn on_loss;
    bus_peer_fn on_peer;
    void (*on_up)(void *ctx); // Redis is there (again)
    void (*on_down)(void *ctx);
    const char *(*not_ready)(void *ctx); // NULL: ready; otherwise why not
    void (*on_dump)(void *ctx, struct buf *out);
    void (*on_reload)(void *ctx); // HUP: read again what may be read again
    // Stop in two steps: refuse new work and close clients; then, when nothing is pending (or after 3 s), fini.
    void (*on_stop)(void *ctx);
    bool (*idle)(void *ctx);
    void (*on_fini)(void *ctx); // frees what the service owns; loop, store and bus still exist
    void (*on_end)(void *ctx);  // the loop has ended: web_free belongs here
    // service.c's own.
    struct memory memory;
    struct timer check, patience;
    enum { SERVICE_RUNS, SERVICE_DRAINS, SERVICE_CLOSES } phase;
};

// Loads config (shared rows and the service's own), starts log, loop, store, bus, health. Exits with 2 on bad config.
void service_start(struct service *s, const struct config_row *rows, size_t n, int argc, char **argv);
// The address that a setting means: @redis is the one from which this host reaches Redis, anything else itself. Exits
// with 2 when there is no such way. The text lives as long as the service.
const char *service_bind(struct service *s, const char *setting, const char *configured);
int service_run(struct service *s); // until stopped; the exit status
