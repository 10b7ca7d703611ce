// guild_world: a guild for tests of its core. What stands is in tables, from which each step's scene is made as the
// shell would read it, and to which its commit is applied as Redis would; after each step all of it has to agree.
#pragma once
#ifndef CHECK_EQ // whoever includes this may have its own
#include "check.h"
#endif
#include "errors.h"
#include "guild.h"

enum { GUILD = 100, NOW = 1700000000 };
enum { OWEN = 1, MOD = 2, ADA = 3, BEN = 4, HUGH = 5, ALMA = 6, BOT = 7, STRANGER = 9 }; // owner, moderator, …
enum { EVERYONE = GUILD, LOW = 201, MID = 202, ADMIN = 203, HIGH = 204 };                // by position
enum { TEXT = 301, VOICE = 302, OTHER = 303, STAGE = 304, CATEGORY = 305, HIDDEN = 306 };
#define MODERATES                                                                                                      \
    (MAY(KICK_MEMBERS) | MAY(MANAGE_CHANNELS) | MAY(MANAGE_GUILD) | MAY(MUTE_MEMBERS) | MAY(DEAFEN_MEMBERS) |          \
     MAY(MOVE_MEMBERS) | MAY(MANAGE_NICKNAMES) | MAY(MANAGE_ROLES) | MAY(MODERATE_MEMBERS))

#ifndef WORLD_MAX
#define WORLD_MAX 520u // rows of a kind
#endif
struct world {
    struct guild guild;
    uint32_t n_roles, n_channels, n_members, n_seats, n_rooms, n_stages, n_listed;
    struct role roles[WORLD_MAX];
    struct guild_channel channels[WORLD_MAX];
    struct member members[WORLD_MAX];
    struct voice_seat seats[WORLD_MAX];
    struct voice_room rooms[WORLD_MAX];
    struct stage stages[8];
    uint64_t listed[WORLD_MAX]; // {guild}:mi
};
static struct world world;
static struct stage stages_before[8]; // the last step
static uint32_t n_stages_before;
static struct arena world_arena; // as long as a test
static struct guild_out out;     // of the last step
static const struct guild_rules rules = {.server_delay_ms = 100, .retry_ms = 2000, .poll_ms = 5000, .stage_ms = 60000};
static uint64_t now = NOW;

// --- the tables; each is sorted by id ---

struct world_table {
    const char *suffix;
    const struct schema *schema;
    void *v;
    uint32_t *n;
};
static const struct world_table tables[] = {
    {"r", &schema_role, world.roles, &world.n_roles},
    {"ch", &schema_guild_channel, world.channels, &world.n_channels},
    {"mb", &schema_member, world.members, &world.n_members},
    {"vs", &schema_voice_seat, world.seats, &world.n_seats},
    {"vc", &schema_voice_room, world.rooms, &world.n_rooms},
    {"st", &schema_stage, world.stages, &world.n_stages},
};

static inline uint64_t row_key(const struct world_table *t, const void *row)
{
    if (t->schema == &schema_stage)
        return ((const struct stage *)row)->channel;
    return *(const uint64_t *)row; // the first field of all others
}

static inline void *row_of(const void *v, uint64_t key)
{
    for (size_t i = 0; i < countof(tables); i++) {
        const struct world_table *t = &tables[i];
        for (uint32_t k = 0; t->v == v && k < *t->n; k++)
            if (row_key(t, (char *)t->v + k * t->schema->size) == key)
                return (char *)t->v + k * t->schema->size;
    }
    return NULL;
}

static inline void drop_row(const struct world_table *t, uint64_t key)
{
    char *at = row_of(t->v, key);
    if (!at)
        return;
    char *end = (char *)t->v + *t->n * t->schema->size;
    memmove(at, at + t->schema->size, (size_t)(end - at) - t->schema->size);
    --*t->n;
}

static inline void keep_row(const struct world_table *t, const void *row)
{
    uint64_t key = row_key(t, row);
    size_t size = t->schema->size;
    drop_row(t, key);
    uint32_t at = 0;
    while (at < *t->n && row_key(t, (char *)t->v + at * size) < key)
        at++;
    CHECK(*t->n < WORLD_MAX);
    char *to = (char *)t->v + at * size;
    memmove(to + size, to, (*t->n - at) * size);
    memcpy(to, row, size);
    ++*t->n;
}

static inline void put_row(const void *v, const void *row)
{
    for (size_t i = 0; i < countof(tables); i++)
        if (tables[i].v == v)
            keep_row(&tables[i], row);
}

