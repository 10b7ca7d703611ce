// snowflake: 42 bits of time, 10 of worker, 12 of sequence. When a millisecond's 4096 are used up, or the clock goes
// back, the generator counts on from its own last millisecond.
#include "snowflake.h"

#define WORKER_SHIFT 12
#define TIME_SHIFT 22
#define SEQUENCE_MAX 4095u

void snowflake_init(struct snowflake *s, uint32_t worker)
{
    CHECK_ID(worker < SNOWFLAKE_WORKERS, worker);
    *s = (struct snowflake){.worker = worker, .last_ms = SNOWFLAKE_EPOCH_MS};
}

uint64_t snowflake_next(struct snowflake *s, uint64_t unix_ms)
{
    if (unix_ms > s->last_ms) {
        s->last_ms = unix_ms;
        s->sequence = 0;
    } else if (s->sequence < SEQUENCE_MAX) {
        s->sequence++;
    } else {
        s->last_ms++;
        s->sequence = 0;
    }
    uint64_t since = s->last_ms - SNOWFLAKE_EPOCH_MS;
    CHECK_ID(since >> (64 - TIME_SHIFT) == 0, s->last_ms);
    return since << TIME_SHIFT | (uint64_t)s->worker << WORKER_SHIFT | s->sequence;
}

uint64_t snowflake_after(struct snowflake *s, uint64_t unix_ms, uint64_t after)
{
    uint64_t id = snowflake_next(s, unix_ms);
    return id > after ? id : snowflake_next(s, snowflake_ms(after) + 1);
}

uint64_t snowflake_ms(uint64_t id)
{
    return (id >> TIME_SHIFT) + SNOWFLAKE_EPOCH_MS;
}
