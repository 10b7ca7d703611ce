// hex: bytes as tests and their vectors write them: hex digits, blanks between them as one likes.
#pragma once
#include "bytes.h"

#include <stdio.h>
#include <string.h>

// How many bytes; -1: it is no such text, or has more than max.
UNUSED static long hex_bytes(const char *text, uint8_t *out, size_t max)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0; // half bytes
    for (; *text; text++) {
        const char *digit = strchr(digits, *text);
        if (*text == ' ')
            continue;
        if (!digit || n / 2 >= max)
            return -1;
        uint8_t v = (uint8_t)(digit - digits);
        out[n / 2] = (uint8_t)(n % 2 ? out[n / 2] | v : v << 4);
        n++;
    }
    return n % 2 ? -1 : (long)(n / 2);
}

UNUSED static void hex_print(FILE *to, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%02x", p[i]);
}

// A copy in memory of exactly its size, so that the sanitizer sees a read behind it. For mem_free.
UNUSED static uint8_t *exactly(const uint8_t *p, size_t n)
{
    uint8_t *own = mem_grow(NULL, n ? n : 1, 1);
    if (n)
        memcpy(own, p, n);
    return own;
}
