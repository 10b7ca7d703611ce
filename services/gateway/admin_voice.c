// admin_voice: what the admin API does with sound: recordings of what is said in a channel, which every voice node is
// asked for, since any of them may have the channel now or later; and files that an account speaks there. Of a
// recording whose channel went from one node to another each has a part, as long as the whole and silent while it was
// elsewhere; of a speaker that one is given in which he said most.
#include "admin_private.h"
#include "player.h"
#include "text.h"

#include <string.h>

#define CHANNEL_VOICE 2u
#define CHANNEL_STAGE 13u
#define PIECE_MAX (1024u * 1024u)      // of a file, from a voice node
#define FILE_MAX (16u * 1024u * 1024u) // of an answer

struct sound { // what a handler keeps
    uint64_t guild, channel, user;
    uint64_t length_ms;
    uint64_t offset, n, got; // of a file
    struct bytes node;
    char *file;
};

static struct sound *kept(struct step *s)
{
    if (!s->r->kept)
        s->r->kept = arena_take(s->a, sizeof(struct sound));
    return s->r->kept;
}

static void refuse(struct step *s, int status, const char *text)
{
    struct buf body = {0};
    buf_str(&body, "{\"message\":");
    json_text(&body, bytes_of(text));
    buf_str(&body, ",\"code\":0}");
    admin_reply(s, status, arena_copy(s->a, buf_bytes(&body)));
    buf_fini(&body);
}

static void put_u64(json_t *j, const char *key, uint64_t v)
{
    json_object_set_new(j, key, json_integer((json_int_t)v));
}

static void put_id(json_t *j, const char *key, uint64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    json_object_set_new(j, key, json_string(text));
}

static void put_seconds(json_t *j, const char *key, uint64_t ms)
{
    json_object_set_new(j, key, json_real((double)ms / 1000));
}

// --- the channel ---

// Which guild has it, or who is in it: all guilds, and private channels from this one on.
static const struct msg *look_for_channel(struct step *s, uint32_t more)
{
    struct directory_list *guilds = arena_take(s->a, sizeof *guilds), *privates = arena_take(s->a, sizeof *privates);
    struct msg *both = arena_take(s->a, (2 + more) * sizeof *both);
    guilds->guilds_only = true;
    *privates = (struct directory_list){.channels_only = true, .after = s->route.id[0] - 1, .limit = 1};
    both[0] = (struct msg){&schema_directory_list, guilds};
    both[1] = (struct msg){&schema_directory_list, privates};
    *s->out = (struct admin_out){.to = BUS_MESSAGE, .n = 2 + more, .commands = both};
    s->r->stage++;
    return both;
}

static const json_t *among(const json_t *list, uint64_t id)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (admin_u64(json_object_get(json_array_get(list, i), "id")) == id)
            return json_array_get(list, i);
    return NULL;
}

// The type of a guild's channel; 0: none of them has it, or it is for text.
static uint64_t take_guild(struct step *s, const json_t *guilds)
{
    for (size_t i = 0; i < json_array_size(guilds); i++) {
        const json_t *guild = json_array_get(guilds, i);
        const json_t *channel = among(json_object_get(guild, "channels"), s->route.id[0]);
        if (!channel)
            continue;
        kept(s)->guild = admin_u64(json_object_get(guild, "id"));
        return (uint64_t)json_integer_value(json_object_get(channel, "type"));
    }
    return 0;
}

static bool is_in(const json_t *channel, uint64_t user)
{
    const json_t *users = json_object_get(channel, "users");
    for (size_t i = 0; i < json_array_size(users); i++)
        if (admin_u64(json_array_get(users, i)) == user)
            return true;
    return false;
}

