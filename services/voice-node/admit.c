// admit: see admit.h.
#include "admit.h"
#include <sodium.h>
#include <string.h>

bool claim_is_plain(struct bytes text, size_t max)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            return false;
    }
    return text.n > 0 && text.n <= max;
}

bool claims_ok(const struct claims *c)
{
    return c->server && c->user && claim_is_plain(bytes_of(c->session), sizeof c->session - 1);
}

bool same_token(struct bytes ours, struct bytes said)
{
    return ours.n > 0 && ours.n == said.n && sodium_memcmp(ours.p, said.p, ours.n) == 0;
}

int admit_check(struct arena *a, const struct claims *c, struct bytes token, struct bytes node, struct admitted *out)
{
    struct voice_token row;
    if (token.n == 0 || !claims_ok(c))
        return VCLOSE_SESSION_INVALID;
    if (UNPACK(a, voice_token, token, &row) != OK)
        return VCLOSE_AUTHENTICATION_FAILED;
    bool fits = same_token(row.token, bytes_of(c->token));
    fits = row.user == c->user && bytes_is(row.session, c->session) && row.server == c->server && fits;
    fits = (c->channel == 0 || row.channel == c->channel) && bytes_eq(row.node, node) && fits;
    if (!fits)
        return VCLOSE_AUTHENTICATION_FAILED;
    *out = (struct admitted){
        .server = row.server, .channel = row.channel, .user = row.user, .guild = row.server != row.channel};
    memcpy(out->session, c->session, sizeof out->session);
    memcpy(out->token, c->token, sizeof out->token);
    return OK;
}

// --- seats ---

enum { SERVER_SENT = 2 }; // call_member.server, voice_seat.server: it was told of the node that stands there

// He was told of another node than this one.
static bool sent_away(uint64_t server, struct bytes told, struct bytes node)
{
    return server == SERVER_SENT && told.n > 0 && !bytes_eq(told, node);
}

int seat_in_call(struct arena *a, const struct sitter *w, struct bytes node, struct bytes call, struct seat *out)
{
    struct call_rec c;
    const struct call_member *m = NULL;
    if (call.n > 0 && UNPACK(a, call_rec, call, &c) != OK)
        return ERR_INVALID;
    *out = (struct seat){.state = SEAT_OVER};
    if (call.n == 0)
        return OK;
    for (uint32_t i = 0; i < c.members.n && !m; i++)
        if (c.members.v[i].user == w->user && bytes_is(c.members.v[i].session, w->session))
            m = &c.members.v[i];
    if (!m)
        out->state = SEAT_LEFT;
    else if (!sent_away(m->server, c.node, node))
        *out = (struct seat){.state = SEAT_HERE,
                             .speaks = !m->self_mute,
                             .hears = !m->self_deaf,
                             .video = m->self_video,
                             .flags = m->flags};
    return OK;
}

int seat_in_guild(struct arena *a, const struct sitter *w, struct bytes node, struct bytes seat, struct bytes room,
                  struct seat *out)
{
    struct voice_seat s = {0};
    struct voice_room r = {0};
    if ((seat.n > 0 && UNPACK(a, voice_seat, seat, &s) != OK) || (room.n > 0 && UNPACK(a, voice_room, room, &r) != OK))
        return ERR_INVALID;
    *out = (struct seat){.state = SEAT_LEFT};
    if (seat.n == 0 || s.channel != w->channel || !bytes_is(s.session, w->session))
        return OK;
    // Of an older generation: the room has another node since, and he is yet to be told of it.
    out->state = s.generation == r.generation && sent_away(s.server, r.node, node) ? SEAT_OVER : SEAT_HERE;
    if (out->state == SEAT_HERE)
        *out = (struct seat){.state = SEAT_HERE,
                             .speaks = !(s.mute || s.self_mute || s.suppress),
                             .hears = !(s.deaf || s.self_deaf),
                             .video = (s.self_video || s.self_stream) && (w->may & MAY(STREAM)),
                             .priority = (w->may & MAY(PRIORITY_SPEAKER)) != 0,
                             .flags = s.flags};
    return OK;
}

int seat_rights(struct arena *a, const struct rights_rows *rows, uint64_t unix_ms, uint64_t *may)
{
    struct guild g;
    struct guild_channel c;
    struct member m;
    if (rows->guild.n == 0 || rows->channel.n == 0)
        return ERR_MISSING;
    if (UNPACK(a, guild, rows->guild, &g) != OK || UNPACK(a, guild_channel, rows->channel, &c) != OK ||
        (rows->member.n > 0 && UNPACK(a, member, rows->member, &m) != OK))
        return ERR_INVALID;
    *may = permissions_in_channel(&g, rows->roles, rows->member.n > 0 ? &m : NULL, &c, unix_ms);
    return OK;
}

// --- events ---

static struct concern of_row(struct arena *a, const struct event *e)
{
    struct bytes rest = e->row;
    struct msg m;
    uint64_t tag = e->row_tag, id = e->row_id;
    if (rest.n > 0 && msg_take(a, &rest, &m) == OK) {
        tag = m.schema->tag;
        id = MSG_IS(&m, voice_seat) ? MSG_IS(&m, voice_seat)->user : MSG_IS(&m, member) ? MSG_IS(&m, member)->user : 0;
    }
    switch (tag) {
    case TAG_voice_seat:
        return (struct concern){.user = id};
    case TAG_member:
        return (struct concern){.user = id, .rights = true};
    case TAG_guild:
    case TAG_role:
    case TAG_guild_channel:
        return (struct concern){.all = true, .rights = true};
    }
    return (struct concern){0};
}

struct concern seat_concern(struct arena *a, const struct event *e)
{
    struct concern c = of_row(a, e);
    if (e->sitter)
        c.user = e->sitter;
    // What ends the whole place, or the call in it.
    if (bytes_is(e->name, "CALL_DELETE") || bytes_is(e->name, "GUILD_DELETE") || bytes_is(e->name, "CHANNEL_DELETE"))
        c.all = c.rights = true;
    return c;
}
