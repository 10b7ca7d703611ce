// client: what the people of the simulated world hold in their hands. Each is one client session: it connects to any
// gateway, identifies or resumes, does things at random, and keeps a picture of its calls by the events that it is
// given, as client libraries do. Every dispatch must be the next one; at rest the picture must be the truth.
#include "call.h"
#include "world_guild.h"
#include "json.h"
#include "message.h"
#include "voice.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTO_CALLS "4096" // capability: calls that run are told after READY
#define SEATS_MAX 16u
#define MESSAGES_MAX 4096u

struct state { // a voice state, as an event told it
    uint64_t user;
    char session[33];
    bool mute, deaf, video;
};
struct channel_view {
    bool there; // the client knows it
    uint32_t n_recipients;
    uint64_t recipients[16]; // himself not among them
    uint64_t last_message;
    uint64_t call; // 0: none that it knows
    uint32_t n_rings, n_states;
    uint64_t rings[16];
    struct state states[SEATS_MAX];
    // The newest call message.
    uint64_t message;
    bool ended;
    uint32_t n_participants;
    uint64_t participants[64];
};

enum client_state { CLIENT_OFF, CLIENT_CONNECTING, CLIENT_RESUMING, CLIENT_LIVE };
struct client {
    uint64_t user;
    const char *token;
    enum client_state state;
    uint64_t conn;
    char session[33]; // empty: none to resume
    uint64_t seq;
    uint64_t lost_at;              // us: its socket went, while it has none
    uint64_t told_at;              // us: it was told something
    uint64_t back_at, missed_from; // us: it has been told something again; what happened after that may be new to it
    uint64_t away_ms;              // how long it had none, the last time
    bool late;                     // for too long, since its last op 4
    bool settled;                  // has been given something that is kept, so that it can be resumed
    bool done;                     // never comes back
    // Of a guild and of calls clients are sent to voice servers by logs that are in no order.
    uint64_t server;  // channel of the last VOICE_SERVER_UPDATE with an endpoint, 0: none, or it was taken away
    uint64_t room;    // where he sits in the guild, as it says
    bool served;      // and has a voice server there
    bool acked;       // that op 4 has taken effect
    bool stray;       // an op 4 of an earlier session of his may still take effect: two sessions are in no order
    uint64_t wants;   // channel of its last op 4; 0: it left, or has never sent one
    uint32_t n_acked; // up to this one it knows that they have taken effect, or never will
    uint32_t
        n_said; // op 4s, in all its sessions; the last three bits are its flags, so that its event is known by them
    struct channel_view view[PLACES_MAX];
    struct guild_view guild;
    bool heard[MESSAGES_MAX]; // what was said, by number
};

static struct client clients[CLIENTS_MAX];
static uint32_t n_clients;
static uint64_t dispatches, deeds, resumes;
static uint64_t seat_session_of[USERS_MAX]; // index of the client + 1 that holds an acknowledged seat
static uint64_t seat_place_of[USERS_MAX];   // a private channel, or a room of the guild
static bool changing;                       // in this run it changes who is in the guild, and who may see what there
static bool moved[USERS_MAX];               // a moderator has moved him, or thrown him out, in this run

// --- JSON ---

static uint32_t ids_in(const json_t *list, const char *key, uint64_t *out, uint32_t max)
{
    uint32_t n = 0;
    for (size_t i = 0; i < json_array_size(list) && n < max; i++) {
        const json_t *one = json_array_get(list, i);
        out[n++] = key ? id_in(one, key) : id_of(one);
    }
    return n;
}

// --- the picture ---

static uint32_t nth(const struct client *c)
{
    return (uint32_t)(c - clients);
}

static struct channel_view *view_of(struct client *c, uint64_t place)
{
    uint32_t i = place_index(place);
    return i < people.n_places ? &c->view[i] : NULL;
}

static struct state *state_of(struct channel_view *v, uint64_t user)
{
    for (uint32_t i = 0; i < v->n_states; i++)
        if (v->states[i].user == user)
            return &v->states[i];
    return NULL;
}

static void drop_state(struct channel_view *v, uint64_t user)
{
    struct state *s = state_of(v, user);
    if (s)
        *s = v->states[--v->n_states];
}

static void put_state(struct channel_view *v, const json_t *d)
{
    uint64_t user = id_in(d, "user_id");
    struct state *s = state_of(v, user);
    if (!s) {
        CHECK(v->n_states < SEATS_MAX);
        s = &v->states[v->n_states++];
    }
    *s = (struct state){.user = user,
                        .mute = json_is_true(json_object_get(d, "self_mute")),
                        .deaf = json_is_true(json_object_get(d, "self_deaf")),
                        .video = json_is_true(json_object_get(d, "self_video"))};
    snprintf(s->session, sizeof s->session, "%s", text_in(d, "session_id"));
}

