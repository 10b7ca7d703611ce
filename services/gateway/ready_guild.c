// ready_guild: a guild as READY and GUILD_CREATE show it (https://docs.discord.com/developers/resources/guild;
// https://docs.discord.food/gateway/gateway-events, "Gateway Guild Object").
// Every list-valued key is there even when Switchboard has nothing for it: libraries walk them unasked.
#include "intents.h"
#include "ready_private.h"
#include "view.h"

#include <stdlib.h>

// --- what of a guild the session is told ---

struct sight {
    struct arena a;
    struct ids channels; // that its user may view, ascending
    uint32_t n_seats;
    const struct voice_seat **seats; // there, and his own wherever that is; by user
};

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool sees_channel(const struct sight *v, uint64_t channel)
{
    return v->channels.n && bsearch(&channel, v->channels.v, v->channels.n, sizeof channel, by_id);
}

static void sight_init(struct sight *v, const struct ready *r, const struct loaded_guild *g)
{
    uint64_t me = r->world->user.id;
    *v = (struct sight){0};
    uint64_t *channels = arena_take(&v->a, (g->n_channels + 1) * sizeof *channels);
    for (uint32_t i = 0; i < g->n_channels; i++)
        if (view_shows(g, me, &g->channels[i]))
            channels[v->channels.n++] = g->channels[i].id;
    qsort(channels, v->channels.n, sizeof *channels, by_id);
    v->channels.v = channels;
    v->seats = arena_take(&v->a, (g->n_seats + 1) * sizeof(const struct voice_seat *));
    for (uint32_t i = 0; i < g->n_seats; i++)
        if (g->seats[i].user == me || sees_channel(v, g->seats[i].channel))
            v->seats[v->n_seats++] = &g->seats[i];
}

static void sight_fini(struct sight *v)
{
    arena_fini(&v->a);
}

// --- voice states ---

static void voice_states_json(struct buf *out, const struct ready *r, const struct sight *v)
{
    bool told = session_wants(r->session, intents_of(BYTES("VOICE_STATE_UPDATE"), true));
    buf_char(out, '[');
    for (uint32_t i = 0; told && i < v->n_seats; i++) {
        const struct j_seat j = present_seat(v->seats[i]);
        buf_str(out, i ? "," : "");
        JSON(out, j_seat, &j);
    }
    buf_char(out, ']');
}

void ready_voice_states_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    struct sight v;
    sight_init(&v, r, g);
    voice_states_json(out, r, &v);
    sight_fini(&v);
}

uint32_t ready_voice_users(const struct ready *r, const struct loaded_guild *g, uint64_t *out)
{
    struct sight v;
    sight_init(&v, r, g);
    uint32_t n = v.n_seats;
    for (uint32_t i = 0; i < n; i++)
        out[i] = v.seats[i]->user;
    sight_fini(&v);
    return n;
}

// --- members ---

static bool large(const struct ready *r, const struct loaded_guild *g)
{
    return g->member_count > session_large(r->session);
}

// Bots that did not ask for presences are told of nobody else but who sits in voice, as is everybody of a large guild.
static bool tells_all(const struct ready *r, const struct loaded_guild *g)
{
    return g->whole && !large(r, g) && session_wants(r->session, intents_of(BYTES("PRESENCE_UPDATE"), true));
}

static void member_json(struct buf *out, const struct ready *r, const struct loaded_guild *g, const struct member *m,
                        bool with_user)
{
    const struct j_user user = ready_user(r, m->user);
    const struct j_member j = present_member(m, with_user ? &user : NULL, 0, permissions_hoisted(g->roles, m));
    JSON(out, j_member, &j);
}

// Whether a member is among those told of: of all that are there, or of the user's own, of those who sit in voice, or
// both. Both lists are in the order of users; seat: how far that of seats has been followed.
static bool is_told(const struct ready *r, const struct sight *v, const struct member *m, bool all, unsigned what,
                    uint32_t *seat)
{
    while (*seat < v->n_seats && v->seats[*seat]->user < m->user)
        ++*seat;
    bool own = m->user == r->world->user.id, sits = *seat < v->n_seats && v->seats[*seat]->user == m->user;
    return all || (own ? what & MERGED_OWN : sits && what & MERGED_VOICE);
}

static void some_members_json(struct buf *out, const struct ready *r, const struct loaded_guild *g,
                              const struct sight *v, bool all, unsigned what, bool with_user)
{
    const char *comma = "";
    uint32_t seat = 0;
    buf_char(out, '[');
    for (uint32_t i = 0; i < g->n_members; i++) {
        if (!is_told(r, v, &g->members[i], all, what, &seat))
            continue;
        buf_str(out, comma);
        member_json(out, r, g, &g->members[i], with_user);
        comma = ",";
    }
    buf_char(out, ']');
}

// Of the same, but not of himself, those who are there.
static void some_presences_json(struct buf *out, const struct ready *r, const struct loaded_guild *g,
                                const struct sight *v, bool all, bool brief)
{
    const char *comma = "";
    uint32_t seat = 0;
    bool wants = session_wants(r->session, intents_of(BYTES("PRESENCE_UPDATE"), true));
    buf_char(out, '[');
    for (uint32_t i = 0; wants && i < g->n_members; i++) {
        const struct presence *p = presence_find(r->world->there, g->members[i].user);
        if (!p || p->user == r->world->user.id || !is_told(r, v, &g->members[i], all, MERGED_VOICE, &seat))
            continue;
        buf_str(out, comma);
        presence_json(out, p->user, p, 0, brief);
        comma = ",";
    }
    buf_char(out, ']');
}

