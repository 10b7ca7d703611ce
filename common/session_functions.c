// session_functions: what of client sessions is one step in Redis: writing, taking over, ending. No rule of the
// business is in it. Keys of each are a session's hash, positions and texts (services/gateway/conns.h); an owner is a
// gateway and its hold.
#include "record.h"
#include <stdio.h>
#include <string.h>

// sb_session_write ARGS owner, turn, ttl, most texts, most bytes, first, n, n texts, m, m pairs (record, version; none:
//            left), fields. Keeps the texts first, first + 1, … that it has not got: 1, also to a copy of an earlier
//            turn; 0: it is somebody else's, or over; -1: there is none, and fields, with which it begins, are not
//            given
// sb_session_take  ARGS owner, held, user, after. {first, last, texts after `after`}: it holds the texts first … last,
// and
//            when `after` is not among them or just before them, or is the last, no texts come. Unless it was `held`'s
//            it is owner's from now on, and hash and positions follow. nil: there is none of this user
// sb_session_end   ARGS owner. 1: it is over; 0: it is somebody else's
const char session_functions[] =
    "#!lua name=switchboard_sessions\n"
    "local function trim(texts, bytes, most, most_bytes)\n"
    "  local n = redis.call('LLEN', texts)\n"
    "  while n > 0 and (n > most or bytes > most_bytes) do\n"
    "    bytes = bytes - #redis.call('LPOP', texts)\n"
    "    n = n - 1\n"
    "  end\n"
    "  return bytes\n"
    "end\n"
    "redis.register_function('sb_session_write', function(keys, args)\n"
    "  local hash, positions, texts = keys[1], keys[2], keys[3]\n"
    "  local first, n = tonumber(args[6]), tonumber(args[7])\n"
    "  local pairs_at = 8 + n\n"
    "  local fields_at = pairs_at + 1 + 2 * tonumber(args[pairs_at])\n"
    "  local h = redis.call('HMGET', hash, 'owner', 'turn', 'seq', 'bytes', 'over')\n"
    "  if not h[1] and fields_at > #args then return -1 end\n"
    "  if h[1] and (h[1] ~= args[1] or h[5]) then return 0 end\n"
    "  if h[1] and tonumber(args[2]) <= tonumber(h[2]) then return 1 end\n"
    "  local seq, bytes = tonumber(h[3] or first - 1), tonumber(h[4] or 0)\n"
    "  if first > seq + 1 then\n" // Redis has lost some: nothing before these can be sent again
    "    redis.call('DEL', texts)\n"
    "    seq, bytes = first - 1, 0\n"
    "  end\n"
    "  for i = seq + 1, first + n - 1 do\n"
    "    local text = args[8 + i - first]\n"
    "    redis.call('RPUSH', texts, text)\n"
    "    seq, bytes = i, bytes + #text\n"
    "  end\n"
    "  bytes = trim(texts, bytes, tonumber(args[4]), tonumber(args[5]))\n"
    "  for i = pairs_at + 1, fields_at - 1, 2 do\n"
    "    if args[i + 1] == '' then redis.call('HDEL', positions, args[i])\n"
    "    else redis.call('HSET', positions, args[i], args[i + 1]) end\n"
    "  end\n"
    "  for i = fields_at, #args, 2 do redis.call('HSET', hash, args[i], args[i + 1]) end\n"
    "  redis.call('HSET', hash, 'owner', args[1], 'turn', args[2],\n"
    "    'seq', string.format('%.0f', seq), 'bytes', string.format('%.0f', bytes))\n"
    "  for i = 1, 3 do redis.call('PEXPIRE', keys[i], args[3]) end\n"
    "  return 1\n"
    "end)\n"
    "redis.register_function('sb_session_take', function(keys, args)\n"
    "  local h = redis.call('HMGET', keys[1], 'owner', 'user', 'seq')\n"
    "  if not h[1] or h[2] ~= args[3] then return false end\n"
    "  local n, missing, texts = redis.call('LLEN', keys[3]), tonumber(h[3]) - tonumber(args[4]), {}\n"
    "  local first = string.format('%.0f', tonumber(h[3]) - n + 1)\n"
    "  if missing > 0 and missing <= n then texts = redis.call('LRANGE', keys[3], -missing, -1) end\n"
    "  if h[1] == args[2] then return {first, h[3], texts} end\n"
    "  redis.call('HSET', keys[1], 'owner', args[1], 'turn', '0')\n"
    "  return {first, h[3], texts, redis.call('HGETALL', keys[1]), redis.call('HGETALL', keys[2])}\n"
    "end)\n"
    "redis.register_function('sb_session_end', function(keys, args)\n"
    "  local owner = redis.call('HGET', keys[1], 'owner')\n"
    "  if owner and owner ~= args[1] then return 0 end\n"
    "  redis.call('DEL', keys[1], keys[2], keys[3])\n"
    "  redis.call('HSET', keys[1], 'owner', args[1], 'over', '1')\n" // so that this can be asked twice
    "  redis.call('PEXPIRE', keys[1], '60000')\n"
    "  return 1\n"
    "end)\n";

const char *session_key_of(char out[RECORD_KEY_MAX], const char *session)
{
    int n = snprintf(out, RECORD_KEY_MAX, "{s:%s}:h", session);
    CHECK(n > 0 && n < (int)RECORD_KEY_MAX);
    return out;
}

struct bytes session_holder(struct bytes owner)
{
    const char *end = owner.n > 0 ? memchr(owner.p, ' ', owner.n) : NULL;
    return end ? (struct bytes){owner.p, (size_t)(end - owner.p)} : BYTES_NONE;
}
