// alloc_io: commands in, work on one call at a time per place, effects carried out, answers fed back. Shell.
// Jobs of one place run one after the other, so what a call manager asked first is done first.
#include "alloc_io.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_BYTES (PLACE_TOKEN / 2)

struct job {
    struct alloc *a;
    struct job *next; // waits behind this one
    struct place p;
    struct place_fxs todo; // before it has begun: its first effect
    struct bus_from from;
    uint64_t until;         // SETTLE: of the claim on the waiting row
    uint32_t n_outstanding; // callbacks to come
    bool failed;            // one half of a look
    size_t earlier_n;
    char earlier[PLACE_RAW_MAX];
};

const char *calls_key(char out[ROW_KEY_MAX], const char *node)
{
    snprintf(out, ROW_KEY_MAX, "node:%s:calls", node);
    return out;
}

const char *waiting_key(char out[ROW_KEY_MAX], const char *region)
{
    snprintf(out, ROW_KEY_MAX, "waiting:%s%s", region[0] ? "in:" : "any", region);
    return out;
}

// --- jobs ---

static void job_run(struct job *j);

static void job_free(struct job *j)
{
    j->a->n_jobs--;
    mem_free(j);
}

static void job_end(struct job *j)
{
    struct alloc *a = j->a;
    struct job *next = j->next;
    CHECK_ID(table_remove(&a->queues, j->p.place) == j, j->p.place);
    job_free(j);
    if (next) {
        table_put(&a->queues, next->p.place, next);
        job_run(next);
    }
}

static void job_add(struct job *j)
{
    struct alloc *a = j->a;
    struct job *last = table_get(&a->queues, j->p.place);
    a->n_jobs++;
    if (!last) {
        table_put(&a->queues, j->p.place, j);
        job_run(j);
        return;
    }
    while (last->next)
        last = last->next;
    last->next = j;
}

static void job_step(struct job *j, struct place_in in)
{
    struct alloc *a = j->a;
    unsigned char secret[TOKEN_BYTES];
    char token[PLACE_TOKEN + 1];
    struct place_env env = {.fleet = &a->fleet,
                            .regions = &a->regions,
                            .now = loop_now(a->service.loop),
                            .unix_ms = loop_unix_ms(a->service.loop),
                            .token = token,
                            .token_ms = a->token_ms};
    randombytes_buf(&env.random, sizeof env.random);
    randombytes_buf(secret, sizeof secret);
    sodium_bin2hex(token, sizeof token, secret, sizeof secret);
    CHECK_ID(place_step(&j->p, &in, &env, &j->todo) == OK, j->p.place);
    job_run(j);
}

// A callback of the store has come; false when the process is past caring, and then the job may be gone.
static bool job_back(struct job *j)
{
    j->n_outstanding--;
    if (!j->a->closed)
        return true;
    if (j->n_outstanding == 0)
        job_free(j);
    return false;
}

// --- what comes back ---

static void on_earlier(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    if (!job_back(j))
        return;
    struct bytes earlier = reply_text(r);
    j->failed = !reply_ok(r) || earlier.n > sizeof j->earlier;
    j->earlier_n = j->failed ? 0 : earlier.n;
    if (j->earlier_n)
        memcpy(j->earlier, earlier.p, j->earlier_n);
}

static void on_look(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    if (!job_back(j))
        return;
    struct place_in in = {.kind = PLACE_IN_FAILED};
    if (reply_ok(r) && !j->failed)
        in = (struct place_in){.kind = PLACE_IN_LOOKED, .raw = reply_text(r), .earlier = {j->earlier, j->earlier_n}};
    job_step(j, in);
}

static void on_listed(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    if (job_back(j))
        job_step(j, (struct place_in){.kind = reply_ok(r) ? PLACE_IN_LISTED : PLACE_IN_FAILED});
}

static void on_swapped(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    if (!job_back(j))
        return;
    struct place_in in = {.kind = PLACE_IN_FAILED};
    switch (record_cas_result(r, &in.raw)) {
    case OK:
        in.kind = PLACE_IN_SWAPPED;
        if (j->p.next.kind == HOME_NODE && place_moves(&j->p))
            LOG(INFO, EV("call.placed"), KU("place", j->p.place), KU("channel", j->p.channel),
                KS("node", j->p.next.node));
        break;
    case ERR_CONFLICT:
        in.kind = PLACE_IN_CONFLICT;
        break;
    }
    job_step(j, in);
}

static void on_written(void *ctx, const struct reply *r)
{
    struct job *j = ctx;
    if (!job_back(j))
        return;
    struct place_in in = {.kind = PLACE_IN_FAILED};
    int err = record_once_result(r, &in.earlier);
    if (err == OK || err == ERR_STATE)
        in.kind = PLACE_IN_WRITTEN;
    job_step(j, in);
}

// --- effects ---

