// channel_info: see channel_info.h.
#include "channel_info.h"
#include "view.h"

static bool tells(const struct voice_room *r, const struct op_info *asked)
{
    bool start = !asked->statuses && asked->start && r->started_at;
    return r->status.n > 0 ? asked->statuses || asked->status || start : start;
}

static void room_json(struct buf *out, const struct voice_room *r, const struct op_info *asked)
{
    buf_str(out, "{\"id\":");
    json_id(out, r->channel);
    if (asked->statuses || asked->status) {
        buf_str(out, ",\"status\":");
        if (r->status.n)
            json_text(out, r->status);
        else
            buf_str(out, "null");
    }
    if (!asked->statuses && asked->start) {
        buf_str(out, ",\"voice_start_time\":");
        if (r->started_at)
            buf_u64(out, r->started_at / 1000);
        else
            buf_str(out, "null");
    }
    buf_char(out, '}');
}

void channel_info_json(struct buf *out, const struct loaded_guild *g, uint64_t viewer, const struct op_info *asked)
{
    bool first = true;
    buf_str(out, "{\"guild_id\":");
    json_id(out, g->guild.id);
    buf_str(out, ",\"channels\":[");
    for (uint32_t i = 0; i < g->n_rooms; i++) {
        const struct guild_channel *c = view_find_channel(g, g->rooms[i].channel);
        if (!c || !view_shows(g, viewer, c) || !tells(&g->rooms[i], asked))
            continue;
        buf_str(out, first ? "" : ",");
        room_json(out, &g->rooms[i], asked);
        first = false;
    }
    buf_str(out, "]}");
}
