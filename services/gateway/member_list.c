// member_list: see member_list.h.
#include "member_list.h"
#include "present_guild.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- order ---

struct entry {
    const struct list_person *who;
    uint64_t group;
    uint64_t rank; // of the group: the smaller, the further up
    struct bytes name;
};

static struct bytes shown_name(const struct list_person *p)
{
    if (p->member->nick.n)
        return p->member->nick;
    if (p->user && p->user->global_name.n)
        return p->user->global_name;
    return p->user ? p->user->username : BYTES_NONE;
}

static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static int by_name(struct bytes a, struct bytes b)
{
    for (size_t i = 0; i < a.n && i < b.n; i++)
        if (fold(a.p[i]) != fold(b.p[i]))
            return fold(a.p[i]) - fold(b.p[i]);
    return (a.n > b.n) - (a.n < b.n);
}

static int entry_order(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    if (a->rank != b->rank)
        return (a->rank > b->rank) - (a->rank < b->rank);
    if (a->group != b->group) // two roles at one position
        return (a->group > b->group) - (a->group < b->group);
    int names = by_name(a->name, b->name);
    return names ? names
                 : (a->who->member->user > b->who->member->user) - (a->who->member->user < b->who->member->user);
}

static struct entry entry_of(const struct list_place *p, const struct list_person *who)
{
    uint64_t role = who->presence ? permissions_hoisted(p->roles, who->member) : 0;
    const struct role *r = role ? role_set_find(p->roles, role) : NULL;
    struct entry e = {who, who->presence ? LIST_ONLINE : LIST_OFFLINE, 0, shown_name(who)};
    if (r)
        e.group = role;
    e.rank = r ? UINT64_MAX - 2 - r->position : UINT64_MAX - (who->presence ? 1 : 0);
    return e;
}

// Who is timed out may look, whenever that ends.
static bool may_view(const struct list_place *p, const struct list_person *who)
{
    return permissions_in_channel(p->guild, p->roles, who->member, p->channel, 0) & MAY(VIEW_CHANNEL);
}

void list_build(struct arena *a, const struct list_place *p, const struct list_person *people, uint32_t n,
                struct member_list *out)
{
    struct entry *v = arena_take(a, (n + 1) * sizeof *v);
    struct list_group *groups = arena_take(a, (n + 1) * sizeof *groups);
    struct list_row *rows = arena_take(a, (2 * (size_t)n + 1) * sizeof *rows);
    *out = (struct member_list){.rows = rows, .groups = groups};
    for (uint32_t i = 0; i < n; i++)
        if (may_view(p, &people[i]))
            v[out->n_members++] = entry_of(p, &people[i]);
    qsort(v, out->n_members, sizeof *v, entry_order);
    for (uint32_t i = 0; i < out->n_members; i++) {
        if (i == 0 || v[i].group != v[i - 1].group) {
            groups[out->n_groups] = (struct list_group){v[i].group, 0};
            rows[out->n_rows++] = (struct list_row){NULL, &groups[out->n_groups++]};
        }
        groups[out->n_groups - 1].count++;
        rows[out->n_rows++] = (struct list_row){v[i].who, &groups[out->n_groups - 1]};
        out->n_online += v[i].who->presence != NULL;
    }
}

// --- its id ---

static uint32_t turn(uint32_t v, unsigned by)
{
    return v << by | v >> (32 - by);
}

// MurmurHash3_x86_32 with seed 0.
static uint32_t murmur3(struct bytes text)
{
    uint32_t h = 0;
    for (size_t i = 0; i < text.n; i += 4) {
        uint32_t k = 0;
        for (size_t b = 0; b < 4 && i + b < text.n; b++)
            k |= (uint32_t)(unsigned char)text.p[i + b] << 8 * b;
        h ^= turn(k * 0xcc9e2d51u, 15) * 0x1b873593u;
        if (i + 4 <= text.n)
            h = turn(h, 13) * 5 + 0xe6546b64u;
    }
    h ^= (uint32_t)text.n;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

static int text_order(const void *x, const void *y)
{
    const struct bytes *a = x, *b = y;
    int order = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);
    return order ? order : (a->n > b->n) - (a->n < b->n);
}

