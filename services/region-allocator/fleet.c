// fleet: nodes in one array, found by a table; loads, leases and what was just sent where.
// Pure: the caller says what time it is. Nothing here is trusted because a node said it.
#include "fleet.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void fleet_init(struct fleet *f, uint32_t max, uint64_t lease_ms, uint64_t now)
{
    CHECK(max > 0 && lease_ms > 0);
    *f = (struct fleet){.max = max, .lease_ms = lease_ms, .began_at = now, .ticked_at = now};
    f->v = mem_alloc(max * sizeof *f->v);
}

void fleet_fini(struct fleet *f)
{
    mem_free(f->v);
    table_fini(&f->by_id);
    *f = (struct fleet){0};
}

bool node_name_ok(struct bytes name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return name.n >= 1 && name.n <= NODE_NAME_MAX;
}

bool node_endpoint_ok(struct bytes endpoint)
{
    size_t colon = endpoint.n;
    while (colon > 0 && endpoint.p[colon - 1] != ':')
        colon--;
    if (colon < 2 || endpoint.n > NODE_ENDPOINT_MAX)
        return false;
    uint64_t port = 0;
    struct bytes host = {endpoint.p, colon - 1}, digits = {endpoint.p + colon, endpoint.n - colon};
    if (bytes_u64(digits, &port) || digits.n > 5 || port < 1 || port > 65535)
        return false;
    bool v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    for (size_t i = v6 ? 1 : 0; i < host.n - (v6 ? 1 : 0); i++) {
        char c = host.p[i];
        bool hex = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9');
        bool name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
        if (v6 ? !(hex || c == ':' || c == '.') : !name)
            return false;
    }
    return true;
}

static struct node *find(const struct fleet *f, struct bytes id)
{
    struct node *n = table_get(&f->by_id, bytes_hash(id));
    return n && bytes_is(id, n->id) ? n : NULL;
}

const struct node *fleet_find(const struct fleet *f, struct bytes id)
{
    return find(f, id);
}

// The texts must have passed their checks.
static int add(struct fleet *f, struct bytes id, struct node **out)
{
    if (table_get(&f->by_id, bytes_hash(id)))
        return ERR_CONFLICT; // the id, or (never seen) another one with its hash
    if (f->n == f->max)
        return ERR_FULL;
    struct node *n = &f->v[f->n++];
    *n = (struct node){0};
    CHECK(bytes_copy(n->id, sizeof n->id, id) == OK);
    table_put(&f->by_id, bytes_hash(id), n);
    *out = n;
    return OK;
}

static void take_out(struct fleet *f, struct node *n)
{
    table_remove(&f->by_id, bytes_hash(bytes_of(n->id)));
    struct node *last = &f->v[--f->n];
    if (n != last) {
        *n = *last;
        table_put(&f->by_id, bytes_hash(bytes_of(n->id)), n);
    }
}

static uint64_t units(uint64_t v)
{
    return v < NODE_UNITS_MAX ? v : NODE_UNITS_MAX;
}

int fleet_fix(struct fleet *f, struct bytes id, struct bytes region, struct bytes endpoint, uint64_t capacity)
{
    if (!node_name_ok(id) || !node_name_ok(region) || !node_endpoint_ok(endpoint) || capacity < 1)
        return ERR_INVALID;
    struct node *n;
    int err = add(f, id, &n);
    if (err)
        return err;
    n->fixed = true;
    n->capacity = units(capacity);
    CHECK(bytes_copy(n->region, sizeof n->region, region) == OK);
    CHECK(bytes_copy(n->endpoint, sizeof n->endpoint, endpoint) == OK);
    return OK;
}

// --- what was sent there and does not show yet ---

// How old the slot `age` seconds before fresh_s is at `now_s`; a clock that went back makes nothing older.
static bool fresh_counts(const struct node *n, uint64_t age, uint64_t now_s)
{
    return n->fresh_s >= age && (now_s <= n->fresh_s || now_s - n->fresh_s + age < FLEET_FRESH_S);
}

static uint64_t fresh_sum(const struct node *n, uint64_t now)
{
    uint64_t sum = 0;
    for (uint64_t age = 0; age < FLEET_FRESH_S; age++)
        if (fresh_counts(n, age, now / 1000))
            sum += n->fresh[(n->fresh_s - age) % FLEET_FRESH_S];
    return sum;
}

static void fresh_roll(struct node *n, uint64_t now)
{
    uint64_t now_s = now / 1000;
    for (uint32_t i = 0; i < FLEET_FRESH_S && n->fresh_s < now_s; i++)
        n->fresh[++n->fresh_s % FLEET_FRESH_S] = 0;
    if (n->fresh_s < now_s)
        n->fresh_s = now_s; // away for longer than all slots: they have all been cleared
}

// `n_seen` of them are in the load now; the ones sent first came first.
static void fresh_seen(struct node *n, uint64_t n_seen)
{
    for (uint64_t age = FLEET_FRESH_S; n_seen && age-- > 0;) {
        if (n->fresh_s < age)
            continue;
        uint32_t *slot = &n->fresh[(n->fresh_s - age) % FLEET_FRESH_S];
        uint32_t take = *slot < n_seen ? *slot : (uint32_t)n_seen;
        *slot -= take;
        n_seen -= take;
    }
}

static void set_load(struct node *n, uint64_t load)
{
    load = units(load);
    if (load > n->load)
        fresh_seen(n, load - n->load);
    n->load = load;
}

