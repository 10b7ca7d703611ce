// log: builds each line in one fixed buffer and hands it over in one write. Text is quoted unless it is plain, and
// whatever is not printable ASCII is escaped, so no value can forge a line or a field.
#include "log.h"
#include "metrics.h"
#include "window.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 4096u // lines of several processes do not mix in one pipe up to this length
#define LOG_TEXT_MAX 512u  // a longer text is cut and ends in ...
#define PEER_LINES 20u
#define PEER_MS 1000u

static const struct bytes cut_mark = {" cut=1\n", 7};

struct line {
    size_t n;
    bool cut; // something did not fit; nothing is added any more
    char p[LOG_LINE_MAX];
};

enum log_level log_threshold = LOG_INFO;
static char service_name[32] = "none", instance_name[64] = "none";
static struct window peer_lines;
static uint64_t peer_dropped; // and not told yet

void log_init(enum log_level threshold, const char *service, const char *instance)
{
    log_threshold = threshold;
    snprintf(service_name, sizeof(service_name), "%s", service);
    snprintf(instance_name, sizeof(instance_name), "%s", instance);
}

static void put(struct line *l, const char *p, size_t n)
{
    l->cut |= n > sizeof(l->p) - cut_mark.n - l->n;
    if (l->cut)
        return;
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static bool plain(struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] <= ' ' || b.p[i] > '~' || strchr("\"\\=", b.p[i]))
            return false;
    return b.n > 0;
}

static void put_escaped(struct line *l, char c)
{
    char hex[5];
    switch (c) {
    case '"':
        put(l, "\\\"", 2);
        return;
    case '\\':
        put(l, "\\\\", 2);
        return;
    case '\n':
        put(l, "\\n", 2);
        return;
    case '\r':
        put(l, "\\r", 2);
        return;
    case '\t':
        put(l, "\\t", 2);
        return;
    }
    if (c >= ' ' && c <= '~') {
        put(l, &c, 1);
        return;
    }
    snprintf(hex, sizeof(hex), "\\x%02x", (unsigned)(unsigned char)c);
    put(l, hex, 4);
}

static void put_text(struct line *l, struct bytes b)
{
    size_t n = b.n < LOG_TEXT_MAX ? b.n : LOG_TEXT_MAX;
    if (n == b.n && plain(b)) {
        put(l, b.p, n);
        return;
    }
    put(l, "\"", 1);
    for (size_t i = 0; i < n; i++)
        put_escaped(l, b.p[i]);
    if (n < b.n)
        put(l, "...", 3);
    put(l, "\"", 1);
}

static void put_field(struct line *l, const struct log_field *f)
{
    char number[24];
    size_t before = l->n;
    put(l, " ", 1);
    put(l, f->key, strlen(f->key));
    put(l, "=", 1);
    switch (f->kind) {
    case LOG_U64:
        put(l, number, (size_t)snprintf(number, sizeof(number), "%" PRIu64, f->v.u));
        break;
    case LOG_I64:
        put(l, number, (size_t)snprintf(number, sizeof(number), "%" PRId64, f->v.i));
        break;
    case LOG_TEXT:
        put_text(l, bytes_of(f->v.s));
        break;
    case LOG_BYTES:
        put_text(l, f->v.b);
        break;
    }
    if (l->cut)
        l->n = before; // a field is there whole or not at all
}

static void put_time(struct line *l)
{
    struct timespec now;
    struct tm day;
    char text[40], ms[8];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &day);
    put(l, text, strftime(text, sizeof(text), "ts=%Y-%m-%dT%H:%M:%S", &day));
    snprintf(ms, sizeof(ms), ".%03uZ", (unsigned)(now.tv_nsec / 1000000) % 1000u);
    put(l, ms, 5);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const struct log_field head[] = {KS("level", names[level]), KS("service", service_name),
                                     KS("instance", instance_name), KS("event", event)};
    struct line l;
    l.n = 0;
    l.cut = false;
    put_time(&l);
    for (size_t i = 0; i < countof(head); i++)
        put_field(&l, &head[i]);
    for (size_t i = 0; i < n; i++)
        put_field(&l, &fields[i]);
    struct bytes end = l.cut ? cut_mark : BYTES("\n");
    memcpy(l.p + l.n, end.p, end.n);
    l.n += end.n;
    while (write(STDERR_FILENO, l.p, l.n) < 0 && errno == EINTR)
        ;
}

bool log_peer_may(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (!peer_lines.limit)
        window_init(&peer_lines, PEER_LINES, PEER_MS, ms);
    if (!window_take(&peer_lines, ms)) {
        peer_dropped++;
        M.log_lines_dropped++;
        return false;
    }
    uint64_t dropped = peer_dropped;
    peer_dropped = 0; // a line gets through again only when a new second has begun
    if (dropped)
        LOG(WARN, EV("log.dropped"), KU("lines", dropped));
    return true;
}
