// What web promises of HTTP: to peers over real sockets, byte by byte where that matters, and to its user.
#include "web_rig.h"

TEST(a_request_is_understood_and_answered)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    peer_text(&p, "GET /a/b%20c/%7Bd%7D?x=1&y=a%26b%3D%20c HTTP/1.1\r\nHost: h:1\r\nAuthorization: Bot abc\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "{\"ok\":true}"));
    CHECK_STR(t->method, "GET");
    CHECK_STR(t->path, "/a/b c/{d}");
    CHECK_STR(t->query, "x=1&y=a%26b%3D%20c");
    CHECK_STR(t->authorization, "Bot abc");
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 200 OK\r\n"));
    CHECK_TRUE(peer_has(&p, "\r\nContent-Type: application/json\r\n"));
    CHECK_TRUE(peer_has(&p, "\r\nContent-Length: 11\r\n"));
    CHECK_TRUE(peer_has(&p, " GMT\r\n"));
    peer_free(&p);
    rig_free(t);
}

TEST(a_connection_serves_one_request_after_the_other)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    for (uint32_t i = 1; i <= 3; i++) {
        peer_text(&p, "GET /one HTTP/1.1\r\nHost: h\r\n\r\n");
        UNTIL(t->loop, peer_count(&p, "{\"ok\":true}") == i);
    }
    peer_text(&p, "DELETE /two HTTP/1.1\r\nHost: h\r\n\r\n"
                  "POST /three HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                  "PATCH /four HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
                  "POST /five HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
                  "PUT /six HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nde");
    UNTIL(t->loop, peer_count(&p, "{\"ok\":true}") == 8);
    CHECK_EQ(t->requests, 8);
    CHECK_STR(t->path, "/six");
    CHECK_STR(t->body, "de");
    CHECK_TRUE(!peer_eof(&p));
    peer_free(&p);
    rig_free(t);
}

TEST(pipelined_requests_wait_for_the_answer_before_them)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    t->answering = LATER;
    peer_text(&p, "POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /two HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 1);
    uint64_t first = t->request;
    for (int i = 0; i < 20; i++)
        turn(t->loop);
    CHECK_EQ(t->requests, 1);
    CHECK_STR(t->body, "abc");
    web_reply(t->web, first, 204, NULL, "X-Own: 1\r\n", BYTES_NONE);
    UNTIL(t->loop, t->requests == 2);
    CHECK_STR(t->path, "/two");
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 204 No Content\r\n"));
    CHECK_TRUE(peer_has(&p, "\r\nX-Own: 1\r\n\r\n"));
    CHECK_TRUE(!peer_has(&p, "Content-Length"));
    web_json(t->web, first, 200, BYTES("stale")); // was answered: nothing happens
    web_json(t->web, t->request, 200, BYTES("\"second\""));
    UNTIL(t->loop, peer_has(&p, "\"second\""));
    CHECK_TRUE(!peer_has(&p, "stale"));
    peer_free(&p);
    rig_free(t);
}

TEST(a_body_may_come_in_many_pieces)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    const char *text = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789";
    for (const char *c = text; *c; c++)
        peer_send(&p, c, 1);
    UNTIL(t->loop, peer_has(&p, "{\"ok\":true}"));
    CHECK_STR(t->body, "0123456789");
    peer_free(&p);
    rig_free(t);
}

TEST(a_large_answer_arrives_whole_and_the_connection_goes_on)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    struct buf body = {0};
    while (body.n < 3000000)
        buf_str(&body, "0123456789");
    t->answering = LATER;
    peer_text(&p, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 1);
    web_json(t->web, t->request, 200, buf_bytes(&body));
    UNTIL(t->loop, (peer_read(&p), p.in.n > body.n));
    CHECK_TRUE(memcmp(p.in.p + p.in.n - body.n, body.p, body.n) == 0);
    buf_reset(&p.in);
    peer_text(&p, "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 2);
    web_json(t->web, t->request, 404, BYTES("{}"));
    UNTIL(t->loop, peer_has(&p, "404 Not Found"));
    buf_fini(&body);
    peer_free(&p);
    rig_free(t);
}

