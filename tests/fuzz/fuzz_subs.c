// subs: a few sessions at a few records whose logs grow, with a bus that tells of entries late, twice, never or while a
// log is being read, and readings of the log that find some of it cut off.
// - After each input everything is valid; what does not fit the state changes nothing.
// - Each session is addressed with each version of a record once, in order, from its snapshot on; a hole is one that it
//   was told of (subs_cut).
// - What somebody else's record says of a place is known exactly to who has been told as much there; to whom it is
// news,
//   he goes on from there.
// - What says something of a voice state is not told to who listens to another record whose seats are still to be read.
// - A claim to a seat is outdated exactly for who listens to another record where that user sits by a newer one.
// - When nothing more happens and the log has been read, everybody stands at its end.
#include "fuzz.h"
#include "subs.h"

#define SESSIONS 5u
#define RECORDS 3u
#define SITTERS 80u

struct place {             // the truth
    uint64_t version, cut; // of its log: entries (cut, version] are there
    bool untold;           // the bus has lost some of them
    bool wanted;           // its log is to be read
};
struct run {
    struct feed in;
    struct subs subs;
    struct place places[RECORDS];
    bool entered[SESSIONS];
    bool listens[SESSIONS][RECORDS], settled[SESSIONS][RECORDS];
    uint64_t joined[SESSIONS][RECORDS]; // the record's version then: a snapshot is no older
    uint64_t at[SESSIONS][RECORDS];     // what each has been told of, from settled on
    uint64_t claim[RECORDS][SITTERS];   // of whom a seat is known there: its epoch
    bool unseated;                      // seats of SEATED have to be read
};
#define SEATED 1u // the one record with seats: 0 is a user's, 2 a guild's

static ref ref_of(uint32_t place)
{
    return place ? ref_place(place) : ref_user(1);
}

static uint64_t session_of(uint32_t i)
{
    return 1000 + i;
}

static uint64_t user_of(uint64_t session)
{
    return 1 + (session - session_of(0)) % 3;
}

static bool blind(const struct run *r, uint32_t session, uint32_t place)
{
    return r->unseated && place != SEATED && r->listens[session][SEATED];
}

static void told(struct run *r, uint32_t place, uint64_t version, bool seats, const struct keys *keys)
{
    for (uint32_t i = 0; i < keys->n; i++) {
        uint32_t session = (uint32_t)(keys->v[i] - session_of(0));
        CHECK(session < SESSIONS && r->settled[session][place]);
        CHECK(r->at[session][place] + 1 == version);
        CHECK(!seats || !blind(r, session, place));
    }
}

static void want_read(struct run *r, uint32_t place)
{
    struct sub *sub = subs_get(&r->subs, ref_of(place));
    if (sub && sub->reading)
        sub->again = true;
    else
        r->places[place].wanted = true;
}

static void hold(struct run *r, uint32_t place, uint64_t version)
{
    bool any = false;
    for (uint32_t i = 0; i < SESSIONS; i++)
        any |= r->settled[i][place] && r->at[i][place] + 1 == version && blind(r, i, place);
    CHECK(subs_hold(&r->subs, ref_of(place), version) == any);
    if (any)
        want_read(r, place);
}

// Everybody who is to get the entry gets it, whomever it is for: who is left out has seen that there was one.
static void apply(struct run *r, uint32_t place, uint64_t version)
{
    struct keys all = {0}, some = {0};
    uint64_t to = feed_below(&r->in, 4), user = 1 + feed_below(&r->in, 3),
             session = session_of(feed_below(&r->in, SESSIONS));
    bool seats = version % 2; // the same entry is always of the same kind
    if (seats)
        hold(r, place, version);
    subs_address(&r->subs, ref_of(place), version, 0, 0, 0, &all);
    subs_address(&r->subs, ref_of(place), version, to, user, session, &some);
    told(r, place, version, seats, &all);
    told(r, place, version, seats, &some);
    CHECK(some.n <= all.n && (to != 2 || some.n <= 1));
    for (uint32_t i = 0; i < some.n; i++) {
        uint64_t who = user_of(some.v[i]);
        CHECK((to != 1 || who == user) && (to != 2 || some.v[i] == session) && (to != 3 || who != user));
    }
    subs_advance(&r->subs, ref_of(place), version);
    for (uint32_t i = 0; i < all.n; i++)
        r->at[all.v[i] - session_of(0)][place] = version;
    keys_fini(&all);
    keys_fini(&some);
}

