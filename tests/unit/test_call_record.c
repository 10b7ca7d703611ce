// call_record: a place survives its record, and each step's events read as clients must read them.
#include "call_record.h"
#include "check.h"
#include <jansson.h>

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        (literal), sizeof(literal) - 1                                                                                 \
    } // a static initialiser

static const struct user people[] = {
    {.id = 11, .username = TEXT("ada"), .discriminator = TEXT("0")},
    {.id = 22, .username = TEXT("ben"), .discriminator = TEXT("0")},
};
static const struct user_set users = {2, people};
static const uint64_t both[] = {11, 22};
static const struct channel chan = {.id = 900, .type = 1, .recipients = {2, both}};
static const struct call_rules rules = {60000, 100};
static struct call_out out;

static void step(struct arena *a, struct call_place *p, struct call_in in)
{
    static struct call_fxs fxs;
    struct call_place before = *p;
    CHECK_EQ(call_step(p, &in, &rules, 1000, &fxs), OK);
    call_write(a, &chan, &before, p, &fxs, 9, 0, users, &out);
}

static struct call_in join(uint64_t user, const char *session)
{
    static const struct bytes regions[] = {TEXT("rotterdam")};
    return (struct call_in){.kind = CALL_IN_JOIN,
                            .user = user,
                            .session = session,
                            .gateway = "gw",
                            .epoch = 3,
                            .hold = 7,
                            .turn = 2,
                            .region = "rotterdam",
                            .new_id = (1650479767383ull - 1420070400000ull) << 22,
                            .regions = {1, regions}};
}

static struct call_place empty(struct arena *a)
{
    struct buf b = {0};
    struct call_place p;
    PACK(&b, channel, &chan);
    CHECK_EQ(call_read(a, buf_bytes(&b), BYTES_NONE, &p), OK);
    buf_fini(&b);
    return p;
}

static struct bytes change(const char *field)
{
    for (uint32_t i = 0; i < out.n_changes; i++)
        if (out.changes[i].op == CHANGE_HSET && strcmp(out.changes[i].suffix, "s") == 0 &&
            bytes_is(out.changes[i].a, field))
            return out.changes[i].b;
    return BYTES_NONE;
}

static const char *names(struct arena *a)
{
    struct bytes all = BYTES("");
    for (uint32_t i = 0; i < out.n_events; i++)
        all = arena_printf(a, "%.*s%s%.*s", BYTES_FMT(all), i ? " " : "", BYTES_FMT(out.events[i].name));
    return arena_text(a, all);
}

TEST(a_running_call_comes_back_from_its_record_as_it_was)
{
    struct arena a = {0};
    struct buf b = {0};
    struct call_place p = empty(&a), again;
    step(&a, &p, join(11, "s-ada"));
    step(&a, &p, (struct call_in){.kind = CALL_IN_RING, .user = 11, .everybody = true});
    PACK(&b, channel, &chan);
    CHECK_EQ(call_read(&a, buf_bytes(&b), change("call"), &again), OK);
    CHECK_EQ(again.id, p.id);
    CHECK_EQ(again.n_seats, 1);
    CHECK_STR(again.seats[0].session, "s-ada");
    CHECK_STR(again.seats[0].regions[0], "rotterdam");
    CHECK_EQ(again.seats[0].server_at, p.seats[0].server_at);
    CHECK_TRUE(again.seats[0].hold == 7 && again.seats[0].turn == 2);
    CHECK_EQ(again.n_rings, 1);
    CHECK_EQ(again.rings[0].until, 61000);
    CHECK_EQ(call_deadline(&again), call_deadline(&p));
    CHECK_EQ(call_read(&a, buf_bytes(&b), BYTES("rubbish"), &again), ERR_INVALID);
    CHECK_EQ(again.type, 0);
    buf_fini(&b);
    arena_fini(&a);
}

TEST(a_seat_in_a_state_that_there_is_not_is_no_call)
{
    struct arena a = {0};
    struct call_place p = empty(&a), again;
    struct call_rec rec;
    step(&a, &p, join(11, "s-ada"));
    CHECK_EQ(UNPACK(&a, call_rec, change("call"), &rec), OK);
    struct call_member seat = rec.members.v[0];
    rec.members.v = &seat;
    struct bytes place = schema_packed(&a, &schema_channel, &chan);
    CHECK_EQ(call_read(&a, place, schema_packed(&a, &schema_call_rec, &rec), &again), OK);
    seat.server = CALL_SERVER_SENT + 1; // which the row lets through
    CHECK_EQ(call_read(&a, place, schema_packed(&a, &schema_call_rec, &rec), &again), ERR_INVALID);
    arena_fini(&a);
}

