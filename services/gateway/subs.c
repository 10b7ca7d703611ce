// subs: see subs.h.
#include "subs.h"

#include <string.h>

#define CAP_MIN 4u
#define CAP_KEEP 64u // an array is given back in halves only above this

void keys_add(struct keys *k, uint64_t key)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 16;
        k->v = mem_grow(k->v, k->cap, sizeof *k->v);
    }
    k->v[k->n++] = key;
}

void keys_shift(struct keys *k, uint32_t n)
{
    k->n -= n;
    if (k->n == 0)
        keys_fini(k);
    else if (n > 0)
        memmove(k->v, k->v + n, k->n * sizeof *k->v);
}

void keys_fini(struct keys *k)
{
    mem_free(k->v);
    *k = (struct keys){0};
}

// --- the array of a record's listeners: [0, n_odd) do not follow, [n_odd, n) do ---

static void place(struct sub *sub, uint32_t i, struct listener *l)
{
    sub->v[i] = l;
    l->index = i;
}

static void swap(struct sub *sub, uint32_t i, uint32_t j)
{
    struct listener *a = sub->v[i], *b = sub->v[j];
    place(sub, i, b);
    place(sub, j, a);
}

static void set_state(struct listener *l, enum listen_state state, uint64_t at)
{
    struct sub *sub = l->sub;
    bool was_odd = l->state != LISTEN_FOLLOWS, is_odd = state != LISTEN_FOLLOWS;
    l->state = state;
    l->at = at;
    if (was_odd && !is_odd)
        swap(sub, l->index, --sub->n_odd);
    else if (!was_odd && is_odd)
        swap(sub, l->index, sub->n_odd++);
}

static void append(struct sub *sub, struct listener *l) // WAITING
{
    if (sub->n == sub->cap) {
        sub->cap = sub->cap ? sub->cap * 2 : CAP_MIN;
        sub->v = mem_grow(sub->v, sub->cap, sizeof(struct listener *));
    }
    place(sub, sub->n++, l);
    swap(sub, l->index, sub->n_odd++);
}

static void take_out(struct listener *l)
{
    struct sub *sub = l->sub;
    if (l->state != LISTEN_FOLLOWS)
        swap(sub, l->index, --sub->n_odd); // now the first that follows, or the last one
    swap(sub, l->index, sub->n - 1);
    sub->n--;
    if (sub->cap > CAP_KEEP && sub->n < sub->cap / 4) {
        sub->cap /= 2;
        sub->v = mem_grow(sub->v, sub->cap, sizeof(struct listener *));
    }
}

// --- sessions ---

static struct holder *holder_of(const struct subs *s, uint64_t session)
{
    return table_get(&s->by_session, session);
}

static struct listener *listener_of(const struct subs *s, uint64_t session, ref r)
{
    const struct holder *h = holder_of(s, session);
    return h ? table_get(&h->refs, r) : NULL;
}

// --- voice states: in two tables, by record and by user; of one user there are few ---

static void drop_seat(struct subs *s, struct seat *seat)
{
    if (seat->next)
        seat->next->prev = seat->prev;
    if (seat->prev)
        seat->prev->next = seat->next;
    else if (seat->next)
        table_put(&s->by_sitter, seat->user, seat->next);
    else
        table_remove(&s->by_sitter, seat->user);
    mem_free(seat);
}

static void drop_seats(struct subs *s, struct sub *sub)
{
    struct seat *seat;
    for (uint32_t i = 0; (seat = table_next(&sub->seats, &i, NULL)) != NULL;)
        drop_seat(s, seat);
    table_fini(&sub->seats);
}

static void add_seat(struct subs *s, struct sub *sub, uint64_t user, uint64_t epoch)
{
    struct seat *seat = mem_alloc(sizeof *seat);
    *seat = (struct seat){.user = user, .epoch = epoch, .sub = sub, .next = table_get(&s->by_sitter, user)};
    if (seat->next)
        seat->next->prev = seat;
    table_put(&s->by_sitter, user, seat);
    table_put(&sub->seats, user, seat);
}

