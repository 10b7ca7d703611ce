// bus: messages between services, over nng. Broker-less: every instance writes itself into a registry in Redis under
// a lease, and whoever has something for it dials it.
//   zset bus:<kind>             member: instance, score: unix ms until which its lease runs
//   key  bus:<kind>:<instance>  an encoded `bus_node` (proto/messages.def), with the lease as its expiry
// Commands go over push/pull, are repeated until answered (to another instance if need be) and carry a deadline.
// Events go over pub/sub, in batches, one link per (publisher, subscriber), numbered, with beats; whoever commits to
// records beats to all who may listen to one (gateways and voice nodes) from the start. The bus may lose events without
// a word; it never fails to say so (on_loss), also while a link swallows everything. What was lost is in the records'
// logs.
#pragma once
#include "arena.h"
#include "record.h"
#include "schema.h"

enum bus_kind { BUS_GATEWAY, BUS_CALL_MANAGER, BUS_REGION_ALLOCATOR, BUS_MESSAGE, BUS_VOICE_NODE, BUS_KINDS };
const char *bus_kind_name(enum bus_kind k); // "gateway", "call-manager", …

struct bus;
struct answer; // proto/messages.def: err, body
struct bus_from {
    uint64_t command;  // id
    uint64_t deadline; // unix ms
    char instance[48]; // who asked
};

// An incoming command or event. `m` and all it points to live until the handler returns.
typedef void (*bus_command_fn)(void *ctx, const struct bus_from *from, const struct msg *m);
typedef void (*bus_event_fn)(void *ctx, const struct msg *m);
// Something for this instance may have been lost; every record listened to must be read again from its log.
typedef void (*bus_loss_fn)(void *ctx, const char *why);
// An instance of a watched kind appeared (up) or its lease ran out (!up).
typedef void (*bus_peer_fn)(void *ctx, enum bus_kind kind, const char *instance, bool up);
// nng has stopped tidying up in this process, and links that break now stay broken: it is to be started anew.
typedef void (*bus_stuck_fn)(void *ctx);
// The answer to a command: a is NULL when the deadline passed first.
typedef void (*bus_answer_fn)(void *ctx, const struct answer *a);

struct bus_cfg {
    enum bus_kind kind;
    const char *instance; // unique, <= 47 bytes
    const char *bind;     // address to listen on, port picked free
    const char *host;     // address that others dial
    uint64_t lease_ms;    // 1500; renewed every third of it
    uint64_t answers_max; // bytes of answers that are kept for repeats; the oldest go first
    bus_command_fn on_command;
    bus_event_fn on_event;
    bus_loss_fn on_loss;
    bus_peer_fn on_peer;
    bus_stuck_fn on_stuck;
    void *ctx;
};

struct bus *bus_new(struct loop *l, struct store *s, struct bus_cfg cfg);
void bus_watch(struct bus *b, enum bus_kind kind);     // keep its live instances known; needed before bus_command to it
bool bus_ready(const struct bus *b);                   // registered, and every watched kind has been read once
bool bus_refused(const struct bus *b);                 // Redis answers, and takes no writes (its disk is full, say)
bool bus_has(const struct bus *b, enum bus_kind kind); // a live instance is known
// Names of those of a kind that are known, at most max of them; they live until the loop turns. Returns how many.
size_t bus_names(const struct bus *b, enum bus_kind kind, const char **names, size_t max);
bool bus_is(const struct bus *b, struct bytes instance, enum bus_kind kind); // it is known, and of that kind
// That very process is there; a later one of its name was not born with it.
bool bus_lives(const struct bus *b, struct bytes instance, uint64_t born);
uint64_t bus_born(const struct bus *b); // of this process
uint64_t bus_new_id(struct bus *b);     // a random command id, never 0

// Sends a command to the instance that rendezvous hashing picks for `key`; repeats it every 250 ms until answered.
// It tells a deadline a tenth sooner than its own: what was not carried out by then never is.
// `fn` is called exactly once, from the loop. Returns the command's id. For a command that continues another one
// (and must be applied once even when its sender dies and somebody else sends it again) give `id` != 0.
uint64_t bus_command(struct bus *b, enum bus_kind to, uint64_t key, uint64_t id, const struct msg *m,
                     uint64_t timeout_ms, bus_answer_fn fn, void *ctx);
// The same to that one instance and to nobody else, whoever has the name then: one that is absent, or comes back too
// late, has not answered by the deadline.
uint64_t bus_command_at(struct bus *b, enum bus_kind to, const char *instance, uint64_t id, const struct msg *m,
                        uint64_t timeout_ms, bus_answer_fn fn, void *ctx);
// Nobody is to be asked any more: fn of every command of that id that is not answered is called with NULL, from here.
void bus_take_back(struct bus *b, uint64_t id);
// Answers a command. The bus keeps recent answers and gives them to repeats by itself; a repeat of one that is still
// being worked on is dropped. Every command handed to on_command must be answered once, later is fine. ERR_IO and
// ERR_CONFLICT are not sent: the asker repeats the command until its deadline, and a repeat may fare better.
void bus_answer(struct bus *b, const struct bus_from *to, int err, struct bytes body);

// Queues an encoded event message for one instance; sent with this turn's batch. Unknown instances are skipped
// (ERR_MISSING).
int bus_publish(struct bus *b, const char *instance, struct bytes encoded);
void bus_publish_all(struct bus *b, enum bus_kind kind, struct bytes encoded); // for all of a kind that are known
// Commit that publishes: on success the entry goes to every listener; listeners that are long dead are removed.
void bus_commit(struct bus *b, const struct commit *c, commit_fn fn, void *ctx);

const char *bus_url(const struct bus *b, const char *which); // "events" or "commands": what others dial

// Unregisters, sends what is queued, closes sockets; callbacks of commands run with NULL. Once more: those of commands
// that were asked since, by what the store had still to say.
void bus_stop(struct bus *b);
void bus_free(struct bus *b); // waits for the sockets, some 50 ms as a rule and a second or so at worst
void bus_dump(const struct bus *b, struct buf *out);
