// world_guild: a guild of a world document. See world.h.
#include "world_private.h"
#include "permissions.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

// https://docs.discord.com/developers/resources/channel, "Modify Channel", and …/guild, "Create Guild"
#define TOPIC_MAX 1024u // characters; of a category none
#define DESCRIPTION_MAX 300u
#define REGION_MAX 64u // bytes
#define USER_LIMIT_MAX 99u
#define STAGE_LIMIT_MAX 10000u
#define BITRATE_MIN 8000u
#define BITRATE_MAX 384000u
#define SLOWMODE_MAX_S 21600u
#define COLOR_MAX 0xffffffu
#define OVERWRITES_MAX 100u
#define EVERYONE "@everyone"

// --- small ones ---

static int read_flag(const struct reader *r, const json_t *j, const char *key, bool *out)
{
    const json_t *flag = json_object_get(j, key);
    if (flag && !json_is_boolean(flag))
        return world_wrong(r, "What is true or false is neither.");
    *out = json_is_true(flag);
    return API_OK;
}

static int read_number(const struct reader *r, const json_t *j, const char *key, uint64_t min, uint64_t max,
                       uint64_t *out)
{
    const json_t *number = json_object_get(j, key);
    *out = 0;
    if (!number)
        return API_OK;
    if (!json_is_integer(number) || json_integer_value(number) < (json_int_t)min ||
        json_integer_value(number) > (json_int_t)max)
        return world_wrong(r, "A number is none, or out of bounds.");
    *out = (uint64_t)json_integer_value(number);
    return API_OK;
}

// Absent, null or empty: none.
static int read_prose(const struct reader *r, const json_t *j, const char *key, size_t characters, struct bytes *out)
{
    const json_t *text = json_object_get(j, key);
    if (!text || json_is_null(text) || (json_is_string(text) && json_string_length(text) == 0))
        return API_OK;
    int err = world_read_text(r, j, key, out);
    if (!err && text_code_points(*out) > characters)
        err = world_wrong(r, "A text is too long.");
    return err;
}

static int read_permissions(const struct reader *r, const json_t *j, const char *key, uint64_t *out)
{
    struct texts names;
    *out = 0;
    if (world_read_names(r, j, key, &names))
        return API_INVALID_FORM;
    for (uint32_t i = 0; i < names.n; i++) {
        uint64_t bit;
        if (permission_bit(names.v[i], &bit))
            return world_wrong(r, "There is no permission of that name.");
        *out |= bit;
    }
    return API_OK;
}

// --- roles ---

// A number, or "#rrggbb".
static int read_color(const struct reader *r, const json_t *j, uint64_t *out)
{
    const char *text = json_string_value(json_object_get(j, "color"));
    if (!text)
        return read_number(r, j, "color", 0, COLOR_MAX, out);
    if (text[0] != '#' || strlen(text) != 7 || strspn(text + 1, "0123456789abcdefABCDEF") != 6)
        return world_wrong(r, "A colour is none.");
    *out = strtoul(text + 1, NULL, 16);
    return API_OK;
}

static int read_role(const struct reader *r, const json_t *j, struct world_role *out)
{
    if (world_read_label(r, j, &out->name) || read_permissions(r, j, "permissions", &out->permissions) ||
        world_read_names(r, j, "members", &out->members) || read_color(r, j, &out->color) ||
        read_flag(r, j, "hoist", &out->hoist) || read_flag(r, j, "mentionable", &out->mentionable))
        return API_INVALID_FORM;
    return bytes_is(out->name, EVERYONE) ? world_wrong(r, "Everyone's role is `everyone` of the guild.") : API_OK;
}

// --- channels ---

static int read_type(const struct reader *r, const json_t *j, enum channel_type *out)
{
    static const struct {
        const char *name;
        enum channel_type type;
    } types[] = {
        {"text", CHANNEL_TEXT}, {"voice", CHANNEL_VOICE}, {"category", CHANNEL_CATEGORY}, {"stage", CHANNEL_STAGE}};
    struct bytes type;
    if (world_read_text(r, j, "type", &type))
        return API_INVALID_FORM;
    for (size_t i = 0; i < countof(types); i++) {
        if (bytes_is(type, types[i].name)) {
            *out = types[i].type;
            return API_OK;
        }
    }
    return world_wrong(r, "A channel's type is none of text, voice, category, stage.");
}

