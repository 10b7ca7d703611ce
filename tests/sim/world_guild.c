// world_guild: see world_guild.h.
#include "world_guild.h"
#include "json.h"
#include "permissions.h"
#include "record.h"
#include "redis.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct {
    bool dirty;
    uint64_t version, changed_at; // us: what people may see in it, or who is in it
    struct arena arena;           // of the rows below
    struct guild guild;
    struct role roles[ROLES_MAX + 1];
    uint32_t n_roles;
    struct guild_channel rooms[ROOMS_MAX]; // id 0: gone
    struct member members[USERS_MAX];      // user 0: none
    struct voice_seat seats[USERS_MAX];
    struct voice_room voice[ROOMS_MAX];
} now;

uint32_t room_index(uint64_t id)
{
    uint32_t i = 0;
    while (i < people.n_rooms && people.rooms[i] != id)
        i++;
    return i;
}

// --- what a client sees ---

static struct guild_state *state_of(struct guild_view *v, uint64_t user)
{
    uint32_t u = user_index(user);
    return u < people.n_users ? &v->states[u] : NULL;
}

static void put_state(uint32_t who, uint64_t own, struct guild_view *v, const json_t *d)
{
    uint64_t channel = id_in(d, "channel_id");
    struct guild_state *s = state_of(v, id_in(d, "user_id"));
    uint32_t room = room_index(channel);
    bool his = id_in(d, "user_id") == own; // who has lost the sight of where he sits is told of himself
    if (!s)
        return;
    if (!v->there)
        world_fail("client %u is told of a voice state in a guild where it is not", who);
    if (channel && !his && (room == people.n_rooms || !v->rooms[room]))
        world_fail("client %u is told of a voice state in a channel that it has not: %" PRIu64, who, channel);
    *s = (struct guild_state){.channel = channel,
                              .self_mute = true_in(d, "self_mute"),
                              .self_deaf = true_in(d, "self_deaf"),
                              .self_video = true_in(d, "self_video"),
                              .mute = true_in(d, "mute")};
    snprintf(s->session, sizeof s->session, "%s", text_in(d, "session_id"));
}

static void take_guild(uint32_t who, uint64_t own, struct guild_view *v, const json_t *d)
{
    const json_t *channels = json_object_get(d, "channels"), *states = json_object_get(d, "voice_states");
    if (v->there)
        world_fail("client %u is given the guild that it has", who);
    *v = (struct guild_view){.there = true};
    for (size_t i = 0; i < json_array_size(channels); i++) {
        uint32_t room = room_index(id_in(json_array_get(channels, i), "id"));
        if (room < people.n_rooms)
            v->rooms[room] = true;
    }
    for (size_t i = 0; i < json_array_size(states); i++)
        put_state(who, own, v, json_array_get(states, i));
}

void world_guild_ready(uint32_t who, uint64_t own, struct guild_view *v, const json_t *guilds)
{
    *v = (struct guild_view){0};
    for (size_t i = 0; i < json_array_size(guilds); i++)
        if (id_in(json_array_get(guilds, i), "id") == people.guild)
            take_guild(who, own, v, json_array_get(guilds, i));
}

static void take_channel(uint32_t who, uint64_t own, struct guild_view *v, const char *t, uint64_t id)
{
    uint32_t room = room_index(id);
    bool create = strcmp(t, "CHANNEL_CREATE") == 0;
    if (room == people.n_rooms)
        return;
    if (v->rooms[room] == create)
        world_fail("client %u: %s of a channel that it %s", who, t, create ? "has" : "has not");
    v->rooms[room] = strcmp(t, "CHANNEL_DELETE") != 0;
    for (uint32_t u = 0; u < people.n_users && !v->rooms[room]; u++)
        if (v->states[u].channel == id && people.users[u] != own)
            world_fail("client %u: the channel goes with %" PRIu64 " in it", who, people.users[u]);
}

