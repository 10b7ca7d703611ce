// redis: keys, their values, and the commands. See redis.h. Values are small here: plain arrays, searched from the
// front.
#include "redis.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum type { TYPE_TEXT, TYPE_HASH, TYPE_SET, TYPE_ZSET, TYPE_LIST, TYPE_STREAM };
struct item {
    struct bytes a, b; // field and value; member; element; entry (a: its id, b: the value of its one field)
    double score;
};
struct key {
    struct bytes name;
    enum type type;
    uint64_t expires_ms; // 0: never
    struct bytes text;
    size_t n, cap, first; // first: items in front that are gone (a list is popped there)
    struct item *v;
};

static struct table keys, kept;
static lua_State *lua;
void (*redis_touched)(struct bytes key);

static uint64_t now_ms(void)
{
    return sim_us() / 1000;
}

// --- bytes that are owned ---

static struct bytes own(struct bytes b)
{
    char *p = mem_alloc(b.n + 1);
    if (b.n)
        memcpy(p, b.p, b.n);
    return (struct bytes){p, b.n};
}

static void drop(struct bytes *b)
{
    mem_free((void *)(uintptr_t)b->p);
    *b = BYTES_NONE;
}

static uint64_t number(struct bytes b)
{
    uint64_t n;
    CHECK(bytes_u64(b, &n) == OK);
    return n;
}

// --- keys ---

static void key_free(struct key *k)
{
    for (size_t i = k->first; i < k->n; i++) {
        drop(&k->v[i].a);
        drop(&k->v[i].b);
    }
    drop(&k->name);
    drop(&k->text);
    mem_free(k->v);
    mem_free(k);
}

static struct key *find(struct bytes name)
{
    struct key *k = table_get(&keys, bytes_hash(name));
    if (k && k->expires_ms && k->expires_ms <= now_ms()) {
        table_remove(&keys, bytes_hash(name));
        key_free(k);
        return NULL;
    }
    return k;
}

static void touched(struct bytes name)
{
    if (redis_touched)
        redis_touched(name);
}

static void forget(struct bytes name)
{
    struct key *k = table_remove(&keys, bytes_hash(name));
    if (k)
        key_free(k);
}

static struct key *make(struct bytes name, enum type type)
{
    struct key *k = find(name);
    if (!k) {
        k = mem_alloc(sizeof *k);
        k->name = own(name);
        k->type = type;
        table_put(&keys, bytes_hash(name), k);
    }
    CHECK(k->type == type);
    return k;
}

static struct key *look(struct bytes name, enum type type)
{
    struct key *k = find(name);
    CHECK(!k || k->type == type);
    return k;
}

static size_t count(const struct key *k)
{
    return k ? k->n - k->first : 0;
}

static struct item *item_of(const struct key *k, struct bytes a)
{
    for (size_t i = k ? k->first : 0; k && i < k->n; i++)
        if (bytes_eq(k->v[i].a, a))
            return &k->v[i];
    return NULL;
}

static struct item *item_add(struct key *k, struct bytes a)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 8;
        k->v = mem_grow(k->v, k->cap, sizeof *k->v);
    }
    k->v[k->n] = (struct item){.a = own(a)};
    return &k->v[k->n++];
}

static void item_drop(struct key *k, struct item *i)
{
    drop(&i->a);
    drop(&i->b);
    memmove(i, i + 1, (size_t)(k->v + k->n - (i + 1)) * sizeof *i);
    k->n--;
}

static void empty_goes(struct key *k)
{
    if (k && count(k) == 0)
        forget((struct bytes){k->name.p, k->name.n});
}

// --- replies ---

void redis_reply_fini(struct redis_reply *r)
{
    drop(&r->text);
    for (size_t i = 0; i < r->n; i++)
        redis_reply_fini(&r->v[i]);
    mem_free(r->v);
    *r = (struct redis_reply){0};
}

static void say_int(struct redis_reply *r, int64_t n)
{
    *r = (struct redis_reply){.kind = REDIS_INT, .number = n};
}

