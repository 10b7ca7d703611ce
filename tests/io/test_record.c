// What a commit promises, against a real Redis: one winner per version, one entry per version, a command applied once.
// Entries here are any text; nothing in Redis looks into them.
#include "redis.h"
#include "record.h"

struct desk { // one store and what its last answers were
    struct server server;
    struct loop *loop;
    struct store *store;
    uint32_t done;
    int err;
    uint64_t version, logged;
    char answer[512];
    size_t listeners;
    bool in_order;
    struct buf entries;
};

static void open_desk(struct desk *d, char **options)
{
    *d = (struct desk){.in_order = true};
    server_start_with(&d->server, options);
    d->loop = loop_new();
    d->store = store_new(d->loop, (struct store_cfg){.url = d->server.url, .pending_max = 10000});
    UNTIL(d->loop, store_up(d->store));
}

static void close_desk(struct desk *d)
{
    store_free(d->store);
    loop_free(d->loop);
    buf_fini(&d->entries);
    server_stop(&d->server);
}

static void committed(void *ctx, const struct commit_result *r)
{
    struct desk *d = ctx;
    d->done++;
    d->err = r->err;
    d->version = r->version;
    d->listeners = reply_n(r->listeners);
    CHECK_EQ(bytes_copy(d->answer, sizeof d->answer, r->answer), OK);
}

static int commit(struct desk *d, struct commit c)
{
    uint32_t before = d->done;
    record_commit(d->store, &c, committed, d);
    CHECK_EQ(d->done, before);
    UNTIL(d->loop, d->done == before + 1);
    return d->err;
}

static void answered(void *ctx, const struct reply *r)
{
    struct desk *d = ctx;
    d->done++;
    d->err = reply_ok(r) ? OK : ERR_IO;
    d->version = record_version(r);
    CHECK_EQ(bytes_copy(d->answer, sizeof d->answer, reply_text(r)), OK);
    if (reply_kind(r) == REPLY_INT)
        d->version = (uint64_t)reply_int(r);
}

// The reply of one command of fixed words: an integer in .version, a text in .answer.
static void ask(struct desk *d, const char *command)
{
    uint32_t before = d->done;
    store_cmd(d->store, answered, d, command);
    UNTIL(d->loop, d->done == before + 1);
    CHECK_EQ(d->err, OK);
}

static void logged(void *ctx, const struct reply *r)
{
    struct desk *d = ctx;
    d->done++;
    for (size_t i = 0; i < reply_n(r); i++) {
        uint64_t version = 0;
        struct bytes entry;
        CHECK_EQ(record_log_entry(reply_at(r, i), &version, &entry), OK);
        d->in_order = d->in_order && (d->logged == 0 || version == d->logged + 1);
        d->logged = version;
        buf_add(&d->entries, entry.p, entry.n);
        buf_char(&d->entries, ' ');
    }
}

static size_t read_log(struct desk *d, ref r, uint64_t version, uint32_t limit)
{
    uint32_t before = d->done;
    d->logged = 0;
    buf_reset(&d->entries);
    record_log(d->store, r, version, limit, logged, d);
    UNTIL(d->loop, d->done == before + 1);
    return d->entries.n;
}

TEST(keys_of_a_record_share_one_tag)
{
    char key[RECORD_KEY_MAX];
    CHECK_STR(record_key(key, ref_place(123), "s"), "{123}:s");
    CHECK_STR(record_key(key, ref_user(123), "log"), "{u:123}:log");
    CHECK_STR(record_key(key, REF_SYSTEM, "gw"), "{u:0}:gw");
    CHECK_STR(record_key(key, ref_user(INT64_MAX), "c:18446744073709551615"),
              "{u:9223372036854775807}:c:18446744073709551615");
}

