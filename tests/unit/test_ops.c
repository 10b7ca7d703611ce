// test_ops: what clients and libraries send is understood, ids exactly; what nobody sends costs the sender its socket.
#include "ops.h"
#include "check.h"

static struct arena arena;

static struct op read_op(const char *text)
{
    struct op op;
    ops_read(&arena, bytes_of(text), &op);
    return op;
}

static enum op_kind kind(const char *text)
{
    struct op op = read_op(text);
    ops_done(&op);
    return op.kind;
}

static bool malformed(const char *text)
{
    struct op op = read_op(text);
    ops_done(&op);
    return op.malformed;
}

static uint16_t broken(struct bytes frame)
{
    struct op op;
    ops_read(&arena, frame, &op);
    ops_done(&op);
    arena_reset(&arena);
    return op.kind == OP_BROKEN ? op.code : 0;
}

TEST(the_query_says_version_encoding_and_compression)
{
    static const struct {
        const char *query;
        uint16_t code;
        uint32_t v;
        bool etf, zlib, zstd;
    } rows[] = {
        {"v=9&encoding=json", 0, 9, false, false, false},
        {"v=10&encoding=json&compress=zlib-stream", 0, 10, false, true, false},
        {"compress=zlib-stream&encoding=json&v=9", 0, 9, false, true, false},
        {"v=10&encoding=json&compress=zstd-stream", 0, 10, false, false, true},
        {"v=10&encoding=etf", 0, 10, true, false, false},
        {"v=10&encoding=etf&compress=zlib-stream", 0, 10, true, true, false},
        {"compress=zstd-stream&encoding=etf", 0, 9, true, false, true},
        {"", 0, 9, false, false, false},
        {"v=10", 0, 10, false, false, false},
        {"encoding=json&v=10&shiny=1&&=", 0, 10, false, false, false},
        {"v=9&compress=", 0, 9, false, false, false},
        {"v=6&encoding=json", 4012, 9, false, false, false},
        {"v=7&encoding=json", 4012, 9, false, false, false},
        {"v=8&encoding=json", 4012, 9, false, false, false},
        {"v=11&encoding=json", 4012, 9, false, false, false},
        {"v=&encoding=json", 4012, 9, false, false, false},
        {"v=09", 4012, 9, false, false, false},
        {"v=x", 4012, 9, false, false, false},
        {"v=9&encoding=ETF", 4002, 9, false, false, false},
        {"v=9&encoding=", 4002, 9, false, false, false},
        {"v=9&encoding=json&compress=zstd", 4002, 9, false, false, false},
        {"v=9&compress=brotli-stream", 4002, 9, false, false, false},
        {"vv=3", 0, 9, false, false, false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct hail h;
        uint16_t code = ops_hail(bytes_of(rows[i].query), &h);
        bool same = h.v == rows[i].v && h.etf == rows[i].etf && h.zlib == rows[i].zlib && h.zstd == rows[i].zstd;
        if (code != rows[i].code || (!code && !same))
            printf("query %s: %u %u %d %d %d\n", rows[i].query, code, h.v, h.etf, h.zlib, h.zstd), test_failures++;
    }
}

TEST(what_is_no_frame_closes_with_4002)
{
    static const char *texts[] = {"",
                                  "hello",
                                  "{",
                                  "{\"op\":1,\"d\":null",
                                  "[1,2]",
                                  "1",
                                  "null",
                                  "{\"op\":1,\"d\":nul}",
                                  "{\"op\":1}{\"op\":1}",
                                  "{}",
                                  "{\"op\":null}",
                                  "{\"op\":\"1\"}",
                                  "{\"op\":1.0}",
                                  "{\"op\":true}",
                                  "{\"op\":[1]}",
                                  "{\"op\":1,\"d\":99999999999999999999}",
                                  "{\"op\":1,\"d\":\"\\u0000\"}"};
    for (size_t i = 0; i < countof(texts); i++)
        CHECK_EQ(broken(bytes_of(texts[i])), 4002);
    CHECK_EQ(broken(BYTES("{\"op\":1,\"d\":\"\xff\xfe\xc0\"}")), 4002);
    CHECK_EQ(broken(BYTES("{\"op\":1,\"d\":\"\xed\xa0\x80\"}")), 4002);
    CHECK_EQ(broken(BYTES("\0\0\0")), 4002);
    static char deep[15360];
    memset(deep, '[', sizeof deep);
    CHECK_EQ(broken((struct bytes){deep, sizeof deep}), 4002);
}

static struct op read_term(struct bytes frame)
{
    struct op op;
    ops_read_etf(&arena, frame, &op);
    return op;
}

TEST(a_term_says_the_same_as_a_text)
{
    struct op op = read_term(BYTES("\x83\x74\0\0\0\2m\0\0\0\2opa\4m\0\0\0\1dt\0\0\0\3m\0\0\0\10guild_ids\3nil"
                                   "m\0\0\0\12channel_idn\10\0\1\2\3\4\5\6\7\10m\0\0\0\11self_mutes\4true"));
    CHECK_TRUE(op.kind == OP_VOICE && !op.malformed);
    CHECK_TRUE(op.voice.channel_id == 0x0807060504030201ull && op.voice.guild_id == 0 && op.voice.self_mute);
    ops_done(&op);
    op = read_term(BYTES("\x83\x74\0\0\0\2m\0\0\0\2opa\2m\0\0\0\1dt\0\0\0\2m\0\0\0\5tokenm\0\0\0\1x"
                         "m\0\0\0\5shardk\0\2\1\3"));
    CHECK_TRUE(op.kind == OP_IDENTIFY && !op.malformed && op.identify.shard_ok);
    CHECK_TRUE(op.identify.shard == 1 && op.identify.shards == 3 && bytes_is(op.identify.c.token, "x"));
    ops_done(&op);
    op = read_term(BYTES("\x83t\0\0\0\1m\0\0\0\2opb\0\0\1\0"));
    CHECK_TRUE(op.kind == OP_BROKEN && op.code == 4001);
    ops_done(&op);
    const struct bytes refused[] = {BYTES(""),
                                    BYTES("{\"op\":1,\"d\":null}"),
                                    BYTES("\x83j"),
                                    BYTES("\x83t\0\0\0\0"),
                                    BYTES("\x83t\0\0\0\1s\2opa\1"),
                                    BYTES("\x83t\0\0\0\1m\0\0\0\2opa")};
    for (size_t i = 0; i < countof(refused); i++) {
        op = read_term(refused[i]);
        CHECK_TRUE(op.kind == OP_BROKEN && op.code == 4002);
        ops_done(&op);
    }
    arena_reset(&arena);
}

TEST(an_absurd_opcode_closes_with_4001)
{
    CHECK_EQ(broken(BYTES("{\"op\":-1}")), 4001);
    CHECK_EQ(broken(BYTES("{\"op\":256}")), 4001);
    CHECK_EQ(broken(BYTES("{\"op\":9223372036854775807}")), 4001);
}

TEST(every_opcode_up_to_255_has_its_kind)
{
    for (int op = 0; op <= 255; op++) {
        char text[64];
        snprintf(text, sizeof text, "{\"op\":%d,\"d\":null}", op);
        enum op_kind k = kind(text), want = OP_UNKNOWN;
        bool quiet = op == 5 || op == 8 || op == 14 || (op >= 18 && op <= 22) || (op >= 28 && op <= 31) ||
                     (op >= 34 && op <= 39) || op == 41 || op == 43;
        if (quiet)
            want = OP_QUIET;
        if (op == 3)
            want = OP_PRESENCE;
        if (op == 1 || op == 40)
            want = OP_BEAT;
        if (op == 2)
            want = OP_IDENTIFY;
        if (op == 4)
            want = OP_VOICE;
        if (op == 6)
            want = OP_RESUME;
        if (op == 13)
            want = OP_CALL;
        if (k != want)
            printf("op %d\n", op), test_failures++;
    }
}

TEST(heartbeats_may_carry_anything)
{
    CHECK_EQ(kind("{\"op\":1,\"d\":null}"), OP_BEAT);
    CHECK_EQ(kind("{\"op\":1,\"d\":251}"), OP_BEAT);
    CHECK_EQ(kind("{\"op\":1}"), OP_BEAT);
    CHECK_EQ(kind("{\"d\":{\"seq\":1,\"qos\":{\"ver\":27,\"active\":true,\"reasons\":[\"foregrounded\"]}},\"op\":40}"),
             OP_BEAT);
}

TEST(identify_as_a_bot_library_sends_it)
{
    struct op op =
        read_op("{\"op\":2,\"d\":{\"token\":\"Bot a.b.c\",\"properties\":{\"os\":\"linux\"},\"compress\":true,"
                "\"large_threshold\":250,\"intents\":129,\"shard\":[1,2],\"presence\":null}}");
    CHECK_EQ(op.kind, OP_IDENTIFY);
    CHECK_TRUE(!op.malformed);
    CHECK_TRUE(bytes_is(op.identify.c.token, "Bot a.b.c"));
    CHECK_EQ(op.identify.c.intents, 129);
    CHECK_TRUE(op.identify.has_intents && op.identify.sharded && op.identify.shard_ok);
    CHECK_EQ(op.identify.shard, 1);
    CHECK_EQ(op.identify.shards, 2);
    ops_done(&op);
    arena_reset(&arena);
}

TEST(identify_as_a_user_client_sends_it)
{
    struct op op = read_op("{\"op\":2,\"d\":{\"token\":\"a.b.c\",\"capabilities\":22525,\"properties\":{},"
                           "\"presence\":{\"status\":\"unknown\",\"since\":0,\"activities\":[],\"afk\":false},"
                           "\"compress\":false,\"client_state\":{\"guild_versions\":{}}}}");
    CHECK_EQ(op.kind, OP_IDENTIFY);
    CHECK_TRUE(!op.malformed && !op.identify.has_intents && !op.identify.sharded && op.identify.shard_ok);
    CHECK_EQ(op.identify.c.capabilities, 22525);
    CHECK_EQ(op.identify.shards, 1);
    ops_done(&op);
    arena_reset(&arena);
}

TEST(impossible_shards_are_told_apart_from_malformed_payloads)
{
    static const char *shards[] = {"[2,2]", "[0,0]", "[-1,1]",        "[0]",     "[0,1,2]",  "[]",
                                   "1",     "{}",    "[\"0\",\"1\"]", "[0.0,1]", "[0,16385]"};
    for (size_t i = 0; i < countof(shards); i++) {
        struct bytes text = arena_printf(&arena, "{\"op\":2,\"d\":{\"token\":\"x\",\"shard\":%s}}", shards[i]);
        struct op op;
        ops_read(&arena, text, &op);
        CHECK_TRUE(!op.malformed && !op.identify.shard_ok);
        CHECK_EQ(op.identify.shards, 1);
        ops_done(&op);
    }
    arena_reset(&arena);
}

TEST(payloads_of_the_wrong_types_are_malformed)
{
    CHECK_TRUE(malformed("{\"op\":2}"));
    CHECK_TRUE(malformed("{\"op\":2,\"d\":[]}"));
    CHECK_TRUE(malformed("{\"op\":2,\"d\":{\"token\":1}}"));
    CHECK_TRUE(malformed("{\"op\":2,\"d\":{\"token\":null}}"));
    CHECK_TRUE(malformed("{\"op\":2,\"d\":{\"token\":\"x\",\"intents\":\"1\"}}"));
    CHECK_TRUE(malformed("{\"op\":2,\"d\":{\"token\":\"x\",\"intents\":-1}}"));
    CHECK_TRUE(malformed("{\"op\":6,\"d\":{\"token\":\"x\",\"session_id\":1}}"));
    CHECK_TRUE(malformed("{\"op\":6,\"d\":{\"token\":\"x\",\"session_id\":\"y\",\"seq\":\"z\"}}"));
    CHECK_TRUE(malformed("{\"op\":4,\"d\":null}"));
    CHECK_TRUE(malformed("{\"op\":4,\"d\":{\"channel_id\":\"x\"}}"));
    CHECK_TRUE(malformed("{\"op\":4,\"d\":{\"channel_id\":1.5}}"));
    CHECK_TRUE(malformed("{\"op\":4,\"d\":{\"channel_id\":\"1\",\"self_mute\":1}}"));
    CHECK_TRUE(malformed("{\"op\":4,\"d\":{\"channel_id\":\"1\",\"preferred_regions\":[1]}}"));
    CHECK_TRUE(malformed("{\"op\":13,\"d\":{\"channel_id\":null}}"));
    CHECK_TRUE(malformed("{\"op\":13,\"d\":\"1\"}"));
    arena_reset(&arena);
}

TEST(ids_are_read_exactly_as_text_and_as_integers)
{
    static const char *forms[] = {"{\"op\":4,\"d\":{\"guild_id\":null,\"channel_id\":\"1198765432109876599\"}}",
                                  "{\"op\":4,\"d\":{\"guild_id\":null,\"channel_id\":1198765432109876599}}"};
    for (size_t i = 0; i < countof(forms); i++) {
        struct op op = read_op(forms[i]);
        CHECK_TRUE(op.kind == OP_VOICE && !op.malformed);
        CHECK_TRUE(op.voice.channel_id == 1198765432109876599ull);
        CHECK_EQ(op.voice.guild_id, 0);
        CHECK_TRUE(!op.voice.self_mute && !op.voice.self_deaf && !op.voice.self_video);
        ops_done(&op);
    }
    arena_reset(&arena);
}

TEST(voice_states_keep_their_best_regions)
{
    struct buf text = {0};
    buf_str(&text, "{\"op\":4,\"d\":{\"channel_id\":null,\"self_mute\":true,\"flags\":2,\"preferred_region\":\"a\","
                   "\"preferred_regions\":[");
    for (int i = 0; i < 40; i++)
        buf_printf(&text, "%s\"r%d\"", i ? "," : "", i);
    buf_str(&text, "]}}");
    struct op op;
    ops_read(&arena, buf_bytes(&text), &op);
    CHECK_TRUE(!op.malformed && op.voice.self_mute);
    CHECK_EQ(op.voice.channel_id, 0);
    CHECK_EQ(op.voice.flags, 2);
    CHECK_EQ(op.voice.preferred_regions.n, 16);
    CHECK_TRUE(bytes_is(op.voice.preferred_regions.v[15], "r15"));
    CHECK_TRUE(bytes_is(op.voice.preferred_region, "a"));
    ops_done(&op);
    buf_fini(&text);
    arena_reset(&arena);
}

TEST(resume_and_call_connect_are_read)
{
    struct op op = read_op("{\"op\":6,\"d\":{\"token\":\"t\",\"session_id\":\"30f32c5d\",\"seq\":1337}}");
    CHECK_TRUE(op.kind == OP_RESUME && !op.malformed);
    CHECK_TRUE(bytes_is(op.resume.session_id, "30f32c5d"));
    CHECK_EQ(op.resume.seq, 1337);
    ops_done(&op);
    op = read_op("{\"op\":13,\"d\":{\"channel_id\":\"42\"}}");
    CHECK_TRUE(op.kind == OP_CALL && !op.malformed);
    CHECK_EQ(op.call.channel_id, 42);
    ops_done(&op);
    arena_fini(&arena);
}

MAIN
