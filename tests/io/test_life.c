// What life promises, with a real Redis and a real bus: whoever wants in is compared with his row, a seat that changes
// is told in one reading of the seat that it concerns, and nothing that the bus or Redis lose is missed. A call manager
// and a region allocator live in this process, and are made of a bus alone.
#include "redis.h"
#include "bus.h"
#include "life.h"
#include "metrics.h"

enum { GUILD = 100, HOME = 201, AWAY = 202, CALL = 300, ADA = 1, BEN = 2, CLEO = 3, CROWD = 200 };

struct desk { // one instance
    struct store *store;
    struct bus *bus;
    struct life *life; // of the node
    // What it was told.
    uint32_t announcements, gone;
    uint32_t gone_users; // bits
    uint32_t full;       // so many commands it has no room for
    bool silent;         // it answers nothing
    struct node_announce last;
    uint64_t gone_user, gone_channel;
    char gone_node[65];
};

struct told {
    uint32_t n;
    uint64_t user;
    char session[65];
    struct seat seat;
    enum seat_state states[CROWD + 1]; // by user
    uint32_t seen[CROWD + 1];
    uint32_t at[CROWD + 1]; // which of all it was
};

struct rig {
    struct server server;
    struct loop *loop;
    struct service service; // of the node: what life needs of one
    struct desk node, manager, allocator;
    struct told told;
    uint64_t version[2]; // of GUILD and CALL
    struct arena a;
};
enum { OF_GUILD, OF_CALL };

// --- desks ---

static void on_event(void *ctx, const struct msg *m)
{
    struct desk *d = ctx;
    const struct node_announce *n = MSG_IS(m, node_announce);
    if (n) {
        d->announcements++;
        d->last = *n; // its texts are not looked at later
        CHECK_TRUE(bytes_is(n->node, "node-1") && bytes_is(n->region, "ams") && bytes_is(n->endpoint, "h:1"));
    } else if (d->life) {
        life_event(d->life, m);
    }
}

static void on_loss(void *ctx, const char *why)
{
    struct desk *d = ctx;
    (void)why;
    if (d->life)
        life_loss(d->life);
}

static void on_command(void *ctx, const struct bus_from *from, const struct msg *m)
{
    struct desk *d = ctx;
    const struct voice_gone *g = MSG_IS(m, voice_gone);
    if (g) {
        d->gone++;
        d->gone_user = g->user;
        d->gone_users |= 1u << g->user;
        d->gone_channel = g->channel;
        CHECK_EQ(bytes_copy(d->gone_node, sizeof d->gone_node, g->node), OK);
    }
    if (d->silent)
        return;
    bus_answer(d->bus, from, d->full > 0 ? ERR_FULL : OK, BYTES_NONE);
    d->full -= d->full > 0;
}

static void on_up(void *ctx)
{
    on_loss(ctx, "Redis was away");
}

static void desk_open(struct rig *r, struct desk *d, enum bus_kind kind, const char *instance)
{
    *d = (struct desk){0};
    d->store =
        store_new(r->loop, (struct store_cfg){.url = r->server.url, .on_up = on_up, .ctx = d, .pending_max = 10000});
    d->bus = bus_new(r->loop, d->store,
                     (struct bus_cfg){.kind = kind,
                                      .answers_max = 1 << 20,
                                      .instance = instance,
                                      .bind = "127.0.0.1",
                                      .host = "127.0.0.1",
                                      .lease_ms = 900,
                                      .on_command = on_command,
                                      .on_event = on_event,
                                      .on_loss = on_loss,
                                      .ctx = d});
    CHECK_TRUE(d->bus != NULL);
    UNTIL(r->loop, bus_ready(d->bus));
}

static void desk_close(struct rig *r, struct desk *d)
{
    bus_stop(d->bus);
    turn(r->loop);
    store_free(d->store);
    turn(r->loop);
    bus_free(d->bus);
}

// --- the rig ---

