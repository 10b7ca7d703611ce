// truth: reads the places and the users' locations in Redis as the services do, after each event that touched them,
// and holds them to what must always be so.
#include "world_guild.h"
#include "call_record.h"
#include "redis.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct seen {
    struct call_place now;
    uint64_t version, last_message;
    bool dirty;
    uint64_t rung_at[USERS_MAX], seated_at[USERS_MAX], absent_at[USERS_MAX];
};
static struct seen seen[PLACES_MAX];
static struct location where[USERS_MAX];
static bool where_dirty[USERS_MAX], any_dirty;
static struct arena arena;

// --- what changed ---

static void on_touched(struct bytes key)
{
    uint64_t id;
    bool user = key.n > 3 && key.p[1] == 'u';
    world_guild_touched(key);
    if (key.n < 5 || key.p[0] != '{' || key.p[key.n - 1] != 's' || key.p[key.n - 2] != ':' || key.p[key.n - 3] != '}')
        return;
    size_t from = user ? 3 : 1;
    if (bytes_u64((struct bytes){key.p + from, key.n - 3 - from}, &id) != OK)
        return;
    uint32_t i = user ? user_index(id) : place_index(id);
    if (user && i < people.n_users)
        where_dirty[i] = any_dirty = true;
    else if (!user && i < people.n_places)
        seen[i].dirty = any_dirty = true;
}

// --- one place ---

static bool among(const uint64_t *v, uint32_t n, uint64_t id)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i] == id)
            return true;
    return false;
}

static void check_participants(const struct call_place *before, const struct call_place *now)
{
    for (uint32_t i = 0; before->id == now->id && i < before->n_participants; i++)
        if (!among(now->participants, now->n_participants, before->participants[i]))
            world_fail("participants of call %" PRIu64 " shrank: %" PRIu64 " is gone", now->id,
                       before->participants[i]);
    for (uint32_t i = 0; i < now->n_seats; i++)
        if (!among(now->participants, now->n_participants, now->seats[i].user))
            world_fail("%" PRIu64 " sits in call %" PRIu64 " and is no participant", now->seats[i].user, now->id);
}

static void remember(struct seen *s)
{
    for (uint32_t u = 0; u < people.n_users; u++) {
        for (uint32_t i = 0; i < s->now.n_rings; i++)
            if (s->now.rings[i].user == people.users[u])
                s->rung_at[u] = sim_us();
        for (uint32_t i = 0; i < s->now.n_seats; i++)
            if (s->now.seats[i].user == people.users[u])
                s->seated_at[u] = sim_us();
        if (!call_is_recipient(&s->now, people.users[u]))
            s->absent_at[u] = sim_us();
    }
}

static void tell(const struct seen *s)
{
    world_tell("place %" PRIu64 " version %" PRIu64 ": call %" PRIu64 ", rung %u", s->now.channel, s->version,
               s->now.id, s->now.n_rings);
    for (uint32_t i = 0; i < s->now.n_seats; i++) {
        const struct call_seat *seat = &s->now.seats[i];
        world_tell("    %" PRIu64 " session %.8s at %s, epoch %" PRIu64, seat->user, seat->session, seat->gateway,
                   seat->epoch);
    }
}

static void read_place(uint32_t at)
{
    struct seen *s = &seen[at];
    struct call_place before = s->now;
    char key[RECORD_KEY_MAX];
    uint64_t version = 0, id = people.places[at];
    record_key(key, ref_place(id), "s");
    remember(s); // so it was until now
    s->dirty = false;
    (void)!bytes_u64(redis_field(key, "v"), &version);
    (void)!bytes_u64(redis_field(key, "last"), &s->last_message);
    if (call_read(&arena, redis_field(key, "chan"), redis_field(key, "call"), &s->now) != OK)
        world_fail("place %" PRIu64 " does not decode", id);
    arena_reset(&arena);
    if (version < s->version)
        world_fail("place %" PRIu64 " went back from version %" PRIu64 " to %" PRIu64, id, s->version, version);
    s->version = version;
    if (!call_valid(&s->now))
        world_fail("place %" PRIu64 " is not valid", id);
    if ((s->now.id != 0) != (s->now.n_seats > 0))
        world_fail("place %" PRIu64 ": call %" PRIu64 " with %u in it", id, s->now.id, s->now.n_seats);
    check_participants(&before, &s->now);
    remember(s);
    tell(s);
}

