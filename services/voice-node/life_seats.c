// life_seats: whose seats this node follows, place by place. An event of a place says whose are to be read again; they
// are read a bounded number at a time, one reading of a place after another, and what has changed is told. Shell: what
// an event concerns and what rows mean is admit.h's.
#include "life_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_MAX 64u  // sessions that one reading is about
#define ROUNDS_MAX 64u // readings on their way
#define RETRY_MS 250u  // when Redis failed

struct watched {
    struct sitter w;
    uint64_t number;
    struct watched *next; // of the same user in the same place
    bool dirty;           // is to be read: stands in its place's list
    bool urgent;          // because of what concerns him alone: in that list, too
    bool rights;          // what he may is to be read, too
    bool told;            // `seat` has been told
    struct seat seat;
};

struct place {
    uint64_t id, number;
    bool guild;         // as the first one's channel says
    bool queued;        // to be read, or being read
    bool all, rights;   // everybody is to be read
    uint64_t heard;     // version of the newest event; 0: none yet
    struct table users; // the first struct watched of each
    // Numbers of those who are to be read. What concerns one alone does not wait for what concerns all.
    uint64_t *dirty, *urgent;
    uint32_t n_dirty, dirty_cap, n_urgent, urgent_cap;
};

// One reading.
struct round {
    struct life *l;
    uint64_t place, nth; // its id and number
    bool guild, rights;
    uint32_t n, n_channels, replies;
    bool failed;
    uint64_t numbers[ROUND_MAX], users[ROUND_MAX], channels[ROUND_MAX]; // channels: of each, perhaps several times
    uint64_t distinct[ROUND_MAX];
    struct bytes seats[ROUND_MAX], rooms[ROUND_MAX], members[ROUND_MAX], channel_rows[ROUND_MAX];
    struct bytes record; // of a guild its row, else the call's
    struct role_set roles;
    struct arena arena;
};

static void push(uint64_t **v, uint32_t *n, uint32_t *cap, uint64_t x)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        *v = mem_grow(*v, *cap, sizeof **v);
    }
    (*v)[(*n)++] = x;
}

// --- who is followed ---

static struct watched *find(const struct life *l, uint64_t server, uint64_t user, const char *session)
{
    const struct place *p = table_get(&l->seats.places, server);
    struct watched *x = p ? table_get(&p->users, user) : NULL;
    while (x && strcmp(x->w.session, session) != 0)
        x = x->next;
    return x;
}

static bool counts_here(const struct watched *x)
{
    return !x->told || x->seat.state == SEAT_HERE;
}

static void mark(struct life *l, const char *command, uint64_t place)
{
    char key[RECORD_KEY_MAX];
    store_cmd(l->store, NULL, NULL, "%s %s %s", command, record_key(key, ref_place(place), "gw"), l->node);
}

static void want_read(struct life *l, struct place *p)
{
    if (p->queued)
        return;
    p->queued = true;
    push(&l->seats.queue, &l->seats.n_queue, &l->seats.queue_cap, p->id);
    loop_flush(l->loop, &l->seats.flush);
}

static void list(struct place *p, struct watched *x, bool rights)
{
    x->rights |= rights;
    if (!x->dirty)
        push(&p->dirty, &p->n_dirty, &p->dirty_cap, x->number);
    x->dirty = true;
}

static void want_sitter(struct life *l, struct place *p, struct watched *x, bool rights)
{
    x->rights |= rights;
    if (!x->urgent)
        push(&p->urgent, &p->n_urgent, &p->urgent_cap, x->number);
    x->dirty = x->urgent = true;
    want_read(l, p);
}

static void want_user(struct life *l, struct place *p, uint64_t user, bool rights)
{
    for (struct watched *x = table_get(&p->users, user); x; x = x->next)
        want_sitter(l, p, x, rights);
}

static void want_all(struct life *l, struct place *p, bool rights)
{
    p->all = true;
    p->rights |= rights;
    want_read(l, p);
}

static struct place *place_new(struct life *l, uint64_t id, bool guild)
{
    struct place *p = mem_alloc(sizeof *p);
    *p = (struct place){.id = id, .number = ++l->seats.last_number, .guild = guild};
    table_put(&l->seats.places, id, p);
    mark(l, "SADD", id);
    return p;
}

