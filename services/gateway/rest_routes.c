// rest_routes: one handler per route: accounts, private channels, messages, calls. Guilds: rest_guilds.c.
#include "rest_private.h"

// --- log-in ---

static void url_json(struct step *s, struct buf *out)
{
    buf_str(out, "{\"url\":");
    json_text(out, s->r->url);
}

void handle_gateway(struct step *s)
{
    struct buf out = {0};
    url_json(s, &out);
    buf_char(&out, '}');
    rest_reply_buf(s, &out);
}

#define CONCURRENCY_MAX 1000u // where there is no limit

// One shard is always enough here, and starts are not counted but within 5 s.
void handle_gateway_bot(struct step *s)
{
    struct buf out = {0};
    url_json(s, &out);
    buf_str(&out, ",\"shards\":1,\"session_start_limit\":{\"total\":1000,\"remaining\":999,\"reset_after\":14400000,"
                  "\"max_concurrency\":");
    buf_u64(&out, s->r->identify_rate ? s->r->identify_rate : CONCURRENCY_MAX);
    buf_str(&out, "}}");
    rest_reply_buf(s, &out);
}

void handle_application(struct step *s)
{
    const struct user *me = rest_user(s, s->r->user);
    if (!me)
        return;
    struct buf out = {0};
    view_application(&out, me);
    rest_reply_buf(s, &out);
}

// --- users ---

void handle_me(struct step *s)
{
    const struct user *me = rest_me(s);
    if (!me)
        return;
    struct bytes analytics = BYTES_NONE;
    if (form_query_flag(s->a, s->r->query, "with_analytics_token"))
        analytics = arena_printf(s->a, "%llu", (unsigned long long)me->id); // clients only send it back
    struct buf out = {0};
    view_me(&out, me, analytics);
    rest_reply_buf(s, &out);
}

void handle_user(struct step *s)
{
    const struct user *u = rest_user(s, s->route.id[0]);
    if (!u)
        return;
    struct buf out = {0};
    present_user_json(&out, u);
    rest_reply_buf(s, &out);
}

void handle_settings(struct step *s)
{
    rest_reply(s, BYTES("{\"settings\":\"\"}"));
}

void handle_relationships(struct step *s)
{
    const struct world *w = rest_world(s, 0);
    if (!w)
        return;
    struct buf out = {0};
    buf_char(&out, '[');
    for (uint32_t i = 0; i < w->n_relations; i++) {
        const struct j_user user = view_user(w->users, w->relations[i].target);
        const struct j_relationship j = {.id = user.id, .type = w->relations[i].type, .user = &user};
        buf_str(&out, i ? "," : "");
        JSON(&out, j_relationship, &j);
    }
    buf_char(&out, ']');
    rest_reply_buf(s, &out);
}

static void relate(struct step *s, uint64_t type)
{
    const struct relationship_put put = {.user = s->r->user, .target = s->route.id[0], .type = type};
    COMMAND(s, BUS_MESSAGE, s->r->user, relationship_put, &put);
}

void handle_relationship_put(struct step *s)
{
    static const struct fault no_such = {"type", -1, "BASE_TYPE_CHOICES", "Value must be one of (1, 2)."};
    struct r_relationship body;
    if (!rest_form(s, &schema_r_relationship, &body, NULL))
        return;
    if (body.type > 2)
        rest_refuse_form(s, &no_such);
    else
        relate(s, body.type ? body.type : 1);
}

void handle_relationship_remove(struct step *s)
{
    relate(s, 0);
}

// --- private channels ---

static struct bytes channel_text(struct step *s, const struct loaded_channel *c, struct user_set users)
{
    return present_channel(s->a, &c->channel, c->last_message, users, s->r->user);
}

void handle_my_channels(struct step *s)
{
    const struct world *w = rest_world(s, LOAD_PRIVATE);
    if (!w)
        return;
    struct buf out = {0};
    buf_char(&out, '[');
    for (uint32_t i = 0; i < w->n_channels; i++) {
        const struct loaded_channel *c = &w->channels[i];
        buf_str(&out, i ? "," : "");
        present_channel_json(s->a, &out, &c->channel, c->last_message, w->users, s->r->user);
    }
    buf_char(&out, ']');
    rest_reply_buf(s, &out);
}

void handle_my_dm(struct step *s)
{
    const struct world *w = rest_world(s, LOAD_PRIVATE);
    for (uint32_t i = 0; w && i < w->n_channels; i++) {
        const struct channel *c = &w->channels[i].channel;
        if (c->type == CHANNEL_DM && s->route.id[0] != s->r->user && ids_have(c->recipients, s->route.id[0])) {
            rest_reply(s, channel_text(s, &w->channels[i], w->users));
            return;
        }
    }
    if (w)
        rest_refused(s, API_UNKNOWN_CHANNEL, NULL);
}

