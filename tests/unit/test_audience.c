// test_audience: who in a guild is told of what, while roles, channels, members and seats change.
#include "audience.h"
#include "check.h"
#include "present.h"

enum { GUILD = 100, MODS = 101 };                   // roles; everyone's is the guild's
enum { HALL = 200, OPEN = 201, HIDDEN = 202 };      // a category, channels
enum { OWNER = 1, ANN = 2, MOD = 3, STRANGER = 4 }; // users
enum { V = 10 };                                    // version of the picture

static struct audience *a;
static struct arena arena;

static const struct overwrite only_mods[] = {{GUILD, 0, 0, MAY(VIEW_CHANNEL)}, {MODS, 0, MAY(VIEW_CHANNEL), 0}};
static const struct overwrite not_ann[] = {{ANN, 1, 0, MAY(VIEW_CHANNEL)}};
static const uint64_t mods_role[] = {MODS};
static const struct member ann = {.user = ANN}, owner = {.user = OWNER};
static const struct member mod = {.user = MOD, .roles = {1, mods_role}};

static struct guild_channel channel(uint64_t id, uint32_t n, const struct overwrite *v)
{
    return (struct guild_channel){
        .id = id, .type = id == HALL ? CHANNEL_CATEGORY : CHANNEL_VOICE, .overwrites = {n, v}};
}

static void begin(void)
{
    static const struct role roles[] = {{.id = GUILD, .permissions = MAY(VIEW_CHANNEL)}, {.id = MODS, .position = 1}};
    const struct guild_channel channels[] = {channel(OPEN, 0, NULL), channel(HALL, 0, NULL),
                                             channel(HIDDEN, 2, only_mods)};
    static const struct voice_seat seats[] = {{.user = MOD, .channel = HIDDEN}, {.user = OWNER, .channel = OPEN}};
    const struct loaded_guild g = {.version = V,
                                   .guild = {.id = GUILD, .owner = OWNER},
                                   .n_channels = countof(channels),
                                   .n_seats = countof(seats),
                                   .roles = {countof(roles), roles},
                                   .channels = channels,
                                   .seats = seats};
    a = audience_new(&g);
    audience_enter(a, OWNER, &owner, V);
    audience_enter(a, ANN, &ann, V);
    audience_enter(a, MOD, &mod, V);
    CHECK_TRUE(audience_valid(a));
}

static void done(void)
{
    CHECK_TRUE(audience_valid(a));
    audience_free(a);
    arena_fini(&arena);
}

// --- events ---

static struct event about(uint64_t channel_id)
{
    return (struct event){.channel = channel_id};
}

static struct event with(struct event e, const struct schema *s, const void *v)
{
    e.row_tag = s->tag;
    e.row = schema_packed(&arena, s, v);
    return e;
}

static struct event without(struct event e, const struct schema *s, uint64_t id)
{
    e.row_tag = s->tag;
    e.row_id = id;
    return e;
}

static struct audience_row row_of(const struct event *e)
{
    struct audience_row row;
    CHECK_EQ(audience_row(&arena, e, &row), OK);
    return row;
}

// Takes it; who gets it, as digits in ascending order.
static int told(struct event e)
{
    const struct audience_row row = row_of(&e);
    int who = 0;
    audience_take(a, &row);
    CHECK_TRUE(audience_valid(a));
    const struct audience_gate gate = audience_gate(a, &e, &row);
    for (uint64_t user = OWNER; user <= STRANGER; user++)
        who = audience_gets(a, &gate, user) ? who * 10 + (int)user : who;
    return who;
}

// What has changed with it: "+201 2 -202 23 ", in order.
static char changes[512];
static void on_change(void *ctx, const struct audience_channel *c, bool appears, const struct keys *users)
{
    uint64_t in_order = 0;
    (void)ctx;
    for (uint64_t user = OWNER; user <= STRANGER; user++)
        for (uint32_t i = 0; i < users->n; i++)
            in_order = users->v[i] == user ? in_order * 10 + user : in_order;
    size_t n = strlen(changes);
    snprintf(changes + n, sizeof changes - n, "%c%d %d ", appears ? '+' : '-', (int)c->id, (int)in_order);
}

static const char *changed(void)
{
    changes[0] = '\0';
    audience_changes(a, on_change, NULL);
    return changes;
}

static int entry(struct event e) // one of its own
{
    audience_entry(a, a->version + 1);
    return told(e);
}

