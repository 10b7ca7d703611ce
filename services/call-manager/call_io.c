// call_io: commands from the bus become flows, and a place's asks become commands to the region allocator. Shell.
#include "errors.h"
#include "guild_form.h"
#include "manager.h"
#include "metrics.h"
#include "present.h"
#include <string.h>

#define ASK_MS 1500u      // then the place's own timer asks again
#define ASK_AGAIN_MS 100u // an answer found no room among the jobs
#define RELEASE_MS 10000u // repeated until the allocator has heard it

// --- commands in ---

struct asked { // who waits for a job's answer
    struct manager *m;
    struct bus_from from;
};

static void answer(struct manager *m, const struct bus_from *from, const struct job_end *end)
{
    static const struct fault region = {"region", -1, "BASE_TYPE_CHOICES", "Value must be a known region."};
    struct buf body = {0};
    if (m->closed)
        return; // it is sent again, to another instance
    if (end->result == API_INVALID_FORM)
        api_form_error(&body, end->fault ? end->fault : &region);
    else if (end->result == OK)
        buf_add(&body, end->body.p, end->body.n);
    bus_answer(m->service.bus, from, end->result, buf_bytes(&body));
    buf_fini(&body);
}

static void on_flow_done(void *ctx, const struct job_end *end) // when it is due again has a row of its own
{
    struct asked a = *(struct asked *)ctx;
    mem_free(ctx);
    answer(a.m, &a.from, end);
}

// Each turns one message into a flow. Texts of a message are slices; the core wants them terminated: the arena lives
// until the job has copied them.

// Something, and the same as a terminated text.
static bool is_name(struct bytes text)
{
    return text.n > 0 && memchr(text.p, '\0', text.n) == NULL;
}

static int voice_flow(struct manager *m, struct arena *a, const struct voice_update *v, struct flow *f)
{
    bool joins = v->channel != 0;
    *f = (struct flow){
        .kind = joins ? FLOW_JOIN : FLOW_LEAVE, .place = v->guild ? v->guild : v->channel, .user = v->user};
    f->in = (struct call_in){.kind = joins ? CALL_IN_JOIN : CALL_IN_LEAVE,
                             .user = v->user,
                             .guild = v->guild,
                             .channel = v->channel,
                             .session = arena_text(a, v->session),
                             .gateway = arena_text(a, v->gateway),
                             .hold = v->hold,
                             .turn = v->turn,
                             .self_mute = v->self_mute,
                             .self_deaf = v->self_deaf,
                             .self_video = v->self_video,
                             .flags = v->flags,
                             .regions = v->regions,
                             .region = regions_guess(&m->regions, v->regions)};
    return is_name(v->session) && is_name(v->gateway) ? OK : ERR_INVALID;
}

static int end_flow(struct arena *a, const struct session_end *e, struct flow *f)
{
    *f = (struct flow){.kind = FLOW_LEAVE, .user = e->user};
    f->in = (struct call_in){.kind = CALL_IN_LEAVE, .user = e->user, .session = arena_text(a, e->session)};
    return is_name(e->session) ? OK : ERR_INVALID;
}

// A guild names its channels; the server of a private call is its channel. Of a person's seats there is one alone.
static int gone_flow(struct arena *a, const struct voice_gone *v, struct flow *f)
{
    *f = (struct flow){.kind = FLOW_LEAVE, .place = v->server, .user = v->user};
    f->in = (struct call_in){.kind = CALL_IN_LEAVE,
                             .user = v->user,
                             .guild = v->server != v->channel ? v->server : 0,
                             .channel = v->channel,
                             .session = arena_text(a, v->session),
                             .node = arena_text(a, v->node)};
    return is_name(v->session) && is_name(v->node) ? OK : ERR_INVALID;
}

static int moved_flow(struct arena *a, const struct session_moved *v, struct flow *f)
{
    *f = (struct flow){.kind = FLOW_MOVED, .user = v->user};
    f->in = (struct call_in){.kind = CALL_IN_MOVED,
                             .user = v->user,
                             .session = arena_text(a, v->session),
                             .gateway = arena_text(a, v->gateway),
                             .hold = v->hold};
    return is_name(v->session) && is_name(v->gateway) ? OK : ERR_INVALID;
}