// `recipients` with one user is a 1:1 channel, with any other number of them a group.
void handle_channel_open(struct step *s)
{
    struct r_open_channel body;
    if (!rest_form(s, &schema_r_open_channel, &body, NULL))
        return;
    struct channel_open open = {.user = s->r->user, .recipients = body.recipients};
    for (uint32_t i = 1; i < body.recipients.n; i++)
        open.group |= body.recipients.v[i] != body.recipients.v[0];
    if (body.recipients.n == 0 && body.recipient_id) {
        uint64_t *one = arena_take(s->a, sizeof *one);
        one[0] = body.recipient_id;
        open.recipients = (struct ids){1, one};
    } else if (body.recipients.n == 0) {
        open.group = body.recipients.v != NULL; // an empty list, not null
    }
    COMMAND(s, BUS_MESSAGE, s->r->user, channel_open, &open);
}

static void guild_channel(struct step *s, const struct channel *c)
{
    struct buf out = {0};
    present_guild_channel_json(s->a, &out, view_find_channel(&s->r->world->guilds[0], c->id), c->guild);
    rest_reply_buf(s, &out);
}

void handle_channel(struct step *s)
{
    const struct channel *of_guild = NULL;
    bool guild = rest_is_of_guild(s, &of_guild);
    if (of_guild)
        guild_channel(s, of_guild);
    const struct loaded_channel *c = guild ? NULL : rest_loaded_channel(s, s->route.id[0]);
    if (!c)
        return;
    if (ids_have(c->channel.recipients, s->r->user))
        rest_reply(s, channel_text(s, c, s->r->users));
    else
        rest_refused(s, API_UNKNOWN_CHANNEL, NULL);
}

void handle_channel_edit(struct step *s)
{
    struct r_channel_edit body;
    uint64_t present;
    const struct channel *of_guild = NULL;
    bool guild = rest_is_of_guild(s, &of_guild);
    if (of_guild)
        rest_guild_channel_edit(s, of_guild);
    if (guild || !rest_loaded_channel(s, s->route.id[0]) || !rest_form(s, &schema_r_channel_edit, &body, &present))
        return;
    struct channel_edit edit = {.user = s->r->user, .channel = s->route.id[0], .name = body.name, .icon = body.icon};
    edit.set |= present & FIELD_BIT(r_channel_edit, name) ? 1 : 0;
    edit.set |= present & FIELD_BIT(r_channel_edit, icon) ? 2 : 0;
    COMMAND(s, BUS_MESSAGE, edit.channel, channel_edit, &edit);
}

static void remove_recipient(struct step *s, uint64_t target)
{
    const struct recipient_remove gone = {.user = s->r->user, .channel = s->route.id[0], .target = target};
    COMMAND(s, BUS_CALL_MANAGER, gone.channel, recipient_remove, &gone);
}

void handle_channel_leave(struct step *s)
{
    const struct channel *of_guild = NULL;
    bool guild = rest_is_of_guild(s, &of_guild);
    if (of_guild)
        rest_guild_channel_delete(s, of_guild);
    const struct loaded_channel *c = guild ? NULL : rest_private_channel(s);
    if (!c || rest_refused(s, c->channel.type == CHANNEL_GROUP ? API_OK : API_IS_DM, NULL))
        return;
    s->out->body = channel_text(s, c, s->r->users); // as it was when he left
    remove_recipient(s, s->r->user);
}

void handle_recipient_add(struct step *s)
{
    const struct recipient_add add = {.user = s->r->user, .channel = s->route.id[0], .target = s->route.id[1]};
    COMMAND(s, BUS_CALL_MANAGER, add.channel, recipient_add, &add);
}

void handle_recipient_remove(struct step *s)
{
    remove_recipient(s, s->route.id[1]);
}

// --- messages ---

// 0 means "none" to the message service; no message has id 0 or 1.
static uint64_t at_least_1(uint64_t id)
{
    return id ? id : 1;
}

void handle_message_list(struct step *s)
{
    struct message_list list = {.user = s->r->user, .channel = s->route.id[0], .limit = 50};
    struct fault fault = {0};
    uint64_t around, before, after;
    bool has_around, has_before, has_after;
    struct bytes query = s->r->query;
    int err = form_query_number(s->a, query, "limit", 1, 100, &list.limit, &fault);
    err = err ? err : form_query_id(s->a, query, "around", &around, &has_around, &fault);
    err = err ? err : form_query_id(s->a, query, "before", &before, &has_before, &fault);
    err = err ? err : form_query_id(s->a, query, "after", &after, &has_after, &fault);
    if (rest_refused(s, err, &fault))
        return;
    if (has_around) // one of them counts
        list.around = at_least_1(around);
    else if (has_before)
        list.before = at_least_1(before);
    else if (has_after)
        list.after = at_least_1(after);
    COMMAND(s, BUS_MESSAGE, list.channel, message_list, &list);
}

void handle_message_send(struct step *s)
{
    struct r_message body;
    if (!rest_form(s, &schema_r_message, &body, NULL))
        return;
    const struct message_send send = {.user = s->r->user,
                                      .channel = s->route.id[0],
                                      .content = body.content,
                                      .nonce = body.nonce,
                                      .tts = body.tts,
                                      .flags = body.flags};
    COMMAND(s, BUS_MESSAGE, send.channel, message_send, &send);
}

