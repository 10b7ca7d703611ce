// Moving between places, of which one is a guild: a few commands of one user's two sessions and of others at once, over
// real call cores, with a store that fails before or after it has done what it was asked for, and workers that die
// between any two steps.
// - A command is over after a bounded number of steps, each of them well-formed.
// - When every command has been repeated until it was answered, or its asker has given up (a session's end is told
// until
//   it is heard), and the timer rows that stand have been followed (FLOW_SETTLE, FLOW_AGREE): the user sits in one
//   place at most, where his location says; no session that is over sits anywhere; and his own record lists exactly the
//   channels that he is a recipient of, as of this stay of his.
// - A repeat moves nobody when the session's holder has said something else since, or it has another one.
#include "../unit/voice_world.h"
#include "errors.h"
#include "flow.h"
#include "fuzz.h"

enum {
    ADA = 11,
    BEN = 22,
    PLACES = 3,
    GUILD = PLACES,
    HOME = 201,
    SESSIONS = 2,
    WORKERS = 3,
    COMMANDS = 12,
    STEPS_MAX = 400
};

static const struct call_rules rules = {.ring_ms = 60000, .server_delay_ms = 100};
static const char *const sessions[SESSIONS] = {"s1", "s2"};

struct wish { // as its asker repeats it until it is answered, or he gives up
    bool answered, given_up;
    struct flow flow;
};
struct worker {
    bool works;
    uint32_t command; // which; COMMANDS: a settling of nobody's; above: a place and the user are to agree
    uint64_t row;     // as it stood when it was claimed
    struct flow flow;
    struct flow_step step;
    uint64_t user_version, place_version; // as read last
    uint32_t steps;
};
struct run {
    struct feed in;
    struct call_place places[PLACES];                                           // that of the guild stays empty
    struct voice_world w;                                                       // the guild
    uint64_t applied[PLACES][2 * COMMANDS + 2], applied_user[2 * COMMANDS + 2]; // command id -> epoch + 1
    struct location location;
    uint64_t user_version, place_version[PLACES], minted;
    uint64_t hold[SESSIONS], turn; // who has a session now; of the last voice update
    bool over[SESSIONS];
    uint64_t came[PLACES];                      // the version that made him a recipient
    bool listed[PLACES];                        // in his own record …
    uint64_t listed_at[PLACES];                 // … since that version
    uint64_t row_of_user, row_of_place[PLACES]; // timers, each wish another number; 0: none
    uint32_t n_commands;
    struct wish commands[COMMANDS];
    struct worker workers[WORKERS];
};

static struct call_place *place_of(struct run *r, uint64_t id)
{
    CHECK(id >= 1 && id <= PLACES);
    return &r->places[id - 1];
}

static uint32_t session_at(const char *name)
{
    return strcmp(name, sessions[0]) == 0 ? 0 : 1;
}

// --- the store ---

static bool was_applied(const struct run *r, uint64_t place, uint64_t command, uint64_t *epoch)
{
    CHECK(command < countof(r->applied[0]));
    *epoch = command && r->applied[place - 1][command] ? r->applied[place - 1][command] - 1 : 0;
    return command && r->applied[place - 1][command];
}

static void guild_look(struct run *r, const struct flow_step *s, struct guild_in *in)
{
    CHECK(flow_guild_in(s, in) == OK && in->target == ADA);
    arena_reset(&r->w.scratch);
    world_look(&r->w, in);
}

// As job_guild.c.
static void guild_place_step(struct run *r, const struct flow_step *s, struct flow_result *out)
{
    struct guild_in in;
    uint64_t epoch;
    bool before = was_applied(r, s->id, s->command, &epoch);
    guild_look(r, s, &in);
    int err = guild_step(&r->w.scratch, &r->w.scene, &in, &r->w.rules, r->w.now, &r->w.out);
    if (err != OK) {
        *out = (struct flow_result){.err = before ? OK : err, .epoch = epoch};
        return;
    }
    out->epoch = r->w.out.epoch;
    out->applied = before;
    if (s->agree)
        r->row_of_place[s->id - 1] = ++r->minted;
    if (before)
        return;
    if (s->command)
        r->applied[s->id - 1][s->command] = out->epoch + 1;
    CHECK(world_step(&r->w, &in) == OK);
}

