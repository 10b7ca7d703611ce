// replay: runs a target over every file of the directories given, without libFuzzer. Exits 1 when there is none: a
// corpus that got lost proves nothing. Whatever is wrong with an input aborts, and its name is the last one printed.
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>

static void replay(const char *path, FILE *file)
{
    static uint8_t text[1 << 20];
    size_t n = fread(text, 1, sizeof text, file);
    CHECK(!ferror(file) && feof(file));
    printf("%s: %zu bytes\n", path, n);
    fflush(stdout);
    uint8_t *own = mem_grow(NULL, n ? n : 1, 1);
    memcpy(own, text, n);
    LLVMFuzzerTestOneInput(own, n);
    mem_free(own);
}

static unsigned replay_all(const char *directory)
{
    unsigned n = 0;
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char path[4096];
        if (e->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", directory, e->d_name) >= (int)sizeof path)
            continue;
        FILE *file = fopen(path, "rb");
        CHECK(file != NULL);
        replay(path, file);
        fclose(file);
        n++;
    }
    if (d)
        closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    unsigned n = 0;
    for (int i = 1; i < argc; i++) {
        unsigned here = replay_all(argv[i]);
        if (!here) {
            fprintf(stderr, "%s: no inputs\n", argv[i]);
            return 1;
        }
        n += here;
    }
    printf("%u inputs\n", n);
    return n ? 0 : 1;
}
