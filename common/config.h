// config: one table row per setting; environment first, `--flag=value` over it. Unknown flags and values out of
// bounds refuse to start with a sentence. The effective table is logged once, secrets masked.
// A service writes its rows as an array of struct config_row over its own struct.
#pragma once
#include "bytes.h"

enum config_kind { CONFIG_TEXT, CONFIG_SECRET, CONFIG_UINT };

struct config_row {
    const char *env; // "SB_PORT"; the flag is --port: SB_ dropped, lower case, _ to -
    enum config_kind kind;
    void *at;             // const char ** for TEXT and SECRET, uint64_t * for UINT
    const char *fallback; // the default as text
    uint64_t min, max;    // UINT: bounds of the value; TEXT, SECRET: bounds of the length; max 0: no upper bound
    const char *help;     // one line for --help and the README
};

// 0, or ERR_INVALID with the reason on stderr. `--help` prints the table and exits 0.
// Texts point into environ, argv or the table: they live as long as the process.
MUST_USE int config_load(const struct config_row *rows, size_t n, int argc, char **argv);
void config_log(const struct config_row *rows, size_t n);
