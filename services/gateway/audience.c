// audience: see audience.h.
#include "audience.h"
#include "present.h"

#include <string.h>

// --- what somebody sees ---

static bool bit(const uint64_t *v, uint32_t i)
{
    return v[i / 64] >> i % 64 & 1;
}

static void set_bit(uint64_t *v, uint32_t i, bool on)
{
    uint64_t one = 1ull << i % 64;
    v[i / 64] = on ? v[i / 64] | one : v[i / 64] & ~one;
}

static bool may_view(const struct audience *a, const struct audience_viewer *v, const struct audience_channel *c)
{
    const struct guild_channel row = {.id = c->id, .type = c->type, .overwrites = {c->n_overwrites, c->overwrites}};
    const struct role_set roles = {a->n_roles, a->roles};
    return v->member && (permissions_in_channel(&a->guild, roles, &v->row, &row, 0) & MAY(VIEW_CHANNEL));
}

static bool saw(const struct audience_viewer *v, const struct audience_channel *c)
{
    return bit(v->changed ? v->saw : v->sees, c->index);
}

static bool sees(const struct audience_viewer *v, const struct audience_channel *c)
{
    return bit(v->sees, c->index);
}

static void see(struct audience *a, struct audience_viewer *v, const struct audience_channel *c, bool now)
{
    if (sees(v, c) == now)
        return;
    if (!v->changed) {
        memcpy(v->saw, v->sees, a->words * sizeof *v->saw);
        v->changed = true;
        keys_add(&a->changed, v->user);
    }
    set_bit(v->sees, c->index, now);
}

static void look_again(struct audience *a, struct audience_viewer *v)
{
    for (uint32_t i = 0; i < a->n_index; i++)
        if (a->by_index[i])
            see(a, v, a->by_index[i], may_view(a, v, a->by_index[i]));
}

static void all_look_at(struct audience *a, const struct audience_channel *c)
{
    struct audience_viewer *v;
    for (uint32_t i = 0; (v = table_next(&a->viewers, &i, NULL)) != NULL;)
        see(a, v, c, may_view(a, v, c));
}

// --- seats ---

static void unlink_seat(struct audience_seat *s)
{
    if (!s->in)
        return;
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->in = NULL;
}

static void drop_seat(struct audience *a, uint64_t user)
{
    struct audience_seat *s = table_remove(&a->seats, user);
    if (s)
        unlink_seat(s);
    mem_free(s);
}

static void put_seat(struct audience *a, const struct voice_seat *row, struct bytes packed)
{
    struct audience_seat *s = mem_alloc(sizeof *s + packed.n);
    drop_seat(a, row->user);
    s->user = row->user;
    s->n = packed.n;
    memcpy(s->row, packed.p, packed.n);
    s->in = table_get(&a->channels, row->channel);
    if (s->in) {
        s->next = s->in->seats;
        if (s->next)
            s->next->prev = &s->next;
        s->prev = &s->in->seats;
        s->in->seats = s;
    }
    table_put(&a->seats, s->user, s);
}

// --- channels ---

static void free_channel(struct audience_channel *c)
{
    while (c->seats)
        unlink_seat(c->seats);
    mem_free(c->overwrites);
    buf_fini(&c->row);
    mem_free(c);
}

static void widen(struct audience *a, uint32_t words)
{
    struct audience_viewer *v;
    a->by_index = mem_grow(a->by_index, words * 64, sizeof(struct audience_channel *));
    memset(a->by_index + a->words * 64, 0, (words - a->words) * 64 * sizeof(struct audience_channel *));
    for (uint32_t i = 0; (v = table_next(&a->viewers, &i, NULL)) != NULL;) {
        v->sees = mem_grow(v->sees, words, sizeof *v->sees);
        v->saw = mem_grow(v->saw, words, sizeof *v->saw);
        memset(v->sees + a->words, 0, (words - a->words) * sizeof *v->sees);
        memset(v->saw + a->words, 0, (words - a->words) * sizeof *v->saw);
    }
    a->words = words;
}