TEST(an_event_of_a_channel_is_for_those_who_may_view_it)
{
    begin();
    audience_enter(a, STRANGER, NULL, V);
    audience_entry(a, V + 1);
    CHECK_EQ(told(about(0)), 123);
    CHECK_EQ(told(about(OPEN)), 123);
    CHECK_EQ(told(about(HIDDEN)), 13);
    CHECK_EQ(told(about(999)), 0);
    CHECK_STR(changed(), "");
    done();
}

TEST(a_move_is_seen_from_three_sides_and_once)
{
    const struct voice_seat there = {.user = ANN, .channel = HIDDEN};
    struct event here = with(about(HIDDEN), &schema_voice_seat, &there), gone = about(OPEN);
    begin();
    here.sitter = gone.sitter = ANN;
    gone.unless = HIDDEN;
    audience_enter(a, STRANGER, &(struct member){.user = STRANGER}, V);
    audience_entry(a, V + 1);
    CHECK_EQ(told(here), 123); // she herself, though she may not view it
    CHECK_EQ(told(gone), 4);   // he sees where she was alone
    CHECK_EQ(audience_channel(a, HIDDEN)->seats->user, ANN);
    done();
}

TEST(a_seat_stands_where_its_row_says_until_it_has_gone)
{
    const struct voice_seat in_open = {.user = MOD, .channel = OPEN}, nowhere = {.user = MOD, .channel = 999};
    begin();
    CHECK_EQ(audience_channel(a, HIDDEN)->seats->user, MOD);
    (void)entry(with(about(OPEN), &schema_voice_seat, &in_open));
    CHECK_TRUE(!audience_channel(a, HIDDEN)->seats && audience_channel(a, OPEN)->seats->user == MOD);
    CHECK_EQ(audience_channel(a, OPEN)->seats->next->user, OWNER);
    (void)entry(with(about(999), &schema_voice_seat, &nowhere));
    CHECK_EQ(audience_channel(a, OPEN)->seats->user, OWNER);
    (void)entry(without(about(OPEN), &schema_voice_seat, OWNER));
    CHECK_TRUE(!audience_channel(a, OPEN)->seats);
    CHECK_EQ(a->seats.n, 1);
    done();
}

TEST(a_role_that_changes_shows_and_hides_channels_to_those_who_have_it)
{
    struct role mods = {.id = MODS, .permissions = MAY(ADMINISTRATOR)};
    const struct role everyone = {.id = GUILD, .permissions = 0};
    begin();
    CHECK_EQ(entry(with(about(0), &schema_role, &mods)), 123);
    CHECK_STR(changed(), ""); // he saw all of it before
    (void)entry(with(about(0), &schema_role, &everyone));
    CHECK_STR(changed(), "-201 2 -200 2 "); // a category goes after what is in it …
    mods.permissions = 0;
    (void)entry(with(about(0), &schema_role, &mods));
    CHECK_STR(changed(), "-201 3 -200 3 "); // not what the channel allows the role
    (void)entry(with(about(0), &schema_role, &(struct role){.id = GUILD, .permissions = MAY(VIEW_CHANNEL)}));
    CHECK_STR(changed(), "+200 23 +201 23 "); // … and comes before it
    (void)entry(with(about(0), &schema_role, &(struct role){.id = 999, .permissions = MAY(ADMINISTRATOR)}));
    CHECK_STR(changed(), "");
    (void)entry(without(about(0), &schema_role, GUILD));
    CHECK_STR(changed(), "-201 23 -200 23 ");
    done();
}

TEST(ones_own_row_shows_and_hides_channels_to_oneself)
{
    const struct member with_role = {.user = ANN, .roles = {1, mods_role}};
    begin();
    CHECK_EQ(entry(with(about(0), &schema_member, &with_role)), 123);
    CHECK_STR(changed(), "+202 2 ");
    CHECK_EQ(entry(about(HIDDEN)), 123);
    (void)entry(with(about(0), &schema_member, &ann));
    CHECK_STR(changed(), "-202 2 ");
    CHECK_EQ(entry(about(HIDDEN)), 13);
    (void)entry(with(about(0), &schema_member, &(struct member){.user = 77}));
    CHECK_STR(changed(), "");
    done();
}

TEST(a_new_owner_sees_all_and_the_last_one_no_more_than_others)
{
    begin();
    CHECK_EQ(entry(with(about(0), &schema_guild, &(struct guild){.id = GUILD, .owner = ANN})), 123);
    CHECK_STR(changed(), "-202 1 +202 2 ");
    CHECK_EQ(entry(about(HIDDEN)), 23);
    done();
}

