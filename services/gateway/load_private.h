// load_private: what load.c and load_guild.c share.
#pragma once
#include "conns.h"
#include "load.h"

struct load {
    struct gateway *g;
    struct load *next;             // in the queue
    void (*begin)(struct load *l); // its turn has come; NULL: it does not wait for one
    struct arena arena;
    uint32_t pending; // commands
    int err;
    void *ctx;
    load_users_fn on_users; // one of these four
    load_channel_fn on_channel;
    load_world_fn on_world;
    load_members_fn on_members;
    load_ref_fn on_ref;
    struct timer at_once; // for what needs no reading
    // users
    struct ids ids; // ascending
    uint32_t asked; // of ids
    struct user *users;
    uint32_t n_users;
    // the one channel
    uint64_t channel;
    struct loaded_channel one;
    // the world
    uint64_t user;
    unsigned parts;
    struct world world;
    struct loaded_channel *channels;
    struct loaded_guild *guilds;
    // one guild, or members of it
    uint64_t guild, after;
    uint32_t limit;    // of a page
    struct ids others; // who is asked for by name
    uint32_t n_members;
    struct member *members;
};

struct part { // context of one command of a load
    struct load *l;
    uint64_t id;
    uint32_t at;
};

struct load *load_new(struct gateway *g, void *ctx);
void load_queue(struct load *l); // begins when it is its turn
struct part *load_part(struct load *l, uint64_t id, uint32_t at);
bool load_took(struct load *l, const struct reply *r); // the reply of a part; false: Redis was away
// Sends EVAL_RO with n keys and as many arguments; all in the arena.
void load_script(struct load *l, struct bytes script, uint32_t n_keys, const struct bytes *keys, uint32_t n_args,
                 const struct bytes *args, store_fn fn, struct part *p);
struct bytes load_key(struct load *l, ref r, const char *suffix); // in the arena
struct ids load_ids(struct load *l, struct ids ids);              // a copy there, ascending, each once
// The rows of a hash as HGETALL gives it, in an array of the arena. Returns how many.
uint32_t load_rows(struct load *l, const struct schema *s, const struct reply *hash, void *out);
void *load_row(struct load *l, const struct schema *s, const struct reply *value, uint64_t id); // NULL: none
// All that stands in l->world, or l->members, is there: now the users whom it names.
void load_named_users(struct load *l);
void load_end(struct load *l); // calls back, with l->err, and frees it

// Reads one guild; frame: of members and seats only the viewer's and those of l->others.
void load_guild_ask(struct load *l, uint64_t guild, bool frame, store_fn fn, struct part *p);
// What that was answered with. False: there is no such guild, or the viewer is no member.
bool load_guild_take(struct load *l, const struct reply *r, uint64_t guild, struct loaded_guild *out);
