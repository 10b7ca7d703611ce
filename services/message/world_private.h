// world_private: how world.c and world_guild.c read a document.
#pragma once
#include "errors.h"
#include "world.h"

#include <jansson.h>

struct reader {
    struct arena *a;
    struct fault *fault;
    const char *section; // of the document, and the element there, for the fault
    int32_t at;
};

// Each: 0, or 50035 with *r->fault. What they give lives in the arena.
int world_wrong(const struct reader *r, const char *text);
int world_read_text(const struct reader *r, const json_t *j, const char *key, struct bytes *out);
int world_read_label(const struct reader *r, const json_t *j, struct bytes *out);                  // "name"
int world_read_names(const struct reader *r, const json_t *j, const char *key, struct texts *out); // absent: empty
int world_read_id(const struct reader *r, const json_t *j, uint64_t *out);                         // absent: 0
int world_read_guild(const struct reader *r, const json_t *j, void *into);
