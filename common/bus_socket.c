// bus_socket: nng's sockets, and the only file that calls nng. See bus_private.h.
// Its calls here do not block, and receives are driven by its pollable descriptor: in 1.5.2 a receive that is cancelled
// or times out can crash a subscriber, and one that never waits cannot be cancelled. nng_close is the exception, and
// may not return at all: when it meets a message that is half received or half sent, nng forgets whom that message
// belongs to and waits for it for ever, and so does everything that it would have to tidy away later in this process
// (nanomsg/nng issues 1543 and 1813). So sockets are closed on a thread, after a silence in which what was sent should
// have gone out, and that is waited for with an end; a process in which it does not come back is told so, and is to be
// started anew. And a push socket serves for one connection only: when that one goes just after a message has gone out
// on it, nng lists it as ready once more, frees it, and writes the next message to where it was.
#include "bus_private.h"
#include "log.h"
#include "metrics.h"
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdio.h>
#include <stdlib.h>

#define RECV_TURN 64u   // messages taken in one turn of the loop
#define RECONNECT_MS 10 // nng's default of 100 ms and more loses that much after each cut
#define LINGER_MS 50    // before a socket is closed: what was sent last is on its way through nng's threads
#define END_LOOKS 200u  // at the end of a bus, 5 ms apart; after so many a socket is left open
#define END_LOOK_MS 5u
#ifndef STUCK_LOOKS      // its test takes fewer
#define STUCK_LOOKS 100u // half a beat apart; a socket that takes so many and more does not close
#endif
#define SPREAD_LOOKS STUCK_LOOKS // up to so many more: those who lost the same peer do not stop at the same time

struct bus_closing {
    struct bus_socket *first;
    uv_thread_t thread;
    atomic_uint closed;         // sockets
    atomic_bool done;           // the thread's last word
    uint32_t seen, looks;       // of `closed`, and since when it has not changed
    uint32_t patience;          // looks
    struct bus_socket *waiting; // to be closed after it, when it was left
    struct bus_closing *next;
};

// What had not come back by the end of its bus, and whose memory its thread may still use: here it is not lost.
static struct bus_closing *left_open;

// --- waking the loop ---

struct bus_waker *bus_waker_new(struct bus *b, uv_async_cb fn)
{
    struct bus_waker *w = mem_alloc(sizeof *w);
    CHECK(uv_mutex_init(&w->lock) == 0);
    w->wake = mem_alloc(sizeof *w->wake);
    CHECK(uv_async_init(loop_uv(b->loop), w->wake, fn) == 0);
    w->wake->data = b;
    w->refs = 1;
    return w;
}

static void waker_release(struct bus_waker *w) // on the loop, like taking it
{
    if (--w->refs > 0)
        return;
    uv_mutex_destroy(&w->lock);
    mem_free(w);
}

void bus_free_handle(uv_handle_t *handle)
{
    mem_free(handle);
}

void bus_waker_stop(struct bus_waker *w)
{
    uv_mutex_lock(&w->lock);
    uv_close((uv_handle_t *)w->wake, bus_free_handle);
    w->wake = NULL;
    uv_mutex_unlock(&w->lock);
    waker_release(w);
}

// --- opening ---

// On one of nng's threads. Only after this has returned does nng free a pipe that went, and dial again.
static void on_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
    struct bus_socket *s = arg;
    (void)pipe;
    uv_mutex_lock(&s->waker->lock);
    if (ev == NNG_PIPE_EV_ADD_POST) {
        atomic_fetch_add(&s->pipes, 1);
    } else {
        atomic_fetch_sub(&s->pipes, 1);
        atomic_store(&s->dropped, true);
        atomic_store(&s->spent, s->once);
    }
    if (s->waker->wake)
        uv_async_send(s->waker->wake);
    uv_mutex_unlock(&s->waker->lock);
}

static void on_new_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
    const struct bus_socket *s = arg;
    (void)ev;
    if (atomic_load(&s->spent))
        nng_pipe_close(pipe);
}

