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

// Takes n digits off the front.
static bool take_digits(struct bytes *b, size_t n, int64_t *out)
{
    int64_t v = 0;
    if (b->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (b->p[i] < '0' || b->p[i] > '9')
            return false;
        v = v * 10 + (b->p[i] - '0');
    }
    *b = (struct bytes){b->p + n, b->n - n};
    *out = v;
    return true;
}

static bool take_char(struct bytes *b, const char *any)
{
    for (; b->n && *any; any++) {
        if (b->p[0] != *any)
            continue;
        *b = (struct bytes){b->p + 1, b->n - 1};
        return true;
    }
    return false;
}

// Of the proleptic Gregorian calendar, from 1970-01-01 on.
static int64_t days(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3; // years begin in March
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

// The offset from UTC in minutes: Z, +hh:mm, +hhmm, or nothing.
static bool take_offset(struct bytes *b, int64_t *minutes)
{
    int64_t hours, rest;
    *minutes = 0;
    if (b->n == 0 || take_char(b, "Zz"))
        return true;
    bool west = b->p[0] == '-';
    if (!take_char(b, "+-") || !take_digits(b, 2, &hours))
        return false;
    take_char(b, ":");
    if (!take_digits(b, 2, &rest) || hours > 23 || rest > 59)
        return false;
    *minutes = (west ? -1 : 1) * (hours * 60 + rest);
    return true;
}

int text_time(struct bytes b, uint64_t *unix_ms)
{
    int64_t year, month, day, hour, minute, second, ms = 0, digit, offset;
    if (!take_digits(&b, 4, &year) || !take_char(&b, "-") || !take_digits(&b, 2, &month) || !take_char(&b, "-") ||
        !take_digits(&b, 2, &day) || !take_char(&b, "Tt ") || !take_digits(&b, 2, &hour) || !take_char(&b, ":") ||
        !take_digits(&b, 2, &minute) || !take_char(&b, ":") || !take_digits(&b, 2, &second))
        return ERR_INVALID;
    if (take_char(&b, ".,")) {
        if (!take_digits(&b, 1, &digit))
            return ERR_INVALID;
        ms = digit * 100;
        for (int64_t unit = 10; take_digits(&b, 1, &digit); unit /= 10)
            ms += digit * unit;
    }
    if (!take_offset(&b, &offset) || b.n)
        return ERR_INVALID;
    static const int64_t lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month < 1 || month > 12 || day < 1 || day > lengths[month - 1] || (month == 2 && day == 29 && !leap) ||
        hour > 23 || minute > 59 || second > 59)
        return ERR_INVALID;
    int64_t at = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second;
    if (at < 0)
        return ERR_INVALID;
    *unix_ms = (uint64_t)at * 1000 + (uint64_t)ms;
    return OK;
}