static void see_channel(struct client *c, const json_t *d)
{
    struct channel_view *v = view_of(c, id_in(d, "id"));
    if (!v)
        return;
    if (!v->there)
        *v = (struct channel_view){.there = true};
    v->n_recipients = ids_in(json_object_get(d, "recipients"), "id", v->recipients, countof(v->recipients));
    v->last_message = id_in(d, "last_message_id");
}

static void see_ready(struct client *c, const json_t *d)
{
    const json_t *channels = json_object_get(d, "private_channels");
    memset(c->view, 0, sizeof c->view);
    memset(c->heard, 0, sizeof c->heard);
    snprintf(c->session, sizeof c->session, "%s", text_in(d, "session_id"));
    for (size_t i = 0; i < json_array_size(channels); i++)
        see_channel(c, json_array_get(channels, i));
    world_guild_ready(nth(c), c->user, &c->guild, json_object_get(d, "guilds"));
    c->server = c->wants = c->room = 0;
    c->served = false;
    c->missed_from = 0;
    c->settled = false;
    c->state = CLIENT_LIVE;
}

static void see_call(struct client *c, const json_t *d, bool create)
{
    struct channel_view *v = view_of(c, id_in(d, "channel_id"));
    if (!v || !v->there) {
        world_fail("client %u is told of a call where it is not: %" PRIu64, nth(c), id_in(d, "channel_id"));
        return;
    }
    v->n_rings = ids_in(json_object_get(d, "ringing"), NULL, v->rings, countof(v->rings));
    if (create) {
        const json_t *states = json_object_get(d, "voice_states");
        v->n_states = 0;
        for (size_t i = 0; i < json_array_size(states); i++)
            put_state(v, json_array_get(states, i));
        v->call = id_in(d, "message_id");
    } else if (v->call != id_in(d, "message_id")) {
        world_fail("client %u: CALL_UPDATE of call %" PRIu64 ", it knows %" PRIu64, nth(c), id_in(d, "message_id"),
                   v->call);
    }
}

static void see_call_end(struct client *c, const json_t *d)
{
    struct channel_view *v = view_of(c, id_in(d, "channel_id"));
    if (!v)
        return;
    v->call = 0;
    v->n_rings = v->n_states = 0;
}

// Another session of his has said something about his voice state that may still be on its way.
static bool another_speaks(const struct client *c)
{
    for (uint32_t i = 0; i < n_clients; i++)
        if (clients[i].user == c->user && (clients[i].stray || (&clients[i] != c && clients[i].n_said > 0)))
            return true;
    return false;
}

// His own voice state, in a call or in the guild, as his last op 4 wanted it?
static void see_own(struct client *c, const json_t *d)
{
    uint64_t channel = id_in(d, "channel_id"), user = id_in(d, "user_id");
    if (!channel || user != c->user)
        return;
    int flags = true_in(d, "self_mute") | true_in(d, "self_deaf") << 1 | true_in(d, "self_video") << 2;
    if (strcmp(text_in(d, "session_id"), c->session) == 0 && c->wants == channel && flags == (int)(c->n_said & 7)) {
        c->acked = true;
        c->n_acked = c->n_said;
    }
    if (c->acked && c->wants == channel && !c->late &&
        !another_speaks(c)) { // an older one, of another log, may come late
        seat_session_of[user_index(user)] = nth(c) + 1;
        seat_place_of[user_index(user)] = channel;
    }
}

static void see_voice(struct client *c, const json_t *d)
{
    uint64_t place = id_in(d, "channel_id"), user = id_in(d, "user_id");
    // A user has one voice state outside of guilds, whichever channel the client thought it in.
    for (uint32_t p = 0; p < people.n_places; p++)
        if (people.places[p] != place)
            drop_state(&c->view[p], user);
    struct channel_view *v = place ? view_of(c, place) : NULL;
    if (v && !v->there)
        world_fail("client %u is told of a voice state where it is not: %" PRIu64, nth(c), place);
    else if (v)
        put_state(v, d);
    if (user == c->user && (place != c->server || strcmp(text_in(d, "session_id"), c->session) != 0))
        c->server = 0;
    see_own(c, d);
}

