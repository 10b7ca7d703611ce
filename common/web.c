// web: listening, connections, timeouts, reading and writing, the life of libwebsockets inside the uv loop.
// We accept ourselves and hand the socket over: so connections are counted and refused before they cost anything.
#define _GNU_SOURCE // accept4
#include "web_private.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_MS 100u // when the process is out of descriptors
#define FD_SPARE 1024u       // descriptors for everything that is not a connection
#define WAKE_FDS 1024        // where its own descriptor is, which it opens before there are connections
#define CHUNK (64u * 1024u)  // most that is given to one write
#define READ_SIZE (32u * 1024u)
#define PIPELINE_MAX 16384u // what is kept of a peer that asks on before he has his answer

// --- connections ---

static struct conn *conn_get(struct web *w, struct lws *wsi)
{
    uint64_t id = (uint64_t)(uintptr_t)lws_get_opaque_user_data(wsi);
    return id ? table_get(&w->conns, id) : NULL;
}

void conn_hold(struct conn *c, bool held)
{
    if (c->held == held)
        return;
    c->held = held;
    lws_rx_flow_control(c->wsi, !held);
}

void conn_abort(struct conn *c)
{
    loop_cancel(c->web->loop, &c->timer);
    if (!c->wsi)
        return;
    conn_hold(c, false); // or the end would not be seen
    shutdown(lws_get_socket_fd(c->wsi), SHUT_RDWR);
}

static void on_time(struct timer *t, uint64_t now)
{
    struct conn *c = container_of(t, struct conn, timer);
    (void)now;
    M.requests_timed_out += c->state == CONN_BODY || (c->state == CONN_HEAD && c->http.began);
    conn_abort(c);
}

void conn_time(struct conn *c, uint64_t ms)
{
    loop_arm(c->web->loop, &c->timer, ms);
}

void conn_finish(struct conn *c)
{
    c->state = CONN_LAST;
    conn_time(c, CLOSE_MS);
    conn_dirty(c);
}

bool conn_admit(struct conn *c, struct address from)
{
    struct table *peers = &c->web->peers;
    uint64_t peer = address_peer(from), max = c->web->cfg.per_address;
    uintptr_t n = (uintptr_t)table_get(peers, peer);
    if (max == 0)
        return true;
    if (n >= max)
        return false;
    table_put(peers, peer, (void *)(n + 1));
    c->peer = peer;
    return true;
}

static void conn_leave(struct conn *c)
{
    struct table *peers = &c->web->peers;
    uintptr_t n = c->peer ? (uintptr_t)table_remove(peers, c->peer) : 0;
    if (n > 1)
        table_put(peers, c->peer, (void *)(n - 1));
}

static struct conn *conn_new(struct web *w, const char *address)
{
    struct conn *c = mem_alloc(sizeof *c);
    c->id = ++w->next_id;
    c->web = w;
    c->timer.fire = on_time;
    c->http.began = true;
    c->ws.code = 1006;
    (void)snprintf(c->address, sizeof c->address, "%s", address);
    table_put(&w->conns, c->id, c);
    return c;
}

static void conn_free(struct conn *c)
{
    table_remove(&c->web->conns, c->id);
    conn_leave(c);
    loop_cancel(c->web->loop, &c->timer);
    c->web->held -= c->counted;
    M.memory_clients_bytes -= c->counted;
    ws_reader_fini(&c->ws.reader);
    buf_fini(&c->http.raw);
    buf_fini(&c->http.body);
    buf_fini(&c->http.headers);
    buf_fini(&c->in);
    buf_fini(&c->out);
    mem_free(c);
}

// libwebsockets is done with it but for freeing. May come twice.
static void conn_gone(struct conn *c)
{
    loop_cancel(c->web->loop, &c->timer);
    c->state = CONN_LINGER;
    http_gone(c);
    ws_gone(c);
}

// --- writing: everything that one turn queued on a connection, in one write ---