static void entry(struct run *r, uint32_t place, uint64_t version)
{
    enum subs_verdict v = subs_entry(&r->subs, ref_of(place), version);
    if (v == SUBS_APPLY || v == SUBS_CATCH)
        apply(r, place, version);
    else if (v == SUBS_GAP)
        want_read(r, place);
}

static void leave_all(struct run *r, uint32_t session, bool waiting_only)
{
    struct keys left = {0};
    if (waiting_only)
        subs_leave_waiting(&r->subs, session_of(session), &left);
    else
        subs_exit(&r->subs, session_of(session), &left);
    for (uint32_t k = 0; k < left.n; k++)
        CHECK(!subs_get(&r->subs, left.v[k]));
    keys_fini(&left);
    for (uint32_t p = 0; p < RECORDS; p++)
        if (!waiting_only || !r->settled[session][p])
            r->listens[session][p] = r->settled[session][p] = false;
    if (!waiting_only)
        r->entered[session] = false;
}

static void settled(struct run *r, uint32_t session, uint32_t place, uint64_t version, bool read)
{
    r->settled[session][place] = true;
    r->at[session][place] = version;
    if (read)
        want_read(r, place);
}

static void snapshot(struct run *r, uint32_t session, uint32_t place)
{
    uint64_t back = feed_below(&r->in, 5), version = r->places[place].version, joined = r->joined[session][place];
    bool waits = r->listens[session][place] && !r->settled[session][place];
    version = version > joined + back ? version - back : joined;
    bool read = subs_settle(&r->subs, session_of(session), ref_of(place), version);
    CHECK(waits || !read);
    if (waits)
        settled(r, session, place, version, read);
}

static void joined(struct run *r, uint32_t session, uint32_t place, bool first)
{
    for (uint32_t i = 0; i < SESSIONS; i++)
        CHECK(!first || !r->listens[i][place]);
    if (!r->listens[session][place])
        r->joined[session][place] = r->places[place].version;
    r->listens[session][place] = true;
}

static void seats_may_lack(struct run *r, uint32_t place, uint64_t version)
{
    const struct sub *sub = subs_get(&r->subs, ref_of(place));
    r->unseated |= place == SEATED && (!sub || !sub->known || version > sub->applied);
}

static void seats_come(struct run *r)
{
    struct sub *sub = subs_get(&r->subs, ref_of(SEATED));
    if (!sub)
        return;
    CHECK(subs_ask_seats(sub) == r->unseated && !subs_ask_seats(sub));
    bool ok = feed_flag(&r->in), late = feed_flag(&r->in) && sub->known;
    if (late)
        entry(r, SEATED, ++r->places[SEATED].version);
    late = late && sub->asked_at != sub->applied;
    bool take = subs_seats_come(&r->subs, sub, ok);
    CHECK(take == (r->unseated && ok && !late));
    r->unseated = r->unseated && !take;
}

// From where another gateway left it; what came since is in the log.
static void follow(struct run *r, uint32_t session, uint32_t place)
{
    uint64_t back = feed_below(&r->in, 5), version = r->places[place].version;
    bool was_settled = r->settled[session][place], first;
    version = version > back ? version - back : 0;
    if (!was_settled)
        seats_may_lack(r, place, version);
    bool read = subs_follow(&r->subs, session_of(session), ref_of(place), place == 2, version, &first);
    joined(r, session, place, first);
    CHECK(!was_settled || !read);
    if (!was_settled)
        settled(r, session, place, version, read);
}

static void wait_there(struct run *r, uint32_t session, uint32_t place, uint64_t version)
{
    uint64_t at = 0;
    bool first;
    subs_await(&r->subs, session_of(session), ref_of(place), place == 2, version, &first);
    joined(r, session, place, first);
    r->settled[session][place] = false;
    CHECK(subs_valid(&r->subs) && !subs_position(&r->subs, session_of(session), ref_of(place), &at));
    CHECK(subs_awaits(&r->subs, session_of(session), ref_of(place), &at) && at == version);
}

// From where another gateway left it, once what it needs is there: snapshot() tells.
static void await(struct run *r, uint32_t session, uint32_t place)
{
    uint64_t back = feed_below(&r->in, 5), version = r->places[place].version;
    wait_there(r, session, place, version > back ? version - back : 0);
}