// False: there is none in which people talk, which has been said. user: has to be in a private one; 0: nobody has to.
static bool found_channel(struct step *s, uint64_t user)
{
    json_t *guilds = admin_answer(s, 0), *privates = admin_answer(s, 1);
    const json_t *private = among(privates, s->route.id[0]);
    uint64_t type = take_guild(s, guilds);
    bool voice = type == CHANNEL_VOICE || type == CHANNEL_STAGE, guild = kept(s)->guild != 0;
    kept(s)->channel = s->route.id[0];
    if (guild && !voice)
        admin_refuse(s->a, API_WRONG_CHANNEL_TYPE, s->out);
    else if (!guild && !private)
        admin_refuse(s->a, API_UNKNOWN_CHANNEL, s->out);
    else if (!guild && user && !is_in(private, user))
        refuse(s, 403, "Only who is in a private channel can speak there.");
    bool found = guild ? voice : private && (!user || is_in(private, user));
    json_decref(guilds);
    json_decref(privates);
    return found;
}

// --- recordings ---

static void ask_nodes(struct step *s, const struct schema *schema, const void *m)
{
    admin_command(s, BUS_VOICE_NODE, 0, schema, m);
    s->out->every = true;
}
#define ASK_NODES(s, type, ...) ask_nodes((s), &schema_##type, &(const struct type){__VA_ARGS__})

// What the i-th node that was asked has of it; NULL: nothing.
static const struct recorded *part(struct step *s, uint32_t i)
{
    struct recorded *v = arena_take(s->a, sizeof *v);
    const struct answer *answer = s->answers[i];
    return answer && answer->err == OK && UNPACK(s->a, recorded, answer->body, v) == OK ? v : NULL;
}

static const struct recorded_speaker *speaker_of(const struct recorded *v, uint64_t user)
{
    for (uint32_t i = 0; v && i < v->speakers.n; i++)
        if (v->speakers.v[i].user == user)
            return &v->speakers.v[i];
    return NULL;
}

// Where he said most; *node: which of those who were asked it is.
static const struct recorded_speaker *most_of(struct step *s, const struct recorded *const *parts, uint64_t user,
                                              uint32_t *node)
{
    const struct recorded_speaker *most = NULL;
    for (uint32_t i = 0; i < s->r->asked.n; i++) {
        const struct recorded_speaker *one = speaker_of(parts[i], user);
        if (!one || (most && one->packets <= most->packets))
            continue;
        most = one;
        *node = i;
    }
    return most;
}

// NULL: nobody has it, which has been said.
static const struct recorded *const *found_parts(struct step *s)
{
    const struct recorded **parts = arena_take(s->a, s->r->asked.n * sizeof *parts);
    bool any = false, silent = false;
    for (uint32_t i = 0; i < s->r->asked.n; i++) {
        parts[i] = part(s, i);
        any = any || parts[i];
        silent = silent || !s->answers[i];
    }
    if (any)
        return parts;
    if (silent)
        admin_refuse(s->a, ERR_TIMEOUT, s->out);
    else
        refuse(s, 404, "There is no such recording.");
    return NULL;
}

static void put_speakers(struct step *s, const struct recorded *const *parts, uint32_t from, json_t *out)
{
    const struct recorded *v = parts[from];
    for (uint32_t i = 0; v && i < v->speakers.n; i++) {
        uint32_t node = 0;
        const struct recorded_speaker *one = most_of(s, parts, v->speakers.v[i].user, &node);
        if (node != from) // told with that part
            continue;
        json_t *j = json_object();
        put_id(j, "user_id", one->user);
        put_u64(j, "packets", one->packets);
        put_u64(j, "bytes", one->bytes);
        put_seconds(j, "seconds", one->ms);
        put_u64(j, "dropped", one->dropped);
        put_u64(j, "file_bytes", one->file_bytes);
        json_array_append_new(out, j);
    }
}

// Which of two parts says how the recording is: one that has ended by itself, since then some of it is missing, before
// one that runs, before one that was stopped.
static bool says_more(const struct recorded *a, const struct recorded *b)
{
    bool a_stopped = bytes_is(a->state, "stopped"), b_stopped = bytes_is(b->state, "stopped");
    return b_stopped ? !a_stopped : b->runs && !a->runs && !a_stopped;
}

