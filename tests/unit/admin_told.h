// admin_told: what a step of the admin API comes to, as one line that a test can compare.
#pragma once
#include "admin.h"
#include <inttypes.h>

static struct arena arena; // of the answers and of the lines

// "200 {…}", "204", or the commands.
static const char *told(const struct admin_out *out)
{
    struct buf text = {0};
    if (out->status)
        buf_printf(&text, "%d%s%.*s", out->status, out->body.n ? " " : "", BYTES_FMT(out->body));
    else
        buf_printf(&text, "%s%" PRIu64, out->to == BUS_MESSAGE ? "" : "call-manager ", out->key);
    for (uint32_t i = 0; !out->status && i < out->n; i++) {
        struct buf packed = {0};
        schema_pack(&packed, out->commands[i].schema, out->commands[i].v); // what cannot be packed aborts
        buf_fini(&packed);
        buf_char(&text, ' ');
        schema_print(&text, out->commands[i].schema, out->commands[i].v);
    }
    const char *kept = arena_text(&arena, buf_bytes(&text));
    buf_fini(&text);
    return kept;
}
