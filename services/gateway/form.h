// form: what a client sends along with a request: a JSON body, a multipart body that carries one, a query. Pure;
// jansson reads. Nothing of the input is borrowed from: texts are copied into the arena.
#pragma once
#include "schema.h"

// A body as a row of payloads.def; an empty one counts as {}. 0, 50109 (no JSON) or 50035 with *fault.
// `present` (may be NULL): as schema_from_json gives it.
MUST_USE int form_body(struct arena *a, const struct schema *s, struct bytes content_type, struct bytes body, void *out,
                       uint64_t *present, struct fault *fault);

// A body that is the list alone which is the row's only field; faults are told with the way from there.
MUST_USE int form_list(struct arena *a, const struct schema *s, struct bytes content_type, struct bytes body, void *out,
                       struct fault *fault);

// A parameter of a raw query, percent-decoded; the first one of that name. False when it is not there.
bool form_query(struct arena *a, struct bytes query, const char *name, struct bytes *out);
// As numbers. Absent: *out is left alone. 0, or 50035 with *fault, whose field is `name`.
MUST_USE int form_query_id(struct arena *a, struct bytes query, const char *name, uint64_t *out, bool *present,
                           struct fault *fault);
MUST_USE int form_query_number(struct arena *a, struct bytes query, const char *name, uint64_t min, uint64_t max,
                               uint64_t *out, struct fault *fault);
bool form_query_flag(struct arena *a, struct bytes query, const char *name); // true, True or 1
