// text: UTF-8 checked byte by byte against RFC 3629.
#include "check.h"
#include "text.h"

static bool ok(const char *s, size_t n)
{
    return text_is_utf8((struct bytes){s, n});
}

TEST(well_formed_text_is_accepted)
{
    CHECK_TRUE(ok("", 0));
    CHECK_TRUE(ok("plain", 5));
    CHECK_TRUE(ok("\xc3\xa9", 2));
    CHECK_TRUE(ok("\xe2\x82\xac", 3));
    CHECK_TRUE(ok("\xf0\x9f\x98\x80", 4));
    CHECK_TRUE(ok("\xf4\x8f\xbf\xbf", 4));
    CHECK_TRUE(ok("a\0b", 3));
}

TEST(overlong_surrogate_cut_and_too_great_are_refused)
{
    CHECK_TRUE(!ok("\xc0\x80", 2));
    CHECK_TRUE(!ok("\xc1\xbf", 2));
    CHECK_TRUE(!ok("\xe0\x9f\xbf", 3));
    CHECK_TRUE(!ok("\xed\xa0\x80", 3));
    CHECK_TRUE(!ok("\xf0\x8f\xbf\xbf", 4));
    CHECK_TRUE(!ok("\xf4\x90\x80\x80", 4));
    CHECK_TRUE(!ok("\xe2\x82", 2));
    CHECK_TRUE(!ok("\x80", 1));
    CHECK_TRUE(!ok("\xff", 1));
    CHECK_TRUE(!ok("\xc3(", 2));
}

TEST(code_points_are_counted_not_bytes)
{
    CHECK_EQ(text_code_points(bytes_of("a\xc3\xa9\xf0\x9f\x98\x80")), 3);
}

TEST(moments_are_read_in_the_forms_that_clients_write)
{
    static const struct {
        const char *text;
        uint64_t ms; // 1: none
    } rows[] = {
        {"2022-04-20T18:36:07.383000+00:00", 1650479767383},
        {"2022-04-20T18:36:07.383Z", 1650479767383},
        {"2022-04-20T18:36:07", 1650479767000},
        {"2022-04-20 18:36:07Z", 1650479767000},
        {"2022-04-20T20:36:07+02:00", 1650479767000},
        {"2022-04-20T13:06:07.5-0530", 1650479767500},
        {"1970-01-01T00:00:00Z", 0},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"9999-12-31T23:59:59.999999999Z", 253402300799999},
        {"2022-04-20T18:36:07.12345678901234567890123456789Z", 1650479767123},
        {"", 1},
        {"2022-04-20", 1},
        {"2022-04-20T18:36", 1},
        {"2022-04-20T18:36:07.Z", 1},
        {"2022-04-20T18:36:07+1", 1},
        {"2022-04-20T18:36:07+24:00", 1},
        {"2022-04-20T18:36:07Zx", 1},
        {"2022-13-20T18:36:07Z", 1},
        {"2022-00-20T18:36:07Z", 1},
        {"2022-04-31T18:36:07Z", 1},
        {"2022-02-29T18:36:07Z", 1},
        {"1900-02-29T18:36:07Z", 1},
        {"2022-04-20T24:00:00Z", 1},
        {"2022-04-20T18:60:07Z", 1},
        {"2022-04-20T18:36:60Z", 1},
        {"1969-12-31T23:59:59Z", 1},
        {"1970-01-01T00:00:00+01:00", 1},
        {"-022-04-20T18:36:07Z", 1},
        {"tomorrow", 1},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        uint64_t ms = 1;
        int err = text_time(bytes_of(rows[i].text), &ms);
        CHECK_EQ(err, rows[i].ms == 1 ? ERR_INVALID : OK);
        CHECK_EQ(ms, rows[i].ms);
    }
}

MAIN
