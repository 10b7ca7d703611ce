// guild_channel: channels that are made, changed and deleted. What belongs to many in one commit (who sits there, what
// stands in a category) goes some at a time, and the channel itself last: whoever dies in between leaves a channel that
// stands, and whoever asks again goes on. https://docs.discord.com/developers/resources/guild ("Create Guild Channel"),
// …/channel.
#include "guild_private.h"
#include "errors.h"
#include "guild_form.h"
#include "guild_right.h"

#define CHANNELS_MAX 500u   // of a guild
#define OVERWRITES_MAX 500u // of a channel

// --- overwrites ---

static const struct overwrite *overwrite_of(const struct guild_channel *c, const struct overwrite *like)
{
    for (uint32_t i = 0; c && i < c->overwrites.n; i++)
        if (c->overwrites.v[i].id == like->id && c->overwrites.v[i].type == like->type)
            return &c->overwrites.v[i];
    return NULL;
}

static uint64_t otherwise(const struct overwrite *x, const struct overwrite *y) // y NULL: as if it said nothing
{
    return (x->allow ^ (y ? y->allow : 0)) | (x->deny ^ (y ? y->deny : 0));
}

// The permissions of which a says something that b does not.
static uint64_t differing(const struct guild_channel *a, const struct guild_channel *b)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; a && i < a->overwrites.n; i++)
        bits |= otherwise(&a->overwrites.v[i], overwrite_of(b, &a->overwrites.v[i]));
    return bits;
}

static bool says_no_more(const struct guild_channel *a, const struct guild_channel *b)
{
    for (uint32_t i = 0; i < a->overwrites.n; i++)
        if (otherwise(&a->overwrites.v[i], overwrite_of(b, &a->overwrites.v[i])))
            return false;
    return true;
}

static bool in_step(const struct guild_channel *a, const struct guild_channel *b)
{
    return says_no_more(a, b) && says_no_more(b, a);
}

// --- what is in a category ---

static const struct guild_channel *find(const struct guild_work *w, uint64_t id)
{
    for (uint32_t i = 0; i < w->s->n_channels; i++)
        if (w->s->channels[i].id == id)
            return &w->s->channels[i];
    return NULL;
}

// How many channels the category has besides that one.
static uint32_t filled(const struct guild_work *w, uint64_t category, uint64_t but)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->s->n_channels; i++)
        n += w->s->channels[i].parent == category && w->s->channels[i].id != but;
    return n;
}

static void put_channel(const struct guild_work *w, const struct guild_channel *c, bool new)
{
    struct event *e =
        guild_event_in(w, c->id, new ? "CHANNEL_CREATE" : "CHANNEL_UPDATE", present_guild_channel(w->a, c, w->s->id));
    guild_put(w, e, "ch", c->id, &schema_guild_channel, c);
}

// The next channels of the category that are in step with it take over `next`'s overwrites, or, when it goes, leave it.
// False: there are more of them.
static bool put_children(const struct guild_work *w, const struct guild_channel *was, const struct guild_channel *next)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->s->n_channels; i++) {
        struct guild_channel c = w->s->channels[i];
        if (c.parent != was->id || (next && !in_step(&c, was)))
            continue;
        if (n++ == GUILD_CROWD_MAX)
            return false;
        if (next)
            c.overwrites = next->overwrites;
        else
            c.parent = 0;
        put_channel(w, &c, false);
    }
    return true;
}

// --- made and changed: may it be? ---

// He overwrites only what he has himself, in the guild or there; and only administrators say who may.
static int may_overwrite(const struct guild_work *w, const struct guild_channel *was, const struct guild_channel *next)
{
    uint64_t has = right_to_give(w);
    if (was && !right_operator(w))
        has |= guild_may_in(w, w->s->actor.member, was);
    if (!(right_to_give(w) & MAY(ADMINISTRATOR))) // which no overwrite makes anybody
        has &= ~MAY(MANAGE_ROLES);
    uint64_t bits = differing(next, was) | differing(was, next);
    return bits & ~has ? API_MISSING_PERMISSIONS : OK;
}

