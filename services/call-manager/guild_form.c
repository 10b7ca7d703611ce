// guild_form: see guild_form.h.
#include "guild_form.h"
#include "errors.h"
#include "present_guild.h"
#include "text.h"

#define CATEGORY_MAX 50u // channels in one category

static int wrong(struct fault *fault, const char *field, const char *code, const char *text)
{
    *fault = (struct fault){field, -1, code, text};
    return API_INVALID_FORM;
}

struct range { // of a number
    const char *field;
    uint64_t low, high;
    const char *too_low, *too_high;
};
#define RANGE(field, low, high)                                                                                        \
    {                                                                                                                  \
        field, low, high, "int value should be greater than or equal to " #low ".",                                    \
            "int value should be less than or equal to " #high "."                                                     \
    }

static int number(uint64_t value, const struct range *r, struct fault *fault)
{
    if (value < r->low)
        return wrong(fault, r->field, "NUMBER_TYPE_MIN", r->too_low);
    return value > r->high ? wrong(fault, r->field, "NUMBER_TYPE_MAX", r->too_high) : OK;
}

struct length { // of a text, in code points
    const char *field;
    size_t low, high;
    const char *code, *text;
};
#define BETWEEN(field, low, high)                                                                                      \
    {                                                                                                                  \
        field, low, high, "BASE_TYPE_BAD_LENGTH", "Must be between " #low " and " #high " in length."                  \
    }
#define AT_MOST(field, high)                                                                                           \
    {                                                                                                                  \
        field, 0, high, "BASE_TYPE_MAX_LENGTH", "Must be " #high " or fewer in length."                                \
    }

static int text(struct bytes value, const struct length *l, struct fault *fault)
{
    size_t n = text_code_points(value);
    return n < l->low || n > l->high ? wrong(fault, l->field, l->code, l->text) : OK;
}

int guild_form_member(const struct member_edit *e, uint64_t now, struct fault *fault)
{
    static const struct length nick = AT_MOST("nick", 32);
    int err = e->set & SET_MEMBER_NICK ? text(e->to->nick, &nick, fault) : OK;
    if (!err && e->set & SET_MEMBER_DISABLED && e->to->disabled_until > now + MEMBER_TIMEOUT_MS)
        err = wrong(fault, "communication_disabled_until", "DATE_TYPE_MAX", "A time-out lasts 28 days at most.");
    return err;
}

int guild_form_voice(const struct voice_state_edit *e, uint64_t now, struct fault *fault)
{
    if (e->set & SET_VOICE_REQUEST && e->request_at && e->request_at + REQUEST_LATE_MS < now)
        return wrong(fault, "request_to_speak_timestamp", "DATE_TYPE_MIN", "Must be now or in the future.");
    return OK;
}

static bool is_channel_type(uint64_t type)
{
    return type == CHANNEL_TEXT || type == CHANNEL_CATEGORY || type == CHANNEL_ANNOUNCEMENT || channel_has_voice(type);
}

// A channel stays what it is, but that a text channel may become one of announcements and back.
static int channel_type(uint64_t type, const struct guild_channel *was, struct fault *fault)
{
    bool text_like = type == CHANNEL_TEXT || type == CHANNEL_ANNOUNCEMENT;
    if (!was)
        return is_channel_type(type)
                   ? OK
                   : wrong(fault, "type", "BASE_TYPE_CHOICES", "Value must be one of (0, 2, 4, 5, 13).");
    if (type == was->type || (text_like && (was->type == CHANNEL_TEXT || was->type == CHANNEL_ANNOUNCEMENT)))
        return OK;
    return wrong(fault, "type", "CHANNEL_TYPE_INVALID", "Cannot convert between those channel types");
}

static int channel_voice(const struct channel_put *e, uint64_t type, bool region_known, struct fault *fault)
{
    static const struct range bitrate = RANGE("bitrate", 8000, 384000);
    static const struct range limit = RANGE("user_limit", 0, 99), stage_limit = RANGE("user_limit", 0, 10000);
    int err = OK;
    if (e->set & SET_CHANNEL_BITRATE && e->to->bitrate)
        err = number(e->to->bitrate, &bitrate, fault);
    if (!err && e->set & SET_CHANNEL_USER_LIMIT)
        err = number(e->to->user_limit, type == CHANNEL_STAGE ? &stage_limit : &limit, fault);
    if (!err && e->set & SET_CHANNEL_REGION && e->to->rtc_region.p && !region_known)
        err = wrong(fault, "rtc_region", "BASE_TYPE_CHOICES", "Value must be a known region.");
    if (!err && e->set & SET_CHANNEL_VIDEO_QUALITY && e->to->video_quality > 2)
        err = wrong(fault, "video_quality_mode", "BASE_TYPE_CHOICES", "Value must be one of (1, 2).");
    return err;
}

