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
        {"GUILD_MEMBER_UPDATE", 1 << 1, 1 << 1},
        {"GUILD_ROLE_UPDATE", 1 << 0, 1 << 0},
        {"GUILD_DELETE", 1 << 0, 1 << 0},
        {"GUILD_BAN_ADD", 1 << 2, 1 << 2},
        {"GUILD_AUDIT_LOG_ENTRY_CREATE", 1 << 2, 1 << 2},
        {"GUILD_EMOJIS_UPDATE", 1 << 3, 1 << 3},
        {"GUILD_SOUNDBOARD_SOUND_CREATE", 1 << 3, 1 << 3},
        {"INTEGRATION_CREATE", 1 << 4, 1 << 4},
        {"WEBHOOKS_UPDATE", 1 << 5, 1 << 5},
        {"INVITE_CREATE", 1 << 6, 1 << 6},
        {"GUILD_SCHEDULED_EVENT_USER_ADD", 1 << 16, 1 << 16},
        {"AUTO_MODERATION_RULE_CREATE", 1 << 20, 1 << 20},
        {"AUTO_MODERATION_ACTION_EXECUTION", 1 << 21, 1 << 21},
        {"CHANNEL_UPDATE", 1 << 0, 1 << 18},
        {"CHANNEL_PINS_UPDATE", 1 << 0, 1 << 12},
        {"CHANNEL_INFO", 0, 0},
        {"THREAD_LIST_SYNC", 1 << 0, 1 << 0},
        {"STAGE_INSTANCE_CREATE", 1 << 0, 1 << 0},
        {"VOICE_CHANNEL_START_TIME_UPDATE", 1 << 0, 1 << 0},
        {"VOICE_CHANNEL_EFFECT_SEND", 1 << 7, 1 << 7},
        {"MESSAGE_DELETE_BULK", 1 << 9, 1 << 9},
        {"MESSAGE_REACTION_ADD", 1 << 10, 1 << 13},
        {"MESSAGE_POLL_VOTE_ADD", 1 << 24, 1 << 25},
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