// As job_call.c: load, step, commit once per command.
static void place_step(struct run *r, const struct flow_step *s, struct flow_result *out)
{
    static struct call_place after;
    static struct call_fxs fxs;
    struct call_place *p = place_of(r, s->id);
    struct call_in in = s->in;
    uint64_t epoch;
    bool before = was_applied(r, s->id, s->command, &epoch);
    const struct call_seat *seat = call_seat_of(p, in.user);
    after = *p;
    in.new_id = ++r->minted;
    int err = call_step(&after, &in, &rules, 1000, &fxs);
    CHECK(call_valid(&after));
    if (err != OK) {
        *out = (struct flow_result){.err = before ? OK : err, .epoch = epoch};
        return;
    }
    out->err = OK;
    out->epoch = in.kind == CALL_IN_LEAVE && seat ? seat->epoch : 0;
    out->applied = before;
    if (s->agree)
        r->row_of_place[s->id - 1] = ++r->minted;
    if (before)
        return;
    if (s->command)
        r->applied[s->id - 1][s->command] = out->epoch + 1;
    r->place_version[s->id - 1]++;
    if (call_is_recipient(&after, ADA) && !call_is_recipient(p, ADA))
        r->came[s->id - 1] = r->place_version[s->id - 1];
    *p = after;
}

static void locate(struct run *r, const struct worker *w, struct flow_result *out)
{
    const struct flow_step *s = &w->step;
    CHECK(s->location.epoch >= w->flow.location.epoch && s->location.leaving <= PLACES && s->location.place <= PLACES);
    if (s->timer)
        r->row_of_user = ++r->minted;
    if (s->command && r->applied_user[s->command]) {
        out->err = ERR_STATE;
        out->epoch = r->applied_user[s->command];
    } else if (w->user_version != r->user_version) {
        out->err = ERR_CONFLICT;
    }
    if (out->err != OK)
        return;
    CHECK(s->timer || s->location.leaving == 0 || s->location.leaving == r->location.leaving);
    if (s->command)
        r->applied_user[s->command] = s->location.epoch;
    r->location = s->location;
    r->user_version++;
}

// Into the user's own record.
static void list(struct run *r, const struct worker *w, bool listed, struct flow_result *out)
{
    CHECK(w->step.id == ADA);
    if (w->user_version != r->user_version) {
        out->err = ERR_CONFLICT;
        return;
    }
    r->listed[w->flow.place - 1] = listed;
    r->listed_at[w->flow.place - 1] = w->place_version;
    r->user_version++;
}

static void read_user(struct run *r, struct worker *w, struct flow_result *out)
{
    const struct call_in *in = &w->step.in;
    CHECK(w->step.id == ADA);
    w->user_version = r->user_version;
    out->location = r->location;
    if (!in->gateway[0])
        return;
    out->over = r->over[session_at(in->session)];
    out->elsewhere = r->hold[session_at(in->session)] != in->hold;
}

static void may_join(struct run *r, const struct flow_step *s, struct flow_result *out)
{
    const struct voice_seat *seat = world_seat(&r->w, ADA);
    const struct call_seat *in_call = call_seat_of(place_of(r, s->id), ADA);
    struct guild_in in;
    uint64_t epoch;
    out->applied = was_applied(r, s->id, s->command, &epoch);
    if (s->id != GUILD) {
        out->err = call_may_join(place_of(r, s->id), ADA, s->in.bot);
        out->sits = call_sits(place_of(r, s->id), ADA, s->in.session);
        out->epoch = in_call ? in_call->epoch : 0;
        return;
    }
    guild_look(r, s, &in);
    out->guild = true;
    out->err = guild_may_join(&r->w.scene, &in, r->w.now);
    out->sits = guild_sits(&r->w.scene, &in);
    out->epoch = seat ? seat->epoch : 0;
}

