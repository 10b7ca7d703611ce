// wire: what msgpack-c writes is read back, and no input makes the cursor read past its end or believe a length.
#include "check.h"
#include "wire.h"
#include <msgpack.h>

static int to_buf(void *b, const char *p, size_t n)
{
    buf_add(b, p, n);
    return 0;
}

TEST(integers_of_every_width_come_back)
{
    static const uint64_t values[] = {0, 127, 128, 255, 256, 65535, 65536, 0xffffffff, 0x100000000, UINT64_MAX};
    for (size_t i = 0; i < countof(values); i++) {
        struct buf b = {0};
        msgpack_packer pk;
        msgpack_packer_init(&pk, &b, to_buf);
        msgpack_pack_uint64(&pk, values[i]);
        msgpack_pack_int64(&pk, -(int64_t)(values[i] / 2) - 1);
        struct wire w = wire_of(buf_bytes(&b));
        uint64_t u = 1;
        int64_t s = 1;
        CHECK_EQ(wire_u64(&w, &u), OK);
        CHECK_EQ(u, values[i]);
        CHECK_EQ(wire_i64(&w, &s), OK);
        CHECK_EQ(s, -(int64_t)(values[i] / 2) - 1);
        CHECK_TRUE(wire_done(&w));
        buf_fini(&b);
    }
}

TEST(nothing_at_all_is_short_and_no_trouble)
{
    struct wire w = wire_of(BYTES_NONE);
    uint32_t n;
    CHECK_TRUE(wire_done(&w));
    CHECK_EQ(wire_array(&w, &n), ERR_INVALID);
}

TEST(a_negative_number_is_no_u64)
{
    struct wire w = wire_of(BYTES("\xff"));
    uint64_t u = 7;
    CHECK_EQ(wire_u64(&w, &u), ERR_INVALID);
    CHECK_EQ(u, 7);
    CHECK_TRUE(w.failed);
}

TEST(a_length_beyond_the_input_is_refused_before_it_is_believed)
{
    const struct bytes hostile[] = {
        BYTES("\xdd\xff\xff\xff\xff"),
        BYTES("\xdc\xff\xff"),
        BYTES("\x9f"),
        BYTES("\xdf\xff\xff\xff\xff"),
        BYTES("\xdb\xff\xff\xff\xff"),
        BYTES("\xc6\xff\xff\xff\xff"),
        BYTES("\xc9\xff\xff\xff\xff\x01"),
        BYTES("\xa5"),
        BYTES("\xcf\x01"),
        BYTES(""),
    };
    for (size_t i = 0; i < countof(hostile); i++) {
        struct wire w = wire_of(hostile[i]);
        uint32_t n = 0;
        struct bytes b = BYTES_NONE;
        CHECK_EQ(wire_skip(&w), ERR_INVALID);
        w = wire_of(hostile[i]);
        CHECK_EQ(wire_array(&w, &n), ERR_INVALID);
        w = wire_of(hostile[i]);
        CHECK_EQ(wire_str(&w, &b), ERR_INVALID);
        w = wire_of(hostile[i]);
        CHECK_EQ(wire_bin(&w, &b), ERR_INVALID);
    }
}

TEST(skip_takes_one_value_of_each_kind_whole)
{
    const struct bytes values[] = {
        BYTES("\x07"),
        BYTES("\xe0"),
        BYTES("\xc0"),
        BYTES("\xc3"),
        BYTES("\x82\x01\x02\x03\x04"),
        BYTES("\x92\x01\xc0"),
        BYTES("\xa3"
              "abc"),
        BYTES("\xc4\x02xy"),
        BYTES("\xc7\x01\x05z"),
        BYTES("\xca\x00\x00\x00\x00"),
        BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"),
        BYTES("\xcd\x01\x02"),
        BYTES("\xd2\x01\x02\x03\x04"),
        BYTES("\xd4\x01\x02"),
        BYTES("\xd9\x01q"),
        BYTES("\xdc\x00\x01\x05"),
        BYTES("\xde\x00\x01\x05\x06"),
    };
    for (size_t i = 0; i < countof(values); i++) {
        struct wire w = wire_of(values[i]);
        CHECK_EQ(wire_skip(&w), OK);
        CHECK_TRUE(wire_done(&w));
    }
}

TEST(deep_nesting_ends_the_cursor_and_not_the_stack)
{
    char deep[7000];
    memset(deep, '\x91', sizeof deep);
    struct wire w = wire_of((struct bytes){deep, sizeof deep});
    CHECK_EQ(wire_skip(&w), ERR_INVALID);
}

MAIN
