// regions: jansson reads the file, every bound and every key is checked, and a fault is told with its place.
// Pure. Unknown keys are faults too: a misspelt "capacity" must not be a node of none.
#include "regions.h"
#include <jansson.h>
#include <string.h>

// A text that is there, or NULL with the sentence written. `where` as in regions[0].nodes[1].
static const char *text_of(const json_t *o, const char *key, const char *where, struct buf *why)
{
    const json_t *v = json_object_get(o, key);
    if (json_is_string(v) && json_string_length(v) > 0 && json_string_length(v) == strlen(json_string_value(v)))
        return json_string_value(v);
    buf_printf(why, "%s%s%s must be there and be a text", where, where[0] ? "." : "", key);
    return NULL;
}

// An object with no other keys than these.
static bool keys_ok(const json_t *o, const char *const *keys, size_t n, const char *where, struct buf *why)
{
    if (!json_is_object(o)) {
        buf_printf(why, "%s must be an object", where[0] ? where : "the document");
        return false;
    }
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        size_t i = 0;
        while (i < n && strcmp(keys[i], key) != 0)
            i++;
        if (i == n) {
            buf_printf(why, "%s%s%.64s is not a known key", where, where[0] ? "." : "", key);
            return false;
        }
    }
    return true;
}

static int parse_node(struct fleet *f, const char *region, const json_t *o, const char *where, struct buf *why)
{
    static const char *const keys[] = {"id", "endpoint", "capacity"};
    if (!keys_ok(o, keys, countof(keys), where, why))
        return ERR_INVALID;
    const char *id = text_of(o, "id", where, why);
    const char *endpoint = id ? text_of(o, "endpoint", where, why) : NULL;
    if (!endpoint)
        return ERR_INVALID;
    json_int_t capacity = json_integer_value(json_object_get(o, "capacity")); // 0 when it is none
    if (!node_name_ok(bytes_of(id)))
        buf_printf(why, "%s.id must be 1 to %u of A-Z a-z 0-9 . _ -", where, NODE_NAME_MAX);
    else if (!node_endpoint_ok(bytes_of(endpoint)))
        buf_printf(why, "%s.endpoint must be host:port, at most %u bytes, without scheme or path", where,
                   NODE_ENDPOINT_MAX);
    else if (capacity < 1 || capacity > REGIONS_CAPACITY_MAX)
        buf_printf(why, "%s.capacity must be a whole number from 1 to %u", where, REGIONS_CAPACITY_MAX);
    if (why->n)
        return ERR_INVALID;
    int err = fleet_fix(f, bytes_of(id), bytes_of(region), bytes_of(endpoint), (uint64_t)capacity);
    if (err == ERR_FULL)
        buf_printf(why, "%s is one node more than this allocator may know (%u)", where, f->max);
    else if (err)
        buf_printf(why, "%s.id is used by another node already", where);
    return err ? ERR_INVALID : OK;
}

static bool listed(const struct regions *r, struct bytes id)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (bytes_is(id, r->v[i].id))
            return true;
    return false;
}

static int add_region(struct regions *r, const char *id, const char *name, const char *where, struct buf *why)
{
    if (!node_name_ok(bytes_of(id)))
        buf_printf(why, "%s.id must be 1 to %u of A-Z a-z 0-9 . _ -", where, NODE_NAME_MAX);
    else if (strlen(name) > NODE_NAME_MAX)
        buf_printf(why, "%s.name must be at most %u bytes", where, NODE_NAME_MAX);
    else if (listed(r, bytes_of(id)))
        buf_printf(why, "%s.id is used by another region already", where);
    if (why->n)
        return ERR_INVALID;
    struct region *region = &r->v[r->n++];
    CHECK(bytes_copy(region->id, sizeof region->id, bytes_of(id)) == OK);
    CHECK(bytes_copy(region->name, sizeof region->name, bytes_of(name)) == OK);
    return OK;
}

