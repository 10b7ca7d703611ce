// guild_seat: one voice state of a guild, and what follows from each change of it: its row, the counts of its room, the
// void token, VOICE_STATE_UPDATE for those who may see it, the room that begins or ends. Pure.
// Of one member one of seat_put, seat_keep, seat_leave and seat_leave_as at most once in a step; `who` is he as the
// scene has him (was), or, where the step changes his member row as well, a copy with the new row. Who is moved, muted
// and suppressed at once is one seat_put of a seat that has it all.
#pragma once
#include "guild_write.h"

enum seat_server { SEAT_SERVER_OWED, SEAT_SERVER_NONE, SEAT_SERVER_SENT }; // voice_seat.server

// What he may there, whoever moves him: the seat that he would have in `room`, with the flags of the one that he has.
// Suppressed: in the AFK channel, where he may not speak, and in a stage whose moderator he is not. His camera goes out
// where he may not use it, or too many do. Server, session and gateway stay as they are: see seat_ask.
// When his roles, a role or the channel's overwrites change later, who sits there stays suppressed or not as he is,
// until he moves or sits down anew: as on Discord (https://github.com/discord/discord-api-docs/issues/4032).
struct voice_seat seat_in(const struct guild_work *w, const struct scene_member *who, const struct scene_room *room);
bool seat_suppressed(const struct guild_work *w, const struct member *m, const struct guild_channel *c);
bool seat_may_film(const struct guild_work *w, const struct scene_member *who, const struct scene_room *room);
bool stage_moderator(const struct guild_work *w, const struct member *m, const struct guild_channel *c);

// His seat is `next` from now on: he sat down, was moved, or something of it changed.
void seat_put(const struct guild_work *w, const struct scene_member *who, const struct voice_seat *next);
// The same where no client is to hear of it: same channel and flags, something of its server.
void seat_keep(const struct guild_work *w, const struct scene_member *who, const struct voice_seat *next);
void seat_leave(const struct guild_work *w, const struct scene_member *who); // who->seat goes
// The same, of which clients are told as if it had looked like `told`.
void seat_leave_as(const struct guild_work *w, const struct scene_member *who, const struct voice_seat *told);

// A voice server is owed to the seat and asked for at `at`; if nothing comes of it a seat row asks again. The answer to
// an earlier ask is void. To be called before seat_put or seat_keep of that seat. It may take `at` a little later.
void seat_ask(const struct guild_work *w, struct voice_seat *seat, uint64_t at);
uint64_t seat_soonest(const struct guild_work *w, const struct voice_seat *seat); // may be asked for anew: then, or now
// VOICE_SERVER_UPDATE to its session; endpoint none: there is no server, another update follows.
void seat_tell_server(const struct guild_work *w, const struct voice_seat *seat, struct bytes endpoint,
                      struct bytes token);
// The same, of an assignment; from this commit on what it is told is what counts.
void seat_send_to_server(const struct guild_work *w, const struct voice_seat *seat);

// All who sit in the channel are owed another server: the first of them (the scene's crowd) by this commit, the others
// by the room's row. lost: the present one is gone, and they are told so. A room that nobody is in: nothing.
void room_owe(const struct guild_work *w, uint64_t channel, bool lost);
void seats_owe(const struct guild_work *w, uint64_t channel); // the crowd alone: those of an older generation