static void on_seat(void *ctx, uint64_t server, uint64_t user, const char *session, const struct seat *seat)
{
    struct told *t = &((struct rig *)ctx)->told;
    CHECK_TRUE(server == GUILD || server == CALL);
    t->n++;
    t->user = user;
    snprintf(t->session, sizeof t->session, "%s", session);
    t->seat = *seat;
    t->states[user] = seat->state;
    t->seen[user]++;
    t->at[user] = t->n;
}

static uint32_t load(void *ctx)
{
    (void)ctx;
    return 7;
}

static void rig_open(struct rig *r)
{
    *r = (struct rig){0};
    server_start(&r->server);
    r->loop = loop_new();
    desk_open(r, &r->manager, BUS_CALL_MANAGER, "manager-1");
    desk_open(r, &r->allocator, BUS_REGION_ALLOCATOR, "allocator-1");
    desk_open(r, &r->node, BUS_VOICE_NODE, "node-1");
    r->service = (struct service){.loop = r->loop, .store = r->node.store, .bus = r->node.bus, .instance = "node-1"};
    const struct life_cfg cfg = {.service = &r->service,
                                 .region = "ams",
                                 .endpoint = "h:1",
                                 .capacity = 50,
                                 .on_seat = on_seat,
                                 .load = load,
                                 .ctx = r};
    r->node.life = life_new(&cfg);
    UNTIL(r->loop, bus_has(r->manager.bus, BUS_VOICE_NODE) && bus_has(r->node.bus, BUS_CALL_MANAGER));
}

static void rig_close(struct rig *r)
{
    life_free(r->node.life);
    r->node.life = NULL;
    desk_close(r, &r->node);
    desk_close(r, &r->manager);
    desk_close(r, &r->allocator);
    loop_free(r->loop);
    server_stop(&r->server);
    arena_fini(&r->a);
}

static void on_commit(void *ctx, const struct commit_result *c)
{
    *(int *)ctx = c->err;
}

// One commit of a place, of one event and some rows; through the bus, or past it, so that nobody is told.
static void commit(struct rig *r, int which, bool through, const struct event *e, const struct change *changes,
                   uint32_t n)
{
    struct buf b = {0};
    int err = 1;
    ref of = which == OF_CALL ? CALL : GUILD;
    PACK(&b, place_event,
         (&(struct place_event){.ref = of, .version = r->version[which] + 1, .events = {e ? 1 : 0, e}}));
    const struct commit c = {
        .ref = of, .expected = r->version[which], .entry = buf_bytes(&b), .changes = changes, .n_changes = n};
    if (through)
        bus_commit(r->manager.bus, &c, on_commit, &err);
    else
        record_commit(r->manager.store, &c, on_commit, &err);
    UNTIL(r->loop, err != 1);
    CHECK_EQ(err, OK);
    r->version[which]++;
    buf_fini(&b);
}

static struct change put(struct rig *r, const char *suffix, uint64_t id, const struct schema *s, const void *row)
{
    return (struct change){CHANGE_HSET, suffix, arena_printf(&r->a, "%llu", (unsigned long long)id),
                           schema_packed(&r->a, s, row)};
}

static struct voice_seat sits(struct rig *r, uint64_t user)
{
    return (struct voice_seat){
        .user = user, .channel = HOME, .session = arena_printf(&r->a, "s%llu", (unsigned long long)user), .server = 2};
}

static void write_room(struct rig *r, uint64_t channel, const char *node)
{
    const struct voice_room room = {.channel = channel, .seats = 1, .node = bytes_of(node)};
    const struct change c = put(r, "vc", channel, &schema_voice_room, &room);
    commit(r, OF_GUILD, true, NULL, &c, 1);
}

