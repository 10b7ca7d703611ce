// Which addresses of Redis are taken.
#include "check.h"
#include "store.h"

TEST(addresses_that_are_taken)
{
    const char *good[] = {
        "redis://127.0.0.1",
        "redis://127.0.0.1:6379/0",
        "redis://redis:6379",
        "redis://:secret@redis/15",
        "redis://:p%40%2f@redis:1/2",
        "redis://[::1]:6379/1",
        "redis://[::1]",
        "redis://:a@b@redis",
        "redis://a.b.c.example:65535/",
    };
    for (size_t i = 0; i < countof(good); i++)
        if (store_url_ok(good[i]) != OK)
            CHECK_STR(good[i], "taken");
}

TEST(addresses_that_are_refused)
{
    const char *bad[] = {
        "",
        "redis",
        "redis://",
        "redis://:6379",
        "http://redis:6379",
        "redis://redis:0",
        "redis://redis:65536",
        "redis://redis:port",
        "redis://redis:6379/x",
        "redis://redis:6379/-1",
        "redis://redis/99999999999",
        "redis://user:secret@redis",
        "redis://:@redis",
        "redis://:secret@",
        "redis://:sec%4@redis",
        "redis://:sec%00ret@redis",
        "redis://:sec%zzret@redis",
        "redis://[::1]6379",
    };
    CHECK_TRUE(store_url_ok(NULL) != OK);
    for (size_t i = 0; i < countof(bad); i++)
        if (store_url_ok(bad[i]) != ERR_INVALID)
            CHECK_STR(bad[i], "refused");
    char longer[1024] = "redis://";
    memset(longer + 8, 'a', 1000);
    CHECK_EQ(store_url_ok(longer), ERR_INVALID);
}

MAIN
