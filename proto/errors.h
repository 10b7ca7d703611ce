// errors: Discord's JSON error codes and the body that carries them. Pure.
#pragma once
#include "schema.h"

enum api {
    API_OK = 0,
    API_UNKNOWN_CHANNEL = 10003,
    API_UNKNOWN_GUILD = 10004,
    API_UNKNOWN_MEMBER = 10007,
    API_UNKNOWN_MESSAGE = 10008,
    API_UNKNOWN_ROLE = 10011,
    API_UNKNOWN_USER = 10013,
    API_UNKNOWN_STREAM = 10049,
    API_UNKNOWN_VOICE_STATE = 10065,
    API_UNKNOWN_STAGE = 10067,
    API_BOTS_CANNOT = 20001,
    API_BOTS_ONLY = 20002,
    API_TOO_MANY_RECIPIENTS = 30004,
    API_TOO_MANY_ROLES = 30005,
    API_TOO_MANY_GROUPS = 30011,
    API_TOO_MANY_CHANNELS = 30013,
    API_NOT_IN_VOICE = 40032,
    API_IS_DM = 50003,
    API_OTHERS_MESSAGE = 50005,
    API_EMPTY_MESSAGE = 50006,
    API_CANNOT_SEND = 50007,
    API_MISSING_PERMISSIONS = 50013,
    API_SYSTEM_MESSAGE = 50021,
    API_WRONG_CHANNEL_TYPE = 50024,
    API_INVALID_ROLE = 50028,
    API_INVALID_RECIPIENTS = 50033,
    API_INVALID_FORM = 50035,
    API_INVALID_GUILD = 50055,
    API_INVALID_JSON = 50109,
    API_REQUESTS_DISABLED = 80000,
    API_REQUEST_BLOCKED = 80001,
    API_SELF_REQUEST = 80003,
    API_ALREADY_FRIENDS = 80007,
    API_OVERLOADED = 130000,
    API_STAGE_IS_OPEN = 150006,
};

// The HTTP status that goes with an answer's err: 200 for OK, the row's for a Discord code, 503 for what the world
// did (time-out, I/O), 500 for anything else.
int api_status(int64_t err);
// Appends {"message":…,"code":…} for an err; a code without a row is `0`, "500: Internal Server Error".
void api_error(struct buf *out, int64_t err);
// The same for 50035 with its `errors` object naming the field.
void api_form_error(struct buf *out, const struct fault *fault);
