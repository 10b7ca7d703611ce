// errors: see errors.h.
#include "errors.h"
#include <string.h>

struct row {
    int64_t code;
    int status;
    const char *message;
};

static const struct row *find(int64_t code)
{
    static const struct row rows[] = {
#define API_ERROR(code, status, message) {(code), (status), (message)},
#include "errors.def"
#undef API_ERROR
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].code == code)
            return &rows[i];
    return NULL;
}

int api_status(int64_t err)
{
    const struct row *row = find(err);
    if (row)
        return row->status;
    if (err == OK)
        return 200;
    return err == ERR_TIMEOUT || err == ERR_IO || err == ERR_FULL ? 503 : 500;
}

static void body(struct buf *out, const char *message, int64_t code)
{
    buf_str(out, "{\"message\":");
    json_text(out, bytes_of(message));
    buf_printf(out, ",\"code\":%lld", (long long)code);
}

void api_error(struct buf *out, int64_t err)
{
    const struct row *row = find(err);
    if (row)
        body(out, row->message, row->code);
    else
        body(out, api_status(err) == 503 ? "503: Service Unavailable" : "500: Internal Server Error", 0);
    buf_char(out, '}');
}

void api_form_error(struct buf *out, const struct fault *fault)
{
    uint32_t depth = 2; // of what has to be closed
    body(out, find(API_INVALID_FORM)->message, API_INVALID_FORM);
    buf_str(out, ",\"errors\":{");
    for (const char *at = fault->field; at && *at; depth++) {
        size_t n = strcspn(at, ".");
        json_text(out, (struct bytes){at, n});
        buf_str(out, ":{");
        at += n + (at[n] == '.');
    }
    if (fault->field && fault->index >= 0) {
        buf_printf(out, "\"%d\":{", fault->index);
        depth++;
    }
    buf_str(out, "\"_errors\":[{\"code\":");
    json_text(out, bytes_of(fault->code));
    buf_str(out, ",\"message\":");
    json_text(out, bytes_of(fault->text));
    buf_str(out, "}]");
    while (depth-- > 0)
        buf_char(out, '}');
}
