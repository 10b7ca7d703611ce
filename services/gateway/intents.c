// intents: see intents.h.
#include "intents.h"

#include <string.h>

static const struct intent {
    const char *name;
    int guild, elsewhere;
} intents[] = {
#define INTENT(name, guild, elsewhere) {name, guild, elsewhere},
#include "intents.def"
#undef INTENT
};

static bool matches(struct bytes event, const char *name)
{
    size_t n = strlen(name);
    if (name[n - 1] != '_')
        return bytes_is(event, name);
    return event.n >= n && memcmp(event.p, name, n) == 0;
}

uint64_t intents_of(struct bytes event, bool guild)
{
    int bit = -1;
    size_t best = 0; // the longest name that matches says it
    for (size_t i = 0; i < countof(intents); i++) {
        size_t n = strlen(intents[i].name);
        if (n <= best || !matches(event, intents[i].name))
            continue;
        best = n;
        bit = guild ? intents[i].guild : intents[i].elsewhere;
    }
    return bit < 0 ? 0 : 1ull << bit;
}