void conn_dirty(struct conn *c)
{
    struct web *w = c->web;
    if (c->dirty)
        return;
    c->dirty = true;
    if (w->n_dirty == w->dirty_cap) {
        w->dirty_cap = w->dirty_cap ? w->dirty_cap * 2 : 64;
        w->dirty = mem_grow(w->dirty, w->dirty_cap, sizeof *w->dirty);
    }
    w->dirty[w->n_dirty++] = c->id;
    loop_flush(w->loop, &w->flush);
}

uint64_t conn_queued(const struct conn *c)
{
    return c->out.n - c->out_at + (lws_partial_buffered(c->wsi) ? c->handed : 0);
}

void conn_count(struct conn *c)
{
    uint64_t now = c->in.cap + c->out.cap + c->http.raw.cap + c->http.body.cap + c->ws.reader.parts.cap;
    if (c->wsi && lws_partial_buffered(c->wsi))
        now += c->handed;
    c->web->held += now - c->counted;
    M.memory_clients_bytes += now - c->counted;
    c->counted = now;
}

// What the socket does not take at once libwebsockets keeps, and says WRITEABLE when that has gone.
static bool write_out(struct conn *c)
{
    while (c->out_at < c->out.n && !lws_partial_buffered(c->wsi)) {
        c->handed = c->out.n - c->out_at < CHUNK ? c->out.n - c->out_at : CHUNK;
        if (lws_write(c->wsi, (unsigned char *)c->out.p + c->out_at, c->handed, LWS_WRITE_RAW) < 0)
            return false;
        c->out_at += c->handed;
    }
    if (c->out_at == c->out.n) {
        buf_fini(&c->out);
        c->out_at = c->ws.edge = 0;
    }
    return true;
}

static void understand(struct conn *c);

static void all_written(struct conn *c)
{
    switch (c->state) {
    case CONN_ANSWERING:
        http_written(c);
        understand(c); // what came meanwhile
        break;
    case CONN_LAST:
        c->state = CONN_LINGER;
        if (c->web->cfg.tls)
            SSL_shutdown(lws_get_ssl(c->wsi)); // "that was all": without it a peer must think that he was cut off
        shutdown(lws_get_socket_fd(c->wsi), SHUT_WR);
        break;
    case CONN_HEAD:
    case CONN_BODY:
    case CONN_ASKED:
    case CONN_OPEN:
    case CONN_CLOSING:
    case CONN_LINGER:
        break;
    }
}

// Reading stops while libwebsockets holds output: it would not read then, and be woken for nothing. It stops too when
// a peer goes on asking without waiting for answers.
static void hold_or_read(struct conn *c)
{
    bool asked = c->state == CONN_ASKED || c->state == CONN_ANSWERING;
    conn_hold(c, lws_partial_buffered(c->wsi) || (asked && c->in.n >= PIPELINE_MAX));
}

static void write_and_go_on(struct conn *c)
{
    if (!write_out(c)) {
        conn_abort(c);
        return;
    }
    if (!lws_partial_buffered(c->wsi))
        all_written(c);
    else if (c->state == CONN_ANSWERING)
        conn_time(c, c->web->cfg.request_ms); // it is read, if slowly
    hold_or_read(c);
}

static void conn_flush(struct conn *c)
{
    ws_tell_slow(c);
    if (c->state == CONN_LINGER)
        return;
    write_and_go_on(c);
    conn_count(c);
}

// All of them hold more than they may: those for whom most is held go.
static void shed(struct web *w)
{
    struct debt *v = mem_grow(NULL, w->conns.n, sizeof *v);
    struct conn *c;
    uint32_t n = 0;
    for (uint32_t i = 0; (c = table_next(&w->conns, &i, NULL)) != NULL;)
        v[n++] = (struct debt){c->id, c->counted};
    n = debts_over(v, n, debts_keep(w->cfg.held_max));
    for (uint32_t i = 0; i < n && (c = table_get(&w->conns, v[i].id)) != NULL; i++) {
        LOG_PEER(WARN, EV("web.shed"), KU("conn", c->id), KS("peer", c->address), KU("bytes", c->counted));
        M.clients_shed++;
        if (c->state == CONN_OPEN)
            ws_slow(c);
        else
            conn_abort(c);
    }
    mem_free(v);
}

