#include "base/pool.h"

enum { KEPT = 64 }; /* of a kind, by a thread */

_Thread_local struct gee_pool_of gee_pools[GEE_POOL_KINDS];

void gee_pools_keep(bool on) {
    for (int kind = 0; kind < GEE_POOL_KINDS; kind++) {
        struct gee_pool_of *pool = &gee_pools[kind];
        pool->room = on && GEE_POOLS ? KEPT : 0;
        while (!on && pool->items) {
            gee_pool_item *item = pool->items;
            pool->items = item->next;
            free(item);
        }
    }
}
