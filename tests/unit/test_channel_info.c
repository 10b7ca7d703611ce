// test_channel_info: of the voice channels that somebody may view, what was asked for.
#include "channel_info.h"
#include "check.h"

#define GUILD 1u
#define VIEWER 100u

static const struct role roles[] = {{.id = GUILD, .permissions = MAY(VIEW_CHANNEL)}};
static const struct overwrite hides[] = {{.id = GUILD, .deny = MAY(VIEW_CHANNEL)}};
static const struct guild_channel channels[] = {{.id = 10, .type = 2},
                                                {.id = 11, .type = 2},
                                                {.id = 12, .type = 2, .overwrites = {1, hides}},
                                                {.id = 13, .type = 2}};
static const struct voice_room rooms[] = {
    {.channel = 10, .started_at = 5999, .status = {"hi \"you\"", 8}},
    {.channel = 11, .started_at = 7000},
    {.channel = 12, .started_at = 8000, .status = {"hidden", 6}},
    {.channel = 14, .started_at = 9000, .status = {"of no channel", 13}},
};
static const struct member members[] = {{.user = VIEWER}};
static const struct loaded_guild guild = {
    .guild = {.id = GUILD, .owner = 1000},
    .roles = {1, roles},
    .n_channels = countof(channels),
    .channels = channels,
    .n_rooms = countof(rooms),
    .rooms = rooms,
    .n_members = 1,
    .members = members,
};

TEST(what_was_asked_for_is_told_of_channels_that_he_may_view)
{
    static const struct {
        struct op_info asked;
        uint64_t viewer;
        const char *channels;
    } rows[] = {
        {{.status = true, .start = true},
         VIEWER,
         "{\"id\":\"10\",\"status\":\"hi "
         "\\\"you\\\"\",\"voice_start_time\":5},{\"id\":\"11\",\"status\":null,\"voice_start_time\":7}"},
        {{.start = true}, VIEWER, "{\"id\":\"10\",\"voice_start_time\":5},{\"id\":\"11\",\"voice_start_time\":7}"},
        {{.status = true}, VIEWER, "{\"id\":\"10\",\"status\":\"hi \\\"you\\\"\"}"},
        {{.statuses = true, .start = true}, VIEWER, "{\"id\":\"10\",\"status\":\"hi \\\"you\\\"\"}"},
        {{0}, VIEWER, ""},
        {{.status = true, .start = true}, 5, ""},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf out = {0}, want = {0};
        channel_info_json(&out, &guild, rows[i].viewer, &rows[i].asked);
        buf_char(&out, 0);
        buf_printf(&want, "{\"guild_id\":\"1\",\"channels\":[%s]}", rows[i].channels);
        buf_char(&want, 0);
        CHECK_STR(out.p, want.p);
        buf_fini(&out);
        buf_fini(&want);
    }
}

MAIN
