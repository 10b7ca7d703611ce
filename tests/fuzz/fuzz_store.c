// What Redis says, from its bytes on, and the bus's own decisions.
// - Whatever reply there is, in whatever pieces it came: asking it for a text, a number, an element, a field never
// reads
//   what is not there; a record's version, a log entry, the result of a compare-and-set are taken or refused.
// - A log entry that is taken has its version in its id, and its text is the reply's.
// - A link tells of each loss, delivers nothing twice, and says at most once a second that it is silent; a key is
// always one instance's, and stays so
//   while that lives.
#include "bus_core.h"
#include "fuzz.h"
#include "record.h"
#include "schema.h"
#include "store_reader.h"

#include <hiredis/hiredis.h>

enum { DEPTH_MAX = 7 };

// --- replies ---

static void check_entry(const struct reply *r)
{
    uint64_t version = 7;
    struct bytes text = BYTES("untouched");
    if (record_log_entry(r, &version, &text) != OK) {
        CHECK(bytes_is(text, "untouched"));
        return;
    }
    struct arena a = {0};
    struct bytes id = arena_printf(&a, "%llu-0", (unsigned long long)version), got = reply_text(reply_at(r, 0));
    CHECK(bytes_eq(id, got) || got.p[0] == '0'); // leading zeros
    CHECK(bytes_eq(text, reply_text(reply_field(reply_at(r, 1), "e"))));
    struct place_event e;
    if (UNPACK(&a, place_event, text, &e) == OK)
        (void)schema_packed(&a, &schema_place_event, &e);
    arena_fini(&a);
}

static void check_reply(const struct reply *r, unsigned depth)
{
    enum reply_kind kind = reply_kind(r);
    struct bytes text = reply_text(r), present = BYTES("untouched"), earlier = present;
    bool list = kind == REPLY_LIST, has_text = kind == REPLY_TEXT || kind == REPLY_STATUS || kind == REPLY_ERROR;
    CHECK(list || reply_n(r) == 0);
    CHECK(has_text || text.n == 0);
    CHECK(kind == REPLY_INT || reply_int(r) == 0);
    CHECK(reply_ok(r) == (r && kind != REPLY_ERROR));
    CHECK(!reply_at(r, reply_n(r)) && !reply_at(r, SIZE_MAX));
    const struct reply *v = reply_field(r, "v");
    uint64_t version;
    if (!v || bytes_u64(reply_text(v), &version) != OK)
        version = 0;
    CHECK(record_version(r) == version);
    check_entry(r);
    int err = record_cas_result(r, &present);
    CHECK(err == OK || err == ERR_IO || err == ERR_CONFLICT);
    CHECK(err == ERR_CONFLICT || bytes_is(present, "untouched"));
    err = record_once_result(r, &earlier);
    CHECK(err == (!reply_ok(r) ? ERR_IO : kind == REPLY_INT ? ERR_TIMEOUT : kind == REPLY_NIL ? OK : ERR_STATE));
    for (size_t i = 0; i < reply_n(r) && depth < DEPTH_MAX; i++)
        check_reply(reply_at(r, i), depth + 1);
}

static void read_replies(struct bytes in, uint8_t cut)
{
    redisReader *reader = redisReaderCreate();
    CHECK(reader != NULL);
    store_bound(reader);
    for (size_t at = 0; at < in.n;) {
        size_t n = cut && cut < in.n - at ? cut : in.n - at;
        void *reply = NULL;
        if (redisReaderFeed(reader, in.p + at, n) != REDIS_OK)
            break;
        at += n;
        bool ok;
        while ((ok = redisReaderGetReply(reader, &reply) == REDIS_OK) && reply) {
            check_reply(reply, 0);
            freeReplyObject(reply);
            reply = NULL;
        }
        if (!ok)
            break;
    }
    redisReaderFree(reader);
    check_reply(NULL, 0);
}

// --- replies as they should be, nearly ---

static void put_text(struct buf *out, struct bytes text)
{
    buf_printf(out, "$%zu\r\n", text.n);
    buf_add(out, text.p, text.n);
    buf_str(out, "\r\n");
}