// --- one user: at most one of his seats is as new as his location, and none is newer ---

static void read_location(uint32_t at)
{
    char key[RECORD_KEY_MAX];
    struct bytes raw = redis_field(record_key(key, ref_user(people.users[at]), "s"), "voice");
    struct location now = {0};
    where_dirty[at] = false;
    if (raw.n && UNPACK(&arena, location, raw, &now) != OK)
        world_fail("the location of %" PRIu64 " does not decode", people.users[at]);
    arena_reset(&arena);
    if (now.epoch < where[at].epoch)
        world_fail("the epoch of %" PRIu64 " went back", people.users[at]);
    where[at] = now;
}

static uint32_t seats_of(uint64_t user, uint64_t epoch)
{
    uint32_t n = 0;
    for (uint32_t p = 0; p < people.n_places; p++) {
        const struct call_seat *s = call_seat_of(&seen[p].now, user);
        n += s && s->epoch >= epoch;
    }
    return n + (world_guild_epoch(user) && world_guild_epoch(user) >= epoch);
}

void truth_look(void)
{
    world_guild_look();
    if (!any_dirty)
        return;
    any_dirty = false;
    for (uint32_t p = 0; p < people.n_places; p++)
        if (seen[p].dirty)
            read_place(p);
    for (uint32_t u = 0; u < people.n_users; u++) {
        if (where_dirty[u])
            read_location(u);
        if (seats_of(people.users[u], where[u].epoch) > 1)
            world_fail("%" PRIu64 " has two voice states of epoch %" PRIu64, people.users[u], where[u].epoch);
        if (seats_of(people.users[u], where[u].epoch + 1) > 0)
            world_fail("%" PRIu64 " has a voice state of an epoch that nobody has claimed", people.users[u]);
    }
}

void truth_at_rest(void)
{
    for (uint32_t u = 0; u < people.n_users; u++)
        if (seats_of(people.users[u], 0) > 1)
            world_fail("at rest %" PRIu64 " has %u voice states", people.users[u], seats_of(people.users[u], 0));
}

// --- asked by the clients' checks ---

const struct call_place *truth_place(uint32_t place)
{
    return &seen[place].now;
}

uint64_t truth_last_message(uint32_t place)
{
    return seen[place].last_message;
}

uint64_t truth_rung_at(uint32_t place, uint64_t user)
{
    remember(&seen[place]);
    return seen[place].rung_at[user_index(user)];
}

uint64_t truth_seated_at(uint32_t place, uint64_t user)
{
    remember(&seen[place]);
    return seen[place].seated_at[user_index(user)];
}

uint64_t truth_absent_at(uint32_t place, uint64_t user)
{
    remember(&seen[place]);
    return seen[place].absent_at[user_index(user)];
}

bool truth_message(struct arena *a, uint64_t place, uint64_t id, struct message_rec *out)
{
    char key[RECORD_KEY_MAX], field[24];
    snprintf(field, sizeof field, "%" PRIu64, id);
    struct bytes raw = redis_field(record_key(key, ref_place(place), "m"), field);
    return raw.n && UNPACK(a, message_rec, raw, out) == OK;
}

void truth_begin(void)
{
    memset(seen, 0, sizeof seen);
    memset(where, 0, sizeof where);
    world_guild_begin();
    redis_touched = on_touched;
    any_dirty = true;
    for (uint32_t p = 0; p < people.n_places; p++)
        seen[p].dirty = true;
    for (uint32_t u = 0; u < people.n_users; u++)
        where_dirty[u] = true;
    truth_look();
}

void truth_end(void)
{
    redis_touched = NULL;
    arena_fini(&arena);
}
