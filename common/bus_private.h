// bus_private: what the files of the bus share: bus.c (registry, peers), bus_socket.c (nng), bus_event.c (links of
// batches), bus_commit.c (commits that publish), bus_command.c (commands and their answers). Nobody else includes this.
#pragma once
#include "bus.h"
#include "bus_core.h"
#include "loop.h"
#include "table.h"
#include <nng/nng.h>
#include <stdatomic.h>
#include <uv.h>

#define BUS_BATCH_MAX (256u * 1024u)         // a fuller batch is sent at once
#define BUS_BATCH_KEPT (16u * 1024u)         // of its memory, between two turns
#define BUS_UNSENT_MAX (4u * 1024u * 1024u)  // held for a link that is not up yet; more is lost, visibly
#define BUS_MESSAGE_MAX (5u * 1024u * 1024u) // of an nng message, an answer of 4 MiB included; more hangs up
#define BUS_DEADLINE_MS 600000u              // of a command, from when it comes: the longest of ours is a minute
#define BUS_QUEUE 8192                       // messages in nng's own queues, its maximum
#define BUS_URL_MAX 257u                     // of where others dial, with its zero byte

// How nng's threads wake the loop, and what keeps them from letting a pipe go while something is sent. It outlives the
// bus when a socket is still being closed.
struct bus_waker {
    uv_mutex_t lock;
    uv_async_t *wake; // NULL: the bus has stopped
    uint32_t refs;
};

// A socket, and what becomes of its pipes. nng tells of them on its own threads, which touch the atomics and wake the
// loop, nothing else. It is closed on a thread too, and freed after that.
struct bus_socket {
    nng_socket socket;
    bool once; // serves for one pipe
    atomic_int pipes;
    atomic_bool dropped; // a pipe went, and nobody has looked yet
    atomic_bool spent;   // that one pipe went: nothing can be sent any more
    struct bus_waker *waker;
    uint64_t down_at;        // ms: nobody is there since; 0: not seen so
    struct bus_socket *next; // to be closed with this one
};

struct bus_peer { // an instance that others have in the registry
    struct bus *bus;
    enum bus_kind kind;
    char name[48];
    uint64_t hash; // of the name, its key in the table
    char events_url[BUS_URL_MAX], commands_url[BUS_URL_MAX];
    uint64_t epoch, born;
    bool seen;                            // in the registry at the last look
    struct bus_socket *events, *commands; // NULL: not dialled
    uint64_t dial_at;                     // ms: commands not before that
    struct loop_flush flush;
    struct buf batch;    // events that this turn has for it
    uint64_t link_epoch; // of this link to it: its numbers begin at 1
    uint64_t seq, sent_at;
    struct loop_flush orders_flush;
    struct buf orders; // commands that this turn has for it
};

struct bus_closing; // bus_socket.c
struct bus_pending; // bus_command.c
struct bus_kept;
struct bus_doubt; // bus_commit.c

struct bus {
    struct loop *loop;
    struct store *store;
    struct bus_cfg cfg;
    char instance[48], events_url[BUS_URL_MAX], commands_url[BUS_URL_MAX];
    uint64_t epoch, born;
    struct bus_socket *sub, *pull;
    uv_poll_t *sub_poll, *pull_poll;
    struct bus_waker *waker;
    struct bus_closing *closing; // under way
    struct bus_socket *to_close; // after that
    uint64_t last_link_epoch;
    bool stopped, registered, own_known, read;
    bool refused;         // Redis answers, and takes no writes
    uint64_t trust_until; // ms: until then nobody is gone because his lease ran out: ours has, and Redis' doing it was
    bool watched[BUS_KINDS];
    uint32_t looking;    // registry replies still to come
    bool look_failed;    // one of them was none
    struct table peers;  // by hash of the name
    struct table missed; // hashes of instances that something was for before they were known
    bool missed_more;    // and of others, there were too many: whoever is new is taken for one of them
    struct table links;  // struct bus_link by hash of the publisher's name
    uint64_t anew_at;    // ms: when all were last asked to dial anew
    struct timer renew, beat;
    struct loop_flush loss;
    const char *loss_why;
    struct arena arena; // of the message being handled
    struct bus_doubt *doubts;
    uint32_t n_doubts;
    // Commands.
    struct table pending; // struct bus_pending by id
    struct table running; // struct bus_from by id: taken, not answered yet
    struct table kept;    // struct bus_kept by id: answered
    struct bus_kept *oldest, **newest;
    uint64_t kept_bytes;
};

