// rest: what the public HTTP API answers. Pure. One request is stepped until it has an answer: each step looks at what
// was read for it so far and wants one more thing read, commands sent, or the answer given. The shell (rest_io.c) does
// that and steps again; it decides nothing. Routes: routes.def. Error codes: proto/errors.def.
#pragma once
#include "bus.h"
#include "load.h"
#include "route.h"

enum rest_who { WHO_ANYBODY, WHO_SIGNED_IN, WHO_USERS, WHO_BOTS };

enum rest_want {
    REST_ANSWER,       // status and body; no body when it is empty
    REST_LOAD_USERS,   // users
    REST_LOAD_CHANNEL, // channel
    REST_LOAD_WORLD,   // what the asker sees; parts
    REST_LOAD_GUILD,   // guild, and of its members and seats the asker's and those of `users` (load_frame)
    REST_LOAD_MEMBERS, // guild, the page of `limit` of them behind `after`
    REST_COMMANDS,     // all of them at once; then rest_answered
};

struct rest_request {
    const char *method;
    struct bytes path, query, content_type, body; // as in struct web_request
    uint64_t user;                                // whose token it came with; 0: nobody's
    struct bytes url;                             // of the websocket, for who asks for it
    uint64_t identify_rate;                       // what bots are told of it
    // What the last step wanted, and how the reading went. Nothing yet: REST_ANSWER.
    enum rest_want had;
    int err;
    struct user_set users; // REST_LOAD_USERS; REST_LOAD_CHANNEL: its recipients
    const struct loaded_channel *channel;
    const struct world *world; // REST_LOAD_WORLD, REST_LOAD_GUILD
    uint32_t n_members;        // REST_LOAD_MEMBERS; users: theirs
    const struct member *members;
    // The steps' own; begins as zero.
    bool known, bot;
    bool wrong_type;       // what the answers said, see rest_answered
    struct role_set roles; // of the guild whose members are read; in the arena
};

#define REST_COMMANDS_MAX 100u // of one request
struct rest_out {
    enum rest_want want;
    int status;
    struct bytes body;
    const char *headers; // lines, or NULL
    struct ids users;
    uint64_t channel, guild, after;
    uint32_t limit; // >= 1
    unsigned parts;
    enum bus_kind to; // of the commands
    uint64_t key;
    uint32_t n;
    const struct msg *commands;
    bool each_for_itself;   // a refused one is passed over: it stands for none of the others
    bool of_channel;        // the path begins with a channel
    const struct msg *then; // to the message service, when all went well; whatever becomes of it. NULL: nothing
};

// Everything in *out lives in the arena or the request.
void rest_step(struct arena *a, struct rest_request *r, struct rest_out *out);
// What becomes of the commands of `asked` once all are answered; a NULL is one whose time ran out. False: *r is to be
// stepped once more for that.
MUST_USE bool rest_answered(struct arena *a, struct rest_request *r, const struct rest_out *asked,
                            const struct answer *const *answers, struct rest_out *out);
// A Host header that may stand in a URL: letters, digits and .:-_[] only.
bool rest_host_ok(struct bytes host);
// An answer of its own: too many requests under way (130000), trouble (ERR_TIMEOUT, …) and the like.
void rest_refuse(struct arena *a, int64_t err, struct rest_out *out);
// 429: this account asks more often than `rate` times a second, and may again in wait_ms.
void rest_refuse_rate(struct arena *a, uint64_t rate, uint64_t wait_ms, uint64_t unix_ms, struct rest_out *out);