TEST(each_commit_bumps_the_version_by_one_and_writes_its_changes)
{
    struct desk d;
    open_desk(&d, NULL);
    const struct change first[] = {
        {CHANGE_HSET, "s", BYTES("chan"), BYTES("a b\r\n\"")}, {CHANGE_HSET, "m", BYTES("17"), BYTES("text")},
        {CHANGE_HSET, "m", BYTES("18"), BYTES_NONE},           {CHANGE_ZADD, "mi", BYTES("00017"), BYTES_NONE},
        {CHANGE_ZADD, "mi", BYTES("00018"), BYTES_NONE},       {CHANGE_SADD, "set", BYTES("x"), BYTES_NONE},
        {CHANGE_SADD, "set", BYTES("y"), BYTES_NONE},          {CHANGE_HSET, "t:1", BYTES("f"), BYTES("g")},
        {CHANGE_SET, "t:3", BYTES("old"), BYTES("90000")},
    };
    struct commit c = {.ref = 7, .entry = BYTES("one"), .changes = first, .n_changes = countof(first)};
    CHECK_EQ(commit(&d, c), OK);
    CHECK_EQ(d.version, 1);
    CHECK_EQ(d.listeners, 0);
    ask(&d, "SADD {7}:gw gateway-a gateway-b");
    const struct change second[] = {
        {CHANGE_HDEL, "m", BYTES("18"), BYTES_NONE},       {CHANGE_ZREM, "mi", BYTES("00018"), BYTES_NONE},
        {CHANGE_SREM, "set", BYTES("y"), BYTES_NONE},      {CHANGE_DEL, "t:1", BYTES_NONE, BYTES_NONE},
        {CHANGE_DEL, "t:2", BYTES_NONE, BYTES_NONE}, // was not there
        {CHANGE_SET, "t:3", BYTES("new"), BYTES("50000")},
    };
    c = (struct commit){
        .ref = 7, .expected = 1, .entry = BYTES("two"), .changes = second, .n_changes = countof(second)};
    CHECK_EQ(commit(&d, c), OK);
    CHECK_EQ(d.version, 2);
    CHECK_EQ(d.listeners, 2);
    ask(&d, "HGET {7}:s chan");
    CHECK_STR(d.answer, "a b\r\n\"");
    ask(&d, "HGET {7}:m 17");
    CHECK_STR(d.answer, "text");
    ask(&d, "HLEN {7}:m");
    CHECK_EQ(d.version, 1);
    ask(&d, "ZSCORE {7}:mi 00017");
    CHECK_STR(d.answer, "0");
    ask(&d, "ZCARD {7}:mi");
    CHECK_EQ(d.version, 1);
    ask(&d, "SCARD {7}:set");
    CHECK_EQ(d.version, 1);
    ask(&d, "EXISTS {7}:t:1");
    CHECK_EQ(d.version, 0);
    ask(&d, "GET {7}:t:3");
    CHECK_STR(d.answer, "new");
    ask(&d, "PTTL {7}:t:3");
    CHECK_TRUE(d.version > 20000 && d.version <= 50000);
    uint32_t before = d.done;
    record_load(d.store, 7, answered, &d);
    UNTIL(d.loop, d.done > before);
    CHECK_EQ(d.version, 2);
    record_load(d.store, 8, answered, &d);
    UNTIL(d.loop, d.done > before + 1);
    CHECK_EQ(d.version, 0);
    close_desk(&d);
}

TEST(as_many_changes_as_a_commit_may_have)
{
    struct desk d;
    struct change changes[CHANGES_MAX];
    char names[CHANGES_MAX][8];
    open_desk(&d, NULL);
    for (size_t i = 0; i < CHANGES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        changes[i] = (struct change){CHANGE_HSET, "m", bytes_of(names[i]), bytes_of(names[i])};
    }
    struct commit c = {.ref = 7, .entry = BYTES("e"), .changes = changes, .n_changes = CHANGES_MAX};
    CHECK_EQ(commit(&d, c), OK);
    ask(&d, "HLEN {7}:m");
    CHECK_EQ(d.version, CHANGES_MAX);
    close_desk(&d);
}

