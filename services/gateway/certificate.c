// certificate: the public port's: read at the start, again at HUP, and complained about in time. Shell.
#include "gateway.h"
#include "tls.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_MS 86400000u

struct certificate {
    struct gateway *g;
    struct tls *tls;
    struct timer daily;
};

static _Noreturn void refuse(const char *sentence)
{
    fprintf(stderr, "SB_TLS_CERTIFICATE, SB_TLS_KEY: %s\n", sentence);
    exit(2);
}

// Whoever has to renew it reads the log, if not today.
static void tell(const struct certificate *c)
{
    const char *concern = tls_concern(c->tls, loop_unix_ms(c->g->svc.loop) / 1000);
    if (concern)
        LOG(ERROR, EV("certificate"), KS("file", c->g->cfg.tls_certificate), KS("why", concern),
            KU("ends_s", tls_ends_s(c->tls)));
    else
        LOG(INFO, EV("certificate"), KS("file", c->g->cfg.tls_certificate), KU("ends_s", tls_ends_s(c->tls)));
}

static void on_day(struct timer *t, uint64_t now)
{
    struct certificate *c = container_of(t, struct certificate, daily);
    (void)now;
    loop_arm(c->g->svc.loop, t, DAY_MS);
    tell(c);
}

void certificate_start(struct gateway *g)
{
    struct buf why = {0};
    if (!g->cfg.tls_certificate[0] && !g->cfg.tls_key[0])
        return;
    if (!g->cfg.tls_certificate[0] || !g->cfg.tls_key[0])
        refuse("one of them is set, and the other is needed too.");
    struct certificate *c = mem_alloc(sizeof *c);
    c->g = g;
    c->daily.fire = on_day;
    c->tls = tls_new(g->cfg.tls_certificate, g->cfg.tls_key, &why);
    buf_char(&why, '\0');
    if (!c->tls)
        refuse(why.p);
    buf_fini(&why);
    g->certificate = c;
    loop_arm(g->svc.loop, &c->daily, DAY_MS);
    tell(c);
}

void certificate_reload(struct gateway *g)
{
    struct certificate *c = g->certificate;
    struct buf why = {0};
    if (!c)
        return;
    if (tls_reload(c->tls, &why) == OK)
        tell(c);
    else
        LOG(ERROR, EV("certificate.kept"), KS("file", g->cfg.tls_certificate), KB("why", buf_bytes(&why)));
    buf_fini(&why);
}

struct tls *certificate_tls(const struct gateway *g)
{
    return g->certificate ? g->certificate->tls : NULL;
}

void certificate_free(struct gateway *g)
{
    struct certificate *c = g->certificate;
    if (!c)
        return;
    loop_cancel(g->svc.loop, &c->daily);
    tls_free(c->tls);
    mem_free(c);
    g->certificate = NULL;
}
