// find_io: one guild for the admin API, by its id or name, and its members a page at a time. Both only read.
#include "directory_io.h"
#include "errors.h"
#include "message_io.h"
#include "present_guild.h"

#include <inttypes.h>

#define PAGE_MAX 1000u

// --- a guild ---

struct guild_finding {
    const struct value *guilds; // all ids, where it has to be looked for
    struct ids ids;
    const struct value **rows;
    struct guild_read read;
    const struct value *count;
};

static void guild_json(struct arena *a, struct buf *out, const struct guild_state *s, uint64_t members)
{
    present_guild_json(out, s->guild);
    out->n--; // its closing brace
    buf_str(out, ",\"roles\":[");
    for (uint32_t i = 0; i < s->n_roles; i++) {
        buf_str(out, i ? "," : "");
        present_role_json(out, &s->roles[i]);
    }
    buf_str(out, "],\"channels\":[");
    for (uint32_t i = 0; i < s->n_channels; i++) {
        buf_str(out, i ? "," : "");
        present_guild_channel_json(a, out, &s->channels[i], s->guild->id);
    }
    buf_printf(out, "],\"member_count\":%" PRIu64 "}", members);
}

static void guild_found(struct job *j)
{
    struct guild_finding *w = j->state;
    struct guild_state s;
    struct buf out = {0};
    guild_state(j, w->read, &s);
    if (job_refused(j, s.guild ? API_OK : API_UNKNOWN_GUILD, NULL))
        return;
    guild_json(&j->arena, &out, &s, (uint64_t)w->count->number);
    job_done(j, arena_copy(&j->arena, buf_bytes(&out)));
    buf_fini(&out);
}

static void read_guild(struct job *j, uint64_t id)
{
    struct guild_finding *w = j->state;
    w->read = guild_read(j, id, (struct ids){0});
    w->count = job_read_key(j, "HLEN", ref_place(id), "mb", BYTES_NONE);
    job_wait(j, guild_found);
}

static void guilds_named(struct job *j)
{
    static const struct fault several = {"guild", -1, "GUILD_AMBIGUOUS", "Several guilds have this name: say its id."};
    const struct guild_find *find = j->msg;
    struct guild_finding *w = j->state;
    uint64_t id = 0;
    for (uint32_t i = 0; i < w->ids.n; i++) {
        const struct guild *g = guild_row(j, w->rows[i]);
        if (!g || !bytes_eq(g->name, find->name))
            continue;
        if (id) {
            job_refuse_form(j, &several);
            return;
        }
        id = g->id;
    }
    if (!job_refused(j, id ? API_OK : API_UNKNOWN_GUILD, NULL))
        read_guild(j, id);
}

static void guilds_listed(struct job *j)
{
    struct guild_finding *w = j->state;
    w->ids = ids_state(j, w->guilds);
    w->rows = arena_take(&j->arena, ((size_t)w->ids.n + 1) * sizeof *w->rows);
    for (uint32_t i = 0; i < w->ids.n; i++)
        w->rows[i] = guild_row_read(j, w->ids.v[i]);
    job_wait(j, guilds_named);
}

void start_guild_find(struct job *j)
{
    const struct guild_find *find = j->msg;
    struct guild_finding *w = arena_take(&j->arena, sizeof *w);
    uint64_t id;
    j->state = w;
    if (bytes_u64(find->name, &id) == OK && !(id & REF_USER_BIT)) {
        read_guild(j, id);
        return;
    }
    w->guilds = set_read(j, "dir:guilds");
    job_wait(j, guilds_listed);
}

// --- its members ---

struct members_finding {
    const struct value *listed; // ids as 20 digits
    struct ids ids;
    struct guild_read read;
    struct users_read users_read;
};

static void members_found(struct job *j)
{
    const struct guild_members *page = j->msg;
    struct members_finding *w = j->state;
    struct guild_state s;
    struct buf out = {0};
    guild_state(j, w->read, &s);
    if (job_refused(j, s.guild ? API_OK : API_UNKNOWN_GUILD, NULL))
        return;
    struct user_set users = users_state(j, &w->users_read);
    buf_char(&out, '[');
    for (uint32_t i = 0; i < s.n_members; i++) {
        const struct member *m = &s.members[i];
        struct bytes one = present_member_text(&j->arena, m, user_set_find(users, m->user), page->guild, 0);
        buf_str(&out, i ? "," : "");
        buf_add(&out, one.p, one.n);
    }
    buf_char(&out, ']');
    job_done(j, arena_copy(&j->arena, buf_bytes(&out)));
    buf_fini(&out);
}

static void members_listed(struct job *j)
{
    const struct guild_members *page = j->msg;
    struct members_finding *w = j->state;
    w->ids = ids_state(j, w->listed);
    w->read = guild_read(j, page->guild, w->ids);
    w->users_read = users_read(j, w->ids);
    job_wait(j, members_found);
}

void start_guild_members(struct job *j)
{
    const struct guild_members *page = j->msg;
    struct members_finding *w = arena_take(&j->arena, sizeof *w);
    char key[RECORD_KEY_MAX];
    uint64_t limit = page->limit && page->limit < PAGE_MAX ? page->limit : PAGE_MAX;
    j->state = w;
    w->listed =
        job_read(j, 7,
                 (struct bytes[]){BYTES("ZRANGEBYLEX"),
                                  arena_copy(&j->arena, bytes_of(record_key(key, ref_place(page->guild), "mi"))),
                                  arena_printf(&j->arena, "(%020" PRIu64, page->after), BYTES("+"), BYTES("LIMIT"),
                                  BYTES("0"), id_text(j, limit)});
    job_wait(j, members_listed);
}