TEST(the_second_at_a_version_conflicts_and_changes_nothing)
{
    struct desk d;
    open_desk(&d, NULL);
    const struct change change = {CHANGE_HSET, "s", BYTES("who"), BYTES("first")};
    const struct change late = {CHANGE_HSET, "s", BYTES("who"), BYTES("second")};
    struct commit c = {.ref = ref_user(5), .command = 1, .entry = BYTES("a"), .changes = &change, .n_changes = 1};
    CHECK_EQ(commit(&d, c), OK);
    c.command = 2;
    c.entry = BYTES("b");
    c.changes = &late;
    CHECK_EQ(commit(&d, c), ERR_CONFLICT);
    CHECK_EQ(d.version, 1);
    ask(&d, "HGET {u:5}:s who");
    CHECK_STR(d.answer, "first");
    ask(&d, "XLEN {u:5}:log");
    CHECK_EQ(d.version, 1);
    c.expected = 1; // reloaded; the command was not used up by its conflict
    CHECK_EQ(commit(&d, c), OK);
    CHECK_EQ(d.version, 2);
    c.expected = 9;
    c.command = 3;
    CHECK_EQ(commit(&d, c), ERR_CONFLICT);
    CHECK_EQ(d.version, 2);
    close_desk(&d);
}

TEST(of_many_at_one_version_exactly_one_wins)
{
    struct desk d;
    open_desk(&d, NULL);
    for (uint64_t i = 0; i < 200; i++)
        record_commit(d.store, &(struct commit){.ref = 7, .expected = i / 10, .entry = BYTES("e")}, committed, &d);
    UNTIL(d.loop, d.done == 200);
    ask(&d, "XLEN {7}:log");
    CHECK_EQ(d.version, 20);
    ask(&d, "HGET {7}:s v");
    CHECK_STR(d.answer, "20");
    close_desk(&d);
}

TEST(a_command_is_applied_once_and_its_repeat_gets_the_answer_again)
{
    struct desk d;
    open_desk(&d, NULL);
    struct commit c = {.ref = 7, .command = UINT64_MAX, .answer = BYTES("a:nswer\n"), .entry = BYTES("e")};
    CHECK_EQ(commit(&d, c), OK);
    CHECK_STR(d.answer, "");
    c.answer = BYTES("another");
    CHECK_EQ(commit(&d, c), ERR_STATE); // at the version where it was applied
    CHECK_EQ(d.version, 1);
    CHECK_STR(d.answer, "a:nswer\n");
    CHECK_EQ(commit(&d, (struct commit){.ref = 7, .expected = 1, .entry = BYTES("f")}), OK);
    c.expected = 2; // and at any other
    CHECK_EQ(commit(&d, c), ERR_STATE);
    CHECK_EQ(d.version, 1);
    CHECK_STR(d.answer, "a:nswer\n");
    c.ref = 8; // another record does not know it
    c.expected = 0;
    CHECK_EQ(commit(&d, c), OK);
    ask(&d, "PTTL {7}:c:18446744073709551615");
    CHECK_TRUE(d.version > 30000 && d.version <= 60000);
    close_desk(&d);
}

