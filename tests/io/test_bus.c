// What the bus promises, with real sockets and a real registry: a command is applied once and answered, events come in
// order, and whatever is lost is told. Two or more instances live in this process, each with its own store.
#include "desk.h"
#include "metrics.h"
#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>

struct asked {
    uint32_t answers;
    bool timed_out;
    int64_t err;
    char body[16];
};

static void on_answer(void *ctx, const struct answer *a)
{
    struct asked *k = ctx;
    k->answers++;
    k->timed_out = a == NULL;
    if (!a)
        return;
    k->err = a->err;
    CHECK_EQ(bytes_copy(k->body, sizeof k->body, a->body), OK);
}

static uint64_t ask(struct desk *d, struct asked *k, uint64_t key, uint64_t timeout_ms)
{
    const struct release v = {.place = key};
    *k = (struct asked){0};
    return bus_command(d->bus, BUS_MESSAGE, key, 0, &(struct msg){&schema_release, &v}, timeout_ms, on_answer, k);
}

static void publish(struct desk *d, const char *to, uint64_t version)
{
    struct buf b = {0};
    PACK(&b, place_event, (&(struct place_event){.ref = 1, .version = version}));
    CHECK_EQ(bus_publish(d->bus, to, buf_bytes(&b)), OK);
    buf_fini(&b);
}

// When what it said should be out: nng may wait for ever for a message that it was in the middle of.
static void hang_up(nng_socket s)
{
    uv_sleep(50);
    nng_close(s);
}

TEST(a_command_is_carried_out_and_answered)
{
    struct room r;
    struct desk asker, owner;
    struct asked k;
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    desk_open(&r, &asker, BUS_GATEWAY, "gateway-1");
    UNTIL(r.loop, bus_has(asker.bus, BUS_MESSAGE));
    ask(&asker, &k, 5, 5000);
    CHECK_EQ(k.answers, 0);
    UNTIL(r.loop, k.answers == 1);
    CHECK_STR(k.body, "done");
    CHECK_STR(owner.from.instance, "gateway-1");
    desk_close(&asker);
    desk_close(&owner);
    room_close(&r);
}

TEST(a_command_waits_for_somebody_who_can_take_it)
{
    struct room r;
    struct desk asker, owner;
    struct asked k;
    room_open(&r);
    desk_open(&r, &asker, BUS_GATEWAY, "gateway-1");
    ask(&asker, &k, 5, 15000);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    UNTIL(r.loop, k.answers == 1);
    CHECK_TRUE(!k.timed_out);
    CHECK_EQ(owner.commands, 1);
    ask(&asker, &k, 5, 50);
    owner.withholds = true;
    UNTIL(r.loop, k.answers == 1);
    desk_close(&owner);
    desk_close(&asker);
    room_close(&r);
}

TEST(nobody_there_is_told_at_the_deadline_once)
{
    struct room r;
    struct desk asker;
    struct asked k;
    room_open(&r);
    desk_open(&r, &asker, BUS_GATEWAY, "gateway-1");
    ask(&asker, &k, 5, 300);
    UNTIL(r.loop, k.answers == 1);
    CHECK_TRUE(k.timed_out);
    desk_close(&asker);
    CHECK_EQ(k.answers, 1);
    room_close(&r);
}

TEST(an_unanswered_command_goes_to_another_instance)
{
    struct room r;
    struct desk asker, one, two;
    struct asked k;
    room_open(&r);
    desk_open(&r, &one, BUS_MESSAGE, "message-1");
    desk_open(&r, &two, BUS_MESSAGE, "message-2");
    desk_open(&r, &asker, BUS_GATEWAY, "gateway-1");
    UNTIL(r.loop, asker.ups >= 2);
    one.withholds = two.withholds = true;
    ask(&asker, &k, 5, 15000);
    UNTIL(r.loop, one.commands + two.commands == 1);
    struct desk *deaf = one.commands ? &one : &two, *other = one.commands ? &two : &one;
    other->withholds = false;
    UNTIL(r.loop, k.answers == 1);
    CHECK_TRUE(!k.timed_out);
    CHECK_EQ(deaf->commands, 1); // its repeats were recognised
    CHECK_EQ(other->commands, 1);
    bus_answer(deaf->bus, &deaf->from, OK, BYTES("late"));
    desk_close(&asker);
    CHECK_EQ(k.answers, 1);
    desk_close(&one);
    desk_close(&two);
    room_close(&r);
}

