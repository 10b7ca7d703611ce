// test_bytes: slices are compared, read and copied within their bounds; the buffer grows and keeps what it has.
// Links sb_base alone.
#include "bytes.h"
#include "check.h"

TEST(slices_are_equal_by_content)
{
    CHECK_TRUE(bytes_eq(BYTES("ada"), bytes_of("ada")));
    CHECK_TRUE(!bytes_eq(BYTES("ada"), BYTES("adam")));
    CHECK_TRUE(!bytes_eq(BYTES("ada"), BYTES("adb")));
    CHECK_TRUE(bytes_eq(BYTES_NONE, BYTES("")));
    CHECK_TRUE(bytes_is(BYTES("x"), "x"));
    CHECK_TRUE(bytes_is(bytes_of(NULL), ""));
}

TEST(the_hash_never_changes)
{
    CHECK_TRUE(bytes_hash(BYTES_NONE) == bytes_hash(BYTES("")));
    CHECK_TRUE(bytes_hash(BYTES_NONE) == 0xefd01f60ba992926u);
    CHECK_TRUE(bytes_hash(BYTES("gateway-1")) == 0xc012f81891cb0babu);
    CHECK_TRUE(bytes_hash(BYTES("gateway-1")) != bytes_hash(BYTES("gateway-2")));
    CHECK_TRUE(bytes_hash(BYTES("a\0b")) != bytes_hash(BYTES("a\0c")));
}

TEST(a_copy_that_does_not_fit_is_cut_and_terminated)
{
    char out[4];
    CHECK_EQ(bytes_copy(out, sizeof(out), BYTES("abc")), OK);
    CHECK_STR(out, "abc");
    CHECK_EQ(bytes_copy(out, sizeof(out), BYTES("wxyz")), ERR_FULL);
    CHECK_STR(out, "wxy");
    CHECK_EQ(bytes_copy(out, sizeof(out), BYTES_NONE), OK);
    CHECK_STR(out, "");
    CHECK_EQ(bytes_copy(out, 1, BYTES("a")), ERR_FULL);
    CHECK_STR(out, "");
}

TEST(numbers_up_to_64_bits_are_read)
{
    uint64_t v = 1;
    CHECK_EQ(bytes_u64(BYTES("0"), &v), OK);
    CHECK_EQ(v, 0);
    CHECK_EQ(bytes_u64(BYTES("1234567890"), &v), OK);
    CHECK_EQ(v, 1234567890);
    CHECK_EQ(bytes_u64(BYTES("18446744073709551615"), &v), OK);
    CHECK_TRUE(v == UINT64_MAX);
}

TEST(what_is_no_number_is_refused_and_changes_nothing)
{
    const struct bytes bad[] = {BYTES_NONE,
                                BYTES(""),
                                BYTES("-1"),
                                BYTES("+1"),
                                BYTES(" 1"),
                                BYTES("1 "),
                                BYTES("0x1"),
                                BYTES("18446744073709551616"),
                                BYTES("1\0"),
                                BYTES("1.0"),
                                BYTES("99999999999999999999"),
                                BYTES("1:"),
                                BYTES("1/")};
    uint64_t v = 42;
    for (size_t i = 0; i < countof(bad); i++)
        CHECK_EQ(bytes_u64(bad[i], &v), ERR_INVALID);
    CHECK_EQ(v, 42);
}

TEST(a_buffer_grows_and_keeps_what_it_has)
{
    struct buf b = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        buf_u64(&b, i);
        buf_char(&b, ' ');
    }
    CHECK_EQ(b.n, 3890);
    CHECK_TRUE(memcmp(b.p, "0 1 2 ", 6) == 0);
    CHECK_TRUE(memcmp(b.p + b.n - 8, "998 999 ", 8) == 0);
    size_t cap = b.cap;
    buf_reset(&b);
    CHECK_EQ(b.n, 0);
    CHECK_EQ(b.cap, cap);
    buf_add(&b, NULL, 0);
    buf_str(&b, "");
    CHECK_EQ(b.n, 0);
    buf_u64(&b, UINT64_MAX);
    CHECK_TRUE(bytes_is(buf_bytes(&b), "18446744073709551615"));
    buf_fini(&b);
    CHECK_TRUE(b.p == NULL);
}

TEST(printing_works_at_every_fill_level)
{
    struct buf b = {0};
    char expected[301];
    for (int before = 0; before < 150; before++) {
        buf_reset(&b);
        for (int i = 0; i < before; i++)
            buf_char(&b, 'x');
        buf_printf(&b, "%0*d", 150, before);
        snprintf(expected, sizeof(expected), "%0*d", 150, before);
        CHECK_EQ(b.n, before + 150);
        CHECK_TRUE(memcmp(b.p + before, expected, 150) == 0);
    }
    buf_fini(&b);
}

TEST(every_error_has_a_name)
{
    for (int err = ERR_DENIED; err <= OK; err++)
        CHECK_TRUE(strcmp(err_name(err), "unknown") != 0);
    CHECK_STR(err_name(-99), "unknown");
}

MAIN
