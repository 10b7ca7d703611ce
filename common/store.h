// store: Redis, asynchronously. One pipelined connection; a command is sent at once and its reply calls back once.
// Every command ends: with its reply, or with NULL when the connection broke or its deadline (2 s) passed.
// While Redis is away new commands fail at once (NULL, from the loop, never from inside store_send).
// Reconnects by itself with back-off and jitter (50 ms to 0.5 s). The only file that knows hiredis is store.c.
#pragma once
#include "bytes.h"
#include "loop.h"

struct store;
struct reply; // borrowed: lives until the callback returns
typedef void (*store_fn)(void *ctx, const struct reply *r);

struct store_cfg {
    const char *url;          // redis://[:password@]host[:port][/db]
    void (*on_up)(void *ctx); // connected, authenticated, functions loaded (function library below)
    void (*on_down)(void *ctx);
    void *ctx;
    uint64_t pending_max; // commands in flight; one more fails at once
};

struct store *store_new(struct loop *l, struct store_cfg cfg); // url must have passed store_url_ok
MUST_USE int store_url_ok(const char *url);
bool store_up(const struct store *s);
void store_send(struct store *s, store_fn fn, void *ctx, size_t argc, const struct bytes *argv); // fn may be NULL
// Printf-like for fixed commands: %s text, %b (const char *, size_t), %llu; words split at blanks of the format.
void store_cmd(struct store *s, store_fn fn, void *ctx, const char *fmt, ...);
// Outstanding callbacks run with NULL first; what was sent without a callback goes out if the socket takes it.
// Not from inside a callback of this store.
void store_free(struct store *s);

enum reply_kind { REPLY_NIL, REPLY_ERROR, REPLY_STATUS, REPLY_INT, REPLY_TEXT, REPLY_LIST };
enum reply_kind reply_kind(const struct reply *r);
bool reply_ok(const struct reply *r);           // not NULL and not an error
int64_t reply_int(const struct reply *r);       // 0 unless REPLY_INT
struct bytes reply_text(const struct reply *r); // TEXT, STATUS, ERROR; otherwise none
size_t reply_n(const struct reply *r);          // LIST; otherwise 0
const struct reply *reply_at(const struct reply *r, size_t i);
// LIST as HGETALL gives it: the value of a field, or NULL.
const struct reply *reply_field(const struct reply *r, const char *field);
