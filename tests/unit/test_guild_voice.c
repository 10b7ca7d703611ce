// guild_voice: who may sit down in a guild, what is told of it, and which voice server each is owed.
#include "check.h"
#include "errors.h"
#include "sets.h"
#include "voice_world.h"

enum { ADA = 1, BEN = 2, CLEO = 3, DORA = 4, HOME = 201, AWAY = 202, STAGE = 203, TEXT = 204, AFK = 205 };

// A guild of everybody, with two voice channels, a stage, a text channel and one for those who are away.
static struct voice_world guild(void)
{
    struct voice_world w;
    world_begin(&w);
    w.guild.afk_channel = AFK;
    WORLD_PUT(&w, WORLD_CHANNELS, HOME, guild_channel, .id = HOME, .type = CHANNEL_VOICE);
    WORLD_PUT(&w, WORLD_CHANNELS, AWAY, guild_channel, .id = AWAY, .type = CHANNEL_VOICE);
    WORLD_PUT(&w, WORLD_CHANNELS, STAGE, guild_channel, .id = STAGE, .type = CHANNEL_STAGE);
    WORLD_PUT(&w, WORLD_CHANNELS, TEXT, guild_channel, .id = TEXT, .type = CHANNEL_TEXT);
    WORLD_PUT(&w, WORLD_CHANNELS, AFK, guild_channel, .id = AFK, .type = CHANNEL_VOICE);
    for (uint64_t user = 1; user <= WORLD_USERS; user++)
        WORLD_PUT(&w, WORLD_MEMBERS, user, member, .user = user);
    return w;
}

// What one overwrite of the channel for everybody denies.
static void deny(struct voice_world *w, uint64_t channel, uint64_t type, uint64_t id, uint64_t bits)
{
    const struct overwrite o = {.id = id, .type = type, .deny = bits};
    WORLD_PUT(w, WORLD_CHANNELS, channel, guild_channel, .id = channel, .type = CHANNEL_VOICE, .overwrites = {1, &o});
}

static struct guild_in joins(uint64_t user, uint64_t channel)
{
    static uint64_t epoch;
    return (struct guild_in){
        .kind = GUILD_IN_JOIN, .target = user, .channel = channel, .session = "s", .gateway = "g", .epoch = ++epoch};
}

static int join(struct voice_world *w, uint64_t user, uint64_t channel)
{
    return world_do(w, joins(user, channel));
}

static struct guild_in assigns(const struct voice_world *w, uint64_t user, const char *node)
{
    const struct voice_seat *s = world_seat(w, user);
    return (struct guild_in){.kind = GUILD_IN_ASSIGNED,
                             .target = user,
                             .channel = s->channel,
                             .session = "s",
                             .asked_at = s->server_at - w->rules.retry_ms,
                             .region = "r",
                             .node = node,
                             .endpoint = node[0] ? "h:1" : "",
                             .token = "t",
                             .token_ms = 300000};
}

static int assign(struct voice_world *w, uint64_t user, const char *node)
{
    return world_do(w, assigns(w, user, node));
}

static int lose(struct voice_world *w, uint64_t channel, const char *node)
{
    return world_do(w, (struct guild_in){.kind = GUILD_IN_SERVER_LOST, .channel = channel, .node = node});
}

static int leave(struct voice_world *w, uint64_t user, const char *session, uint64_t epoch)
{
    return world_do(w, (struct guild_in){.kind = GUILD_IN_LEAVE, .target = user, .session = session, .epoch = epoch});
}

