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

TEST(a_closing_that_does_not_come_back_is_told_once)
{
    struct room r;
    struct desk gateway, owner;
    room_open(&r);
    desk_open(&r, &gateway, BUS_GATEWAY, "gateway-1");
    desk_open(&r, &owner, BUS_MESSAGE, "message-1");
    UNTIL(r.loop, gateway.ups == 2 && owner.ups == 2);
    desk_close(&owner);
    atomic_store(&hangs, true);
    UNTIL(r.loop, gateway.downs == 1 && gateway.stuck == 1);
    CHECK_EQ(atomic_load(&hung), 1);
    desk_open(&r, &owner, BUS_MESSAGE, "message-2"); // it goes on meanwhile
    UNTIL(r.loop, gateway.ups == 3);
    atomic_store(&hangs, false);
    atomic_store(&let_go, true);
    desk_close(&owner);
    UNTIL(r.loop, gateway.downs == 2);
    CHECK_EQ(gateway.stuck, 1);
    desk_close(&gateway);
    wait_for(&hung, 0);
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
    CHECK_EQ(atomic_load(&hung), 1);
    room_close(&r); // no handle is left on the loop
    atomic_store(&let_go, true);
    wait_for(&hung, 0);
}

MAIN