static int read_voice(const struct reader *r, const json_t *j, struct world_channel *out)
{
    bool voice = out->type == CHANNEL_VOICE || out->type == CHANNEL_STAGE;
    bool said = json_object_get(j, "user_limit") || json_object_get(j, "bitrate") || json_object_get(j, "rtc_region");
    if (!voice)
        return said ? world_wrong(r, "Only voice channels and stages have user_limit, bitrate, rtc_region.") : API_OK;
    uint64_t limit = out->type == CHANNEL_STAGE ? STAGE_LIMIT_MAX : USER_LIMIT_MAX;
    if (read_number(r, j, "user_limit", 0, limit, &out->user_limit) ||
        read_number(r, j, "bitrate", BITRATE_MIN, BITRATE_MAX, &out->bitrate) ||
        read_prose(r, j, "rtc_region", REGION_MAX, &out->rtc_region))
        return API_INVALID_FORM;
    return out->rtc_region.n > REGION_MAX ? world_wrong(r, "A text is too long.") : API_OK;
}

static int read_channel(const struct reader *r, const json_t *j, struct world_channel *out)
{
    out->parent = WORLD_NONE;
    if (world_read_label(r, j, &out->name) || read_type(r, j, &out->type) || read_voice(r, j, out) ||
        read_prose(r, j, "topic", TOPIC_MAX, &out->topic) || read_flag(r, j, "nsfw", &out->nsfw) ||
        read_number(r, j, "slowmode", 0, SLOWMODE_MAX_S, &out->slowmode))
        return API_INVALID_FORM;
    return API_OK;
}

// --- what names another part of the guild ---

static uint32_t channel_named(const struct world_guild *g, struct bytes name, enum channel_type type)
{
    for (uint32_t i = 0; i < g->n_channels; i++)
        if (bytes_eq(g->channels[i].name, name) && g->channels[i].type == type)
            return i;
    return WORLD_NONE;
}

static int read_parent(const struct reader *r, const json_t *j, const struct world_guild *g, struct world_channel *out)
{
    struct bytes name = BYTES_NONE;
    if (read_prose(r, j, "parent", WORLD_NAME_MAX, &name))
        return API_INVALID_FORM;
    if (!name.p)
        return API_OK;
    out->parent = channel_named(g, name, CHANNEL_CATEGORY);
    bool ok = out->parent != WORLD_NONE && out->type != CHANNEL_CATEGORY;
    return ok ? API_OK : world_wrong(r, "A channel's parent is no category of its guild in this document.");
}

static int read_role_name(const struct reader *r, const json_t *j, const struct world_guild *g, uint32_t *out)
{
    struct bytes name;
    if (world_read_text(r, j, "role", &name))
        return API_INVALID_FORM;
    *out = WORLD_NONE;
    if (bytes_is(name, EVERYONE))
        return API_OK;
    for (uint32_t i = 0; i < g->n_roles; i++)
        if (bytes_eq(g->roles[i].name, name))
            *out = i;
    return *out == WORLD_NONE ? world_wrong(r, "An overwrite's role is none of its guild in this document.") : API_OK;
}

static int read_overwrite(const struct reader *r, const json_t *j, const struct world_guild *g,
                          struct world_overwrite *out)
{
    bool role = json_object_get(j, "role"), member = json_object_get(j, "member");
    *out = (struct world_overwrite){.role = WORLD_NONE};
    if (role == member)
        return world_wrong(r, "An overwrite is for a role or for a member.");
    if (role ? read_role_name(r, j, g, &out->role) : world_read_text(r, j, "member", &out->member))
        return API_INVALID_FORM;
    if (read_permissions(r, j, "allow", &out->allow) || read_permissions(r, j, "deny", &out->deny))
        return API_INVALID_FORM;
    return out->allow & out->deny ? world_wrong(r, "An overwrite allows what it denies.") : API_OK;
}

static int read_overwrites(const struct reader *r, const json_t *j, const struct world_guild *g,
                           struct world_channel *out)
{
    const json_t *list = json_object_get(j, "overwrites");
    size_t n = json_array_size(list);
    if ((list && !json_is_array(list)) || n > OVERWRITES_MAX)
        return world_wrong(r, "Overwrites are no list, or too many.");
    struct world_overwrite *v = arena_take(r->a, (n + 1) * sizeof *v);
    for (size_t i = 0; i < n; i++)
        if (read_overwrite(r, json_array_get(list, i), g, &v[i]))
            return API_INVALID_FORM;
    out->n_overwrites = (uint32_t)n;
    out->overwrites = v;
    return API_OK;
}

