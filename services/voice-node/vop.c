// vop: see vop.h.
#include "vop.h"

#include <jansson.h>
#include <string.h>

#define DECODE_ERROR 4002
#define UNKNOWN_OPCODE 4001
#define CODECS_MAX 32u // of one client; more are passed over

// --- the query ---

int vop_hail(struct bytes query, uint32_t *v)
{
    uint64_t found = 0;
    while (query.n > 0) {
        const char *end = memchr(query.p, '&', query.n);
        size_t n = end ? (size_t)(end - query.p) : query.n;
        if (n > 2 && memcmp(query.p, "v=", 2) == 0 && bytes_u64((struct bytes){query.p + 2, n - 2}, &found) != OK)
            return ERR_INVALID;
        n += end ? 1 : 0;
        query = (struct bytes){query.p + n, query.n - n};
    }
    if (found < VOP_VERSION_MIN || found > VOP_VERSION_MAX)
        return ERR_INVALID;
    *v = (uint32_t)found;
    return OK;
}

// --- codecs ---

static const char *const codec_names[VCODECS] = {"AV1", "H265", "H264", "VP8", "VP9"};

const char *vcodec_name(enum vcodec c)
{
    return codec_names[c];
}

int vcodec_named(struct bytes name, enum vcodec *out)
{
    for (size_t i = 0; i < VCODECS; i++)
        if (bytes_is(name, codec_names[i])) {
            *out = (enum vcodec)i;
            return OK;
        }
    return ERR_MISSING;
}

// --- payloads that clients write in several forms ---

static struct bytes text_of(const json_t *j)
{
    return json_is_string(j) ? (struct bytes){json_string_value(j), json_string_length(j)} : BYTES_NONE;
}

// A number of a range, whole or not; absent or null: `absent`.
static int read_number(const json_t *j, double max, double absent, double *out)
{
    double v = j && !json_is_null(j) ? json_number_value(j) : absent;
    if (j && !json_is_null(j) && !json_is_number(j))
        return ERR_INVALID;
    if (!(v >= 0 && v <= max))
        return ERR_INVALID;
    *out = v;
    return OK;
}

// -1 or less: none
static int read_ack(const json_t *j, int64_t *out)
{
    *out = -1;
    if (!j || json_is_null(j))
        return OK;
    if (!json_is_integer(j))
        return ERR_INVALID;
    *out = json_integer_value(j) < 0 ? -1 : json_integer_value(j);
    return OK;
}

// Any scalar comes back as it is. Versions do not matter: the form of the answer is that of the question.
static int read_beat(const json_t *d, struct vop_beat *out)
{
    const json_t *t = d;
    *out = (struct vop_beat){.object = json_is_object(d), .ack = -1};
    if (out->object) {
        t = json_object_get(d, "t");
        if (read_ack(json_object_get(d, "seq_ack"), &out->ack) != OK)
            return ERR_INVALID;
    }
    if (!t || json_is_null(t)) {
        CHECK(bytes_copy(out->nonce, sizeof out->nonce, BYTES("null")) == OK);
        return OK;
    }
    if (!json_is_number(t) && !json_is_string(t))
        return ERR_INVALID;
    size_t n = json_dumpb(t, out->nonce, VOP_NONCE_MAX, JSON_ENCODE_ANY);
    if (n == 0 || n > VOP_NONCE_MAX)
        return ERR_INVALID;
    out->nonce[n] = '\0';
    return OK;
}

static int read_speaking(const json_t *d, uint8_t *out)
{
    const json_t *v = json_object_get(d, "speaking");
    if (!json_is_object(d))
        return ERR_INVALID;
    if (json_is_boolean(v))
        *out = json_is_true(v) ? 1 : 0;
    else if (!v || json_is_null(v))
        *out = 0;
    else if (json_is_integer(v))
        *out = (uint8_t)((uint64_t)json_integer_value(v) & VOP_SPEAKING);
    else
        return ERR_INVALID;
    return OK;
}

static bool may(const json_t *codec, const char *what)
{
    const json_t *j = json_object_get(codec, what);
    return !j || json_is_null(j) || json_is_true(j);
}

static void add_codec(struct vcodecs *out, double priority[VCODECS], const json_t *codec)
{
    enum vcodec c;
    double p;
    if (!bytes_is(text_of(json_object_get(codec, "type")), "video") ||
        vcodec_named(text_of(json_object_get(codec, "name")), &c) != OK ||
        read_number(json_object_get(codec, "priority"), 1e9, 1e9, &p) != OK)
        return;
    if (may(codec, "decode"))
        out->decodes |= (uint8_t)(1u << c);
    if (!may(codec, "encode"))
        return;
    uint8_t at = out->n;
    for (uint8_t i = 0; i < out->n; i++)
        if (out->encodes[i] == c)
            return;
    for (; at > 0 && priority[at - 1] > p; at--) { // insertion: there are five
        out->encodes[at] = out->encodes[at - 1];
        priority[at] = priority[at - 1];
    }
    out->encodes[at] = (uint8_t)c;
    priority[at] = p;
    out->n++;
}