TEST(a_guild_channel_and_a_missing_one_hold_no_private_call)
{
    struct arena a = {0};
    struct buf b = {0};
    struct call_place p;
    PACK(&b, channel, (&(struct channel){.id = 5, .type = 2, .guild = 1}));
    CHECK_EQ(call_read(&a, buf_bytes(&b), BYTES_NONE, &p), OK);
    CHECK_EQ(p.type, 0);
    CHECK_EQ(call_read(&a, BYTES_NONE, BYTES_NONE, &p), OK);
    CHECK_EQ(p.type, 0);
    buf_fini(&b);
    arena_fini(&a);
}

TEST(starting_and_ending_write_the_captured_events)
{
    struct arena a = {0};
    struct call_place p = empty(&a);
    step(&a, &p, join(11, "s-ada"));
    CHECK_STR(names(&a), "MESSAGE_CREATE CALL_CREATE VOICE_STATE_UPDATE");
    CHECK_TRUE(change("last").n > 0);
    json_t *message = json_loadb(out.events[0].body.p, out.events[0].body.n, 0, NULL);
    CHECK_EQ(json_integer_value(json_object_get(message, "type")), 3);
    CHECK_STR(json_string_value(json_object_get(message, "timestamp")), "2022-04-20T18:36:07.383000+00:00");
    CHECK_EQ(json_array_size(json_object_get(message, "mentions")), 1);
    json_decref(message);
    json_t *call = json_loadb(out.events[1].body.p, out.events[1].body.n, 0, NULL);
    CHECK_EQ(json_array_size(json_object_get(call, "voice_states")), 0);
    CHECK_TRUE(json_is_object(json_object_get(call, "ongoing_rings")));
    json_decref(call);
    step(&a, &p, (struct call_in){.kind = CALL_IN_LEAVE, .user = 11, .session = "s-ada"});
    CHECK_STR(names(&a), "VOICE_STATE_UPDATE MESSAGE_UPDATE CALL_DELETE");
    json_t *end = json_loadb(out.events[1].body.p, out.events[1].body.n, 0, NULL);
    CHECK_TRUE(json_is_string(json_object_get(json_object_get(end, "call"), "ended_timestamp")));
    CHECK_EQ(json_array_size(json_object_get(json_object_get(end, "call"), "participants")), 1);
    CHECK_TRUE(json_is_object(json_object_get(end, "author")));
    json_decref(end);
    CHECK_EQ(out.changes[out.n_changes - 1].op, CHANGE_HDEL);
    arena_fini(&a);
}

TEST(a_voice_server_goes_to_its_session_alone)
{
    struct arena a = {0};
    struct call_place p = empty(&a);
    step(&a, &p, join(11, "s-ada"));
    step(&a, &p,
         (struct call_in){.kind = CALL_IN_ASSIGNED,
                          .user = 11,
                          .session = "s-ada",
                          .asked_at = p.seats[0].server_at - CALL_RETRY_MS,
                          .node = "n",
                          .region = "rotterdam",
                          .endpoint = "127.0.0.1:443",
                          .token = "04cfd23059d5dfcb",
                          .token_ms = 300000});
    CHECK_EQ(out.n_events, 1);
    CHECK_EQ(out.events[0].to, 2);
    CHECK_TRUE(bytes_is(out.events[0].session, "s-ada"));
    CHECK_TRUE(bytes_is(out.events[0].body,
                        "{\"token\":\"04cfd23059d5dfcb\",\"guild_id\":null,\"endpoint\":\"127.0.0.1:443\","
                        "\"channel_id\":\"900\"}"));
    // In the same commit it becomes what a voice node accepts.
    struct voice_token row;
    CHECK_EQ(out.changes[0].op, CHANGE_SET);
    CHECK_STR(out.changes[0].suffix, "t:s-ada");
    CHECK_TRUE(bytes_is(out.changes[0].b, "300000"));
    CHECK_EQ(UNPACK(&a, voice_token, out.changes[0].a, &row), OK);
    CHECK_TRUE(bytes_is(row.token, "04cfd23059d5dfcb") && bytes_is(row.node, "n") && bytes_is(row.session, "s-ada"));
    CHECK_TRUE(row.user == 11 && row.server == 900 && row.channel == 900);
    arena_fini(&a);
}