// A guild of everybody with one channel, whose room lives on this node.
static void write_guild(struct rig *r)
{
    const struct guild g = {.id = GUILD, .owner = 999};
    const struct role everyone = {.id = GUILD, .permissions = permissions_of_everyone()};
    const struct guild_channel home = {.id = HOME, .type = 2};
    const struct change c[] = {{CHANGE_HSET, "s", BYTES("guild"), schema_packed(&r->a, &schema_guild, &g)},
                               put(r, "r", GUILD, &schema_role, &everyone),
                               put(r, "ch", HOME, &schema_guild_channel, &home)};
    commit(r, OF_GUILD, true, NULL, c, countof(c));
    write_room(r, HOME, "node-1");
}

static void write_seat(struct rig *r, const struct voice_seat *v, bool through)
{
    const struct event e = {.name = BYTES("VOICE_STATE_UPDATE"),
                            .sitter = v->user,
                            .row_tag = TAG_voice_seat,
                            .row_id = v->user,
                            .row = schema_packed(&r->a, &schema_voice_seat, v)};
    const struct member m = {.user = v->user};
    const struct change c[] = {put(r, "vs", v->user, &schema_voice_seat, v), put(r, "mb", v->user, &schema_member, &m)};
    commit(r, OF_GUILD, through, &e, c, countof(c));
}

static void seat(struct rig *r, uint64_t user)
{
    const struct voice_seat v = sits(r, user);
    write_seat(r, &v, true);
}

static void watch(struct rig *r, uint64_t user)
{
    char session[24];
    snprintf(session, sizeof session, "s%llu", (unsigned long long)user);
    life_watch(r->node.life, GUILD, HOME, user, session);
}

static void on_int(void *ctx, const struct reply *reply)
{
    *(int64_t *)ctx = reply_int(reply);
}

static void on_done(void *ctx, const struct reply *reply)
{
    *(bool *)ctx = reply_ok(reply);
}

// --- letting in ---

struct answer_of {
    uint32_t n;
    int code;
    uint64_t user;
};

static void on_admit(void *ctx, int code, const struct admitted *who)
{
    struct answer_of *k = ctx;
    k->n++;
    k->code = code;
    k->user = who ? who->user : 0;
}

static void write_token(struct rig *r, const char *node)
{
    struct buf b = {0};
    const struct voice_token row = {.token = BYTES("0123456789abcdef"),
                                    .user = ADA,
                                    .session = BYTES("s1"),
                                    .server = GUILD,
                                    .channel = HOME,
                                    .node = bytes_of(node)};
    PACK(&b, voice_token, &row);
    bool done = false;
    store_cmd(r->manager.store, on_done, &done, "SET {100}:t:s1 %b", b.p, b.n);
    UNTIL(r->loop, done);
    buf_fini(&b);
}

static const struct claims says = {
    .server = GUILD, .channel = HOME, .user = ADA, .session = "s1", .token = "0123456789abcdef"};

TEST(who_wants_in_is_compared_with_his_row)
{
    struct rig r;
    struct answer_of k = {0};
    struct claims c = says;
    rig_open(&r);
    life_admit(r.node.life, &c, on_admit, &k);
    CHECK_EQ(k.n, 0); // from the loop
    UNTIL(r.loop, k.n == 1);
    CHECK_EQ(k.code, 4006);
    write_token(&r, "node-1");
    life_admit(r.node.life, &c, on_admit, &k);
    UNTIL(r.loop, k.n == 2);
    CHECK_EQ(k.code, OK);
    CHECK_EQ(k.user, ADA);
    c.token[0] = 'x';
    life_admit(r.node.life, &c, on_admit, &k);
    UNTIL(r.loop, k.n == 3);
    CHECK_EQ(k.code, 4004);
    write_token(&r, "node-2");
    life_admit(r.node.life, &says, on_admit, &k);
    UNTIL(r.loop, k.n == 4);
    CHECK_EQ(k.code, 4004);
    strcpy(c.session, "s1 x"); // not asked for
    life_admit(r.node.life, &c, on_admit, &k);
    UNTIL(r.loop, k.n == 5);
    CHECK_EQ(k.code, 4006);
    rig_close(&r);
}