TEST(who_is_no_member_any_more_hears_that_and_nothing_else)
{
    begin();
    CHECK_EQ(entry(without(about(0), &schema_member, ANN)), 123);
    CHECK_STR(changed(), "");
    CHECK_EQ(told(about(OPEN)), 13); // in the same entry, too
    CHECK_EQ(told((struct event){.channel = OPEN, .sitter = ANN}), 123);
    CHECK_EQ(entry(about(0)), 13);
    (void)entry(with(about(0), &schema_member, &ann));
    CHECK_EQ(entry(about(OPEN)), 123);
    done();
}

TEST(a_channel_that_is_made_changed_or_deleted_is_told_to_those_who_see_it_then)
{
    struct guild_channel c = channel(300, 1, not_ann);
    begin();
    CHECK_EQ(entry(with(about(300), &schema_guild_channel, &c)), 13);
    CHECK_STR(changed(), ""); // the event itself says so
    CHECK_EQ(entry(about(300)), 13);
    c = channel(300, 0, NULL);
    CHECK_EQ(entry(with(about(300), &schema_guild_channel, &c)), 13); // as an update, to those who knew it
    CHECK_STR(changed(), "+300 2 ");
    c = channel(300, 2, only_mods);
    CHECK_EQ(entry(with(about(300), &schema_guild_channel, &c)), 13);
    CHECK_STR(changed(), "-300 2 ");
    CHECK_EQ(entry(without(about(300), &schema_guild_channel, 300)), 13);
    CHECK_STR(changed(), "-300 13 "); // for what has to be told before it goes
    CHECK_TRUE(a->gone && a->gone->id == 300);
    CHECK_EQ(told(about(300)), 0);
    CHECK_EQ(entry(without(about(300), &schema_guild_channel, 300)), 0);
    done();
}

TEST(seats_outlive_their_channel_and_are_told_of_as_it_goes)
{
    begin();
    CHECK_EQ(entry(without(about(HIDDEN), &schema_guild_channel, HIDDEN)), 13);
    CHECK_EQ(a->gone->seats->user, MOD);
    CHECK_EQ(entry((struct event){.channel = HIDDEN, .sitter = MOD}), 3);
    CHECK_EQ(a->seats.n, 2);
    (void)entry(without(about(HIDDEN), &schema_voice_seat, MOD));
    CHECK_EQ(a->seats.n, 1);
    done();
}

TEST(many_channels_come_and_go)
{
    begin();
    for (uint64_t id = 1000; id < 1200; id++) {
        const struct guild_channel c = channel(id, id % 2, not_ann);
        CHECK_EQ(entry(with(about(id), &schema_guild_channel, &c)), id % 2 ? 13 : 123);
    }
    for (uint64_t id = 1000; id < 1200; id += 3)
        CHECK_EQ(entry(without(about(id), &schema_guild_channel, id)), id % 2 ? 13 : 123);
    uint32_t used = a->n_index;
    for (uint64_t id = 1000; id < 1200; id += 3) {
        const struct guild_channel c = channel(id, 0, NULL);
        CHECK_EQ(entry(with(about(id), &schema_guild_channel, &c)), 123);
    }
    CHECK_EQ(a->n_index, used);
    done();
}

TEST(what_the_picture_holds_already_does_not_change_it)
{
    const struct member with_role = {.user = ANN, .roles = {1, mods_role}};
    begin();
    audience_entry(a, V);
    CHECK_EQ(told(with(about(0), &schema_member, &with_role)), 123);
    CHECK_EQ(told(about(HIDDEN)), 13);
    CHECK_EQ(told(without(about(OPEN), &schema_guild_channel, OPEN)), 123);
    CHECK_TRUE(audience_channel(a, OPEN) != NULL);
    CHECK_STR(changed(), "");
    CHECK_EQ(a->version, V);
    done();
}

TEST(who_is_told_late_of_what_changes_what_he_sees_cannot_go_on)
{
    const struct member row = {.user = ANN};
    const struct role role = {.id = MODS};
    const struct guild g = {.id = GUILD, .owner = OWNER};
    const struct guild_channel c = channel(OPEN, 0, NULL);
    const struct voice_seat seat = {.user = ANN, .channel = OPEN};
    begin();
    const struct event events[] = {with(about(0), &schema_role, &role),
                                   with(about(0), &schema_guild, &g),
                                   with(about(OPEN), &schema_guild_channel, &c),
                                   without(about(0), &schema_guild_channel, 5),
                                   with(about(0), &schema_member, &row),
                                   with(about(OPEN), &schema_voice_seat, &seat),
                                   about(OPEN)};
    for (uint64_t version = V; version <= V + 1; version++) {
        bool late = version == V;
        audience_entry(a, version);
        for (size_t i = 0; i < countof(events); i++) {
            const struct audience_row r = row_of(&events[i]);
            CHECK_EQ(audience_breaks(a, &r, ANN), late && i <= 4);
            CHECK_EQ(audience_breaks(a, &r, MOD), late && i < 4);
        }
    }
    done();
}

