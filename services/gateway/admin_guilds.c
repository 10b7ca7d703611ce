// admin_guilds: what the admin API does in guilds. Each request first asks for the guild, and for the user if it names
// one; then it sends the very commands that REST sends, in nobody's name (user 0): the operator may do anything. What
// is in a guild is named by its id or its name. Changes reach clients as their events, and take effect on running
// voice.
#include "admin_private.h"
#include "permissions.h"
#include "present.h"
#include "sets.h"
#include "text.h"

#include <string.h>

#define GUILD_NAME_MAX 400u // bytes of guild_find

// --- what stands ---

// And the user of that name or id; BYTES_NONE: nobody.
static void find_guild(struct step *s, struct bytes user)
{
    bool and_user = user.p != NULL;
    struct guild_find *find = arena_take(s->a, sizeof *find);
    struct msg *both = arena_take(s->a, 2 * sizeof *both);
    find->name = s->route.param[0];
    bool guild_findable = find->name.n <= GUILD_NAME_MAX && text_is_utf8(find->name);
    if (!guild_findable || (and_user && !admin_findable(user))) {
        admin_refuse(s->a, guild_findable ? API_UNKNOWN_USER : API_UNKNOWN_GUILD, s->out);
        return;
    }
    both[0] = (struct msg){&schema_guild_find, find};
    if (and_user)
        both[1] = admin_find(s, user);
    *s->out = (struct admin_out){.to = BUS_MESSAGE, .n = and_user ? 2 : 1, .commands = both};
    s->r->stage++;
}

// The guild of the first answer, a new reference. NULL: it has been refused.
static json_t *found_guild(struct step *s, uint32_t n)
{
    if (!admin_went_well(s, n))
        return NULL;
    json_t *guild = admin_answer(s, 0);
    s->r->guild = admin_u64(json_object_get(guild, "id"));
    for (uint32_t i = 0; i < n; i++) {
        if (admin_answered_id(s, i) == 0) {
            admin_refuse_nonsense(s);
            json_decref(guild);
            return NULL;
        }
    }
    return guild;
}

static bool called(const json_t *j, const char *key, struct bytes name)
{
    const json_t *text = json_object_get(j, key);
    return json_is_string(text) && bytes_eq((struct bytes){json_string_value(text), json_string_length(text)}, name);
}

// The id of a role or channel: of that id, or the only one of that name. 0: it has been refused.
static uint64_t part_named(struct step *s, const json_t *guild, const char *list, struct bytes name, int unknown)
{
    const json_t *all = json_object_get(guild, list);
    uint64_t id = 0, wanted;
    uint32_t n = 0;
    bool is_id = bytes_u64(name, &wanted) == OK && wanted;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        uint64_t its = admin_u64(json_object_get(one, "id"));
        if (is_id && its == wanted)
            return its;
        if (!called(one, "name", name))
            continue;
        id = its;
        n++;
    }
    if (n > 1)
        admin_refuse_form(s, &(struct fault){list, -1, "NAME_AMBIGUOUS", "Several have this name: say its id."});
    else if (!id)
        admin_refuse(s->a, unknown, s->out);
    return n > 1 ? 0 : id;
}

static uint64_t role_named(struct step *s, const json_t *guild, struct bytes name)
{
    return part_named(s, guild, "roles", name, API_UNKNOWN_ROLE);
}

static uint64_t channel_named(struct step *s, const json_t *guild, struct bytes name)
{
    return part_named(s, guild, "channels", name, API_UNKNOWN_CHANNEL);
}

static bool permissions_of(struct step *s, const char *field, struct texts names, uint64_t *out)
{
    *out = 0;
    for (uint32_t i = 0; i < names.n; i++) {
        uint64_t bit;
        if (permission_bit(names.v[i], &bit) != OK) {
            admin_refuse_form(
                s, &(struct fault){field, (int32_t)i, "BASE_TYPE_CHOICES", "There is no permission of that name."});
            return false;
        }
        *out |= bit;
    }
    return true;
}

// --- forms and commands ---

// Reads the body at the first stage, for the later ones.
static bool form_once(struct step *s, const struct schema *schema)
{
    if (s->r->stage)
        return true;
    s->r->form = arena_take(s->a, schema->size);
    return admin_form(s, schema, s->r->form, &s->r->present);
}

