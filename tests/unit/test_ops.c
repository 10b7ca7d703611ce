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
        bool quiet = op == 5 || op == 19 || op == 21 || op == 22 || (op >= 28 && op <= 30) || op == 34 || op == 35 ||
                     op == 38 || op == 39 || op == 41;
        if (quiet)
            want = OP_QUIET;
        if (op == 3)
            want = OP_PRESENCE;
        if (op == 8)
            want = OP_MEMBERS;
        if (op == 14 || op == 37)
            want = OP_LISTS;
        if (op == 18 || op == 20)
            want = OP_STREAM;
        if (op == 31)
            want = OP_SOUNDS;
        if (op == 36 || op == 43)
            want = OP_INFO;
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
    static const int asks[] = {8, 14, 18, 20, 31, 36, 37, 43};
    for (size_t i = 0; i < countof(asks); i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"op\":%d,\"d\":[1]}", asks[i]);
        CHECK_TRUE(malformed(text));
        snprintf(text, sizeof text, "{\"op\":%d,\"d\":{}}", asks[i]);
        CHECK_TRUE(!malformed(text));
    }
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

// Guilds, users and what else was read, as one line.
static const char *members(const char *d)
{
    static char out[256];
    struct buf b = {0};
    struct op op;
    ops_read(&arena, arena_printf(&arena, "{\"op\":8,\"d\":%s}", d), &op);
    for (uint32_t i = 0; i < op.members.guilds.n; i++)
        buf_printf(&b, "g%llu ", (unsigned long long)op.members.guilds.v[i]);
    if (op.members.has_users)
        buf_str(&b, "users ");
    for (uint32_t i = 0; i < op.members.users.n; i++)
        buf_printf(&b, "u%llu ", (unsigned long long)op.members.users.v[i]);
    if (op.members.query.p)
        buf_printf(&b, "q'%.*s' ", BYTES_FMT(op.members.query));
    if (op.members.nonce.p)
        buf_printf(&b, "n'%.*s' ", BYTES_FMT(op.members.nonce));
    buf_printf(&b, "%llu%s", (unsigned long long)op.members.limit, op.members.presences ? " presences" : "");
    CHECK_TRUE(bytes_copy(out, sizeof out, buf_bytes(&b)) == OK);
    buf_fini(&b);
    ops_done(&op);
    arena_reset(&arena);
    return out;
}

