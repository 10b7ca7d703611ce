// test_chunks: what members are asked for, who may, how far the walk goes, and what clients are told.
#include "chunks.h"
#include "check.h"

static struct arena arena;
static const uint64_t guilds[] = {7, 8}, named[] = {101, 102, 999};

static struct chunk_ask ask_of(const struct op_members *m)
{
    struct chunk_ask ask;
    CHECK_TRUE(chunk_ask_of(m, 0, &ask));
    return ask;
}

TEST(what_is_asked_for_follows_from_what_is_given)
{
    static const struct {
        struct op_members m;
        int kind; // -1: nothing
        uint32_t limit;
    } rows[] = {
        {{.query = {"", 0}}, CHUNK_WHOLE, 0},
        {{.query = {"", 0}, .limit = 5}, CHUNK_BEGIN, 5},
        {{.query = {"a", 1}, .limit = 5}, CHUNK_BEGIN, 5},
        {{.query = {"a", 1}}, CHUNK_BEGIN, 100},
        {{.query = {"a", 1}, .limit = 1000}, CHUNK_BEGIN, 100},
        {{.has_users = true, .users = {2, named}, .query = {"", 0}}, CHUNK_USERS, 0},
        {{.has_users = true}, CHUNK_USERS, 0},
        {{.limit = 0}, -1, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct op_members m = rows[i].m;
        struct chunk_ask ask;
        m.guilds = (struct ids){2, guilds};
        bool any = chunk_ask_of(&m, 1, &ask);
        CHECK_EQ(any, rows[i].kind >= 0);
        if (any && ((int)ask.kind != rows[i].kind || ask.guild != 8))
            printf("row %zu: kind %d\n", i, ask.kind), test_failures++;
        if (any && ask.kind == CHUNK_BEGIN)
            CHECK_EQ(ask.limit, rows[i].limit);
    }
}

TEST(everybody_is_shown_to_those_alone_who_may_see_all)
{
    static const struct {
        enum chunk_kind kind;
        bool bot, members;
        uint64_t permissions;
        bool may;
    } rows[] = {
        {CHUNK_WHOLE, true, true, 0, true},
        {CHUNK_WHOLE, true, false, PERMISSIONS_ALL, false},
        {CHUNK_WHOLE, false, false, MAY(VIEW_CHANNEL), false},
        {CHUNK_WHOLE, false, true, MAY(VIEW_CHANNEL), false},
        {CHUNK_WHOLE, false, false, MAY(KICK_MEMBERS), true},
        {CHUNK_WHOLE, false, false, MAY(BAN_MEMBERS), true},
        {CHUNK_WHOLE, false, false, MAY(MANAGE_ROLES), true},
        {CHUNK_BEGIN, true, false, 0, true},
        {CHUNK_USERS, false, false, 0, true},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct chunk_ask ask = {.kind = rows[i].kind};
        CHECK_EQ(chunk_may(&ask, rows[i].bot, rows[i].members, false, rows[i].permissions), rows[i].may);
    }
    struct chunk_ask ask = {.kind = CHUNK_USERS, .presences = true};
    CHECK_TRUE(chunk_may(&ask, true, false, true, 0) && ask.presences);
    CHECK_TRUE(chunk_may(&ask, false, false, false, 0) && ask.presences);
    CHECK_TRUE(chunk_may(&ask, true, true, false, 0) && !ask.presences);
}

static struct member crowd[CHUNK_MAX];
static const struct user *nobody[CHUNK_MAX];

static uint32_t page(uint64_t after, uint64_t all)
{
    uint32_t n = 0;
    for (uint64_t id = after + 1; id <= all && n < CHUNK_MAX; id++)
        crowd[n++] = (struct member){.user = id, .nick = id % 60 == 0 ? BYTES("Ann") : BYTES("ben")};
    return n;
}

TEST(as_many_chunks_come_as_were_told_of_whoever_joins_or_leaves_meanwhile)
{
    static const struct {
        uint64_t counted, there;
        uint32_t chunks;
    } rows[] = {{0, 0, 1},       {1, 1, 1},      {1000, 1000, 1}, {1001, 1001, 2},
                {2500, 2500, 3}, {2500, 900, 3}, {1500, 9000, 2}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct chunk_ask ask = {.kind = CHUNK_WHOLE};
        struct chunk_walk w;
        uint64_t told = 0;
        chunk_begin(&w, &ask, rows[i].counted);
        CHECK_EQ(w.count, rows[i].chunks);
        while (!w.ended) {
            uint32_t n = page(w.after, rows[i].there);
            chunk_page(&w, &ask, n, crowd, nobody);
            told += n;
            chunk_sent(&w);
            CHECK_TRUE(w.index <= w.count);
        }
        CHECK_EQ(w.index, rows[i].chunks);
        uint64_t most = (uint64_t)rows[i].chunks * CHUNK_MAX;
        CHECK_EQ(told, rows[i].there < most ? rows[i].there : most);
    }
}

TEST(a_name_is_looked_for_among_a_bounded_number_of_members)
{
    static const struct {
        const char *query;
        uint32_t limit;
        uint64_t there;
        uint32_t found, looked;
    } rows[] = {
        {"AN", 100, 600, 10, 600},
        {"an", 3, 5000, 3, 1000},
        {"an", 100, 1000000, 83, CHUNK_LOOKED_MAX},
        {"x", 100, 1000000, 0, CHUNK_LOOKED_MAX},
        {"", 100, 1000000, 100, 1000},
        {"an", 100, 0, 0, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct chunk_ask ask = {.kind = CHUNK_BEGIN, .limit = rows[i].limit};
        struct chunk_walk w;
        CHECK_TRUE(bytes_copy(ask.query, sizeof ask.query, bytes_of(rows[i].query)) == OK);
        chunk_begin(&w, &ask, rows[i].there);
        CHECK_EQ(w.count, 1);
        while (!w.ended)
            chunk_page(&w, &ask, page(w.after, rows[i].there), crowd, nobody);
        CHECK_EQ(ask.n_users, rows[i].found);
        CHECK_EQ(w.looked, rows[i].looked);
    }
}

TEST(names_begin_with_a_query_whatever_its_case)
{
    const struct user u = {.username = BYTES("Anna")};
    const struct member plain = {.user = 1}, nicked = {.user = 1, .nick = BYTES("\xc3\x89va")};
    static const struct {
        const char *query;
        bool plain, nicked;
    } rows[] = {{"", true, true},      {"anna", true, true},      {"ANN", true, true}, {"annab", false, false},
                {"nna", false, false}, {"\xc3\x89", false, true}, {"b", false, false}};
    for (size_t i = 0; i < countof(rows); i++) {
        CHECK_EQ(chunk_matches(&plain, &u, bytes_of(rows[i].query)), rows[i].plain);
        CHECK_EQ(chunk_matches(&nicked, &u, bytes_of(rows[i].query)), rows[i].nicked);
    }
    CHECK_TRUE(!chunk_matches(&plain, NULL, BYTES("a")));
}

TEST(a_chunk_says_whom_it_holds_and_who_was_not_found)
{
    const struct op_members m = {
        .guilds = {1, guilds}, .has_users = true, .presences = true, .users = {3, named}, .nonce = BYTES("a\"b")};
    struct chunk_ask ask = ask_of(&m);
    const struct member members[] = {{.user = 101, .joined_at = 1}, {.user = 102}};
    const struct user ann = {.id = 101, .username = BYTES("ann"), .discriminator = BYTES("0")};
    const struct user *users[] = {&ann, NULL};
    const struct presence there = {102, PRESENCE_DND, BYTES("web"), BYTES("[{\"name\":\"x\",\"type\":0}]")};
    const struct chunk c = {2, members, users, {1, &there}, {0}};
    struct chunk_walk w;
    struct buf out = {0};
    chunk_begin(&w, &ask, 2);
    chunk_json(&out, &ask, &w, &c);
    const char *text = arena_text(&arena, buf_bytes(&out));
    CHECK_TRUE(strstr(text, "{\"guild_id\":\"7\",\"members\":[{\"user\":{\"id\":\"101\",\"username\":\"ann\"") == text);
    const char *end = strstr(text, "],\"chunk_index\"");
    CHECK_STR(end,
              "],\"chunk_index\":0,\"chunk_count\":1,\"not_found\":[\"999\"],\"presences\":[{\"user\":{\"id\":\"102\"},"
              "\"status\":\"dnd\",\"activities\":[{\"name\":\"x\",\"type\":0}],\"client_status\":{\"web\":\"dnd\"}}],"
              "\"nonce\":\"a\\\"b\"}");
    buf_fini(&out);
    arena_fini(&arena);
}

MAIN
