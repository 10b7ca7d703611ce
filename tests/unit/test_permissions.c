// test_permissions: what somebody may do, by hand where the rules are told, and by some hundreds of generated guilds
// against a slow model that is written otherwise (permissions_model.h).
#include "permissions_model.h"
#include "check.h"
#include "present.h"

#define GUILD 100u
#define OWNER 7u
#define ANN 8u
#define NOW 5000u

// --- by hand ---

static const struct guild guild = {.id = GUILD, .owner = OWNER};
static const struct role roles[] = {
    {.id = GUILD, .permissions = MAY(VIEW_CHANNEL) | MAY(CONNECT) | MAY(SPEAK) | MAY(READ_MESSAGE_HISTORY)},
    {.id = 101, .permissions = MAY(MOVE_MEMBERS), .position = 1, .hoist = true},
    {.id = 102, .permissions = MAY(ADMINISTRATOR), .position = 2},
    {.id = 103, .permissions = 0, .position = 3, .hoist = true},
};
static const struct role_set all_roles = {countof(roles), roles};

static struct member with_roles(uint32_t n, const uint64_t *ids)
{
    return (struct member){.user = ANN, .roles = {n, ids}};
}

static uint64_t in_voice(const struct member *m, uint32_t n, const struct overwrite *v)
{
    const struct guild_channel c = {.id = 200, .type = 2, .overwrites = {n, v}};
    return permissions_in_channel(&guild, all_roles, m, &c, NOW);
}

TEST(everyones_role_and_ones_own_are_merged)
{
    static const uint64_t mover[] = {101, 999};
    const struct member m = with_roles(2, mover);
    CHECK_EQ(permissions_in_guild(&guild, all_roles, &m, NOW), roles[0].permissions | MAY(MOVE_MEMBERS));
    CHECK_EQ(permissions_in_guild(&guild, all_roles, NULL, NOW), 0);
}

TEST(the_owner_and_administrators_may_do_all_whatever_a_channel_says)
{
    static const uint64_t admin[] = {102};
    static const struct overwrite deny[] = {{GUILD, 0, 0, PERMISSIONS_ALL}, {OWNER, 1, 0, MAY(VIEW_CHANNEL)}};
    const struct member owner = {.user = OWNER, .disabled_until = NOW + 1}, boss = with_roles(1, admin);
    CHECK_EQ(in_voice(&owner, 2, deny), PERMISSIONS_ALL);
    CHECK_EQ(in_voice(&boss, 2, deny), PERMISSIONS_ALL);
}

TEST(a_channel_asks_everyone_then_roles_then_the_member)
{
    static const uint64_t both[] = {101, 103};
    const struct member m = with_roles(2, both);
    static const struct overwrite v[] = {
        {GUILD, 0, 0, MAY(VIEW_CHANNEL) | MAY(SPEAK)},
        {101, 0, 0, MAY(VIEW_CHANNEL) | MAY(CONNECT)},
        {103, 0, MAY(VIEW_CHANNEL), 0}, // of two roles the one that allows
        {ANN, 1, MAY(CONNECT), MAY(MOVE_MEMBERS)},
        {101, 1, PERMISSIONS_ALL, 0}, // a member of that id, not the role
    };
    CHECK_EQ(in_voice(&m, 1, v), 0);
    CHECK_EQ(in_voice(&m, 2, v), 0);
    CHECK_EQ(in_voice(&m, 3, v), MAY(VIEW_CHANNEL) | MAY(READ_MESSAGE_HISTORY));
    CHECK_EQ(in_voice(&m, 5, v), MAY(VIEW_CHANNEL) | MAY(READ_MESSAGE_HISTORY) | MAY(CONNECT));
}

TEST(who_is_timed_out_may_only_look_until_it_is_over)
{
    struct member m = with_roles(0, NULL);
    m.disabled_until = NOW + 1;
    CHECK_EQ(in_voice(&m, 0, NULL), MAY(VIEW_CHANNEL) | MAY(READ_MESSAGE_HISTORY));
    m.disabled_until = NOW;
    CHECK_EQ(in_voice(&m, 0, NULL), roles[0].permissions);
}

TEST(rank_and_the_role_that_lists_him_are_the_highest_of_their_kind)
{
    static const uint64_t ids[] = {102, 101, 999};
    const struct member m = with_roles(3, ids), none = with_roles(0, NULL);
    CHECK_EQ(permissions_rank(all_roles, &guild, &m), 2);
    CHECK_EQ(permissions_rank(all_roles, &guild, &none), 0);
    CHECK_EQ(permissions_rank((struct role_set){0}, &guild, &none), -1);
    CHECK_EQ(permissions_hoisted(all_roles, &m), 101);
    CHECK_EQ(permissions_hoisted(all_roles, &none), 0);
}

TEST(a_permission_is_found_by_its_name)
{
    uint64_t bit = 0;
    CHECK_EQ(permission_bit(BYTES("MOVE_MEMBERS"), &bit), OK);
    CHECK_EQ(bit, 1 << 24);
    CHECK_EQ(permission_bit(BYTES("MOVE"), &bit), ERR_MISSING);
    CHECK_TRUE(permissions_of_everyone() & MAY(VIEW_CHANNEL));
    CHECK_TRUE(!(permissions_of_everyone() & MAY(ADMINISTRATOR)));
}

