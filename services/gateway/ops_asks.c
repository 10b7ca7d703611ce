// ops_asks: payloads by which a client asks about guilds: op 8, 14, 37, 31, 36, 43; and presences, op 3. See ops.h.
// Clients wait for nothing of the kind, so what does not fit is left out.
#include "ops_private.h"

#include <jansson.h>
#include <string.h>

#define NONCE_MAX 32u
#define QUERY_MAX 128u
#define USERS_MAX 100u

static bool read_id(const json_t *j, uint64_t *out)
{
    *out = 0;
    if (json_is_integer(j) && json_integer_value(j) > 0)
        *out = (uint64_t)json_integer_value(j);
    else if (json_is_string(j) && bytes_u64((struct bytes){json_string_value(j), json_string_length(j)}, out) != OK)
        return false;
    return *out != 0 && !(*out >> 63);
}

// A list of ids, or one alone; what is none, and what is beyond `max`, is left out.
static struct ids read_ids(struct arena *a, const json_t *j, uint32_t max)
{
    size_t n = json_is_array(j) ? json_array_size(j) : 1;
    uint64_t *v = arena_take(a, (n < max ? n + 1 : max) * sizeof *v);
    uint32_t kept = 0;
    for (size_t i = 0; i < n && kept < max; i++)
        if (read_id(json_is_array(j) ? json_array_get(j, i) : j, &v[kept]))
            kept++;
    return (struct ids){kept, v};
}

static struct bytes read_text(const json_t *j, size_t max)
{
    struct bytes text = {json_string_value(j), json_string_length(j)};
    return json_is_string(j) && text.n <= max ? text : BYTES_NONE;
}

int ops_read_members(struct arena *a, const json_t *d, struct op_members *out)
{
    if (!json_is_object(d))
        return ERR_INVALID;
    const json_t *users = json_object_get(d, "user_ids"), *limit = json_object_get(d, "limit");
    *out = (struct op_members){
        .guilds = read_ids(a, json_object_get(d, "guild_id"), OPS_GUILDS_MAX),
        .has_users = users && !json_is_null(users),
        .users = read_ids(a, users, USERS_MAX),
        .query = read_text(json_object_get(d, "query"), QUERY_MAX),
        .limit = json_is_integer(limit) && json_integer_value(limit) > 0 ? (uint64_t)json_integer_value(limit) : 0,
        .presences = json_is_true(json_object_get(d, "presences")),
        .nonce = read_text(json_object_get(d, "nonce"), NONCE_MAX),
    };
    return OK;
}

// --- presences ---

static struct bytes read_activities(struct arena *a, json_t *list)
{
    char *out = arena_take(a, PRESENCE_ACTIVITIES_MAX);
    for (size_t i = json_array_size(list); i-- > 0;)
        if (!json_is_object(json_array_get(list, i)))
            (void)json_array_remove(list, i);
    if (json_array_size(list) == 0)
        return BYTES_NONE;
    size_t n = json_dumpb(list, out, PRESENCE_ACTIVITIES_MAX, JSON_COMPACT);
    return n <= PRESENCE_ACTIVITIES_MAX ? (struct bytes){out, n} : BYTES_NONE;
}

int ops_read_presence(struct arena *a, json_t *d, struct op_presence *out)
{
    const json_t *since = json_object_get(d, "since");
    *out = (struct op_presence){0};
    if (d && !json_is_object(d) && !json_is_null(d))
        return ERR_INVALID;
    out->status = read_text(json_object_get(d, "status"), 16);
    out->activities = read_activities(a, json_object_get(d, "activities"));
    out->since = json_is_integer(since) && json_integer_value(since) > 0 ? (uint64_t)json_integer_value(since) : 0;
    out->afk = json_is_true(json_object_get(d, "afk"));
    return OK;
}

// Older libraries put a $ before the names.
void ops_read_properties(const json_t *d, struct op_identify *out)
{
    const json_t *all = json_object_get(d, "properties");
    const json_t *os = json_object_get(all, "os"), *browser = json_object_get(all, "browser");
    out->os = read_text(os ? os : json_object_get(all, "$os"), 64);
    out->browser = read_text(browser ? browser : json_object_get(all, "$browser"), 64);
}