static bool is_listed(const struct run *r, uint64_t place, bool recipient)
{
    return r->listed[place - 1] && (!recipient || r->listed_at[place - 1] >= r->came[place - 1]);
}

// Carries the step out.
static void carry_out(struct run *r, struct worker *w, struct flow_result *out)
{
    const struct flow_step *s = &w->step;
    *out = (struct flow_result){0};
    switch (s->what) {
    case FLOW_READ_USER:
        read_user(r, w, out);
        break;
    case FLOW_MAY_JOIN:
        may_join(r, s, out);
        break;
    case FLOW_PLACE:
        (s->id == GUILD ? guild_place_step : place_step)(r, s, out);
        break;
    case FLOW_LOCATE:
        CHECK(s->id == ADA);
        locate(r, w, out);
        break;
    case FLOW_LOOK:
        CHECK(s->id == ADA);
        w->user_version = r->user_version;
        w->place_version = r->place_version[w->flow.place - 1];
        out->guild = w->flow.place == GUILD;
        out->recipient = out->guild || call_is_recipient(place_of(r, w->flow.place), s->id);
        out->listed = is_listed(r, w->flow.place, out->recipient);
        break;
    case FLOW_WELCOME:
        list(r, w, true, out);
        break;
    case FLOW_FAREWELL:
        list(r, w, false, out);
        break;
    case FLOW_HEIR: // of a place that loses a gateway, which is nobody's command
    case FLOW_DONE:
        CHECK(false);
    }
}

// What is kept of commands is kept for a minute.
static void forget_commands(struct run *r)
{
    memset(r->applied, 0, sizeof r->applied);
    memset(r->applied_user, 0, sizeof r->applied_user);
}

// --- workers ---

static void check_step(const struct worker *w)
{
    const struct flow_step *s = &w->step;
    uint64_t first = w->flow.command;
    CHECK(s->what <= FLOW_DONE);
    CHECK(!s->command || (first && s->command >= first && s->command < first + FLOW_COMMANDS));
    CHECK(!s->agree || (s->what == FLOW_PLACE && s->agree == ADA));
    if (s->what == FLOW_PLACE) {
        CHECK(s->id && s->in.kind < CALL_IN_KINDS && s->in.session && (s->in.user == ADA || s->in.user == BEN));
        CHECK(s->agree || s->in.kind != CALL_IN_JOIN || s->in.stays); // nobody sits down unseen
    }
}

// It dies, or its asker hears nothing of use: the command is repeated; also when another worker has answered it
// meanwhile. (One that goes on after that, and dies before it has looked at what it did, is beyond repair: of a command
// that was refused nothing is kept.)
static void lost(struct run *r, struct worker *w)
{
    w->works = false;
    if (w->command < COMMANDS)
        r->commands[w->command].answered = false;
}

static uint64_t *row_of(struct run *r, uint32_t command)
{
    return command == COMMANDS ? &r->row_of_user : &r->row_of_place[command - COMMANDS - 1];
}

static void answered(struct run *r, struct worker *w)
{
    w->works = false;
    if (flow_failed(w->step.err))
        lost(r, w);
    else if (w->command < COMMANDS)
        r->commands[w->command].answered = true;
    else if (*row_of(r, w->command) == w->row) // else it is wanted again
        *row_of(r, w->command) = 0;
    CHECK(flow_answer(w->step.err) != ERR_STATE);
}

static void start(struct run *r, struct worker *w, uint32_t command)
{
    *w = (struct worker){.works = true, .command = command};
    if (command < COMMANDS) {
        w->flow = r->commands[command].flow;
    } else {
        w->row = *row_of(r, command);
        w->flow = (struct flow){.kind = FLOW_SETTLE, .user = ADA, .in = {.session = "", .gateway = ""}};
    }
    if (command > COMMANDS) {
        w->flow.kind = FLOW_AGREE;
        w->flow.place = command - COMMANDS;
        w->flow.in.n_targets = 1;
        w->flow.in.targets[0] = ADA;
    }
    w->step = flow_start(&w->flow);
    check_step(w);
    CHECK(w->step.what != FLOW_DONE);
}