void subs_seat(struct subs *s, struct sub *sub, uint64_t user, uint64_t epoch, bool left)
{
    struct seat *seat = table_get(&sub->seats, user);
    if (epoch == 0 || (seat && seat->epoch > epoch))
        return; // not compared; or told again, to one that is behind
    if (left && seat)
        drop_seat(s, table_remove(&sub->seats, user));
    else if (seat)
        seat->epoch = epoch;
    else if (!left)
        add_seat(s, sub, user, epoch);
}

bool subs_outdated(const struct subs *s, uint64_t session, ref r, uint64_t user, uint64_t epoch)
{
    const struct seat *seat = epoch ? table_get(&s->by_sitter, user) : NULL;
    for (; seat; seat = seat->next)
        if (seat->epoch > epoch && seat->sub->ref != r && listener_of(s, session, seat->sub->ref))
            return true;
    return false;
}

// --- sessions that come and go ---

void subs_enter(struct subs *s, uint64_t session, uint64_t user)
{
    CHECK_ID(!holder_of(s, session), session);
    struct holder *h = mem_alloc(sizeof *h);
    h->session = session;
    h->user = user;
    h->next = table_get(&s->by_user, user);
    if (h->next)
        h->next->prev = h;
    table_put(&s->by_session, session, h);
    table_put(&s->by_user, user, h);
}

// True: its record is left by everybody, and gone.
static bool drop(struct subs *s, struct listener *l)
{
    struct sub *sub = l->sub;
    take_out(l);
    mem_free(l);
    if (sub->n > 0)
        return false;
    s->n_unseated -= sub->unseated;
    table_remove(&s->by_ref, sub->ref);
    mem_free(sub->v);
    drop_seats(s, sub);
    mem_free(sub);
    return true;
}

void subs_exit(struct subs *s, uint64_t session, struct keys *left)
{
    struct holder *h = table_remove(&s->by_session, session);
    struct listener *l;
    uint64_t r;
    if (!h)
        return;
    for (uint32_t i = 0; (l = table_next(&h->refs, &i, &r)) != NULL;)
        if (drop(s, l) && left)
            keys_add(left, r);
    if (h->next)
        h->next->prev = h->prev;
    if (h->prev)
        h->prev->next = h->next;
    else if (h->next)
        table_put(&s->by_user, h->user, h->next);
    else
        table_remove(&s->by_user, h->user);
    table_fini(&h->refs);
    mem_free(h);
}

void subs_fini(struct subs *s)
{
    struct holder *h;
    for (uint32_t i = 0; (h = table_next(&s->by_session, &i, NULL)) != NULL;)
        subs_exit(s, h->session, NULL);
    table_fini(&s->by_ref);
    table_fini(&s->by_session);
    table_fini(&s->by_user);
    table_fini(&s->by_sitter);
}

bool subs_join(struct subs *s, uint64_t session, ref r, bool guild)
{
    struct holder *h = holder_of(s, session);
    CHECK_ID(h, session);
    if (table_get(&h->refs, r))
        return false;
    struct sub *sub = subs_get(s, r);
    bool first = !sub;
    if (first) {
        sub = mem_alloc(sizeof *sub);
        sub->ref = r;
        sub->guild = guild;
        table_put(&s->by_ref, r, sub);
    }
    struct listener *l = mem_alloc(sizeof *l);
    l->sub = sub;
    l->holder = h;
    append(sub, l);
    table_put(&h->refs, r, l);
    return first;
}

bool subs_settle(struct subs *s, uint64_t session, ref r, uint64_t version)
{
    struct listener *l = listener_of(s, session, r);
    if (!l || l->state != LISTEN_WAITING)
        return false;
    struct sub *sub = l->sub;
    if (!sub->known) {
        sub->known = true;
        sub->applied = version;
    }
    if (version == sub->applied)
        set_state(l, LISTEN_FOLLOWS, 0);
    else
        set_state(l, LISTEN_APART, version);
    return version != sub->applied || sub->seen > sub->applied; // it lacks something, or the others do
}

