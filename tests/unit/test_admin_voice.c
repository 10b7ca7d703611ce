// admin: recordings and plays. What each request asks for, of whom, and what becomes of what it is told. Guild 100 has
// the voice channel 111, the stage 112 and the text channel 110; 900 is a private channel of 11 and 22.
#include "admin_told.h"
#include "check.h"
#include "errors.h"
#include "player.h"

#define GUILDS                                                                                                         \
    "[{\"id\":\"100\",\"name\":\"Demo\",\"channels\":[{\"id\":\"110\",\"name\":\"general\",\"type\":0},"               \
    "{\"id\":\"111\",\"name\":\"Lounge\",\"type\":2},{\"id\":\"112\",\"name\":\"Stage\",\"type\":13}]}]"
#define PRIVATES "[{\"id\":\"900\",\"type\":1,\"users\":[\"11\",\"22\"]}]"

static struct admin_clock watch;
static struct admin_out out;
static struct admin_request r;

static void ask(const char *method, const char *path, const char *query, struct bytes body)
{
    r = (struct admin_request){.method = method,
                               .path = bytes_of(path),
                               .query = bytes_of(query),
                               .content_type = BYTES("audio/ogg"),
                               .authorization = BYTES("Bearer 0123456789abcdef"),
                               .body = body,
                               .admin_token = BYTES("0123456789abcdef"),
                               .clock = &watch,
                               .fresh = 77,
                               .now = 1700000000000};
    admin_step(&arena, &r, NULL, &out);
}

struct said {
    int64_t err;
    struct bytes body;
};

static const char *then(uint32_t n, const struct said *said)
{
    struct answer *answers = arena_take(&arena, n * sizeof *answers);
    const struct answer **v = arena_take(&arena, (n + 1) * sizeof *v);
    for (uint32_t i = 0; i < n; i++) {
        answers[i] = (struct answer){.err = said[i].err, .body = said[i].body};
        v[i] = said[i].err == ERR_TIMEOUT ? NULL : &answers[i];
    }
    admin_step(&arena, &r, v, &out);
    return told(&out);
}
#define THEN(...)                                                                                                      \
    then(sizeof((const struct said[]){__VA_ARGS__}) / sizeof(struct said), (const struct said[]){__VA_ARGS__})
#define SAID(text)                                                                                                     \
    {                                                                                                                  \
        OK, bytes_of(text)                                                                                             \
    }
#define REFUSED(e)                                                                                                     \
    {                                                                                                                  \
        (e), BYTES_NONE                                                                                                \
    }
#define BODY(b)                                                                                                        \
    {                                                                                                                  \
        OK, (b)                                                                                                        \
    }

static void nodes(uint32_t n)
{
    static const struct bytes names[] = {{"node-1", 6}, {"node-2", 6}};
    r.asked = (struct texts){n, names};
}

static struct bytes part(const char *state, uint64_t ms, uint32_t n, const struct recorded_speaker *speakers)
{
    const struct recorded v = {.recording = 77,
                               .channel = 111,
                               .runs = strcmp(state, "running") == 0,
                               .state = bytes_of(state),
                               .ms = ms,
                               .silent_ms = ms / 2,
                               .speakers = {n, speakers}};
    return schema_packed(&arena, &schema_recorded, &v);
}

static void locate(const char *path)
{
    ask("POST", path, "", BYTES_NONE);
}

// --- recordings ---

TEST(a_recording_is_asked_of_every_node_once_its_channel_is_found)
{
    locate("/admin/channels/111/recordings");
    CHECK_STR(told(&out), "0 directory_list{users_only=false guilds_only=true channels_only=false after=0 limit=0} "
                          "directory_list{users_only=false guilds_only=false channels_only=true after=110 limit=1}");
    THEN(SAID(GUILDS), SAID("[]"));
    CHECK_EQ(out.status, 0);
    CHECK_TRUE(out.every && out.awaits && out.to == BUS_VOICE_NODE && out.n == 1);
    const struct record_start *start = MSG_IS(&out.commands[0], record_start);
    CHECK_TRUE(start && start->recording == 77 && start->channel == 111);
    nodes(2);
    CHECK_STR(THEN(BODY(part("running", 0, 0, NULL)), REFUSED(ERR_TIMEOUT)),
              "200 {\"id\":\"77\",\"channel_id\":\"111\",\"state\":\"running\",\"why\":\"\",\"seconds\":0.0,"
              "\"silent_seconds\":0.0,\"nodes\":1,\"speakers\":[]}");
}

