// capture: what the code under test writes to stderr, as text.
// capture_begin … capture_end in pairs; the text lives until the next capture_end.
#pragma once
#include "base.h"
#include <stdio.h>
#include <unistd.h>

static FILE *capture_file;
static int capture_saved;

static inline void capture_begin(void)
{
    fflush(stderr);
    capture_file = tmpfile();
    CHECK(capture_file != NULL);
    capture_saved = dup(STDERR_FILENO);
    dup2(fileno(capture_file), STDERR_FILENO);
}

static inline const char *capture_end(void)
{
    static char text[65536];
    fflush(stderr);
    dup2(capture_saved, STDERR_FILENO);
    close(capture_saved);
    rewind(capture_file);
    text[fread(text, 1, sizeof(text) - 1, capture_file)] = 0;
    fclose(capture_file);
    return text;
}
