// json: what the clients of the simulated world read out of what they are sent.
#pragma once
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

static inline uint64_t id_of(const json_t *j)
{
    const char *text = json_string_value(j);
    return text ? strtoull(text, NULL, 10) : 0;
}

static inline uint64_t id_in(const json_t *d, const char *key)
{
    return id_of(json_object_get(d, key));
}

static inline const char *text_in(const json_t *d, const char *key)
{
    const char *text = json_string_value(json_object_get(d, key));
    return text ? text : "";
}

static inline bool true_in(const json_t *d, const char *key)
{
    return json_is_true(json_object_get(d, key));
}
