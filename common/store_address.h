// store_address: where a Redis is and how to log in to it, as an address says it. For store.c.
// Pure.
#pragma once
#include "bytes.h"

struct store_address {
    char host[256], port[8], password[256]; // password: empty when there is none
    uint64_t db;
};

MUST_USE int store_address_parse(struct store_address *a, const char *url); // ERR_INVALID leaves *a half written