// As fanout.c does it, when a user's record says that he is to hear the place from now on.
static void listen(struct run *r, uint32_t session, uint32_t place)
{
    uint64_t back = feed_below(&r->in, 5), version = r->places[place].version, at = 0;
    version = version > back ? version - back : 0;
    if (subs_knows(&r->subs, session_of(session), 1, ref_of(place), version))
        return;
    bool waits = !subs_position(&r->subs, session_of(session), ref_of(place), &at), first;
    CHECK(waits || at < version || version == 0);
    wait_there(r, session, place, version);
    seats_may_lack(r, place, version);
    bool read = subs_follow(&r->subs, session_of(session), ref_of(place), place == 2, version, &first);
    CHECK(!first);
    settled(r, session, place, version, read);
}

// Between the log's answer and its being taken in.
static void meanwhile(struct run *r, uint32_t place)
{
    uint8_t what = feed_u8(&r->in);
    uint32_t session = (what >> 4) % SESSIONS;
    if (what & 1)
        entry(r, place, ++r->places[place].version);
    if (what & 2)
        subs_get(&r->subs, ref_of(place))->again = true; // the bus was lost
    if ((what & 4) && r->entered[session])
        follow(r, session, place);
    if (what & 8)
        entry(r, place, ++r->places[place].version);
}

// As fanout.c does it: from where the last one stands; again while something came in between.
static void read_log(struct run *r, uint32_t place)
{
    struct place *p = &r->places[place];
    struct sub *sub = subs_get(&r->subs, ref_of(place));
    struct keys lost = {0};
    if (!sub || !sub->known)
        return;
    p->wanted = p->untold = false;
    sub->reading = true;
    uint64_t after = subs_read(sub), first = after > p->cut ? after + 1 : p->cut + 1, last = p->version;
    meanwhile(r, place);
    if (first > after + 1) {
        subs_cut(sub, after, first, &lost);
        for (uint32_t i = 0; i < lost.n; i++) {
            uint32_t session = (uint32_t)(lost.v[i] - session_of(0));
            CHECK(session < SESSIONS && r->settled[session][place] && r->at[session][place] + 1 < first);
            r->at[session][place] = first - 1;
        }
        keys_fini(&lost);
        CHECK(subs_valid(&r->subs));
    }
    for (uint64_t version = first; version <= last; version++)
        entry(r, place, version);
    bool asked = sub->again;
    sub->reading = false;
    if (subs_read_done(sub))
        p->wanted = true;
    CHECK(!asked || p->wanted);
}

static void leave(struct run *r, uint32_t session, uint32_t place)
{
    bool last = subs_leave(&r->subs, session_of(session), ref_of(place));
    r->listens[session][place] = r->settled[session][place] = false;
    for (uint32_t i = 0; i < SESSIONS; i++)
        CHECK(!last || !r->listens[i][place]);
}

// --- voice states ---

static uint32_t seat(struct run *r, uint32_t place) // whose
{
    struct sub *sub = subs_get(&r->subs, ref_of(place));
    uint32_t sitter = feed_below(&r->in, SITTERS), n = 0;
    uint64_t epoch = feed_below(&r->in, 16);
    bool left = feed_flag(&r->in);
    if (!sub)
        return sitter;
    subs_seat(&r->subs, sub, 1 + sitter, epoch, left);
    if (epoch && r->claim[place][sitter] <= epoch)
        r->claim[place][sitter] = left ? 0 : epoch;
    for (uint32_t i = 0; i < SITTERS; i++)
        n += r->claim[place][i] != 0;
    CHECK(sub->seats.n == n);
    return sitter;
}

static void check_seats(const struct run *r, uint32_t session, uint32_t place, uint32_t from)
{
    for (uint32_t i = from; i < SITTERS; i += SITTERS / 4)
        for (uint64_t epoch = 0; epoch < 16; epoch += 5) {
            bool newer = false;
            for (uint32_t p = 0; p < RECORDS; p++)
                newer |= p != place && r->listens[session][p] && epoch && r->claim[p][i] > epoch;
            CHECK(subs_outdated(&r->subs, session_of(session), ref_of(place), 1 + i, epoch) == newer);
        }
}

// Of a record that nobody listens to nothing is remembered.
static void forget_seats(struct run *r)
{
    for (uint32_t p = 0; p < RECORDS; p++)
        if (!subs_get(&r->subs, ref_of(p))) {
            memset(r->claim[p], 0, sizeof r->claim[p]);
            r->unseated = r->unseated && p != SEATED;
        }
}

