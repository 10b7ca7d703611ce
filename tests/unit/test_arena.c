// test_arena: memory of an arena is zeroed, aligned and apart from the rest of it, until the reset.
// Links sb_base alone.
#include "arena.h"
#include "check.h"
#include <stdalign.h>

TEST(what_is_taken_is_zeroed_and_aligned_even_after_a_reset)
{
    struct arena a = {0};
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 300; size++) {
            unsigned char *p = arena_take(&a, size);
            CHECK_EQ((uintptr_t)p % alignof(max_align_t), 0);
            for (size_t i = 0; i < size; i++)
                CHECK_EQ(p[i], 0);
            memset(p, 0xff, size);
        }
        arena_reset(&a);
    }
    arena_fini(&a);
}

TEST(pieces_do_not_overlap)
{
    struct arena a = {0};
    unsigned char *p[400];
    for (size_t i = 0; i < countof(p); i++) {
        p[i] = arena_take(&a, i * 7 + 1);
        memset(p[i], (int)(i % 251), i * 7 + 1);
    }
    for (size_t i = 0; i < countof(p); i++)
        for (size_t k = 0; k < i * 7 + 1; k++)
            CHECK_EQ(p[i][k], i % 251);
    arena_fini(&a);
}

TEST(a_piece_larger_than_a_block_is_given)
{
    struct arena a = {0};
    char *small = arena_take(&a, 8);
    char *large = arena_take(&a, 1 << 20);
    memcpy(small, "1234567", 8);
    memset(large, 'x', 1 << 20);
    CHECK_STR(small, "1234567");
    arena_reset(&a);
    CHECK_EQ(*(char *)arena_take(&a, 1), 0);
    arena_fini(&a);
}

TEST(copies_live_apart_from_their_source)
{
    struct arena a = {0};
    char source[] = "ada";
    struct bytes copy = arena_copy(&a, bytes_of(source));
    char *text = arena_text(&a, (struct bytes){source, 2});
    source[0] = 'x';
    CHECK_TRUE(bytes_is(copy, "ada"));
    CHECK_STR(text, "ad");
    CHECK_STR(arena_text(&a, BYTES_NONE), "");
    CHECK_EQ(arena_copy(&a, BYTES_NONE).n, 0);
    arena_fini(&a);
}

TEST(printing_gives_the_whole_text)
{
    struct arena a = {0};
    struct bytes b = arena_printf(&a, "%s:%d", "call", 7);
    CHECK_TRUE(bytes_is(b, "call:7"));
    CHECK_STR(b.p, "call:7");
    CHECK_EQ(arena_printf(&a, "%*d", 100000, 1).n, 100000);
    arena_fini(&a);
}

TEST(an_arena_never_used_may_be_reset_and_ended)
{
    struct arena a = {0};
    arena_reset(&a);
    arena_fini(&a);
    arena_fini(&a);
    CHECK_TRUE(a.blocks == NULL);
}

MAIN
