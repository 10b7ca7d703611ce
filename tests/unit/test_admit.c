// admit: who is let in, what a seat allows, and whose seats an event is about.
#include "admit.h"
#include "check.h"

enum { GUILD = 100, HOME = 201, AWAY = 202, CALL = 300, ADA = 1, BEN = 2 };

static struct arena a;

// --- letting in ---

static struct voice_token row(void)
{
    return (struct voice_token){.token = BYTES("04cfd23059d5dfcb"),
                                .user = ADA,
                                .session = BYTES("s1"),
                                .server = GUILD,
                                .channel = HOME,
                                .node = BYTES("node-1")};
}

static struct claims said(void)
{
    return (struct claims){.server = GUILD, .channel = HOME, .user = ADA, .session = "s1", .token = "04cfd23059d5dfcb"};
}

static int check_row(const struct claims *c, struct voice_token r, struct admitted *who)
{
    return admit_check(&a, c, schema_packed(&a, &schema_voice_token, &r), BYTES("node-1"), who);
}

TEST(who_says_what_stands_in_his_row_is_let_in)
{
    struct claims c = said();
    struct admitted who;
    CHECK_EQ(check_row(&c, row(), &who), OK);
    CHECK_TRUE(who.server == GUILD && who.channel == HOME && who.user == ADA && who.guild);
    CHECK_STR(who.session, "s1");
    CHECK_STR(who.token, "04cfd23059d5dfcb");
    c.channel = 0; // below version 9 none is named
    CHECK_EQ(check_row(&c, row(), &who), OK);
    CHECK_EQ(who.channel, HOME);
    struct voice_token call = row();
    call.server = call.channel = c.server = CALL;
    CHECK_EQ(check_row(&c, call, &who), OK);
    CHECK_TRUE(!who.guild);
    arena_reset(&a);
}

TEST(whatever_does_not_fit_is_4004)
{
    const struct claims good = said();
    struct admitted who = {.user = 77};
    struct claims c;
#define WRONG(...)                                                                                                     \
    do {                                                                                                               \
        c = good;                                                                                                      \
        __VA_ARGS__;                                                                                                   \
        CHECK_EQ(check_row(&c, row(), &who), 4004);                                                                    \
    } while (0)
    WRONG(c.server = GUILD + 1);
    WRONG(c.channel = AWAY);
    WRONG(c.user = BEN);
    WRONG(strcpy(c.session, "s2"));
    WRONG(strcpy(c.token, "04cfd23059d5dfcc"));
    WRONG(strcpy(c.token, "04cfd23059d5dfc"));
    WRONG(strcpy(c.token, "04cfd23059d5dfcb0"));
    WRONG(strcpy(c.token, ""));
    struct voice_token r = row();
    r.node = BYTES("node-2"); // of another node: good there alone
    CHECK_EQ(check_row(&good, r, &who), 4004);
    r = row();
    r.token = BYTES_NONE;
    c = good;
    c.token[0] = '\0';
    CHECK_EQ(check_row(&c, r, &who), 4004); // none is not equal to none
    CHECK_EQ(admit_check(&a, &good, BYTES("nonsense"), BYTES("node-1"), &who), 4004);
    CHECK_EQ(who.user, 77);
    arena_reset(&a);
}

TEST(without_a_row_or_a_name_for_one_it_is_4006)
{
    struct claims c = said();
    struct admitted who;
    CHECK_EQ(admit_check(&a, &c, BYTES_NONE, BYTES("node-1"), &who), 4006);
    CHECK_TRUE(claims_ok(&c));
    static const char *const names[] = {"", "a:b", "a b", "a\n", "{1}", "a.b", "\xc3\xa4"};
    for (size_t i = 0; i < countof(names); i++) {
        strcpy(c.session, names[i]);
        CHECK_TRUE(!claims_ok(&c));
        CHECK_EQ(check_row(&c, row(), &who), 4006);
    }
    memset(c.session, 'x', 64);
    c.session[64] = '\0';
    CHECK_TRUE(claims_ok(&c));
    c.user = 0;
    CHECK_TRUE(!claims_ok(&c));
    c = said();
    c.server = 0;
    CHECK_TRUE(!claims_ok(&c));
    arena_reset(&a);
}

// --- seats in a call ---

static struct seat in_call(struct call_rec c)
{
    const struct sitter w = {.server = CALL, .channel = CALL, .user = ADA, .session = "s1"};
    struct seat s = {.state = SEAT_LEFT};
    CHECK_EQ(seat_in_call(&a, &w, BYTES("node-1"), schema_packed(&a, &schema_call_rec, &c), &s), OK);
    return s;
}

