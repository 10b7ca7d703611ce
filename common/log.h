// log: one line of key=value per event on stderr. Event names are constants and greppable; ids go on every line,
// tokens and message text on none. Lines below the level cost a comparison.
//   LOG(INFO, EV("call.ended"), KU("call", id), KS("why", "unanswered"));
#pragma once
#include "bytes.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *key;
    enum { LOG_U64, LOG_I64, LOG_TEXT, LOG_BYTES } kind;
    union {
        uint64_t u;
        int64_t i;
        const char *s;
        struct bytes b;
    } v;
};

#define EV(name) (name)
#define KU(k, x)                                                                                                       \
    {                                                                                                                  \
        .key = (k), .kind = LOG_U64, .v.u = (x)                                                                        \
    }
#define KI(k, x)                                                                                                       \
    {                                                                                                                  \
        .key = (k), .kind = LOG_I64, .v.i = (x)                                                                        \
    }
#define KS(k, x)                                                                                                       \
    {                                                                                                                  \
        .key = (k), .kind = LOG_TEXT, .v.s = (x)                                                                       \
    }
#define KB(k, x)                                                                                                       \
    {                                                                                                                  \
        .key = (k), .kind = LOG_BYTES, .v.b = (x)                                                                      \
    }
// At least one field besides the event.
#define LOG(level, event, ...)                                                                                         \
    do {                                                                                                               \
        if (LOG_##level >= log_threshold) {                                                                            \
            const struct log_field log_fields_[] = {__VA_ARGS__};                                                      \
            log_write(LOG_##level, (event), log_fields_, countof(log_fields_));                                        \
        }                                                                                                              \
    } while (0)
// The same for lines that a peer can cause: at most 20 a second in all, the rest are counted and the count is told.
#define LOG_PEER(level, event, ...)                                                                                    \
    do {                                                                                                               \
        if (LOG_##level >= log_threshold && log_peer_may())                                                            \
            LOG(level, event, __VA_ARGS__);                                                                            \
    } while (0)

extern enum log_level log_threshold;
void log_init(enum log_level threshold, const char *service, const char *instance);
bool log_peer_may(void);
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);
