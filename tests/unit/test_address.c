// test_address: addresses and networks in the forms that operators, sockets and balancers write.
#include "address.h"
#include "check.h"

static struct address of(const char *text)
{
    struct address a;
    CHECK_EQ(address_parse(bytes_of(text), &a), OK);
    return a;
}

static struct networks nets(const char *text)
{
    struct networks n;
    CHECK_EQ(networks_parse(bytes_of(text), &n), OK);
    return n;
}

TEST(what_is_no_address_is_refused)
{
    static const char *const texts[] = {
        "",     "1.2.3",    "1.2.3.4.5", "256.1.1.1", "1.2.3.4:80", "localhost",  "[1.2.3.4]",  "[::1]:8", "[::1",
        "::1]", "1.2.3.4 ", ":::",       "unknown",   "-",          "fe80::1%lo", "1.2.3.4/32", "01.2.3.4"};
    struct address a;
    for (size_t i = 0; i < countof(texts); i++)
        CHECK_EQ(address_parse(bytes_of(texts[i]), &a), ERR_INVALID);
    CHECK_EQ(address_parse(BYTES("1.2.3.4\0x"), &a), ERR_INVALID);
    CHECK_EQ(address_parse(BYTES_NONE, &a), ERR_INVALID);
}

TEST(an_ipv4_address_is_one_peer_and_64_bits_of_an_ipv6_one_are)
{
    CHECK_TRUE(address_peer(of("192.0.2.7")) != address_peer(of("192.0.2.8")));
    CHECK_TRUE(address_peer(of("192.0.2.7")) == address_peer(of("::ffff:192.0.2.7")));
    CHECK_TRUE(address_peer(of("2001:db8:1:2::7")) == address_peer(of("[2001:db8:1:2:ffff::8]")));
    CHECK_TRUE(address_peer(of("2001:db8:1:2::7")) != address_peer(of("2001:db8:1:3::7")));
}

TEST(a_network_holds_what_begins_like_it)
{
    struct networks n = nets(" 10.0.0.0/8,192.0.2.7 , 2001:db8::/33, 172.16.0.0/12");
    CHECK_EQ(n.n, 4);
    CHECK_TRUE(networks_have(&n, of("10.255.1.2")) && !networks_have(&n, of("11.0.0.0")));
    CHECK_TRUE(networks_have(&n, of("::ffff:10.1.1.1")));
    CHECK_TRUE(networks_have(&n, of("192.0.2.7")) && !networks_have(&n, of("192.0.2.6")));
    CHECK_TRUE(networks_have(&n, of("2001:db8:7fff::1")) && !networks_have(&n, of("2001:db8:8000::1")));
    CHECK_TRUE(networks_have(&n, of("172.31.0.1")) && !networks_have(&n, of("172.32.0.1")));
    n = nets("0.0.0.0/0");
    CHECK_TRUE(networks_have(&n, of("8.8.8.8")) && !networks_have(&n, of("::1")));
    n = nets("  ");
    CHECK_TRUE(n.n == 0 && !networks_have(&n, of("127.0.0.1")));
}

TEST(what_is_no_list_of_networks_is_refused)
{
    static const char *const texts[] = {"10.0.0.0/33",      "::/129",   "10.0.0.0/",       "10.0.0.0/x", "x",
                                        "1.2.3.4,,5.6.7.8", "1.2.3.4;", "1.2.3.4 5.6.7.8", "/8",         ","};
    struct networks n = {.n = 7};
    for (size_t i = 0; i < countof(texts); i++)
        CHECK_EQ(networks_parse(bytes_of(texts[i]), &n), ERR_INVALID);
    CHECK_EQ(n.n, 7);
    struct buf many = {0};
    for (uint32_t i = 0; i < NETWORKS_MAX; i++)
        buf_printf(&many, "%s10.0.0.%u", i ? "," : "", i);
    CHECK_EQ(networks_parse(buf_bytes(&many), &n), OK);
    buf_str(&many, ",10.1.0.0");
    CHECK_EQ(networks_parse(buf_bytes(&many), &n), ERR_INVALID);
    buf_fini(&many);
}

TEST(a_balancer_is_believed_about_the_last_one_that_is_no_balancer)
{
    static const struct {
        const char *header, *who;
    } cases[] = {
        {"198.51.100.9", "198.51.100.9"},
        {"1.1.1.1, 198.51.100.9", "198.51.100.9"}, // the first one is what the client says of himself
        {"198.51.100.9, 10.0.0.2,10.0.0.3", "198.51.100.9"},
        {" [2001:db8::1] ", "[2001:db8::1]"},
        {"", NULL},
        {"10.0.0.2", NULL},
        {"198.51.100.9, unknown", NULL},
        {"unknown, 198.51.100.9", "198.51.100.9"},
        {",,,", NULL},
    };
    struct networks balancers = nets("10.0.0.0/8");
    for (size_t i = 0; i < countof(cases); i++) {
        struct bytes text;
        struct address a;
        int err = address_forwarded(bytes_of(cases[i].header), &balancers, &text, &a);
        CHECK_EQ(err, cases[i].who ? OK : ERR_MISSING);
        if (cases[i].who)
            CHECK_TRUE(bytes_is(text, cases[i].who) && address_peer(a) == address_peer(of(cases[i].who)));
    }
}

MAIN