TEST(only_where_people_talk_is_recorded)
{
    locate("/admin/channels/112/recordings");
    THEN(SAID(GUILDS), SAID("[]"));
    CHECK_EQ(out.status, 0);
    locate("/admin/channels/900/recordings");
    THEN(SAID(GUILDS), SAID(PRIVATES));
    CHECK_EQ(out.status, 0);
    locate("/admin/channels/110/recordings");
    THEN(SAID(GUILDS), SAID("[]"));
    CHECK_EQ(out.status, 400);
    locate("/admin/channels/899/recordings"); // the next private channel is another one
    THEN(SAID(GUILDS), SAID(PRIVATES));
    CHECK_EQ(out.status, 404);
    locate("/admin/channels/x/recordings");
    CHECK_EQ(out.status, 404);
    locate("/admin/channels/111/recordings");
    THEN(SAID(GUILDS), REFUSED(ERR_TIMEOUT));
    CHECK_EQ(out.status, 503);
}

TEST(where_no_node_is_or_none_has_room_nothing_is_recorded)
{
    locate("/admin/channels/111/recordings");
    THEN(SAID(GUILDS), SAID("[]"));
    nodes(0);
    CHECK_STR(then(0, NULL), "503 {\"message\":\"There is no voice node.\",\"code\":0}");
    locate("/admin/channels/111/recordings");
    THEN(SAID(GUILDS), SAID("[]"));
    nodes(2);
    CHECK_STR(THEN(REFUSED(ERR_FULL), REFUSED(ERR_FULL)),
              "503 {\"message\":\"The voice nodes have no room for another recording.\",\"code\":0}");
}

TEST(of_two_parts_each_speaker_is_told_once_with_that_in_which_he_said_most)
{
    const struct recorded_speaker here[] = {{.user = 11, .packets = 5, .bytes = 50, .ms = 100, .file_bytes = 500},
                                            {.user = 22, .packets = 9, .bytes = 90, .ms = 180, .file_bytes = 900}};
    const struct recorded_speaker there[] = {{.user = 11, .packets = 6, .bytes = 60, .ms = 120, .file_bytes = 600}};
    ask("GET", "/admin/recordings/77", "", BYTES_NONE);
    CHECK_TRUE(out.every && !out.awaits && MSG_IS(&out.commands[0], record_show));
    nodes(2);
    CHECK_STR(
        THEN(BODY(part("stopped", 2000, 2, here)), BODY(part("stopped", 2010, 1, there))),
        "200 {\"id\":\"77\",\"channel_id\":\"111\",\"state\":\"stopped\",\"why\":\"\",\"seconds\":2.0099999999999998,"
        "\"silent_seconds\":1.0,\"nodes\":2,\"speakers\":[{\"user_id\":\"22\",\"packets\":9,\"bytes\":90,"
        "\"seconds\":0.17999999999999999,\"dropped\":0,\"file_bytes\":900},{\"user_id\":\"11\",\"packets\":6,"
        "\"bytes\":60,\"seconds\":0.12,\"dropped\":0,\"file_bytes\":600}]}");
}

static const char *state_of(const char *a, const char *b)
{
    static char state[20];
    ask("GET", "/admin/recordings/77", "", BYTES_NONE);
    nodes(2);
    const char *text = THEN(BODY(part(a, 5, 0, NULL)), BODY(part(b, 5, 0, NULL)));
    CHECK_EQ(sscanf(strstr(text, "\"state\":\"") + 9, "%19[a-z]", state), 1);
    return state;
}

TEST(a_part_that_has_ended_by_itself_says_how_the_whole_is)
{
    CHECK_STR(state_of("running", "stopped"), "running");
    CHECK_STR(state_of("stopped", "running"), "running");
    CHECK_STR(state_of("full", "running"), "full");
    CHECK_STR(state_of("running", "full"), "full");
    CHECK_STR(state_of("stopped", "long"), "long");
    CHECK_STR(state_of("long", "stopped"), "long");
}

TEST(what_nobody_has_is_not_there_and_what_nobody_answers_may_be)
{
    static const char *const requests[][2] = {{"GET", "/admin/recordings/77"},
                                              {"POST", "/admin/recordings/77/stop"},
                                              {"DELETE", "/admin/recordings/77"},
                                              {"GET", "/admin/recordings/77/11.ogg"}};
    for (size_t i = 0; i < countof(requests); i++) {
        ask(requests[i][0], requests[i][1], "", BYTES_NONE);
        nodes(1);
        CHECK_STR(THEN(REFUSED(ERR_MISSING)), "404 {\"message\":\"There is no such recording.\",\"code\":0}");
    }
    ask("GET", "/admin/recordings/77", "", BYTES_NONE);
    nodes(2);
    THEN(REFUSED(ERR_MISSING), REFUSED(ERR_TIMEOUT));
    CHECK_EQ(out.status, 503);
    ask("DELETE", "/admin/recordings/77", "", BYTES_NONE);
    nodes(2);
    CHECK_STR(THEN(REFUSED(ERR_MISSING), REFUSED(OK)), "204");
    ask("GET", "/admin/recordings/x", "", BYTES_NONE);
    CHECK_EQ(out.status, 404);
}

