// rest_voice: one handler per route about voice in guilds: voice states, stages, statuses of channels; and those of
// what there is none of here: streams, sounds, keys of end-to-end encryption.
#include "rest_private.h"
#include "sets.h"
#include "text.h"

#define STATUS_MAX 500u // characters

static const struct fault required_channel = {"channel_id", -1, "BASE_TYPE_REQUIRED", "This field is required"};
static const struct fault required_topic = {"topic", -1, "BASE_TYPE_REQUIRED", "This field is required"};

// --- voice states ---

static void edit_voice(struct step *s, uint64_t target)
{
    struct r_voice_state body;
    uint64_t present;
    if (!rest_form(s, &schema_r_voice_state, &body, &present))
        return;
    const struct voice_state_edit edit = {
        .user = s->r->user,
        .guild = s->route.id[0],
        .target = target,
        .set = SETS(present, r_voice_state, suppress, SET_VOICE_SUPPRESS) |
               SETS(present, r_voice_state, request_to_speak_timestamp, SET_VOICE_REQUEST) |
               (body.channel_id ? SET_VOICE_CHANNEL : 0),
        .channel = body.channel_id,
        .suppress = body.suppress,
        .request_at = body.request_to_speak_timestamp,
    };
    COMMAND(s, BUS_CALL_MANAGER, edit.guild, voice_state_edit, &edit);
}

void handle_my_voice_state_edit(struct step *s)
{
    if (rest_guild_named(s))
        edit_voice(s, s->r->user);
}

void handle_voice_state_edit(struct step *s)
{
    if (rest_member_named(s))
        edit_voice(s, s->route.id[1]);
}

// As VOICE_STATE_UPDATE shows it, to who may view the channel.
static void show_voice(struct step *s, uint64_t target)
{
    const struct loaded_guild *g = rest_guild_with(s, target);
    if (!g)
        return;
    const struct voice_seat *seat = view_find_seat(g, target);
    const struct guild_channel *c = seat ? view_find_channel(g, seat->channel) : NULL;
    bool shown = c && (target == s->r->user || view_shows(g, s->r->user, c));
    if (rest_refused(s, shown ? API_OK : API_UNKNOWN_VOICE_STATE, NULL))
        return;
    const struct member *m = view_find_member(g, target);
    rest_reply(s, present_guild_voice(s->a, seat, g->guild.id, false, m, view_find_user(s->r->world->users, target),
                                      permissions_hoisted(g->roles, m)));
}

void handle_my_voice_state(struct step *s)
{
    show_voice(s, s->r->user);
}

void handle_voice_state(struct step *s)
{
    show_voice(s, s->route.id[1]);
}

// --- channels ---

void handle_voice_status(struct step *s)
{
    static const struct fault too_long = {"status", -1, "BASE_TYPE_MAX_LENGTH", "Must be 500 or fewer in length."};
    struct r_voice_status body;
    const struct channel *c = rest_channel_of_guild(s, s->route.id[0]);
    if (!c || !rest_form(s, &schema_r_voice_status, &body, NULL))
        return;
    if (text_code_points(body.status) > STATUS_MAX) {
        rest_refuse_form(s, &too_long);
        return;
    }
    const struct status_put put = {
        .user = s->r->user, .guild = c->guild, .channel = c->id, .status = body.status.n ? body.status : BYTES_NONE};
    COMMAND(s, BUS_CALL_MANAGER, put.guild, status_put, &put);
}

// --- stages ---

static void put_stage(struct step *s, const struct channel *c, const struct r_stage *body, uint64_t present, bool opens)
{
    const struct stage to = {.channel = c->id,
                             .topic = body->topic,
                             .privacy = body->privacy_level,
                             .discoverable_disabled = body->discoverable_disabled};
    const struct stage_put put = {
        .user = s->r->user,
        .guild = c->guild,
        .channel = c->id,
        .opens = opens,
        .set = SETS(present, r_stage, topic, SET_STAGE_TOPIC) |
               SETS(present, r_stage, privacy_level, SET_STAGE_PRIVACY) |
               SETS(present, r_stage, discoverable_disabled, SET_STAGE_DISCOVERABLE),
        .to = KEEP(s, stage, &to),
    };
    COMMAND(s, BUS_CALL_MANAGER, put.guild, stage_put, &put);
}

void handle_stage_open(struct step *s)
{
    struct r_stage body;
    uint64_t present;
    if (!rest_form(s, &schema_r_stage, &body, &present))
        return;
    if (!body.channel_id || !body.topic.n) {
        rest_refuse_form(s, body.channel_id ? &required_topic : &required_channel);
        return;
    }
    const struct channel *c = rest_channel_of_guild(s, body.channel_id);
    if (c)
        put_stage(s, c, &body, present, true);
}

void handle_stage(struct step *s)
{
    const struct channel *c = rest_channel_of_guild(s, s->route.id[0]);
    const struct stage *stage = c ? view_find_stage(&s->r->world->guilds[0], c->id) : NULL;
    if (!c || rest_refused(s, stage ? API_OK : API_UNKNOWN_STAGE, NULL))
        return;
    const struct j_stage j = present_stage(stage, c->guild);
    rest_reply(s, schema_text(s->a, &schema_j_stage, &j));
}

void handle_stage_edit(struct step *s)
{
    struct r_stage body;
    uint64_t present;
    const struct channel *c = rest_channel_of_guild(s, s->route.id[0]);
    if (c && rest_form(s, &schema_r_stage, &body, &present))
        put_stage(s, c, &body, present, false);
}

void handle_stage_close(struct step *s)
{
    const struct channel *c = rest_channel_of_guild(s, s->route.id[0]);
    if (!c)
        return;
    const struct stage_delete gone = {.user = s->r->user, .guild = c->guild, .channel = c->id};
    COMMAND(s, BUS_CALL_MANAGER, gone.guild, stage_delete, &gone);
}

// --- what there is none of ---

void handle_default_sounds(struct step *s)
{
    rest_reply(s, BYTES("[]"));
}

// A key: false when it is none, which has been said. Keys are kept nowhere, so that none is known to match.
static bool key_well(struct step *s)
{
    static const struct fault no_version = {"key_version", -1, "BASE_TYPE_REQUIRED", "This field is required"};
    static const struct fault no_key = {"public_key", -1, "BASE_TYPE_REQUIRED", "This field is required"};
    struct r_public_key body;
    if (!rest_form(s, &schema_r_public_key, &body, NULL))
        return false;
    bool well = body.key_version && body.public_key.n;
    if (!well)
        rest_refuse_form(s, body.key_version ? &no_key : &no_version);
    return well;
}

void handle_public_keys(struct step *s)
{
    if (key_well(s))
        rest_reply(s, BYTES_NONE);
}

void handle_public_key_match(struct step *s)
{
    if (key_well(s))
        rest_reply(s, BYTES("{\"is_match\":false}"));
}

void handle_stream_edit(struct step *s)
{
    rest_refused(s, API_UNKNOWN_STREAM, NULL);
}

void handle_stream_preview(struct step *s)
{
    rest_refused(s, API_UNKNOWN_STREAM, NULL);
}

void handle_stream_preview_put(struct step *s)
{
    rest_refused(s, API_UNKNOWN_STREAM, NULL);
}

void handle_stream_notify(struct step *s)
{
    rest_refused(s, API_UNKNOWN_STREAM, NULL);
}
