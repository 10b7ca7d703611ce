#include "check.h"
#include "vop.h"

static struct arena arena;

static struct vop *read_text(const char *text)
{
    static struct vop op;
    vop_read(&arena, bytes_of(text), false, &op);
    return &op;
}

static uint16_t code_of(const char *text)
{
    struct vop *op = read_text(text);
    uint16_t code = op->kind == VOP_BROKEN ? op->code : 0;
    vop_done(op);
    arena_reset(&arena);
    return code;
}

static enum vop_kind kind_of(const char *text)
{
    struct vop *op = read_text(text);
    enum vop_kind kind = op->kind;
    vop_done(op);
    arena_reset(&arena);
    return kind;
}

static const char *text_of(struct buf *b)
{
    buf_char(b, '\0');
    return b->p;
}

TEST(versions_4_to_9_are_spoken)
{
    static const char *const bad[] = {"",    "v",   "v=",       "v=3",  "v=10",         "v=4x",
                                      "V=8", "x=8", "v=8&v=99", "v=-4", "v=4294967300", "v=18446744073709551624"};
    uint32_t v = 0;
    CHECK_EQ(vop_hail(BYTES("v=4"), &v), OK);
    CHECK_EQ(v, 4);
    CHECK_EQ(vop_hail(BYTES("encoding=json&v=9&"), &v), OK);
    CHECK_EQ(v, 9);
    for (size_t i = 0; i < countof(bad); i++)
        CHECK_EQ(vop_hail(bytes_of(bad[i]), &v), ERR_INVALID);
    CHECK_EQ(v, 9);
}

TEST(what_is_no_frame_is_a_decode_error)
{
    static const char *const bad[] = {
        "", "x", "[]", "1", "{}", "{\"op\":null}", "{\"op\":\"3\"}", "{\"op\":3.5,\"d\":1}", "{\"op\":3"};
    for (size_t i = 0; i < countof(bad); i++)
        CHECK_EQ(code_of(bad[i]), 4002);
}

TEST(opcodes_up_to_40_that_are_not_known_are_passed_over_and_others_are_not)
{
    static const int quiet[] = {2, 4, 6, 8, 9, 10, 11, 13, 17, 18, 19, 20, 21, 25, 32, 39, 40};
    char text[64];
    for (size_t i = 0; i < countof(quiet); i++) {
        snprintf(text, sizeof text, "{\"op\":%d,\"d\":[{}]}", quiet[i]);
        CHECK_EQ(kind_of(text), VOP_QUIET);
    }
    CHECK_EQ(code_of("{\"op\":41}"), 4001);
    CHECK_EQ(code_of("{\"op\":-1}"), 4001);
    CHECK_EQ(code_of("{\"op\":4611686018427387904}"), 4001);
}

TEST(binary_frames_are_json_or_of_end_to_end_encryption)
{
    struct vop op;
    vop_read(&arena, BYTES("\x1a\0\0\0"), true, &op);
    CHECK_EQ(op.kind, VOP_QUIET);
    vop_read(&arena, BYTES("{\"op\":3,\"d\":7}"), true, &op);
    CHECK_EQ(op.kind, VOP_BEAT);
    CHECK_STR(op.beat.nonce, "7");
    vop_done(&op);
    vop_read(&arena, BYTES_NONE, true, &op);
    CHECK_EQ(op.kind, VOP_BROKEN);
}

TEST(identify_takes_ids_as_text_and_as_numbers)
{
    struct vop *op = read_text("{\"op\":0,\"d\":{\"server_id\":\"922337203685477580\",\"user_id\":922337203685477581,"
                               "\"channel_id\":null,\"session_id\":\"s\",\"token\":\"t\",\"video\":true,\"streams\":["
                               "{\"type\":\"screen\",\"rid\":\"100\",\"quality\":100},{},{},{},{},{}],\"more\":1}}");
    CHECK_EQ(op->kind, VOP_IDENTIFY);
    CHECK_EQ(op->identify.server_id, 922337203685477580);
    CHECK_EQ(op->identify.user_id, 922337203685477581);
    CHECK_EQ(op->identify.channel_id, 0);
    CHECK_TRUE(bytes_is(op->identify.token, "t"));
    CHECK_EQ(op->identify.streams.n, VOP_STREAMS); // more are passed over
    CHECK_TRUE(bytes_is(op->identify.streams.v[0].rid, "100"));
    vop_done(op);
    arena_reset(&arena);
    CHECK_EQ(code_of("{\"op\":0}"), 4002);
    CHECK_EQ(code_of("{\"op\":0,\"d\":{\"server_id\":\"-1\"}}"), 4002);
    CHECK_EQ(code_of("{\"op\":0,\"d\":{\"session_id\":5}}"), 4002);
    CHECK_EQ(code_of("{\"op\":0,\"d\":{\"streams\":{}}}"), 4002);
}

