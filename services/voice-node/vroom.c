// vroom: see vroom.h.
#include "vroom.h"

#include <string.h>

// --- members ---

static struct vmember *member_of(const struct vroom *r, uint64_t session)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->v[i]->session == session)
            return r->v[i];
    CHECK_ID(false, session);
    return NULL;
}

void vroom_join(struct vroom *r, uint64_t session, uint64_t user, uint32_t ssrc)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 4;
        r->v = mem_grow(r->v, r->cap, sizeof(struct vmember *));
    }
    struct vmember *m = mem_alloc(sizeof *m);
    m->session = session;
    m->user = user;
    m->ssrc = ssrc;
    m->wants.any = m->asked = 100;
    m->codec = VCODEC_H264;
    r->v[r->n++] = m;
}

void vroom_fini(struct vroom *r)
{
    CHECK_ID(r->n == 0, r->channel);
    mem_free(r->v);
    *r = (struct vroom){0};
}

// --- telling ---

void vtells_fini(struct vtells *t)
{
    mem_free(t->v);
    *t = (struct vtells){0};
}

static void tell(struct vtells *t, const struct vmember *to, uint8_t op, struct bytes d)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->v = mem_grow(t->v, t->cap, sizeof *t->v);
    }
    t->v[t->n++] = (struct vtell){to->session, op, d};
}

static void tell_others(const struct vroom *r, struct vtells *t, const struct vmember *of, uint8_t op, struct bytes d)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->v[i] != of && r->v[i]->here)
            tell(t, r->v[i], op, d);
}

static struct bytes text(struct vtells *t, const struct schema *s, const void *v)
{
    return schema_text(t->arena, s, v);
}

// --- what is told of one ---

// As others hear it: nothing of who may not speak, and no priority without the right to it.
static uint8_t speaking_as_heard(const struct vmember *m)
{
    if (!m->seat.speaks)
        return 0;
    return m->seat.priority ? m->speaking : (uint8_t)(m->speaking & ~VOP_PRIORITY);
}

static struct bytes speaking_text(struct vtells *t, const struct vmember *m)
{
    const struct vs_speaking v = {m->user, m->ssrc, speaking_as_heard(m)};
    return text(t, &schema_vs_speaking, &v);
}

// Where a stream lies in its sender's block of SSRCs: as it says, else by its place among them.
static uint32_t index_of(const struct vmember *m, uint32_t i)
{
    uint32_t off = m->video.v[i].ssrc - m->ssrc;
    return off % 2 == 1 && off < 2 * VOP_STREAMS ? (off - 1) / 2 : i;
}

static uint32_t stream_ssrc(const struct vmember *m, uint32_t i)
{
    return m->ssrc + 1 + 2 * index_of(m, i);
}

static bool shows(const struct vmember *m, uint32_t i)
{
    return m->seat.video && m->video.v[i].on;
}

// The SSRC that others know its video by; 0: it sends none.
static uint32_t primary_of(const struct vmember *m)
{
    for (uint32_t i = 0; i < m->video.n; i++)
        if (shows(m, i))
            return stream_ssrc(m, i);
    return 0;
}

static struct bytes or_else(const char *said, const char *otherwise)
{
    return bytes_of(said[0] ? said : otherwise);
}

static struct bytes video_text(struct vtells *t, const struct vmember *m)
{
    struct vs_stream streams[VOP_STREAMS];
    struct vc_resolution sizes[VOP_STREAMS];
    struct vs_video v = {.user_id = m->user, .audio_ssrc = m->ssrc, .video_ssrc = primary_of(m)};
    for (uint32_t i = 0; i < m->video.n && v.video_ssrc; i++) {
        const struct vstream *s = &m->video.v[i];
        sizes[i] = (struct vc_resolution){or_else(s->resolution, "fixed"), s->width, s->height};
        streams[v.streams.n++] = (struct vs_stream){
            .type = or_else(s->type, "video"),
            .rid = or_else(s->rid, "100"),
            .ssrc = stream_ssrc(m, i),
            .active = shows(m, i),
            .quality = s->quality,
            .rtx_ssrc = stream_ssrc(m, i) + 1,
            .max_framerate = s->framerate,
            .max_resolution = s->has_resolution ? &sizes[i] : NULL,
        };
    }
    v.streams.v = streams;
    return text(t, &schema_vs_video, &v);
}

