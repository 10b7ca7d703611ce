// voice_guest: somebody without a socket, as others in his channel see him. Shell.
#include "voice.h"

#define SPEAKING 1u // op 5: by microphone

bool guest_enter(struct guest *g, struct voice *v, const struct admitted *who)
{
    uint32_t ssrc;
    voice_replace(v, who);
    relay_peer peer = relay_join(v->relay, who->channel, who->user, &ssrc);
    if (!peer)
        return false;
    *g = (struct guest){.voice = v, .id = ++v->last_talker, .peer = peer, .room = voice_room(v, who->channel)};
    vroom_join(g->room, g->id, who->user, ssrc);
    return true;
}

void guest_seat(struct guest *g, const struct seat *seat)
{
    struct arena a = {0};
    struct vtells tells = {.arena = &a};
    relay_rights(g->voice->relay, g->peer,
                 (struct relay_rights){seat->speaks, seat->hears, seat->video, seat->priority});
    vroom_seat(g->room, g->id, seat, &tells);
    voice_hand_out(g->voice, &tells);
    arena_fini(&a);
}

void guest_speak(struct guest *g, bool on)
{
    struct arena a = {0};
    struct vtells tells = {.arena = &a};
    relay_announced(g->voice->relay, g->peer);
    vroom_speak(g->room, g->id, on ? SPEAKING : 0, &tells);
    voice_hand_out(g->voice, &tells);
    arena_fini(&a);
}

void guest_leave(struct guest *g)
{
    struct arena a = {0};
    struct vtells tells = {.arena = &a};
    relay_leave(g->voice->relay, g->peer);
    vroom_leave(g->room, g->id, &tells);
    voice_room_left(g->voice, g->room);
    voice_hand_out(g->voice, &tells);
    arena_fini(&a);
    *g = (struct guest){0};
}