TEST(select_has_its_data_inside_or_beside)
{
    struct vop *op =
        read_text("{\"op\":1,\"d\":{\"protocol\":\"udp\",\"data\":{\"address\":\"a\",\"port\":1,\"mode\":\"m\"},"
                  "\"codecs\":[{\"name\":\"opus\",\"type\":\"audio\",\"priority\":1000,\"payload_type\":120}]}}");
    CHECK_EQ(op->kind, VOP_SELECT);
    CHECK_TRUE(op->select.udp && bytes_is(op->select.mode, "m"));
    CHECK_EQ(op->select.codecs.n, 0);
    vop_done(op);
    op = read_text("{\"op\":1,\"d\":{\"protocol\":\"udp\",\"mode\":\"n\"}}");
    CHECK_TRUE(op->select.udp && bytes_is(op->select.mode, "n"));
    vop_done(op);
    op = read_text("{\"op\":1,\"d\":{\"protocol\":\"webrtc\",\"data\":\"v=0\"}}");
    CHECK_EQ(op->kind, VOP_SELECT);
    CHECK_TRUE(!op->select.udp);
    vop_done(op);
    arena_reset(&arena);
    CHECK_EQ(code_of("{\"op\":1,\"d\":{}}"), 4002);
    CHECK_EQ(code_of("{\"op\":1,\"d\":{\"protocol\":\"udp\",\"data\":{\"port\":65536}}}"), 4002);
}

TEST(codecs_are_ranked_by_their_priority)
{
    struct vop *op =
        read_text("{\"op\":14,\"d\":{\"codecs\":[{\"name\":\"VP8\",\"type\":\"video\",\"priority\":3000},"
                  "{\"name\":\"H264\",\"type\":\"video\",\"priority\":1000,\"decode\":false},"
                  "{\"name\":\"AV1\",\"type\":\"video\",\"priority\":2000.5,\"encode\":true,\"decode\":true},"
                  "{\"name\":\"VP9\",\"type\":\"video\",\"priority\":1,\"encode\":false},"
                  "{\"name\":\"VP8\",\"type\":\"video\"},{\"name\":\"THEORA\",\"type\":\"video\"},{\"name\":1},5,"
                  "{\"name\":\"H265\",\"type\":\"video\",\"priority\":-1}]}}");
    CHECK_EQ(op->kind, VOP_CODECS);
    CHECK_EQ(op->codecs.n, 3);
    CHECK_EQ(op->codecs.encodes[0], VCODEC_H264);
    CHECK_EQ(op->codecs.encodes[1], VCODEC_AV1);
    CHECK_EQ(op->codecs.encodes[2], VCODEC_VP8);
    CHECK_EQ(op->codecs.decodes, 1 << VCODEC_AV1 | 1 << VCODEC_VP8 | 1 << VCODEC_VP9);
    vop_done(op);
    arena_reset(&arena);
    CHECK_EQ(code_of("{\"op\":14,\"d\":{\"codecs\":{}}}"), 4002);
    CHECK_EQ(code_of("{\"op\":14}"), 4002);
}

static void beat_is(const char *text, bool object, const char *nonce, int64_t ack)
{
    struct vop *op = read_text(text);
    CHECK_EQ(op->kind, VOP_BEAT);
    CHECK_EQ(op->beat.object, object);
    CHECK_STR(op->beat.nonce, nonce);
    CHECK_EQ(op->beat.ack, ack);
    struct buf d = {0};
    vop_ack(&d, &op->beat);
    char wanted[128];
    snprintf(wanted, sizeof wanted, object ? "{\"t\":%s}" : "%s", nonce);
    CHECK_STR(text_of(&d), wanted);
    buf_fini(&d);
    vop_done(op);
    arena_reset(&arena);
}

