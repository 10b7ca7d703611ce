// instance: the processes of the world. Each main stands on a thread of its own, and only one thread ever runs: a
// main's until it comes to loop_run, from then on the world's, and the main's once more when its loop has ended.
#include "sim.h"
#include "loop.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

struct process {
    pthread_t thread;
    sem_t run, ran;
    struct instance *i;
    int argc;
    char **argv;
    int status;
};

struct instance instances[INSTANCES_MAX];
uint32_t n_instances;
struct instance *sim_at;

// --- whose turn it is ---

static struct instance *enter(struct instance *i)
{
    struct instance *before = sim_at;
    struct metrics outer = M;
    if (before == i)
        return before;
    if (before)
        before->metrics = outer;
    M = i->metrics;
    sim_at = i;
    return before;
}

static void leave(struct instance *i, struct instance *before)
{
    if (before == i)
        return;
    i->metrics = M;
    if (before)
        M = before->metrics;
    sim_at = before;
}

void instance_turn(struct instance *i, sim_fn fn, void *ctx, uint64_t id)
{
    struct instance *before = enter(i);
    if (i->loop)
        sim_loop_turn(i->loop);
    fn(ctx, id);
    if (i->loop)
        sim_loop_flush(i->loop);
    leave(i, before);
    if (i->loop && i->state != INSTANCE_DYING && sim_loop_ended(i->loop))
        instance_ended(i);
}

// --- life ---

static void *run_main(void *arg)
{
    struct process *p = arg;
    while (sem_wait(&p->run) != 0)
        continue;
    p->status = p->i->entry(p->argc, p->argv);
    sem_post(&p->ran);
    return NULL;
}

static void let_run(struct process *p)
{
    sem_post(&p->run);
    while (sem_wait(&p->ran) != 0)
        continue;
}

void instance_yield(void)
{
    struct process *p = sim_at->process;
    sem_post(&p->ran);
    while (sem_wait(&p->run) != 0)
        continue;
}

struct instance *instance_add(const char *name, int (*entry)(int, char **))
{
    CHECK(n_instances < INSTANCES_MAX);
    struct instance *i = &instances[n_instances++];
    *i = (struct instance){.entry = entry};
    snprintf(i->name, sizeof i->name, "%s", name);
    return i;
}

void instance_start(struct instance *i, int argc, char **argv)
{
    CHECK(i->state == INSTANCE_DOWN);
    i->state = INSTANCE_UP;
    i->life++;
    i->skew_ms = (int64_t)sim_below(41) - 20;
    i->metrics = (struct metrics){0};
    i->process = mem_alloc(sizeof *i->process);
    *i->process = (struct process){.i = i, .argc = argc, .argv = argv};
    CHECK(sem_init(&i->process->run, 0, 0) == 0 && sem_init(&i->process->ran, 0, 0) == 0);
    CHECK(pthread_create(&i->process->thread, NULL, run_main, i->process) == 0);
    struct instance *before = enter(i);
    let_run(i->process);
    leave(i, before);
}

// Its main goes on behind loop_run, to its end.
static void finish(struct instance *i)
{
    struct instance *before = enter(i);
    let_run(i->process);
    leave(i, before);
    CHECK(pthread_join(i->process->thread, NULL) == 0);
    CHECK(i->process->status == 0);
    sem_destroy(&i->process->run);
    sem_destroy(&i->process->ran);
    mem_free(i->process);
    mem_free(i->held);
    i->held = NULL;
    i->n_held = i->held_cap = i->n_webs = 0;
    i->process = NULL;
    i->loop = NULL;
    i->store = NULL;
    i->state = INSTANCE_DOWN;
}

void instance_ended(struct instance *i)
{
    i->life++;
    sim_web_dead(i);
    sim_bus_dead(i);
    finish(i);
}

// The world sees it vanish between two of its turns. Its memory is given back by its own stop, which the world does not
// see any more.
void instance_kill(struct instance *i)
{
    if (i->state == INSTANCE_DOWN)
        return;
    i->life++;
    i->state = INSTANCE_DYING;
    sim_web_dead(i);
    sim_bus_dead(i);
    struct instance *before = enter(i);
    sim_store_dead(i->store);
    sim_loop_drain(i->loop);
    leave(i, before);
    finish(i);
}

void instance_stop(struct instance *i)
{
    if (i->state == INSTANCE_UP)
        i->state = INSTANCE_STOPPED;
}

void instance_continue(struct instance *i)
{
    if (i->state != INSTANCE_STOPPED)
        return;
    struct held *held = i->held;
    uint32_t n = i->n_held;
    i->state = INSTANCE_UP;
    i->held = NULL;
    i->n_held = i->held_cap = 0;
    for (uint32_t k = 0; k < n; k++)
        sim_after(0, i, held[k].fn, held[k].ctx, held[k].id);
    mem_free(held);
}

static void stop_loop(void *ctx, uint64_t id)
{
    (void)id;
    loop_stop(ctx);
}

void instance_terminate(struct instance *i)
{
    if (i->state == INSTANCE_UP)
        sim_after(0, i, stop_loop, i->loop, 0);
}

void instances_clear(void)
{
    for (uint32_t k = 0; k < n_instances; k++)
        instance_kill(&instances[k]);
    n_instances = 0;
}
