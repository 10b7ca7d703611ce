#include "check.h"
#include "vroom.h"

static struct arena arena;
static struct vtells told;
static struct vroom room;

static const struct seat plain = {.state = SEAT_HERE, .speaks = true, .hears = true};
static const struct seat filming = {.state = SEAT_HERE, .speaks = true, .hears = true, .video = true};

// Sessions are 1, 2, 3, …; the user of one is 10 times that, its SSRC 100 times.
static void forget(void)
{
    told.n = 0;
}

static void begin(void)
{
    while (room.n)
        vroom_leave(&room, room.v[0]->session, &told);
    vroom_fini(&room);
    vtells_fini(&told);
    arena_reset(&arena);
    told.arena = &arena;
    room.channel = 7;
}

static void come(uint64_t session, struct seat seat)
{
    vroom_join(&room, session, 10 * session, (uint32_t)(100 * session));
    vroom_seat(&room, session, &seat, &told);
    CHECK_TRUE(vroom_valid(&room));
}

// The nth of what that session is told, as "op d"; "" when there is no more.
static const char *heard(uint64_t session, uint32_t nth)
{
    for (uint32_t i = 0; i < told.n; i++)
        if (told.v[i].session == session && nth-- == 0)
            return arena_text(&arena, arena_printf(&arena, "%u %.*s", told.v[i].op, BYTES_FMT(told.v[i].d)));
    return "";
}

static struct vvideo video_of(uint32_t session, bool on)
{
    return (struct vvideo){.n = 1, .v[0] = {.rid = "100", .ssrc = 100 * session + 1, .on = on, .quality = 100}};
}

#define VIDEO_OF_1                                                                                                     \
    "12 {\"user_id\":\"10\",\"audio_ssrc\":100,\"video_ssrc\":101,\"streams\":[{\"type\":\"video\",\"rid\":\"100\","   \
    "\"ssrc\":101,\"active\":true,\"quality\":100,\"rtx_ssrc\":102,\"max_framerate\":0}]}"
#define NO_VIDEO_OF_1 "12 {\"user_id\":\"10\",\"audio_ssrc\":100,\"video_ssrc\":0,\"streams\":[]}"

TEST(the_first_is_told_nothing)
{
    begin();
    come(1, plain);
    CHECK_EQ(told.n, 0);
}

TEST(nobody_knows_of_who_has_no_seat)
{
    begin();
    come(1, plain);
    vroom_join(&room, 2, 20, 200);
    vroom_speak(&room, 2, 1, &told);
    vroom_speak(&room, 1, 1, &told);
    (void)vroom_video(&room, 2, &(struct vvideo){0}, &told);
    vroom_leave(&room, 2, &told);
    CHECK_EQ(told.n, 0);
}

TEST(a_joiner_and_the_others_hear_of_each_other_in_order)
{
    begin();
    come(1, (struct seat){.state = SEAT_HERE, .speaks = true, .video = true, .flags = 2});
    struct vvideo on = video_of(1, true);
    vroom_speak(&room, 1, 1, &told);
    CHECK_EQ(vroom_video(&room, 1, &on, &told), 1);
    come(2, plain);
    forget();
    vroom_join(&room, 3, 30, 300);
    vroom_speak(&room, 3, 2, &told); // before its seat was seen
    vroom_seat(&room, 3, &plain, &told);
    static const char *const joiner[] = {"11 {\"user_ids\":[\"10\",\"20\"]}",
                                         "18 {\"user_id\":\"10\",\"flags\":2}",
                                         "20 {\"user_id\":\"10\",\"platform\":null}",
                                         "5 {\"user_id\":\"10\",\"ssrc\":100,\"speaking\":1}",
                                         VIDEO_OF_1,
                                         "18 {\"user_id\":\"20\",\"flags\":0}",
                                         "20 {\"user_id\":\"20\",\"platform\":null}",
                                         ""};
    static const char *const others[] = {"11 {\"user_ids\":[\"30\"]}", "18 {\"user_id\":\"30\",\"flags\":0}",
                                         "20 {\"user_id\":\"30\",\"platform\":null}",
                                         "5 {\"user_id\":\"30\",\"ssrc\":300,\"speaking\":2}", ""};
    for (uint32_t i = 0; i < countof(joiner); i++)
        CHECK_STR(heard(3, i), joiner[i]);
    for (uint32_t i = 0; i < countof(others); i++)
        CHECK_STR(heard(2, i), others[i]);
}