static int parse_region(struct regions *r, struct fleet *f, const json_t *o, size_t index, struct buf *why)
{
    static const char *const keys[] = {"id", "name", "nodes"};
    char where[64];
    snprintf(where, sizeof where, "regions[%zu]", index);
    if (!keys_ok(o, keys, countof(keys), where, why))
        return ERR_INVALID;
    const char *id = text_of(o, "id", where, why);
    const char *name = id ? text_of(o, "name", where, why) : NULL;
    if (!name || add_region(r, id, name, where, why))
        return ERR_INVALID;
    const json_t *nodes = json_object_get(o, "nodes");
    if (!nodes)
        return OK; // they announce themselves
    if (!json_is_array(nodes) || json_array_size(nodes) > REGIONS_NODES_MAX) {
        buf_printf(why, "%s.nodes must be a list of at most %u nodes, or left out", where, REGIONS_NODES_MAX);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        snprintf(where, sizeof where, "regions[%zu].nodes[%zu]", index, i);
        if (parse_node(f, id, json_array_get(nodes, i), where, why))
            return ERR_INVALID;
    }
    return OK;
}

static int parse_default(struct regions *r, const json_t *root, struct buf *why)
{
    if (!json_object_get(root, "default"))
        return OK; // the first
    const char *id = text_of(root, "default", "", why);
    for (uint32_t i = 0; id && i < r->n; i++)
        if (bytes_is(bytes_of(id), r->v[i].id)) {
            r->fallback = i;
            return OK;
        }
    if (id)
        buf_printf(why, "default names %.64s, which is not one of the regions", id);
    return ERR_INVALID;
}

static int parse_root(struct regions *r, struct fleet *f, const json_t *root, struct buf *why)
{
    static const char *const keys[] = {"default", "regions"};
    if (!keys_ok(root, keys, countof(keys), "", why))
        return ERR_INVALID;
    const json_t *regions = json_object_get(root, "regions");
    if (!json_is_array(regions) || json_array_size(regions) > REGIONS_MAX) {
        buf_printf(why, "regions must be a list of at most %u regions", REGIONS_MAX);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < json_array_size(regions); i++)
        if (parse_region(r, f, json_array_get(regions, i), i, why))
            return ERR_INVALID;
    return parse_default(r, root, why);
}

int regions_parse(struct regions *r, struct fleet *f, struct bytes json, struct buf *why)
{
    *r = (struct regions){0};
    buf_reset(why);
    if (json.n > REGIONS_FILE_MAX) {
        buf_printf(why, "the file is over %u bytes", REGIONS_FILE_MAX);
        return ERR_INVALID;
    }
    json_error_t fault;
    json_t *root = json_loadb(json.p ? json.p : "", json.n, JSON_REJECT_DUPLICATES, &fault);
    if (!root) {
        buf_printf(why, "line %d, column %d: %s", fault.line, fault.column, fault.text);
        return ERR_INVALID;
    }
    int err = parse_root(r, f, root, why);
    json_decref(root);
    if (err)
        r->n = r->fallback = 0;
    return err;
}

bool region_known(const struct regions *r, const struct fleet *f, struct bytes id)
{
    if (listed(r, id))
        return true;
    for (uint32_t i = 0; i < f->n; i++)
        if (bytes_is(id, f->v[i].region))
            return true;
    return false;
}

struct bytes regions_default(const struct regions *r)
{
    return r->n ? bytes_of(r->v[r->fallback].id) : BYTES_NONE;
}

static void region_json(struct buf *out, const char *id, const char *name, bool optimal)
{
    if (out->p[out->n - 1] != '[')
        buf_char(out, ',');
    JSON(out, j_region, (&(struct j_region){.id = bytes_of(id), .name = bytes_of(name), .optimal = optimal}));
}

void regions_json(const struct regions *r, const struct fleet *f, struct buf *out)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < r->n; i++)
        region_json(out, r->v[i].id, r->v[i].name, i == r->fallback);
    const char **ids = mem_alloc((f->n + 1) * sizeof *ids);
    uint32_t n = fleet_regions(f, ids), n_more = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!listed(r, bytes_of(ids[i])))
            region_json(out, ids[i], ids[i], r->n == 0 && n_more++ == 0);
    mem_free(ids);
    buf_char(out, ']');
}
