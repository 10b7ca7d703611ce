// flow: voice states in guilds, of users, who have one in all, and of bots, who have one in each guild.
#include "check.h"
#include "errors.h"
#include "flow.h"

enum { GUILD = 900, OTHER = 800, CALL = 700, HOME = 901, AWAY = 902, ADA = 11, BEN = 22 };

static struct flow flow_of(enum flow_kind kind, uint64_t guild, uint64_t channel)
{
    static const enum call_in_kind kinds[] = {
        [FLOW_JOIN] = CALL_IN_JOIN, [FLOW_LEAVE] = CALL_IN_LEAVE, [FLOW_MOVED] = CALL_IN_MOVED};
    return (struct flow){
        .kind = kind,
        .user = ADA,
        .place = guild ? guild : channel,
        .command = 1000,
        .in = {.kind = kinds[kind], .user = ADA, .session = "s", .gateway = "g", .guild = guild, .channel = channel}};
}

static struct flow_step went(struct flow *f, int err)
{
    return flow_next(f, &(struct flow_result){.err = err, .guild = f->in.guild != 0});
}

static struct flow_step read_user(struct flow *f, struct location at)
{
    return flow_next(f, &(struct flow_result){.location = at});
}

static struct flow_step read_bot(struct flow *f, struct location at)
{
    return flow_next(f, &(struct flow_result){.location = at, .bot = true});
}

static struct location at(uint64_t place, uint64_t channel, uint64_t epoch)
{
    return (struct location){.place = place, .channel = channel, .epoch = epoch};
}

#define CHECK_STEP(s, what_, id_, guild_)                                                                              \
    do {                                                                                                               \
        const struct flow_step step_ = (s);                                                                            \
        CHECK_EQ(step_.what, (what_));                                                                                 \
        CHECK_EQ(step_.id, (id_));                                                                                     \
        CHECK_EQ(step_.guild, (guild_));                                                                               \
    } while (0)

#define CHECK_DONE(s, err_)                                                                                            \
    do {                                                                                                               \
        const struct flow_step done_ = (s);                                                                            \
        CHECK_EQ(done_.what, FLOW_DONE);                                                                               \
        CHECK_EQ(done_.err, (err_));                                                                                   \
    } while (0)

// --- joining ---

TEST(a_channel_of_a_guild_is_claimed_with_the_guild_as_the_place)
{
    struct flow f = flow_of(FLOW_JOIN, GUILD, HOME);
    CHECK_STEP(flow_start(&f), FLOW_READ_USER, ADA, GUILD);
    CHECK_STEP(read_user(&f, at(CALL, CALL, 4)), FLOW_MAY_JOIN, GUILD, 0);
    struct flow_step s = went(&f, OK);
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_TRUE(s.timer);
    CHECK_EQ(s.location.place, GUILD);
    CHECK_EQ(s.location.channel, HOME);
    CHECK_EQ(s.location.epoch, 5);
    CHECK_EQ(s.location.leaving, CALL);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, CALL, 0);
    CHECK_EQ(s.in.kind, CALL_IN_LEAVE);
    s = went(&f, OK);
    CHECK_STEP(s, FLOW_PLACE, GUILD, 0);
    CHECK_EQ(s.in.channel, HOME);
    CHECK_EQ(s.in.epoch, 5);
    CHECK_EQ(s.agree, ADA);
}

TEST(another_channel_of_the_guild_is_claimed_anew_and_nothing_left_first)
{
    struct flow f = flow_of(FLOW_JOIN, GUILD, AWAY);
    flow_start(&f);
    read_user(&f, at(GUILD, HOME, 4));
    struct flow_step s = went(&f, OK); // his session does not sit there
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.channel, AWAY);
    CHECK_EQ(s.location.epoch, 5);
    CHECK_EQ(s.location.leaving, 0);
    CHECK_TRUE(!s.timer);
    CHECK_STEP(went(&f, OK), FLOW_PLACE, GUILD, 0);
}

TEST(who_was_moved_by_others_and_says_so_claims_nothing)
{
    struct flow f = flow_of(FLOW_JOIN, GUILD, AWAY);
    flow_start(&f);
    read_user(&f, at(GUILD, HOME, 4)); // his claim is of where he went himself
    struct flow_step s = flow_next(&f, &(struct flow_result){.guild = true, .sits = true, .epoch = 4});
    CHECK_STEP(s, FLOW_PLACE, GUILD, 0);
    CHECK_TRUE(s.in.stays);
}

