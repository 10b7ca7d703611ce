// directory: see directory.h.
#include "directory.h"
#include "errors.h"
#include "text.h"

#include <string.h>

const struct fault username_taken = {"username", -1, "USERNAME_ALREADY_TAKEN", "Username is already taken."};

static bool all_digits(struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] < '0' || b.p[i] > '9')
            return false;
    return true;
}

static bool name_byte_ok(unsigned char c)
{
    return c >= 0x20 && c != 0x7f && !strchr("@#:`", c);
}

int username_check(struct bytes name, struct fault *fault)
{
    if (name.n == 0 || name.n > USERNAME_MAX) {
        *fault = (struct fault){"username", -1, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length."};
        return API_INVALID_FORM;
    }
    bool ok = text_is_utf8(name) && !all_digits(name) && !bytes_is(name, "everyone") && !bytes_is(name, "here");
    ok = ok && name.p[0] != ' ' && name.p[name.n - 1] != ' ';
    for (size_t i = 0; ok && i < name.n; i++)
        ok = name_byte_ok((unsigned char)name.p[i]);
    if (ok)
        return API_OK;
    *fault = (struct fault){"username", -1, "USERNAME_INVALID", "Username cannot be used."};
    return API_INVALID_FORM;
}

struct bytes username_lower(struct arena *a, struct bytes name)
{
    char *p = arena_text(a, name);
    for (size_t i = 0; i < name.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] - 'A' + 'a');
    return (struct bytes){p, name.n};
}

// --- lists ---

static void key_id(struct buf *out, const char *key, uint64_t id)
{
    buf_str(out, key);
    json_id(out, id);
}

static void key_text(struct buf *out, const char *key, struct bytes text)
{
    buf_str(out, key);
    if (text.p)
        json_text(out, text);
    else
        buf_str(out, "null");
}

void directory_user_json(struct buf *out, const struct user *u)
{
    key_id(out, "{\"id\":", u->id);
    key_text(out, ",\"username\":", u->username);
    key_text(out, ",\"global_name\":", u->global_name);
    buf_str(out, u->bot ? ",\"bot\":true}" : ",\"bot\":false}");
}

void directory_ids_json(struct buf *out, struct ids ids)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < ids.n; i++) {
        if (i)
            buf_char(out, ',');
        json_id(out, ids.v[i]);
    }
    buf_char(out, ']');
}

void directory_channel_json(struct buf *out, const struct channel *c)
{
    key_id(out, "{\"id\":", c->id);
    buf_str(out, ",\"type\":");
    buf_u64(out, c->type);
    key_text(out, ",\"name\":", c->name);
    buf_str(out, ",\"users\":");
    directory_ids_json(out, c->recipients);
    buf_char(out, '}');
}

void directory_guild_channel_json(struct buf *out, const struct guild_channel *c)
{
    key_id(out, "{\"id\":", c->id);
    key_text(out, ",\"name\":", c->name);
    buf_str(out, ",\"type\":");
    buf_u64(out, c->type);
    buf_char(out, '}');
}

void directory_guild_json(struct buf *out, const struct guild *g, const struct guild_channel *channels, uint32_t n)
{
    key_id(out, "{\"id\":", g->id);
    key_text(out, ",\"name\":", g->name);
    buf_str(out, ",\"channels\":[");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        directory_guild_channel_json(out, &channels[i]);
    }
    buf_str(out, "]}");
}

// --- relationships ---

// A request, or the answer to one.
static int befriend(const struct user *user, const struct user *target, struct relations now, struct relations *want)
{
    if (user->bot)
        return API_BOTS_CANNOT;
    if (target->bot)
        return API_REQUESTS_DISABLED;
    if (now.theirs == REL_BLOCKED)
        return API_REQUEST_BLOCKED;
    if (now.mine == REL_FRIEND)
        return API_ALREADY_FRIENDS;
    if (now.mine == REL_INCOMING)
        *want = (struct relations){REL_FRIEND, REL_FRIEND};
    else
        *want = (struct relations){REL_OUTGOING, REL_INCOMING};
    return API_OK;
}

int relationship_step(const struct relationship_put *put, const struct user *user, const struct user *target,
                      struct relations now, struct relations *want)
{
    if (!user || !target)
        return API_UNKNOWN_USER;
    if (put->user == put->target)
        return API_SELF_REQUEST;
    enum relation theirs_without_me = now.theirs == REL_BLOCKED ? REL_BLOCKED : REL_NONE;
    switch (put->type) {
    case REL_FRIEND:
        if (!put->by_admin)
            return befriend(user, target, now, want);
        *want = (struct relations){REL_FRIEND, REL_FRIEND};
        return API_OK;
    case REL_BLOCKED:
        *want = (struct relations){REL_BLOCKED, theirs_without_me};
        return API_OK;
    case REL_NONE:
        *want = (struct relations){REL_NONE, now.mine == REL_BLOCKED ? now.theirs : theirs_without_me};
        return API_OK;
    }
    return API_INVALID_FORM;
}

struct event relationship_event(struct arena *a, uint64_t owner, const struct user *other, enum relation was,
                                enum relation is)
{
    struct buf json = {0};
    struct event e = {.to = 1, .user = owner};
    if (is == REL_NONE) {
        const struct j_relationship_gone gone = {.id = other->id, .type = (uint64_t)was};
        JSON(&json, j_relationship_gone, &gone);
        e.name = BYTES("RELATIONSHIP_REMOVE");
    } else {
        const struct j_user user = present_user(other);
        const struct j_relationship added = {.id = other->id, .type = (uint64_t)is, .user = &user};
        JSON(&json, j_relationship, &added);
        e.name = BYTES("RELATIONSHIP_ADD");
    }
    e.body = arena_copy(a, buf_bytes(&json));
    buf_fini(&json);
    return e;
}
