// permissions: any guild, roles, member, overwrites and time against the slow model of tests/permissions_model.h.
// - What he may do is what the model says, in the guild and in the channel.
// - Nothing of it is a bit that there is not; who may not view a channel may do nothing there.
#include "fuzz.h"
#include "../permissions_model.h"

#define ROLES_MAX 12u
#define OVERWRITES_MAX 16u
#define GUILD 1u

// Ids that meet: of the guild, its roles, members.
static uint64_t id_of(struct feed *in)
{
    return GUILD + feed_below(in, 16);
}

// Bits that decide about others, alone or among any.
static uint64_t permissions_from(struct feed *in)
{
    static const uint64_t deciding[] = {MAY(VIEW_CHANNEL), MAY(CONNECT), MAY(ADMINISTRATOR), MAY(SPEAK),
                                        MAY(READ_MESSAGE_HISTORY)};
    uint8_t what = feed_u8(in);
    uint64_t bits = what & 0x80 ? feed_u64(in) : 0;
    for (size_t i = 0; i < countof(deciding); i++)
        if (what >> i & 1)
            bits ^= deciding[i];
    return bits;
}

static uint32_t roles_from(struct feed *in, struct role v[ROLES_MAX])
{
    uint32_t n = 0;
    uint64_t id = 0;
    for (uint32_t asked = feed_below(in, ROLES_MAX + 1); n < asked; n++) { // sorted, each once
        id += 1 + feed_below(in, 3);
        v[n] = (struct role){.id = id, .permissions = permissions_from(in)};
    }
    return n;
}

static uint32_t overwrites_from(struct feed *in, struct overwrite v[OVERWRITES_MAX])
{
    uint32_t n = 0;
    for (uint32_t asked = feed_below(in, OVERWRITES_MAX + 1); asked > 0; asked--) {
        struct overwrite o = {.id = id_of(in), .type = feed_below(in, 2)};
        o.allow = permissions_from(in);
        o.deny = permissions_from(in);
        bool there = false;
        for (uint32_t i = 0; i < n; i++)
            there |= v[i].id == o.id && v[i].type == o.type;
        if (!there)
            v[n++] = o;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t types[] = {0, 2, 4, 13};
    struct feed in = {data, size};
    struct role roles[ROLES_MAX];
    struct overwrite overwrites[OVERWRITES_MAX];
    uint64_t his[ROLES_MAX];
    uint32_t n_his = feed_below(&in, ROLES_MAX + 1);
    const struct guild guild = {.id = GUILD, .owner = id_of(&in)};
    struct member member = {.user = id_of(&in), .roles = {n_his, his}, .disabled_until = feed_number(&in)};
    uint64_t now = feed_number(&in);
    for (uint32_t i = 0; i < n_his; i++)
        his[i] = id_of(&in);
    struct guild_channel channel = {.id = 99, .type = types[feed_below(&in, countof(types))]};
    uint32_t n_roles = roles_from(&in, roles);
    channel.overwrites.n = overwrites_from(&in, overwrites);
    channel.overwrites.v = overwrites;
    const struct model m = {&guild, {n_roles, roles}, feed_below(&in, 16) == 15 ? NULL : &member, &channel, now};
    uint64_t in_guild = permissions_in_guild(m.guild, m.roles, m.member, now);
    uint64_t in_channel = permissions_in_channel(m.guild, m.roles, m.member, m.channel, now);
    CHECK(in_guild == model_in_guild(&m) && in_channel == model_in_channel(&m));
    CHECK(in_guild <= PERMISSIONS_ALL && in_channel <= PERMISSIONS_ALL);
    CHECK(in_channel == 0 || (in_channel & MAY(VIEW_CHANNEL)));
    return 0;
}
