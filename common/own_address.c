// own_address: see own_address.h.
#include "own_address.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int look_up(const char *host, struct sockaddr_in *out)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *found = NULL;
    if (getaddrinfo(host, "9", &hints, &found) != 0 || !found)
        return ERR_MISSING;
    *out = *(struct sockaddr_in *)(void *)found->ai_addr;
    freeaddrinfo(found);
    return OK;
}

static int print(const struct sockaddr_in *a, char out[OWN_ADDRESS_MAX])
{
    return inet_ntop(AF_INET, &a->sin_addr, out, OWN_ADDRESS_MAX) ? OK : ERR_MISSING;
}

// A datagram socket that is told its peer sends nothing, but has been given its own end by then.
int own_address_towards(const char *host, char out[OWN_ADDRESS_MAX])
{
    struct sockaddr_in there, here;
    socklen_t size = sizeof here;
    if (look_up(host, &there) != OK)
        return ERR_MISSING;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool known = fd >= 0 && connect(fd, (struct sockaddr *)&there, sizeof there) == 0 &&
                 getsockname(fd, (struct sockaddr *)&here, &size) == 0;
    if (fd >= 0)
        close(fd);
    return known ? print(&here, out) : ERR_MISSING;
}

int own_address_named(char out[OWN_ADDRESS_MAX])
{
    char name[256];
    struct sockaddr_in a;
    if (gethostname(name, sizeof name) != 0 || look_up(name, &a) != OK)
        return ERR_MISSING;
    return print(&a, out);
}
