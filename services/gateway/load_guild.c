// load_guild: see load.h. One guild as one of its members sees it, and members of one by name or by the page.
#include "load_private.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>

// Lua passes so many values to a command safely; without a rule of the business, as all that follows.
#define AT_ONCE "500"
// The rows of a hash that have these names, in the form of HGETALL.
#define SOME                                                                                                           \
    "local function some(key, names) "                                                                                 \
    "  local out = {} "                                                                                                \
    "  for from = 1, #names, " AT_ONCE " do "                                                                          \
    "    local to = math.min(from + " AT_ONCE " - 1, #names) "                                                         \
    "    for i, row in ipairs(redis.call('HMGET', key, unpack(names, from, to))) do "                                  \
    "      if row then out[#out + 1] = names[from + i - 1] out[#out + 1] = row end "                                   \
    "    end "                                                                                                         \
    "  end "                                                                                                           \
    "  return out "                                                                                                    \
    "end "

// KEYS: s, r, ch, vc, st, vs, mb. ARGV: 1 all seats or 0 those of the users named; how many members are read whole, of
// more those that are named or have a seat; users. Answers with the hashes, and the number of members.
#define READ_GUILD                                                                                                     \
    SOME "local names, out = {}, {} "                                                                                  \
         "for i = 3, #ARGV do names[i - 2] = ARGV[i] end "                                                             \
         "for i = 1, 5 do out[i] = redis.call('HGETALL', KEYS[i]) end "                                                \
         "if ARGV[1] == '1' then "                                                                                     \
         "  out[6] = redis.call('HGETALL', KEYS[6]) "                                                                  \
         "  for i = 1, #out[6], 2 do names[#names + 1] = out[6][i] end "                                               \
         "else "                                                                                                       \
         "  out[6] = some(KEYS[6], names) "                                                                            \
         "end "                                                                                                        \
         "out[8] = redis.call('HLEN', KEYS[7]) "                                                                       \
         "out[7] = out[8] <= tonumber(ARGV[2]) and redis.call('HGETALL', KEYS[7]) or some(KEYS[7], names) "            \
         "return out"
enum { GUILD_S, GUILD_R, GUILD_CH, GUILD_VC, GUILD_ST, GUILD_VS, GUILD_MB, GUILD_KEYS, GUILD_COUNT = GUILD_KEYS };

#define READ_MEMBERS SOME "return some(KEYS[1], ARGV)"
// KEYS: mi, mb. ARGV: where the page begins, how long it is. Ids of 20 digits are names without their zeros.
#define READ_PAGE                                                                                                      \
    SOME "local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', '0', ARGV[2]) "                      \
         "for i, id in ipairs(names) do names[i] = string.match(id, '[1-9]%d*') or '0' end "                           \
         "return some(KEYS[2], names)"

// --- one guild ---

static struct bytes digits(struct load *l, uint64_t v)
{
    return arena_printf(&l->arena, "%llu", (unsigned long long)v);
}

void load_guild_ask(struct load *l, uint64_t guild, bool frame, store_fn fn, struct part *p)
{
    static const char *const suffixes[GUILD_KEYS] = {"s", "r", "ch", "vc", "st", "vs", "mb"};
    struct bytes keys[GUILD_KEYS];
    struct bytes *args = arena_take(&l->arena, (3 + (size_t)l->others.n) * sizeof *args);
    uint32_t n = 0;
    for (uint32_t i = 0; i < GUILD_KEYS; i++)
        keys[i] = load_key(l, ref_place(guild), suffixes[i]);
    args[n++] = frame ? BYTES("0") : BYTES("1");
    args[n++] = frame ? BYTES("0") : digits(l, LOAD_SMALL);
    args[n++] = digits(l, l->user);
    for (uint32_t i = 0; i < l->others.n; i++)
        args[n++] = digits(l, l->others.v[i]);
    load_script(l, BYTES(READ_GUILD), GUILD_KEYS, keys, n, args, fn, p);
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int role_order(const void *x, const void *y)
{
    return order(((const struct role *)x)->id, ((const struct role *)y)->id);
}

static int channel_order(const void *x, const void *y)
{
    const struct guild_channel *a = x, *b = y;
    return a->position != b->position ? order(a->position, b->position) : order(a->id, b->id);
}

static int member_order(const void *x, const void *y)
{
    return order(((const struct member *)x)->user, ((const struct member *)y)->user);
}

static int seat_order(const void *x, const void *y)
{
    return order(((const struct voice_seat *)x)->user, ((const struct voice_seat *)y)->user);
}

static int room_order(const void *x, const void *y)
{
    return order(((const struct voice_room *)x)->channel, ((const struct voice_room *)y)->channel);
}

static int stage_order(const void *x, const void *y)
{
    return order(((const struct stage *)x)->channel, ((const struct stage *)y)->channel);
}

// Who is named twice, or sits in voice, too, has been read twice.
static uint32_t members_in_order(struct member *v, uint32_t n)
{
    uint32_t kept = 0;
    qsort(v, n, sizeof *v, member_order);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || v[kept - 1].user != v[i].user)
            v[kept++] = v[i];
    return kept;
}

static void take_people(struct load *l, const struct reply *r, struct loaded_guild *g)
{
    struct member *members;
    struct voice_seat *seats;
    uint32_t n = 0, read;
    read = load_rows(l, &schema_member, reply_at(r, GUILD_MB), &members);
    g->n_members = members_in_order(members, read);
    g->members = members;
    read = load_rows(l, &schema_voice_seat, reply_at(r, GUILD_VS), &seats);
    qsort(seats, read, sizeof *seats, seat_order);
    for (uint32_t i = 0; i < read; i++)
        if (view_find_member(g, seats[i].user) && (n == 0 || seats[n - 1].user != seats[i].user))
            seats[n++] = seats[i];
    g->n_seats = n;
    g->seats = seats;
    g->member_count = (uint64_t)reply_int(reply_at(r, GUILD_COUNT));
    g->whole = g->n_members >= g->member_count;
}

