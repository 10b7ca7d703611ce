// text: is it UTF-8, and how long is it in code points. Pure.
#pragma once
#include "bytes.h"

bool text_is_utf8(struct bytes b);       // well-formed (RFC 3629): no overlong forms, surrogates or values past 10FFFF
size_t text_code_points(struct bytes b); // of well-formed text
