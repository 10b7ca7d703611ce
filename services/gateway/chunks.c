// chunks: see chunks.h.
#include "chunks.h"
#include "present_guild.h"

#include <string.h>

bool chunk_ask_of(const struct op_members *m, uint32_t at, struct chunk_ask *out)
{
    *out = (struct chunk_ask){.guild = m->guilds.v[at], .presences = m->presences, .has_nonce = m->nonce.p != NULL};
    CHECK(bytes_copy(out->nonce, sizeof out->nonce, m->nonce) == OK);
    if (m->has_users) {
        out->kind = CHUNK_USERS;
        for (uint32_t i = 0; i < m->users.n && out->n_users < CHUNK_MATCHES_MAX; i++)
            out->users[out->n_users++] = m->users.v[i];
        return true;
    }
    if (!m->query.p)
        return false;
    CHECK(bytes_copy(out->query, sizeof out->query, m->query) == OK);
    out->kind = m->query.n == 0 && m->limit == 0 ? CHUNK_WHOLE : CHUNK_BEGIN;
    out->limit = m->limit > 0 && m->limit < CHUNK_MATCHES_MAX ? (uint32_t)m->limit : CHUNK_MATCHES_MAX;
    return true;
}

bool chunk_may(struct chunk_ask *ask, bool bot, bool has_members, bool has_presences, uint64_t permissions)
{
    if (bot && !has_presences)
        ask->presences = false;
    if (ask->kind != CHUNK_WHOLE)
        return true;
    return bot ? has_members : permissions & (MAY(MANAGE_ROLES) | MAY(KICK_MEMBERS) | MAY(BAN_MEMBERS));
}

void chunk_begin(struct chunk_walk *w, const struct chunk_ask *ask, uint64_t member_count)
{
    *w = (struct chunk_walk){.count = 1, .ended = ask->kind == CHUNK_USERS};
    if (ask->kind == CHUNK_WHOLE && member_count > CHUNK_MAX)
        w->count = (uint32_t)((member_count + CHUNK_MAX - 1) / CHUNK_MAX);
}

static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static bool begins(struct bytes name, struct bytes query)
{
    if (name.n < query.n)
        return false;
    for (size_t i = 0; i < query.n; i++)
        if (fold(name.p[i]) != fold(query.p[i]))
            return false;
    return true;
}

bool chunk_matches(const struct member *m, const struct user *u, struct bytes query)
{
    return (u && begins(u->username, query)) || (m->nick.p && begins(m->nick, query));
}

void chunk_page(struct chunk_walk *w, struct chunk_ask *ask, uint32_t n, const struct member *members,
                const struct user *const *users)
{
    w->looked += n;
    w->after = n ? members[n - 1].user : w->after;
    for (uint32_t i = 0; ask->kind == CHUNK_BEGIN && i < n && ask->n_users < ask->limit; i++)
        if (chunk_matches(&members[i], users[i], bytes_of(ask->query)))
            ask->users[ask->n_users++] = members[i].user;
    if (ask->kind == CHUNK_WHOLE)
        w->ended = w->index + 1 == w->count; // clients wait for as many as they were told of
    else
        w->ended = n == 0 || ask->n_users == ask->limit || w->looked >= CHUNK_LOOKED_MAX;
}

// --- as text ---

static void nonce_json(struct buf *out, const struct chunk_ask *ask)
{
    if (!ask->has_nonce)
        return;
    buf_str(out, ",\"nonce\":");
    json_text(out, bytes_of(ask->nonce));
}

static void member_json(struct buf *out, const struct chunk *c, uint32_t i)
{
    const struct member *m = &c->members[i];
    const struct j_user user = present_user_id((struct user_set){c->users[i] ? 1 : 0, c->users[i]}, m->user);
    const struct j_member j = present_member(m, &user, 0, permissions_hoisted(c->roles, m));
    JSON(out, j_member, &j);
}

static bool has_member(const struct chunk *c, uint64_t user)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (c->members[i].user == user)
            return true;
    return false;
}

static void not_found_json(struct buf *out, const struct chunk_ask *ask, const struct chunk *c)
{
    bool first = true;
    buf_str(out, ",\"not_found\":[");
    for (uint32_t i = 0; i < ask->n_users; i++) {
        if (has_member(c, ask->users[i]))
            continue;
        buf_str(out, first ? "" : ",");
        json_id(out, ask->users[i]);
        first = false;
    }
    buf_char(out, ']');
}

static void presences_json(struct buf *out, const struct chunk *c)
{
    bool first = true;
    buf_str(out, ",\"presences\":[");
    for (uint32_t i = 0; i < c->n; i++) {
        const struct presence *p = presence_find(c->presences, c->members[i].user);
        if (!p)
            continue;
        buf_str(out, first ? "" : ",");
        presence_json(out, p->user, p, 0, false);
        first = false;
    }
    buf_char(out, ']');
}

void chunk_json(struct buf *out, const struct chunk_ask *ask, const struct chunk_walk *w, const struct chunk *c)
{
    buf_str(out, "{\"guild_id\":");
    json_id(out, ask->guild);
    buf_str(out, ",\"members\":[");
    for (uint32_t i = 0; i < c->n; i++) {
        buf_str(out, i ? "," : "");
        member_json(out, c, i);
    }
    buf_printf(out, "],\"chunk_index\":%u,\"chunk_count\":%u", (unsigned)w->index, (unsigned)w->count);
    if (ask->kind == CHUNK_USERS)
        not_found_json(out, ask, c);
    if (ask->presences)
        presences_json(out, c);
    nonce_json(out, ask);
    buf_char(out, '}');
}

void chunk_sent(struct chunk_walk *w)
{
    w->index++;
}