int guild_form_channel(const struct channel_put *e, const struct guild_channel *was, bool region_known,
                       struct fault *fault)
{
    static const struct length name = BETWEEN("name", 1, 100), topic = AT_MOST("topic", 1024);
    static const struct range slow = RANGE("rate_limit_per_user", 0, 21600),
                              position = RANGE("position", 0, 2147483647);
    uint64_t type = e->set & SET_CHANNEL_TYPE ? e->to->type : was ? was->type : CHANNEL_TEXT;
    int err = OK;
    if (!was && !(e->set & SET_CHANNEL_NAME))
        err = wrong(fault, "name", "BASE_TYPE_REQUIRED", "This field is required");
    if (!err && e->set & SET_CHANNEL_NAME)
        err = text(e->to->name, &name, fault);
    if (!err && e->set & SET_CHANNEL_TYPE)
        err = channel_type(type, was, fault);
    if (!err && e->set & SET_CHANNEL_TOPIC)
        err = text(e->to->topic, &topic, fault);
    if (!err && e->set & SET_CHANNEL_RATE_LIMIT)
        err = number(e->to->rate_limit, &slow, fault);
    if (!err && e->set & SET_CHANNEL_POSITION)
        err = number(e->to->position, &position, fault);
    if (!err && channel_has_voice(type))
        err = channel_voice(e, type, region_known, fault);
    return err;
}

int guild_form_parent(uint64_t type, const struct guild_channel *parent, uint32_t filled, struct fault *fault)
{
    if (type == CHANNEL_CATEGORY)
        return wrong(fault, "parent_id", "CHANNEL_PARENT_INVALID", "Categories cannot have a parent");
    if (!parent)
        return wrong(fault, "parent_id", "CHANNEL_PARENT_INVALID", "Category does not exist");
    if (parent->type != CHANNEL_CATEGORY)
        return wrong(fault, "parent_id", "CHANNEL_PARENT_INVALID_TYPE", "Not a category");
    if (filled >= CATEGORY_MAX)
        return wrong(fault, "parent_id", "CHANNEL_PARENT_MAX_CHANNELS",
                     "Maximum number of channels in category reached (50)");
    return OK;
}

int guild_form_role(const struct role_put *e, struct fault *fault)
{
    static const struct length name = BETWEEN("name", 1, 100);
    static const struct range color = RANGE("color", 0, 16777215), position = RANGE("position", 1, 2147483647);
    int err = e->set & SET_ROLE_NAME ? text(e->to->name, &name, fault) : OK;
    if (!err && e->set & SET_ROLE_COLOR)
        err = number(e->to->color, &color, fault);
    if (!err && e->set & SET_ROLE_POSITION)
        err = number(e->to->position, &position, fault);
    return err;
}

static bool is_afk_timeout(uint64_t seconds)
{
    return seconds == 60 || seconds == 300 || seconds == 900 || seconds == 1800 || seconds == 3600;
}

int guild_form_guild(const struct guild_edit *e, const struct guild_channel *afk, struct fault *fault)
{
    static const struct length name = BETWEEN("name", 2, 100), description = AT_MOST("description", 300);
    static const struct range videos = RANGE("max_video_channel_users", 0, 10000),
                              stage_videos = RANGE("max_stage_video_channel_users", 0, 10000);
    int err = e->set & SET_GUILD_NAME ? text(e->to->name, &name, fault) : OK;
    if (!err && e->set & SET_GUILD_DESCRIPTION)
        err = text(e->to->description, &description, fault);
    if (!err && e->set & SET_GUILD_AFK_TIMEOUT && e->to->afk_timeout && !is_afk_timeout(e->to->afk_timeout))
        err = wrong(fault, "afk_timeout", "BASE_TYPE_CHOICES", "Value must be one of (60, 300, 900, 1800, 3600).");
    if (!err && e->set & SET_GUILD_AFK_CHANNEL && e->to->afk_channel && (!afk || afk->type != CHANNEL_VOICE))
        err = wrong(fault, "afk_channel_id", "CHANNEL_TYPE_INVALID", "Not a voice channel of this server");
    if (!err && e->set & SET_GUILD_VIDEO_MAX)
        err = number(e->to->video_max, &videos, fault);
    if (!err && e->set & SET_GUILD_STAGE_VIDEO_MAX)
        err = number(e->to->stage_video_max, &stage_videos, fault);
    return err;
}

int guild_form_stage(const struct stage_put *e, struct fault *fault)
{
    static const struct length topic = BETWEEN("topic", 1, 120);
    int err = OK;
    if (e->opens && !(e->set & SET_STAGE_TOPIC))
        err = wrong(fault, "topic", "BASE_TYPE_REQUIRED", "This field is required");
    if (!err && e->set & SET_STAGE_TOPIC)
        err = text(e->to->topic, &topic, fault);
    if (!err && e->set & SET_STAGE_PRIVACY && (e->to->privacy < 1 || e->to->privacy > 2))
        err = wrong(fault, "privacy_level", "BASE_TYPE_CHOICES", "Value must be one of (1, 2).");
    return err;
}

int guild_form_status(const struct status_put *e, struct fault *fault)
{
    static const struct length status = AT_MOST("status", 500);
    return text(e->status, &status, fault);
}
