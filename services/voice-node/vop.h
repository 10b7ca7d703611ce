// vop: what voice clients say and are told, between bytes and checked values. Pure; jansson reads. Opcodes and forms:
// https://docs.discord.com/developers/topics/voice-connections and https://docs.discord.food/topics/voice-connections.
// Versions 4 to 9 differ in three things: what a heartbeat carries, `seq` (from 8 on), channel_id (from 9 on).
#pragma once
#include "schema.h"

#define VOP_VERSION_MIN 4u
#define VOP_VERSION_MAX 9u
#define VOP_VERSION_SEQ 8u  // from here on messages are numbered
#define VOP_STREAMS 4u      // of one client's video
#define VOP_NONCE_MAX 40u   // bytes of JSON
#define VOP_WANTS 32u       // streams of others that one client says something about; more are passed over
#define VOP_UNKNOWN_MAX 40u // an opcode up to here may be one that is not known yet, and is passed over
#define VOP_SPEAKING 7u     // bits: 1 voice, 2 sound of a screen, 4 priority
#define VOP_PRIORITY 4u

enum vop_kind {
    VOP_IDENTIFY, // 0
    VOP_SELECT,   // 1
    VOP_BEAT,     // 3
    VOP_SPEAK,    // 5
    VOP_RESUME,   // 7
    VOP_VIDEO,    // 12
    VOP_CODECS,   // 14
    VOP_WANTS_OF, // 15
    VOP_BACKEND,  // 16
    VOP_QUIET,    // accepted, nothing follows
    VOP_BROKEN,   // nothing that could be read: the connection closes with `code`
    VOP_KINDS
};

enum vcodec { VCODEC_AV1, VCODEC_H265, VCODEC_H264, VCODEC_VP8, VCODEC_VP9, VCODECS };
struct vcodecs { // video codecs of a client, those that it can encode in its order; none: it has said nothing of video
    uint8_t decodes; // bit per codec
    uint8_t n;
    uint8_t encodes[VCODECS];
};

struct vstream {
    char type[17], rid[17]; // as the client says; empty: not said
    uint32_t ssrc;          // the same; 0: not said
    bool on;
    uint32_t quality, framerate;
    bool has_resolution;
    char resolution[17];
    uint32_t width, height;
};
struct vvideo {
    uint32_t n;
    struct vstream v[VOP_STREAMS];
};

struct vwants { // 0 to 100
    uint8_t any;
    uint32_t n;
    struct vwant {
        uint32_t ssrc;
        uint8_t quality;
        uint64_t pixels; // 0: not said
    } v[VOP_WANTS];
};

struct vop_select {
    bool udp; // else the mode is not filled
    struct bytes mode;
    struct vcodecs codecs;
};
struct vop_beat {
    bool object; // {"t":…}
    char nonce[VOP_NONCE_MAX + 1];
    int64_t ack; // -1: none
};
struct vop_resume {
    struct vc_resume c;
    int64_t ack; // the same
};

struct vop {
    enum vop_kind kind;
    uint16_t code; // BROKEN: 4001 or 4002
    union {
        struct vc_identify identify;
        struct vop_select select;
        struct vop_beat beat;
        struct vop_resume resume;
        struct vvideo video;
        struct vcodecs codecs;
        struct vwants wants;
        uint8_t speaking;
    };
    struct json_t *json; // what the texts above borrow from
};

// The version that the query of the websocket's URL names. ERR_INVALID: none, or one that is not spoken here.
MUST_USE int vop_hail(struct bytes query, uint32_t *v);
void vop_read(struct arena *a, struct bytes frame, bool binary, struct vop *out);
void vop_done(struct vop *op); // gives the document back
MUST_USE int vcodec_named(struct bytes name, enum vcodec *out);
const char *vcodec_name(enum vcodec c);

// --- out: opcodes, and the values of `d` ---
enum {
    SAY_READY = 2,
    SAY_DESCRIPTION = 4,
    SAY_SPEAKING = 5,
    SAY_ACK = 6,
    SAY_HELLO = 8,
    SAY_RESUMED = 9,
    SAY_CLIENTS = 11,
    SAY_VIDEO = 12,
    SAY_GONE = 13,
    SAY_CODECS = 14,
    SAY_WANTS = 15,
    SAY_BACKEND = 16,
    SAY_FLAGS = 18,
    SAY_PLATFORM = 20,
};
bool vop_numbered(uint8_t op); // from version 8 on: it has a `seq`, and is said again after a resume
// A whole message; seq < 0: without one. d empty: null.
void vop_frame(struct buf *out, uint8_t op, struct bytes d, int32_t seq);
void vop_ack(struct buf *out, const struct vop_beat *beat);
void vop_wants(struct buf *out, uint32_t ssrc, const struct vwant *w); // ssrc 0: of any, all
void vop_key(struct buf *out, const uint8_t *key, size_t n);           // a list of numbers
