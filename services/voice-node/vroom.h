// vroom: one channel on this node: who is there, and who is told what about whom. Pure: what is to be told comes out as
// a list, in order; texts are made once for all who get them. Whether a frame may come at all is vsession's, what media
// is passed on is relay's.
#pragma once
#include "admit.h"
#include "vop.h"

struct vtell {
    uint64_t session;
    uint8_t op;
    struct bytes d; // of the arena
};
struct vtells {
    struct arena *arena;
    uint32_t n, cap;
    struct vtell *v;
};
void vtells_fini(struct vtells *t);

struct vmember {
    uint64_t session, user;
    uint32_t ssrc; // of its audio; those of video stream i: ssrc + 1 + 2i, and one more for its RTX
    bool here;     // its seat has been seen: from then on others know of it, and it of them
    struct seat seat;
    bool announced; // has said op 5; `speaking` is what it said last, priority and silencing aside
    uint8_t speaking;
    bool filmed; // has said op 12
    struct vvideo video;
    struct vwants wants;
    uint8_t asked; // what it was told last that others want of its video
    uint64_t asked_pixels;
    struct vcodecs codecs;
    enum vcodec codec; // what it is to send; told in op 4, and in op 14 whenever it changes
};

struct vroom {
    uint64_t channel;
    uint32_t n, cap;
    struct vmember **v;
};

void vroom_fini(struct vroom *r); // empty
void vroom_join(struct vroom *r, uint64_t session, uint64_t user, uint32_t ssrc);
void vroom_leave(struct vroom *r, uint64_t session, struct vtells *out);
void vroom_seat(struct vroom *r, uint64_t session, const struct seat *seat, struct vtells *out); // HERE
void vroom_speak(struct vroom *r, uint64_t session, uint8_t speaking, struct vtells *out);
// Returns which of its streams are on: bit i for stream i.
uint32_t vroom_video(struct vroom *r, uint64_t session, const struct vvideo *video, struct vtells *out);
void vroom_wants(struct vroom *r, uint64_t session, const struct vwants *wants, struct vtells *out);
// told: it is told with op 4, and not here.
enum vcodec vroom_codecs(struct vroom *r, uint64_t session, const struct vcodecs *codecs, bool told,
                         struct vtells *out);
bool vroom_valid(const struct vroom *r);
