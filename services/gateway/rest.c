// rest: see rest.h. This file: from a request to its handler, and from the commands' answers to the client's.
#include "rest_private.h"

#include <string.h>

#define REFUSED_401 "{\"message\":\"401: Unauthorized\",\"code\":0}"
#define REFUSED_404 "{\"message\":\"404: Not Found\",\"code\":0}"
#define REFUSED_405 "{\"message\":\"405: Method Not Allowed\",\"code\":0}"

static const struct rest_row {
    enum rest_who who;
    int status;
    const char *path;
    void (*handle)(struct step *s);
} rows[] = {
#define ROUTE(name, method, path, who, status) {who, status, path, handle_##name},
#include "routes.def"
#undef ROUTE
};

// --- what handlers say ---

void rest_reply(struct step *s, struct bytes body)
{
    s->out->want = REST_ANSWER;
    s->out->status = s->status;
    s->out->body = body;
}

void rest_reply_buf(struct step *s, struct buf *body)
{
    rest_reply(s, arena_copy(s->a, buf_bytes(body)));
    buf_fini(body);
}

void rest_refuse(struct arena *a, int64_t err, struct rest_out *out)
{
    struct buf body = {0};
    api_error(&body, err);
    *out = (struct rest_out){.status = api_status(err), .body = arena_copy(a, buf_bytes(&body))};
    buf_fini(&body);
}

// Seconds, for a printf of "%llu.%03llu".
#define SECONDS(ms) (unsigned long long)((ms) / 1000), (unsigned long long)((ms) % 1000)

// Via: discord.py takes a 429 without it for a ban by what stands in front, and gives up. Who reads Remaining reads one
// or the other Reset. Bucket is left out: libraries would take all routes for one.
// (https://docs.discord.com/developers/topics/rate-limits, "Header Format" and "Exceeding A Rate Limit")
void rest_refuse_rate(struct arena *a, uint64_t rate, uint64_t wait_ms, uint64_t unix_ms, struct rest_out *out)
{
    struct bytes headers = arena_printf(
        a,
        "Retry-After: %llu\r\nX-RateLimit-Limit: %llu\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: %llu.%03llu\r\n"
        "X-RateLimit-Reset-After: %llu.%03llu\r\nX-RateLimit-Global: true\r\nX-RateLimit-Scope: user\r\n"
        "Via: 1.1 switchboard\r\n",
        (unsigned long long)(wait_ms + 999) / 1000, (unsigned long long)rate, SECONDS(unix_ms + wait_ms),
        SECONDS(wait_ms));
    *out = (struct rest_out){
        .status = 429,
        .headers = arena_text(a, headers),
        .body = arena_printf(a,
                             "{\"message\":\"You are being rate limited.\",\"retry_after\":%llu.%03llu,"
                             "\"global\":true,\"code\":0}",
                             SECONDS(wait_ms))};
}

void rest_refuse_form(struct step *s, const struct fault *fault)
{
    struct buf body = {0};
    api_form_error(&body, fault);
    *s->out = (struct rest_out){.status = api_status(API_INVALID_FORM), .body = arena_copy(s->a, buf_bytes(&body))};
    buf_fini(&body);
}

bool rest_refused(struct step *s, int err, const struct fault *fault)
{
    if (err == API_INVALID_FORM && fault && fault->code)
        rest_refuse_form(s, fault);
    else if (err)
        rest_refuse(s->a, err, s->out);
    return err != API_OK;
}

bool rest_form(struct step *s, const struct schema *schema, void *out, uint64_t *present)
{
    struct fault fault = {0};
    int err = form_body(s->a, schema, s->r->content_type, s->r->body, out, present, &fault);
    return !rest_refused(s, err, &fault);
}

const void *rest_keep(struct step *s, const void *row, size_t size)
{
    void *copy = arena_take(s->a, size);
    memcpy(copy, row, size);
    return copy;
}

void rest_command(struct step *s, enum bus_kind to, uint64_t key, const struct schema *schema, const void *m, size_t n)
{
    struct msg *commands = arena_take(s->a, (n ? n : 1) * sizeof *commands);
    for (size_t i = 0; i < n; i++) {
        void *copy = arena_take(s->a, schema->size);
        memcpy(copy, (const char *)m + i * schema->size, schema->size);
        commands[i] = (struct msg){schema, copy};
    }
    s->out->want = REST_COMMANDS;
    s->out->status = s->status;
    s->out->to = to;
    s->out->key = key;
    s->out->n = (uint32_t)n;
    s->out->commands = commands;
}

