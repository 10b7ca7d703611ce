// rest_guilds: one handler per route that shows guilds. Who is no member does not find them (10004). None reads a guild
// whole.
#include "rest_private.h"

#define MY_GUILDS_MAX 200u

void handle_guild(struct step *s)
{
    const struct loaded_guild *g = rest_loaded_guild(s);
    if (!g)
        return;
    bool counts = form_query_flag(s->a, s->r->query, "with_counts");
    struct buf out = {0};
    view_guild(&out, g, counts);
    if (counts) {
        view_counts(&out, g);
        buf_char(&out, '}');
    }
    rest_reply_buf(s, &out);
}

void handle_guild_channels(struct step *s)
{
    const struct loaded_guild *g = rest_loaded_guild(s);
    if (!g)
        return;
    struct buf out = {0};
    view_channels(s->a, &out, g, s->r->user, true);
    rest_reply_buf(s, &out);
}

void handle_guild_roles(struct step *s)
{
    const struct loaded_guild *g = rest_loaded_guild(s);
    if (!g)
        return;
    struct buf out = {0};
    view_roles(&out, g);
    rest_reply_buf(s, &out);
}

void handle_guild_role(struct step *s)
{
    const struct loaded_guild *g = rest_loaded_guild(s);
    const struct role *r = NULL;
    for (uint32_t i = 0; g && i < g->roles.n; i++)
        if (g->roles.v[i].id == s->route.id[1])
            r = &g->roles.v[i];
    if (!g || rest_refused(s, r ? API_OK : API_UNKNOWN_ROLE, NULL))
        return;
    struct buf out = {0};
    present_role_json(&out, r);
    rest_reply_buf(s, &out);
}

// Roles outlive the reading of the guild: what of them its members' places in lists come from.
static void keep_roles(struct step *s, struct role_set roles)
{
    struct role *v = arena_take(s->a, (roles.n + 1) * sizeof *v);
    for (uint32_t i = 0; i < roles.n; i++)
        v[i] = (struct role){.id = roles.v[i].id, .position = roles.v[i].position, .hoist = roles.v[i].hoist};
    s->r->roles = (struct role_set){roles.n, v};
}

void handle_guild_members(struct step *s)
{
    uint64_t limit = 1, after = 0;
    bool has_after;
    struct fault fault = {0};
    int err = form_query_number(s->a, s->r->query, "limit", 1, LOAD_PAGE_MAX, &limit, &fault);
    err = err ? err : form_query_id(s->a, s->r->query, "after", &after, &has_after, &fault);
    if (rest_refused(s, err, &fault))
        return;
    if (s->r->had != REST_LOAD_MEMBERS) { // is he one himself?
        const struct loaded_guild *g = rest_loaded_guild(s);
        if (!g)
            return;
        keep_roles(s, g->roles);
        s->out->after = after;
        s->out->limit = (uint32_t)limit;
        s->out->want = REST_LOAD_MEMBERS;
        return;
    }
    struct buf out = {0};
    buf_char(&out, '[');
    for (uint32_t i = 0; i < s->r->n_members; i++) {
        buf_str(&out, i ? "," : "");
        view_member_json(&out, &s->r->members[i], s->r->roles, s->r->users);
    }
    buf_char(&out, ']');
    rest_reply_buf(s, &out);
}

void handle_guild_member(struct step *s)
{
    const struct loaded_guild *g = rest_guild_with(s, s->route.id[1]);
    if (!g)
        return;
    const struct member *m = view_find_member(g, s->route.id[1]);
    if (rest_refused(s, m ? API_OK : API_UNKNOWN_MEMBER, NULL))
        return;
    struct buf out = {0};
    view_member_json(&out, m, g->roles, s->r->world->users);
    rest_reply_buf(s, &out);
}

void handle_guild_regions(struct step *s)
{
    if (rest_loaded_guild(s))
        handle_regions(s);
}

// Which part of w->guilds a page is: after counts from the front, before from the back.
static void page(const struct world *w, uint64_t limit, const uint64_t *before, const uint64_t *after, uint32_t *from,
                 uint32_t *to)
{
    *from = 0;
    *to = w->n_guilds;
    while (before && *to > 0 && w->guilds[*to - 1].guild.id >= *before)
        --*to;
    while (after && *from < *to && w->guilds[*from].guild.id <= *after)
        ++*from;
    if (*to - *from <= limit)
        return;
    if (before && !after)
        *from = *to - (uint32_t)limit;
    else
        *to = *from + (uint32_t)limit;
}

void handle_my_guilds(struct step *s)
{
    uint64_t limit = MY_GUILDS_MAX, before, after;
    bool has_before, has_after;
    struct fault fault = {0};
    int err = form_query_number(s->a, s->r->query, "limit", 1, MY_GUILDS_MAX, &limit, &fault);
    err = err ? err : form_query_id(s->a, s->r->query, "before", &before, &has_before, &fault);
    err = err ? err : form_query_id(s->a, s->r->query, "after", &after, &has_after, &fault);
    if (rest_refused(s, err, &fault))
        return;
    const struct world *w = rest_world(s, LOAD_FRAMES);
    if (!w)
        return;
    bool counts = form_query_flag(s->a, s->r->query, "with_counts");
    uint32_t from, to;
    page(w, limit, has_before ? &before : NULL, has_after ? &after : NULL, &from, &to);
    struct buf out = {0};
    buf_char(&out, '[');
    for (uint32_t i = from; i < to; i++) {
        buf_str(&out, i > from ? "," : "");
        view_my_guild(&out, &w->guilds[i], s->r->user, counts);
    }
    buf_char(&out, ']');
    rest_reply_buf(s, &out);
}
