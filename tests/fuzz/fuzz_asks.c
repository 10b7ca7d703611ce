// fuzz_asks: what a client asks about guilds, from any bytes: what is read is within its bounds, subscriptions merge to
// something valid whatever they say, and every list and chunk that follows is JSON.
#include "chunks.h"
#include "fuzz.h"
#include "member_list.h"

#include <jansson.h>

#define PEOPLE 40u
#define GUILD 7u

static struct arena arena;

static void is_json(struct buf *text)
{
    json_t *j = json_loadb(text->p, text->n, JSON_REJECT_DUPLICATES, NULL);
    CHECK(j != NULL);
    json_decref(j);
    buf_fini(text);
}

struct crowd {
    struct member members[PEOPLE];
    struct user users[PEOPLE];
    struct presence there[PEOPLE];
    struct list_person people[PEOPLE];
    const struct user *named[PEOPLE];
    struct role roles[4];
    struct overwrite over[3];
    struct guild guild;
    struct guild_channel channel;
};

static void fill(struct crowd *c, struct feed *in)
{
    static const struct bytes names[] = {{"ann", 3}, {"Ben", 3}, {"\xc3\xa9", 2}, {"", 0}};
    static uint64_t ids[4] = {GUILD, 20, 21, 22};
    *c = (struct crowd){.guild = {.id = GUILD, .owner = 1}, .channel = {.id = 10}};
    for (uint32_t i = 0; i < 4; i++)
        c->roles[i] = (struct role){.id = ids[i],
                                    .position = feed_below(in, 3),
                                    .hoist = feed_flag(in),
                                    .permissions = feed_flag(in) ? MAY(VIEW_CHANNEL) : 0};
    for (uint32_t i = 0; i < 3; i++)
        c->over[i] = (struct overwrite){
            .id = ids[feed_below(in, 4)], .allow = (uint64_t)feed_u8(in) << 8, .deny = (uint64_t)feed_u8(in) << 8};
    c->channel.overwrites.n = feed_below(in, 4);
    c->channel.overwrites.v = c->over;
    for (uint32_t i = 0; i < PEOPLE; i++) {
        uint8_t v = feed_u8(in);
        c->members[i] = (struct member){.user = i + 1, .roles = {v & 3, ids + 1}, .nick = names[v >> 2 & 3]};
        c->users[i] = (struct user){.id = i + 1, .username = names[v >> 4 & 3]};
        c->there[i] = (struct presence){.user = i + 1, .status = (enum presence_status)(1 + v % 3)};
        c->named[i] = v & 64 ? NULL : &c->users[i];
        c->people[i] = (struct list_person){&c->members[i], c->named[i], v & 128 ? &c->there[i] : NULL};
    }
}

static void check_list(const struct crowd *c, const struct lists *l)
{
    const struct list_place place = {&c->guild, {4, c->roles}, &c->channel, PEOPLE};
    struct member_list list;
    uint32_t members = 0, counted = 0;
    list_build(&arena, &place, c->people, PEOPLE, &list);
    CHECK(list.n_members <= PEOPLE && list.n_online <= list.n_members && list.n_rows == list.n_members + list.n_groups);
    for (uint32_t i = 0; i < list.n_rows; i++)
        members += list.rows[i].who != NULL;
    for (uint32_t i = 0; i < list.n_groups; i++)
        counted += list.groups[i].count;
    CHECK(members == list.n_members && counted == members);
    for (uint32_t i = 0; i < l->n_channels; i++) {
        struct buf text = {0};
        list_json(&text, &arena, &place, &list, l->channels[i].ranges, l->channels[i].n);
        is_json(&text);
    }
}

static void check_chunk(const struct crowd *c, const struct op_members *m)
{
    for (uint32_t i = 0; i < m->guilds.n && i < 2; i++) {
        struct chunk_ask ask;
        struct chunk_walk w;
        struct buf text = {0};
        if (!chunk_ask_of(m, i, &ask))
            continue;
        (void)chunk_may(&ask, true, false, m->presences, 0);
        chunk_begin(&w, &ask, PEOPLE);
        for (uint32_t steps = 0; !w.ended; steps++) {
            CHECK(steps <= 1 + PEOPLE);
            chunk_page(&w, &ask, w.after ? 0 : PEOPLE, c->members, c->named);
        }
        CHECK(ask.n_users <= CHUNK_MATCHES_MAX && w.index < w.count);
        const struct chunk chunk = {PEOPLE, c->members, c->named, {PEOPLE, c->there}, {4, c->roles}};
        chunk_json(&text, &ask, &w, &chunk);
        is_json(&text);
    }
}

static void take(const struct crowd *c, struct lists *l, struct bytes frame)
{
    struct op op;
    ops_read(&arena, frame, &op);
    if (!op.malformed && op.kind == OP_LISTS)
        for (uint32_t i = 0; i < op.lists.n; i++)
            lists_merge(l, &op.lists.v[i]);
    if (!op.malformed && op.kind == OP_MEMBERS) {
        CHECK(op.members.guilds.n <= OPS_GUILDS_MAX && op.members.users.n <= CHUNK_MATCHES_MAX);
        check_chunk(c, &op.members);
    }
    if (!op.malformed && op.kind == OP_PRESENCE && op.presence.activities.n) {
        struct buf text = {0};
        buf_add(&text, op.presence.activities.p, op.presence.activities.n);
        is_json(&text);
    }
    CHECK(lists_valid(l));
    if (lists_due(l) == GUILD)
        lists_forget(l, GUILD);
    CHECK(lists_valid(l));
    ops_done(&op);
}

// Frames stand one behind the other, each with its length before it.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct crowd c;
    struct feed in = {data, size};
    struct lists l = {0};
    fill(&c, &in);
    while (in.n > 0) {
        size_t n = (size_t)feed_u8(&in) << 2 | feed_below(&in, 4);
        n = n < in.n ? n : in.n;
        char *own = mem_alloc(n + 1); // so that a byte behind it is noticed
        memcpy(own, in.p, n);
        in.p += n;
        in.n -= n;
        take(&c, &l, (struct bytes){own, n});
        mem_free(own);
    }
    check_list(&c, &l);
    lists_fini(&l);
    arena_reset(&arena);
    return 0;
}