TEST(a_guild_is_no_private_channel_and_a_private_channel_no_guild)
{
    struct flow f = flow_of(FLOW_JOIN, GUILD, HOME);
    flow_start(&f);
    read_user(&f, at(0, 0, 4));
    CHECK_DONE(flow_next(&f, &(struct flow_result){.guild = false}), API_UNKNOWN_CHANNEL);
    f = flow_of(FLOW_JOIN, 0, GUILD);
    flow_start(&f);
    read_user(&f, at(0, 0, 4));
    CHECK_DONE(flow_next(&f, &(struct flow_result){.guild = true}), API_UNKNOWN_CHANNEL);
}

// --- leaving ---

TEST(a_leave_that_names_a_guild_is_about_that_one)
{
    struct flow f = flow_of(FLOW_LEAVE, GUILD, 0);
    flow_start(&f);
    CHECK_DONE(read_user(&f, at(OTHER, HOME, 4)), ERR_STATE);
    flow_start(&f);
    CHECK_STEP(read_user(&f, at(GUILD, HOME, 4)), FLOW_PLACE, GUILD, 0);
    f = flow_of(FLOW_LEAVE, 0, 0);
    flow_start(&f);
    CHECK_STEP(read_user(&f, at(GUILD, HOME, 4)), FLOW_PLACE, GUILD, 0);
    struct flow_step s = flow_next(&f, &(struct flow_result){.epoch = 4});
    CHECK_STEP(s, FLOW_LOCATE, ADA, 0);
    CHECK_EQ(s.location.place, 0);
    CHECK_EQ(s.location.epoch, 4);
}

// --- bots ---

TEST(a_bot_has_a_location_in_each_guild)
{
    struct flow f = flow_of(FLOW_JOIN, GUILD, HOME);
    char name[FLOW_LOCATION_MAX];
    flow_start(&f);
    read_bot(&f, at(0, 0, 0));
    CHECK_STEP(went(&f, OK), FLOW_LOCATE, ADA, GUILD);
    CHECK_STR(flow_location(name, true, GUILD), "voice:900");
    CHECK_STR(flow_location(name, false, GUILD), "voice");
    f = flow_of(FLOW_LEAVE, GUILD, 0);
    flow_start(&f);
    CHECK_STEP(read_bot(&f, at(GUILD, HOME, 4)), FLOW_PLACE, GUILD, 0);
    CHECK_STEP(flow_next(&f, &(struct flow_result){.epoch = 4}), FLOW_LOCATE, ADA, GUILD);
}

TEST(a_bot_that_leaves_without_saying_which_guild_leaves_none)
{
    struct flow f = flow_of(FLOW_LEAVE, 0, 0);
    flow_start(&f);
    CHECK_DONE(read_bot(&f, at(0, 0, 0)), ERR_STATE);
}

TEST(the_end_of_a_bots_session_is_a_leave_of_each_guild_in_turn)
{
    static const uint64_t guilds[] = {GUILD, OTHER};
    struct flow f = flow_of(FLOW_LEAVE, 0, 0);
    f.in.gateway = ""; // it is over
    CHECK_STEP(flow_start(&f), FLOW_READ_USER, ADA, 0);
    struct flow_step s = flow_next(&f, &(struct flow_result){.bot = true, .guilds = {2, guilds}});
    CHECK_STEP(s, FLOW_READ_USER, ADA, GUILD);
    CHECK_STEP(read_bot(&f, at(GUILD, HOME, 4)), FLOW_PLACE, GUILD, 0);
    struct flow broken = f, others = f;
    CHECK_DONE(went(&broken, ERR_IO), ERR_IO);                        // the command is repeated
    CHECK_STEP(went(&others, ERR_STATE), FLOW_READ_USER, ADA, OTHER); // another session of its sits there
    CHECK_STEP(flow_next(&f, &(struct flow_result){.epoch = 4}), FLOW_LOCATE, ADA, GUILD);
    CHECK_STEP(went(&f, OK), FLOW_READ_USER, ADA, OTHER);
    CHECK_STEP(read_bot(&f, at(OTHER, AWAY, 7)), FLOW_PLACE, OTHER, 0);
    CHECK_STEP(flow_next(&f, &(struct flow_result){.epoch = 7}), FLOW_LOCATE, ADA, OTHER);
    CHECK_DONE(went(&f, OK), OK);
    f = flow_of(FLOW_LEAVE, 0, 0);
    f.in.gateway = "";
    flow_start(&f);
    CHECK_DONE(read_bot(&f, at(0, 0, 0)), ERR_STATE); // it is nowhere
}

