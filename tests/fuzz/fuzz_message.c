// The message service: world documents and the guilds that come of them, messages, pages, private channels,
// friendships.
// - A document is refused or read whole; once its names have ids, what it wants of a guild can be written, and wanting
//   it again of what has been written wants nothing more.
// - A page holds the ids that it should, newest first, whatever is asked for.
// - Opening a channel step by step ends with everybody listed; two who are at it, or one who begins again, do no harm.
// - What is refused leaves its output alone; what is allowed packs, and its events show as JSON.
#include "errors.h"
#include "fill.h"
#include "world_plan.h"
#include "message.h"
#include "page.h"
#include "text.h"

#include <jansson.h>

enum { USERS = 6, IDS_MAX = 120 };

struct run {
    struct feed in;
    struct arena a;
    struct user users[USERS]; // 1 … 6
};

static void check_json(struct bytes text)
{
    json_t *json = json_loadb(text.p, text.n, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    CHECK(json_is_object(json));
    json_decref(json);
}

static void check_event(struct run *r, const struct event *e)
{
    CHECK(e->name.n);
    check_json(e->body);
    struct bytes entry = message_entry(&r->a, ref_place(9), 1, 2, e, 1);
    struct place_event *again = arena_take(&r->a, sizeof *again);
    CHECK(UNPACK(&r->a, place_event, entry, again) == OK && again->events.n == 1);
}

static struct ids some_users(struct run *r, uint32_t max)
{
    uint64_t *v = arena_take(&r->a, max * sizeof *v);
    struct ids ids = {feed_below(&r->in, max + 1), v};
    for (uint32_t i = 0; i < ids.n; i++)
        v[i] = 1 + feed_below(&r->in, USERS + 1);
    return ids;
}

// --- worlds ---

static void put_name(struct run *r, struct buf *out)
{
    static const char *const names[] = {"\"ann\"", "\"Ann\"",  "\"ben\"",  "\"carl\"",
                                        "\"7\"",   "\"Mods\"", "\"here\"", "3"};
    buf_str(out, names[feed_below(&r->in, countof(names))]);
}

static void put_list(struct run *r, struct buf *out, const char *key, void (*one)(struct run *r, struct buf *out))
{
    uint32_t n = feed_below(&r->in, 4);
    buf_printf(out, "\"%s\":[", key);
    for (uint32_t i = 0; i < n; i++) {
        buf_str(out, i ? "," : "");
        one(r, out);
    }
    buf_char(out, ']');
}

static void put_key(struct run *r, struct buf *out, const char *key)
{
    buf_printf(out, "\"%s\":", key);
    put_name(r, out);
}

static void put_user(struct run *r, struct buf *out)
{
    buf_char(out, '{');
    put_key(r, out, "name");
    uint8_t what = feed_u8(&r->in);
    if (what & 1)
        buf_printf(out, ",\"id\":\"%u\"", what);
    if (what & 2)
        buf_printf(out, ",\"global_name\":\"%u\"", what);
    buf_char(out, '}');
}

static void put_pair(struct run *r, struct buf *out)
{
    buf_char(out, '[');
    put_name(r, out);
    buf_char(out, ',');
    put_name(r, out);
    buf_char(out, ']');
}

static void put_group(struct run *r, struct buf *out)
{
    buf_char(out, '{');
    put_key(r, out, "name");
    buf_char(out, ',');
    put_key(r, out, "owner");
    buf_char(out, ',');
    put_list(r, out, "users", put_name);
    buf_char(out, '}');
}

static void put_permission(struct run *r, struct buf *out)
{
    buf_str(out, feed_u8(&r->in) == 1 ? "\"NONE\"" : "\"MOVE_MEMBERS\"");
}

static void put_role(struct run *r, struct buf *out)
{
    buf_char(out, '{');
    put_key(r, out, "name");
    buf_char(out, ',');
    put_list(r, out, "permissions", put_permission);
    buf_char(out, ',');
    put_list(r, out, "members", put_name);
    uint8_t what = feed_u8(&r->in);
    if (what & 1)
        buf_printf(out, ",\"color\":%u,\"hoist\":true", what);
    if (what & 2)
        buf_str(out, ",\"color\":\"#ff8000\",\"mentionable\":false");
    buf_char(out, '}');
}

static void put_overwrite(struct run *r, struct buf *out)
{
    uint8_t what = feed_u8(&r->in);
    buf_str(out, what & 1 ? "{\"member\":" : "{\"role\":");
    if (what & 2)
        put_name(r, out);
    else
        buf_str(out, "\"@everyone\"");
    buf_char(out, ',');
    put_list(r, out, "allow", put_permission);
    buf_str(out, what & 4 ? ",\"deny\":[\"SPEAK\"]}" : "}");
}

static void put_channel(struct run *r, struct buf *out)
{
    static const char *const types[] = {"text", "voice", "category", "stage", "none"};
    buf_char(out, '{');
    put_key(r, out, "name");
    buf_printf(out, ",\"type\":\"%s\",", types[feed_below(&r->in, countof(types))]);
    put_list(r, out, "overwrites", put_overwrite);
    uint8_t what = feed_u8(&r->in);
    if (what & 1)
        buf_printf(out, ",\"user_limit\":%u,\"bitrate\":%u", what, what * 1000u);
    if (what & 2)
        buf_str(out, ",\"topic\":\"t\",\"nsfw\":true,\"slowmode\":5,\"rtc_region\":null");
    if (what & 4) {
        buf_char(out, ',');
        put_key(r, out, "parent");
    }
    buf_char(out, '}');
}

static void put_guild(struct run *r, struct buf *out)
{
    buf_char(out, '{');
    put_key(r, out, "name");
    buf_char(out, ',');
    put_key(r, out, "owner");
    buf_char(out, ',');
    put_list(r, out, "members", put_name);
    buf_char(out, ',');
    put_list(r, out, "roles", put_role);
    buf_char(out, ',');
    put_list(r, out, "channels", put_channel);
    uint8_t what = feed_u8(&r->in);
    if (what & 1) {
        buf_char(out, ',');
        put_key(r, out, "afk_channel");
    }
    if (what & 2)
        buf_printf(out, ",\"id\":\"%u\",\"more\":%s", what, what & 4 ? "true" : "false");
    if (what & 8)
        buf_str(out, ",\"everyone\":[\"SPEAK\"],\"description\":\"d\",\"afk_timeout\":60");
    buf_char(out, '}');
}

static void put_world(struct run *r, struct buf *out)
{
    buf_char(out, '{');
    put_list(r, out, "users", put_user);
    buf_char(out, ',');
    put_list(r, out, "bots", put_user);
    buf_char(out, ',');
    put_list(r, out, "friends", put_pair);
    buf_char(out, ',');
    put_list(r, out, "dms", put_pair);
    buf_char(out, ',');
    put_list(r, out, "groups", put_group);
    buf_char(out, ',');
    put_list(r, out, "guilds", put_guild);
    buf_char(out, '}');
}

// A guild as it stands once the plan has been carried out.
static struct guild_state carried_out(struct run *r, const struct guild_state *before, const struct guild_plan *p)
{
    struct guild_state s = *before;
    struct role *roles = arena_take(&r->a, (s.n_roles + p->n_roles + 1) * sizeof *roles);
    struct guild_channel *channels = arena_take(&r->a, (s.n_channels + p->n_channels + 1) * sizeof *channels);
    struct member *members = arena_take(&r->a, (s.n_members + p->n_members + 1) * sizeof *members);
    for (uint32_t i = 0; i < s.n_roles; i++)
        roles[i] = s.roles[i];
    for (uint32_t i = 0; i < p->n_roles; i++)
        roles[s.n_roles++] = p->roles[i];
    for (uint32_t i = 0; i < s.n_channels; i++)
        channels[i] = s.channels[i];
    for (uint32_t i = 0; i < p->n_channels; i++)
        channels[s.n_channels++] = p->channels[i];
    for (uint32_t i = 0; i < s.n_members; i++)
        members[i] = s.members[i];
    for (uint32_t i = 0; i < p->n_members; i++) {
        uint32_t at = 0;
        while (at < s.n_members && members[at].user != p->members[i].user)
            at++;
        s.n_members += at == s.n_members;
        members[at] = p->members[i];
    }
    s.guild = p->guild ? p->guild : s.guild;
    s.roles = roles;
    s.channels = channels;
    s.members = members;
    return s;
}

static void check_plan(struct run *r, const struct world_guild *doc, const struct guild_plan *p)
{
    CHECK(p->role_ids.n == doc->n_roles && p->channel_ids.n == doc->n_channels);
    CHECK(p->n_roles <= doc->n_roles + 1 && p->n_channels <= doc->n_channels);
    if (p->guild)
        (void)schema_packed(&r->a, &schema_guild, p->guild);
    for (uint32_t i = 0; i < p->n_roles; i++)
        (void)schema_packed(&r->a, &schema_role, &p->roles[i]);
    for (uint32_t i = 0; i < p->n_channels; i++)
        (void)schema_packed(&r->a, &schema_guild_channel, &p->channels[i]);
    for (uint32_t i = 0; i < p->n_members; i++)
        (void)schema_packed(&r->a, &schema_member, &p->members[i]);
}

// What a plan is written with: bounded commits, each member's row together with his place in the list, events only
// where somebody may listen.
static void check_commits(struct run *r, const struct guild_plan *p, const struct guild_state *s, uint32_t expected)
{
    struct guild_commits commits;
    uint32_t rows = 0;
    guild_plan_commits(&r->a, p, s, (struct user_set){USERS, r->users}, &commits);
    for (uint32_t i = 0; i < commits.n; i++) {
        const struct guild_commit *c = &commits.v[i];
        uint32_t members = 0, listed = 0;
        CHECK(c->n_changes > 0 && c->n_changes <= GUILD_PLAN_CHANGES && c->n_events <= GUILD_PLAN_EVENTS);
        CHECK(p->told || c->n_events == 0);
        for (uint32_t k = 0; k < c->n_changes; k++) {
            members += bytes_is(bytes_of(c->changes[k].suffix), "mb");
            listed += bytes_is(bytes_of(c->changes[k].suffix), "mi");
        }
        CHECK(listed <= members + p->unlisted.n);
        for (uint32_t k = 0; k < c->n_events; k++)
            check_event(r, &c->events[k]);
        rows += members;
    }
    CHECK(rows == p->n_members && (commits.n > 0) == (expected > 0));
}

static void check_guild(struct run *r, const struct world *w, const struct world_guild *doc)
{
    uint64_t *fresh = arena_take(&r->a, (doc->n_roles + doc->n_channels + 1) * sizeof *fresh);
    struct guild_state s = {0};
    struct guild_plan p;
    for (uint32_t i = 0; i < doc->n_roles + doc->n_channels; i++)
        fresh[i] = 1000 + i;
    if (!doc->name.p) // which stands already, or is refused
        return;
    CHECK(guild_plan(&r->a, w, doc, 500, &s, fresh, 7, &p) == API_OK);
    check_plan(r, doc, &p);
    CHECK(p.guild && p.n_members == p.member_ids.n && !p.told && p.links == !doc->more);
    check_commits(r, &p, &s, 1);
    s = carried_out(r, &s, &p);
    s.loading = !p.opens;
    CHECK(guild_plan(&r->a, w, doc, 500, &s, fresh, 8, &p) == API_OK);
    CHECK(!p.guild && !p.n_roles && !p.n_channels && !p.n_members && p.told == !doc->more);
    check_commits(r, &p, &s, 0);
    struct guild_state bare = {.guild = s.guild}; // as if all else had been taken away
    CHECK(guild_plan(&r->a, w, doc, 500, &bare, fresh, 8, &p) == API_OK);
    CHECK(p.told && p.links);
    check_commits(r, &p, &bare, p.n_roles + p.n_channels + p.n_members);
    struct buf shown = {0};
    directory_guild_json(&shown, s.guild, s.channels, s.n_channels);
    check_json(buf_bytes(&shown));
    buf_fini(&shown);
}

static void check_world(struct run *r, struct bytes document)
{
    struct world w;
    struct fault fault = {0};
    memset(&w, 0xaa, sizeof w);
    struct world untouched = w;
    char *own = feed_own(document);
    int err = world_parse(&r->a, (struct bytes){own, document.n}, &w, &fault);
    mem_free(own); // it keeps nothing of it
    if (err) {
        CHECK(err == API_INVALID_JSON || (err == API_INVALID_FORM && fault.text));
        CHECK(memcmp(&w, &untouched, sizeof w) == 0);
        return;
    }
    for (uint32_t i = 0; i < w.n_users; i++)
        CHECK(world_find(&w, &r->a, w.users[i].name)->declared);
    bool known = world_resolved(&w, &fault) == API_OK;
    for (uint32_t i = 0; i < w.n_names; i++) {
        CHECK(!known || w.names[i].declared);
        CHECK(world_find(&w, &r->a, w.names[i].lower) == &w.names[i]);
        w.names[i].id = 1 + i;
    }
    CHECK(world_resolved(&w, &fault) == API_OK);
    for (uint32_t i = 0; i < w.n_guilds; i++)
        check_guild(r, &w, &w.guilds[i]);
    for (uint32_t i = 0; i < w.n_groups; i++)
        CHECK(world_ids(&w, &r->a, w.groups[i].users).n <= w.groups[i].users.n &&
              world_id(&w, &r->a, w.groups[i].owner));
}

static void world(struct run *r)
{
    struct buf text = {0};
    put_world(r, &text);
    check_world(r, buf_bytes(&text));
    buf_fini(&text);
}

// --- messages ---

static void message(struct run *r)
{
    struct message_send send = {.user = 1 + feed_below(&r->in, USERS), .channel = 9};
    struct ids recipients = some_users(r, 10);
    struct user_set users = {USERS, r->users};
    struct change changes[MESSAGE_CHANGES_MAX];
    FILL(&r->a, &r->in, message_send, &send);
    send.user = 1 + send.user % USERS;
    uint64_t id = feed_number(&r->in), last = feed_number(&r->in);
    struct bytes text = feed_rest(&r->in);
    char *own = feed_own(text);
    send.content = (struct bytes){own, text.n < 16000 ? text.n : 16000};
    int err = text_is_utf8(send.content) ? message_content_check(send.content) : API_INVALID_FORM;
    if (!err) {
        struct message_rec m = message_new(&r->a, id, &send, recipients);
        for (uint32_t i = 0; i < m.mentions.n; i++)
            CHECK(ids_have(recipients, m.mentions.v[i]));
        CHECK(message_added(&r->a, &m, changes) == MESSAGE_CHANGES_MAX);
        struct event e = message_created_event(&r->a, &m, 9, users);
        check_event(r, &e);
        CHECK(message_may_edit(&m, send.user) == API_OK && message_may_delete(&m, send.user) == API_OK);
        CHECK(message_may_edit(&m, send.user + 1) && message_may_delete(&m, send.user + 1));
        CHECK(message_removed(&r->a, id, changes) == 2);
        e = message_deleted_event(&r->a, id, 9);
        check_event(r, &e);
        e = message_typing_event(&r->a, send.user, 9, last);
        check_event(r, &e);
        m = message_edited(&r->a, &m, send.content, recipients, last);
        CHECK(message_changed(&r->a, &m, changes) == 1);
        e = message_updated_event(&r->a, &m, 9, users);
        check_event(r, &e);
    }
    mem_free(own);
}

static void ack(struct run *r)
{
    struct read_state old = {0}, out = {.id = 77};
    struct message_ack ack = {0};
    FILL(&r->a, &r->in, read_state, &old);
    FILL(&r->a, &r->in, message_ack, &ack);
    old.id = feed_flag(&r->in) ? ack.channel : 0;
    if (!message_ack_step(&old, &ack, 5, &out)) {
        CHECK(out.id == 77);
        return;
    }
    CHECK(out.last_message_id == ack.message && out.version == 6);
    CHECK(!old.id || ack.manual || out.last_message_id > old.last_message_id);
    struct event e = message_ack_event(&r->a, ack.user, &out);
    check_event(r, &e);
    CHECK(!message_ack_step(&out, &ack, 6, &old) || !out.id); // said twice it is nothing new
}

// --- pages: as the store would answer, and as they should be ---

static int order(struct bytes a, struct bytes b)
{
    int by = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return by ? by : (a.n > b.n) - (a.n < b.n);
}

static bool within(struct bytes member, struct bytes limit, bool lower)
{
    if (bytes_is(limit, "-") || bytes_is(limit, "+"))
        return bytes_is(limit, lower ? "-" : "+");
    int by = order(member, (struct bytes){limit.p + 1, limit.n - 1});
    return by == 0 ? limit.p[0] == '[' : (by > 0) == lower;
}

static struct texts ranged(struct run *r, const struct page_part *part, const struct bytes *index, uint32_t n)
{
    struct bytes *v = arena_take(&r->a, (part->limit + 1) * sizeof *v);
    struct texts found = {0, v};
    for (uint32_t i = 0; i < n && found.n < part->limit; i++) {
        struct bytes member = index[part->backwards ? n - 1 - i : i];
        if (within(member, part->backwards ? part->to : part->from, true) &&
            within(member, part->backwards ? part->from : part->to, false))
            v[found.n++] = member;
    }
    return found;
}

static void page(struct run *r)
{
    struct message_list list = {0};
    struct bytes index[IDS_MAX];
    struct texts found[PAGE_PARTS_MAX];
    struct page p;
    uint64_t ids[IDS_MAX], at = 0;
    uint32_t n = feed_below(&r->in, IDS_MAX + 1), sure = 0;
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = at += 1 + feed_below(&r->in, 3);
        index[i] = message_index(&r->a, ids[i]);
    }
    FILL(&r->a, &r->in, message_list, &list);
    page_plan(&r->a, &list, &p);
    CHECK(p.n <= PAGE_PARTS_MAX);
    for (uint32_t i = 0; i < p.n; i++)
        found[i] = ranged(r, &p.parts[i], index, n);
    struct ids got = page_ids(&r->a, &p, found);
    uint64_t limit = list.limit ? list.limit : PAGE_LIMIT_DEFAULT;
    CHECK(got.n <= limit && limit <= PAGE_LIMIT_MAX);
    for (uint32_t i = 1; i < got.n; i++)
        CHECK(got.v[i] < got.v[i - 1]);
    for (uint32_t i = 0; i < n; i++) {
        bool meant = list.around || (list.before ? ids[i] < list.before : ids[i] > list.after);
        CHECK(meant || !ids_have(got, ids[i]));
        sure += meant;
    }
    CHECK(list.around || got.n == (sure < limit ? sure : limit));
    CHECK(!list.around || limit < 2 || !n || got.n > 0);
}

