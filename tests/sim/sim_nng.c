// sim_nng: as much of nng and libuv as the bus stands on: sockets that listen and dial, pipes between them that come,
// go, and lose, double and reorder what travels on them, and the few handles by which nng wakes a loop.
#include "loop.h"
#include "sim.h"
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define REDIAL_US 10000u
#define SOCKETS_MAX 1024u
#define INBOX_MAX 8192u

struct nng_msg {
    struct bytes body; // owned
    struct nng_msg *next;
};

struct sock {
    uint64_t life; // grows when it is closed; its number may be taken again
    bool open, publishes;
    struct instance *owner;
    int port;             // listens, or 0
    int dials;            // port, or 0
    uint32_t peer;        // of a dialler: the socket at the other end, 0: no pipe
    uint64_t pipe;        // numbers its pipes
    uint64_t in_order_at; // nothing overtakes before that, unless it is to
    nng_pipe_cb notify[NNG_PIPE_EV_NUM];
    void *notify_arg[NNG_PIPE_EV_NUM];
    struct nng_msg *inbox, **inbox_tail;
    uint32_t n_inbox;
    uv_poll_t *poll;
    uv_poll_cb on_poll;
    bool polled; // on_poll is on its way
};

static struct sock socks[SOCKETS_MAX]; // 0 is none
static int last_port;

// --- messages ---

int nng_msg_alloc(nng_msg **out, size_t n)
{
    CHECK(n == 0);
    *out = mem_alloc(sizeof **out);
    return 0;
}

int nng_msg_append(nng_msg *m, const void *p, size_t n)
{
    char *grown = mem_grow((void *)(uintptr_t)m->body.p, m->body.n + n + 1, 1);
    if (n)
        memcpy(grown + m->body.n, p, n);
    m->body = (struct bytes){grown, m->body.n + n};
    return 0;
}

void nng_msg_free(nng_msg *m)
{
    mem_free((void *)(uintptr_t)m->body.p);
    mem_free(m);
}

void *nng_msg_body(nng_msg *m)
{
    return (void *)(uintptr_t)m->body.p;
}

size_t nng_msg_len(const nng_msg *m)
{
    return m->body.n;
}

// --- pipes ---

static void notify(struct sock *s, nng_pipe_ev ev)
{
    if (s->open && s->notify[ev])
        s->notify[ev]((nng_pipe){0}, ev, s->notify_arg[ev]);
}

static void redial(void *ctx, uint64_t id);

static void redial_later(uint32_t n, uint64_t us)
{
    sim_after(us, NULL, redial, NULL, socks[n].life << 16 | n);
}

static struct sock *named(uint64_t id)
{
    struct sock *s = &socks[id & 0xffff];
    return s->open && s->life == id >> 16 ? s : NULL;
}

static uint32_t listener(int port)
{
    for (uint32_t n = 1; n < SOCKETS_MAX; n++)
        if (socks[n].open && socks[n].port == port)
            return n;
    return 0;
}

static bool refused; // the pipe that is about to be

int nng_pipe_close(nng_pipe p)
{
    (void)p;
    refused = true;
    return 0;
}

static void redial(void *ctx, uint64_t id)
{
    struct sock *s = named(id);
    uint32_t n;
    (void)ctx;
    if (!s || s->peer)
        return;
    n = listener(s->dials);
    if (!n) {
        redial_later((uint32_t)(s - socks), REDIAL_US + sim_below(REDIAL_US));
        return;
    }
    refused = false;
    notify(s, NNG_PIPE_EV_ADD_PRE);
    if (refused) {
        redial_later((uint32_t)(s - socks), REDIAL_US);
        return;
    }
    s->peer = n;
    s->pipe++;
    notify(s, NNG_PIPE_EV_ADD_POST);
    notify(&socks[n], NNG_PIPE_EV_ADD_POST);
}

static void pipe_gone(struct sock *dialler)
{
    struct sock *there = &socks[dialler->peer];
    if (!dialler->peer)
        return;
    dialler->peer = 0;
    dialler->pipe++;
    notify(dialler, NNG_PIPE_EV_REM_POST);
    notify(there, NNG_PIPE_EV_REM_POST);
    if (dialler->open)
        redial_later((uint32_t)(dialler - socks), REDIAL_US);
}

void sim_bus_cut(void)
{
    uint32_t from = (uint32_t)sim_below(SOCKETS_MAX);
    for (uint32_t k = 0; k < SOCKETS_MAX; k++) {
        struct sock *s = &socks[(from + k) % SOCKETS_MAX];
        if (s->open && s->peer) {
            pipe_gone(s);
            return;
        }
    }
}

// --- sockets ---

static int socket_open(nng_socket *out, bool publishes)
{
    uint32_t n = 1;
    while (n < SOCKETS_MAX && socks[n].open)
        n++;
    CHECK(n < SOCKETS_MAX);
    uint64_t life = socks[n].life + 1;
    socks[n] = (struct sock){.life = life, .open = true, .publishes = publishes, .owner = sim_at};
    socks[n].inbox_tail = &socks[n].inbox;
    out->id = n;
    return 0;
}

