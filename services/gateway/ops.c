// ops: see ops.h.
#include "ops_private.h"
#include "etf.h"

#include <jansson.h>
#include <string.h>

#define DECODE_ERROR 4002
#define UNKNOWN_OPCODE 4001
#define INVALID_API_VERSION 4012
#define REGIONS_MAX 16u // of a voice state; a client may know more

// --- the query ---

static bool is_key(struct bytes pair, const char *key, struct bytes *value)
{
    size_t n = strlen(key);
    if (pair.n <= n || memcmp(pair.p, key, n) != 0 || pair.p[n] != '=')
        return false;
    *value = (struct bytes){pair.p + n + 1, pair.n - n - 1};
    return true;
}

static uint16_t read_pair(struct bytes pair, struct hail *out)
{
    struct bytes value;
    if (is_key(pair, "v", &value)) {
        if (!bytes_is(value, "9") && !bytes_is(value, "10"))
            return INVALID_API_VERSION;
        out->v = value.n == 1 ? 9 : 10;
    } else if (is_key(pair, "encoding", &value)) {
        out->etf = bytes_is(value, "etf");
        if (!out->etf && !bytes_is(value, "json"))
            return DECODE_ERROR;
    } else if (is_key(pair, "compress", &value)) {
        out->zlib = bytes_is(value, "zlib-stream");
        out->zstd = bytes_is(value, "zstd-stream");
        if (value.n && !out->zlib && !out->zstd)
            return DECODE_ERROR;
    }
    return 0;
}

uint16_t ops_hail(struct bytes query, struct hail *out)
{
    *out = (struct hail){.v = 9};
    while (query.n > 0) {
        const char *end = memchr(query.p, '&', query.n);
        size_t n = end ? (size_t)(end - query.p) : query.n;
        uint16_t code = read_pair((struct bytes){query.p, n}, out);
        if (code)
            return code;
        n += end ? 1 : 0;
        query = (struct bytes){query.p + n, query.n - n};
    }
    return 0;
}

// --- frames ---

// 40: https://docs.discord.food/gateway/gateway-events, "QoS Heartbeat". Quiet: what clients send without waiting for
// an answer, and get none: voice ping 5 (the call manager looks after voice servers by itself), streams
// 19, 21 and 22, 28 to 30, 34, 35, 38, 39, 41.
static enum op_kind kind_of(uint64_t number)
{
    switch (number) {
    case 1:
    case 40:
        return OP_BEAT;
    case 2:
        return OP_IDENTIFY;
    case 6:
        return OP_RESUME;
    case 4:
        return OP_VOICE;
    case 13:
        return OP_CALL;
    case 8:
        return OP_MEMBERS;
    case 14:
    case 37:
        return OP_LISTS;
    case 36:
    case 43:
        return OP_INFO;
    case 31:
        return OP_SOUNDS;
    case 18:
    case 20:
        return OP_STREAM;
    case 3:
        return OP_PRESENCE;
    case 5:
    case 41:
        return OP_QUIET;
    }
    if ((number >= 19 && number <= 22) || (number >= 28 && number <= 30) || (number >= 34 && number <= 39))
        return OP_QUIET;
    return OP_UNKNOWN;
}

// [id, count]
static void read_shard(const json_t *d, struct op_identify *out)
{
    const json_t *shard = json_object_get(d, "shard");
    const json_t *id = json_array_get(shard, 0), *count = json_array_get(shard, 1);
    out->shards = 1;
    out->shard_ok = true;
    if (!shard || json_is_null(shard))
        return;
    out->sharded = true;
    json_int_t i = json_integer_value(id), n = json_integer_value(count);
    out->shard_ok = json_array_size(shard) == 2 && json_is_integer(id) && json_is_integer(count) && i >= 0 && i < n &&
                    n <= (json_int_t)SHARDS_MAX;
    if (out->shard_ok) {
        out->shard = (uint32_t)i;
        out->shards = (uint32_t)n;
    }
}

static int read_identify(struct arena *a, json_t *d, struct op_identify *out)
{
    uint64_t present;
    if (schema_from_json(a, &schema_c_identify, d, &out->c, &present, NULL))
        return ERR_INVALID;
    out->has_intents = (present & FIELD_BIT(c_identify, intents)) && !json_is_null(json_object_get(d, "intents"));
    read_shard(d, out);
    ops_read_properties(d, out);
    if (ops_read_presence(a, json_object_get(d, "presence"), &out->presence) != OK)
        out->presence = (struct op_presence){0};
    return OK;
}

// Only the best regions of a long list count.
static int read_voice(struct arena *a, json_t *d, struct c_voice_state *out)
{
    json_t *regions = json_object_get(d, "preferred_regions");
    while (json_array_size(regions) > REGIONS_MAX)
        json_array_remove(regions, json_array_size(regions) - 1);
    return schema_from_json(a, &schema_c_voice_state, d, out, NULL, NULL);
}

static int read_payload(struct arena *a, json_t *d, struct op *out)
{
    switch (out->kind) {
    case OP_IDENTIFY:
        return read_identify(a, d, &out->identify);
    case OP_RESUME:
        return schema_from_json(a, &schema_c_resume, d, &out->resume, NULL, NULL);
    case OP_VOICE:
        return read_voice(a, d, &out->voice);
    case OP_CALL:
        return schema_from_json(a, &schema_c_call_connect, d, &out->call, NULL, NULL);
    case OP_MEMBERS:
        return ops_read_members(a, d, &out->members);
    case OP_LISTS:
        return ops_read_lists(a, d, out->number == 37, &out->lists);
    case OP_INFO:
        return ops_read_info(d, out->number == 36, &out->info);
    case OP_SOUNDS:
        return ops_read_sounds(a, d, &out->sounds);
    case OP_STREAM:
        return schema_from_json(a, &schema_c_stream, d, &out->stream, NULL, NULL);
    case OP_PRESENCE:
        return ops_read_presence(a, d, &out->presence);
    case OP_BEAT:
    case OP_QUIET:
    case OP_UNKNOWN:
    case OP_BROKEN:
        break;
    }
    return OK;
}

static void read_document(struct arena *a, json_t *json, struct op *out)
{
    *out = (struct op){.kind = OP_BROKEN, .code = DECODE_ERROR, .json = json};
    const json_t *op = json_object_get(json, "op");
    if (!json_is_integer(op))
        return;
    json_int_t number = json_integer_value(op);
    if (number < 0 || number > 255) {
        out->code = UNKNOWN_OPCODE;
        return;
    }
    out->kind = kind_of((uint64_t)number);
    out->number = (uint8_t)number;
    out->code = 0;
    out->malformed = read_payload(a, json_object_get(json, "d"), out) != OK;
}

void ops_read(struct arena *a, struct bytes frame, struct op *out)
{
    read_document(a, frame.n ? json_loadb(frame.p, frame.n, 0, NULL) : NULL, out);
}

void ops_read_etf(struct arena *a, struct bytes frame, struct op *out)
{
    read_document(a, etf_to_json(frame), out);
}

void ops_done(struct op *op)
{
    json_decref(op->json);
    op->json = NULL;
}
