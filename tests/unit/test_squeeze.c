// test_squeeze: what comes out of zlib's and zstd's own readers is what went in, message by message, whether it was
// compressed or not, and what a stream costs is counted and within its room.
#include "squeeze.h"
#include "metrics.h"
#include "check.h"

#include <zlib.h>
#include <zstd.h>

static const char *const names[] = {"zlib", "zstd"};

struct reader {
    enum squeeze_kind kind;
    z_stream zlib;
    ZSTD_DCtx *zstd;
    struct buf text;
};

static void reader_init(struct reader *r, enum squeeze_kind kind)
{
    *r = (struct reader){.kind = kind};
    if (kind == SQUEEZE_ZLIB)
        CHECK_EQ(inflateInit(&r->zlib), Z_OK);
    else
        r->zstd = ZSTD_createDCtx();
}

static void reader_fini(struct reader *r)
{
    if (r->kind == SQUEEZE_ZLIB)
        inflateEnd(&r->zlib);
    ZSTD_freeDCtx(r->zstd);
    buf_fini(&r->text);
}

static void read_zlib(struct reader *r, struct bytes in)
{
    r->zlib.next_in = (z_const Bytef *)(uintptr_t)in.p;
    r->zlib.avail_in = (uInt)in.n;
    do {
        Bytef room[1000];
        r->zlib.next_out = room;
        r->zlib.avail_out = sizeof room;
        int err = inflate(&r->zlib, Z_SYNC_FLUSH);
        CHECK_TRUE(err == Z_OK || err == Z_BUF_ERROR || err == Z_STREAM_END);
        buf_add(&r->text, room, sizeof room - r->zlib.avail_out);
    } while (r->zlib.avail_out == 0);
    CHECK_EQ(r->zlib.avail_in, 0);
}

static void read_zstd(struct reader *r, struct bytes in)
{
    ZSTD_inBuffer from = {in.p, in.n, 0};
    ZSTD_outBuffer to;
    do {
        char room[1000];
        to = (ZSTD_outBuffer){room, sizeof room, 0};
        CHECK_TRUE(!ZSTD_isError(ZSTD_decompressStream(r->zstd, &to, &from)));
        buf_add(&r->text, room, to.pos);
    } while (to.pos == to.size);
    CHECK_EQ(from.pos, from.size);
}

static struct bytes read_message(struct reader *r, struct bytes in)
{
    buf_reset(&r->text);
    if (r->kind == SQUEEZE_ZLIB)
        read_zlib(r, in);
    else
        read_zstd(r, in);
    return buf_bytes(&r->text);
}

// Texts that repeat themselves somewhat, as ours do; sometimes of bytes that nothing can be made of.
static void fill(struct buf *b, size_t n, bool noise)
{
    uint32_t seed = (uint32_t)n * 2654435761u + 1;
    buf_reset(b);
    while (b->n < n) {
        seed = seed * 1664525u + 1013904223u;
        if (noise)
            buf_char(b, (char)(seed >> 24));
        else
            buf_printf(b, "{\"user_id\":\"15743284616%u\",\"mute\":false},", seed >> 20);
    }
    b->n = n;
}

static const size_t sizes[] = {0, 1, 10, 333, 1000, 4096, 32767, 32768, 32769, 65535, 65536, 65537, 300000, 2, 333};

static void one_stream(enum squeeze_kind kind, uint32_t bits, uint64_t room, bool noise)
{
    struct squeeze *z = squeeze_new(kind, bits, room);
    struct reader r;
    struct buf text = {0}, out = {0};
    uint64_t cost = M.memory_deflate_bytes;
    CHECK_TRUE(cost <= room);
    reader_init(&r, kind);
    for (size_t i = 0; i < countof(sizes); i++) {
        struct bytes head = {"{\"op\":0,\"s\":1,", i % 3 ? 14 : 0};
        fill(&text, sizes[i], noise);
        buf_reset(&out);
        squeeze_add(z, &out, head, buf_bytes(&text));
        struct bytes told = read_message(&r, buf_bytes(&out));
        bool same = told.n == head.n + text.n && memcmp(told.p ? told.p : "", head.p, head.n) == 0 &&
                    (!text.n || memcmp(told.p + head.n, text.p, text.n) == 0);
        bool ends = kind == SQUEEZE_ZSTD || memcmp(out.p + out.n - 4, "\0\0\xff\xff", 4) == 0;
        if (!same || !ends)
            printf("%s %u, %llu: message %zu\n", names[kind], bits, (unsigned long long)room, i), test_failures++;
    }
    CHECK_EQ(M.memory_deflate_bytes, cost);
    squeeze_free(z);
    CHECK_EQ(M.memory_deflate_bytes, 0);
    reader_fini(&r);
    buf_fini(&text);
    buf_fini(&out);
}

