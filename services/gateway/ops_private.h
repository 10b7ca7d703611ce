// ops_private: what ops.c and ops_asks.c share. Each reads one payload; ERR_INVALID: it does not fit its opcode.
#pragma once
#include "ops.h"

// d NULL or null: nothing is said.
MUST_USE int ops_read_presence(struct arena *a, struct json_t *d, struct op_presence *out);
void ops_read_properties(const struct json_t *d, struct op_identify *out);
MUST_USE int ops_read_members(struct arena *a, const struct json_t *d, struct op_members *out);
MUST_USE int ops_read_lists(struct arena *a, struct json_t *d, bool bulk, struct list_changes *out);
MUST_USE int ops_read_info(const struct json_t *d, bool statuses, struct op_info *out);
MUST_USE int ops_read_sounds(struct arena *a, const struct json_t *d, struct ids *out);
