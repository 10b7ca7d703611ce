// One private channel and its call, from any record that can be read, by any inputs; written after each step and read
// again, as the shell does it (job.c).
// - The place stays valid; a refused input changed nothing and tells nothing.
// - A call exists exactly while somebody sits in it; participants only grow; who is rung is neither in nor a stranger.
// - What is written reads back as the same place, every event's body is JSON and the log entry decodes.
// - With each step goes the voice token of whoever may not use his any longer, and it says since when somebody who came
//   to the place belongs to it.
// - A tick leaves nothing that is due already.
// - A record that does not decode, or is no place, is refused; so is a region list that is none.
#include "call_record.h"
#include "fuzz.h"
#include "region_list.h"

#include <jansson.h>
#include <stdio.h>

#define USERS 12u // 1 … 12

static const struct call_rules rules = {.ring_ms = 60000, .server_delay_ms = 100};
static const char *const sessions[] = {"s1", "s2", "s3", ""};
static const char *const gateways[] = {"g1", "g2"};
static const char *const names[] = {"", "a", "b", "rotterdam"}; // of regions and nodes
static const char *const endpoints[] = {"", "h:443", "h:444"};
#define ONE_OF(f, of) ((of)[feed_below((f), countof(of))])

struct run {
    struct feed in;
    struct arena a, scratch; // of the run; of one step
    struct channel chan;
    struct call_place place;
    uint64_t now, minted, last, version;
    struct user users[3];
};

static uint64_t user(struct feed *f)
{
    return 1 + feed_below(f, USERS);
}

// --- where it begins ---

static void begin_with_records(struct run *r)
{
    struct bytes chan = feed_bytes(&r->in, 255), call = feed_bytes(&r->in, 255);
    int err = call_read(&r->a, chan, call, &r->place);
    CHECK(err == OK || (err == ERR_INVALID && r->place.type == 0));
    CHECK(call_valid(&r->place));
    if (r->place.type)
        CHECK(UNPACK(&r->a, channel, chan, &r->chan) == OK);
}

static void begin_with_channel(struct run *r)
{
    uint64_t *recipients = arena_take(&r->a, CALL_MEMBERS_MAX * sizeof *recipients);
    uint32_t n = 1 + feed_below(&r->in, CALL_MEMBERS_MAX);
    for (uint32_t i = 0; i < n; i++)
        recipients[i] = 1 + i;
    r->chan = (struct channel){.id = 500, .type = feed_flag(&r->in) ? 3 : 1, .owner = 1, .recipients = {n, recipients}};
    CHECK(call_read(&r->a, schema_packed(&r->a, &schema_channel, &r->chan), BYTES_NONE, &r->place) == OK);
}

// A call as another version may have left it: any numbers, few names.
static void begin_with_call(struct run *r)
{
    begin_with_channel(r);
    struct call_rec rec = {.id = feed_number(&r->in),
                           .author = user(&r->in),
                           .region = bytes_of(ONE_OF(&r->in, names)),
                           .region_chosen = feed_flag(&r->in),
                           .node = bytes_of(ONE_OF(&r->in, names)),
                           .endpoint = bytes_of(ONE_OF(&r->in, endpoints)),
                           .unavailable = feed_flag(&r->in)};
    struct call_member *members = arena_take(&r->a, 12 * sizeof *members);
    struct call_ringing *ringing = arena_take(&r->a, 12 * sizeof *ringing);
    uint64_t *participants = arena_take(&r->a, 256 * sizeof *participants);
    rec.members.n = feed_below(&r->in, 12);
    rec.members.v = members;
    for (uint32_t i = 0; i < rec.members.n; i++)
        members[i] = (struct call_member){.user = user(&r->in),
                                          .session = bytes_of(ONE_OF(&r->in, sessions)),
                                          .gateway = bytes_of(ONE_OF(&r->in, gateways)),
                                          .epoch = feed_number(&r->in),
                                          .server = feed_below(&r->in, 4),
                                          .server_at = feed_number(&r->in)};
    rec.ringing.n = feed_below(&r->in, 12);
    rec.ringing.v = ringing;
    for (uint32_t i = 0; i < rec.ringing.n; i++)
        ringing[i] = (struct call_ringing){user(&r->in), user(&r->in), feed_number(&r->in)};
    rec.participants.n = feed_u8(&r->in);
    rec.participants.v = participants;
    for (uint32_t i = 0; i < rec.participants.n; i++)
        participants[i] = i < USERS ? user(&r->in) : 1000 + i;
    struct bytes call = schema_packed(&r->a, &schema_call_rec, &rec);
    if (call_read(&r->a, schema_packed(&r->a, &schema_channel, &r->chan), call, &r->place) != OK)
        CHECK(r->place.type == 0);
}

