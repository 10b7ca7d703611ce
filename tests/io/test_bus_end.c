// A bus ends, and says so, although nng does not come back from closing a socket. Here nng_close is this test's own: it
// is nng's, but for as long as it is asked to hang.
#define _GNU_SOURCE
#include "desk.h"
#include <dlfcn.h>
#include <nng/nng.h>
#include <stdatomic.h>

static atomic_bool hangs, let_go;
static atomic_uint hung;

int nng_close(nng_socket s)
{
    static int (*theirs)(nng_socket);
    if (!theirs)
        *(void **)&theirs = dlsym(RTLD_NEXT, "nng_close");
    if (atomic_load(&hangs)) {
        atomic_fetch_add(&hung, 1);
        while (!atomic_load(&let_go))
            uv_sleep(1);
        atomic_fetch_sub(&hung, 1);
    }
    return theirs(s);
}

static void wait_for(const atomic_uint *count, uint32_t n)
{
    uint64_t end = uv_hrtime() + UNTIL_MS * 1000000ull;
    while (atomic_load(count) != n && uv_hrtime() < end)
        uv_sleep(1);
    CHECK_EQ(atomic_load(count), n);
}

static void gone(struct desk *d, const char *name)
{
    store_cmd(d->store, NULL, NULL, "DEL bus:message:%s", name);
    store_cmd(d->store, NULL, NULL, "ZREM bus:message %s", name);
}

// One that is in the registry and nowhere else, until it is gone.
static void there(struct desk *d, const char *name)
{
    struct buf node = {0};
    PACK(&node, bus_node,
         (&(struct bus_node){bytes_of(name), BYTES("tcp://127.0.0.1:1"), BYTES("tcp://127.0.0.1:1"), 1, 1}));
    store_cmd(d->store, NULL, NULL, "SET bus:message:%s %b", name, node.p, node.n);
    store_cmd(d->store, NULL, NULL, "ZADD bus:message %llu %s", (unsigned long long)loop_unix_ms(d->loop) + 60000,
              name);
    buf_fini(&node);
}

static bool knows(const struct desk *d, const char *name)
{
    return bus_is(d->bus, bytes_of(name), BUS_MESSAGE);
}

TEST(a_closing_that_does_not_come_back_is_told_once)
{
    struct room r;
    struct desk d;
    room_open(&r);
    desk_open(&r, &d, BUS_GATEWAY, "gateway-1");
    there(&d, "message-1");
    UNTIL(r.loop, knows(&d, "message-1"));
    atomic_store(&hangs, true);
    gone(&d, "message-1");
    UNTIL(r.loop, !knows(&d, "message-1") && d.stuck == 1);
    wait_for(&hung, 1);
    there(&d, "message-2"); // it goes on meanwhile
    UNTIL(r.loop, knows(&d, "message-2"));
    gone(&d, "message-2");
    UNTIL(r.loop, !knows(&d, "message-2"));
    CHECK_EQ(atomic_load(&hung), 1); // what is to be closed waits
    atomic_store(&hangs, false);
    atomic_store(&let_go, true);
    desk_close(&d);
    CHECK_EQ(d.stuck, 1);
    room_close(&r);
}

TEST(a_bus_ends_although_its_sockets_do_not_close)
{
    struct room r;
    struct desk gateway;
    atomic_store(&let_go, false);
    atomic_store(&hangs, true);
    room_open(&r);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    desk_close(&gateway);
    wait_for(&hung, 1);
    room_close(&r); // no handle is left on the loop
    atomic_store(&let_go, true);
    wait_for(&hung, 0);
}

MAIN