static void do_look(struct job *j)
{
    struct store *s = j->a->service.store;
    char key[RECORD_KEY_MAX];
    j->failed = false;
    j->earlier_n = 0;
    if (j->p.command) {
        j->n_outstanding++;
        store_cmd(s, on_earlier, j, "GET %s", record_command_key(key, ref_place(j->p.server), j->p.command));
    }
    j->n_outstanding++;
    store_cmd(s, on_look, j, "HGET %s %llu", record_key(key, ref_place(j->p.place), "a"),
              (unsigned long long)j->p.channel);
}

static void do_list(struct job *j, const char *node)
{
    struct store *s = j->a->service.store;
    char key[ROW_KEY_MAX], name[CALL_NAME_MAX];
    store_cmd(s, NULL, NULL, "SADD nodes:used %s", node);
    j->n_outstanding++;
    store_cmd(s, on_listed, j, "SADD %s %s", calls_key(key, node), call_name(name, j->p.place, j->p.channel));
}

static void do_wait(struct job *j, const char *region)
{
    char key[ROW_KEY_MAX], name[CALL_NAME_MAX];
    j->n_outstanding++;
    store_cmd(j->a->service.store, on_listed, j, "ZADD %s %llu %s", waiting_key(key, region),
              (unsigned long long)loop_unix_ms(j->a->service.loop), call_name(name, j->p.place, j->p.channel));
}

static void do_swap(struct job *j)
{
    struct buf channel = {0};
    buf_u64(&channel, j->p.channel);
    j->n_outstanding++;
    record_cas(j->a->service.store, ref_place(j->p.place), "a", buf_bytes(&channel),
               (struct bytes){j->p.has.raw, j->p.has.n}, (struct bytes){j->p.next.raw, j->p.next.n}, on_swapped, j);
    buf_fini(&channel);
}

static void do_write(struct job *j)
{
    const struct place *p = &j->p;
    const struct once once = {.command = p->command, .by = j->from.deadline, .answer = {p->answer, p->answer_n}};
    j->n_outstanding++;
    record_once(j->a->service.store, ref_place(p->server), &once, on_written, j);
}

static void do_unwait(struct job *j, const char *region)
{
    struct store *s = j->a->service.store;
    char key[ROW_KEY_MAX], name[CALL_NAME_MAX];
    waiting_key(key, region);
    call_name(name, j->p.place, j->p.channel);
    if (j->until) // unless it waits anew since it was told
        store_cmd(s, NULL, NULL, "FCALL sb_settle 1 %s %s %llu %b", key, name, (unsigned long long)j->until, "",
                  (size_t)0);
    else
        store_cmd(s, NULL, NULL, "ZREM %s %s", key, name);
}

static void do_one(struct job *j, const struct place_fx *fx)
{
    struct alloc *a = j->a;
    char key[ROW_KEY_MAX], name[CALL_NAME_MAX];
    switch (fx->kind) {
    case PLACE_DO_LOOK:
        do_look(j);
        break;
    case PLACE_DO_LIST:
        do_list(j, fx->name);
        break;
    case PLACE_DO_WAIT:
        do_wait(j, fx->name);
        break;
    case PLACE_DO_SWAP:
        do_swap(j);
        break;
    case PLACE_DO_WRITE:
        do_write(j);
        break;
    case PLACE_DO_ANSWER:
        bus_answer(a->service.bus, &j->from, j->p.err, (struct bytes){j->p.answer, j->p.answer_n});
        break;
    case PLACE_DO_UNLIST:
        store_cmd(a->service.store, NULL, NULL, "SREM %s %s", calls_key(key, fx->name),
                  call_name(name, j->p.place, j->p.channel));
        break;
    case PLACE_DO_UNWAIT:
        do_unwait(j, fx->name);
        break;
    case PLACE_DO_EXPECT:
        fleet_expect(&a->fleet, fx->name, place_moves(&j->p), loop_now(a->service.loop));
        break;
    case PLACE_DO_LOST:
        sweep_call(a, fx->name, j->p.place, j->p.channel);
        break;
    }
}

static void job_run(struct job *j)
{
    struct place_fxs todo = j->todo;
    for (uint32_t i = 0; i < todo.n; i++)
        do_one(j, &todo.v[i]);
    if (j->p.state == PLACE_DONE)
        job_end(j);
}

// --- work comes in ---

static struct job *job_new(struct alloc *a)
{
    struct job *j = mem_alloc(sizeof *j);
    j->a = a;
    return j;
}

void alloc_forget(struct alloc *a, uint64_t place, uint64_t channel, const char *node, uint64_t before)
{
    struct job *j = job_new(a);
    place_forget(&j->p, place, channel, bytes_of(node), before, &j->todo);
    job_add(j);
}

void alloc_settle(struct alloc *a, uint64_t place, uint64_t channel, const char *region, bool gone, uint64_t until)
{
    struct job *j = job_new(a);
    j->until = until;
    place_settle(&j->p, place, channel, bytes_of(region), gone, &j->todo);
    job_add(j);
}