// bus.c
struct bus_peer *bus_peer_named(const struct bus *b, struct bytes name); // NULL when unknown
void bus_miss(struct bus *b, struct bytes name); // something for it is lost: once it is known it will be told
void bus_dial_events(struct bus_peer *p);
void bus_dial_commands(struct bus_peer *p);
bool bus_listens(enum bus_kind kind); // may listen to records
void bus_look(struct bus *b);         // at the registry, soon
void bus_anew(struct bus *b);         // everybody is to dial anew
size_t bus_peers_of(const struct bus *b, enum bus_kind kind, uint64_t *hashes, size_t max);
#define BUS_PEERS_MAX 1024u

// bus_socket.c
enum bus_way { BUS_EVENTS, BUS_COMMANDS }; // pub to sub, push to pull
struct bus_waker *bus_waker_new(struct bus *b, uv_async_cb fn);
void bus_waker_stop(struct bus_waker *w);
void bus_free_handle(uv_handle_t *handle);                                             // for uv_close
struct bus_socket *bus_dial(struct bus *b, enum bus_way way, const char *url);         // NULL: logged
struct bus_socket *bus_listen(struct bus *b, enum bus_way way, char url[BUS_URL_MAX]); // as b->cfg says; NULL: logged
uv_poll_t *bus_poll(struct bus *b, const struct bus_socket *s, uv_poll_cb fn);
void bus_drain(struct bus *b, const struct bus_socket *s, void (*fn)(struct bus *b, struct bytes message));
bool bus_up(const struct bus_socket *s);    // it is dialled, and somebody is there
bool bus_spent(const struct bus_socket *s); // it is of no more use: to be closed, and dialled anew
MUST_USE int bus_send(struct bus_socket *s, struct bytes head, struct bytes body);
// Closes it and those behind it, some time from now: they are gone for us.
void bus_close(struct bus *b, struct bus_socket *first);
// Each half beat. True, once: a socket takes so long to close that it never will.
bool bus_close_look(struct bus *b);
// Waits until all are closed, though not for ever: what does not close does so with the process.
void bus_close_end(struct bus *b);

// bus_event.c
void bus_event_batch(struct bus *b, struct bytes batch);
void bus_event_beats(struct bus *b);
void bus_event_flush(struct loop_flush *f);
void bus_event_lost(struct bus *b, const char *why);
void bus_event_loss_flush(struct loop_flush *f);
void bus_event_queue(struct bus_peer *p, struct bytes encoded);
void bus_event_expect(struct bus *b, const struct bus_peer *p); // it beats to us from now on, or something is wrong

// bus_commit.c
void bus_commit_doubts(struct bus *b); // from time to time
void bus_commit_stop(struct bus *b);

// bus_command.c
void bus_command_message(struct bus *b, struct bytes message);
void bus_command_answered(struct bus *b, const struct answer *a);
void bus_command_links_changed(struct bus *b);                        // a link came up: what waits for it goes out now
void bus_command_unqueue(struct bus *b, const struct bus_peer *peer); // it is sent again when the link is up
void bus_command_peer_gone(struct bus *b, const struct bus_peer *p);
void bus_command_flush(struct loop_flush *f);
void bus_command_forget_old(struct bus *b);
void bus_command_stop(struct bus *b);
