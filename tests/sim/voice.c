// voice: the voice sockets of the world's clients. Each does as client libraries do: goes where the last
// VOICE_SERVER_UPDATE sends it, resumes when its socket breaks, identifies anew when it may not. Every numbered message
// must be the next one; at rest exactly those who sit in a channel are in its room, and know of each other.
#include "voice.h"
#include "json.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum voice_state { VOICE_OUT, VOICE_OPENING, VOICE_IN };
struct voice_client {
    bool wanted; // it was sent to a server, and has not been told since that it is in no channel
    uint64_t server, user;
    char session[33], token[128];
    uint32_t node; // of the instances
    enum voice_state state;
    uint64_t conn;
    bool known;       // the node has let it in, and may take it back
    bool sulks;       // it does not come back before all is calm
    int64_t seq;      // of the last numbered message
    uint64_t lost_at; // us: it was in, and is not any more
    uint64_t retry;   // numbers its tries: only the newest counts
    uint16_t code;    // of the last close
    uint32_t mates;   // bit per user: who is told to be in the room
};

static struct voice_client voices[CLIENTS_MAX];
static bool there, absent[USERS_MAX];
static uint64_t entries;

static uint32_t nth(const struct voice_client *v)
{
    return (uint32_t)(v - voices);
}

bool voice_absent(uint64_t user)
{
    return absent[user_index(user)];
}

// Who was away for about as long as a node waits may have been taken out of the channel.
static void judge_absence(const struct voice_client *v)
{
    if (v->lost_at && sim_us() - v->lost_at > (VOICE_GRACE_MS - 200) * 1000u)
        absent[user_index(v->user)] = true;
}

static void say(struct voice_client *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct voice_client *v, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    world_tell("client %u, voice: %s", nth(v), text);
    sim_web_say(v->conn, (struct bytes){text, (size_t)n});
}

static void hang_up(struct voice_client *v, uint16_t code)
{
    if (v->conn)
        sim_web_leave(v->conn, code);
    v->conn = 0;
    v->retry++;
    if (v->state == VOICE_IN && !v->lost_at)
        v->lost_at = sim_us();
    v->state = VOICE_OUT;
}

// --- coming in ---

static void hello(struct voice_client *v)
{
    if (v->known)
        say(v,
            "{\"op\":7,\"d\":{\"server_id\":\"%" PRIu64 "\",\"session_id\":\"%s\",\"token\":\"%s\",\"seq_ack\":%" PRId64
            "}}",
            v->server, v->session, v->token, v->seq);
    else
        say(v,
            "{\"op\":0,\"d\":{\"server_id\":\"%" PRIu64 "\",\"user_id\":\"%" PRIu64
            "\",\"session_id\":\"%s\",\"token\":\"%s\"}}",
            v->server, v->user, v->session, v->token);
}

static void ready(struct voice_client *v)
{
    v->known = true;
    v->seq = 0;
    v->mates = 0;
    say(v, "{\"op\":1,\"d\":{\"protocol\":\"udp\",\"data\":{\"address\":\"192.0.2.1\",\"port\":1,\"mode\":"
           "\"aead_aes256_gcm_rtpsize\"}}}");
}

static void in(struct voice_client *v)
{
    judge_absence(v);
    v->lost_at = 0;
    v->state = VOICE_IN;
    entries++;
}

static void see_clients(struct voice_client *v, const json_t *d)
{
    const json_t *ids = json_object_get(d, "user_ids");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        uint32_t u = user_index(id_of(json_array_get(ids, i)));
        if (people.users[u] == v->user)
            world_fail("client %u is told of itself in its room", nth(v));
        v->mates |= 1u << u;
    }
}

static void on_text(void *ctx, uint64_t conn, struct bytes text)
{
    struct voice_client *v = ctx;
    if (conn != v->conn)
        return;
    json_t *j = json_loadb(text.p, text.n, 0, NULL);
    const json_t *d = json_object_get(j, "d"), *seq = json_object_get(j, "seq");
    world_tell("client %u, voice <- %.*s", nth(v), (int)(text.n < 200 ? text.n : 200), text.p);
    if (seq && json_integer_value(seq) != v->seq + 1)
        world_fail("client %u, voice: message %lld comes after %" PRId64, nth(v), json_integer_value(seq), v->seq);
    v->seq = seq ? json_integer_value(seq) : v->seq;
    switch (json_integer_value(json_object_get(j, "op"))) {
    case 2:
        ready(v);
        break;
    case 4:
    case 9:
        in(v);
        break;
    case 8:
        hello(v);
        break;
    case 11:
        see_clients(v, d);
        break;
    case 13:
        v->mates &= ~(1u << user_index(id_in(d, "user_id")));
        break;
    default:
        break;
    }
    json_decref(j);
}

