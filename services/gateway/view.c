// view: see view.h.
#include "view.h"

#include <stdlib.h>

#define FLAGS_OF_BOTS 565248u // presence, members and message content, limited: what an unverified bot may ask for

static int user_by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = ((const struct user *)b)->id;
    return (x > y) - (x < y);
}

const struct user *view_find_user(struct user_set users, uint64_t id)
{
    return users.n ? bsearch(&id, users.v, users.n, sizeof *users.v, user_by_id) : NULL;
}

struct j_user view_user(struct user_set users, uint64_t id)
{
    const struct user *u = view_find_user(users, id);
    return present_user_id((struct user_set){u ? 1 : 0, u}, id);
}

void view_me(struct buf *out, const struct user *u, struct bytes analytics_token)
{
    const struct j_me me = {
        .id = u->id,
        .username = u->username,
        .discriminator = u->discriminator.n ? u->discriminator : BYTES("0"),
        .global_name = u->global_name,
        .avatar = u->avatar,
        .verified = true,
        .flags = u->public_flags,
        .public_flags = u->public_flags,
        .nsfw_allowed = true,
        .locale = BYTES("en-US"),
        .bot = u->bot,
        .analytics_token = analytics_token,
    };
    JSON(out, j_me, &me);
}

void view_application(struct buf *out, const struct user *bot)
{
    static const char no_key[] = "0000000000000000000000000000000000000000000000000000000000000000";
    const struct j_user owner = present_user(bot);
    const struct j_application app = {
        .id = bot->id,
        .name = bot->username,
        .icon = bot->avatar,
        .bot_public = true,
        .owner = &owner,
        .verify_key = BYTES(no_key),
        .flags = FLAGS_OF_BOTS,
        .hook = true,
    };
    JSON(out, j_application, &app);
}

void view_roles(struct buf *out, const struct loaded_guild *g)
{
    present_roles_json(out, g->roles.n, g->roles.v);
}

void view_guild(struct buf *out, const struct loaded_guild *g, bool open)
{
    present_guild_roles_json(out, &g->guild, g->roles.n, g->roles.v);
    out->n -= open; // its closing brace
}

void view_channels(struct arena *a, struct buf *out, const struct loaded_guild *g, uint64_t viewer, bool with_guild_id)
{
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; i < g->n_channels; i++) {
        if (!view_shows(g, viewer, &g->channels[i]))
            continue;
        buf_str(out, comma);
        present_guild_channel_json(a, out, &g->channels[i], with_guild_id ? g->guild.id : 0);
        comma = ",";
    }
    buf_char(out, ']');
}

void view_member_json(struct buf *out, const struct member *m, struct role_set roles, struct user_set users)
{
    const struct j_user user = view_user(users, m->user);
    const struct j_member j = present_member(m, &user, 0, permissions_hoisted(roles, m));
    JSON(out, j_member, &j);
}

static bool sits_elsewhere(const struct world *w, const struct call_member *m)
{
    for (uint32_t i = 0; i < w->n_channels; i++) {
        const struct call_rec *call = w->channels[i].call;
        for (uint32_t k = 0; call && k < call->members.n; k++)
            if (call->members.v[k].user == m->user && call->members.v[k].epoch > m->epoch)
                return true;
    }
    return false;
}

bool view_shows_call(const struct call_rec *call)
{
    return call && !call->unavailable;
}

struct bytes view_call(struct arena *a, const struct world *w, uint32_t channel)
{
    struct call_rec call = *w->channels[channel].call;
    struct call_member *v = arena_take(a, (call.members.n + 1) * sizeof *v);
    uint32_t n = 0;
    for (uint32_t i = 0; i < call.members.n; i++)
        if (!sits_elsewhere(w, &call.members.v[i]))
            v[n++] = call.members.v[i];
    call.members.n = n;
    call.members.v = v;
    return present_call_create(a, w->channels[channel].channel.id, &call);
}

const struct member *view_find_member(const struct loaded_guild *g, uint64_t user)
{
    uint32_t low = 0, high = g->n_members;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (g->members[mid].user < user)
            low = mid + 1;
        else
            high = mid;
    }
    return low < g->n_members && g->members[low].user == user ? &g->members[low] : NULL;
}

const struct guild_channel *view_find_channel(const struct loaded_guild *g, uint64_t channel)
{
    for (uint32_t i = 0; i < g->n_channels; i++)
        if (g->channels[i].id == channel)
            return &g->channels[i];
    return NULL;
}

#define ALWAYS UINT64_MAX // a time when nobody is timed out; who is still sees all that he did

const struct voice_seat *view_find_seat(const struct loaded_guild *g, uint64_t user)
{
    for (uint32_t i = 0; i < g->n_seats; i++)
        if (g->seats[i].user == user)
            return &g->seats[i];
    return NULL;
}

const struct stage *view_find_stage(const struct loaded_guild *g, uint64_t channel)
{
    for (uint32_t i = 0; i < g->n_stages; i++)
        if (g->stages[i].channel == channel)
            return &g->stages[i];
    return NULL;
}

bool view_shows(const struct loaded_guild *g, uint64_t viewer, const struct guild_channel *c)
{
    const struct member *m = view_find_member(g, viewer);
    return permissions_in_channel(&g->guild, g->roles, m, c, ALWAYS) & MAY(VIEW_CHANNEL);
}

uint64_t view_permissions(const struct loaded_guild *g, uint64_t user)
{
    return permissions_in_guild(&g->guild, g->roles, view_find_member(g, user), ALWAYS);
}

void view_counts(struct buf *out, const struct loaded_guild *g)
{
    unsigned long long n = g->member_count;
    buf_printf(out, ",\"approximate_member_count\":%llu,\"approximate_presence_count\":%llu", n, n);
}

void view_my_guild(struct buf *out, const struct loaded_guild *g, uint64_t user, bool with_counts)
{
    const struct j_my_guild j = {
        .id = g->guild.id,
        .name = g->guild.name,
        .icon = g->guild.icon,
        .owner = g->guild.owner == user,
        .permissions = view_permissions(g, user),
    };
    JSON(out, j_my_guild, &j);
    if (with_counts) {
        out->n--; // its closing brace
        view_counts(out, g);
        buf_char(out, '}');
    }
}
