// permissions_model: what proto/permissions.h says, a second time and slowly: sets of names, one step after the other,
// in the order of the pseudo code of https://docs.discord.com/developers/topics/permissions.
#pragma once
#include "permissions.h"

#include <string.h>

#define MODEL_NAMES 53u // all that there can be; those without a name of their own are called by their number
struct model_set {
    bool in[MODEL_NAMES];
};

static inline const char *model_name(uint32_t at)
{
    static const struct {
        const char *name;
        uint32_t at;
    } named[] = {
#define PERMISSION(name, bit, everyone) {#name, bit},
#include "permissions.def"
#undef PERMISSION
    };
    for (size_t i = 0; i < countof(named); i++)
        if (named[i].at == at)
            return named[i].name;
    return "";
}

static inline bool *model_at(struct model_set *s, const char *name)
{
    for (uint32_t i = 0; i < MODEL_NAMES; i++)
        if (strcmp(model_name(i), name) == 0)
            return &s->in[i];
    check_failed(__FILE__, __LINE__, name, 0);
}

static inline bool model_has(struct model_set s, const char *name)
{
    return *model_at(&s, name);
}

static inline struct model_set model_of(uint64_t bits)
{
    struct model_set s = {0};
    for (uint32_t i = 0; i < MODEL_NAMES; i++, bits /= 2)
        s.in[i] = bits % 2;
    return s;
}

static inline uint64_t model_bits(struct model_set s)
{
    uint64_t bits = 0, worth = 1;
    for (uint32_t i = 0; i < MODEL_NAMES; i++, worth *= 2)
        bits += s.in[i] ? worth : 0;
    return bits;
}

static inline void model_add(struct model_set *s, struct model_set more)
{
    for (uint32_t i = 0; i < MODEL_NAMES; i++)
        if (more.in[i])
            s->in[i] = true;
}

static inline void model_remove(struct model_set *s, struct model_set less)
{
    for (uint32_t i = 0; i < MODEL_NAMES; i++)
        if (less.in[i])
            s->in[i] = false;
}

static inline struct model_set model_everything(void)
{
    struct model_set s;
    for (uint32_t i = 0; i < MODEL_NAMES; i++)
        s.in[i] = true;
    return s;
}

struct model { // one question
    const struct guild *guild;
    struct role_set roles;
    const struct member *member;         // NULL: none
    const struct guild_channel *channel; // no overwrite twice
    uint64_t now;
};

static inline void model_add_role(const struct model *m, struct model_set *s, uint64_t id)
{
    for (uint32_t i = 0; i < m->roles.n; i++)
        if (m->roles.v[i].id == id)
            model_add(s, model_of(m->roles.v[i].permissions));
}

static inline struct model_set model_base(const struct model *m)
{
    struct model_set s = {0};
    if (m->guild->owner == m->member->user)
        return model_everything();
    model_add_role(m, &s, m->guild->id);
    for (uint32_t i = 0; i < m->member->roles.n; i++)
        model_add_role(m, &s, m->member->roles.v[i]);
    if (model_has(s, "ADMINISTRATOR"))
        return model_everything();
    return s;
}

static inline const struct overwrite *model_overwrite(const struct model *m, uint64_t type, uint64_t id)
{
    for (uint32_t i = 0; i < m->channel->overwrites.n; i++)
        if (m->channel->overwrites.v[i].type == type && m->channel->overwrites.v[i].id == id)
            return &m->channel->overwrites.v[i];
    return NULL;
}

static inline void model_apply(struct model_set *s, struct model_set deny, struct model_set allow)
{
    model_remove(s, deny);
    model_add(s, allow);
}

static inline void model_overwrites(const struct model *m, struct model_set *s)
{
    struct model_set allow = {0}, deny = {0};
    const struct overwrite *o = model_overwrite(m, 0, m->guild->id);
    if (o)
        model_apply(s, model_of(o->deny), model_of(o->allow));
    for (uint32_t i = 0; i < m->member->roles.n; i++) {
        uint64_t role = m->member->roles.v[i];
        if (role == m->guild->id || (o = model_overwrite(m, 0, role)) == NULL)
            continue;
        model_add(&allow, model_of(o->allow));
        model_add(&deny, model_of(o->deny));
    }
    model_apply(s, deny, allow);
    o = model_overwrite(m, 1, m->member->user);
    if (o)
        model_apply(s, model_of(o->deny), model_of(o->allow));
}

static inline void model_only_look(struct model_set *s)
{
    static const char *const left[] = {"VIEW_CHANNEL", "READ_MESSAGE_HISTORY"};
    struct model_set kept = {0};
    for (size_t i = 0; i < countof(left); i++)
        *model_at(&kept, left[i]) = model_has(*s, left[i]);
    *s = kept;
}

static inline void model_no_voice(struct model_set *s)
{
    static const char *const gone[] = {"PRIORITY_SPEAKER",
                                       "STREAM",
                                       "SPEAK",
                                       "MUTE_MEMBERS",
                                       "DEAFEN_MEMBERS",
                                       "MOVE_MEMBERS",
                                       "USE_VAD",
                                       "REQUEST_TO_SPEAK",
                                       "USE_EMBEDDED_ACTIVITIES",
                                       "USE_SOUNDBOARD",
                                       "USE_EXTERNAL_SOUNDS",
                                       "SET_VOICE_CHANNEL_STATUS"};
    for (size_t i = 0; i < countof(gone); i++)
        *model_at(s, gone[i]) = false;
}

static inline uint64_t model_in_guild(const struct model *m)
{
    if (!m->member)
        return 0;
    struct model_set s = model_base(m);
    if (!model_has(s, "ADMINISTRATOR") && m->member->disabled_until > m->now)
        model_only_look(&s);
    return model_bits(s);
}

static inline uint64_t model_in_channel(const struct model *m)
{
    if (!m->member)
        return 0;
    struct model_set s = model_base(m);
    if (model_has(s, "ADMINISTRATOR"))
        return model_bits(s);
    model_overwrites(m, &s);
    if (m->member->disabled_until > m->now)
        model_only_look(&s);
    if (!model_has(s, "VIEW_CHANNEL"))
        return 0;
    bool voice = m->channel->type == 2 || m->channel->type == 13;
    if (voice && !model_has(s, "CONNECT"))
        model_no_voice(&s);
    return model_bits(s);
}