// --- what must hold ---

static void check_place(const struct call_place *p)
{
    CHECK(call_valid(p));
    CHECK((p->id != 0) == (p->n_seats > 0));
    for (uint32_t i = 0; i < p->n_seats; i++)
        CHECK(p->seats[i].server <= CALL_SERVER_SENT && p->seats[i].n_regions <= CALL_REGIONS_MAX);
    for (uint32_t i = 0; i < p->n_rings; i++)
        CHECK(call_is_recipient(p, p->rings[i].user) && !call_seat_of(p, p->rings[i].user));
}

static void check_grown(const struct call_place *before, const struct call_place *after)
{
    if (!before->id || before->id != after->id)
        return;
    CHECK(after->n_participants >= before->n_participants);
    CHECK(memcmp(before->participants, after->participants, before->n_participants * sizeof before->participants[0]) ==
          0);
}

static void check_fxs(const struct call_place *before, const struct call_place *after, const struct call_fxs *fxs)
{
    bool created = false, ended = false;
    for (uint32_t i = 0; i < fxs->n; i++) {
        const struct call_fx *fx = &fxs->v[i];
        created |= fx->kind == CALL_FX_MESSAGE_CREATE;
        ended |= fx->kind == CALL_FX_MESSAGE_UPDATE && fx->ended_at;
        CHECK(fx->n_seats <= CALL_MEMBERS_MAX && fx->n_rings <= CALL_MEMBERS_MAX);
        CHECK(fx->kind != CALL_FX_ASSIGN || (call_sits(after, fx->user, fx->session) && fx->at));
    }
    CHECK(created == (!before->id && after->id));
    CHECK(ended == (before->id && !after->id));
}

static void check_events(struct run *r, const struct call_out *out)
{
    for (uint32_t i = 0; i < out->n_events; i++) {
        const struct event *e = &out->events[i];
        if (!e->name.n) {
            CHECK(e->place_op != 0);
            continue;
        }
        json_t *body = json_loadb(e->body.p, e->body.n, 0, NULL);
        CHECK(json_is_object(body));
        json_decref(body);
        CHECK(e->to != 2 || e->session.n);
    }
    struct bytes entry = message_entry(&r->scratch, ref_place(r->chan.id), 7, r->now, out->events, out->n_events);
    struct place_event *again = arena_take(&r->scratch, sizeof *again);
    CHECK(UNPACK(&r->scratch, place_event, entry, again) == OK && again->events.n == out->n_events);
}

static struct bytes changed(const struct call_out *out, const char *field)
{
    for (uint32_t i = 0; i < out->n_changes; i++)
        if (out->changes[i].op == CHANGE_HSET && strcmp(out->changes[i].suffix, "s") == 0 &&
            bytes_is(out->changes[i].a, field))
            return out->changes[i].b;
    return BYTES_NONE;
}

static bool has_change(const struct call_out *out, enum change_op op, const char *suffix, struct bytes a)
{
    for (uint32_t i = 0; i < out->n_changes; i++)
        if (out->changes[i].op == op && strcmp(out->changes[i].suffix, suffix) == 0 && bytes_eq(out->changes[i].a, a))
            return true;
    return false;
}

static void check_tokens(const struct call_place *before, const struct call_place *after, const struct call_out *out)
{
    uint32_t n = 0, sent = 0, set = 0;
    for (uint32_t i = 0; i < before->n_seats; i++) {
        const struct call_seat *was = &before->seats[i], *is = call_seat_of(after, was->user);
        bool holds = is && strcmp(is->session, was->session) == 0 && is->server == CALL_SERVER_SENT;
        char row[2 + sizeof was->session];
        snprintf(row, sizeof row, "t:%s", was->session);
        CHECK(was->server != CALL_SERVER_SENT || holds || has_change(out, CHANGE_DEL, row, BYTES_NONE));
        sent += holds && was->server != CALL_SERVER_SENT;
    }
    for (uint32_t i = 0; i < out->n_changes; i++) {
        n += out->changes[i].op == CHANGE_DEL;
        set += out->changes[i].op == CHANGE_SET;
    }
    CHECK(n <= before->n_seats && set == sent);
}

