// What the store promises, against a real Redis that is killed, stopped and restarted under it.
// What matters most: every command ends exactly once, whatever becomes of the connection.
#include "redis.h"
#include "metrics.h"

struct seen { // by the callbacks of a test
    struct loop *loop;
    struct store *store;
    uint32_t ok, errors, none, ups, downs;
    int64_t last;
    bool in_order;
};

static void on_up(void *ctx)
{
    ((struct seen *)ctx)->ups++;
}

static void on_down(void *ctx)
{
    ((struct seen *)ctx)->downs++;
}

static void open_store(struct seen *t, const char *url, uint64_t pending_max)
{
    *t = (struct seen){.loop = loop_new(), .in_order = true};
    t->store = store_new(t->loop, (struct store_cfg){url, on_up, on_down, t, pending_max});
}

static void close_store(struct seen *t)
{
    store_free(t->store);
    loop_free(t->loop);
}

static void count(void *ctx, const struct reply *r)
{
    struct seen *t = ctx;
    if (!r) {
        t->none++;
    } else if (!reply_ok(r)) {
        t->errors++;
    } else {
        t->ok++;
        t->in_order = t->in_order && (reply_kind(r) != REPLY_INT || reply_int(r) == t->last + 1);
        t->last = reply_int(r);
    }
}

static uint32_t ended(const struct seen *t)
{
    return t->ok + t->errors + t->none;
}

TEST(a_command_gets_its_reply)
{
    struct server r;
    struct seen t;
    server_start(&r);
    open_store(&t, r.url, 100);
    CHECK_TRUE(!store_up(t.store));
    UNTIL(t.loop, store_up(t.store));
    CHECK_EQ(t.ups, 1);
    store_cmd(t.store, count, &t, "SET %s %b", "key", "a b", (size_t)3);
    store_cmd(t.store, count, &t, "STRLEN %s", "key");
    store_cmd(t.store, NULL, NULL, "PING");
    store_send(t.store, count, &t, 1, (struct bytes[]){BYTES("nonsense")});
    CHECK_EQ(ended(&t), 0);
    UNTIL(t.loop, ended(&t) == 3);
    CHECK_EQ(t.ok, 2);
    CHECK_EQ(t.errors, 1);
    CHECK_EQ(t.last, 3);
    close_store(&t);
    server_stop(&r);
}

static void look_at_kinds(void *ctx, const struct reply *r)
{
    *(bool *)ctx = true;
    CHECK_EQ(reply_kind(r), REPLY_LIST);
    CHECK_EQ(reply_n(r), 4);
    CHECK_EQ(reply_int(reply_at(r, 0)), 7);
    CHECK_TRUE(bytes_is(reply_text(reply_at(r, 1)), "text"));
    CHECK_EQ(reply_kind(reply_at(r, 2)), REPLY_LIST);
    CHECK_TRUE(bytes_is(reply_text(reply_field(reply_at(r, 2), "b")), "2"));
    CHECK_TRUE(reply_field(reply_at(r, 2), "2") == NULL);
    CHECK_EQ(reply_kind(reply_at(r, 3)), REPLY_STATUS);
    CHECK_TRUE(reply_at(r, 4) == NULL);
    CHECK_TRUE(reply_at(reply_at(r, 0), 0) == NULL);
    CHECK_EQ(reply_kind(NULL), REPLY_NIL);
    CHECK_TRUE(!reply_ok(NULL));
}

TEST(replies_are_read_by_kind_and_out_of_bounds_is_nothing)
{
    struct server r;
    struct seen t;
    bool done = false;
    server_start(&r);
    open_store(&t, r.url, 100);
    UNTIL(t.loop, store_up(t.store));
    store_cmd(t.store, look_at_kinds, &done, "EVAL %s 0",
              "return {7, 'text', {'a', '1', 'b', '2'}, redis.status_reply('fine')}");
    UNTIL(t.loop, done);
    close_store(&t);
    server_stop(&r);
}

TEST(ten_thousand_in_one_turn_are_answered_in_order)
{
    struct server r;
    struct seen t;
    server_start(&r);
    open_store(&t, r.url, 10000);
    UNTIL(t.loop, store_up(t.store));
    for (int i = 0; i < 10000; i++)
        store_cmd(t.store, count, &t, "INCR n");
    UNTIL(t.loop, ended(&t) == 10000);
    CHECK_EQ(t.ok, 10000);
    CHECK_TRUE(t.in_order);
    close_store(&t);
    server_stop(&r);
}

