// guild_change: what moderators and the operator change in a guild.
#include "guild_private.h"
#include "errors.h"

int guild_change_step(const struct guild_work *w)
{
    (void)w;
    return API_MISSING_PERMISSIONS;
}