static inline struct member *member_of(uint64_t id)
{
    return row_of(world.members, id);
}
static inline struct voice_seat *seat_of(uint64_t id)
{
    return row_of(world.seats, id);
}
static inline struct guild_channel *channel_of(uint64_t id)
{
    return row_of(world.channels, id);
}
static inline struct voice_room *room_of(uint64_t id)
{
    return row_of(world.rooms, id);
}
static inline struct role *role_of(uint64_t id)
{
    return row_of(world.roles, id);
}

// --- the world as it begins ---

static inline void add_role(uint64_t id, const char *name, uint64_t position, uint64_t permissions)
{
    put_row(world.roles,
            &(struct role){.id = id, .name = bytes_of(name), .position = position, .permissions = permissions});
}

static inline void list_member(uint64_t id)
{
    world.listed[world.n_listed++] = id;
}

static inline void add_member(uint64_t id, uint64_t role) // 0: none
{
    struct ids roles = role ? ids_with(&world_arena, (struct ids){0}, role) : (struct ids){0};
    put_row(world.members, &(struct member){.user = id, .joined_at = 1, .roles = roles});
    list_member(id);
}

static inline void add_channel(uint64_t id, uint64_t type, uint64_t parent)
{
    put_row(world.channels, &(struct guild_channel){.id = id,
                                                    .type = type,
                                                    .name = arena_printf(&world_arena, "c%llu", (unsigned long long)id),
                                                    .position = id - TEXT,
                                                    .parent = parent});
}

static inline void overwrite(uint64_t channel, uint64_t id, uint64_t type, uint64_t allow, uint64_t deny)
{
    struct guild_channel *c = channel_of(channel);
    struct overwrite *v = arena_take(&world_arena, (c->overwrites.n + 1) * sizeof *v);
    if (c->overwrites.n)
        memcpy(v, c->overwrites.v, c->overwrites.n * sizeof *v);
    v[c->overwrites.n++] = (struct overwrite){id, type, allow, deny};
    c->overwrites.v = v;
}

static inline void begin(void)
{
    arena_reset(&world_arena);
    memset(&world, 0, sizeof world);
    now = NOW;
    world.guild = (struct guild){.id = GUILD, .name = BYTES("town"), .owner = OWEN};
    add_role(EVERYONE, "@everyone", 0, permissions_of_everyone());
    add_role(LOW, "low", 2, 0);
    add_role(MID, "mid", 5, MODERATES);
    add_role(ADMIN, "admin", 7, MAY(ADMINISTRATOR));
    add_role(HIGH, "high", 8, 0);
    add_member(OWEN, 0);
    add_member(MOD, MID);
    add_member(ADA, 0);
    add_member(BEN, LOW);
    add_member(HUGH, HIGH);
    add_member(ALMA, ADMIN);
    add_member(BOT, 0);
    add_channel(TEXT, CHANNEL_TEXT, 0);
    add_channel(VOICE, CHANNEL_VOICE, CATEGORY);
    add_channel(OTHER, CHANNEL_VOICE, 0);
    add_channel(STAGE, CHANNEL_STAGE, 0);
    add_channel(CATEGORY, CHANNEL_CATEGORY, 0);
    add_channel(HIDDEN, CHANNEL_VOICE, 0);
    overwrite(HIDDEN, EVERYONE, 0, 0, MAY(VIEW_CHANNEL));
}

// Somebody sits there already, with a server.
static inline struct voice_seat *seat(uint64_t user, uint64_t channel)
{
    struct voice_room *room = room_of(channel);
    const struct member *m = member_of(user);
    if (!room) {
        const struct voice_room new = {
            .channel = channel, .started_at = 1, .node = BYTES("node-1"), .endpoint = BYTES("host:443")};
        put_row(world.rooms, &new);
        room = room_of(channel);
    }
    room->seats++;
    room->speakers++;
    const struct voice_seat s = {.user = user,
                                 .channel = channel,
                                 .session = arena_printf(&world_arena, "s-%llu", (unsigned long long)user),
                                 .gateway = BYTES("gw-1"),
                                 .epoch = user == BOT ? 1 : 1000 + user,
                                 .bot = user == BOT,
                                 .mute = m && m->mute,
                                 .deaf = m && m->deaf,
                                 .joined_at = 1,
                                 .server = 2};
    put_row(world.seats, &s);
    return seat_of(user);
}

// The same, and he may not speak there.
static inline struct voice_seat *listener(uint64_t user, uint64_t channel)
{
    struct voice_seat *s = seat(user, channel);
    s->suppress = true;
    room_of(channel)->speakers--;
    return s;
}

// --- a step ---

