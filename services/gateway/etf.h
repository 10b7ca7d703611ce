// etf: Erlang's external term format, which a websocket with encoding=etf speaks instead of JSON, both ways. Pure;
// jansson holds what came in. https://www.erlang.org/doc/apps/erts/erl_ext_dist.html and
// https://docs.discord.com/developers/events/gateway, "Encoding and Compression"
#pragma once
#include "bytes.h"

// Appends the term of one JSON object. As clients that take terms apart as they are (nostrum) have it from Discord:
// keys that read like names are atoms, and so is a message's `t`; ids are integers (`id`, `…_id`, lists of them);
// null is nil; all other text is binaries. ERR_INVALID: it is no JSON, or deeper than 64; then *out is as it was.
MUST_USE int etf_from_json(struct buf *out, struct bytes json);
// One whole term of a client as the JSON value that it stands for; the caller owns it. NULL: it is none, or says what
// JSON cannot: keys that are not binaries, integers beyond 64 bits, text that is not UTF-8, more than 2048 levels.
struct json_t *etf_to_json(struct bytes frame);