// fault: 0 none, 1 it fails before it is done, 2 after.
static void advance(struct run *r, struct worker *w, unsigned fault)
{
    struct flow_result result = {.err = ERR_IO};
    if (fault != 1)
        carry_out(r, w, &result);
    if (fault)
        result = (struct flow_result){.err = ERR_IO};
    w->step = flow_next(&w->flow, &result);
    check_step(w);
    CHECK(++w->steps < STEPS_MAX);
    if (w->step.what == FLOW_DONE)
        answered(r, w);
}

static void work_off(struct run *r, struct worker *w)
{
    while (w->works)
        advance(r, w, 0);
}

// --- what is asked for ---

static void new_command(struct run *r, uint32_t i)
{
    struct flow *f = &r->commands[i].flow;
    uint8_t what = feed_u8(&r->in);
    uint32_t session = what >> 3 & 1;
    uint64_t channel = HOME + (what >> 4) / PLACES / 2 % 2;
    *f = (struct flow){.user = ADA, .place = 1 + (unsigned)(what >> 4) % PLACES, .command = 1 + 2 * (uint64_t)i};
    f->in = (struct call_in){.user = ADA, .session = sessions[session], .gateway = "g", .region = ""};
    bool guild = f->place == GUILD;
    r->commands[i].given_up = (what >> 4) / PLACES & 1;
    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        f->kind = FLOW_JOIN;
        f->in.kind = CALL_IN_JOIN;
        f->in.guild = guild ? GUILD : 0;
        f->in.channel = guild ? channel : f->place;
        f->in.hold = r->hold[session];
        f->in.turn = ++r->turn;
        return;
    case 3:
        f->kind = FLOW_LEAVE;
        f->in.kind = CALL_IN_LEAVE;
        f->in.guild = guild && channel != HOME ? GUILD : 0;
        f->in.hold = r->hold[session];
        f->in.turn = ++r->turn;
        return;
    case 4: // the store knows it first
        f->kind = FLOW_LEAVE;
        f->in.kind = CALL_IN_LEAVE;
        f->in.gateway = "";
        r->over[session] = true;
        r->commands[i].given_up = false;
        return;
    case 5: // that, too
        f->kind = FLOW_MOVED;
        f->in.kind = CALL_IN_MOVED;
        f->in.gateway = "h";
        f->in.hold = r->hold[session] = ++r->minted;
        return;
    default:
        f->place = guild ? 1 : f->place;
        f->kind = (what & 7) == 6 ? FLOW_ADD : FLOW_REMOVE;
        f->in.kind = (what & 7) == 6 ? CALL_IN_ADD : CALL_IN_REMOVE;
        f->user = f->in.user = f->kind == FLOW_REMOVE && session ? ADA : BEN;
        f->in.gateway = "";
        f->in.n_targets = 1;
        f->in.targets[0] = ADA;
        return;
    }
}

// The next one, or a repetition of one that nobody has answered.
static void take_command(struct run *r, struct worker *w, uint8_t which)
{
    uint32_t i = which % (COMMANDS + 1 + PLACES);
    if (i >= COMMANDS) {
        start(r, w, i);
        return;
    }
    if (i >= r->n_commands) {
        if (r->n_commands == COMMANDS)
            return;
        i = r->n_commands++;
        new_command(r, i);
    }
    if (!r->commands[i].answered)
        start(r, w, i);
}

// Somebody else moves him in the guild, or out of it: without a claim.
static void moderate(struct run *r)
{
    const struct member_edit e = {
        .guild = GUILD, .target = ADA, .set = 4, .channel = feed_flag(&r->in) ? HOME + feed_flag(&r->in) : 0};
    const struct msg m = {&schema_member_edit, &e};
    struct guild_in in;
    uint64_t guild;
    CHECK(guild_command(&m, &in, &guild) == OK);
    (void)world_do(&r->w, in);
}

