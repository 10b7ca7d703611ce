// http_head: the head of an HTTP/1 request, and the framing of its body. Pure: bytes in, slices of them out.
// Strict where a proxy in front of us could read the same bytes differently (RFC 9112, section 11.2): one length or
// chunks, never both, no folded lines, no blank before a colon, no control characters.
#pragma once
#include "arena.h"

struct http_head {
    struct bytes method, path, query; // path: as it was sent, without scheme, host and query; query: raw
    struct bytes host, authorization, content_type, origin, websocket_key; // p NULL: absent
    struct bytes preflight;                                                // Access-Control-Request-Method
    struct bytes forwarded_for; // the last such header: what is nearest to us added it
    uint64_t length;
    bool chunked, has_length;
    bool keep_alive;
    bool wants_continue; // Expect: 100-continue
    bool websocket;      // Upgrade: websocket, version 13, with a key, by GET
};

// Where the head at the front of `in` ends, blank line included. ERR_MISSING: there is more to come; *seen (first 0)
// remembers what has been looked at.
MUST_USE int http_head_end(struct bytes in, size_t *seen, size_t *end);
// The slices of *out point into `head`. ERR_INVALID: this is not a request.
MUST_USE int http_head_parse(struct bytes head, struct http_head *out);
// Percent-decodes all but %2F: an encoded slash stays as it is and separates nothing. ERR_INVALID: a broken escape,
// a control character (encoded or not), or it does not begin with a slash.
MUST_USE int http_path(struct arena *a, struct bytes raw, struct bytes *out);

// A chunked body, fed in pieces. Zero-initialise.
struct http_chunks {
    enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNKS_DONE } state;
    uint64_t left;   // of this chunk's data
    uint32_t digits; // of its size
    uint32_t line;   // bytes of this line; trailers count as one
};
// Consumes from the front of *in and appends to *body. OK: complete, the rest of *in is not the body's. ERR_MISSING:
// more is needed. ERR_FULL: over `max`. ERR_INVALID.
MUST_USE int http_chunks_feed(struct http_chunks *c, struct bytes *in, struct buf *body, uint64_t max);