TEST(a_bots_session_that_moved_did_so_in_each_guild)
{
    static const uint64_t guilds[] = {GUILD, OTHER};
    struct flow f = flow_of(FLOW_MOVED, 0, 0);
    flow_start(&f);
    struct flow_step s = flow_next(&f, &(struct flow_result){.bot = true, .guilds = {2, guilds}});
    CHECK_STEP(s, FLOW_READ_USER, ADA, GUILD);
    CHECK_STEP(read_bot(&f, at(GUILD, HOME, 4)), FLOW_PLACE, GUILD, 0);
    CHECK_STEP(went(&f, OK), FLOW_READ_USER, ADA, OTHER);
    CHECK_STEP(read_bot(&f, at(OTHER, AWAY, 7)), FLOW_PLACE, OTHER, 0);
    CHECK_DONE(went(&f, OK), OK);
}

// --- gateways that are gone ---

TEST(a_seat_of_a_lost_gateway_goes_unless_its_session_went_on_elsewhere)
{
    struct flow f = {.kind = FLOW_SWEEP,
                     .place = GUILD,
                     .user = ADA,
                     .in = {.kind = CALL_IN_GATEWAY_LOST, .gateway = "g", .session = ""}};
    struct flow_step s = flow_start(&f);
    CHECK_STEP(s, FLOW_HEIR, GUILD, 0);
    CHECK_EQ(s.in.user, ADA);
    struct flow gone = f;
    s = went(&gone, OK);
    CHECK_STEP(s, FLOW_PLACE, GUILD, 0);
    CHECK_EQ(s.in.kind, CALL_IN_GATEWAY_LOST);
    CHECK_EQ(s.in.user, ADA);
    CHECK_DONE(went(&gone, OK), OK);
    s = flow_next(&f, &(struct flow_result){.heir = {.user = ADA, .session = "s", .gateway = "h"}});
    CHECK_EQ(s.in.kind, CALL_IN_MOVED);
    CHECK_STR(s.in.gateway, "h");
    CHECK_STEP(went(&f, OK), FLOW_HEIR, GUILD, 0);
}

// --- members ---

static const struct guild_in removal = {.kind = GUILD_IN_MEMBER_REMOVE, .actor = BEN, .target = ADA};
static const struct guild_in departure = {.kind = GUILD_IN_MEMBER_REMOVE, .actor = ADA, .target = ADA};

static struct flow removes(const struct guild_in *change)
{
    return (struct flow){.kind = FLOW_REMOVE,
                         .place = GUILD,
                         .command = 1000,
                         .change = change,
                         .in = {.kind = CALL_IN_REMOVE, .n_targets = 1, .targets = {ADA}}};
}

static struct flow_step looked(struct flow *f, bool member, bool listed)
{
    return flow_next(f, &(struct flow_result){.guild = true, .recipient = member, .listed = listed});
}

TEST(who_was_removed_from_a_guild_is_told_in_his_own_record)
{
    struct flow f = removes(&removal);
    struct flow_step s = flow_start(&f);
    CHECK_STEP(s, FLOW_PLACE, GUILD, 0);
    CHECK_TRUE(s.change == &removal);
    CHECK_EQ(s.agree, ADA);
    struct flow refused = f, unfinished = f, again = f;
    CHECK_DONE(went(&refused, API_MISSING_PERMISSIONS), API_MISSING_PERMISSIONS);
    CHECK_STEP(went(&f, OK), FLOW_LOOK, ADA, 0);
    CHECK_STEP(looked(&f, false, true), FLOW_FAREWELL, ADA, 0);
    CHECK_STEP(went(&f, OK), FLOW_LOOK, ADA, 0);
    CHECK_DONE(looked(&f, false, false), OK);
    CHECK_STEP(went(&unfinished, API_UNKNOWN_MEMBER), FLOW_LOOK, ADA, 0); // somebody died before he told him
    CHECK_DONE(looked(&unfinished, false, false), API_UNKNOWN_MEMBER);
    CHECK_STEP(went(&again, OK), FLOW_LOOK, ADA, 0);
    CHECK_DONE(looked(&again, true, false), OK); // taken in again: whoever did that welcomes him
    f = removes(&departure);
    flow_start(&f);
    CHECK_STEP(went(&f, API_UNKNOWN_GUILD), FLOW_LOOK, ADA, 0);
}