void handle_message_get(struct step *s)
{
    const struct message_get get = {.user = s->r->user, .channel = s->route.id[0], .message = s->route.id[1]};
    COMMAND(s, BUS_MESSAGE, get.channel, message_get, &get);
}

void handle_message_edit(struct step *s)
{
    struct r_message body;
    if (!rest_form(s, &schema_r_message, &body, NULL))
        return;
    const struct message_edit edit = {
        .user = s->r->user, .channel = s->route.id[0], .message = s->route.id[1], .content = body.content};
    COMMAND(s, BUS_MESSAGE, edit.channel, message_edit, &edit);
}

void handle_message_delete(struct step *s)
{
    const struct message_delete gone = {.user = s->r->user, .channel = s->route.id[0], .message = s->route.id[1]};
    COMMAND(s, BUS_MESSAGE, gone.channel, message_delete, &gone);
}

void handle_typing(struct step *s)
{
    const struct typing typing = {.user = s->r->user, .channel = s->route.id[0]};
    COMMAND(s, BUS_MESSAGE, typing.channel, typing, &typing);
}

// --- read states ---

void handle_message_ack(struct step *s)
{
    struct r_ack body;
    if (!rest_form(s, &schema_r_ack, &body, NULL))
        return;
    const struct message_ack ack = {.user = s->r->user,
                                    .channel = s->route.id[0],
                                    .message = s->route.id[1],
                                    .manual = body.manual,
                                    .mention_count = body.mention_count};
    COMMAND(s, BUS_MESSAGE, s->r->user, message_ack, &ack);
}

// Only channels have read states here (type 0); what a client says of others is passed over.
void handle_ack_bulk(struct step *s)
{
    struct r_ack_bulk body;
    if (!rest_form(s, &schema_r_ack_bulk, &body, NULL))
        return;
    struct message_ack *acks = arena_take(s->a, (body.read_states.n + 1) * sizeof *acks);
    uint32_t n = 0;
    for (uint32_t i = 0; i < body.read_states.n; i++) {
        const struct r_ack_item *item = &body.read_states.v[i];
        if (item->read_state_type == 0)
            acks[n++] =
                (struct message_ack){.user = s->r->user, .channel = item->channel_id, .message = item->message_id};
    }
    _Static_assert(REST_COMMANDS_MAX >= 100, "of the row's list");
    if (n == 0) {
        rest_reply(s, BYTES_NONE);
        return;
    }
    rest_command(s, BUS_MESSAGE, s->r->user, &schema_message_ack, acks, n);
    s->out->each_for_itself = true;
}

// --- calls ---

void handle_call(struct step *s)
{
    if (rest_private_channel(s))
        rest_reply(s, BYTES("{\"ringable\":true}"));
}

void handle_call_region(struct step *s)
{
    struct r_call_region body;
    if (!rest_private_channel(s) || !rest_form(s, &schema_r_call_region, &body, NULL))
        return;
    if (!body.region.p) { // null or absent: nothing to change
        rest_reply(s, BYTES_NONE);
        return;
    }
    const struct call_region region = {.user = s->r->user, .channel = s->route.id[0], .region = body.region};
    COMMAND(s, BUS_CALL_MANAGER, region.channel, call_region, &region);
}

void handle_call_ring(struct step *s)
{
    struct r_call_recipients body;
    if (!rest_private_channel(s) || !rest_form(s, &schema_r_call_recipients, &body, NULL))
        return;
    bool all = body.recipients.v == NULL; // null or absent
    if (!all && body.recipients.n == 0) {
        rest_reply(s, BYTES_NONE);
        return;
    }
    const struct call_ring ring = {
        .user = s->r->user, .channel = s->route.id[0], .all = all, .recipients = body.recipients};
    COMMAND(s, BUS_CALL_MANAGER, ring.channel, call_ring, &ring);
}

void handle_call_stop_ringing(struct step *s)
{
    struct r_call_recipients body;
    if (!rest_private_channel(s) || !rest_form(s, &schema_r_call_recipients, &body, NULL))
        return;
    const struct call_stop_ringing stop = {
        .user = s->r->user, .channel = s->route.id[0], .recipients = body.recipients};
    COMMAND(s, BUS_CALL_MANAGER, stop.channel, call_stop_ringing, &stop);
}

void handle_regions(struct step *s)
{
    const struct regions_list list = {.user = s->r->user};
    COMMAND(s, BUS_REGION_ALLOCATOR, s->r->user, regions_list, &list);
}

// --- what browsers tell about their users: not wanted ---

void handle_science(struct step *s)
{
    rest_reply(s, BYTES_NONE);
}

void handle_metrics(struct step *s)
{
    rest_reply(s, BYTES_NONE);
}

void handle_track(struct step *s)
{
    rest_reply(s, BYTES_NONE);
}
