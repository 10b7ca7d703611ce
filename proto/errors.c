// errors: see errors.h.
#include "errors.h"

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
    body(out, find(API_INVALID_FORM)->message, API_INVALID_FORM);
    buf_str(out, ",\"errors\":{");
    if (fault->field) {
        json_text(out, bytes_of(fault->field));
        buf_str(out, ":{");
        if (fault->index >= 0)
            buf_printf(out, "\"%d\":{", fault->index);
    }
    buf_str(out, "\"_errors\":[{\"code\":");
    json_text(out, bytes_of(fault->code));
    buf_str(out, ",\"message\":");
    json_text(out, bytes_of(fault->text));
    buf_str(out, "}]");
    if (fault->field)
        buf_str(out, fault->index >= 0 ? "}}" : "}");
    buf_str(out, "}}");
}
