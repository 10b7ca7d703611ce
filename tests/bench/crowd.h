// crowd: clients on loopback, each with a socket of its own, in rooms of one size. They send sealed audio to a media
// port and read everything that comes back. None of their work is in what is measured.
#pragma once
#include "voice_client.h"
#include "relay.h"

#include <netinet/in.h>

#define CROWD_PAYLOAD 120u
#define CROWD_WIRE (RTP_HEADER + CROWD_PAYLOAD + 16u + 4u)

struct crowd_client {
    struct voice_client voice;
    struct sockaddr_in at;
    int fd;
    uint16_t seq;
    uint32_t timestamp;
};
struct crowd {
    uint32_t n, room; // room: clients of each; those of one room lie in a row
    struct crowd_client *v;
    struct sockaddr_in port; // the media port that they talk to
    uint64_t next;           // packet to be sent
};

void crowd_init(struct crowd *c, uint32_t n, uint32_t room, enum seal_mode mode);
void crowd_fini(struct crowd *c);
void crowd_discover(struct crowd *c); // each asks where it is
// n packets, `speakers` of each room in a row, another room after that. The RTP timestamp is the low half of
// crowd_clock_us().
void crowd_speak(struct crowd *c, uint32_t n, uint32_t speakers);
uint64_t crowd_clock_us(void);
// Reads all that has come. Returns the number of datagrams; how long each was under way is added to a, if not NULL.
struct crowd_times {
    uint32_t n, max;
    uint32_t *us;
};
uint64_t crowd_drain(struct crowd *c, struct crowd_times *a);
