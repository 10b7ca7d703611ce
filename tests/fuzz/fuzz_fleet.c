// The fleet of voice nodes, who gets a call, and the operator's regions file.
// - Whatever is announced, when and in whatever order: nodes are distinct and within their bound, their texts are names
// and
//   endpoints, nothing drains or is full that is picked, and who is picked is in the region asked for.
// - A refused announcement changes nothing; a node is lost only after its lease, and one of the file never.
// - Any regions file is read or refused with a sentence; the list that clients see is JSON with exactly one optimal
// region.
#include "fuzz.h"
#include "pick.h"
#include "regions.h"

#include <jansson.h>

enum { NODES_MAX = 5, LEASE = 3000 };

static const char *const names[] = {"a", "b", "c", "d", "e", "f", "ams-1", "", "b/d"};
static const char *const regions_of[] = {"ams", "par", "ams", "x y"};
static const char *const endpoints[] = {"h:443", "[::1]:5", "h", "h:70000"};

struct run {
    struct feed in;
    struct fleet fleet;
    struct regions regions;
    uint64_t now;
};

static struct bytes name_of(struct run *r)
{
    return bytes_of(names[feed_below(&r->in, countof(names))]);
}

static void check(struct run *r)
{
    const struct fleet *f = &r->fleet;
    const char *regions[NODES_MAX];
    uint64_t room = 0;
    CHECK(f->n <= f->max && f->by_id.n == f->n);
    for (uint32_t i = 0; i < f->n; i++) {
        const struct node *n = &f->v[i];
        CHECK(node_name_ok(bytes_of(n->id)) && node_name_ok(bytes_of(n->region)) &&
              node_endpoint_ok(bytes_of(n->endpoint)));
        CHECK(fleet_find(f, bytes_of(n->id)) == n);
        CHECK(n->capacity <= NODE_UNITS_MAX && n->load <= NODE_UNITS_MAX && (n->fixed || n->reports));
        CHECK(node_expected(n, r->now) >= n->load);
        CHECK(!n->draining || node_room(n, r->now) == 0);
        CHECK(fleet_state(f, bytes_of(n->id), r->now) == (n->draining ? NODE_DRAINING : NODE_USABLE));
        room += node_room(n, r->now);
    }
    CHECK(fleet_room(f, BYTES_NONE, r->now) == room);
    uint32_t n = fleet_regions(f, regions);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(i == 0 || strcmp(regions[i - 1], regions[i]) < 0);
        CHECK(region_known(&r->regions, f, bytes_of(regions[i])));
        CHECK(fleet_room(f, bytes_of(regions[i]), r->now) <= room);
    }
}

static void announce(struct run *r)
{
    uint8_t what = feed_u8(&r->in);
    enum fleet_news news;
    struct node before = {0};
    const struct node_announce a = {.node = name_of(r),
                                    .region = bytes_of(regions_of[what & 3]),
                                    .endpoint = bytes_of(what & 0x40 ? endpoints[what >> 2 & 3] : "h:443"),
                                    .capacity = feed_number(&r->in),
                                    .load = feed_number(&r->in),
                                    .draining = (what & 0x30) == 0x30,
                                    .epoch = feed_number(&r->in)};
    const struct node *n = fleet_find(&r->fleet, a.node);
    uint32_t count = r->fleet.n;
    if (n)
        before = *n;
    int err = fleet_announce(&r->fleet, &a, r->now, &news);
    if (err) {
        CHECK(r->fleet.n == count && (!n || memcmp(&before, n, sizeof before) == 0));
        CHECK(err == ERR_INVALID || err == ERR_STATE || (err == ERR_FULL && count == r->fleet.max));
        return;
    }
    CHECK(news != FLEET_NEW || !n);
    CHECK(r->fleet.n == count + (n == NULL));
    n = fleet_find(&r->fleet, a.node);
    CHECK(n && n->reports && n->epoch == a.epoch && n->draining == a.draining && n->heard_at == r->now);
    CHECK(!before.fixed || (strcmp(before.endpoint, n->endpoint) == 0 && before.capacity == n->capacity));
}

static void pass_time(struct run *r)
{
    struct node lost;
    uint64_t gap = feed_u8(&r->in) * 20u;
    r->now += gap;
    fleet_tick(&r->fleet, r->now);
    while (fleet_take_lost(&r->fleet, r->now, &lost)) {
        CHECK(!lost.fixed && r->now - lost.heard_at > LEASE);
        CHECK(gap <= FLEET_STALL_MS); // else it was we who were away
        CHECK(!fleet_find(&r->fleet, bytes_of(lost.id)));
    }
}

