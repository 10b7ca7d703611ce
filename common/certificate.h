// certificate: that of a port for clients: read at the start, again at HUP, and complained about in time. Shell.
#pragma once
#include "loop.h"
#include "tls.h"

struct certificate;

// The settings SB_TLS_CERTIFICATE and SB_TLS_KEY. NULL: both are empty, the port is plain. Exits with 2 when they
// cannot be used. All below take NULL.
struct certificate *certificate_start(struct loop *l, const char *certificate, const char *key);
void certificate_reload(struct certificate *c); // reads its files again; bad ones change nothing
struct tls *certificate_tls(const struct certificate *c);
void certificate_free(struct certificate *c); // after web_free