// --- what handlers look at ---

static bool here(struct step *s, enum rest_want want)
{
    if (s->r->had == want)
        return true;
    s->out->want = want;
    return false;
}

const struct user *rest_user(struct step *s, uint64_t id)
{
    uint64_t *ids = arena_take(s->a, sizeof *ids);
    ids[0] = id;
    s->out->users = (struct ids){1, ids};
    if (!here(s, REST_LOAD_USERS))
        return NULL;
    const struct user *u = user_set_find(s->r->users, id);
    if (!u)
        rest_refuse(s->a, API_UNKNOWN_USER, s->out);
    return u;
}

static void refuse_plainly(struct step *s, int status, const char *body)
{
    *s->out = (struct rest_out){.status = status, .body = bytes_of(body)};
}

const struct user *rest_me(struct step *s)
{
    const struct user *me = rest_user(s, s->r->user);
    if (!me && s->out->want == REST_ANSWER)
        refuse_plainly(s, 401, REFUSED_401);
    return me;
}

const struct loaded_channel *rest_loaded_channel(struct step *s, uint64_t id)
{
    s->out->channel = id;
    if (!here(s, REST_LOAD_CHANNEL))
        return NULL;
    if (s->r->err == ERR_MISSING) {
        rest_refuse(s->a, API_UNKNOWN_CHANNEL, s->out);
        return NULL;
    }
    return s->r->channel;
}

const struct loaded_channel *rest_private_channel(struct step *s)
{
    const struct channel *of_guild = NULL;
    if (rest_is_of_guild(s, &of_guild)) {
        rest_refused(s, of_guild ? API_WRONG_CHANNEL_TYPE : API_OK, NULL);
        return NULL;
    }
    const struct loaded_channel *c = rest_loaded_channel(s, s->route.id[0]);
    if (!c)
        return NULL;
    bool his = ids_have(c->channel.recipients, s->r->user);
    return rest_refused(s, his ? API_OK : API_UNKNOWN_CHANNEL, NULL) ? NULL : c;
}

const struct channel *rest_channel_of_guild(struct step *s, uint64_t id)
{
    if (s->r->had != REST_LOAD_GUILD) {
        const struct loaded_channel *c = rest_loaded_channel(s, id);
        if (c && c->channel.guild)
            (void)rest_frame(s, c->channel.guild, 0);
        else if (c)
            rest_refused(s, ids_have(c->channel.recipients, s->r->user) ? API_WRONG_CHANNEL_TYPE : API_UNKNOWN_CHANNEL,
                         NULL);
        return NULL;
    }
    const struct loaded_guild *g = s->r->world->n_guilds ? &s->r->world->guilds[0] : NULL;
    const struct guild_channel *c = g ? view_find_channel(g, id) : NULL;
    if (rest_refused(s, c && view_shows(g, s->r->user, c) ? API_OK : API_UNKNOWN_CHANNEL, NULL))
        return NULL;
    struct channel *seen = arena_take(s->a, sizeof *seen);
    *seen = (struct channel){.id = c->id, .type = c->type, .guild = g->guild.id};
    return seen;
}

bool rest_is_of_guild(struct step *s, const struct channel **c)
{
    if (s->r->had != REST_LOAD_GUILD) {
        const struct loaded_channel *of = rest_loaded_channel(s, s->route.id[0]);
        if (!of || !of->channel.guild)
            return false;
    }
    *c = rest_channel_of_guild(s, s->route.id[0]);
    return true;
}

const struct world *rest_world(struct step *s, unsigned parts)
{
    s->out->parts = parts;
    return here(s, REST_LOAD_WORLD) ? s->r->world : NULL;
}

const struct world *rest_frame(struct step *s, uint64_t guild, uint64_t other)
{
    uint64_t *others = arena_take(s->a, sizeof *others);
    others[0] = other;
    s->out->guild = guild;
    s->out->users = (struct ids){other ? 1 : 0, others};
    return here(s, REST_LOAD_GUILD) ? s->r->world : NULL;
}

const struct loaded_guild *rest_guild_with(struct step *s, uint64_t other)
{
    const struct world *w = rest_frame(s, s->route.id[0], other);
    if (!w || rest_refused(s, w->n_guilds ? API_OK : API_UNKNOWN_GUILD, NULL))
        return NULL;
    return &w->guilds[0];
}

const struct loaded_guild *rest_loaded_guild(struct step *s)
{
    return rest_guild_with(s, 0);
}

// --- the way to a handler ---

