// audience: a guild whose roles, channels, members and seats change by events of any kind, with users who come and go
// here, in entries that are news and in some that are not.
// - After each event the picture is valid: whoever is here sees what the rules say, and every seat stands where it
// says.
// - Each client knows exactly the channels that its user may view: what it is told as a channel that appears it did not
//   know, and only what it knew vanishes, changes or is deleted.
// - Who is no member hears nothing but of himself; a row that the picture holds already changes nothing.
#include "audience.h"
#include "fuzz.h"

#define USERS 5u
#define IDS 70u // of channels: more than one word of bits
#define GUILD 100u

struct run {
    struct feed in;
    struct arena arena;
    struct audience *a;
    bool here[USERS], knows[USERS][IDS];
};

static uint64_t bits_from(struct feed *in)
{
    static const uint64_t bits[] = {0, MAY(VIEW_CHANNEL), MAY(SPEAK), MAY(ADMINISTRATOR)};
    return bits[feed_below(in, countof(bits))];
}

static struct ids roles_from(struct run *r)
{
    uint32_t n = feed_below(&r->in, 4);
    uint64_t *v = arena_take(&r->arena, n * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        v[i] = GUILD + feed_below(&r->in, 5);
    return (struct ids){n, v};
}

static struct event role_event(struct run *r, struct event e, uint64_t id)
{
    const struct role role = {.id = id, .permissions = bits_from(&r->in)};
    e.row = schema_packed(&r->arena, &schema_role, &role);
    return e;
}

static struct event channel_event(struct run *r, struct event e, uint64_t id)
{
    struct overwrite *v = arena_take(&r->arena, 3 * sizeof *v);
    uint32_t n = feed_below(&r->in, 4);
    for (uint32_t i = 0; i < n; i++) {
        v[i].type = feed_below(&r->in, 2);
        v[i].id = v[i].type ? 1 + feed_below(&r->in, USERS) : GUILD + feed_below(&r->in, 5);
        v[i].allow = bits_from(&r->in);
        v[i].deny = bits_from(&r->in);
    }
    const struct guild_channel c = {.id = id, .type = feed_flag(&r->in) ? 4 : 2, .overwrites = {n, v}};
    e.row = schema_packed(&r->arena, &schema_guild_channel, &c);
    return e;
}

// One of a kind; without a row what it names has gone.
static struct event event_from(struct run *r)
{
    static const uint32_t tags[] = {
        TAG_role, TAG_guild_channel, TAG_guild_channel, TAG_member, TAG_voice_seat, TAG_guild, 0};
    struct feed *in = &r->in;
    struct event e = {.row_tag = tags[feed_below(in, countof(tags))]};
    bool gone = feed_below(in, 4) == 0;
    uint64_t user = 1 + feed_below(in, USERS), channel = 1000 + feed_below(in, IDS);
    e.sitter = feed_below(in, 4) == 0 ? user : 0;
    e.unless = feed_below(in, 8) == 0 ? 1000 + feed_below(in, IDS) : 0;
    e.row_id = e.row_tag == TAG_role ? GUILD + feed_below(in, 5) : e.row_tag == TAG_guild_channel ? channel : user;
    e.channel = e.row_tag == TAG_guild_channel || e.row_tag == TAG_voice_seat || feed_flag(in) ? channel : 0;
    if (gone || !e.row_tag)
        return e;
    if (e.row_tag == TAG_role)
        return role_event(r, e, e.row_id);
    if (e.row_tag == TAG_guild_channel)
        return channel_event(r, e, e.row_id);
    const struct member m = {.user = user, .roles = roles_from(r)};
    const struct voice_seat s = {.user = user, .channel = channel};
    const struct guild g = {.id = GUILD, .owner = user};
    e.row = e.row_tag == TAG_member  ? schema_packed(&r->arena, &schema_member, &m)
            : e.row_tag == TAG_guild ? schema_packed(&r->arena, &schema_guild, &g)
                                     : schema_packed(&r->arena, &schema_voice_seat, &s);
    return e;
}

static bool sees(const struct run *r, uint64_t user, uint64_t id)
{
    const struct audience_viewer *v = audience_viewer(r->a, user);
    const struct audience_channel *c = audience_channel(r->a, id);
    return v && c && (v->sees[c->index / 64] >> c->index % 64 & 1);
}

static void told(void *ctx, const struct audience_channel *c, bool appears, const struct keys *users)
{
    struct run *r = ctx;
    for (uint32_t i = 0; i < users->n && c != r->a->gone; i++) {
        bool *knows = &r->knows[users->v[i] - 1][c->id - 1000];
        CHECK(*knows != appears);
        *knows = appears;
    }
}

static void get(struct run *r, const struct event *e, const struct audience_row *row)
{
    const struct audience_gate gate = audience_gate(r->a, e, row);
    for (uint64_t user = 1; user <= USERS; user++) {
        const struct audience_viewer *v = audience_viewer(r->a, user);
        bool gets = audience_gets(r->a, &gate, user),
             himself = e->sitter == user || (row->kind == AUDIENCE_MEMBER && row->id == user);
        CHECK(!gets || himself || (v && v->member));
        if (!gets || himself || row->kind != AUDIENCE_CHANNEL || !r->a->news || e->unless)
            continue;
        bool *knows = &r->knows[user - 1][row->id - 1000];
        CHECK(*knows == !r->a->made);
        *knows = row->v != NULL;
    }
}

static void take(struct run *r)
{
    struct event e = event_from(r);
    struct audience_row row;
    bool news = feed_below(&r->in, 8) > 0;
    if (e.row_tag == TAG_guild_channel)
        e.sitter = e.unless = 0;
    CHECK(audience_row(&r->arena, &e, &row) == OK);
    audience_entry(r->a, r->a->version + news);
    CHECK(r->a->news == news);
    for (uint64_t user = 1; user <= USERS; user++)
        CHECK(!audience_breaks(r->a, &row, user) || !news || row.kind == AUDIENCE_MEMBER);
    audience_take(r->a, &row);
    if (r->a->gone)
        audience_changes(r->a, told, r);
    get(r, &e, &row);
    if (!r->a->gone)
        audience_changes(r->a, told, r);
    if (news && row.kind == AUDIENCE_MEMBER && !row.v)
        memset(r->knows[row.id - 1], 0, sizeof r->knows[0]); // the guild has gone for him
}

static void come_or_go(struct run *r)
{
    uint32_t i = feed_below(&r->in, USERS);
    const struct member m = {.user = 1 + i, .roles = roles_from(r)};
    if (r->here[i])
        audience_exit(r->a, 1 + i);
    else
        audience_enter(r->a, 1 + i, feed_below(&r->in, 8) ? &m : NULL, r->a->version - feed_below(&r->in, 2));
    r->here[i] = !r->here[i];
    for (uint64_t id = 0; id < IDS; id++) // READY tells him
        r->knows[i][id] = sees(r, 1 + i, 1000 + id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r = {.in = {data, size}};
    const struct loaded_guild g = {.version = 10, .guild = {.id = GUILD, .owner = 1}};
    r.a = audience_new(&g);
    for (unsigned n = 0; r.in.n && n < 300; n++) {
        if (feed_below(&r.in, 8) == 0)
            come_or_go(&r);
        else
            take(&r);
        CHECK(audience_valid(r.a));
        for (uint64_t user = 1; user <= USERS; user++)
            for (uint64_t id = 0; id < IDS; id++)
                CHECK(r.knows[user - 1][id] == sees(&r, user, 1000 + id));
        arena_reset(&r.arena);
    }
    audience_free(r.a);
    arena_fini(&r.arena);
    return 0;
}