static uint32_t free_index(struct audience *a)
{
    for (uint32_t i = 0; i < a->n_index; i++)
        if (!a->by_index[i])
            return i;
    if (a->n_index == a->words * 64)
        widen(a, a->words ? a->words * 2 : 1);
    return a->n_index++;
}

static struct audience_channel *put_channel(struct audience *a, const struct guild_channel *row, struct bytes packed)
{
    struct audience_channel *c = table_get(&a->channels, row->id);
    if (!c) {
        c = mem_alloc(sizeof *c);
        c->id = row->id;
        c->index = free_index(a);
        a->by_index[c->index] = c;
        table_put(&a->channels, c->id, c);
    }
    c->type = row->type;
    c->n_overwrites = row->overwrites.n;
    c->overwrites = mem_grow(c->overwrites, row->overwrites.n + 1, sizeof *c->overwrites);
    if (row->overwrites.n)
        memcpy(c->overwrites, row->overwrites.v, row->overwrites.n * sizeof *c->overwrites);
    buf_reset(&c->row);
    buf_add(&c->row, packed.p, packed.n);
    return c;
}

// --- roles ---

static uint32_t role_at(const struct audience *a, uint64_t id) // or where it would stand
{
    uint32_t low = 0, high = a->n_roles;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (a->roles[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

#define DECIDING (MAY(VIEW_CHANNEL) | MAY(ADMINISTRATOR)) // of a role's permissions, about what is seen

// True: it says something else about that than before.
static bool put_role(struct audience *a, uint64_t id, uint64_t permissions)
{
    uint32_t at = role_at(a, id);
    if (at == a->n_roles || a->roles[at].id != id) {
        if (a->n_roles == a->roles_cap) {
            a->roles_cap = a->roles_cap ? a->roles_cap * 2 : 8;
            a->roles = mem_grow(a->roles, a->roles_cap, sizeof *a->roles);
        }
        memmove(&a->roles[at + 1], &a->roles[at], (a->n_roles++ - at) * sizeof *a->roles);
        a->roles[at] = (struct role){.id = id};
    }
    bool other = a->roles[at].permissions != (permissions & DECIDING);
    a->roles[at].permissions = permissions & DECIDING;
    return other;
}

static bool drop_role(struct audience *a, uint64_t id)
{
    uint32_t at = role_at(a, id);
    if (at == a->n_roles || a->roles[at].id != id)
        return false;
    memmove(&a->roles[at], &a->roles[at + 1], (--a->n_roles - at) * sizeof *a->roles);
    return true;
}

static void take_role(struct audience *a, const struct audience_row *row)
{
    const struct role *r = row->v;
    struct audience_viewer *v;
    if (!(r ? put_role(a, r->id, r->permissions) : drop_role(a, row->id)))
        return;
    for (uint32_t i = 0; (v = table_next(&a->viewers, &i, NULL)) != NULL;)
        if (row->id == a->guild.id || (v->member && ids_have(v->row.roles, row->id)))
            look_again(a, v);
}

// --- viewers ---

static void set_member(struct audience_viewer *v, const struct member *m)
{
    uint32_t n = m ? m->roles.n : 0;
    mem_free(v->roles);
    v->roles = NULL;
    if (n > 0) {
        v->roles = mem_grow(NULL, n, sizeof *v->roles);
        memcpy(v->roles, m->roles.v, n * sizeof *v->roles);
    }
    v->member = m != NULL;
    v->row = (struct member){.user = v->user, .roles = {n, v->roles}};
}

static void free_viewer(struct audience_viewer *v)
{
    set_member(v, NULL);
    mem_free(v->sees);
    mem_free(v->saw);
    mem_free(v);
}

// As if he had always seen what he sees: nobody is to be told that it changed.
static void settle_viewer(struct audience *a, struct audience_viewer *v)
{
    look_again(a, v);
    if (v->changed)
        memcpy(v->saw, v->sees, a->words * sizeof *v->saw);
}

void audience_enter(struct audience *a, uint64_t user, const struct member *m, uint64_t version)
{
    struct audience_viewer *v = table_get(&a->viewers, user);
    if (v && (!v->behind || v->as_of >= version))
        return;
    if (!v) {
        v = mem_alloc(sizeof *v);
        v->user = user;
        v->sees = mem_alloc((a->words + 1) * sizeof *v->sees);
        v->saw = mem_alloc((a->words + 1) * sizeof *v->saw);
        table_put(&a->viewers, user, v);
    }
    set_member(v, m);
    v->as_of = version;
    v->behind = version < a->version;
    settle_viewer(a, v);
}

void audience_exit(struct audience *a, uint64_t user)
{
    struct audience_viewer *v = table_remove(&a->viewers, user);
    if (v)
        free_viewer(v);
}

const struct audience_viewer *audience_viewer(const struct audience *a, uint64_t user)
{
    return table_get(&a->viewers, user);
}

const struct audience_channel *audience_channel(const struct audience *a, uint64_t id)
{
    return table_get(&a->channels, id);
}

// Who is no member any more is not told what he does not see any more: the guild has gone for him, as a whole.
static void take_member(struct audience *a, const struct audience_row *row)
{
    struct audience_viewer *v = table_get(&a->viewers, row->id);
    if (!v || v->as_of >= a->version)
        return;
    set_member(v, row->v);
    v->as_of = a->version;
    v->behind = false;
    if (row->v)
        look_again(a, v);
    else
        settle_viewer(a, v);
}

// --- life ---

struct audience *audience_new(const struct loaded_guild *g)
{
    struct audience *a = mem_alloc(sizeof *a);
    struct buf packed = {0};
    a->version = g->version;
    a->guild = (struct guild){.id = g->guild.id, .owner = g->guild.owner};
    for (uint32_t i = 0; i < g->roles.n; i++)
        (void)put_role(a, g->roles.v[i].id, g->roles.v[i].permissions);
    for (uint32_t i = 0; i < g->n_channels; i++) {
        buf_reset(&packed);
        PACK(&packed, guild_channel, &g->channels[i]);
        (void)put_channel(a, &g->channels[i], buf_bytes(&packed));
    }
    for (uint32_t i = 0; i < g->n_seats; i++) {
        buf_reset(&packed);
        PACK(&packed, voice_seat, &g->seats[i]);
        put_seat(a, &g->seats[i], buf_bytes(&packed));
    }
    buf_fini(&packed);
    return a;
}

static void forget_last(struct audience *a)
{
    for (uint32_t i = 0; i < a->changed.n; i++) {
        struct audience_viewer *v = table_get(&a->viewers, a->changed.v[i]);
        if (v)
            v->changed = false;
    }
    keys_fini(&a->changed);
    if (a->gone)
        free_channel(a->gone);
    a->gone = NULL;
    a->made = false;
}

void audience_free(struct audience *a)
{
    struct audience_viewer *v;
    struct audience_channel *c;
    struct audience_seat *s;
    if (!a)
        return;
    forget_last(a);
    for (uint32_t i = 0; (v = table_next(&a->viewers, &i, NULL)) != NULL;)
        free_viewer(v);
    for (uint32_t i = 0; (c = table_next(&a->channels, &i, NULL)) != NULL;)
        free_channel(c);
    for (uint32_t i = 0; (s = table_next(&a->seats, &i, NULL)) != NULL;)
        mem_free(s);
    table_fini(&a->viewers);
    table_fini(&a->channels);
    table_fini(&a->seats);
    mem_free(a->by_index);
    mem_free(a->roles);
    mem_free(a);
}

// --- entries ---

static bool kind_of(uint64_t tag, enum audience_kind *out)
{
    static const struct {
        enum tag tag;
        enum audience_kind kind;
    } kinds[] = {{TAG_guild, AUDIENCE_GUILD},
                 {TAG_role, AUDIENCE_ROLE},
                 {TAG_guild_channel, AUDIENCE_CHANNEL},
                 {TAG_member, AUDIENCE_MEMBER},
                 {TAG_voice_seat, AUDIENCE_SEAT}};
    for (size_t i = 0; i < countof(kinds); i++) {
        if (kinds[i].tag != tag)
            continue;
        *out = kinds[i].kind;
        return true;
    }
    return false;
}

static uint64_t id_of(const struct audience_row *row)
{
    switch (row->kind) {
    case AUDIENCE_GUILD:
        return ((const struct guild *)row->v)->id;
    case AUDIENCE_ROLE:
        return ((const struct role *)row->v)->id;
    case AUDIENCE_CHANNEL:
        return ((const struct guild_channel *)row->v)->id;
    case AUDIENCE_MEMBER:
        return ((const struct member *)row->v)->user;
    case AUDIENCE_SEAT:
        return ((const struct voice_seat *)row->v)->user;
    case AUDIENCE_OTHER:
        break;
    }
    return 0;
}

int audience_row(struct arena *a, const struct event *e, struct audience_row *out)
{
    struct bytes in = e->row;
    struct audience_row row = {0};
    struct msg m;
    *out = row;
    if (in.n == 0) {
        if (kind_of(e->row_tag, &row.kind))
            row.id = e->row_id;
        *out = row;
        return OK;
    }
    int err = msg_take(a, &in, &m);
    if (err == ERR_MISSING) // of a newer process
        return OK;
    if (err || in.n > 0)
        return ERR_INVALID;
    if (kind_of(m.schema->tag, &row.kind)) {
        row.v = m.v;
        row.packed = e->row;
        row.id = id_of(&row);
    }
    *out = row;
    return OK;
}

void audience_entry(struct audience *a, uint64_t version)
{
    a->news = version > a->version;
    if (a->news)
        a->version = version;
}

bool audience_breaks(const struct audience *a, const struct audience_row *row, uint64_t user)
{
    const struct audience_viewer *v = table_get(&a->viewers, user);
    switch (row->kind) {
    case AUDIENCE_GUILD:
    case AUDIENCE_ROLE:
    case AUDIENCE_CHANNEL:
        return !a->news;
    case AUDIENCE_MEMBER:
        return row->id == user && (!a->news || (v && v->as_of >= a->version));
    case AUDIENCE_SEAT:
    case AUDIENCE_OTHER:
        break;
    }
    return false;
}

static void take_guild(struct audience *a, const struct audience_row *row)
{
    const struct guild *g = row->v;
    if (!g || g->owner == a->guild.owner)
        return;
    struct audience_viewer *last = table_get(&a->viewers, a->guild.owner), *next = table_get(&a->viewers, g->owner);
    a->guild.owner = g->owner;
    if (last)
        look_again(a, last);
    if (next)
        look_again(a, next);
}

static void take_channel(struct audience *a, const struct audience_row *row)
{
    struct audience_channel *c = table_get(&a->channels, row->id);
    struct audience_viewer *v;
    if (row->v) {
        a->made = !c;
        all_look_at(a, put_channel(a, row->v, row->packed));
    } else if (c) {
        for (uint32_t i = 0; (v = table_next(&a->viewers, &i, NULL)) != NULL;)
            see(a, v, c, false);
        table_remove(&a->channels, c->id);
        a->by_index[c->index] = NULL;
        a->gone = c;
    }
}

void audience_take(struct audience *a, const struct audience_row *row)
{
    forget_last(a);
    if (!a->news)
        return;
    switch (row->kind) {
    case AUDIENCE_GUILD:
        take_guild(a, row);
        break;
    case AUDIENCE_ROLE:
        take_role(a, row);
        break;
    case AUDIENCE_CHANNEL:
        take_channel(a, row);
        break;
    case AUDIENCE_MEMBER:
        take_member(a, row);
        break;
    case AUDIENCE_SEAT:
        if (row->v)
            put_seat(a, row->v, row->packed);
        else
            drop_seat(a, row->id);
        break;
    case AUDIENCE_OTHER:
        break;
    }
}

// --- who gets it ---

struct audience_gate audience_gate(const struct audience *a, const struct event *e, const struct audience_row *row)
{
    bool own = row->kind == AUDIENCE_CHANNEL && row->id == e->channel; // it is about the channel itself
    struct audience_gate g = {
        .sitter = e->sitter,
        .about = row->kind == AUDIENCE_MEMBER ? row->id : 0,
        .everywhere = e->channel == 0,
        .moved = e->unless != 0,
        .in = audience_channel(a, e->channel),
        .unless = audience_channel(a, e->unless),
    };
    if (own && !row->v && a->gone)
        g.in = a->gone;
    g.before = own && !a->made;
    g.after = !own || row->v;
    return g;
}

bool audience_gets(const struct audience *a, const struct audience_gate *g, uint64_t user)
{
    const struct audience_viewer *v = table_get(&a->viewers, user);
    if (user == g->sitter)
        return !g->moved; // where he is now is told him by another one
    if (user == g->about)
        return true;
    if (!v || !v->member)
        return false;
    if (g->everywhere)
        return true;
    if (!g->in || (g->before && !saw(v, g->in)) || (g->after && !sees(v, g->in)))
        return false;
    return !g->unless || !sees(v, g->unless);
}

// --- what changed for whom ---

static void change(const struct audience *a, const struct audience_channel *c, bool appears, audience_change_fn fn,
                   void *ctx)
{
    struct keys users = {0};
    for (uint32_t i = 0; i < a->changed.n; i++) {
        const struct audience_viewer *v = table_get(&a->viewers, a->changed.v[i]);
        if (v && saw(v, c) != sees(v, c) && sees(v, c) == appears)
            keys_add(&users, v->user);
    }
    if (users.n > 0)
        fn(ctx, c, appears, &users);
    keys_fini(&users);
}

static void change_all(const struct audience *a, bool categories, bool appears, audience_change_fn fn, void *ctx)
{
    for (uint32_t i = 0; i < a->n_index; i++) {
        const struct audience_channel *c = a->by_index[i];
        if (c && (c->type == CHANNEL_CATEGORY) == categories)
            change(a, c, appears, fn, ctx);
    }
}

void audience_changes(const struct audience *a, audience_change_fn fn, void *ctx)
{
    if (a->gone)
        change(a, a->gone, false, fn, ctx);
    if (a->changed.n == 0 || a->made)
        return;
    change_all(a, false, false, fn, ctx);
    change_all(a, true, false, fn, ctx);
    change_all(a, true, true, fn, ctx);
    change_all(a, false, true, fn, ctx);
}

// --- invariants ---

static bool channels_valid(const struct audience *a)
{
    uint32_t there = 0, sitting = 0, seated = 0;
    const struct audience_seat *s;
    for (uint32_t i = 0; i < a->n_index; i++) {
        const struct audience_channel *c = a->by_index[i];
        if (!c)
            continue;
        there++;
        if (c->index != i || table_get(&a->channels, c->id) != c)
            return false;
        for (s = c->seats; s; s = s->next, sitting++)
            if (s->in != c || table_get(&a->seats, s->user) != s || *s->prev != s)
                return false;
    }
    for (uint32_t i = 0; (s = table_next(&a->seats, &i, NULL)) != NULL;)
        seated += s->in && s->in != a->gone;
    return there == a->channels.n && sitting == seated && a->n_index <= a->words * 64;
}

bool audience_valid(const struct audience *a)
{
    const struct audience_viewer *v;
    for (uint32_t i = 1; i < a->n_roles; i++)
        if (a->roles[i - 1].id >= a->roles[i].id)
            return false;
    for (uint32_t k = 0; (v = table_next(&a->viewers, &k, NULL)) != NULL;)
        for (uint32_t i = 0; i < a->words * 64; i++) {
            const struct audience_channel *c = i < a->n_index ? a->by_index[i] : NULL;
            if (bit(v->sees, i) != (c && may_view(a, v, c)))
                return false;
        }
    return channels_valid(a);
}
