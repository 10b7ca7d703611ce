// guild_change: what each command does and says, and whom it is refused, by tables.
#include "guild_form.h"
#include "guild_world.h"

// --- commands ---

static int edit(uint64_t actor, uint64_t target, uint64_t set, struct member to, uint64_t channel)
{
    const struct member_edit e = {
        .user = actor, .guild = GUILD, .target = target, .set = set, .to = &to, .channel = channel};
    return step((struct guild_in){
        .kind = GUILD_IN_MEMBER_EDIT, .actor = actor, .target = target, .channel = channel, .msg = &e});
}

static int mute(uint64_t actor, uint64_t target, bool on)
{
    return edit(actor, target, SET_MEMBER_MUTE, (struct member){.mute = on}, 0);
}

static int move(uint64_t actor, uint64_t target, uint64_t channel)
{
    return edit(actor, target, SET_MEMBER_CHANNEL, (struct member){0}, channel);
}

static int name(uint64_t actor, uint64_t target, const char *nick)
{
    return edit(actor, target, SET_MEMBER_NICK, (struct member){.nick = bytes_of(nick)}, 0);
}

static int time_out(uint64_t actor, uint64_t target, uint64_t until)
{
    return edit(actor, target, SET_MEMBER_DISABLED, (struct member){.disabled_until = until}, 0);
}

static struct ids roles_of(uint64_t a, uint64_t b)
{
    struct ids ids = {0};
    ids = a ? ids_with(&world_arena, ids, a) : ids;
    return b ? ids_with(&world_arena, ids, b) : ids;
}

static int assign(uint64_t actor, uint64_t target, uint64_t a, uint64_t b)
{
    return edit(actor, target, SET_MEMBER_ROLES, (struct member){.roles = roles_of(a, b)}, 0);
}

static int kick(uint64_t actor, uint64_t target)
{
    const struct member_remove r = {.user = actor, .guild = GUILD, .target = target};
    return step((struct guild_in){.kind = GUILD_IN_MEMBER_REMOVE, .actor = actor, .target = target, .msg = &r});
}

static int voice_edit(uint64_t actor, uint64_t target, struct voice_state_edit e)
{
    return step((struct guild_in){
        .kind = GUILD_IN_VOICE_EDIT, .actor = actor, .target = target, .channel = e.channel, .msg = &e});
}

static int suppress(uint64_t actor, uint64_t target, bool on)
{
    return voice_edit(actor, target, (struct voice_state_edit){.set = SET_VOICE_SUPPRESS, .suppress = on});
}

static int request(uint64_t actor, uint64_t at)
{
    return voice_edit(actor, actor, (struct voice_state_edit){.set = SET_VOICE_REQUEST, .request_at = at});
}

static uint64_t only; // of the overwrites

static int put_channel(uint64_t actor, uint64_t set, struct guild_channel to)
{
    const struct channel_put e = {.user = actor, .guild = GUILD, .set = set, .to = &to, .only = only};
    return step((struct guild_in){.kind = GUILD_IN_CHANNEL_PUT,
                                  .actor = actor,
                                  .channel = to.id,
                                  .msg = &e,
                                  .new_id = 999,
                                  .region_known = bytes_is(to.rtc_region, "rotterdam")});
}

static int delete_channel(uint64_t actor, uint64_t channel)
{
    const struct channel_delete e = {.user = actor, .guild = GUILD, .channel = channel};
    return step((struct guild_in){.kind = GUILD_IN_CHANNEL_DELETE, .actor = actor, .channel = channel, .msg = &e});
}

static int put_role(uint64_t actor, uint64_t set, struct role to)
{
    const struct role_put e = {.user = actor, .guild = GUILD, .set = set, .to = &to};
    return step((struct guild_in){.kind = GUILD_IN_ROLE_PUT, .actor = actor, .msg = &e, .new_id = 888});
}

static int delete_role(uint64_t actor, uint64_t role)
{
    const struct role_delete e = {.user = actor, .guild = GUILD, .role = role};
    return step((struct guild_in){.kind = GUILD_IN_ROLE_DELETE, .actor = actor, .msg = &e});
}

static int edit_guild(uint64_t actor, uint64_t set, struct guild to)
{
    const struct guild_edit e = {.user = actor, .guild = GUILD, .set = set, .to = &to};
    return step((struct guild_in){
        .kind = GUILD_IN_GUILD_EDIT, .actor = actor, .target = set & SET_GUILD_OWNER ? to.owner : 0, .msg = &e});
}

static int delete_guild(uint64_t actor)
{
    const struct guild_delete e = {.user = actor, .guild = GUILD};
    return step((struct guild_in){.kind = GUILD_IN_GUILD_DELETE, .actor = actor, .msg = &e});
}

static int put_stage(uint64_t actor, uint64_t channel, bool opens, const char *topic)
{
    const struct stage to = {.topic = bytes_of(topic)};
    const struct stage_put e = {.user = actor,
                                .guild = GUILD,
                                .channel = channel,
                                .opens = opens,
                                .set = topic ? SET_STAGE_TOPIC : 0,
                                .to = &to};
    return step(
        (struct guild_in){.kind = GUILD_IN_STAGE_PUT, .actor = actor, .channel = channel, .msg = &e, .new_id = 777});
}

static int delete_stage(uint64_t actor, uint64_t channel)
{
    const struct stage_delete e = {.user = actor, .guild = GUILD, .channel = channel};
    return step((struct guild_in){.kind = GUILD_IN_STAGE_DELETE, .actor = actor, .channel = channel, .msg = &e});
}

static int put_status(uint64_t actor, uint64_t channel, const char *status)
{
    const struct status_put e = {.user = actor, .guild = GUILD, .channel = channel, .status = bytes_of(status)};
    return step((struct guild_in){.kind = GUILD_IN_STATUS_PUT, .actor = actor, .channel = channel, .msg = &e});
}

// --- everybody ---

TEST(who_is_no_member_finds_no_guild_and_who_there_is_none_of_neither)
{
    begin();
    seat(ADA, VOICE);
    CHECK_EQ(mute(STRANGER, ADA, true), API_UNKNOWN_GUILD);
    CHECK_EQ(kick(STRANGER, STRANGER), API_UNKNOWN_GUILD);
    CHECK_EQ(put_channel(STRANGER, SET_CHANNEL_NAME, (struct guild_channel){.name = BYTES("x")}), API_UNKNOWN_GUILD);
    world.guild.id = 0;
    CHECK_EQ(mute(MOD, ADA, true), API_UNKNOWN_GUILD);
    CHECK_EQ(mute(0, ADA, true), API_UNKNOWN_GUILD);
}

TEST(the_operator_may_do_everything)
{
    begin();
    seat(HUGH, VOICE);
    CHECK_EQ(mute(0, HUGH, true), OK);
    CHECK_EQ(name(0, OWEN, "boss"), OK);
    CHECK_EQ(assign(0, HUGH, HIGH, ADMIN), OK);
    CHECK_EQ(move(0, HUGH, HIDDEN), OK);
    CHECK_EQ(time_out(0, ALMA, now + 1000), OK);
    CHECK_EQ(put_channel(0, SET_CHANNEL_NAME, (struct guild_channel){.id = HIDDEN, .name = BYTES("x")}), OK);
    CHECK_EQ(put_role(0, SET_ROLE_PERMISSIONS, (struct role){.id = HIGH, .permissions = MAY(ADMINISTRATOR)}), OK);
    CHECK_EQ(edit_guild(0, SET_GUILD_OWNER | SET_GUILD_VIDEO_MAX, (struct guild){.owner = ADA, .video_max = 3}), OK);
    CHECK_EQ(put_stage(0, STAGE, true, "town hall"), OK);
    CHECK_EQ(kick(0, OWEN), OK); // no more the owner
    CHECK_EQ(kick(0, ADA), API_MISSING_PERMISSIONS);
}

// --- members ---

TEST(a_moderator_mutes_and_deafens_who_sits_in_voice)
{
    begin();
    seat(ADA, VOICE);
    CHECK_EQ(mute(MOD, ADA, true), OK);
    CHECK_STR(told(), "GUILD_MEMBER_UPDATE VOICE_STATE_UPDATE");
    CHECK_TRUE(seat_of(ADA)->mute && member_of(ADA)->mute);
    CHECK_TRUE(!seat_of(ADA)->deaf && !member_of(ADA)->deaf);
    CHECK_TRUE(says(out.events[0].body, "\"guild_id\":\"100\"") && says(out.events[0].body, "\"mute\":true"));
    CHECK_TRUE(says(out.events[0].body, "\"username\":\"somebody\""));
    CHECK_EQ(out.events[0].channel, 0);
    CHECK_TRUE(says(out.events[1].body, "\"mute\":true"));
    CHECK_EQ(out.events[1].channel, VOICE);
    CHECK_EQ(out.events[1].sitter, ADA);
    CHECK_TRUE(says(out.body, "\"mute\":true") && !says(out.body, "guild_id"));
    CHECK_EQ(out.n_asks, 0); // his server stays
    CHECK_EQ(mute(MOD, ADA, true), ERR_STATE);
    CHECK_TRUE(says(out.body, "\"mute\":true"));
    CHECK_EQ(edit(MOD, ADA, SET_MEMBER_MUTE | SET_MEMBER_DEAF, (struct member){.deaf = true}, 0), OK);
    CHECK_TRUE(!seat_of(ADA)->mute && member_of(ADA)->deaf && seat_of(ADA)->deaf);
}

