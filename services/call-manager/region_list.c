// region_list: see region_list.h.
#include "region_list.h"
#include <jansson.h>

int regions_read(struct bytes json, struct regions *out)
{
    json_t *list = json_loadb(json.p ? json.p : "", json.n, 0, NULL);
    struct regions read = {0};
    size_t i;
    json_t *item;
    if (!json_is_array(list)) {
        json_decref(list);
        return ERR_INVALID;
    }
    json_array_foreach(list, i, item)
    {
        const char *id = json_string_value(json_object_get(item, "id"));
        if (!id || read.n == REGIONS_MAX || bytes_copy(read.id[read.n], sizeof read.id[0], bytes_of(id)) != OK)
            continue;
        if (json_is_true(json_object_get(item, "optimal")))
            read.optimal = read.n;
        read.n++;
    }
    json_decref(list);
    *out = read;
    return OK;
}

bool regions_have(const struct regions *r, struct bytes id)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (bytes_is(id, r->id[i]))
            return true;
    return false;
}

const char *regions_guess(const struct regions *r, struct texts preferred)
{
    for (uint32_t i = 0; i < preferred.n; i++)
        for (uint32_t k = 0; k < r->n; k++)
            if (bytes_is(preferred.v[i], r->id[k]))
                return r->id[k];
    return r->n > 0 ? r->id[r->optimal] : "";
}