TEST(a_row_that_was_read_apart_is_as_new_as_its_own_version)
{
    const struct member with_role = {.user = STRANGER, .roles = {1, mods_role}}, plain = {.user = STRANGER};
    struct event e = with(about(0), &schema_member, &plain);
    begin();
    audience_enter(a, STRANGER, &with_role, V + 2); // the picture has not come so far
    const struct audience_row r = row_of(&e);
    CHECK_EQ(entry(e), 1234);
    CHECK_TRUE(audience_breaks(a, &r, STRANGER)); // one that was there before his row was read
    CHECK_EQ(told(about(HIDDEN)), 134);           // the row at V + 2 counts
    (void)entry(about(0));
    (void)entry(e);
    CHECK_STR(changed(), "-202 4 ");
    audience_enter(a, STRANGER, &with_role, V + 9); // known well enough
    CHECK_EQ(entry(about(HIDDEN)), 13);
    done();
}

TEST(a_row_that_was_read_before_the_picture_went_on_gives_way_to_a_newer_one)
{
    const struct member with_role = {.user = STRANGER, .roles = {1, mods_role}}, plain = {.user = STRANGER};
    begin();
    audience_enter(a, STRANGER, &with_role, V - 1);
    CHECK_EQ(entry(about(HIDDEN)), 134);
    audience_enter(a, STRANGER, &plain, V - 1);
    CHECK_EQ(entry(about(HIDDEN)), 134);
    audience_enter(a, STRANGER, &plain, V);
    CHECK_EQ(entry(about(HIDDEN)), 13);
    CHECK_STR(changed(), "");
    audience_exit(a, STRANGER);
    CHECK_TRUE(!audience_viewer(a, STRANGER));
    CHECK_EQ(entry((struct event){.sitter = STRANGER}), 1234);
    done();
}

TEST(a_row_that_cannot_be_read_is_none)
{
    struct audience_row row;
    struct event e = about(0);
    begin();
    e.row = BYTES("\xc1 nonsense");
    CHECK_EQ(audience_row(&arena, &e, &row), ERR_INVALID);
    CHECK_EQ(row.kind, AUDIENCE_OTHER);
    e = with(about(0), &schema_role, &(struct role){.id = 5});
    e.row.n--;
    CHECK_EQ(audience_row(&arena, &e, &row), ERR_INVALID);
    e.row = BYTES("\x92\xcd\x7f\xff\x01"); // a row of a newer process
    CHECK_EQ(audience_row(&arena, &e, &row), OK);
    CHECK_EQ(row.kind, AUDIENCE_OTHER);
    e = with(about(0), &schema_stage, &(struct stage){.id = 5, .topic = BYTES("")});
    CHECK_EQ(audience_row(&arena, &e, &row), OK);
    CHECK_EQ(row.kind, AUDIENCE_OTHER);
    done();
}

// --- any changes, in any order, as clients see them ---

#define USERS 6u
#define ROLES 5u // everyone's first
#define CHANNELS 80u
#define STEPS 4000u

static struct {
    uint64_t owner;
    bool role[ROLES], channel[CHANNELS], member[USERS];
    struct role roles[ROLES];
    struct overwrite overwrites[CHANNELS][3];
    struct guild_channel channels[CHANNELS];
    uint64_t his[USERS][ROLES];
    struct member members[USERS];
} truth;
static bool knows[USERS][CHANNELS]; // of his client

static uint64_t random_state = 7;
static uint64_t below(uint64_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % n;
}

static bool may_view(uint64_t user, uint64_t c)
{
    const struct guild g = {.id = GUILD, .owner = truth.owner};
    struct role roles[ROLES];
    uint32_t n = 0;
    for (uint64_t i = 0; i < ROLES; i++)
        if (truth.role[i])
            roles[n++] = truth.roles[i];
    const struct member *m = truth.member[user] ? &truth.members[user] : NULL;
    return truth.channel[c] &&
           (permissions_in_channel(&g, (struct role_set){n, roles}, m, &truth.channels[c], 0) & MAY(VIEW_CHANNEL));
}

