// conn: websockets to sessions and back. Opens, closes, reads frames, sends messages plain or compressed.
#include "conns.h"
#include "etf.h"
#include "presence_io.h"
#include "roster_io.h"

#include <stdio.h>
#include <string.h>

#define WAITING_MAX (64u * 1024u) // of a client that resumes; four of the longest frames
#define WAITING_ALL_MAX (16u * 1024u * 1024u)
#define KEPT (64u * 1024u) // between one message and the next
#define WHOLE_MIN 1024u    // what is compressed by itself: less is hardly worth it

static struct client *client_get(const struct gateway *g, uint64_t conn)
{
    return table_get(&g->conns->clients, conn);
}

static struct live *live_of(const struct gateway *g, uint64_t conn)
{
    const struct client *c = client_get(g, conn);
    return c && c->session ? live_get(g, c->session) : NULL;
}

// --- out ---

// False: another service has put together what is no JSON.
static bool as_term(struct conns *c, struct bytes head, struct bytes tail)
{
    buf_reset(&c->json);
    buf_reset(&c->term);
    buf_add(&c->json, head.p, head.n);
    buf_add(&c->json, tail.p, tail.n);
    int err = etf_from_json(&c->term, buf_bytes(&c->json));
    buf_trim(&c->json, KEPT);
    return err == OK;
}

static void send_squeezed(struct gateway *g, const struct client *c, struct bytes head, struct bytes tail)
{
    struct buf *out = &g->conns->squeezed;
    buf_reset(out);
    if (c->squeeze)
        squeeze_add(c->squeeze, out, head, tail);
    else
        squeeze_whole(out, head, tail);
    web_send(g->web, c->id, buf_bytes(out), true);
    buf_trim(out, KEPT);
}

void client_send(struct gateway *g, uint64_t conn, struct bytes head, struct bytes tail)
{
    const struct client *c = client_get(g, conn);
    if (!c)
        return;
    if (c->etf) {
        if (!as_term(g->conns, head, tail)) {
            LOG_PEER(ERROR, EV("event.no_json"), KU("session", c->session));
            return;
        }
        head = BYTES_NONE;
        tail = buf_bytes(&g->conns->term);
    }
    if (c->squeeze || (c->whole && head.n + tail.n >= WHOLE_MIN))
        send_squeezed(g, c, head, tail);
    else
        web_send2(g->web, conn, head, tail, c->etf);
    buf_trim(&g->conns->term, KEPT);
}

void client_close(struct gateway *g, uint64_t conn, uint16_t code)
{
    struct client *c = client_get(g, conn);
    if (c)
        c->session = 0;
    web_close(g->web, conn, code, close_text(code));
}

void client_bind(struct gateway *g, uint64_t conn, uint64_t session)
{
    struct client *c = client_get(g, conn);
    if (c)
        c->session = session;
}

// --- in ---

static void hello(struct gateway *g, uint64_t conn)
{
    char text[160];
    int n = snprintf(text, sizeof text,
                     "{\"op\":10,\"s\":null,\"t\":null,\"d\":{\"heartbeat_interval\":%llu,\"_trace\":[\"%s\"]}}",
                     (unsigned long long)g->cfg.heartbeat_ms, g->svc.instance);
    client_send(g, conn, BYTES_NONE, (struct bytes){text, (size_t)n});
}

// Once all streams together cost what they may, a further one is not compressed: its messages are in stored blocks.
static struct squeeze *squeeze_for(struct gateway *g, enum squeeze_kind kind)
{
    uint64_t most = g->cfg.deflate_bytes, used = M.memory_deflate_bytes;
    return squeeze_new(kind, (uint32_t)g->cfg.deflate_bits, most > used ? most - used : 0);
}

void conns_open(void *ctx, uint64_t conn, struct bytes path, struct bytes query, const char *address)
{
    struct gateway *g = ctx;
    struct hail hail;
    uint16_t code = ops_hail(query, &hail);
    (void)path; // libraries put one and another there
    if (code || g->conns->stopping) {
        code = code ? code : 4000;
        LOG_PEER(INFO, EV("conn.refused"), KU("conn", conn), KS("peer", address), KU("code", code));
        web_close(g->web, conn, code, close_text(code));
        return;
    }
    struct client *c = mem_alloc(sizeof *c);
    c->id = conn;
    c->etf = hail.etf;
    if (hail.zlib || hail.zstd)
        c->squeeze = squeeze_for(g, hail.zstd ? SQUEEZE_ZSTD : SQUEEZE_ZLIB);
    table_put(&g->conns->clients, conn, c);
    c->session = live_new(g, conn, hail.v)->s.key;
    LOG_PEER(DEBUG, EV("conn.open"), KU("conn", conn), KS("peer", address), KU("v", hail.v));
    hello(g, conn);
}