static uint64_t ask_at(struct desk *d, struct asked *k, const char *instance, uint64_t timeout_ms)
{
    const struct release v = {.place = 5};
    *k = (struct asked){0};
    return bus_command_at(d->bus, BUS_MESSAGE, instance, 0, &(struct msg){&schema_release, &v}, timeout_ms, on_answer,
                          k);
}

TEST(a_command_for_one_instance_goes_to_nobody_else)
{
    struct room r;
    struct desk asker, one, two;
    struct asked k, other;
    room_open(&r);
    desk_open(&r, &one, BUS_MESSAGE, "message-1");
    desk_open(&r, &two, BUS_MESSAGE, "message-2");
    desk_open(&r, &asker, BUS_GATEWAY, "gateway-1");
    UNTIL(r.loop, asker.ups >= 2);
    ask_at(&asker, &k, "message-2", 15000);
    UNTIL(r.loop, k.answers == 1);
    CHECK_TRUE(!k.timed_out);
    CHECK_EQ(two.commands, 1);
    two.withholds = true;
    uint64_t asked = ask_at(&asker, &k, "message-2", 15000); // repeated, and to the same one
    ask_at(&asker, &other, "message-1", 15000);
    UNTIL(r.loop, other.answers == 1 && two.commands == 2);
    CHECK_EQ(k.answers, 0);
    bus_take_back(asker.bus, asked);
    CHECK_EQ(k.answers, 1);
    CHECK_TRUE(k.timed_out && !other.timed_out);
    CHECK_EQ(one.commands, 1);
    CHECK_EQ(two.commands, 2);
    bus_answer(two.bus, &two.from, OK, BYTES("late"));
    ask_at(&asker, &k, "message-9", 300); // nobody's name
    UNTIL(r.loop, k.answers == 1);
    CHECK_TRUE(k.timed_out);
    ask_at(&asker, &k, "gateway-1", 300); // of another kind
    UNTIL(r.loop, k.answers == 1);
    CHECK_TRUE(k.timed_out);
    CHECK_EQ(one.commands + two.commands, 3);
    desk_close(&asker);
    desk_close(&one);
    desk_close(&two);
    room_close(&r);
}

TEST(a_command_for_one_instance_waits_until_it_is_there)
{
    struct room r;
    struct desk asker, one, two;
    struct asked k;
    room_open(&r);
    desk_open(&r, &one, BUS_MESSAGE, "message-1");
    desk_open(&r, &asker, BUS_GATEWAY, "gateway-1");
    UNTIL(r.loop, bus_has(asker.bus, BUS_MESSAGE));
    ask_at(&asker, &k, "message-2", 15000);
    desk_open(&r, &two, BUS_MESSAGE, "message-2");
    UNTIL(r.loop, k.answers == 1);
    CHECK_TRUE(!k.timed_out);
    CHECK_EQ(one.commands, 0);
    CHECK_EQ(two.commands, 1);
    desk_close(&asker);
    desk_close(&one);
    desk_close(&two);
    room_close(&r);
}

// A peer made of bare sockets, that can say what no instance would.
static void bare(struct desk *to, const char *which, int (*open)(nng_socket *), nng_socket *s)
{
    CHECK_EQ(open(s), 0);
    CHECK_EQ(nng_dial(*s, bus_url(to->bus, which), NULL, 0), 0);
}

static void say(nng_socket s, struct buf *b)
{
    CHECK_EQ(nng_send(s, b->p, b->n, 0), 0);
    buf_reset(b);
}