bool subs_follow(struct subs *s, uint64_t session, ref r, bool guild, uint64_t version, bool *first)
{
    struct sub *sub = subs_get(s, r);
    bool known = sub && sub->known, newer = !known || version > sub->applied;
    *first = subs_join(s, session, r, guild);
    bool read = subs_settle(s, session, r, version) || !known;
    sub = subs_get(s, r);
    if (read && newer && !sub->guild && !ref_is_user(r)) {
        s->n_unseated += !sub->unseated;
        sub->unseated = true;
    }
    return read;
}

void subs_await(struct subs *s, uint64_t session, ref r, bool guild, uint64_t version, bool *first)
{
    *first = subs_join(s, session, r, guild);
    set_state(listener_of(s, session, r), LISTEN_WAITING, version);
}

bool subs_awaits(const struct subs *s, uint64_t session, ref r, uint64_t *version)
{
    const struct listener *l = listener_of(s, session, r);
    if (!l || l->state != LISTEN_WAITING)
        return false;
    *version = l->at;
    return true;
}

void subs_forget(struct subs *s, struct sub *sub)
{
    for (uint32_t i = 0; i < sub->n; i++)
        CHECK_ID(sub->v[i]->state == LISTEN_WAITING, sub->ref);
    drop_seats(s, sub);
    sub->known = false;
    sub->applied = 0;
    sub->seen = UINT64_MAX; // whatever a snapshot does not hold is to be looked for
}

bool subs_leave(struct subs *s, uint64_t session, ref r)
{
    struct holder *h = holder_of(s, session);
    struct listener *l = h ? table_remove(&h->refs, r) : NULL;
    return l && drop(s, l);
}

void subs_leave_waiting(struct subs *s, uint64_t session, struct keys *left)
{
    struct holder *h = holder_of(s, session);
    struct listener *l;
    uint64_t r;
    for (uint32_t i = 0; h && (l = table_next(&h->refs, &i, &r)) != NULL;) {
        if (l->state != LISTEN_WAITING)
            continue;
        table_remove(&h->refs, r);
        if (drop(s, l))
            keys_add(left, r);
    }
}

struct sub *subs_get(const struct subs *s, ref r)
{
    return table_get(&s->by_ref, r);
}

bool subs_position(const struct subs *s, uint64_t session, ref r, uint64_t *at)
{
    const struct listener *l = listener_of(s, session, r);
    if (!l || l->state == LISTEN_WAITING)
        return false;
    *at = l->state == LISTEN_FOLLOWS ? l->sub->applied : l->at;
    return true;
}

bool subs_told(const struct subs *s, uint64_t session, ref r, uint64_t *at)
{
    return subs_position(s, session, r, at) || (subs_awaits(s, session, r, at) && *at != 0);
}

void subs_refs_of(const struct subs *s, uint64_t session, struct keys *out)
{
    const struct holder *h = holder_of(s, session);
    uint64_t r;
    for (uint32_t i = 0; h && table_next(&h->refs, &i, &r) != NULL;)
        keys_add(out, r);
}

bool subs_listens(const struct subs *s, uint64_t session, ref r)
{
    return listener_of(s, session, r) != NULL;
}

bool subs_user_listens(const struct subs *s, uint64_t user, ref r)
{
    for (const struct holder *h = table_get(&s->by_user, user); h; h = h->next)
        if (table_get(&h->refs, r))
            return true;
    return false;
}

uint64_t subs_user(const struct subs *s, uint64_t session)
{
    const struct holder *h = holder_of(s, session);
    return h ? h->user : 0;
}

uint32_t subs_sessions_of(const struct subs *s, uint64_t user, struct keys *out)
{
    uint32_t n = 0;
    for (const struct holder *h = table_get(&s->by_user, user); h; h = h->next, n++)
        if (out)
            keys_add(out, h->session);
    return n;
}

// --- entries ---

static bool waits_for(const struct listener *l, uint64_t version)
{
    return l->state == LISTEN_APART && l->at + 1 == version;
}