TEST(a_guild_and_a_member_are_made_to_agree)
{
    struct flow f = {.kind = FLOW_AGREE, .place = GUILD, .user = ADA, .in = {.n_targets = 1, .targets = {ADA}}};
    CHECK_STEP(flow_start(&f), FLOW_LOOK, ADA, 0);
    struct flow member = f;
    CHECK_STEP(looked(&f, false, true), FLOW_FAREWELL, ADA, 0);
    CHECK_STEP(went(&f, OK), FLOW_LOOK, ADA, 0);
    CHECK_STEP(looked(&member, true, false), FLOW_READ_USER, ADA, GUILD);
    struct flow bot = member, moves = member;
    struct flow_step s = read_user(&member, at(OTHER, HOME, 4));
    CHECK_STEP(s, FLOW_PLACE, GUILD, 0);
    CHECK_EQ(s.in.epoch, 5); // any seat
    s = read_bot(&bot, at(0, 0, 4));
    CHECK_EQ(s.in.epoch, 5);
    CHECK_DONE(read_user(&moves, at(GUILD, AWAY, 5)), OK); // he sits in HOME and has claimed AWAY: a move takes no seat
}

// --- what a step means at a guild ---

TEST(steps_that_mean_something_at_a_guild)
{
    static const struct {
        enum call_in_kind kind;
        int err;
        enum guild_in_kind as;
    } rows[] = {
        {CALL_IN_JOIN, OK, GUILD_IN_JOIN},
        {CALL_IN_LEAVE, OK, GUILD_IN_LEAVE},
        {CALL_IN_MOVED, OK, GUILD_IN_MOVED},
        {CALL_IN_ASSIGNED, OK, GUILD_IN_ASSIGNED},
        {CALL_IN_SERVER_LOST, OK, GUILD_IN_SERVER_LOST},
        {CALL_IN_SERVER_FREE, OK, GUILD_IN_SERVER_FREE},
        {CALL_IN_GATEWAY_LOST, OK, GUILD_IN_GATEWAY_LOST},
        {CALL_IN_TICK, ERR_STATE, 0},
        {CALL_IN_RING, API_UNKNOWN_CHANNEL, 0},
        {CALL_IN_STOP, API_UNKNOWN_CHANNEL, 0},
        {CALL_IN_REGION, API_UNKNOWN_CHANNEL, 0},
        {CALL_IN_ADD, API_UNKNOWN_CHANNEL, 0},
        {CALL_IN_REMOVE, API_UNKNOWN_CHANNEL, 0},
    };
    CHECK_EQ(countof(rows), CALL_IN_KINDS);
    for (size_t i = 0; i < countof(rows); i++) {
        const struct flow_step s = {.what = FLOW_PLACE,
                                    .in = {.kind = rows[i].kind,
                                           .user = ADA,
                                           .channel = HOME,
                                           .session = "s",
                                           .gateway = "g",
                                           .epoch = 3,
                                           .stays = true,
                                           .drains = true,
                                           .self_deaf = true,
                                           .flags = 2,
                                           .asked_at = 9}};
        struct guild_in in;
        CHECK_EQ(flow_guild_in(&s, &in), rows[i].err);
        if (rows[i].err != OK)
            continue;
        CHECK_EQ(in.kind, rows[i].as);
        CHECK_EQ(in.target, ADA);
        CHECK_EQ(in.channel, rows[i].as == GUILD_IN_LEAVE ? 0 : HOME); // he leaves wherever he is
        CHECK_TRUE(in.stays && in.drains && in.self_deaf && in.epoch == 3 && in.flags == 2 && in.asked_at == 9);
    }
    const struct flow_step change = {.what = FLOW_PLACE, .change = &removal};
    const struct flow_step gone = {
        .what = FLOW_PLACE, .in = {.kind = CALL_IN_LEAVE, .user = ADA, .channel = HOME, .session = "s", .node = "n"}};
    struct guild_in in;
    CHECK_EQ(flow_guild_in(&gone, &in), OK);
    CHECK_EQ(in.channel, HOME); // out of that one only
    CHECK_EQ(flow_guild_in(&change, &in), OK);
    CHECK_EQ(in.kind, GUILD_IN_MEMBER_REMOVE);
}

MAIN