TEST(head_gets_the_length_but_no_body)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    peer_text(&p, "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "Content-Length: 11\r\n\r\n"));
    CHECK_STR(t->method, "HEAD");
    peer_text(&p, "GET /h HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_count(&p, "HTTP/1.1 200") == 2);
    CHECK_EQ(peer_count(&p, "{\"ok\":true}"), 1);
    peer_free(&p);
    rig_free(t);
}

TEST(connection_close_is_honoured)
{
    static const char *const heads[] = {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                                        "GET / HTTP/1.0\r\nHost: h\r\n\r\n"};
    struct rig *t = rig_new();
    for (size_t i = 0; i < countof(heads); i++) {
        struct peer p = peer_to(t);
        peer_text(&p, heads[i]);
        UNTIL(t->loop, peer_eof(&p));
        CHECK_TRUE(peer_has(&p, "Connection: close\r\n"));
        CHECK_TRUE(peer_has(&p, "{\"ok\":true}"));
        peer_free(&p);
    }
    CHECK_EQ(t->requests, countof(heads));
    rig_free(t);
}

TEST(a_body_that_is_too_large_is_refused_in_json)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    char body[BODY_MAX + 1];
    memset(body, 'x', sizeof body);
    peer_text(&p, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5001\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "{\"message\":\"Request entity too large\",\"code\":40005}"));
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 413 "));
    CHECK_TRUE(!p.eof);
    peer_send(&p, body, sizeof body); // what the peer had begun to send does not cost him the answer
    UNTIL(t->loop, peer_eof(&p));
    CHECK_EQ(t->requests, 0);
    peer_free(&p);
    p = peer_to(t);
    peer_text(&p, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n");
    peer_send(&p, body, BODY_MAX);
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    CHECK_EQ(t->body_size, BODY_MAX);
    peer_free(&p);
    rig_free(t);
}

TEST(a_chunked_body_is_read_and_the_connection_goes_on)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    const char *text = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n";
    for (const char *c = text; *c; c++)
        peer_send(&p, c, 1);
    UNTIL(t->loop, t->requests == 1);
    CHECK_STR(t->body, "abc0123456789");
    peer_text(&p, "POST /two HTTP/1.1\r\nHost: h\r\n\r\nGET /three HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_count(&p, "{\"ok\":true}") == 3); // a POST without a length has no body
    CHECK_STR(t->path, "/three");
    peer_text(&p, "PUT /four HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1389\r\n");
    UNTIL(t->loop, peer_has(&p, "HTTP/1.1 413 ")); // 5001
    peer_free(&p);
    rig_free(t);
}

TEST(who_asks_before_he_sends_his_body_is_told_to_go_on)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    peer_text(&p, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "HTTP/1.1 100 Continue\r\n\r\n"));
    peer_text(&p, "abc");
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    CHECK_STR(t->body, "abc");
    peer_free(&p);
    rig_free(t);
}

TEST(slow_requests_are_cut_off)
{
    static const char *const parts[] = {"", "GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"};
    struct rig *t = rig_hasty();
    uint64_t timed_out = M.requests_timed_out;
    for (size_t i = 0; i < countof(parts); i++) {
        uint64_t began = uv_hrtime();
        struct peer p = peer_to(t);
        peer_text(&p, parts[i]);
        UNTIL(t->loop, peer_eof(&p));
        CHECK_TRUE(uv_hrtime() - began >= (REQUEST_MS - 20) * 1000000ull);
        CHECK_EQ(p.in.n, 0);
        peer_free(&p);
    }
    struct peer p = peer_to(t); // also the head of a second request
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    peer_text(&p, "GET / HT");
    UNTIL(t->loop, peer_eof(&p));
    peer_free(&p);
    CHECK_EQ(t->requests, 1);
    CHECK_EQ(M.requests_timed_out, timed_out + countof(parts) + 1);
    rig_free(t);
}

TEST(a_request_has_its_time_however_busily_it_comes)
{
    static const char *const heads[] = {"GET / HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n",
                                        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"};
    struct rig *t = rig_hasty();
    for (size_t i = 0; i < countof(heads); i++) {
        uint64_t began = uv_hrtime(), sent_at = 0;
        struct peer p = peer_to(t);
        peer_text(&p, heads[i]);
        UNTIL(t->loop,
              (uv_hrtime() - sent_at > 10000000 ? (sent_at = uv_hrtime(), peer_text(&p, i == 2 ? "1\r\na\r\n" : "a"))
                                                : (void)0,
               peer_eof(&p)));
        CHECK_TRUE(uv_hrtime() - began >= (REQUEST_MS - 20) * 1000000ull);
        peer_free(&p);
    }
    CHECK_EQ(t->requests, 0);
    rig_free(t);
}

TEST(an_idle_connection_is_kept_for_so_long_and_then_ended)
{
    struct rig *t = rig_hasty();
    struct peer p = peer_to(t);
    uint64_t timed_out = M.requests_timed_out;
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    uint64_t began = uv_hrtime();
    UNTIL(t->loop, uv_hrtime() - began > 2 * REQUEST_MS * 1000000ull);
    began = uv_hrtime();
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); // the time of a request begins with it
    UNTIL(t->loop, peer_count(&p, "200 OK") == 2);
    UNTIL(t->loop, peer_eof(&p));
    CHECK_TRUE(uv_hrtime() - began >= (KEEPALIVE_MS - 20) * 1000000ull);
    CHECK_EQ(M.requests_timed_out, timed_out);
    peer_free(&p);
    rig_free(t);
}

