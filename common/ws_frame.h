// ws_frame: the frames of a websocket (RFC 6455, section 5), as a server reads and writes them. Pure.
// No extension is ever negotiated, so the reserved bits must be 0.
#pragma once
#include "bytes.h"

#define WS_FRAME_HEAD_MAX 14u
#define WS_PARTS_MAX 1024u // frames of one message: empty ones could follow each other for ever

enum ws_event {
    WS_MORE,      // nothing whole is there; keep what is left of the input
    WS_MESSAGE,   // payload, binary
    WS_TOO_LARGE, // a message over the bound, or of more frames than WS_PARTS_MAX, has begun; its rest is swallowed
    WS_PING,      // payload
    WS_PONG,
    WS_CLOSE, // payload, code
    WS_ERROR, // code: what to close with; nothing may be read any more
};

struct ws_reader {    // zero-initialise
    struct buf parts; // of a message that comes in several frames
    uint32_t n_parts; // when it is open
    uint64_t skip;    // bytes of a frame that are thrown away
    bool open;        // between the first and the last frame of a message
    bool swallow;     // …which is too large
    bool binary;
};
struct ws_got {
    struct bytes payload; // lives until the next ws_read, as long as the input does
    bool binary;
    uint16_t code; // CLOSE: the peer's, 1005 when it gave none
};

// Consumes one event off the front of the input, which is unmasked in place. max: of a message.
enum ws_event ws_read(struct ws_reader *r, char **p, size_t *n, uint64_t max, struct ws_got *out);
void ws_reader_fini(struct ws_reader *r);

enum ws_opcode { WS_OP_MORE, WS_OP_TEXT, WS_OP_BINARY, WS_OP_CLOSE = 8, WS_OP_PING, WS_OP_PONG };
// Appends the head of an unmasked, final frame with a payload of n bytes.
void ws_frame_head(struct buf *out, enum ws_opcode op, size_t n);
size_t ws_frame_size(const char *frame); // such a frame's, head and payload
