// rest_private: what rest.c and its handlers (rest_routes.c, rest_guilds.c, rest_changes.c,
// rest_voice.c) share. A handler starts anew at each step:
// it asks for what it needs, returns when that is not there yet, and in the end replies, refuses or commands.
#pragma once
#include "errors.h"
#include "form.h"
#include "rest.h"
#include "view.h"

struct step {
    struct arena *a;
    struct rest_request *r;
    struct rest_out *out;
    struct route route;
    int status; // of a success
};

void rest_reply(struct step *s, struct bytes body);
void rest_reply_buf(struct step *s, struct buf *body); // takes it
void rest_refuse_form(struct step *s, const struct fault *fault);
bool rest_refused(struct step *s, int err, const struct fault *fault); // 0: false, and nothing is said
bool rest_form(struct step *s, const struct schema *schema, void *out, uint64_t *present); // false: refused
// A row that a command points to: in the arena.
const void *rest_keep(struct step *s, const void *row, size_t size);
#define KEEP(s, type, v) ((const struct type *)rest_keep((s), (const struct type *){(v)}, sizeof(struct type)))
// n messages of one kind. When all went well the client gets out->body if that is set (204: nothing), else what the
// first one was answered with.
void rest_command(struct step *s, enum bus_kind to, uint64_t key, const struct schema *schema, const void *m, size_t n);
#define COMMAND(s, to, key, type, m) rest_command((s), (to), (key), &schema_##type, (const struct type *){(m)}, 1)

// NULL: it is not there yet, or has been refused (10013, 10003, 50024, 10004). Channels and guilds are the ones that
// the path names first.
const struct user *rest_user(struct step *s, uint64_t id);
const struct user *rest_me(struct step *s);                                    // who is gone himself: 401
const struct loaded_channel *rest_loaded_channel(struct step *s, uint64_t id); // of any kind, whoever asks
const struct loaded_channel *rest_private_channel(struct step *s);             // the asker is a recipient
const struct world *rest_world(struct step *s, unsigned parts);
const struct loaded_guild *rest_loaded_guild(struct step *s); // the asker is a member
const struct loaded_guild *rest_guild_with(struct step *s,
                                           uint64_t other); // the same; with that user's member and seat
// Of that guild what the asker has to do with, and `other` (0: nobody). NULL: not there yet. Without guilds: he is no
// member.
const struct world *rest_frame(struct step *s, uint64_t guild, uint64_t other);

// Who may not view a guild's channel is told of it what he would be told of one that is not there.
const struct channel *rest_channel_of_guild(struct step *s, uint64_t id); // the asker may view it; a private one: 50024
// The path's channel is a guild's: then *c is the same. False: it is none, or that is not known yet.
bool rest_is_of_guild(struct step *s, const struct channel **c);

void rest_guild_channel_edit(struct step *s, const struct channel *c);
void rest_guild_channel_delete(struct step *s, const struct channel *c);
bool rest_guild_named(struct step *s);  // the path names a guild that there could be; false: refused
bool rest_member_named(struct step *s); // the same, and a user

#define ROUTE(name, method, path, who, status) void handle_##name(struct step *s);
#include "routes.def"
#undef ROUTE
