// voice_conn: websockets to voice sessions and back. Opens, closes, reads frames, writes messages.
#include "voice.h"

#include <string.h>

static struct talker *talker_of(const struct voice *v, uint64_t conn)
{
    return table_get(&v->conns, conn);
}

// --- out ---

void conn_close(struct voice *v, uint64_t conn, uint16_t code)
{
    table_remove(&v->conns, conn);
    web_close(v->web, conn, code, vclose_text(code));
}

void conn_say(struct talker *t, uint8_t op, struct bytes d)
{
    struct buf text = {0};
    int32_t number = vop_numbered(op) ? vsession_number(&t->s) : -1;
    vop_frame(&text, op, d, number);
    if (number >= 0)
        vreplay_keep(&t->s.replay, buf_bytes(&text));
    if (t->s.line.conn)
        web_send(t->voice->web, t->s.line.conn, buf_bytes(&text), false);
    buf_fini(&text);
}

void conn_say_again(struct talker *t, uint32_t skip)
{
    const struct vreplay *r = &t->s.replay;
    const struct vkept *k = r->first;
    struct voice *v = t->voice;
    uint64_t id = t->s.id, conn = t->s.line.conn;
    struct buf all = {0};
    for (uint32_t i = 0; i < r->n; i++, k = k->next)
        if (i >= skip) {
            buf_add(&all, &k->n, sizeof k->n);
            buf_add(&all, k->p, k->n);
        }
    for (size_t at = 0, n; at < all.n && table_get(&v->talkers, id); at += n) { // what is sent may close it
        memcpy(&n, all.p + at, sizeof n);
        at += sizeof n;
        web_send(v->web, conn, (struct bytes){all.p + at, n}, false);
    }
    buf_fini(&all);
}

// --- in ---

void conn_open(void *ctx, uint64_t conn, struct bytes path, struct bytes query, const char *address)
{
    struct voice *v = ctx;
    uint32_t version;
    (void)path; // libraries put one and another there
    v->sockets++;
    if (v->finished || vop_hail(query, &version) != OK) {
        uint16_t code = v->finished ? VCLOSE_SERVER_CRASHED : VCLOSE_BAD_REQUEST;
        LOG_PEER(INFO, EV("conn.refused"), KU("conn", conn), KS("peer", address), KU("code", code));
        web_close(v->web, conn, code, vclose_text(code));
        return;
    }
    LOG_PEER(DEBUG, EV("conn.open"), KU("conn", conn), KS("peer", address), KU("v", version));
    voice_open(v, conn, version);
}

void conn_message(void *ctx, uint64_t conn, struct bytes payload, bool binary)
{
    struct voice *v = ctx;
    struct talker *t = talker_of(v, conn);
    struct arena a = {0};
    struct vop op;
    M.client_frames++;
    if (!t)
        return;
    vop_read(&a, payload, binary, &op);
    voice_step(t, &(struct vsession_in){.kind = VSESSION_IN_OP, .op = &op});
    vop_done(&op);
    arena_fini(&a);
}

void conn_too_large(void *ctx, uint64_t conn)
{
    struct talker *t = talker_of(ctx, conn);
    M.client_frames++;
    if (t)
        voice_step(t, &(struct vsession_in){.kind = VSESSION_IN_TOO_LARGE});
}

void conn_slow(void *ctx, uint64_t conn)
{
    struct talker *t = talker_of(ctx, conn);
    LOG_PEER(INFO, EV("conn.slow"), KU("conn", conn), KU("session", t ? t->s.id : 0));
    if (t)
        voice_step(t, &(struct vsession_in){.kind = VSESSION_IN_SLOW});
}

void conn_gone(void *ctx, uint64_t conn, uint16_t code)
{
    struct voice *v = ctx;
    struct talker *t = table_remove(&v->conns, conn);
    v->sockets--;
    LOG_PEER(DEBUG, EV("conn.closed"), KU("conn", conn), KU("code", code));
    if (t)
        voice_step(t, &(struct vsession_in){.kind = VSESSION_IN_LOST, .code = code});
}

void conn_request(void *ctx, const struct web_request *r)
{
    struct voice *v = ctx;
    web_json(v->web, r->id, 404, BYTES("{\"message\":\"404: Not Found\",\"code\":0}"));
}