bool world_guild_event(uint32_t who, uint64_t own, struct guild_view *v, const char *t, const json_t *d)
{
    bool guild = strcmp(t, "GUILD_CREATE") == 0 || strcmp(t, "GUILD_DELETE") == 0;
    if (id_in(d, guild ? "id" : "guild_id") != people.guild)
        return false;
    if (strcmp(t, "GUILD_CREATE") == 0)
        take_guild(who, own, v, d);
    else if (!v->there)
        world_fail("client %u: %s of a guild where it is not", who, t);
    else if (strcmp(t, "GUILD_DELETE") == 0)
        *v = (struct guild_view){0};
    else if (strncmp(t, "CHANNEL_", 8) == 0)
        take_channel(who, own, v, t, id_in(d, "id"));
    else if (strcmp(t, "VOICE_STATE_UPDATE") == 0)
        put_state(who, own, v, d);
    return true;
}

// --- what stands ---

static bool read_row(const char *suffix, uint64_t field, const struct schema *s, void *out)
{
    char key[RECORD_KEY_MAX], name[24];
    snprintf(name, sizeof name, "%" PRIu64, field);
    struct bytes raw = redis_field(record_key(key, ref_place(people.guild), suffix), name);
    if (raw.n && schema_unpack(&now.arena, s, arena_copy(&now.arena, raw), out) != OK)
        world_fail("row %s %" PRIu64 " of the guild does not decode", suffix, field);
    if (raw.n == 0)
        memset(out, 0, s->size);
    return raw.n > 0;
}

