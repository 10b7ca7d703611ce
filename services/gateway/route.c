// route: see route.h.
#include "route.h"

#include <string.h>

#define API_V_MIN 6u
#define API_V_MAX 10u

int route_snowflake(struct bytes text, uint64_t *out)
{
    uint64_t id;
    if (bytes_u64(text, &id) != OK || id >> 63)
        return ERR_INVALID;
    *out = id;
    return OK;
}

// Takes "/word" off the front of a path. False at its end.
static bool take_segment(struct bytes *path, struct bytes *out)
{
    if (path->n == 0 || path->p[0] != '/')
        return false;
    const char *slash = memchr(path->p + 1, '/', path->n - 1);
    size_t n = slash ? (size_t)(slash - path->p) : path->n;
    *out = (struct bytes){path->p + 1, n - 1};
    *path = (struct bytes){path->p + n, path->n - n};
    return true;
}

static bool ends_in_id(struct bytes name)
{
    return name.n > 3 && memcmp(name.p + name.n - 3, "_id", 3) == 0;
}

static void take_param(struct route *r, uint32_t i, struct bytes name, struct bytes value)
{
    r->param[i] = value;
    if (ends_in_id(name) && route_snowflake(value, &r->id[i]) != OK && r->bad.n == 0)
        r->bad = name;
}

static bool fits(const char *pattern, struct bytes path, struct route *out)
{
    struct bytes rest = bytes_of(pattern), want, have;
    uint32_t n = 0;
    *out = (struct route){0};
    while (take_segment(&rest, &want)) {
        if (!take_segment(&path, &have) || have.n == 0)
            return false;
        if (want.p[0] == ':') {
            CHECK(n < ROUTE_PARAMS_MAX);
            take_param(out, n++, (struct bytes){want.p + 1, want.n - 1}, have);
        } else if (!bytes_eq(want, have)) {
            return false;
        }
    }
    return path.n == 0;
}

int route_find(const struct route_row *rows, size_t n, const char *method, struct bytes path, struct route *out)
{
    bool path_known = false;
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < n; i++) {
        struct route r;
        if (!fits(rows[i].path, path, &r))
            continue;
        path_known = true;
        if (strcmp(rows[i].method, method) != 0)
            continue;
        r.row = (uint32_t)i;
        *out = r;
        return OK;
    }
    return path_known ? ROUTE_METHOD : ROUTE_UNKNOWN;
}

// False: it asks for a version that there is not.
static bool skip_version(struct bytes *path)
{
    struct bytes rest = *path, word;
    uint64_t v;
    if (!take_segment(&rest, &word) || word.n < 2 || word.p[0] != 'v')
        return true;
    if (bytes_u64((struct bytes){word.p + 1, word.n - 1}, &v) != OK)
        return true; // a word like `voice`
    *path = rest;
    return v >= API_V_MIN && v <= API_V_MAX;
}

int route_api(const char *method, struct bytes path, struct route *out)
{
    static const struct route_row rows[] = {
#define ROUTE(name, method, path, who, status) {method, path},
#include "routes.def"
#undef ROUTE
    };
    struct bytes base;
    if (!take_segment(&path, &base) || !bytes_is(base, "api") || !skip_version(&path))
        return ROUTE_UNKNOWN;
    return route_find(rows, countof(rows), method, path, out);
}