static int read_codecs(const json_t *list, struct vcodecs *out)
{
    double priority[VCODECS];
    *out = (struct vcodecs){0};
    if (!list || json_is_null(list))
        return OK;
    if (!json_is_array(list))
        return ERR_INVALID;
    for (size_t i = 0; i < json_array_size(list) && i < CODECS_MAX; i++)
        add_codec(out, priority, json_array_get(list, i));
    return OK;
}

static int read_select(struct arena *a, json_t *d, struct vop_select *out)
{
    struct vc_select_data data;
    struct bytes protocol = text_of(json_object_get(d, "protocol"));
    if (!protocol.p)
        return ERR_INVALID;
    *out = (struct vop_select){.udp = bytes_is(protocol, "udp")};
    if (!out->udp)
        return OK;
    const json_t *in = json_object_get(d, "data");
    if (schema_from_json(a, &schema_vc_select_data, json_is_object(in) ? in : d, &data, NULL, NULL) != OK)
        return ERR_INVALID;
    out->mode = data.mode;
    return read_codecs(json_object_get(d, "codecs"), &out->codecs);
}

static int read_resume(struct arena *a, json_t *d, struct vop_resume *out)
{
    if (schema_from_json(a, &schema_vc_resume, d, &out->c, NULL, NULL) != OK)
        return ERR_INVALID;
    return read_ack(json_object_get(d, "seq_ack"), &out->ack);
}

// Only the first few streams count; a list too long is no reason to refuse.
static void cut_streams(json_t *d)
{
    json_t *streams = json_object_get(d, "streams");
    while (json_array_size(streams) > VOP_STREAMS)
        json_array_remove(streams, json_array_size(streams) - 1);
}

static int read_identify(struct arena *a, json_t *d, struct vc_identify *out)
{
    cut_streams(d);
    return schema_from_json(a, &schema_vc_identify, d, out, NULL, NULL);
}

// A client says "off" with no streams, with streams that are not active, or with zeros for what they are sent as.
static void read_stream(const struct vc_video *video, uint32_t i, struct vstream *out)
{
    const struct vc_stream *s = &video->streams.v[i];
    *out = (struct vstream){
        .ssrc = (uint32_t)s->ssrc,
        .on = s->active && (s->ssrc || (i == 0 && video->video_ssrc)),
        .quality = (uint32_t)s->quality,
        .framerate = (uint32_t)s->max_framerate,
        .has_resolution = s->max_resolution != NULL,
    };
    CHECK(bytes_copy(out->type, sizeof out->type, s->type) == OK);
    CHECK(bytes_copy(out->rid, sizeof out->rid, s->rid) == OK);
    if (!s->max_resolution)
        return;
    CHECK(bytes_copy(out->resolution, sizeof out->resolution, s->max_resolution->type) == OK);
    out->width = (uint32_t)s->max_resolution->width;
    out->height = (uint32_t)s->max_resolution->height;
}

static int read_video(struct arena *a, json_t *d, struct vvideo *out)
{
    struct vc_video video;
    cut_streams(d);
    if (schema_from_json(a, &schema_vc_video, d, &video, NULL, NULL) != OK)
        return ERR_INVALID;
    *out = (struct vvideo){.n = video.streams.n};
    for (uint32_t i = 0; i < video.streams.n; i++)
        read_stream(&video, i, &out->v[i]);
    return OK;
}

static struct vwant *want_of(struct vwants *w, struct bytes key)
{
    uint64_t ssrc;
    if (bytes_u64(key, &ssrc) != OK || ssrc > UINT32_MAX)
        return NULL;
    for (uint32_t i = 0; i < w->n; i++)
        if (w->v[i].ssrc == ssrc)
            return &w->v[i];
    if (w->n == VOP_WANTS)
        return NULL;
    w->v[w->n] = (struct vwant){(uint32_t)ssrc, w->any, 0};
    return &w->v[w->n++];
}

