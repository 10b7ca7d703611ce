// message: the rules of messages and read states; see message.h. Pure.
#include "message.h"
#include "errors.h"
#include "text.h"

#include <inttypes.h>
#include <string.h>

enum { REL_BLOCKED = 2 };
// What a client may set on its own message: SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS
// (https://docs.discord.com/developers/resources/message, "Message Flags").
#define MESSAGE_FLAGS_SETTABLE ((1u << 2) | (1u << 12))
#define MENTIONS_MAX 32u // of message_rec

struct bytes message_field(struct arena *a, uint64_t id)
{
    return arena_printf(a, "%" PRIu64, id);
}

struct bytes message_index(struct arena *a, uint64_t id)
{
    return arena_printf(a, "%020" PRIu64, id);
}

uint32_t message_added(struct arena *a, const struct message_rec *m, struct change *out)
{
    struct bytes field = message_field(a, m->id);
    out[0] = (struct change){CHANGE_HSET, "m", field, schema_packed(a, &schema_message_rec, m)};
    out[1] = (struct change){CHANGE_ZADD, "mi", message_index(a, m->id), BYTES_NONE};
    out[2] = (struct change){CHANGE_HSET, "s", BYTES("last"), field};
    return 3;
}

uint32_t message_changed(struct arena *a, const struct message_rec *m, struct change *out)
{
    out[0] = (struct change){CHANGE_HSET, "m", message_field(a, m->id), schema_packed(a, &schema_message_rec, m)};
    return 1;
}

uint32_t message_removed(struct arena *a, uint64_t id, struct change *out)
{
    out[0] = (struct change){CHANGE_HDEL, "m", message_field(a, id), BYTES_NONE};
    out[1] = (struct change){CHANGE_ZREM, "mi", message_index(a, id), BYTES_NONE};
    return 2;
}

struct event message_created_event(struct arena *a, const struct message_rec *m, uint64_t channel,
                                   struct user_set users)
{
    return (struct event){.name = BYTES("MESSAGE_CREATE"), .body = present_message(a, m, channel, users)};
}

struct event message_updated_event(struct arena *a, const struct message_rec *m, uint64_t channel,
                                   struct user_set users)
{
    return (struct event){.name = BYTES("MESSAGE_UPDATE"), .body = present_message(a, m, channel, users)};
}

struct event message_deleted_event(struct arena *a, uint64_t id, uint64_t channel)
{
    const struct j_message_delete j = {.id = id, .channel_id = channel};
    return (struct event){.name = BYTES("MESSAGE_DELETE"), .body = schema_text(a, &schema_j_message_delete, &j)};
}

struct event message_typing_event(struct arena *a, uint64_t user, uint64_t channel, uint64_t now)
{
    const struct j_typing j = {.channel_id = channel, .user_id = user, .timestamp = now / 1000};
    return (struct event){
        .name = BYTES("TYPING_START"), .to = 3, .user = user, .body = schema_text(a, &schema_j_typing, &j)};
}

struct event message_ack_event(struct arena *a, uint64_t user, const struct read_state *rs)
{
    const struct j_message_ack j = {.version = rs->version, .message_id = rs->last_message_id, .channel_id = rs->id};
    return (struct event){
        .name = BYTES("MESSAGE_ACK"), .to = 1, .user = user, .body = schema_text(a, &schema_j_message_ack, &j)};
}

struct bytes message_entry(struct arena *a, ref r, uint64_t version, uint64_t now, const struct event *v, uint32_t n)
{
    struct place_event e = {.ref = r, .version = version, .at = now};
    e.events.n = n;
    e.events.v = v;
    return schema_packed(a, &schema_place_event, &e);
}

struct message_rec message_call(struct arena *a, uint64_t id, uint64_t author, struct ids recipients,
                                struct ids participants, uint64_t ended_at)
{
    return (struct message_rec){
        .id = id,
        .type = MESSAGE_CALL,
        .author = author,
        .mentions = ids_without(a, recipients, author),
        .participants = participants,
        .ended_at = ended_at,
    };
}

static bool blank(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!strchr(" \t\r\n\v\f", text.p[i]) || text.p[i] == '\0')
            return false;
    return true;
}

int message_content_check(struct bytes content)
{
    if (blank(content))
        return API_EMPTY_MESSAGE;
    return text_code_points(content) > MESSAGE_CHARACTERS_MAX ? API_INVALID_FORM : API_OK;
}

const struct fault message_too_long = {
    .field = "content", .index = -1, .code = "BASE_TYPE_MAX_LENGTH", .text = "Must be 2000 or fewer in length."};

// The id of a mention that begins at text.p, or 0.
static uint64_t mention_at(struct bytes text)
{
    size_t from = 2, to;
    uint64_t id = 0;
    if (text.n < 4 || text.p[0] != '<' || text.p[1] != '@')
        return 0;
    if (text.p[from] == '!')
        from++;
    for (to = from; to < text.n && text.p[to] >= '0' && text.p[to] <= '9'; to++)
        ;
    if (to == text.n || text.p[to] != '>' || bytes_u64((struct bytes){text.p + from, to - from}, &id))
        return 0;
    return id;
}

static struct ids mentions_in(struct arena *a, struct bytes content, struct ids recipients)
{
    struct ids found = {0};
    for (size_t i = 0; i < content.n && found.n < MENTIONS_MAX; i++) {
        uint64_t id = mention_at((struct bytes){content.p + i, content.n - i});
        if (id && ids_have(recipients, id))
            found = ids_with(a, found, id);
    }
    return found;
}

struct message_rec message_new(struct arena *a, uint64_t id, const struct message_send *send, struct ids recipients)
{
    return (struct message_rec){
        .id = id,
        .type = MESSAGE_DEFAULT,
        .author = send->user,
        .content = send->content,
        .mentions = mentions_in(a, send->content, recipients),
        .nonce = send->nonce,
        .flags = send->flags & MESSAGE_FLAGS_SETTABLE,
    };
}

static int may_change(const struct message_rec *m, uint64_t user, int not_mine)
{
    if (!m)
        return API_UNKNOWN_MESSAGE;
    if (m->type != MESSAGE_DEFAULT)
        return API_SYSTEM_MESSAGE;
    return m->author == user ? API_OK : not_mine;
}

int message_may_edit(const struct message_rec *m, uint64_t user)
{
    return may_change(m, user, API_OTHERS_MESSAGE);
}

int message_may_delete(const struct message_rec *m, uint64_t user)
{
    return may_change(m, user, API_IS_DM);
}

struct message_rec message_edited(struct arena *a, const struct message_rec *m, struct bytes content,
                                  struct ids recipients, uint64_t now)
{
    struct message_rec edited = *m;
    edited.content = content;
    edited.edited_at = now;
    edited.mentions = mentions_in(a, content, recipients);
    return edited;
}

int message_may_send(const struct channel *c, uint64_t mine, uint64_t theirs)
{
    return c->type == CHANNEL_DM && (mine == REL_BLOCKED || theirs == REL_BLOCKED) ? API_CANNOT_SEND : API_OK;
}

bool message_ack_step(const struct read_state *old, const struct message_ack *ack, uint64_t version,
                      struct read_state *out)
{
    uint64_t mentions = ack->manual ? ack->mention_count : 0;
    if (old->id && !ack->manual && ack->message <= old->last_message_id)
        return false;
    if (old->id && ack->message == old->last_message_id && mentions == old->mention_count)
        return false;
    *out = (struct read_state){
        .id = ack->channel, .version = version + 1, .last_message_id = ack->message, .mention_count = mentions};
    return true;
}