// Each kind of socket knows only some of these.
static void tune(nng_socket s)
{
    (void)nng_setopt_int(s, NNG_OPT_SENDBUF, BUS_QUEUE);
    (void)nng_setopt_int(s, NNG_OPT_RECVBUF, BUS_QUEUE);
    (void)nng_setopt_ms(s, NNG_OPT_RECONNMINT, RECONNECT_MS);
    (void)nng_setopt_ms(s, NNG_OPT_RECONNMAXT, RECONNECT_MS);
    (void)nng_setopt_size(s, NNG_OPT_RECVMAXSZ, BUS_MESSAGE_MAX);
}

static struct bus_socket *socket_new(struct bus *b, int (*open)(nng_socket *))
{
    struct bus_socket *s = mem_alloc(sizeof *s);
    CHECK(open(&s->socket) == 0); // it fails for want of memory or threads alone
    s->waker = b->waker;
    s->waker->refs++;
    s->once = open == nng_push0_open;
    tune(s->socket);
    CHECK(nng_pipe_notify(s->socket, NNG_PIPE_EV_ADD_PRE, on_new_pipe, s) == 0);
    CHECK(nng_pipe_notify(s->socket, NNG_PIPE_EV_ADD_POST, on_pipe, s) == 0);
    CHECK(nng_pipe_notify(s->socket, NNG_PIPE_EV_REM_POST, on_pipe, s) == 0);
    return s;
}

struct bus_socket *bus_dial(struct bus *b, enum bus_way way, const char *url)
{
    struct bus_socket *s = socket_new(b, way == BUS_EVENTS ? nng_pub0_open : nng_push0_open);
    int err = nng_dial(s->socket, url, NULL, NNG_FLAG_NONBLOCK);
    if (err == 0)
        return s;
    LOG(WARN, EV("bus.dial"), KS("url", url), KS("why", nng_strerror(err)));
    bus_close(b, s);
    return NULL;
}

struct bus_socket *bus_listen(struct bus *b, enum bus_way way, char url[BUS_URL_MAX])
{
    struct bus_socket *s = socket_new(b, way == BUS_EVENTS ? nng_sub0_open : nng_pull0_open);
    char address[300];
    nng_listener l;
    int port, err;
    if (way == BUS_EVENTS)
        CHECK(nng_setopt(s->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0) == 0); // whoever dials us means us
    snprintf(address, sizeof address, "tcp://%s:0", b->cfg.bind);
    err = nng_listen(s->socket, address, &l, 0);
    if (err == 0)
        err = nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &port);
    if (err == 0) {
        snprintf(url, BUS_URL_MAX, "tcp://%s:%d", b->cfg.host, port);
        return s;
    }
    LOG(ERROR, EV("bus.listen"), KS("address", address), KS("why", nng_strerror(err)));
    bus_close(b, s);
    return NULL;
}

// --- use ---

uv_poll_t *bus_poll(struct bus *b, const struct bus_socket *s, uv_poll_cb fn)
{
    int fd;
    uv_poll_t *poll = mem_alloc(sizeof *poll);
    CHECK(nng_getopt_int(s->socket, NNG_OPT_RECVFD, &fd) == 0);
    CHECK(uv_poll_init(loop_uv(b->loop), poll, fd) == 0);
    poll->data = b;
    CHECK(uv_poll_start(poll, UV_READABLE, fn) == 0);
    return poll;
}

void bus_drain(struct bus *b, const struct bus_socket *s, void (*fn)(struct bus *b, struct bytes message))
{
    nng_msg *m;
    for (uint32_t i = 0; i < RECV_TURN && !b->stopped; i++) {
        if (nng_recvmsg(s->socket, &m, NNG_FLAG_NONBLOCK) != 0)
            return;
        fn(b, (struct bytes){nng_msg_body(m), nng_msg_len(m)});
        nng_msg_free(m);
        arena_reset(&b->arena);
    } // the descriptor is level-triggered: a remainder comes back in the next turn
}

