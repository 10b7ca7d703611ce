// ops: what a client says, from bytes to a checked value. Pure; jansson reads.
// Opcodes: https://docs.discord.com/developers/topics/opcodes-and-status-codes and
// https://docs.discord.food/topics/opcodes-and-status-codes (user accounts).
#pragma once
#include "lists.h"
#include "presence.h"

// What stands in the query of the websocket's URL.
struct hail {
    uint32_t v;      // 9 or 10; 9 when it is not given
    bool etf;        // encoding=etf
    bool zlib, zstd; // compress=zlib-stream, zstd-stream; not both
};
// 0, or the close code for what we do not speak.
MUST_USE uint16_t ops_hail(struct bytes query, struct hail *out);

enum op_kind {
    OP_BEAT,     // 1, 40
    OP_IDENTIFY, // 2
    OP_RESUME,   // 6
    OP_VOICE,    // 4
    OP_CALL,     // 13
    OP_PRESENCE, // 3
    OP_MEMBERS,  // 8
    OP_LISTS,    // 14, 37
    OP_INFO,     // 36, 43
    OP_SOUNDS,   // 31
    OP_STREAM,   // 18, 20
    OP_QUIET,    // accepted, nothing follows
    OP_UNKNOWN,  // the same, and counted
    OP_BROKEN,   // no frame at all: the connection closes with `code`
};

struct op_presence {         // Update Presence, also in Identify
    struct bytes status;     // as the client says it; none: not said
    struct bytes activities; // a JSON array of objects; none: empty, or too large
    uint64_t since;
    bool afk;
};

struct op_identify {
    struct c_identify c;
    struct op_presence presence;
    struct bytes os, browser; // of its properties
    bool has_intents;
    bool sharded, shard_ok; // shard_ok: absent, or 0 <= id < count <= SHARDS_MAX
    uint32_t shard, shards; // 0 and 1 when absent
};
#define SHARDS_MAX 16384u

// Request Guild Members. What is asked for is users if has_users, else those whose name begins with query, if there is
// one; limit 0: not given.
struct op_members {
    struct ids guilds;
    bool has_users, presences;
    struct ids users;
    struct bytes query, nonce; // none: not given
    uint64_t limit;
};
#define OPS_GUILDS_MAX 100u // in one frame

struct op_info {    // Request Channel Info; statuses: Request Channel Statuses
    uint64_t guild; // 0: none
    bool statuses, status, start;
};

struct op {
    enum op_kind kind;
    uint8_t number; // as the client sent it
    bool malformed; // the payload does not fit the opcode; the union is not filled then
    uint16_t code;  // BROKEN: 4001 or 4002
    union {
        struct op_identify identify;
        struct c_resume resume;
        struct c_voice_state voice;
        struct c_call_connect call;
        struct op_presence presence;
        struct op_members members;
        struct list_changes lists;
        struct op_info info;
        struct ids sounds; // of these guilds
        struct c_stream stream;
    };
    struct json_t *json; // what the texts above borrow from
};

void ops_read(struct arena *a, struct bytes frame, struct op *out);
void ops_read_etf(struct arena *a, struct bytes frame, struct op *out); // of a connection with that encoding
void ops_done(struct op *op);                                           // gives the document back
