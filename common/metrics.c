// metrics: the process's counters, and their printing in Prometheus' text format (version 0.0.4).
// Pure. The rows come from metrics.def alone.
#include "metrics.h"

struct metrics M;

// Backslash, quote and newline are what a label value may not hold as they are.
static void add_label(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            buf_char(out, '\\');
        if (*text == '\n')
            buf_str(out, "\\n");
        else
            buf_char(out, *text);
    }
}

static void add_row(struct buf *out, struct bytes labels, const char *name, const char *type, const char *help,
                    uint64_t value)
{
    buf_printf(out, "# HELP switchboard_%s %s\n# TYPE switchboard_%s %s\nswitchboard_%s", name, help, name, type, name);
    buf_add(out, labels.p, labels.n);
    buf_char(out, ' ');
    buf_u64(out, value);
    buf_char(out, '\n');
}

void metrics_print(struct buf *out, const char *service, const char *instance)
{
    struct buf labels = {0};
    buf_str(&labels, "{service=\"");
    add_label(&labels, service);
    buf_str(&labels, "\",instance=\"");
    add_label(&labels, instance);
    buf_str(&labels, "\"}");
#define COUNTER(name, help) add_row(out, buf_bytes(&labels), #name, "counter", help, M.name);
#define GAUGE(name, help) add_row(out, buf_bytes(&labels), #name, "gauge", help, M.name);
#include "metrics.def"
#undef COUNTER
#undef GAUGE
    buf_fini(&labels);
}