static void on_flush(struct loop_flush *f)
{
    struct web *w = container_of(f, struct web, flush);
    if (w->held > w->cfg.held_max)
        shed(w);
    uint64_t *ids = w->dirty;
    uint32_t n = w->n_dirty;
    w->dirty = NULL; // what the callbacks queue is for the next round
    w->n_dirty = w->dirty_cap = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct conn *c = table_get(&w->conns, ids[i]);
        if (!c)
            continue;
        c->dirty = false;
        conn_flush(c);
    }
    mem_free(ids);
}

// --- reading ---

static void understand(struct conn *c)
{
    for (bool more = true; more;) {
        switch (c->state) {
        case CONN_HEAD:
        case CONN_BODY:
        case CONN_ASKED:
        case CONN_ANSWERING:
            more = http_input(c);
            break;
        case CONN_OPEN:
        case CONN_CLOSING:
            more = ws_input(c);
            break;
        case CONN_LAST:
        case CONN_LINGER:
            buf_reset(&c->in);
            more = false;
            break;
        }
    }
    if (!c->in.n)
        buf_fini(&c->in); // idle connections keep no memory
}

static void received(struct conn *c, const char *p, size_t n)
{
    lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0); // of a TLS handshake, which it does not end by itself; ours runs
    if (c->state == CONN_LAST || c->state == CONN_LINGER)
        return;
    buf_add(&c->in, p, n);
    understand(c);
    hold_or_read(c);
    conn_count(c);
    if (c->web->held > c->web->cfg.held_max)
        loop_flush(c->web->loop, &c->web->flush);
}

// --- libwebsockets' side ---

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
    struct web *w = lws_context_user(lws_get_context(wsi));
    struct conn *c;
    switch ((int)reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        tls_serve(w->cfg.tls, user);
        return 0;
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
    case LWS_CALLBACK_RAW_WRITEABLE:
    case LWS_CALLBACK_RAW_CLOSE:
    case LWS_CALLBACK_WSI_DESTROY:
        c = conn_get(w, wsi);
        break;
    default: // some of the others come before there is a context to speak of
        return 0;
    }
    if (!c)
        return reason == LWS_CALLBACK_RAW_RX ? -1 : 0;
    if (reason == LWS_CALLBACK_RAW_ADOPT)
        c->wsi = wsi;
    else if (reason == LWS_CALLBACK_RAW_RX)
        received(c, in, n);
    else if (reason == LWS_CALLBACK_RAW_WRITEABLE)
        conn_flush(c);
    else
        conn_gone(c);
    if (reason == LWS_CALLBACK_WSI_DESTROY)
        conn_free(c);
    return 0;
}

static struct bytes without_end(const char *line)
{
    struct bytes b = bytes_of(line);
    while (b.n && (b.p[b.n - 1] == '\n' || b.p[b.n - 1] == ' '))
        b.n--;
    return b;
}

static void on_lws_start_log(int level, const char *line)
{
    LOG(ERROR, EV("web.library"), KI("class", level), KB("line", without_end(line)));
}

static void on_lws_log(int level, const char *line)
{
    LOG_PEER(DEBUG, EV("web.library"), KI("class", level), KB("line", without_end(line)));
}

static const struct lws_protocols protocols[] = {
    {.name = "switchboard", .callback = on_lws, .tx_packet_size = CHUNK},
    {.name = NULL},
};