static struct bytes flags_text(struct vtells *t, const struct vmember *m)
{
    return text(t, &schema_vs_flags, &(struct vs_flags){m->user, m->seat.flags});
}

static struct bytes platform_text(struct vtells *t, const struct vmember *m)
{
    return text(t, &schema_vs_platform, &(struct vs_platform){.user_id = m->user});
}

// --- what receivers want of senders ---

static const struct vwant *want_for(const struct vwants *w, uint32_t ssrc)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (w->v[i].ssrc == ssrc)
            return &w->v[i];
    return NULL;
}

static struct vwant wanted(const struct vroom *r, const struct vmember *sender, uint32_t ssrc)
{
    struct vwant most = {ssrc, 0, 0};
    for (uint32_t i = 0; i < r->n; i++) {
        const struct vmember *m = r->v[i];
        if (m == sender || !m->here)
            continue;
        const struct vwant *w = want_for(&m->wants, ssrc);
        uint8_t quality = w ? w->quality : m->wants.any;
        most.quality = quality > most.quality ? quality : most.quality;
        most.pixels = w && w->pixels > most.pixels ? w->pixels : most.pixels;
    }
    return most;
}

// Each who sends video and of whom something else is wanted than it was told.
static void ask_senders(struct vroom *r, struct vtells *out)
{
    for (uint32_t i = 0; i < r->n; i++) {
        struct vmember *m = r->v[i];
        uint32_t ssrc = m->here ? primary_of(m) : 0;
        if (!ssrc)
            continue;
        struct vwant w = wanted(r, m, ssrc);
        if (w.quality == m->asked && w.pixels == m->asked_pixels)
            continue;
        m->asked = w.quality;
        m->asked_pixels = w.pixels;
        struct buf text = {0};
        vop_wants(&text, ssrc, &w);
        tell(out, m, SAY_WANTS, arena_copy(out->arena, buf_bytes(&text)));
        buf_fini(&text);
    }
}

// --- codecs ---

// Of those who have spoken of video at all: how many, and how many can decode each.
struct census {
    uint32_t n, can[VCODECS];
};

static void count(struct census *c, const struct vmember *m, int by)
{
    if (!m->codecs.decodes && !m->codecs.n)
        return;
    c->n += (uint32_t)by;
    for (uint32_t i = 0; i < VCODECS; i++)
        if (m->codecs.decodes & 1u << i)
            c->can[i] += (uint32_t)by;
}

// The first of its own that all others can decode, else its first, else H264.
static enum vcodec choose(const struct vmember *m, const struct census *others)
{
    for (uint32_t i = 0; i < m->codecs.n; i++)
        if (others->can[m->codecs.encodes[i]] == others->n)
            return (enum vcodec)m->codecs.encodes[i];
    return m->codecs.n ? (enum vcodec)m->codecs.encodes[0] : VCODEC_H264;
}

static void choose_codecs(struct vroom *r, const struct vmember *quietly, struct vtells *out)
{
    struct census all = {0};
    for (uint32_t i = 0; i < r->n; i++)
        if (r->v[i]->here)
            count(&all, r->v[i], 1);
    for (uint32_t i = 0; i < r->n; i++) {
        struct vmember *m = r->v[i];
        struct census others = all;
        if (m->here)
            count(&others, m, -1);
        enum vcodec c = choose(m, &others);
        if (m->codec == c)
            continue;
        m->codec = c;
        if (m == quietly)
            continue;
        const struct vs_codecs v = {BYTES("opus"), bytes_of(vcodec_name(c))};
        tell(out, m, SAY_CODECS, text(out, &schema_vs_codecs, &v));
    }
}

enum vcodec vroom_codecs(struct vroom *r, uint64_t session, const struct vcodecs *codecs, bool told, struct vtells *out)
{
    struct vmember *m = member_of(r, session);
    m->codecs = *codecs;
    choose_codecs(r, told ? m : NULL, out);
    return m->codec;
}

// --- coming, changing, going ---

static void tell_of(struct vtells *out, const struct vmember *to, const struct vmember *m)
{
    tell(out, to, SAY_FLAGS, flags_text(out, m));
    tell(out, to, SAY_PLATFORM, platform_text(out, m));
    if (m->announced)
        tell(out, to, SAY_SPEAKING, speaking_text(out, m));
    if (primary_of(m))
        tell(out, to, SAY_VIDEO, video_text(out, m));
}

