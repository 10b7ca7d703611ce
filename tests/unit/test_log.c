// test_log: one line per event, with its fields, and no value that can forge a line or a field. Metrics ride along:
// what the log drops is counted, and counters are printed as Prometheus reads them.
#include "log.h"
#include "metrics.h"
#include "capture.h"
#include "check.h"
#include <time.h>

#define TIME_LEN (sizeof("ts=2026-01-01T00:00:00.000Z ") - 1)
#define HEAD "service=gateway instance=gateway-1 event="

static void begin(enum log_level threshold)
{
    log_init(threshold, "gateway", "gateway-1");
    capture_begin();
}

// The captured text without the time in front of its (first) line.
static const char *end(void)
{
    const char *text = capture_end();
    return strlen(text) > TIME_LEN ? text + TIME_LEN : text;
}

TEST(a_line_has_time_level_service_instance_event_and_fields)
{
    begin(LOG_INFO);
    LOG(INFO, EV("call.ended"), KU("call", UINT64_MAX), KI("delta", -5), KS("why", "unanswered"), KB("to", BYTES("x")));
    const char *text = capture_end();
    const char *shape = "ts=0000-00-00T00:00:00.000Z ";
    for (size_t i = 0; i < TIME_LEN; i++)
        CHECK_TRUE(shape[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i]);
    CHECK_STR(text + TIME_LEN,
              "level=info " HEAD "call.ended call=18446744073709551615 delta=-5 why=unanswered to=x\n");
}

TEST(lines_below_the_level_are_not_written)
{
    begin(LOG_WARN);
    LOG(DEBUG, EV("a"), KU("n", 1));
    LOG(INFO, EV("b"), KU("n", 1));
    LOG(WARN, EV("c"), KU("n", 1));
    CHECK_STR(end(), "level=warn " HEAD "c n=1\n");
    begin(LOG_DEBUG);
    LOG(DEBUG, EV("a"), KU("n", 1));
    CHECK_STR(end(), "level=debug " HEAD "a n=1\n");
}

TEST(text_that_is_not_plain_is_quoted_and_escaped)
{
    begin(LOG_INFO);
    LOG(ERROR, EV("x"), KS("a", "two words"), KS("b", "a\"b\\c"), KS("c", "1\n2\r3\t\x1b[0m\x7f"), KS("d", "k=v"));
    CHECK_STR(end(),
              "level=error " HEAD "x a=\"two words\" b=\"a\\\"b\\\\c\" c=\"1\\n2\\r3\\t\\x1b[0m\\x7f\" d=\"k=v\"\n");
    begin(LOG_INFO);
    LOG(INFO, EV("x"), KS("none", NULL), KB("empty", BYTES_NONE), KB("zero", BYTES("a\0b")), KS("utf", "\xc3\xa9"));
    CHECK_STR(end(), "level=info " HEAD "x none=\"\" empty=\"\" zero=\"a\\x00b\" utf=\"\\xc3\\xa9\"\n");
}

TEST(a_long_text_is_cut_and_says_so)
{
    char text[600];
    memset(text, 'x', sizeof(text));
    begin(LOG_INFO);
    LOG(INFO, EV("x"), KB("t", ((struct bytes){text, sizeof(text)})), KU("after", 1));
    const char *line = end();
    CHECK_EQ(strlen(line), strlen("level=info " HEAD "x t=\"\" after=1\n") + 512 + 3);
    CHECK_TRUE(strstr(line, "xxx...\" after=1\n") != NULL);
}

TEST(a_line_that_is_too_long_ends_after_a_whole_field)
{
    char text[512];
    memset(text, '\n', sizeof(text));
    struct bytes b = {text, sizeof(text)};
    begin(LOG_INFO);
    LOG(INFO, EV("x"), KB("a", b), KB("b", b), KB("c", b), KB("d", b), KB("e", b), KU("f", 1));
    const char *line = capture_end();
    CHECK_TRUE(strlen(line) <= 4096);
    CHECK_TRUE(strstr(line, "\\n\" cut=1\n") != NULL);
    CHECK_TRUE(strstr(line, " c=") != NULL && strstr(line, " d=") == NULL && strstr(line, " f=") == NULL);
    CHECK_TRUE(strchr(line, '\n') == line + strlen(line) - 1);
}

TEST(lines_that_peers_cause_are_limited_counted_and_told)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    uint64_t before = M.log_lines_dropped;
    begin(LOG_INFO);
    while (M.log_lines_dropped - before < 50) // at most two seconds' worth of lines get through meanwhile
        LOG_PEER(INFO, EV("peer"), KU("n", 1));
    while (!log_peer_may())
        nanosleep(&pause, NULL);
    LOG_PEER(DEBUG, EV("below"), KU("n", 1));
    const char *text = capture_end();
    int lines = 0;
    for (const char *p = text; (p = strstr(p, "event=peer ")) != NULL; p++)
        lines++;
    CHECK_TRUE(lines >= 20 && lines <= 60);
    CHECK_TRUE(strstr(text, "level=warn " HEAD "log.dropped lines=") != NULL);
    CHECK_TRUE(strstr(text, "below") == NULL);
}

TEST(metrics_are_printed_with_help_type_and_labels)
{
    struct buf out = {0};
    M.bus_gaps = 7;
    M.sessions = UINT64_MAX;
    metrics_print(&out, "gateway", "a\"b\\c\nd");
    buf_char(&out, 0);
    CHECK_TRUE(strstr(out.p, "# TYPE switchboard_bus_gaps counter\nswitchboard_bus_gaps{service=\"gateway\",instance="
                             "\"a\\\"b\\\\c\\nd\"} 7\n") != NULL);
    CHECK_TRUE(strstr(out.p, "# HELP switchboard_sessions client sessions alive, attached or in grace\n"
                             "# TYPE switchboard_sessions gauge\nswitchboard_sessions{") != NULL);
    CHECK_TRUE(strstr(out.p, "} 18446744073709551615\n") != NULL);
    buf_fini(&out);
}

MAIN
