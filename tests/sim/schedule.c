// schedule: virtual time, the heap of what is to happen, and chance. See sim.h.
#include "sim.h"
#include <string.h>

struct event {
    uint64_t at, nth;
    struct instance *owner;
    uint64_t life;
    sim_fn fn;
    void *ctx;
    uint64_t id;
};

static struct {
    struct event *heap;
    size_t n, cap;
    uint64_t now, nth, hash, state[2];
} s;

struct cruelty cruelty;

// --- chance: xoroshiro128+ ---

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t sim_random(void)
{
    uint64_t a = s.state[0], b = s.state[1], sum = a + b;
    b ^= a;
    s.state[0] = rotl(a, 24) ^ b ^ (b << 16);
    s.state[1] = rotl(b, 37);
    return sum;
}

uint64_t sim_below(uint64_t n)
{
    return n ? (sim_random() >> 11) % n : 0;
}

uint64_t sim_between(uint64_t lo, uint64_t hi)
{
    return lo + sim_below(hi - lo + 1);
}

bool sim_chance(uint32_t in_10000)
{
    return in_10000 > 0 && sim_below(10000) < in_10000;
}

void sim_note(uint64_t word)
{
    s.hash = (s.hash ^ word) * 0x9e3779b97f4a7c15u;
    s.hash ^= s.hash >> 29;
}

uint64_t sim_hash(void)
{
    return s.hash;
}

// --- the heap ---

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->nth < b->nth;
}

static void push(struct event e)
{
    if (s.n == s.cap) {
        s.cap = s.cap ? s.cap * 2 : 256;
        s.heap = mem_grow(s.heap, s.cap, sizeof *s.heap);
    }
    size_t i = s.n++;
    for (; i > 0 && sooner(&e, &s.heap[(i - 1) / 2]); i = (i - 1) / 2)
        s.heap[i] = s.heap[(i - 1) / 2];
    s.heap[i] = e;
}

static struct event pop(void)
{
    struct event first = s.heap[0], last = s.heap[--s.n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s.n)
            break;
        if (child + 1 < s.n && sooner(&s.heap[child + 1], &s.heap[child]))
            child++;
        if (!sooner(&s.heap[child], &last))
            break;
        s.heap[i] = s.heap[child];
        i = child;
    }
    if (s.n > 0)
        s.heap[i] = last;
    return first;
}

void sim_after(uint64_t us, struct instance *owner, sim_fn fn, void *ctx, uint64_t id)
{
    push((struct event){s.now + us, ++s.nth, owner, owner ? owner->life : 0, fn, ctx, id});
}

// --- happening ---

static void hold(struct instance *i, const struct event *e)
{
    if (i->n_held == i->held_cap) {
        i->held_cap = i->held_cap ? i->held_cap * 2 : 64;
        i->held = mem_grow(i->held, i->held_cap, sizeof *i->held);
    }
    i->held[i->n_held++] = (struct held){e->fn, e->ctx, e->id};
}

bool sim_step(void)
{
    if (s.n == 0)
        return false;
    struct event e = pop();
    s.now = e.at;
    if (!e.owner) {
        e.fn(e.ctx, e.id);
    } else if (e.owner->life == e.life) {
        if (e.owner->state == INSTANCE_STOPPED)
            hold(e.owner, &e);
        else if (e.owner->state == INSTANCE_UP)
            instance_turn(e.owner, e.fn, e.ctx, e.id);
    }
    sim_note(e.at);
    sim_note(e.id);
    return true;
}

uint64_t sim_us(void)
{
    return s.now;
}

void sim_begin(uint64_t seed)
{
    sim_end();
    // Neighbouring seeds are to have nothing in common.
    s.state[0] = (seed + 1) * 0x9e3779b97f4a7c15u;
    s.state[1] = (seed ^ 0xd1b54a32d192ed03u) * 0xbf58476d1ce4e5b9u + 1;
    for (int i = 0; i < 8; i++)
        (void)sim_random();
}

void sim_end(void)
{
    mem_free(s.heap);
    memset(&s, 0, sizeof s);
}
