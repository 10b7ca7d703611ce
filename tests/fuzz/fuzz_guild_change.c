// A guild and whatever is asked of it: commands as they come from the bus, by anybody, about anything, and voice states
// that come, move and go, in between.
// - What a step commits fits together (guild_world.h): rooms count who sits in them, rows are as events say, and all
//   that gateways keep is told of.
// - What is done some at a time comes to an end.
// - Nobody rises by what he does himself, touches roles or names of those above him, or makes administrators unless he
//   is one; and who is no member changes nothing.
#include "fill.h"

#define CHECK_EQ(a, b) CHECK((a) == (b))
#define CHECK_TRUE(cond) CHECK(cond)
#define WORLD_MAX 96u
#include "../unit/guild_world.h"
#include "guild_form.h"

#define STEPS_MAX 64u
#define MORE_MAX 64u

static struct world before;

static uint64_t any(struct feed *f, const uint64_t *v, uint32_t n)
{
    uint32_t i = feed_below(f, n + 1);
    return i < n ? v[i] : feed_number(f);
}

static uint64_t any_user(struct feed *f)
{
    static const uint64_t users[] = {OWEN, MOD, ADA, BEN, HUGH, ALMA, BOT, 0};
    return any(f, users, countof(users));
}

static uint64_t any_channel(struct feed *f)
{
    static const uint64_t channels[] = {TEXT, VOICE, OTHER, STAGE, CATEGORY, HIDDEN, 0, 1000};
    return any(f, channels, countof(channels));
}

// --- inputs ---

// A copy of what `to` points to, to be aimed at what there is.
#define AIMED(a, v) (memcpy(arena_take(a, sizeof *(v)), (v), sizeof *(v)))

static void aim(struct arena *a, struct feed *f, enum guild_in_kind kind, void *msg)
{
    if (kind == GUILD_IN_MEMBER_EDIT || kind == GUILD_IN_MEMBER_REMOVE || kind == GUILD_IN_VOICE_EDIT) {
        struct member_remove *m = msg; // the three begin alike
        m->target = any_user(f);
    }
    if (kind == GUILD_IN_MEMBER_EDIT)
        ((struct member_edit *)msg)->channel = any_channel(f);
    if (kind == GUILD_IN_VOICE_EDIT && feed_flag(f))
        ((struct voice_state_edit *)msg)->channel = any_channel(f);
    if (kind == GUILD_IN_CHANNEL_PUT && ((struct channel_put *)msg)->to) {
        struct guild_channel *to = AIMED(a, ((struct channel_put *)msg)->to);
        to->id = any_channel(f);
        to->parent = any_channel(f);
        ((struct channel_put *)msg)->to = to;
    }
    if (kind == GUILD_IN_GUILD_EDIT && ((struct guild_edit *)msg)->to) {
        struct guild *to = AIMED(a, ((struct guild_edit *)msg)->to);
        to->owner = any_user(f);
        to->afk_channel = any_channel(f);
        ((struct guild_edit *)msg)->to = to;
    }
    if (kind == GUILD_IN_CHANNEL_DELETE || kind == GUILD_IN_STATUS_PUT || kind == GUILD_IN_STAGE_PUT ||
        kind == GUILD_IN_STAGE_DELETE)
        ((struct channel_delete *)msg)->channel = any_channel(f); // the four begin alike
}

static int change(struct arena *a, struct feed *f, enum guild_in_kind kind, struct guild_in *in)
{
    const struct schema *s = guild_schema(kind);
    void *msg = arena_take(a, s->size);
    uint64_t guild;
    fill(a, f, s, msg, FILL_DEPTH);
    *(uint64_t *)msg = any_user(f); // whoever asks stands first in each
    aim(a, f, kind, msg);
    int err = guild_command(&(struct msg){s, msg}, in, &guild);
    in->new_id = 1000 + feed_u8(f);
    in->region_known = feed_flag(f);
    return err;
}

static const char *any_name(struct feed *f, const char *a, const char *b)
{
    return feed_flag(f) ? a : feed_flag(f) ? b : "";
}

