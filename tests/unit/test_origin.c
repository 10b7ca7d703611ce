// test_origin: which web pages are let in, and what the browser is told; table by table.
#define _GNU_SOURCE // memmem
#include "origin.h"
#include "check.h"

#include <string.h>

static struct http_head head(const char *method, const char *host, const char *origin, const char *preflight)
{
    return (struct http_head){.method = bytes_of(method),
                              .host = bytes_of(host),
                              .origin = bytes_of(origin),
                              .preflight = bytes_of(preflight)};
}

TEST(who_is_let_in)
{
    static const struct {
        const char *allowed, *public_url, *host, *origin;
        int status;
    } rows[] = {
        // Nobody's page: libraries, apps, other servers, whatever they call us.
        {"", "", "127.0.0.1:8080", NULL, 0},
        {"", "", "anything.example", NULL, 0},
        {"", "", NULL, NULL, 0},
        {"https://a.example", "", "127.0.0.1:8080", NULL, 0},
        // A page from elsewhere.
        {"", "", "127.0.0.1:8080", "https://evil.example", 403},
        {"", "", "127.0.0.1:8080", "null", 403},
        {"", "", "127.0.0.1:8080", "", 403},
        {"", "", "127.0.0.1:8080", "file://", 403},
        {"", "", "127.0.0.1:8080", "http://localhost:3000", 403},
        {"", "", "127.0.0.1:8080", "http://127.0.0.1:3000", 403},
        {"", "", "127.0.0.1:8080", "http://127.0.0.1", 403},
        // DNS rebinding: a name of the attacker's that has our address. Its origin is our Host.
        {"", "", "evil.example:8080", "http://evil.example:8080", 403},
        {"", "wss://chat.example", "evil.example", "https://evil.example", 403},
        {"", "", "127.0.0.1.evil.example:8080", "http://127.0.0.1.evil.example:8080", 403},
        {"", "", "localhost.evil.example", "http://localhost.evil.example", 403},
        {"", "", "1.2.3.4x", "http://1.2.3.4x", 403},
        // Where we are addressed ourselves; some websocket libraries send that.
        {"", "", "127.0.0.1:8080", "http://127.0.0.1:8080", 0},
        {"", "", "[::1]:8080", "http://[::1]:8080", 0},
        {"", "", "localhost:8080", "http://localhost:8080", 0},
        {"", "", "LOCALHOST:8080", "http://localhost:8080", 0},
        {"", "", "192.0.2.7", "https://192.0.2.7", 0},
        {"", "", "192.0.2.7:8080", "http://192.0.2.7:8081", 403},
        {"", "wss://chat.example", "chat.example", "https://chat.example", 0},
        {"", "wss://chat.example:443/", "inner:8080", "https://chat.example", 0}, // a proxy in front
        {"", "ws://chat.example:80", "chat.example", "http://Chat.Example", 0},
        {"", "wss://chat.example:8443", "chat.example", "https://chat.example", 403},
        {"", "wss://chat.example", "chat.example", "https://chat.example:8443", 403},
        {"", "wss://chat.example", "chat.example", "https://chat.example.evil.example", 403},
        {"", "wss://chat.example", "chat.example", "https://evil.example/chat.example", 403},
        // The official client, and libraries that say that they are it.
        {"", "", "127.0.0.1:8080", "https://discord.com", 0},
        {"https://a.example", "", "x", "https://canary.discord.com", 0},
        {"", "", "127.0.0.1:8080", "http://discord.com", 403},
        {"", "", "127.0.0.1:8080", "https://discord.com.evil.example", 403},
        {"", "", "127.0.0.1:8080", "https://evil.discord.com", 403},
        // The list.
        {"https://a.example", "", "x", "https://a.example", 0},
        {"https://a.example", "", "x", "https://A.example:443", 0},
        {"https://a.example:443", "", "x", "https://a.example", 0},
        {"https://a.example", "", "x", "http://a.example", 403},
        {"https://a.example", "", "x", "https://a.example:8443", 403},
        {"https://a.example", "", "x", "https://b.a.example", 403},
        {"https://a.example", "", "x", "https://a.example.evil.example", 403},
        {"https://a.example,http://localhost:3000", "", "x", "http://localhost:3000", 0},
        {" https://a.example , app://- ", "", "x", "app://-", 0},
        {"app://-", "", "x", "app://other", 403},
        {"file://", "", "x", "file://", 0},
        {"*", "", "x", "https://anything.example", 0},
        {"*", "", "x", "null", 0},
        {"https://a.example *", "", "x", "https://anything.example", 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const struct origin_rules rules = {bytes_of(rows[i].allowed), bytes_of(rows[i].public_url)};
        struct http_head h = head("GET", rows[i].host, rows[i].origin, NULL);
        struct buf headers = {0};
        int status = origin_admit(&rules, &h, &headers);
        if (status != rows[i].status)
            printf("row %zu: list \"%s\", url \"%s\", host \"%s\", origin \"%s\"\n", i, rows[i].allowed,
                   rows[i].public_url, rows[i].host ? rows[i].host : "", rows[i].origin ? rows[i].origin : "");
        CHECK_EQ(status, rows[i].status);
        CHECK_EQ(headers.n > 0, status == 0 && rows[i].origin != NULL);
        buf_fini(&headers);
    }
}

static bool says(const struct buf *headers, const char *text)
{
    return headers->n && memmem(headers->p, headers->n, text, strlen(text));
}

TEST(a_page_is_told_that_it_may_read_the_answer)
{
    const struct origin_rules rules = {BYTES("https://a.example"), BYTES_NONE};
    struct http_head h = head("POST", "x", "https://a.example", NULL);
    struct buf headers = {0};
    CHECK_EQ(origin_admit(&rules, &h, &headers), 0);
    CHECK_TRUE(says(&headers, "Access-Control-Allow-Origin: https://a.example\r\nVary: Origin\r\n"));
    CHECK_TRUE(says(&headers, "Access-Control-Expose-Headers: ") && says(&headers, "X-RateLimit-Reset-After"));
    CHECK_TRUE(!says(&headers, "Allow-Methods") && !says(&headers, "Credentials"));
    buf_fini(&headers);
}

TEST(a_preflight_is_answered_for_it)
{
    const struct origin_rules rules = {BYTES("https://a.example"), BYTES_NONE};
    struct http_head h = head("OPTIONS", "x", "https://a.example", "PATCH"), plain = h, other = h;
    struct buf headers = {0};
    CHECK_EQ(origin_admit(&rules, &h, &headers), 204);
    CHECK_TRUE(says(&headers, "Access-Control-Allow-Origin: https://a.example\r\n"));
    CHECK_TRUE(says(&headers, "Access-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE\r\n"));
    CHECK_TRUE(says(&headers, "Allow-Headers: Authorization, Content-Type, ") && says(&headers, "X-Super-Properties"));
    CHECK_TRUE(says(&headers, "Access-Control-Allow-Private-Network: true\r\n"));
    CHECK_TRUE(!says(&headers, "Credentials"));
    buf_reset(&headers);
    plain.preflight = BYTES_NONE; // an OPTIONS that asks for nothing goes its way
    CHECK_EQ(origin_admit(&rules, &plain, &headers), 0);
    buf_reset(&headers);
    other.origin = BYTES("https://evil.example");
    CHECK_EQ(origin_admit(&rules, &other, &headers), 403);
    CHECK_EQ(headers.n, 0);
    buf_fini(&headers);
}

TEST(all_pages_are_let_in_by_a_star_that_is_no_echo)
{
    const struct origin_rules rules = {BYTES("*"), BYTES_NONE};
    struct http_head h = head("GET", "x", "https://a.example", NULL);
    struct buf headers = {0};
    CHECK_EQ(origin_admit(&rules, &h, &headers), 0);
    CHECK_TRUE(says(&headers, "Access-Control-Allow-Origin: *\r\n") && !says(&headers, "a.example"));
    buf_fini(&headers);
}

TEST(a_setting_that_names_no_origins_is_refused)
{
    static const struct {
        const char *setting, *bad;
    } rows[] = {
        {"", NULL},
        {"*", NULL},
        {"https://a.example, http://localhost:3000 app://-", NULL},
        {"file://", NULL},
        {"a.example", "a.example"},
        {"https://a.example/", "https://a.example/"},
        {"https://a.example null", "null"},
        {"https://*.example", "https://*.example"},
        {"://a", "://a"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct bytes bad = BYTES_NONE;
        CHECK_EQ(origin_check_setting(bytes_of(rows[i].setting), &bad), rows[i].bad ? ERR_INVALID : OK);
        CHECK_TRUE(bytes_eq(bad, bytes_of(rows[i].bad)));
    }
}

TEST(no_page_reaches_the_admin_api)
{
    static const struct {
        const char *bind, *host, *origin;
        int status;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1:8081", NULL, 0},
        {"127.0.0.1", "localhost:8081", NULL, 0},
        {"127.0.0.1", "[::1]:8081", NULL, 0},
        {"127.0.0.1", NULL, NULL, 0},
        {"0.0.0.0", "gateway:8081", NULL, 0}, // within a network of containers
        {"0.0.0.0", "172.18.0.4:8081", NULL, 0},
        {"admin.example", "Admin.example:8081", NULL, 0},
        {"127.0.0.1", "evil.example:8081", NULL, 403},
        {"127.0.0.1", "127.0.0.1.evil.example", NULL, 403},
        {"admin.example", "evil.example", NULL, 403},
        {"127.0.0.1", "127.0.0.1:8081", "http://127.0.0.1:8081", 403},
        {"127.0.0.1", "127.0.0.1:8081", "https://evil.example", 403},
        {"127.0.0.1", "127.0.0.1:8081", "null", 403},
        {"127.0.0.1", "127.0.0.1:8081", "", 403},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct http_head h = head("POST", rows[i].host, rows[i].origin, NULL);
        CHECK_EQ(origin_admit_admin(bytes_of(rows[i].bind), &h), rows[i].status);
    }
}

MAIN