// --- files ---

static const char *find_file(const char *query, const char *state, uint64_t file_bytes)
{
    const struct recorded_speaker he = {.user = 11, .packets = 5, .file_bytes = file_bytes};
    ask("GET", "/admin/recordings/77/11.ogg", query, BYTES_NONE);
    nodes(2);
    return THEN(REFUSED(ERR_MISSING), BODY(part(state, 2000, 1, &he)));
}

static const char *piece_asked(void)
{
    const struct record_read *read = MSG_IS(&out.commands[0], record_read);
    if (out.status || !read || !bytes_is(out.at, "node-2"))
        return told(&out);
    return arena_printf(&arena, "%llu at %llu", (unsigned long long)read->limit, (unsigned long long)read->offset).p;
}

TEST(a_file_comes_in_pieces_from_the_node_that_has_it)
{
    char bytes[1024 * 1024];
    memset(bytes, 'x', sizeof bytes);
    find_file("", "stopped", sizeof bytes + 10);
    CHECK_STR(piece_asked(), "1048576 at 0");
    THEN(BODY(((struct bytes){bytes, sizeof bytes})));
    CHECK_STR(piece_asked(), "10 at 1048576");
    THEN(BODY(BYTES("0123456789")));
    CHECK_EQ(out.status, 200);
    CHECK_STR(out.type, "audio/ogg");
    CHECK_EQ(out.body.n, sizeof bytes + 10);
    CHECK_TRUE(memcmp(out.body.p + sizeof bytes, "0123456789", 10) == 0);
}

TEST(a_piece_of_a_file_may_be_asked_for)
{
    find_file("offset=100&limit=5", "stopped", 1000);
    CHECK_STR(piece_asked(), "5 at 100");
    find_file("offset=998&limit=5", "stopped", 1000);
    CHECK_STR(piece_asked(), "2 at 998");
    CHECK_STR(find_file("offset=1000", "stopped", 1000), "200");
    CHECK_STR(out.type, "audio/ogg");
    find_file("offset=x", "stopped", 1000);
    CHECK_EQ(out.status, 400);
    find_file("limit=0", "stopped", 1000);
    CHECK_EQ(out.status, 400);
    find_file("", "stopped", 20000000);
    CHECK_EQ(out.status, 413);
    find_file("limit=16777216", "stopped", 20000000);
    CHECK_STR(piece_asked(), "1048576 at 0");
}

TEST(a_file_of_a_recording_that_runs_or_of_who_said_nothing_is_refused)
{
    CHECK_STR(find_file("", "running", 1000),
              "409 {\"message\":\"The recording has to be stopped first.\",\"code\":0}");
    ask("GET", "/admin/recordings/77/12.ogg", "", BYTES_NONE);
    nodes(1);
    CHECK_STR(THEN(BODY(part("stopped", 5, 0, NULL))),
              "404 {\"message\":\"He said nothing in this recording.\",\"code\":0}");
    ask("GET", "/admin/recordings/77/12.wav", "", BYTES_NONE);
    CHECK_EQ(out.status, 404);
    find_file("", "stopped", 1000);
    THEN(BODY(BYTES("x"))); // it is said to be longer
    CHECK_EQ(out.status, 500);
    find_file("", "stopped", 1000);
    THEN(REFUSED(ERR_TIMEOUT));
    CHECK_EQ(out.status, 503);
}

// --- plays ---

// Three packets of 20 ms.
static struct bytes sound(void)
{
    static const char file[] = "\x4f\x67\x67\x53\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00"
                               "\x00\x00\x07\x05\x69\x57\x01\x13\x4f\x70\x75\x73\x48\x65\x61\x64\x01\x02\x00\x00"
                               "\x80\xbb\x00\x00\x00\x00\x00\x4f\x67\x67\x53\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                               "\x00\x07\x00\x00\x00\x01\x00\x00\x00\x18\xc0\x11\xa8\x01\x10\x4f\x70\x75\x73\x54"
                               "\x61\x67\x73\x00\x00\x00\x00\x00\x00\x00\x00\x4f\x67\x67\x53\x00\x04\x40\x0b\x00"
                               "\x00\x00\x00\x00\x00\x07\x00\x00\x00\x02\x00\x00\x00\x3d\x45\x51\x2f\x03\x04\x04"
                               "\x04\xf8\x6f\x6e\x65\xf8\x6f\x6e\x65\xf8\x6f\x6e\x65";
    return (struct bytes){file, sizeof file - 1};
}

