// store_address: reads redis://[:password@]host[:port][/db]. The password may be percent-encoded; the last @ ends it.
// Pure.
#include "store_address.h"
#include "store.h"
#include <stdio.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int copy_decoded(char *out, size_t size, struct bytes b)
{
    size_t n = 0;
    for (size_t i = 0; i < b.n; i++) {
        char c = b.p[i];
        if (c == '%') {
            int high = i + 2 < b.n ? hex(b.p[i + 1]) : -1, low = high >= 0 ? hex(b.p[i + 2]) : -1;
            if (low < 0 || (high | low) == 0)
                return ERR_INVALID;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (n + 1 >= size)
            return ERR_INVALID;
        out[n++] = c;
    }
    out[n] = '\0';
    return OK;
}

// Cuts b at the first `sep`; what comes after it, or nothing.
static struct bytes cut(struct bytes *b, char sep)
{
    const char *at = b->n ? memchr(b->p, sep, b->n) : NULL;
    if (!at)
        return BYTES_NONE;
    struct bytes after = {at + 1, b->n - (size_t)(at + 1 - b->p)};
    b->n = (size_t)(at - b->p);
    return after;
}

static int parse_place(struct store_address *a, struct bytes rest)
{
    uint64_t port = 6379;
    struct bytes db = cut(&rest, '/');
    if (db.n && (bytes_u64(db, &a->db) || a->db > INT32_MAX))
        return ERR_INVALID;
    struct bytes host = rest, digits;
    if (rest.n && rest.p[0] == '[') {
        host = (struct bytes){rest.p + 1, rest.n - 1};
        digits = cut(&host, ']');
        if (digits.n && digits.p[0] != ':')
            return ERR_INVALID;
        digits = digits.n ? (struct bytes){digits.p + 1, digits.n - 1} : BYTES_NONE;
    } else {
        digits = cut(&host, ':');
    }
    if (digits.n && (bytes_u64(digits, &port) || port == 0 || port > 65535))
        return ERR_INVALID;
    snprintf(a->port, sizeof a->port, "%u", (unsigned)port);
    if (host.n == 0)
        return ERR_INVALID;
    return bytes_copy(a->host, sizeof a->host, host) ? ERR_INVALID : OK;
}

int store_address_parse(struct store_address *a, const char *url)
{
    static const char scheme[] = "redis://";
    memset(a, 0, sizeof *a);
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return ERR_INVALID;
    struct bytes rest = bytes_of(url + sizeof scheme - 1);
    const char *at = strrchr(url, '@');
    if (at) {
        struct bytes secret = {rest.p, (size_t)(at - rest.p)};
        if (secret.n < 2 || secret.p[0] != ':')
            return ERR_INVALID;
        secret.p++;
        secret.n--;
        if (copy_decoded(a->password, sizeof a->password, secret))
            return ERR_INVALID;
        rest = bytes_of(at + 1);
    }
    return parse_place(a, rest);
}

int store_url_ok(const char *url)
{
    struct store_address a;
    return url ? store_address_parse(&a, url) : ERR_INVALID;
}