static void act(struct run *r)
{
    uint8_t what = feed_u8(&r->in);
    struct worker *w = &r->workers[(what & 3) % WORKERS];
    if ((what >> 2) == 62)
        forget_commands(r);
    else if ((what >> 2) == 61)
        moderate(r);
    else if (!w->works)
        take_command(r, w, what >> 2);
    else if ((what >> 2) == 63)
        lost(r, w);
    else
        advance(r, w, (what >> 2) < 56 ? 0 : 1 + ((what >> 2) & 1));
}

// --- in the end ---

static bool sits(const struct run *r, uint32_t place)
{
    if (place + 1 == GUILD)
        return world_seat(&r->w, ADA) != NULL;
    return call_seat_of(&r->places[place], ADA) != NULL;
}

// He has said something else since, or somebody else speaks for him.
static bool is_late(const struct run *r, const struct flow *f)
{
    const struct call_in *in = &f->in;
    bool elsewhere = in->gateway[0] && r->hold[session_at(in->session)] != in->hold;
    return elsewhere || (in->turn && r->location.hold == in->hold && in->turn < r->location.turn);
}

static void repeat(struct run *r, uint32_t i)
{
    const struct location before = r->location;
    bool late = is_late(r, &r->commands[i].flow), sat[PLACES];
    for (uint32_t p = 0; p < PLACES; p++)
        sat[p] = sits(r, p);
    start(r, &r->workers[0], i);
    work_off(r, &r->workers[0]);
    CHECK(!late || (r->location.place == before.place && r->location.epoch == before.epoch));
    for (uint32_t p = 0; p < PLACES; p++)
        CHECK(!late || sat[p] || !sits(r, p));
}

static void finish(struct run *r)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        work_off(r, &r->workers[i]);
    for (uint32_t i = 0; i < r->n_commands; i++) {
        const struct wish *c = &r->commands[i];
        if (c->given_up && !r->over[session_at(c->flow.in.session)])
            continue;
        for (unsigned tries = 0; !c->answered; tries++) {
            CHECK(tries < 10);
            repeat(r, i);
        }
    }
    for (uint32_t i = COMMANDS; i <= COMMANDS + PLACES; i++)
        for (unsigned tries = 0; *row_of(r, i); tries++) {
            CHECK(tries < 2);
            start(r, &r->workers[0], i);
            work_off(r, &r->workers[0]);
        }
}

static void check(struct run *r)
{
    uint32_t seats = 0;
    CHECK(r->location.leaving == 0);
    const struct voice_seat *seat = world_seat(&r->w, ADA);
    if (seat) {
        seats++;
        CHECK(r->location.place == GUILD && seat->epoch <= r->location.epoch);
        CHECK(!r->over[session_at(arena_text(&r->w.scratch, seat->session))]);
    }
    for (uint64_t id = 1; id < GUILD; id++) {
        const struct call_place *p = place_of(r, id);
        const struct call_seat *s = call_seat_of(p, ADA);
        CHECK(r->listed[id - 1] == call_is_recipient(p, ADA));
        CHECK(is_listed(r, id, call_is_recipient(p, ADA)) == r->listed[id - 1]);
        if (!s)
            continue;
        seats++;
        CHECK(r->location.place == id && s->epoch <= r->location.epoch);
        CHECK(!r->over[session_at(s->session)]);
    }
    CHECK(seats <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    r = (struct run){.in = {data, size}, .user_version = 1, .minted = 2, .hold = {1, 2}};
    world_begin(&r.w);
    WORLD_PUT(&r.w, WORLD_MEMBERS, ADA, member, .user = ADA);
    for (uint64_t channel = HOME; channel < HOME + 2; channel++)
        WORLD_PUT(&r.w, WORLD_CHANNELS, channel, guild_channel, .id = channel, .type = CHANNEL_VOICE);
    r.listed[GUILD - 1] = true;
    for (uint32_t i = 0; i + 1 < GUILD; i++) {
        r.places[i] =
            (struct call_place){.channel = i + 1, .type = 3, .owner = BEN, .n_recipients = 2, .recipients = {BEN, ADA}};
        r.listed[i] = true;
    }
    for (unsigned n = 0; r.in.n && n < 300; n++)
        act(&r);
    finish(&r);
    check(&r);
    world_end(&r.w);
    return 0;
}
