// switchboard-sim: runs seeds. `switchboard-sim [--seeds N] [--from SEED] [--events N] [--workers N] [--stop]
// [-v|-vv]`; the last line is `N passed, N failed`, and a failing seed is run again by `--from SEED --seeds 1 -v`.
#include "world.h"
#include "json.h"
#include "log.h"
#include "mains.h"
#include "redis.h"
#include "token.h"
#include "voice.h"
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET "a secret of the simulated world, of 32 bytes and more"
#define NODES_EVERY 4u // seeds: their sockets take time
// After the last fault: what is then not as it should be is wrong. Who waits for a node is asked about every 3 to 5 s.
#define CALM_MS 4000u
#define CALM_NODES_MS 12000u

struct people people;
static struct options {
    uint64_t seeds, from, events, workers;
    uint64_t verbose;
    bool stop; // at the first seed that fails
} options = {.seeds = 100, .events = 5000, .workers = 1};
static struct {
    uint64_t seed, step, hash;
    bool nodes; // there are voice nodes; else clients are sent to some that nobody has started
    bool failed;
} run;

// --- telling ---

bool world_failed(void)
{
    return run.failed;
}

void world_tell(const char *fmt, ...)
{
    va_list args;
    if (!options.verbose)
        return;
    printf("%10.3f ms  ", (double)sim_us() / 1000);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

void world_fail(const char *fmt, ...)
{
    va_list args;
    if (run.failed)
        return;
    run.failed = true;
    printf("seed %" PRIu64 ", event %" PRIu64 ", %.3f ms: ", run.seed, run.step, (double)sim_us() / 1000);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

// --- processes ---

// Their own log lines are a part of the story with -vv.
static char log_level[] = "--log-level=error";

static void start(struct instance *i)
{
    static char *gateway[] = {"gateway",
                              "--port=0",
                              "--admin-port=0",
                              "--admin-token=" ADMIN_TOKEN,
                              "--token-secret=" SECRET,
                              "--public-url=ws://sim",
                              "--heartbeat-ms=600000",
                              "--resume-window-ms=1000",
                              "--bus-lease-ms=300",
                              log_level,
                              NULL};
    static char *manager[] = {"call-manager",
                              "--ring-ms=700",
                              "--server-delay-ms=5",
                              "--resume-window-ms=1000",
                              "--bus-lease-ms=300",
                              log_level,
                              NULL};
    static char *messages[] = {"message", "--bus-lease-ms=300", log_level, NULL};
    static char own[INSTANCES_MAX][3][32]; // of a voice node, which keeps its settings
    uint32_t n = (uint32_t)(i - instances);
    static char fixed[] = "--regions-file=" SIM_REGIONS_FILE, announced[] = "--regions-file=" SIM_REGIONS_BARE;
    char *allocator[] = {"region-allocator", run.nodes ? announced : fixed, "--bus-lease-ms=300", log_level, NULL};
    char *node[] = {"voice-node",
                    own[n][0],
                    own[n][1],
                    own[n][2],
                    "--udp-port=50000",
                    "--voice-heartbeat-ms=600000",
                    "--voice-resume-ms=400",
                    "--voice-grace-ms=1000",
                    "--drain-ms=1500",
                    "--bus-lease-ms=300",
                    log_level,
                    NULL};
    char **argv = i->entry == gateway_main            ? gateway
                  : i->entry == call_manager_main     ? manager
                  : i->entry == region_allocator_main ? allocator
                  : i->entry == message_main          ? messages
                                                      : node;
    snprintf(own[n][0], sizeof own[n][0], "--instance=node-%u", n);
    snprintf(own[n][1], sizeof own[n][1], "--endpoint=%u.sim:443", n);
    snprintf(own[n][2], sizeof own[n][2], "--region=%s", n % 2 ? "rotterdam" : "frankfurt");
    int argc = 0;
    while (argv[argc])
        argc++;
    world_tell("%s starts", i->name);
    instance_start(i, argc, argv);
}

static void start_all(uint64_t gateways, uint64_t others, uint64_t nodes)
{
    static const struct {
        const char *name;
        int (*entry)(int, char **);
    } kinds[] = {{"gateway", gateway_main},
                 {"call-manager", call_manager_main},
                 {"region-allocator", region_allocator_main},
                 {"message", message_main}};
    for (size_t k = 0; k < countof(kinds); k++)
        for (uint64_t n = 0; n < (k == 0 ? gateways : others); n++)
            start(instance_add(kinds[k].name, kinds[k].entry));
    for (uint64_t n = 0; n < nodes; n++)
        start(instance_add("voice-node", voice_node_main));
}

// --- faults ---

static struct instance *any(enum instance_state state)
{
    struct instance *i = &instances[sim_below(n_instances)];
    return i->state == state ? i : NULL;
}

static void fault(void)
{
    struct instance *i;
    switch (sim_below(10)) {
    case 0:
    case 1:
        if ((i = any(INSTANCE_UP))) {
            world_tell("%s is killed", i->name);
            instance_kill(i);
        }
        break;
    case 2:
        if ((i = any(INSTANCE_UP))) {
            world_tell("%s is stopped", i->name);
            instance_stop(i);
        }
        break;
    case 3:
        if ((i = any(INSTANCE_UP))) {
            world_tell("%s is asked to end", i->name);
            instance_terminate(i);
        }
        break;
    case 4:
    case 5:
        sim_bus_cut();
        break;
    case 6:
    case 7:
        if ((i = any(INSTANCE_UP)) && i->store)
            sim_store_cut(i->store);
        break;
    case 8:
        if (sim_chance(2000)) {
            world_tell("redis %s", sim_redis_is_down() ? "is back" : "goes away");
            sim_redis_down(!sim_redis_is_down());
        }
        break;
    default:
        break;
    }
}

static void repair_one(void)
{
    struct instance *i = &instances[sim_below(n_instances)];
    if (i->state == INSTANCE_DOWN)
        start(i);
    else if (i->state == INSTANCE_STOPPED) {
        world_tell("%s goes on", i->name);
        instance_continue(i);
    }
    if (sim_redis_is_down() && sim_chance(3000)) {
        world_tell("redis is back");
        sim_redis_down(false);
    }
}

static void repair_all(void)
{
    for (uint32_t k = 0; k < n_instances; k++) {
        if (instances[k].state == INSTANCE_DOWN)
            start(&instances[k]);
        instance_continue(&instances[k]);
    }
    sim_redis_down(false);
}

// --- the story of a run ---

static enum { STORY_QUIET, STORY_WILD, STORY_CALM } story;

static void on_act(void *ctx, uint64_t id)
{
    if (story != STORY_WILD)
        return;
    clients_act();
    sim_after(sim_between(300, 6000), NULL, on_act, ctx, id);
}

static void on_fault(void *ctx, uint64_t id)
{
    if (story != STORY_WILD)
        return;
    if (sim_chance(5000))
        fault();
    else
        repair_one();
    sim_after(sim_between(5000, 120000), NULL, on_fault, ctx, id);
}

static void on_calm(void *ctx, uint64_t id)
{
    if (story != STORY_CALM)
        return;
    clients_calm();
    repair_all(); // who was asked to end just before ends now
    sim_after(30000, NULL, on_calm, ctx, id);
}

static void draw_cruelty(void)
{
    static const uint32_t rates[] = {0, 0, 50, 200, 1000};
    cruelty = (struct cruelty){
        .bus_lost = rates[sim_below(countof(rates))],
        .bus_doubled = rates[sim_below(countof(rates))],
        .bus_late = rates[sim_below(countof(rates))],
        .commit_refused = rates[sim_below(countof(rates))],
        .reply_us = (uint32_t)sim_between(50, 3000),
        .bus_us = (uint32_t)sim_between(50, 3000),
        .web_us = (uint32_t)sim_between(50, 3000),
        .faults = sim_chance(8500),
    };
}

static void be_kind(void)
{
    cruelty = (struct cruelty){.reply_us = 200, .bus_us = 200, .web_us = 200};
}

static void world_begin(uint64_t seed)
{
    sim_begin(seed);
    redis_begin();
    sim_store_begin();
    sim_bus_begin();
    sim_web_begin();
    story = STORY_QUIET;
}

static void world_end(void)
{
    story = STORY_QUIET;
    clients_end();
    voice_end();
    instances_clear();
    while (sim_step()) // letters to nobody
        continue;
    sim_bus_end();
    sim_web_end();
    truth_end();
    redis_end();
    sim_end();
}

static void pass(uint64_t us)
{
    for (uint64_t end = sim_us() + us; sim_us() < end && !run.failed && sim_step();)
        truth_look();
}

static void run_seed(uint64_t seed)
{
    run.seed = seed;
    run.step = 0;
    run.failed = run.nodes = false;
    world_begin(seed);
    be_kind();
    run.nodes = seed % NODES_EVERY == 0;
    uint64_t gateways = sim_between(1, 3), others = sim_between(1, 2);
    start_all(gateways, others, run.nodes ? sim_between(2, 3) : 0); // one in each region
    truth_begin();
    voice_begin(run.nodes);
    clients_begin();
    pass(300000); // until they have found each other
    draw_cruelty();
    story = STORY_WILD;
    sim_after(0, NULL, on_act, NULL, 0);
    if (cruelty.faults)
        sim_after(0, NULL, on_fault, NULL, 0);
    for (; run.step < options.events && !run.failed && sim_step(); run.step++)
        truth_look();
    story = STORY_CALM;
    world_tell("--- calm");
    be_kind();
    sim_after(0, NULL, on_calm, NULL, 0);
    uint64_t limit = sim_us() + 20000000;
    while (!clients_there() && sim_us() < limit && !run.failed)
        pass(10000);
    if (!clients_there())
        world_fail("some clients cannot connect for 20 s");
    pass((run.nodes ? CALM_NODES_MS : CALM_MS) * 1000);
    if (!run.failed) {
        truth_at_rest();
        clients_compare();
    }
    run.hash = sim_hash();
    world_end();
}

// --- the world before the first seed: people, channels, made through the admin API as an operator would ---

static json_t *answer;

static void on_loaded(void *ctx, uint64_t id, int status, struct bytes body)
{
    (void)ctx;
    (void)id;
    if (status == 200)
        answer = json_loadb(body.p, body.n, 0, NULL);
}

static uint64_t id_at(const json_t *of, const char *list, size_t i)
{
    return id_in(json_array_get(json_object_get(of, list), i), "id");
}

static uint32_t ids_at(const json_t *of, const char *list, uint64_t *out, uint32_t max)
{
    uint32_t n = (uint32_t)json_array_size(json_object_get(of, list));
    CHECK(n <= max);
    for (uint32_t i = 0; i < n; i++)
        out[i] = id_at(of, list, i);
    return n;
}

#define GUILD                                                                                                          \
    "\"guilds\":[{\"name\":\"guild\",\"owner\":\"u0\",\"members\":[\"u0\",\"u1\",\"u2\",\"u3\",\"u4\",\"u5\"],"        \
    "\"roles\":[{\"name\":\"mods\",\"permissions\":[\"MOVE_MEMBERS\",\"MUTE_MEMBERS\",\"MANAGE_CHANNELS\","            \
    "\"MANAGE_ROLES\",\"KICK_MEMBERS\"],\"members\":[\"u1\",\"u2\"]}],"                                                \
    "\"channels\":[{\"name\":\"open\",\"type\":\"voice\"},{\"name\":\"other\",\"type\":\"voice\"},"                    \
    "{\"name\":\"small\",\"type\":\"voice\",\"user_limit\":1},{\"name\":\"hidden\",\"type\":\"voice\","                \
    "\"overwrites\":[{\"role\":\"@everyone\",\"deny\":[\"VIEW_CHANNEL\"]},{\"role\":\"mods\",\"allow\":[\"VIEW_"       \
    "CHANNEL\"]}]},"                                                                                                   \
    "{\"name\":\"stage\",\"type\":\"stage\"}]}]"

static void take_people(void)
{
    uint32_t dms = (uint32_t)json_array_size(json_object_get(answer, "dms"));
    people.n_users = (uint32_t)json_array_size(json_object_get(answer, "users"));
    people.n_places = dms + (uint32_t)json_array_size(json_object_get(answer, "groups"));
    CHECK(people.n_users <= USERS_MAX && people.n_places <= PLACES_MAX);
    for (uint32_t i = 0; i < people.n_places; i++)
        people.places[i] = i < dms ? id_at(answer, "dms", i) : id_at(answer, "groups", i - dms);
    const json_t *guild = json_array_get(json_object_get(answer, "guilds"), 0);
    people.guild = id_in(guild, "id");
    people.n_rooms = ids_at(guild, "channels", people.rooms, ROOMS_MAX);
    people.n_roles = ids_at(guild, "roles", people.roles, ROLES_MAX);
    people.guild_document = BYTES("{" GUILD "}");
    for (uint32_t i = 0; i < people.n_users; i++) {
        struct buf token = {0};
        people.users[i] = id_at(answer, "users", i);
        token_mint(&token, people.users[i], 1767225600000u, BYTES(SECRET));
        CHECK(bytes_copy(people.tokens[i], sizeof people.tokens[i], buf_bytes(&token)) == OK);
        buf_fini(&token);
    }
}

static void make_people(void)
{
    static const char document[] =
        "{\"users\":[{\"name\":\"u0\"},{\"name\":\"u1\"},{\"name\":\"u2\"},{\"name\":\"u3\"},{\"name\":\"u4\"},"
        "{\"name\":\"u5\"},{\"name\":\"u6\"}],"
        "\"friends\":[[\"u0\",\"u1\"],[\"u0\",\"u2\"],[\"u0\",\"u3\"],[\"u0\",\"u4\"],[\"u0\",\"u5\"],[\"u0\",\"u6\"],"
        "[\"u1\",\"u2\"],[\"u1\",\"u3\"],[\"u4\",\"u5\"],[\"u4\",\"u6\"],[\"u1\",\"u5\"]],"
        "\"dms\":[[\"u0\",\"u1\"],[\"u2\",\"u3\"],[\"u4\",\"u5\"],[\"u0\",\"u6\"],[\"u1\",\"u3\"]],"
        "\"groups\":[{\"name\":\"g\",\"owner\":\"u0\",\"users\":[\"u0\",\"u1\",\"u2\",\"u3\"]},"
        "{\"name\":\"h\",\"owner\":\"u4\",\"users\":[\"u4\",\"u5\",\"u6\",\"u1\"]}]," GUILD "}";
    world_begin(0);
    be_kind();
    start_all(1, 1, 0);
    for (int i = 0; i < 100 && !answer; i++) {
        sim_web_ask(&instances[0], true, "POST", "/admin/load", ADMIN_AUTHORIZATION, bytes_of(document), on_loaded,
                    NULL, 0);
        pass(1000000);
    }
    CHECK(answer != NULL);
    take_people();
    json_decref(answer);
    for (uint32_t i = 0; i < n_instances; i++)
        instance_terminate(&instances[i]);
    pass(5000000);
    redis_keep();
    world_end();
}

uint32_t user_index(uint64_t id)
{
    uint32_t i = 0;
    while (i < people.n_users && people.users[i] != id)
        i++;
    return i;
}

uint32_t place_index(uint64_t id)
{
    uint32_t i = 0;
    while (i < people.n_places && people.places[i] != id)
        i++;
    return i;
}

// --- chance for what asks libsodium ---

static const char *random_name(void)
{
    return "sim";
}

static uint32_t random_word(void)
{
    return (uint32_t)(sim_random() >> 20);
}

static void random_bytes(void *out, size_t n)
{
    unsigned char *p = out;
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(sim_random() >> 24);
}

// --- running ---

static uint64_t number_of(const char *text, const char *flag)
{
    char *end;
    uint64_t n = text ? strtoull(text, &end, 10) : 0;
    if (!text || *end) {
        fprintf(stderr, "switchboard-sim: %s takes a number\n", flag);
        exit(2);
    }
    return n;
}

static void read_options(int argc, char **argv)
{
    static const struct {
        const char *flag;
        uint64_t *at;
    } numbers[] = {{"--seeds", &options.seeds},
                   {"--from", &options.from},
                   {"--events", &options.events},
                   {"--workers", &options.workers}};
    for (int i = 1; i < argc; i++) {
        bool known = strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "-vv") == 0;
        options.verbose += known ? strlen(argv[i]) - 1 : 0;
        if (strcmp(argv[i], "--stop") == 0)
            known = options.stop = true;
        for (size_t k = 0; k < countof(numbers) && !known; k++)
            if (strcmp(argv[i], numbers[k].flag) == 0) {
                *numbers[k].at = number_of(argv[i + 1], argv[i]);
                known = true;
                i++;
            }
        if (!known) {
            fprintf(stderr, "switchboard-sim: what is %s?\n", argv[i]);
            exit(2);
        }
    }
}

#define CHUNK 100u // seeds to a line of the report

// The same seed is the same run: otherwise a failure could not be looked at.
static void check_repeats(uint64_t seed)
{
    run_seed(seed);
    uint64_t first = run.hash;
    if (run.failed)
        return;
    run_seed(seed);
    if (run.hash != first)
        world_fail("the same seed is another run");
}

static void run_chunk(uint64_t from, uint64_t n, uint64_t *failed)
{
    uint64_t deeds = clients_deeds(), dispatches = clients_dispatches(), resumes = clients_resumes(), bad = 0;
    uint64_t entries = voice_entries();
    for (uint64_t i = 0; i < n && !(options.stop && bad); i++) {
        (i == 0 ? check_repeats : run_seed)(from + i);
        bad += run.failed;
    }
    *failed += bad;
    printf("%s seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " deeds, %" PRIu64 " dispatches, %" PRIu64
           " resumes, %" PRIu64 " voice entries",
           bad ? "not ok" : "ok", from, from + n - 1, clients_deeds() - deeds, clients_dispatches() - dispatches,
           clients_resumes() - resumes, voice_entries() - entries);
    printf(bad ? ", %" PRIu64 " failed\n" : "\n", bad);
    fflush(stdout);
}

static int work(uint64_t worker)
{
    uint64_t failed = 0;
    make_people();
    for (uint64_t at = worker * CHUNK; at < options.seeds && !(options.stop && failed); at += options.workers * CHUNK)
        run_chunk(options.from + at, options.seeds - at < CHUNK ? options.seeds - at : CHUNK, &failed);
    redis_free();
    return failed > 0;
}

static int work_together(void)
{
    int status, bad = 0;
    for (uint64_t w = 1; w < options.workers; w++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            exit(work(w));
    }
    bad = work(0);
    while (wait(&status) > 0)
        bad |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    return bad;
}

int main(int argc, char **argv)
{
    static struct randombytes_implementation chance = {
        .implementation_name = random_name, .random = random_word, .buf = random_bytes};
    read_options(argc, argv);
    if (options.verbose > 1)
        memcpy(log_level, "--log-level=debug", sizeof log_level);
    randombytes_set_implementation(&chance);
    CHECK(sodium_init() >= 0);
    return work_together();
}