TEST(a_seat_that_says_otherwise_than_the_member_is_put_right)
{
    begin();
    member_of(ADA)->mute = true;
    seat(ADA, VOICE)->mute = false;
    CHECK_EQ(mute(MOD, ADA, true), OK);
    CHECK_STR(told(), "VOICE_STATE_UPDATE");
    CHECK_TRUE(seat_of(ADA)->mute);
}

TEST(voice_is_changed_only_of_who_is_in_it)
{
    begin();
    CHECK_EQ(mute(MOD, ADA, true), API_NOT_IN_VOICE);
    CHECK_EQ(edit(MOD, ADA, SET_MEMBER_DEAF, (struct member){0}, 0), API_NOT_IN_VOICE);
    CHECK_EQ(move(MOD, ADA, VOICE), API_NOT_IN_VOICE);
    CHECK_EQ(move(MOD, ADA, 0), API_NOT_IN_VOICE);
    CHECK_EQ(mute(BEN, ADA, true), API_MISSING_PERMISSIONS);
    CHECK_EQ(mute(MOD, STRANGER, true), API_UNKNOWN_MEMBER);
}

TEST(each_of_a_members_fields_needs_its_own_permission)
{
    static const struct {
        uint64_t set, needs;
    } rows[] = {
        {SET_MEMBER_MUTE, MAY(MUTE_MEMBERS)},    {SET_MEMBER_DEAF, MAY(DEAFEN_MEMBERS)},
        {SET_MEMBER_CHANNEL, MAY(MOVE_MEMBERS)}, {SET_MEMBER_NICK, MAY(MANAGE_NICKNAMES)},
        {SET_MEMBER_ROLES, MAY(MANAGE_ROLES)},   {SET_MEMBER_DISABLED, MAY(MODERATE_MEMBERS)},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        begin();
        seat(BEN, VOICE);
        const struct member to = {
            .mute = true, .deaf = true, .nick = BYTES("nick"), .roles = {0}, .disabled_until = now + 1000};
        role_of(MID)->permissions = MODERATES & ~rows[i].needs;
        CHECK_EQ(edit(MOD, BEN, rows[i].set, to, 0), API_MISSING_PERMISSIONS);
        role_of(MID)->permissions = rows[i].needs;
        for (size_t k = 0; k < countof(rows); k++)
            if (k != i)
                CHECK_EQ(edit(MOD, BEN, rows[k].set, to, 0), API_MISSING_PERMISSIONS);
        CHECK_EQ(edit(MOD, BEN, rows[i].set | rows[(i + 1) % countof(rows)].set, to, 0), API_MISSING_PERMISSIONS);
        CHECK_EQ(edit(MOD, BEN, rows[i].set, to, 0), OK);
    }
}

TEST(whether_somebody_may_be_muted_says_the_channel_where_he_sits)
{
    begin();
    seat(ADA, VOICE);
    overwrite(VOICE, MID, 0, 0, MAY(MUTE_MEMBERS));
    overwrite(VOICE, BEN, 1, MAY(MUTE_MEMBERS), 0);
    CHECK_EQ(mute(MOD, ADA, true), API_MISSING_PERMISSIONS);
    CHECK_EQ(mute(BEN, ADA, true), OK);
    seat(HUGH, HIDDEN); // where the moderator sees nobody: as if he sat nowhere
    CHECK_EQ(mute(MOD, HUGH, true), API_NOT_IN_VOICE);
    CHECK_EQ(move(MOD, HUGH, VOICE), API_NOT_IN_VOICE);
    CHECK_EQ(move(MOD, HUGH, 0), API_NOT_IN_VOICE);
    CHECK_EQ(mute(BEN, HUGH, true), API_MISSING_PERMISSIONS);
    CHECK_EQ(suppress(MOD, HUGH, true), API_UNKNOWN_VOICE_STATE);
    CHECK_EQ(mute(0, HUGH, true), OK);
}

TEST(voice_knows_no_ranks)
{
    begin();
    seat(OWEN, VOICE);
    seat(HUGH, VOICE);
    CHECK_EQ(mute(MOD, OWEN, true), OK);
    CHECK_EQ(move(MOD, HUGH, OTHER), OK);
    CHECK_EQ(move(MOD, OWEN, 0), OK);
}

TEST(somebody_is_moved_by_one_state_and_a_new_server)
{
    begin();
    seat(ADA, VOICE);
    seat(BEN, VOICE);
    CHECK_EQ(move(MOD, ADA, OTHER), OK);
    CHECK_STR(told(), "VOICE_STATE_UPDATE VOICE_STATE_UPDATE VOICE_CHANNEL_START_TIME_UPDATE");
    CHECK_EQ(out.events[0].channel, OTHER);
    CHECK_TRUE(says(out.events[0].body, "\"channel_id\":\"303\""));
    CHECK_EQ(out.events[1].channel, VOICE); // who may see this one and not the other
    CHECK_EQ(out.events[1].unless, OTHER);
    CHECK_TRUE(says(out.events[1].body, "\"channel_id\":null"));
    CHECK_EQ(seat_of(ADA)->channel, OTHER);
    CHECK_EQ(seat_of(ADA)->server, 0);
    CHECK_EQ(out.n_asks, 1);
    CHECK_EQ(out.asks[0].at, now + rules.server_delay_ms);
    CHECK_EQ(out.asks[0].channel, OTHER);
    CHECK_EQ(seat_of(ADA)->epoch, 1000 + ADA); // still the claim that brought him into the guild
    CHECK_EQ(room_of(VOICE)->seats, 1);
    CHECK_TRUE(says(out.body, "\"joined_at\""));
    CHECK_EQ(move(MOD, ADA, OTHER), ERR_STATE);
}

TEST(somebody_is_muted_and_moved_at_once)
{
    begin();
    seat(ADA, VOICE);
    CHECK_EQ(edit(MOD, ADA, SET_MEMBER_CHANNEL | SET_MEMBER_MUTE, (struct member){.mute = true}, OTHER), OK);
    CHECK_TRUE(member_of(ADA)->mute && seat_of(ADA)->mute && seat_of(ADA)->channel == OTHER);
    CHECK_TRUE(says(event_named("VOICE_STATE_UPDATE")->body, "\"mute\":true"));
}

TEST(a_full_channel_takes_who_is_moved_there)
{
    begin();
    seat(ADA, VOICE);
    seat(BEN, OTHER);
    channel_of(OTHER)->user_limit = 1;
    CHECK_EQ(move(MOD, ADA, OTHER), OK);
    CHECK_EQ(room_of(OTHER)->seats, 2);
}

TEST(somebody_is_moved_only_to_where_the_mover_could_go)
{
    begin();
    seat(ADA, VOICE);
    overwrite(OTHER, EVERYONE, 0, 0, MAY(CONNECT));
    CHECK_EQ(move(MOD, ADA, OTHER), API_MISSING_PERMISSIONS);
    CHECK_EQ(move(MOD, ADA, HIDDEN), API_UNKNOWN_CHANNEL);
    CHECK_EQ(move(MOD, ADA, TEXT), API_WRONG_CHANNEL_TYPE);
    overwrite(TEXT, EVERYONE, 0, 0, MAY(VIEW_CHANNEL));
    CHECK_EQ(move(MOD, ADA, TEXT), API_UNKNOWN_CHANNEL);
    CHECK_EQ(move(MOD, ADA, CATEGORY), API_WRONG_CHANNEL_TYPE);
    CHECK_EQ(move(MOD, ADA, 12345), API_UNKNOWN_CHANNEL);
    overwrite(OTHER, MOD, 1, MAY(CONNECT), 0);
    CHECK_EQ(move(MOD, ADA, OTHER), OK); // where she could not have gone herself
}

