// Voice states in a guild, from any guild that could be made, by any inputs of either half of its core; each step is
// written as the shell writes it, and the guild in memory (voice_world.h) checks what must always hold. Besides:
// - A refused input changed nothing and tells nothing.
// - A crowd is through after a bounded number of commits.
// - When all rows of timers have come due and every ask was answered, everybody sits at one and the same node with his
//   channel, nothing is owed, and no stage is open on which nobody may speak.
#include "../unit/voice_world.h"
#include "errors.h"
#include "fill.h"
#include "sets.h"

// Small numbers, so that what a message names is often there.
enum { USERS = 40, FIRST_CHANNEL = 61, CHANNELS = 8, FIRST_STAGE = 64, FIRST_ROLE = 71, ROLES = 4, STEPS_MAX = 100 };

static const char *const sessions[] = {"s1", "s2", ""};
static const char *const gateways[] = {"g1", "g2"};
static const char *const nodes[] = {"a", "b", "c"};
static const char *const regions[] = {"rotterdam", "x"};
#define ONE_OF(f, of) ((of)[feed_below((f), countof(of))])

struct run {
    struct feed in;
    struct voice_world w;
    struct arena a; // messages
    uint64_t epoch;
};

static uint64_t any_user(struct feed *f)
{
    return feed_below(f, USERS + 2); // 0: nobody; the last one is no member
}

static uint64_t any_channel(struct feed *f)
{
    uint32_t i = feed_below(f, CHANNELS + 2);
    return i == CHANNELS ? 0 : FIRST_CHANNEL + i;
}

// --- where it begins ---

static void begin_roles(struct run *r)
{
    for (uint64_t i = 0; i < ROLES; i++)
        WORLD_PUT(&r->w, WORLD_ROLES, FIRST_ROLE + i, role, .id = FIRST_ROLE + i, .name = BYTES("r"),
                  .permissions = feed_flag(&r->in) ? 0 : 1ull << feed_below(&r->in, 53), .position = i,
                  .hoist = feed_flag(&r->in));
}

static void begin_channels(struct run *r)
{
    static const uint64_t types[] = {CHANNEL_VOICE, CHANNEL_VOICE, CHANNEL_VOICE,
                                     CHANNEL_STAGE, CHANNEL_TEXT,  CHANNEL_CATEGORY};
    for (uint64_t i = 0; i < CHANNELS; i++) {
        uint64_t id = FIRST_CHANNEL + i;
        struct overwrite o = {.id = feed_flag(&r->in) ? WORLD_GUILD : FIRST_ROLE + feed_below(&r->in, ROLES)};
        uint8_t what = feed_u8(&r->in);
        o.allow = what & 1 ? 1ull << feed_below(&r->in, 53) : 0;
        o.deny = what & 2 ? 1ull << feed_below(&r->in, 53) : 0;
        WORLD_PUT(&r->w, WORLD_CHANNELS, id, guild_channel, .id = id, .type = types[i % countof(types)],
                  .name = BYTES("c"), .user_limit = what & 4 ? what >> 6 : 0,
                  .rtc_region = what & 8 ? BYTES("rotterdam") : BYTES_NONE, .overwrites = {what & 16 ? 1 : 0, &o});
    }
}

static void begin_members(struct run *r)
{
    for (uint64_t user = 1; user <= USERS; user++) {
        uint8_t what = user < 8 ? feed_u8(&r->in) : 0;
        uint64_t roles[] = {FIRST_ROLE + (what & 3)};
        WORLD_PUT(&r->w, WORLD_MEMBERS, user, member, .user = user, .roles = {what & 4 ? 1 : 0, roles},
                  .mute = what & 8, .deaf = what & 16, .disabled_until = what & 32 ? r->w.now + 1000 : 0);
    }
}

static void begin_stage(struct run *r)
{
    const struct stage to = {.topic = BYTES("t")};
    const struct stage_put e = {.opens = true, .set = SET_STAGE_TOPIC, .to = &to};
    CHECK(world_do(&r->w, (struct guild_in){.kind = GUILD_IN_STAGE_PUT, .channel = FIRST_STAGE, .msg = &e}) == OK);
}