void life_watch(struct life *l, uint64_t server, uint64_t channel, uint64_t user, const char *session)
{
    struct watched *x = find(l, server, user, session);
    if (x && x->w.channel == channel)
        return;
    if (x)
        life_unwatch(l, server, user, session);
    struct place *p = table_get(&l->seats.places, server);
    if (!p)
        p = place_new(l, server, server != channel);
    x = mem_alloc(sizeof *x);
    *x = (struct watched){.w = {.server = server, .channel = channel, .user = user},
                          .number = ++l->seats.last_number,
                          .next = table_get(&p->users, user)};
    CHECK_ID(bytes_copy(x->w.session, sizeof x->w.session, bytes_of(session)) == OK, user);
    table_put(&p->users, user, x);
    table_put(&l->seats.sitters, x->number, x);
    l->seats.n_here++;
    M.seats_followed = l->seats.sitters.n;
    want_sitter(l, p, x, true);
    gone_take_back(l, server, user, session);
}

static void place_free(struct place *p)
{
    table_fini(&p->users);
    mem_free(p->dirty);
    mem_free(p->urgent);
    mem_free(p);
}

void life_unwatch(struct life *l, uint64_t server, uint64_t user, const char *session)
{
    struct watched *x = find(l, server, user, session);
    if (!x)
        return;
    struct place *p = table_get(&l->seats.places, server);
    struct watched *first = table_get(&p->users, user);
    if (first == x && !x->next) {
        table_remove(&p->users, user);
    } else if (first == x) {
        table_put(&p->users, user, x->next);
    } else {
        while (first->next != x)
            first = first->next;
        first->next = x->next;
    }
    l->seats.n_here -= counts_here(x);
    table_remove(&l->seats.sitters, x->number);
    mem_free(x);
    M.seats_followed = l->seats.sitters.n;
    if (p->users.n > 0)
        return;
    table_remove(&l->seats.places, server);
    place_free(p);
    mark(l, "SREM", server);
}

// --- what was read ---

static bool same(const struct seat *a, const struct seat *b)
{
    return a->state == b->state && a->speaks == b->speaks && a->hears == b->hears && a->video == b->video &&
           a->priority == b->priority && a->flags == b->flags;
}

static void tell(struct life *l, uint64_t number, const struct seat *seat)
{
    struct watched *x = table_get(&l->seats.sitters, number);
    if (!x || (x->told && same(&x->seat, seat)))
        return;
    l->seats.n_here -= counts_here(x);
    M.seats_ended += counts_here(x) && seat->state != SEAT_HERE;
    x->told = true;
    x->seat = *seat;
    l->seats.n_here += counts_here(x);
    const struct sitter w = x->w; // it may be unwatched by whoever is told
    l->cfg.on_seat(l->cfg.ctx, w.server, w.user, w.session, seat);
}

static struct bytes channel_row(const struct round *r, uint64_t channel)
{
    for (uint32_t i = 0; i < r->n_channels; i++)
        if (r->distinct[i] == channel)
            return r->channel_rows[i];
    return BYTES_NONE;
}

// OK with the seat; otherwise nothing is known anew.
static int judge_in_guild(struct life *l, struct round *r, uint32_t i, struct watched *x, struct seat *seat)
{
    struct bytes node = bytes_of(l->node);
    int err = OK;
    if (r->rights) {
        const struct rights_rows rows = {
            .guild = r->record, .channel = channel_row(r, x->w.channel), .member = r->members[i], .roles = r->roles};
        err = seat_rights(&r->arena, &rows, loop_unix_ms(l->loop), &x->w.may);
    }
    if (err == ERR_MISSING) {
        *seat = (struct seat){.state = SEAT_OVER};
        return OK;
    }
    return err == OK ? seat_in_guild(&r->arena, &x->w, node, r->seats[i], r->rooms[i], seat) : err;
}

static void judge(struct life *l, struct round *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        struct watched *x = table_get(&l->seats.sitters, r->numbers[i]);
        struct seat seat;
        if (!x)
            continue;
        int err = r->guild ? judge_in_guild(l, r, i, x, &seat)
                           : seat_in_call(&r->arena, &x->w, bytes_of(l->node), r->record, &seat);
        if (err == OK)
            tell(l, r->numbers[i], &seat);
        else
            LOG_PEER(ERROR, EV("seat.unreadable"), KU("place", r->place), KU("user", x->w.user));
    }
}

static void read_again(struct life *l, const struct round *r)
{
    struct place *p = table_get(&l->seats.places, r->place);
    for (uint32_t i = 0; p && i < r->n; i++) {
        struct watched *x = table_get(&l->seats.sitters, r->numbers[i]);
        if (x)
            list(p, x, r->rights);
    }
}