static void say_text(struct redis_reply *r, struct bytes b)
{
    *r = (struct redis_reply){.kind = REDIS_TEXT, .text = own(b)};
}

static void say_ok(struct redis_reply *r)
{
    *r = (struct redis_reply){.kind = REDIS_STATUS, .text = own(BYTES("OK"))};
}

void redis_refuse(struct redis_reply *r, const char *why)
{
    *r = (struct redis_reply){.kind = REDIS_ERROR, .text = own(bytes_of(why))};
}

static void say_maybe(struct redis_reply *r, const struct item *i)
{
    if (i)
        say_text(r, i->b);
}

static void say_list(struct redis_reply *r, size_t n)
{
    *r = (struct redis_reply){.kind = REDIS_LIST, .n = n, .v = n ? mem_alloc(n * sizeof *r->v) : NULL};
}

static void say_score(struct redis_reply *r, double score)
{
    char text[40];
    int n = snprintf(text, sizeof text, "%.17g", score);
    say_text(r, (struct bytes){text, (size_t)n});
}

// --- commands. argv[0] is the name; each counts on its number of arguments ---

#define COMMAND(name) static void name(size_t argc, const struct bytes *argv, struct redis_reply *out)

COMMAND(do_time)
{
    char text[24];
    uint64_t ms = sim_unix_ms();
    (void)argc;
    (void)argv;
    say_list(out, 2);
    snprintf(text, sizeof text, "%llu", (unsigned long long)(ms / 1000));
    say_text(&out->v[0], bytes_of(text));
    snprintf(text, sizeof text, "%llu", (unsigned long long)(ms % 1000 * 1000));
    say_text(&out->v[1], bytes_of(text));
}

COMMAND(do_get)
{
    struct key *k = look(argv[1], TYPE_TEXT);
    (void)argc;
    if (k)
        say_text(out, k->text);
}

COMMAND(do_set)
{
    struct key *k = look(argv[1], TYPE_TEXT);
    uint64_t px = 0;
    bool get = false;
    for (size_t i = 3; i < argc; i++) {
        if (bytes_is(argv[i], "PX"))
            px = number(argv[++i]);
        else if (bytes_is(argv[i], "GET"))
            get = true;
        else
            CHECK(false);
    }
    if (get && k)
        say_text(out, k->text);
    else if (!get)
        say_ok(out);
    struct bytes text = own(argv[2]);
    k = make(argv[1], TYPE_TEXT);
    drop(&k->text);
    k->text = text;
    k->expires_ms = px ? now_ms() + px : 0;
    touched(argv[1]);
}

COMMAND(do_del)
{
    int64_t n = 0;
    for (size_t i = 1; i < argc; i++) {
        n += find(argv[i]) != NULL;
        forget(argv[i]);
        touched(argv[i]);
    }
    say_int(out, n);
}

COMMAND(do_exists)
{
    (void)argc;
    say_int(out, find(argv[1]) != NULL);
}

COMMAND(do_pexpire)
{
    struct key *k = find(argv[1]);
    (void)argc;
    if (k)
        k->expires_ms = now_ms() + number(argv[2]);
    say_int(out, k != NULL);
}

COMMAND(do_hget)
{
    (void)argc;
    say_maybe(out, item_of(look(argv[1], TYPE_HASH), argv[2]));
}

COMMAND(do_hmget)
{
    say_list(out, argc - 2);
    for (size_t i = 2; i < argc; i++)
        say_maybe(&out->v[i - 2], item_of(look(argv[1], TYPE_HASH), argv[i]));
}

COMMAND(do_hexists)
{
    (void)argc;
    say_int(out, item_of(look(argv[1], TYPE_HASH), argv[2]) != NULL);
}

COMMAND(do_hlen)
{
    (void)argc;
    say_int(out, (int64_t)count(look(argv[1], TYPE_HASH)));
}