TEST(a_seat_in_a_call)
{
    const struct sitter w = {.server = CALL, .channel = CALL, .user = ADA, .session = "s1"};
    struct call_member m[] = {{.user = BEN, .session = BYTES("s2"), .self_mute = true},
                              {.user = ADA, .session = BYTES("s1"), .server = 2, .flags = 2}};
    struct call_rec c = {.id = 1, .node = BYTES("node-1"), .members = {2, m}};
    struct seat s = in_call(c);
    CHECK_TRUE(s.state == SEAT_HERE && s.speaks && s.hears && !s.video && !s.priority && s.flags == 2);
    m[1].self_mute = m[1].self_video = true;
    s = in_call(c);
    CHECK_TRUE(!s.speaks && s.hears && s.video);
    m[1].self_deaf = true;
    CHECK_TRUE(!in_call(c).hears);
    c.node = BYTES_NONE; // lost, or being moved
    CHECK_EQ(in_call(c).state, SEAT_HERE);
    c.node = BYTES("node-2");
    CHECK_EQ(in_call(c).state, SEAT_OVER);
    m[1].server = 0; // and he has not been told of it
    CHECK_EQ(in_call(c).state, SEAT_HERE);
    m[1].session = BYTES("s9"); // another client of his
    CHECK_EQ(in_call(c).state, SEAT_LEFT);
    c.members.n = 1;
    CHECK_EQ(in_call(c).state, SEAT_LEFT);
    CHECK_EQ(seat_in_call(&a, &w, BYTES("node-1"), BYTES_NONE, &s), OK);
    CHECK_EQ(s.state, SEAT_OVER);
    CHECK_EQ(seat_in_call(&a, &w, BYTES("node-1"), BYTES("x"), &s), ERR_INVALID);
    arena_reset(&a);
}

// --- seats in a guild ---

static struct seat in_guild(struct voice_seat v, struct voice_room r, uint64_t may)
{
    const struct sitter w = {.server = GUILD, .channel = HOME, .user = ADA, .session = "s1", .may = may};
    struct seat s = {.state = SEAT_OVER};
    CHECK_EQ(seat_in_guild(&a, &w, BYTES("node-1"), schema_packed(&a, &schema_voice_seat, &v),
                           schema_packed(&a, &schema_voice_room, &r), &s),
             OK);
    return s;
}

static const struct voice_seat sits = {
    .user = ADA, .channel = HOME, .session = {"s1", 2}, .server = 2, .generation = 3, .flags = 2};
static const struct voice_room room = {.channel = HOME, .seats = 1, .node = {"node-1", 6}, .generation = 3};