static void check_known(const struct run *r, uint32_t session, uint32_t place)
{
    uint64_t at = r->at[session][place], key = session_of(session);
    if (!r->settled[session][place] && !subs_awaits(&r->subs, key, ref_of(place), &at))
        at = 0;
    CHECK(!subs_knows(&r->subs, key, 1, ref_of(place), 0));
    CHECK(!subs_knows(&r->subs, key, 1, ref_of(place), at + 1) && !subs_knows(&r->subs, key, 0, ref_of(place), at));
    CHECK(!at || (subs_knows(&r->subs, key, 2, ref_of(place), at) &&
                  (at == 1 || subs_knows(&r->subs, key, 0, ref_of(place), at - 1))));
}

static void check(const struct run *r)
{
    CHECK(subs_valid(&r->subs));
    for (uint32_t s = 0; s < SESSIONS; s++)
        for (uint32_t p = 0; p < RECORDS; p++) {
            uint64_t at = 0;
            CHECK(subs_listens(&r->subs, session_of(s), ref_of(p)) == r->listens[s][p]);
            CHECK(subs_position(&r->subs, session_of(s), ref_of(p), &at) == r->settled[s][p]);
            CHECK(!r->settled[s][p] || at == r->at[s][p]);
            check_known(r, s, p);
            CHECK(subs_blind(&r->subs, session_of(s), ref_of(p)) == blind(r, s, p));
        }
    uint32_t n = 0;
    for (uint32_t u = 1; u <= 3; u++)
        n += subs_sessions_of(&r->subs, u, NULL);
    CHECK(n == r->subs.by_session.n);
}

static void act(struct run *r)
{
    uint8_t what = feed_u8(&r->in), who = feed_u8(&r->in);
    uint32_t session = (who & 15) % SESSIONS, place = (who >> 4) % RECORDS;
    struct place *p = &r->places[place];
    if (!r->entered[session]) {
        subs_enter(&r->subs, session_of(session), user_of(session_of(session)));
        r->entered[session] = true;
    }
    switch (what < 247 ? what % 13 : 13 + what % 2) {
    case 0:
        joined(r, session, place, subs_join(&r->subs, session_of(session), ref_of(place), place == 2));
        break;
    case 1:
        snapshot(r, session, place);
        break;
    case 2: // a commit, told of at once
        entry(r, place, ++p->version);
        break;
    case 3: // or not
        p->version += feed_below(&r->in, 4);
        p->untold = true;
        break;
    case 4: { // what is there already, late or twice
        uint64_t back = feed_below(&r->in, 6);
        if (p->version > back)
            entry(r, place, p->version - back);
        break;
    }
    case 5: // of what does not exist
        (void)subs_entry(&r->subs, ref_of(place), feed_number(&r->in));
        break;
    case 6:
        read_log(r, place);
        break;
    case 7:
        p->cut += feed_below(&r->in, 4);
        p->cut = p->cut < p->version ? p->cut : p->version;
        break;
    case 8:
        leave(r, session, place);
        break;
    case 10:
        follow(r, session, place);
        break;
    case 9:
        leave_all(r, session, feed_flag(&r->in));
        break;
    case 11:
        listen(r, session, place);
        break;
    case 14:
        await(r, session, place);
        break;
    case 12:
        check_seats(r, session, (place + 1) % RECORDS, seat(r, place) % (SITTERS / 4));
        break;
    case 13:
        seats_come(r);
        break;
    }
    forget_seats(r);
    check(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r = {.in = {data, size}};
    for (unsigned n = 0; r.in.n && n < 500; n++)
        act(&r);
    r.in.n = 0; // nothing more happens
    struct sub *seated = subs_get(&r.subs, ref_of(SEATED));
    if (seated && subs_ask_seats(seated)) {
        CHECK(subs_seats_come(&r.subs, seated, true));
        r.unseated = false;
    }
    for (uint32_t p = 0; p < RECORDS; p++) {
        for (unsigned tries = 0; r.places[p].wanted || r.places[p].untold; tries++) {
            const struct sub *sub = subs_get(&r.subs, ref_of(p));
            if (!sub || !sub->known)
                break; // nobody has a snapshot
            CHECK(tries < 3);
            read_log(&r, p);
        }
        check(&r);
        for (uint32_t s = 0; s < SESSIONS; s++)
            CHECK(!r.settled[s][p] || r.at[s][p] >= r.places[p].version);
    }
    subs_fini(&r.subs);
    return 0;
}
