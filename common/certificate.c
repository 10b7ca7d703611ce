// certificate: see certificate.h.
#include "certificate.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_MS 86400000u

struct certificate {
    struct loop *loop;
    const char *file;
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
    const char *concern = tls_concern(c->tls, loop_unix_ms(c->loop) / 1000);
    if (concern)
        LOG(ERROR, EV("certificate"), KS("file", c->file), KS("why", concern), KU("ends_s", tls_ends_s(c->tls)));
    else
        LOG(INFO, EV("certificate"), KS("file", c->file), KU("ends_s", tls_ends_s(c->tls)));
}

static void on_day(struct timer *t, uint64_t now)
{
    struct certificate *c = container_of(t, struct certificate, daily);
    (void)now;
    loop_arm(c->loop, t, DAY_MS);
    tell(c);
}

struct certificate *certificate_start(struct loop *l, const char *certificate, const char *key)
{
    struct buf why = {0};
    if (!certificate[0] && !key[0])
        return NULL;
    if (!certificate[0] || !key[0])
        refuse("one of them is set, and the other is needed too.");
    struct certificate *c = mem_alloc(sizeof *c);
    c->loop = l;
    c->file = certificate;
    c->daily.fire = on_day;
    c->tls = tls_new(certificate, key, &why);
    buf_char(&why, '\0');
    if (!c->tls)
        refuse(why.p);
    buf_fini(&why);
    loop_arm(l, &c->daily, DAY_MS);
    tell(c);
    return c;
}

void certificate_reload(struct certificate *c)
{
    struct buf why = {0};
    if (!c)
        return;
    if (tls_reload(c->tls, &why) == OK)
        tell(c);
    else
        LOG(ERROR, EV("certificate.kept"), KS("file", c->file), KB("why", buf_bytes(&why)));
    buf_fini(&why);
}

struct tls *certificate_tls(const struct certificate *c)
{
    return c ? c->tls : NULL;
}

void certificate_free(struct certificate *c)
{
    if (!c)
        return;
    loop_cancel(c->loop, &c->daily);
    tls_free(c->tls);
    mem_free(c);
}