static const void *keep(struct step *s, const void *row, size_t size)
{
    void *copy = arena_take(s->a, size);
    memcpy(copy, row, size);
    return copy;
}
#define KEEP(s, type, v) ((const struct type *)keep((s), (const struct type *){(v)}, sizeof(struct type)))
#define MANAGE(s, type, m) ADMIN_COMMAND(s, BUS_CALL_MANAGER, (s)->r->guild, type, m)

// What the call manager answered: it changed, or there was nothing to change.
static void pass_on(struct step *s)
{
    const struct answer *v = s->answers[0];
    if (v && v->err == ERR_STATE)
        admin_reply(s, v->body.n ? 200 : 204, v->body);
    else if (admin_went_well(s, 1))
        admin_reply(s, v->body.n ? 200 : 204, v->body);
}

// --- guilds ---

void admin_guild_list(struct step *s)
{
    const struct directory_list list = {.guilds_only = true};
    if (s->r->stage == 0)
        ADMIN_COMMAND(s, BUS_MESSAGE, 0, directory_list, &list);
    else if (admin_went_well(s, 1))
        admin_reply(s, 200, s->answers[0]->body);
}

void admin_load_guild(struct step *s, struct bytes guild)
{
    const struct world_load load = {.document = arena_printf(s->a, "{\"guilds\":[%.*s]}", BYTES_FMT(guild))};
    ADMIN_COMMAND(s, BUS_MESSAGE, 0, world_load, &load);
    s->out->slow = true;
}

// The body is a guild of a world document.
void admin_guild_add(struct step *s)
{
    if (s->r->stage == 0 && s->r->body.n > ADMIN_GUILD_MAX) {
        admin_refuse_form(s, &(struct fault){NULL, -1, "BASE_TYPE_MAX_LENGTH", "The document is too large."});
    } else if (s->r->stage == 0) {
        admin_load_guild(s, s->r->body);
    } else if (admin_went_well(s, 1)) {
        json_t *world = admin_answer(s, 0), *guild = json_array_get(json_object_get(world, "guilds"), 0);
        if (guild)
            admin_reply_json(s, 200, guild);
        else
            admin_refuse_nonsense(s);
        json_decref(world);
    }
}

static void show_guild(struct step *s, const json_t *guild)
{
    (void)guild;
    admin_reply(s, 200, s->answers[0]->body);
}

static struct bytes new_owner(const struct step *s)
{
    return ((const struct a_guild *)s->r->form)->owner;
}

static void edit_guild(struct step *s, const json_t *guild)
{
    const struct a_guild *f = s->r->form;
    uint64_t present = s->r->present;
    struct guild to = {.id = s->r->guild,
                       .name = f->name,
                       .afk_timeout = f->afk_timeout,
                       .description = f->description,
                       .video_max = f->max_video_channel_users,
                       .stage_video_max = f->max_stage_video_channel_users};
    if (f->owner.p)
        to.owner = admin_answered_id(s, 1);
    if (f->afk_channel.p && (to.afk_channel = channel_named(s, guild, f->afk_channel)) == 0)
        return;
    const struct guild_edit edit = {
        .guild = to.id,
        .set = SETS(present, a_guild, name, SET_GUILD_NAME) | (to.owner ? SET_GUILD_OWNER : 0) |
               SETS(present, a_guild, afk_channel, SET_GUILD_AFK_CHANNEL) |
               SETS(present, a_guild, afk_timeout, SET_GUILD_AFK_TIMEOUT) |
               SETS(present, a_guild, description, SET_GUILD_DESCRIPTION) |
               SETS(present, a_guild, max_video_channel_users, SET_GUILD_VIDEO_MAX) |
               SETS(present, a_guild, max_stage_video_channel_users, SET_GUILD_STAGE_VIDEO_MAX),
        .to = KEEP(s, guild, &to),
    };
    MANAGE(s, guild_edit, &edit);
}

// Once it is deleted its name is free for another one, whether that was heard or not: the message service takes a name
// from a guild that is not there.
static void remove_guild(struct step *s, const json_t *guild)
{
    const json_t *name = json_object_get(guild, "name");
    struct guild_forget *forget = arena_take(s->a, sizeof *forget);
    *forget = (struct guild_forget){
        .guild = s->r->guild,
        .owner = admin_u64(json_object_get(guild, "owner_id")),
        .name = arena_copy(s->a, (struct bytes){json_string_value(name), json_string_length(name)})};
    s->r->form = forget;
    MANAGE(s, guild_delete, &(const struct guild_delete){.guild = forget->guild});
}