TEST(who_wants_in_while_redis_is_away_waits_for_it)
{
    struct rig r;
    struct answer_of k = {0}, unanswered = {0};
    rig_open(&r);
    write_token(&r, "node-1");
    server_kill(&r.server);
    UNTIL(r.loop, !store_up(r.node.store));
    life_admit(r.node.life, &says, on_admit, &k);
    for (int i = 0; i < 20; i++)
        turn(r.loop);
    CHECK_EQ(k.n, 0);
    CHECK_TRUE(server_run(&r.server, NULL));
    UNTIL(r.loop, k.n == 1);
    CHECK_EQ(k.code, OK);
    life_admit(r.node.life, &says, on_admit, &unanswered);
    rig_close(&r);
    CHECK_EQ(unanswered.n, 0); // nobody is there any more to hear it
}

// --- announcing ---

TEST(a_node_announces_itself_to_every_allocator_and_says_that_it_drains)
{
    struct rig r;
    struct desk second;
    rig_open(&r);
    UNTIL(r.loop, r.allocator.announcements >= 2);
    CHECK_TRUE(r.allocator.last.load == 7 && r.allocator.last.capacity == 50 && !r.allocator.last.draining);
    uint64_t epoch = r.allocator.last.epoch;
    desk_open(&r, &second, BUS_REGION_ALLOCATOR, "allocator-2");
    UNTIL(r.loop, second.announcements >= 2);
    CHECK_TRUE(life_not_ready(r.node.life) == NULL);
    life_drain(r.node.life);
    CHECK_TRUE(life_not_ready(r.node.life) != NULL);
    UNTIL(r.loop, r.allocator.last.draining && second.last.draining);
    CHECK_EQ(r.allocator.last.epoch, epoch);
    desk_close(&r, &second);
    rig_close(&r);
}

// --- seats ---

TEST(a_seat_is_told_at_first_and_whenever_it_changes)
{
    struct rig r;
    rig_open(&r);
    write_guild(&r);
    seat(&r, ADA);
    seat(&r, BEN);
    watch(&r, ADA);
    UNTIL(r.loop, r.told.n == 1);
    CHECK_TRUE(r.told.user == ADA && r.told.seat.state == SEAT_HERE && r.told.seat.speaks && r.told.seat.hears);
    CHECK_STR(r.told.session, "s1");
    watch(&r, BEN);
    watch(&r, BEN); // once more is nothing
    UNTIL(r.loop, r.told.n == 2);
    CHECK_TRUE(!life_drained(r.node.life));
    struct voice_seat v = sits(&r, BEN);
    v.mute = v.self_deaf = true;
    uint64_t reads = M.seat_reads;
    write_seat(&r, &v, true);
    UNTIL(r.loop, r.told.n == 3);
    CHECK_EQ(M.seat_reads, reads + 1);
    CHECK_TRUE(r.told.user == BEN && !r.told.seat.speaks && !r.told.seat.hears);
    v.flags = 2;
    write_seat(&r, &v, true);
    UNTIL(r.loop, r.told.n == 4);
    CHECK_EQ(r.told.seat.flags, 2);
    v.channel = AWAY; // by a moderator
    write_seat(&r, &v, true);
    UNTIL(r.loop, r.told.n == 5);
    CHECK_TRUE(r.told.user == BEN && r.told.seat.state == SEAT_LEFT);
    life_unwatch(r.node.life, GUILD, BEN, "s2");
    v = sits(&r, ADA);
    write_room(&r, HOME, "node-2");
    write_seat(&r, &v, true);
    UNTIL(r.loop, r.told.n == 6);
    CHECK_EQ(r.told.seat.state, SEAT_OVER);
    CHECK_TRUE(life_drained(r.node.life));
    rig_close(&r);
}

