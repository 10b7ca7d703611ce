// lists: see lists.h.
#include "lists.h"

#include <string.h>

void lists_fini(struct lists *l)
{
    mem_free(l->channels);
    mem_free(l->members);
    *l = (struct lists){0};
}

static void forget_channels(struct lists *l, uint64_t guild)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->n_channels; i++)
        if (l->channels[i].guild != guild)
            l->channels[kept++] = l->channels[i];
    l->n_channels = kept;
}

static void forget_members(struct lists *l, uint64_t guild)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->n_members; i++)
        if (l->members[i].guild != guild)
            l->members[kept++] = l->members[i];
    l->n_members = kept;
}

static void add_channel(struct lists *l, const struct list_channel *c)
{
    for (uint32_t i = 0; i < l->n_channels; i++)
        if (l->channels[i].guild == c->guild && l->channels[i].channel == c->channel)
            return;
    if (l->n_channels == LISTS_CHANNELS_MAX)
        memmove(l->channels, l->channels + 1, --l->n_channels * sizeof *l->channels);
    l->channels[l->n_channels] = *c;
    l->channels[l->n_channels++].due = true;
}

static void add_member(struct lists *l, uint64_t guild, uint64_t user)
{
    if (lists_has_member(l, guild, user))
        return;
    if (l->n_members == LISTS_MEMBERS_MAX)
        memmove(l->members, l->members + 1, --l->n_members * sizeof *l->members);
    l->members[l->n_members++] = (struct list_member){guild, user};
}

void lists_merge(struct lists *l, const struct list_change *c)
{
    if (c->has_channels)
        forget_channels(l, c->guild);
    if (c->has_members)
        forget_members(l, c->guild);
    if (c->n_channels && !l->channels)
        l->channels = mem_alloc(LISTS_CHANNELS_MAX * sizeof *l->channels);
    if (c->members.n && !l->members)
        l->members = mem_alloc(LISTS_MEMBERS_MAX * sizeof *l->members);
    for (uint32_t i = 0; i < c->n_channels; i++)
        add_channel(l, &c->channels[i]);
    for (uint32_t i = 0; i < c->members.n; i++)
        add_member(l, c->guild, c->members.v[i]);
}

void lists_forget(struct lists *l, uint64_t guild)
{
    forget_channels(l, guild);
    forget_members(l, guild);
}

uint64_t lists_due(const struct lists *l)
{
    for (uint32_t i = 0; i < l->n_channels; i++)
        if (l->channels[i].due)
            return l->channels[i].guild;
    return 0;
}

bool lists_has_member(const struct lists *l, uint64_t guild, uint64_t user)
{
    for (uint32_t i = 0; i < l->n_members; i++)
        if (l->members[i].user == user && l->members[i].guild == guild)
            return true;
    return false;
}

static bool channel_valid(const struct list_channel *c)
{
    if (c->guild == 0 || c->channel == 0 || c->n == 0 || c->n > LISTS_RANGES_MAX)
        return false;
    for (uint32_t i = 0; i < c->n; i++) {
        const struct list_range *r = &c->ranges[i];
        if (r->first > r->last || r->last - r->first >= LISTS_ROWS_MAX || r->last > LISTS_ROW_MAX)
            return false;
    }
    return true;
}

bool lists_valid(const struct lists *l)
{
    if (l->n_channels > LISTS_CHANNELS_MAX || l->n_members > LISTS_MEMBERS_MAX)
        return false;
    for (uint32_t i = 0; i < l->n_channels; i++) {
        if (!channel_valid(&l->channels[i]))
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (l->channels[k].guild == l->channels[i].guild && l->channels[k].channel == l->channels[i].channel)
                return false;
    }
    for (uint32_t i = 0; i < l->n_members; i++)
        for (uint32_t k = 0; k < i; k++)
            if (l->members[k].guild == l->members[i].guild && l->members[k].user == l->members[i].user)
                return false;
    return true;
}
