// world: see world.h. Reads the document into arena memory, so that nothing of jansson's outlives world_parse.
#include "world_private.h"
#include "table.h"
#include "text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int world_wrong(const struct reader *r, const char *text)
{
    *r->fault = (struct fault){r->section, r->at, "WORLD_INVALID", text};
    return API_INVALID_FORM;
}

int world_read_text(const struct reader *r, const json_t *j, const char *key, struct bytes *out)
{
    const json_t *text = key ? json_object_get(j, key) : j;
    if (!json_is_string(text) || json_string_length(text) == 0)
        return world_wrong(r, key ? "A name is missing or no text." : "Not a name.");
    *out = arena_copy(r->a, (struct bytes){json_string_value(text), json_string_length(text)});
    return API_OK;
}

int world_read_label(const struct reader *r, const json_t *j, struct bytes *out)
{
    int err = world_read_text(r, j, "name", out);
    if (!err && text_code_points(*out) > WORLD_NAME_MAX)
        err = world_wrong(r, "A name is too long.");
    return err;
}

// A list of names; absent is empty.
int world_read_names(const struct reader *r, const json_t *j, const char *key, struct texts *out)
{
    const json_t *list = key ? json_object_get(j, key) : j;
    if (list && !json_is_array(list))
        return world_wrong(r, "Not a list of names.");
    size_t n = json_array_size(list);
    struct bytes *v = arena_take(r->a, (n + 1) * sizeof *v);
    for (size_t i = 0; i < n; i++)
        if (world_read_text(r, json_array_get(list, i), NULL, &v[i]))
            return API_INVALID_FORM;
    *out = (struct texts){(uint32_t)n, v};
    return API_OK;
}

int world_read_id(const struct reader *r, const json_t *j, uint64_t *out)
{
    const json_t *id = json_object_get(j, "id");
    *out = 0;
    if (!id)
        return API_OK;
    if (json_is_integer(id) && json_integer_value(id) > 0)
        *out = (uint64_t)json_integer_value(id);
    else if (!json_is_string(id) || bytes_u64((struct bytes){json_string_value(id), json_string_length(id)}, out))
        return world_wrong(r, "The id is no snowflake.");
    return *out && !(*out & REF_USER_BIT) ? API_OK : world_wrong(r, "The id is no snowflake.");
}

static int read_user(const struct reader *r, const json_t *j, void *into)
{
    struct world_user *out = into;
    struct fault why;
    const json_t *global = json_object_get(j, "global_name");
    if (world_read_text(r, j, "name", &out->name) || world_read_id(r, j, &out->id))
        return API_INVALID_FORM;
    if (username_check(out->name, &why))
        return world_wrong(r, why.text);
    if (!global || json_is_null(global))
        return API_OK;
    if (world_read_text(r, j, "global_name", &out->global_name))
        return API_INVALID_FORM;
    return out->global_name.n > USERNAME_MAX ? world_wrong(r, "The global name is too long.") : API_OK;
}

static int read_pair(const struct reader *r, const json_t *j, void *into)
{
    struct world_pair *out = into;
    if (!json_is_array(j) || json_array_size(j) != 2)
        return world_wrong(r, "Not a pair of users.");
    if (world_read_text(r, json_array_get(j, 0), NULL, &out->of[0]) ||
        world_read_text(r, json_array_get(j, 1), NULL, &out->of[1]))
        return API_INVALID_FORM;
    return API_OK;
}

static int read_group(const struct reader *r, const json_t *j, void *into)
{
    struct world_group *out = into;
    if (world_read_label(r, j, &out->name) || world_read_text(r, j, "owner", &out->owner) ||
        world_read_names(r, j, "users", &out->users))
        return API_INVALID_FORM;
    return API_OK;
}

// One section of the document: a list whose elements `read` reads one by one, with r->at saying which.
typedef int (*read_fn)(const struct reader *r, const json_t *j, void *out);
static int section(struct reader *r, const json_t *document, const char *name, size_t size, read_fn read, uint32_t *n,
                   void *out)
{
    const json_t *list = json_object_get(document, name);
    r->section = name;
    r->at = -1;
    if (list && !json_is_array(list))
        return world_wrong(r, "Not a list.");
    size_t count = json_array_size(list);
    char *v = arena_take(r->a, (count + 1) * size);
    for (size_t i = 0; i < count; i++) {
        r->at = (int32_t)i;
        if (read(r, json_array_get(list, i), v + i * size))
            return API_INVALID_FORM;
    }
    *n = (uint32_t)count;
    memcpy(out, &v, sizeof v);
    return API_OK;
}

static int read_users(struct reader *r, const json_t *document, struct world *w)
{
    uint32_t n_people, n_bots;
    struct world_user *people, *bots;
    if (section(r, document, "users", sizeof *people, read_user, &n_people, &people) ||
        section(r, document, "bots", sizeof *bots, read_user, &n_bots, &bots))
        return API_INVALID_FORM;
    struct world_user *all = arena_take(r->a, ((size_t)n_people + n_bots + 1) * sizeof *all);
    memcpy(all, people, n_people * sizeof *all);
    memcpy(all + n_people, bots, n_bots * sizeof *all);
    for (uint32_t i = 0; i < n_bots; i++)
        all[n_people + i].bot = true;
    w->n_users = n_people + n_bots;
    w->users = all;
    return API_OK;
}

