// relay: how many packets a core relays, next to the bare loop in the same minute, and how long one is under way.
// See README.md for how to read what it prints.
#define _GNU_SOURCE // pthread_setaffinity_np
#include "bare_relay.h"
#include "metrics.h"
#include "udp.h"

#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define CLIENTS 200u
#define ROUNDS_MAX 64u
#define TIMES_MAX (1u << 20)
#define DRAIN_US 5000u    // the kernel has noted when each came, so there is no hurry
#define TURNS 2000u       // of which the time inside is told
#define LIVE_PER_S 30000u // packets out in a second while the time under way is measured

struct ours {
    struct loop *loop;
    struct udp *udp;
    struct relay *relay;
};
struct bench {
    uint32_t room, speakers, rounds, ms;
    enum seal_mode mode;
    struct crowd crowd;
    struct bare *bare;
    struct ours ours;
    uint64_t lost;
};
struct spread {
    uint32_t p50_us, p99_us;
};
struct result {
    double packets_s[ROUNDS_MAX];
    struct spread inside, under_way;
};

// --- the relay under test ---

static void on_take(void *ctx, struct datagram *v, uint32_t n, uint64_t now_us)
{
    relay_take(((struct ours *)ctx)->relay, v, n, now_us);
    relay_answer(((struct ours *)ctx)->relay, now_us);
}

static void on_send(void *ctx, const struct relay_send *v, uint32_t n)
{
    udp_send(((struct ours *)ctx)->udp, v, n);
}

static struct sockaddr_in ours_port(const struct ours *o)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(udp_port(o->udp))};
}

static void ours_init(struct bench *b)
{
    struct ours *o = &b->ours;
    struct relay_cfg cfg = {.peers_max = b->crowd.n,
                            .rooms_max = b->crowd.n,
                            .peer_pps = 1000000,
                            .stranger_pps = 1000000,
                            .send = on_send,
                            .ctx = o};
    relay_peer peers[CLIENTS];
    o->loop = loop_new();
    o->relay = relay_new(&cfg);
    o->udp = udp_new(o->loop, "127.0.0.1", 0, on_take, o);
    CHECK(o->udp);
    for (uint32_t i = 0; i < b->crowd.n; i++)
        peers[i] = relay_join(o->relay, 1 + i / b->room, i + 1, &b->crowd.v[i].voice.ssrc);
    b->crowd.port = ours_port(o);
    crowd_discover(&b->crowd);
    while (M.media_discoveries < b->crowd.n)
        uv_run(loop_uv(o->loop), UV_RUN_NOWAIT);
    for (uint32_t i = 0; i < b->crowd.n; i++) {
        relay_key(o->relay, peers[i], b->mode, b->crowd.v[i].voice.key);
        relay_rights(o->relay, peers[i], (struct relay_rights){.speaks = true, .hears = true});
        relay_announced(o->relay, peers[i]);
    }
    M.media_discoveries = 0;
}

static void ours_fini(struct ours *o)
{
    udp_free(o->udp);
    loop_free(o->loop);
    relay_free(o->relay);
}

// --- packets per second of a core: sending to it, its work and reading what it sent take turns on one thread ---

