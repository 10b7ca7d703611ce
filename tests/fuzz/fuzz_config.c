// Configuration: any arguments and environment, and the address of the store.
// - It is taken whole, each value within its row's bounds, or refused with a sentence, and then nothing has changed.
// - The sentence shows no secret, whether it is the value that is wrong or another.
// - An address is host, port, database and password as it was put together, or refused.
#include "config.h"
#include "fuzz.h"
#include "store_address.h"

#include <stdio.h>
#include <stdlib.h>

struct cfg {
    const char *bind, *secret, *url;
    uint64_t port, size;
};
#define SECRET "top-secret-words"
#define UNTOUCHED "untouched"
static const struct cfg untouched = {UNTOUCHED, UNTOUCHED, UNTOUCHED, 4711, 4712};
static const char *const names[] = {"SB_BIND", "SB_SECRET", "REDIS_URL", "SB_PORT", "SB_SIZE_BYTES"};
static const char *const flags[] = {"--bind", "--secret", "--redis-url", "--port", "--size-bytes"};

static struct cfg cfg;
static const struct config_row rows[] = {
    {"SB_BIND", CONFIG_TEXT, &cfg.bind, "127.0.0.1", 1, 20, "an address"},
    {"SB_SECRET", CONFIG_SECRET, &cfg.secret, NULL, 8, 40, "a secret"},
    {"REDIS_URL", CONFIG_TEXT, &cfg.url, "redis://:word@h", 0, 60, "a store"},
    {"SB_PORT", CONFIG_UINT, &cfg.port, "8080", 0, 65535, "a port"},
    {"SB_SIZE_BYTES", CONFIG_UINT, &cfg.size, "1", 1, 0, "a size"},
};

// Loads with what it says in memory. Whoever calls gives `told` back.
static int load(int argc, char **argv, struct buf *told)
{
    FILE *real = stderr;
    char *text = NULL;
    size_t n = 0;
    stderr = open_memstream(&text, &n);
    CHECK(stderr != NULL);
    int err = config_load(rows, countof(rows), argc, argv);
    fclose(stderr);
    stderr = real;
    buf_add(told, text, n);
    buf_char(told, '\0');
    free(text);
    return err;
}

static void check_loaded(void)
{
    size_t bind = strlen(cfg.bind), secret = strlen(cfg.secret);
    CHECK(bind >= 1 && bind <= 20 && secret >= 8 && secret <= 40 && strlen(cfg.url) <= 60);
    CHECK(cfg.port <= 65535 && cfg.size >= 1);
}

// A value for a row: mostly a fitting one. The secret is the secret's alone.
static const char *value(struct feed *f, struct arena *a, bool secret)
{
    static const char *const values[] = {
        "",   "0",  "1",    "65535", "65536",    "18446744073709551615", "18446744073709551616",
        "-1", "1 ", "0x10", "h",     "12345678", "redis://:word@h:1/2"};
    uint8_t what = feed_u8(f);
    if (secret && what % 2)
        return SECRET;
    if (what < 200)
        return values[what % countof(values)];
    const char *text = arena_text(a, feed_bytes(f, 100));
    return strstr(text, SECRET) ? "" : text;
}

static void configuration(struct feed *f, struct arena *a)
{
    static char program[] = "program";
    char *argv[10] = {program};
    int argc = 1;
    for (size_t i = 0; i < countof(rows); i++) {
        unsetenv(names[i]);
        const char *v = value(f, a, i == 1);
        if (feed_u8(f) & 1)
            CHECK(setenv(names[i], v, 1) == 0);
    }
    for (uint32_t n = feed_below(f, 8); n > 0; n--) {
        uint8_t what = feed_u8(f);
        bool any = what >= 220;
        const char *v = value(f, a, !any && what % countof(flags) == 1);
        struct bytes arg = any ? bytes_of(v) : arena_printf(a, "%s=%s", flags[what % countof(flags)], v);
        if (!bytes_is(arg, "--help")) // which prints and exits
            argv[argc++] = arena_text(a, arg);
    }
    cfg = untouched;
    struct buf told = {0};
    int err = load(argc, argv, &told);
    if (err == OK) {
        CHECK(told.n == 1);
        check_loaded();
    } else {
        CHECK(err == ERR_INVALID && told.n > 10 && told.p[told.n - 2] == '\n');
        CHECK(memcmp(&cfg, &untouched, sizeof cfg) == 0);
        CHECK(!strstr(told.p, SECRET));
    }
    buf_fini(&told);
}

// --- the store's address ---

static void any_address(struct arena *a, struct bytes text)
{
    struct store_address s;
    char *url = arena_text(a, text);
    char *own = feed_own((struct bytes){url, strlen(url) + 1});
    if (store_address_parse(&s, own) == OK) {
        CHECK(s.host[0] && strlen(s.host) < sizeof s.host && strlen(s.password) < sizeof s.password);
        CHECK(s.port[0] && strlen(s.port) <= 5 && s.db <= INT32_MAX);
    }
    mem_free(own);
}

static void put_together(struct feed *f, struct arena *a)
{
    static const char *const hosts[] = {"h", "redis.example", "[::1]", "10.0.0.1"};
    static const char hex[] = "0123456789abcdef";
    const char *host = hosts[feed_below(f, countof(hosts))];
    unsigned port = 1 + feed_u8(f) * 255u, db = feed_u8(f);
    struct bytes password = feed_bytes(f, 80);
    struct buf encoded = {0};
    for (size_t i = 0; i < password.n; i++) {
        unsigned char c = (unsigned char)password.p[i];
        c = c ? c : 1;
        buf_char(&encoded, '%');
        buf_char(&encoded, hex[c >> 4]);
        buf_char(&encoded, hex[c & 15]);
    }
    struct bytes url = arena_printf(a, "redis://%s%.*s%s%s:%u/%u", password.n ? ":" : "",
                                    BYTES_FMT(buf_bytes(&encoded)), password.n ? "@" : "", host, port, db);
    struct store_address s;
    CHECK(store_address_parse(&s, arena_text(a, url)) == OK);
    CHECK(s.db == db && (unsigned)strtoul(s.port, NULL, 10) == port && strlen(s.password) == password.n);
    CHECK(strcmp(s.host, host) == 0 || strcmp(s.host, "::1") == 0);
    for (size_t i = 0; i < password.n; i++)
        CHECK(s.password[i] == (password.p[i] ? password.p[i] : 1));
    buf_fini(&encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct arena a = {0};
    switch (feed_below(&f, 4)) {
    case 0:
        any_address(&a, feed_rest(&f));
        break;
    case 1:
        put_together(&f, &a);
        break;
    default:
        configuration(&f, &a);
        break;
    }
    arena_fini(&a);
    return 0;
}