static int step_flow(uint64_t place, struct call_in in, const struct ids *targets, struct flow *f)
{
    *f = (struct flow){.kind = FLOW_STEP, .place = place, .in = in};
    for (uint32_t i = 0; targets && i < targets->n && f->in.n_targets < CALL_TARGETS_MAX; i++)
        f->in.targets[f->in.n_targets++] = targets->v[i];
    return OK;
}

static int region_flow(struct manager *m, struct arena *a, const struct call_region *r, struct flow *f)
{
    struct call_in in = {.kind = CALL_IN_REGION, .user = r->user, .region = arena_text(a, r->region)};
    if (m->regions.n == 0)
        return ERR_IO; // no allocator has told which there are
    return regions_have(&m->regions, r->region) ? step_flow(r->channel, in, NULL, f) : API_INVALID_FORM;
}

static int recipient_flow(bool adds, uint64_t user, uint64_t channel, uint64_t target, struct flow *f)
{
    *f = (struct flow){.kind = adds ? FLOW_ADD : FLOW_REMOVE, .place = channel};
    f->in = (struct call_in){
        .kind = adds ? CALL_IN_ADD : CALL_IN_REMOVE, .user = user, .n_targets = 1, .targets = {target}};
    return OK;
}

static int guild_flow(struct manager *m, struct arena *a, const struct msg *msg, struct flow *f)
{
    struct guild_in *change = arena_take(a, sizeof *change);
    const struct channel_put *put = MSG_IS(msg, channel_put);
    *f = (struct flow){.kind = FLOW_STEP, .change = change};
    int err = guild_command(msg, change, &f->place);
    if (err != OK)
        return ERR_INVALID; // not for this service, or not whole
    bool region = put && put->set & SET_CHANNEL_REGION && put->to->rtc_region.n > 0;
    if (region && m->regions.n == 0)
        return ERR_IO; // no allocator has told which there are
    change->region_known = region && regions_have(&m->regions, put->to->rtc_region);
    if (change->kind == GUILD_IN_MEMBER_REMOVE) {
        f->kind = FLOW_REMOVE;
        f->in = (struct call_in){.kind = CALL_IN_REMOVE, .n_targets = 1, .targets = {change->target}};
    }
    return OK;
}

static int flow_of(struct manager *m, struct arena *a, const struct msg *msg, struct flow *f)
{
    const void *v = msg->v;
    switch (msg->schema->tag) {
    case TAG_voice_update:
        return voice_flow(m, a, v, f);
    case TAG_session_end:
        return end_flow(a, v, f);
    case TAG_voice_gone:
        return gone_flow(a, v, f);
    case TAG_session_moved:
        return moved_flow(a, v, f);
    case TAG_call_ring: {
        const struct call_ring *r = v;
        struct call_in in = {.kind = CALL_IN_RING, .user = r->user, .everybody = r->all};
        return step_flow(r->channel, in, &r->recipients, f);
    }
    case TAG_call_stop_ringing: {
        const struct call_stop_ringing *r = v;
        struct call_in in = {.kind = CALL_IN_STOP, .user = r->user};
        return step_flow(r->channel, in, &r->recipients, f);
    }
    case TAG_call_region:
        return region_flow(m, a, v, f);
    case TAG_recipient_add: {
        const struct recipient_add *r = v;
        return recipient_flow(true, r->user, r->channel, r->target, f);
    }
    case TAG_recipient_remove: {
        const struct recipient_remove *r = v;
        return recipient_flow(false, r->user, r->channel, r->target, f);
    }
    case TAG_server_lost: {
        const struct server_lost *r = v;
        struct call_in in = {
            .kind = CALL_IN_SERVER_LOST, .channel = r->channel, .drains = r->drains, .node = arena_text(a, r->node)};
        return step_flow(r->place, in, NULL, f);
    }
    case TAG_server_free: {
        const struct server_free *r = v;
        return step_flow(r->place, (struct call_in){.kind = CALL_IN_SERVER_FREE, .channel = r->channel}, NULL, f);
    }
    default:
        return guild_flow(m, a, msg, f);
    }
}

