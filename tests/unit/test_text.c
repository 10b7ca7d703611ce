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

MAIN
