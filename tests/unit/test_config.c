// test_config: flag before environment before default; what is unknown or out of bounds is refused in one sentence
// and changes nothing; secrets are never told.
#include "config.h"
#include "log.h"
#include "capture.h"
#include "check.h"
#include <sys/wait.h>

static uint64_t port;
static const char *url, *secret, *file;
static const struct config_row rows[] = {
    {"SB_PORT", CONFIG_UINT, &port, "8080", 0, 65535, "port for clients"},
    {"REDIS_URL", CONFIG_TEXT, &url, "redis://127.0.0.1:6379/0", 1, 40, "the store"},
    {"SB_TOKEN_SECRET", CONFIG_SECRET, &secret, NULL, 8, 0, "signs tokens"},
    {"SB_REGIONS_FILE", CONFIG_TEXT, &file, "", 0, 0, "regions"},
};

static const char *said;
static int load(const char *a, const char *b)
{
    char *argv[] = {(char *)(uintptr_t) "test", (char *)(uintptr_t)a, (char *)(uintptr_t)b, NULL};
    capture_begin();
    int err = config_load(rows, countof(rows), a ? b ? 3 : 2 : 1, argv);
    said = capture_end();
    return err;
}

static void clear(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        unsetenv(rows[i].env);
    setenv("SB_TOKEN_SECRET", "12345678", 1);
    port = 1;
    url = secret = file = "untouched";
}

static void refused(const char *a, const char *b, const char *sentence)
{
    CHECK_EQ(load(a, b), ERR_INVALID);
    CHECK_STR(said, sentence);
    CHECK_EQ(port, 1);
    CHECK_STR(url, "untouched");
    CHECK_STR(secret, "untouched");
}

TEST(defaults_hold_when_nothing_is_said)
{
    clear();
    CHECK_EQ(load(NULL, NULL), OK);
    CHECK_EQ(port, 8080);
    CHECK_STR(url, "redis://127.0.0.1:6379/0");
    CHECK_STR(secret, "12345678");
    CHECK_STR(file, "");
    CHECK_STR(said, "");
}

TEST(a_flag_goes_before_the_environment)
{
    clear();
    setenv("SB_PORT", "1000", 1);
    setenv("REDIS_URL", "redis://a", 1);
    CHECK_EQ(load("--port=2000", NULL), OK);
    CHECK_EQ(port, 2000);
    CHECK_STR(url, "redis://a");
    CHECK_EQ(load("--redis-url=redis://b", "--redis-url=redis://c=d"), OK);
    CHECK_EQ(port, 1000);
    CHECK_STR(url, "redis://c=d");
}

TEST(a_flag_corrects_a_bad_environment)
{
    clear();
    setenv("SB_PORT", "x", 1);
    CHECK_EQ(load("--port=0", NULL), OK);
    CHECK_EQ(port, 0);
}

TEST(an_empty_text_is_a_value)
{
    clear();
    CHECK_EQ(load("--regions-file=", NULL), OK);
    CHECK_STR(file, "");
}

TEST(an_empty_text_is_refused_where_one_is_needed)
{
    clear();
    refused("--redis-url=", NULL, "REDIS_URL (--redis-url) must be set (the store).\n");
}

TEST(unknown_flags_are_refused_without_their_value)
{
    clear();
    refused("--prot=hidden", NULL, "There is no flag --prot; --help lists all of them.\n");
    refused("--sb-port=1", NULL, "There is no flag --sb-port; --help lists all of them.\n");
    refused("--portx=1", NULL, "There is no flag --portx; --help lists all of them.\n");
    refused("--por=1", NULL, "There is no flag --por; --help lists all of them.\n");
    refused("--port", "1", "The flag --port needs a value: --port=value.\n");
    refused("serve", NULL, "The argument \"serve\" is not a setting of the form --flag=value.\n");
    refused("-p=1", NULL, "The argument \"-p\" is not a setting of the form --flag=value.\n");
    refused("token-secret=hidden", NULL, "The argument \"token-secret\" is not a setting of the form --flag=value.\n");
}

TEST(numbers_out_of_bounds_are_refused)
{
    clear();
    refused("--port=65536", NULL, "SB_PORT (--port) must be a whole number from 0 to 65535, not \"65536\".\n");
    refused("--port=-1", NULL, "SB_PORT (--port) must be a whole number from 0 to 65535, not \"-1\".\n");
    refused("--port=", NULL, "SB_PORT (--port) must be a whole number from 0 to 65535, not \"\".\n");
    setenv("SB_PORT", "80 ", 1);
    refused(NULL, NULL, "SB_PORT (--port) must be a whole number from 0 to 65535, not \"80 \".\n");
}

TEST(texts_out_of_bounds_are_refused_and_secrets_not_shown)
{
    clear();
    refused("--token-secret=hunter2", NULL,
            "SB_TOKEN_SECRET (--token-secret) must have at least 8 characters, not 7.\n");
    refused("--redis-url=redis://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL,
            "REDIS_URL (--redis-url) must have at most 40 characters, not 41.\n");
    unsetenv("SB_TOKEN_SECRET");
    refused(NULL, NULL, "SB_TOKEN_SECRET (--token-secret) must be set (signs tokens).\n");
}

TEST(help_prints_the_table_and_exits_with_0)
{
    int out[2], status;
    char text[4096];
    clear();
    fflush(stdout);
    CHECK_EQ(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        _exit(load("--prot=1", "--help") ? 3 : 4); // not reached: it exits by itself
    }
    close(out[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(out[0], text + n, sizeof(text) - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = 0;
    close(out[0]);
    CHECK_TRUE(waitpid(child, &status, 0) == child);
    CHECK_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_TRUE(strstr(text, "  --port=NUMBER\n      port for clients (SB_PORT, default: 8080)\n") != NULL);
    CHECK_TRUE(strstr(text, "  --token-secret=SECRET\n      signs tokens (SB_TOKEN_SECRET, default: none)\n") != NULL);
}

TEST(the_table_is_logged_once_with_secrets_masked)
{
    clear();
    log_init(LOG_INFO, "gateway", "g");
    CHECK_EQ(load("--redis-url=redis://:pass@word@host:1/2", NULL), OK);
    capture_begin();
    config_log(rows, countof(rows));
    const char *line = capture_end();
    CHECK_TRUE(strstr(line, "level=info service=gateway instance=g event=config SB_PORT=8080 "
                            "REDIS_URL=redis://***@host:1/2 SB_TOKEN_SECRET=*** SB_REGIONS_FILE=\"\"\n") != NULL);
}

MAIN