// What was to be read could not be, or the one who asks is not there any more.
static bool unread(struct step *s)
{
    const struct rest_request *r = s->r;
    if (r->had == REST_ANSWER || r->err == OK)
        return false;
    if (r->err == ERR_MISSING && r->had == REST_LOAD_CHANNEL)
        return false; // its handler knows what to say
    if (r->err == ERR_MISSING)
        refuse_plainly(s, 401, REFUSED_401);
    else
        rest_refuse(s->a, r->err, s->out);
    return true;
}

static bool may(struct step *s, enum rest_who who)
{
    struct rest_request *r = s->r;
    if (who == WHO_ANYBODY)
        return true;
    if (r->user == 0) {
        refuse_plainly(s, 401, REFUSED_401);
        return false;
    }
    if (who == WHO_SIGNED_IN)
        return true;
    if (!r->known) {
        const struct user *me = rest_me(s);
        if (!me)
            return false;
        r->known = true;
        r->bot = me->bot;
    }
    int err = API_OK;
    if (who == WHO_USERS && r->bot)
        err = API_BOTS_CANNOT;
    if (who == WHO_BOTS && !r->bot)
        err = API_BOTS_ONLY;
    return !rest_refused(s, err, NULL);
}

static bool ids_well(struct step *s)
{
    if (s->route.bad.n == 0)
        return true;
    const struct fault fault = {arena_text(s->a, s->route.bad), -1, "NUMBER_TYPE_COERCE", "Value is not snowflake."};
    rest_refuse_form(s, &fault);
    return false;
}

// An owner says that the channel is none for that: who may not view it is not told even that it is there.
static void refuse_type(struct step *s)
{
    if (rest_private_channel(s))
        rest_refused(s, API_WRONG_CHANNEL_TYPE, NULL);
}

void rest_step(struct arena *a, struct rest_request *r, struct rest_out *out)
{
    static const char channels[] = "/channels/";
    struct step s = {.a = a, .r = r, .out = out};
    *out = (struct rest_out){0};
    switch (route_api(r->method, r->path, &s.route)) {
    case ROUTE_UNKNOWN:
        refuse_plainly(&s, 404, REFUSED_404);
        return;
    case ROUTE_METHOD:
        refuse_plainly(&s, 405, REFUSED_405);
        return;
    }
    const struct rest_row *row = &rows[s.route.row];
    s.status = row->status;
    if (unread(&s) || !may(&s, row->who) || !ids_well(&s))
        return;
    if (r->wrong_type)
        refuse_type(&s);
    else
        row->handle(&s);
    out->of_channel = strncmp(row->path, channels, sizeof channels - 1) == 0;
}

bool rest_host_ok(struct bytes host)
{
    static const char also[] = ".:-_[]";
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && !memchr(also, c, sizeof also - 1))
            return false;
    }
    return host.n > 0;
}

// --- answers of commands ---

static bool worldly(int64_t err) // not the asker's doing: the same again may go well
{
    return err == ERR_TIMEOUT || err == ERR_IO || err == ERR_FULL || err == ERR_CONFLICT;
}

// ERR_STATE: there was nothing to change, which is no error towards clients.
static int64_t verdict(const struct rest_out *asked, const struct answer *const *answers, uint32_t *which)
{
    for (*which = 0; *which < asked->n; ++*which) {
        const struct answer *v = answers[*which];
        int64_t err = v ? v->err : ERR_TIMEOUT;
        if (err == OK || err == ERR_STATE || (asked->each_for_itself && !worldly(err)))
            continue;
        return err == ERR_CONFLICT ? ERR_TIMEOUT : err;
    }
    return OK;
}

bool rest_answered(struct arena *a, struct rest_request *r, const struct rest_out *asked,
                   const struct answer *const *answers, struct rest_out *out)
{
    uint32_t which;
    int64_t err = verdict(asked, answers, &which);
    if (err == API_WRONG_CHANNEL_TYPE && asked->of_channel) {
        r->wrong_type = true;
        r->had = REST_ANSWER;
        return false;
    }
    if (err == API_INVALID_FORM && answers[which]->body.n) {
        *out = (struct rest_out){.status = api_status(err), .body = answers[which]->body};
        return true;
    }
    *out = (struct rest_out){.status = asked->status, .body = asked->body, .then = asked->then};
    if (!err && asked->status != 204 && !asked->body.n) {
        out->body = asked->n ? answers[0]->body : BYTES_NONE;
        err = out->body.n ? OK : ERR_INVALID; // an answer that says nothing where something has to be said
    }
    if (err)
        rest_refuse(a, err, out);
    return true;
}
