// guild_stage: stages that are opened and closed, or close by themselves, and what a voice channel says of itself.
// https://docs.discord.com/developers/resources/stage-instance ("Auto Closing": "when a Stage channel has no speakers
// for a certain period of time", who are "not suppressed"); https://docs.discord.food/resources/channel ("Modify
// Channel Status").
#include "guild_private.h"
#include "errors.h"
#include "guild_form.h"
#include "guild_right.h"

#define PRIVACY_GUILD 2u // seen by members alone

// --- stages ---

static int may_moderate(const struct guild_work *w)
{
    const struct guild_channel *c = w->s->to.channel;
    int err = right_in_channel(w, c, 0);
    if (!err && c->type != CHANNEL_STAGE)
        err = API_WRONG_CHANNEL_TYPE;
    return !err && !right_operator(w) && !stage_moderator(w, w->s->actor.member, c) ? API_MISSING_PERMISSIONS : err;
}

static struct bytes shown(const struct guild_work *w, const struct stage *stage)
{
    const struct j_stage j = present_stage(stage, w->s->id);
    return schema_text(w->a, &schema_j_stage, &j);
}

// Nobody on `next`, which opens, may speak yet: that counts from now on.
static void open_silent(const struct guild_work *w, struct stage *next)
{
    next->silent_at = w->now;
    w->out->room_at = w->now + w->rules->stage_ms;
}

int guild_stage_put(const struct guild_work *w)
{
    const struct stage_put *e = w->in->msg;
    const struct stage *was = w->s->to.stage;
    int err = may_moderate(w);
    if (!err && e->opens == (was != NULL))
        err = was ? API_STAGE_IS_OPEN : API_UNKNOWN_STAGE;
    if (!err)
        err = guild_form_stage(e, &w->out->fault);
    if (err)
        return err;
    struct stage next = {.id = w->in->new_id, .channel = w->s->to.id, .privacy = PRIVACY_GUILD};
    if (was)
        next = *was;
    else if (!w->s->to.room || w->s->to.room->speakers == 0)
        open_silent(w, &next);
    if (e->set & SET_STAGE_TOPIC)
        next.topic = e->to->topic;
    if (e->set & SET_STAGE_PRIVACY)
        next.privacy = e->to->privacy;
    if (e->set & SET_STAGE_DISCOVERABLE)
        next.discoverable_disabled = e->to->discoverable_disabled;
    w->out->body = shown(w, &next);
    if (was && guild_same(w, &schema_stage, was, &next))
        return ERR_STATE;
    struct event *told =
        guild_event_in(w, next.channel, was ? "STAGE_INSTANCE_UPDATE" : "STAGE_INSTANCE_CREATE", w->out->body);
    guild_put(w, told, "st", next.channel, &schema_stage, &next);
    return OK;
}

void guild_close_stage(const struct guild_work *w)
{
    const struct stage *was = w->s->to.stage;
    struct event *told = guild_event_in(w, was->channel, "STAGE_INSTANCE_DELETE", shown(w, was));
    guild_take(w, told, "st", was->channel, &schema_stage);
    w->out->closed = was->channel;
}

int guild_stage_delete(const struct guild_work *w)
{
    int err = may_moderate(w);
    if (!err && !w->s->to.stage)
        err = API_UNKNOWN_STAGE;
    if (!err)
        guild_close_stage(w);
    return err;
}

// --- stages on which nobody speaks ---

bool guild_close_silent_stage(const struct guild_work *w)
{
    const struct stage *stage = w->s->to.stage;
    if (!stage || stage->silent_at == 0)
        return false;
    uint64_t end = stage->silent_at + w->rules->stage_ms;
    if (end > w->now) {
        w->out->room_at = end;
        return false;
    }
    guild_close_stage(w);
    return true;
}

// No client is told: they see who is suppressed.
static void note_silence(const struct guild_work *w, struct guild_room *r)
{
    const struct stage *was = guild_scene_room(w, r->id)->stage;
    bool silent = r->room.speakers == 0;
    if (!was || r->id == w->out->closed || silent == (was->silent_at > 0))
        return;
    struct stage next = *was;
    next.silent_at = silent ? w->now : 0;
    r->look_at = silent ? w->now + w->rules->stage_ms : 0;
    guild_put(w, NULL, "st", r->id, &schema_stage, &next);
}

void guild_note_silence(const struct guild_work *w)
{
    for (uint32_t i = 0; i < w->out->n_rooms; i++)
        note_silence(w, &w->out->rooms[i]);
}

// --- the status of a voice channel ---

static int may_say(const struct guild_work *w)
{
    const struct guild_channel *c = w->s->to.channel;
    const struct voice_seat *seat = w->s->actor.seat;
    bool sits = seat && c && seat->channel == c->id;
    int err = right_in_channel(w, c, 0);
    if (!err && c->type != CHANNEL_VOICE)
        err = API_WRONG_CHANNEL_TYPE;
    if (!err)
        err = right_in_channel(w, c, MAY(SET_VOICE_CHANNEL_STATUS) | (sits ? 0 : MAY(MANAGE_CHANNELS)));
    return err;
}

int guild_status_put(const struct guild_work *w)
{
    const struct status_put *e = w->in->msg;
    int err = may_say(w);
    if (!err)
        err = guild_form_status(e, &w->out->fault);
    if (err)
        return err;
    struct bytes status = e->status.n > 0 ? e->status : BYTES_NONE;
    if (!w->s->to.room || bytes_eq(status, w->s->to.room->status))
        return ERR_STATE; // it goes with those who sit there: where nobody does there is none
    guild_room(w, w->s->to.id)->status = status;
    const struct j_voice_status j = {.id = w->s->to.id, .guild_id = w->s->id, .status = status};
    guild_event_in(w, w->s->to.id, "VOICE_CHANNEL_STATUS_UPDATE", schema_text(w->a, &schema_j_voice_status, &j));
    return OK;
}