TEST(somebody_is_put_out_of_voice)
{
    begin();
    seat(ADA, VOICE);
    CHECK_EQ(move(MOD, ADA, 0), OK);
    CHECK_STR(told(), "VOICE_STATE_UPDATE VOICE_CHANNEL_START_TIME_UPDATE");
    CHECK_TRUE(says(out.events[0].body, "\"channel_id\":null") && says(out.events[0].body, "\"guild_id\":\"100\""));
    CHECK_TRUE(out.events[0].left);
    CHECK_TRUE(!seat_of(ADA) && !room_of(VOICE));
    CHECK_EQ(out.released[0], VOICE);
    bool token_void = false;
    for (uint32_t i = 0; i < out.n_changes; i++)
        token_void = token_void || (out.changes[i].op == CHANGE_DEL && strcmp(out.changes[i].suffix, "t:s-3") == 0);
    CHECK_TRUE(token_void);
}

TEST(who_is_moved_speaks_as_he_may_there)
{
    begin();
    seat(ADA, VOICE);
    overwrite(OTHER, EVERYONE, 0, 0, MAY(SPEAK));
    CHECK_EQ(move(MOD, ADA, OTHER), OK);
    CHECK_TRUE(seat_of(ADA)->suppress);
    CHECK_EQ(move(MOD, ADA, VOICE), OK);
    CHECK_TRUE(!seat_of(ADA)->suppress);
    CHECK_EQ(move(MOD, ADA, STAGE), OK);
    CHECK_TRUE(seat_of(ADA)->suppress);
    seat(MOD, VOICE);
    CHECK_EQ(move(MOD, MOD, STAGE), OK);
    CHECK_TRUE(!seat_of(MOD)->suppress);
}

TEST(names_are_given_downwards_and_to_oneself)
{
    begin();
    static const struct {
        uint64_t actor, target;
        int err;
    } rows[] = {{MOD, ADA, OK},
                {MOD, BEN, OK},
                {MOD, HUGH, API_MISSING_PERMISSIONS},
                {MOD, ALMA, API_MISSING_PERMISSIONS},
                {MOD, OWEN, API_MISSING_PERMISSIONS},
                {ADA, BEN, API_MISSING_PERMISSIONS},
                {ADA, ADA, OK},
                {MOD, MOD, OK},
                {OWEN, OWEN, OK},
                {OWEN, HUGH, OK},
                {ALMA, HUGH, API_MISSING_PERMISSIONS}};
    for (size_t i = 0; i < countof(rows); i++)
        CHECK_EQ(name(rows[i].actor, rows[i].target, arena_printf(&world_arena, "nick %zu", i).p), rows[i].err);
    CHECK_EQ(name(MOD, ADA, ""), OK);
    CHECK_STR(told(), "GUILD_MEMBER_UPDATE");
    CHECK_TRUE(member_of(ADA)->nick.p == NULL && says(out.body, "\"nick\":null"));
    CHECK_EQ(name(MOD, ADA, NULL), ERR_STATE);
    role_of(EVERYONE)->permissions &= ~MAY(CHANGE_NICKNAME);
    CHECK_EQ(name(ADA, ADA, "x"), API_MISSING_PERMISSIONS);
    CHECK_EQ(name(MOD, ADA, "123456789012345678901234567890123"), API_INVALID_FORM);
    CHECK_STR(out.fault.field, "nick");
}

TEST(roles_are_given_and_taken_below_ones_own)
{
    begin();
    CHECK_EQ(assign(MOD, ADA, LOW, 0), OK);
    CHECK_STR(told(), "GUILD_MEMBER_UPDATE");
    CHECK_TRUE(ids_have(member_of(ADA)->roles, LOW) && says(out.body, "\"roles\":[\"201\"]"));
    CHECK_EQ(assign(MOD, ADA, LOW, LOW), ERR_STATE);
    CHECK_EQ(assign(MOD, ADA, LOW, MID), API_MISSING_PERMISSIONS);
    CHECK_EQ(assign(MOD, ADA, LOW, HIGH), API_MISSING_PERMISSIONS);
    CHECK_EQ(assign(MOD, ADA, 0, 0), OK);
    CHECK_EQ(member_of(ADA)->roles.n, 0);
    CHECK_EQ(assign(MOD, HUGH, 0, 0), API_MISSING_PERMISSIONS); // takes away one above him
    CHECK_EQ(assign(MOD, HUGH, HIGH, LOW), OK);                 // the roles count, not the member's rank
    CHECK_EQ(assign(MOD, MOD, 0, 0), API_MISSING_PERMISSIONS);
    CHECK_EQ(assign(MOD, MOD, MID, LOW), OK);
    CHECK_EQ(assign(OWEN, OWEN, HIGH, 0), OK);
    CHECK_EQ(assign(MOD, ADA, 12345, 0), API_UNKNOWN_ROLE);
    CHECK_EQ(assign(MOD, ADA, EVERYONE, 0), API_INVALID_ROLE);
    CHECK_EQ(assign(BEN, ADA, LOW, 0), API_MISSING_PERMISSIONS);
}

TEST(a_role_that_is_gone_is_dropped_with_the_next_change)
{
    begin();
    CHECK_EQ(delete_role(MOD, LOW), OK);
    CHECK_TRUE(ids_have(member_of(BEN)->roles, LOW));
    add_role(205, "new", 1, 0);
    CHECK_EQ(assign(MOD, BEN, LOW, 205), OK); // as a client that has not heard
    CHECK_EQ(member_of(BEN)->roles.n, 1);
    CHECK_EQ(member_of(BEN)->roles.v[0], 205);
}

TEST(roles_that_say_who_may_speak_count_when_he_moves)
{
    begin();
    overwrite(VOICE, LOW, 0, 0, MAY(SPEAK));
    seat(ADA, VOICE);
    CHECK_EQ(assign(MOD, ADA, LOW, 0), OK);
    CHECK_STR(told(), "GUILD_MEMBER_UPDATE");
    CHECK_TRUE(!seat_of(ADA)->suppress);
    CHECK_EQ(time_out(MOD, ADA, 0), ERR_STATE); // there is none to be lifted
    CHECK_EQ(move(MOD, ADA, OTHER), OK);
    CHECK_EQ(move(MOD, ADA, VOICE), OK);
    CHECK_TRUE(seat_of(ADA)->suppress);
    CHECK_EQ(assign(MOD, ADA, 0, 0), OK);
    CHECK_TRUE(seat_of(ADA)->suppress);
    CHECK_EQ(move(MOD, ADA, OTHER), OK);
    CHECK_EQ(move(MOD, ADA, VOICE), OK);
    CHECK_TRUE(!seat_of(ADA)->suppress);
    overwrite(VOICE, LOW, 0, 0, MAY(VIEW_CHANNEL) | MAY(CONNECT));
    CHECK_EQ(assign(MOD, ADA, LOW, 0), OK);
    CHECK_EQ(seat_of(ADA)->channel, VOICE); // he is not thrown out
    CHECK_EQ(name(MOD, ADA, "x"), OK);
    CHECK_STR(told(), "GUILD_MEMBER_UPDATE");
}

TEST(a_time_out_silences_and_spares_who_may_do_everything)
{
    begin();
    uint64_t until = now + MEMBER_TIMEOUT_MS;
    seat(ADA, VOICE);
    CHECK_EQ(time_out(MOD, ADA, until), OK);
    CHECK_STR(told(), "GUILD_MEMBER_UPDATE VOICE_STATE_UPDATE");
    CHECK_EQ(member_of(ADA)->disabled_until, until);
    CHECK_TRUE(seat_of(ADA)->suppress && says(out.body, "\"communication_disabled_until\":\"1970"));
    CHECK_EQ(name(ADA, ADA, "x"), API_MISSING_PERMISSIONS);
    CHECK_EQ(time_out(MOD, ADA, 0), OK);
    CHECK_TRUE(!seat_of(ADA)->suppress && says(out.body, "\"communication_disabled_until\":null"));
    CHECK_EQ(time_out(MOD, ADA, now - 1), ERR_STATE); // one that is over is none
    CHECK_EQ(time_out(MOD, ADA, until + 1), API_INVALID_FORM);
    CHECK_STR(out.fault.field, "communication_disabled_until");
    CHECK_EQ(time_out(MOD, ALMA, until), API_MISSING_PERMISSIONS);
    CHECK_EQ(time_out(OWEN, ALMA, until), API_MISSING_PERMISSIONS);
    CHECK_EQ(time_out(MOD, OWEN, until), API_MISSING_PERMISSIONS);
    CHECK_EQ(time_out(MOD, HUGH, until), API_MISSING_PERMISSIONS);
    CHECK_EQ(time_out(MOD, MOD, until), API_MISSING_PERMISSIONS);
    CHECK_EQ(time_out(BEN, ADA, until), API_MISSING_PERMISSIONS);
    CHECK_EQ(time_out(OWEN, HUGH, until), OK);
}