static int role_order(const void *x, const void *y)
{
    const struct role *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static void read_guild(void)
{
    char key[RECORD_KEY_MAX];
    uint64_t version = 0;
    record_key(key, ref_place(people.guild), "s");
    (void)!bytes_u64(redis_field(key, "v"), &version);
    arena_reset(&now.arena);
    if (schema_unpack(&now.arena, &schema_guild, arena_copy(&now.arena, redis_field(key, "guild")), &now.guild) != OK)
        world_fail("the guild does not decode");
    if (version < now.version)
        world_fail("the guild went back from version %" PRIu64 " to %" PRIu64, now.version, version);
    now.version = version;
    now.n_roles = 0;
    for (uint32_t i = 0; i <= people.n_roles; i++)
        now.n_roles += read_row("r", i ? people.roles[i - 1] : people.guild, &schema_role, &now.roles[now.n_roles]);
    qsort(now.roles, now.n_roles, sizeof now.roles[0], role_order);
    for (uint32_t i = 0; i < people.n_rooms; i++) {
        read_row("ch", people.rooms[i], &schema_guild_channel, &now.rooms[i]);
        read_row("vc", people.rooms[i], &schema_voice_room, &now.voice[i]);
    }
    for (uint32_t u = 0; u < people.n_users; u++) {
        read_row("mb", people.users[u], &schema_member, &now.members[u]);
        read_row("vs", people.users[u], &schema_voice_seat, &now.seats[u]);
    }
}

// Counts stand beside the seats that they count, members alone sit, and in channels that exist.
static void check_seats(void)
{
    uint64_t seats[ROOMS_MAX] = {0}, videos[ROOMS_MAX] = {0}, speakers[ROOMS_MAX] = {0};
    for (uint32_t u = 0; u < people.n_users; u++) {
        const struct voice_seat *s = &now.seats[u];
        if (!s->user)
            continue;
        uint32_t room = room_index(s->channel);
        world_tell("    guild: %" PRIu64 " session %.*s in room %u, epoch %" PRIu64, s->user,
                   (int)(s->session.n < 8 ? s->session.n : 8), s->session.p, room, s->epoch);
        if (room == people.n_rooms || !now.rooms[room].id)
            world_fail("%" PRIu64 " sits in a channel that is not there", s->user);
        else
            seats[room]++, videos[room] += s->self_video, speakers[room] += !s->suppress;
        if (!now.members[u].user)
            world_fail("%" PRIu64 " sits in a guild where he is no member", s->user);
        else if (s->mute != now.members[u].mute || s->deaf != now.members[u].deaf)
            world_fail("%" PRIu64 " is silenced otherwise in his voice state than as a member", s->user);
    }
    for (uint32_t i = 0; i < people.n_rooms; i++)
        if (now.voice[i].seats != seats[i] || now.voice[i].videos != videos[i] || now.voice[i].speakers != speakers[i])
            world_fail("room %u says that %" PRIu64 " sit in it, %" PRIu64 " with a camera, and %" PRIu64
                       " may speak: it is %" PRIu64 ", %" PRIu64 " and %" PRIu64,
                       i, now.voice[i].seats, now.voice[i].videos, now.voice[i].speakers, seats[i], videos[i],
                       speakers[i]);
}

void world_guild_touched(struct bytes key)
{
    char prefix[32];
    int n = snprintf(prefix, sizeof prefix, "{%" PRIu64 "}:", people.guild);
    if (key.n <= (size_t)n || memcmp(key.p, prefix, (size_t)n) != 0)
        return;
    struct bytes suffix = {key.p + n, key.n - (size_t)n};
    now.dirty = true;
    if (bytes_is(suffix, "ch") || bytes_is(suffix, "r") || bytes_is(suffix, "mb"))
        now.changed_at = sim_us();
}

bool world_guild_changed_since(uint64_t us)
{
    return now.changed_at >= us;
}

void world_guild_look(void)
{
    if (!now.dirty)
        return;
    now.dirty = false;
    read_guild();
    check_seats();
}

void world_guild_begin(void)
{
    struct arena arena = now.arena;
    memset(&now, 0, sizeof now);
    now.arena = arena;
    now.dirty = people.guild != 0;
}

uint64_t world_guild_epoch(uint64_t user)
{
    return now.seats[user_index(user)].epoch;
}

const char *world_guild_session(uint64_t user)
{
    const struct voice_seat *s = &now.seats[user_index(user)];
    return s->user ? arena_text(&now.arena, s->session) : NULL;
}

bool world_guild_sits(uint64_t user, const char *session)
{
    const struct voice_seat *s = &now.seats[user_index(user)];
    return s->user && bytes_is(s->session, session);
}

bool world_guild_has(uint64_t user)
{
    return now.members[user_index(user)].user != 0;
}

// --- at rest ---

static bool may_view(uint64_t user, uint32_t room)
{
    const struct role_set roles = {now.n_roles, now.roles};
    const struct member *m = &now.members[user_index(user)];
    return now.rooms[room].id &&
           (permissions_in_channel(&now.guild, roles, m, &now.rooms[room], 0) & MAY(VIEW_CHANNEL));
}

static void compare_state(uint32_t who, uint64_t user, uint32_t u, const struct guild_state *s)
{
    const struct voice_seat *seat = &now.seats[u];
    bool shown = seat->user && (seat->user == user || may_view(user, room_index(seat->channel)));
    if (!shown && s->channel)
        world_fail("client %u sees %" PRIu64 " in channel %" PRIu64 " of the guild, and should not", who,
                   people.users[u], s->channel);
    if (shown && s->channel != seat->channel)
        world_fail("client %u sees %" PRIu64 " in channel %" PRIu64 ", he is in %" PRIu64, who, people.users[u],
                   s->channel, seat->channel);
    else if (shown && (!bytes_is(seat->session, s->session) || s->self_mute != seat->self_mute ||
                       s->self_deaf != seat->self_deaf || s->self_video != seat->self_video || s->mute != seat->mute))
        world_fail("client %u sees another voice state of %" PRIu64 " in the guild than he has", who, people.users[u]);
}

void world_guild_compare(uint32_t who, uint64_t user, const char *session, bool server, const struct guild_view *v)
{
    if (v->there != world_guild_has(user)) {
        world_fail("client %u %s the guild", who, v->there ? "still has" : "lacks");
        return;
    }
    for (uint32_t i = 0; v->there && i < people.n_rooms; i++)
        if (v->rooms[i] != may_view(user, i))
            world_fail("client %u %s room %u", who, v->rooms[i] ? "still has" : "lacks", i);
    for (uint32_t u = 0; v->there && u < people.n_users; u++)
        compare_state(who, user, u, &v->states[u]);
    if (v->there && world_guild_sits(user, session) && !server)
        world_fail("client %u sits in the guild and has no voice server there", who);
}