static void check_comers(struct run *r, const struct call_place *before, const struct call_out *out)
{
    char field[CALL_CAME_MAX];
    for (uint64_t u = 1; u <= USERS; u++) {
        bool was = call_is_recipient(before, u), is = call_is_recipient(&r->place, u);
        struct bytes name = bytes_of(call_came(field, u)), since = changed(out, field);
        uint64_t version = 0;
        CHECK((since.n > 0) == (is && !was));
        CHECK(!since.n || (bytes_u64(since, &version) == OK && version == r->version));
        CHECK(has_change(out, CHANGE_HDEL, "s", name) == (was && !is));
    }
}

// Commits: the place as the next one reads it.
static void write(struct run *r, const struct call_place *before, const struct call_fxs *fxs)
{
    const struct call_fxs none = {0};
    const struct user_set users = {countof(r->users), r->users};
    struct call_out *out = arena_take(&r->scratch, sizeof *out), *again = arena_take(&r->scratch, sizeof *again);
    struct call_place read;
    call_write(&r->scratch, &r->chan, before, &r->place, fxs, ++r->version, r->last, users, out);
    check_events(r, out);
    check_tokens(before, &r->place, out);
    check_comers(r, before, out);
    struct bytes chan = changed(out, "chan"), call = changed(out, "call");
    CHECK((call.n > 0) == (r->place.id != 0));
    if (chan.n)
        CHECK(UNPACK(&r->a, channel, arena_copy(&r->a, chan), &r->chan) == OK);
    CHECK(call_read(&r->scratch, schema_packed(&r->scratch, &schema_channel, &r->chan), call, &read) == OK);
    CHECK(call_valid(&read) && read.id == r->place.id && read.owner == r->place.owner);
    CHECK(read.n_recipients == r->place.n_recipients &&
          memcmp(read.recipients, r->place.recipients, read.n_recipients * sizeof read.recipients[0]) == 0);
    call_write(&r->scratch, &r->chan, &read, &read, &none, r->version, r->last, users, again);
    CHECK(again->n_events == 0 && again->n_changes == (call.n ? 1u : 0u) && bytes_eq(changed(again, "call"), call));
    r->place = read;
}

// Of the events of a user's own record the place's version is told with all that it makes outdated; one of them says
// that he is to hear the place from now on, or not any more.
static void check_told(struct run *r, const struct call_out *out, uint64_t op)
{
    uint32_t n = 0;
    check_events(r, out);
    for (uint32_t i = 0; i < out->n_events; i++) {
        n += out->events[i].place_op != 0;
        CHECK(!out->events[i].place_op || out->events[i].place_op == op);
        CHECK(!out->events[i].place || out->events[i].place_version == r->version);
    }
    CHECK(n == 1);
}

static void tell_one(struct run *r, uint64_t who)
{
    struct call_out *out = arena_take(&r->scratch, sizeof *out);
    const struct user_set users = {countof(r->users), r->users};
    for (uint32_t again = 0; again < 2; again++) {
        call_welcome(&r->scratch, &r->chan, &r->place, who, r->version, again, r->last, users, out);
        CHECK(out->n_events == again + (r->place.id && !r->place.unavailable ? 2u : 1u));
        check_told(r, out, 1);
    }
    call_farewell(&r->scratch, &r->chan, who, r->version, r->last, users, out);
    CHECK(out->n_events == 1);
    check_told(r, out, 2);
}

// --- inputs ---