TEST(a_time_out_ends_speaking_on_a_stage_and_roles_do_not)
{
    begin();
    seat(BEN, STAGE);
    CHECK_EQ(assign(MOD, BEN, 0, 0), OK);
    CHECK_TRUE(!seat_of(BEN)->suppress);
    seat_of(BEN)->request_at = 5;
    CHECK_EQ(time_out(MOD, BEN, now + 1000), OK);
    CHECK_TRUE(seat_of(BEN)->suppress);
    CHECK_EQ(seat_of(BEN)->request_at, 0);
    CHECK_EQ(time_out(MOD, BEN, 0), OK);
    CHECK_TRUE(seat_of(BEN)->suppress); // he is asked to speak again, or not
}

TEST(a_member_is_removed_with_his_seat)
{
    begin();
    seat(BEN, VOICE);
    CHECK_EQ(kick(MOD, BEN), OK);
    CHECK_STR(told(), "VOICE_STATE_UPDATE VOICE_CHANNEL_START_TIME_UPDATE GUILD_MEMBER_REMOVE -");
    const struct event *gone = event_named("GUILD_MEMBER_REMOVE");
    CHECK_TRUE(says(gone->body, "{\"guild_id\":\"100\",\"user\":{\"id\":\"4\""));
    CHECK_EQ(gone->to, 3);
    CHECK_EQ(gone->user, BEN);
    CHECK_EQ(gone->row_tag, TAG_member);
    CHECK_EQ(gone->row.n, 0);
    CHECK_EQ(out.events[3].to, 1); // nothing that follows is for him
    CHECK_EQ(out.events[3].user, BEN);
    CHECK_EQ(out.events[3].place_op, 2);
    CHECK_EQ(out.events[3].place, GUILD);
    CHECK_TRUE(!member_of(BEN) && !seat_of(BEN));
    CHECK_EQ(kick(MOD, BEN), API_UNKNOWN_MEMBER);
}

TEST(members_are_removed_downwards_and_leave_as_they_like)
{
    static const struct {
        uint64_t actor, target;
        int err;
    } rows[] = {{MOD, ADA, OK},
                {MOD, HUGH, API_MISSING_PERMISSIONS},
                {MOD, OWEN, API_MISSING_PERMISSIONS},
                {ALMA, OWEN, API_MISSING_PERMISSIONS},
                {BEN, ADA, API_MISSING_PERMISSIONS},
                {MOD, STRANGER, API_UNKNOWN_MEMBER},
                {BEN, BEN, OK},
                {MOD, MOD, OK},
                {OWEN, OWEN, API_INVALID_GUILD},
                {OWEN, ALMA, OK},
                {0, OWEN, API_MISSING_PERMISSIONS},
                {0, ALMA, OK}};
    for (size_t i = 0; i < countof(rows); i++) {
        begin();
        CHECK_EQ(kick(rows[i].actor, rows[i].target), rows[i].err);
    }
}

// --- voice states on a stage ---

TEST(a_hand_is_raised_and_somebody_invited_who_then_speaks)
{
    begin();
    listener(ADA, STAGE);
    CHECK_EQ(request(ADA, now), OK);
    CHECK_STR(told(), "VOICE_STATE_UPDATE");
    CHECK_EQ(seat_of(ADA)->request_at, now);
    CHECK_TRUE(seat_of(ADA)->suppress && says(out.events[0].body, "\"request_to_speak_timestamp\":\"1970"));
    CHECK_EQ(suppress(ADA, ADA, false), API_MISSING_PERMISSIONS); // nobody has invited her
    now += 5;
    CHECK_EQ(suppress(MOD, ADA, false), OK);
    CHECK_TRUE(!seat_of(ADA)->suppress);
    CHECK_EQ(seat_of(ADA)->request_at, now);
    CHECK_EQ(suppress(MOD, ADA, false), ERR_STATE);
    CHECK_EQ(suppress(ADA, ADA, false), OK); // she takes it up
    CHECK_TRUE(!seat_of(ADA)->suppress);
    CHECK_EQ(seat_of(ADA)->request_at, 0);
    CHECK_EQ(out.n_asks, 0);
    CHECK_EQ(suppress(ADA, ADA, true), OK);
    CHECK_EQ(suppress(ADA, ADA, true), ERR_STATE);
    CHECK_EQ(suppress(ADA, ADA, false), API_MISSING_PERMISSIONS);
}

TEST(an_invitation_is_declined_and_a_hand_lowered)
{
    begin();
    listener(ADA, STAGE);
    CHECK_EQ(suppress(MOD, ADA, false), OK);
    CHECK_EQ(suppress(ADA, ADA, true), OK);
    CHECK_TRUE(seat_of(ADA)->suppress);
    CHECK_EQ(seat_of(ADA)->request_at, 0);
    CHECK_EQ(request(ADA, now + 1000), OK);
    CHECK_EQ(suppress(ADA, ADA, true), ERR_STATE); // she is silent already: her hand stays up
    CHECK_EQ(request(ADA, 0), OK);
    CHECK_EQ(request(ADA, now), OK);
    CHECK_EQ(suppress(MOD, ADA, true), OK); // by the moderator
    CHECK_EQ(seat_of(ADA)->request_at, 0);
    CHECK_EQ(request(ADA, now - REQUEST_LATE_MS - 1), API_INVALID_FORM);
    CHECK_STR(out.fault.field, "request_to_speak_timestamp");
}

TEST(bots_are_not_asked_whether_they_want_to_speak)
{
    begin();
    listener(BOT, STAGE);
    CHECK_EQ(suppress(MOD, BOT, false), OK);
    CHECK_EQ(seat_of(BOT)->request_at, 0);
}

TEST(who_speaks_raises_no_hand)
{
    begin();
    seat(ADA, STAGE);
    CHECK_EQ(request(ADA, now), ERR_STATE);
    struct voice_state_edit both = {.set = SET_VOICE_SUPPRESS | SET_VOICE_REQUEST, .suppress = true, .request_at = now};
    CHECK_EQ(voice_edit(ADA, ADA, both), OK);
    CHECK_TRUE(seat_of(ADA)->suppress);
    CHECK_EQ(seat_of(ADA)->request_at, now);
}

TEST(stage_rights_are_those_of_the_channel)
{
    begin();
    listener(ADA, STAGE);
    listener(BEN, STAGE);
    listener(MOD, STAGE);
    CHECK_EQ(suppress(BEN, ADA, false), API_MISSING_PERMISSIONS);
    CHECK_EQ(suppress(BEN, ADA, true), API_MISSING_PERMISSIONS);
    CHECK_EQ(voice_edit(BEN, ADA, (struct voice_state_edit){.set = SET_VOICE_REQUEST}), API_MISSING_PERMISSIONS);
    CHECK_EQ(suppress(MOD, MOD, false), OK);
    CHECK_EQ(seat_of(MOD)->request_at, 0);
    CHECK_EQ(suppress(0, BEN, false), OK);
    overwrite(STAGE, EVERYONE, 0, 0, MAY(REQUEST_TO_SPEAK));
    CHECK_EQ(request(ADA, now), API_MISSING_PERMISSIONS);
    CHECK_EQ(request(ADA, 0), ERR_STATE);
}

TEST(a_voice_state_is_edited_where_it_is_and_on_stages_only)
{
    begin();
    seat(ADA, VOICE);
    listener(BEN, STAGE);
    CHECK_EQ(suppress(MOD, ADA, true), API_WRONG_CHANNEL_TYPE);
    CHECK_EQ(suppress(MOD, HUGH, true), API_UNKNOWN_VOICE_STATE);
    CHECK_EQ(suppress(MOD, STRANGER, true), API_UNKNOWN_VOICE_STATE);
    struct voice_state_edit e = {.set = SET_VOICE_SUPPRESS | SET_VOICE_CHANNEL, .channel = VOICE};
    CHECK_EQ(voice_edit(MOD, BEN, e), API_UNKNOWN_VOICE_STATE);
    e.channel = STAGE;
    CHECK_EQ(voice_edit(MOD, BEN, e), OK);
}

// --- channels ---

TEST(a_channel_is_made)
{
    begin();
    const struct guild_channel to = {.name = BYTES("Talk To Me"),
                                     .type = CHANNEL_VOICE,
                                     .bitrate = 96000,
                                     .user_limit = 5,
                                     .rtc_region = BYTES("rotterdam"),
                                     .parent = CATEGORY,
                                     .video_quality = 2};
    uint64_t set = SET_CHANNEL_NAME | SET_CHANNEL_TYPE | SET_CHANNEL_BITRATE | SET_CHANNEL_USER_LIMIT |
                   SET_CHANNEL_REGION | SET_CHANNEL_PARENT | SET_CHANNEL_VIDEO_QUALITY;
    overwrite(CATEGORY, EVERYONE, 0, 0, MAY(SPEAK));
    CHECK_EQ(put_channel(MOD, set, to), OK);
    CHECK_STR(told(), "CHANNEL_CREATE");
    const struct guild_channel *c = channel_of(999);
    CHECK_EQ(c->type, CHANNEL_VOICE);
    CHECK_EQ(c->bitrate, 96000);
    CHECK_EQ(c->user_limit, 5);
    CHECK_EQ(c->parent, CATEGORY);
    CHECK_EQ(c->position, HIDDEN - TEXT + 1); // below all others
    CHECK_EQ(c->overwrites.n, 1);             // the category's
    CHECK_EQ(out.events[0].channel, 999);
    CHECK_TRUE(bytes_eq(out.events[0].body, out.body));
    CHECK_TRUE(says(out.body, "\"rtc_region\":\"rotterdam\"") && says(out.body, "\"name\":\"Talk To Me\""));
    CHECK_TRUE(says(out.body, "\"guild_id\":\"100\""));
}

