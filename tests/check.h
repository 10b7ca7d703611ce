// check: the smallest test runner that serves. TEST(sentence_it_proves) { … } CHECK_EQ(a, b); and MAIN at the end.
// Prints one line per failed check, then `N passed, N failed`; exits 1 when any failed. An argument picks tests by
// a part of their name.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};
static struct test *tests_head, **tests_tail = &tests_head;
static int test_failures;

#define TEST(name)                                                                                                     \
    static void name(void);                                                                                            \
    __attribute__((constructor)) static void register_##name(void)                                                     \
    {                                                                                                                  \
        static struct test t = {#name, name, NULL};                                                                    \
        *tests_tail = &t;                                                                                              \
        tests_tail = &t.next;                                                                                          \
    }                                                                                                                  \
    static void name(void)

#define CHECK_TRUE(cond)                                                                                               \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            test_failures++;                                                                                           \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #cond);                                                \
        }                                                                                                              \
    } while (0)
#define CHECK_EQ(a, b)                                                                                                 \
    do {                                                                                                               \
        long long a_ = (long long)(a), b_ = (long long)(b);                                                            \
        if (a_ != b_) {                                                                                                \
            test_failures++;                                                                                           \
            printf("%s:%d: %s is %lld, not %s = %lld\n", __FILE__, __LINE__, #a, a_, #b, b_);                          \
        }                                                                                                              \
    } while (0)
#define CHECK_STR(a, b)                                                                                                \
    do {                                                                                                               \
        const char *a_ = (a), *b_ = (b);                                                                               \
        if (!a_ || !b_ || strcmp(a_, b_) != 0) {                                                                       \
            test_failures++;                                                                                           \
            printf("%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #a, a_ ? a_ : "(null)",                    \
                   b_ ? b_ : "(null)");                                                                                \
        }                                                                                                              \
    } while (0)

#define MAIN                                                                                                           \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        int passed = 0, failed = 0;                                                                                    \
        for (struct test *t = tests_head; t; t = t->next) {                                                            \
            if (argc > 1 && !strstr(t->name, argv[1]))                                                                 \
                continue;                                                                                              \
            test_failures = 0;                                                                                         \
            t->run();                                                                                                  \
            if (test_failures)                                                                                         \
                printf("FAILED %s\n", t->name);                                                                        \
            test_failures ? failed++ : passed++;                                                                       \
        }                                                                                                              \
        printf("%d passed, %d failed\n", passed, failed);                                                              \
        return failed ? 1 : 0;                                                                                         \
    }