COMMAND(do_hgetall)
{
    struct key *k = look(argv[1], TYPE_HASH);
    (void)argc;
    say_list(out, 2 * count(k));
    for (size_t i = 0; i < count(k); i++) {
        say_text(&out->v[2 * i], k->v[i].a);
        say_text(&out->v[2 * i + 1], k->v[i].b);
    }
}

COMMAND(do_members) // SMEMBERS, HKEYS
{
    struct key *k = look(argv[1], bytes_is(argv[0], "HKEYS") ? TYPE_HASH : TYPE_SET);
    (void)argc;
    say_list(out, count(k));
    for (size_t i = 0; i < count(k); i++)
        say_text(&out->v[i], k->v[i].a);
}

static int64_t hash_set(struct bytes name, struct bytes field, struct bytes value)
{
    struct key *k = make(name, TYPE_HASH);
    struct item *i = item_of(k, field);
    struct bytes b = own(value);
    int64_t added = !i;
    if (!i)
        i = item_add(k, field);
    drop(&i->b);
    i->b = b;
    return added;
}

COMMAND(do_hset)
{
    int64_t n = 0;
    CHECK(argc % 2 == 0);
    for (size_t i = 2; i < argc; i += 2)
        n += hash_set(argv[1], argv[i], argv[i + 1]);
    say_int(out, n);
    touched(argv[1]);
}

COMMAND(do_hsetnx)
{
    bool there = item_of(look(argv[1], TYPE_HASH), argv[2]) != NULL;
    (void)argc;
    if (!there)
        hash_set(argv[1], argv[2], argv[3]);
    say_int(out, !there);
    touched(argv[1]);
}

static void remove_items(enum type type, size_t argc, const struct bytes *argv, struct redis_reply *out)
{
    struct key *k = look(argv[1], type);
    int64_t n = 0;
    for (size_t a = 2; k && a < argc; a++) {
        struct item *i = item_of(k, argv[a]);
        if (!i)
            continue;
        item_drop(k, i);
        n++;
    }
    empty_goes(k);
    say_int(out, n);
    touched(argv[1]);
}

COMMAND(do_hdel)
{
    remove_items(TYPE_HASH, argc, argv, out);
}

COMMAND(do_srem)
{
    remove_items(TYPE_SET, argc, argv, out);
}

COMMAND(do_zrem)
{
    remove_items(TYPE_ZSET, argc, argv, out);
}

COMMAND(do_sadd)
{
    struct key *k = make(argv[1], TYPE_SET);
    int64_t n = 0;
    for (size_t i = 2; i < argc; i++)
        if (!item_of(k, argv[i])) {
            item_add(k, argv[i]);
            n++;
        }
    say_int(out, n);
    touched(argv[1]);
}

COMMAND(do_card)
{
    (void)argc;
    say_int(out, (int64_t)count(look(argv[1], TYPE_SET)));
}

COMMAND(do_sscan) // all in one go
{
    struct redis_reply all = {0};
    do_members(argc, argv, &all);
    say_list(out, 2);
    say_text(&out->v[0], BYTES("0"));
    out->v[1] = all;
}

// --- sorted sets ---

static int by_score(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    size_t n = x->a.n < y->a.n ? x->a.n : y->a.n;
    int order = memcmp(x->a.p, y->a.p, n);
    return order ? order : (x->a.n > y->a.n) - (x->a.n < y->a.n);
}

static struct key *sorted(struct bytes name)
{
    struct key *k = look(name, TYPE_ZSET);
    if (k && k->n > 1)
        qsort(k->v, k->n, sizeof *k->v, by_score);
    return k;
}

static double score_of(struct bytes b)
{
    char text[64];
    CHECK(bytes_copy(text, sizeof text, b) == OK);
    return strcmp(text, "-inf") == 0 ? -1e300 : strcmp(text, "+inf") == 0 ? 1e300 : strtod(text, NULL);
}