int nng_pub0_open(nng_socket *s)
{
    return socket_open(s, true);
}

int nng_sub0_open(nng_socket *s)
{
    return socket_open(s, false);
}

int nng_push0_open(nng_socket *s)
{
    return socket_open(s, false);
}

int nng_pull0_open(nng_socket *s)
{
    return socket_open(s, false);
}

static void socket_close(struct sock *s)
{
    if (!s->open)
        return;
    for (uint32_t n = 1; n < SOCKETS_MAX; n++)
        if (socks[n].open && socks[n].peer == (uint32_t)(s - socks))
            pipe_gone(&socks[n]);
    uint32_t there = s->peer;
    s->peer = 0;
    s->open = false;
    if (there)
        notify(&socks[there], NNG_PIPE_EV_REM_POST);
    while (s->inbox) {
        struct nng_msg *m = s->inbox;
        s->inbox = m->next;
        nng_msg_free(m);
    }
    s->life++;
}

int nng_close(nng_socket s)
{
    socket_close(&socks[s.id]);
    return 0;
}

void sim_bus_dead(const struct instance *owner)
{
    for (uint32_t n = 1; n < SOCKETS_MAX; n++)
        if (socks[n].open && socks[n].owner == owner) {
            memset(socks[n].notify, 0, sizeof socks[n].notify);
            socket_close(&socks[n]);
        }
}

int nng_listen(nng_socket s, const char *url, nng_listener *l, int flags)
{
    (void)url;
    (void)flags;
    l->id = s.id;
    socks[s.id].port = ++last_port;
    return 0;
}

int nng_listener_get_int(nng_listener l, const char *option, int *out)
{
    (void)option;
    *out = socks[l.id].port;
    return 0;
}

int nng_dial(nng_socket s, const char *url, nng_dialer *d, int flags)
{
    (void)d;
    (void)flags;
    socks[s.id].dials = atoi(strrchr(url, ':') + 1);
    redial_later(s.id, sim_below(2 * cruelty.bus_us));
    return 0;
}

const char *nng_strerror(int err)
{
    (void)err;
    return "nng";
}

int nng_setopt(nng_socket s, const char *option, const void *value, size_t n)
{
    (void)s;
    (void)option;
    (void)value;
    (void)n;
    return 0;
}

int nng_setopt_int(nng_socket s, const char *option, int value)
{
    return nng_setopt(s, option, &value, sizeof value);
}

int nng_setopt_ms(nng_socket s, const char *option, nng_duration value)
{
    return nng_setopt(s, option, &value, sizeof value);
}

int nng_setopt_size(nng_socket s, const char *option, size_t value)
{
    return nng_setopt(s, option, &value, sizeof value);
}

int nng_getopt_int(nng_socket s, const char *option, int *out)
{
    (void)option;
    *out = (int)s.id; // its descriptor, for uv_poll_init below
    return 0;
}

int nng_pipe_notify(nng_socket s, nng_pipe_ev ev, nng_pipe_cb fn, void *arg)
{
    socks[s.id].notify[ev] = fn;
    socks[s.id].notify_arg[ev] = arg;
    return 0;
}

// --- travelling ---

struct parcel {
    struct nng_msg *m;
    uint64_t from, to, pipe; // from, to: life and number
};

static void poll_now(void *ctx, uint64_t id) // to the owner
{
    struct sock *s = named(id);
    (void)ctx;
    if (!s || !s->poll)
        return;
    s->polled = false;
    s->on_poll(s->poll, 0, UV_READABLE);
    if (s->open && s->inbox && s->poll && !s->polled) { // level-triggered
        s->polled = true;
        sim_after(0, s->owner, poll_now, NULL, id);
    }
}

static void arrive(void *ctx, uint64_t id)
{
    struct parcel *p = ctx;
    struct sock *from = named(p->from), *to = named(p->to);
    (void)id;
    // What a socket sent before it was closed still arrives; what was on a pipe that broke does not.
    if (!to || (from && from->pipe != p->pipe) || to->n_inbox >= INBOX_MAX) {
        nng_msg_free(p->m);
    } else {
        p->m->next = NULL;
        *to->inbox_tail = p->m;
        to->inbox_tail = &p->m->next;
        to->n_inbox++;
        if (to->poll && !to->polled) {
            to->polled = true;
            sim_after(sim_below(200), to->owner, poll_now, NULL, p->to);
        }
    }
    mem_free(p);
}

static void travel(struct sock *s, struct nng_msg *m)
{
    struct parcel *p = mem_alloc(sizeof *p);
    uint64_t us = sim_below(cruelty.bus_us);
    *p = (struct parcel){m, s->life << 16 | (uint64_t)(s - socks), socks[s->peer].life << 16 | s->peer, s->pipe};
    if (sim_chance(cruelty.bus_late)) {
        us += 5 * (uint64_t)cruelty.bus_us; // what is sent later comes sooner
    } else {
        s->in_order_at = s->in_order_at > sim_us() + us ? s->in_order_at + 1 : sim_us() + us;
        us = s->in_order_at - sim_us();
    }
    sim_after(us, NULL, arrive, p, p->to);
}

