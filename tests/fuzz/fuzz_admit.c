// admit: any row of a token against any Identify, any rows of a seat, any event.
// - Who is let in has shown what stands in the row, byte for byte, and the row is this node's.
// - What is not here allows nothing; what a row says of his being muted or deafened is obeyed.
// - An event is about somebody or everybody, or nobody; a row that does not decode changes nothing.
#include "fuzz.h"
#include "admit.h"

#define NODE BYTES("node-1")

struct run {
    struct feed in;
    struct arena a;
};

static uint64_t id(struct feed *in)
{
    return feed_below(in, 4);
}

// Mostly one of a few, sometimes anything.
static struct bytes word(struct run *r, size_t max)
{
    static const char *const words[] = {"s1", "s2", "0123456789abcdef", "0123456789abcdee", "node-1", "node-2", ""};
    uint8_t what = feed_u8(&r->in);
    struct bytes any = feed_bytes(&r->in, what & 0x80 ? max : 0);
    return what & 0x80 ? any : bytes_of(words[what % countof(words)]);
}

// A row as it was packed, or bytes that are none.
static struct bytes row(struct run *r, const struct schema *s, const void *v)
{
    struct bytes packed = schema_packed(&r->a, s, v);
    uint8_t what = feed_u8(&r->in);
    if (what < 0xe0)
        return packed;
    return what < 0xf0 ? BYTES_NONE : feed_bytes(&r->in, 64);
}

static void say(char *out, size_t size, struct bytes text)
{
    (void)!bytes_copy(out, size, text);
}

static void identify(struct run *r)
{
    struct claims c = {.server = id(&r->in), .channel = id(&r->in), .user = id(&r->in)};
    const struct voice_token is = {.token = word(r, 32),
                                   .user = id(&r->in),
                                   .session = word(r, 64),
                                   .server = id(&r->in),
                                   .channel = id(&r->in),
                                   .node = word(r, 64)};
    struct admitted who;
    say(c.session, sizeof c.session, word(r, 64));
    say(c.token, sizeof c.token, word(r, 32));
    struct bytes raw = row(r, &schema_voice_token, &is);
    struct voice_token t = {0};
    int code = admit_check(&r->a, &c, raw, NODE, &who);
    CHECK(code == OK || code == 4004 || code == 4006);
    if (code != OK)
        return;
    CHECK(claims_ok(&c) && UNPACK(&r->a, voice_token, raw, &t) == OK && t.token.n > 0);
    CHECK(bytes_is(t.token, c.token) && bytes_is(t.session, c.session) && bytes_eq(t.node, NODE));
    CHECK(t.user == c.user && t.server == c.server && (!c.channel || t.channel == c.channel));
    CHECK(who.user == t.user && who.server == t.server && who.channel == t.channel);
    CHECK(strcmp(who.session, c.session) == 0 && strcmp(who.token, c.token) == 0);
    CHECK(who.guild == (t.server != t.channel));
}

static void check_seat(const struct seat *s)
{
    CHECK(s->state == SEAT_HERE || s->state == SEAT_LEFT || s->state == SEAT_OVER);
    CHECK(s->state == SEAT_HERE || (!s->speaks && !s->hears && !s->video && !s->priority));
}

static void sit_in_call(struct run *r)
{
    const struct sitter w = {.server = 1, .channel = 1, .user = id(&r->in), .session = "s1"};
    struct call_member m[3];
    for (size_t i = 0; i < countof(m); i++)
        m[i] = (struct call_member){.user = id(&r->in),
                                    .session = word(r, 64),
                                    .self_mute = feed_flag(&r->in),
                                    .self_deaf = feed_flag(&r->in),
                                    .server = feed_below(&r->in, 4)};
    const struct call_rec c = {.id = 1, .node = word(r, 64), .members = {feed_below(&r->in, 4), m}};
    struct seat s = {.state = SEAT_LEFT};
    if (seat_in_call(&r->a, &w, NODE, row(r, &schema_call_rec, &c), &s) == OK)
        check_seat(&s);
}

static void sit_in_guild(struct run *r)
{
    const struct sitter w = {
        .server = 1, .channel = id(&r->in), .user = 1, .session = "s1", .may = feed_number(&r->in)};
    const struct voice_seat v = {.user = 1,
                                 .channel = id(&r->in),
                                 .session = word(r, 64),
                                 .mute = feed_flag(&r->in),
                                 .deaf = feed_flag(&r->in),
                                 .suppress = feed_flag(&r->in),
                                 .self_video = feed_flag(&r->in),
                                 .server = feed_below(&r->in, 4),
                                 .generation = id(&r->in)};
    const struct voice_room room = {.channel = 1, .node = word(r, 64), .generation = id(&r->in)};
    struct bytes raw = row(r, &schema_voice_seat, &v);
    struct seat s = {.state = SEAT_LEFT};
    struct voice_seat is;
    if (seat_in_guild(&r->a, &w, NODE, raw, row(r, &schema_voice_room, &room), &s) != OK)
        return;
    check_seat(&s);
    if (s.state == SEAT_HERE) {
        CHECK(UNPACK(&r->a, voice_seat, raw, &is) == OK && is.channel == w.channel && bytes_is(is.session, "s1"));
        CHECK(!(is.mute && s.speaks) && !(is.suppress && s.speaks) && !(is.deaf && s.hears));
        CHECK(!s.video || (is.self_video && (w.may & MAY(STREAM))));
    }
}

static void hear(struct run *r)
{
    static const char *const names[] = {"", "CALL_DELETE", "VOICE_STATE_UPDATE", "GUILD_DELETE", "GUILD_ROLE_UPDATE"};
    static const uint64_t tags[] = {0, TAG_voice_seat, TAG_member, TAG_role, TAG_guild_channel, TAG_guild, TAG_stage};
    const struct member m = {.user = id(&r->in)};
    struct event e = {.name = bytes_of(names[feed_below(&r->in, countof(names))]),
                      .sitter = id(&r->in),
                      .row_tag = tags[feed_below(&r->in, countof(tags))],
                      .row_id = id(&r->in)};
    e.row = row(r, &schema_member, &m);
    struct concern c = seat_concern(&r->a, &e);
    CHECK(!e.sitter || c.user == e.sitter || c.all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r = {.in = {data, size}};
    while (r.in.n > 0) {
        switch (feed_below(&r.in, 4)) {
        case 0:
            identify(&r);
            break;
        case 1:
            sit_in_call(&r);
            break;
        case 2:
            sit_in_guild(&r);
            break;
        case 3:
            hear(&r);
            break;
        }
        arena_reset(&r.a);
    }
    arena_fini(&r.a);
    return 0;
}