COMMAND(do_zadd)
{
    size_t at = 2;
    bool nx = false, gt = false;
    for (; bytes_is(argv[at], "NX") || bytes_is(argv[at], "GT"); at++)
        bytes_is(argv[at], "NX") ? (nx = true) : (gt = true);
    CHECK(argc == at + 2);
    struct key *k = make(argv[1], TYPE_ZSET);
    struct item *i = item_of(k, argv[at + 1]);
    double score = score_of(argv[at]);
    say_int(out, !i);
    if (!i)
        item_add(k, argv[at + 1])->score = score;
    else if (!nx && (!gt || score > i->score))
        i->score = score;
    touched(argv[1]);
}

COMMAND(do_zscore)
{
    struct item *i = item_of(look(argv[1], TYPE_ZSET), argv[2]);
    (void)argc;
    if (i)
        say_score(out, i->score);
}

COMMAND(do_zmscore)
{
    say_list(out, argc - 2);
    for (size_t i = 2; i < argc; i++) {
        struct item *one = item_of(look(argv[1], TYPE_ZSET), argv[i]);
        if (one)
            say_score(&out->v[i - 2], one->score);
    }
}

COMMAND(do_zrange)
{
    struct key *k = sorted(argv[1]);
    bool scores = argc > 4 && bytes_is(argv[4], "WITHSCORES");
    size_t each = scores ? 2 : 1, from = number(argv[2]), to = number(argv[3]) + 1;
    CHECK(argc == 4 || (argc == 5 && scores));
    size_t n = count(k) < to ? count(k) : to;
    say_list(out, n > from ? (n - from) * each : 0);
    for (size_t i = from; i < n; i++) {
        say_text(&out->v[(i - from) * each], k->v[i].a);
        if (scores)
            say_score(&out->v[(i - from) * each + 1], k->v[i].score);
    }
}

COMMAND(do_zrangebyscore) // key min max LIMIT 0 n
{
    struct key *k = sorted(argv[1]);
    double lo = score_of(argv[2]), hi = score_of(argv[3]);
    size_t n = 0, limit = number(argv[6]);
    CHECK(argc == 7 && number(argv[5]) == 0);
    say_list(out, count(k) < limit ? count(k) : limit);
    for (size_t i = 0; i < count(k) && n < limit; i++)
        if (k->v[i].score >= lo && k->v[i].score <= hi)
            say_text(&out->v[n++], k->v[i].a);
    out->n = n;
}

COMMAND(do_zremrangebyscore)
{
    struct key *k = look(argv[1], TYPE_ZSET);
    double lo = score_of(argv[2]), hi = score_of(argv[3]);
    int64_t n = 0;
    (void)argc;
    for (size_t i = count(k); i-- > 0;)
        if (k->v[i].score >= lo && k->v[i].score <= hi) {
            item_drop(k, &k->v[i]);
            n++;
        }
    empty_goes(k);
    say_int(out, n);
    touched(argv[1]);
}

static bool lex_within(struct bytes member, struct bytes bound, bool lower)
{
    if (bound.n == 1 && (bound.p[0] == '-' || bound.p[0] == '+'))
        return (bound.p[0] == '-') == lower;
    struct item m = {.a = member}, b = {.a = {bound.p + 1, bound.n - 1}};
    int order = by_score(&m, &b);
    return order == 0 ? bound.p[0] == '[' : (order > 0) == lower;
}

COMMAND(do_zrangebylex) // key min max LIMIT 0 n, or ZREVRANGEBYLEX key max min LIMIT 0 n
{
    struct key *k = sorted(argv[1]);
    bool back = bytes_is(argv[0], "ZREVRANGEBYLEX");
    struct bytes lo = argv[back ? 3 : 2], hi = argv[back ? 2 : 3];
    size_t n = 0, limit = number(argv[6]);
    CHECK(argc == 7 && number(argv[5]) == 0);
    say_list(out, count(k) < limit ? count(k) : limit);
    for (size_t i = 0; i < count(k) && n < limit; i++) {
        struct bytes a = k->v[back ? count(k) - 1 - i : i].a;
        if (lex_within(a, lo, true) && lex_within(a, hi, false))
            say_text(&out->v[n++], a);
    }
    out->n = n;
}