TEST(a_slow_answer_is_not_cut_off)
{
    struct rig *t = rig_hasty();
    struct peer p = peer_to(t);
    uint64_t began = uv_hrtime();
    t->answering = LATER;
    peer_text(&p, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na");
    UNTIL(t->loop, t->requests == 1 && uv_hrtime() - began > 3 * REQUEST_MS * 1000000ull);
    CHECK_TRUE(!peer_eof(&p));
    web_json(t->web, t->request, 200, BYTES("late"));
    UNTIL(t->loop, peer_has(&p, "late"));
    peer_free(&p);
    rig_free(t);
}

TEST(the_answer_to_a_peer_that_left_goes_nowhere)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    struct linger reset = {.l_onoff = 1};
    struct buf body = {0};
    while (body.n < 1000000)
        buf_str(&body, "0123456789");
    t->answering = LATER;
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 1);
    CHECK(setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    peer_free(&p);
    web_json(t->web, t->request, 200, buf_bytes(&body));
    for (int i = 0; i < 5; i++)
        turn(t->loop);
    web_json(t->web, t->request, 200, BYTES("again"));
    p = peer_to(t);
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 2); // and this one is still asking when the loop ends
    rig_free(t);
    peer_free(&p);
    buf_fini(&body);
}

TEST(a_request_whose_sender_has_hung_up_is_not_carried_out)
{
    struct rig *t = rig_new();
    static const char *const requests[] = {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                                           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"};
    for (size_t i = 0; i < countof(requests); i++) {
        struct peer gone = peer_to(t);
        CHECK(send(gone.fd, requests[i], strlen(requests[i]), 0) == (ssize_t)strlen(requests[i]));
        close(gone.fd); // before we were ever told of him
    }
    struct peer p = peer_to(t);
    peer_text(&p, requests[0]);
    UNTIL(t->loop, t->requests == 1);
    UNTIL(t->loop, peer_has(&p, "200 OK"));
    CHECK_EQ(t->requests, 1);
    rig_free(t);
    peer_free(&p);
}

TEST(a_stop_says_which_requests_are_gone)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    t->answering = LATER;
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, t->requests == 1);
    web_stop(t->web);
    CHECK_EQ(t->gone, 1);
    rig_free(t);
    peer_free(&p);
}