TEST(channels_are_made_and_changed_by_who_may)
{
    begin();
    const struct guild_channel new = {.name = BYTES("x")}, old = {.id = TEXT, .name = BYTES("x")},
                               hidden = {.id = HIDDEN, .name = BYTES("x")}, none = {.id = 12345, .name = BYTES("x")};
    CHECK_EQ(put_channel(ADA, SET_CHANNEL_NAME, new), API_MISSING_PERMISSIONS);
    CHECK_EQ(put_channel(ADA, SET_CHANNEL_NAME, old), API_MISSING_PERMISSIONS);
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_NAME, hidden), API_UNKNOWN_CHANNEL);
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_NAME, none), API_UNKNOWN_CHANNEL);
    CHECK_EQ(put_channel(MOD, 0, new), API_INVALID_FORM);
    CHECK_STR(out.fault.field, "name");
    overwrite(TEXT, ADA, 1, MAY(MANAGE_CHANNELS), 0);
    CHECK_EQ(put_channel(ADA, SET_CHANNEL_NAME, old), OK);
    CHECK_STR(told(), "CHANNEL_UPDATE");
    CHECK_EQ(put_channel(ADA, SET_CHANNEL_NAME, old), ERR_STATE);
    CHECK_TRUE(says(out.body, "\"name\":\"x\""));
}

TEST(a_guild_has_500_channels_at_most)
{
    begin();
    for (uint64_t id = 1000; world.n_channels < 500; id++)
        add_channel(id, CHANNEL_TEXT, 0);
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_NAME, (struct guild_channel){.name = BYTES("x")}), API_TOO_MANY_CHANNELS);
    drop_row(&tables[1], 1000);
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_NAME, (struct guild_channel){.name = BYTES("x")}), OK);
}

TEST(a_channel_is_put_into_a_category_and_out_of_it)
{
    begin();
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_PARENT, (struct guild_channel){.id = TEXT, .parent = VOICE}),
             API_INVALID_FORM);
    CHECK_STR(out.fault.code, "CHANNEL_PARENT_INVALID_TYPE");
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_PARENT, (struct guild_channel){.id = TEXT, .parent = 12345}),
             API_INVALID_FORM);
    CHECK_STR(out.fault.code, "CHANNEL_PARENT_INVALID");
    overwrite(CATEGORY, EVERYONE, 0, 0, MAY(VIEW_CHANNEL));
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_PARENT, (struct guild_channel){.id = TEXT, .parent = CATEGORY}),
             API_INVALID_FORM);
    overwrite(CATEGORY, MOD, 1, MAY(VIEW_CHANNEL), 0);
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_PARENT, (struct guild_channel){.id = TEXT, .parent = CATEGORY}), OK);
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_PARENT, (struct guild_channel){.id = TEXT}), OK);
    CHECK_EQ(channel_of(TEXT)->parent, 0);
    for (uint64_t id = 1000; id < 1049; id++)
        add_channel(id, CHANNEL_TEXT, CATEGORY);
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_PARENT, (struct guild_channel){.id = TEXT, .parent = CATEGORY}),
             API_INVALID_FORM);
    CHECK_STR(out.fault.code, "CHANNEL_PARENT_MAX_CHANNELS");
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_PARENT, (struct guild_channel){.id = 1000, .parent = CATEGORY}), ERR_STATE);
}

static int put_overwrites(uint64_t actor, uint64_t channel, uint32_t n, const struct overwrite *v)
{
    struct guild_channel to = {.id = channel, .name = BYTES("x")};
    to.overwrites.n = n;
    to.overwrites.v = v;
    return put_channel(actor, SET_CHANNEL_OVERWRITES | (channel ? 0 : SET_CHANNEL_NAME), to);
}

TEST(overwrites_give_and_deny_what_their_writer_has_himself)
{
    static const struct {
        uint64_t allow, deny;
        int err;
    } rows[] = {{MAY(SPEAK), 0, OK},
                {0, MAY(VIEW_CHANNEL) | MAY(MUTE_MEMBERS), OK},
                {MAY(BAN_MEMBERS), 0, API_MISSING_PERMISSIONS},
                {0, MAY(BAN_MEMBERS), API_MISSING_PERMISSIONS},
                {MAY(ADMINISTRATOR), 0, API_MISSING_PERMISSIONS},
                {MAY(MANAGE_ROLES), 0, API_MISSING_PERMISSIONS}}; // which only administrators give
    for (size_t i = 0; i < countof(rows); i++) {
        const struct overwrite o = {LOW, 0, rows[i].allow, rows[i].deny};
        begin();
        CHECK_EQ(put_overwrites(MOD, VOICE, 1, &o), rows[i].err);
        CHECK_EQ(put_overwrites(MOD, 0, 1, &o), rows[i].err);
        CHECK_EQ(put_overwrites(ADA, VOICE, 1, &o), API_MISSING_PERMISSIONS);
        CHECK_EQ(put_overwrites(ALMA, OTHER, 1, &o), OK);
        CHECK_EQ(put_overwrites(OWEN, STAGE, 1, &o), OK);
    }
}

TEST(an_overwrite_makes_nobody_an_administrator)
{
    begin();
    overwrite(VOICE, MID, 0, MAY(ADMINISTRATOR) | MAY(BAN_MEMBERS), 0);
    const struct overwrite v[] = {{MID, 0, MAY(ADMINISTRATOR) | MAY(BAN_MEMBERS), 0}, {LOW, 0, MAY(MANAGE_ROLES), 0}};
    CHECK_EQ(put_overwrites(MOD, VOICE, 2, v), API_MISSING_PERMISSIONS);
    const struct overwrite ban[] = {v[0], {LOW, 0, MAY(BAN_MEMBERS), 0}}; // he has it there
    CHECK_EQ(put_overwrites(MOD, VOICE, 2, ban), OK);
}

TEST(an_overwrite_that_somebody_could_not_write_he_can_neither_take_away)
{
    begin();
    const struct overwrite ban = {LOW, 0, MAY(BAN_MEMBERS), 0};
    const struct overwrite both[] = {{LOW, 0, MAY(BAN_MEMBERS), 0}, {BEN, 1, 0, MAY(SPEAK)}};
    CHECK_EQ(put_overwrites(OWEN, VOICE, 1, &ban), OK);
    CHECK_EQ(put_overwrites(MOD, VOICE, 0, NULL), API_MISSING_PERMISSIONS);
    CHECK_EQ(put_overwrites(MOD, VOICE, 2, both), OK); // as it was, and another
    CHECK_EQ(channel_of(VOICE)->overwrites.n, 2);
    CHECK_EQ(put_overwrites(MOD, VOICE, 1, &ban), OK);
    role_of(MID)->permissions &= ~MAY(MANAGE_ROLES);
    CHECK_EQ(put_overwrites(MOD, VOICE, 2, both), API_MISSING_PERMISSIONS);
    role_of(MID)->permissions = MAY(MANAGE_ROLES);
    CHECK_EQ(put_overwrites(MOD, VOICE, 2, both), OK); // who may write them needs to be allowed nothing else
}

TEST(of_two_overwrites_for_the_same_the_last_counts)
{
    begin();
    const struct overwrite v[] = {{LOW, 0, MAY(SPEAK), 0}, {LOW, 1, 0, 0}, {LOW, 0, 0, MAY(SPEAK) | 1ull << 60}};
    CHECK_EQ(put_overwrites(MOD, VOICE, 3, v), OK);
    const struct guild_channel *c = channel_of(VOICE);
    CHECK_EQ(c->overwrites.n, 2);
    CHECK_EQ(c->overwrites.v[0].allow, 0);
    CHECK_EQ(c->overwrites.v[0].deny, MAY(SPEAK)); // and what means nothing is dropped
}