// The place, if it is not another one of that id by now, may be read again.
static void round_over(struct life *l, const struct round *r)
{
    struct seats *s = &l->seats;
    struct place *p = table_get(&s->places, r->place);
    bool same = p && p->number == r->nth;
    s->n_rounds--;
    if (same && (p->all || p->n_dirty > 0 || p->n_urgent > 0))
        push(&s->queue, &s->n_queue, &s->queue_cap, p->id);
    else if (same)
        p->queued = false;
    if (!r->failed)
        loop_flush(l->loop, &s->flush);
    else if (!timer_armed(&s->retry))
        loop_arm(l->loop, &s->retry, RETRY_MS);
}

static void round_free(struct round *r)
{
    arena_fini(&r->arena);
    mem_free(r);
}

static void arrived(struct round *r, const struct reply *reply)
{
    struct life *l = r->l;
    r->failed |= !reply_ok(reply);
    if (--r->replies > 0) {
        (void)life_back(l); // there is another to come, so it is still there
        return;
    }
    if (!life_back(l)) {
        round_free(r);
        return;
    }
    if (r->failed)
        read_again(l, r);
    else
        judge(l, r);
    round_over(l, r);
    round_free(r);
}

// --- reading ---

static void ask(struct round *r, store_fn fn, const char *suffix, const char *command, const uint64_t *ids, uint32_t n)
{
    struct bytes argv[ROUND_MAX + 2];
    char key[RECORD_KEY_MAX];
    argv[0] = bytes_of(command);
    argv[1] = bytes_of(record_key(key, ref_place(r->place), suffix));
    for (uint32_t i = 0; i < n; i++)
        argv[i + 2] = arena_printf(&r->arena, "%llu", (unsigned long long)ids[i]);
    r->replies++;
    life_ask(r->l);
    store_send(r->l->store, fn, r, n + 2, argv);
}

static void keep(struct round *r, const struct reply *reply, struct bytes *rows, uint32_t n)
{
    for (uint32_t i = 0; i < n && i < reply_n(reply); i++)
        rows[i] = arena_copy(&r->arena, reply_text(reply_at(reply, i)));
}

static void on_seats(void *ctx, const struct reply *reply)
{
    struct round *r = ctx;
    keep(r, reply, r->seats, r->n);
    arrived(r, reply);
}

static void on_rooms(void *ctx, const struct reply *reply)
{
    struct round *r = ctx;
    keep(r, reply, r->rooms, r->n);
    arrived(r, reply);
}

static void on_members(void *ctx, const struct reply *reply)
{
    struct round *r = ctx;
    keep(r, reply, r->members, r->n);
    arrived(r, reply);
}

static void on_channels(void *ctx, const struct reply *reply)
{
    struct round *r = ctx;
    keep(r, reply, r->channel_rows, r->n_channels);
    arrived(r, reply);
}

static int by_id(const void *a, const void *b)
{
    const struct role *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void on_roles(void *ctx, const struct reply *reply)
{
    struct round *r = ctx;
    struct role *v = arena_take(&r->arena, (reply_n(reply) / 2 + 1) * sizeof *v);
    uint32_t n = 0;
    for (size_t i = 1; i < reply_n(reply); i += 2)
        if (UNPACK(&r->arena, role, arena_copy(&r->arena, reply_text(reply_at(reply, i))), &v[n]) == OK)
            n++;
    qsort(v, n, sizeof *v, by_id);
    r->roles = (struct role_set){n, v};
    arrived(r, reply);
}

static void on_record(void *ctx, const struct reply *reply)
{
    struct round *r = ctx;
    r->record = arena_copy(&r->arena, reply_text(reply));
    arrived(r, reply);
}

static void find_distinct(struct round *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        uint32_t k = 0;
        while (k < r->n_channels && r->distinct[k] != r->channels[i])
            k++;
        if (k == r->n_channels)
            r->distinct[r->n_channels++] = r->channels[i];
    }
}

static void ask_record(struct round *r, const char *field)
{
    char key[RECORD_KEY_MAX];
    r->replies++;
    life_ask(r->l);
    store_cmd(r->l->store, on_record, r, "HGET %s %s", record_key(key, ref_place(r->place), "s"), field);
}

static void ask_all(struct round *r)
{
    if (!r->guild) {
        ask_record(r, "call");
        return;
    }
    ask(r, on_seats, "vs", "HMGET", r->users, r->n);
    ask(r, on_rooms, "vc", "HMGET", r->channels, r->n);
    if (!r->rights)
        return;
    find_distinct(r);
    ask(r, on_channels, "ch", "HMGET", r->distinct, r->n_channels);
    ask(r, on_members, "mb", "HMGET", r->users, r->n);
    ask(r, on_roles, "r", "HGETALL", NULL, 0);
    ask_record(r, "guild");
}