// --- lists and streams ---

COMMAND(do_rpush)
{
    struct key *k = make(argv[1], TYPE_LIST);
    for (size_t i = 2; i < argc; i++)
        item_add(k, argv[i]);
    say_int(out, (int64_t)count(k));
    touched(argv[1]);
}

COMMAND(do_lpop)
{
    struct key *k = look(argv[1], TYPE_LIST);
    (void)argc;
    if (!k)
        return;
    say_text(out, k->v[k->first].a);
    drop(&k->v[k->first].a);
    k->first++;
    empty_goes(k);
    touched(argv[1]);
}

COMMAND(do_llen)
{
    (void)argc;
    say_int(out, (int64_t)count(look(argv[1], TYPE_LIST)));
}

static int64_t position(struct bytes b, size_t n) // negative: from the end
{
    bool back = b.n > 0 && b.p[0] == '-';
    int64_t at = (int64_t)number(back ? (struct bytes){b.p + 1, b.n - 1} : b);
    return back ? (int64_t)n - at : at;
}

COMMAND(do_lrange)
{
    struct key *k = look(argv[1], TYPE_LIST);
    int64_t n = (int64_t)count(k), from = position(argv[2], (size_t)n), to = position(argv[3], (size_t)n) + 1;
    CHECK(argc == 4);
    from = from < 0 ? 0 : from;
    to = to > n ? n : to;
    say_list(out, to > from ? (size_t)(to - from) : 0);
    for (int64_t i = from; i < to; i++)
        say_text(&out->v[i - from], k->v[k->first + (size_t)i].a);
}

COMMAND(do_xadd) // key MAXLEN ~ cap id e value
{
    CHECK(argc == 8 && bytes_is(argv[2], "MAXLEN") && bytes_is(argv[3], "~"));
    struct key *k = make(argv[1], TYPE_STREAM);
    struct item *i = item_add(k, argv[5]);
    i->b = own(argv[7]);
    while (count(k) > number(argv[4])) {
        drop(&k->v[k->first].a);
        drop(&k->v[k->first].b);
        k->first++;
    }
    say_text(out, argv[5]);
    touched(argv[1]);
}

static uint64_t entry_ms(struct bytes id)
{
    CHECK(id.n > 2 && id.p[id.n - 2] == '-' && id.p[id.n - 1] == '0');
    return number((struct bytes){id.p, id.n - 2});
}

COMMAND(do_xrange) // key from-0 + COUNT n
{
    struct key *k = look(argv[1], TYPE_STREAM);
    uint64_t from = entry_ms(argv[2]), limit = number(argv[5]);
    size_t n = 0;
    CHECK(argc == 6 && bytes_is(argv[3], "+"));
    say_list(out, count(k) < limit ? count(k) : limit);
    for (size_t i = k ? k->first : 0; k && i < k->n && n < limit; i++) {
        if (entry_ms(k->v[i].a) < from)
            continue;
        struct redis_reply *e = &out->v[n++];
        say_list(e, 2);
        say_text(&e->v[0], k->v[i].a);
        say_list(&e->v[1], 2);
        say_text(&e->v[1].v[0], BYTES("e"));
        say_text(&e->v[1].v[1], k->v[i].b);
    }
    out->n = n;
}

// --- Lua ---

static void push_reply(lua_State *l, const struct redis_reply *r)
{
    switch (r->kind) {
    case REDIS_NIL:
        lua_pushboolean(l, 0);
        break;
    case REDIS_INT:
        lua_pushnumber(l, (lua_Number)r->number);
        break;
    case REDIS_STATUS:
        lua_newtable(l);
        lua_pushlstring(l, r->text.p, r->text.n);
        lua_setfield(l, -2, "ok");
        break;
    case REDIS_LIST:
        lua_createtable(l, (int)r->n, 0);
        for (size_t i = 0; i < r->n; i++) {
            push_reply(l, &r->v[i]);
            lua_rawseti(l, -2, (int)i + 1);
        }
        break;
    default:
        lua_pushlstring(l, r->text.p, r->text.n);
    }
}