enum subs_verdict subs_entry(struct subs *s, ref r, uint64_t version)
{
    struct sub *sub = subs_get(s, r);
    if (!sub)
        return SUBS_NONE;
    if (version > sub->seen)
        sub->seen = version;
    if (!sub->known)
        return SUBS_NONE;
    if (version > sub->applied)
        return version == sub->applied + 1 ? SUBS_APPLY : SUBS_GAP;
    for (uint32_t i = 0; i < sub->n_odd; i++)
        if (waits_for(sub->v[i], version))
            return SUBS_CATCH;
    return SUBS_OLD;
}

static bool due(const struct listener *l, uint64_t version)
{
    if (l->state == LISTEN_FOLLOWS)
        return l->sub->applied + 1 == version;
    return waits_for(l, version);
}

static void address_all(const struct sub *sub, uint64_t version, uint64_t but_user, struct keys *out)
{
    uint32_t n = sub->applied + 1 == version ? sub->n : sub->n_odd;
    for (uint32_t i = 0; i < n; i++)
        if (due(sub->v[i], version) && sub->v[i]->holder->user != but_user)
            keys_add(out, sub->v[i]->holder->session);
}

void subs_address(const struct subs *s, ref r, uint64_t version, uint64_t to, uint64_t user, uint64_t session,
                  struct keys *out)
{
    const struct sub *sub = subs_get(s, r);
    if (!sub)
        return;
    if (to == 1) {
        for (const struct holder *h = table_get(&s->by_user, user); h; h = h->next) {
            const struct listener *l = table_get(&h->refs, r);
            if (l && due(l, version))
                keys_add(out, h->session);
        }
    } else if (to == 2) {
        const struct listener *l = session ? listener_of(s, session, r) : NULL;
        if (l && due(l, version))
            keys_add(out, session);
    } else {
        address_all(sub, version, to == 3 ? user : 0, out);
    }
}

// Those who stand where the record stands follow it from now on. Walks from the end: a listener that begins to follow
// changes places with the last odd one, which has been looked at.
static void gather(struct sub *sub)
{
    for (uint32_t i = sub->n_odd; i-- > 0;)
        if (sub->v[i]->state == LISTEN_APART && sub->v[i]->at == sub->applied)
            set_state(sub->v[i], LISTEN_FOLLOWS, 0);
}

void subs_advance(struct subs *s, ref r, uint64_t version)
{
    struct sub *sub = subs_get(s, r);
    if (!sub) // an event of the entry made the last one leave
        return;
    for (uint32_t i = 0; i < sub->n_odd; i++) {
        struct listener *l = sub->v[i];
        if (waits_for(l, version))
            l->at = version;
        else if (l->state == LISTEN_HELD)
            l->state = LISTEN_APART;
    }
    if (sub->applied + 1 == version)
        sub->applied = version;
    gather(sub);
}

// --- logs ---

uint64_t subs_read(struct sub *sub)
{
    uint64_t from = sub->applied;
    sub->applied_then = sub->applied;
    for (uint32_t i = 0; i < sub->n_odd; i++)
        if (sub->v[i]->state == LISTEN_APART && sub->v[i]->at < from)
            from = sub->v[i]->at;
    return from;
}

void subs_cut(struct sub *sub, uint64_t after, uint64_t first, struct keys *out)
{
    bool followers_lost = sub->applied >= after && sub->applied + 1 < first;
    for (uint32_t i = 0; i < sub->n; i++) {
        struct listener *l = sub->v[i];
        bool apart_lost = l->state == LISTEN_APART && l->at >= after && l->at + 1 < first;
        if (apart_lost)
            l->at = first - 1;
        if (apart_lost || (l->state == LISTEN_FOLLOWS && followers_lost))
            keys_add(out, l->holder->session);
    }
    if (followers_lost)
        sub->applied = first - 1;
    gather(sub);
}

static bool any_behind(const struct sub *sub)
{
    for (uint32_t i = 0; i < sub->n_odd; i++)
        if (sub->v[i]->state == LISTEN_APART && sub->v[i]->at < sub->applied)
            return true;
    return false;
}

