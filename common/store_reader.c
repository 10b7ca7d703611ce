// store_reader: see store_reader.h.
#include "store_reader.h"

static redisReplyObjectFunctions *usual; // the same for every reader

static void *create_array(const redisReadTask *task, int n)
{
    return n >= 0 && (unsigned)n <= STORE_LIST_MAX ? usual->createArray(task, n) : NULL;
}

void store_bound(redisReader *reader)
{
    static redisReplyObjectFunctions bounded;
    usual = usual ? usual : reader->fn;
    bounded = *usual;
    bounded.createArray = create_array;
    reader->fn = &bounded;
}