TEST(what_a_role_or_the_channel_changes_is_told_to_all_whom_it_concerns)
{
    struct rig r;
    rig_open(&r);
    write_guild(&r);
    for (uint64_t user = 1; user <= CROWD; user++)
        seat(&r, user);
    for (uint64_t user = 1; user <= CROWD; user++)
        watch(&r, user);
    UNTIL(r.loop, r.told.n == CROWD);
    CHECK_TRUE(!r.told.seat.priority);
    const struct role everyone = {.id = GUILD, .permissions = permissions_of_everyone() | MAY(PRIORITY_SPEAKER)};
    const struct change c = put(&r, "r", GUILD, &schema_role, &everyone);
    const struct event e = {.name = BYTES("GUILD_ROLE_UPDATE"), .row_tag = TAG_role, .row_id = GUILD, .row = c.b};
    uint64_t reads = M.seat_reads;
    commit(&r, OF_GUILD, true, &e, &c, 1);
    UNTIL(r.loop, r.told.n == 2 * CROWD);
    CHECK_TRUE(r.told.seat.priority);
    CHECK_EQ(M.seat_reads, reads + (CROWD + 63) / 64);
    struct voice_seat v = sits(&r, 150);
    v.self_mute = true;
    write_seat(&r, &v, true); // of one alone
    UNTIL(r.loop, r.told.n == 2 * CROWD + 1);
    CHECK_TRUE(r.told.user == 150 && r.told.seat.priority && !r.told.seat.speaks);
    CHECK_EQ(M.seat_reads, reads + (CROWD + 63) / 64 + 1);
    const struct change gone = {CHANGE_HDEL, "ch", BYTES("201"), BYTES_NONE};
    const struct event deleted = {.name = BYTES("CHANNEL_DELETE"), .row_tag = TAG_guild_channel, .row_id = HOME};
    commit(&r, OF_GUILD, true, &deleted, &gone, 1);
    UNTIL(r.loop, r.told.n == 3 * CROWD + 1);
    for (uint64_t user = 1; user <= CROWD; user++)
        CHECK_TRUE(r.told.states[user] == SEAT_OVER && r.told.seen[user] == 3 + (user == 150));
    rig_close(&r);
}

TEST(what_concerns_one_alone_does_not_wait_for_what_concerns_all)
{
    struct rig r;
    rig_open(&r);
    write_guild(&r);
    for (uint64_t user = 1; user <= CROWD; user++)
        seat(&r, user);
    for (uint64_t user = 1; user <= CROWD; user++)
        watch(&r, user);
    UNTIL(r.loop, r.told.n == CROWD);
    uint64_t last = 1; // whose turn came last
    for (uint64_t user = 1; user <= CROWD; user++)
        last = r.told.at[user] > r.told.at[last] ? user : last;
    struct voice_seat v = sits(&r, last);
    v.mute = true;
    write_seat(&r, &v, false);
    const struct role everyone = {.id = GUILD, .permissions = permissions_of_everyone() | MAY(PRIORITY_SPEAKER)};
    const struct change c = put(&r, "r", GUILD, &schema_role, &everyone);
    commit(&r, OF_GUILD, false, NULL, &c, 1);
    const struct event both[] = {{.row_tag = TAG_role, .row_id = GUILD, .row = c.b}, {.sitter = last}};
    const struct place_event e = {.ref = GUILD, .version = r.version[OF_GUILD], .events = {2, both}};
    life_event(r.node.life, &(struct msg){&schema_place_event, &e});
    UNTIL(r.loop, r.told.n == 2 * CROWD);
    CHECK_TRUE(r.told.at[last] <= CROWD + 64); // in the first reading
    rig_close(&r);
}