static void put_reply(struct feed *f, struct buf *out, unsigned depth)
{
    static const char *const texts[] = {"v", "12", "e", "7-0", "7-1", "18446744073709551615-0", "x", ""};
    uint32_t n;
    switch (feed_below(f, 8)) {
    case 0:
        buf_str(out, "$-1\r\n");
        break;
    case 1:
        buf_printf(out, ":%d\r\n", (int)feed_u8(f) - 2);
        break;
    case 2:
        buf_str(out, feed_flag(f) ? "-ERR no\r\n" : "+OK\r\n");
        break;
    case 3:
    case 4:
        put_text(out, bytes_of(texts[feed_below(f, countof(texts))]));
        break;
    case 5:
        put_text(out, feed_bytes(f, 255));
        break;
    default:
        n = depth < DEPTH_MAX ? feed_below(f, 5) : 0;
        buf_printf(out, "*%u\r\n", n);
        for (uint32_t i = 0; i < n; i++)
            put_reply(f, out, depth + 1);
        break;
    }
}

static void put_log(struct feed *f, struct buf *out)
{
    uint32_t n = feed_below(f, 5);
    buf_printf(out, "*%u\r\n", n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t version = feed_number(f);
        struct arena a = {0};
        const struct event events[] = {{.name = BYTES("X"), .body = feed_bytes(f, 20)}};
        struct place_event e = {.ref = 900, .version = version, .at = 5};
        e.events.n = feed_below(f, 2);
        e.events.v = events;
        buf_str(out, "*2\r\n");
        put_text(out, arena_printf(&a, "%llu-0", (unsigned long long)version));
        buf_str(out, "*2\r\n");
        put_text(out, BYTES("e"));
        put_text(out, schema_packed(&a, &schema_place_event, &e));
        arena_fini(&a);
    }
}

// --- the bus ---

static void link_of(struct feed *f)
{
    struct bus_link l = {0};
    uint64_t now = 1000, delivered = 0, epoch = 0;
    for (unsigned n = 0; f->n && n < 200; n++) {
        uint8_t what = feed_u8(f);
        now += (what >> 4) * 100u;
        uint64_t since = l.told_at ? l.told_at : l.heard_at;
        bool silent = bus_link_is_silent(&l, now);
        CHECK(silent == (now - since >= BUS_SILENT_MS));
        CHECK(!silent || l.told_at == now);
        if ((what & 3) == 3)
            continue;
        uint64_t of = 1 + (what >> 2 & 1), seq = feed_number(f);
        bool beat = what & 1, same = of == epoch;
        enum bus_heard heard = bus_link_heard(&l, of, seq, beat, now);
        CHECK(l.told_at == 0 && l.heard_at == now && l.epoch == of);
        if (beat)
            CHECK(heard != BUS_HEARD_OLD &&
                  (heard == BUS_HEARD_LOST) == ((epoch && !same) || seq > (same ? delivered : 0)));
        else
            CHECK((heard == BUS_HEARD_OLD) == (same && seq <= delivered));
        if (heard == BUS_HEARD_OK && !beat)
            CHECK(seq == (same ? delivered : 0) + 1);
        if (heard == BUS_HEARD_OLD)
            continue;
        delivered = same && delivered > seq ? delivered : seq;
        epoch = of;
        CHECK(l.seq == delivered);
    }
}

static void pick(struct feed *f)
{
    uint64_t names[8] = {0}, key = feed_u64(f);
    size_t n = feed_below(f, countof(names) + 1);
    for (size_t i = 0; i < n; i++)
        names[i] = 1 + i * 1000 + feed_u8(f);
    size_t at = bus_pick(names, n, key, 0);
    CHECK(n ? at < n : at == n);
    if (n < 2)
        return;
    size_t other = bus_pick(names, n, key, names[at]);
    CHECK(other < n && other != at);
    size_t gone = feed_below(f, 8) % n; // one of them goes: only its keys move, and to whom they would have gone anyway
    uint64_t of = names[at], next = names[other];
    names[gone] = names[n - 1];
    size_t now = bus_pick(names, n - 1, key, 0);
    CHECK(names[now] == (at == gone ? next : of));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct buf out = {0};
    uint8_t what = feed_u8(&f), cut = feed_u8(&f);
    switch (what % 5) {
    case 0:
        read_replies(feed_rest(&f), cut);
        break;
    case 1:
        put_reply(&f, &out, 0);
        read_replies(buf_bytes(&out), cut);
        break;
    case 2:
        put_log(&f, &out);
        read_replies(buf_bytes(&out), cut);
        break;
    case 3:
        link_of(&f);
        break;
    case 4:
        pick(&f);
        break;
    }
    buf_fini(&out);
    return 0;
}