static void take_channels(struct load *l, const struct reply *r, struct loaded_guild *g)
{
    struct role *roles;
    struct guild_channel *channels;
    struct voice_room *rooms;
    struct stage *stages;
    g->roles.n = load_rows(l, &schema_role, reply_at(r, GUILD_R), &roles);
    g->n_channels = load_rows(l, &schema_guild_channel, reply_at(r, GUILD_CH), &channels);
    g->n_rooms = load_rows(l, &schema_voice_room, reply_at(r, GUILD_VC), &rooms);
    g->n_stages = load_rows(l, &schema_stage, reply_at(r, GUILD_ST), &stages);
    qsort(roles, g->roles.n, sizeof *roles, role_order);
    qsort(channels, g->n_channels, sizeof *channels, channel_order);
    qsort(rooms, g->n_rooms, sizeof *rooms, room_order);
    qsort(stages, g->n_stages, sizeof *stages, stage_order);
    g->roles.v = roles;
    g->channels = channels;
    g->rooms = rooms;
    g->stages = stages;
}

bool load_guild_take(struct load *l, const struct reply *r, uint64_t id, struct loaded_guild *out)
{
    const struct reply *hash = reply_at(r, GUILD_S), *field = reply_field(hash, "guild");
    const struct guild *guild = field ? load_row(l, &schema_guild, field, id) : NULL;
    if (!guild || guild->id != id)
        return false;
    *out = (struct loaded_guild){.version = record_version(hash), .guild = *guild};
    take_channels(l, r, out);
    take_people(l, r, out);
    return view_find_member(out, l->user) != NULL;
}

static void on_guild(void *ctx, const struct reply *r)
{
    const struct part *p = ctx;
    struct load *l = p->l;
    if (load_took(l, r)) {
        l->world.n_guilds = load_guild_take(l, r, p->id, l->guilds);
        l->world.gone = l->guilds->guild.id == 0;
    }
    if (l->err == OK)
        load_named_users(l);
    else
        load_end(l);
}

static void guild_begin(struct load *l)
{
    l->guilds = arena_take(&l->arena, sizeof *l->guilds);
    l->world.guilds = l->guilds;
    load_guild_ask(l, l->guild, l->parts & LOAD_FRAMES, on_guild, load_part(l, l->guild, 0));
}

static void ask(struct gateway *g, uint64_t user, uint64_t guild, unsigned parts, struct ids others, load_world_fn fn,
                void *ctx)
{
    struct load *l = load_new(g, ctx);
    l->begin = guild_begin;
    l->on_world = fn;
    l->user = user;
    l->guild = guild;
    l->parts = parts;
    l->others = load_ids(l, others);
    load_queue(l);
}

void load_guild(struct gateway *g, uint64_t user, uint64_t guild, load_world_fn fn, void *ctx)
{
    ask(g, user, guild, LOAD_GUILDS, (struct ids){0}, fn, ctx);
}

void load_frame(struct gateway *g, uint64_t user, uint64_t guild, struct ids others, load_world_fn fn, void *ctx)
{
    ask(g, user, guild, LOAD_FRAMES, others, fn, ctx);
}

// --- members ---

static void on_members(void *ctx, const struct reply *r)
{
    struct load *l = ((const struct part *)ctx)->l;
    if (!load_took(l, r)) {
        load_end(l);
        return;
    }
    uint32_t read = load_rows(l, &schema_member, r, &l->members);
    l->n_members = members_in_order(l->members, read);
    load_named_users(l);
}

static void members_begin(struct load *l)
{
    struct bytes *args = arena_take(&l->arena, (l->others.n + 1) * sizeof *args);
    const struct bytes key = load_key(l, ref_place(l->guild), "mb");
    for (uint32_t i = 0; i < l->others.n; i++)
        args[i] = digits(l, l->others.v[i]);
    load_script(l, BYTES(READ_MEMBERS), 1, &key, l->others.n, args, on_members, load_part(l, l->guild, 0));
}

static void page_begin(struct load *l)
{
    const struct bytes keys[] = {load_key(l, ref_place(l->guild), "mi"), load_key(l, ref_place(l->guild), "mb")};
    const struct bytes args[] = {arena_printf(&l->arena, "(%020llu", (unsigned long long)l->after),
                                 digits(l, l->limit)};
    load_script(l, BYTES(READ_PAGE), countof(keys), keys, countof(args), args, on_members, load_part(l, l->guild, 0));
}

void load_members(struct gateway *g, uint64_t guild, struct ids users, load_members_fn fn, void *ctx)
{
    struct load *l = load_new(g, ctx);
    l->begin = members_begin;
    l->on_members = fn;
    l->guild = guild;
    l->others = load_ids(l, users);
    load_queue(l);
}

void load_member_page(struct gateway *g, uint64_t guild, uint64_t after, uint32_t limit, load_members_fn fn, void *ctx)
{
    struct load *l = load_new(g, ctx);
    CHECK_ID(limit > 0 && limit <= LOAD_PAGE_MAX, limit);
    l->begin = page_begin;
    l->on_members = fn;
    l->guild = guild;
    l->after = after;
    l->limit = limit;
    load_queue(l);
}
