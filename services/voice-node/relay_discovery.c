// relay_discovery: a client asks from where it is seen, with the first datagram that it sends, and is told. Nobody is
// sent more bytes than he has sent.
#include "relay_private.h"
#include "metrics.h"

#include <stdio.h>

static void answer(struct relay *r, const struct owed *o)
{
    char text[16];
    snprintf(text, sizeof text, "%u.%u.%u.%u", o->to.ip >> 24, o->to.ip >> 16 & 255, o->to.ip >> 8 & 255,
             o->to.ip & 255);
    discovery_answer(relay_out_room(r, o->n), o->n, o->ssrc, text, o->to.port);
    relay_out_add(r, o->to, o->n);
    M.media_discoveries++;
}

// Before a client has a key it is at the address from which it asked last; later only its packets say where it is.
void relay_take_discovery(struct relay *r, const struct datagram *d)
{
    const struct owed o = {d->from, discovery_ssrc(d->p, d->n), d->n, r->now_us + r->cfg.discovery_us};
    struct peer *p = relay_by_ssrc(r, o.ssrc);
    if (!p || p->ssrc != o.ssrc) {
        M.media_dropped_unknown++;
        return;
    }
    if (p->address == ADDRESS_NONE || !p->keyed)
        relay_bind(r, p, d->from, ADDRESS_FOUND);
    if (r->n_owed == OWED_MAX)
        answer(r, &o);
    else
        r->owed[(r->first_owed + r->n_owed++) % OWED_MAX] = o;
}

uint64_t relay_answer_due(const struct relay *r)
{
    return r->n_owed ? r->owed[r->first_owed].due_us : 0;
}

void relay_answer(struct relay *r, uint64_t now_us)
{
    r->now_us = now_us;
    while (r->n_owed && relay_answer_due(r) <= now_us) { // they wait equally long: the first to come is the first to go
        answer(r, &r->owed[r->first_owed]);
        r->first_owed = (r->first_owed + 1) % OWED_MAX;
        r->n_owed--;
    }
    relay_out_flush(r);
}

bool relay_owed_valid(const struct relay *r)
{
    uint64_t due_us = 0;
    for (uint32_t i = 0; i < r->n_owed; i++) {
        const struct owed *o = &r->owed[(r->first_owed + i) % OWED_MAX];
        if (o->due_us < due_us || (o->n != PACKET_DISCOVERY && o->n != PACKET_DISCOVERY_OLD))
            return false;
        due_us = o->due_us;
    }
    return r->n_owed <= OWED_MAX && r->first_owed < OWED_MAX;
}