static int may_put(const struct guild_work *w, const struct channel_put *e, const struct guild_channel *was)
{
    if (!was && e->to->id)
        return API_UNKNOWN_CHANNEL;
    if (!was)
        return right_in_guild(w, MAY(MANAGE_CHANNELS));
    uint64_t overwrites = e->set & SET_CHANNEL_OVERWRITES ? MAY(MANAGE_ROLES) : 0;
    bool others = !overwrites || e->set & ~(uint64_t)SET_CHANNEL_OVERWRITES;
    return right_in_channel(w, was, (others ? MAY(MANAGE_CHANNELS) : 0) | overwrites);
}

// --- made and changed ---

// Of two overwrites for the same the last one counts; bits that mean nothing are dropped.
static void put_overwrite(struct overwrite *v, uint32_t *n, const struct overwrite *x)
{
    uint32_t at = 0;
    while (at < *n && (v[at].id != x->id || v[at].type != x->type))
        at++;
    v[at] = (struct overwrite){x->id, x->type, x->allow & PERMISSIONS_ALL, x->deny & PERMISSIONS_ALL};
    *n += at == *n;
}

// All of `to`, or, where only one is meant, that one among those which stand.
static int take_overwrites(const struct guild_work *w, const struct channel_put *e, struct guild_channel *c)
{
    static const struct fault too_many = {"permission_overwrites", -1, "BASE_TYPE_MAX_LENGTH",
                                          "Must be 500 or fewer in length."};
    uint32_t n = 0;
    struct overwrite *v = arena_take(w->a, ((size_t)c->overwrites.n + e->to->overwrites.n + 1) * sizeof *v);
    for (uint32_t i = 0; e->only && i < c->overwrites.n; i++)
        if (c->overwrites.v[i].id != e->only)
            put_overwrite(v, &n, &c->overwrites.v[i]);
    for (uint32_t i = 0; i < e->to->overwrites.n; i++)
        if (!e->only || e->to->overwrites.v[i].id == e->only)
            put_overwrite(v, &n, &e->to->overwrites.v[i]);
    if (n > OVERWRITES_MAX) {
        w->out->fault = too_many;
        return API_INVALID_FORM;
    }
    c->overwrites.v = v;
    c->overwrites.n = n;
    return OK;
}

static void take_voice(const struct channel_put *e, struct guild_channel *c)
{
    if (e->set & SET_CHANNEL_BITRATE)
        c->bitrate = e->to->bitrate;
    if (e->set & SET_CHANNEL_USER_LIMIT)
        c->user_limit = e->to->user_limit;
    if (e->set & SET_CHANNEL_REGION)
        c->rtc_region = e->to->rtc_region.n > 0 ? e->to->rtc_region : BYTES_NONE;
    if (e->set & SET_CHANNEL_VIDEO_QUALITY)
        c->video_quality = e->to->video_quality;
}

static int take_parent(const struct guild_work *w, const struct channel_put *e, struct guild_channel *c)
{
    const struct guild_channel *parent = e->to->parent ? find(w, e->to->parent) : NULL;
    int err = OK;
    if (parent && right_in_channel(w, parent, 0) != OK)
        parent = NULL; // nobody puts anything where he may not look
    if (e->to->parent && c->parent != e->to->parent)
        err = guild_form_parent(c->type, parent, filled(w, e->to->parent, c->id), &w->out->fault);
    c->parent = e->to->parent;
    return err;
}

