// route: method and path to the row of a table that they name, with the ids that stand in the path. Pure.
// The table of the public API is routes.def; the admin API has one of its own.
#pragma once
#include "bytes.h"

#define ROUTE_PARAMS_MAX 3u

struct route_row {
    const char *method;
    const char *path; // segments; `:x_id` takes a snowflake, `:x` any text
};

struct route {
    uint32_t row;
    struct bytes param[ROUTE_PARAMS_MAX]; // as they stand in the path, in its order
    uint64_t id[ROUTE_PARAMS_MAX];        // of those that are snowflakes
    struct bytes bad;                     // name of the first that should be a snowflake and is none
};

enum { ROUTE_UNKNOWN = 404, ROUTE_METHOD = 405 }; // no such path; the path is there, the method is not

// path: percent-decoded, without the query. 0 and *out, else one of the two above. HEAD counts as GET.
MUST_USE int route_find(const struct route_row *rows, size_t n, const char *method, struct bytes path,
                        struct route *out);

enum route_name {
#define ROUTE(name, method, path, who, status) ROUTE_##name,
#include "routes.def"
#undef ROUTE
    ROUTES
};
// The same for routes.def below /api, /api/v6 … /api/v10; out->row is an enum route_name.
MUST_USE int route_api(const char *method, struct bytes path, struct route *out);

// An id that a record can have: decimal, without the bit that tells users' records from places.
MUST_USE int route_snowflake(struct bytes text, uint64_t *out);