// --- private channels and friendships ---

static void opening(struct run *r)
{
    struct channel_open open = {.user = 1 + feed_below(&r->in, USERS), .group = feed_flag(&r->in)};
    struct user_set users = {USERS, r->users};
    struct opening o = {.by = 77};
    struct fault fault = {0};
    open.recipients = some_users(r, 12);
    if (feed_flag(&r->in))
        open.name = feed_bytes(&r->in, 200);
    if (!text_is_utf8(open.name))
        return;
    int err = opening_plan(&r->a, &open, users, &o, &fault);
    if (err) {
        CHECK(o.by == 77);
        return;
    }
    CHECK(o.recipients.n > 0 && o.recipients.n <= GROUP_RECIPIENTS_MAX && o.recipients.v[0] == open.user);
    CHECK(o.group || (o.recipients.n == 2 && opening_lower(&o) < opening_upper(&o)));
    struct channel c = opening_channel(&o, 600);
    bool listed[GROUP_RECIPIENTS_MAX] = {0};
    struct opening_view view = {.listed = listed};
    enum opening_next next;
    for (unsigned steps = 0; (next = opening_step(&o, &view)) != OPENING_DONE;) {
        if (feed_u8(&r->in) == 1)
            continue; // it came to nothing
        CHECK(++steps < 4);
        if (next == OPENING_CLAIM)
            view.id = 600;
        else if (next == OPENING_CREATE)
            view.c = &c;
        for (uint32_t i = 0; next == OPENING_LIST && i < o.recipients.n; i++)
            if (opening_lacks(&o, &view, i)) {
                struct event e = channel_created_event(&r->a, &c, 1, 0, users, o.recipients.v[i]);
                check_event(r, &e);
                listed[i] = true;
            }
    }
    for (uint32_t i = 0; i < o.recipients.n; i++)
        CHECK(listed[i] && channel_access(&c, o.recipients.v[i]) == API_OK);
    (void)schema_packed(&r->a, &schema_channel, &c);
    struct buf shown = {0};
    directory_channel_json(&shown, &c);
    check_json(buf_bytes(&shown));
    buf_reset(&shown);
    directory_user_json(&shown, &r->users[0]);
    check_json(buf_bytes(&shown));
    buf_fini(&shown);
    struct channel_edit edit = {0};
    struct channel edited = {.id = 77};
    FILL(&r->a, &r->in, channel_edit, &edit);
    if (channel_edit_step(&c, &edit, &edited, &fault)) {
        CHECK(edited.id == 77);
        return;
    }
    struct event events[GROUP_RECIPIENTS_MAX];
    channel_updated_events(&r->a, &edited, 0, users, events);
    for (uint32_t i = 0; i < edited.recipients.n; i++)
        check_event(r, &events[i]);
}

