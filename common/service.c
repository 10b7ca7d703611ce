// service: see service.h. Stopping has three phases: drain (no new work, until idle or 3 s have passed), close (what
// the service owns, then the bus, until Redis has heard of it or 0.5 s have passed), end.
#include "service.h"
#include "store_address.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_MS 3000u
#define CLOSE_MS 500u
#define CHECK_MS 20u
#define ROWS_MAX 64u

static _Noreturn void refuse(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(2);
}

// --- configuration ---

static size_t all_rows(struct service_cfg *c, const struct config_row *own, size_t n, struct config_row *out)
{
    const struct config_row shared[] = {
        {"REDIS_URL", CONFIG_TEXT, &c->redis_url, "redis://127.0.0.1:6379/0", 1, 512,
         "redis://[:password@]host[:port][/db]"},
        {"SB_REDIS_PENDING_MAX", CONFIG_UINT, &c->redis_pending_max, "100000", 100, 10000000,
         "commands that wait for Redis at a time; one more fails as if it were away"},
        {"SB_INSTANCE", CONFIG_TEXT, &c->instance, "", 0, 47,
         "this process's unique name; empty: made up at each start"},
        {"SB_BUS_BIND", CONFIG_TEXT, &c->bus_bind, "127.0.0.1", 1, 255,
         "address on which other services reach this one; @redis: the one from which this host reaches Redis"},
        {"SB_BUS_HOST", CONFIG_TEXT, &c->bus_host, "", 0, 255,
         "address that other services dial; empty: the one above, or this host's own when that is 0.0.0.0"},
        {"SB_BUS_LEASE_MS", CONFIG_UINT, &c->lease_ms, "1500", 300, 60000,
         "a service that is silent for so long counts as gone, in ms"},
        {"SB_BUS_ANSWER_BYTES", CONFIG_UINT, &c->answer_bytes, "67108864", 1u << 20, 1ull << 40,
         "answers of the last 30 s, kept for who asks again; beyond that the oldest go"},
        {"SB_HEALTH_BIND", CONFIG_TEXT, &c->health_bind, "127.0.0.1", 1, 255,
         "address of /healthz, /readyz and /metrics; @redis as above"},
        {"SB_HEALTH_PORT", CONFIG_UINT, &c->health_port, "0", 0, 65535, "their port; 0: any free one"},
        {"SB_PORTS_FILE", CONFIG_TEXT, &c->ports_file, "", 0, 4096,
         "file that gets the ports this process listens on, as JSON; empty: none"},
        {"SB_LOG_LEVEL", CONFIG_TEXT, &c->log_level, "info", 1, 8, "debug, info, warn or error"},
    };
    CHECK(countof(shared) + n <= ROWS_MAX);
    memcpy(out, own, n * sizeof *own);
    memcpy(out + n, shared, sizeof shared);
    return n + countof(shared);
}

static enum log_level level_of(const char *name)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum log_level)i;
    refuse("SB_LOG_LEVEL (--log-level)", "must be debug, info, warn or error");
}

static void name_instance(struct service *s)
{
    unsigned char random[4];
    if (s->cfg.instance[0]) {
        snprintf(s->instance, sizeof s->instance, "%s", s->cfg.instance);
        return;
    }
    randombytes_buf(random, sizeof random);
    snprintf(s->instance, sizeof s->instance, "%s-%02x%02x%02x%02x", bus_kind_name(s->kind), random[0], random[1],
             random[2], random[3]);
}

// What others dial: as configured, else what we bind, else (bound to every address) the one this host's name has.
static const char *bus_host(const struct service_cfg *c, char out[OWN_ADDRESS_MAX])
{
    if (c->bus_host[0])
        return c->bus_host;
    if (strcmp(c->bus_bind, "0.0.0.0") != 0)
        return c->bus_bind;
    if (own_address_named(out) != OK)
        refuse("SB_BUS_HOST (--bus-host)", "must be set: this host's own name has no address");
    return out;
}

// A host with a foot in several networks has its store in the one that is not for the world.
const char *service_bind(struct service *s, const char *setting, const char *configured)
{
    struct store_address redis;
    if (strcmp(configured, "@redis") != 0)
        return configured;
    if (store_address_parse(&redis, s->cfg.redis_url) != OK || own_address_towards(redis.host, s->near_redis) != OK)
        refuse(setting, "is @redis, and this host knows no way to the one that REDIS_URL names");
    return s->near_redis;
}

// --- health ---

static const char *why_not_ready(const struct service *s)
{
    if (s->stopping)
        return "stopping";
    if (!store_up(s->store))
        return "redis is away";
    if (bus_refused(s->bus))
        return "redis takes no writes";
    if (!bus_ready(s->bus))
        return "the bus registry has not been read yet";
    return s->not_ready ? s->not_ready(s->ctx) : NULL;
}

