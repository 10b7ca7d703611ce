// guild_entry: the entries of a guild's log: each event to those who may see what it is about, and to those who see
// other channels than before what has appeared and what has gone (audience.h).
#include "fanout_private.h"
#include "intents.h"
#include "present_guild.h"

// --- guilds: what changes in what somebody sees ---

struct telling {
    struct fanout *f;
    const struct audience *a;
    uint64_t version;
};

static void dispatch_all(struct fanout *f, ref r, const char *name, struct bytes body, uint64_t but_user)
{
    struct dispatch *d = dispatch_new(bytes_of(name), body);
    uint64_t intents = intents_of(bytes_of(name), true);
    for (uint32_t i = 0; i < f->told.n; i++) {
        struct live *l = live_get(f->g, f->told.v[i]);
        if (!l || l->s.user == but_user || !session_wants(&l->s, intents))
            continue;
        fanout_note(l, r);
        live_dispatch(l, d);
    }
    dispatch_drop(d);
}

static void tell_seats(struct fanout *f, const struct audience *a, const struct audience_channel *c, bool left)
{
    for (const struct audience_seat *s = c->seats; s; s = s->next) {
        struct voice_seat row;
        if (UNPACK(&f->rows, voice_seat, ((struct bytes){s->row, s->n}), &row) == OK)
            dispatch_all(f, ref_place(a->guild.id), "VOICE_STATE_UPDATE",
                         present_guild_voice(&f->rows, &row, a->guild.id, left, NULL, NULL, 0), s->user);
        arena_reset(&f->rows);
    }
}

static void tell_channel(struct fanout *f, const struct audience *a, const struct audience_channel *c, const char *name)
{
    struct guild_channel row;
    if (UNPACK(&f->rows, guild_channel, buf_bytes(&c->row), &row) == OK)
        dispatch_all(f, ref_place(a->guild.id), name, present_guild_channel(&f->rows, &row, a->guild.id), 0);
    arena_reset(&f->rows);
}

static void on_change(void *ctx, const struct audience_channel *c, bool appears, const struct keys *users)
{
    const struct telling *t = ctx;
    struct fanout *f = t->f;
    f->told.n = 0;
    for (uint32_t i = 0; i < users->n; i++)
        subs_address(&f->subs, ref_place(t->a->guild.id), t->version, 1, users->v[i], 0, &f->told);
    if (f->told.n == 0)
        return;
    if (appears)
        tell_channel(f, t->a, c, "CHANNEL_CREATE");
    tell_seats(f, t->a, c, !appears);
    if (!appears && c != t->a->gone) // of that the log has an event
        tell_channel(f, t->a, c, "CHANNEL_DELETE");
}

// --- guilds: entries ---

// Who is told of it too late is lost; what he listened to may be gone with the last of them. All others know it from
// now on, whether they are told or not: whoever takes them over must not think that they have missed it.
static void cut_or_note(struct fanout *f, const struct audience *a, uint64_t version, const struct audience_row *row)
{
    struct keys due = {0};
    ref r = ref_place(a->guild.id);
    uint32_t n = 0;
    if (row->kind == AUDIENCE_OTHER || row->kind == AUDIENCE_SEAT)
        return;
    subs_address(&f->subs, r, version, row->kind == AUDIENCE_MEMBER, row->id, 0, &due);
    for (uint32_t i = 0; i < due.n; i++) {
        struct live *l = live_get(f->g, due.v[i]);
        if (audience_breaks(a, row, subs_user(&f->subs, due.v[i])))
            due.v[n++] = due.v[i];
        else if (l)
            fanout_note(l, r);
    }
    for (uint32_t i = 0; i < n; i++)
        fanout_cut(f, due.v[i], ref_id(r), version);
    keys_fini(&due);
}

// True: there is still somebody.
static bool take_event(struct fanout *f, ref r, struct audience *a, uint64_t version, const struct event *e)
{
    struct telling telling = {f, a, version};
    struct audience_row row;
    if (audience_row(&f->rows, e, &row) != OK) {
        M.bus_invalid++;
        LOG_PEER(ERROR, EV("row.unreadable"), KU("place", ref_id(r)), KU("version", version));
    }
    cut_or_note(f, a, version, &row);
    struct sub *sub = subs_get(&f->subs, r);
    if (guilds_audience(f->g, ref_id(r)) != a) { // with the last of them
        arena_reset(&f->rows);
        return false;
    }
    audience_take(a, &row);
    const struct audience_gate gate = audience_gate(a, e, &row);
    if (row.kind == AUDIENCE_MEMBER && !row.v)
        subs_address(&f->subs, r, version, 1, row.id, 0, &f->parting);
    arena_reset(&f->rows);
    if (a->gone)
        audience_changes(a, on_change, &telling);
    fanout_address(f, r, version, e);
    if (e->name.n)
        fanout_deliver(f, sub, e, a, &gate);
    if (!a->gone)
        audience_changes(a, on_change, &telling);
    fanout_instruct(f, r, e);
    return guilds_audience(f->g, ref_id(r)) == a;
}

void guild_take_entry(struct fanout *f, const struct place_event *p)
{
    struct audience *a = guilds_audience(f->g, ref_id(p->ref));
    CHECK_ID(a, p->ref); // whoever has settled there has brought it
    audience_entry(a, p->version);
    for (uint32_t i = 0; i < p->events.n; i++)
        if (!take_event(f, p->ref, a, p->version, &p->events.v[i]))
            break;
}

// Who is no member any more hears that the guild has gone, and nothing further.
void guild_part(struct fanout *f, ref r)
{
    for (uint32_t i = 0; i < f->parting.n; i++)
        fanout_lose(f->g, f->parting.v[i], ref_id(r));
    keys_fini(&f->parting);
}