TEST(a_command_sent_three_times_is_applied_once_and_answered_each_time)
{
    struct room r;
    struct desk owner, asker;
    struct buf b = {0};
    nng_socket s;
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    desk_open(&r, &asker, BUS_GATEWAY, "gateway-1");
    UNTIL(r.loop, owner.ups >= 2);
    bare(&owner, "commands", nng_push0_open, &s);
    uint64_t before = M.commands_duplicate;
    for (int i = 0; i < 3; i++) {
        PACK(&b, command, (&(struct command){77, loop_unix_ms(r.loop) + 60000, BYTES("gateway-1"), BUS_GATEWAY}));
        PACK(&b, release, (&(struct release){.place = 1}));
        say(s, &b);
    }
    UNTIL(r.loop, M.commands_duplicate == before + 2);
    CHECK_EQ(owner.commands, 1);
    PACK(&b, command, (&(struct command){78, loop_unix_ms(r.loop) - 1, BYTES("gateway-1"), BUS_GATEWAY}));
    PACK(&b, release, (&(struct release){.place = 1}));
    say(s, &b); // its deadline is past
    PACK(&b, command, (&(struct command){79, loop_unix_ms(r.loop) + 60000, BYTES("gateway-1"), BUS_GATEWAY}));
    PACK(&b, release, (&(struct release){.place = 1}));
    say(s, &b);
    UNTIL(r.loop, owner.from.command == 79);
    CHECK_EQ(owner.commands, 2);
    hang_up(s);
    buf_fini(&b);
    desk_close(&asker);
    desk_close(&owner);
    room_close(&r);
}

TEST(what_does_not_validate_is_counted_and_dropped)
{
    struct room r;
    struct desk owner;
    struct buf b = {0};
    nng_socket commands, events;
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    bare(&owner, "commands", nng_push0_open, &commands);
    bare(&owner, "events", nng_pub0_open, &events);
    const struct bytes garbage[] = {BYTES(""), BYTES("\xdd\xff\xff\xff\xff"), BYTES("\x93\x01"), BYTES("hello"),
                                    BYTES("\x91\xcd\xff\xff")};
    uint64_t before = M.bus_invalid;
    for (size_t i = 0; i < countof(garbage); i++) {
        buf_add(&b, garbage[i].p, garbage[i].n);
        say(commands, &b);
        buf_add(&b, garbage[i].p, garbage[i].n);
        say(events, &b);
    }
    UNTIL(r.loop, M.bus_invalid == before + 2 * countof(garbage));
    CHECK_EQ(owner.commands + owner.events, 0);
    hang_up(commands);
    hang_up(events);
    buf_fini(&b);
    desk_close(&owner);
    room_close(&r);
}

static bool dumped(struct desk *d, const char *text)
{
    struct buf b = {0};
    bus_dump(d->bus, &b);
    bool has = memmem(b.p, b.n, text, strlen(text)) != NULL;
    buf_fini(&b);
    return has;
}

TEST(answers_are_kept_for_repeats_up_to_a_size)
{
    struct room r;
    struct desk owner;
    struct buf b = {0};
    nng_socket commands;
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    bare(&owner, "commands", nng_push0_open, &commands);
    static char large[256u * 1024u];
    owner.says = (struct bytes){large, sizeof large};
    for (uint64_t id = 1; id <= 20; id++) {
        PACK(&b, command, (&(struct command){id, loop_unix_ms(r.loop) + 60000, BYTES("nobody"), BUS_GATEWAY}));
        PACK(&b, release, (&(struct release){.place = 1}));
        say(commands, &b);
    }
    UNTIL(r.loop, owner.commands == 20);
    CHECK_TRUE(dumped(&owner, " 3 answers kept")); // of 1 MiB in all
    hang_up(commands);
    buf_fini(&b);
    desk_close(&owner);
    room_close(&r);
}