TEST(a_value_larger_than_the_socket_takes_at_once_arrives)
{
    struct server r;
    struct seen t;
    size_t n = 16u << 20;
    char *big = mem_alloc(n);
    server_start(&r);
    open_store(&t, r.url, 10);
    UNTIL(t.loop, store_up(t.store));
    for (uint32_t tries = 1; tries <= 3 && t.last != (int64_t)n; tries++) { // a Redis that stands still is given up
        store_send(t.store, count, &t, 3, (struct bytes[]){BYTES("SET"), BYTES("big"), {big, n}});
        store_cmd(t.store, count, &t, "STRLEN big");
        UNTIL(t.loop, ended(&t) == 2 * tries);
    }
    CHECK_EQ(t.last, n);
    mem_free(big);
    close_store(&t);
    server_stop(&r);
}

TEST(one_command_over_the_bound_ends_at_once_and_the_others_do_not_suffer)
{
    struct server r;
    struct seen t;
    server_start(&r);
    open_store(&t, r.url, 16);
    UNTIL(t.loop, store_up(t.store));
    uint64_t refused = M.store_refused;
    for (int i = 0; i < 20; i++)
        store_cmd(t.store, count, &t, "PING");
    CHECK_EQ(ended(&t), 0);
    UNTIL(t.loop, ended(&t) == 20);
    CHECK_EQ(t.none, 4);
    CHECK_EQ(M.store_refused, refused + 4);
    CHECK_EQ(t.ok, 16);
    store_cmd(t.store, count, &t, "PING");
    UNTIL(t.loop, t.ok == 17);
    close_store(&t);
    server_stop(&r);
}

TEST(without_redis_commands_fail_from_the_loop_until_it_comes)
{
    struct server r;
    struct seen t;
    server_start(&r);
    server_kill(&r);
    open_store(&t, r.url, 100);
    for (int i = 0; i < 50; i++) {
        store_cmd(t.store, count, &t, "PING");
        store_send(t.store, count, &t, 1, (struct bytes[]){BYTES("PING")});
        CHECK_EQ(t.none, 2 * i);
        UNTIL(t.loop, t.none == 2u * (uint32_t)i + 2);
    }
    CHECK_TRUE(server_run(&r, NULL));
    UNTIL(t.loop, store_up(t.store));
    CHECK_EQ(t.ups, 1);
    CHECK_EQ(t.downs, 0);
    store_cmd(t.store, count, &t, "PING");
    UNTIL(t.loop, t.ok == 1);
    close_store(&t);
    server_stop(&r);
}

TEST(killed_and_restarted_empty_under_load_all_end_and_the_functions_are_there_again)
{
    struct server r;
    struct seen t;
    server_start(&r);
    open_store(&t, r.url, 1000);
    UNTIL(t.loop, store_up(t.store));
    for (uint32_t round = 1; round <= 3; round++) {
        for (int i = 0; i < 500; i++)
            store_cmd(t.store, count, &t, "PING");
        server_kill(&r);
        UNTIL(t.loop, ended(&t) == round * 500);
        UNTIL(t.loop, t.downs == round);
        CHECK_TRUE(!store_up(t.store));
        server_forget(&r);
        CHECK_TRUE(server_run(&r, NULL));
        UNTIL(t.loop, t.ups == round + 1);
    }
    uint32_t ok = t.ok;
    store_cmd(t.store, count, &t, "FCALL sb_hold 1 key value 1000");
    UNTIL(t.loop, t.ok == ok + 1);
    CHECK_EQ(t.last, 1);
    close_store(&t);
    server_stop(&r);
}

TEST(an_idle_connection_that_breaks_is_noticed)
{
    struct server r;
    struct seen t;
    server_start(&r);
    open_store(&t, r.url, 10);
    UNTIL(t.loop, store_up(t.store));
    server_kill(&r);
    UNTIL(t.loop, t.downs == 1);
    CHECK_TRUE(!store_up(t.store));
    CHECK_TRUE(server_run(&r, NULL));
    UNTIL(t.loop, t.ups == 2);
    close_store(&t);
    server_stop(&r);
}

TEST(a_redis_that_hangs_is_given_up_at_the_deadline_and_taken_back_when_it_answers)
{
    struct server r;
    struct seen t;
    server_start(&r);
    open_store(&t, r.url, 100);
    UNTIL(t.loop, store_up(t.store));
    uint64_t began = uv_hrtime();
    kill(r.pid, SIGSTOP);
    for (int i = 0; i < 10; i++)
        store_cmd(t.store, count, &t, "PING");
    UNTIL(t.loop, t.none == 10);
    uint64_t took_ms = (uv_hrtime() - began) / 1000000;
    CHECK_TRUE(took_ms >= 1900);
    CHECK_EQ(t.downs, 1);
    kill(r.pid, SIGCONT);
    UNTIL(t.loop, store_up(t.store));
    store_cmd(t.store, count, &t, "PING");
    UNTIL(t.loop, t.ok == 1);
    close_store(&t);
    server_stop(&r);
}

