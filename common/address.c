// address: see address.h. inet_pton reads.
#include "address.h"
#include <arpa/inet.h>
#include <string.h>

#define TEXT_MAX 64u
#define IPV4_BITS 96u // in front of an IPv4 address
static const uint8_t ipv4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static struct bytes trim(struct bytes b)
{
    while (b.n && (b.p[0] == ' ' || b.p[0] == '\t'))
        b = (struct bytes){b.p + 1, b.n - 1};
    while (b.n && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
        b.n--;
    return b;
}

static bool is_ipv4(struct address a)
{
    return memcmp(a.b, ipv4_prefix, sizeof ipv4_prefix) == 0;
}

int address_parse(struct bytes text, struct address *out)
{
    char zero_terminated[TEXT_MAX];
    struct address a;
    bool bracketed = text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    if (bracketed)
        text = (struct bytes){text.p + 1, text.n - 2};
    if (bytes_copy(zero_terminated, sizeof zero_terminated, text) != OK || strlen(zero_terminated) != text.n)
        return ERR_INVALID;
    memcpy(a.b, ipv4_prefix, sizeof ipv4_prefix);
    if ((bracketed || inet_pton(AF_INET, zero_terminated, a.b + sizeof ipv4_prefix) != 1) &&
        inet_pton(AF_INET6, zero_terminated, a.b) != 1)
        return ERR_INVALID;
    *out = a;
    return OK;
}

uint64_t address_peer(struct address a)
{
    return bytes_hash((struct bytes){(const char *)a.b, is_ipv4(a) ? sizeof a.b : sizeof a.b / 2});
}

// Takes what stands before the next comma off the front.
static struct bytes take_item(struct bytes *list)
{
    const char *comma = list->n ? memchr(list->p, ',', list->n) : NULL;
    size_t n = comma ? (size_t)(comma - list->p) : list->n;
    struct bytes item = trim((struct bytes){list->p, n});
    n += comma ? 1 : 0;
    *list = (struct bytes){list->p + n, list->n - n};
    return item;
}

static int take_network(struct bytes text, struct address *at, uint32_t *bits)
{
    const char *slash = memchr(text.p, '/', text.n);
    struct bytes host = {text.p, slash ? (size_t)(slash - text.p) : text.n};
    uint64_t n;
    if (address_parse(host, at) != OK)
        return ERR_INVALID;
    uint32_t before = is_ipv4(*at) ? IPV4_BITS : 0;
    *bits = 128;
    if (!slash)
        return OK;
    if (bytes_u64((struct bytes){slash + 1, text.n - host.n - 1}, &n) != OK || n > 128u - before)
        return ERR_INVALID;
    *bits = before + (uint32_t)n;
    return OK;
}

int networks_parse(struct bytes text, struct networks *out)
{
    struct networks found = {0};
    text = trim(text);
    while (text.n) {
        struct bytes item = take_item(&text);
        if (found.n == NETWORKS_MAX || !item.n ||
            take_network(item, &found.v[found.n].at, &found.v[found.n].bits) != OK)
            return ERR_INVALID;
        found.n++;
    }
    *out = found;
    return OK;
}

static bool begins_alike(struct address a, struct address b, uint32_t bits)
{
    uint32_t whole = bits / 8, rest = bits % 8;
    if (memcmp(a.b, b.b, whole) != 0)
        return false;
    return rest == 0 || (a.b[whole] ^ b.b[whole]) >> (8 - rest) == 0;
}

bool networks_have(const struct networks *n, struct address a)
{
    for (uint32_t i = 0; i < n->n; i++)
        if (begins_alike(n->v[i].at, a, n->v[i].bits))
            return true;
    return false;
}

int address_forwarded(struct bytes header, const struct networks *balancers, struct bytes *text, struct address *out)
{
    int err = ERR_MISSING;
    while (header.n) {
        struct bytes item = take_item(&header);
        struct address a;
        if (address_parse(item, &a) != OK) {
            err = ERR_MISSING; // whoever wrote that, what stands before it is not to be believed
        } else if (!networks_have(balancers, a)) {
            *text = item;
            *out = a;
            err = OK;
        }
    }
    return err;
}