TEST(what_cannot_be_played_is_refused_before_anything_is_done)
{
    ask("POST", "/admin/channels/111/plays", "", sound());
    CHECK_EQ(out.status, 400);
    CHECK_TRUE(strstr(told(&out), "Say ?user=NAME.") != NULL);
    ask("POST", "/admin/channels/111/plays", "user=dj", BYTES("nonsense, which is longer than the head of a page"));
    CHECK_EQ(out.status, 400);
    CHECK_TRUE(strstr(told(&out), "It is not Ogg, or damaged.") != NULL);
    ask("POST", "/admin/channels/x/plays", "user=dj", sound());
    CHECK_EQ(out.status, 404);
}

static void begin_play(const char *path)
{
    ask("POST", path, "user=dj", sound());
    CHECK_EQ(out.n, 3);
    const struct user_find *find = MSG_IS(&out.commands[2], user_find);
    CHECK_TRUE(find && bytes_is(find->name, "dj"));
}

static void check_play(uint64_t guild, uint64_t channel, uint64_t user)
{
    CHECK_TRUE(out.status == 0 && out.play == ADMIN_PLAY_START);
    CHECK_EQ(out.start.guild, guild);
    CHECK_EQ(out.start.channel, channel);
    CHECK_EQ(out.start.user, user);
    CHECK_EQ(out.start.length_ms, 60);
    CHECK_TRUE(bytes_eq(out.start.file, sound()));
}

TEST(who_plays_in_a_guild_is_made_if_need_be_and_becomes_a_member)
{
    begin_play("/admin/channels/111/plays");
    THEN(SAID(GUILDS), SAID("[]"), REFUSED(API_UNKNOWN_USER));
    const struct user_put *put = MSG_IS(&out.commands[0], user_put);
    CHECK_TRUE(put && put->bot && bytes_is(put->username, "dj"));
    THEN(SAID("{\"id\":\"33\"}"));
    const struct world_load *load = MSG_IS(&out.commands[0], world_load);
    CHECK_TRUE(load && bytes_is(load->document, "{\"guilds\":[{\"id\":\"100\",\"members\":[\"33\"]}]}"));
    THEN(SAID("{}"));
    check_play(100, 111, 33);
    admin_step(&arena, &r, NULL, &out); // the shell has no room for it
    CHECK_STR(told(&out), "503 {\"message\":\"This gateway plays as many files as it can.\",\"code\":0}");
}

TEST(who_has_an_account_plays_with_it)
{
    begin_play("/admin/channels/112/plays");
    THEN(SAID(GUILDS), SAID("[]"), SAID("{\"id\":\"33\"}"));
    CHECK_TRUE(MSG_IS(&out.commands[0], world_load) != NULL);
    THEN(REFUSED(ERR_TIMEOUT));
    CHECK_EQ(out.status, 503);
}

TEST(in_a_private_channel_only_who_is_in_it_plays)
{
    begin_play("/admin/channels/900/plays");
    THEN(SAID(GUILDS), SAID(PRIVATES), SAID("{\"id\":\"22\"}"));
    check_play(0, 900, 22);
    begin_play("/admin/channels/900/plays");
    CHECK_STR(THEN(SAID(GUILDS), SAID(PRIVATES), SAID("{\"id\":\"33\"}")),
              "403 {\"message\":\"Only who is in a private channel can speak there.\",\"code\":0}");
    begin_play("/admin/channels/900/plays");
    THEN(SAID(GUILDS), SAID(PRIVATES), REFUSED(API_UNKNOWN_USER));
    CHECK_EQ(out.status, 404);
}

TEST(a_play_that_is_there_is_shown_and_one_that_is_not_is_unknown)
{
    const struct play_shown shown = {.id = 5,
                                     .channel = 111,
                                     .user = 33,
                                     .state = "playing",
                                     .why = "",
                                     .ms = 500,
                                     .length_ms = 1000,
                                     .packets = 25};
    static const char *const methods[] = {"GET", "DELETE"};
    static const enum admin_play wants[] = {ADMIN_PLAY_SHOW, ADMIN_PLAY_STOP};
    for (size_t i = 0; i < countof(methods); i++) {
        ask(methods[i], "/admin/plays/5", "", BYTES_NONE);
        CHECK_TRUE(out.status == 0 && out.play == wants[i] && out.play_id == 5);
        r.play = &shown;
        admin_step(&arena, &r, NULL, &out);
        CHECK_STR(told(&out), "200 {\"id\":\"5\",\"channel_id\":\"111\",\"user_id\":\"33\",\"state\":\"playing\","
                              "\"why\":\"\",\"over\":false,\"muted\":false,\"seconds\":0.5,\"length_seconds\":1.0,"
                              "\"packets\":25}");
        ask(methods[i], "/admin/plays/5", "", BYTES_NONE);
        admin_step(&arena, &r, NULL, &out);
        CHECK_STR(told(&out), "404 {\"message\":\"There is no such play.\",\"code\":0}");
    }
}

MAIN
