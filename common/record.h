// record: the truth. A place (a guild or a private channel) or a user is one record in Redis, changed in one way
// only: commit, a compare-and-set on its version that writes the changes, appends one entry to its log and bumps
// the version by one. Keys of a record share one hash tag, so the same code runs on a Redis Cluster.
//   {<id>}:s     hash: v (version) and the fields         {u:<id>}:s for a user
//   {<id>}:log   stream, capped; entry id is <version>-0, field e is an encoded `place_event` (proto/messages.def)
//   {<id>}:gw    set: instances that listen to this record
//   {<id>}:c:<command id>   the answer already given to a command, for a minute
// A version without an entry does not exist: each commit appends exactly one, perhaps with no events in it.
#pragma once
#include "store.h"

// A record's name in one word: the id of a place, or a user's id with the top bit set. 0 is no record.
typedef uint64_t ref;
#define REF_USER_BIT (1ull << 63)
#define REF_SYSTEM REF_USER_BIT // {u:0}: what concerns every gateway (revoked tokens, the region list)
static inline ref ref_place(uint64_t place)
{
    return place;
}
static inline ref ref_user(uint64_t user)
{
    return user | REF_USER_BIT;
}
static inline bool ref_is_user(ref r)
{
    return (r & REF_USER_BIT) != 0;
}
static inline uint64_t ref_id(ref r)
{
    return r & ~REF_USER_BIT;
}

#define RECORD_KEY_MAX 128
// "{123}:s", "{u:123}:log", … ; suffix without the colon. Returns out.
const char *record_key(char out[RECORD_KEY_MAX], ref r, const char *suffix);

enum change_op { CHANGE_HSET, CHANGE_HDEL, CHANGE_ZADD, CHANGE_ZREM, CHANGE_SADD, CHANGE_SREM, CHANGE_DEL, CHANGE_SET };
struct change {
    enum change_op op;
    const char *suffix; // which key of the record: "s", "mi", …
    struct bytes a;     // field or member; DEL, which takes the whole key away: none
    struct bytes b;     // HSET: value. ZADD always scores 0 (a set ordered by its text)
};
#define CHANGES_MAX 256u

struct commit {
    ref ref;
    uint64_t expected;   // version read before; 0: the record does not exist yet
    uint64_t command;    // id of the command that this carries out, 0: none
    uint64_t by;         // unix ms: its asker has given up by then, and it is not carried out any more; 0: whenever
    struct bytes answer; // kept under the command's id and given back to a repeat
    struct bytes entry;  // encoded place_event whose version is expected + 1
    const struct change *changes;
    uint32_t n_changes; // <= CHANGES_MAX
};

struct commit_result {
    int err;             // OK, ERR_CONFLICT, ERR_IO (nobody knows whether it took effect: load again, repeat the
                         // command: its id decides), ERR_TIMEOUT: `by` has passed, or ERR_STATE: this command was
                         // applied before, see answer
    uint64_t version;    // OK: the new one. CONFLICT: the present one
    struct bytes answer; // of the earlier application
    const struct reply *listeners; // OK: LIST of instance names that listen; NULL when none. Borrowed
};
typedef void (*commit_fn)(void *ctx, const struct commit_result *r);

// Encodes and sends; everything in c may die when this returns.
void record_commit(struct store *s, const struct commit *c, commit_fn fn, void *ctx);
// {ref}:s as HGETALL (reply_field(r, "v") is the version; an empty list is no record).
void record_load(struct store *s, ref r, store_fn fn, void *ctx);
// Log entries after `version`, at most `limit`: LIST of [id, [ "e", entry ]]. When entries were already cut off
// by the cap the first one's version is not version + 1.
void record_log(struct store *s, ref r, uint64_t version, uint32_t limit, store_fn fn, void *ctx);
// One element of that list. ERR_INVALID when it is none.
MUST_USE int record_log_entry(const struct reply *entry, uint64_t *version, struct bytes *out);
uint64_t record_version(const struct reply *hash); // 0 when there is no record

// For what belongs to a record but has neither version nor log: one field of a hash, by compare-and-set. An empty text
// is an absent field, before and after.
void record_cas(struct store *s, ref r, const char *suffix, struct bytes field, struct bytes expected,
                struct bytes next, store_fn fn, void *ctx);
MUST_USE int record_cas_result(const struct reply *r, struct bytes *present); // OK, ERR_IO; ERR_CONFLICT with *present

// For a command that has no commit: keeps its answer, once for the command.
struct once {
    uint64_t command, by; // as in a commit
    struct bytes answer;  // not empty; kept as long as a commit's
};
void record_once(struct store *s, ref r, const struct once *o, store_fn fn, void *ctx);
// OK, ERR_IO, ERR_TIMEOUT; ERR_STATE with *earlier.
MUST_USE int record_once_result(const struct reply *r, struct bytes *earlier);
const char *record_command_key(char out[RECORD_KEY_MAX], ref r, uint64_t command); // {ref}:c:<command>, to look first

#define RECORD_LOG_CAP 4096u // entries kept at least, per record
// The Lua library `switchboard`; store.c loads it when it connects. Besides sb_commit it has
//   FCALL sb_hold 1 key value ms              takes a key that is free, or keeps one that has this value: 1, else 0
//   FCALL sb_claim 1 zset now until limit     members due by now (LIST); nobody else is given them before `until`
//   FCALL sb_settle 1 zset member until next  unless it was given another time since: due again at next, empty: gone
extern const char record_functions[];
extern const char session_functions[]; // the same for `switchboard_sessions`: see session_functions.c

// {s:<session>}:h, the hash of a client session (services/gateway/conns.h); its field `owner` is who holds it:
// "<gateway> <hold>". Returns out. A session id is at most 64 bytes.
const char *session_key_of(char out[RECORD_KEY_MAX], const char *session);
struct bytes session_holder(struct bytes owner); // the gateway; none when nobody is known to hold it