static bool agree(struct relations v) // what one says of the other fits what the other says
{
    static const enum relation other[] = {
        [REL_FRIEND] = REL_FRIEND, [REL_INCOMING] = REL_OUTGOING, [REL_OUTGOING] = REL_INCOMING};
    if (v.mine == REL_BLOCKED || v.theirs == REL_BLOCKED)
        return (v.mine == REL_BLOCKED || v.mine == REL_NONE) && (v.theirs == REL_BLOCKED || v.theirs == REL_NONE);
    return v.mine == REL_NONE ? v.theirs == REL_NONE : v.theirs == other[v.mine];
}

static void befriend(struct run *r)
{
    struct relations now = {REL_NONE, REL_NONE}, before;
    for (unsigned n = 0; r->in.n && n < 50; n++) {
        uint8_t what = feed_u8(&r->in);
        struct relationship_put put = {.user = 1, .target = 2, .type = (what >> 1) % 4, .by_admin = (what >> 4) == 15};
        if (what & 1) { // from the other side
            put.user = 2, put.target = 1;
            now = (struct relations){now.theirs, now.mine};
        }
        before = now;
        int err = relationship_step(&put, &r->users[put.user - 1], &r->users[put.target - 1], now, &now);
        CHECK(!err || memcmp(&before, &now, sizeof now) == 0);
        CHECK(agree(now));
        if (now.mine != before.mine) {
            struct event e = relationship_event(&r->a, put.user, &r->users[put.target - 1], before.mine, now.mine);
            check_event(r, &e);
        }
        if (what & 1)
            now = (struct relations){now.theirs, now.mine};
    }
}

static void name(struct run *r)
{
    struct bytes text = feed_rest(&r->in);
    struct fault fault = {0};
    char *own = feed_own(text);
    struct bytes mine = {own, text.n};
    if (username_check(mine, &fault) == API_OK) {
        struct user_put put = {.username = mine};
        CHECK(mine.n > 0 && mine.n <= USERNAME_MAX && text_is_utf8(mine));
        struct bytes lower = username_lower(&r->a, mine);
        CHECK(lower.n == mine.n && bytes_eq(username_lower(&r->a, lower), lower));
        (void)schema_packed(&r->a, &schema_user_put, &put);
    } else {
        CHECK(fault.code);
    }
    mem_free(own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parts[])(struct run * r) = {world, message, ack, page, opening, befriend, name};
    static struct run r;
    r = (struct run){.in = {data, size}};
    for (uint32_t i = 0; i < USERS; i++)
        r.users[i] = (struct user){.id = 1 + i, .username = BYTES("ann"), .discriminator = BYTES("0"), .bot = i == 5};
    uint32_t part = feed_below(&r.in, countof(parts) + 1);
    if (part < countof(parts))
        parts[part](&r);
    else
        check_world(&r, feed_rest(&r.in));
    arena_fini(&r.a);
    return 0;
}
