// address: IP addresses as peers have them and as operators write them, and networks of them. Pure.
#pragma once
#include "bytes.h"

struct address {
    uint8_t b[16]; // IPv4 as ::ffff:a.b.c.d
};
// "192.0.2.7", "2001:db8::7", "[2001:db8::7]". ERR_INVALID: anything else, a name or a port for instance.
MUST_USE int address_parse(struct bytes text, struct address *out);
// What is counted as one peer: an IPv4 address, or 64 bits of an IPv6 one, because whoever has one has all of those.
uint64_t address_peer(struct address a);

#define NETWORKS_MAX 64u
struct networks {
    uint32_t n;
    struct {
        struct address at;
        uint32_t bits; // of 128
    } v[NETWORKS_MAX];
};
// "10.0.0.0/8, 2001:db8::/32, 192.0.2.7": separated by commas, blanks are ignored. Empty: none.
MUST_USE int networks_parse(struct bytes text, struct networks *out);
bool networks_have(const struct networks *n, struct address a);
// Whom a balancer asks for, by its header X-Forwarded-For: each one on the way has added whom it heard it from, so the
// last one that is no balancer himself counts; what stands before could be anybody's. ERR_MISSING: it does not say.
MUST_USE int address_forwarded(struct bytes header, const struct networks *balancers, struct bytes *text,
                               struct address *out);