TEST(what_is_for_somebody_out_of_reach_is_held_up_to_a_size_and_then_lost_visibly)
{
    struct room r;
    struct desk owner;
    struct buf node = {0}, event = {0};
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    PACK(&node, bus_node,
         (&(struct bus_node){BYTES("far"), BYTES("tcp://127.0.0.1:1"), BYTES("tcp://127.0.0.1:1"), 1, 1}));
    store_cmd(owner.store, NULL, NULL, "SET bus:gateway:far %b", node.p, node.n);
    store_cmd(owner.store, NULL, NULL, "ZADD bus:gateway %llu far", (unsigned long long)loop_unix_ms(r.loop) + 60000);
    UNTIL(r.loop, dumped(&owner, "gateway far"));
    while (event.n < 1024u * 1024u)
        buf_str(&event, "0123456789abcdef");
    uint64_t refused = M.bus_refused;
    for (int i = 0; i < 4; i++)
        CHECK_EQ(bus_publish(owner.bus, "far", buf_bytes(&event)), OK);
    CHECK_EQ(M.bus_refused, refused);
    CHECK_TRUE(dumped(&owner, "unsent=4194304"));
    CHECK_EQ(bus_publish(owner.bus, "far", buf_bytes(&event)), OK);
    CHECK_EQ(M.bus_refused, refused + 1);
    CHECK_TRUE(dumped(&owner, "gateway far batches=1 unsent=1048576")); // the number that is missing tells it
    buf_fini(&node);
    buf_fini(&event);
    desk_close(&owner);
    room_close(&r);
}

TEST(publishers_that_came_and_went_leave_room_for_others)
{
    struct room r;
    struct desk owner, gateway;
    struct buf b = {0};
    char name[16];
    nng_socket events;
    room_open(&r);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    bare(&gateway, "events", nng_pub0_open, &events);
    for (uint32_t i = 0; i < 1500 && gateway.events == i; i++) { // each once, and never again
        (void)snprintf(name, sizeof name, "gone-%u", i);
        PACK(&b, bus_head, (&(struct bus_head){bytes_of(name), 7, 1, false}));
        PACK(&b, place_event, (&(struct place_event){.ref = 1, .version = i + 1}));
        say(events, &b);
        UNTIL(r.loop, gateway.events == i + 1);
    }
    gateway.events = 0;
    gateway.last = 0;
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    UNTIL(r.loop, owner.ups >= 2);
    publish(&owner, "gateway-1", 1);
    UNTIL(r.loop, gateway.events == 1);
    hang_up(events);
    buf_fini(&b);
    desk_close(&owner);
    desk_close(&gateway);
    room_close(&r);
}

TEST(events_come_in_order_and_without_a_sign_of_loss)
{
    struct room r;
    struct desk owner, gateway;
    room_open(&r);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    UNTIL(r.loop, owner.ups >= 2 && gateway.ups >= 2);
    for (uint64_t version = 1; version <= 20000; version++)
        publish(&owner, "gateway-1", version);
    UNTIL(r.loop, gateway.events == 20000);
    CHECK_TRUE(gateway.in_order);
    CHECK_EQ(gateway.gaps, 0);
    CHECK_EQ(bus_publish(owner.bus, "gateway-9", BYTES("x")), ERR_MISSING);
    desk_close(&owner);
    desk_close(&gateway);
    room_close(&r);
}

TEST(a_subscriber_that_was_lost_sight_of_hears_everything_that_comes_after)
{
    struct room r;
    struct desk owner, gateway;
    room_open(&r);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    UNTIL(r.loop, bus_has(owner.bus, BUS_GATEWAY));
    for (uint64_t version = 1; version <= 3; version++) {
        publish(&owner, "gateway-1", version);
        UNTIL(r.loop, gateway.events == version);
    }
    uint32_t ups = owner.ups, downs = owner.downs;
    UNTIL(r.loop, (store_cmd(owner.store, NULL, NULL, "DEL bus:gateway:gateway-1"), owner.downs > downs));
    UNTIL(r.loop, owner.ups > ups && gateway.losses > 0);
    publish(&owner, "gateway-1", 4); // the first one on a new link: not to be taken for one that was heard before
    UNTIL(r.loop, gateway.events == 4);
    desk_close(&owner);
    desk_close(&gateway);
    room_close(&r);
}

TEST(who_was_not_known_when_something_was_for_him_is_told)
{
    struct room r;
    struct desk owner, gateway;
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    CHECK_EQ(bus_publish(owner.bus, "gateway-1", BYTES("x")), ERR_MISSING);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    UNTIL(r.loop, gateway.losses > 0);
    CHECK_EQ(gateway.events, 0);
    desk_close(&owner);
    desk_close(&gateway);
    room_close(&r);
}

