// admin_private: what admin.c and its handlers (admin_guilds.c, admin_voice.c) share. A handler is called at each
// stage: it wants commands sent, which brings it to the next stage with their answers, or answers.
#pragma once
#include "admin.h"
#include "errors.h"
#include "form.h"

#include <jansson.h>

struct step {
    struct arena *a;
    struct admin_request *r;
    const struct answer *const *answers;
    struct admin_out *out;
    struct route route;
};

void admin_reply(struct step *s, int status, struct bytes body);
void admin_reply_json(struct step *s, int status, json_t *json);
void admin_refuse_form(struct step *s, const struct fault *fault);
void admin_refuse_nonsense(struct step *s); // an answer that is not what it should be
bool admin_form(struct step *s, const struct schema *schema, void *out, uint64_t *present); // false: refused

// One command; what it points to has to live in the arena.
void admin_command(struct step *s, enum bus_kind to, uint64_t key, const struct schema *schema, const void *m);
#define ADMIN_COMMAND(s, to, key, type, m) admin_command((s), (to), (key), &schema_##type, (const struct type *){(m)})
bool admin_findable(struct bytes name); // somebody could have this name, or it is an id
struct msg admin_find(struct step *s, struct bytes name);
bool admin_went_well(struct step *s, uint32_t n);       // all n did; false: the first that did not has been passed on
json_t *admin_answer(struct step *s, uint32_t i);       // a new reference; NULL: no JSON
uint64_t admin_answered_id(struct step *s, uint32_t i); // of what it shows; 0: of nothing
void admin_load_guild(struct step *s, struct bytes guild); // as it stands in a world document
uint64_t admin_u64(const json_t *j);                       // decimal text; 0: it is none

#define ADMIN_GUILD "/admin/guilds/:guild"
#define ADMIN_GUILD_ROUTES(R)                                                                                          \
    R("GET", "/admin/guilds", admin_guild_list)                                                                        \
    R("POST", "/admin/guilds", admin_guild_add)                                                                        \
    R("GET", ADMIN_GUILD, admin_guild_show)                                                                            \
    R("PATCH", ADMIN_GUILD, admin_guild_edit)                                                                          \
    R("DELETE", ADMIN_GUILD, admin_guild_remove)                                                                       \
    R("GET", ADMIN_GUILD "/members", admin_member_list)                                                                \
    R("PUT", ADMIN_GUILD "/members/:user", admin_member_add)                                                           \
    R("PATCH", ADMIN_GUILD "/members/:user", admin_member_edit)                                                        \
    R("DELETE", ADMIN_GUILD "/members/:user", admin_member_remove)                                                     \
    R("POST", ADMIN_GUILD "/roles", admin_role_add)                                                                    \
    R("PATCH", ADMIN_GUILD "/roles/:role", admin_role_edit)                                                            \
    R("DELETE", ADMIN_GUILD "/roles/:role", admin_role_remove)                                                         \
    R("POST", ADMIN_GUILD "/channels", admin_channel_add)                                                              \
    R("PATCH", ADMIN_GUILD "/channels/:channel", admin_channel_edit)                                                   \
    R("DELETE", ADMIN_GUILD "/channels/:channel", admin_channel_remove)                                                \
    R("PUT", ADMIN_GUILD "/channels/:channel/roles/:role", admin_role_overwrite)                                       \
    R("DELETE", ADMIN_GUILD "/channels/:channel/roles/:role", admin_role_overwrite)                                    \
    R("PUT", ADMIN_GUILD "/channels/:channel/members/:user", admin_member_overwrite)                                   \
    R("DELETE", ADMIN_GUILD "/channels/:channel/members/:user", admin_member_overwrite)

#define ADMIN_RECORDING "/admin/recordings/:recording_id"
#define ADMIN_VOICE_ROUTES(R)                                                                                          \
    R("POST", "/admin/channels/:channel_id/recordings", admin_recording_start)                                         \
    R("GET", ADMIN_RECORDING, admin_recording_show)                                                                    \
    R("DELETE", ADMIN_RECORDING, admin_recording_drop)                                                                 \
    R("POST", ADMIN_RECORDING "/stop", admin_recording_stop)                                                           \
    R("GET", ADMIN_RECORDING "/:file", admin_recording_file)                                                           \
    R("POST", "/admin/channels/:channel_id/plays", admin_play_start)                                                   \
    R("GET", "/admin/plays/:play_id", admin_play_show)                                                                 \
    R("DELETE", "/admin/plays/:play_id", admin_play_stop)

#define ROW(method, path, handler) void handler(struct step *s);
ADMIN_GUILD_ROUTES(ROW)
ADMIN_VOICE_ROUTES(ROW)
#undef ROW
