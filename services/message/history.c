// history: see history.h.
#include "history.h"
#include "directory_io.h"

const struct value *history_message_read(struct job *j, uint64_t channel, uint64_t id)
{
    return job_read_key(j, "HGET", ref_place(channel), "m", message_field(&j->arena, id));
}

const struct message_rec *history_message(struct job *j, const struct value *v)
{
    struct message_rec *m = arena_take(&j->arena, sizeof *m);
    return value_row(j, v, &schema_message_rec, m) ? m : NULL;
}

static struct bytes key_of(struct job *j, uint64_t channel, const char *suffix)
{
    char key[RECORD_KEY_MAX];
    return arena_copy(&j->arena, bytes_of(record_key(key, ref_place(channel), suffix)));
}

const struct value *history_part_read(struct job *j, uint64_t channel, const struct page_part *part)
{
    struct bytes command = part->backwards ? BYTES("ZREVRANGEBYLEX") : BYTES("ZRANGEBYLEX");
    return job_read(j, 7,
                    (struct bytes[]){command, key_of(j, channel, "mi"), part->from, part->to, BYTES("LIMIT"),
                                     BYTES("0"), id_text(j, part->limit)});
}

struct texts history_part(struct job *j, const struct value *v)
{
    struct bytes *texts = arena_take(&j->arena, (v->n + 1) * sizeof *texts);
    for (size_t i = 0; i < v->n; i++)
        texts[i] = v->v[i].text;
    return (struct texts){(uint32_t)v->n, texts};
}

const struct value *history_messages_read(struct job *j, uint64_t channel, struct ids ids)
{
    struct bytes argv[2 + PAGE_LIMIT_MAX];
    CHECK_ID(ids.n > 0 && ids.n <= PAGE_LIMIT_MAX, channel);
    argv[0] = BYTES("HMGET");
    argv[1] = key_of(j, channel, "m");
    for (uint32_t i = 0; i < ids.n; i++)
        argv[2 + i] = message_field(&j->arena, ids.v[i]);
    return job_read(j, 2 + ids.n, argv);
}

uint32_t history_messages(struct job *j, const struct value *v, const struct message_rec **out)
{
    struct message_rec *rows = arena_take(&j->arena, (v->n + 1) * sizeof *rows);
    uint32_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        if (value_row(j, &v->v[i], &schema_message_rec, &rows[n]))
            n++;
    *out = rows;
    return n;
}

const struct value *history_read_state_read(struct job *j, uint64_t user, uint64_t channel)
{
    return job_read_key(j, "HGET", ref_user(user), "rs", id_text(j, channel));
}

struct read_state history_read_state(struct job *j, const struct value *v)
{
    struct read_state rs = {0};
    if (!value_row(j, v, &schema_read_state, &rs))
        rs.id = 0;
    return rs;
}

void history_read_state_changes(struct job *j, const struct read_state *rs, struct change out[READ_STATE_CHANGES])
{
    out[0] = row_change(j, "rs", id_text(j, rs->id), &schema_read_state, rs);
    out[1] = (struct change){CHANGE_HSET, "s", BYTES("rsv"), id_text(j, rs->version)};
}