static uint64_t thread_ns(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t work_bare(struct bench *b, uint32_t n)
{
    uint64_t before = bare_forwarded(b->bare);
    for (uint32_t got = 0; got < n;)
        got += bare_turn(b->bare, false);
    return bare_forwarded(b->bare) - before;
}

static uint64_t work_ours(struct bench *b, uint32_t n)
{
    uint64_t before = M.media_forwarded, got = M.media_packets_in;
    while (M.media_packets_in - got < n)
        uv_run(loop_uv(b->ours.loop), UV_RUN_NOWAIT);
    return M.media_forwarded - before;
}

static void talk_to(struct bench *b, bool bare)
{
    b->crowd.port = bare ? bare_port(b->bare) : ours_port(&b->ours);
}

// SSRCs are numbers in the bare loop's table, and what relay_join gave in ours.
static void swap_names(struct bench *b, uint32_t *other)
{
    for (uint32_t i = 0; i < b->crowd.n; i++) {
        uint32_t kept = b->crowd.v[i].voice.ssrc;
        b->crowd.v[i].voice.ssrc = other[i];
        other[i] = kept;
    }
}

static double measure(struct bench *b, bool bare)
{
    uint64_t ns = 0, forwarded = 0, end = crowd_clock_us() + b->ms * 1000u;
    uint32_t n = b->crowd.n / b->room * b->speakers; // each room once
    talk_to(b, bare);
    while (crowd_clock_us() < end) {
        crowd_speak(&b->crowd, n, b->speakers);
        uint64_t began = thread_ns();
        uint64_t done = bare ? work_bare(b, n) : work_ours(b, n);
        ns += thread_ns() - began;
        forwarded += done;
        b->lost += done - crowd_drain(&b->crowd, NULL);
    }
    return (double)forwarded * 1e9 / (double)ns;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static struct spread spread(uint32_t *us, uint32_t n)
{
    qsort(us, n, sizeof *us, by_size);
    return n ? (struct spread){us[n / 2], us[(uint64_t)n * 99 / 100]} : (struct spread){0, 0};
}

// How long it takes from when packets have come until all that follows has been handed to the kernel: `speakers` of one
// room at a time. In CPU time, so that others on the machine have no part in it.
static struct spread inside(struct bench *b, bool bare)
{
    static uint32_t us[TURNS];
    talk_to(b, bare);
    for (uint32_t i = 0; i < TURNS; i++) {
        crowd_speak(&b->crowd, b->speakers, b->speakers);
        uint64_t began = thread_ns();
        uint64_t done = bare ? work_bare(b, b->speakers) : work_ours(b, b->speakers);
        us[i] = (uint32_t)((thread_ns() - began + 500) / 1000);
        b->lost += done - crowd_drain(&b->crowd, NULL);
    }
    return spread(us, TURNS);
}

// --- the time under way: it works on a core of its own, at a pace ---

static atomic_bool stop_live, live_runs;

static void pin(size_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

// Somebody else's work should not count as time under way. Without the right to it things stay as they are.
static void hurry(int nice)
{
    (void)setpriority(PRIO_PROCESS, 0, nice); // of this thread
}

static void *live_bare(void *arg)
{
    struct bench *b = arg;
    pin(1);
    hurry(-19);
    live_runs = true;
    while (!stop_live)
        bare_turn(b->bare, true);
    return NULL;
}

static void *live_ours(void *arg)
{
    struct bench *b = arg;
    pin(1);
    hurry(-19);
    live_runs = true;
    while (!stop_live)
        uv_run(loop_uv(b->ours.loop), UV_RUN_ONCE);
    return NULL;
}

// Packets come evenly, `speakers` of a room together.
static void live(struct bench *b, bool bare, struct result *out)
{
    struct crowd_times times = {.max = TIMES_MAX, .us = mem_alloc(TIMES_MAX * sizeof(uint32_t))};
    pthread_t thread;
    talk_to(b, bare);
    stop_live = live_runs = false;
    CHECK(pthread_create(&thread, NULL, bare ? live_bare : live_ours, b) == 0);
    pin(0);
    hurry(-19);
    while (!live_runs)
        sched_yield();
    uint64_t every = 1000000u * b->speakers * (b->room - 1) / LIVE_PER_S, next = crowd_clock_us(), drained = 0;
    for (uint64_t end = next + b->rounds * b->ms * 1000u; next < end; next += every) {
        while (crowd_clock_us() < next)
            if (crowd_clock_us() - drained > DRAIN_US) {
                crowd_drain(&b->crowd, &times);
                drained = crowd_clock_us();
            }
        crowd_speak(&b->crowd, b->speakers, b->speakers);
    }
    stop_live = true;
    crowd_speak(&b->crowd, 1, 1); // wakes it
    CHECK(pthread_join(thread, NULL) == 0);
    crowd_drain(&b->crowd, &times);
    hurry(0);
    pin(1);
    out->under_way = spread(times.us, times.n);
    mem_free(times.us);
}

// --- the table ---

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, uint32_t n)
{
    qsort(v, n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void run(struct bench *b, bool with_live)
{
    struct result bare = {0}, ours = {0};
    double ratios[ROUNDS_MAX];
    uint32_t numbers[CLIENTS];
    b->lost = 0;
    crowd_init(&b->crowd, CLIENTS, b->room, b->mode);
    ours_init(b);
    b->bare = bare_new(&b->crowd, b->speakers > 1);
    for (uint32_t i = 0; i < b->crowd.n; i++)
        numbers[i] = i;
    crowd_drain(&b->crowd, NULL);
    for (uint32_t i = 0; i <= b->rounds; i++) { // the first is not counted
        double o = measure(b, false);
        swap_names(b, numbers);
        double x = measure(b, true);
        swap_names(b, numbers);
        if (!i)
            continue;
        ours.packets_s[i - 1] = o;
        bare.packets_s[i - 1] = x;
        ratios[i - 1] = o / x;
    }
    ours.inside = inside(b, false);
    if (with_live)
        live(b, false, &ours);
    swap_names(b, numbers);
    bare.inside = inside(b, true);
    if (with_live)
        live(b, true, &bare);
    printf("| %u | %u | %s | %.0f k | %.0f k | %.2f | %u / %u | %u / %u | %u / %u | %u / %u |\n", b->room, b->speakers,
           b->mode == SEAL_AES256_GCM_RTPSIZE ? "AES-256-GCM" : "XChaCha20", median(bare.packets_s, b->rounds) / 1000,
           median(ours.packets_s, b->rounds) / 1000, median(ratios, b->rounds), bare.inside.p50_us, bare.inside.p99_us,
           ours.inside.p50_us, ours.inside.p99_us, bare.under_way.p50_us, bare.under_way.p99_us, ours.under_way.p50_us,
           ours.under_way.p99_us);
    fflush(stdout);
    if (b->lost || M.media_send_full || M.media_send_errors)
        fprintf(stderr, "not read: %llu, not sent: %llu\n", (unsigned long long)b->lost,
                (unsigned long long)(M.media_send_full + M.media_send_errors));
    bare_free(b->bare);
    ours_fini(&b->ours);
    crowd_fini(&b->crowd);
}

static void usage(const char *name)
{
    fprintf(stderr,
            "%s [-r ROOM] [-k SPEAKERS] [-c aes|xchacha] [-n ROUNDS] [-t MS] [-q]\n"
            "  without -r: rooms of 2, 5, 25 and 100; without -c: both ciphers; without -k: 1 and, in rooms of 25, 4\n"
            "  -q: without the time under way\n",
            name);
    exit(2);
}

int main(int argc, char **argv)
{
    static const uint32_t rooms[] = {2, 5, 25, 100};
    uint32_t room = 0, speakers = 0;
    int cipher = -1, o;
    bool with_live = true;
    struct bench b = {.rounds = 7, .ms = 150};
    while ((o = getopt(argc, argv, "r:k:c:n:t:q")) != -1)
        switch (o) {
        case 'r':
            room = (uint32_t)atoi(optarg);
            break;
        case 'k':
            speakers = (uint32_t)atoi(optarg);
            break;
        case 'c':
            cipher = optarg[0] == 'x';
            break;
        case 'n':
            b.rounds = (uint32_t)atoi(optarg);
            break;
        case 't':
            b.ms = (uint32_t)atoi(optarg);
            break;
        case 'q':
            with_live = false;
            break;
        default:
            usage(argv[0]);
        }
    if (b.rounds < 1 || b.rounds > ROUNDS_MAX || room == 1 || room > CLIENTS || speakers > 16)
        usage(argv[0]);
    CHECK(sodium_init() >= 0);
    pin(1);
    printf("| room | speakers | cipher | bare | ours | ours / bare | inside, bare | inside, ours | under way, bare | "
           "under way, ours |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (int c = 0; c < 2; c++)
        for (uint32_t i = 0; i < (room ? 1 : countof(rooms)); i++)
            for (uint32_t k = 1; k <= 4; k += 3) {
                b.room = room ? room : rooms[i];
                b.speakers = speakers ? speakers : k;
                b.mode = c ? SEAL_XCHACHA20_POLY1305_RTPSIZE : SEAL_AES256_GCM_RTPSIZE;
                if ((cipher >= 0 && cipher != c) || (speakers && k > 1) || (!speakers && k > 1 && b.room != 25))
                    continue;
                if (c == 0 && !crypto_aead_aes256gcm_is_available())
                    continue;
                run(&b, with_live);
            }
    return 0;
}