static const char *voided(struct arena *a)
{
    struct bytes all = BYTES("");
    for (uint32_t i = 0; i < out.n_changes; i++)
        if (out.changes[i].op == CHANGE_DEL)
            all = arena_printf(a, "%.*s%s%s", BYTES_FMT(all), all.n ? " " : "", out.changes[i].suffix);
    return arena_text(a, all);
}

static struct call_in assigned(const struct call_place *p, uint64_t user, const char *session, const char *node)
{
    return (struct call_in){.kind = CALL_IN_ASSIGNED,
                            .user = user,
                            .session = session,
                            .asked_at = call_seat_of(p, user)->server_at - CALL_RETRY_MS,
                            .node = node,
                            .region = "rotterdam",
                            .endpoint = "127.0.0.1:443",
                            .token = "04cfd23059d5dfcb"};
}

TEST(a_token_is_void_in_the_commit_that_takes_its_place_away)
{
    struct arena a = {0};
    struct call_place p = empty(&a);
    struct call_in other = join(22, "s-ben2");
    other.epoch = 4;
    step(&a, &p, join(11, "s-ada"));
    step(&a, &p, join(22, "s-ben"));
    CHECK_STR(voided(&a), "");
    step(&a, &p, assigned(&p, 11, "s-ada", "n"));
    step(&a, &p, assigned(&p, 22, "s-ben", "n"));
    CHECK_STR(voided(&a), "");
    step(&a, &p,
         (struct call_in){.kind = CALL_IN_JOIN,
                          .user = 22,
                          .session = "s-ben",
                          .gateway = "gw",
                          .epoch = 3,
                          .self_mute = true,
                          .region = ""}); // muting is nobody's departure
    CHECK_STR(voided(&a), "");
    step(&a, &p, other); // another client of his takes over
    CHECK_STR(voided(&a), "t:s-ben");
    step(&a, &p, (struct call_in){.kind = CALL_IN_LEAVE, .user = 22, .session = "s-ben2"}); // before it was told of any
    CHECK_STR(voided(&a), "t:s-ben2");
    step(&a, &p, join(11, "s-ada")); // asks for another server
    CHECK_STR(voided(&a), "t:s-ada");
    step(&a, &p, assigned(&p, 11, "s-ada", "n"));
    step(&a, &p, (struct call_in){.kind = CALL_IN_SERVER_LOST, .node = "n"});
    CHECK_STR(voided(&a), "t:s-ada");
    step(&a, &p, assigned(&p, 11, "s-ada", "n2"));
    step(&a, &p, (struct call_in){.kind = CALL_IN_REGION, .user = 11, .region = "elsewhere"});
    CHECK_STR(voided(&a), "t:s-ada");
    step(&a, &p, join(22, "s-ben"));
    step(&a, &p, (struct call_in){.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw"});
    CHECK_STR(voided(&a), "t:s-ada t:s-ben");
    arena_fini(&a);
}

TEST(a_full_group_that_loses_everybody_at_once_fits_one_commit)
{
    struct arena a = {0};
    static struct call_fxs fxs;
    struct call_place p = {.channel = 900, .type = 3, .owner = 1}, before;
    struct channel group = {.id = 900, .type = 3, .owner = 1};
    for (uint64_t i = 1; i <= CALL_MEMBERS_MAX; i++)
        p.recipients[p.n_recipients++] = i;
    group.recipients = (struct ids){p.n_recipients, p.recipients};
    for (uint64_t i = 1; i <= CALL_MEMBERS_MAX; i++) {
        struct call_in in = join(i, arena_printf(&a, "s-%u", (unsigned)i).p);
        CHECK_EQ(call_step(&p, &in, &rules, 1000, &fxs), OK);
    }
    before = p;
    struct call_in lost = {.kind = CALL_IN_GATEWAY_LOST, .gateway = "gw"};
    CHECK_EQ(call_step(&p, &lost, &rules, 1000, &fxs), OK);
    call_write(&a, &group, &before, &p, &fxs, 9, 0, users, &out);
    CHECK_TRUE(out.n_changes > CALL_MEMBERS_MAX);
    CHECK_STR(voided(&a), "t:s-1 t:s-2 t:s-3 t:s-4 t:s-5 t:s-6 t:s-7 t:s-8 t:s-9 t:s-10");
    arena_fini(&a);
}

TEST(who_is_removed_stops_listening_in_the_same_entry)
{
    struct arena a = {0};
    struct channel group = {.id = 900, .type = 3, .owner = 11, .recipients = {2, both}};
    struct call_place p = {.channel = 900, .type = 3, .owner = 11, .n_recipients = 2, .recipients = {11, 22}},
                      before = p;
    static struct call_fxs fxs;
    struct call_in in = {.kind = CALL_IN_REMOVE, .user = 11, .n_targets = 1, .targets = {22}};
    CHECK_EQ(call_step(&p, &in, &rules, 1000, &fxs), OK);
    call_write(&a, &group, &before, &p, &fxs, 9, 0, users, &out);
    CHECK_STR(names(&a), "CHANNEL_RECIPIENT_REMOVE ");
    CHECK_EQ(out.events[1].to, 1);
    CHECK_EQ(out.events[1].user, 22);
    CHECK_EQ(out.events[1].place_op, 2);
    struct channel now;
    CHECK_EQ(UNPACK(&a, channel, change("chan"), &now), OK);
    CHECK_EQ(now.recipients.n, 1);
    before = p;
    in = (struct call_in){.kind = CALL_IN_ADD, .user = 11, .n_targets = 1, .targets = {22}};
    CHECK_EQ(call_step(&p, &in, &rules, 1000, &fxs), OK);
    call_write(&a, &group, &before, &p, &fxs, 9, 0, users, &out);
    CHECK_TRUE(bytes_is(change("in:22"), "9")); // when he came
    arena_fini(&a);
}

TEST(a_farewell_says_of_which_version_it_is)
{
    struct arena a = {0};
    call_farewell(&a, &chan, 22, 7, 0, users, &out);
    CHECK_STR(names(&a), "CHANNEL_DELETE");
    CHECK_EQ(out.events[0].place_op, 2);
    CHECK_EQ(out.events[0].place, 900);
    CHECK_EQ(out.events[0].place_version, 7);
    arena_fini(&a);
}

TEST(a_voice_states_event_says_whose_and_of_which_claim_it_is)
{
    struct arena a = {0};
    struct call_place p = empty(&a);
    struct call_in in = join(11, "s-ada");
    in.epoch = 3;
    step(&a, &p, in);
    const struct event *e = &out.events[2];
    CHECK_TRUE(bytes_is(e->name, "VOICE_STATE_UPDATE"));
    CHECK_EQ(e->sitter, 11);
    CHECK_EQ(e->epoch, 3);
    CHECK_TRUE(!e->left);
    step(&a, &p, (struct call_in){.kind = CALL_IN_LEAVE, .user = 11, .session = "s-ada"});
    CHECK_EQ(out.events[0].epoch, 3);
    CHECK_TRUE(out.events[0].left);
    arena_fini(&a);
}

TEST(who_is_added_learns_of_the_channel_and_of_the_call_that_runs_there)
{
    struct arena a = {0};
    struct call_place p = empty(&a);
    step(&a, &p, join(11, "s-ada"));
    call_welcome(&a, &chan, &p, 22, 7, false, 0, users, &out);
    CHECK_STR(names(&a), "CHANNEL_CREATE CALL_CREATE");
    CHECK_EQ(out.events[0].place_op, 1);
    CHECK_EQ(out.events[0].place_version, 7);
    json_t *call = json_loadb(out.events[1].body.p, out.events[1].body.n, 0, NULL);
    CHECK_EQ(json_array_size(json_object_get(call, "voice_states")), 1);
    json_decref(call);
    CHECK_EQ(out.events[1].place_version, 7);
    CHECK_TRUE(bytes_is(out.changes[0].b, "7"));
    call_welcome(&a, &chan, &p, 22, 7, true, 0, users, &out); // what he still has is of before he was removed
    CHECK_STR(names(&a), "CHANNEL_DELETE CHANNEL_CREATE CALL_CREATE");
    p.unavailable = true; // everybody was told that there is none at present
    call_welcome(&a, &chan, &p, 22, 7, false, 0, users, &out);
    CHECK_STR(names(&a), "CHANNEL_CREATE");
    arena_fini(&a);
}

MAIN