static int lua_call_redis(lua_State *l)
{
    struct bytes argv[512];
    struct redis_reply r = {0};
    int argc = lua_gettop(l);
    CHECK(argc > 0 && argc <= (int)countof(argv));
    for (int i = 0; i < argc; i++)
        argv[i].p = lua_tolstring(l, i + 1, &argv[i].n);
    redis_call((size_t)argc, argv, &r);
    CHECK(r.kind != REDIS_ERROR);
    push_reply(l, &r);
    redis_reply_fini(&r);
    return 1;
}

static int lua_add_function(lua_State *l)
{
    lua_getfield(l, LUA_REGISTRYINDEX, "functions");
    lua_pushvalue(l, 1);
    lua_pushvalue(l, 2);
    lua_settable(l, -3);
    return 0;
}

static void take_result(lua_State *l, int at, struct redis_reply *out)
{
    size_t n;
    const char *p;
    switch (lua_type(l, at)) {
    case LUA_TNUMBER:
        say_int(out, (int64_t)lua_tonumber(l, at));
        break;
    case LUA_TSTRING:
        p = lua_tolstring(l, at, &n);
        say_text(out, (struct bytes){p, n});
        break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(l, at))
            say_int(out, 1);
        break;
    case LUA_TTABLE:
        say_list(out, lua_objlen(l, at));
        for (size_t i = 0; i < out->n; i++) {
            lua_rawgeti(l, at, (int)i + 1);
            take_result(l, lua_gettop(l), &out->v[i]);
            lua_pop(l, 1);
        }
        break;
    default:
        break;
    }
}

static void push_list(size_t n, const struct bytes *v)
{
    lua_createtable(lua, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushlstring(lua, v[i].p ? v[i].p : "", v[i].n);
        lua_rawseti(lua, -2, (int)i + 1);
    }
}

static void run_lua(int n_args, struct redis_reply *out)
{
    if (lua_pcall(lua, n_args, 1, 0) != 0) {
        fprintf(stderr, "lua: %s\n", lua_tostring(lua, -1));
        CHECK(false);
    }
    take_result(lua, lua_gettop(lua), out);
    lua_settop(lua, 0);
}

COMMAND(do_fcall) // name, number of keys, keys, arguments
{
    size_t n = number(argv[2]);
    lua_getfield(lua, LUA_REGISTRYINDEX, "functions");
    lua_pushlstring(lua, argv[1].p, argv[1].n);
    lua_gettable(lua, -2);
    lua_remove(lua, -2);
    CHECK(lua_isfunction(lua, -1));
    push_list(n, argv + 3);
    push_list(argc - 3 - n, argv + 3 + n);
    run_lua(2, out);
}

COMMAND(do_eval) // script, number of keys, keys, arguments
{
    size_t n = number(argv[2]);
    push_list(n, argv + 3);
    lua_setglobal(lua, "KEYS");
    push_list(argc - 3 - n, argv + 3 + n);
    lua_setglobal(lua, "ARGV");
    CHECK(luaL_loadbuffer(lua, argv[1].p, argv[1].n, "eval") == 0);
    run_lua(0, out);
}

void redis_load(const char *library)
{
    if (!lua) {
        lua = luaL_newstate();
        luaL_openlibs(lua);
        lua_newtable(lua);
        lua_setfield(lua, LUA_REGISTRYINDEX, "functions");
        lua_newtable(lua);
        lua_pushcfunction(lua, lua_call_redis);
        lua_setfield(lua, -2, "call");
        lua_pushcfunction(lua, lua_add_function);
        lua_setfield(lua, -2, "register_function");
        lua_setglobal(lua, "redis");
    }
    const char *code = strchr(library, '\n'); // behind the line that names it
    CHECK(code != NULL && luaL_loadbuffer(lua, code, strlen(code), "library") == 0);
    struct redis_reply none = {0};
    run_lua(0, &none);
    redis_reply_fini(&none);
}

