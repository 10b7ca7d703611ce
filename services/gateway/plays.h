// plays: files of Ogg Opus that this gateway has spoken in a channel, each by an account that comes, speaks and goes.
// It holds their client sessions as it holds a client's: the call manager seats them, a voice node is assigned, and is
// given the file. Shell; plays_io.c.
#pragma once
#include "admin.h"

struct gateway;

#define PLAYS_MAX 8u    // that are not over
#define PLAYS_KEPT 256u // those that are over included

void plays_start(struct gateway *g); // fills g->plays
void plays_stop(struct gateway *g);  // all of them leave
bool plays_idle(const struct gateway *g);
void plays_free(struct gateway *g);
// The id; 0: there are too many. The file is copied.
uint64_t plays_begin(struct gateway *g, const struct play_start *start);
bool plays_show(const struct gateway *g, uint64_t id, struct play_shown *out); // false: none of that id
void plays_end(struct gateway *g, uint64_t id);                                // it is stopped, if it is not over