TEST(one_overwrite_is_put_or_taken_away_whatever_the_others_are)
{
    begin();
    const struct overwrite both[] = {{LOW, 0, MAY(SPEAK), 0}, {BEN, 1, 0, MAY(SPEAK)}};
    const struct overwrite other[] = {{MID, 0, MAY(CONNECT), 0}, {LOW, 0, 0, MAY(SPEAK)}}; // which is not meant
    CHECK_EQ(put_overwrites(MOD, VOICE, 2, both), OK);
    only = MID;
    CHECK_EQ(put_overwrites(MOD, VOICE, 2, other), OK);
    const struct guild_channel *c = channel_of(VOICE);
    CHECK_EQ(c->overwrites.n, 3);
    CHECK_TRUE(c->overwrites.v[0].id == LOW && c->overwrites.v[0].allow == MAY(SPEAK) && c->overwrites.v[1].id == BEN);
    CHECK_TRUE(c->overwrites.v[2].id == MID && c->overwrites.v[2].allow == MAY(CONNECT));
    CHECK_EQ(put_overwrites(MOD, VOICE, 2, other), ERR_STATE); // said twice it is nothing new
    only = LOW;
    CHECK_EQ(put_overwrites(MOD, VOICE, 0, NULL), OK);
    c = channel_of(VOICE);
    CHECK_TRUE(c->overwrites.n == 2 && c->overwrites.v[0].id == BEN && c->overwrites.v[1].id == MID);
    CHECK_EQ(put_overwrites(MOD, VOICE, 0, NULL), ERR_STATE);

    struct overwrite *many = arena_take(&world_arena, 500 * sizeof *many);
    for (uint32_t i = 0; i < 500; i++)
        many[i] = (struct overwrite){5000 + i, 1, 0, 0};
    only = 0;
    CHECK_EQ(put_overwrites(MOD, VOICE, 500, many), OK);
    only = LOW;
    CHECK_EQ(put_overwrites(MOD, VOICE, 1, both), API_INVALID_FORM);
    CHECK_STR(out.fault.field, "permission_overwrites");
    only = 0;
}

TEST(channels_that_are_in_step_with_their_category_stay_so)
{
    begin();
    for (uint64_t id = 1000; id < 1030; id++)
        add_channel(id, CHANNEL_TEXT, CATEGORY);
    overwrite(1005, BEN, 1, MAY(SPEAK), 0); // out of step
    const struct overwrite private = {EVERYONE, 0, 0, MAY(VIEW_CHANNEL)};
    CHECK_EQ(put_overwrites(MOD, CATEGORY, 1, &private), OK);
    CHECK_TRUE(out.more); // and the category last
    CHECK_EQ(channel_of(CATEGORY)->overwrites.n, 0);
    CHECK_EQ(put_overwrites(MOD, CATEGORY, 1, &private), OK);
    CHECK_TRUE(!out.more);
    CHECK_TRUE(says(out.body, "\"id\":\"305\""));
    CHECK_EQ(out.events[out.n_events - 1].row_id, CATEGORY);
    for (uint32_t i = 0; i < world.n_channels; i++) {
        const struct guild_channel *c = &world.channels[i];
        bool private_now = c->overwrites.n == 1 && c->overwrites.v[0].deny == MAY(VIEW_CHANNEL);
        bool meant = c->id == CATEGORY || (c->parent == CATEGORY && c->id != 1005) || c->id == HIDDEN;
        CHECK_EQ(private_now, meant);
    }
}

TEST(of_the_others_overwrites_nothing_is_asked_when_one_is_put)
{
    begin();
    const struct overwrite ban = {LOW, 0, MAY(BAN_MEMBERS), 0}, speak = {LOW, 0, MAY(SPEAK), 0};
    overwrite(VOICE, HIGH, 0, MAY(BAN_MEMBERS), 0); // which the moderator could not have written
    only = LOW;
    CHECK_EQ(put_overwrites(MOD, VOICE, 1, &speak), OK);
    CHECK_EQ(put_overwrites(MOD, VOICE, 1, &ban), API_MISSING_PERMISSIONS);
    only = HIGH;
    CHECK_EQ(put_overwrites(MOD, VOICE, 0, NULL), API_MISSING_PERMISSIONS);
    only = 0;
    CHECK_EQ(channel_of(VOICE)->overwrites.n, 2);
}

TEST(another_region_sends_all_who_sit_there_to_another_server)
{
    begin();
    seat(ADA, VOICE);
    seat(BEN, VOICE);
    seat(HUGH, OTHER);
    const struct guild_channel to = {.id = VOICE, .rtc_region = BYTES("rotterdam")};
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_REGION, to), OK);
    CHECK_STR(told(), "CHANNEL_UPDATE");
    CHECK_EQ(out.n_asks, 2);
    CHECK_TRUE(bytes_is(out.asks[0].region, "rotterdam") && bytes_is(out.asks[1].region, "rotterdam"));
    CHECK_EQ(room_of(VOICE)->generation, 1);
    CHECK_EQ(room_of(VOICE)->node.n, 0);
    CHECK_EQ(seat_of(ADA)->server, 0);
    CHECK_EQ(seat_of(HUGH)->server, 2);
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_REGION, to), ERR_STATE);
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_REGION, (struct guild_channel){.id = VOICE, .rtc_region = BYTES("moon")}),
             API_INVALID_FORM);
    CHECK_EQ(
        put_channel(MOD, SET_CHANNEL_REGION, (struct guild_channel){.id = STAGE, .rtc_region = BYTES("rotterdam")}),
        OK);
    CHECK_EQ(out.n_asks, 0);
}

TEST(a_region_of_many_is_owed_to_some_at_once_and_to_the_others_by_a_row)
{
    begin();
    for (uint64_t id = 1000; id < 1030; id++) {
        add_member(id, 0);
        seat(id, VOICE);
    }
    const struct guild_channel to = {.id = VOICE, .rtc_region = BYTES("rotterdam")};
    CHECK_EQ(put_channel(MOD, SET_CHANNEL_REGION, to), OK);
    CHECK_EQ(out.n_asks, GUILD_CROWD_MAX);
    CHECK_EQ(out.room_at, now);
    CHECK_TRUE(!out.more); // the channel is as it was asked for
}

TEST(a_channel_goes_after_all_who_sat_there)
{
    begin();
    for (uint64_t id = 1000; id < 1030; id++) {
        add_member(id, 0);
        seat(id, STAGE);
    }
    CHECK_EQ(put_stage(MOD, STAGE, true, "town hall"), OK);
    CHECK_EQ(delete_channel(MOD, STAGE), OK);
    CHECK_TRUE(out.more);
    CHECK_EQ(world.n_seats, 10);
    CHECK_EQ(out.n_events, GUILD_CROWD_MAX);
    CHECK_TRUE(channel_of(STAGE) != NULL);
    CHECK_EQ(delete_channel(MOD, STAGE), OK);
    CHECK_TRUE(!out.more);
    CHECK_EQ(out.n_events, 10 + 3);
    CHECK_TRUE(bytes_is(out.events[9].name, "VOICE_STATE_UPDATE"));
    CHECK_TRUE(bytes_is(out.events[11].name, "STAGE_INSTANCE_DELETE"));
    CHECK_TRUE(bytes_is(out.events[12].name, "CHANNEL_DELETE"));
    CHECK_EQ(out.events[12].channel, STAGE);
    CHECK_TRUE(says(out.body, "\"id\":\"304\""));
    CHECK_EQ(out.released[0], STAGE);
    CHECK_TRUE(!channel_of(STAGE) && world.n_seats == 0 && world.n_stages == 0);
    CHECK_EQ(delete_channel(MOD, STAGE), API_UNKNOWN_CHANNEL);
}

TEST(a_category_goes_and_what_was_in_it_stays)
{
    begin();
    for (uint64_t id = 1000; id < 1030; id++)
        add_channel(id, CHANNEL_TEXT, CATEGORY);
    CHECK_EQ(delete_channel(MOD, CATEGORY), OK);
    CHECK_TRUE(out.more);
    CHECK_EQ(out.n_events, GUILD_CROWD_MAX);
    CHECK_EQ(delete_channel(MOD, CATEGORY), OK);
    CHECK_TRUE(!out.more);
    for (uint32_t i = 0; i < world.n_channels; i++)
        CHECK_EQ(world.channels[i].parent, 0);
    CHECK_TRUE(bytes_is(out.events[out.n_events - 1].name, "CHANNEL_DELETE"));
    CHECK_TRUE(says(out.events[0].body, "\"parent_id\":null"));
}

TEST(the_channel_of_the_absent_goes_and_the_guild_has_none)
{
    begin();
    world.guild.afk_channel = OTHER;
    CHECK_EQ(delete_channel(ADA, OTHER), API_MISSING_PERMISSIONS);
    CHECK_EQ(delete_channel(MOD, HIDDEN), API_UNKNOWN_CHANNEL);
    CHECK_EQ(delete_channel(MOD, OTHER), OK);
    CHECK_STR(told(), "GUILD_UPDATE CHANNEL_DELETE");
    CHECK_EQ(world.guild.afk_channel, 0);
    CHECK_TRUE(says(out.events[0].body, "\"afk_channel_id\":null"));
}