// --- the table of commands ---

void redis_call(size_t argc, const struct bytes *argv, struct redis_reply *out)
{
    static const struct {
        const char *name;
        void (*fn)(size_t argc, const struct bytes *argv, struct redis_reply *out);
    } commands[] = {
        {"FCALL", do_fcall},
        {"EVAL", do_eval},
        {"EVAL_RO", do_eval},
        {"HGET", do_hget},
        {"HGETALL", do_hgetall},
        {"HSET", do_hset},
        {"HDEL", do_hdel},
        {"HMGET", do_hmget},
        {"HEXISTS", do_hexists},
        {"HLEN", do_hlen},
        {"HSETNX", do_hsetnx},
        {"HKEYS", do_members},
        {"GET", do_get},
        {"TIME", do_time},
        {"SET", do_set},
        {"DEL", do_del},
        {"EXISTS", do_exists},
        {"PEXPIRE", do_pexpire},
        {"SADD", do_sadd},
        {"SREM", do_srem},
        {"SMEMBERS", do_members},
        {"SCARD", do_card},
        {"SSCAN", do_sscan},
        {"ZADD", do_zadd},
        {"ZREM", do_zrem},
        {"ZSCORE", do_zscore},
        {"ZMSCORE", do_zmscore},
        {"ZRANGE", do_zrange},
        {"ZRANGEBYSCORE", do_zrangebyscore},
        {"ZREMRANGEBYSCORE", do_zremrangebyscore},
        {"ZRANGEBYLEX", do_zrangebylex},
        {"ZREVRANGEBYLEX", do_zrangebylex},
        {"RPUSH", do_rpush},
        {"LPOP", do_lpop},
        {"LLEN", do_llen},
        {"LRANGE", do_lrange},
        {"XADD", do_xadd},
        {"XRANGE", do_xrange},
    };
    *out = (struct redis_reply){0};
    for (size_t i = 0; i < countof(commands); i++)
        if (bytes_is(argv[0], commands[i].name)) {
            commands[i].fn(argc, argv, out);
            return;
        }
    fprintf(stderr, "redis: no command %.*s here\n", BYTES_FMT(argv[0]));
    CHECK(false);
}

// --- life ---

static struct key *key_copy(const struct key *k)
{
    struct key *c = mem_alloc(sizeof *c);
    *c = (struct key){.name = own(k->name), .type = k->type, .expires_ms = k->expires_ms, .text = own(k->text)};
    for (size_t i = k->first; i < k->n; i++) {
        struct item *to = item_add(c, k->v[i].a);
        to->b = own(k->v[i].b);
        to->score = k->v[i].score;
    }
    return c;
}

static void clear(struct table *t)
{
    struct key *k;
    for (uint32_t i = 0; (k = table_next(t, &i, NULL)) != NULL;)
        key_free(k);
    table_fini(t);
}

static void copy_all(struct table *to, const struct table *from)
{
    const struct key *k;
    uint64_t hash;
    clear(to);
    for (uint32_t i = 0; (k = table_next(from, &i, &hash)) != NULL;)
        if (!k->expires_ms)
            table_put(to, hash, key_copy(k));
}

void redis_begin(void)
{
    copy_all(&keys, &kept);
}

void redis_end(void)
{
    clear(&keys);
}

void redis_keep(void)
{
    copy_all(&kept, &keys);
}

void redis_free(void)
{
    clear(&keys);
    clear(&kept);
    if (lua)
        lua_close(lua);
    lua = NULL;
}

struct bytes redis_field(const char *key, const char *field)
{
    struct item *i = item_of(look(bytes_of(key), TYPE_HASH), bytes_of(field));
    return i ? i->b : BYTES_NONE;
}

void redis_each(void (*fn)(void *ctx, struct bytes key), void *ctx)
{
    const struct key *k;
    for (uint32_t i = 0; (k = table_next(&keys, &i, NULL)) != NULL;)
        if (!k->expires_ms || k->expires_ms > now_ms())
            fn(ctx, k->name);
}