// Compressed by itself is JSON alone, and on a connection that is not compressed anyway.
static void note_compression(struct live *l, const struct op_identify *id)
{
    struct client *c = client_get(l->g, l->s.line.conn);
    c->whole = id->c.compress && !c->squeeze && !c->etf;
}

static void identify(struct live *l, const struct op *op)
{
    struct gateway *g = l->g;
    const struct op_identify *id = &op->identify;
    struct session_in in = {.kind = SESSION_IN_IDENTIFY, .op = op};
    if (!op->malformed && system_auth(g, op->identify.c.token, &in.user, &in.issued_ms) != OK)
        in.user = 0;
    if (in.user && l->s.state == SESSION_HELLO) {
        note_compression(l, id);
        in.often = !starts_take(&g->conns->starts, in.user, id->shard, id->shards, loop_now(g->svc.loop));
        in.full = !in.often && !live_room_of(g, in.user);
        in.away = !store_up(g->svc.store) || (!in.often && !live_room(g));
    }
    if (!op->malformed && l->s.state == SESSION_HELLO)
        presence_begin(l, &op->identify.presence, presence_client(op->identify.os, op->identify.browser));
    live_step(l, &in);
}

static void resume(struct live *l, const struct op *op)
{
    struct session_in in = {.kind = SESSION_IN_RESUME, .op = op};
    if (!op->malformed && system_auth(l->g, op->resume.token, &in.user, &in.issued_ms) != OK)
        in.user = 0;
    live_step(l, &in);
}

static void take(struct live *l, const struct op *op)
{
    switch (op->kind) {
    case OP_BEAT:
        live_step(l, &(struct session_in){.kind = SESSION_IN_BEAT});
        break;
    case OP_IDENTIFY:
        identify(l, op);
        break;
    case OP_RESUME:
        resume(l, op);
        break;
    case OP_VOICE:
        live_step(l, &(struct session_in){.kind = SESSION_IN_VOICE, .op = op});
        break;
    case OP_CALL:
        live_step(l, &(struct session_in){.kind = SESSION_IN_CALL, .op = op});
        break;
    case OP_PRESENCE:
        live_step(l, &(struct session_in){.kind = SESSION_IN_PRESENCE, .op = op});
        break;
    case OP_MEMBERS:
    case OP_LISTS:
    case OP_INFO:
    case OP_SOUNDS:
    case OP_STREAM:
        live_step(l, &(struct session_in){.kind = SESSION_IN_ASK, .op = op});
        break;
    case OP_UNKNOWN:
        M.client_ops_unknown++;
        live_step(l, &(struct session_in){.kind = SESSION_IN_QUIET});
        break;
    case OP_QUIET:
        live_step(l, &(struct session_in){.kind = SESSION_IN_QUIET});
        break;
    case OP_BROKEN:
        live_step(l, &(struct session_in){.kind = SESSION_IN_BROKEN, .code = op->code});
        break;
    }
}

static void hold_back(struct gateway *g, uint64_t conn, struct live *l, struct bytes payload)
{
    struct buf *b = &client_get(g, conn)->waiting;
    size_t n = sizeof payload.n + payload.n;
    if (b->n + n > WAITING_MAX || g->conns->waiting + n > WAITING_ALL_MAX) {
        live_step(l, &(struct session_in){.kind = SESSION_IN_BROKEN, .code = 4008});
        return;
    }
    buf_add(b, &payload.n, sizeof payload.n);
    buf_add(b, payload.p, payload.n);
    g->conns->waiting += n;
}

