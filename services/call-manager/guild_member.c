// guild_member: what moderators do to members, and members to themselves: edit, move, mute, time out, remove, and the
// voice states of a stage. https://docs.discord.com/developers/resources/guild ("Modify Guild Member"), …/voice.
#include "guild_private.h"
#include "errors.h"
#include "guild_form.h"
#include "guild_right.h"

#define MEMBER_ID_DIGITS 20 // of {<guild>}:mi

static bool himself(const struct guild_work *w)
{
    return w->in->actor == w->in->target;
}

// --- PATCH of a member: may it be? ---

// Where the target sits, as far as the actor can know: who may not view a channel sees nobody there. NULL: nowhere.
static const struct guild_channel *seen_in(const struct guild_work *w)
{
    const struct guild_channel *c = w->s->target.seat ? w->s->from.channel : NULL;
    return c && (himself(w) || right_in_channel(w, c, 0) == OK) ? c : NULL;
}

// In the channel where he sits, whose overwrites count; who sits nowhere can only be refused.
static int may_in_voice(const struct guild_work *w, uint64_t need)
{
    const struct guild_channel *c = seen_in(w);
    int err = c ? right_in_channel(w, c, need) : right_in_guild(w, need);
    return err == API_UNKNOWN_CHANNEL ? API_MISSING_PERMISSIONS : err; // he sits where he may not look any more
}

static int may_move(const struct guild_work *w, uint64_t channel)
{
    const struct guild_channel *to = w->s->to.channel;
    int err = may_in_voice(w, MAY(MOVE_MEMBERS));
    if (err || channel == 0)
        return err;
    err = right_in_channel(w, to, 0);
    if (!err && !channel_has_voice(to->type))
        err = API_WRONG_CHANNEL_TYPE;
    return err ? err : right_in_channel(w, to, MAY(CONNECT));
}

static int may_name(const struct guild_work *w)
{
    if (himself(w))
        return right_in_guild(w, MAY(CHANGE_NICKNAME));
    int err = right_in_guild(w, MAY(MANAGE_NICKNAMES));
    return err ? err : right_above(w, w->s->target.member);
}

// Whoever may do everything cannot be timed out.
static int may_time_out(const struct guild_work *w, uint64_t until)
{
    int err = right_in_guild(w, MAY(MODERATE_MEMBERS));
    if (!err && until > w->now && !right_operator(w) && guild_may(w, w->s->target.member) & MAY(ADMINISTRATOR))
        err = API_MISSING_PERMISSIONS;
    return err ? err : right_above(w, w->s->target.member);
}

static int may_edit(const struct guild_work *w, const struct member_edit *e)
{
    int err = OK;
    if (e->set & SET_MEMBER_MUTE)
        err = may_in_voice(w, MAY(MUTE_MEMBERS));
    if (!err && e->set & SET_MEMBER_DEAF)
        err = may_in_voice(w, MAY(DEAFEN_MEMBERS));
    if (!err && e->set & SET_MEMBER_CHANNEL)
        err = may_move(w, e->channel);
    if (!err && e->set & SET_MEMBER_NICK)
        err = may_name(w);
    if (!err && e->set & SET_MEMBER_ROLES)
        err = right_in_guild(w, MAY(MANAGE_ROLES));
    if (!err && e->set & SET_MEMBER_DISABLED)
        err = may_time_out(w, e->to->disabled_until);
    return err;
}

// --- PATCH of a member: the row ---

// A role that is given or taken has to be below his own highest; whose roles they are does not matter.
static int may_assign(const struct guild_work *w, const struct role *r)
{
    return (int64_t)r->position < right_rank(w) ? OK : API_MISSING_PERMISSIONS;
}

// The roles of `from` that are not in `without`: he gets them, or loses them.
static int may_assign_all(const struct guild_work *w, struct ids from, struct ids without)
{
    for (uint32_t i = 0; i < from.n; i++) {
        const struct role *r = role_set_find(w->s->roles, from.v[i]);
        if (r && !ids_have(without, r->id) && may_assign(w, r) != OK)
            return API_MISSING_PERMISSIONS;
    }
    return OK;
}

