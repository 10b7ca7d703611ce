// origin: see origin.h.
#include "origin.h"

#include <string.h>
#include <strings.h>

// What client libraries in browsers send and read. A star stands for no Authorization, so that is named.
#define ALLOW_METHODS "Access-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE\r\n"
#define ALLOW_HEADERS                                                                                                  \
    "Access-Control-Allow-Headers: Authorization, Content-Type, X-Audit-Log-Reason, X-Context-Properties, "            \
    "X-Debug-Options, X-Discord-Locale, X-Discord-Timezone, X-Fingerprint, X-RateLimit-Precision, "                    \
    "X-Super-Properties, X-Track, *\r\n"
#define EXPOSE_HEADERS                                                                                                 \
    "Access-Control-Expose-Headers: Date, Retry-After, X-RateLimit-Bucket, X-RateLimit-Global, X-RateLimit-Limit, "    \
    "X-RateLimit-Remaining, X-RateLimit-Reset, X-RateLimit-Reset-After, X-RateLimit-Scope\r\n"
#define OFFICIAL "https://discord.com https://ptb.discord.com https://canary.discord.com"
#define MAX_AGE "Access-Control-Max-Age: 7200\r\n" // browsers keep it no longer
#define ALLOW_PRIVATE "Access-Control-Allow-Private-Network: true\r\n"

static bool same(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

static struct bytes from(struct bytes b, size_t at)
{
    return (struct bytes){b.p + at, b.n - at};
}

static bool ends_with(struct bytes b, const char *end)
{
    size_t n = strlen(end);
    return b.n >= n && strncasecmp(b.p + b.n - n, end, n) == 0;
}

// Where the :// of an origin or URL begins; its length when there is none.
static size_t scheme_end(struct bytes url)
{
    for (size_t i = 0; i + 3 <= url.n; i++)
        if (memcmp(url.p + i, "://", 3) == 0)
            return i;
    return url.n;
}

// host[:port] of a URL, without the port that its scheme implies: browsers leave that out too.
static struct bytes authority(struct bytes url)
{
    size_t scheme = scheme_end(url);
    if (scheme == url.n)
        return BYTES_NONE;
    struct bytes name = {url.p, scheme};
    bool secure = same(name, BYTES("https")) || same(name, BYTES("wss"));
    struct bytes rest = from(url, scheme + 3);
    size_t n = 0;
    while (n < rest.n && !strchr("/?#", rest.p[n]))
        n++;
    rest.n = n;
    const char *implied = secure ? ":443" : ":80";
    if (ends_with(rest, implied))
        rest.n -= strlen(implied);
    return rest;
}

static struct bytes without_port(struct bytes authority)
{
    size_t n = authority.n;
    while (n > 0 && authority.p[n - 1] >= '0' && authority.p[n - 1] <= '9')
        n--;
    if (n > 0 && authority.p[n - 1] == ':')
        authority.n = n - 1;
    return authority;
}

// An address, or a name that stands for loopback whatever a name server says.
static bool is_address(struct bytes host)
{
    static const char digits[] = "0123456789.";
    if (host.n && host.p[0] == '[')
        return true;
    if (same(host, BYTES("localhost")) || ends_with(host, ".localhost"))
        return true;
    for (size_t i = 0; i < host.n; i++)
        if (!memchr(digits, host.p[i], sizeof digits - 1))
            return false;
    return host.n > 0;
}

// --- the list ---

static struct bytes next_word(struct bytes *list)
{
    static const char between[] = ", \t";
    size_t at = 0, n = 0;
    while (at < list->n && memchr(between, list->p[at], sizeof between - 1))
        at++;
    while (at + n < list->n && !memchr(between, list->p[at + n], sizeof between - 1))
        n++;
    struct bytes word = {list->p + at, n};
    *list = from(*list, at + n);
    return word;
}

static bool is_origin(struct bytes word)
{
    size_t scheme = scheme_end(word);
    if (scheme == 0 || scheme == word.n)
        return false;
    for (size_t i = scheme + 3; i < word.n; i++)
        if (strchr("/?#*@", word.p[i]))
            return false;
    return true;
}

int origin_check_setting(struct bytes allowed, struct bytes *bad)
{
    for (struct bytes word; (word = next_word(&allowed)).n;)
        if (!bytes_is(word, "*") && !is_origin(word)) {
            *bad = word;
            return ERR_INVALID;
        }
    return OK;
}

// Of two spellings of one origin: the port that its scheme implies, upper and lower case.
static bool same_origin(struct bytes a, struct bytes b)
{
    struct bytes scheme_a = {a.p, scheme_end(a)}, scheme_b = {b.p, scheme_end(b)};
    return same(a, b) || (scheme_a.n < a.n && same(scheme_a, scheme_b) && same(authority(a), authority(b)));
}

enum listed { NOT_LISTED, LISTED, ALL_LISTED };

static enum listed in_list(struct bytes list, struct bytes origin)
{
    enum listed found = NOT_LISTED;
    for (struct bytes word; (word = next_word(&list)).n;) {
        if (bytes_is(word, "*"))
            return ALL_LISTED;
        if (same_origin(word, origin))
            found = LISTED;
    }
    return found;
}

// --- verdicts ---

// Its scheme may differ from ours: a proxy in front speaks TLS in our stead.
static bool is_own(const struct origin_rules *r, const struct http_head *h)
{
    struct bytes page = authority(h->origin), ours = authority(r->public_url);
    if (page.n == 0)
        return false;
    return same(page, ours) || (same(page, h->host) && is_address(without_port(page)));
}

int origin_admit(const struct origin_rules *r, const struct http_head *h, struct buf *headers)
{
    if (!h->origin.p)
        return 0;
    enum listed listed = in_list(r->allowed, h->origin);
    if (listed == NOT_LISTED)
        listed = in_list(BYTES(OFFICIAL), h->origin);
    if (listed == NOT_LISTED && !is_own(r, h))
        return 403;
    if (listed == ALL_LISTED)
        buf_str(headers, "Access-Control-Allow-Origin: *\r\n");
    else
        buf_printf(headers, "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n", BYTES_FMT(h->origin));
    if (!bytes_is(h->method, "OPTIONS") || !h->preflight.n) {
        buf_str(headers, EXPOSE_HEADERS);
        return 0;
    }
    buf_str(headers, ALLOW_METHODS ALLOW_HEADERS MAX_AGE ALLOW_PRIVATE);
    return 204;
}

int origin_admit_admin(struct bytes bind, const struct http_head *h)
{
    struct bytes host = without_port(h->host);
    bool known = !host.n || is_address(host) || !memchr(host.p, '.', host.n) || same(host, bind);
    return h->origin.p || !known ? 403 : 0;
}