// --- subscriptions ---

static bool read_range(const json_t *j, struct list_range *out)
{
    const json_t *first = json_array_get(j, 0), *last = json_array_get(j, 1);
    json_int_t f = json_integer_value(first), l = json_integer_value(last);
    if (!json_is_integer(first) || !json_is_integer(last) || f < 0 || l < f || f > (json_int_t)LISTS_ROW_MAX)
        return false;
    json_int_t most = f + (json_int_t)LISTS_ROWS_MAX - 1;
    l = l > most ? most : l;
    l = l > (json_int_t)LISTS_ROW_MAX ? (json_int_t)LISTS_ROW_MAX : l;
    *out = (struct list_range){(uint32_t)f, (uint32_t)l};
    return true;
}

static void read_channels(struct arena *a, uint64_t guild, json_t *d, struct list_change *out)
{
    struct list_channel *v = arena_take(a, LISTS_GUILD_CHANNELS_MAX * sizeof *v);
    const char *key;
    json_t *ranges;
    out->has_channels = true;
    out->channels = v;
    json_object_foreach(d, key, ranges)
    {
        struct list_channel c = {.guild = guild};
        if (out->n_channels == LISTS_GUILD_CHANNELS_MAX || bytes_u64(bytes_of(key), &c.channel) != OK || c.channel == 0)
            continue;
        for (size_t i = 0; i < json_array_size(ranges) && c.n < LISTS_RANGES_MAX; i++)
            if (read_range(json_array_get(ranges, i), &c.ranges[c.n]))
                c.n++;
        if (c.n > 0)
            v[out->n_channels++] = c;
    }
}

static struct list_change read_change(struct arena *a, uint64_t guild, json_t *d)
{
    struct list_change c = {.guild = guild};
    const json_t *members = json_object_get(d, "members");
    json_t *channels = json_object_get(d, "channels");
    if (json_is_object(channels))
        read_channels(a, guild, channels, &c);
    c.has_members = json_is_array(members);
    if (c.has_members)
        c.members = read_ids(a, members, LISTS_MEMBERS_MAX);
    return c;
}

int ops_read_lists(struct arena *a, json_t *d, bool bulk, struct list_changes *out)
{
    json_t *all = bulk ? json_object_get(d, "subscriptions") : d, *one;
    size_t n = json_object_size(all);
    struct list_change *v = arena_take(a, (n < OPS_GUILDS_MAX ? n + 1 : OPS_GUILDS_MAX) * sizeof *v);
    const char *key;
    uint64_t guild;
    if (!json_is_object(d))
        return ERR_INVALID;
    *out = (struct list_changes){0, v};
    if (!bulk && read_id(json_object_get(d, "guild_id"), &guild))
        v[out->n++] = read_change(a, guild, d);
    if (!bulk)
        return OK;
    json_object_foreach(all, key, one)
    {
        if (out->n < OPS_GUILDS_MAX && bytes_u64(bytes_of(key), &guild) == OK && guild != 0 && !(guild >> 63))
            v[out->n++] = read_change(a, guild, one);
    }
    return OK;
}

// --- the others ---

int ops_read_info(const json_t *d, bool statuses, struct op_info *out)
{
    const json_t *fields = json_object_get(d, "fields");
    *out = (struct op_info){.statuses = statuses};
    if (!json_is_object(d))
        return ERR_INVALID;
    if (!read_id(json_object_get(d, "guild_id"), &out->guild))
        out->guild = 0;
    for (size_t i = 0; i < json_array_size(fields); i++) {
        struct bytes name = read_text(json_array_get(fields, i), 64);
        out->status = out->status || bytes_is(name, "status");
        out->start = out->start || bytes_is(name, "voice_start_time");
    }
    return OK;
}

int ops_read_sounds(struct arena *a, const json_t *d, struct ids *out)
{
    if (!json_is_object(d))
        return ERR_INVALID;
    *out = read_ids(a, json_object_get(d, "guild_ids"), OPS_GUILDS_MAX);
    return OK;
}