void call_command(void *ctx, const struct bus_from *from, const struct msg *msg)
{
    struct manager *m = ctx;
    struct arena a = {0};
    struct flow flow;
    int err = flow_of(m, &a, msg, &flow);
    if (err == OK) {
        struct asked *asked = mem_alloc(sizeof *asked);
        *asked = (struct asked){m, *from};
        flow.command = from->command;
        flow.by = from->deadline;
        err = job_start(m, &flow, on_flow_done, asked);
        if (err != OK) {
            mem_free(asked);
            M.commands_refused++;
            LOG_PEER(WARN, EV("job.refused"), KU("running", m->jobs.n));
            err = ERR_IO; // it is sent again until its deadline
        }
    }
    if (err != OK)
        answer(m, from, &(struct job_end){.result = err});
    arena_fini(&a);
}

// --- asks out ---
// However fast people come and go, a manager has one ask out for each seat that is owed a server, and one release for
// each room that was left empty. A newer one takes the place of an older one, whose answer would count for nothing now.

struct ask {
    struct manager *m;
    uint64_t key;     // in the table
    uint64_t command; // once it is sent; before, the timer is armed
    struct timer timer;
    uint64_t place, channel, user, at;
    char session[65], region[65];
    uint32_t n_regions;
    char regions[CALL_REGIONS_MAX][65];
};

struct freeing { // a release
    struct manager *m;
    uint64_t key, command, place, channel;
    bool replaced;
};

// Where to look first for what a place has out about one of its users or channels: it is there, or next to others.
static uint64_t key_of(uint64_t place, uint64_t id)
{
    const uint64_t both[] = {place, id};
    return bytes_hash((struct bytes){(const char *)both, sizeof both});
}

static void on_step_done(void *ctx, const struct job_end *end)
{
    (void)ctx; // whatever came of it, the place's row asks again if a server is still owed
    (void)end;
}

// There is no room for what was answered: it is asked once more before long, until the place's row does so.
static bool ask_again(struct ask *k)
{
    if (k->m->closed || loop_unix_ms(k->m->service.loop) + ASK_AGAIN_MS >= k->at + CALL_RETRY_MS)
        return false;
    loop_arm(k->m->service.loop, &k->timer, ASK_AGAIN_MS);
    return true;
}

static bool read_assigned(struct arena *a, struct bytes body, struct assigned *to)
{
    if (UNPACK(a, assigned, body, to) == OK && (to->endpoint.n == 0 || (to->token_ms > 0 && to->token_ms < 1ull << 53)))
        return true; // Redis would refuse another time, in the middle of a commit
    M.bus_invalid++;
    LOG_PEER(WARN, EV("bus.invalid"), KS("what", "an assignment"));
    return false;
}

static void on_assigned(void *ctx, const struct answer *answer)
{
    struct ask *k = ctx;
    struct arena a = {0};
    struct assigned to;
    bool again = false;
    if (answer && answer->err == OK && read_assigned(&a, answer->body, &to)) {
        const struct flow flow = {.kind = FLOW_STEP,
                                  .place = k->place,
                                  .in = {.kind = CALL_IN_ASSIGNED,
                                         .user = k->user,
                                         .channel = k->channel,
                                         .session = k->session,
                                         .asked_at = k->at,
                                         .node = arena_text(&a, to.node),
                                         .region = arena_text(&a, to.region),
                                         .endpoint = arena_text(&a, to.endpoint),
                                         .token = arena_text(&a, to.token),
                                         .token_ms = to.token_ms}};
        again = job_start(k->m, &flow, on_step_done, NULL) != OK && ask_again(k);
    }
    arena_fini(&a);
    if (again)
        return;
    table_remove(&k->m->asks, k->key);
    mem_free(k);
}

static void send_ask(struct timer *t, uint64_t now)
{
    struct ask *k = container_of(t, struct ask, timer);
    struct bytes preferred[CALL_REGIONS_MAX];
    (void)now;
    for (uint32_t i = 0; i < k->n_regions; i++)
        preferred[i] = bytes_of(k->regions[i]);
    const struct assign assign = {.place = k->place,
                                  .channel = k->channel,
                                  .server = k->place, // the guild, or of a private call its channel, identifies it
                                  .user = k->user,
                                  .session = bytes_of(k->session),
                                  .region = bytes_of(k->region),
                                  .preferred = {k->n_regions, preferred}};
    const struct msg msg = {&schema_assign, &assign};
    k->command = bus_command(k->m->service.bus, BUS_REGION_ALLOCATOR, k->place, 0, &msg, ASK_MS, on_assigned, k);
}