static void take_input(struct run *r, struct call_in *in, struct bytes regions[CALL_REGIONS_MAX + 2])
{
    struct feed *f = &r->in;
    *in = (struct call_in){.kind = feed_below(f, CALL_IN_KINDS), .user = user(f)};
    uint8_t bits = feed_u8(f);
    in->session = sessions[bits & 3];
    in->gateway = gateways[bits >> 2 & 1];
    in->bot = (bits & 0xf8) == 0xf8;
    in->stays = (bits & 0xf8) == 0xf0;
    in->everybody = bits >> 3 & 1;
    in->self_mute = bits >> 4 & 1;
    in->self_video = bits >> 5 & 1;
    if (in->kind == CALL_IN_JOIN && !in->session[0])
        in->session = "s4"; // never empty: the gateway made it
    in->region = in->node = in->endpoint = in->token = "";
    switch (in->kind) {
    case CALL_IN_JOIN:
        in->epoch = feed_number(f);
        in->new_id = ++r->minted;
        in->region = ONE_OF(f, names);
        in->regions = (struct texts){feed_below(f, CALL_REGIONS_MAX + 3), regions};
        for (uint32_t i = 0; i < in->regions.n; i++)
            regions[i] = bytes_of(ONE_OF(f, names));
        break;
    case CALL_IN_LEAVE:
        in->epoch = feed_number(f);
        in->channel = r->place.channel;
        in->node = ONE_OF(f, names); // mostly: because his voice connection is gone
        break;
    case CALL_IN_RING:
    case CALL_IN_STOP:
        in->n_targets = feed_below(f, CALL_TARGETS_MAX + 1);
        in->n_targets = in->n_targets > 3 && in->n_targets < CALL_TARGETS_MAX ? 1 : in->n_targets;
        for (uint32_t i = 0; i < in->n_targets; i++)
            in->targets[i] = user(f);
        break;
    case CALL_IN_ADD:
    case CALL_IN_REMOVE:
        in->n_targets = 1;
        in->targets[0] = user(f);
        break;
    case CALL_IN_ASSIGNED: {
        const struct call_seat *s = call_seat_of(&r->place, in->user); // mostly the answer to what was asked
        in->asked_at = s && feed_u8(f) != 1 ? s->server_at - CALL_RETRY_MS : feed_number(f);
        in->session = s && feed_u8(f) != 1 ? s->session : in->session;
        in->endpoint = ONE_OF(f, endpoints);
        in->region = ONE_OF(f, names);
        in->node = names[1 + feed_below(f, countof(names) - 1)];
        in->token = "0123456789abcdef";
        break;
    }
    case CALL_IN_REGION:
        in->region = ONE_OF(f, names);
        break;
    case CALL_IN_SERVER_LOST:
        in->drains = feed_flag(f);
        in->node = ONE_OF(f, names);
        break;
    case CALL_IN_SERVER_FREE:
    case CALL_IN_GATEWAY_LOST:
    case CALL_IN_MOVED:
    case CALL_IN_TICK:
    case CALL_IN_KINDS:
        break;
    }
}

static void step(struct run *r)
{
    static struct call_place before; // large
    static struct call_fxs fxs;
    struct call_in in;
    struct bytes regions[CALL_REGIONS_MAX + 2];
    char session[65];
    take_input(r, &in, regions);
    memcpy(session, in.session, strlen(in.session) + 1);
    in.session = session; // not the place's own
    r->now += (uint64_t)feed_u8(&r->in) * 200;
    before = r->place;
    int err = call_step(&r->place, &in, &rules, r->now, &fxs);
    check_place(&r->place);
    if (err != OK) {
        CHECK(fxs.n == 0 && memcmp(&before, &r->place, sizeof before) == 0);
    } else {
        check_grown(&before, &r->place);
        check_fxs(&before, &r->place, &fxs);
        CHECK(in.kind != CALL_IN_JOIN || call_sits(&r->place, in.user, in.session));
        write(r, &before, &fxs);
    }
    uint64_t due = call_deadline(&r->place);
    CHECK(in.kind != CALL_IN_TICK || due == 0 || due > r->now);
    CHECK(call_may_join(&r->place, in.user, in.bot) == OK || in.kind != CALL_IN_JOIN || err != OK);
    if (in.kind == CALL_IN_ADD || in.kind == CALL_IN_REMOVE)
        tell_one(r, in.targets[0]);
    arena_reset(&r->scratch);
}

static void region_list(struct bytes json)
{
    static struct regions list, before;
    char *own = feed_own(json);
    before = list = (struct regions){.n = 1, .id = {"as it was"}};
    int err = regions_read((struct bytes){own, json.n}, &list);
    mem_free(own);
    CHECK(err == OK || memcmp(&before, &list, sizeof list) == 0);
    CHECK(list.n <= REGIONS_MAX && (!list.n || list.optimal < list.n));
    const struct bytes preferred[] = {BYTES("b"), BYTES("as it was")};
    const char *guess = regions_guess(&list, (struct texts){2, preferred});
    CHECK(guess[0] == '\0' || regions_have(&list, bytes_of(guess)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    r = (struct run){.in = {data, size}, .now = 1000000, .minted = 1ull << 40, .last = 77};
    for (uint32_t i = 0; i < countof(r.users); i++)
        r.users[i] = (struct user){.id = 1 + i, .username = BYTES("ada"), .discriminator = BYTES("0")};
    switch (feed_below(&r.in, 5)) {
    case 4:
        region_list(feed_rest(&r.in));
        return 0;
    case 0:
        begin_with_records(&r);
        break;
    case 1:
        begin_with_call(&r);
        break;
    default:
        begin_with_channel(&r);
        break;
    }
    check_place(&r.place);
    for (unsigned n = 0; r.in.n && n < 60 && r.place.type; n++)
        step(&r);
    arena_fini(&r.a);
    arena_fini(&r.scratch);
    return 0;
}
