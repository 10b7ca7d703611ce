// schema: one table per message. From a row of messages.def, records.def or payloads.def come the C struct, the
// msgpack form, the bounded decoder, the JSON form, its validation, and a printed form. A field is typed once.
// Pure. Decoding allocates from the caller's arena only, and no more than the input's own length justifies.
//
// On the bus and in Redis: a msgpack array [tag, fields…]. Fields are only ever appended: a short array leaves
// defaults (zero), surplus is skipped, so old and new processes mix. Towards clients: a JSON object with the same
// names.
#pragma once
#include "arena.h"

struct json_t; // jansson; only schema_from_json's callers need its header

// Field kinds: C type, msgpack, JSON out. JSON in: ids as strings or integers, exact over the 63 bits that they have.
enum kind {
    K_id,    // uint64_t            uint   "123"
    K_nid,   // uint64_t, 0 = none  uint   "123" | null
    K_oid,   // uint64_t, 0 = none  uint   "123" | left out
    K_u64,   // uint64_t            uint   123            max: greatest value, 0 = any
    K_i64,   // int64_t             int    -123
    K_flag,  // bool                bool   true
    K_oflag, // bool                bool   true | left out when false
    K_text,  // struct bytes        str    "…"            max: bytes; JSON in: must be valid UTF-8
    K_ntext, // struct bytes        str    "…" | null     none: p == NULL
    K_otext, // struct bytes        str    "…" | left out
    K_hush,  // struct bytes        str    as text, but printed as *** (tokens, message text)
    K_time,  // uint64_t unix ms    uint   "2022-04-20T18:36:07.383000+00:00"
    K_ntime, // uint64_t, 0 = none  uint   the same | null
    K_raw,   // struct bytes        bin    a JSON fragment as it stands; none: null
    K_oraw,  // struct bytes        bin    the same; none: left out
    K_blob,  // struct bytes        bin    not in JSON
    K_hide,  // uint64_t            uint   not in JSON
    K_ids,   // struct ids          array  ["1","2"]      max: elements
    K_texts, // struct texts        array  ["a","b"]      max: elements, each <= 64 bytes
    K_list,  // {n, struct x *v}    array  [{…}]          max: elements
    K_obj,   // const struct x *    array or nil   {…} | null
    K_oobj,  // const struct x *    array or nil   {…} | left out
    K_KINDS
};

struct ids {
    uint32_t n;
    const uint64_t *v;
};
struct texts {
    uint32_t n;
    const struct bytes *v;
};

struct schema;
struct field {
    const char *name;
    enum kind kind;
    uint32_t max;
    size_t offset;
    const struct schema *sub;
};
struct schema {
    const char *name;
    uint32_t tag; // never reused; unique over all three tables
    uint32_t n;
    size_t size;
    const struct field *(*fields)(void);
};

// Structs and schemas of all tables: `struct call_ring`, `schema_call_ring`, `TAG_call_ring`.
#define T_id uint64_t
#define T_nid uint64_t
#define T_oid uint64_t
#define T_u64 uint64_t
#define T_i64 int64_t
#define T_flag bool
#define T_oflag bool
#define T_text struct bytes
#define T_ntext struct bytes
#define T_otext struct bytes
#define T_hush struct bytes
#define T_time uint64_t
#define T_ntime uint64_t
#define T_raw struct bytes
#define T_oraw struct bytes
#define T_blob struct bytes
#define T_hide uint64_t
#define T_ids struct ids
#define T_texts struct texts
#define SCHEMA_F(kind, name, max) T_##kind name;
#define SCHEMA_L(type, name, max)                                                                                      \
    struct {                                                                                                           \
        uint32_t n;                                                                                                    \
        const struct type *v;                                                                                          \
    } name;
#define SCHEMA_O(type, name, kind) const struct type *name;
#define ROW(type, tag, FIELDS)                                                                                         \
    struct type {                                                                                                      \
        FIELDS(SCHEMA_F, SCHEMA_L, SCHEMA_O)                                                                           \
    };                                                                                                                 \
    extern const struct schema schema_##type;
#include "records.def"
#include "messages.def"
#include "payloads.def"
#undef ROW
enum tag {
#define ROW(type, number, FIELDS) TAG_##type = (number),
#include "records.def"
#include "messages.def"
#include "payloads.def"
#undef ROW
};
#undef SCHEMA_F
#undef SCHEMA_L
#undef SCHEMA_O

const struct schema *schema_by_tag(uint32_t tag); // NULL when unknown

// msgpack. Packing cannot fail; it CHECKs what would not decode again (a list over its max is our own bug).
void schema_pack(struct buf *out, const struct schema *s, const void *v);
#define PACK(out, type, v) schema_pack((out), &schema_##type, (const struct type *){(v)})
struct bytes schema_packed(struct arena *a, const struct schema *s, const void *v); // the same, kept in the arena
// Decodes exactly one value of `s` that fills all of `in`. *out is zeroed first and borrows from `in` and `a`.
// ERR_INVALID: wrong tag, wrong types, over a bound, cut short, invalid UTF-8 in a text, or bytes behind it.
MUST_USE int schema_unpack(struct arena *a, const struct schema *s, struct bytes in, void *out);
#define UNPACK(a, type, in, out) schema_unpack((a), &schema_##type, (in), (struct type *){(out)})

// A message whose kind is known only after looking.
struct msg {
    const struct schema *schema;
    const void *v;
};
// Takes one message off the front of *in (which advances past it). ERR_INVALID: as above; ERR_MISSING:
// the tag is unknown but the value is well-formed and has been skipped (a newer process sent it).
MUST_USE int msg_take(struct arena *a, struct bytes *in, struct msg *out);
// The payload when m is of that type, else NULL.
#define MSG_IS(m, type) ((m)->schema == &schema_##type ? (const struct type *)(m)->v : NULL)

// JSON out: appends one object.
void schema_json(struct buf *out, const struct schema *s, const void *v);
struct bytes schema_text(struct arena *a, const struct schema *s, const void *v); // the same, kept in the arena
#define JSON(out, type, v) schema_json((out), &schema_##type, (const struct type *){(v)})
// Pieces for what is built by hand.
void json_text(struct buf *out, struct bytes text); // quoted and escaped
void json_id(struct buf *out, uint64_t id);         // "123"
void json_time(struct buf *out, uint64_t unix_ms);  // quoted ISO 8601 with microseconds and +00:00

// What was wrong with a JSON document, for Discord's error form.
struct fault {
    const char *field;       // of the table; of an object in a list: `list.0.field`; NULL: the document itself
    int32_t index;           // in a list; -1: none
    const char *code, *text; // "BASE_TYPE_REQUIRED", "This field is required"
};
// JSON in. Absent keys leave defaults; null does too, except for id and text, where it is a fault. Unknown
// keys are ignored. `present` (may be NULL) gets bit i for field i when its key is there, null included.
MUST_USE int schema_from_json(struct arena *a, const struct schema *s, const struct json_t *json, void *out,
                              uint64_t *present, struct fault *fault);
#define FIELD_BIT(type, field) (1ull << schema_index(&schema_##type, #field))
uint32_t schema_index(const struct schema *s, const char *field); // CHECKs that it exists

// `call_ring{user=1 all=true …}` with secrets as ***; for logs and dumps.
void schema_print(struct buf *out, const struct schema *s, const void *v);
