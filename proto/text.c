// text: see text.h.
#include "text.h"

// Length of the sequence that starts here, 0 when it is not well-formed (RFC 3629, section 4).
static size_t sequence(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n > left)
        return 0;
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool text_is_utf8(struct bytes b)
{
    const uint8_t *p = (const uint8_t *)b.p;
    for (size_t i = 0; i < b.n;) {
        size_t n = sequence(p + i, b.n - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

size_t text_code_points(struct bytes b)
{
    size_t n = 0;
    for (size_t i = 0; i < b.n; i++)
        n += ((uint8_t)b.p[i] & 0xc0) != 0x80;
    return n;
}
