// record: keys, and the commit of one record as one call of the Lua function below. No rule of the business is in it.
// sb_commit is all or nothing: what can be refused (the log entry) is written first.
#include "record.h"
#include "metrics.h"
#include <stdio.h>
#include <string.h>

#define DEDUPE_MS "60000"
#define KEYS_MAX 32u         // that the changes of one commit touch
#define FIXED_ARGS (3u + 4u) // FCALL name n; hash, log, gw, dedupe
#define COMMIT_ARGS 6u       // expected, ttl, by, cap, entry, answer
#define CHANGE_ARGS 4u       // op, which key, a, b

// sb_commit  KEYS hash, log, listeners, dedupe, touched...
//            ARGS expected, dedupe ttl in ms (0: no command), by (unix ms of this clock; 0: whenever), log cap, entry,
//            answer, then (op, key, a, b) per change
//            -> {1, version, listeners} applied; {2, version, answer} this command was applied before;
//               {0, version} somebody else was first; {3, version} too late. What was sent by a process that has been
//               stopped since, or to a Redis that was, may come long after whoever asked was told that it failed
// sb_hold    KEYS key  ARGS value, ms. Takes or keeps a key that is free or has this value; 1, or 0
// sb_claim   KEYS zset ARGS now, until, limit. Members due by now; nobody else gets them before `until`
// sb_settle  KEYS zset ARGS member, until, next. Its claimant is done: due again at next, or gone when next is empty;
//            nothing when somebody has given it another time since
// sb_want    KEYS zset ARGS member, at. Is to be due at `at` at the latest; 1, or 0 when it is sooner anyway. Whoever
//            has claimed it may not know of that: a member whose time is no whole number of ms is due at `at` then
// sb_cas     KEYS hash  ARGS field, expected, next. An empty text is an absent field. {1}, or {0, present}
// sb_once    KEYS dedupe  ARGS ttl, answer, by. Keeps the answer: nil; or the one that this command got before; or 0:
//            too late
const char record_functions[] =
    "#!lua name=switchboard\n"
    "local function change(op, key, a, b)\n"
    "  if op == 'HSET' then redis.call(op, key, a, b)\n"
    "  elseif op == 'ZADD' then redis.call(op, key, '0', a)\n"
    "  elseif op == 'DEL' then redis.call(op, key)\n"
    "  elseif op == 'SET' then redis.call(op, key, a, 'PX', b)\n"
    "  else redis.call(op, key, a) end\n"
    "end\n"
    "local function late(by)\n"
    "  if by == '0' then return false end\n"
    "  local now = redis.call('TIME')\n"
    "  return now[1] * 1000 + math.floor(now[2] / 1000) > tonumber(by)\n"
    "end\n"
    "redis.register_function('sb_commit', function(keys, args)\n"
    "  local hash, log, listeners, dedupe = keys[1], keys[2], keys[3], keys[4]\n"
    "  local expected, ttl, by, cap, entry, answer = args[1], args[2], args[3], args[4], args[5], args[6]\n"
    "  if ttl ~= '0' then\n"
    "    local before = redis.call('GET', dedupe)\n"
    "    if before then\n"
    "      local at = string.find(before, ':', 1, true)\n"
    "      return {2, tonumber(string.sub(before, 1, at - 1)), string.sub(before, at + 1)}\n"
    "    end\n"
    "  end\n"
    "  local current = redis.call('HGET', hash, 'v') or '0'\n"
    "  if late(by) then return {3, tonumber(current)} end\n"
    "  if current ~= expected then return {0, tonumber(current)} end\n"
    "  local version = string.format('%.0f', tonumber(expected) + 1)\n"
    "  redis.call('XADD', log, 'MAXLEN', '~', cap, version .. '-0', 'e', entry)\n"
    "  for i = 7, #args, 4 do change(args[i], keys[tonumber(args[i + 1])], args[i + 2], args[i + 3]) end\n"
    "  redis.call('HSET', hash, 'v', version)\n"
    "  if ttl ~= '0' then redis.call('SET', dedupe, version .. ':' .. answer, 'PX', ttl) end\n"
    "  return {1, tonumber(version), redis.call('SMEMBERS', listeners)}\n"
    "end)\n"
    "redis.register_function('sb_hold', function(keys, args)\n"
    "  local holder = redis.call('GET', keys[1])\n"
    "  if holder and holder ~= args[1] then return 0 end\n"
    "  redis.call('SET', keys[1], args[1], 'PX', args[2])\n"
    "  return 1\n"
    "end)\n"
    "redis.register_function('sb_claim', function(keys, args)\n"
    "  local due = redis.call('ZRANGEBYSCORE', keys[1], '-inf', args[1], 'LIMIT', 0, args[3])\n"
    "  for _, member in ipairs(due) do redis.call('ZADD', keys[1], args[2], member) end\n"
    "  return due\n"
    "end)\n"
    "redis.register_function('sb_settle', function(keys, args)\n"
    "  local at = redis.call('ZSCORE', keys[1], args[1])\n"
    "  if not at or tonumber(at) ~= tonumber(args[2]) then return 0 end\n"
    "  if args[3] == '' then return redis.call('ZREM', keys[1], args[1]) end\n"
    "  redis.call('ZADD', keys[1], args[3], args[1])\n"
    "  return 1\n"
    "end)\n"
    "redis.register_function('sb_want', function(keys, args)\n"
    "  local at = redis.call('ZSCORE', keys[1], args[1])\n"
    "  if at and tonumber(at) % 1 == 0 and tonumber(at) <= tonumber(args[2]) then return 0 end\n"
    "  redis.call('ZADD', keys[1], args[2], args[1])\n"
    "  return 1\n"
    "end)\n"
    "redis.register_function('sb_cas', function(keys, args)\n"
    "  local present = redis.call('HGET', keys[1], args[1]) or ''\n"
    "  if present ~= args[2] then return {0, present} end\n"
    "  if args[3] == '' then redis.call('HDEL', keys[1], args[1])\n"
    "  else redis.call('HSET', keys[1], args[1], args[3]) end\n"
    "  return {1}\n"
    "end)\n"
    "redis.register_function('sb_once', function(keys, args)\n"
    "  local before = redis.call('GET', keys[1])\n"
    "  if before then return before end\n"
    "  if late(args[3]) then return 0 end\n"
    "  redis.call('SET', keys[1], args[2], 'PX', args[1])\n"
    "  return false\n"
    "end)\n";