TEST(so_is_he_when_there_were_many_others)
{
    struct room r;
    struct desk owner, gateway;
    char name[16];
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    for (uint32_t i = 0; i < 1500; i++) {
        (void)snprintf(name, sizeof name, "gone-%u", i);
        CHECK_EQ(bus_publish(owner.bus, name, BYTES("x")), ERR_MISSING);
    }
    CHECK_EQ(bus_publish(owner.bus, "gateway-1", BYTES("x")), ERR_MISSING);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    UNTIL(r.loop, gateway.losses > 0);
    desk_close(&owner);
    desk_close(&gateway);
    room_close(&r);
}

TEST(commands_of_one_turn_travel_together)
{
    struct room r;
    struct desk asker, owner;
    static struct asked k[500];
    uint32_t answers = 0;
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    desk_open(&r, &asker, BUS_GATEWAY, "gateway-1");
    UNTIL(r.loop, bus_has(asker.bus, BUS_MESSAGE));
    uint64_t batches = M.bus_batches_sent;
    for (size_t i = 0; i < countof(k); i++)
        ask(&asker, &k[i], i + 1, 15000);
    for (size_t i = 0; i < countof(k); i++)
        UNTIL(r.loop, k[i].answers == 1);
    for (size_t i = 0; i < countof(k); i++)
        answers += k[i].answers == 1 && !k[i].timed_out;
    CHECK_EQ(answers, countof(k));
    CHECK_EQ(owner.commands, countof(k));
    CHECK_TRUE(M.bus_batches_sent - batches < 50); // and so do their answers
    desk_close(&asker);
    desk_close(&owner);
    room_close(&r);
}

TEST(two_that_ask_with_one_id_are_both_answered)
{
    struct room r;
    struct desk asker, owner;
    struct asked one = {0}, two = {0};
    const struct release v = {.place = 1};
    const struct msg m = {&schema_release, &v};
    room_open(&r);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    desk_open(&r, &asker, BUS_GATEWAY, "gateway-1");
    UNTIL(r.loop, bus_has(asker.bus, BUS_MESSAGE));
    CHECK_EQ(bus_command(asker.bus, BUS_MESSAGE, 1, 4711, &m, 15000, on_answer, &one), 4711);
    CHECK_EQ(bus_command(asker.bus, BUS_MESSAGE, 1, 4711, &m, 15000, on_answer, &two), 4711);
    UNTIL(r.loop, one.answers == 1 && two.answers == 1);
    CHECK_TRUE(!one.timed_out && !two.timed_out);
    CHECK_EQ(owner.commands, 1);
    desk_close(&asker);
    desk_close(&owner);
    room_close(&r);
}

static void say_batch(nng_socket s, uint64_t seq, bool beat, uint64_t version)
{
    struct buf b = {0};
    PACK(&b, bus_head, (&(struct bus_head){BYTES("message-9"), 4711, seq, beat}));
    if (version)
        PACK(&b, place_event, (&(struct place_event){.ref = 1, .version = version}));
    say(s, &b);
    buf_fini(&b);
}

TEST(a_swallowed_batch_is_told_by_the_next_one_and_a_lost_tail_by_a_beat)
{
    struct room r;
    struct desk gateway;
    nng_socket s;
    room_open(&r);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    bare(&gateway, "events", nng_pub0_open, &s);
    say_batch(s, 1, false, 1);
    UNTIL(r.loop, (say_batch(s, 3, false, 3), gateway.gaps == 1)); // again and again: nothing new, and it is no silence
    UNTIL(r.loop, (say_batch(s, 5, true, 0), gateway.gaps == 2));
    CHECK_EQ(gateway.events, 2);
    hang_up(s); // and the pipe that goes is a sign too
    UNTIL(r.loop, gateway.losses > gateway.gaps);
    desk_close(&gateway);
    room_close(&r);
}