static void see_message(struct client *c, const json_t *d, bool create)
{
    struct channel_view *v = view_of(c, id_in(d, "channel_id"));
    uint64_t id = id_in(d, "id");
    const json_t *call = json_object_get(d, "call");
    if (!v || !v->there) {
        world_fail("client %u is given a message of a channel where it is not", nth(c));
        return;
    }
    if (create && id <= v->last_message)
        world_fail("client %u: message %" PRIu64 " comes after %" PRIu64, nth(c), id, v->last_message);
    if (create)
        v->last_message = id;
    uint32_t said = (uint32_t)strtoul(text_in(d, "content"), NULL, 10);
    if (create && said && said < MESSAGES_MAX && c->heard[said])
        world_fail("client %u: what was said once is there twice: message %u", nth(c), said);
    if (create && said < MESSAGES_MAX)
        c->heard[said] = true;
    if (!call || (!create && v->message != id && v->message != 0))
        return;
    v->message = id;
    v->ended = json_is_string(json_object_get(call, "ended_timestamp"));
    v->n_participants = ids_in(json_object_get(call, "participants"), NULL, v->participants, countof(v->participants));
}

static void see_recipient(struct client *c, const json_t *d, bool added)
{
    struct channel_view *v = view_of(c, id_in(d, "channel_id"));
    uint64_t user = id_in(json_object_get(d, "user"), "id");
    if (!v || !v->there)
        return;
    for (uint32_t i = 0; i < v->n_recipients; i++)
        if (v->recipients[i] == user)
            v->recipients[i--] = v->recipients[--v->n_recipients];
    if (added)
        v->recipients[v->n_recipients++] = user;
}

static void see_channel_gone(struct client *c, const json_t *d)
{
    struct channel_view *v = view_of(c, id_in(d, "id"));
    if (v)
        *v = (struct channel_view){0};
    if (seat_place_of[user_index(c->user)] == id_in(d, "id"))
        seat_session_of[user_index(c->user)] = 0;
}

static void see_server(struct client *c, const json_t *d)
{
    bool there = json_is_string(json_object_get(d, "endpoint"));
    if (id_in(d, "guild_id"))
        c->served = there;
    else
        c->server = there ? id_in(d, "channel_id") : 0;
    if (there)
        voice_sent(nth(c), c->user, c->session, d);
}

// Who was away for about as long as the voice states of a lost gateway are kept may have lost his, whatever he is told
// of it now.
static void see_resumed(struct client *c)
{
    uint32_t u = user_index(c->user);
    c->late = c->late || c->away_ms + 200 > RESUME_WINDOW_MS;
    if (c->late && seat_session_of[u] == nth(c) + 1)
        seat_session_of[u] = 0;
    c->state = CLIENT_LIVE;
}

static void see_guild(struct client *c, const char *t, const json_t *d)
{
    uint32_t u = user_index(c->user);
    const struct guild_state *own = &c->guild.states[u];
    uint64_t room = strcmp(own->session, c->session) == 0 ? own->channel : 0;
    if (strcmp(t, "VOICE_STATE_UPDATE") == 0)
        see_own(c, d);
    c->served = c->served && c->room == room;
    c->room = room;
    if (strcmp(t, "GUILD_DELETE") == 0 && room_index(seat_place_of[u]) < people.n_rooms)
        seat_session_of[u] = 0;
}

static void see(struct client *c, const char *t, const json_t *d)
{
    dispatches++;
    if (strcmp(t, "VOICE_SERVER_UPDATE") != 0 && world_guild_event(nth(c), c->user, &c->guild, t, d))
        see_guild(c, t, d);
    else if (strcmp(t, "READY") == 0)
        see_ready(c, d);
    else if (strcmp(t, "CALL_CREATE") == 0)
        see_call(c, d, true);
    else if (strcmp(t, "CALL_UPDATE") == 0)
        see_call(c, d, false);
    else if (strcmp(t, "CALL_DELETE") == 0)
        see_call_end(c, d);
    else if (strcmp(t, "VOICE_STATE_UPDATE") == 0)
        see_voice(c, d);
    else if (strcmp(t, "VOICE_SERVER_UPDATE") == 0)
        see_server(c, d);
    else if (strcmp(t, "MESSAGE_CREATE") == 0)
        see_message(c, d, true);
    else if (strcmp(t, "MESSAGE_UPDATE") == 0)
        see_message(c, d, false);
    else if (strcmp(t, "CHANNEL_CREATE") == 0 || strcmp(t, "CHANNEL_UPDATE") == 0)
        see_channel(c, d);
    else if (strcmp(t, "CHANNEL_DELETE") == 0)
        see_channel_gone(c, d);
    else if (strcmp(t, "CHANNEL_RECIPIENT_ADD") == 0)
        see_recipient(c, d, true);
    else if (strcmp(t, "CHANNEL_RECIPIENT_REMOVE") == 0)
        see_recipient(c, d, false);
    else if (strcmp(t, "RESUMED") == 0)
        see_resumed(c);
    if (strncmp(t, "READY", 5) != 0 && strcmp(t, "CALL_CREATE") != 0)
        c->settled = true;
    if (!c->server && !c->served)
        voice_over(nth(c));
}