TEST(what_arrived_while_this_process_was_away_counts_as_in_time)
{
    struct server r;
    struct seen t;
    server_start(&r);
    open_store(&t, r.url, 100);
    UNTIL(t.loop, store_up(t.store));
    store_cmd(t.store, count, &t, "PING");
    uv_run(loop_uv(t.loop), UV_RUN_NOWAIT); // sent
    for (uint64_t end = uv_hrtime() + 2500000000ull; uv_hrtime() < end;)
        poll(NULL, 0, 100); // as if stopped: the loop does not turn
    UNTIL(t.loop, ended(&t) == 1);
    CHECK_EQ(t.ok, 1);
    CHECK_EQ(t.downs, 0);
    close_store(&t);
    server_stop(&r);
}

TEST(a_server_that_takes_connections_and_says_nothing_is_never_up)
{
    struct sockaddr_in a = local_address(0);
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 16) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", ntohs(a.sin_port));
    struct seen t;
    open_store(&t, url, 100);
    int first = -1, second = -1;
    UNTIL(t.loop, first >= 0 || (first = accept(fd, NULL, NULL)) >= 0);
    UNTIL(t.loop, second >= 0 || (second = accept(fd, NULL, NULL)) >= 0); // it tried again
    CHECK_EQ(t.ups, 0);
    close_store(&t);
    close(first);
    close(second);
    close(fd);
}

TEST(password_and_database_come_from_the_url)
{
    struct server r;
    struct seen t;
    char url[96];
    server_start_with(&r, (char *[]){"--requirepass", "p@ss/word", NULL});
    snprintf(url, sizeof url, "redis://:p%%40ss%%2Fword@localhost:%u/3", r.port);
    open_store(&t, url, 100);
    UNTIL(t.loop, store_up(t.store));
    store_cmd(t.store, NULL, NULL, "SET here 1");
    store_cmd(t.store, NULL, NULL, "SELECT 0");
    store_cmd(t.store, count, &t, "MOVE here 3");
    store_cmd(t.store, NULL, NULL, "SELECT 3");
    store_cmd(t.store, count, &t, "EXISTS here");
    UNTIL(t.loop, ended(&t) == 2);
    CHECK_EQ(t.last, 1);
    close_store(&t);

    snprintf(url, sizeof url, "redis://:wrong@127.0.0.1:%u", r.port);
    open_store(&t, url, 100);
    for (uint32_t i = 0; i < 20; i++) {
        store_cmd(t.store, count, &t, "PING");
        UNTIL(t.loop, t.none == i + 1);
    }
    CHECK_EQ(t.ups, 0);
    close_store(&t);
    server_stop(&r);
}

TEST(a_name_that_does_not_resolve_is_like_a_redis_that_is_not_there)
{
    struct seen t;
    open_store(&t, "redis://does-not-exist.invalid:1", 100);
    store_cmd(t.store, count, &t, "PING");
    UNTIL(t.loop, t.none == 1);
    close_store(&t);
}

TEST(freeing_ends_what_is_outstanding_once_in_every_state)
{
    struct server r;
    struct seen t;
    server_start(&r);
    for (int turns = 0; turns < 12; turns++) {
        open_store(&t, r.url, 100);
        for (int i = 0; i < turns; i++)
            uv_run(loop_uv(t.loop), UV_RUN_NOWAIT);
        for (int i = 0; i < 5; i++)
            store_cmd(t.store, count, &t, "PING");
        store_free(t.store);
        CHECK_EQ(t.none, 5);
        loop_free(t.loop);
    }
    open_store(&t, r.url, 100);
    UNTIL(t.loop, store_up(t.store));
    for (int i = 0; i < 5; i++)
        store_cmd(t.store, count, &t, "PING");
    close_store(&t);
    CHECK_EQ(t.none, 5);
    CHECK_EQ(t.downs, 0);
    server_stop(&r);
}

struct again {
    struct seen seen;
    uint32_t left;
};

static void send_again(void *ctx, const struct reply *r)
{
    struct again *a = ctx;
    count(&a->seen, r);
    if (a->left > 0) {
        a->left--;
        store_cmd(a->seen.store, send_again, a, "PING");
    }
}

TEST(a_callback_may_send_also_while_everything_ends)
{
    struct server r;
    struct again a = {.left = 0};
    server_start(&r);
    open_store(&a.seen, r.url, 100);
    UNTIL(a.seen.loop, store_up(a.seen.store));
    a.left = 300;
    for (int i = 0; i < 10; i++)
        store_cmd(a.seen.store, send_again, &a, "PING");
    UNTIL(a.seen.loop, ended(&a.seen) >= 50);
    server_kill(&r);
    UNTIL(a.seen.loop, ended(&a.seen) == 310);
    a.left = 20;
    store_cmd(a.seen.store, send_again, &a, "PING");
    close_store(&a.seen);
    CHECK_EQ(ended(&a.seen), 331);
    server_stop(&r);
}

MAIN