// --- the guild's end ---

TEST(the_owner_and_the_operator_delete_a_guild_and_nobody_else)
{
    static const struct {
        uint64_t actor;
        int err;
    } rows[] = {{OWEN, OK},
                {0, OK},
                {ALMA, API_MISSING_PERMISSIONS}, // an administrator
                {MOD, API_MISSING_PERMISSIONS},
                {STRANGER, API_UNKNOWN_GUILD}};
    for (size_t i = 0; i < countof(rows); i++) {
        begin();
        CHECK_EQ(delete_guild(rows[i].actor), rows[i].err);
        if (rows[i].err)
            continue;
        CHECK_STR(told(), "GUILD_DELETE");
        CHECK_EQ(out.body.n, 0);
        CHECK_EQ(delete_guild(rows[i].actor), API_UNKNOWN_GUILD);
        CHECK_EQ(name(OWEN, OWEN, "x"), API_UNKNOWN_GUILD);
    }
}

TEST(a_guild_goes_after_all_who_sat_anywhere_in_it)
{
    begin();
    for (uint64_t id = 1000; id < 1030; id++) {
        add_member(id, 0);
        seat(id, STAGE);
    }
    seat(ADA, VOICE);
    CHECK_EQ(put_stage(MOD, STAGE, true, "town hall"), OK);
    static const struct {
        uint32_t seats, events;
        uint64_t released;
    } rows[] = {{30, 2, VOICE}, {10, GUILD_CROWD_MAX, 0}, {0, 10 + 1, STAGE}};
    for (size_t i = 0; i < countof(rows); i++) {
        CHECK_EQ(delete_guild(OWEN), OK);
        CHECK_TRUE(out.more && world.guild.id);
        CHECK_EQ(world.n_seats, rows[i].seats);
        CHECK_EQ(out.n_events, rows[i].events);
        CHECK_EQ(out.n_released, rows[i].released ? 1 : 0);
        CHECK_TRUE(!rows[i].released || out.released[0] == rows[i].released);
    }
    CHECK_EQ(delete_guild(OWEN), OK);
    CHECK_TRUE(!out.more);
    CHECK_STR(told(), "GUILD_DELETE");
}

// --- roles ---

TEST(a_role_is_made_with_what_everybody_may)
{
    begin();
    CHECK_EQ(put_role(MOD, 0, (struct role){0}), OK);
    CHECK_STR(told(), "GUILD_ROLE_CREATE");
    CHECK_EQ(role_of(888)->permissions, permissions_of_everyone());
    CHECK_EQ(role_of(888)->position, 1);
    CHECK_TRUE(says(out.events[0].body, "{\"guild_id\":\"100\",\"role\":{\"id\":\"888\",\"name\":\"new role\""));
    CHECK_TRUE(says(out.body, "{\"id\":\"888\""));
    begin();
    const struct role to = {.name = BYTES("crew"), .color = 255, .hoist = true, .mentionable = true, .position = 4};
    CHECK_EQ(put_role(MOD, 61, to), OK);
    CHECK_TRUE(role_of(888)->hoist && role_of(888)->mentionable && role_of(888)->position == 4);
    CHECK_EQ(put_role(ADA, 0, to), API_MISSING_PERMISSIONS);
    CHECK_EQ(put_role(MOD, SET_ROLE_NAME, (struct role){0}), API_INVALID_FORM);
}

TEST(roles_are_changed_below_ones_own_and_given_what_one_has)
{
    begin();
    static const struct {
        uint64_t actor, role, set, permissions, position;
        int err;
    } rows[] = {
        {MOD, LOW, SET_ROLE_PERMISSIONS, MAY(MUTE_MEMBERS), 0, OK},
        {MOD, LOW, SET_ROLE_PERMISSIONS, MAY(BAN_MEMBERS), 0, API_MISSING_PERMISSIONS},
        {MOD, LOW, SET_ROLE_PERMISSIONS, MAY(ADMINISTRATOR), 0, API_MISSING_PERMISSIONS},
        {MOD, 0, SET_ROLE_PERMISSIONS, MAY(ADMINISTRATOR), 0, API_MISSING_PERMISSIONS},
        {MOD, MID, SET_ROLE_PERMISSIONS, 0, 0, API_MISSING_PERMISSIONS},
        {MOD, HIGH, SET_ROLE_HOIST, 0, 0, API_MISSING_PERMISSIONS},
        {MOD, LOW, SET_ROLE_POSITION, 0, 4, OK},
        {MOD, LOW, SET_ROLE_POSITION, 0, 5, API_MISSING_PERMISSIONS},
        {MOD, LOW, SET_ROLE_POSITION, 0, 0, API_INVALID_FORM},
        {MOD, 0, SET_ROLE_POSITION, 0, 9, API_MISSING_PERMISSIONS},
        {MOD, 12345, SET_ROLE_HOIST, 0, 0, API_UNKNOWN_ROLE},
        {ADA, LOW, SET_ROLE_HOIST, 0, 0, API_MISSING_PERMISSIONS},
        {ALMA, LOW, SET_ROLE_PERMISSIONS, MAY(ADMINISTRATOR), 0, OK},
        {ALMA, ADMIN, SET_ROLE_PERMISSIONS, 0, 0, API_MISSING_PERMISSIONS},
        {OWEN, HIGH, SET_ROLE_PERMISSIONS, MAY(ADMINISTRATOR), 0, OK},
        {OWEN, HIGH, SET_ROLE_POSITION, 0, 50, OK},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        begin();
        const struct role to = {
            .id = rows[i].role, .permissions = rows[i].permissions, .position = rows[i].position, .hoist = true};
        CHECK_EQ(put_role(rows[i].actor, rows[i].set, to), rows[i].err);
        if (rows[i].err == OK)
            CHECK_STR(told(), "GUILD_ROLE_UPDATE");
    }
}

TEST(what_a_role_may_already_stays_when_somebody_without_it_changes_the_rest)
{
    begin();
    role_of(LOW)->permissions = MAY(BAN_MEMBERS);
    CHECK_EQ(put_role(MOD, SET_ROLE_PERMISSIONS,
                      (struct role){.id = LOW, .permissions = MAY(BAN_MEMBERS) | MAY(MUTE_MEMBERS)}),
             OK);
    CHECK_EQ(put_role(MOD, SET_ROLE_PERMISSIONS, (struct role){.id = LOW}), OK);
    CHECK_EQ(put_role(MOD, SET_ROLE_PERMISSIONS, (struct role){.id = LOW}), ERR_STATE);
    CHECK_EQ(put_role(MOD, SET_ROLE_PERMISSIONS, (struct role){.id = LOW, .permissions = MAY(BAN_MEMBERS)}),
             API_MISSING_PERMISSIONS);
}

TEST(of_everyones_role_only_what_it_allows_is_changed)
{
    begin();
    const struct role to = {.id = EVERYONE, .name = BYTES("x"), .position = 3, .hoist = true};
    CHECK_EQ(put_role(MOD, SET_ROLE_PERMISSIONS | SET_ROLE_NAME | SET_ROLE_POSITION | SET_ROLE_HOIST, to), OK);
    CHECK_TRUE(bytes_is(role_of(EVERYONE)->name, "@everyone") && !role_of(EVERYONE)->hoist);
    CHECK_EQ(role_of(EVERYONE)->position, 0);
    CHECK_EQ(role_of(EVERYONE)->permissions, 0);
    CHECK_EQ(delete_role(OWEN, EVERYONE), API_INVALID_ROLE);
    CHECK_EQ(delete_role(0, EVERYONE), API_INVALID_ROLE);
}

TEST(a_guild_has_250_roles_at_most)
{
    begin();
    for (uint64_t id = 1000; world.n_roles < 250; id++)
        add_role(id, "x", 1, 0);
    CHECK_EQ(put_role(MOD, 0, (struct role){0}), API_TOO_MANY_ROLES);
    CHECK_EQ(delete_role(MOD, 1000), OK);
    CHECK_STR(told(), "GUILD_ROLE_DELETE");
    CHECK_TRUE(bytes_is(out.events[0].body, "{\"guild_id\":\"100\",\"role_id\":\"1000\"}"));
    CHECK_EQ(out.body.n, 0);
    CHECK_EQ(put_role(MOD, 0, (struct role){0}), OK);
    CHECK_EQ(delete_role(MOD, 1000), API_UNKNOWN_ROLE);
    CHECK_EQ(delete_role(MOD, MID), API_MISSING_PERMISSIONS);
    CHECK_EQ(delete_role(ADA, LOW), API_MISSING_PERMISSIONS);
}

// --- the guild ---