static uint64_t some_bits(void)
{
    static const uint64_t bits[] = {0, MAY(VIEW_CHANNEL), MAY(SPEAK), MAY(VIEW_CHANNEL), 0, MAY(ADMINISTRATOR)};
    return bits[below(countof(bits) - (below(4) ? 1 : 0))];
}

static struct event change_role(void)
{
    uint64_t i = below(ROLES), id = GUILD + i;
    truth.role[i] = i == 0 || below(4) > 0;
    truth.roles[i] = (struct role){.id = id, .permissions = some_bits()};
    return truth.role[i] ? with(about(0), &schema_role, &truth.roles[i]) : without(about(0), &schema_role, id);
}

static struct event change_channel(void)
{
    uint64_t i = below(CHANNELS), id = 1000 + i;
    struct overwrite *o = truth.overwrites[i];
    if (truth.channel[i] && below(3) == 0) {
        truth.channel[i] = false;
        return without(about(id), &schema_guild_channel, id);
    }
    o[0] = (struct overwrite){GUILD, 0, some_bits(), some_bits()};
    o[1] = (struct overwrite){GUILD + 1 + below(ROLES - 1), 0, some_bits(), some_bits()};
    o[2] = (struct overwrite){1 + below(USERS), 1, some_bits(), some_bits()};
    truth.channel[i] = true;
    truth.channels[i] = channel(id, (uint32_t)below(4), o);
    return with(about(id), &schema_guild_channel, &truth.channels[i]);
}

static struct event change_member(uint64_t i)
{
    uint32_t n = (uint32_t)below(3);
    for (uint32_t k = 0; k < n; k++)
        truth.his[i][k] = GUILD + 1 + below(ROLES - 1);
    truth.members[i] = (struct member){.user = 1 + i, .roles = {n, truth.his[i]}};
    truth.member[i] = below(5) > 0;
    return truth.member[i] ? with(about(0), &schema_member, &truth.members[i])
                           : without(about(0), &schema_member, 1 + i);
}

static struct event change_owner(void)
{
    truth.owner = 1 + below(USERS);
    return with(about(0), &schema_guild, &(struct guild){.id = GUILD, .owner = truth.owner});
}

static struct event change_something(void)
{
    switch (below(8)) {
    case 0:
        return change_role();
    case 1:
        return change_member(below(USERS));
    case 2:
        return below(4) ? about(0) : change_owner();
    default:
        return change_channel();
    }
}

static void client_told(void *ctx, const struct audience_channel *c, bool appears, const struct keys *users)
{
    (void)ctx;
    for (uint32_t i = 0; i < users->n && c != a->gone; i++) {
        bool *known = &knows[users->v[i] - 1][c->id - 1000];
        CHECK_TRUE(*known != appears);
        *known = appears;
    }
}

// The event itself: whoever gets one about a channel knew it, or gets to know it, or loses it.
static void clients_get(const struct event *e, const struct audience_row *row)
{
    const struct audience_gate gate = audience_gate(a, e, row);
    for (uint64_t i = 0; i < USERS && row->kind == AUDIENCE_CHANNEL; i++) {
        bool *known = &knows[i][row->id - 1000];
        if (!audience_gets(a, &gate, 1 + i))
            continue;
        CHECK_TRUE(*known == !a->made);
        *known = row->v != NULL;
    }
}

TEST(every_client_knows_at_any_time_exactly_the_channels_that_its_user_may_view)
{
    const struct loaded_guild g = {.version = V, .guild = {.id = GUILD, .owner = 99}};
    a = audience_new(&g);
    for (uint64_t i = 0; i < USERS; i++)
        audience_enter(a, 1 + i, NULL, V);
    for (uint64_t step = 0; step < STEPS; step++) {
        const struct event e = change_something();
        const struct audience_row row = row_of(&e);
        audience_entry(a, a->version + 1);
        audience_take(a, &row);
        if (a->gone)
            audience_changes(a, client_told, NULL);
        clients_get(&e, &row);
        if (!a->gone)
            audience_changes(a, client_told, NULL);
        for (uint64_t i = 0; i < USERS; i++) {
            if (row.kind == AUDIENCE_MEMBER && row.id == 1 + i && !row.v)
                memset(knows[i], 0, sizeof knows[i]); // the guild has gone for him
            for (uint64_t c = 0; c < CHANNELS; c++)
                CHECK_EQ(knows[i][c], may_view(i, c));
        }
        arena_reset(&arena);
    }
    done();
}

MAIN
