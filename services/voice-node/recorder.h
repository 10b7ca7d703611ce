// recorder: the recordings of this node: begun, stopped, read and forgotten by commands of the bus. Shell; what stands
// in them is recording.h's business. A recording may begin before anybody is in its channel, and goes on whoever comes
// and goes. Its bytes are in memory alone: they go with the process, or some time after it has ended.
#pragma once
#include "recording.h"
#include "service.h"

#define RECORDER_MAX 32u // recordings at a time, those that have ended included

struct recorder;
struct recorder_cfg {
    struct service *service;
    struct relay *relay;
    uint64_t (*now_us)(void); // of the clock that relay_heard's at_us is of
    uint64_t bytes, longest_ms, keep_ms;
};
struct recorder *recorder_new(const struct recorder_cfg *cfg);
void recorder_free(struct recorder *r);
bool recorder_command(struct recorder *r, const struct bus_from *from, const struct msg *m); // false: not one of its
void recorder_heard(struct recorder *r, uint64_t room, const struct relay_heard *h);         // relay_cfg.heard
void recorder_dump(const struct recorder *r, struct buf *out);