static void forget_guild(struct step *s)
{
    if (s->r->stage == 2 && admin_went_well(s, 1))
        ADMIN_COMMAND(s, BUS_MESSAGE, 0, guild_forget, s->r->form);
    else if (s->r->stage == 3)
        admin_reply(s, 204, BYTES_NONE);
}

// --- members ---

static struct bytes member(const struct step *s)
{
    return s->route.param[1];
}

static void list_members(struct step *s, const json_t *guild)
{
    struct guild_members page = {.guild = s->r->guild, .limit = 1000};
    struct fault fault = {0};
    bool has_after;
    (void)guild;
    if (form_query_id(s->a, s->r->query, "after", &page.after, &has_after, &fault) ||
        form_query_number(s->a, s->r->query, "limit", 1, 1000, &page.limit, &fault))
        admin_refuse_form(s, &fault);
    else
        ADMIN_COMMAND(s, BUS_MESSAGE, 0, guild_members, &page);
}

static void show_members(struct step *s)
{
    if (admin_went_well(s, 1))
        admin_reply(s, 200, s->answers[0]->body);
}

// What the body says about a member. False: it has been refused.
static bool read_member(struct step *s, const json_t *guild, uint64_t user, struct member_edit *out)
{
    const struct a_member *f = s->r->form;
    uint64_t present = s->r->present, *roles = arena_take(s->a, ((size_t)f->roles.n + 1) * sizeof *roles);
    for (uint32_t i = 0; i < f->roles.n; i++)
        if ((roles[i] = role_named(s, guild, f->roles.v[i])) == 0)
            return false;
    const struct member to = {.user = user,
                              .roles = {f->roles.n, roles},
                              .nick = f->nick.n ? f->nick : BYTES_NONE,
                              .mute = f->mute,
                              .deaf = f->deaf,
                              .disabled_until = f->timeout ? s->r->now + f->timeout * 1000 : 0};
    *out = (struct member_edit){
        .guild = s->r->guild,
        .target = user,
        .set = SETS(present, a_member, mute, SET_MEMBER_MUTE) | SETS(present, a_member, deaf, SET_MEMBER_DEAF) |
               SETS(present, a_member, channel, SET_MEMBER_CHANNEL) | SETS(present, a_member, nick, SET_MEMBER_NICK) |
               SETS(present, a_member, roles, SET_MEMBER_ROLES) | SETS(present, a_member, timeout, SET_MEMBER_DISABLED),
        .to = KEEP(s, member, &to)};
    return !f->channel.p || (out->channel = channel_named(s, guild, f->channel)) != 0;
}

static void edit_member(struct step *s, const json_t *guild)
{
    struct member_edit edit;
    if (read_member(s, guild, admin_answered_id(s, 1), &edit))
        MANAGE(s, member_edit, &edit);
}

// He becomes one by a world document; what else the body says follows.
static void add_member(struct step *s, const json_t *guild)
{
    uint64_t user = admin_answered_id(s, 1);
    if (read_member(s, guild, user, &s->r->member))
        admin_load_guild(s, arena_printf(s->a, "{\"id\":\"%llu\",\"members\":[\"%llu\"]}",
                                         (unsigned long long)s->r->guild, (unsigned long long)user));
}

static void edit_new_member(struct step *s)
{
    if (s->r->stage > 2)
        pass_on(s);
    else if (!admin_went_well(s, 1))
        return;
    else if (s->r->member.set)
        MANAGE(s, member_edit, &s->r->member);
    else
        admin_reply(s, 204, BYTES_NONE);
}

static void remove_member(struct step *s, const json_t *guild)
{
    const struct member_remove gone = {.guild = s->r->guild, .target = admin_answered_id(s, 1)};
    (void)guild;
    MANAGE(s, member_remove, &gone);
}

// --- roles ---

static void put_role(struct step *s, uint64_t role)
{
    const struct a_role *f = s->r->form;
    uint64_t present = s->r->present;
    struct role to = {.id = role,
                      .name = f->name,
                      .color = f->color,
                      .hoist = f->hoist,
                      .mentionable = f->mentionable,
                      .position = f->position};
    if (!permissions_of(s, "permissions", f->permissions, &to.permissions))
        return;
    const struct role_put put = {
        .guild = s->r->guild,
        .set = SETS(present, a_role, name, SET_ROLE_NAME) | SETS(present, a_role, permissions, SET_ROLE_PERMISSIONS) |
               SETS(present, a_role, color, SET_ROLE_COLOR) | SETS(present, a_role, hoist, SET_ROLE_HOIST) |
               SETS(present, a_role, mentionable, SET_ROLE_MENTIONABLE) |
               SETS(present, a_role, position, SET_ROLE_POSITION),
        .to = KEEP(s, role, &to)};
    MANAGE(s, role_put, &put);
}