TEST(of_a_call_too)
{
    struct rig r;
    rig_open(&r);
    struct call_member m = {.user = ADA, .session = BYTES("s1"), .server = 2};
    struct call_rec call = {.id = 5, .author = ADA, .node = BYTES("node-1"), .members = {1, &m}};
    struct change c = {CHANGE_HSET, "s", BYTES("call"), schema_packed(&r.a, &schema_call_rec, &call)};
    struct event e = {.name = BYTES("VOICE_STATE_UPDATE"), .sitter = ADA};
    commit(&r, OF_CALL, true, &e, &c, 1);
    life_watch(r.node.life, CALL, CALL, ADA, "s1");
    life_watch(r.node.life, CALL, CALL, ADA, "s2"); // another client of his, whose seat it is not
    UNTIL(r.loop, r.told.n == 2);
    CHECK_EQ(r.told.seen[ADA], 2);
    life_unwatch(r.node.life, CALL, ADA, "s2");
    m.self_mute = true;
    c.b = schema_packed(&r.a, &schema_call_rec, &call);
    commit(&r, OF_CALL, true, &e, &c, 1);
    UNTIL(r.loop, r.told.n == 3);
    CHECK_TRUE(r.told.seat.state == SEAT_HERE && !r.told.seat.speaks);
    CHECK_STR(r.told.session, "s1");
    const struct change over = {CHANGE_HDEL, "s", BYTES("call"), BYTES_NONE};
    e = (struct event){.name = BYTES("CALL_DELETE")};
    commit(&r, OF_CALL, true, &e, &over, 1);
    UNTIL(r.loop, r.told.n == 4);
    CHECK_EQ(r.told.seat.state, SEAT_OVER);
    rig_close(&r);
}

TEST(what_nobody_told_is_found_out_by_the_next_event_or_at_a_loss)
{
    struct rig r;
    rig_open(&r);
    write_guild(&r);
    seat(&r, ADA);
    watch(&r, ADA);
    UNTIL(r.loop, r.told.n == 1);
    seat(&r, BEN); // so that a version has been heard of
    struct voice_seat v = sits(&r, ADA);
    v.mute = true;
    write_seat(&r, &v, false);
    seat(&r, BEN); // of somebody else: a version is missing
    UNTIL(r.loop, r.told.n == 2);
    CHECK_TRUE(!r.told.seat.speaks);
    v.mute = false;
    write_seat(&r, &v, false);
    life_loss(r.node.life);
    UNTIL(r.loop, r.told.n == 3);
    CHECK_TRUE(r.told.seat.speaks);
    rig_close(&r);
}

TEST(a_place_is_listened_to_for_as_long_as_somebody_of_it_is_here_and_after_redis_was_away)
{
    struct rig r;
    int64_t members = -1;
    rig_open(&r);
    write_guild(&r);
    seat(&r, ADA);
    seat(&r, BEN);
    watch(&r, ADA);
    watch(&r, BEN);
    UNTIL(r.loop, r.told.n == 2);
    UNTIL(r.loop, (store_cmd(r.manager.store, on_int, &members, "SISMEMBER {100}:gw node-1"), members == 1));
    life_unwatch(r.node.life, GUILD, BEN, "s2");
    server_kill(&r.server);
    UNTIL(r.loop, !store_up(r.node.store) && !store_up(r.manager.store));
    life_loss(r.node.life); // read in vain
    for (int i = 0; i < 20; i++)
        turn(r.loop);
    CHECK_EQ(r.told.n, 2);
    server_forget(&r.server); // and nobody tells
    CHECK_TRUE(server_run(&r.server, NULL));
    UNTIL(r.loop, r.told.n == 3);
    CHECK_EQ(r.told.seat.state, SEAT_OVER);
    members = -1;
    UNTIL(r.loop, (store_cmd(r.manager.store, on_int, &members, "SISMEMBER {100}:gw node-1"), members == 1));
    life_unwatch(r.node.life, GUILD, ADA, "s1");
    UNTIL(r.loop, (store_cmd(r.manager.store, on_int, &members, "SISMEMBER {100}:gw node-1"), members == 0));
    rig_close(&r);
}

// --- who is gone ---