void ready_merged_presences_json(struct buf *out, const struct ready *r)
{
    const struct loaded_guild *g;
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; (g = ready_next_guild(r, &i)) != NULL; comma = ",") {
        struct sight v;
        buf_str(out, comma);
        sight_init(&v, r, g);
        some_presences_json(out, r, g, &v, false, true);
        sight_fini(&v);
    }
    buf_char(out, ']');
}

void ready_merged_members_json(struct buf *out, const struct ready *r, unsigned what)
{
    const struct loaded_guild *g;
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; (g = ready_next_guild(r, &i)) != NULL; comma = ",") {
        struct sight v;
        buf_str(out, comma);
        sight_init(&v, r, g);
        some_members_json(out, r, g, &v, false, what, false);
        sight_fini(&v);
    }
    buf_char(out, ']');
}

// --- the guild ---

static const struct voice_room *room_of(const struct loaded_guild *g, uint64_t channel)
{
    for (uint32_t i = 0; i < g->n_rooms; i++)
        if (g->rooms[i].channel == channel)
            return &g->rooms[i];
    return NULL;
}

static void channels_json(struct arena *a, struct buf *out, const struct loaded_guild *g, const struct sight *v)
{
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; i < g->n_channels; i++) {
        const struct guild_channel *c = &g->channels[i];
        if (!sees_channel(v, c->id))
            continue;
        buf_str(out, comma);
        present_guild_channel_json(a, out, c, 0);
        comma = ",";
        if (c->type != CHANNEL_VOICE)
            continue;
        const struct voice_room *room = room_of(g, c->id);
        out->n--; // its closing brace
        buf_str(out, ",\"status\":");
        ready_text_json(out, room ? room->status : BYTES_NONE);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

static void stages_json(struct buf *out, const struct loaded_guild *g, const struct sight *v)
{
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; i < g->n_stages; i++) {
        if (!sees_channel(v, g->stages[i].channel))
            continue;
        const struct j_stage j = present_stage(&g->stages[i], g->guild.id);
        buf_str(out, comma);
        JSON(out, j_stage, &j);
        comma = ",";
    }
    buf_char(out, ']');
}

// What both forms have beside the guild's own fields.
static void contents_json(struct buf *out, const struct ready *r, const struct loaded_guild *g, struct sight *v)
{
    const struct member *own = view_find_member(g, r->world->user.id);
    buf_str(out, ",\"joined_at\":");
    json_time(out, own ? own->joined_at : 0);
    buf_str(out, large(r, g) ? ",\"large\":true" : ",\"large\":false");
    buf_printf(out, ",\"member_count\":%llu,\"version\":%llu,\"lazy\":true", (unsigned long long)g->member_count,
               (unsigned long long)g->version);
    buf_str(out, ",\"roles\":");
    view_roles(out, g);
    buf_str(out, ",\"channels\":");
    channels_json(&v->a, out, g, v);
    buf_str(out, ",\"stage_instances\":");
    stages_json(out, g, v);
    buf_str(out, ",\"threads\":[],\"emojis\":[],\"stickers\":[],\"guild_scheduled_events\":[],"
                 "\"soundboard_sounds\":[],\"activity_instances\":[],\"embedded_activities\":[]");
}

// CLIENT_STATE_V2 has the guild's own fields in an object of their own.
static void guild_json(struct buf *out, const struct ready *r, const struct loaded_guild *g, bool people, bool voice)
{
    struct sight v;
    sight_init(&v, r, g);
    if (!r->session->bot && ready_can(r->session, CAN_CLIENT_STATE)) {
        buf_str(out, "{\"id\":");
        json_id(out, g->guild.id);
        buf_str(out, ",\"data_mode\":\"full\",\"properties\":");
        present_guild_json(out, &g->guild);
        buf_str(out, ",\"premium_subscription_count\":0");
    } else {
        present_guild_json(out, &g->guild);
        out->n--; // its closing brace
    }
    buf_str(out, ",\"unavailable\":false");
    contents_json(out, r, g, &v);
    if (people) {
        buf_str(out, ",\"members\":");
        some_members_json(out, r, g, &v, tells_all(r, g), MERGED_OWN | MERGED_VOICE, true);
    }
    if (voice) {
        buf_str(out, ",\"presences\":");
        if (people)
            some_presences_json(out, r, g, &v, tells_all(r, g), false);
        else
            buf_str(out, "[]");
        buf_str(out, ",\"voice_states\":");
        voice_states_json(out, r, &v);
    }
    buf_char(out, '}');
    sight_fini(&v);
}

void ready_guild_json(struct buf *out, const struct ready *r, const struct loaded_guild *g)
{
    guild_json(out, r, g, true, true);
}

void ready_guilds_json(struct buf *out, const struct ready *r)
{
    const struct loaded_guild *g;
    const char *comma = "";
    buf_char(out, '[');
    for (uint32_t i = 0; (g = ready_next_guild(r, &i)) != NULL; comma = ",") {
        buf_str(out, comma);
        guild_json(out, r, g, !ready_deduped(r->session), !ready_has_supplemental(r->session));
    }
    buf_char(out, ']');
}