TEST(a_heartbeat_is_answered_as_it_was_asked)
{
    beat_is("{\"op\":3,\"d\":1501184119561}", false, "1501184119561", -1);
    beat_is("{\"op\":3,\"d\":{\"t\":5,\"seq_ack\":10}}", true, "5", 10);
    beat_is("{\"op\":3,\"d\":{\"t\":5,\"seq_ack\":-7}}", true, "5", -1);
    beat_is("{\"op\":3,\"d\":{}}", true, "null", -1);
    beat_is("{\"op\":3}", false, "null", -1);
    beat_is("{\"op\":3,\"d\":\"n\\\"\"}", false, "\"n\\\"\"", -1);
    CHECK_EQ(code_of("{\"op\":3,\"d\":[]}"), 4002);
    CHECK_EQ(code_of("{\"op\":3,\"d\":true}"), 4002);
    CHECK_EQ(code_of("{\"op\":3,\"d\":{\"t\":{}}}"), 4002);
    CHECK_EQ(code_of("{\"op\":3,\"d\":{\"seq_ack\":\"1\"}}"), 4002);
    CHECK_EQ(code_of("{\"op\":3,\"d\":\"0123456789012345678901234567890123456789\"}"), 4002); // longer than any sends
}

TEST(speaking_is_a_number_or_a_flag_and_has_three_bits)
{
    static const struct {
        const char *text;
        int speaking;
    } cases[] = {{"{\"op\":5,\"d\":{\"speaking\":1,\"delay\":0,\"ssrc\":1}}", 1},
                 {"{\"op\":5,\"d\":{\"speaking\":true}}", 1},
                 {"{\"op\":5,\"d\":{\"speaking\":false}}", 0},
                 {"{\"op\":5,\"d\":{}}", 0},
                 {"{\"op\":5,\"d\":{\"speaking\":null}}", 0},
                 {"{\"op\":5,\"d\":{\"speaking\":255}}", 7}};
    for (size_t i = 0; i < countof(cases); i++) {
        struct vop *op = read_text(cases[i].text);
        CHECK_EQ(op->kind, VOP_SPEAK);
        CHECK_EQ(op->speaking, cases[i].speaking);
        vop_done(op);
    }
    CHECK_EQ(code_of("{\"op\":5}"), 4002);
    CHECK_EQ(code_of("{\"op\":5,\"d\":{\"speaking\":\"1\"}}"), 4002);
}

TEST(video_is_on_when_a_stream_is_active_and_goes_out_as_something)
{
    struct vop *op = read_text("{\"op\":12,\"d\":{\"audio_ssrc\":9,\"video_ssrc\":10,\"rtx_ssrc\":11,\"streams\":["
                               "{\"type\":\"video\",\"rid\":\"100\",\"active\":true,\"max_framerate\":30,"
                               "\"max_resolution\":{\"type\":\"source\",\"width\":0,\"height\":0}},"
                               "{\"ssrc\":12,\"active\":true},{\"ssrc\":14,\"active\":false},{\"active\":true}]}}");
    CHECK_EQ(op->kind, VOP_VIDEO);
    CHECK_EQ(op->video.n, 4);
    CHECK_TRUE(op->video.v[0].on && op->video.v[1].on && !op->video.v[2].on && !op->video.v[3].on);
    CHECK_STR(op->video.v[0].resolution, "source");
    CHECK_EQ(op->video.v[0].framerate, 30);
    vop_done(op);
    op = read_text("{\"op\":12,\"d\":{\"audio_ssrc\":9,\"video_ssrc\":0,\"streams\":[{\"ssrc\":0,\"active\":true}]}}");
    CHECK_TRUE(op->video.n == 1 && !op->video.v[0].on);
    vop_done(op);
    CHECK_EQ(code_of("{\"op\":12,\"d\":{\"audio_ssrc\":4294967296}}"), 4002);
    CHECK_EQ(code_of("{\"op\":12,\"d\":null}"), 4002);
}