bool bus_up(const struct bus_socket *s)
{
    return s && atomic_load(&s->pipes) > 0 && !atomic_load(&s->spent);
}

bool bus_spent(const struct bus_socket *s)
{
    return s && atomic_load(&s->spent);
}

// No pipe goes meanwhile.
static int send_locked(struct bus_socket *s, nng_msg *m)
{
    uv_mutex_lock(&s->waker->lock);
    int err = atomic_load(&s->spent) ? NNG_ECLOSED : nng_sendmsg(s->socket, m, NNG_FLAG_NONBLOCK);
    uv_mutex_unlock(&s->waker->lock);
    return err;
}

int bus_send(struct bus_socket *s, struct bytes head, struct bytes body)
{
    nng_msg *m;
    if (head.n + body.n > BUS_MESSAGE_MAX) { // the receiver would hang up, and with it lose what came before
        M.bus_refused++;
        return ERR_FULL;
    }
    CHECK(nng_msg_alloc(&m, 0) == 0);
    CHECK(nng_msg_append(m, head.p, head.n) == 0 && nng_msg_append(m, body.p, body.n) == 0);
    if (send_locked(s, m) == 0)
        return OK;
    nng_msg_free(m);
    M.bus_refused++;
    return ERR_FULL;
}

// --- closing ---

static void close_sockets(void *arg) // on its own thread
{
    struct bus_closing *c = arg;
    uv_sleep(LINGER_MS);
    for (struct bus_socket *s = c->first; s; s = s->next) {
        nng_close(s->socket);
        atomic_fetch_add(&c->closed, 1);
    }
    atomic_store(&c->done, true);
}

// One at a time: where one does not come back, none does.
static void close_next(struct bus *b)
{
    if (b->closing || !b->to_close)
        return;
    b->closing = mem_alloc(sizeof *b->closing);
    b->closing->first = b->to_close;
    b->closing->patience = STUCK_LOOKS + arc4random_uniform(SPREAD_LOOKS);
    b->to_close = NULL;
    CHECK(uv_thread_create(&b->closing->thread, close_sockets, b->closing) == 0);
}

static void closings_tidy(struct bus *b)
{
    struct bus_closing *c = b->closing;
    if (!c || !atomic_load(&c->done))
        return;
    CHECK(uv_thread_join(&c->thread) == 0);
    for (struct bus_socket *s = c->first, *next; s; s = next) {
        next = s->next;
        waker_release(s->waker);
        mem_free(s);
    }
    mem_free(c);
    b->closing = NULL;
    close_next(b);
}

void bus_close(struct bus *b, struct bus_socket *first)
{
    struct bus_socket *last = first;
    if (!first)
        return;
    closings_tidy(b);
    while (last->next)
        last = last->next;
    last->next = b->to_close;
    b->to_close = first;
    close_next(b);
}

// How many there have been since a socket was closed.
static uint32_t looks_in_vain(struct bus_closing *c)
{
    uint32_t closed = atomic_load(&c->closed);
    c->looks = closed == c->seen ? c->looks + 1 : 0;
    c->seen = closed;
    return c->looks;
}

bool bus_close_look(struct bus *b)
{
    closings_tidy(b);
    return b->closing && looks_in_vain(b->closing) == b->closing->patience;
}

void bus_close_end(struct bus *b)
{
    closings_tidy(b);
    if (b->closing)
        b->closing->looks = 0;
    while (b->closing && looks_in_vain(b->closing) < END_LOOKS) {
        uv_sleep(END_LOOK_MS);
        closings_tidy(b);
    }
    if (!b->closing)
        return;
    LOG(WARN, EV("bus.left_open"), KS("why", "nng does not close a socket"));
    b->closing->waiting = b->to_close;
    b->closing->next = left_open;
    left_open = b->closing;
}