int nng_sendmsg(nng_socket id, nng_msg *m, int flags)
{
    struct sock *s = &socks[id.id];
    (void)flags;
    if (!s->open || (!s->peer && !s->publishes))
        return NNG_EAGAIN;
    if (!s->peer || sim_chance(cruelty.bus_lost)) {
        nng_msg_free(m);
        return 0;
    }
    if (sim_chance(cruelty.bus_doubled)) {
        nng_msg *again;
        nng_msg_alloc(&again, 0);
        nng_msg_append(again, m->body.p, m->body.n);
        travel(s, again);
    }
    travel(s, m);
    return 0;
}

int nng_recvmsg(nng_socket id, nng_msg **out, int flags)
{
    struct sock *s = &socks[id.id];
    (void)flags;
    if (!s->open || !s->inbox)
        return NNG_EAGAIN;
    *out = s->inbox;
    s->inbox = s->inbox->next;
    if (!s->inbox)
        s->inbox_tail = &s->inbox;
    s->n_inbox--;
    return 0;
}

// --- libuv. A handle's loop is ours in disguise; `u.fd` of a poll handle is the socket's number ---

int uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd)
{
    poll->loop = loop;
    poll->type = UV_POLL;
    poll->u.fd = fd;
    return 0;
}

int uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb fn)
{
    struct sock *s = &socks[poll->u.fd];
    (void)events;
    s->poll = poll;
    s->on_poll = fn;
    return 0;
}

int uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb fn)
{
    async->loop = loop;
    async->type = UV_ASYNC;
    async->async_cb = fn;
    async->pending = 0;
    async->u.fd = 0;
    return 0;
}

static struct {
    uv_async_t *async;
    struct instance *owner;
    uint64_t nth;
} asyncs[INSTANCES_MAX * 4];
static uint64_t last_async;

static void async_now(void *ctx, uint64_t nth)
{
    (void)ctx;
    for (size_t i = 0; i < countof(asyncs); i++)
        if (asyncs[i].async && asyncs[i].nth == nth) {
            uv_async_t *async = asyncs[i].async;
            asyncs[i].async = NULL;
            async->async_cb(async);
            return;
        }
}

int uv_async_send(uv_async_t *async)
{
    size_t free_at = countof(asyncs);
    struct instance *owner = NULL;
    for (size_t i = 0; i < countof(asyncs); i++) {
        if (asyncs[i].async == async)
            return 0; // it is on its way
        if (!asyncs[i].async)
            free_at = i;
    }
    for (uint32_t i = 0; i < n_instances; i++)
        if (instances[i].loop == loop_of_uv(async->loop))
            owner = &instances[i];
    CHECK(free_at < countof(asyncs) && owner != NULL);
    if (owner->state == INSTANCE_DYING)
        return 0;
    asyncs[free_at].async = async;
    asyncs[free_at].owner = owner;
    asyncs[free_at].nth = ++last_async;
    sim_after(sim_below(100), owner, async_now, NULL, last_async);
    return 0;
}

struct closing {
    uv_handle_t *handle;
    uv_close_cb fn;
};

static void closed(void *ctx)
{
    struct closing *c = ctx;
    if (c->fn)
        c->fn(c->handle);
    mem_free(c);
}

void uv_close(uv_handle_t *handle, uv_close_cb fn)
{
    struct closing *c = mem_alloc(sizeof *c);
    *c = (struct closing){handle, fn};
    if (handle->type == UV_POLL)
        for (uint32_t n = 1; n < SOCKETS_MAX; n++)
            if ((uv_handle_t *)socks[n].poll == handle)
                socks[n].poll = NULL;
    for (size_t i = 0; i < countof(asyncs); i++)
        if ((uv_handle_t *)asyncs[i].async == handle)
            asyncs[i].async = NULL;
    sim_loop_task(loop_of_uv(handle->loop), closed, c);
}

int uv_thread_create(uv_thread_t *thread, uv_thread_cb fn, void *arg)
{
    *thread = 0;
    fn(arg);
    return 0;
}

int uv_thread_join(uv_thread_t *thread)
{
    (void)thread;
    return 0;
}

void uv_sleep(unsigned int ms)
{
    (void)ms;
}

int uv_mutex_init(uv_mutex_t *m)
{
    (void)m;
    return 0;
}

void uv_mutex_destroy(uv_mutex_t *m)
{
    (void)m;
}

void uv_mutex_lock(uv_mutex_t *m)
{
    (void)m;
}

void uv_mutex_unlock(uv_mutex_t *m)
{
    (void)m;
}

// --- life ---

void sim_bus_begin(void)
{
    last_port = 0;
    last_async = 0;
    memset(asyncs, 0, sizeof asyncs);
    memset(socks, 0, sizeof socks);
}

void sim_bus_end(void)
{
    for (uint32_t n = 1; n < SOCKETS_MAX; n++)
        CHECK_ID(!socks[n].open, n);
}