static bool has_name(struct step *s, struct bytes name)
{
    if (!name.n)
        admin_refuse_form(s, &(struct fault){"name", -1, "BASE_TYPE_REQUIRED", "This field is required"});
    return name.n != 0;
}

static bool role_has_name(struct step *s)
{
    return has_name(s, ((const struct a_role *)s->r->form)->name);
}

static void add_role(struct step *s, const json_t *guild)
{
    (void)guild;
    put_role(s, 0);
}

static void edit_role(struct step *s, const json_t *guild)
{
    uint64_t role = role_named(s, guild, s->route.param[1]);
    if (role)
        put_role(s, role);
}

static void remove_role(struct step *s, const json_t *guild)
{
    const struct role_delete gone = {.guild = s->r->guild, .role = role_named(s, guild, s->route.param[1])};
    if (gone.role)
        MANAGE(s, role_delete, &gone);
}

// --- channels ---

static bool type_named(struct step *s, struct bytes name, uint64_t *out)
{
    static const struct {
        const char *name;
        enum channel_type type;
    } types[] = {
        {"text", CHANNEL_TEXT}, {"voice", CHANNEL_VOICE}, {"category", CHANNEL_CATEGORY}, {"stage", CHANNEL_STAGE}};
    *out = CHANNEL_TEXT;
    for (size_t i = 0; i < countof(types); i++) {
        if (name.p && bytes_is(name, types[i].name)) {
            *out = (uint64_t)types[i].type;
            return true;
        }
    }
    if (name.p)
        admin_refuse_form(s, &(struct fault){"type", -1, "BASE_TYPE_CHOICES",
                                             "Value must be one of (text, voice, category, stage)."});
    return !name.p;
}

static void put_channel(struct step *s, const json_t *guild, uint64_t channel)
{
    const struct a_channel *f = s->r->form;
    uint64_t present = s->r->present;
    struct guild_channel to = {.id = channel,
                               .name = f->name,
                               .position = f->position,
                               .topic = f->topic,
                               .nsfw = f->nsfw,
                               .rate_limit = f->slowmode,
                               .user_limit = f->user_limit,
                               .bitrate = f->bitrate,
                               .rtc_region = f->rtc_region,
                               .video_quality = f->video_quality};
    if (!type_named(s, f->type, &to.type) || (f->parent.p && (to.parent = channel_named(s, guild, f->parent)) == 0))
        return;
    const struct channel_put put = {
        .guild = s->r->guild,
        .set = SETS(present, a_channel, name, SET_CHANNEL_NAME) |
               SETS(present, a_channel, position, SET_CHANNEL_POSITION) |
               SETS(present, a_channel, parent, SET_CHANNEL_PARENT) |
               SETS(present, a_channel, bitrate, SET_CHANNEL_BITRATE) |
               SETS(present, a_channel, user_limit, SET_CHANNEL_USER_LIMIT) |
               SETS(present, a_channel, rtc_region, SET_CHANNEL_REGION) |
               SETS(present, a_channel, topic, SET_CHANNEL_TOPIC) | SETS(present, a_channel, nsfw, SET_CHANNEL_NSFW) |
               SETS(present, a_channel, slowmode, SET_CHANNEL_RATE_LIMIT) |
               SETS(present, a_channel, video_quality, SET_CHANNEL_VIDEO_QUALITY) | (f->type.p ? SET_CHANNEL_TYPE : 0),
        .to = KEEP(s, guild_channel, &to)};
    MANAGE(s, channel_put, &put);
}

static bool channel_has_name(struct step *s)
{
    return has_name(s, ((const struct a_channel *)s->r->form)->name);
}

static void add_channel(struct step *s, const json_t *guild)
{
    put_channel(s, guild, 0);
}

static void edit_channel(struct step *s, const json_t *guild)
{
    uint64_t channel = channel_named(s, guild, s->route.param[1]);
    if (channel)
        put_channel(s, guild, channel);
}

static void remove_channel(struct step *s, const json_t *guild)
{
    const struct channel_delete gone = {.guild = s->r->guild, .channel = channel_named(s, guild, s->route.param[1])};
    if (gone.channel)
        MANAGE(s, channel_delete, &gone);
}