// One for all parts; it is as long as the longest.
static void reply_recording(struct step *s)
{
    const struct recorded *const *parts = found_parts(s), *shown = NULL;
    uint64_t ms = 0, silent_ms = UINT64_MAX, n = 0;
    if (!parts)
        return;
    json_t *speakers = json_array(), *j = json_object();
    for (uint32_t i = 0; i < s->r->asked.n; i++) {
        const struct recorded *v = parts[i];
        put_speakers(s, parts, i, speakers);
        if (!v)
            continue;
        n++;
        ms = v->ms > ms ? v->ms : ms;
        silent_ms = v->silent_ms < silent_ms ? v->silent_ms : silent_ms;
        if (!shown || says_more(v, shown))
            shown = v;
    }
    put_id(j, "id", shown->recording);
    put_id(j, "channel_id", shown->channel);
    json_object_set_new(j, "state", json_stringn(shown->state.p, shown->state.n));
    json_object_set_new(j, "why", json_stringn(shown->why.p, shown->why.n));
    put_seconds(j, "seconds", ms);
    put_seconds(j, "silent_seconds", silent_ms);
    put_u64(j, "nodes", n);
    json_object_set_new(j, "speakers", speakers);
    admin_reply_json(s, 200, j);
    json_decref(j);
}

static bool full_everywhere(struct step *s)
{
    bool full = s->r->asked.n > 0;
    for (uint32_t i = 0; i < s->r->asked.n; i++)
        full = full && s->answers[i] && s->answers[i]->err == ERR_FULL;
    return full;
}

static void start_recording(struct step *s)
{
    ASK_NODES(s, record_start, .recording = s->r->fresh, .channel = kept(s)->channel);
    s->out->awaits = true; // it may have started a moment ago, as we may
}

void admin_recording_start(struct step *s)
{
    if (s->r->stage == 0) {
        if (s->route.id[0])
            look_for_channel(s, 0);
        else
            admin_refuse(s->a, API_UNKNOWN_CHANNEL, s->out);
    } else if (s->r->stage == 1) {
        if (admin_went_well(s, 2) && found_channel(s, 0))
            start_recording(s);
    } else if (s->r->asked.n == 0) {
        refuse(s, 503, "There is no voice node.");
    } else if (full_everywhere(s)) {
        refuse(s, 503, "The voice nodes have no room for another recording.");
    } else {
        reply_recording(s);
    }
}

// False: no recording has such an id, which has been said.
static bool names_recording(struct step *s)
{
    if (s->route.id[0])
        return true;
    refuse(s, 404, "There is no such recording.");
    return false;
}

void admin_recording_show(struct step *s)
{
    if (s->r->stage > 0)
        reply_recording(s);
    else if (names_recording(s))
        ASK_NODES(s, record_show, .recording = s->route.id[0]);
}

void admin_recording_stop(struct step *s)
{
    if (s->r->stage > 0)
        reply_recording(s);
    else if (names_recording(s))
        ASK_NODES(s, record_stop, .recording = s->route.id[0]);
}

void admin_recording_drop(struct step *s)
{
    bool dropped = false;
    if (s->r->stage == 0) {
        if (names_recording(s))
            ASK_NODES(s, record_drop, .recording = s->route.id[0]);
        return;
    }
    for (uint32_t i = 0; i < s->r->asked.n; i++)
        dropped = dropped || (s->answers[i] && s->answers[i]->err == OK);
    if (dropped)
        admin_reply(s, 204, BYTES_NONE);
    else
        refuse(s, 404, "There is no such recording.");
}

// --- a file of one ---

// "<user id>.ogg"
static uint64_t user_of(struct bytes file)
{
    static const char tail[] = ".ogg";
    size_t n = sizeof tail - 1;
    uint64_t user = 0;
    if (file.n > n && memcmp(file.p + file.n - n, tail, n) == 0)
        (void)!route_snowflake((struct bytes){file.p, file.n - n}, &user);
    return user;
}

static uint64_t piece_size(const struct sound *k)
{
    return k->n - k->got < PIECE_MAX ? k->n - k->got : PIECE_MAX;
}