TEST(who_leaves_is_told_to_those_who_stay)
{
    begin();
    come(1, plain), come(2, plain), come(3, plain);
    forget();
    vroom_leave(&room, 2, &told);
    CHECK_STR(heard(1, 0), "13 {\"user_id\":\"20\"}");
    CHECK_STR(heard(3, 0), "13 {\"user_id\":\"20\"}");
    CHECK_EQ(told.n, 2);
    CHECK_EQ(room.n, 2);
}

TEST(speaking_is_told_to_others_and_not_to_oneself)
{
    begin();
    come(1, plain), come(2, plain), come(3, plain);
    forget();
    vroom_speak(&room, 1, 0, &told);
    CHECK_STR(heard(2, 0), "5 {\"user_id\":\"10\",\"ssrc\":100,\"speaking\":0}");
    CHECK_STR(heard(3, 0), "5 {\"user_id\":\"10\",\"ssrc\":100,\"speaking\":0}");
    CHECK_EQ(told.n, 2);
}

TEST(of_who_is_silenced_only_the_ssrc_is_told)
{
    begin();
    come(1, (struct seat){.state = SEAT_HERE}), come(2, plain);
    forget();
    vroom_speak(&room, 1, 1, &told);
    CHECK_STR(heard(2, 0), "5 {\"user_id\":\"10\",\"ssrc\":100,\"speaking\":0}");
    vroom_speak(&room, 1, 3, &told);
    CHECK_EQ(told.n, 1);
    vroom_seat(&room, 1, &plain, &told); // and when he may speak, that he does
    CHECK_STR(heard(2, 1), "5 {\"user_id\":\"10\",\"ssrc\":100,\"speaking\":3}");
    vroom_seat(&room, 1, &(struct seat){.state = SEAT_HERE}, &told);
    CHECK_STR(heard(2, 2), "5 {\"user_id\":\"10\",\"ssrc\":100,\"speaking\":0}");
    CHECK_EQ(told.n, 3);
}

TEST(priority_is_for_those_who_may)
{
    struct seat priority = plain;
    begin();
    come(1, plain), come(2, plain);
    forget();
    vroom_speak(&room, 1, 5, &told);
    CHECK_STR(heard(2, 0), "5 {\"user_id\":\"10\",\"ssrc\":100,\"speaking\":1}");
    priority.priority = true;
    vroom_seat(&room, 1, &priority, &told);
    CHECK_STR(heard(2, 1), "5 {\"user_id\":\"10\",\"ssrc\":100,\"speaking\":5}");
    vroom_speak(&room, 1, 255, &told);
    CHECK_STR(heard(2, 2), "5 {\"user_id\":\"10\",\"ssrc\":100,\"speaking\":7}");
}

TEST(a_seat_that_says_the_same_is_told_to_nobody)
{
    begin();
    come(1, plain), come(2, plain);
    vroom_speak(&room, 1, 1, &told);
    forget();
    vroom_seat(&room, 1, &plain, &told);
    CHECK_EQ(told.n, 0);
    vroom_seat(&room, 1, &(struct seat){.state = SEAT_HERE, .speaks = true, .flags = 9}, &told);
    CHECK_STR(heard(2, 0), "18 {\"user_id\":\"10\",\"flags\":9}");
    CHECK_EQ(told.n, 1);
}

TEST(video_has_the_ssrcs_of_its_sender_whatever_he_says)
{
    begin();
    come(1, filming), come(2, plain);
    forget();
    struct vvideo video = {.n = 3,
                           .v = {{.ssrc = 103, .on = true}, {.ssrc = 201, .on = true}, {.ssrc = 0, .on = false}}};
    CHECK_EQ(vroom_video(&room, 1, &video, &told), 2); // what he has no name for takes its place in the list
    CHECK_TRUE(strstr(heard(2, 0), "\"video_ssrc\":103") != NULL);
    CHECK_TRUE(strstr(heard(2, 0), "\"ssrc\":201") == NULL);
    CHECK_TRUE(strstr(heard(2, 0), "\"rid\":\"100\",\"ssrc\":105,\"active\":false") != NULL);
}

