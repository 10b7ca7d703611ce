// voice: the voice sockets of the world's clients, which it numbers as client.c does. In worlds without voice nodes
// nothing of it happens.
#pragma once
#include "world.h"

#define VOICE_GRACE_MS 1000u

struct json_t;
void voice_begin(bool nodes); // there are some
void voice_end(void);
void voice_sent(uint32_t who, uint64_t user, const char *session, const struct json_t *server); // with an endpoint
void voice_over(uint32_t who);  // it is in no channel that it was sent to a server of
void voice_break(uint32_t who); // it loses its socket
void voice_calm(void);          // all of them see to it that they are where they were sent
// At rest. channel: where it sits, 0: nowhere; others: bit per user, those who are to be in the room with it.
void voice_compare(uint32_t who, uint64_t channel, uint32_t others);
bool voice_speaks(uint32_t who);  // it is in a room
bool voice_absent(uint64_t user); // was gone from one for so long, at some time, that he may have lost his seat
uint64_t voice_entries(void);     // of all, in all