// --- the socket ---

static void forget_session(struct client *c)
{
    uint32_t u = user_index(c->user);
    c->stray |= c->n_said != c->n_acked;
    c->session[0] = '\0';
    c->seq = 0;
    c->wants = 0;
    voice_over(nth(c));
    if (seat_session_of[u] == nth(c) + 1)
        seat_session_of[u] = 0;
}

#define IN_FLIGHT_US 1000000u // what was told less long ago may not have reached a client that was lost

static void lost(struct client *c, uint16_t code)
{
    world_tell("client %u: socket gone, %u", nth(c), code);
    c->conn = 0;
    if (c->state == CLIENT_LIVE || !c->lost_at)
        c->lost_at = sim_us() ? sim_us() : 1;
    if (!c->missed_from || c->lost_at > c->back_at + IN_FLIGHT_US) // else it may not have caught up before
        c->missed_from =
            c->told_at && c->told_at < c->lost_at ? c->told_at : c->lost_at; // its gateway may have stood still
    c->state = CLIENT_OFF;
    if (code == 4004 || code == 4007 || code == 4009)
        forget_session(c);
}

static void say(struct client *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct client *c, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    world_tell("client %u: %s", nth(c), text);
    sim_web_say(c->conn, (struct bytes){text, (size_t)n});
}

// A session may be refused only when its time was over, when nothing of it was ever kept, or when it has missed that
// what it may see in the guild has changed.
static void invalid(struct client *c)
{
    uint64_t away_ms = c->lost_at ? (sim_us() - c->lost_at) / 1000 : 0;
    uint64_t since = c->missed_from > IN_FLIGHT_US ? c->missed_from - IN_FLIGHT_US : 0;
    if (c->state == CLIENT_RESUMING && c->settled && away_ms + 100 < RESUME_WINDOW_MS &&
        !world_guild_changed_since(since))
        world_fail("client %u: session %s is refused after %" PRIu64 " ms", nth(c), c->session, away_ms);
    forget_session(c);
    sim_web_leave(c->conn, 1000);
    lost(c, 1000);
}

static void hello(struct client *c)
{
    if (c->session[0]) {
        c->state = CLIENT_RESUMING;
        resumes++;
        say(c, "{\"op\":6,\"d\":{\"token\":\"%s\",\"session_id\":\"%s\",\"seq\":%" PRIu64 "}}", c->token, c->session,
            c->seq);
    } else {
        say(c, "{\"op\":2,\"d\":{\"token\":\"%s\",\"capabilities\":" AUTO_CALLS ",\"properties\":{}}}", c->token);
    }
}

static void dispatch(struct client *c, uint64_t seq, const char *t, const json_t *d)
{
    bool resumed = strcmp(t, "RESUMED") == 0, ready = strcmp(t, "READY") == 0;
    if (ready && seq != 1)
        world_fail("client %u: READY has number %" PRIu64, nth(c), seq);
    else if (!ready && seq != c->seq + 1 && !(resumed && seq == c->seq))
        world_fail("client %u: %s has number %" PRIu64 " after %" PRIu64, nth(c), t, seq, c->seq);
    c->seq = seq;
    if (c->lost_at) {
        c->away_ms = (sim_us() - c->lost_at) / 1000;
        c->back_at = sim_us();
    }
    c->lost_at = 0;
    c->told_at = sim_us();
    see(c, t, d);
}

static void on_text(void *ctx, uint64_t conn, struct bytes text)
{
    struct client *c = ctx;
    json_t *j = json_loadb(text.p, text.n, 0, NULL);
    if (conn != c->conn) {
        json_decref(j);
        return;
    }
    const json_t *d = json_object_get(j, "d");
    world_tell("client %u <- %.*s", nth(c), (int)(text.n < 300 ? text.n : 300), text.p);
    switch (json_integer_value(json_object_get(j, "op"))) {
    case 0:
        dispatch(c, (uint64_t)json_integer_value(json_object_get(j, "s")), text_in(j, "t"), d);
        break;
    case 7:
        sim_web_leave(conn, 4900);
        lost(c, 4900);
        break;
    case 9:
        invalid(c);
        break;
    case 10:
        hello(c);
        break;
    default:
        break;
    }
    json_decref(j);
}

static void on_gone(void *ctx, uint64_t conn, uint16_t code)
{
    struct client *c = ctx;
    if (conn == c->conn)
        lost(c, code);
}