void fleet_expect(struct fleet *f, const char *id, bool new_call, uint64_t now)
{
    struct node *n = find(f, bytes_of(id));
    if (!n || (!n->reports && !new_call)) // one that does not report is measured in calls
        return;
    fresh_roll(n, now);
    uint32_t *slot = &n->fresh[n->fresh_s % FLEET_FRESH_S];
    if (*slot < NODE_UNITS_MAX)
        ++*slot;
}

void fleet_count(struct fleet *f, const char *id, uint64_t calls)
{
    struct node *n = find(f, bytes_of(id));
    if (n && !n->reports)
        set_load(n, calls);
}

// --- announcements and leases ---

// A node that is known. Region and endpoint of one that announces itself may change with a new process only in theory;
// whoever was there is not served any more in either case.
static int hear(struct node *n, const struct node_announce *a, enum fleet_news *news)
{
    if (n->reports && a->epoch < n->epoch)
        return ERR_STATE;
    bool elsewhere = !n->fixed && (!bytes_is(a->region, n->region) || !bytes_is(a->endpoint, n->endpoint));
    bool restarted = n->reports && (a->epoch > n->epoch || elsewhere);
    *news = a->draining && !n->draining ? FLEET_DRAINS : restarted ? FLEET_RESTARTED : FLEET_KNOWN;
    if (restarted)
        memset(n->fresh, 0, sizeof n->fresh);
    return OK;
}

int fleet_announce(struct fleet *f, const struct node_announce *a, uint64_t now, enum fleet_news *news)
{
    if (!node_name_ok(a->node) || !node_name_ok(a->region) || !node_endpoint_ok(a->endpoint))
        return ERR_INVALID;
    struct node *n = find(f, a->node);
    enum fleet_news heard = FLEET_NEW;
    int err = n ? hear(n, a, &heard) : add(f, a->node, &n);
    if (err)
        return err;
    if (heard == FLEET_NEW && a->draining)
        heard = FLEET_DRAINS;
    n->reports = true;
    n->heard_at = now;
    n->epoch = a->epoch;
    n->draining = a->draining;
    set_load(n, a->load);
    if (!n->fixed) {
        n->capacity = units(a->capacity);
        CHECK(bytes_copy(n->region, sizeof n->region, a->region) == OK);
        CHECK(bytes_copy(n->endpoint, sizeof n->endpoint, a->endpoint) == OK);
    }
    *news = heard;
    return OK;
}

void fleet_tick(struct fleet *f, uint64_t now)
{
    uint64_t gap = now - f->ticked_at;
    f->ticked_at = now;
    if (gap > FLEET_STALL_MS) {
        f->began_at += gap;
        for (uint32_t i = 0; i < f->n; i++)
            f->v[i].heard_at = f->v[i].heard_at + gap < now ? f->v[i].heard_at + gap : now;
    }
    for (uint32_t i = 0; i < f->n; i++) {
        struct node *n = &f->v[i];
        if (n->fixed && n->reports && now - n->heard_at > f->lease_ms) {
            n->reports = n->draining = false; // back to what the file says
            n->load = n->epoch = 0;
            memset(n->fresh, 0, sizeof n->fresh);
        }
    }
}

bool fleet_take_lost(struct fleet *f, uint64_t now, struct node *lost)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (!f->v[i].fixed && now - f->v[i].heard_at > f->lease_ms) {
            *lost = f->v[i];
            take_out(f, &f->v[i]);
            return true;
        }
    return false;
}

// --- asking ---

bool fleet_sure(const struct fleet *f, uint64_t now)
{
    return now >= f->began_at + f->lease_ms;
}

enum node_state fleet_state(const struct fleet *f, struct bytes id, uint64_t now)
{
    const struct node *n = find(f, id);
    if (!n)
        return fleet_sure(f, now) ? NODE_GONE : NODE_UNSURE;
    return n->draining ? NODE_DRAINING : NODE_USABLE;
}

uint64_t node_expected(const struct node *n, uint64_t now)
{
    return n->load + fresh_sum(n, now);
}

uint64_t node_room(const struct node *n, uint64_t now)
{
    uint64_t expected = node_expected(n, now);
    return n->draining || expected >= n->capacity ? 0 : n->capacity - expected;
}

uint64_t fleet_room(const struct fleet *f, struct bytes region, uint64_t now)
{
    uint64_t room = 0;
    for (uint32_t i = 0; i < f->n; i++)
        if (!region.n || bytes_is(region, f->v[i].region))
            room += node_room(&f->v[i], now);
    return room;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

uint32_t fleet_regions(const struct fleet *f, const char **out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++)
        out[i] = f->v[i].region;
    if (f->n)
        qsort(out, f->n, sizeof *out, by_text);
    for (uint32_t i = 0; i < f->n; i++)
        if (n == 0 || strcmp(out[i], out[n - 1]) != 0)
            out[n++] = out[i];
    return n;
}

void fleet_dump(const struct fleet *f, uint64_t now, struct buf *out)
{
    buf_printf(out, "fleet: %u of %u nodes%s\n", f->n, f->max, fleet_sure(f, now) ? "" : ", still listening for more");
    for (uint32_t i = 0; i < f->n; i++) {
        const struct node *n = &f->v[i];
        buf_printf(out, "  %s region=%s endpoint=%s load=%" PRIu64 " expected=%" PRIu64 " capacity=%" PRIu64, n->id,
                   n->region, n->endpoint, n->load, node_expected(n, now), n->capacity);
        if (n->reports)
            buf_printf(out, " heard=%" PRIu64 "ms ago epoch=%" PRIu64, now - n->heard_at, n->epoch);
        buf_printf(out, "%s%s\n", n->fixed ? " fixed" : "", n->draining ? " draining" : "");
    }
}
