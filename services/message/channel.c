// channel: see channel.h.
#include "channel.h"
#include "errors.h"
#include "text.h"

int channel_access(const struct channel *c, uint64_t user)
{
    if (!c)
        return API_UNKNOWN_CHANNEL;
    if (c->guild)
        return API_WRONG_CHANNEL_TYPE;
    return ids_have(c->recipients, user) ? API_OK : API_UNKNOWN_CHANNEL;
}

static int group_name_check(struct bytes name, struct fault *fault)
{
    if (!name.p || (name.n && text_code_points(name) <= GROUP_NAME_MAX))
        return API_OK;
    *fault = (struct fault){"name", -1, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length."};
    return API_INVALID_FORM;
}

struct ids opening_names(struct arena *a, const struct channel_open *open)
{
    struct ids names = ids_with(a, (struct ids){0}, open->user);
    for (uint32_t i = 0; i < open->recipients.n; i++)
        names = ids_with(a, names, open->recipients.v[i]);
    return names;
}

static int group_check(const struct opening *o, struct user_set users)
{
    const struct user *by = user_set_find(users, o->by);
    if (by->bot)
        return API_BOTS_CANNOT;
    for (uint32_t i = 0; i < o->recipients.n; i++)
        if (user_set_find(users, o->recipients.v[i])->bot)
            return API_INVALID_RECIPIENTS;
    return o->recipients.n > GROUP_RECIPIENTS_MAX ? API_TOO_MANY_RECIPIENTS : API_OK;
}

int opening_plan(struct arena *a, const struct channel_open *open, struct user_set users, struct opening *out,
                 struct fault *fault)
{
    struct opening o = {.by = open->user, .recipients = opening_names(a, open), .name = open->name};
    o.group = open->group || o.recipients.n > 2;
    for (uint32_t i = 0; i < o.recipients.n; i++)
        if (!user_set_find(users, o.recipients.v[i]))
            return API_INVALID_RECIPIENTS;
    int err = API_OK;
    if (o.group)
        err = group_check(&o, users);
    else if (o.recipients.n != 2)
        err = API_INVALID_RECIPIENTS; // nobody, or oneself
    if (!err && o.group)
        err = group_name_check(o.name, fault);
    if (!err)
        *out = o;
    return err;
}

int opening_room(const struct opening *o, const uint64_t *listed, uint64_t max)
{
    for (uint32_t i = 0; o->group && i < o->recipients.n; i++)
        if (listed[i] >= max)
            return API_TOO_MANY_GROUPS;
    return API_OK;
}

uint64_t opening_lower(const struct opening *o)
{
    return o->recipients.v[0] < o->recipients.v[1] ? o->recipients.v[0] : o->recipients.v[1];
}

uint64_t opening_upper(const struct opening *o)
{
    return o->recipients.v[0] < o->recipients.v[1] ? o->recipients.v[1] : o->recipients.v[0];
}

// Whoever is no recipient any more is left alone.
bool opening_lacks(const struct opening *o, const struct opening_view *view, uint32_t at)
{
    return !view->listed[at] && ids_have(view->c->recipients, o->recipients.v[at]);
}

enum opening_next opening_step(const struct opening *o, const struct opening_view *view)
{
    if (!view->id)
        return OPENING_CLAIM;
    if (!view->c)
        return OPENING_CREATE;
    for (uint32_t i = 0; i < o->recipients.n; i++)
        if (opening_lacks(o, view, i))
            return OPENING_LIST;
    return OPENING_DONE;
}

struct channel opening_channel(const struct opening *o, uint64_t id)
{
    return (struct channel){
        .id = id,
        .type = o->group ? CHANNEL_GROUP : CHANNEL_DM,
        .owner = o->group ? o->by : 0,
        .name = o->group ? o->name : BYTES_NONE,
        .recipients = o->recipients,
    };
}

struct event channel_created_event(struct arena *a, const struct channel *c, uint64_t version, uint64_t last_message,
                                   struct user_set users, uint64_t viewer)
{
    return (struct event){
        .name = BYTES("CHANNEL_CREATE"),
        .to = 1,
        .user = viewer,
        .place_op = 1,
        .place = c->id,
        .place_version = version,
        .body = present_channel(a, c, last_message, users, viewer),
    };
}

int channel_edit_step(const struct channel *c, const struct channel_edit *edit, struct channel *out,
                      struct fault *fault)
{
    if (c->type != CHANNEL_GROUP)
        return API_IS_DM;
    struct channel edited = *c;
    if (edit->set & 1)
        edited.name = edit->name;
    if (edit->set & 2)
        edited.icon = edit->icon;
    int err = group_name_check(edited.name, fault);
    if (!err)
        *out = edited;
    return err;
}

void channel_updated_events(struct arena *a, const struct channel *c, uint64_t last_message, struct user_set users,
                            struct event *out)
{
    for (uint32_t i = 0; i < c->recipients.n; i++)
        out[i] = (struct event){
            .name = BYTES("CHANNEL_UPDATE"),
            .to = 1,
            .user = c->recipients.v[i],
            .body = present_channel(a, c, last_message, users, c->recipients.v[i]),
        };
}