static void voice(struct arena *a, struct feed *f, enum guild_in_kind kind, struct guild_in *in)
{
    uint64_t target = any_user(f);
    const struct voice_seat *seat = seat_of(target);
    const char *own = arena_printf(a, "s-%llu%c", (unsigned long long)target, 0).p;
    *in = (struct guild_in){.kind = kind, .target = target, .channel = any_channel(f)};
    in->session = any_name(f, own, "another");
    in->gateway = any_name(f, "gw-1", "gw-2");
    in->epoch = seat ? seat->epoch + feed_below(f, 3) - 1 : feed_number(f);
    in->stays = feed_flag(f);
    in->bot = target == BOT;
    in->self_mute = feed_flag(f);
    in->self_video = feed_flag(f);
    in->asked_at = seat && seat->server_at > rules.retry_ms ? seat->server_at - rules.retry_ms : feed_number(f);
    in->node = any_name(f, "node-1", "node-2");
    in->region = any_name(f, "rotterdam", "frankfurt");
    in->endpoint = any_name(f, "host:443", "other:443");
    in->token = "0123456789abcdef";
}

// --- what must hold ---

static int64_t rank_in(const struct world *w, uint64_t user)
{
    const struct role_set roles = {w->n_roles, w->roles};
    if (user == w->guild.owner)
        return INT64_MAX;
    for (uint32_t i = 0; i < w->n_members; i++)
        if (w->members[i].user == user)
            return permissions_rank(roles, &w->guild, &w->members[i]);
    return -1;
}

static uint64_t may_in(const struct world *w, uint64_t user, uint64_t at)
{
    const struct role_set roles = {w->n_roles, w->roles};
    for (uint32_t i = 0; i < w->n_members; i++)
        if (w->members[i].user == user)
            return permissions_in_guild(&w->guild, roles, &w->members[i], at);
    return 0;
}

static bool same_row(const struct schema *s, const void *a, const void *b)
{
    return bytes_eq(schema_packed(&world_arena, s, a), schema_packed(&world_arena, s, b));
}

static void check_roles(uint64_t actor, int64_t rank)
{
    bool administrator = may_in(&before, actor, now) & MAY(ADMINISTRATOR);
    for (uint32_t i = 0; i < before.n_roles; i++) {
        const struct role *was = &before.roles[i], *is = role_of(was->id);
        if ((int64_t)was->position >= rank)
            CHECK(is && same_row(&schema_role, was, is));
    }
    for (uint32_t i = 0; i < world.n_roles && !administrator; i++) {
        const struct role_set roles = {before.n_roles, before.roles};
        const struct role *was = role_set_find(roles, world.roles[i].id);
        CHECK(!(world.roles[i].permissions & MAY(ADMINISTRATOR)) || (was && was->permissions & MAY(ADMINISTRATOR)));
    }
}

static void check_members(uint64_t actor, int64_t rank)
{
    for (uint32_t i = 0; i < before.n_members; i++) {
        const struct member *was = &before.members[i], *is = member_of(was->user);
        if (was->user == actor || rank_in(&before, was->user) < rank)
            continue;
        CHECK(is && bytes_eq(is->nick, was->nick) && is->disabled_until == was->disabled_until);
    }
}

static void check_ranks(const struct guild_in *in)
{
    uint64_t actor = in->actor;
    int64_t rank = rank_in(&before, actor);
    if (in->kind < GUILD_IN_MEMBER_EDIT || actor == 0 || actor == before.guild.owner)
        return;
    CHECK(rank >= 0 && world.guild.owner == before.guild.owner);
    CHECK(rank_in(&world, actor) <= rank);
    check_roles(actor, rank);
    check_members(actor, rank);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    begin();
    for (uint32_t i = feed_below(&f, 30); i > 0; i--) {
        add_member(20 + i, 0);
        seat(20 + i, feed_flag(&f) ? VOICE : STAGE);
    }
    for (uint32_t i = 0; i < STEPS_MAX && f.n > 0; i++) {
        enum guild_in_kind kind = (enum guild_in_kind)feed_below(&f, GUILD_IN_KINDS);
        struct guild_in in;
        now += feed_u8(&f);
        if (kind < GUILD_IN_MEMBER_EDIT)
            voice(&world_arena, &f, kind, &in);
        else if (change(&world_arena, &f, kind, &in) != OK)
            continue;
        if (world.n_channels > WORLD_MAX - 8 || world.n_roles > WORLD_MAX - 8)
            break;
        memcpy(&before, &world, sizeof before);
        bool changed = false;
        for (uint32_t more = 0; step(in) == OK && (changed = true) && out.more; more++)
            CHECK(more < MORE_MAX);
        if (changed)
            check_ranks(&in);
    }
    arena_reset(&world_arena);
    return 0;
}
