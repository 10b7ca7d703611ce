// directory_io: see directory_io.h.
#include "directory_io.h"

#include <inttypes.h>
#include <stdlib.h>

struct bytes id_text(struct job *j, uint64_t id)
{
    return arena_printf(&j->arena, "%" PRIu64, id);
}

static const struct value *fields_read(struct job *j, ref r, const char *first, const char *second, const char *third)
{
    char key[RECORD_KEY_MAX];
    struct bytes name = arena_copy(&j->arena, bytes_of(record_key(key, r, "s")));
    return job_read(j, 5, (struct bytes[]){BYTES("HMGET"), name, bytes_of(first), bytes_of(second), bytes_of(third)});
}

// A field of HMGET's answer.
static const struct value *field(const struct value *hash, size_t i)
{
    CHECK(hash->n > i);
    return &hash->v[i];
}

// --- users ---

struct user_read user_read(struct job *j, uint64_t id)
{
    return (struct user_read){id, fields_read(j, ref_user(id), "v", "user", "rsv")};
}

struct user_state user_state(struct job *j, struct user_read r)
{
    struct user_state s = {value_u64(field(r.hash, 0)), NULL, value_u64(field(r.hash, 2))};
    struct user *user = arena_take(&j->arena, sizeof *user);
    if (value_row(j, field(r.hash, 1), &schema_user, user) && user->id == r.id)
        s.user = user;
    return s;
}

struct users_read users_read(struct job *j, struct ids ids)
{
    struct user_read *v = arena_take(&j->arena, ((size_t)ids.n + 1) * sizeof *v);
    for (uint32_t i = 0; i < ids.n; i++)
        v[i] = user_read(j, ids.v[i]);
    return (struct users_read){ids, v};
}

struct user_set users_state(struct job *j, const struct users_read *r)
{
    struct user *v = arena_take(&j->arena, ((size_t)r->ids.n + 1) * sizeof *v);
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->ids.n; i++) {
        struct user_state s = user_state(j, r->v[i]);
        if (s.user)
            v[n++] = *s.user;
    }
    return (struct user_set){n, v};
}

// --- channels ---

struct place_read place_read(struct job *j, uint64_t id)
{
    return (struct place_read){id, fields_read(j, ref_place(id), "v", "chan", "last")};
}

struct place_state place_state(struct job *j, struct place_read r)
{
    struct place_state s = {value_u64(field(r.hash, 0)), NULL, value_u64(field(r.hash, 2))};
    struct channel *c = arena_take(&j->arena, sizeof *c);
    if (value_row(j, field(r.hash, 1), &schema_channel, c) && c->id == r.id)
        s.c = c;
    return s;
}

// --- small ones ---

const struct value *relation_read(struct job *j, uint64_t user, uint64_t target)
{
    return job_read_key(j, "HGET", ref_user(user), "rel", id_text(j, target));
}

struct change relation_change(struct job *j, const char *suffix, uint64_t target, enum relation is)
{
    if (is == REL_NONE)
        return (struct change){CHANGE_HDEL, suffix, id_text(j, target), BYTES_NONE};
    return (struct change){CHANGE_HSET, suffix, id_text(j, target), id_text(j, (uint64_t)is)};
}

struct change row_change(struct job *j, const char *suffix, struct bytes name, const struct schema *s, const void *v)
{
    return (struct change){CHANGE_HSET, suffix, name, schema_packed(&j->arena, s, v)};
}

const struct value *name_read(struct job *j, struct bytes key)
{
    return job_read(j, 3, (struct bytes[]){BYTES("HGET"), BYTES("dir:names"), key});
}

void name_claim(struct job *j, struct bytes key, uint64_t id)
{
    job_read(j, 4, (struct bytes[]){BYTES("HSETNX"), BYTES("dir:names"), key, id_text(j, id)});
}

void name_free(struct job *j, struct bytes key)
{
    job_read(j, 3, (struct bytes[]){BYTES("HDEL"), BYTES("dir:names"), key});
}

void name_free_of(struct job *j, struct bytes key, uint64_t id)
{
    static const char script[] =
        "return redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] and redis.call('HDEL', KEYS[1], ARGV[1]) or 0";
    job_read(j, 6, (struct bytes[]){BYTES("EVAL"), BYTES(script), BYTES("1"), BYTES("dir:names"), key, id_text(j, id)});
}

struct bytes user_key(struct job *j, struct bytes username)
{
    struct bytes lower = username_lower(&j->arena, username);
    return arena_printf(&j->arena, "u:%.*s", BYTES_FMT(lower));
}

struct bytes owned_key(struct job *j, char kind, uint64_t owner, struct bytes name)
{
    return arena_printf(&j->arena, "%c:%" PRIu64 ":%.*s", kind, owner, BYTES_FMT(name));
}

