// test_intents: what a bot has to have asked for.
#include "intents.h"
#include "check.h"

TEST(events_are_gated_by_the_bits_that_bots_know)
{
    static const struct {
        const char *name;
        uint64_t guild, elsewhere;
    } rows[] = {
        {"GUILD_CREATE", 1 << 0, 1 << 0},
        {"GUILD_MEMBER_ADD", 1 << 1, 1 << 1},
        {"GUILD_MEMBERS_CHUNK", 0, 0},
        {"CHANNEL_UPDATE", 1 << 0, 1 << 18},
        {"VOICE_STATE_UPDATE", 1 << 7, 1 << 19},
        {"VOICE_SERVER_UPDATE", 0, 0},
        {"MESSAGE_CREATE", 1 << 9, 1 << 12},
        {"MESSAGE_UPDATE", 1 << 9, 1 << 12},
        {"CALL_CREATE", 1 << 19, 1 << 19},
        {"CALL_DELETE", 1 << 19, 1 << 19},
        {"TYPING_START", 1 << 11, 1 << 14},
        {"PRESENCE_UPDATE", 1 << 8, 1 << 8},
        {"READY", 0, 0},
        {"RESUMED", 0, 0},
        {"USER_UPDATE", 0, 0},
        {"VOICE_CHANNEL_STATUS_UPDATE", 1 << 0, 1 << 0},
        {"MESSAGE_CREATE_X", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        CHECK_EQ(intents_of(bytes_of(rows[i].name), true), rows[i].guild);
        CHECK_EQ(intents_of(bytes_of(rows[i].name), false), rows[i].elsewhere);
    }
}

MAIN