static void ask_piece(struct step *s)
{
    const struct sound *k = kept(s);
    const struct record_read read = {
        .recording = s->route.id[0], .user = k->user, .offset = k->offset + k->got, .limit = piece_size(k)};
    ADMIN_COMMAND(s, BUS_VOICE_NODE, 0, record_read, &read);
    s->out->at = k->node;
}

static void reply_file(struct step *s)
{
    const struct sound *k = kept(s);
    admin_reply(s, 200, (struct bytes){k->file, k->n});
    s->out->type = "audio/ogg";
}

// ?offset=N&limit=N: of it this piece; otherwise all of it.
static bool take_range(struct step *s, uint64_t file_bytes)
{
    struct sound *k = kept(s);
    struct fault fault = {0};
    uint64_t limit = 0;
    k->offset = 0;
    if (form_query_number(s->a, s->r->query, "offset", 0, UINT32_MAX, &k->offset, &fault) != OK ||
        form_query_number(s->a, s->r->query, "limit", 1, FILE_MAX, &limit, &fault) != OK) {
        admin_refuse_form(s, &fault);
        return false;
    }
    k->n = k->offset < file_bytes ? file_bytes - k->offset : 0;
    if (limit && limit < k->n)
        k->n = limit;
    if (k->n <= FILE_MAX)
        return true;
    refuse(s, 413, "It is larger than 16 MiB: ask for ?offset= and ?limit= of it.");
    return false;
}

static void find_file(struct step *s)
{
    struct sound *k = kept(s);
    uint32_t node = 0;
    const struct recorded *const *parts = found_parts(s);
    const struct recorded_speaker *one = parts ? most_of(s, parts, k->user, &node) : NULL;
    if (!parts)
        return;
    if (!one) {
        refuse(s, 404, "He said nothing in this recording.");
    } else if (parts[node]->runs) {
        refuse(s, 409, "The recording has to be stopped first.");
    } else if (take_range(s, one->file_bytes)) {
        k->node = s->r->asked.v[node];
        k->file = arena_take(s->a, k->n + 1);
        if (k->n > 0)
            ask_piece(s);
        else
            reply_file(s);
    }
}

static void take_piece(struct step *s)
{
    struct sound *k = kept(s);
    if (!admin_went_well(s, 1))
        return;
    struct bytes piece = s->answers[0]->body;
    if (piece.n != piece_size(k)) {
        admin_refuse_nonsense(s);
        return;
    }
    memcpy(k->file + k->got, piece.p, piece.n);
    k->got += piece.n;
    if (k->got < k->n)
        ask_piece(s);
    else
        reply_file(s);
}

void admin_recording_file(struct step *s)
{
    kept(s)->user = user_of(s->route.param[1]);
    if (s->r->stage > 1)
        take_piece(s);
    else if (s->r->stage == 1)
        find_file(s);
    else if (kept(s)->user == 0)
        refuse(s, 404, "A file is named USER_ID.ogg.");
    else if (names_recording(s))
        ASK_NODES(s, record_show, .recording = s->route.id[0]);
}

// --- plays ---

static void reply_play(struct step *s)
{
    const struct play_shown *p = s->r->play;
    json_t *j = json_object();
    put_id(j, "id", p->id);
    put_id(j, "channel_id", p->channel);
    put_id(j, "user_id", p->user);
    json_object_set_new(j, "state", json_string(p->state));
    json_object_set_new(j, "why", json_string(p->why));
    json_object_set_new(j, "over", json_boolean(p->over));
    json_object_set_new(j, "muted", json_boolean(p->muted));
    put_seconds(j, "seconds", p->ms);
    put_seconds(j, "length_seconds", p->length_ms);
    put_u64(j, "packets", p->packets);
    admin_reply_json(s, 200, j);
    json_decref(j);
}

static void refuse_field(struct step *s, const char *field, const char *code, const char *text)
{
    admin_refuse_form(s, &(struct fault){field, -1, code, text});
}

