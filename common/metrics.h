// metrics: counters and gauges of this process, one row each in metrics.def, printed as Prometheus text.
//   M.bus_gaps++;  M.ws_connections = n;
#pragma once
#include "bytes.h"

struct metrics {
#define COUNTER(name, help) uint64_t name;
#define GAUGE(name, help) uint64_t name;
#include "metrics.def"
#undef COUNTER
#undef GAUGE
};
extern struct metrics M;

// Appends every row as `switchboard_<name>{service="…",instance="…"} value` with HELP and TYPE lines.
void metrics_print(struct buf *out, const char *service, const char *instance);
