#include "base/pool.h"
#include "base/tools.h"
#include <stdlib.h>

enum { KEPT = 64 }; /* of a kind, by a thread */

_Thread_local gee_pool_list gee_pools[GEE_POOL_KINDS];

void *gee_pool_malloc(size_t size) {
    return malloc(size);
}

void gee_pool_free(void *p) {
    free(p);
}

void gee_pools_keep(bool on) {
    for (int kind = 0; kind < GEE_POOL_KINDS; kind++) {
        gee_pool_list *list = &gee_pools[kind];
        list->room = on && GEE_POOLS ? KEPT : 0;
        while (!on && list->first) {
            gee_pool_kept *p = list->first;
            list->first = p->next;
            free(p);
        }
    }
}
