// store_reader: what of Redis' replies is believed: hiredis takes memory for as many elements as a list says that it
// has.
#pragma once
#include <hiredis/hiredis.h>

#define STORE_LIST_MAX                                                                                                 \
    (4u * 1024u * 1024u) // elements of one list; the longest that is asked for are a large guild's rows
// From now on that reader fails, and with it its connection, at a list that is longer.
void store_bound(redisReader *reader);