static struct instance *any_gateway(void)
{
    uint64_t from = sim_below(n_instances);
    for (uint32_t k = 0; k < n_instances; k++) {
        struct instance *i = &instances[(from + k) % n_instances];
        if (strncmp(i->name, "gateway", 7) == 0 && (i->state == INSTANCE_UP || i->state == INSTANCE_STOPPED))
            return i;
    }
    return NULL;
}

static void connect_to_any(struct client *c)
{
    struct instance *i = any_gateway();
    if (!i)
        return;
    world_tell("client %u: connects to %s", nth(c), i->name);
    c->state = CLIENT_CONNECTING;
    c->conn = sim_web_open(i, "v=9&encoding=json", on_text, on_gone, c);
}

// --- deeds ---

// place: a private channel, or a room of the guild.
static void voice(struct client *c, uint64_t place)
{
    uint32_t u = user_index(c->user);
    char channel[32] = "null", guild[32] = "null";
    if (place)
        snprintf(channel, sizeof channel, "\"%" PRIu64 "\"", place);
    if (room_index(place) < people.n_rooms)
        snprintf(guild, sizeof guild, "\"%" PRIu64 "\"", people.guild);
    seat_session_of[u] = 0;
    c->wants = place;
    c->acked = c->late = false;
    c->n_said++;
    c->stray |= c->n_said - c->n_acked > 7; // their flags do not tell them apart any more
    say(c, "{\"op\":4,\"d\":{\"guild_id\":%s,\"channel_id\":%s,\"self_mute\":%s,\"self_deaf\":%s,\"self_video\":%s}}",
        guild, channel, c->n_said & 1 ? "true" : "false", c->n_said & 2 ? "true" : "false",
        c->n_said & 4 ? "true" : "false");
}

static uint64_t place_of(const struct client *c)
{
    uint64_t from = sim_below(people.n_places);
    for (uint32_t k = 0; k < people.n_places; k++) {
        uint32_t p = (uint32_t)((from + k) % people.n_places);
        if (c->view[p].there)
            return people.places[p];
    }
    return 0;
}

struct wish { // a REST request that promises something
    uint64_t place, target, asked_at;
    uint64_t call; // that ran then
};
#define WISHES_MAX 4096u
static struct wish wishes[WISHES_MAX];
static uint32_t last_wish;

static void on_done(void *ctx, uint64_t id, int status, struct bytes body)
{
    (void)ctx;
    (void)id;
    world_tell("answer %d %.*s", status, (int)(body.n < 200 ? body.n : 200), body.p ? body.p : "");
    if (status >= 500 && status != 503 && status != 504 && status != 502)
        world_fail("a request is answered with %d", status);
}

// An acknowledged ring was rung, unless he sat there anyway or was no recipient for a while (or the call that it was
// meant for is over).
static void on_ring(void *ctx, uint64_t id, int status, struct bytes body)
{
    const struct wish *w = &wishes[id % WISHES_MAX];
    uint32_t p = place_index(w->place);
    on_done(ctx, id, status, body);
    if (status == 204 && w->call != 0 && w->call == truth_place(p)->id && truth_absent_at(p, w->target) < w->asked_at &&
        truth_rung_at(p, w->target) < w->asked_at && truth_seated_at(p, w->target) < w->asked_at)
        world_fail("%" PRIu64 " was to be rung in %" PRIu64 ", and was not", w->target, w->place);
}

static void ask(const struct client *c, const char *method, const char *body, sim_reply_fn fn, uint64_t id,
                const char *fmt, ...) PRINTF_LIKE(6, 7);
static void ask(const struct client *c, const char *method, const char *body, sim_reply_fn fn, uint64_t id,
                const char *fmt, ...)
{
    char path[256];
    struct instance *i = any_gateway();
    va_list args;
    va_start(args, fmt);
    vsnprintf(path, sizeof path, fmt, args);
    va_end(args);
    world_tell("client %u: %s %s %s", nth(c), method, path, body);
    if (i)
        sim_web_ask(i, false, method, path, c->token, bytes_of(body), fn, NULL, id);
}

static void ring(const struct client *c, uint64_t place)
{
    char body[96];
    const struct channel_view *v = &c->view[place_index(place)];
    if (!v->n_recipients)
        return;
    uint64_t target = v->recipients[sim_below(v->n_recipients)];
    wishes[++last_wish % WISHES_MAX] = (struct wish){place, target, sim_us(), truth_place(place_index(place))->id};
    snprintf(body, sizeof body, "{\"recipients\":[\"%" PRIu64 "\"]}", target);
    ask(c, "POST", body, on_ring, last_wish, "/api/v9/channels/%" PRIu64 "/call/ring", place);
}

