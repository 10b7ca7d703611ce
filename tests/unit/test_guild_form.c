// guild_form: every limit, on both of its sides.
#include "check.h"
#include "errors.h"
#include "guild_form.h"
#include "present.h"

enum { NOW = 1000000000 };

static struct fault fault;

// n code points of two bytes each.
static struct bytes long_text(size_t n)
{
    static char text[4096];
    for (size_t i = 0; i < n; i++)
        memcpy(text + 2 * i, "é", 2);
    return (struct bytes){text, 2 * n};
}

static void refused(int err, const char *field, const char *code)
{
    CHECK_EQ(err, API_INVALID_FORM);
    CHECK_STR(fault.field, field);
    CHECK_STR(fault.code, code);
    CHECK_EQ(fault.index, -1);
    CHECK_TRUE(fault.text != NULL);
}

static int channel(uint64_t set, struct guild_channel to, const struct guild_channel *was, bool region_known)
{
    const struct channel_put e = {.set = set, .to = &to};
    return guild_form_channel(&e, was, region_known, &fault);
}

TEST(a_new_channel_needs_a_name_of_1_to_100_characters)
{
    refused(channel(0, (struct guild_channel){0}, NULL, false), "name", "BASE_TYPE_REQUIRED");
    refused(channel(SET_CHANNEL_NAME, (struct guild_channel){0}, NULL, false), "name", "BASE_TYPE_BAD_LENGTH");
    refused(channel(SET_CHANNEL_NAME, (struct guild_channel){.name = long_text(101)}, NULL, false), "name",
            "BASE_TYPE_BAD_LENGTH");
    CHECK_EQ(channel(SET_CHANNEL_NAME, (struct guild_channel){.name = long_text(100)}, NULL, false), OK);
    const struct guild_channel was = {.type = CHANNEL_VOICE};
    CHECK_EQ(channel(0, (struct guild_channel){0}, &was, false), OK);
    refused(channel(SET_CHANNEL_NAME, (struct guild_channel){0}, &was, false), "name", "BASE_TYPE_BAD_LENGTH");
}

