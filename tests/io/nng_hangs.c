// nng_hangs: to be preloaded into a service, whose nng then closes no socket: it does not come back from trying.
#include <nng/nng.h>
#include <unistd.h>

int nng_close(nng_socket s)
{
    (void)s;
    for (;;)
        pause();
}