static int edited(const struct guild_work *w, const struct channel_put *e, struct guild_channel *c)
{
    if (e->set & SET_CHANNEL_TYPE)
        c->type = e->to->type;
    if (e->set & SET_CHANNEL_NAME)
        c->name = e->to->name;
    if (e->set & SET_CHANNEL_POSITION)
        c->position = e->to->position;
    if (e->set & SET_CHANNEL_TOPIC)
        c->topic = e->to->topic.n > 0 ? e->to->topic : BYTES_NONE;
    if (e->set & SET_CHANNEL_NSFW)
        c->nsfw = e->to->nsfw;
    if (e->set & SET_CHANNEL_RATE_LIMIT)
        c->rate_limit = e->to->rate_limit;
    if (channel_has_voice(c->type))
        take_voice(e, c);
    int err = e->set & SET_CHANNEL_OVERWRITES ? take_overwrites(w, e, c) : OK;
    return !err && e->set & SET_CHANNEL_PARENT ? take_parent(w, e, c) : err;
}

// Below all others; in a category, with the overwrites that this has.
static struct guild_channel blank(const struct guild_work *w, const struct channel_put *e)
{
    const struct guild_channel *parent = e->set & SET_CHANNEL_PARENT ? find(w, e->to->parent) : NULL;
    struct guild_channel c = {.id = w->in->new_id, .type = CHANNEL_TEXT};
    for (uint32_t i = 0; i < w->s->n_channels; i++)
        if (c.position <= w->s->channels[i].position)
            c.position = w->s->channels[i].position + 1;
    if (parent)
        c.overwrites = parent->overwrites;
    return c;
}

// All who sit there are sent to a server of the new region.
static void change_region(const struct guild_work *w, const struct guild_channel *c)
{
    room_owe(w, c->id, false);
    for (uint32_t i = 0; i < w->out->n_asks; i++)
        w->out->asks[i].region = c->rtc_region;
}

int guild_channel_put(const struct guild_work *w)
{
    const struct channel_put *e = w->in->msg;
    const struct guild_channel *was = w->s->to.channel;
    int err = may_put(w, e, was);
    if (!err && !was && w->s->n_channels >= CHANNELS_MAX)
        err = API_TOO_MANY_CHANNELS;
    if (!err)
        err = guild_form_channel(e, was, w->in->region_known, &w->out->fault);
    if (err)
        return err;
    struct guild_channel next = was ? *was : blank(w, e);
    err = edited(w, e, &next);
    if (!err && e->set & SET_CHANNEL_OVERWRITES)
        err = may_overwrite(w, was, &next);
    if (err)
        return err;
    w->out->body = present_guild_channel(w->a, &next, w->s->id);
    if (was && guild_same(w, &schema_guild_channel, was, &next))
        return ERR_STATE;
    bool syncs = was && was->type == CHANNEL_CATEGORY && !in_step(was, &next);
    if (syncs && !put_children(w, was, &next)) {
        w->out->more = true;
        return OK;
    }
    put_channel(w, &next, !was);
    if (!was) {
        struct guild_channel *made = arena_take(w->a, sizeof *made);
        *made = next;
        w->out->made = made;
    }
    if (was && channel_has_voice(next.type) && !bytes_eq(was->rtc_region, next.rtc_region))
        change_region(w, &next);
    return OK;
}

// --- deleted ---

int guild_channel_delete(const struct guild_work *w)
{
    const struct guild_channel *c = w->s->to.channel;
    int err = right_in_channel(w, c, MAY(MANAGE_CHANNELS));
    if (err)
        return err;
    w->out->body = present_guild_channel(w->a, c, w->s->id);
    for (uint32_t i = 0; i < w->s->n_crowd; i++)
        seat_leave(w, &w->s->crowd[i]);
    if (w->s->more || !put_children(w, c, NULL)) {
        w->out->more = true;
        return OK;
    }
    if (w->s->to.stage)
        guild_close_stage(w);
    if (w->s->guild->afk_channel == c->id) {
        struct guild g = *w->s->guild;
        g.afk_channel = 0;
        guild_put_guild(w, guild_event(w, "GUILD_UPDATE", present_guild(w->a, &g, w->s->roles)), &g);
    }
    struct event *e = guild_event_in(w, c->id, "CHANNEL_DELETE", w->out->body);
    guild_take(w, e, "ch", c->id, &schema_guild_channel);
    w->out->unmade = c->id;
    return OK;
}
