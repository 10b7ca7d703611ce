// ready_guild: a guild as READY and GUILD_CREATE show it (https://docs.discord.com/developers/resources/guild).
// Every list-valued key is there even when Switchboard has nothing for it: libraries walk them unasked.
#include "ready_private.h"
#include "view.h"

#define LARGE_MEMBERS 250u

static void member_json(struct buf *out, const struct ready *r, const struct member *m, bool with_user)
{
    const struct j_user user = ready_user(r, m->user);
    const struct j_member j = present_member(m, with_user ? &user : NULL, 0, 0);
    JSON(out, j_member, &j);
}

static void members_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    buf_str(out, ",\"members\":[");
    for (uint32_t i = 0; i < g->n_members; i++) {
        buf_str(out, i ? "," : "");
        member_json(out, r, &g->members[i], true);
    }
    buf_char(out, ']');
}

// What both forms have beside the guild's own fields.
static void contents_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    const struct member *own = view_find_member(g, r->world->user.id);
    buf_str(out, ",\"joined_at\":");
    json_time(out, own ? own->joined_at : 0);
    buf_str(out, g->n_members > LARGE_MEMBERS ? ",\"large\":true" : ",\"large\":false");
    buf_printf(out, ",\"member_count\":%u,\"version\":%llu,\"lazy\":true", (unsigned)g->n_members,
               (unsigned long long)g->version);
    buf_str(out, ",\"roles\":");
    view_roles(out, g);
    buf_str(out, ",\"channels\":");
    struct arena a = {0};
    view_channels(&a, out, g, r->world->user.id, false);
    arena_fini(&a);
    buf_str(out, ",\"threads\":[],\"emojis\":[],\"stickers\":[],\"stage_instances\":[],\"guild_scheduled_events\":[],"
                 "\"soundboard_sounds\":[],\"activity_instances\":[],\"embedded_activities\":[]");
}

static void people_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    members_json(out, r, g);
    buf_str(out, ",\"presences\":[],\"voice_states\":[]");
}

void ready_guild_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    present_guild_json(out, &g->guild);
    out->n--; // its closing brace
    contents_json(out, r, g);
    people_json(out, r, g);
    buf_str(out, ",\"unavailable\":false}");
}

static void guild_json(struct buf *out, const struct ready *r, const struct loaded_guild *g, bool in_properties)
{
    if (in_properties) {
        buf_str(out, "{\"id\":");
        json_id(out, g->guild.id);
        buf_str(out, ",\"data_mode\":\"full\",\"properties\":");
        present_guild_json(out, &g->guild);
        buf_str(out, ",\"premium_subscription_count\":0");
    } else {
        present_guild_json(out, &g->guild);
        out->n--; // its closing brace
        buf_str(out, ",\"unavailable\":false");
    }
    contents_json(out, r, g);
    if (!ready_deduped(r->session))
        people_json(out, r, g);
    else if (!ready_has_supplemental(r->session))
        buf_str(out, ",\"presences\":[],\"voice_states\":[]");
    buf_char(out, '}');
}

void ready_guilds_json(struct buf *out, const struct ready *r, bool in_properties)
{
    bool first = true;
    buf_char(out, '[');
    for (uint32_t i = 0; i < r->world->n_guilds; i++) {
        const struct loaded_guild *g = &r->world->guilds[i];
        if (!session_sees_guild(r->session, g->guild.id))
            continue;
        buf_str(out, first ? "" : ",");
        guild_json(out, r, g, in_properties);
        first = false;
    }
    buf_char(out, ']');
}

void ready_merged_members_json(struct buf *out, const struct ready *r, bool own)
{
    bool first = true;
    buf_char(out, '[');
    for (uint32_t i = 0; i < r->world->n_guilds; i++) {
        const struct loaded_guild *g = &r->world->guilds[i];
        if (!session_sees_guild(r->session, g->guild.id))
            continue;
        const struct member *m = own ? view_find_member(g, r->world->user.id) : NULL;
        buf_str(out, first ? "[" : ",[");
        if (m)
            member_json(out, r, m, false);
        buf_char(out, ']');
        first = false;
    }
    buf_char(out, ']');
}