// --- overwrites ---

// The one for `target` alone, as the body says, or gone.
static void put_overwrite(struct step *s, const json_t *guild, uint64_t target, uint64_t type)
{
    const struct a_overwrite *f = s->r->form;
    struct overwrite *o = arena_take(s->a, sizeof *o);
    struct guild_channel to = {.id = channel_named(s, guild, s->route.param[1])};
    *o = (struct overwrite){.id = target, .type = type};
    if (!to.id || !permissions_of(s, "allow", f->allow, &o->allow) || !permissions_of(s, "deny", f->deny, &o->deny))
        return;
    to.overwrites.n = strcmp(s->r->method, "PUT") == 0;
    to.overwrites.v = o;
    const struct channel_put put = {
        .guild = s->r->guild, .set = SET_CHANNEL_OVERWRITES, .to = KEEP(s, guild_channel, &to), .only = target};
    MANAGE(s, channel_put, &put);
}

static struct bytes overwritten(const struct step *s)
{
    return s->route.param[2];
}

static void overwrite_role(struct step *s, const json_t *guild)
{
    uint64_t role = role_named(s, guild, s->route.param[2]);
    if (role)
        put_overwrite(s, guild, role, 0);
}

static void overwrite_member(struct step *s, const json_t *guild)
{
    put_overwrite(s, guild, admin_answered_id(s, 1), 1);
}

// --- what is asked of a guild that is there ---

struct verb {
    const struct schema *form;                        // of the body; NULL: it is not looked at
    bool (*complete)(struct step *s);                 // false: the form lacks something, and that has been answered
    struct bytes (*user)(const struct step *s);       // whom it names beside the guild; BYTES_NONE: nobody
    void (*say)(struct step *s, const json_t *guild); // sends what is asked for, or answers
    void (*then)(struct step *s);                     // what follows on the answer to that; NULL: it is passed on
};

static void carry_out(struct step *s, const struct verb *v)
{
    if (v->form && !form_once(s, v->form))
        return;
    if (v->complete && !v->complete(s))
        return;
    struct bytes user = v->user ? v->user(s) : BYTES_NONE;
    if (s->r->stage == 0) {
        find_guild(s, user);
    } else if (s->r->stage == 1) {
        json_t *guild = found_guild(s, user.p ? 2 : 1);
        if (guild)
            v->say(s, guild);
        json_decref(guild);
    } else {
        (v->then ? v->then : pass_on)(s);
    }
}

#define VERBS(V)                                                                                                       \
    V(admin_guild_show, NULL, NULL, NULL, show_guild, NULL)                                                            \
    V(admin_guild_edit, &schema_a_guild, NULL, new_owner, edit_guild, NULL)                                            \
    V(admin_guild_remove, NULL, NULL, NULL, remove_guild, forget_guild)                                                \
    V(admin_member_list, NULL, NULL, NULL, list_members, show_members)                                                 \
    V(admin_member_add, &schema_a_member, NULL, member, add_member, edit_new_member)                                   \
    V(admin_member_edit, &schema_a_member, NULL, member, edit_member, NULL)                                            \
    V(admin_member_remove, NULL, NULL, member, remove_member, NULL)                                                    \
    V(admin_role_add, &schema_a_role, role_has_name, NULL, add_role, NULL)                                             \
    V(admin_role_edit, &schema_a_role, NULL, NULL, edit_role, NULL)                                                    \
    V(admin_role_remove, NULL, NULL, NULL, remove_role, NULL)                                                          \
    V(admin_channel_add, &schema_a_channel, channel_has_name, NULL, add_channel, NULL)                                 \
    V(admin_channel_edit, &schema_a_channel, NULL, NULL, edit_channel, NULL)                                           \
    V(admin_channel_remove, NULL, NULL, NULL, remove_channel, NULL)                                                    \
    V(admin_role_overwrite, &schema_a_overwrite, NULL, NULL, overwrite_role, NULL)                                     \
    V(admin_member_overwrite, &schema_a_overwrite, NULL, overwritten, overwrite_member, NULL)
#define VERB(name, form, complete, user, say, then)                                                                    \
    void name(struct step *s)                                                                                          \
    {                                                                                                                  \
        static const struct verb verb = {form, complete, user, say, then};                                             \
        carry_out(s, &verb);                                                                                           \
    }
VERBS(VERB)
#undef VERB