bool subs_read_done(struct sub *sub)
{
    if (sub->applied > sub->applied_then && any_behind(sub)) // an event came over the bus after the log was read
        sub->again = true;
    if (!sub->again && sub->known) {
        // Whatever the log does not hold does not exist, whoever spoke of it.
        sub->seen = sub->applied;
        for (uint32_t i = sub->n_odd; i-- > 0;)
            if (sub->v[i]->state == LISTEN_APART && sub->v[i]->at < sub->applied)
                set_state(sub->v[i], LISTEN_FOLLOWS, 0);
    }
    bool again = sub->again;
    sub->again = false;
    return again;
}

static bool sub_valid(const struct sub *sub)
{
    if (sub->n == 0 || sub->n_odd > sub->n || sub->n > sub->cap)
        return false;
    for (uint32_t i = 0; i < sub->n; i++) {
        const struct listener *l = sub->v[i];
        if (l->sub != sub || l->index != i || (l->state != LISTEN_FOLLOWS) != (i < sub->n_odd))
            return false;
        if (l->state == LISTEN_APART && (!sub->known || l->at == sub->applied))
            return false;
        if (l->state == LISTEN_FOLLOWS && !sub->known)
            return false;
        if (l->state == LISTEN_HELD)
            return false;
    }
    return true;
}

bool subs_knows(const struct subs *s, uint64_t session, uint64_t op, ref place, uint64_t version)
{
    uint64_t at;
    if (version == 0 || !subs_told(s, session, place, &at))
        return false;
    return op ? at >= version : at > version;
}

static bool seats_valid(const struct subs *s, uint32_t n)
{
    const struct seat *seat;
    for (uint32_t i = 0; (seat = table_next(&s->by_sitter, &i, NULL)) != NULL;)
        for (; seat; seat = seat->next, n--)
            if (n == 0 || seat->epoch == 0 || table_get(&seat->sub->seats, seat->user) != seat)
                return false;
    return n == 0;
}

// --- seats that have to be read ---

bool subs_ask_seats(struct sub *sub)
{
    if (!sub->unseated || sub->asking)
        return false;
    sub->asking = true;
    sub->asked_at = sub->applied;
    return true;
}

bool subs_seats_come(struct subs *s, struct sub *sub, bool ok)
{
    bool asked = sub->asking;
    sub->asking = false;
    if (!ok || !asked || sub->asked_at != sub->applied)
        return false;
    sub->unseated = false;
    s->n_unseated--;
    return true;
}

static bool blind(const struct subs *s, const struct holder *h, ref r)
{
    const struct listener *l;
    for (uint32_t i = 0; s->n_unseated > 0 && (l = table_next(&h->refs, &i, NULL)) != NULL;)
        if (l->sub->unseated && l->sub->ref != r)
            return true;
    return false;
}

bool subs_blind(const struct subs *s, uint64_t session, ref r)
{
    const struct holder *h = holder_of(s, session);
    return h && blind(s, h, r);
}

// One that followed changes places with the first that does, which has been looked at.
bool subs_hold(struct subs *s, ref r, uint64_t version)
{
    struct sub *sub = subs_get(s, r);
    bool any = false;
    for (uint32_t i = 0; sub && s->n_unseated > 0 && i < sub->n; i++) {
        struct listener *l = sub->v[i];
        if (!due(l, version) || !blind(s, l->holder, r))
            continue;
        set_state(l, LISTEN_HELD, version - 1);
        any = true;
    }
    return any;
}

bool subs_valid(const struct subs *s)
{
    const struct sub *sub;
    uint32_t n_unseated = 0, seats = 0;
    for (uint32_t i = 0; (sub = table_next(&s->by_ref, &i, NULL)) != NULL;) {
        if (!sub_valid(sub))
            return false;
        n_unseated += sub->unseated;
        seats += sub->seats.n;
    }
    return n_unseated == s->n_unseated && seats_valid(s, seats);
}