static inline struct scene_member scene_member(uint64_t id)
{
    struct user *u = arena_take(&world_arena, sizeof *u);
    *u = (struct user){.id = id, .username = BYTES("somebody"), .discriminator = BYTES("0"), .bot = id == BOT};
    return id ? (struct scene_member){id, member_of(id), seat_of(id), u} : (struct scene_member){0};
}

static inline struct scene_room scene_room(uint64_t id)
{
    return (struct scene_room){id, channel_of(id), room_of(id), row_of(world.stages, id)};
}

static inline struct guild_scene scene_of(const struct guild_in *in)
{
    const struct guild_wants wants = guild_wants(in);
    struct guild_scene s = {.id = GUILD,
                            .version = 5,
                            .guild = world.guild.id ? &world.guild : NULL,
                            .roles = {world.n_roles, world.roles},
                            .actor = scene_member(in->actor),
                            .target = scene_member(in->target),
                            .to = scene_room(in->channel)};
    if (s.target.seat)
        s.from = scene_room(s.target.seat->channel);
    s.n_channels = wants.channels ? world.n_channels : 0;
    s.channels = world.channels;
    struct scene_member *crowd = arena_take(&world_arena, GUILD_CROWD_MAX * sizeof *crowd);
    for (uint32_t i = 0; wants.crowd && i < world.n_seats; i++) {
        if (!guild_minds(in, s.to.room, &world.seats[i]))
            continue;
        if (s.n_crowd == GUILD_CROWD_MAX) {
            s.more = true;
            break;
        }
        crowd[s.n_crowd++] = scene_member(world.seats[i].user);
    }
    s.crowd = crowd;
    return s;
}

static inline void apply_change(const struct change *c)
{
    uint64_t key = 0;
    (void)!bytes_u64(c->a, &key);
    for (size_t i = 0; i < countof(tables); i++) {
        const struct world_table *t = &tables[i];
        if (strcmp(c->suffix, t->suffix) != 0)
            continue;
        void *row = arena_take(&world_arena, t->schema->size);
        if (c->op == CHANGE_DEL) {
            *t->n = 0;
        } else if (c->op == CHANGE_HDEL) {
            drop_row(t, key);
        } else {
            CHECK_EQ(schema_unpack(&world_arena, t->schema, arena_copy(&world_arena, c->b), row), OK);
            CHECK_EQ(row_key(t, row), key);
            keep_row(t, row);
        }
        return;
    }
    if (strcmp(c->suffix, "s") == 0 && c->op == CHANGE_HDEL)
        world.guild.id = bytes_is(c->a, "guild") ? 0 : world.guild.id;
    else if (strcmp(c->suffix, "s") == 0)
        CHECK_EQ(UNPACK(&world_arena, guild, arena_copy(&world_arena, c->b), &world.guild), OK);
    if (strcmp(c->suffix, "mi") == 0 && c->op == CHANGE_DEL)
        world.n_listed = 0;
    for (uint32_t i = 0; strcmp(c->suffix, "mi") == 0 && i < world.n_listed; i++)
        if (world.listed[i] == key && c->a.n == 20)
            world.listed[i] = world.listed[--world.n_listed];
}

// A room counts who sits in it, whoever sits is a member and sits in a channel, whoever is listed is a member, and a
// stage is silent when nobody on it may speak.
static inline void check_world(void)
{
    for (uint32_t i = 0; i < world.n_rooms; i++) {
        uint32_t seats = 0, speakers = 0;
        for (uint32_t k = 0; k < world.n_seats; k++) {
            bool there = world.seats[k].channel == world.rooms[i].channel;
            seats += there;
            speakers += there && !world.seats[k].suppress;
        }
        CHECK_TRUE(seats > 0);
        CHECK_EQ(world.rooms[i].seats, seats);
        CHECK_EQ(world.rooms[i].speakers, speakers);
        CHECK_TRUE(channel_of(world.rooms[i].channel) != NULL);
    }
    for (uint32_t i = 0; i < world.n_seats; i++) {
        CHECK_TRUE(room_of(world.seats[i].channel) != NULL);
        CHECK_TRUE(member_of(world.seats[i].user) != NULL);
    }
    for (uint32_t i = 0; i < world.n_stages; i++) {
        const struct voice_room *room = room_of(world.stages[i].channel);
        CHECK_TRUE(channel_of(world.stages[i].channel) != NULL);
        CHECK_EQ(world.stages[i].silent_at == 0, room && room->speakers > 0);
    }
    CHECK_EQ(world.n_listed, world.n_members);
    for (uint32_t i = 0; i < world.n_listed; i++)
        CHECK_TRUE(member_of(world.listed[i]) != NULL);
}