TEST(what_is_not_http_is_refused_and_hung_up_on)
{
    static const char *const rows[] = {"\x16\x03\x01\x02\r\n\r\n",
                                       "GET / HTTP/2.0\r\n\r\n",
                                       "GET /a b HTTP/1.1\r\n\r\n",
                                       "CONNECT example.com:443 HTTP/1.1\r\nHost: h\r\n\r\n",
                                       "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
                                       "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n",
                                       "GET / HTTP/1.1\r\nHost: h\r\n X: folded\r\n\r\n",
                                       "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\nabcde",
                                       "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
                                       "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                                       "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"};
    struct rig *t = rig_new();
    for (size_t i = 0; i < countof(rows); i++) {
        struct peer p = peer_to(t);
        peer_text(&p, rows[i]);
        UNTIL(t->loop, peer_eof(&p));
        CHECK_TRUE(peer_has(&p, "HTTP/1.1 400 Bad Request\r\n"));
        CHECK_TRUE(peer_has(&p, "{\"message\":\"400: Bad Request\",\"code\":0}"));
        peer_free(&p);
    }
    struct peer p = peer_to(t); // more headers than are read
    peer_text(&p, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    for (int i = 0; i < 2000 && !peer_eof(&p); i++)
        peer_text(&p, "0123456789");
    UNTIL(t->loop, peer_eof(&p));
    CHECK_TRUE(peer_has(&p, "HTTP/1.1 431 "));
    peer_free(&p);
    CHECK_EQ(t->requests, 0);
    rig_free(t);
}

TEST(methods_and_upgrades_that_are_unknown_are_the_users_business)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    peer_text(&p, "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\nGET /x%2Fy HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n");
    UNTIL(t->loop, peer_count(&p, "{\"ok\":true}") == 2);
    CHECK_STR(t->path, "/x%2Fy"); // an encoded slash separates nothing
    peer_free(&p);
    rig_free(t);
}

// A peer that asks on without reading must cost neither memory nor turns of the loop.
TEST(who_asks_on_without_reading_is_left_waiting)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t);
    struct buf body = {0}, asks = {0};
    peer_window(&p, 200000);
    while (body.n < 8000000)
        buf_str(&body, "0123456789");
    while (asks.n < 3000000)
        buf_str(&asks, "GET /n HTTP/1.1\r\nHost: h\r\n\r\n");
    t->answering = LATER;
    peer_text(&p, "POST /first HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    UNTIL(t->loop, t->requests == 1);
    web_json(t->web, t->request, 200, buf_bytes(&body));
    send(p.fd, asks.p, asks.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    uint64_t turns = 0, end = uv_hrtime() + REQUEST_MS * 500000ull;
    for (; uv_hrtime() < end; turns++)
        turn(t->loop);
    CHECK_TRUE(turns < 100);
    CHECK_EQ(t->requests, 1);
    peer_window(&p, 4000000); // he reads at last, and is served to the end
    UNTIL(t->loop, (peer_read(&p), p.in.n >= body.n));
    UNTIL(t->loop, t->requests == 2);
    buf_fini(&body);
    buf_fini(&asks);
    peer_free(&p);
    rig_free(t);
}

TEST(connections_are_bounded_and_refused_on_request)
{
    struct rig *t = rig_new();
    struct peer p[9];
    for (size_t i = 0; i < 8; i++) {
        p[i] = peer_to(t);
        peer_text(&p[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        UNTIL(t->loop, peer_has(&p[i], "200 OK"));
    }
    p[8] = peer_to(t);
    UNTIL(t->loop, peer_eof(&p[8]));
    peer_free(&p[8]);
    peer_free(&p[7]); // whoever leaves makes room
    for (p[7] = peer_to(t); !peer_has(&p[7], "200 OK"); turn(t->loop)) {
        if (peer_eof(&p[7])) {
            peer_free(&p[7]);
            p[7] = peer_to(t);
        } else if (p[7].in.n == 0) {
            peer_text(&p[7], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
    }
    web_refuse_new(t->web);
    turn(t->loop);
    struct sockaddr_in a = local_address(web_port(t->web));
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_TRUE(connect(refused, (struct sockaddr *)&a, sizeof a) != 0);
    close(refused);
    buf_reset(&p[0].in);
    peer_text(&p[0], "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); // who is connected is served, and sent away
    UNTIL(t->loop, peer_has(&p[0], "Connection: close"));
    UNTIL(t->loop, peer_eof(&p[0]));
    for (size_t i = 0; i < 8; i++)
        peer_free(&p[i]);
    rig_free(t);
}

static struct peer peer_from(struct rig *t, const char *address)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, a = local_address(web_port(t->web));
    struct peer p = {.rig = t, .fd = socket(AF_INET, SOCK_STREAM, 0)};
    CHECK(inet_pton(AF_INET, address, &from.sin_addr) == 1);
    CHECK(bind(p.fd, (struct sockaddr *)&from, sizeof from) == 0);
    CHECK(connect(p.fd, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(fcntl(p.fd, F_SETFL, O_NONBLOCK) == 0);
    return p;
}

TEST(one_address_has_only_so_many_connections_and_costs_others_none)
{
    struct rig *t = rig_bounded(2, "10.0.0.0/8");
    uint64_t refused = M.connections_refused;
    struct peer p[3];
    for (size_t i = 0; i < 3; i++)
        p[i] = peer_to(t);
    UNTIL(t->loop, peer_eof(&p[2]));
    CHECK_EQ(M.connections_refused, refused + 1);
    t->address = "127.0.0.9";
    struct peer other = peer_from(t, "127.0.0.9");
    peer_text(&other, "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"); // it is no balancer
    UNTIL(t->loop, peer_has(&other, "200 OK"));
    peer_free(&p[0]); // whoever leaves makes room
    t->address = "127.0.0.1";
    for (p[0] = peer_to(t); !peer_has(&p[0], "200 OK"); turn(t->loop)) {
        if (peer_eof(&p[0])) {
            peer_free(&p[0]);
            p[0] = peer_to(t);
        } else if (p[0].in.n == 0) {
            peer_text(&p[0], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
    }
    for (size_t i = 0; i < 3; i++)
        peer_free(&p[i]);
    peer_free(&other);
    rig_free(t);
}

TEST(behind_a_balancer_websockets_count_for_whom_it_names)
{
    static const char *const named[] = {"198.51.100.9", "198.51.100.9", "198.51.100.10", "198.51.100.9"};
    struct rig *t = rig_bounded(2, "127.0.0.0/8");
    struct peer p[countof(named)], plain[4];
    for (size_t i = 0; i < countof(named); i++) {
        struct buf text = {0};
        uint32_t before = t->opened;
        t->address = named[i];
        buf_printf(&text,
                   "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.%zu, %s, 127.0.0.7\r\n\r\n",
                   i, named[i]);
        p[i] = peer_to(t);
        peer_send(&p[i], text.p, text.n);
        UNTIL(t->loop, peer_has(&p[i], i < 3 ? "HTTP/1.1 101 " : "HTTP/1.1 429 "));
        CHECK_EQ(t->opened, i < 3 ? before + 1 : before);
        buf_fini(&text);
    }
    t->address = "198.51.100.9";
    for (size_t i = 0; i < countof(plain); i++) { // its requests come over connections that are shared
        plain[i] = peer_to(t);
        peer_text(&plain[i], "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n");
        UNTIL(t->loop, peer_has(&plain[i], "200 OK"));
    }
    for (size_t i = 0; i < countof(named); i++) {
        peer_free(&p[i]);
        UNTIL(t->loop, t->closed == (i < 3 ? i + 1 : 3));
    }
    for (size_t i = 0; i < countof(plain); i++)
        peer_free(&plain[i]);
    rig_free(t);
}

TEST(a_head_can_be_answered_before_anything_of_it_is_carried_out)
{
    struct rig *t = rig_new();
    struct peer p = peer_to(t), q = peer_to(t), r = peer_to(t), s = peer_to(t);
    t->marks = true;
    peer_text(&p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "{\"ok\":true}"));
    CHECK_TRUE(peer_has(&p, "X-Seen: GET\r\n"));
    peer_text(&p, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6000\r\n\r\n");
    UNTIL(t->loop, peer_has(&p, "HTTP/1.1 413 "));
    CHECK_TRUE(peer_has(&p, "X-Seen: POST\r\n"));
    t->head_status = 403;
    t->requests = 0;
    peer_text(&q, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}");
    UNTIL(t->loop, peer_eof(&q));
    CHECK_TRUE(peer_has(&q, "HTTP/1.1 403 Forbidden\r\n") &&
               peer_has(&q, "{\"message\":\"403: Forbidden\",\"code\":0}"));
    peer_text(&r, "GET /?v=9 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    UNTIL(t->loop, peer_eof(&r));
    CHECK_TRUE(peer_has(&r, "HTTP/1.1 403 Forbidden\r\n"));
    t->head_status = 204;
    peer_text(&s, "OPTIONS /a HTTP/1.1\r\nHost: h\r\n\r\nOPTIONS /b HTTP/1.1\r\nHost: h\r\n\r\n"); // goes on
    UNTIL(t->loop, peer_count(&s, "HTTP/1.1 204 No Content\r\n") == 2);
    CHECK_EQ(peer_count(&s, "X-Seen: OPTIONS\r\n"), 2);
    CHECK_EQ(peer_count(&s, "Content-Length"), 0);
    CHECK_EQ(t->heads, 6);
    CHECK_EQ(t->requests + t->opened, 0);
    peer_free(&p);
    peer_free(&q);
    peer_free(&r);
    peer_free(&s);
    rig_free(t);
}

TEST(a_port_that_is_taken_is_an_error)
{
    struct rig *t = rig_new();
    struct web_cfg cfg = config(t);
    cfg.port = web_port(t->web);
    CHECK_TRUE(web_new(t->loop, cfg) == NULL);
    cfg.port = 0;
    cfg.bind = "no such address";
    CHECK_TRUE(web_new(t->loop, cfg) == NULL);
    rig_free(t);
}

// Whatever another thread opens while it ends.
TEST(a_web_that_ends_closes_nothing_that_was_opened_meanwhile)
{
    struct rig *t = rig_new();
    int mine[8];
    turn(t->loop);
    web_stop(t->web);
    for (size_t i = 0; i < countof(mine); i++)
        mine[i] = socket(AF_INET, SOCK_DGRAM, 0);
    rig_free(t);
    for (size_t i = 0; i < countof(mine); i++)
        CHECK_EQ(close(mine[i]), 0);
}

MAIN