// libwebsockets lays out two tables by the limit of descriptors and cannot look a socket up fast otherwise: the limit
// must cover the connections, and a limit that stands for "none" (containers) must not make them huge.
static int fit_descriptor_limit(uint64_t connections)
{
    struct rlimit r;
    CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0);
    rlim_t want = r.rlim_cur;
    if (want < connections + FD_SPARE)
        want = connections + FD_SPARE;
    else if (want > 1000000u)
        want = connections + FD_SPARE > 65536u ? connections + FD_SPARE : 65536u;
    if (want > r.rlim_max)
        want = r.rlim_max;
    if (want != r.rlim_cur) {
        rlim_t was = r.rlim_cur;
        r.rlim_cur = want;
        if (setrlimit(RLIMIT_NOFILE, &r) != 0)
            want = was;
    }
    return (int)want;
}

// libwebsockets 4.1.6 closes the descriptor that wakes it twice: when its context ends, and when the loop has let go of
// it. Between the two another thread of this process can be given its number (nng's look up addresses), and loses it:
// getaddrinfo ends the process then. What is left of that time is the rest of lws_context_destroy.
static bool is_eventfd(int fd)
{
    char path[32], to[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, to, sizeof to);
    return n > 0 && memmem(to, (size_t)n, "[eventfd]", 9) != NULL;
}

// Something of our own stands there until the second time.
static void hold_number(int fd)
{
    int held = fd >= 0 ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, fd) : -1;
    if (held >= 0 && held != fd) // somebody has it already
        close(held);
}

static bool start_lws(struct web *w)
{
    void *loops[] = {loop_uv(w->loop)};
    bool before[WAKE_FDS];
    for (int fd = 0; fd < WAKE_FDS; fd++)
        before[fd] = is_eventfd(fd);
    w->fd_limit = fit_descriptor_limit(w->cfg.connections_max);
    lws_set_log_level(LLL_ERR, on_lws_start_log);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV,
        .foreign_loops = loops,
        .pcontext = &w->context,
        .user = w,
        .pt_serv_buf_size = READ_SIZE,
        .timeout_secs = (unsigned)((w->cfg.request_ms + 999) / 1000), // of a TLS handshake
        .vhost_name = "switchboard",
    };
    if (w->cfg.tls) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
        info.alpn = "http/1.1";
    }
    w->context = lws_create_context(&info);
    w->wake_fd = -1;
    for (int fd = 0; fd < WAKE_FDS && w->wake_fd < 0; fd++)
        if (!before[fd] && is_eventfd(fd))
            w->wake_fd = fd;
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
    if (w->context)
        w->vhost = lws_get_vhost_by_name(w->context, "switchboard");
    return w->vhost != NULL;
}

// --- listening ---

static void refuse_full(int fd, const char *address, uint64_t connections)
{
    close(fd);
    M.connections_refused++;
    LOG_PEER(WARN, EV("web.full"), KS("peer", address), KU("connections", connections));
}