TEST(numbers_of_a_channel_have_bounds)
{
    static const struct {
        uint64_t set, type;
        struct guild_channel low, high, under, over; // the first two will do
        const char *field;
        bool has_low;
    } rows[] = {
        {SET_CHANNEL_BITRATE,
         CHANNEL_VOICE,
         {.bitrate = 8000},
         {.bitrate = 384000},
         {.bitrate = 7999},
         {.bitrate = 384001},
         "bitrate",
         true},
        {SET_CHANNEL_USER_LIMIT,
         CHANNEL_VOICE,
         {.user_limit = 0},
         {.user_limit = 99},
         {0},
         {.user_limit = 100},
         "user_limit",
         false},
        {SET_CHANNEL_USER_LIMIT,
         CHANNEL_STAGE,
         {.user_limit = 0},
         {.user_limit = 10000},
         {0},
         {.user_limit = 10001},
         "user_limit",
         false},
        {SET_CHANNEL_RATE_LIMIT,
         CHANNEL_TEXT,
         {.rate_limit = 0},
         {.rate_limit = 21600},
         {0},
         {.rate_limit = 21601},
         "rate_limit_per_user",
         false},
        {SET_CHANNEL_POSITION,
         CHANNEL_TEXT,
         {.position = 0},
         {.position = 2147483647},
         {0},
         {.position = 2147483648},
         "position",
         false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const struct guild_channel was = {.type = rows[i].type};
        CHECK_EQ(channel(rows[i].set, rows[i].low, &was, false), OK);
        CHECK_EQ(channel(rows[i].set, rows[i].high, &was, false), OK);
        if (rows[i].has_low)
            refused(channel(rows[i].set, rows[i].under, &was, false), rows[i].field, "NUMBER_TYPE_MIN");
        refused(channel(rows[i].set, rows[i].over, &was, false), rows[i].field, "NUMBER_TYPE_MAX");
        CHECK_EQ(channel(0, rows[i].over, &was, false), OK); // not named: not looked at
    }
}

TEST(what_a_text_channel_has_no_use_for_is_not_looked_at)
{
    const struct guild_channel was = {.type = CHANNEL_TEXT}, to = {.bitrate = 1, .rtc_region = BYTES("nowhere")};
    CHECK_EQ(channel(SET_CHANNEL_BITRATE | SET_CHANNEL_REGION, to, &was, false), OK);
}

TEST(a_region_is_known_or_none)
{
    const struct guild_channel was = {.type = CHANNEL_STAGE}, to = {.rtc_region = BYTES("rotterdam")};
    CHECK_EQ(channel(SET_CHANNEL_REGION, to, &was, true), OK);
    CHECK_EQ(channel(SET_CHANNEL_REGION, (struct guild_channel){0}, &was, false), OK);
    refused(channel(SET_CHANNEL_REGION, to, &was, false), "rtc_region", "BASE_TYPE_CHOICES");
}

TEST(a_topic_and_a_video_quality_have_bounds)
{
    const struct guild_channel was = {.type = CHANNEL_VOICE};
    CHECK_EQ(channel(SET_CHANNEL_TOPIC, (struct guild_channel){.topic = long_text(1024)}, &was, false), OK);
    refused(channel(SET_CHANNEL_TOPIC, (struct guild_channel){.topic = long_text(1025)}, &was, false), "topic",
            "BASE_TYPE_MAX_LENGTH");
    CHECK_EQ(channel(SET_CHANNEL_VIDEO_QUALITY, (struct guild_channel){.video_quality = 2}, &was, false), OK);
    refused(channel(SET_CHANNEL_VIDEO_QUALITY, (struct guild_channel){.video_quality = 3}, &was, false),
            "video_quality_mode", "BASE_TYPE_CHOICES");
}

TEST(channels_are_of_a_type_that_there_is_and_stay_so)
{
    static const struct {
        uint64_t was, to; // was 1: a new one
        bool fits;
    } rows[] = {{1, 0, true},  {1, 2, true},   {1, 4, true},   {1, 5, true},  {1, 13, true},
                {1, 1, false}, {1, 3, false},  {1, 14, false}, {0, 5, true},  {5, 0, true},
                {0, 0, true},  {2, 13, false}, {0, 2, false},  {4, 5, false}, {13, 13, true}};
    for (size_t i = 0; i < countof(rows); i++) {
        const struct guild_channel was = {.type = rows[i].was}, to = {.name = BYTES("x"), .type = rows[i].to};
        int err = channel(SET_CHANNEL_NAME | SET_CHANNEL_TYPE, to, rows[i].was == 1 ? NULL : &was, false);
        CHECK_EQ(err, rows[i].fits ? OK : API_INVALID_FORM);
        if (!rows[i].fits)
            CHECK_STR(fault.field, "type");
    }
}

TEST(a_parent_is_a_category_with_room)
{
    const struct guild_channel category = {.type = CHANNEL_CATEGORY}, text = {.type = CHANNEL_TEXT};
    CHECK_EQ(guild_form_parent(CHANNEL_VOICE, &category, 49, &fault), OK);
    refused(guild_form_parent(CHANNEL_VOICE, &category, 50, &fault), "parent_id", "CHANNEL_PARENT_MAX_CHANNELS");
    refused(guild_form_parent(CHANNEL_VOICE, NULL, 0, &fault), "parent_id", "CHANNEL_PARENT_INVALID");
    refused(guild_form_parent(CHANNEL_VOICE, &text, 0, &fault), "parent_id", "CHANNEL_PARENT_INVALID_TYPE");
    refused(guild_form_parent(CHANNEL_CATEGORY, &category, 0, &fault), "parent_id", "CHANNEL_PARENT_INVALID");
}

static int role(uint64_t set, struct role to)
{
    const struct role_put e = {.set = set, .to = &to};
    return guild_form_role(&e, &fault);
}

TEST(a_role_has_a_name_a_color_and_a_position)
{
    CHECK_EQ(role(0, (struct role){0}), OK);
    CHECK_EQ(role(SET_ROLE_NAME, (struct role){.name = long_text(100)}), OK);
    refused(role(SET_ROLE_NAME, (struct role){.name = long_text(101)}), "name", "BASE_TYPE_BAD_LENGTH");
    refused(role(SET_ROLE_NAME, (struct role){0}), "name", "BASE_TYPE_BAD_LENGTH");
    CHECK_EQ(role(SET_ROLE_COLOR, (struct role){.color = 0xffffff}), OK);
    refused(role(SET_ROLE_COLOR, (struct role){.color = 0x1000000}), "color", "NUMBER_TYPE_MAX");
    CHECK_EQ(role(SET_ROLE_POSITION, (struct role){.position = 1}), OK);
    refused(role(SET_ROLE_POSITION, (struct role){0}), "position", "NUMBER_TYPE_MIN");
}

static int member(uint64_t set, struct member to)
{
    const struct member_edit e = {.set = set, .to = &to};
    return guild_form_member(&e, NOW, &fault);
}

TEST(a_nickname_has_32_characters_and_a_time_out_28_days_at_most)
{
    CHECK_EQ(member(SET_MEMBER_NICK, (struct member){.nick = long_text(32)}), OK);
    refused(member(SET_MEMBER_NICK, (struct member){.nick = long_text(33)}), "nick", "BASE_TYPE_MAX_LENGTH");
    uint64_t last = NOW + MEMBER_TIMEOUT_MS;
    CHECK_EQ(member(SET_MEMBER_DISABLED, (struct member){.disabled_until = last}), OK);
    refused(member(SET_MEMBER_DISABLED, (struct member){.disabled_until = last + 1}), "communication_disabled_until",
            "DATE_TYPE_MAX");
}

TEST(a_request_to_speak_is_of_now_or_later)
{
    struct voice_state_edit e = {.set = SET_VOICE_REQUEST, .request_at = NOW - REQUEST_LATE_MS};
    CHECK_EQ(guild_form_voice(&e, NOW, &fault), OK);
    e.request_at--;
    refused(guild_form_voice(&e, NOW, &fault), "request_to_speak_timestamp", "DATE_TYPE_MIN");
    e.request_at = 0;
    CHECK_EQ(guild_form_voice(&e, NOW, &fault), OK);
}

static int guild(uint64_t set, struct guild to, const struct guild_channel *afk)
{
    const struct guild_edit e = {.set = set, .to = &to};
    return guild_form_guild(&e, afk, &fault);
}

TEST(a_guild_has_a_name_of_2_to_100_characters_and_a_voice_channel_for_the_absent)
{
    const struct guild_channel voice = {.type = CHANNEL_VOICE}, stage = {.type = CHANNEL_STAGE};
    CHECK_EQ(guild(SET_GUILD_NAME, (struct guild){.name = long_text(2)}, NULL), OK);
    refused(guild(SET_GUILD_NAME, (struct guild){.name = long_text(1)}, NULL), "name", "BASE_TYPE_BAD_LENGTH");
    refused(guild(SET_GUILD_NAME, (struct guild){.name = long_text(101)}, NULL), "name", "BASE_TYPE_BAD_LENGTH");
    refused(guild(SET_GUILD_DESCRIPTION, (struct guild){.description = long_text(301)}, NULL), "description",
            "BASE_TYPE_MAX_LENGTH");
    CHECK_EQ(guild(SET_GUILD_AFK_TIMEOUT, (struct guild){.afk_timeout = 1800}, NULL), OK);
    refused(guild(SET_GUILD_AFK_TIMEOUT, (struct guild){.afk_timeout = 301}, NULL), "afk_timeout", "BASE_TYPE_CHOICES");
    CHECK_EQ(guild(SET_GUILD_AFK_CHANNEL, (struct guild){.afk_channel = 5}, &voice), OK);
    CHECK_EQ(guild(SET_GUILD_AFK_CHANNEL, (struct guild){0}, NULL), OK);
    refused(guild(SET_GUILD_AFK_CHANNEL, (struct guild){.afk_channel = 5}, &stage), "afk_channel_id",
            "CHANNEL_TYPE_INVALID");
    refused(guild(SET_GUILD_AFK_CHANNEL, (struct guild){.afk_channel = 5}, NULL), "afk_channel_id",
            "CHANNEL_TYPE_INVALID");
}

TEST(a_guild_has_cameras_by_the_ten_thousand_at_most)
{
    static const uint64_t least = 0, most = 10000;
    CHECK_EQ(guild(SET_GUILD_VIDEO_MAX | SET_GUILD_STAGE_VIDEO_MAX,
                   (struct guild){.video_max = least, .stage_video_max = most}, NULL),
             OK);
    refused(guild(SET_GUILD_VIDEO_MAX, (struct guild){.video_max = most + 1}, NULL), "max_video_channel_users",
            "NUMBER_TYPE_MAX");
    refused(guild(SET_GUILD_STAGE_VIDEO_MAX, (struct guild){.stage_video_max = UINT64_MAX}, NULL),
            "max_stage_video_channel_users", "NUMBER_TYPE_MAX");
}

TEST(a_stage_has_a_topic_and_a_status_500_characters_at_most)
{
    struct stage to = {.topic = long_text(120), .privacy = 2};
    struct stage_put e = {.opens = true, .set = SET_STAGE_TOPIC | SET_STAGE_PRIVACY, .to = &to};
    CHECK_EQ(guild_form_stage(&e, &fault), OK);
    to.topic = long_text(121);
    refused(guild_form_stage(&e, &fault), "topic", "BASE_TYPE_BAD_LENGTH");
    to.topic = BYTES_NONE;
    refused(guild_form_stage(&e, &fault), "topic", "BASE_TYPE_BAD_LENGTH");
    e.set = SET_STAGE_PRIVACY;
    refused(guild_form_stage(&e, &fault), "topic", "BASE_TYPE_REQUIRED");
    e.opens = false;
    CHECK_EQ(guild_form_stage(&e, &fault), OK);
    to.privacy = 3;
    refused(guild_form_stage(&e, &fault), "privacy_level", "BASE_TYPE_CHOICES");
    to.privacy = 0;
    refused(guild_form_stage(&e, &fault), "privacy_level", "BASE_TYPE_CHOICES");
    CHECK_EQ(guild_form_status(&(struct status_put){.status = long_text(500)}, &fault), OK);
    refused(guild_form_status(&(struct status_put){.status = long_text(501)}, &fault), "status",
            "BASE_TYPE_MAX_LENGTH");
}

MAIN
