// Frames of voice clients: any bytes, and any payload under each opcode.
// - Whatever it is, reading ends; what cannot be read closes with 4001 or 4002 and nothing else.
// - What was read keeps within the bounds that its readers rely on, and is the same when it is read again.
// - The answer to a heartbeat is JSON, and carries what the heartbeat carried.
#include "fuzz.h"
#include "vop.h"

#include <jansson.h>

static void check_text(const char *text, size_t size)
{
    CHECK(memchr(text, '\0', size) != NULL);
}

static void check_video(const struct vvideo *v)
{
    CHECK(v->n <= VOP_STREAMS);
    for (uint32_t i = 0; i < v->n; i++) {
        check_text(v->v[i].type, sizeof v->v[i].type);
        check_text(v->v[i].rid, sizeof v->v[i].rid);
        check_text(v->v[i].resolution, sizeof v->v[i].resolution);
    }
}

static void check_wants(const struct vwants *w)
{
    CHECK(w->any <= 100 && w->n <= VOP_WANTS);
    for (uint32_t i = 0; i < w->n; i++) {
        CHECK(w->v[i].quality <= 100);
        for (uint32_t j = 0; j < i; j++)
            CHECK(w->v[i].ssrc != w->v[j].ssrc);
    }
}

static void check_codecs(const struct vcodecs *c)
{
    uint32_t seen = 0;
    CHECK(c->n <= VCODECS && c->decodes < 1u << VCODECS);
    for (uint32_t i = 0; i < c->n; i++) {
        CHECK(c->encodes[i] < VCODECS && !(seen & 1u << c->encodes[i]));
        seen |= 1u << c->encodes[i];
    }
}

static void check_beat(const struct vop *op)
{
    const struct vop_beat *beat = &op->beat;
    struct buf d = {0}, frame = {0};
    check_text(beat->nonce, sizeof beat->nonce);
    CHECK(beat->ack >= -1);
    vop_ack(&d, beat);
    vop_frame(&frame, SAY_ACK, buf_bytes(&d), -1);
    json_t *answer = json_loadb(frame.p, frame.n, 0, NULL);
    CHECK(answer != NULL);
    const json_t *asked = json_object_get(op->json, "d"), *told = json_object_get(answer, "d");
    if (beat->object) {
        asked = json_object_get(asked, "t");
        told = json_object_get(told, "t");
    }
    if (asked && !json_is_real(asked))
        CHECK(json_equal(asked, told));
    json_decref(answer);
    buf_fini(&d);
    buf_fini(&frame);
}

static void check(const struct vop *op)
{
    switch (op->kind) {
    case VOP_IDENTIFY:
        CHECK(op->identify.streams.n <= VOP_STREAMS && op->identify.token.n <= 256 && op->identify.session_id.n <= 256);
        break;
    case VOP_SELECT:
        CHECK(op->select.mode.n <= 64);
        check_codecs(&op->select.codecs);
        break;
    case VOP_BEAT:
        check_beat(op);
        break;
    case VOP_SPEAK:
        CHECK(op->speaking <= VOP_SPEAKING);
        break;
    case VOP_RESUME:
        CHECK(op->resume.ack >= -1 && op->resume.c.token.n <= 256);
        break;
    case VOP_VIDEO:
        check_video(&op->video);
        break;
    case VOP_CODECS:
        check_codecs(&op->codecs);
        break;
    case VOP_WANTS_OF:
        check_wants(&op->wants);
        break;
    case VOP_BROKEN:
        CHECK(op->code == 4001 || op->code == 4002);
        break;
    case VOP_BACKEND:
    case VOP_QUIET:
        break;
    case VOP_KINDS:
        CHECK(false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed in = {data, size};
    struct arena a = {0};
    struct buf frame = {0};
    struct vop op, again;
    uint8_t number = feed_u8(&in);
    bool binary = false;
    if (number == 255) {
        binary = feed_flag(&in);
        struct bytes rest = feed_rest(&in);
        buf_add(&frame, rest.p, rest.n);
    } else if (number == 254) {
        uint32_t v = 0;
        if (vop_hail(feed_rest(&in), &v) == OK)
            CHECK(v >= VOP_VERSION_MIN && v <= VOP_VERSION_MAX);
    } else {
        struct bytes rest = feed_rest(&in);
        buf_printf(&frame, "{\"op\":%u,\"d\":", number % 48);
        buf_add(&frame, rest.p, rest.n);
        buf_char(&frame, '}');
    }
    char *own = feed_own(buf_bytes(&frame));
    vop_read(&a, (struct bytes){own, frame.n}, binary, &op);
    check(&op);
    vop_read(&a, (struct bytes){own, frame.n}, binary, &again);
    CHECK(op.kind == again.kind && op.code == again.code);
    vop_done(&op);
    vop_done(&again);
    mem_free(own);
    buf_fini(&frame);
    arena_fini(&a);
    return 0;
}
