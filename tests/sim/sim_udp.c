// sim_udp: udp.h for the voice nodes. Nobody sends a datagram in the simulated world: who is in a voice room is what is
// looked at here, and what is said there is the packet tests'.
#include "udp.h"
#include "sim.h"

struct udp {
    uint16_t port;
};

struct udp *udp_new(struct loop *loop, const char *bind, uint16_t port, udp_take_fn take, void *ctx)
{
    struct udp *u = mem_alloc(sizeof *u);
    (void)loop;
    (void)bind;
    (void)take;
    (void)ctx;
    u->port = port ? port : 50000;
    return u;
}

uint16_t udp_port(const struct udp *u)
{
    return u->port;
}

uint64_t udp_now_us(void)
{
    return sim_us() + 1;
}

void udp_send(struct udp *u, const struct relay_send *v, uint32_t n)
{
    (void)u;
    (void)v;
    (void)n;
}

void udp_stop(struct udp *u)
{
    (void)u;
}

void udp_free(struct udp *u)
{
    mem_free(u);
}