static void choose(struct run *r)
{
    const struct bytes preferred[] = {name_of(r), BYTES("par"), BYTES("ams")};
    const struct pick_request q = {.region =
                                       feed_flag(&r->in) ? bytes_of(regions_of[feed_below(&r->in, 4)]) : BYTES_NONE,
                                   .preferred = {feed_below(&r->in, countof(preferred) + 1), preferred},
                                   .fallback = regions_default(&r->regions)};
    const struct node *n = NULL;
    if (pick(&r->fleet, &q, r->now, feed_u64(&r->in), &n) == PICK_FULL) {
        CHECK(!n && fleet_room(&r->fleet, q.region, r->now) == 0);
        return;
    }
    CHECK(n && fleet_find(&r->fleet, bytes_of(n->id)) == n && node_room(n, r->now) > 0);
    CHECK(!q.region.n || bytes_is(q.region, n->region));
    bool passed = false; // a preferred region with room comes before the one picked
    for (uint32_t i = 0; i < q.preferred.n && !q.region.n && !bytes_is(preferred[i], n->region); i++)
        passed |= preferred[i].n && fleet_room(&r->fleet, preferred[i], r->now) > 0;
    CHECK(!passed);
    uint64_t expected = node_expected(n, r->now);
    fleet_expect(&r->fleet, n->id, true, r->now);
    CHECK(node_expected(n, r->now) == expected + 1);
}

static void fix(struct run *r)
{
    uint32_t count = r->fleet.n;
    struct bytes name = name_of(r), region = bytes_of(regions_of[feed_below(&r->in, 4)]);
    int err = fleet_fix(&r->fleet, name, region, BYTES("h:1"), feed_number(&r->in));
    CHECK(r->fleet.n == count + (err == OK));
    CHECK(err != OK || fleet_find(&r->fleet, name)->fixed);
}

static void show(struct run *r)
{
    struct buf out = {0};
    size_t optimal = 0;
    regions_json(&r->regions, &r->fleet, &out);
    json_t *json = json_loadb(out.p, out.n, 0, NULL), *one;
    size_t i;
    CHECK(json_is_array(json));
    json_array_foreach(json, i, one)
    {
        optimal += json_is_true(json_object_get(one, "optimal"));
    }
    CHECK(optimal == (json_array_size(json) > 0));
    json_decref(json);
    buf_reset(&out);
    fleet_dump(&r->fleet, r->now, &out);
    buf_fini(&out);
}

static void act(struct run *r)
{
    switch (feed_below(&r->in, 8)) {
    case 0:
    case 1:
        announce(r);
        break;
    case 2:
        pass_time(r);
        break;
    case 3:
        choose(r);
        break;
    case 4:
        fix(r);
        break;
    case 5:
        fleet_expect(&r->fleet, names[feed_below(&r->in, countof(names))], feed_flag(&r->in), r->now);
        break;
    case 6:
        fleet_count(&r->fleet, names[feed_below(&r->in, countof(names))], feed_number(&r->in));
        break;
    case 7:
        show(r);
        break;
    }
    check(r);
}

static void file(struct run *r)
{
    struct bytes text = feed_rest(&r->in);
    struct buf why = {0};
    char *own = feed_own(text);
    int err = regions_parse(&r->regions, &r->fleet, (struct bytes){own, text.n}, &why);
    mem_free(own);
    if (err == OK) {
        CHECK(why.n == 0 && r->regions.n <= REGIONS_MAX && (!r->regions.n || r->regions.fallback < r->regions.n));
        check(r);
        show(r);
    } else {
        CHECK(err == ERR_INVALID && why.n > 0 && r->regions.n == 0);
    }
    buf_fini(&why);
}

static void endpoint(struct run *r)
{
    struct bytes text = feed_rest(&r->in);
    char *own = feed_own(text);
    struct bytes mine = {own, text.n};
    if (node_endpoint_ok(mine))
        CHECK(mine.n <= NODE_ENDPOINT_MAX && memchr(own, ':', mine.n) && !memchr(own, '/', mine.n));
    CHECK(!node_name_ok(mine) || (mine.n && mine.n <= NODE_NAME_MAX));
    mem_free(own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    r = (struct run){.in = {data, size}, .now = 10000};
    fleet_init(&r.fleet, NODES_MAX, LEASE, r.now);
    switch (feed_below(&r.in, 6)) {
    case 0:
        file(&r);
        break;
    case 1:
        endpoint(&r);
        break;
    default:
        r.regions = (struct regions){.n = 1, .v = {{"ams", "Amsterdam"}}};
        for (unsigned n = 0; r.in.n && n < 200; n++)
            act(&r);
        break;
    }
    fleet_fini(&r.fleet);
    return 0;
}
