// origin: which web pages may speak to us. Pure.
// Tokens travel in a header and in Identify, never in a cookie: a page can do nothing in the name of its visitor that
// he did not give it a token for. What is left to protect is the server behind him: a page of the internet reaches,
// through the browsers of its visitors, what listens on their loopback and in their networks, there to hold
// connections, try tokens, or find out what runs. So: who sends no Origin (every library and app that is no web page)
// is let in; a page when its origin is in the list, or is the official client's, whom libraries for users imitate to
// the letter (and no page can), or is where we are addressed ourselves. The last holds for names only when we know
// them: a page may give a name of its own our address (DNS rebinding), and then its origin equals our Host.
// CORS: https://fetch.spec.whatwg.org/#http-cors-protocol. Cookies play no part, so credentials are never allowed.
#pragma once
#include "http_head.h"

struct origin_rules {
    struct bytes allowed;    // of the setting: origins between commas or blanks, or * for all
    struct bytes public_url; // whose host is ours; may be empty
};

// OK, or ERR_INVALID with the first word of a setting that is no origin.
MUST_USE int origin_check_setting(struct bytes allowed, struct bytes *bad);
// What becomes of a request or an upgrade: 0 it goes on, 204 this was a preflight and is answered, 403 it is refused.
// Appends the header lines that the answer has to carry.
int origin_admit(const struct origin_rules *r, const struct http_head *h, struct buf *headers);
// The same for the admin port, where no page has any business: 0 or 403. `bind` is the address listened on. Host must
// be an address, localhost, a name without a dot, or `bind`: names of the internet have dots.
int origin_admit_admin(struct bytes bind, const struct http_head *h);
