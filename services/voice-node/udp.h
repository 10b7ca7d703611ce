// udp: the media port. One UDP socket on the loop: what comes in is handed on in batches, what goes out is sent in
// batches, and what the socket has no room for is dropped, never queued. Shell around relay.h, which decides.
#pragma once
#include "loop.h"
#include "relay.h"

struct udp;

// v and what it points to: until it returns. now_us: monotonic.
typedef void (*udp_take_fn)(void *ctx, struct datagram *v, uint32_t n, uint64_t now_us);

// Binds an IPv4 address and port, 0: any free one. On a host with several addresses it has to be the one that clients
// are told: what is sent from 0.0.0.0 has whichever the route has. NULL: it cannot, errno says why. Nothing is taken
// within this call.
struct udp *udp_new(struct loop *loop, const char *bind, uint16_t port, udp_take_fn take, void *ctx);
uint16_t udp_port(const struct udp *u);
uint64_t udp_now_us(void); // the clock of `take`
// As relay_cfg.send has it. Equal sizes in a row for one address (and a shorter one behind them) leave as one.
void udp_send(struct udp *u, const struct relay_send *v, uint32_t n);
void udp_stop(struct udp *u); // closes the socket: nothing is taken and nothing sent any more
void udp_free(struct udp *u); // NULL is fine; its memory goes when the loop has closed the handle