static void group_change(const struct client *c, uint64_t place)
{
    uint64_t target = people.users[sim_below(people.n_users)];
    ask(c, sim_chance(6000) ? "PUT" : "DELETE", "", on_done, 0, "/api/v9/channels/%" PRIu64 "/recipients/%" PRIu64,
        place, target);
}

static void region(const struct client *c, uint64_t place)
{
    static const char *const bodies[] = {"{\"region\":\"frankfurt\"}", "{\"region\":\"rotterdam\"}",
                                         "{\"region\":\"nowhere\"}"};
    ask(c, "PATCH", bodies[sim_below(countof(bodies))], on_done, 0, "/api/v9/channels/%" PRIu64 "/call", place);
}

static uint32_t n_messages; // each says which it is

static void message(const struct client *c, uint64_t place)
{
    char body[48];
    snprintf(body, sizeof body, "{\"content\":\"%u\"}", ++n_messages);
    ask(c, "POST", body, on_done, 0, "/api/v9/channels/%" PRIu64 "/messages", place);
}

// What a moderator does may take effect after what its victim does next.
static void moderate(const struct client *c)
{
    char body[96];
    uint32_t u = (uint32_t)sim_below(people.n_users);
    uint64_t room = people.rooms[sim_below(people.n_rooms)];
    if (sim_chance(5000)) {
        snprintf(body, sizeof body, "{\"mute\":%s}", sim_chance(5000) ? "true" : "false");
    } else {
        if (sim_chance(7000))
            snprintf(body, sizeof body, "{\"channel_id\":\"%" PRIu64 "\"}", room);
        else
            snprintf(body, sizeof body, "{\"channel_id\":null}");
        moved[u] = true;
    }
    ask(c, "PATCH", body, on_done, 0, "/api/v9/guilds/%" PRIu64 "/members/%" PRIu64, people.guild, people.users[u]);
}

// Somebody, or everybody, may see a room of the guild or not.
static void reveal(const struct client *c)
{
    char body[160];
    uint64_t room = people.rooms[sim_below(people.n_rooms)];
    bool one = sim_chance(6000);
    uint64_t whom = one ? people.users[sim_below(people.n_users)] : people.guild;
    snprintf(body, sizeof body, "{\"permission_overwrites\":[{\"id\":\"%" PRIu64 "\",\"type\":%d,\"%s\":\"1024\"}]}",
             whom, one, sim_chance(6000) ? "deny" : "allow");
    ask(c, "PATCH", body, on_done, 0, "/api/v9/channels/%" PRIu64, room);
}

static void throw_out(const struct client *c)
{
    uint32_t u = 1 + (uint32_t)sim_below(people.n_users - 1);
    moved[u] = true;
    ask(c, "DELETE", "", on_done, 0, "/api/v9/guilds/%" PRIu64 "/members/%" PRIu64, people.guild, people.users[u]);
}

static void bring_back(void)
{
    struct instance *i = any_gateway();
    world_tell("the operator puts everybody into the guild");
    if (i)
        sim_web_ask(i, true, "POST", "/admin/load", ADMIN_AUTHORIZATION, people.guild_document, on_done, NULL, 0);
}

static void act_in_guild(struct client *c)
{
    uint64_t dice = sim_below(100), room = people.rooms[sim_below(people.n_rooms)];
    if (dice < 55)
        voice(c, room);
    else if (dice < 70)
        voice(c, c->wants ? c->wants : room);
    else if (dice < 82 || !changing)
        moderate(c);
    else if (dice < 92)
        reveal(c);
    else if (dice < 96)
        throw_out(c);
    else
        bring_back();
}

static void leave_for(struct client *c, uint16_t code)
{
    world_tell("client %u: leaves with %u", nth(c), code);
    sim_web_leave(c->conn, code);
    if (code == 1000)
        forget_session(c);
    lost(c, code);
}

static void act_live(struct client *c)
{
    uint64_t dice = sim_below(100), place = place_of(c);
    if (voice_speaks(nth(c)) && sim_chance(600)) {
        voice_break(nth(c));
        return;
    }
    if (sim_chance(4000)) {
        act_in_guild(c);
        return;
    }
    if (!place)
        return;
    if (dice < 30) {
        voice(c, place);
    } else if (dice < 42) {
        voice(c, c->wants ? c->wants : place);
    } else if (dice < 54) {
        voice(c, 0);
    } else if (dice < 68) {
        ring(c, place);
    } else if (dice < 74) {
        ask(c, "POST", "{}", on_done, 0, "/api/v9/channels/%" PRIu64 "/call/stop-ringing", place);
    } else if (dice < 79) {
        group_change(c, place);
    } else if (dice < 82) {
        region(c, place);
    } else if (dice < 88) {
        message(c, place);
    } else if (dice < 95) {
        leave_for(c, 1006);
    } else if (dice < 97) {
        sim_web_slow(c->conn);
    } else {
        leave_for(c, 1000);
    }
}