// Everybody there is on the list from now on.
static void list_all(struct place *p)
{
    struct watched *x;
    for (uint32_t i = 0; (x = table_next(&p->users, &i, NULL)) != NULL;)
        for (; x; x = x->next)
            list(p, x, p->rights);
    p->all = p->rights = false;
}

// The first of those on the list; who is not followed any more, or has been taken from the other one, is passed over.
static void take_listed(struct life *l, uint64_t *v, uint32_t *n, struct round *r)
{
    uint32_t i = 0;
    for (; i < *n && r->n < ROUND_MAX; i++) {
        struct watched *x = table_get(&l->seats.sitters, v[i]);
        if (!x || !x->dirty)
            continue;
        r->numbers[r->n] = x->number;
        r->users[r->n] = x->w.user;
        r->channels[r->n++] = x->w.channel;
        r->rights |= x->rights;
        x->dirty = x->urgent = x->rights = false;
    }
    *n -= i;
    if (i > 0)
        memmove(v, v + i, *n * sizeof *v);
}

static void begin(struct life *l, struct place *p)
{
    if (p->all)
        list_all(p);
    struct round *r = mem_alloc(sizeof *r);
    *r = (struct round){.l = l, .place = p->id, .nth = p->number, .guild = p->guild};
    take_listed(l, p->urgent, &p->n_urgent, r);
    take_listed(l, p->dirty, &p->n_dirty, r);
    if (r->n == 0) { // they are not followed any more
        p->queued = false;
        round_free(r);
        return;
    }
    l->seats.n_rounds++;
    M.seat_reads++;
    ask_all(r);
}

static void read_queue(struct loop_flush *f)
{
    struct seats *s = container_of(f, struct seats, flush);
    struct life *l = container_of(s, struct life, seats);
    uint32_t i = 0;
    if (timer_armed(&s->retry))
        return;
    for (; i < s->n_queue && s->n_rounds < ROUNDS_MAX; i++) {
        struct place *p = table_get(&s->places, s->queue[i]);
        if (p)
            begin(l, p);
    }
    s->n_queue -= i;
    if (i > 0)
        memmove(s->queue, s->queue + i, s->n_queue * sizeof *s->queue);
}

static void on_retry(struct timer *t, uint64_t now)
{
    struct seats *s = container_of(t, struct seats, retry);
    struct life *l = container_of(s, struct life, seats);
    (void)now;
    loop_flush(l->loop, &s->flush);
}

// --- what happens ---

void life_event(struct life *l, const struct msg *m)
{
    const struct place_event *e = MSG_IS(m, place_event);
    struct arena a = {0};
    if (!e || ref_is_user(e->ref))
        return;
    struct place *p = table_get(&l->seats.places, e->ref);
    if (!p) {
        mark(l, "SREM", e->ref); // we were taken for a listener
        return;
    }
    if (p->heard && e->version > p->heard + 1)
        want_all(l, p, true);
    p->heard = e->version > p->heard ? e->version : p->heard;
    for (uint32_t i = 0; i < e->events.n; i++) {
        struct concern c = seat_concern(&a, &e->events.v[i]);
        if (c.all)
            want_all(l, p, c.rights);
        else if (c.user)
            want_user(l, p, c.user, c.rights);
    }
    arena_fini(&a);
}

void life_loss(struct life *l)
{
    struct place *p;
    for (uint32_t i = 0; (p = table_next(&l->seats.places, &i, NULL)) != NULL;) {
        mark(l, "SADD", p->id);
        want_all(l, p, true);
    }
}

void seats_start(struct life *l)
{
    l->seats.flush.fn = read_queue;
    l->seats.retry.fire = on_retry;
}

void seats_free(struct life *l)
{
    struct seats *s = &l->seats;
    struct place *p;
    struct watched *x;
    for (uint32_t i = 0; (p = table_next(&s->places, &i, NULL)) != NULL;) {
        mark(l, "SREM", p->id);
        place_free(p);
    }
    for (uint32_t i = 0; (x = table_next(&s->sitters, &i, NULL)) != NULL;)
        mem_free(x);
    table_fini(&s->places);
    table_fini(&s->sitters);
    mem_free(s->queue);
    loop_unflush(l->loop, &s->flush);
    loop_cancel(l->loop, &s->retry);
}

void seats_dump(const struct life *l, struct buf *out)
{
    const struct seats *s = &l->seats;
    buf_printf(out, "seats: %u followed in %u places, %u of this node; %u places wait to be read, %u are being read\n",
               s->sitters.n, s->places.n, s->n_here, s->n_queue, s->n_rounds);
}