TEST(members_are_asked_for_in_all_the_forms_that_libraries_have)
{
    static const struct {
        const char *d, *read;
    } rows[] = {
        {"{\"guild_id\":\"7\",\"query\":\"\",\"limit\":0}", "g7 q'' 0"},
        {"{\"guild_id\":[\"7\"],\"query\":\"an\",\"limit\":5,\"presences\":true,\"nonce\":\"abc\"}",
         "g7 q'an' n'abc' 5 presences"},
        {"{\"guild_id\":1198765432109876599,\"user_ids\":1198765432109876601,\"limit\":1}",
         "g1198765432109876599 users u1198765432109876601 1"},
        {"{\"guild_id\":[1,\"2\"],\"user_ids\":[\"3\",4,null,\"x\",-5,0]}", "g1 g2 users u3 u4 0"},
        {"{\"guild_id\":[],\"query\":\"\",\"limit\":0}", "q'' 0"},
        {"{\"guild_id\":\"7\",\"user_ids\":null,\"query\":null,\"presences\":null,\"nonce\":null}", "g7 0"},
        {"{\"guild_id\":\"7\",\"user_ids\":[]}", "g7 users 0"},
        {"{\"guild_id\":{},\"query\":7,\"limit\":-1,\"nonce\":7}", "0"},
        {"{\"guild_id\":\"7\",\"nonce\":\"12345678901234567890123456789012\"}",
         "g7 n'12345678901234567890123456789012' 0"},
        {"{\"guild_id\":\"7\",\"nonce\":\"123456789012345678901234567890123\"}", "g7 0"},
        {"{\"guild_id\":\"9223372036854775808\"}", "0"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        CHECK_STR(members(rows[i].d), rows[i].read);
}

TEST(no_more_users_and_guilds_than_may_be_named_are_read)
{
    struct buf text = {0};
    struct op op;
    buf_str(&text, "{\"op\":8,\"d\":{\"guild_id\":[");
    for (int i = 1; i <= 300; i++)
        buf_printf(&text, "%s%d", i > 1 ? "," : "", i);
    buf_str(&text, "],\"user_ids\":[");
    for (int i = 1; i <= 300; i++)
        buf_printf(&text, "%s%d", i > 1 ? "," : "", i);
    buf_str(&text, "]}}");
    ops_read(&arena, buf_bytes(&text), &op);
    CHECK_EQ(op.members.guilds.n, OPS_GUILDS_MAX);
    CHECK_EQ(op.members.users.n, 100);
    CHECK_EQ(op.members.users.v[99], 100);
    ops_done(&op);
    buf_fini(&text);
    arena_reset(&arena);
}

static const char *lists(int number, const char *d)
{
    static char out[512];
    struct buf b = {0};
    struct op op;
    ops_read(&arena, arena_printf(&arena, "{\"op\":%d,\"d\":%s}", number, d), &op);
    for (uint32_t i = 0; i < op.lists.n; i++) {
        const struct list_change *c = &op.lists.v[i];
        buf_printf(&b, "g%llu", (unsigned long long)c->guild);
        if (c->has_channels)
            buf_str(&b, " channels");
        for (uint32_t k = 0; k < c->n_channels; k++) {
            buf_printf(&b, " c%llu", (unsigned long long)c->channels[k].channel);
            for (uint32_t r = 0; r < c->channels[k].n; r++)
                buf_printf(&b, "[%u,%u]", c->channels[k].ranges[r].first, c->channels[k].ranges[r].last);
        }
        if (c->has_members)
            buf_str(&b, " members");
        for (uint32_t k = 0; k < c->members.n; k++)
            buf_printf(&b, " u%llu", (unsigned long long)c->members.v[k]);
        buf_char(&b, ';');
    }
    CHECK_TRUE(bytes_copy(out, sizeof out, buf_bytes(&b)) == OK);
    buf_fini(&b);
    ops_done(&op);
    arena_reset(&arena);
    return out;
}

TEST(subscriptions_are_read_and_what_does_not_fit_is_left_out)
{
    static const struct {
        int op;
        const char *d, *read;
    } rows[] = {
        {14, "{\"guild_id\":\"7\",\"typing\":true,\"channels\":{\"8\":[[0,99],[100,199]]}}",
         "g7 channels c8[0,99][100,199];"},
        {14, "{\"guild_id\":7,\"members\":[\"1\",2],\"thread_member_lists\":[]}", "g7 members u1 u2;"},
        {14, "{\"guild_id\":\"7\",\"members\":[],\"channels\":{}}", "g7 channels members;"},
        {14, "{\"guild_id\":\"7\"}", "g7;"},
        {14, "{\"channels\":{\"8\":[[0,99]]}}", ""},
        {14, "{\"guild_id\":null}", ""},
        {14, "{\"guild_id\":\"7\",\"members\":{},\"channels\":[[0,99]]}", "g7;"},
        {14,
         "{\"guild_id\":\"7\",\"channels\":{\"8\":[[5,4],[0],[\"0\",\"9\"],[-1,3],7,[0,1.5]],\"x\":[[0,9]],\"9\":[[0,0]"
         "]}}",
         "g7 channels c9[0,0];"},
        {14, "{\"guild_id\":\"7\",\"channels\":{\"8\":[[0,500],[99950,200000],[100001,100002]]}}",
         "g7 channels c8[0,99][99950,100000];"},
        {14, "{\"guild_id\":\"7\",\"channels\":{\"8\":[[0,1],[0,1],[0,1],[0,1],[0,1],[0,1]]}}",
         "g7 channels c8[0,1][0,1][0,1][0,1][0,1];"},
        {14,
         "{\"guild_id\":\"7\",\"channels\":{\"1\":[[0,1]],\"2\":[[0,1]],\"3\":[[0,1]],\"4\":[[0,1]],\"5\":[[0,1]],"
         "\"6\":"
         "[[0,1]]}}",
         "g7 channels c1[0,1] c2[0,1] c3[0,1] c4[0,1] c5[0,1];"},
        {37, "{\"subscriptions\":{\"7\":{\"channels\":{\"8\":[[0,9]]}},\"9\":{\"members\":[\"3\"]},\"x\":{},\"0\":{}}}",
         "g7 channels c8[0,9];g9 members u3;"},
        {37, "{\"subscriptions\":[]}", ""},
        {37, "{\"subscriptions\":{\"7\":null}}", "g7;"},
        {37, "{\"guild_id\":\"7\",\"members\":[\"3\"]}", ""},
    };
    for (size_t i = 0; i < countof(rows); i++)
        CHECK_STR(lists(rows[i].op, rows[i].d), rows[i].read);
}

static const char *presence(const char *d)
{
    static char out[256];
    struct buf b = {0};
    struct op op;
    ops_read(&arena, arena_printf(&arena, "{\"op\":3,\"d\":%s}", d), &op);
    buf_printf(&b, "%s%.*s|%.*s|%llu%s", op.malformed ? "malformed " : "", BYTES_FMT(op.presence.status),
               BYTES_FMT(op.presence.activities), (unsigned long long)op.presence.since, op.presence.afk ? " afk" : "");
    CHECK_TRUE(bytes_copy(out, sizeof out, buf_bytes(&b)) == OK);
    buf_fini(&b);
    ops_done(&op);
    arena_reset(&arena);
    return out;
}

TEST(a_presence_is_what_others_may_be_shown_of_it)
{
    static const struct {
        const char *d, *read;
    } rows[] = {
        {"{\"status\":\"dnd\",\"since\":5,\"activities\":[{\"name\":\"x\",\"type\":0}],\"afk\":true}",
         "dnd|[{\"name\":\"x\",\"type\":0}]|5 afk"},
        {"{\"status\":\"idle\",\"since\":null,\"activities\":[],\"afk\":false}", "idle||0"},
        {"{\"status\":\"online\",\"activities\":[1,\"x\",{},null]}", "online|[{}]|0"},
        {"{\"status\":7,\"activities\":{\"0\":{}},\"since\":-1,\"afk\":1}", "||0"},
        {"{\"status\":\"much longer than any\"}", "||0"},
        {"{}", "||0"},
        {"null", "||0"},
        {"[]", "malformed ||0"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        CHECK_STR(presence(rows[i].d), rows[i].read);
}

TEST(activities_beyond_their_bound_are_left_out)
{
    static const size_t sizes[] = {PRESENCE_ACTIVITIES_MAX, PRESENCE_ACTIVITIES_MAX + 1};
    for (size_t i = 0; i < countof(sizes); i++) {
        struct buf text = {0};
        struct op op;
        buf_str(&text, "{\"op\":3,\"d\":{\"activities\":[{\"name\":\"");
        for (size_t k = strlen("[{\"name\":\"\"}]"); k < sizes[i]; k++)
            buf_char(&text, 'x');
        buf_str(&text, "\"}]}}");
        ops_read(&arena, buf_bytes(&text), &op);
        CHECK_EQ(op.presence.activities.n, i == 0 ? sizes[i] : 0);
        ops_done(&op);
        buf_fini(&text);
        arena_reset(&arena);
    }
}

TEST(identify_says_how_its_user_is_there_and_what_the_client_is)
{
    struct op op =
        read_op("{\"op\":2,\"d\":{\"token\":\"x\",\"properties\":{\"$os\":\"Android\",\"browser\":\"Discord Client\"},"
                "\"presence\":{\"status\":\"dnd\",\"activities\":[{}]}}}");
    CHECK_TRUE(!op.malformed && bytes_is(op.identify.os, "Android") && bytes_is(op.identify.browser, "Discord Client"));
    CHECK_TRUE(bytes_is(op.identify.presence.status, "dnd") && bytes_is(op.identify.presence.activities, "[{}]"));
    ops_done(&op);
    op = read_op("{\"op\":2,\"d\":{\"token\":\"x\",\"presence\":7,\"properties\":[]}}");
    CHECK_TRUE(!op.malformed && !op.identify.presence.status.n && !op.identify.os.n);
    ops_done(&op);
    arena_reset(&arena);
}

TEST(channel_info_sounds_and_streams_are_read)
{
    struct op op =
        read_op("{\"op\":43,\"d\":{\"guild_id\":\"7\",\"fields\":[\"status\",\"voice_start_time\",\"x\",1]}}");
    CHECK_TRUE(op.info.guild == 7 && op.info.status && op.info.start && !op.info.statuses);
    ops_done(&op);
    op = read_op("{\"op\":36,\"d\":{\"guild_id\":7}}");
    CHECK_TRUE(op.info.guild == 7 && !op.info.status && !op.info.start && op.info.statuses);
    ops_done(&op);
    op = read_op("{\"op\":31,\"d\":{\"guild_ids\":[\"7\",8]}}");
    CHECK_TRUE(op.sounds.n == 2 && op.sounds.v[1] == 8);
    ops_done(&op);
    op =
        read_op("{\"op\":18,\"d\":{\"type\":\"guild\",\"guild_id\":\"7\",\"channel_id\":8,\"preferred_region\":null}}");
    CHECK_TRUE(op.stream.guild_id == 7 && op.stream.channel_id == 8 && !op.stream.stream_key.p);
    ops_done(&op);
    op = read_op("{\"op\":20,\"d\":{\"stream_key\":\"call:1:2\"}}");
    CHECK_TRUE(bytes_is(op.stream.stream_key, "call:1:2"));
    ops_done(&op);
    arena_fini(&arena);
}

MAIN
