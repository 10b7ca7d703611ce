// vreplay: see vreplay.h.
#include "vreplay.h"

#include <sodium.h>
#include <string.h>

static void forget_oldest(struct vreplay *r)
{
    struct vkept *k = r->first;
    r->first = k->next;
    r->n--;
    r->bytes -= k->n;
    sodium_memzero(k->p, k->n); // it may be the one with the key
    mem_free(k);
}

void vreplay_clear(struct vreplay *r)
{
    while (r->n)
        forget_oldest(r);
}

void vreplay_keep(struct vreplay *r, struct bytes message)
{
    struct vkept *k = mem_alloc(sizeof *k + message.n);
    k->seq = r->seq;
    k->n = message.n;
    memcpy(k->p, message.p, message.n);
    *(r->n ? r->tail : &r->first) = k;
    r->tail = &k->next;
    r->n++;
    r->bytes += k->n;
    while (r->n > VREPLAY_MAX || r->bytes > VREPLAY_BYTES) {
        forget_oldest(r);
        r->cut = true;
    }
}

// What counts is how far back a number lies.
int vreplay_have(const struct vreplay *r, int64_t ack, uint32_t *out)
{
    uint32_t behind = ack < 0 ? UINT32_MAX : (uint16_t)(r->seq - (uint16_t)ack);
    *out = 0;
    if (behind <= r->n)
        *out = r->n - behind;
    return behind > r->n && r->cut && ack >= 0 ? ERR_MISSING : OK;
}

void vreplay_acked(struct vreplay *r, int64_t ack)
{
    uint32_t n;
    if (ack < 0 || vreplay_have(r, ack, &n) != OK)
        return;
    while (n-- > 0)
        forget_oldest(r);
    if ((uint16_t)(r->seq - (uint16_t)ack) <= r->n)
        r->cut = false;
}

bool vreplay_valid(const struct vreplay *r)
{
    return r->n <= VREPLAY_MAX && r->bytes <= VREPLAY_BYTES && (r->n > 0) == (r->bytes > 0);
}
