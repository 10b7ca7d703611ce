// test_token: what we minted is known again, anything else is not.
#include "token.h"
#include "check.h"

#include <limits.h>

#define SECRET BYTES("0123456789abcdef0123456789abcdef")
#define USER 923446812736782336ull
#define ISSUED 1753900000123ull

static struct bytes minted(struct buf *out)
{
    buf_reset(out);
    token_mint(out, USER, ISSUED, SECRET);
    return buf_bytes(out);
}

static int check(struct bytes token, struct bytes secret)
{
    uint64_t user = 7, issued = 8;
    int err = token_check(token, secret, &user, &issued);
    if (err)
        CHECK_TRUE(user == 7 && issued == 8);
    else
        CHECK_TRUE(user == USER && issued == ISSUED);
    return err;
}

TEST(a_token_has_the_form_that_others_can_compute)
{
    struct buf b = {0};
    // Computed with Python's hmac and base64 from the form that token.h describes.
    CHECK_TRUE(
        bytes_is(minted(&b), "OTIzNDQ2ODEyNzM2NzgyMzM2.AAABmFyWI3s.ZeJqoUYK__pfYI3s-0GtDRs-HC7zaPFB7GNfRUqRdko"));
    buf_fini(&b);
}

TEST(a_minted_token_is_known_again)
{
    struct buf b = {0};
    CHECK_EQ(check(minted(&b), SECRET), OK);
    buf_fini(&b);
}

TEST(another_secret_knows_nothing_of_it)
{
    struct buf b = {0};
    CHECK_EQ(check(minted(&b), BYTES("0123456789abcdef0123456789abcdeg")), ERR_DENIED);
    buf_fini(&b);
}

TEST(no_single_altered_character_passes)
{
    struct buf b = {0};
    minted(&b);
    for (size_t i = 0; i < b.n; i++) {
        char was = b.p[i];
        for (int c = CHAR_MIN; c <= CHAR_MAX; c++) {
            b.p[i] = (char)c;
            CHECK_EQ(check(buf_bytes(&b), SECRET), c == was ? OK : ERR_DENIED);
        }
        b.p[i] = was;
    }
    buf_fini(&b);
}

TEST(nothing_shorter_or_longer_passes)
{
    struct buf b = {0};
    minted(&b);
    size_t n = b.n;
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(check((struct bytes){b.p, i}, SECRET), ERR_DENIED);
    for (const char *more = "x.=A\n"; *more; more++) {
        buf_char(&b, *more);
        CHECK_EQ(check(buf_bytes(&b), SECRET), ERR_DENIED);
        b.n = n;
    }
    buf_fini(&b);
}

TEST(odd_texts_are_refused)
{
    static const char *texts[] = {
        "",         ".", "..", "...", "a.b.c", "....................", "=.=.=", "MQ.AAABmFuUyXs.", ".AAABmFuUyXs.MQ",
        "Bot x.y.z"};
    for (size_t i = 0; i < countof(texts); i++)
        CHECK_EQ(check(bytes_of(texts[i]), SECRET), ERR_DENIED);
    CHECK_EQ(check(BYTES_NONE, SECRET), ERR_DENIED);
    static char long_one[4096];
    memset(long_one, 'A', sizeof long_one);
    CHECK_EQ(check((struct bytes){long_one, sizeof long_one}, SECRET), ERR_DENIED);
}

TEST(extreme_users_and_times_survive)
{
    struct buf b = {0};
    uint64_t user, issued;
    token_mint(&b, UINT64_MAX, UINT64_MAX, SECRET);
    CHECK_TRUE(b.n <= TOKEN_MAX);
    CHECK_EQ(token_check(buf_bytes(&b), SECRET, &user, &issued), OK);
    CHECK_TRUE(user == UINT64_MAX && issued == UINT64_MAX);
    buf_reset(&b);
    token_mint(&b, 0, 1, SECRET); // nobody
    CHECK_EQ(token_check(buf_bytes(&b), SECRET, &user, &issued), ERR_DENIED);
    buf_fini(&b);
}

TEST(a_token_expires_when_its_life_is_over_if_it_has_one)
{
    CHECK_TRUE(!token_expired(ISSUED, 1000, ISSUED) && !token_expired(ISSUED, 1000, ISSUED + 999));
    CHECK_TRUE(token_expired(ISSUED, 1000, ISSUED + 1000) && token_expired(ISSUED, 1000, UINT64_MAX));
    CHECK_TRUE(!token_expired(ISSUED, 0, UINT64_MAX) && !token_expired(0, 0, UINT64_MAX));
    CHECK_TRUE(!token_expired(UINT64_MAX, 1, ISSUED)); // a clock that is ahead
    CHECK_TRUE(!token_expired(ISSUED, UINT64_MAX, UINT64_MAX));
}

MAIN