const struct value *set_read(struct job *j, const char *set)
{
    return job_read(j, 2, (struct bytes[]){BYTES("SMEMBERS"), bytes_of(set)});
}

void set_add(struct job *j, const char *set, uint64_t id)
{
    job_read(j, 3, (struct bytes[]){BYTES("SADD"), bytes_of(set), id_text(j, id)});
}

void set_remove(struct job *j, const char *set, uint64_t id)
{
    job_read(j, 3, (struct bytes[]){BYTES("SREM"), bytes_of(set), id_text(j, id)});
}

static int ascending(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

struct ids ids_state(struct job *j, const struct value *list)
{
    uint64_t *v = arena_take(&j->arena, (list->n + 1) * sizeof *v);
    uint32_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        if (bytes_u64(list->v[i].text, &v[n]) == OK)
            n++;
    qsort(v, n, sizeof *v, ascending);
    return (struct ids){n, v};
}

// --- guilds ---

static void read_members(struct job *j, struct guild_read *r)
{
    char key[RECORD_KEY_MAX];
    struct bytes *rows = arena_take(&j->arena, ((size_t)r->asked.n + 2) * sizeof *rows);
    struct bytes *index = arena_take(&j->arena, ((size_t)r->asked.n + 2) * sizeof *index);
    rows[0] = BYTES("HMGET");
    rows[1] = arena_copy(&j->arena, bytes_of(record_key(key, ref_place(r->id), "mb")));
    index[0] = BYTES("ZMSCORE");
    index[1] = arena_copy(&j->arena, bytes_of(record_key(key, ref_place(r->id), "mi")));
    for (uint32_t i = 0; i < r->asked.n; i++) {
        rows[2 + i] = id_text(j, r->asked.v[i]);
        index[2 + i] = arena_printf(&j->arena, "%020" PRIu64, r->asked.v[i]);
    }
    r->members = job_read(j, r->asked.n + 2, rows);
    r->indexed = job_read(j, r->asked.n + 2, index);
}

struct guild_read guild_read(struct job *j, uint64_t id, struct ids members)
{
    ref r = ref_place(id);
    struct guild_read read = {
        .id = id,
        .asked = members,
        .hash = fields_read(j, r, "v", "guild", "loading"),
        .roles = job_read_key(j, "HGETALL", r, "r", BYTES_NONE),
        .channels = job_read_key(j, "HGETALL", r, "ch", BYTES_NONE),
    };
    if (members.n)
        read_members(j, &read);
    return read;
}

const struct value *guild_row_read(struct job *j, uint64_t id)
{
    return job_read_key(j, "HGET", ref_place(id), "s", BYTES("guild"));
}

const struct guild *guild_row(struct job *j, const struct value *v)
{
    struct guild *guild = arena_take(&j->arena, sizeof *guild);
    return value_row(j, v, &schema_guild, guild) ? guild : NULL;
}

// The values of a hash of rows, those that decode.
static uint32_t rows(struct job *j, const struct value *hash, const struct schema *s, void *out)
{
    char *v = arena_take(&j->arena, (hash->n / 2 + 1) * s->size);
    uint32_t n = 0;
    for (size_t i = 1; i < hash->n; i += 2)
        if (value_row(j, &hash->v[i], s, v + n * s->size))
            n++;
    *(void **)out = v;
    return n;
}

static int by_position(const void *x, const void *y)
{
    const struct guild_channel *a = x, *b = y;
    return (a->position > b->position) - (a->position < b->position);
}

// Who of those asked for is a member, and is missing in the list of ids.
static void members_state(struct job *j, struct guild_read r, struct guild_state *out)
{
    struct member *members = arena_take(&j->arena, ((size_t)r.asked.n + 1) * sizeof *members);
    uint64_t *unlisted = arena_take(&j->arena, ((size_t)r.asked.n + 1) * sizeof *unlisted);
    for (size_t i = 0; r.members && i < r.members->n; i++) {
        if (!value_row(j, &r.members->v[i], &schema_member, &members[out->n_members]))
            continue;
        if (i < r.indexed->n && !value_some(&r.indexed->v[i]))
            unlisted[out->unlisted.n++] = members[out->n_members].user;
        out->n_members++;
    }
    out->members = members;
    out->unlisted.v = unlisted;
}

uint64_t guild_state(struct job *j, struct guild_read r, struct guild_state *out)
{
    struct role *roles;
    struct guild_channel *channels;
    *out = (struct guild_state){.guild = guild_row(j, field(r.hash, 1)), .loading = value_some(field(r.hash, 2))};
    out->n_roles = rows(j, r.roles, &schema_role, &roles);
    out->n_channels = rows(j, r.channels, &schema_guild_channel, &channels);
    qsort(channels, out->n_channels, sizeof *channels, by_position);
    out->roles = roles;
    out->channels = channels;
    members_state(j, r, out);
    return value_u64(field(r.hash, 0));
}
