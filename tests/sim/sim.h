// sim: a whole Switchboard in one process. The services are the real ones, shells and cores, linked against a loop, a
// store, nng and a web that live in virtual time; Redis is a small one of our own that runs our real Lua. One seeded
// source of chance decides every delay, loss, double, reordering, failure and death, so that a seed is a run: the same
// one each time. This header is what the parts of the world offer each other; who may do what to the world is here too.
#pragma once
#include "bytes.h"
#include "metrics.h"
#include "table.h"

struct instance;

// --- schedule.c: time, chance, and what happens next ---
typedef void (*sim_fn)(void *ctx, uint64_t id);
void sim_begin(uint64_t seed);
void sim_end(void);
uint64_t sim_us(void);      // virtual time since the beginning
uint64_t sim_unix_ms(void); // the time of day, by the one clock that is right: Redis'
uint64_t sim_random(void);
uint64_t sim_below(uint64_t n);                 // 0 when n is 0
uint64_t sim_between(uint64_t lo, uint64_t hi); // inclusive
bool sim_chance(uint32_t in_10000);
// fn(ctx, id) after so many us. With an owner it is a turn of that process: it waits while the process is stopped and
// never comes when it is dead. Without, it is the world's.
void sim_after(uint64_t us, struct instance *owner, sim_fn fn, void *ctx, uint64_t id);
bool sim_step(void);          // the next thing happens; false: nothing is left
uint64_t sim_hash(void);      // of all that has happened: two runs of a seed have the same
void sim_note(uint64_t word); // goes into that hash

// How cruel the world is, in 10,000ths unless it says otherwise. Drawn anew for each seed.
struct cruelty {
    uint32_t bus_lost, bus_doubled, bus_late; // of messages on the bus; late: overtaken by others
    uint32_t commit_refused;                  // Redis answers a function call with an error
    uint32_t reply_us, bus_us, web_us;        // latencies, at most
    bool faults;                              // links cut, connections dropped, processes killed or stopped
};
extern struct cruelty cruelty;

// --- instance.c: processes ---
enum instance_state { INSTANCE_DOWN, INSTANCE_UP, INSTANCE_STOPPED, INSTANCE_DYING };
struct held { // what came while it was stopped
    sim_fn fn;
    void *ctx;
    uint64_t id;
};
struct loop;
struct store;
struct web;
struct instance {
    char name[32];
    int (*entry)(int argc, char **argv); // its main
    enum instance_state state;
    uint64_t life; // grows with each start and each death
    int64_t skew_ms;
    struct loop *loop;
    struct store *store;
    struct web *webs[4]; // in the order in which it made them
    uint32_t n_webs;
    struct metrics metrics; // M, while it is not running
    struct held *held;
    uint32_t n_held, held_cap;
    struct process *process; // the thread that its main stands on
};
#define INSTANCES_MAX 16u
extern struct instance instances[INSTANCES_MAX];
extern uint32_t n_instances;
extern struct instance *sim_at; // whose turn it is, NULL: the world's

struct instance *instance_add(const char *name, int (*entry)(int, char **));
void instance_start(struct instance *i, int argc, char **argv); // returns when its main has come to loop_run
void instance_kill(struct instance *i);                         // -9
void instance_stop(struct instance *i);                         // SIGSTOP
void instance_continue(struct instance *i);
void instance_terminate(struct instance *i); // TERM: it goes through its phases, and is down at some time
void instance_ended(struct instance *i);     // sim_loop.c: its loop has ended and nothing is left to do
void instances_clear(void);                  // kills all, and forgets them
void instance_turn(struct instance *i, sim_fn fn, void *ctx, uint64_t id);
void instance_yield(void); // sim_loop.c: its main stands in loop_run until instance_ended

// --- sim_loop.c ---
struct loop *loop_of_uv(void *uv);
void sim_loop_task(struct loop *l, void (*fn)(void *ctx), void *ctx); // before the end of this turn, in order
void sim_loop_turn(struct loop *l);                                   // the beginning of a turn
void sim_loop_flush(struct loop *l);                                  // and its end
void sim_loop_drain(struct loop *l);                                  // of a dead process: to its end, without a world
bool sim_loop_ended(const struct loop *l);

// --- sim_store.c ---
void sim_store_begin(void);
void sim_store_cut(struct store *s);  // the connection breaks: what is under way may or may not have been done
void sim_store_dead(struct store *s); // its process is
void sim_redis_down(bool down);       // nobody can connect; all connections break when it goes down
bool sim_redis_is_down(void);

// --- sim_nng.c ---
void sim_bus_begin(void);
void sim_bus_end(void);
void sim_bus_cut(void);                          // one random link breaks; it is dialled again
void sim_bus_dead(const struct instance *owner); // its sockets are

// --- sim_web.c: the clients' side of the web ---
// A websocket as its client sees it. The callbacks are the client's: text is borrowed; code 1006 without a close frame.
typedef void (*sim_text_fn)(void *ctx, uint64_t conn, struct bytes text);
typedef void (*sim_gone_fn)(void *ctx, uint64_t conn, uint16_t code);
typedef void (*sim_reply_fn)(void *ctx, uint64_t id, int status, struct bytes body); // status 0: no answer came
uint64_t sim_web_open(struct instance *i, const char *query, sim_text_fn on_text, sim_gone_fn on_gone, void *ctx);
void sim_web_say(uint64_t conn, struct bytes text);
void sim_web_leave(uint64_t conn, uint16_t code); // 1006: without a word. No callback follows
void sim_web_slow(uint64_t conn);                 // the server finds its queue full
void sim_web_ask(struct instance *i, bool admin, const char *method, const char *path, const char *authorization,
                 struct bytes body, sim_reply_fn fn, void *ctx, uint64_t id);
void sim_web_begin(void);
void sim_web_end(void);
void sim_web_dead(struct instance *i);
