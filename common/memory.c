// memory: see memory.h. glibc's malloc gives back by itself only what is free at the end of its heap; one long-lived
// object up there keeps all that is below.
#include "memory.h"
#include "metrics.h"
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_MS 1000u
#define ARENAS 2              // nng's dozen threads would have one each, and each keeps what it had at its fullest
#define MAPPED (128 * 1024)   // a block of this size is one mapping and goes back at once; glibc raises that to 32 MiB
#define TOP_KEPT (256 * 1024) // at the end of the heap

void memory_settings(void)
{
    mallopt(M_ARENA_MAX, ARENAS); // 0 when a sanitizer has its own malloc
    mallopt(M_MMAP_THRESHOLD, MAPPED);
    mallopt(M_TRIM_THRESHOLD, TOP_KEPT);
}

static uint64_t resident(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %llu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void on_timer(struct timer *t, uint64_t now)
{
    struct memory *m = container_of(t, struct memory, timer);
    loop_arm(m->loop, t, LOOK_MS);
    M.memory_resident_bytes = resident();
    if (!trim_due(&m->trim, M.memory_resident_bytes, mallinfo2().fordblks, now))
        return;
    malloc_trim(0);
    M.memory_trims++;
    M.memory_resident_bytes = resident();
    trim_done(&m->trim, M.memory_resident_bytes, mallinfo2().fordblks, now);
}

void memory_watch(struct memory *m, struct loop *l)
{
    m->loop = l;
    m->timer.fire = on_timer;
    loop_arm(l, &m->timer, 0);
}

void memory_unwatch(struct memory *m)
{
    loop_cancel(m->loop, &m->timer);
}