static uint64_t unix_ms(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

TEST(what_comes_after_its_asker_has_given_up_is_not_carried_out)
{
    struct desk d;
    open_desk(&d, NULL);
    struct commit c = {.ref = 7, .command = 5, .by = unix_ms() + 60000, .answer = BYTES("a"), .entry = BYTES("e")};
    CHECK_EQ(commit(&d, c), OK);
    c.by = 1; // a repeat that was under way for long is still told what became of the first
    CHECK_EQ(commit(&d, c), ERR_STATE);
    CHECK_STR(d.answer, "a");
    c = (struct commit){.ref = 7, .expected = 1, .command = 6, .by = unix_ms() - 1000, .entry = BYTES("e")};
    CHECK_EQ(commit(&d, c), ERR_TIMEOUT);
    CHECK_EQ(d.version, 1);
    ask(&d, "XLEN {7}:log");
    CHECK_EQ(d.version, 1);
    ask(&d, "EXISTS {7}:c:6");
    CHECK_EQ(d.version, 0);
    close_desk(&d);
}

TEST(without_a_command_nothing_is_kept)
{
    struct desk d;
    open_desk(&d, NULL);
    CHECK_EQ(commit(&d, (struct commit){.ref = 7, .entry = BYTES("e"), .answer = BYTES("a")}), OK);
    CHECK_EQ(commit(&d, (struct commit){.ref = 7, .expected = 1, .entry = BYTES("f"), .answer = BYTES("a")}), OK);
    CHECK_EQ(d.version, 2);
    ask(&d, "EXISTS {7}:c:0");
    CHECK_EQ(d.version, 0);
    close_desk(&d);
}

TEST(the_log_holds_each_version_once_in_order_and_is_read_from_any)
{
    struct desk d;
    char entry[16];
    open_desk(&d, NULL);
    for (uint64_t v = 0; v < 12; v++) {
        snprintf(entry, sizeof entry, "e%llu", (unsigned long long)v + 1);
        record_commit(d.store, &(struct commit){.ref = 7, .expected = v, .entry = bytes_of(entry)}, committed, &d);
    }
    UNTIL(d.loop, d.done == 12);
    CHECK_EQ(read_log(&d, 7, 0, 100), 9 * 3 + 3 * 4);
    CHECK_TRUE(d.in_order);
    CHECK_EQ(d.logged, 12);
    read_log(&d, 7, 8, 3);
    CHECK_TRUE(bytes_is(buf_bytes(&d.entries), "e9 e10 e11 "));
    CHECK_EQ(d.logged, 11);
    CHECK_EQ(read_log(&d, 7, 12, 100), 0);
    CHECK_EQ(read_log(&d, 8, 0, 100), 0);
    close_desk(&d);
}

static void look_at_bad_entries(void *ctx, const struct reply *r)
{
    uint64_t version = 77;
    struct bytes entry = BYTES("untouched");
    *(bool *)ctx = true;
    CHECK_EQ(reply_n(r), 6);
    for (size_t i = 0; i < reply_n(r); i++)
        CHECK_EQ(record_log_entry(reply_at(r, i), &version, &entry), ERR_INVALID);
    CHECK_EQ(record_log_entry(NULL, &version, &entry), ERR_INVALID);
    CHECK_EQ(version, 77);
    CHECK_TRUE(bytes_is(entry, "untouched"));
}

TEST(what_is_no_log_entry_is_refused)
{
    struct desk d;
    bool done = false;
    open_desk(&d, NULL);
    store_cmd(d.store, look_at_bad_entries, &done, "EVAL %s 0",
              "return {{'5-1', {'e', 'x'}}, {'5-0', {'f', 'x'}}, {'-0', {'e', 'x'}}, {'x-0', {'e', 'x'}}, {'5-0'}, 5}");
    UNTIL(d.loop, done);
    close_desk(&d);
}

TEST(the_log_is_capped_and_a_reader_sees_that_it_came_too_late)
{
    struct desk d;
    open_desk(&d, NULL);
    for (uint64_t v = 0; v < RECORD_LOG_CAP + 500; v++) {
        record_commit(d.store, &(struct commit){.ref = 7, .expected = v, .entry = BYTES("e")}, committed, &d);
        if (v % 500 == 499)
            UNTIL(d.loop, d.done == v + 1);
    }
    UNTIL(d.loop, d.done == RECORD_LOG_CAP + 500);
    CHECK_EQ(d.err, OK);
    ask(&d, "XLEN {7}:log");
    CHECK_TRUE(d.version >= RECORD_LOG_CAP && d.version < RECORD_LOG_CAP + 200);
    read_log(&d, 7, 0, 1);
    CHECK_TRUE(d.logged > 1);
    close_desk(&d);
}

TEST(an_entry_that_cannot_be_written_leaves_everything_as_it_was)
{
    struct desk d;
    open_desk(&d, NULL);
    ask(&d, "XADD {7}:log 5-0 e later");
    const struct change change = {CHANGE_HSET, "s", BYTES("f"), BYTES("x")};
    struct commit c = {.ref = 7, .command = 4, .entry = BYTES("e"), .changes = &change, .n_changes = 1};
    CHECK_EQ(commit(&d, c), ERR_IO);
    ask(&d, "EXISTS {7}:s {7}:c:4");
    CHECK_EQ(d.version, 0);
    close_desk(&d);
}

TEST(a_commit_that_redis_may_or_may_not_have_seen_is_settled_by_its_command)
{
    struct desk d;
    open_desk(&d, NULL);
    const struct commit c = {.ref = 7, .command = 9, .answer = BYTES("once"), .entry = BYTES("e")};
    kill(d.server.pid, SIGSTOP);
    record_commit(d.store, &c, committed, &d);
    uv_run(loop_uv(d.loop), UV_RUN_NOWAIT); // it lies in Redis' socket now
    UNTIL(d.loop, d.done == 1);
    CHECK_EQ(d.err, ERR_IO);
    kill(d.server.pid, SIGCONT);
    UNTIL(d.loop, store_up(d.store));
    int err = commit(&d, c);
    CHECK_TRUE(err == OK || (err == ERR_STATE && strcmp(d.answer, "once") == 0));
    CHECK_EQ(d.version, 1);
    server_kill(&d.server);
    CHECK_EQ(commit(&d, c), ERR_IO);
    CHECK_TRUE(server_run(&d.server, NULL));
    UNTIL(d.loop, store_up(d.store));
    CHECK_EQ(commit(&d, c), ERR_STATE); // it is in the append-only file
    CHECK_STR(d.answer, "once");
    ask(&d, "XLEN {7}:log");
    CHECK_EQ(d.version, 1);
    close_desk(&d);
}

TEST(commits_work_on_a_cluster)
{
    struct desk d;
    open_desk(&d, (char *[]){"--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", NULL});
    ask(&d, "CLUSTER ADDSLOTSRANGE 0 16383");
    do
        ask(&d, "CLUSTER INFO");
    while (d.err == OK && !strstr(d.answer, "cluster_state:ok"));
    const struct change changes[] = {
        {CHANGE_HSET, "s", BYTES("f"), BYTES("x")},
        {CHANGE_ZADD, "mi", BYTES("00017"), BYTES_NONE},
        {CHANGE_HSET, "m", BYTES("17"), BYTES("x")},
    };
    struct commit c = {.ref = ref_user(7), .entry = BYTES("e"), .changes = changes, .n_changes = 3};
    CHECK_EQ(commit(&d, c), OK);
    c.expected = 1;
    c.command = 4;
    CHECK_EQ(commit(&d, c), OK);
    CHECK_EQ(commit(&d, c), ERR_STATE);
    close_desk(&d);
}

static void count_list(void *ctx, const struct reply *r)
{
    struct desk *d = ctx;
    d->done++;
    d->version = reply_n(r);
}

TEST(a_due_row_is_claimed_by_one)
{
    struct desk d;
    open_desk(&d, NULL);
    ask(&d, "ZADD timers 100 a 200 b 300 c");
    uint64_t expect[] = {2, 0, 1, 3};
    const char *claims[] = {
        "FCALL sb_claim 1 timers 250 1250 10",  // a and b
        "FCALL sb_claim 1 timers 260 1260 10",  // they are somebody's now
        "FCALL sb_claim 1 timers 300 1300 10",  // c
        "FCALL sb_claim 1 timers 2000 3000 10", // nobody removed them: all come back
    };
    for (size_t i = 0; i < countof(claims); i++) {
        uint32_t before = d.done;
        store_cmd(d.store, count_list, &d, claims[i]);
        UNTIL(d.loop, d.done > before);
        CHECK_EQ(d.version, expect[i]);
    }
    close_desk(&d);
}

TEST(a_row_is_wanted_for_the_soonest_time_and_anew_by_whoever_finds_it_claimed)
{
    const struct {
        const char *command, *score;
    } rows[] = {
        {"FCALL sb_want 1 timers a 500", "500"},
        {"FCALL sb_want 1 timers a 900", "500"},
        {"FCALL sb_want 1 timers a 400", "400"},
        {"FCALL sb_claim 1 timers 450 1450.5 10", "1450.5"},
        {"FCALL sb_want 1 timers a 9000", "9000"}, // its claimant does not know of that
        {"FCALL sb_settle 1 timers a 1450.5 0", "9000"},
        {"FCALL sb_claim 1 timers 9000 9900.5 10", "9900.5"},
        {"FCALL sb_settle 1 timers a 9900.5 9500", "9500"},
    };
    struct desk d;
    open_desk(&d, NULL);
    for (size_t i = 0; i < countof(rows); i++) {
        ask(&d, rows[i].command);
        ask(&d, "ZSCORE timers a");
        CHECK_STR(d.answer, rows[i].score);
    }
    close_desk(&d);
}

TEST(a_claimed_row_is_settled_by_its_claimant_unless_it_was_wanted_anew)
{
    struct desk d;
    open_desk(&d, NULL);
    ask(&d, "ZADD timers 1250 a 1250 b 700 c");
    ask(&d, "FCALL sb_settle 1 timers a 1250 2000");
    CHECK_EQ(d.version, 1);
    ask(&d, "ZSCORE timers a");
    CHECK_STR(d.answer, "2000");
    store_cmd(d.store, NULL, NULL, "FCALL sb_settle 1 timers b 1250 %s", "");
    ask(&d, "FCALL sb_settle 1 timers c 1250 2000");
    CHECK_EQ(d.version, 0);
    ask(&d, "ZSCORE timers c");
    CHECK_STR(d.answer, "700");
    ask(&d, "ZCARD timers");
    CHECK_EQ(d.version, 2);
    close_desk(&d);
}

static void swapped(void *ctx, const struct reply *r)
{
    struct desk *d = ctx;
    struct bytes present = BYTES_NONE;
    d->done++;
    d->err = record_cas_result(r, &present);
    CHECK_EQ(bytes_copy(d->answer, sizeof d->answer, present), OK);
}

TEST(a_field_is_swapped_only_for_what_was_read)
{
    struct desk d;
    open_desk(&d, NULL);
    struct step {
        struct bytes expected, next;
        int err;
        const char *present;
    } steps[] = {
        {BYTES(""), BYTES("one"), OK, ""},    {BYTES(""), BYTES("two"), ERR_CONFLICT, "one"},
        {BYTES("one"), BYTES("two"), OK, ""}, {BYTES("one"), BYTES("three"), ERR_CONFLICT, "two"},
        {BYTES("two"), BYTES(""), OK, ""},    {BYTES("two"), BYTES("three"), ERR_CONFLICT, ""},
    };
    for (uint32_t i = 0; i < countof(steps); i++) {
        record_cas(d.store, 7, "s", BYTES("f"), steps[i].expected, steps[i].next, swapped, &d);
        UNTIL(d.loop, d.done == i + 1);
        CHECK_EQ(d.err, steps[i].err);
        CHECK_STR(d.answer, steps[i].present);
    }
    ask(&d, "EXISTS {7}:s");
    CHECK_EQ(d.version, 0);
    close_desk(&d);
}

static void set_once(void *ctx, const struct reply *r)
{
    struct desk *d = ctx;
    struct bytes earlier = BYTES_NONE;
    d->done++;
    d->err = record_once_result(r, &earlier);
    CHECK_EQ(bytes_copy(d->answer, sizeof d->answer, earlier), OK);
}

TEST(an_answer_is_kept_once_for_a_command)
{
    struct desk d;
    open_desk(&d, NULL);
    struct once once = {.command = 5, .answer = BYTES("a")};
    record_once(d.store, 7, &once, set_once, &d);
    UNTIL(d.loop, d.done == 1);
    CHECK_EQ(d.err, OK);
    once.answer = BYTES("y");
    record_once(d.store, 7, &once, set_once, &d);
    UNTIL(d.loop, d.done == 2);
    CHECK_EQ(d.err, ERR_STATE);
    CHECK_STR(d.answer, "a");
    once = (struct once){.command = 6, .by = 1, .answer = BYTES("b")};
    record_once(d.store, 7, &once, set_once, &d);
    UNTIL(d.loop, d.done == 3);
    CHECK_EQ(d.err, ERR_TIMEOUT);
    ask(&d, "EXISTS {7}:c:6");
    CHECK_EQ(d.version, 0);
    close_desk(&d);
}

TEST(who_holds_a_session_is_the_first_word_of_its_owner)
{
    char key[RECORD_KEY_MAX];
    CHECK_STR(session_key_of(key, "abc"), "{s:abc}:h");
    CHECK_TRUE(bytes_is(session_holder(BYTES("gateway-1 0123")), "gateway-1"));
    CHECK_EQ(session_holder(BYTES("gateway-1")).n, 0);
    CHECK_EQ(session_holder(BYTES_NONE).n, 0);
}

MAIN