const char *record_key(char out[RECORD_KEY_MAX], ref r, const char *suffix)
{
    int n =
        snprintf(out, RECORD_KEY_MAX, "{%s%llu}:%s", ref_is_user(r) ? "u:" : "", (unsigned long long)ref_id(r), suffix);
    CHECK_ID(n > 0 && n < (int)RECORD_KEY_MAX, ref_id(r));
    return out;
}

// --- commit ---

struct decimal {
    char text[24];
};

static struct bytes decimal(struct decimal *d, uint64_t v)
{
    int n = snprintf(d->text, sizeof d->text, "%llu", (unsigned long long)v);
    return (struct bytes){d->text, (size_t)n};
}

struct touched { // the keys that the changes of a commit touch, each once
    size_t n;
    const char *suffix[KEYS_MAX];
    char key[KEYS_MAX][RECORD_KEY_MAX];
    struct decimal number[KEYS_MAX]; // its place among KEYS, from 1
};

static size_t touch(struct touched *t, ref r, const char *suffix)
{
    size_t i = 0;
    while (i < t->n && strcmp(t->suffix[i], suffix) != 0)
        i++;
    if (i == t->n) {
        CHECK_ID(i < KEYS_MAX, ref_id(r));
        t->n++;
        t->suffix[i] = suffix;
        record_key(t->key[i], r, suffix);
        decimal(&t->number[i], 4 + i + 1);
    }
    return i;
}

static struct bytes op_name(enum change_op op)
{
    switch (op) {
    case CHANGE_HSET:
        return BYTES("HSET");
    case CHANGE_HDEL:
        return BYTES("HDEL");
    case CHANGE_ZADD:
        return BYTES("ZADD");
    case CHANGE_ZREM:
        return BYTES("ZREM");
    case CHANGE_SADD:
        return BYTES("SADD");
    case CHANGE_SREM:
        return BYTES("SREM");
    case CHANGE_DEL:
        return BYTES("DEL");
    case CHANGE_SET:
        return BYTES("SET");
    }
    CHECK(false);
    return BYTES_NONE;
}

struct waiting { // for the answer to one commit
    commit_fn fn;
    void *ctx;
};

static void on_commit(void *ctx, const struct reply *r)
{
    struct waiting w = *(struct waiting *)ctx;
    mem_free(ctx);
    struct commit_result result = {.err = ERR_IO};
    int64_t version = reply_int(reply_at(r, 1));
    if (reply_n(r) >= 2 && version >= 0) {
        result.version = (uint64_t)version;
        switch (reply_int(reply_at(r, 0))) {
        case 0:
            result.err = ERR_CONFLICT;
            M.commit_conflicts++;
            break;
        case 1:
            result.err = OK;
            result.listeners = reply_at(r, 2);
            M.commits++;
            break;
        case 2:
            result.err = ERR_STATE;
            result.answer = reply_text(reply_at(r, 2));
            break;
        case 3:
            result.err = ERR_TIMEOUT;
            M.commits_late++;
            break;
        }
    }
    if (w.fn)
        w.fn(w.ctx, &result);
}