static int read_wants(json_t *d, struct vwants *out)
{
    const char *key;
    json_t *j;
    double v;
    *out = (struct vwants){.any = 100};
    if (!json_is_object(d) || read_number(json_object_get(d, "any"), 100, 100, &v) != OK)
        return ERR_INVALID;
    out->any = (uint8_t)v;
    json_object_foreach(d, key, j)
    {
        struct vwant *w = want_of(out, bytes_of(key));
        if (w && read_number(j, 100, 0, &v) != OK)
            return ERR_INVALID;
        if (w)
            w->quality = (uint8_t)v;
    }
    json_t *pixels = json_object_get(d, "pixelCounts");
    json_object_foreach(pixels, key, j)
    {
        struct vwant *w = want_of(out, bytes_of(key));
        if (w && read_number(j, 1e9, 0, &v) != OK)
            return ERR_INVALID;
        if (w)
            w->pixels = (uint64_t)v;
    }
    return OK;
}

// --- frames ---

static enum vop_kind kind_of(uint64_t number)
{
    switch (number) {
    case 0:
        return VOP_IDENTIFY;
    case 1:
        return VOP_SELECT;
    case 3:
        return VOP_BEAT;
    case 5:
        return VOP_SPEAK;
    case 7:
        return VOP_RESUME;
    case 12:
        return VOP_VIDEO;
    case 14:
        return VOP_CODECS;
    case 15:
        return VOP_WANTS_OF;
    case 16:
        return VOP_BACKEND;
    }
    return number <= VOP_UNKNOWN_MAX ? VOP_QUIET : VOP_BROKEN;
}

static int read_payload(struct arena *a, json_t *d, struct vop *out)
{
    switch (out->kind) {
    case VOP_IDENTIFY:
        return read_identify(a, d, &out->identify);
    case VOP_SELECT:
        return read_select(a, d, &out->select);
    case VOP_BEAT:
        return read_beat(d, &out->beat);
    case VOP_SPEAK:
        return read_speaking(d, &out->speaking);
    case VOP_RESUME:
        return read_resume(a, d, &out->resume);
    case VOP_VIDEO:
        return read_video(a, d, &out->video);
    case VOP_CODECS:
        return json_is_object(d) ? read_codecs(json_object_get(d, "codecs"), &out->codecs) : ERR_INVALID;
    case VOP_WANTS_OF:
        return read_wants(d, &out->wants);
    case VOP_BACKEND:
    case VOP_QUIET:
    case VOP_BROKEN:
    case VOP_KINDS:
        break;
    }
    return OK;
}

void vop_read(struct arena *a, struct bytes frame, bool binary, struct vop *out)
{
    *out = (struct vop){.kind = VOP_BROKEN, .code = DECODE_ERROR};
    if (binary && frame.n && frame.p[0] != '{') { // an opcode of end-to-end encryption, which nobody was told to use
        out->kind = VOP_QUIET;
        return;
    }
    json_t *json = frame.n ? json_loadb(frame.p, frame.n, 0, NULL) : NULL;
    const json_t *op = json_object_get(json, "op");
    out->json = json;
    if (!json_is_integer(op))
        return;
    json_int_t number = json_integer_value(op);
    out->kind = number < 0 ? VOP_BROKEN : kind_of((uint64_t)number);
    out->code = out->kind == VOP_BROKEN ? UNKNOWN_OPCODE : 0;
    if (read_payload(a, json_object_get(json, "d"), out) == OK)
        return;
    out->kind = VOP_BROKEN;
    out->code = DECODE_ERROR;
}

void vop_done(struct vop *op)
{
    json_decref(op->json);
    op->json = NULL;
}

// --- out ---

bool vop_numbered(uint8_t op)
{
    switch (op) {
    case SAY_DESCRIPTION:
    case SAY_SPEAKING:
    case SAY_CLIENTS:
    case SAY_VIDEO:
    case SAY_GONE:
    case SAY_CODECS:
    case SAY_WANTS:
    case SAY_FLAGS:
    case SAY_PLATFORM:
        return true;
    }
    return false;
}

void vop_frame(struct buf *out, uint8_t op, struct bytes d, int32_t seq)
{
    buf_printf(out, "{\"op\":%u,\"d\":", op);
    buf_add(out, d.n ? d.p : "null", d.n ? d.n : 4);
    if (seq >= 0)
        buf_printf(out, ",\"seq\":%d", seq);
    buf_char(out, '}');
}

void vop_ack(struct buf *out, const struct vop_beat *beat)
{
    buf_printf(out, beat->object ? "{\"t\":%s}" : "%s", beat->nonce);
}

void vop_wants(struct buf *out, uint32_t ssrc, const struct vwant *w)
{
    buf_str(out, "{\"any\":100");
    if (ssrc)
        buf_printf(out, ",\"%u\":%u", ssrc, w->quality);
    if (ssrc && w->pixels)
        buf_printf(out, ",\"pixelCounts\":{\"%u\":%llu.0}", ssrc, (unsigned long long)w->pixels);
    buf_char(out, '}');
}

void vop_key(struct buf *out, const uint8_t *key, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%c%u", i ? ',' : '[', key[i]);
    buf_char(out, ']');
}