// Roles that are gone are still listed by who had them, and are dropped with the next change.
static int take_roles(const struct guild_work *w, struct ids wanted, struct member *m)
{
    uint64_t *v = arena_take(w->a, (wanted.n + 1) * sizeof *v);
    struct ids roles = {0, v};
    for (uint32_t i = 0; i < wanted.n; i++) {
        bool stands = role_set_find(w->s->roles, wanted.v[i]) != NULL;
        if (wanted.v[i] == w->s->id)
            return API_INVALID_ROLE; // everybody has it already
        if (!stands && !ids_have(m->roles, wanted.v[i]))
            return API_UNKNOWN_ROLE;
        if (stands && !ids_have(roles, wanted.v[i]))
            v[roles.n++] = wanted.v[i];
    }
    int err = may_assign_all(w, roles, m->roles);
    if (!err)
        err = may_assign_all(w, m->roles, roles);
    m->roles = roles;
    return err;
}

static int edited(const struct guild_work *w, const struct member_edit *e, struct member *m)
{
    if (e->set & SET_MEMBER_MUTE)
        m->mute = e->to->mute;
    if (e->set & SET_MEMBER_DEAF)
        m->deaf = e->to->deaf;
    if (e->set & SET_MEMBER_NICK)
        m->nick = e->to->nick.n > 0 ? e->to->nick : BYTES_NONE;
    if (e->set & SET_MEMBER_DISABLED)
        m->disabled_until = e->to->disabled_until > w->now ? e->to->disabled_until : 0;
    return e->set & SET_MEMBER_ROLES ? take_roles(w, e->to->roles, m) : OK;
}

static struct bytes shown(const struct guild_work *w, const struct member *m, uint64_t guild)
{
    return present_member_text(w->a, m, w->s->target.user, guild, permissions_hoisted(w->s->roles, m));
}

static void put_member(const struct guild_work *w, const struct member *m)
{
    struct event *e = guild_event(w, "GUILD_MEMBER_UPDATE", shown(w, m, w->s->id));
    guild_put(w, e, "mb", m->user, &schema_member, m);
}

// --- PATCH of a member: his seat ---

// A time-out silences him where he stays, and when it is over he is heard again if his roles let him. On a stage he has
// to be asked again. His roles alone change nothing there before he moves (guild_seat.h).
static void hush(const struct guild_work *w, const struct member *m, struct voice_seat *seat)
{
    const struct guild_channel *c = w->s->from.channel;
    if (!c)
        return;
    if (c->type != CHANNEL_STAGE)
        seat->suppress = seat_suppressed(w, m, c);
    else if (m->disabled_until > w->now && !(guild_may(w, m) & MAY(ADMINISTRATOR)))
        seat->suppress = true;
    if (m->disabled_until > w->now && seat->suppress)
        seat->request_at = 0;
}

static void move_to(const struct guild_work *w, const struct scene_member *who, struct voice_seat *seat)
{
    *seat = seat_in(w, who, &w->s->to);
    seat->server = SEAT_SERVER_OWED;
    seat_ask(w, seat, w->now + w->rules->server_delay_ms);
}

static bool put_seat(const struct guild_work *w, const struct member_edit *e, const struct scene_member *who)
{
    const struct voice_seat *was = who->seat;
    bool moves = e->set & SET_MEMBER_CHANNEL && e->channel != was->channel;
    if (moves && e->channel == 0) {
        seat_leave(w, who);
        return true;
    }
    struct voice_seat seat = moves ? *was : seat_in(w, who, &w->s->from);
    if (moves)
        move_to(w, who, &seat);
    else if (who->member->disabled_until != w->s->target.member->disabled_until)
        hush(w, who->member, &seat);
    if (!moves && guild_same(w, &schema_voice_seat, was, &seat))
        return false;
    seat_put(w, who, &seat);
    return true;
}

int guild_member_edit(const struct guild_work *w)
{
    const struct member_edit *e = w->in->msg;
    struct scene_member who = w->s->target;
    if (!who.member)
        return API_UNKNOWN_MEMBER;
    struct member m = *who.member;
    int err = may_edit(w, e);
    if (!err)
        err = guild_form_member(e, w->now, &w->out->fault);
    if (!err && e->set & (SET_MEMBER_MUTE | SET_MEMBER_DEAF | SET_MEMBER_CHANNEL) && !seen_in(w))
        err = API_NOT_IN_VOICE;
    if (!err)
        err = edited(w, e, &m);
    if (err)
        return err;
    bool row = !guild_same(w, &schema_member, who.member, &m);
    if (row)
        put_member(w, &m);
    who.member = &m;
    bool seat = who.seat && put_seat(w, e, &who);
    w->out->body = shown(w, &m, 0);
    return row || seat ? OK : ERR_STATE;
}

