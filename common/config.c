// config: finds each row's text (flag, else environment, else default), checks all of them, then writes all of them.
// A refused configuration changes nothing and is told in one sentence; the text of a secret is never told.
#include "config.h"
#include "arena.h"
#include "log.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAG_MAX 64u

// "SB_PORT" to "--port".
static const char *flag_name(char out[FLAG_MAX], const struct config_row *row)
{
    const char *env = strncmp(row->env, "SB_", 3) == 0 ? row->env + 3 : row->env;
    size_t n = strlen(env);
    CHECK(n + 3 <= FLAG_MAX);
    memcpy(out, "--", 2);
    for (size_t i = 0; i <= n; i++)
        out[2 + i] = env[i] == '_' ? '-' : (char)tolower((unsigned char)env[i]);
    return out;
}

// The value when `arg` is this row's flag, otherwise NULL.
static const char *flag_value(const struct config_row *row, const char *arg)
{
    char flag[FLAG_MAX];
    size_t n = strlen(flag_name(flag, row));
    return strncmp(arg, flag, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

static const char *row_text(const struct config_row *row, int argc, char **argv)
{
    for (int i = argc - 1; i > 0; i--) {
        const char *value = flag_value(row, argv[i]);
        if (value)
            return value;
    }
    const char *value = getenv(row->env);
    if (!value)
        value = row->fallback;
    return value ? value : "";
}

static void print_help(const struct config_row *rows, size_t n, const char *program)
{
    static const char *const kinds[] = {"TEXT", "SECRET", "NUMBER"};
    printf("Usage: %s [--flag=value]...\nA flag goes before its environment variable.\n\n", program);
    for (size_t i = 0; i < n; i++) {
        char flag[FLAG_MAX];
        const char *fallback = rows[i].fallback ? rows[i].fallback : "";
        printf("  %s=%s\n      %s (%s, default: %s)\n", flag_name(flag, &rows[i]), kinds[rows[i].kind], rows[i].help,
               rows[i].env, *fallback ? fallback : "none");
    }
}

static int check_arg(const struct config_row *rows, size_t n, const char *arg)
{
    size_t name = strcspn(arg, "="); // what follows may be a secret
    if (strncmp(arg, "--", 2) != 0) {
        fprintf(stderr, "The argument \"%.*s\" is not a setting of the form --flag=value.\n", (int)name, arg);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < n; i++) {
        char flag[FLAG_MAX];
        flag_name(flag, &rows[i]);
        if (strlen(flag) != name || strncmp(arg, flag, name) != 0)
            continue;
        if (arg[name] == '=')
            return OK;
        fprintf(stderr, "The flag %s needs a value: %s=value.\n", flag, flag);
        return ERR_INVALID;
    }
    fprintf(stderr, "There is no flag %.*s; --help lists all of them.\n", (int)name, arg);
    return ERR_INVALID;
}

static int check_number(const struct config_row *row, const char *text)
{
    char flag[FLAG_MAX];
    uint64_t v, max = row->max ? row->max : UINT64_MAX;
    if (bytes_u64(bytes_of(text), &v) == OK && v >= row->min && v <= max)
        return OK;
    fprintf(stderr, "%s (%s) must be a whole number from %" PRIu64 " to %" PRIu64 ", not \"%s\".\n", row->env,
            flag_name(flag, row), row->min, max, text);
    return ERR_INVALID;
}

static int check_length(const struct config_row *row, const char *text)
{
    char flag[FLAG_MAX];
    size_t n = strlen(text);
    if (!n && row->min) {
        fprintf(stderr, "%s (%s) must be set (%s).\n", row->env, flag_name(flag, row), row->help);
        return ERR_INVALID;
    }
    if (n < row->min) {
        fprintf(stderr, "%s (%s) must have at least %" PRIu64 " characters, not %zu.\n", row->env, flag_name(flag, row),
                row->min, n);
        return ERR_INVALID;
    }
    if (row->max && n > row->max) {
        fprintf(stderr, "%s (%s) must have at most %" PRIu64 " characters, not %zu.\n", row->env, flag_name(flag, row),
                row->max, n);
        return ERR_INVALID;
    }
    return OK;
}

int config_load(const struct config_row *rows, size_t n, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help(rows, n, argv[0]);
            exit(0);
        }
    }
    for (int i = 1; i < argc; i++)
        if (check_arg(rows, n, argv[i]) != OK)
            return ERR_INVALID;
    for (size_t i = 0; i < n; i++) {
        const char *text = row_text(&rows[i], argc, argv);
        int err = rows[i].kind == CONFIG_UINT ? check_number(&rows[i], text) : check_length(&rows[i], text);
        if (err)
            return err;
    }
    for (size_t i = 0; i < n; i++) {
        const char *text = row_text(&rows[i], argc, argv);
        if (rows[i].kind == CONFIG_UINT)
            *(uint64_t *)rows[i].at = strtoull(text, NULL, 10);
        else
            *(const char **)rows[i].at = text;
    }
    return OK;
}

// A URL may carry a password: redis://:password@host becomes redis://***@host.
static const char *without_password(struct arena *a, const char *text)
{
    const char *scheme = strstr(text, "://"), *at = strrchr(text, '@');
    if (!scheme || !at || at < scheme)
        return text;
    return arena_printf(a, "%.*s***%s", (int)(scheme + 3 - text), text, at).p;
}

void config_log(const struct config_row *rows, size_t n)
{
    struct arena a = {0};
    struct log_field *fields = arena_take(&a, n * sizeof(*fields));
    for (size_t i = 0; i < n; i++) {
        const void *at = rows[i].at;
        switch (rows[i].kind) {
        case CONFIG_UINT:
            fields[i] = (struct log_field)KU(rows[i].env, *(const uint64_t *)at);
            break;
        case CONFIG_SECRET:
            fields[i] = (struct log_field)KS(rows[i].env, **(const char *const *)at ? "***" : "");
            break;
        case CONFIG_TEXT:
            fields[i] = (struct log_field)KS(rows[i].env, without_password(&a, *(const char *const *)at));
            break;
        }
    }
    if (LOG_INFO >= log_threshold)
        log_write(LOG_INFO, EV("config"), fields, n);
    arena_fini(&a);
}