static bool everyone_sees(const struct list_place *p)
{
    const struct role *everyone = role_set_find(p->roles, p->guild->id);
    bool all = everyone && everyone->permissions & MAY(VIEW_CHANNEL);
    for (uint32_t i = 0; i < p->channel->overwrites.n; i++)
        all = all && !(p->channel->overwrites.v[i].deny & MAY(VIEW_CHANNEL));
    return all;
}

struct bytes list_id(char out[LIST_ID_MAX], struct arena *a, const struct list_place *p)
{
    uint32_t n = 0;
    struct buf text = {0};
    struct bytes *v = arena_take(a, (p->channel->overwrites.n + 1) * sizeof *v);
    if (everyone_sees(p))
        return BYTES("everyone");
    for (uint32_t i = 0; i < p->channel->overwrites.n; i++) {
        const struct overwrite *o = &p->channel->overwrites.v[i];
        if ((o->allow | o->deny) & MAY(VIEW_CHANNEL))
            v[n++] =
                arena_printf(a, "%s:%llu", o->allow & MAY(VIEW_CHANNEL) ? "allow" : "deny", (unsigned long long)o->id);
    }
    qsort(v, n, sizeof *v, text_order);
    for (uint32_t i = 0; i < n; i++) {
        buf_str(&text, i ? "," : "");
        buf_add(&text, v[i].p, v[i].n);
    }
    snprintf(out, LIST_ID_MAX, "%u", (unsigned)murmur3(buf_bytes(&text)));
    buf_fini(&text);
    return bytes_of(out);
}

// --- as text ---

static void group_json(struct buf *out, const struct list_group *g)
{
    buf_str(out, "{\"id\":");
    if (g->id == LIST_ONLINE || g->id == LIST_OFFLINE)
        buf_str(out, g->id == LIST_ONLINE ? "\"online\"" : "\"offline\"");
    else
        json_id(out, g->id);
    buf_printf(out, ",\"count\":%u}", (unsigned)g->count);
}

static void member_json(struct buf *out, const struct list_place *p, const struct list_person *who)
{
    const struct j_user user = present_user_id((struct user_set){who->user ? 1 : 0, who->user}, who->member->user);
    const struct j_member j = present_member(who->member, &user, 0, permissions_hoisted(p->roles, who->member));
    JSON(out, j_member, &j);
    out->n--; // its closing brace
    buf_str(out, ",\"presence\":");
    presence_json(out, who->member->user, who->presence, 0, false);
    buf_char(out, '}');
}

static void sync_json(struct buf *out, const struct list_place *p, const struct member_list *l,
                      const struct list_range *r)
{
    buf_printf(out, "{\"op\":\"SYNC\",\"range\":[%u,%u],\"items\":[", (unsigned)r->first, (unsigned)r->last);
    for (uint32_t i = r->first; i <= r->last && i < l->n_rows; i++) {
        buf_str(out, i > r->first ? "," : "");
        buf_str(out, l->rows[i].who ? "{\"member\":" : "{\"group\":");
        if (l->rows[i].who)
            member_json(out, p, l->rows[i].who);
        else
            group_json(out, l->rows[i].group);
        buf_char(out, '}');
    }
    buf_str(out, "]}");
}

void list_json(struct buf *out, struct arena *a, const struct list_place *p, const struct member_list *l,
               const struct list_range *ranges, uint32_t n)
{
    char id[LIST_ID_MAX];
    buf_str(out, "{\"guild_id\":");
    json_id(out, p->guild->id);
    buf_str(out, ",\"id\":");
    json_text(out, list_id(id, a, p));
    buf_printf(out, ",\"member_count\":%llu,\"online_count\":%u,\"groups\":[", (unsigned long long)p->member_count,
               (unsigned)l->n_online);
    for (uint32_t i = 0; i < l->n_groups; i++) {
        buf_str(out, i ? "," : "");
        group_json(out, &l->groups[i]);
    }
    buf_str(out, "],\"ops\":[");
    for (uint32_t i = 0; i < n; i++) {
        buf_str(out, i ? "," : "");
        sync_json(out, p, l, &ranges[i]);
    }
    buf_str(out, "]}");
}