static void adopt(struct web *w, int fd, const struct sockaddr_storage *from, socklen_t size)
{
    char address[46] = "";
    struct address a = {0};
    getnameinfo((const struct sockaddr *)from, size, address, sizeof address, NULL, 0, NI_NUMERICHOST);
    if (w->conns.n >= w->cfg.connections_max || fd >= w->fd_limit) {
        refuse_full(fd, address, w->conns.n);
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct conn *c = conn_new(w, address);
    uint64_t id = c->id;
    (void)!address_parse(bytes_of(address), &a); // a link-local one with its zone: all of these are one peer
    c->balancer = networks_have(&w->cfg.balancers, a);
    if (!c->balancer && !conn_admit(c, a)) {
        refuse_full(fd, address, w->cfg.per_address);
        conn_free(c);
        return;
    }
    conn_time(c, w->cfg.request_ms);
    lws_adopt_desc_t d = {.vh = w->vhost,
                          .type = LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL,
                          .fd = {.sockfd = fd},
                          .opaque = (void *)(uintptr_t)id};
    if (!lws_adopt_descriptor_vhost_via_info(&d) && (c = table_get(&w->conns, id)))
        conn_free(c);
}

static void on_accept(uv_poll_t *p, int status, int events)
{
    (void)status;
    (void)events;
    struct web *w = p->data;
    for (int i = 0; i < ACCEPTS_PER_TURN && !w->refusing; i++) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        int fd = accept4(w->listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            adopt(w, fd, &from, size);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            LOG_PEER(ERROR, EV("web.accept"), KS("why", strerror(errno)));
            uv_poll_stop(&w->accept);
            loop_arm(w->loop, &w->accept_again, ACCEPT_PAUSE_MS);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static void on_accept_again(struct timer *t, uint64_t now)
{
    (void)now;
    struct web *w = container_of(t, struct web, accept_again);
    if (!w->refusing)
        uv_poll_start(&w->accept, UV_READABLE, on_accept);
}

static int open_listener(const struct addrinfo *a, uint16_t *port)
{
    int on = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_storage at;
    socklen_t size = sizeof at;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    *port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&at)->sin6_port
                                           : ((struct sockaddr_in *)(void *)&at)->sin_port);
    return fd;
}

static bool start_listening(struct web *w)
{
    char port[24];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
    (void)snprintf(port, sizeof port, "%llu", (unsigned long long)w->cfg.port);
    int err = getaddrinfo(w->cfg.bind, port, &hints, &list);
    if (err) {
        LOG(ERROR, EV("web.listen"), KS("bind", w->cfg.bind), KS("why", gai_strerror(err)));
        return false;
    }
    w->listener = open_listener(list, &w->port);
    if (w->listener < 0)
        LOG(ERROR, EV("web.listen"), KS("bind", w->cfg.bind), KU("port", w->cfg.port), KS("why", strerror(errno)));
    freeaddrinfo(list);
    return w->listener >= 0;
}

static void on_listener_closed(uv_handle_t *h)
{
    struct web *w = h->data;
    close(w->listener);
    w->listener = -1;
}

void web_refuse_new(struct web *w)
{
    if (w->refusing)
        return;
    w->refusing = true;
    loop_cancel(w->loop, &w->accept_again);
    uv_close((uv_handle_t *)&w->accept, on_listener_closed);
}

// --- life ---

struct web *web_new(struct loop *l, struct web_cfg cfg)
{
    struct web *w = mem_alloc(sizeof *w);
    w->loop = l;
    w->cfg = cfg;
    w->listener = -1;
    w->flush.fn = on_flush;
    w->accept_again.fire = on_accept_again;
    CHECK(cfg.held_max >= cfg.queue_max && cfg.held_max >= cfg.body_max);
    if (!start_listening(w)) {
        mem_free(w);
        return NULL;
    }
    if (!start_lws(w)) {
        LOG(ERROR, EV("web.start"), KS("why", "libwebsockets does not start: is libwebsockets-evlib-uv installed?"));
        close(w->listener);
        mem_free(w);
        return NULL;
    }
    w->accept.data = w;
    CHECK(uv_poll_init(loop_uv(l), &w->accept, w->listener) == 0);
    CHECK(uv_poll_start(&w->accept, UV_READABLE, on_accept) == 0);
    return w;
}

uint16_t web_port(const struct web *w)
{
    return w->port;
}

// The first destroy closes the sockets, which needs the loop; the second one, in web_free, frees.
void web_stop(struct web *w)
{
    if (w->stopped)
        return;
    w->stopped = true;
    web_refuse_new(w);
    lws_context_destroy(w->context);
    hold_number(w->wake_fd);
}

void web_free(struct web *w)
{
    if (!w)
        return;
    CHECK(w->stopped && w->listener < 0);
    loop_unflush(w->loop, &w->flush);
    if (w->context)
        lws_context_destroy(w->context);
    CHECK_ID(w->conns.n == 0, w->conns.n);
    table_fini(&w->conns);
    table_fini(&w->requests);
    table_fini(&w->peers);
    mem_free(w->dirty);
    arena_fini(&w->arena);
    mem_free(w);
}