TEST(what_a_seat_in_a_guild_allows)
{
    static const struct {
        struct voice_seat change;
        bool speaks, hears;
    } rows[] = {
        {{0}, true, true},
        {{.mute = true}, false, true},
        {{.self_mute = true}, false, true},
        {{.suppress = true}, false, true},
        {{.deaf = true}, true, false},
        {{.self_deaf = true}, true, false},
        {{.mute = true, .self_deaf = true}, false, false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct voice_seat v = sits;
        v.mute = rows[i].change.mute;
        v.self_mute = rows[i].change.self_mute;
        v.suppress = rows[i].change.suppress;
        v.deaf = rows[i].change.deaf;
        v.self_deaf = rows[i].change.self_deaf;
        struct seat s = in_guild(v, room, 0);
        CHECK_EQ(s.state, SEAT_HERE);
        CHECK_EQ(s.speaks, rows[i].speaks);
        CHECK_EQ(s.hears, rows[i].hears);
        CHECK_EQ(s.flags, 2);
    }
    struct voice_seat v = sits;
    CHECK_TRUE(!in_guild(v, room, MAY(STREAM)).video);
    v.self_video = true;
    CHECK_TRUE(in_guild(v, room, MAY(STREAM)).video);
    CHECK_TRUE(!in_guild(v, room, 0).video);
    v.self_video = false;
    v.self_stream = true;
    CHECK_TRUE(in_guild(v, room, MAY(STREAM)).video);
    CHECK_TRUE(in_guild(v, room, MAY(PRIORITY_SPEAKER)).priority);
    CHECK_TRUE(!in_guild(v, room, MAY(STREAM)).priority);
    arena_reset(&a);
}

TEST(where_a_seat_in_a_guild_is)
{
    struct voice_seat v = sits;
    struct voice_room r = room;
    v.channel = AWAY;
    CHECK_EQ(in_guild(v, r, 0).state, SEAT_LEFT);
    v = sits;
    v.session = BYTES("s2");
    CHECK_EQ(in_guild(v, r, 0).state, SEAT_LEFT);
    v = sits;
    r.node = BYTES("node-2");
    CHECK_EQ(in_guild(v, r, 0).state, SEAT_OVER);
    v.generation = 2; // he has not been told of it yet
    CHECK_EQ(in_guild(v, r, 0).state, SEAT_HERE);
    v = sits;
    v.server = 0; // it is owed to him
    CHECK_EQ(in_guild(v, r, 0).state, SEAT_HERE);
    v = sits;
    r.node = BYTES_NONE; // lost, or being moved
    CHECK_EQ(in_guild(v, r, 0).state, SEAT_HERE);
    const struct sitter w = {.server = GUILD, .channel = HOME, .user = ADA, .session = "s1"};
    struct seat s;
    CHECK_EQ(seat_in_guild(&a, &w, BYTES("node-1"), BYTES_NONE, BYTES_NONE, &s), OK);
    CHECK_EQ(s.state, SEAT_LEFT);
    CHECK_EQ(seat_in_guild(&a, &w, BYTES("node-1"), BYTES("x"), BYTES_NONE, &s), ERR_INVALID);
    arena_reset(&a);
}

TEST(what_he_may_is_what_roles_and_channel_say)
{
    const struct guild g = {.id = GUILD, .owner = BEN};
    const struct overwrite o = {.id = ADA, .type = 1, .deny = MAY(STREAM)};
    struct guild_channel c = {.id = HOME, .type = 2};
    const struct role roles[] = {{.id = GUILD, .permissions = permissions_of_everyone()},
                                 {.id = GUILD + 1, .permissions = MAY(PRIORITY_SPEAKER)}};
    const uint64_t his[] = {GUILD + 1};
    struct member m = {.user = ADA};
    struct rights_rows rows = {.guild = schema_packed(&a, &schema_guild, &g),
                               .channel = schema_packed(&a, &schema_guild_channel, &c),
                               .member = schema_packed(&a, &schema_member, &m),
                               .roles = {2, roles}};
    uint64_t may = 0;
    CHECK_EQ(seat_rights(&a, &rows, 1, &may), OK);
    CHECK_TRUE((may & MAY(STREAM)) && !(may & MAY(PRIORITY_SPEAKER)));
    m.roles = (struct ids){1, his};
    c.overwrites.n = 1;
    c.overwrites.v = &o;
    rows.member = schema_packed(&a, &schema_member, &m);
    rows.channel = schema_packed(&a, &schema_guild_channel, &c);
    CHECK_EQ(seat_rights(&a, &rows, 1, &may), OK);
    CHECK_TRUE(!(may & MAY(STREAM)) && (may & MAY(PRIORITY_SPEAKER)));
    rows.member = BYTES_NONE; // no member any more
    CHECK_EQ(seat_rights(&a, &rows, 1, &may), OK);
    CHECK_EQ(may, 0);
    rows.channel = BYTES_NONE;
    CHECK_EQ(seat_rights(&a, &rows, 1, &may), ERR_MISSING);
    rows.channel = BYTES("x");
    CHECK_EQ(seat_rights(&a, &rows, 1, &may), ERR_INVALID);
    rows.guild = BYTES_NONE;
    CHECK_EQ(seat_rights(&a, &rows, 1, &may), ERR_MISSING);
    arena_reset(&a);
}

// --- events ---

TEST(whose_seats_an_event_is_about)
{
    const struct member m = {.user = BEN};
    const struct voice_seat v = {.user = BEN, .channel = HOME};
    const struct role r = {.id = GUILD};
    const struct guild_channel ch = {.id = HOME};
    const struct {
        struct event e;
        struct concern c;
    } rows[] = {
        {{.name = BYTES("MESSAGE_CREATE")}, {0}},
        {{.name = BYTES("CALL_UPDATE")}, {0}},
        {{.name = BYTES("VOICE_STATE_UPDATE"), .sitter = BEN, .left = true}, {.user = BEN}},
        {{.name = BYTES("VOICE_SERVER_UPDATE"), .sitter = BEN}, {.user = BEN}},
        {{.sitter = BEN, .row_tag = TAG_voice_seat, .row_id = BEN, .row = schema_packed(&a, &schema_voice_seat, &v)},
         {.user = BEN}},
        {{.row_tag = TAG_voice_seat, .row_id = BEN}, {.user = BEN}},
        {{.row = schema_packed(&a, &schema_voice_seat, &v)}, {.user = BEN}},
        {{.row_tag = TAG_member, .row_id = BEN, .row = schema_packed(&a, &schema_member, &m)},
         {.user = BEN, .rights = true}},
        {{.row_tag = TAG_member, .row_id = BEN}, {.user = BEN, .rights = true}}, // he is none any more
        {{.row_tag = TAG_role, .row_id = GUILD, .row = schema_packed(&a, &schema_role, &r)},
         {.all = true, .rights = true}},
        {{.row_tag = TAG_role, .row_id = 9}, {.all = true, .rights = true}},
        {{.row_tag = TAG_guild_channel, .row_id = HOME, .row = schema_packed(&a, &schema_guild_channel, &ch)},
         {.all = true, .rights = true}},
        {{.row_tag = TAG_guild_channel, .row_id = HOME}, {.all = true, .rights = true}},
        {{.name = BYTES("CALL_DELETE")}, {.all = true, .rights = true}},
        {{.name = BYTES("GUILD_DELETE"), .place_op = 2}, {.all = true, .rights = true}},
        {{.row_tag = TAG_stage, .row_id = 3}, {0}},
        {{.row = BYTES("\xff")}, {0}},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct concern c = seat_concern(&a, &rows[i].e);
        CHECK_EQ(c.user, rows[i].c.user);
        CHECK_EQ(c.all, rows[i].c.all);
        CHECK_EQ(c.rights, rows[i].c.rights);
    }
    arena_fini(&a);
}

MAIN