static void take_frame(struct gateway *g, uint64_t conn, struct bytes payload)
{
    struct live *l = live_of(g, conn);
    struct op op;
    if (!l)
        return;
    if (client_get(g, conn)->etf)
        ops_read_etf(&g->conns->arena, payload, &op);
    else
        ops_read(&g->conns->arena, payload, &op);
    if (session_waits(&l->s) && op.kind != OP_BEAT)
        hold_back(g, conn, l, payload);
    else
        take(l, &op);
    ops_done(&op);
    arena_reset(&g->conns->arena);
}

void conns_message(void *ctx, uint64_t conn, struct bytes payload, bool binary)
{
    (void)binary; // some libraries send their JSON so
    M.client_frames++;
    take_frame(ctx, conn, payload);
}

void client_go_on(struct gateway *g, uint64_t conn)
{
    struct client *c = client_get(g, conn);
    struct buf frames = c ? c->waiting : (struct buf){0};
    if (c)
        c->waiting = (struct buf){0};
    g->conns->waiting -= frames.n;
    for (size_t at = 0, n; at < frames.n; at += n) { // one of them may make the others wait again
        memcpy(&n, frames.p + at, sizeof n);
        at += sizeof n;
        take_frame(g, conn, (struct bytes){frames.p + at, n});
    }
    buf_fini(&frames);
}

void conns_too_large(void *ctx, uint64_t conn)
{
    struct live *l = live_of(ctx, conn);
    M.client_frames++;
    if (l)
        live_step(l, &(struct session_in){.kind = SESSION_IN_BROKEN, .code = 4002});
}

// It stays resumable: what it missed is in the store.
void conns_slow(void *ctx, uint64_t conn)
{
    struct gateway *g = ctx;
    struct live *l = live_of(g, conn);
    LOG_PEER(INFO, EV("conn.slow"), KU("conn", conn), KU("session", l ? l->s.key : 0));
    client_close(g, conn, 4000);
    if (l)
        live_step(l, &(struct session_in){.kind = SESSION_IN_LOST, .code = 1006});
}

void conns_close(void *ctx, uint64_t conn, uint16_t code)
{
    struct gateway *g = ctx;
    struct live *l = live_of(g, conn);
    struct client *c = table_remove(&g->conns->clients, conn);
    if (!c)
        return;
    LOG_PEER(DEBUG, EV("conn.closed"), KU("conn", conn), KU("code", code));
    squeeze_free(c->squeeze);
    g->conns->waiting -= c->waiting.n;
    buf_fini(&c->waiting);
    mem_free(c);
    if (l)
        live_step(l, &(struct session_in){.kind = SESSION_IN_LOST, .code = code});
}

// --- life ---

void conns_start(struct gateway *g)
{
    g->conns = mem_alloc(sizeof *g->conns);
    g->conns->rules = (struct session_rules){
        .heartbeat_ms = g->cfg.heartbeat_ms,
        .resume_window_ms = g->cfg.resume_window_ms,
        .identify_ms = g->cfg.identify_ms,
    };
    starts_init(&g->conns->starts, g->cfg.identify_rate, loop_now(g->svc.loop));
    g->conns->left_tail = &g->conns->left;
    rosters_start(g);
    ledger_start(g);
}

void conns_stop(struct gateway *g)
{
    struct conns *c = g->conns;
    struct keys keys = {0};
    uint64_t key;
    c->stopping = true;
    for (uint32_t i = 0; table_next(&c->sessions, &i, &key) != NULL;)
        keys_add(&keys, key);
    for (uint32_t i = 0; i < keys.n; i++) {
        struct live *l = live_get(g, keys.v[i]);
        if (l)
            live_step(l, &(struct session_in){.kind = SESSION_IN_STOP});
    }
    keys_fini(&keys);
}

bool conns_idle(const struct gateway *g)
{
    return g->conns->clients.n == 0 && g->conns->ending == 0;
}

void conns_dump(const struct gateway *g, struct buf *out)
{
    static const char *const names[] = {"hello", "loading", "taking", "live", "detached", "gone"};
    uint32_t n[SESSION_STATES] = {0};
    struct live *l;
    for (uint32_t i = 0; (l = table_next(&g->conns->sessions, &i, NULL)) != NULL;)
        n[l->s.state]++;
    buf_printf(out, "sockets %u, ends to be told %u\nsessions", g->conns->clients.n, g->conns->ending);
    for (size_t i = 0; i < countof(names); i++)
        buf_printf(out, " %s=%u", names[i], n[i]);
    buf_char(out, '\n');
}
