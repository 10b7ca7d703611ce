// dispatch: see dispatch.h.
#include "dispatch.h"
#include "metrics.h"

#include <stdio.h>
#include <string.h>

struct dispatch *dispatch_new(struct bytes name, struct bytes body)
{
    static const char t[] = "\"t\":\"", d[] = "\",\"d\":";
    if (body.n == 0)
        body = BYTES("null");
    size_t n = sizeof t - 1 + name.n + sizeof d - 1 + body.n + 1;
    struct dispatch *out = mem_alloc(sizeof *out + n);
    const struct bytes parts[] = {{t, sizeof t - 1}, name, {d, sizeof d - 1}, body, {"}", 1}};
    for (size_t i = 0; i < countof(parts); i++) {
        memcpy(out->p + out->n, parts[i].p, parts[i].n);
        out->n += parts[i].n;
    }
    CHECK(out->n == n);
    out->refs = 1;
    M.memory_events_bytes += sizeof *out + n;
    return out;
}

struct dispatch *dispatch_keep(struct dispatch *d)
{
    CHECK(d->refs > 0);
    d->refs++;
    return d;
}

void dispatch_drop(struct dispatch *d)
{
    if (!d)
        return;
    CHECK(d->refs > 0);
    if (--d->refs > 0)
        return;
    M.memory_events_bytes -= sizeof *d + d->n;
    mem_free(d);
}

struct bytes dispatch_head(char out[DISPATCH_HEAD_MAX], uint64_t seq)
{
    int n = snprintf(out, DISPATCH_HEAD_MAX, "{\"op\":0,\"s\":%llu,", (unsigned long long)seq);
    return (struct bytes){out, (size_t)n};
}