static void take_work(struct alloc *a, const struct bus_from *from, const struct assign *assign,
                      const struct release *release)
{
    if (a->n_jobs >= a->jobs_max) {
        M.commands_refused++;
        bus_answer(a->service.bus, from, ERR_FULL, BYTES_NONE);
        return;
    }
    struct job *j = job_new(a);
    j->from = *from;
    int err = assign ? place_assign(&j->p, assign, from->command, &j->todo)
                     : place_release(&j->p, release, from->command, &j->todo);
    if (err) {
        bus_answer(a->service.bus, from, err, BYTES_NONE);
        mem_free(j);
        return;
    }
    job_add(j);
}

static int take_announce(struct alloc *a, const struct node_announce *n)
{
    enum fleet_news news;
    int err = fleet_announce(&a->fleet, n, loop_now(a->service.loop), &news);
    if (err) {
        M.nodes_refused++;
        LOG_PEER(WARN, EV("node.refused"), KB("node", n->node), KS("why", err_name(err)));
        return err;
    }
    M.nodes = a->fleet.n;
    char id[NODE_NAME_MAX + 1];
    CHECK(bytes_copy(id, sizeof id, n->node) == OK);
    switch (news) {
    case FLEET_KNOWN:
        break;
    case FLEET_NEW:
        LOG(INFO, EV("node.new"), KS("node", id), KB("region", n->region), KB("endpoint", n->endpoint));
        sweep_room(a);
        break;
    case FLEET_RESTARTED:
        LOG(WARN, EV("node.restarted"), KS("node", id));
        sweep_node(a, id, loop_unix_ms(a->service.loop));
        break;
    case FLEET_DRAINS:
        LOG(INFO, EV("node.draining"), KS("node", id));
        sweep_node(a, id, SWEEP_ALL);
        break;
    }
    return OK;
}

void alloc_command(void *ctx, const struct bus_from *from, const struct msg *m)
{
    struct alloc *a = ctx;
    const struct assign *assign = MSG_IS(m, assign);
    const struct release *release = MSG_IS(m, release);
    const struct node_announce *node = MSG_IS(m, node_announce);
    if (assign || release) {
        take_work(a, from, assign, release);
    } else if (node) {
        bus_answer(a->service.bus, from, take_announce(a, node), BYTES_NONE);
    } else if (MSG_IS(m, regions_list)) {
        struct buf list = {0};
        regions_json(&a->regions, &a->fleet, &list);
        bus_answer(a->service.bus, from, OK, buf_bytes(&list));
        buf_fini(&list);
    } else {
        LOG_PEER(WARN, EV("command.unknown"), KS("name", m->schema->name), KS("from", from->instance));
        bus_answer(a->service.bus, from, ERR_INVALID, BYTES_NONE);
    }
}

void alloc_event(void *ctx, const struct msg *m)
{
    const struct node_announce *node = MSG_IS(m, node_announce);
    if (node)
        (void)!take_announce(ctx, node);
}

// --- beginning and end ---

static void refuse(const char *file, const char *why)
{
    fprintf(stderr, "SB_REGIONS_FILE: %s: %s\n", file, why);
    exit(2);
}

static void read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    char part[4096];
    size_t n = 0;
    if (!f)
        refuse(path, "cannot be read");
    while (out->n <= REGIONS_FILE_MAX && (n = fread(part, 1, sizeof part, f)) > 0)
        buf_add(out, part, n);
    if (ferror(f))
        refuse(path, "cannot be read");
    fclose(f);
}

void alloc_start(struct alloc *a)
{
    CHECK(sodium_init() >= 0);
    fleet_init(&a->fleet, (uint32_t)a->nodes_max, a->node_lease_ms, loop_now(a->service.loop));
    if (a->regions_file[0]) {
        struct buf json = {0}, why = {0};
        read_file(a->regions_file, &json);
        if (regions_parse(&a->regions, &a->fleet, buf_bytes(&json), &why)) {
            buf_char(&why, '\0');
            refuse(a->regions_file, why.p);
        }
        buf_fini(&json);
        buf_fini(&why);
    }
    M.nodes = a->fleet.n;
    sweep_start(a);
}

// Those that wait for a callback go when it comes; the others go now.
void alloc_close(struct alloc *a)
{
    struct job *first;
    a->closed = true;
    sweep_close(a);
    for (uint32_t i = 0; (first = table_next(&a->queues, &i, NULL)) != NULL;)
        for (struct job *j = first, *next; j; j = next) {
            next = j->next;
            if (j->n_outstanding == 0)
                job_free(j);
        }
    table_fini(&a->queues);
    fleet_fini(&a->fleet);
}

void alloc_dump(const struct alloc *a, struct buf *out)
{
    fleet_dump(&a->fleet, loop_now(a->service.loop), out);
    buf_printf(out, "regions: %u in the file, default %.*s\n", a->regions.n, BYTES_FMT(regions_default(&a->regions)));
    buf_printf(out, "jobs: %u of at most %llu, on %u places\n", a->n_jobs, (unsigned long long)a->jobs_max,
               a->queues.n);
    sweep_dump(a, out);
}