// The names of the last commit's events, with a blank between them.
static const char *told(const struct voice_world *w)
{
    static char names[1000];
    size_t n = 0;
    names[0] = '\0';
    for (uint32_t i = 0; i < w->out.n_events; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%.*s", i ? " " : "", BYTES_FMT(w->out.events[i].name));
    return names;
}
#define STATE "VOICE_STATE_UPDATE"
#define BEGINS "VOICE_CHANNEL_START_TIME_UPDATE"
#define SERVER "VOICE_SERVER_UPDATE"

static bool says(const struct event *e, const char *piece)
{
    char text[2000];
    return bytes_copy(text, sizeof text, e->body) == OK && strstr(text, piece) != NULL;
}

// --- who may sit down ---

TEST(who_may_sit_down)
{
    static const struct {
        const char *why;
        uint64_t user, channel, denied;
        bool of_member; // the overwrite, else everyone's
        bool timed_out;
        int err;
    } rows[] = {
        {"a member", BEN, HOME, 0, false, false, OK},
        {"no member", 61, HOME, 0, false, false, API_UNKNOWN_GUILD},
        {"no channel", BEN, 999, 0, false, false, API_UNKNOWN_CHANNEL},
        {"no voice channel", BEN, TEXT, 0, false, false, API_WRONG_CHANNEL_TYPE},
        {"hidden", BEN, HOME, MAY(VIEW_CHANNEL), false, false, API_MISSING_PERMISSIONS},
        {"closed to him", BEN, HOME, MAY(CONNECT), true, false, API_MISSING_PERMISSIONS},
        {"closed to all, and he is the owner", ADA, HOME, MAY(CONNECT), false, false, OK},
        {"timed out", BEN, HOME, 0, false, true, API_MISSING_PERMISSIONS},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct voice_world w = guild();
        if (rows[i].denied)
            deny(&w, HOME, rows[i].of_member, rows[i].of_member ? rows[i].user : WORLD_GUILD, rows[i].denied);
        if (rows[i].timed_out)
            WORLD_PUT(&w, WORLD_MEMBERS, BEN, member, .user = BEN, .disabled_until = w.now + 1);
        const struct guild_in in = joins(rows[i].user, rows[i].channel);
        world_look(&w, &in);
        if (guild_may_join(&w.scene, &in, w.now) != rows[i].err)
            printf("%s: ", rows[i].why);
        CHECK_EQ(guild_may_join(&w.scene, &in, w.now), rows[i].err);
        CHECK_EQ(world_step(&w, &in), rows[i].err);
        world_end(&w);
    }
}

TEST(a_full_channel_takes_who_is_in_it_and_who_may_move_others)
{
    struct voice_world w = guild();
    WORLD_PUT(&w, WORLD_CHANNELS, HOME, guild_channel, .id = HOME, .type = CHANNEL_VOICE, .user_limit = 1);
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_EQ(join(&w, CLEO, HOME), API_MISSING_PERMISSIONS);
    struct guild_in phone = joins(BEN, HOME);
    phone.session = "phone";
    CHECK_EQ(world_do(&w, phone), OK);
    CHECK_EQ(join(&w, ADA, HOME), OK);
    CHECK_EQ(world_room(&w, HOME)->seats, 2);
    world_end(&w);
}

TEST(who_sits_there_may_change_his_flags_whatever_he_may_no_longer_do)
{
    struct voice_world w = guild();
    CHECK_EQ(join(&w, BEN, HOME), OK);
    deny(&w, HOME, 0, WORLD_GUILD, MAY(CONNECT) | MAY(STREAM));
    struct guild_in in = joins(BEN, HOME);
    in.self_mute = true;
    CHECK_EQ(world_do(&w, in), OK);
    in.self_video = true;
    CHECK_EQ(world_do(&w, in), API_MISSING_PERMISSIONS);
    in.self_video = false;
    in.session = "phone"; // that is somebody else who comes
    CHECK_EQ(world_do(&w, in), API_MISSING_PERMISSIONS);
    world_end(&w);
}

TEST(cameras_are_counted_by_channel)
{
    static const struct {
        uint64_t channel, video_max, stage_max, others;
        bool manages;
        int err;
    } rows[] = {
        {HOME, 2, 0, 1, false, OK},
        {HOME, 2, 0, 2, false, API_MISSING_PERMISSIONS},
        {HOME, 2, 0, 2, true, OK},
        {HOME, 2, 0, 3, true, API_MISSING_PERMISSIONS},
        {HOME, 0, 0, GUILD_VIDEO_MAX - 1, false, OK},
        {HOME, 0, 0, GUILD_VIDEO_MAX, false, API_MISSING_PERMISSIONS},
        {STAGE, 2, 0, 3, false, OK},
        {STAGE, 0, 3, 3, false, API_MISSING_PERMISSIONS},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct voice_world w = guild();
        WORLD_PUT(&w, WORLD_ROLES, 7, role, .id = 7, .permissions = MAY(MANAGE_CHANNELS));
        static const uint64_t seven[] = {7};
        if (rows[i].manages)
            WORLD_PUT(&w, WORLD_MEMBERS, BEN, member, .user = BEN, .roles = {1, seven});
        for (uint64_t k = 0; k < rows[i].others; k++) {
            struct guild_in in = joins(10 + k, rows[i].channel);
            in.self_video = true;
            CHECK_EQ(world_do(&w, in), OK);
        }
        w.guild.video_max = rows[i].video_max;
        w.guild.stage_video_max = rows[i].stage_max;
        struct guild_in in = joins(BEN, rows[i].channel);
        in.self_video = true;
        CHECK_EQ(world_do(&w, in), rows[i].err);
        world_end(&w);
    }
}

TEST(who_is_suppressed_where)
{
    struct voice_world w = guild();
    WORLD_PUT(&w, WORLD_ROLES, 7, role, .id = 7,
              .permissions = MAY(MANAGE_CHANNELS) | MAY(MUTE_MEMBERS) | MAY(MOVE_MEMBERS));
    WORLD_PUT(&w, WORLD_ROLES, 8, role, .id = 8, .permissions = MAY(MUTE_MEMBERS) | MAY(MOVE_MEMBERS));
    static const uint64_t seven[] = {7}, eight[] = {8};
    WORLD_PUT(&w, WORLD_MEMBERS, CLEO, member, .user = CLEO, .roles = {1, seven}, .mute = true);
    WORLD_PUT(&w, WORLD_MEMBERS, DORA, member, .user = DORA, .roles = {1, eight}, .deaf = true);
    deny(&w, AWAY, 0, WORLD_GUILD, MAY(SPEAK));
    static const struct {
        uint64_t user, channel;
        bool suppress;
    } rows[] = {
        {BEN, HOME, false},  {BEN, AWAY, true},   {BEN, AFK, true}, {BEN, STAGE, true}, {CLEO, STAGE, false},
        {ADA, STAGE, false}, {DORA, STAGE, true}, {ADA, AFK, true}, {BEN, HOME, false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        CHECK_EQ(join(&w, rows[i].user, rows[i].channel), OK);
        CHECK_EQ(world_seat(&w, rows[i].user)->suppress, rows[i].suppress);
    }
    CHECK_TRUE(world_seat(&w, CLEO)->mute && !world_seat(&w, CLEO)->deaf);
    CHECK_TRUE(world_seat(&w, DORA)->deaf && !world_seat(&w, DORA)->mute);
    world_end(&w);
}

// --- what is told ---

TEST(a_room_begins_and_ends)
{
    struct voice_world w = guild();
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_STR(told(&w), STATE " " BEGINS);
    CHECK_TRUE(says(&w.out.events[1], "\"voice_start_time\":1000}"));
    CHECK_EQ(join(&w, CLEO, HOME), OK);
    CHECK_STR(told(&w), STATE);
    CHECK_EQ(leave(&w, BEN, "s", 0), OK);
    CHECK_STR(told(&w), STATE);
    CHECK_TRUE(w.out.events[0].left && says(&w.out.events[0], "\"channel_id\":null"));
    CHECK_EQ(w.out.n_released, 0);
    CHECK_EQ(leave(&w, CLEO, "s", 0), OK);
    CHECK_STR(told(&w), STATE " " BEGINS);
    CHECK_TRUE(says(&w.out.events[1], "\"voice_start_time\":null}"));
    CHECK_EQ(w.out.n_released, 1);
    CHECK_EQ(w.out.released[0], HOME);
    CHECK_TRUE(!world_room(&w, HOME));
    world_end(&w);
}

TEST(the_status_of_a_room_ends_with_it)
{
    struct voice_world w = guild();
    CHECK_EQ(join(&w, BEN, HOME), OK);
    struct voice_room room = *world_room(&w, HOME);
    room.status = BYTES("reading aloud");
    world_put(&w, WORLD_ROOMS, HOME, &room);
    CHECK_EQ(join(&w, BEN, AWAY), OK);
    CHECK_STR(told(&w), STATE " " STATE " " BEGINS " VOICE_CHANNEL_STATUS_UPDATE " BEGINS);
    CHECK_TRUE(says(&w.out.events[3], "\"status\":null"));
    CHECK_EQ(w.out.events[3].channel, HOME);
    world_end(&w);
}

TEST(a_move_is_told_to_those_who_see_where_he_is_and_else_where_he_was)
{
    struct voice_world w = guild();
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_EQ(join(&w, CLEO, HOME), OK);
    CHECK_EQ(join(&w, BEN, AWAY), OK);
    CHECK_STR(told(&w), STATE " " STATE " " BEGINS);
    const struct event *here = &w.out.events[0], *gone = &w.out.events[1];
    CHECK_TRUE(says(here, "\"channel_id\":\"202\"") && says(gone, "\"channel_id\":null"));
    CHECK_EQ(here->channel, AWAY);
    CHECK_EQ(here->unless, 0);
    CHECK_EQ(gone->channel, HOME);
    CHECK_EQ(gone->unless, AWAY);
    CHECK_EQ(gone->to, 3);
    CHECK_EQ(gone->user, BEN);
    CHECK_EQ(gone->row_tag, 0);
    CHECK_TRUE(!here->left && !gone->left); // he has a seat in this guild
    world_end(&w);
}

TEST(events_of_a_guild_are_of_no_claim_that_could_be_compared)
{
    struct voice_world w = guild();
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_EQ(w.out.events[0].epoch, 0);
    CHECK_EQ(w.out.events[0].sitter, BEN);
    CHECK_EQ(assign(&w, BEN, "n"), OK);
    CHECK_EQ(w.out.events[0].epoch, 0);
    CHECK_EQ(w.out.events[0].sitter, BEN);
    CHECK_EQ(join(&w, BEN, AWAY), OK);
    CHECK_EQ(w.out.events[0].epoch, 0);
    CHECK_EQ(w.out.events[1].epoch, 0);
    CHECK_EQ(leave(&w, BEN, "s", 0), OK);
    CHECK_EQ(w.out.events[0].epoch, 0);
    world_end(&w);
}

// A library whose voice server hung up says so many times a second, and a room may have thousands who listen to it.
TEST(the_same_again_is_told_to_the_session_that_said_it_alone)
{
    struct voice_world w = guild();
    struct guild_in in = joins(BEN, HOME);
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_EQ(w.out.events[0].to, 0);
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_STR(told(&w), STATE);
    CHECK_EQ(w.out.events[0].to, 2);
    CHECK_EQ(w.out.events[0].user, BEN);
    CHECK_TRUE(bytes_is(w.out.events[0].session, in.session));
    CHECK_TRUE(w.out.events[0].row.n > 0); // which every gateway and voice node notes all the same
    in.self_deaf = true;
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_EQ(w.out.events[0].to, 0);
    in.session = "other";
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_EQ(w.out.events[0].to, 0); // its id is part of the state
    world_end(&w);
}

TEST(flags_are_a_state_the_same_again_brings_a_server_too)
{
    struct voice_world w = guild();
    struct guild_in in = joins(BEN, HOME);
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_EQ(w.out.n_asks, 1);
    CHECK_EQ(w.out.asks[0].at, w.now + 100);
    CHECK_EQ(assign(&w, BEN, "n"), OK);
    CHECK_STR(told(&w), SERVER);
    in.self_mute = in.stays = true;
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_STR(told(&w), STATE);
    CHECK_EQ(w.out.n_asks, 0);
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_STR(told(&w), STATE);
    CHECK_EQ(w.out.n_asks, 1);
    CHECK_TRUE(world_token_went(&w, BYTES("s")));
    world_end(&w);
}

TEST(what_his_client_has_said_something_else_after_comes_too_late)
{
    struct voice_world w = guild();
    struct guild_in in = joins(BEN, HOME);
    struct guild_in left = {
        .kind = GUILD_IN_LEAVE, .target = BEN, .session = "s", .gateway = "g", .hold = 77, .turn = 2};
    in.hold = 77;
    in.turn = 1;
    CHECK_EQ(world_do(&w, in), OK);
    in.turn = 3;
    in.self_mute = in.stays = true;
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_EQ(world_do(&w, left), ERR_STATE); // it lay somewhere
    in.turn = 2;
    in.self_mute = false;
    CHECK_EQ(world_do(&w, in), ERR_STATE);
    CHECK_TRUE(world_seat(&w, BEN)->self_mute);
    in.epoch = joins(BEN, HOME).epoch; // he is claimed for it: then it is where he is
    in.stays = false;
    CHECK_EQ(world_do(&w, in), OK);
    left.hold = 78; // another gateway's, whose words are counted anew
    CHECK_EQ(world_do(&w, left), OK);
    world_end(&w);
}

TEST(what_stays_needs_a_seat_and_what_is_older_does_not_move_it)
{
    struct voice_world w = guild();
    struct guild_in in = joins(BEN, HOME), old = in;
    in.stays = true;
    CHECK_EQ(world_do(&w, in), ERR_MISSING);
    in = joins(BEN, HOME);
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_EQ(world_do(&w, old), ERR_STATE);
    old.channel = AWAY;
    CHECK_EQ(world_do(&w, old), ERR_STATE);
    in.stays = true;
    in.channel = AWAY;
    CHECK_EQ(world_do(&w, in), ERR_MISSING);
    in.channel = HOME;
    in.epoch++;
    CHECK_EQ(world_do(&w, in), ERR_MISSING);
    world_end(&w);
}

TEST(a_seat_goes_by_its_session_or_when_it_is_older_or_with_its_gateway)
{
    struct voice_world w = guild();
    CHECK_EQ(leave(&w, BEN, "s", 0), ERR_STATE);
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_EQ(w.out.n_came, 1);
    uint64_t epoch = world_seat(&w, BEN)->epoch;
    CHECK_EQ(leave(&w, BEN, "another", 0), ERR_STATE);
    CHECK_EQ(leave(&w, BEN, "", epoch), ERR_STATE);
    struct guild_in in = {.kind = GUILD_IN_MOVED, .target = BEN, .session = "s", .gateway = "h"};
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_STR(told(&w), "");
    CHECK_EQ(w.out.n_came, 1);
    CHECK_EQ(w.out.n_went, 1);
    CHECK_EQ(world_do(&w, in), ERR_STATE);
    in = (struct guild_in){.kind = GUILD_IN_GATEWAY_LOST, .target = BEN, .gateway = "g"};
    CHECK_EQ(world_do(&w, in), ERR_STATE);
    in.gateway = "h";
    CHECK_EQ(world_do(&w, in), OK);
    CHECK_STR(told(&w), STATE " " BEGINS);
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_EQ(leave(&w, BEN, "", world_seat(&w, BEN)->epoch + 1), OK);
    CHECK_EQ(w.out.epoch, epoch + 1);
    world_end(&w);
}

// As captured: who joined muted, and leaves by an op 4 that says unmuted, is shown as the second says; his camera
// counts for as long as he sat there with it.
TEST(a_leave_is_told_with_the_flags_of_the_op_4_that_it_came_by)
{
    static const struct {
        const char *gateway;
        bool said;
    } rows[] = {{"g", true}, {"", false}, {NULL, false}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct voice_world w = guild();
        struct guild_in in = joins(BEN, HOME), out = {.kind = GUILD_IN_LEAVE, .target = BEN, .session = "s"};
        in.self_mute = in.self_video = true;
        out.gateway = rows[i].gateway;
        out.self_deaf = true;
        CHECK_EQ(world_do(&w, in), OK);
        CHECK_EQ(world_do(&w, out), OK);
        CHECK_STR(told(&w), STATE " " BEGINS);
        CHECK_TRUE(says(&w.out.events[0], rows[i].said ? "\"self_mute\":false" : "\"self_mute\":true"));
        CHECK_TRUE(says(&w.out.events[0], rows[i].said ? "\"self_deaf\":true" : "\"self_deaf\":false"));
        world_end(&w);
    }
}

// --- voice servers ---

TEST(an_answer_to_an_earlier_ask_is_void)
{
    struct voice_world w = guild();
    CHECK_EQ(join(&w, BEN, HOME), OK);
    struct guild_in first = assigns(&w, BEN, "n");
    CHECK_EQ(join(&w, BEN, HOME), OK); // in the same millisecond
    CHECK_EQ(world_do(&w, first), ERR_STATE);
    CHECK_EQ(assign(&w, BEN, "n"), OK);
    CHECK_STR(told(&w), SERVER);
    CHECK_TRUE(says(&w.out.events[0], "\"guild_id\":\"100\"") && !says(&w.out.events[0], "channel_id"));
    CHECK_TRUE(w.out.seat_done != 0);
    CHECK_STR("n", bytes_is(world_room(&w, HOME)->node, "n") ? "n" : "another");
    world_end(&w);
}

TEST(an_ask_that_nobody_answers_is_made_again_when_its_row_is_due)
{
    struct voice_world w = guild();
    CHECK_EQ(join(&w, BEN, HOME), OK);
    uint64_t due = w.seat_row[BEN];
    CHECK_EQ(world_seat_due(&w, BEN), ERR_STATE); // too soon
    CHECK_EQ(w.seat_row[BEN], due);
    w.now = due;
    CHECK_EQ(world_seat_due(&w, BEN), OK);
    CHECK_EQ(w.out.n_asks, 1);
    CHECK_EQ(w.out.asks[0].at, w.now);
    CHECK_EQ(assign(&w, BEN, "n"), OK);
    CHECK_EQ(world_seat_due(&w, BEN), ERR_STATE);
    CHECK_EQ(w.out.seat_at, 0);
    CHECK_EQ(world_seat_due(&w, CLEO), ERR_MISSING);
    world_end(&w);
}

TEST(a_channel_with_a_region_takes_no_answer_from_another)
{
    struct voice_world w = guild();
    WORLD_PUT(&w, WORLD_CHANNELS, HOME, guild_channel, .id = HOME, .type = CHANNEL_VOICE, .rtc_region = BYTES("x"));
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_TRUE(bytes_is(w.out.asks[0].region, "x"));
    CHECK_EQ(assign(&w, BEN, "n"), ERR_STATE);
    struct guild_in in = assigns(&w, BEN, "n");
    in.region = "x";
    CHECK_EQ(world_do(&w, in), OK);
    world_end(&w);
}

TEST(who_waits_for_a_node_is_told_once_and_follows_whoever_finds_one)
{
    struct voice_world w = guild();
    for (uint64_t user = BEN; user <= DORA; user++) {
        CHECK_EQ(join(&w, user, HOME), OK);
        CHECK_EQ(assign(&w, user, ""), OK);
        CHECK_STR(told(&w), SERVER);
        CHECK_TRUE(says(&w.out.events[0], "\"endpoint\":null"));
    }
    w.now = w.seat_row[BEN];
    CHECK_EQ(world_seat_due(&w, BEN), ERR_STATE); // the row of the ask; the poll's is later
    w.now = w.seat_row[BEN];
    CHECK_EQ(world_seat_due(&w, BEN), OK);
    CHECK_EQ(assign(&w, BEN, ""), OK);
    CHECK_STR(told(&w), "");
    w.now = w.seat_row[BEN];
    while (world_seat_due(&w, BEN) != OK)
        w.now = w.seat_row[BEN];
    CHECK_EQ(assign(&w, BEN, "n"), OK);
    CHECK_EQ(w.n_room_rows, 1);
    CHECK_EQ(world_room_due(&w), OK);
    CHECK_EQ(w.out.n_asks, 2);
    CHECK_EQ(assign(&w, CLEO, "n"), OK);
    CHECK_EQ(w.n_room_rows, 0);
    world_end(&w);
}

TEST(room_for_those_who_wait_is_for_them_alone)
{
    struct voice_world w = guild();
    const struct guild_in room = {.kind = GUILD_IN_SERVER_FREE, .channel = HOME};
    CHECK_EQ(world_do(&w, room), ERR_MISSING);
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_EQ(world_do(&w, room), ERR_STATE);
    CHECK_EQ(assign(&w, BEN, ""), OK);
    CHECK_EQ(join(&w, CLEO, HOME), OK);
    CHECK_EQ(world_do(&w, room), OK);
    CHECK_STR(told(&w), "");
    CHECK_EQ(w.out.n_asks, 2);
    CHECK_EQ(w.out.asks[0].at, w.now);
    CHECK_TRUE(w.out.asks[1].at >= w.now + 100); // not before her client can have heard that she sits there
    CHECK_EQ(world_do(&w, room), ERR_STATE);     // they have asked already
    world_end(&w);
}

// All fifty are asked for, twenty with each commit.
static uint32_t follow_rooms(struct voice_world *w)
{
    uint32_t asks = w->out.n_asks;
    while (w->n_room_rows > 0) {
        struct guild_in in = {.kind = GUILD_IN_ROOM, .channel = w->room_rows[0]};
        world_drop_room_row(w, in.channel);
        do {
            CHECK_EQ(world_step(w, &in), OK);
            asks += w->out.n_asks;
        } while (w->out.more);
    }
    return asks;
}

TEST(a_lost_node_is_told_to_all_of_a_crowd_and_another_asked_for)
{
    struct voice_world w = guild();
    for (uint64_t user = 1; user <= 50; user++) {
        CHECK_EQ(join(&w, user, HOME), OK);
        CHECK_EQ(assign(&w, user, "n"), OK);
    }
    CHECK_EQ(lose(&w, AWAY, "n"), ERR_MISSING);
    CHECK_EQ(lose(&w, HOME, "m"), OK); // not where it lives
    CHECK_STR(told(&w), "");
    CHECK_EQ(lose(&w, HOME, "n"), OK);
    CHECK_EQ(w.out.n_events, GUILD_CROWD_MAX);
    CHECK_TRUE(says(&w.out.events[0], "\"endpoint\":null"));
    CHECK_EQ(follow_rooms(&w), 50);
    for (uint64_t user = 1; user <= 50; user++) {
        CHECK_EQ(world_seat(&w, user)->server, 1);
        CHECK_EQ(assign(&w, user, "m2"), OK);
        CHECK_EQ(w.n_room_rows, 0);
    }
    world_end(&w);
}

TEST(a_room_that_lives_elsewhere_now_takes_its_crowd_along_without_a_null)
{
    struct voice_world w = guild();
    for (uint64_t user = 1; user <= 30; user++) {
        CHECK_EQ(join(&w, user, HOME), OK);
        CHECK_EQ(assign(&w, user, "n"), OK);
    }
    CHECK_EQ(join(&w, 31, HOME), OK);
    CHECK_EQ(assign(&w, 31, "m"), OK);
    w.out.n_asks = 0;
    CHECK_EQ(follow_rooms(&w), 30);
    for (uint64_t user = 1; user <= 30; user++) {
        CHECK_EQ(world_seat(&w, user)->server, 0);
        CHECK_EQ(assign(&w, user, "m"), OK);
    }
    CHECK_EQ(w.n_room_rows, 0);
    world_end(&w);
}

TEST(a_node_that_drains_is_left_for_another_and_nobody_is_told_that_there_is_none)
{
    struct voice_world w = guild();
    struct guild_in drains = {.kind = GUILD_IN_SERVER_LOST, .channel = HOME, .node = "n", .drains = true};
    for (uint64_t user = 1; user <= 30; user++) {
        CHECK_EQ(join(&w, user, HOME), OK);
        CHECK_EQ(assign(&w, user, "n"), OK);
    }
    CHECK_EQ(world_do(&w, drains), OK);
    CHECK_STR(told(&w), "");
    CHECK_EQ(w.out.n_asks, GUILD_CROWD_MAX);
    CHECK_EQ(world_do(&w, drains), ERR_STATE); // it is left already
    CHECK_EQ(follow_rooms(&w), 30 - GUILD_CROWD_MAX);
    for (uint64_t user = 1; user <= 30; user++) {
        CHECK_EQ(world_seat(&w, user)->server, 0);
        CHECK_EQ(assign(&w, user, "m"), OK);
        CHECK_TRUE(says(&w.out.events[0], "\"endpoint\":\"h:1\""));
    }
    CHECK_EQ(w.n_room_rows, 0);
    drains.channel = AWAY;
    CHECK_EQ(world_do(&w, drains), ERR_MISSING);
    drains.channel = HOME;
    drains.node = "m";
    CHECK_EQ(world_do(&w, drains), OK);
    CHECK_EQ(follow_rooms(&w), 30);
    CHECK_EQ(assign(&w, 1, "m"), OK); // there is no other: it stays
    world_end(&w);
}

TEST(who_has_been_gone_from_the_server_of_his_room_leaves_it)
{
    struct voice_world w = guild();
    struct guild_in gone = {
        .kind = GUILD_IN_LEAVE, .target = BEN, .session = "s", .gateway = "", .channel = HOME, .node = "n"};
    CHECK_EQ(world_do(&w, gone), ERR_STATE);
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_EQ(world_do(&w, gone), ERR_STATE); // the room is on no node yet
    CHECK_EQ(assign(&w, BEN, "m"), OK);
    CHECK_EQ(world_do(&w, gone), ERR_STATE); // he was sent to another
    gone.node = "m";
    gone.channel = AWAY;
    CHECK_EQ(world_do(&w, gone), ERR_STATE); // he went elsewhere
    gone.channel = HOME;
    gone.session = "other";
    CHECK_EQ(world_do(&w, gone), ERR_STATE);
    gone.session = "s";
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_EQ(world_do(&w, gone), ERR_STATE); // he has come back since, and is being sent there anew
    CHECK_EQ(assign(&w, BEN, "m"), OK);
    CHECK_EQ(world_do(&w, gone), OK);
    CHECK_TRUE(!world_seat(&w, BEN));
    world_end(&w);
}

TEST(an_answer_under_way_may_name_a_node_that_is_lost)
{
    struct voice_world w = guild();
    CHECK_EQ(join(&w, BEN, HOME), OK);
    w.now += 500;
    struct guild_in answer = assigns(&w, BEN, "n");
    CHECK_EQ(lose(&w, HOME, "n"), OK);
    CHECK_EQ(world_do(&w, answer), OK);
    CHECK_STR(told(&w), "");
    CHECK_EQ(w.out.n_asks, 1);
    CHECK_EQ(lose(&w, HOME, "m"), OK); // another, later: that of n is not forgotten
    w.now += 500;
    CHECK_EQ(world_room(&w, HOME)->gone.n, 2);
    world_end(&w);
}

TEST(a_room_remembers_the_last_nodes_that_it_lost_and_not_for_ever)
{
    struct voice_world w = guild();
    static const char *const nodes[] = {"a", "b", "c", "a", "d", "e"};
    CHECK_EQ(join(&w, BEN, HOME), OK);
    for (size_t i = 0; i < countof(nodes); i++)
        CHECK_EQ(lose(&w, HOME, nodes[i]), OK);
    const struct texts gone = world_room(&w, HOME)->gone;
    CHECK_EQ(gone.n, 4);
    CHECK_TRUE(bytes_is(gone.v[0], "c") && bytes_is(gone.v[3], "e"));
    w.now += 20000;
    CHECK_EQ(lose(&w, HOME, "f"), OK);
    CHECK_EQ(world_room(&w, HOME)->gone.n, 1);
    world_end(&w);
}

// --- stages on which nobody may speak ---

enum deed { NOTHING, OPENS, SITS, GOES, MOVES, INVITED, HUSHED, TIMED_OUT, REMOVED, LOST };

static int edit_voice(struct voice_world *w, uint64_t user, bool suppress)
{
    const struct voice_state_edit e = {
        .guild = WORLD_GUILD, .target = user, .set = SET_VOICE_SUPPRESS, .suppress = suppress};
    return world_do(w, (struct guild_in){.kind = GUILD_IN_VOICE_EDIT, .target = user, .msg = &e});
}

static int open_stage(struct voice_world *w)
{
    const struct stage to = {.topic = BYTES("news")};
    const struct stage_put e = {
        .guild = WORLD_GUILD, .channel = STAGE, .opens = true, .set = SET_STAGE_TOPIC, .to = &to};
    return world_do(w, (struct guild_in){.kind = GUILD_IN_STAGE_PUT, .channel = STAGE, .msg = &e});
}

static int time_out(struct voice_world *w, uint64_t user)
{
    const struct member to = {.disabled_until = w->now + 3600000};
    const struct member_edit e = {.guild = WORLD_GUILD, .target = user, .set = SET_MEMBER_DISABLED, .to = &to};
    return world_do(w, (struct guild_in){.kind = GUILD_IN_MEMBER_EDIT, .target = user, .msg = &e});
}

static int kick(struct voice_world *w, uint64_t user)
{
    const struct member_remove e = {.guild = WORLD_GUILD, .target = user};
    return world_do(w, (struct guild_in){.kind = GUILD_IN_MEMBER_REMOVE, .target = user, .msg = &e});
}

static int act(struct voice_world *w, enum deed deed, uint64_t user)
{
    switch (deed) {
    case OPENS:
        return open_stage(w);
    case SITS:
        return join(w, user, STAGE);
    case GOES:
        return leave(w, user, "s", 0);
    case MOVES:
        return join(w, user, HOME);
    case INVITED:
    case HUSHED:
        return edit_voice(w, user, deed == HUSHED);
    case TIMED_OUT:
        return time_out(w, user);
    case REMOVED:
        return kick(w, user);
    case LOST:
        return world_do(w, (struct guild_in){.kind = GUILD_IN_GATEWAY_LOST, .target = user, .gateway = "g"});
    case NOTHING:
        break;
    }
    return OK;
}

// Till then whatever comes due is done, at its time. The time at which the stage has closed; 0: it has not.
static uint64_t pass(struct voice_world *w, uint64_t till)
{
    uint64_t closed = 0;
    while (w->n_room_rows > 0 && w->room_row_at[0] <= till) {
        w->now = w->room_row_at[0];
        bool open = w->t[WORLD_STAGES].n > 0;
        if (world_room_due(w) == OK && open && w->t[WORLD_STAGES].n == 0) {
            CHECK_STR(told(w), "STAGE_INSTANCE_DELETE");
            CHECK_TRUE(w->out.events[0].channel == STAGE && w->out.events[0].row.n == 0);
            closed = w->now;
        }
    }
    w->now = till;
    return closed;
}

TEST(a_stage_closes_after_a_minute_in_which_nobody_could_speak)
{
    static const struct {
        const char *why;
        struct {
            uint64_t at; // s
            enum deed deed;
            uint64_t user;
        } v[6];
        uint64_t closes; // likewise; 0: never
    } rows[] = {
        {"nobody comes", {{0, OPENS, 0}}, 60},
        {"those who come may not speak", {{0, OPENS, 0}, {30, SITS, BEN}, {59, SITS, CLEO}}, 60},
        {"they were there before", {{0, SITS, BEN}, {5, OPENS, 0}}, 65},
        {"a moderator is there", {{0, SITS, ADA}, {5, OPENS, 0}, {6, SITS, BEN}}, 0},
        {"one comes in time", {{0, OPENS, 0}, {59, SITS, ADA}}, 0},
        {"one comes too late", {{0, OPENS, 0}, {60, SITS, ADA}}, 60},
        {"the last one goes", {{0, SITS, ADA}, {0, OPENS, 0}, {100, GOES, ADA}}, 160},
        {"he moves", {{0, SITS, ADA}, {0, SITS, BEN}, {0, OPENS, 0}, {100, MOVES, ADA}}, 160},
        {"another stays", {{0, SITS, ADA}, {0, SITS, BEN}, {0, INVITED, BEN}, {0, OPENS, 0}, {9, GOES, BEN}}, 0},
        {"his session is lost", {{0, SITS, ADA}, {0, OPENS, 0}, {100, LOST, ADA}}, 160},
        {"somebody is invited", {{0, OPENS, 0}, {10, SITS, BEN}, {50, INVITED, BEN}}, 0},
        {"and sent back", {{0, OPENS, 0}, {10, SITS, BEN}, {50, INVITED, BEN}, {100, HUSHED, BEN}}, 160},
        {"and timed out", {{0, OPENS, 0}, {10, SITS, BEN}, {50, INVITED, BEN}, {100, TIMED_OUT, BEN}}, 160},
        {"and removed", {{0, OPENS, 0}, {10, SITS, BEN}, {50, INVITED, BEN}, {100, REMOVED, BEN}}, 160},
        {"it begins anew", {{0, SITS, ADA}, {0, OPENS, 0}, {10, GOES, ADA}, {50, SITS, ADA}, {60, MOVES, ADA}}, 120},
        {"it was opened again", {{0, OPENS, 0}, {70, OPENS, 0}}, 130},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct voice_world w = guild();
        uint64_t begin = w.now, closed = 0, then;
        for (size_t k = 0; k < countof(rows[i].v) && rows[i].v[k].deed != NOTHING; k++) {
            then = pass(&w, begin + rows[i].v[k].at * 1000);
            closed = then ? then : closed;
            CHECK_EQ(act(&w, rows[i].v[k].deed, rows[i].v[k].user), OK);
            CHECK_TRUE(!strstr(told(&w), "STAGE_INSTANCE_UPDATE"));
        }
        then = pass(&w, begin + 1000000);
        closed = then ? then : closed;
        if ((closed ? closed - begin : 0) != rows[i].closes * 1000)
            printf("%s: ", rows[i].why);
        CHECK_EQ(closed ? closed - begin : 0, rows[i].closes * 1000);
        CHECK_EQ(w.t[WORLD_STAGES].n, rows[i].closes ? 0 : 1);
        CHECK_EQ(w.n_room_rows, 0);
        world_end(&w);
    }
}

TEST(a_silent_stage_keeps_nobody_waiting_for_a_server)
{
    struct voice_world w = guild();
    for (uint64_t user = 2; user <= 50; user++) {
        CHECK_EQ(join(&w, user, STAGE), OK);
        CHECK_EQ(assign(&w, user, "n"), OK);
    }
    CHECK_EQ(open_stage(&w), OK);
    uint64_t end = w.now + w.rules.stage_ms;
    CHECK_EQ(world_room_row(&w, STAGE), end);
    CHECK_EQ(world_do(&w, (struct guild_in){.kind = GUILD_IN_ROOM, .channel = STAGE}), ERR_STATE);
    CHECK_EQ(w.out.room_at, end);
    CHECK_EQ(lose(&w, STAGE, "n"), OK);
    CHECK_EQ(world_room_row(&w, STAGE), w.now);
    CHECK_EQ(world_room_due(&w), OK);
    CHECK_EQ(world_room_row(&w, STAGE), w.now); // nothing of the row is put off by the commit that asks
    CHECK_EQ(world_room_due(&w), ERR_STATE);
    CHECK_EQ(world_room_row(&w, STAGE), end);
    for (uint64_t user = 2; user <= 50; user++)
        CHECK_EQ(assign(&w, user, "m"), OK);
    w.now = end;
    CHECK_EQ(lose(&w, STAGE, "m"), OK);
    CHECK_EQ(world_room_due(&w), OK); // both at once
    CHECK_EQ(w.t[WORLD_STAGES].n, 0);
    CHECK_EQ(w.n_room_rows, 0);
    for (uint64_t user = 2; user <= 50; user++)
        CHECK_EQ(world_seat(&w, user)->server, 1);
    world_end(&w);
}

// --- inputs ---

TEST(each_command_is_an_input_about_somebody_and_some_channel)
{
    static const struct guild_channel channel = {.id = 7};
    static const struct guild to = {.owner = 8, .afk_channel = 9};
    static const struct member_edit moves = {.user = 1, .guild = 5, .target = 2, .set = 4, .channel = 3};
    static const struct member_edit mutes = {.user = 1, .guild = 5, .target = 2, .set = 1, .channel = 3};
    static const struct channel_put put = {.user = 1, .guild = 5, .to = &channel};
    static const struct channel_put whole = {.user = 1, .guild = 5};
    static const struct guild_edit edit = {.user = 1, .guild = 5, .set = 8, .to = &to};
    static const struct status_put status = {.user = 1, .guild = 5, .channel = 3};
    static const struct call_ring ring = {.user = 1};
    static const struct {
        struct msg m;
        int err;
        enum guild_in_kind kind;
        uint64_t target, channel;
    } rows[] = {
        {{&schema_member_edit, &moves}, OK, GUILD_IN_MEMBER_EDIT, 2, 3},
        {{&schema_member_edit, &mutes}, ERR_INVALID, 0, 0, 0},
        {{&schema_channel_put, &put}, OK, GUILD_IN_CHANNEL_PUT, 0, 7},
        {{&schema_channel_put, &whole}, ERR_INVALID, 0, 0, 0},
        {{&schema_guild_edit, &edit}, OK, GUILD_IN_GUILD_EDIT, 0, 9},
        {{&schema_status_put, &status}, OK, GUILD_IN_STATUS_PUT, 0, 3},
        {{&schema_call_ring, &ring}, ERR_MISSING, 0, 0, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct guild_in in;
        uint64_t guild_id = 0;
        CHECK_EQ(guild_command(&rows[i].m, &in, &guild_id), rows[i].err);
        if (rows[i].err != OK)
            continue;
        CHECK_EQ(guild_id, 5);
        CHECK_EQ(in.kind, rows[i].kind);
        CHECK_EQ(in.actor, 1);
        CHECK_EQ(in.target, rows[i].target);
        CHECK_EQ(in.channel, rows[i].channel);
        CHECK_TRUE(guild_schema(in.kind) == rows[i].m.schema);
    }
}

TEST(a_scene_that_does_not_add_up_is_none)
{
    struct voice_world w = guild();
    CHECK_EQ(join(&w, BEN, HOME), OK);
    const struct guild_in in = {.kind = GUILD_IN_LEAVE, .target = BEN, .session = "s"};
    world_look(&w, &in);
    const struct guild_scene sound = w.scene;
    struct voice_room empty = *sound.from.room, silent = empty;
    empty.seats = 0;
    silent.speakers = 0;
    w.scene.from.room = NULL;
    CHECK_TRUE(!guild_scene_valid(&w.scene));
    w.scene.from.room = &empty;
    CHECK_TRUE(!guild_scene_valid(&w.scene));
    w.scene.from.room = &silent;
    CHECK_TRUE(!guild_scene_valid(&w.scene));
    w.scene = sound;
    w.scene.from.id = AWAY;
    CHECK_TRUE(!guild_scene_valid(&w.scene));
    const struct role twice[] = {{.id = 5}, {.id = 5}};
    w.scene = sound;
    w.scene.roles = (struct role_set){2, twice};
    CHECK_TRUE(!guild_scene_valid(&w.scene));
    w.scene = sound;
    w.scene.guild = NULL;
    CHECK_EQ(guild_step(&w.scratch, &w.scene, &in, &w.rules, w.now, &w.out), API_UNKNOWN_GUILD);
    CHECK_EQ(guild_may_join(&w.scene, &in, w.now), API_UNKNOWN_GUILD);
    world_end(&w);
}

TEST(a_guild_that_is_deleted_leaves_nobody_sitting_and_no_token_good)
{
    struct voice_world w = guild();
    const struct guild_delete e = {.guild = WORLD_GUILD};
    CHECK_EQ(join(&w, BEN, HOME), OK);
    CHECK_EQ(join(&w, CLEO, AWAY), OK);
    CHECK_EQ(world_do(&w, (struct guild_in){.kind = GUILD_IN_GUILD_DELETE, .msg = &e}), OK);
    CHECK_TRUE(!w.guild.id && w.out.all_unmade);
    CHECK_EQ(world_seat_due(&w, BEN), API_UNKNOWN_GUILD); // the row that was to look after his server
    CHECK_EQ(join(&w, BEN, HOME), API_UNKNOWN_GUILD);
    world_end(&w);
}

TEST(a_farewell_is_one_row_less_and_nothing_to_listen_to_any_more)
{
    struct arena a = {0};
    struct event e;
    struct change c;
    guild_farewell(&a, 5, BEN, 9, &e, &c);
    CHECK_TRUE(c.op == CHANGE_HDEL && strcmp(c.suffix, "g") == 0 && bytes_is(c.a, "5"));
    CHECK_TRUE(bytes_is(e.name, "GUILD_DELETE") && bytes_is(e.body, "{\"id\":\"5\"}"));
    CHECK_TRUE(e.to == 1 && e.user == BEN && e.place_op == 2 && e.place == 5 && e.place_version == 9);
    arena_fini(&a);
}

MAIN