// The row that an event tells of is the one that stands after the commit, and no other change of it follows.
static inline void check_event_row(const struct event *e)
{
    for (size_t i = 0; e->row_tag && i < countof(tables); i++) {
        const struct world_table *t = &tables[i];
        if (t->schema->tag != e->row_tag)
            continue;
        const void *row = row_of(t->v, e->row_id);
        CHECK_EQ(row != NULL, e->row.n > 0);
        if (row)
            CHECK_TRUE(bytes_eq(schema_packed(&world_arena, t->schema, row), e->row));
    }
    if (e->row_tag == TAG_guild)
        CHECK_TRUE(bytes_eq(schema_packed(&world_arena, &schema_guild, &world.guild), e->row));
}

// Since when a stage is silent no client is told.
static inline bool only_silence(uint64_t channel)
{
    const struct stage *is = row_of(world.stages, channel);
    for (uint32_t i = 0; is && i < n_stages_before; i++) {
        struct stage was = stages_before[i];
        was.silent_at = is->silent_at;
        if (was.channel == channel)
            return bytes_eq(schema_packed(&world_arena, &schema_stage, &was),
                            schema_packed(&world_arena, &schema_stage, is));
    }
    return false;
}

// A guild that is gone leaves nothing, and everybody is told so at once.
static inline void check_gone(void)
{
    for (size_t i = 0; i < countof(tables); i++)
        CHECK_EQ(*tables[i].n, 0);
    const struct event *e = &out.events[0];
    CHECK_EQ(out.n_events, 1);
    CHECK_TRUE(bytes_is(e->name, "GUILD_DELETE") && bytes_is(e->body, "{\"id\":\"100\"}"));
    CHECK_TRUE(e->to == 0 && e->channel == 0 && e->row_tag == 0);
    CHECK_TRUE(e->place_op == 2 && e->place == GUILD && e->place_version == 6);
    CHECK_TRUE(out.all_unmade);
}

// Whatever is written of a row that gateways keep, an event of the same commit says.
static inline void check_told(const struct change *c)
{
    uint64_t key = 0, told = 0;
    uint32_t tag = strcmp(c->suffix, "s") == 0 ? TAG_guild : 0;
    for (size_t i = 0; i < countof(tables); i++)
        if (strcmp(c->suffix, tables[i].suffix) == 0)
            tag = tables[i].schema->tag;
    if (tag == TAG_guild)
        key = GUILD;
    else if (tag == 0 || tag == TAG_voice_seat || tag == TAG_voice_room || bytes_u64(c->a, &key) != OK)
        return;
    for (uint32_t i = 0; i < out.n_events; i++)
        told += out.events[i].row_tag == tag && out.events[i].row_id == key;
    CHECK_EQ(told, tag == TAG_stage && only_silence(key) ? 0 : 1);
}

static inline int step(struct guild_in in)
{
    if (guild_wants(&in).room)
        in.channel = world.n_rooms ? world.rooms[0].channel : 0;
    struct guild_scene s = scene_of(&in);
    CHECK_TRUE(guild_scene_valid(&s));
    int err = guild_step(&world_arena, &s, &in, &rules, now, &out);
    if (err != OK) {
        CHECK_EQ(out.n_events, 0);
        CHECK_EQ(out.n_changes, 0);
        CHECK_EQ(out.n_asks, 0);
        CHECK_TRUE(!out.more);
        return err;
    }
    CHECK_TRUE(out.n_changes > 0);
    memcpy(stages_before, world.stages, sizeof stages_before);
    n_stages_before = world.n_stages;
    for (uint32_t i = 0; i < out.n_changes; i++)
        apply_change(&out.changes[i]);
    for (uint32_t i = 0; i < out.n_events; i++)
        check_event_row(&out.events[i]);
    for (uint32_t i = 0; i < out.n_changes && world.guild.id; i++)
        check_told(&out.changes[i]);
    if (!world.guild.id)
        check_gone();
    check_world();
    return OK;
}

// --- what was said ---

static inline const struct event *event_named(const char *name)
{
    for (uint32_t i = 0; i < out.n_events; i++)
        if (bytes_is(out.events[i].name, name))
            return &out.events[i];
    return NULL;
}

static inline const char *told(void) // the names of all events, in order; an event without one: "-"
{
    struct bytes all = BYTES("");
    for (uint32_t i = 0; i < out.n_events; i++) {
        struct bytes name = out.events[i].name;
        all = arena_printf(&world_arena, "%.*s%s%.*s", BYTES_FMT(all), i ? " " : "",
                           BYTES_FMT((name.n ? name : BYTES("-"))));
    }
    return arena_text(&world_arena, all);
}

static inline bool says(struct bytes text, const char *part)
{
    return strstr(arena_text(&world_arena, text), part) != NULL;
}