// --- generated ---

#define ROWS 1000u
#define ROLES 6u
#define OVERWRITES 8u

static uint64_t state = 42;
static uint64_t random_u64(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t below(uint64_t n)
{
    return (random_u64() >> 16) % n;
}

static uint64_t some_permissions(void) // few, many, or those that decide about others
{
    switch (below(4)) {
    case 0:
        return random_u64() & random_u64() & random_u64() & ~MAY(ADMINISTRATOR);
    case 1:
        return (random_u64() | random_u64()) & ~MAY(ADMINISTRATOR);
    case 2:
        return (below(2) ? MAY(VIEW_CHANNEL) : 0) | (below(2) ? MAY(CONNECT) : 0) | (below(2) ? MAY(SPEAK) : 0);
    default:
        return below(4) ? 0 : MAY(ADMINISTRATOR) | random_u64();
    }
}

struct row {
    struct guild guild;
    struct role roles[ROLES];
    uint64_t his[ROLES + 1];
    struct overwrite overwrites[OVERWRITES];
    struct member member;
    struct guild_channel channel;
    struct model question;
};

static void make_overwrites(struct row *r)
{
    uint32_t n = 0;
    for (uint64_t id = GUILD; id < GUILD + ROLES && n < OVERWRITES; id++)
        if (below(2))
            r->overwrites[n++] = (struct overwrite){id, 0, some_permissions(), some_permissions()};
    for (uint64_t id = OWNER; id <= ANN && n < OVERWRITES; id++)
        if (below(2))
            r->overwrites[n++] = (struct overwrite){id, 1, some_permissions(), some_permissions()};
    r->channel.overwrites.n = n;
    r->channel.overwrites.v = r->overwrites;
}

static void make(struct row *r)
{
    static const uint64_t types[] = {0, 2, 4, 13};
    uint32_t n_roles = (uint32_t)below(ROLES + 1), n_his = (uint32_t)below(ROLES + 2);
    memset(r, 0, sizeof *r);
    r->guild = (struct guild){.id = GUILD, .owner = OWNER};
    for (uint32_t i = 0; i < n_roles; i++)
        r->roles[i] = (struct role){.id = GUILD + i, .permissions = some_permissions()};
    for (uint32_t i = 0; i < n_his; i++)
        r->his[i] = GUILD + below(ROLES + 1); // one perhaps that there is not, one perhaps twice
    r->member = (struct member){.user = below(8) ? ANN : OWNER, .roles = {n_his, r->his}};
    r->member.disabled_until = below(3) ? 0 : NOW - 1 + below(3);
    r->channel = (struct guild_channel){.id = 200, .type = types[below(4)]};
    make_overwrites(r);
    r->question = (struct model){&r->guild, {n_roles, r->roles}, below(20) ? &r->member : NULL, &r->channel, NOW};
}

enum {
    CASE_OWNER,
    CASE_ADMIN,
    CASE_NOBODY,
    CASE_TIMED_OUT,
    CASE_EVERYONE,
    CASE_ROLE,
    CASE_MEMBER,
    CASE_HIDDEN,
    CASE_DEAF,
    CASES
};

static bool decides(const struct row *r, uint32_t type, bool everyones)
{
    for (uint32_t i = 0; i < r->channel.overwrites.n; i++) {
        const struct overwrite *o = &r->overwrites[i];
        bool his = o->type == 1 ? o->id == r->member.user
                                : (o->id == GUILD) == everyones && (o->id == GUILD || ids_have(r->member.roles, o->id));
        if (o->type == type && his && (o->allow | o->deny))
            return true;
    }
    return false;
}

// Which rules a row was about, so that none of them goes without.
static void count(const struct row *r, uint32_t cases[CASES])
{
    const struct model *q = &r->question;
    uint64_t in_guild = model_in_guild(q), in_channel = model_in_channel(q);
    cases[CASE_NOBODY] += !q->member;
    if (!q->member)
        return;
    bool all = in_guild == PERMISSIONS_ALL, owner = q->member->user == OWNER;
    cases[CASE_OWNER] += owner;
    cases[CASE_ADMIN] += all && !owner;
    if (all)
        return;
    cases[CASE_TIMED_OUT] += q->member->disabled_until > NOW;
    cases[CASE_EVERYONE] += decides(r, 0, true);
    cases[CASE_ROLE] += decides(r, 0, false);
    cases[CASE_MEMBER] += decides(r, 1, false);
    cases[CASE_HIDDEN] += in_channel == 0;
    cases[CASE_DEAF] +=
        in_channel != 0 && !(in_channel & MAY(CONNECT)) && (q->channel->type == 2 || q->channel->type == 13);
}

TEST(a_thousand_generated_guilds_are_as_the_slow_model_says)
{
    uint32_t cases[CASES] = {0};
    static struct row r;
    for (uint32_t i = 0; i < ROWS; i++) {
        make(&r);
        const struct model *q = &r.question;
        CHECK_EQ(permissions_in_guild(q->guild, q->roles, q->member, NOW), model_in_guild(q));
        CHECK_EQ(permissions_in_channel(q->guild, q->roles, q->member, q->channel, NOW), model_in_channel(q));
        count(&r, cases);
    }
    for (uint32_t i = 0; i < CASES; i++)
        CHECK_TRUE(cases[i] >= 20);
}

MAIN