static void tell_joiner(const struct vroom *r, const struct vmember *joiner, struct vtells *out)
{
    uint64_t *ids = arena_take(out->arena, r->n * sizeof *ids);
    struct vs_clients v = {{0, ids}};
    for (uint32_t i = 0; i < r->n; i++)
        if (r->v[i] != joiner && r->v[i]->here)
            ids[v.user_ids.n++] = r->v[i]->user;
    if (!v.user_ids.n)
        return;
    tell(out, joiner, SAY_CLIENTS, text(out, &schema_vs_clients, &v));
    for (uint32_t i = 0; i < r->n; i++)
        if (r->v[i] != joiner && r->v[i]->here)
            tell_of(out, joiner, r->v[i]);
}

static void arrive(struct vroom *r, struct vmember *m, struct vtells *out)
{
    const struct vs_clients me = {{1, &m->user}};
    m->here = true;
    tell_joiner(r, m, out);
    tell_others(r, out, m, SAY_CLIENTS, text(out, &schema_vs_clients, &me));
    tell_others(r, out, m, SAY_FLAGS, flags_text(out, m));
    tell_others(r, out, m, SAY_PLATFORM, platform_text(out, m));
    if (m->announced)
        tell_others(r, out, m, SAY_SPEAKING, speaking_text(out, m));
    if (m->filmed)
        tell_others(r, out, m, SAY_VIDEO, video_text(out, m));
    choose_codecs(r, NULL, out);
    ask_senders(r, out);
}

void vroom_seat(struct vroom *r, uint64_t session, const struct seat *seat, struct vtells *out)
{
    struct vmember *m = member_of(r, session);
    const struct seat before = m->seat;
    uint8_t heard = speaking_as_heard(m);
    uint32_t shown = primary_of(m);
    CHECK_ID(seat->state == SEAT_HERE, session);
    m->seat = *seat;
    if (!m->here) {
        arrive(r, m, out);
        return;
    }
    if (before.flags != seat->flags)
        tell_others(r, out, m, SAY_FLAGS, flags_text(out, m));
    if (m->announced && speaking_as_heard(m) != heard)
        tell_others(r, out, m, SAY_SPEAKING, speaking_text(out, m));
    if (primary_of(m) == shown)
        return;
    tell_others(r, out, m, SAY_VIDEO, video_text(out, m));
    ask_senders(r, out);
}

void vroom_leave(struct vroom *r, uint64_t session, struct vtells *out)
{
    struct vmember *m = member_of(r, session);
    for (uint32_t i = 0; i < r->n; i++)
        if (r->v[i] == m)
            r->v[i] = r->v[r->n - 1];
    r->n--;
    if (m->here) {
        tell_others(r, out, m, SAY_GONE, text(out, &schema_vs_gone, &(struct vs_gone){m->user}));
        choose_codecs(r, NULL, out);
        ask_senders(r, out);
    }
    mem_free(m);
}

void vroom_speak(struct vroom *r, uint64_t session, uint8_t speaking, struct vtells *out)
{
    struct vmember *m = member_of(r, session);
    bool news = !m->announced || m->seat.speaks; // of who is silenced nobody is told anything but whose its SSRC is
    m->announced = true;
    m->speaking = speaking & VOP_SPEAKING;
    if (m->here && news)
        tell_others(r, out, m, SAY_SPEAKING, speaking_text(out, m));
}

uint32_t vroom_video(struct vroom *r, uint64_t session, const struct vvideo *video, struct vtells *out)
{
    struct vmember *m = member_of(r, session);
    uint32_t on = 0;
    m->filmed = true;
    m->video = *video;
    for (uint32_t i = 0; i < video->n; i++)
        if (video->v[i].on)
            on |= 1u << index_of(m, i);
    if (!m->here)
        return on;
    tell_others(r, out, m, SAY_VIDEO, video_text(out, m));
    ask_senders(r, out);
    return on;
}

void vroom_wants(struct vroom *r, uint64_t session, const struct vwants *wants, struct vtells *out)
{
    member_of(r, session)->wants = *wants;
    ask_senders(r, out);
}

bool vroom_valid(const struct vroom *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        const struct vmember *m = r->v[i];
        if (!m->user || !m->ssrc || m->video.n > VOP_STREAMS || m->wants.n > VOP_WANTS || m->codecs.n > VCODECS)
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (r->v[j]->session == m->session)
                return false;
    }
    return r->n <= r->cap;
}
