// regions: the file in, the list out; a fault is told with its place.
#include "check.h"
#include "regions.h"

static struct regions r;
static struct fleet f;
static struct buf text;

static void begin(void)
{
    fleet_init(&f, 8, 3000, 0);
}

static void end(void)
{
    fleet_fini(&f);
    buf_fini(&text);
}

static int parse(const char *json)
{
    return regions_parse(&r, &f, bytes_of(json), &text);
}

static const char *listed(void)
{
    buf_reset(&text);
    regions_json(&r, &f, &text);
    buf_char(&text, 0);
    return text.p;
}

static void announce(const char *node, const char *region)
{
    enum fleet_news news;
    struct node_announce a = {
        .node = bytes_of(node), .region = bytes_of(region), .endpoint = BYTES("h:1"), .capacity = 1};
    CHECK_EQ(fleet_announce(&f, &a, 0, &news), OK);
}

#define TWO                                                                                                            \
    "{\"default\":\"rot\",\"regions\":["                                                                               \
    "{\"id\":\"fra\",\"name\":\"Frankfurt\",\"nodes\":[{\"id\":\"fra-1\",\"endpoint\":\"127.0.0.3:443\",\"capacity\":" \
    "5}]},"                                                                                                            \
    "{\"id\":\"rot\",\"name\":\"Rotterdam\",\"nodes\":["                                                               \
    "{\"id\":\"rot-1\",\"endpoint\":\"127.0.0.1:443\",\"capacity\":500},"                                              \
    "{\"id\":\"rot-2\",\"endpoint\":\"127.0.0.2:443\",\"capacity\":400}]}]}"

TEST(the_file_gives_regions_in_its_order_and_fixed_nodes)
{
    begin();
    CHECK_EQ(parse(TWO), OK);
    CHECK_EQ(r.n, 2);
    CHECK_TRUE(bytes_is(regions_default(&r), "rot"));
    CHECK_EQ(f.n, 3);
    const struct node *n = fleet_find(&f, BYTES("rot-2"));
    CHECK_TRUE(n && n->fixed && n->capacity == 400 && strcmp(n->endpoint, "127.0.0.2:443") == 0);
    CHECK_STR(listed(),
              "[{\"id\":\"fra\",\"name\":\"Frankfurt\",\"optimal\":false,\"deprecated\":false,\"custom\":false},"
              "{\"id\":\"rot\",\"name\":\"Rotterdam\",\"optimal\":true,\"deprecated\":false,\"custom\":false}]");
    end();
}

TEST(without_a_default_the_first_region_is_it)
{
    begin();
    CHECK_EQ(
        parse("{\"regions\":[{\"id\":\"a\",\"name\":\"A\",\"nodes\":[]},{\"id\":\"b\",\"name\":\"B\",\"nodes\":[]}]}"),
        OK);
    CHECK_TRUE(bytes_is(regions_default(&r), "a"));
    end();
}

TEST(announced_regions_are_listed_by_id_after_those_of_the_file_and_known)
{
    begin();
    CHECK_EQ(parse("{\"regions\":[{\"id\":\"rot\",\"name\":\"Rotterdam\"}]}"), OK);
    announce("n3", "par");
    announce("n1", "ber");
    announce("n2", "par");
    announce("n4", "rot");
    CHECK_STR(listed(),
              "[{\"id\":\"rot\",\"name\":\"Rotterdam\",\"optimal\":true,\"deprecated\":false,\"custom\":false},"
              "{\"id\":\"ber\",\"name\":\"ber\",\"optimal\":false,\"deprecated\":false,\"custom\":false},"
              "{\"id\":\"par\",\"name\":\"par\",\"optimal\":false,\"deprecated\":false,\"custom\":false}]");
    CHECK_TRUE(region_known(&r, &f, BYTES("rot")));
    CHECK_TRUE(region_known(&r, &f, BYTES("par")));
    CHECK_TRUE(!region_known(&r, &f, BYTES("mars")));
    end();
}

TEST(without_a_file_the_first_announced_region_is_optimal)
{
    begin();
    r = (struct regions){0};
    CHECK_STR(listed(), "[]");
    CHECK_EQ(regions_default(&r).n, 0);
    announce("n1", "par");
    announce("n2", "ber");
    CHECK_STR(listed(), "[{\"id\":\"ber\",\"name\":\"ber\",\"optimal\":true,\"deprecated\":false,\"custom\":false},"
                        "{\"id\":\"par\",\"name\":\"par\",\"optimal\":false,\"deprecated\":false,\"custom\":false}]");
    end();
}