static void on_commit(void *ctx, const struct commit_result *r)
{
    *(int *)ctx = r->err;
}

// A commit of `version`: through a bus, or past it, as when its sender dies before it has told anybody.
static int commit(struct desk *d, bool through, uint64_t command, uint64_t version)
{
    struct buf b = {0};
    int err = 1;
    PACK(&b, place_event, (&(struct place_event){.ref = 1, .version = version}));
    const struct commit c = {.ref = 1, .expected = version - 1, .command = command, .entry = buf_bytes(&b)};
    if (through)
        bus_commit(d->bus, &c, on_commit, &err);
    else
        record_commit(d->store, &c, on_commit, &err);
    UNTIL(d->loop, err != 1);
    buf_fini(&b);
    return err;
}

TEST(a_commit_that_was_found_applied_is_told_again)
{
    struct room r;
    struct desk gateway, owner;
    room_open(&r);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    UNTIL(r.loop, bus_has(owner.bus, BUS_GATEWAY));
    store_cmd(owner.store, NULL, NULL, "SADD {1}:gw gateway-1");
    CHECK_EQ(commit(&owner, true, 7, 1), OK);
    UNTIL(r.loop, gateway.events == 1);
    CHECK_EQ(commit(&owner, false, 8, 2), OK);
    CHECK_EQ(commit(&owner, true, 8, 3), ERR_STATE); // the repeat
    UNTIL(r.loop, gateway.events == 2);
    CHECK_EQ(gateway.last, 2);
    desk_close(&owner);
    desk_close(&gateway);
    room_close(&r);
}

static void on_members(void *ctx, const struct reply *r)
{
    *(int64_t *)ctx = reply_int(r);
}

TEST(a_voice_node_listens_to_records_and_one_that_is_long_dead_is_taken_out)
{
    struct room r;
    struct desk node, owner;
    room_open(&r);
    desk_open(&r, &node, BUS_VOICE_NODE, "node-1");
    desk_open(&r, &owner, BUS_CALL_MANAGER, "manager-1");
    UNTIL(r.loop, bus_has(owner.bus, BUS_VOICE_NODE));
    store_cmd(owner.store, NULL, NULL, "SADD {1}:gw node-1 node-9 node-0");
    // Not to be found, and still in its registry: perhaps it is only slow.
    store_cmd(owner.store, NULL, NULL, "ZADD bus:voice-node %llu node-0", (unsigned long long)loop_unix_ms(r.loop));
    CHECK_EQ(commit(&owner, true, 7, 1), OK);
    UNTIL(r.loop, node.events == 1);
    int64_t members = 0;
    UNTIL(r.loop, (store_cmd(owner.store, on_members, &members, "SCARD {1}:gw"), members == 2));
    members = 0;
    store_cmd(owner.store, on_members, &members, "SISMEMBER {1}:gw node-0");
    UNTIL(r.loop, members == 1);
    CHECK_EQ(node.gaps, 0);
    desk_close(&owner);
    desk_close(&node);
    room_close(&r);
}

TEST(a_voice_node_hears_whoever_commits_from_the_start_and_is_told_when_something_was_for_it_before)
{
    struct room r;
    struct desk node, owner;
    room_open(&r);
    desk_open(&r, &owner, BUS_CALL_MANAGER, "manager-1");
    CHECK_EQ(bus_publish(owner.bus, "node-1", BYTES("x")), ERR_MISSING);
    desk_open(&r, &node, BUS_VOICE_NODE, "node-1");
    UNTIL(r.loop, node.losses > 0); // by its beat
    uint32_t losses = node.losses;
    // One that is in the registry and never beats is silent from the start.
    struct buf said = {0};
    PACK(&said, bus_node,
         (&(struct bus_node){BYTES("mute"), BYTES("tcp://127.0.0.1:1"), BYTES("tcp://127.0.0.1:1"), 1, 1}));
    store_cmd(node.store, NULL, NULL, "SET bus:message:mute %b", said.p, said.n);
    store_cmd(node.store, NULL, NULL, "ZADD bus:message %llu mute", (unsigned long long)loop_unix_ms(r.loop) + 60000);
    UNTIL(r.loop, node.losses > losses);
    buf_fini(&said);
    desk_close(&node);
    desk_close(&owner);
    room_close(&r);
}