static void drop_ask(struct ask *k)
{
    if (!timer_armed(&k->timer)) {
        bus_take_back(k->m->service.bus, k->command); // frees it
        return;
    }
    loop_cancel(k->m->service.loop, &k->timer);
    table_remove(&k->m->asks, k->key);
    mem_free(k);
}

// To be sent at k->at. It is copied.
static void ask_later(struct manager *m, const struct ask *ask, uint64_t now)
{
    struct ask *k;
    uint64_t key = key_of(ask->place, ask->user);
    while ((k = table_get(&m->asks, key)) != NULL && (k->place != ask->place || k->user != ask->user))
        key++;
    if (k)
        drop_ask(k);
    k = mem_alloc(sizeof *k);
    *k = *ask;
    k->m = m;
    k->key = key;
    k->timer.fire = send_ask;
    table_put(&m->asks, key, k);
    loop_arm(m->service.loop, &k->timer, k->at > now ? k->at - now : 0);
}

void call_ask_server(struct manager *m, const struct call_place *p, const struct call_fx *fx, uint64_t now)
{
    const struct call_seat *s = call_seat_of(p, fx->user);
    CHECK_ID(s != NULL, p->channel);
    struct ask k = {
        .place = p->channel, .channel = p->channel, .user = fx->user, .at = fx->at, .n_regions = s->n_regions};
    memcpy(k.session, fx->session, sizeof k.session);
    memcpy(k.region, p->region_chosen ? p->region : "", p->region_chosen ? sizeof k.region : 1);
    memcpy(k.regions, s->regions, sizeof k.regions);
    ask_later(m, &k, now);
}

void call_ask_guild_server(struct manager *m, uint64_t guild, const struct guild_ask *ask, uint64_t now)
{
    struct ask k = {.place = guild, .channel = ask->channel, .user = ask->user, .at = ask->at};
    CHECK_ID(bytes_copy(k.session, sizeof k.session, ask->session) == OK, guild);
    CHECK_ID(bytes_copy(k.region, sizeof k.region, ask->region) == OK, guild);
    for (uint32_t i = 0; i < ask->preferred.n && k.n_regions < CALL_REGIONS_MAX; i++)
        if (bytes_copy(k.regions[k.n_regions], sizeof k.regions[0], ask->preferred.v[i]) == OK)
            k.n_regions++;
    ask_later(m, &k, now);
}

// Those not sent yet: of the others the bus, when it stops, frees each.
void call_drop_asks(struct manager *m)
{
    struct ask *k;
    for (uint32_t i = 0; (k = table_next(&m->asks, &i, NULL)) != NULL;)
        if (timer_armed(&k->timer))
            drop_ask(k);
}

static void on_released(void *ctx, const struct answer *answer)
{
    struct freeing *f = ctx;
    if (!answer && !f->replaced)
        LOG(WARN, EV("release.unanswered"), KS("why", "no region allocator answered in time"));
    table_remove(&f->m->releases, f->key);
    mem_free(f);
}

void call_release_server(struct manager *m, uint64_t place, uint64_t channel)
{
    const struct release release = {.place = place, .channel = channel};
    const struct msg msg = {&schema_release, &release};
    struct freeing *f;
    uint64_t key = key_of(place, channel);
    while ((f = table_get(&m->releases, key)) != NULL && (f->place != place || f->channel != channel))
        key++;
    if (f) {
        f->replaced = true;
        bus_take_back(m->service.bus, f->command); // frees it
    }
    f = mem_alloc(sizeof *f);
    *f = (struct freeing){.m = m, .key = key, .place = place, .channel = channel};
    table_put(&m->releases, key, f);
    f->command = bus_command(m->service.bus, BUS_REGION_ALLOCATOR, place, 0, &msg, RELEASE_MS, on_released, f);
}

static void on_regions(void *ctx, const struct answer *answer)
{
    struct manager *m = ctx;
    if (answer && answer->err == OK && regions_read(answer->body, &m->regions) != OK)
        LOG(ERROR, EV("regions.invalid"), KU("bytes", answer->body.n));
}

void call_refresh_regions(struct manager *m)
{
    const struct regions_list list = {0};
    const struct msg msg = {&schema_regions_list, &list};
    if (bus_has(m->service.bus, BUS_REGION_ALLOCATOR))
        bus_command(m->service.bus, BUS_REGION_ALLOCATOR, 0, 0, &msg, ASK_MS, on_regions, m);
}