TEST(every_fault_is_a_sentence_with_its_place)
{
#define REGION(nodes) "{\"regions\":[{\"id\":\"a\",\"name\":\"A\",\"nodes\":[" nodes "]}]}"
    static const struct {
        const char *json, *why;
    } cases[] = {
        {"", "line 1, column 0: "},
        {"{", "line 1, column 1: "},
        {"{} x", "line 1, column 4: "},
        {"[]", "the document must be an object"},
        {"{}", "regions must be a list of at most 256 regions"},
        {"{\"regions\":{}}", "regions must be a list of at most 256 regions"},
        {"{\"regions\":[],\"defualt\":\"a\"}", "defualt is not a known key"},
        {"{\"regions\":[],\"regions\":[]}", "line 1, column 23: "},
        {"{\"regions\":[],\"default\":\"a\"}", "default names a, which is not one of the regions"},
        {"{\"regions\":[],\"default\":7}", "default must be there and be a text"},
        {"{\"regions\":[7]}", "regions[0] must be an object"},
        {"{\"regions\":[{\"name\":\"A\",\"nodes\":[]}]}", "regions[0].id must be there and be a text"},
        {"{\"regions\":[{\"id\":\"a\",\"nodes\":[]}]}", "regions[0].name must be there and be a text"},
        {"{\"regions\":[{\"id\":\"a\",\"name\":\"A\",\"nodes\":7}]}", "regions[0].nodes must be a list"},
        {"{\"regions\":[{\"id\":\"a b\",\"name\":\"A\",\"nodes\":[]}]}", "regions[0].id must be 1 to 64 of"},
        {"{\"regions\":[{\"id\":\"a\",\"name\":\"A\",\"nodes\":[]},{\"id\":\"a\",\"name\":\"B\",\"nodes\":[]}]}",
         "regions[1].id is used by another region already"},
        {REGION("7"), "regions[0].nodes[0] must be an object"},
        {REGION("{}"), "regions[0].nodes[0].id must be there and be a text"},
        {REGION("{\"id\":\"n\"}"), "regions[0].nodes[0].endpoint must be there and be a text"},
        {REGION("{\"id\":\"n\",\"endpoint\":\"h:1\",\"capcity\":1}"), "regions[0].nodes[0].capcity is not a known key"},
        {REGION("{\"id\":\"n\",\"endpoint\":\"h:1\"}"), "regions[0].nodes[0].capacity must be a whole number from 1"},
        {REGION("{\"id\":\"n\",\"endpoint\":\"h:1\",\"capacity\":\"1\"}"), "regions[0].nodes[0].capacity must be"},
        {REGION("{\"id\":\"n\",\"endpoint\":\"h:1\",\"capacity\":0}"), "regions[0].nodes[0].capacity must be"},
        {REGION("{\"id\":\"n\",\"endpoint\":\"h:1\",\"capacity\":1.5}"), "regions[0].nodes[0].capacity must be"},
        {REGION("{\"id\":\"n\",\"endpoint\":\"h:1\",\"capacity\":-1}"), "regions[0].nodes[0].capacity must be"},
        {REGION("{\"id\":\"n\",\"endpoint\":\"https://h:1\",\"capacity\":1}"),
         "regions[0].nodes[0].endpoint must be host:port"},
        {REGION("{\"id\":\"\\u0000\",\"endpoint\":\"h:1\",\"capacity\":1}"), "line 1, column "},
        {REGION(
             "{\"id\":\"n\",\"endpoint\":\"h:1\",\"capacity\":1},{\"id\":\"n\",\"endpoint\":\"h:2\",\"capacity\":1}"),
         "regions[0].nodes[1].id is used by another node already"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        begin();
        CHECK_EQ(parse(cases[i].json), ERR_INVALID);
        buf_char(&text, 0);
        if (strncmp(text.p, cases[i].why, strlen(cases[i].why)) != 0)
            CHECK_STR(text.p, cases[i].why);
        CHECK_EQ(r.n, 0);
        end();
    }
}

TEST(more_nodes_than_the_fleet_may_have_are_refused)
{
    fleet_init(&f, 2, 3000, 0);
    CHECK_EQ(parse(TWO), ERR_INVALID);
    buf_char(&text, 0);
    CHECK_STR(text.p, "regions[1].nodes[1] is one node more than this allocator may know (2)");
    end();
}

TEST(a_file_that_is_too_large_is_not_read)
{
    begin();
    struct buf big = {0};
    while (big.n <= REGIONS_FILE_MAX)
        buf_str(&big, "                                                                ");
    CHECK_EQ(regions_parse(&r, &f, buf_bytes(&big), &text), ERR_INVALID);
    buf_char(&text, 0);
    CHECK_STR(text.p, "the file is over 1048576 bytes");
    buf_fini(&big);
    end();
}

MAIN