static bool came(nng_socket s)
{
    uint8_t message[256];
    size_t n = sizeof message;
    return nng_recv(s, message, &n, NNG_FLAG_NONBLOCK) == 0;
}

TEST(whoever_commits_beats_to_a_voice_node_for_which_there_was_nothing_yet)
{
    struct room r;
    struct desk owner;
    struct buf node = {0};
    nng_socket s;
    nng_listener l;
    char url[32];
    bool heard = false;
    int port = 0;
    room_open(&r);
    CHECK_EQ(nng_sub0_open(&s), 0);
    CHECK_EQ(nng_setopt(s, NNG_OPT_SUB_SUBSCRIBE, "", 0), 0);
    CHECK_EQ(nng_listen(s, "tcp://127.0.0.1:0", &l, 0), 0);
    CHECK_EQ(nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &port), 0);
    (void)snprintf(url, sizeof url, "tcp://127.0.0.1:%d", port);
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    PACK(&node, bus_node, (&(struct bus_node){BYTES("bare"), bytes_of(url), BYTES("tcp://127.0.0.1:1"), 1, 1}));
    store_cmd(owner.store, NULL, NULL, "SET bus:voice-node:bare %b", node.p, node.n);
    store_cmd(owner.store, NULL, NULL, "ZADD bus:voice-node %llu bare",
              (unsigned long long)loop_unix_ms(r.loop) + 60000);
    UNTIL(r.loop, heard = heard || came(s));
    buf_fini(&node);
    desk_close(&owner);
    hang_up(s); // when nobody speaks to it any more
    room_close(&r);
}

// A store that is freed last may have its callbacks ask for something still.
TEST(what_is_asked_after_the_stop_ends_with_the_second_one)
{
    struct room r;
    struct desk d;
    struct asked k;
    room_open(&r);
    desk_open(&r, &d, BUS_GATEWAY, "g");
    bus_stop(d.bus);
    ask(&d, &k, 1, 1000);
    CHECK_EQ(k.answers, 0);
    bus_stop(d.bus);
    CHECK_EQ(k.answers, 1);
    CHECK_TRUE(k.timed_out);
    desk_close(&d);
    room_close(&r);
}

TEST(what_is_for_all_of_a_kind_goes_to_all_of_it)
{
    struct room r;
    struct desk node, one, two, gateway;
    struct buf b = {0};
    room_open(&r);
    desk_open(&r, &one, BUS_REGION_ALLOCATOR, "allocator-1");
    desk_open(&r, &two, BUS_REGION_ALLOCATOR, "allocator-2");
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    desk_open(&r, &node, BUS_VOICE_NODE, "node-1");
    UNTIL(r.loop, node.ups >= 4);
    PACK(&b, place_event, (&(struct place_event){.ref = 1, .version = 1}));
    bus_publish_all(node.bus, BUS_REGION_ALLOCATOR, buf_bytes(&b));
    UNTIL(r.loop, one.events == 1 && two.events == 1);
    CHECK_EQ(gateway.events, 0);
    buf_fini(&b);
    desk_close(&node);
    desk_close(&gateway);
    desk_close(&one);
    desk_close(&two);
    room_close(&r);
}

TEST(an_instance_that_goes_is_noticed_and_one_that_is_stopped_too_long_learns_of_it)
{
    struct room r;
    struct desk gateway, owner;
    room_open(&r);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    UNTIL(r.loop, bus_has(gateway.bus, BUS_MESSAGE));
    desk_close(&owner);
    UNTIL(r.loop, !bus_has(gateway.bus, BUS_MESSAGE) && gateway.downs > 0 && gateway.losses > 0);
    uint32_t losses = gateway.losses;
    store_cmd(gateway.store, NULL, NULL, "DEL bus:gateway:gateway-1"); // as if its lease had run out
    UNTIL(r.loop, gateway.losses > losses);
    desk_close(&gateway);
    room_close(&r);
}

MAIN
