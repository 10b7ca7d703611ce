// players: files that this node speaks, each by somebody without a client: he is let in, sits in the channel, announces
// that he speaks and goes, as far as others can tell like any other. Asked for by commands of the bus. Shell; what is
// said when is player.h's business.
#pragma once
#include "player.h"
#include "voice.h"

#define PLAYERS_MAX 8u
#define PLAYERS_FILE_MAX (8u * 1024u * 1024u) // bytes, as in play_open

struct players;
struct players *players_new(struct voice *v);
void players_stop(struct players *p); // all of them leave
void players_free(struct players *p);
bool players_command(struct players *p, const struct bus_from *from, const struct msg *m); // false: not one of its
// False: that session is not of a player.
bool players_seat(struct players *p, uint64_t server, uint64_t user, const char *session, const struct seat *seat);
void players_dump(const struct players *p, struct buf *out);