static void enter(struct voice_client *v);

static void on_retry(void *ctx, uint64_t retry)
{
    struct voice_client *v = ctx;
    if (there && retry == v->retry && v->wanted && !v->conn)
        enter(v);
}

static void on_gone(void *ctx, uint64_t conn, uint16_t code)
{
    struct voice_client *v = ctx;
    if (conn != v->conn)
        return;
    world_tell("client %u, voice: socket gone, %u", nth(v), code);
    v->conn = 0;
    v->code = code;
    hang_up(v, 0);
    bool resumes = code == 1006 || code == 4015;
    v->known = v->known && resumes;
    if (v->wanted && !v->sulks && code != 4014 && code != 4004)
        sim_after(sim_between(10000, 200000), NULL, on_retry, v, v->retry);
}

static void enter(struct voice_client *v)
{
    world_tell("client %u, voice: connects to %s %u", nth(v), instances[v->node].name, v->node);
    v->state = VOICE_OPENING;
    v->retry++;
    v->conn = sim_web_open(&instances[v->node], "v=8", on_text, on_gone, v);
}

// --- what its main session is told ---

void voice_sent(uint32_t who, uint64_t user, const char *session, const json_t *d)
{
    struct voice_client *v = &voices[who];
    uint64_t guild = id_in(d, "guild_id");
    uint32_t node = (uint32_t)atoi(text_in(d, "endpoint"));
    if (!there || who % 4 == 3) // there are bots that sit in a channel and never speak
        return;
    CHECK(node < n_instances);
    bool was_in = v->state == VOICE_IN;
    hang_up(v, 1000);
    v->lost_at = was_in ? 0 : v->lost_at; // where it was, it is not missed
    v->wanted = true;
    v->known = false;
    v->server = guild ? guild : id_in(d, "channel_id");
    v->user = user;
    v->node = node;
    snprintf(v->session, sizeof v->session, "%s", session);
    snprintf(v->token, sizeof v->token, "%s", text_in(d, "token"));
    if (!v->sulks)
        enter(v);
}

void voice_over(uint32_t who)
{
    voices[who].wanted = false;
    if (who % 4 == 2) // some wait until they are hung up on
        return;
    hang_up(&voices[who], 1000);
    voices[who].lost_at = 0;
}

// --- deeds ---

void voice_break(uint32_t who)
{
    struct voice_client *v = &voices[who];
    world_tell("client %u, voice: breaks off", nth(v));
    hang_up(v, 1006);
    v->sulks = sim_chance(3000);
    if (!v->sulks)
        sim_after(sim_between(1000, 600000), NULL, on_retry, v, v->retry);
}

void voice_calm(void)
{
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        struct voice_client *v = &voices[i];
        v->sulks = false;
        if (v->wanted && !v->conn)
            enter(v);
    }
}

// --- at rest ---

void voice_compare(uint32_t who, uint64_t channel, uint32_t others)
{
    const struct voice_client *v = &voices[who];
    if (!there || who % 4 == 3)
        return;
    if (channel && v->state != VOICE_IN)
        world_fail("client %u sits in %" PRIu64 ", and its voice server does not let it in: %u", who, channel, v->code);
    else if (!channel && v->state == VOICE_IN)
        world_fail("client %u sits nowhere, and is in a voice room", who);
    else if (channel && v->mates != others)
        world_fail("client %u is told that users %x are in its room, they are %x", who, v->mates, others);
}

bool voice_speaks(uint32_t who)
{
    return there && voices[who].state == VOICE_IN;
}

// --- life ---

uint64_t voice_entries(void)
{
    return entries;
}

void voice_begin(bool nodes)
{
    memset(voices, 0, sizeof voices);
    memset(absent, 0, sizeof absent);
    there = nodes;
}

void voice_end(void)
{
    there = false;
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        if (voices[i].conn)
            sim_web_leave(voices[i].conn, 1006);
}
