// What leased worker numbers promise, with leases of LEASE_MS, some seconds: no two at once, and a zombie does not
// mint.
#include "redis.h"
#include "lease.h"

struct process { // as good as one of its own: its loop turns only when the test turns it
    struct loop *loop;
    struct store *store;
    struct lease *lease;
};

static void open_process(struct process *p, const char *url)
{
    p->loop = loop_new();
    p->store = store_new(p->loop, (struct store_cfg){.url = url, .pending_max = 2000});
    p->lease = lease_new(p->loop, p->store, "same-name");
}

static void close_process(struct process *p)
{
    lease_free(p->lease);
    store_free(p->store);
    loop_free(p->loop);
}

static uint32_t worker_of(uint64_t id)
{
    return (uint32_t)(id >> 12) & (SNOWFLAKE_WORKERS - 1);
}

static uint64_t mint(struct process *p)
{
    uint64_t id = 0;
    UNTIL(p->loop, lease_mint(p->lease, 0, &id) == OK);
    return id;
}

static void keep(void *ctx, const struct reply *r)
{
    *(int64_t *)ctx = reply_ok(r) ? reply_int(r) : -1;
}

static int64_t ask(struct process *p, const char *command, uint32_t worker)
{
    int64_t answer = -2;
    store_cmd(p->store, keep, &answer, command, worker);
    UNTIL(p->loop, answer != -2);
    return answer;
}

static bool all_held(struct process *p, struct lease **leases, size_t n)
{
    (void)p;
    for (size_t i = 0; i < n; i++)
        if (!lease_held(leases[i]))
            return false;
    return true;
}

TEST(fifty_leases_have_fifty_numbers)
{
    struct server r;
    struct process p;
    struct lease *leases[50];
    bool seen[SNOWFLAKE_WORKERS] = {false};
    server_start(&r);
    open_process(&p, r.url);
    for (size_t i = 0; i < 50; i++)
        leases[i] = lease_new(p.loop, p.store, "same-name");
    UNTIL(p.loop, all_held(&p, leases, 50));
    for (size_t i = 0; i < 50; i++) {
        uint64_t id = 0;
        UNTIL(p.loop, lease_mint(leases[i], 0, &id) == OK);
        CHECK_TRUE(!seen[worker_of(id)]);
        seen[worker_of(id)] = true;
        lease_free(leases[i]);
    }
    close_process(&p);
    server_stop(&r);
}

TEST(the_last_free_number_is_found_and_before_it_is_free_none_is)
{
    struct server r;
    struct process p;
    server_start(&r);
    open_process(&p, r.url);
    uint32_t held = worker_of(mint(&p)), last = (held + SNOWFLAKE_WORKERS - 1) % SNOWFLAKE_WORKERS;
    for (uint32_t i = 0; i < SNOWFLAKE_WORKERS; i++)
        store_cmd(p.store, NULL, NULL, "SET worker:%u somebody", i);
    UNTIL(p.loop, !lease_held(p.lease));
    while (ask(&p, "INCR n", 0) < 1100) // meanwhile it asks for each of them
        ;
    CHECK_TRUE(!lease_held(p.lease));
    ask(&p, "DEL worker:%u", last);
    CHECK_EQ(worker_of(mint(&p)), last);
    close_process(&p);
    server_stop(&r);
}

TEST(a_kept_lease_outlives_its_time_with_the_same_number)
{
    struct server r;
    struct process p;
    server_start(&r);
    open_process(&p, r.url);
    uint64_t first = mint(&p), last = first;
    for (uint64_t end = uv_hrtime() + LEASE_MS * 1500000ull; uv_hrtime() < end; turn(p.loop)) {
        uint64_t id = 0;
        CHECK_EQ(lease_mint(p.lease, 0, &id), OK);
        CHECK_TRUE(id > last);
        last = id;
    }
    CHECK_EQ(worker_of(last), worker_of(first));
    close_process(&p);
    server_stop(&r);
}

TEST(a_zombie_does_not_mint_and_comes_back_under_another_number)
{
    struct server r;
    struct process zombie, heir;
    server_start(&r);
    open_process(&zombie, r.url);
    open_process(&heir, r.url);
    mint(&heir);
    uint64_t before = mint(&zombie), id = 0;
    uint32_t worker = worker_of(before);
    UNTIL(heir.loop, ask(&heir, "EXISTS worker:%u", worker) == 0); // the zombie's loop does not turn
    CHECK_EQ(lease_mint(zombie.lease, 0, &id), ERR_STATE);
    CHECK_TRUE(!lease_held(zombie.lease));
    CHECK_EQ(ask(&heir, "FCALL sb_hold 1 worker:%u heir 60000", worker), 1);
    CHECK_EQ(lease_mint(zombie.lease, 0, &id), ERR_STATE);
    uint64_t after = mint(&zombie);
    CHECK_TRUE(worker_of(after) != worker);
    CHECK_TRUE(after >> 22 >= before >> 22);
    close_process(&zombie);
    close_process(&heir);
    server_stop(&r);
}

TEST(without_redis_minting_ends_before_the_lease_does_and_goes_on_after)
{
    struct server r;
    struct process p;
    server_start(&r);
    open_process(&p, r.url);
    uint64_t id = mint(&p);
    server_kill(&r);
    UNTIL(p.loop, lease_mint(p.lease, 0, &id) == ERR_STATE);
    CHECK_TRUE(server_run(&r, NULL));
    mint(&p);
    close_process(&p);
    server_stop(&r);
}

TEST(a_number_given_back_is_free_soon_but_not_at_once)
{
    struct server r;
    struct process p, watcher;
    server_start(&r);
    open_process(&watcher, r.url);
    open_process(&p, r.url);
    mint(&watcher);
    uint32_t worker = worker_of(mint(&p));
    lease_free(p.lease);
    p.lease = NULL;
    int64_t ttl = 0;
    store_cmd(p.store, keep, &ttl, "PTTL worker:%u", worker);
    UNTIL(p.loop, ttl != 0);
    CHECK_TRUE(ttl > 0 && ttl <= LEASE_MS / 5);
    UNTIL(watcher.loop, ask(&watcher, "EXISTS worker:%u", worker) == 0);
    close_process(&p);
    close_process(&watcher);
    server_stop(&r);
}

TEST(freeing_at_any_time_leaves_nothing_behind)
{
    struct server r;
    server_start(&r);
    for (int turns = 0; turns < 14; turns++) {
        struct process p;
        open_process(&p, r.url);
        for (int i = 0; i < turns; i++)
            turn(p.loop);
        close_process(&p);
    }
    server_stop(&r);
}

MAIN