void clients_act(void)
{
    struct client *c = &clients[sim_below(n_clients)];
    deeds++;
    switch (c->state) {
    case CLIENT_OFF:
        if (sim_chance(7000)) // else it stays away for a while, perhaps for too long
            connect_to_any(c);
        break;
    case CLIENT_CONNECTING:
    case CLIENT_RESUMING:
        if (sim_chance(1000))
            leave_for(c, 1006);
        break;
    case CLIENT_LIVE:
        act_live(c);
        break;
    }
}

void clients_calm(void)
{
    for (uint32_t i = 0; i < n_clients; i++)
        if (clients[i].state == CLIENT_OFF && !clients[i].done)
            connect_to_any(&clients[i]);
    voice_calm();
}

bool clients_there(void)
{
    for (uint32_t i = 0; i < n_clients; i++)
        if (clients[i].state != CLIENT_LIVE && !clients[i].done)
            return false;
    return true;
}

// --- at rest ---

static bool same_ids(const uint64_t *a, uint32_t n, const uint64_t *b, uint32_t m)
{
    for (uint32_t i = 0; i < n; i++) {
        bool found = false;
        for (uint32_t k = 0; k < m; k++)
            found |= a[i] == b[k];
        if (!found)
            return false;
    }
    return n == m;
}

static void compare_states(const struct client *c, struct channel_view *v, const struct call_place *p)
{
    if (v->n_states != p->n_seats)
        world_fail("client %u sees %u in call %" PRIu64 ", there are %u", nth(c), v->n_states, p->id, p->n_seats);
    for (uint32_t i = 0; i < p->n_seats; i++) {
        const struct call_seat *seat = &p->seats[i];
        const struct state *s = state_of(v, seat->user);
        if (!s)
            world_fail("client %u does not see %" PRIu64 " in call %" PRIu64, nth(c), seat->user, p->id);
        else if (strcmp(s->session, seat->session) != 0 || s->mute != seat->self_mute || s->deaf != seat->self_deaf ||
                 s->video != seat->self_video)
            world_fail("client %u sees another voice state of %" PRIu64 " than he has", nth(c), seat->user);
        if (seat->user == c->user && strcmp(seat->session, c->session) == 0 && c->server != p->channel)
            world_fail("client %u sits in %" PRIu64 " and has no voice server there", nth(c), p->channel);
    }
}

static void compare_message(const struct client *c, const struct channel_view *v, const struct call_place *p)
{
    struct arena a = {0};
    struct message_rec m;
    if (v->message && !truth_message(&a, p->channel, v->message, &m))
        world_fail("client %u knows call message %" PRIu64 ", which does not exist", nth(c), v->message);
    else if (v->message && (!same_ids(v->participants, v->n_participants, m.participants.v, m.participants.n) ||
                            v->ended != (m.ended_at != 0)))
        world_fail("client %u sees another call message %" PRIu64 " than there is", nth(c), v->message);
    else if (v->message && (m.ended_at == 0) != (p->id == v->message))
        world_fail("call message %" PRIu64 " says that the call %s", v->message, m.ended_at ? "ended" : "runs");
    arena_fini(&a);
}

static void compare_place(const struct client *c, struct channel_view *v, uint32_t place)
{
    const struct call_place *p = truth_place(place);
    uint64_t others[CALL_MEMBERS_MAX], rings[CALL_MEMBERS_MAX];
    uint32_t n = 0;
    if (v->there != call_is_recipient(p, c->user)) {
        world_fail("client %u %s channel %" PRIu64, nth(c), v->there ? "still has" : "lacks", people.places[place]);
        return;
    }
    if (!v->there)
        return;
    for (uint32_t i = 0; i < p->n_recipients; i++)
        if (p->recipients[i] != c->user)
            others[n++] = p->recipients[i];
    if (!same_ids(v->recipients, v->n_recipients, others, n))
        world_fail("client %u sees other recipients of %" PRIu64, nth(c), p->channel);
    if (v->last_message != truth_last_message(place))
        world_fail("client %u: newest message of %" PRIu64 " is %" PRIu64 ", not %" PRIu64, nth(c), p->channel,
                   truth_last_message(place), v->last_message);
    if (v->call != (p->unavailable ? 0 : p->id)) {
        world_fail("client %u sees call %" PRIu64 " in %" PRIu64 ", there is %" PRIu64, nth(c), v->call, p->channel,
                   p->id);
        return;
    }
    for (uint32_t i = 0; i < p->n_rings; i++)
        rings[i] = p->rings[i].user;
    if (v->call && !same_ids(v->rings, v->n_rings, rings, p->n_rings))
        world_fail("client %u sees others rung in call %" PRIu64, nth(c), p->id);
    if (v->call)
        compare_states(c, v, p);
    compare_message(c, v, p);
}