void record_commit(struct store *s, const struct commit *c, commit_fn fn, void *ctx)
{
    struct bytes argv[FIXED_ARGS + KEYS_MAX + COMMIT_ARGS + CHANGE_ARGS * CHANGES_MAX];
    size_t n = 0;
    char hash[RECORD_KEY_MAX], log[RECORD_KEY_MAX], listeners[RECORD_KEY_MAX], dedupe[RECORD_KEY_MAX], suffix[32];
    struct decimal n_keys, expected, by, cap;
    struct touched touched = {0};
    size_t which[CHANGES_MAX];

    CHECK_ID(c->n_changes <= CHANGES_MAX && c->entry.n > 0, ref_id(c->ref));
    for (size_t i = 0; i < c->n_changes; i++)
        which[i] = touch(&touched, c->ref, c->changes[i].suffix);
    snprintf(suffix, sizeof suffix, "c:%llu", (unsigned long long)c->command);
    argv[n++] = BYTES("FCALL");
    argv[n++] = BYTES("sb_commit");
    argv[n++] = decimal(&n_keys, 4 + touched.n);
    argv[n++] = bytes_of(record_key(hash, c->ref, "s"));
    argv[n++] = bytes_of(record_key(log, c->ref, "log"));
    argv[n++] = bytes_of(record_key(listeners, c->ref, "gw"));
    argv[n++] = bytes_of(record_key(dedupe, c->ref, suffix)); // named even when unused: a key of no slot is refused
    for (size_t i = 0; i < touched.n; i++)
        argv[n++] = bytes_of(touched.key[i]);
    argv[n++] = decimal(&expected, c->expected);
    argv[n++] = c->command ? BYTES(DEDUPE_MS) : BYTES("0");
    argv[n++] = decimal(&by, c->by);
    argv[n++] = decimal(&cap, RECORD_LOG_CAP);
    argv[n++] = c->entry;
    argv[n++] = c->answer;
    for (size_t i = 0; i < c->n_changes; i++) {
        argv[n++] = op_name(c->changes[i].op);
        argv[n++] = bytes_of(touched.number[which[i]].text);
        argv[n++] = c->changes[i].a;
        argv[n++] = c->changes[i].b;
    }
    struct waiting *w = mem_alloc(sizeof *w);
    *w = (struct waiting){fn, ctx};
    store_send(s, on_commit, w, n, argv);
}

// --- reading ---

void record_load(struct store *s, ref r, store_fn fn, void *ctx)
{
    char key[RECORD_KEY_MAX];
    store_cmd(s, fn, ctx, "HGETALL %s", record_key(key, r, "s"));
}

void record_log(struct store *s, ref r, uint64_t version, uint32_t limit, store_fn fn, void *ctx)
{
    char key[RECORD_KEY_MAX];
    M.log_reads++;
    store_cmd(s, fn, ctx, "XRANGE %s %llu-0 + COUNT %u", record_key(key, r, "log"), (unsigned long long)version + 1,
              limit);
}

int record_log_entry(const struct reply *entry, uint64_t *version, struct bytes *out)
{
    struct bytes id = reply_text(reply_at(entry, 0));
    const struct reply *e = reply_field(reply_at(entry, 1), "e");
    if (id.n < 3 || id.p[id.n - 2] != '-' || id.p[id.n - 1] != '0' || reply_kind(e) != REPLY_TEXT)
        return ERR_INVALID;
    id.n -= 2;
    if (bytes_u64(id, version))
        return ERR_INVALID;
    *out = reply_text(e);
    return OK;
}

uint64_t record_version(const struct reply *hash)
{
    uint64_t version = 0;
    const struct reply *v = reply_field(hash, "v");
    return v && bytes_u64(reply_text(v), &version) == OK ? version : 0;
}

// --- what needs no log ---

void record_cas(struct store *s, ref r, const char *suffix, struct bytes field, struct bytes expected,
                struct bytes next, store_fn fn, void *ctx)
{
    char key[RECORD_KEY_MAX];
    struct bytes argv[] = {BYTES("FCALL"), BYTES("sb_cas"), BYTES("1"), bytes_of(record_key(key, r, suffix)),
                           field,          expected,        next};
    store_send(s, fn, ctx, countof(argv), argv);
}

int record_cas_result(const struct reply *r, struct bytes *present)
{
    if (!reply_ok(r) || !reply_n(r))
        return ERR_IO;
    if (reply_int(reply_at(r, 0)) == 1)
        return OK;
    *present = reply_text(reply_at(r, 1));
    return ERR_CONFLICT;
}

const char *record_command_key(char out[RECORD_KEY_MAX], ref r, uint64_t command)
{
    char suffix[32];
    snprintf(suffix, sizeof suffix, "c:%llu", (unsigned long long)command);
    return record_key(out, r, suffix);
}

void record_once(struct store *s, ref r, const struct once *o, store_fn fn, void *ctx)
{
    char dedupe[RECORD_KEY_MAX];
    struct decimal by;
    CHECK_ID(o->command && o->answer.n, ref_id(r));
    struct bytes argv[] = {
        BYTES("FCALL"),   BYTES("sb_once"), BYTES("1"),         bytes_of(record_command_key(dedupe, r, o->command)),
        BYTES(DEDUPE_MS), o->answer,        decimal(&by, o->by)};
    store_send(s, fn, ctx, countof(argv), argv);
}

int record_once_result(const struct reply *r, struct bytes *earlier)
{
    if (!reply_ok(r))
        return ERR_IO;
    if (reply_kind(r) == REPLY_INT)
        return ERR_TIMEOUT;
    *earlier = reply_text(r);
    return reply_kind(r) == REPLY_NIL ? OK : ERR_STATE;
}