static void answer_ready(struct service *s, uint64_t request)
{
    struct buf body = {0};
    const char *why = why_not_ready(s);
    buf_str(&body, why ? "{\"ready\":false,\"why\":" : "{\"ready\":true");
    if (why)
        json_text(&body, bytes_of(why));
    buf_char(&body, '}');
    web_json(s->health, request, why ? 503 : 200, buf_bytes(&body));
    buf_fini(&body);
}

static void on_health(void *ctx, const struct web_request *r)
{
    struct service *s = ctx;
    struct buf body = {0};
    if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) {
        web_json(s->health, r->id, 405, BYTES("{\"message\":\"405: Method Not Allowed\",\"code\":0}"));
    } else if (bytes_is(r->path, "/healthz")) {
        web_json(s->health, r->id, 200, BYTES("{\"alive\":true}"));
    } else if (bytes_is(r->path, "/readyz")) {
        answer_ready(s, r->id);
    } else if (bytes_is(r->path, "/metrics")) {
        metrics_print(&body, bus_kind_name(s->kind), s->instance);
        web_reply(s->health, r->id, 200, "text/plain; version=0.0.4", NULL, buf_bytes(&body));
    } else {
        web_json(s->health, r->id, 404, BYTES("{\"message\":\"404: Not Found\",\"code\":0}"));
    }
    buf_fini(&body);
}

static void start_health(struct service *s)
{
    const struct web_cfg cfg = {.bind = s->cfg.health_bind,
                                .port = s->cfg.health_port,
                                .body_max = 1024,
                                .frame_max = 1024,
                                .queue_max = 1 << 20,
                                .held_max = 4 << 20,
                                .connections_max = 64,
                                .request_ms = 5000,
                                .keepalive_ms = 60000,
                                .on_request = on_health,
                                .ctx = s};
    s->health = web_new(s->loop, cfg);
    if (!s->health)
        refuse("SB_HEALTH_PORT (--health-port)", "cannot be listened on; the line above says why");
}

// --- start ---

static void on_store_up(void *ctx)
{
    struct service *s = ctx;
    LOG(INFO, EV("redis.up"), KS("url", "connected"));
    if (s->on_up)
        s->on_up(s->ctx);
}

static void on_store_down(void *ctx)
{
    struct service *s = ctx;
    LOG(WARN, EV("redis.down"), KS("why", "connection lost or refused"));
    if (s->on_down)
        s->on_down(s->ctx);
}

// The bus hands over to whatever the service has; all of it is optional.
static void on_command(void *ctx, const struct bus_from *from, const struct msg *m)
{
    struct service *s = ctx;
    if (s->on_command)
        s->on_command(s->ctx, from, m);
    else
        bus_answer(s->bus, from, ERR_INVALID, BYTES_NONE);
}

static void on_event(void *ctx, const struct msg *m)
{
    struct service *s = ctx;
    if (s->on_event)
        s->on_event(s->ctx, m);
}

static void on_loss(void *ctx, const char *why)
{
    struct service *s = ctx;
    if (s->on_loss)
        s->on_loss(s->ctx, why);
}

static void on_peer(void *ctx, enum bus_kind kind, const char *instance, bool up)
{
    struct service *s = ctx;
    LOG(INFO, EV(up ? "peer.up" : "peer.down"), KS("kind", bus_kind_name(kind)), KS("peer", instance));
    if (s->on_peer)
        s->on_peer(s->ctx, kind, instance, up);
}

// Others of its kind take over, and whoever started this process starts it anew.
static void on_stuck(void *ctx)
{
    struct service *s = ctx;
    if (s->stopping)
        return;
    LOG(ERROR, EV("bus.stuck"), KS("why", "nng does not close a socket; this process has to be started anew"));
    s->failed = true;
    loop_stop(s->loop);
}

void service_start(struct service *s, const struct config_row *own, size_t n, int argc, char **argv)
{
    struct config_row rows[ROWS_MAX];
    memory_settings();
    size_t n_rows = all_rows(&s->cfg, own, n, rows);
    if (config_load(rows, n_rows, argc, argv) != OK)
        exit(2);
    if (store_url_ok(s->cfg.redis_url) != OK)
        refuse("REDIS_URL (--redis-url)", "must be redis://[:password@]host[:port][/db]");
    if (sodium_init() < 0)
        refuse("libsodium", "cannot be initialised");
    name_instance(s);
    log_init(level_of(s->cfg.log_level), bus_kind_name(s->kind), s->instance);
    config_log(rows, n_rows);
    s->cfg.bus_bind = service_bind(s, "SB_BUS_BIND (--bus-bind)", s->cfg.bus_bind);
    s->cfg.health_bind = service_bind(s, "SB_HEALTH_BIND (--health-bind)", s->cfg.health_bind);
    s->loop = loop_new();
    memory_watch(&s->memory, s->loop);
    const struct store_cfg store = {.url = s->cfg.redis_url,
                                    .on_up = on_store_up,
                                    .on_down = on_store_down,
                                    .ctx = s,
                                    .pending_max = s->cfg.redis_pending_max};
    s->store = store_new(s->loop, store);
    const struct bus_cfg bus = {.kind = s->kind,
                                .instance = s->instance,
                                .bind = s->cfg.bus_bind,
                                .host = bus_host(&s->cfg, s->bus_host),
                                .lease_ms = s->cfg.lease_ms,
                                .answers_max = s->cfg.answer_bytes,
                                .on_command = on_command,
                                .on_event = on_event,
                                .on_loss = on_loss,
                                .on_peer = on_peer,
                                .on_stuck = on_stuck,
                                .ctx = s};
    s->bus = bus_new(s->loop, s->store, bus);
    if (!s->bus)
        refuse("SB_BUS_BIND (--bus-bind)", "cannot be listened on; the line above says why");
    start_health(s);
}