static void begin_play(struct step *s)
{
    struct player_summary sum;
    const char *why;
    struct bytes name;
    if (!s->route.id[0]) {
        admin_refuse(s->a, API_UNKNOWN_CHANNEL, s->out);
    } else if (!form_query(s->a, s->r->query, "user", &name) || name.n == 0 || !admin_findable(name)) {
        refuse_field(s, "user", "BASE_TYPE_REQUIRED", "Who speaks it? Say ?user=NAME.");
    } else if (player_check(s->r->body, &sum, &why) != OK) {
        refuse_field(s, NULL, "NOT_OGG_OPUS", why);
    } else {
        kept(s)->length_ms = sum.samples / 48;
        struct msg *all = (struct msg *)(uintptr_t)look_for_channel(s, 1);
        all[2] = admin_find(s, name);
    }
}

static void play(struct step *s)
{
    const struct sound *k = kept(s);
    *s->out = (struct admin_out){
        .play = ADMIN_PLAY_START,
        .start = {
            .guild = k->guild, .channel = k->channel, .user = k->user, .length_ms = k->length_ms, .file = s->r->body}};
    s->r->stage = 4;
}

// He is a member of the guild from now on, if he is none yet.
static void enter_guild(struct step *s)
{
    const struct sound *k = kept(s);
    s->r->stage = 2;
    if (k->guild)
        admin_load_guild(s, arena_printf(s->a, "{\"id\":\"%llu\",\"members\":[\"%llu\"]}", (unsigned long long)k->guild,
                                         (unsigned long long)k->user));
    else
        play(s);
}

static void find_player(struct step *s)
{
    const struct answer *user = s->answers[2];
    struct bytes name;
    bool unknown = user && user->err == API_UNKNOWN_USER;
    if (!admin_went_well(s, unknown ? 2 : 3))
        return;
    kept(s)->user = unknown ? 0 : admin_answered_id(s, 2);
    if (!unknown && kept(s)->user == 0) {
        admin_refuse_nonsense(s);
        return;
    }
    if (!found_channel(s, kept(s)->user))
        return;
    if (!unknown) {
        enter_guild(s);
    } else if (kept(s)->guild && form_query(s->a, s->r->query, "user", &name)) {
        const struct user_put put = {.username = name, .bot = true};
        ADMIN_COMMAND(s, BUS_MESSAGE, 0, user_put, &put);
        s->r->stage = 2;
    } else {
        admin_refuse(s->a, API_UNKNOWN_USER, s->out);
    }
}

// Stages: 1 the channel and the account are looked for; 2 it has been made; 3 it is in the guild; 4 it goes there.
void admin_play_start(struct step *s)
{
    if (s->r->stage == 0) {
        begin_play(s);
    } else if (s->r->stage == 1) {
        find_player(s);
    } else if (s->r->stage == 2 && admin_went_well(s, 1)) {
        kept(s)->user = admin_answered_id(s, 0);
        if (kept(s)->user)
            enter_guild(s);
        else
            admin_refuse_nonsense(s);
    } else if (s->r->stage == 3 && admin_went_well(s, 1)) {
        play(s);
    } else if (s->r->stage == 4 && s->r->play) {
        reply_play(s);
    } else if (s->r->stage == 4) {
        refuse(s, 503, "This gateway plays as many files as it can.");
    }
}

static void do_play(struct step *s, enum admin_play what)
{
    *s->out = (struct admin_out){.play = what, .play_id = s->route.id[0]};
    s->r->stage++;
}

void admin_play_show(struct step *s)
{
    if (s->r->stage == 0)
        do_play(s, ADMIN_PLAY_SHOW);
    else if (s->r->play)
        reply_play(s);
    else
        refuse(s, 404, "There is no such play.");
}

void admin_play_stop(struct step *s)
{
    if (s->r->stage == 0)
        do_play(s, ADMIN_PLAY_STOP);
    else if (s->r->play)
        reply_play(s);
    else
        refuse(s, 404, "There is no such play.");
}