// --- he is removed, or leaves ---

static int may_remove(const struct guild_work *w)
{
    const struct member *m = w->s->target.member;
    if (!m)
        return API_UNKNOWN_MEMBER;
    if (m->user == w->s->guild->owner) // who has to give it away before
        return himself(w) ? API_INVALID_GUILD : API_MISSING_PERMISSIONS;
    if (himself(w))
        return OK;
    int err = right_in_guild(w, MAY(KICK_MEMBERS));
    return err ? err : right_above(w, m);
}

int guild_member_remove(const struct guild_work *w)
{
    const struct scene_member *who = &w->s->target;
    int err = may_remove(w);
    if (err)
        return err;
    if (who->seat)
        seat_leave(w, who);
    const struct j_user user = present_user_id((struct user_set){who->user ? 1 : 0, who->user}, who->id);
    const struct j_member_gone gone = {.guild_id = w->s->id, .user = &user};
    struct event *e = guild_event(w, "GUILD_MEMBER_REMOVE", schema_text(w->a, &schema_j_member_gone, &gone));
    e->to = 3; // he himself hears by his own record that he has lost the guild
    e->user = who->id;
    guild_take(w, e, "mb", who->id, &schema_member);
    guild_change(w, CHANGE_ZREM, "mi", arena_printf(w->a, "%0*llu", MEMBER_ID_DIGITS, (unsigned long long)who->id),
                 BYTES_NONE);
    struct event *stop = guild_event(w, "", BYTES_NONE); // nothing that follows in this guild is for him
    stop->to = 1;
    stop->user = who->id;
    stop->place_op = 2;
    stop->place = w->s->id;
    return OK;
}

// --- PATCH of a voice state on a stage ---

// Somebody speaks who is not suppressed and asks for nothing; who is not suppressed and has a time of request was
// invited to, and speaks when he takes that away. He may take up what he was invited to, and become silent.
static int edit_own(const struct voice_state_edit *e, uint64_t may, struct voice_seat *seat)
{
    if (e->set & SET_VOICE_SUPPRESS) {
        if (!e->suppress && seat->suppress && !(may & MAY(MUTE_MEMBERS)))
            return API_MISSING_PERMISSIONS;
        if (!seat->suppress || !e->suppress)
            seat->request_at = 0;
        seat->suppress = e->suppress;
    }
    if (e->set & SET_VOICE_REQUEST) {
        if (e->request_at && !(may & MAY(REQUEST_TO_SPEAK)))
            return API_MISSING_PERMISSIONS;
        if (seat->suppress || !e->request_at)
            seat->request_at = e->request_at;
    }
    return OK;
}

// Who is no bot is asked whether he wants to.
static int edit_others(const struct guild_work *w, const struct voice_state_edit *e, uint64_t may,
                       struct voice_seat *seat)
{
    if (!(may & MAY(MUTE_MEMBERS)))
        return API_MISSING_PERMISSIONS;
    if (!(e->set & SET_VOICE_SUPPRESS))
        return OK;
    if (e->suppress)
        seat->request_at = 0;
    else if (seat->suppress)
        seat->request_at = seat->bot ? 0 : w->now;
    seat->suppress = e->suppress;
    return OK;
}

int guild_voice_edit(const struct guild_work *w)
{
    const struct voice_state_edit *e = w->in->msg;
    const struct scene_member *who = &w->s->target;
    const struct guild_channel *c = seen_in(w);
    if (!who->member || !c || (e->set & SET_VOICE_CHANNEL && e->channel != who->seat->channel))
        return API_UNKNOWN_VOICE_STATE;
    if (c->type != CHANNEL_STAGE)
        return API_WRONG_CHANNEL_TYPE;
    struct voice_seat seat = *who->seat;
    uint64_t may = right_operator(w) ? PERMISSIONS_ALL : guild_may_in(w, w->s->actor.member, c);
    int err = himself(w) ? edit_own(e, may, &seat) : edit_others(w, e, may, &seat);
    if (!err)
        err = guild_form_voice(e, w->now, &w->out->fault);
    if (err)
        return err;
    if (guild_same(w, &schema_voice_seat, who->seat, &seat))
        return ERR_STATE;
    seat_put(w, who, &seat);
    return OK;
}