// Whose seat was acknowledged, and who did nothing about it and kept his session, still sits there.
static void compare_seat(uint32_t u)
{
    if (!seat_session_of[u])
        return;
    const struct client *c = &clients[seat_session_of[u] - 1];
    if (c->state != CLIENT_LIVE || !c->wants || voice_absent(c->user))
        return;
    if (room_index(seat_place_of[u]) < people.n_rooms) {
        if (!moved[u] && !world_guild_sits(c->user, c->session))
            world_fail("client %u was seated in the guild, and is not there any more", nth(c));
        return;
    }
    const struct call_place *p = truth_place(place_index(seat_place_of[u]));
    if (call_is_recipient(p, c->user) && !call_sits(p, c->user, c->session))
        world_fail("client %u was seated in %" PRIu64 ", and is not there any more", nth(c), p->channel);
}

// Every session that anybody still has is a client's here: whoever sits by another one is a phantom.
static void compare_sessions(uint32_t place)
{
    const struct call_place *p = truth_place(place);
    for (uint32_t i = 0; i < p->n_seats; i++) {
        bool had = false;
        for (uint32_t k = 0; k < n_clients; k++)
            had |= strcmp(clients[k].session, p->seats[i].session) == 0;
        if (!had)
            world_fail("%" PRIu64 " sits in %" PRIu64 " by a session that nobody has", p->seats[i].user, p->channel);
    }
}

static void compare_guild_sessions(void)
{
    for (uint32_t u = 0; u < people.n_users; u++) {
        const char *session = world_guild_session(people.users[u]);
        bool had = false;
        for (uint32_t k = 0; session && k < n_clients; k++)
            had |= strcmp(clients[k].session, session) == 0;
        if (session && !had)
            world_fail("%" PRIu64 " sits in the guild by a session that nobody has", people.users[u]);
    }
}

// Where it sits by its session, as it stands in Redis; 0: nowhere.
static uint64_t sits_in(const struct client *c)
{
    if (c->state == CLIENT_LIVE && world_guild_sits(c->user, c->session))
        return c->room;
    for (uint32_t p = 0; c->state == CLIENT_LIVE && p < people.n_places; p++)
        if (call_sits(truth_place(p), c->user, c->session))
            return people.places[p];
    return 0;
}

static void compare_voice(uint32_t who)
{
    uint64_t channel = sits_in(&clients[who]);
    uint32_t others = 0;
    for (uint32_t i = 0; channel && i < n_clients; i++)
        if (i != who && voice_speaks(i) && sits_in(&clients[i]) == channel)
            others |= 1u << user_index(clients[i].user);
    voice_compare(who, channel, others);
}

void clients_compare(void)
{
    compare_guild_sessions();
    for (uint32_t i = 0; i < n_clients; i++)
        if (clients[i].state == CLIENT_LIVE)
            world_guild_compare(i, clients[i].user, clients[i].session, clients[i].served, &clients[i].guild);
    for (uint32_t p = 0; p < people.n_places; p++)
        compare_sessions(p);
    for (uint32_t i = 0; i < n_clients; i++)
        for (uint32_t p = 0; clients[i].state == CLIENT_LIVE && p < people.n_places; p++)
            compare_place(&clients[i], &clients[i].view[p], p);
    for (uint32_t u = 0; u < people.n_users; u++)
        compare_seat(u);
    for (uint32_t i = 0; i < n_clients; i++)
        compare_voice(i);
}

// --- life ---

uint64_t clients_dispatches(void)
{
    return dispatches;
}

uint64_t clients_deeds(void)
{
    return deeds;
}

uint64_t clients_resumes(void)
{
    return resumes;
}

void clients_begin(void)
{
    memset(clients, 0, sizeof clients);
    memset(seat_session_of, 0, sizeof seat_session_of);
    memset(moved, 0, sizeof moved);
    changing = sim_chance(4000);
    n_messages = 0;
    n_clients = people.n_users + (uint32_t)sim_below(CLIENTS_MAX - people.n_users + 1);
    for (uint32_t i = 0; i < n_clients; i++) {
        clients[i].user = people.users[i % people.n_users];
        clients[i].token = people.tokens[i % people.n_users];
    }
}

void clients_end(void)
{
    for (uint32_t i = 0; i < n_clients; i++)
        if (clients[i].conn)
            sim_web_leave(clients[i].conn, 1006);
    n_clients = 0;
}
