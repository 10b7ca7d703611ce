// presence: see presence.h.
#include "presence.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"invisible", "idle", "dnd", "online"};

enum presence_status presence_status_of(struct bytes name)
{
    for (size_t i = 0; i < countof(names); i++)
        if (bytes_is(name, names[i]))
            return (enum presence_status)i;
    return bytes_is(name, "offline") ? PRESENCE_INVISIBLE : PRESENCE_ONLINE;
}

static bool holds(struct bytes text, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= text.n; i++)
        if (memcmp(text.p + i, word, n) == 0)
            return true;
    return false;
}

struct bytes presence_client(struct bytes os, struct bytes browser)
{
    if (holds(browser, "Discord Client"))
        return BYTES("desktop");
    if (holds(browser, "Discord iOS") || holds(browser, "Discord Android") || bytes_is(os, "iOS") ||
        bytes_is(os, "Android"))
        return BYTES("mobile");
    return BYTES("web");
}

bool presence_best(uint64_t user, const struct online *rows, uint32_t n, struct presence *out)
{
    const struct online *best = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (rows[i].status != PRESENCE_INVISIBLE &&
            (!best || rows[i].status > best->status || (rows[i].status == best->status && rows[i].since > best->since)))
            best = &rows[i];
    if (!best)
        return false;
    *out = (struct presence){user, (enum presence_status)best->status, best->client, best->activities};
    return true;
}

static int by_user(const void *key, const void *v)
{
    uint64_t a = *(const uint64_t *)key, b = ((const struct presence *)v)->user;
    return (a > b) - (a < b);
}

const struct presence *presence_find(struct presence_set set, uint64_t user)
{
    return set.n ? bsearch(&user, set.v, set.n, sizeof *set.v, by_user) : NULL;
}

static void activities_json(struct buf *out, struct bytes activities)
{
    buf_str(out, ",\"activities\":");
    if (activities.n)
        buf_add(out, activities.p, activities.n);
    else
        buf_str(out, "[]");
}

void presence_json(struct buf *out, uint64_t user, const struct presence *p, uint64_t guild, bool brief)
{
    const char *status = p ? names[p->status] : "offline";
    buf_str(out, brief ? "{\"user_id\":" : "{\"user\":{\"id\":");
    json_id(out, user);
    buf_str(out, brief ? "" : "}");
    if (guild) {
        buf_str(out, ",\"guild_id\":");
        json_id(out, guild);
    }
    buf_printf(out, ",\"status\":\"%s\"", status);
    activities_json(out, p ? p->activities : BYTES_NONE);
    buf_str(out, ",\"client_status\":{");
    if (p) {
        json_text(out, p->client.n ? p->client : BYTES("web"));
        buf_printf(out, ":\"%s\"", status);
    }
    buf_str(out, "}}");
}

void presence_session_json(struct buf *out, struct bytes session, const struct online *row, bool active)
{
    static const struct online unknown = {.status = PRESENCE_ONLINE};
    const struct online *o = row ? row : &unknown;
    buf_str(out, "{\"session_id\":");
    json_text(out, session);
    buf_printf(out, ",\"status\":\"%s\"", names[o->status]);
    activities_json(out, o->activities);
    buf_str(out, ",\"hidden_activities\":[],\"client_info\":{\"client\":");
    json_text(out, o->client.n ? o->client : BYTES("unknown"));
    buf_printf(out, ",\"os\":\"unknown\",\"version\":0},\"active\":%s}", active ? "true" : "false");
}

const struct online *presence_session(const struct presence_sessions *s, struct bytes session)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (bytes_eq(s->names[i], session))
            return &s->rows[i];
    return NULL;
}