TEST(each_message_can_be_read_as_soon_as_it_has_come)
{
    for (enum squeeze_kind kind = SQUEEZE_ZLIB; kind <= SQUEEZE_ZSTD; kind++)
        for (uint32_t bits = 9; bits <= 15; bits++)
            for (int noise = 0; noise < 2; noise++) {
                one_stream(kind, bits, UINT64_MAX, noise);
                one_stream(kind, bits, 0, noise);
                one_stream(kind, bits, 150000, noise);
            }
}

static uint64_t cost_of(enum squeeze_kind kind, uint32_t bits, uint64_t room)
{
    struct squeeze *z = squeeze_new(kind, bits, room);
    uint64_t cost = M.memory_deflate_bytes;
    squeeze_free(z);
    return cost;
}

TEST(a_stream_costs_what_there_is_room_for_or_nothing)
{
    for (enum squeeze_kind kind = SQUEEZE_ZLIB; kind <= SQUEEZE_ZSTD; kind++)
        for (uint32_t bits = 9; bits <= 15; bits++) {
            uint64_t cost = cost_of(kind, bits, UINT64_MAX);
            CHECK_TRUE(cost > 4000 && cost < 300000);
            CHECK_EQ(cost_of(kind, bits, cost), cost);
            CHECK_EQ(cost_of(kind, bits, cost - 1), 0);
            CHECK_EQ(cost_of(kind, bits, 0), 0);
        }
    CHECK_TRUE(cost_of(SQUEEZE_ZSTD, 15, UINT64_MAX) < cost_of(SQUEEZE_ZLIB, 15, UINT64_MAX));
    CHECK_EQ(M.memory_deflate_bytes, 0);
}

TEST(what_is_said_twice_is_smaller_the_second_time_but_not_where_there_is_no_room)
{
    for (enum squeeze_kind kind = SQUEEZE_ZLIB; kind <= SQUEEZE_ZSTD; kind++)
        for (int room = 0; room < 2; room++) {
            struct squeeze *z = squeeze_new(kind, 15, room ? UINT64_MAX : 0);
            struct buf text = {0}, out = {0};
            fill(&text, 2000, true);
            squeeze_add(z, &out, BYTES_NONE, buf_bytes(&text));
            size_t first = out.n;
            squeeze_add(z, &out, BYTES_NONE, buf_bytes(&text));
            CHECK_TRUE(first >= 2000 && (room ? out.n - first < 100 : out.n - first >= 2000));
            squeeze_free(z);
            buf_fini(&text);
            buf_fini(&out);
        }
}

TEST(a_message_by_itself_is_a_whole_stream)
{
    for (size_t i = 0; i < countof(sizes); i++) {
        struct reader r;
        struct buf text = {0}, out = {0};
        fill(&text, sizes[i], false);
        for (int again = 0; again < 2; again++) {
            reader_init(&r, SQUEEZE_ZLIB);
            buf_reset(&out);
            squeeze_whole(&out, BYTES("{\"op\":0,"), buf_bytes(&text));
            struct bytes told = read_message(&r, buf_bytes(&out));
            CHECK_TRUE(told.n == 8 + text.n && memcmp(told.p, "{\"op\":0,", 8) == 0 &&
                       (!text.n || memcmp(told.p + 8, text.p, text.n) == 0));
            CHECK_EQ(inflateReset(&r.zlib), Z_OK);
            reader_fini(&r);
        }
        CHECK_TRUE((unsigned char)out.p[0] == 0x78);
        buf_fini(&text);
        buf_fini(&out);
    }
    CHECK_EQ(M.memory_deflate_bytes, 0);
}

MAIN