static bool says_of_life(const struct rig *r, const char *text)
{
    struct buf out = {0};
    life_dump(r->node.life, &out);
    buf_char(&out, '\0');
    bool found = strstr(out.p, text) != NULL;
    buf_fini(&out);
    return found;
}

TEST(who_is_gone_is_told_to_a_call_manager_until_one_has_heard)
{
    struct rig r;
    rig_open(&r);
    life_gone(r.node.life, GUILD, HOME, ADA, "s1");
    UNTIL(r.loop, r.manager.gone == 1);
    CHECK_TRUE(r.manager.gone_user == ADA && r.manager.gone_channel == HOME);
    CHECK_STR(r.manager.gone_node, "node-1");
    UNTIL(r.loop, says_of_life(&r, " 0 gone and not told yet")); // its answer came: nobody else is told of her
    r.manager.silent = true;
    life_gone(r.node.life, GUILD, HOME, CLEO, "s4");
    UNTIL(r.loop, r.manager.gone == 2); // and what was told of her went with it
    desk_close(&r, &r.manager);
    UNTIL(r.loop, !bus_has(r.node.bus, BUS_CALL_MANAGER));
    life_gone(r.node.life, GUILD, HOME, BEN, "s2");
    desk_open(&r, &r.manager, BUS_CALL_MANAGER, "manager-2");
    UNTIL(r.loop, says_of_life(&r, " 0 gone and not told yet"));
    CHECK_EQ(r.manager.gone_users, 1u << BEN | 1u << CLEO);
    rig_close(&r);
}

TEST(who_is_gone_is_told_again_to_one_that_had_no_room_for_it)
{
    struct rig r;
    rig_open(&r);
    r.manager.full = 2;
    life_gone(r.node.life, GUILD, HOME, ADA, "s1");
    UNTIL(r.loop, says_of_life(&r, " 0 gone and not told yet"));
    CHECK_EQ(r.manager.full, 0);
    CHECK_TRUE(r.manager.gone >= 3); // more, when an answer took so long that it was told again meanwhile
    uint32_t before = r.manager.gone;
    r.manager.full = 1000;
    life_gone(r.node.life, GUILD, HOME, ADA, "s1"); // it ends while that waits
    UNTIL(r.loop, r.manager.gone > before);
    rig_close(&r);
}

TEST(who_came_back_before_a_call_manager_heard_it_is_not_gone)
{
    struct rig r;
    rig_open(&r);
    desk_close(&r, &r.manager);
    UNTIL(r.loop, !bus_has(r.node.bus, BUS_CALL_MANAGER));
    life_gone(r.node.life, GUILD, HOME, BEN, "s2");
    life_gone(r.node.life, GUILD, HOME, BEN, "s3");
    CHECK_TRUE(says_of_life(&r, " 2 gone and not told yet"));
    life_watch(r.node.life, GUILD, HOME, BEN, "s2");
    CHECK_TRUE(says_of_life(&r, " 1 gone and not told yet")); // of another client of his
    life_watch(r.node.life, GUILD, HOME, BEN, "s3");
    CHECK_TRUE(says_of_life(&r, " 0 gone and not told yet"));
    life_gone(r.node.life, GUILD, HOME, ADA, "s1");
    desk_open(&r, &r.manager, BUS_CALL_MANAGER, "manager-2");
    UNTIL(r.loop, r.manager.gone == 1);
    CHECK_EQ(r.manager.gone_user, ADA);
    UNTIL(r.loop, says_of_life(&r, " 0 gone and not told yet")); // she is heard of
    r.manager.full = 1;
    life_gone(r.node.life, GUILD, HOME, CLEO, "s4");
    UNTIL(r.loop, r.manager.full == 0); // it is told again, unless he is back
    life_watch(r.node.life, GUILD, HOME, CLEO, "s4");
    CHECK_TRUE(says_of_life(&r, " 0 gone and not told yet"));
    rig_close(&r);
}

MAIN