static void begin(struct run *r)
{
    world_begin(&r->w);
    r->w.guild.afk_channel = feed_flag(&r->in) ? FIRST_CHANNEL + 1 : 0;
    r->w.guild.video_max = feed_below(&r->in, 3);
    begin_roles(r);
    begin_channels(r);
    begin_members(r);
    begin_stage(r);
}

// --- voice ---

static void join(struct run *r)
{
    uint8_t what = feed_u8(&r->in);
    struct bytes preferred[] = {BYTES("rotterdam"), BYTES("y")};
    struct guild_in in = {.kind = GUILD_IN_JOIN,
                          .target = any_user(&r->in),
                          .channel = any_channel(&r->in),
                          .session = sessions[what & 1],
                          .gateway = gateways[what >> 1 & 1],
                          .epoch = what & 4 ? r->epoch : ++r->epoch,
                          .stays = what & 8 && what & 16,
                          .bot = what & 32 && what & 64,
                          .self_mute = what & 64,
                          .self_video = what & 128,
                          .regions = {feed_below(&r->in, 3), preferred}};
    (void)world_do(&r->w, in);
}

// Most often the answer that is awaited.
static int answer(struct run *r, uint64_t user, const char *node, uint8_t what)
{
    const struct voice_seat *s = world_seat(&r->w, user);
    struct guild_in in = {.kind = GUILD_IN_ASSIGNED,
                          .target = user,
                          .channel = s ? s->channel : any_channel(&r->in),
                          .session = s && !(what & 1) ? arena_text(&r->a, s->session) : sessions[0],
                          .asked_at = s ? s->server_at - r->w.rules.retry_ms : r->w.now,
                          .region = regions[what >> 1 & 1],
                          .node = node,
                          .endpoint = node[0] ? "h:1" : "",
                          .token = "t",
                          .token_ms = 300000};
    in.asked_at -= what & 4 && what & 8;
    return world_do(&r->w, in);
}

static void lose_or_free(struct run *r)
{
    bool lost = feed_flag(&r->in);
    struct guild_in in = {.kind = lost ? GUILD_IN_SERVER_LOST : GUILD_IN_SERVER_FREE,
                          .channel = any_channel(&r->in),
                          .node = ONE_OF(&r->in, nodes)};
    in.drains = lost && feed_flag(&r->in);
    if (in.channel)
        (void)world_do(&r->w, in);
}

static void leave(struct run *r)
{
    uint8_t what = feed_u8(&r->in);
    static const enum guild_in_kind kinds[] = {GUILD_IN_LEAVE, GUILD_IN_LEAVE, GUILD_IN_MOVED, GUILD_IN_GATEWAY_LOST};
    struct guild_in in = {.kind = kinds[what & 3],
                          .target = any_user(&r->in),
                          .session = (what & 3) == 2 ? sessions[what >> 2 & 1] : ONE_OF(&r->in, sessions),
                          .gateway = gateways[what >> 3 & 1],
                          .epoch = r->epoch + 1 - (what >> 4)};
    if (in.kind == GUILD_IN_LEAVE && what & 4) { // his voice connection is gone
        in.channel = any_channel(&r->in);
        in.node = ONE_OF(&r->in, nodes);
    }
    (void)world_do(&r->w, in);
}

static void rows_due(struct run *r)
{
    uint64_t user = any_user(&r->in);
    if (feed_flag(&r->in) && r->w.n_room_rows)
        (void)world_room_due(&r->w);
    else if (r->w.seat_row[user])
        (void)world_seat_due(&r->w, user);
}

// --- what people change ---