static int read_afk(const struct reader *r, const json_t *j, struct world_guild *out)
{
    static const uint64_t timeouts[] = {0, 60, 300, 900, 1800, 3600};
    struct bytes name = BYTES_NONE;
    bool known = false;
    out->afk_channel = WORLD_NONE;
    if (read_prose(r, j, "afk_channel", WORLD_NAME_MAX, &name) ||
        read_number(r, j, "afk_timeout", 0, 3600, &out->afk_timeout))
        return API_INVALID_FORM;
    if (name.p && (out->afk_channel = channel_named(out, name, CHANNEL_VOICE)) == WORLD_NONE)
        return world_wrong(r, "The AFK channel is no voice channel of its guild in this document.");
    for (size_t i = 0; i < countof(timeouts); i++)
        known = known || out->afk_timeout == timeouts[i];
    return known ? API_OK : world_wrong(r, "afk_timeout is none of 60, 300, 900, 1800, 3600.");
}

// --- the guild ---

// Everybody in the guild: its owner, its members, and who has a role in it.
static struct texts guild_members(const struct reader *r, const struct world_guild *g, struct texts members)
{
    size_t n = 1 + members.n;
    for (uint32_t i = 0; i < g->n_roles; i++)
        n += g->roles[i].members.n;
    struct bytes *v = arena_take(r->a, n * sizeof *v);
    n = 0;
    if (g->owner.p)
        v[n++] = g->owner;
    for (uint32_t i = 0; i < members.n; i++)
        v[n++] = members.v[i];
    for (uint32_t i = 0; i < g->n_roles; i++)
        for (uint32_t k = 0; k < g->roles[i].members.n; k++)
            v[n++] = g->roles[i].members.v[k];
    return (struct texts){(uint32_t)n, v};
}

static int read_lists(const struct reader *r, const json_t *j, struct world_guild *out)
{
    const json_t *roles = json_object_get(j, "roles"), *channels = json_object_get(j, "channels");
    size_t n_roles = json_array_size(roles), n_channels = json_array_size(channels);
    if ((roles && !json_is_array(roles)) || (channels && !json_is_array(channels)))
        return world_wrong(r, "Roles or channels are no list.");
    if (n_roles > WORLD_ROLES_MAX || n_channels > WORLD_CHANNELS_MAX)
        return world_wrong(r, "Too many roles or channels.");
    struct world_role *role = arena_take(r->a, (n_roles + 1) * sizeof *role);
    struct world_channel *channel = arena_take(r->a, (n_channels + 1) * sizeof *channel);
    for (size_t i = 0; i < n_roles; i++)
        if (read_role(r, json_array_get(roles, i), &role[i]))
            return API_INVALID_FORM;
    for (size_t i = 0; i < n_channels; i++)
        if (read_channel(r, json_array_get(channels, i), &channel[i]))
            return API_INVALID_FORM;
    out->n_roles = (uint32_t)n_roles;
    out->roles = role;
    out->n_channels = (uint32_t)n_channels;
    out->channels = channel;
    for (size_t i = 0; i < n_channels; i++) {
        const json_t *c = json_array_get(channels, i);
        if (read_parent(r, c, out, &channel[i]) || read_overwrites(r, c, out, &channel[i]))
            return API_INVALID_FORM;
    }
    return API_OK;
}

static int read_name(const struct reader *r, const json_t *j, struct world_guild *out)
{
    if (world_read_id(r, j, &out->id))
        return API_INVALID_FORM;
    if (out->id && !json_object_get(j, "name") && !json_object_get(j, "owner"))
        return API_OK;
    return world_read_label(r, j, &out->name) || world_read_text(r, j, "owner", &out->owner) ? API_INVALID_FORM
                                                                                             : API_OK;
}

int world_read_guild(const struct reader *r, const json_t *j, void *into)
{
    struct world_guild *out = into;
    struct texts members;
    out->everyone = permissions_of_everyone();
    if (read_name(r, j, out) || world_read_names(r, j, "members", &members) || read_lists(r, j, out) ||
        read_afk(r, j, out) || read_prose(r, j, "description", DESCRIPTION_MAX, &out->description) ||
        read_flag(r, j, "more", &out->more))
        return API_INVALID_FORM;
    if (json_object_get(j, "everyone") && read_permissions(r, j, "everyone", &out->everyone))
        return API_INVALID_FORM;
    out->members = guild_members(r, out, members);
    return API_OK;
}