TEST(a_guild_is_edited)
{
    begin();
    const struct guild to = {.name = BYTES("city"),
                             .description = BYTES("large"),
                             .afk_channel = OTHER,
                             .afk_timeout = 60,
                             .icon = BYTES("abc")};
    uint64_t set =
        SET_GUILD_NAME | SET_GUILD_DESCRIPTION | SET_GUILD_AFK_CHANNEL | SET_GUILD_AFK_TIMEOUT | SET_GUILD_ICON;
    CHECK_EQ(edit_guild(ADA, set, to), API_MISSING_PERMISSIONS);
    CHECK_EQ(edit_guild(MOD, set, to), OK);
    CHECK_STR(told(), "GUILD_UPDATE");
    CHECK_EQ(world.guild.afk_channel, OTHER);
    CHECK_EQ(world.guild.owner, OWEN);
    CHECK_TRUE(says(out.body, "\"name\":\"city\"") && says(out.body, "\"roles\":[{\"id\":\"100\""));
    CHECK_TRUE(bytes_eq(out.events[0].body, out.body));
    CHECK_EQ(edit_guild(MOD, set, to), ERR_STATE);
    CHECK_EQ(edit_guild(MOD, SET_GUILD_AFK_CHANNEL, (struct guild){.afk_channel = TEXT}), API_INVALID_FORM);
    CHECK_EQ(edit_guild(MOD, SET_GUILD_AFK_CHANNEL, (struct guild){.afk_channel = HIDDEN}), API_INVALID_FORM);
    CHECK_EQ(edit_guild(MOD, SET_GUILD_AFK_CHANNEL, (struct guild){0}), OK);
}

TEST(a_guild_is_given_away_by_its_owner_to_a_member)
{
    begin();
    CHECK_EQ(edit_guild(MOD, SET_GUILD_OWNER, (struct guild){.owner = MOD}), API_MISSING_PERMISSIONS);
    CHECK_EQ(edit_guild(ALMA, SET_GUILD_OWNER, (struct guild){.owner = ALMA}), API_MISSING_PERMISSIONS);
    CHECK_EQ(edit_guild(OWEN, SET_GUILD_OWNER, (struct guild){.owner = STRANGER}), API_UNKNOWN_MEMBER);
    CHECK_EQ(edit_guild(OWEN, SET_GUILD_VIDEO_MAX, (struct guild){.video_max = 99}), API_MISSING_PERMISSIONS);
    CHECK_EQ(edit_guild(OWEN, SET_GUILD_OWNER, (struct guild){.owner = ADA}), OK);
    CHECK_EQ(world.guild.owner, ADA);
    CHECK_EQ(kick(OWEN, OWEN), OK);
}

// --- stages and the status of a channel ---

TEST(a_stage_is_opened_changed_and_closed_by_its_moderators)
{
    begin();
    CHECK_EQ(put_stage(ADA, STAGE, true, "x"), API_MISSING_PERMISSIONS);
    CHECK_EQ(put_stage(MOD, VOICE, true, "x"), API_WRONG_CHANNEL_TYPE);
    CHECK_EQ(put_stage(MOD, HIDDEN, true, "x"), API_UNKNOWN_CHANNEL);
    CHECK_EQ(put_stage(MOD, 12345, true, "x"), API_UNKNOWN_CHANNEL);
    CHECK_EQ(put_stage(MOD, STAGE, false, "x"), API_UNKNOWN_STAGE);
    CHECK_EQ(delete_stage(MOD, STAGE), API_UNKNOWN_STAGE);
    CHECK_EQ(put_stage(MOD, STAGE, true, NULL), API_INVALID_FORM);
    CHECK_EQ(put_stage(MOD, STAGE, true, "town hall"), OK);
    CHECK_STR(told(), "STAGE_INSTANCE_CREATE");
    CHECK_TRUE(says(out.body, "{\"id\":\"777\",\"guild_id\":\"100\",\"channel_id\":\"304\",\"topic\":\"town hall\","
                              "\"privacy_level\":2"));
    CHECK_EQ(out.events[0].channel, STAGE);
    CHECK_EQ(out.events[0].row_id, STAGE);
    CHECK_EQ(put_stage(MOD, STAGE, true, "again"), API_STAGE_IS_OPEN);
    CHECK_EQ(put_stage(MOD, STAGE, false, "town hall"), ERR_STATE);
    CHECK_EQ(put_stage(MOD, STAGE, false, "other"), OK);
    CHECK_STR(told(), "STAGE_INSTANCE_UPDATE");
    CHECK_TRUE(says(out.body, "{\"id\":\"777\""));
    CHECK_EQ(delete_stage(ADA, STAGE), API_MISSING_PERMISSIONS);
    CHECK_EQ(delete_stage(MOD, STAGE), OK);
    CHECK_STR(told(), "STAGE_INSTANCE_DELETE");
    CHECK_TRUE(says(out.events[0].body, "\"topic\":\"other\""));
    CHECK_EQ(out.body.n, 0);
    CHECK_EQ(world.n_stages, 0);
}

TEST(a_stage_is_silent_from_its_opening_until_somebody_may_speak_there)
{
    begin();
    const struct stage *stage = world.stages;
    CHECK_EQ(put_stage(MOD, STAGE, true, "town hall"), OK);
    CHECK_EQ(stage->silent_at, now);
    CHECK_EQ(out.room_at, now + rules.stage_ms);
    now += 10;
    listener(ADA, STAGE);
    CHECK_EQ(put_stage(MOD, STAGE, false, "other"), OK);
    CHECK_EQ(stage->silent_at, now - 10);
    CHECK_EQ(suppress(MOD, ADA, false), OK);
    CHECK_STR(told(), "VOICE_STATE_UPDATE");
    CHECK_EQ(stage->silent_at, 0);
    CHECK_EQ(out.rooms[0].look_at, 0);
    CHECK_EQ(suppress(ADA, ADA, true), OK);
    CHECK_STR(told(), "VOICE_STATE_UPDATE");
    CHECK_EQ(stage->silent_at, now);
    CHECK_EQ(out.rooms[0].id, STAGE);
    CHECK_EQ(out.rooms[0].look_at, now + rules.stage_ms);
    CHECK_EQ(suppress(MOD, ADA, false), OK);
    CHECK_EQ(delete_stage(MOD, STAGE), OK);
    CHECK_EQ(put_stage(MOD, STAGE, true, "town hall"), OK);
    CHECK_EQ(stage->silent_at, 0);
    CHECK_EQ(out.room_at, 0);
}

TEST(a_moderator_of_a_stage_has_three_permissions_there)
{
    static const uint64_t all[] = {MAY(MANAGE_CHANNELS), MAY(MUTE_MEMBERS), MAY(MOVE_MEMBERS)};
    for (size_t i = 0; i < countof(all); i++) {
        begin();
        overwrite(STAGE, MID, 0, 0, all[i]);
        CHECK_EQ(put_stage(MOD, STAGE, true, "x"), API_MISSING_PERMISSIONS);
    }
    begin();
    overwrite(STAGE, ADA, 1, all[0] | all[1] | all[2], 0);
    CHECK_EQ(put_stage(ADA, STAGE, true, "x"), OK);
}

TEST(a_status_is_said_by_who_sits_there)
{
    begin();
    seat(ADA, VOICE);
    CHECK_EQ(put_status(ADA, VOICE, "chess"), OK);
    CHECK_STR(told(), "VOICE_CHANNEL_STATUS_UPDATE");
    CHECK_TRUE(bytes_is(out.events[0].body, "{\"id\":\"302\",\"guild_id\":\"100\",\"status\":\"chess\"}"));
    CHECK_EQ(out.events[0].channel, VOICE);
    CHECK_TRUE(bytes_is(room_of(VOICE)->status, "chess"));
    CHECK_EQ(put_status(ADA, VOICE, "chess"), ERR_STATE);
    CHECK_EQ(put_status(BEN, VOICE, "x"), API_MISSING_PERMISSIONS); // who is not there needs to manage channels
    CHECK_EQ(put_status(MOD, VOICE, "x"), OK);
    CHECK_EQ(put_status(ADA, VOICE, NULL), OK);
    CHECK_TRUE(says(out.events[0].body, "\"status\":null"));
    CHECK_EQ(put_status(MOD, OTHER, "x"), ERR_STATE); // nobody is there to have one
    CHECK_EQ(put_status(MOD, STAGE, "x"), API_WRONG_CHANNEL_TYPE);
    CHECK_EQ(put_status(MOD, TEXT, "x"), API_WRONG_CHANNEL_TYPE);
    CHECK_EQ(put_status(MOD, HIDDEN, "x"), API_UNKNOWN_CHANNEL);
    CHECK_EQ(put_status(MOD, 12345, "x"), API_UNKNOWN_CHANNEL);
    overwrite(VOICE, EVERYONE, 0, 0, MAY(SET_VOICE_CHANNEL_STATUS));
    CHECK_EQ(put_status(ADA, VOICE, "x"), API_MISSING_PERMISSIONS);
}

MAIN
