// page: which message ids a listing asks for. before/after/around become ranges of the id index, and what the ranges
// found becomes one list, newest first. Pure.
#pragma once
#include "schema.h"

// https://docs.discord.com/developers/resources/message, "Get Channel Messages"
#define PAGE_LIMIT_DEFAULT 50u
#define PAGE_LIMIT_MAX 100u
#define PAGE_PARTS_MAX 2u

// One ZRANGEBYLEX (forwards, oldest first) or ZREVRANGEBYLEX (backwards, newest first) over {place}:mi.
struct page_part {
    bool backwards;
    struct bytes from, to; // in the command's order: forwards min max, backwards max min
    uint32_t limit;        // > 0
};
struct page {
    uint32_t n;
    struct page_part parts[PAGE_PARTS_MAX]; // newer ones first
};

// At most one of before, after and around counts: the first that is set, in the order around, before, after.
void page_plan(struct arena *a, const struct message_list *list, struct page *out);
// found[i]: index members that parts[i] gave, in the order in which they came. Members that are no ids are left out.
struct ids page_ids(struct arena *a, const struct page *page, const struct texts *found);
