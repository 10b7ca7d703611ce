// text: is it UTF-8, how long is it in code points, which moment does it name. Pure.
#pragma once
#include "bytes.h"

bool text_is_utf8(struct bytes b);       // well-formed (RFC 3629): no overlong forms, surrogates or values past 10FFFF
size_t text_code_points(struct bytes b); // of well-formed text
// ISO 8601, a date and a time: 2022-04-20T18:36:07[.383…][Z|+00:00]; without an offset UTC. Milliseconds since 1970, to
// which later digits are cut. ERR_INVALID, also for moments before then.
MUST_USE int text_time(struct bytes b, uint64_t *unix_ms);