TEST(a_rid_may_be_a_number_and_is_bounded_all_the_same)
{
    struct vop *op = read_text("{\"op\":12,\"d\":{\"streams\":[{\"rid\":100}]}}");
    CHECK_STR(op->video.v[0].rid, "100");
    vop_done(op);
    CHECK_EQ(code_of("{\"op\":12,\"d\":{\"streams\":[{\"rid\":4611686018427387904}]}}"), 4002);
    CHECK_EQ(code_of("{\"op\":0,\"d\":{\"streams\":[{\"rid\":4611686018427387904}]}}"), 4002);
    CHECK_EQ(code_of("{\"op\":12,\"d\":{\"streams\":[{\"type\":\"01234567890123456\"}]}}"), 4002);
}

TEST(wants_have_a_number_for_any_and_for_some)
{
    struct vop *op =
        read_text("{\"op\":15,\"d\":{\"any\":50,\"7\":20,\"9\":100.0,\"pixelCounts\":{\"9\":921600.5,\"8\":1},"
                  "\"else\":[]}}");
    CHECK_EQ(op->kind, VOP_WANTS_OF);
    CHECK_EQ(op->wants.any, 50);
    CHECK_EQ(op->wants.n, 3);
    CHECK_EQ(op->wants.v[0].quality, 20);
    CHECK_EQ(op->wants.v[1].pixels, 921600);
    CHECK_EQ(op->wants.v[2].quality, 50); // as any
    struct buf d = {0};
    vop_wants(&d, 9, &op->wants.v[1]);
    CHECK_STR(text_of(&d), "{\"any\":100,\"9\":100,\"pixelCounts\":{\"9\":921600.0}}");
    buf_fini(&d);
    vop_done(op);
    CHECK_EQ(code_of("{\"op\":15,\"d\":{\"any\":-1}}"), 4002);
    CHECK_EQ(code_of("{\"op\":15,\"d\":{\"any\":1e999}}"), 4002);
    CHECK_EQ(code_of("{\"op\":15,\"d\":{\"1\":null,\"2\":\"\"}}"), 4002);
    CHECK_EQ(code_of("{\"op\":15,\"d\":[]}"), 4002);
}

TEST(more_wants_than_are_kept_are_passed_over)
{
    struct buf text = {0};
    buf_str(&text, "{\"op\":15,\"d\":{\"0\":1");
    for (int i = 1; i < 100; i++)
        buf_printf(&text, ",\"%d\":%d", i, i);
    buf_str(&text, "}}");
    struct vop *op = read_text(text_of(&text));
    CHECK_EQ(op->wants.n, VOP_WANTS);
    vop_done(op);
    buf_fini(&text);
}

TEST(a_message_has_its_d_whatever_is_in_it)
{
    struct buf out = {0};
    vop_frame(&out, SAY_RESUMED, BYTES_NONE, -1);
    CHECK_STR(text_of(&out), "{\"op\":9,\"d\":null}");
    buf_reset(&out);
    vop_frame(&out, SAY_GONE, BYTES("{\"user_id\":\"1\"}"), 0);
    CHECK_STR(text_of(&out), "{\"op\":13,\"d\":{\"user_id\":\"1\"},\"seq\":0}");
    buf_reset(&out);
    vop_key(&out, (const uint8_t[]){0, 255, 7}, 3);
    CHECK_STR(text_of(&out), "[0,255,7]");
    buf_fini(&out);
}

TEST(what_belongs_to_one_socket_alone_is_not_numbered)
{
    static const uint8_t not [] = {SAY_READY, SAY_ACK, SAY_HELLO, SAY_RESUMED, SAY_BACKEND};
    static const uint8_t yes[] = {SAY_DESCRIPTION, SAY_SPEAKING, SAY_CLIENTS, SAY_VIDEO,   SAY_GONE,
                                  SAY_CODECS,      SAY_WANTS,    SAY_FLAGS,   SAY_PLATFORM};
    for (size_t i = 0; i < countof(not ); i++)
        CHECK_TRUE(!vop_numbered(not [i]));
    for (size_t i = 0; i < countof(yes); i++)
        CHECK_TRUE(vop_numbered(yes[i]));
}

MAIN