TEST(video_of_who_may_not_is_off)
{
    struct vvideo on = video_of(1, true), off = video_of(1, false);
    begin();
    come(1, filming), come(2, plain);
    forget();
    (void)vroom_video(&room, 1, &on, &told);
    CHECK_STR(heard(2, 0), VIDEO_OF_1);
    vroom_seat(&room, 1, &plain, &told);
    CHECK_STR(heard(2, 1), NO_VIDEO_OF_1);
    vroom_seat(&room, 1, &filming, &told);
    CHECK_STR(heard(2, 2), VIDEO_OF_1);
    CHECK_EQ(vroom_video(&room, 1, &off, &told), 0);
    CHECK_STR(heard(2, 3), NO_VIDEO_OF_1);
}

TEST(a_sender_is_asked_for_the_most_that_anybody_wants)
{
    struct vvideo on = video_of(1, true);
    begin();
    come(1, filming);
    (void)vroom_video(&room, 1, &on, &told);
    CHECK_STR(heard(1, 0), "15 {\"any\":100,\"101\":0}");
    forget();
    come(2, plain);
    CHECK_STR(heard(1, 3), "15 {\"any\":100,\"101\":100}");
    come(3, plain);
    forget();
    vroom_wants(&room, 2, &(struct vwants){.any = 0}, &told);
    CHECK_EQ(told.n, 0); // the third still wants all
    vroom_wants(&room, 3, &(struct vwants){.any = 0, .n = 1, .v[0] = {101, 30, 400}}, &told);
    CHECK_STR(heard(1, 0), "15 {\"any\":100,\"101\":30,\"pixelCounts\":{\"101\":400.0}}");
    vroom_wants(&room, 1, &(struct vwants){.any = 100}, &told); // what he wants himself is nobody's wish
    CHECK_EQ(told.n, 1);
    vroom_leave(&room, 3, &told);
    CHECK_STR(heard(1, 2), "15 {\"any\":100,\"101\":0}");
}

TEST(the_codec_is_the_first_that_all_can_decode)
{
    const struct vcodecs all = {.decodes = 31, .n = 3, .encodes = {VCODEC_AV1, VCODEC_H264, VCODEC_VP8}};
    const struct vcodecs few = {.decodes = 1 << VCODEC_VP8 | 1 << VCODEC_H264, .n = 1, .encodes = {VCODEC_VP8}};
    const struct vcodecs odd = {.decodes = 1 << VCODEC_VP9, .n = 1, .encodes = {VCODEC_VP9}};
    begin();
    come(1, plain), come(2, plain), come(3, plain);
    forget();
    CHECK_EQ(vroom_codecs(&room, 1, &all, true, &told), VCODEC_AV1);
    CHECK_EQ(told.n, 0); // op 4 has it
    CHECK_EQ(vroom_codecs(&room, 2, &few, true, &told), VCODEC_VP8);
    CHECK_STR(heard(1, 0), "14 {\"audio_codec\":\"opus\",\"video_codec\":\"H264\"}");
    CHECK_EQ(vroom_codecs(&room, 3, &odd, true, &told), VCODEC_VP9);
    CHECK_STR(heard(1, 1), "14 {\"audio_codec\":\"opus\",\"video_codec\":\"AV1\"}"); // none that all can: his own best
    vroom_leave(&room, 3, &told);
    CHECK_STR(heard(1, 3), "14 {\"audio_codec\":\"opus\",\"video_codec\":\"H264\"}");
    CHECK_EQ(vroom_codecs(&room, 2, &(struct vcodecs){0}, false, &told), VCODEC_H264);
    CHECK_STR(heard(1, 4), "14 {\"audio_codec\":\"opus\",\"video_codec\":\"AV1\"}");
    CHECK_STR(heard(2, 1), "14 {\"audio_codec\":\"opus\",\"video_codec\":\"H264\"}");
}

TEST(nothing_is_left_of_a_room)
{
    begin();
    come(1, plain), come(2, plain);
    vroom_leave(&room, 1, &told);
    vroom_leave(&room, 2, &told);
    CHECK_EQ(room.n, 0);
    begin();
}

MAIN