// Written beside its place and renamed into it: whoever waits for the file finds it whole.
static void write_ports(const struct service *s)
{
    char beside[4200];
    if (!s->cfg.ports_file[0])
        return;
    snprintf(beside, sizeof beside, "%s.%ld", s->cfg.ports_file, (long)getpid());
    FILE *f = fopen(beside, "w");
    if (!f)
        refuse("SB_PORTS_FILE (--ports-file)", strerror(errno));
    fprintf(f, "{");
    if (s->public_port)
        fprintf(f, "\"public\":%u,", s->public_port);
    if (s->admin_port)
        fprintf(f, "\"admin\":%u,", s->admin_port);
    if (s->voice_port)
        fprintf(f, "\"voice\":%u,\"media\":%u,", s->voice_port, s->media_port);
    fprintf(f, "\"health\":%u}\n", web_port(s->health));
    if (fclose(f) != 0 || rename(beside, s->cfg.ports_file) != 0)
        refuse("SB_PORTS_FILE (--ports-file)", strerror(errno));
}

// --- stop ---

static void close_all(struct service *s)
{
    s->phase = SERVICE_CLOSES;
    if (s->on_fini)
        s->on_fini(s->ctx);
    bus_stop(s->bus);
    web_stop(s->health);
    loop_arm(s->loop, &s->patience, CLOSE_MS);
}

static void end(struct service *s)
{
    loop_cancel(s->loop, &s->check);
    loop_cancel(s->loop, &s->patience);
    memory_unwatch(&s->memory);
    store_free(s->store);
    s->store = NULL;
    bus_stop(s->bus);
    loop_end(s->loop);
}

static void check(struct timer *t, uint64_t now)
{
    struct service *s = container_of(t, struct service, check);
    (void)now;
    loop_arm(s->loop, &s->check, CHECK_MS);
    if (s->phase == SERVICE_DRAINS && (!s->idle || s->idle(s->ctx)))
        close_all(s);
    else if (s->phase == SERVICE_CLOSES && M.store_pending == 0)
        end(s);
}

static void out_of_patience(struct timer *t, uint64_t now)
{
    struct service *s = container_of(t, struct service, patience);
    (void)now;
    LOG(WARN, EV("stop.hurried"), KU("phase", (uint64_t)s->phase));
    if (s->phase == SERVICE_DRAINS)
        close_all(s);
    else
        end(s);
}

static void on_stop(void *ctx)
{
    struct service *s = ctx;
    LOG(INFO, EV("service.stopping"), KS("why", s->failed ? "it fails" : "asked to"));
    s->stopping = true;
    s->phase = SERVICE_DRAINS;
    if (s->on_stop)
        s->on_stop(s->ctx);
    s->check.fire = check;
    s->patience.fire = out_of_patience;
    loop_arm(s->loop, &s->patience, s->drain_ms ? s->drain_ms : DRAIN_MS);
    loop_arm(s->loop, &s->check, 0);
}

static void on_dump(void *ctx)
{
    struct service *s = ctx;
    struct buf out = {0};
    const char *why = why_not_ready(s);
    buf_printf(&out, "--- %s: %s\n", s->instance, why ? why : "ready");
    bus_dump(s->bus, &out);
    if (s->on_dump)
        s->on_dump(s->ctx, &out);
    fwrite(out.p, 1, out.n, stderr);
    buf_fini(&out);
}

static void on_reload(void *ctx)
{
    struct service *s = ctx;
    if (s->on_reload)
        s->on_reload(s->ctx);
}

int service_run(struct service *s)
{
    write_ports(s);
    loop_on_reload(s->loop, on_reload, s);
    LOG(INFO, EV("service.started"), KU("health_port", web_port(s->health)), KU("public_port", s->public_port),
        KU("admin_port", s->admin_port), KU("voice_port", s->voice_port), KU("media_port", s->media_port));
    loop_run(s->loop, on_stop, on_dump, s);
    if (s->on_end)
        s->on_end(s->ctx);
    web_free(s->health);
    bus_free(s->bus);
    loop_free(s->loop);
    return s->failed;
}
