// ledger: what of one session the store does not hold yet. Pure. A dispatch is sent only when it is kept, so that
// whichever gateway the client resumes on knows all that it was sent. One write is under way at a time, and has all
// that gathered meanwhile; one whose fate is unknown is made again, with a higher turn.
#pragma once
#include "backlog.h"
#include "subs.h"

struct ledger {
    uint64_t hold;          // random: the session is this gateway's under it; 0: the store has nothing of it
    uint64_t turn;          // of the last write; the store ignores an earlier one that comes late
    bool begun;             // the store has it
    bool writing, due;      // a write is under way; another is needed
    bool aside;             // nothing more is written, and nothing pends: who resumes it has the rest from the logs
    bool asked, answering;  // somebody wants to know that it is still ours: by the next write; by this one
    struct backlog pending; // not known to be kept
    uint64_t last;          // WRITING: the newest of them in it
    struct keys touched;    // records it was told of since their positions were written; each once
    uint32_t n_touched;     // WRITING: the first so many are in it, and each may stand behind them again
};

void ledger_init(struct ledger *l, uint64_t hold, uint64_t next, bool begun); // next: number of the dispatch to come
void ledger_fini(struct ledger *l);
void ledger_add(struct ledger *l, struct dispatch *d);
void ledger_touch(struct ledger *l, ref r);
void ledger_want(struct ledger *l); // a write, if only to say how long the session is to be kept
void ledger_ask(struct ledger *l);
uint64_t ledger_first(const struct ledger *l); // number of the first that is pending
bool ledger_begin(struct ledger *l);           // true: write all that is pending and touched now
void ledger_failed(struct ledger *l);          // nobody knows whether it was written
// It was: forgets all that was in it. True: whoever asked by then may go on.
MUST_USE bool ledger_written(struct ledger *l);
void ledger_set_aside(struct ledger *l);

// How many bytes of texts the store may keep of one session, which would have `wants` there, beside `others` of all
// others of this gateway: `each`, but when half of `all` would be there then, no more than an even share of the other
// half. So only those that have more than that lose some.
uint64_t ledger_allowance(uint64_t each, uint64_t all, uint64_t others, uint64_t wants, uint32_t sessions);