static void change(struct run *r)
{
    enum guild_in_kind kind =
        GUILD_IN_MEMBER_EDIT + feed_below(&r->in, GUILD_IN_KINDS - (uint32_t)GUILD_IN_MEMBER_EDIT);
    const struct schema *s = guild_schema(kind);
    char *v = arena_take(&r->a, s->size);
    fill(&r->a, &r->in, s, v, FILL_DEPTH);
    const struct msg m = {s, v};
    struct guild_in in;
    uint64_t guild;
    bool crowded = r->w.t[WORLD_CHANNELS].n > WORLD_ROWS - 4 || r->w.t[WORLD_ROLES].n > WORLD_ROWS - 4;
    if (crowded || guild_command(&m, &in, &guild) != OK)
        return;
    in.actor = feed_flag(&r->in) ? in.actor : 0; // the operator may do anything
    in.region_known = feed_flag(&r->in);
    CHECK(in.kind == kind);
    (void)world_do(&r->w, in);
}

static void act(struct run *r)
{
    switch (feed_below(&r->in, 12)) {
    case 0:
    case 1:
    case 2:
        join(r);
        return;
    case 3:
    case 4:
        (void)answer(r, any_user(&r->in), feed_below(&r->in, 4) ? ONE_OF(&r->in, nodes) : "", feed_u8(&r->in));
        return;
    case 5:
        lose_or_free(r);
        return;
    case 6:
        leave(r);
        return;
    case 7:
        rows_due(r);
        return;
    case 8:
        r->w.now += feed_u8(&r->in) * 20u;
        return;
    case 9: // a crowd
        for (uint64_t user = 1 + feed_below(&r->in, USERS), n = 0; user <= USERS && n < 24; user++, n++)
            (void)world_do(&r->w, (struct guild_in){.kind = GUILD_IN_JOIN,
                                                    .target = user,
                                                    .channel = FIRST_CHANNEL,
                                                    .session = "s1",
                                                    .gateway = "g1",
                                                    .epoch = ++r->epoch});
        return;
    default:
        change(r);
        return;
    }
}

// --- in the end ---

static bool owed(const struct voice_world *w)
{
    for (uint32_t i = 0; i < w->t[WORLD_SEATS].n; i++)
        if (((const struct voice_seat *)w->t[WORLD_SEATS].row[i])->server != 2)
            return true;
    return w->n_room_rows > 0;
}

// The region of the channel, which an answer must be from.
static uint8_t region_of(const struct voice_world *w, const struct voice_seat *s)
{
    const struct guild_channel *c = world_get(&w->t[WORLD_CHANNELS], s->channel);
    return c->rtc_region.n > 0 && !bytes_is(c->rtc_region, regions[0]) ? 2 : 0;
}

static bool settles(const struct voice_world *w) // some channel may be in a region that no answer here is from
{
    for (uint32_t i = 0; i < w->t[WORLD_CHANNELS].n; i++) {
        const struct guild_channel *c = w->t[WORLD_CHANNELS].row[i];
        if (c->rtc_region.n > 0 && !bytes_is(c->rtc_region, regions[0]) && !bytes_is(c->rtc_region, regions[1]))
            return false;
    }
    return true;
}

static void settle(struct run *r)
{
    for (unsigned n = 0; owed(&r->w); n++) {
        CHECK(n < 12);
        r->w.now += 20000;
        for (unsigned rows = r->w.n_room_rows; rows > 0; rows--)
            (void)world_room_due(&r->w);
        for (uint64_t user = 1; user <= USERS; user++) {
            const struct voice_seat *s = world_seat(&r->w, user);
            if (s && r->w.seat_row[user])
                (void)world_seat_due(&r->w, user);
            s = world_seat(&r->w, user);
            if (s && s->server != 2)
                (void)answer(r, user, "z", region_of(&r->w, s));
        }
    }
    for (uint32_t i = 0; i < r->w.t[WORLD_ROOMS].n; i++)
        CHECK(((const struct voice_room *)r->w.t[WORLD_ROOMS].row[i])->node.n > 0);
    for (uint32_t i = 0; i < r->w.t[WORLD_STAGES].n; i++)
        CHECK(((const struct stage *)r->w.t[WORLD_STAGES].row[i])->silent_at == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    r = (struct run){.in = {data, size}};
    begin(&r);
    for (unsigned n = 0; r.in.n && n < STEPS_MAX; n++)
        act(&r);
    if (settles(&r.w))
        settle(&r);
    world_end(&r.w);
    arena_fini(&r.a);
    return 0;
}