static int read_world(struct reader *r, const json_t *document, struct world *w)
{
    if (!json_is_object(document))
        return world_wrong(r, "Not an object.");
    if (read_users(r, document, w) ||
        section(r, document, "friends", sizeof *w->friends, read_pair, &w->n_friends, &w->friends) ||
        section(r, document, "dms", sizeof *w->dms, read_pair, &w->n_dms, &w->dms) ||
        section(r, document, "groups", sizeof *w->groups, read_group, &w->n_groups, &w->groups) ||
        section(r, document, "guilds", sizeof *w->guilds, world_read_guild, &w->n_guilds, &w->guilds))
        return API_INVALID_FORM;
    return API_OK;
}

// --- names ---

struct names { // grows while they are gathered
    struct arena *a;
    uint32_t n, room;
    struct world_name *v;
};

static void gather(struct names *names, struct bytes name, bool declared)
{
    if (names->n == names->room) {
        names->room = names->room ? names->room * 2 : 64;
        struct world_name *grown = arena_take(names->a, names->room * sizeof *grown);
        if (names->n)
            memcpy(grown, names->v, names->n * sizeof *grown);
        names->v = grown;
    }
    names->v[names->n++] = (struct world_name){username_lower(names->a, name), 0, declared};
}

static void gather_all(struct names *names, struct texts list)
{
    for (uint32_t i = 0; i < list.n; i++)
        gather(names, list.v[i], false);
}

static int compare(struct bytes a, struct bytes b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

// Declared ones come first among equals.
static int by_name(const void *x, const void *y)
{
    const struct world_name *a = x, *b = y;
    int order = compare(a->lower, b->lower);
    return order ? order : (int)b->declared - (int)a->declared;
}

static void gather_guild(struct names *names, const struct world_guild *g)
{
    gather_all(names, g->members);
    for (uint32_t i = 0; i < g->n_channels; i++)
        for (uint32_t k = 0; k < g->channels[i].n_overwrites; k++)
            if (g->channels[i].overwrites[k].member.p)
                gather(names, g->channels[i].overwrites[k].member, false);
}

static void gather_world(struct names *names, const struct world *w)
{
    for (uint32_t i = 0; i < w->n_users; i++)
        gather(names, w->users[i].name, true);
    for (uint32_t i = 0; i < w->n_friends; i++)
        gather_all(names, (struct texts){2, w->friends[i].of});
    for (uint32_t i = 0; i < w->n_dms; i++)
        gather_all(names, (struct texts){2, w->dms[i].of});
    for (uint32_t i = 0; i < w->n_groups; i++) {
        gather(names, w->groups[i].owner, false);
        gather_all(names, w->groups[i].users);
    }
    for (uint32_t i = 0; i < w->n_guilds; i++)
        gather_guild(names, &w->guilds[i]);
}

static int index_names(struct arena *a, struct world *w, struct fault *fault)
{
    struct names names = {.a = a};
    gather_world(&names, w);
    if (names.n)
        qsort(names.v, names.n, sizeof *names.v, by_name);
    uint32_t n = 0;
    for (uint32_t i = 0; i < names.n; i++) {
        if (n && compare(names.v[n - 1].lower, names.v[i].lower) == 0) {
            if (names.v[i].declared) {
                *fault = (struct fault){"users", -1, "WORLD_INVALID", "A name is declared twice."};
                return API_INVALID_FORM;
            }
            continue;
        }
        names.v[n++] = names.v[i];
    }
    w->names = names.v;
    w->n_names = n;
    return API_OK;
}

int world_parse(struct arena *a, struct bytes document, struct world *out, struct fault *fault)
{
    struct reader r = {.a = a, .fault = fault, .at = -1};
    struct world w = {0};
    json_t *j = json_loadb(document.p ? document.p : "", document.n, JSON_REJECT_DUPLICATES, NULL);
    if (!j)
        return API_INVALID_JSON;
    int err = read_world(&r, j, &w);
    json_decref(j);
    if (!err)
        err = index_names(a, &w, fault);
    if (!err)
        *out = w;
    return err;
}

struct world_name *world_find(const struct world *w, struct arena *a, struct bytes name)
{
    struct bytes lower = username_lower(a, name);
    uint32_t from = 0, to = w->n_names;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order = compare(lower, w->names[middle].lower);
        if (order == 0)
            return &w->names[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

uint64_t world_id(const struct world *w, struct arena *a, struct bytes name)
{
    const struct world_name *found = world_find(w, a, name);
    CHECK(found && found->id);
    return found->id;
}

struct ids world_ids(const struct world *w, struct arena *a, struct texts names)
{
    uint64_t *v = arena_take(a, ((size_t)names.n + 1) * sizeof *v);
    struct table seen = {0};
    uint32_t n = 0;
    for (uint32_t i = 0; i < names.n; i++) {
        uint64_t id = world_id(w, a, names.v[i]);
        if (table_get(&seen, id))
            continue;
        table_put(&seen, id, v);
        v[n++] = id;
    }
    table_fini(&seen);
    return (struct ids){n, v};
}

int world_resolved(const struct world *w, struct fault *fault)
{
    for (uint32_t i = 0; i < w->n_names; i++) {
        if (!w->names[i].id && !w->names[i].declared) {
            *fault = (struct fault){NULL, -1, "WORLD_INVALID", "A user is named who does not exist."};
            return API_INVALID_FORM;
        }
    }
    return API_OK;
}
